/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as a command of doveadm cluster: never out of bounds, and what is accepted keeps to the
 * table.
 */
#include "core/cluster/cluster-command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cluster_command command;
	struct lab_error err;

	if (size > 4096)
		return 0;
	if (cluster_command_parse_text(lab_view_of(data, size), &command, &err) < 0) {
		lab_assert(err.code == LAB_INVALID && err.message[0] != '\0');
		return 0;
	}
	lab_assert(command.verb < CLUSTER_COMMAND_COUNT && command.percent <= 100);
	lab_assert(command.load_factor >= -1 && command.load_factor <= 100);
	lab_assert(command.argument_count <= CLUSTER_COMMAND_WORDS_MAX);
	for (size_t i = 0; i < command.argument_count; i++)
		lab_assert(command.arguments[i].len > 0 &&
			   command.arguments[i].ptr + command.arguments[i].len <= data + size);
	return 0;
}

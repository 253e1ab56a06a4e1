/* SPDX-License-Identifier: Apache-2.0
 *
 * The first line is the user name, the rest the text to expand. What the check accepts must expand
 * unless it is too long.
 */
#include "core/conf/var-expand.h"
#include "core/conf/test-support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_view text = lab_view_of(data, size), name, result;
	struct var_user user = { .home = LAB_VIEW("/h"),
		.service = LAB_VIEW("imap"),
		.session = LAB_VIEW("s"),
		.local_ip = LAB_VIEW("::1"),
		.remote_ip = LAB_VIEW("::1"),
		.pid = LAB_VIEW("1"),
		.hostname = LAB_VIEW("h"),
		.auth_token = LAB_VIEW("t") };
	struct var_user_table table;
	struct test_world world;
	int checked, expanded;

	if (size == 0 || size > 4096)
		return 0;
	lab_view_split(&text, '\n', &name);
	user.user = name;
	/* a hash of many rounds is slow, not wrong */
	if (lab_view_find(text, LAB_VIEW("rounds=")) != SIZE_MAX)
		return 0;
	test_world_init(&world, NULL);
	var_user_table_init(&table, &user);
	checked = var_expand_check(text, &table.table, &world.err);
	expanded = var_expand_arena(world.arena, text, &table.table, &result, &world.err);
	lab_assert(checked == expanded || world.err.code == LAB_LIMIT);
	test_world_done(&world);
	return 0;
}

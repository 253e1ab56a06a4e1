/* SPDX-License-Identifier: Apache-2.0
 *
 * Any line as a quota rule, and any other as a folder: what is accepted never gives a limit that
 * overflows, and a folder that is ignored is never refused.
 */
#include "core/quota/quota.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct quota_amount full = { UINT64_MAX, UINT64_MAX };
	struct lab_view rest = lab_view_of(data, size), rule;
	struct quota_root root = { .is_set = true, .is_enforced = true };
	struct lab_error err;

	if (size == 0 || size > 1000 || !lab_view_split(&rest, '\n', &rule))
		return 0;
	if (rest.ptr == NULL)
		rest = LAB_VIEW("INBOX");
	if (quota_rule_parse(rule, &root.rules[0], &err) < 0) {
		lab_assert(err.code == LAB_INVALID);
		return 0;
	}
	root.rule_count = 1;
	if (quota_check(&root, rest, &full, &full, 0, false, &err) == 0) {
		struct quota_amount limits = quota_limits(&root, rest);

		lab_assert(quota_is_ignored(&root, rest) ||
			   ((limits.bytes == 0 || limits.bytes == UINT64_MAX) &&
				   (limits.messages == 0 || limits.messages == UINT64_MAX)));
	} else {
		lab_assert(!quota_is_ignored(&root, rest));
	}
	return 0;
}

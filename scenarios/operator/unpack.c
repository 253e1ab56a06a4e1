/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/operator/unpack.h"

static bool is_name(struct lab_view name)
{
	return name.len > 0 && name.ptr[0] != '.' && lab_view_find_byte(name, '/') == SIZE_MAX &&
	       lab_view_find_byte(name, '\0') == SIZE_MAX;
}

int operator_unpack(
	struct lab_view bytes, struct obox_bundle *ret, struct lab_buf *out, struct lab_error *err)
{
	static const char *const kinds[] = { "base", "diff", "self" };

	if (obox_bundle_decode(bytes, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < ret->file_count; i++) {
		if (!is_name(ret->files[i].name))
			return lab_fail(err, LAB_CORRUPT, "file %zu of the bundle has no name", i);
	}
	lab_buf_printf(
		out, "bundle_type\t%s\nhost\t%.*s\n", kinds[ret->kind], LAB_VIEW_ARG(ret->host));
	if (ret->base.len > 0)
		lab_buf_printf(out, "base\t%.*s\n", LAB_VIEW_ARG(ret->base));
	lab_buf_printf(out,
		"uidvalidity\t%" PRIu32 "\nuidnext\t%" PRIu32 "\nhighestmodseq\t%" PRIu64 "\n",
		ret->uidvalidity, ret->next_uid, ret->highest_modseq);
	for (size_t i = 0; i < ret->file_count; i++)
		lab_buf_printf(out, "file\t%.*s\t%zu\n", LAB_VIEW_ARG(ret->files[i].name),
			ret->files[i].content.len);
	return 0;
}

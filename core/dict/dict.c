/* SPDX-License-Identifier: Apache-2.0
 *
 * dict.c - to the driver, and how parts of keys are escaped.
 */
#include "core/dict/dict-private.h"

int dict_lookup(struct dict *dict, struct lab_view key, struct lab_arena *arena,
	struct dict_values *ret, struct lab_error *err)
{
	return dict->ops->lookup(dict, key, arena, ret, err);
}

int dict_iterate(struct dict *dict, struct lab_view path,
	const struct dict_iterate_options *options, struct lab_arena *arena,
	struct dict_row **ret_rows, size_t *ret_count, struct lab_error *err)
{
	return dict->ops->iterate(dict, path, options, arena, ret_rows, ret_count, err);
}

int dict_commit(struct dict *dict, const struct dict_change *changes, size_t count,
	const struct dict_change_options *options, struct lab_error *err)
{
	lab_assert(count > 0 && count <= DICT_CHANGES_MAX);
	return dict->ops->commit(dict, changes, count, options, err);
}

int dict_set(struct dict *dict, struct lab_view key, struct lab_view value,
	const struct dict_change_options *options, struct lab_error *err)
{
	struct dict_change change = { .kind = DICT_CHANGE_SET, .key = key, .value = value };
	return dict_commit(dict, &change, 1, options, err);
}

int dict_unset(struct dict *dict, struct lab_view key, const struct dict_change_options *options,
	struct lab_error *err)
{
	struct dict_change change = { .kind = DICT_CHANGE_UNSET, .key = key };
	return dict_commit(dict, &change, 1, options, err);
}

int dict_atomic_inc(struct dict *dict, struct lab_view key, int64_t diff,
	const struct dict_change_options *options, struct lab_error *err)
{
	struct dict_change change = { .kind = DICT_CHANGE_INC, .key = key, .diff = diff };
	return dict_commit(dict, &change, 1, options, err);
}

void dict_close(struct dict **dict_p)
{
	struct dict *dict = *dict_p;
	if (dict == NULL)
		return;
	*dict_p = NULL;
	dict->ops->close(dict);
}

void dict_escape(struct lab_buf *out, struct lab_view part)
{
	for (size_t i = 0; i < part.len; i++) {
		if (part.ptr[i] == '/')
			lab_buf_append_cstr(out, "\\|");
		else if (part.ptr[i] == '\\')
			lab_buf_append_cstr(out, "\\\\");
		else
			lab_buf_append_byte(out, part.ptr[i]);
	}
}

int dict_unescape(struct lab_buf *out, struct lab_view part)
{
	for (size_t i = 0; i < part.len; i++) {
		if (part.ptr[i] != '\\') {
			lab_buf_append_byte(out, part.ptr[i]);
			continue;
		}
		if (++i == part.len || (part.ptr[i] != '|' && part.ptr[i] != '\\'))
			return -1;
		lab_buf_append_byte(out, part.ptr[i] == '|' ? '/' : '\\');
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * dict-private.h - what a dict driver implements. Contracts are those of dict.h.
 */
#ifndef LAB_DICT_PRIVATE_H
#define LAB_DICT_PRIVATE_H

#include "core/dict/dict.h"

struct dict_ops {
	int (*lookup)(struct dict *dict, struct lab_view key, struct lab_arena *arena,
		struct dict_values *ret, struct lab_error *err);
	int (*iterate)(struct dict *dict, struct lab_view path,
		const struct dict_iterate_options *options, struct lab_arena *arena,
		struct dict_row **ret_rows, size_t *ret_count, struct lab_error *err);
	int (*commit)(struct dict *dict, const struct dict_change *changes, size_t count,
		const struct dict_change_options *options, struct lab_error *err);
	void (*close)(struct dict *dict);
};

struct dict {
	const struct dict_ops *ops;
	struct env *env;
};

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-collect.h - storage garbage collection of users of a backend (storage-gc.h): whose objects
 * nothing refers to any more, in the storages of obox_fs and obox_index_fs.
 */
#ifndef LAB_OBOX_COLLECT_H
#define LAB_OBOX_COLLECT_H

#include "core/obox/backend.h"
#include "core/obox/storage-gc.h"

struct backend_collect {
	const struct lab_view *users;
	size_t user_count;
	int64_t min_age; /* seconds; see storage-gc.h for these three */
	bool is_unsafe, do_delete;
	void (*report)(void *ctx, struct lab_view path, enum storage_gc_state state, int64_t age);
	void *report_ctx;
};

/* Reads all rows of the backend's first dict, once. Adds to *ret. Users may be in use. Blocks. */
int backend_collect(struct backend *backend, const struct backend_collect *collect,
	struct storage_gc_result *ret, struct lab_error *err);

#endif

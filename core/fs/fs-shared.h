/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-shared.h - what the fs stacks of one backend process share: named locks, and driver state that
 * belongs to a place on disk and not to a user (an fscache directory).
 *
 * Lifetime   Made with the backend's services, gone with the host's heap.
 */
#ifndef LAB_FS_SHARED_H
#define LAB_FS_SHARED_H

#include "core/env/env.h"

struct fs_shared;

struct fs_shared *fs_shared_new(struct env *env);
void fs_shared_free(struct fs_shared **shared);

/* The state registered under `key`, made by `create` at the first call. With the registry's end it
 * goes to `destroy`; NULL: it is a single allocation of the host's heap. */
typedef void *(*fs_shared_create_fn)(struct env *env, struct lab_view key);
typedef void (*fs_shared_destroy_fn)(struct env *env, void *state);
void *fs_shared_get(struct fs_shared *shared, struct lab_view key, fs_shared_create_fn create,
	fs_shared_destroy_fn destroy);

/* An exclusive lock by name, as a lock file would give it to the processes of one host: it is gone
 * with the process. Blocks. 0, or -1 LAB_TIMEOUT. Not recursive. */
int fs_lock_take(struct fs_shared *shared, struct lab_view name, uint64_t deadline_ns,
	struct lab_error *err);
void fs_lock_give(struct fs_shared *shared, struct lab_view name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fs/fs-shared.h"

#define SHARED_STATES_MAX 4096
#define SHARED_LOCKS_MAX 100000

struct fs_lock {
	struct env_cond cond;
	unsigned waiting;
	bool held;
};

struct fs_shared {
	struct env *env;
	struct lab_map *states;
	struct lab_map *locks;
};

struct fs_shared *fs_shared_new(struct env *env)
{
	struct fs_shared *shared = lab_new(env->heap, struct fs_shared);

	shared->env = env;
	shared->states = lab_map_new(env->heap, SHARED_STATES_MAX);
	shared->locks = lab_map_new(env->heap, SHARED_LOCKS_MAX);
	return shared;
}

void fs_shared_free(struct fs_shared **shared)
{
	if (*shared == NULL)
		return;
	lab_assert(lab_map_count((*shared)->locks) == 0);
	lab_map_free(&(*shared)->states);
	lab_map_free(&(*shared)->locks);
	lab_heap_free((*shared)->env->heap, *shared);
	*shared = NULL;
}

void *fs_shared_get(struct fs_shared *shared, struct lab_view key, fs_shared_create_fn create)
{
	void **slot = lab_map_slot(shared->states, key);

	lab_assert(slot != NULL);
	if (*slot == NULL)
		*slot = create(shared->env, key);
	return *slot;
}

/* A lock exists while somebody holds it or waits for it. */
int fs_lock_take(
	struct fs_shared *shared, struct lab_view name, uint64_t deadline_ns, struct lab_error *err)
{
	void **slot = lab_map_slot(shared->locks, name);
	struct fs_lock *lock;

	if (slot == NULL)
		return lab_fail(err, LAB_LIMIT, "more than %d locks", SHARED_LOCKS_MAX);
	if (*slot == NULL)
		*slot = lab_new(shared->env->heap, struct fs_lock);
	lock = *slot;
	lock->waiting++;
	while (lock->held) {
		if (env_cond_wait(shared->env, &lock->cond, deadline_ns) != 0) {
			lock->waiting--;
			return lab_fail(err, LAB_TIMEOUT, "lock %.*s: still held by another session",
				LAB_VIEW_ARG(name));
		}
	}
	lock->waiting--;
	lock->held = true;
	return 0;
}

void fs_lock_give(struct fs_shared *shared, struct lab_view name)
{
	struct fs_lock *lock = lab_map_get(shared->locks, name);

	lab_assert(lock != NULL && lock->held);
	lock->held = false;
	if (lock->waiting > 0) {
		env_cond_signal(shared->env, &lock->cond);
		return;
	}
	lab_map_remove(shared->locks, name);
	lab_heap_free(shared->env->heap, lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fs/fs-shared.h"

/* An fscache may have one directory for each user. */
#define SHARED_STATES_MAX 1000000
#define SHARED_LOCKS_MAX 100000

struct fs_lock {
	struct env_cond cond;
	unsigned waiting;
	bool held;
};

struct shared_state {
	void *state;
	fs_shared_destroy_fn destroy;
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

static void destroy_states(struct fs_shared *shared)
{
	struct lab_map_iter iter = lab_map_iterate(shared->states);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		struct shared_state *shared_state = value;

		if (shared_state->destroy != NULL)
			shared_state->destroy(shared->env, shared_state->state);
		else
			lab_heap_free(shared->env->heap, shared_state->state);
		lab_heap_free(shared->env->heap, shared_state);
	}
	lab_map_free(&shared->states);
}

void fs_shared_free(struct fs_shared **shared_p)
{
	struct fs_shared *shared = *shared_p;

	if (shared == NULL)
		return;
	lab_assert(lab_map_count(shared->locks) == 0);
	destroy_states(shared);
	lab_map_free(&shared->locks);
	lab_heap_free(shared->env->heap, shared);
	*shared_p = NULL;
}

void *fs_shared_get(struct fs_shared *shared, struct lab_view key, fs_shared_create_fn create,
	fs_shared_destroy_fn destroy)
{
	void **slot = lab_map_slot(shared->states, key);
	struct shared_state *made;

	lab_assert(slot != NULL);
	if (*slot == NULL) {
		*slot = made = lab_new(shared->env->heap, struct shared_state);
		made->destroy = destroy;
		made->state = create(shared->env, key);
	}
	return ((struct shared_state *)*slot)->state;
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
			return lab_fail(err, LAB_TIMEOUT,
				"lock %.*s: still held by another session", LAB_VIEW_ARG(name));
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

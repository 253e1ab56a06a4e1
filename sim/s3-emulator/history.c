/* SPDX-License-Identifier: Apache-2.0
 *
 * history.c - what changed lately, and so how things were some time ago: for answers that are not
 * up to date (SIM_FAULT_STALE). A ring of the last changes; each keeps what was there before it.
 * Searched from end to end: it is short, and such answers are rare.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

struct s3emu_change {
	struct s3emu_bucket *bucket; /* NULL: forgotten */
	struct lab_view key;         /* owned */
	struct s3emu_object *before; /* a reference; NULL: there was nothing */
	uint64_t at_ns;
};

void s3emu_history_open(struct s3emu *s3)
{
	if (s3->options.stale_changes_max > 0)
		s3->changes =
			lab_new_array(s3->heap, struct s3emu_change, s3->options.stale_changes_max);
}

static void forget(struct s3emu *s3, struct s3emu_change *change)
{
	if (change->bucket == NULL)
		return;
	if (change->before != NULL)
		s3emu_object_unref(s3, change->before);
	lab_heap_free(s3->heap, (void *)(uintptr_t)change->key.ptr);
	memset(change, 0, sizeof(*change));
}

static struct s3emu_change *change_at(const struct s3emu *s3, uint64_t number)
{
	return &s3->changes[number % s3->options.stale_changes_max];
}

static uint64_t oldest(const struct s3emu *s3)
{
	uint64_t max = s3->options.stale_changes_max;

	return s3->change_count > max ? s3->change_count - max : 0;
}

void s3emu_history_add(struct s3emu *s3, struct s3emu_bucket *bucket, struct lab_view key)
{
	struct s3emu_change *change;
	uint8_t *copy;

	if (s3->changes == NULL)
		return;
	change = change_at(s3, s3->change_count++);
	forget(s3, change);
	copy = lab_heap_alloc(s3->heap, key.len);
	memcpy(copy, key.ptr, key.len);
	change->key = lab_view_of(copy, key.len);
	change->bucket = bucket;
	change->at_ns = s3->now_ns;
	(void)s3emu_store_get(s3, bucket, key, &change->before);
}

void s3emu_history_drop(struct s3emu *s3, const struct s3emu_bucket *bucket)
{
	uint64_t i;

	if (s3->changes == NULL)
		return;
	for (i = oldest(s3); i < s3->change_count; i++) {
		if (change_at(s3, i)->bucket == bucket)
			forget(s3, change_at(s3, i));
	}
}

/* The first change of the key after that time; NULL: it is now as it was then. */
static const struct s3emu_change *first_after(const struct s3emu *s3,
	const struct s3emu_bucket *bucket, struct lab_view key, uint64_t then_ns)
{
	uint64_t i;

	for (i = oldest(s3); i < s3->change_count; i++) {
		const struct s3emu_change *change = change_at(s3, i);

		if (change->bucket == bucket && change->at_ns > then_ns &&
			lab_view_eq(change->key, key))
			return change;
	}
	return NULL;
}

static bool is_stale(const struct s3emu_exchange *x, uint64_t *ret_then_ns)
{
	if (x->fault.kind != SIM_FAULT_STALE || x->s3->changes == NULL)
		return false;
	*ret_then_ns = x->now_ns - LAB_MIN(x->now_ns, x->fault.delay_ns);
	return true;
}

int s3emu_read(struct s3emu_exchange *x, struct s3emu_object **ret)
{
	const struct s3emu_change *change = NULL;
	uint64_t then_ns;

	if (is_stale(x, &then_ns))
		change = first_after(x->s3, x->bucket, x->key, then_ns);
	if (change == NULL)
		return s3emu_store_get(x->s3, x->bucket, x->key, ret);
	if (change->before == NULL)
		return 0;
	change->before->references++;
	*ret = change->before;
	return 1;
}

static bool is_in(struct lab_view key, struct lab_view from, bool after)
{
	int order = lab_view_cmp(key, from);

	return after ? order > 0 : order >= 0;
}

/* The first key in range that was there then and is not now, or is another object now. */
static const struct s3emu_change *next_changed(
	struct s3emu_exchange *x, struct lab_view from, bool after, uint64_t then_ns)
{
	const struct s3emu_change *best = NULL, *change;
	uint64_t i;

	for (i = oldest(x->s3); i < x->s3->change_count; i++) {
		change = change_at(x->s3, i);
		if (change->bucket != x->bucket || change->at_ns <= then_ns ||
			!is_in(change->key, from, after) ||
			(best != NULL && lab_view_cmp(change->key, best->key) >= 0))
			continue;
		change = first_after(x->s3, x->bucket, change->key, then_ns);
		if (change->before != NULL)
			best = change;
	}
	return best;
}

static int next_now(struct s3emu_exchange *x, struct lab_view from, bool after,
	struct lab_view *ret_key, struct s3emu_object **ret)
{
	return x->s3->engine_ops->next(
		x->s3->engine, x->bucket, S3EMU_SPACE_OBJECTS, from, after, ret_key, ret);
}

/* The next key that did not change since; those that did come from the history. */
static int next_unchanged(struct s3emu_exchange *x, struct lab_view from, bool after,
	uint64_t then_ns, struct lab_view *ret_key, struct s3emu_object **ret)
{
	while (next_now(x, from, after, ret_key, ret) != 0) {
		if (first_after(x->s3, x->bucket, *ret_key, then_ns) == NULL)
			return 1;
		s3emu_object_unref(x->s3, *ret);
		from = lab_arena_copy(x->arena, *ret_key);
		after = true;
	}
	return 0;
}

int s3emu_read_next(struct s3emu_exchange *x, struct lab_view from, bool after,
	struct lab_view *ret_key, struct s3emu_object **ret)
{
	const struct s3emu_change *change;
	uint64_t then_ns;
	int found;

	if (!is_stale(x, &then_ns))
		return next_now(x, from, after, ret_key, ret);
	found = next_unchanged(x, from, after, then_ns, ret_key, ret);
	change = next_changed(x, from, after, then_ns);
	if (change == NULL || (found != 0 && lab_view_cmp(*ret_key, change->key) < 0))
		return found;
	if (found != 0)
		s3emu_object_unref(x->s3, *ret);
	change->before->references++;
	*ret = change->before;
	*ret_key = change->key;
	return 1;
}

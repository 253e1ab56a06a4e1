/* SPDX-License-Identifier: Apache-2.0
 *
 * store-memory.c - the engine that keeps everything in the emulator's heap: two ordered maps for
 * each bucket, one for each space. The engine is the emulator itself.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

struct memory_bucket {
	/* struct s3emu_object; deleted ones only with remember_deleted, and never in uploads */
	struct lab_tree *spaces[S3EMU_SPACE_COUNT];
	uint64_t remembered;
};

static int memory_open(void *engine, struct s3emu_bucket *bucket)
{
	struct s3emu *s3 = engine;
	struct memory_bucket *memory = lab_new(s3->heap, struct memory_bucket);
	size_t i;

	for (i = 0; i < S3EMU_SPACE_COUNT; i++)
		memory->spaces[i] = lab_tree_new(s3->heap, s3->options.limits.objects_max);
	bucket->engine = memory;
	return 0;
}

static void close_space(struct s3emu *s3, struct memory_bucket *memory, enum s3emu_space space)
{
	struct lab_tree_iter iter = lab_tree_iterate(memory->spaces[space], lab_view_of(NULL, 0));
	struct lab_view key;
	void *value;

	while (lab_tree_next(&iter, &key, &value)) {
		struct s3emu_object *object = value;

		if (!object->deleted)
			s3emu_store_gone(s3, space, object->size);
		s3emu_object_unref(s3, object);
	}
	lab_tree_free(&memory->spaces[space]);
}

static int memory_close(void *engine, struct s3emu_bucket *bucket)
{
	struct s3emu *s3 = engine;
	struct memory_bucket *memory = bucket->engine;

	close_space(s3, memory, S3EMU_SPACE_OBJECTS);
	close_space(s3, memory, S3EMU_SPACE_UPLOADS);
	s3->remembered -= memory->remembered;
	lab_heap_free(s3->heap, memory);
	bucket->engine = NULL;
	return 0;
}

static int memory_empty(void *engine, struct s3emu_bucket *bucket)
{
	(void)memory_close(engine, bucket);
	return memory_open(engine, bucket);
}

static int memory_get(void *engine, struct s3emu_bucket *bucket, enum s3emu_space space,
	struct lab_view key, struct s3emu_object **ret)
{
	struct memory_bucket *memory = bucket->engine;
	struct s3emu_object *object = lab_tree_get(memory->spaces[space], key);

	(void)engine;
	if (object == NULL || object->deleted)
		return 0;
	object->references++;
	*ret = object;
	return 1;
}

static int memory_next(void *engine, struct s3emu_bucket *bucket, enum s3emu_space space,
	struct lab_view from, bool after, struct lab_view *ret_key, struct s3emu_object **ret)
{
	struct memory_bucket *memory = bucket->engine;
	struct lab_tree_iter iter = lab_tree_iterate(memory->spaces[space], from);
	struct lab_view key;
	void *value;

	(void)engine;
	while (lab_tree_next(&iter, &key, &value)) {
		struct s3emu_object *object = value;

		if (object->deleted || (after && lab_view_eq(key, from)))
			continue;
		object->references++;
		*ret_key = key;
		*ret = object;
		return 1;
	}
	return 0;
}

static int memory_put(void *engine, struct s3emu_bucket *bucket, enum s3emu_space space,
	struct lab_view key, struct s3emu_object *object)
{
	struct s3emu *s3 = engine;
	struct memory_bucket *memory = bucket->engine;
	struct s3emu_object *old = lab_tree_get(memory->spaces[space], key);
	bool existed = old != NULL && !old->deleted;
	void **slot;

	if (old == NULL && s3emu_store_is_full(s3))
		return -1;
	slot = lab_tree_slot(memory->spaces[space], key);
	lab_assert(slot != NULL);
	object->creations = old == NULL ? 1 : old->creations + (existed ? 0 : 1);
	object->overwritten = old == NULL ? 0 : old->overwritten + (existed ? 1 : 0);
	*slot = object;
	s3emu_store_come(s3, space, object->size);
	if (existed) {
		s3emu_store_gone(s3, space, old->size);
	} else if (old != NULL) {
		s3->remembered--;
		memory->remembered--;
	}
	if (old != NULL)
		s3emu_object_unref(s3, old);
	return existed ? 1 : 0;
}

/* Replaces the object by a stone that keeps its counts. */
static void memory_remember(struct s3emu *s3, struct memory_bucket *memory, struct lab_view key,
	const struct s3emu_object *object)
{
	static const struct s3emu_content nothing;
	struct lab_tree *objects = memory->spaces[S3EMU_SPACE_OBJECTS];
	struct s3emu_object *stone = s3emu_object_new(s3, NULL, key.len, &nothing);

	if (stone == NULL) { /* no room: forget it, as without remember_deleted */
		(void)lab_tree_remove(objects, key);
		return;
	}
	stone->deleted = true;
	stone->creations = object->creations;
	stone->overwritten = object->overwritten;
	*lab_tree_slot(objects, key) = stone;
	s3->remembered++;
	memory->remembered++;
}

static int memory_remove(
	void *engine, struct s3emu_bucket *bucket, enum s3emu_space space, struct lab_view key)
{
	struct s3emu *s3 = engine;
	struct memory_bucket *memory = bucket->engine;
	struct s3emu_object *object = lab_tree_get(memory->spaces[space], key);

	if (object == NULL || object->deleted)
		return 0;
	s3emu_store_gone(s3, space, object->size);
	if (space == S3EMU_SPACE_OBJECTS && s3->options.remember_deleted)
		memory_remember(s3, memory, key, object);
	else
		(void)lab_tree_remove(memory->spaces[space], key);
	s3emu_object_unref(s3, object);
	return 1;
}

const struct s3emu_engine_ops s3emu_engine_memory = {
	.open = memory_open,
	.close = memory_close,
	.empty = memory_empty,
	.get = memory_get,
	.next = memory_next,
	.put = memory_put,
	.remove = memory_remove,
};

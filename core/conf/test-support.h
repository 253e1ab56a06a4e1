/* SPDX-License-Identifier: Apache-2.0
 *
 * test-support.h - what the tests and fuzzers of this module share: an arena, and files that are in
 * memory.
 */
#ifndef LAB_CONF_TEST_SUPPORT_H
#define LAB_CONF_TEST_SUPPORT_H

#include "core/conf/conf.h"

struct test_file {
	const char *path, *text;
};

struct test_world {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *arena;
	const struct test_file *files; /* ended by a NULL path */
	struct conf_reader reader;
	struct conf_problems problems;
	struct lab_error err;
};

static int test_read_file(void *ctx, struct lab_view path, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	const struct test_world *world = ctx;

	(void)arena;
	for (const struct test_file *f = world->files; f != NULL && f->path != NULL; f++) {
		if (!lab_view_eq_cstr(path, f->path))
			continue;
		if (f->text == NULL)
			return lab_fail(err, LAB_IO, "%s: broken", f->path);
		*ret = lab_view_cstr(f->text);
		return 0;
	}
	return lab_fail(err, LAB_NOT_FOUND, "%.*s: no such file", LAB_VIEW_ARG(path));
}

/* Understands one '*', in the reverse order of the files. */
static int test_glob(void *ctx, struct lab_view pattern, struct lab_arena *arena,
	struct lab_view **ret_paths, size_t *ret_count, struct lab_error *err)
{
	const struct test_world *world = ctx;
	size_t star = lab_view_find_byte(pattern, '*'), total = 0;

	if (star == SIZE_MAX)
		return lab_fail(err, LAB_UNSUPPORTED, "only '*' here");
	while (world->files != NULL && world->files[total].path != NULL)
		total++;
	*ret_paths = lab_arena_array(arena, struct lab_view, total + 1);
	*ret_count = 0;
	while (total-- > 0) {
		struct lab_view path = lab_view_cstr(world->files[total].path);
		if (path.len + 1 >= pattern.len &&
			lab_view_starts_with(path, lab_view_sub(pattern, 0, star)) &&
			lab_view_ends_with(path, lab_view_skip(pattern, star + 1)))
			(*ret_paths)[(*ret_count)++] = path;
	}
	return 0;
}

static inline void test_world_init(struct test_world *world, const struct test_file *files)
{
	memset(world, 0, sizeof(*world));
	world->pool = lab_pool_new(256u << 20);
	world->heap = lab_heap_new(world->pool, 128u << 20);
	world->arena = lab_arena_new(world->heap, 64u << 20);
	world->files = files;
	world->reader = (struct conf_reader){ test_read_file, test_glob, world };
	conf_problems_init(&world->problems, world->arena);
}

static inline void test_world_done(struct test_world *world)
{
	lab_arena_free(&world->arena);
	lab_heap_drop(&world->heap);
	lab_pool_free(&world->pool);
}

#endif

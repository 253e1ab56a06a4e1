/* SPDX-License-Identifier: Apache-2.0
 *
 * commands.c - what each command does with a stack.
 */
#include "scenarios/fs-tool/fs-tool-private.h"

#define LISTING_ARENA_MAX ((size_t)1024 * 1024 * 1024)
#define DELETE_CHUNK 10000

struct run {
	struct fs *fs;
	struct env *env;
	const struct fs_tool_job *job;
	struct fs_tool_result *ret;
};

static struct lab_arena *new_arena(const struct run *run)
{
	return lab_arena_new(run->env->heap, LISTING_ARENA_MAX);
}

static int print_line(const struct run *run, struct lab_view line, struct lab_error *err)
{
	const struct fs_tool_job *job = run->job;

	if (job->print(job->print_ctx, line, err) < 0)
		return -1;
	return job->print(job->print_ctx, lab_view_of(&job->separator, 1), err);
}

static int set_metadata(
	const struct run *run, struct fs_file *file, struct lab_arena *arena, struct lab_error *err)
{
	for (size_t i = 0; i < run->job->metadata_count; i++) {
		struct lab_view text = lab_view_cstr(run->job->metadata[i]);
		size_t at = lab_view_find_byte(text, '=');

		if (at == SIZE_MAX || at == 0)
			return lab_fail(err, LAB_INVALID, "--meta: \"%.*s\" is not key=value",
				LAB_VIEW_ARG(text));
		fs_set_metadata(file, lab_arena_cstr(arena, lab_view_sub(text, 0, at)),
			lab_view_skip(text, at + 1));
	}
	return 0;
}

/* ---- one object ---- */

static int do_get(
	const struct run *run, struct fs_file *file, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view contents;

	if (fs_read(file, arena, FS_TOOL_OBJECT_MAX, &contents, err) < 0)
		return -1;
	return run->job->print(run->job->print_ctx, contents, err);
}

static int do_put(
	const struct run *run, struct fs_file *file, struct lab_arena *arena, struct lab_error *err)
{
	if (set_metadata(run, file, arena, err) < 0)
		return -1;
	return fs_write(file, run->job->input, err);
}

static int do_stat(
	const struct run *run, struct fs_file *file, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view contents = LAB_VIEW("");
	uint64_t size = 0;
	int result = fs_stat(file, &size, err);

	/* Behind compress the size is that of the plain text: known when it was read. */
	if (result < 0 && err->code == LAB_UNSUPPORTED) {
		result = fs_read(file, arena, FS_TOOL_OBJECT_MAX, &contents, err);
		size = contents.len;
	}
	if (result < 0)
		return -1;
	return print_line(run,
		lab_view_cstr(lab_arena_printf(
			arena, "%.*s size=%" PRIu64, LAB_VIEW_ARG(fs_file_path(file)), size)),
		err);
}

static int do_metadata(
	const struct run *run, struct fs_file *file, struct lab_arena *arena, struct lab_error *err)
{
	struct fs_metadata *items;
	size_t count;

	if (fs_list_metadata(file, arena, &items, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (print_line(run,
			    lab_view_cstr(lab_arena_printf(arena, "%.*s=%.*s",
				    LAB_VIEW_ARG(items[i].key), LAB_VIEW_ARG(items[i].value))),
			    err) < 0)
			return -1;
	}
	return 0;
}

typedef int (*one_fn)(const struct run *run, struct fs_file *file, struct lab_arena *arena,
	struct lab_error *err);

static int do_one(const struct run *run, const char *path, enum fs_open_mode mode, one_fn fn,
	struct lab_error *err)
{
	struct lab_arena *arena = new_arena(run);
	struct fs_file *file = fs_file_open(run->fs, lab_view_cstr(path), mode);
	int result = fn(run, file, arena, err);

	fs_file_close(&file);
	lab_arena_free(&arena);
	return result < 0 ? lab_error_wrap(err, "%s", path) : 0;
}

/* Goes through all of them whatever comes of each; the first error is the command's. */
static int do_each(const struct run *run, one_fn fn, struct lab_error *err)
{
	int result = 0;

	for (size_t i = 0; i < run->job->path_count; i++) {
		struct lab_error own;

		if (do_one(run, run->job->paths[i], FS_OPEN_READONLY, fn, &own) == 0)
			continue;
		if (result == 0)
			*err = own;
		result = -1;
		run->ret->failed++;
	}
	return result;
}

static int do_copy(const struct run *run, struct lab_error *err)
{
	const char *const *paths = run->job->paths;
	struct lab_arena *arena = new_arena(run);
	struct fs_file *from = fs_file_open(run->fs, lab_view_cstr(paths[0]), FS_OPEN_READONLY);
	struct fs_file *to = fs_file_open(run->fs, lab_view_cstr(paths[1]), FS_OPEN_REPLACE);
	int result = set_metadata(run, to, arena, err);

	if (result == 0)
		result = fs_copy(from, to, err);
	fs_file_close(&to);
	fs_file_close(&from);
	lab_arena_free(&arena);
	return result < 0 ? lab_error_wrap(err, "%s to %s", paths[0], paths[1]) : 0;
}

/* ---- directories ---- */

struct names {
	struct lab_view *items;
	size_t count;
};

static int list(const struct run *run, struct lab_view path, uint32_t flags,
	struct lab_arena *arena, struct names *ret, struct lab_error *err)
{
	*ret = (struct names){ 0 };
	return fs_iter(
		run->fs, path, flags, FS_TOOL_ENTRIES_MAX, arena, &ret->items, &ret->count, err);
}

/* All paths below a directory, depth first, in the order in which the storage lists them. */
struct tree {
	const struct run *run;
	struct lab_arena *arena;
	struct lab_view *paths;
	size_t count, room;
};

static int tree_add(struct tree *tree, struct lab_view path, struct lab_error *err)
{
	if (tree->count == FS_TOOL_ENTRIES_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %zu objects", FS_TOOL_ENTRIES_MAX);
	if (tree->count == tree->room) {
		size_t room = LAB_MAX(2 * tree->room, 256U);
		struct lab_view *paths = lab_arena_array(tree->arena, struct lab_view, room);

		if (tree->count > 0)
			memcpy(paths, tree->paths, tree->count * sizeof(*paths));
		tree->paths = paths;
		tree->room = room;
	}
	tree->paths[tree->count++] = path;
	return 0;
}

/* `dir` is empty or ends in '/': parts of a path may be empty in an object storage. */
static int tree_walk(struct tree *tree, struct lab_view dir, unsigned depth, struct lab_error *err)
{
	struct names files, dirs = { 0 };
	bool has_dirs = (fs_get_properties(tree->run->fs) & FS_PROPERTY_ITER) != 0;

	if (depth == FS_TOOL_DEPTH_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d directories in directories",
			FS_TOOL_DEPTH_MAX);
	/* A level of dictmap's paths that has only directories is no path of files. */
	if ((list(tree->run, dir, 0, tree->arena, &files, err) < 0 &&
		    !(has_dirs && err->code == LAB_INVALID && err->status == 0)) ||
		(has_dirs && list(tree->run, dir, FS_ITER_DIRS, tree->arena, &dirs, err) < 0))
		return -1;
	for (size_t i = 0; i < files.count; i++) {
		if (tree_add(tree,
			    lab_view_cstr(lab_arena_printf(tree->arena, "%.*s%.*s",
				    LAB_VIEW_ARG(dir), LAB_VIEW_ARG(files.items[i]))),
			    err) < 0)
			return -1;
	}
	for (size_t i = 0; i < dirs.count; i++) {
		if (tree_walk(tree,
			    lab_view_cstr(lab_arena_printf(tree->arena, "%.*s%.*s/",
				    LAB_VIEW_ARG(dir), LAB_VIEW_ARG(dirs.items[i]))),
			    depth + 1, err) < 0)
			return -1;
	}
	return 0;
}

static int tree_of(const struct run *run, const char *path, struct tree *tree,
	struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view dir = lab_view_cstr(path);
	const char *slash = dir.len == 0 || lab_view_ends_with(dir, LAB_VIEW("/")) ? "" : "/";

	*tree = (struct tree){ .run = run, .arena = arena };
	return tree_walk(tree, lab_view_cstr(lab_arena_printf(arena, "%s%s", path, slash)), 0, err);
}

static int do_iter(const struct run *run, uint32_t flags, struct lab_error *err)
{
	struct lab_arena *arena = new_arena(run);
	struct names names;
	struct tree tree;
	int result;

	if (run->job->recursive) {
		result = tree_of(run, run->job->paths[0], &tree, arena, err);
		names = (struct names){ tree.paths, tree.count };
	} else {
		result = list(run, lab_view_cstr(run->job->paths[0]), flags, arena, &names, err);
	}
	for (size_t i = 0; result == 0 && i < names.count; i++)
		result = print_line(run, names.items[i], err);
	lab_arena_free(&arena);
	return result < 0 ? lab_error_wrap(err, "%s", run->job->paths[0]) : 0;
}

/* ---- deleting ---- */

static int delete_chunk(
	const struct run *run, const struct lab_view *paths, size_t count, struct lab_error *err)
{
	struct lab_heap *heap = run->env->heap;
	struct fs_file **files = lab_new_array(heap, struct fs_file *, count);
	struct lab_error *results = lab_new_array(heap, struct lab_error, count);
	int result = 0;

	for (size_t i = 0; i < count; i++)
		files[i] = fs_file_open(run->fs, paths[i], FS_OPEN_READONLY);
	(void)fs_delete_many(files, count, results, err);
	for (size_t i = 0; i < count; i++) {
		if (results[i].code == LAB_OK)
			continue;
		run->ret->failed++;
		if (result == 0) {
			*err = results[i];
			result = lab_error_wrap(err, "%.*s", LAB_VIEW_ARG(paths[i]));
		}
	}
	for (size_t i = 0; i < count; i++)
		fs_file_close(&files[i]);
	lab_heap_free(heap, results);
	lab_heap_free(heap, files);
	return result;
}

static int delete_paths(
	const struct run *run, const struct lab_view *paths, size_t count, struct lab_error *err)
{
	int result = 0;

	for (size_t done = 0; done < count; done += DELETE_CHUNK) {
		struct lab_error own;

		if (delete_chunk(run, paths + done, LAB_MIN(count - done, (size_t)DELETE_CHUNK),
			    &own) == 0)
			continue;
		if (result == 0)
			*err = own;
		result = -1;
	}
	return result;
}

static int delete_tree(const struct run *run, const char *path, struct lab_error *err)
{
	struct lab_arena *arena = new_arena(run);
	struct tree tree;
	int result = tree_of(run, path, &tree, arena, err);

	if (result < 0)
		(void)lab_error_wrap(err, "%s", path);
	else
		result = delete_paths(run, tree.paths, tree.count, err);
	lab_arena_free(&arena);
	return result;
}

static int do_delete(const struct run *run, struct lab_error *err)
{
	const struct fs_tool_job *job = run->job;
	struct lab_arena *arena = new_arena(run);
	struct lab_view *paths = lab_arena_array(arena, struct lab_view, job->path_count);
	int result = 0;

	if (!job->recursive) {
		for (size_t i = 0; i < job->path_count; i++)
			paths[i] = lab_view_cstr(job->paths[i]);
		result = delete_paths(run, paths, job->path_count, err);
	}
	for (size_t i = 0; job->recursive && result == 0 && i < job->path_count; i++)
		result = delete_tree(run, job->paths[i], err);
	lab_arena_free(&arena);
	return result;
}

int fs_tool_do(struct fs *fs, struct env *env, const struct fs_tool_job *job,
	struct fs_tool_result *ret, struct lab_error *err)
{
	struct run run = { fs, env, job, ret };

	fs_set_reason(fs, "oboxlab fs");
	switch (job->command) {
	case FS_TOOL_get:
		return do_one(&run, job->paths[0], FS_OPEN_READONLY, do_get, err);
	case FS_TOOL_put:
		return do_one(&run, job->paths[0], FS_OPEN_REPLACE, do_put, err);
	case FS_TOOL_copy:
		return do_copy(&run, err);
	case FS_TOOL_delete:
		return do_delete(&run, err);
	case FS_TOOL_iter:
		return do_iter(&run, 0, err);
	case FS_TOOL_iter_dirs:
		return do_iter(&run, FS_ITER_DIRS, err);
	case FS_TOOL_stat:
		return do_each(&run, do_stat, err);
	case FS_TOOL_metadata:
		return do_each(&run, do_metadata, err);
	case FS_TOOL_gc:
	case FS_TOOL_gc_delete:
	case FS_TOOL_rebuild:
	case FS_TOOL_repair:
	case FS_TOOL_force_resync:
	case FS_TOOL_COMMAND_COUNT:
		break;
	}
	lab_bug("no such command");
}

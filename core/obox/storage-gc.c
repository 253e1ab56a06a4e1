/* SPDX-License-Identifier: Apache-2.0 */
#include "core/obox/storage-gc.h"
#include "core/base/defect.h"

#include "core/obox/hash-runs.h"
#include "core/env/hold.h"

#include <stdlib.h>

#define METADATA_BYTES_MAX (1024 * 1024)
#define HASH_PURPOSE 0x6763

struct storage_gc {
	struct storage_gc_settings settings;
	struct hash_runs *names;
	int64_t began; /* when the rows began to be read */
	struct fs *storage;
	struct storage_gc_result result;
};

static uint64_t hash_of(struct lab_view name)
{
	return lab_hash_view(HASH_PURPOSE, name);
}

static struct lab_view last_part(struct lab_view path)
{
	for (size_t i = path.len; i > 0; i--) {
		if (path.ptr[i - 1] == '/')
			return lab_view_skip(path, i);
	}
	return path;
}

/* ---- rows ---- */

static int add_name(void *ctx, struct lab_view name, struct lab_error *err)
{
	struct storage_gc *gc = ctx;

	gc->result.rows++;
	return hash_runs_add(gc->names, hash_of(last_part(name)), err);
}

int storage_gc_begin(
	const struct storage_gc_settings *settings, struct storage_gc **ret, struct lab_error *err)
{
	struct env *env = settings->env;
	struct storage_gc *gc = lab_new(env->heap, struct storage_gc);

	gc->settings = *settings;
	if (lab_defect(GARBAGE_OF_NOW))
		gc->settings.min_age = 0;
	else if (!settings->is_unsafe)
		gc->settings.min_age = LAB_MAX(settings->min_age, (int64_t)STORAGE_GC_MIN_AGE);
	gc->began = env_wall_seconds(env);
	gc->names = hash_runs_new(env, settings->directory, settings->hashes_in_memory);
	if (settings->rows->each(settings->rows->ctx, add_name, gc, err) == 0) {
		*ret = gc;
		return 0;
	}
	storage_gc_end(&gc);
	return lab_error_wrap(err, "rows");
}

void storage_gc_end(struct storage_gc **gc)
{
	if (*gc == NULL)
		return;
	hash_runs_free(&(*gc)->names);
	lab_heap_free((*gc)->settings.env->heap, *gc);
	*gc = NULL;
}

const struct storage_gc_result *storage_gc_result(const struct storage_gc *gc)
{
	return &gc->result;
}

/* ---- one leak ---- */

static void report(struct storage_gc *gc, const struct fs_walked *item, enum storage_gc_state state)
{
	if (gc->settings.report != NULL)
		gc->settings.report(
			gc->settings.report_ctx, item->path, state, gc->began - item->modified);
}

/* Everything that Dovecot stores says whose it is, and under which name (obox 4.3). */
static int is_ours(struct fs_file *file, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view value;
	int found = fs_get_metadata(file, "username", arena, &value, err);

	return found > 0 ? fs_get_metadata(file, "fname", arena, &value, err) : found;
}

/* The last look: a row may have been written since the rows were read. */
static int delete_leak(struct storage_gc *gc, struct fs_file *file, struct lab_error *err)
{
	struct storage_gc_rows rows = *gc->settings.rows;
	struct lab_error why;
	int result = rows.is_referenced(rows.ctx, last_part(fs_file_path(file)), err);

	if (result < 0)
		return -1;
	if (result == 0)
		ENV_HOLD(gc->settings.env, garbage_found, "");
	if (result > 0 && !lab_defect(GARBAGE_OF_NOW)) {
		gc->result.saved++;
	} else if (fs_delete(file, &why) == 0 || why.code == LAB_NOT_FOUND) {
		gc->result.deleted++;
	} else {
		/* The next run finds it again. */
		gc->result.failed++;
	}
	return 0;
}

static int take_candidate(
	struct storage_gc *gc, const struct fs_walked *item, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(gc->settings.env->heap, METADATA_BYTES_MAX);
	struct fs_file *file = fs_file_open(gc->storage, item->path, FS_OPEN_READONLY);
	struct lab_error own = { .code = LAB_OK };
	int ours = is_ours(file, arena, &own), result = 0;

	if (ours > 0) {
		gc->result.leaks++;
		report(gc, item, STORAGE_GC_LEAK);
		if (gc->settings.do_delete)
			result = delete_leak(gc, file, err);
	} else if (ours == 0) {
		gc->result.foreign++;
		report(gc, item, STORAGE_GC_FOREIGN);
	} else if (own.code != LAB_NOT_FOUND) {
		*err = own;
		result = -1;
	}
	fs_file_close(&file);
	lab_arena_free(&arena);
	return result < 0 ? lab_error_wrap(err, "%.*s", LAB_VIEW_ARG(item->path)) : 0;
}

/* ---- a page of objects ---- */

struct page {
	struct entry {
		uint64_t hash;
		size_t item;
	} * entries;
	uint64_t *hashes;
	bool *found;
};

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

static void sort_page(struct page *page, const struct fs_walked *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		page->entries[i] = (struct entry){ hash_of(last_part(items[i].path)), i };
	qsort(page->entries, count, sizeof(*page->entries), compare_entries);
	for (size_t i = 0; i < count; i++)
		page->hashes[i] = page->entries[i].hash;
}

/* In the order of the hashes, which is no order that anybody sees: what is done to one object does
 * not depend on another's. */
static int take_page(struct storage_gc *gc, const struct page *page, const struct fs_walked *items,
	size_t count, struct lab_error *err)
{
	bool *is_referenced = lab_new_array(gc->settings.env->heap, bool, count);
	int result = 0;

	for (size_t i = 0; i < count; i++)
		is_referenced[page->entries[i].item] = page->found[i];
	gc->result.objects += count;
	for (size_t i = 0; i < count && result == 0; i++) {
		if (is_referenced[i])
			gc->result.referenced++;
		else if (items[i].modified > gc->began - gc->settings.min_age)
			gc->result.young++;
		else
			result = take_candidate(gc, &items[i], err);
	}
	lab_heap_free(gc->settings.env->heap, is_referenced);
	return result;
}

static int on_page(void *ctx, const struct fs_walked *items, size_t count, struct lab_error *err)
{
	struct storage_gc *gc = ctx;
	struct lab_heap *heap = gc->settings.env->heap;
	struct page page = { lab_new_array(heap, struct entry, count),
		lab_new_array(heap, uint64_t, count), lab_new_array(heap, bool, count) };
	int result;

	sort_page(&page, items, count);
	result = hash_runs_find(gc->names, page.hashes, count, page.found, err);
	if (result == 0)
		result = take_page(gc, &page, items, count, err);
	lab_heap_free(heap, page.found);
	lab_heap_free(heap, page.hashes);
	lab_heap_free(heap, page.entries);
	return result;
}

int storage_gc_run(
	struct storage_gc *gc, struct fs *stack, struct lab_view prefix, struct lab_error *err)
{
	gc->storage = fs_storage(stack);
	fs_set_reason(stack, "obox:storage_gc");
	return fs_walk(stack, prefix, on_page, gc, err);
}

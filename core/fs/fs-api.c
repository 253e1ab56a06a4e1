/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-api.c - the part of lib-fs that every driver shares: making a stack from its URI, files and
 * their metadata, counters, and the fs_file_finished event.
 */
#include "core/fs/fs-api-private.h"

#include "core/conf/fs-uri.h"

#define FS_METADATA_KEYS_MAX 64

static const struct fs_driver *const drivers[] = {
	&fs_driver_aws_s3,
	&fs_driver_compress,
	&fs_driver_dictmap,
	&fs_driver_fscache,
	&fs_driver_fts_cache,
	&fs_driver_posix,
	&fs_driver_randomfail,
	&fs_driver_s3,
	&fs_driver_scality,
	&fs_driver_sproxyd,
};

static const char *const op_names[] = {
#define X(name) #name,
	FS_OPS(X)
#undef X
};
_Static_assert(LAB_COUNT_OF(op_names) == FS_OP_COUNT, "one name for each op");

const char *fs_op_name(enum fs_op op)
{
	lab_assert(op < FS_OP_COUNT);
	return op_names[op];
}

static const struct fs_driver *driver_find(struct lab_view name)
{
	for (size_t i = 0; i < LAB_COUNT_OF(drivers); i++) {
		if (lab_view_eq_cstr(name, drivers[i]->name))
			return drivers[i];
	}
	return NULL;
}

static int init_driver(struct lab_view uri, bool outermost, const struct fs_settings *settings,
	struct fs **ret, struct lab_error *err)
{
	struct lab_view name, args;
	const struct fs_driver *driver;
	struct fs *fs;

	fs_uri_split(uri, outermost, &name, &args);
	driver = driver_find(name);
	if (driver == NULL)
		return fs_uri_driver_fail(name, err);
	if (driver->init(driver, args, settings, &fs, err) < 0)
		return lab_error_wrap(err, "%s", driver->name);
	fs->driver = driver;
	fs->settings = *settings;
	*ret = fs;
	return 0;
}

int fs_init(struct lab_view uri, const struct fs_settings *settings, struct fs **ret,
	struct lab_error *err)
{
	return init_driver(uri, true, settings, ret, err);
}

int fs_init_parent(struct lab_view uri, const struct fs_settings *settings, struct fs **ret,
	struct lab_error *err)
{
	return init_driver(uri, false, settings, ret, err);
}

void fs_deinit(struct fs **fs)
{
	if (*fs == NULL)
		return;
	lab_assert((*fs)->open_files == 0);
	(*fs)->driver->deinit(*fs);
	*fs = NULL;
}

uint32_t fs_get_properties(struct fs *fs)
{
	return fs->driver->properties(fs);
}

const char *fs_driver_name(const struct fs *fs)
{
	return fs->driver->name;
}

struct fs *fs_parent(struct fs *fs)
{
	return fs->parent;
}

void fs_set_reason(struct fs *fs, const char *reason)
{
	fs->driver->set_reason(fs, reason);
}

const struct fs_stats *fs_get_stats(const struct fs *fs)
{
	return &fs->stats;
}

/* ---- files and their metadata ---- */

struct fs_file *fs_file_open(struct fs *fs, struct lab_view path, enum fs_open_mode mode)
{
	struct fs_file *file = fs->driver->file_open(fs, path, mode);

	file->fs = fs;
	file->mode = mode;
	if (file->path.ptr == NULL)
		fs_file_set_path(file, path);
	fs->open_files++;
	return file;
}

void fs_file_set_path(struct fs_file *file, struct lab_view path)
{
	struct lab_heap *heap = file->fs->settings.env->heap;
	uint8_t *copy = lab_heap_alloc(heap, path.len + 1);

	if (path.len > 0)
		memcpy(copy, path.ptr, path.len);
	lab_heap_free(heap, (void *)(uintptr_t)file->path.ptr);
	file->path = lab_view_of(copy, path.len);
}

/* One allocation: the key, then the value and a NUL. */
struct fs_metadata_item {
	struct fs_metadata_item *next;
	size_t key_len, len;
	uint8_t bytes[];
};

static void metadata_free(struct fs_file *file)
{
	while (file->metadata != NULL) {
		struct fs_metadata_item *item = file->metadata;

		file->metadata = item->next;
		lab_heap_free(file->fs->settings.env->heap, item);
	}
}

void fs_file_close(struct fs_file **file)
{
	struct fs *fs;

	if (*file == NULL)
		return;
	fs = (*file)->fs;
	fs_file_close(&(*file)->parent);
	metadata_free(*file);
	lab_heap_free(fs->settings.env->heap, (void *)(uintptr_t)(*file)->path.ptr);
	lab_assert(fs->open_files > 0);
	fs->open_files--;
	fs->driver->file_close(*file);
	*file = NULL;
}

struct lab_view fs_file_path(const struct fs_file *file)
{
	return file->path;
}

static struct lab_view key_of(const struct fs_metadata_item *item)
{
	return lab_view_of(item->bytes, item->key_len);
}

static struct lab_view value_of(const struct fs_metadata_item *item)
{
	return lab_view_of(item->bytes + item->key_len, item->len);
}

/* Where the item is, or would be added. A file has few, so they are a list. */
static struct fs_metadata_item **metadata_slot(struct fs_file *file, struct lab_view key)
{
	struct fs_metadata_item **slot = &file->metadata;

	while (*slot != NULL && !lab_view_eq(key_of(*slot), key))
		slot = &(*slot)->next;
	return slot;
}

void fs_file_metadata_store(struct fs_file *file, const char *key, struct lab_view value)
{
	struct lab_heap *heap = file->fs->settings.env->heap;
	struct lab_view name = lab_view_cstr(key);
	struct fs_metadata_item **slot = metadata_slot(file, name), *old = *slot;
	struct fs_metadata_item *item =
		lab_heap_alloc(heap, sizeof(*item) + name.len + value.len + 1);

	lab_assert(old != NULL || file->metadata_count < FS_METADATA_KEYS_MAX);
	item->key_len = name.len;
	item->len = value.len;
	memcpy(item->bytes, name.ptr, name.len);
	if (value.len > 0)
		memcpy(item->bytes + name.len, value.ptr, value.len);
	item->next = old == NULL ? NULL : old->next;
	*slot = item;
	file->metadata_count += old == NULL;
	lab_heap_free(heap, old);
}

struct lab_view fs_file_metadata(const struct fs_file *file, const char *key)
{
	struct lab_view name = lab_view_cstr(key);
	const struct fs_metadata_item *item = file->metadata;

	while (item != NULL && !lab_view_eq(key_of(item), name))
		item = item->next;
	return item == NULL ? (struct lab_view){ NULL, 0 } : value_of(item);
}

bool fs_file_metadata_next(
	const struct fs_metadata_item **item, struct lab_view *ret_key, struct lab_view *ret)
{
	if (*item == NULL)
		return false;
	*ret_key = key_of(*item);
	*ret = value_of(*item);
	*item = (*item)->next;
	return true;
}

void fs_set_metadata(struct fs_file *file, const char *key, struct lab_view value)
{
	file->fs->driver->set_metadata(file, key, value);
}

/* ---- operations: count, call, report ---- */

static int finish(struct fs_file *file, enum fs_op op, int result, const struct lab_error *err)
{
	struct fs *fs = file->fs;

	/* Wrappers would only repeat what the driver at the bottom of the stack says. */
	if (fs->parent != NULL)
		return result;
	ENV_EVENT(fs->settings.env, LAB_EV_fs_file_finished, LAB_F_CSTR("driver", fs->driver->name),
		LAB_F_CSTR("op", op_names[op]), LAB_F_TEXT("path", file->path),
		LAB_F_CODE("code", result < 0 && err != NULL ? err->code : LAB_OK));
	return result;
}

static struct lab_error *own_error(struct lab_error *err, struct lab_error *fallback)
{
	return err != NULL ? err : fallback;
}

int fs_get_metadata(struct fs_file *file, const char *key, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_error own;

	file->fs->stats.count[FS_OP_metadata]++;
	err = own_error(err, &own);
	return finish(file, FS_OP_metadata,
		file->fs->driver->get_metadata(file, key, arena, ret, err), err);
}

static bool is_listed(const struct fs_metadata *items, size_t count, struct lab_view key)
{
	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq(items[i].key, key))
			return true;
	}
	return false;
}

int fs_list_metadata(struct fs_file *file, struct lab_arena *arena, struct fs_metadata **ret_items,
	size_t *ret_count, struct lab_error *err)
{
	struct fs_metadata *items =
		lab_arena_array(arena, struct fs_metadata, FS_METADATA_KEYS_MAX);
	struct lab_view prefix = LAB_VIEW(FS_METADATA_INTERNAL_PREFIX), key, value;
	size_t count = 0;

	/* A key that nobody has makes the driver read all that there are. */
	if (fs_get_metadata(file, "", arena, &value, err) < 0)
		return -1;
	/* What a driver knows itself counts for more than what is below it. */
	for (; file != NULL; file = file->parent) {
		const struct fs_metadata_item *item = file->metadata;

		while (count < FS_METADATA_KEYS_MAX && fs_file_metadata_next(&item, &key, &value)) {
			if (lab_view_starts_with(key, prefix) || is_listed(items, count, key))
				continue;
			items[count].key = lab_arena_copy(arena, key);
			items[count++].value = lab_arena_copy(arena, value);
		}
	}
	*ret_items = items;
	*ret_count = count;
	return 0;
}

int fs_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes, struct lab_view *ret,
	struct lab_error *err)
{
	struct lab_error own;
	int result;

	file->fs->stats.count[FS_OP_read]++;
	err = own_error(err, &own);
	result = file->fs->driver->read(file, arena, max_bytes, ret, err);
	if (result == 0)
		file->fs->stats.read_bytes += ret->len;
	return finish(file, FS_OP_read, result, err);
}

int fs_read_content(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_error own;

	err = own_error(err, &own);
	if (fs_read(file, arena, max_bytes, ret, err) == 0)
		return 0;
	if (err->code == LAB_UNSUPPORTED || (err->code == LAB_CORRUPT && err->retryable))
		err->code = LAB_UNAVAILABLE;
	return -1;
}

int fs_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct lab_error own;

	lab_assert(file->mode != FS_OPEN_READONLY);
	file->fs->stats.count[FS_OP_write]++;
	file->fs->stats.write_bytes += contents.len;
	err = own_error(err, &own);
	return finish(file, FS_OP_write, file->fs->driver->write(file, contents, err), err);
}

int fs_exists(struct fs_file *file, struct lab_error *err)
{
	struct lab_error own;

	file->fs->stats.count[FS_OP_exists]++;
	err = own_error(err, &own);
	return finish(file, FS_OP_exists, file->fs->driver->exists(file, err), err);
}

int fs_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err)
{
	struct lab_error own;

	file->fs->stats.count[FS_OP_stat]++;
	err = own_error(err, &own);
	return finish(file, FS_OP_stat, file->fs->driver->stat(file, ret_size, err), err);
}

int fs_get_nlinks(struct fs_file *file, unsigned *ret, struct lab_error *err)
{
	struct lab_error own;

	file->fs->stats.count[FS_OP_stat]++;
	err = own_error(err, &own);
	return finish(file, FS_OP_stat, file->fs->driver->get_nlinks(file, ret, err), err);
}

int fs_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	struct lab_error own;

	lab_assert(from->fs == to->fs && to->mode != FS_OPEN_READONLY);
	to->fs->stats.count[FS_OP_copy]++;
	err = own_error(err, &own);
	return finish(to, FS_OP_copy, to->fs->driver->copy(from, to, err), err);
}

int fs_rename(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	struct lab_error own;

	lab_assert(from->fs == to->fs);
	to->fs->stats.count[FS_OP_rename]++;
	err = own_error(err, &own);
	return finish(to, FS_OP_rename, to->fs->driver->rename(from, to, err), err);
}

int fs_delete(struct fs_file *file, struct lab_error *err)
{
	struct lab_error own;

	file->fs->stats.count[FS_OP_delete]++;
	err = own_error(err, &own);
	return finish(file, FS_OP_delete, file->fs->driver->delete_file(file, err), err);
}

int fs_delete_many(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err)
{
	struct fs *fs;
	int result;

	if (count == 0)
		return 0;
	fs = files[0]->fs;
	for (size_t i = 0; i < count; i++) {
		lab_assert(files[i]->fs == fs);
		results[i] = (struct lab_error){ .code = LAB_OK };
	}
	fs->stats.count[FS_OP_delete] += count;
	result = fs->driver->delete_many(files, count, results, err);
	for (size_t i = 0; i < count; i++)
		(void)finish(
			files[i], FS_OP_delete, results[i].code == LAB_OK ? 0 : -1, &results[i]);
	return result;
}

int fs_iter(struct fs *fs, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err)
{
	fs->stats.count[FS_OP_iter]++;
	return fs->driver->iter(fs, path, flags, max_entries, arena, ret_names, ret_count, err);
}

struct fs *fs_storage(struct fs *fs)
{
	while (fs->parent != NULL)
		fs = fs->parent;
	return fs;
}

int fs_walk(struct fs *fs, struct lab_view path, fs_walk_fn fn, void *ctx, struct lab_error *err)
{
	fs = fs_storage(fs);
	if (fs->driver->walk == NULL)
		return lab_fail(err, LAB_UNSUPPORTED, "%s: the storage cannot be listed",
			fs_driver_name(fs));
	fs->stats.count[FS_OP_iter]++;
	return fs->driver->walk(fs, path, fn, ctx, err);
}

unsigned fs_objectid_extra(const uint8_t *oid, size_t len)
{
	unsigned mask = FS_OBJECTID_EXTRA_ATTACHMENT | FS_OBJECTID_EXTRA_NO_ATTACHMENT, extra;

	if (len != ENV_GUID128_SIZE + 1 || (oid[ENV_GUID128_SIZE] & FS_OBJECTID_EXTRA_NEW_ID) == 0)
		return 0;
	extra = oid[ENV_GUID128_SIZE] & mask;
	/* Both is neither. */
	return extra == mask ? 0 : extra;
}

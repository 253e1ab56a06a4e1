/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fs/testing/rig.h"
#include "core/base/defect.h"

#include <stdio.h>

#define KEYS_MAX 1000000
#define DICTMAP "shared/dictmap/"
#define DICTREVMAP "shared/dictrevmap/"

struct rig_object {
	uint8_t *data;
	size_t len;
	struct lab_map *metadata; /* name -> NUL-terminated text */
	int64_t modified;         /* unix seconds by the clock of who wrote it */
};

/* A cell: what was written last, and what was deleted last, by timestamp. */
struct rig_row {
	char *value; /* NULL: never written */
	size_t len;
	uint64_t written_us, deleted_us;
};

static const char *const fault_names[] = { "fail", "uncertain, applied", "uncertain, not applied",
	"uncertain, applied late", "crash before", "crash after" };
_Static_assert(LAB_COUNT_OF(fault_names) == RIG_FAULT_COUNT, "one name for each fault");

const char *rig_fault_name(enum rig_fault fault)
{
	return fault_names[fault];
}

static struct lab_heap *heap_of(const struct rig *rig)
{
	return world_heap(rig->world);
}

static char *keep(const struct rig *rig, struct lab_view text)
{
	char *copy = lab_heap_alloc(heap_of(rig), text.len + 1);

	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return copy;
}

/* ---- steps ---- */

static bool counts_here(const struct rig *rig, struct lab_view name)
{
	return rig->only == NULL || lab_view_find(name, lab_view_cstr(rig->only)) != SIZE_MAX;
}

/* The way there: the fault that it meets, or RIG_FAULT_COUNT. */
static enum rig_fault step(struct rig_host *host, struct lab_view name)
{
	struct rig *rig = host->rig;
	bool fails = false;

	env_sleep(host->env, rig->delay_ns / 2);
	if (counts_here(rig, name)) {
		rig->steps++;
		fails = rig->fail_at != 0 &&
			(rig->steps == rig->fail_at ||
				(rig->fail_from_then_on && rig->steps > rig->fail_at));
	}
	if (!fails)
		return RIG_FAULT_COUNT;
	rig->fired = true;
	if (rig->fault == RIG_CRASH_BEFORE)
		world_crash(host->host, FAULT_DISK_KEEP);
	return rig->fault;
}

static int step_failed(
	const struct rig *rig, struct lab_error *err, bool is_change, enum rig_fault fault)
{
	if (is_change && fault != RIG_FAIL)
		return lab_fail(err, LAB_UNCERTAIN, "injected: %s", fault_names[fault]);
	return lab_fail(
		err, rig->refusal == LAB_OK ? LAB_UNAVAILABLE : rig->refusal, "injected: fail");
}

/* The way back, with what was found or done there. */
static void answer(struct rig_host *host)
{
	env_sleep(host->env, host->rig->delay_ns - host->rig->delay_ns / 2);
}

static int read_step(struct rig_host *host, struct lab_view name, struct lab_error *err)
{
	enum rig_fault fault = step(host, name);

	if (fault == RIG_CRASH_AFTER)
		world_crash(host->host, FAULT_DISK_KEEP);
	return fault == RIG_FAULT_COUNT ? 0 : step_failed(host->rig, err, false, fault);
}

/* After a change was applied, or not. */
static int finish_change(struct rig_host *host, enum rig_fault fault, struct lab_error *err)
{
	if (fault == RIG_CRASH_AFTER)
		world_crash(host->host, FAULT_DISK_KEEP);
	answer(host);
	return fault == RIG_FAULT_COUNT ? 0 : step_failed(host->rig, err, true, fault);
}

static bool is_applied(enum rig_fault fault)
{
	return fault == RIG_FAULT_COUNT || fault == RIG_UNCERTAIN_APPLIED ||
	       fault == RIG_CRASH_AFTER;
}

static struct rig_late *add_late(struct rig *rig)
{
	lab_assert(rig->late_count < RIG_LATE_MAX);
	return &rig->late[rig->late_count++];
}

/* ---- the dict ---- */

static struct rig_row *row_slot(struct rig *rig, struct lab_view key)
{
	void **slot = lab_tree_slot(rig->rows, key);

	if (*slot == NULL)
		*slot = lab_new(heap_of(rig), struct rig_row);
	return *slot;
}

static bool is_live(const struct rig_row *row)
{
	return row != NULL && row->value != NULL && row->written_us > row->deleted_us;
}

/* "dictrevmap/u/mailboxes/g/oid" = n is the row "dictrevmap/oid/n" = g. */
static struct lab_view row_key(
	struct rig *rig, struct lab_view key, struct lab_view *value, char *out, size_t size)
{
	struct lab_view rest = lab_view_skip(key, sizeof(DICTREVMAP) - 1), user, word, guid, oid;

	(void)rig;
	if (!lab_view_starts_with(key, LAB_VIEW(DICTREVMAP)))
		return key;
	if (!lab_view_split(&rest, '/', &user) || !lab_view_split(&rest, '/', &word) ||
		!lab_view_eq_cstr(word, "mailboxes") || !lab_view_split(&rest, '/', &guid))
		return key;
	oid = rest;
	snprintf(out, size, DICTREVMAP "%.*s/%.*s", LAB_VIEW_ARG(oid), LAB_VIEW_ARG(*value));
	*value = guid;
	return lab_view_cstr(out);
}

/* Of two values with one timestamp Cassandra keeps the larger; decimal numbers, and names of one
 * length, compare as what they stand for. */
static bool is_superseded(const struct rig_row *row, struct lab_view value, uint64_t timestamp_us)
{
	if (row->value == NULL || row->written_us != timestamp_us)
		return row->value == NULL || row->written_us < timestamp_us;
	if (row->len != value.len)
		return row->len < value.len;
	return value.len > 0 && memcmp(row->value, value.ptr, value.len) < 0;
}

static void write_row(
	struct rig *rig, struct lab_view key, struct lab_view value, uint64_t timestamp_us)
{
	char text[512];
	struct rig_row *row;

	key = row_key(rig, key, &value, text, sizeof(text));
	row = row_slot(rig, key);
	if (!is_superseded(row, value, timestamp_us))
		return;
	lab_heap_free(heap_of(rig), row->value);
	row->value = keep(rig, value);
	row->len = value.len;
	row->written_us = timestamp_us;
}

static void delete_row(struct rig *rig, struct lab_view key, uint64_t timestamp_us)
{
	struct rig_row *row = row_slot(rig, key);

	row->deleted_us = LAB_MAX(row->deleted_us, timestamp_us);
}

static struct rig_dict *dict_of(struct dict *dict)
{
	return (struct rig_dict *)dict;
}

static struct rig_host *host_of(struct dict *dict)
{
	return dict_of(dict)->host;
}

static uint64_t timestamp(struct dict *dict, const struct dict_change_options *options)
{
	struct rig_dict *rig_dict = dict_of(dict);

	if (options->timestamp_us != 0)
		return options->timestamp_us;
	rig_dict->last_us = LAB_MAX(env_wall_us(dict->env), rig_dict->last_us + 1);
	return rig_dict->last_us + options->timestamp_offset_us;
}

/* The maps of buckets and diffs have a second value field, writetime(). */
static void copy_values(const struct rig *rig, struct lab_view key, const struct rig_row *row,
	struct lab_arena *arena, struct dict_values *ret)
{
	*ret = (struct dict_values){ .count = 1 };
	ret->items[0] = lab_arena_copy(arena, lab_view_of(row->value, row->len));
	if ((lab_view_ends_with(key, LAB_VIEW("/max_bucket")) && !rig->has_old_map) ||
		lab_view_starts_with(key, LAB_VIEW("shared/dictdiffmap/"))) {
		ret->count = 2;
		ret->items[1] = lab_view_cstr(lab_arena_printf(arena, "%" PRIu64, row->written_us));
	}
}

static int rig_dict_lookup(struct dict *dict, struct lab_view key, struct lab_arena *arena,
	struct dict_values *ret, struct lab_error *err)
{
	struct rig *rig = dict_of(dict)->host->rig;
	struct rig_row *row;

	rig->counts.lookups++;
	lab_assert(lab_view_starts_with(key, LAB_VIEW("shared/")) &&
		   !lab_view_ends_with(key, LAB_VIEW("/")));
	if (read_step(host_of(dict), key, err) < 0)
		return -1;
	row = lab_tree_get(rig->rows, key);
	if (!is_live(row)) {
		answer(host_of(dict));
		return 0;
	}
	copy_values(rig, key, row, arena, ret);
	answer(host_of(dict));
	return 1;
}

/* The part of `key` behind `path`, if it is one part; of an index row, the folder's GUID. */
static bool listed_part(struct lab_view path, struct lab_view key, struct lab_view *ret)
{
	struct lab_view rest = lab_view_skip(key, path.len);
	size_t slash = lab_view_find_byte(rest, '/');

	if (lab_view_ends_with(path, LAB_VIEW("/mailboxes/"))) {
		*ret = lab_view_sub(rest, 0, slash);
		return lab_view_starts_with(lab_view_skip(rest, ret->len), LAB_VIEW("/idx/"));
	}
	*ret = rest;
	return slash == SIZE_MAX;
}

/* Map 8 is over the table of diff and self bundles, if there is one: if it has rows, here. */
static struct lab_view table_of(
	const struct rig *rig, struct lab_view path, struct lab_arena *arena)
{
	static const char forward[] = "shared/dictmap/";
	struct lab_view diffs = path;

	if (lab_view_starts_with(path, lab_view_cstr(forward)) &&
		lab_view_ends_with(path, LAB_VIEW("/mailboxes/")))
		diffs = lab_view_cstr(lab_arena_printf(arena, "shared/dictdiffmap/%.*s",
			LAB_VIEW_ARG(lab_view_skip(path, sizeof(forward) - 1))));
	return rig_row_count(rig, lab_arena_cstr(arena, diffs)) > 0 ? diffs : path;
}

static int collect_rows(struct rig *rig, struct lab_view path,
	const struct dict_iterate_options *options, struct lab_arena *arena, struct dict_row **ret,
	size_t *ret_count, struct lab_error *err)
{
	struct lab_view table = table_of(rig, path, arena);
	struct lab_tree_iter iter = lab_tree_iterate(rig->rows, table);
	struct dict_row *rows = lab_arena_array(arena, struct dict_row, lab_tree_count(rig->rows));
	struct lab_view key, part;
	void *value;
	size_t n = 0;

	while (lab_tree_next(&iter, &key, &value) && lab_view_starts_with(key, table)) {
		struct rig_row *row = value;

		if (!is_live(row) || !listed_part(table, key, &part) ||
			(options->limit != 0 && n == options->limit))
			continue;
		if (n == options->max_rows)
			return lab_fail(err, LAB_LIMIT, "more than %zu rows", options->max_rows);
		rows[n].key = lab_view_cstr(lab_arena_printf(
			arena, "%.*s%.*s", LAB_VIEW_ARG(path), LAB_VIEW_ARG(part)));
		if (!options->no_value)
			copy_values(rig, key, row, arena, &rows[n].values);
		n++;
	}
	*ret = rows;
	*ret_count = n;
	return 0;
}

static int rig_dict_iterate(struct dict *dict, struct lab_view path,
	const struct dict_iterate_options *options, struct lab_arena *arena,
	struct dict_row **ret_rows, size_t *ret_count, struct lab_error *err)
{
	struct rig *rig = dict_of(dict)->host->rig;
	struct rig_counts *counts = &rig->counts;
	int result;

	counts->iterations++;
	counts->last_limit = options->limit;
	counts->iterating++;
	counts->iterating_max = LAB_MAX(counts->iterating_max, counts->iterating);
	lab_assert(lab_view_ends_with(path, LAB_VIEW("/")));
	result = read_step(host_of(dict), path, err);
	if (result == 0)
		result = collect_rows(rig, path, options, arena, ret_rows, ret_count, err);
	answer(host_of(dict));
	env_sleep(dict->env, rig->listing_ns);
	counts->iterating--;
	return result;
}

static int rig_dict_set(struct dict *dict, struct lab_view key, struct lab_view value,
	const struct dict_change_options *options, struct lab_error *err)
{
	struct rig *rig = dict_of(dict)->host->rig;
	uint64_t written_us = timestamp(dict, options);
	enum rig_fault fault;

	rig->counts.sets++;
	fault = step(host_of(dict), key);
	if (is_applied(fault))
		write_row(rig, key, value, written_us);
	else if (fault == RIG_UNCERTAIN_LATE)
		*add_late(rig) = (struct rig_late){ .key = keep(rig, key),
			.value = lab_view_of(keep(rig, value), value.len),
			.timestamp_us = written_us };
	return finish_change(host_of(dict), fault, err);
}

static int rig_dict_unset(struct dict *dict, struct lab_view key,
	const struct dict_change_options *options, struct lab_error *err)
{
	struct rig *rig = dict_of(dict)->host->rig;
	uint64_t deleted_us = timestamp(dict, options);
	enum rig_fault fault;

	rig->counts.unsets++;
	fault = step(host_of(dict), key);
	if (is_applied(fault))
		delete_row(rig, key, deleted_us);
	else if (fault == RIG_UNCERTAIN_LATE)
		*add_late(rig) = (struct rig_late){
			.key = keep(rig, key), .timestamp_us = deleted_us, .is_removal = true
		};
	return finish_change(host_of(dict), fault, err);
}

/* Changes come alone here, as in 2.3. */
static int rig_dict_commit(struct dict *dict, const struct dict_change *changes, size_t count,
	const struct dict_change_options *options, struct lab_error *err)
{
	lab_assert(count == 1 && changes->kind != DICT_CHANGE_INC);
	return changes->kind == DICT_CHANGE_SET
		       ? rig_dict_set(dict, changes->key, changes->value, options, err)
		       : rig_dict_unset(dict, changes->key, options, err);
}

static void rig_dict_close(struct dict *dict)
{
	(void)dict;
}

static const struct dict_ops rig_dict_ops = { .lookup = rig_dict_lookup,
	.iterate = rig_dict_iterate,
	.commit = rig_dict_commit,
	.close = rig_dict_close };

static struct dict *open_dict(
	void *ctx, struct lab_view socket, struct lab_view name, struct lab_error *err)
{
	struct rig_host *host = ctx;

	(void)socket;
	if (!lab_view_eq_cstr(name, "cassandra")) {
		lab_fail(err, LAB_INVALID, "no dict %.*s", LAB_VIEW_ARG(name));
		return NULL;
	}
	return &host->dict.dict;
}

/* ---- the storage ---- */

static struct rig_host *host_of_file(const struct fs_file *file)
{
	return file->fs->settings.services->ctx;
}

static void free_object(struct rig *rig, struct rig_object *object)
{
	struct lab_map_iter iter = lab_map_iterate(object->metadata);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value))
		lab_heap_free(heap_of(rig), value);
	lab_map_free(&object->metadata);
	lab_heap_free(heap_of(rig), object->data);
	lab_heap_free(heap_of(rig), object);
}

static bool remove_object(struct rig *rig, struct lab_view path)
{
	struct rig_object *object = lab_tree_remove(rig->objects, path);

	if (object != NULL)
		free_object(rig, object);
	return object != NULL;
}

static struct rig_object *put_object(
	struct rig *rig, struct lab_view path, struct lab_view contents)
{
	struct rig_object *object = lab_new(heap_of(rig), struct rig_object);

	remove_object(rig, path);
	object->data = (uint8_t *)keep(rig, contents);
	object->len = contents.len;
	object->metadata = lab_map_new(heap_of(rig), 64);
	object->modified = INT64_MAX;
	*lab_tree_slot(rig->objects, path) = object;
	return object;
}

static uint32_t store_properties(struct fs *fs)
{
	(void)fs;
	return FS_PROPERTY_METADATA | FS_PROPERTY_STAT | FS_PROPERTY_ITER |
	       FS_PROPERTY_RELIABLEITER | FS_PROPERTY_COPY_METADATA;
}

static int store_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct rig_host *host = host_of_file(file);
	const struct fs_metadata_item *item = file->metadata;
	struct rig_object *object;
	struct lab_view key, value;
	enum rig_fault fault;

	host->rig->counts.puts++;
	lab_assert(file->mode == FS_OPEN_REPLACE);
	fault = step(host, file->path);
	if (is_applied(fault)) {
		object = put_object(host->rig, file->path, contents);
		object->modified = env_wall_seconds(host->env);
		while (fs_file_metadata_next(&item, &key, &value)) {
			if (!lab_view_starts_with(key, LAB_VIEW(FS_METADATA_INTERNAL_PREFIX)))
				*lab_map_slot(object->metadata, key) = keep(host->rig, value);
		}
	} else if (fault == RIG_UNCERTAIN_LATE) {
		*add_late(host->rig) = (struct rig_late){ .path = keep(host->rig, file->path),
			.value = lab_view_of(keep(host->rig, contents), contents.len) };
	}
	return finish_change(host, fault, err);
}

static int store_find(struct fs_file *file, struct rig_object **ret, struct lab_error *err)
{
	struct rig_host *host = host_of_file(file);
	struct lab_map_iter iter;
	struct lab_view key;
	void *value;

	if (read_step(host, file->path, err) < 0)
		return -1;
	answer(host);
	*ret = lab_tree_get(host->rig->objects, file->path);
	if (*ret == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "404 %.*s", LAB_VIEW_ARG(file->path));
	iter = lab_map_iterate((*ret)->metadata);
	while (lab_map_next(&iter, &key, &value)) {
		char name[64];

		lab_assert(lab_view_to_cstr(key, name, sizeof(name)) == 0);
		fs_file_metadata_store(file, name, lab_view_cstr(value));
	}
	return 0;
}

static int store_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	struct rig_object *object;

	host_of_file(file)->rig->counts.gets++;
	if (store_find(file, &object, err) < 0)
		return -1;
	if (object->len > max_bytes)
		return lab_fail(err, LAB_LIMIT, "longer than %zu", max_bytes);
	*ret = lab_arena_copy(arena, lab_view_of(object->data, object->len));
	return 0;
}

static int store_get_metadata(struct fs_file *file, const char *key, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_view value = fs_file_metadata(file, key);
	struct rig_object *object;

	if (value.ptr == NULL &&
		!lab_view_starts_with(lab_view_cstr(key), LAB_VIEW(FS_METADATA_INTERNAL_PREFIX))) {
		host_of_file(file)->rig->counts.heads++;
		if (store_find(file, &object, err) < 0)
			return -1;
		value = fs_file_metadata(file, key);
	}
	if (value.ptr == NULL)
		return 0;
	*ret = lab_arena_copy(arena, value);
	return 1;
}

static int store_exists(struct fs_file *file, struct lab_error *err)
{
	struct rig_object *object;

	host_of_file(file)->rig->counts.heads++;
	if (store_find(file, &object, err) == 0)
		return 1;
	return err->code == LAB_NOT_FOUND ? 0 : -1;
}

static int store_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err)
{
	struct rig_object *object;

	host_of_file(file)->rig->counts.heads++;
	if (store_find(file, &object, err) < 0)
		return -1;
	*ret_size = object->len;
	return 0;
}

static int store_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	(void)from, (void)to, (void)err;
	lab_bug("a dictmap never copies in the storage");
}

static int store_delete(struct fs_file *file, struct lab_error *err)
{
	struct rig_host *host = host_of_file(file);
	bool was_there = true;
	enum rig_fault fault;

	host->rig->counts.deletes++;
	fault = step(host, file->path);
	if (is_applied(fault))
		was_there = remove_object(host->rig, file->path);
	else if (fault == RIG_UNCERTAIN_LATE)
		*add_late(host->rig) = (struct rig_late){ .path = keep(host->rig, file->path),
			.is_removal = true };
	if (finish_change(host, fault, err) < 0)
		return -1;
	return was_there ? 0 : lab_fail(err, LAB_NOT_FOUND, "404");
}

/* What is below `path`, up to the next slash: files, or directories, each once. */
static int store_iter(struct fs *fs, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err)
{
	struct rig_host *host = fs->settings.services->ctx;
	struct lab_tree_iter iter = lab_tree_iterate(host->rig->objects, path);
	struct lab_view key, last = LAB_VIEW("");
	bool dirs = (flags & FS_ITER_DIRS) != 0;
	size_t n = 0, room = LAB_MIN(max_entries, (size_t)KEYS_MAX);
	void *object;

	if (read_step(host, path, err) < 0)
		return -1;
	*ret_names = lab_arena_array(arena, struct lab_view, room);
	while (n < room && lab_tree_next(&iter, &key, &object) && lab_view_starts_with(key, path)) {
		struct lab_view name = lab_view_skip(key, path.len);
		size_t slash = lab_view_find_byte(name, '/');

		name.len = LAB_MIN(slash, name.len);
		if ((slash != SIZE_MAX) != dirs || (n > 0 && lab_view_eq(name, last)))
			continue;
		last = lab_arena_copy(arena, name);
		(*ret_names)[n++] = lab_view_cstr(lab_arena_printf(arena, "%s%.*s",
			(flags & FS_ITER_OBJECTIDS) != 0 ? "/" : "", LAB_VIEW_ARG(last)));
	}
	answer(host);
	*ret_count = n;
	return 0;
}

#define WALK_PAGE 3

static int store_walk(
	struct fs *fs, struct lab_view path, fs_walk_fn fn, void *ctx, struct lab_error *err)
{
	struct rig_host *host = fs->settings.services->ctx;
	struct fs_walked items[WALK_PAGE];
	char *last = keep(host->rig, path);
	int result = 0;
	size_t count;

	do {
		struct lab_tree_iter iter =
			lab_tree_iterate(host->rig->objects, lab_view_cstr(last));
		struct lab_view key;
		void *object;

		result = read_step(host, path, err);
		for (count = 0; result == 0 && count < WALK_PAGE &&
				lab_tree_next(&iter, &key, &object) &&
				lab_view_starts_with(key, path);) {
			if (lab_view_eq_cstr(key, last))
				continue;
			items[count].path = lab_view_cstr(keep(host->rig, key));
			items[count++].modified = ((struct rig_object *)object)->modified;
		}
		if (result == 0)
			answer(host);
		if (count > 0) {
			lab_heap_free(heap_of(host->rig), last);
			last = keep(host->rig, items[count - 1].path);
			if (result == 0)
				result = fn(ctx, items, count, err);
		}
		for (size_t i = 0; i < count; i++)
			lab_heap_free(heap_of(host->rig), (void *)(uintptr_t)items[i].path.ptr);
	} while (result == 0 && count == WALK_PAGE);
	lab_heap_free(heap_of(host->rig), last);
	return result;
}

void rig_take_storage(struct fs *fs)
{
	static struct fs_driver storage;

	while (fs->parent != NULL)
		fs = fs->parent;
	storage = fs_driver_posix;
	storage.properties = store_properties;
	storage.write = store_write;
	storage.read = store_read;
	storage.get_metadata = store_get_metadata;
	storage.exists = store_exists;
	storage.stat = store_stat;
	storage.copy = store_copy;
	storage.delete_file = store_delete;
	storage.iter = store_iter;
	storage.walk = store_walk;
	if (fs->driver == &storage)
		return;
	lab_assert(fs->driver == &fs_driver_posix);
	fs->driver = &storage;
}

struct fs *rig_open(struct rig *rig, unsigned host, const char *uri, struct lab_error *err)
{
	struct fs *fs;

	if (fs_init(lab_view_cstr(uri), &rig->hosts[host].settings, &fs, err) < 0)
		return NULL;
	rig_take_storage(fs);
	return fs;
}

/* ---- the rig ---- */

static void event_sink(void *ctx, const struct lab_event *event)
{
	struct rig *rig = ctx;
	struct lab_buf text;

	rig->counts.events[event->id]++;
	if (event->id == LAB_EV_fs_file_finished || event->id == LAB_EV_host_started ||
		event->id == LAB_EV_host_crashed)
		return;
	lab_buf_init(&text, heap_of(rig), sizeof(rig->last_event) - 1);
	lab_event_format(&text, event, NULL);
	memcpy(rig->last_event, lab_buf_cstr(&text), text.len + 1);
	lab_buf_done(&text);
}

static void add_host(struct rig *rig, unsigned i)
{
	static const char *const names[RIG_HOSTS] = { "b1.example.com", "b2.example.com" };
	struct rig_host *host = &rig->hosts[i];

	host->rig = rig;
	host->host = world_host_new(
		rig->world, &(struct world_host_settings){ .name = names[i], .zone = "az1" });
	host->env = world_env(host->host);
	host->dict = (struct rig_dict){ .dict = { &rig_dict_ops, host->env }, .host = host };
	host->services = (struct fs_services){ .dict_open = open_dict, .ctx = host };
	host->settings = (struct fs_settings){ .env = host->env,
		.username = "user@example.com",
		.session_id = "session",
		.temp_dir = "/tmp",
		.root_path = "/home/user",
		.max_parallel_deletes = 8,
		.services = &host->services };
}

struct rig *rig_new(void)
{
	struct lab_pool *pool = lab_pool_new((size_t)1 << 32);
	struct lab_fiber_pool *fibers = lab_fiber_pool_new(64 << 10, 1000, NULL);
	struct world_settings settings = { .seed = 1, .pool = pool, .fibers = fibers };
	struct world *world = world_new(&settings);
	struct rig *rig = lab_new(world_heap(world), struct rig);

	lab_defects_on = LAB_NO_DEFECTS;

	rig->pool = pool;
	rig->fibers = fibers;
	rig->world = world;
	rig->arena = lab_arena_new(world_heap(world), (size_t)1 << 30);
	rig->delay_ns = LAB_MSEC;
	rig->objects = lab_tree_new(heap_of(rig), KEYS_MAX);
	rig->rows = lab_tree_new(heap_of(rig), KEYS_MAX);
	world_add_sink(world, event_sink, rig);
	for (unsigned i = 0; i < RIG_HOSTS; i++)
		add_host(rig, i);
	return rig;
}

void rig_free(struct rig **rig_p)
{
	struct lab_pool *pool = (*rig_p)->pool;
	struct lab_fiber_pool *fibers = (*rig_p)->fibers;
	struct world *world = (*rig_p)->world;

	world_free(&world);
	lab_fiber_pool_free(&fibers);
	lab_pool_free(&pool);
	*rig_p = NULL;
}

struct rig_main {
	struct rig_host *host;
	env_fiber_fn fn;
	void *arg;
};

static void rig_main(void *ctx)
{
	struct rig_main *main = ctx;
	struct lab_heap *heap = main->host->env->heap;
	size_t before = lab_heap_used(heap);

	/* A new process does not know what the last one wrote. */
	main->host->dict.last_us = 0;
	main->host->services.shared = fs_shared_new(main->host->env);
	main->fn(main->arg);
	fs_shared_free(&main->host->services.shared);
	if (lab_heap_used(heap) != before) {
		fprintf(stderr, "%zu bytes of the host are left\n", lab_heap_used(heap) - before);
		lab_bug("a test left memory behind");
	}
}

void rig_run(struct rig *rig, unsigned i, env_fiber_fn fn, void *arg)
{
	struct rig_main main = { &rig->hosts[i], fn, arg };
	struct lab_error err;

	if (world_is_up(main.host->host))
		world_crash(main.host->host, FAULT_DISK_KEEP);
	world_start(main.host->host, rig_main, &main);
	if (world_run_until(rig->world, ENV_FOREVER, NULL, NULL, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		lab_bug("the world stopped");
	}
}

static void nothing(void *arg)
{
	(void)arg;
}

void rig_boot(struct rig *rig, unsigned i)
{
	if (world_is_up(rig->hosts[i].host))
		world_crash(rig->hosts[i].host, FAULT_DISK_KEEP);
	rig->hosts[i].dict.last_us = 0;
	world_start(rig->hosts[i].host, nothing, NULL);
	rig_continue(rig, i, nothing, NULL);
}

void rig_continue(struct rig *rig, unsigned i, env_fiber_fn fn, void *arg)
{
	struct lab_error err;

	if (env_spawn(rig->hosts[i].env, "test", fn, arg, &err) < 0 ||
		world_run_until(rig->world, ENV_FOREVER, NULL, NULL, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		lab_bug("the world stopped");
	}
}

void rig_fail_at(struct rig *rig, unsigned n, enum rig_fault fault)
{
	rig->fail_at = n;
	rig->fault = fault;
	rig->fail_from_then_on = false;
	rig->steps = 0;
	rig->fired = false;
}

void rig_apply_late(struct rig *rig)
{
	for (size_t i = 0; i < rig->late_count; i++) {
		const struct rig_late *late = &rig->late[i];

		if (late->key == NULL && late->is_removal)
			remove_object(rig, lab_view_cstr(late->path));
		else if (late->key == NULL)
			put_object(rig, lab_view_cstr(late->path), late->value);
		else if (late->is_removal)
			delete_row(rig, lab_view_cstr(late->key), late->timestamp_us);
		else
			write_row(rig, lab_view_cstr(late->key), late->value, late->timestamp_us);
	}
	rig->late_count = 0;
}

/* ---- behind the back of everybody ---- */

bool rig_has_object(const struct rig *rig, const char *path)
{
	return lab_tree_get(rig->objects, lab_view_cstr(path)) != NULL;
}

void rig_remove_object(struct rig *rig, const char *path)
{
	lab_assert(remove_object(rig, lab_view_cstr(path)));
}

void rig_remove_metadata(struct rig *rig, const char *key)
{
	struct lab_tree_iter iter = lab_tree_iterate(rig->objects, LAB_VIEW(""));
	struct lab_view path;
	void *object;

	while (lab_tree_next(&iter, &path, &object)) {
		struct rig_object *o = object;
		void *text = lab_map_remove(o->metadata, lab_view_cstr(key));

		lab_heap_free(heap_of(rig), text);
	}
}

void rig_put_object(struct rig *rig, const char *path, const char *contents)
{
	(void)put_object(rig, lab_view_cstr(path), lab_view_cstr(contents));
}

size_t rig_object_count(const struct rig *rig)
{
	return lab_tree_count(rig->objects);
}

struct lab_view rig_object(const struct rig *rig, const char *path)
{
	const struct rig_object *object = lab_tree_get(rig->objects, lab_view_cstr(path));

	return object == NULL ? lab_view_of(NULL, 0) : lab_view_of(object->data, object->len);
}

struct lab_view rig_row(const struct rig *rig, const char *key)
{
	const struct rig_row *row = lab_tree_get(rig->rows, lab_view_cstr(key));

	return is_live(row) ? lab_view_of(row->value, row->len) : lab_view_of(NULL, 0);
}

void rig_set_row(struct rig *rig, const char *key, const char *value)
{
	struct rig_row *row = row_slot(rig, lab_view_cstr(key));

	write_row(rig, lab_view_cstr(key), lab_view_cstr(value),
		LAB_MAX(row->written_us, row->deleted_us) + 1);
}

void rig_remove_row(struct rig *rig, const char *key)
{
	struct rig_row *row = lab_tree_remove(rig->rows, lab_view_cstr(key));

	lab_assert(row != NULL);
	lab_heap_free(heap_of(rig), row->value);
	lab_heap_free(heap_of(rig), row);
}

size_t rig_row_count(const struct rig *rig, const char *prefix)
{
	struct lab_tree_iter iter = lab_tree_iterate(rig->rows, lab_view_cstr(prefix));
	struct lab_view key;
	void *row;
	size_t n = 0;

	while (lab_tree_next(&iter, &key, &row) && lab_view_starts_with(key, lab_view_cstr(prefix)))
		n += is_live(row);
	return n;
}

/* "dictmap/user/mailboxes/guid/bucket/name" */
static bool is_forward(struct lab_view key, struct lab_view *ret_name)
{
	struct lab_view part = { NULL, 0 }, rest = key;
	unsigned parts = 0;

	if (!lab_view_starts_with(key, LAB_VIEW(DICTMAP)))
		return false;
	while (lab_view_split(&rest, '/', &part))
		parts++;
	*ret_name = part;
	return parts == 7 && lab_view_find(key, LAB_VIEW("/idx/")) == SIZE_MAX;
}

static bool is_row_whole(const struct rig *rig, struct lab_view name, const struct rig_row *row,
	const char *prefix, bool has_reverse)
{
	char text[512];

	snprintf(text, sizeof(text), "%s/%s", prefix, row->value);
	if (!rig_has_object(rig, text)) {
		fprintf(stderr, "dangling: %s\n", text);
		return false;
	}
	snprintf(text, sizeof(text), DICTREVMAP "%s/%.*s", row->value, LAB_VIEW_ARG(name));
	if (has_reverse && rig_row(rig, text).ptr == NULL) {
		fprintf(stderr, "no reverse row: %s\n", text);
		return false;
	}
	return true;
}

bool rig_is_consistent(const struct rig *rig, const char *prefix, bool has_reverse)
{
	struct lab_tree_iter iter = lab_tree_iterate(rig->rows, LAB_VIEW(DICTMAP));
	struct lab_view key, name;
	void *row;

	while (lab_tree_next(&iter, &key, &row)) {
		if (is_forward(key, &name) && is_live(row) &&
			!is_row_whole(rig, name, row, prefix, has_reverse))
			return false;
	}
	return true;
}

size_t rig_forward_rows(const struct rig *rig)
{
	struct lab_tree_iter iter = lab_tree_iterate(rig->rows, LAB_VIEW(DICTMAP));
	struct lab_view key, name;
	void *row;
	size_t n = 0;

	while (lab_tree_next(&iter, &key, &row))
		n += is_forward(key, &name) && is_live(row);
	return n;
}

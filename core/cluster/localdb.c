/* SPDX-License-Identifier: Apache-2.0
 *
 * localdb.c - rows and marks of one host, in memory and in a file.
 *
 * The file: the magic, then records: length (of what follows the checksum), CRC-32C of it, kind,
 * time, key, value. The newest record of a key counts; one without a value takes the key away.
 */
#include "core/cluster/localdb.h"
#include "core/base/crc.h"
#include "core/base/defect.h"

static const uint8_t magic[] = { 'L', 'A', 'B', 'L', 'D', 'B', '1', '\n' };
#define RECORD_HEAD 8
#define RECORD_MAX 16384
#define KEY_MAX 4096
#define VALUE_MAX 8192
/* Smaller files are not worth being written anew. */
#define COMPACT_MIN_BYTES 65536

enum kind {
	KIND_USER = 'u',
	KIND_GROUP = 'g',
	KIND_MOVED = 'm',      /* a user in a group's move */
	KIND_MOVED_GROUP = 'M' /* value: where to */
};

struct entry {
	struct entry *older, *newer; /* of rows, or of marks */
	uint64_t wall_us;
	uint8_t *bytes; /* the key, with its kind in front, and then the value */
	uint16_t key_len, value_len;
};

struct list {
	struct entry *oldest, *newest;
};

struct localdb {
	struct env *env;
	struct localdb_settings settings;
	char *path;
	bool is_frozen, is_loading;
	struct lab_map *entries;
	struct list rows, marks;
	struct lab_buf scratch; /* a value, or a record */
	struct env_file *file;
	uint64_t file_bytes, useful_bytes;
};

void localdb_settings_defaults(struct localdb_settings *ret)
{
	*ret = (struct localdb_settings){ .group_ttl_ns = 5 * LAB_SEC,
		.user_ttl_ns = 60 * LAB_SEC,
		.moved_ttl_ns = 60 * LAB_MINUTE,
		.entries_max = 2000000,
		.file_max_bytes = (size_t)1 << 30 };
}

/* ---- entries ---- */

static bool is_mark(const struct entry *entry)
{
	return entry->bytes[0] == KIND_MOVED || entry->bytes[0] == KIND_MOVED_GROUP;
}

static struct lab_view key_of(const struct entry *entry)
{
	return lab_view_of(entry->bytes, entry->key_len);
}

static struct lab_view value_of(const struct entry *entry)
{
	return lab_view_of(entry->bytes + entry->key_len, entry->value_len);
}

static size_t record_bytes(size_t key_len, size_t value_len)
{
	return RECORD_HEAD + 8 + 2 + key_len + value_len;
}

static struct list *list_of(struct localdb *db, const struct entry *entry)
{
	return is_mark(entry) ? &db->marks : &db->rows;
}

static void unlink_entry(struct localdb *db, struct entry *entry)
{
	struct list *list = list_of(db, entry);

	*(entry->older == NULL ? &list->oldest : &entry->older->newer) = entry->newer;
	*(entry->newer == NULL ? &list->newest : &entry->newer->older) = entry->older;
	db->useful_bytes -= record_bytes(entry->key_len, entry->value_len);
}

static void link_entry(struct localdb *db, struct entry *entry)
{
	struct list *list = list_of(db, entry);

	entry->older = list->newest;
	entry->newer = NULL;
	*(list->newest == NULL ? &list->oldest : &list->newest->newer) = entry;
	list->newest = entry;
	db->useful_bytes += record_bytes(entry->key_len, entry->value_len);
}

static void drop_entry(struct localdb *db, struct entry *entry)
{
	unlink_entry(db, entry);
	(void)lab_map_remove(db->entries, key_of(entry));
	lab_heap_free(db->env->heap, entry->bytes);
	lab_heap_free(db->env->heap, entry);
}

static struct entry *find(const struct localdb *db, struct lab_view key)
{
	return lab_map_get(db->entries, key);
}

static uint64_t age_of(const struct localdb *db, const struct entry *entry)
{
	uint64_t now = env_wall_us(db->env);

	/* From the future: nobody knows how old it is. */
	return now < entry->wall_us ? ENV_FOREVER : (now - entry->wall_us) * 1000;
}

/* Room for one more: expired marks go, then the oldest row. */
static int make_room(struct localdb *db, struct lab_error *err)
{
	while (db->marks.oldest != NULL &&
		age_of(db, db->marks.oldest) >= db->settings.moved_ttl_ns)
		drop_entry(db, db->marks.oldest);
	if (lab_map_count(db->entries) < db->settings.entries_max)
		return 0;
	if (db->rows.oldest == NULL)
		return lab_fail(err, LAB_LIMIT, "LocalDB is full of marks of moved users");
	drop_entry(db, db->rows.oldest);
	return 0;
}

static int set_entry(struct localdb *db, struct lab_view key, struct lab_view value,
	uint64_t wall_us, struct lab_error *err)
{
	struct entry *entry = find(db, key);

	if (entry != NULL)
		drop_entry(db, entry);
	if (make_room(db, err) < 0)
		return -1;
	entry = lab_new(db->env->heap, struct entry);
	entry->bytes = lab_heap_alloc(db->env->heap, key.len + value.len);
	memcpy(entry->bytes, key.ptr, key.len);
	if (value.len > 0)
		memcpy(entry->bytes + key.len, value.ptr, value.len);
	entry->key_len = (uint16_t)key.len;
	entry->value_len = (uint16_t)value.len;
	entry->wall_us = wall_us;
	*lab_map_slot(db->entries, key) = entry;
	link_entry(db, entry);
	return 0;
}

/* ---- the file ---- */

static void encode_record(
	struct lab_view key, struct lab_view value, uint64_t wall_us, struct lab_buf *out)
{
	size_t start = out->len;

	lab_buf_append_u32(out, (uint32_t)(record_bytes(key.len, value.len) - RECORD_HEAD));
	lab_buf_append_u32(out, 0);
	lab_buf_append_u64(out, wall_us);
	lab_buf_append_u16(out, (uint16_t)key.len);
	lab_buf_append_view(out, key);
	lab_buf_append_view(out, value);
	if (!out->overflow) {
		uint64_t crc = lab_crc(
			LAB_CRC32C, 0, lab_view_skip(lab_buf_view(out), start + RECORD_HEAD));

		for (size_t i = 0; i < 4; i++)
			out->data[start + 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
	}
}

/* From now on there is no file. */
static void give_up_file(struct localdb *db)
{
	struct lab_error err;

	env_file_close(&db->file);
	if (db->path != NULL)
		(void)env_unlink(db->env, db->path, &err);
	lab_heap_free(db->env->heap, db->path);
	db->path = NULL;
}

static void append(struct localdb *db, struct lab_view bytes)
{
	struct lab_error err;

	if (db->file == NULL)
		return;
	if (db->file_bytes + bytes.len > db->settings.file_max_bytes ||
		env_file_write(db->file, db->file_bytes, bytes, &err) < 0) {
		ENV_EVENT(db->env, LAB_EV_log_message,
			LAB_F_CSTR("message", "cluster: LocalDB lives in memory from now on"));
		give_up_file(db);
		return;
	}
	db->file_bytes += bytes.len;
}

static void append_entry(struct localdb *db, const struct entry *entry)
{
	lab_buf_reset(&db->scratch);
	encode_record(key_of(entry), value_of(entry), entry->wall_us, &db->scratch);
	append(db, lab_buf_view(&db->scratch));
}

static void open_file(struct localdb *db)
{
	struct lab_error err;

	db->file_bytes = 0;
	if (env_file_open(db->env, db->path, ENV_OPEN_TRUNCATE, &db->file, &err) < 0)
		give_up_file(db);
	append(db, lab_view_of(magic, sizeof(magic)));
}

/* Everything, in the order of its age. */
static void write_anew(struct localdb *db)
{
	if (db->path == NULL)
		return;
	env_file_close(&db->file);
	open_file(db);
	for (const struct entry *e = db->rows.oldest; e != NULL && db->file != NULL; e = e->newer)
		append_entry(db, e);
	for (const struct entry *e = db->marks.oldest; e != NULL && db->file != NULL; e = e->newer)
		append_entry(db, e);
}

static bool is_known_kind(uint8_t kind)
{
	return kind == KIND_USER || kind == KIND_GROUP || kind == KIND_MOVED ||
	       kind == KIND_MOVED_GROUP;
}

/* One record. False: damage, or the end. */
static bool load_record(struct localdb *db, struct lab_view *rest)
{
	struct lab_reader reader = { .rest = *rest };
	uint32_t len = lab_read_u32(&reader), crc = lab_read_u32(&reader);
	struct lab_reader body = { .rest = lab_read_view(&reader, len) };
	struct lab_view whole = body.rest;
	uint64_t wall_us = lab_read_u64(&body);
	struct lab_view key = lab_read_view(&body, lab_read_u16(&body));

	if (reader.failed || body.failed || len > RECORD_MAX || key.len < 2 || key.len > KEY_MAX ||
		!is_known_kind(key.ptr[0]) || lab_crc(LAB_CRC32C, 0, whole) != crc)
		return false;
	*rest = reader.rest;
	if (body.rest.len > 0 || key.ptr[0] == KIND_MOVED)
		return set_entry(db, key, body.rest, wall_us, NULL) == 0;
	struct entry *entry = find(db, key);
	if (entry != NULL)
		drop_entry(db, entry);
	return true;
}

static void load(struct localdb *db)
{
	struct lab_arena *arena = lab_arena_new(db->env->heap, db->settings.file_max_bytes + 4096);
	struct lab_view rest;
	struct lab_error err;

	if (env_file_load(db->env, db->path, db->settings.file_max_bytes, arena, &rest, &err) ==
			0 &&
		lab_view_starts_with(rest, lab_view_of(magic, sizeof(magic)))) {
		rest = lab_view_skip(rest, sizeof(magic));
		while (rest.len > 0 && load_record(db, &rest)) {
		}
	}
	lab_arena_free(&arena);
}

struct localdb *localdb_new(struct env *env, const struct localdb_settings *settings)
{
	struct localdb *db = lab_new(env->heap, struct localdb);

	db->env = env;
	db->settings = *settings;
	db->entries = lab_map_new(env->heap, settings->entries_max);
	lab_buf_init(&db->scratch, env->heap, RECORD_HEAD + RECORD_MAX);
	if (settings->path != NULL) {
		db->path = lab_heap_strdup(env->heap, settings->path);
		load(db);
		/* Without the damage and what is of no use. */
		write_anew(db);
	}
	return db;
}

static void drop_list(struct localdb *db, struct list *list)
{
	while (list->oldest != NULL)
		drop_entry(db, list->oldest);
}

void localdb_free(struct localdb **localdb)
{
	struct localdb *db = *localdb;

	if (db == NULL)
		return;
	env_file_close(&db->file);
	drop_list(db, &db->rows);
	drop_list(db, &db->marks);
	lab_map_free(&db->entries);
	lab_buf_done(&db->scratch);
	lab_heap_free(db->env->heap, db->path);
	lab_heap_free(db->env->heap, db);
	*localdb = NULL;
}

size_t localdb_count(const struct localdb *db)
{
	return lab_map_count(db->entries);
}

/* ---- changes ---- */

static int put(
	struct localdb *db, struct lab_view key, struct lab_view value, struct lab_error *err)
{
	if (set_entry(db, key, value, env_wall_us(db->env), err) < 0)
		return -1;
	if (db->file != NULL) {
		append_entry(db, find(db, key));
		if (db->file_bytes > COMPACT_MIN_BYTES && db->file_bytes / 2 > db->useful_bytes)
			write_anew(db);
	}
	return 0;
}

static void take_away(struct localdb *db, struct lab_view key)
{
	struct entry *entry = find(db, key);

	if (entry == NULL)
		return;
	lab_buf_reset(&db->scratch);
	/* A user's mark has no value: it is taken away with its time. */
	encode_record(key, LAB_VIEW(""), 0, &db->scratch);
	append(db, lab_buf_view(&db->scratch));
	drop_entry(db, entry);
}

void localdb_freeze(struct localdb *db, bool frozen)
{
	db->is_frozen = frozen;
}

void localdb_clear(struct localdb *db)
{
	drop_list(db, &db->rows);
	write_anew(db);
}

/* ---- rows ---- */

struct key {
	uint8_t bytes[KEY_MAX];
	size_t len;
};

static struct lab_view key_make(
	struct key *key, enum kind kind, struct lab_view a, struct lab_view b, struct lab_view c)
{
	const struct lab_view parts[] = { a, b, c };

	key->bytes[0] = (uint8_t)kind;
	key->len = 1;
	for (size_t i = 0; i < 3; i++) {
		lab_assert(parts[i].len <= CLUSTER_TEXT_MAX);
		key->bytes[key->len++] = (uint8_t)(parts[i].len >> 8);
		key->bytes[key->len++] = (uint8_t)parts[i].len;
		if (parts[i].len > 0)
			memcpy(key->bytes + key->len, parts[i].ptr, parts[i].len);
		key->len += parts[i].len;
	}
	return lab_view_of(key->bytes, key->len);
}

#define NONE ((struct lab_view){ NULL, 0 })

static struct lab_view user_key(struct key *key, struct lab_view username)
{
	return key_make(key, KIND_USER, username, NONE, NONE);
}

static struct lab_view group_key(struct key *key, const struct cluster_group *row)
{
	return key_make(
		key, KIND_GROUP, lab_view_of(row->site_id.bytes, CLUSTER_ID_SIZE), row->name, NONE);
}

static int get(struct localdb *db, enum cluster_table_id id, struct lab_view key,
	uint64_t max_age_ns, struct lab_arena *arena, void *ret)
{
	const struct cluster_table *table = cluster_table(id);
	const struct entry *entry = find(db, key);
	struct lab_reader reader;
	uint64_t row[64];

	if (entry == NULL || (!db->is_frozen && age_of(db, entry) >= max_age_ns))
		return 0;
	lab_assert(table->row_size <= sizeof(row));
	reader = (struct lab_reader){ .rest = value_of(entry) };
	cluster_row_decode(table, &reader, row);
	/* From a file that says something else under a good checksum. */
	if (reader.failed || reader.rest.len > 0)
		return 0;
	cluster_row_copy(table, row, arena, ret);
	return 1;
}

static void put_row(
	struct localdb *db, enum cluster_table_id id, struct lab_view key, const void *row)
{
	struct lab_buf value;
	struct lab_error err;

	if (db->is_frozen && find(db, key) != NULL)
		return;
	lab_buf_init(&value, db->env->heap, VALUE_MAX);
	cluster_row_encode(cluster_table(id), row, &value);
	/* What is too long for it, or does not fit beside the marks, is asked for again. */
	if (!value.overflow)
		(void)put(db, key, lab_buf_view(&value), &err);
	lab_buf_done(&value);
}

int localdb_get_user(
	struct localdb *db, struct cluster_user *row, uint64_t max_age_ns, struct lab_arena *arena)
{
	struct key key;

	return get(db, CLUSTER_TABLE_USER, user_key(&key, row->username), max_age_ns, arena, row);
}

int localdb_get_group(
	struct localdb *db, struct cluster_group *row, uint64_t max_age_ns, struct lab_arena *arena)
{
	struct key key;

	return get(db, CLUSTER_TABLE_GROUP, group_key(&key, row), max_age_ns, arena, row);
}

void localdb_put_user(struct localdb *db, const struct cluster_user *row)
{
	struct key key;

	put_row(db, CLUSTER_TABLE_USER, user_key(&key, row->username), row);
}

void localdb_put_group(struct localdb *db, const struct cluster_group *row)
{
	struct key key;

	put_row(db, CLUSTER_TABLE_GROUP, group_key(&key, row), row);
}

void localdb_drop_user(struct localdb *db, struct lab_view username)
{
	struct key key;

	if (!db->is_frozen)
		take_away(db, user_key(&key, username));
}

void localdb_drop_group(struct localdb *db, const struct cluster_group *row)
{
	struct key key;

	if (!db->is_frozen)
		take_away(db, group_key(&key, row));
}

void localdb_each(struct localdb *db, enum cluster_table_id id, localdb_row_fn visit, void *ctx)
{
	const struct cluster_table *table = cluster_table(id);
	uint8_t kind = id == CLUSTER_TABLE_USER ? KIND_USER : KIND_GROUP;
	struct entry *next;

	for (struct entry *entry = db->rows.oldest; entry != NULL; entry = next) {
		struct lab_reader reader = { .rest = value_of(entry) };
		uint64_t row[64];

		next = entry->newer;
		if (entry->bytes[0] != kind)
			continue;
		lab_assert(table->row_size <= sizeof(row));
		cluster_row_decode(table, &reader, row);
		if (!reader.failed && reader.rest.len == 0)
			visit(ctx, row, age_of(db, entry));
	}
}

uint64_t localdb_group_ttl(const struct localdb *db)
{
	return db->settings.group_ttl_ns;
}

uint64_t localdb_user_ttl(const struct localdb *db)
{
	return db->settings.user_ttl_ns;
}

/* ---- marks ---- */

/* A mark is of one move of the group. */
static struct lab_view moved_key(
	struct key *key, struct lab_view group, struct lab_view move, struct lab_view username)
{
	return key_make(
		key, KIND_MOVED, group, lab_defect(MARKS_OF_ANY_MOVE) ? NONE : move, username);
}

int localdb_mark_moved(struct localdb *db, struct lab_view group, struct lab_view move,
	struct lab_view username, struct lab_error *err)
{
	struct key key;

	return put(db, moved_key(&key, group, move, username), NONE, err);
}

static const struct entry *find_mark(struct localdb *db, struct lab_view key)
{
	const struct entry *entry = find(db, key);

	return entry != NULL && age_of(db, entry) < db->settings.moved_ttl_ns ? entry : NULL;
}

bool localdb_was_moved(
	struct localdb *db, struct lab_view group, struct lab_view move, struct lab_view username)
{
	struct key key;

	return find_mark(db, moved_key(&key, group, move, username)) != NULL;
}

int localdb_mark_group(
	struct localdb *db, struct lab_view group, struct cluster_id to, struct lab_error *err)
{
	struct key key;

	return put(db, key_make(&key, KIND_MOVED_GROUP, group, NONE, NONE),
		lab_view_of(to.bytes, CLUSTER_ID_SIZE), err);
}

int localdb_group_went(struct localdb *db, struct lab_view group, struct cluster_id *ret)
{
	struct key key;
	const struct entry *entry =
		find_mark(db, key_make(&key, KIND_MOVED_GROUP, group, NONE, NONE));

	if (entry == NULL || entry->value_len != CLUSTER_ID_SIZE)
		return 0;
	memcpy(ret->bytes, value_of(entry).ptr, CLUSTER_ID_SIZE);
	return 1;
}

void localdb_forget_group(struct localdb *db, struct lab_view group)
{
	struct key key;

	take_away(db, key_make(&key, KIND_MOVED_GROUP, group, NONE, NONE));
}

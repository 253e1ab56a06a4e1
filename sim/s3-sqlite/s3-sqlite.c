/* SPDX-License-Identifier: Apache-2.0
 *
 * s3-sqlite.c - the engine: each request a transaction, begun by its first write.
 */
#include "sim/s3-sqlite/s3-sqlite-private.h"

#define ARENA_MAX ((size_t)1 << 30)
#define HEADERS_MAX ((size_t)1 << 20)
#define PARTS_MAX ((size_t)8 << 20)

/* ---- statements ---- */

int s3sqlite_broken(struct s3sqlite *db, int code)
{
	if (db->failed == 0) {
		db->failed = code & 0xff;
		(void)sqlite3_snprintf(sizeof(db->last_failure), db->last_failure, "%s",
			code == SQLITE_NOMEM ? "no room in memory for this body"
					     : sqlite3_errmsg(db->sql));
	}
	return -1;
}

sqlite3_stmt *s3sqlite_use(struct s3sqlite *db, enum s3sqlite_statement statement)
{
	/* What went wrong when it was used before was said then. */
	(void)sqlite3_reset(db->statements[statement]);
	(void)sqlite3_clear_bindings(db->statements[statement]);
	return db->statements[statement];
}

int s3sqlite_step(struct s3sqlite *db, sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);

	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : s3sqlite_broken(db, code);
}

int s3sqlite_finish_statement(struct s3sqlite *db, sqlite3_stmt *statement)
{
	int result = s3sqlite_step(db, statement);

	(void)sqlite3_reset(statement);
	return LAB_MIN(result, 0);
}

/* A request that has failed does nothing more. */
static int begin(struct s3sqlite *db)
{
	if (db->failed != 0)
		return -1;
	if (db->in_transaction)
		return 0;
	if (s3sqlite_finish_statement(db, s3sqlite_use(db, S3SQLITE_BEGIN)) < 0)
		return -1;
	db->in_transaction = true;
	return 0;
}

static int commit(struct s3sqlite *db)
{
	if (db->failed != 0)
		return -1;
	if (!db->in_transaction)
		return 0;
	if (s3sqlite_finish_statement(db, s3sqlite_use(db, S3SQLITE_COMMIT)) < 0)
		return -1;
	db->in_transaction = false;
	db->stats.commits++;
	return 0;
}

static enum s3emu_kept end(struct s3sqlite *db)
{
	int failed;

	(void)commit(db);
	failed = db->failed;
	/* SQLite may have rolled back by itself. */
	if (failed != 0 && !sqlite3_get_autocommit(db->sql))
		(void)sqlite3_step(s3sqlite_use(db, S3SQLITE_ROLLBACK));
	db->in_transaction = false;
	db->failed = 0;
	lab_arena_reset(db->arena);
	if (failed == 0)
		return S3EMU_KEPT;
	db->stats.failures++;
	return failed == SQLITE_FULL || failed == SQLITE_NOMEM ? S3EMU_KEPT_NO_ROOM
							       : S3EMU_KEPT_BROKEN;
}

static enum s3emu_kept engine_finish(void *engine)
{
	return end(engine);
}

/* ---- bodies ---- */

static int64_t chunk_id(uint64_t body, size_t n)
{
	return (int64_t)(body << CHUNK_BITS | n);
}

static int chunks_put(struct s3sqlite *db, struct lab_view bytes, uint64_t *ret_body)
{
	uint64_t body = bytes.len == 0 ? 0 : db->next_body++;
	int result = 0;

	for (size_t n = 0; result == 0 && n * CHUNK_BYTES < bytes.len; n++) {
		sqlite3_stmt *put = s3sqlite_use(db, S3SQLITE_CHUNK_PUT);

		(void)sqlite3_bind_int64(put, 1, chunk_id(body, n));
		sqlite_file_bind(put, 2, lab_view_sub(bytes, n * CHUNK_BYTES, CHUNK_BYTES));
		result = s3sqlite_finish_statement(db, put);
	}
	*ret_body = body;
	return result;
}

static int chunks_remove(struct s3sqlite *db, uint64_t body)
{
	sqlite3_stmt *remove;

	if (body == 0)
		return 0;
	remove = s3sqlite_use(db, S3SQLITE_CHUNKS_REMOVE);
	(void)sqlite3_bind_int64(remove, 1, chunk_id(body, 0));
	(void)sqlite3_bind_int64(remove, 2, chunk_id(body + 1, 0));
	return s3sqlite_finish_statement(db, remove);
}

static int chunks_read(struct s3sqlite *db, uint64_t body, struct s3emu_blob *blob)
{
	sqlite3_stmt *get = s3sqlite_use(db, S3SQLITE_CHUNKS_GET);
	uint64_t at = 0;
	int more;

	(void)sqlite3_bind_int64(get, 1, chunk_id(body, 0));
	(void)sqlite3_bind_int64(get, 2, chunk_id(body + 1, 0));
	while ((more = s3sqlite_step(db, get)) > 0) {
		struct lab_view data = sqlite_file_column(get, 0);

		if (data.len > blob->size - at)
			break;
		memcpy(blob->data + at, data.ptr, data.len);
		at += data.len;
	}
	(void)sqlite3_reset(get);
	return more == 0 && at == blob->size ? 0 : s3sqlite_broken(db, SQLITE_CORRUPT);
}

static struct s3emu_blob *body_load(struct s3sqlite *db, uint64_t body, uint64_t size)
{
	struct s3emu_blob *blob = s3emu_blob_alloc(db->s3, size);

	if (blob == NULL) {
		s3sqlite_broken(db, SQLITE_NOMEM);
		return NULL;
	}
	if (size > 0 && chunks_read(db, body, blob) < 0)
		s3emu_blob_unref(db->s3, blob);
	return db->failed == 0 ? blob : NULL;
}

/* ---- rows ---- */

enum column {
	COLUMN_KEY,
	COLUMN_CREATIONS,
	COLUMN_OVERWRITTEN,
	COLUMN_SIZE,
	COLUMN_BODY,
	COLUMN_BODY_HASH,
	COLUMN_MODIFIED,
	COLUMN_ETAG,
	COLUMN_HEADERS,
	COLUMN_PARTS
};

static int decode_content(struct s3sqlite *db, sqlite3_stmt *row, struct s3emu_content *ret)
{
	struct lab_http_header *headers;
	struct s3emu_part *parts;

	if (s3sqlite_decode_headers(db->arena, sqlite_file_column(row, COLUMN_HEADERS), &headers,
		    &ret->header_count) < 0 ||
		s3sqlite_decode_parts(db->arena, sqlite_file_column(row, COLUMN_PARTS), &parts,
			&ret->part_count) < 0)
		return s3sqlite_broken(db, SQLITE_CORRUPT);
	ret->headers = headers;
	ret->parts = parts;
	return 0;
}

static uint64_t column_u64(sqlite3_stmt *row, int column)
{
	return (uint64_t)sqlite3_column_int64(row, column);
}

static void fill(sqlite3_stmt *row, struct s3emu_object *object)
{
	struct lab_view etag = sqlite_file_column(row, COLUMN_ETAG);

	object->creations = (uint32_t)column_u64(row, COLUMN_CREATIONS);
	object->overwritten = (uint32_t)column_u64(row, COLUMN_OVERWRITTEN);
	object->size = column_u64(row, COLUMN_SIZE);
	object->body_hash = column_u64(row, COLUMN_BODY_HASH);
	object->modified_us = sqlite3_column_int64(row, COLUMN_MODIFIED);
	if (lab_view_to_cstr(etag, object->etag, sizeof(object->etag)) < 0)
		object->etag[0] = '\0';
}

/* NULL: broken. */
static struct s3emu_object *row_read(struct s3sqlite *db, sqlite3_stmt *row, bool with_body)
{
	struct s3emu_blob *blob = NULL;
	struct s3emu_object *object;
	struct s3emu_content content;

	if (decode_content(db, row, &content) < 0)
		return NULL;
	if (with_body && sqlite3_column_type(row, COLUMN_BODY) != SQLITE_NULL) {
		blob = body_load(db, column_u64(row, COLUMN_BODY), column_u64(row, COLUMN_SIZE));
		if (blob == NULL)
			return NULL;
	}
	object = s3emu_object_new(db->s3, blob, sqlite_file_column(row, COLUMN_KEY).len, &content);
	if (object == NULL) {
		if (blob != NULL)
			s3emu_blob_unref(db->s3, blob);
		s3sqlite_broken(db, SQLITE_NOMEM);
		return NULL;
	}
	fill(row, object);
	return object;
}

static sqlite3_stmt *use_key(struct s3sqlite *db, enum s3sqlite_statement statement,
	const struct s3emu_bucket *bucket, enum s3emu_space space, struct lab_view key)
{
	const struct s3sqlite_bucket *known = bucket->engine;
	sqlite3_stmt *prepared = s3sqlite_use(db, statement);

	(void)sqlite3_bind_int64(prepared, 1, known->id);
	(void)sqlite3_bind_int64(prepared, 2, space);
	sqlite_file_bind(prepared, 3, key);
	return prepared;
}

static int engine_get(void *engine, struct s3emu_bucket *bucket, enum s3emu_space space,
	struct lab_view key, struct s3emu_object **ret)
{
	struct s3sqlite *db = engine;
	sqlite3_stmt *get = use_key(db, S3SQLITE_GET, bucket, space, key);
	struct s3emu_object *object = NULL;

	if (db->failed == 0 && s3sqlite_step(db, get) > 0)
		object = row_read(db, get, true);
	(void)sqlite3_reset(get);
	*ret = object;
	return object != NULL;
}

static int engine_next(void *engine, struct s3emu_bucket *bucket, enum s3emu_space space,
	struct lab_view from, bool after, struct lab_view *ret_key, struct s3emu_object **ret)
{
	struct s3sqlite *db = engine;
	sqlite3_stmt *next =
		use_key(db, after ? S3SQLITE_NEXT_AFTER : S3SQLITE_NEXT, bucket, space, from);
	struct s3emu_object *object = NULL;

	if (db->failed == 0 && s3sqlite_step(db, next) > 0)
		object = row_read(db, next, false);
	if (object != NULL)
		*ret_key = lab_arena_copy(db->arena, sqlite_file_column(next, COLUMN_KEY));
	(void)sqlite3_reset(next);
	*ret = object;
	return object != NULL;
}

/* ---- writes ---- */

/* What is there before a write. */
struct found {
	bool is_there, is_deleted;
	uint32_t creations, overwritten;
	uint64_t size, body;
};

static int find(struct s3sqlite *db, struct s3emu_bucket *bucket, enum s3emu_space space,
	struct lab_view key, struct found *ret)
{
	sqlite3_stmt *row = use_key(db, S3SQLITE_FIND, bucket, space, key);
	int found = s3sqlite_step(db, row);

	*ret = (struct found){ .is_there = found > 0 };
	if (found > 0) {
		ret->is_deleted = sqlite3_column_int(row, 0) != 0;
		ret->creations = (uint32_t)column_u64(row, 1);
		ret->overwritten = (uint32_t)column_u64(row, 2);
		ret->size = column_u64(row, 3);
		ret->body = column_u64(row, 4);
	}
	(void)sqlite3_reset(row);
	return LAB_MIN(found, 0);
}

static int row_write(struct s3sqlite *db, struct s3emu_bucket *bucket, enum s3emu_space space,
	struct lab_view key, const struct s3emu_object *object, uint64_t body)
{
	sqlite3_stmt *put = use_key(db, S3SQLITE_PUT, bucket, space, key);

	s3sqlite_encode_headers(&db->headers, object);
	s3sqlite_encode_parts(&db->parts, object);
	if (db->headers.overflow || db->parts.overflow)
		return s3sqlite_broken(db, SQLITE_TOOBIG);
	(void)sqlite3_bind_int64(put, 4, object->deleted);
	(void)sqlite3_bind_int64(put, 5, object->creations);
	(void)sqlite3_bind_int64(put, 6, object->overwritten);
	(void)sqlite3_bind_int64(put, 7, (int64_t)object->size);
	if (object->blob != NULL)
		(void)sqlite3_bind_int64(put, 8, (int64_t)body);
	(void)sqlite3_bind_int64(put, 9, (int64_t)object->body_hash);
	(void)sqlite3_bind_int64(put, 10, object->modified_us);
	sqlite_file_bind(put, 11, lab_view_cstr(object->etag));
	sqlite_file_bind(put, 12, lab_buf_view(&db->headers));
	sqlite_file_bind(put, 13, lab_buf_view(&db->parts));
	return s3sqlite_finish_statement(db, put);
}

static void account_put(struct s3sqlite *db, struct s3emu_bucket *bucket, enum s3emu_space space,
	uint64_t size, const struct found *old)
{
	struct s3sqlite_bucket *known = bucket->engine;

	s3emu_store_come(db->s3, space, size);
	if (old->is_there && !old->is_deleted) {
		s3emu_store_gone(db->s3, space, old->size);
	} else if (old->is_there) {
		db->s3->remembered--;
		known->remembered--;
	}
}

static int engine_put(void *engine, struct s3emu_bucket *bucket, enum s3emu_space space,
	struct lab_view key, struct s3emu_object *object)
{
	struct s3sqlite *db = engine;
	struct found old;
	bool existed;
	uint64_t body;

	if (begin(db) < 0 || find(db, bucket, space, key, &old) < 0)
		return -1;
	if (!old.is_there && s3emu_store_is_full(db->s3))
		return -1;
	existed = old.is_there && !old.is_deleted;
	object->creations = old.is_there ? old.creations + (existed ? 0 : 1) : 1;
	object->overwritten = old.is_there ? old.overwritten + (existed ? 1 : 0) : 0;
	if (chunks_put(db, s3emu_object_body(object), &body) < 0 ||
		row_write(db, bucket, space, key, object, body) < 0 ||
		chunks_remove(db, old.body) < 0)
		return -1;
	account_put(db, bucket, space, object->size, &old);
	s3emu_object_unref(db->s3, object);
	return existed ? 1 : 0;
}

/* A stone that keeps the counts, as in memory. */
static int write_stone(struct s3sqlite *db, struct s3emu_bucket *bucket, struct lab_view key,
	const struct found *old)
{
	struct s3sqlite_bucket *known = bucket->engine;
	struct s3emu_object stone = {
		.deleted = true, .creations = old->creations, .overwritten = old->overwritten
	};

	if (row_write(db, bucket, S3EMU_SPACE_OBJECTS, key, &stone, 0) < 0)
		return -1;
	db->s3->remembered++;
	known->remembered++;
	return 0;
}

static int engine_remove(
	void *engine, struct s3emu_bucket *bucket, enum s3emu_space space, struct lab_view key)
{
	struct s3sqlite *db = engine;
	struct found old;
	int result;

	if (db->failed != 0 || find(db, bucket, space, key, &old) < 0)
		return 0;
	if (!old.is_there || old.is_deleted || begin(db) < 0 || chunks_remove(db, old.body) < 0)
		return 0;
	if (space == S3EMU_SPACE_OBJECTS && db->s3->options.remember_deleted)
		result = write_stone(db, bucket, key, &old);
	else
		result = s3sqlite_finish_statement(
			db, use_key(db, S3SQLITE_REMOVE, bucket, space, key));
	if (result < 0)
		return 0;
	s3emu_store_gone(db->s3, space, old.size);
	return 1;
}

/* ---- buckets ---- */

static void account_bucket(struct s3sqlite *db, struct s3sqlite_bucket *known, sqlite3_stmt *row)
{
	enum s3emu_space space = (enum s3emu_space)sqlite3_column_int(row, 0);
	uint64_t count = column_u64(row, 2);

	if (sqlite3_column_int(row, 1) != 0) {
		db->s3->remembered += count;
		known->remembered += count;
	} else {
		s3emu_store_restored(db->s3, space, count, column_u64(row, 3));
	}
}

/* What it holds already. */
static int count_bucket(struct s3sqlite *db, struct s3sqlite_bucket *known)
{
	sqlite3_stmt *totals = s3sqlite_use(db, S3SQLITE_TOTALS);
	int more;

	(void)sqlite3_bind_int64(totals, 1, known->id);
	while ((more = s3sqlite_step(db, totals)) > 0)
		account_bucket(db, known, totals);
	(void)sqlite3_reset(totals);
	return more;
}

static int bucket_row(struct s3sqlite *db, struct s3emu_bucket *bucket, int64_t *ret_id)
{
	sqlite3_stmt *row = s3sqlite_use(db, S3SQLITE_BUCKET_OPEN);

	sqlite_file_bind(row, 1, bucket->name);
	sqlite_file_bind(row, 2, bucket->owner);
	(void)sqlite3_bind_int64(row, 3, bucket->created_us);
	if (s3sqlite_step(db, row) <= 0) {
		(void)sqlite3_reset(row);
		return s3sqlite_broken(db, SQLITE_CORRUPT);
	}
	*ret_id = sqlite3_column_int64(row, 0);
	bucket->created_us = sqlite3_column_int64(row, 1);
	return s3sqlite_finish_statement(db, row);
}

/* A bucket is a transaction of its own, so that what the emulator believes is what is stored. */
static int engine_open(void *engine, struct s3emu_bucket *bucket)
{
	struct s3sqlite *db = engine;
	struct s3sqlite_bucket known = { 0 };

	if (begin(db) < 0 || bucket_row(db, bucket, &known.id) < 0 || commit(db) < 0 ||
		count_bucket(db, &known) < 0)
		return -1;
	bucket->engine = lab_new(db->heap, struct s3sqlite_bucket);
	*(struct s3sqlite_bucket *)bucket->engine = known;
	return 0;
}

static int remove_entries(struct s3sqlite *db, const struct s3sqlite_bucket *known)
{
	sqlite3_stmt *bodies = s3sqlite_use(db, S3SQLITE_BODIES), *empty;
	int more;

	(void)sqlite3_bind_int64(bodies, 1, known->id);
	while ((more = s3sqlite_step(db, bodies)) > 0) {
		if (chunks_remove(db, column_u64(bodies, 0)) < 0)
			break;
	}
	(void)sqlite3_reset(bodies);
	if (more != 0)
		return -1;
	empty = s3sqlite_use(db, S3SQLITE_EMPTY);
	(void)sqlite3_bind_int64(empty, 1, known->id);
	return s3sqlite_finish_statement(db, empty);
}

/* The totals of a bucket, taken off those of the emulator. */
static int forget_bucket(struct s3sqlite *db, struct s3sqlite_bucket *known)
{
	sqlite3_stmt *totals = s3sqlite_use(db, S3SQLITE_TOTALS);
	int more;

	(void)sqlite3_bind_int64(totals, 1, known->id);
	while ((more = s3sqlite_step(db, totals)) > 0) {
		if (sqlite3_column_int(totals, 1) == 0)
			s3emu_store_forgot(db->s3, (enum s3emu_space)sqlite3_column_int(totals, 0),
				column_u64(totals, 2), column_u64(totals, 3));
	}
	(void)sqlite3_reset(totals);
	return more;
}

static int empty_bucket(struct s3sqlite *db, struct s3sqlite_bucket *known, bool and_drop)
{
	sqlite3_stmt *drop;

	if (begin(db) < 0 || remove_entries(db, known) < 0)
		return -1;
	if (and_drop) {
		drop = s3sqlite_use(db, S3SQLITE_BUCKET_CLOSE);
		(void)sqlite3_bind_int64(drop, 1, known->id);
		if (s3sqlite_finish_statement(db, drop) < 0)
			return -1;
	}
	return commit(db);
}

static int engine_empty(void *engine, struct s3emu_bucket *bucket)
{
	struct s3sqlite *db = engine;
	struct s3sqlite_bucket *known = bucket->engine;
	struct s3emu_totals totals = s3emu_totals_get(db->s3);

	if (forget_bucket(db, known) < 0 || empty_bucket(db, known, false) < 0) {
		s3emu_totals_set(db->s3, &totals);
		return -1;
	}
	db->s3->remembered -= known->remembered;
	known->remembered = 0;
	return 0;
}

static int engine_close(void *engine, struct s3emu_bucket *bucket)
{
	struct s3sqlite *db = engine;
	struct s3sqlite_bucket *known = bucket->engine;
	struct s3emu_totals totals = s3emu_totals_get(db->s3);

	if (forget_bucket(db, known) < 0 || empty_bucket(db, known, true) < 0) {
		s3emu_totals_set(db->s3, &totals);
		return -1;
	}
	db->s3->remembered -= known->remembered;
	lab_heap_free(db->heap, known);
	bucket->engine = NULL;
	return 0;
}

static int engine_next_bucket(void *engine, struct lab_view previous, struct lab_view *ret_name,
	struct lab_view *ret_owner)
{
	struct s3sqlite *db = engine;
	sqlite3_stmt *row = s3sqlite_use(db, S3SQLITE_BUCKET_NEXT);
	int found;

	sqlite_file_bind(row, 1, previous);
	found = s3sqlite_step(db, row);
	if (found > 0) {
		*ret_name = lab_arena_copy(db->arena, sqlite_file_column(row, 0));
		*ret_owner = lab_arena_copy(db->arena, sqlite_file_column(row, 1));
	}
	(void)sqlite3_reset(row);
	return found;
}

static void engine_attach(void *engine, struct s3emu *s3)
{
	struct s3sqlite *db = engine;

	db->s3 = s3;
}

const struct s3emu_engine_ops s3sqlite_ops = {
	.attach = engine_attach,
	.open = engine_open,
	.close = engine_close,
	.empty = engine_empty,
	.next_bucket = engine_next_bucket,
	.get = engine_get,
	.next = engine_next,
	.put = engine_put,
	.remove = engine_remove,
	.finish = engine_finish,
};

/* ---- keys ---- */

void s3sqlite_credentials_keep(struct s3sqlite *db, const struct sim_credentials *credentials)
{
	sqlite3_stmt *put;

	if (credentials->token.len == 0 || credentials->expires_unix == 0 || begin(db) < 0)
		return;
	put = s3sqlite_use(db, S3SQLITE_KEY_PUT);
	sqlite_file_bind(put, 1, credentials->access_key_id);
	sqlite_file_bind(put, 2, credentials->account);
	sqlite_file_bind(put, 3, credentials->secret_access_key);
	sqlite_file_bind(put, 4, credentials->token);
	(void)sqlite3_bind_int64(put, 5, credentials->expires_unix);
	(void)s3sqlite_finish_statement(db, put);
	(void)sqlite3_clear_bindings(put);
	(void)end(db);
}

static int give_keys(struct s3sqlite *db, struct s3emu *s3, struct lab_error *err)
{
	sqlite3_stmt *row = s3sqlite_use(db, S3SQLITE_KEYS);
	int more, result = 0;

	while (result == 0 && (more = s3sqlite_step(db, row)) > 0) {
		struct sim_credentials credentials = { .access_key_id = sqlite_file_column(row, 0),
			.account = sqlite_file_column(row, 1),
			.secret_access_key = sqlite_file_column(row, 2),
			.token = sqlite_file_column(row, 3),
			.expires_unix = sqlite3_column_int64(row, 4) };

		result = s3emu_credentials_add(s3, &credentials, err);
	}
	(void)sqlite3_reset(row);
	return result;
}

int s3sqlite_credentials_restore(
	struct s3sqlite *db, struct s3emu *s3, int64_t now_unix, struct lab_error *err)
{
	sqlite3_stmt *expire;
	int result = begin(db);

	if (result == 0) {
		expire = s3sqlite_use(db, S3SQLITE_KEYS_EXPIRE);
		(void)sqlite3_bind_int64(expire, 1, now_unix);
		(void)s3sqlite_finish_statement(db, expire);
	}
	if (end(db) != S3EMU_KEPT)
		return lab_fail(err, LAB_IO, "keys cannot be read: %s", db->last_failure);
	result = give_keys(db, s3, err);
	if (end(db) != S3EMU_KEPT)
		return lab_fail(err, LAB_IO, "keys cannot be read: %s", db->last_failure);
	return result;
}

/* ---- the file ---- */

int s3sqlite_open(struct lab_heap *heap, const struct s3sqlite_settings *settings,
	struct s3sqlite **ret, struct lab_error *err)
{
	struct s3sqlite *db = lab_new(heap, struct s3sqlite);

	db->heap = heap;
	db->arena = lab_arena_new(heap, ARENA_MAX);
	db->stats.last_failure = db->last_failure;
	lab_buf_init(&db->headers, heap, HEADERS_MAX);
	lab_buf_init(&db->parts, heap, PARTS_MAX);
	if (s3sqlite_setup(db, settings, err) < 0) {
		s3sqlite_close(&db);
		return -1;
	}
	*ret = db;
	return 0;
}

void s3sqlite_close(struct s3sqlite **db_p)
{
	struct s3sqlite *db = *db_p;

	if (db == NULL)
		return;
	*db_p = NULL;
	for (size_t i = 0; i < S3SQLITE_STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(db->statements[i]);
	lab_assert(sqlite3_close(db->sql) == SQLITE_OK);
	lab_buf_done(&db->headers);
	lab_buf_done(&db->parts);
	lab_arena_free(&db->arena);
	lab_heap_free(db->heap, db);
}

void s3sqlite_stats(const struct s3sqlite *db, struct s3sqlite_stats *ret)
{
	*ret = db->stats;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * bulk-delete.c - POST ?delete: up to 1,000 keys, each of which can fail on its own (s3 1.5).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define FIRST_KEYS 8

struct item {
	struct lab_view key, version, etag;
	bool has_key, unsupported;
	enum s3emu_error_id error; /* if failed */
	const char *fault_code;    /* injected */
	bool failed;
};

struct bulk {
	struct s3emu_exchange *x;
	struct item *items;
	size_t count, capacity;
	bool quiet, has_root;
};

/* ---- the body ---- */

/* Most requests have a few keys. */
static void grow(struct bulk *bulk)
{
	struct item *items;

	bulk->capacity = LAB_MIN(LAB_MAX(2 * bulk->capacity, FIRST_KEYS), S3EMU_BULK_KEYS_MAX);
	items = lab_arena_array(bulk->x->arena, struct item, bulk->capacity);
	if (bulk->count > 0)
		memcpy(items, bulk->items, bulk->count * sizeof(*items));
	bulk->items = items;
}

static int open_object(struct bulk *bulk)
{
	if (bulk->count == S3EMU_BULK_KEYS_MAX)
		return -1;
	if (bulk->count == bulk->capacity)
		grow(bulk);
	bulk->count++;
	return 0;
}

static int on_open(void *ctx, const char *path)
{
	static const char *const known[] = { "Delete/Quiet", "Delete/Object/Key",
		"Delete/Object/VersionId", "Delete/Object/ETag", "Delete/Object/LastModifiedTime",
		"Delete/Object/Size" };
	struct bulk *bulk = ctx;
	size_t i;

	if (strcmp(path, "Delete") == 0) {
		bulk->has_root = true;
		return 0;
	}
	if (strcmp(path, "Delete/Object") == 0)
		return open_object(bulk);
	for (i = 0; i < LAB_COUNT_OF(known); i++) {
		if (strcmp(path, known[i]) == 0)
			return 0;
	}
	return -1;
}

static int close_quiet(struct bulk *bulk, struct lab_view text)
{
	text = lab_view_trim(text);
	bulk->quiet = lab_view_eq_cstr(text, "true");
	return bulk->quiet || lab_view_eq_cstr(text, "false") ? 0 : -1;
}

static int close_key(struct bulk *bulk, struct item *item, struct lab_view text)
{
	if (item->has_key)
		return -1;
	item->has_key = true;
	item->key = lab_arena_copy(bulk->x->arena, text);
	return 0;
}

static int on_close(void *ctx, const char *path, struct lab_view text)
{
	struct bulk *bulk = ctx;
	struct item *item = bulk->count > 0 ? &bulk->items[bulk->count - 1] : NULL;

	if (strcmp(path, "Delete/Quiet") == 0)
		return close_quiet(bulk, text);
	if (strcmp(path, "Delete/Object") == 0)
		return item->has_key ? 0 : -1;
	if (strcmp(path, "Delete/Object/Key") == 0)
		return close_key(bulk, item, text);
	if (strcmp(path, "Delete/Object/VersionId") == 0)
		item->version = lab_arena_copy(bulk->x->arena, lab_view_trim(text));
	else if (strcmp(path, "Delete/Object/ETag") == 0)
		item->etag = lab_arena_copy(bulk->x->arena, lab_view_trim(text));
	else if (strcmp(path, "Delete") != 0)
		item->unsupported = true; /* conditions of directory buckets */
	return 0;
}

static int parse(struct bulk *bulk)
{
	struct s3emu_xml_handler handler = { on_open, on_close, bulk };

	if (bulk->x->body.len == 0)
		return s3emu_fail(bulk->x, S3EMU_MISSING_REQUEST_BODY);
	if (s3emu_xml_parse(bulk->x, bulk->x->body, &handler) < 0)
		return -1;
	if (!bulk->has_root || bulk->count == 0)
		return s3emu_fail(bulk->x, S3EMU_MALFORMED_XML);
	return 0;
}

/* ---- each key ---- */

static void fail_item(struct item *item, enum s3emu_error_id error)
{
	item->failed = true;
	item->error = error;
}

static void check_etag(struct s3emu_exchange *x, struct item *item)
{
	struct s3emu_object *object;
	struct lab_view etag, bare;

	if (s3emu_store_get(x->s3, x->bucket, item->key, &object) == 0) {
		fail_item(item, S3EMU_NO_SUCH_KEY);
		return;
	}
	etag = s3emu_object_etag(object);
	bare = lab_view_sub(etag, 1, etag.len - 2);
	if (!lab_view_eq(item->etag, etag) && !lab_view_eq(item->etag, bare) &&
		!lab_view_eq_cstr(item->etag, "*"))
		fail_item(item, S3EMU_PRECONDITION_FAILED);
	s3emu_object_unref(x->s3, object);
}

static void check_item(struct s3emu_exchange *x, struct item *item)
{
	if (item->key.len == 0)
		fail_item(item, S3EMU_USER_KEY_MUST_BE_SPECIFIED);
	else if (item->key.len > S3EMU_KEY_MAX)
		fail_item(item, S3EMU_KEY_TOO_LONG);
	else if (item->version.len > 0 && !lab_view_eq_cstr(item->version, "null"))
		fail_item(item, S3EMU_NO_SUCH_VERSION);
	else if (item->unsupported)
		fail_item(item, S3EMU_NOT_IMPLEMENTED);
	else if (item->etag.len > 0)
		check_etag(x, item);
}

/* A fault lets the first `replicas` keys pass and no other. */
static void inject(struct s3emu_exchange *x, struct item *item, size_t index)
{
	if (x->fault.kind != SIM_FAULT_PARTLY || index < x->fault.replicas)
		return;
	item->failed = true;
	item->error = S3EMU_INTERNAL_ERROR;
	item->fault_code = x->fault.code;
}

static int charge(struct bulk *bulk)
{
	struct s3emu_exchange *x = bulk->x;
	struct lab_view *keys = lab_arena_array(x->arena, struct lab_view, bulk->count);
	bool *refused = lab_arena_array(x->arena, bool, bulk->count);
	size_t i;

	for (i = 0; i < bulk->count; i++)
		keys[i] = bulk->items[i].key;
	if (s3emu_rate_take_bulk(x->bucket, keys, bulk->count, x->now_ns, refused) < 0) {
		x->s3->counters.throttled++;
		return s3emu_fail(x, S3EMU_SLOW_DOWN);
	}
	for (i = 0; i < bulk->count; i++) {
		if (!refused[i])
			continue;
		x->s3->counters.throttled++;
		fail_item(&bulk->items[i], S3EMU_SLOW_DOWN);
	}
	return 0;
}

static void delete_all(struct bulk *bulk)
{
	struct s3emu_exchange *x = bulk->x;
	size_t i;

	x->keys = lab_arena_array(x->arena, struct lab_view, bulk->count);
	for (i = 0; i < bulk->count; i++) {
		struct item *item = &bulk->items[i];

		if (!item->failed)
			check_item(x, item);
		if (!item->failed)
			inject(x, item, i);
		if (item->failed)
			continue;
		(void)s3emu_store_remove(x->s3, x->bucket, item->key);
		x->keys[x->key_count++] = item->key;
		x->applied = true;
	}
}

/* ---- the answer ---- */

static void append_failed(struct s3emu_exchange *x, const struct item *item)
{
	const char *code =
		item->fault_code != NULL ? item->fault_code : s3emu_error_code(item->error);
	const char *message = s3emu_error_message_of(code);

	lab_buf_append_cstr(&x->xml, "<Error>");
	s3emu_xml_text(x, "Key", item->key);
	if (item->version.len > 0)
		s3emu_xml_text(x, "VersionId", item->version);
	s3emu_xml_text(x, "Code", lab_view_cstr(code));
	s3emu_xml_text(x, "Message", lab_view_cstr(message != NULL ? message : code));
	lab_buf_append_cstr(&x->xml, "</Error>");
}

static void append_deleted(struct s3emu_exchange *x, const struct item *item)
{
	lab_buf_append_cstr(&x->xml, "<Deleted>");
	s3emu_xml_text(x, "Key", item->key);
	if (item->version.len > 0)
		s3emu_xml_text(x, "VersionId", item->version);
	lab_buf_append_cstr(&x->xml, "</Deleted>");
}

static int answer(struct bulk *bulk)
{
	struct s3emu_exchange *x = bulk->x;
	size_t i;

	s3emu_xml_begin(x, "DeleteResult");
	for (i = 0; i < bulk->count; i++) {
		if (bulk->items[i].failed)
			append_failed(x, &bulk->items[i]);
		else if (!bulk->quiet)
			append_deleted(x, &bulk->items[i]);
	}
	return s3emu_xml_end(x, "DeleteResult");
}

int s3emu_bulk_delete(struct s3emu_exchange *x)
{
	struct bulk bulk = { .x = x };
	struct s3emu_checksum checksum;
	uint8_t md5[16];

	if (s3emu_body_check(x, false, md5, &checksum) < 0)
		return -1;
	if (s3emu_request_header(x, "Content-MD5").ptr == NULL && checksum.name == NULL) {
		return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
			"Missing required header for this request: Content-MD5 OR "
			"x-amz-checksum-*");
	}
	if (parse(&bulk) < 0 || charge(&bulk) < 0 || s3emu_commit(x) < 0)
		return -1;
	delete_all(&bulk);
	return answer(&bulk);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/aws/s3-xml.h"

#include "core/base/calendar.h"

#include <expat.h>

#define PATH_MAX_BYTES 256

/* ---- walking a document ---- */

struct walk;
/* Called at the end of each element; `path` is "ListBucketResult/Contents/Key". 0, or -1 to stop.
 */
typedef int (*walk_fn)(struct walk *walk, const char *path, struct lab_view text);

struct walk {
	XML_Parser parser;
	walk_fn element;
	struct lab_arena *arena;
	struct lab_error *err;
	bool stopped;
	size_t depth;
	size_t path_len;
	char path[PATH_MAX_BYTES];
	size_t text_len;
	bool text_overflow;
	uint8_t text[S3_XML_TEXT_MAX];
};

static void walk_stop(struct walk *walk, enum lab_code code, const char *why)
{
	if (!walk->stopped)
		lab_fail(walk->err, code, "S3 answer: %s", why);
	walk->stopped = true;
	XML_StopParser(walk->parser, XML_FALSE);
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	struct walk *walk = ctx;
	size_t len = strlen(name);

	(void)attributes;
	if (walk->depth == S3_XML_DEPTH_MAX || walk->path_len + len + 2 > PATH_MAX_BYTES) {
		walk_stop(walk, LAB_CORRUPT, "XML is nested too deeply");
		return;
	}
	if (walk->depth++ > 0)
		walk->path[walk->path_len++] = '/';
	memcpy(walk->path + walk->path_len, name, len + 1);
	walk->path_len += len;
	walk->text_len = 0;
	walk->text_overflow = false;
}

static void XMLCALL on_text(void *ctx, const XML_Char *text, int len)
{
	struct walk *walk = ctx;
	size_t room = sizeof(walk->text) - walk->text_len;
	size_t used = LAB_MIN((size_t)len, room);

	memcpy(walk->text + walk->text_len, text, used);
	walk->text_len += used;
	walk->text_overflow |= used < (size_t)len;
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	struct walk *walk = ctx;
	size_t len = strlen(name);

	/* Expat ends an empty element even after a stop in its start. */
	if (walk->stopped)
		return;
	if (walk->element(walk, walk->path, lab_view_of(walk->text, walk->text_len)) < 0)
		walk_stop(walk, LAB_CORRUPT, "unexpected XML");
	walk->path_len -= len;
	if (--walk->depth > 0)
		walk->path_len--;
	walk->path[walk->path_len] = '\0';
	walk->text_len = 0;
	walk->text_overflow = false;
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *system_id,
	const XML_Char *public_id, int has_subset)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_subset;
	walk_stop(ctx, LAB_CORRUPT, "XML with a DOCTYPE");
}

static int walk_document(struct walk *walk, struct lab_view body)
{
	XML_Parser parser = XML_ParserCreate("UTF-8");
	enum XML_Status status;

	lab_assert(parser != NULL && body.len <= INT32_MAX);
	walk->parser = parser;
	/* A fixed salt: nothing may depend on the process. The documents are small. */
	XML_SetHashSalt(parser, 1);
	XML_SetUserData(parser, walk);
	XML_SetElementHandler(parser, on_start, on_end);
	XML_SetCharacterDataHandler(parser, on_text);
	XML_SetStartDoctypeDeclHandler(parser, on_doctype);
	status = XML_Parse(parser, body.len == 0 ? "" : (const char *)body.ptr, (int)body.len, 1);
	XML_ParserFree(parser);
	if (walk->stopped)
		return -1;
	if (status != XML_STATUS_OK)
		return lab_fail(walk->err, LAB_CORRUPT, "S3 answer: not well-formed XML");
	return 0;
}

/* The text of the current element, kept. */
static int keep(struct walk *walk, struct lab_view text, struct lab_view *ret)
{
	if (walk->text_overflow) {
		walk_stop(walk, LAB_CORRUPT, "a value is too long");
		return -1;
	}
	*ret = lab_arena_copy(walk->arena, text);
	return 0;
}

/* A growing list of views or entries in the arena: at most `max`, doubled as needed. */
static void *list_slot(
	struct walk *walk, void **items, size_t *count, size_t *room, size_t size, size_t max)
{
	if (*count == max) {
		walk_stop(walk, LAB_LIMIT, "more entries than were asked for");
		return NULL;
	}
	if (*count == *room) {
		size_t bigger = LAB_MIN(max, *room == 0 ? 16 : 2 * *room);
		void *copy = lab_arena_alloc_array(walk->arena, size, bigger);

		if (*count > 0)
			memcpy(copy, *items, *count * size);
		*items = copy;
		*room = bigger;
	}
	return (uint8_t *)*items + (*count)++ * size;
}

/* ---- <Error> ---- */

struct error_walk {
	struct walk walk;
	struct s3_error error;
	bool complete;
};

static int error_element(struct walk *walk, const char *path, struct lab_view text)
{
	struct error_walk *own = (struct error_walk *)walk;

	if (strcmp(path, "Error/Code") == 0)
		return keep(walk, lab_view_trim(text), &own->error.code);
	if (strcmp(path, "Error/Message") == 0)
		own->error.message = lab_arena_copy(walk->arena, text);
	if (strcmp(path, "Error") == 0)
		own->complete = true;
	return 0;
}

int s3_error_parse(struct lab_view body, struct lab_arena *arena, struct s3_error *ret)
{
	struct error_walk *own;
	struct lab_error ignored;

	if (body.len == 0 || body.len > INT32_MAX)
		return 0;
	own = lab_arena_new_of(arena, struct error_walk);
	own->walk.element = error_element;
	own->walk.arena = arena;
	own->walk.err = &ignored;
	if (walk_document(&own->walk, body) < 0 || !own->complete || own->error.code.len == 0)
		return 0;
	*ret = own->error;
	return 1;
}

/* ---- DeleteResult ---- */

struct delete_walk {
	struct walk walk;
	struct s3_deleted *items;
	size_t count, room, max;
	struct s3_deleted current;
	bool complete;
};

static int delete_entry(struct delete_walk *own, bool failed)
{
	struct s3_deleted *slot;

	if (own->current.key.ptr == NULL || failed != (own->current.code.ptr != NULL))
		return -1;
	slot = list_slot(&own->walk, (void **)&own->items, &own->count, &own->room,
		sizeof(*own->items), own->max);
	if (slot == NULL)
		return -1;
	*slot = own->current;
	own->current = (struct s3_deleted){ .key = { NULL, 0 } };
	return 0;
}

static int delete_element(struct walk *walk, const char *path, struct lab_view text)
{
	struct delete_walk *own = (struct delete_walk *)walk;

	if (strcmp(path, "DeleteResult/Deleted/Key") == 0 ||
		strcmp(path, "DeleteResult/Error/Key") == 0)
		return keep(walk, text, &own->current.key);
	if (strcmp(path, "DeleteResult/Error/Code") == 0)
		return keep(walk, lab_view_trim(text), &own->current.code);
	if (strcmp(path, "DeleteResult/Error/Message") == 0)
		own->current.message = lab_arena_copy(walk->arena, text);
	if (strcmp(path, "DeleteResult/Deleted") == 0)
		return delete_entry(own, false);
	if (strcmp(path, "DeleteResult/Error") == 0)
		return delete_entry(own, true);
	if (strcmp(path, "DeleteResult") == 0)
		own->complete = true;
	return 0;
}

int s3_delete_result_parse(struct lab_view body, size_t max_entries, struct lab_arena *arena,
	struct s3_deleted **ret, size_t *ret_count, struct lab_error *err)
{
	struct delete_walk *own = lab_arena_new_of(arena, struct delete_walk);

	if (body.len > INT32_MAX)
		return lab_fail(err, LAB_LIMIT, "S3 answer: too long");
	own->walk.element = delete_element;
	own->walk.arena = arena;
	own->walk.err = err;
	own->max = max_entries;
	if (walk_document(&own->walk, body) < 0)
		return -1;
	if (!own->complete)
		return lab_fail(err, LAB_CORRUPT, "S3 answer: not a DeleteResult");
	*ret = own->items;
	*ret_count = own->count;
	return 0;
}

/* ---- ListBucketResult ---- */

struct list_walk {
	struct walk walk;
	struct s3_list_page page;
	size_t key_room, time_room, prefix_room, max;
	size_t time_count;
	int64_t modified; /* of the key in hand */
	bool complete, url_encoded;
};

static int list_add(struct list_walk *own, struct lab_view text, struct lab_view **items,
	size_t *count, size_t *room)
{
	struct lab_view kept, *slot;

	if (keep(&own->walk, text, &kept) < 0)
		return -1;
	slot = list_slot(
		&own->walk, (void **)items, count, room, sizeof(struct lab_view), own->max);
	if (slot == NULL)
		return -1;
	*slot = kept;
	return 0;
}

static int list_truncated(struct list_walk *own, struct lab_view text)
{
	text = lab_view_trim(text);
	own->page.truncated = lab_view_eq_cstr(text, "true");
	return own->page.truncated || lab_view_eq_cstr(text, "false") ? 0 : -1;
}

/* Keys whose time is not told, or is none, are as young as can be. */
static int list_contents(struct list_walk *own)
{
	int64_t *slot = list_slot(&own->walk, (void **)&own->page.modified, &own->time_count,
		&own->time_room, sizeof(int64_t), own->max);

	if (slot == NULL || own->time_count != own->page.key_count)
		return -1;
	*slot = own->modified;
	own->modified = INT64_MAX;
	return 0;
}

static int list_modified(struct list_walk *own, struct lab_view text)
{
	if (lab_date_parse_iso(lab_view_trim(text), &own->modified) < 0)
		own->modified = INT64_MAX;
	return 0;
}

static int list_element(struct walk *walk, const char *path, struct lab_view text)
{
	struct list_walk *own = (struct list_walk *)walk;
	struct s3_list_page *page = &own->page;

	if (strcmp(path, "ListBucketResult/Contents/Key") == 0)
		return list_add(own, text, &page->keys, &page->key_count, &own->key_room);
	if (strcmp(path, "ListBucketResult/Contents/LastModified") == 0)
		return list_modified(own, text);
	if (strcmp(path, "ListBucketResult/Contents") == 0)
		return list_contents(own);
	if (strcmp(path, "ListBucketResult/CommonPrefixes/Prefix") == 0)
		return list_add(own, text, &page->prefixes, &page->prefix_count, &own->prefix_room);
	if (strcmp(path, "ListBucketResult/IsTruncated") == 0)
		return list_truncated(own, text);
	if (strcmp(path, "ListBucketResult/NextMarker") == 0)
		return keep(walk, text, &page->next_marker);
	if (strcmp(path, "ListBucketResult/EncodingType") == 0)
		own->url_encoded = lab_view_eq_cstr(lab_view_trim(text), "url");
	if (strcmp(path, "ListBucketResult") == 0)
		own->complete = true;
	return 0;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place: the bytes are our own copy. S3 writes a space as '+' here. */
static int url_decode(struct lab_view *text)
{
	uint8_t *out = (uint8_t *)(uintptr_t)text->ptr;
	size_t len = 0;

	for (size_t i = 0; i < text->len; i++) {
		uint8_t byte = text->ptr[i];

		if (byte == '%') {
			int high = i + 2 < text->len ? hex_digit(text->ptr[i + 1]) : -1;
			int low = i + 2 < text->len ? hex_digit(text->ptr[i + 2]) : -1;

			if (high < 0 || low < 0)
				return -1;
			byte = (uint8_t)(high << 4 | low);
			i += 2;
		} else if (byte == '+') {
			byte = ' ';
		}
		out[len++] = byte;
	}
	text->len = len;
	return 0;
}

static int list_decode(struct s3_list_page *page)
{
	int result = 0;

	for (size_t i = 0; i < page->key_count; i++)
		result |= url_decode(&page->keys[i]);
	for (size_t i = 0; i < page->prefix_count; i++)
		result |= url_decode(&page->prefixes[i]);
	if (page->next_marker.ptr != NULL)
		result |= url_decode(&page->next_marker);
	return result;
}

int s3_list_page_parse(struct lab_view body, size_t max_entries, struct lab_arena *arena,
	struct s3_list_page *ret, struct lab_error *err)
{
	struct list_walk *own = lab_arena_new_of(arena, struct list_walk);

	if (body.len > INT32_MAX)
		return lab_fail(err, LAB_LIMIT, "S3 answer: too long");
	own->walk.element = list_element;
	own->modified = INT64_MAX;
	own->walk.arena = arena;
	own->walk.err = err;
	own->max = max_entries;
	if (walk_document(&own->walk, body) < 0)
		return -1;
	if (!own->complete)
		return lab_fail(err, LAB_CORRUPT, "S3 answer: not a ListBucketResult");
	if (own->url_encoded && list_decode(&own->page) < 0)
		return lab_fail(err, LAB_CORRUPT, "S3 answer: bad %%-escape in a key");
	*ret = own->page;
	return 0;
}

/* ---- <Delete> ---- */

void s3_delete_append(struct lab_buf *out, const struct lab_view *keys, size_t count)
{
	lab_buf_append_cstr(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
				 "<Delete xmlns=\"" S3_XML_NAMESPACE "\">");
	for (size_t i = 0; i < count; i++) {
		lab_buf_append_cstr(out, "<Object><Key>");
		lab_buf_append_xml(out, keys[i]);
		lab_buf_append_cstr(out, "</Key></Object>");
	}
	lab_buf_append_cstr(out, "</Delete>");
}

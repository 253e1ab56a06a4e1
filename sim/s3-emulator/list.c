/* SPDX-License-Identifier: Apache-2.0
 *
 * list.c - ListObjects, version 1 and 2 (s3 1.3). Keys in byte order; common prefixes count.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

struct list {
	struct s3emu_exchange *x;
	bool v2, encode, fetch_owner;
	struct lab_view prefix, delimiter, marker, start_after, token;
	bool has_marker, has_start_after, has_token;
	uint64_t max_keys;
	/* what came out */
	struct lab_buf contents, prefixes;
	uint64_t count;
	bool truncated;
	struct lab_view last; /* key or common prefix, in the arena */
};

/* ---- parameters ---- */

static bool take(const struct s3emu_exchange *x, const char *name, struct lab_view *ret)
{
	const struct s3emu_param *param = s3emu_param(x, name);

	*ret = param == NULL ? lab_view_of(NULL, 0) : param->value;
	return param != NULL;
}

static int parse_max_keys(struct list *list)
{
	struct lab_view text;

	list->max_keys = S3EMU_LIST_MAX;
	if (!take(list->x, "max-keys", &text) || text.len == 0)
		return 0;
	if (lab_view_to_u64(text, &list->max_keys) < 0 || list->max_keys > INT32_MAX) {
		return s3emu_fail_argument(list->x, "max-keys", text,
			"Provided max-keys not an integer or within integer range");
	}
	list->max_keys = LAB_MIN(list->max_keys, (uint64_t)S3EMU_LIST_MAX);
	return 0;
}

static int parse_encoding(struct list *list)
{
	struct lab_view text;

	if (!take(list->x, "encoding-type", &text) || text.len == 0)
		return 0;
	list->encode = true;
	if (lab_view_eq_cstr(text, "url"))
		return 0;
	return s3emu_fail_argument(
		list->x, "encoding-type", text, "Invalid Encoding Method specified in Request");
}

/* A continuation token is base64 of "1" and the last key: opaque, and it must be one of ours. */
static int parse_token(struct list *list)
{
	struct lab_buf *buf = &list->x->scratch;

	list->has_token = take(list->x, "continuation-token", &list->token);
	if (!list->has_token)
		return 0;
	lab_buf_reset(buf);
	if (lab_buf_append_unbase64(buf, list->token) < 0 || buf->len < 2 || buf->data[0] != '1') {
		return s3emu_fail_argument(list->x, "continuation-token", list->token,
			"The continuation token provided is incorrect");
	}
	list->marker = lab_arena_copy(list->x->arena, lab_view_skip(lab_buf_view(buf), 1));
	return 0;
}

static int parse_version(struct list *list)
{
	struct lab_view type, fetch_owner;

	if (!take(list->x, "list-type", &type)) {
		list->has_marker = take(list->x, "marker", &list->marker);
		return 0;
	}
	if (!lab_view_eq_cstr(type, "2"))
		return s3emu_fail_argument(list->x, "list-type", type, "Invalid List Type");
	list->v2 = true;
	list->has_start_after = take(list->x, "start-after", &list->start_after);
	list->marker = list->start_after;
	(void)take(list->x, "fetch-owner", &fetch_owner);
	list->fetch_owner = lab_view_eq_cstr(fetch_owner, "true");
	return parse_token(list);
}

static int parse(struct list *list)
{
	(void)take(list->x, "prefix", &list->prefix);
	(void)take(list->x, "delimiter", &list->delimiter);
	if (parse_max_keys(list) < 0 || parse_encoding(list) < 0)
		return -1;
	return parse_version(list);
}

/* ---- the answer's parts ---- */

static void append_name(
	struct list *list, struct lab_buf *buf, const char *name, struct lab_view value)
{
	lab_buf_printf(buf, "<%s>", name);
	if (list->encode)
		lab_buf_append_percent(buf, value, true);
	else
		lab_buf_append_xml(buf, value);
	lab_buf_printf(buf, "</%s>", name);
}

static void append_owner(struct list *list)
{
	struct lab_view owner = list->x->bucket->owner;

	if (owner.len == 0)
		owner = list->x->account;
	lab_buf_append_cstr(&list->contents, "<Owner><ID>");
	lab_buf_append_xml(&list->contents, owner);
	lab_buf_append_cstr(&list->contents, "</ID></Owner>");
}

static void append_object(struct list *list, struct lab_view key, const struct s3emu_object *object)
{
	struct lab_view class = s3emu_object_header(object, "x-amz-storage-class");
	char modified[LAB_DATE_TEXT_MAX];
	struct lab_buf *buf = &list->contents;

	lab_date_iso_extended(object->modified_us / 1000000 * 1000, modified);
	lab_buf_append_cstr(buf, "<Contents>");
	append_name(list, buf, "Key", key);
	lab_buf_append_cstr(buf, "<LastModified>");
	lab_buf_append_cstr(buf, modified);
	lab_buf_append_cstr(buf, "</LastModified><ETag>");
	lab_buf_append_xml(buf, s3emu_object_etag(object));
	lab_buf_printf(buf, "</ETag><Size>%" PRIu64 "</Size>", object->size);
	if (!list->v2 || list->fetch_owner)
		append_owner(list);
	lab_buf_append_cstr(buf, "<StorageClass>");
	lab_buf_append_xml(buf, class.ptr == NULL ? LAB_VIEW("STANDARD") : class);
	lab_buf_append_cstr(buf, "</StorageClass></Contents>");
}

static void append_prefix(struct list *list, struct lab_view prefix)
{
	lab_buf_append_cstr(&list->prefixes, "<CommonPrefixes>");
	append_name(list, &list->prefixes, "Prefix", prefix);
	lab_buf_append_cstr(&list->prefixes, "</CommonPrefixes>");
}

/* The part of a key up to and with the delimiter behind the prefix; ptr NULL if there is none. */
static struct lab_view common_prefix(const struct list *list, struct lab_view key)
{
	size_t at;

	if (list->delimiter.len == 0)
		return lab_view_of(NULL, 0);
	at = lab_view_find(lab_view_skip(key, list->prefix.len), list->delimiter);
	if (at == SIZE_MAX)
		return lab_view_of(NULL, 0);
	return lab_view_sub(key, 0, list->prefix.len + at + list->delimiter.len);
}

/* The smallest key above all that begin with `prefix`; ptr NULL if there is none. */
static struct lab_view above_prefix(struct list *list, struct lab_view prefix)
{
	struct lab_view copy = lab_arena_copy(list->x->arena, prefix);
	uint8_t *bytes = (uint8_t *)(uintptr_t)copy.ptr;

	while (copy.len > 0 && bytes[copy.len - 1] == 0xff)
		copy.len--;
	if (copy.len == 0)
		return lab_view_of(NULL, 0);
	bytes[copy.len - 1]++;
	return copy;
}

/* ---- the walk ---- */

struct cursor {
	struct lab_view from;
	bool after;
	bool at_end;
};

/* Behind everything that begins with `group`. */
static void skip_group(struct list *list, struct cursor *cursor, struct lab_view group)
{
	cursor->from = above_prefix(list, group);
	cursor->after = false;
	cursor->at_end = cursor->from.ptr == NULL;
}

static void start(struct list *list, struct cursor *cursor)
{
	struct lab_view marker = list->marker, group;

	cursor->from = list->prefix;
	cursor->after = cursor->at_end = false;
	if (lab_view_cmp(marker, list->prefix) < 0)
		return;
	cursor->from = marker;
	cursor->after = marker.len > 0;
	if (!lab_view_starts_with(marker, list->prefix))
		return;
	/* A common prefix as marker stands for all of its keys. */
	group = common_prefix(list, marker);
	if (group.ptr != NULL && group.len == marker.len)
		skip_group(list, cursor, group);
}

/* Takes one key, or the group it is in, and moves on. False at the end. */
static bool step(struct list *list, struct cursor *cursor)
{
	struct s3emu_exchange *x = list->x;
	struct s3emu_object *object;
	struct lab_view key, group;

	if (cursor->at_end || s3emu_read_next(x, cursor->from, cursor->after, &key, &object) == 0)
		return false;
	if (!lab_view_starts_with(key, list->prefix)) {
		s3emu_object_unref(x->s3, object);
		return false;
	}
	if (list->count == list->max_keys) {
		s3emu_object_unref(x->s3, object);
		list->truncated = true;
		return false;
	}
	list->count++;
	group = common_prefix(list, key);
	if (group.ptr != NULL) {
		list->last = lab_arena_copy(x->arena, group);
		append_prefix(list, group);
		skip_group(list, cursor, list->last);
	} else {
		list->last = lab_arena_copy(x->arena, key);
		append_object(list, key, object);
		cursor->from = list->last;
		cursor->after = true;
	}
	s3emu_object_unref(x->s3, object);
	return true;
}

/* ---- the document ---- */

static void append_token(struct list *list)
{
	struct lab_buf *buf = &list->x->scratch;

	lab_buf_reset(buf);
	lab_buf_append_byte(buf, '1');
	lab_buf_append_view(buf, list->last);
	lab_buf_append_cstr(&list->x->xml, "<NextContinuationToken>");
	lab_buf_append_base64(&list->x->xml, lab_buf_view(buf));
	lab_buf_append_cstr(&list->x->xml, "</NextContinuationToken>");
}

static void head_v1(struct list *list)
{
	append_name(list, &list->x->xml, "Marker", list->marker);
	if (list->truncated && list->delimiter.len > 0)
		append_name(list, &list->x->xml, "NextMarker", list->last);
}

static void head_v2(struct list *list)
{
	s3emu_xml_u64(list->x, "KeyCount", list->count);
	if (list->has_token)
		s3emu_xml_text(list->x, "ContinuationToken", list->token);
	if (list->has_start_after)
		append_name(list, &list->x->xml, "StartAfter", list->start_after);
	if (list->truncated)
		append_token(list);
}

static int answer(struct list *list)
{
	struct s3emu_exchange *x = list->x;

	s3emu_xml_begin(x, "ListBucketResult");
	s3emu_xml_text(x, "Name", x->bucket_name);
	append_name(list, &x->xml, "Prefix", list->prefix);
	if (list->v2)
		head_v2(list);
	else
		head_v1(list);
	s3emu_xml_u64(x, "MaxKeys", list->max_keys);
	if (list->delimiter.len > 0)
		append_name(list, &x->xml, "Delimiter", list->delimiter);
	if (list->encode)
		s3emu_xml_text(x, "EncodingType", LAB_VIEW("url"));
	s3emu_xml_text(x, "IsTruncated", list->truncated ? LAB_VIEW("true") : LAB_VIEW("false"));
	lab_buf_append_view(&x->xml, lab_buf_view(&list->contents));
	lab_buf_append_view(&x->xml, lab_buf_view(&list->prefixes));
	if (list->contents.overflow || list->prefixes.overflow)
		return s3emu_fail(x, S3EMU_INTERNAL_ERROR);
	return s3emu_xml_end(x, "ListBucketResult");
}

int s3emu_list_objects(struct s3emu_exchange *x)
{
	struct list list = { .x = x };
	struct cursor cursor;
	int ret;

	if (parse(&list) < 0 || s3emu_commit(x) < 0)
		return -1;
	lab_buf_init(&list.contents, x->s3->heap, S3EMU_XML_OUT_MAX / 2);
	lab_buf_init(&list.prefixes, x->s3->heap, S3EMU_XML_OUT_MAX / 2 - 65536);
	start(&list, &cursor);
	while (list.max_keys > 0 && step(&list, &cursor))
		;
	ret = answer(&list);
	lab_buf_done(&list.contents);
	lab_buf_done(&list.prefixes);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * tagging.c - the tags of objects: up to ten, in a header of our own as a query string.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define TAGS_MAX 10
#define TAG_KEY_MAX 128   /* characters */
#define TAG_VALUE_MAX 256 /* ditto */

struct tag {
	struct lab_view key, value;
	bool has_key, has_value;
};

struct tags {
	struct s3emu_exchange *x;
	struct tag items[TAGS_MAX];
	size_t count;
	bool has_root, has_set;
	bool too_many;
};

/* ---- what a tag may be ---- */

static size_t characters(struct lab_view text)
{
	size_t i, count = 0;

	for (i = 0; i < text.len; i++)
		count += (text.ptr[i] & 0xc0) != 0x80;
	return count;
}

/* Letters and digits of any script, and a few signs. */
static bool text_ok(struct lab_view text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9'))
			continue;
		if (c == 0 || strchr(" +-=._:/@", c) == NULL)
			return false;
	}
	return s3emu_is_utf8(text);
}

static int invalid_tag(struct s3emu_exchange *x, const struct tag *tag, const char *message)
{
	(void)s3emu_fail_text(x, S3EMU_INVALID_TAG, message);
	s3emu_detail(x, "TagKey", tag->key);
	s3emu_detail(x, "TagValue", tag->value);
	return -1;
}

static int check_tag(struct s3emu_exchange *x, const struct tag *tag)
{
	if (tag->key.len == 0 || characters(tag->key) > TAG_KEY_MAX || !text_ok(tag->key))
		return invalid_tag(x, tag, "The TagKey you have provided is invalid");
	if (characters(tag->value) > TAG_VALUE_MAX || !text_ok(tag->value))
		return invalid_tag(x, tag, "The TagValue you have provided is invalid");
	if (lab_view_starts_with(tag->key, LAB_VIEW("aws:")))
		return invalid_tag(x, tag, "System tags cannot be added/updated by requester");
	return 0;
}

static int check_tags(struct tags *tags)
{
	size_t i, j;

	if (tags->too_many)
		return s3emu_fail_text(
			tags->x, S3EMU_BAD_REQUEST, "Object tags cannot be greater than 10");
	for (i = 0; i < tags->count; i++) {
		if (check_tag(tags->x, &tags->items[i]) < 0)
			return -1;
		for (j = 0; j < i; j++) {
			if (lab_view_eq(tags->items[i].key, tags->items[j].key))
				return invalid_tag(tags->x, &tags->items[i],
					"Cannot provide multiple Tags with the same key");
		}
	}
	return 0;
}

static struct tag *add_tag(struct tags *tags)
{
	if (tags->count == TAGS_MAX) {
		tags->too_many = true;
		return NULL;
	}
	memset(&tags->items[tags->count], 0, sizeof(tags->items[0]));
	return &tags->items[tags->count++];
}

/* ---- as a query string ---- */

static int parse_query(struct tags *tags, struct lab_view text)
{
	struct lab_arena *arena = tags->x->arena;
	struct lab_view part;

	while (text.len > 0 && lab_view_split(&text, '&', &part)) {
		size_t equals = lab_view_find_byte(part, '=');
		struct tag *tag = add_tag(tags);
		struct lab_view value = lab_view_of(NULL, 0);

		if (tag == NULL)
			return 0;
		if (equals != SIZE_MAX) {
			value = lab_view_skip(part, equals + 1);
			part.len = equals;
		}
		if (s3emu_unpercent(arena, part, true, &tag->key) < 0 ||
			s3emu_unpercent(arena, value, true, &tag->value) < 0)
			return -1;
	}
	return 0;
}

/* The header that an object keeps its tags in; none if there are none. */
static void add_header(struct tags *tags, struct lab_http_header *headers, size_t *count)
{
	struct lab_buf *buf = &tags->x->scratch;
	size_t i;

	if (tags->count == 0)
		return;
	lab_buf_reset(buf);
	for (i = 0; i < tags->count; i++) {
		if (i > 0)
			lab_buf_append_byte(buf, '&');
		lab_buf_append_percent(buf, tags->items[i].key, false);
		lab_buf_append_byte(buf, '=');
		lab_buf_append_percent(buf, tags->items[i].value, false);
	}
	headers[*count].name = LAB_VIEW(S3EMU_TAGGING);
	headers[(*count)++].value = lab_arena_copy(tags->x->arena, lab_buf_view(buf));
}

int s3emu_tags_take(struct s3emu_exchange *x, struct lab_http_header *headers, size_t *count)
{
	struct lab_view header = s3emu_request_header(x, "x-amz-tagging");
	struct tags tags = { .x = x };

	if (header.ptr == NULL)
		return 0;
	if (parse_query(&tags, header) < 0) {
		return s3emu_fail_argument(x, "x-amz-tagging", header,
			"The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL "
			"query parameters without tag name duplicates.");
	}
	if (check_tags(&tags) < 0)
		return -1;
	add_header(&tags, headers, count);
	return 0;
}

void s3emu_tags_copy(
	const struct s3emu_object *from, struct lab_http_header *headers, size_t *count)
{
	struct lab_view value = s3emu_object_header(from, S3EMU_TAGGING);

	if (value.ptr != NULL)
		headers[(*count)++] = (struct lab_http_header){ LAB_VIEW(S3EMU_TAGGING), value };
}

static void load(struct tags *tags, const struct s3emu_object *object)
{
	int ret = parse_query(tags, s3emu_object_header(object, S3EMU_TAGGING));

	lab_assert(ret == 0);
}

void s3emu_tags_count(struct s3emu_exchange *x, const struct s3emu_object *object)
{
	struct tags tags = { .x = x };

	load(&tags, object);
	if (tags.count > 0)
		s3emu_header(x, "x-amz-tagging-count",
			lab_view_cstr(lab_arena_printf(x->arena, "%zu", tags.count)));
}

/* ---- as XML ---- */

static int on_open(void *ctx, const char *path)
{
	struct tags *tags = ctx;

	if (strcmp(path, "Tagging") == 0)
		tags->has_root = true;
	else if (strcmp(path, "Tagging/TagSet") == 0 && !tags->has_set)
		tags->has_set = true;
	else if (strcmp(path, "Tagging/TagSet/Tag") == 0)
		return add_tag(tags) == NULL ? -1 : 0;
	else if (strcmp(path, "Tagging/TagSet/Tag/Key") != 0 &&
		 strcmp(path, "Tagging/TagSet/Tag/Value") != 0)
		return -1;
	return 0;
}

static int close_text(struct tags *tags, struct lab_view text, bool *seen, struct lab_view *ret)
{
	if (*seen)
		return -1;
	*seen = true;
	*ret = lab_arena_copy(tags->x->arena, text);
	return 0;
}

static int on_close(void *ctx, const char *path, struct lab_view text)
{
	struct tags *tags = ctx;
	struct tag *tag = tags->count > 0 ? &tags->items[tags->count - 1] : NULL;

	if (strcmp(path, "Tagging/TagSet/Tag") == 0)
		return tag->has_key && tag->has_value ? 0 : -1;
	if (strcmp(path, "Tagging/TagSet/Tag/Key") == 0)
		return close_text(tags, text, &tag->has_key, &tag->key);
	if (strcmp(path, "Tagging/TagSet/Tag/Value") == 0)
		return close_text(tags, text, &tag->has_value, &tag->value);
	return 0;
}

static int parse_xml(struct tags *tags)
{
	struct s3emu_exchange *x = tags->x;
	struct s3emu_xml_handler handler = { on_open, on_close, tags };

	if (x->body.len == 0)
		return s3emu_fail(x, S3EMU_MISSING_REQUEST_BODY);
	if (s3emu_xml_parse(x, x->body, &handler) < 0 && !tags->too_many)
		return -1;
	if (!tags->too_many && (!tags->has_root || !tags->has_set))
		return s3emu_fail(x, S3EMU_MALFORMED_XML);
	return check_tags(tags);
}

/* ---- the calls ---- */

int s3emu_get_tagging(struct s3emu_exchange *x)
{
	struct tags tags = { .x = x };
	struct s3emu_object *object;
	size_t i;

	if (s3emu_version_check(x) < 0)
		return -1;
	if (s3emu_store_get(x->s3, x->bucket, x->key, &object) == 0)
		return s3emu_no_such_key(x, x->key);
	s3emu_xml_begin(x, "Tagging");
	lab_buf_append_cstr(&x->xml, "<TagSet>");
	load(&tags, object);
	for (i = 0; i < tags.count; i++) {
		lab_buf_append_cstr(&x->xml, "<Tag>");
		s3emu_xml_text(x, "Key", tags.items[i].key);
		s3emu_xml_text(x, "Value", tags.items[i].value);
		lab_buf_append_cstr(&x->xml, "</Tag>");
	}
	lab_buf_append_cstr(&x->xml, "</TagSet>");
	s3emu_object_unref(x->s3, object);
	return s3emu_xml_end(x, "Tagging");
}

/* The same object, with these tags: its body is shared, its date stays. */
static int replace_tags(struct tags *tags, const struct s3emu_object *old)
{
	struct s3emu_exchange *x = tags->x;
	struct lab_http_header *headers =
		lab_arena_array(x->arena, struct lab_http_header, old->header_count + 1);
	struct s3emu_content content = { .parts = old->parts, .part_count = old->part_count };
	struct s3emu_object *object;
	size_t i;

	for (i = 0; i < old->header_count; i++) {
		if (!lab_view_eq_cstr(old->headers[i].name, S3EMU_TAGGING))
			headers[content.header_count++] = old->headers[i];
	}
	add_header(tags, headers, &content.header_count);
	content.headers = headers;
	old->blob->references++;
	object = s3emu_object_make(x, old->blob, x->key.len, &content);
	if (object == NULL)
		return -1;
	memcpy(object->etag, old->etag, sizeof(object->etag));
	object->body_hash = old->body_hash;
	object->modified_us = old->modified_us;
	return s3emu_object_keep(x, S3EMU_SPACE_OBJECTS, x->key, object);
}

static int change_tags(struct tags *tags, unsigned status)
{
	struct s3emu_exchange *x = tags->x;
	struct s3emu_object *old;
	int ret;

	if (s3emu_store_get(x->s3, x->bucket, x->key, &old) == 0)
		return s3emu_no_such_key(x, x->key);
	ret = s3emu_commit(x) < 0 ? -1 : replace_tags(tags, old);
	s3emu_object_unref(x->s3, old);
	if (ret == 0)
		x->out.response.status = status;
	return ret;
}

int s3emu_put_tagging(struct s3emu_exchange *x)
{
	struct tags tags = { .x = x };
	struct s3emu_checksum checksum;
	uint8_t md5[16];

	if (s3emu_version_check(x) < 0 || s3emu_body_check(x, false, md5, &checksum) < 0 ||
		parse_xml(&tags) < 0)
		return -1;
	return change_tags(&tags, 200);
}

int s3emu_delete_tagging(struct s3emu_exchange *x)
{
	struct tags tags = { .x = x };

	return s3emu_version_check(x) < 0 ? -1 : change_tags(&tags, 204);
}

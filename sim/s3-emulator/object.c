/* SPDX-License-Identifier: Apache-2.0
 *
 * object.c - GET, HEAD, PUT and DELETE of one object (s3 1.2, 1.3).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

int s3emu_no_such_key(struct s3emu_exchange *x, struct lab_view key)
{
	(void)s3emu_fail(x, S3EMU_NO_SUCH_KEY);
	s3emu_detail(x, "Key", key);
	return -1;
}

/* What a version id of S3 looks like. */
static bool is_version_id(struct lab_view text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '.' && c != '_')
			return false;
	}
	return text.len == 32;
}

/* The bucket has no versions: every object's is "null". */
int s3emu_version_is_null(struct s3emu_exchange *x, struct lab_view version, struct lab_view key)
{
	if (lab_view_eq_cstr(version, "null"))
		return 0;
	if (is_version_id(version)) {
		(void)s3emu_fail(x, S3EMU_NO_SUCH_VERSION);
		s3emu_detail(x, "Key", key);
		s3emu_detail(x, "VersionId", version);
		return -1;
	}
	return s3emu_fail_argument(x, "versionId", version,
		version.len == 0 ? "Version id cannot be the empty string"
				 : "Invalid version id specified");
}

int s3emu_version_check(struct s3emu_exchange *x)
{
	const struct s3emu_param *version = s3emu_param(x, "versionId");

	return version == NULL ? 0 : s3emu_version_is_null(x, version->value, x->key);
}

int s3emu_version_refuse(struct s3emu_exchange *x)
{
	const struct s3emu_param *version = s3emu_param(x, "versionId");

	if (version == NULL)
		return 0;
	return s3emu_fail_argument(
		x, "versionId", version->value, "This operation does not accept a version-id.");
}

/* Who asks for a version is told which one it was. */
static void version_header(struct s3emu_exchange *x)
{
	if (x->param_count > 0 && s3emu_param(x, "versionId") != NULL)
		s3emu_header(x, "x-amz-version-id", LAB_VIEW("null"));
}

int s3emu_readable(struct s3emu_exchange *x, const struct s3emu_object *object)
{
	struct lab_view class = s3emu_object_header(object, "x-amz-storage-class");

	if (!lab_view_eq_cstr(class, "GLACIER") && !lab_view_eq_cstr(class, "DEEP_ARCHIVE"))
		return 0;
	(void)s3emu_fail(x, S3EMU_INVALID_OBJECT_STATE);
	s3emu_detail(x, "StorageClass", class);
	return -1;
}

void s3emu_last_modified(struct s3emu_exchange *x, const struct s3emu_object *object)
{
	char *text = lab_arena_alloc(x->arena, LAB_DATE_TEXT_MAX);

	lab_date_http(object->modified_us / 1000000, text);
	s3emu_header(x, "Last-Modified", lab_view_cstr(text));
}

/* ---- reading ---- */

static const struct override {
	const char *param, *header;
} overrides[] = {
	{ "response-cache-control", "cache-control" },
	{ "response-content-disposition", "content-disposition" },
	{ "response-content-encoding", "content-encoding" },
	{ "response-content-language", "content-language" },
	{ "response-content-type", "content-type" },
	{ "response-expires", "expires" },
};

static bool is_overridden(const struct s3emu_exchange *x, struct lab_view name)
{
	size_t i;

	for (i = 0; x->param_count > 0 && i < LAB_COUNT_OF(overrides); i++) {
		if (lab_view_eq_cstr(name, overrides[i].header))
			return s3emu_param(x, overrides[i].param) != NULL;
	}
	return false;
}

/* A header's value must not end the header. */
static bool is_header_text(struct lab_view value)
{
	size_t i;

	for (i = 0; i < value.len; i++) {
		if ((value.ptr[i] < 0x20 && value.ptr[i] != '\t') || value.ptr[i] == 0x7f)
			return false;
	}
	return true;
}

static int add_overrides(struct s3emu_exchange *x)
{
	size_t i;

	for (i = 0; x->param_count > 0 && i < LAB_COUNT_OF(overrides); i++) {
		const struct s3emu_param *param = s3emu_param(x, overrides[i].param);

		if (param == NULL)
			continue;
		if (!is_header_text(param->value)) {
			return s3emu_fail_argument(x, overrides[i].param, param->value,
				"Header value cannot be represented using ISO-8859-1.");
		}
		s3emu_header(x, overrides[i].header, param->value);
	}
	return 0;
}

/* Of the whole; of a part that was asked for by its number, that part's; of a range, none. */
static void show_checksum(struct s3emu_exchange *x, const struct s3emu_object *object, bool part)
{
	struct s3emu_checksum checksum;
	const char *type = s3emu_object_checksum(object, &checksum);
	const struct s3emu_part *of;
	uint32_t number = 0;

	if (part && s3emu_part_number(x, &number) <= 0)
		return;
	if (part && type != NULL && object->part_count > 0) {
		of = &object->parts[number - 1];
		if (of->checksum_len == 0)
			return;
		checksum.value = s3emu_base64(x, of->checksum, of->checksum_len);
	}
	s3emu_checksum_reply(x, &checksum, type);
}

static int object_headers(struct s3emu_exchange *x, const struct s3emu_object *object, bool part)
{
	int mode = s3emu_checksum_mode(x);
	bool typed = false;
	size_t i;

	if (mode < 0)
		return -1;
	s3emu_last_modified(x, object);
	s3emu_header(x, "ETag", s3emu_object_etag(object));
	s3emu_header(x, "x-amz-server-side-encryption", LAB_VIEW("AES256"));
	s3emu_header(x, "Accept-Ranges", LAB_VIEW("bytes"));
	for (i = 0; i < object->header_count; i++) {
		const struct lab_http_header *header = &object->headers[i];
		struct lab_view standard = LAB_VIEW("STANDARD");

		if (lab_view_eq_cstr(header->name, "content-type"))
			typed = true;
		if (s3emu_header_is_ours(header->name) || is_overridden(x, header->name) ||
			lab_view_eq(header->value, standard) ||
			s3emu_is_checksum_header(header->name))
			continue;
		s3emu_header_view(x, header->name, header->value);
	}
	if (mode > 0)
		show_checksum(x, object, part);
	version_header(x);
	s3emu_tags_count(x, object);
	if (!typed && s3emu_param(x, "response-content-type") == NULL)
		s3emu_header(x, "Content-Type", LAB_VIEW("binary/octet-stream"));
	return add_overrides(x);
}

static void send_part(struct s3emu_exchange *x, const struct s3emu_object *object,
	const struct s3emu_range *range)
{
	char *text = lab_arena_printf(x->arena, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
		range->first, range->first + range->count - 1, object->size);

	x->out.response.status = 206;
	if (range->count > 0) /* the last part may be empty */
		s3emu_header(x, "Content-Range", lab_view_cstr(text));
	x->out.response.body = lab_view_sub(s3emu_object_body(object), range->first, range->count);
}

/* ?partNumber counts the parts from 1, whatever numbers they were uploaded under: clients read
 * 1 to x-amz-mp-parts-count. 1 that part, 0 not asked for. */
static int part_range(
	struct s3emu_exchange *x, const struct s3emu_object *object, struct s3emu_range *ret)
{
	size_t i, count = LAB_MAX(object->part_count, (size_t)1);
	uint32_t number;
	int found = s3emu_part_number(x, &number);

	if (found <= 0)
		return found;
	if (s3emu_request_header(x, "Range").ptr != NULL) {
		return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
			"Cannot specify both Range header and partNumber query parameter");
	}
	if (number > count) {
		(void)s3emu_fail(x, S3EMU_INVALID_PART_NUMBER);
		s3emu_detail_u64(x, "PartNumberRequested", number);
		s3emu_detail_u64(x, "ActualPartCount", count);
		return -1;
	}
	*ret = (struct s3emu_range){ 0, object->size };
	for (i = 0; i < object->part_count && i < number; i++) {
		ret->first = i == 0 ? 0 : ret->first + ret->count;
		ret->count = object->parts[i].size;
	}
	return object->size > 0;
}

static void parts_count(struct s3emu_exchange *x, const struct s3emu_object *object)
{
	if (object->part_count > 0 && s3emu_param(x, "partNumber") != NULL)
		s3emu_header(x, "x-amz-mp-parts-count",
			lab_view_cstr(lab_arena_printf(x->arena, "%zu", object->part_count)));
}

/* 1 that part of the object, 0 all of it. */
static int which_part(
	struct s3emu_exchange *x, const struct s3emu_object *object, struct s3emu_range *ret)
{
	int part = part_range(x, object, ret);

	return part == 0 ? s3emu_range_parse(x, object, ret) : part;
}

static int send_object(struct s3emu_exchange *x, const struct s3emu_object *object)
{
	struct s3emu_range range;
	int condition, part;

	condition = s3emu_read_conditions(x, "", object);
	if (condition < 0)
		return -1;
	if (condition > 0) {
		if (s3emu_commit(x) < 0)
			return -1;
		x->out.response.status = 304;
		s3emu_last_modified(x, object);
		s3emu_header(x, "ETag", s3emu_object_etag(object));
		return 0;
	}
	part = which_part(x, object, &range);
	if (part < 0 || s3emu_commit(x) < 0 || object_headers(x, object, part > 0) < 0)
		return -1;
	parts_count(x, object);
	if (part > 0) {
		send_part(x, object, &range);
	} else {
		x->out.response.status = 200;
		x->out.response.body = s3emu_object_body(object);
	}
	x->bytes = x->out.response.body.len;
	x->body_hash = object->body_hash;
	return 0;
}

/* Nothing here is encrypted with a client's own key. */
static int refuse_key(struct s3emu_exchange *x)
{
	if (s3emu_request_header(x, "x-amz-server-side-encryption-customer-algorithm").ptr == NULL)
		return 0;
	return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		"The encryption parameters are not applicable to this object.");
}

int s3emu_get_object(struct s3emu_exchange *x)
{
	if (s3emu_version_check(x) < 0 || refuse_key(x) < 0)
		return -1;
	/* The exchange keeps the reference until its body has been sent. */
	if (s3emu_read(x, &x->object) == 0)
		return s3emu_no_such_key(x, x->key);
	if (!x->head && s3emu_readable(x, x->object) < 0)
		return -1;
	return send_object(x, x->object);
}

/* ---- writing ---- */

int s3emu_write_conditions_check(struct s3emu_exchange *x)
{
	struct s3emu_object *old = NULL;
	int ret;

	if (s3emu_request_header(x, "If-Match").ptr == NULL &&
		s3emu_request_header(x, "If-None-Match").ptr == NULL)
		return 0;
	/* What it depends on is about to change. */
	if (s3emu_write_under_way(x)) {
		(void)s3emu_fail(x, S3EMU_CONDITIONAL_CONFLICT);
		s3emu_detail(x, "Condition",
			s3emu_request_header(x, "If-Match").ptr != NULL
				? LAB_VIEW("If-Match")
				: LAB_VIEW("If-None-Match"));
		s3emu_detail(x, "Key", x->key);
		return -1;
	}
	(void)s3emu_store_get(x->s3, x->bucket, x->key, &old);
	ret = s3emu_write_conditions(x, old);
	if (old != NULL)
		s3emu_object_unref(x->s3, old);
	return ret;
}

void s3emu_digest(const struct s3emu *s3, struct lab_view body, uint8_t *md5)
{
	uint64_t hash;
	size_t i;

	if (s3->options.hash_bodies) {
		lab_digest(LAB_MD5, body, md5);
		return;
	}
	for (i = 0; i < 16; i += 8) {
		hash = lab_hash_view(i, body);
		memcpy(md5 + i, &hash, 8);
	}
}

void s3emu_object_digest_set(struct s3emu_object *object, const uint8_t *md5)
{
	size_t i;

	object->etag[0] = '"';
	lab_hex(md5, 16, object->etag + 1);
	object->etag[33] = '"';
	object->etag[34] = '\0';
	object->body_hash = 0;
	for (i = 0; i < 8; i++)
		object->body_hash = object->body_hash << 8 | md5[i];
}

struct s3emu_object *s3emu_object_make(struct s3emu_exchange *x, struct s3emu_blob *blob,
	size_t key_len, const struct s3emu_content *content)
{
	struct s3emu_object *object = NULL;

	if (blob != NULL)
		object = s3emu_object_new(x->s3, blob, key_len, content);
	if (object != NULL) {
		object->modified_us = s3emu_wall_us(x);
		return object;
	}
	if (blob != NULL)
		s3emu_blob_unref(x->s3, blob);
	(void)s3emu_fail(x, S3EMU_SERVICE_UNAVAILABLE);
	return NULL;
}

int s3emu_object_keep(struct s3emu_exchange *x, enum s3emu_space space, struct lab_view key,
	struct s3emu_object *object)
{
	struct s3emu *s3 = x->s3;
	int ret;

	if (space == S3EMU_SPACE_OBJECTS)
		ret = s3emu_store_put(s3, x->bucket, key, object);
	else
		ret = s3->engine_ops->put(s3->engine, x->bucket, space, key, object);
	if (ret < 0) {
		s3emu_object_unref(s3, object);
		return s3emu_fail(x, S3EMU_SERVICE_UNAVAILABLE);
	}
	x->applied = true;
	x->bytes = object->size;
	x->body_hash = object->body_hash;
	return 0;
}

int s3emu_size_check(struct s3emu_exchange *x, uint64_t size)
{
	uint64_t max = x->s3->options.limits.object_bytes_max;

	if (size <= max)
		return 0;
	(void)s3emu_fail(x, S3EMU_ENTITY_TOO_LARGE);
	s3emu_detail_u64(x, "ProposedSize", size);
	s3emu_detail_u64(x, "MaxSizeAllowed", max);
	return -1;
}

int s3emu_body_read(struct s3emu_exchange *x, struct s3emu_body *ret)
{
	if (s3emu_body_check(x, true, ret->md5, &ret->checksum) < 0)
		return -1;
	if (!x->s3->options.hash_bodies)
		s3emu_digest(x->s3, x->body, ret->md5);
	return 0;
}

int s3emu_body_keep(struct s3emu_exchange *x, enum s3emu_space space, struct lab_view key,
	const struct s3emu_content *content, const struct s3emu_body *body)
{
	struct s3emu_object *object =
		s3emu_object_make(x, s3emu_blob_new(x->s3, x->body), key.len, content);

	if (object == NULL)
		return -1;
	s3emu_object_digest_set(object, body->md5);
	if (s3emu_object_keep(x, space, key, object) < 0)
		return -1;
	x->out.response.status = 200;
	s3emu_header(x, "ETag", lab_arena_copy(x->arena, s3emu_object_etag(object)));
	s3emu_header(x, "x-amz-server-side-encryption", LAB_VIEW("AES256"));
	s3emu_checksum_reply(
		x, &body->checksum, space == S3EMU_SPACE_OBJECTS ? S3EMU_FULL_OBJECT : NULL);
	return 0;
}

int s3emu_put_object(struct s3emu_exchange *x)
{
	struct lab_http_header *headers;
	struct s3emu_content content = { 0 };
	struct s3emu_body body;

	if (s3emu_version_refuse(x) < 0 || s3emu_write_headers_check(x) < 0 ||
		s3emu_size_check(x, x->body.len) < 0 ||
		s3emu_metadata(x, &headers, &content.header_count) < 0 ||
		s3emu_tags_take(x, headers, &content.header_count) < 0 ||
		s3emu_body_read(x, &body) < 0 || s3emu_write_conditions_check(x) < 0 ||
		s3emu_commit(x) < 0)
		return -1;
	s3emu_checksum_store(&body.checksum, S3EMU_FULL_OBJECT, headers, &content.header_count);
	content.headers = headers;
	return s3emu_body_keep(x, S3EMU_SPACE_OBJECTS, x->key, &content, &body);
}

int s3emu_delete_object(struct s3emu_exchange *x)
{
	if (s3emu_version_check(x) < 0)
		return -1;
	if (s3emu_request_header(x, "If-None-Match").ptr != NULL) {
		(void)s3emu_fail(x, S3EMU_NOT_IMPLEMENTED);
		s3emu_detail(x, "Header", LAB_VIEW("If-None-Match"));
		return -1;
	}
	if (s3emu_write_conditions_check(x) < 0 || s3emu_commit(x) < 0)
		return -1;
	(void)s3emu_store_remove(x->s3, x->bucket, x->key);
	x->applied = true;
	version_header(x);
	x->out.response.status = 204;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * object.c - GET, HEAD, PUT, DELETE and copy of one object (s3 1.2, 1.3).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

static int no_such_key(struct s3emu_exchange *x, struct lab_view key)
{
	(void)s3emu_fail(x, S3EMU_NO_SUCH_KEY);
	s3emu_detail(x, "Key", key);
	return -1;
}

/* The bucket has no versions: every object's is "null". */
static int check_version(struct s3emu_exchange *x)
{
	const struct s3emu_param *version = s3emu_param(x, "versionId");

	if (version == NULL || lab_view_eq_cstr(version->value, "null"))
		return 0;
	return s3emu_fail_argument(x, "versionId", version->value, "Invalid version id specified");
}

static void last_modified(struct s3emu_exchange *x, const struct s3emu_object *object)
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

static int object_headers(struct s3emu_exchange *x, const struct s3emu_object *object, bool part)
{
	int mode = s3emu_checksum_mode(x);
	struct s3emu_checksum checksum;
	const char *type;
	bool typed = false;
	size_t i;

	if (mode < 0)
		return -1;
	last_modified(x, object);
	s3emu_header(x, "ETag", s3emu_object_etag(object));
	s3emu_header(x, "x-amz-server-side-encryption", LAB_VIEW("AES256"));
	s3emu_header(x, "Accept-Ranges", LAB_VIEW("bytes"));
	for (i = 0; i < object->header_count; i++) {
		const struct lab_http_header *header = &object->headers[i];
		struct lab_view standard = LAB_VIEW("STANDARD");

		if (lab_view_eq_cstr(header->name, "content-type"))
			typed = true;
		if (is_overridden(x, header->name) || lab_view_eq(header->value, standard) ||
			s3emu_is_checksum_header(header->name))
			continue;
		s3emu_header_view(x, header->name, header->value);
	}
	if (mode > 0 && !part) {
		type = s3emu_object_checksum(object, &checksum);
		s3emu_checksum_reply(x, &checksum, type);
	}
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
	s3emu_header(x, "Content-Range", lab_view_cstr(text));
	x->out.response.body = lab_view_sub(s3emu_object_body(object), range->first, range->count);
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
		last_modified(x, object);
		s3emu_header(x, "ETag", s3emu_object_etag(object));
		return 0;
	}
	part = s3emu_range_parse(x, object, &range);
	if (part < 0 || s3emu_commit(x) < 0 || object_headers(x, object, part > 0) < 0)
		return -1;
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

int s3emu_get_object(struct s3emu_exchange *x)
{
	if (check_version(x) < 0)
		return -1;
	/* The exchange keeps the reference until its body has been sent. */
	if (s3emu_read(x, &x->object) == 0)
		return no_such_key(x, x->key);
	return send_object(x, x->object);
}

/* ---- writing ---- */

static int check_write_conditions(struct s3emu_exchange *x)
{
	struct s3emu_object *old = NULL;
	int ret;

	if (s3emu_request_header(x, "If-Match").ptr == NULL &&
		s3emu_request_header(x, "If-None-Match").ptr == NULL)
		return 0;
	(void)s3emu_store_get(x->s3, x->bucket, x->key, &old);
	ret = s3emu_write_conditions(x, old);
	if (old != NULL)
		s3emu_object_unref(x->s3, old);
	return ret;
}

static void set_etag(struct s3emu_object *object, const uint8_t *md5)
{
	object->etag[0] = '"';
	lab_hex(md5, 16, object->etag + 1);
	object->etag[33] = '"';
	object->etag[34] = '\0';
}

/* Takes the reference on the blob. */
static struct s3emu_object *make_object(struct s3emu_exchange *x, struct s3emu_blob *blob,
	const struct lab_http_header *headers, size_t header_count)
{
	struct s3emu_content content = { .headers = headers, .header_count = header_count };
	struct s3emu_object *object = NULL;

	if (blob != NULL)
		object = s3emu_object_new(x->s3, blob, x->key.len, &content);
	if (object != NULL) {
		object->modified_us = s3emu_wall_us(x);
		return object;
	}
	if (blob != NULL)
		s3emu_blob_unref(x->s3, blob);
	(void)s3emu_fail(x, S3EMU_SERVICE_UNAVAILABLE);
	return NULL;
}

/* Takes the reference on the object. */
static int store(struct s3emu_exchange *x, struct s3emu_object *object)
{
	if (s3emu_store_put(x->s3, x->bucket, x->key, object) < 0) {
		s3emu_object_unref(x->s3, object);
		return s3emu_fail(x, S3EMU_SERVICE_UNAVAILABLE);
	}
	x->applied = true;
	x->bytes = object->size;
	x->body_hash = object->body_hash;
	return 0;
}

static int too_large(struct s3emu_exchange *x, uint64_t size)
{
	uint64_t max = x->s3->options.limits.object_bytes_max;

	(void)s3emu_fail(x, S3EMU_ENTITY_TOO_LARGE);
	s3emu_detail(
		x, "ProposedSize", lab_view_cstr(lab_arena_printf(x->arena, "%" PRIu64, size)));
	s3emu_detail(
		x, "MaxSizeAllowed", lab_view_cstr(lab_arena_printf(x->arena, "%" PRIu64, max)));
	return -1;
}

/* Without hash_bodies an ETag is something cheap that looks like one. */
static uint64_t hash_body(struct s3emu_exchange *x, uint8_t md5[16])
{
	uint64_t hash;
	size_t i;

	if (!x->s3->options.hash_bodies) {
		for (i = 0; i < 16; i += 8) {
			hash = lab_hash_view(i, x->body);
			memcpy(md5 + i, &hash, 8);
		}
	}
	hash = 0;
	for (i = 0; i < 8; i++)
		hash = hash << 8 | md5[i];
	return hash;
}

int s3emu_put_object(struct s3emu_exchange *x)
{
	struct lab_view body = x->body;
	struct s3emu_checksum checksum;
	struct lab_http_header *headers;
	struct s3emu_object *object;
	size_t header_count;
	uint8_t md5[16];

	if (check_version(x) < 0 || s3emu_write_headers_check(x) < 0)
		return -1;
	if (body.len > x->s3->options.limits.object_bytes_max)
		return too_large(x, body.len);
	if (s3emu_metadata(x, &headers, &header_count) < 0 ||
		s3emu_body_check(x, true, md5, &checksum) < 0 || check_write_conditions(x) < 0 ||
		s3emu_commit(x) < 0)
		return -1;
	s3emu_checksum_store(&checksum, S3EMU_FULL_OBJECT, headers, &header_count);
	object = make_object(x, s3emu_blob_new(x->s3, body), headers, header_count);
	if (object == NULL)
		return -1;
	object->body_hash = hash_body(x, md5);
	set_etag(object, md5);
	if (store(x, object) < 0)
		return -1;
	x->out.response.status = 200;
	s3emu_header(x, "ETag", lab_arena_copy(x->arena, s3emu_object_etag(object)));
	s3emu_header(x, "x-amz-server-side-encryption", LAB_VIEW("AES256"));
	s3emu_checksum_reply(x, &checksum, S3EMU_FULL_OBJECT);
	return 0;
}

int s3emu_delete_object(struct s3emu_exchange *x)
{
	if (check_version(x) < 0)
		return -1;
	if (s3emu_request_header(x, "If-None-Match").ptr != NULL) {
		(void)s3emu_fail(x, S3EMU_NOT_IMPLEMENTED);
		s3emu_detail(x, "Header", LAB_VIEW("If-None-Match"));
		return -1;
	}
	if (check_write_conditions(x) < 0 || s3emu_commit(x) < 0)
		return -1;
	(void)s3emu_store_remove(x->s3, x->bucket, x->key);
	x->applied = true;
	x->out.response.status = 204;
	return 0;
}

/* ---- copying ---- */

struct source {
	struct s3emu_bucket *bucket;
	struct lab_view key;
};

static int bad_source(struct s3emu_exchange *x, struct lab_view header)
{
	return s3emu_fail_argument(x, "x-amz-copy-source", header,
		"Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
}

/* "/bucket/key", "bucket/key", percent-encoded, perhaps "?versionId=null". */
static int parse_source(struct s3emu_exchange *x, struct source *ret)
{
	struct lab_view header = lab_view_trim(s3emu_request_header(x, "x-amz-copy-source"));
	struct lab_view path = header, version, bucket;
	size_t mark = lab_view_find_byte(header, '?'), slash;

	if (mark != SIZE_MAX) {
		path = lab_view_sub(header, 0, mark);
		version = lab_view_skip(header, mark + 1);
		if (!lab_view_eq_cstr(version, "versionId=null")) {
			return s3emu_fail_argument(
				x, "x-amz-copy-source", header, "Invalid version id specified");
		}
	}
	if (s3emu_unpercent(x->arena, path, false, &path) < 0)
		return bad_source(x, header);
	if (path.len > 0 && path.ptr[0] == '/')
		path = lab_view_skip(path, 1);
	slash = lab_view_find_byte(path, '/');
	if (slash == SIZE_MAX || slash + 1 == path.len)
		return bad_source(x, header);
	bucket = lab_view_sub(path, 0, slash);
	ret->key = lab_view_skip(path, slash + 1);
	ret->bucket = lab_tree_get(x->s3->buckets, bucket);
	if (ret->bucket == NULL) {
		(void)s3emu_fail(x, S3EMU_NO_SUCH_BUCKET);
		s3emu_detail(x, "BucketName", bucket);
		return -1;
	}
	return s3emu_may_use(x, ret->bucket) ? 0 : s3emu_fail(x, S3EMU_ACCESS_DENIED);
}

/* 1 REPLACE, 0 COPY. */
static int parse_directive(struct s3emu_exchange *x)
{
	struct lab_view directive = s3emu_request_header(x, "x-amz-metadata-directive");
	struct lab_view tagging = s3emu_request_header(x, "x-amz-tagging-directive");

	if (tagging.ptr != NULL && !lab_view_eq_cstr(tagging, "COPY")) {
		(void)s3emu_fail(x, S3EMU_NOT_IMPLEMENTED);
		s3emu_detail(x, "Header", LAB_VIEW("x-amz-tagging-directive"));
		return -1;
	}
	if (directive.ptr == NULL || lab_view_eq_cstr(directive, "COPY"))
		return 0;
	if (lab_view_eq_cstr(directive, "REPLACE"))
		return 1;
	return s3emu_fail_argument(
		x, "x-amz-metadata-directive", directive, "Unknown metadata directive.");
}

static bool copies_to_itself(const struct s3emu_exchange *x, const struct source *source)
{
	return source->bucket == x->bucket && lab_view_eq(source->key, x->key) &&
	       s3emu_request_header(x, "x-amz-storage-class").ptr == NULL &&
	       s3emu_request_header(x, "x-amz-website-redirect-location").ptr == NULL;
}

/* Everything that may be wrong with a copy whose source is `from`. */
static int check_copy(struct s3emu_exchange *x, const struct source *source,
	const struct s3emu_object *from, bool replace)
{
	if (!replace && copies_to_itself(x, source)) {
		return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
			"This copy request is illegal because it is trying to copy an object to "
			"itself without changing the object's metadata, storage class, website "
			"redirect location or encryption attributes.");
	}
	if (s3emu_read_conditions(x, "x-amz-copy-source-", from) < 0 ||
		check_write_conditions(x) < 0)
		return -1;
	return s3emu_commit(x);
}

static int copy_result(struct s3emu_exchange *x, const struct s3emu_object *object)
{
	s3emu_xml_begin(x, "CopyObjectResult");
	s3emu_xml_time(x, "LastModified", object->modified_us);
	s3emu_xml_text(x, "ETag", s3emu_object_etag(object));
	s3emu_header(x, "x-amz-server-side-encryption", LAB_VIEW("AES256"));
	return s3emu_xml_end(x, "CopyObjectResult");
}

/* The body is shared, not copied. */
static int copy_from(struct s3emu_exchange *x, const struct source *source,
	const struct s3emu_object *from, bool replace)
{
	const struct lab_http_header *headers = from->headers;
	size_t header_count = from->header_count;
	struct lab_http_header *given;
	struct s3emu_object *object;

	if (replace) {
		if (s3emu_metadata(x, &given, &header_count) < 0)
			return -1;
		headers = given;
	}
	if (check_copy(x, source, from, replace) < 0)
		return -1;
	from->blob->references++;
	object = make_object(x, from->blob, headers, header_count);
	if (object == NULL)
		return -1;
	object->body_hash = from->body_hash;
	memcpy(object->etag, from->etag, sizeof(object->etag));
	if (store(x, object) < 0)
		return -1;
	return copy_result(x, object);
}

int s3emu_copy_object(struct s3emu_exchange *x)
{
	struct s3emu_object *from;
	struct source source;
	int replace, ret;

	replace = parse_directive(x);
	if (replace < 0 || s3emu_write_headers_check(x) < 0 || parse_source(x, &source) < 0)
		return -1;
	if (s3emu_store_get(x->s3, source.bucket, source.key, &from) == 0)
		return no_such_key(x, source.key);
	ret = copy_from(x, &source, from, replace > 0);
	s3emu_object_unref(x->s3, from);
	return ret;
}

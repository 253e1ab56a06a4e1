/* SPDX-License-Identifier: Apache-2.0
 *
 * copy.c - PUT with x-amz-copy-source, of an object or of a part's source (s3 1.3).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

static int bad_source(struct s3emu_exchange *x, struct lab_view header)
{
	return s3emu_fail_argument(x, "x-amz-copy-source", header,
		"Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
}

/* "/bucket/key", "bucket/key", percent-encoded, perhaps "?versionId=null". */
static int parse_source(struct s3emu_exchange *x, struct s3emu_source *ret)
{
	struct lab_view header = lab_view_trim(s3emu_request_header(x, "x-amz-copy-source"));
	struct lab_view path = header, version = LAB_VIEW("null"), bucket;
	size_t mark = lab_view_find_byte(header, '?'), slash;

	if (mark != SIZE_MAX) {
		path = lab_view_sub(header, 0, mark);
		version = lab_view_skip(header, mark + 1);
		if (!lab_view_starts_with(version, LAB_VIEW("versionId=")))
			return bad_source(x, header);
		version = lab_view_skip(version, 10);
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
	if (s3emu_version_is_null(x, version, ret->key) < 0)
		return -1;
	ret->bucket = lab_tree_get(x->s3->buckets, bucket);
	if (ret->bucket == NULL) {
		(void)s3emu_fail(x, S3EMU_NO_SUCH_BUCKET);
		s3emu_detail(x, "BucketName", bucket);
		return -1;
	}
	if (!s3emu_may_use(x, ret->bucket))
		return s3emu_fail(x, S3EMU_ACCESS_DENIED);
	return s3emu_expected_owner(x, "x-amz-source-expected-bucket-owner", ret->bucket);
}

int s3emu_source_open(struct s3emu_exchange *x, struct s3emu_source *ret)
{
	struct s3emu_object *object;

	if (parse_source(x, ret) < 0)
		return -1;
	if (s3emu_store_get(x->s3, ret->bucket, ret->key, &object) == 0)
		return s3emu_no_such_key(x, ret->key);
	ret->object = object;
	if (s3emu_readable(x, object) == 0 &&
		s3emu_read_conditions(x, "x-amz-copy-source-", object) == 0)
		return 0;
	s3emu_object_unref(x->s3, object);
	return -1;
}

/* ---- objects ---- */

/* Which of a directive's two values: 1 REPLACE, 0 COPY. */
static int parse_directive(struct s3emu_exchange *x, const char *name, const char *message)
{
	struct lab_view directive = s3emu_request_header(x, name);

	if (directive.ptr == NULL || lab_view_eq_cstr(directive, "COPY"))
		return 0;
	if (lab_view_eq_cstr(directive, "REPLACE"))
		return 1;
	return s3emu_fail_argument(x, name, directive, message);
}

static bool copies_to_itself(const struct s3emu_exchange *x, const struct s3emu_source *source)
{
	return source->bucket == x->bucket && lab_view_eq(source->key, x->key) &&
	       s3emu_request_header(x, "x-amz-storage-class").ptr == NULL &&
	       s3emu_request_header(x, "x-amz-website-redirect-location").ptr == NULL;
}

static int check_copy(struct s3emu_exchange *x, const struct s3emu_source *source, bool replace)
{
	uint64_t max = x->s3->options.limits.object_bytes_max;

	if (!replace && copies_to_itself(x, source)) {
		return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
			"This copy request is illegal because it is trying to copy an object to "
			"itself without changing the object's metadata, storage class, website "
			"redirect location or encryption attributes.");
	}
	if (source->object->size > max) {
		return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
			lab_arena_printf(x->arena,
				"The specified copy source is larger than the maximum allowable "
				"size for a copy source: %" PRIu64,
				max));
	}
	return s3emu_write_conditions_check(x);
}

static int copy_result(struct s3emu_exchange *x, const struct s3emu_object *object,
	const struct s3emu_checksum *checksum)
{
	s3emu_xml_begin(x, "CopyObjectResult");
	s3emu_xml_time(x, "LastModified", object->modified_us);
	s3emu_xml_text(x, "ETag", s3emu_object_etag(object));
	s3emu_xml_checksum(x, checksum, S3EMU_FULL_OBJECT);
	s3emu_header(x, "x-amz-server-side-encryption", LAB_VIEW("AES256"));
	return s3emu_xml_end(x, "CopyObjectResult");
}

/* What is said of each object anew, in the request or not at all. */
static const char *const not_copied[] = { "x-amz-storage-class",
	"x-amz-website-redirect-location" };

static bool is_copied(struct lab_view name)
{
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(not_copied); i++) {
		if (lab_view_eq_cstr(name, not_copied[i]))
			return false;
	}
	return !s3emu_header_is_ours(name) && !s3emu_is_checksum_header(name);
}

static struct lab_http_header *kept_headers(
	struct s3emu_exchange *x, const struct s3emu_object *from, size_t *ret_count)
{
	struct lab_http_header *headers = lab_arena_array(x->arena, struct lab_http_header,
		from->header_count + LAB_COUNT_OF(not_copied) + S3EMU_NOTES_MAX);
	size_t i, count = 0;

	for (i = 0; i < from->header_count; i++) {
		if (is_copied(from->headers[i].name))
			headers[count++] = from->headers[i];
	}
	for (i = 0; i < LAB_COUNT_OF(not_copied); i++) {
		struct lab_view value = s3emu_request_header(x, not_copied[i]);

		if (value.ptr != NULL)
			headers[count++] = (struct lab_http_header){ lab_view_cstr(not_copied[i]),
				lab_view_trim(value) };
	}
	*ret_count = count;
	return headers;
}

/* The source's, if it is one of the whole and no other was asked for; else it is computed anew: a
 * checksum of parts is none of the copy, which is in one piece (s3 1.9). */
static int copy_checksum(
	struct s3emu_exchange *x, const struct s3emu_object *from, struct s3emu_checksum *ret)
{
	const char *type = s3emu_object_checksum(from, ret);
	enum s3emu_algorithm wanted;
	int asked = s3emu_checksum_algorithm_asked(x, &wanted);

	if (asked <= 0)
		wanted = type == NULL ? S3EMU_CRC64NVME : ret->algorithm;
	if (asked < 0 ||
		(type != NULL && strcmp(type, S3EMU_FULL_OBJECT) == 0 && wanted == ret->algorithm))
		return asked < 0 ? -1 : 0;
	*ret = (struct s3emu_checksum){ 0 };
	if (x->s3->options.hash_bodies)
		s3emu_checksum_make(x, wanted, s3emu_object_body(from), ret);
	return 0;
}

struct directives {
	int metadata, tagging; /* 1 REPLACE, 0 COPY */
};

/* Headers, checksum, and tags of the copy. */
static int make_content(struct s3emu_exchange *x, const struct s3emu_object *from,
	const struct directives *directives, struct s3emu_checksum *checksum,
	struct s3emu_content *ret)
{
	struct lab_http_header *headers;

	if (directives->metadata == 0)
		headers = kept_headers(x, from, &ret->header_count);
	else if (s3emu_metadata(x, &headers, &ret->header_count) < 0)
		return -1;
	ret->headers = headers;
	if (copy_checksum(x, from, checksum) < 0)
		return -1;
	s3emu_checksum_store(checksum, S3EMU_FULL_OBJECT, headers, &ret->header_count);
	if (directives->tagging > 0)
		return s3emu_tags_take(x, headers, &ret->header_count);
	s3emu_tags_copy(from, headers, &ret->header_count);
	return 0;
}

/* The body is shared, not copied. A copy is in one piece, whatever its source was made of. */
static int copy_from(struct s3emu_exchange *x, const struct s3emu_source *source,
	const struct directives *directives)
{
	struct s3emu_object *from = source->object, *object;
	struct s3emu_content content = { 0 };
	struct s3emu_checksum checksum;
	uint8_t md5[16];

	if (make_content(x, from, directives, &checksum, &content) < 0 ||
		check_copy(x, source, directives->metadata > 0) < 0 || s3emu_commit(x) < 0)
		return -1;
	from->blob->references++;
	object = s3emu_object_make(x, from->blob, x->key.len, &content);
	if (object == NULL)
		return -1;
	if (from->part_count > 0) {
		s3emu_digest(x->s3, s3emu_object_body(from), md5);
		s3emu_object_digest_set(object, md5);
	} else {
		memcpy(object->etag, from->etag, sizeof(object->etag));
		object->body_hash = from->body_hash;
	}
	if (s3emu_object_keep(x, S3EMU_SPACE_OBJECTS, x->key, object) < 0)
		return -1;
	return copy_result(x, object, &checksum);
}

int s3emu_copy_object(struct s3emu_exchange *x)
{
	struct directives directives = {
		parse_directive(x, "x-amz-metadata-directive", "Unknown metadata directive."),
		parse_directive(x, "x-amz-tagging-directive", "Unknown tagging directive."),
	};
	struct s3emu_source source;
	int ret;

	if (directives.metadata < 0 || directives.tagging < 0 || s3emu_version_refuse(x) < 0 ||
		s3emu_write_headers_check(x) < 0 || s3emu_source_open(x, &source) < 0)
		return -1;
	ret = copy_from(x, &source, &directives);
	s3emu_object_unref(x->s3, source.object);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * multipart.c - uploads in parts: begun, filled, given up (s3 1.3). complete.c finishes them,
 * upload-list.c lists them.
 *
 * An upload and each of its parts are objects in the space of uploads. Their keys sort as S3 lists
 * them: by key, then upload id (which begins with the time), then part number.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

/* ---- keys in the space of uploads ---- */

/* A zero byte becomes 00 FF, and 00 01 ends the key: so no key's uploads mix with those of a key
 * that begins with it, and the order of the bytes stays. */
void s3emu_upload_key_begin(struct lab_buf *out, struct lab_view key)
{
	size_t i;

	for (i = 0; i < key.len; i++) {
		lab_buf_append_byte(out, key.ptr[i]);
		if (key.ptr[i] == 0)
			lab_buf_append_byte(out, 0xff);
	}
}

struct lab_view s3emu_upload_key(
	struct s3emu_exchange *x, struct lab_view key, struct lab_view id, uint32_t part)
{
	struct lab_buf *buf = &x->scratch;

	lab_buf_reset(buf);
	s3emu_upload_key_begin(buf, key);
	lab_buf_append_u16(buf, 1);
	lab_buf_append_view(buf, id);
	if (part > 0)
		lab_buf_append_u16(buf, (uint16_t)part);
	return lab_arena_copy(x->arena, lab_buf_view(buf));
}

/* Where the key ends in a stored one. */
static size_t key_end(struct lab_view stored)
{
	size_t i = 0;

	while (stored.ptr[i] != 0 || stored.ptr[i + 1] != 1)
		i += stored.ptr[i] == 0 ? 2 : 1;
	return i;
}

void s3emu_upload_key_parse(
	struct s3emu_exchange *x, struct lab_view stored, struct s3emu_upload_name *ret)
{
	size_t end = key_end(stored), i;
	struct lab_view rest = lab_view_skip(stored, end + 2);
	uint8_t *key = lab_arena_alloc(x->arena, end);

	ret->key = lab_view_of(key, 0);
	for (i = 0; i < end; i++) {
		key[ret->key.len++] = stored.ptr[i];
		if (stored.ptr[i] == 0)
			i++;
	}
	ret->id = lab_arena_copy(x->arena, lab_view_sub(rest, 0, S3EMU_UPLOAD_ID_LEN));
	rest = lab_view_skip(rest, S3EMU_UPLOAD_ID_LEN);
	ret->part = rest.len == 2 ? (uint32_t)rest.ptr[0] << 8 | rest.ptr[1] : 0;
}

/* ---- finding ---- */

int s3emu_upload_next(struct s3emu_exchange *x, struct lab_view from, bool after,
	struct lab_view *ret_key, struct s3emu_object **ret)
{
	struct s3emu *s3 = x->s3;

	return s3->engine_ops->next(
		s3->engine, x->bucket, S3EMU_SPACE_UPLOADS, from, after, ret_key, ret);
}

int s3emu_upload_head(struct s3emu_exchange *x, struct lab_view key, struct s3emu_object **ret)
{
	struct lab_view found;

	if (s3emu_upload_next(x, key, false, &found, ret) == 0)
		return 0;
	if (lab_view_eq(found, key))
		return 1;
	s3emu_object_unref(x->s3, *ret);
	return 0;
}

int s3emu_no_such_upload(struct s3emu_exchange *x)
{
	(void)s3emu_fail(x, S3EMU_NO_SUCH_UPLOAD);
	s3emu_detail(x, "UploadId", s3emu_param(x, "uploadId")->value);
	return -1;
}

int s3emu_upload_find(struct s3emu_exchange *x, struct s3emu_upload *ret)
{
	ret->id = s3emu_param(x, "uploadId")->value;
	if (ret->id.len != S3EMU_UPLOAD_ID_LEN)
		return s3emu_no_such_upload(x);
	ret->store_key = s3emu_upload_key(x, x->key, ret->id, 0);
	if (s3emu_upload_head(x, ret->store_key, &ret->object) == 0)
		return s3emu_no_such_upload(x);
	return 0;
}

int s3emu_part_number(struct s3emu_exchange *x, uint32_t *ret)
{
	const struct s3emu_param *param = s3emu_param(x, "partNumber");
	uint64_t number;

	if (param == NULL)
		return 0;
	if (lab_view_to_u64(param->value, &number) < 0 || number < 1 || number > S3EMU_PARTS_MAX) {
		return s3emu_fail_argument(x, "partNumber", param->value,
			"Part number must be an integer between 1 and 10000, inclusive");
	}
	*ret = (uint32_t)number;
	return 1;
}

/* ---- POST ?uploads ---- */

/* The time, so that ids sort by age; then what makes them different and hard to guess. */
static void make_id(struct s3emu_exchange *x, uint64_t salt, char id[S3EMU_UPLOAD_ID_LEN + 1])
{
	uint64_t unique = lab_draw(x->s3->id_key, "s3.upload-id", x->sequence, salt);
	uint64_t time_us = (uint64_t)s3emu_wall_us(x);
	uint8_t bytes[S3EMU_UPLOAD_ID_LEN / 2];
	size_t i;

	for (i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(time_us >> (56 - 8 * i));
	/* Of one microsecond, the order of the requests. */
	bytes[8] = (uint8_t)(x->sequence >> 8);
	bytes[9] = (uint8_t)x->sequence;
	for (i = 10; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(unique >> (8 * (i - 10)));
	lab_hex(bytes, sizeof(bytes), id);
}

/* The clock may have been set back since an upload of that id began: ids are never used twice. */
static struct lab_view new_upload(struct s3emu_exchange *x, char id[S3EMU_UPLOAD_ID_LEN + 1])
{
	struct s3emu_object *taken;
	struct lab_view key;
	uint64_t salt;

	for (salt = 0;; salt++) {
		make_id(x, salt, id);
		key = s3emu_upload_key(x, x->key, lab_view_cstr(id), 0);
		if (s3emu_upload_head(x, key, &taken) == 0)
			return key;
		s3emu_object_unref(x->s3, taken);
	}
}

static int refuse_conditions(struct s3emu_exchange *x)
{
	static const char *const names[] = { "If-Match", "If-None-Match" };
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(names); i++) {
		if (s3emu_request_header(x, names[i]).ptr == NULL)
			continue;
		(void)s3emu_fail(x, S3EMU_NOT_IMPLEMENTED);
		s3emu_detail(x, "Header", lab_view_cstr(names[i]));
		return -1;
	}
	return 0;
}

static int create_result(struct s3emu_exchange *x, const char *id)
{
	s3emu_xml_begin(x, "InitiateMultipartUploadResult");
	s3emu_xml_text(x, "Bucket", x->bucket_name);
	s3emu_xml_text(x, "Key", x->key);
	s3emu_xml_text(x, "UploadId", lab_view_cstr(id));
	s3emu_header(x, "x-amz-server-side-encryption", LAB_VIEW("AES256"));
	return s3emu_xml_end(x, "InitiateMultipartUploadResult");
}

int s3emu_create_upload(struct s3emu_exchange *x)
{
	char id[S3EMU_UPLOAD_ID_LEN + 1];
	struct lab_http_header *headers;
	struct s3emu_content content = { 0 };
	struct s3emu_upload_checksum checksum;
	struct s3emu_object *upload;
	struct s3emu_body body;
	struct lab_view key;

	if (s3emu_version_refuse(x) < 0 || refuse_conditions(x) < 0 ||
		s3emu_write_headers_check(x) < 0 || s3emu_upload_checksum_asked(x, &checksum) < 0 ||
		s3emu_body_read(x, &body) < 0 ||
		s3emu_metadata(x, &headers, &content.header_count) < 0 ||
		s3emu_tags_take(x, headers, &content.header_count) < 0 || s3emu_commit(x) < 0)
		return -1;
	headers[content.header_count].name = LAB_VIEW(S3EMU_INITIATOR);
	headers[content.header_count++].value = x->account;
	s3emu_upload_checksum_store(x, &checksum, headers, &content.header_count);
	content.headers = headers;
	key = new_upload(x, id);
	upload = s3emu_object_make(
		x, s3emu_blob_new(x->s3, lab_view_of(NULL, 0)), key.len, &content);
	if (upload == NULL || s3emu_object_keep(x, S3EMU_SPACE_UPLOADS, key, upload) < 0)
		return -1;
	return create_result(x, id);
}

/* ---- PUT ?partNumber&uploadId ---- */

/* The number, the key that the part is stored under, and which checksum it must have; the upload
 * must be there. */
static int part_target(struct s3emu_exchange *x, struct lab_view *ret_key,
	struct s3emu_upload_checksum *ret_checksum)
{
	struct s3emu_upload upload;
	uint32_t number = 0;
	int found = s3emu_part_number(x, &number);

	if (found < 0 || s3emu_write_headers_check(x) < 0 || refuse_conditions(x) < 0)
		return -1;
	if (found == 0) {
		return s3emu_fail_argument(x, "partNumber", lab_view_of(NULL, 0),
			"Part number must be an integer between 1 and 10000, inclusive");
	}
	if (s3emu_param(x, "uploadId") == NULL) {
		return s3emu_fail_argument(
			x, "uploadId", lab_view_of(NULL, 0), "This operation requires an uploadId");
	}
	if (s3emu_upload_find(x, &upload) < 0)
		return -1;
	s3emu_upload_checksum_of(upload.object, ret_checksum);
	s3emu_object_unref(x->s3, upload.object);
	*ret_key = s3emu_upload_key(x, x->key, upload.id, number);
	return 0;
}

int s3emu_upload_part(struct s3emu_exchange *x)
{
	struct lab_http_header headers[2];
	struct s3emu_content content = { .headers = headers };
	struct s3emu_upload_checksum checksum;
	struct s3emu_body body;
	struct lab_view key;

	if (part_target(x, &key, &checksum) < 0 || s3emu_size_check(x, x->body.len) < 0 ||
		s3emu_body_read(x, &body) < 0 ||
		s3emu_part_checksum(x, &checksum, x->body, &body.checksum) < 0 ||
		s3emu_commit(x) < 0)
		return -1;
	s3emu_checksum_store(&body.checksum, S3EMU_FULL_OBJECT, headers, &content.header_count);
	return s3emu_body_keep(x, S3EMU_SPACE_UPLOADS, key, &content, &body);
}

/* ---- the same, from another object ---- */

static int bad_range(struct s3emu_exchange *x, struct lab_view range)
{
	return s3emu_fail_argument(x, "x-amz-copy-source-range", range,
		"The x-amz-copy-source-range value must be of the form bytes=first-last where "
		"first and last are the zero-based offsets of the first and last bytes to copy");
}

static int range_outside(struct s3emu_exchange *x, struct lab_view range, uint64_t size)
{
	return s3emu_fail_argument(x, "x-amz-copy-source-range", range,
		lab_arena_printf(x->arena,
			"Range specified is not valid for source object of size: %" PRIu64, size));
}

/* Unlike Range, this one must be right. */
static int source_range(struct s3emu_exchange *x, uint64_t size, struct s3emu_range *ret)
{
	struct lab_view range = s3emu_request_header(x, "x-amz-copy-source-range"), last;
	uint64_t from, to;
	size_t dash;

	*ret = (struct s3emu_range){ 0, size };
	if (range.ptr == NULL)
		return 0;
	if (!lab_view_starts_with(range, LAB_VIEW("bytes=")))
		return bad_range(x, range);
	last = lab_view_skip(range, 6);
	dash = lab_view_find_byte(last, '-');
	if (dash == SIZE_MAX || lab_view_to_u64(lab_view_sub(last, 0, dash), &from) < 0 ||
		lab_view_to_u64(lab_view_skip(last, dash + 1), &to) < 0 || to < from)
		return bad_range(x, range);
	if (to >= size)
		return range_outside(x, range, size);
	*ret = (struct s3emu_range){ from, to - from + 1 };
	return 0;
}

static int copy_part_result(struct s3emu_exchange *x, const struct s3emu_object *part,
	const struct s3emu_checksum *checksum)
{
	s3emu_xml_begin(x, "CopyPartResult");
	s3emu_xml_time(x, "LastModified", part->modified_us);
	s3emu_xml_text(x, "ETag", s3emu_object_etag(part));
	s3emu_xml_checksum(x, checksum, NULL);
	s3emu_header(x, "x-amz-server-side-encryption", LAB_VIEW("AES256"));
	return s3emu_xml_end(x, "CopyPartResult");
}

static int copy_part(struct s3emu_exchange *x, struct lab_view key, struct s3emu_object *from,
	const struct s3emu_upload_checksum *upload)
{
	struct lab_http_header headers[2];
	struct s3emu_content content = { .headers = headers };
	struct s3emu_checksum checksum;
	struct s3emu_blob *blob = from->blob;
	struct s3emu_object *part;
	struct s3emu_range range;
	struct lab_view body;
	uint8_t md5[16];

	if (source_range(x, from->size, &range) < 0 || s3emu_size_check(x, range.count) < 0 ||
		s3emu_commit(x) < 0)
		return -1;
	body = lab_view_sub(s3emu_object_body(from), range.first, range.count);
	if (range.count == from->size)
		blob->references++;
	else
		blob = s3emu_blob_new(x->s3, body);
	s3emu_part_checksum_copy(x, upload, body, &checksum);
	s3emu_checksum_store(&checksum, S3EMU_FULL_OBJECT, headers, &content.header_count);
	part = s3emu_object_make(x, blob, key.len, &content);
	if (part == NULL)
		return -1;
	s3emu_digest(x->s3, body, md5);
	s3emu_object_digest_set(part, md5);
	if (s3emu_object_keep(x, S3EMU_SPACE_UPLOADS, key, part) < 0)
		return -1;
	return copy_part_result(x, part, &checksum);
}

int s3emu_upload_part_copy(struct s3emu_exchange *x)
{
	struct s3emu_upload_checksum checksum;
	struct s3emu_source source;
	struct lab_view key;
	int ret;

	if (part_target(x, &key, &checksum) < 0 || s3emu_source_open(x, &source) < 0)
		return -1;
	ret = copy_part(x, key, source.object, &checksum);
	s3emu_object_unref(x->s3, source.object);
	return ret;
}

/* ---- DELETE ?uploadId ---- */

void s3emu_upload_drop(struct s3emu_exchange *x, const struct s3emu_upload *upload)
{
	struct s3emu *s3 = x->s3;
	struct s3emu_object *object;
	struct lab_view key;

	while (s3emu_upload_next(x, upload->store_key, false, &key, &object) > 0) {
		bool ours = lab_view_starts_with(key, upload->store_key);

		s3emu_object_unref(s3, object);
		if (!ours)
			break;
		key = lab_arena_copy(x->arena, key);
		(void)s3->engine_ops->remove(s3->engine, x->bucket, S3EMU_SPACE_UPLOADS, key);
	}
}

int s3emu_abort_upload(struct s3emu_exchange *x)
{
	struct s3emu_upload upload;

	if (s3emu_upload_find(x, &upload) < 0)
		return -1;
	s3emu_object_unref(x->s3, upload.object);
	if (s3emu_commit(x) < 0)
		return -1;
	s3emu_upload_drop(x, &upload);
	x->applied = true;
	x->out.response.status = 204;
	return 0;
}

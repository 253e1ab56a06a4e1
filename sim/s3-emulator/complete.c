/* SPDX-License-Identifier: Apache-2.0
 *
 * complete.c - POST ?uploadId: parts become an object (s3 1.3).
 *
 * The body is put together once, in one piece, beside the parts: for that moment there must be room
 * for both. An upload of one part gives its body away.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#include <stdio.h> /* snprintf */

#define ROOT "CompleteMultipartUpload"
#define PART ROOT "/Part"
#define CHECKSUM PART "/Checksum"
#define CHECKSUM_HEADER "x-amz-checksum-"

/* One part as the client lists it, and what is stored of it. */
struct item {
	bool has_number;
	uint64_t number;
	struct lab_view etag;                /* without quotes */
	struct lab_view algorithm, checksum; /* "CRC32", and its value in base64; perhaps absent */
	uint64_t size;
	uint8_t md5[16];
	uint32_t sum_len; /* of the checksum that was agreed; 0: the part has none */
	uint8_t sum[S3EMU_CHECKSUM_MAX];
};

struct complete {
	struct s3emu_exchange *x;
	struct s3emu_upload upload;
	struct item *items;
	size_t count, capacity;
	bool has_root;
	uint64_t total;
	char etag[48]; /* of the object, with quotes */
	struct s3emu_part *parts;
	struct s3emu_upload_checksum agreed;
	struct s3emu_checksum checksum; /* of the object */
};

/* ---- the body of the request ---- */

static int open_part(struct complete *complete)
{
	if (complete->count == complete->capacity)
		return -1;
	complete->count++;
	return 0;
}

static bool is_checksum(const char *path)
{
	return strncmp(path, CHECKSUM, sizeof(CHECKSUM) - 1) == 0 &&
	       strchr(path + sizeof(CHECKSUM) - 1, '/') == NULL;
}

static int on_open(void *ctx, const char *path)
{
	struct complete *complete = ctx;

	if (strcmp(path, PART) == 0)
		return open_part(complete);
	if (strcmp(path, ROOT) == 0)
		complete->has_root = true;
	else if (strcmp(path, PART "/PartNumber") != 0 && strcmp(path, PART "/ETag") != 0 &&
		 !is_checksum(path))
		return -1;
	return 0;
}

static struct lab_view without_quotes(struct lab_view etag)
{
	etag = lab_view_trim(etag);
	if (etag.len >= 2 && etag.ptr[0] == '"' && etag.ptr[etag.len - 1] == '"')
		etag = lab_view_sub(etag, 1, etag.len - 2);
	return etag;
}

static int close_checksum(
	struct complete *complete, struct item *item, const char *path, struct lab_view text)
{
	struct lab_arena *arena = complete->x->arena;

	if (item->algorithm.ptr != NULL)
		return -1;
	item->algorithm = lab_arena_copy(arena, lab_view_cstr(path + sizeof(CHECKSUM) - 1));
	item->checksum = lab_arena_copy(arena, lab_view_trim(text));
	return 0;
}

static int on_close(void *ctx, const char *path, struct lab_view text)
{
	struct complete *complete = ctx;
	struct item *item;

	if (strcmp(path, ROOT) == 0)
		return 0;
	item = &complete->items[complete->count - 1];
	if (strcmp(path, PART) == 0)
		return item->has_number && item->etag.ptr != NULL ? 0 : -1;
	if (is_checksum(path))
		return close_checksum(complete, item, path, text);
	if (strcmp(path, PART "/ETag") == 0) {
		if (item->etag.ptr != NULL)
			return -1;
		item->etag = lab_arena_copy(complete->x->arena, without_quotes(text));
		return 0;
	}
	if (item->has_number)
		return -1;
	item->has_number = true;
	return lab_view_to_u64(lab_view_trim(text), &item->number);
}

static int read_list(struct complete *complete)
{
	struct s3emu_exchange *x = complete->x;
	struct s3emu_xml_handler handler = { on_open, on_close, complete };

	if (x->body.len == 0) {
		return s3emu_fail_text(
			x, S3EMU_INVALID_REQUEST, "You must specify at least one part");
	}
	/* No part that is right takes fewer bytes. */
	complete->capacity = LAB_MIN((size_t)S3EMU_PARTS_MAX, x->body.len / 40 + 1);
	complete->items = lab_arena_array(x->arena, struct item, complete->capacity);
	if (s3emu_xml_parse(x, x->body, &handler) < 0)
		return -1;
	if (!complete->has_root || complete->count == 0)
		return s3emu_fail(x, S3EMU_MALFORMED_XML);
	return 0;
}

/* ---- is the list right? ---- */

static int check_numbers(struct complete *complete)
{
	struct s3emu_exchange *x = complete->x;
	size_t i;

	for (i = 0; i < complete->count; i++) {
		uint64_t number = complete->items[i].number;

		if (number < 1 || number > S3EMU_PARTS_MAX) {
			return s3emu_fail_argument(x, "PartNumber",
				lab_view_cstr(lab_arena_printf(x->arena, "%" PRIu64, number)),
				number < 1 ? "PartNumber must be >= 1"
					   : "Part number must be an integer between 1 and 10000, "
					     "inclusive");
		}
		if (i > 0 && number <= complete->items[i - 1].number) {
			(void)s3emu_fail(x, S3EMU_INVALID_PART_ORDER);
			s3emu_detail(x, "UploadId", s3emu_param(x, "uploadId")->value);
			return -1;
		}
	}
	return 0;
}

static int invalid_part(struct complete *complete, const struct item *item)
{
	struct s3emu_exchange *x = complete->x;

	(void)s3emu_fail(x, S3EMU_INVALID_PART);
	s3emu_detail(x, "UploadId", complete->upload.id);
	s3emu_detail_u64(x, "PartNumber", item->number);
	s3emu_detail(x, "ETag", item->etag);
	return -1;
}

/* What the client says of a part's checksum must be what was checked when the part came. */
static bool checksum_matches(const struct item *item, const struct s3emu_object *part)
{
	size_t i;

	if (item->algorithm.ptr == NULL)
		return true;
	for (i = 0; i < part->header_count; i++) {
		const struct lab_http_header *header = &part->headers[i];

		if (lab_view_starts_with(header->name, LAB_VIEW(CHECKSUM_HEADER)) &&
			lab_view_eq_nocase(lab_view_skip(header->name, sizeof(CHECKSUM_HEADER) - 1),
				item->algorithm))
			return lab_view_eq(header->value, item->checksum);
	}
	return false;
}

static int check_part(struct complete *complete, struct item *item)
{
	struct s3emu_exchange *x = complete->x;
	struct lab_view key =
		s3emu_upload_key(x, x->key, complete->upload.id, (uint32_t)item->number);
	struct s3emu_object *part;
	struct lab_view etag;
	bool right;

	if (s3emu_upload_head(x, key, &part) == 0)
		return invalid_part(complete, item);
	etag = without_quotes(s3emu_object_etag(part));
	right = lab_view_eq(etag, item->etag) && checksum_matches(item, part) &&
		lab_unhex(etag, item->md5, sizeof(item->md5)) == 0;
	item->size = part->size;
	item->sum_len = s3emu_part_checksum_bytes(x, part, complete->agreed.algorithm, item->sum);
	s3emu_object_unref(x->s3, part);
	if (item->algorithm.ptr == NULL && strcmp(complete->agreed.type, S3EMU_COMPOSITE) == 0)
		return s3emu_part_checksum_missing(x, &complete->agreed, item->number);
	return right ? 0 : invalid_part(complete, item);
}

static int check_sizes(struct complete *complete)
{
	struct s3emu_exchange *x = complete->x;
	uint64_t min = x->s3->options.limits.part_bytes_min;
	size_t i;

	complete->total = 0;
	for (i = 0; i < complete->count; i++) {
		const struct item *item = &complete->items[i];

		complete->total += item->size;
		if (item->size >= min || i + 1 == complete->count)
			continue;
		(void)s3emu_fail(x, S3EMU_ENTITY_TOO_SMALL);
		s3emu_detail_u64(x, "ProposedSize", item->size);
		s3emu_detail_u64(x, "MinSizeAllowed", min);
		s3emu_detail_u64(x, "PartNumber", item->number);
		s3emu_detail(x, "ETag", item->etag);
		return -1;
	}
	return 0;
}

static int check_whole_size(struct complete *complete)
{
	struct s3emu_exchange *x = complete->x;
	struct lab_view said = s3emu_request_header(x, "x-amz-mp-object-size");
	uint64_t size;

	if (said.ptr == NULL)
		return 0;
	if (lab_view_to_u64(lab_view_trim(said), &size) < 0) {
		return s3emu_fail_argument(x, "x-amz-mp-object-size", said,
			"Value for x-amz-mp-object-size header is invalid.");
	}
	if (size == complete->total)
		return 0;
	return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		lab_arena_printf(x->arena,
			"The provided 'x-amz-mp-object-size' header value %" PRIu64
			" does not match what was computed: %" PRIu64,
			size, complete->total));
}

/* What is remembered of the parts, and the object's checksum. */
static void make_parts(struct complete *complete)
{
	struct s3emu_exchange *x = complete->x;
	size_t i;

	complete->parts = lab_arena_array(x->arena, struct s3emu_part, complete->count);
	for (i = 0; i < complete->count; i++) {
		const struct item *item = &complete->items[i];
		struct s3emu_part *part = &complete->parts[i];

		memset(part, 0, sizeof(*part));
		part->number = (uint32_t)item->number;
		part->size = item->size;
		part->checksum_len = item->sum_len;
		memcpy(part->checksum, item->sum, item->sum_len);
	}
	(void)s3emu_parts_checksum(
		x, &complete->agreed, complete->parts, complete->count, &complete->checksum);
}

static int check_list(struct complete *complete)
{
	size_t i;

	s3emu_upload_checksum_of(complete->upload.object, &complete->agreed);
	for (i = 0; i < complete->count; i++) {
		if (check_part(complete, &complete->items[i]) < 0)
			return -1;
	}
	if (check_sizes(complete) < 0 || check_whole_size(complete) < 0)
		return -1;
	make_parts(complete);
	if (s3emu_complete_checksum_check(complete->x, &complete->agreed, &complete->checksum) < 0)
		return -1;
	return s3emu_write_conditions_check(complete->x);
}

/* ---- the object ---- */

/* Of the parts' digests, behind each other; and how many there are. */
static void make_etag(struct complete *complete)
{
	uint8_t *md5s = lab_arena_alloc(complete->x->arena, complete->count * 16), md5[16];
	char hex[33];
	size_t i;

	for (i = 0; i < complete->count; i++)
		memcpy(md5s + 16 * i, complete->items[i].md5, 16);
	lab_digest(LAB_MD5, lab_view_of(md5s, complete->count * 16), md5);
	lab_hex(md5, 16, hex);
	(void)snprintf(complete->etag, sizeof(complete->etag), "\"%s-%zu\"", hex, complete->count);
}

static struct s3emu_object *get_part(struct complete *complete, const struct item *item)
{
	struct s3emu_exchange *x = complete->x;
	struct s3emu *s3 = x->s3;
	struct s3emu_object *part = NULL;
	struct lab_view key =
		s3emu_upload_key(x, x->key, complete->upload.id, (uint32_t)item->number);
	int found = s3->engine_ops->get(s3->engine, x->bucket, S3EMU_SPACE_UPLOADS, key, &part);

	lab_assert(found == 1);
	return part;
}

/* NULL if there is no room. */
static struct s3emu_blob *join_bodies(struct complete *complete)
{
	struct s3emu *s3 = complete->x->s3;
	struct s3emu_blob *blob = NULL;
	uint64_t at = 0;
	size_t i;

	if (complete->count > 1) {
		blob = s3emu_blob_alloc(s3, complete->total);
		if (blob == NULL)
			return NULL;
	}
	for (i = 0; i < complete->count; i++) {
		struct s3emu_object *part = get_part(complete, &complete->items[i]);

		if (blob == NULL) {
			blob = part->blob;
			blob->references++;
		} else if (part->size > 0) {
			memcpy(blob->data + at, part->blob->data, part->size);
		}
		at += part->size;
		s3emu_object_unref(s3, part);
	}
	return blob;
}

/* What was said when the upload began, and which upload it was: Complete may come again. */
static void fill_content(struct complete *complete, struct s3emu_content *content)
{
	const struct s3emu_object *upload = complete->upload.object;
	struct lab_arena *arena = complete->x->arena;
	struct lab_http_header *headers = lab_arena_array(
		arena, struct lab_http_header, upload->header_count + S3EMU_NOTES_MAX);
	size_t i, count = 0;

	for (i = 0; i < upload->header_count; i++) {
		if (!s3emu_header_is_ours(upload->headers[i].name))
			headers[count++] = upload->headers[i];
	}
	s3emu_tags_copy(upload, headers, &count);
	headers[count].name = LAB_VIEW(S3EMU_UPLOAD_ID);
	headers[count++].value = complete->upload.id;
	s3emu_checksum_store(&complete->checksum, complete->agreed.type, headers, &count);
	*content = (struct s3emu_content){ headers, count, complete->parts, complete->count };
}

static int assemble(struct complete *complete)
{
	struct s3emu_exchange *x = complete->x;
	struct s3emu_content content;
	struct s3emu_object *object;
	uint8_t md5[16];

	fill_content(complete, &content);
	object = s3emu_object_make(x, join_bodies(complete), x->key.len, &content);
	if (object == NULL)
		return -1;
	s3emu_digest(x->s3, s3emu_object_body(object), md5);
	s3emu_object_digest_set(object, md5);
	memcpy(object->etag, complete->etag, sizeof(object->etag));
	if (s3emu_object_keep(x, S3EMU_SPACE_OBJECTS, x->key, object) < 0)
		return -1;
	s3emu_upload_drop(x, &complete->upload);
	return 0;
}

/* ---- the answer ---- */

static int answer(struct complete *complete)
{
	struct s3emu_exchange *x = complete->x;

	s3emu_xml_begin(x, "CompleteMultipartUploadResult");
	lab_buf_append_cstr(&x->xml, x->request->tls ? "<Location>https://" : "<Location>http://");
	lab_buf_append_xml(&x->xml, x->request->authority);
	lab_buf_append_byte(&x->xml, '/');
	if (!x->virtual_host) {
		lab_buf_append_view(&x->xml, x->bucket_name);
		lab_buf_append_byte(&x->xml, '/');
	}
	lab_buf_append_percent(&x->xml, x->key, false);
	lab_buf_append_cstr(&x->xml, "</Location>");
	s3emu_xml_text(x, "Bucket", x->bucket_name);
	s3emu_xml_text(x, "Key", x->key);
	s3emu_xml_text(x, "ETag", lab_view_cstr(complete->etag));
	s3emu_xml_checksum(x, &complete->checksum, complete->agreed.type);
	s3emu_header(x, "x-amz-server-side-encryption", LAB_VIEW("AES256"));
	return s3emu_xml_end(x, "CompleteMultipartUploadResult");
}

static bool same_parts(struct complete *complete, const struct s3emu_object *object)
{
	size_t i;

	if (!lab_view_eq(s3emu_object_header(object, S3EMU_UPLOAD_ID),
		    s3emu_param(complete->x, "uploadId")->value) ||
		object->part_count != complete->count)
		return false;
	for (i = 0; i < complete->count; i++) {
		struct item *item = &complete->items[i];

		if (object->parts[i].number != item->number ||
			lab_unhex(item->etag, item->md5, sizeof(item->md5)) < 0)
			return false;
	}
	make_etag(complete);
	return strcmp(complete->etag, object->etag) == 0;
}

/* The upload is not there. If the object under its key was made of it, and of these parts, then
 * somebody asks again whose answer was lost. */
static int repeat(struct complete *complete)
{
	struct s3emu_exchange *x = complete->x;
	struct s3emu_object *object;
	bool same;

	if (s3emu_store_get(x->s3, x->bucket, x->key, &object) == 0)
		return s3emu_no_such_upload(x);
	same = same_parts(complete, object);
	complete->agreed.type = s3emu_object_checksum(object, &complete->checksum);
	complete->checksum.value = lab_arena_copy(x->arena, complete->checksum.value);
	s3emu_object_unref(x->s3, object);
	if (!same)
		return s3emu_no_such_upload(x);
	if (s3emu_write_conditions_check(x) < 0 || s3emu_commit(x) < 0)
		return -1;
	return answer(complete);
}

static int complete_upload(struct complete *complete)
{
	if (check_list(complete) < 0 || s3emu_commit(complete->x) < 0)
		return -1;
	make_etag(complete);
	if (assemble(complete) < 0)
		return -1;
	return answer(complete);
}

int s3emu_complete_upload(struct s3emu_exchange *x)
{
	struct complete complete = { .x = x };
	int ret;

	if (s3emu_md5_check(x) < 0 || read_list(&complete) < 0 || check_numbers(&complete) < 0)
		return -1;
	if (s3emu_upload_find(x, &complete.upload) < 0) {
		x->error.code = NULL;
		return repeat(&complete);
	}
	ret = complete_upload(&complete);
	s3emu_object_unref(x->s3, complete.upload.object);
	return ret;
}

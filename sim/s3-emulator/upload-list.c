/* SPDX-License-Identifier: Apache-2.0
 *
 * upload-list.c - ListMultipartUploads and ListParts (s3 1.3).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

static struct lab_view initiator(const struct s3emu_object *upload)
{
	return s3emu_object_header(upload, S3EMU_INITIATOR);
}

/* ---- GET ?uploads ---- */

struct uploads {
	struct s3emu_list list;
	struct lab_view key_marker, id_marker;
	struct lab_view from;              /* in the space of uploads; ptr NULL at the end */
	struct lab_view last_key, last_id; /* id: empty behind a group */
};

/* A stored key that is above all of this upload's, or of this key's if the id is empty. */
static struct lab_view above(struct uploads *uploads, struct lab_view key, struct lab_view id)
{
	struct s3emu_exchange *x = uploads->list.x;

	return s3emu_list_above(x->arena, s3emu_upload_key(x, key, id, 0));
}

/* Of everything whose key begins with `prefix`. */
static struct lab_view below_prefix(struct uploads *uploads, struct lab_view prefix)
{
	struct s3emu_exchange *x = uploads->list.x;

	lab_buf_reset(&x->scratch);
	s3emu_upload_key_begin(&x->scratch, prefix);
	return lab_arena_copy(x->arena, lab_buf_view(&x->scratch));
}

static int parse_markers(struct uploads *uploads)
{
	struct s3emu_exchange *x = uploads->list.x;

	uploads->last_key = uploads->last_id = lab_view_of(NULL, 0);
	(void)s3emu_list_take(x, "key-marker", &uploads->key_marker);
	(void)s3emu_list_take(x, "upload-id-marker", &uploads->id_marker);
	/* Without a key marker it is ignored, as S3 says. */
	if (uploads->key_marker.len == 0 || uploads->id_marker.len == 0) {
		uploads->id_marker = lab_view_of(NULL, 0);
		return 0;
	}
	if (uploads->id_marker.len != S3EMU_UPLOAD_ID_LEN) {
		return s3emu_fail_argument(
			x, "upload-id-marker", uploads->id_marker, "Invalid uploadId marker");
	}
	return 0;
}

static void start(struct uploads *uploads)
{
	struct lab_view key = uploads->key_marker, prefix = uploads->list.prefix, group;

	uploads->from = below_prefix(uploads, prefix);
	if (key.len == 0 || lab_view_cmp(key, prefix) < 0)
		return;
	uploads->from = above(uploads, key, uploads->id_marker);
	if (!lab_view_starts_with(key, prefix))
		return;
	group = s3emu_list_group(&uploads->list, key);
	if (group.ptr != NULL && group.len == key.len)
		uploads->from =
			s3emu_list_above(uploads->list.x->arena, below_prefix(uploads, group));
}

static void append_upload(struct uploads *uploads, const struct s3emu_upload_name *name,
	const struct s3emu_object *upload)
{
	struct s3emu_list *list = &uploads->list;
	struct lab_buf *buf = &list->contents;

	lab_buf_append_cstr(buf, "<Upload>");
	s3emu_list_name(list, buf, "Key", name->key);
	lab_buf_printf(buf, "<UploadId>%.*s</UploadId>", LAB_VIEW_ARG(name->id));
	s3emu_list_account(buf, "Initiator", initiator(upload));
	s3emu_list_account(buf, "Owner", s3emu_list_owner(list->x));
	s3emu_list_class(buf, upload);
	s3emu_list_time(buf, "Initiated", upload->modified_us);
	lab_buf_append_cstr(buf, "</Upload>");
}

static void take(struct uploads *uploads, const struct s3emu_upload_name *name,
	const struct s3emu_object *upload)
{
	struct s3emu_list *list = &uploads->list;
	struct lab_view group = s3emu_list_group(list, name->key);

	list->count++;
	if (group.ptr != NULL) {
		s3emu_list_prefix(list, group);
		uploads->last_key = group;
		uploads->last_id = lab_view_of(NULL, 0);
		uploads->from = s3emu_list_above(list->x->arena, below_prefix(uploads, group));
		return;
	}
	append_upload(uploads, name, upload);
	uploads->last_key = name->key;
	uploads->last_id = name->id;
	uploads->from = above(uploads, name->key, name->id);
}

/* False at the end. Parts are jumped over: only an upload's own entry is ever met. */
static bool step(struct uploads *uploads)
{
	struct s3emu_exchange *x = uploads->list.x;
	struct s3emu_upload_name name;
	struct s3emu_object *upload;
	struct lab_view key;
	bool more;

	if (uploads->from.ptr == NULL ||
		s3emu_upload_next(x, uploads->from, false, &key, &upload) == 0)
		return false;
	s3emu_upload_key_parse(x, key, &name);
	lab_assert(name.part == 0);
	more = lab_view_starts_with(name.key, uploads->list.prefix) &&
	       !s3emu_list_is_full(&uploads->list);
	if (more)
		take(uploads, &name, upload);
	s3emu_object_unref(x->s3, upload);
	return more;
}

static int answer_uploads(struct uploads *uploads)
{
	struct s3emu_list *list = &uploads->list;
	struct s3emu_exchange *x = list->x;

	s3emu_xml_begin(x, "ListMultipartUploadsResult");
	s3emu_xml_text(x, "Bucket", x->bucket_name);
	s3emu_list_name(list, &x->xml, "KeyMarker", uploads->key_marker);
	s3emu_xml_text(x, "UploadIdMarker", uploads->id_marker);
	if (list->truncated) {
		s3emu_list_name(list, &x->xml, "NextKeyMarker", uploads->last_key);
		s3emu_xml_text(x, "NextUploadIdMarker", uploads->last_id);
	}
	s3emu_xml_u64(x, "MaxUploads", list->max);
	s3emu_list_scope(list);
	return s3emu_list_end(list, "ListMultipartUploadsResult");
}

int s3emu_list_uploads(struct s3emu_exchange *x)
{
	struct uploads uploads;

	if (s3emu_list_parse(&uploads.list, x, "max-uploads") < 0 || parse_markers(&uploads) < 0 ||
		s3emu_commit(x) < 0)
		return -1;
	s3emu_list_begin(&uploads.list);
	start(&uploads);
	while (uploads.list.max > 0 && step(&uploads))
		;
	return answer_uploads(&uploads);
}

/* ---- GET ?uploadId ---- */

static int parse_part_marker(struct s3emu_exchange *x, uint64_t *ret)
{
	struct lab_view text;

	*ret = 0;
	if (!s3emu_list_take(x, "part-number-marker", &text) || text.len == 0)
		return 0;
	if (lab_view_to_u64(text, ret) == 0 && *ret <= INT32_MAX)
		return 0;
	return s3emu_fail_argument(x, "part-number-marker", text,
		"Provided part-number-marker not an integer or within integer range");
}

static void append_checksum(struct lab_buf *buf, const struct s3emu_object *part)
{
	struct s3emu_checksum checksum;
	const char *element;

	if (s3emu_object_checksum(part, &checksum) == NULL)
		return;
	element = s3emu_algorithm_element(checksum.algorithm);
	lab_buf_printf(buf, "<%s>%.*s</%s>", element, LAB_VIEW_ARG(checksum.value), element);
}

static void append_part(struct lab_buf *buf, uint32_t number, const struct s3emu_object *part)
{
	lab_buf_printf(buf, "<Part><PartNumber>%u</PartNumber>", number);
	s3emu_list_time(buf, "LastModified", part->modified_us);
	lab_buf_append_cstr(buf, "<ETag>");
	lab_buf_append_xml(buf, s3emu_object_etag(part));
	lab_buf_printf(buf, "</ETag><Size>%" PRIu64 "</Size>", part->size);
	append_checksum(buf, part);
	lab_buf_append_cstr(buf, "</Part>");
}

/* The last number that is shown, `marker` if none is. */
static uint64_t walk_parts(
	struct s3emu_list *list, const struct s3emu_upload *upload, uint64_t marker)
{
	struct s3emu_exchange *x = list->x;
	struct lab_view from = upload->store_key, key;
	struct s3emu_upload_name name;
	struct s3emu_object *part;
	bool more = list->max > 0 && marker < S3EMU_PARTS_MAX;

	if (more && marker > 0)
		from = s3emu_upload_key(x, x->key, upload->id, (uint32_t)marker);
	while (more && s3emu_upload_next(x, from, true, &key, &part) > 0) {
		more = lab_view_starts_with(key, upload->store_key) && !s3emu_list_is_full(list);
		if (more) {
			s3emu_upload_key_parse(x, key, &name);
			append_part(&list->contents, name.part, part);
			list->count++;
			marker = name.part;
			from = s3emu_upload_key(x, x->key, upload->id, name.part);
		}
		s3emu_object_unref(x->s3, part);
	}
	return marker;
}

static int answer_parts(struct s3emu_list *list, const struct s3emu_upload *upload, uint64_t marker)
{
	struct s3emu_exchange *x = list->x;
	uint64_t last;

	s3emu_list_begin(list);
	last = walk_parts(list, upload, marker);
	s3emu_xml_begin(x, "ListPartsResult");
	s3emu_xml_text(x, "Bucket", x->bucket_name);
	s3emu_list_name(list, &x->xml, "Key", x->key);
	s3emu_xml_text(x, "UploadId", upload->id);
	s3emu_list_account(&x->xml, "Initiator", initiator(upload->object));
	s3emu_list_account(&x->xml, "Owner", s3emu_list_owner(x));
	s3emu_list_class(&x->xml, upload->object);
	s3emu_xml_u64(x, "PartNumberMarker", marker);
	s3emu_xml_u64(x, "NextPartNumberMarker", list->count == 0 ? 0 : last);
	s3emu_xml_u64(x, "MaxParts", list->max);
	if (list->encode)
		s3emu_xml_text(x, "EncodingType", LAB_VIEW("url"));
	s3emu_xml_text(x, "IsTruncated", list->truncated ? LAB_VIEW("true") : LAB_VIEW("false"));
	return s3emu_list_end(list, "ListPartsResult");
}

int s3emu_list_parts(struct s3emu_exchange *x)
{
	struct s3emu_upload upload;
	struct s3emu_list list;
	uint64_t marker;
	int ret;

	if (s3emu_list_parse(&list, x, "max-parts") < 0 || parse_part_marker(x, &marker) < 0 ||
		s3emu_upload_find(x, &upload) < 0)
		return -1;
	ret = s3emu_commit(x) < 0 ? -1 : answer_parts(&list, &upload, marker);
	s3emu_object_unref(x->s3, upload.object);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * attributes.c - GET ?attributes: what an object is, in one answer.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

enum attribute {
	CHECKSUM = 1,
	ETAG = 2,
	OBJECT_PARTS = 4,
	OBJECT_SIZE = 8,
	STORAGE_CLASS = 16
};

static const char *const names[] = { "Checksum", "ETag", "ObjectParts", "ObjectSize",
	"StorageClass" };

static int add_names(struct s3emu_exchange *x, struct lab_view list, unsigned *wanted)
{
	struct lab_view item;
	size_t i;

	while (lab_view_split(&list, ',', &item)) {
		item = lab_view_trim(item);
		for (i = 0; i < LAB_COUNT_OF(names) && !lab_view_eq_cstr(item, names[i]); i++)
			;
		if (i == LAB_COUNT_OF(names)) {
			return s3emu_fail_argument(x, "x-amz-object-attributes", item,
				"Invalid attribute name specified.");
		}
		*wanted |= 1u << i;
	}
	return 0;
}

/* The header may come several times. */
static int parse_wanted(struct s3emu_exchange *x, unsigned *wanted)
{
	const struct lab_http_headers *headers = &x->request->headers;
	size_t i;

	*wanted = 0;
	for (i = 0; i < headers->count; i++) {
		if (lab_view_eq_nocase(
			    headers->items[i].name, LAB_VIEW("x-amz-object-attributes")) &&
			add_names(x, headers->items[i].value, wanted) < 0)
			return -1;
	}
	if (*wanted != 0)
		return 0;
	return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		"The x-amz-object-attributes header specifying the attributes to be retrieved is "
		"either missing or empty");
}

/* A number in a header, up to `max`. */
static int parse_number(struct s3emu_exchange *x, const char *name, uint64_t max, uint64_t *value)
{
	struct lab_view text = s3emu_request_header(x, name);

	if (text.ptr == NULL)
		return 0;
	if (lab_view_to_u64(lab_view_trim(text), value) < 0 || *value > INT32_MAX) {
		return s3emu_fail_argument(x, name, text,
			lab_arena_printf(x->arena,
				"Provided %s not an integer or within integer range", name));
	}
	*value = LAB_MIN(*value, max);
	return 0;
}

struct page {
	uint64_t marker, max;
};

static void append_checksum(struct s3emu_exchange *x, const struct s3emu_object *object)
{
	struct s3emu_checksum checksum;
	const char *type = s3emu_object_checksum(object, &checksum);

	if (type == NULL)
		return;
	lab_buf_append_cstr(&x->xml, "<Checksum>");
	s3emu_xml_text(x, s3emu_algorithm_element(checksum.algorithm), checksum.value);
	s3emu_xml_text(x, "ChecksumType", lab_view_cstr(type));
	lab_buf_append_cstr(&x->xml, "</Checksum>");
}

static void append_part(struct s3emu_exchange *x, const struct s3emu_object *object, size_t index)
{
	const struct s3emu_part *part = &object->parts[index];
	struct s3emu_checksum checksum;

	lab_buf_append_cstr(&x->xml, "<Part>");
	s3emu_xml_u64(x, "PartNumber", index + 1);
	s3emu_xml_u64(x, "Size", part->size);
	if (part->checksum_len > 0 && s3emu_object_checksum(object, &checksum) != NULL)
		s3emu_xml_text(x, s3emu_algorithm_element(checksum.algorithm),
			s3emu_base64(x, part->checksum, part->checksum_len));
	lab_buf_append_cstr(&x->xml, "</Part>");
}

/* Parts are counted as GET ?partNumber counts them. */
static void append_parts(
	struct s3emu_exchange *x, const struct s3emu_object *object, const struct page *page)
{
	uint64_t first = LAB_MIN(page->marker, (uint64_t)object->part_count);
	uint64_t end = LAB_MIN(first + page->max, (uint64_t)object->part_count), i;
	bool more = page->max > 0 && end < object->part_count;

	if (object->part_count == 0)
		return;
	lab_buf_append_cstr(&x->xml, "<ObjectParts>");
	s3emu_xml_u64(x, "PartsCount", object->part_count);
	s3emu_xml_u64(x, "PartNumberMarker", page->marker);
	s3emu_xml_u64(x, "NextPartNumberMarker", end);
	s3emu_xml_u64(x, "MaxParts", page->max);
	s3emu_xml_text(x, "IsTruncated", more ? LAB_VIEW("true") : LAB_VIEW("false"));
	for (i = first; i < end; i++)
		append_part(x, object, i);
	lab_buf_append_cstr(&x->xml, "</ObjectParts>");
}

static int answer(struct s3emu_exchange *x, const struct s3emu_object *object, unsigned wanted,
	const struct page *page)
{
	struct lab_view etag = s3emu_object_etag(object);

	s3emu_last_modified(x, object);
	s3emu_xml_begin(x, "GetObjectAttributesOutput");
	if ((wanted & ETAG) != 0)
		s3emu_xml_text(x, "ETag", lab_view_sub(etag, 1, etag.len - 2));
	if ((wanted & CHECKSUM) != 0)
		append_checksum(x, object);
	if ((wanted & OBJECT_PARTS) != 0)
		append_parts(x, object, page);
	if ((wanted & STORAGE_CLASS) != 0)
		s3emu_list_class(&x->xml, object);
	if ((wanted & OBJECT_SIZE) != 0)
		s3emu_xml_u64(x, "ObjectSize", object->size);
	return s3emu_xml_end(x, "GetObjectAttributesOutput");
}

int s3emu_get_attributes(struct s3emu_exchange *x)
{
	struct page page = { 0, S3EMU_LIST_MAX };
	struct s3emu_object *object;
	unsigned wanted;
	int ret;

	if (s3emu_version_check(x) < 0 || parse_wanted(x, &wanted) < 0 ||
		parse_number(x, "x-amz-max-parts", S3EMU_LIST_MAX, &page.max) < 0 ||
		parse_number(x, "x-amz-part-number-marker", S3EMU_PARTS_MAX, &page.marker) < 0)
		return -1;
	if (s3emu_store_get(x->s3, x->bucket, x->key, &object) == 0)
		return s3emu_no_such_key(x, x->key);
	ret = s3emu_read_conditions(x, "", object);
	if (ret > 0) {
		x->out.response.status = 304;
		s3emu_last_modified(x, object);
		ret = 0;
	} else if (ret == 0) {
		ret = answer(x, object, wanted, &page);
	}
	s3emu_object_unref(x->s3, object);
	return ret;
}

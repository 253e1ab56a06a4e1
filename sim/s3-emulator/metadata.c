/* SPDX-License-Identifier: Apache-2.0
 *
 * metadata.c - the headers that are stored with an object, and those that we cannot honour (s3 1.2,
 * 1.4).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define META_PREFIX "x-amz-meta-"
#define META_PREFIX_LEN (sizeof(META_PREFIX) - 1)

/* Stored as they are, beside x-amz-meta-*. */
static const char *const stored[] = { "cache-control", "content-disposition", "content-encoding",
	"content-language", "content-type", "expires", "x-amz-storage-class",
	"x-amz-website-redirect-location" };

/* A write that asks for one of these would be answered as if it had been done. */
static const char *const not_there[] = { "x-amz-object-lock-legal-hold", "x-amz-object-lock-mode",
	"x-amz-object-lock-retain-until-date", "x-amz-server-side-encryption-aws-kms-key-id",
	"x-amz-server-side-encryption-context", "x-amz-server-side-encryption-customer-algorithm",
	"x-amz-server-side-encryption-customer-key", "x-amz-write-offset-bytes",
	"x-amz-copy-source-server-side-encryption-customer-algorithm" };

static const char *const grants[] = { "x-amz-grant-full-control", "x-amz-grant-read",
	"x-amz-grant-read-acp", "x-amz-grant-write", "x-amz-grant-write-acp" };

static const char *const storage_classes[] = { "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA",
	"ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR" };

static int not_implemented(struct s3emu_exchange *x, const char *header)
{
	(void)s3emu_fail(x, S3EMU_NOT_IMPLEMENTED);
	s3emu_detail(x, "Header", lab_view_cstr(header));
	return -1;
}

static bool acl_is_default(struct lab_view acl)
{
	return acl.ptr == NULL || lab_view_eq_cstr(acl, "private") ||
	       lab_view_eq_cstr(acl, "bucket-owner-full-control");
}

static int check_storage_class(struct s3emu_exchange *x)
{
	struct lab_view class = s3emu_request_header(x, "x-amz-storage-class");
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(storage_classes); i++) {
		if (class.ptr == NULL || lab_view_eq_cstr(class, storage_classes[i]))
			return 0;
	}
	(void)s3emu_fail(x, S3EMU_INVALID_STORAGE_CLASS);
	s3emu_detail(x, "StorageClassRequested", class);
	return -1;
}

int s3emu_write_headers_check(struct s3emu_exchange *x)
{
	struct lab_view sse = s3emu_request_header(x, "x-amz-server-side-encryption");
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(not_there); i++) {
		if (s3emu_request_header(x, not_there[i]).ptr != NULL)
			return not_implemented(x, not_there[i]);
	}
	for (i = 0; i < LAB_COUNT_OF(grants); i++) {
		if (s3emu_request_header(x, grants[i]).ptr != NULL)
			return s3emu_fail(x, S3EMU_ACL_NOT_SUPPORTED);
	}
	if (!acl_is_default(s3emu_request_header(x, "x-amz-acl")))
		return s3emu_fail(x, S3EMU_ACL_NOT_SUPPORTED);
	if (sse.ptr != NULL && !lab_view_eq_cstr(sse, "AES256"))
		return not_implemented(x, "x-amz-server-side-encryption");
	return check_storage_class(x);
}

/* ---- what is stored ---- */

static bool is_meta(struct lab_view name)
{
	return name.len > META_PREFIX_LEN &&
	       lab_view_eq_nocase(lab_view_sub(name, 0, META_PREFIX_LEN), LAB_VIEW(META_PREFIX));
}

static bool is_stored(struct lab_view name)
{
	size_t i;

	if (is_meta(name))
		return true;
	for (i = 0; i < LAB_COUNT_OF(stored); i++) {
		if (lab_view_eq_nocase(name, lab_view_cstr(stored[i])))
			return true;
	}
	return false;
}

static struct lab_view lower(struct lab_arena *arena, struct lab_view name)
{
	uint8_t *out = lab_arena_alloc(arena, name.len);
	size_t i;

	for (i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];

		out[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
	}
	return lab_view_of(out, name.len);
}

static bool is_ascii(struct lab_view text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (text.ptr[i] >= 0x80)
			return false;
	}
	return true;
}

/* S3 gives back what is not ASCII as an RFC 2047 word (s3 1.4). */
static struct lab_view storable_value(struct s3emu_exchange *x, struct lab_view value)
{
	struct lab_buf buf;

	value = lab_view_trim(value);
	if (is_ascii(value))
		return value;
	lab_buf_init(&buf, x->s3->heap, 2 * S3EMU_HEADERS_MAX);
	lab_buf_append_cstr(&buf, "=?UTF-8?B?");
	lab_buf_append_base64(&buf, value);
	lab_buf_append_cstr(&buf, "?=");
	value = lab_arena_copy(x->arena, lab_buf_view(&buf));
	lab_buf_done(&buf);
	return value;
}

/* aws-chunked is an encoding of the transfer, not of the object: it is not stored (s3 1.8). */
static struct lab_view without_aws_chunked(struct s3emu_exchange *x, struct lab_view value)
{
	uint8_t *kept = lab_arena_alloc(x->arena, value.len);
	struct lab_view rest = value, coding;
	size_t len = 0;
	bool found = false;

	if (value.len == 0)
		return value;
	while (lab_view_split(&rest, ',', &coding)) {
		coding = lab_view_trim(coding);
		if (lab_view_eq_nocase(coding, LAB_VIEW("aws-chunked"))) {
			found = true;
			continue;
		}
		if (coding.len == 0)
			continue;
		/* Never more than there was: each but the first had a comma before it. */
		if (len > 0)
			kept[len++] = ',';
		memcpy(kept + len, coding.ptr, coding.len);
		len += coding.len;
	}
	return found ? lab_view_of(kept, len) : value;
}

static void join(struct s3emu_exchange *x, struct lab_http_header *header, struct lab_view more)
{
	uint8_t *text = lab_arena_alloc(x->arena, header->value.len + 1 + more.len);

	if (header->value.len > 0)
		memcpy(text, header->value.ptr, header->value.len);
	text[header->value.len] = ',';
	if (more.len > 0)
		memcpy(text + header->value.len + 1, more.ptr, more.len);
	header->value = lab_view_of(text, header->value.len + 1 + more.len);
}

static void add(struct s3emu_exchange *x, struct lab_http_header *headers, size_t *count,
	const struct lab_http_header *header)
{
	struct lab_view name = lower(x->arena, header->name);
	struct lab_view value = storable_value(x, header->value);
	size_t i;

	if (lab_view_eq_cstr(name, "content-encoding")) {
		value = without_aws_chunked(x, value);
		if (value.len == 0)
			return;
	}
	for (i = 0; i < *count; i++) {
		if (lab_view_eq(headers[i].name, name)) {
			join(x, &headers[i], value);
			return;
		}
	}
	headers[*count].name = name;
	headers[(*count)++].value = value;
}

static int check_size(struct s3emu_exchange *x, const struct lab_http_header *headers, size_t count)
{
	size_t i, bytes = 0;

	for (i = 0; i < count; i++) {
		if (is_meta(headers[i].name))
			bytes += headers[i].name.len - META_PREFIX_LEN + headers[i].value.len;
	}
	if (bytes <= S3EMU_METADATA_MAX && count + 2 <= S3EMU_STORED_HEADERS_MAX)
		return 0;
	(void)s3emu_fail(x, S3EMU_METADATA_TOO_LARGE);
	s3emu_detail(x, "Size", lab_view_cstr(lab_arena_printf(x->arena, "%zu", bytes)));
	s3emu_detail(x, "MaxSizeAllowed", LAB_VIEW("2048"));
	return -1;
}

int s3emu_metadata(struct s3emu_exchange *x, struct lab_http_header **ret, size_t *ret_count)
{
	const struct lab_http_headers *headers = &x->request->headers;
	struct lab_http_header *out;
	size_t i, count = 0;

	out = lab_arena_array(x->arena, struct lab_http_header, headers->count + S3EMU_NOTES_MAX);
	for (i = 0; i < headers->count; i++) {
		if (is_stored(headers->items[i].name))
			add(x, out, &count, &headers->items[i]);
	}
	*ret = out;
	*ret_count = count;
	return check_size(x, out, count);
}

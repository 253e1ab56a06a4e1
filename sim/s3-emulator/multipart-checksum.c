/* SPDX-License-Identifier: Apache-2.0
 *
 * multipart-checksum.c - checksums of uploads in parts (s3 1.9): what was agreed when the upload
 * began, what each part must bring, and what becomes of them: one over all checksums ("...-N"), or,
 * of CRCs, that of the whole object.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#include "core/base/crc.h"

/* Note of an upload: "CRC32 COMPOSITE"; absent if nothing was agreed. */
#define NOTE ":checksum"

static bool is_crc(enum s3emu_algorithm which)
{
	return which == S3EMU_CRC32 || which == S3EMU_CRC32C || which == S3EMU_CRC64NVME;
}

static enum lab_crc_kind crc_kind(enum s3emu_algorithm which)
{
	if (which == S3EMU_CRC32)
		return LAB_CRC32;
	return which == S3EMU_CRC32C ? LAB_CRC32C : LAB_CRC64NVME;
}

static const char *lower(struct s3emu_exchange *x, const char *text)
{
	char *out = lab_arena_printf(x->arena, "%s", text);
	size_t i;

	for (i = 0; out[i] != '\0'; i++) {
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] + 32);
	}
	return out;
}

static const char *lower_name(struct s3emu_exchange *x, enum s3emu_algorithm which)
{
	return which == S3EMU_NO_ALGORITHM ? "null" : lower(x, s3emu_algorithm_name(which));
}

/* ---- when the upload begins ---- */

/* NULL after s3emu_fail(). */
static const char *asked_type(struct s3emu_exchange *x, enum s3emu_algorithm which)
{
	struct lab_view type = s3emu_request_header(x, "x-amz-checksum-type");
	const char *known;

	if (type.ptr == NULL)
		return which == S3EMU_CRC64NVME ? S3EMU_FULL_OBJECT : S3EMU_COMPOSITE;
	if (lab_view_eq_cstr(type, S3EMU_COMPOSITE)) {
		known = S3EMU_COMPOSITE;
	} else if (lab_view_eq_cstr(type, S3EMU_FULL_OBJECT)) {
		known = S3EMU_FULL_OBJECT;
	} else {
		(void)s3emu_fail_checksum_value(x, "x-amz-checksum-type", "header");
		return NULL;
	}
	if (known[0] == 'C' ? which != S3EMU_CRC64NVME : is_crc(which))
		return known;
	(void)s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		lab_arena_printf(x->arena,
			"The %s checksum type cannot be used with the %s checksum algorithm.",
			known, lower_name(x, which)));
	return NULL;
}

int s3emu_upload_checksum_asked(struct s3emu_exchange *x, struct s3emu_upload_checksum *ret)
{
	int asked = s3emu_checksum_algorithm_asked(x, &ret->algorithm);

	ret->type = S3EMU_FULL_OBJECT;
	if (asked < 0)
		return -1;
	if (asked > 0) {
		ret->type = asked_type(x, ret->algorithm);
		return ret->type != NULL ? 0 : -1;
	}
	if (s3emu_request_header(x, "x-amz-checksum-type").ptr == NULL)
		return 0;
	return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		"The x-amz-checksum-type header can only be used with the "
		"x-amz-checksum-algorithm header.");
}

void s3emu_upload_checksum_store(struct s3emu_exchange *x,
	const struct s3emu_upload_checksum *checksum, struct lab_http_header *headers,
	size_t *count)
{
	const char *name = s3emu_algorithm_name(checksum->algorithm);

	if (name == NULL)
		return;
	headers[(*count)++] = (struct lab_http_header){ LAB_VIEW(NOTE),
		lab_view_cstr(lab_arena_printf(x->arena, "%s %s", name, checksum->type)) };
	s3emu_header(x, "x-amz-checksum-algorithm", lab_view_cstr(name));
	s3emu_header(x, "x-amz-checksum-type", lab_view_cstr(checksum->type));
}

void s3emu_upload_checksum_of(const struct s3emu_object *upload, struct s3emu_upload_checksum *ret)
{
	struct lab_view note = s3emu_object_header(upload, NOTE);
	size_t space = lab_view_find_byte(note, ' ');

	ret->algorithm = s3emu_algorithm_named(lab_view_sub(note, 0, space));
	ret->type = lab_view_ends_with(note, LAB_VIEW(S3EMU_COMPOSITE)) ? S3EMU_COMPOSITE
									: S3EMU_FULL_OBJECT;
}

/* ---- parts ---- */

static int mismatch(
	struct s3emu_exchange *x, enum s3emu_algorithm expected, enum s3emu_algorithm actual)
{
	return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		lab_arena_printf(x->arena,
			"Checksum Type mismatch occurred, expected checksum Type: %s, actual "
			"checksum Type: %s",
			lower_name(x, expected), lower_name(x, actual)));
}

int s3emu_part_checksum(struct s3emu_exchange *x, const struct s3emu_upload_checksum *upload,
	struct lab_view body, struct s3emu_checksum *checksum)
{
	bool sent = checksum->name != NULL && !checksum->computed;
	bool composite = strcmp(upload->type, S3EMU_COMPOSITE) == 0;

	/* What SDKs send when nobody asks for checksums: none at the beginning, CRC32 with each
	 * part (botocore since 1.36). It has been compared; what the whole needs takes its place.
	 */
	if (sent && upload->algorithm == S3EMU_NO_ALGORITHM && checksum->algorithm == S3EMU_CRC32) {
		if (x->s3->options.hash_bodies)
			s3emu_checksum_make(x, S3EMU_CRC64NVME, body, checksum);
		return 0;
	}
	if (sent && checksum->algorithm != upload->algorithm &&
		!(upload->algorithm == S3EMU_NO_ALGORITHM &&
			checksum->algorithm == S3EMU_CRC64NVME))
		return mismatch(x, upload->algorithm, checksum->algorithm);
	if (sent)
		return 0;
	if (composite)
		return mismatch(x, upload->algorithm, S3EMU_NO_ALGORITHM);
	if (x->s3->options.hash_bodies && upload->algorithm != S3EMU_NO_ALGORITHM)
		s3emu_checksum_make(x, upload->algorithm, body, checksum);
	return 0;
}

void s3emu_part_checksum_copy(struct s3emu_exchange *x, const struct s3emu_upload_checksum *upload,
	struct lab_view body, struct s3emu_checksum *ret)
{
	enum s3emu_algorithm which = upload->algorithm;

	*ret = (struct s3emu_checksum){ 0 };
	if (x->s3->options.hash_bodies)
		s3emu_checksum_make(
			x, which == S3EMU_NO_ALGORITHM ? S3EMU_CRC64NVME : which, body, ret);
}

uint32_t s3emu_part_checksum_bytes(struct s3emu_exchange *x, const struct s3emu_object *part,
	enum s3emu_algorithm which, uint8_t out[S3EMU_CHECKSUM_MAX])
{
	struct s3emu_checksum checksum;
	struct lab_buf *buf = &x->scratch;

	if (which == S3EMU_NO_ALGORITHM)
		which = S3EMU_CRC64NVME;
	lab_buf_reset(buf);
	if (s3emu_object_checksum(part, &checksum) == NULL || checksum.algorithm != which ||
		lab_buf_append_unbase64(buf, checksum.value) < 0 ||
		buf->len != s3emu_algorithm_size(which))
		return 0;
	memcpy(out, buf->data, buf->len);
	return (uint32_t)buf->len;
}

/* ---- the whole ---- */

static uint64_t big_endian(const uint8_t *in, size_t size)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < size; i++)
		value = value << 8 | in[i];
	return value;
}

static struct lab_view combined(struct s3emu_exchange *x, enum s3emu_algorithm which,
	const struct s3emu_part *parts, size_t count)
{
	size_t size = s3emu_algorithm_size(which), i;
	uint64_t crc = 0;
	uint8_t out[8];

	for (i = 0; i < count; i++)
		crc = lab_crc_combine(crc_kind(which), crc,
			big_endian(parts[i].checksum, parts[i].checksum_len), parts[i].size);
	for (i = 0; i < size; i++)
		out[i] = (uint8_t)(crc >> (8 * (size - 1 - i)));
	return s3emu_base64(x, out, size);
}

static struct lab_view composite(struct s3emu_exchange *x, enum s3emu_algorithm which,
	const struct s3emu_part *parts, size_t count)
{
	size_t size = s3emu_algorithm_size(which), i;
	uint8_t *all = lab_arena_alloc(x->arena, size * count), digest[S3EMU_CHECKSUM_MAX];
	struct lab_view text;

	for (i = 0; i < count; i++)
		memcpy(all + i * size, parts[i].checksum, size);
	s3emu_algorithm_compute(which, lab_view_of(all, size * count), digest);
	text = s3emu_base64(x, digest, size);
	return lab_view_cstr(lab_arena_printf(x->arena, "%.*s-%zu", LAB_VIEW_ARG(text), count));
}

bool s3emu_parts_checksum(struct s3emu_exchange *x, const struct s3emu_upload_checksum *upload,
	const struct s3emu_part *parts, size_t count, struct s3emu_checksum *ret)
{
	enum s3emu_algorithm which = upload->algorithm;
	bool full = strcmp(upload->type, S3EMU_FULL_OBJECT) == 0;
	size_t i;

	if (which == S3EMU_NO_ALGORITHM)
		which = S3EMU_CRC64NVME;
	*ret = (struct s3emu_checksum){ 0 };
	for (i = 0; i < count; i++) {
		if (parts[i].checksum_len != s3emu_algorithm_size(which))
			return false;
	}
	*ret = (struct s3emu_checksum){ s3emu_algorithm_header(which),
		full ? combined(x, which, parts, count) : composite(x, which, parts, count), which,
		true };
	return true;
}

/* "value" and "value-N" are the same. */
static bool same_value(struct lab_view said, struct lab_view computed)
{
	size_t dash = lab_view_find_byte(computed, '-');

	return lab_view_eq(said, computed) ||
	       (dash != SIZE_MAX && lab_view_eq(said, lab_view_sub(computed, 0, dash)));
}

static int check_said_type(struct s3emu_exchange *x, const struct s3emu_upload_checksum *upload)
{
	struct lab_view type = s3emu_request_header(x, "x-amz-checksum-type");

	if (type.ptr == NULL || lab_view_eq_cstr(type, upload->type))
		return 0;
	if (!lab_view_eq_cstr(type, S3EMU_COMPOSITE) && !lab_view_eq_cstr(type, S3EMU_FULL_OBJECT))
		return s3emu_fail_checksum_value(x, "x-amz-checksum-type", "header");
	return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		lab_arena_printf(x->arena,
			"The upload was created using the %s checksum mode. The complete request "
			"must use the same checksum mode.",
			upload->type));
}

int s3emu_complete_checksum_check(struct s3emu_exchange *x,
	const struct s3emu_upload_checksum *upload, const struct s3emu_checksum *computed)
{
	const struct lab_http_headers *headers = &x->request->headers;
	size_t i, found = 0;

	if (check_said_type(x, upload) < 0)
		return -1;
	for (i = 0; i < headers->count; i++) {
		const char *name = s3emu_checksum_header(headers->items[i].name);
		struct lab_view value = lab_view_trim(headers->items[i].value);

		if (name == NULL)
			continue;
		if (found++ > 0)
			return s3emu_fail_two_checksums(x);
		if (computed->name == NULL)
			continue;
		if (strcmp(name, computed->name) != 0) {
			return mismatch(x, computed->algorithm,
				s3emu_algorithm_named(lab_view_skip(lab_view_cstr(name), 15)));
		}
		if (!same_value(value, computed->value)) {
			return s3emu_fail_text(x, S3EMU_BAD_DIGEST,
				lab_arena_printf(x->arena,
					"The %s you specified did not match the calculated "
					"checksum.",
					lower_name(x, computed->algorithm)));
		}
	}
	return 0;
}

int s3emu_part_checksum_missing(
	struct s3emu_exchange *x, const struct s3emu_upload_checksum *upload, uint64_t number)
{
	return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		lab_arena_printf(x->arena,
			"The upload was created using a %s checksum. The complete request must "
			"include the checksum for each part. It was missing for part %" PRIu64
			" in the request.",
			lower_name(x, upload->algorithm), number));
}

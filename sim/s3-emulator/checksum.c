/* SPDX-License-Identifier: Apache-2.0
 *
 * checksum.c - what the client says about its body: Content-MD5, x-amz-checksum-* in the header or
 * behind the body (s3 1.6, 1.9); and what is remembered of it with an object.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#include <xxhash.h>

#include "core/base/crc.h"

#define TYPE_HEADER "x-amz-checksum-type"

enum family {
	FAMILY_CRC,
	FAMILY_DIGEST,
	FAMILY_XXHASH
};

static const struct algorithm {
	const char *name;    /* as the API calls it */
	const char *header;  /* in lower case */
	const char *element; /* in XML */
	enum family family;
	size_t size;
	union {
		enum lab_crc_kind crc;
		enum lab_digest_kind digest;
	};
} algorithms[S3EMU_ALGORITHM_COUNT] = {
#define A(name, lower) "" #name, "x-amz-checksum-" lower, "Checksum" #name
	[S3EMU_CRC32] = { A(CRC32, "crc32"), FAMILY_CRC, 4, { .crc = LAB_CRC32 } },
	[S3EMU_CRC32C] = { A(CRC32C, "crc32c"), FAMILY_CRC, 4, { .crc = LAB_CRC32C } },
	[S3EMU_CRC64NVME] = { A(CRC64NVME, "crc64nvme"), FAMILY_CRC, 8, { .crc = LAB_CRC64NVME } },
	[S3EMU_SHA1] = { A(SHA1, "sha1"), FAMILY_DIGEST, 20, { .digest = LAB_SHA1 } },
	[S3EMU_SHA256] = { A(SHA256, "sha256"), FAMILY_DIGEST, 32, { .digest = LAB_SHA256 } },
	[S3EMU_SHA512] = { A(SHA512, "sha512"), FAMILY_DIGEST, 64, { .digest = LAB_SHA512 } },
	[S3EMU_MD5] = { A(MD5, "md5"), FAMILY_DIGEST, 16, { .digest = LAB_MD5 } },
	[S3EMU_XXHASH64] = { A(XXHASH64, "xxhash64"), FAMILY_XXHASH, 8, { 0 } },
	[S3EMU_XXHASH3] = { A(XXHASH3, "xxhash3"), FAMILY_XXHASH, 8, { 0 } },
	[S3EMU_XXHASH128] = { A(XXHASH128, "xxhash128"), FAMILY_XXHASH, 16, { 0 } },
#undef A
};

/* ---- algorithms ---- */

static void big_endian(uint64_t value, size_t size, uint8_t *out)
{
	size_t i;

	for (i = 0; i < size; i++)
		out[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

static void xxhash(enum s3emu_algorithm which, struct lab_view data, uint8_t *out)
{
	XXH128_hash_t wide;

	if (which == S3EMU_XXHASH64) {
		big_endian(XXH64(data.ptr, data.len, 0), 8, out);
	} else if (which == S3EMU_XXHASH3) {
		big_endian(XXH3_64bits(data.ptr, data.len), 8, out);
	} else {
		wide = XXH3_128bits(data.ptr, data.len);
		big_endian(wide.high64, 8, out);
		big_endian(wide.low64, 8, out + 8);
	}
}

size_t s3emu_algorithm_size(enum s3emu_algorithm which)
{
	return algorithms[which].size;
}

void s3emu_algorithm_compute(enum s3emu_algorithm which, struct lab_view data, uint8_t *out)
{
	const struct algorithm *algorithm = &algorithms[which];

	lab_assert(which > S3EMU_NO_ALGORITHM && which < S3EMU_ALGORITHM_COUNT);
	switch (algorithm->family) {
	case FAMILY_CRC:
		big_endian(lab_crc(algorithm->crc, 0, data), algorithm->size, out);
		break;
	case FAMILY_DIGEST:
		lab_digest(algorithm->digest, data, out);
		break;
	case FAMILY_XXHASH:
		xxhash(which, data, out);
		break;
	}
}

static enum s3emu_algorithm algorithm_of_header(struct lab_view header)
{
	enum s3emu_algorithm i;

	for (i = S3EMU_CRC32; i < S3EMU_ALGORITHM_COUNT; i++) {
		if (lab_view_eq_nocase(header, lab_view_cstr(algorithms[i].header)))
			return i;
	}
	return S3EMU_NO_ALGORITHM;
}

enum s3emu_algorithm s3emu_algorithm_named(struct lab_view name)
{
	enum s3emu_algorithm i;

	for (i = S3EMU_CRC32; i < S3EMU_ALGORITHM_COUNT; i++) {
		if (lab_view_eq_nocase(name, lab_view_cstr(algorithms[i].name)))
			return i;
	}
	return S3EMU_NO_ALGORITHM;
}

const char *s3emu_algorithm_name(enum s3emu_algorithm which)
{
	return algorithms[which].name;
}

const char *s3emu_algorithm_header(enum s3emu_algorithm which)
{
	return algorithms[which].header;
}

const char *s3emu_algorithm_element(enum s3emu_algorithm which)
{
	return algorithms[which].element;
}

const char *s3emu_checksum_header(struct lab_view name)
{
	return algorithms[algorithm_of_header(name)].header;
}

/* ---- Content-MD5 ---- */

struct lab_view s3emu_base64(struct s3emu_exchange *x, const uint8_t *data, size_t len)
{
	struct lab_buf *buf = &x->scratch;

	lab_buf_reset(buf);
	lab_buf_append_base64(buf, lab_view_of(data, len));
	return lab_arena_copy(x->arena, lab_buf_view(buf));
}

static int check_md5(struct s3emu_exchange *x, struct lab_view expected, const uint8_t *md5)
{
	struct lab_buf *buf = &x->scratch;

	lab_buf_reset(buf);
	if (lab_buf_append_unbase64(buf, expected) < 0 || buf->len != 16) {
		(void)s3emu_fail(x, S3EMU_INVALID_DIGEST);
		s3emu_detail(x, "Content-MD5", expected);
		return -1;
	}
	if (memcmp(buf->data, md5, 16) == 0)
		return 0;
	(void)s3emu_fail(x, S3EMU_BAD_DIGEST);
	s3emu_detail(x, "ExpectedDigest", expected);
	s3emu_detail(x, "CalculatedDigest", s3emu_base64(x, md5, 16));
	return -1;
}

/* ---- x-amz-checksum-* ---- */

/* Ours, not the name of a checksum. */
static bool is_about_checksums(struct lab_view name)
{
	return lab_view_eq_nocase(name, LAB_VIEW("x-amz-checksum-algorithm")) ||
	       lab_view_eq_nocase(name, LAB_VIEW("x-amz-checksum-mode")) ||
	       lab_view_eq_nocase(name, LAB_VIEW(TYPE_HEADER));
}

static bool is_checksum(struct lab_view name)
{
	return lab_view_eq_nocase(lab_view_sub(name, 0, 15), LAB_VIEW("x-amz-checksum-")) &&
	       !is_about_checksums(name);
}

int s3emu_fail_two_checksums(struct s3emu_exchange *x)
{
	return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		"Expecting a single x-amz-checksum- header. Multiple checksum Types are not "
		"allowed.");
}

int s3emu_fail_checksum_value(struct s3emu_exchange *x, const char *name, const char *kind)
{
	return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		lab_arena_printf(x->arena, "Value for %s %s is invalid.", name, kind));
}

/* What a client said, and where. */
struct claim {
	struct lab_view name, value;
	const char *kind; /* as messages call it */
};

/* 1 and the one claim, in the header or behind the body; 0 none; -1 wrong. */
static int find_claim(struct s3emu_exchange *x, struct claim *ret)
{
	const struct lab_http_headers *headers = &x->request->headers;
	size_t i, found = 0;

	for (i = 0; i < headers->count; i++) {
		if (!is_checksum(headers->items[i].name))
			continue;
		*ret = (struct claim){ headers->items[i].name,
			lab_view_trim(headers->items[i].value), "header" };
		found++;
	}
	if (x->trailer.name.ptr != NULL) {
		*ret = (struct claim){ x->trailer.name, x->trailer.value, "trailing header" };
		found++;
	}
	return found > 1 ? s3emu_fail_two_checksums(x) : found > 0;
}

/* x-amz-sdk-checksum-algorithm says what SDKs have computed: it must be there. */
static int check_sdk_algorithm(struct s3emu_exchange *x, const struct claim *claim)
{
	static const char name[] = "x-amz-sdk-checksum-algorithm";
	struct lab_view said = s3emu_request_header(x, name);
	enum s3emu_algorithm which = s3emu_algorithm_named(lab_view_trim(said));

	if (said.ptr == NULL)
		return 0;
	if (claim == NULL) {
		return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
			"x-amz-sdk-checksum-algorithm specified, but no corresponding "
			"x-amz-checksum-* or x-amz-trailer headers were found.");
	}
	return which == algorithm_of_header(claim->name)
		       ? 0
		       : s3emu_fail_checksum_value(x, name, "header");
}

static void compute(struct s3emu_exchange *x, enum s3emu_algorithm which, uint8_t *out)
{
	if (which == S3EMU_SHA256 && x->has_sha256)
		memcpy(out, x->sha256, sizeof(x->sha256));
	else
		s3emu_algorithm_compute(which, x->body, out);
}

static int check_claim(
	struct s3emu_exchange *x, const struct claim *claim, struct s3emu_checksum *ret)
{
	enum s3emu_algorithm which = algorithm_of_header(claim->name);
	uint8_t computed[LAB_DIGEST_MAX];
	size_t size = algorithms[which].size;

	if (which == S3EMU_NO_ALGORITHM) {
		return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
			"The algorithm type you specified in x-amz-checksum- header is invalid.");
	}
	*ret = (struct s3emu_checksum){ algorithms[which].header, claim->value, which, false };
	lab_buf_reset(&x->scratch);
	if (lab_buf_append_unbase64(&x->scratch, claim->value) < 0 || x->scratch.len != size)
		return s3emu_fail_checksum_value(x, algorithms[which].header, claim->kind);
	if (!x->s3->options.hash_bodies)
		return 0;
	compute(x, which, computed);
	if (memcmp(x->scratch.data, computed, size) == 0)
		return 0;
	return s3emu_fail_text(x, S3EMU_BAD_DIGEST,
		lab_arena_printf(x->arena,
			"The %s you specified did not match the calculated checksum.",
			algorithms[which].name));
}

void s3emu_checksum_make(struct s3emu_exchange *x, enum s3emu_algorithm which, struct lab_view body,
	struct s3emu_checksum *ret)
{
	uint8_t computed[LAB_DIGEST_MAX];

	s3emu_algorithm_compute(which, body, computed);
	*ret = (struct s3emu_checksum){ algorithms[which].header,
		s3emu_base64(x, computed, algorithms[which].size), which, true };
}

int s3emu_md5_check(struct s3emu_exchange *x)
{
	struct lab_view expected = s3emu_request_header(x, "Content-MD5");
	uint8_t md5[16];

	if (!x->s3->options.hash_bodies || expected.ptr == NULL)
		return 0;
	lab_digest(LAB_MD5, x->body, md5);
	return check_md5(x, lab_view_trim(expected), md5);
}

int s3emu_body_check(
	struct s3emu_exchange *x, bool stored, uint8_t *md5, struct s3emu_checksum *ret_checksum)
{
	struct lab_view expected = s3emu_request_header(x, "Content-MD5");
	bool hash = x->s3->options.hash_bodies;
	struct claim claim;
	int found;

	*ret_checksum = (struct s3emu_checksum){ 0 };
	if (hash && (stored || expected.ptr != NULL))
		lab_digest(LAB_MD5, x->body, md5);
	if (hash && expected.ptr != NULL && check_md5(x, lab_view_trim(expected), md5) < 0)
		return -1;
	found = find_claim(x, &claim);
	if (found < 0 || check_sdk_algorithm(x, found > 0 ? &claim : NULL) < 0)
		return -1;
	if (found > 0)
		return check_claim(x, &claim, ret_checksum);
	if (hash && stored)
		s3emu_checksum_make(x, S3EMU_CRC64NVME, x->body, ret_checksum);
	return 0;
}

/* ---- what is remembered ---- */

bool s3emu_is_checksum_header(struct lab_view name)
{
	return lab_view_starts_with(name, LAB_VIEW("x-amz-checksum-"));
}

void s3emu_checksum_store(const struct s3emu_checksum *checksum, const char *type,
	struct lab_http_header *headers, size_t *count)
{
	if (checksum->name == NULL)
		return;
	headers[(*count)++] =
		(struct lab_http_header){ lab_view_cstr(checksum->name), checksum->value };
	/* The usual type needs no room. */
	if (strcmp(type, S3EMU_FULL_OBJECT) != 0)
		headers[(*count)++] =
			(struct lab_http_header){ LAB_VIEW(TYPE_HEADER), lab_view_cstr(type) };
}

void s3emu_checksum_reply(
	struct s3emu_exchange *x, const struct s3emu_checksum *checksum, const char *type)
{
	if (checksum->name == NULL)
		return;
	s3emu_header(x, checksum->name, checksum->value);
	if (type != NULL)
		s3emu_header(x, TYPE_HEADER, lab_view_cstr(type));
}

void s3emu_xml_checksum(
	struct s3emu_exchange *x, const struct s3emu_checksum *checksum, const char *type)
{
	if (checksum->name == NULL)
		return;
	s3emu_xml_text(x, algorithms[checksum->algorithm].element, checksum->value);
	if (type != NULL)
		s3emu_xml_text(x, "ChecksumType", lab_view_cstr(type));
}

const char *s3emu_object_checksum(const struct s3emu_object *object, struct s3emu_checksum *ret)
{
	size_t i;

	for (i = 0; i < object->header_count; i++) {
		const struct lab_http_header *header = &object->headers[i];
		enum s3emu_algorithm which = algorithm_of_header(header->name);

		if (which == S3EMU_NO_ALGORITHM)
			continue;
		*ret = (struct s3emu_checksum){ algorithms[which].header, header->value, which,
			false };
		return s3emu_object_header(object, TYPE_HEADER).ptr == NULL ? S3EMU_FULL_OBJECT
									    : S3EMU_COMPOSITE;
	}
	*ret = (struct s3emu_checksum){ 0 };
	return NULL;
}

int s3emu_checksum_mode(struct s3emu_exchange *x)
{
	struct lab_view mode = s3emu_request_header(x, "x-amz-checksum-mode");

	if (mode.ptr == NULL)
		return 0;
	if (lab_view_eq_cstr(lab_view_trim(mode), "ENABLED"))
		return 1;
	return s3emu_fail_checksum_value(x, "x-amz-checksum-mode", "header");
}

int s3emu_checksum_algorithm_asked(struct s3emu_exchange *x, enum s3emu_algorithm *ret)
{
	struct lab_view name = s3emu_request_header(x, "x-amz-checksum-algorithm");

	*ret = S3EMU_NO_ALGORITHM;
	if (name.ptr == NULL)
		return 0;
	*ret = s3emu_algorithm_named(lab_view_trim(name));
	if (*ret != S3EMU_NO_ALGORITHM)
		return 1;
	return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		"Checksum algorithm provided is unsupported. Please try again with any of the "
		"valid types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, "
		"XXHASH3, XXHASH64]");
}

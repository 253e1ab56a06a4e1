/* SPDX-License-Identifier: Apache-2.0
 *
 * checksum.c - what the client says about its body: Content-MD5, x-amz-checksum-* (s3 1.6, 1.9).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

/* Reflected polynomials; all start and end inverted. */
struct crc {
	uint64_t polynomial;
	unsigned bytes;
};
static const struct crc crc32 = { UINT64_C(0xedb88320), 4 };
static const struct crc crc32c = { UINT64_C(0x82f63b78), 4 };
static const struct crc crc64nvme = { UINT64_C(0x9a6c9329ac4bc9b5), 8 };

static const struct algorithm {
	const char *header; /* in lower case */
	const char *name;   /* as messages call it */
	const struct crc *crc;
	enum lab_digest_kind digest; /* if crc is NULL */
} algorithms[] = {
	{ "x-amz-checksum-crc32", "CRC32", &crc32, LAB_MD5 },
	{ "x-amz-checksum-crc32c", "CRC32C", &crc32c, LAB_MD5 },
	{ "x-amz-checksum-crc64nvme", "CRC64NVME", &crc64nvme, LAB_MD5 },
	{ "x-amz-checksum-sha1", "SHA1", NULL, LAB_SHA1 },
	{ "x-amz-checksum-sha256", "SHA256", NULL, LAB_SHA256 },
};

static void crc_compute(const struct crc *crc, struct lab_view data, uint8_t *out)
{
	uint64_t table[256];
	uint64_t ones = crc->bytes == 8 ? UINT64_MAX : UINT32_MAX;
	uint64_t value;
	size_t i, bit;

	for (i = 0; i < 256; i++) {
		value = i;
		for (bit = 0; bit < 8; bit++)
			value = (value & 1) != 0 ? value >> 1 ^ crc->polynomial : value >> 1;
		table[i] = value;
	}
	value = ones;
	for (i = 0; i < data.len; i++)
		value = value >> 8 ^ table[(value ^ data.ptr[i]) & 0xff];
	value ^= ones;
	for (i = 0; i < crc->bytes; i++)
		out[i] = (uint8_t)(value >> (8 * (crc->bytes - 1 - i)));
}

static size_t compute(const struct algorithm *algorithm, struct lab_view body, uint8_t *out)
{
	if (algorithm->crc != NULL) {
		crc_compute(algorithm->crc, body, out);
		return algorithm->crc->bytes;
	}
	lab_digest(algorithm->digest, body, out);
	return lab_digest_size(algorithm->digest);
}

/* ---- Content-MD5 ---- */

static struct lab_view base64(struct s3emu_exchange *x, const uint8_t *data, size_t len)
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
	s3emu_detail(x, "CalculatedDigest", base64(x, md5, 16));
	return -1;
}

/* ---- x-amz-checksum-* ---- */

static bool is_checksum(struct lab_view name)
{
	static const char *const others[] = { "x-amz-checksum-algorithm", "x-amz-checksum-mode",
		"x-amz-checksum-type" };
	size_t i;

	if (!lab_view_eq_nocase(lab_view_sub(name, 0, 15), LAB_VIEW("x-amz-checksum-")))
		return false;
	for (i = 0; i < LAB_COUNT_OF(others); i++) {
		if (lab_view_eq_nocase(name, lab_view_cstr(others[i])))
			return false;
	}
	return true;
}

int s3emu_fail_two_checksums(struct s3emu_exchange *x)
{
	return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		"Expecting a single x-amz-checksum- header. Multiple checksum Types are not "
		"allowed.");
}

static const struct algorithm *find_algorithm(struct lab_view name)
{
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(algorithms); i++) {
		if (lab_view_eq_nocase(name, lab_view_cstr(algorithms[i].header)))
			return &algorithms[i];
	}
	return NULL;
}

const char *s3emu_checksum_header(struct lab_view name)
{
	const struct algorithm *algorithm = find_algorithm(name);

	return algorithm == NULL ? NULL : algorithm->header;
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
	if (found > 1)
		return s3emu_fail_two_checksums(x);
	if (found == 0 && s3emu_request_header(x, "x-amz-sdk-checksum-algorithm").ptr != NULL) {
		return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
			"x-amz-sdk-checksum-algorithm specified, but no corresponding "
			"x-amz-checksum-* or x-amz-trailer headers were found.");
	}
	return found > 0;
}

static int check_claim(
	struct s3emu_exchange *x, const struct claim *claim, struct s3emu_checksum *ret)
{
	const struct algorithm *algorithm = find_algorithm(claim->name);
	uint8_t computed[LAB_DIGEST_MAX];
	size_t size;

	if (algorithm == NULL) {
		return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
			"The algorithm type you specified in x-amz-checksum- header is invalid.");
	}
	ret->name = algorithm->header;
	ret->value = claim->value;
	if (!x->s3->options.hash_bodies)
		return 0;
	size = compute(algorithm, x->body, computed);
	lab_buf_reset(&x->scratch);
	if (lab_buf_append_unbase64(&x->scratch, claim->value) < 0 || x->scratch.len != size) {
		return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
			lab_arena_printf(x->arena, "Value for %s %s is invalid.", algorithm->header,
				claim->kind));
	}
	if (memcmp(x->scratch.data, computed, size) == 0)
		return 0;
	return s3emu_fail_text(x, S3EMU_BAD_DIGEST,
		lab_arena_printf(x->arena,
			"The %s you specified did not match the calculated checksum.",
			algorithm->name));
}

int s3emu_body_check(
	struct s3emu_exchange *x, bool want_md5, uint8_t *md5, struct s3emu_checksum *ret_checksum)
{
	struct lab_view expected = s3emu_request_header(x, "Content-MD5");
	struct claim claim;
	bool hash = x->s3->options.hash_bodies;
	int found;

	ret_checksum->name = NULL;
	if (hash && (want_md5 || expected.ptr != NULL))
		lab_digest(LAB_MD5, x->body, md5);
	if (hash && expected.ptr != NULL && check_md5(x, lab_view_trim(expected), md5) < 0)
		return -1;
	found = find_claim(x, &claim);
	return found > 0 ? check_claim(x, &claim, ret_checksum) : found;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * payload.c - what x-amz-content-sha256 says about the body (s3 1.8, 1.10): its hash, nothing, or
 * that it comes in chunks, with or without signatures and trailers. Leaves what is framed in
 * x->body and the checksum that trailed it in x->trailer.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct form {
	const char *value;
	bool chunked, chunks_signed, trailer;
} forms[] = {
	{ "UNSIGNED-PAYLOAD", false, false, false },
	{ "STREAMING-UNSIGNED-PAYLOAD-TRAILER", true, false, true },
	{ "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", true, true, false },
	{ "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", true, true, true },
};

/* Asymmetric signatures are not there; the forms are. */
static const char *const not_there[] = { "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
	"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" };

static struct lab_view payload_header(const struct s3emu_exchange *x)
{
	return lab_view_trim(s3emu_request_header(x, "x-amz-content-sha256"));
}

static const struct form *form_find(struct lab_view value)
{
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(forms); i++) {
		if (lab_view_eq_cstr(value, forms[i].value))
			return &forms[i];
	}
	return NULL;
}

bool s3emu_payload_is_chunked(const struct s3emu_exchange *x)
{
	const struct form *form = form_find(payload_header(x));

	return form != NULL && form->chunked;
}

bool s3emu_is_hex_digest(struct lab_view text)
{
	size_t i;

	if (text.len != 64)
		return false;
	for (i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			return false;
	}
	return true;
}

int s3emu_payload_form_check(struct s3emu_exchange *x, struct lab_view value)
{
	size_t i;

	if (form_find(value) != NULL || s3emu_is_hex_digest(value))
		return 0;
	for (i = 0; i < LAB_COUNT_OF(not_there); i++) {
		if (!lab_view_eq_cstr(value, not_there[i]))
			continue;
		(void)s3emu_fail(x, S3EMU_NOT_IMPLEMENTED);
		s3emu_detail(x, "Header", LAB_VIEW("x-amz-content-sha256"));
		return -1;
	}
	return s3emu_fail_argument(x, "x-amz-content-sha256", value,
		"x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, "
		"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, "
		"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.");
}

/* ---- a hash of all of it ---- */

static void sha256_hex(struct lab_view data, char hex[65])
{
	uint8_t digest[LAB_DIGEST_MAX];

	if (data.len == 0) {
		memcpy(hex, EMPTY_SHA256, 65);
		return;
	}
	lab_digest(LAB_SHA256, data, digest);
	lab_hex(digest, 32, hex);
}

static int check_hash(struct s3emu_exchange *x, struct lab_view claimed)
{
	char hex[65];

	if (x->body.len == 0 && lab_view_eq_cstr(claimed, EMPTY_SHA256))
		return 0;
	lab_digest(LAB_SHA256, x->body, x->sha256);
	x->has_sha256 = true;
	lab_hex(x->sha256, sizeof(x->sha256), hex);
	if (lab_view_eq_cstr(claimed, hex))
		return 0;
	(void)s3emu_fail(x, S3EMU_SHA256_MISMATCH);
	s3emu_detail(x, "ClientComputedContentSHA256", claimed);
	s3emu_detail(x, "S3ComputedContentSHA256", lab_arena_copy(x->arena, lab_view_cstr(hex)));
	return -1;
}

/* ---- signatures of chunks ---- */

/* The string to sign of a chunk or of the trailers, but for its last lines, into x->scratch. */
static void begin_string(struct s3emu_exchange *x, const char *algorithm)
{
	struct lab_view lines[] = { lab_view_cstr(algorithm), x->chain.time, x->chain.scope,
		x->chain.signature };
	size_t i;

	lab_buf_reset(&x->scratch);
	for (i = 0; i < LAB_COUNT_OF(lines); i++) {
		lab_buf_append_view(&x->scratch, lines[i]);
		lab_buf_append_byte(&x->scratch, '\n');
	}
}

/* Compares, and makes it the one that the next signature follows. */
static int check_link(struct s3emu_exchange *x, struct lab_view signature)
{
	uint8_t mac[LAB_DIGEST_MAX];
	char hex[65];

	if (x->scratch.overflow)
		return s3emu_fail(x, S3EMU_REQUEST_HEADERS_TOO_LARGE);
	lab_hmac(LAB_SHA256, lab_view_of(x->chain.key, 32), lab_buf_view(&x->scratch), mac);
	lab_hex(mac, 32, hex);
	if (!lab_view_eq_secret(lab_view_cstr(hex), signature)) {
		return s3emu_auth_mismatch(x, x->chain.access_key_id, signature,
			lab_buf_view(&x->scratch), lab_view_of(NULL, 0));
	}
	x->chain.signature = signature;
	return 0;
}

/* Whether there is something to check chunks with, and somebody wants them checked. */
static bool chain_is_checked(const struct s3emu_exchange *x)
{
	return x->chain.key != NULL && x->s3->options.hash_bodies;
}

static int check_chunk(struct s3emu_exchange *x, const struct s3emu_chunk *chunk)
{
	char hash[65];

	if (chunk->signature.ptr == NULL || !chain_is_checked(x))
		return 0;
	sha256_hex(chunk->data, hash);
	begin_string(x, "AWS4-HMAC-SHA256-PAYLOAD");
	lab_buf_append_cstr(&x->scratch, EMPTY_SHA256 "\n");
	lab_buf_append_cstr(&x->scratch, hash);
	return check_link(x, chunk->signature);
}

/* Over each "name:value\n": here there is one, under the name that was announced. */
static int check_trailer_signature(struct s3emu_exchange *x, struct lab_view signature)
{
	char hash[65];
	char *text;

	if (!chain_is_checked(x))
		return 0;
	text = lab_arena_printf(x->arena, "%.*s:%.*s\n", LAB_VIEW_ARG(x->trailer.name),
		LAB_VIEW_ARG(x->trailer.value));
	sha256_hex(lab_view_cstr(text), hash);
	begin_string(x, "AWS4-HMAC-SHA256-TRAILER");
	lab_buf_append_cstr(&x->scratch, hash);
	return check_link(x, signature);
}

/* ---- trailers ---- */

/* Into x->trailer.name; only one trailer, and only a checksum, may be announced. */
static int announced_trailer(struct s3emu_exchange *x, const struct form *form)
{
	struct lab_view list = s3emu_request_header(x, "x-amz-trailer"), name;
	size_t count = 0;

	if (list.ptr == NULL)
		return form->chunks_signed && form->trailer ? s3emu_fail(x, S3EMU_MALFORMED_TRAILER)
							    : 0;
	if (!form->trailer)
		return s3emu_fail(x, S3EMU_MALFORMED_TRAILER);
	while (lab_view_split(&list, ',', &name)) {
		x->trailer.name = lab_view_cstr(s3emu_checksum_header(lab_view_trim(name)));
		if (x->trailer.name.ptr == NULL) {
			return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
				"The value specified in the x-amz-trailer header is not supported");
		}
		count++;
	}
	return count == 1 ? 0 : s3emu_fail_two_checksums(x);
}

static bool is_announced(const struct s3emu_exchange *x, struct lab_view name)
{
	return x->trailer.name.ptr != NULL && x->trailer.value.ptr == NULL &&
	       lab_view_eq_nocase(name, x->trailer.name);
}

/* 1 more may follow, 0 that was the end. */
static int read_trailer(struct s3emu_exchange *x, const struct form *form,
	struct s3emu_chunks *chunks, struct lab_view *signature)
{
	struct s3emu_trailer trailer;
	int found = s3emu_chunks_trailer(chunks, &trailer);
	bool complete = x->trailer.name.ptr == NULL || x->trailer.value.ptr != NULL;

	if (found < 0 || signature->ptr != NULL)
		return found == 0 ? 0 : s3emu_fail(x, S3EMU_INCOMPLETE_BODY);
	if (found == 0)
		return complete ? 0 : s3emu_fail(x, S3EMU_MALFORMED_TRAILER);
	if (!form->trailer)
		return s3emu_fail(x, S3EMU_INCOMPLETE_BODY);
	if (is_announced(x, trailer.name)) {
		x->trailer.value = trailer.value;
		return trailer.value.ptr != NULL ? 1 : s3emu_fail(x, S3EMU_MALFORMED_TRAILER);
	}
	if (!form->chunks_signed || !complete)
		return s3emu_fail(x, S3EMU_MALFORMED_TRAILER);
	if (!lab_view_eq_cstr(trailer.name, "x-amz-trailer-signature") || trailer.value.len != 64)
		return s3emu_fail(x, S3EMU_INCOMPLETE_BODY);
	*signature = trailer.value;
	return 1;
}

static int read_trailers(
	struct s3emu_exchange *x, const struct form *form, struct s3emu_chunks *chunks)
{
	struct lab_view signature = lab_view_of(NULL, 0);
	int more;

	while ((more = read_trailer(x, form, chunks, &signature)) > 0)
		;
	if (more < 0)
		return -1;
	if (!form->chunks_signed || !form->trailer)
		return 0;
	if (signature.ptr == NULL)
		return s3emu_fail(x, S3EMU_INCOMPLETE_BODY);
	return check_trailer_signature(x, signature);
}

/* ---- chunks ---- */

static int chunk_error(
	struct s3emu_exchange *x, const struct s3emu_chunks *chunks, enum s3emu_chunk_result result)
{
	char *number, *size;

	if (result != S3EMU_CHUNK_TOO_SMALL)
		return s3emu_fail(x, S3EMU_INCOMPLETE_BODY);
	number = lab_arena_printf(x->arena, "%" PRIu64, chunks->count + 1);
	size = lab_arena_printf(x->arena, "%" PRIu64, chunks->last_size);
	(void)s3emu_fail(x, S3EMU_INVALID_CHUNK_SIZE);
	s3emu_detail(x, "Chunk", lab_view_cstr(number));
	s3emu_detail(x, "BadChunkSize", lab_view_cstr(size));
	return -1;
}

/* Data behind data: what came in one chunk is borrowed, more is copied together. */
struct joined {
	struct lab_view data;
	uint8_t *copy;
	size_t size; /* that it will have */
};

static void join(struct lab_arena *arena, struct joined *joined, struct lab_view more)
{
	if (joined->data.len == 0) {
		joined->data = more;
		return;
	}
	if (joined->copy == NULL) {
		joined->copy = lab_arena_alloc(arena, joined->size);
		memcpy(joined->copy, joined->data.ptr, joined->data.len);
	}
	memcpy(joined->copy + joined->data.len, more.ptr, more.len);
	joined->data = lab_view_of(joined->copy, joined->data.len + more.len);
}

static int decoded_size(struct s3emu_exchange *x, uint64_t *ret)
{
	struct lab_view text = s3emu_request_header(x, "x-amz-decoded-content-length");

	if (text.ptr == NULL || lab_view_to_u64(lab_view_trim(text), ret) < 0)
		return s3emu_fail(x, S3EMU_MISSING_CONTENT_LENGTH);
	/* Framing only adds: so the memory for it is bounded by what was sent. */
	return *ret > x->request->body.len ? s3emu_fail(x, S3EMU_INCOMPLETE_BODY) : 0;
}

static int decode(struct s3emu_exchange *x, const struct form *form)
{
	struct joined joined = { { NULL, 0 }, NULL, 0 };
	enum s3emu_chunk_result result;
	struct s3emu_chunks chunks;
	struct s3emu_chunk chunk;
	uint64_t size;

	if (decoded_size(x, &size) < 0 || announced_trailer(x, form) < 0)
		return -1;
	joined.size = (size_t)size;
	s3emu_chunks_start(&chunks, x->request->body, form->chunks_signed, size);
	while ((result = s3emu_chunks_next(&chunks, &chunk)) == S3EMU_CHUNK_DATA) {
		if (check_chunk(x, &chunk) < 0)
			return -1;
		join(x->arena, &joined, chunk.data);
	}
	if (result != S3EMU_CHUNK_LAST)
		return chunk_error(x, &chunks, result);
	if (check_chunk(x, &chunk) < 0)
		return -1;
	x->body = joined.data;
	return read_trailers(x, form, &chunks);
}

int s3emu_payload(struct s3emu_exchange *x)
{
	struct lab_view value = payload_header(x);
	const struct form *form;

	x->trailer.name = x->trailer.value = lab_view_of(NULL, 0);
	x->has_sha256 = false;
	if (value.ptr == NULL)
		return 0;
	if (s3emu_payload_form_check(x, value) < 0)
		return -1;
	form = form_find(value);
	if (form == NULL)
		return x->s3->options.hash_bodies ? check_hash(x, value) : 0;
	if (!form->chunked)
		return 0;
	if (form->chunks_signed && x->chain.key == NULL && x->s3->options.verify_signatures) {
		return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
			"Signed chunks need a request that is signed with AWS4-HMAC-SHA256.");
	}
	return decode(x, form);
}

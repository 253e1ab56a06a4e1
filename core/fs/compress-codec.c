/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fs/compress-codec.h"

#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

/* On the stack of a fiber. */
#define DECODE_STEP (8 * 1024)

static const struct algorithm {
	const char *name;
	uint8_t magic[4];
	size_t magic_len;
} algorithms[] = {
	[COMPRESS_NONE] = { "", { 0 }, 0 },
	[COMPRESS_ZSTD] = { "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4 },
	[COMPRESS_GZ] = { "gz", { 0x1f, 0x8b }, 2 },
	[COMPRESS_DEFLATE] = { "deflate", { 0x78 }, 1 }, /* and a check value, below */
	[COMPRESS_LZ4] = { "lz4", { 0x04, 0x22, 0x4d, 0x18 }, 4 },
};

enum compress_algorithm compress_by_name(struct lab_view name)
{
	for (size_t i = COMPRESS_NONE + 1; i < LAB_COUNT_OF(algorithms); i++) {
		if (lab_view_eq_cstr(name, algorithms[i].name))
			return (enum compress_algorithm)i;
	}
	return COMPRESS_NONE;
}

/* RFC 1950: the first two bytes are a multiple of 31. Plain text that begins with "x" is not. */
static bool is_zlib_header(struct lab_view contents)
{
	return contents.len >= 2 && ((unsigned)contents.ptr[0] << 8 | contents.ptr[1]) % 31 == 0 &&
	       (contents.ptr[1] & 0x20) == 0;
}

enum compress_algorithm compress_detect(struct lab_view contents)
{
	for (size_t i = COMPRESS_NONE + 1; i < LAB_COUNT_OF(algorithms); i++) {
		const struct algorithm *a = &algorithms[i];

		if (!lab_view_starts_with(contents, lab_view_of(a->magic, a->magic_len)))
			continue;
		if (i == COMPRESS_DEFLATE && !is_zlib_header(contents))
			continue;
		return (enum compress_algorithm)i;
	}
	return COMPRESS_NONE;
}

static int no_room(const struct lab_buf *out, struct lab_error *err)
{
	return lab_fail(err, LAB_LIMIT, "contents are longer than %zu bytes", out->max_bytes);
}

static int corrupt(enum compress_algorithm algorithm, const char *why, struct lab_error *err)
{
	return lab_fail(err, LAB_CORRUPT, "%s: %s", algorithms[algorithm].name, why);
}

/* Where the next piece of decoded bytes goes: behind those that are there, or, once the buffer is
 * full, into one byte that only shows that there is more. Stacks are small: no piece lies there. */
struct room {
	uint8_t *ptr;
	size_t size;
	uint8_t surplus;
};

static void room_take(struct room *room, struct lab_buf *out)
{
	room->size = LAB_MIN(out->max_bytes - out->len, DECODE_STEP);
	room->ptr = room->size > 0 ? lab_buf_reserve(out, room->size) : &room->surplus;
	if (room->size == 0)
		room->size = 1;
}

static int room_used(
	const struct room *room, size_t used, struct lab_buf *out, struct lab_error *err)
{
	if (room->ptr != &room->surplus)
		lab_buf_commit(out, used);
	else if (used > 0)
		return no_room(out, err);
	return 0;
}

/* ---- zstd ---- */

static int zstd_encode(int level, struct lab_view plain, struct lab_buf *out, struct lab_error *err)
{
	static _Thread_local ZSTD_CCtx *context;
	size_t bound = ZSTD_compressBound(plain.len), n;
	void *room = lab_buf_reserve(out, bound);

	if (room == NULL)
		return no_room(out, err);
	if (context == NULL)
		context = ZSTD_createCCtx();
	lab_assert(context != NULL);
	ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	n = ZSTD_compress2(context, room, bound, plain.ptr, plain.len);
	if (ZSTD_isError(n))
		return lab_fail(err, LAB_INTERNAL, "zstd: %s", ZSTD_getErrorName(n));
	lab_buf_commit(out, n);
	return 0;
}

static int zstd_decode(struct lab_view compressed, struct lab_buf *out, struct lab_error *err)
{
	static _Thread_local ZSTD_DCtx *context;
	ZSTD_inBuffer in = { compressed.ptr, compressed.len, 0 };
	size_t left = 1;

	if (context == NULL)
		context = ZSTD_createDCtx();
	lab_assert(context != NULL);
	ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
	while (left != 0) {
		struct room room;
		size_t eaten = in.pos;

		room_take(&room, out);
		ZSTD_outBuffer piece = { room.ptr, room.size, 0 };
		left = ZSTD_decompressStream(context, &piece, &in);
		if (ZSTD_isError(left))
			return corrupt(COMPRESS_ZSTD, ZSTD_getErrorName(left), err);
		if (room_used(&room, piece.pos, out, err) < 0)
			return -1;
		if (left != 0 && piece.pos == 0 && in.pos == eaten)
			return corrupt(COMPRESS_ZSTD, "unexpected end of stream", err);
	}
	return in.pos == in.size ? 0 : corrupt(COMPRESS_ZSTD, "bytes behind the stream", err);
}

/* ---- gz and deflate: one stream, two framings ---- */

static int zlib_window(enum compress_algorithm algorithm)
{
	return algorithm == COMPRESS_GZ ? 15 + 16 : 15;
}

/* Ready to begin. Each thread keeps one: it has 268 kB, and most mails have less. */
static z_stream *deflate_stream(enum compress_algorithm algorithm, int level)
{
	static _Thread_local struct {
		enum compress_algorithm algorithm; /* COMPRESS_NONE: there is none yet */
		int level;
		z_stream z;
	} kept;

	if (kept.algorithm == algorithm && kept.level == level)
		return deflateReset(&kept.z) == Z_OK ? &kept.z : NULL;
	if (kept.algorithm != COMPRESS_NONE)
		deflateEnd(&kept.z);
	kept.algorithm = COMPRESS_NONE;
	kept.z = (z_stream){ 0 };
	if (deflateInit2(&kept.z, level, Z_DEFLATED, zlib_window(algorithm), 8,
		    Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	kept.algorithm = algorithm;
	kept.level = level;
	return &kept.z;
}

static int zlib_encode(enum compress_algorithm algorithm, int level, struct lab_view plain,
	struct lab_buf *out, struct lab_error *err)
{
	z_stream *z = deflate_stream(algorithm, level);
	uLong bound;
	void *room;
	int status;

	if (z == NULL)
		return lab_fail(err, LAB_INTERNAL, "%s: cannot start", algorithms[algorithm].name);
	bound = deflateBound(z, plain.len);
	room = bound <= UINT_MAX ? lab_buf_reserve(out, bound) : NULL;
	if (room == NULL)
		return no_room(out, err);
	z->next_in = (Bytef *)(uintptr_t)plain.ptr;
	z->avail_in = (uInt)plain.len;
	z->next_out = room;
	z->avail_out = (uInt)bound;
	status = deflate(z, Z_FINISH);
	lab_buf_commit(out, (size_t)z->total_out);
	if (status == Z_STREAM_END)
		return 0;
	return lab_fail(err, LAB_INTERNAL, "%s: status %d", algorithms[algorithm].name, status);
}

static int zlib_inflate(
	enum compress_algorithm algorithm, z_stream *z, struct lab_buf *out, struct lab_error *err)
{
	int status = Z_OK;

	while (status != Z_STREAM_END) {
		struct room room;
		size_t made;

		room_take(&room, out);
		z->next_out = room.ptr;
		z->avail_out = (uInt)room.size;
		status = inflate(z, Z_NO_FLUSH);
		made = room.size - z->avail_out;
		if (status == Z_BUF_ERROR || (status == Z_OK && made == 0))
			return corrupt(algorithm, "unexpected end of stream", err);
		if (status != Z_OK && status != Z_STREAM_END)
			return corrupt(algorithm, z->msg != NULL ? z->msg : "bad data", err);
		if (room_used(&room, made, out, err) < 0)
			return -1;
	}
	return z->avail_in == 0 ? 0 : corrupt(algorithm, "bytes behind the stream", err);
}

static int zlib_decode(enum compress_algorithm algorithm, struct lab_view compressed,
	struct lab_buf *out, struct lab_error *err)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)compressed.ptr,
		.avail_in = (uInt)compressed.len };
	int result;

	if (compressed.len > UINT_MAX)
		return no_room(out, err);
	if (inflateInit2(&z, zlib_window(algorithm)) != Z_OK)
		return lab_fail(err, LAB_INTERNAL, "%s: cannot start", algorithms[algorithm].name);
	result = zlib_inflate(algorithm, &z, out, err);
	inflateEnd(&z);
	return result;
}

/* ---- lz4 ---- */

static int lz4_encode(int level, struct lab_view plain, struct lab_buf *out, struct lab_error *err)
{
	LZ4F_preferences_t preferences = { .frameInfo = { .contentChecksumFlag =
								  LZ4F_contentChecksumEnabled },
		.compressionLevel = level };
	size_t bound = LZ4F_compressFrameBound(plain.len, &preferences), n;
	void *room = lab_buf_reserve(out, bound);

	if (room == NULL)
		return no_room(out, err);
	n = LZ4F_compressFrame(room, bound, plain.ptr, plain.len, &preferences);
	if (LZ4F_isError(n))
		return lab_fail(err, LAB_INTERNAL, "lz4: %s", LZ4F_getErrorName(n));
	lab_buf_commit(out, n);
	return 0;
}

static int lz4_decode(struct lab_view compressed, struct lab_buf *out, struct lab_error *err)
{
	static _Thread_local LZ4F_dctx *context;
	size_t left = 1;

	if (context == NULL)
		lab_assert(!LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)));
	LZ4F_resetDecompressionContext(context);
	while (left != 0) {
		size_t made, eaten = compressed.len;
		struct room room;

		room_take(&room, out);
		made = room.size;
		left = LZ4F_decompress(context, room.ptr, &made, compressed.ptr, &eaten, NULL);
		if (LZ4F_isError(left))
			return corrupt(COMPRESS_LZ4, LZ4F_getErrorName(left), err);
		if (room_used(&room, made, out, err) < 0)
			return -1;
		compressed = lab_view_skip(compressed, eaten);
		if (left != 0 && made == 0 && eaten == 0)
			return corrupt(COMPRESS_LZ4, "unexpected end of stream", err);
	}
	return compressed.len == 0 ? 0 : corrupt(COMPRESS_LZ4, "bytes behind the stream", err);
}

/* ---- all of them ---- */

int compress_encode(enum compress_algorithm algorithm, int level, struct lab_view plain,
	struct lab_buf *out, struct lab_error *err)
{
	switch (algorithm) {
	case COMPRESS_ZSTD:
		return zstd_encode(level, plain, out, err);
	case COMPRESS_GZ:
	case COMPRESS_DEFLATE:
		return zlib_encode(algorithm, level, plain, out, err);
	case COMPRESS_LZ4:
		return lz4_encode(level, plain, out, err);
	case COMPRESS_NONE:
		break;
	}
	lab_bug("no algorithm");
}

int compress_decode(enum compress_algorithm algorithm, struct lab_view compressed,
	struct lab_buf *out, struct lab_error *err)
{
	switch (algorithm) {
	case COMPRESS_ZSTD:
		return zstd_decode(compressed, out, err);
	case COMPRESS_GZ:
	case COMPRESS_DEFLATE:
		return zlib_decode(algorithm, compressed, out, err);
	case COMPRESS_LZ4:
		return lz4_decode(compressed, out, err);
	case COMPRESS_NONE:
		break;
	}
	lab_bug("no algorithm");
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Eight bytes at a time: table k says what a byte does that k more bytes follow. Where the
 * processor multiplies polynomials, sixteen bytes at a time are folded onto the next sixteen, which
 * takes a quarter of the time; the tables do the rest. All is made at the first use, once in the
 * process.
 */
#include "core/base/crc.h"

#include <openssl/crypto.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/base/assert.h"

#define KINDS 3
#define SLICES 8

/* Polynomials with the lowest power in the highest bit. */
static const struct {
	uint64_t polynomial;
	unsigned bits;
} crcs[KINDS] = {
	[LAB_CRC32] = { UINT64_C(0xedb88320), 32 },
	[LAB_CRC32C] = { UINT64_C(0x82f63b78), 32 },
	[LAB_CRC64NVME] = { UINT64_C(0x9a6c9329ac4bc9b5), 64 },
};

static uint64_t tables[KINDS][SLICES][256];
static uint64_t folds[KINDS][2]; /* x^191 and x^127, the lowest power in the highest of 64 bits */
static bool can_fold;
static CRYPTO_ONCE tables_once = CRYPTO_ONCE_STATIC_INIT;

static uint64_t times_x(size_t kind, uint64_t value)
{
	return value >> 1 ^ (value & 1 ? crcs[kind].polynomial : 0);
}

static uint64_t power_of_x(size_t kind, unsigned power)
{
	uint64_t value = UINT64_C(1) << (crcs[kind].bits - 1);

	while (power-- > 0)
		value = times_x(kind, value);
	return value << (64 - crcs[kind].bits);
}

static void make_folds(void)
{
	size_t kind;

	for (kind = 0; kind < KINDS; kind++) {
		folds[kind][0] = power_of_x(kind, 191);
		folds[kind][1] = power_of_x(kind, 127);
	}
#if defined(__x86_64__)
	can_fold = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse2");
#endif
}

static void make_tables(void)
{
	uint64_t value;
	size_t kind, slice, i, bit;

	for (kind = 0; kind < KINDS; kind++) {
		for (i = 0; i < 256; i++) {
			value = i;
			for (bit = 0; bit < 8; bit++)
				value = times_x(kind, value);
			tables[kind][0][i] = value;
		}
		for (slice = 1; slice < SLICES; slice++) {
			for (i = 0; i < 256; i++) {
				value = tables[kind][slice - 1][i];
				tables[kind][slice][i] = value >> 8 ^ tables[kind][0][value & 255];
			}
		}
	}
	make_folds();
}

static uint64_t all_ones(enum lab_crc_kind kind)
{
	return crcs[kind].bits == 64 ? UINT64_MAX : UINT32_MAX;
}

size_t lab_crc_size(enum lab_crc_kind kind)
{
	lab_assert(kind < KINDS);
	return crcs[kind].bits / 8;
}

static uint64_t little_endian(const uint8_t *in)
{
	uint64_t value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | in[i];
	return value;
}

static uint64_t by_tables(enum lab_crc_kind kind, uint64_t value, struct lab_view data)
{
	const uint64_t(*table)[256] = tables[kind];
	uint64_t word;
	size_t i = 0;

	for (; data.len - i >= 8; i += 8) {
		word = little_endian(data.ptr + i) ^ value;
		value = table[7][word & 255] ^ table[6][word >> 8 & 255] ^
			table[5][word >> 16 & 255] ^ table[4][word >> 24 & 255] ^
			table[3][word >> 32 & 255] ^ table[2][word >> 40 & 255] ^
			table[1][word >> 48 & 255] ^ table[0][word >> 56];
	}
	for (; i < data.len; i++)
		value = value >> 8 ^ table[0][(value ^ data.ptr[i]) & 255];
	return value;
}

#if defined(__x86_64__)
/* Takes sixteens off the front of *data. What 16 bytes are when 16 more follow: their first half
 * times x^192 and their second times x^128. A product of mirrored polynomials comes out times x. */
__attribute__((target("pclmul,sse2"))) static uint64_t by_folding(
	enum lab_crc_kind kind, uint64_t value, struct lab_view *data)
{
	__m128i fold = _mm_set_epi64x((long long)folds[kind][1], (long long)folds[kind][0]);
	__m128i sum = _mm_loadu_si128((const __m128i *)(const void *)data->ptr);
	uint8_t rest[16];
	size_t i;

	sum = _mm_xor_si128(sum, _mm_set_epi64x(0, (long long)value));
	for (i = 16; data->len - i >= 16; i += 16) {
		__m128i first = _mm_clmulepi64_si128(sum, fold, 0x00);
		__m128i second = _mm_clmulepi64_si128(sum, fold, 0x11);
		__m128i next = _mm_loadu_si128((const __m128i *)(const void *)(data->ptr + i));

		sum = _mm_xor_si128(_mm_xor_si128(first, second), next);
	}
	_mm_storeu_si128((__m128i *)(void *)rest, sum);
	*data = lab_view_skip(*data, i);
	return by_tables(kind, 0, lab_view_of(rest, sizeof(rest)));
}
#else
static uint64_t by_folding(enum lab_crc_kind kind, uint64_t value, struct lab_view *data)
{
	(void)kind, (void)data;
	return value;
}
#endif

uint64_t lab_crc(enum lab_crc_kind kind, uint64_t before, struct lab_view data)
{
	uint64_t value;

	lab_assert(kind < KINDS);
	lab_assert(CRYPTO_THREAD_run_once(&tables_once, make_tables) == 1);
	value = before ^ all_ones(kind);
	if (can_fold && data.len >= 64)
		value = by_folding(kind, value, &data);
	return by_tables(kind, value, data) ^ all_ones(kind);
}

/* ---- combining: arithmetic of polynomials modulo the CRC's ---- */

static uint64_t multiply(enum lab_crc_kind kind, uint64_t a, uint64_t b)
{
	uint64_t product = 0;
	unsigned power;

	/* The highest bit is x^0; each step makes b what it is times x. */
	for (power = 0; power < crcs[kind].bits; power++) {
		if (a >> (crcs[kind].bits - 1 - power) & 1)
			product ^= b;
		b = times_x(kind, b);
	}
	return product;
}

/* x to the power of 8 * bytes. */
static uint64_t shift_by(enum lab_crc_kind kind, uint64_t bytes)
{
	uint64_t one = UINT64_C(1) << (crcs[kind].bits - 1);
	uint64_t square = one >> 8; /* x^8 */
	uint64_t power = one;

	for (; bytes > 0; bytes >>= 1) {
		if (bytes & 1)
			power = multiply(kind, power, square);
		square = multiply(kind, square, square);
	}
	return power;
}

uint64_t lab_crc_combine(
	enum lab_crc_kind kind, uint64_t first, uint64_t second, uint64_t second_len)
{
	lab_assert(kind < KINDS);
	return multiply(kind, shift_by(kind, second_len), first) ^ second;
}

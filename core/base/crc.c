/* SPDX-License-Identifier: Apache-2.0
 *
 * Eight bytes at a time: table k says what a byte does that k more bytes follow. The tables are
 * made at the first use, once in the process.
 */
#include "core/base/crc.h"

#include <openssl/crypto.h>

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
static CRYPTO_ONCE tables_once = CRYPTO_ONCE_STATIC_INIT;

static void make_tables(void)
{
	uint64_t value;
	size_t kind, slice, i, bit;

	for (kind = 0; kind < KINDS; kind++) {
		for (i = 0; i < 256; i++) {
			value = i;
			for (bit = 0; bit < 8; bit++)
				value = value >> 1 ^ (value & 1 ? crcs[kind].polynomial : 0);
			tables[kind][0][i] = value;
		}
		for (slice = 1; slice < SLICES; slice++) {
			for (i = 0; i < 256; i++) {
				value = tables[kind][slice - 1][i];
				tables[kind][slice][i] = value >> 8 ^ tables[kind][0][value & 255];
			}
		}
	}
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

uint64_t lab_crc(enum lab_crc_kind kind, uint64_t before, struct lab_view data)
{
	const uint64_t(*table)[256];
	uint64_t value, word;
	size_t i = 0;

	lab_assert(kind < KINDS);
	lab_assert(CRYPTO_THREAD_run_once(&tables_once, make_tables) == 1);
	table = tables[kind];
	value = before ^ all_ones(kind);
	for (; data.len - i >= 8; i += 8) {
		word = little_endian(data.ptr + i) ^ value;
		value = table[7][word & 255] ^ table[6][word >> 8 & 255] ^
			table[5][word >> 16 & 255] ^ table[4][word >> 24 & 255] ^
			table[3][word >> 32 & 255] ^ table[2][word >> 40 & 255] ^
			table[1][word >> 48 & 255] ^ table[0][word >> 56];
	}
	for (; i < data.len; i++)
		value = value >> 8 ^ table[0][(value ^ data.ptr[i]) & 255];
	return value ^ all_ones(kind);
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
		b = b >> 1 ^ (b & 1 ? crcs[kind].polynomial : 0);
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

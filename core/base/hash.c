/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/hash.h"

#include <string.h>

#include "core/base/assert.h"
#include "core/base/hash-tables.h"

/* Odd constants from the fractional bits of the golden ratio and of the roots of 2, 3 and 5. */
#define K0 UINT64_C(0x9e3779b97f4a7c15)
#define K1 UINT64_C(0x6a09e667f3bcc909)
#define K2 UINT64_C(0xbb67ae8584caa73b)
#define K3 UINT64_C(0x3c6ef372fe94f82b)

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
	return (value << bits) | (value >> (64 - bits));
}

static inline uint64_t mix(uint64_t value)
{
	value ^= value >> 32;
	value *= UINT64_C(0xd6e8feb86659fd93);
	value ^= value >> 32;
	value *= UINT64_C(0xd6e8feb86659fd93);
	value ^= value >> 32;
	return value;
}

/* A bijection in each argument for any value of the other: nothing is lost on the way. */
static inline uint64_t fold(uint64_t hash, uint64_t value)
{
	hash = (rotate(hash, 29) ^ value) * K0;
	return hash ^ (hash >> 32);
}

uint64_t lab_mix64(uint64_t value)
{
	/* The constant keeps 0, a popular seed, from being a fixed point. */
	return mix(value + K0);
}

uint64_t lab_hash_fold(uint64_t hash, uint64_t value)
{
	return fold(hash, value);
}

static inline uint64_t load_le(const uint8_t *data)
{
	uint64_t value;

	memcpy(&value, data, sizeof(value));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	value = __builtin_bswap64(value);
#endif
	return value;
}

static inline uint64_t load_le32(const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	value = __builtin_bswap32(value);
#endif
	return value;
}

/* All of 1 to 7 bytes without a loop; some may be loaded twice. */
static inline uint64_t load_short(const uint8_t *data, size_t len)
{
	if (len >= 4)
		return load_le32(data) | load_le32(data + len - 4) << 32;
	return (uint64_t)data[0] | (uint64_t)data[len / 2] << 8 | (uint64_t)data[len - 1] << 16;
}

/* Four lanes, so that the multiplications overlap. */
static uint64_t hash_long(uint64_t hash, const uint8_t **data, size_t *len)
{
	uint64_t a = hash ^ K0, b = hash ^ K1, c = hash ^ K2, d = hash ^ K3;

	for (; *len >= 32; *data += 32, *len -= 32) {
		a = fold(a, load_le(*data));
		b = fold(b, load_le(*data + 8));
		c = fold(c, load_le(*data + 16));
		d = fold(d, load_le(*data + 24));
	}
	return fold(fold(a, b), fold(c, d));
}

uint64_t lab_hash_bytes(uint64_t seed, const void *_data, size_t len)
{
	const uint8_t *data = _data;
	uint64_t hash = fold(seed ^ K1, len);
	size_t left = len;

	if (left >= 32)
		hash = hash_long(hash, &data, &left);
	for (; left >= 8; data += 8, left -= 8)
		hash = fold(hash, load_le(data));
	if (left > 0 && len >= 8)
		hash = fold(hash, load_le(data + left - 8));
	else if (left > 0)
		hash = fold(hash, load_short(data, left));
	return mix(hash);
}

uint64_t lab_draw(uint64_t seed, const char *purpose, uint64_t actor, uint64_t ordinal)
{
	uint64_t hash = lab_hash_bytes(seed, purpose, strlen(purpose));

	return mix(fold(fold(hash, actor), ordinal));
}

/* ---- picks ---- */

uint64_t lab_pick(uint64_t draw, uint64_t n)
{
	lab_assert(n > 0);
	return (uint64_t)(((unsigned __int128)draw * n) >> 64);
}

uint64_t lab_pick_range(uint64_t draw, uint64_t low, uint64_t high)
{
	lab_assert(low <= high);
	if (low == 0 && high == UINT64_MAX)
		return draw;
	return low + lab_pick(draw, high - low + 1);
}

bool lab_chance(uint64_t draw, uint32_t ppm)
{
	return lab_pick(draw, 1000000) < ppm;
}

/* log2(value), value >= 1, as 32.32 fixed point; the inverse of fixed_exp2(). */
static uint64_t fixed_log2(uint64_t value)
{
	unsigned exponent = 63 - (unsigned)__builtin_clzll(value);
	/* In [1, 2), 32 fractional bits. */
	uint64_t mantissa = exponent >= 32 ? value >> (exponent - 32) : value << (32 - exponent);
	unsigned low = 0, high = 1u << EXP2_BITS;

	while (high - low > 1) {
		unsigned middle = (low + high) / 2;

		if (exp2_table[middle] <= mantissa)
			low = middle;
		else
			high = middle;
	}
	uint64_t step = exp2_table[high] - exp2_table[low];
	uint64_t within = ((mantissa - exp2_table[low]) << (32 - EXP2_BITS)) / step;
	return ((uint64_t)exponent << 32) + ((uint64_t)low << (32 - EXP2_BITS)) + within;
}

/* floor(2^log2) for 32.32 fixed point below 64. */
static uint64_t fixed_exp2(uint64_t log2)
{
	unsigned exponent = (unsigned)(log2 >> 32);
	unsigned index = (unsigned)((log2 & UINT32_MAX) >> (32 - EXP2_BITS));
	uint64_t within = log2 & ((UINT64_C(1) << (32 - EXP2_BITS)) - 1);
	uint64_t step = exp2_table[index + 1] - exp2_table[index];
	uint64_t mantissa = exp2_table[index] + ((step * within) >> (32 - EXP2_BITS));

	lab_assert(exponent < 64);
	return exponent >= 32 ? mantissa << (exponent - 32) : mantissa >> (32 - exponent);
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
	return value < low ? low : (value > high ? high : value);
}

uint64_t lab_pick_qlog(uint64_t draw, uint64_t low, uint64_t high)
{
	lab_assert(low >= 1 && low <= high);
	/* Up to high + 1, so that the highest value has its share too. */
	uint64_t from = fixed_log2(low);
	uint64_t to = fixed_log2(high == UINT64_MAX ? high : high + 1);
	uint64_t log2 = from + lab_pick(draw, to - from + 1);

	return clamp(fixed_exp2(log2), low, high);
}

/* z / z(0.95) as 16.16 fixed point, for a uniform draw. The top bit is the sign, the others the
 * tail probability, read off a table whose steps get finer towards the end of the tail. */
static int64_t pick_z(uint64_t draw)
{
	uint64_t tail = draw << 1 | 1; /* never 0 */
	unsigned octave = (unsigned)__builtin_clzll(tail);
	int64_t z;

	if (octave >= Z_OCTAVES) {
		z = z_table[Z_OCTAVES * 16];
	} else {
		/* How far below the octave's top, in 1/2^63 of the octave. */
		uint64_t below = ~(tail << octave) & INT64_MAX;
		unsigned index = octave * 16 + (unsigned)(below >> 59);
		int64_t within = (int64_t)((below >> 43) & 0xffff);

		z = z_table[index] + (((z_table[index + 1] - z_table[index]) * within) >> 16);
	}
	return draw >> 63 ? -z : z;
}

uint64_t lab_pick_lognormal(uint64_t draw, uint64_t low, uint64_t high)
{
	lab_assert(low >= 1 && low <= high);
	int64_t from = (int64_t)fixed_log2(low), to = (int64_t)fixed_log2(high);
	int64_t half = (to - from) / 2;
	int64_t log2 = from + half + (int64_t)(((__int128)half * pick_z(draw)) / 65536);
	uint64_t most = high > UINT64_MAX / 16 ? UINT64_MAX : high * 16;

	if (log2 < 0)
		log2 = 0;
	if (log2 >= INT64_C(64) << 32)
		return most;
	return clamp(fixed_exp2((uint64_t)log2), low / 4 == 0 ? 1 : low / 4, most);
}

uint64_t lab_pick_exponential(uint64_t draw, uint64_t mean)
{
	/* -ln(u) = (64 - log2(draw)) * ln 2, u in (0, 1]. */
	const uint64_t ln2 = UINT64_C(0xb17217f8);
	uint64_t log2 = (UINT64_C(64) << 32) - fixed_log2(draw | 1);
	unsigned __int128 minus_ln = ((unsigned __int128)log2 * ln2) >> 32;
	unsigned __int128 value = ((unsigned __int128)mean * (uint64_t)minus_ln) >> 32;
	unsigned __int128 most = (unsigned __int128)mean * 20;

	if (value > most)
		value = most;
	return value > UINT64_MAX ? UINT64_MAX : (uint64_t)value;
}

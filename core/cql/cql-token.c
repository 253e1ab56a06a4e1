/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-token.c - Murmur3Partitioner's token: the first half of Murmur3 x64 128 with seed 0, except
 * that Cassandra sign-extends the bytes of the tail (cql-imds 2.3).
 */
#include "core/cql/cql-codec.h"

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return (value << bits) | (value >> (64 - bits));
}

static uint64_t mix(uint64_t h)
{
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ (h >> 33);
}

static uint64_t little_endian(const uint8_t *bytes)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < 8; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

#define C1 UINT64_C(0x87c37b91114253d5)
#define C2 UINT64_C(0x4cf5ad432745937f)

static uint64_t tail(const uint8_t *bytes, size_t len)
{
	uint64_t k = 0;
	for (size_t i = 0; i < len; i++)
		k ^= (uint64_t)(int64_t)(int8_t)bytes[i] << (8 * i);
	return k;
}

int64_t cql_token(struct lab_view key)
{
	uint64_t h1 = 0, h2 = 0;
	size_t rest = key.len % 16;
	const uint8_t *at = key.ptr;

	if (key.len == 0)
		return INT64_MIN;
	for (const uint8_t *end = key.ptr + (key.len - rest); at < end; at += 16) {
		h1 ^= rotate(little_endian(at) * C1, 31) * C2;
		h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
		h2 ^= rotate(little_endian(at + 8) * C2, 33) * C1;
		h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
	}
	if (rest > 8)
		h2 ^= rotate(tail(at + 8, rest - 8) * C2, 33) * C1;
	if (rest > 0)
		h1 ^= rotate(tail(at, LAB_MIN(rest, (size_t)8)) * C1, 31) * C2;

	h1 ^= (uint64_t)key.len;
	h2 ^= (uint64_t)key.len;
	h1 += h2;
	h2 += h1;
	h1 = mix(h1);
	h2 = mix(h2);
	h1 += h2;
	return (int64_t)h1 == INT64_MIN ? INT64_MAX : (int64_t)h1;
}

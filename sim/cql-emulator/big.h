/* SPDX-License-Identifier: Apache-2.0
 *
 * big.h - whole numbers of any length up to a limit: what number.c and exact.c count with.
 */
#ifndef SIM_CQL_EMULATOR_BIG_H
#define SIM_CQL_EMULATOR_BIG_H

#include "sim/cql-emulator/cql-emulator-private.h"

/* 9,600 bits: CQLE_DIGITS_MAX digits times the largest power of ten of a double. */
#define LIMBS 300

/* Not negative; the lowest limb first. */
struct big {
	uint32_t limb[LIMBS];
	size_t count;
};

static inline void big_multiply_add(struct big *b, uint32_t factor, uint32_t addend)
{
	uint64_t carry = addend;
	for (size_t i = 0; i < b->count; i++) {
		carry += (uint64_t)b->limb[i] * factor;
		b->limb[i] = (uint32_t)carry;
		carry >>= 32;
	}
	if (carry > 0) {
		lab_assert(b->count < LIMBS);
		b->limb[b->count++] = (uint32_t)carry;
	}
}

/* The remainder. */
static inline uint32_t big_divide(struct big *b, uint32_t divisor)
{
	uint64_t rest = 0;
	for (size_t i = b->count; i > 0; i--) {
		rest = rest << 32 | b->limb[i - 1];
		b->limb[i - 1] = (uint32_t)(rest / divisor);
		rest %= divisor;
	}
	while (b->count > 0 && b->limb[b->count - 1] == 0)
		b->count--;
	return (uint32_t)rest;
}

static inline size_t big_bits(const struct big *b)
{
	return b->count == 0 ? 0 : 32 * b->count - (size_t)__builtin_clz(b->limb[b->count - 1]);
}

static inline void big_shift_left(struct big *b, size_t bits)
{
	for (; bits >= 31; bits -= 31)
		big_multiply_add(b, UINT32_C(1) << 31, 0);
	big_multiply_add(b, UINT32_C(1) << bits, 0);
}

static inline int big_compare(const struct big *a, const struct big *b)
{
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	for (size_t i = a->count; i > 0; i--) {
		if (a->limb[i - 1] != b->limb[i - 1])
			return a->limb[i - 1] < b->limb[i - 1] ? -1 : 1;
	}
	return 0;
}

static inline void big_subtract(struct big *a, const struct big *b)
{
	int64_t borrow = 0;
	for (size_t i = 0; i < a->count; i++) {
		borrow += (int64_t)a->limb[i] - (i < b->count ? (int64_t)b->limb[i] : 0);
		a->limb[i] = (uint32_t)borrow;
		borrow >>= 32;
	}
	while (a->count > 0 && a->limb[a->count - 1] == 0)
		a->count--;
}

/* a + b fits. */
static inline void big_add(struct big *a, const struct big *b)
{
	uint64_t carry = 0;
	size_t count = LAB_MAX(a->count, b->count);
	for (size_t i = 0; i < count || carry > 0; i++) {
		lab_assert(i < LIMBS);
		carry +=
			(i < a->count ? a->limb[i] : 0) + (uint64_t)(i < b->count ? b->limb[i] : 0);
		a->limb[i] = (uint32_t)carry;
		a->count = LAB_MAX(a->count, i + 1);
		carry >>= 32;
	}
}

/* The magnitude of two's complement bytes, at most CQLE_DECIMAL_BYTES_MAX. Is it negative? */
static inline bool big_of_bytes(struct big *ret, struct lab_view bytes)
{
	bool negative = bytes.len > 0 && (bytes.ptr[0] & 0x80) != 0;
	ret->count = 0;
	for (size_t i = 0; i < bytes.len; i++)
		big_multiply_add(ret, 256, negative ? bytes.ptr[i] ^ 0xffu : bytes.ptr[i]);
	if (negative)
		big_multiply_add(ret, 1, 1);
	return negative;
}

/* Two's complement, as short as can be. */
static inline struct lab_view big_varint(
	struct lab_arena *arena, const struct big *b, bool negative)
{
	size_t size = big_bits(b) / 8 + 1, first = 0;
	uint8_t *bytes = lab_arena_alloc(arena, size);
	unsigned carry = 1;
	for (size_t i = 0; i < size; i++) {
		uint32_t limb = i / 4 < b->count ? b->limb[i / 4] : 0;
		unsigned byte = limb >> (8 * (i % 4)) & 0xff;
		if (negative) {
			byte = (byte ^ 0xff) + carry;
			carry = byte >> 8;
		}
		bytes[size - 1 - i] = (uint8_t)byte;
	}
	while (first + 1 < size &&
		((bytes[first] == 0 && (bytes[first + 1] & 0x80) == 0) ||
			(bytes[first] == 0xff && (bytes[first + 1] & 0x80) != 0)))
		first++;
	return lab_view_of(bytes + first, size - first);
}

#endif

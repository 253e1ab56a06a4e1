/* SPDX-License-Identifier: Apache-2.0
 *
 * exact.c - sums and averages of varint, decimal and bigint, and what they are cast to: as Java's
 * BigInteger and BigDecimal count.
 */
#include "sim/cql-emulator/big.h"

#define BITS_MAX ((size_t)32 * (LIMBS - 4))

/* digits / 10^scale */
struct cqle_exact {
	bool negative;
	struct big digits;
	int64_t scale;
};

/* -1: longer than what is counted with here. */
static int exact_of(uint16_t type, struct lab_view value, struct cqle_exact *ret)
{
	ret->scale = 0;
	if (type == CQL_TYPE_DECIMAL) {
		(void)cql_value_to_i64(CQL_TYPE_INT, lab_view_sub(value, 0, 4), &ret->scale);
		value = lab_view_skip(value, 4);
	}
	if (value.len > CQLE_DECIMAL_BYTES_MAX)
		return -1;
	ret->negative = big_of_bytes(&ret->digits, value);
	return 0;
}

/* The same number with more digits behind the point. */
static int rescale(struct cqle_exact *x, int64_t scale)
{
	/* A digit has less than 3.33 bits. */
	if (scale - x->scale > (int64_t)BITS_MAX ||
		big_bits(&x->digits) + (size_t)(scale - x->scale) * 10 / 3 + 1 > BITS_MAX)
		return -1;
	for (; x->scale < scale; x->scale++)
		big_multiply_add(&x->digits, 10, 0);
	return 0;
}

/* *s += *x, at the larger scale. Both change. */
static int add(struct cqle_exact *s, struct cqle_exact *x)
{
	if (rescale(s, LAB_MAX(s->scale, x->scale)) < 0 || rescale(x, s->scale) < 0)
		return -1;
	if (x->negative == s->negative) {
		big_add(&s->digits, &x->digits);
	} else if (big_compare(&s->digits, &x->digits) >= 0) {
		big_subtract(&s->digits, &x->digits);
	} else {
		big_subtract(&x->digits, &s->digits);
		*s = *x;
	}
	return big_bits(&s->digits) > BITS_MAX ? -1 : 0;
}

static struct cqle_exact *begun(struct lab_arena *keep, struct cqle_exact **x)
{
	if (*x == NULL)
		*x = lab_arena_new_of(keep, struct cqle_exact);
	return *x;
}

int cqle_exact_add(
	struct lab_arena *keep, struct cqle_exact **sum, uint16_t type, struct lab_view value)
{
	struct cqle_exact x, *s = begun(keep, sum);
	return exact_of(type, value, &x) < 0 ? -1 : add(s, &x);
}

/* To the even neighbour. */
static void divide_rounding(struct cqle_exact *x, uint32_t count)
{
	uint64_t rest = big_divide(&x->digits, count), twice = 2 * rest;
	bool odd = x->digits.count > 0 && (x->digits.limb[0] & 1) != 0;
	if (twice > count || (twice == count && odd)) {
		struct big one = { .limb = { 1 }, .count = 1 };
		big_add(&x->digits, &one);
	}
}

int cqle_exact_average(
	struct lab_arena *keep, struct cqle_exact **average, struct lab_view value, uint64_t count)
{
	struct cqle_exact x, *a = begun(keep, average), before = *a;
	before.negative = !before.negative;
	if (count > UINT32_MAX || exact_of(CQL_TYPE_DECIMAL, value, &x) < 0 || add(&x, &before) < 0)
		return -1;
	divide_rounding(&x, (uint32_t)count);
	return add(a, &x);
}

static struct lab_view decimal_of(struct lab_arena *arena, const struct cqle_exact *x)
{
	struct lab_view digits = big_varint(arena, &x->digits, x->negative);
	struct lab_buf out;
	lab_buf_init_arena(&out, arena, digits.len + 4);
	lab_buf_append_u32(&out, (uint32_t)(int32_t)x->scale);
	lab_buf_append_view(&out, digits);
	return lab_buf_view(&out);
}

int cqle_exact_result(struct lab_arena *arena, const struct cqle_exact *sum, uint16_t type,
	uint64_t divisor, struct lab_view *ret)
{
	struct cqle_exact x = { .scale = 0 };
	int64_t number;
	if (sum != NULL)
		x = *sum;
	if (divisor > UINT32_MAX)
		return -1;
	if (divisor > 1)
		(void)big_divide(&x.digits, (uint32_t)divisor);
	*ret = type == CQL_TYPE_DECIMAL ? decimal_of(arena, &x)
					: big_varint(arena, &x.digits, x.negative);
	if (type == CQL_TYPE_DECIMAL || type == CQL_TYPE_VARINT)
		return 0;
	if (cqle_varint_to_i64(*ret, &number) < 0)
		return -1;
	*ret = cql_value_bigint(arena, number);
	return 0;
}

/* ---- casts ---- */

/* What is in front of the point, its lowest 64 bits: Java's longValue(). */
static int64_t low_bits(struct cqle_exact *x)
{
	for (; x->scale > 0 && x->digits.count > 0; x->scale--)
		(void)big_divide(&x->digits, 10);
	uint64_t low = x->digits.count > 0 ? x->digits.limb[0] : 0;
	low |= x->digits.count > 1 ? (uint64_t)x->digits.limb[1] << 32 : 0;
	/* 10^64 is a multiple of 2^64. */
	for (int64_t i = LAB_MAX(x->scale, INT64_C(-64)); i < 0; i++)
		low *= 10;
	return (int64_t)(x->negative ? -low : low);
}

int cqle_exact_to_i64(uint16_t type, struct lab_view value, int64_t *ret)
{
	struct cqle_exact x;
	if (exact_of(type, value, &x) < 0)
		return -1;
	*ret = low_bits(&x);
	return 0;
}

int cqle_exact_to_double(
	struct lab_arena *arena, uint16_t type, struct lab_view value, bool single, double *ret)
{
	const char *text = type == CQL_TYPE_DECIMAL ? cqle_decimal_text(arena, value)
						    : cqle_varint_text(arena, value);
	return text == NULL ? -1 : cqle_double_parse(lab_view_cstr(text), single, ret);
}

int cqle_exact_to_decimal(struct lab_arena *arena, struct lab_view varint, struct lab_view *ret)
{
	struct cqle_exact x;
	if (exact_of(CQL_TYPE_VARINT, varint, &x) < 0)
		return -1;
	*ret = decimal_of(arena, &x);
	return 0;
}

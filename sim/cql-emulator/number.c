/* SPDX-License-Identifier: Apache-2.0
 *
 * number.c - numbers of any length to text and back, exactly: floating-point numbers, varint and
 * decimal.
 */
#include "sim/cql-emulator/big.h"

#include <stdio.h>

#define EXPONENT_MAX 100000

/* ---- decimal notation ---- */

struct parsed {
	bool negative;
	struct big digits;
	size_t digit_count;
	int64_t scale; /* the number is digits / 10^scale */
};

static int parse_exponent(struct lab_view text, int64_t *ret)
{
	if (text.len > 1 && text.ptr[0] == '+')
		text = lab_view_skip(text, 1);
	if (lab_view_to_i64(text, ret) < 0)
		return -1;
	return *ret > EXPONENT_MAX || *ret < -EXPONENT_MAX ? -1 : 0;
}

static int parse(struct lab_view text, struct parsed *ret)
{
	bool fraction = false;
	*ret = (struct parsed){ .negative = text.len > 0 && text.ptr[0] == '-' };
	for (size_t i = ret->negative; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		int64_t exponent;
		if (c == '.' && !fraction) {
			fraction = true;
		} else if (c >= '0' && c <= '9') {
			if (++ret->digit_count > CQLE_DIGITS_MAX)
				return -1;
			big_multiply_add(&ret->digits, 10, (uint32_t)(c - '0'));
			ret->scale += fraction;
		} else if (c == 'e' || c == 'E') {
			if (parse_exponent(lab_view_skip(text, i + 1), &exponent) < 0)
				return -1;
			ret->scale -= exponent;
			break;
		} else {
			return -1;
		}
	}
	return ret->digit_count == 0 ? -1 : 0;
}

/* ---- floating point ---- */

struct format {
	int precision, lowest; /* bits of the mantissa; exponent of the lowest bit there is */
	int highest;           /* exponent behind the highest bit */
};

static const struct format format_double = { 53, -1074, 1024 };
static const struct format format_single = { 24, -149, 128 };

/* mantissa * 2^exponent; exact for what fits the format. */
static double scaled(uint64_t mantissa, int exponent)
{
	double result = (double)mantissa;
	for (; exponent > 0; exponent--)
		result *= 2;
	for (; exponent < 0; exponent++)
		result /= 2;
	return result;
}

/* numerator / denominator to the nearest, ties to even. Both change. */
static double quotient(struct big *n, struct big *d, const struct format *f)
{
	int exponent = (int)big_bits(n) - (int)big_bits(d) - f->precision - 1;
	uint64_t mantissa = 0;
	exponent = LAB_MAX(exponent, f->lowest - 1);
	if (exponent > 0)
		big_shift_left(d, (size_t)exponent);
	else
		big_shift_left(n, (size_t)-exponent);
	/* n / d has at most precision + 2 bits: one by one, the highest first. */
	int steps = f->precision + 2;
	struct big step;
	for (int i = steps - 1; i >= 0; i--) {
		step = *d;
		big_shift_left(&step, (size_t)i);
		mantissa <<= 1;
		if (big_compare(n, &step) >= 0) {
			big_subtract(n, &step);
			mantissa |= 1;
		}
	}
	bool rest = n->count > 0;
	/* Round away the lowest one or two bits. */
	int drop = 0;
	while (mantissa >> (f->precision + drop) != 0)
		drop++;
	drop = LAB_MAX(drop, f->lowest - exponent);
	if (drop > 0) {
		uint64_t half = UINT64_C(1) << (drop - 1), low = mantissa & (2 * half - 1);
		mantissa >>= drop;
		if (low > half || (low == half && (rest || (mantissa & 1) != 0)))
			mantissa++;
		exponent += drop;
	}
	if (mantissa != 0 && exponent + 64 - __builtin_clzll(mantissa) > f->highest)
		return __builtin_inf();
	return scaled(mantissa, exponent);
}

int cqle_double_parse(struct lab_view text, bool single, double *ret)
{
	struct parsed p;
	struct big one = { .limb = { 1 }, .count = 1 };
	bool negative = text.len > 0 && text.ptr[0] == '-';
	if (lab_view_eq_cstr(lab_view_skip(text, negative), "infinity")) {
		*ret = negative ? -__builtin_inf() : __builtin_inf();
		return 0;
	}
	if (lab_view_eq_cstr(text, "nan")) {
		*ret = __builtin_nan("");
		return 0;
	}
	if (parse(text, &p) < 0)
		return -1;
	int64_t magnitude = (int64_t)(big_bits(&p.digits) * 30103 / 100000) - p.scale;
	if (p.digits.count == 0 || magnitude < -340)
		*ret = 0;
	else if (magnitude > 310)
		*ret = __builtin_inf();
	else {
		for (int64_t i = 0; i < p.scale; i++)
			big_multiply_add(&one, 10, 0);
		for (int64_t i = p.scale; i < 0; i++)
			big_multiply_add(&p.digits, 10, 0);
		*ret = quotient(&p.digits, &one, single ? &format_single : &format_double);
	}
	if (p.negative)
		*ret = -*ret;
	return 0;
}

double cqle_double_of(uint16_t type, struct lab_view value)
{
	uint64_t bits = 0;
	for (size_t i = 0; i < value.len && i < 8; i++)
		bits = bits << 8 | value.ptr[i];
	if (type == CQL_TYPE_FLOAT) {
		uint32_t bits32 = (uint32_t)bits;
		float single;
		memcpy(&single, &bits32, sizeof(single));
		return (double)single;
	}
	double number;
	memcpy(&number, &bits, sizeof(number));
	return number;
}

struct lab_view cqle_double_value(struct lab_arena *arena, uint16_t type, double number)
{
	uint64_t bits;
	uint32_t bits32;
	float single = (float)number;
	memcpy(&bits, &number, sizeof(bits));
	memcpy(&bits32, &single, sizeof(bits32));
	if (number != number) /* Java knows one of them */
		bits32 = 0x7fc00000, bits = UINT64_C(0x7ff8000000000000);
	return type == CQL_TYPE_FLOAT ? cqle_big_endian(arena, bits32, 4)
				      : cqle_big_endian(arena, bits, 8);
}

/* "d.ddde+x" to Java's layout: plain from 10^-3 to 10^7. */
static const char *layout(
	struct lab_arena *arena, const char *digits, size_t count, int exponent, const char *sign)
{
	struct lab_buf out;
	lab_buf_init_arena(&out, arena, count + 40);
	lab_buf_append_cstr(&out, sign);
	bool plain = exponent >= -3 && exponent < 7;
	int point = plain ? exponent + 1 : 1; /* digits before it */
	if (point <= 0) {
		lab_buf_append_cstr(&out, "0.");
		for (int i = point; i < 0; i++)
			lab_buf_append_byte(&out, '0');
	}
	for (int i = 0; i < LAB_MAX((int)count, point + 1); i++) {
		if (i == point && i > 0)
			lab_buf_append_byte(&out, '.');
		if (i >= (int)count && point <= 0)
			break;
		lab_buf_append_byte(&out, i < (int)count ? (uint8_t)digits[i] : '0');
	}
	if (!plain)
		lab_buf_printf(&out, "E%d", exponent);
	return lab_arena_cstr(arena, lab_buf_view(&out));
}

/* "d.ddde+x" of a positive number, with as few digits as tell it from its neighbours, but two: of
 * the smallest ones that makes a difference. */
static void shortest(double number, bool single, char text[40])
{
	double back = 0;
	for (int precision = 1; precision < 17; precision++) {
		(void)snprintf(text, 40, "%.*e", precision, number);
		if (cqle_double_parse(lab_view_cstr(text), single, &back) == 0 && back == number)
			return;
	}
}

const char *cqle_double_text(struct lab_arena *arena, uint16_t type, struct lab_view value)
{
	double number = cqle_double_of(type, value);
	const char *sign = value.len > 0 && (value.ptr[0] & 0x80) != 0 ? "-" : "";
	char text[40], digits[24];
	if (number != number)
		return "NaN";
	if (number == 0 || number - number != 0)
		return lab_arena_printf(arena, "%s%s", sign, number == 0 ? "0.0" : "Infinity");
	shortest(number < 0 ? -number : number, type == CQL_TYPE_FLOAT, text);
	struct lab_view rest = lab_view_cstr(text), mantissa;
	int64_t power = 0;
	size_t count = 0;
	(void)lab_view_split(&rest, 'e', &mantissa);
	(void)parse_exponent(rest, &power);
	for (size_t i = 0; i < mantissa.len && count < sizeof(digits); i++) {
		if (mantissa.ptr[i] != '.')
			digits[count++] = (char)mantissa.ptr[i];
	}
	while (count > 1 && digits[count - 1] == '0')
		count--;
	return layout(arena, digits, count, (int)power, sign);
}

/* ---- varint and decimal ---- */

struct lab_view cqle_big_endian(struct lab_arena *arena, uint64_t value, size_t size)
{
	uint8_t *bytes = lab_arena_alloc(arena, size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
	return lab_view_of(bytes, size);
}

struct lab_view cqle_varint_of(struct lab_arena *arena, int64_t value)
{
	size_t size = 8;
	while (size > 1 && (value >> (8 * size - 9) == 0 || value >> (8 * size - 9) == -1))
		size--;
	return cqle_big_endian(arena, (uint64_t)value, size);
}

int cqle_varint_to_i64(struct lab_view value, int64_t *ret)
{
	uint8_t fill = value.len > 0 && (value.ptr[0] & 0x80) != 0 ? 0xff : 0;
	uint64_t bits = fill == 0 ? 0 : UINT64_MAX;
	for (size_t i = 0; i < value.len; i++) {
		bool kept = i + 8 >= value.len;
		if (!kept && value.ptr[i] != fill)
			return -1;
		if (i + 8 == value.len && (value.ptr[i] & 0x80) != (fill & 0x80))
			return -1;
		if (kept)
			bits = bits << 8 | value.ptr[i];
	}
	*ret = (int64_t)bits;
	return 0;
}

int cqle_varint_parse(struct lab_arena *arena, struct lab_view text, struct lab_view *ret)
{
	struct parsed p;
	if (parse(text, &p) < 0 || p.scale != 0)
		return -1;
	*ret = big_varint(arena, &p.digits, p.negative);
	return 0;
}

int cqle_decimal_parse(struct lab_arena *arena, struct lab_view text, struct lab_view *ret)
{
	struct parsed p;
	struct lab_buf out;
	if (parse(text, &p) < 0)
		return -1;
	struct lab_view unscaled = big_varint(arena, &p.digits, p.negative);
	lab_buf_init_arena(&out, arena, unscaled.len + 4);
	lab_buf_append_u32(&out, (uint32_t)(int32_t)p.scale);
	lab_buf_append_view(&out, unscaled);
	*ret = lab_buf_view(&out);
	return 0;
}

const char *cqle_varint_text(struct lab_arena *arena, struct lab_view value)
{
	struct big b;
	char digits[CQLE_DIGITS_MAX + 2], *at = digits + sizeof(digits) - 1;
	if (value.len > CQLE_DIGITS_MAX / 3)
		return NULL;
	bool negative = big_of_bytes(&b, value);
	*at = 0;
	do {
		*--at = (char)('0' + big_divide(&b, 10));
	} while (b.count > 0);
	return lab_arena_printf(arena, "%s%s", negative ? "-" : "", at);
}

/* BigDecimal.toPlainString() for scales that are no exponent, else its toString(). */
const char *cqle_decimal_text(struct lab_arena *arena, struct lab_view value)
{
	int64_t scale = 0;
	const char *digits =
		value.len < 4 ? NULL : cqle_varint_text(arena, lab_view_skip(value, 4));
	if (digits == NULL)
		return NULL;
	(void)cql_value_to_i64(CQL_TYPE_INT, lab_view_sub(value, 0, 4), &scale);
	const char *sign = digits[0] == '-' ? "-" : "";
	digits += sign[0] != 0;
	int64_t count = (int64_t)strlen(digits), exponent = count - 1 - scale;
	if (scale == 0)
		return lab_arena_printf(arena, "%s%s", sign, digits);
	if (scale < 0 || exponent < -6)
		return lab_arena_printf(arena, "%s%.1s%s%sE%+" PRId64, sign, digits,
			count > 1 ? "." : "", digits + 1, exponent);
	if (scale >= count)
		return lab_arena_printf(
			arena, "%s0.%.*s%s", sign, (int)(scale - count), "000000", digits);
	return lab_arena_printf(
		arena, "%s%.*s.%s", sign, (int)(count - scale), digits, digits + (count - scale));
}

/* The digits of a value of which validation has seen the length. */
static void magnitude_of(struct lab_view value, struct parsed *ret)
{
	*ret = (struct parsed){ .negative = false };
	(void)cql_value_to_i64(CQL_TYPE_INT, lab_view_sub(value, 0, 4), &ret->scale);
	ret->negative = big_of_bytes(&ret->digits, lab_view_skip(value, 4));
	struct big rest = ret->digits;
	while (rest.count > 0) {
		(void)big_divide(&rest, 10);
		ret->digit_count++;
	}
}

static int compare_magnitudes(struct parsed *a, struct parsed *b)
{
	int64_t x = (int64_t)a->digit_count - a->scale, y = (int64_t)b->digit_count - b->scale;
	if (x != y)
		return x < y ? -1 : 1;
	for (; a->scale < b->scale; a->scale++)
		big_multiply_add(&a->digits, 10, 0);
	for (; b->scale < a->scale; b->scale++)
		big_multiply_add(&b->digits, 10, 0);
	return big_compare(&a->digits, &b->digits);
}

int cqle_decimal_compare(struct lab_view a, struct lab_view b)
{
	struct parsed x, y;
	if (a.len < 5 || b.len < 5)
		return (a.len >= 5) - (b.len >= 5);
	magnitude_of(a, &x);
	magnitude_of(b, &y);
	if (x.digit_count == 0 || y.digit_count == 0) {
		int x_sign = x.digit_count == 0 ? 0 : x.negative ? -1 : 1;
		int y_sign = y.digit_count == 0 ? 0 : y.negative ? -1 : 1;
		return x_sign - y_sign;
	}
	if (x.negative != y.negative)
		return x.negative ? -1 : 1;
	return x.negative ? compare_magnitudes(&y, &x) : compare_magnitudes(&x, &y);
}

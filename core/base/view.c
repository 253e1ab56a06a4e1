/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* for memmem */
#include "core/base/view.h"

#include <openssl/crypto.h>

struct lab_view lab_view_sub(struct lab_view v, size_t from, size_t len)
{
	v = lab_view_skip(v, from);
	if (len < v.len)
		v.len = len;
	return v;
}

struct lab_view lab_view_skip(struct lab_view v, size_t n)
{
	if (n > v.len)
		n = v.len;
	if (n == 0)
		return v;
	return (struct lab_view){ v.ptr + n, v.len - n };
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool lab_view_same_letters(struct lab_view a, struct lab_view b)
{
	for (size_t i = 0; i < a.len; i++) {
		if (lower(a.ptr[i]) != lower(b.ptr[i]))
			return false;
	}
	return true;
}

bool lab_view_starts_with(struct lab_view v, struct lab_view prefix)
{
	return v.len >= prefix.len && lab_view_eq(lab_view_sub(v, 0, prefix.len), prefix);
}

bool lab_view_ends_with(struct lab_view v, struct lab_view suffix)
{
	return v.len >= suffix.len && lab_view_eq(lab_view_skip(v, v.len - suffix.len), suffix);
}

int lab_view_cmp(struct lab_view a, struct lab_view b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);

	if (order != 0)
		return order;
	return a.len == b.len ? 0 : (a.len < b.len ? -1 : 1);
}

size_t lab_view_find_byte(struct lab_view v, uint8_t byte)
{
	const uint8_t *found = v.len == 0 ? NULL : memchr(v.ptr, byte, v.len);

	return found == NULL ? SIZE_MAX : (size_t)(found - v.ptr);
}

size_t lab_view_find(struct lab_view v, struct lab_view needle)
{
	if (needle.len == 0)
		return 0;
	if (needle.len > v.len)
		return SIZE_MAX;
	const uint8_t *found = memmem(v.ptr, v.len, needle.ptr, needle.len);
	return found == NULL ? SIZE_MAX : (size_t)(found - v.ptr);
}

bool lab_view_split(struct lab_view *rest, uint8_t separator, struct lab_view *ret_part)
{
	if (rest->ptr == NULL)
		return false;
	size_t at = lab_view_find_byte(*rest, separator);
	if (at == SIZE_MAX) {
		*ret_part = *rest;
		*rest = (struct lab_view){ NULL, 0 };
		return true;
	}
	*ret_part = lab_view_sub(*rest, 0, at);
	*rest = lab_view_skip(*rest, at + 1);
	return true;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct lab_view lab_view_trim(struct lab_view v)
{
	while (v.len > 0 && is_space(v.ptr[v.len - 1]))
		v.len--;
	while (v.len > 0 && is_space(v.ptr[0]))
		v = lab_view_skip(v, 1);
	return v;
}

int lab_view_to_u64(struct lab_view v, uint64_t *ret)
{
	uint64_t value = 0;

	if (v.len == 0)
		return -1;
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] < '0' || v.ptr[i] > '9')
			return -1;
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
			__builtin_add_overflow(value, (uint64_t)(v.ptr[i] - '0'), &value))
			return -1;
	}
	*ret = value;
	return 0;
}

int lab_view_to_i64(struct lab_view v, int64_t *ret)
{
	bool negative = v.len > 0 && v.ptr[0] == '-';
	uint64_t magnitude;

	if (lab_view_to_u64(lab_view_skip(v, negative ? 1 : 0), &magnitude) < 0)
		return -1;
	if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return -1;
	*ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return 0;
}

int lab_view_to_cstr(struct lab_view v, char *out, size_t out_size)
{
	if (v.len >= out_size || lab_view_find_byte(v, 0) != SIZE_MAX)
		return -1;
	if (v.len > 0)
		memcpy(out, v.ptr, v.len);
	out[v.len] = '\0';
	return 0;
}

bool lab_view_eq_secret(struct lab_view a, struct lab_view b)
{
	return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

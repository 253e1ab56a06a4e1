/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys, names and headers are put together from a few conversions, millions of times in a campaign,
 * and the C library does that byte by byte through a stream.
 */
#include "core/base/base-private.h"

#include <stdio.h>
#include <string.h>

#include "core/base/assert.h"

#define DIGITS_MAX 20

struct output {
	char *at;
	size_t size, len; /* `len` counts what had no room, too */
};

static void put(struct output *out, const char *text, size_t len)
{
	if (out->len < out->size) {
		size_t room = out->size - out->len;

		memcpy(out->at + out->len, text, len < room ? len : room);
	}
	out->len += len;
}

static void put_number(struct output *out, uint64_t value, bool is_negative)
{
	char digits[DIGITS_MAX + 1], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	if (is_negative)
		*--at = '-';
	put(out, at, (size_t)(digits + sizeof(digits) - at));
}

static void put_signed(struct output *out, int64_t value)
{
	put_number(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

/* A text and how much of it, at most; false if that is not for us. */
static bool put_text(struct output *out, const char *text, int max)
{
	if (max < 0 || (text == NULL && max > 0))
		return false;
	if (max > 0)
		put(out, text, strnlen(text, (size_t)max));
	return true;
}

/* One conversion, behind its '%': how long it is, or 0 for one that is left to the C library. */
static size_t convert(struct output *out, const char *spec, va_list *args)
{
	const char *text;
	int max;

	switch (spec[0]) {
	case '%':
		put(out, "%", 1);
		return 1;
	case 'c':
		put(out, &(char){ (char)va_arg(*args, int) }, 1);
		return 1;
	case 's':
		text = va_arg(*args, const char *);
		if (text == NULL)
			return 0;
		put(out, text, strlen(text));
		return 1;
	case 'd':
		put_signed(out, va_arg(*args, int));
		return 1;
	case 'u':
		put_number(out, va_arg(*args, unsigned), false);
		return 1;
	case '.':
		if (spec[1] != '*' || spec[2] != 's')
			return 0;
		max = va_arg(*args, int);
		text = va_arg(*args, const char *);
		return put_text(out, text, max) ? 3 : 0;
	case 'l':
		if (spec[1] == 'd')
			put_signed(out, va_arg(*args, long));
		else if (spec[1] == 'u')
			put_number(out, va_arg(*args, unsigned long), false);
		return spec[1] == 'd' || spec[1] == 'u' ? 2 : 0;
	case 'z':
		if (spec[1] != 'u')
			return 0;
		put_number(out, va_arg(*args, size_t), false);
		return 2;
	default:
		return 0;
	}
}

/* False if the format has something that is not for us. */
static bool format_all(struct output *out, const char *format, va_list *args)
{
	for (;;) {
		size_t plain = strcspn(format, "%"), len;

		put(out, format, plain);
		format += plain;
		if (*format == '\0')
			return true;
		len = convert(out, format + 1, args);
		if (len == 0)
			return false;
		format += 1 + len;
	}
}

size_t lab_format(char *text, size_t size, const char *format, va_list args)
{
	struct output out = { text, size, 0 };
	va_list own;
	bool done;

	va_copy(own, args);
	done = format_all(&out, format, &own);
	va_end(own);
	if (!done) {
		int n = vsnprintf(text, size, format, args);

		lab_assert(n >= 0);
		return (size_t)n;
	}
	if (size > 0)
		text[out.len < size ? out.len : size - 1] = '\0';
	return out.len;
}

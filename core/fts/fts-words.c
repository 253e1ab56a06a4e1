/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fts/fts-words.h"

static bool is_word_byte(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c >= 0x80;
}

static bool is_local_byte(uint8_t c)
{
	return is_word_byte(c) || (c != 0 && memchr("!#$%&'*+/=?^_`{|}~.-", c, 20) != NULL);
}

static bool is_domain_byte(uint8_t c)
{
	return is_word_byte(c) || c == '.' || c == '-';
}

static void tell(struct lab_view raw, fts_word_fn fn, void *ctx)
{
	uint8_t lower[FTS_WORD_MAX];
	size_t len = LAB_MIN(raw.len, sizeof(lower));

	for (size_t i = 0; i < len; i++) {
		uint8_t c = raw.ptr[i];

		lower[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
	}
	fn(ctx, lab_view_of(lower, len));
}

/* Around the '@' at that place; what is longer than a word may be is not one. */
static void tell_address(struct lab_view text, size_t at, fts_word_fn fn, void *ctx)
{
	size_t from = at, to = at + 1;

	while (from > 0 && at - from <= FTS_WORD_MAX && is_local_byte(text.ptr[from - 1]))
		from--;
	while (to < text.len && to - at <= FTS_WORD_MAX && is_domain_byte(text.ptr[to]))
		to++;
	while (to > at + 1 && !is_word_byte(text.ptr[to - 1]))
		to--;
	while (from < at && text.ptr[from] == '.')
		from++;
	if (from < at && to > at + 1 && to - from <= FTS_WORD_MAX)
		tell(lab_view_sub(text, from, to - from), fn, ctx);
}

void fts_words(struct lab_view text, fts_word_fn fn, void *ctx)
{
	size_t i = 0;

	while (i < text.len) {
		size_t start = i;

		while (i < text.len && is_word_byte(text.ptr[i]))
			i++;
		if (i > start)
			tell(lab_view_sub(text, start, i - start), fn, ctx);
		if (i < text.len && text.ptr[i] == '@')
			tell_address(text, i, fn, ctx);
		i += i < text.len;
	}
}

size_t fts_header_bytes(struct lab_view mail)
{
	size_t line = 0;

	while (line < mail.len) {
		struct lab_view rest = lab_view_skip(mail, line);
		size_t end = lab_view_find_byte(rest, '\n');

		if (end == SIZE_MAX)
			return mail.len;
		line += end + 1;
		if (end == 0 || (end == 1 && rest.ptr[0] == '\r'))
			return line;
	}
	return mail.len;
}

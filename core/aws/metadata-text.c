/* SPDX-License-Identifier: Apache-2.0 */
#include "core/aws/metadata-text.h"

#define WORD_OVERHEAD 16

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool has_word_start(struct lab_view text)
{
	return lab_view_find(text, LAB_VIEW("=?")) != SIZE_MAX;
}

struct lab_view metadata_text_encode(
	struct lab_view text, struct lab_heap *heap, struct lab_arena *arena)
{
	struct lab_buf word;

	if (text.len == 0 ||
		(text.ptr[0] != ' ' && text.ptr[text.len - 1] != ' ' && !has_word_start(text)))
		return text;
	lab_buf_init(&word, heap, 2 * text.len + WORD_OVERHEAD);
	lab_buf_append_cstr(&word, "=?UTF-8?B?");
	lab_buf_append_base64(&word, text);
	lab_buf_append_cstr(&word, "?=");
	text = lab_arena_copy(arena, lab_buf_view(&word));
	lab_buf_done(&word);
	return text;
}

/* ---- decoding ---- */

static int hex_digit(uint8_t c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

static bool append_q(struct lab_buf *out, struct lab_view text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (c == '=') {
			int high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
			int low = i + 2 < text.len ? hex_digit(text.ptr[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (uint8_t)(high << 4 | low);
			i += 2;
		} else if (c == '_') {
			c = ' ';
		} else if (is_space(c)) {
			return false;
		}
		lab_buf_append_byte(out, c);
	}
	return true;
}

static bool is_known_charset(struct lab_view charset)
{
	/* "utf-8*en": a language may follow. */
	charset = lab_view_sub(charset, 0, lab_view_find_byte(charset, '*'));
	return lab_view_eq_nocase(charset, LAB_VIEW("utf-8")) ||
	       lab_view_eq_nocase(charset, LAB_VIEW("us-ascii"));
}

static bool has_control(const struct lab_buf *buf, size_t from)
{
	for (size_t i = from; i < buf->len; i++) {
		if (buf->data[i] < ' ' || buf->data[i] == 0x7f)
			return true;
	}
	return false;
}

/* A word at the start of `text`: appended, and its length returned. 0: there is none. */
static size_t take_word(struct lab_buf *out, struct lab_view text)
{
	struct lab_view rest = lab_view_skip(text, 2), charset, encoding;
	size_t end, before = out->len;
	bool ok;

	if (!lab_view_starts_with(text, LAB_VIEW("=?")) || !lab_view_split(&rest, '?', &charset) ||
		rest.ptr == NULL || !lab_view_split(&rest, '?', &encoding) || rest.ptr == NULL)
		return 0;
	end = lab_view_find(rest, LAB_VIEW("?="));
	if (end == SIZE_MAX || encoding.len != 1 || !is_known_charset(charset))
		return 0;
	rest = lab_view_sub(rest, 0, end);
	if (encoding.ptr[0] == 'B' || encoding.ptr[0] == 'b')
		ok = lab_buf_append_unbase64(out, rest) == 0;
	else
		ok = (encoding.ptr[0] == 'Q' || encoding.ptr[0] == 'q') && append_q(out, rest);
	if (!ok || has_control(out, before)) {
		out->len = before;
		return 0;
	}
	return (size_t)(rest.ptr + rest.len - text.ptr) + 2;
}

static size_t spaces_at(struct lab_view text)
{
	size_t count = 0;

	while (count < text.len && is_space(text.ptr[count]))
		count++;
	return count;
}

static void decode(struct lab_view text, struct lab_buf *out)
{
	bool after_word = false;

	while (text.len > 0) {
		size_t spaces = after_word ? spaces_at(text) : 0;
		size_t word = take_word(out, lab_view_skip(text, spaces));

		after_word = word > 0;
		if (word == 0) {
			lab_buf_append_byte(out, text.ptr[0]);
			text = lab_view_skip(text, 1);
		} else {
			text = lab_view_skip(text, spaces + word);
		}
	}
}

struct lab_view metadata_text_decode(
	struct lab_view text, struct lab_heap *heap, struct lab_arena *arena)
{
	struct lab_buf out;

	if (!has_word_start(text))
		return text;
	lab_buf_init(&out, heap, text.len + WORD_OVERHEAD);
	decode(text, &out);
	text = lab_arena_copy(arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return text;
}

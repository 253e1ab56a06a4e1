/* SPDX-License-Identifier: Apache-2.0
 *
 * json-reader.c - a JSON text to a tree, as the reader that Cassandra uses takes it: what stands
 * behind the first value does not matter, and of equal names the last one counts.
 */
#include "sim/cql-emulator/json-reader.h"

struct reader {
	struct lab_arena *arena;
	struct lab_view rest;
	unsigned depth;
};

static void skip_space(struct reader *r)
{
	while (r->rest.len > 0 && memchr(" \t\r\n", r->rest.ptr[0], 4) != NULL)
		r->rest = lab_view_skip(r->rest, 1);
}

static bool take(struct reader *r, uint8_t byte)
{
	skip_space(r);
	bool there = r->rest.len > 0 && r->rest.ptr[0] == byte;
	if (there)
		r->rest = lab_view_skip(r->rest, 1);
	return there;
}

static int hex4(struct reader *r, uint32_t *ret)
{
	uint8_t bytes[2];
	if (lab_unhex(lab_view_sub(r->rest, 0, 4), bytes, 2) < 0 || r->rest.len < 4)
		return -1;
	*ret = (uint32_t)bytes[0] << 8 | bytes[1];
	r->rest = lab_view_skip(r->rest, 4);
	return 0;
}

static void put_utf8(struct lab_buf *out, uint32_t c)
{
	static const uint8_t leads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	unsigned length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	if (length == 1) {
		lab_buf_append_byte(out, (uint8_t)c);
		return;
	}
	lab_buf_append_byte(out, (uint8_t)(leads[length] | c >> (6 * (length - 1))));
	for (unsigned i = length - 1; i > 0; i--)
		lab_buf_append_byte(out, (uint8_t)(0x80 | (c >> (6 * (i - 1)) & 0x3f)));
}

/* Behind the backslash. */
static int escape(struct reader *r, struct lab_buf *out)
{
	static const char letters[] = "btnfr\"\\/", bytes[] = "\b\t\n\f\r\"\\/";
	uint32_t c, low;
	if (r->rest.len == 0)
		return -1;
	uint8_t letter = r->rest.ptr[0];
	const char *at = letter == 0 ? NULL : strchr(letters, letter);
	r->rest = lab_view_skip(r->rest, 1);
	if (at != NULL) {
		lab_buf_append_byte(out, (uint8_t)bytes[at - letters]);
		return 0;
	}
	if (letter != 'u' || hex4(r, &c) < 0)
		return -1;
	if (c >= 0xd800 && c < 0xdc00) {
		if (!lab_view_starts_with(r->rest, LAB_VIEW("\\u")))
			return -1;
		r->rest = lab_view_skip(r->rest, 2);
		if (hex4(r, &low) < 0 || low < 0xdc00 || low > 0xdfff)
			return -1;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	put_utf8(out, c);
	return 0;
}

/* Behind the quote. */
static int string(struct reader *r, struct lab_view *ret)
{
	struct lab_buf out;
	lab_buf_init_arena(&out, r->arena, r->rest.len + 1);
	while (r->rest.len > 0) {
		uint8_t c = r->rest.ptr[0];
		r->rest = lab_view_skip(r->rest, 1);
		if (c == '"') {
			*ret = lab_buf_view(&out);
			return 0;
		}
		if (c < 0x20 || (c == '\\' && escape(r, &out) < 0))
			return -1;
		if (c != '\\')
			lab_buf_append_byte(&out, c);
	}
	return -1;
}

static size_t digits(struct lab_view v, size_t at)
{
	size_t n = at;
	while (n < v.len && v.ptr[n] >= '0' && v.ptr[n] <= '9')
		n++;
	return n - at;
}

static int number(struct reader *r, struct json_node *ret)
{
	struct lab_view v = r->rest;
	size_t n = v.ptr[0] == '-', whole = digits(v, n);
	if (whole == 0 || (whole > 1 && v.ptr[n] == '0'))
		return -1;
	n += whole;
	ret->kind = JSON_INTEGER;
	if (n < v.len && v.ptr[n] == '.') {
		size_t fraction = digits(v, n + 1);
		ret->kind = JSON_FLOAT;
		if (fraction == 0)
			return -1;
		n += 1 + fraction;
	}
	if (n < v.len && (v.ptr[n] | 0x20) == 'e') {
		size_t at =
			n + 1 +
			(n + 1 < v.len && strchr("+-", v.ptr[n + 1]) != NULL && v.ptr[n + 1] != 0);
		size_t exponent = digits(v, at);
		ret->kind = JSON_FLOAT;
		if (exponent == 0)
			return -1;
		n = at + exponent;
	}
	ret->text = lab_view_sub(v, 0, n);
	r->rest = lab_view_skip(v, n);
	return 0;
}

static int value(struct reader *r, struct json_node *ret);

/* Items up to `close`; of a map names and values. */
static int items(struct reader *r, uint8_t close, struct json_node *ret)
{
	size_t capacity = 0;
	if (take(r, close))
		return 0;
	do {
		if (ret->count + 2 > capacity) {
			capacity = capacity == 0 ? 8 : capacity * 2;
			struct json_node *larger =
				lab_arena_array(r->arena, struct json_node, capacity);
			if (ret->count > 0)
				memcpy(larger, ret->items, ret->count * sizeof(*larger));
			ret->items = larger;
		}
		if (ret->kind == JSON_MAP) {
			struct json_node *name = &ret->items[ret->count++];
			name->kind = JSON_STRING;
			if (!take(r, '"') || string(r, &name->text) < 0 || !take(r, ':'))
				return -1;
		}
		if (value(r, &ret->items[ret->count++]) < 0)
			return -1;
	} while (take(r, ','));
	return take(r, close) ? 0 : -1;
}

static int value(struct reader *r, struct json_node *ret)
{
	static const struct {
		const char *word;
		enum json_kind kind;
	} words[] = { { "null", JSON_NULL }, { "true", JSON_TRUE }, { "false", JSON_FALSE } };
	*ret = (struct json_node){ .kind = JSON_NULL };
	skip_space(r);
	if (r->rest.len == 0 || r->depth == JSON_DEPTH_MAX)
		return -1;
	for (size_t i = 0; i < LAB_COUNT_OF(words); i++) {
		if (lab_view_starts_with(r->rest, lab_view_cstr(words[i].word))) {
			ret->kind = words[i].kind;
			ret->text = lab_view_cstr(words[i].word);
			r->rest = lab_view_skip(r->rest, ret->text.len);
			return 0;
		}
	}
	if (take(r, '"')) {
		ret->kind = JSON_STRING;
		return string(r, &ret->text);
	}
	bool map = take(r, '{');
	if (!map && !take(r, '['))
		return number(r, ret);
	ret->kind = map ? JSON_MAP : JSON_LIST;
	r->depth++;
	int result = items(r, map ? '}' : ']', ret);
	r->depth--;
	return result;
}

int json_read(struct lab_arena *arena, struct lab_view text, struct json_node *ret)
{
	struct reader r = { arena, text, 0 };
	return value(&r, ret);
}

const struct json_node *json_get(const struct json_node *map, struct lab_view name)
{
	const struct json_node *found = NULL;
	for (size_t i = 0; i + 1 < map->count; i += 2) {
		if (lab_view_eq(map->items[i].text, name))
			found = &map->items[i + 1];
	}
	return found;
}

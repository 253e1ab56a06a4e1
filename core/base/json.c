/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/json.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/assert.h"

void lab_json_init(struct lab_json *json, struct lab_buf *out, bool pretty)
{
	*json = (struct lab_json){ .out = out, .pretty = pretty };
}

static void json_new_line(struct lab_json *json)
{
	if (!json->pretty)
		return;
	lab_buf_append_byte(json->out, '\n');
	for (unsigned i = 0; i < json->depth; i++)
		lab_buf_append_cstr(json->out, "  ");
}

/* The comma and the indent in front of a key or of an array's item. */
static void json_next_item(struct lab_json *json)
{
	if (json->has_items[json->depth - 1])
		lab_buf_append_byte(json->out, ',');
	json->has_items[json->depth - 1] = true;
	json_new_line(json);
}

static void json_before_value(struct lab_json *json)
{
	if (json->after_key) {
		json->after_key = false;
		return;
	}
	if (json->depth == 0)
		return;
	lab_assert(!json->is_object[json->depth - 1]); /* a key is missing */
	json_next_item(json);
}

static void json_begin(struct lab_json *json, bool is_object)
{
	json_before_value(json);
	lab_assert(json->depth < LAB_JSON_DEPTH_MAX);
	lab_buf_append_byte(json->out, is_object ? '{' : '[');
	json->is_object[json->depth] = is_object;
	json->has_items[json->depth] = false;
	json->depth++;
}

void lab_json_object(struct lab_json *json)
{
	json_begin(json, true);
}

void lab_json_array(struct lab_json *json)
{
	json_begin(json, false);
}

void lab_json_end(struct lab_json *json)
{
	lab_assert(json->depth > 0);
	lab_assert(!json->after_key);
	json->depth--;
	if (json->has_items[json->depth])
		json_new_line(json);
	lab_buf_append_byte(json->out, json->is_object[json->depth] ? '}' : ']');
}

/* The length of the UTF-8 sequence at the front, 0 if there is none. */
static size_t utf8_length(struct lab_view text)
{
	/* By length: bits of the first byte, and the smallest code point that needs it. */
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 } };

	for (size_t length = 1; length <= 4; length++) {
		if ((text.ptr[0] & forms[length - 1].mask) != forms[length - 1].lead)
			continue;
		if (text.len < length)
			return 0;
		uint32_t code = text.ptr[0] & (uint8_t)~forms[length - 1].mask;
		for (size_t i = 1; i < length; i++) {
			if ((text.ptr[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (text.ptr[i] & 0x3f);
		}
		bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
		return code < forms[length - 1].least || code > 0x10ffff || is_surrogate ? 0
											 : length;
	}
	return 0;
}

static void json_escape(struct lab_buf *out, uint8_t c)
{
	static const char escaped[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *found = memchr(escaped, c, sizeof(escaped) - 1);

	if (found == NULL)
		lab_buf_printf(out, "\\u%04x", c);
	else
		lab_buf_printf(out, "\\%c", letters[found - escaped]);
}

/* How many bytes at the front need no change. */
static size_t json_plain_length(struct lab_view text)
{
	size_t at = 0;

	while (at < text.len) {
		uint8_t c = text.ptr[at];
		size_t length = 1;

		if (c < 0x20 || c == '"' || c == '\\')
			break;
		if (c >= 0x80)
			length = utf8_length(lab_view_skip(text, at));
		if (length == 0)
			break;
		at += length;
	}
	return at;
}

static void json_string(struct lab_buf *out, struct lab_view text)
{
	lab_buf_append_byte(out, '"');
	while (text.len > 0) {
		size_t plain = json_plain_length(text);

		lab_buf_append(out, text.ptr, plain);
		text = lab_view_skip(text, plain);
		if (text.len == 0)
			break;
		if (text.ptr[0] < 0x80)
			json_escape(out, text.ptr[0]);
		else
			lab_buf_append_cstr(out, "\xef\xbf\xbd"); /* U+FFFD */
		text = lab_view_skip(text, 1);
	}
	lab_buf_append_byte(out, '"');
}

void lab_json_key(struct lab_json *json, const char *key)
{
	lab_assert(json->depth > 0 && json->is_object[json->depth - 1]);
	lab_assert(!json->after_key);
	json_next_item(json);
	json_string(json->out, lab_view_cstr(key));
	lab_buf_append_cstr(json->out, json->pretty ? ": " : ":");
	json->after_key = true;
}

void lab_json_view(struct lab_json *json, struct lab_view text)
{
	json_before_value(json);
	json_string(json->out, text);
}

void lab_json_cstr(struct lab_json *json, const char *text)
{
	json_before_value(json);
	if (text == NULL)
		lab_buf_append_cstr(json->out, "null");
	else
		json_string(json->out, lab_view_cstr(text));
}

void lab_json_u64(struct lab_json *json, uint64_t value)
{
	json_before_value(json);
	lab_buf_printf(json->out, "%" PRIu64, value);
}

void lab_json_i64(struct lab_json *json, int64_t value)
{
	json_before_value(json);
	lab_buf_printf(json->out, "%" PRId64, value);
}

void lab_json_bool(struct lab_json *json, bool value)
{
	json_before_value(json);
	lab_buf_append_cstr(json->out, value ? "true" : "false");
}

void lab_json_decimal(struct lab_json *json, int64_t value, unsigned decimals)
{
	uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	uint64_t unit = 1;

	lab_assert(decimals <= 18);
	for (unsigned i = 0; i < decimals; i++)
		unit *= 10;
	json_before_value(json);
	lab_buf_printf(json->out, "%s%" PRIu64, value < 0 ? "-" : "", magnitude / unit);
	if (decimals > 0)
		lab_buf_printf(json->out, ".%0*" PRIu64, (int)decimals, magnitude % unit);
}

void lab_json_put_cstr(struct lab_json *json, const char *key, const char *text)
{
	lab_json_key(json, key);
	lab_json_cstr(json, text);
}

void lab_json_put_u64(struct lab_json *json, const char *key, uint64_t value)
{
	lab_json_key(json, key);
	lab_json_u64(json, value);
}

void lab_json_put_bool(struct lab_json *json, const char *key, bool value)
{
	lab_json_key(json, key);
	lab_json_bool(json, value);
}

bool lab_json_is_shallow(struct lab_view text, unsigned depth)
{
	bool in_string = false;
	unsigned open = 0;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{') && ++open > depth)
			return false;
		else if (!in_string && (c == ']' || c == '}') && open > 0)
			open--;
	}
	return true;
}

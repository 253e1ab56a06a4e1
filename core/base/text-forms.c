/* SPDX-License-Identifier: Apache-2.0
 *
 * The text forms of digest.h: hex, base64, percent, XML. Each first finds how long the result will
 * be, so that an append happens whole or, on overflow, not at all. */
#include "core/base/digest.h"

#include <string.h>

static const char lower_digits[] = "0123456789abcdef";
static const char upper_digits[] = "0123456789ABCDEF";

static void write_hex(struct lab_view data, char *out)
{
	for (size_t i = 0; i < data.len; i++) {
		out[2 * i] = lower_digits[data.ptr[i] >> 4];
		out[2 * i + 1] = lower_digits[data.ptr[i] & 15];
	}
}

void lab_hex(const void *data, size_t len, char *out)
{
	write_hex(lab_view_of(data, len), out);
	out[2 * len] = '\0';
}

void lab_buf_append_hex(struct lab_buf *buf, struct lab_view data)
{
	char *to = lab_buf_reserve(buf, data.len > SIZE_MAX / 2 ? SIZE_MAX : 2 * data.len);

	if (to == NULL)
		return;
	write_hex(data, to);
	lab_buf_commit(buf, 2 * data.len);
}

/* -1 if it is not a digit. */
static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int lab_unhex(struct lab_view text, uint8_t *out, size_t size)
{
	if (text.len / 2 != size || text.len % 2 != 0)
		return -1;
	for (size_t i = 0; i < size; i++) {
		int high = hex_value(text.ptr[2 * i]), low = hex_value(text.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		out[i] = (uint8_t)(high * 16 + low);
	}
	return 0;
}

/* ---- base64 ---- */

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void lab_buf_append_base64(struct lab_buf *buf, struct lab_view data)
{
	size_t groups = data.len / 3 + (data.len % 3 != 0);
	char *to = lab_buf_reserve(buf, groups > SIZE_MAX / 4 ? SIZE_MAX : groups * 4);

	if (to == NULL)
		return;
	for (size_t i = 0; i < groups; i++, to += 4) {
		struct lab_view group = lab_view_sub(data, 3 * i, 3);
		uint32_t bits = (uint32_t)group.ptr[0] << 16;

		if (group.len > 1)
			bits |= (uint32_t)group.ptr[1] << 8;
		if (group.len > 2)
			bits |= group.ptr[2];
		to[0] = base64_digits[bits >> 18];
		to[1] = base64_digits[(bits >> 12) & 63];
		to[2] = group.len > 1 ? base64_digits[(bits >> 6) & 63] : '=';
		to[3] = group.len > 2 ? base64_digits[bits & 63] : '=';
	}
	lab_buf_commit(buf, groups * 4);
}

static int base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Four digits, the last `padding` of them '='. -1 if one is not a digit, or if bits that belong
 * to no byte are set: one value has one text. */
static int base64_group(const uint8_t *text, unsigned padding, uint32_t *ret_bits)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < 4; i++) {
		int value = i < 4 - padding ? base64_value(text[i]) : 0;

		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
	}
	if ((bits & ((1u << (8 * padding)) - 1)) != 0)
		return -1;
	*ret_bits = bits;
	return 0;
}

static int write_unbase64(struct lab_view text, unsigned padding, uint8_t *to)
{
	for (size_t i = 0; i < text.len; i += 4) {
		unsigned missing = i + 4 == text.len ? padding : 0;
		uint32_t bits;

		if (base64_group(text.ptr + i, missing, &bits) < 0)
			return -1;
		for (unsigned byte = 0; byte < 3 - missing; byte++)
			*to++ = (uint8_t)(bits >> (16 - 8 * byte));
	}
	return 0;
}

int lab_buf_append_unbase64(struct lab_buf *buf, struct lab_view text)
{
	unsigned padding = 0;

	if (text.len % 4 != 0)
		return -1;
	if (text.len == 0)
		return 0;
	while (padding < 2 && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	size_t bytes = text.len / 4 * 3 - padding;
	uint8_t *to = lab_buf_reserve(buf, bytes);
	if (to == NULL)
		return 0;
	if (write_unbase64(text, padding, to) < 0)
		return -1;
	lab_buf_commit(buf, bytes);
	return 0;
}

/* ---- percent ---- */

static bool is_unreserved(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void lab_buf_append_percent(struct lab_buf *buf, struct lab_view text, bool keep_slash)
{
	size_t bytes = 0;

	for (size_t i = 0; i < text.len; i++)
		bytes += is_unreserved(text.ptr[i]) || (keep_slash && text.ptr[i] == '/') ? 1 : 3;
	char *to = lab_buf_reserve(buf, bytes);
	if (to == NULL)
		return;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (is_unreserved(c) || (keep_slash && c == '/')) {
			*to++ = (char)c;
			continue;
		}
		*to++ = '%';
		*to++ = upper_digits[c >> 4];
		*to++ = upper_digits[c & 15];
	}
	lab_buf_commit(buf, bytes);
}

/* How many bytes the text stands for, or SIZE_MAX if it is malformed. */
static size_t unpercent_size(struct lab_view text)
{
	size_t bytes = 0;

	for (size_t i = 0; i < text.len; i++, bytes++) {
		if (text.ptr[i] != '%')
			continue;
		if (text.len - i < 3 || hex_value(text.ptr[i + 1]) < 0 ||
			hex_value(text.ptr[i + 2]) < 0)
			return SIZE_MAX;
		i += 2;
	}
	return bytes;
}

int lab_buf_append_unpercent(struct lab_buf *buf, struct lab_view text)
{
	size_t bytes = unpercent_size(text);

	if (bytes == SIZE_MAX)
		return -1;
	uint8_t *to = lab_buf_reserve(buf, bytes);
	if (to == NULL)
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '%') {
			*to++ = text.ptr[i];
			continue;
		}
		*to++ = (uint8_t)(hex_value(text.ptr[i + 1]) * 16 + hex_value(text.ptr[i + 2]));
		i += 2;
	}
	lab_buf_commit(buf, bytes);
	return 0;
}

/* ---- XML ---- */

/* What stands for the character, of *ret_len bytes, in `scratch` if need be; NULL: itself. */
static const char *xml_entity(uint8_t c, char scratch[8], size_t *ret_len)
{
	static const char *const named[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&apos;" };
	static const char characters[] = "&<>\"'";

	if (c >= 0x20) {
		const char *found = memchr(characters, c, sizeof(characters) - 1);

		if (found == NULL)
			return NULL;
		const char *entity = named[found - characters];
		*ret_len = strlen(entity);
		return entity;
	}
	memcpy(scratch, "&#x", 3);
	*ret_len = 3;
	if (c >= 16)
		scratch[(*ret_len)++] = '1';
	scratch[(*ret_len)++] = upper_digits[c & 15];
	scratch[(*ret_len)++] = ';';
	return scratch;
}

void lab_buf_append_xml(struct lab_buf *buf, struct lab_view text)
{
	char scratch[8];
	size_t bytes = 0, len;

	for (size_t i = 0; i < text.len; i++)
		bytes += xml_entity(text.ptr[i], scratch, &len) == NULL ? 1 : len;
	char *to = lab_buf_reserve(buf, bytes);
	if (to == NULL)
		return;
	for (size_t i = 0; i < text.len; i++) {
		const char *entity = xml_entity(text.ptr[i], scratch, &len);

		if (entity == NULL) {
			*to++ = (char)text.ptr[i];
			continue;
		}
		memcpy(to, entity, len);
		to += len;
	}
	lab_buf_commit(buf, bytes);
}

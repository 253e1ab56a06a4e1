/* SPDX-License-Identifier: Apache-2.0
 *
 * var-expand.c - one walk over the text does both: with a table of values it expands, without an
 * output it only checks.
 */
#include "core/conf/var-expand.h"

#include "core/conf/conf-private.h"

#include <stdio.h>

#define NUMBER_MAX 1000000
#define ROUNDS_MAX 100000

/* The value of a variable while it is being modified. */
struct value {
	uint8_t data[VAR_VALUE_MAX];
	size_t len;
};

/* What stands between '%' and the key. */
struct format {
	long offset, width;
	bool zero_padding;
	uint8_t modifiers[VAR_MODIFIERS_MAX];
	size_t modifier_count;
};

struct walk {
	struct lab_view text;
	size_t pos;
	const struct var_table *table;
	struct lab_buf *out; /* NULL: check only */
	struct lab_error *err;
};

static bool walk_end(const struct walk *walk)
{
	return walk->pos >= walk->text.len;
}

static uint8_t walk_peek(const struct walk *walk)
{
	return walk_end(walk) ? 0 : walk->text.ptr[walk->pos];
}

static bool walk_take(struct walk *walk, uint8_t byte)
{
	if (walk_end(walk) || walk->text.ptr[walk->pos] != byte)
		return false;
	walk->pos++;
	return true;
}

static long walk_number(struct walk *walk)
{
	long value = 0;

	for (; conf_is_digit(walk_peek(walk)); walk->pos++) {
		value = value * 10 + (walk_peek(walk) - '0');
		value = LAB_MIN(value, NUMBER_MAX);
	}
	return value;
}

static void parse_format(struct walk *walk, struct format *format)
{
	bool negative = walk_take(walk, '-');

	format->zero_padding = walk_take(walk, '0');
	format->width = walk_number(walk);
	if (walk_take(walk, '.')) {
		format->offset = negative ? -format->width : format->width;
		/* a zero before the offset means nothing */
		format->zero_padding = walk_take(walk, '0');
		negative = walk_take(walk, '-');
		format->width = walk_number(walk);
		if (negative)
			format->width = -format->width;
	}
	while (format->modifier_count < VAR_MODIFIERS_MAX && walk_peek(walk) != 0 &&
		strchr("LUEXRHNMDT", walk_peek(walk)) != NULL)
		format->modifiers[format->modifier_count++] = walk->text.ptr[walk->pos++];
}

/* ---- modifiers ---- */

static int value_set(struct value *value, struct lab_view with, struct lab_error *err)
{
	if (with.len > VAR_VALUE_MAX)
		return lab_fail(err, LAB_LIMIT, "a variable's value is longer than %u bytes",
			(unsigned)VAR_VALUE_MAX);
	if (with.len > 0)
		memcpy(value->data, with.ptr, with.len);
	value->len = with.len;
	return 0;
}

static struct lab_view value_view(const struct value *value)
{
	return lab_view_of(value->data, value->len);
}

static void modify_case(struct value *value, bool upper)
{
	uint8_t first = upper ? 'a' : 'A', last = upper ? 'z' : 'Z';

	for (size_t i = 0; i < value->len; i++) {
		if (value->data[i] >= first && value->data[i] <= last)
			value->data[i] ^= 0x20;
	}
}

static void modify_reverse(struct value *value)
{
	for (size_t i = 0; i < value->len / 2; i++) {
		uint8_t byte = value->data[i];
		value->data[i] = value->data[value->len - 1 - i];
		value->data[value->len - 1 - i] = byte;
	}
}

/* E and D: some bytes become several. */
static int modify_replace(struct value *value, uint8_t modifier, struct lab_error *err)
{
	struct value from = *value;

	value->len = 0;
	for (size_t i = 0; i < from.len; i++) {
		uint8_t byte = from.data[i];
		if (value->len + 4 > VAR_VALUE_MAX)
			return lab_fail(err, LAB_LIMIT,
				"a variable's value is longer than %u bytes",
				(unsigned)VAR_VALUE_MAX);
		if (modifier == 'D' && byte == '.') {
			memcpy(value->data + value->len, ",dc=", 4);
			value->len += 4;
			continue;
		}
		if (modifier == 'E' && (byte == '"' || byte == '\'' || byte == '\\'))
			value->data[value->len++] = '\\';
		value->data[value->len++] = byte;
	}
	return 0;
}

static void modify_md5(struct value *value)
{
	uint8_t digest[LAB_DIGEST_MAX];
	char hex[33];

	lab_digest(LAB_MD5, value_view(value), digest);
	lab_hex(digest, 16, hex);
	memcpy(value->data, hex, 32);
	value->len = 32;
}

static uint32_t hash_old(const struct value *value)
{
	uint32_t hash = 0;

	for (size_t i = 0; i < value->len; i++) {
		hash = (hash << 4) + value->data[i];
		uint32_t top = hash & 0xf0000000u;
		hash ^= top >> 24;
		hash ^= top;
	}
	return hash;
}

static uint64_t hash_md5(const struct value *value)
{
	uint8_t digest[LAB_DIGEST_MAX];
	uint64_t hash = 0;

	lab_digest(LAB_MD5, value_view(value), digest);
	for (size_t i = 0; i < 8; i++)
		hash = (hash << 8) | digest[i];
	return hash;
}

/* H and N use up the numbers: the width is the modulus, the offset the number of digits. */
static void modify_hash(struct value *value, uint8_t modifier, struct format *format)
{
	uint64_t hash = modifier == 'H' ? hash_old(value) : hash_md5(value);
	int digits = (int)LAB_MAX(0, LAB_MIN(format->offset, 16));
	char text[32];
	int len;

	if (format->width != 0)
		hash %= (uint64_t)(format->width < 0 ? -format->width : format->width);
	len = snprintf(text, sizeof(text), "%0*" PRIx32, digits, (uint32_t)hash);
	memcpy(value->data, text, (size_t)len);
	value->len = (size_t)len;
	format->offset = format->width = 0;
}

static void modify_hex(struct value *value)
{
	char text[32];
	uint64_t number = 0;

	if (lab_view_to_u64(value_view(value), &number) < 0)
		number = 0;
	value->len = (size_t)snprintf(text, sizeof(text), "%" PRIx64, number);
	memcpy(value->data, text, value->len);
}

static int modify(struct value *value, struct format *format, struct lab_error *err)
{
	for (size_t i = 0; i < format->modifier_count; i++) {
		uint8_t modifier = format->modifiers[i];
		switch (modifier) {
		case 'L':
		case 'U':
			modify_case(value, modifier == 'U');
			break;
		case 'R':
			modify_reverse(value);
			break;
		case 'E':
		case 'D':
			if (modify_replace(value, modifier, err) < 0)
				return -1;
			break;
		case 'M':
			modify_md5(value);
			break;
		case 'X':
			modify_hex(value);
			break;
		case 'T':
			while (value->len > 0 &&
				strchr(" \t\r\n\v\f", value->data[value->len - 1]) &&
				value->data[value->len - 1] != '\0')
				value->len--;
			break;
		default:
			modify_hash(value, modifier, format);
			break;
		}
	}
	return 0;
}

static void append_formatted(
	struct lab_buf *out, const struct value *value, const struct format *format)
{
	struct lab_view text = value_view(value);
	size_t skip = 0;

	if (format->offset > 0)
		skip = (size_t)format->offset;
	else if (text.len > (size_t)-format->offset)
		skip = format->offset == 0 ? 0 : text.len - (size_t)-format->offset;
	text = lab_view_skip(text, skip);
	if (format->width > 0 && format->zero_padding) {
		for (size_t i = text.len; i < (size_t)format->width && !out->overflow; i++)
			lab_buf_append_byte(out, '0');
	} else if (format->width > 0) {
		text = lab_view_sub(text, 0, (size_t)format->width);
	} else if (format->width < 0) {
		size_t cut = (size_t)-format->width;
		text.len -= LAB_MIN(cut, text.len);
	}
	lab_buf_append_view(out, text);
}

/* ---- lookups ---- */

/* Variables without a long name are given as "" so that the others keep their places. */
static const char *long_name_at(const void *ctx, size_t i)
{
	const struct var_table *table = ctx;

	if (i >= table->count)
		return NULL;
	return table->entries[i].name == NULL ? "" : table->entries[i].name;
}

static int fail_unknown(const struct walk *walk, struct lab_view name)
{
	char shown[CONF_SHOW_MAX + 4], hint[CONF_HINT_MAX];

	if (name.len == 1)
		return lab_fail(
			walk->err, LAB_INVALID, "Unknown variable '%%%s'", conf_show(name, shown));
	return lab_fail(walk->err, LAB_INVALID, "Unknown variable '%%{%s}'%s",
		conf_show(name, shown),
		conf_hint(conf_suggest(name, long_name_at, walk->table), hint));
}

static int take_entry(const struct walk *walk, const struct var_entry *entry, struct lab_view name,
	struct value *value)
{
	char shown[CONF_SHOW_MAX + 4];

	if (walk->out == NULL)
		return 0;
	if (entry->value.ptr == NULL)
		return lab_fail(walk->err, LAB_INVALID, "variable '%s' has no value here",
			conf_show(name, shown));
	return value_set(value, entry->value, walk->err);
}

/* By long name, or by a key of one letter. */
static int lookup(const struct walk *walk, struct lab_view name, struct value *value)
{
	const struct var_table *table = walk->table;
	struct lab_view found;
	int ret;

	for (size_t i = 0; i < table->count; i++) {
		const struct var_entry *entry = &table->entries[i];
		if ((entry->name != NULL && lab_view_eq_cstr(name, entry->name)) ||
			(name.len == 1 && entry->key != 0 && name.ptr[0] == (uint8_t)entry->key))
			return take_entry(walk, entry, name, value);
	}
	if (table->lookup == NULL || lab_view_find_byte(name, ':') == SIZE_MAX)
		return fail_unknown(walk, name);
	if (walk->out == NULL)
		return 0;
	ret = table->lookup(table->ctx, name, &found, walk->err);
	if (ret < 0)
		return -1;
	if (ret == 0)
		return fail_unknown(walk, name);
	return value_set(value, found, walk->err);
}

/* ---- %{digest;options:name} ---- */

enum hash_format {
	HASH_HEX,
	HASH_HEX_UPPER,
	HASH_BASE64
};
struct hash_options {
	enum lab_digest_kind digest;
	uint64_t rounds;
	uint64_t truncate; /* bits; 0 is all */
	struct lab_view salt;
	enum hash_format format;
};

static bool digest_of(struct lab_view name, enum lab_digest_kind *ret)
{
	static const struct {
		const char *name;
		enum lab_digest_kind kind;
	} digests[] = { { "md5", LAB_MD5 }, { "sha1", LAB_SHA1 }, { "sha256", LAB_SHA256 },
		{ "sha512", LAB_SHA512 } };

	for (size_t i = 0; i < LAB_COUNT_OF(digests); i++) {
		if (lab_view_eq_cstr(name, digests[i].name)) {
			*ret = digests[i].kind;
			return true;
		}
	}
	return false;
}

static int hash_format_of(struct lab_view name, enum hash_format *ret)
{
	static const char *const names[] = { "hex", "hexuc", "base64" };

	for (size_t i = 0; i < LAB_COUNT_OF(names); i++) {
		if (lab_view_eq_cstr(name, names[i])) {
			*ret = (enum hash_format)i;
			return 0;
		}
	}
	return -1;
}

static int hash_option(struct hash_options *options, struct lab_view option, struct lab_error *err)
{
	struct lab_view value = option, key;
	char shown[CONF_SHOW_MAX + 4];
	bool ok = false;

	lab_view_split(&value, '=', &key);
	if (lab_view_eq_cstr(key, "rounds"))
		ok = lab_view_to_u64(value, &options->rounds) == 0 && options->rounds >= 1 &&
		     options->rounds <= ROUNDS_MAX;
	else if (lab_view_eq_cstr(key, "truncate"))
		ok = lab_view_to_u64(value, &options->truncate) == 0 && options->truncate >= 1 &&
		     options->truncate <= 8 * lab_digest_size(options->digest);
	else if (lab_view_eq_cstr(key, "format"))
		ok = hash_format_of(value, &options->format) == 0;
	else if (lab_view_eq_cstr(key, "salt")) {
		options->salt = value;
		ok = true;
	} else
		return lab_fail(
			err, LAB_INVALID, "Unknown hash option '%s'", conf_show(key, shown));
	if (!ok)
		return lab_fail(
			err, LAB_INVALID, "Invalid hash option '%s'", conf_show(option, shown));
	return 0;
}

/* Shifts `len` bytes right so that only the first `bits` bits stay. Returns the new length. */
static size_t truncate_bits(uint8_t *bytes, size_t bits)
{
	size_t len = (bits + 7) / 8;
	unsigned shift = (unsigned)(len * 8 - bits);

	for (size_t i = len; shift > 0 && i-- > 0;) {
		unsigned above = i > 0 ? bytes[i - 1] : 0;
		bytes[i] = (uint8_t)(((unsigned)bytes[i] >> shift) | (above << (8 - shift)));
	}
	return len;
}

static void hash_print(struct lab_view digest, enum hash_format format, struct value *value)
{
	static const char base64[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char hex[2 * LAB_DIGEST_MAX + 1];

	if (format != HASH_BASE64) {
		lab_hex(digest.ptr, digest.len, hex);
		memcpy(value->data, hex, 2 * digest.len);
		value->len = 2 * digest.len;
		if (format == HASH_HEX_UPPER)
			modify_case(value, true);
		return;
	}
	value->len = 0;
	for (size_t i = 0; i < digest.len; i += 3) {
		unsigned left = (unsigned)LAB_MIN((size_t)3, digest.len - i);
		uint32_t group = (uint32_t)digest.ptr[i] << 16;
		group |= left > 1 ? (uint32_t)digest.ptr[i + 1] << 8 : 0;
		group |= left > 2 ? (uint32_t)digest.ptr[i + 2] : 0;
		for (unsigned j = 0; j < 4; j++)
			value->data[value->len++] =
				j > left ? '=' : (uint8_t)base64[(group >> (18 - 6 * j)) & 63];
	}
}

static int hash_value(
	struct value *value, const struct hash_options *options, struct lab_error *err)
{
	uint8_t digest[LAB_DIGEST_MAX];
	struct value salted;
	size_t size = lab_digest_size(options->digest);

	for (uint64_t round = 0; round < options->rounds; round++) {
		if (options->salt.len + value->len > VAR_VALUE_MAX)
			return lab_fail(err, LAB_LIMIT, "a salted value is longer than %u bytes",
				(unsigned)VAR_VALUE_MAX);
		if (options->salt.len > 0)
			memcpy(salted.data, options->salt.ptr, options->salt.len);
		memcpy(salted.data + options->salt.len, value->data, value->len);
		salted.len = options->salt.len + value->len;
		lab_digest(options->digest, value_view(&salted), digest);
		memcpy(value->data, digest, size);
		value->len = size;
	}
	if (options->truncate > 0)
		size = truncate_bits(digest, (size_t)options->truncate);
	hash_print(lab_view_of(digest, size), options->format, value);
	return 0;
}

/* 1 if `name` is a hash and was done, 0 if it is not a hash. */
static int expand_hash(const struct walk *walk, struct lab_view name, struct value *value)
{
	struct hash_options options = { .rounds = 1 };
	struct lab_view field = name, head, option;

	lab_view_split(&field, ':', &head);
	if (field.ptr == NULL || !lab_view_split(&head, ';', &option) ||
		!digest_of(option, &options.digest))
		return 0;
	while (lab_view_split(&head, ',', &option)) {
		if (hash_option(&options, option, walk->err) < 0)
			return -1;
	}
	if (lookup(walk, field, value) < 0)
		return -1;
	if (walk->out != NULL && hash_value(value, &options, walk->err) < 0)
		return -1;
	return 1;
}

/* ---- the walk ---- */

static int expand_key(struct walk *walk, struct value *value)
{
	struct lab_view name;
	size_t len;
	int ret;

	if (walk_end(walk))
		return lab_fail(walk->err, LAB_INVALID,
			"the text ends within a %%variable; a percent sign is written %%%%");
	if (walk_take(walk, '%'))
		return value_set(value, LAB_VIEW("%"), walk->err);
	if (!walk_take(walk, '{')) {
		name = lab_view_sub(walk->text, walk->pos++, 1);
		return lookup(walk, name, value);
	}
	name = lab_view_skip(walk->text, walk->pos);
	len = lab_view_find_byte(name, '}');
	if (len == SIZE_MAX)
		return lab_fail(walk->err, LAB_INVALID, "a '}' is missing behind '%%{'");
	name.len = len;
	walk->pos += len + 1;
	ret = expand_hash(walk, name, value);
	if (ret != 0)
		return ret < 0 ? -1 : 0;
	return lookup(walk, name, value);
}

static int expand_one(struct walk *walk)
{
	struct format format = { .offset = 0 };
	struct value value;

	value.len = 0;
	parse_format(walk, &format);
	if (expand_key(walk, &value) < 0)
		return -1;
	if (walk->out == NULL)
		return 0;
	if (modify(&value, &format, walk->err) < 0)
		return -1;
	append_formatted(walk->out, &value, &format);
	return 0;
}

static int walk_text(struct walk *walk)
{
	while (!walk_end(walk)) {
		struct lab_view rest = lab_view_skip(walk->text, walk->pos);
		size_t plain = lab_view_find_byte(rest, '%');
		plain = LAB_MIN(plain, rest.len);
		if (walk->out != NULL)
			lab_buf_append_view(walk->out, lab_view_sub(rest, 0, plain));
		walk->pos += plain;
		if (!walk_take(walk, '%'))
			break;
		if (expand_one(walk) < 0)
			return -1;
	}
	if (walk->out != NULL && walk->out->overflow)
		return lab_fail(walk->err, LAB_LIMIT, "the expanded text is longer than %zu bytes",
			walk->out->max_bytes);
	return 0;
}

int var_expand(struct lab_buf *out, struct lab_view text, const struct var_table *table,
	struct lab_error *err)
{
	struct walk walk = { .text = text, .table = table, .out = out, .err = err };

	return walk_text(&walk);
}

/* A buffer over memory of the arena cannot grow: it begins with what is nearly always enough. */
int var_expand_arena(struct lab_arena *arena, struct lab_view text, const struct var_table *table,
	struct lab_view *ret, struct lab_error *err)
{
	size_t size = LAB_MIN(text.len + 256, (size_t)VAR_EXPANDED_MAX);
	struct lab_error why;

	for (;; size = LAB_MIN(size * 8, (size_t)VAR_EXPANDED_MAX)) {
		struct lab_buf out = {
			.data = lab_arena_alloc(arena, size), .capacity = size, .max_bytes = size
		};
		if (var_expand(&out, text, table, &why) == 0) {
			*ret = lab_buf_view(&out);
			return 0;
		}
		if (why.code != LAB_LIMIT || size == VAR_EXPANDED_MAX)
			break;
	}
	if (err != NULL)
		*err = why;
	return -1;
}

int var_expand_check(struct lab_view text, const struct var_table *table, struct lab_error *err)
{
	struct walk walk = { .text = text, .table = table, .err = err };

	return walk_text(&walk);
}

void var_user_table_init(struct var_user_table *table, const struct var_user *user)
{
	struct lab_view domain = user->user, local = user->user;
	size_t at = lab_view_find_byte(user->user, '@');

	if (user->user.ptr != NULL) {
		local = lab_view_sub(user->user, 0, at);
		domain = at == SIZE_MAX ? lab_view_of(user->user.ptr, 0)
					: lab_view_skip(user->user, at + 1);
	}
	const struct var_entry entries[VAR_USER_ENTRIES] = {
		{ 'u', "user", user->user },
		{ 'n', "username", local },
		{ 'd', "domain", domain },
		{ 'h', "home", user->home },
		{ 's', "service", user->service },
		{ 0, "session", user->session },
		{ 'l', "lip", user->local_ip },
		{ 0, "local_ip", user->local_ip },
		{ 'r', "rip", user->remote_ip },
		{ 0, "remote_ip", user->remote_ip },
		{ 'p', "pid", user->pid },
		{ 0, "hostname", user->hostname },
		{ 0, "auth_token", user->auth_token },
		{ 0, "auth:token", user->auth_token },
		{ 0, "protocol", user->service },
	};
	memcpy(table->entries, entries, sizeof(entries));
	table->table = (struct var_table){ table->entries, VAR_USER_ENTRIES, NULL, NULL };
}

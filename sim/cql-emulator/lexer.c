/* SPDX-License-Identifier: Apache-2.0
 *
 * lexer.c - CQL text to tokens.
 */
#include "sim/cql-emulator/syntax.h"

void lexer_init(struct lexer *lexer, struct lab_view input)
{
	*lexer = (struct lexer){ .input = input, .line = 1 };
}

static int peek(const struct lexer *lexer, size_t ahead)
{
	size_t at = lexer->position + ahead;
	return at < lexer->input.len ? lexer->input.ptr[at] : -1;
}

static void skip(struct lexer *lexer, size_t count)
{
	for (; count > 0 && lexer->position < lexer->input.len; count--) {
		if (lexer->input.ptr[lexer->position++] == '\n') {
			lexer->line++;
			lexer->column = 0;
		} else {
			lexer->column++;
		}
	}
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t length_of_comment(const struct lexer *lexer)
{
	size_t n = 2;
	if ((peek(lexer, 0) == '-' && peek(lexer, 1) == '-') ||
		(peek(lexer, 0) == '/' && peek(lexer, 1) == '/')) {
		while (peek(lexer, n) >= 0 && peek(lexer, n) != '\n')
			n++;
		return n;
	}
	if (peek(lexer, 0) != '/' || peek(lexer, 1) != '*')
		return 0;
	for (; peek(lexer, n) >= 0; n++) {
		if (peek(lexer, n) == '*' && peek(lexer, n + 1) == '/')
			return n + 2;
	}
	return 0; /* never closed */
}

static size_t length_of_space(const struct lexer *lexer)
{
	size_t n = 0;
	while (is_space(peek(lexer, n)))
		n++;
	return n > 0 ? n : length_of_comment(lexer);
}

/* 8-4-4-4-12 hex digits, nothing alphanumeric behind them; 0 if it is not one. */
static size_t length_of_uuid(const struct lexer *lexer)
{
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		int c = peek(lexer, i);
		if (dash ? c != '-' : !is_hex(c))
			return 0;
	}
	return is_hex(peek(lexer, 36)) || is_letter(peek(lexer, 36)) ? 0 : 36;
}

static size_t length_of_exponent(const struct lexer *lexer, size_t at)
{
	size_t n = at;
	if (peek(lexer, n) != 'e' && peek(lexer, n) != 'E')
		return 0;
	n++;
	if (peek(lexer, n) == '+' || peek(lexer, n) == '-')
		n++;
	if (!is_digit(peek(lexer, n)))
		return 0;
	while (is_digit(peek(lexer, n)))
		n++;
	return n - at;
}

static size_t length_of_number(const struct lexer *lexer, enum token_kind *ret_kind)
{
	size_t n = peek(lexer, 0) == '-' ? 1 : 0;
	if (!is_digit(peek(lexer, n)))
		return 0;
	*ret_kind = TOKEN_INTEGER;
	while (is_digit(peek(lexer, n)))
		n++;
	if (peek(lexer, n) == '.' && is_digit(peek(lexer, n + 1))) {
		*ret_kind = TOKEN_FLOAT;
		n++;
		while (is_digit(peek(lexer, n)))
			n++;
	}
	size_t exponent = length_of_exponent(lexer, n);
	if (exponent > 0)
		*ret_kind = TOKEN_FLOAT;
	return n + exponent;
}

/* Digits and a unit, as often as there are; 0 if it is none. */
static size_t length_of_units(const struct lexer *lexer, size_t at, const char *units)
{
	size_t n = at, end = 0;
	for (;;) {
		size_t digits = n;
		while (is_digit(peek(lexer, n)))
			n++;
		int unit = peek(lexer, n);
		if (n == digits || unit <= 0 || strchr(units, unit) == NULL)
			return end;
		end = ++n;
	}
}

static bool is_word_part(int c)
{
	return is_letter(c) || is_digit(c) || c == '_';
}

/* P1Y2M3DT4H5M6S, P3W, P0001-02-03T04:05:06 */
static size_t length_of_iso(const struct lexer *lexer, size_t at)
{
	static const char pattern[] = "0000-00-00T00:00:00";
	size_t n = 0;
	while (n < sizeof(pattern) - 1 &&
		(pattern[n] == '0' ? is_digit(peek(lexer, at + 1 + n))
				   : peek(lexer, at + 1 + n) == pattern[n]))
		n++;
	if (n == sizeof(pattern) - 1)
		return at + 1 + n;
	size_t date = length_of_units(lexer, at + 1, "YMWD");
	size_t time_at = date > 0 ? date : at + 1;
	size_t time = peek(lexer, time_at) == 'T' ? length_of_units(lexer, time_at + 1, "HMS") : 0;
	return time > 0 ? time : date;
}

/* The unit of a duration: y, mo, w, d, h, m, s, ms, us, ns, in either case. */
static size_t length_of_unit(const struct lexer *lexer, size_t at)
{
	int a = peek(lexer, at) | 0x20, b = peek(lexer, at + 1) | 0x20;
	if (peek(lexer, at) == 0xc2 && peek(lexer, at + 1) == 0xb5)
		return b >= 0 && (peek(lexer, at + 2) | 0x20) == 's' ? 3 : 0;
	if (!is_letter(peek(lexer, at)))
		return 0;
	if ((a == 'm' && b == 'o') || (strchr("mun", a) != NULL && b == 's'))
		return 2;
	return strchr("ywdhms", a) != NULL ? 1 : 0;
}

static size_t length_of_duration(const struct lexer *lexer)
{
	size_t n = peek(lexer, 0) == '-' ? 1 : 0, end = 0;
	if (peek(lexer, n) == 'P') {
		end = length_of_iso(lexer, n);
	} else {
		for (;;) {
			size_t digits = n;
			while (is_digit(peek(lexer, n)))
				n++;
			size_t unit = n == digits ? 0 : length_of_unit(lexer, n);
			if (unit == 0)
				break;
			end = n += unit;
		}
	}
	return end > 0 && is_word_part(peek(lexer, end)) ? 0 : end;
}

static size_t length_of_hex(const struct lexer *lexer)
{
	size_t n = 2;
	if (peek(lexer, 0) != '0' || (peek(lexer, 1) != 'x' && peek(lexer, 1) != 'X'))
		return 0;
	while (is_hex(peek(lexer, n)))
		n++;
	return n;
}

static size_t length_of_word(const struct lexer *lexer)
{
	size_t n = 0;
	if (!is_letter(peek(lexer, 0)))
		return 0;
	while (is_letter(peek(lexer, n)) || is_digit(peek(lexer, n)) || peek(lexer, n) == '_')
		n++;
	return n;
}

/* With its quotes; the quote doubled is one. 0 if it is never closed. */
static size_t length_of_quoted(const struct lexer *lexer, int quote)
{
	for (size_t n = 1; peek(lexer, n) >= 0; n++) {
		if (peek(lexer, n) != quote)
			continue;
		if (peek(lexer, n + 1) != quote)
			return n + 1;
		n++;
	}
	return 0;
}

static size_t length_of_dollar(const struct lexer *lexer)
{
	if (peek(lexer, 0) != '$' || peek(lexer, 1) != '$')
		return 0;
	for (size_t n = 2; peek(lexer, n) >= 0; n++) {
		if (peek(lexer, n) == '$' && peek(lexer, n + 1) == '$')
			return n + 2;
	}
	return 0;
}

static size_t length_of_symbol(const struct lexer *lexer)
{
	int a = peek(lexer, 0), b = peek(lexer, 1);
	if ((a == '<' || a == '>' || a == '!' || a == '+' || a == '-') && b == '=')
		return 2;
	return a > 0 && memchr(",;()[]{}=<>.*:+-/%!", a, 19) != NULL ? 1 : 0;
}

static void take(
	struct lexer *lexer, enum token_kind kind, size_t length, size_t quotes, struct token *ret)
{
	*ret = (struct token){ .kind = kind,
		.text = lab_view_sub(lexer->input, lexer->position + quotes, length - 2 * quotes),
		.begin = lexer->position,
		.end = lexer->position + length,
		.line = lexer->line,
		.column = lexer->column };
	skip(lexer, length);
}

static size_t length_of_plain(const struct lexer *lexer, enum token_kind *ret_kind)
{
	static const struct {
		enum token_kind kind;
		size_t (*length)(const struct lexer *lexer);
	} kinds[] = { { TOKEN_SPACE, length_of_space }, { TOKEN_UUID, length_of_uuid },
		{ TOKEN_HEX, length_of_hex }, { TOKEN_DURATION, length_of_duration },
		{ TOKEN_WORD, length_of_word } };
	for (size_t i = 0; i < LAB_COUNT_OF(kinds); i++) {
		size_t length = kinds[i].length(lexer);
		if (length > 0) {
			*ret_kind = kinds[i].kind;
			return length;
		}
	}
	return length_of_number(lexer, ret_kind);
}

void lexer_next_raw(struct lexer *lexer, struct token *ret)
{
	enum token_kind kind = TOKEN_BAD;
	int c = peek(lexer, 0);
	size_t length = length_of_plain(lexer, &kind);

	if (c < 0)
		take(lexer, TOKEN_END, 0, 0, ret);
	else if (length > 0)
		take(lexer, kind, length, 0, ret);
	else if (c == '\'' && (length = length_of_quoted(lexer, c)) > 0)
		take(lexer, TOKEN_STRING, length, 1, ret);
	else if (c == '"' && (length = length_of_quoted(lexer, c)) > 0)
		take(lexer, TOKEN_QUOTED_NAME, length, 1, ret);
	else if ((length = length_of_dollar(lexer)) > 0)
		take(lexer, TOKEN_DOLLAR, length, 2, ret);
	else if (c == '?')
		take(lexer, TOKEN_MARKER, 1, 0, ret);
	else if ((length = length_of_symbol(lexer)) > 0)
		take(lexer, TOKEN_SYMBOL, length, 0, ret);
	else
		take(lexer, TOKEN_BAD, 1, 0, ret);
}

void lexer_next(struct lexer *lexer, struct token *ret)
{
	do {
		lexer_next_raw(lexer, ret);
	} while (ret->kind == TOKEN_SPACE);
}

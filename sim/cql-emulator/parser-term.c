/* SPDX-License-Identifier: Apache-2.0
 *
 * parser-term.c - constants, markers, collections, calls, and arithmetic on them. What a term may
 * be made of is handed down as `item`: in WHERE and VALUES terms again, in a SELECT's list columns,
 * too.
 */
#include "sim/cql-emulator/parser-private.h"

static int marker(struct parser *p, struct lab_view name, struct term *ret)
{
	struct statement *outer = p->outer;
	struct lab_view *slot =
		PARSER_GROW(p, outer->marker_names, outer->marker_count, p->marker_capacity);
	if (slot == NULL)
		return -1;
	*slot = name;
	*ret = (struct term){
		.kind = TERM_MARKER, .text = name, .marker = outer->marker_count - 1
	};
	return 0;
}

int parser_items(struct parser *p, const char *close, parser_fn item, struct term *ret)
{
	size_t capacity = 0;
	if (parser_take_symbol(p, close))
		return 0;
	do {
		struct term *slot = PARSER_GROW(p, ret->items, ret->item_count, capacity);
		if (slot == NULL || item(p, slot) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	return parser_expect_symbol(p, close);
}

static bool at_constant_word(const struct parser *p)
{
	return parser_at(p, "null") || parser_at(p, "true") || parser_at(p, "false") ||
	       parser_at(p, "nan") || parser_at(p, "infinity");
}

/* {name: ...} */
static bool at_field(const struct parser *p)
{
	bool name = p->token.kind == TOKEN_QUOTED_NAME ||
		    (p->token.kind == TOKEN_WORD && !at_constant_word(p));
	return name && parser_next_is_symbol(p, ":");
}

static int field_name(struct parser *p, struct term *ret)
{
	*ret = (struct term){ .kind = TERM_COLUMN };
	return parser_name(p, &ret->text);
}

/* {} and {a, b} are sets, {a: b} is a map: known only behind the first term. */
static int braces(struct parser *p, parser_fn item, struct term *ret)
{
	size_t capacity = 0;
	bool fields = at_field(p);
	ret->kind = fields ? TERM_USER : TERM_SET;
	if (parser_take_symbol(p, "}"))
		return 0;
	do {
		struct term *key = PARSER_GROW(p, ret->items, ret->item_count, capacity);
		if (key == NULL || (fields ? field_name(p, key) : item(p, key)) < 0)
			return -1;
		if (ret->kind == TERM_SET && ret->item_count == 1 && parser_at_symbol(p, ":"))
			ret->kind = TERM_MAP;
		if (ret->kind == TERM_SET)
			continue;
		struct term *value = PARSER_GROW(p, ret->items, ret->item_count, capacity);
		if (value == NULL || parser_expect_symbol(p, ":") < 0 || item(p, value) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	return parser_expect_symbol(p, "}");
}

/* The n-th token behind the current one and the next, from 0. */
static struct token token_behind(const struct parser *p, unsigned n)
{
	struct lexer lexer = p->lexer;
	struct token token;
	do {
		lexer_next(&lexer, &token);
	} while (n-- > 0);
	return token;
}

static bool is_one_of(const struct token *token, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (lab_view_eq_nocase(token->text, lab_view_cstr(*words)))
			return true;
	}
	return false;
}

/* Can a term begin with it? Behind "(c)" that tells a type from a column in parentheses. */
static bool begins_term(const struct token *token)
{
	static const char *const ends[] = { "from", "as", "and", "or", "where", "limit", "allow",
		"order", "group", "per", "using", "if", "apply", "in", NULL };
	static const char *const symbols[] = { "(", "[", "{", ":", NULL };
	if (token->kind == TOKEN_SYMBOL)
		return is_one_of(token, symbols);
	if (token->kind == TOKEN_WORD)
		return !is_one_of(token, ends);
	return token->kind != TOKEN_END && token->kind != TOKEN_BAD;
}

/* At '(': is it a type in parentheses? */
static bool at_type_hint(const struct parser *p)
{
	static const char *const constants[] = { "true", "false", "null", NULL };
	struct token third = token_behind(p, 0);
	if (p->next.kind != TOKEN_WORD || is_one_of(&p->next, constants) ||
		third.kind != TOKEN_SYMBOL)
		return false;
	if (lab_view_eq_cstr(third.text, "<"))
		return true;
	struct token fourth = token_behind(p, 1);
	return lab_view_eq_cstr(third.text, ")") && begins_term(&fourth);
}

static struct term *only_item(struct parser *p, struct term *ret, enum term_kind kind)
{
	ret->kind = kind;
	ret->items = lab_arena_new_of(p->arena, struct term);
	ret->item_count = 1;
	return ret->items;
}

static int type_hint(struct parser *p, parser_fn item, struct term *ret)
{
	struct type_name *type = lab_arena_new_of(p->arena, struct type_name);
	struct term *inner = only_item(p, ret, TERM_HINT);
	ret->type = type;
	parser_advance(p);
	if (parser_type(p, type) < 0 || parser_expect_symbol(p, ")") < 0)
		return -1;
	return item(p, inner);
}

/* -NaN and -Infinity are constants. */
static int negative(struct parser *p, parser_fn primary, struct term *ret)
{
	bool infinite = parser_next_is(p, "infinity");
	parser_advance(p);
	if (!infinite && !parser_at(p, "nan")) {
		ret->text = LAB_VIEW("-");
		return primary(p, only_item(p, ret, TERM_OPERATION));
	}
	parser_advance(p);
	*ret = (struct term){ .kind = TERM_FLOAT,
		.text = infinite ? LAB_VIEW("-infinity") : LAB_VIEW("nan") };
	return 0;
}

/* (a) is a, in parentheses; (a, b) is a tuple. */
static int parentheses(struct parser *p, const struct token *open, parser_fn item, struct term *ret)
{
	ret->kind = TERM_TUPLE;
	if (parser_at_symbol(p, ")"))
		return parser_no_viable_after(p, open);
	if (parser_items(p, ")", item, ret) < 0)
		return -1;
	if (ret->item_count == 1)
		ret->kind = TERM_PARENTHESES;
	return 0;
}

int parser_nested(struct parser *p, parser_fn item, parser_fn primary, struct term *ret)
{
	struct token first = p->token;
	int result;
	if (p->depth == SYNTAX_DEPTH_MAX)
		return cqle_fail(p->err, CQL_E_SYNTAX, "line %u:%u terms are nested too deeply",
			p->token.line, p->token.column);
	p->depth++;
	if (parser_at_symbol(p, "-")) {
		result = negative(p, primary, ret);
	} else if (parser_at_symbol(p, "(") && at_type_hint(p)) {
		result = type_hint(p, primary, ret);
	} else if (parser_take_symbol(p, "[")) {
		ret->kind = TERM_LIST;
		result = parser_items(p, "]", item, ret);
	} else if (parser_take_symbol(p, "{")) {
		result = braces(p, item, ret);
	} else if (parser_take_symbol(p, "(")) {
		result = parentheses(p, &first, item, ret);
	} else {
		result = parser_no_viable(p);
	}
	p->depth--;
	return result;
}

static int constant(struct parser *p, enum term_kind kind, struct lab_view text, struct term *ret)
{
	ret->kind = kind;
	ret->text = text;
	parser_advance(p);
	return 0;
}

static int word(struct parser *p, struct term *ret)
{
	if (parser_at(p, "null"))
		return constant(p, TERM_NULL, LAB_VIEW("null"), ret);
	if (parser_at(p, "true") || parser_at(p, "false"))
		return constant(p, TERM_BOOLEAN, parser_lower(p, p->token.text), ret);
	if (at_constant_word(p))
		return constant(p, TERM_FLOAT, parser_lower(p, p->token.text), ret);
	return parser_call(p, parser_term, ret);
}

/* A name that no '(' follows: with a keyspace it is a function's, else what is wrong with it is
 * seen behind it. */
static int bare_name(struct parser *p, struct lab_view *ret)
{
	const struct token first = p->token;
	struct lab_view part;
	if (parser_name(p, ret) < 0)
		return -1;
	while (parser_take_symbol(p, ".")) {
		if (parser_name(p, &part) < 0)
			return -1;
		*ret = lab_view_cstr(lab_arena_printf(
			p->arena, "%.*s.%.*s", LAB_VIEW_ARG(*ret), LAB_VIEW_ARG(part)));
		if (parser_at_symbol(p, "("))
			return 0;
	}
	return parser_no_viable_after(p, &first);
}

int parser_call(struct parser *p, parser_fn argument, struct term *ret)
{
	size_t capacity = 0;
	if (p->depth == SYNTAX_DEPTH_MAX)
		return parser_no_viable(p);
	if (parser_at(p, "system") && parser_next_is_symbol(p, ".")) {
		parser_advance(p);
		parser_advance(p);
	}
	if (!parser_next_is_symbol(p, "(") && bare_name(p, &ret->text) < 0)
		return -1;
	if (parser_take(p, "token"))
		ret->text = LAB_VIEW("token");
	else if (!parser_at_symbol(p, "(") && parser_name(p, &ret->text) < 0)
		return -1;
	ret->kind = TERM_CALL;
	parser_advance(p);
	if (parser_take_symbol(p, ")"))
		return 0;
	p->depth++;
	do {
		struct term *item = PARSER_GROW(p, ret->items, ret->item_count, capacity);
		if (item == NULL || argument(p, item) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	p->depth--;
	return parser_expect_symbol(p, ")");
}

static int term_marker(struct parser *p, struct term *ret)
{
	struct lab_view name = { NULL, 0 };
	bool named = parser_at_symbol(p, ":");
	parser_advance(p);
	if (named && parser_name(p, &name) < 0)
		return -1;
	return marker(p, name, ret);
}

/* Cassandra makes a decimal of every number with a fraction, by way of a double's text. */
static bool is_beyond_double(struct lab_view text)
{
	double number;
	return cqle_double_parse(text, false, &number) == 0 && number - number != 0;
}

static int fraction(struct parser *p, struct term *ret)
{
	if (is_beyond_double(p->token.text))
		return cqle_fail(p->err, CQL_E_SYNTAX,
			CQLE_NUMBER_FORMAT
			"Character I is neither a decimal digit number, decimal point, nor \"e\" "
			"notation exponential mark.");
	return constant(p, TERM_FLOAT, p->token.text, ret);
}

int parser_constant(struct parser *p, struct term *ret)
{
	*ret = (struct term){ .kind = TERM_NONE };
	switch (p->token.kind) {
	case TOKEN_STRING:
		return constant(p, TERM_STRING, parser_undouble(p, p->token.text, '\''), ret);
	case TOKEN_DOLLAR:
		return constant(p, TERM_STRING, p->token.text, ret);
	case TOKEN_INTEGER:
		return constant(p, TERM_INTEGER, p->token.text, ret);
	case TOKEN_FLOAT:
		return fraction(p, ret);
	case TOKEN_HEX:
		return constant(p, TERM_HEX, p->token.text, ret);
	case TOKEN_DURATION:
		return constant(p, TERM_DURATION, p->token.text, ret);
	case TOKEN_UUID:
		return constant(p, TERM_UUID, p->token.text, ret);
	case TOKEN_MARKER:
		return term_marker(p, ret);
	case TOKEN_WORD:
		return word(p, ret);
	case TOKEN_QUOTED_NAME:
		return parser_call(p, parser_term, ret);
	case TOKEN_SYMBOL:
		return parser_at_symbol(p, ":") ? term_marker(p, ret) : 1;
	case TOKEN_END:
	case TOKEN_SPACE:
	case TOKEN_BAD:
		break;
	}
	return parser_no_viable(p);
}

static int primary_term(struct parser *p, struct term *ret)
{
	int result = parser_constant(p, ret);
	if (result > 0)
		result = parser_nested(p, parser_term, primary_term, ret);
	if (result == 0 && ret->kind == TERM_PARENTHESES)
		*ret = ret->items[0];
	return result;
}

/* ---- arithmetic ---- */

/* "+ l" behind a value is the list that it is put in front of. */
static bool at_column_behind(const struct parser *p)
{
	struct parser behind = *p;
	if (p->next.kind == TOKEN_QUOTED_NAME)
		return true;
	behind.token = p->next;
	behind.next = token_behind(p, 0);
	return p->next.kind == TOKEN_WORD && !at_constant_word(&behind) &&
	       !parser_next_is_symbol(&behind, "(") && !parser_next_is_symbol(&behind, ".");
}

static bool at_operator(const struct parser *p, const char *operators)
{
	return p->token.kind == TOKEN_SYMBOL && p->token.text.len == 1 &&
	       strchr(operators, p->token.text.ptr[0]) != NULL;
}

static int chain(
	struct parser *p, const char *operators, parser_fn operand, bool columns, struct term *ret)
{
	if (operand(p, ret) < 0)
		return -1;
	while (at_operator(p, operators) && (columns || !at_column_behind(p))) {
		struct term *both = lab_arena_array(p->arena, struct term, 2);
		both[0] = *ret;
		*ret = (struct term){ .kind = TERM_OPERATION,
			.text = p->token.text,
			.items = both,
			.item_count = 2 };
		parser_advance(p);
		if (operand(p, &both[1]) < 0)
			return -1;
	}
	return 0;
}

static int factor(struct parser *p, struct term *ret)
{
	return chain(p, "*/%", primary_term, false, ret);
}

/* "2 -1" is two numbers. */
static int check_sign(struct parser *p)
{
	bool number = p->token.kind == TOKEN_INTEGER || p->token.kind == TOKEN_FLOAT ||
		      p->token.kind == TOKEN_DURATION;
	return number && p->token.text.ptr[0] == '-' ? parser_no_viable(p) : 0;
}

int parser_term(struct parser *p, struct term *ret)
{
	return chain(p, "+-", factor, false, ret) < 0 ? -1 : check_sign(p);
}

int parser_operations(struct parser *p, parser_fn product, parser_fn primary, struct term *ret)
{
	return product == NULL ? chain(p, "*/%", primary, true, ret)
			       : chain(p, "+-", product, true, ret);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * parser-select.c - what stands between SELECT and FROM: columns, their parts, functions of them.
 */
#include "sim/cql-emulator/parser-private.h"

static int selection(struct parser *p, struct term *ret);

/* writetime(c), ttl(c) */
static int of_column(struct parser *p, enum term_kind kind, struct term *ret)
{
	ret->kind = kind;
	parser_advance(p);
	parser_advance(p);
	return parser_name(p, &ret->text) < 0 ? -1 : parser_expect_symbol(p, ")");
}

static int cast(struct parser *p, struct term *ret)
{
	struct type_name *type = lab_arena_new_of(p->arena, struct type_name);
	if (p->depth == SYNTAX_DEPTH_MAX)
		return parser_no_viable(p);
	ret->kind = TERM_CAST;
	ret->type = type;
	ret->items = lab_arena_new_of(p->arena, struct term);
	ret->item_count = 1;
	parser_advance(p);
	parser_advance(p);
	p->depth++;
	if (selection(p, &ret->items[0]) < 0 || parser_expect(p, "AS") < 0 ||
		parser_type(p, type) < 0)
		return -1;
	p->depth--;
	return parser_expect_symbol(p, ")");
}

/* count(*), count(1); 1: something else. */
static int count_all(struct parser *p, struct term *ret)
{
	struct parser start = *p;
	parser_advance(p);
	parser_advance(p);
	if (parser_take_symbol(p, "*") || p->token.kind == TOKEN_INTEGER) {
		if (p->token.kind == TOKEN_INTEGER)
			parser_advance(p);
		ret->kind = TERM_COUNT_ALL;
		return parser_expect_symbol(p, ")");
	}
	*p = start;
	return 1;
}

static int function(struct parser *p, struct term *ret)
{
	if (parser_at(p, "writetime"))
		return of_column(p, TERM_WRITETIME, ret);
	if (parser_at(p, "ttl"))
		return of_column(p, TERM_TTL, ret);
	if (parser_at(p, "cast"))
		return cast(p, ret);
	int result = parser_at(p, "count") ? count_all(p, ret) : 1;
	return result <= 0 ? result : parser_call(p, selection, ret);
}

/* [key], [from..to], with either end open. */
static int part(struct parser *p, struct term *ret)
{
	ret->items = lab_arena_array(p->arena, struct term, 2);
	ret->item_count = 2;
	ret->kind = TERM_SLICE;
	if (!parser_at_symbol(p, ".") && parser_term(p, &ret->items[0]) < 0)
		return -1;
	if (parser_take_symbol(p, ".")) {
		if (parser_expect_symbol(p, ".") < 0 ||
			(!parser_at_symbol(p, "]") && parser_term(p, &ret->items[1]) < 0))
			return -1;
	} else {
		ret->kind = TERM_ELEMENT;
		ret->item_count = 1;
	}
	return parser_expect_symbol(p, "]");
}

/* Behind a column: its fields and elements, theirs, and so on. */
static int parts(struct parser *p, struct term *ret)
{
	for (unsigned depth = 0; parser_at_symbol(p, ".") || parser_at_symbol(p, "["); depth++) {
		struct term *of = lab_arena_new_of(p->arena, struct term);
		if (depth == SYNTAX_DEPTH_MAX)
			return parser_no_viable(p);
		*of = *ret;
		*ret = (struct term){ .kind = TERM_FIELD, .of = of };
		if (parser_take_symbol(p, "[")
				? part(p, ret) < 0
				: (parser_advance(p), parser_name(p, &ret->text)) < 0)
			return -1;
	}
	return 0;
}

static bool at_constant(const struct parser *p)
{
	return parser_at(p, "null") || parser_at(p, "nan") || parser_at(p, "infinity") ||
	       parser_at(p, "true") || parser_at(p, "false");
}

static int primary(struct parser *p, struct term *ret)
{
	bool word = p->token.kind == TOKEN_WORD;
	bool qualified = parser_at(p, "system") && parser_next_is_symbol(p, ".");
	*ret = (struct term){ .kind = TERM_NONE };
	if (word && (parser_next_is_symbol(p, "(") || qualified))
		return function(p, ret);
	if (at_constant(p) || (!word && p->token.kind != TOKEN_QUOTED_NAME)) {
		int result = parser_constant(p, ret);
		return result <= 0 ? result : parser_nested(p, selection, primary, ret);
	}
	ret->kind = TERM_COLUMN;
	return parser_name(p, &ret->text) < 0 ? -1 : parts(p, ret);
}

static int product(struct parser *p, struct term *ret)
{
	return parser_operations(p, NULL, primary, ret);
}

static int selection(struct parser *p, struct term *ret)
{
	return parser_operations(p, product, NULL, ret);
}

int parser_selectors(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	if (parser_take_symbol(p, "*")) {
		s->wildcard = true;
		return 0;
	}
	do {
		struct selector *item = PARSER_GROW(p, s->selectors, s->selector_count, capacity);
		if (item == NULL || selection(p, &item->term) < 0)
			return -1;
		if (parser_take(p, "as") && parser_name(p, &item->alias) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	return 0;
}

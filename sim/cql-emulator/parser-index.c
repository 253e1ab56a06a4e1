/* SPDX-License-Identifier: Apache-2.0
 *
 * parser-index.c - CREATE INDEX and DROP INDEX.
 */
#include "sim/cql-emulator/parser-private.h"

/* c, values(c), keys(c), entries(c), full(c) */
static int target(struct parser *p, struct statement *s, size_t *capacity)
{
	static const struct {
		const char *word;
		enum index_target target;
	} words[] = { { "values", INDEX_VALUES }, { "keys", INDEX_KEYS },
		{ "entries", INDEX_ENTRIES }, { "full", INDEX_FULL } };
	struct lab_view *name = PARSER_GROW(p, s->names, s->name_count, *capacity);
	if (name == NULL)
		return -1;
	for (size_t i = 0; i < LAB_COUNT_OF(words); i++) {
		if (!parser_at(p, words[i].word) || !parser_next_is_symbol(p, "("))
			continue;
		s->index_target = words[i].target;
		parser_advance(p);
		parser_advance(p);
		return parser_name(p, name) < 0 ? -1 : parser_expect_symbol(p, ")");
	}
	return parser_name(p, name);
}

static int targets(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	if (parser_expect_symbol(p, "(") < 0)
		return -1;
	if (parser_take_symbol(p, ")"))
		return 0;
	do {
		if (target(p, s, &capacity) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	return parser_expect_symbol(p, ")");
}

int parser_create_index(struct parser *p, struct statement *s)
{
	s->kind = STATEMENT_CREATE_INDEX;
	s->index_custom = parser_take(p, "custom");
	if (parser_expect(p, "INDEX") < 0 || parser_if_not_exists(p, s) < 0)
		return -1;
	if (!parser_at(p, "on") && parser_name(p, &s->index_name) < 0)
		return -1;
	if (parser_expect(p, "ON") < 0 || parser_table_name(p, s) < 0 || targets(p, s) < 0)
		return -1;
	if (parser_take(p, "using")) {
		if (p->token.kind != TOKEN_STRING)
			return parser_no_viable(p);
		if (parser_string(p, &s->index_class) < 0)
			return -1;
	}
	return parser_take(p, "with") ? parser_properties(p, s) : 0;
}

int parser_drop_index(struct parser *p, struct statement *s)
{
	s->kind = STATEMENT_DROP_INDEX;
	parser_advance(p);
	if (parser_if_exists(p, s) < 0 || parser_table_name(p, s) < 0)
		return -1;
	s->index_name = s->table;
	return 0;
}

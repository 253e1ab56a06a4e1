/* SPDX-License-Identifier: Apache-2.0
 *
 * parser-describe.c - DESCRIBE and DESC.
 */
#include "sim/cql-emulator/describe.h"
#include "sim/cql-emulator/parser-private.h"

static const struct {
	const char *word, *second; /* NULL: one word is enough */
	enum describe_kind kind;
	bool has_name, optional;
} forms[] = { { "cluster", NULL, DESCRIBE_CLUSTER, false, false },
	{ "full", "schema", DESCRIBE_FULL_SCHEMA, false, false },
	{ "schema", NULL, DESCRIBE_SCHEMA, false, false },
	{ "keyspaces", NULL, DESCRIBE_KEYSPACES, false, false },
	{ "tables", NULL, DESCRIBE_TABLES, false, false },
	{ "types", NULL, DESCRIBE_TYPES, false, false },
	{ "functions", NULL, DESCRIBE_FUNCTIONS, false, false },
	{ "aggregates", NULL, DESCRIBE_AGGREGATES, false, false },
	{ "only", "keyspace", DESCRIBE_ONLY_KEYSPACE, true, true },
	{ "keyspace", NULL, DESCRIBE_KEYSPACE, true, true },
	{ "table", NULL, DESCRIBE_TABLE, true, false },
	{ "columnfamily", NULL, DESCRIBE_TABLE, true, false },
	{ "type", NULL, DESCRIBE_TYPE, true, false },
	{ "index", NULL, DESCRIBE_INDEX, true, false },
	{ "function", NULL, DESCRIBE_FUNCTION, true, false },
	{ "aggregate", NULL, DESCRIBE_AGGREGATE, true, false },
	{ "materialized", "view", DESCRIBE_VIEW, true, false } };

bool parser_at_describe(const struct parser *p)
{
	return parser_at(p, "describe") || parser_at(p, "desc");
}

static bool at_end(const struct parser *p)
{
	return p->token.kind == TOKEN_END || parser_at_symbol(p, ";") || parser_at(p, "with");
}

static int name(struct parser *p, struct describe_statement *d)
{
	if (d->kind == DESCRIBE_KEYSPACE || d->kind == DESCRIBE_ONLY_KEYSPACE)
		return parser_name(p, &d->keyspace);
	if (parser_name(p, &d->name) < 0)
		return -1;
	if (!parser_take_symbol(p, "."))
		return 0;
	d->keyspace = d->name;
	return parser_name(p, &d->name);
}

static int what(struct parser *p, struct describe_statement *d)
{
	for (size_t i = 0; i < LAB_COUNT_OF(forms); i++) {
		bool second = forms[i].second == NULL || parser_next_is(p, forms[i].second);
		if (!parser_at(p, forms[i].word) || !second || parser_next_is_symbol(p, "."))
			continue;
		parser_advance(p);
		if (forms[i].second != NULL)
			parser_advance(p);
		d->kind = forms[i].kind;
		if (!forms[i].has_name || (forms[i].optional && at_end(p)))
			return 0;
		return name(p, d);
	}
	d->kind = DESCRIBE_ANY;
	return name(p, d);
}

int parser_describe(struct parser *p, struct statement *s)
{
	struct describe_statement *d = lab_arena_new_of(p->arena, struct describe_statement);
	s->kind = STATEMENT_DESCRIBE;
	s->describe = d;
	parser_advance(p);
	const struct token first = p->token;
	if (what(p, d) < 0)
		return -1;
	if (!at_end(p))
		return parser_no_viable_after(p, &first);
	d->internals = parser_take(p, "with");
	return d->internals ? parser_expect(p, "INTERNALS") : 0;
}

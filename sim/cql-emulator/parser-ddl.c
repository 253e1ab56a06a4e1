/* SPDX-License-Identifier: Apache-2.0
 *
 * parser-ddl.c - CREATE, DROP, USE, TRUNCATE, and the words of what is not supported.
 */
#include "sim/cql-emulator/parser-private.h"

#define PROPERTIES_MAX 64

/* ---- WITH ---- */

static int clustering_order(struct parser *p, struct property *property)
{
	property->kind = PROPERTY_CLUSTERING_ORDER;
	parser_advance(p);
	if (parser_expect(p, "ORDER") < 0 || parser_expect(p, "BY") < 0 ||
		parser_expect_symbol(p, "(") < 0 ||
		parser_orderings(p, &property->orderings, &property->ordering_count) < 0)
		return -1;
	return parser_expect_symbol(p, ")");
}

/* Behind a term of a map, where something else belongs. Only what may follow some other term is
 * taken for a mismatch. */
static int bad_separator(struct parser *p, const char *expected)
{
	static const char *const followers[] = { ",", "}", ")", "]", ":", ";" };
	for (size_t i = 0; i < LAB_COUNT_OF(followers); i++) {
		if (parser_at_symbol(p, followers[i]))
			return parser_mismatch_ahead(p, expected);
	}
	return p->token.kind == TOKEN_END ? parser_mismatch(p, expected) : parser_no_viable(p);
}

/* A key or a value. What is in parentheses is a tuple here. */
static int map_item(struct parser *p, struct term *map, size_t *capacity)
{
	bool enclosed = parser_at_symbol(p, "(");
	struct term inner, *item = PARSER_GROW(p, map->items, map->item_count, *capacity);
	if (item == NULL || parser_term(p, &inner) < 0)
		return -1;
	*item = inner;
	if (!enclosed || !cqle_term_is_constant(&inner))
		return 0;
	*item = (struct term){ .kind = TERM_TUPLE, .item_count = 1 };
	item->items = lab_arena_new_of(p->arena, struct term);
	item->items[0] = inner;
	return 0;
}

static int check_map(struct parser *p, const struct term *map)
{
	for (size_t i = 0; i < map->item_count; i++) {
		const struct term *item = &map->items[i];
		if (cqle_term_is_constant(item))
			continue;
		struct lab_view text =
			item->kind == TERM_NULL ? LAB_VIEW("NULL") : cqle_term_text(p->arena, item);
		const char *note = item->kind == TERM_MARKER
					   ? " (bind variables are not supported in DDL queries)"
					   : "";
		return i % 2 == 0 ? cqle_fail(p->err, CQL_E_SYNTAX, "Invalid property name: %.*s%s",
					    LAB_VIEW_ARG(text), note)
				  : cqle_fail(p->err, CQL_E_SYNTAX,
					    "Invalid property value: %.*s for property: '%.*s'%s",
					    LAB_VIEW_ARG(text),
					    LAB_VIEW_ARG(map->items[i - 1].text), note);
	}
	return 0;
}

/* {} is what the rest of the code calls a set. */
int parser_property_map(struct parser *p, struct term *ret)
{
	size_t capacity = 0;
	*ret = (struct term){ .kind = TERM_SET };
	if (parser_expect_symbol(p, "{") < 0)
		return -1;
	if (parser_take_symbol(p, "}"))
		return 0;
	if (parser_at_symbol(p, ",") || p->token.kind == TOKEN_END)
		return parser_mismatch(p, "'}'");
	ret->kind = TERM_MAP;
	do {
		if (map_item(p, ret, &capacity) < 0)
			return -1;
		if (!parser_take_symbol(p, ":"))
			return bad_separator(p, "':'");
		if (map_item(p, ret, &capacity) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	return parser_take_symbol(p, "}") ? check_map(p, ret) : bad_separator(p, "'}'");
}

/* Names, markers, lists and what is in parentheses: no values of properties. */
static bool at_no_value(const struct parser *p)
{
	if (p->token.kind == TOKEN_WORD)
		return !parser_at(p, "true") && !parser_at(p, "false");
	return p->token.kind == TOKEN_QUOTED_NAME || p->token.kind == TOKEN_MARKER ||
	       parser_at_symbol(p, ":") || parser_at_symbol(p, "[") || parser_at_symbol(p, "(");
}

static int property(struct parser *p, struct property *property)
{
	if (parser_at(p, "clustering") && parser_next_is(p, "order"))
		return clustering_order(p, property);
	if (parser_at(p, "compact") && parser_next_is(p, "storage")) {
		property->kind = PROPERTY_COMPACT_STORAGE;
		parser_advance(p);
		parser_advance(p);
		return 0;
	}
	const struct token first = p->token;
	if (parser_name(p, &property->name) < 0 || parser_expect_symbol(p, "=") < 0)
		return -1;
	property->kind = parser_at_symbol(p, "{") ? PROPERTY_MAP : PROPERTY_SIMPLE;
	if (at_no_value(p))
		return parser_no_viable_after(p, &first);
	return property->kind == PROPERTY_MAP ? parser_property_map(p, &property->value)
					      : parser_term(p, &property->value);
}

int parser_properties(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	do {
		struct property *item = PARSER_GROW(p, s->properties, s->property_count, capacity);
		bool words = parser_at(p, "clustering") || parser_at(p, "compact");
		if (words && !parser_next_is_symbol(p, "=") && s->kind != STATEMENT_CREATE_TABLE) {
			struct token first = p->token;
			parser_advance(p);
			return parser_no_viable_after(p, &first);
		}
		if (item == NULL || property(p, item) < 0)
			return -1;
		if (s->property_count > PROPERTIES_MAX)
			return cqle_fail(
				p->err, CQL_E_SYNTAX, "more than %d properties", PROPERTIES_MAX);
		for (size_t i = 0; i + 1 < s->property_count; i++) {
			if (item->name.ptr != NULL &&
				lab_view_eq(s->properties[i].name, item->name))
				return cqle_fail(p->err, CQL_E_SYNTAX,
					"Multiple definition for property '%.*s'",
					LAB_VIEW_ARG(item->name));
		}
	} while (parser_take(p, "and"));
	return 0;
}

/* ---- CREATE ---- */

int parser_if_not_exists(struct parser *p, struct statement *s)
{
	if (!parser_take(p, "if"))
		return 0;
	s->if_not_exists = true;
	return parser_expect(p, "NOT") < 0 ? -1 : parser_expect(p, "EXISTS");
}

int parser_if_exists(struct parser *p, struct statement *s)
{
	if (!parser_take(p, "if"))
		return 0;
	s->if_exists = true;
	return parser_expect(p, "EXISTS");
}

static int create_keyspace(struct parser *p, struct statement *s)
{
	s->kind = STATEMENT_CREATE_KEYSPACE;
	if (parser_if_not_exists(p, s) < 0 || parser_name(p, &s->keyspace) < 0 ||
		parser_expect(p, "WITH") < 0)
		return -1;
	return parser_properties(p, s);
}

static int key_names(struct parser *p, const char *close, struct lab_view **ret, size_t *ret_count)
{
	size_t capacity = 0;
	do {
		struct lab_view *name = PARSER_GROW(p, *ret, *ret_count, capacity);
		if (name == NULL || parser_name(p, name) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	return parser_expect_symbol(p, close);
}

/* PRIMARY KEY (p, c...) or PRIMARY KEY ((p, q), c...). */
static int primary_key(struct parser *p, struct statement *s)
{
	if (s->primary_key)
		return cqle_fail(p->err, CQL_E_INVALID,
			"Multiple PRIMARY KEYs specifed (exactly one required)");
	s->primary_key = true;
	parser_advance(p);
	if (parser_expect(p, "KEY") < 0 || parser_expect_symbol(p, "(") < 0)
		return -1;
	if (parser_take_symbol(p, "(")) {
		if (key_names(p, ")", &s->partition_key, &s->partition_key_count) < 0)
			return -1;
	} else {
		s->partition_key = lab_arena_new_of(p->arena, struct lab_view);
		s->partition_key_count = 1;
		if (parser_name(p, &s->partition_key[0]) < 0)
			return -1;
	}
	if (!parser_take_symbol(p, ","))
		return parser_expect_symbol(p, ")");
	return key_names(p, ")", &s->clustering, &s->clustering_count);
}

int parser_column_definition(struct parser *p, struct column_definition *column)
{
	if (parser_name(p, &column->name) < 0 || parser_type(p, &column->type) < 0)
		return -1;
	column->is_static = parser_take(p, "static");
	if (parser_take(p, "primary")) {
		column->is_key = true;
		return parser_expect(p, "KEY");
	}
	return 0;
}

static int create_table(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	s->kind = STATEMENT_CREATE_TABLE;
	if (parser_if_not_exists(p, s) < 0 || parser_table_name(p, s) < 0 ||
		parser_expect_symbol(p, "(") < 0)
		return -1;
	do {
		if (parser_at(p, "primary")) {
			if (primary_key(p, s) < 0)
				return -1;
			continue;
		}
		struct column_definition *column =
			PARSER_GROW(p, s->columns, s->column_count, capacity);
		if (column == NULL || parser_column_definition(p, column) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	if (parser_expect_symbol(p, ")") < 0)
		return -1;
	return parser_take(p, "with") ? parser_properties(p, s) : 0;
}

/* ---- ALTER ---- */

/* ADD a int, ADD (a int, b text static) */
static int alter_add(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	bool several = parser_take_symbol(p, "(");
	do {
		struct column_definition *c = PARSER_GROW(p, s->columns, s->column_count, capacity);
		if (c == NULL || parser_name(p, &c->name) < 0 || parser_type(p, &c->type) < 0)
			return -1;
		c->is_static = parser_take(p, "static");
	} while (several && parser_take_symbol(p, ","));
	return several ? parser_expect_symbol(p, ")") : 0;
}

static int alter_drop(struct parser *p, struct statement *s)
{
	s->alter = ALTER_DROP;
	if (parser_take_symbol(p, "("))
		return key_names(p, ")", &s->names, &s->name_count);
	s->names = lab_arena_new_of(p->arena, struct lab_view);
	s->name_count = 1;
	return parser_name(p, &s->names[0]);
}

int parser_renames(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	s->alter = ALTER_RENAME;
	do {
		for (unsigned i = 0; i < 2; i++) {
			struct lab_view *name = PARSER_GROW(p, s->names, s->name_count, capacity);
			if (name == NULL || (i == 1 && parser_expect(p, "TO") < 0) ||
				parser_name(p, name) < 0)
				return -1;
		}
	} while (parser_take(p, "and"));
	return 0;
}

static int alter_type(struct parser *p, struct statement *s)
{
	struct lab_view name;
	struct type_name type = { .param_count = 0 };
	s->alter = ALTER_TYPE;
	return parser_name(p, &name) < 0 || parser_expect(p, "TYPE") < 0 ? -1
									 : parser_type(p, &type);
}

static int alter_with(struct parser *p, struct statement *s)
{
	s->alter = ALTER_WITH;
	if (parser_expect(p, "WITH") < 0)
		return -1;
	return parser_properties(p, s);
}

static int alter_table(struct parser *p, struct statement *s)
{
	static const struct {
		const char *verb;
		int (*parse)(struct parser *p, struct statement *s);
	} verbs[] = { { "add", alter_add }, { "drop", alter_drop }, { "rename", parser_renames },
		{ "alter", alter_type } };
	s->kind = STATEMENT_ALTER_TABLE;
	if (parser_table_name(p, s) < 0)
		return -1;
	for (size_t i = 0; i < LAB_COUNT_OF(verbs); i++) {
		if (parser_take(p, verbs[i].verb))
			return verbs[i].parse(p, s);
	}
	return alter_with(p, s);
}

/* At the object. */
static int alter(struct parser *p, struct statement *s)
{
	if (parser_at(p, "type"))
		return parser_alter_type(p, s);
	if (!parser_take(p, "keyspace") && !parser_take(p, "schema")) {
		parser_advance(p); /* TABLE or COLUMNFAMILY, seen by the caller */
		return alter_table(p, s);
	}
	s->kind = STATEMENT_ALTER_KEYSPACE;
	return parser_name(p, &s->keyspace) < 0 ? -1 : alter_with(p, s);
}

/* ---- the rest ---- */

static int drop(struct parser *p, struct statement *s)
{
	bool keyspace = parser_take(p, "keyspace") || parser_take(p, "schema");
	if (!keyspace)
		parser_advance(p); /* TABLE or COLUMNFAMILY, seen by the caller */
	s->kind = keyspace ? STATEMENT_DROP_KEYSPACE : STATEMENT_DROP_TABLE;
	if (parser_if_exists(p, s) < 0)
		return -1;
	return keyspace ? parser_name(p, &s->keyspace) : parser_table_name(p, s);
}

static int truncate(struct parser *p, struct statement *s)
{
	s->kind = STATEMENT_TRUNCATE;
	if (!parser_take(p, "table"))
		(void)parser_take(p, "columnfamily");
	return parser_table_name(p, s);
}

/* What Cassandra would do and we do not: remembered by its first words, refused when executed. */
static int unsupported(struct parser *p, struct statement *s)
{
	s->kind = STATEMENT_UNSUPPORTED;
	s->table = p->token.text;
	if (parser_at(p, "create") || parser_at(p, "alter") || parser_at(p, "drop"))
		s->table = lab_view_sub(p->lexer.input, p->token.begin,
			LAB_MIN(p->next.end - p->token.begin, (size_t)60));
	return 0;
}

static bool at_object(const struct parser *p, const char *const *objects)
{
	for (; *objects != NULL; objects++) {
		if (parser_next_is(p, *objects))
			return true;
	}
	return false;
}

/* Verbs with the objects that Cassandra 4.0 knows and we refuse. NULL: any. */
static const char *const create_others[] = { "materialized", "function", "aggregate", "trigger",
	"or", NULL };
static const char *const drop_others[] = { "materialized", "function", "aggregate", "trigger",
	NULL };
static const char *const alter_others[] = { "materialized", NULL };

static const char *const altered[] = { "keyspace", "schema", "table", "columnfamily", "type",
	NULL };

static bool at_unsupported(const struct parser *p)
{
	if (parser_at(p, "create"))
		return at_object(p, create_others);
	if (parser_at(p, "drop"))
		return at_object(p, drop_others);
	if (parser_at(p, "alter"))
		return at_object(p, alter_others);
	return false;
}

static int create(struct parser *p, struct statement *s)
{
	if (parser_take(p, "keyspace") || parser_take(p, "schema"))
		return create_keyspace(p, s);
	if (parser_take(p, "table") || parser_take(p, "columnfamily"))
		return create_table(p, s);
	if (parser_at(p, "type"))
		return parser_create_type(p, s);
	if (parser_at(p, "index") || parser_at(p, "custom"))
		return parser_create_index(p, s);
	return parser_no_viable(p);
}

int parser_ddl(struct parser *p, struct statement *s)
{
	if (at_unsupported(p))
		return unsupported(p, s);
	if (parser_take(p, "use")) {
		s->kind = STATEMENT_USE;
		return parser_name(p, &s->keyspace);
	}
	if (parser_take(p, "truncate"))
		return truncate(p, s);
	if (parser_take(p, "create"))
		return create(p, s);
	if (parser_at(p, "alter") && at_object(p, altered)) {
		parser_advance(p);
		return alter(p, s);
	}
	if (parser_take(p, "drop")) {
		if (parser_at(p, "type"))
			return parser_drop_type(p, s);
		if (parser_at(p, "index"))
			return parser_drop_index(p, s);
		if (parser_at(p, "keyspace") || parser_at(p, "schema") || parser_at(p, "table") ||
			parser_at(p, "columnfamily"))
			return drop(p, s);
		return parser_no_viable(p);
	}
	return parser_no_viable(p);
}

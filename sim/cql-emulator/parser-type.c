/* SPDX-License-Identifier: Apache-2.0
 *
 * parser-type.c - types as written, and CREATE, ALTER, DROP TYPE.
 */
#include "sim/cql-emulator/parser-private.h"

static int type_params(struct parser *p, struct type_name *ret)
{
	size_t capacity = 0;
	if (p->depth == SYNTAX_DEPTH_MAX)
		return parser_no_viable(p);
	p->depth++;
	do {
		struct type_name *param = PARSER_GROW(p, ret->params, ret->param_count, capacity);
		if (param == NULL || parser_type(p, param) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	p->depth--;
	return parser_expect_symbol(p, ">");
}

int parser_type(struct parser *p, struct type_name *ret)
{
	if (p->token.kind == TOKEN_STRING) { /* a custom class */
		ret->name = p->token.text;
		parser_advance(p);
		return 0;
	}
	if (parser_at(p, "set")) { /* reserved, but not here */
		ret->name = LAB_VIEW("set");
		parser_advance(p);
	} else if (parser_name(p, &ret->name) < 0) {
		return -1;
	}
	if (parser_take_symbol(p, ".")) { /* a user type with its keyspace */
		ret->keyspace = ret->name;
		if (parser_name(p, &ret->name) < 0)
			return -1;
	}
	return parser_take_symbol(p, "<") ? type_params(p, ret) : 0;
}

/* ---- user types ---- */

/* The native types' names that are no other's. */
static const char *const native_types[] = { "ascii", "bigint", "blob", "boolean", "counter", "date",
	"decimal", "double", "duration", "float", "inet", "int", "smallint", "text", "time",
	"timestamp", "timeuuid", "tinyint", "uuid", "varchar", "varint" };

static int type_name(struct parser *p, struct statement *s)
{
	if ((p->token.kind == TOKEN_WORD || p->token.kind == TOKEN_QUOTED_NAME) &&
		parser_next_is_symbol(p, ".")) {
		if (parser_name(p, &s->keyspace) < 0)
			return -1;
		parser_advance(p);
	}
	for (size_t i = 0; i < LAB_COUNT_OF(native_types); i++) {
		if (parser_at(p, native_types[i]))
			return parser_no_viable(p);
	}
	return parser_name(p, &s->table);
}

static int field(struct parser *p, struct statement *s, size_t *capacity)
{
	struct column_definition *d = PARSER_GROW(p, s->columns, s->column_count, *capacity);
	return d == NULL || parser_name(p, &d->name) < 0 ? -1 : parser_type(p, &d->type);
}

int parser_create_type(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	s->kind = STATEMENT_CREATE_TYPE;
	parser_advance(p);
	if (parser_if_not_exists(p, s) < 0 || type_name(p, s) < 0 ||
		parser_expect_symbol(p, "(") < 0)
		return -1;
	do {
		if (field(p, s, &capacity) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	return parser_expect_symbol(p, ")");
}

int parser_drop_type(struct parser *p, struct statement *s)
{
	s->kind = STATEMENT_DROP_TYPE;
	parser_advance(p);
	return parser_if_exists(p, s) < 0 ? -1 : type_name(p, s);
}

static int alter_field_type(struct parser *p, struct statement *s)
{
	struct lab_view name;
	struct type_name type = { .param_count = 0 };
	s->alter = ALTER_TYPE;
	return parser_name(p, &name) < 0 || parser_expect(p, "TYPE") < 0 ? -1
									 : parser_type(p, &type);
}

int parser_alter_type(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	s->kind = STATEMENT_ALTER_TYPE;
	parser_advance(p);
	if (type_name(p, s) < 0)
		return -1;
	if (parser_take(p, "add"))
		return field(p, s, &capacity);
	if (parser_take(p, "rename"))
		return parser_renames(p, s);
	return parser_expect(p, "ALTER") < 0 ? -1 : alter_field_type(p, s);
}

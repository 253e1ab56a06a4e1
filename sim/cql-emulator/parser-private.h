/* SPDX-License-Identifier: Apache-2.0
 *
 * parser-private.h - what the parser's sources share.
 */
#ifndef LAB_CQL_EMULATOR_PARSER_PRIVATE_H
#define LAB_CQL_EMULATOR_PARSER_PRIVATE_H

#include "sim/cql-emulator/syntax.h"

struct parser {
	struct lab_arena *arena;
	struct lexer lexer;
	struct token token, next; /* the current one and the one behind it */
	struct lab_error *err;
	struct statement *outer; /* collects the markers */
	size_t marker_capacity;
	unsigned depth;
	bool in_conditions; /* of IF: columns may have fields */
};

void parser_advance(struct parser *p);
/* Is the current token this keyword (any case), this symbol? */
bool parser_at(const struct parser *p, const char *keyword);
bool parser_at_symbol(const struct parser *p, const char *symbol);
bool parser_next_is(const struct parser *p, const char *keyword);
bool parser_next_is_symbol(const struct parser *p, const char *symbol);
/* Takes it if it is there. */
bool parser_take(struct parser *p, const char *keyword);
bool parser_take_symbol(struct parser *p, const char *symbol);
/* 0, or -1 with "mismatched input ... expecting ...". */
int parser_expect(struct parser *p, const char *keyword);
int parser_expect_symbol(struct parser *p, const char *symbol);
int parser_mismatch(struct parser *p, const char *expected);
/* The same where Cassandra has looked at the next token: its snippet has that, too. */
int parser_mismatch_ahead(struct parser *p, const char *expected);
int parser_no_viable(struct parser *p);
/* At the present token, which does not fit behind `first`. */
int parser_no_viable_after(struct parser *p, const struct token *first);

/* An identifier: lower-cased unless quoted; reserved words are refused. */
int parser_name(struct parser *p, struct lab_view *ret);
int parser_table_name(struct parser *p, struct statement *s);
typedef int (*parser_fn)(struct parser *p, struct term *ret);
/* A value, arithmetic included. */
int parser_term(struct parser *p, struct term *ret);
/* A constant, a marker, a call; 1: a symbol that is none of these, for parser_nested(). */
int parser_constant(struct parser *p, struct term *ret);
/* What begins with a bracket or a minus; `item` reads what is inside, `primary` what the minus or
 * a type in parentheses stands before. */
int parser_nested(struct parser *p, parser_fn item, parser_fn primary, struct term *ret);
/* Items with ',' between them up to `close`, which is taken. */
int parser_items(struct parser *p, const char *close, parser_fn item, struct term *ret);
/* Sums of products, or products (`product` NULL) of what `primary` reads. */
int parser_operations(struct parser *p, parser_fn product, parser_fn primary, struct term *ret);
struct lab_view parser_lower(struct parser *p, struct lab_view text);
/* The text with each doubled quote made single. */
struct lab_view parser_undouble(struct parser *p, struct lab_view text, uint8_t quote);
int parser_type(struct parser *p, struct type_name *ret);
/* [system.]name(argument, ...) */
int parser_call(struct parser *p, parser_fn argument, struct term *ret);
/* What SELECT asks for: * or selectors with their aliases. */
int parser_selectors(struct parser *p, struct statement *s);
int parser_where(struct parser *p, struct statement *s);
int parser_orderings(struct parser *p, struct ordering **ret, size_t *ret_count);

/* Makes room for one more item of an array in the arena and returns it, zeroed; NULL at
 * SYNTAX_ITEMS_MAX, with the error set. */
void *parser_grow(
	struct parser *p, void **items, size_t *count, size_t *capacity, size_t item_size);
#define PARSER_GROW(p, items, count, capacity) \
	((__typeof__(items))parser_grow( \
		(p), (void **)&(items), &(count), &(capacity), sizeof(*(items))))

/* A constant in single quotes; the caller has seen that it is there. */
int parser_string(struct parser *p, struct lab_view *ret);
/* Is the word no name unless quoted? In lower case. */
bool parser_is_reserved(struct lab_view word);
/* parser-describe.c */
bool parser_at_describe(const struct parser *p);
int parser_describe(struct parser *p, struct statement *s);
/* parser-roles.c */
bool parser_at_roles(const struct parser *p);
int parser_roles(struct parser *p, struct statement *s);

int parser_column_definition(struct parser *p, struct column_definition *column);
int parser_if_not_exists(struct parser *p, struct statement *s);
int parser_if_exists(struct parser *p, struct statement *s);
int parser_properties(struct parser *p, struct statement *s);
/* {name: value, ...}, of constants. */
int parser_property_map(struct parser *p, struct term *ret);
/* RENAME a TO b AND c TO d, behind its verb. */
int parser_renames(struct parser *p, struct statement *s);
/* parser-type.c: behind CREATE, DROP, ALTER, at TYPE. */
int parser_create_type(struct parser *p, struct statement *s);
int parser_drop_type(struct parser *p, struct statement *s);
int parser_alter_type(struct parser *p, struct statement *s);
/* parser-index.c: behind CREATE at CUSTOM or INDEX, behind DROP at INDEX. */
int parser_create_index(struct parser *p, struct statement *s);
int parser_drop_index(struct parser *p, struct statement *s);
int parser_ddl(struct parser *p, struct statement *s);
int parser_statement_body(struct parser *p, struct statement *s);

#endif

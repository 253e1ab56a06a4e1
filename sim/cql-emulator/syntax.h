/* SPDX-License-Identifier: Apache-2.0
 *
 * syntax.h - CQL text to a tree. Nothing here knows a schema.
 *
 * Everything lives in the caller's arena; names and constants are unescaped copies or borrow from
 * the text, which must live as long. Nesting is bounded (SYNTAX_DEPTH_MAX), so the parser's own
 * recursion is.
 */
#ifndef LAB_CQL_EMULATOR_SYNTAX_H
#define LAB_CQL_EMULATOR_SYNTAX_H

#include "core/base/base.h"
#include "core/cql/cql-codec.h"

#define SYNTAX_DEPTH_MAX 8
#define SYNTAX_ITEMS_MAX 65535 /* of any one list */

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,        /* identifier or keyword; text as written */
	TOKEN_QUOTED_NAME, /* text between the quotes, "" still doubled */
	TOKEN_STRING,      /* text between the quotes, '' still doubled */
	TOKEN_DOLLAR,      /* $$text$$ */
	TOKEN_INTEGER,
	TOKEN_FLOAT,
	TOKEN_HEX,      /* 0x..., whole */
	TOKEN_DURATION, /* 1h30m, P1DT2H */
	TOKEN_UUID,
	TOKEN_MARKER, /* ? */
	TOKEN_SYMBOL, /* one or two characters */
	TOKEN_SPACE,  /* white space and comments; only the raw lexer gives it */
	TOKEN_BAD
};

struct token {
	enum token_kind kind;
	struct lab_view text; /* without quotes */
	size_t begin, end;    /* in the statement, with quotes */
	uint32_t line, column;
};

struct lexer {
	struct lab_view input;
	size_t position;
	uint32_t line, column;
};

void lexer_init(struct lexer *lexer, struct lab_view input);
/* The next token, white space included. */
void lexer_next_raw(struct lexer *lexer, struct token *ret);
/* The next token that is not white space. */
void lexer_next(struct lexer *lexer, struct token *ret);

enum term_kind {
	TERM_NONE,
	TERM_NULL,
	TERM_STRING,
	TERM_INTEGER,
	TERM_FLOAT,
	TERM_BOOLEAN,
	TERM_HEX,
	TERM_DURATION,
	TERM_UUID,
	TERM_MARKER,
	TERM_LIST,      /* [a, b] */
	TERM_SET,       /* {a, b}; {} too */
	TERM_MAP,       /* {a: b}: items alternate */
	TERM_TUPLE,     /* (a, b) */
	TERM_USER,      /* {a: 1}: items alternate, fields are TERM_COLUMN */
	TERM_CALL,      /* text(items) */
	TERM_HINT,      /* (type)items[0] */
	TERM_OPERATION, /* items[0] + items[1], -items[0]; text is the operator */
	/* In a SELECT's list only: */
	TERM_PARENTHESES, /* (items[0]) */
	TERM_COLUMN,      /* text */
	TERM_FIELD,       /* of->text */
	TERM_ELEMENT,     /* of[items[0]] */
	TERM_SLICE,       /* of[items[0]..items[1]]; an open end is TERM_NONE */
	TERM_CAST,        /* cast(items[0] as type) */
	TERM_COUNT_ALL,   /* count(*), count(1) */
	TERM_WRITETIME,   /* writetime(text) */
	TERM_TTL          /* ttl(text) */
};
struct type_name;

struct term {
	enum term_kind kind;
	struct lab_view text; /* constants: unescaped; markers: the name, ptr NULL for ? */
	size_t marker;        /* which one, from 0 */
	struct term *items;
	size_t item_count;
	const struct term *of;        /* fields, elements and slices */
	const struct type_name *type; /* hints and casts */
};

enum operator{
	OP_EQ,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_NE,
	OP_IN,
	OP_LIKE,
	OP_CONTAINS,
	OP_CONTAINS_KEY
};

struct relation {
	struct lab_view column; /* ptr NULL: token(...) or a tuple of columns */
	bool token;
	bool of_tuple;                /* one of several columns: (a, b) = (1, 2) */
	size_t position;              /* its place among them */
	const struct relation *tuple; /* the whole, if its value is a marker */
	bool has_key;                 /* column[key] */
	struct term key;
	struct lab_view field;    /* column.field, of conditions; ptr NULL: none */
	struct lab_view *columns; /* of token() and tuples */
	size_t column_count;
	enum operator op;
	struct term value;  /* OP_IN with a marker: the list itself */
	struct term *items; /* OP_IN (a, b) */
	size_t item_count;
};

struct selector {
	struct term term;
	struct lab_view alias; /* ptr NULL: none */
};

struct ordering {
	struct lab_view column;
	bool descending;
};

enum assignment_kind {
	ASSIGN_VALUE,   /* c = value; c alone in DELETE */
	ASSIGN_ADD,     /* c = c + value, c += value */
	ASSIGN_REMOVE,  /* c = c - value, c -= value */
	ASSIGN_PREPEND, /* c = value + c */
	ASSIGN_ELEMENT, /* c[key] = value; c[key] in DELETE */
	ASSIGN_FIELD    /* c.field = value: the field is the key's text; c.field in DELETE */
};

/* One change in SET, or one column of INSERT or DELETE. */
struct assignment {
	enum assignment_kind kind;
	struct lab_view column;
	struct term key, value;
};

enum property_kind {
	PROPERTY_SIMPLE, /* name = constant */
	PROPERTY_MAP,    /* name = {...} */
	PROPERTY_CLUSTERING_ORDER,
	PROPERTY_COMPACT_STORAGE
};
struct property {
	enum property_kind kind;
	struct lab_view name;
	struct term value;
	struct ordering *orderings;
	size_t ordering_count;
};

/* A type as written: "frozen<map<text, int>>". */
struct type_name {
	struct lab_view keyspace; /* of a user type; ptr NULL: not written */
	struct lab_view name;     /* lower case unless quoted */
	struct type_name *params;
	size_t param_count;
};

struct column_definition {
	struct lab_view name;
	struct type_name type;
	bool is_static, is_key; /* is_key: "a int primary key" */
};

enum index_target {
	INDEX_SIMPLE,
	INDEX_VALUES,
	INDEX_KEYS,
	INDEX_ENTRIES,
	INDEX_FULL /* of a frozen collection */
};

enum statement_kind {
	STATEMENT_SELECT,
	STATEMENT_INSERT,
	STATEMENT_UPDATE,
	STATEMENT_DELETE,
	STATEMENT_BATCH,
	STATEMENT_USE,
	STATEMENT_TRUNCATE,
	STATEMENT_CREATE_KEYSPACE,
	STATEMENT_CREATE_TABLE,
	STATEMENT_DROP_KEYSPACE,
	STATEMENT_DROP_TABLE,
	STATEMENT_ALTER_KEYSPACE,
	STATEMENT_ALTER_TABLE,
	STATEMENT_ROLE,        /* roles.h */
	STATEMENT_CREATE_TYPE, /* `table` is the type, `columns` its fields */
	STATEMENT_DROP_TYPE,
	STATEMENT_ALTER_TYPE,
	STATEMENT_CREATE_INDEX, /* `names` are the columns */
	STATEMENT_DROP_INDEX,
	STATEMENT_DESCRIBE,   /* describe.h */
	STATEMENT_UNSUPPORTED /* known to Cassandra, not to us; `table` has the words */
};

enum alter_kind {
	ALTER_ADD,    /* columns */
	ALTER_DROP,   /* names */
	ALTER_RENAME, /* names: from and to alternate */
	ALTER_WITH,   /* properties */
	ALTER_TYPE    /* which Cassandra refuses */
};

struct statement {
	enum statement_kind kind;
	struct lab_view text;
	struct lab_view keyspace; /* ptr NULL: not qualified */
	struct lab_view table;

	/* SELECT */
	bool distinct, json, wildcard, allow_filtering;
	struct selector *selectors;
	size_t selector_count;
	struct lab_view *groups; /* GROUP BY */
	size_t group_count;
	struct ordering *orderings;
	size_t ordering_count;
	struct term limit, partition_limit;

	/* SELECT, UPDATE, DELETE */
	struct relation *relations;
	size_t relation_count;

	/* INSERT, UPDATE: what is set; DELETE: the columns */
	struct assignment *assignments;
	size_t assignment_count;
	size_t value_count; /* INSERT: how many VALUES there were */
	struct term timestamp, ttl;
	bool conditional; /* IF ...: of UPDATE and DELETE EXISTS, if there are no conditions */
	struct relation *conditions;
	size_t condition_count;
	bool json_insert, json_unset; /* the document is `json_document` */
	struct term json_document;

	/* BATCH */
	enum cql_batch_type batch_type;
	struct statement **batch;
	size_t batch_count;

	/* DDL */
	bool if_exists, if_not_exists;
	struct column_definition *columns;
	size_t column_count;
	bool primary_key; /* a PRIMARY KEY (...) clause was given */
	struct lab_view *partition_key;
	size_t partition_key_count;
	struct lab_view *clustering;
	size_t clustering_count;
	struct property *properties;
	size_t property_count;
	enum alter_kind alter;
	struct lab_view *names; /* of ALTER */
	size_t name_count;

	const struct role_statement *role; /* of ROLE */
	const struct describe_statement *describe;

	/* Indexes */
	struct lab_view index_name, index_class; /* ptr NULL: not given */
	bool index_custom;
	enum index_target index_target;

	/* Bind markers, in order; of a batch on its outermost statement. */
	struct lab_view *marker_names; /* ptr NULL for ? */
	size_t marker_count;
};

/* One statement, with an optional ';' behind it. -1: LAB_INVALID with Cassandra's text and status
 * CQL_E_SYNTAX. */
int cqle_parse(struct lab_arena *arena, struct lab_view text, struct statement **ret,
	struct lab_error *err);

/* 'x', 5, 0xff, ...: not null, no marker, nothing that is made of others. */
static inline bool cqle_term_is_constant(const struct term *term)
{
	return term->kind >= TERM_STRING && term->kind <= TERM_UUID;
}

/* The term as Cassandra writes it in messages: 'x', [1, 2], {'a': 1}, ?. */
struct lab_view cqle_term_text(struct lab_arena *arena, const struct term *term);

/* The name as CQL has it: quoted where it must be. */
const char *cqle_name_text(struct lab_arena *arena, struct lab_view name);

/* The nearest double; to a float, the nearest of those. */
int cqle_double_parse(struct lab_view text, bool single, double *ret);

/* How a syntax error about a number beyond the largest double begins; the statement goes before. */
#define CQLE_NUMBER_FORMAT "NumberFormatException "
/* Sets the CQL error code beside the message; returns -1. */
int cqle_fail(struct lab_error *err, unsigned code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif

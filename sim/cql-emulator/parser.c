/* SPDX-License-Identifier: Apache-2.0
 *
 * parser.c - recursive descent over one statement of data manipulation. DDL is in parser-ddl.c.
 */
#include "sim/cql-emulator/parser-private.h"

#include <stdarg.h>
#include <stdio.h>

#define SNIPPET_TOKENS 10 /* what ANTLR's error collector shows before the offender */

int cqle_fail(struct lab_error *err, unsigned code, const char *format, ...)
{
	char text[sizeof(err->message)];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	(void)lab_fail(err, code == CQL_E_ALREADY_EXISTS ? LAB_EXISTS : LAB_INVALID, "%s", text);
	if (err != NULL)
		err->status = (uint16_t)code;
	return -1;
}

/* ---- tokens ---- */

void parser_advance(struct parser *p)
{
	p->token = p->next;
	lexer_next(&p->lexer, &p->next);
}

static bool is_word(const struct token *token, const char *keyword)
{
	return token->kind == TOKEN_WORD && lab_view_eq_nocase(token->text, lab_view_cstr(keyword));
}

static bool is_symbol(const struct token *token, const char *symbol)
{
	return token->kind == TOKEN_SYMBOL && lab_view_eq_cstr(token->text, symbol);
}

bool parser_at(const struct parser *p, const char *keyword)
{
	return is_word(&p->token, keyword);
}

bool parser_at_symbol(const struct parser *p, const char *symbol)
{
	return is_symbol(&p->token, symbol);
}

bool parser_next_is(const struct parser *p, const char *keyword)
{
	return is_word(&p->next, keyword);
}

bool parser_next_is_symbol(const struct parser *p, const char *symbol)
{
	return is_symbol(&p->next, symbol);
}

bool parser_take(struct parser *p, const char *keyword)
{
	bool there = parser_at(p, keyword);
	if (there)
		parser_advance(p);
	return there;
}

bool parser_take_symbol(struct parser *p, const char *symbol)
{
	bool there = parser_at_symbol(p, symbol);
	if (there)
		parser_advance(p);
	return there;
}

/* Where the snippet of an error at `offender` begins: ten tokens before it. */
static size_t snippet_begin(const struct parser *p, const struct token *offender)
{
	size_t begins[SNIPPET_TOKENS] = { 0 };
	size_t count = 0;
	struct lexer lexer;
	struct token token;

	lexer_init(&lexer, p->lexer.input);
	for (lexer_next_raw(&lexer, &token);
		token.kind != TOKEN_END && token.begin < offender->begin;
		lexer_next_raw(&lexer, &token))
		begins[count++ % SNIPPET_TOKENS] = token.begin;
	return count <= SNIPPET_TOKENS ? 0 : begins[count % SNIPPET_TOKENS];
}

/* Where a token ends in a snippet: what is in quotes is taken for as long as it is without them. */
static size_t snippet_end(const struct token *token)
{
	bool quoted = token->kind == TOKEN_STRING || token->kind == TOKEN_QUOTED_NAME;
	size_t len = quoted ? token->text.len : token->end - token->begin;
	return token->begin + LAB_MIN(len, (size_t)40);
}

/* The snippet marks `first` and ends with `last`. */
static int syntax_error_from(struct parser *p, const struct token *first, const struct token *last,
	const char *what, const char *expected)
{
	const struct token *token = &p->token;
	struct lab_view input = p->lexer.input;
	if (token->kind == TOKEN_END)
		return cqle_fail(
			p->err, CQL_E_SYNTAX, "line 0:-1 %s input '<EOF>'%s", what, expected);

	/* What is in quotes goes without them, but its place is that of the first one. */
	bool quoted = token->kind == TOKEN_STRING || token->kind == TOKEN_QUOTED_NAME;
	size_t from = snippet_begin(p, first), marked = snippet_end(first), end = snippet_end(last);
	struct lab_view shown =
		quoted ? token->text : lab_view_sub(input, token->begin, token->end - token->begin);
	struct lab_view before = lab_view_sub(input, from, first->begin - from);
	struct lab_view rest = lab_view_sub(input, marked, end - marked);
	shown.len = LAB_MIN(shown.len, (size_t)40);
	before = lab_view_skip(before, before.len > 60 ? before.len - 60 : 0);
	return cqle_fail(p->err, CQL_E_SYNTAX, "line %u:%u %s input '%.*s'%s (%s%.*s[%.*s]%.*s%s)",
		token->line, token->column, what, LAB_VIEW_ARG(shown), expected,
		from > 0 ? "..." : "", LAB_VIEW_ARG(before), (int)(marked - first->begin),
		(const char *)input.ptr + first->begin, LAB_VIEW_ARG(rest),
		end < input.len ? "..." : "");
}

static int syntax_error(struct parser *p, const char *what, const char *expected)
{
	return syntax_error_from(p, &p->token, &p->token, what, expected);
}

int parser_no_viable_after(struct parser *p, const struct token *first)
{
	return syntax_error_from(p, first, &p->token, "no viable alternative at", "");
}

int parser_mismatch(struct parser *p, const char *expected)
{
	char text[48];
	(void)snprintf(text, sizeof(text), " expecting %s", expected);
	return syntax_error(p, "mismatched", text);
}

int parser_mismatch_ahead(struct parser *p, const char *expected)
{
	if (p->next.kind == TOKEN_END && p->token.kind != TOKEN_END)
		return cqle_fail(p->err, CQL_E_SYNTAX,
			"line %u:%u mismatched input '%.*s' expecting %s", p->token.line,
			p->token.column, LAB_VIEW_ARG(p->token.text), expected);
	char text[48];
	(void)snprintf(text, sizeof(text), " expecting %s", expected);
	return syntax_error_from(p, &p->token, &p->next, "mismatched", text);
}

int parser_no_viable(struct parser *p)
{
	return syntax_error(p, "no viable alternative at", "");
}

int parser_expect(struct parser *p, const char *keyword)
{
	char token_name[40];
	if (parser_take(p, keyword))
		return 0;
	(void)snprintf(token_name, sizeof(token_name), "K_%s", keyword);
	return parser_mismatch(p, token_name);
}

int parser_expect_symbol(struct parser *p, const char *symbol)
{
	char token_name[8];
	if (parser_take_symbol(p, symbol))
		return 0;
	(void)snprintf(token_name, sizeof(token_name), "'%s'", symbol);
	return parser_mismatch(p, token_name);
}

void *parser_grow(struct parser *p, void **items, size_t *count, size_t *capacity, size_t item_size)
{
	if (*count == SYNTAX_ITEMS_MAX) {
		(void)cqle_fail(p->err, CQL_E_SYNTAX, "line %u:%u more than %u items in a list",
			p->token.line, p->token.column, (unsigned)SYNTAX_ITEMS_MAX);
		return NULL;
	}
	if (*count == *capacity) {
		size_t wanted = *capacity == 0 ? 4 : *capacity * 2;
		void *larger = lab_arena_alloc_array(p->arena, item_size, wanted);
		if (*count > 0)
			memcpy(larger, *items, *count * item_size);
		*items = larger;
		*capacity = wanted;
	}
	return (uint8_t *)*items + (*count)++ * item_size;
}

/* ---- names ---- */

/* Cassandra's reserved words: no names unless quoted. Sorted. */
static const char *const reserved_words[] = { "add", "allow", "alter", "and", "apply", "asc",
	"authorize", "batch", "begin", "by", "columnfamily", "create", "default", "delete", "desc",
	"describe", "drop", "entries", "execute", "from", "full", "grant", "if", "in", "index",
	"infinity", "insert", "into", "is", "keyspace", "limit", "materialized", "mbean", "mbeans",
	"modify", "nan", "norecursive", "not", "null", "of", "on", "or", "order", "primary",
	"rename", "replace", "revoke", "schema", "select", "set", "table", "to", "token",
	"truncate", "unlogged", "unset", "update", "use", "using", "view", "where", "with" };

bool parser_is_reserved(struct lab_view word)
{
	size_t low = 0, high = LAB_COUNT_OF(reserved_words);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = lab_view_cmp(word, lab_view_cstr(reserved_words[middle]));
		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

struct lab_view parser_lower(struct parser *p, struct lab_view text)
{
	uint8_t *copy = lab_arena_alloc(p->arena, text.len + 1);
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		copy[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
	}
	return lab_view_of(copy, text.len);
}

struct lab_view parser_undouble(struct parser *p, struct lab_view text, uint8_t quote)
{
	if (lab_view_find_byte(text, quote) == SIZE_MAX)
		return text.len > 0 ? text : lab_view_of("", 0);
	uint8_t *copy = lab_arena_alloc(p->arena, text.len);
	size_t len = 0;
	for (size_t i = 0; i < text.len; i++) {
		copy[len++] = text.ptr[i];
		if (text.ptr[i] == quote)
			i++;
	}
	return lab_view_of(copy, len);
}

int parser_name(struct parser *p, struct lab_view *ret)
{
	if (p->token.kind == TOKEN_QUOTED_NAME) {
		if (p->token.text.len == 0)
			return parser_no_viable(p);
		*ret = parser_undouble(p, p->token.text, '"');
		parser_advance(p);
		return 0;
	}
	if (p->token.kind != TOKEN_WORD)
		return parser_no_viable(p);
	struct lab_view name = parser_lower(p, p->token.text);
	if (parser_is_reserved(name))
		return parser_no_viable(p);
	*ret = name;
	parser_advance(p);
	return 0;
}

int parser_string(struct parser *p, struct lab_view *ret)
{
	*ret = parser_undouble(p, p->token.text, '\'');
	parser_advance(p);
	return 0;
}

int parser_table_name(struct parser *p, struct statement *s)
{
	if (parser_name(p, &s->table) < 0)
		return -1;
	if (!parser_take_symbol(p, "."))
		return 0;
	s->keyspace = s->table;
	return parser_name(p, &s->table);
}

/* A number or a marker: LIMIT, TIMESTAMP, TTL. */
static int integer_term(struct parser *p, struct term *ret)
{
	if (p->token.kind != TOKEN_INTEGER && p->token.kind != TOKEN_MARKER &&
		!parser_at_symbol(p, ":"))
		return parser_no_viable(p);
	return parser_term(p, ret);
}

/* ---- WHERE ---- */

static int name_list(struct parser *p, struct lab_view **ret, size_t *ret_count)
{
	size_t capacity = 0;
	do {
		struct lab_view *name = PARSER_GROW(p, *ret, *ret_count, capacity);
		if (name == NULL || parser_name(p, name) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	return parser_expect_symbol(p, ")");
}

static int relation_operator(struct parser *p, enum operator* ret)
{
	static const struct {
		const char *symbol;
		enum operator op;
	} operators[] = { { "=", OP_EQ }, { "<", OP_LT }, { "<=", OP_LE }, { ">", OP_GT },
		{ ">=", OP_GE }, { "!=", OP_NE } };
	for (size_t i = 0; i < LAB_COUNT_OF(operators); i++) {
		if (parser_take_symbol(p, operators[i].symbol)) {
			*ret = operators[i].op;
			return 0;
		}
	}
	if (parser_take(p, "in")) {
		*ret = OP_IN;
		return 0;
	}
	if (parser_take(p, "like")) {
		*ret = OP_LIKE;
		return 0;
	}
	if (parser_take(p, "contains")) {
		*ret = parser_take(p, "key") ? OP_CONTAINS_KEY : OP_CONTAINS;
		return 0;
	}
	return parser_no_viable(p);
}

/* What stands behind several columns. */
static int tuple_or_marker(struct parser *p, struct term *ret)
{
	*ret = (struct term){ .kind = TERM_TUPLE };
	if (parser_take_symbol(p, "("))
		return parser_at_symbol(p, ")") ? parser_no_viable(p)
						: parser_items(p, ")", parser_term, ret);
	return p->token.kind == TOKEN_MARKER || parser_at_symbol(p, ":") ? parser_term(p, ret)
									 : parser_no_viable(p);
}

static int in_list(struct parser *p, struct relation *ret)
{
	if (!parser_take_symbol(p, "("))
		return p->token.kind == TOKEN_MARKER || parser_at_symbol(p, ":")
			       ? parser_term(p, &ret->value)
			       : parser_no_viable(p);
	struct term list = { .kind = TERM_TUPLE };
	if (parser_items(p, ")", ret->columns == NULL ? parser_term : tuple_or_marker, &list) < 0)
		return -1;
	ret->items = list.items;
	ret->item_count = list.item_count;
	return 0;
}

/* c, c[key]; in conditions also c.field */
static int relation_column(struct parser *p, struct relation *ret)
{
	struct token first = p->token;
	if (parser_name(p, &ret->column) < 0)
		return -1;
	if (parser_at_symbol(p, ".") && !p->in_conditions)
		return parser_no_viable_after(p, &first);
	if (parser_take_symbol(p, "."))
		return parser_name(p, &ret->field);
	if (!parser_take_symbol(p, "["))
		return 0;
	ret->has_key = true;
	return parser_term(p, &ret->key) < 0 ? -1 : parser_expect_symbol(p, "]");
}

/* What stands on the left side: a column or several, or a token. */
static int relation_subject(struct parser *p, struct relation *ret)
{
	ret->token = parser_at(p, "token") && parser_next_is_symbol(p, "(");
	if (ret->token)
		parser_advance(p);
	if (!parser_take_symbol(p, "("))
		return relation_column(p, ret);
	if (name_list(p, &ret->columns, &ret->column_count) < 0)
		return -1;
	bool element = parser_at(p, "contains") || parser_at(p, "like");
	return element && !ret->token ? parser_no_viable(p) : 0;
}

static int relation(struct parser *p, struct relation *ret)
{
	if (relation_subject(p, ret) < 0)
		return -1;
	struct token operator_token = p->token;
	if (relation_operator(p, &ret->op) < 0)
		return -1;
	if (ret->op == OP_IN)
		return in_list(p, ret);
	if (ret->columns == NULL || ret->token)
		return parser_term(p, &ret->value);
	bool value = parser_at_symbol(p, "(") || parser_at_symbol(p, ":") ||
		     p->token.kind == TOKEN_MARKER;
	return value ? tuple_or_marker(p, &ret->value) : parser_no_viable_after(p, &operator_token);
}

/* Relations with AND between them. */
static int parser_relations(struct parser *p, struct relation **ret, size_t *ret_count)
{
	size_t capacity = 0;
	do {
		struct relation *r = PARSER_GROW(p, *ret, *ret_count, capacity);
		if (r == NULL || relation(p, r) < 0)
			return -1;
	} while (parser_take(p, "and"));
	return 0;
}

int parser_where(struct parser *p, struct statement *s)
{
	return parser_relations(p, &s->relations, &s->relation_count);
}

/* ---- SELECT ---- */

int parser_orderings(struct parser *p, struct ordering **ret, size_t *ret_count)
{
	size_t capacity = 0;
	do {
		struct ordering *item = PARSER_GROW(p, *ret, *ret_count, capacity);
		if (item == NULL || parser_name(p, &item->column) < 0)
			return -1;
		item->descending = parser_take(p, "desc");
		if (!item->descending)
			(void)parser_take(p, "asc");
	} while (parser_take_symbol(p, ","));
	return 0;
}

static int select_group_by(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	if (!parser_take(p, "group"))
		return 0;
	if (parser_expect(p, "BY") < 0)
		return -1;
	do {
		struct lab_view *name = PARSER_GROW(p, s->groups, s->group_count, capacity);
		if (name == NULL || parser_name(p, name) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	return 0;
}

static int select_tail(struct parser *p, struct statement *s)
{
	if (select_group_by(p, s) < 0)
		return -1;
	if (parser_take(p, "order") &&
		(parser_expect(p, "BY") < 0 ||
			parser_orderings(p, &s->orderings, &s->ordering_count) < 0))
		return -1;
	if (parser_take(p, "per") &&
		(parser_expect(p, "PARTITION") < 0 || parser_expect(p, "LIMIT") < 0 ||
			integer_term(p, &s->partition_limit) < 0))
		return -1;
	if (parser_take(p, "limit") && integer_term(p, &s->limit) < 0)
		return -1;
	if (parser_take(p, "allow")) {
		s->allow_filtering = true;
		return parser_expect(p, "FILTERING");
	}
	return 0;
}

static int parse_select(struct parser *p, struct statement *s)
{
	s->kind = STATEMENT_SELECT;
	if (parser_at(p, "json") && !parser_next_is(p, "from")) {
		s->json = true;
		parser_advance(p);
	}
	if (parser_at(p, "distinct") && !parser_next_is(p, "from")) {
		s->distinct = true;
		parser_advance(p);
	}
	if (parser_selectors(p, s) < 0 || parser_expect(p, "FROM") < 0 ||
		parser_table_name(p, s) < 0)
		return -1;
	if (parser_take(p, "where") && parser_where(p, s) < 0)
		return -1;
	return select_tail(p, s);
}

/* ---- INSERT, UPDATE, DELETE ---- */

/* USING TIMESTAMP n AND TTL n, in any order. */
static int using_clause(struct parser *p, struct statement *s)
{
	if (!parser_take(p, "using"))
		return 0;
	do {
		struct term *target;
		if (parser_take(p, "timestamp"))
			target = &s->timestamp;
		else if (s->kind != STATEMENT_DELETE && s->kind != STATEMENT_BATCH &&
			 parser_take(p, "ttl"))
			target = &s->ttl;
		else
			return parser_no_viable(p);
		if (integer_term(p, target) < 0)
			return -1;
	} while (parser_take(p, "and"));
	return 0;
}

static int insert_columns(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	if (parser_expect_symbol(p, "(") < 0)
		return -1;
	do {
		struct assignment *a =
			PARSER_GROW(p, s->assignments, s->assignment_count, capacity);
		if (a == NULL || parser_name(p, &a->column) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	return parser_expect_symbol(p, ")");
}

static int insert_values(struct parser *p, struct statement *s)
{
	if (parser_expect(p, "VALUES") < 0 || parser_expect_symbol(p, "(") < 0)
		return -1;
	do {
		struct term value;
		if (parser_term(p, &value) < 0)
			return -1;
		if (s->value_count < s->assignment_count)
			s->assignments[s->value_count].value = value;
		s->value_count++;
	} while (parser_take_symbol(p, ","));
	return parser_expect_symbol(p, ")");
}

/* A string or a marker; DEFAULT NULL, DEFAULT UNSET */
static int insert_json(struct parser *p, struct statement *s)
{
	s->json_insert = true;
	bool document = p->token.kind == TOKEN_STRING || p->token.kind == TOKEN_DOLLAR ||
			p->token.kind == TOKEN_MARKER || parser_at_symbol(p, ":");
	if (!document)
		return parser_no_viable(p);
	if (parser_term(p, &s->json_document) < 0)
		return -1;
	if (!parser_take(p, "default") || parser_take(p, "null"))
		return 0;
	s->json_unset = true;
	return parser_take(p, "unset") ? 0 : parser_no_viable(p);
}

static int parse_insert(struct parser *p, struct statement *s)
{
	s->kind = STATEMENT_INSERT;
	if (parser_expect(p, "INTO") < 0 || parser_table_name(p, s) < 0)
		return -1;
	if (parser_take(p, "json")) {
		if (insert_json(p, s) < 0)
			return -1;
	} else if (insert_columns(p, s) < 0 || insert_values(p, s) < 0) {
		return -1;
	}
	if (parser_take(p, "if")) {
		s->conditional = true;
		if (parser_expect(p, "NOT") < 0 || parser_expect(p, "EXISTS") < 0)
			return -1;
	}
	return using_clause(p, s);
}

/* IF EXISTS, IF c = 1 AND ... */
static int condition_clause(struct parser *p, struct statement *s)
{
	if (!parser_take(p, "if"))
		return 0;
	s->conditional = true;
	if (parser_take(p, "exists"))
		return 0;
	p->in_conditions = true;
	int result = parser_relations(p, &s->conditions, &s->condition_count);
	p->in_conditions = false;
	return result;
}

/* The column on the right side must be the one on the left. */
static int same_column(struct parser *p, const struct assignment *a, struct lab_view name)
{
	if (lab_view_eq(a->column, name))
		return 0;
	return cqle_fail(p->err, CQL_E_SYNTAX,
		a->kind == ASSIGN_PREPEND
			? "Only expressions of the form X = <value> + X are supported."
		: a->kind == ASSIGN_REMOVE
			? "Only expressions of the form X = X -<value> are supported."
			: "Only expressions of the form X = X +<value> are supported.");
}

static bool at_own_column(const struct parser *p)
{
	return p->token.kind == TOKEN_QUOTED_NAME ||
	       (p->token.kind == TOKEN_WORD && !parser_next_is_symbol(p, "(") &&
		       (parser_next_is_symbol(p, "+") || parser_next_is_symbol(p, "-") ||
			       p->next.kind == TOKEN_INTEGER));
}

/* c + term, c - term. "c-1" is lexed as c and -1, which is added. */
static int own_arithmetic(struct parser *p, struct assignment *a)
{
	struct lab_view name;
	if (parser_name(p, &name) < 0)
		return -1;
	bool negative = p->token.kind == TOKEN_INTEGER && p->token.text.ptr[0] == '-';
	a->kind = parser_at_symbol(p, "-") ? ASSIGN_REMOVE : ASSIGN_ADD;
	if (!negative && !parser_take_symbol(p, "+") && !parser_take_symbol(p, "-"))
		return parser_no_viable(p);
	return parser_term(p, &a->value) < 0 ? -1 : same_column(p, a, name);
}

/* The right side of "c = ...": a term, or arithmetic on the column. */
static int assigned_value(struct parser *p, struct assignment *a)
{
	struct lab_view name;
	if (at_own_column(p))
		return own_arithmetic(p, a);
	if (parser_term(p, &a->value) < 0)
		return -1;
	if (parser_take_symbol(p, "-")) { /* whatever comes behind it, this is no arithmetic */
		struct token first = p->token;
		if (first.kind != TOKEN_END)
			parser_advance(p);
		return parser_no_viable_after(p, &first);
	}
	if (!parser_take_symbol(p, "+"))
		return 0;
	a->kind = ASSIGN_PREPEND;
	return parser_name(p, &name) < 0 ? -1 : same_column(p, a, name);
}

/* c[key] or c.field, behind the column's name. */
static int assigned_part(struct parser *p, struct assignment *a)
{
	if (parser_take_symbol(p, "[")) {
		a->kind = ASSIGN_ELEMENT;
		return parser_term(p, &a->key) < 0 ? -1 : parser_expect_symbol(p, "]");
	}
	if (!parser_take_symbol(p, "."))
		return 0;
	a->kind = ASSIGN_FIELD;
	return parser_name(p, &a->key.text);
}

static int set_assignment(struct parser *p, struct assignment *a)
{
	if (parser_name(p, &a->column) < 0 || assigned_part(p, a) < 0)
		return -1;
	if (a->kind == ASSIGN_VALUE && (parser_at_symbol(p, "+=") || parser_at_symbol(p, "-="))) {
		a->kind = parser_at_symbol(p, "+=") ? ASSIGN_ADD : ASSIGN_REMOVE;
		parser_advance(p);
		return parser_term(p, &a->value);
	}
	if (parser_expect_symbol(p, "=") < 0)
		return -1;
	return a->kind == ASSIGN_VALUE ? assigned_value(p, a) : parser_term(p, &a->value);
}

static int parse_update(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	s->kind = STATEMENT_UPDATE;
	if (parser_table_name(p, s) < 0 || using_clause(p, s) < 0 || parser_expect(p, "SET") < 0)
		return -1;
	do {
		struct assignment *a =
			PARSER_GROW(p, s->assignments, s->assignment_count, capacity);
		if (a == NULL || set_assignment(p, a) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	if (parser_expect(p, "WHERE") < 0 || parser_where(p, s) < 0)
		return -1;
	return condition_clause(p, s);
}

static int delete_column(struct parser *p, struct statement *s, size_t *capacity)
{
	struct assignment *a = PARSER_GROW(p, s->assignments, s->assignment_count, *capacity);
	return a == NULL || parser_name(p, &a->column) < 0 ? -1 : assigned_part(p, a);
}

static int parse_delete(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	s->kind = STATEMENT_DELETE;
	if (!parser_at(p, "from")) {
		do {
			if (delete_column(p, s, &capacity) < 0)
				return -1;
		} while (parser_take_symbol(p, ","));
	}
	if (parser_expect(p, "FROM") < 0 || parser_table_name(p, s) < 0 || using_clause(p, s) < 0 ||
		parser_expect(p, "WHERE") < 0 || parser_where(p, s) < 0)
		return -1;
	return condition_clause(p, s);
}

/* ---- BATCH ---- */

static int batch_item(struct parser *p, struct statement *s, size_t *capacity)
{
	struct statement **slot = PARSER_GROW(p, s->batch, s->batch_count, *capacity);
	if (slot == NULL)
		return -1;
	*slot = lab_arena_new_of(p->arena, struct statement);
	(*slot)->text = s->text;
	int result = parser_take(p, "insert")   ? parse_insert(p, *slot)
		     : parser_take(p, "update") ? parse_update(p, *slot)
		     : parser_take(p, "delete") ? parse_delete(p, *slot)
						: parser_mismatch(p, "K_APPLY");
	if (result == 0)
		(void)parser_take_symbol(p, ";");
	return result;
}

static int parse_batch(struct parser *p, struct statement *s)
{
	size_t capacity = 0;
	s->kind = STATEMENT_BATCH;
	if (parser_take(p, "unlogged"))
		s->batch_type = CQL_BATCH_UNLOGGED;
	else if (parser_take(p, "counter"))
		s->batch_type = CQL_BATCH_COUNTER;
	if (parser_expect(p, "BATCH") < 0 || using_clause(p, s) < 0)
		return -1;
	while (!parser_at(p, "apply")) {
		if (batch_item(p, s, &capacity) < 0)
			return -1;
	}
	parser_advance(p);
	return parser_expect(p, "BATCH");
}

/* ---- top ---- */

int parser_statement_body(struct parser *p, struct statement *s)
{
	static const struct {
		const char *keyword;
		int (*parse)(struct parser *p, struct statement *s);
	} verbs[] = { { "select", parse_select }, { "insert", parse_insert },
		{ "update", parse_update }, { "delete", parse_delete }, { "begin", parse_batch } };
	for (size_t i = 0; i < LAB_COUNT_OF(verbs); i++) {
		if (parser_take(p, verbs[i].keyword))
			return verbs[i].parse(p, s);
	}
	if (parser_at_roles(p))
		return parser_roles(p, s);
	return parser_at_describe(p) ? parser_describe(p, s) : parser_ddl(p, s);
}

int cqle_parse(struct lab_arena *arena, struct lab_view text, struct statement **ret,
	struct lab_error *err)
{
	struct parser p = { .arena = arena, .err = err };
	struct statement *s = lab_arena_new_of(arena, struct statement);

	s->text = text;
	p.outer = s;
	lexer_init(&p.lexer, text);
	lexer_next(&p.lexer, &p.token);
	lexer_next(&p.lexer, &p.next);
	if (parser_statement_body(&p, s) < 0)
		return -1;
	if (s->kind != STATEMENT_UNSUPPORTED) {
		while (parser_take_symbol(&p, ";"))
			continue;
		if (p.token.kind != TOKEN_END)
			return parser_mismatch(&p, "EOF");
	}
	*ret = s;
	return 0;
}

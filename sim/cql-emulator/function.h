/* SPDX-License-Identifier: Apache-2.0
 *
 * function.h - expressions computed: function.c, cast.c, json.c, number.c, exact.c, aggregate.c.
 */
#ifndef LAB_CQL_EMULATOR_FUNCTION_H
#define LAB_CQL_EMULATOR_FUNCTION_H

#include "sim/cql-emulator/plan.h"

struct cqle_plan;

enum cqle_function_id {
	CQLE_FN_NOW,
	CQLE_FN_UUID,
	CQLE_FN_CURRENT_TIMESTAMP,
	CQLE_FN_CURRENT_DATE,
	CQLE_FN_CURRENT_TIME,
	CQLE_FN_TO_DATE,
	CQLE_FN_TO_TIMESTAMP,
	CQLE_FN_TO_UNIX,
	CQLE_FN_MIN_TIMEUUID,
	CQLE_FN_MAX_TIMEUUID,
	CQLE_FN_AS_BLOB,
	CQLE_FN_BLOB_AS,
	CQLE_FN_TO_JSON,
	CQLE_FN_FROM_JSON,
	CQLE_FN_COUNT,
	CQLE_FN_MIN,
	CQLE_FN_MAX,
	CQLE_FN_SUM,
	CQLE_FN_AVG
};
struct cqle_function {
	enum cqle_function_id id;
	const char *name;
	uint16_t ret, arg; /* type ids; CUSTOM: any type, and the same */
	uint8_t arity;
	bool overloaded, aggregate;
};
/* By its name in lower case. */
bool cqle_function_find(struct lab_arena *arena, struct lab_view name, struct cqle_function *ret);
/* Takes it an argument of the type? Chooses the signature. */
bool cqle_function_takes(struct cqle_function *f, const struct cql_type *type);
/* All signatures, for the error. */
const char *cqle_function_signatures(struct lab_arena *arena, const struct cqle_function *f);
/* Is every value of the type `have` one of `wanted`? */
bool cqle_type_takes(const struct cql_type *wanted, const struct cql_type *have);
/* Could the term be a constant of the type at all? */
bool cqle_term_fits(const struct term *term, const struct cql_type *type);

/* The columns of the row that an expression is computed for. */
struct cqle_row_source {
	struct lab_view (*value)(void *ctx, const struct cqle_column *column);
	const struct cqle_cell *(*cell)(void *ctx, const struct cqle_column *column);
	void *ctx;
	uint32_t now_s;
};
struct cqle_eval {
	struct cqlemu *emu;
	struct lab_arena *arena;
	const struct cql_bind *values;
	struct lab_error *err;
	const struct cqle_row_source *row;     /* NULL: expressions without columns */
	const struct cqle_aggregate *finished; /* states of a group at its end; NULL */
};
/* ptr NULL is null. -1: err. */
int cqle_eval(const struct cqle_eval *e, const struct cqle_expr *x, struct lab_view *ret);
enum cqle_got {
	CQLE_GOT_ERROR = -1,
	CQLE_GOT_VALUE,
	CQLE_GOT_NULL,
	CQLE_GOT_UNSET
};
enum cqle_got cqle_value_get(
	const struct cqle_eval *e, const struct cqle_value *value, struct lab_view *ret);

/* When a time-based one was made, in milliseconds. */
int64_t cqle_timeuuid_ms(struct lab_view value);

/* cast.c */
/* A value of a simple type as CAST writes it; NULL if it has no such form. */
const char *cqle_value_text(struct lab_arena *arena, uint16_t type, struct lab_view value);
bool cqle_cast_is_possible(const struct cql_type *from, uint16_t to);
/* Why it is not. */
const char *cqle_cast_refused(struct lab_arena *arena, const char *what, uint16_t to);
int cqle_cast(struct lab_arena *arena, uint16_t from, struct lab_view value, uint16_t to,
	struct lab_view *ret, struct lab_error *err);

/* literal.c: a date, time, timestamp or address in quotes */
int cqle_literal(struct lab_arena *arena, uint16_t type, struct lab_view text, struct lab_view *ret,
	struct lab_error *err);

/* json-input.c: a column's value of INSERT JSON; what fromJson() makes of a text for the type. */
enum cqle_got cqle_json_get(
	const struct cqle_eval *e, const struct cqle_value *value, struct lab_view *ret);
int cqle_from_json(const struct cqle_eval *e, const struct cql_type *type, struct lab_view arg,
	struct lab_view *ret);
/* function.c: FUNCTION_FAILURE; -1. */
int cqle_function_fail(const struct cqle_eval *e, const char *name, const struct lab_view *args,
	size_t count, const char *message);
/* json.c: a value as JSON; -1: it has no such form here. */
int cqle_to_json(const struct cqle_eval *e, const struct cql_type *type, struct lab_view value,
	struct lab_view *ret);
/* The items of a row as one document */
int cqle_json_row(struct cqlemu *emu, struct lab_arena *arena, const struct cqle_plan *plan,
	const struct lab_view *cells, struct lab_view *ret, struct lab_error *err);

/* number.c: numbers and text, exact in both directions. */
#define CQLE_DIGITS_MAX 1000
#define CQLE_DECIMAL_BYTES_MAX 420
double cqle_double_of(uint16_t type, struct lab_view value); /* of a float or double */
/* As Java writes it: the shortest digits that come back as the same number. */
const char *cqle_double_text(struct lab_arena *arena, uint16_t type, struct lab_view value);
struct lab_view cqle_double_value(struct lab_arena *arena, uint16_t type, double number);
/* <0, 0, >0: 1.0 and 1.00 are equal. */
int cqle_decimal_compare(struct lab_view a, struct lab_view b);
int cqle_varint_parse(struct lab_arena *arena, struct lab_view text, struct lab_view *ret);
int cqle_decimal_parse(struct lab_arena *arena, struct lab_view text, struct lab_view *ret);
struct lab_view cqle_varint_of(struct lab_arena *arena, int64_t value);
/* 0, or -1 if it has more than 64 bits. */
int cqle_varint_to_i64(struct lab_view value, int64_t *ret);
/* value NULL if it has more than CQLE_DIGITS_MAX digits */
const char *cqle_varint_text(struct lab_arena *arena, struct lab_view value);
const char *cqle_decimal_text(struct lab_arena *arena, struct lab_view value);
struct lab_view cqle_big_endian(struct lab_arena *arena, uint64_t value, size_t size);

/* exact.c: sums of varint, decimal, and of integers as two's complement bytes. -1: a number is
 * longer than what is counted with here. `*sum` begins as NULL, which is 0. */
struct cqle_exact;
int cqle_exact_add(
	struct lab_arena *keep, struct cqle_exact **sum, uint16_t type, struct lab_view value);
/* The average of `count` decimals, of which this is the last one, as Cassandra keeps it: each
 * difference to the last average is rounded at its own scale. */
int cqle_exact_average(
	struct lab_arena *keep, struct cqle_exact **average, struct lab_view value, uint64_t count);
/* Divided, what is behind the point cut off, by more than 1. Of a type but varint and decimal: a
 * bigint. */
int cqle_exact_result(struct lab_arena *arena, const struct cqle_exact *sum, uint16_t type,
	uint64_t divisor, struct lab_view *ret);
/* As Java narrows: the lowest 64 bits of what is in front of the point; the nearest double or
 * float. */
int cqle_exact_to_i64(uint16_t type, struct lab_view value, int64_t *ret);
int cqle_exact_to_double(
	struct lab_arena *arena, uint16_t type, struct lab_view value, bool single, double *ret);
int cqle_exact_to_decimal(struct lab_arena *arena, struct lab_view varint, struct lab_view *ret);

/* aggregate.c: rows to groups */
struct cqle_aggregate {
	bool set;
	struct lab_view value; /* min, max, the first row's */
	uint64_t count;
	uint64_t sum;             /* of integers, as they wrap around */
	struct cqle_exact *exact; /* of those that do not */
	double total, compensation, simple;
};
/* What is the row's expression worth at the group's end? Remembers it. */
int cqle_aggregate_add(const struct cqle_eval *e, struct lab_arena *keep, const struct cqle_expr *x,
	struct cqle_aggregate *states);
int cqle_aggregate_value(const struct cqle_eval *e, const struct cqle_function *f,
	const struct cqle_aggregate *state, struct lab_view *ret);

#endif

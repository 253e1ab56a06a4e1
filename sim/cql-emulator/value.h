/* SPDX-License-Identifier: Apache-2.0
 *
 * value.h - types and values: type.c, validate.c, constant.c, order.c, duration.c.
 */
#ifndef LAB_CQL_EMULATOR_VALUE_H
#define LAB_CQL_EMULATOR_VALUE_H

#include "sim/cql-emulator/cql-emulator.h"
#include "sim/cql-emulator/profile.h"
#include "sim/cql-emulator/syntax.h"

#define CQLE_NO_TIMESTAMP INT64_MIN
#define CQLE_TTL_MAX 630720000 /* 20 years (cql-imds 1.9) */
#define CQLE_TTL_MASK ((1u << 30) - 1)
#define CQLE_KEY_COLUMNS_MAX CQLEMU_COLUMNS_MAX
#define CQLE_DCS_MAX 16

struct cqle_table;
struct cqle_op;
struct cqle_role; /* roles.h */
struct cqle_auth;
struct cqle_ddl_result;

/* "int" to a wire type; *ret_text is its normal form, "frozen<map<text, int>>". -1 INVALID
 * "Unknown type ks.foo". *ret_multicell: a collection or user type that is not frozen. `emu` NULL:
 * there are no user types. */
int cqle_type_resolve(struct cqlemu *emu, struct lab_arena *arena, struct lab_view keyspace,
	const struct type_name *name, struct cql_type *ret, struct lab_view *ret_text,
	bool *ret_multicell, struct lab_error *err);
/* Is the type, or one inside of it, of this kind? */
bool cqle_type_has(const struct cql_type *type, uint16_t id);
/* A word that no user type is called by. */
bool cqle_type_is_native(const struct type_name *name);
/* The type's name, "map<text, int>"; inner collections and user types as "frozen<...>", in the
 * second form the type itself, too. */
struct lab_view cqle_type_text(struct lab_arena *arena, const struct cql_type *type);
struct lab_view cqle_type_text_frozen(struct lab_arena *arena, const struct cql_type *type);
/* Are these bytes a value of the type? Errors as Cassandra's marshallers word them. */
int cqle_value_validate(const struct cql_type *type, struct lab_view value, struct lab_error *err);
/* A constant's bytes. `column` and `type_text` are for the error. */
int cqle_constant(struct lab_arena *arena, const struct term *term, struct lab_view column,
	const struct cql_type *type, struct lab_view type_text, struct lab_view *ret,
	struct lab_error *err);
/* A collection of so many elements, of a map keys and values alternating; sets and maps are put in
 * order, each element once. `items` changes. */
struct lab_view cqle_collection_of(
	struct lab_arena *arena, const struct cql_type *type, struct lab_view *items, size_t count);
/* A tuple's or user type's value; ptr NULL is null. */
struct lab_view cqle_composite_of(
	struct lab_arena *arena, const struct lab_view *fields, size_t count);
/* {a: 1} for a user type, (1, 2) for a tuple: errors of its fields, their terms, what they are
 * called. */
bool cqle_is_composite_literal(const struct term *term, const struct cql_type *type);
int cqle_composite_check(struct lab_arena *arena, const struct term *term, struct lab_view column,
	const struct cql_type *type, struct lab_error *err);
const struct term *cqle_composite_term(
	const struct term *term, const struct cql_type *type, size_t i);
struct lab_view cqle_field_label(
	struct lab_arena *arena, const struct cql_type *type, struct lab_view label, size_t i);
/* 1y2mo3w4d5h6m7s8ms9us10ns, P1Y2M3DT4H5M6S, P3W, P0001-02-03T04:05:06, all with a sign. */
int cqle_duration_parse(
	struct lab_arena *arena, struct lab_view text, struct lab_view *ret, struct lab_error *err);
int cqle_duration_validate(struct lab_view value, struct lab_error *err);
struct cqle_duration { /* all of one sign */
	int64_t months, days, nanos;
};
void cqle_duration_read(struct lab_view value, struct cqle_duration *ret);
struct lab_view cqle_duration_of(struct lab_arena *arena, const struct cqle_duration *duration);
const char *cqle_duration_text(struct lab_arena *arena, struct lab_view value);
/* A value as bytes that memcmp() orders as the type does, and of which none is a prefix of
 * another; appended to `out`. The inverse appends the value and returns how many bytes it used. */
void cqle_comparable_put(
	struct lab_buf *out, const struct cql_type *type, bool descending, struct lab_view value);
size_t cqle_comparable_take(
	struct lab_view bytes, const struct cql_type *type, bool descending, struct lab_buf *out);
/* How many bytes at most the inverse appends for so many comparable ones. */
size_t cqle_decoded_max(const struct cql_type *type, size_t len);
/* <0, 0, >0 as the type orders. */
int cqle_value_compare(
	struct lab_arena *arena, const struct cql_type *type, struct lab_view a, struct lab_view b);

/* murmur3.c: token of a key. */
int64_t cqle_token(struct lab_view key);

#endif

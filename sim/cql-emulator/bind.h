/* SPDX-License-Identifier: Apache-2.0
 *
 * bind.h - a plan and bound values to keys, slices and mutations: bind.c, collection.c.
 */
#ifndef LAB_CQL_EMULATOR_BIND_H
#define LAB_CQL_EMULATOR_BIND_H

#include "sim/cql-emulator/function.h"

struct cqle_keys {
	struct lab_view *keys; /* serialized partition keys, in the order of the answer */
	size_t count;
};

/* What an operation reads, resolved from plan and values; lives in the operation's arena. */
struct cqle_select {
	struct cqle_keys keys; /* count 0 and scan: the whole ring */
	size_t next_key_skip;  /* keys that earlier pages have done with */
	bool scan;
	struct cqle_slice *slices;
	size_t slice_count;
	size_t limit, partition_limit;
	int64_t token_after, token_upto; /* of a scan: (after, upto] */
	bool token_from_minimum, token_empty;
	struct cqle_filter *filters;
	size_t filter_count;
	const struct cql_bind *values;
};
struct cqle_filter {
	const struct cqle_column *column;
	const struct cql_type *type; /* of what is compared: the column's, an element's */
	struct lab_view key;         /* column[key]; ptr NULL: the column */
	enum operator op;
	struct lab_view *values;
	size_t value_count;
	size_t tuple; /* so many columns from `column` on, values for all of them; 0: just it */
};

/* What a change is stamped with. */
struct cqle_stamp {
	int64_t timestamp;
	uint32_t ttl_s, now_s;
};

/* One condition of IF, bound. */
struct cqle_condition {
	const struct cqle_column *column;
	const struct cql_type *type; /* of what is compared */
	enum operator op;
	bool has_key;
	struct lab_view key;
	size_t field;            /* from 1; 0: none */
	struct lab_view *values; /* ptr NULL: null */
	size_t value_count;
};
int cqle_bind_conditions(struct cqlemu *emu, struct lab_arena *arena, const struct cqle_plan *plan,
	const struct cql_bind *values, struct cqle_condition **ret, struct lab_error *err);

int cqle_bind_select(struct cqlemu *emu, struct lab_arena *arena, const struct cqle_plan *plan,
	const struct cql_bind *values, struct cqle_select *ret, struct lab_error *err);
/* One statement of a change, and its values. */
struct cqle_change_item {
	struct cqle_plan *plan;
	const struct cql_bind *values;
	struct lab_view row; /* of a conditional statement: the row's key */
	bool has_now;        /* the client said what time it is */
	int32_t now_s;
};
struct cqle_mutations {
	struct cqle_mutation **items;
	size_t count, capacity;
};
/* Adds the statement's changes to `mutations`; one for each partition, merged with those there for
 * the same one. *timestamp is the protocol's or the server's, and becomes the one that is used.
 * `change` has the rows that a plan which needs_read wants to know; or NULL. */
struct cqle_change;
int cqle_bind_change(struct cqlemu *emu, struct lab_arena *arena,
	const struct cqle_change_item *item, const struct cqle_change *change, int64_t *timestamp,
	struct cqle_mutations *mutations, struct lab_error *err);
/* ---- collection.c ---- */

/* One change of a collection column; `value` and `key` are bound, ptr NULL for null. */
struct cqle_collect {
	struct cqlemu *emu;
	struct lab_arena *arena;
	const struct cqle_set *set;
	const struct cqle_stamp *change;
	struct lab_view value, key;
	const struct cqle_cell *before; /* the column as it is, if the plan needs it; or NULL */
	struct lab_error *err;
};
/* Adds the change to what `cell` of the row-to-be has. */
int cqle_collection_change(const struct cqle_collect *c, struct cqle_cell *cell);
/* The collection of its live elements; ptr NULL if there are none. */
struct lab_view cqle_collection_value(struct lab_arena *arena, const struct cql_type *type,
	const struct cqle_cell *cell, uint32_t now_s);
/* The element of a serialized map or set at `key`; ptr NULL if there is none. */
struct lab_view cqle_collection_at(
	const struct cql_type *type, struct lab_view value, struct lab_view key);
/* The n-th field of a tuple or user type; ptr NULL if it is null, or not there. */
struct lab_view cqle_field_at(struct lab_view value, size_t index);
/* The n-th element of a serialized list; ptr NULL if there is none. */
struct lab_view cqle_list_at(struct lab_view value, int64_t index);
/* Is `item` among the elements (of a map: its values, or its keys)? */
bool cqle_collection_has(
	const struct cql_type *type, struct lab_view value, bool keys, struct lab_view item);
/* What a SELECT shows of any cell; ptr NULL is null. Borrows from the cell or the arena. */
struct lab_view cqle_cell_value(struct lab_arena *arena, const struct cqle_column *column,
	const struct cqle_cell *cell, uint32_t now_s);

/* Named values into the order of the markers. */
int cqle_bind_names(struct lab_arena *arena, const struct cqle_plan *plan,
	const struct cql_bind *values, size_t count, struct cql_bind **ret, struct lab_error *err);

#endif

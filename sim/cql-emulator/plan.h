/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.h - a statement resolved against the schema: plan.c.
 */
#ifndef LAB_CQL_EMULATOR_PLAN_H
#define LAB_CQL_EMULATOR_PLAN_H

#include "sim/cql-emulator/read.h"

/* INSERT JSON: where all values come from. */
struct cqle_value;
struct cqle_json_source {
	const struct cqle_value *document;
	const struct cqle_table *table;
	bool unset; /* what it does not name stays as it is */
};

/* A value to be: a constant, or a marker. */
struct cqle_value {
	const struct cqle_column *column; /* its type; NULL: see `type` */
	struct cql_type type;
	struct lab_view name; /* for errors and marker metadata */
	bool is_marker, is_null;
	size_t marker;
	struct lab_view bytes;        /* of a constant */
	bool is_list;                 /* "c IN ?": the marker is a list of the type */
	bool of_tuple;                /* written or bound as a part of one */
	bool of_slice;                /* of a tuple that is a bound: < > <= >= */
	const struct cql_type *tuple; /* the marker's type, if it is one: the value is a field */
	size_t field;                 /* of it */
	const struct cqle_json_source *json; /* INSERT JSON: the column's part of it; NULL */
	const struct cqle_expr *expr;        /* neither constant nor marker; NULL */
};

struct cqle_restriction {
	const struct cqle_column *column; /* NULL: none */
	struct cqle_value *key;           /* column[key]; NULL: the column itself */
	size_t field;                     /* conditions: column.field, from 1; 0: none */
	enum operator op;                 /* EQ, IN, CONTAINS or a bound */
	struct cqle_value *values;        /* EQ: 1, IN: n, or 1 that is_list */
	size_t value_count;
	size_t tuple;    /* so many columns from `column` on, values for all of them; 0: just it */
	bool tuple_rest; /* the tuple of a column before restricts this one, too */
};

struct cqle_bound {
	bool present, inclusive;
	struct cqle_value value;
	struct cqle_value *more; /* of the columns behind it */
	size_t more_count;
};

/* Of the primary key: which partitions, which rows. */
struct cqle_where {
	struct cqle_restriction *pk; /* pk_count of them, or NULL: no partition key is given */
	struct cqle_restriction *ck; /* the restricted prefix */
	size_t ck_count;
	/* A range on the column behind the prefix: */
	const struct cqle_column *range_column;
	struct cqle_bound low, high;
	/* token(pk) bounds of a scan */
	bool token_used;
	struct cqle_bound token_low, token_high;
	/* Everything that needs filtering: */
	struct cqle_restriction *filters;
	size_t filter_count;
};

enum cqle_expr_kind {
	CQLE_EXPR_VALUE,
	CQLE_EXPR_COLUMN,
	CQLE_EXPR_WRITETIME,
	CQLE_EXPR_TTL,
	CQLE_EXPR_FIELD,   /* of a user type */
	CQLE_EXPR_ELEMENT, /* of a map: its value, of a set: itself */
	CQLE_EXPR_SLICE,   /* of a map or set */
	CQLE_EXPR_TOKEN,   /* of values of the partition key */
	CQLE_EXPR_CALL,
	CQLE_EXPR_CAST,
	CQLE_EXPR_COLLECT, /* a collection of the arguments */
	CQLE_EXPR_COMPOSE, /* a tuple or user type of them */
	CQLE_EXPR_AGGREGATE
};
struct cqle_expr {
	enum cqle_expr_kind kind;
	struct cql_type type;
	struct lab_view text;             /* as results are called: "system.max(c)" */
	const struct cqle_column *column; /* COLUMN to SLICE; these are parts of args[0] */
	const struct cqle_value *value;
	struct cqle_value *bounds[2]; /* ELEMENT: the key; SLICE: NULL is open */
	size_t field;                 /* FIELD: which one */
	const struct cqle_function *function;
	struct cqle_expr *args;
	size_t arg_count;
	bool of_row;     /* has a column in it */
	bool aggregates; /* has an aggregate in it */
	size_t slot;     /* of the group's states: of aggregates, and of what has none in it */
};

enum cqle_set_kind {
	CQLE_SET_VALUE,   /* the whole column */
	CQLE_SET_ADD,     /* to a collection, at the end of a list; to a counter */
	CQLE_SET_REMOVE,  /* from a collection, a counter */
	CQLE_SET_PREPEND, /* to a list */
	CQLE_SET_ELEMENT, /* of a map by key, of a list by index, of a user type by field */
	CQLE_SET_DELETE_ELEMENT
};
struct cqle_set {
	const struct cqle_column *column;
	enum cqle_set_kind kind;
	struct cqle_value value; /* null: a tombstone */
	struct cqle_value key;   /* of an element */
	size_t field;            /* of a user type's */
};

enum cqle_condition_kind {
	CQLE_UNCONDITIONAL,
	CQLE_IF_NOT_EXISTS,
	CQLE_IF_EXISTS,
	CQLE_IF_COLUMNS
};

struct cqle_plan {
	uint32_t refs;
	struct lab_arena *arena; /* owned, if prepared */
	enum statement_kind kind;
	const struct statement *statement;
	struct lab_view text;
	struct cqle_table *table;      /* NULL: DDL, USE */
	struct lab_view keyspace_used; /* session's keyspace at PREPARE */

	struct cqle_where where;

	/* SELECT */
	struct cqle_expr *items;
	size_t item_count;
	struct cql_column *result_columns;
	size_t result_column_count;  /* of them: each item, or one of JSON */
	struct lab_view *json_names; /* SELECT JSON: of the items; NULL */
	bool distinct, reversed, filtering, wants_statics;
	bool indexed;     /* one of the filters is what an index is for */
	bool aggregating; /* rows become groups: all of them, or those of GROUP BY */
	bool grouping;
	size_t group_clustering; /* GROUP BY: partition key and so many clustering columns */
	size_t slot_count;       /* of states of a group */
	struct cqle_value limit, partition_limit; /* column NULL and no bytes: none */
	bool has_limit, has_partition_limit, ordered;
	size_t sorted; /* by so many clustering columns, after all partitions of IN */

	/* INSERT, UPDATE, DELETE */
	struct cqle_set *sets;
	size_t set_count;
	bool needs_read;  /* lists: by index, by value; the row has to be known first */
	bool marker_row;  /* INSERT: the row exists even without cells */
	bool static_only; /* only static columns, no clustering key given */
	bool has_timestamp, has_ttl;
	struct cqle_value timestamp, ttl;

	/* IF; of a batch, of its statements */
	enum cqle_condition_kind condition;
	struct cqle_restriction *conditions;
	size_t condition_count;

	/* BATCH */
	struct cqle_plan **batch;
	size_t batch_count;
	enum cql_batch_type batch_type;

	/* Markers */
	struct cql_column *markers;
	size_t marker_count;
	uint16_t *pk_indexes;
	size_t pk_index_count;
	size_t user_marker;            /* which marker column "u" is bound to; SIZE_MAX: none */
	struct lab_view user_constant; /* or its constant */
	size_t object_marker;          /* the same of column "i" */

	uint8_t result_id[16]; /* metadata-id.c */
	bool has_result_id;
};
/* replication.c: the sum of replicas that a keyspace has which is about to be altered; warnings
 * about those that it has now. */
unsigned cqle_replication_before(const struct cqlemu *emu, const struct statement *s);
void cqle_replication_warn(
	struct cqlemu *emu, struct cqle_op *op, const struct statement *s, unsigned before);
/* profile-rules.c. True if the request was answered: the server that this is does not do it. */
bool cqle_profile_refuses(struct cqlemu *emu, struct cqle_op *op, const struct cqle_plan *plan);
bool cqle_profile_refuses_batch(struct cqlemu *emu, struct cqle_op *op); /* of op->change */
/* NULL: the key is not too long for it. */
const char *cqle_profile_key_refusal(
	const struct cqlemu *emu, struct lab_arena *arena, size_t bytes, bool clustering);
/* NULL: in Cassandra's words. */
const char *cqle_profile_text(
	const struct cqlemu *emu, const struct cqle_op *op, const struct cql_error *e);
/* metadata-id.c: what version 5 knows the plan's result columns by. */
struct lab_view cqle_plan_result_id(struct cqlemu *emu, struct cqle_plan *plan);
int cqle_plan_build(struct cqlemu *emu, struct lab_arena *arena, const struct statement *statement,
	struct lab_view current_keyspace, struct cqle_plan **ret, struct lab_error *err);
void cqle_plan_unref(struct cqlemu *emu, struct cqle_plan *plan);
/* Counters go with counters only, and never into a log. `first` is the table of the batch's first
 * statement, or NULL. */
int cqle_batch_check(enum cql_batch_type type, const struct cqle_table *first,
	const struct cqle_table *table, struct lab_error *err);
bool cqle_plan_is_stale(const struct cqle_plan *plan);

const char *cqle_operator_text(enum operator op); /* "=", "CONTAINS KEY" */

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * read.h - what a replica answers, and how answers merge: read.c.
 */
#ifndef LAB_CQL_EMULATOR_READ_H
#define LAB_CQL_EMULATOR_READ_H

#include "sim/cql-emulator/store.h"

struct cqle_slice {
	struct lab_view start; /* >= start; empty: from the first */
	struct lab_view end;   /* < end; ptr NULL: to the last */
	bool point;            /* exactly start */
};

/* What to read from one partition, or from the partitions of a token range. */
struct cqle_read {
	const struct cqle_table *table;
	struct lab_view key; /* of one partition; ptr NULL: a scan */
	int64_t token;       /* of `key` */
	/* Scan: (after, upto] in tokens, from behind `resume_key` if its token is inside. */
	int64_t after, upto;
	bool from_minimum;          /* the scan's start is before the first token */
	struct lab_view resume_key; /* ptr NULL: none */
	struct lab_view
		resume_row; /* rows after this one (before, if reversed) in that partition */
	bool resume_skip;   /* nothing more of that partition */
	const struct cqle_slice *slices;
	size_t slice_count;
	bool reversed;
	bool statics;           /* static rows count for what is returned */
	size_t limit;           /* live rows wanted; SIZE_MAX */
	size_t partition_limit; /* in each partition; SIZE_MAX */
	size_t resume_limit;    /* in the one that is resumed */
	size_t rows_max;        /* rows of any kind: beyond it, `failed` */
	uint32_t tombstone_fail;
	uint32_t now_s;
	uint32_t gc_before_s;
};

struct cqle_part {
	struct cqle_bytes *key;
	int64_t token;
	struct cqle_deletion deletion;
	struct cqle_row *static_row;
	size_t row_begin, row_end;     /* in the answer's rows */
	size_t range_begin, range_end; /* in its ranges */
	bool limited; /* stopped inside: what comes behind the last row is unknown */
};

struct cqle_answer {
	uint32_t refs;
	struct cqle_part *parts;
	size_t part_count, part_capacity;
	struct cqle_row **rows;
	size_t row_count, row_capacity;
	struct cqle_range *ranges;
	size_t range_count, range_capacity;
	size_t live; /* rows */
	size_t tombstones;
	bool limited;  /* the limit ended it: there may be more behind */
	bool failed;   /* too many tombstones or rows; or: */
	bool ignorant; /* the table is unknown here */
};
struct cqle_answer *cqle_answer_new(struct lab_heap *heap);
void cqle_answer_unref(struct lab_heap *heap, struct cqle_answer *answer);
void cqle_answer_reset(struct lab_heap *heap, struct cqle_answer *answer);
void cqle_read_store(
	struct cqle_store *store, const struct cqle_read *read, struct cqle_answer *ret);
bool cqle_answer_equal(const struct cqle_answer *a, const struct cqle_answer *b);
/* Newest wins. What lies behind the end of an answer that was limited is left out, and
 * `ret->limited` set. */
void cqle_answers_merge(struct lab_heap *heap, struct cqle_answer *const *answers, size_t count,
	const struct cqle_read *read, struct cqle_answer *ret); /* count <= CQLEMU_NODES_MAX */
/* The change that brings a replica which gave `answer` to `merged`; one for each partition that
 * needs one, handed to `fn` with the reference. */
typedef void (*cqle_repair_fn)(void *ctx, struct cqle_mutation *mutation);
size_t cqle_answer_repair(struct lab_heap *heap, struct cqle_table *table,
	const struct cqle_answer *answer, const struct cqle_answer *merged, cqle_repair_fn fn,
	void *ctx);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-load.h - what the CQL rows send: prepared INSERTs and SELECTs of one row of
 * user_mailbox_objects at LOCAL_QUORUM, 4 connections with 128 requests in flight each.
 */
#ifndef SCENARIOS_BENCH_CQL_LOAD_H
#define SCENARIOS_BENCH_CQL_LOAD_H

#include "scenarios/bench/emulators.h"
#include "scenarios/bench/sockets.h"

enum cql_load_kind {
	CQL_LOAD_BOTH, /* in turns */
	CQL_LOAD_READS,
	CQL_LOAD_WRITES
};

/* Prepares the statements on the server, writes each row once, and makes the frames in e->arena.
 * The schema must be there. */
int cql_load_make(struct emulators *e, const struct cql_target *target, enum cql_load_kind kind,
	struct cql_load *ret, struct lab_error *err);
/* Thousandths of answers a second. */
int cql_load_sample(
	const struct cql_load *load, uint64_t slice_ns, int64_t *ret, struct lab_error *err);

/* A connection that asks one thing after the other: `ask` is a bench_cql_ask_fn. */
struct cql_asker;
int cql_asker_open(struct emulators *e, const struct cql_target *target, struct cql_asker **ret,
	struct lab_error *err);
void cql_asker_close(struct cql_asker *asker);
int cql_ask(void *asker, struct lab_view frame, struct lab_view *ret, struct lab_error *err);
/* QUERY; *ret_rows: of the result, 0 if it has none. */
int cql_ask_query(struct emulators *e, struct cql_asker *asker, struct lab_view query,
	size_t *ret_rows, struct lab_error *err);

#endif

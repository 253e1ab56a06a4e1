/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-cassandra.h - a genuine Cassandra under the same load as the emulator.
 *
 * Purpose    `oboxlab bench cql --cassandra 127.0.0.1:9042`: reads and writes a second of a server
 *            that runs, with the same client and in turns with an emulated cluster of as many nodes
 *            and replicas (3 at most).
 * Server     On loopback, without authentication. The keyspace "oboxlab_bench" is made in it, and
 *            dropped before and after.
 * Errors     LAB_DENIED: not loopback; LAB_INVALID; LAB_REFUSED, LAB_TIMEOUT, LAB_CORRUPT.
 */
#ifndef SCENARIOS_BENCH_CQL_CASSANDRA_H
#define SCENARIOS_BENCH_CQL_CASSANDRA_H

#include "scenarios/bench/bench.h"

#define BENCH_CASSANDRA_ROWS 2

/* Adds cassandra.reads_per_s and cassandra.writes_per_s, whose limit is the emulator. One server in
 * a process. */
int bench_cassandra_rows(
	const char *address, const struct bench_row **rows, size_t *count, struct lab_error *err);

#endif

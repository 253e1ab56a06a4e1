/* SPDX-License-Identifier: Apache-2.0
 *
 * bench-private.h - the rows' functions, clocks, and taking turns.
 */
#ifndef SCENARIOS_BENCH_PRIVATE_H
#define SCENARIOS_BENCH_PRIVATE_H

#include "scenarios/bench/bench.h"

#include <time.h>

int bench_fiber_switch(struct bench_result *ret, struct lab_error *err);
int bench_sim_requests(struct bench_result *ret, struct lab_error *err);
int bench_sim_seeds(struct bench_result *ret, struct lab_error *err);
int bench_live_s3_get(struct bench_result *ret, struct lab_error *err);
int bench_live_s3_put(struct bench_result *ret, struct lab_error *err);
int bench_live_cql(struct bench_result *ret, struct lab_error *err);
int bench_live_cql_quorum(struct bench_result *ret, struct lab_error *err);
int bench_cql_reads(struct bench_result *ret, struct lab_error *err);
int bench_cql_writes(struct bench_result *ret, struct lab_error *err);
int bench_cql_sqlite_reads(struct bench_result *ret, struct lab_error *err);
int bench_cql_sqlite_writes(struct bench_result *ret, struct lab_error *err);
int bench_cql_row_bytes(struct bench_result *ret, struct lab_error *err);
int bench_cql_start(struct bench_result *ret, struct lab_error *err);
int bench_client_s3(struct bench_result *ret, struct lab_error *err);
int bench_start_time(struct bench_result *ret, struct lab_error *err);
int bench_start_memory(struct bench_result *ret, struct lab_error *err);
int bench_bundle_encode(struct bench_result *ret, struct lab_error *err);
int bench_obox_open(struct bench_result *ret, struct lab_error *err);
int bench_obox_merge(struct bench_result *ret, struct lab_error *err);
int bench_throttle_writes_1(struct bench_result *ret, struct lab_error *err);
int bench_throttle_reads_1(struct bench_result *ret, struct lab_error *err);
int bench_throttle_writes_16(struct bench_result *ret, struct lab_error *err);
int bench_throttle_reads_16(struct bench_result *ret, struct lab_error *err);
int bench_throttle_writes_256(struct bench_result *ret, struct lab_error *err);
int bench_throttle_reads_256(struct bench_result *ret, struct lab_error *err);

static inline uint64_t bench_clock_ns(clockid_t clock)
{
	struct timespec ts;

	lab_assert(clock_gettime(clock, &ts) == 0);
	return (uint64_t)ts.tv_sec * LAB_SEC + (uint64_t)ts.tv_nsec;
}

/* Of this process. */
int bench_resident_bytes(uint64_t *ret, struct lab_error *err);

/* `count` in `ns`, as thousandths a second. */
static inline int64_t bench_per_second(uint64_t count, uint64_t ns)
{
	return (int64_t)((unsigned __int128)count * 1000 * LAB_SEC / LAB_MAX(ns, 1));
}

/* One sample of about slice_ns. */
typedef int (*bench_sample_fn)(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err);

/* Samples value and limit in turns, so that both see the same neighbours, and keeps the best of
 * each: what else runs on the machine can only make a sample worse. `limit` may be NULL. */
#define BENCH_TURNS 5
#define BENCH_SLICE_NS (180 * LAB_MSEC)
int bench_take_turns(bench_sample_fn value, bench_sample_fn limit, void *ctx, bool less_is_better,
	struct bench_result *ret, struct lab_error *err);

#endif

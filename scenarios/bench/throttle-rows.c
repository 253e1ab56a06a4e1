/* SPDX-License-Identifier: Apache-2.0
 *
 * throttle-rows.c - how many requests a second a bucket of 1, 16 and 256 partitions accepts from
 * clients that ask for more. Virtual seconds: the only rows that are the same on every machine.
 */
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/throttle.h"

#include <stdio.h>

/* What AWS promises for one partition (s3 2.1). */
#define WRITES_PER_S 3500
#define READS_PER_S 5500
/* A client that is accepted comes back after 500 us, a refused one (it connects anew) after 1 ms.
 * So these offer about 4,800 writes and 6,800 reads. */
#define WRITERS 3
#define READERS 4

/* Full buckets are spent at the rate at which more is offered than flows in; with more partitions
 * they are made smaller, so that what has to be simulated stays below some seconds. */
static const struct {
	uint64_t burst_ns, warmup_ns, window_ns;
} spans[] = {
	{ LAB_SEC, 4 * LAB_SEC, 2 * LAB_SEC },
	{ 100 * LAB_MSEC, 400 * LAB_MSEC, LAB_SEC },
	{ 10 * LAB_MSEC, 50 * LAB_MSEC, 250 * LAB_MSEC },
};

static int measure(
	unsigned hex_layers, bool is_writes, struct bench_result *ret, struct lab_error *err)
{
	const struct throttle_options o = { .seed = 1,
		.hex_layers = hex_layers,
		.burst_ns = spans[hex_layers].burst_ns,
		.warmup_ns = spans[hex_layers].warmup_ns,
		.window_ns = spans[hex_layers].window_ns,
		.writers = is_writes ? WRITERS : 0,
		.readers = is_writes ? 0 : READERS };
	const int64_t partitions = (int64_t)1 << (4 * hex_layers);
	struct throttle_result result = { 0 };
	const struct throttle_count *count = is_writes ? &result.writes : &result.reads;

	memset(ret, 0, sizeof(*ret));
	if (throttle_run(&o, &result, err) < 0)
		return -1;
	ret->value = bench_per_second(count->accepted, o.window_ns);
	ret->limit = partitions * (is_writes ? WRITES_PER_S : READS_PER_S) * 1000;
	snprintf(ret->note, sizeof(ret->note),
		"virtual: %" PRIu64 " of %" PRIu64 " requests in %" PRIu64 " ms, after %" PRIu64
		" ms; %u clients",
		count->accepted, count->accepted + count->refused, o.window_ns / LAB_MSEC,
		o.warmup_ns / LAB_MSEC, (unsigned)partitions * (o.writers + o.readers));
	return 0;
}

int bench_throttle_writes_1(struct bench_result *ret, struct lab_error *err)
{
	return measure(0, true, ret, err);
}

int bench_throttle_reads_1(struct bench_result *ret, struct lab_error *err)
{
	return measure(0, false, ret, err);
}

int bench_throttle_writes_16(struct bench_result *ret, struct lab_error *err)
{
	return measure(1, true, ret, err);
}

int bench_throttle_reads_16(struct bench_result *ret, struct lab_error *err)
{
	return measure(1, false, ret, err);
}

int bench_throttle_writes_256(struct bench_result *ret, struct lab_error *err)
{
	return measure(2, true, ret, err);
}

int bench_throttle_reads_256(struct bench_result *ret, struct lab_error *err)
{
	return measure(2, false, ret, err);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * throttle.h - what a bucket lets pass when many clients ask for more (s3 2.1), in the simulated
 * world.
 *
 * Purpose    Users of the core's S3 driver (signatures, one connection each, no retries) PUT and
 *            GET as fast as they are answered, more in each partition than it has tokens for.
 *            What is counted are the answers that the clients got.
 * Time       Virtual. The window begins when the full token buckets of the start are spent.
 * Numbers    Deterministic: they depend on the options and nothing else.
 * Errors     LAB_INVALID for options that make no sense; what a client failed with if that was
 *            not a 503; LAB_INTERNAL if client and service do not agree.
 */
#ifndef SCENARIOS_BENCH_THROTTLE_H
#define SCENARIOS_BENCH_THROTTLE_H

#include "core/base/base.h"

struct throttle_options {
	uint64_t seed;
	unsigned hex_layers; /* 1, 16 or 256 partitions */
	bool shared_budget;
	uint64_t burst_ns;             /* of a full bucket */
	uint64_t warmup_ns, window_ns; /* before it is counted; how long it is counted */
	unsigned writers, readers;     /* in each partition */
};

struct throttle_count {
	uint64_t accepted, refused;
};
struct throttle_result {
	struct throttle_count writes, reads; /* in the window */
};

int throttle_run(
	const struct throttle_options *options, struct throttle_result *ret, struct lab_error *err);

#endif

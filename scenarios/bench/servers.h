/* SPDX-License-Identifier: Apache-2.0
 *
 * servers.h - S3 servers beside each other: ours as `oboxlab serve`, foreign ones, and
 * libmicrohttpd with nothing behind it.
 *
 * Purpose    GET and PUT a second of signed requests, 4 KiB and 64 KiB, over 32 kept-alive
 *            connections, with the resident memory after it. Requests are signed before, with
 *            SigV4 and the body's hash; each server verifies them as it does.
 * Servers    Run already, on 127.0.0.1, with a bucket. Nothing is started or deleted here; objects
 *            below "oboxlab-bench/" are left. Start-up times are the caller's to measure.
 * Blocking   A second for each server and figure. All servers take turns.
 * Errors     -1 LAB_INVALID; LAB_DENIED: not loopback; LAB_CORRUPT, LAB_RESET, LAB_TIMEOUT,
 *            LAB_REFUSED: a server did not answer as it should, and which.
 */
#ifndef SCENARIOS_BENCH_SERVERS_H
#define SCENARIOS_BENCH_SERVERS_H

#include "scenarios/bench/bench.h"

#define BENCH_SERVERS_MAX 8
#define BENCH_SERVER_FIGURES 6

struct bench_server {
	const char *name;
	uint16_t port;
	struct lab_view access_key_id, secret, bucket;
	uint64_t pid;      /* 0: not known */
	uint64_t start_ms; /* 0: not known */
};

/* "NAME=http://127.0.0.1:PORT,KEY,SECRET,BUCKET[,PID[,START_MS]]". In the arena. */
int bench_server_parse(
	const char *text, struct lab_arena *arena, struct bench_server *ret, struct lab_error *err);

/* BENCH_SERVER_FIGURES rows and results for each server, names in the arena:
 * s3.NAME.{get,put}_{4k,64k}_per_s beside libmicrohttpd, start_ms and rss_mb where they are known
 * (else without a value). */
int bench_servers_measure(const struct bench_server *servers, size_t count, struct lab_arena *arena,
	struct bench_row *ret_rows, struct bench_result *ret_results, struct lab_error *err);

#endif

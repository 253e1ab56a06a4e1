/* SPDX-License-Identifier: Apache-2.0
 *
 * start-rows.c - from nothing to three emulators that have answered a client, and what they hold of
 * memory then.
 */
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/cql-load.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STARTS 9
#define ANSWER_MAX 4096

static int start_all(struct emulators *e, struct lab_error *err)
{
	emulators_init(e);
	if (emulators_s3(e, err) < 0 || emulators_imds(e, err) < 0 ||
		emulators_cql(e, BENCH_CQL_NODES_MAX, err) < 0 || emulators_s3_serve(e, err) < 0 ||
		emulators_imds_serve(e, err) < 0 || emulators_cql_serve(e, err) < 0)
		return -1;
	return 0;
}

static int ask_s3(struct emulators *e, struct lab_error *err)
{
	struct lab_http_request put;

	if (bench_s3_request(e, "PUT", 0, &put, err) < 0)
		return -1;
	return http_load_once(http_front_end_port(e->s3_front), bench_http_wire(e, &put), err);
}

static int ask_cql(struct emulators *e, struct lab_error *err)
{
	uint8_t answer[ANSWER_MAX];
	struct lab_view ready;
	int fd, result;

	if (bench_dial(stream_front_end_port(e->cql_front), &fd, err) < 0)
		return -1;
	result = cql_load_ask(fd, bench_cql_startup(e), answer, sizeof(answer), &ready, err);
	close(fd);
	return result;
}

static int ask_imds(struct emulators *e, struct lab_error *err)
{
	return http_load_once(http_front_end_port(e->imds_front),
		LAB_VIEW("PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n"
			 "X-aws-ec2-metadata-token-ttl-seconds: 60\r\nContent-Length: 0\r\n\r\n"),
		err);
}

static int ask_all(struct emulators *e, struct lab_error *err)
{
	return ask_imds(e, err) < 0 || ask_cql(e, err) < 0 || ask_s3(e, err) < 0 ? -1 : 0;
}

/* Three nodes with the schema, as `oboxlab serve --cql` has them; and a query. */
static int start_cql(struct emulators *e, struct lab_error *err)
{
	emulators_init(e);
	if (emulators_cql(e, BENCH_CQL_NODES_MAX, err) < 0)
		return -1;
	return emulators_cql_serve(e, err);
}

static int query_cql(struct emulators *e, struct lab_error *err)
{
	struct cql_target target = { .port = stream_front_end_port(e->cql_front) };
	struct cql_asker *asker = NULL;
	size_t rows = 0;
	int result = cql_asker_open(e, &target, &asker, err);

	if (result == 0)
		result =
			cql_ask_query(e, asker, LAB_VIEW("SELECT * FROM system.local"), &rows, err);
	cql_asker_close(asker);
	if (result == 0 && rows != 1)
		return lab_fail(err, LAB_CORRUPT, "system.local has %zu rows", rows);
	return result;
}

typedef int (*start_fn)(struct emulators *e, struct lab_error *err);

static int start_once(start_fn begin, start_fn ask, uint64_t *ret_ns, struct lab_error *err)
{
	uint64_t start = bench_clock_ns(CLOCK_MONOTONIC);
	struct emulators e;
	int result = begin(&e, err);

	if (result == 0)
		result = ask(&e, err);
	*ret_ns = bench_clock_ns(CLOCK_MONOTONIC) - start;
	emulators_free(&e);
	return result;
}

static int compare_times(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The median: a start has no limit to be compared with, and the best one is luck. */
static int median_start(
	start_fn begin, start_fn ask, struct bench_result *ret, struct lab_error *err)
{
	uint64_t ns[STARTS];

	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < STARTS; i++) {
		if (start_once(begin, ask, &ns[i], err) < 0)
			return -1;
	}
	qsort(ns, STARTS, sizeof(ns[0]), compare_times);
	ret->value = (int64_t)(ns[STARTS / 2] / LAB_USEC);
	return 0;
}

int bench_start_time(struct bench_result *ret, struct lab_error *err)
{
	return median_start(start_all, ask_all, ret, err);
}

int bench_cql_start(struct bench_result *ret, struct lab_error *err)
{
	return median_start(start_cql, query_cql, ret, err);
}

int bench_resident_bytes(uint64_t *ret, struct lab_error *err)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long size, resident;
	int n;

	if (file == NULL)
		return lab_fail(err, LAB_UNSUPPORTED, "there is no /proc/self/statm");
	n = fscanf(file, "%lu %lu", &size, &resident);
	fclose(file);
	if (n != 2)
		return lab_fail(err, LAB_CORRUPT, "/proc/self/statm is not as expected");
	*ret = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

int bench_start_memory(struct bench_result *ret, struct lab_error *err)
{
	struct emulators e;
	uint64_t bytes = 0;
	int result = start_all(&e, err);

	memset(ret, 0, sizeof(*ret));
	if (result == 0)
		result = ask_all(&e, err);
	if (result == 0)
		result = bench_resident_bytes(&bytes, err);
	ret->value = (int64_t)(bytes / 1000);
	emulators_free(&e);
	return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/rates.h"

#include <stdio.h>

#define BUCKET 10u /* seconds */
#define ROWS_AFTER 3u
#define ROWS_MAX (RATES_BEFORE + 40u)
#define QUIET 3u

struct rates_log {
	uint64_t lost_ns; /* 0: not yet */
	uint32_t counts[RATES_SECONDS][RATES_COUNT];
};

static const char *const names[RATES_COUNT] = { "s3", "cql", "refused", "logins" };

/* ---- one run ---- */

struct rates_log *rates_log_new(struct lab_heap *heap)
{
	return lab_new(heap, struct rates_log);
}

static void count(struct rates_log *log, uint64_t time_ns, enum rates_of what)
{
	uint64_t second = time_ns / LAB_SEC;

	if (second < RATES_SECONDS)
		log->counts[second][what]++;
}

void rates_log_access(struct rates_log *log, const struct sim_access *access)
{
	bool is_cql = strcmp(access->service, "cql") == 0;

	if (strcmp(access->service, "imds") == 0)
		return;
	count(log, access->received_ns, is_cql ? RATES_CQL : RATES_S3);
	if (is_cql ? access->status != 0 : access->status == 503)
		count(log, access->received_ns, RATES_REFUSED);
}

void rates_log_event(struct rates_log *log, const struct lab_event *event)
{
	if (event->id == LAB_EV_proxy_session_established)
		count(log, event->time_ns, RATES_LOGINS);
	else if (event->id == LAB_EV_host_crashed && log->lost_ns == 0)
		log->lost_ns = event->time_ns;
}

void rates_log_end(const struct rates_log *log, uint64_t end_ns, struct rates *ret)
{
	int64_t lost = (int64_t)(log->lost_ns / LAB_SEC);
	int64_t end = (int64_t)(LAB_MIN(end_ns / LAB_SEC, (uint64_t)RATES_SECONDS));

	*ret = (struct rates){ .runs = log->lost_ns != 0 };
	if (log->lost_ns == 0)
		return;
	for (unsigned b = 0; b < RATES_BUCKETS; b++) {
		int64_t from = lost + ((int64_t)b - RATES_BEFORE) * BUCKET;

		if (from < 0 || from + BUCKET > end)
			continue;
		ret->seen[b] = 1;
		for (int64_t s = from; s < from + BUCKET; s++) {
			for (unsigned w = 0; w < RATES_COUNT; w++)
				ret->counts[b][w] += log->counts[s][w];
		}
	}
}

/* ---- many ---- */

void rates_add(struct rates *total, const struct rates *run)
{
	total->runs += run->runs;
	for (unsigned b = 0; b < RATES_BUCKETS; b++) {
		total->seen[b] += run->seen[b];
		for (unsigned w = 0; w < RATES_COUNT; w++)
			total->counts[b][w] += run->counts[b][w];
	}
}

uint64_t rates_tenths(const struct rates *r, unsigned bucket, enum rates_of what)
{
	return r->seen[bucket] == 0 ? 0 : r->counts[bucket][what] * 10 / (BUCKET * r->seen[bucket]);
}

static uint64_t normal_of(const struct rates *r, enum rates_of what)
{
	uint64_t sum = 0, seen = 0;

	for (unsigned b = 0; b < RATES_BEFORE; b++) {
		sum += r->counts[b][what];
		seen += r->seen[b];
	}
	return seen == 0 ? 0 : sum * 10 / (BUCKET * seen);
}

void rates_sum_up(const struct rates *r, enum rates_of what, struct rates_summary *ret)
{
	unsigned quiet = 0;

	*ret = (struct rates_summary){
		.normal = normal_of(r, what), .peak_at = RATES_BEFORE, .back_at = RATES_BUCKETS
	};
	for (unsigned b = RATES_BEFORE; b < RATES_BUCKETS; b++) {
		if (rates_tenths(r, b, what) > ret->peak) {
			ret->peak = rates_tenths(r, b, what);
			ret->peak_at = b;
		}
	}
	for (unsigned b = ret->peak_at; b < RATES_BUCKETS && r->seen[b] > 0; b++) {
		quiet = rates_tenths(r, b, what) * 4 <= ret->normal * 5 ? quiet + 1 : 0;
		if (quiet < QUIET)
			continue;
		ret->back_at = b + 1 - QUIET;
		return;
	}
}

/* ---- showing ---- */

static int seconds_of(unsigned bucket)
{
	return ((int)bucket - (int)RATES_BEFORE) * (int)BUCKET;
}

static bool is_storm(const struct rates_summary *s)
{
	return s->peak * 4 > s->normal * 5;
}

static void print_summary(const struct rates *r, enum rates_of what, struct lab_buf *out)
{
	struct rates_summary s;

	rates_sum_up(r, what, &s);
	lab_buf_printf(out,
		"  %-4s before %" PRIu64 ".%" PRIu64 "/s, peak %" PRIu64 ".%" PRIu64
		"/s at %+d s, ",
		names[what], s.normal / 10, s.normal % 10, s.peak / 10, s.peak % 10,
		seconds_of(s.peak_at));
	if (!is_storm(&s))
		lab_buf_append_cstr(out, "no storm\n");
	else if (s.back_at == RATES_BUCKETS)
		lab_buf_append_cstr(out, "not back to that before the storm ended\n");
	else
		lab_buf_printf(out, "back to that at %+d s\n", seconds_of(s.back_at));
}

/* Until all is as it was, and a little longer; 0: it never was otherwise. */
static unsigned last_row(const struct rates *r)
{
	struct rates_summary s3, cql;
	unsigned last;

	rates_sum_up(r, RATES_S3, &s3);
	rates_sum_up(r, RATES_CQL, &cql);
	if (!is_storm(&s3) && !is_storm(&cql))
		return 0;
	last = LAB_MAX(s3.back_at, cql.back_at) + ROWS_AFTER;
	return LAB_MIN(last, ROWS_MAX);
}

static void print_row(const struct rates *r, unsigned bucket, struct lab_buf *out)
{
	if (r->seen[bucket] == 0)
		return;
	lab_buf_printf(out, "  %+8d", seconds_of(bucket));
	for (unsigned w = 0; w < RATES_COUNT; w++) {
		uint64_t tenths = rates_tenths(r, bucket, (enum rates_of)w);

		lab_buf_printf(out, "%8" PRIu64 ".%" PRIu64, tenths / 10, tenths % 10);
	}
	lab_buf_append_cstr(out, "\n");
}

void rates_print(const struct rates *r, struct lab_buf *out)
{
	if (r->runs == 0)
		return;
	lab_buf_printf(out,
		"\n  requests a second around the first loss of a host, mean of %" PRIu64
		" run%s\n",
		r->runs, r->runs == 1 ? "" : "s");
	if (last_row(r) > 0)
		lab_buf_printf(out, "  %8s%10s%10s%10s%10s\n", "s", names[0], names[1], names[2],
			names[3]);
	for (unsigned b = 0; b < last_row(r); b++)
		print_row(r, b, out);
	print_summary(r, RATES_S3, out);
	print_summary(r, RATES_CQL, out);
}

static void json_one(const struct rates *r, enum rates_of what, struct lab_json *json)
{
	struct rates_summary s;

	rates_sum_up(r, what, &s);
	lab_json_key(json, names[what]);
	lab_json_object(json);
	lab_json_key(json, "before");
	lab_json_decimal(json, (int64_t)s.normal, 1);
	lab_json_key(json, "peak");
	lab_json_decimal(json, (int64_t)s.peak, 1);
	lab_json_put_u64(json, "peak_s", (uint64_t)seconds_of(s.peak_at));
	if (s.back_at < RATES_BUCKETS)
		lab_json_put_u64(json, "back_s", (uint64_t)seconds_of(s.back_at));
	lab_json_key(json, "rates");
	lab_json_array(json);
	for (unsigned b = 0; b < RATES_BUCKETS; b++) {
		if (r->seen[b] > 0)
			lab_json_decimal(json, (int64_t)rates_tenths(r, b, what), 1);
	}
	lab_json_end(json);
	lab_json_end(json);
}

void rates_json(const struct rates *r, struct lab_json *json)
{
	if (r->runs == 0)
		return;
	lab_json_key(json, "rates");
	lab_json_object(json);
	for (unsigned w = 0; w < RATES_COUNT; w++)
		json_one(r, (enum rates_of)w, json);
	lab_json_end(json);
}

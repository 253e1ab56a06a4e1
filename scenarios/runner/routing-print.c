/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/routing-print.h"

static void measure_add(struct oracle_measure *total, const struct oracle_measure *run)
{
	total->count += run->count;
	total->max_ns = LAB_MAX(total->max_ns, run->max_ns);
	for (unsigned i = 0; i < ORACLE_MEASURE_STEPS; i++)
		total->counts[i] += run->counts[i];
}

void routing_add(struct oracle_routing *total, const struct oracle_routing *run)
{
	measure_add(&total->overlaps, &run->overlaps);
	measure_add(&total->recoveries, &run->recoveries);
	measure_add(&total->zone_recoveries, &run->zone_recoveries);
	measure_add(&total->served_again, &run->served_again);
	measure_add(&total->settled, &run->settled);
	total->referred_logins += run->referred_logins;
	total->zone_recovery_max_ns =
		LAB_MAX(total->zone_recovery_max_ns, run->zone_recovery_max_ns);
	measure_add(&total->logins, &run->logins);
	total->failed_logins += run->failed_logins;
	total->logins_after_crash += run->logins_after_crash;
	total->overlap_max_ns = run->overlap_max_ns;
	total->recovery_max_ns = run->recovery_max_ns;
	total->login_max_ns = run->login_max_ns;
}

uint64_t routing_quantile(const struct oracle_measure *m, unsigned percent)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i + 1 < ORACLE_MEASURE_STEPS; i++) {
		sum += m->counts[i];
		if (sum * 100 >= m->count * percent)
			return LAB_MIN(oracle_measure_limit(i), m->max_ns);
	}
	return m->max_ns;
}

static void print_one(
	const char *what, const struct oracle_measure *m, uint64_t bound_ns, struct lab_buf *out)
{
	if (m->count == 0)
		return;
	lab_buf_printf(out,
		"  %-24s%8" PRIu64 "  p50 <= %" PRIu64 " ms, p99 <= %" PRIu64 " ms, max %" PRIu64
		" ms; bound %" PRIu64 " ms\n",
		what, m->count, routing_quantile(m, 50) / LAB_MSEC,
		routing_quantile(m, 99) / LAB_MSEC, m->max_ns / LAB_MSEC, bound_ns / LAB_MSEC);
}

/* Every scenario says so: that it never came to it is an answer, too. */
static void print_overlaps(const struct oracle_routing *r, struct lab_buf *out)
{
	const char *what = "on two backends (R2)";

	if (r->overlaps.count == 0)
		lab_buf_printf(out, "  %-24s%8s  never; bound %" PRIu64 " ms\n", what, "0",
			r->overlap_max_ns / LAB_MSEC);
	else
		print_one(what, &r->overlaps, r->overlap_max_ns, out);
}

void routing_print(const struct oracle_routing *r, struct lab_buf *out)
{
	if (r->logins.count + r->failed_logins == 0)
		return;
	lab_buf_printf(out,
		"\n  routing: %" PRIu64 " logins failed for the time being, %" PRIu64
		" came to the wrong backend first\n",
		r->failed_logins, r->referred_logins);
	print_one("logins (T3)", &r->logins, r->login_max_ns, out);
	print_overlaps(r, out);
	print_one("backend lost (T1)", &r->recoveries, r->recovery_max_ns, out);
	print_one("zone lost (T2)", &r->zone_recoveries, r->zone_recovery_max_ns, out);
	print_one("zone back, proxy serves", &r->served_again, r->recovery_max_ns, out);
	print_one("zone back, last failure", &r->settled, r->recovery_max_ns, out);
}

static void json_one(
	const char *name, const struct oracle_measure *m, uint64_t bound_ns, struct lab_json *json)
{
	lab_json_key(json, name);
	lab_json_object(json);
	lab_json_put_u64(json, "count", m->count);
	lab_json_put_u64(json, "p50_ms", routing_quantile(m, 50) / LAB_MSEC);
	lab_json_put_u64(json, "p99_ms", routing_quantile(m, 99) / LAB_MSEC);
	lab_json_put_u64(json, "max_ms", m->max_ns / LAB_MSEC);
	lab_json_put_u64(json, "bound_ms", bound_ns / LAB_MSEC);
	lab_json_end(json);
}

void routing_json(const struct oracle_routing *r, struct lab_json *json)
{
	if (r->logins.count + r->failed_logins == 0)
		return;
	lab_json_key(json, "routing");
	lab_json_object(json);
	lab_json_put_u64(json, "failed_logins", r->failed_logins);
	lab_json_put_u64(json, "logins_after_crash", r->logins_after_crash);
	lab_json_put_u64(json, "referred_logins", r->referred_logins);
	json_one("logins", &r->logins, r->login_max_ns, json);
	json_one("overlaps", &r->overlaps, r->overlap_max_ns, json);
	json_one("recoveries", &r->recoveries, r->recovery_max_ns, json);
	json_one("zone_recoveries", &r->zone_recoveries, r->zone_recovery_max_ns, json);
	json_one("served_again", &r->served_again, r->recovery_max_ns, json);
	json_one("settled", &r->settled, r->recovery_max_ns, json);
	lab_json_end(json);
}

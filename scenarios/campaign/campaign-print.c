/* SPDX-License-Identifier: Apache-2.0
 *
 * campaign-print.c - what a campaign found, in words and as JSON. JSON is the source of truth; both
 * are made from the same struct.
 */
#include "scenarios/campaign/explore.h"

#include "scenarios/runner/costs-print.h"
#include "scenarios/runner/routing-print.h"

#include <stdio.h>

#define VALUE_COLUMN 20
#define LINE_WIDTH 100

static const char *verdict_of(int status)
{
	switch (status) {
	case 0:
		return "pass";
	case 1:
		return "fail";
	case 3:
		return "broken";
	default:
		return "inconclusive";
	}
}

/* n per second, times 10^decimals. */
static uint64_t per_second(uint64_t n, uint64_t ns, uint64_t scale)
{
	uint64_t ms = LAB_MAX(ns / LAB_MSEC, 1);

	return n * 1000 * scale / ms;
}

/* Virtual over wall, in tenths: below one in the live world. */
static uint64_t speedup_tenths(const struct campaign_result *r)
{
	return r->total.virtual_ns * 10 / LAB_MAX(r->wall_ns, 1);
}

static uint64_t operations_of(const struct run_result *t, unsigned kind)
{
	uint64_t sum = 0;

	for (unsigned o = 0; o <= HISTORY_UNCERTAIN; o++)
		sum += t->operations[kind][o];
	return sum;
}

static void print_operations(const struct run_result *t, struct lab_buf *out)
{
	lab_buf_printf(out, "\n  %-10s %12s %12s %12s\n", "operation", "ok", "fail", "uncertain");
	for (unsigned k = 0; k < HISTORY_KIND_COUNT; k++) {
		if (operations_of(t, k) == 0)
			continue;
		lab_buf_printf(out, "  %-10s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n",
			history_kind_name((enum history_kind)k), t->operations[k][HISTORY_OK],
			t->operations[k][HISTORY_FAIL],
			t->operations[k][HISTORY_UNCERTAIN] + t->operations[k][HISTORY_PENDING]);
	}
}

static void print_faults(const struct run_result *t, struct lab_buf *out)
{
	unsigned column = 0;

	lab_buf_append_cstr(out, "\n  faults that fired\n");
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		if (t->faults[k] == 0)
			continue;
		lab_buf_printf(out, "  %-24s%9" PRIu64 "%s", fault_kind_name((enum fault_kind)k),
			t->faults[k], ++column % 2 == 0 ? "\n" : "   ");
	}
	if (column % 2 != 0)
		lab_buf_append_cstr(out, "\n");
}

/* A word of a list, on a line of its own column when the last one is full. */
static void put_word(struct lab_buf *out, size_t *column, const char *word)
{
	size_t len = strlen(word) + 1;

	if (*column + len > LINE_WIDTH) {
		lab_buf_printf(out, "\n%*s", VALUE_COLUMN - 1, "");
		*column = VALUE_COLUMN - 1;
	}
	lab_buf_printf(out, " %s", word);
	*column += len;
}

static void print_missed(const struct campaign_result *r, struct lab_buf *out)
{
	for (unsigned m = 0; m < LAB_MARK_COUNT; m++) {
		if ((r->missed_marks >> m & 1) != 0)
			lab_buf_printf(out,
				"  MISSED            %s: the scenario is meant to reach it\n",
				lab_mark_name((enum lab_mark)m));
	}
}

static void print_marks(const struct campaign_result *r, struct lab_buf *out)
{
	unsigned hit = 0;
	size_t column = VALUE_COLUMN;

	for (unsigned m = 0; m < LAB_MARK_COUNT; m++)
		hit += r->total.marks[m] > 0;
	lab_buf_printf(out, "\n  marks             %u of %d hit\n", hit, LAB_MARK_COUNT);
	print_missed(r, out);
	if (hit == LAB_MARK_COUNT)
		return;
	lab_buf_append_cstr(out, "    never          ");
	for (unsigned m = 0; m < LAB_MARK_COUNT; m++) {
		if (r->total.marks[m] == 0)
			put_word(out, &column, lab_mark_name((enum lab_mark)m));
	}
	lab_buf_append_cstr(out, "\n");
}

/* What was never looked at proves nothing. */
static void print_always(const struct campaign_result *r, struct lab_buf *out)
{
	unsigned checked = 0;

	for (unsigned a = 0; a < LAB_ALWAYS_COUNT; a++)
		checked += r->total.always.checked[a] > 0;
	lab_buf_printf(out, "  always            %u of %d looked at", checked, LAB_ALWAYS_COUNT);
	for (unsigned a = 0; a < LAB_ALWAYS_COUNT; a++) {
		if (r->total.always.checked[a] == 0 || r->total.always.failed[a] > 0)
			lab_buf_printf(out, "; %s %s", lab_always_name((enum lab_always)a),
				r->total.always.failed[a] > 0 ? "NOT SO" : "never");
	}
	lab_buf_append_cstr(out, "\n");
}

/* Nothing where no script waits for anybody. */
static void print_holds(const struct campaign_result *r, struct lab_buf *out)
{
	const char *before = "\n  holds             ";

	for (unsigned h = 0; h < ENV_HOLD_COUNT; h++) {
		if (r->total.holds[h] == 0)
			continue;
		lab_buf_printf(out, "%s%s %" PRIu64, before, env_hold_name((enum env_hold)h),
			r->total.holds[h]);
		before = ", ";
	}
	if (before[0] == ',')
		lab_buf_append_cstr(out, "\n");
}

static void print_unusual(const struct campaign_result *r, struct lab_buf *out)
{
	const char *before = "\n  buggify           ";

	for (unsigned i = 0; i < ENV_BUGGIFY_COUNT; i++) {
		if (r->total.buggify[i] == 0)
			continue;
		lab_buf_printf(out, "%s%s %" PRIu64, before, env_buggify_name((enum env_buggify)i),
			r->total.buggify[i]);
		before = ", ";
	}
	if (before[0] == ',')
		lab_buf_append_cstr(out, "\n");
	if (r->total.demotions > 0)
		lab_buf_printf(out, "\n  late fibers       %" PRIu64 "\n", r->total.demotions);
}

static void print_speed(const struct campaign_result *r, struct lab_buf *out)
{
	lab_buf_printf(out,
		"  speed             %" PRIu64 ".%" PRIu64 " times real time, %" PRIu64 ".%" PRIu64
		" seeds/s, %" PRIu64 " storage requests/s on %u workers\n",
		speedup_tenths(r) / 10, speedup_tenths(r) % 10, per_second(r->seeds, r->wall_ns, 1),
		per_second(r->seeds, r->wall_ns, 10) % 10,
		per_second(r->total.storage_requests, r->wall_ns, 1), r->workers);
}

static void print_counts(const struct campaign_result *r, struct lab_buf *out)
{
	lab_buf_printf(out,
		"%" PRIu64 " passed, %" PRIu64 " failed, %" PRIu64 " broken, %" PRIu64
		" inconclusive, %" PRIu64 " excused findings\n",
		r->passed, r->failed, r->broken, r->inconclusive, r->excused);
}

void campaign_print(const struct campaign_result *r, const char *scenario, struct lab_buf *out)
{
	const struct run_result *t = &r->total;

	for (size_t i = 0; i < r->signature_count; i++)
		lab_buf_printf(out, "\n%s(%" PRIu64 " of %" PRIu64 " seeds)\n",
			r->signatures[i].report, r->signatures[i].count, r->seeds);
	lab_buf_printf(out, "\n%s: %" PRIu64 " seed%s, %" PRIu64 " users, %" PRIu64 " crashes\n",
		scenario, r->seeds, r->seeds == 1 ? "" : "s", t->users, t->crashes);
	print_operations(t, out);
	print_faults(t, out);
	excuses_print(&t->excuses, out);
	print_marks(r, out);
	print_always(r, out);
	print_holds(r, out);
	print_unusual(r, out);
	costs_print(&t->costs, out);
	routing_print(&t->routing, out);
	rates_print(&t->rates, out);
	lab_buf_printf(out,
		"\n  storage requests  %" PRIu64 " (S3 %" PRIu64 ", CQL %" PRIu64 ", IMDS %" PRIu64
		")\n  leaked objects    %" PRIu64 "%s\n",
		t->storage_requests, t->s3_requests, t->cql_requests, t->imds_requests,
		t->leaked_objects,
		r->failed == 0 ? " (each after a failure; none referenced)" : "");
	print_speed(r, out);
	lab_buf_printf(out, "  trace hash        %016" PRIx64 "\n", t->trace_hash);
	if (r->explored != NULL)
		explore_print(r->explored, out);
	if (r->guarded > 0)
		lab_buf_printf(out, "  ran twice         %" PRIu64 " of %" PRIu64 " seeds\n",
			r->guarded, r->seeds);
	lab_buf_printf(out, "\nVERDICT %s: ", verdict_of(campaign_exit_status(r)));
	print_counts(r, out);
	if (r->seeds_until_failure > 0)
		lab_buf_printf(
			out, "first failure after %" PRIu64 " seeds\n", r->seeds_until_failure);
}

static int worse(int a, int b)
{
	static const int order[] = { 1, 3, 4 };

	for (size_t i = 0; i < LAB_COUNT_OF(order); i++) {
		if (a == order[i] || b == order[i])
			return order[i];
	}
	return 0;
}

void campaign_total_add(
	struct campaign_total *total, const struct campaign_result *r, const char *scenario)
{
	int status = campaign_exit_status(r);

	campaign_add(&total->sum, r);
	total->scenarios++;
	total->status = worse(total->status, status);
	if (status == 0)
		return;
	lab_buf_printf(&total->not_passed, "  %s: %s: ", scenario, verdict_of(status));
	print_counts(r, &total->not_passed);
	print_missed(r, &total->not_passed);
}

void campaign_total_print(const struct campaign_total *total, struct lab_buf *out)
{
	const struct campaign_result *r = &total->sum;

	lab_buf_printf(out, "\nall %zu scenarios: %" PRIu64 " seeds, %" PRIu64 " users\n",
		total->scenarios, r->seeds, r->total.users);
	if (total->not_passed.len > 0)
		lab_buf_append_cstr(out, "\n  not passed\n");
	lab_buf_append(out, total->not_passed.data, total->not_passed.len);
	excuses_print(&r->total.excuses, out);
	print_marks(r, out);
	print_always(r, out);
	print_speed(r, out);
	lab_buf_printf(out, "\nVERDICT of all %zu scenarios: %s: ", total->scenarios,
		verdict_of(total->status));
	print_counts(r, out);
}

static void json_operations(struct lab_json *json, const struct run_result *t)
{
	lab_json_key(json, "operations");
	lab_json_object(json);
	for (unsigned k = 0; k < HISTORY_KIND_COUNT; k++) {
		lab_json_key(json, history_kind_name((enum history_kind)k));
		lab_json_object(json);
		lab_json_put_u64(json, "ok", t->operations[k][HISTORY_OK]);
		lab_json_put_u64(json, "fail", t->operations[k][HISTORY_FAIL]);
		lab_json_put_u64(json, "uncertain",
			t->operations[k][HISTORY_UNCERTAIN] + t->operations[k][HISTORY_PENDING]);
		lab_json_end(json);
	}
	lab_json_end(json);
}

static void json_marks(struct lab_json *json, const struct campaign_result *r)
{
	lab_json_key(json, "marks");
	lab_json_object(json);
	lab_json_put_u64(json, "host_crashed", r->total.crashes);
	lab_json_put_u64(json, "leaked_objects", r->total.leaked_objects);
	for (unsigned m = 0; m < LAB_MARK_COUNT; m++)
		lab_json_put_u64(json, lab_mark_name((enum lab_mark)m), r->total.marks[m]);
	lab_json_end(json);
	lab_json_key(json, "marks_missed");
	lab_json_array(json);
	for (unsigned m = 0; m < LAB_MARK_COUNT; m++) {
		if ((r->missed_marks >> m & 1) != 0)
			lab_json_cstr(json, lab_mark_name((enum lab_mark)m));
	}
	lab_json_end(json);
	lab_json_key(json, "always");
	lab_json_object(json);
	for (unsigned a = 0; a < LAB_ALWAYS_COUNT; a++)
		lab_json_put_u64(
			json, lab_always_name((enum lab_always)a), r->total.always.checked[a]);
	lab_json_end(json);
	lab_json_key(json, "holds");
	lab_json_object(json);
	for (unsigned h = 0; h < ENV_HOLD_COUNT; h++)
		lab_json_put_u64(json, env_hold_name((enum env_hold)h), r->total.holds[h]);
	lab_json_end(json);
	lab_json_key(json, "buggify");
	lab_json_object(json);
	for (unsigned i = 0; i < ENV_BUGGIFY_COUNT; i++)
		lab_json_put_u64(json, env_buggify_name((enum env_buggify)i), r->total.buggify[i]);
	lab_json_end(json);
	lab_json_put_u64(json, "late_fibers", r->total.demotions);
}

void campaign_json_signatures(
	struct lab_json *json, const struct campaign_result *r, const char *unit)
{
	lab_json_key(json, "signatures");
	lab_json_array(json);
	for (size_t i = 0; i < r->signature_count; i++) {
		lab_json_object(json);
		lab_json_put_cstr(json, "signature", r->signatures[i].text);
		lab_json_put_u64(json, unit, r->signatures[i].count);
		lab_json_put_u64(json, "first_seed", r->signatures[i].first_seed);
		lab_json_put_cstr(json, "report", r->signatures[i].report);
		lab_json_end(json);
	}
	lab_json_end(json);
}

void campaign_print_json(const struct campaign_result *r, const char *scenario, struct lab_buf *out)
{
	const struct run_result *t = &r->total;
	struct lab_json json;
	char hash[17];

	snprintf(hash, sizeof(hash), "%016" PRIx64, t->trace_hash);
	lab_json_init(&json, out, false);
	lab_json_object(&json);
	lab_json_put_cstr(&json, "scenario", scenario);
	lab_json_put_cstr(&json, "verdict", verdict_of(campaign_exit_status(r)));
	lab_json_put_u64(&json, "seeds", r->seeds);
	lab_json_put_u64(&json, "failed", r->failed);
	lab_json_put_u64(&json, "broken", r->broken);
	lab_json_put_u64(&json, "unknown", r->inconclusive);
	lab_json_put_u64(&json, "excused", r->excused);
	lab_json_put_u64(&json, "ran_twice", r->guarded);
	lab_json_put_u64(&json, "seeds_until_failure", r->seeds_until_failure);
	lab_json_key(&json, "faults");
	lab_json_object(&json);
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++)
		lab_json_put_u64(&json, fault_kind_name((enum fault_kind)k), t->faults[k]);
	lab_json_end(&json);
	json_operations(&json, t);
	json_marks(&json, r);
	campaign_json_signatures(&json, r, "seeds");
	if (r->explored != NULL)
		explore_json(r->explored, &json);
	excuses_json(&t->excuses, &json);
	costs_json(&t->costs, &json);
	routing_json(&t->routing, &json);
	rates_json(&t->rates, &json);
	lab_json_key(&json, "seeds_per_s");
	lab_json_decimal(&json, (int64_t)per_second(r->seeds, r->wall_ns, 100), 2);
	lab_json_key(&json, "speedup");
	lab_json_decimal(&json, (int64_t)speedup_tenths(r), 1);
	lab_json_put_u64(&json, "requests_per_s", per_second(t->storage_requests, r->wall_ns, 1));
	lab_json_put_cstr(&json, "trace_hash", hash);
	lab_json_end(&json);
	lab_buf_append_cstr(out, "\n");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/campaign/sweep.h"

#include "scenarios/format/inject.h"

#include <stdio.h>

#define ARGUMENTS_MAX 4096
/* Long enough for every host to be asked once more, and for a fallback. */
#define THEN_NS LAB_SEC
/* No client can see through these (sim/faults/README.md). */
#define BY_NAME_ONLY \
	(FAULT_KIND(stale_missing) | FAULT_KIND(stale) | FAULT_KIND(duplicate) | \
		FAULT_KIND(overloaded_minority) | FAULT_KIND(overloaded_applied))
#define CRASH_BEFORE \
	(FAULT_KIND(stall) | FAULT_KIND(dict_stall) | FAULT_KIND(pull_stall) | \
		FAULT_KIND(disk_error))
#define CRASH_AFTER \
	(FAULT_KIND(stall_reply) | FAULT_KIND(dict_stall_reply) | FAULT_KIND(pull_stall_reply))
/* Once, or from there on. */
#define FAULT_VARIANTS 2

/* The process dies, the machine loses power and its clients go elsewhere, or it is replaced. */
static const struct crash_variant {
	enum fault_disk disk;
	uint64_t down_ns;
} crash_variants[] = { { FAULT_DISK_KEEP, LAB_SEC }, { FAULT_DISK_LOSE_UNSYNCED, 60 * LAB_MINUTE },
	{ FAULT_DISK_WIPE, 60 * LAB_MINUTE } };

struct sweep {
	const struct sweep_settings *settings;
	struct sweep_result *result;
	struct lab_heap *heap;
	size_t row_capacity;
	uint64_t cases;
	enum fault_kind then; /* FAULT_KIND_COUNT: none */
	/* Of the case that prepare() was last asked for. */
	struct fault_episode probes[RUN_EPISODES_MAX];
	char arguments[ARGUMENTS_MAX];
};

/* ---- which cases ---- */

static bool part_matches(struct lab_view pattern, const char *name)
{
	if (pattern.len > 0 && pattern.ptr[pattern.len - 1] == '*')
		return lab_view_starts_with(
			lab_view_cstr(name), lab_view_sub(pattern, 0, pattern.len - 1));
	return lab_view_eq_cstr(pattern, name);
}

static bool pattern_matches(const char *text, const struct sweep_row *row)
{
	struct lab_view kind = lab_view_cstr(text), point;

	if (lab_view_eq(kind, LAB_VIEW("crash")))
		return row->crashes;
	(void)lab_view_split(&kind, ':', &point);
	return part_matches(point, fault_point_name(row->point)) &&
	       (kind.ptr == NULL || part_matches(kind, fault_kind_name(row->kind)));
}

/* Kinds that are for scenarios which name them must be named whole. */
static bool names_kind(const char *text, enum fault_kind kind)
{
	struct lab_view rest = lab_view_cstr(text), point;

	return lab_view_split(&rest, ':', &point) && rest.ptr != NULL &&
	       lab_view_eq_cstr(rest, fault_kind_name(kind));
}

static bool is_wanted(const struct sweep_settings *s, const struct sweep_row *row)
{
	bool is_free = (BY_NAME_ONLY & FAULT_KIND_BIT(row->kind)) == 0;

	for (size_t i = 0; i < s->pattern_count; i++) {
		if (pattern_matches(s->patterns[i], row) &&
			(is_free || names_kind(s->patterns[i], row->kind)))
			return true;
	}
	return s->pattern_count == 0 && is_free;
}

static uint64_t variants_of(const struct sweep *sweep, const struct sweep_row *row)
{
	return row->crashes                      ? LAB_COUNT_OF(crash_variants)
	       : sweep->then != FAULT_KIND_COUNT ? 1
						 : FAULT_VARIANTS;
}

/* A second fault needs a request that the first one leaves somebody to send. */
static bool can_follow(const struct sweep *sweep, const struct sweep_row *row)
{
	return sweep->then == FAULT_KIND_COUNT ||
	       (!row->crashes && (fault_kind_points(sweep->then) >> row->point & 1) != 0);
}

static int add_row(struct sweep *sweep, const struct sweep_row *row, struct lab_error *err)
{
	struct sweep_result *r = sweep->result;

	if (!is_wanted(sweep->settings, row) || !can_follow(sweep, row))
		return 0;
	if (r->row_count == sweep->row_capacity) {
		sweep->row_capacity = sweep->row_capacity == 0 ? 64 : 2 * sweep->row_capacity;
		r->rows = lab_heap_realloc(
			sweep->heap, r->rows, sweep->row_capacity * sizeof(*r->rows));
	}
	r->rows[r->row_count] = *row;
	r->rows[r->row_count].cases = row->requests * variants_of(sweep, row);
	sweep->cases += r->rows[r->row_count++].cases;
	if (sweep->cases > SWEEP_CASES_MAX)
		return lab_fail(
			err, LAB_LIMIT, "the sweep has more than %d cases", SWEEP_CASES_MAX);
	return 0;
}

static int add_rows(struct sweep *sweep, struct lab_error *err)
{
	const struct run_result *first = &sweep->result->first;

	for (unsigned p = 0; p < FAULT_POINT_COUNT; p++) {
		for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
			struct sweep_row row = { .point = (enum fault_point)p,
				.kind = (enum fault_kind)k,
				.requests = first->episode_asked[p] };

			if (row.requests == 0 || (fault_kind_points(row.kind) >> p & 1) == 0 ||
				fault_kind_is_world(row.kind))
				continue;
			if (add_row(sweep, &row, err) < 0)
				return -1;
			row.crashes = true;
			if (((CRASH_BEFORE | CRASH_AFTER) & FAULT_KIND_BIT(k)) != 0 &&
				add_row(sweep, &row, err) < 0)
				return -1;
		}
	}
	if (sweep->cases == 0)
		return lab_fail(err, LAB_INVALID, "no request of the run can fail in that way");
	return 0;
}

/* ---- runs ---- */

static struct sweep_row *row_of(struct sweep *sweep, uint64_t number, uint64_t *ret_index)
{
	uint64_t index = number - 1;

	for (size_t i = 0; i < sweep->result->row_count; i++) {
		struct sweep_row *row = &sweep->result->rows[i];

		if (index < row->cases) {
			*ret_index = index;
			return row;
		}
		index -= row->cases;
	}
	lab_bug("a case has a row");
}

static struct fault_episode episode_of(
	const struct sweep *sweep, const struct sweep_row *row, uint64_t index)
{
	uint64_t variant = index % variants_of(sweep, row);
	struct fault_episode episode = { .kind = row->kind,
		.points = UINT64_C(1) << row->point,
		.nth = index / variants_of(sweep, row) + 1 };

	if (row->crashes) {
		episode.crashes_peer = true;
		episode.disk = crash_variants[variant].disk;
		episode.down_ns = crash_variants[variant].down_ns;
	} else {
		episode.is_lasting = variant == 1;
	}
	return episode;
}

static void add_inject(struct sweep *sweep, const struct fault_episode *episode)
{
	size_t len = strlen(sweep->arguments);
	char text[INJECT_TEXT_MAX];
	int n;

	inject_print(episode, text);
	n = snprintf(sweep->arguments + len, ARGUMENTS_MAX - len, " --inject '%s'", text);
	lab_assert(n < (int)(ARGUMENTS_MAX - len));
}

static void prepare_case(void *ctx, uint64_t number, struct run_options *run)
{
	struct sweep *sweep = ctx;
	const char *arguments = sweep->settings->campaign.arguments;
	uint64_t index;
	const struct sweep_row *row = row_of(sweep, number, &index);

	run->seed = sweep->settings->campaign.first_seed;
	run->episodes = sweep->probes;
	sweep->probes[run->episode_count++] = episode_of(sweep, row, index);
	if (sweep->then != FAULT_KIND_COUNT)
		sweep->probes[run->episode_count++] = (struct fault_episode){ .kind = sweep->then,
			.points = UINT64_C(1) << row->point,
			.nth = 1,
			.is_lasting = true,
			.lasting_ns = THEN_NS,
			.after = 1 };
	(void)snprintf(sweep->arguments, ARGUMENTS_MAX, "%s", arguments == NULL ? "" : arguments);
	for (size_t i = 0; i < run->episode_count; i++)
		add_inject(sweep, &sweep->probes[i]);
	run->arguments = sweep->arguments;
}

static void on_case(void *ctx, const struct run_result *run)
{
	struct sweep *sweep = ctx;
	uint64_t index;
	struct sweep_row *row = row_of(sweep, run->seed, &index);
	bool has_fired = run->episode_fired[0] > 0 || run->verdict == RUN_BROKEN;

	row->passed += run->verdict == RUN_PASS && has_fired;
	row->failed += run->verdict == RUN_FAIL;
	row->other += run->verdict == RUN_BROKEN || run->verdict == RUN_INCONCLUSIVE;
	row->followed += run->episode_fired[1] > 0;
	row->unfired += !has_fired;
	sweep->result->unfired += !has_fired;
}

static void on_progress(void *ctx, uint64_t done, uint64_t findings, uint64_t wall_ns)
{
	const struct campaign_settings *s = &((struct sweep *)ctx)->settings->campaign;

	if (s->on_progress != NULL)
		s->on_progress(s->ctx, done, findings, wall_ns);
}

/* One episode for each point, that only counts: its turn never comes. */
static void prepare_first(void *ctx, uint64_t number, struct run_options *run)
{
	struct sweep *sweep = ctx;

	(void)number;
	for (unsigned p = 0; p < FAULT_POINT_COUNT; p++) {
		struct fault_episode *probe = &sweep->probes[p];

		*probe = (struct fault_episode){ .points = UINT64_C(1) << p, .nth = UINT64_MAX };
		while ((fault_kind_points(probe->kind) & probe->points) == 0)
			probe->kind++;
		if (fault_kind_is_world(probe->kind))
			*probe = (struct fault_episode){ .points = FAULT_BIT(s3_put),
				.nth = UINT64_MAX };
	}
	run->seed = sweep->settings->campaign.first_seed;
	run->episodes = sweep->probes;
	run->episode_count = FAULT_POINT_COUNT;
}

static int run_first(struct sweep *sweep, struct campaign_settings *c, struct lab_error *err)
{
	struct campaign_result *one = lab_new(sweep->heap, struct campaign_result);
	int result;

	c->prepare = prepare_first;
	c->first_seed = c->last_seed = 1;
	result = campaign_run(c, one, err);
	sweep->result->first = one->total;
	if (result == 0 && one->passed != 1)
		result = lab_fail(err, LAB_INVALID,
			"%s does not pass without the sweep's faults: %s", c->scenario->path,
			one->signature_count > 0 ? one->signatures[0].text : "inconclusive");
	lab_heap_free(sweep->heap, one);
	return result;
}

/* What world-level points were counted for is not theirs. */
static void forget_world_points(struct run_result *first)
{
	uint64_t world = 0;

	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		if (fault_kind_is_world((enum fault_kind)k))
			world |= fault_kind_points((enum fault_kind)k);
	}
	for (unsigned p = 0; p < FAULT_POINT_COUNT; p++) {
		if ((world >> p & 1) != 0)
			first->episode_asked[p] = 0;
	}
}

static int find_then(struct sweep *sweep, struct lab_error *err)
{
	const char *then = sweep->settings->then;

	sweep->then = FAULT_KIND_COUNT;
	if (then == NULL)
		return 0;
	sweep->then = fault_kind_find(lab_view_cstr(then));
	if (sweep->then == FAULT_KIND_COUNT || fault_kind_is_world(sweep->then))
		return lab_fail(err, LAB_INVALID, "no request fails by \"%s\"", then);
	return 0;
}

int sweep_run(const struct sweep_settings *settings, struct lab_heap *heap,
	struct sweep_result *ret, struct lab_error *err)
{
	struct sweep *sweep = lab_new(heap, struct sweep);
	struct campaign_settings c = settings->campaign;
	int result;

	*ret = (struct sweep_result){ 0 };
	*sweep = (struct sweep){ .settings = settings, .result = ret, .heap = heap };
	c.ctx = sweep;
	c.on_result = NULL;
	c.on_progress = NULL;
	result = find_then(sweep, err);
	if (result == 0)
		result = run_first(sweep, &c, err);
	forget_world_points(&ret->first);
	if (result == 0)
		result = add_rows(sweep, err);
	if (result == 0) {
		c.prepare = prepare_case;
		c.on_result = on_case;
		c.on_progress = on_progress;
		c.last_seed = sweep->cases;
		result = campaign_run(&c, &ret->cases, err);
	}
	lab_heap_free(heap, sweep);
	return result;
}

int sweep_exit_status(const struct sweep_result *result)
{
	int status = campaign_exit_status(&result->cases);

	return status == 0 && result->unfired > 0 ? 3 : status;
}

/* ---- what was found ---- */

static void print_row(const struct sweep_row *row, struct lab_buf *out)
{
	char kind[64];

	(void)snprintf(kind, sizeof(kind), "%s%s", fault_kind_name(row->kind),
		row->crashes ? " + crash" : "");
	lab_buf_printf(out, "  %-16s %-24s %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64,
		fault_point_name(row->point), kind, row->requests, row->cases, row->passed,
		row->failed);
	if (row->followed > 0)
		lab_buf_printf(out, "  %" PRIu64 " with the second fault", row->followed);
	if (row->other > 0)
		lab_buf_printf(out, "  %" PRIu64 " undecided", row->other);
	if (row->unfired > 0)
		lab_buf_printf(out, "  %" PRIu64 " not fired", row->unfired);
	lab_buf_append_cstr(out, "\n");
}

void sweep_print(const struct sweep_result *r, const char *scenario, struct lab_buf *out)
{
	const struct campaign_result *c = &r->cases;

	for (size_t i = 0; i < c->signature_count; i++)
		lab_buf_printf(out, "\n%s(%" PRIu64 " cases)\n", c->signatures[i].report,
			c->signatures[i].count);
	lab_buf_printf(out,
		"\n%s: every request of one run fails in every way\n\n"
		"  %-16s %-24s %8s %8s %8s %8s\n",
		scenario, "point", "kind", "requests", "cases", "passed", "failed");
	for (size_t i = 0; i < r->row_count; i++)
		print_row(&r->rows[i], out);
	excuses_print(&c->total.excuses, out);
	lab_buf_printf(out,
		"\nVERDICT %s: %" PRIu64 " cases, %" PRIu64 " passed, %" PRIu64 " failed, %" PRIu64
		" broken, %" PRIu64 " inconclusive, %" PRIu64 " not fired, %" PRIu64
		" excused findings, %" PRIu64 " s\n",
		sweep_exit_status(r) == 0 ? "pass" : "fail", c->seeds, c->passed, c->failed,
		c->broken, c->inconclusive, r->unfired, c->excused, c->wall_ns / LAB_SEC);
}

static void json_rows(struct lab_json *json, const struct sweep_result *r)
{
	lab_json_key(json, "points");
	lab_json_array(json);
	for (size_t i = 0; i < r->row_count; i++) {
		const struct sweep_row *row = &r->rows[i];

		lab_json_object(json);
		lab_json_put_cstr(json, "point", fault_point_name(row->point));
		lab_json_put_cstr(json, "kind", fault_kind_name(row->kind));
		lab_json_put_u64(json, "crashes", row->crashes);
		lab_json_put_u64(json, "requests", row->requests);
		lab_json_put_u64(json, "cases", row->cases);
		lab_json_put_u64(json, "passed", row->passed);
		lab_json_put_u64(json, "failed", row->failed);
		lab_json_put_u64(json, "followed", row->followed);
		lab_json_put_u64(json, "undecided", row->other);
		lab_json_put_u64(json, "unfired", row->unfired);
		lab_json_end(json);
	}
	lab_json_end(json);
}

void sweep_print_json(const struct sweep_result *r, const char *scenario, struct lab_buf *out)
{
	const struct campaign_result *c = &r->cases;
	struct lab_json json;

	lab_json_init(&json, out, false);
	lab_json_object(&json);
	lab_json_put_cstr(&json, "scenario", scenario);
	lab_json_put_cstr(&json, "verdict", sweep_exit_status(r) == 0 ? "pass" : "fail");
	lab_json_put_u64(&json, "cases", c->seeds);
	lab_json_put_u64(&json, "passed", c->passed);
	lab_json_put_u64(&json, "failed", c->failed);
	lab_json_put_u64(&json, "broken", c->broken);
	lab_json_put_u64(&json, "unknown", c->inconclusive);
	lab_json_put_u64(&json, "unfired", r->unfired);
	lab_json_put_u64(&json, "excused", c->excused);
	json_rows(&json, r);
	campaign_json_signatures(&json, c, "cases");
	excuses_json(&c->total.excuses, &json);
	lab_json_end(&json);
	lab_buf_append_cstr(out, "\n");
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * steps-record.c - from what clients did to the steps that do it again.
 */
#include "scenarios/failure/record.h"

#include "scenarios/format/client-words.h"
#include "scenarios/runner/client.h"

/* Operations of one command stand next to each other. */
struct recording {
	const struct history *history;
	struct lab_arena *arena;
	struct scenario_step *steps;
	size_t count;
	bool *has_ended; /* sessions, by number */
};

/* "user0017@example.com" is 17. */
static uint64_t number_of_user(struct lab_view name)
{
	struct lab_view rest = name, local;
	uint64_t number;

	(void)lab_view_split(&rest, '@', &local);
	if (!lab_view_starts_with(local, LAB_VIEW("user")) ||
		lab_view_to_u64(lab_view_skip(local, 4), &number) < 0)
		return 0;
	return number;
}

static bool is_same_command(const struct history_op *a, const struct history_op *b)
{
	return a->session != 0 && a->session == b->session && a->kind == b->kind &&
	       a->invoked_ns == b->invoked_ns && lab_view_eq(a->asked, b->asked);
}

static struct lab_view mail_text(const struct recording *r, const struct history_op *op)
{
	uint32_t number = (uint32_t)op->token;

	if (op->kind == HISTORY_DELIVER || op->uid == 0)
		return lab_view_cstr(lab_arena_printf(r->arena, "%u", number));
	if (number == 0)
		return lab_view_cstr(lab_arena_printf(r->arena, "?@%u", op->uid));
	return lab_view_cstr(lab_arena_printf(r->arena, "%u@%u", number, op->uid));
}

/* Of the flags of a delivery, that of the Sieve script. */
static struct lab_view flag_text(const struct recording *r, const struct history_op *op)
{
	char names[HISTORY_FLAGS_MAX * 16];
	struct lab_view rest, name;

	history_flag_names(r->history, op->flags, names, sizeof(names));
	rest = lab_view_cstr(names);
	while (rest.len > 0 && lab_view_split(&rest, ' ', &name)) {
		if (name.len > 0 && !lab_view_starts_with(name, LAB_VIEW("$HasAttachment")) &&
			!lab_view_starts_with(name, LAB_VIEW("$HasNoAttachment")))
			return lab_arena_copy(r->arena, name);
	}
	return LAB_VIEW("");
}

static struct lab_view word_text(const struct history_op *op)
{
	for (size_t i = 0; i < CLIENT_WORDS; i++) {
		if (op->kind == HISTORY_SEARCH && op->words == UINT64_C(1) << i)
			return client_word(i);
	}
	return LAB_VIEW("");
}

/* A session ends once, whatever it expunges then. */
static bool is_second_logout(struct recording *r, const struct history_op *op)
{
	bool result;

	if (op->kind != HISTORY_AUTOEXPUNGE)
		return false;
	result = r->has_ended[op->session];
	r->has_ended[op->session] = true;
	return result;
}

static void add(struct recording *r, const struct history_op *op)
{
	struct scenario_step *step = &r->steps[r->count];
	bool has_mail = op->token != 0 || op->uid != 0;

	*step = (struct scenario_step){
		.name = lab_view_cstr(lab_arena_printf(r->arena, "%zu", r->count + 1)),
		.at_ns = op->invoked_ns,
		.what = op->kind,
		.user = LAB_MAX(number_of_user(op->user), UINT64_C(1)),
		.session = op->session,
		.backend = lab_arena_copy(r->arena, op->backend),
		.folder = op->asked.len == 0 ? LAB_VIEW("INBOX")
					     : lab_arena_copy(r->arena, op->asked),
		.target = lab_arena_copy(r->arena, op->asked_target),
		.mails = has_mail ? mail_text(r, op) : LAB_VIEW(""),
		.flag = flag_text(r, op),
		.is_set = op->is_set || op->kind != HISTORY_STORE,
		.word = word_text(op),
		.special = lab_arena_copy(r->arena, op->special_use),
	};
	if (op->kind == HISTORY_SUBSCRIBE)
		step->is_set = op->is_set;
	if (op->kind == HISTORY_OPERATE) {
		step->command = step->target;
		step->target = LAB_VIEW("");
	}
	if (op->kind == HISTORY_EXPUNGE)
		step->target = LAB_VIEW("");
	r->count++;
}

static void add_mail(struct recording *r, const struct history_op *op)
{
	struct scenario_step *step = &r->steps[r->count - 1];

	step->mails = lab_view_cstr(lab_arena_printf(
		r->arena, "%.*s,%.*s", LAB_VIEW_ARG(step->mails), LAB_VIEW_ARG(mail_text(r, op))));
}

void record_steps(const struct history *history, uint64_t until_ns, struct lab_arena *arena,
	struct scenario_step **ret, size_t *ret_count)
{
	size_t count = history_count(history), sessions = 0;
	struct recording r = { .history = history, .arena = arena };
	const struct history_op *before = NULL;

	r.steps = lab_arena_array(arena, struct scenario_step, count + 1);
	for (size_t i = 0; i < count; i++)
		sessions = LAB_MAX(sessions, (size_t)history_op(history, i)->session);
	r.has_ended = lab_arena_array(arena, bool, sessions + 1);
	for (size_t i = 0; i < count; i++) {
		const struct history_op *op = history_op(history, i);

		/* Where nobody was, nothing happened. */
		if (op->invoked_ns >= until_ns || op->backend.len == 0 ||
			(scenario_step_kinds() >> op->kind & 1) == 0 || is_second_logout(&r, op))
			continue;
		if (before != NULL && is_same_command(before, op))
			add_mail(&r, op);
		else
			add(&r, op);
		before = op;
	}
	*ret = r.steps;
	*ret_count = r.count;
}

/* ---- a run ---- */

struct recorder {
	struct recorded *ret;
	struct lab_arena *arena;
};

static void take_faults(struct recorder *r, const struct fault_plan *plan)
{
	struct recorded *ret = r->ret;
	size_t count, records = fault_record_count(plan);
	const struct fault_episode *episodes = fault_plan_episodes(plan, &count);

	ret->episodes = lab_arena_array(r->arena, struct fault_episode, count + 1);
	ret->episode_count = count;
	ret->records = lab_arena_array(r->arena, struct fault_record, records + 1);
	ret->record_count = records;
	for (size_t i = 0; i < count; i++)
		ret->episodes[i] = episodes[i];
	for (size_t i = 0; i < records; i++)
		ret->records[i] = *fault_record(plan, i);
}

static void on_end(void *ctx, const struct run_end *end)
{
	struct recorder *r = ctx;
	struct recorded *ret = r->ret;

	record_steps(end->history, end->settled_ns, r->arena, &ret->steps, &ret->step_count);
	take_faults(r, end->plan);
	ret->operations = history_count(end->history);
	ret->warmup_ns = end->warmup_end_ns;
	ret->storm_ns = end->storm_end_ns - end->warmup_end_ns;
	ret->settle_ns = end->settle_end_ns - end->storm_end_ns;
	memcpy(ret->site_backends, end->site_backends, sizeof(ret->site_backends));
}

int record_run(const struct run_options *options, struct lab_arena *arena, struct recorded *ret,
	struct run_result *result, struct lab_error *err)
{
	struct recorder recorder = { ret, arena };
	struct run_options o = *options;

	*ret = (struct recorded){ .seed = options->seed };
	o.on_end = on_end;
	o.on_end_ctx = &recorder;
	return run_simulated(&o, result, err);
}

void record_scenario(
	const struct scenario *base, const struct recorded *recorded, struct scenario *ret)
{
	*ret = *base;
	ret->seed = recorded->seed;
	ret->has_clients = false;
	ret->marks = 0;
	ret->warmup = conf_range_fixed(recorded->warmup_ns);
	ret->storm = conf_range_fixed(recorded->storm_ns);
	ret->settle = conf_range_fixed(recorded->settle_ns);
	for (size_t i = 0; i < base->site_count; i++)
		ret->sites[i].backends = conf_range_fixed(recorded->site_backends[i]);
	ret->steps = recorded->steps;
	ret->step_count = recorded->step_count;
	ret->operator_count = 0;
	ret->fault_count = 0;
	ret->episode_count = 0;
	ret->exact = recorded->episodes;
	ret->exact_count = recorded->episode_count;
}

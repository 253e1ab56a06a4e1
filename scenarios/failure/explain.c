/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/failure/explain.h"

#include "scenarios/runner/report.h"

#include <stdio.h>
#include <stdlib.h>

#define HOW_LINES 9
#define STEPS_SHOWN 8
#define NEIGHBOUR_LINES 5
#define FAULTS_SHOWN 3
#define INDEXES_SHOWN 6
#define EVENTS_MAX 2000000
#define OPS_MAX 100000
#define INDEX_STEPS_MAX 10000
#define ARENA_MAX ((size_t)1 << 31)
#define TEXT_MAX 118 /* of an event */
#define PRECISION LAB_USEC

struct moment {
	uint64_t time_ns, sequence, hash;
};

/* What is remembered of an operation. */
struct outcome {
	enum history_kind kind;
	enum history_outcome outcome;
	uint64_t token, invoked_ns, ended_event;
	const char *folder, *message;
};

/* What a backend did with the index of a folder. */
struct index_step {
	uint64_t time_ns, sequence;
	const char *host, *what;
	const char *user, *folder; /* the folder's GUID */
};

/* What the run found first. */
struct about {
	unsigned invariant;
	uint64_t time_ns;
	const char *user;
};

/* A run, with what it did. */
struct story {
	struct lab_arena *arena;
	struct lab_buf line;
	struct moment *events;
	size_t event_count;
	uint64_t wanted; /* number of an event whose text is wanted */
	const char *wanted_text;
	struct outcome *ops;
	size_t op_count;
	struct index_step *indexes;
	size_t index_count;
	struct about about;
	uint64_t *fault_events; /* the first of each episode, by id; 0: it never fired */
	size_t fault_count;
	struct run_result *result;
};

struct explaining {
	const struct run_options *options;
	const struct shrink_result *shrunk;
	const struct scenario *scenario;
	struct lab_heap *heap;
	struct lab_arena *arena;
	struct lab_buf *out;
	struct story here;
	struct lab_error *err;
};

/* ---- runs ---- */

/* The laboratory's own: what it plans, not what happens. */
static bool is_told_only(enum lab_event_id id)
{
	return id == LAB_EV_episode_started || id == LAB_EV_episode_finished ||
	       id == LAB_EV_phase_started;
}

static void note_fault(struct story *s, const struct lab_event *event)
{
	for (size_t i = 0; i < event->field_count; i++) {
		const struct lab_field *f = &event->fields[i];

		if (strcmp(f->name, "episode") == 0 && f->number >= 1 &&
			f->number <= s->fault_count && s->fault_events[f->number - 1] == 0)
			s->fault_events[f->number - 1] = event->sequence;
	}
}

static const char *text_field(struct story *s, const struct lab_event *event, const char *name)
{
	for (size_t i = 0; i < event->field_count; i++) {
		if (strcmp(event->fields[i].name, name) == 0)
			return lab_arena_cstr(s->arena, event->fields[i].text);
	}
	return "";
}

static const char *index_step_text(const struct lab_event *event)
{
	switch ((int)event->id) {
	case LAB_EV_metacache_mailbox_bundle_upload_finished:
		return "puts its index of the folder into storage";
	case LAB_EV_metacache_mailbox_bundle_download_finished:
		return "gets an index of the folder from storage";
	case LAB_EV_obox_index_merge_finished:
		return "puts what it has and what it got together";
	case LAB_EV_host_crashed:
		return "crashes, and with it goes what it has not put into storage";
	default:
		return NULL;
	}
}

static void note_index(struct story *s, const struct lab_event *event, const char *host)
{
	const char *what = index_step_text(event);

	if (what == NULL || s->index_count == INDEX_STEPS_MAX)
		return;
	s->indexes[s->index_count++] = (struct index_step){ .time_ns = event->time_ns,
		.sequence = event->sequence,
		.host = lab_arena_cstr(s->arena, lab_view_cstr(host)),
		.what = what,
		.user = text_field(s, event, "user"),
		.folder = text_field(s, event, "mailbox_guid") };
}

static void on_event(void *ctx, const struct lab_event *event, const char *host)
{
	struct story *s = ctx;

	if (s->event_count == EVENTS_MAX || is_told_only(event->id))
		return;
	if (event->id == LAB_EV_fault_injected)
		note_fault(s, event);
	note_index(s, event, host);
	lab_buf_reset(&s->line);
	lab_event_format(&s->line, event, host);
	if (event->sequence == s->wanted)
		s->wanted_text = lab_arena_cstr(s->arena, lab_buf_view(&s->line));
	/* That it was injected is no difference: what it does is. */
	if (event->id != LAB_EV_fault_injected)
		s->events[s->event_count++] = (struct moment){ event->time_ns, event->sequence,
			lab_hash_view(0, lab_buf_view(&s->line)) };
}

static void note_finding(struct story *s, const struct run_end *end)
{
	const struct oracle_finding *f = NULL;

	for (size_t i = end->finding_count; i > 0; i--) {
		if (end->findings[i - 1].excuse == NULL)
			f = &end->findings[i - 1];
	}
	if (f == NULL)
		return;
	s->about = (struct about){ .invariant = f->invariant, .time_ns = f->time_ns, .user = "" };
	if (f->op != 0 && f->op <= history_count(end->history))
		s->about.user = lab_arena_cstr(s->arena, history_op(end->history, f->op - 1)->user);
}

static void on_end(void *ctx, const struct run_end *end)
{
	struct story *s = ctx;
	size_t count = LAB_MIN(history_count(end->history), (size_t)OPS_MAX);

	note_finding(s, end);
	s->ops = lab_arena_array(s->arena, struct outcome, count + 1);
	for (size_t i = 0; i < count; i++) {
		const struct history_op *op = history_op(end->history, i);

		if (op->invoked_ns >= end->settled_ns)
			break;
		s->ops[s->op_count++] = (struct outcome){ .kind = op->kind,
			.outcome = op->outcome,
			.token = op->token,
			.invoked_ns = op->invoked_ns,
			.ended_event = op->ended_event,
			.folder = lab_arena_cstr(s->arena, op->folder),
			.message = lab_arena_cstr(s->arena, lab_view_cstr(op->message)) };
	}
}

static bool fails_the_same_way(const struct explaining *e, const struct run_result *r)
{
	return r->verdict == RUN_FAIL && strcmp(r->signature, e->shrunk->signature) == 0;
}

static struct run_options options_for(
	const struct explaining *e, const struct scenario *scenario, bool has_defects)
{
	struct run_options o = *e->options;

	o.scenario = scenario;
	o.episode_count = 0;
	o.explain_lines = HOW_LINES;
	if (!has_defects)
		o.defects = LAB_NO_DEFECTS;
	return o;
}

static int tell(struct explaining *e, const struct scenario *scenario, bool has_defects,
	uint64_t wanted, struct story *ret)
{
	struct run_options o = options_for(e, scenario, has_defects);

	*ret = (struct story){ .arena = e->arena, .wanted = wanted };
	lab_buf_init(&ret->line, e->heap, 1 << 20);
	ret->events = lab_new_array(e->heap, struct moment, EVENTS_MAX);
	ret->indexes = lab_arena_array(e->arena, struct index_step, INDEX_STEPS_MAX);
	ret->fault_count = scenario->exact_count;
	ret->fault_events = lab_arena_array(e->arena, uint64_t, ret->fault_count + 1);
	ret->result = lab_new(e->heap, struct run_result);
	o.on_event = on_event;
	o.on_event_ctx = ret;
	o.on_end = on_end;
	o.on_end_ctx = ret;
	return run_simulated(&o, ret->result, e->err);
}

static void forget(struct explaining *e, struct story *story)
{
	lab_buf_done(&story->line);
	lab_heap_free(e->heap, story->events);
	lab_heap_free(e->heap, story->result);
	story->events = NULL;
	story->result = NULL;
}

/* Only its verdict. */
static bool would_fail(
	struct explaining *e, const struct scenario *scenario, char signature[ORACLE_SIGNATURE_MAX])
{
	struct run_options o = options_for(e, scenario, true);
	struct run_result *r = lab_new(e->heap, struct run_result);
	struct lab_error err;
	bool result = run_simulated(&o, r, &err) == 0 && fails_the_same_way(e, r);

	if (signature != NULL)
		memcpy(signature, r->signature, sizeof(r->signature));
	lab_heap_free(e->heap, r);
	return result;
}

/* ---- changed scenarios ---- */

static struct scenario *copy_of(struct explaining *e)
{
	struct scenario *copy = lab_arena_new_of(e->arena, struct scenario);

	*copy = *e->scenario;
	return copy;
}

static struct scenario *without_fault(struct explaining *e, size_t index)
{
	struct scenario *s = copy_of(e);
	struct fault_episode *exact =
		lab_arena_array(e->arena, struct fault_episode, s->exact_count);
	size_t count = 0;

	for (size_t i = 0; i < s->exact_count; i++) {
		struct fault_episode episode = s->exact[i];

		if (i == index || episode.after == index + 1)
			continue;
		if (episode.after > index + 1)
			episode.after--;
		exact[count++] = episode;
	}
	s->exact = exact;
	s->exact_count = count;
	return s;
}

/* Everything heals, and nothing more is begun, at that time. What goes on by itself (uploads) has
 * as long as before. */
static struct scenario *ended_at(struct explaining *e, uint64_t end_ns)
{
	struct scenario *s = copy_of(e);
	struct scenario_step *steps =
		lab_arena_array(e->arena, struct scenario_step, s->step_count + 1);
	uint64_t warmup = LAB_MIN(s->warmup.low, end_ns);
	uint64_t all = s->warmup.low + s->storm.low + s->settle.low;
	size_t count = 0;

	for (size_t i = 0; i < s->step_count; i++) {
		if (s->steps[i].at_ns <= end_ns)
			steps[count++] = s->steps[i];
	}
	s->steps = steps;
	s->step_count = count;
	s->warmup = conf_range_fixed(warmup);
	s->storm = conf_range_fixed(end_ns - warmup);
	s->settle = conf_range_fixed(all - end_ns);
	return s;
}

static struct scenario *without_defects(struct explaining *e)
{
	struct scenario *s = copy_of(e);

	s->defects = LAB_NO_DEFECTS;
	return s;
}

/* ---- in words ---- */

static void print_time(struct lab_buf *out, uint64_t ns)
{
	lab_buf_printf(out, "%" PRIu64 ".%03us", ns / LAB_SEC, (unsigned)(ns / LAB_MSEC % 1000));
}

static const char *ordinal(uint64_t n)
{
	static const char *const names[] = { "", "first", "second", "third", "4th", "5th", "6th",
		"7th", "8th" };

	return n < LAB_COUNT_OF(names) ? names[n] : "n-th";
}

/* Not every kind: what it does is its sentence in the table. */
static void print_points(struct lab_buf *out, uint64_t points)
{
	const char *separator = "";

	for (unsigned p = 0; p < FAULT_POINT_COUNT; p++) {
		if ((points >> p & 1) == 0)
			continue;
		lab_buf_printf(out, "%s%s", separator, fault_point_name((enum fault_point)p));
		separator = " or ";
	}
}

static void print_fault(struct explaining *e, size_t index)
{
	const struct fault_episode *f = &e->scenario->exact[index];
	struct lab_buf *out = e->out;
	const char *of = f->target[0] == '\0' ? "anybody" : f->target;

	lab_buf_printf(out, "  fault %zu: ", index + 1);
	if (fault_kind_is_world(f->kind)) {
		lab_buf_printf(out, "%s of %s%s%s from ", fault_kind_name(f->kind), of,
			f->other[0] == '\0' ? "" : " and ", f->other);
		print_time(out, f->start_ns);
		lab_buf_append_cstr(out, " on for ");
		print_time(out, f->length_ns);
	} else {
		if (f->nth != 0)
			lab_buf_printf(out, "the %s ", ordinal(f->nth));
		else
			lab_buf_printf(out, "%u%% of ", f->rate_ppm / 10000);
		print_points(out, f->points);
		lab_buf_printf(out, " of %s from ", of);
		print_time(out, f->start_ns);
		lab_buf_printf(out, " on: %s", fault_kind_name(f->kind));
	}
	if (e->here.fault_events[index] != 0)
		lab_buf_printf(out, ", event #%" PRIu64, e->here.fault_events[index]);
	lab_buf_printf(out, ". %s", fault_kind_doc(f->kind));
}

static void print_step(struct explaining *e, const struct scenario_step *step)
{
	struct lab_buf *out = e->out;

	lab_buf_append_cstr(out, "  ");
	print_time(out, step->at_ns);
	lab_buf_printf(out, "  user %" PRIu64 " on %.*s: %s", step->user,
		LAB_VIEW_ARG(step->backend), history_kind_name(step->what));
	if (step->mails.len > 0)
		lab_buf_printf(out, " mail %.*s", LAB_VIEW_ARG(step->mails));
	if (step->flag.len > 0)
		lab_buf_printf(out, " %s%.*s", step->is_set ? "+" : "-", LAB_VIEW_ARG(step->flag));
	if (step->what == HISTORY_OPERATE)
		lab_buf_printf(out, " %.*s", LAB_VIEW_ARG(step->command));
	else
		lab_buf_printf(out, " %s %.*s", step->what == HISTORY_DELIVER ? "into" : "in",
			LAB_VIEW_ARG(step->folder));
	if (step->target.len > 0)
		lab_buf_printf(out, " to %.*s", LAB_VIEW_ARG(step->target));
	for (size_t i = 0; i < e->here.op_count; i++) {
		const struct outcome *op = &e->here.ops[i];

		if (op->kind != step->what || op->invoked_ns < step->at_ns)
			continue;
		lab_buf_printf(out, " -> %s, event #%" PRIu64, history_outcome_name(op->outcome),
			op->ended_event);
		break;
	}
	lab_buf_append_byte(out, '\n');
}

/* ---- the parts ---- */

/* The report up to its trace hash. */
static void print_report(struct explaining *e)
{
	struct lab_view report = lab_view_cstr(e->here.result->report);
	size_t end = lab_view_find(report, LAB_VIEW("\nTrace hash"));

	report = end == SIZE_MAX ? report : lab_view_sub(report, 0, end);
	lab_buf_append_view(e->out, report);
	if (lab_view_find(report, LAB_VIEW("forward row")) != SIZE_MAX ||
		lab_view_find(report, LAB_VIEW("reverse row")) != SIZE_MAX)
		lab_buf_append_cstr(e->out,
			"  (forward row: this mail is in that folder; reverse row: so this object "
			"is still needed)\n");
}

/* Flags, numbers and folders are in indexes, of which each backend has its own. */
static bool is_about_indexes(unsigned invariant)
{
	return invariant == 3 || invariant == 4 || (invariant >= 6 && invariant <= 11) ||
	       invariant == 22;
}

static bool is_shown(const struct explaining *e, const struct index_step *step)
{
	const struct about *about = &e->here.about;

	return step->time_ns <= about->time_ns &&
	       (step->user[0] == '\0' || strcmp(step->user, about->user) == 0);
}

static void print_indexes(struct explaining *e)
{
	const struct story *s = &e->here;
	size_t count = 0;

	if (!is_about_indexes(s->about.invariant))
		return;
	for (size_t i = 0; i < s->index_count; i++)
		count += is_shown(e, &s->indexes[i]);
	if (count == 0)
		return;
	lab_buf_append_cstr(e->out, "\nWhat became of the indexes (each backend has its own; the "
				    "auditor begins with none)\n");
	for (size_t i = 0; i < s->index_count; i++) {
		const struct index_step *step = &s->indexes[i];

		if (!is_shown(e, step) || count-- > INDEXES_SHOWN)
			continue;
		lab_buf_append_cstr(e->out, "  ");
		print_time(e->out, step->time_ns);
		lab_buf_printf(
			e->out, "  %s %s  #%" PRIu64 "\n", step->host, step->what, step->sequence);
	}
}

static void print_needs(struct explaining *e, size_t *ret_needed)
{
	const struct scenario *s = e->scenario;
	char signature[ORACLE_SIGNATURE_MAX];

	lab_buf_printf(e->out,
		"\nWhat it takes (%zu operations of %zu, %zu faults of %zu that fired)\n",
		s->step_count, e->shrunk->steps_before, s->exact_count, e->shrunk->faults_before);
	for (size_t i = 0; i < s->step_count && i < STEPS_SHOWN; i++)
		print_step(e, &s->steps[i]);
	if (s->step_count > STEPS_SHOWN)
		lab_buf_printf(e->out, "  and %zu more\n", s->step_count - STEPS_SHOWN);
	*ret_needed = SIZE_MAX;
	for (size_t i = 0; i < s->exact_count; i++) {
		bool is_needed = !would_fail(e, without_fault(e, i), signature);

		if (is_needed && *ret_needed == SIZE_MAX)
			*ret_needed = i;
		if (i >= FAULTS_SHOWN)
			continue;
		print_fault(e, i);
		if (!is_needed)
			lab_buf_append_cstr(e->out, " Not needed.\n");
		else if (signature[0] == '\0')
			lab_buf_append_cstr(e->out, " Needed: without it the run passes.\n");
		else
			lab_buf_printf(e->out, " Needed: without it, %s.\n", signature);
	}
	if (s->exact_count > FAULTS_SHOWN)
		lab_buf_printf(e->out, "  and %zu more\n", s->exact_count - FAULTS_SHOWN);
	for (unsigned d = 0; d < LAB_DEFECT_COUNT; d++) {
		if (lab_defects_has(&s->defects, (enum lab_defect)d))
			lab_buf_printf(e->out, "  defect %s: %s\n",
				lab_defect_info((enum lab_defect)d)->name,
				lab_defect_info((enum lab_defect)d)->doc);
	}
}

/* The number of the first event after that; 0: there is none. */
static uint64_t first_event_after(const struct story *story, uint64_t time_ns)
{
	size_t i = 0;

	while (i < story->event_count && story->events[i].time_ns <= time_ns)
		i++;
	return i < story->event_count ? story->events[i].sequence : 0;
}

static void print_event(struct explaining *e, const char *who, uint64_t number, const char *text)
{
	lab_buf_printf(e->out, "  %s#%" PRIu64 " %.*s\n", who, number, TEXT_MAX,
		text == NULL ? "(nothing more)" : text);
}

/* `text` of an event of that run: by running it again. */
static const char *text_of(
	struct explaining *e, const struct scenario *scenario, bool has_defects, uint64_t number)
{
	struct story story;
	const char *text = NULL;

	if (tell(e, scenario, has_defects, number, &story) == 0)
		text = story.wanted_text;
	forget(e, &story);
	return text;
}

static void print_no_return(struct explaining *e)
{
	uint64_t low = 0, high = e->scenario->warmup.low + e->scenario->storm.low, number;

	if (!e->shrunk->is_told || e->scenario->damage != 0 || e->scenario->repair != 0 ||
		e->scenario->migrated_from.len > 0)
		return;
	if (would_fail(e, ended_at(e, low), NULL)) {
		lab_buf_append_cstr(
			e->out, "\nPoint of no return: none, it fails before anything happens\n");
		return;
	}
	while (high - low > PRECISION) {
		uint64_t middle = low + (high - low) / 2;

		if (would_fail(e, ended_at(e, middle), NULL))
			high = middle;
		else
			low = middle;
	}
	number = first_event_after(&e->here, low);
	lab_buf_append_cstr(e->out, "\nPoint of no return: ");
	print_time(e->out, high);
	lab_buf_append_cstr(e->out,
		" after the start. If from then on nothing fails and nobody asks for anything,\n"
		"  it comes to the same; a moment before, it would pass. What happens next:\n");
	print_event(e, "", number, text_of(e, e->scenario, true, number));
}

/* How many are the same. */
static size_t same_events(const struct story *a, const struct story *b)
{
	size_t i = 0;

	while (i < a->event_count && i < b->event_count && a->events[i].hash == b->events[i].hash)
		i++;
	return i;
}

static uint64_t number_at(const struct story *story, size_t index)
{
	return index < story->event_count ? story->events[index].sequence : 0;
}

static void print_outcomes(struct explaining *e, const struct story *there)
{
	size_t count = LAB_MIN(e->here.op_count, there->op_count);

	for (size_t i = 0; i < count; i++) {
		const struct outcome *a = &e->here.ops[i], *b = &there->ops[i];

		if (a->kind != b->kind || a->token != b->token || a->outcome == b->outcome)
			continue;
		lab_buf_printf(e->out,
			"  first other outcome: %s %s, here %s (#%" PRIu64 "), there %s\n",
			history_kind_name(a->kind), a->folder, history_outcome_name(a->outcome),
			a->ended_event, history_outcome_name(b->outcome));
		return;
	}
}

static void print_neighbour(
	struct explaining *e, const char *name, const struct scenario *scenario, bool has_defects)
{
	struct story there;
	uint64_t here_number, there_number;
	size_t same;

	if (tell(e, scenario, has_defects, 0, &there) < 0) {
		forget(e, &there);
		return;
	}
	same = same_events(&e->here, &there);
	here_number = number_at(&e->here, same);
	there_number = number_at(&there, same);
	lab_buf_printf(e->out, "\nWithout %s: %s. ", name, run_verdict_name(there.result->verdict));
	if (here_number == 0 && there_number == 0) {
		lab_buf_append_cstr(e->out, "All that happens is the same, but what is there in "
					    "the end is not\n");
	} else {
		lab_buf_append_cstr(e->out, "The first event that differs, here and there:\n");
		print_event(e, "here  ", here_number, text_of(e, e->scenario, true, here_number));
		print_event(
			e, "there ", there_number, text_of(e, scenario, has_defects, there_number));
	}
	print_outcomes(e, &there);
	forget(e, &there);
}

static size_t lines_of(const struct lab_buf *out)
{
	size_t lines = 0;

	for (size_t i = 0; i < out->len; i++)
		lines += out->data[i] == '\n';
	return lines;
}

static void print_neighbours(struct explaining *e, size_t needed)
{
	char name[32];

	if (needed != SIZE_MAX) {
		(void)snprintf(name, sizeof(name), "fault %zu", needed + 1);
		print_neighbour(e, name, without_fault(e, needed), true);
	}
	/* There is room for the first one in any case. */
	if (memcmp(&e->scenario->defects, &LAB_NO_DEFECTS, sizeof(LAB_NO_DEFECTS)) != 0 &&
		lines_of(e->out) + NEIGHBOUR_LINES <= EXPLAIN_LINES_MAX)
		print_neighbour(e, "the defect", without_defects(e), false);
}

int explain_run(const struct run_options *options, const struct shrink_result *shrunk,
	struct lab_heap *heap, struct lab_buf *out, struct lab_error *err)
{
	struct explaining e = { .options = options,
		.shrunk = shrunk,
		.scenario = shrunk->scenario,
		.heap = heap,
		.arena = lab_arena_new(heap, ARENA_MAX),
		.out = out,
		.err = err };
	size_t needed;
	int result = tell(&e, e.scenario, true, 0, &e.here);

	if (result == 0 && !fails_the_same_way(&e, e.here.result))
		result = lab_fail(err, LAB_INVALID, "what was shrunk does not fail as it did: %s",
			run_verdict_name(e.here.result->verdict));
	if (result == 0) {
		print_report(&e);
		print_indexes(&e);
		print_needs(&e, &needed);
		print_no_return(&e);
		print_neighbours(&e, needed);
	}
	forget(&e, &e.here);
	lab_arena_free(&e.arena);
	return result;
}

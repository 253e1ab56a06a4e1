/* SPDX-License-Identifier: Apache-2.0
 *
 * trace.c - what of a run goes into its trace.
 */
#include "scenarios/failure/trace-private.h"

#include <stdio.h>

#define LINE_MAX_BYTES ((size_t)1 << 20)

struct session {
	uint64_t first_ns, last_ns; /* last_ns 0: it has no operation */
	uint64_t free_ns;           /* from when on its next operation lies beside nothing */
	struct lab_view user;
};

static void find_starts(struct trace *t)
{
	for (size_t id = 0; id < LAB_EV_COUNT; id++) {
		struct lab_view name = lab_view_cstr(lab_event_name((enum lab_event_id)id));

		t->starts_of[id] = LAB_EV_COUNT;
		if (!lab_view_ends_with(name, LAB_VIEW("_finished")))
			continue;
		name = lab_view_sub(name, 0, name.len - (sizeof("finished") - 1));
		for (size_t i = 0; i < LAB_EV_COUNT; i++) {
			struct lab_view other = lab_view_cstr(lab_event_name((enum lab_event_id)i));

			if (other.len == name.len + sizeof("started") - 1 &&
				lab_view_starts_with(other, name) &&
				lab_view_ends_with(other, LAB_VIEW("started")))
				t->starts_of[id] = (enum lab_event_id)i;
		}
	}
}

struct trace *trace_new(struct lab_heap *heap, trace_write_fn write, void *ctx)
{
	struct trace *t = lab_new(heap, struct trace);

	t->heap = heap;
	t->write = write;
	t->ctx = ctx;
	t->fibers = lab_new_array(heap, struct trace_fiber, TRACE_FIBERS);
	t->nodes = lab_map_new(heap, TRACE_NODES_MAX);
	lab_buf_init(&t->line, heap, LINE_MAX_BYTES);
	find_starts(t);
	trace_process(t, TRACE_LAB, LAB_VIEW("laboratory"));
	trace_process(t, TRACE_CLIENTS, LAB_VIEW("clients"));
	return t;
}

void trace_free(struct trace **trace)
{
	struct trace *t = *trace;

	if (t == NULL)
		return;
	lab_buf_done(&t->line);
	lab_map_free(&t->nodes);
	lab_heap_free(t->heap, t->fibers);
	lab_heap_free(t->heap, t);
	*trace = NULL;
}

int trace_finish(struct trace *t, struct lab_error *err)
{
	if (t->err.code == LAB_OK)
		(void)t->write(t->ctx, LAB_VIEW("\n]\n"), &t->err);
	if (t->err.code == LAB_OK)
		return 0;
	*err = t->err;
	return -1;
}

/* ---- the laboratory ---- */

static struct trace_line lab_line(char phase, const char *category, struct lab_view name)
{
	return (struct trace_line){
		.phase = phase, .category = category, .name = name, .pid = TRACE_LAB
	};
}

static void end_phase(struct trace *t)
{
	struct trace_line line = lab_line('e', "phase", lab_view_cstr(t->phase));

	if (t->phase[0] == '\0')
		return;
	line.time_ns = t->now_ns;
	(void)snprintf(line.track, sizeof(line.track), "phases");
	trace_begin(t, &line);
	trace_end(t);
	t->phase[0] = '\0';
}

static void begin_phase(struct trace *t, const struct lab_event *event)
{
	struct trace_line line;

	end_phase(t);
	(void)snprintf(t->phase, sizeof(t->phase), "%.*s", LAB_VIEW_ARG(event->fields[0].text));
	line = lab_line('b', "phase", lab_view_cstr(t->phase));
	line.time_ns = event->time_ns;
	(void)snprintf(line.track, sizeof(line.track), "phases");
	trace_begin(t, &line);
	trace_fields(t, event);
	trace_end(t);
}

/* Across the whole height of the viewer: a fault, a crash. */
static void global_instant(struct trace *t, const struct lab_event *event)
{
	struct trace_line line = lab_line('i', "fault", lab_view_cstr(lab_event_name(event->id)));
	char text[128];

	for (size_t i = 0; i < event->field_count; i++) {
		if (strcmp(event->fields[i].name, "kind") != 0)
			continue;
		(void)snprintf(
			text, sizeof(text), "fault %.*s", LAB_VIEW_ARG(event->fields[i].text));
		line.name = lab_view_cstr(text);
	}
	line.pid = event->host == 0 ? TRACE_LAB : TRACE_HOSTS + event->host;
	line.time_ns = event->time_ns;
	line.scope = 'g';
	trace_begin(t, &line);
	trace_fields(t, event);
	trace_end(t);
}

static void on_lab_event(struct trace *t, const struct lab_event *event)
{
	struct trace_line line = lab_line('i', "event", lab_view_cstr(lab_event_name(event->id)));

	line.time_ns = event->time_ns;
	line.scope = 'p';
	trace_begin(t, &line);
	trace_fields(t, event);
	trace_end(t);
}

static void on_event(void *ctx, const struct lab_event *event, const char *host)
{
	struct trace *t = ctx;

	t->now_ns = event->time_ns;
	if (event->host != 0 && event->host < TRACE_NODES_MAX && !t->is_named[event->host]) {
		t->is_named[event->host] = true;
		trace_process(t, TRACE_HOSTS + event->host, lab_view_cstr(host));
	}
	switch ((int)event->id) {
	case LAB_EV_phase_started:
		begin_phase(t, event);
		break;
	case LAB_EV_host_crashed:
		trace_fibers_end(t, event->host, "the host crashed");
		global_instant(t, event);
		break;
	case LAB_EV_host_hung:
	case LAB_EV_host_went_on:
	case LAB_EV_fault_injected:
		global_instant(t, event);
		break;
	case LAB_EV_operation_invoked:
	case LAB_EV_operation_finished:
		/* The history has more of them, at the end. */
	case LAB_EV_episode_started:
	case LAB_EV_episode_finished:
		break; /* so has the plan */
	default:
		if (event->host == 0)
			on_lab_event(t, event);
		else
			trace_fiber_event(t, event);
		break;
	}
}

/* ---- services ---- */

static uint64_t node_pid(struct trace *t, struct lab_view name)
{
	void **slot;

	if (lab_map_get(t->nodes, name) == NULL && lab_map_count(t->nodes) == TRACE_NODES_MAX)
		return TRACE_NODES;
	slot = lab_map_slot(t->nodes, name);
	if (*slot == NULL) {
		uint64_t pid = TRACE_NODES + lab_map_count(t->nodes);

		*slot = (void *)(uintptr_t)pid;
		trace_process(t, pid, name);
	}
	return (uint64_t)(uintptr_t)*slot;
}

static void put_view(struct trace *t, const char *key, struct lab_view text)
{
	if (text.len == 0)
		return;
	lab_json_key(&t->json, key);
	lab_json_view(&t->json, text);
}

/* What is no text as hexadecimal digits. */
static void put_bytes(struct trace *t, const char *key, struct lab_view bytes)
{
	char hex[2 * HISTORY_OID_BYTES_MAX + 1];

	for (size_t i = 0; i < bytes.len; i++) {
		if (bytes.ptr[i] >= ' ' && bytes.ptr[i] < 0x7f)
			continue;
		bytes.len = LAB_MIN(bytes.len, (size_t)HISTORY_OID_BYTES_MAX);
		lab_hex(bytes.ptr, bytes.len, hex);
		bytes = lab_view_cstr(hex);
		break;
	}
	put_view(t, key, bytes);
}

static void access_members(struct trace *t, const struct sim_access *a)
{
	put_view(t, "peer", a->peer);
	put_view(t, "method", a->method);
	put_view(t, "subject", a->subject);
	put_view(t, "request", a->request);
	put_view(t, "user", a->user);
	put_bytes(t, "object", a->object);
	lab_json_put_u64(&t->json, "status", a->status);
	if (a->code != NULL)
		lab_json_put_cstr(&t->json, "code", a->code);
	lab_json_put_bool(&t->json, "applied", a->applied);
	lab_json_put_bool(&t->json, "answered", a->answered);
	lab_json_put_cstr(&t->json, "outcome",
		!a->answered      ? "not answered"
		: a->status < 300 ? "ok"
				  : "error");
	if (a->is_repeat)
		lab_json_put_bool(&t->json, "is_repeat", true);
	if (a->fault_id != 0)
		lab_json_put_u64(&t->json, "fault", a->fault_id);
	lab_json_put_u64(&t->json, "bytes", a->bytes);
}

static void on_access(void *ctx, const struct sim_access *a)
{
	struct trace *t = ctx;
	struct trace_line line = { .phase = 'b',
		.category = a->service,
		.name = a->operation,
		.pid = node_pid(t, a->instance),
		.time_ns = a->received_ns };

	(void)snprintf(line.track, sizeof(line.track), "access-%" PRIu64, ++t->last_access);
	trace_begin(t, &line);
	access_members(t, a);
	trace_end(t);
	line.phase = 'e';
	line.time_ns = LAB_MAX(a->received_ns, a->answered_ns);
	trace_begin(t, &line);
	trace_end(t);
}

/* ---- what the end knows: history, episodes, findings ---- */

static uint64_t end_of(const struct history_op *op, const struct run_end *end)
{
	return LAB_MAX(
		op->invoked_ns, op->outcome == HISTORY_PENDING ? end->ended_ns : op->ended_ns);
}

static size_t find_sessions(
	struct trace *t, const struct run_end *end, struct session **ret, uint32_t count)
{
	struct session *sessions = lab_new_array(t->heap, struct session, (size_t)count + 1);

	for (size_t i = 0; i < history_count(end->history); i++) {
		const struct history_op *op = history_op(end->history, i);
		struct session *s = &sessions[op->session];

		if (s->last_ns == 0) {
			s->first_ns = op->invoked_ns;
			s->user = op->user;
		}
		s->last_ns = LAB_MAX(s->last_ns, LAB_MAX(end_of(op, end), 1));
	}
	*ret = sessions;
	return (size_t)count + 1;
}

static void session_lines(struct trace *t, char phase, const struct session *sessions, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct trace_line line = { .phase = phase,
			.category = "session",
			.name = sessions[i].user,
			.pid = TRACE_CLIENTS,
			.time_ns = phase == 'b' ? sessions[i].first_ns : sessions[i].last_ns };

		if (sessions[i].last_ns == 0)
			continue;
		(void)snprintf(line.track, sizeof(line.track), "session-%zu", i);
		trace_begin(t, &line);
		trace_end(t);
	}
}

static void operation_members(struct trace *t, const struct history_op *op)
{
	lab_json_put_u64(&t->json, "ev", op->invoked_event);
	lab_json_put_u64(&t->json, "ended_ev", op->ended_event);
	lab_json_put_u64(&t->json, "operation", op->id);
	put_view(t, "user", op->user);
	put_view(t, "folder", op->folder);
	put_view(t, "target", op->target);
	put_view(t, "backend", op->backend);
	if (op->session != 0)
		lab_json_put_u64(&t->json, "session", op->session);
	if (op->token != 0)
		lab_json_put_u64(&t->json, "token", op->token);
	if (op->uid != 0)
		lab_json_put_u64(&t->json, "uid", op->uid);
	lab_json_put_cstr(&t->json, "outcome", history_outcome_name(op->outcome));
	lab_json_put_cstr(&t->json, "code", lab_code_name(op->code));
	put_view(t, "message", lab_view_cstr(op->message));
}

/* On its session's track, unless it lies beside another one. */
static void operation_lines(
	struct trace *t, const struct history_op *op, struct session *session, uint64_t end_ns)
{
	struct trace_line line = { .phase = 'b',
		.category = "operation",
		.name = lab_view_cstr(history_kind_name(op->kind)),
		.pid = TRACE_CLIENTS,
		.time_ns = op->invoked_ns };

	(void)snprintf(line.track, sizeof(line.track), "operation-%" PRIu32, op->id);
	if (op->session != 0 && op->invoked_ns >= session->free_ns) {
		line.category = "session";
		(void)snprintf(line.track, sizeof(line.track), "session-%" PRIu32, op->session);
		session->free_ns = end_ns;
	}
	trace_begin(t, &line);
	operation_members(t, op);
	trace_end(t);
	line.phase = 'e';
	line.time_ns = end_ns;
	trace_begin(t, &line);
	trace_end(t);
}

static void tell_history(struct trace *t, const struct run_end *end)
{
	size_t operations = history_count(end->history), count;
	struct session *sessions;
	uint32_t last = 0;

	for (size_t i = 0; i < operations; i++)
		last = LAB_MAX(last, history_op(end->history, i)->session);
	count = find_sessions(t, end, &sessions, last);
	session_lines(t, 'b', sessions, count);
	for (size_t i = 0; i < operations; i++) {
		const struct history_op *op = history_op(end->history, i);

		operation_lines(t, op, &sessions[op->session], end_of(op, end));
	}
	session_lines(t, 'e', sessions, count);
	lab_heap_free(t->heap, sessions);
}

static void tell_episode(struct trace *t, const struct fault_episode *e, uint64_t ended_ns)
{
	struct trace_line line = lab_line('b', "episode", lab_view_cstr(fault_kind_name(e->kind)));
	uint64_t rest_ns = ended_ns - LAB_MIN(ended_ns, e->start_ns);

	if (e->is_disabled || e->start_ns > ended_ns)
		return;
	line.time_ns = e->start_ns;
	(void)snprintf(line.track, sizeof(line.track), "episode-%" PRIu32, e->id);
	trace_begin(t, &line);
	put_view(t, "target", lab_view_cstr(e->target));
	put_view(t, "other", lab_view_cstr(e->other));
	lab_json_put_u64(&t->json, "rate_ppm", e->rate_ppm);
	lab_json_put_u64(&t->json, "asked", e->asked);
	lab_json_put_u64(&t->json, "fired", e->fired);
	trace_end(t);
	line.phase = 'e';
	line.time_ns = e->start_ns + LAB_MIN(e->length_ns, rest_ns);
	trace_begin(t, &line);
	trace_end(t);
}

static void tell_finding(struct trace *t, const struct oracle_finding *f)
{
	struct trace_line line = lab_line('i', "finding", lab_view_cstr(f->signature));

	line.time_ns = f->time_ns;
	line.scope = 'g';
	trace_begin(t, &line);
	lab_json_put_u64(&t->json, "invariant", f->invariant);
	lab_json_put_cstr(&t->json, "sentence", f->sentence);
	lab_json_key(&t->json, "why");
	lab_json_array(&t->json);
	for (size_t i = 0; i < LAB_COUNT_OF(f->why) && f->why[i][0] != '\0'; i++)
		lab_json_cstr(&t->json, f->why[i]);
	lab_json_end(&t->json);
	if (f->op != 0)
		lab_json_put_u64(&t->json, "operation", f->op);
	if (f->excuse != NULL)
		lab_json_put_cstr(&t->json, "excuse", f->excuse);
	trace_end(t);
}

static void on_end(void *ctx, const struct run_end *end)
{
	struct trace *t = ctx;
	size_t count;
	const struct fault_episode *episodes = fault_plan_episodes(end->plan, &count);

	t->now_ns = end->ended_ns;
	trace_fibers_end(t, UINT32_MAX, "the run ended");
	end_phase(t);
	for (size_t i = 0; i < count; i++)
		tell_episode(t, &episodes[i], end->ended_ns);
	tell_history(t, end);
	for (size_t i = 0; i < end->finding_count; i++)
		tell_finding(t, &end->findings[i]);
}

void trace_attach(struct trace *t, struct run_options *options)
{
	options->on_event = on_event;
	options->on_event_ctx = t;
	options->on_access = on_access;
	options->on_access_ctx = t;
	options->on_end = on_end;
	options->on_end_ctx = t;
}

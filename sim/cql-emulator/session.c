/* SPDX-License-Identifier: Apache-2.0
 *
 * session.c - a connection: its life, events, and the stream operations.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

/* Out of all lists; freed when nobody on the stack can hold it any more. */
static void session_unlink(struct cqlemu *emu, struct cqle_session *s)
{
	if (s->closed)
		return;
	s->closed = true;
	if (s->previous != NULL)
		s->previous->next = s->next;
	else
		emu->sessions = s->next;
	if (s->next != NULL)
		s->next->previous = s->previous;
	emu->session_count--;
	for (struct cqle_op *op = emu->active_ops; op != NULL && s->inflight > 0; op = op->next) {
		if (op->session != s)
			continue;
		op->session = NULL;
		s->inflight--;
	}
	s->next_dead = emu->dead_sessions;
	emu->dead_sessions = s;
}

void cqle_session_reset(struct cqlemu *emu, struct cqle_session *s)
{
	if (s->closed)
		return;
	session_unlink(emu, s);
	cqle_output(emu, s, lab_view_of("", 0), SIM_WIRE_RESET);
}

void cqle_session_bury(struct cqlemu *emu)
{
	while (emu->dead_sessions != NULL) {
		struct cqle_session *s = emu->dead_sessions;
		emu->dead_sessions = s->next_dead;
		lab_buf_done(&s->in);
		lab_buf_done(&s->held);
		lab_buf_done(&s->large);
		lab_heap_free(emu->heap, s->stuck);
		lab_heap_free(emu->heap, s->names);
		lab_heap_free(emu->heap, s);
	}
}

/* ---- events ---- */

static void broadcast(struct cqlemu *emu, size_t node, unsigned kind, const struct cql_event *event)
{
	struct cqle_session *next;
	struct cql_response response = { .opcode = CQL_EVENT, .event = *event };
	for (struct cqle_session *s = emu->sessions; s != NULL; s = next) {
		next = s->next;
		if ((s->events & kind) != 0 && s->node == node &&
			emu->nodes[s->node].state == CQLEMU_NODE_UP)
			cqle_wire_send(
				emu, s, s->version, CQL_EVENT_STREAM, &response, SIM_WIRE_ANSWER);
	}
}

void cqle_event_status(struct cqlemu *emu, size_t observer, size_t node, bool up)
{
	struct cql_event event = { .type = LAB_VIEW("STATUS_CHANGE"),
		.change = lab_view_cstr(up ? "UP" : "DOWN"),
		.node = { .size = 4, .port = emu->options.native_port } };
	memcpy(event.node.address, emu->nodes[node].address, 4);
	broadcast(emu, observer, CQLE_EVENT_STATUS, &event);
}

void cqle_event_schema(struct cqlemu *emu, size_t node, const struct cql_schema_change *change)
{
	struct cql_event event = { .type = LAB_VIEW("SCHEMA_CHANGE"), .schema = *change };
	broadcast(emu, node, CQLE_EVENT_SCHEMA, &event);
}

static void keep(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	lab_buf_append_view(&s->in, data);
	if (s->in.overflow)
		cqle_session_reset(emu, s);
}

void cqle_session_run(struct cqlemu *emu, struct cqle_session *s)
{
	if (s->closed || s->in.len == 0)
		return;
	lab_buf_consume(&s->in, cqle_wire_take(emu, s, lab_buf_view(&s->in)));
}

static void take_input(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	if (s->in.len > 0) {
		keep(emu, s, data);
		cqle_session_run(emu, s);
		return;
	}
	size_t used = cqle_wire_take(emu, s, data);
	if (used < data.len)
		keep(emu, s, lab_view_skip(data, used));
}

/* ---- the stream operations ---- */

void cqle_enter(struct cqlemu *emu, uint64_t now_ns)
{
	lab_check(emu, CQLE_MAGIC);
	lab_assert(!emu->busy);
	emu->busy = true;
	emu->now_ns = LAB_MAX(emu->now_ns, now_ns);
	cqle_events_run(emu);
}

/* What came in meanwhile, from inside of callbacks, is done now. */
static void run_pending(struct cqlemu *emu)
{
	while (emu->pending_first != NULL) {
		struct cqle_session *s = emu->pending_first;
		emu->pending_first = s->next_pending;
		s->pending = false;
		if (s->close_pending)
			session_unlink(emu, s);
		else
			cqle_session_run(emu, s);
	}
	emu->pending_last = NULL;
}

void cqle_leave(struct cqlemu *emu)
{
	do {
		run_pending(emu);
		cqle_keep(emu, true);
	} while (emu->pending_first != NULL);
	cqle_session_bury(emu);
	emu->busy = false;
}

static void make_pending(struct cqlemu *emu, struct cqle_session *s)
{
	if (s->pending || s->closed)
		return;
	s->pending = true;
	s->next_pending = NULL;
	if (emu->pending_last != NULL && emu->pending_first != NULL)
		emu->pending_last->next_pending = s;
	else
		emu->pending_first = s;
	emu->pending_last = s;
}

static bool connect_fault(struct cqlemu *emu, size_t node, struct lab_view peer, bool *ret_stalled)
{
	struct sim_fault_query query = { .point = "cql.connect",
		.service = "cql",
		.instance = emu->nodes[node].name,
		.peer = peer,
		.now_ns = emu->now_ns };
	if (emu->hooks.fault == NULL)
		return false;
	struct sim_fault fault = emu->hooks.fault(emu->hooks.ctx, &query);
	emu->counters.faults[fault.kind]++;
	*ret_stalled = fault.kind == SIM_FAULT_STALL || fault.kind == SIM_FAULT_STALL_REPLY;
	return fault.kind == SIM_FAULT_REFUSE || fault.kind == SIM_FAULT_FAIL ||
	       fault.kind == SIM_FAULT_RESET || fault.kind == SIM_FAULT_LOSE_REPLY;
}

static void *stream_accept(void *service, struct lab_view instance, const struct sim_peer *peer,
	uint64_t now_ns, sim_stream_output_fn output, void *output_ctx)
{
	struct cqlemu *emu = service;
	lab_check(emu, CQLE_MAGIC);
	int node = cqlemu_node_find(emu, instance);
	bool stalled = false;
	emu->now_ns = LAB_MAX(emu->now_ns, now_ns);
	if (node < 0 || emu->nodes[node].state == CQLEMU_NODE_DOWN ||
		emu->session_count >= emu->options.connections_max ||
		connect_fault(emu, (size_t)node, peer->name, &stalled))
		return NULL;
	struct cqle_session *s = lab_new(emu->heap, struct cqle_session);
	s->emu = emu;
	s->node = (size_t)node;
	s->number = ++emu->session_number;
	s->stalled = stalled;
	s->output = output;
	s->output_ctx = output_ctx;
	s->names = lab_heap_alloc(emu->heap, peer->name.len + 1);
	if (peer->name.len > 0)
		memcpy(s->names, peer->name.ptr, peer->name.len);
	s->peer_name = lab_view_of(s->names, peer->name.len);
	lab_buf_init(&s->in, emu->heap, 2 * (emu->options.frame_bytes_max + CQL_HEADER_BYTES));
	lab_buf_init(&s->held, emu->heap, 2 * (emu->options.frame_bytes_max + CQL_HEADER_BYTES));
	lab_buf_init(&s->large, emu->heap, emu->options.frame_bytes_max + CQL_SEGMENT_PAYLOAD_MAX);
	s->next = emu->sessions;
	if (s->next != NULL)
		s->next->previous = s;
	emu->sessions = s;
	emu->session_count++;
	emu->counters.connections++;
	emu->nodes[node].connections++;
	if (emu->hooks.reachable != NULL)
		cqle_gossip_wake(emu, emu->now_ns + emu->options.gossip_ns);
	return s;
}

static void stream_input(void *connection, struct lab_view data, uint64_t now_ns)
{
	struct cqle_session *s = connection;
	struct cqlemu *emu = s->emu;
	lab_check(emu, CQLE_MAGIC);
	if (s->closed)
		return;
	if (emu->busy) {
		keep(emu, s, data);
		make_pending(emu, s);
		return;
	}
	cqle_enter(emu, now_ns);
	take_input(emu, s, data);
	cqle_leave(emu);
}

static void stream_closed(void *connection, uint64_t now_ns)
{
	struct cqle_session *s = connection;
	struct cqlemu *emu = s->emu;
	lab_check(emu, CQLE_MAGIC);
	if (emu->busy) {
		s->close_pending = true;
		make_pending(emu, s);
		return;
	}
	cqle_enter(emu, now_ns);
	session_unlink(emu, s);
	cqle_leave(emu);
}

static void stream_advance(void *service, uint64_t now_ns)
{
	struct cqlemu *emu = service;
	lab_check(emu, CQLE_MAGIC);
	cqle_enter(emu, now_ns);
	cqle_leave(emu);
}

static uint64_t stream_next_deadline(void *service)
{
	const struct cqlemu *emu = service;
	lab_check(emu, CQLE_MAGIC);
	return emu->event_count == 0 ? UINT64_MAX : emu->heap_events[0]->at_ns;
}

static const struct sim_stream_ops stream_ops = { stream_accept, stream_input, stream_closed,
	stream_advance, stream_next_deadline };

struct sim_stream_service cqlemu_service(struct cqlemu *emu)
{
	return (struct sim_stream_service){ &stream_ops, emu };
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * tracing.c - sessions and events of traced requests.
 */
#include "sim/cql-emulator/tracing.h"
#include "sim/cql-emulator/roles.h"

#include <stdarg.h>
#include <stdio.h>

#define NATIVE "Native-Transport-Requests-1"

/* ---- which trace ---- */

static struct cqle_trace *find(struct cqlemu *emu, const struct cqle_op *op)
{
	if (op == NULL || !op->tracing || emu->traces == NULL)
		return NULL;
	for (size_t i = 0; i < CQLE_TRACES_MAX; i++) {
		if (emu->traces->items[i].serial == op->serial)
			return &emu->traces->items[i];
	}
	return NULL;
}

/* A time-based id of the request's time, told apart by its number. */
static void make_id(struct cqlemu *emu, const struct cqle_op *op, uint8_t *id)
{
	/* 100 ns since 1582 */
	uint64_t time = (uint64_t)cqle_wall_us(emu) * 10 + UINT64_C(0x01b21dd213814000);
	uint64_t draw = lab_draw(emu->options.seed, "cql.tracing", op->serial, 0);
	for (unsigned i = 0; i < 4; i++)
		id[i] = (uint8_t)(time >> (24 - 8 * i));
	id[4] = (uint8_t)(time >> 40);
	id[5] = (uint8_t)(time >> 32);
	id[6] = (uint8_t)(((time >> 56) & 0x0f) | 0x10);
	id[7] = (uint8_t)(time >> 48);
	memcpy(id + 8, &draw, 8);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

static void clear(struct cqlemu *emu, struct cqle_trace *t)
{
	lab_heap_free(emu->heap, (void *)(uintptr_t)t->query.ptr);
	lab_heap_free(emu->heap, t->events);
	*t = (struct cqle_trace){ .serial = 0 };
}

void cqle_traces_free(struct cqlemu *emu)
{
	for (size_t i = 0; emu->traces != NULL && i < CQLE_TRACES_MAX; i++)
		clear(emu, &emu->traces->items[i]);
	lab_heap_free(emu->heap, emu->traces);
	emu->traces = NULL;
}

/* ---- what happens ---- */

void cqle_trace(struct cqlemu *emu, const struct cqle_op *op, size_t node, const char *stage,
	const char *format, ...)
{
	struct cqle_trace *t = find(emu, op);
	va_list args;
	if (t == NULL || t->event_count == CQLE_TRACE_EVENTS_MAX)
		return;
	if (t->event_count == t->event_capacity) {
		t->event_capacity = t->event_capacity == 0 ? 16 : 2 * t->event_capacity;
		t->events = lab_heap_realloc(
			emu->heap, t->events, t->event_capacity * sizeof(*t->events));
	}
	struct cqle_trace_event *e = &t->events[t->event_count++];
	e->stage = stage;
	e->node = (uint8_t)node;
	e->elapsed_us = (emu->now_ns - t->began_ns) / 1000;
	va_start(args, format);
	(void)vsnprintf(e->activity, sizeof(e->activity), format, args);
	va_end(args);
	emu->traces->version++;
}

static const char *request_text(enum cql_opcode opcode)
{
	return opcode == CQL_PREPARE ? "Preparing CQL3 query"
	       : opcode == CQL_BATCH ? "Execute batch of CQL3 queries"
	       : opcode == CQL_QUERY ? "Execute CQL3 query"
				     : "Execute CQL3 prepared query";
}

void cqle_trace_begin(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	enum cql_opcode opcode = request->opcode;
	if (opcode != CQL_QUERY && opcode != CQL_PREPARE && opcode != CQL_EXECUTE &&
		opcode != CQL_BATCH) {
		op->tracing = false;
		return;
	}
	if (emu->traces == NULL)
		emu->traces = lab_new(emu->heap, struct cqle_traces);
	struct cqle_trace *t = &emu->traces->items[emu->traces->next++ % CQLE_TRACES_MAX];
	clear(emu, t);
	*t = (struct cqle_trace){ .serial = op->serial,
		.node = (uint8_t)op->node,
		.began_ns = emu->now_ns,
		.request = request_text(opcode),
		.consistency = request->params.consistency,
		.serial_consistency = (request->params.flags & CQL_PARAM_SERIAL) != 0
					      ? request->params.serial_consistency
					      : CQL_SERIAL,
		.page_size = (request->params.flags & CQL_PARAM_PAGE_SIZE) != 0
				     ? request->params.page_size
				     : 0,
		.is_prepare = opcode == CQL_PREPARE };
	make_id(emu, op, t->id);
	if (opcode != CQL_QUERY && opcode != CQL_PREPARE)
		return;
	struct lab_view text = cqle_loggable(op->arena, request->query);
	cqle_trace(emu, op, op->node, NATIVE, "Parsing %.*s",
		LAB_VIEW_ARG(lab_view_sub(text, 0, LAB_MIN(text.len, (size_t)120))));
	cqle_trace(emu, op, op->node, NATIVE, "Preparing statement");
}

/* The statement, as the access log shows it. */
static void keep_query(struct cqlemu *emu, struct cqle_trace *t, struct lab_view text)
{
	size_t len = LAB_MIN(text.len, (size_t)CQLE_TRACE_TEXT_MAX);
	uint8_t *copy = lab_heap_alloc(emu->heap, len + 1);
	if (len > 0)
		memcpy(copy, text.ptr, len);
	t->query = lab_view_of(copy, len);
}

const uint8_t *cqle_trace_end(struct cqlemu *emu, const struct cqle_op *op)
{
	struct cqle_trace *t = find(emu, op);
	if (t == NULL)
		return NULL;
	if (!t->finished) {
		t->finished = true;
		/* To cqlsh, 0 is a trace that has not ended. */
		t->duration_us = LAB_MAX((emu->now_ns - t->began_ns) / 1000, UINT64_C(1));
		keep_query(emu, t, op->text);
		emu->traces->version++;
	}
	return t->id;
}

/* ---- messages ---- */

static const char *message_name(const struct cqle_event *m)
{
	switch (m->message) {
	case CQLE_MSG_WRITE:
		return "MUTATION";
	case CQLE_MSG_COUNTER:
		return "COUNTER_MUTATION";
	case CQLE_MSG_WRITE_ACK:
		return "MUTATION_RSP";
	case CQLE_MSG_READ:
		return "READ";
	case CQLE_MSG_READ_ANSWER:
		return "READ_RSP";
	case CQLE_MSG_HINT:
		return "HINT";
	case CQLE_MSG_PAXOS:
		return m->phase == CQLE_PAXOS_PREPARE ? "PAXOS_PREPARE" : "PAXOS_PROPOSE";
	case CQLE_MSG_WRITE_REFUSED:
		return "FAILURE_RSP";
	case CQLE_MSG_COUNTER_DONE:
		return "COUNTER_MUTATION_RSP";
	case CQLE_MSG_SCHEMA:
		return "SCHEMA_PUSH_REQ";
	case CQLE_MSG_PAXOS_ANSWER:
		break;
	}
	return "PAXOS_RSP";
}

static void does(struct cqlemu *emu, const struct cqle_event *m, const struct cqle_op *op)
{
	if (m->message == CQLE_MSG_READ && op->reading != NULL) {
		cqle_trace(emu, op, m->to, "ReadStage-1", "Executing %s on %.*s",
			op->select.scan ? "seq scan" : "single-partition query",
			LAB_VIEW_ARG(op->reading->table->name));
	} else if (m->message == CQLE_MSG_WRITE && m->mutation != NULL) {
		cqle_trace(emu, op, m->to, "MutationStage-1", "Appending to commitlog");
		cqle_trace(emu, op, m->to, "MutationStage-1", "Adding to %.*s memtable",
			LAB_VIEW_ARG(m->mutation->table->name));
	}
}

void cqle_trace_message(struct cqlemu *emu, const struct cqle_event *m, bool arrives)
{
	const struct cqle_op *op = m->op;
	if (op == NULL || !op->tracing || op->serial != m->op_serial)
		return;
	size_t node = arrives ? m->to : m->from, other = arrives ? m->from : m->to;
	if (m->from != m->to)
		cqle_trace(emu, op, node, arrives ? "Messaging-EventLoop-3-1" : NATIVE,
			"%s%s message %s /%s:%u", arrives ? "" : "Sending ", message_name(m),
			arrives ? "received from" : "to", emu->nodes[other].address_text,
			emu->options.storage_port);
	if (arrives)
		does(emu, m, op);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * operation.c - the life of one request: made by the session, worked on by the coordinator, given
 * back once the client has its answer and no replica is waited for.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#define OP_ARENA_BYTES ((size_t)1 << 30) /* the heap is the real bound */

struct cqle_op *cqle_op_new(struct cqlemu *emu, struct cqle_session *session, size_t node)
{
	struct cqle_op *op = emu->free_ops;
	struct lab_arena *arena;
	if (op != NULL) {
		emu->free_ops = op->next_free;
		arena = op->arena;
	} else {
		op = lab_new(emu->heap, struct cqle_op);
		arena = lab_arena_new(emu->heap, OP_ARENA_BYTES);
	}
	memset(op, 0, sizeof(*op));
	op->arena = arena;
	op->serial = ++emu->op_serial;
	op->session = session;
	op->node = node;
	op->received_ns = emu->now_ns;
	op->timestamp_us = CQLE_NO_TIMESTAMP;
	op->holds = 1;
	op->next = emu->active_ops;
	if (op->next != NULL)
		op->next->previous = op;
	emu->active_ops = op;
	emu->op_count++;
	if (session != NULL)
		session->inflight++;
	return op;
}

void cqle_op_hold(struct cqle_op *op)
{
	op->holds++;
}

static void unlink_op(struct cqlemu *emu, struct cqle_op *op)
{
	if (op->previous != NULL)
		op->previous->next = op->next;
	else
		emu->active_ops = op->next;
	if (op->next != NULL)
		op->next->previous = op->previous;
	emu->op_count--;
}

static void drop_answers(struct cqlemu *emu, struct cqle_op *op)
{
	for (size_t i = 0; op->reading != NULL && i < emu->node_count; i++) {
		cqle_answer_unref(emu->heap, op->answers[i]);
		op->answers[i] = NULL;
	}
	cqle_answer_unref(emu->heap, op->merged);
	op->merged = NULL;
}

void cqle_op_release(struct cqlemu *emu, struct cqle_op *op)
{
	lab_assert(op->holds > 0);
	if (--op->holds > 0)
		return;
	lab_assert(
		op->finished && op->timer == NULL && op->speculation == NULL && op->resume == NULL);
	drop_answers(emu, op);
	for (size_t i = 0; i < op->write_count; i++)
		cqle_mutation_unref(emu->heap, op->writes[i].mutation);
	cqle_change_release(emu, op);
	cqle_paxos_release(emu, op);
	cqle_plan_unref(emu, op->plan);
	if (op->session != NULL)
		op->session->inflight--;
	unlink_op(emu, op);
	op->serial = 0;
	lab_arena_reset(op->arena);
	op->next_free = emu->free_ops;
	emu->free_ops = op;
}

void cqle_op_disarm(struct cqlemu *emu, struct cqle_event **event)
{
	if (*event != NULL)
		cqle_event_free(emu, *event);
	*event = NULL;
}

void cqle_op_arm(struct cqlemu *emu, struct cqle_op *op, enum cqle_event_kind kind, uint64_t at_ns)
{
	struct cqle_event **slot = kind == CQLE_EV_TIMEOUT ? &op->timer
				   : kind == CQLE_EV_SPECULATE || kind == CQLE_EV_BACKOFF
					   ? &op->speculation
					   : &op->resume;
	lab_assert(*slot == NULL);
	*slot = cqle_event_new(emu, kind);
	(*slot)->op = op;
	(*slot)->op_serial = op->serial;
	cqle_schedule(emu, *slot, at_ns);
	if (kind == CQLE_EV_RESUME)
		cqle_op_hold(op);
}

/* No more messages concern it. What a RESUME will still do keeps it alive. */
void cqle_op_finish(struct cqlemu *emu, struct cqle_op *op)
{
	if (op->finished)
		return;
	op->finished = true;
	cqle_op_disarm(emu, &op->timer);
	cqle_op_disarm(emu, &op->speculation);
	cqle_op_release(emu, op);
}

/* The coordinator died. What the batch log knows is replayed from where it was written. */
void cqle_op_forget(struct cqlemu *emu, struct cqle_op *op)
{
	cqle_op_hold(op);
	for (size_t i = 0; op->batchlog_done && !op->answered && i < op->write_count; i++) {
		const struct cqle_write *w = &op->writes[i];
		for (size_t n = 0; n < emu->node_count; n++) {
			if ((w->replicas & ~w->acked & cqle_bit(n)) != 0)
				cqle_hint(emu, op->batchlog_node, n, w->mutation);
		}
	}
	op->answered = true;
	if (op->resume != NULL && op->fault.kind != SIM_FAULT_LATE) {
		cqle_op_disarm(emu, &op->resume);
		cqle_op_release(emu, op);
	}
	cqle_op_finish(emu, op);
	cqle_op_release(emu, op);
}

void cqle_op_refuse(struct cqlemu *emu, struct cqle_op *op, uint32_t code, const char *text)
{
	struct cql_error error = { .code = code, .message = lab_view_cstr(text) };
	cqle_op_answer_error(emu, op, &error);
	cqle_op_finish(emu, op);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * messages.c - what nodes say to each other: sent, lost, late, or held back by one that is frozen.
 */
#include "sim/cql-emulator/cluster-private.h"

bool cqle_reachable(const struct cqlemu *emu, size_t from, size_t to)
{
	if (from == to || emu->hooks.reachable == NULL)
		return true;
	return emu->hooks.reachable(
		emu->hooks.ctx, emu->nodes[from].name, emu->nodes[to].name, emu->now_ns);
}

static uint64_t latency(struct cqlemu *emu, size_t from, size_t to)
{
	if (from == to)
		return emu->nodes[from].busy_ns;
	if (emu->hooks.latency == NULL)
		return 0;
	return emu->hooks.latency(emu->hooks.ctx, emu->nodes[from].name, emu->nodes[to].name,
		emu->nodes[from].ordinals[to]++);
}

bool cqle_op_is_current(const struct cqle_event *event)
{
	return event->op != NULL && event->op->serial == event->op_serial && !event->op->finished;
}

static void reply(struct cqlemu *emu, const struct cqle_event *request, size_t to,
	enum cqle_message_kind kind, struct cqle_answer *answer)
{
	struct cqle_event message = { .kind = CQLE_EV_MESSAGE,
		.message = kind,
		.from = request->to,
		.to = (uint8_t)to,
		.op = request->op,
		.op_serial = request->op_serial,
		.slot = request->slot,
		.sent_ns = request->sent_ns,
		.answer = answer };
	(void)cqle_send(emu, &message);
}

/* Passes a write on to the other replicas of this data centre; they answer the coordinator. */
static void forward(struct cqlemu *emu, const struct cqle_event *message)
{
	for (size_t i = 0; i < emu->node_count; i++) {
		if ((message->forward & cqle_bit(i)) == 0)
			continue;
		struct cqle_event copy = *message;
		copy.from = message->to;
		copy.to = (uint8_t)i;
		copy.forward = 0;
		(void)cqle_send(emu, &copy);
	}
}

/* A replica that has not heard of the table cannot even read the message. */
static bool refuse_write(struct cqlemu *emu, const struct cqle_event *message)
{
	if (message->mutation == NULL || cqle_knows(message->to, message->mutation->table))
		return false;
	reply(emu, message, message->reply_to, CQLE_MSG_WRITE_REFUSED, NULL);
	return true;
}

static void deliver_write(struct cqlemu *emu, const struct cqle_event *message)
{
	if (refuse_write(emu, message))
		return;
	if (message->mutation != NULL)
		cqle_apply_at(emu, message->to, message->mutation);
	if (message->mutation != NULL && message->ballot != 0)
		cqle_paxos_learn(emu, message->to, message->mutation, message->ballot);
	if (message->forward != 0)
		forward(emu, message);
	reply(emu, message, message->reply_to, CQLE_MSG_WRITE_ACK, NULL);
}

static void deliver_read(struct cqlemu *emu, const struct cqle_event *message)
{
	if (!cqle_op_is_current(message) || message->op->round != message->slot)
		return;
	struct cqle_answer *answer = cqle_read_at(emu, message->op, message->to);
	reply(emu, message, message->from, CQLE_MSG_READ_ANSWER, answer);
	cqle_answer_unref(emu->heap, answer);
}

static void deliver_ack(struct cqlemu *emu, const struct cqle_event *message)
{
	if (!cqle_op_is_current(message))
		return;
	if (message->slot == CQLE_SLOT_REPAIR)
		cqle_repair_ack(emu, message->op);
	else if (message->op->counter)
		cqle_counter_ack(emu, message);
	else
		cqle_write_ack(emu, message->op, message->slot, message->from);
}

static void deliver_paxos(struct cqlemu *emu, const struct cqle_event *message)
{
	if (message->paxos_table->dropped || !cqle_knows(message->to, message->paxos_table))
		return;
	struct cqle_event answer = { .kind = CQLE_EV_MESSAGE,
		.message = CQLE_MSG_PAXOS_ANSWER,
		.from = message->to,
		.to = message->from,
		.op = message->op,
		.op_serial = message->op_serial,
		.slot = message->slot,
		.promise = cqle_paxos_serve(emu, message) };
	if (answer.promise != NULL && message->op != NULL)
		(void)cqle_send(emu, &answer);
	cqle_promise_unref(emu, answer.promise);
}

void cqle_deliver(struct cqlemu *emu, const struct cqle_event *message)
{
	if (message->op != NULL && message->op->tracing)
		cqle_trace_message(emu, message, true);
	switch (message->message) {
	case CQLE_MSG_WRITE:
		deliver_write(emu, message);
		break;
	case CQLE_MSG_COUNTER:
		if (!cqle_knows(message->to, message->mutation->table))
			break; /* and the coordinator waits in vain */
		cqle_counter_lead(emu, message, cqle_op_is_current(message));
		reply(emu, message, message->to, CQLE_MSG_WRITE_ACK, NULL);
		break;
	case CQLE_MSG_SCHEMA:
		cqle_schema_heard(emu, message->to, message->ballot);
		break;
	case CQLE_MSG_WRITE_REFUSED:
		if (cqle_op_is_current(message))
			cqle_write_refused(emu, message->op, message->slot, message->from);
		break;
	case CQLE_MSG_COUNTER_DONE:
		if (cqle_op_is_current(message))
			cqle_write_led(emu, message->op, message->slot);
		break;
	case CQLE_MSG_WRITE_ACK:
		deliver_ack(emu, message);
		break;
	case CQLE_MSG_READ:
		deliver_read(emu, message);
		break;
	case CQLE_MSG_READ_ANSWER:
		cqle_snitch_heard(emu, message->to, message->from, message->sent_ns);
		if (cqle_op_is_current(message))
			cqle_read_answer(
				emu, message->op, message->slot, message->from, message->answer);
		break;
	case CQLE_MSG_HINT:
		cqle_apply_at(emu, message->to, message->mutation);
		break;
	case CQLE_MSG_PAXOS:
		deliver_paxos(emu, message);
		break;
	case CQLE_MSG_PAXOS_ANSWER:
		if (cqle_op_is_current(message))
			cqle_paxos_answer(
				emu, message->op, message->slot, message->from, message->promise);
		break;
	}
}

void cqle_lost(struct cqlemu *emu, const struct cqle_event *message)
{
	emu->counters.messages_lost++;
	if (message->message == CQLE_MSG_HINT)
		cqle_hint(emu, message->from, message->to, message->mutation);
}

void cqle_defer(struct cqlemu *emu, size_t index, struct cqle_event *event)
{
	struct cqle_node *node = &emu->nodes[index];
	if (node->deferred_count == emu->options.deferred_max && event->kind == CQLE_EV_MESSAGE) {
		cqle_lost(emu, event);
		cqle_event_free(emu, event);
		return;
	}
	event->next = NULL;
	if (node->deferred_last != NULL)
		node->deferred_last->next = event;
	else
		node->deferred = event;
	node->deferred_last = event;
	node->deferred_count++;
}

static struct cqle_event *copy_message(struct cqlemu *emu, const struct cqle_event *message)
{
	struct cqle_event *copy = cqle_event_new(emu, CQLE_EV_MESSAGE);
	*copy = *message;
	copy->heap_index = SIZE_MAX;
	if (copy->mutation != NULL)
		copy->mutation->refs++;
	if (copy->answer != NULL)
		copy->answer->refs++;
	(void)cqle_bytes_ref(copy->paxos_key);
	(void)cqle_promise_ref(copy->promise);
	return copy;
}

bool cqle_send(struct cqlemu *emu, const struct cqle_event *message)
{
	emu->counters.messages++;
	if (message->op != NULL && message->op->tracing)
		cqle_trace_message(emu, message, false);
	if (!cqle_reachable(emu, message->from, message->to) ||
		emu->nodes[message->to].state == CQLEMU_NODE_DOWN) {
		cqle_lost(emu, message);
		return false;
	}
	uint64_t delay = latency(emu, message->from, message->to);
	if (delay > 0)
		cqle_schedule(emu, copy_message(emu, message), emu->now_ns + delay);
	else if (emu->nodes[message->to].state == CQLEMU_NODE_FROZEN)
		cqle_defer(emu, message->to, copy_message(emu, message));
	else
		cqle_deliver(emu, message);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * write.c - the coordinator's side of INSERT, UPDATE, DELETE and BATCH.
 *
 * Every live replica gets every mutation, dead ones a hint. The client is answered when enough have
 * acknowledged, or at the timeout; nothing is rolled back. The operation itself lives until all
 * have answered or the timeout has come, because then who did not answer gets a hint.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

static void send_write(struct cqlemu *emu, struct cqle_op *op, uint32_t slot, size_t to,
	uint64_t forward, struct cqle_mutation *mutation)
{
	struct cqle_event message = { .kind = CQLE_EV_MESSAGE,
		.message = CQLE_MSG_WRITE,
		.from = (uint8_t)op->node,
		.to = (uint8_t)to,
		.reply_to = (uint8_t)op->node,
		.forward = forward,
		.op = op,
		.op_serial = op->serial,
		.slot = slot,
		.ballot = op->paxos == NULL ? 0 : op->paxos->ballot,
		.mutation = mutation };
	if (cqle_send(emu, &message) && mutation != NULL)
		op->applied = true;
}

static size_t first_of(uint64_t mask)
{
	return (size_t)__builtin_ctzll(mask);
}

/* One message to a remote data centre; the node that gets it passes it on (cql-imds 0.4). */
static void send_to_dc(struct cqlemu *emu, struct cqle_op *op, uint32_t slot, uint64_t nodes)
{
	unsigned count = (unsigned)__builtin_popcountll(nodes);
	uint64_t pick =
		lab_pick(lab_draw(emu->options.seed, "cql.forwarder", op->serial, slot), count);
	uint64_t rest = nodes;
	for (uint64_t i = 0; i < pick; i++)
		rest &= rest - 1;
	size_t forwarder = first_of(rest);
	send_write(
		emu, op, slot, forwarder, nodes & ~cqle_bit(forwarder), op->writes[slot].mutation);
}

static void send_to_all(struct cqlemu *emu, struct cqle_op *op, uint32_t slot, uint64_t nodes)
{
	op->writes[slot].sent |= nodes;
	for (size_t dc = 0; dc < emu->dc_count; dc++) {
		uint64_t there = nodes & emu->dc_nodes[dc];
		if (there == 0)
			continue;
		if (dc != emu->nodes[op->node].dc) {
			send_to_dc(emu, op, slot, there);
			continue;
		}
		for (; there != 0; there &= there - 1)
			send_write(emu, op, slot, first_of(there), 0, op->writes[slot].mutation);
	}
}

static bool is_enough(
	const struct cqlemu *emu, const struct cqle_op *op, const struct cqle_write *w)
{
	const struct cqle_keyspace *ks = w->mutation->table->keyspace;
	unsigned required = cqle_block_for(emu, ks, op->consistency, op->node);
	if (op->counter)
		return w->led;
	return cqle_received(emu, ks, op->consistency, op->node, w->acked) >= required;
}

/* Answers the client as soon as it can be, ends the operation once everybody has answered. */
static void check_done(struct cqlemu *emu, struct cqle_op *op)
{
	bool all = true;
	bool enough = op->fault.kind != SIM_FAULT_PARTLY;
	for (size_t i = 0; i < op->write_count; i++) {
		const struct cqle_write *w = &op->writes[i];
		enough = enough && (op->hint_is_enough || is_enough(emu, op, w));
		all = all && (w->sent & ~w->acked) == 0;
	}
	if (enough && !op->answered) {
		struct cql_response response = { .opcode = CQL_RESULT, .kind = CQL_RESULT_VOID };
		if (op->paxos != NULL)
			cqle_conditions_applied(emu, op);
		else
			cqle_op_answer(emu, op, &response);
	}
	if (all && enough)
		cqle_op_finish(emu, op);
}

static uint64_t first_replicas(const struct cqle_replicas *replicas, unsigned count)
{
	uint64_t mask = 0;
	for (size_t i = 0; i < replicas->count && i < count; i++)
		mask |= cqle_bit(replicas->nodes[i]);
	return mask;
}

static void send_to_leader(
	struct cqlemu *emu, struct cqle_op *op, uint32_t slot, uint64_t live, uint64_t chosen)
{
	struct cqle_write *w = &op->writes[slot];
	uint64_t to = w->replicas & live & chosen;
	if (to == 0)
		return;
	size_t leader = cqle_counter_leader(emu, op, slot, to);
	struct cqle_event message = { .kind = CQLE_EV_MESSAGE,
		.message = CQLE_MSG_COUNTER,
		.from = (uint8_t)op->node,
		.to = (uint8_t)leader,
		.forward = chosen,
		.op = op,
		.op_serial = op->serial,
		.slot = slot,
		.mutation = w->mutation };
	w->sent |= cqle_bit(leader);
	op->applied = cqle_send(emu, &message) || op->applied;
}

static void send_one(struct cqlemu *emu, struct cqle_op *op, uint32_t slot, uint64_t live)
{
	struct cqle_write *w = &op->writes[slot];
	if (op->counter) {
		const struct cqle_replicas *r =
			cqle_replicas_of(emu, w->mutation->table->keyspace, w->mutation->token);
		send_to_leader(emu, op, slot, live,
			op->fault.kind == SIM_FAULT_PARTLY ? first_replicas(r, op->fault.replicas)
							   : UINT64_MAX);
		return;
	}
	uint64_t to = w->replicas & live, dead = w->replicas & ~live;
	if (op->fault.kind == SIM_FAULT_PARTLY) {
		uint64_t chosen = first_replicas(
			cqle_replicas_of(emu, w->mutation->table->keyspace, w->mutation->token),
			op->fault.replicas);
		bool hint = op->fault.code != NULL && strcmp(op->fault.code, "hint") == 0;
		dead = hint ? w->replicas & ~(chosen & live) : 0;
		to &= chosen;
	}
	for (; dead != 0; dead &= dead - 1) {
		cqle_hint(emu, op->node, first_of(dead), w->mutation);
		op->hint_is_enough = op->hint_is_enough || op->consistency == CQL_ANY;
		op->applied = op->applied || emu->options.hinted_handoff;
	}
	send_to_all(emu, op, slot, to);
}

static void send_mutations(struct cqlemu *emu, struct cqle_op *op)
{
	uint64_t live = cqle_live_view(emu, op->node);
	op->sending = true; /* acks that come meanwhile are looked at afterwards */
	for (size_t i = 0; i < op->write_count; i++)
		send_one(emu, op, (uint32_t)i, live);
	op->sending = false;
	check_done(emu, op);
}

/* ---- the batch log ---- */

/* Two other live nodes of this data centre, in other racks if there are; the coordinator itself
 * where it is alone. */
static uint64_t batchlog_nodes(const struct cqlemu *emu, const struct cqle_op *op)
{
	uint64_t local = emu->dc_nodes[emu->nodes[op->node].dc];
	uint64_t others = local & ~cqle_bit(op->node), chosen = 0;
	if (others == 0)
		return local;
	others &= cqle_live_view(emu, op->node);
	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint64_t rest = others & ~chosen; rest != 0; rest &= rest - 1) {
			size_t node = first_of(rest);
			bool other_rack = !lab_view_eq(
				emu->nodes[node].rack_name, emu->nodes[op->node].rack_name);
			if ((other_rack || pass == 1) && __builtin_popcountll(chosen) < 2)
				chosen |= cqle_bit(node);
		}
	}
	return chosen;
}

static enum cql_consistency batchlog_consistency(const struct cqle_op *op)
{
	return op->batchlog_required == 1 ? CQL_ONE : CQL_TWO;
}

/* 0, or -1 with an answer if nobody can keep the log. */
static int batchlog_place(struct cqlemu *emu, struct cqle_op *op)
{
	unsigned count = (unsigned)__builtin_popcountll(batchlog_nodes(emu, op));
	op->batchlog_required = count == 1 ? 1 : 2;
	if (count > 0)
		return 0;
	struct cql_error error = { .code = CQL_E_UNAVAILABLE,
		.consistency = batchlog_consistency(op),
		.required = 2,
		.message = LAB_VIEW("Cannot achieve consistency level TWO") };
	cqle_op_answer_error(emu, op, &error);
	cqle_op_finish(emu, op);
	return -1;
}

static void batchlog_start(struct cqlemu *emu, struct cqle_op *op)
{
	uint64_t nodes = batchlog_nodes(emu, op);
	op->batchlog = true;
	op->batchlog_node = first_of(nodes);
	for (; nodes != 0; nodes &= nodes - 1)
		send_write(emu, op, CQLE_SLOT_BATCHLOG, first_of(nodes), 0, NULL);
}

static void batchlog_ack(struct cqlemu *emu, struct cqle_op *op)
{
	if (op->batchlog_done || ++op->batchlog_acks < op->batchlog_required)
		return;
	op->batchlog_done = true;
	send_mutations(emu, op);
}

/* ---- start, acks, timeout ---- */

/* Where the mutations go; 0, or -1 with an answer if too few are alive. */
static int place(struct cqlemu *emu, struct cqle_op *op)
{
	uint64_t live = cqle_live_view(emu, op->node);
	for (size_t i = 0; i < op->write_count; i++) {
		struct cqle_write *w = &op->writes[i];
		struct cqle_keyspace *ks = w->mutation->table->keyspace;
		struct cql_error error;
		w->leader = op->node;
		w->replicas = first_replicas(
			cqle_replicas_of(emu, ks, w->mutation->token), CQLEMU_NODES_MAX);
		if (cqle_assure_live(emu, ks, op->consistency, op->node, w->replicas, live,
			    op->arena, &error) == 0)
			continue;
		cqle_op_answer_error(emu, op, &error);
		cqle_op_finish(emu, op);
		return -1;
	}
	return 0;
}

void cqle_write_start(struct cqlemu *emu, struct cqle_op *op)
{
	bool logged = strcmp(op->write_type, "BATCH") == 0;
	if ((logged && batchlog_place(emu, op) < 0) || place(emu, op) < 0)
		return;
	op->placed = true;
	cqle_op_hold(op);
	if (op->fault.kind != SIM_FAULT_PARTLY)
		cqle_op_arm(emu, op, CQLE_EV_TIMEOUT,
			emu->now_ns + (op->counter ? emu->options.counter_timeout_ns
						   : emu->options.write_timeout_ns));
	if (op->fault.kind == SIM_FAULT_PARTLY) {
		send_mutations(emu, op);
		cqle_fault_answer_later(emu, op);
	} else if (op->fault.kind == SIM_FAULT_LATE) {
		op->applied = true;
		cqle_op_arm(emu, op, CQLE_EV_RESUME, emu->now_ns + op->fault.delay_ns);
	} else if (logged) {
		batchlog_start(emu, op);
	} else {
		send_mutations(emu, op);
	}
	cqle_op_release(emu, op);
}

void cqle_write_ack(struct cqlemu *emu, struct cqle_op *op, size_t slot, size_t from)
{
	cqle_op_hold(op);
	if (slot == CQLE_SLOT_BATCHLOG) {
		batchlog_ack(emu, op);
	} else {
		op->writes[slot].acked |= cqle_bit(from);
		if (!op->sending)
			check_done(emu, op);
	}
	cqle_op_release(emu, op);
}

void cqle_write_led(struct cqlemu *emu, struct cqle_op *op, size_t slot)
{
	cqle_op_hold(op);
	op->writes[slot].led = true;
	if (!op->sending)
		check_done(emu, op);
	cqle_op_release(emu, op);
}

/* The replica does not know the table. It gets no hint: the coordinator knows that it is alive. */
void cqle_write_refused(struct cqlemu *emu, struct cqle_op *op, size_t slot, size_t from)
{
	if (slot >= op->write_count) { /* a read repair: nobody waits for those who cannot */
		if (slot == CQLE_SLOT_REPAIR)
			cqle_repair_ack(emu, op);
		return;
	}
	struct cqle_write *w = &op->writes[slot];
	const struct cqle_keyspace *ks = w->mutation->table->keyspace;
	uint64_t candidates = cqle_eligible(emu, op->consistency, op->node, w->replicas);
	w->refused |= cqle_bit(from);
	w->sent &= ~cqle_bit(from);
	if (op->answered || op->fault.kind != SIM_FAULT_NONE || op->hint_is_enough ||
		cqle_received(emu, ks, op->consistency, op->node, candidates & ~w->refused) >=
			cqle_block_for(emu, ks, op->consistency, op->node)) {
		cqle_op_hold(op);
		if (!op->sending)
			check_done(emu, op);
		cqle_op_release(emu, op);
		return;
	}
	cqle_op_hold(op);
	cqle_counter_answer_failure(emu, op, w, candidates & w->refused);
	cqle_op_finish(emu, op);
	cqle_op_release(emu, op);
}

/* The leader did its part, and says who did not (cql-imds 4.2). */
void cqle_counter_answer_failure(
	struct cqlemu *emu, struct cqle_op *op, const struct cqle_write *w, uint64_t failed)
{
	const struct cqle_keyspace *ks = w->mutation->table->keyspace;
	unsigned acked = cqle_received(emu, ks, op->consistency, op->node, w->acked);
	struct cql_error error = { .code = CQL_E_WRITE_FAILURE,
		.consistency = op->consistency,
		.write_type = lab_view_cstr(op->write_type),
		.required = (int32_t)cqle_block_for(emu, ks, op->consistency, op->node),
		.received = (int32_t)acked };
	cqle_error_blame(emu, op, &error, failed, w->refused, CQL_REASON_TIMEOUT);
	error.message =
		lab_view_cstr(cqle_failures(emu, op->arena, failed, w->refused, acked, "TIMEOUT"));
	cqle_op_answer_error(emu, op, &error);
}

static void answer_timeout(struct cqlemu *emu, struct cqle_op *op)
{
	struct cql_error error = { .code = CQL_E_WRITE_TIMEOUT,
		.consistency = op->consistency,
		.write_type = lab_view_cstr(op->write_type) };
	if (op->batchlog && !op->batchlog_done) {
		error.consistency = batchlog_consistency(op);
		error.received = (int32_t)op->batchlog_acks;
		error.required = (int32_t)op->batchlog_required;
		error.write_type = LAB_VIEW("BATCH_LOG");
	} else {
		const struct cqle_write *w = &op->writes[0];
		for (size_t i = 0; i < op->write_count; i++) {
			if (!is_enough(emu, op, &op->writes[i])) {
				w = &op->writes[i];
				break;
			}
		}
		struct cqle_keyspace *ks = w->mutation->table->keyspace;
		unsigned required = cqle_block_for(emu, ks, op->consistency, op->node);
		/* Of EACH_QUORUM, too, all that came are counted. */
		unsigned received = (unsigned)__builtin_popcountll(
			cqle_eligible(emu, op->consistency, op->node, w->acked));
		error.required = (int32_t)required;
		error.received = (int32_t)LAB_MIN(received, required - 1);
		if (op->counter && (!w->resolved || w->leader != op->node)) {
			error.consistency = CQL_ONE;
			error.received = 0;
			error.required = 1;
		}
	}
	cqle_op_answer_error(emu, op, &error);
}

void cqle_write_timeout(struct cqlemu *emu, struct cqle_op *op)
{
	cqle_op_hold(op);
	if (!op->answered)
		answer_timeout(emu, op);
	for (size_t i = 0; i < op->write_count; i++) {
		struct cqle_write *w = &op->writes[i];
		if (op->counter && !w->resolved)
			continue; /* a delta must not be repeated */
		for (uint64_t rest = w->sent & ~w->acked; rest != 0; rest &= rest - 1)
			cqle_hint(emu, op->counter ? w->leader : op->node, first_of(rest),
				w->mutation);
	}
	cqle_op_finish(emu, op);
	cqle_op_release(emu, op);
}

/* The first replica that is up leads. False: none is. */
static bool lead_late(struct cqlemu *emu, struct cqle_write *w)
{
	for (uint64_t rest = w->replicas; rest != 0; rest &= rest - 1) {
		size_t node = first_of(rest);
		if (emu->nodes[node].state != CQLEMU_NODE_UP)
			continue;
		struct cqle_mutation *m = cqle_counter_resolve(emu, node, w->mutation);
		cqle_mutation_unref(emu->heap, w->mutation);
		w->mutation = m;
		w->resolved = true;
		return true;
	}
	return false;
}

/* The fault said: later. Wherever the coordinator is by then, the replicas get it. */
void cqle_write_late(struct cqlemu *emu, struct cqle_op *op)
{
	for (size_t i = 0; i < op->write_count; i++) {
		struct cqle_write *w = &op->writes[i];
		if (op->counter && !lead_late(emu, w))
			continue;
		for (uint64_t rest = w->replicas; rest != 0; rest &= rest - 1) {
			size_t node = first_of(rest);
			if (emu->nodes[node].state == CQLEMU_NODE_UP)
				cqle_apply_at(emu, node, w->mutation);
			else
				cqle_hint(emu, op->node, node, w->mutation);
		}
	}
}

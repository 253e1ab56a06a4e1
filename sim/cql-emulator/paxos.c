/* SPDX-License-Identifier: Apache-2.0
 *
 * paxos.c - conditional updates and reads at SERIAL (cql-imds 4.3): prepare, read, propose, commit,
 * as Cassandra 4.0 does it. What an earlier round left accepted is finished first. A proposal that
 * only some replicas took is a write time-out of type CAS: nobody knows how it ends.
 *
 * Ballots are microseconds and the coordinator's number. Replicas remember, for each partition, the
 * highest ballot they promised, what they accepted, and what was committed last.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#define BALLOT_NODE_BITS 6
#define BACKOFF_NS (100 * LAB_MSEC)

struct cqle_paxos_state {
	uint64_t promised, accepted, committed;
	struct cqle_mutation *proposal, *commit; /* accepted and not yet committed; the last one */
};

static void replace(struct cqlemu *emu, struct cqle_mutation **slot, struct cqle_mutation *mutation)
{
	if (mutation != NULL)
		mutation->refs++;
	if (*slot != NULL)
		cqle_mutation_unref(emu->heap, *slot);
	*slot = mutation;
}

struct cqle_promise *cqle_promise_ref(struct cqle_promise *promise)
{
	if (promise != NULL)
		promise->refs++;
	return promise;
}

void cqle_promise_unref(struct cqlemu *emu, struct cqle_promise *promise)
{
	if (promise == NULL || --promise->refs > 0)
		return;
	replace(emu, &promise->proposal, NULL);
	replace(emu, &promise->commit, NULL);
	lab_heap_free(emu->heap, promise);
}

/* ---- a replica ---- */

static struct cqle_paxos_state *state_of(
	struct cqlemu *emu, size_t node, const struct cqle_table *table, struct lab_view key)
{
	struct lab_buf name;
	struct lab_arena_mark mark = lab_arena_mark(emu->scratch);
	lab_buf_init_arena(&name, emu->scratch, CQL_UUID_BYTES + key.len);
	lab_buf_append(&name, table->id, CQL_UUID_BYTES);
	lab_buf_append_view(&name, key);
	void **slot = lab_map_slot(emu->nodes[node].paxos, lab_buf_view(&name));
	if (slot != NULL && *slot == NULL)
		*slot = lab_new(emu->heap, struct cqle_paxos_state);
	lab_arena_rewind(emu->scratch, mark);
	return slot == NULL ? NULL : *slot;
}

void cqle_paxos_clear(struct cqlemu *emu, struct cqle_node *node)
{
	struct lab_map_iter iter;
	struct lab_view key;
	void *value;
	if (node->paxos == NULL) /* a cluster that was not finished */
		return;
	iter = lab_map_iterate(node->paxos);
	while (lab_map_next(&iter, &key, &value)) {
		struct cqle_paxos_state *state = value;
		replace(emu, &state->proposal, NULL);
		replace(emu, &state->commit, NULL);
		lab_heap_free(emu->heap, state);
	}
	lab_map_clear(node->paxos);
}

void cqle_paxos_learn(
	struct cqlemu *emu, size_t node, struct cqle_mutation *mutation, uint64_t ballot)
{
	struct cqle_paxos_state *state =
		state_of(emu, node, mutation->table, cqle_bytes_view(mutation->key));
	if (state == NULL || ballot <= state->committed)
		return;
	state->committed = ballot;
	replace(emu, &state->commit, mutation);
	if (state->accepted <= ballot)
		replace(emu, &state->proposal, NULL);
}

static bool take_phase(
	struct cqlemu *emu, const struct cqle_event *message, struct cqle_paxos_state *state)
{
	switch (message->phase) {
	case CQLE_PAXOS_PREPARE:
		if (message->ballot <= state->promised)
			return false;
		state->promised = message->ballot;
		return true;
	case CQLE_PAXOS_PROPOSE:
		if (message->ballot < state->promised)
			return false;
		state->promised = state->accepted = message->ballot;
		replace(emu, &state->proposal, message->mutation);
		return true;
	case CQLE_PAXOS_COMMIT:
	case CQLE_PAXOS_NONE:
		break;
	}
	cqle_apply_at(emu, message->to, message->mutation);
	cqle_paxos_learn(emu, message->to, message->mutation, message->ballot);
	return true;
}

struct cqle_promise *cqle_paxos_serve(struct cqlemu *emu, const struct cqle_event *message)
{
	const struct cqle_table *table = message->paxos_table;
	struct cqle_paxos_state *state =
		state_of(emu, message->to, table, cqle_bytes_view(message->paxos_key));
	if (state == NULL)
		return NULL;
	bool ok = take_phase(emu, message, state);
	struct cqle_promise *promise = lab_new(emu->heap, struct cqle_promise);
	*promise = (struct cqle_promise){ .refs = 1,
		.ok = ok,
		.promised = state->promised,
		.accepted = state->accepted,
		.committed = state->committed };
	replace(emu, &promise->proposal, state->proposal);
	replace(emu, &promise->commit, state->commit);
	return promise;
}

/* ---- the coordinator ---- */

static void prepare(struct cqlemu *emu, struct cqle_op *op);
static void propose(struct cqlemu *emu, struct cqle_op *op, struct cqle_mutation *mutation);

static uint64_t next_ballot(struct cqlemu *emu, const struct cqle_op *op)
{
	uint64_t us = LAB_MAX((uint64_t)cqle_wall_us(emu), emu->last_ballot_us + 1);
	us = LAB_MAX(us, (op->paxos->highest >> BALLOT_NODE_BITS) + 1);
	emu->last_ballot_us = us;
	return us << BALLOT_NODE_BITS | op->node;
}

static unsigned count(uint64_t mask)
{
	return (unsigned)__builtin_popcountll(mask);
}

static void forget_promises(struct cqlemu *emu, struct cqle_paxos *p)
{
	for (size_t i = 0; i < emu->node_count; i++) {
		cqle_promise_unref(emu, p->promises[i]);
		p->promises[i] = NULL;
	}
	p->replied = p->agreed = 0;
}

/* Everybody is asked; the round ends when enough have answered. */
static void ask_all(struct cqlemu *emu, struct cqle_op *op, enum cqle_paxos_phase phase,
	struct cqle_mutation *mutation)
{
	struct cqle_paxos *p = op->paxos;
	struct cqle_event message = { .kind = CQLE_EV_MESSAGE,
		.message = CQLE_MSG_PAXOS,
		.from = (uint8_t)op->node,
		.op = op,
		.op_serial = op->serial,
		.mutation = mutation,
		.phase = phase,
		.ballot = p->ballot,
		.paxos_table = p->table,
		.paxos_key = p->key };
	forget_promises(emu, p);
	p->phase = phase;
	uint32_t round = ++op->round;
	message.slot = round;
	cqle_op_disarm(emu, &op->timer);
	cqle_op_arm(emu, op, CQLE_EV_TIMEOUT, emu->now_ns + emu->options.write_timeout_ns);
	for (uint64_t rest = p->participants; rest != 0; rest &= rest - 1) {
		message.to = (uint8_t)__builtin_ctzll(rest);
		if (op->round != round || op->finished)
			break;
		(void)cqle_send(emu, &message);
	}
}

static void leave(struct cqlemu *emu, struct cqle_op *op)
{
	op->paxos->phase = CQLE_PAXOS_NONE;
	op->round++;
	cqle_op_disarm(emu, &op->timer);
}

static void answer_timeout(
	struct cqlemu *emu, struct cqle_op *op, unsigned received, unsigned required)
{
	struct cqle_paxos *p = op->paxos;
	struct cql_error error = { .code = p->read_only ? CQL_E_READ_TIMEOUT : CQL_E_WRITE_TIMEOUT,
		.consistency = p->serial,
		.required = (int32_t)(p->read_only ? p->required : required),
		.received = p->read_only ? 0 : (int32_t)received,
		.write_type = LAB_VIEW("CAS"),
		.contentions = (uint16_t)LAB_MIN(p->contentions, UINT16_MAX) };
	leave(emu, op);
	cqle_op_answer_error(emu, op, &error);
	cqle_op_finish(emu, op);
}

void cqle_paxos_timeout(struct cqlemu *emu, struct cqle_op *op)
{
	const struct cqle_paxos *p = op->paxos;
	cqle_op_hold(op);
	/* A proposal waits for all of them, agreed or not; a promise for as many as it needs. */
	if (p->phase == CQLE_PAXOS_PROPOSE)
		answer_timeout(emu, op, count(p->replied), count(p->participants));
	else
		answer_timeout(emu, op, count(p->agreed), p->required);
	cqle_op_release(emu, op);
}

/* Somebody else was faster: again after a while, unless it has gone on for too long. */
static void contend(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_paxos *p = op->paxos;
	uint64_t draw = lab_draw(emu->options.seed, "cql.paxos", op->serial, ++p->contentions);
	uint64_t until = emu->now_ns + LAB_MSEC + lab_pick(draw, BACKOFF_NS);
	if (until > p->deadline_ns) {
		answer_timeout(emu, op, 0, p->required);
		return;
	}
	leave(emu, op);
	cqle_op_arm(emu, op, CQLE_EV_BACKOFF, until);
}

void cqle_paxos_again(struct cqlemu *emu, struct cqle_op *op)
{
	cqle_op_hold(op);
	prepare(emu, op);
	cqle_op_release(emu, op);
}

static void prepare(struct cqlemu *emu, struct cqle_op *op)
{
	op->paxos->ballot = next_ballot(emu, op);
	ask_all(emu, op, CQLE_PAXOS_PREPARE, NULL);
}

/* A replica that has not heard of the last commit gets it on the way. */
static void tell_laggards(struct cqlemu *emu, struct cqle_op *op, const struct cqle_promise *newest)
{
	struct cqle_paxos *p = op->paxos;
	for (size_t i = 0; newest->commit != NULL && i < emu->node_count; i++) {
		if (p->promises[i] == NULL || p->promises[i]->committed >= newest->committed)
			continue;
		struct cqle_event message = { .kind = CQLE_EV_MESSAGE,
			.message = CQLE_MSG_PAXOS,
			.from = (uint8_t)op->node,
			.to = (uint8_t)i,
			.mutation = newest->commit,
			.phase = CQLE_PAXOS_COMMIT,
			.ballot = newest->committed,
			.paxos_table = p->table,
			.paxos_key = p->key };
		(void)cqle_send(emu, &message);
	}
}

static void read_rows(struct cqlemu *emu, struct cqle_op *op)
{
	bool local = op->paxos->serial == CQL_LOCAL_SERIAL;
	leave(emu, op);
	op->paxos->commit_consistency = op->consistency;
	op->consistency = local ? CQL_LOCAL_QUORUM : CQL_QUORUM;
	if (op->paxos->read_only)
		cqle_read_start(emu, op);
	else
		cqle_change_read(emu, op);
}

/* A quorum has promised. */
static void promised(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_paxos *p = op->paxos;
	const struct cqle_promise *left = NULL, *committed = NULL;
	for (size_t i = 0; i < emu->node_count; i++) {
		const struct cqle_promise *promise = p->promises[i];
		if (promise == NULL)
			continue;
		if (promise->proposal != NULL &&
			(left == NULL || promise->accepted > left->accepted))
			left = promise;
		if (committed == NULL || promise->committed > committed->committed)
			committed = promise;
	}
	lab_assert(committed != NULL); /* a quorum has answered */
	if (left != NULL && left->accepted > committed->committed) {
		p->finishing = true;
		propose(emu, op, left->proposal);
		return;
	}
	tell_laggards(emu, op, committed);
	if (p->read_only)
		propose(emu, op, NULL);
	else
		read_rows(emu, op);
}

static void propose(struct cqlemu *emu, struct cqle_op *op, struct cqle_mutation *mutation)
{
	replace(emu, &op->paxos->mutation, mutation);
	ask_all(emu, op, CQLE_PAXOS_PROPOSE, op->paxos->mutation);
}

/* A quorum has accepted. */
static void accepted(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_paxos *p = op->paxos;
	if (p->finishing) {
		ask_all(emu, op, CQLE_PAXOS_COMMIT, p->mutation);
	} else if (p->read_only) {
		read_rows(emu, op);
	} else if (p->mutation == NULL) {
		leave(emu, op);
		cqle_conditions_refuse(emu, op);
	} else {
		leave(emu, op);
		op->consistency = p->commit_consistency;
		cqle_change_commit(emu, op, p->mutation);
	}
}

static void enough(struct cqlemu *emu, struct cqle_op *op)
{
	switch (op->paxos->phase) {
	case CQLE_PAXOS_PREPARE:
		promised(emu, op);
		break;
	case CQLE_PAXOS_PROPOSE:
		accepted(emu, op);
		break;
	case CQLE_PAXOS_COMMIT: /* of what another one had left */
		op->paxos->finishing = false;
		prepare(emu, op);
		break;
	case CQLE_PAXOS_NONE:
		break;
	}
}

void cqle_paxos_answer(struct cqlemu *emu, struct cqle_op *op, uint32_t round, size_t from,
	struct cqle_promise *promise)
{
	struct cqle_paxos *p = op->paxos;
	if (p == NULL || p->phase == CQLE_PAXOS_NONE || round != op->round || promise == NULL ||
		(p->replied & cqle_bit(from)) != 0)
		return;
	cqle_op_hold(op);
	p->replied |= cqle_bit(from);
	p->promises[from] = cqle_promise_ref(promise);
	p->highest = LAB_MAX(p->highest, promise->promised);
	if (promise->ok)
		p->agreed |= cqle_bit(from);
	unsigned waiting = count(p->participants & ~p->replied), agreed = count(p->agreed);
	if (agreed >= p->required)
		enough(emu, op);
	else if (p->phase == CQLE_PAXOS_PREPARE && !promise->ok)
		contend(emu, op);
	else if (p->finishing && agreed + waiting < p->required)
		contend(emu, op);
	else if (waiting == 0 && agreed > 0) /* half accepted: it may still come true */
		answer_timeout(emu, op, agreed, p->required);
	else if (waiting == 0)
		contend(emu, op);
	cqle_op_release(emu, op);
}

void cqle_paxos_propose(struct cqlemu *emu, struct cqle_op *op, struct cqle_mutation *mutation)
{
	op->paxos->finishing = false;
	propose(emu, op, mutation);
}

int64_t cqle_paxos_timestamp(const struct cqle_op *op)
{
	return (int64_t)(op->paxos->ballot >> BALLOT_NODE_BITS);
}

void cqle_paxos_start(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_paxos *p = op->paxos;
	struct cqle_keyspace *ks = p->table->keyspace;
	const struct cqle_replicas *r =
		cqle_replicas_of(emu, ks, cqle_token(cqle_bytes_view(p->key)));
	uint64_t replicas = 0, live = cqle_live_view(emu, op->node);
	struct cql_error error;
	for (size_t i = 0; i < r->count; i++)
		replicas |= cqle_bit(r->nodes[i]);
	if (cqle_assure_live(emu, ks, p->serial, op->node, replicas, live, op->arena, &error) < 0) {
		cqle_op_answer_error(emu, op, &error);
		cqle_op_finish(emu, op);
		return;
	}
	p->participants = cqle_eligible(emu, p->serial, op->node, replicas & live);
	p->required = cqle_block_for(emu, ks, p->serial, op->node);
	p->deadline_ns = emu->now_ns + emu->options.cas_contention_ns;
	cqle_op_hold(op);
	prepare(emu, op);
	cqle_op_release(emu, op);
}

struct cqle_paxos *cqle_paxos_new(struct cqlemu *emu, struct cqle_op *op, struct cqle_table *table,
	struct lab_view key, enum cql_consistency serial)
{
	op->paxos = lab_arena_new_of(op->arena, struct cqle_paxos);
	op->paxos->table = table;
	op->paxos->key = cqle_bytes_new(emu->heap, key);
	op->paxos->serial = serial;
	return op->paxos;
}

void cqle_paxos_release(struct cqlemu *emu, struct cqle_op *op)
{
	if (op->paxos == NULL)
		return;
	forget_promises(emu, op->paxos);
	replace(emu, &op->paxos->mutation, NULL);
	cqle_bytes_unref(emu->heap, op->paxos->key);
}

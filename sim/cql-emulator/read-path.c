/* SPDX-License-Identifier: Apache-2.0
 *
 * read-path.c - the coordinator's side of SELECT: one sub-read after the other, each of one
 * partition or of a part of the ring that has the same replicas.
 *
 * A sub-read asks as many replicas as the consistency level needs. If they differ, all of them are
 * asked for everything, the newest wins, and who was behind is repaired before the client is
 * answered. If a replica's limit cut its answer so that too few rows survive the merge, the
 * sub-read is repeated with a larger one.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

static void sub_read(struct cqlemu *emu, struct cqle_op *op);

/* ---- one replica ---- */

struct cqle_answer *cqle_read_at(struct cqlemu *emu, struct cqle_op *op, size_t node)
{
	struct cqle_answer *answer = cqle_answer_new(emu->heap);
	if (!cqle_knows(node, op->reading->table)) {
		answer->failed = answer->ignorant = true;
		return answer;
	}
	cqle_read_current(emu->heap, &op->read, node, answer);
	return answer;
}

/* ---- end of the whole ---- */

static void fail_read(struct cqlemu *emu, struct cqle_op *op, const struct cql_error *error)
{
	cqle_op_answer_error(emu, op, error);
	cqle_op_finish(emu, op);
}

static unsigned received(const struct cqlemu *emu, const struct cqle_op *op, uint64_t nodes)
{
	return cqle_received(emu, op->reading->table->keyspace, op->consistency, op->node, nodes);
}

/* The round is over; who has not answered may never do so. */
static void note_silence(struct cqlemu *emu, const struct cqle_op *op)
{
	uint64_t silent = op->asked & ~op->replied & ~op->failed;
	for (; silent != 0; silent &= silent - 1) {
		size_t node = (size_t)__builtin_ctzll(silent);
		bool is_extra = (op->extra & cqle_bit(node)) != 0;
		cqle_snitch_waits(emu, op->node, node, is_extra ? op->extra_ns : op->asked_ns);
	}
}

/* A read of one partition, for the table's percentiles. */
static void note_time(struct cqlemu *emu, const struct cqle_op *op)
{
	struct cqle_table *t = op->reading->table;
	if (op->select.scan || t->keyspace->local || t->dropped)
		return;
	cqle_read_took(emu, t, op->node, emu->now_ns - op->received_ns);
}

void cqle_read_timeout(struct cqlemu *emu, struct cqle_op *op)
{
	note_silence(emu, op);
	note_time(emu, op);
	struct cql_error error = { .code = CQL_E_READ_TIMEOUT,
		.consistency = op->consistency,
		.required = (int32_t)op->required,
		.received = (int32_t)received(emu, op, op->replied) };
	/* The first of the replicas sends data, the others digests. */
	error.data_present = op->order_count > 0 && (op->replied & cqle_bit(op->order[0])) != 0;
	cqle_op_hold(op);
	fail_read(emu, op, &error);
	cqle_op_release(emu, op);
}

static void answer_failure(struct cqlemu *emu, struct cqle_op *op)
{
	note_silence(emu, op);
	note_time(emu, op);
	unsigned got = received(emu, op, op->replied);
	struct cql_error error = { .code = CQL_E_READ_FAILURE,
		.consistency = op->consistency,
		.message = lab_view_cstr(cqle_failures(
			emu, op->arena, op->failed, op->ignorant, got, "READ_TOO_MANY_TOMBSTONES")),
		.required = (int32_t)op->required,
		.received = (int32_t)got,
		.failures = (int32_t)__builtin_popcountll(op->failed) };
	cqle_error_blame(emu, op, &error, op->failed, op->ignorant, CQL_REASON_TOMBSTONES);
	fail_read(emu, op, &error);
}

/* ---- the sub-read is complete ---- */

static void warn_tombstones(
	struct cqlemu *emu, struct cqle_op *op, const struct cqle_answer *answer)
{
	if (emu->options.tombstone_warn == 0 || answer->tombstones < emu->options.tombstone_warn)
		return;
	const char *text = lab_arena_printf(op->arena,
		"Read %zu live rows and %zu tombstone cells for query %.*s; token %" PRId64
		" (see tombstone_warn_threshold)",
		answer->live, answer->tombstones, LAB_VIEW_ARG(op->text), op->read.token);
	cqle_op_warn(op, text);
}

static size_t room(const struct cqle_op *op)
{
	size_t wanted = LAB_MIN(op->wanted, op->remaining);
	return wanted == SIZE_MAX ? SIZE_MAX : wanted - op->result->live;
}

static void release_answers(struct cqlemu *emu, struct cqle_op *op)
{
	for (size_t i = 0; i < emu->node_count; i++) {
		cqle_answer_unref(emu->heap, op->answers[i]);
		op->answers[i] = NULL;
	}
	cqle_answer_unref(emu->heap, op->merged);
	op->merged = NULL;
}

static void take_result(struct cqlemu *emu, struct cqle_op *op, const struct cqle_answer *answer)
{
	op->round++; /* later answers are of no interest */
	note_silence(emu, op);
	cqle_op_disarm(emu, &op->speculation);
	warn_tombstones(emu, op, answer);
	if (op->change.reading)
		cqle_change_known(emu, op, answer);
	else
		cqle_result_add(emu, op, answer, room(op));
	release_answers(emu, op);
	op->resume_at = NULL;
	op->again = true;
	if (!op->looping)
		cqle_read_start(emu, op);
}

/* ---- rounds ---- */

static void ask(struct cqlemu *emu, struct cqle_op *op, size_t node)
{
	struct cqle_event message = { .kind = CQLE_EV_MESSAGE,
		.message = CQLE_MSG_READ,
		.from = (uint8_t)op->node,
		.to = (uint8_t)node,
		.op = op,
		.op_serial = op->serial,
		.slot = op->round,
		.sent_ns = emu->now_ns };
	op->asked |= cqle_bit(node);
	(void)cqle_send(emu, &message);
}

static void next_round(struct cqlemu *emu, struct cqle_op *op)
{
	uint64_t nodes = op->replied;
	note_silence(emu, op);
	release_answers(emu, op);
	op->round++;
	op->tries++;
	op->replied = op->failed = op->asked = op->ignorant = 0;
	op->asked_ns = emu->now_ns;
	uint32_t round = op->round;
	for (size_t i = 0; i < emu->node_count && op->round == round && !op->finished; i++) {
		if ((nodes & cqle_bit(i)) != 0)
			ask(emu, op, i);
	}
}

struct repair_ctx {
	struct cqlemu *emu;
	struct cqle_op *op;
	size_t node;
};

static void send_repair(void *_ctx, struct cqle_mutation *mutation)
{
	struct repair_ctx *ctx = _ctx;
	struct cqle_op *op = ctx->op;
	struct cqle_event message = { .kind = CQLE_EV_MESSAGE,
		.message = CQLE_MSG_WRITE,
		.from = (uint8_t)op->node,
		.to = (uint8_t)ctx->node,
		.reply_to = (uint8_t)op->node,
		.op = op,
		.op_serial = op->serial,
		.slot = CQLE_SLOT_REPAIR,
		.mutation = mutation };
	op->repairs_waiting++;
	ctx->emu->counters.read_repairs++;
	(void)cqle_send(ctx->emu, &message);
	cqle_mutation_unref(ctx->emu->heap, mutation);
}

/* Blocking read repair: the client waits until those who were behind have acknowledged. With
 * read_repair NONE they stay behind. */
static void repair(struct cqlemu *emu, struct cqle_op *op, uint64_t nodes)
{
	op->repairs_waiting = 1; /* ours */
	for (size_t i = 0; i < emu->node_count && !op->reading->table->repairs_nothing; i++) {
		struct repair_ctx ctx = { emu, op, i };
		if ((nodes & cqle_bit(i)) != 0)
			(void)cqle_answer_repair(emu->heap, op->reading->table, op->answers[i],
				op->merged, send_repair, &ctx);
	}
	cqle_repair_ack(emu, op);
}

void cqle_repair_ack(struct cqlemu *emu, struct cqle_op *op)
{
	if (op->repairs_waiting == 0 || --op->repairs_waiting > 0 || op->merged == NULL)
		return;
	cqle_op_hold(op);
	struct cqle_answer *merged = op->merged;
	op->merged = NULL;
	take_result(emu, op, merged);
	cqle_answer_unref(emu->heap, merged);
	cqle_op_release(emu, op);
}

static void merge_round(
	struct cqlemu *emu, struct cqle_op *op, struct cqle_answer **answers, size_t count)
{
	op->merged = cqle_answer_new(emu->heap);
	cqle_answers_merge(emu->heap, answers, count, &op->read, op->merged);
	bool is_short = op->merged->limited && op->merged->live < op->read.limit;
	if (is_short && op->tries < CQLE_TRIES_MAX) {
		op->read.limit = op->read.limit > SIZE_MAX / 4 ? SIZE_MAX : op->read.limit * 4;
		next_round(emu, op);
		return;
	}
	repair(emu, op, op->replied);
}

/* Enough have answered. */
static void resolve(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_answer *answers[CQLEMU_NODES_MAX];
	size_t count = 0;
	bool same = true;
	for (size_t i = 0; i < emu->node_count; i++) {
		if ((op->replied & cqle_bit(i)) == 0)
			continue;
		answers[count++] = op->answers[i];
		same = same && cqle_answer_equal(answers[0], op->answers[i]);
	}
	if (op->full) {
		merge_round(emu, op, answers, count);
	} else if (same) {
		take_result(emu, op, answers[0]);
	} else {
		emu->counters.digest_mismatches++;
		op->full = true;
		next_round(emu, op);
	}
}

void cqle_read_answer(struct cqlemu *emu, struct cqle_op *op, uint32_t round, size_t from,
	struct cqle_answer *answer)
{
	if (round != op->round || op->merged != NULL || (op->replied & cqle_bit(from)) != 0)
		return;
	cqle_op_hold(op);
	if (answer->failed) {
		op->failed |= cqle_bit(from);
		if (answer->ignorant)
			op->ignorant |= cqle_bit(from);
		warn_tombstones(emu, op, answer);
		if (received(emu, op, op->asked & ~op->failed) < op->required)
			answer_failure(emu, op);
	} else {
		op->replied |= cqle_bit(from);
		op->answers[from] = answer;
		answer->refs++;
		/* Further rounds hear all that the first did. */
		if (received(emu, op, op->replied) >= op->required)
			resolve(emu, op);
	}
	cqle_op_release(emu, op);
}

void cqle_read_speculate(struct cqlemu *emu, struct cqle_op *op)
{
	if (op->full)
		return;
	for (size_t i = 0; i < op->order_count; i++) {
		if ((op->asked & cqle_bit(op->order[i])) != 0)
			continue;
		emu->counters.speculations++;
		op->extra |= cqle_bit(op->order[i]);
		op->extra_ns = emu->now_ns;
		cqle_op_hold(op);
		ask(emu, op, op->order[i]);
		cqle_op_release(emu, op);
		return;
	}
}

/* ---- whom to ask ---- */

/* The coordinator itself, its rack's neighbours in ring order, then the other data centres. */
static void order_replicas(struct cqlemu *emu, struct cqle_op *op, const struct cqle_replicas *r)
{
	unsigned dc = emu->nodes[op->node].dc;
	op->order_count = 0;
	for (unsigned pass = 0; pass < 3; pass++) {
		for (size_t i = 0; i < r->count; i++) {
			size_t node = r->nodes[i];
			unsigned distance = node == op->node            ? 0
					    : emu->nodes[node].dc == dc ? 1
									: 2;
			if (distance == pass && (op->candidates & cqle_bit(node)) != 0)
				op->order[op->order_count++] = (uint8_t)node;
		}
	}
	cqle_snitch_order(emu, op->node, op->order, op->order_count);
}

/* Scans and EACH_QUORUM ask nobody else (AbstractReadExecutor). */
static void choose_speculation(struct cqlemu *emu, struct cqle_op *op)
{
	bool never = op->select.scan || op->consistency == CQL_EACH_QUORUM ||
		     op->order_count <= op->required;
	uint64_t after_ns =
		never ? UINT64_MAX : cqle_speculation_ns(emu, op->reading->table, op->node);
	op->speculating = after_ns == 0;
	op->speculation_ns = after_ns == 0 ? UINT64_MAX : after_ns;
	op->extra = 0;
}

static void ask_enough(struct cqlemu *emu, struct cqle_op *op)
{
	uint64_t chosen = 0;
	unsigned extra = op->speculating;
	uint32_t round = op->round;
	for (size_t i = 0; i < op->order_count; i++) {
		uint64_t with = chosen | cqle_bit(op->order[i]);
		unsigned before = received(emu, op, chosen);
		if (before >= op->required && extra == 0)
			break;
		if (before >= op->required)
			extra--;
		else if (received(emu, op, with) == before)
			continue; /* its data centre has its quorum */
		chosen = with;
	}
	op->asked = chosen;
	for (size_t i = 0; i < op->order_count && op->round == round && !op->finished; i++) {
		if ((chosen & cqle_bit(op->order[i])) != 0)
			ask(emu, op, op->order[i]);
	}
}

static bool begin_round(struct cqlemu *emu, struct cqle_op *op, const struct cqle_replicas *r)
{
	struct cqle_keyspace *ks = op->reading->table->keyspace;
	struct cql_error error;
	uint64_t replicas = 0, live = cqle_live_view(emu, op->node);
	for (size_t i = 0; i < r->count; i++)
		replicas |= cqle_bit(r->nodes[i]);
	if (cqle_assure_live(
		    emu, ks, op->consistency, op->node, replicas, live, op->arena, &error) < 0) {
		fail_read(emu, op, &error);
		return false;
	}
	op->required = cqle_block_for(emu, ks, op->consistency, op->node);
	op->candidates = cqle_eligible(emu, op->consistency, op->node, replicas & live);
	op->replied = op->failed = op->asked = op->ignorant = 0;
	op->full = false;
	op->tries = 0;
	op->round++;
	op->asked_ns = emu->now_ns;
	order_replicas(emu, op, r);
	choose_speculation(emu, op);
	if (op->timer == NULL)
		cqle_op_arm(emu, op, CQLE_EV_TIMEOUT,
			emu->now_ns + (op->select.scan ? emu->options.range_timeout_ns
						       : emu->options.read_timeout_ns));
	return true;
}

static void ask_replicas(struct cqlemu *emu, struct cqle_op *op, const struct cqle_replicas *r)
{
	if (!begin_round(emu, op, r))
		return;
	uint32_t round = op->round;
	ask_enough(emu, op);
	if (!op->finished && op->round == round && op->speculation == NULL &&
		op->speculation_ns != UINT64_MAX && op->asked != op->candidates)
		cqle_op_arm(emu, op, CQLE_EV_SPECULATE, emu->now_ns + op->speculation_ns);
}

/* ---- what to read next ---- */

static void set_resume(struct cqle_op *op)
{
	const struct cqle_paging *p = op->resume_at;
	op->read.resume_key = lab_view_of(NULL, 0);
	op->read.resume_row = lab_view_of(NULL, 0);
	op->read.resume_skip = false;
	if (p == NULL)
		return;
	op->read.resume_key = op->read.key.ptr != NULL ? op->read.key : p->key;
	op->read.resume_row = p->row;
	op->read.resume_skip = p->row.ptr == NULL || p->partition_remaining == 0;
	if (op->read.key.ptr == NULL)
		op->read.token = cqle_token(p->key);
}

static void set_limits(struct cqlemu *emu, struct cqle_op *op)
{
	bool everything = op->reading->filtering || op->reading->aggregating;
	op->read.limit = everything ? SIZE_MAX : room(op);
	op->read.partition_limit = op->reading->filtering || op->reading->grouping
					   ? SIZE_MAX
					   : op->select.partition_limit;
	if (op->reading->distinct && !op->reading->filtering)
		op->read.partition_limit = 1;
	op->read.resume_limit = op->read.partition_limit;
	if (op->resume_at != NULL && op->read.partition_limit != SIZE_MAX)
		op->read.resume_limit = op->resume_at->partition_remaining;
	op->read.now_s = cqle_op_now_s(emu, op);
	uint32_t grace = op->reading->table->gc_grace_s;
	op->read.gc_before_s = op->read.now_s > grace ? op->read.now_s - grace : 0;
}

/* Local tables: this node's own. */
static void read_local(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_answer *answer = cqle_read_at(emu, op, op->node);
	take_result(emu, op, answer);
	cqle_answer_unref(emu->heap, answer);
}

static void read_key(struct cqlemu *emu, struct cqle_op *op)
{
	op->read.key = op->select.keys.keys[op->next_key++];
	op->read.token = cqle_token(op->read.key);
	set_resume(op);
	set_limits(emu, op);
	if (op->reading->table->keyspace->local)
		read_local(emu, op);
	else
		ask_replicas(emu, op,
			cqle_replicas_of(emu, op->reading->table->keyspace, op->read.token));
}

static bool same_replicas(const struct cqle_replicas *a, const struct cqle_replicas *b)
{
	uint64_t x = 0, y = 0;
	for (size_t i = 0; i < a->count; i++)
		x |= cqle_bit(a->nodes[i]);
	for (size_t i = 0; i < b->count; i++)
		y |= cqle_bit(b->nodes[i]);
	return x == y;
}

/* Range i of the ring is (token i-1, token i]; the last one is behind the last token. */
static const struct cqle_replicas *range_replicas(struct cqlemu *emu, struct cqle_op *op, size_t i)
{
	return cqle_placement(emu, op->reading->table->keyspace, i % emu->ring_count);
}

static bool range_is_wanted(const struct cqlemu *emu, const struct cqle_op *op, size_t i)
{
	const struct cqle_select *s = &op->select;
	int64_t upto = i < emu->ring_count ? emu->ring[i].token : INT64_MAX;
	int64_t resume = op->resume_at != NULL ? cqle_token(op->resume_at->key) : INT64_MIN;
	if (i > 0 && emu->ring[i - 1].token >= s->token_upto)
		return false;
	return (s->token_from_minimum || upto > s->token_after) && upto >= resume;
}

static void read_ranges(struct cqlemu *emu, struct cqle_op *op)
{
	const struct cqle_select *s = &op->select;
	size_t first = op->next_range, last = first;
	const struct cqle_replicas *replicas = range_replicas(emu, op, first);
	while (last + 1 <= emu->ring_count && range_is_wanted(emu, op, last + 1) &&
		same_replicas(replicas, range_replicas(emu, op, last + 1)))
		last++;
	op->next_range = last + 1;
	op->read.key = lab_view_of(NULL, 0);
	op->read.from_minimum = first == 0 && s->token_from_minimum;
	op->read.after =
		first == 0 ? s->token_after : LAB_MAX(emu->ring[first - 1].token, s->token_after);
	op->read.upto = last == emu->ring_count ? s->token_upto
						: LAB_MIN(emu->ring[last].token, s->token_upto);
	set_resume(op);
	set_limits(emu, op);
	ask_replicas(emu, op, replicas);
}

static void read_local_scan(struct cqlemu *emu, struct cqle_op *op)
{
	op->next_range = emu->ring_count + 1;
	op->read.key = lab_view_of(NULL, 0);
	op->read.from_minimum = op->select.token_from_minimum;
	op->read.after = op->select.token_after;
	op->read.upto = op->select.token_upto;
	set_resume(op);
	set_limits(emu, op);
	read_local(emu, op);
}

static bool has_next(struct cqlemu *emu, struct cqle_op *op)
{
	if (!op->select.scan)
		return op->next_key < op->select.keys.count;
	if (op->select.token_empty)
		return false;
	while (op->next_range <= emu->ring_count && !range_is_wanted(emu, op, op->next_range))
		op->next_range++;
	return op->next_range <= emu->ring_count;
}

static void sub_read(struct cqlemu *emu, struct cqle_op *op)
{
	if (!op->select.scan)
		read_key(emu, op);
	else if (op->reading->table->keyspace->local)
		read_local_scan(emu, op);
	else
		read_ranges(emu, op);
}

/* Goes on until the page is full, nothing is left, or a replica lets us wait. */
void cqle_read_start(struct cqlemu *emu, struct cqle_op *op)
{
	cqle_op_hold(op);
	op->looping = true;
	while (op->again && !op->finished) {
		op->again = false;
		bool full = op->result->more || (!op->reading->aggregating && room(op) == 0);
		if (op->result->failed) {
			cqle_op_fail(emu, op, &op->result->err);
			break;
		}
		if (!full && has_next(emu, op)) {
			sub_read(emu, op);
			continue;
		}
		note_time(emu, op);
		if (op->change.reading) {
			cqle_change_read_done(emu, op);
			break;
		}
		cqle_result_finish(emu, op);
		cqle_op_finish(emu, op);
	}
	op->looping = false;
	cqle_op_release(emu, op);
}

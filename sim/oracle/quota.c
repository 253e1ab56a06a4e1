/* SPDX-License-Identifier: Apache-2.0
 *
 * quota.c - invariant 27: what a quota says is the sum of the virtual sizes of the mails that
 * count, over rescans, merges and crashes.
 *
 * The auditor, and backends that have told each other everything, must say exactly what they list.
 * In between a backend must say at least what it took since it started, and at most what there may
 * be. What is refused for lack of room must not have had it, and who was above the limit gets
 * nothing more.
 */
#include "sim/oracle/oracle-private.h"

struct sum {
	uint64_t bytes, messages;
	bool is_unknown; /* nobody knows the size of some mail */
};

static bool counts(const struct oracle *oracle, struct lab_view folder)
{
	for (size_t i = 0; i < oracle->settings.quota_ignored_count; i++) {
		if (lab_view_eq(oracle->settings.quota_ignored[i], folder))
			return false;
	}
	return true;
}

/* ---- sizes ---- */

/* Of a mail by its token; 0: not known, as no mail has that size. */
static uint64_t size_of_token(
	struct oracle *oracle, const struct lab_map *sizes, struct lab_view user, uint64_t token)
{
	struct oracle_key key;
	const struct history_op *op = lab_map_get(
		sizes, oracle_key3(&key, user, LAB_VIEW(""), lab_view_of(&token, sizeof(token))));

	(void)oracle;
	return op == NULL ? 0 : op->body_vsize;
}

/* Whoever sent or read a mail knows its size. */
static struct lab_map *collect_sizes(struct oracle *oracle, const struct history *history)
{
	struct lab_map *sizes = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX);

	for (size_t i = 0; i < history_count(history); i++) {
		const struct history_op *op = history_op(history, i);
		struct oracle_key key;
		void **slot;

		if (op->token == 0 || op->body_vsize == 0 ||
			(op->kind != HISTORY_DELIVER &&
				(op->kind != HISTORY_FETCH || op->outcome != HISTORY_OK)))
			continue;
		slot = lab_map_slot(sizes, oracle_key3(&key, op->user, LAB_VIEW(""),
						   lab_view_of(&op->token, sizeof(op->token))));
		if (slot != NULL && *slot == NULL)
			*slot = (void *)(uintptr_t)op;
	}
	return sizes;
}

static void add(struct sum *sum, uint64_t size)
{
	sum->messages++;
	sum->bytes += size;
	sum->is_unknown |= size == 0;
}

/* ---- findings ---- */

static void find(struct oracle *oracle, const struct oracle_case *c, const struct history_op *op,
	const char *signature, const char *what, const struct sum *sum)
{
	struct oracle_finding *f = oracle_find(oracle, 27, signature,
		"%.*s: the quota of %.*s is %" PRIu64 " bytes in %" PRIu64 " mails, and %s %" PRIu64
		" bytes in %" PRIu64,
		LAB_VIEW_ARG(op->backend), LAB_VIEW_ARG(op->user), op->body_vsize, op->messages,
		what, sum->bytes, sum->messages);

	f->op = op->id;
	f->time_ns = op->ended_ns;
	oracle_why_op(f, op);
	f->excuse = oracle->settings.rows_were_resurrected ? "rows were put back on purpose"
							   : oracle_excuse_clock(oracle, c);
	if (f->excuse == NULL)
		f->excuse = oracle_excuse_weak(oracle);
	if (f->excuse == NULL)
		f->excuse = oracle_excuse_lie(oracle, c, op->user);
	if (f->excuse == NULL)
		f->excuse = oracle_excuse_stale(oracle, c, 0, op);
}

/* ---- exactly ---- */

/* Of what a listing shows. */
static void add_listing(struct oracle *oracle, const struct lab_map *sizes,
	const struct history_op *listing, struct sum *sum)
{
	size_t count;
	const struct history_sighting *seen =
		history_sightings(oracle->model.history, listing->id, &count);

	for (size_t i = 0; i < count; i++) {
		const struct oracle_instance *instance = oracle_instance_find(
			&oracle->model, listing->user, listing->folder, seen[i].object.name);
		uint64_t token = instance == NULL ? 0 : instance->token;

		add(sum, token == 0 ? 0 : size_of_token(oracle, sizes, listing->user, token));
	}
}

/* The listings of all folders around the question: behind it for the auditor, before it for others
 * that were asked to converge. False if there is not one of each folder that was listed. */
static bool sum_of_listings(struct oracle *oracle, const struct oracle_case *c,
	const struct lab_map *sizes, const struct history_op *op, struct sum *sum)
{
	bool is_audit = lab_view_eq_cstr(op->backend, oracle->settings.auditor);
	size_t count = history_count(c->history), folders = 0, selected = 0;
	size_t at = op->id - 1;

	while (is_audit ? at < count : at > 0) {
		const struct history_op *other = history_op(c->history, is_audit ? at++ : --at);
		size_t n;

		if (!lab_view_eq(other->user, op->user) ||
			!lab_view_eq(other->backend, op->backend) || other->boot != op->boot)
			continue;
		if (other->kind == HISTORY_SELECT && other->outcome != HISTORY_OK)
			return false;
		if (other->kind == HISTORY_SELECT) {
			selected++;
			if (counts(oracle, other->asked))
				add_listing(oracle, sizes, other, sum);
		}
		if (other->kind == HISTORY_LIST && !is_audit) {
			(void)history_folders(c->history, other->id, &n);
			folders = n;
			break;
		}
	}
	return selected > 0 && (is_audit || selected >= folders);
}

static void check_exactly(struct oracle *oracle, const struct oracle_case *c,
	const struct lab_map *sizes, const struct history_op *op)
{
	struct sum sum = { 0 };

	if (!sum_of_listings(oracle, c, sizes, op, &sum))
		return;
	if (op->messages != sum.messages || (!sum.is_unknown && op->body_vsize != sum.bytes))
		find(oracle, c, op, "I27 quota is not the sum", "what it lists has", &sum);
}

/* ---- as far as can be known ---- */

/* In the same run of the same backend, and over before the question. */
static bool is_known(
	const struct oracle *oracle, const struct history_op *by, const struct history_op *op)
{
	return by != NULL && by->ended_ns < op->invoked_ns && by->outcome != HISTORY_PENDING &&
	       knowledge_life(oracle->knowledge, by) == knowledge_life(oracle->knowledge, op) &&
	       lab_view_eq(by->backend, op->backend) && by->boot == op->boot;
}

static bool may_be_gone(const struct oracle_instance *i, const struct history_op *op)
{
	const struct history_op *ends[] = { i->removed, i->maybe_removed };

	for (size_t n = 0; n < LAB_COUNT_OF(ends); n++) {
		if (ends[n] != NULL && ends[n]->invoked_ns <= op->ended_ns)
			return true;
	}
	return false;
}

/* Folders of one name that backends made without knowing of each other go by name#guid here. */
static bool is_clash(struct lab_view folder)
{
	return lab_view_find_byte(folder, '#') != SIZE_MAX;
}

/* Two folders of one name, of which one is shown under another: who knows which of them counts. If
 * the name is ignored, that is so although only one of them ever had a mail, and whichever it is.
 */
static bool has_clash(const struct oracle *oracle, struct lab_view user)
{
	const struct history *history = oracle->model.history;

	for (const struct oracle_instance *i = oracle->model.first_instance; i != NULL;
		i = i->next) {
		if (lab_view_eq(i->user, user) && is_clash(i->folder))
			return true;
	}
	for (size_t i = 0; oracle->settings.quota_ignored_count > 0 && i < history_count(history);
		i++) {
		const struct history_op *op = history_op(history, i);

		if (is_clash(op->folder) && lab_view_eq(op->user, user) &&
			!counts(oracle, op->asked))
			return true;
	}
	return false;
}

static bool is_certain(
	const struct oracle *oracle, const struct oracle_instance *i, const struct history_op *op)
{
	return i->made == ORACLE_MADE_OK && is_known(oracle, i->maker, op) && !may_be_gone(i, op);
}

/* What another backend failed to take was listed for a while, and this one does not hear of its end
 * before it refreshes. */
static bool may_be_listed(const struct oracle_instance *i, const struct history_op *op)
{
	return i->made != ORACLE_MADE_FAILED || !lab_view_eq(i->maker->backend, op->backend);
}

static bool is_possible(
	const struct oracle *oracle, const struct oracle_instance *i, const struct history_op *op)
{
	return may_be_listed(i, op) && (i->maker == NULL || i->maker->invoked_ns <= op->ended_ns) &&
	       !is_known(oracle, i->removed, op);
}

static void bounds(struct oracle *oracle, const struct lab_map *sizes, const struct history_op *op,
	struct sum *least, struct sum *most)
{
	bool clash = has_clash(oracle, op->user);

	for (const struct oracle_instance *i = oracle->model.first_instance; i != NULL;
		i = i->next) {
		uint64_t size = size_of_token(oracle, sizes, i->user, i->token);

		if (!lab_view_eq(i->user, op->user) || (!clash && !counts(oracle, i->folder)))
			continue;
		if (!clash && is_certain(oracle, i, op))
			add(least, size);
		if (is_possible(oracle, i, op))
			add(most, size);
	}
	for (const struct oracle_tally *t = oracle->model.first_tally; t != NULL; t = t->next) {
		if (!lab_view_eq(t->user, op->user))
			continue;
		for (uint64_t n = 0; n < t->ok + t->maybe; n++)
			add(most, size_of_token(oracle, sizes, t->user, t->token));
	}
}

static void check_bounds(struct oracle *oracle, const struct oracle_case *c,
	const struct lab_map *sizes, const struct history_op *op)
{
	struct sum least = { 0 }, most = { 0 };

	bounds(oracle, sizes, op, &least, &most);
	if (op->messages < least.messages || op->body_vsize < least.bytes)
		find(oracle, c, op, "I27 quota below what is there",
			"what this backend took and has is at least", &least);
	else if (op->messages > most.messages || (!most.is_unknown && op->body_vsize > most.bytes))
		find(oracle, c, op, "I27 quota above what is there", "there are at most", &most);
}

/* ---- deliveries ---- */

static void check_delivery(struct oracle *oracle, const struct oracle_case *c,
	const struct lab_map *sizes, const struct history_op *op)
{
	const struct oracle_settings *s = &oracle->settings;
	struct sum least = { 0 }, most = { 0 };
	bool has_room, had_none;
	struct oracle_finding *f;

	if (op->outcome != HISTORY_OK && op->code != LAB_OVER_QUOTA)
		return;
	bounds(oracle, sizes, op, &least, &most);
	has_room = (s->quota_messages == 0 || most.messages < s->quota_messages) &&
		   (s->quota_bytes == 0 || most.bytes + op->body_vsize <= s->quota_bytes);
	had_none = (s->quota_messages > 0 && least.messages > s->quota_messages) ||
		   (s->quota_bytes > 0 && least.bytes > s->quota_bytes + op->body_vsize);
	if (op->outcome == HISTORY_OK ? !had_none : !has_room || most.is_unknown)
		return;
	f = oracle_find(oracle, 27,
		op->outcome == HISTORY_OK ? "I27 accepted above the limit"
					  : "I27 refused below the limit",
		"%.*s/%.*s: mail %016" PRIx64 " of %" PRIu64 " bytes was %s with between %" PRIu64
		" and %" PRIu64 " bytes there",
		LAB_VIEW_ARG(op->user), LAB_VIEW_ARG(op->folder), op->token, op->body_vsize,
		op->outcome == HISTORY_OK ? "accepted" : "refused", least.bytes, most.bytes);
	f->token = op->token;
	f->op = op->id;
	f->time_ns = op->ended_ns;
	oracle_why_op(f, op);
	f->excuse = oracle_excuse_clock(oracle, c);
	if (f->excuse == NULL)
		f->excuse = oracle_excuse_weak(oracle);
}

void oracle_check_quota(struct oracle *oracle, const struct oracle_case *c)
{
	struct lab_map *sizes;

	if (!oracle->settings.has_quota)
		return;
	sizes = collect_sizes(oracle, c->history);
	for (size_t i = 0; i < history_count(c->history); i++) {
		const struct history_op *op = history_op(c->history, i);

		/* Whoever renames or deletes folders takes mails along that are not told apart. */
		if (lab_map_get(oracle->model.movers, op->user) != NULL)
			continue;
		if (op->kind == HISTORY_DELIVER && counts(oracle, op->folder))
			check_delivery(oracle, c, sizes, op);
		if (op->kind != HISTORY_QUOTA || op->outcome != HISTORY_OK)
			continue;
		if (op->is_converged || lab_view_eq_cstr(op->backend, oracle->settings.auditor))
			check_exactly(oracle, c, sizes, op);
		else
			check_bounds(oracle, c, sizes, op);
	}
	lab_map_free(&sizes);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * private.c - what is in a user's root beside folders: private flags of shared folders (3), and the
 * UIDs of virtual folders (7).
 *
 * Private flags are as other flags are, but what a backend knows of them it has from the root. A
 * user who was deleted meanwhile begins anew, and is left out.
 */
#include "sim/oracle/flag-changes.h"

#define ELSEWHERE "private indexes are not in ~/shared-pvt, so no bundle has them (obox 5.9)"

struct privates {
	struct oracle *oracle;
	const struct oracle_case *c;
	struct lab_map *stores;  /* user, folder, mail -> struct stores */
	struct lab_map *uids;    /* user, UIDVALIDITY and UID -> struct shown */
	struct lab_map *deleted; /* users */
};

/* Of one mail for one reader, in the order of invocation. */
struct stores {
	struct oracle_touch *first, **last;
	size_t count;
	bool is_blamed;
};

/* Which mail a UID meant. */
struct shown {
	const struct history_op *op;
	uint8_t name[HISTORY_NAME_BYTES];
};

static struct lab_view name_of(const struct history_op *op)
{
	return lab_view_of(op->source.name, sizeof(op->source.name));
}

/* ---- private flags ---- */

static void stored(struct privates *p, const struct history_op *op)
{
	struct oracle_key key;
	void **slot = lab_map_slot(p->stores, oracle_key3(&key, op->user, op->folder, name_of(op)));
	struct oracle_touch *touch = lab_arena_new_of(p->oracle->work, struct oracle_touch);
	struct stores *stores = *slot;

	if (stores == NULL) {
		stores = *slot = lab_arena_new_of(p->oracle->work, struct stores);
		stores->last = &stores->first;
	}
	touch->op = op;
	*stores->last = touch;
	stores->last = &touch->next;
	stores->count++;
}

static void collect(const struct oracle *oracle, const struct stores *stores,
	const struct flag_observer *who, struct lab_view user, struct flag_changes *ret)
{
	size_t room = stores == NULL ? 1 : stores->count;

	*ret = (struct flag_changes){ .of = lab_arena_array(oracle->work, struct flag_change, room),
		.folder = knowledge_root(user) };
	for (const struct oracle_touch *t = stores == NULL ? NULL : stores->first; t != NULL;
		t = t->next) {
		if (t->op->invoked_event >= who->to || t->op->outcome == HISTORY_FAIL)
			continue;
		ret->of[ret->count] =
			flag_change_of(oracle, t->op, t->op->is_set ? FLAG_SET : FLAG_CLEAR);
		ret->of[ret->count].is_known =
			flag_is_known(oracle, ret->folder, who, &ret->of[ret->count]);
		ret->count++;
	}
}

static struct oracle_finding *blame(const struct privates *p, const char *signature,
	const struct history_op *op, const char *what)
{
	struct oracle_finding *f =
		oracle_find(p->oracle, 3, signature, "%.*s: own \\Seen of a mail in %.*s %s",
			LAB_VIEW_ARG(op->user), LAB_VIEW_ARG(op->folder), what);

	f->op = op->id;
	f->time_ns = op->ended_ns;
	if (p->oracle->settings.private_is_elsewhere)
		f->excuse = ELSEWHERE;
	return f;
}

static void fetched(struct privates *p, const struct history_op *op)
{
	struct oracle *oracle = p->oracle;
	struct flag_observer who = { .life = knowledge_life(oracle->knowledge, op),
		.at = op->invoked_event,
		.to = op->ended_event,
		.is_storage = lab_view_eq_cstr(op->backend, oracle->settings.auditor) };
	struct lab_arena_mark mark = lab_arena_mark(oracle->work);
	const struct flag_change *last;
	struct oracle_finding *f;
	struct oracle_key key;
	struct stores *stores =
		lab_map_get(p->stores, oracle_key3(&key, op->user, op->folder, name_of(op)));
	struct flag_changes changes;

	if (op->outcome != HISTORY_OK || (stores != NULL && stores->is_blamed))
		return;
	collect(oracle, stores, &who, op->user, &changes);
	last = flag_last_known(&changes);
	if ((flag_allowed(oracle, &changes) & (op->changed ? FLAG_SET : FLAG_CLEAR)) == 0) {
		f = op->changed ? blame(p, "I3 private flag is back", op,
					  "was cleared with OK, or never set, and is set")
				: blame(p, "I3 private flag lost", op,
					  "was set with OK and is not there");
		if (last != NULL)
			oracle_why_op(f, last->op);
		oracle_why_op(f, op);
		if (stores != NULL)
			stores->is_blamed = true;
	}
	lab_arena_rewind(oracle->work, mark);
}

/* It changed something, its backend lived long enough to upload it, and nothing failed. */
static void check_upload(struct privates *p, struct stores *stores, const struct history_op *op)
{
	const struct oracle *oracle = p->oracle;
	uint32_t life = knowledge_life(oracle->knowledge, op);
	uint64_t deadline_ns =
		op->ended_ns + oracle->settings.upload_interval_ns + ORACLE_UPLOAD_TIME;
	uint64_t crash_ns;

	(void)knowledge_crash(oracle->knowledge, life, &crash_ns);
	if (op->outcome != HISTORY_OK || !op->changed || stores->is_blamed ||
		crash_ns <= deadline_ns || p->c->ended_ns <= deadline_ns ||
		knowledge_stored_ns(oracle->knowledge, knowledge_root(op->user), life, op) <=
			deadline_ns ||
		oracle_had_trouble(oracle, op->ended_ns, deadline_ns))
		return;
	oracle_why_op(blame(p, "I3 private flag not uploaded in time", op,
			      "was changed, and no root bundle had it in time"),
		op);
	stores->is_blamed = true;
}

/* ---- virtual folders ---- */

/* The second must have known what the first had given out, or that it might have given out more:
 * it had crashed. */
static bool is_after(
	const struct oracle *oracle, const struct history_op *op, const struct history_op *first)
{
	uint32_t life = knowledge_life(oracle->knowledge, op);
	uint32_t first_life = knowledge_life(oracle->knowledge, first);

	return knowledge_crash(oracle->knowledge, first_life, NULL) < op->invoked_event ||
	       knowledge_knew(oracle->knowledge, knowledge_root(op->user), life, op->invoked_event,
		       first_life, first->ended_event);
}

static void show_one(
	struct privates *p, const struct history_op *op, const struct history_sighting *seen)
{
	uint32_t numbers[2] = { op->uidvalidity, seen->uid };
	struct oracle_key key;
	void **slot = lab_map_slot(p->uids,
		oracle_key3(&key, op->user, op->folder, lab_view_of(numbers, sizeof(numbers))));
	struct shown *shown = *slot;
	struct oracle_finding *f;

	if (shown == NULL) {
		shown = *slot = lab_arena_new_of(p->oracle->work, struct shown);
		shown->op = op;
		memcpy(shown->name, seen->object.name, sizeof(shown->name));
		return;
	}
	if (memcmp(shown->name, seen->object.name, sizeof(shown->name)) == 0 ||
		!is_after(p->oracle, op, shown->op))
		return;
	f = oracle_find(p->oracle, 7, "I7 virtual UID of two mails",
		"%.*s: UID %" PRIu32 " of the virtual folder %.*s means two mails",
		LAB_VIEW_ARG(op->user), seen->uid, LAB_VIEW_ARG(op->folder));
	f->op = op->id;
	f->time_ns = op->ended_ns;
	oracle_why_op(f, shown->op);
	oracle_why_op(f, op);
	shown->op = op;
	memcpy(shown->name, seen->object.name, sizeof(shown->name));
}

static void shown(struct privates *p, const struct history_op *op)
{
	size_t count;
	const struct history_sighting *seen = history_sightings(p->c->history, op->id, &count);

	for (size_t i = 0; i < count && op->outcome == HISTORY_OK; i++)
		show_one(p, op, &seen[i]);
}

/* ---- all of them ---- */

static void check_all(struct privates *p, void (*fn)(struct privates *, const struct history_op *),
	enum history_kind kind)
{
	for (size_t n = 0; n < history_count(p->c->history); n++) {
		const struct history_op *op = history_op(p->c->history, n);

		if (op->kind == kind && lab_map_get(p->deleted, op->user) == NULL)
			fn(p, op);
	}
}

static void deleted(struct privates *p, const struct history_op *op)
{
	*lab_map_slot(p->deleted, op->user) = p;
}

void oracle_check_private(struct oracle *oracle, const struct oracle_case *c)
{
	struct privates p = { oracle, c, lab_map_new(oracle->settings.heap, HISTORY_OPS_MAX),
		lab_map_new(oracle->settings.heap, HISTORY_SIGHTINGS_MAX),
		lab_map_new(oracle->settings.heap, HISTORY_OPS_MAX) };
	struct lab_map_iter iter;
	struct lab_view key;
	void *value;

	if (oracle->settings.has_secondary) {
		check_all(&p, deleted, HISTORY_USER_DELETE);
		check_all(&p, stored, HISTORY_PRIVATE_STORE);
		check_all(&p, fetched, HISTORY_PRIVATE_FETCH);
		check_all(&p, shown, HISTORY_VIRTUAL);
	}
	iter = lab_map_iterate(p.stores);
	while (lab_map_next(&iter, &key, &value)) {
		struct stores *stores = value;

		for (const struct oracle_touch *t = stores->first;
			t != NULL && knowledge_has_uploads(oracle->knowledge); t = t->next)
			check_upload(&p, stores, t->op);
	}
	lab_map_free(&p.stores);
	lab_map_free(&p.uids);
	lab_map_free(&p.deleted);
}

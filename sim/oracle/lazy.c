/* SPDX-License-Identifier: Apache-2.0
 *
 * lazy.c - invariant 29: what lazy_expunge took is in its folder, once if it takes the last
 * instance only, and no shorter than autoexpunge says.
 *
 * That what was moved there is there is invariant 1's business; here it is what was not moved.
 */
#include "sim/oracle/oracle-private.h"

struct fate {
	size_t kept;      /* instances in the expunge folder, in the last listing */
	size_t elsewhere; /* ... in other folders, or nobody knows */
	bool was_kept;    /* or was, and has been expunged from there */
	bool is_blamed;
	const struct history_op *last; /* that expunged one of them, and ended ok */
};

/* Also one that another backend made at the same time, which has another name in the history. */
static bool is_expunge_folder(const struct oracle *oracle, struct lab_view folder)
{
	struct lab_view name;

	return lab_view_split(&folder, '#', &name) &&
	       lab_view_eq(name, oracle->settings.expunge_folder);
}

/* A reference whose row could not be deleted, or nobody knows. */
struct left_reference {
	uint8_t name[HISTORY_NAME_BYTES];
	uint64_t time_ns;
	struct left_reference *next;
};

/* The row of a mail that is written or deleted: its object's id and its name, both in hex. */
void oracle_reference_event(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view name = oracle_event_text(event, "path");
	struct left_reference *left;
	uint8_t bytes[HISTORY_NAME_BYTES];
	void **slot;

	if (name.len != 2 * sizeof(bytes) || lab_unhex(name, bytes, sizeof(bytes)) < 0)
		return;
	slot = lab_map_slot(oracle->references, oracle_event_text(event, "object_id"));
	if (slot == NULL)
		return;
	left = lab_arena_new_of(oracle->texts, struct left_reference);
	*left = (struct left_reference){ .time_ns = event->time_ns, .next = *slot };
	memcpy(left->name, bytes, sizeof(bytes));
	*slot = left;
}

static bool is_removal(const struct history_op *op)
{
	return op->kind == HISTORY_EXPUNGE || op->kind == HISTORY_MOVE;
}

static bool is_at_once(const struct history_op *a, const struct history_op *b)
{
	return a->invoked_ns <= oracle_op_end(b) && b->invoked_ns <= oracle_op_end(a);
}

static bool is_same_instance(const struct history_op *a, const struct history_op *b)
{
	return a->source.has_name && b->source.has_name &&
	       memcmp(a->source.name, b->source.name, sizeof(a->source.name)) == 0;
}

/* A count is not a lock: what others do with the object meanwhile is in it, or not. */
static const char *contention(const struct oracle_object *object)
{
	for (const struct oracle_touch *t = object->first; t != NULL; t = t->next) {
		for (const struct oracle_touch *u = t->next; u != NULL; u = u->next) {
			const struct history_op *a = t->op, *b = u->op;

			if (!is_removal(a) && !is_removal(b))
				continue;
			if (oracle_is_storage_write(a) && oracle_is_storage_write(b) &&
				is_at_once(a, b) && a->invoked_ns != b->invoked_ns)
				return "references of an object were counted while others "
				       "changed them: a count is no lock (obox 6.2)";
			if (is_removal(a) && is_removal(b) && is_same_instance(a, b) &&
				!lab_view_eq(a->backend, b->backend))
				return "two backends that did not know of each other expunged one "
				       "mail";
		}
	}
	return NULL;
}

/* What was expunged before `last`, and only its forward row is certain to be gone: its reverse row
 * is counted for as long as it is there. */
static const char *left_behind(
	struct oracle *oracle, const struct oracle_object *object, const struct history_op *last)
{
	char hex[2 * HISTORY_OID_BYTES_MAX + 1];
	const struct left_reference *left;

	lab_hex(object->oid, object->oid_len, hex);
	for (left = lab_map_get(oracle->references, lab_view_cstr(hex)); left != NULL;
		left = left->next) {
		const struct oracle_instance *i = oracle_instance_by_name(
			&oracle->model, object->user, lab_view_of(left->name, sizeof(left->name)));

		if (i != NULL && i->object == object && i->removed != NULL && i->removed != last &&
			i->removed->invoked_ns <= left->time_ns &&
			left->time_ns <= i->removed->ended_ns && left->time_ns <= last->invoked_ns)
			return "a reference whose row could not be deleted is counted with the "
			       "others (obox 3.8, 6.2)";
	}
	return NULL;
}

/* Before the last of them was removed something had not ended ok: that one counted what it left. */
static bool had_trouble(const struct oracle_object *object)
{
	uint64_t last_ns = 0;

	for (const struct oracle_touch *t = object->first; t != NULL; t = t->next) {
		if (is_removal(t->op))
			last_ns = LAB_MAX(last_ns, oracle_op_end(t->op));
	}
	for (const struct oracle_touch *t = object->first; t != NULL; t = t->next) {
		if (oracle_is_storage_write(t->op) && t->op->outcome != HISTORY_OK &&
			t->op->invoked_ns <= last_ns)
			return true;
	}
	return false;
}

static const char *excuse(const struct oracle *oracle, const struct oracle_case *c,
	const struct oracle_object *object)
{
	const char *why = contention(object);

	if (why == NULL && had_trouble(object))
		why = "an operation on the object had not ended ok: what it left is counted, or "
		      "comes later";
	if (why == NULL)
		why = oracle_excuse_weak(oracle);
	return why != NULL ? why : oracle_excuse_clock(oracle, c);
}

/* ---- where an object's mails are ---- */

static struct fate *fate_of(
	struct lab_map *fates, struct lab_arena *arena, const struct oracle_object *object)
{
	void **slot = lab_map_slot(fates, lab_view_of(&object, sizeof(object)));

	lab_assert(slot != NULL);
	if (*slot == NULL)
		*slot = lab_arena_new_of(arena, struct fate);
	return *slot;
}

static void add_instance(
	struct oracle *oracle, struct lab_map *fates, const struct oracle_instance *i)
{
	struct fate *fate = fate_of(fates, oracle->work, i->object);
	const struct oracle_audit *audit = oracle_audit_find(&oracle->model, i->user, i->folder);

	fate->is_blamed |= i->is_blamed;
	if (is_expunge_folder(oracle, i->folder)) {
		fate->kept += i->listed != NULL;
		fate->was_kept |= i->removed != NULL || i->maybe_removed != NULL;
		return;
	}
	fate->elsewhere +=
		i->listed != NULL || audit == NULL || audit->listed == NULL || i->removed == NULL;
	if (i->removed != NULL && i->removed->kind == HISTORY_EXPUNGE &&
		(fate->last == NULL || i->removed->ended_ns >= fate->last->ended_ns))
		fate->last = i->removed;
}

static void judge(struct oracle *oracle, const struct oracle_case *c,
	const struct oracle_object *object, const struct fate *fate)
{
	struct oracle_finding *f;

	if (fate->is_blamed)
		return;
	if (fate->kept > 1)
		f = oracle_find(oracle, 29, "I29 mail twice in the expunge folder",
			"%.*s: mail %016" PRIx64 " is %zu times in %.*s",
			LAB_VIEW_ARG(object->user), object->token, fate->kept,
			LAB_VIEW_ARG(oracle->settings.expunge_folder));
	else if (fate->kept == 0 && !fate->was_kept && fate->elsewhere == 0 && fate->last != NULL)
		f = oracle_find(oracle, 29, "I29 expunged mail is nowhere",
			"%.*s: the last of mail %016" PRIx64 " was expunged with OK and is not in "
			"%.*s",
			LAB_VIEW_ARG(object->user), object->token,
			LAB_VIEW_ARG(oracle->settings.expunge_folder));
	else
		return;
	f->token = object->token;
	if (fate->last != NULL) {
		f->op = fate->last->id;
		oracle_why_op(f, fate->last);
	}
	f->time_ns = c->ended_ns;
	f->excuse = excuse(oracle, c, object);
	if (f->excuse == NULL && fate->kept == 0)
		f->excuse = left_behind(oracle, object, fate->last);
}

/* The folder is made by the first expunge; there is one to look at, or none was needed. */
static bool was_audited(struct oracle *oracle, struct lab_view user)
{
	const struct oracle_audit *audit =
		oracle_audit_find(&oracle->model, user, oracle->settings.expunge_folder);

	return lab_map_get(oracle->model.lists, user) != NULL &&
	       (audit == NULL || audit->listed != NULL);
}

static void check_last_instances(struct oracle *oracle, const struct oracle_case *c)
{
	struct lab_map *fates = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX);

	for (const struct oracle_instance *i = oracle->model.first_instance; i != NULL;
		i = i->next) {
		if (i->object != NULL)
			add_instance(oracle, fates, i);
	}
	for (const struct oracle_object *o = oracle->model.first_object; o != NULL; o = o->next) {
		const struct fate *fate = lab_map_get(fates, lab_view_of(&o, sizeof(o)));

		if (fate != NULL && was_audited(oracle, o->user) &&
			lab_map_get(oracle->model.movers, o->user) == NULL)
			judge(oracle, c, o, fate);
	}
	lab_map_free(&fates);
}

/* ---- before its time ---- */

static void check_time(
	struct oracle *oracle, const struct oracle_case *c, const struct oracle_instance *i)
{
	const struct history_op *by = i->autoexpunged;
	uint64_t error_ns = 2 * (uint64_t)oracle_clock_error(oracle, c) * 1000 + LAB_SEC;
	struct oracle_finding *f;

	if (by == NULL || i->maker == NULL || !is_expunge_folder(oracle, i->folder) ||
		by->ended_ns - LAB_MIN(by->ended_ns, i->maker->invoked_ns) + error_ns >=
			oracle->settings.autoexpunge_ns)
		return;
	f = oracle_find(oracle, 29, "I29 gone before its time",
		"%.*s: mail %016" PRIx64 " went from %.*s %" PRIu64 " s after it came",
		LAB_VIEW_ARG(i->user), i->token, LAB_VIEW_ARG(i->folder),
		(by->ended_ns - LAB_MIN(by->ended_ns, i->maker->invoked_ns)) / LAB_SEC);
	f->token = i->token;
	f->op = by->id;
	f->time_ns = by->ended_ns;
	oracle_why_op(f, i->maker);
	oracle_why_op(f, by);
}

void oracle_check_lazy_expunge(struct oracle *oracle, const struct oracle_case *c)
{
	if (oracle->settings.expunge_folder.len == 0)
		return;
	for (const struct oracle_instance *i = oracle->model.first_instance; i != NULL; i = i->next)
		check_time(oracle, c, i);
	if (oracle->settings.only_last_instance && oracle->settings.copies_in_dict)
		check_last_instances(oracle, c);
}

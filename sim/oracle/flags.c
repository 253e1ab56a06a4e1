/* SPDX-License-Identifier: Apache-2.0
 *
 * flags.c - flags and keywords of mails: invariants 3 (no change lost) and 4 (nor what a mail was
 * saved with).
 *
 * Whoever lists a folder must see of each flag the last change that it can know of, or one that
 * was made at the same time: by somebody who did not know that last one (knowledge.h). What a
 * backend had not uploaded when it crashed may be seen, or not. A copy begins with what its source
 * may have had then.
 */
#include "sim/oracle/flag-changes.h"

#include <stdio.h>

#define WHERE "%.*s/%.*s"
#define WHERE_ARG(x) LAB_VIEW_ARG((x)->user), LAB_VIEW_ARG((x)->folder)
/* Copies of copies; beyond them anything is right. */
#define DEPTH_MAX 32
/* ---- what a mail may have had ---- */

static struct oracle_instance *source_of(
	struct oracle *oracle, const struct oracle_instance *instance)
{
	const struct history_op *maker = instance->maker;

	if (maker == NULL || maker->kind == HISTORY_DELIVER || !maker->source.has_name)
		return NULL;
	return oracle_instance_find(&oracle->model, maker->user, maker->folder, maker->source.name);
}

/* The delivery that the mail goes back to, or NULL. */
static const struct history_op *delivery_of(
	struct oracle *oracle, const struct oracle_instance *instance)
{
	for (unsigned depth = 0; instance != NULL && depth < DEPTH_MAX; depth++) {
		if (instance->maker != NULL && instance->maker->kind == HISTORY_DELIVER)
			return instance->maker;
		instance = source_of(oracle, instance);
	}
	return NULL;
}

static uint64_t flags_of(struct oracle *oracle, struct oracle_instance *instance)
{
	struct oracle_instance *source = source_of(oracle, instance);

	if (instance->has_flags)
		return instance->flags;
	instance->has_flags = true; /* also of one that is a copy of itself */
	if (instance->maker != NULL && instance->maker->kind == HISTORY_DELIVER)
		instance->flags |= instance->maker->flags;
	for (const struct oracle_touch *t = instance->stores; t != NULL; t = t->next)
		instance->flags |= t->op->flags;
	if (source != NULL)
		instance->flags |= flags_of(oracle, source);
	return instance->flags;
}

/* ---- the changes of one flag ---- */

static uint64_t folder_key(const struct history_op *op, bool is_target)
{
	return knowledge_folder(op->user, is_target ? op->target_guid : op->mailbox_guid);
}

static unsigned values_seen_by(struct oracle *oracle, struct oracle_instance *instance,
	uint64_t flag, const struct flag_observer *who, unsigned depth);

/* What it was made with. */
static unsigned made_with(
	struct oracle *oracle, struct oracle_instance *instance, uint64_t flag, unsigned depth)
{
	const struct history_op *maker = instance->maker;
	struct oracle_instance *source = source_of(oracle, instance);
	struct flag_observer copier;

	if (maker->kind == HISTORY_DELIVER)
		return (maker->flags & flag) != 0 ? FLAG_SET : FLAG_CLEAR;
	if (source == NULL || source->maker == NULL || depth == DEPTH_MAX)
		return FLAG_SET | FLAG_CLEAR;
	copier = (struct flag_observer){ .life = knowledge_life(oracle->knowledge, maker),
		.at = maker->invoked_event,
		.to = oracle_op_end(maker) == UINT64_MAX ? UINT64_MAX : maker->ended_event };
	return values_seen_by(oracle, source, flag, &copier, depth + 1);
}

static void collect(struct oracle *oracle, struct oracle_instance *instance, uint64_t flag,
	const struct flag_observer *who, unsigned depth, struct flag_changes *ret)
{
	const struct history_op *maker = instance->maker;
	size_t room = 1;

	for (const struct oracle_touch *t = instance->stores; t != NULL; t = t->next)
		room += (t->op->flags & flag) != 0;
	*ret = (struct flag_changes){ .of = lab_arena_array(oracle->work, struct flag_change, room),
		.folder = folder_key(maker, maker->kind != HISTORY_DELIVER) };
	ret->of[ret->count++] =
		flag_change_of(oracle, maker, made_with(oracle, instance, flag, depth));
	for (const struct oracle_touch *t = instance->stores; t != NULL; t = t->next) {
		if ((t->op->flags & flag) == 0 || t->op->invoked_event >= who->to)
			continue;
		ret->folder = folder_key(t->op, false);
		ret->of[ret->count++] =
			flag_change_of(oracle, t->op, t->op->is_set ? FLAG_SET : FLAG_CLEAR);
	}
	for (size_t i = 0; i < ret->count; i++)
		ret->of[i].is_known = flag_is_known(oracle, ret->folder, who, &ret->of[i]);
}

static unsigned values_seen_by(struct oracle *oracle, struct oracle_instance *instance,
	uint64_t flag, const struct flag_observer *who, unsigned depth)
{
	struct flag_changes changes;

	collect(oracle, instance, flag, who, depth, &changes);
	return flag_allowed(oracle, &changes);
}

/* ---- a listing ---- */

/* What a copy has is what the mail had that it goes back to. */
static void claimed_since(struct oracle *oracle, struct oracle_finding *f,
	const struct oracle_instance *instance, const struct history_op *op)
{
	const struct history_op *delivery =
		op->kind == HISTORY_STORE ? NULL : delivery_of(oracle, instance);

	if (delivery == NULL || delivery == op) {
		oracle_claimed_since(oracle, f, op, false);
		return;
	}
	f->since_ns = delivery->invoked_ns;
}

static struct oracle_finding *flag_finding(struct oracle *oracle, struct oracle_instance *instance,
	const char *flag_name, const struct flag_changes *changes, const struct history_op *listing,
	bool is_set)
{
	const struct flag_change *last = flag_last_known(changes);
	bool is_made = last == NULL || last->op->kind != HISTORY_STORE;
	struct oracle_finding *f = oracle_find(oracle, is_made ? 4 : 3,
		is_set    ? "I3 flag is back"
		: is_made ? "I4 flag of the delivery lost"
			  : "I3 flag lost",
		WHERE ": mail %016" PRIx64 ": the flag %s was %s with OK and is %s",
		WHERE_ARG(instance), instance->token, flag_name, is_set ? "cleared" : "set",
		is_set ? "set again" : "not there");

	if (is_set)
		f->invariant = 3;
	f->token = instance->token;
	f->op = last == NULL ? listing->id : last->op->id;
	f->time_ns = listing->ended_ns;
	if (last != NULL) {
		claimed_since(oracle, f, instance, last->op);
		oracle_why_op(f, last->op);
	}
	oracle_why_op(f, listing);
	instance->is_flag_blamed = true;
	return f;
}

/* What the last change said went with the mail, or with a bundle. */
static const char *excuse_flag(struct oracle *oracle, const struct oracle_case *c,
	const struct oracle_instance *instance, const struct flag_changes *changes,
	const struct history_op *listing, bool is_set)
{
	const struct flag_change *last = flag_last_known(changes);
	const char *excuse = oracle_excuse_returned_source(oracle, c, instance);

	if (excuse == NULL && !is_set && last != NULL)
		excuse = oracle_excuse_drop(
			oracle, instance, last->op->ended_event, listing->ended_event);
	if (excuse == NULL && last != NULL)
		excuse = oracle_excuse_denied_bundle(oracle, c, ORACLE_TABLE_FOLDER_DIFFS,
			instance->user, last->op->invoked_ns, listing->ended_ns);
	return excuse;
}

static void check_flag(struct oracle *oracle, const struct oracle_case *c,
	struct oracle_instance *instance, uint64_t flag, const struct history_op *listing,
	bool is_set, const struct flag_observer *who)
{
	struct lab_arena_mark mark = lab_arena_mark(oracle->work);
	struct flag_changes changes;
	char name[64];

	collect(oracle, instance, flag, who, 0, &changes);
	if ((flag_allowed(oracle, &changes) & (is_set ? FLAG_SET : FLAG_CLEAR)) == 0) {
		history_flag_names(c->history, flag, name, sizeof(name));
		flag_finding(oracle, instance, name, &changes, listing, is_set)->excuse =
			excuse_flag(oracle, c, instance, &changes, listing, is_set);
	}
	lab_arena_rewind(oracle->work, mark);
}

/* Only of a mail that is there for certain, so that nobody forgot it meanwhile. */
static bool is_judged(const struct oracle_instance *i, const struct history_op *listing)
{
	return i != NULL && i->maker != NULL && i->made == ORACLE_MADE_OK && !i->is_flag_blamed &&
	       i->maybe_removed == NULL && i->maker->invoked_event < listing->ended_event &&
	       (i->removed == NULL || i->removed->invoked_event > listing->ended_event);
}

static void check_sighting(struct oracle *oracle, const struct oracle_case *c,
	const struct history_op *listing, const struct history_sighting *seen,
	const struct flag_observer *who)
{
	struct oracle_instance *instance = oracle_instance_find(
		&oracle->model, listing->user, listing->folder, seen->object.name);
	struct oracle_finding *f;
	uint64_t flags;
	char names[100];

	if (!is_judged(instance, listing))
		return;
	flags = flags_of(oracle, instance);
	if ((seen->flags & ~flags) != 0 && source_of(oracle, instance) == NULL &&
		instance->maker->kind == HISTORY_DELIVER) {
		history_flag_names(c->history, seen->flags & ~flags, names, sizeof(names));
		f = oracle_find(oracle, 3, "I3 flag out of nowhere",
			WHERE ": mail %016" PRIx64 " has %s, which nobody set", WHERE_ARG(instance),
			instance->token, names);
		f->token = instance->token;
		f->op = listing->id;
		f->time_ns = listing->ended_ns;
		oracle_why_op(f, listing);
		instance->is_flag_blamed = true;
	}
	for (unsigned bit = 0; bit < HISTORY_FLAGS_MAX && !instance->is_flag_blamed; bit++) {
		uint64_t flag = UINT64_C(1) << bit;

		if ((flags & flag) != 0)
			check_flag(
				oracle, c, instance, flag, listing, (seen->flags & flag) != 0, who);
	}
}

/* ---- what the object id says ---- */

static uint64_t attachment_flags(const struct history *history)
{
	uint64_t flags = 0;
	char name[64];

	for (unsigned bit = 0; bit < HISTORY_FLAGS_MAX; bit++) {
		history_flag_names(history, UINT64_C(1) << bit, name, sizeof(name));
		if (strcmp(name, "$HasAttachment") == 0 || strcmp(name, "$HasNoAttachment") == 0)
			flags |= UINT64_C(1) << bit;
	}
	return flags;
}

/* Whoever knows that the mail is there knows that, too, whatever was uploaded. */
static void check_attachment(struct oracle *oracle, const struct oracle_case *c,
	const struct history_op *listing, const struct history_sighting *seen, uint64_t mask)
{
	struct oracle_instance *instance = oracle_instance_find(
		&oracle->model, listing->user, listing->folder, seen->object.name);
	const struct history_op *delivery =
		instance == NULL || instance->is_flag_blamed ? NULL : delivery_of(oracle, instance);
	struct oracle_finding *f;
	char names[100];

	if (delivery == NULL || (delivery->flags & mask) == (seen->flags & mask))
		return;
	history_flag_names(c->history, delivery->flags & mask, names, sizeof(names));
	f = oracle_find(oracle, 4, "I4 attachment flag lost",
		WHERE ": mail %016" PRIx64 " was delivered with %s, and is listed without",
		WHERE_ARG(instance), instance->token, names);
	f->token = instance->token;
	f->op = delivery->id;
	f->time_ns = listing->ended_ns;
	oracle_why_op(f, delivery);
	oracle_why_op(f, listing);
	instance->is_flag_blamed = true;
}

static void check_attachments(
	struct oracle *oracle, const struct oracle_case *c, const struct history_op *op)
{
	uint64_t mask = attachment_flags(c->history);
	size_t count;
	const struct history_sighting *seen = history_sightings(c->history, op->id, &count);

	for (size_t i = 0; i < count; i++)
		check_attachment(oracle, c, op, &seen[i], mask);
}

/* ---- listings ---- */

static void check_listing(
	struct oracle *oracle, const struct oracle_case *c, const struct history_op *op)
{
	struct flag_observer who = { .life = knowledge_life(oracle->knowledge, op),
		.at = op->invoked_event,
		.to = op->ended_event,
		.is_storage = lab_view_eq_cstr(op->backend, oracle->settings.auditor) };
	size_t count;
	const struct history_sighting *seen = history_sightings(c->history, op->id, &count);

	if (oracle->settings.ids_tell_attachments)
		check_attachments(oracle, c, op);
	for (size_t i = 0; i < count; i++)
		check_sighting(oracle, c, op, &seen[i], &who);
}

/* ---- uploaded in time ---- */

/* It changed something, and its backend lived long enough to upload it. */
static bool is_due(const struct oracle *oracle, const struct oracle_case *c,
	const struct oracle_instance *i, const struct history_op *op, uint64_t deadline_ns)
{
	uint64_t crash_ns;
	bool is_change = op->kind == HISTORY_STORE ? op->changed : op->flags != 0;

	(void)knowledge_crash(oracle->knowledge, knowledge_life(oracle->knowledge, op), &crash_ns);
	return op->outcome == HISTORY_OK && is_change && i->maybe_removed == NULL &&
	       (i->removed == NULL || i->removed->ended_ns > deadline_ns) &&
	       crash_ns > deadline_ns && c->ended_ns > deadline_ns;
}

static void check_upload(struct oracle *oracle, const struct oracle_case *c,
	struct oracle_instance *instance, const struct history_op *op)
{
	uint64_t deadline_ns =
		op->ended_ns + oracle->settings.upload_interval_ns + ORACLE_UPLOAD_TIME;
	struct oracle_finding *f;

	if (!is_due(oracle, c, instance, op, deadline_ns) ||
		knowledge_stored_ns(oracle->knowledge, folder_key(op, false),
			knowledge_life(oracle->knowledge, op), op) <= deadline_ns ||
		/* An upload that failed is tried again later. */
		oracle_had_trouble(oracle, op->ended_ns, deadline_ns))
		return;
	f = oracle_find(oracle, 3, "I3 flag not uploaded in time",
		WHERE ": mail %016" PRIx64 ": a change of its flags was in no bundle %" PRIu64
		      " s after it was made",
		WHERE_ARG(instance), instance->token, (deadline_ns - op->ended_ns) / LAB_SEC);
	f->token = instance->token;
	f->op = op->id;
	f->time_ns = deadline_ns;
	oracle_why_op(f, op);
	instance->is_flag_blamed = true;
}

static void check_uploads(
	struct oracle *oracle, const struct oracle_case *c, struct oracle_instance *instance)
{
	const struct history_op *maker = instance->maker;

	if (maker != NULL && maker->kind == HISTORY_DELIVER && !instance->is_flag_blamed)
		check_upload(oracle, c, instance, maker);
	for (const struct oracle_touch *t = instance->stores;
		t != NULL && !instance->is_flag_blamed; t = t->next)
		check_upload(oracle, c, instance, t->op);
}

void oracle_check_flags(struct oracle *oracle, const struct oracle_case *c)
{
	for (size_t n = 0; n < history_count(c->history); n++) {
		const struct history_op *op = history_op(c->history, n);

		if (op->outcome == HISTORY_OK &&
			(op->kind == HISTORY_SELECT || op->kind == HISTORY_REBUILD))
			check_listing(oracle, c, op);
	}
	/* A core that uploads nothing keeps its flags to itself, and says so. */
	for (struct oracle_instance *i = oracle->model.first_instance;
		i != NULL && knowledge_has_uploads(oracle->knowledge); i = i->next)
		check_uploads(oracle, c, i);
}

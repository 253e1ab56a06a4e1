/* SPDX-License-Identifier: Apache-2.0
 *
 * mails.c - what clients can see: invariants 1 (no mail lost), 2 (no expunge undone), 5 (no
 * phantom, no duplicate without cause), 8 (no duplicates in a listing), 21 (bodies), 30 (whose
 * mail).
 *
 * Only closed evidence counts: an operation that may have happened, may happen at any later time.
 */
#include "sim/oracle/oracle-private.h"

#include <stdlib.h>

#define WHERE "%.*s/%.*s"
#define WHERE_ARG(x) LAB_VIEW_ARG((x)->user), LAB_VIEW_ARG((x)->folder)

static const char *excuse_loss(struct oracle *oracle, const struct oracle_instance *instance)
{
	const char *race = instance == NULL ? NULL : oracle_excuse_race(oracle, instance);

	if (oracle->settings.objects_were_lost)
		return "objects were taken away on purpose";
	return race != NULL ? race : oracle_excuse_weak(oracle);
}

static void about(
	struct oracle_finding *f, uint64_t token, const struct history_op *op, uint64_t time_ns)
{
	f->token = token;
	f->op = op == NULL ? 0 : op->id;
	f->time_ns = time_ns;
}

/* ---- 1: no acknowledged mail lost ---- */

static const char *done_to(enum history_kind kind)
{
	return kind == HISTORY_DELIVER ? "delivered" : kind == HISTORY_COPY ? "copied" : "moved";
}

static struct oracle_finding *lost(struct oracle *oracle, struct oracle_instance *i,
	const char *signature, const char *what, const struct history_op *seen)
{
	struct oracle_finding *f = oracle_find(oracle, 1, signature,
		WHERE ": mail %016" PRIx64 " was %s with OK and %s", WHERE_ARG(i), i->token,
		done_to(i->maker->kind), what);

	about(f, i->token, i->maker,
		seen->outcome == HISTORY_PENDING ? seen->invoked_ns : seen->ended_ns);
	oracle_claimed_since(oracle, f, i->maker, i->maker->kind != HISTORY_DELIVER);
	oracle_why_op(f, i->maker);
	oracle_why_op(f, seen);
	f->excuse = excuse_loss(oracle, i);
	i->is_blamed = true;
	return f;
}

/* It is listed: can it be read? The body itself is checked with every other FETCH. */
static void check_fetched(struct oracle *oracle, struct oracle_instance *i)
{
	const struct history_op *fetch = i->fetched;

	if (fetch == NULL || fetch->outcome == HISTORY_PENDING) {
		oracle_unknown(oracle, "the audit did not finish to read " WHERE, WHERE_ARG(i));
	} else if (fetch->outcome != HISTORY_OK && fetch->code == LAB_NOT_FOUND) {
		lost(oracle, i, "I1 lost mail", "is listed, but its body is gone", fetch);
	} else if (fetch->outcome != HISTORY_OK) {
		lost(oracle, i, "I1 mail cannot be read", "cannot be read after heal", fetch);
	}
}

/* And that has been said. */
static bool is_folder_lost(const struct oracle *oracle, const struct oracle_instance *i)
{
	struct oracle_key key;

	return lab_map_get(oracle->model.lost_folders,
		       oracle_key3(&key, i->user, i->folder, LAB_VIEW(""))) != NULL;
}

static void check_required(struct oracle *oracle, struct oracle_instance *i)
{
	const struct oracle_audit *audit = oracle_audit_find(&oracle->model, i->user, i->folder);

	const struct history_op *list = lab_map_get(oracle->model.lists, i->user);

	oracle->verdict->mails_expected++;
	if (audit == NULL && is_folder_lost(oracle, i)) {
		i->is_blamed = true;
	} else if (audit == NULL && list != NULL) {
		lost(oracle, i, "I11 lost folder", "its folder is in no list of folders", list)
			->invariant = 11;
	} else if (audit == NULL || (audit->listed == NULL && audit->failed == NULL)) {
		oracle_unknown(oracle, "the audit did not look at " WHERE, WHERE_ARG(i));
	} else if (audit->listed == NULL) {
		lost(oracle, i, "I1 mail cannot be read", "its folder cannot be opened after heal",
			audit->failed);
	} else if (i->listed == NULL) {
		struct oracle_finding *f =
			lost(oracle, i, "I1 lost mail", "is gone", audit->listed);

		oracle_why(f, "nothing that may have expunged it was ever asked for");
	} else {
		check_fetched(oracle, i);
	}
}

static bool is_required(const struct oracle_instance *i)
{
	return i->made == ORACLE_MADE_OK && i->removed == NULL && i->maybe_removed == NULL;
}

/* ---- 2: no acknowledged expunge undone ---- */

static void check_undone(struct oracle *oracle, const struct oracle_case *c,
	struct oracle_instance *i, const struct history_op *listing)
{
	struct oracle_finding *f;

	if (i->is_blamed || i->removed == NULL || i->removed->ended_ns >= listing->invoked_ns)
		return;
	f = oracle_find(oracle, 2, "I2 expunged mail is back",
		WHERE ": mail %016" PRIx64 " was %s with OK and is listed again", WHERE_ARG(i),
		i->token,
		i->removed->kind == HISTORY_MOVE      ? "moved away"
		: i->removed->kind == HISTORY_EXPUNGE ? "expunged"
						      : "deleted with its folder");
	about(f, i->token, i->removed, listing->ended_ns);
	f->since_ns = i->removed->invoked_ns;
	oracle_why_op(f, i->removed);
	oracle_why_op(f, listing);
	f->excuse = oracle->settings.rows_were_resurrected ? "rows were put back on purpose"
							   : oracle_excuse_clock(oracle, c);
	if (f->excuse == NULL)
		f->excuse = oracle_excuse_weak(oracle);
	if (f->excuse == NULL)
		f->excuse = oracle_excuse_stale(oracle, c, i->removed->ended_ns, listing);
	if (f->excuse == NULL)
		f->excuse = oracle_excuse_returned_center(oracle, c, i->removed, listing);
	if (f->excuse == NULL)
		f->excuse = oracle_excuse_unheard(oracle, i->removed, listing);
	i->is_blamed = true;
}

/* ---- 8: no duplicates in one listing ---- */

static int compare_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void check_uids(struct oracle *oracle, const struct history_op *op,
	const struct history_sighting *seen, size_t count)
{
	struct lab_arena_mark mark = lab_arena_mark(oracle->work);
	uint32_t *uids;
	bool ascending = true;

	for (size_t i = 1; i < count; i++)
		ascending &= seen[i - 1].uid < seen[i].uid;
	if (ascending)
		return;
	uids = lab_arena_array(oracle->work, uint32_t, count);
	for (size_t i = 0; i < count; i++)
		uids[i] = seen[i].uid;
	qsort(uids, count, sizeof(*uids), compare_uids);
	for (size_t i = 1; i < count; i++) {
		struct oracle_finding *f;

		if (uids[i - 1] != uids[i] || (i > 1 && uids[i - 2] == uids[i]))
			continue;
		f = oracle_find(oracle, 8, "I8 duplicate UID",
			WHERE ": two mails with UID %" PRIu32, WHERE_ARG(op), uids[i]);
		about(f, 0, op, op->ended_ns);
		oracle_why_op(f, op);
	}
	lab_arena_rewind(oracle->work, mark);
}

static void check_name(
	struct oracle *oracle, const struct history_op *listing, struct oracle_instance *i)
{
	struct oracle_finding *f;

	if (i->last_listing == listing && !i->is_blamed) {
		f = oracle_find(oracle, 8, "I8 duplicate object name",
			WHERE ": mail %016" PRIx64 " is listed twice", WHERE_ARG(i), i->token);
		about(f, i->token, listing, listing->ended_ns);
		oracle_why_op(f, listing);
		i->is_blamed = true;
	}
	i->last_listing = listing;
}

static void check_listing(
	struct oracle *oracle, const struct oracle_case *c, const struct history_op *op)
{
	size_t count;
	const struct history_sighting *seen = history_sightings(c->history, op->id, &count);

	check_uids(oracle, op, seen, count);
	for (size_t i = 0; i < count; i++) {
		struct oracle_instance *instance = oracle_instance_find(
			&oracle->model, op->user, op->folder, seen[i].object.name);

		/* Never operated on, and not there at the end. */
		if (instance == NULL)
			continue;
		check_name(oracle, op, instance);
		check_undone(oracle, c, instance, op);
	}
}

/* ---- 21, 30: bodies ---- */

static void wrong_body(struct oracle *oracle, const struct history_op *op,
	struct oracle_instance *i, const char *what)
{
	struct oracle_finding *f = oracle_find(oracle, 21, "I21 wrong body",
		WHERE ": mail %016" PRIx64 " was read with OK, and %s", WHERE_ARG(op),
		i != NULL && i->token != 0 ? i->token : op->token, what);

	about(f, i != NULL && i->token != 0 ? i->token : op->token, op, op->ended_ns);
	if (i != NULL && i->maker != NULL)
		oracle_why_op(f, i->maker);
	oracle_why_op(f, op);
	if (i != NULL)
		i->is_blamed = true;
}

static void check_owner(struct oracle *oracle, const struct history_op *op)
{
	const struct history_op *owner =
		lab_map_get(oracle->model.owners, lab_view_of(&op->token, sizeof(op->token)));
	struct oracle_finding *f;

	if (owner == NULL || lab_view_eq(owner->user, op->user))
		return;
	f = oracle_find(oracle, 30, "I30 another user's mail",
		WHERE ": UID %" PRIu32 " is mail %016" PRIx64 " of %.*s", WHERE_ARG(op), op->uid,
		op->token, LAB_VIEW_ARG(owner->user));
	about(f, op->token, op, op->ended_ns);
	oracle_why_op(f, owner);
	oracle_why_op(f, op);
}

static void check_body(struct oracle *oracle, const struct history_op *op)
{
	struct oracle_instance *i = !op->source.has_name
					    ? NULL
					    : oracle_instance_find(&oracle->model, op->user,
						      op->folder, op->source.name);
	/* A body without a token is still somebody's. */
	uint64_t token = op->token != 0 || i == NULL ? op->token : i->token;
	const struct oracle_mail *mail = oracle_mail_find(&oracle->model, op->user, token);

	if (i != NULL && i->is_blamed)
		return;
	if (mail == NULL) {
		check_owner(oracle, op);
		return;
	}
	if (i != NULL && i->maker != NULL && i->maker->token != 0 && i->maker->token != token)
		wrong_body(oracle, op, i, "is another mail");
	else if (mail->has_body && !mail->varies && mail->body_hash != op->body_hash)
		wrong_body(oracle, op, i, "is not what was delivered");
}

/* ---- 5: unacknowledged mails and duplicates ---- */

static void phantom(struct oracle *oracle, const struct oracle_instance *i,
	const struct history_op *maker, const char *why)
{
	struct oracle_finding *f = oracle_find(oracle, 5, "I5 phantom mail",
		WHERE ": mail %016" PRIx64 " is there, and %s", WHERE_ARG(i), i->token, why);

	about(f, i->token, maker != NULL ? maker : i->listed, i->listed->ended_ns);
	if (maker != NULL) {
		f->since_ns = maker->invoked_ns;
		oracle_why_op(f, maker);
	}
	oracle_why_op(f, i->listed);
	f->excuse = oracle->settings.rows_were_resurrected ? "rows were put back on purpose"
							   : oracle_excuse_weak(oracle);
}

/* Listed mails of unknown origin are counted; what removed them says that they were there. */
static void count_unnamed(struct oracle *oracle, struct oracle_instance *i)
{
	struct oracle_tally *tally;

	if (i->maker != NULL ||
		(i->listed == NULL && i->removed == NULL && i->maybe_removed == NULL))
		return;
	tally = oracle_tally(&oracle->model, i->user, i->folder, i->token);
	if (i->listed != NULL && i->removed == NULL) {
		tally->listed++;
		tally->example = i;
	} else {
		tally->removed++;
	}
}

static void check_made(
	struct oracle *oracle, const struct oracle_case *c, struct oracle_instance *i)
{
	if (i->listed != NULL && !i->is_blamed && i->made == ORACLE_MADE_FAILED) {
		phantom(oracle, i, i->maker, "what should have made it had failed for certain");
		oracle->findings[oracle->finding_count - 1].excuse =
			oracle_excuse_clock(oracle, c) != NULL
				? oracle_excuse_clock(oracle, c)
				: oracle->findings[oracle->finding_count - 1].excuse;
		i->is_blamed = true;
	}
	count_unnamed(oracle, i);
}

/* Could any operation of this folder have made a mail of which nobody knows the name? */
static bool has_makers(const struct oracle *oracle, const struct oracle_tally *tally)
{
	for (const struct oracle_tally *t = oracle->model.first_tally; t != NULL; t = t->next) {
		if (lab_view_eq(t->user, tally->user) && lab_view_eq(t->folder, tally->folder) &&
			t->ok + t->maybe > 0)
			return true;
	}
	return false;
}

static void check_duplicates(struct oracle *oracle, const struct oracle_tally *tally)
{
	struct oracle_finding *f;

	if (tally->token == 0 && has_makers(oracle, tally))
		return;
	if (tally->ok + tally->maybe == 0) {
		phantom(oracle, tally->example, NULL, "nothing was ever asked for that makes it");
		return;
	}
	f = oracle_find(oracle, 5, "I5 duplicate without cause",
		WHERE ": mail %016" PRIx64 " is there %" PRIu64 " times more than attempts explain",
		WHERE_ARG(tally), tally->token,
		tally->listed + tally->removed - tally->ok - tally->maybe);
	about(f, tally->token, tally->maker, tally->example->listed->ended_ns);
	oracle_why_op(f, tally->maker);
	oracle_why_op(f, tally->example->listed);
	f->excuse = oracle->settings.rows_were_resurrected ? "rows were put back on purpose" : NULL;
}

/* Acknowledged without a name: some mail of that token must be there, or have been removed. */
static void check_unnamed_lost(struct oracle *oracle, const struct oracle_tally *tally)
{
	const struct oracle_audit *audit =
		oracle_audit_find(&oracle->model, tally->user, tally->folder);
	const struct history_op *seen;
	struct oracle_finding *f;

	oracle->verdict->mails_expected += tally->ok;
	/* Of whoever deletes folders nobody knows what went with them. */
	if (tally->listed + tally->removed >= tally->ok ||
		lab_map_get(oracle->model.movers, tally->user) != NULL)
		return;
	seen = audit == NULL ? NULL : audit->listed != NULL ? audit->listed : audit->failed;
	if (seen == NULL) {
		oracle_unknown(oracle, "the audit did not look at " WHERE, WHERE_ARG(tally));
		return;
	}
	f = oracle_find(oracle, 1,
		seen->outcome == HISTORY_OK ? "I1 lost mail" : "I1 mail cannot be read",
		WHERE ": mail %016" PRIx64 " was %s with OK and %s", WHERE_ARG(tally), tally->token,
		done_to(tally->maker->kind),
		seen->outcome == HISTORY_OK ? "is gone" : "its folder cannot be opened after heal");
	about(f, tally->token, tally->maker, seen->ended_ns);
	oracle_why_op(f, tally->maker);
	oracle_why_op(f, seen);
	f->excuse = excuse_loss(oracle, NULL);
}

/* ---- all of them ---- */

void oracle_check_required(struct oracle *oracle)
{
	struct oracle_model *model = &oracle->model;

	for (struct oracle_instance *i = model->first_instance; i != NULL; i = i->next) {
		if (is_required(i))
			check_required(oracle, i);
	}
}

void oracle_check_seen(struct oracle *oracle, const struct oracle_case *c)
{
	struct oracle_model *model = &oracle->model;

	for (size_t n = 0; n < history_count(c->history); n++) {
		const struct history_op *op = history_op(c->history, n);

		if (op->outcome != HISTORY_OK)
			continue;
		if (op->kind == HISTORY_SELECT || op->kind == HISTORY_REBUILD)
			check_listing(oracle, c, op);
		else if (op->kind == HISTORY_FETCH)
			check_body(oracle, op);
	}
	for (struct oracle_instance *i = model->first_instance; i != NULL; i = i->next)
		check_made(oracle, c, i);
	for (struct oracle_tally *t = model->first_tally; t != NULL; t = t->next) {
		if (t->listed > 0 && t->listed + t->removed > t->ok + t->maybe)
			check_duplicates(oracle, t);
		check_unnamed_lost(oracle, t);
	}
}

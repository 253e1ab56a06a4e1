/* SPDX-License-Identifier: Apache-2.0
 *
 * ledger-flags.c - M3 of palomar 4.1: a crash costs changes of flags that are no older than
 * metacache_upload_interval, and a clean move costs none.
 *
 * A move is clean if the source says that the user is gone, and the next backend has pulled its
 * metacache without an error before it opened anything of the user. Only changes are judged after
 * which, or beside which, nobody has changed that flag of that mail.
 */
#include "sim/oracle/flag-changes.h"
#include "sim/oracle/ledger.h"

/* A user who has left a backend, and what became of its metacache. Events. */
struct clean_move {
	struct lab_view from, to;
	uint64_t left, began, pulled; /* 0: not yet */
	unsigned looks;               /* at the root, while it is pulled */
	bool is_opened;               /* from the storage, as nobody knew that there was a source */
	struct clean_move *before;
};

void ledger_flags_new(struct oracle *oracle)
{
	oracle->clean_moves = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX);
}

/* ---- clean moves ---- */

static void left(struct oracle *oracle, const struct lab_event *event)
{
	uint32_t boot;
	struct lab_view from = knowledge_host(oracle->knowledge, event->host, &boot);
	void **slot = lab_map_slot(oracle->clean_moves, oracle_event_text(event, "user"));
	struct clean_move *m;

	if (slot == NULL || oracle_event_text(event, "error").len > 0)
		return;
	m = lab_arena_new_of(oracle->texts, struct clean_move);
	*m = (struct clean_move){ .from = lab_arena_copy(oracle->texts, from),
		.to = lab_arena_copy(oracle->texts, oracle_event_text(event, "dest_host")),
		.left = event->sequence,
		.before = *slot };
	*slot = m;
}

/* The user's last move, if that host is where it went to. */
static struct clean_move *move_to(struct oracle *oracle, const struct lab_event *event)
{
	uint32_t boot;
	struct lab_view to = knowledge_host(oracle->knowledge, event->host, &boot);
	struct clean_move *m = lab_map_get(oracle->clean_moves, oracle_event_text(event, "user"));

	return m != NULL && lab_view_eq(m->to, to) ? m : NULL;
}

static bool is_pull(const struct clean_move *m, const struct lab_event *event)
{
	return lab_view_eq(m->from, oracle_event_text(event, "source_host")) &&
	       lab_view_eq_cstr(oracle_event_text(event, "type"), "client");
}

static void pulls(struct oracle *oracle, const struct lab_event *event)
{
	struct clean_move *m = move_to(oracle, event);

	if (m == NULL || m->is_opened || m->pulled != 0 || !is_pull(m, event))
		return;
	if (event->id == LAB_EV_metacache_pull_started)
		m->began = event->sequence;
	else if (m->began != 0 && oracle_event_number(event, "code") == LAB_OK &&
		 oracle_event_number(event, "taken") > 0)
		m->pulled = event->sequence;
	else
		m->is_opened = true;
}

static void opened(struct oracle *oracle, const struct lab_event *event)
{
	struct clean_move *m = move_to(oracle, event);

	if (m == NULL || m->pulled != 0)
		return;
	/* The pull looks at the root once; who looks again is another session, beside it. */
	m->looks += m->began != 0 && event->id == LAB_EV_metacache_user_refresh_finished;
	m->is_opened = m->is_opened || m->began == 0 || m->looks > 1;
}

void ledger_flags_event(struct oracle *oracle, const struct lab_event *event)
{
	switch ((int)event->id) {
	case LAB_EV_cluster_user_move_finished:
		left(oracle, event);
		break;
	case LAB_EV_metacache_pull_started:
	case LAB_EV_metacache_pull_finished:
		pulls(oracle, event);
		break;
	case LAB_EV_metacache_user_refresh_started:
	case LAB_EV_metacache_user_refresh_finished:
		opened(oracle, event);
		break;
	default:
		break;
	}
}

/* ---- changes that nobody has touched ---- */

/* Of this flag, by another operation that is not over and done with before it on its backend. */
static bool is_contended(
	const struct oracle_instance *i, const struct history_op *change, uint64_t to)
{
	for (const struct oracle_touch *t = i->stores; t != NULL; t = t->next) {
		const struct history_op *op = t->op;
		bool is_before = op->outcome == HISTORY_OK &&
				 op->ended_event < change->invoked_event &&
				 lab_view_eq(op->backend, change->backend);

		if (op != change && (op->flags & change->flags) != 0 && op->invoked_event < to &&
			!is_before)
			return true;
	}
	return false;
}

static bool is_sound(const struct oracle_instance *i, const struct history_op *change)
{
	return change->outcome == HISTORY_OK && change->changed && i->made == ORACLE_MADE_OK &&
	       i->maybe_removed == NULL;
}

static bool is_shown(const struct history_op *change, uint64_t flags)
{
	return ((flags & change->flags) != 0) == change->is_set;
}

static void found(struct oracle *oracle, const struct oracle_case *c, const char *signature,
	const struct oracle_instance *i, const struct history_op *change,
	const struct history_op *listing)
{
	char name[64];
	struct oracle_finding *f;

	history_flag_names(c->history, change->flags, name, sizeof(name));
	f = oracle_find(oracle, ORACLE_M(3), signature,
		"%.*s/%.*s: mail %016" PRIx64 ": the flag %s was %s with OK, and that is gone",
		LAB_VIEW_ARG(i->user), LAB_VIEW_ARG(i->folder), i->token, name,
		change->is_set ? "set" : "cleared");
	f->token = i->token;
	f->op = change->id;
	f->time_ns = listing->ended_ns;
	oracle_claimed_since(oracle, f, change, false);
	oracle_why_op(f, change);
	oracle_why_op(f, listing);
}

/* ---- after a clean move ---- */

/* The source had it when the user left, and was there until all was pulled. */
static bool is_moved_with(
	const struct oracle *oracle, const struct clean_move *m, const struct history_op *change)
{
	uint64_t crash_ns;

	return lab_view_eq(change->backend, m->from) && change->ended_event < m->left &&
	       knowledge_crash(oracle->knowledge, knowledge_life(oracle->knowledge, change),
		       &crash_ns) > m->pulled;
}

static void check_moved(struct oracle *oracle, const struct oracle_case *c,
	const struct clean_move *m, const struct history_op *listing,
	const struct history_sighting *seen)
{
	const struct oracle_instance *i = oracle_instance_find(
		&oracle->model, listing->user, listing->folder, seen->object.name);

	for (const struct oracle_touch *t = i == NULL ? NULL : i->stores; t != NULL; t = t->next) {
		if (is_sound(i, t->op) && is_moved_with(oracle, m, t->op) &&
			!is_shown(t->op, seen->flags) &&
			!is_contended(i, t->op, listing->ended_event)) {
			found(oracle, c, "M3 flag lost in a clean move", i, t->op, listing);
			return;
		}
	}
}

/* The move by which its backend got the user's metacache, if it still has it. */
static const struct clean_move *move_before(
	const struct oracle *oracle, const struct history_op *listing)
{
	const struct clean_move *m = lab_map_get(oracle->clean_moves, listing->user);
	uint32_t life = knowledge_life(oracle->knowledge, listing);

	while (m != NULL && (m->pulled == 0 || m->pulled >= listing->invoked_event))
		m = m->before;
	return m != NULL && life != KNOWLEDGE_NOBODY && lab_view_eq(m->to, listing->backend) &&
			       knowledge_start(oracle->knowledge, life) < m->pulled
		       ? m
		       : NULL;
}

static void check_listing(
	struct oracle *oracle, const struct oracle_case *c, const struct history_op *listing)
{
	const struct clean_move *m = move_before(oracle, listing);
	size_t count;
	const struct history_sighting *seen = history_sightings(c->history, listing->id, &count);

	for (size_t i = 0; m != NULL && i < count; i++)
		check_moved(oracle, c, m, listing, &seen[i]);
}

/* ---- after a crash ---- */

static uint64_t flags_seen(
	const struct history *history, const struct history_op *listing, const uint8_t *name)
{
	size_t count;
	const struct history_sighting *seen = history_sightings(history, listing->id, &count);

	for (size_t i = 0; i < count; i++) {
		if (memcmp(seen[i].object.name, name, HISTORY_NAME_BYTES) == 0)
			return seen[i].flags;
	}
	return 0;
}

/* It was old when its backend crashed, and nothing had kept that from uploading it. */
static bool was_due(const struct oracle *oracle, const struct history_op *change)
{
	uint32_t life = knowledge_life(oracle->knowledge, change);
	uint64_t folder = knowledge_folder(change->user, change->mailbox_guid), crash_ns;
	uint64_t due_ns =
		change->ended_ns + oracle->settings.upload_interval_ns + ORACLE_UPLOAD_TIME;

	(void)knowledge_crash(oracle->knowledge, life, &crash_ns);
	return crash_ns != UINT64_MAX && crash_ns > due_ns &&
	       knowledge_stored_ns(oracle->knowledge, folder, life, change) > crash_ns &&
	       !oracle_had_trouble(oracle, change->ended_ns, due_ns);
}

static void check_crash(
	struct oracle *oracle, const struct oracle_case *c, const struct oracle_instance *i)
{
	for (const struct oracle_touch *t = i->stores; t != NULL; t = t->next) {
		if (is_sound(i, t->op) && was_due(oracle, t->op) &&
			!is_contended(i, t->op, UINT64_MAX) &&
			!is_shown(t->op, flags_seen(c->history, i->listed, i->name))) {
			found(oracle, c, "M3 old flag lost in a crash", i, t->op, i->listed);
			return;
		}
	}
}

void ledger_check_flags(struct oracle *oracle, const struct oracle_case *c)
{
	if (knowledge_is_full(oracle->knowledge) || !knowledge_has_uploads(oracle->knowledge))
		return;
	for (size_t n = 0; n < history_count(c->history); n++) {
		const struct history_op *op = history_op(c->history, n);

		if (op->outcome == HISTORY_OK && op->kind == HISTORY_SELECT)
			check_listing(oracle, c, op);
	}
	for (const struct oracle_instance *i = oracle->model.first_instance; i != NULL;
		i = i->next) {
		if (i->listed != NULL)
			check_crash(oracle, c, i);
	}
}

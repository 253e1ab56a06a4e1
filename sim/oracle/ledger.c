/* SPDX-License-Identifier: Apache-2.0
 *
 * ledger.c - what a cluster may never lose (palomar 4.1): M1, M2, M4 and M5, by accounts of their
 * own: how many mails of each token there must be, and may be, whichever folders they are in; and
 * which mail was read under which UID.
 *
 * The rules 1 to 14 judge each mail by its name. What they have found about a mail is found here
 * once more; what they excuse is excused here, too.
 */
#include "sim/oracle/ledger.h"

#define LEDGER_MAX 250000000u
#define RACE "a copy raced with a delete on another backend (palomar 4.3)"

/* Mails of one token. */
struct account {
	struct lab_view user;
	uint64_t token;
	uint64_t made, maybe_made, gone, maybe_gone, seen;
	const struct history_op *first, *removed;
	struct account *next;
};

/* Of a user nothing can be said: `is_closed`; or not what is missing: `is_blind`. */
struct owner {
	bool is_closed, is_blind, is_listed;
};

/* The mail that was read under a UID. */
struct reading {
	const struct history_op *op;
	bool is_found;
};

struct ledger {
	struct oracle *oracle;
	struct lab_map *accounts, *owners, *gone, *readings;
	struct account *first, **last;
};

static struct account *account_of(struct ledger *l, const struct history_op *op)
{
	struct oracle_key key;
	void **slot = oracle_slot(
		l->accounts, oracle_key3(&key, op->user, lab_view_of(&op->token, sizeof(op->token)),
				     LAB_VIEW("")));
	struct account *a = *slot;

	if (a == NULL) {
		*slot = a = lab_arena_new_of(l->oracle->work, struct account);
		*a = (struct account){ .user = op->user, .token = op->token, .first = op };
		*l->last = a;
		l->last = &a->next;
	}
	return a;
}

static struct owner *owner_of(struct ledger *l, struct lab_view user)
{
	void **slot = oracle_slot(l->owners, user);

	if (*slot == NULL)
		*slot = lab_arena_new_of(l->oracle->work, struct owner);
	return *slot;
}

/* ---- what was made and removed ---- */

/* One mail is removed once, by whoever was told so. */
static void remove_one(struct ledger *l, struct account *a, const struct history_op *op)
{
	struct oracle_key key;
	void **slot;

	a->removed = op;
	if (!op->source.has_name) {
		a->gone++;
		return;
	}
	slot = oracle_slot(l->gone,
		oracle_key3(&key, op->user, lab_view_of(op->source.name, sizeof(op->source.name)),
			LAB_VIEW("")));
	a->gone += *slot == NULL;
	*slot = a;
}

/* A move has its copy before it removes anything; what failed for certain has removed nothing. */
static void moved(struct ledger *l, struct account *a, const struct history_op *op)
{
	if (op->outcome == HISTORY_OK) {
		a->made++;
		remove_one(l, a, op);
	} else if (op->copied) {
		a->made++;
		a->maybe_gone += oracle_is_maybe(op);
	} else if (oracle_is_maybe(op)) {
		a->maybe_made++;
	}
}

static void book(struct ledger *l, const struct history_op *op)
{
	struct account *a;

	if (oracle_is_storage_write(op) && op->token == 0)
		owner_of(l, op->user)->is_closed = true;
	if (!oracle_is_storage_write(op) || op->token == 0)
		return;
	a = account_of(l, op);
	if (op->kind == HISTORY_MOVE) {
		moved(l, a, op);
	} else if (op->kind == HISTORY_EXPUNGE) {
		a->maybe_gone += oracle_is_maybe(op);
		if (op->outcome == HISTORY_OK)
			remove_one(l, a, op);
	} else {
		a->made += op->outcome == HISTORY_OK;
		a->maybe_made += oracle_is_maybe(op);
	}
}

/* Whoever deletes folders, or has mails that expire, has accounts of another kind. */
static void look_at_kind(struct ledger *l, const struct history_op *op)
{
	if (op->kind == HISTORY_AUTOEXPUNGE || op->kind == HISTORY_DELETE ||
		op->kind == HISTORY_USER_DELETE || op->kind == HISTORY_RENAME ||
		op->kind == HISTORY_REBUILD)
		owner_of(l, op->user)->is_closed = true;
}

/* ---- what the auditor sees ---- */

static void count_seen(struct ledger *l)
{
	struct lab_map_iter iter = lab_map_iterate(l->oracle->model.audits);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		const struct oracle_audit *audit = value;

		owner_of(l, audit->user)->is_listed = true;
		if (audit->listed == NULL)
			owner_of(l, audit->user)->is_blind = true;
	}
	for (const struct oracle_instance *i = l->oracle->model.first_instance; i != NULL;
		i = i->next) {
		if (i->listed == NULL)
			continue;
		if (i->fetched == NULL || i->fetched->outcome != HISTORY_OK ||
			i->fetched->token == 0)
			owner_of(l, i->user)->is_blind = true;
		else
			account_of(l, i->fetched)->seen++;
	}
}

/* ---- M1, M4 ---- */

static void about(struct oracle_finding *f, const struct account *a, const struct history_op *op)
{
	f->token = a->token;
	f->op = op->id;
	f->time_ns = op->outcome == HISTORY_PENDING ? op->invoked_ns : op->ended_ns;
	f->since_ns = op->invoked_ns;
	oracle_why_op(f, op);
}

#define ACCOUNT "%.*s: mail %016" PRIx64
#define ACCOUNT_ARG(a) LAB_VIEW_ARG((a)->user), (a)->token

static void check_account(struct ledger *l, const struct account *a)
{
	struct oracle *oracle = l->oracle;
	const struct owner *owner = owner_of(l, a->user);
	uint64_t most = a->made + a->maybe_made, least = a->made, gone = a->gone + a->maybe_gone;
	struct oracle_finding *f;

	if (owner->is_closed || !owner->is_listed)
		return;
	most -= LAB_MIN(most, a->gone);
	least -= LAB_MIN(least, gone);
	if (a->seen < least && !owner->is_blind) {
		f = oracle_find(oracle, ORACLE_M(1), "M1 acknowledged mail is gone",
			ACCOUNT " is there %" PRIu64 " times, and must be %" PRIu64
				" times, wherever it is",
			ACCOUNT_ARG(a), a->seen, least);
		about(f, a, a->first);
	} else if (a->seen > most && a->removed != NULL) {
		f = oracle_find(oracle, ORACLE_M(4), "M4 expunged mail is back",
			ACCOUNT " is there %" PRIu64 " times, and may be %" PRIu64
				" times, as others were removed",
			ACCOUNT_ARG(a), a->seen, most);
		about(f, a, a->removed);
	} else if (a->seen > most) {
		f = oracle_find(oracle, ORACLE_M(1), "M1 duplicate without an uncertain write",
			ACCOUNT " is there %" PRIu64 " times, and no more than %" PRIu64
				" were made, or may have been",
			ACCOUNT_ARG(a), a->seen, most);
		about(f, a, a->first);
	}
}

/* ---- M2 ---- */

static void check_reading(struct ledger *l, const struct history_op *op)
{
	static const uint8_t none[HISTORY_NAME_BYTES];
	struct oracle_key key;
	uint32_t numbers[] = { op->uidvalidity, op->uid };
	struct reading *r;
	struct oracle_finding *f;
	void **slot;

	if (op->kind != HISTORY_FETCH || op->outcome != HISTORY_OK || op->token == 0 ||
		op->uid == 0 || op->uidvalidity == 0 ||
		memcmp(op->mailbox_guid, none, sizeof(none)) == 0)
		return;
	slot = oracle_slot(l->readings,
		oracle_key3(&key, op->user, lab_view_of(op->mailbox_guid, sizeof(none)),
			lab_view_of(numbers, sizeof(numbers))));
	r = *slot;
	if (r == NULL) {
		*slot = r = lab_arena_new_of(l->oracle->work, struct reading);
		r->op = op;
	}
	if (r->op->token == op->token || r->is_found)
		return;
	r->is_found = true;
	f = oracle_find(l->oracle, ORACLE_M(2), "M2 UID of another mail",
		"%.*s/%.*s: UID %" PRIu32 " was mail %016" PRIx64 ", and is %016" PRIx64,
		LAB_VIEW_ARG(op->user), LAB_VIEW_ARG(op->folder), op->uid, r->op->token, op->token);
	f->token = op->token;
	f->op = op->id;
	f->time_ns = op->ended_ns;
	oracle_why_op(f, r->op);
	oracle_why_op(f, op);
}

/* ---- while the run goes on: M2, M5 ---- */

static void renumbered(struct oracle *oracle, const struct lab_event *event)
{
	uint64_t count = oracle_event_number(event, "renumber_count");

	if (count > oracle->settings.max_uid_renumbers)
		(void)oracle_found_online(oracle, ORACLE_M(2), "M2 too many UIDs renumbered",
			event->time_ns,
			"%.*s/%.*s: a merge gave %" PRIu64
			" mails new UIDs; metacache_merge_max_uid_renumbers is %" PRIu64,
			LAB_VIEW_ARG(oracle_event_text(event, "user")),
			LAB_VIEW_ARG(oracle_event_text(event, "mailbox")), count,
			oracle->settings.max_uid_renumbers);
}

/* "user/mailboxes/<guid>/<name>" */
static void object_lost(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view rest = oracle_event_text(event, "path"), user = LAB_VIEW("");
	struct lab_view hex = oracle_event_text(event, "object_id");
	uint8_t oid[HISTORY_OID_BYTES_MAX];
	struct oracle_online *found;

	(void)lab_view_split(&rest, '/', &user);
	found = oracle_found_online(oracle, ORACLE_M(5), "M5 object lost", event->time_ns,
		"%.*s: there is a row, and no object %.*s", LAB_VIEW_ARG(user), LAB_VIEW_ARG(hex));
	if (found != NULL && hex.len <= 2 * sizeof(oid) && lab_unhex(hex, oid, hex.len / 2) == 0)
		found->key = oracle_object_key(oracle, user, lab_view_of(oid, hex.len / 2));
}

void ledger_event(struct oracle *oracle, const struct lab_event *event)
{
	if (oracle->settings.geodb_keyspace.len == 0)
		return;
	if (event->id == LAB_EV_obox_index_merge_uids_renumbered)
		renumbered(oracle, event);
	else if (event->id == LAB_EV_fs_dictmap_object_lost)
		object_lost(oracle, event);
	else
		ledger_flags_event(oracle, event);
}

/* M5, while there is a model. */
static void excuse_races(struct oracle *oracle)
{
	for (size_t n = 0; n < oracle->finding_count; n++) {
		struct oracle_finding *f = &oracle->findings[n];

		for (const struct oracle_instance *i = oracle->model.first_instance;
			f->invariant == ORACLE_M(5) && i != NULL; i = i->next) {
			if (i->token == f->token && f->token != 0 &&
				oracle_excuse_race(oracle, i) != NULL)
				f->excuse = RACE;
		}
	}
}

/* ---- all of them ---- */

static bool is_of_cluster(const struct oracle *oracle)
{
	return oracle->settings.geodb_keyspace.len > 0 && oracle->damages == NULL &&
	       oracle->settings.expunge_folder.len == 0 && !oracle->settings.objects_were_lost;
}

void ledger_check(struct oracle *oracle, const struct oracle_case *c)
{
	struct ledger l = { .oracle = oracle };
	struct lab_map **maps[] = { &l.accounts, &l.owners, &l.gone, &l.readings };

	excuse_races(oracle);
	if (!is_of_cluster(oracle))
		return;
	l.last = &l.first;
	for (size_t i = 0; i < LAB_COUNT_OF(maps); i++)
		*maps[i] = lab_map_new(oracle->settings.heap, LEDGER_MAX);
	for (size_t i = 0; i < history_count(c->history); i++) {
		const struct history_op *op = history_op(c->history, i);

		look_at_kind(&l, op);
		book(&l, op);
		check_reading(&l, op);
	}
	count_seen(&l);
	for (const struct account *a = l.first; a != NULL; a = a->next)
		check_account(&l, a);
	ledger_check_flags(oracle, c);
	for (size_t i = 0; i < LAB_COUNT_OF(maps); i++)
		lab_map_free(maps[i]);
}

/* ---- excuses ---- */

static bool is_ours(const struct oracle_finding *f)
{
	return f->invariant >= ORACLE_M(1) && f->invariant <= ORACLE_M(5);
}

/* Both are about one folder: "user/folder: ..." */
static bool is_same_folder(const struct oracle_finding *a, const struct oracle_finding *b)
{
	struct lab_view x = lab_view_cstr(a->sentence), y = lab_view_cstr(b->sentence);
	size_t end = lab_view_find(x, LAB_VIEW(": "));

	return end != SIZE_MAX && end < y.len && y.ptr[end] == ':' &&
	       memcmp(x.ptr, y.ptr, end) == 0;
}

static bool is_about_uids(const struct oracle_finding *f)
{
	return f->invariant == 6 || f->invariant == 7 || f->invariant == 9;
}

/* The rule of the mail, or of the folder's numbers, that was excused. */
static const char *excuse_of_other(const struct oracle *oracle, const struct oracle_finding *f)
{
	for (size_t i = 0; i < oracle->finding_count; i++) {
		const struct oracle_finding *other = &oracle->findings[i];

		if (other->excuse == NULL || is_ours(other))
			continue;
		if ((f->token != 0 && other->token == f->token) ||
			(f->invariant == ORACLE_M(2) && is_about_uids(other) &&
				is_same_folder(f, other)))
			return other->excuse;
	}
	return NULL;
}

void ledger_excuse(struct oracle *oracle)
{
	for (size_t i = 0; i < oracle->finding_count; i++) {
		struct oracle_finding *f = &oracle->findings[i];

		if (is_ours(f) && f->excuse == NULL)
			f->excuse = excuse_of_other(oracle, f);
	}
}

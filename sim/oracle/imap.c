/* SPDX-License-Identifier: Apache-2.0
 *
 * imap.c - what IMAP promises about numbers: invariants 6 (UIDVALIDITY), 7 (UIDNEXT; one UID, one
 * mail), 9 (one mail, one UID), 10 (modseqs).
 *
 * Two observations are compared if the later one was made by somebody who knew the earlier one
 * (knowledge.h). Of two backends that did not know each other, both may have given out one UID, if
 * the user was served by both at once: the merge takes it from both (obox 5.5).
 */
#include "sim/oracle/imap-private.h"

#define WHERE "%.*s/%.*s"
#define WHERE_ARG(x) LAB_VIEW_ARG((x)->user), LAB_VIEW_ARG((x)->folder)
#define AT_ONCE \
	"two backends served the user at once, and neither knew what the other did (obox 5.5)"

#define STALE \
	"another backend had the user's metacache, which is not removed with the user (obox 4.11)"

#define LATE \
	"a mail's row had reached less than a quorum of replicas, and listings need not find it " \
	"until one has (obox 3.8)"

#define UNNUMBERED \
	"a mail whose saver could not tell whether it was saved has no UID there, and one among " \
	"the others for whoever lists the folder next (obox 3.8)"

/* Between two requests of a session that is open. */

/* Listings of one folder by one backend, in the order of their ends. */
struct list {
	uint32_t life;
	const struct history_op *listing;
	struct list *before;
};

/* That somebody saw a UID denote a mail. */
struct sight {
	const struct history_op *op;
	uint32_t life;
	uint32_t uid;
	uint8_t name[HISTORY_NAME_BYTES];
	struct sight *next;
};

/* Since when a user was served by two backends at once. */
struct service {
	struct serving {
		uint32_t life;
		uint64_t since; /* event */
		uint64_t until_ns;
		struct serving *next;
	} * by;
	uint64_t at_once; /* event; UINT64_MAX: never */
	struct death {
		const struct history_op *op;
		struct death *next;
	} * deaths; /* the user or a folder was deleted, or may have been */
};

static struct lab_view bytes_of(const void *data, size_t size)
{
	return lab_view_of(data, size);
}

static struct imap_folder *folder_of(struct imap *imap, uint64_t key)
{
	void **slot = oracle_slot(imap->folders, bytes_of(&key, sizeof(key)));
	struct imap_folder *folder = *slot;

	if (folder == NULL) {
		*slot = folder = lab_arena_new_of(imap->oracle->work, struct imap_folder);
		folder->key = key;
	}
	return folder;
}

struct imap_folder *imap_folder_of(struct imap *imap, const struct history_op *op)
{
	return folder_of(imap, knowledge_folder(op->user, op->mailbox_guid));
}

/* ---- findings: one for each folder ---- */

void imap_find(struct imap *imap, struct imap_folder *folder, unsigned invariant,
	const char *signature, const struct history_op *before, const struct history_op *op,
	const char *what, const char *excuse)
{
	const struct knowledge *k = imap->oracle->knowledge;
	struct oracle_finding *f;

	/* A bundle whose row was written with an answer that says no is lost to everybody else. */
	if (excuse == NULL && knowledge_life(k, before) != knowledge_life(k, op))
		excuse = oracle_excuse_lie(imap->oracle, imap->c, op->user);
	if (excuse != NULL ? folder->is_excused : folder->is_blamed)
		return;
	f = oracle_find(imap->oracle, invariant, signature, WHERE ": %s", WHERE_ARG(op), what);
	f->token = op->token;
	f->op = op->id;
	f->time_ns = op->ended_ns;
	f->excuse = excuse;
	oracle_claimed_since(imap->oracle, f, before,
		before->kind == HISTORY_COPY || before->kind == HISTORY_MOVE);
	oracle_why_op(f, before);
	oracle_why_op(f, op);
	folder->is_blamed |= excuse == NULL;
	folder->is_excused |= excuse != NULL;
}

/* ---- served by two at once ---- */

static struct service *service_of(struct imap *imap, struct lab_view user)
{
	void **slot = oracle_slot(imap->services, user);
	struct service *service = *slot;

	if (service == NULL) {
		*slot = service = lab_arena_new_of(imap->oracle->work, struct service);
		service->at_once = UINT64_MAX;
	}
	return service;
}

static void serve(struct imap *imap, const struct history_op *op)
{
	const struct oracle *oracle = imap->oracle;
	struct service *service = service_of(imap, op->user);
	uint32_t life = knowledge_life(oracle->knowledge, op);
	uint64_t until_ns = oracle_op_end(op);
	struct serving *own = NULL;

	if ((op->kind == HISTORY_USER_DELETE || op->kind == HISTORY_DELETE) &&
		op->outcome != HISTORY_FAIL) {
		struct death *death = lab_arena_new_of(oracle->work, struct death);

		*death = (struct death){ op, service->deaths };
		service->deaths = death;
	}
	if (life == KNOWLEDGE_NOBODY)
		return;
	if (until_ns != UINT64_MAX)
		until_ns += oracle->settings.close_delay_ns;
	for (struct serving *s = service->by; s != NULL; s = s->next) {
		if (s->life == life)
			own = s;
		else if (s->until_ns >= op->invoked_ns &&
			 knowledge_crash(oracle->knowledge, s->life, NULL) > op->invoked_event)
			service->at_once = LAB_MIN(service->at_once, op->invoked_event);
	}
	if (own == NULL) {
		own = lab_arena_new_of(oracle->work, struct serving);
		*own = (struct serving){ life, op->invoked_event, 0, service->by };
		service->by = own;
	}
	own->until_ns = LAB_MAX(own->until_ns, until_ns);
}

static bool is_of(const struct history_op *death, const struct imap_folder *folder)
{
	static const uint8_t unknown[HISTORY_NAME_BYTES];

	return death->kind == HISTORY_USER_DELETE ||
	       memcmp(death->mailbox_guid, unknown, sizeof(unknown)) == 0 ||
	       knowledge_folder(death->user, death->mailbox_guid) == folder->key;
}

/* What the user, or the folder, had before is nothing to what it has now; who has not heard that a
 * folder was deleted may see it empty. */
bool imap_is_reborn(struct imap *imap, const struct imap_folder *folder, const struct history_op *a,
	const struct history_op *b)
{
	uint64_t from = LAB_MIN(a->invoked_event, b->invoked_event);
	uint64_t to = LAB_MAX(a->ended_event, b->ended_event);

	for (const struct death *d = service_of(imap, a->user)->deaths; d != NULL; d = d->next) {
		uint64_t ended =
			d->op->outcome == HISTORY_PENDING ? UINT64_MAX : d->op->ended_event;

		if (d->op->invoked_event <= to && ended >= from && is_of(d->op, folder))
			return true;
	}
	return false;
}

static bool was_at_once(struct imap *imap, const struct history_op *op)
{
	return service_of(imap, op->user)->at_once <= op->ended_event;
}

/* The backend has an index of before the user was deleted elsewhere. */
static bool has_stale_index(struct imap *imap, const struct history_op *op)
{
	const struct knowledge *k = imap->oracle->knowledge;
	const struct service *service = service_of(imap, op->user);
	uint32_t life = knowledge_life(k, op);

	for (const struct death *d = service->deaths; d != NULL; d = d->next) {
		if (d->op->kind != HISTORY_USER_DELETE || knowledge_life(k, d->op) == life ||
			d->op->invoked_event > op->ended_event)
			continue;
		for (const struct serving *s = service->by; s != NULL; s = s->next) {
			if (s->life == life && s->since <= d->op->ended_event)
				return true;
		}
	}
	return false;
}

/* Why two backends may say what does not fit together; or NULL. */
static const char *excuse_apart(
	struct imap *imap, const struct history_op *a, const struct history_op *b)
{
	if (was_at_once(imap, a) || was_at_once(imap, b))
		return AT_ONCE;
	return has_stale_index(imap, a) || has_stale_index(imap, b) ? STALE : NULL;
}

/* ---- 7, 9: a UID and a mail ---- */

enum relation {
	UNRELATED, /* nobody promised anything */
	APART,     /* neither knew of the other */
	RELATED
};

/* Must what `b` saw fit to what `a` saw? */
static enum relation relation(struct imap *imap, const struct imap_folder *folder,
	const struct sight *a, const struct sight *b)
{
	const struct knowledge *k = imap->oracle->knowledge;

	if (imap_is_reborn(imap, folder, a->op, b->op))
		return UNRELATED;
	if (a->life == b->life ||
		knowledge_knew(k, folder->key, b->life, b->op->invoked_event, a->life,
			a->op->ended_event) ||
		knowledge_knew(
			k, folder->key, a->life, a->op->invoked_event, b->life, b->op->ended_event))
		return RELATED;
	return knowledge_has_uploads(k) ? APART : UNRELATED;
}

static uint64_t renumberings(struct imap *imap, const struct imap_folder *folder, uint64_t to)
{
	return knowledge_merges(imap->oracle->knowledge, folder->key, KNOWLEDGE_NOBODY,
		LAB_EV_obox_index_merge_uids_renumbered, 0, to);
}

/* ---- a mail whose row came late ---- */

static bool is_listing_of(const struct history_op *op, struct lab_view user, struct lab_view folder)
{
	return op->kind == HISTORY_SELECT && op->outcome == HISTORY_OK &&
	       lab_view_eq(op->user, user) && lab_view_eq(op->folder, folder);
}

static bool has_mail(
	struct imap *imap, const struct history_op *listing, const struct oracle_instance *mail)
{
	size_t count;
	const struct history_sighting *seen =
		history_sightings(imap->c->history, listing->id, &count);

	for (size_t i = 0; i < count; i++) {
		if (memcmp(seen[i].object.name, mail->name, sizeof(mail->name)) == 0)
			return true;
	}
	return false;
}

/* The mail was made before, by another backend, and no listing of this one had it yet. */
static bool is_blind_to(
	struct imap *imap, const struct sight *sight, const struct oracle_instance *mail)
{
	const struct knowledge *k = imap->oracle->knowledge;

	if (mail->maker->invoked_event >= sight->op->invoked_event ||
		knowledge_life(k, mail->maker) == sight->life)
		return false;
	for (size_t i = 0; i < history_count(imap->c->history); i++) {
		const struct history_op *op = history_op(imap->c->history, i);

		if (is_listing_of(op, mail->user, mail->folder) &&
			op->ended_event <= sight->op->ended_event &&
			knowledge_life(k, op) == sight->life && has_mail(imap, op, mail))
			return false;
	}
	return true;
}

/* One side lists a mail of before what it saw, and its row was so late that the other side had
 * given UIDs without it. */
static bool came_between(struct imap *imap, const struct history_op *listing,
	const struct sight *with, const struct sight *without)
{
	size_t count;
	const struct history_sighting *seen =
		history_sightings(imap->c->history, listing->id, &count);

	for (size_t i = 0; i < count && seen[i].uid <= with->uid; i++) {
		const struct oracle_instance *mail = oracle_instance_find(
			&imap->oracle->model, listing->user, listing->folder, seen[i].object.name);

		if (mail != NULL && oracle_came_late(imap->oracle, imap->c, mail) &&
			is_blind_to(imap, without, mail))
			return true;
	}
	return false;
}

/* Where a folder's UIDs are in no bundle, they follow from its rows in the order of their making
 * (obox 4.8): so one that comes late shifts them, and nobody could know. */
static const char *excuse_late(
	struct imap *imap, const struct sight *with, const struct sight *without)
{
	const struct history_op *of = with->op;
	struct lab_view folder = of->kind == HISTORY_SELECT ? of->folder : of->target;

	for (size_t i = 0; i < history_count(imap->c->history); i++) {
		const struct history_op *op = history_op(imap->c->history, i);

		if (is_listing_of(op, of->user, folder) &&
			knowledge_life(imap->oracle->knowledge, op) == with->life &&
			came_between(imap, op, with, without))
			return LATE;
	}
	return NULL;
}

/* Where a mail is that nobody was told of, whoever lists the folder anew counts it. So does who
 * knew that a mail was expunged, and finds it again: it takes the next UID there, and the mails
 * after it others than where it still has the one of before. */
static const char *excuse_of(struct imap *imap, enum relation related, const struct sight *before,
	const struct sight *seen)
{
	const struct history_op *op = seen->op;
	const char *excuse = related == APART ? excuse_apart(imap, before->op, op) : NULL;

	if (excuse == NULL)
		excuse = oracle_excuse_lie(imap->oracle, imap->c, op->user);
	if (excuse == NULL && related == APART)
		excuse = oracle_excuse_return_to(imap->oracle, imap->c, op,
			op->kind == HISTORY_SELECT ? op->folder : op->target);
	if (excuse == NULL && related == APART)
		excuse = excuse_late(imap, seen, before);
	if (excuse == NULL && related == APART)
		excuse = excuse_late(imap, before, seen);
	return excuse;
}

static void check_same_mail(struct imap *imap, struct imap_folder *folder,
	const struct sight *before, const struct sight *seen)
{
	enum relation related = relation(imap, folder, before, seen);

	if (memcmp(before->name, seen->name, sizeof(seen->name)) == 0 || related == UNRELATED)
		return;
	imap_find(imap, folder, 7, "I7 UID of two mails", before->op, seen->op,
		"one UID was that of two mails under one UIDVALIDITY",
		excuse_of(imap, related, before, seen));
}

/* A mail that was expunged and whose row came back is a new one to every index; and so is one that
 * was lost, and dropped, and whose row stayed. */
static const char *excuse_return(struct imap *imap, enum relation related,
	const struct sight *before, const struct sight *seen)
{
	const struct sight *later = before->op->ended_event > seen->op->ended_event ? before : seen;
	const struct sight *sooner = later == before ? seen : before;
	const struct oracle_instance *instance =
		later->op->kind != HISTORY_SELECT
			? NULL
			: oracle_instance_find(&imap->oracle->model, later->op->user,
				  later->op->folder, seen->name);
	const char *excuse = instance == NULL ? NULL
					      : oracle_excuse_return(imap->oracle, imap->c,
							instance, later->op->ended_event);

	if (excuse == NULL && instance != NULL)
		excuse = oracle_excuse_drop(
			imap->oracle, instance, sooner->op->invoked_event, later->op->ended_event);
	return excuse != NULL ? excuse : excuse_of(imap, related, before, seen);
}

static void check_same_uid(struct imap *imap, struct imap_folder *folder,
	const struct sight *before, const struct sight *seen)
{
	enum relation related = relation(imap, folder, before, seen);

	if (before->uid == seen->uid || related == UNRELATED ||
		renumberings(imap, folder, seen->op->ended_event) > 0)
		return;
	imap_find(imap, folder, 9, "I9 mail has another UID", before->op, seen->op,
		"a mail had two UIDs under one UIDVALIDITY, and no merge had renumbered it",
		excuse_return(imap, related, before, seen));
}

typedef void (*check_fn)(struct imap *imap, struct imap_folder *folder, const struct sight *before,
	const struct sight *seen);

/* Against all that was seen under this key; kept if it is new. */
static void see(struct imap *imap, struct imap_folder *folder, struct lab_map *map,
	struct lab_view key, const struct sight *seen, check_fn check)
{
	void **slot = oracle_slot(map, key);
	bool is_new = true;
	struct sight *kept;

	for (struct sight *s = *slot; s != NULL; s = s->next) {
		check(imap, folder, s, seen);
		is_new &= s->life != seen->life || s->uid != seen->uid ||
			  memcmp(s->name, seen->name, sizeof(s->name)) != 0;
	}
	if (!is_new)
		return;
	kept = lab_arena_new_of(imap->oracle->work, struct sight);
	*kept = *seen;
	kept->next = *slot;
	*slot = kept;
}

static void see_mail(struct imap *imap, struct imap_folder *folder, uint32_t uidvalidity,
	const struct sight *seen)
{
	struct oracle_key key;
	uint32_t numbers[] = { uidvalidity, seen->uid };
	struct lab_view guid = bytes_of(&folder->key, sizeof(folder->key));

	see(imap, folder, imap->uids,
		oracle_key3(&key, guid, bytes_of(numbers, sizeof(numbers)), LAB_VIEW("")), seen,
		check_same_mail);
	see(imap, folder, imap->names,
		oracle_key3(&key, guid, bytes_of(numbers, sizeof(numbers[0])),
			bytes_of(seen->name, sizeof(seen->name))),
		seen, check_same_uid);
}

/* COPYUID. */
static void see_copy(struct imap *imap, const struct history_op *op)
{
	struct sight seen = {
		.op = op, .life = knowledge_life(imap->oracle->knowledge, op), .uid = op->target_uid
	};

	if (op->target_uid == 0 || op->target_uidvalidity == 0 || !op->made.has_name)
		return;
	memcpy(seen.name, op->made.name, sizeof(seen.name));
	see_mail(imap, folder_of(imap, knowledge_folder(op->user, op->target_guid)),
		op->target_uidvalidity, &seen);
}

/* ---- 6, 7, 10: two listings ---- */

static const struct history_sighting *find_uid(
	const struct history_sighting *seen, size_t count, uint32_t uid)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (seen[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && seen[low].uid == uid ? &seen[low] : NULL;
}

static bool is_same(const struct history_sighting *a, const struct history_sighting *b)
{
	return memcmp(a->object.name, b->object.name, sizeof(a->object.name)) == 0;
}

static bool has_name(
	const struct history_sighting *seen, size_t count, const struct history_sighting *one)
{
	for (size_t i = 0; i < count; i++) {
		if (is_same(&seen[i], one))
			return true;
	}
	return false;
}

/* A mail of the later listing. */
static void check_mail(struct imap *imap, struct imap_folder *folder, const struct history_op *a,
	const struct history_op *b, const struct history_sighting *mail)
{
	size_t count;
	const struct history_sighting *all = history_sightings(imap->c->history, a->id, &count);
	const struct history_sighting *before = find_uid(all, count, mail->uid);

	if (before == NULL || !is_same(before, mail)) {
		if (mail->uid < a->uidnext && !has_name(all, count, mail))
			imap_find(imap, folder, 7, "I7 new mail below UIDNEXT", a, b,
				"a mail came under a UID below a UIDNEXT that had been told", NULL);
		else if (mail->modseq <= a->highest_modseq)
			imap_find(imap, folder, 10, "I10 new mail below HIGHESTMODSEQ", a, b,
				"a mail came, and its modseq is not above the HIGHESTMODSEQ before",
				NULL);
	} else if (mail->modseq < before->modseq) {
		imap_find(imap, folder, 10, "I10 modseq decreased", a, b,
			"the modseq of a mail decreased", NULL);
	} else if (mail->flags != before->flags && mail->modseq <= a->highest_modseq) {
		imap_find(imap, folder, 10, "I10 change below HIGHESTMODSEQ", a, b,
			"flags of a mail changed, and its modseq is not above the HIGHESTMODSEQ "
			"before",
			NULL);
	}
}

static void check_expunged(struct imap *imap, struct imap_folder *folder,
	const struct history_op *a, const struct history_op *b)
{
	size_t was, is, left = 0;
	const struct history_sighting *before = history_sightings(imap->c->history, a->id, &was);
	const struct history_sighting *after = history_sightings(imap->c->history, b->id, &is);

	for (size_t i = 0; i < was; i++) {
		const struct history_sighting *now = find_uid(after, is, before[i].uid);

		left += now != NULL && is_same(now, &before[i]);
	}
	if (left < was && b->highest_modseq == a->highest_modseq)
		imap_find(imap, folder, 10, "I10 expunge without modseq", a, b,
			"a mail went, and HIGHESTMODSEQ is what it was", NULL);
}

static void check_uidvalidity(struct imap *imap, struct imap_folder *folder, uint32_t life,
	const struct history_op *a, const struct history_op *b)
{
	const struct knowledge *k = imap->oracle->knowledge;
	uint32_t b_life = knowledge_life(k, b);

	if (b->uidvalidity < a->uidvalidity)
		imap_find(imap, folder, 6, "I6 UIDVALIDITY decreased", a, b,
			"UIDVALIDITY decreased", NULL);
	else if (knowledge_merges(k, folder->key, life == b_life ? life : KNOWLEDGE_NOBODY,
			 LAB_EV_obox_index_merge_uidvalidity_changed,
			 life == b_life ? a->invoked_event : 0, b->ended_event) == 0)
		imap_find(imap, folder, 6, "I6 UIDVALIDITY changed", a, b,
			"UIDVALIDITY changed, and no merge said so", NULL);
}

/* Whoever made b knew all that a said. */
static void check_pair(struct imap *imap, struct imap_folder *folder, uint32_t life,
	const struct history_op *a, const struct history_op *b)
{
	size_t count;
	const struct history_sighting *seen = history_sightings(imap->c->history, b->id, &count);

	if (a->uidvalidity != b->uidvalidity) {
		check_uidvalidity(imap, folder, life, a, b);
		return;
	}
	if (b->uidnext < a->uidnext)
		imap_find(imap, folder, 7, "I7 UIDNEXT decreased", a, b, "UIDNEXT decreased", NULL);
	if (b->highest_modseq < a->highest_modseq)
		imap_find(imap, folder, 10, "I10 HIGHESTMODSEQ decreased", a, b,
			"HIGHESTMODSEQ decreased", NULL);
	/* Renumbered mails are others. */
	if (renumberings(imap, folder, b->ended_event) > 0)
		return;
	for (size_t i = 0; i < count; i++)
		check_mail(imap, folder, a, b, &seen[i]);
	check_expunged(imap, folder, a, b);
}

/* A listing by nobody who knew it: only what no backend may ever do. */
static void check_apart(struct imap *imap, struct imap_folder *folder, const struct history_op *a,
	const struct history_op *b)
{
	if (!knowledge_has_uploads(imap->oracle->knowledge) || a->uidvalidity == b->uidvalidity ||
		knowledge_merges(imap->oracle->knowledge, folder->key, KNOWLEDGE_NOBODY,
			LAB_EV_obox_index_merge_uidvalidity_changed, 0, b->ended_event) > 0)
		return;
	imap_find(imap, folder, 6, "I6 two UIDVALIDITYs", a, b,
		"two backends had different UIDVALIDITYs, and no merge said so",
		excuse_apart(imap, a, b));
}

/* Against the last listing of each life that it knew: what is true of these is true of those
 * before them. */
static void check_listing(
	struct imap *imap, struct imap_folder *folder, const struct history_op *op)
{
	const struct knowledge *k = imap->oracle->knowledge;
	uint32_t life = knowledge_life(k, op);
	struct lab_map *done = lab_map_new(imap->oracle->settings.heap, KNOWLEDGE_LIVES_MAX);

	for (const struct list *l = folder->lists; l != NULL; l = l->before) {
		uint64_t number = l->life;
		void **slot = oracle_slot(done, bytes_of(&number, sizeof(number)));

		if (*slot != NULL || imap_is_reborn(imap, folder, l->listing, op))
			continue;
		if (knowledge_knew(k, folder->key, life, op->invoked_event, l->life,
			    l->listing->ended_event)) {
			*slot = folder;
			check_pair(imap, folder, l->life, l->listing, op);
		} else if (l->listing->ended_event <= op->invoked_event) {
			check_apart(imap, folder, l->listing, op);
		}
	}
	lab_map_free(&done);
}

static void list(struct imap *imap, const struct history_op *op)
{
	struct imap_folder *folder = imap_folder_of(imap, op);
	uint32_t life = knowledge_life(imap->oracle->knowledge, op);
	size_t count;
	const struct history_sighting *seen = history_sightings(imap->c->history, op->id, &count);
	struct list *list;

	if (life == KNOWLEDGE_NOBODY)
		return;
	for (size_t i = 0; i < count; i++) {
		struct sight sight = { .op = op, .life = life, .uid = seen[i].uid };

		memcpy(sight.name, seen[i].object.name, sizeof(sight.name));
		see_mail(imap, folder, op->uidvalidity, &sight);
	}
	check_listing(imap, folder, op);
	list = lab_arena_new_of(imap->oracle->work, struct list);
	*list = (struct list){ life, op, folder->lists };
	folder->lists = list;
}

/* ---- 10: STORE ---- */

static void check_store(struct imap *imap, const struct history_op *op)
{
	const struct knowledge *k = imap->oracle->knowledge;
	struct imap_folder *folder = imap_folder_of(imap, op);
	uint32_t life = knowledge_life(k, op);

	for (const struct list *l = folder->lists; op->changed && l != NULL; l = l->before) {
		if (l->listing->uidvalidity == op->uidvalidity &&
			!imap_is_reborn(imap, folder, l->listing, op) &&
			op->modseq <= l->listing->highest_modseq &&
			knowledge_knew(k, folder->key, life, op->invoked_event, l->life,
				l->listing->ended_event))
			imap_find(imap, folder, 10, "I10 change below HIGHESTMODSEQ", l->listing,
				op, "a change of a flag is not above the HIGHESTMODSEQ before it",
				NULL);
	}
}

/* ---- 6, 7, 10: STATUS ---- */

static void check_numbers(struct imap *imap, struct imap_folder *folder, const struct history_op *a,
	const struct history_op *op)
{
	if (op->uidvalidity < a->uidvalidity)
		imap_find(imap, folder, 6, "I6 UIDVALIDITY decreased", a, op,
			"UIDVALIDITY decreased", NULL);
	if (op->uidvalidity != a->uidvalidity)
		return;
	if (op->uidnext < a->uidnext)
		imap_find(
			imap, folder, 7, "I7 UIDNEXT decreased", a, op, "UIDNEXT decreased", NULL);
	if (op->highest_modseq < a->highest_modseq)
		imap_find(imap, folder, 10, "I10 HIGHESTMODSEQ decreased", a, op,
			"HIGHESTMODSEQ decreased", NULL);
}

static void check_status(struct imap *imap, const struct history_op *op)
{
	const struct knowledge *k = imap->oracle->knowledge;
	struct imap_folder *folder = imap_folder_of(imap, op);
	uint32_t life = knowledge_life(k, op);

	for (const struct list *l = folder->lists; l != NULL; l = l->before) {
		if (!imap_is_reborn(imap, folder, l->listing, op) &&
			knowledge_knew(k, folder->key, life, op->invoked_event, l->life,
				l->listing->ended_event))
			check_numbers(imap, folder, l->listing, op);
	}
}

/* ---- all of them ---- */

/* A mail of the operation's folder is in some listing, although its saver could not tell whether it
 * was saved: since when. */
static bool has_uncertain_mail(struct imap *imap, const struct history_op *op, uint64_t *ret_since)
{
	*ret_since = UINT64_MAX;
	for (size_t i = 0; i < history_count(imap->c->history); i++) {
		const struct history_op *listing = history_op(imap->c->history, i);
		const struct history_sighting *seen;
		size_t count;

		if (!is_listing_of(listing, op->user, op->folder))
			continue;
		seen = history_sightings(imap->c->history, listing->id, &count);
		for (size_t n = 0; n < count; n++) {
			const struct oracle_instance *mail = oracle_instance_find(
				&imap->oracle->model, op->user, op->folder, seen[n].object.name);

			if (mail != NULL && mail->made == ORACLE_MADE_MAYBE && mail->maker != NULL)
				*ret_since = LAB_MIN(*ret_since, mail->maker->invoked_event);
		}
	}
	return *ret_since < op->ended_event;
}

/* What was expunged and whose row came back is a new mail to whoever knew of the expunge, under the
 * UID that others know it by. A mail whose saver was told that it had failed has no UID there, and
 * one among the others for whoever lists the folder next. Nor have mails that a data centre which
 * was lost does not know yet, or of which their saver does not know whether they are there. */
static const char *excuse_renumbering(
	struct imap *imap, const struct history_op *op, const struct imap_folder *folder)
{
	const char *excuse = oracle_excuse_return_to(imap->oracle, imap->c, op, op->folder);
	uint64_t since;

	if (excuse != NULL)
		return excuse;
	excuse = oracle_excuse_denied_mail(imap->oracle, imap->c, op, &since);
	if (excuse == NULL)
		excuse = oracle_excuse_blind_center(imap->oracle, imap->c, op, &since);
	if (excuse == NULL && has_uncertain_mail(imap, op, &since))
		excuse = UNNUMBERED;
	return excuse != NULL && renumberings(imap, folder, since) == 0 ? excuse : NULL;
}

/* With one backend at a time nothing was ever done twice. */
static void check_renumbered(
	struct imap *imap, const struct history_op *op, struct imap_folder *folder)
{
	uint64_t to = LAB_MIN(service_of(imap, op->user)->at_once, op->ended_event);

	if (renumberings(imap, folder, to) > 0)
		imap_find(imap, folder, 9, "I9 renumbered without cause", op, op,
			"a merge gave mails new UIDs, although one backend at a time had served "
			"the user",
			excuse_renumbering(imap, op, folder));
}

static void judge_op(struct imap *imap, const struct history_op *op)
{
	if (op->outcome == HISTORY_OK &&
		(op->kind == HISTORY_SELECT || op->kind == HISTORY_STATUS ||
			op->kind == HISTORY_STORE))
		imap_check_lost_modseqs(imap, op);
	if (op->outcome == HISTORY_OK && op->kind == HISTORY_SELECT) {
		list(imap, op);
		check_renumbered(imap, op, imap_folder_of(imap, op));
	} else if (op->outcome == HISTORY_OK && op->kind == HISTORY_STATUS) {
		check_status(imap, op);
	} else if (op->outcome == HISTORY_OK && op->kind == HISTORY_STORE) {
		check_store(imap, op);
	} else if (op->outcome == HISTORY_OK &&
		   (op->kind == HISTORY_COPY || op->kind == HISTORY_MOVE)) {
		see_copy(imap, op);
	}
}

void oracle_check_imap(struct oracle *oracle, const struct oracle_case *c)
{
	struct imap imap = { .oracle = oracle, .c = c };
	struct lab_map **maps[] = { &imap.folders, &imap.uids, &imap.names, &imap.services };

	for (size_t i = 0; i < LAB_COUNT_OF(maps); i++)
		*maps[i] = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX);
	for (size_t i = 0; i < history_count(c->history); i++)
		serve(&imap, history_op(c->history, i));
	for (size_t i = 0; i < history_count(c->history); i++)
		judge_op(&imap, history_op(c->history, i));
	for (size_t i = 0; i < LAB_COUNT_OF(maps); i++)
		lab_map_free(maps[i]);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * roots.c - which backend has looked at a user's root, and left its mark there, when: how backends
 * that serve one user hear of each other.
 */
#include "sim/oracle/oracle-private.h"

/* Of a user's root on one host. */
struct oracle_root_refreshes {
	uint64_t began; /* event; 0: none is under way */
	uint64_t began_ns, accessed_ns;
	uint32_t boot;
	bool is_kept; /* since the last refresh no access should have been another one */
	/* Refreshes that found out all there was; `kept`: the last access for which that was
	 * enough (obox 5.4). */
	struct refreshed {
		uint64_t began, ended, kept;
		struct refreshed *before;
	} * last;
	/* Uploads that ended well. */
	struct marked {
		uint64_t ended;
		struct marked *before;
	} * mark;
};

static struct oracle_root_refreshes *root_of(
	const struct oracle *oracle, struct lab_view host, struct lab_view user)
{
	struct oracle_key key;

	return lab_map_get(oracle->roots, oracle_key3(&key, host, user, LAB_VIEW("")));
}

static void uploaded(struct oracle *oracle, struct oracle_root_refreshes *r, uint64_t event)
{
	struct marked *mark = lab_arena_new_of(oracle->texts, struct marked);

	*mark = (struct marked){ event, r->mark };
	r->mark = mark;
}

static void refreshed(struct oracle *oracle, struct oracle_root_refreshes *r,
	const struct lab_event *event, uint32_t boot)
{
	struct refreshed *done = lab_arena_new_of(oracle->texts, struct refreshed);

	*done = (struct refreshed){ r->began, event->sequence, event->sequence, r->last };
	r->last = done;
	r->accessed_ns = event->time_ns;
	r->boot = boot;
	r->is_kept = true;
}

/* An access without a look: right within metacache_close_delay of the one before, for as long as
 * metacache_forced_refresh_interval; and no life has looked for another. */
static void kept(const struct oracle *oracle, struct oracle_root_refreshes *r,
	const struct lab_event *event, uint32_t boot)
{
	uint64_t forced_ns = oracle->settings.forced_refresh_ns;

	r->is_kept = r->is_kept && r->boot == boot &&
		     event->time_ns - r->accessed_ns < oracle->settings.close_delay_ns &&
		     (forced_ns == 0 || event->time_ns - r->began_ns < forced_ns);
	r->accessed_ns = event->time_ns;
	if (r->is_kept)
		r->last->kept = event->sequence;
}

void oracle_root_event(struct oracle *oracle, const struct lab_event *event)
{
	uint32_t boot;
	struct lab_view host = knowledge_host(oracle->knowledge, event->host, &boot);
	bool is_ok = oracle_event_number(event, "code") == LAB_OK;
	struct oracle_root_refreshes *r;
	struct oracle_key key;
	void **slot = lab_map_slot(oracle->roots,
		oracle_key3(&key, host, oracle_event_text(event, "user"), LAB_VIEW("")));

	if (slot == NULL)
		return;
	if (*slot == NULL)
		*slot = lab_arena_new_of(oracle->texts, struct oracle_root_refreshes);
	r = *slot;
	if (event->id == LAB_EV_metacache_user_refresh_started) {
		r->began = event->sequence;
		r->began_ns = event->time_ns;
	} else if (event->id == LAB_EV_metacache_user_bundle_upload_finished) {
		if (is_ok)
			uploaded(oracle, r, event->sequence);
	} else if (r->began != 0) {
		if (is_ok)
			refreshed(oracle, r, event, boot);
		r->began = 0;
	} else if (is_ok) {
		kept(oracle, r, event, boot);
	}
}

/* Did it look at the root, from beginning to end, in [from, to]? */
static bool has_looked(const struct oracle_root_refreshes *r, uint64_t from, uint64_t to)
{
	for (const struct refreshed *d = r == NULL ? NULL : r->last; d != NULL; d = d->before) {
		if (d->began >= from && d->ended <= to)
			return true;
	}
	return false;
}

bool oracle_root_knew(const struct oracle *oracle, const struct history_op *later,
	const struct history_op *earlier)
{
	if (earlier->outcome == HISTORY_PENDING || earlier->ended_event > later->invoked_event)
		return false;
	return lab_view_eq(earlier->backend, later->backend) ||
	       has_looked(root_of(oracle, later->backend, later->user), earlier->ended_event,
		       later->invoked_event);
}

/* The listing's backend was right not to look since the change, and has not listed the folder's
 * rows since: its index is of before. */
static bool was_kept(const struct oracle *oracle, const struct history_op *change,
	const struct history_op *listing)
{
	const struct knowledge *k = oracle->knowledge;
	const struct oracle_root_refreshes *r = root_of(oracle, listing->backend, listing->user);
	const struct refreshed *d = r == NULL ? NULL : r->last;

	while (d != NULL && d->began > listing->ended_event)
		d = d->before;
	return d != NULL && d->began < change->ended_event && d->kept >= listing->invoked_event &&
	       !knowledge_looked(k, knowledge_folder(listing->user, listing->mailbox_guid),
		       knowledge_life(k, listing), change->ended_event, listing->ended_event);
}

static const struct marked *mark_before(const struct oracle_root_refreshes *r, uint64_t event)
{
	const struct marked *mark = r == NULL ? NULL : r->mark;

	while (mark != NULL && mark->ended > event)
		mark = mark->before;
	return mark;
}

/* The first time that it found all that there was at `event`. */
static const struct refreshed *heard(const struct oracle_root_refreshes *r, uint64_t event)
{
	const struct refreshed *first = NULL;

	for (const struct refreshed *d = r == NULL ? NULL : r->last; d != NULL; d = d->before) {
		if (d->began >= event)
			first = d;
	}
	return first;
}

/* The listing's backend had heard of the last mark of the other one, and then read the folder's
 * rows, before the change; its own mark came after it. Neither has reason to look again: the one
 * need not mark again before it hears of the other one's mark. */
static bool has_marked_late(const struct oracle *oracle, const struct history_op *change,
	const struct history_op *listing)
{
	const struct oracle_root_refreshes *reader =
		root_of(oracle, listing->backend, listing->user);
	const struct oracle_root_refreshes *writer = root_of(oracle, change->backend, change->user);
	uint64_t folder = knowledge_folder(listing->user, listing->mailbox_guid);
	uint32_t life = knowledge_life(oracle->knowledge, listing);
	const struct marked *own = mark_before(reader, listing->invoked_event);
	const struct marked *earlier = mark_before(reader, change->ended_event);
	const struct marked *others = mark_before(writer, listing->invoked_event);
	const struct refreshed *first = others == NULL ? NULL : heard(reader, others->ended);

	return own != NULL && !has_looked(writer, own->ended, listing->invoked_event) &&
	       first != NULL && (earlier == NULL || earlier->ended < others->ended) &&
	       knowledge_looked(
		       oracle->knowledge, folder, life, first->began, listing->ended_event) &&
	       !knowledge_looked(
		       oracle->knowledge, folder, life, change->ended_event, listing->ended_event);
}

static bool is_unheard(const struct oracle *oracle, const struct history_op *change,
	const struct history_op *listing)
{
	const struct marked *mark =
		mark_before(root_of(oracle, listing->backend, listing->user), change->ended_event);

	return mark != NULL && !has_looked(root_of(oracle, change->backend, change->user),
				       mark->ended, listing->invoked_event);
}

/* Whoever changes something while others serve the user, too, marks the root anew for them; and he
 * knows of them by their marks. Who was there within metacache_close_delay does not look. */
const char *oracle_excuse_unheard(const struct oracle *oracle, const struct history_op *change,
	const struct history_op *listing)
{
	if (lab_view_eq(change->backend, listing->backend) ||
		lab_view_eq_cstr(listing->backend, oracle->settings.auditor))
		return NULL;
	if (oracle->settings.geodb_keyspace.len == 0)
		return was_kept(oracle, change, listing)
			       ? "two backends served the user at once, and the one that shows "
				 "what was before had been there within metacache_close_delay: it "
				 "did not look again (obox 5.4)"
			       : NULL;
	if (!is_unheard(oracle, change, listing) && !has_marked_late(oracle, change, listing))
		return NULL;
	return "two backends served the user at once, and the one that made the change had not "
	       "looked since the other one came: that one may see what was before (palomar 4.3)";
}

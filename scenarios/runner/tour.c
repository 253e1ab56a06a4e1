/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/tour.h"

#define SESSION_ARENA_MAX ((size_t)1 << 30)
#define PPM 1000000
/* Mails of the view that have a part of their own; those behind them are for the bulk. */
#define ACTED_ON 16

enum where {
	FIRST,
	SECOND
};

static void rest(const struct tour *tour)
{
	env_sleep(tour->client->lab, tour->action_delay_ns);
}

/* ---- what it is made of ---- */

static void begin(
	const struct tour *tour, enum where where, const char *folder, struct client_session *ret)
{
	struct node *node = tour->nodes[where];

	*ret = (struct client_session){ .client = tour->client,
		.user = tour->user,
		.node = node,
		.boots = node->boots,
		.arena = lab_arena_new(tour->client->lab->heap, SESSION_ARENA_MAX) };
	(void)client_select(ret, lab_view_cstr(folder));
	rest(tour);
}

static void end(struct client_session *session)
{
	lab_arena_free(&session->arena);
}

static void deliver(const struct tour *tour, enum where where)
{
	struct lab_arena *arena =
		lab_arena_new(tour->client->lab->heap, 2 * (size_t)MAIL_BYTES_MAX);
	uint64_t token = workload_next_token(tour->user);
	struct lab_view mail = workload_mail(tour->workload, tour->user, token, arena);

	(void)client_deliver(tour->client, tour->user, tour->nodes[where], LAB_VIEW("INBOX"), token,
		mail, LAB_VIEW(""));
	lab_arena_free(&arena);
	rest(tour);
}

static void flush(const struct tour *tour, enum where where)
{
	(void)client_flush(tour->client, tour->user, tour->nodes[where]);
	rest(tour);
}

static void fetch(const struct tour *tour, struct client_session *session, size_t mail)
{
	if (mail < session->view.count)
		(void)client_fetch(session, &mail, 1);
	rest(tour);
}

static void store(
	const struct tour *tour, struct client_session *session, size_t mail, const char *flag)
{
	if (mail < session->view.count)
		(void)client_store(session, mail, lab_view_cstr(flag), true);
	rest(tour);
}

static void copy(const struct tour *tour, struct client_session *session, size_t mail)
{
	if (mail < session->view.count)
		(void)client_copy(session, mail, LAB_VIEW("Folder1"));
	rest(tour);
}

static void move(
	const struct tour *tour, struct client_session *session, const size_t *mails, size_t count)
{
	if (mails[count - 1] < session->view.count)
		(void)client_move(session, mails, count, LAB_VIEW("Folder1"));
	rest(tour);
}

static void expunge(
	const struct tour *tour, struct client_session *session, const size_t *mails, size_t count)
{
	if (mails[count - 1] < session->view.count)
		(void)client_expunge(session, mails, count);
	rest(tour);
}

static bool is_chosen(const struct tour *tour, size_t mail)
{
	return (mail + 1) * tour->expunge_ppm / PPM > mail * tour->expunge_ppm / PPM;
}

/* That part of the mails, spread evenly, the newest first: those before them keep their places. */
static void expunge_many(const struct tour *tour, struct client_session *session)
{
	struct lab_heap *heap = tour->client->lab->heap;
	size_t *mails = lab_new_array(heap, size_t, tour->bulk), count = 0;

	for (size_t i = session->view.count; i-- > ACTED_ON;) {
		if (!is_chosen(tour, i))
			continue;
		mails[tour->bulk - ++count] = i;
		if (count == tour->bulk) {
			expunge(tour, session, mails, count);
			count = 0;
		}
	}
	if (count > 0)
		expunge(tour, session, &mails[tour->bulk - count], count);
	lab_heap_free(heap, mails);
}

/* ---- its parts ---- */

static void on_first(const struct tour *tour)
{
	static const size_t moved[] = { 6, 7, 8 }, kept_elsewhere[] = { 2 }, last[] = { 5 };
	struct client_session session;

	begin(tour, FIRST, "INBOX", &session);
	fetch(tour, &session, 0);
	fetch(tour, &session, 0);
	deliver(tour, FIRST);
	deliver(tour, FIRST);
	store(tour, &session, 1, "\\Seen");
	flush(tour, FIRST);
	flush(tour, FIRST);
	copy(tour, &session, 2);
	copy(tour, &session, 3);
	move(tour, &session, moved, LAB_COUNT_OF(moved));
	expunge(tour, &session, last, 1);
	expunge(tour, &session, kept_elsewhere, 1);
	store(tour, &session, 1, "\\Flagged");
	flush(tour, FIRST);
	store(tour, &session, 1, "\\Answered");
	flush(tour, FIRST);
	/* Whoever comes later looks again whether others were here. */
	env_sleep(tour->client->lab, tour->close_delay_ns + LAB_SEC);
	fetch(tour, &session, 3);
	end(&session);
}

static void on_second(const struct tour *tour)
{
	struct client_session session;

	begin(tour, SECOND, "INBOX", &session);
	fetch(tour, &session, 0);
	deliver(tour, SECOND);
	store(tour, &session, 2, "\\Seen");
	flush(tour, SECOND);
	expunge_many(tour, &session);
	flush(tour, SECOND);
	end(&session);
	begin(tour, SECOND, "Folder1", &session);
	end(&session);
}

static void on_first_again(const struct tour *tour)
{
	struct client_session session;

	env_sleep(tour->client->lab, tour->close_delay_ns + LAB_SEC);
	begin(tour, FIRST, "INBOX", &session);
	deliver(tour, FIRST);
	store(tour, &session, 1, "$Forwarded");
	flush(tour, FIRST);
	end(&session);
	deliver(tour, FIRST);
}

/* A listing is the first to tell of the last mail, and its metadata is not asked for. */
static void on_second_again(const struct tour *tour)
{
	struct client_session session;

	env_sleep(tour->client->lab, tour->close_delay_ns + LAB_SEC);
	begin(tour, SECOND, "INBOX", &session);
	end(&session);
}

void tour_run(const struct tour *tour)
{
	on_first(tour);
	on_second(tour);
	on_first_again(tour);
	on_second_again(tour);
}

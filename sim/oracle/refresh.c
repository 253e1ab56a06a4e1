/* SPDX-License-Identifier: Apache-2.0
 *
 * refresh.c - what opening a user or a folder costs, and what it may trust: invariants 24 (what is
 * kept asks nobody; what is unchanged was two SELECTs and no GET) and 25 (after a crash nothing of
 * before is used). Judged while the run goes on, from metacache_*_refresh_* and the access logs.
 */
#include "sim/oracle/oracle-private.h"

/* A request may arrive when nobody waits for it any more. */
#define LATE (2 * LAB_MINUTE)
#define LISTINGS 2

/* Of one user on one host: its root, or its folders. */
struct window {
	unsigned open;  /* refreshes under way */
	bool is_shared; /* another began meanwhile: nobody knows whose requests they are */
	uint64_t began_ns, crashed_ns;
	unsigned listings, reads;
	struct lab_map *seen; /* folders -> the life that has opened them */
};

static struct window *window_of(
	struct oracle *oracle, struct lab_view host, struct lab_view user, bool is_root)
{
	struct oracle_key key;
	void **slot = lab_map_slot(oracle->windows,
		oracle_key3(&key, host, user, is_root ? LAB_VIEW("r") : LAB_VIEW("f")));

	if (slot == NULL)
		return NULL;
	if (*slot == NULL)
		*slot = lab_arena_new_of(oracle->texts, struct window);
	return *slot;
}

/* ---- folders and users that are deleted, or repaired: their bundles are listed first ---- */

struct deletion {
	unsigned open;
	uint64_t ended_ns;
};

static void deletion_step(
	struct oracle *oracle, struct lab_view user, bool is_over, uint64_t time_ns)
{
	void **slot = lab_map_slot(oracle->deletions, user);
	struct deletion *deletion;

	if (slot == NULL)
		return;
	if (*slot == NULL)
		*slot = lab_arena_new_of(oracle->texts, struct deletion);
	deletion = *slot;
	if (!is_over)
		deletion->open++;
	else if (deletion->open > 0)
		deletion->open--;
	deletion->ended_ns = time_ns;
}

void oracle_deletion_event(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view kind = oracle_event_text(event, "kind");

	if (lab_view_eq_cstr(kind, history_kind_name(HISTORY_DELETE)) ||
		lab_view_eq_cstr(kind, history_kind_name(HISTORY_USER_DELETE)))
		deletion_step(oracle, oracle_event_text(event, "user"),
			event->id != LAB_EV_operation_invoked, event->time_ns);
}

void oracle_repairing(struct oracle *oracle, struct lab_view user, bool is_over, uint64_t time_ns)
{
	deletion_step(oracle, user, is_over, time_ns);
}

bool oracle_is_deleting(const struct oracle *oracle, struct lab_view user, uint64_t time_ns)
{
	const struct deletion *deletion = lab_map_get(oracle->deletions, user);

	return deletion != NULL && (deletion->open > 0 || time_ns < deletion->ended_ns + LATE);
}

/* ---- requests ---- */

void oracle_index_listed(
	struct oracle *oracle, const struct sim_access *access, struct lab_view table)
{
	bool is_root = lab_view_starts_with(table, LAB_VIEW("user_index_"));
	struct window *window;

	/* Logged when its connection was gone: nobody can say whose it was. */
	if (access->peer.len == 0 ||
		(!is_root && !lab_view_starts_with(table, LAB_VIEW("user_mailbox_index_"))))
		return;
	window = window_of(oracle, access->peer, access->user, is_root);
	if (window == NULL)
		return;
	window->listings++;
	/* Asked by who has crashed since, and logged only now. */
	if (window->open > 0 || access->received_ns < window->crashed_ns ||
		oracle_is_deleting(oracle, access->user, access->received_ns) ||
		oracle_had_trouble(oracle,
			access->received_ns - LAB_MIN(access->received_ns, (uint64_t)LATE),
			access->received_ns))
		return;
	oracle_found_online(oracle, 24, "I24 listing without a refresh", access->received_ns,
		"%.*s: %.*s listed %.*s, and did not say that it refreshed anything",
		LAB_VIEW_ARG(access->user), LAB_VIEW_ARG(access->peer), LAB_VIEW_ARG(table));
}

void oracle_index_read(struct oracle *oracle, const struct sim_access *access, struct lab_view key)
{
	bool is_root = lab_view_find(key, LAB_VIEW("/mailboxes/")) == SIZE_MAX;
	struct window *window;

	if (lab_view_find(key, LAB_VIEW("/idx/")) == SIZE_MAX)
		return;
	window = window_of(oracle, access->peer, access->user, is_root);
	if (window != NULL)
		window->reads++;
}

/* ---- events ---- */

static void started(struct window *window, const struct lab_event *event)
{
	window->is_shared = window->open++ > 0;
	if (window->is_shared)
		return;
	window->began_ns = event->time_ns;
	window->listings = window->reads = 0;
}

static void check_cost(struct oracle *oracle, const struct window *window,
	const struct lab_event *event, struct lab_view user, struct lab_view host)
{
	/* Without dictmap the storage is listed. */
	if (!oracle->settings.has_dictmap || window->is_shared ||
		oracle_is_deleting(oracle, user, window->began_ns) ||
		(window->listings == LISTINGS && window->reads == 0) ||
		(window->listings > LISTINGS && oracle->settings.has_small_pages) ||
		oracle_had_trouble(oracle,
			window->began_ns - LAB_MIN(window->began_ns, (uint64_t)LATE),
			event->time_ns))
		return;
	oracle_found_online(oracle, 24, "I24 refresh that was not two SELECTs", event->time_ns,
		"%.*s: %.*s found nothing new with %u SELECTs and %u GETs", LAB_VIEW_ARG(user),
		LAB_VIEW_ARG(host), window->listings, window->reads);
}

/* Whoever starts after a crash has nothing that it could keep. */
static void check_trust(struct oracle *oracle, const struct lab_event *event, struct lab_view user,
	struct lab_view status, bool is_new)
{
	uint32_t boot;
	struct lab_view host = knowledge_host(oracle->knowledge, event->host, &boot);

	if (!is_new || boot <= 1 ||
		(!lab_view_eq_cstr(status, "kept") &&
			!lab_view_eq_cstr(status, "refreshed_unchanged")))
		return;
	oracle_found_online(oracle, 25, "I25 index of before the crash", event->time_ns,
		"%.*s: %.*s had crashed, and %.*s what it had before", LAB_VIEW_ARG(user),
		LAB_VIEW_ARG(host),
		LAB_VIEW_ARG(lab_view_eq_cstr(status, "kept") ? LAB_VIEW("kept")
							      : LAB_VIEW("went on with")));
}

/* The first time in this life of the host that it was opened well. */
static bool is_first(struct oracle *oracle, struct window *window, const struct lab_event *event)
{
	uint32_t boot;
	uint64_t life;
	void **slot;

	(void)knowledge_host(oracle->knowledge, event->host, &boot);
	life = boot;
	if (window->seen == NULL)
		window->seen = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX);
	slot = lab_map_slot(window->seen, oracle_event_text(event, "mailbox_guid"));
	if (slot == NULL || (uint64_t)(uintptr_t)*slot == life)
		return false;
	*slot = (void *)(uintptr_t)life;
	return true;
}

static void finished(struct oracle *oracle, struct window *window, const struct lab_event *event,
	struct lab_view host)
{
	struct lab_view user = oracle_event_text(event, "user");
	struct lab_view status = oracle_event_text(event, "metacache_status");
	/* "kept" is told without a beginning. */
	bool was_open = window->open > 0 && !lab_view_eq_cstr(status, "kept");

	if (oracle_event_number(event, "code") == LAB_OK) {
		check_trust(oracle, event, user, status, is_first(oracle, window, event));
		if (was_open && lab_view_eq_cstr(status, "refreshed_unchanged"))
			check_cost(oracle, window, event, user, host);
	}
	if (was_open)
		window->open--;
}

void oracle_refresh_event(struct oracle *oracle, const struct lab_event *event)
{
	bool is_root = event->id == LAB_EV_metacache_user_refresh_started ||
		       event->id == LAB_EV_metacache_user_refresh_finished;
	uint32_t boot;
	struct lab_view host = knowledge_host(oracle->knowledge, event->host, &boot);
	struct window *window = window_of(oracle, host, oracle_event_text(event, "user"), is_root);

	if (window == NULL)
		return;
	if (event->id == LAB_EV_metacache_user_refresh_started ||
		event->id == LAB_EV_metacache_mailbox_refresh_started)
		started(window, event);
	else
		finished(oracle, window, event, host);
}

static void died(struct window *window, uint64_t time_ns)
{
	window->open = 0;
	window->crashed_ns = time_ns;
}

/* What was under way died with it. */
void oracle_refresh_crashed(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_map_iter iter = lab_map_iterate(oracle->windows);
	uint32_t boot;
	struct lab_view host = knowledge_host(oracle->knowledge, event->host, &boot), key;
	void *window;

	while (lab_map_next(&iter, &key, &window)) {
		/* The first part of a key has its length before it. */
		if (key.len > 2 && (size_t)(key.ptr[0] << 8 | key.ptr[1]) == host.len &&
			lab_view_starts_with(lab_view_skip(key, 2), host))
			died(window, event->time_ns);
	}
}

void oracle_refresh_free(struct oracle *oracle)
{
	struct lab_map_iter iter = lab_map_iterate(oracle->windows);
	struct lab_view key;
	void *window;

	while (lab_map_next(&iter, &key, &window))
		lab_map_free(&((struct window *)window)->seen);
	lab_map_free(&oracle->windows);
	lab_map_free(&oracle->roots);
	lab_map_free(&oracle->deletions);
}

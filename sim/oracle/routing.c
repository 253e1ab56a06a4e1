/* SPDX-License-Identifier: Apache-2.0
 *
 * routing.c - how Palomar routes users (palomar 4.1): R1 to R5 and T3. T1 and T2 are in
 * routing-losses.c.
 *
 * What counts is where sessions are: cluster_session_started and cluster_session_ended tell of each
 * session of each backend. Times are counted from the last trouble on, as nothing can be promised
 * while things go on failing; what was in trouble then has the bound to recover.
 */
#include "sim/oracle/routing-private.h"

#define USERS_MAX 1000000u
#define SLOW_LOGINS_MIN 200u

/* Sessions of a user on one backend. */
struct presence {
	struct presence *next;
	uint16_t backend;
	uint32_t sessions;
};

/* ---- texts of events ---- */

struct lab_view routing_text(const struct lab_event *event, const char *name)
{
	for (size_t i = 0; i < event->field_count; i++) {
		if (strcmp(event->fields[i].name, name) == 0)
			return event->fields[i].text;
	}
	return LAB_VIEW("");
}

uint64_t routing_number(const struct lab_event *event, const char *name)
{
	for (size_t i = 0; i < event->field_count; i++) {
		if (strcmp(event->fields[i].name, name) == 0)
			return event->fields[i].number;
	}
	return 0;
}

/* ---- what is known ---- */

void routing_new(struct oracle *oracle)
{
	struct lab_heap *heap = oracle->settings.heap;
	struct routing *r = lab_new(heap, struct routing);

	r->heap = heap;
	r->users = lab_map_new(heap, USERS_MAX);
	r->names = lab_map_new(heap, ROUTING_BACKENDS_MAX - 1);
	r->orders = lab_map_new(heap, USERS_MAX);
	r->measured.overlap_max_ns = oracle->settings.overlap_max_ns;
	r->measured.recovery_max_ns = oracle->settings.recovery_max_ns;
	r->measured.login_max_ns = oracle->settings.login_max_ns;
	r->measured.zone_recovery_max_ns = routing_recovery_max(oracle, true);
	oracle->routing = r;
	routing_rows_new(oracle);
}

static void free_user(struct routing *r, struct route_user *user)
{
	while (user->present != NULL) {
		struct presence *next = user->present->next;

		lab_heap_free(r->heap, user->present);
		user->present = next;
	}
	lab_heap_free(r->heap, user);
}

void routing_free(struct oracle *oracle)
{
	struct routing *r = oracle->routing;
	struct lab_map_iter iter;
	struct lab_view key;
	void *user;

	if (r == NULL)
		return;
	iter = lab_map_iterate(r->users);
	while (lab_map_next(&iter, &key, &user))
		free_user(r, user);
	routing_orders_free(r);
	routing_rows_free(r);
	lab_map_free(&r->users);
	lab_map_free(&r->names);
	lab_heap_free(r->heap, r);
	oracle->routing = NULL;
}

/* 0: too many. */
uint16_t routing_name(struct oracle *oracle, struct lab_view name)
{
	struct routing *r = oracle->routing;
	void **slot = lab_map_slot(r->names, name);

	if (slot == NULL) {
		r->is_full = true;
		return 0;
	}
	if (*slot == NULL) {
		*slot = (void *)(uintptr_t)++r->name_count;
		r->shown[r->name_count] = lab_arena_copy(oracle->texts, name);
	}
	return (uint16_t)(uintptr_t)*slot;
}

static struct route_user *user_of(struct oracle *oracle, struct lab_view name)
{
	struct routing *r = oracle->routing;
	void **slot = lab_map_slot(r->users, name);

	if (slot == NULL) {
		r->is_full = true;
		return NULL;
	}
	if (*slot == NULL)
		*slot = lab_new(r->heap, struct route_user);
	return *slot;
}

static struct presence *presence_of(struct routing *r, struct route_user *user, uint16_t backend)
{
	struct presence *p = user->present;

	while (p != NULL && p->backend != backend)
		p = p->next;
	if (p == NULL) {
		p = lab_new(r->heap, struct presence);
		*p = (struct presence){ .next = user->present, .backend = backend };
		user->present = p;
	}
	return p;
}

struct lab_view routing_zone_of(const struct oracle *oracle, struct lab_view backend)
{
	const struct routing *r = oracle->routing;
	uint16_t name = (uint16_t)(uintptr_t)lab_map_get(r->names, backend);

	return name == 0 || r->zones[name] == 0 ? LAB_VIEW("") : r->shown[r->zones[name]];
}

uint64_t routing_since(const struct routing *r, uint64_t time_ns)
{
	return LAB_MAX(time_ns, r->last_trouble_ns);
}

const struct oracle_routing *oracle_routing(const struct oracle *oracle)
{
	return &oracle->routing->measured;
}

/* ---- sessions: R1, R2, T1 ---- */

static void overlap_ended(
	struct oracle *oracle, struct route_user *user, struct lab_view name, uint64_t now_ns)
{
	struct routing *r = oracle->routing;
	uint64_t from = routing_since(r, user->overlap_ns);

	routing_measure(&r->measured.overlaps, now_ns - user->overlap_ns);
	if (now_ns - LAB_MIN(from, now_ns) > oracle->settings.overlap_max_ns)
		FOUND(oracle, user, SORT_OVERLAP, ORACLE_R(2), "R2 overlap too long", now_ns,
			"%.*s had sessions on two backends for %" PRIu64
			" ms after the last trouble; at most %" PRIu64 " ms",
			LAB_VIEW_ARG(name), (now_ns - from) / LAB_MSEC,
			oracle->settings.overlap_max_ns / LAB_MSEC);
}

static void session_started(struct oracle *oracle, const struct lab_event *event)
{
	struct routing *r = oracle->routing;
	struct lab_view name = routing_text(event, "user");
	struct route_user *user = user_of(oracle, name);
	uint16_t backend = routing_name(oracle, routing_text(event, "backend"));
	struct presence *p;

	if (user == NULL || backend == 0)
		return;
	r->zones[backend] = routing_name(oracle, routing_text(event, "site"));
	p = presence_of(r, user, backend);
	if (p->sessions++ == 0 && ++user->backends == 2) {
		user->overlap_ns = event->time_ns;
		if (!r->had_trouble && !routing_may_be_two(oracle, name))
			FOUND(oracle, user, SORT_OVERLAP, ORACLE_R(1), "R1 two backends",
				event->time_ns,
				"%.*s has sessions on %.*s and on another backend, and nothing "
				"had failed",
				LAB_VIEW_ARG(name), LAB_VIEW_ARG(r->shown[backend]));
	}
	routing_recovered(oracle, user, name, event->time_ns);
}

static void session_ended(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view name = routing_text(event, "user");
	struct route_user *user = user_of(oracle, name);
	uint16_t backend = routing_name(oracle, routing_text(event, "backend"));
	struct lab_view reason = routing_text(event, "reason");
	struct presence *p;

	if (user == NULL || backend == 0)
		return;
	p = presence_of(oracle->routing, user, backend);
	if (p->sessions == 0)
		return;
	if (--p->sessions == 0 && user->backends-- == 2)
		overlap_ended(oracle, user, name, event->time_ns);
	if (user->backends == 0 && lab_view_eq_cstr(reason, "crash"))
		routing_lost(oracle->routing, user, event->time_ns);
	if (!lab_view_eq_cstr(reason, "logout"))
		routing_unsettled(oracle->routing, user, event->time_ns);
}

/* ---- logins: R4, R5, T3 ---- */

static void login_succeeded(struct oracle *oracle, const struct lab_event *event)
{
	struct routing *r = oracle->routing;
	struct lab_view name = routing_text(event, "user");
	struct route_user *user = user_of(oracle, name);
	uint64_t took = routing_number(event, "duration_ns");

	r->logins++;
	r->slow_logins += took > oracle->settings.login_max_ns;
	routing_measure(&r->measured.logins, took);
	r->measured.logins_after_crash += r->had_crash;
	r->measured.referred_logins += routing_number(event, "referrals") > 0;
	routing_served_again(oracle, event);
	if (user == NULL)
		return;
	user->failing_ns = 0;
	if (routing_number(event, "hops") > 6)
		FOUND(oracle, user, SORT_LOGIN, ORACLE_R(4), "R4 too many hops", event->time_ns,
			"a login of %.*s took %" PRIu64 " hops", LAB_VIEW_ARG(name),
			routing_number(event, "hops"));
}

/* What may be another time (palomar 4.1, R5). */
static bool is_temporary(uint64_t code)
{
	return code == LAB_UNAVAILABLE || code == LAB_REFUSED || code == LAB_RESET ||
	       code == LAB_TIMEOUT || code == LAB_LIMIT;
}

/* LMTP and doveadm go nowhere twice (palomar 2.2): during two moves they may have to wait. */
static bool is_login(const struct lab_event *event)
{
	struct lab_view protocol = routing_text(event, "protocol");

	return !lab_view_eq_cstr(protocol, "lmtp") && !lab_view_eq_cstr(protocol, "doveadm");
}

static void login_failed(struct oracle *oracle, const struct lab_event *event)
{
	struct routing *r = oracle->routing;
	struct lab_view name = routing_text(event, "user"), why = routing_text(event, "error");
	struct route_user *user = user_of(oracle, name);

	r->measured.failed_logins++;
	if (user == NULL)
		return;
	if (!r->had_trouble && is_login(event) && !routing_is_full(oracle, event, why))
		FOUND(oracle, user, SORT_LOGIN, ORACLE_R(4), "R4 login failed without a cause",
			event->time_ns, "a login of %.*s failed, and nothing had: %.*s",
			LAB_VIEW_ARG(name), LAB_VIEW_ARG(why));
	routing_check_alone(oracle, event, user, is_login(event));
	if (!is_temporary(routing_number(event, "code")))
		FOUND(oracle, user, SORT_LOGIN, ORACLE_R(5), "R5 failure for good", event->time_ns,
			"a login of %.*s failed, and not just for now: %.*s", LAB_VIEW_ARG(name),
			LAB_VIEW_ARG(why));
	routing_unsettled(r, user, event->time_ns);
	if (user->failing_ns == 0)
		user->failing_ns = event->time_ns;
	if (event->time_ns - LAB_MIN(routing_since(r, user->failing_ns), event->time_ns) >
		routing_recovery_max(oracle, r->losses.zones_lost > 0))
		FOUND(oracle, user, SORT_LOGIN, ORACLE_R(5), "R5 nobody lets him in",
			event->time_ns, "%.*s could not log in for %" PRIu64 " ms: %.*s",
			LAB_VIEW_ARG(name), (event->time_ns - user->failing_ns) / LAB_MSEC,
			LAB_VIEW_ARG(why));
}

/* ---- user access: R3, R5 ---- */

/* One proxy names a backend, another one the load balancer of that backend's site. */
static void check_agreement(struct oracle *oracle, const struct lab_event *event,
	struct route_user *user, struct lab_view host)
{
	struct routing *r = oracle->routing;
	struct lab_view prefix = LAB_VIEW("lb-"), site = routing_text(event, "site");
	bool is_backend = !lab_view_starts_with(host, prefix);
	uint16_t backend = is_backend ? routing_name(oracle, host) : 0;
	uint16_t at = routing_name(oracle, is_backend ? site : lab_view_skip(host, prefix.len));

	if (user->was_accessed && (user->site != at || (backend != 0 && user->backend != 0 &&
							       user->backend != backend)))
		FOUND(oracle, user, SORT_ACCESS, ORACLE_R(3), "R3 proxies disagree", event->time_ns,
			"%.*s sends %.*s to %.*s, and another proxy to %.*s",
			LAB_VIEW_ARG(routing_text(event, "proxy")),
			LAB_VIEW_ARG(routing_text(event, "user")), LAB_VIEW_ARG(host),
			LAB_VIEW_ARG(r->shown[user->backend != 0 ? user->backend : user->site]));
	user->was_accessed = true;
	user->site = at;
	if (backend != 0)
		user->backend = backend;
}

static void user_accessed(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view name = routing_text(event, "user"), host = routing_text(event, "host");
	struct route_user *user = user_of(oracle, name);

	if (user == NULL)
		return;
	if (host.len > 0)
		check_agreement(oracle, event, user, host);
	else
		FOUND(oracle, user, SORT_ACCESS, ORACLE_R(5), "R5 nobody lets him in",
			event->time_ns, "after heal %.*s does not know where %.*s belongs: %.*s",
			LAB_VIEW_ARG(routing_text(event, "proxy")), LAB_VIEW_ARG(name),
			LAB_VIEW_ARG(routing_text(event, "error")));
}

/* ---- events ---- */

/* R1: without a failure sessions end when they are kicked, and a move waits for that. */
static void moved(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view name = routing_text(event, "user");

	if (!oracle->routing->had_trouble && routing_text(event, "error").len > 0)
		(void)oracle_found_online(oracle, ORACLE_R(1), "R1 moved with sessions left",
			event->time_ns, "%.*s counts as moved, though nothing had failed: %.*s",
			LAB_VIEW_ARG(name), LAB_VIEW_ARG(routing_text(event, "error")));
}

/* What an operator does to sessions, or lets be: a backend or site that goes, a move in which
 * nobody is kicked (palomar 2.5), one that has lost its patience (2.6). */
static bool costs_sessions(const struct lab_event *event)
{
	struct lab_view text = routing_text(event, "mailbox");

	if (event->id == LAB_EV_cluster_user_move_finished)
		return routing_text(event, "error").len > 0;
	return lab_view_eq_cstr(routing_text(event, "kind"), "operate") &&
	       lab_view_starts_with(text, LAB_VIEW("cluster ")) &&
	       (lab_view_find(text, LAB_VIEW(" --direct ")) != SIZE_MAX ||
		       lab_view_find(text, LAB_VIEW(" --status ")) != SIZE_MAX ||
		       lab_view_find(text, LAB_VIEW(" --name ")) != SIZE_MAX ||
		       lab_view_find(text, LAB_VIEW("user delete ")) != SIZE_MAX);
}

static void trouble(struct routing *r, const struct lab_event *event)
{
	uint64_t now_ns = event->time_ns;

	r->had_other_trouble |= !routing_is_of_controller(event);
	if (!r->had_trouble)
		r->first_trouble_ns = now_ns;
	r->had_trouble = true;
	r->last_trouble_ns = now_ns;
}

void routing_event(struct oracle *oracle, const struct lab_event *event)
{
	struct routing *r = oracle->routing;

	r->last_ns = event->time_ns;
	routing_order(oracle, event);
	routing_rows_event(oracle, event);
	routing_losses_event(oracle, event);
	if (event->id == LAB_EV_host_crashed || event->id == LAB_EV_host_started)
		routing_controller_event(oracle, event);
	switch ((int)event->id) {
	case LAB_EV_cluster_session_started:
		session_started(oracle, event);
		routing_placed(oracle, event);
		break;
	case LAB_EV_cluster_session_ended:
		session_ended(oracle, event);
		break;
	case LAB_EV_proxy_session_established:
		login_succeeded(oracle, event);
		break;
	case LAB_EV_proxy_session_finished:
		login_failed(oracle, event);
		break;
	case LAB_EV_cluster_user_accessed:
		user_accessed(oracle, event);
		break;
	case LAB_EV_metacache_user_clean_started:
		routing_cleans(oracle, event);
		break;
	case LAB_EV_cluster_user_move_finished:
		moved(oracle, event);
		/* fall through */
	case LAB_EV_operation_invoked:
		if (!costs_sessions(event))
			break;
		trouble(r, event);
		break;
	case LAB_EV_fault_injected:
	case LAB_EV_episode_started:
	case LAB_EV_episode_finished:
	case LAB_EV_host_crashed:
		r->had_crash |= event->id == LAB_EV_host_crashed;
		trouble(r, event);
		break;
	default:
		break;
	}
}

void routing_finish(struct oracle *oracle, const struct oracle_case *c)
{
	uint64_t now_ns = c->ended_ns;
	struct routing *r = oracle->routing;
	struct lab_map_iter iter = lab_map_iterate(r->users);
	struct lab_view name;
	void *value;

	while (lab_map_next(&iter, &name, &value)) {
		struct route_user *user = value;

		if (user->backends > 1)
			overlap_ended(oracle, user, name, now_ns);
	}
	if (r->logins >= SLOW_LOGINS_MIN && r->slow_logins * 100 > r->logins)
		(void)oracle_found_online(oracle, ORACLE_T(3), "T3 slow logins", now_ns,
			"%" PRIu64 " of %" PRIu64 " logins took more than %" PRIu64 " ms",
			r->slow_logins, r->logins, oracle->settings.login_max_ns / LAB_MSEC);
	routing_settled(r);
	routing_check_groups(oracle, c);
	routing_rows_finish(oracle, c);
	if (r->is_full)
		oracle_unknown(oracle, "too many users or backends to follow their sessions");
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * routing-changes.c - what GeoDB's rows of groups and users may become (palomar 4.1): R4, R6, R8,
 * R9.
 *
 * Nothing is said of a change that GeoDB's own troubles, or something that changed a moment before,
 * may explain: whoever writes has read before, and reading takes time.
 */
#include "sim/oracle/routing-rows.h"

#define SETTLED_NS (5 * LAB_SEC)       /* what is older is known to whoever writes */
#define TROUBLE_NS (20 * LAB_SEC)      /* a request that is tried again takes no longer */
#define ORDER_NS (2 * LAB_MINUTE)      /* an order has had its effect, or never will */
#define AHEAD_NS LAB_MINUTE            /* no clock is that far ahead by accident */
#define ORDER_FLIGHT_NS (40 * LAB_SEC) /* from an order to its row */

/* ---- what may explain a change ---- */

/* GeoDB did not answer, or its clients came and went, less than `ns` ago. */
static bool is_troubled(const struct oracle *oracle, uint64_t ns)
{
	const struct routing_rows *r = oracle->routing->rows;

	return r->had_trouble && r->now_ns < r->trouble_ns + ns;
}

/* It has been so for a while, and GeoDB answers: whoever writes knows it. */
static bool is_settled(const struct oracle *oracle, uint64_t since_ns)
{
	uint64_t now_ns = oracle->routing->rows->now_ns;

	return now_ns >= since_ns + SETTLED_NS && !is_troubled(oracle, TROUBLE_NS);
}

static bool is_recent(const struct oracle *oracle, const struct order_times *order, uint64_t ns)
{
	return order != NULL && order->last_ns + ns >= oracle->routing->rows->now_ns;
}

/* How long an order may take until its row is there. */
static uint64_t order_ns(const struct oracle *oracle)
{
	return is_troubled(oracle, ORDER_NS) ? ORDER_NS : 2 * SETTLED_NS;
}

/* Of all groups, or of this one: to there by the last order, or by one at the same time. */
static bool is_ordered(
	const struct oracle *oracle, const struct group_row *g, struct row_id to, uint64_t ns)
{
	struct lab_view host = routing_host_of(oracle, to), none = LAB_VIEW("");
	const struct order_times *order =
		routing_row_find(oracle, ROW_ORDER, routing_site_name(oracle, g->site), g->name);

	if (is_recent(oracle, routing_row_find(oracle, ROW_ORDER, none, none), ns))
		return true;
	return is_recent(oracle, order, ns) &&
	       (lab_view_eq(order->last_host, host) || is_troubled(oracle, ORDER_NS) ||
		       (order->count > 1 && order->last_ns < order->before_ns + SETTLED_NS));
}

static bool takes_anybody(const struct backend_row *backend, struct row_id site)
{
	return backend != NULL && backend->is_online && backend->has_load &&
	       is_same_id(backend->site, site);
}

/* ---- rules: of one change of a group ---- */

#define GROUP_TEXT(oracle, g) \
	LAB_VIEW_ARG(routing_site_name(oracle, (g)->site)), LAB_VIEW_ARG((g)->name)

/* R9: groups, and what they will fail over to, are given to who takes somebody. */
static void check_target(struct oracle *oracle, const struct group_row *g, struct row_id to)
{
	const struct backend_row *backend = routing_backend_of(oracle, to);

	if (backend == NULL || takes_anybody(backend, g->site) ||
		!is_settled(oracle, backend->since_ns))
		return;
	(void)oracle_found_online(oracle, ORACLE_R(9), "R9 group given to who takes nobody",
		oracle->routing->rows->now_ns,
		"group %.*s/%.*s is given to %.*s, which is out or has load factor 0",
		GROUP_TEXT(oracle, g), LAB_VIEW_ARG(backend->host));
}

/* R8: its backend is fine, and nobody has ordered a move. */
static void check_left(struct oracle *oracle, const struct group_row *g, struct row_id from)
{
	const struct backend_row *backend = routing_backend_of(oracle, from);

	if (backend == NULL || !backend->is_online || !is_settled(oracle, backend->since_ns) ||
		is_ordered(oracle, g, g->backend, order_ns(oracle)))
		return;
	(void)oracle_found_online(oracle, ORACLE_R(8), "R8 group moved that nobody ordered",
		oracle->routing->rows->now_ns, "group %.*s/%.*s leaves %.*s, which is online",
		GROUP_TEXT(oracle, g), LAB_VIEW_ARG(backend->host));
}

/* R6: who takes over was agreed on while all was well (palomar 2.2). */
static void check_agreed(
	struct oracle *oracle, const struct group_row *g, const struct group_row *old)
{
	const struct backend_row *from = routing_backend_of(oracle, old->backend);
	const struct backend_row *agreed = routing_backend_of(oracle, old->alt);

	if (from == NULL || from->is_online || is_same_id(g->backend, old->alt) ||
		!takes_anybody(agreed, g->site) || !is_settled(oracle, agreed->since_ns) ||
		is_ordered(oracle, g, g->backend, ORDER_FLIGHT_NS))
		return;
	(void)oracle_found_online(oracle, ORACLE_R(6), "R6 failed over past the agreed backend",
		oracle->routing->rows->now_ns,
		"group %.*s/%.*s goes from %.*s to %.*s, though %.*s was agreed on",
		GROUP_TEXT(oracle, g), LAB_VIEW_ARG(from->host),
		LAB_VIEW_ARG(routing_host_of(oracle, g->backend)), LAB_VIEW_ARG(agreed->host));
}

/* R6: a move that was ordered ends where it was ordered to, unless somebody has ordered anew. */
static void check_undone(
	struct oracle *oracle, const struct group_row *g, const struct group_row *old)
{
	const struct backend_row *to = routing_backend_of(oracle, old->alt);
	const struct order_times *order =
		routing_row_find(oracle, ROW_ORDER, routing_site_name(oracle, g->site), g->name);
	uint64_t flight_ns = is_troubled(oracle, ORDER_NS) ? ORDER_FLIGHT_NS : SETTLED_NS;
	uint64_t from_ns = old->moving_since_ns - LAB_MIN(old->moving_since_ns, flight_ns);
	bool is_anew = order != NULL && (order->last_ns >= old->moving_since_ns ||
						(order->count > 1 && order->before_ns >= from_ns));

	if (is_same_id(g->backend, old->alt) || !takes_anybody(to, g->site) || is_anew ||
		!is_settled(oracle, to->since_ns))
		return;
	(void)oracle_found_online(oracle, ORACLE_R(6), "R6 order undone",
		oracle->routing->rows->now_ns,
		"the move %.*s of group %.*s/%.*s to %.*s has ended, and the group is on %.*s",
		LAB_VIEW_ARG(old->moving), GROUP_TEXT(oracle, g), LAB_VIEW_ARG(to->host),
		LAB_VIEW_ARG(routing_host_of(oracle, g->backend)));
}

/* R6: what follows from a row is no newer than it has to be. A proxy's clock that is ahead would
 * win against all that is decided until the others' clocks have come as far. */
static void check_stamp(
	struct oracle *oracle, const struct group_row *g, const struct group_row *old)
{
	uint64_t now_ns = oracle->routing->rows->now_ns;
	int64_t latest_us = oracle->settings.epoch_us + (int64_t)((now_ns + AHEAD_NS) / LAB_USEC);

	if (g->stamp_us <= latest_us || old->stamp_us > latest_us)
		return;
	(void)oracle_found_online(oracle, ORACLE_R(6), "R6 stamped ahead of all clocks", now_ns,
		"group %.*s/%.*s goes to %.*s as of %" PRId64 " s from now", GROUP_TEXT(oracle, g),
		LAB_VIEW_ARG(routing_host_of(oracle, g->backend)),
		(g->stamp_us - latest_us + (int64_t)(AHEAD_NS / LAB_USEC)) / 1000000);
}

static bool is_move_ordered(const struct oracle *oracle, const struct group_row *g)
{
	struct lab_view site = routing_site_name(oracle, g->site), none = LAB_VIEW("");

	return is_recent(oracle, routing_row_find(oracle, ROW_ORDER, site, g->name),
		       order_ns(oracle)) ||
	       is_recent(oracle, routing_row_find(oracle, ROW_BALANCE, site, none),
		       order_ns(oracle)) ||
	       is_recent(oracle,
		       routing_row_find(
			       oracle, ROW_EVACUATION, routing_host_of(oracle, g->backend), none),
		       order_ns(oracle));
}

static void check_move(struct oracle *oracle, const struct group_row *g)
{
	uint64_t now_ns = oracle->routing->rows->now_ns;

	if (routing_row_find(oracle, ROW_MOVE, g->moving, g->name) != NULL)
		(void)oracle_found_online(oracle, ORACLE_R(6), "R6 finished move is back", now_ns,
			"the move %.*s of group %.*s/%.*s had ended, and goes on",
			LAB_VIEW_ARG(g->moving), GROUP_TEXT(oracle, g));
	else if (!is_move_ordered(oracle, g))
		(void)oracle_found_online(oracle, ORACLE_R(8), "R8 group moved that nobody ordered",
			now_ns, "group %.*s/%.*s begins to move from %.*s to %.*s",
			GROUP_TEXT(oracle, g), LAB_VIEW_ARG(routing_host_of(oracle, g->backend)),
			LAB_VIEW_ARG(routing_host_of(oracle, g->alt)));
}

void routing_check_change(
	struct oracle *oracle, const struct group_row *g, const struct group_row *old, bool is_new)
{
	bool has_left = !is_new && !is_same_id(g->backend, old->backend);
	bool has_ended = old->moving.len > 0 && !lab_view_eq(g->moving, old->moving);

	if (is_new || !is_same_id(g->alt, old->alt))
		check_target(oracle, g, g->alt);
	if (is_new || has_left)
		check_target(oracle, g, g->backend);
	if (has_left && old->moving.len == 0 && g->twice_ns != g->since_ns)
		check_left(oracle, g, old->backend);
	if (has_left) {
		check_agreed(oracle, g, old);
		check_stamp(oracle, g, old);
	}
	if (has_ended)
		check_undone(oracle, g, old);
	if (g->moving.len > 0 && !lab_view_eq(g->moving, old->moving))
		check_move(oracle, g);
}

/* R8: a site that is only not reached is none that is lost. */
void routing_check_site_left(struct oracle *oracle, struct lab_view name, struct row_id from)
{
	const struct site_row *site =
		routing_row_find(oracle, ROW_SITE, id_view(&from), LAB_VIEW(""));
	struct lab_view none = LAB_VIEW("");

	if (site == NULL || !site->is_online ||
		oracle->routing->rows->now_ns < site->since_ns + SETTLED_NS ||
		is_recent(oracle, routing_row_find(oracle, ROW_ORDER, none, none), ORDER_NS))
		return;
	(void)oracle_found_online(oracle, ORACLE_R(8), "R8 user left a site that is online",
		oracle->routing->rows->now_ns,
		"%.*s belongs to another site now, but %.*s is online, and nobody ordered it",
		LAB_VIEW_ARG(name), LAB_VIEW_ARG(site->name));
}

/* ---- R4: who accepts ---- */

/* Known to everybody: caches have expired since, and nothing fails. */
static bool is_known(const struct oracle *oracle, uint64_t since_ns)
{
	return oracle->routing->rows->now_ns >
	       since_ns + oracle->settings.cache_max_ns + SETTLED_NS;
}

static const struct user_row *user_of(const struct oracle *oracle, struct lab_view name)
{
	return routing_row_find(oracle, ROW_USER, name, LAB_VIEW(""));
}

/* NULL: he has none, or moves by himself. */
static const struct group_row *group_of(const struct oracle *oracle, struct lab_view name)
{
	const struct user_row *u = user_of(oracle, name);

	return u == NULL || u->is_moving
		       ? NULL
		       : routing_row_find(oracle, ROW_GROUP, id_view(&u->site), u->group);
}

/* It serves the group, or may. Another site's backends take users whose site is not reached, and
 * write nothing. */
static bool is_at(const struct backend_row *b, const struct group_row *g)
{
	return !is_same_id(b->site, g->site) || is_same_id(b->id, g->backend) ||
	       (g->moving.len > 0 && is_same_id(b->id, g->alt));
}

bool routing_is_settled_user(const struct oracle *oracle, struct lab_view user)
{
	const struct group_row *g = oracle->settings.geodb == NULL ? NULL : group_of(oracle, user);

	return g != NULL && g->moving.len == 0 && is_known(oracle, g->since_ns) &&
	       is_known(oracle, user_of(oracle, user)->since_ns);
}

void routing_check_session(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view name = routing_text(event, "user"), host = routing_text(event, "backend");
	const struct group_row *g = group_of(oracle, name);
	const struct backend_row *b = g == NULL ? NULL : routing_backend_named(oracle, host);

	if (b == NULL || is_at(b, g) || !is_known(oracle, user_of(oracle, name)->since_ns) ||
		!is_known(oracle, g->since_ns) ||
		!is_known(oracle, oracle->routing->last_trouble_ns))
		return;
	(void)oracle_found_online(oracle, ORACLE_R(4), "R4 accepted by the wrong backend",
		event->time_ns, "%.*s accepts %.*s, whose group %.*s/%.*s is on %.*s",
		LAB_VIEW_ARG(host), LAB_VIEW_ARG(name), GROUP_TEXT(oracle, g),
		LAB_VIEW_ARG(routing_host_of(oracle, g->backend)));
}

/* R2: who has a session where he does not belong is found there, and kicked (palomar 4.4, 5). */
void routing_check_stay(struct oracle *oracle, const struct lab_event *event)
{
	struct lab_view name = routing_text(event, "user"), host = routing_text(event, "backend");
	const struct group_row *g = group_of(oracle, name);
	const struct backend_row *b = g == NULL ? NULL : routing_backend_named(oracle, host);
	uint64_t since_ns;

	if (b == NULL || is_at(b, g))
		return;
	since_ns = LAB_MAX(user_of(oracle, name)->since_ns,
		LAB_MAX(g->since_ns, oracle->routing->last_trouble_ns));
	if (event->time_ns - LAB_MIN(event->time_ns, since_ns) <= oracle->settings.overlap_max_ns)
		return;
	(void)oracle_found_online(oracle, ORACLE_R(2), "R2 session stays at the wrong backend",
		event->time_ns,
		"a session of %.*s ends on %.*s, %" PRIu64 " ms after his group %.*s/%.*s was on "
		"%.*s",
		LAB_VIEW_ARG(name), LAB_VIEW_ARG(host), (event->time_ns - since_ns) / LAB_MSEC,
		GROUP_TEXT(oracle, g), LAB_VIEW_ARG(routing_host_of(oracle, g->backend)));
}

/* ---- R6: orders have an effect ---- */

static bool goes_to(const struct oracle *oracle, const struct group_step *step, struct lab_view to)
{
	return lab_view_eq(routing_host_of(oracle, step->backend), to) ||
	       (step->is_moving && lab_view_eq(routing_host_of(oracle, step->alt), to));
}

/* The group was on its way, or there, at some time from the order to its answer. */
static bool had_effect(const struct oracle *oracle, const struct group_row *g,
	const struct history_op *op, struct lab_view to)
{
	const struct routing_rows *r = oracle->routing->rows;
	bool is_there = false;

	for (size_t i = 0; i < r->step_count; i++) {
		const struct group_step *step = &r->steps[i];

		if (step->group != g)
			continue;
		if (step->time_ns > op->ended_ns + SETTLED_NS)
			break;
		is_there =
			goes_to(oracle, step, to) || (is_there && step->time_ns > op->invoked_ns);
	}
	return is_there;
}

/* Of two at once the later one wins. */
static bool is_contended(const struct history *history, const struct history_op *op)
{
	struct group_order order, other;

	(void)routing_read_order(op->target, &order);
	for (size_t i = 0; i < history_count(history); i++) {
		const struct history_op *o = history_op(history, i);

		if (o->id != op->id && o->kind == HISTORY_OPERATE &&
			routing_read_order(o->target, &other) &&
			lab_view_eq(other.group, order.group) &&
			lab_view_eq(other.site, order.site) && o->invoked_ns <= op->ended_ns &&
			(o->outcome == HISTORY_UNCERTAIN || o->ended_ns >= op->invoked_ns))
			return true;
	}
	return false;
}

static const struct group_row *group_named(
	struct oracle *oracle, struct lab_view site, struct lab_view group)
{
	struct lab_map_iter iter = lab_map_iterate(oracle->routing->rows->rows);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		const struct group_row *g = value;

		if (key.ptr[0] == ROW_GROUP && lab_view_eq(g->name, group) &&
			lab_view_eq(routing_site_name(oracle, g->site), site))
			return g;
	}
	return NULL;
}

void routing_rows_finish(struct oracle *oracle, const struct oracle_case *c)
{
	if (oracle->settings.geodb == NULL)
		return;
	routing_forced_finish(oracle);
	for (size_t i = 0; i < history_count(c->history); i++) {
		const struct history_op *op = history_op(c->history, i);
		struct group_order order;
		const struct group_row *g;

		if (op->kind != HISTORY_OPERATE || op->outcome != HISTORY_OK ||
			!routing_read_order(op->target, &order))
			continue;
		g = group_named(oracle, order.site, order.group);
		if (g == NULL || had_effect(oracle, g, op, order.host) ||
			is_contended(c->history, op))
			continue;
		(void)oracle_found_online(oracle, ORACLE_R(6), "R6 order without effect",
			op->ended_ns,
			"\"%.*s\" was answered with OK, and the group never was on its way",
			LAB_VIEW_ARG(op->target));
	}
}

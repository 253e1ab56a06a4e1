/* SPDX-License-Identifier: Apache-2.0
 *
 * routing-losses.c - how long it takes until all is well after a backend or a zone is lost, and
 * after a zone is back (palomar 4.1): T1 and T2, and what is only measured.
 */
#include "sim/oracle/routing-private.h"

/* ---- measures ---- */

uint64_t oracle_measure_limit(unsigned step)
{
	/* Twelve for each power of ten, in tenths of a millisecond. */
	static const uint64_t mantissa[] = { 10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82 };
	uint64_t limit = mantissa[step % LAB_COUNT_OF(mantissa)] * (LAB_MSEC / 10);

	for (size_t i = 0; i < step / LAB_COUNT_OF(mantissa); i++)
		limit *= 10;
	return limit;
}

void routing_measure(struct oracle_measure *m, uint64_t ns)
{
	unsigned at = 0;

	while (at + 1 < ORACLE_MEASURE_STEPS && ns > oracle_measure_limit(at))
		at++;
	m->counts[at]++;
	m->count++;
	m->max_ns = LAB_MAX(m->max_ns, ns);
}

/* ---- a user without a backend ---- */

/* That a whole site is out takes a decision more (T2). */
uint64_t routing_recovery_max(const struct oracle *oracle, bool of_zone)
{
	return oracle->settings.recovery_max_ns + (of_zone ? oracle->settings.site_decision_ns : 0);
}

/* A zone's hosts crash in the moment that its episode begins. */
void routing_lost(struct routing *r, struct route_user *user, uint64_t now_ns)
{
	user->lost_ns = now_ns;
	user->was_zone = r->losses.zones_lost > 0 && r->losses.lost_ns == now_ns;
}

void routing_recovered(
	struct oracle *oracle, struct route_user *user, struct lab_view name, uint64_t now_ns)
{
	struct routing *r = oracle->routing;
	uint64_t took = now_ns - user->lost_ns, from = routing_since(r, user->lost_ns);
	bool is_late;

	if (user->lost_ns == 0)
		return;
	is_late = now_ns - LAB_MIN(from, now_ns) > routing_recovery_max(oracle, user->was_zone);
	routing_measure(
		user->was_zone ? &r->measured.zone_recoveries : &r->measured.recoveries, took);
	user->lost_ns = 0;
	if (is_late && user->was_zone)
		FOUND(oracle, user, SORT_TIME, ORACLE_T(2), "T2 recovery too slow", now_ns,
			"%.*s was without a backend for %" PRIu64 " ms after his zone was lost",
			LAB_VIEW_ARG(name), took / LAB_MSEC);
	else if (is_late)
		FOUND(oracle, user, SORT_TIME, ORACLE_T(1), "T1 recovery too slow", now_ns,
			"%.*s was without a backend for %" PRIu64 " ms after his was lost",
			LAB_VIEW_ARG(name), took / LAB_MSEC);
}

/* ---- a zone that is back ---- */

void routing_unsettled(struct routing *r, struct route_user *user, uint64_t now_ns)
{
	if (r->losses.is_settling)
		user->unsettled_ns = now_ns;
}

void routing_settled(struct routing *r)
{
	struct lab_map_iter iter = lab_map_iterate(r->users);
	struct lab_view name;
	void *value;

	if (!r->losses.is_settling)
		return;
	while (lab_map_next(&iter, &name, &value)) {
		struct route_user *user = value;

		if (user->unsettled_ns != 0)
			routing_measure(
				&r->measured.settled, user->unsettled_ns - r->losses.back_ns);
		user->unsettled_ns = 0;
	}
	r->losses.is_settling = false;
}

void routing_served_again(struct oracle *oracle, const struct lab_event *event)
{
	struct routing_losses *l = &oracle->routing->losses;
	uint16_t proxy;

	if (l->back_ns == 0 || !lab_view_eq(routing_text(event, "site"), l->back))
		return;
	proxy = routing_name(oracle, routing_text(event, "proxy"));
	if (proxy == 0 || l->served_ns[proxy] >= l->back_ns)
		return;
	l->served_ns[proxy] = event->time_ns;
	routing_measure(&oracle->routing->measured.served_again, event->time_ns - l->back_ns);
}

void routing_losses_event(struct oracle *oracle, const struct lab_event *event)
{
	struct routing_losses *l = &oracle->routing->losses;
	struct lab_view prefix = LAB_VIEW("zone:"), zone;

	if (event->id == LAB_EV_host_crashed)
		routing_settled(oracle->routing);
	if ((event->id != LAB_EV_episode_started && event->id != LAB_EV_episode_finished) ||
		!lab_view_eq_cstr(routing_text(event, "kind"), "zone_lost"))
		return;
	zone = routing_text(event, "target");
	if (lab_view_starts_with(zone, prefix))
		zone = lab_view_skip(zone, prefix.len);
	if (event->id == LAB_EV_episode_started) {
		l->lost_ns = event->time_ns;
		l->zones_lost++;
		return;
	}
	routing_settled(oracle->routing);
	l->back = lab_arena_copy(oracle->texts, zone);
	l->back_ns = event->time_ns;
	l->is_settling = true;
}

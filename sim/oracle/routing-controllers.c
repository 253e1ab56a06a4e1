/* SPDX-License-Identifier: Apache-2.0
 *
 * routing-controllers.c - R10 of palomar 4.1: with all controllers dead logins and deliveries go
 * on, and what they decide is decided by nobody else.
 *
 * That a controller is not there is trouble for what it does, but no cause for a login to fail. Of
 * an event only the names of hosts count: "controller-SITE".
 */
#include "sim/oracle/routing-rows.h"

#define WRITTEN_NS (20 * LAB_SEC) /* what a controller has begun has been written, or never is */
#define ORDERED_NS (2 * LAB_MINUTE)

static bool is_controller(struct lab_view name)
{
	return lab_view_starts_with(name, LAB_VIEW("controller-"));
}

bool routing_is_of_controller(const struct lab_event *event)
{
	static const char *const fields[] = { "host", "target", "instance" };

	for (size_t i = 0; i < LAB_COUNT_OF(fields); i++) {
		if (is_controller(routing_text(event, fields[i])))
			return true;
	}
	return false;
}

static bool are_all_dead(const struct oracle *oracle, uint64_t ns)
{
	const struct routing *r = oracle->routing;

	return oracle->settings.site_count > 0 &&
	       r->controllers_dead >= oracle->settings.site_count &&
	       r->last_ns >= r->controllers_dead_ns + ns;
}

void routing_controller_event(struct oracle *oracle, const struct lab_event *event)
{
	struct routing *r = oracle->routing;
	struct lab_view host = routing_text(event, "host");
	uint16_t name;

	if (!is_controller(host))
		return;
	name = routing_name(oracle, host);
	if (name == 0 || r->is_dead[name] == (event->id == LAB_EV_host_crashed))
		return;
	r->is_dead[name] = event->id == LAB_EV_host_crashed;
	r->controllers_dead += r->is_dead[name] ? 1u : (unsigned)-1;
	r->controllers_dead_ns = event->time_ns;
}

/* Nothing but controllers has failed. Deliveries wait while the user moves. */
void routing_check_alone(struct oracle *oracle, const struct lab_event *event,
	struct route_user *user, bool is_login)
{
	const struct routing *r = oracle->routing;
	struct lab_view name = routing_text(event, "user"), why = routing_text(event, "error");

	if (!r->had_trouble || r->had_other_trouble || routing_is_full(oracle, event, why) ||
		(!is_login && !routing_is_settled_user(oracle, name)))
		return;
	FOUND(oracle, user, SORT_ALONE, ORACLE_R(10), "R10 failed without a controller",
		event->time_ns, "%s of %.*s failed, and nothing is missing but controllers: %.*s",
		is_login ? "a login" : "a delivery", LAB_VIEW_ARG(name), LAB_VIEW_ARG(why));
}

void routing_check_status(struct oracle *oracle, struct lab_view what)
{
	const struct order_times *order =
		routing_row_find(oracle, ROW_STATUS, LAB_VIEW(""), LAB_VIEW(""));
	uint64_t now_ns = oracle->routing->rows->now_ns;

	if (!are_all_dead(oracle, WRITTEN_NS) ||
		(order != NULL && order->last_ns + ORDERED_NS >= now_ns))
		return;
	(void)oracle_found_online(oracle, ORACLE_R(10), "R10 decided without a controller", now_ns,
		"the status of %.*s changes; all controllers are dead, and nobody has ordered it",
		LAB_VIEW_ARG(what));
}

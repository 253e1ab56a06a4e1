/* SPDX-License-Identifier: Apache-2.0
 *
 * R4, R6, R8 and R9 of palomar 4.1 by GeoDB's rows of groups and users.
 */
#include "sim/oracle/testing-metacache.h"

#include <stdio.h>

#define AZ1 "0b0e1ab0-0000-4000-8000-000000000101"
#define AZ2 "0b0e1ab0-0000-4000-8000-000000000102"
#define B1 "0b0e1ab0-0000-4000-8000-000000000201"
#define B2 "0b0e1ab0-0000-4000-8000-000000000202"
#define B3 "0b0e1ab0-0000-4000-8000-000000000203"

static void tell_end(void)
{
	t_tell_fiber(LAB_EV_operation_finished, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("kind", "operate"), LAB_F_CSTR("user", ""),
			LAB_F_U64("token", 0), LAB_F_CSTR("outcome", "ok") },
		4);
}

static void tell_of_write(const char *table, const char *columns)
{
	char subject[64];
	struct sim_access access = { .service = "cql",
		.instance = LAB_VIEW("cassandra-1"),
		.peer = LAB_VIEW("proxy-1"),
		.received_ns = t.now,
		.operation = LAB_VIEW("INSERT"),
		.request = lab_view_cstr(columns),
		.applied = true,
		.answered = true,
		.timestamp_us = 1 };

	(void)snprintf(subject, sizeof(subject), "geodb.%s", table);
	access.subject = lab_view_cstr(subject);
	oracle_access(t.oracle, &access);
}

/* Later than all before; then somebody looks. */
static void put(const char *table, const char *columns, const char *values)
{
	char text[700];

	(void)snprintf(text, sizeof(text),
		"insert into geodb.%s (%s) values (%s) using timestamp %d", table, columns, values,
		(int)t.sequence);
	t_execute(text);
	tell_of_write(table, columns);
	tell_end();
}

static void put_backend(const char *id, const char *host, const char *status, int load_factor)
{
	char values[200];

	(void)snprintf(values, sizeof(values), "%s, " AZ1 ", '%s', '%s', %d", id, host, status,
		load_factor);
	put("backends", "id, site_id, host, status, load_factor", values);
}

static void put_group(const char *backend, const char *alt, const char *moving)
{
	char values[300];

	(void)snprintf(
		values, sizeof(values), AZ1 ", 'default-1', %s, %s, '%s'", backend, alt, moving);
	put("user_groups", "site_id, name, backend_id, alt_backend_id, moving", values);
}

static void put_user(const char *site)
{
	char values[200];

	(void)snprintf(values, sizeof(values), "'" T_USER "', %s, 'default-1'", site);
	put("users", "username, site_id, group_name", values);
}

/* Two sites, three backends in the first one, and a group on backend-1 since a while. */
static void promise(void)
{
	t.settings.geodb_keyspace = LAB_VIEW("geodb");
	t.settings.overlap_max_ns = 100 * LAB_SEC;
	t.settings.recovery_max_ns = 180 * LAB_SEC;
	t.settings.login_max_ns = 30 * LAB_SEC;
	t.settings.cache_max_ns = 65 * LAB_SEC;
	t.settings.site_down_ns = 300 * LAB_SEC;
	t.settings.geodb = t.cql;
	t_restart();
	t_execute("create keyspace geodb with replication = { 'class': 'SimpleStrategy', "
		  "'replication_factor': 1 }; "
		  "create table geodb.sites (id uuid primary key, name text, status text); "
		  "create table geodb.backends (id uuid primary key, site_id uuid, host text, "
		  "status text, load_factor int); "
		  "create table geodb.user_groups (site_id uuid, name text, backend_id uuid, "
		  "alt_backend_id uuid, moving text, primary key ((site_id, name))); "
		  "create table geodb.users (username text primary key, site_id uuid, group_name "
		  "text, moving_group text)");
	put("sites", "id, name, status", AZ1 ", 'az1', 'online'");
	put("sites", "id, name, status", AZ2 ", 'az2', 'online'");
	put_backend(B1, "backend-1", "online", 100);
	put_backend(B2, "backend-2", "online", 100);
	put_backend(B3, "backend-3", "online", 100);
	put_user(AZ1);
	put_group(B1, B2, "");
	t.now += 10 * LAB_MINUTE;
}

static void operates(const char *command)
{
	t_tell_fiber(LAB_EV_operation_invoked, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("kind", "operate"), LAB_F_CSTR("user", ""),
			LAB_F_CSTR("mailbox", command), LAB_F_U64("token", 0) },
		4);
}

static void trouble(void)
{
	t_tell_fiber(LAB_EV_episode_started, 1, 0, NULL, 0);
}

static void begins(const char *backend)
{
	t_tell_fiber(LAB_EV_cluster_session_started, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("backend", backend), LAB_F_CSTR("protocol", "imap"),
			LAB_F_CSTR("reason", "") },
		4);
}

static void ends(const char *backend)
{
	t_tell_fiber(LAB_EV_cluster_session_ended, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("backend", backend), LAB_F_CSTR("protocol", "imap"),
			LAB_F_CSTR("reason", "logout") },
		4);
}

static void session(const char *backend)
{
	begins(backend);
	ends(backend);
}

/* ---- who is out ---- */

static void who_could_not_be_taken_out_is_in(void **state)
{
	const struct lab_field fields[] = { LAB_F_CSTR("site", "az1"),
		LAB_F_CSTR("host", "backend-1"), LAB_F_CSTR("status", "offline"),
		LAB_F_CSTR("reason", "") };

	(void)state;
	promise();
	trouble();
	/* It is told before it is written. */
	t_tell_fiber(LAB_EV_cluster_backend_check_finished, 0, 1, fields, LAB_COUNT_OF(fields));
	t.now += 200 * LAB_SEC;
	session("backend-1");
	put_backend(B1, "backend-1", "offline", 100);
	t.now += 99 * LAB_SEC;
	session("backend-1");
	t_passes();
	t.now += 2 * LAB_SEC;
	session("backend-1");
	(void)t_finds("R9 sent to a backend that is out");
}

/* ---- moves ---- */

static void a_move_that_was_ordered_passes(void **state)
{
	(void)state;
	promise();
	operates("cluster group move az1 default-1 backend-3");
	put_group(B1, B3, "backend-1:1");
	t.now += 20 * LAB_SEC;
	put_group(B3, B2, "");
	t.now += 10 * LAB_MINUTE;
	operates("cluster backend evacuate backend-3");
	put_group(B3, B1, "backend-3:2");
	put_group(B1, B2, "");
	t_passes();
}

static void one_that_nobody_ordered_is_found(void **state)
{
	(void)state;
	promise();
	operates("cluster backend evacuate backend-2");
	operates("cluster group move az1 default-1 backend-1");
	t.now += 11 * LAB_SEC;
	put_group(B1, B3, "backend-1:1");
	put_group(B3, B2, "");
	(void)t_finds("R8 group moved that nobody ordered");
}

static void nor_do_groups_leave_who_is_online(void **state)
{
	(void)state;
	promise();
	put_group(B2, B3, "");
	(void)t_finds("R8 group moved that nobody ordered");
}

static void a_direct_move_was_ordered(void **state)
{
	(void)state;
	promise();
	operates("cluster group move --direct az1 default-1 backend-3");
	put_group(B3, B2, "");
	t_passes();
}

static void what_is_over_stays_over(void **state)
{
	(void)state;
	promise();
	operates("cluster group move az1 default-1 backend-3");
	put_group(B1, B3, "backend-1:1");
	put_group(B3, B2, "");
	put_group(B3, B1, "backend-1:1");
	put_group(B1, B2, "");
	(void)t_finds("R6 finished move is back");
}

/* Their times come from the rows' versions, which may be ahead of all clocks. */
static void two_groups_may_have_moves_of_one_name(void **state)
{
	(void)state;
	promise();
	put("user_groups", "site_id, name, backend_id, alt_backend_id, moving",
		AZ1 ", 'default-2', " B1 ", " B2 ", ''");
	operates("cluster group move az1 default-2 backend-3");
	put("user_groups", "site_id, name, backend_id, alt_backend_id, moving",
		AZ1 ", 'default-2', " B1 ", " B3 ", 'backend-1:1'");
	put("user_groups", "site_id, name, backend_id, alt_backend_id, moving",
		AZ1 ", 'default-2', " B3 ", " B2 ", ''");
	operates("cluster group move az1 default-1 backend-3");
	put_group(B1, B3, "backend-1:1");
	put_group(B3, B2, "");
	t_passes();
}

static void an_order_holds(void **state)
{
	(void)state;
	promise();
	operates("cluster group move az1 default-1 backend-3");
	put_group(B1, B3, "backend-1:1");
	put_group(B1, B2, "");
	(void)t_finds("R6 order undone");
}

static void until_somebody_orders_anew(void **state)
{
	(void)state;
	promise();
	operates("cluster group move az1 default-1 backend-3");
	put_group(B1, B3, "backend-1:1");
	operates("cluster group move az1 default-1 backend-1");
	put_group(B1, B2, "");
	t_passes();
}

static void or_the_target_is_lost(void **state)
{
	(void)state;
	promise();
	operates("cluster group move az1 default-1 backend-3");
	put_group(B1, B3, "backend-1:1");
	put_backend(B3, "backend-3", "offline", 100);
	put_group(B1, B2, "");
	t_passes();
}

static void order_and_end(const char *command, bool has_effect)
{
	struct history_op op = {
		.kind = HISTORY_OPERATE, .target = lab_view_cstr(command), .invoked_ns = t.now
	};
	uint32_t id = history_invoke(t.history, &op);

	operates(command);
	if (has_effect)
		put_group(B1, B3, "backend-1:1");
	tell_end();
	op.outcome = HISTORY_OK;
	op.ended_ns = t.now;
	history_end(t.history, id, &op);
}

static void an_order_has_an_effect(void **state)
{
	(void)state;
	promise();
	order_and_end("cluster group move az1 default-1 backend-3", true);
	order_and_end("cluster group move az1 default-1 backend-3", false);
	order_and_end("cluster group move --direct az1 default-1 backend-1", false);
	put_group(B3, B2, "");
	t_passes();
}

static void one_that_has_none_is_found(void **state)
{
	(void)state;
	promise();
	order_and_end("cluster group move az1 default-1 backend-3", false);
	(void)t_finds("R6 order without effect");
}

/* ---- failing over ---- */

static void a_group_fails_over_to_who_was_agreed_on(void **state)
{
	(void)state;
	promise();
	put_backend(B1, "backend-1", "offline", 100);
	t.now += 20 * LAB_SEC;
	put_group(B2, B3, "");
	t_passes();
}

static void and_to_nobody_else(void **state)
{
	(void)state;
	promise();
	put_backend(B1, "backend-1", "offline", 100);
	t.now += 20 * LAB_SEC;
	put_group(B3, B2, "");
	(void)t_finds("R6 failed over past the agreed backend");
}

static void put_stamped(const char *backend, int64_t after_ns)
{
	char text[400];

	(void)snprintf(text, sizeof(text),
		"insert into geodb.user_groups (site_id, name, backend_id, alt_backend_id, moving) "
		"values (" AZ1 ", 'default-1', %s, " B3 ", '') using timestamp %" PRId64,
		backend, T_EPOCH_US + ((int64_t)t.now + after_ns) / 1000);
	t_execute(text);
	tell_of_write("user_groups", "backend_id");
	tell_end();
}

static void who_takes_over_is_not_of_the_future(void **state)
{
	(void)state;
	promise();
	put_backend(B1, "backend-1", "offline", 100);
	put_stamped(B2, (int64_t)LAB_SEC);
	t_passes();
	put_backend(B1, "backend-1", "online", 100);
	operates("cluster group move --direct az1 default-1 backend-1");
	put_stamped(B1, (int64_t)LAB_MINUTE * 60);
	(void)t_finds("R6 stamped ahead of all clocks");
}

static void unless_that_one_is_out_too(void **state)
{
	(void)state;
	promise();
	put_backend(B1, "backend-1", "offline", 100);
	put_backend(B2, "backend-2", "online", 0);
	t.now += 20 * LAB_SEC;
	put_group(B3, B3, "");
	t_passes();
}

static void groups_are_given_to_who_takes_them(void **state)
{
	(void)state;
	promise();
	put_backend(B1, "backend-1", "offline", 100);
	put_backend(B3, "backend-3", "online", 0);
	t.now += 6 * LAB_SEC;
	put_group(B2, B3, "");
	(void)t_finds("R9 group given to who takes nobody");
}

static void as_far_as_that_can_be_known(void **state)
{
	(void)state;
	promise();
	put_backend(B1, "backend-1", "offline", 100);
	put_backend(B3, "backend-3", "online", 0);
	t.now += 4 * LAB_SEC;
	put_group(B2, B3, "");
	t.now += LAB_MINUTE;
	put_backend(B2, "backend-2", "standby", 100);
	t.now += LAB_MINUTE;
	trouble();
	put_group(B3, B2, "");
	t_passes();
}

static void users_stay_at_a_site_that_is_online(void **state)
{
	(void)state;
	promise();
	put_user(AZ2);
	(void)t_finds("R8 user left a site that is online");
}

static void and_leave_one_that_is_not(void **state)
{
	(void)state;
	promise();
	put("sites", "id, name, status", AZ1 ", 'az1', 'offline'");
	t.now += LAB_MINUTE;
	put_user(AZ2);
	t.now += LAB_MINUTE;
	operates("cluster site recover az1 100");
	put_user(AZ1);
	t_passes();
}

/* ---- R10 ---- */

static void host_event(enum lab_event_id id, const char *name)
{
	t_tell_fiber(id, 7, 0, (const struct lab_field[]){ LAB_F_CSTR("host", name) }, 1);
}

static void fails_by(const char *protocol)
{
	t_tell_fiber(LAB_EV_proxy_session_finished, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER), LAB_F_U64("hops", 1),
			LAB_F_U64("duration_ns", 1), LAB_F_CODE("code", LAB_UNAVAILABLE),
			LAB_F_CSTR("error", "no"), LAB_F_CSTR("protocol", protocol) },
		6);
}

static void kill_controller(void)
{
	const struct lab_field fields[] = { LAB_F_CSTR("target", "controller-az1") };

	t_tell_fiber(LAB_EV_episode_started, 0, 0, fields, 1);
	host_event(LAB_EV_host_crashed, "controller-az1");
}

static void logins_go_on_without_controllers(void **state)
{
	(void)state;
	promise();
	kill_controller();
	session("backend-1");
	t_passes();
	host_event(LAB_EV_host_started, "controller-az1");
	fails_by("imap");
	(void)t_finds("R10 failed without a controller");
}

static void unless_something_else_is_broken(void **state)
{
	(void)state;
	promise();
	kill_controller();
	trouble();
	fails_by("imap");
	fails_by("lmtp");
	t_passes();
}

static void so_do_deliveries(void **state)
{
	(void)state;
	promise();
	kill_controller();
	fails_by("lmtp");
	(void)t_finds("R10 failed without a controller");
}

static void they_wait_for_moves(void **state)
{
	(void)state;
	promise();
	kill_controller();
	operates("cluster group move az1 default-1 backend-3");
	put_group(B1, B3, "backend-1:1");
	t.now += 90 * LAB_SEC;
	fails_by("lmtp");
	put_group(B3, B2, "");
	t.now += 60 * LAB_SEC;
	fails_by("lmtp");
	t_passes();
	t.now += 11 * LAB_SEC;
	fails_by("lmtp");
	(void)t_finds("R10 failed without a controller");
}

static void lose_controllers(void)
{
	static const struct oracle_site sites[] = { { { NULL, 0 }, 2 }, { { NULL, 0 }, 4 } };

	t.settings.sites = sites;
	t.settings.site_count = 2;
	promise();
	host_event(LAB_EV_host_crashed, "controller-az1");
	host_event(LAB_EV_host_crashed, "controller-az1");
	t.now += LAB_MINUTE;
	put_backend(B3, "backend-3", "offline", 100);
	host_event(LAB_EV_host_crashed, "controller-az2");
	t.now += 19 * LAB_SEC;
	put_backend(B3, "backend-3", "online", 100);
	operates("cluster backend update --status offline backend-2");
	t.now += LAB_MINUTE;
	put_backend(B2, "backend-2", "offline", 100);
	put_backend(B2, "backend-2", "offline", 0);
	t.now += 2 * LAB_MINUTE;
}

static void nobody_decides_for_dead_controllers(void **state)
{
	(void)state;
	lose_controllers();
	t_passes();
	put_backend(B3, "backend-3", "offline", 100);
	(void)t_finds("R10 decided without a controller");
}

static void nor_about_sites(void **state)
{
	(void)state;
	lose_controllers();
	put("sites", "id, name, status", AZ2 ", 'az2', 'offline'");
	(void)t_finds("R10 decided without a controller");
}

static void one_that_is_back_decides(void **state)
{
	(void)state;
	lose_controllers();
	host_event(LAB_EV_host_started, "controller-az2");
	put("sites", "id, name, status", AZ2 ", 'az2', 'offline'");
	put_backend(B3, "backend-3", "offline", 100);
	t_passes();
}

/* ---- new users ---- */

#define NEW_USER "new@example.com"

static void give_new_user(const char *site)
{
	char values[200];

	(void)snprintf(values, sizeof(values), "'" NEW_USER "', %s, 'default-7'", site);
	put("users", "username, site_id, group_name", values);
}

static void new_session(enum lab_event_id id, const char *backend)
{
	t_tell_fiber(id, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", NEW_USER),
			LAB_F_CSTR("backend", backend), LAB_F_CSTR("protocol", "imap"),
			LAB_F_CSTR("reason", "logout") },
		4);
}

static void is_on_two_backends(void)
{
	new_session(LAB_EV_cluster_session_started, "backend-9");
	new_session(LAB_EV_cluster_session_started, "backend-1");
	new_session(LAB_EV_cluster_session_ended, "backend-9");
	new_session(LAB_EV_cluster_session_ended, "backend-1");
}

static void two_proxies_may_give_away_a_new_user(void **state)
{
	(void)state;
	promise();
	give_new_user(AZ2);
	give_new_user(AZ1);
	is_on_two_backends();
	t.now += 99 * LAB_SEC;
	is_on_two_backends();
	t_passes();
}

static void until_everybody_has_heard(void **state)
{
	(void)state;
	promise();
	give_new_user(AZ2);
	give_new_user(AZ1);
	t.now += 101 * LAB_SEC;
	is_on_two_backends();
	(void)t_finds("R1 two backends");
}

static void one_that_was_given_once_is_on_one_backend(void **state)
{
	(void)state;
	promise();
	give_new_user(AZ1);
	is_on_two_backends();
	(void)t_finds("R1 two backends");
}

static void new_group(const char *backend)
{
	char values[300];

	(void)snprintf(values, sizeof(values), AZ1 ", 'default-7', %s, " B3 ", ''", backend);
	put("user_groups", "site_id, name, backend_id, alt_backend_id, moving", values);
}

static void the_same_of_a_new_group(void **state)
{
	(void)state;
	promise();
	give_new_user(AZ1);
	new_group(B1);
	new_group(B2);
	is_on_two_backends();
	t_passes();
}

/* ---- a third target ---- */

static void begins_at_two(const char *second, const char *third)
{
	begins(second);
	begins(third);
	ends(second);
	ends(third);
}

static void order_elsewhere(const char *to)
{
	promise();
	operates("cluster group move az1 default-1 backend-2");
	put_group(B1, B2, "backend-1:1");
	t.now += 2 * LAB_SEC;
	operates("cluster group move az1 default-1 backend-3");
	put_group(B1, to, "backend-1:2");
	begins_at_two("backend-2", "backend-3");
	put_group(to, B1, "");
}

static void a_move_that_is_ordered_elsewhere_has_two(void **state)
{
	(void)state;
	order_elsewhere(B3);
	t_passes();
	t.now += 101 * LAB_SEC;
	begins_at_two("backend-3", "backend-4");
	(void)t_finds("R1 two backends");
}

static void one_that_is_ordered_again_does_not(void **state)
{
	(void)state;
	order_elsewhere(B2);
	(void)t_finds("R1 two backends");
}

/* ---- sessions ---- */

static void sessions_are_where_the_group_is(void **state)
{
	(void)state;
	promise();
	session("backend-1");
	operates("cluster group move az1 default-1 backend-3");
	put_group(B1, B3, "backend-1:1");
	t.now += 2 * LAB_MINUTE;
	session("backend-3");
	put_group(B3, B2, "");
	t.now += 20 * LAB_SEC;
	session("backend-1");
	t_passes();
}

static void others_accept_nobody(void **state)
{
	(void)state;
	promise();
	begins("backend-2");
	(void)t_finds("R4 accepted by the wrong backend");
}

static void in_trouble_they_may(void **state)
{
	(void)state;
	promise();
	trouble();
	t.now += LAB_MINUTE;
	session("backend-2");
	t_passes();
}

static void a_loser_is_kicked_in_time(void **state)
{
	(void)state;
	promise();
	begins("backend-1");
	operates("cluster group move --direct az1 default-1 backend-3");
	put_group(B3, B2, "");
	t.now += 99 * LAB_SEC;
	ends("backend-1");
	t_passes();
}

static void or_is_found(void **state)
{
	(void)state;
	promise();
	begins("backend-1");
	operates("cluster group move --direct az1 default-1 backend-3");
	put_group(B3, B2, "");
	t.now += 101 * LAB_SEC;
	ends("backend-1");
	(void)t_finds("R2 session stays at the wrong backend");
}

static void a_move_that_was_called_off_stays_off(void **state)
{
	(void)state;
	promise();
	operates("cluster group move az1 default-1 backend-3");
	put_group(B1, B3, "backend-1:1");
	t.now += 6 * LAB_SEC;
	operates("cluster group move az1 default-1 backend-1");
	put_group(B1, B3, "");
	t_passes();
	put_group(B3, B2, "");
	(void)t_finds("R8 group moved that nobody ordered");
}

/* ---- controllers ---- */

static void controller(enum lab_event_id id, const char *host, const char *status)
{
	t_tell_fiber(id, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("site", "az1"), LAB_F_CSTR("host", host),
			LAB_F_CSTR("status", status), LAB_F_CSTR("reason", "") },
		4);
}

static void who_works_stays_in(void **state)
{
	(void)state;
	promise();
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "offline");
	(void)t_finds("R8 taken out without a cause");
}

static void who_an_operator_took_out_stays_out(void **state)
{
	(void)state;
	promise();
	trouble();
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "offline");
	operates("cluster backend update --status offline backend-1");
	t.now += LAB_MINUTE;
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "online");
	t_passes();
	operates("cluster backend update --status offline backend-1");
	t.now += LAB_MINUTE;
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "online");
	(void)t_finds("R8 operator overruled");
}

static void a_site_is_lost_in_minutes(void **state)
{
	(void)state;
	promise();
	trouble();
	t.now += 300 * LAB_SEC;
	controller(LAB_EV_cluster_site_check_finished, "az2", "offline");
	t_passes();
}

static void and_not_in_seconds(void **state)
{
	(void)state;
	promise();
	trouble();
	t.now += 200 * LAB_SEC;
	controller(LAB_EV_cluster_site_check_finished, "az2", "offline");
	(void)t_finds("R8 site taken out too soon");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(who_could_not_be_taken_out_is_in),
		t_test(a_move_that_was_ordered_passes),
		t_test(one_that_nobody_ordered_is_found),
		t_test(nor_do_groups_leave_who_is_online),
		t_test(a_direct_move_was_ordered),
		t_test(what_is_over_stays_over),
		t_test(two_groups_may_have_moves_of_one_name),
		t_test(an_order_holds),
		t_test(until_somebody_orders_anew),
		t_test(or_the_target_is_lost),
		t_test(an_order_has_an_effect),
		t_test(one_that_has_none_is_found),
		t_test(a_group_fails_over_to_who_was_agreed_on),
		t_test(and_to_nobody_else),
		t_test(who_takes_over_is_not_of_the_future),
		t_test(unless_that_one_is_out_too),
		t_test(groups_are_given_to_who_takes_them),
		t_test(as_far_as_that_can_be_known),
		t_test(users_stay_at_a_site_that_is_online),
		t_test(and_leave_one_that_is_not),
		t_test(logins_go_on_without_controllers),
		t_test(unless_something_else_is_broken),
		t_test(so_do_deliveries),
		t_test(they_wait_for_moves),
		t_test(nobody_decides_for_dead_controllers),
		t_test(nor_about_sites),
		t_test(one_that_is_back_decides),
		t_test(two_proxies_may_give_away_a_new_user),
		t_test(until_everybody_has_heard),
		t_test(one_that_was_given_once_is_on_one_backend),
		t_test(the_same_of_a_new_group),
		t_test(a_move_that_is_ordered_elsewhere_has_two),
		t_test(one_that_is_ordered_again_does_not),
		t_test(sessions_are_where_the_group_is),
		t_test(others_accept_nobody),
		t_test(in_trouble_they_may),
		t_test(a_loser_is_kicked_in_time),
		t_test(or_is_found),
		t_test(a_move_that_was_called_off_stays_off),
		t_test(who_works_stays_in),
		t_test(who_an_operator_took_out_stays_out),
		t_test(a_site_is_lost_in_minutes),
		t_test(and_not_in_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

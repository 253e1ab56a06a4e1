/* SPDX-License-Identifier: Apache-2.0
 *
 * R7 of palomar 4.1: whom a forced move takes, and how many.
 */
#include "sim/oracle/testing-metacache.h"

#include <stdio.h>

#define AZ1 "0b0e1ab0-0000-4000-8000-000000000101"
#define AZ2 "0b0e1ab0-0000-4000-8000-000000000102"
#define USERS 40u

static void put(const char *table, const char *columns, const char *values)
{
	char text[700], subject[64];
	struct sim_access access = { .service = "cql",
		.instance = LAB_VIEW("cassandra-1"),
		.peer = LAB_VIEW("proxy-1"),
		.received_ns = t.now,
		.operation = LAB_VIEW("INSERT"),
		.request = lab_view_cstr(columns),
		.applied = true,
		.answered = true,
		.timestamp_us = 1 };

	(void)snprintf(text, sizeof(text),
		"insert into geodb.%s (%s) values (%s) using timestamp %d", table, columns, values,
		(int)t.sequence);
	t_execute(text);
	(void)snprintf(subject, sizeof(subject), "geodb.%s", table);
	access.subject = lab_view_cstr(subject);
	oracle_access(t.oracle, &access);
	t_tell_fiber(LAB_EV_operation_finished, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("kind", "operate"), LAB_F_CSTR("user", ""),
			LAB_F_U64("token", 0), LAB_F_CSTR("outcome", "ok") },
		4);
}

static void share(const char *id, int pct)
{
	char values[300];

	(void)snprintf(values, sizeof(values), AZ1 ", '%s', %d, '" AZ2 "'", id, pct);
	put("sites", "id, force_move_id, force_move_pct, force_move_dest", values);
}

/* MD5("x:userN") of the first ten users, modulo 100; by other means than ours. */
static const unsigned hashes[] = { 42, 57, 62, 89, 97, 72, 33, 10, 24, 84 };

static const char *name_of(unsigned n)
{
	static char name[40];

	(void)snprintf(name, sizeof(name), "user%u", n);
	return name;
}

static void place(unsigned n, const char *site)
{
	char values[300];

	(void)snprintf(values, sizeof(values), "'%s', %s, 'default-1', '', " AZ1, name_of(n), site);
	put("users", "username, site_id, group_name, moving_group, home_site_id", values);
}

static void begins_to_move(unsigned n)
{
	char values[300];

	(void)snprintf(values, sizeof(values), "'%s', 'default-1'", name_of(n));
	put("users", "username, moving_group", values);
}

static void moves(unsigned n)
{
	begins_to_move(n);
	place(n, AZ2);
}

static void session(unsigned n, const char *site)
{
	const struct lab_field fields[] = { LAB_F_CSTR("user", name_of(n)),
		LAB_F_CSTR("backend", site[2] == '1' ? "backend-1" : "backend-2"),
		LAB_F_CSTR("site", site), LAB_F_CSTR("protocol", "imap"),
		LAB_F_CSTR("reason", "logout") };

	t_tell_fiber(LAB_EV_cluster_session_started, 0, 1, fields, LAB_COUNT_OF(fields));
	t_tell_fiber(LAB_EV_cluster_session_ended, 0, 1, fields, LAB_COUNT_OF(fields));
}

/* Two sites, and all users in the first one. */
static void promise(void)
{
	t.settings.geodb_keyspace = LAB_VIEW("geodb");
	t.settings.overlap_max_ns = 100 * LAB_SEC;
	t.settings.recovery_max_ns = 180 * LAB_SEC;
	t.settings.login_max_ns = 30 * LAB_SEC;
	t.settings.cache_max_ns = 65 * LAB_SEC;
	t.settings.geodb = t.cql;
	t_restart();
	t_execute("create keyspace geodb with replication = { 'class': 'SimpleStrategy', "
		  "'replication_factor': 1 }; "
		  "create table geodb.sites (id uuid primary key, name text, status text, "
		  "force_move_id text, force_move_pct int, force_move_dest text, recover_id text, "
		  "recover_pct int); "
		  "create table geodb.backends (id uuid primary key, site_id uuid, host text, "
		  "status text, load_factor int); "
		  "create table geodb.user_groups (site_id uuid, name text, backend_id uuid, "
		  "alt_backend_id uuid, moving text, primary key ((site_id, name))); "
		  "create table geodb.users (username text primary key, site_id uuid, group_name "
		  "text, moving_group text, home_site_id uuid)");
	put("sites", "id, name, status", AZ1 ", 'az1', 'online'");
	put("sites", "id, name, status", AZ2 ", 'az2', 'online'");
	for (unsigned n = 0; n < USERS; n++)
		place(n, AZ1);
	t.now += 10 * LAB_MINUTE;
}

static void operates(const char *command)
{
	t_tell_fiber(LAB_EV_operation_invoked, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("kind", "operate"), LAB_F_CSTR("user", ""),
			LAB_F_CSTR("mailbox", command), LAB_F_U64("token", 0) },
		4);
}

/* ---- nobody else ---- */

static void whom_the_share_hits_moves(void **state)
{
	(void)state;
	promise();
	share("x", 50);
	for (unsigned n = 0; n < LAB_COUNT_OF(hashes); n++) {
		if (hashes[n] < 50)
			moves(n);
	}
	t_passes();
}

static void whom_it_does_not_stays(void **state)
{
	unsigned n = 0;

	(void)state;
	promise();
	while (hashes[n] < 50)
		n++;
	share("x", (int)hashes[n]);
	t.now += LAB_MINUTE;
	moves(n);
	(void)t_finds("R7 moved beyond the share");
}

static void a_moment_ago_it_did(void **state)
{
	(void)state;
	promise();
	share("x", (int)hashes[0] + 1);
	t.now += LAB_MINUTE;
	share("x", 0);
	moves(0);
	t_passes();
}

static void nobody_is_given_back(void **state)
{
	(void)state;
	promise();
	share("x", 100);
	moves(0);
	t.now += LAB_MINUTE;
	share("x", 100);
	begins_to_move(0);
	(void)t_finds("R7 moved beyond the share");
}

static void but_is_called_home(void **state)
{
	(void)state;
	promise();
	share("x", 100);
	moves(0);
	t.now += LAB_MINUTE;
	share("x", 0);
	put("sites", "id, recover_id, recover_pct", AZ1 ", 'x', 100");
	begins_to_move(0);
	t_passes();
}

static void operators_move_whom_they_like(void **state)
{
	(void)state;
	promise();
	operates("cluster user move --site az2 user0 default-1");
	begins_to_move(0);
	t.now += 3 * LAB_MINUTE;
	put("sites", "id, status", AZ1 ", 'evacuate'");
	moves(1);
	t_passes();
}

/* ---- all of them ---- */

static void whom_it_hits_leaves_at_his_next_login(void **state)
{
	(void)state;
	promise();
	share("x", 100);
	t.now += 71 * LAB_SEC;
	session(0, "az2");
	begins_to_move(1);
	session(1, "az1");
	t_passes();
	session(0, "az1");
	(void)t_finds("R7 left behind");
}

static void once_everybody_knows(void **state)
{
	(void)state;
	promise();
	share("x", 100);
	t.now += 69 * LAB_SEC;
	session(0, "az1");
	t_tell_fiber(LAB_EV_episode_started, 1, 0, NULL, 0);
	t.now += 69 * LAB_SEC;
	session(0, "az1");
	t_passes();
}

static void and_there_is_somewhere_to_go(void **state)
{
	(void)state;
	promise();
	share("x", 100);
	put("sites", "id, status", AZ2 ", 'offline'");
	t.now += 3 * LAB_MINUTE;
	session(0, "az1");
	t_passes();
}

/* ---- as many as that ---- */

/* Of forty users, of whom so many have moved while the share hit all of them. */
static void some_have_moved(unsigned moved, int pct)
{
	promise();
	share("x", 100);
	for (unsigned n = 0; n < moved; n++)
		moves(n);
	share("x", pct);
	t.now += 3 * LAB_MINUTE;
	for (unsigned n = 0; n < USERS; n++)
		session(n, n < moved ? "az2" : "elsewhere");
}

static void a_share_is_about_that_large(void **state)
{
	(void)state;
	some_have_moved(25, 50);
	t_passes();
}

static void and_not_much_larger(void **state)
{
	(void)state;
	some_have_moved(37, 50);
	(void)t_finds("R7 share is out of bounds");
}

static void nor_smaller_before_it_changes(void **state)
{
	(void)state;
	some_have_moved(3, 50);
	share("x", 0);
	(void)t_finds("R7 share is out of bounds");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		t_test(whom_the_share_hits_moves),
		t_test(whom_it_does_not_stays),
		t_test(a_moment_ago_it_did),
		t_test(nobody_is_given_back),
		t_test(but_is_called_home),
		t_test(operators_move_whom_they_like),
		t_test(whom_it_hits_leaves_at_his_next_login),
		t_test(once_everybody_knows),
		t_test(and_there_is_somewhere_to_go),
		t_test(a_share_is_about_that_large),
		t_test(and_not_much_larger),
		t_test(nor_smaller_before_it_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

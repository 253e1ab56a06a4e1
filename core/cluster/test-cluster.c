/* SPDX-License-Identifier: Apache-2.0
 *
 * Proxies and backends of two sites on one GeoDB: who is served where, what caches and outages do,
 * and that nobody is turned away for good.
 */
#include "core/cluster/testing/palomar.h"

static void operations_of(struct palomar *p, unsigned statements, unsigned line)
{
	if (p->geo->statements != statements)
		fail_msg("%u statements instead of %u, line %u", p->geo->statements, statements,
			line);
}
#define STATEMENTS(n) operations_of(p, n, __LINE__)

static int served(struct palomar *p, unsigned proxy, const char *user)
{
	int node = palomar_login(p, proxy, user, CLUSTER_IMAP);

	if (node >= 0)
		palomar_logout(p, (unsigned)node, user);
	return node;
}

PALOMAR(a_new_user_is_assigned_once_and_for_all_protocols)
{
	struct cluster_user user;
	struct cluster_group group;
	int node = palomar_login(p, PROXY_1, "Bob@Example.com", CLUSTER_IMAP);

	assert_true(node >= B1 && node <= B3);
	assert_int_equal(p->hops, 1);
	assert_true(palomar_user(p, "bob@example.com", &user));
	assert_true(cluster_id_eq(user.site_id, geo_id(SITE_1)));
	assert_true(cluster_id_eq(user.failover_site_id, geo_id(SITE_2)));
	assert_true(lab_view_eq_cstr(user.group_name, "default-1"));
	assert_true(palomar_group(p, SITE_1, "default-1", &group));
	assert_int_equal(palomar_node_of(group.backend_id), node);
	assert_true(palomar_node_of(group.alt_backend_id) >= B1 &&
		    palomar_node_of(group.alt_backend_id) != node);
	/* R3: every proxy of every site says the same. */
	for (int how = 0; how < CLUSTER_PROTOCOL_COUNT; how++) {
		for (unsigned proxy = PROXY_1; proxy <= PROXY_3; proxy++) {
			assert_int_equal(palomar_login(p, proxy, "bob@example.com",
						 (enum cluster_protocol)how),
				node);
			assert_int_equal(p->hops, proxy == PROXY_3 ? 2 : 1);
		}
	}
	assert_int_equal(palomar_sessions(p, (unsigned)node, "bob@example.com"),
		3 * CLUSTER_PROTOCOL_COUNT + 1);
	assert_int_equal(p->overlaps, 0);
}

PALOMAR(a_cached_login_asks_nobody)
{
	(void)served(p, PROXY_1, "bob");
	p->geo->statements = 0;
	(void)served(p, PROXY_1, "bob");
	STATEMENTS(0);
	/* Group and view after 5 s, on the proxy and on the backend; the user after 60 s. */
	palomar_sleep(p, 6 * LAB_SEC);
	(void)served(p, PROXY_1, "bob");
	STATEMENTS(2 * (3 + 1));
	palomar_sleep(p, LAB_MINUTE);
	(void)served(p, PROXY_1, "bob");
	STATEMENTS(2 * (3 + 1) + 2 * (3 + 1 + 1));
}

/* ---- L8 ---- */

PALOMAR(when_a_backend_is_offline_all_proxies_agree_on_the_next)
{
	struct cluster_group before, after;
	int node = served(p, PROXY_1, "bob"), next;

	(void)served(p, PROXY_2, "bob");
	assert_true(palomar_group(p, SITE_1, "default-1", &before));
	palomar_backend_status(p, (unsigned)node, CLUSTER_OFFLINE);
	palomar_crash(p, (unsigned)node, true);
	palomar_sleep(p, 6 * LAB_SEC);
	next = served(p, PROXY_2, "bob");
	assert_int_equal(next, palomar_node_of(before.alt_backend_id));
	for (unsigned proxy = PROXY_1; proxy <= PROXY_3; proxy++)
		assert_int_equal(served(p, proxy, "bob"), next);
	assert_true(palomar_group(p, SITE_1, "default-1", &after));
	assert_int_equal(palomar_node_of(after.backend_id), next);
	assert_int_equal(after.version_us, before.version_us + 1);
	/* It comes back: nobody returns by himself. */
	palomar_backend_status(p, (unsigned)node, CLUSTER_ONLINE);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(served(p, PROXY_1, "bob"), next);
}

PALOMAR(with_all_backends_offline_logins_fail_for_the_time_being)
{
	int node = served(p, PROXY_1, "bob");

	for (unsigned i = B1; i <= B3; i++)
		palomar_backend_status(p, i, CLUSTER_OFFLINE);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(served(p, PROXY_1, "bob"), -1);
	assert_int_equal(p->err.code, LAB_UNAVAILABLE);
	assert_int_equal(served(p, PROXY_3, "bob"), -1);
	palomar_backend_status(p, (unsigned)node, CLUSTER_ONLINE);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(served(p, PROXY_1, "bob"), node);
}

/* F11: the swap may or may not have happened. */
PALOMAR(an_uncertain_swap_is_made_again)
{
	int node = served(p, PROXY_1, "bob"), next;
	struct cluster_group group;

	palomar_backend_status(p, (unsigned)node, CLUSTER_STANDBY);
	palomar_sleep(p, 6 * LAB_SEC);
	p->geo->fault = (struct geo_fault){ .point = "cql.write",
		.table = "user_groups",
		.fault = { .kind = SIM_FAULT_ALTER_REPLY, .status = 0x1100 },
		.left = 20 };
	assert_int_equal(served(p, PROXY_1, "bob"), -1);
	assert_true(p->geo->fault.fired > 0);
	p->geo->fault = (struct geo_fault){ 0 };
	assert_true(palomar_group(p, SITE_1, "default-1", &group));
	next = served(p, PROXY_1, "bob");
	assert_int_equal(next, palomar_node_of(group.backend_id));
	assert_true(next != node);
	assert_int_equal(served(p, PROXY_2, "bob"), next);
}

/* ---- caches ---- */

/* R4: a proxy that knows nothing of what has happened for hours. */
PALOMAR(an_arbitrarily_stale_proxy_makes_detours_only)
{
	int node = served(p, PROXY_1, "bob"), now;
	struct cluster_group group;

	palomar_freeze(p, PROXY_1, true);
	for (unsigned round = 0; round < 6; round++) {
		unsigned to = B1 + round % 3;

		(void)palomar_group_move(p, "default-1", to, true);
		palomar_sleep(p, 30 * LAB_MINUTE);
		now = palomar_login(p, PROXY_1, "bob", CLUSTER_IMAP);
		assert_int_equal(now, (int)to);
		assert_true(p->hops <= 2);
		palomar_logout(p, to, "bob");
	}
	/* It believes in a backend that is gone: nothing to be refused by. */
	palomar_freeze(p, PROXY_1, false);
	(void)palomar_group_move(p, "default-1", (unsigned)node, true);
	palomar_sleep(p, LAB_MINUTE);
	assert_int_equal(served(p, PROXY_1, "bob"), node);
	palomar_freeze(p, PROXY_1, true);
	palomar_backend_status(p, (unsigned)node, CLUSTER_OFFLINE);
	palomar_sleep(p, LAB_MINUTE);
	now = served(p, PROXY_2, "bob");
	palomar_backend_status(p, (unsigned)node, CLUSTER_ONLINE);
	palomar_sleep(p, LAB_MINUTE);
	/* That backend is back and says that bob is another's; the proxy changes nothing. */
	assert_int_equal(served(p, PROXY_1, "bob"), now);
	assert_true(palomar_group(p, SITE_1, "default-1", &group));
	assert_int_equal(palomar_node_of(group.backend_id), now);
}

PALOMAR(nobody_is_accepted_where_he_does_not_belong)
{
	int node = served(p, PROXY_1, "bob");

	for (unsigned i = B1; i <= B3; i++) {
		assert_int_equal(palomar_login_at(p, i, "bob"), node);
		assert_int_equal(palomar_sessions(p, i, "bob"), i == (unsigned)node ? 1 : 0);
	}
	/* b9 is of the other site: it refers to the door of bob's. */
	assert_int_equal(palomar_login_at(p, B9, "bob"), PROXY_1);
}

/* "--direct": the supported way to have a user on two backends (palomar 2.5). */
PALOMAR(the_loser_kicks_whom_another_serves)
{
	int node = palomar_login(p, PROXY_1, "bob", CLUSTER_IMAP);
	unsigned to = node == B1 ? B2 : B1;

	assert_int_equal(palomar_group_move(p, "default-1", to, true), 0);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(palomar_login(p, PROXY_1, "bob", CLUSTER_IMAP), (int)to);
	assert_int_equal(p->overlaps, 1);
	assert_int_equal(palomar_recheck(p, (unsigned)node), 1);
	palomar_sleep(p, LAB_SEC);
	assert_int_equal(palomar_backends_of(p, "bob"), 1);
	assert_int_equal(p->nodes[node].kicks, 1);
	assert_int_equal(palomar_recheck(p, to), 0);
	/* Or as soon as somebody comes to the wrong one. */
	assert_int_equal(palomar_group_move(p, "default-1", (unsigned)node, true), 0);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(palomar_login_at(p, to, "bob"), node);
	palomar_sleep(p, LAB_SEC);
	assert_int_equal(palomar_sessions(p, to, "bob"), 0);
}

/* ---- F6 ---- */

struct racer {
	struct node *node;
	struct cluster_place place;
	struct lab_error err;
	int status;
	bool done;
};

static void race(void *arg)
{
	struct racer *r = arg;

	r->status = cluster_lookup(
		r->node->cluster, LAB_VIEW("new"), false, r->node->geo->arena, &r->place, &r->err);
	r->done = true;
}

static void race_of_two(struct palomar *p, int64_t skew_us, bool expect_same)
{
	struct racer racers[2] = { { .node = &p->nodes[PROXY_1] }, { .node = &p->nodes[PROXY_2] } };
	int first, second;

	world_clock_offset(p->nodes[PROXY_2].geo->host, skew_us);
	for (size_t i = 0; i < 2; i++)
		geo_on(racers[i].node->geo, race, &racers[i]);
	for (size_t i = 0; i < 2; i++) {
		geo_wait(p->here, &racers[i].done, LAB_MINUTE);
		geo_must(&racers[i].err, racers[i].status, 0);
	}
	if (expect_same)
		assert_true(lab_view_eq(racers[0].place.host, racers[1].place.host));
	/* Whatever each of them said: backends correct it, and all agree in the end. */
	first = served(p, PROXY_1, "new");
	second = served(p, PROXY_2, "new");
	assert_true(first >= B1);
	palomar_sleep(p, 2 * LAB_MINUTE);
	assert_int_equal(served(p, PROXY_1, "new"), served(p, PROXY_2, "new"));
	assert_int_equal(served(p, PROXY_3, "new"), served(p, PROXY_2, "new"));
	assert_int_equal(first, second);
}

PALOMAR(two_proxies_that_assign_by_hash_agree_at_once)
{
	race_of_two(p, 2000000, true);
}

static void adversarial(struct palomar *p, bool read_back)
{
	p->policy = (struct cluster_policy){ CLUSTER_ASSIGN_RANDOM, 50 };
	p->read_back = read_back;
	for (unsigned i = 0; i < NODES; i++) {
		palomar_close(p, i);
		palomar_open(p, i);
	}
}

PALOMAR(two_proxies_that_assign_at_random_agree_in_the_end)
{
	adversarial(p, true);
	race_of_two(p, -2000000, false);
}

PALOMAR(random_assignment_without_reading_back_is_corrected_by_backends)
{
	adversarial(p, false);
	race_of_two(p, 2000000, false);
}

/* ---- GeoDB ---- */

static void all_nodes(struct palomar *p, void (*fn)(struct cqlemu *, size_t, uint64_t), size_t n)
{
	for (size_t i = 0; i < n; i++)
		fn(p->geo->emu, i, world_now(p->geo->world));
}

PALOMAR(without_geodb_cached_users_go_on_and_others_wait)
{
	int node = served(p, PROXY_1, "bob");

	all_nodes(p, cqlemu_node_stop, 2);
	assert_int_equal(served(p, PROXY_1, "bob"), node);
	assert_int_equal(served(p, PROXY_1, "new"), -1);
	assert_int_equal(p->err.code, LAB_UNAVAILABLE);
	/* F5: what a backend has read within the hour is good enough to accept. */
	palomar_sleep(p, 10 * LAB_MINUTE);
	assert_int_equal(palomar_login_at(p, (unsigned)node, "bob"), node);
	assert_int_equal(palomar_sessions(p, (unsigned)node, "bob"), 1);
	assert_int_equal(palomar_recheck(p, (unsigned)node), 0);
	/* A proxy's cache has expired, and nobody is told that he does not exist. */
	assert_int_equal(served(p, PROXY_1, "bob"), -1);
	palomar_sleep(p, 60 * LAB_MINUTE);
	assert_int_equal(palomar_login_at(p, (unsigned)node, "bob"), -1);
	all_nodes(p, cqlemu_node_start, 2);
	palomar_sleep(p, 2 * LAB_MINUTE);
	assert_int_equal(served(p, PROXY_1, "bob"), node);
	assert_true(served(p, PROXY_1, "new") >= B1);
}

/* ---- sites ---- */

PALOMAR(a_site_that_is_lost_fails_over_and_gets_nobody_back_by_itself)
{
	struct cluster_user user;
	int node = served(p, PROXY_1, "bob");

	assert_true(node >= B1 && node <= B3);
	palomar_site_status(p, SITE_1, CLUSTER_OFFLINE);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(served(p, PROXY_3, "bob"), B9);
	assert_true(palomar_user(p, "bob", &user));
	assert_true(cluster_id_eq(user.site_id, geo_id(SITE_2)));
	assert_true(cluster_id_eq(user.home_site_id, geo_id(SITE_1)));
	/* The lost site's proxies live, and send whom they still get. */
	assert_int_equal(served(p, PROXY_1, "bob"), B9);
	palomar_site_status(p, SITE_1, CLUSTER_ONLINE);
	palomar_sleep(p, 2 * LAB_MINUTE);
	assert_int_equal(served(p, PROXY_1, "bob"), B9);
	assert_int_equal(served(p, PROXY_3, "bob"), B9);
}

/* R4 between sites: a proxy that is hours behind, and one that is not, in front of one another. */
PALOMAR(two_proxies_do_not_send_a_user_to_and_fro)
{
	int node = served(p, PROXY_1, "bob"), now;

	palomar_site_status(p, SITE_1, CLUSTER_OFFLINE);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(served(p, PROXY_1, "bob"), B9);
	palomar_site_status(p, SITE_1, CLUSTER_ONLINE);
	palomar_sleep(p, 6 * LAB_SEC);
	palomar_freeze(p, PROXY_1, true);
	geo_must(&p->err, palomar_user_move(p, "bob", "az1", "default-1"), 0);
	palomar_sleep(p, 61 * LAB_SEC);
	for (int how = 0; how < CLUSTER_PROTOCOL_COUNT; how++) {
		now = palomar_login(p, PROXY_1, "bob", (enum cluster_protocol)how);
		if (now != node)
			fail_msg("protocol %d: %d, %s", how, now, p->err.message);
		assert_true(p->hops <= 3);
	}
	assert_int_equal(palomar_backends_of(p, "bob"), 1);
}

/* The other way round: the door that is knocked at is the stale one. */
PALOMAR(a_stale_proxy_of_the_right_site_does_not_send_back)
{
	int node = served(p, PROXY_3, "bob");

	assert_int_equal(node, B9);
	palomar_freeze(p, PROXY_3, true);
	geo_must(&p->err, palomar_user_move(p, "bob", "az1", "default-1"), 0);
	palomar_sleep(p, 61 * LAB_SEC);
	node = served(p, PROXY_1, "bob");
	assert_true(node >= B1 && node <= B3);
	palomar_freeze(p, PROXY_3, false);
	assert_int_equal(served(p, PROXY_3, "bob"), node);
	palomar_freeze(p, PROXY_3, true);
	geo_must(&p->err, palomar_user_move(p, "bob", "az2", "default-1"), 0);
	palomar_sleep(p, 61 * LAB_SEC);
	assert_int_equal(served(p, PROXY_1, "bob"), B9);
	assert_int_equal(palomar_login(p, PROXY_3, "bob", CLUSTER_LMTP), B9);
}

/* F14: one direction only, and nothing is decided by it. */
PALOMAR(a_site_that_is_not_reached_from_here_is_gone_round)
{
	struct cluster_reachability row = {
		.src_site_id = geo_id(SITE_2), .dest_site_id = geo_id(SITE_1), .reachable = 0
	};
	struct cluster_user before, after;
	int node = served(p, PROXY_1, "bob");

	assert_true(palomar_user(p, "bob", &before));
	geo_must(&p->err,
		geodb_put(p->here->geodb, CLUSTER_TABLE_REACHABILITY, &row, CLUSTER_ALL_COLUMNS, 0,
			&p->err),
		0);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(served(p, PROXY_3, "bob"), B9);
	assert_int_equal(served(p, PROXY_1, "bob"), node);
	assert_true(palomar_user(p, "bob", &after));
	assert_int_equal(before.version_us, after.version_us);
	/* Who was served there meanwhile goes home when it is over. */
	assert_int_equal(palomar_login(p, PROXY_3, "bob", CLUSTER_IMAP), B9);
	row.reachable = 1;
	geo_must(&p->err,
		geodb_put(p->here->geodb, CLUSTER_TABLE_REACHABILITY, &row, CLUSTER_ALL_COLUMNS, 0,
			&p->err),
		0);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(palomar_recheck(p, B9), 1);
	palomar_sleep(p, LAB_SEC);
	assert_int_equal(palomar_sessions(p, B9, "bob"), 0);
	assert_int_equal(served(p, PROXY_3, "bob"), node);
}

/* F21 */
PALOMAR(a_host_that_geodb_does_not_know_serves_nobody)
{
	const struct cluster_site renamed = { .id = geo_id(SITE_1), .name = LAB_VIEW("zone-a") };
	int node = served(p, PROXY_1, "bob");

	geo_must(&p->err,
		geodb_put(p->here->geodb, CLUSTER_TABLE_SITE, &renamed, SITE_COLUMN(name), 0,
			&p->err),
		0);
	palomar_sleep(p, 6 * LAB_SEC);
	assert_int_equal(served(p, PROXY_1, "bob"), -1);
	assert_non_null(strstr(p->err.message, "cluster_local_site is not a site in GeoDB"));
	assert_int_equal(palomar_login_at(p, (unsigned)node, "bob"), -1);
}

PALOMAR(names_that_are_none_are_refused)
{
	struct cluster_place place;

	assert_int_equal(cluster_lookup(p->nodes[PROXY_1].cluster, LAB_VIEW(""), false,
				 p->here->arena, &place, &p->err),
		-1);
	assert_int_equal(p->err.code, LAB_INVALID);
	assert_false(p->err.retryable);
}

PALOMAR(refresh_forgets_what_was_cached)
{
	(void)served(p, PROXY_1, "bob");
	p->geo->statements = 0;
	cluster_refresh(p->nodes[PROXY_1].cluster);
	(void)served(p, PROXY_1, "bob");
	STATEMENTS(5);
}

static void count_in_proxy(void *arg)
{
	struct node *proxy = arg;

	for (unsigned i = 0; i < 5; i++)
		cluster_dest_count(proxy->cluster, LAB_VIEW("b1"), i < 2);
	cluster_dest_count(proxy->cluster, LAB_VIEW("b2"), true);
	geo_must(
		&proxy->palomar->err, cluster_stats_flush(proxy->cluster, &proxy->palomar->err), 0);
	/* Nothing has been counted since: no row is written over. */
	geo_must(
		&proxy->palomar->err, cluster_stats_flush(proxy->cluster, &proxy->palomar->err), 0);
}

PALOMAR(proxies_tell_what_came_of_connections)
{
	struct cluster_stats keys = { .site_id = geo_id(SITE_1) }, *rows;
	size_t count;

	for (unsigned i = PROXY_1; i <= PROXY_2; i++)
		geo_call(p->here, p->nodes[i].geo, count_in_proxy, &p->nodes[i]);
	geo_must(&p->err,
		geodb_list(p->here->geodb, CLUSTER_TABLE_STATS, &keys, 1, p->here->arena, &rows,
			&count, &p->err),
		0);
	assert_int_equal(count, 4);
	for (size_t i = 0; i < count; i++) {
		bool is_first = lab_view_eq_cstr(rows[i].dest, "b1");

		assert_true(lab_view_eq_cstr(rows[i].proxy, i % 2 == 0 ? "proxy-1" : "proxy-2"));
		assert_int_equal(rows[i].success, is_first ? 2 : 1);
		assert_int_equal(rows[i].failure, is_first ? 3 : 0);
		assert_int_equal(rows[i].window_start % 10000, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_user_is_assigned_once_and_for_all_protocols),
		cmocka_unit_test(a_cached_login_asks_nobody),
		cmocka_unit_test(when_a_backend_is_offline_all_proxies_agree_on_the_next),
		cmocka_unit_test(with_all_backends_offline_logins_fail_for_the_time_being),
		cmocka_unit_test(an_uncertain_swap_is_made_again),
		cmocka_unit_test(an_arbitrarily_stale_proxy_makes_detours_only),
		cmocka_unit_test(nobody_is_accepted_where_he_does_not_belong),
		cmocka_unit_test(the_loser_kicks_whom_another_serves),
		cmocka_unit_test(two_proxies_that_assign_by_hash_agree_at_once),
		cmocka_unit_test(two_proxies_that_assign_at_random_agree_in_the_end),
		cmocka_unit_test(random_assignment_without_reading_back_is_corrected_by_backends),
		cmocka_unit_test(without_geodb_cached_users_go_on_and_others_wait),
		cmocka_unit_test(a_site_that_is_lost_fails_over_and_gets_nobody_back_by_itself),
		cmocka_unit_test(two_proxies_do_not_send_a_user_to_and_fro),
		cmocka_unit_test(a_stale_proxy_of_the_right_site_does_not_send_back),
		cmocka_unit_test(a_site_that_is_not_reached_from_here_is_gone_round),
		cmocka_unit_test(a_host_that_geodb_does_not_know_serves_nobody),
		cmocka_unit_test(names_that_are_none_are_refused),
		cmocka_unit_test(refresh_forgets_what_was_cached),
		cmocka_unit_test(proxies_tell_what_came_of_connections),
	};
	return cmocka_run_group_tests_name("cluster", tests, NULL, NULL);
}

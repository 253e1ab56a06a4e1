/* SPDX-License-Identifier: Apache-2.0
 *
 * R1 to R5, T1, T3 of palomar 4.1: where sessions are, and how logins go.
 */
#include "sim/oracle/testing-metacache.h"

static void session(enum lab_event_id id, const char *backend, const char *reason)
{
	t_tell_fiber(id, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("backend", backend), LAB_F_CSTR("site", "az1"),
			LAB_F_CSTR("protocol", "imap"), LAB_F_CSTR("reason", reason) },
		5);
}

static void starts(const char *backend)
{
	session(LAB_EV_cluster_session_started, backend, "");
}

static void ends(const char *backend, const char *reason)
{
	session(LAB_EV_cluster_session_ended, backend, reason);
}

static void login_by(const char *protocol, enum lab_code code, uint64_t hops, uint64_t took_ns)
{
	t_tell_fiber(
		code == LAB_OK ? LAB_EV_proxy_session_established : LAB_EV_proxy_session_finished,
		0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER), LAB_F_U64("hops", hops),
			LAB_F_U64("duration_ns", took_ns), LAB_F_CODE("code", code),
			LAB_F_CSTR("error", code == LAB_OK ? "" : "no"),
			LAB_F_CSTR("protocol", protocol) },
		6);
}

static void login(enum lab_code code, uint64_t hops, uint64_t took_ns)
{
	login_by("lmtp", code, hops, took_ns);
}

static void access_by(const char *proxy, const char *site, const char *host)
{
	t_tell_fiber(LAB_EV_cluster_user_accessed, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER), LAB_F_CSTR("proxy", proxy),
			LAB_F_CSTR("site", site), LAB_F_CSTR("host", host),
			LAB_F_CSTR("error", host[0] == '\0' ? "no" : "") },
		5);
}

static void trouble(void)
{
	t_tell_fiber(LAB_EV_fault_injected, 1, 0, NULL, 0);
}

static void promise(void)
{
	t.settings.geodb_keyspace = LAB_VIEW("geodb");
	t.settings.overlap_max_ns = 100 * LAB_SEC;
	t.settings.recovery_max_ns = 180 * LAB_SEC;
	t.settings.login_max_ns = 30 * LAB_SEC;
	t_restart();
	t_execute("create keyspace geodb with replication = { 'class': 'SimpleStrategy', "
		  "'replication_factor': 1 }; create table geodb.user_groups (site_id uuid, name "
		  "text, moving text, primary key ((site_id, name)))");
}

static void one_backend_after_the_other_passes(void **state)
{
	(void)state;
	promise();
	starts("backend-1");
	starts("backend-1");
	ends("backend-1", "logout");
	ends("backend-1", "logout");
	starts("backend-2");
	ends("backend-2", "logout");
	login(LAB_OK, 6, LAB_SEC);
	login(LAB_UNAVAILABLE, 1, LAB_SEC);
	t_passes();
}

static void two_backends_at_once_without_a_cause(void **state)
{
	(void)state;
	promise();
	starts("backend-1");
	starts("backend-2");
	ends("backend-1", "logout");
	(void)t_finds("R1 two backends");
}

static void after_a_fault_they_may_be_two_for_a_while(void **state)
{
	(void)state;
	promise();
	trouble();
	starts("backend-1");
	starts("backend-2");
	t.now += 99 * LAB_SEC;
	ends("backend-1", "kicked");
	t_passes();
	assert_int_equal(oracle_routing(t.oracle)->overlaps.count, 1);
}

static void but_not_for_longer(void **state)
{
	(void)state;
	promise();
	trouble();
	starts("backend-1");
	starts("backend-2");
	t.now += 101 * LAB_SEC;
	ends("backend-1", "kicked");
	(void)t_finds("R2 overlap too long");
}

static void nor_until_the_end(void **state)
{
	(void)state;
	promise();
	starts("backend-1");
	trouble();
	starts("backend-2");
	t.now += 200 * LAB_SEC;
	(void)t_finds("R2 overlap too long");
}

static void while_faults_go_on_nothing_is_promised(void **state)
{
	(void)state;
	promise();
	trouble();
	starts("backend-1");
	starts("backend-2");
	t.now += 150 * LAB_SEC;
	trouble();
	t.now += 90 * LAB_SEC;
	ends("backend-2", "logout");
	t_passes();
}

static void proxies_of_two_sites_agree(void **state)
{
	(void)state;
	promise();
	access_by("proxy-1", "az1", "backend-1");
	access_by("proxy-2", "az1", "backend-1");
	access_by("proxy-3", "az2", "lb-az1");
	t_passes();
}

static void two_backends_are_no_agreement(void **state)
{
	(void)state;
	promise();
	access_by("proxy-1", "az1", "backend-1");
	access_by("proxy-3", "az2", "lb-az1");
	access_by("proxy-2", "az1", "backend-2");
	(void)t_finds("R3 proxies disagree");
}

static void nor_is_each_others_site(void **state)
{
	(void)state;
	promise();
	access_by("proxy-1", "az1", "lb-az2");
	access_by("proxy-3", "az2", "lb-az1");
	(void)t_finds("R3 proxies disagree");
}

static void who_knows_nothing_lets_nobody_in(void **state)
{
	(void)state;
	promise();
	access_by("proxy-1", "az1", "backend-1");
	access_by("proxy-2", "az1", "");
	(void)t_finds("R5 nobody lets him in");
}

static void seven_hops_are_too_many(void **state)
{
	(void)state;
	promise();
	login(LAB_OK, 7, LAB_SEC);
	(void)t_finds("R4 too many hops");
}

static void no_user_is_unknown_for_good(void **state)
{
	(void)state;
	promise();
	trouble();
	login(LAB_NOT_FOUND, 1, LAB_SEC);
	(void)t_finds("R5 failure for good");
}

static void a_login_that_fails_has_a_cause(void **state)
{
	(void)state;
	promise();
	login_by("lmtp", LAB_LIMIT, 2, LAB_SEC);
	t_passes();
	login_by("imap", LAB_LIMIT, 2, LAB_SEC);
	(void)t_finds("R4 login failed without a cause");
}

static void moved_to(const char *error)
{
	t_tell_fiber(LAB_EV_cluster_user_move_finished, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("dest_host", "backend-2"), LAB_F_CSTR("error", error) },
		3);
}

static void sessions_end_before_a_user_has_moved(void **state)
{
	(void)state;
	promise();
	moved_to("");
	trouble();
	moved_to("timed out: sessions are left");
	t_passes();
}

static void or_something_has_failed(void **state)
{
	(void)state;
	promise();
	moved_to("timed out: sessions are left");
	(void)t_finds("R1 moved with sessions left");
}

static void logins_that_keep_failing(void **state)
{
	(void)state;
	promise();
	for (unsigned i = 0; i < 5; i++) {
		login(LAB_TIMEOUT, 1, LAB_SEC);
		t.now += 50 * LAB_SEC;
	}
	(void)t_finds("R5 nobody lets him in");
}

static void until_one_succeeds(void **state)
{
	(void)state;
	promise();
	for (unsigned i = 0; i < 5; i++) {
		login(i == 2 ? LAB_OK : LAB_TIMEOUT, 1, LAB_SEC);
		t.now += 50 * LAB_SEC;
	}
	t_passes();
}

static void a_lost_backend_is_replaced_in_time(void **state)
{
	(void)state;
	promise();
	for (unsigned i = 0; i < 2; i++) {
		starts("backend-1");
		ends("backend-1", i == 0 ? "crash" : "logout");
		t.now += (i == 0 ? 170 : 1000) * LAB_SEC;
	}
	starts("backend-2");
	t_passes();
	assert_int_equal(oracle_routing(t.oracle)->recoveries.count, 1);
	assert_true(oracle_routing(t.oracle)->recoveries.max_ns >= 170 * LAB_SEC);
}

static void or_too_late(void **state)
{
	(void)state;
	promise();
	starts("backend-1");
	trouble();
	ends("backend-1", "crash");
	t.now += 190 * LAB_SEC;
	starts("backend-2");
	(void)t_finds("T1 recovery too slow");
}

static void zone(enum lab_event_id id, const char *target)
{
	t_tell_fiber(id, 0, 1,
		(const struct lab_field[]){
			LAB_F_CSTR("kind", "zone_lost"), LAB_F_CSTR("target", target) },
		2);
}

static void lose_with_its_zone(uint64_t for_ns)
{
	t.settings.site_decision_ns = 60 * LAB_SEC;
	promise();
	starts("backend-1");
	t.now += LAB_SEC;
	zone(LAB_EV_episode_started, "zone:az1");
	t.now -= LAB_MSEC;
	ends("backend-1", "crash");
	t.now += for_ns;
	starts("backend-2");
	ends("backend-2", "logout");
}

static void a_lost_zone_takes_a_decision_more(void **state)
{
	(void)state;
	lose_with_its_zone(230 * LAB_SEC);
	t_passes();
	assert_int_equal(oracle_routing(t.oracle)->zone_recoveries.count, 1);
	assert_int_equal(oracle_routing(t.oracle)->recoveries.count, 0);
	assert_int_equal(oracle_routing(t.oracle)->zone_recovery_max_ns, 240 * LAB_SEC);
}

static void nor_does_a_lost_zone_for_ever(void **state)
{
	(void)state;
	lose_with_its_zone(250 * LAB_SEC);
	(void)t_finds("T2 recovery too slow");
}

static void served_by(const char *proxy, const char *site)
{
	t_tell_fiber(LAB_EV_proxy_session_established, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER), LAB_F_CSTR("proxy", proxy),
			LAB_F_CSTR("site", site), LAB_F_U64("hops", 2), LAB_F_U64("referrals", 1),
			LAB_F_U64("duration_ns", LAB_MSEC), LAB_F_CODE("code", LAB_OK) },
		7);
}

static void a_zone_that_is_back_is_measured(void **state)
{
	const struct oracle_routing *r;

	(void)state;
	lose_with_its_zone(LAB_MINUTE);
	login(LAB_TIMEOUT, 1, LAB_SEC);
	zone(LAB_EV_episode_finished, "zone:az1");
	served_by("proxy-2", "az2");
	t.now += 5 * LAB_SEC;
	served_by("proxy-1", "az1");
	t.now += 5 * LAB_SEC;
	login(LAB_TIMEOUT, 1, LAB_SEC);
	served_by("proxy-1", "az1");
	t_passes();
	r = oracle_routing(t.oracle);
	assert_int_equal(r->referred_logins, 3);
	assert_int_equal(r->served_again.count, 1);
	assert_true(r->served_again.max_ns >= 5 * LAB_SEC && r->served_again.max_ns < 6 * LAB_SEC);
	assert_int_equal(r->settled.count, 1);
	assert_true(r->settled.max_ns >= 10 * LAB_SEC && r->settled.max_ns < 11 * LAB_SEC);
}

static void one_slow_login_of_a_hundred_passes(void **state)
{
	(void)state;
	promise();
	for (unsigned i = 0; i < 200; i++)
		login(LAB_OK, 1, i < 2 ? 31 * LAB_SEC : LAB_SEC);
	t_passes();
}

static void three_of_two_hundred_do_not(void **state)
{
	(void)state;
	promise();
	for (unsigned i = 0; i < 200; i++)
		login(LAB_OK, 1, i < 3 ? 31 * LAB_SEC : LAB_SEC);
	(void)t_finds("T3 slow logins");
}

static void controller(enum lab_event_id id, const char *host, const char *status, const char *why)
{
	t_tell_fiber(id, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("site", "az1"), LAB_F_CSTR("host", host),
			LAB_F_CSTR("status", status), LAB_F_CSTR("reason", why) },
		4);
}

static void operates(const char *command)
{
	t_tell_fiber(LAB_EV_operation_invoked, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("kind", "operate"), LAB_F_CSTR("user", ""),
			LAB_F_CSTR("mailbox", command), LAB_F_U64("token", 0) },
		4);
}

static void a_move_that_ended_passes(void **state)
{
	(void)state;
	promise();
	t_execute("insert into geodb.user_groups (site_id, name, moving) values "
		  "(6ba7b810-9dad-11d1-80b4-00c04fd430c8, 'default-1', '')");
	t_passes();
}

static void one_that_never_does_is_found(void **state)
{
	(void)state;
	promise();
	t_execute("insert into geodb.user_groups (site_id, name, moving) values "
		  "(6ba7b810-9dad-11d1-80b4-00c04fd430c8, 'default-1', 'backend-1:77')");
	(void)t_finds("R6 move never ended");
}

static void one_group_an_interval_is_balanced(void **state)
{
	(void)state;
	t.settings.balance_min_ns = 60 * LAB_MINUTE;
	promise();
	controller(LAB_EV_cluster_group_balanced, "backend-1", "", "");
	t.now += 60 * LAB_MINUTE;
	controller(LAB_EV_cluster_group_balanced, "backend-1", "", "");
	t_passes();
	t.now += 59 * LAB_MINUTE;
	controller(LAB_EV_cluster_group_balanced, "backend-2", "", "");
	(void)t_finds("R8 too many groups moved");
}

static void a_backend_is_not_out_again_at_once(void **state)
{
	(void)state;
	promise();
	trouble();
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "offline", "");
	controller(LAB_EV_cluster_backend_check_finished, "backend-2", "offline", "");
	t.now += 30 * LAB_SEC;
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "online", "");
	t.now += 30 * LAB_SEC;
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "offline", "");
	t.now += 10 * LAB_SEC;
	/* The write had failed. */
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "offline", "");
	t_passes();
	t.now += 20 * LAB_SEC;
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "online", "");
	t.now += 10 * LAB_SEC;
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "offline", "");
	(void)t_finds("R8 taken out again too soon");
}

static void refused(const char *why)
{
	t_tell_fiber(LAB_EV_proxy_session_finished, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER), LAB_F_U64("hops", 1),
			LAB_F_U64("duration_ns", 1), LAB_F_CODE("code", LAB_UNAVAILABLE),
			LAB_F_CSTR("error", why), LAB_F_CSTR("protocol", "imap") },
		6);
}

static void full(void)
{
	t.settings.metacache_max_bytes = 1;
	promise();
	t_start(1);
	t_tell_fiber(LAB_EV_metacache_user_clean_started, 1, 1, NULL, 0);
	t.now += 50 * LAB_SEC;
	refused("backend-1: metacache is full");
}

static void a_full_metacache_lets_nobody_in(void **state)
{
	(void)state;
	full();
	t_passes();
	refused("backend-2: metacache is full");
	(void)t_finds("R4 login failed without a cause");
}

static void while_it_is_cleaned(void **state)
{
	(void)state;
	full();
	t.now += 11 * LAB_SEC;
	refused("backend-1: metacache is full");
	(void)t_finds("R4 login failed without a cause");
}

static void nobody_new_comes_to_who_is_out(void **state)
{
	(void)state;
	promise();
	operates("cluster backend update --status offline backend-1");
	t.now += 90 * LAB_SEC;
	starts("backend-1");
	ends("backend-1", "logout");
	t.now += 20 * LAB_SEC;
	operates("cluster backend update --status online backend-1");
	t.now += 200 * LAB_SEC;
	starts("backend-1");
	ends("backend-1", "logout");
	trouble();
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "offline", "dryrun");
	t.now += 200 * LAB_SEC;
	starts("backend-1");
	ends("backend-1", "logout");
	t_passes();
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "offline", "");
	t.now += 200 * LAB_SEC;
	starts("backend-1");
	(void)t_finds("R9 sent to a backend that is out");
}

static void half_of_a_site_is_out_at_most(void **state)
{
	static const struct oracle_site sites[] = { { { NULL, 0 }, 2 }, { { NULL, 0 }, 4 } };
	struct oracle_site named[] = { sites[0], sites[1] };

	(void)state;
	named[0].name = LAB_VIEW("az2");
	named[1].name = LAB_VIEW("az1");
	t.settings.sites = named;
	t.settings.site_count = 2;
	promise();
	trouble();
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "offline", "");
	controller(LAB_EV_cluster_backend_check_finished, "backend-2", "offline", "");
	controller(LAB_EV_cluster_backend_check_finished, "backend-3", "offline", "dryrun");
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "online", "");
	operates("cluster backend update --status online backend-2");
	controller(LAB_EV_cluster_backend_check_finished, "backend-3", "offline", "");
	controller(LAB_EV_cluster_backend_check_finished, "backend-4", "offline", "");
	t_passes();
	t.now += LAB_MINUTE;
	controller(LAB_EV_cluster_backend_check_finished, "backend-1", "offline", "");
	(void)t_finds("R8 most of a site is out");
}

static void operated(const char *outcome)
{
	t_tell_fiber(LAB_EV_operation_finished, 0, 1,
		(const struct lab_field[]){ LAB_F_CSTR("kind", "operate"), LAB_F_CSTR("user", ""),
			LAB_F_U64("token", 0), LAB_F_CSTR("outcome", outcome),
			LAB_F_CODE("code", LAB_OK) },
		5);
}

static void rename_and_log_in(const char *command, const char *outcome, uint64_t after_ns)
{
	operates(command);
	operated(outcome);
	t.now += after_ns;
	starts("backend-1");
	ends("backend-1", "logout");
}

static void who_has_another_name_serves_nobody(void **state)
{
	const char *site = "cluster site update --name az9 az1";

	(void)state;
	t.settings.name_max_ns = 15 * LAB_SEC;
	promise();
	rename_and_log_in(site, "fail", LAB_MINUTE);
	rename_and_log_in("cluster backend update --name backend-9 backend-2", "ok", LAB_MINUTE);
	rename_and_log_in(site, "ok", 14 * LAB_SEC);
	t_passes();
	t.now += 2 * LAB_SEC;
	starts("backend-1");
	(void)t_finds("R9 served under a wrong name");
}

static void nor_does_a_backend(void **state)
{
	(void)state;
	promise();
	rename_and_log_in(
		"cluster backend update --name b --load-factor 5 backend-1", "ok", LAB_MINUTE);
	(void)t_finds("R9 served under a wrong name");
}

static void until_it_has_its_own_again(void **state)
{
	(void)state;
	t.settings.name_max_ns = 15 * LAB_SEC;
	promise();
	rename_and_log_in("cluster site update --name az9 az1", "ok", LAB_SEC);
	operates("cluster site update --name az1 az9");
	operated("ok");
	t.now += LAB_MINUTE;
	starts("backend-1");
	ends("backend-1", "logout");
	t_passes();
}

static void a_direct_move_costs_sessions(void **state)
{
	(void)state;
	promise();
	starts("backend-1");
	operates("cluster group move --direct az1 default-1 backend-2");
	starts("backend-2");
	ends("backend-1", "kicked");
	t_passes();
}

static void limits_of_measures_grow(void **state)
{
	(void)state;
	assert_int_equal(oracle_measure_limit(0), LAB_MSEC);
	assert_int_equal(oracle_measure_limit(1), 1200 * LAB_USEC);
	assert_int_equal(oracle_measure_limit(12), 10 * LAB_MSEC);
	assert_int_equal(oracle_measure_limit(52), 22 * LAB_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(one_backend_after_the_other_passes),
		t_test(two_backends_at_once_without_a_cause),
		t_test(after_a_fault_they_may_be_two_for_a_while),
		t_test(but_not_for_longer),
		t_test(nor_until_the_end),
		t_test(while_faults_go_on_nothing_is_promised),
		t_test(proxies_of_two_sites_agree),
		t_test(two_backends_are_no_agreement),
		t_test(nor_is_each_others_site),
		t_test(who_knows_nothing_lets_nobody_in),
		t_test(seven_hops_are_too_many),
		t_test(no_user_is_unknown_for_good),
		t_test(a_login_that_fails_has_a_cause),
		t_test(sessions_end_before_a_user_has_moved),
		t_test(or_something_has_failed),
		t_test(logins_that_keep_failing),
		t_test(until_one_succeeds),
		t_test(a_lost_backend_is_replaced_in_time),
		t_test(or_too_late),
		t_test(a_lost_zone_takes_a_decision_more),
		t_test(nor_does_a_lost_zone_for_ever),
		t_test(a_zone_that_is_back_is_measured),
		t_test(one_slow_login_of_a_hundred_passes),
		t_test(three_of_two_hundred_do_not),
		t_test(a_move_that_ended_passes),
		t_test(one_that_never_does_is_found),
		t_test(one_group_an_interval_is_balanced),
		t_test(a_backend_is_not_out_again_at_once),
		t_test(a_full_metacache_lets_nobody_in),
		t_test(while_it_is_cleaned),
		t_test(nobody_new_comes_to_who_is_out),
		t_test(half_of_a_site_is_out_at_most),
		t_test(who_has_another_name_serves_nobody),
		t_test(nor_does_a_backend),
		t_test(until_it_has_its_own_again),
		t_test(a_direct_move_costs_sessions),
		t_test(limits_of_measures_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

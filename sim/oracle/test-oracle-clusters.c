/* SPDX-License-Identifier: Apache-2.0
 *
 * What permits that a mail that was expunged is listed again: a backend that need not look yet; in
 * a cluster, backends that could not have heard of each other, data centres that are just back.
 */
#include "sim/oracle/testing-metacache.h"

static void cluster(bool center_per_zone)
{
	t.settings.geodb_keyspace = LAB_VIEW("geodb");
	t.settings.overlap_max_ns = 100 * LAB_SEC;
	t.settings.center_per_zone = center_per_zone;
	t_restart();
	t_execute("create keyspace geodb with replication = { 'class': 'SimpleStrategy', "
		  "'replication_factor': 1 }; create table geodb.user_groups (site_id uuid, name "
		  "text, moving text, primary key ((site_id, name)))");
	t_start_all();
}

static void root(enum lab_event_id id, unsigned host)
{
	t_tell_fiber(id, host, 1,
		(const struct lab_field[]){ LAB_F_CSTR("user", T_USER),
			LAB_F_CSTR("metacache_status", ""), LAB_F_CODE("code", LAB_OK) },
		3);
}

static void looks(unsigned host)
{
	root(LAB_EV_metacache_user_refresh_started, host);
	root(LAB_EV_metacache_user_refresh_finished, host);
}

static void marks(unsigned host)
{
	root(LAB_EV_metacache_user_bundle_upload_started, host);
	root(LAB_EV_metacache_user_bundle_upload_finished, host);
}

/* Mail 1 is expunged on backend-1. */
static void expunge(void)
{
	(void)t_expunge(0, 1, 1, 1, HISTORY_OK);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_drop(1);
}

static void lists_on(const char *backend)
{
	struct history_object mail = t_object(1, 1);

	(void)t_select(backend, 0, &mail, 1);
}

static void audit(void)
{
	(void)t_select(T_AUDITOR, 0, NULL, 0);
}

/* ---- backends that have not heard of each other ---- */

static void who_could_not_hear_of_it_lists_it_again(void **state)
{
	(void)state;
	cluster(false);
	(void)t_mail(1);
	looks(1);
	looks(2);
	marks(2);
	expunge();
	lists_on("backend-2");
	audit();
	t_excuses("I2 expunged mail is back");
}

static void but_not_once_the_other_has_looked(void **state)
{
	(void)state;
	cluster(false);
	(void)t_mail(1);
	looks(1);
	marks(2);
	expunge();
	looks(1);
	lists_on("backend-2");
	audit();
	(void)t_finds("I2 expunged mail is back");
}

static void nor_if_nobody_had_come(void **state)
{
	(void)state;
	cluster(false);
	(void)t_mail(1);
	looks(1);
	expunge();
	marks(2);
	lists_on("backend-2");
	audit();
	(void)t_finds("I2 expunged mail is back");
}

static void nor_on_the_same_backend(void **state)
{
	(void)state;
	cluster(false);
	(void)t_mail(1);
	marks(1);
	expunge();
	lists_on("backend-1");
	audit();
	(void)t_finds("I2 expunged mail is back");
}

static void nor_after_heal(void **state)
{
	(void)state;
	cluster(false);
	(void)t_mail(1);
	marks(2);
	expunge();
	t_audit_of(0, 1);
	t_judge();
	assert_int_not_equal(t.verdict.failures, 0);
}

static void nor_without_a_cluster(void **state)
{
	(void)state;
	(void)t_mail(1);
	looks(1);
	marks(2);
	expunge();
	lists_on("backend-2");
	audit();
	(void)t_finds("I2 expunged mail is back");
}

/* ---- who was there within metacache_close_delay ---- */

/* A session or a delivery. */
static void accesses(unsigned host)
{
	root(LAB_EV_metacache_user_refresh_finished, host);
}

static void expunge_on(unsigned host)
{
	struct history_op op = t_op_at(HISTORY_EXPUNGE, host, 1);
	uint32_t id;

	op.source = t_object(1, 1);
	id = t_begin(&op);
	accesses(host);
	t_delete_forward(0, 1);
	t_delete_reverse(1, 1);
	t_drop(1);
	t_end(id, &op, HISTORY_OK);
}

static void lists(unsigned host, bool has_looked)
{
	struct history_op op = t_op_at(HISTORY_SELECT, host, 0);
	const struct history_sighting seen = { .uid = 1, .object = t_object(1, 1) };
	uint32_t id = t_begin(&op);

	if (has_looked)
		looks(host);
	else
		accesses(host);
	history_sight(t.history, id, &seen, 1);
	t_end(id, &op, HISTORY_OK);
	audit();
}

/* Backend 1 marks the root, backend 2 looks, hears of it and expunges; backend 1 is asked again
 * `later_ns` after that. */
static void comes_between(uint64_t later_ns)
{
	(void)t_mail(1);
	looks(1);
	marks(1);
	looks(2);
	marks(2);
	expunge_on(2);
	t.now += later_ns;
}

static void who_was_there_just_now_does_not_look_again(void **state)
{
	(void)state;
	comes_between(LAB_SEC);
	accesses(1);
	t.now += 3 * LAB_SEC / 2;
	lists(1, false);
	t_excuses("I2 expunged mail is back");
}

static void he_does_after_close_delay(void **state)
{
	(void)state;
	comes_between(2 * LAB_SEC);
	lists(1, false);
	(void)t_finds("I2 expunged mail is back");
}

static void nor_is_an_access_too_late_made_good_by_the_next(void **state)
{
	(void)state;
	comes_between(2 * LAB_SEC);
	accesses(1);
	lists(1, false);
	(void)t_finds("I2 expunged mail is back");
}

static void and_after_the_forced_interval(void **state)
{
	(void)state;
	t.settings.forced_refresh_ns = 3 * LAB_SEC;
	t_restart();
	t_start_all();
	comes_between(3 * LAB_SEC / 2);
	accesses(1);
	t.now += 3 * LAB_SEC / 2;
	lists(1, false);
	(void)t_finds("I2 expunged mail is back");
}

static void and_who_has_looked_has_heard(void **state)
{
	(void)state;
	comes_between(0);
	lists(1, true);
	(void)t_finds("I2 expunged mail is back");
}

static void and_in_another_life(void **state)
{
	(void)state;
	comes_between(0);
	t_crash(1);
	t_start(1);
	lists(1, false);
	(void)t_finds("I2 expunged mail is back");
}

static void and_who_has_listed_the_rows_sees_them(void **state)
{
	(void)state;
	comes_between(0);
	t_refresh(1, 0, "created");
	lists(1, false);
	(void)t_finds("I2 expunged mail is back");
}

/* ---- in a cluster, a mark that comes after the change ---- */

static void first_looks(void)
{
	looks(1);
}

static void first_marks(void)
{
	marks(1);
}

static void second_looks(void)
{
	looks(2);
}

static void second_marks(void)
{
	marks(2);
}

static void second_reads(void)
{
	t_refresh(2, 0, "refreshed_changed");
}

/* Backend 1 has marked the root, and expunges; backend 2 lists the mail after all that. */
static void who_read_it_before_and_marks_after_lists_it_again(void **state)
{
	static const struct {
		void (*steps[6])(void);
		bool is_excused;
	} rows[] = {
		{ { second_looks, second_reads, expunge, second_marks }, true },
		/* Not if he does not mark, */
		{ { second_looks, second_reads, expunge }, false },
		/* nor once the other one hears of his mark, */
		{ { second_looks, second_reads, expunge, second_marks, first_looks }, false },
		/* or marks anew, */
		{ { second_looks, second_reads, expunge, first_marks, second_marks }, false },
		/* or had to; */
		{ { second_looks, second_marks, first_looks, second_reads, expunge, second_marks },
			false },
		/* nor if he had not heard before, */
		{ { second_reads, expunge, second_looks, second_marks }, false },
		/* or has not read it since, */
		{ { second_reads, second_looks, expunge, second_marks }, false },
		/* or has read it after. */
		{ { second_looks, second_reads, expunge, second_marks, second_reads }, false },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		cluster(false);
		(void)t_mail(1);
		looks(1);
		marks(1);
		for (size_t n = 0; n < LAB_COUNT_OF(rows[i].steps); n++) {
			if (rows[i].steps[n] != NULL)
				rows[i].steps[n]();
		}
		lists(2, true);
		if (rows[i].is_excused)
			t_excuses("I2 expunged mail is back");
		else
			(void)t_finds("I2 expunged mail is back");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

/* ---- data centres that are just back ---- */

static void session(const char *backend, const char *zone)
{
	const struct lab_field fields[] = { LAB_F_CSTR("user", T_USER),
		LAB_F_CSTR("backend", backend), LAB_F_CSTR("site", zone),
		LAB_F_CSTR("protocol", "imap"), LAB_F_CSTR("reason", "logout") };

	t_tell_fiber(LAB_EV_cluster_session_started, 0, 1, fields, LAB_COUNT_OF(fields));
	t_tell_fiber(LAB_EV_cluster_session_ended, 0, 1, fields, LAB_COUNT_OF(fields));
}

/* A zone is lost from 10 s to 20 s. */
static void zone_is_lost(const char *zone)
{
	struct fault_episode episode = {
		.kind = FAULT_zone_lost, .start_ns = 10 * LAB_SEC, .length_ns = 10 * LAB_SEC
	};
	struct lab_error err;
	uint32_t id;

	(void)snprintf(episode.target, sizeof(episode.target), "zone:%s", zone);
	t.faults = fault_plan_new(testing_heap, 1, 3);
	assert_int_equal(fault_plan_add_episode(t.faults, &episode, &id, &err), 0);
	assert_int_not_equal(fault_world_fire(t.faults, id, 1), 0);
	session("backend-1", "az1");
	session("backend-2", "az2");
}

/* What is done meanwhile is listed so long after that. */
static void lose_zone(const char *zone, uint64_t later_ns)
{
	zone_is_lost(zone);
	(void)t_mail(1);
	t.now = 12 * LAB_SEC;
	expunge();
	t.now = 20 * LAB_SEC + later_ns;
	lists_on("backend-2");
	audit();
}

static void a_zone_that_is_just_back_reads_what_was_before(void **state)
{
	(void)state;
	cluster(true);
	lose_zone("az2", LAB_SEC);
	t_excuses("I2 expunged mail is back");
}

static void its_hints_take_no_minute(void **state)
{
	(void)state;
	cluster(true);
	lose_zone("az2", 16 * LAB_SEC);
	(void)t_finds("I2 expunged mail is back");
}

static void others_have_read_what_was_written(void **state)
{
	(void)state;
	cluster(true);
	lose_zone("az1", LAB_SEC);
	(void)t_finds("I2 expunged mail is back");
}

static void so_have_racks(void **state)
{
	(void)state;
	cluster(false);
	lose_zone("az2", LAB_SEC);
	(void)t_finds("I2 expunged mail is back");
}

struct numbering {
	const char *lost;
	uint64_t later_ns;
	bool is_before, is_elsewhere;
};

/* A mail is delivered while the zone is lost; afterwards backend-2 numbers what it finds, and a
 * merge gives other UIDs. */
static void number_anew(const struct numbering *n)
{
	cluster(true);
	zone_is_lost(n->lost);
	if (n->is_before)
		t_merge(2, 0, LAB_EV_obox_index_merge_uids_renumbered);
	t.now = 12 * LAB_SEC;
	t_deliver_at(1, 1, 0);
	t.now = 20 * LAB_SEC + n->later_ns;
	t_list(2, (struct t_list){ .folder = n->is_elsewhere ? 1 : 0 }, NULL, 0);
	if (!n->is_before)
		t_merge(2, 0, LAB_EV_obox_index_merge_uids_renumbered);
	t.now += LAB_MINUTE;
	t_audit_sees(0);
}

static void what_it_does_not_know_yet_is_numbered_later(void **state)
{
	(void)state;
	number_anew(&(struct numbering){ .lost = "az2" });
	t_excuses("I9 renumbered without cause");
}

static void nothing_else_is(void **state)
{
	static const struct numbering others[] = {
		{ .lost = "az1" },
		{ .lost = "az2", .later_ns = 16 * LAB_SEC },
		{ .lost = "az2", .is_before = true },
		{ .lost = "az2", .is_elsewhere = true },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(others); i++) {
		number_anew(&others[i]);
		(void)t_finds("I9 renumbered without cause");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		t_backends_test(who_could_not_hear_of_it_lists_it_again),
		t_backends_test(but_not_once_the_other_has_looked),
		t_backends_test(nor_if_nobody_had_come),
		t_backends_test(nor_on_the_same_backend),
		t_backends_test(nor_after_heal),
		t_backends_test(nor_without_a_cluster),
		t_backends_test(who_was_there_just_now_does_not_look_again),
		t_backends_test(he_does_after_close_delay),
		t_backends_test(nor_is_an_access_too_late_made_good_by_the_next),
		t_backends_test(and_after_the_forced_interval),
		t_backends_test(and_who_has_looked_has_heard),
		t_backends_test(and_in_another_life),
		t_backends_test(and_who_has_listed_the_rows_sees_them),
		t_backends_test(who_read_it_before_and_marks_after_lists_it_again),
		t_backends_test(a_zone_that_is_just_back_reads_what_was_before),
		t_backends_test(its_hints_take_no_minute),
		t_backends_test(others_have_read_what_was_written),
		t_backends_test(so_have_racks),
		t_backends_test(what_it_does_not_know_yet_is_numbered_later),
		t_backends_test(nothing_else_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

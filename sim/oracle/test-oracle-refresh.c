/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariants 24 and 25: what refreshes ask for, and what is used after a crash.
 */
#include "sim/oracle/testing-metacache.h"

static void listing(unsigned host, const char *table)
{
	struct sim_access access = { .service = "cql",
		.peer = lab_view_cstr(t_backend(host)),
		.received_ns = t.now,
		.operation = LAB_VIEW("SELECT"),
		.subject = lab_view_cstr(table),
		.user = LAB_VIEW(T_USER),
		.consistency = T_QUORUM,
		.timestamp_us = INT64_MIN,
		.answered = true };

	oracle_access(t.oracle, &access);
	t.now += LAB_MSEC;
}

static void two_listings(unsigned host, bool is_root)
{
	listing(host, is_root ? "mails.user_index_objects" : "mails.user_mailbox_index_objects");
	listing(host, is_root ? "mails.user_index_diff_objects"
			      : "mails.user_mailbox_index_diff_objects");
}

static void get(unsigned host, const char *key)
{
	struct sim_access access = { .service = "s3",
		.peer = lab_view_cstr(t_backend(host)),
		.received_ns = t.now,
		.operation = LAB_VIEW("GET"),
		.subject = lab_view_cstr(key),
		.user = LAB_VIEW(T_USER),
		.status = 200,
		.answered = true };

	oracle_access(t.oracle, &access);
	t.now += LAB_MSEC;
}

static void begin(unsigned host, bool is_root)
{
	t_folder_event(is_root ? LAB_EV_metacache_user_refresh_started
			       : LAB_EV_metacache_mailbox_refresh_started,
		host, 0, "", LAB_OK);
}

static void end(unsigned host, bool is_root, const char *status)
{
	t_folder_event(is_root ? LAB_EV_metacache_user_refresh_finished
			       : LAB_EV_metacache_mailbox_refresh_finished,
		host, 0, status, LAB_OK);
}

static void trouble(void)
{
	t_tell_fiber(LAB_EV_fault_injected, 1, 0, NULL, 0);
}

static void refreshes_that_cost_what_they_should_pass(void **state)
{
	(void)state;
	for (unsigned is_root = 0; is_root < 2; is_root++) {
		begin(1, is_root);
		two_listings(1, is_root);
		get(1, is_root ? "mails/" T_USER "/idx/self.1"
			       : "mails/" T_USER "/mailboxes/0/idx/1");
		end(1, is_root, "created");
		end(1, is_root, "kept");
		get(1, is_root ? "mails/" T_USER "/mailboxes/0/idx/1"
			       : "mails/" T_USER "/idx/self.1");
		begin(1, is_root);
		two_listings(1, is_root);
		end(1, is_root, "refreshed_unchanged");
	}
	t_passes();
}

static void a_listing_outside_of_a_refresh_is_found(void **state)
{
	for (unsigned is_root = 0; is_root < 2; is_root++) {
		begin(2, is_root);
		begin(1, !is_root);
		listing(1, is_root ? "mails.user_index_objects"
				   : "mails.user_mailbox_index_diff_objects");
		assert_int_equal(t_finds("I24 listing without a refresh")->invariant, 24);
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
	end(1, true, "kept");
	two_listings(1, true);
	t_judge();
	assert_int_equal(t.verdict.failures, 2);
}

static void requests_may_be_late_when_something_failed(void **state)
{
	(void)state;
	trouble();
	listing(1, "mails.user_index_objects");
	begin(1, true);
	two_listings(1, true);
	two_listings(1, true);
	end(1, true, "refreshed_unchanged");
	t_passes();
	t.now += 3 * LAB_MINUTE;
	listing(1, "mails.user_index_objects");
	(void)t_finds("I24 listing without a refresh");
}

/* Events of what went well have an error, too: an empty one. And IMDS says 200. */
static void what_went_well_is_no_trouble(void **state)
{
	static const enum lab_event_id events[] = { LAB_EV_dict_iteration_finished,
		LAB_EV_cassandra_query_finished, LAB_EV_dict_transaction_finished,
		LAB_EV_fs_file_finished };
	const struct lab_field fields[] = { LAB_F_CSTR("key", "x"), LAB_F_CSTR("error", "") };
	struct sim_access imds = { .service = "imds",
		.peer = lab_view_cstr(t_backend(1)),
		.received_ns = t.now,
		.answered_ns = t.now,
		.operation = LAB_VIEW("TOKEN"),
		.request = LAB_VIEW("/latest/api/token"),
		.status = 200,
		.answered = true,
		.timestamp_us = INT64_MIN };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(events); i++)
		t_tell_fiber(events[i], 1, 0, fields, LAB_COUNT_OF(fields));
	oracle_access(t.oracle, &imds);
	listing(1, "mails.user_index_objects");
	(void)t_finds("I24 listing without a refresh");
}

static void nobody_knows_whose_a_listing_without_a_connection_was(void **state)
{
	struct sim_access access = { .service = "cql",
		.peer = LAB_VIEW(""),
		.received_ns = t.now,
		.operation = LAB_VIEW("SELECT"),
		.subject = LAB_VIEW("mails.user_index_objects"),
		.user = LAB_VIEW(T_USER),
		.consistency = T_QUORUM,
		.timestamp_us = INT64_MIN,
		.answered = true };

	(void)state;
	oracle_access(t.oracle, &access);
	t_passes();
}

/* Its connection outlived it by a moment. */
static void what_a_crash_cut_off_is_logged_later(void **state)
{
	(void)state;
	begin(1, true);
	listing(1, "mails.user_index_objects");
	t.now += 10 * LAB_MSEC;
	t_crash(1);
	t.now -= 5 * LAB_MSEC;
	listing(1, "mails.user_index_diff_objects");
	t_passes();
	t.now += 5 * LAB_MINUTE;
	listing(1, "mails.user_index_objects");
	(void)t_finds("I24 listing without a refresh");
}

static void a_repair_lists_without_a_refresh(void **state)
{
	(void)state;
	oracle_repairing(t.oracle, LAB_VIEW(T_USER), false, t.now);
	t.now += 5 * LAB_MINUTE;
	two_listings(1, true);
	oracle_repairing(t.oracle, LAB_VIEW(T_USER), true, t.now);
	t_passes();
	t.now += 5 * LAB_MINUTE;
	listing(1, "mails.user_index_objects");
	(void)t_finds("I24 listing without a refresh");
}

static void what_found_nothing_new_must_be_two_listings_and_no_get(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		begin(1, false);
		listing(1, "mails.user_mailbox_index_objects");
		if (i > 0)
			listing(1, "mails.user_mailbox_index_diff_objects");
		if (i > 1)
			listing(1, "mails.user_mailbox_objects");
		if (i == 2)
			listing(1, "mails.user_mailbox_index_objects");
		if (i == 3)
			get(1, "mails/" T_USER "/mailboxes/0/idx/bundle.1");
		end(1, false, "refreshed_unchanged");
		if (i == 1)
			t_passes();
		else
			(void)t_finds("I24 refresh that was not two SELECTs");
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

static void two_folders_at_once_are_not_told_apart(void **state)
{
	(void)state;
	begin(1, false);
	begin(1, false);
	two_listings(1, false);
	two_listings(1, false);
	end(1, false, "refreshed_unchanged");
	end(1, false, "refreshed_unchanged");
	t_passes();
}

static void after_a_crash_nothing_is_kept(void **state)
{
	static const char *const statuses[] = { "kept", "refreshed_unchanged", "created",
		"refreshed_changed" };

	for (unsigned i = 0; i < 2 * LAB_COUNT_OF(statuses); i++) {
		bool is_root = i % 2 == 0;

		begin(1, is_root);
		two_listings(1, is_root);
		end(1, is_root, "created");
		begin(1, is_root);
		t_crash(1);
		t_start(1);
		t.now += 3 * LAB_MINUTE;
		if (i / 2 > 0) {
			begin(1, is_root);
			two_listings(1, is_root);
		}
		end(1, is_root, statuses[i / 2]);
		if (i / 2 < 2)
			assert_int_equal(t_finds("I25 index of before the crash")->invariant, 25);
		else
			t_passes();
		end(1, is_root, "kept");
		t_judge();
		assert_int_equal(t.verdict.failures, i / 2 < 2);
		(void)t_teardown(state);
		(void)t_setup_backends(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_backends_test(refreshes_that_cost_what_they_should_pass),
		t_backends_test(a_listing_outside_of_a_refresh_is_found),
		t_backends_test(requests_may_be_late_when_something_failed),
		t_backends_test(what_went_well_is_no_trouble),
		t_backends_test(nobody_knows_whose_a_listing_without_a_connection_was),
		t_backends_test(what_a_crash_cut_off_is_logged_later),
		t_backends_test(a_repair_lists_without_a_refresh),
		t_backends_test(what_found_nothing_new_must_be_two_listings_and_no_get),
		t_backends_test(two_folders_at_once_are_not_told_apart),
		t_backends_test(after_a_crash_nothing_is_kept),
	};

	return cmocka_run_group_tests_name("oracle-refresh", tests, NULL, NULL);
}

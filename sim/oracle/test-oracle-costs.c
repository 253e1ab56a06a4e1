/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariant 36: requests that are more, fewer or others than the table of costs has.
 */
#include "sim/oracle/testing-oracle.h"

static struct history_op current;

static int setup(void **state)
{
	(void)t_setup(state);
	t.settings.has_costs = true;
	t.settings.delete_batch = 3;
	t_restart();
	return 0;
}

static void ask(const char *statement, const char *table)
{
	bool is_delete = strcmp(statement, "DELETE") == 0;
	struct sim_access access = { .service = "cql",
		.peer = LAB_VIEW("backend-1"),
		.received_ns = t.now,
		.answered_ns = t.now,
		.operation = lab_view_cstr(statement),
		.subject = lab_view_cstr(table),
		.request = LAB_VIEW("?"),
		.user = LAB_VIEW(T_USER),
		.applied = true,
		.answered = true,
		.consistency = T_QUORUM,
		.timestamp_us = T_EPOCH_US + (int64_t)(t.now / 1000) +
				(is_delete ? t.settings.delete_timestamp_us : 0) };

	/* Its statement names no user. */
	if (strcmp(table, "mails.user_mailbox_objects_reverse") == 0 &&
		strcmp(statement, "INSERT") != 0) {
		access.user = LAB_VIEW("");
		access.object = lab_view_of(current.source.oid, current.source.oid_len);
	}
	oracle_access(t.oracle, &access);
	t.now += LAB_MSEC;
}

static void send(const char *method, const char *key, const struct lab_view *keys, size_t count)
{
	struct sim_access access = { .service = "s3",
		.peer = LAB_VIEW("backend-1"),
		.received_ns = t.now,
		.answered_ns = t.now,
		.operation = lab_view_cstr(method),
		.subject = lab_view_cstr(key),
		.user = LAB_VIEW(T_USER),
		.keys = keys,
		.key_count = count,
		.status = 200,
		.applied = true,
		.answered = true };

	oracle_access(t.oracle, &access);
	t.now += LAB_MSEC;
}

static void begin(enum history_kind kind, unsigned mail)
{
	struct history_object object = { .has_name = true, .oid_len = 2 };

	object.name[0] = object.oid[0] = (uint8_t)mail;
	current = (struct history_op){ .id = 1,
		.kind = kind,
		.user = LAB_VIEW(T_USER),
		.backend = LAB_VIEW("backend-1"),
		.boot = 1,
		.invoked_ns = t.now };
	if (kind == HISTORY_DELIVER)
		current.made = object;
	else
		current.source = object;
	oracle_operation(t.oracle, &current, false);
}

static void end(enum history_outcome outcome)
{
	current.outcome = outcome;
	current.ended_ns = t.now;
	oracle_operation(t.oracle, &current, true);
	t.now += LAB_SEC;
}

static void deliver(unsigned mail)
{
	begin(HISTORY_DELIVER, mail);
	send("PUT", "mails/" T_USER "/mails/0", NULL, 0);
	ask("INSERT", "mails.user_mailbox_objects_reverse");
	ask("INSERT", "mails.user_mailbox_objects");
	end(HISTORY_OK);
}

static void what_costs_what_it_should_is_counted(void **state)
{
	(void)state;
	deliver(1);
	deliver(2);
	begin(HISTORY_COPY, 1);
	ask("SELECT", "mails.user_mailbox_objects_reverse");
	ask("INSERT", "mails.user_mailbox_objects_reverse");
	ask("INSERT", "mails.user_mailbox_objects");
	end(HISTORY_OK);
	/* One of two references. */
	begin(HISTORY_EXPUNGE, 1);
	ask("DELETE", "mails.user_mailbox_objects");
	ask("DELETE", "mails.user_mailbox_objects_reverse");
	ask("SELECT", "mails.user_mailbox_objects_reverse");
	end(HISTORY_OK);
	t_passes();
	assert_int_equal(oracle_costs(t.oracle)->compared[COST_ACTION_delivered], 2);
	assert_int_equal(oracle_costs(t.oracle)->compared[COST_ACTION_copied], 1);
	assert_int_equal(oracle_costs(t.oracle)->compared[COST_ACTION_expunged], 1);
	assert_int_equal(oracle_costs(t.oracle)->requests[COST_MAIL_PUT], 2);
}

static void a_request_too_many_is_found(void **state)
{
	(void)state;
	deliver(1);
	begin(HISTORY_FETCH, 1);
	send("GET", "mails/" T_USER "/mails/0", NULL, 0);
	ask("SELECT", "mails.user_mailbox_buckets");
	end(HISTORY_OK);
	assert_int_equal(t_finds("I36 other requests than the table's")->invariant, 36);
}

/* No action asks for metadata. */
static void a_head_is_found(void **state)
{
	(void)state;
	deliver(1);
	send("HEAD", "mails/" T_USER "/mails/0", NULL, 0);
	deliver(2);
	(void)t_finds("I36 other requests than the table's");
}

/* A listing out of turn may: then nothing is compared. */
static void metadata_of_a_listing_out_of_turn_is_not(void **state)
{
	struct lab_field fields[] = { LAB_F_TEXT("user", LAB_VIEW(T_USER)),
		LAB_F_U64("guid_lookups", 1), LAB_F_U64("code", LAB_OK) };
	struct lab_event event = { .id = LAB_EV_obox_mailbox_rescan_finished,
		.fields = fields,
		.field_count = LAB_COUNT_OF(fields) };

	(void)state;
	deliver(1);
	send("HEAD", "mails/" T_USER "/mails/0", NULL, 0);
	event.time_ns = t.now;
	oracle_event(t.oracle, &event);
	t.now += LAB_SEC;
	deliver(2);
	t_passes();
	assert_int_equal(oracle_costs(t.oracle)->compared[COST_ACTION_delivered], 1);
}

static void a_request_too_few_is_found(void **state)
{
	(void)state;
	begin(HISTORY_DELIVER, 1);
	send("PUT", "mails/" T_USER "/mails/0", NULL, 0);
	ask("INSERT", "mails.user_mailbox_objects");
	end(HISTORY_OK);
	(void)t_finds("I36 other requests than the table's");
}

/* Beside 34's, as nobody tells of requests here. */
static void it_is_found_while_the_run_goes_on(void **state)
{
	const struct oracle_finding *found = NULL;

	(void)state;
	ask("DELETE", "mails.user_mailbox_objects");
	for (unsigned i = 1; i < 100; i++)
		deliver(i);
	t_judge();
	for (size_t i = 0; i < t.verdict.count && found == NULL; i++) {
		if (strcmp(t.verdict.findings[i].signature,
			    "I36 other requests than the table's") == 0)
			found = &t.verdict.findings[i];
	}
	assert_non_null(found);
	assert_true(found->time_ns < t.now - 10 * LAB_SEC);
}

static void where_something_failed_nothing_is_compared(void **state)
{
	(void)state;
	begin(HISTORY_DELIVER, 1);
	send("PUT", "mails/" T_USER "/mails/0", NULL, 0);
	send("PUT", "mails/" T_USER "/mails/0", NULL, 0);
	end(HISTORY_UNCERTAIN);
	t_passes();
	assert_int_equal(oracle_costs(t.oracle)->compared[COST_ACTION_delivered], 0);
}

static void expunge_four(const char *const *posts)
{
	static const struct lab_view keys[] = { { (const uint8_t *)T_USER "/mails/0",
							sizeof(T_USER "/mails/0") - 1 },
		{ (const uint8_t *)T_USER "/mails/1", sizeof(T_USER "/mails/1") - 1 },
		{ (const uint8_t *)T_USER "/mails/2", sizeof(T_USER "/mails/2") - 1 },
		{ (const uint8_t *)T_USER "/mails/3", sizeof(T_USER "/mails/3") - 1 } };
	struct history_op ops[4];

	for (unsigned i = 0; i < 4; i++)
		deliver(i);
	for (unsigned i = 0; i < 4; i++) {
		begin(HISTORY_EXPUNGE, i);
		ask("DELETE", "mails.user_mailbox_objects");
		ask("DELETE", "mails.user_mailbox_objects_reverse");
		ask("SELECT", "mails.user_mailbox_objects_reverse");
		ops[i] = current;
	}
	for (size_t from = 0; *posts != NULL; posts++) {
		size_t count = (size_t)(**posts - '0');

		send("POST-DELETE", "mails/", &keys[from], count);
		from += count;
	}
	for (unsigned i = 0; i < 4; i++) {
		ops[i].call = 7;
		ops[i].outcome = HISTORY_OK;
		oracle_operation(t.oracle, &ops[i], true);
	}
	t.now += LAB_SEC;
}

static void bulk_deletes_are_as_large_as_they_may_be(void **state)
{
	(void)state;
	expunge_four((const char *const[]){ "3", "1", NULL });
	t_passes();
	assert_int_equal(oracle_costs(t.oracle)->compared[COST_ACTION_deleted_in_bulk], 2);
}

static void smaller_ones_are_found(void **state)
{
	(void)state;
	expunge_four((const char *const[]){ "2", "1", "1", NULL });
	(void)t_finds("I36 other requests than the table's");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_costs_what_it_should_is_counted, setup, t_teardown),
		cmocka_unit_test_setup_teardown(a_request_too_many_is_found, setup, t_teardown),
		cmocka_unit_test_setup_teardown(a_head_is_found, setup, t_teardown),
		cmocka_unit_test_setup_teardown(
			metadata_of_a_listing_out_of_turn_is_not, setup, t_teardown),
		cmocka_unit_test_setup_teardown(a_request_too_few_is_found, setup, t_teardown),
		cmocka_unit_test_setup_teardown(
			it_is_found_while_the_run_goes_on, setup, t_teardown),
		cmocka_unit_test_setup_teardown(
			where_something_failed_nothing_is_compared, setup, t_teardown),
		cmocka_unit_test_setup_teardown(
			bulk_deletes_are_as_large_as_they_may_be, setup, t_teardown),
		cmocka_unit_test_setup_teardown(smaller_ones_are_found, setup, t_teardown),
	};

	return cmocka_run_group_tests_name("oracle-costs", tests, NULL, NULL);
}

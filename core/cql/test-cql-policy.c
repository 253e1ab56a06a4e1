/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of failures row by row, the retry policy, and the fallback schedule.
 */
#include "core/cql/cql-policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Written from obox 3.8 a second time, so that a slip in one of the two shows. */
static void every_failure_has_the_class_that_dovecot_gives_it(void **state)
{
	static const struct {
		enum cql_failure failure;
		const char *name, *counter;
		bool fallback, uncertain;
	} rows[] = {
		{ CQL_LIB_WRITE_ERROR, "LIB_WRITE_ERROR", "recv_err_other", true, true },
		{ CQL_LIB_REQUEST_TIMED_OUT, "LIB_REQUEST_TIMED_OUT", "recv_err_client_timeout",
			true, true },
		{ CQL_LIB_NO_HOSTS_AVAILABLE, "LIB_NO_HOSTS_AVAILABLE", "recv_err_no_hosts", true,
			false },
		{ CQL_LIB_REQUEST_QUEUE_FULL, "LIB_REQUEST_QUEUE_FULL", "recv_err_queue_full",
			false, false },
		{ CQL_SERVER_ERROR, "SERVER_ERROR", "recv_err_other", true, false },
		{ CQL_OVERLOADED, "OVERLOADED", "recv_err_other", true, false },
		{ CQL_IS_BOOTSTRAPPING, "IS_BOOTSTRAPPING", "recv_err_other", true, false },
		{ CQL_READ_TIMEOUT, "READ_TIMEOUT", "recv_err_other", true, false },
		{ CQL_READ_FAILURE, "READ_FAILURE", "recv_err_other", true, false },
		{ CQL_WRITE_TIMEOUT, "WRITE_TIMEOUT", "recv_err_server_timeout", true, true },
		{ CQL_WRITE_FAILURE, "WRITE_FAILURE", "recv_err_other", true, true },
		{ CQL_UNAVAILABLE, "UNAVAILABLE", "recv_err_server_unavailable", true, true },
		{ CQL_FAILURE_OTHER, "OTHER", "recv_err_other", false, false },
	};
	(void)state;
	assert_int_equal(LAB_COUNT_OF(rows), CQL_FAILURE_COUNT - 1);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		const struct cql_failure_class *class = &cql_failure_classes[rows[i].failure];
		assert_string_equal(class->name, rows[i].name);
		assert_string_equal(cql_counter_name(class->counter), rows[i].counter);
		assert_int_equal(class->wants_fallback, rows[i].fallback);
		assert_int_equal(class->write_uncertain, rows[i].uncertain);
		assert_int_not_equal(class->code, LAB_OK);
		assert_int_not_equal(class->code, LAB_UNCERTAIN);
	}
}

static void server_errors_find_their_class(void **state)
{
	static const struct {
		uint32_t code;
		enum cql_failure failure;
	} rows[] = {
		{ 0x0000, CQL_SERVER_ERROR },
		{ 0x000a, CQL_FAILURE_OTHER },
		{ 0x0100, CQL_FAILURE_OTHER },
		{ 0x1000, CQL_UNAVAILABLE },
		{ 0x1001, CQL_OVERLOADED },
		{ 0x1002, CQL_IS_BOOTSTRAPPING },
		{ 0x1003, CQL_FAILURE_OTHER },
		{ 0x1100, CQL_WRITE_TIMEOUT },
		{ 0x1200, CQL_READ_TIMEOUT },
		{ 0x1300, CQL_READ_FAILURE },
		{ 0x1400, CQL_FAILURE_OTHER },
		{ 0x1500, CQL_WRITE_FAILURE },
		{ 0x2000, CQL_FAILURE_OTHER },
		{ 0x2100, CQL_FAILURE_OTHER },
		{ 0x2200, CQL_FAILURE_OTHER },
		{ 0x2300, CQL_FAILURE_OTHER },
		{ 0x2400, CQL_FAILURE_OTHER },
		{ 0x2500, CQL_FAILURE_OTHER },
	};
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_int_equal(cql_failure_of(rows[i].code), rows[i].failure);
}

static void the_default_retry_policy_decides(void **state)
{
	static const struct {
		struct cql_error error;
		unsigned retries;
		enum cql_retry retry;
	} rows[] = {
		/* enough answers, but no data: ask again */
		{ { .code = CQL_E_READ_TIMEOUT, .received = 2, .required = 2 }, 0,
			CQL_RETRY_SAME_HOST },
		{ { .code = CQL_E_READ_TIMEOUT, .received = 2, .required = 2 }, 1, CQL_RETRY_NO },
		{ { .code = CQL_E_READ_TIMEOUT,
			  .received = 2,
			  .required = 2,
			  .data_present = true },
			0, CQL_RETRY_NO },
		{ { .code = CQL_E_READ_TIMEOUT, .received = 1, .required = 2 }, 0, CQL_RETRY_NO },
		{ { .code = CQL_E_WRITE_TIMEOUT, .write_type = LAB_VIEW("BATCH_LOG") }, 0,
			CQL_RETRY_SAME_HOST },
		{ { .code = CQL_E_WRITE_TIMEOUT, .write_type = LAB_VIEW("BATCH_LOG") }, 1,
			CQL_RETRY_NO },
		{ { .code = CQL_E_WRITE_TIMEOUT, .write_type = LAB_VIEW("SIMPLE") }, 0,
			CQL_RETRY_NO },
		{ { .code = CQL_E_UNAVAILABLE }, 0, CQL_RETRY_NEXT_HOST },
		{ { .code = CQL_E_UNAVAILABLE }, 1, CQL_RETRY_NO },
		{ { .code = CQL_E_OVERLOADED }, 0, CQL_RETRY_NEXT_HOST },
		{ { .code = CQL_E_OVERLOADED }, 9, CQL_RETRY_NEXT_HOST },
		{ { .code = CQL_E_SERVER_ERROR }, 9, CQL_RETRY_NEXT_HOST },
		{ { .code = CQL_E_IS_BOOTSTRAPPING }, 9, CQL_RETRY_NEXT_HOST },
		{ { .code = CQL_E_READ_FAILURE, .received = 2, .required = 2 }, 0, CQL_RETRY_NO },
		{ { .code = CQL_E_WRITE_FAILURE }, 0, CQL_RETRY_NO },
		{ { .code = CQL_E_INVALID }, 0, CQL_RETRY_NO },
		{ { .code = CQL_E_SYNTAX }, 0, CQL_RETRY_NO },
	};
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		if (cql_retry_decide(&rows[i].error, rows[i].retries) != rows[i].retry)
			fail_msg("row %zu", i);
	}
}

static struct cql_fallback each_then_local(void)
{
	return (struct cql_fallback){ .primary = CQL_EACH_QUORUM, .fallback = CQL_LOCAL_QUORUM };
}

static void the_primary_is_probed_at_50ms_doubling_to_60s(void **state)
{
	struct cql_fallback f = each_then_local();
	uint64_t now = 1000 * LAB_SEC;
	uint64_t wait = 50 * LAB_MSEC;
	bool warn;
	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(cql_fallback_choose(&f, now), CQL_EACH_QUORUM);
		assert_true(
			cql_fallback_failed(&f, CQL_EACH_QUORUM, CQL_WRITE_TIMEOUT, now, &warn));
		assert_int_equal(cql_fallback_choose(&f, now), CQL_LOCAL_QUORUM);
		assert_int_equal(cql_fallback_choose(&f, now + wait - 1), CQL_LOCAL_QUORUM);
		now += wait;
		wait = LAB_MIN(2 * wait, 60 * LAB_SEC);
	}
	assert_true(wait == 60 * LAB_SEC);
}

static void only_one_statement_probes_at_a_time(void **state)
{
	struct cql_fallback f = each_then_local();
	uint64_t now = LAB_SEC;
	bool warn;
	(void)state;
	assert_int_equal(cql_fallback_choose(&f, now), CQL_EACH_QUORUM);
	assert_true(cql_fallback_failed(&f, CQL_EACH_QUORUM, CQL_UNAVAILABLE, now, &warn));
	now += 50 * LAB_MSEC;
	assert_int_equal(cql_fallback_choose(&f, now), CQL_EACH_QUORUM);
	assert_int_equal(cql_fallback_choose(&f, now), CQL_LOCAL_QUORUM);
}

static void a_primary_success_ends_the_fallback(void **state)
{
	struct cql_fallback f = each_then_local();
	bool warn;
	(void)state;
	assert_true(cql_fallback_failed(&f, CQL_EACH_QUORUM, CQL_OVERLOADED, LAB_SEC, &warn));
	cql_fallback_succeeded(&f, CQL_LOCAL_QUORUM);
	assert_int_equal(f.failures, 1);
	cql_fallback_succeeded(&f, CQL_EACH_QUORUM);
	assert_int_equal(cql_fallback_choose(&f, LAB_SEC), CQL_EACH_QUORUM);
}

static void the_warning_comes_once_a_minute(void **state)
{
	struct cql_fallback f = each_then_local();
	bool warn;
	(void)state;
	assert_true(cql_fallback_failed(&f, CQL_EACH_QUORUM, CQL_OVERLOADED, LAB_SEC, &warn));
	assert_true(warn);
	assert_true(
		cql_fallback_failed(&f, CQL_EACH_QUORUM, CQL_OVERLOADED, 61 * LAB_SEC - 1, &warn));
	assert_false(warn);
	assert_true(cql_fallback_failed(&f, CQL_EACH_QUORUM, CQL_OVERLOADED, 61 * LAB_SEC, &warn));
	assert_true(warn);
}

static void what_cannot_be_helped_does_not_fall_back(void **state)
{
	struct cql_fallback f = each_then_local();
	struct cql_fallback same = { .primary = CQL_LOCAL_QUORUM, .fallback = CQL_LOCAL_QUORUM };
	bool warn;
	(void)state;
	assert_false(cql_fallback_failed(&f, CQL_EACH_QUORUM, CQL_FAILURE_OTHER, LAB_SEC, &warn));
	assert_false(cql_fallback_failed(
		&f, CQL_EACH_QUORUM, CQL_LIB_REQUEST_QUEUE_FULL, LAB_SEC, &warn));
	assert_false(cql_fallback_failed(&f, CQL_LOCAL_QUORUM, CQL_OVERLOADED, LAB_SEC, &warn));
	assert_false(cql_fallback_failed(&same, CQL_LOCAL_QUORUM, CQL_OVERLOADED, LAB_SEC, &warn));
	assert_int_equal(f.failures, 0);
	assert_int_equal(same.failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failure_has_the_class_that_dovecot_gives_it),
		cmocka_unit_test(server_errors_find_their_class),
		cmocka_unit_test(the_default_retry_policy_decides),
		cmocka_unit_test(the_primary_is_probed_at_50ms_doubling_to_60s),
		cmocka_unit_test(only_one_statement_probes_at_a_time),
		cmocka_unit_test(a_primary_success_ends_the_fallback),
		cmocka_unit_test(the_warning_comes_once_a_minute),
		cmocka_unit_test(what_cannot_be_helped_does_not_fall_back),
	};
	return cmocka_run_group_tests_name("cql-policy", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What each option of driver-cassandra does, in virtual time, and the defects H-01 and H-02.
 */
#include "core/cql/test-client.h"
#include "core/base/defect.h"

/* ---- uncertainty: H-01, H-02 ---- */

static void fail_twice(struct test *t, struct lab_defects defects)
{
	t->settings.consistency[CQL_STATEMENT_WRITE] = CQL_EACH_QUORUM;
	lab_defects_on = defects;
	node_will_fail(&t->w->nodes[0], CQL_E_WRITE_TIMEOUT, "Operation timed out");
	node_will_fail(&t->w->nodes[0], CQL_E_OVERLOADED, "Too many in flight hints");
	open_client(t);
	insert(t);
	assert_int_equal(t->w->nodes[0].seen_count, 2);
}

CLIENT_TEST(a_fallback_that_fails_for_certain_hides_no_write_timeout, 1)
{
	fail_twice(t, LAB_NO_DEFECTS);
	assert_fails(t, LAB_UNCERTAIN, "All hosts in current policy attempted");
}

CLIENT_TEST(with_the_defect_h01_it_does, 1)
{
	fail_twice(t, LAB_DEFECT(FALLBACK_HIDES_UNCERTAIN));
	assert_fails(t, LAB_UNAVAILABLE, "All hosts in current policy attempted");
}

static void lose_everywhere(struct test *t, struct lab_defects defects)
{
	lab_defects_on = defects;
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_CLOSE });
	node_will(&t->w->nodes[1], (struct answer){ .kind = ANSWER_CLOSE });
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	insert(t);
	assert_int_equal(t->w->nodes[0].seen_count + t->w->nodes[1].seen_count, 2);
}

CLIENT_TEST(a_write_lost_on_every_host_is_uncertain, 2)
{
	lose_everywhere(t, LAB_NO_DEFECTS);
	assert_fails(t, LAB_UNCERTAIN, "All hosts in current policy attempted");
}

CLIENT_TEST(with_the_defect_h02_it_is_taken_for_failed, 2)
{
	lose_everywhere(t, LAB_DEFECT(NO_HOSTS_CERTAIN));
	assert_fails(t, LAB_UNAVAILABLE, "All hosts in current policy attempted");
}

/* How an attempt can end, and whether the node may have applied it. */
static const struct {
	enum answer_kind kind;
	uint32_t error;
	bool applied;
} endings[] = {
	{ ANSWER_VOID, 0, true },
	{ ANSWER_CLOSE, 0, true },
	{ ANSWER_SILENCE, 0, true },
	{ ANSWER_GARBAGE, 0, true },
	{ ANSWER_ERROR, CQL_E_WRITE_TIMEOUT, true },
	{ ANSWER_ERROR, CQL_E_OVERLOADED, false },
	{ ANSWER_ERROR, CQL_E_UNAUTHORIZED, false },
};
#define ENDINGS LAB_COUNT_OF(endings)

struct sweep {
	size_t endings[2][2]; /* of node, of its n-th statement */
	bool speculative;
	struct lab_defects defects;
	unsigned wrong; /* failed for certain, but perhaps applied */
};

static void sweep_fiber(void *arg)
{
	struct test *t = arg;
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	insert(t);
	cql_client_close(&t->client);
}

static bool may_be_applied(const struct test *t, const struct sweep *sweep)
{
	bool applied = false;
	for (size_t node = 0; node < 2; node++) {
		for (size_t i = 0; i < t->w->nodes[node].seen_count && i < 2; i++)
			applied |= endings[sweep->endings[node][i]].applied;
	}
	return applied;
}

static void sweep_once(struct sweep *sweep)
{
	struct test *t = test_new(2);
	t->settings.consistency[CQL_STATEMENT_WRITE] = CQL_EACH_QUORUM;
	lab_defects_on = sweep->defects;
	t->settings.request_timeout_ns = 2 * LAB_SEC;
	t->settings.speculative_delay_ns = sweep->speculative ? 500 * LAB_MSEC : 0;
	t->settings.speculative_max = 1;
	for (size_t i = 0; i < 4; i++) {
		size_t ending = sweep->endings[i / 2][i % 2];
		struct node *node = &t->w->nodes[i / 2];
		if (endings[ending].kind == ANSWER_ERROR)
			node_will_fail(node, endings[ending].error, "no");
		else
			node_will(node, (struct answer){ .kind = endings[ending].kind });
	}
	world_run(t->w, sweep_fiber, t);
	if (t->status < 0 && t->err.code != LAB_UNCERTAIN && may_be_applied(t, sweep))
		sweep->wrong++;
	world_free(t->w);
}

static unsigned sweep_all(bool speculative, struct lab_defects defects)
{
	struct sweep sweep = { .speculative = speculative, .defects = defects };
	for (size_t i = 0; i < ENDINGS * ENDINGS * ENDINGS; i++) {
		sweep.endings[0][0] = i % ENDINGS;
		sweep.endings[1][0] = i / ENDINGS % ENDINGS;
		sweep.endings[0][1] = sweep.endings[1][1] = i / ENDINGS / ENDINGS;
		sweep_once(&sweep);
	}
	return sweep.wrong;
}

static void no_row_of_failures_makes_a_perhaps_applied_write_certain(void **state)
{
	(void)state;
	assert_int_equal(sweep_all(false, LAB_NO_DEFECTS), 0);
	assert_int_equal(sweep_all(true, LAB_NO_DEFECTS), 0);
	assert_true(sweep_all(false, LAB_DEFECT(FALLBACK_HIDES_UNCERTAIN)) > 0);
	assert_true(sweep_all(false, LAB_DEFECT(NO_HOSTS_CERTAIN)) > 0);
}

/* ---- execution_retry_interval, execution_retry_times ---- */

static void speculate(struct test *t, unsigned times)
{
	t->settings.speculative_delay_ns = 500 * LAB_MSEC;
	t->settings.speculative_max = times;
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
}

CLIENT_TEST(a_slow_host_is_overtaken_by_the_next, 2)
{
	node_will(
		&t->w->nodes[0], (struct answer){ .kind = ANSWER_VOID, .delay_ns = 10 * LAB_SEC });
	speculate(t, 3);
	uint64_t start = t->w->now_ns;
	insert(t);
	assert_ok(t);
	assert_true(t->w->now_ns - start >= 500 * LAB_MSEC);
	assert_true(t->w->now_ns - start < 600 * LAB_MSEC);
	assert_int_equal(t->w->nodes[1].seen_count, 1);
	assert_true(t->w->nodes[0].seen[0].params.timestamp_us ==
		    t->w->nodes[1].seen[0].params.timestamp_us);
	assert_int_equal(cql_client_counter(t->client, CQL_SENT), 1);

	/* Each option alone does nothing. */
	cql_client_close(&t->client);
	t->settings.speculative_max = 0;
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_VOID, .delay_ns = LAB_SEC });
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	start = t->w->now_ns;
	insert(t);
	assert_ok(t);
	assert_true(t->w->now_ns - start >= LAB_SEC);
	assert_int_equal(t->w->nodes[1].seen_count, 1);
}

CLIENT_TEST(no_more_executions_than_allowed_are_started, 4)
{
	for (int i = 0; i < 4; i++)
		node_will(&t->w->nodes[i], (struct answer){ .kind = ANSWER_SILENCE });
	t->settings.request_timeout_ns = 5 * LAB_SEC;
	speculate(t, 2);
	uint64_t start = t->w->now_ns;
	insert(t);
	assert_fails(t, LAB_UNCERTAIN, "Request timed out");
	assert_true(t->w->now_ns - start == 5 * LAB_SEC);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(t->w->nodes[i].seen_count, 1);
		uint64_t at = t->w->nodes[i].seen[0].time_ns - start;
		assert_true(at >= i * 500 * LAB_MSEC && at < (i * 500 + 50) * LAB_MSEC);
	}
	assert_int_equal(t->w->nodes[3].seen_count, 0);
	assert_int_equal(cql_client_counter(t->client, CQL_RECV_ERR_CLIENT_TIMEOUT), 1);
}

CLIENT_TEST(an_execution_without_hosts_waits_for_the_others, 2)
{
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_VOID, .delay_ns = 2 * LAB_SEC });
	node_will_fail(&t->w->nodes[1], CQL_E_OVERLOADED, "overloaded");
	speculate(t, 3);
	uint64_t start = t->w->now_ns;
	insert(t);
	assert_ok(t);
	assert_int_equal(t->w->nodes[1].seen_count, 1);
	assert_true(t->w->now_ns - start >= 2 * LAB_SEC);
}

CLIENT_TEST(a_refusal_is_uncertain_while_another_execution_is_under_way, 2)
{
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_SILENCE });
	node_will_fail(&t->w->nodes[1], CQL_E_UNAUTHORIZED, "User bob has no MODIFY permission");
	speculate(t, 1);
	insert(t);
	assert_fails(t, LAB_UNCERTAIN, "User bob has no MODIFY permission");
	/* Its late answer finds nobody. */
	read_one(t);
	assert_ok(t);
}

static void all_gone(struct test *t, bool gone)
{
	for (int i = 0; i < 2; i++) {
		t->w->nodes[i].refuses = gone;
		if (gone)
			node_reset(t->w->nodes[i].last);
	}
	env_sleep(&t->w->env, 100 * LAB_MSEC);
}

CLIENT_TEST(speculation_ends_when_all_of_cassandra_is_gone, 2)
{
	speculate(t, 3);
	all_gone(t, true);
	uint64_t start = t->w->now_ns;
	insert(t);
	assert_fails(t, LAB_UNAVAILABLE, "All hosts in current policy attempted");
	assert_true(t->w->now_ns == start);
	all_gone(t, false);
	env_sleep(&t->w->env, 10 * LAB_SEC);
	insert(t);
	assert_ok(t);
}

CLIENT_TEST(with_its_defect_speculation_hangs_even_after_recovery, 2)
{
	lab_defects_on = LAB_DEFECT(SPECULATION_HANGS);
	speculate(t, 3);
	insert(t);
	assert_ok(t);
	all_gone(t, true);
	t->deadline_ns = t->w->now_ns + 30 * LAB_SEC;
	insert(t);
	assert_fails(t, LAB_TIMEOUT, "Request timed out");
	assert_true(t->w->now_ns == t->deadline_ns);
	all_gone(t, false);
	env_sleep(&t->w->env, 60 * LAB_SEC);
	assert_int_equal(cql_client_connected(t->client), 2);
	t->deadline_ns = t->w->now_ns + 30 * LAB_SEC;
	insert(t);
	assert_fails(t, LAB_TIMEOUT, "Request timed out");
	assert_true(t->w->now_ns == t->deadline_ns);
}

/* ---- latency_aware_routing ---- */

static void read_times(struct test *t, int times)
{
	for (int i = 0; i < times; i++) {
		read_one(t);
		assert_ok(t);
	}
}

static void measure(struct test *t, bool aware)
{
	t->settings.latency_aware = aware;
	for (int i = 0; i < 60; i++)
		node_will(&t->w->nodes[0],
			(struct answer){ .kind = ANSWER_VOID, .delay_ns = 10 * LAB_MSEC });
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	read_times(t, 120);
	assert_int_equal(t->w->nodes[0].seen_count + t->w->nodes[1].seen_count, 120);
}

CLIENT_TEST(a_slow_host_is_asked_last_if_latency_counts, 2)
{
	measure(t, true);
	size_t before = t->w->nodes[0].seen_count;
	assert_true(before >= 50 && before < 60);
	read_times(t, 20);
	assert_int_equal(t->w->nodes[0].seen_count, before);
	/* It is still there for those that the fast one refuses... */
	node_will_fail(&t->w->nodes[1], CQL_E_OVERLOADED, "overloaded");
	read_times(t, 1);
	assert_int_equal(t->w->nodes[0].seen_count, before + 1);
	/* ...and is judged anew after a while. */
	env_sleep(&t->w->env, 11 * LAB_SEC);
	read_times(t, 2);
	assert_int_equal(t->w->nodes[0].seen_count, before + 2);
}

CLIENT_TEST(otherwise_a_slow_host_has_its_turns, 2)
{
	measure(t, false);
	assert_int_equal(t->w->nodes[0].seen_count, 60);
}

/* ---- metrics ---- */

static const char metrics_text[] =
	"{\n"
	"  \"requests\": {\n    \"min\": 2000,\n    \"max\": 10000,\n    \"mean\": 5000,\n"
	"    \"stddev\": 3555,\n    \"median\": 3007,\n    \"percentile_75th\": 10000,\n"
	"    \"percentile_95th\": 10000,\n    \"percentile_98th\": 10000,\n"
	"    \"percentile_99th\": 10000,\n    \"percentile_999th\": 10000,\n"
	"    \"mean_rate\": 3.000000,\n    \"one_minute_rate\": 0.000000,\n"
	"    \"five_minute_rate\": 0.000000,\n    \"fifteen_minute_rate\": 0.000000\n  },\n"
	"  \"stats\": {\n    \"total_connections\": 1,\n    \"available_connections\": 1,\n"
	"    \"exceeded_pending_requests_water_mark\": 0,\n"
	"    \"exceeded_write_bytes_water_mark\": 0\n  },\n"
	"  \"errors\": {\n    \"connection_timeouts\": 0,\n    \"pending_request_timeouts\": 0,\n"
	"    \"request_timeouts\": 0\n  },\n"
	"  \"queries\": {\n    \"sent\": 4,\n    \"recv_ok\": 3,\n    \"recv_err_no_hosts\": 0,\n"
	"    \"recv_err_queue_full\": 0,\n    \"recv_err_client_timeout\": 0,\n"
	"    \"recv_err_server_timeout\": 0,\n    \"recv_err_server_unavailable\": 0,\n"
	"    \"recv_err_other\": 1,\n    \"slow\": 0\n  }\n"
	"}\n";

CLIENT_TEST(metrics_are_rewritten_every_second, 1)
{
	struct node *node = &t->w->nodes[0];
	t->settings.metrics_path = "/run/dovecot/cassandra.json";
	node_will(node, (struct answer){ .kind = ANSWER_VOID });
	node_will(node, (struct answer){ .kind = ANSWER_VOID, .delay_ns = 3 * LAB_MSEC });
	node_will(node, (struct answer){ .kind = ANSWER_VOID, .delay_ns = 10 * LAB_MSEC });
	node_will_fail(node, CQL_E_INVALID, "no");
	open_client(t);
	env_sleep(&t->w->env, 100 * LAB_MSEC);
	for (int i = 0; i < 4; i++)
		insert(t);
	assert_int_equal(t->w->file_count, 0);
	env_sleep(&t->w->env, LAB_SEC);
	assert_int_equal(t->w->file_count, 1);
	assert_string_equal(t->w->file_path, "/run/dovecot/cassandra.json");
	assert_string_equal(lab_buf_cstr(&t->w->file_done), metrics_text);
	env_sleep(&t->w->env, 9 * LAB_SEC);
	assert_int_equal(t->w->file_count, 10);
	/* 3 in the first 5 seconds, none in the second. */
	const char *text = lab_buf_cstr(&t->w->file_done);
	assert_non_null(strstr(text, "\"mean_rate\": 0.300000"));
	assert_non_null(strstr(text, "\"one_minute_rate\": 0.552027"));
	assert_non_null(strstr(text, "\"five_minute_rate\": 0.590084"));
	t->w->no_files = true;
	env_sleep(&t->w->env, LAB_SEC);
	assert_true(world_logged(t->w, "open(/run/dovecot/cassandra.json) failed"));
}

/* ---- lines ---- */

CLIENT_TEST(log_level_decides_which_lines_of_the_driver_are_seen, 1)
{
	t->settings.log_level = CQL_LOG_ERROR;
	node_will_fail(&t->w->nodes[0], CQL_E_OVERLOADED, "overloaded");
	open_client(t);
	insert(t);
	assert_false(world_logged(t->w, "Host 127.0.0.1 is overloaded."));
	cql_client_close(&t->client);

	t->settings.log_level = CQL_LOG_WARN;
	node_will_fail(&t->w->nodes[0], CQL_E_OVERLOADED, "overloaded");
	node_will_fail(&t->w->nodes[0], CQL_E_SERVER_ERROR, "java.lang.OutOfMemoryError");
	open_client(t);
	insert(t);
	insert(t);
	assert_true(world_logged(t->w, "message=Host 127.0.0.1 is overloaded. level=warn"));
	assert_true(world_logged(t->w,
		"Received server error 'java.lang.OutOfMemoryError' from host 127.0.0.1. "
		"Defuncting the connection..."));
	enum cql_log_level level;
	assert_int_equal(cql_log_level_parse(LAB_VIEW("trace"), &level), 0);
	assert_int_equal(level, CQL_LOG_TRACE);
	assert_int_equal(cql_log_level_parse(LAB_VIEW("loud"), &level), -1);
}

CLIENT_TEST(log_retries_tells_of_the_retry_policy, 2)
{
	t->settings.log_level = CQL_LOG_INFO;
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	node_will_fail(&t->w->nodes[0], CQL_E_UNAVAILABLE, "Cannot achieve consistency level");
	insert(t);
	assert_ok(t);
	assert_false(world_logged(t->w, "Retrying"));
	cql_client_close(&t->client);

	t->settings.log_retries = true;
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	node_will_fail(&t->w->nodes[0], CQL_E_UNAVAILABLE, "Cannot achieve consistency level");
	insert(t);
	assert_ok(t);
	assert_true(world_logged(t->w,
		"Retrying on unavailable error at consistency LOCAL_QUORUM (initial consistency: "
		"LOCAL_QUORUM, required replica: 2, alive replica: 1, retries: 0) level=info"));
}

CLIENT_TEST(a_batch_log_timeout_is_retried_on_the_same_host_once, 2)
{
	struct answer answer = { .kind = ANSWER_ERROR,
		.error = { .code = CQL_E_WRITE_TIMEOUT,
			.message = LAB_VIEW("Operation timed out"),
			.consistency = CQL_LOCAL_QUORUM,
			.required = 2,
			.write_type = LAB_VIEW("BATCH_LOG") } };
	t->settings.log_level = CQL_LOG_INFO;
	t->settings.log_retries = true;
	node_will(&t->w->nodes[0], answer);
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	insert(t);
	assert_ok(t);
	assert_int_equal(t->w->nodes[0].seen_count, 2);
	assert_int_equal(t->w->nodes[1].seen_count, 0);
	assert_true(world_logged(t->w, "Retrying on write timeout at consistency LOCAL_QUORUM "));
	assert_true(world_logged(t->w, "write type: BATCH_LOG, retries: 0)"));
	node_will(&t->w->nodes[1], answer);
	node_will(&t->w->nodes[1], answer);
	insert(t);
	assert_fails(t, LAB_UNCERTAIN, "Operation timed out");
	assert_int_equal(t->w->nodes[0].seen_count, 2);
	assert_int_equal(t->w->nodes[1].seen_count, 2);
}

CLIENT_TEST(debug_queries_tells_of_every_statement, 1)
{
	open_client(t);
	insert(t);
	assert_false(world_logged(t->w, "Finished"));
	cql_client_close(&t->client);
	t->settings.debug_queries = true;
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_ROWS, .rows = "a;b" });
	node_will_fail(&t->w->nodes[0], CQL_E_INVALID, "no such thing");
	open_client(t);
	read_one(t);
	assert_true(world_logged(t->w, "Finished prepared query '" READ_ONE "' (2 rows, "));
	assert_true(world_logged(t->w, "+0 us, LOCAL_QUORUM requested consistency): success"));
	insert(t);
	assert_true(world_logged(t->w, "Finished prepared query '" INSERT "' (timestamp=17"));
	assert_true(world_logged(t->w, "LOCAL_QUORUM requested consistency): no such thing"));
}

CLIENT_TEST(warn_timeout_decides_what_is_slow, 1)
{
	t->settings.warn_timeout_ns = 100 * LAB_MSEC;
	node_will(
		&t->w->nodes[0], (struct answer){ .kind = ANSWER_VOID, .delay_ns = 90 * LAB_MSEC });
	node_will(&t->w->nodes[0],
		(struct answer){ .kind = ANSWER_VOID, .delay_ns = 101 * LAB_MSEC });
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	insert(t);
	assert_int_equal(cql_client_counter(t->client, CQL_SLOW), 0);
	insert(t);
	assert_int_equal(cql_client_counter(t->client, CQL_SLOW), 1);
	assert_true(world_logged(t->w, "(query took longer than 100ms)"));
}

/* ---- prepared everywhere ---- */

CLIENT_TEST(what_one_host_prepared_all_prepare, 3)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	insert(t);
	assert_ok(t);
	env_sleep(&t->w->env, 10 * LAB_MSEC);
	for (int i = 0; i < 3; i++)
		assert_int_equal(t->w->nodes[i].prepares, 1);
	assert_int_equal(t->w->nodes[1].seen_count + t->w->nodes[2].seen_count, 0);

	/* Again where it may have been forgotten; for nothing if it was not. */
	node_reset(t->w->nodes[1].last);
	read_one(t);
	env_sleep(&t->w->env, 10 * LAB_SEC);
	assert_int_equal(t->w->nodes[0].prepares, 2);
	assert_int_equal(t->w->nodes[1].prepares, 3);
	insert(t);
	insert(t);
	insert(t);
	assert_ok(t);
	assert_int_equal(t->w->nodes[1].prepares, 3);
}

CLIENT_TEST(a_host_that_refused_to_prepare_is_asked_again_when_needed, 2)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	t->w->nodes[1].prepare_error = "no such table yet";
	t->w->nodes[1].prepare_error_code = CQL_E_INVALID;
	t->w->nodes[1].forgets = true;
	insert(t);
	assert_ok(t);
	env_sleep(&t->w->env, 10 * LAB_MSEC);
	assert_int_equal(t->w->nodes[1].prepares, 1);
	t->w->nodes[1].prepare_error = NULL;
	insert(t);
	assert_ok(t);
	assert_int_equal(t->w->nodes[1].prepares, 2);
}

/* ---- batches ---- */

static void batch(struct test *t, size_t delete_args)
{
	struct cql_arg args[] = { { .kind = CQL_ARG_BLOB, .bytes = LAB_VIEW("\1\2") },
		{ .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("it's") } };
	struct cql_statement items[] = {
		{ .query = LAB_VIEW(INSERT), .args = args, .arg_count = 2 },
		{ .query = LAB_VIEW(DELETE), .args = &args[1], .arg_count = delete_args }
	};
	struct cql_statement statement = { .type = CQL_STATEMENT_WRITE,
		.query = LAB_VIEW("<batch query>"),
		.batch = items,
		.batch_count = 2,
		.batch_type = CQL_BATCH_UNLOGGED,
		.timestamp_us = 77 };
	t->status = cql_client_execute(t->client, &statement, 1, t->arena, &t->result, &t->err);
}

CLIENT_TEST(a_batch_is_prepared_and_never_paged, 1)
{
	struct node *node = &t->w->nodes[0];
	t->settings.page_size = 10;
	t->settings.debug_queries = true;
	open_client(t);
	batch(t, 1);
	assert_ok(t);
	assert_int_equal(node->seen_count, 1);
	const struct seen *seen = &node->seen[0];
	assert_int_equal(seen->opcode, CQL_BATCH);
	assert_int_equal(seen->batch_type, CQL_BATCH_UNLOGGED);
	assert_int_equal(seen->params.flags, CQL_PARAM_TIMESTAMP);
	assert_true(seen->params.timestamp_us == 77);
	assert_int_equal(seen->batch_count, 2);
	assert_true(seen->batch[0].prepared && seen->batch[1].prepared);
	assert_true(lab_view_eq_cstr(seen->batch[0].query, INSERT));
	assert_true(lab_view_eq_cstr(seen->batch[1].values[0].bytes, "it's"));
	assert_int_equal(node->prepares, 2);
	assert_true(world_logged(t->w, "Finished batch query '<batch query>' (timestamp=77, "));

	/* Forgotten: all of it is prepared again. */
	node->forgets = true;
	batch(t, 1);
	assert_ok(t);
	assert_int_equal(node->prepares, 4);
	assert_int_equal(node->seen_count, 3);

	batch(t, 0);
	assert_fails(t, LAB_INVALID, "Statement '" DELETE "': Failed to bind");
	node_will_fail(node, CQL_E_WRITE_TIMEOUT, "Operation timed out");
	batch(t, 1);
	assert_fails(t, LAB_UNCERTAIN, "Query '<batch query>' failed: Operation timed out");
	node->prepare_error = "unconfigured table";
	node->prepare_error_code = CQL_E_INVALID;
	node->forgets = true;
	batch(t, 1);
	assert_fails(t, LAB_INVALID, "Failed to prepare statement");
}

CLIENT_TEST(below_version_4_a_batch_is_texts, 1)
{
	struct node *node = &t->w->nodes[0];
	t->settings.protocol_version = 3;
	open_client(t);
	batch(t, 1);
	assert_ok(t);
	assert_int_equal(node->prepares, 0);
	assert_false(node->seen[0].batch[0].prepared);
	assert_true(lab_view_eq_cstr(
		node->seen[0].batch[0].query, "INSERT INTO t (v,k) VALUES (0x0102,'it''s')"));
	assert_true(
		lab_view_eq_cstr(node->seen[0].batch[1].query, "DELETE FROM t WHERE k = 'it''s'"));
	batch(t, 0);
	assert_fails(t, LAB_INVALID, "0 values do not fit its markers");
}

/* ---- port, connect_timeout, num_threads ---- */

CLIENT_TEST(the_port_is_the_one_given, 1)
{
	t->w->port = t->settings.port = 19042;
	open_client(t);
	insert(t);
	assert_ok(t);
}

CLIENT_TEST(connecting_takes_as_long_as_allowed, 1)
{
	t->w->nodes[0].never_accepts = true;
	t->settings.connect_timeout_ns = 700 * LAB_MSEC;
	open_client(t);
	insert(t);
	assert_fails(t, LAB_UNAVAILABLE, "timed out");
	assert_true(t->w->now_ns == 700 * LAB_MSEC);
	assert_true(world_logged(t->w,
		"Connection pool was unable to connect to host 127.0.0.1 because of the following "
		"error: connect(127.0.0.1) timed out"));
}

CLIENT_TEST(each_thread_has_a_connection_to_each_host, 2)
{
	t->settings.connections_per_host = 3;
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	assert_int_equal(cql_client_connected(t->client), 6);
	assert_int_equal(t->w->nodes[0].connections, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fallback_that_fails_for_certain_hides_no_write_timeout),
		cmocka_unit_test(with_the_defect_h01_it_does),
		cmocka_unit_test(a_write_lost_on_every_host_is_uncertain),
		cmocka_unit_test(with_the_defect_h02_it_is_taken_for_failed),
		cmocka_unit_test(no_row_of_failures_makes_a_perhaps_applied_write_certain),
		cmocka_unit_test(a_slow_host_is_overtaken_by_the_next),
		cmocka_unit_test(no_more_executions_than_allowed_are_started),
		cmocka_unit_test(an_execution_without_hosts_waits_for_the_others),
		cmocka_unit_test(a_refusal_is_uncertain_while_another_execution_is_under_way),
		cmocka_unit_test(speculation_ends_when_all_of_cassandra_is_gone),
		cmocka_unit_test(with_its_defect_speculation_hangs_even_after_recovery),
		cmocka_unit_test(a_slow_host_is_asked_last_if_latency_counts),
		cmocka_unit_test(otherwise_a_slow_host_has_its_turns),
		cmocka_unit_test(metrics_are_rewritten_every_second),
		cmocka_unit_test(log_level_decides_which_lines_of_the_driver_are_seen),
		cmocka_unit_test(log_retries_tells_of_the_retry_policy),
		cmocka_unit_test(a_batch_log_timeout_is_retried_on_the_same_host_once),
		cmocka_unit_test(debug_queries_tells_of_every_statement),
		cmocka_unit_test(warn_timeout_decides_what_is_slow),
		cmocka_unit_test(what_one_host_prepared_all_prepare),
		cmocka_unit_test(a_host_that_refused_to_prepare_is_asked_again_when_needed),
		cmocka_unit_test(a_batch_is_prepared_and_never_paged),
		cmocka_unit_test(below_version_4_a_batch_is_texts),
		cmocka_unit_test(the_port_is_the_one_given),
		cmocka_unit_test(connecting_takes_as_long_as_allowed),
		cmocka_unit_test(each_thread_has_a_connection_to_each_host),
	};
	return cmocka_run_group_tests_name("cql-options", tests, NULL, NULL);
}

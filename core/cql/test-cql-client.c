/* SPDX-License-Identifier: Apache-2.0
 *
 * The client against scripted nodes in virtual time.
 */
#include "core/cql/test-client.h"

struct crowd {
	struct test *t;
	unsigned ok, full, other;
};

static void one_of_many(void *ctx, size_t index)
{
	struct crowd *crowd = ctx;
	struct cql_arg arg = { .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("key") };
	struct cql_statement statement = { .type = CQL_STATEMENT_DELETE,
		.query = LAB_VIEW(DELETE),
		.args = &arg,
		.arg_count = 1 };
	struct cql_result result;
	struct lab_error err;
	(void)index;
	if (cql_client_execute(crowd->t->client, &statement, 1, crowd->t->arena, &result, &err) ==
		0)
		crowd->ok++;
	else if (err.code == LAB_UNAVAILABLE &&
		 strstr(err.message, "All connections on all I/O threads are busy") != NULL)
		crowd->full++;
	else
		crowd->other++;
}

/* ---- statements ---- */

CLIENT_TEST(a_statement_is_prepared_once_and_executed, 1)
{
	struct node *node = &t->w->nodes[0];
	node_will(node, (struct answer){ .kind = ANSWER_ROWS, .rows = "hello" });
	node_will(node, (struct answer){ .kind = ANSWER_ROWS, .rows = "NULL" });
	open_client(t);

	read_one(t);
	assert_ok(t);
	assert_int_equal(t->result.row_count, 1);
	assert_true(lab_view_eq_cstr(t->result.cells[0], "hello"));
	assert_int_equal(t->result.columns[0].type.id, CQL_TYPE_TEXT);

	read_one(t);
	assert_ok(t);
	assert_null(t->result.cells[0].ptr);

	read_one(t);
	assert_ok(t);
	assert_int_equal(t->result.row_count, 0);

	assert_int_equal(node->prepares, 1);
	assert_int_equal(node->seen_count, 3);
	assert_int_equal(node->seen[0].opcode, CQL_EXECUTE);
	assert_int_equal(node->seen[0].params.consistency, CQL_LOCAL_QUORUM);
	assert_int_equal(node->seen[0].params.flags, CQL_PARAM_VALUES | CQL_PARAM_SKIP_METADATA);
	assert_true(lab_view_eq_cstr(node->seen[0].params.values[0].bytes, "key"));
	assert_int_equal(cql_client_counter(t->client, CQL_RECV_OK), 3);
	assert_int_equal(cql_client_counter(t->client, CQL_SENT), 3);
	assert_true(world_logged(t->w, "cassandra_query_finished query_first_word=SELECT query="));
	assert_true(world_logged(t->w, "consistency=LOCAL_QUORUM duration="));
}

CLIENT_TEST(writes_carry_growing_microsecond_timestamps, 1)
{
	struct node *node = &t->w->nodes[0];
	open_client(t);
	insert(t);
	assert_ok(t);
	t->w->wall_skew_us = -5000000; /* the clock steps back */
	insert(t);
	delete_one(t);
	struct cql_arg args[] = { { .kind = CQL_ARG_BLOB, .bytes = LAB_VIEW("\1\2") },
		{ .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("key") } };
	struct cql_statement own = { .type = CQL_STATEMENT_WRITE,
		.query = LAB_VIEW(INSERT),
		.args = args,
		.arg_count = 2,
		.timestamp_us = 77 };
	assert_int_equal(cql_client_execute(t->client, &own, 1, t->arena, &t->result, NULL), 0);

	assert_int_equal(node->seen_count, 4);
	assert_true((node->seen[0].params.flags & CQL_PARAM_TIMESTAMP) != 0);
	assert_true(node->seen[0].params.timestamp_us >= 1700000000000000);
	assert_true(node->seen[1].params.timestamp_us == node->seen[0].params.timestamp_us + 1);
	assert_true(node->seen[2].params.timestamp_us == node->seen[0].params.timestamp_us + 2);
	assert_true(node->seen[3].params.timestamp_us == 77);
	assert_true(cql_client_timestamp(t->client) == node->seen[0].params.timestamp_us + 3);
}

CLIENT_TEST(numbers_are_bound_in_the_width_of_their_column, 1)
{
	static const uint8_t uuid[16] = { 1, 2, 3 };
	struct cql_arg args[] = { { .kind = CQL_ARG_INT, .number = -1 },
		{ .kind = CQL_ARG_INT, .number = INT64_C(1) << 40 }, { .kind = CQL_ARG_NULL },
		{ .kind = CQL_ARG_UUID, .bytes = { uuid, 16 } } };
	struct node *node = &t->w->nodes[0];
	open_client(t);
	execute(t, CQL_STATEMENT_WRITE, TYPES, args, 4);
	assert_ok(t);
	const struct cql_bind *v = node->seen[0].params.values;
	assert_int_equal(v[0].bytes.len, 4);
	assert_memory_equal(v[0].bytes.ptr, "\xff\xff\xff\xff", 4);
	assert_memory_equal(v[1].bytes.ptr, "\0\0\1\0\0\0\0\0", 8);
	assert_int_equal(v[2].kind, CQL_VALUE_NULL);
	assert_int_equal(v[3].bytes.len, 16);

	args[0].number = INT64_C(1) << 31;
	execute(t, CQL_STATEMENT_WRITE, TYPES, args, 4);
	assert_fails(t, LAB_INVALID, "Failed to bind column 0: Invalid value for type int");
	args[0] = (struct cql_arg){ .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("5") };
	execute(t, CQL_STATEMENT_WRITE, TYPES, args, 4);
	assert_fails(t, LAB_INVALID, "Failed to bind column 0");
	execute(t, CQL_STATEMENT_WRITE, TYPES, args, 3);
	assert_fails(t, LAB_INVALID, "3 values for 4 markers");
	assert_int_equal(node->seen_count, 1);
}

CLIENT_TEST(pages_are_read_to_the_end_even_if_the_last_is_empty, 1)
{
	struct node *node = &t->w->nodes[0];
	t->settings.page_size = 2;
	t->settings.consistency[CQL_STATEMENT_READ] = CQL_QUORUM;
	node_will(node, (struct answer){ .kind = ANSWER_ROWS, .rows = "a;b", .paging = "p1" });
	node_will(node, (struct answer){ .kind = ANSWER_ROWS, .rows = "c;d", .paging = "p2" });
	node_will(node, (struct answer){ .kind = ANSWER_ROWS, .rows = "" });
	open_client(t);

	read_one(t);

	assert_ok(t);
	assert_int_equal(t->result.row_count, 4);
	assert_true(lab_view_eq_cstr(t->result.cells[3], "d"));
	assert_int_equal(node->seen_count, 3);
	assert_int_equal(node->seen[0].params.page_size, 2);
	assert_true(lab_view_eq_cstr(node->seen[1].params.paging_state, "p1"));
	assert_true(lab_view_eq_cstr(node->seen[2].params.paging_state, "p2"));
	assert_int_equal(node->seen[2].params.consistency, CQL_QUORUM);
}

CLIENT_TEST(later_pages_never_fall_back, 1)
{
	struct node *node = &t->w->nodes[0];
	t->settings.page_size = 1;
	t->settings.consistency[CQL_STATEMENT_READ] = CQL_QUORUM;
	node_will(node, (struct answer){ .kind = ANSWER_ROWS, .rows = "a", .paging = "p1" });
	node_will_fail(node, CQL_E_READ_TIMEOUT, "Operation timed out");
	open_client(t);

	read_one(t);

	assert_fails(t, LAB_TIMEOUT,
		"page 2, LOCAL_QUORUM consistency, 1 of minimum 2 responses received, QUORUM "
		"requested consistency, data present=no)");
	assert_int_equal(node->seen_count, 2);
}

CLIENT_TEST(more_rows_than_wanted_are_an_error, 1)
{
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_ROWS, .rows = "a;b;c" });
	t->max_rows = 2;
	open_client(t);
	read_one(t);
	assert_fails(t, LAB_LIMIT, "more than 2 rows");
}

CLIENT_TEST(small_numbers_have_their_ranges, 1)
{
	static const struct {
		int64_t a, b;
		bool ok;
	} rows[] = { { 32767, -128, true }, { -32768, 127, true }, { 32768, 0, false },
		{ -32769, 0, false }, { 0, 128, false }, { 0, -129, false } };
	open_client(t);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct cql_arg args[] = { { .kind = CQL_ARG_INT, .number = rows[i].a },
			{ .kind = CQL_ARG_INT, .number = rows[i].b } };
		execute(t, CQL_STATEMENT_WRITE, "INSERT INTO small (a,b) VALUES (?,?)", args, 2);
		assert_int_equal(t->status, rows[i].ok ? 0 : -1);
	}
	assert_memory_equal(t->w->nodes[0].seen[1].params.values[0].bytes.ptr, "\x80\0", 2);
	assert_memory_equal(t->w->nodes[0].seen[0].params.values[1].bytes.ptr, "\x80", 1);
	struct cql_arg args[] = { { .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("1") },
		{ .kind = CQL_ARG_INT, .number = 1 } };
	execute(t, CQL_STATEMENT_WRITE, "INSERT INTO small (a,b) VALUES (?,?)", args, 2);
	assert_fails(t, LAB_INVALID, "Failed to bind column 0: Invalid value for type smallint");
}

/* ---- hosts ---- */

CLIENT_TEST(hosts_take_turns, 3)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	assert_int_equal(cql_client_connected(t->client), 3);
	for (int i = 0; i < 6; i++) {
		read_one(t);
		assert_ok(t);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(t->w->nodes[i].seen_count, 2);
		assert_int_equal(t->w->nodes[i].prepares, 1);
	}
}

CLIENT_TEST(a_host_that_is_down_is_passed_over, 2)
{
	t->w->nodes[0].refuses = true;
	open_client(t);
	for (int i = 0; i < 4; i++) {
		read_one(t);
		assert_ok(t);
	}
	assert_int_equal(t->w->nodes[1].seen_count, 4);
}

CLIENT_TEST(with_no_host_at_all_the_reason_is_told, 2)
{
	t->w->nodes[0].refuses = true;
	t->w->nodes[1].never_accepts = true;
	open_client(t);
	uint64_t start = t->w->now_ns;

	insert(t);

	/* Certain: nothing was sent. After the connect timeout, not the request's. */
	assert_fails(
		t, LAB_UNAVAILABLE, "Couldn't connect to Cassandra: connect(127.0.0.2) timed out");
	assert_true(t->w->now_ns - start == 5 * LAB_SEC);
	assert_int_equal(cql_client_counter(t->client, CQL_RECV_ERR_NO_HOSTS), 1);
}

CLIENT_TEST(overload_sends_a_statement_to_the_next_host, 2)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	node_will_fail(&t->w->nodes[0], CQL_E_OVERLOADED, "Too many in flight hints");
	insert(t);
	assert_ok(t);
	assert_int_equal(t->w->nodes[1].seen_count, 1);

	/* One timestamp for both attempts. */
	assert_true(t->w->nodes[0].seen[0].params.timestamp_us ==
		    t->w->nodes[1].seen[0].params.timestamp_us);
}

CLIENT_TEST(overload_everywhere_is_a_certain_failure, 2)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	node_will_fail(&t->w->nodes[0], CQL_E_OVERLOADED, "Too many in flight hints");
	node_will_fail(&t->w->nodes[1], CQL_E_IS_BOOTSTRAPPING, "bootstrapping");
	insert(t);
	assert_fails(t, LAB_UNAVAILABLE,
		"All hosts in current policy attempted and were either unavailable or failed");
	assert_true(t->err.retryable);
}

CLIENT_TEST(a_server_error_costs_the_connection, 2)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	node_will_fail(&t->w->nodes[0], CQL_E_SERVER_ERROR, "java.lang.NullPointerException");
	read_one(t);
	assert_ok(t);
	assert_int_equal(t->w->nodes[1].seen_count, 1);
	assert_int_equal(cql_client_connected(t->client), 1);
	env_sleep(&t->w->env, 3 * LAB_SEC);
	assert_int_equal(cql_client_connected(t->client), 2);
	assert_true(world_logged(t->w, "cassandra_reconnected dest_host=127.0.0.1"));
}

CLIENT_TEST(unavailable_is_retried_on_one_more_host_only, 3)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	for (int i = 0; i < 3; i++)
		node_will_fail(&t->w->nodes[i], CQL_E_UNAVAILABLE,
			"Cannot achieve consistency level LOCAL_QUORUM");
	insert(t);
	assert_fails(t, LAB_UNCERTAIN,
		"Cannot achieve consistency level LOCAL_QUORUM (in 0.003 secs, LOCAL_QUORUM "
		"consistency, 1 of minimum 2 responses received)");
	assert_int_equal(t->err.status, CQL_E_UNAVAILABLE);
	assert_int_equal(t->w->nodes[0].seen_count, 1);
	assert_int_equal(t->w->nodes[1].seen_count, 1);
	assert_int_equal(t->w->nodes[2].seen_count, 0);
	assert_int_equal(cql_client_counter(t->client, CQL_RECV_ERR_SERVER_UNAVAILABLE), 1);
}

CLIENT_TEST(a_lost_connection_sends_a_statement_to_the_next_host, 2)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_CLOSE });
	insert(t);
	assert_ok(t);
	assert_int_equal(t->w->nodes[1].seen_count, 1);
}

/* Hazard 2 of obox 3.8: the driver's error is NO_HOSTS_AVAILABLE, which is "certain". */
CLIENT_TEST(losing_the_last_connection_with_a_write_in_flight_is_uncertain, 1)
{
	open_client(t);
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_CLOSE });
	insert(t);
	assert_fails(t, LAB_UNCERTAIN, "All hosts in current policy attempted");

	/* The same of a read is only a failure. */
	env_sleep(&t->w->env, 10 * LAB_SEC);
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_CLOSE });
	read_one(t);
	assert_fails(t, LAB_UNAVAILABLE, "All hosts in current policy attempted");

	/* And with no connection at all a write certainly does not happen. */
	insert(t);
	assert_fails(t, LAB_UNAVAILABLE, "All hosts in current policy attempted");
}

CLIENT_TEST(an_uncertain_attempt_is_not_forgotten_when_the_next_host_refuses, 2)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_CLOSE });
	node_will_fail(&t->w->nodes[1], CQL_E_OVERLOADED, "overloaded");
	insert(t);
	assert_fails(t, LAB_UNCERTAIN, "All hosts in current policy attempted");

	env_sleep(&t->w->env, 10 * LAB_SEC);
	node_will(&t->w->nodes[1], (struct answer){ .kind = ANSWER_CLOSE });
	node_will_fail(&t->w->nodes[0], CQL_E_UNAUTHORIZED, "User bob has no MODIFY permission");
	insert(t);
	assert_fails(t, LAB_UNCERTAIN, "User bob has no MODIFY permission");
}

/* ---- failures ---- */

CLIENT_TEST(server_failures_end_in_their_class_and_words, 1)
{
	static const struct {
		uint32_t error;
		enum lab_code read, write;
	} rows[] = {
		{ CQL_E_WRITE_TIMEOUT, LAB_TIMEOUT, LAB_UNCERTAIN },
		{ CQL_E_WRITE_FAILURE, LAB_UNAVAILABLE, LAB_UNCERTAIN },
		{ CQL_E_READ_TIMEOUT, LAB_TIMEOUT, LAB_TIMEOUT },
		{ CQL_E_READ_FAILURE, LAB_UNAVAILABLE, LAB_UNAVAILABLE },
		{ CQL_E_INVALID, LAB_INVALID, LAB_INVALID },
		{ CQL_E_SYNTAX, LAB_INVALID, LAB_INVALID },
		{ CQL_E_UNAUTHORIZED, LAB_DENIED, LAB_DENIED },
		{ CQL_E_CONFIG, LAB_INVALID, LAB_INVALID },
		{ CQL_E_PROTOCOL, LAB_INVALID, LAB_INVALID },
	};
	open_client(t);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		node_will_fail(&t->w->nodes[0], rows[i].error, "no luck");
		insert(t);
		assert_fails(t, rows[i].write, "Query '" INSERT "' failed: no luck (in ");
		assert_int_equal(t->err.status, rows[i].error);
		node_will_fail(&t->w->nodes[0], rows[i].error, "no luck");
		read_one(t);
		assert_fails(t, rows[i].read, "no luck");
	}
}

CLIENT_TEST(failures_are_described_as_dovecot_does, 1)
{
	open_client(t);
	node_will_fail(&t->w->nodes[0], CQL_E_INVALID, "table t does not exist");
	read_one(t);
	assert_string_equal(
		strchr(t->err.message, '('), "(in 0.006 secs, LOCAL_QUORUM requested consistency)");

	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_ERROR,
					   .error = { .code = CQL_E_READ_FAILURE,
						   .message = LAB_VIEW("Operation failed"),
						   .consistency = CQL_LOCAL_QUORUM,
						   .received = 1,
						   .required = 2,
						   .failures = 1,
						   .data_present = true } });
	read_one(t);
	assert_string_equal(strchr(t->err.message, '('),
		"(in 0.001 secs, LOCAL_QUORUM consistency, 1 of minimum 2 responses received, "
		"1 Cassandra node failures, data present=yes)");
	assert_true(world_logged(t->w, "error=Operation failed error_code=READ_FAILURE "
				       "error_consistency=LOCAL_QUORUM"));
}

CLIENT_TEST(a_read_timeout_without_data_is_retried_once, 1)
{
	struct answer again = { .kind = ANSWER_ERROR,
		.error = { .code = CQL_E_READ_TIMEOUT,
			.message = LAB_VIEW("m"),
			.received = 2,
			.required = 2 } };
	open_client(t);
	node_will(&t->w->nodes[0], again);
	read_one(t);
	assert_ok(t);
	node_will(&t->w->nodes[0], again);
	node_will(&t->w->nodes[0], again);
	read_one(t);
	assert_fails(t, LAB_TIMEOUT, "m (in");
	assert_int_equal(t->w->nodes[0].seen_count, 4);
}

CLIENT_TEST(silence_ends_after_the_request_timeout, 2)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_SILENCE });
	uint64_t start = t->w->now_ns;
	insert(t);
	assert_fails(t, LAB_UNCERTAIN, "Request timed out (in 60.0");
	assert_true(t->w->now_ns - start == 60 * LAB_SEC);
	assert_int_equal(cql_client_counter(t->client, CQL_RECV_ERR_CLIENT_TIMEOUT), 1);
	assert_int_equal(cql_client_counter(t->client, CQL_SLOW), 1);
	assert_true(world_logged(t->w, "(query took longer than 5000ms)"));
}

CLIENT_TEST(a_late_answer_is_not_taken_for_another_statements, 1)
{
	open_client(t);
	t->deadline_ns = LAB_SEC;
	node_will(&t->w->nodes[0],
		(struct answer){ .kind = ANSWER_ROWS, .rows = "late", .delay_ns = 2 * LAB_SEC });
	node_will(&t->w->nodes[0],
		(struct answer){ .kind = ANSWER_ROWS, .rows = "mine", .delay_ns = 4 * LAB_SEC });
	read_one(t);
	assert_fails(t, LAB_TIMEOUT, "Request timed out");
	t->deadline_ns = 0;
	read_one(t);
	assert_ok(t);
	assert_true(lab_view_eq_cstr(t->result.cells[0], "mine"));
	assert_int_equal(cql_client_connected(t->client), 1);
}

CLIENT_TEST(a_timeout_before_anything_was_sent_is_certain, 1)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	t->w->nodes[0].silent = true; /* also to PREPARE */
	t->deadline_ns = t->w->now_ns + LAB_SEC;
	insert(t);
	assert_fails(t, LAB_TIMEOUT, "Request timed out");
}

CLIENT_TEST(the_callers_deadline_neither_counts_nor_falls_back, 1)
{
	t->settings.consistency[CQL_STATEMENT_WRITE] = CQL_EACH_QUORUM;
	open_client(t);
	insert(t);
	assert_ok(t);
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_SILENCE });
	t->deadline_ns = t->w->now_ns + LAB_SEC;
	insert(t);
	assert_fails(t, LAB_UNCERTAIN, "Request timed out");
	assert_int_equal(t->w->nodes[0].seen_count, 2);
	assert_int_equal(cql_client_counter(t->client, CQL_RECV_ERR_CLIENT_TIMEOUT), 0);
}

CLIENT_TEST(an_answer_that_cannot_be_read_leaves_a_write_uncertain, 1)
{
	open_client(t);
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_GARBAGE });
	insert(t);
	assert_fails(t, LAB_UNCERTAIN, "Invalid answer: Unknown kind of RESULT");
	assert_int_equal(cql_client_connected(t->client), 0);

	env_sleep(&t->w->env, 3 * LAB_SEC);
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_READY });
	insert(t);
	assert_fails(t, LAB_UNCERTAIN, "Unexpected answer READY");
}

CLIENT_TEST(an_answer_that_nobody_asked_for_breaks_the_connection, 1)
{
	open_client(t);
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_STRAY });
	insert(t);
	assert_fails(t, LAB_UNCERTAIN, "All hosts in current policy attempted");
}

CLIENT_TEST(an_orderly_end_is_a_lost_connection_too, 2)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_END });
	insert(t);
	assert_ok(t);
	assert_int_equal(cql_client_connected(t->client), 1);
}

/* ---- preparing ---- */

CLIENT_TEST(a_forgotten_statement_is_prepared_again, 1)
{
	open_client(t);
	read_one(t);
	t->w->nodes[0].forgets = true;
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_ROWS, .rows = "x" });
	read_one(t);
	assert_ok(t);
	assert_int_equal(t->result.row_count, 1);
	assert_int_equal(t->w->nodes[0].prepares, 2);
}

CLIENT_TEST(a_statement_that_stays_forgotten_fails, 1)
{
	open_client(t);
	for (int i = 0; i < 10; i++) {
		node_will(&t->w->nodes[0],
			(struct answer){ .kind = ANSWER_ERROR,
				.error = { .code = CQL_E_UNPREPARED,
					.message = LAB_VIEW("never heard of it") } });
	}
	insert(t);
	assert_fails(t, LAB_INVALID, "never heard of it");
	assert_int_equal(t->w->nodes[0].seen_count, 4);
}

CLIENT_TEST(a_statement_that_cannot_be_prepared_fails_for_certain, 1)
{
	open_client(t);
	execute(t, CQL_STATEMENT_WRITE, "INSERT INTO nope (v) VALUES (1)", NULL, 0);
	assert_fails(t, LAB_INVALID,
		"Failed to prepare statement 'INSERT INTO nope (v) VALUES (1)': unknown statement");
	assert_int_equal(t->err.status, CQL_E_INVALID);
}

CLIENT_TEST(a_host_that_is_too_busy_to_prepare_is_passed_over, 2)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	t->w->nodes[0].prepare_error = "busy";
	t->w->nodes[0].prepare_error_code = CQL_E_OVERLOADED;
	insert(t);
	assert_ok(t);
	assert_int_equal(t->w->nodes[1].seen_count, 1);
}

CLIENT_TEST(an_odd_answer_to_prepare_is_a_certain_failure, 1)
{
	t->w->nodes[0].odd_prepare = true;
	open_client(t);
	insert(t);
	assert_fails(t, LAB_INVALID, "Unexpected answer to PREPARE");
}

CLIENT_TEST(a_crowd_that_waits_for_a_prepare_goes_to_the_next_host_if_it_is_lost, 2)
{
	struct crowd crowd = { .t = t };
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	t->w->nodes[0].silent = true;
	env_for_each(&t->w->env, 6, 6, one_of_many, &crowd);
	assert_int_equal(crowd.ok, 6);
	assert_int_equal(t->w->nodes[1].seen_count, 6);
}

CLIENT_TEST(those_who_wait_for_anothers_prepare_have_their_own_deadline, 1)
{
	struct crowd crowd = { .t = t };
	t->settings.request_timeout_ns = 5 * LAB_SEC;
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	t->w->nodes[0].silent = true;
	env_for_each(&t->w->env, 3, 3, one_of_many, &crowd);
	assert_int_equal(crowd.other, 3);
	assert_true(t->w->now_ns == 6 * LAB_SEC);
}

CLIENT_TEST(a_host_lost_while_preparing_is_passed_over, 2)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	t->w->nodes[0].silent = true;
	insert(t);
	assert_ok(t);
	assert_int_equal(t->w->nodes[1].seen_count, 1);
}

/* ---- fallback ---- */

CLIENT_TEST(a_failed_write_goes_out_again_with_the_fallback_level, 1)
{
	struct node *node = &t->w->nodes[0];
	t->settings.consistency[CQL_STATEMENT_WRITE] = CQL_EACH_QUORUM;
	node_will_fail(
		node, CQL_E_WRITE_TIMEOUT, "Operation timed out - received only 3 responses.");
	open_client(t);

	insert(t);
	assert_ok(t);
	assert_int_equal(node->seen[0].params.consistency, CQL_EACH_QUORUM);
	assert_int_equal(node->seen[1].params.consistency, CQL_LOCAL_QUORUM);
	assert_true(node->seen[0].params.timestamp_us == node->seen[1].params.timestamp_us);
	assert_true(world_logged(t->w, "Operation timed out - received only 3 responses. - "
				       "retrying future write queries with "
				       "consistency LOCAL_QUORUM (instead of EACH_QUORUM)"));

	/* Within 50 ms the fallback at once; reads and deletes are not concerned. */
	insert(t);
	assert_int_equal(node->seen[2].params.consistency, CQL_LOCAL_QUORUM);
	read_one(t);
	delete_one(t);
	assert_int_equal(node->seen[4].params.consistency, CQL_LOCAL_QUORUM);

	/* Then the primary, whose success is the end of it. */
	env_sleep(&t->w->env, 50 * LAB_MSEC);
	insert(t);
	insert(t);
	assert_int_equal(node->seen[5].params.consistency, CQL_EACH_QUORUM);
	assert_int_equal(node->seen[6].params.consistency, CQL_EACH_QUORUM);
}

/* Hazard 1 of obox 3.8: Dovecot would report OVERLOADED, a certain failure. */
CLIENT_TEST(an_uncertain_primary_attempt_is_not_hidden_by_the_fallbacks_failure, 1)
{
	t->settings.consistency[CQL_STATEMENT_DELETE] = CQL_EACH_QUORUM;
	node_will_fail(&t->w->nodes[0], CQL_E_WRITE_TIMEOUT, "timed out");
	node_will_fail(&t->w->nodes[0], CQL_E_OVERLOADED, "overloaded");
	open_client(t);
	delete_one(t);
	assert_fails(t, LAB_UNCERTAIN, "All hosts in current policy attempted");
	assert_int_equal(cql_client_counter(t->client, CQL_RECV_ERR_SERVER_TIMEOUT), 1);
	assert_int_equal(cql_client_counter(t->client, CQL_RECV_ERR_NO_HOSTS), 1);
}

CLIENT_TEST(a_second_failure_in_the_fallback_is_final, 1)
{
	struct node *node = &t->w->nodes[0];
	t->settings.consistency[CQL_STATEMENT_READ] = CQL_QUORUM;
	node_will_fail(node, CQL_E_READ_TIMEOUT, "one");
	node_will_fail(node, CQL_E_READ_TIMEOUT, "two");
	open_client(t);
	read_one(t);
	assert_fails(t, LAB_TIMEOUT, "two");
	assert_int_equal(node->seen_count, 2);
}

/* ---- connections ---- */

CLIENT_TEST(the_password_is_sent_and_its_refusal_is_told, 1)
{
	t->w->nodes[0].needs_password = true;
	t->settings.user = "dovecot";
	t->settings.password = "secret";
	open_client(t);
	read_one(t);
	assert_ok(t);
	cql_client_close(&t->client);

	t->settings.password = "wrong";
	open_client(t);
	read_one(t);
	assert_fails(t, LAB_UNAVAILABLE,
		"Couldn't connect to Cassandra: Provided username dovecot and/or password are "
		"incorrect");
	cql_client_close(&t->client);

	char *long_password = lab_arena_alloc(t->arena, 5001);
	for (size_t i = 0; i < 5000; i++)
		long_password[i] = 'p';
	t->settings.password = long_password;
	open_client(t);
	read_one(t);
	assert_fails(t, LAB_UNAVAILABLE, "The password is too long");
	cql_client_close(&t->client);

	t->settings.user = NULL;
	open_client(t);
	read_one(t);
	assert_fails(t, LAB_UNAVAILABLE, "Authentication required but no auth provider set");
	assert_false(world_logged(t->w, "wrong"));
}

CLIENT_TEST(reconnecting_waits_longer_each_time, 1)
{
	struct node *node = &t->w->nodes[0];
	node->refuses = true;
	t->settings.reconnect_max_ns = 10 * LAB_SEC;
	open_client(t);
	read_one(t);
	assert_int_equal(t->status, -1);
	/* 2 s, 4 s, 8 s, 10 s, 10 s..., within 15 %. */
	env_sleep(&t->w->env, 11 * LAB_SEC);
	assert_int_equal(node->attempts, 3);
	env_sleep(&t->w->env, 49 * LAB_SEC);
	assert_in_range(node->attempts, 7, 8);
	node->refuses = false;
	env_sleep(&t->w->env, 12 * LAB_SEC);
	assert_int_equal(cql_client_connected(t->client), 1);
	read_one(t);
	assert_ok(t);
}

CLIENT_TEST(news_that_a_node_is_up_shortens_the_wait, 2)
{
	t->w->nodes[1].refuses = true;
	open_client(t);
	env_sleep(&t->w->env, 100 * LAB_SEC);
	assert_int_equal(t->w->nodes[0].registers, 1);
	t->w->nodes[1].refuses = false;
	node_event_up(&t->w->nodes[0], "127.0.0.2");
	env_sleep(&t->w->env, LAB_SEC);
	assert_int_equal(cql_client_connected(t->client), 2);
}

CLIENT_TEST(another_connection_takes_over_listening, 2)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	assert_int_equal(t->w->nodes[0].registers + t->w->nodes[1].registers, 1);
	struct node *control = &t->w->nodes[t->w->nodes[0].registers == 1 ? 0 : 1];
	control->refuses = true;
	node_reset(control->last);
	env_sleep(&t->w->env, LAB_SEC);
	assert_int_equal(t->w->nodes[0].registers, 1);
	assert_int_equal(t->w->nodes[1].registers, 1);
}

CLIENT_TEST(heartbeats_keep_an_idle_connection, 1)
{
	open_client(t);
	env_sleep(&t->w->env, 301 * LAB_SEC);
	assert_int_equal(t->w->nodes[0].connections, 1);
	assert_in_range(t->w->nodes[0].options, 10, 11); /* one of them in the handshake */
}

CLIENT_TEST(without_heartbeats_an_idle_connection_lives_on, 1)
{
	t->settings.heartbeat_interval_ns = 0;
	t->settings.keyspace = NULL;
	open_client(t);
	env_sleep(&t->w->env, 301 * LAB_SEC);
	assert_int_equal(t->w->nodes[0].connections, 1);
	assert_int_equal(t->w->nodes[0].options, 1);
}

CLIENT_TEST(without_fibers_there_is_no_connection_until_there_are, 1)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_USEC);
	t->w->no_fibers = true;
	read_one(t);
	assert_fails(t, LAB_UNAVAILABLE, "All hosts in current policy attempted");
	t->w->no_fibers = false;
	env_sleep(&t->w->env, 3 * LAB_SEC);
	read_one(t);
	assert_ok(t);
	cql_client_close(&t->client);
	t->w->no_fibers = true;
	assert_int_equal(cql_client_open(&t->w->env, &t->settings, &t->client, &t->err), -1);
	assert_int_equal(t->err.code, LAB_LIMIT);
	t->client = NULL;
}

CLIENT_TEST(a_silent_node_is_given_up_after_the_idle_timeout, 1)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	t->w->nodes[0].silent = true;
	insert(t);
	/* The idle timeout comes just before the request's, so the connection is lost. */
	assert_int_equal(t->status, -1);
	assert_int_equal(t->err.code, LAB_UNAVAILABLE); /* PREPARE only: certain */
	env_sleep(&t->w->env, 2 * LAB_SEC);
	assert_int_equal(cql_client_connected(t->client), 0);
}

CLIENT_TEST(a_server_that_speaks_only_version_3_gets_literals, 1)
{
	struct node *node = &t->w->nodes[0];
	node->version_max = 3;
	open_client(t);
	struct cql_arg args[] = { { .kind = CQL_ARG_BLOB, .bytes = LAB_VIEW("\x01\xff") },
		{ .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("it's") } };
	execute(t, CQL_STATEMENT_WRITE, INSERT, args, 2);
	assert_ok(t);
	assert_int_equal(node->prepares, 0);
	assert_int_equal(node->seen[0].opcode, CQL_QUERY);
	assert_true(lab_view_eq_cstr(
		node->seen[0].query, "INSERT INTO t (v,k) VALUES (0x01ff,'it''s')"));
	static const uint8_t uuid[16] = { 0xab };
	struct cql_arg more[] = { { .kind = CQL_ARG_INT, .number = -5 }, { .kind = CQL_ARG_NULL },
		{ .kind = CQL_ARG_UUID, .bytes = { uuid, 16 } },
		{ .kind = CQL_ARG_INT, .number = 9 } };
	execute(t, CQL_STATEMENT_WRITE, TYPES, more, 4);
	assert_true(lab_view_eq_cstr(node->seen[1].query,
		"INSERT INTO types (a,b,c,d) VALUES "
		"(-5,null,ab000000-0000-0000-0000-000000000000,9)"));
	execute(t, CQL_STATEMENT_WRITE, TYPES, more, 3);
	assert_fails(t, LAB_INVALID, "do not fit its markers");
	execute(t, CQL_STATEMENT_READ, READ_ONE, args + 1, 1);
	assert_ok(t);
}

CLIENT_TEST(a_fixed_version_does_not_step_down, 1)
{
	t->w->nodes[0].version_max = 3;
	t->settings.protocol_version = 4;
	open_client(t);
	read_one(t);
	assert_fails(t, LAB_UNAVAILABLE, "Invalid or unsupported protocol version (4)");
}

CLIENT_TEST(when_all_stream_ids_are_taken_the_queue_is_full, 1)
{
	struct crowd crowd = { .t = t };
	t->settings.streams_per_connection = 8;
	t->settings.connections_per_host = 2;
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	delete_one(t);
	env_for_each(&t->w->env, 40, 40, one_of_many, &crowd);
	assert_int_equal(crowd.ok, 16);
	assert_int_equal(crowd.full, 24);
	assert_int_equal(cql_client_counter(t->client, CQL_RECV_ERR_QUEUE_FULL), 24);
	crowd = (struct crowd){ .t = t };
	env_for_each(&t->w->env, 16, 16, one_of_many, &crowd);
	assert_int_equal(crowd.ok, 16);
}

CLIENT_TEST(a_statement_too_long_for_the_queue_is_not_sent, 1)
{
	uint8_t *bytes = lab_arena_alloc(t->arena, 5000);
	struct cql_arg args[] = { { .kind = CQL_ARG_BLOB, .bytes = { bytes, 5000 } },
		{ .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("key") } };
	t->settings.queue_max_bytes = 4096;
	open_client(t);
	insert(t);
	assert_ok(t);
	execute(t, CQL_STATEMENT_WRITE, INSERT, args, 2);
	assert_fails(t, LAB_UNAVAILABLE, "All connections on all I/O threads are busy");
	insert(t);
	assert_ok(t);
}

CLIENT_TEST(a_statement_too_long_to_prepare_is_not_sent, 1)
{
	t->settings.queue_max_bytes = 100;
	open_client(t);
	char *text = lab_arena_alloc(t->arena, 111);
	for (size_t i = 0; i < 110; i++)
		text[i] = 'x';
	execute(t, CQL_STATEMENT_WRITE, text, NULL, 0);
	assert_fails(t, LAB_UNAVAILABLE, "All connections on all I/O threads are busy");
}

CLIENT_TEST(an_answer_longer_than_allowed_breaks_the_connection, 1)
{
	t->settings.frame_max_bytes = 400;
	open_client(t);
	char *text = lab_arena_alloc(t->arena, 1001);
	for (size_t i = 0; i < 1000; i++)
		text[i] = 'x';
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_ROWS, .rows = text });
	read_one(t);
	assert_fails(t, LAB_UNAVAILABLE, "All hosts in current policy attempted");
}

CLIENT_TEST(many_statements_share_a_connection, 1)
{
	struct crowd crowd = { .t = t };
	open_client(t);
	env_for_each(&t->w->env, 100, 100, one_of_many, &crowd);
	assert_int_equal(crowd.ok, 100);
	assert_int_equal(t->w->nodes[0].connections, 1);
	assert_int_equal(t->w->nodes[0].prepares, 1);
	assert_int_equal(t->w->nodes[0].seen_count, 100);
}

CLIENT_TEST(a_break_tells_everybody_who_waits, 1)
{
	struct crowd crowd = { .t = t };
	open_client(t);
	delete_one(t);
	for (int i = 0; i < 9; i++)
		node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_SILENCE });
	node_will(&t->w->nodes[0], (struct answer){ .kind = ANSWER_CLOSE });
	env_for_each(&t->w->env, 10, 10, one_of_many, &crowd);
	assert_int_equal(crowd.other, 10);
	assert_true(t->w->now_ns < LAB_SEC);
}

static void senseless_settings_are_refused(void **state)
{
	struct test *t = test_new(1);
	(void)state;
	const struct cql_settings good = t->settings;
	t->settings.host_count = 0;
	assert_int_equal(cql_client_open(&t->w->env, &t->settings, &t->client, &t->err), -1);
	assert_string_equal(t->err.message, "No hosts given in connect string");
	t->settings = good;
	t->settings.connections_per_host = 0;
	assert_int_equal(cql_client_open(&t->w->env, &t->settings, &t->client, &t->err), -1);
	t->settings = good;
	t->settings.streams_per_connection = CQL_STREAM_MAX + 1;
	assert_int_equal(cql_client_open(&t->w->env, &t->settings, &t->client, &t->err), -1);
	t->settings = good;
	t->settings.protocol_version = 2;
	assert_int_equal(cql_client_open(&t->w->env, &t->settings, &t->client, &t->err), -1);
	t->settings = good;
	t->settings.reconnect_base_ns = 0;
	assert_int_equal(cql_client_open(&t->w->env, &t->settings, &t->client, &t->err), -1);
	t->settings = good;
	t->settings.host_count = CQL_HOSTS_MAX + 1;
	assert_int_equal(cql_client_open(&t->w->env, &t->settings, &t->client, &t->err), -1);
	cql_client_close(&t->client);
	world_free(t->w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_statement_is_prepared_once_and_executed),
		cmocka_unit_test(writes_carry_growing_microsecond_timestamps),
		cmocka_unit_test(numbers_are_bound_in_the_width_of_their_column),
		cmocka_unit_test(pages_are_read_to_the_end_even_if_the_last_is_empty),
		cmocka_unit_test(later_pages_never_fall_back),
		cmocka_unit_test(more_rows_than_wanted_are_an_error),
		cmocka_unit_test(small_numbers_have_their_ranges),
		cmocka_unit_test(hosts_take_turns),
		cmocka_unit_test(a_host_that_is_down_is_passed_over),
		cmocka_unit_test(with_no_host_at_all_the_reason_is_told),
		cmocka_unit_test(overload_sends_a_statement_to_the_next_host),
		cmocka_unit_test(overload_everywhere_is_a_certain_failure),
		cmocka_unit_test(a_server_error_costs_the_connection),
		cmocka_unit_test(unavailable_is_retried_on_one_more_host_only),
		cmocka_unit_test(a_lost_connection_sends_a_statement_to_the_next_host),
		cmocka_unit_test(losing_the_last_connection_with_a_write_in_flight_is_uncertain),
		cmocka_unit_test(an_uncertain_attempt_is_not_forgotten_when_the_next_host_refuses),
		cmocka_unit_test(server_failures_end_in_their_class_and_words),
		cmocka_unit_test(failures_are_described_as_dovecot_does),
		cmocka_unit_test(a_read_timeout_without_data_is_retried_once),
		cmocka_unit_test(silence_ends_after_the_request_timeout),
		cmocka_unit_test(a_late_answer_is_not_taken_for_another_statements),
		cmocka_unit_test(a_timeout_before_anything_was_sent_is_certain),
		cmocka_unit_test(the_callers_deadline_neither_counts_nor_falls_back),
		cmocka_unit_test(an_answer_that_cannot_be_read_leaves_a_write_uncertain),
		cmocka_unit_test(an_answer_that_nobody_asked_for_breaks_the_connection),
		cmocka_unit_test(an_orderly_end_is_a_lost_connection_too),
		cmocka_unit_test(a_forgotten_statement_is_prepared_again),
		cmocka_unit_test(a_statement_that_stays_forgotten_fails),
		cmocka_unit_test(a_statement_that_cannot_be_prepared_fails_for_certain),
		cmocka_unit_test(a_host_that_is_too_busy_to_prepare_is_passed_over),
		cmocka_unit_test(an_odd_answer_to_prepare_is_a_certain_failure),
		cmocka_unit_test(
			a_crowd_that_waits_for_a_prepare_goes_to_the_next_host_if_it_is_lost),
		cmocka_unit_test(those_who_wait_for_anothers_prepare_have_their_own_deadline),
		cmocka_unit_test(a_host_lost_while_preparing_is_passed_over),
		cmocka_unit_test(a_failed_write_goes_out_again_with_the_fallback_level),
		cmocka_unit_test(
			an_uncertain_primary_attempt_is_not_hidden_by_the_fallbacks_failure),
		cmocka_unit_test(a_second_failure_in_the_fallback_is_final),
		cmocka_unit_test(the_password_is_sent_and_its_refusal_is_told),
		cmocka_unit_test(reconnecting_waits_longer_each_time),
		cmocka_unit_test(news_that_a_node_is_up_shortens_the_wait),
		cmocka_unit_test(another_connection_takes_over_listening),
		cmocka_unit_test(heartbeats_keep_an_idle_connection),
		cmocka_unit_test(without_heartbeats_an_idle_connection_lives_on),
		cmocka_unit_test(without_fibers_there_is_no_connection_until_there_are),
		cmocka_unit_test(a_silent_node_is_given_up_after_the_idle_timeout),
		cmocka_unit_test(a_server_that_speaks_only_version_3_gets_literals),
		cmocka_unit_test(a_fixed_version_does_not_step_down),
		cmocka_unit_test(when_all_stream_ids_are_taken_the_queue_is_full),
		cmocka_unit_test(a_statement_too_long_for_the_queue_is_not_sent),
		cmocka_unit_test(a_statement_too_long_to_prepare_is_not_sent),
		cmocka_unit_test(an_answer_longer_than_allowed_breaks_the_connection),
		cmocka_unit_test(many_statements_share_a_connection),
		cmocka_unit_test(a_break_tells_everybody_who_waits),
		cmocka_unit_test(senseless_settings_are_refused),
	};
	return cmocka_run_group_tests_name("cql-client", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-tracing.c - what traced requests leave in system_traces.
 */
#include "sim/cql-emulator/testing-cql.h"

#define SCHEMA \
	"CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', " \
	"'replication_factor': 3}; CREATE TABLE ks.t (p int PRIMARY KEY, v text)"

static struct test_world *world(void)
{
	struct test_world *w = test_world(3);
	w->hooks.latency = test_latency;
	test_start(w);
	test_setup_cql(w, SCHEMA);
	w->latency_ns = LAB_MSEC;
	return w;
}

/* The id of the trace, as text. */
static const char *traced(struct test_client *c, const char *cql, enum cql_consistency cl)
{
	struct cql_request request = test_query_request(cql, cl);
	char *text = lab_arena_alloc(c->world->arena, CQL_UUID_TEXT_MAX);
	request.tracing = true;
	struct cql_response r = test_ask(c, &request);
	assert_int_equal(r.tracing_id.len, CQL_UUID_BYTES);
	cql_uuid_format(r.tracing_id.ptr, text);
	assert_int_equal(text[14], '1'); /* time-based */
	return text;
}

static struct cql_response ask_traces(struct test_client *c, const char *columns, const char *id)
{
	return test_query(c,
		lab_arena_printf(c->world->arena,
			"SELECT %s FROM system_traces.%s WHERE session_id = %s", columns,
			strncmp(columns, "activity", 8) == 0 ? "events" : "sessions", id),
		CQL_ONE);
}

static void a_session_says_who_what_and_how_long(void **state)
{
	struct test_world *w = world();
	struct test_client *c = test_client(w, "n1");
	(void)state;
	const char *id = traced(c, "INSERT INTO ks.t (p, v) VALUES (1, 'it''s')", CQL_QUORUM);
	struct cql_response r = ask_traces(c,
		"command, coordinator_port, duration, request, parameters['query'], "
		"parameters['consistency_level'], parameters['serial_consistency_level'], "
		"started_at, coordinator, ttl(duration)",
		id);
	assert_int_equal(r.rows.row_count, 1);
	const struct lab_view *cells = r.rows.cells;
	assert_true(lab_view_eq_cstr(cells[0], "QUERY"));
	int64_t number;
	assert_int_equal(cql_value_to_i64(CQL_TYPE_INT, cells[1], &number), 0);
	assert_int_equal(number, 7000);
	assert_int_equal(cql_value_to_i64(CQL_TYPE_INT, cells[2], &number), 0);
	assert_int_equal(number, 2000); /* there and back */
	assert_true(lab_view_eq_cstr(cells[3], "Execute CQL3 query"));
	assert_true(lab_view_eq_cstr(cells[4], "INSERT INTO ks.t (p, v) VALUES (1, 'it''s')"));
	assert_true(lab_view_eq_cstr(cells[5], "QUORUM"));
	assert_true(lab_view_eq_cstr(cells[6], "SERIAL"));
	assert_memory_equal(cells[8].ptr, "\x7f\0\0\1", 4);
	test_disconnect(c);
	test_end(w);
}

static bool has_event(
	const struct cql_response *r, const char *activity, const char *source, int64_t elapsed_us)
{
	for (size_t i = 0; i < r->rows.row_count; i++) {
		const struct lab_view *cells = &r->rows.cells[3 * i];
		int64_t at;
		if (cql_value_to_i64(CQL_TYPE_INT, cells[2], &at) == 0 && at == elapsed_us &&
			lab_view_eq_cstr(cells[0], activity) &&
			memcmp(cells[1].ptr, source, 4) == 0)
			return true;
	}
	return false;
}

static void events_follow_the_messages(void **state)
{
	struct test_world *w = world();
	struct test_client *c = test_client(w, "n1");
	(void)state;
	const char *id = traced(c, "INSERT INTO ks.t (p, v) VALUES (1, 'a')", CQL_ALL);
	struct cql_response r = ask_traces(c, "activity, source, source_elapsed", id);
	assert_true(
		has_event(&r, "Parsing INSERT INTO ks.t (p, v) VALUES (1, 'a')", "\x7f\0\0\1", 0));
	assert_true(has_event(&r, "Sending MUTATION message to /127.0.0.2:7000", "\x7f\0\0\1", 0));
	assert_true(has_event(
		&r, "MUTATION message received from /127.0.0.1:7000", "\x7f\0\0\2", 1000));
	assert_true(has_event(&r, "Adding to t memtable", "\x7f\0\0\2", 1000));
	assert_true(has_event(
		&r, "MUTATION_RSP message received from /127.0.0.2:7000", "\x7f\0\0\1", 2000));
	id = traced(c, "SELECT * FROM ks.t WHERE p = 1", CQL_QUORUM);
	r = ask_traces(c, "activity, source, source_elapsed", id);
	assert_true(has_event(&r, "Executing single-partition query on t", "\x7f\0\0\1", 0) ||
		    has_event(&r, "Executing single-partition query on t", "\x7f\0\0\2", 1000));
	/* Another node shows the same. */
	struct test_client *other = test_client(w, "n3");
	assert_int_equal(ask_traces(other, "activity, source, source_elapsed", id).rows.row_count,
		r.rows.row_count);
	test_disconnect(other);
	test_disconnect(c);
	test_end(w);
}

static void preparing_and_failing_are_traced_too(void **state)
{
	struct test_world *w = world();
	struct test_client *c = test_client(w, "n1");
	struct cql_request request = { .opcode = CQL_PREPARE,
		.tracing = true,
		.query = LAB_VIEW("SELECT * FROM ks.t WHERE p = ?") };
	char text[CQL_UUID_TEXT_MAX];
	(void)state;
	struct cql_response r = test_ask(c, &request);
	assert_int_equal(r.tracing_id.len, CQL_UUID_BYTES);
	cql_uuid_format(r.tracing_id.ptr, text);
	r = ask_traces(c, "request", text);
	assert_true(lab_view_eq_cstr(r.rows.cells[0], "Preparing CQL3 query"));
	(void)traced(c, "SELECT * FROM ks.nothing", CQL_ONE);
	struct cql_request options = { .opcode = CQL_OPTIONS, .tracing = true };
	assert_int_equal(test_ask(c, &options).tracing_id.len, 0);
	test_disconnect(c);
	test_end(w);
}

static void traces_are_bounded_and_gone_after_a_day(void **state)
{
	struct test_world *w = world();
	struct test_client *c = test_client(w, "n1");
	(void)state;
	const char *first = traced(c, "SELECT key FROM system.local", CQL_ONE);
	for (unsigned i = 0; i < 127; i++)
		(void)traced(c, "SELECT key FROM system.local", CQL_ONE);
	struct cql_response r =
		test_query(c, "SELECT session_id FROM system_traces.sessions", CQL_ONE);
	assert_int_equal(r.rows.row_count, 128);
	const char *last = traced(c, "SELECT key FROM system.local", CQL_ONE);
	assert_int_equal(ask_traces(c, "request", first).rows.row_count, 0);
	assert_int_equal(ask_traces(c, "request", last).rows.row_count, 1);
	test_sleep(w, UINT64_C(86401) * LAB_SEC);
	assert_int_equal(ask_traces(c, "request", last).rows.row_count, 0);
	test_disconnect(c);
	test_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_session_says_who_what_and_how_long),
		cmocka_unit_test(events_follow_the_messages),
		cmocka_unit_test(preparing_and_failing_are_traced_too),
		cmocka_unit_test(traces_are_bounded_and_gone_after_a_day) };
	return cmocka_run_group_tests_name("cql-emulator-tracing", tests, NULL, NULL);
}

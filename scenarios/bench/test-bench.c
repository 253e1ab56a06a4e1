/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"
#include "core/cql/cql-codec.h"
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/cql-cassandra.h"
#include "scenarios/bench/emulators.h"
#include "scenarios/bench/servers.h"
#include "scenarios/bench/sockets.h"

#include <signal.h>
#include <unistd.h>

#define SHORT_NS (30 * LAB_MSEC)

static const struct bench_row *row_named(const char *name)
{
	size_t count;
	const struct bench_row *rows = bench_rows(&count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	fail_msg("no row %s", name);
	return NULL;
}

/* ---- choosing ---- */

static void the_first_rows_have_their_agreed_names(void **state)
{
	static const char *const names[] = { "fiber.switch_ns", "sim.requests_per_s",
		"sim.seeds_per_s", "live.s3.get_4k_per_s", "live.s3.put_4k_per_s",
		"live.cql.ops_per_s", "client.s3.cpu_us", "start.ms" };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(names); i++)
		assert_non_null(row_named(names[i])->run);
}

static void prefixes_choose_rows_in_the_tables_order(void **state)
{
	static const char *const prefixes[] = { "start", "live.s3", "start.ms" };
	const struct bench_row *chosen[BENCH_ROWS_MAX];
	struct lab_error err;
	size_t count, all;

	(void)state;
	assert_int_equal(bench_select(prefixes, 3, chosen, &count, &err), 0);
	assert_int_equal(count, 4);
	assert_string_equal(chosen[0]->name, "live.s3.get_4k_per_s");
	assert_string_equal(chosen[3]->name, "start.rss_mb");
	(void)bench_rows(&all);
	assert_int_equal(bench_select(NULL, 0, chosen, &count, &err), 0);
	assert_int_equal(count, all - 1); /* cql.row_bytes wants its name */
}

static void a_prefix_of_nothing_is_an_error_with_a_suggestion(void **state)
{
	static const char *const prefixes[] = { "start.mss" };
	const struct bench_row *chosen[BENCH_ROWS_MAX];
	struct lab_error err;
	size_t count;

	(void)state;
	assert_int_equal(bench_select(prefixes, 1, chosen, &count, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	assert_non_null(strstr(err.message, "mean start.ms?"));
}

/* ---- judging ---- */

static void budgets_are_met_from_the_right_side(void **state)
{
	static const struct {
		struct bench_row row;
		struct bench_result result;
		bool is_met;
	} cases[] = {
		{ { .budget = 30000, .less_is_better = true }, { .value = 30000 }, true },
		{ { .budget = 30000, .less_is_better = true }, { .value = 30001 }, false },
		{ { .budget = 30000 }, { .value = 30000 }, true },
		{ { .budget = 30000 }, { .value = 29999 }, false },
		{ { .budget = 0 }, { .value = 1 }, true },
		{ { .budget = 10, .ratio_min = 700 }, { .value = 70, .limit = 100 }, true },
		{ { .budget = 10, .ratio_min = 700 }, { .value = 69, .limit = 100 }, false },
		{ { .budget = 90, .ratio_min = 700 }, { .value = 80, .limit = 100 }, false },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++)
		assert_row(i, bench_is_met(&cases[i].row, &cases[i].result) == cases[i].is_met);
}

/* ---- printing ---- */

static const struct bench_row printed_rows[] = {
	{ .name = "a.fast", .unit = "1/s", .budget = 45000000, .ratio_min = 700 },
	{ .name = "b.cheap", .unit = "us", .budget = 30000, .less_is_better = true },
};
static const struct bench_result printed_results[] = {
	{ .value = 40000500, .limit = 60000000 },
	{ .value = 1234, .note = "mind the gap" },
};

static void the_table_shows_the_budget_and_marks_what_misses_it(void **state)
{
	struct lab_buf out;

	(void)state;
	lab_buf_init(&out, testing_heap, 65536);
	bench_print_row(&printed_rows[0], &printed_results[0], &out);
	assert_string_equal(lab_buf_cstr(&out),
		"a.fast                          40000 1/s       60000    0.66   "
		">= 45000, ratio >= 0.70   MISSED\n");
	lab_buf_reset(&out);
	bench_print_row(&printed_rows[1], &printed_results[1], &out);
	assert_string_equal(lab_buf_cstr(&out),
		"b.cheap                          1.23 us            -       -   <= 30.00\n"
		"    mind the gap\n");
	lab_buf_done(&out);
}

static void json_is_a_list_of_objects_with_five_keys(void **state)
{
	const struct bench_row *rows[] = { &printed_rows[0], &printed_rows[1] };
	struct lab_buf out;

	(void)state;
	lab_buf_init(&out, testing_heap, 65536);
	bench_print_json(rows, printed_results, 2, &out);
	assert_string_equal(lab_buf_cstr(&out), "[\n"
						"  {\n"
						"    \"name\": \"a.fast\",\n"
						"    \"value\": 40000.500,\n"
						"    \"unit\": \"1/s\",\n"
						"    \"limit\": 60000.000,\n"
						"    \"ratio\": 0.666\n"
						"  },\n"
						"  {\n"
						"    \"name\": \"b.cheap\",\n"
						"    \"value\": 1.234,\n"
						"    \"unit\": \"us\",\n"
						"    \"limit\": null,\n"
						"    \"ratio\": null\n"
						"  }\n"
						"]\n");
	lab_buf_done(&out);
}

/* ---- measuring ---- */

static int run_well(struct bench_result *ret, struct lab_error *err)
{
	(void)err;
	*ret = (struct bench_result){ .value = getpid(), .limit = 7, .note = "from afar" };
	return 0;
}

static int run_badly(struct bench_result *ret, struct lab_error *err)
{
	(void)ret;
	return lab_fail(err, LAB_REFUSED, "not today");
}

static int run_to_death(struct bench_result *ret, struct lab_error *err)
{
	(void)ret, (void)err;
	(void)raise(SIGKILL);
	return 0;
}

static int run_away(struct bench_result *ret, struct lab_error *err)
{
	(void)ret, (void)err;
	_exit(0);
}

static void a_row_runs_in_a_process_of_its_own(void **state)
{
	struct bench_row row = { .run = run_well };
	struct bench_result result;
	struct lab_error err;

	(void)state;
	assert_int_equal(bench_measure(&row, &result, &err), 0);
	assert_int_not_equal(result.value, getpid());
	assert_int_equal(result.limit, 7);
	assert_string_equal(result.note, "from afar");
}

static void what_a_row_fails_with_comes_back(void **state)
{
	struct bench_row row = { .run = run_badly };
	struct bench_result result;
	struct lab_error err;

	(void)state;
	assert_int_equal(bench_measure(&row, &result, &err), -1);
	assert_int_equal(err.code, LAB_REFUSED);
	assert_string_equal(err.message, "not today");
	row.run = run_to_death;
	assert_int_equal(bench_measure(&row, &result, &err), -1);
	assert_int_equal(err.code, LAB_INTERNAL);
	assert_string_equal(err.message, "died of signal 9");
	row.run = run_away;
	assert_int_equal(bench_measure(&row, &result, &err), -1);
	assert_string_equal(err.message, "ended without a result");
}

static int next_of(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	static const int64_t samples[] = { 5, 50, 3, 30, 9, 90, 4, 40, 6, 60 };
	size_t *next = ctx;

	(void)slice_ns, (void)err;
	*ret = samples[(*next)++ % LAB_COUNT_OF(samples)];
	return 0;
}

static void the_best_of_several_turns_counts(void **state)
{
	struct bench_result result;
	size_t next = 0;

	(void)state;
	assert_int_equal(bench_take_turns(next_of, next_of, &next, false, &result, NULL), 0);
	assert_int_equal(next, 2 * BENCH_TURNS);
	assert_int_equal(result.value, 9);
	assert_int_equal(result.limit, 90);
	assert_int_equal(bench_take_turns(next_of, next_of, &next, true, &result, NULL), 0);
	assert_int_equal(result.value, 3);
	assert_int_equal(result.limit, 30);
}

/* ---- the clients count what servers did ---- */

static void the_http_client_counts_every_answer(void **state)
{
	struct http_load load = { .request_count = 2, .connections = 4 };
	struct bench_load_result result;
	struct lab_http_request put, get;
	struct lab_view wire[2];
	struct emulators e;
	uint64_t requests;

	(void)state;
	emulators_init(&e);
	assert_int_equal(emulators_s3(&e, NULL), 0);
	assert_int_equal(bench_s3_request(&e, "PUT", 3, &put, NULL), 0);
	assert_int_equal(bench_s3_request(&e, "GET", 3, &get, NULL), 0);
	wire[0] = bench_http_wire(&e, &put);
	wire[1] = bench_http_wire(&e, &get);
	assert_int_equal(emulators_s3_serve(&e, NULL), 0);
	load.port = http_front_end_port(e.s3_front);
	load.requests = wire;
	assert_int_equal(http_load_once(load.port, wire[0], NULL), 0);
	assert_int_equal(http_load_run(&load, SHORT_NS, &result, NULL), 0);
	assert_true(result.ns >= SHORT_NS);
	http_front_end_free(&e.s3_front);
	requests = s3emu_counters(e.s3)->requests;
	/* The one before, and up to one in flight on each connection. */
	assert_in_range(requests, result.answers + 1, result.answers + 1 + load.connections);
	assert_int_equal(s3emu_counters(e.s3)->by_status[S3EMU_GET][200] +
				 s3emu_counters(e.s3)->by_status[S3EMU_PUT][200],
		requests);
	emulators_free(&e);
}

static void the_http_client_stops_at_a_refusal(void **state)
{
	struct http_load load = { .request_count = 1, .connections = 2 };
	struct bench_load_result result;
	struct lab_http_request get;
	struct lab_error err;
	struct lab_view wire;
	struct emulators e;

	(void)state;
	emulators_init(&e);
	assert_int_equal(emulators_s3(&e, NULL), 0);
	assert_int_equal(emulators_s3_serve(&e, NULL), 0);
	assert_int_equal(bench_s3_request(&e, "GET", 1, &get, NULL), 0);
	get.target = LAB_VIEW("/something/else");
	wire = bench_http_wire(&e, &get);
	load.port = http_front_end_port(e.s3_front);
	load.requests = &wire;
	assert_int_equal(http_load_run(&load, SHORT_NS, &result, &err), -1);
	assert_int_equal(err.code, LAB_CORRUPT);
	assert_non_null(strstr(err.message, "403"));
	emulators_free(&e);
	assert_int_equal(http_load_run(&load, SHORT_NS, &result, &err), -1);
	assert_int_equal(err.code, LAB_REFUSED);
}

struct direct {
	struct sim_stream_service service;
	void *connection;
	struct lab_buf answer;
};

static void on_direct_output(void *ctx, struct lab_view data, enum sim_wire wire)
{
	assert_int_equal(wire, SIM_WIRE_ANSWER);
	lab_buf_append_view(&((struct direct *)ctx)->answer, data);
}

static int ask_directly(
	void *ctx, struct lab_view frame, struct lab_view *ret, struct lab_error *err)
{
	struct direct *direct = ctx;

	(void)err;
	lab_buf_reset(&direct->answer);
	direct->service.ops->input(direct->connection, frame, 0);
	*ret = lab_buf_view(&direct->answer);
	return 0;
}

static void every_select_finds_the_row_that_was_inserted_before_it(void **state)
{
	struct sim_peer peer = { .name = LAB_VIEW("bench"), .hops = 1 };
	struct lab_view *frames, answer;
	struct cql_response response;
	struct cql_frame frame;
	struct direct direct;
	struct emulators e;
	size_t used;

	(void)state;
	emulators_init(&e);
	assert_int_equal(emulators_cql(&e, BENCH_CQL_NODES_MAX, NULL), 0);
	direct.service = cqlemu_service(e.cql);
	lab_buf_init(&direct.answer, e.heap, 65536);
	direct.connection = direct.service.ops->accept(direct.service.service,
		LAB_VIEW("cassandra-1"), &peer, 0, on_direct_output, &direct);
	assert_int_equal(ask_directly(&direct, bench_cql_startup(&e), &answer, NULL), 0);
	assert_int_equal(bench_cql_frames(&e, ask_directly, &direct, &frames, NULL), 0);
	for (size_t i = 0; i < BENCH_CQL_FRAMES; i++) {
		assert_int_equal(ask_directly(&direct, frames[i], &answer, NULL), 0);
		assert_int_equal(cql_frame_next(answer, 65536, &frame, &used, NULL), 1);
		assert_int_equal(cql_response_decode(&frame, e.arena, &response, NULL), 0);
		assert_int_equal(response.opcode, CQL_RESULT);
		assert_int_equal(response.kind, i % 2 == 0 ? CQL_RESULT_VOID : CQL_RESULT_ROWS);
		assert_int_equal(response.rows.row_count, i % 2);
	}
	lab_buf_done(&direct.answer);
	emulators_free(&e);
}

struct counting {
	struct cqlemu *cql;
	struct cqlemu_counters counters;
};

static void count(void *ctx)
{
	struct counting *counting = ctx;

	cqlemu_counters(counting->cql, &counting->counters);
}

static void the_cql_client_counts_every_answer(void **state)
{
	struct cql_request select = { .opcode = CQL_QUERY,
		.query = LAB_VIEW("SELECT i FROM mails.user_index_objects WHERE u='a' AND n='b'"),
		.params = { .consistency = CQL_ONE } };
	struct cql_load load = { .frame_count = 1, .connections = 2, .streams = 8 };
	struct bench_load_result result;
	struct counting counting;
	struct lab_view frame;
	struct emulators e;
	struct lab_buf out;

	(void)state;
	lab_buf_init(&out, testing_heap, 4096);
	cql_request_encode(&out, CQL_VERSION, 0, &select);
	frame = lab_buf_view(&out);
	emulators_init(&e);
	assert_int_equal(emulators_cql(&e, 1, NULL), 0);
	assert_int_equal(emulators_cql_serve(&e, NULL), 0);
	load.target.port = stream_front_end_port(e.cql_front);
	load.hello = bench_cql_startup(&e);
	load.frames = &frame;
	assert_int_equal(cql_load_run(&load, SHORT_NS, &result, NULL), 0);
	counting.cql = e.cql;
	stream_front_end_call(e.cql_front, count, &counting);
	assert_true(result.answers > 0);
	assert_in_range(counting.counters.selects, result.answers,
		result.answers + (uint64_t)load.connections * load.streams);
	assert_int_equal(counting.counters.errors, 0);
	emulators_free(&e);
	lab_buf_done(&out);
}

static void the_cql_client_stops_at_an_error(void **state)
{
	struct cql_request unknown = { .opcode = CQL_EXECUTE,
		.query = LAB_VIEW("0123456789abcdef"),
		.params = { .consistency = CQL_ONE } };
	struct cql_load load = { .frame_count = 1, .connections = 1, .streams = 2 };
	struct bench_load_result result;
	struct lab_error err;
	struct lab_view frame;
	struct emulators e;
	struct lab_buf out;

	(void)state;
	lab_buf_init(&out, testing_heap, 4096);
	cql_request_encode(&out, CQL_VERSION, 0, &unknown);
	frame = lab_buf_view(&out);
	emulators_init(&e);
	assert_int_equal(emulators_cql(&e, 1, NULL), 0);
	assert_int_equal(emulators_cql_serve(&e, NULL), 0);
	load.target.port = stream_front_end_port(e.cql_front);
	load.hello = bench_cql_startup(&e);
	load.frames = &frame;
	assert_int_equal(cql_load_run(&load, SHORT_NS, &result, &err), -1);
	assert_int_equal(err.code, LAB_CORRUPT);
	assert_non_null(strstr(err.message, "ERROR"));
	emulators_free(&e);
	lab_buf_done(&out);
}

/* ---- the rows themselves ---- */

static void run_rows(const char *prefix, bool has_limit)
{
	const struct bench_row *chosen[BENCH_ROWS_MAX];
	struct bench_result result;
	struct lab_error err;
	size_t count;

	assert_int_equal(bench_select(&prefix, 1, chosen, &count, &err), 0);
	for (size_t i = 0; i < count; i++) {
		if (chosen[i]->run(&result, &err) < 0)
			fail_msg("%s: %s", chosen[i]->name, err.message);
		assert_true(result.value > 0);
		assert_true((result.limit > 0) == has_limit);
	}
}

static void switches_cost_something(void **state)
{
	(void)state;
	run_rows("fiber", true);
}

static void emulators_answer_over_sockets(void **state)
{
	(void)state;
	run_rows("live", true);
}

static void the_cores_client_gets_its_objects(void **state)
{
	(void)state;
	run_rows("client", true);
}

static void emulators_start(void **state)
{
	(void)state;
	run_rows("start", false);
}

static void storms_are_run_from_the_binary(void **state)
{
	(void)state;
	run_rows("sim.requests", true);
	run_rows("sim.seeds", false);
}

static void servers_are_read(void **state)
{
	struct lab_pool *pool = lab_pool_new(1 << 20);
	struct lab_heap *heap = lab_heap_new(pool, 1 << 20);
	struct lab_arena *arena = lab_arena_new(heap, 1 << 16);
	static const struct {
		const char *text;
		enum lab_code code;
	} wrong[] = {
		{ "", LAB_INVALID },
		{ "a", LAB_INVALID },
		{ "a=http://127.0.0.1:80,k,s", LAB_INVALID },
		{ "=http://127.0.0.1:80,k,s,b", LAB_INVALID },
		{ "a=http://127.0.0.1:0,k,s,b", LAB_INVALID },
		{ "a=http://127.0.0.1:65536,k,s,b", LAB_INVALID },
		{ "a=http://127.0.0.1:80,k,s,b,x", LAB_INVALID },
		{ "a=http://127.0.0.1:80,k,s,b,1,2,3", LAB_INVALID },
		{ "a=http://10.0.0.1:80,k,s,b", LAB_DENIED },
		{ "a=https://127.0.0.1:80,k,s,b", LAB_DENIED },
	};
	struct bench_server server;
	struct lab_error err;

	(void)state;
	assert_int_equal(bench_server_parse(
				 "a=http://127.0.0.1:9000,KEY,S/+=,b,12,34", arena, &server, &err),
		0);
	assert_string_equal(server.name, "a");
	assert_int_equal(server.port, 9000);
	assert_true(lab_view_eq(server.secret, LAB_VIEW("S/+=")));
	assert_true(lab_view_eq(server.bucket, LAB_VIEW("b")));
	assert_int_equal(server.pid, 12);
	assert_int_equal(server.start_ms, 34);
	for (size_t i = 0; i < LAB_COUNT_OF(wrong); i++) {
		assert_int_equal(bench_server_parse(wrong[i].text, arena, &server, &err), -1);
		assert_int_equal(err.code, wrong[i].code);
		assert_null(strstr(err.message, "10.0.0.1:80,k"));
	}
	lab_arena_free(&arena);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

static void only_a_cassandra_on_loopback_is_measured(void **state)
{
	static const struct {
		const char *address;
		enum lab_code code;
	} wrong[] = { { "10.0.0.1:9042", LAB_DENIED }, { "localhost:9042", LAB_DENIED },
		{ "127.0.0.1", LAB_INVALID }, { "127.0.0.1:0", LAB_INVALID },
		{ "127.0.0.1:70000", LAB_INVALID }, { "127.0.0.1:x", LAB_INVALID } };
	const struct bench_row *chosen[BENCH_CASSANDRA_ROWS];
	struct bench_result result;
	struct lab_error err;
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(wrong); i++) {
		assert_int_equal(bench_cassandra_rows(wrong[i].address, chosen, &count, &err), -1);
		assert_int_equal(err.code, wrong[i].code);
		assert_int_equal(count, 0);
	}
	/* Nobody is there. */
	assert_int_equal(bench_cassandra_rows("127.77.77.77:1", chosen, &count, &err), 0);
	assert_int_equal(count, BENCH_CASSANDRA_ROWS);
	assert_int_equal(chosen[0]->run(&result, &err), -1);
	assert_int_equal(err.code, LAB_REFUSED);
}

/* The emulator stands for the genuine one: its rows are asked and counted like it. */
static void a_cassandra_is_compared_with_the_emulator(void **state)
{
	const struct bench_row *chosen[BENCH_CASSANDRA_ROWS];
	struct bench_result result;
	struct lab_error err;
	struct emulators e;
	char address[32];
	size_t count = 0;

	(void)state;
	emulators_init(&e);
	assert_int_equal(emulators_cql(&e, BENCH_CQL_NODES_MAX, &err), 0);
	assert_int_equal(emulators_cql_serve(&e, &err), 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", stream_front_end_port(e.cql_front));
	assert_int_equal(bench_cassandra_rows(address, chosen, &count, &err), 0);
	if (chosen[1]->run(&result, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(result.value > 0 && result.limit > 0);
	assert_non_null(strstr(result.note, "3 nodes"));
	/* Nothing of it is left. */
	assert_int_equal(cqlemu_snapshot(e.cql, LAB_VIEW("oboxlab_bench.user_mailbox_objects"), 0,
				 NULL, NULL, &err),
		-1);
	emulators_free(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_rows_have_their_agreed_names),
		cmocka_unit_test(prefixes_choose_rows_in_the_tables_order),
		cmocka_unit_test(a_prefix_of_nothing_is_an_error_with_a_suggestion),
		cmocka_unit_test(budgets_are_met_from_the_right_side),
		cmocka_unit_test(the_table_shows_the_budget_and_marks_what_misses_it),
		cmocka_unit_test(json_is_a_list_of_objects_with_five_keys),
		cmocka_unit_test(a_row_runs_in_a_process_of_its_own),
		cmocka_unit_test(what_a_row_fails_with_comes_back),
		cmocka_unit_test(the_best_of_several_turns_counts),
		cmocka_unit_test(the_http_client_counts_every_answer),
		cmocka_unit_test(the_http_client_stops_at_a_refusal),
		cmocka_unit_test(every_select_finds_the_row_that_was_inserted_before_it),
		cmocka_unit_test(the_cql_client_counts_every_answer),
		cmocka_unit_test(the_cql_client_stops_at_an_error),
		cmocka_unit_test(switches_cost_something),
		cmocka_unit_test(emulators_answer_over_sockets),
		cmocka_unit_test(the_cores_client_gets_its_objects),
		cmocka_unit_test(emulators_start),
		cmocka_unit_test(servers_are_read),
		cmocka_unit_test(only_a_cassandra_on_loopback_is_measured),
		cmocka_unit_test(a_cassandra_is_compared_with_the_emulator),
		cmocka_unit_test(storms_are_run_from_the_binary),
	};

	return cmocka_run_group_tests_name("bench", tests, testing_setup, testing_teardown);
}

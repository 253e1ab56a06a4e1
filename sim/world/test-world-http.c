/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/test-world.h"

#include <stdio.h>

/* b1 (az1) to the service (regional, so as far as another zone): 10 ms one way. A new connection is
 * one round trip, with TLS two. */
#define ONE_WAY (10 * LAB_MSEC)

static struct fake_http fake;
static int finished;

static const struct env_http_limits limits = {
	.connect_timeout_ns = 2 * LAB_SEC,
	.response_timeout_ns = 5 * LAB_SEC,
	.response_max_bytes = 1000,
};

static void add_service(struct test_world *test, const struct world_service_settings *more)
{
	struct world_service_settings settings = *more;
	struct sim_http_service service = { &fake_http_ops, &fake };

	settings.name = "s3";
	settings.authority = "*.s3.example.com";
	world_http_service(test->world, &settings, &service);
}

static int setup(void **state)
{
	int result = test_setup(state);

	memset(&fake, 0, sizeof(fake));
	finished = 0;
	add_service(*state, &(struct world_service_settings){ 0 });
	return result;
}

static struct lab_http_request make_request(const char *method, const char *target)
{
	return (struct lab_http_request){ .method = lab_view_cstr(method),
		.authority = LAB_VIEW("bucket.S3.example.com"),
		.target = lab_view_cstr(target),
		.body = LAB_VIEW("hello") };
}

/* One exchange from b1; asserts the outcome (a code) and how long it took. */
static struct env_http_stats exchange_with(struct test_world *test,
	const struct lab_http_request *request, const struct env_http_limits *with,
	enum lab_code expected, uint64_t expected_ns)
{
	char length[24];
	struct lab_arena *arena = test_arena(test);
	struct lab_http_response response;
	struct env_http_stats stats;
	struct lab_error err = { 0 };
	uint64_t started = env_now(test->env);
	int result = env_http(test->env, request, with, arena, &response, &stats, &err);

	if (result == 0) {
		assert_int_equal(expected, LAB_OK);
		assert_int_equal(response.status, fake.status == 0 ? 200 : fake.status);
		assert_true(
			lab_view_eq_cstr(lab_http_header_get(&response.headers, "X-Fake"), "yes"));
		/* The length of the body, also where it is not sent. */
		(void)snprintf(length, sizeof(length), "%zu", fake.body.len);
		assert_true(lab_view_eq_cstr(
			lab_http_header_get(&response.headers, "Content-Length"), length));
		assert_true(
			lab_view_eq(response.body, fake.head ? (struct lab_view){ 0 } : fake.body));
	} else if (err.code != expected) {
		fail_msg("%s instead of %s: %s", lab_code_name(err.code), lab_code_name(expected),
			err.message);
	} else if (expected != LAB_LIMIT && expected != LAB_CORRUPT) {
		assert_true(err.retryable || strstr(err.message, "resolve") != NULL);
	}
	assert_int_equal(env_now(test->env) - started, expected_ns);
	lab_arena_free(&arena);
	return stats;
}

static struct env_http_stats exchange(
	struct test_world *test, enum lab_code expected, uint64_t expected_ns)
{
	struct lab_http_request request = make_request("PUT", "/a%20b?x=1");

	return exchange_with(test, &request, &limits, expected, expected_ns);
}

static void put_twice(void *arg)
{
	struct test_world *test = arg;
	struct env_http_stats stats = exchange(test, LAB_OK, 4 * ONE_WAY);

	assert_false(stats.reused);
	assert_true(stats.request_sent);
	assert_int_equal(stats.connect_ns, 2 * ONE_WAY);
	assert_int_equal(stats.response_ns, 2 * ONE_WAY);
	assert_string_equal(fake.target, "/a%20b?x=1");
	assert_string_equal(fake.body_seen, "hello");
	assert_string_equal(fake.peer, "b1");
	stats = exchange(test, LAB_OK, 2 * ONE_WAY);
	assert_true(stats.reused);
	assert_int_equal(fake.connections[0], fake.connections[1]);
	finished++;
}

static void an_exchange_takes_round_trips_and_keeps_its_connection(void **state)
{
	struct test_world *test = *state;

	fake.body = LAB_VIEW("the body");
	test_on_b1(test, put_twice);

	assert_int_equal(finished, 1);
	assert_int_equal(fake.submits, 2);
	assert_int_equal(world_counters(test->world).http_connects, 1);
	assert_int_equal(world_counters(test->world).http_requests, 2);
}

static void use_tls_and_fresh(void *arg)
{
	struct test_world *test = arg;
	struct lab_http_request request = make_request("GET", "/");
	struct env_http_limits fresh = limits;

	request.tls = true;
	(void)exchange_with(test, &request, &limits, LAB_OK, 6 * ONE_WAY);
	fresh.fresh_connection = true;
	(void)exchange_with(test, &request, &fresh, LAB_OK, 6 * ONE_WAY);
	/* Another scheme is another port, and another connection. */
	request.tls = false;
	(void)exchange_with(test, &request, &limits, LAB_OK, 4 * ONE_WAY);
	fake.head = true;
	fake.body = LAB_VIEW("not sent");
	(void)exchange_with(test, &request, &limits, LAB_OK, 2 * ONE_WAY);
	finished++;
}

static void tls_adds_a_round_trip_and_fresh_means_a_new_connection(void **state)
{
	test_on_b1(*state, use_tls_and_fresh);

	assert_int_equal(finished, 1);
	assert_int_not_equal(fake.connections[0], fake.connections[1]);
}

static void ask_nobody(void *arg)
{
	struct test_world *test = arg;
	struct lab_http_request request = make_request("GET", "/");
	static const char *const nobody[] = { "s3.example.com", "bucket.s3.example.com:8080",
		"bucket.s3.example.com:0", "bucket.s3.example.com:x", "bucket.s3.example.org", "" };

	for (size_t i = 0; i < LAB_COUNT_OF(nobody); i++) {
		request.authority = lab_view_cstr(nobody[i]);
		assert_false(exchange_with(test, &request, &limits, LAB_REFUSED, 0).request_sent);
	}
	finished++;
}

static void unknown_names_are_refused(void **state)
{
	test_on_b1(*state, ask_nobody);

	assert_int_equal(finished, 1);
	assert_int_equal(fake.submits, 0);
}

/* ---- what the wire does to a reply ---- */

static void try_wires(void *arg)
{
	struct test_world *test = arg;

	fake.wire = SIM_WIRE_RESET;
	assert_true(exchange(test, LAB_UNCERTAIN, 4 * ONE_WAY).request_sent);
	fake.wire = SIM_WIRE_TRUNCATE;
	assert_false(exchange(test, LAB_UNCERTAIN, 4 * ONE_WAY).reused);
	fake.wire = SIM_WIRE_SILENCE;
	(void)exchange(test, LAB_UNCERTAIN, 2 * ONE_WAY + limits.response_timeout_ns);
	fake.wire = SIM_WIRE_ANSWER_CLOSE;
	assert_false(exchange(test, LAB_OK, 4 * ONE_WAY).reused);
	fake.wire = SIM_WIRE_ANSWER;
	assert_false(exchange(test, LAB_OK, 4 * ONE_WAY).reused);
	finished++;
}

static void broken_replies_are_uncertain_and_end_the_connection(void **state)
{
	struct test_world *test = *state;

	fake.body = LAB_VIEW("four");
	test_on_b1(test, try_wires);

	assert_int_equal(finished, 1);
	assert_int_equal(fake.submits, 5);
	assert_int_equal(world_counters(test->world).http_uncertain, 3);
}

static void be_impatient(void *arg)
{
	struct test_world *test = arg;

	fake.delay_ns = 8 * LAB_SEC;
	(void)exchange(test, LAB_UNCERTAIN, 2 * ONE_WAY + limits.response_timeout_ns);
	assert_int_equal(fake.submits, 1);
	fake.delay_ns = 0;
	assert_false(exchange(test, LAB_OK, 4 * ONE_WAY).reused);
	finished++;
}

static void a_request_that_timed_out_still_executes(void **state)
{
	struct test_world *test = *state;

	test_on_b1(test, be_impatient);

	assert_int_equal(finished, 1);
	/* The reply that nobody waits for came, and did no harm. */
	assert_int_equal(fake.pending_count, 0);
	assert_int_equal(world_now(test->world), 8 * LAB_SEC + 4 * ONE_WAY);
}

static void obey_deadline(void *arg)
{
	struct test_world *test = arg;
	struct lab_http_request request = make_request("GET", "/");
	struct env_http_limits whole = limits;

	/* While connecting, and while waiting. */
	whole.deadline_ns = ONE_WAY;
	(void)exchange_with(test, &request, &whole, LAB_TIMEOUT, ONE_WAY);
	assert_int_equal(fake.submits, 0);
	whole.deadline_ns = env_now(test->env) + 3 * ONE_WAY;
	(void)exchange_with(test, &request, &whole, LAB_UNCERTAIN, 3 * ONE_WAY);
	/* The shorter one counts. */
	whole.deadline_ns = env_now(test->env) + LAB_MINUTE;
	fake.wire = SIM_WIRE_SILENCE;
	(void)exchange_with(
		test, &request, &whole, LAB_UNCERTAIN, 2 * ONE_WAY + limits.response_timeout_ns);
	finished++;
}

static void an_exchange_may_have_a_deadline_as_a_whole(void **state)
{
	test_on_b1(*state, obey_deadline);

	assert_int_equal(finished, 1);
}

static void ask_too_much(void *arg)
{
	struct test_world *test = arg;
	static uint8_t big[1001];

	fake.body = lab_view_of(big, sizeof(big));
	(void)exchange(test, LAB_LIMIT, 4 * ONE_WAY);
	fake.body.len = 1000;
	(void)exchange(test, LAB_OK, 4 * ONE_WAY);
	fake.status = 99;
	(void)exchange(test, LAB_CORRUPT, 2 * ONE_WAY);
	finished++;
}

static void a_response_has_limits(void **state)
{
	test_on_b1(*state, ask_too_much);

	assert_int_equal(finished, 1);
}

/* ---- partitions, in each phase ---- */

static void cut(void *ctx)
{
	struct test_world *test = ctx;

	(void)world_partition(test->world, "b1", "s3", false);
}

static void heal(void *ctx)
{
	struct test_world *test = ctx;

	world_heal_all(test->world);
}

static void cut_at(struct test_world *test, uint64_t from_ns, uint64_t until_ns)
{
	world_at(test->world, env_now(test->env) + from_ns, cut, test);
	world_at(test->world, env_now(test->env) + until_ns, heal, test);
}

static void cut_phases(void *arg)
{
	struct test_world *test = arg;
	uint64_t response_timeout = 2 * ONE_WAY + limits.response_timeout_ns;

	/* While connecting: certainly not received. */
	cut_at(test, 0, 3 * LAB_SEC);
	env_sleep(test->env, 1);
	assert_false(exchange(test, LAB_TIMEOUT, limits.connect_timeout_ns).request_sent);
	assert_int_equal(fake.submits, 0);
	env_sleep(test->env, 2 * LAB_SEC);
	/* A SYN that is lost is sent again after a second. */
	cut_at(test, 0, LAB_SEC / 2);
	env_sleep(test->env, 1);
	(void)exchange(test, LAB_OK, LAB_SEC + 4 * ONE_WAY);
	/* The request is on its way. */
	env_sleep(test->env, LAB_MINUTE);
	cut_at(test, 2 * ONE_WAY + 1, 3 * ONE_WAY + 1);
	(void)exchange(test, LAB_UNCERTAIN, response_timeout);
	assert_int_equal(fake.submits, 1);
	/* The reply is on its way. */
	cut_at(test, 3 * ONE_WAY + 1, 4 * ONE_WAY + 1);
	(void)exchange(test, LAB_UNCERTAIN, response_timeout);
	assert_int_equal(fake.submits, 2);
	/* The service wants to reply while the path is cut. */
	fake.delay_ns = ONE_WAY;
	cut_at(test, 3 * ONE_WAY + 1, 4 * ONE_WAY + 1);
	(void)exchange(test, LAB_UNCERTAIN, response_timeout);
	/* A kept-alive connection: lost when sent. */
	fake.delay_ns = 0;
	(void)exchange(test, LAB_OK, 4 * ONE_WAY);
	cut_at(test, 0, LAB_SEC);
	env_sleep(test->env, 1);
	assert_true(exchange(test, LAB_UNCERTAIN, limits.response_timeout_ns).reused);
	assert_int_equal(fake.submits, 4);
	finished++;
}

static void a_partition_is_a_timeout_before_and_uncertain_after_sending(void **state)
{
	struct test_world *test = *state;

	test_on_b1(test, cut_phases);

	assert_int_equal(finished, 1);
	assert_true(world_counters(test->world).dropped >= 5);
}

static void ask_down_node(void *arg)
{
	struct test_world *test = arg;

	world_node_down(test->world, LAB_VIEW("s3"));
	(void)exchange(test, LAB_REFUSED, 2 * ONE_WAY);
	world_node_up(test->world, LAB_VIEW("s3"));
	(void)exchange(test, LAB_OK, 4 * ONE_WAY);
	world_node_down(test->world, LAB_VIEW("s3"));
	assert_true(exchange(test, LAB_UNCERTAIN, 2 * ONE_WAY).reused);
	finished++;
}

static void a_node_that_is_down_refuses_and_resets(void **state)
{
	test_on_b1(*state, ask_down_node);

	assert_int_equal(finished, 1);
	assert_int_equal(fake.submits, 1);
}

static void wait_long_to_connect(void *arg)
{
	struct test_world *test = arg;
	struct env_http_limits patient = limits;
	struct lab_http_request request = make_request("GET", "/");

	patient.connect_timeout_ns = ENV_FOREVER;
	cut(test);
	/* 1 + 2 + 4 + 8 + 16 + 32 seconds of retries, as Linux does. */
	(void)exchange_with(test, &request, &patient, LAB_TIMEOUT, 63 * LAB_SEC);
	finished++;
}

static void connecting_gives_up_by_itself(void **state)
{
	test_on_b1(*state, wait_long_to_connect);

	assert_int_equal(finished, 1);
}

/* ---- keep-alive ---- */

static void race_idle_close(void *arg)
{
	struct test_world *test = arg;

	(void)exchange(test, LAB_OK, 4 * ONE_WAY);
	/* The server closed it 20 s after its reply; the client hears of it 10 ms later. The reply
	 * was sent 10 ms ago. */
	env_sleep(test->env, 20 * LAB_SEC - 2 * ONE_WAY - 1);
	assert_true(exchange(test, LAB_OK, 2 * ONE_WAY).reused);
	env_sleep(test->env, 20 * LAB_SEC - 2 * ONE_WAY);
	assert_true(exchange(test, LAB_UNCERTAIN, 2 * ONE_WAY).reused);
	assert_int_equal(fake.submits, 2);
	(void)exchange(test, LAB_OK, 4 * ONE_WAY);
	env_sleep(test->env, 20 * LAB_SEC);
	assert_false(exchange(test, LAB_OK, 4 * ONE_WAY).reused);
	finished++;
}

static void a_request_on_a_connection_just_closed_is_uncertain(void **state)
{
	test_on_b1(*state, race_idle_close);

	assert_int_equal(finished, 1);
}

static void use_up_connections(void *arg)
{
	struct test_world *test = arg;
	struct lab_arena *arena = test_arena(test);
	struct lab_http_request request = make_request("GET", "/");
	struct lab_http_response response;
	unsigned lost = 0;

	for (int i = 0; i < 500; i++) {
		struct lab_error err;

		if (env_http(test->env, &request, &limits, arena, &response, NULL, &err) < 0) {
			assert_int_equal(err.code, LAB_UNCERTAIN);
			lost++;
		}
		/* Sometimes at once, sometimes after the close has arrived. */
		if (i % 2 == 0)
			env_sleep(test->env, 5 * LAB_MSEC);
	}
	assert_in_range(lost, 1, 100);
	assert_int_equal(fake.submits + lost, 500);
	finished++;
}

static void a_connection_serves_so_many_requests_only(void **state)
{
	struct test_world *test = *state;
	struct world_settings settings = test_settings(test);

	world_free(&test->world);
	test_make_world(test, &settings);
	add_service(test, &(struct world_service_settings){
				  .life.requests_high = 5, .life.requests_low = 5 });
	test_on_b1(test, use_up_connections);

	assert_int_equal(finished, 1);
	assert_in_range(world_counters(test->world).http_connects, 80, 110);
}

static void make_world_with_life(struct test_world *test, const struct sim_connection_life *life)
{
	struct world_settings settings = test_settings(test);

	world_free(&test->world);
	test_make_world(test, &settings);
	add_service(test, &(struct world_service_settings){ .life = *life });
}

static void ask_500_times(void *arg)
{
	struct test_world *test = arg;
	struct lab_arena *arena = test_arena(test);
	struct lab_http_request request = make_request("GET", "/");
	struct lab_http_response response;

	for (int i = 0; i < 500; i++)
		assert_int_equal(
			env_http(test->env, &request, &limits, arena, &response, NULL, NULL), 0);
	finished++;
}

static void an_announced_close_loses_nothing(void **state)
{
	const struct sim_connection_life life = {
		.requests_low = 3, .requests_high = 7, .announced = true
	};
	struct test_world *test = *state;

	make_world_with_life(test, &life);
	test_on_b1(test, ask_500_times);

	assert_int_equal(finished, 1);
	assert_int_equal(fake.submits, 500);
	/* 5 on average: drawn for each connection. */
	assert_in_range(world_counters(test->world).http_connects, 90, 115);
}

static void sleep_a_day_between(void *arg)
{
	struct test_world *test = arg;

	(void)exchange(test, LAB_OK, 4 * ONE_WAY);
	env_sleep(test->env, 86400 * LAB_SEC);
	assert_true(exchange(test, LAB_OK, 2 * ONE_WAY).reused);
	ask_500_times(test);
}

static void a_connection_may_stay_for_ever(void **state)
{
	const struct sim_connection_life life = {
		.requests_low = UINT32_MAX, .requests_high = UINT32_MAX, .idle_ns = UINT64_MAX
	};
	struct test_world *test = *state;

	make_world_with_life(test, &life);
	test_on_b1(test, sleep_a_day_between);

	assert_int_equal(finished, 1);
	assert_int_equal(world_counters(test->world).http_connects, 1);
}

/* ---- slow bodies, other cuts ---- */

static void read_slowly(void *arg)
{
	struct test_world *test = arg;

	fake.wire = SIM_WIRE_TRICKLE;
	fake.bytes_per_s = 100;
	(void)exchange(test, LAB_OK, 4 * ONE_WAY + 3 * LAB_SEC + LAB_SEC / 2);
	/* The connection stays; a body without bytes takes no time; too slow is a timeout. */
	fake.head = true;
	assert_true(exchange(test, LAB_OK, 2 * ONE_WAY).reused);
	fake.head = false;
	fake.bytes_per_s = 1;
	(void)exchange(test, LAB_UNCERTAIN, limits.response_timeout_ns);
	fake.wire = SIM_WIRE_TRUNCATE;
	fake.cut_at = 1;
	(void)exchange(test, LAB_UNCERTAIN, 4 * ONE_WAY);
	finished++;
}

static void a_body_may_trickle(void **state)
{
	static const uint8_t body[350];

	fake.body = lab_view_of(body, sizeof(body));
	test_on_b1(*state, read_slowly);

	assert_int_equal(finished, 1);
	assert_int_equal(fake.submits, 4);
}

static void use_a_dropped_connection(void *arg)
{
	struct test_world *test = arg;

	fake.wire = SIM_WIRE_ANSWER_DROP;
	(void)exchange(test, LAB_OK, 4 * ONE_WAY);
	/* The client does not know yet, and its request is lost. */
	assert_true(exchange(test, LAB_UNCERTAIN, 2 * ONE_WAY).reused);
	assert_int_equal(fake.submits, 1);
	(void)exchange(test, LAB_OK, 4 * ONE_WAY);
	env_sleep(test->env, 3 * LAB_MSEC);
	assert_false(exchange(test, LAB_OK, 4 * ONE_WAY).reused);
	finished++;
}

static void a_connection_may_be_closed_behind_an_answer(void **state)
{
	test_on_b1(*state, use_a_dropped_connection);

	assert_int_equal(finished, 1);
	assert_int_equal(fake.submits, 3);
}

/* ---- crashes ---- */

static void put_and_die(void *arg)
{
	struct test_world *test = arg;

	(void)exchange(test, LAB_OK, 0);
	finished++;
}

static void crash_b1(void *ctx)
{
	struct test_world *test = ctx;

	world_crash(test->b1, FAULT_DISK_KEEP);
}

static void a_crash_at(struct test_world *test, uint64_t time_ns, unsigned submits)
{
	world_start(test->b1, put_and_die, test);
	world_at(test->world, time_ns, crash_b1, test);
	test_run(test, ENV_FOREVER);

	assert_int_equal(finished, 0);
	assert_int_equal(fake.submits, submits);
}

static void a_crash_while_connecting_sends_nothing(void **state)
{
	a_crash_at(*state, ONE_WAY, 0);
}

static void a_request_sent_before_the_crash_still_executes(void **state)
{
	a_crash_at(*state, 2 * ONE_WAY + 1, 1);
}

static void a_reply_to_a_crashed_host_is_dropped(void **state)
{
	struct test_world *test = *state;

	a_crash_at(test, 3 * ONE_WAY + 1, 1);
	/* Its next incarnation does not have its connections. */
	finished = 0;
	memset(&fake, 0, sizeof(fake));
	world_start(test->b1, put_twice, test);
	test_run(test, ENV_FOREVER);
	assert_int_equal(finished, 1);
}

/* ---- many at once ---- */

static void put_many_times(void *arg)
{
	struct test_world *test = arg;
	struct lab_arena *arena = test_arena(test);
	struct lab_http_request request = make_request("PUT", "/many");
	struct lab_http_response response;

	for (int i = 0; i < 20; i++)
		assert_int_equal(
			env_http(test->env, &request, &limits, arena, &response, NULL, NULL), 0);
	finished++;
}

static void spawn_many(void *arg)
{
	struct test_world *test = arg;

	for (int i = 0; i < 100; i++)
		assert_int_equal(env_spawn(test->env, "put", put_many_times, test, NULL), 0);
}

static void many_exchanges_share_the_pool(void **state)
{
	struct test_world *test = *state;

	fake.delay_ns = 3 * LAB_MSEC;
	test_on_b1(test, spawn_many);

	assert_int_equal(finished, 100);
	assert_int_equal(fake.submits, 2000);
	assert_in_range(world_counters(test->world).http_connects, 100, 1000);
}

static void send_big(void *arg)
{
	struct test_world *test = arg;
	struct lab_http_request request = make_request("PUT", "/big");

	request.body = lab_view_of(lab_heap_alloc(test->env->heap, 1 << 20), 1 << 20);
	/* 1 MiB at 1 MiB/s, 28 bytes of the rest of the request, 11 of the response. */
	(void)exchange_with(test, &request, &limits, LAB_OK,
		4 * ONE_WAY + LAB_SEC + (28 * LAB_SEC >> 20) + (11 * LAB_SEC >> 20));
	finished++;
}

static void bytes_take_time(void **state)
{
	struct test_world *test = *state;
	struct world_settings settings = test_settings(test);

	world_free(&test->world);
	settings.bytes_per_second = 1 << 20;
	test_make_world(test, &settings);
	add_service(test, &(struct world_service_settings){ 0 });
	test_on_b1(test, send_big);

	assert_int_equal(finished, 1);
	assert_int_equal(fake.submits, 1);
}

static void ask_far_service(void *arg)
{
	(void)exchange(arg, LAB_OK, 4 * LAB_SEC);
	finished++;
}

static void a_service_may_have_a_latency_of_its_own(void **state)
{
	struct test_world *test = *state;
	struct world_settings settings = test_settings(test);

	world_free(&test->world);
	test_make_world(test, &settings);
	add_service(test, &(struct world_service_settings){ .latency = { LAB_SEC, LAB_SEC } });
	test_on_b1(test, ask_far_service);

	assert_int_equal(finished, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, test_teardown)
	const struct CMUnitTest tests[] = {
		T(an_exchange_takes_round_trips_and_keeps_its_connection),
		T(tls_adds_a_round_trip_and_fresh_means_a_new_connection),
		T(unknown_names_are_refused),
		T(broken_replies_are_uncertain_and_end_the_connection),
		T(a_request_that_timed_out_still_executes),
		T(an_exchange_may_have_a_deadline_as_a_whole),
		T(a_response_has_limits),
		T(a_partition_is_a_timeout_before_and_uncertain_after_sending),
		T(a_node_that_is_down_refuses_and_resets),
		T(connecting_gives_up_by_itself),
		T(a_request_on_a_connection_just_closed_is_uncertain),
		T(a_connection_serves_so_many_requests_only),
		T(an_announced_close_loses_nothing),
		T(a_connection_may_stay_for_ever),
		T(a_body_may_trickle),
		T(a_connection_may_be_closed_behind_an_answer),
		T(a_crash_while_connecting_sends_nothing),
		T(a_request_sent_before_the_crash_still_executes),
		T(a_reply_to_a_crashed_host_is_dropped),
		T(many_exchanges_share_the_pool),
		T(bytes_take_time),
		T(a_service_may_have_a_latency_of_its_own),
	};

	return cmocka_run_group_tests_name("world-http", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/env-private.h"
#include "sim/world/test-world.h"

#define ONE_WAY (10 * LAB_MSEC) /* b1 is in az1, the nodes in az9 */

/* A service that answers what it gets, and counts. */
static struct {
	unsigned accepts, inputs, closed;
	sim_stream_output_fn output;
	void *ctx;
} echo;

static void *echo_accept(void *service, struct lab_view instance, const struct sim_peer *peer,
	uint64_t now_ns, sim_stream_output_fn output, void *output_ctx)
{
	(void)instance;
	(void)peer;
	(void)now_ns;
	echo.accepts++;
	echo.output = output;
	echo.ctx = output_ctx;
	return service;
}

static void echo_input(void *ctx, struct lab_view data, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
	echo.inputs++;
	echo.output(echo.ctx, data, SIM_WIRE_ANSWER);
}

static void echo_closed(void *ctx, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
	echo.closed++;
}

static void echo_advance(void *service, uint64_t now_ns)
{
	(void)service;
	(void)now_ns;
}

static uint64_t echo_next_deadline(void *service)
{
	(void)service;
	return UINT64_MAX;
}

static const struct sim_stream_ops echo_ops = {
	.accept = echo_accept,
	.input = echo_input,
	.closed = echo_closed,
	.advance = echo_advance,
	.next_deadline = echo_next_deadline,
};

static void add_node(
	struct test_world *test, const char *name, const char *authority, struct world_tls tls)
{
	world_stream_service(test->world,
		&(struct world_service_settings){
			.name = name, .zone = "az9", .authority = authority, .tls = tls },
		&(struct sim_stream_service){ &echo_ops, &echo });
}

static int setup(void **state)
{
	int result = test_setup(state);

	memset(&echo, 0, sizeof(echo));
	add_node(*state, "node-1", "cassandra-1:9042", (struct world_tls){ .on = true });
	add_node(*state, "plain", "plain:9042", (struct world_tls){ .on = false });
	add_node(*state, "strict", "strict:9042",
		(struct world_tls){
			.on = true, .ca = "/ca.pem", .name = "strict", .wants_certificate = true });
	add_node(*state, "stranger", "stranger:9042",
		(struct world_tls){ .on = true, .ca = "/ca.pem", .name = "other" });
	return result;
}

/* ---- connecting ---- */

struct attempt {
	struct env_tls tls;
	const char *host;
	uint64_t timeout_ns;
	int result;
	struct lab_error err;
	uint64_t took_ns;
};
static struct attempt the_attempt;

static int dial(struct test_world *test, struct attempt *attempt)
{
	uint64_t started_ns = env_now(test->env);
	struct env_stream *stream = NULL;
	char text[8];
	size_t n;

	attempt->result = env_connect_tls(test->env, attempt->host, 9042, &attempt->tls,
		started_ns + (attempt->timeout_ns == 0 ? 10 * LAB_SEC : attempt->timeout_ns),
		&stream, &attempt->err);
	attempt->took_ns = env_now(test->env) - started_ns;
	if (attempt->result == 0) {
		assert_int_equal(env_stream_write(stream, LAB_VIEW("x"), NULL), 0);
		assert_int_equal(
			env_stream_read(stream, text, sizeof(text), ENV_FOREVER, &n, NULL), 0);
		assert_int_equal(n, 1);
	}
	env_stream_close(&stream);
	return attempt->result;
}

static void dial_it(void *arg)
{
	(void)dial(arg, &the_attempt);
}

static struct attempt try_dial(void **state, const char *host, struct env_tls tls)
{
	struct test_world *test = *state;

	the_attempt = (struct attempt){ .host = host, .tls = tls };
	world_crash(test->b1, FAULT_DISK_KEEP);
	test_on_b1(test, dial_it);
	return the_attempt;
}

static void assert_failed(struct attempt attempt, enum lab_code code, const char *says)
{
	assert_int_equal(attempt.result, -1);
	assert_string_equal(lab_code_name(attempt.err.code), lab_code_name(code));
	assert_true(attempt.err.retryable);
	if (strstr(attempt.err.message, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", attempt.err.message, says);
}

static const struct env_tls trusting = { .ca_file = "/ca.pem" };

static void a_handshake_costs_a_round_trip(void **state)
{
	struct attempt attempt = try_dial(state, "cassandra-1", trusting);

	assert_int_equal(attempt.result, 0);
	assert_int_equal(attempt.took_ns, 4 * ONE_WAY);
	assert_int_equal(echo.inputs, 1);
}

static void who_does_not_speak_tls_is_found_out(void **state)
{
	assert_failed(try_dial(state, "plain", trusting), LAB_CORRUPT, "wrong version");
	assert_int_equal(echo.inputs, 0);
	assert_int_equal(echo.closed, 1);
}

static void plain_dial(void *arg)
{
	struct test_world *test = arg;
	struct env_stream *stream;
	struct lab_error err;
	char text[8];
	size_t n;

	assert_int_equal(
		env_connect(test->env, "cassandra-1", 9042, ENV_FOREVER, &stream, &err), 0);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("hello"), NULL), 0);
	assert_int_equal(env_stream_read(stream, text, sizeof(text), ENV_FOREVER, &n, &err), -1);
	assert_int_equal(err.code, LAB_RESET);
	env_stream_close(&stream);
}

static void a_client_without_tls_is_reset(void **state)
{
	test_on_b1(*state, plain_dial);
	assert_int_equal(echo.accepts, 1);
	assert_int_equal(echo.inputs, 0);
	assert_int_equal(echo.closed, 1);
}

/* ---- who trusts whom ---- */

static void names_and_authorities_are_compared(void **state)
{
	struct env_tls tls = { .ca_file = "/other.pem", .cert_file = "/me.pem" };

	assert_failed(try_dial(state, "strict", tls), LAB_DENIED, "issuer");
	tls.ca_file = NULL;
	assert_failed(try_dial(state, "strict", tls), LAB_DENIED, "issuer");
	assert_failed(try_dial(state, "cassandra-1", tls), LAB_DENIED, "issuer");
	tls.verify = ENV_TLS_VERIFY_NONE;
	assert_int_equal(try_dial(state, "strict", tls).result, 0);
	assert_failed(try_dial(state, "stranger", trusting), LAB_DENIED, "hostname mismatch");
	tls.ca_file = "/ca.pem";
	tls.verify = ENV_TLS_VERIFY_IP;
	assert_failed(try_dial(state, "stranger", tls), LAB_DENIED, "IP address mismatch");
	tls.verify = ENV_TLS_VERIFY_CERT;
	assert_int_equal(try_dial(state, "stranger", tls).result, 0);
}

static void a_node_may_want_a_certificate(void **state)
{
	struct env_tls tls = trusting;

	assert_failed(try_dial(state, "strict", tls), LAB_DENIED, "certificate required");
	tls.cert_file = "/me.pem";
	assert_int_equal(try_dial(state, "strict", tls).result, 0);
}

/* ---- faults ---- */

static struct attempt try_with_fault(
	void **state, enum fault_kind kind, enum env_tls_verify verify, uint64_t timeout_ns)
{
	struct test_world *test = *state;
	struct fault_plan *plan =
		fault_plan_new(world_heap(test->world), world_seed(test->world), 3);
	const struct fault_episode episode = { .kind = kind,
		.length_ns = LAB_MINUTE,
		.rate_ppm = 1000000,
		.amount = { FAULT_UNIFORM, 3 * LAB_SEC, 3 * LAB_SEC } };

	assert_int_equal(fault_plan_add_episode(plan, &episode, NULL, NULL), 0);
	world_set_faults(test->world, plan);
	the_attempt = (struct attempt){ .host = "cassandra-1",
		.tls = { .verify = verify, .ca_file = "/ca.pem" },
		.timeout_ns = timeout_ns };
	test_on_b1(test, dial_it);
	if (the_attempt.result < 0)
		assert_int_not_equal(the_attempt.err.fault_id, 0);
	fault_plan_free(&plan);
	return the_attempt;
}

static void an_expired_certificate_is_refused(void **state)
{
	assert_failed(try_with_fault(state, FAULT_tls_expired, ENV_TLS_VERIFY_CERT, 0), LAB_DENIED,
		"expired");
}

static void expiry_is_nothing_to_who_does_not_verify(void **state)
{
	assert_int_equal(
		try_with_fault(state, FAULT_tls_expired, ENV_TLS_VERIFY_NONE, 0).result, 0);
}

static void a_wrong_name_is_refused(void **state)
{
	assert_failed(try_with_fault(state, FAULT_tls_wrong_name, ENV_TLS_VERIFY_IP, 0), LAB_DENIED,
		"IP address mismatch");
}

static void a_wrong_name_is_nothing_to_who_wants_any(void **state)
{
	assert_int_equal(
		try_with_fault(state, FAULT_tls_wrong_name, ENV_TLS_VERIFY_CERT, 0).result, 0);
}

static void an_unknown_authority_is_refused(void **state)
{
	assert_failed(try_with_fault(state, FAULT_tls_unknown_ca, ENV_TLS_VERIFY_CERT, 0),
		LAB_DENIED, "issuer");
}

static void a_node_that_lost_its_tls_is_found_out(void **state)
{
	assert_failed(try_with_fault(state, FAULT_tls_missing, ENV_TLS_VERIFY_NONE, 0), LAB_CORRUPT,
		"wrong version");
}

static void a_node_may_close_during_the_handshake(void **state)
{
	assert_failed(try_with_fault(state, FAULT_tls_closed, ENV_TLS_VERIFY_CERT, 0), LAB_RESET,
		"during the handshake");
}

static void silence_ends_at_the_deadline(void **state)
{
	struct attempt attempt =
		try_with_fault(state, FAULT_tls_stall, ENV_TLS_VERIFY_CERT, 5 * LAB_SEC);

	assert_failed(attempt, LAB_TIMEOUT, "timed out");
	assert_int_equal(attempt.took_ns, 5 * LAB_SEC);
}

static void a_slow_handshake_counts_to_the_connect_timeout(void **state)
{
	struct attempt attempt =
		try_with_fault(state, FAULT_tls_slow, ENV_TLS_VERIFY_CERT, 2 * LAB_SEC);

	assert_failed(attempt, LAB_TIMEOUT, "timed out");
	assert_int_equal(attempt.took_ns, 2 * LAB_SEC);
}

static void a_slow_handshake_in_time_is_none_the_worse(void **state)
{
	struct attempt attempt = try_with_fault(state, FAULT_tls_slow, ENV_TLS_VERIFY_CERT, 0);

	assert_int_equal(attempt.result, 0);
	assert_int_equal(attempt.took_ns, 3 * LAB_SEC + 4 * ONE_WAY);
}

/* ---- broken paths ---- */

static void heal_later(void *arg)
{
	struct test_world *test = arg;

	env_sleep(world_env(test->lab), LAB_SEC);
	world_heal_all(test->world);
}

static void part_and_dial(void *arg)
{
	struct test_world *test = arg;

	/* Behind the connection, before the handshake's answer. */
	(void)world_partition(test->world, "node-1", "b1", true);
	(void)dial(test, &the_attempt);
}

static void a_node_that_dies_during_the_handshake_resets_it(void **state)
{
	struct test_world *test = *state;

	the_attempt = (struct attempt){ .host = "cassandra-1", .tls = trusting };
	world_start(test->b1, dial_it, test);
	test_run(test, 5 * ONE_WAY / 2);
	world_node_down(test->world, LAB_VIEW("node-1"));
	test_run(test, ENV_FOREVER);
	assert_failed(the_attempt, LAB_RESET, "during the handshake");
}

static void a_broken_path_costs_the_resends_of_tcp(void **state)
{
	struct test_world *test = *state;

	the_attempt = (struct attempt){ .host = "cassandra-1", .tls = trusting };
	world_start(test->lab, heal_later, test);
	test_on_b1(test, part_and_dial);
	assert_int_equal(the_attempt.result, 0);
	assert_true(the_attempt.took_ns >= LAB_SEC);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_handshake_costs_a_round_trip),
		TEST(who_does_not_speak_tls_is_found_out),
		TEST(a_client_without_tls_is_reset),
		TEST(names_and_authorities_are_compared),
		TEST(a_node_may_want_a_certificate),
		TEST(an_expired_certificate_is_refused),
		TEST(expiry_is_nothing_to_who_does_not_verify),
		TEST(a_wrong_name_is_refused),
		TEST(a_wrong_name_is_nothing_to_who_wants_any),
		TEST(an_unknown_authority_is_refused),
		TEST(a_node_that_lost_its_tls_is_found_out),
		TEST(a_node_may_close_during_the_handshake),
		TEST(silence_ends_at_the_deadline),
		TEST(a_slow_handshake_counts_to_the_connect_timeout),
		TEST(a_slow_handshake_in_time_is_none_the_worse),
		TEST(a_node_that_dies_during_the_handshake_resets_it),
		TEST(a_broken_path_costs_the_resends_of_tcp),
	};

	return cmocka_run_group_tests_name("world-tls", tests, NULL, NULL);
}

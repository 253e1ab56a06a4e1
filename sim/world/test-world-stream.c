/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/env-private.h"
#include "sim/world/test-world.h"

#define ONE_WAY (10 * LAB_MSEC) /* b1 is in az1, the node in az9 */

/* A service that sends back what it gets; one byte may be a command instead. */
struct echo {
	bool is_down;
	unsigned accepts, inputs, closed;
	uint64_t delay_ns; /* of its answers */
	size_t received;
	struct echo_connection {
		struct echo *echo;
		sim_stream_output_fn output;
		void *ctx;
		bool is_over;
		uint64_t due_ns;
		uint8_t held[65536];
		size_t held_len;
	} connections[64];
	char instance[32];
};
static struct echo echo;
static int finished;

static void *echo_accept(void *service, struct lab_view instance, const struct sim_peer *peer,
	uint64_t now_ns, sim_stream_output_fn output, void *output_ctx)
{
	struct echo *self = service;
	struct echo_connection *connection;

	(void)now_ns;
	assert_true(lab_view_eq_cstr(peer->name, "b1"));
	(void)lab_view_to_cstr(instance, self->instance, sizeof(self->instance));
	if (self->is_down)
		return NULL;
	assert_true(self->accepts < 64);
	connection = &self->connections[self->accepts++];
	memset(connection, 0, sizeof(*connection));
	connection->echo = self;
	connection->output = output;
	connection->ctx = output_ctx;
	connection->due_ns = UINT64_MAX;
	return connection;
}

static void echo_input(void *ctx, struct lab_view data, uint64_t now_ns)
{
	struct echo_connection *connection = ctx;

	assert_false(connection->is_over);
	connection->echo->inputs++;
	connection->echo->received += data.len;
	if (data.ptr[0] == '!') {
		connection->is_over = true;
		connection->output(connection->ctx, (struct lab_view){ 0 }, SIM_WIRE_RESET);
	} else if (data.ptr[0] == '.') {
		connection->output(connection->ctx, LAB_VIEW("bye"), SIM_WIRE_ANSWER_CLOSE);
	} else if (data.ptr[0] == '#') {
		static const uint8_t flood[1 << 20];

		for (int i = 0; i < 65; i++)
			connection->output(connection->ctx, lab_view_of(flood, sizeof(flood)),
				SIM_WIRE_ANSWER);
	} else if (connection->echo->delay_ns == 0) {
		connection->output(connection->ctx, data, SIM_WIRE_ANSWER);
	} else {
		assert_true(connection->held_len + data.len <= sizeof(connection->held));
		memcpy(connection->held + connection->held_len, data.ptr, data.len);
		connection->held_len += data.len;
		connection->due_ns = now_ns + connection->echo->delay_ns;
	}
}

static void echo_closed(void *ctx, uint64_t now_ns)
{
	struct echo_connection *connection = ctx;

	(void)now_ns;
	assert_false(connection->is_over);
	connection->is_over = true;
	connection->due_ns = UINT64_MAX;
	connection->echo->closed++;
}

static void echo_advance(void *service, uint64_t now_ns)
{
	struct echo *self = service;

	for (unsigned i = 0; i < self->accepts; i++) {
		struct echo_connection *connection = &self->connections[i];

		if (connection->due_ns > now_ns)
			continue;
		connection->due_ns = UINT64_MAX;
		connection->output(connection->ctx,
			lab_view_of(connection->held, connection->held_len), SIM_WIRE_ANSWER);
		connection->held_len = 0;
	}
}

static uint64_t echo_next_deadline(void *service)
{
	struct echo *self = service;
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < self->accepts; i++)
		next = LAB_MIN(next, self->connections[i].due_ns);
	return next;
}

static const struct sim_stream_ops echo_ops = {
	.accept = echo_accept,
	.input = echo_input,
	.closed = echo_closed,
	.advance = echo_advance,
	.next_deadline = echo_next_deadline,
};

static void add_echo(struct test_world *test)
{
	struct sim_stream_service service = { &echo_ops, &echo };

	world_stream_service(test->world,
		&(struct world_service_settings){
			.name = "node-1", .zone = "az9", .authority = "cassandra-1:9042" },
		&service);
	world_stream_service(test->world,
		&(struct world_service_settings){
			.name = "node-2", .zone = "az9", .authority = "cassandra-2:9042" },
		&service);
}

static int setup(void **state)
{
	int result = test_setup(state);

	memset(&echo, 0, sizeof(echo));
	finished = 0;
	add_echo(*state);
	return result;
}

static struct env_stream *must_connect(struct test_world *test)
{
	struct env_stream *stream = NULL;
	struct lab_error err;

	if (env_connect(test->env, "cassandra-1", 9042, ENV_FOREVER, &stream, &err) < 0)
		fail_msg("%s", err.message);
	return stream;
}

/* Reads exactly `text`. */
static void must_read(struct env_stream *stream, const char *text)
{
	char got[64];
	size_t have = 0, n, want = strlen(text);

	assert_true(want <= sizeof(got));
	while (have < want) {
		assert_int_equal(
			env_stream_read(stream, got + have, want - have, ENV_FOREVER, &n, NULL), 0);
		assert_true(n > 0);
		have += n;
	}
	assert_memory_equal(got, text, want);
}

static void must_write(struct env_stream *stream, const char *text)
{
	assert_int_equal(env_stream_write(stream, lab_view_cstr(text), NULL), 0);
}

static void must_fail_to_read(struct env_stream *stream, enum lab_code code)
{
	struct lab_error err;
	uint8_t byte;
	size_t n;

	assert_int_equal(
		env_stream_read(stream, &byte, 1, env_now(stream->env) + 60 * LAB_MINUTE, &n, &err),
		-1);
	assert_int_equal(err.code, code);
}

static void talk(void *arg)
{
	struct test_world *test = arg;
	struct env_stream *stream = must_connect(test);

	assert_int_equal(env_now(test->env), 2 * ONE_WAY);
	assert_string_equal(echo.instance, "node-1");
	must_write(stream, "hello ");
	must_write(stream, "world");
	/* Writing does not block. */
	assert_int_equal(env_now(test->env), 2 * ONE_WAY);
	must_read(stream, "hello world");
	assert_int_equal(env_now(test->env), 4 * ONE_WAY);
	env_stream_close(&stream);
	assert_null(stream);
	env_stream_close(&stream);
	finished++;
}

static void bytes_come_back_in_order_after_a_round_trip(void **state)
{
	test_on_b1(*state, talk);

	assert_int_equal(finished, 1);
	assert_int_equal(echo.closed, 1);
	assert_int_equal(echo.received, 11);
}

static void fail_to_connect(void *arg)
{
	struct test_world *test = arg;
	struct env_stream *stream;
	struct lab_error err;

	assert_int_equal(env_connect(test->env, "nobody", 9042, ENV_FOREVER, &stream, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	assert_int_equal(env_connect(test->env, "cassandra-1", 1, ENV_FOREVER, &stream, &err), -1);
	assert_int_equal(err.code, LAB_REFUSED);
	echo.is_down = true;
	assert_int_equal(
		env_connect(test->env, "cassandra-1", 9042, ENV_FOREVER, &stream, &err), -1);
	assert_int_equal(err.code, LAB_REFUSED);
	echo.is_down = false;
	world_node_down(test->world, LAB_VIEW("node-1"));
	assert_int_equal(
		env_connect(test->env, "cassandra-1", 9042, ENV_FOREVER, &stream, &err), -1);
	assert_int_equal(err.code, LAB_REFUSED);
	assert_int_equal(env_now(test->env), 4 * ONE_WAY);
	world_node_up(test->world, LAB_VIEW("node-1"));
	(void)world_partition(test->world, "zone:az1", "zone:az9", false);
	assert_int_equal(env_connect(test->env, "cassandra-1", 9042, env_now(test->env) + LAB_SEC,
				 &stream, &err),
		-1);
	assert_int_equal(err.code, LAB_TIMEOUT);
	assert_true(err.retryable);
	assert_int_equal(env_now(test->env), 4 * ONE_WAY + LAB_SEC);
	world_heal_all(test->world);
	assert_int_equal(echo.accepts, 0);
	/* Given up after the node had accepted it: the node hears of that. */
	assert_int_equal(env_connect(test->env, "cassandra-2", 9042,
				 env_now(test->env) + ONE_WAY + 1, &stream, &err),
		-1);
	assert_int_equal(echo.accepts, 1);
	finished++;
}

static void connecting_fails_in_its_ways(void **state)
{
	test_on_b1(*state, fail_to_connect);

	assert_int_equal(finished, 1);
	assert_int_equal(echo.accepts, 1);
	assert_int_equal(echo.closed, 1);
}

static void connect_through_partition(void *arg)
{
	struct test_world *test = arg;
	struct env_stream *stream;

	/* The SYN is lost once, then the answer to it. */
	stream = must_connect(test);
	assert_true(env_now(test->env) > 2 * LAB_SEC && env_now(test->env) < 4 * LAB_SEC);
	must_write(stream, "x");
	must_read(stream, "x");
	env_stream_close(&stream);
	finished++;
}

static void heal(void *ctx)
{
	struct test_world *test = ctx;

	world_heal_all(test->world);
}

static void cut(void *ctx)
{
	struct test_world *test = ctx;

	(void)world_partition(test->world, "node-1", "*", false);
}

static void connecting_goes_on_after_a_short_partition(void **state)
{
	struct test_world *test = *state;

	cut(test);
	world_at(test->world, LAB_SEC + 1, heal, test);
	world_at(test->world, LAB_SEC + ONE_WAY + 1, cut, test);
	world_at(test->world, LAB_SEC + 3 * ONE_WAY, heal, test);
	test_on_b1(test, connect_through_partition);

	assert_int_equal(finished, 1);
}

static void provoke(void *arg)
{
	struct test_world *test = arg;
	struct env_stream *stream = must_connect(test);
	struct lab_error err;
	uint8_t byte;
	size_t n;

	/* A timeout leaves the stream usable. */
	assert_int_equal(env_stream_read(stream, &byte, 1, env_now(test->env) + 5, &n, &err), -1);
	assert_int_equal(err.code, LAB_TIMEOUT);
	/* What was sent before the reset can be read. */
	must_write(stream, "ab");
	env_sleep(test->env, 1);
	must_write(stream, "!");
	must_read(stream, "ab");
	must_fail_to_read(stream, LAB_RESET);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("x"), &err), -1);
	assert_int_equal(err.code, LAB_RESET);
	env_stream_close(&stream);
	assert_int_equal(echo.closed, 0);

	stream = must_connect(test);
	must_write(stream, ".");
	must_read(stream, "bye");
	assert_int_equal(env_stream_read(stream, &byte, 1, ENV_FOREVER, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(echo.closed, 1);
	/* As a peer that is gone does: it resets. */
	must_write(stream, "are you there?");
	env_sleep(test->env, LAB_SEC);
	must_fail_to_read(stream, LAB_RESET);
	env_stream_close(&stream);
	finished++;
}

static void a_service_may_reset_or_end(void **state)
{
	test_on_b1(*state, provoke);

	assert_int_equal(finished, 1);
	assert_int_equal(echo.closed, 1);
}

static struct env_stream *shared;

static void read_shared(void *arg)
{
	(void)arg;
	must_fail_to_read(shared, LAB_RESET);
	finished++;
}

static void close_while_reading(void *arg)
{
	struct test_world *test = arg;

	shared = must_connect(test);
	assert_int_equal(env_spawn(test->env, "read", read_shared, test, NULL), 0);
	env_sleep(test->env, LAB_SEC);
	env_stream_close(&shared);
	assert_int_equal(finished, 0);
	env_sleep(test->env, 0);
	assert_int_equal(finished, 1);
}

static void closing_ends_a_blocked_read(void **state)
{
	test_on_b1(*state, close_while_reading);

	assert_int_equal(finished, 1);
	assert_int_equal(echo.closed, 1);
}

/* ---- window ---- */

static void write_much(void *arg)
{
	struct test_world *test = arg;
	struct env_stream *stream = must_connect(test);
	static uint8_t big[1 << 20];
	uint64_t started = env_now(test->env);

	echo.delay_ns = LAB_MSEC;
	assert_int_equal(env_stream_write(stream, lab_view_of(big, 100000), NULL), 0);
	assert_int_equal(env_now(test->env), started);
	echo.delay_ns = 0;
	env_sleep(test->env, LAB_SEC);
	started = env_now(test->env);
	assert_int_equal(env_stream_write(stream, lab_view_of(big, sizeof(big)), NULL), 0);
	/* Four windows: it waited for three deliveries. */
	assert_int_equal(env_now(test->env) - started, 3 * ONE_WAY);
	env_stream_close(&stream);
	finished++;
}

static void a_full_window_blocks_the_writer(void **state)
{
	test_on_b1(*state, write_much);

	assert_int_equal(finished, 1);
	assert_int_equal(echo.received, (1 << 20) + 100000);
}

static void be_flooded(void *arg)
{
	struct test_world *test = arg;
	struct env_stream *stream = must_connect(test);

	must_write(stream, "#");
	env_sleep(test->env, LAB_SEC);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("x"), &test->err), -1);
	assert_int_equal(test->err.code, LAB_RESET);
	env_stream_close(&stream);
	finished++;
}

static void a_client_that_does_not_read_is_reset(void **state)
{
	test_on_b1(*state, be_flooded);

	assert_int_equal(finished, 1);
	assert_int_equal(echo.closed, 1);
}

/* ---- partitions and crashes ---- */

static void survive_partition(void *arg)
{
	struct test_world *test = arg;
	struct env_stream *stream = must_connect(test);

	cut(test);
	world_at(test->world, env_now(test->env) + 10 * LAB_SEC, heal, test);
	must_write(stream, "late");
	must_read(stream, "late");
	assert_true(env_now(test->env) > 10 * LAB_SEC && env_now(test->env) < 16 * LAB_SEC);
	/* One that does not end. */
	cut(test);
	must_write(stream, "never");
	must_fail_to_read(stream, LAB_RESET);
	assert_true(env_now(test->env) < 90 * LAB_SEC);
	env_stream_close(&stream);
	finished++;
}

static void a_stream_survives_a_short_partition_and_not_a_long_one(void **state)
{
	test_on_b1(*state, survive_partition);

	assert_int_equal(finished, 1);
	assert_int_equal(echo.closed, 1);
	assert_int_equal(echo.received, 4);
}

static void hold_streams(void *arg)
{
	struct test_world *test = arg;

	for (int i = 0; i < 10; i++)
		must_write(must_connect(test), "x");
	env_sleep(test->env, LAB_MINUTE);
}

static void crash_b1(void *ctx)
{
	struct test_world *test = ctx;

	world_crash(test->b1, FAULT_DISK_KEEP);
	assert_int_equal(echo.closed, 0);
}

static void a_crash_resets_streams_at_their_peers(void **state)
{
	struct test_world *test = *state;

	world_start(test->b1, hold_streams, test);
	world_at(test->world, LAB_SEC, crash_b1, test);
	test_run(test, LAB_SEC + ONE_WAY - 1);
	assert_int_equal(echo.closed, 0);
	test_run(test, ENV_FOREVER);

	assert_int_equal(echo.accepts, 10);
	assert_int_equal(echo.closed, 10);
	assert_int_equal(echo.received, 10);
}

static void crash_in_phases(void **state)
{
	struct test_world *test = *state;

	/* Each time in another phase of the first connection: SYN, answer, data, echo. */
	for (uint64_t phase = 0; phase < 5; phase++) {
		world_start(test->b1, hold_streams, test);
		world_at(test->world, world_now(test->world) + phase * ONE_WAY + 1, crash_b1, test);
		test_run(test, world_now(test->world) + LAB_SEC);
		assert_int_equal(echo.closed, echo.accepts);
		echo.closed = echo.accepts = 0;
	}
}

static void tell_node(void *ctx, struct lab_view name, bool is_up)
{
	assert_true(lab_view_eq_cstr(name, "node-1"));
	*(int *)ctx += is_up ? 100 : 1;
}

static void lose_node(void *arg)
{
	struct test_world *test = arg;
	struct env_stream *stream = must_connect(test), *other;
	int told = 0;

	assert_int_equal(env_connect(test->env, "cassandra-2", 9042, ENV_FOREVER, &other, NULL), 0);
	world_on_node(test->world, tell_node, &told);
	world_node_down(test->world, LAB_VIEW("node-1"));
	world_node_down(test->world, LAB_VIEW("node-1"));
	assert_false(world_reachable(test->world, LAB_VIEW("node-2"), LAB_VIEW("node-1")));
	must_fail_to_read(stream, LAB_RESET);
	env_stream_close(&stream);
	must_write(other, "x");
	must_read(other, "x");
	env_stream_close(&other);
	/* Two reasons to be down: it is up when both are gone. */
	world_node_up(test->world, LAB_VIEW("node-1"));
	assert_int_equal(told, 1);
	world_node_up(test->world, LAB_VIEW("node-1"));
	world_node_up(test->world, LAB_VIEW("node-1"));
	assert_int_equal(told, 101);
	stream = must_connect(test);
	env_stream_close(&stream);
	finished++;
}

static void a_node_that_goes_down_resets_its_streams_only(void **state)
{
	test_on_b1(*state, lose_node);

	assert_int_equal(finished, 1);
	assert_int_equal(echo.closed, 3);
}

/* ---- partial reads ---- */

static unsigned pieces;

static void read_in_pieces(void *arg)
{
	struct test_world *test = arg;
	struct env_stream *stream = must_connect(test);
	char text[] = "0123456789", got[16];
	size_t n, have;

	for (int i = 0; i < 200; i++) {
		must_write(stream, text);
		for (have = 0; have < 10; have += n, pieces++)
			assert_int_equal(env_stream_read(stream, got + have, sizeof(got) - have,
						 ENV_FOREVER, &n, NULL),
				0);
		assert_memory_equal(got, text, 10);
	}
	env_stream_close(&stream);
	finished++;
}

static void reads_and_inputs_are_cut_at_drawn_points(void **state)
{
	struct test_world *test = *state;
	struct world_settings settings = test_settings(test);

	world_free(&test->world);
	settings.stream_split_ppm = 500000;
	test_make_world(test, &settings);
	add_echo(test);
	pieces = 0;
	test_on_b1(test, read_in_pieces);

	assert_int_equal(finished, 1);
	assert_in_range(echo.inputs, 270, 330);
	assert_true(pieces > 350);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, test_teardown)
	const struct CMUnitTest tests[] = {
		T(bytes_come_back_in_order_after_a_round_trip),
		T(connecting_fails_in_its_ways),
		T(connecting_goes_on_after_a_short_partition),
		T(a_service_may_reset_or_end),
		T(closing_ends_a_blocked_read),
		T(a_full_window_blocks_the_writer),
		T(a_client_that_does_not_read_is_reset),
		T(a_stream_survives_a_short_partition_and_not_a_long_one),
		T(a_crash_resets_streams_at_their_peers),
		T(crash_in_phases),
		T(a_node_that_goes_down_resets_its_streams_only),
		T(reads_and_inputs_are_cut_at_drawn_points),
	};

	return cmocka_run_group_tests_name("world-stream", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/env/live/live.h"
#include "sim/front-end/stream-front-end.h"

static void test_wait_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

/* ---- a service that echoes, and obeys single letters at the start of an input ----
 *   C  "bye", then an orderly end      R  "bye", then a reset
 *   D  echoes 20 ms later              F  floods the connection with 1 MiB parts, as many as the
 *   M  echoes every byte in an output     second letter says ('a' is 1)
 *      of its own */

#define CONNECTIONS_MAX 4096
#define FLOOD_PART ((size_t)1 << 20)

struct echo_connection {
	struct echo *echo;
	sim_stream_output_fn output;
	void *output_ctx;
	bool used;
	uint64_t due_ns;
	char delayed[256];
	size_t delayed_len;
};

struct echo {
	struct echo_connection connections[CONNECTIONS_MAX];
	unsigned accepted, closed, refused;
	bool refuse, reset_at_once;
	char instance[64], peer[64], zone[16];
	pthread_t thread;
	bool wrong_thread, went_back;
	uint64_t last_ns;
	uint8_t *flood;
};

static void echo_check(struct echo *echo, uint64_t now_ns)
{
	if (echo->accepted + echo->refused == 0)
		echo->thread = pthread_self();
	echo->wrong_thread |= !pthread_equal(echo->thread, pthread_self());
	echo->went_back |= now_ns < echo->last_ns;
	echo->last_ns = now_ns;
}

static void *echo_accept(void *service, struct lab_view instance, const struct sim_peer *peer,
	uint64_t now_ns, sim_stream_output_fn output, void *output_ctx)
{
	struct echo *echo = service;
	struct echo_connection *connection = echo->connections;

	echo_check(echo, now_ns);
	if (echo->refuse) {
		echo->refused++;
		return NULL;
	}
	while (connection->used)
		connection++;
	*connection = (struct echo_connection){ .echo = echo,
		.output = output,
		.output_ctx = output_ctx,
		.used = true,
		.due_ns = UINT64_MAX };
	echo->accepted++;
	(void)snprintf(echo->instance, sizeof(echo->instance), "%.*s", LAB_VIEW_ARG(instance));
	(void)snprintf(echo->peer, sizeof(echo->peer), "%.*s", LAB_VIEW_ARG(peer->name));
	(void)snprintf(echo->zone, sizeof(echo->zone), "%.*s", LAB_VIEW_ARG(peer->zone));
	if (echo->reset_at_once) {
		connection->used = false;
		output(output_ctx, LAB_VIEW(""), SIM_WIRE_RESET);
	}
	return connection;
}

static void echo_obey(struct echo_connection *connection, struct lab_view data, uint64_t now_ns)
{
	sim_stream_output_fn output = connection->output;
	void *ctx = connection->output_ctx;

	switch (data.ptr[0]) {
	case 'C':
		output(ctx, LAB_VIEW("bye"), SIM_WIRE_ANSWER_CLOSE);
		return;
	case 'R':
		connection->used = false;
		output(ctx, LAB_VIEW("bye"), SIM_WIRE_RESET);
		return;
	case 'D':
		connection->due_ns = now_ns + 20 * LAB_MSEC;
		connection->delayed_len = LAB_MIN(data.len, sizeof(connection->delayed));
		memcpy(connection->delayed, data.ptr, connection->delayed_len);
		return;
	case 'F':
		for (int i = data.ptr[1] - 'a'; i >= 0; i--)
			output(ctx, lab_view_of(connection->echo->flood, FLOOD_PART),
				SIM_WIRE_ANSWER);
		return;
	case 'M':
		for (size_t i = 0; i < data.len; i++)
			output(ctx, lab_view_sub(data, i, 1), SIM_WIRE_ANSWER);
		return;
	default:
		output(ctx, data, SIM_WIRE_ANSWER);
	}
}

static void echo_input(void *arg, struct lab_view data, uint64_t now_ns)
{
	struct echo_connection *connection = arg;

	lab_assert(connection->used);
	echo_check(connection->echo, now_ns);
	echo_obey(connection, data, now_ns);
}

static void echo_closed(void *arg, uint64_t now_ns)
{
	struct echo_connection *connection = arg;

	lab_assert(connection->used);
	connection->used = false;
	connection->due_ns = UINT64_MAX;
	connection->echo->closed++;
	/* At the end of the front end it comes from the thread that ends it, or from its own. */
	connection->echo->went_back |= now_ns < connection->echo->last_ns;
}

static void echo_advance(void *service, uint64_t now_ns)
{
	struct echo *echo = service;

	echo_check(echo, now_ns);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct echo_connection *connection = &echo->connections[i];

		if (!connection->used || connection->due_ns > now_ns)
			continue;
		connection->due_ns = UINT64_MAX;
		connection->output(connection->output_ctx,
			lab_view_of(connection->delayed, connection->delayed_len), SIM_WIRE_ANSWER);
	}
}

static uint64_t echo_next(void *service)
{
	struct echo *echo = service;
	uint64_t next_ns = UINT64_MAX;

	for (size_t i = 0; i < 16; i++) {
		if (echo->connections[i].used)
			next_ns = LAB_MIN(next_ns, echo->connections[i].due_ns);
	}
	return next_ns;
}

static const struct sim_stream_ops echo_ops = { .accept = echo_accept,
	.input = echo_input,
	.closed = echo_closed,
	.advance = echo_advance,
	.next_deadline = echo_next };

/* ---- the bench ---- */

static const struct stream_front_end_node nodes[] = {
	{ "cassandra-1", "127.0.0.1" },
	{ "cassandra-2", "127.0.0.2" },
	{ "cassandra-3", "127.0.0.3" },
};

struct bench {
	struct echo *echo;
	struct stream_front_end *front_end;
	uint16_t port;
};

static struct bench *open_bench;

static void sync_nothing(void *ctx)
{
	(void)ctx;
}

/* Afterwards this thread may look at what the service's thread has done, and the other way round.
 */
static void sync_with_service(void)
{
	if (open_bench != NULL)
		stream_front_end_call(open_bench->front_end, sync_nothing, NULL);
}

static void bench_open_with(struct bench *bench, struct stream_front_end_settings settings)
{
	struct lab_error err;

	bench->echo = calloc(1, sizeof(*bench->echo));
	bench->echo->flood = calloc(1, FLOOD_PART);
	settings.service = (struct sim_stream_service){ &echo_ops, bench->echo };
	settings.nodes = nodes;
	settings.node_count = LAB_COUNT_OF(nodes);
	if (stream_front_end_new(&settings, &bench->front_end, &err) < 0)
		fail_msg("%s", err.message);
	bench->port = stream_front_end_port(bench->front_end);
	assert_int_not_equal(bench->port, 0);
	open_bench = bench;
}

static void bench_open(struct bench *bench)
{
	bench_open_with(bench, (struct stream_front_end_settings){ 0 });
}

static void bench_close(struct bench *bench)
{
	unsigned left = 0;

	open_bench = NULL;
	stream_front_end_free(&bench->front_end);
	assert_null(bench->front_end);
	stream_front_end_free(&bench->front_end);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		left += bench->echo->connections[i].used ? 1 : 0;
	assert_int_equal(left, 0);
	assert_false(bench->echo->wrong_thread);
	assert_false(bench->echo->went_back);
	free(bench->echo->flood);
	free(bench->echo);
}

static int try_dial(const struct bench *bench, const char *to, const char *from)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct timeval patience = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (from != NULL) {
		assert_int_equal(inet_pton(AF_INET, from, &address.sin_addr), 1);
		assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	}
	assert_int_equal(inet_pton(AF_INET, to, &address.sin_addr), 1);
	address.sin_port = htons(bench->port);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	assert_int_equal(errno, ECONNREFUSED);
	(void)close(fd);
	return -1;
}

static int dial(const struct bench *bench)
{
	int fd = try_dial(bench, "127.0.0.1", NULL);

	assert_true(fd >= 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void assert_hears(int fd, const char *text)
{
	char in[256] = "";
	size_t have = 0;

	while (have < strlen(text)) {
		ssize_t n = recv(fd, in + have, strlen(text) - have, 0);

		if (n <= 0)
			fail_msg("heard \"%s\" instead of \"%s\"", in, text);
		have += (size_t)n;
	}
	assert_string_equal(in, text);
	sync_with_service();
}

static void assert_ends(int fd, bool reset)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	assert_int_equal(n, reset ? -1 : 0);
	if (reset)
		assert_int_equal(errno, ECONNRESET);
	(void)close(fd);
	sync_with_service();
}

static void wait_until_open(struct bench *bench, uint64_t open)
{
	for (unsigned i = 0; stream_front_end_stats(bench->front_end).open != open; i++) {
		assert_true(i < 5000);
		test_wait_ms(1);
	}
}

/* ---- tests ---- */

static void bytes_are_echoed_on_every_node(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench);
	for (size_t i = 0; i < LAB_COUNT_OF(nodes); i++) {
		int fd = try_dial(&bench, nodes[i].address, NULL);

		say(fd, "hello");
		assert_hears(fd, "hello");
		assert_string_equal(bench.echo->instance, nodes[i].instance);
		assert_int_equal(strncmp(bench.echo->peer, "127.0.0.", 8), 0);
		(void)close(fd);
	}
	wait_until_open(&bench, 0);
	assert_int_equal(bench.echo->closed, 3);
	bench_close(&bench);
}

static void outputs_of_one_turn_leave_together(void **state)
{
	struct stream_front_end_stats before, after;
	struct bench bench;
	int fd;

	(void)state;
	bench_open(&bench);
	fd = dial(&bench);
	say(fd, "x");
	assert_hears(fd, "x");
	before = stream_front_end_stats(bench.front_end);
	say(fd, "Many bytes in outputs of their own");
	assert_hears(fd, "Many bytes in outputs of their own");
	after = stream_front_end_stats(bench.front_end);
	assert_int_equal(after.writes - before.writes, 1);
	assert_int_equal(after.bytes_out - before.bytes_out, 34);
	assert_int_equal(after.bytes_in - before.bytes_in, 34);
	(void)close(fd);
	bench_close(&bench);
}

static void a_service_can_end_and_reset_a_connection(void **state)
{
	struct bench bench;
	int fd;

	(void)state;
	bench_open(&bench);
	fd = dial(&bench);
	say(fd, "C");
	assert_hears(fd, "bye");
	assert_ends(fd, false);
	wait_until_open(&bench, 0);
	assert_int_equal(bench.echo->closed, 1);
	fd = dial(&bench);
	say(fd, "R");
	assert_hears(fd, "bye");
	assert_ends(fd, true);
	wait_until_open(&bench, 0);
	/* It reset it itself: nobody tells it. */
	assert_int_equal(bench.echo->closed, 1);
	bench_close(&bench);
}

static void what_is_not_accepted_is_reset(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench);
	bench.echo->refuse = true;
	sync_with_service();
	assert_ends(dial(&bench), true);
	assert_int_equal(bench.echo->refused, 1);
	bench_close(&bench);
	bench_open(&bench);
	bench.echo->reset_at_once = true;
	sync_with_service();
	assert_ends(dial(&bench), true);
	bench_close(&bench);
}

static void answers_may_come_later(void **state)
{
	struct bench bench;
	struct timespec before, after;
	int64_t took_us;
	int fd;

	(void)state;
	bench_open(&bench);
	fd = dial(&bench);
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &before), 0);
	say(fd, "Delayed");
	assert_hears(fd, "Delayed");
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &after), 0);
	took_us =
		(after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
	assert_in_range(took_us, 20000, 5000000);
	/* The connection may be gone by then. */
	say(fd, "Delayed");
	(void)close(fd);
	wait_until_open(&bench, 0);
	test_wait_ms(30);
	bench_close(&bench);
}

static void a_dead_node_refuses_connections(void **state)
{
	struct bench bench;
	struct lab_error err;
	int fd;

	(void)state;
	bench_open(&bench);
	fd = try_dial(&bench, "127.0.0.2", NULL);
	say(fd, "there");
	assert_hears(fd, "there");
	assert_int_equal(stream_front_end_listen(bench.front_end, "cassandra-2", false, &err), 0);
	assert_int_equal(stream_front_end_listen(bench.front_end, "cassandra-2", false, &err), 0);
	assert_int_equal(try_dial(&bench, "127.0.0.2", NULL), -1);
	/* Others live, and what is open stays. */
	say(fd, "still");
	assert_hears(fd, "still");
	(void)close(fd);
	(void)close(try_dial(&bench, "127.0.0.3", NULL));
	assert_int_equal(stream_front_end_listen(bench.front_end, "cassandra-2", true, &err), 0);
	assert_int_equal(stream_front_end_listen(bench.front_end, "cassandra-2", true, &err), 0);
	fd = try_dial(&bench, "127.0.0.2", NULL);
	say(fd, "again");
	assert_hears(fd, "again");
	(void)close(fd);
	assert_int_equal(stream_front_end_listen(bench.front_end, "nobody", true, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	bench_close(&bench);
}

static size_t drain(int fd)
{
	static char sink[1 << 16];
	size_t total = 0;
	ssize_t n;

	while (total < 16 * FLOOD_PART && (n = recv(fd, sink, sizeof(sink), 0)) > 0)
		total += (size_t)n;
	return total;
}

static void a_slow_reader_gets_everything_in_the_end(void **state)
{
	struct bench bench;
	int fd;

	(void)state;
	bench_open(&bench);
	fd = dial(&bench);
	say(fd, "Fp"); /* 16 MiB: just as much as may wait */
	test_wait_ms(50);
	assert_int_equal(drain(fd), 16 * FLOOD_PART);
	say(fd, "x");
	assert_hears(fd, "x");
	assert_int_equal(stream_front_end_stats(bench.front_end).overflowed, 0);
	(void)close(fd);
	bench_close(&bench);
}

static void a_client_that_does_not_read_is_reset(void **state)
{
	struct bench bench;
	int fd, other;

	(void)state;
	bench_open_with(&bench, (struct stream_front_end_settings){ .output_max_bytes = 12 << 20 });
	other = dial(&bench);
	fd = dial(&bench);
	say(fd, "Fp");
	wait_until_open(&bench, 1);
	assert_int_equal(stream_front_end_stats(bench.front_end).overflowed, 1);
	assert_int_equal(bench.echo->closed, 1);
	assert_true(drain(fd) < 16 * FLOOD_PART);
	(void)close(fd);
	say(other, "unharmed");
	assert_hears(other, "unharmed");
	(void)close(other);
	bench_close(&bench);
}

static void an_orderly_end_waits_for_a_slow_reader(void **state)
{
	struct bench bench;
	int fd;

	(void)state;
	bench_open(&bench);
	fd = dial(&bench);
	say(fd, "Fo"); /* 15 MiB */
	test_wait_ms(50);
	say(fd, "C");
	test_wait_ms(50);
	assert_int_equal(drain(fd), 15 * FLOOD_PART + 3);
	(void)close(fd);
	wait_until_open(&bench, 0);
	assert_int_equal(bench.echo->closed, 1);
	bench_close(&bench);
}

static void connections_are_limited_in_number(void **state)
{
	struct bench bench;
	int first, second;

	(void)state;
	bench_open_with(&bench, (struct stream_front_end_settings){ .connections_max = 2 });
	first = dial(&bench);
	second = dial(&bench);
	assert_ends(dial(&bench), true);
	say(second, "fine");
	assert_hears(second, "fine");
	(void)close(first);
	wait_until_open(&bench, 1);
	first = dial(&bench);
	say(first, "fine");
	assert_hears(first, "fine");
	(void)close(first);
	(void)close(second);
	bench_close(&bench);
}

static void known_peers_have_their_names(void **state)
{
	static const struct front_end_peer peers[] = {
		{ .address = "127.0.1.3", .name = "b1", .zone = "z1" },
	};
	struct bench bench;
	int fd;

	(void)state;
	bench_open_with(
		&bench, (struct stream_front_end_settings){ .peers = peers, .peer_count = 1 });
	fd = try_dial(&bench, "127.0.0.1", "127.0.1.3");
	say(fd, "x");
	assert_hears(fd, "x");
	assert_string_equal(bench.echo->peer, "b1");
	assert_string_equal(bench.echo->zone, "z1");
	(void)close(fd);
	bench_close(&bench);
}

static void wrong_settings_are_errors(void **state)
{
	struct stream_front_end_settings settings = { .nodes = nodes };
	static const struct stream_front_end_node bad[] = { { "a", "here" } };
	static const struct front_end_peer bad_peer[] = { { .address = "there", .name = "b" } };
	struct stream_front_end *second;
	struct lab_error err;
	struct bench bench;

	(void)state;
	bench_open(&bench);
	settings.service = (struct sim_stream_service){ &echo_ops, bench.echo };
	assert_int_equal(stream_front_end_new(&settings, &second, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	settings.node_count = 2;
	settings.port = bench.port;
	assert_int_equal(stream_front_end_new(&settings, &second, &err), -1);
	assert_int_equal(err.code, LAB_EXISTS);
	settings.port = 0;
	settings.peers = bad_peer;
	settings.peer_count = 1;
	assert_int_equal(stream_front_end_new(&settings, &second, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	settings.peer_count = FRONT_END_PEERS_MAX + 1;
	assert_int_equal(stream_front_end_new(&settings, &second, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	settings.peer_count = 0;
	settings.nodes = bad;
	settings.node_count = 1;
	assert_int_equal(stream_front_end_new(&settings, &second, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	bench_close(&bench);
}

static void freeing_tells_the_service_about_open_connections(void **state)
{
	struct bench bench;
	int fds[8];

	(void)state;
	bench_open(&bench);
	for (size_t i = 0; i < LAB_COUNT_OF(fds); i++) {
		fds[i] = dial(&bench);
		say(fds[i], i % 2 == 0 ? "Fc" : "x");
	}
	wait_until_open(&bench, LAB_COUNT_OF(fds));
	bench_close(&bench); /* checks that none is left */
	for (size_t i = 0; i < LAB_COUNT_OF(fds); i++)
		(void)close(fds[i]);
}

static void all_connections_can_be_reset_at_once(void **state)
{
	struct bench bench;
	int fds[4];

	(void)state;
	bench_open(&bench);
	for (size_t i = 0; i < LAB_COUNT_OF(fds); i++) {
		fds[i] = dial(&bench);
		say(fds[i], "x");
		assert_hears(fds[i], "x");
	}
	stream_front_end_reset(bench.front_end);
	for (size_t i = 0; i < LAB_COUNT_OF(fds); i++)
		assert_ends(fds[i], true);
	assert_int_equal(bench.echo->closed, LAB_COUNT_OF(fds));
	fds[0] = dial(&bench);
	say(fds[0], "again");
	assert_hears(fds[0], "again");
	(void)close(fds[0]);
	bench_close(&bench);
}

struct call {
	pthread_t thread;
};

static void call_look(void *ctx)
{
	((struct call *)ctx)->thread = pthread_self();
}

static void calls_run_on_the_services_thread(void **state)
{
	struct bench bench;
	struct call call;
	int fd;

	(void)state;
	bench_open(&bench);
	fd = dial(&bench);
	say(fd, "x");
	assert_hears(fd, "x");
	stream_front_end_call(bench.front_end, call_look, &call);
	assert_true(pthread_equal(call.thread, bench.echo->thread));
	(void)close(fd);
	bench_close(&bench);
}

/* ---- the live world as a client ---- */

static void client_talk(struct env *env, const char *node, unsigned rounds)
{
	uint64_t deadline = env_now(env) + 20 * LAB_SEC;
	struct env_stream *stream;
	char in[64];
	size_t have, n;

	assert_int_equal(env_connect(env, node, 9042, deadline, &stream, NULL), 0);
	for (unsigned i = 0; i < rounds; i++) {
		assert_int_equal(env_stream_write(stream, LAB_VIEW("some frame"), NULL), 0);
		for (have = 0; have < 10; have += n)
			assert_int_equal(env_stream_read(stream, in + have, sizeof(in) - have,
						 deadline, &n, NULL),
				0);
	}
	env_stream_close(&stream);
}

static void client_each(void *ctx, size_t index)
{
	static const char *const names[] = { "cassandra-1", "cassandra-2", "cassandra-3" };

	client_talk(ctx, names[index % 3], 50);
}

static void client_main(struct env *env, void *arg)
{
	struct env_stream *stream;
	struct lab_error err;
	char in[16];
	size_t n;

	env_for_each(env, 200, 60, client_each, env);
	assert_int_equal(env_connect(env, "cassandra-1", 9042, ENV_FOREVER, &stream, NULL), 0);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("R"), NULL), 0);
	if (env_stream_read(stream, in, sizeof(in), ENV_FOREVER, &n, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(env_stream_read(stream, in, sizeof(in), ENV_FOREVER, &n, &err), -1);
	assert_int_equal(err.code, LAB_RESET);
	env_stream_close(&stream);
	*(bool *)arg = true;
}

static void the_live_world_talks_to_all_nodes(void **state)
{
	const struct live_settings settings = { .seed = 1 };
	const struct live_host_settings host_settings = { .hostname = "b1", .root = "/tmp" };
	struct live_host *host;
	struct bench bench;
	bool done = false;
	struct live *live;

	(void)state;
	bench_open(&bench);
	assert_int_equal(live_new(&settings, &live, NULL), 0);
	assert_int_equal(live_host_new(live, &host_settings, &host, NULL), 0);
	for (size_t i = 0; i < LAB_COUNT_OF(nodes); i++) {
		char pattern[64];

		(void)snprintf(pattern, sizeof(pattern), "%s:9042", nodes[i].instance);
		assert_int_equal(
			live_map(live, pattern, nodes[i].address, bench.port, false, NULL), 0);
	}
	assert_int_equal(live_start(host, "main", client_main, &done, NULL), 0);
	assert_int_equal(live_run(live, 60 * LAB_SEC, NULL, NULL), 0);
	assert_true(done);
	live_free(&live);
	bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_echoed_on_every_node),
		cmocka_unit_test(outputs_of_one_turn_leave_together),
		cmocka_unit_test(a_service_can_end_and_reset_a_connection),
		cmocka_unit_test(what_is_not_accepted_is_reset),
		cmocka_unit_test(answers_may_come_later),
		cmocka_unit_test(a_dead_node_refuses_connections),
		cmocka_unit_test(a_slow_reader_gets_everything_in_the_end),
		cmocka_unit_test(a_client_that_does_not_read_is_reset),
		cmocka_unit_test(an_orderly_end_waits_for_a_slow_reader),
		cmocka_unit_test(connections_are_limited_in_number),
		cmocka_unit_test(known_peers_have_their_names),
		cmocka_unit_test(wrong_settings_are_errors),
		cmocka_unit_test(freeing_tells_the_service_about_open_connections),
		cmocka_unit_test(all_connections_can_be_reset_at_once),
		cmocka_unit_test(calls_run_on_the_services_thread),
		cmocka_unit_test(the_live_world_talks_to_all_nodes),
	};

	return cmocka_run_group_tests_name("stream-front-end", tests, NULL, NULL);
}

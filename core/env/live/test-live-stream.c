/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/live/test-support.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

/* A peer that the test drives by hand: blocking sockets on the test's own thread would stop the
 * loop, so each connection gets a thread that does one thing. */
enum peer_kind {
	PEER_ECHO,
	PEER_CLOSE,      /* says "bye", then an orderly end */
	PEER_RESET,      /* says "bye", then RST */
	PEER_SILENT,     /* until the client goes */
	PEER_SLOW_READER /* nothing for 200 ms, then reads all, counts it and says "done" */
};

struct peer {
	enum peer_kind kind;
	int fd;
	uint16_t port;
	pthread_t thread;
	size_t received;
	bool saw_reset;
	struct sockaddr_in client;
};

static void peer_reset(int fd)
{
	struct linger reset = { .l_onoff = 1 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

static void peer_echo(struct peer *peer, int fd)
{
	static char data[65536];
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), 0)) > 0) {
		peer->received += (size_t)n;
		if (peer->kind == PEER_ECHO)
			(void)!send(fd, data, (size_t)n, MSG_NOSIGNAL);
		if (peer->kind == PEER_SLOW_READER && data[n - 1] == '!')
			(void)!send(fd, "done", 4, MSG_NOSIGNAL);
	}
	peer->saw_reset = n < 0;
}

static void *peer_serve(void *arg)
{
	struct peer *peer = arg;
	socklen_t size = sizeof(peer->client);
	int fd = accept(peer->fd, (struct sockaddr *)&peer->client, &size);

	switch (peer->kind) {
	case PEER_SLOW_READER:
		test_wait_ms(200);
		peer_echo(peer, fd);
		break;
	case PEER_ECHO:
	case PEER_SILENT:
		peer_echo(peer, fd);
		break;
	case PEER_CLOSE:
		(void)!send(fd, "bye", 3, MSG_NOSIGNAL);
		break;
	case PEER_RESET:
		(void)!send(fd, "bye", 3, MSG_NOSIGNAL);
		test_wait_ms(20);
		peer_reset(fd);
		break;
	}
	(void)close(fd);
	return NULL;
}

static struct peer the_peer;

static void peer_start(enum peer_kind kind)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);

	memset(&the_peer, 0, sizeof(the_peer));
	the_peer.kind = kind;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	the_peer.fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(the_peer.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(the_peer.fd, 8), 0);
	assert_int_equal(getsockname(the_peer.fd, (struct sockaddr *)&address, &size), 0);
	the_peer.port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&the_peer.thread, NULL, peer_serve, &the_peer), 0);
}

static void peer_stop(void)
{
	assert_int_equal(pthread_join(the_peer.thread, NULL), 0);
	(void)close(the_peer.fd);
}

static void run_with_peer(enum peer_kind kind, void (*body)(struct bed *bed))
{
	struct bed bed;

	peer_start(kind);
	bed_open(&bed);
	assert_int_equal(
		live_map(bed.live, "cassandra-1:9042", "127.0.0.1", the_peer.port, false, NULL), 0);
	bed_run(&bed, body);
	bed_close(&bed);
	peer_stop();
}

static struct env_stream *dial(struct bed *bed)
{
	struct env_stream *stream;
	struct lab_error err;

	if (env_connect(bed->env, "cassandra-1", 9042, env_now(bed->env) + 5 * LAB_SEC, &stream,
		    &err) < 0)
		fail_msg("%s", err.message);
	return stream;
}

static void read_exactly(
	struct bed *bed, struct env_stream *stream, char *out, size_t size, size_t step)
{
	struct lab_error err;
	size_t got = 0, n;

	while (got < size) {
		assert_int_equal(env_stream_read(stream, out + got, LAB_MIN(step, size - got),
					 env_now(bed->env) + 10 * LAB_SEC, &n, &err),
			0);
		assert_in_range(n, 1, LAB_MIN(step, size - got));
		got += n;
	}
}

static void echo_body(struct bed *bed)
{
	struct env_stream *stream = dial(bed);
	char text[16] = "";

	assert_int_equal(env_stream_write(stream, LAB_VIEW("hello"), NULL), 0);
	assert_int_equal(env_stream_write(stream, LAB_VIEW(""), NULL), 0);
	assert_int_equal(env_stream_write(stream, LAB_VIEW(" world"), NULL), 0);
	read_exactly(bed, stream, text, 11, 1);
	assert_string_equal(text, "hello world");
	env_stream_close(&stream);
	assert_null(stream);
	env_stream_close(&stream);
}

static void bytes_go_there_and_back(void **state)
{
	(void)state;
	run_with_peer(PEER_ECHO, echo_body);
	assert_int_equal(the_peer.received, 11);
}

struct pump {
	struct bed *bed;
	struct env_stream *stream;
	uint8_t *data;
	size_t size;
	int result;
	bool done;
};

static void pump_writer(void *arg)
{
	struct pump *pump = arg;

	pump->result = env_stream_write(pump->stream, lab_view_of(pump->data, pump->size), NULL);
	pump->done = true;
}

static void big_body(struct bed *bed)
{
	struct pump pump = { .bed = bed, .size = 8 << 20 };
	char *in = lab_heap_alloc(bed->env->heap, pump.size);

	pump.data = lab_heap_alloc(bed->env->heap, pump.size);
	for (size_t i = 0; i < pump.size; i++)
		pump.data[i] = (uint8_t)(i * 31 >> 3);
	pump.stream = dial(bed);
	assert_int_equal(env_spawn(bed->env, "writer", pump_writer, &pump, NULL), 0);
	read_exactly(bed, pump.stream, in, pump.size, 100000);
	assert_true(pump.done);
	assert_int_equal(pump.result, 0);
	for (size_t i = 0; i < pump.size; i += 4097)
		assert_int_equal((uint8_t)in[i], (uint8_t)(i * 31 >> 3));
	env_stream_close(&pump.stream);
}

static void more_than_all_buffers_hold_goes_through(void **state)
{
	(void)state;
	run_with_peer(PEER_ECHO, big_body);
}

static void backpressure_body(struct bed *bed)
{
	struct env_stream *stream = dial(bed);
	size_t size = 32 << 20;
	uint8_t *data = lab_heap_alloc(bed->env->heap, size);
	uint64_t before = env_now(bed->env);
	char text[4];

	data[size - 1] = '!';
	assert_int_equal(env_stream_write(stream, lab_view_of(data, size), NULL), 0);
	assert_true(env_now(bed->env) - before > 100 * LAB_MSEC);
	read_exactly(bed, stream, text, 4, 4);
	env_stream_close(&stream);
}

static void a_writer_waits_for_a_slow_reader(void **state)
{
	(void)state;
	run_with_peer(PEER_SLOW_READER, backpressure_body);
	assert_int_equal(the_peer.received, 32 << 20);
}

static void two_writers_body(struct bed *bed)
{
	struct pump pump = { .bed = bed, .size = 16 << 20 };
	struct env_stream *stream;
	char text[4];

	pump.data = lab_heap_alloc(bed->env->heap, pump.size);
	pump.stream = stream = dial(bed);
	assert_int_equal(env_spawn(bed->env, "writer", pump_writer, &pump, NULL), 0);
	env_sleep(bed->env, 20 * LAB_MSEC);
	assert_false(pump.done);
	/* Must not land in the middle of the other's. */
	assert_int_equal(env_stream_write(stream, LAB_VIEW("!"), NULL), 0);
	assert_true(pump.done);
	read_exactly(bed, stream, text, 4, 4);
	env_stream_close(&stream);
}

static void writers_take_turns(void **state)
{
	(void)state;
	run_with_peer(PEER_SLOW_READER, two_writers_body);
	assert_int_equal(the_peer.received, (16 << 20) + 1);
}

static void end_body(struct bed *bed)
{
	struct env_stream *stream = dial(bed);
	char text[16];
	size_t n = 99;

	read_exactly(bed, stream, text, 3, 16);
	for (unsigned i = 0; i < 2; i++) {
		n = 99;
		assert_int_equal(
			env_stream_read(stream, text, sizeof(text), ENV_FOREVER, &n, NULL), 0);
		assert_int_equal(n, 0);
	}
	env_stream_close(&stream);
}

static void an_orderly_end_is_zero_bytes(void **state)
{
	(void)state;
	run_with_peer(PEER_CLOSE, end_body);
}

static void reset_body(struct bed *bed)
{
	struct env_stream *stream = dial(bed);
	struct lab_error err;
	char text[16];
	size_t n;

	/* What came before it is still read. */
	read_exactly(bed, stream, text, 3, 16);
	assert_int_equal(env_stream_read(stream, text, sizeof(text), ENV_FOREVER, &n, &err), -1);
	assert_int_equal(err.code, LAB_RESET);
	err.code = LAB_OK;
	assert_int_equal(env_stream_write(stream, LAB_VIEW("x"), &err), -1);
	assert_int_equal(err.code, LAB_RESET);
	env_stream_close(&stream);
}

static void a_reset_is_told_to_reader_and_writer(void **state)
{
	(void)state;
	run_with_peer(PEER_RESET, reset_body);
}

static void timeout_body(struct bed *bed)
{
	struct env_stream *stream = dial(bed);
	uint64_t before = env_now(bed->env);
	struct lab_error err;
	char text[16];
	size_t n;

	assert_int_equal(
		env_stream_read(stream, text, sizeof(text), before + 30 * LAB_MSEC, &n, &err), -1);
	assert_int_equal(err.code, LAB_TIMEOUT);
	assert_true(env_now(bed->env) >= before + 30 * LAB_MSEC);
	/* It stays usable. */
	assert_int_equal(env_stream_write(stream, LAB_VIEW("abc"), NULL), 0);
	read_exactly(bed, stream, text, 3, 3);
	env_stream_close(&stream);
}

static void a_read_ends_at_its_deadline_and_the_stream_lives(void **state)
{
	(void)state;
	run_with_peer(PEER_ECHO, timeout_body);
}

struct blocked {
	struct bed *bed;
	struct env_stream *stream;
	struct lab_error read_err, write_err;
	int read_result, write_result;
	unsigned ended;
};

static void blocked_reader(void *arg)
{
	struct blocked *blocked = arg;
	char text[16];
	size_t n;

	blocked->read_result = env_stream_read(
		blocked->stream, text, sizeof(text), ENV_FOREVER, &n, &blocked->read_err);
	blocked->ended++;
}

static void blocked_writer(void *arg)
{
	struct blocked *blocked = arg;
	uint8_t *data = lab_heap_alloc(blocked->bed->env->heap, 32 << 20);

	blocked->write_result =
		env_stream_write(blocked->stream, lab_view_of(data, 32 << 20), &blocked->write_err);
	blocked->ended++;
}

static void close_body(struct bed *bed)
{
	struct blocked blocked = { .bed = bed, .stream = dial(bed) };
	struct env_stream *stream = blocked.stream;

	assert_int_equal(env_spawn(bed->env, "reader", blocked_reader, &blocked, NULL), 0);
	assert_int_equal(env_spawn(bed->env, "writer", blocked_writer, &blocked, NULL), 0);
	assert_int_equal(env_spawn(bed->env, "second", blocked_writer, &blocked, NULL), 0);
	env_sleep(bed->env, 20 * LAB_MSEC);
	assert_int_equal(blocked.ended, 0);
	env_stream_close(&stream);
	while (blocked.ended < 3)
		env_sleep(bed->env, LAB_MSEC);
	assert_int_equal(blocked.read_result, -1);
	assert_int_equal(blocked.read_err.code, LAB_RESET);
	assert_int_equal(blocked.write_result, -1);
	assert_int_equal(blocked.write_err.code, LAB_RESET);
}

static void closing_wakes_blocked_fibers(void **state)
{
	(void)state;
	run_with_peer(PEER_SLOW_READER, close_body);
}

static void refused_body(struct bed *bed)
{
	struct env_stream *stream;
	struct lab_error err;

	assert_int_equal(env_connect(bed->env, "127.0.0.1", 1, ENV_FOREVER, &stream, &err), -1);
	assert_int_equal(err.code, LAB_REFUSED);
	assert_true(err.retryable);
	assert_int_equal(env_connect(bed->env, "localhost", 1, ENV_FOREVER, &stream, &err), -1);
	assert_int_equal(err.code, LAB_REFUSED);
	assert_int_equal(env_connect(bed->env, "192.0.2.1", 1, ENV_FOREVER, &stream, &err), -1);
	assert_int_equal(err.code, LAB_DENIED);
	assert_int_equal(env_connect(bed->env, "example.com", 1, ENV_FOREVER, &stream, &err), -1);
	assert_int_equal(err.code, LAB_DENIED);
}

static void refusals_have_their_codes(void **state)
{
	(void)state;
	bed_run_once(refused_body);
}

static void lookup_body(struct bed *bed)
{
	struct env_stream *stream;
	struct lab_error err;
	uint64_t deadline = env_now(bed->env) + 20 * LAB_SEC;

	assert_int_equal(env_connect(bed->env, "nobody.invalid", 1, deadline, &stream, &err), -1);
	assert_true(err.code == LAB_NOT_FOUND || err.code == LAB_TIMEOUT);
	/* An answer that comes after the deadline finds nobody. */
	assert_int_equal(env_connect(bed->env, "nobody.invalid", 1, 0, &stream, &err), -1);
	assert_true(err.code == LAB_NOT_FOUND || err.code == LAB_TIMEOUT);
}

static void unknown_names_are_not_found(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed);
	live_allow_remote(bed.live);
	bed_run(&bed, lookup_body);
	bed_close(&bed);
}

static void source_body(struct bed *bed)
{
	struct env_stream *stream = dial(bed);
	char text[1];

	assert_int_equal(env_stream_write(stream, LAB_VIEW("a"), NULL), 0);
	read_exactly(bed, stream, text, 1, 1);
	env_stream_close(&stream);
}

static void streams_come_from_the_hosts_address(void **state)
{
	const struct live_settings settings = { .seed = 1 };
	const struct live_host_settings host = { .hostname = "b1", .source_address = "127.0.1.9" };
	struct bed bed;

	(void)state;
	peer_start(PEER_ECHO);
	bed_open_with(&bed, &settings, &host);
	assert_int_equal(
		live_map(bed.live, "cassandra-1:9042", "127.0.0.1", the_peer.port, false, NULL), 0);
	bed_run(&bed, source_body);
	bed_close(&bed);
	peer_stop();
	assert_int_equal(ntohl(the_peer.client.sin_addr.s_addr), 0x7f000109);
}

static void buffers_body(struct bed *bed)
{
	struct env_stream *streams[3] = { 0 };
	struct lab_error err;

	for (unsigned i = 0; i < 2; i++)
		streams[i] = dial(bed);
	assert_int_equal(
		env_connect(bed->env, "cassandra-1", 9042, ENV_FOREVER, &streams[2], &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	for (unsigned i = 0; i < 2; i++)
		env_stream_close(&streams[i]);
	env_sleep(bed->env, LAB_MSEC);
	streams[2] = dial(bed);
	env_stream_close(&streams[2]);
}

static void streams_are_limited_by_their_buffers(void **state)
{
	const struct live_settings settings = { .buffers_max_bytes = 130 << 10 };
	const struct live_host_settings host = { .hostname = "b1" };
	struct bed bed;

	(void)state;
	peer_start(PEER_SILENT);
	bed_open_with(&bed, &settings, &host);
	assert_int_equal(
		live_map(bed.live, "cassandra-1:9042", "127.0.0.1", the_peer.port, false, NULL), 0);
	bed_run(&bed, buffers_body);
	bed_close(&bed);
	peer_stop();
}

static void crash_main(struct env *env, void *arg)
{
	struct bed *bed = arg;
	struct blocked *blocked = lab_new(env->heap, struct blocked);

	blocked->bed = bed;
	blocked->stream = dial(bed);
	assert_int_equal(env_spawn(env, "reader", blocked_reader, blocked, NULL), 0);
	assert_int_equal(env_spawn(env, "writer", blocked_writer, blocked, NULL), 0);
	assert_int_equal(env_spawn(env, "second", blocked_writer, blocked, NULL), 0);
	env_sleep(env, 20 * LAB_MSEC);
	live_crash(bed->host);
}

static void a_crash_resets_streams(void **state)
{
	struct bed bed;

	(void)state;
	peer_start(PEER_SLOW_READER);
	bed_open(&bed);
	assert_int_equal(
		live_map(bed.live, "cassandra-1:9042", "127.0.0.1", the_peer.port, false, NULL), 0);
	assert_int_equal(live_start(bed.host, "main", crash_main, &bed, NULL), 0);
	assert_int_equal(live_run(bed.live, 20 * LAB_SEC, NULL, NULL), 0);
	bed_close(&bed);
	peer_stop();
	assert_true(the_peer.saw_reset);
}

static void maps_are_checked(void **state)
{
	static const char *const bad[] = { "host", "host:", "host:0", "host:x", ":1", "*.:1",
		"a.*.b:1", "*:1", "", "host:99999", "a b:1" };
	struct lab_error err;
	struct bed bed;

	(void)state;
	bed_open(&bed);
	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++) {
		if (live_map(bed.live, bad[i], "127.0.0.1", 1, false, &err) != -1 ||
			err.code != LAB_INVALID)
			fail_msg("%s", bad[i]);
	}
	assert_int_equal(live_map(bed.live, "a:1", "localhost", 1, false, &err), -1);
	assert_int_equal(live_map(bed.live, "a:1", "127.0.0.1", 0, false, &err), -1);
	for (unsigned i = 0; i < LIVE_MAPS_MAX; i++)
		assert_int_equal(live_map(bed.live, "[::1]:80", "::1", 1, false, &err), 0);
	assert_int_equal(live_map(bed.live, "a:1", "127.0.0.1", 1, false, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_there_and_back),
		cmocka_unit_test(more_than_all_buffers_hold_goes_through),
		cmocka_unit_test(a_writer_waits_for_a_slow_reader),
		cmocka_unit_test(writers_take_turns),
		cmocka_unit_test(an_orderly_end_is_zero_bytes),
		cmocka_unit_test(a_reset_is_told_to_reader_and_writer),
		cmocka_unit_test(a_read_ends_at_its_deadline_and_the_stream_lives),
		cmocka_unit_test(closing_wakes_blocked_fibers),
		cmocka_unit_test(refusals_have_their_codes),
		cmocka_unit_test(unknown_names_are_not_found),
		cmocka_unit_test(streams_come_from_the_hosts_address),
		cmocka_unit_test(streams_are_limited_by_their_buffers),
		cmocka_unit_test(a_crash_resets_streams),
		cmocka_unit_test(maps_are_checked),
	};

	return cmocka_run_group_tests_name("live-stream", tests, NULL, NULL);
}

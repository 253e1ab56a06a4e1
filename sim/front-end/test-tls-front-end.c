/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/live/test-support.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "core/env/live/testing-certificates.h"
#include "sim/front-end/http-front-end.h"
#include "sim/front-end/stream-front-end.h"
#include "sim/front-end/tls-front-end.h"

#define NAME "bucket.s3.example"
#define NODE "cassandra-2.example"
#define FLOOD_BYTES ((size_t)6 << 20)

static struct testing_ca the_ca;

/* ---- a stream service: echoes; "C" says bye and ends, "R" resets, "F" floods ---- */

static struct {
	sim_stream_output_fn output;
	void *ctx;
	bool over;
	unsigned accepts, closed;
	size_t received;
	char instance[32], peer[32];
} node;

static void *node_accept(void *service, struct lab_view instance, const struct sim_peer *peer,
	uint64_t now_ns, sim_stream_output_fn output, void *output_ctx)
{
	(void)now_ns;
	node.accepts++;
	node.over = false;
	node.output = output;
	node.ctx = output_ctx;
	(void)lab_view_to_cstr(instance, node.instance, sizeof(node.instance));
	(void)lab_view_to_cstr(peer->name, node.peer, sizeof(node.peer));
	return service;
}

static void node_input(void *connection, struct lab_view data, uint64_t now_ns)
{
	static uint8_t flood[FLOOD_BYTES];

	(void)connection;
	(void)now_ns;
	node.received += data.len;
	if (data.ptr[0] == 'C') {
		node.output(node.ctx, LAB_VIEW("bye"), SIM_WIRE_ANSWER_CLOSE);
	} else if (data.ptr[0] == 'R') {
		node.output(node.ctx, LAB_VIEW(""), SIM_WIRE_RESET);
	} else if (data.ptr[0] == 'F') {
		for (size_t i = 0; i < sizeof(flood); i++)
			flood[i] = (uint8_t)(i * 7 + i / 253);
		node.output(node.ctx, lab_view_of(flood, sizeof(flood)), SIM_WIRE_ANSWER);
	} else {
		node.output(node.ctx, data, SIM_WIRE_ANSWER);
	}
}

static void node_closed(void *connection, uint64_t now_ns)
{
	(void)connection;
	(void)now_ns;
	node.closed++;
}

static void node_advance(void *service, uint64_t now_ns)
{
	(void)service;
	(void)now_ns;
}

static uint64_t node_next_deadline(void *service)
{
	(void)service;
	return UINT64_MAX;
}

static const struct sim_stream_ops node_ops = { .accept = node_accept,
	.input = node_input,
	.closed = node_closed,
	.advance = node_advance,
	.next_deadline = node_next_deadline };

/* ---- both in front of each other, and a live world ---- */

struct setting {
	struct stream_front_end *plain;
	struct tls_front_end *tls;
	struct bed bed;
};

static void setting_open(struct setting *s, struct tls_front_end_settings tls)
{
	static const struct stream_front_end_node nodes[] = { { "cassandra-1", "127.0.0.1" },
		{ "cassandra-2", "127.0.0.2" } };
	static const struct front_end_peer peers[] = { { "127.0.1.3", "b3", "az1", 1 } };
	const struct stream_front_end_settings plain = { .service = { &node_ops, &node },
		.nodes = nodes,
		.node_count = 2,
		.peers = peers,
		.peer_count = 1 };
	const struct live_settings live = { .seed = 1 };
	const struct live_host_settings host = { .hostname = "b3", .source_address = "127.0.1.3" };
	struct tls_front_end_route routes[2];

	memset(&node, 0, sizeof(node));
	assert_int_equal(stream_front_end_new(&plain, &s->plain, NULL), 0);
	for (size_t i = 0; i < 2; i++)
		routes[i] = (struct tls_front_end_route){ nodes[i].address, nodes[i].address,
			stream_front_end_port(s->plain) };
	if (tls.cert_file == NULL) {
		tls.cert_file = testing_path("server.pem");
		tls.key_file = testing_path("server.key");
	}
	tls.routes = routes;
	tls.route_count = 2;
	assert_int_equal(tls_front_end_new(&tls, &s->tls, NULL), 0);
	bed_open_with(&s->bed, &live, &host);
	s->bed.extra = s;
	assert_int_equal(live_map(s->bed.live, NODE ":9042", "127.0.0.2",
				 tls_front_end_port(s->tls), false, NULL),
		0);
}

static void setting_close(struct setting *s)
{
	bed_close(&s->bed);
	tls_front_end_free(&s->tls);
	stream_front_end_free(&s->plain);
}

static void run(struct tls_front_end_settings tls, void (*body)(struct bed *bed))
{
	struct setting s;

	setting_open(&s, tls);
	bed_run(&s.bed, body);
	setting_close(&s);
}

static struct env_tls trusting(void)
{
	return (struct env_tls){ .ca_file = the_ca.file };
}

static int dial(
	struct bed *bed, const struct env_tls *tls, struct env_stream **ret, struct lab_error *err)
{
	return env_connect_tls(
		bed->env, NODE, 9042, tls, env_now(bed->env) + 10 * LAB_SEC, ret, err);
}

static void must_read(struct bed *bed, struct env_stream *stream, const char *text)
{
	char got[64];
	size_t have = 0, n;

	while (have < strlen(text)) {
		assert_int_equal(env_stream_read(stream, got + have, sizeof(got) - have,
					 env_now(bed->env) + 10 * LAB_SEC, &n, NULL),
			0);
		assert_true(n > 0);
		have += n;
	}
	assert_int_equal(have, strlen(text));
	assert_memory_equal(got, text, have);
}

static void wait_closed(struct bed *bed)
{
	struct setting *s = bed->extra;

	for (unsigned i = 0; i < 500 && tls_front_end_stats(s->tls).open > 0; i++)
		env_sleep(bed->env, 10 * LAB_MSEC);
	assert_int_equal(tls_front_end_stats(s->tls).open, 0);
	for (unsigned i = 0; i < 500 && stream_front_end_stats(s->plain).open > 0; i++)
		env_sleep(bed->env, 10 * LAB_MSEC);
	assert_int_equal(stream_front_end_stats(s->plain).open, 0);
}

static void talk(struct bed *bed)
{
	struct setting *s = bed->extra;
	struct env_tls tls = trusting();
	struct env_stream *stream;

	assert_int_equal(dial(bed, &tls, &stream, NULL), 0);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("hello"), NULL), 0);
	must_read(bed, stream, "hello");
	assert_string_equal(node.instance, "cassandra-2");
	assert_string_equal(node.peer, "b3");
	assert_int_equal(tls_front_end_stats(s->tls).handshakes, 1);
	env_stream_close(&stream);
	wait_closed(bed);
}

static void what_is_inside_reaches_the_node_from_its_own_client(void **state)
{
	(void)state;
	run((struct tls_front_end_settings){ .port = 0 }, talk);
	assert_int_equal(node.received, 5);
}

static void ends(struct bed *bed)
{
	struct env_tls tls = trusting();
	struct env_stream *stream;
	struct lab_error err;
	char text[8];
	size_t n = 1;

	assert_int_equal(dial(bed, &tls, &stream, NULL), 0);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("C"), NULL), 0);
	must_read(bed, stream, "bye");
	assert_int_equal(env_stream_read(stream, text, sizeof(text), ENV_FOREVER, &n, NULL), 0);
	assert_int_equal(n, 0);
	env_stream_close(&stream);
	wait_closed(bed);

	assert_int_equal(dial(bed, &tls, &stream, NULL), 0);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("R"), NULL), 0);
	assert_int_equal(env_stream_read(stream, text, sizeof(text), ENV_FOREVER, &n, &err), -1);
	assert_int_equal(err.code, LAB_RESET);
	env_stream_close(&stream);
	wait_closed(bed);
}

static void an_end_is_an_end_and_a_reset_a_reset(void **state)
{
	(void)state;
	run((struct tls_front_end_settings){ .port = 0 }, ends);
}

static void keep_open(struct bed *bed)
{
	struct env_tls tls = trusting();
	struct env_stream *stream;
	char text[8];
	size_t n = 1;

	/* It never closes its side. */
	assert_int_equal(dial(bed, &tls, &stream, NULL), 0);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("C"), NULL), 0);
	must_read(bed, stream, "bye");
	assert_int_equal(env_stream_read(stream, text, sizeof(text), ENV_FOREVER, &n, NULL), 0);
	wait_closed(bed);
	env_stream_close(&stream);
}

static void who_does_not_close_is_not_waited_for(void **state)
{
	(void)state;
	run((struct tls_front_end_settings){ .port = 0 }, keep_open);
}

static void flood(struct bed *bed)
{
	static uint8_t data[50000], plenty[400000];
	struct env_tls tls = trusting();
	struct env_stream *stream;
	size_t got = 0, n;
	bool same = true;

	assert_int_equal(dial(bed, &tls, &stream, NULL), 0);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("F"), NULL), 0);
	/* Nobody reads for a while: the front end must not take it all. */
	env_sleep(bed->env, 100 * LAB_MSEC);
	while (got < FLOOD_BYTES) {
		assert_int_equal(env_stream_read(stream, data, sizeof(data),
					 env_now(bed->env) + 10 * LAB_SEC, &n, NULL),
			0);
		assert_true(n > 0);
		for (size_t i = 0; i < n; i++)
			same &= data[i] == (uint8_t)((got + i) * 7 + (got + i) / 253);
		assert_true(same);
		got += n;
	}
	memset(plenty, 'x', sizeof(plenty));
	assert_int_equal(env_stream_write(stream, lab_view_of(plenty, sizeof(plenty)), NULL), 0);
	for (got = 0; got < sizeof(plenty); got += n)
		assert_int_equal(env_stream_read(stream, data, sizeof(data),
					 env_now(bed->env) + 10 * LAB_SEC, &n, NULL),
			0);
	env_stream_close(&stream);
}

static void much_goes_through_in_both_directions(void **state)
{
	(void)state;
	run((struct tls_front_end_settings){ .port = 0 }, flood);
}

/* ---- who is let in ---- */

static void no_certificate(struct bed *bed)
{
	struct env_tls tls = trusting();
	struct env_stream *stream;
	struct lab_error err;
	char text[8];
	size_t n;

	/* TLS 1.3: the client learns of it when it reads. */
	assert_int_equal(dial(bed, &tls, &stream, NULL), 0);
	assert_int_equal(env_stream_read(stream, text, sizeof(text),
				 env_now(bed->env) + 10 * LAB_SEC, &n, &err),
		-1);
	assert_int_equal(err.code, LAB_RESET);
	env_stream_close(&stream);
	wait_closed(bed);
	assert_int_equal(node.accepts, 0);

	tls.cert_file = testing_path("client.pem");
	tls.key_file = testing_path("client.key");
	assert_int_equal(dial(bed, &tls, &stream, NULL), 0);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("hello"), NULL), 0);
	must_read(bed, stream, "hello");
	env_stream_close(&stream);
}

static void clients_may_need_a_certificate(void **state)
{
	(void)state;
	run((struct tls_front_end_settings){ .client_ca_file = the_ca.file }, no_certificate);
}

static void say_nothing(struct bed *bed)
{
	struct setting *s = bed->extra;
	struct env_stream *stream;
	struct lab_error err;
	char text[8];
	size_t n;

	/* Not a byte; then what is no TLS. */
	assert_int_equal(env_connect(bed->env, NODE, 9042, ENV_FOREVER, &stream, NULL), 0);
	assert_int_equal(env_stream_read(stream, text, sizeof(text),
				 env_now(bed->env) + 10 * LAB_SEC, &n, &err),
		-1);
	assert_int_equal(err.code, LAB_RESET);
	env_stream_close(&stream);
	assert_int_equal(env_connect(bed->env, NODE, 9042, ENV_FOREVER, &stream, NULL), 0);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("GET / HTTP/1.1\r\n\r\n"), NULL), 0);
	while (env_stream_read(stream, text, sizeof(text), env_now(bed->env) + 10 * LAB_SEC, &n,
		       &err) == 0 &&
		n > 0)
		;
	env_stream_close(&stream);
	wait_closed(bed);
	assert_int_equal(tls_front_end_stats(s->tls).handshakes, 0);
	assert_int_equal(node.accepts, 0);
}

static void only_tls_is_let_through_and_only_in_time(void **state)
{
	(void)state;
	run((struct tls_front_end_settings){ .handshake_timeout_ns = 100 * LAB_MSEC }, say_nothing);
}

/* A connection that is reset at once is a refused one to who has not heard yet that it was made. */
static void assert_cut(const struct lab_error *err)
{
	assert_true(err->code == LAB_RESET || err->code == LAB_REFUSED);
}

static void too_many(struct bed *bed)
{
	struct env_tls tls = trusting();
	struct env_stream *streams[3] = { NULL };
	struct lab_error err;

	assert_int_equal(dial(bed, &tls, &streams[0], NULL), 0);
	assert_int_equal(dial(bed, &tls, &streams[1], NULL), 0);
	assert_int_equal(dial(bed, &tls, &streams[2], &err), -1);
	assert_cut(&err);
	env_stream_close(&streams[0]);
	env_stream_close(&streams[1]);
	wait_closed(bed);
	assert_int_equal(dial(bed, &tls, &streams[0], NULL), 0);
	env_stream_close(&streams[0]);
}

static void more_connections_than_allowed_are_reset(void **state)
{
	(void)state;
	run((struct tls_front_end_settings){ .connections_max = 2 }, too_many);
}

static void node_is_down(struct bed *bed)
{
	struct setting *s = bed->extra;
	struct env_tls tls = trusting();
	struct env_stream *stream;
	struct lab_error err;
	char text[8];
	size_t n;

	assert_int_equal(stream_front_end_listen(s->plain, "cassandra-2", false, NULL), 0);
	if (dial(bed, &tls, &stream, &err) == 0) {
		assert_int_equal(env_stream_read(stream, text, sizeof(text),
					 env_now(bed->env) + 10 * LAB_SEC, &n, &err),
			-1);
		env_stream_close(&stream);
	}
	assert_cut(&err);
	assert_int_equal(stream_front_end_listen(s->plain, "cassandra-2", true, NULL), 0);
	assert_int_equal(dial(bed, &tls, &stream, &err), 0);
	env_stream_close(&stream);
}

static void a_server_that_is_not_there_is_a_reset(void **state)
{
	(void)state;
	run((struct tls_front_end_settings){ .port = 0 }, node_is_down);
}

static void senseless_settings_are_refused(void **state)
{
	const struct tls_front_end_route good = { "127.0.0.1", "127.0.0.1", 9 },
					 bad = { "somewhere", "127.0.0.1", 9 };
	const struct tls_front_end_settings cases[] = {
		{ .cert_file = testing_path("server.pem"), .key_file = testing_path("server.key") },
		{ .cert_file = testing_path("server.pem"),
			.key_file = testing_path("server.key"),
			.routes = &bad,
			.route_count = 1 },
		{ .routes = &good, .route_count = 1 },
		{ .cert_file = testing_path("server.pem"), .routes = &good, .route_count = 1 },
		{ .cert_file = testing_path("server.pem"),
			.key_file = testing_path("client.key"),
			.routes = &good,
			.route_count = 1 },
		{ .cert_file = testing_path("server.pem"),
			.key_file = testing_path("server.key"),
			.client_ca_file = testing_path("nothing.pem"),
			.routes = &good,
			.route_count = 1 },
	};
	struct tls_front_end *front_end = NULL;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct lab_error err;

		assert_int_equal(tls_front_end_new(&cases[i], &front_end, &err), -1);
		assert_int_equal(err.code, LAB_INVALID);
		assert_null(front_end);
	}
	tls_front_end_free(&front_end);
}

static void connect_and_stop(struct bed *bed)
{
	struct setting *s = bed->extra;
	struct env_tls tls = trusting();
	struct env_stream *stream;
	struct lab_error err;
	char text[8];
	size_t n;

	assert_int_equal(dial(bed, &tls, &stream, NULL), 0);
	assert_int_equal(env_stream_write(stream, LAB_VIEW("F"), NULL), 0);
	tls_front_end_free(&s->tls);
	while (env_stream_read(stream, text, sizeof(text), ENV_FOREVER, &n, &err) == 0)
		;
	assert_int_equal(err.code, LAB_RESET);
	env_stream_close(&stream);
}

static void stopping_resets_what_is_open(void **state)
{
	(void)state;
	run((struct tls_front_end_settings){ .port = 0 }, connect_and_stop);
}

/* ---- HTTP ---- */

static void http_submit(void *service, const struct lab_http_request *request,
	const struct sim_peer *peer, uint64_t now_ns, sim_http_reply_fn reply, void *reply_ctx)
{
	struct sim_http_reply answer = { .wire = SIM_WIRE_ANSWER_CLOSE };

	(void)service;
	(void)peer;
	(void)now_ns;
	answer.response.status = 200;
	answer.response.body = request->body;
	reply(reply_ctx, &answer);
}

static const struct sim_http_ops http_ops = {
	.submit = http_submit, .advance = node_advance, .next_deadline = node_next_deadline
};

static void put(struct bed *bed)
{
	static uint8_t body[1000000];
	const struct env_http_limits limits = { .connect_timeout_ns = 10 * LAB_SEC,
		.response_timeout_ns = 10 * LAB_SEC,
		.response_max_bytes = 2 * sizeof(body) };
	struct lab_http_request request = { .method = LAB_VIEW("PUT"),
		.tls = true,
		.authority = LAB_VIEW(NAME),
		.target = LAB_VIEW("/k"),
		.body = lab_view_of(body, sizeof(body)) };
	struct lab_arena *arena = lab_arena_new(bed->env->heap, 4 * sizeof(body));
	struct lab_http_response response;

	memset(body, 'b', sizeof(body));
	assert_int_equal(env_http(bed->env, &request, &limits, arena, &response, NULL, NULL), 0);
	assert_int_equal(response.status, 200);
	assert_int_equal(response.body.len, sizeof(body));
	assert_memory_equal(response.body.ptr, body, sizeof(body));
}

static void https_is_http_behind_it(void **state)
{
	const struct http_front_end_settings plain = { .service = { &http_ops, NULL } };
	const struct live_settings live = { .ca_file = the_ca.file };
	const struct live_host_settings host = { .hostname = "b1" };
	struct http_front_end *http;
	struct tls_front_end *tls;
	struct bed bed;

	(void)state;
	assert_int_equal(http_front_end_new(&plain, &http, NULL), 0);
	const struct tls_front_end_route route = { "127.0.0.1", "127.0.0.1",
		http_front_end_port(http) };
	assert_int_equal(
		tls_front_end_new(
			&(struct tls_front_end_settings){ .cert_file = testing_path("server.pem"),
				.key_file = testing_path("server.key"),
				.routes = &route,
				.route_count = 1 },
			&tls, NULL),
		0);
	bed_open_with(&bed, &live, &host);
	assert_int_equal(
		live_map(bed.live, NAME ":443", "127.0.0.1", tls_front_end_port(tls), false, NULL),
		0);
	bed_run(&bed, put);
	bed_close(&bed);
	tls_front_end_free(&tls);
	http_front_end_free(&http);
}

/* ---- */

static int make_certificates(void **state)
{
	const struct testing_certificate server = { .names = "DNS:" NODE ",DNS:" NAME },
					 client = { .names = NULL };

	(void)state;
	testing_directory_make();
	testing_ca_make(&the_ca, "ca");
	testing_certificate_make(&the_ca, "server", &server);
	testing_certificate_make(&the_ca, "client", &client);
	return 0;
}

static int remove_certificates(void **state)
{
	(void)state;
	testing_ca_done(&the_ca);
	return testing_directory_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_inside_reaches_the_node_from_its_own_client),
		cmocka_unit_test(an_end_is_an_end_and_a_reset_a_reset),
		cmocka_unit_test(who_does_not_close_is_not_waited_for),
		cmocka_unit_test(much_goes_through_in_both_directions),
		cmocka_unit_test(clients_may_need_a_certificate),
		cmocka_unit_test(only_tls_is_let_through_and_only_in_time),
		cmocka_unit_test(more_connections_than_allowed_are_reset),
		cmocka_unit_test(a_server_that_is_not_there_is_a_reset),
		cmocka_unit_test(senseless_settings_are_refused),
		cmocka_unit_test(stopping_resets_what_is_open),
		cmocka_unit_test(https_is_http_behind_it),
	};

	return cmocka_run_group_tests_name(
		"tls-front-end", tests, make_certificates, remove_certificates);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/live/test-support.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "core/env/live/testing-certificates.h"

#define NAME "cassandra-1.example"
#define PASSWORD "correct horse"
#define LONG_BYTES ((size_t)3 << 20)

/* What the peer does with the one connection that it accepts. */
enum peer_kind {
	PEER_ECHO,
	PEER_GOODBYE, /* says "bye", then TLS's own end */
	PEER_CUT,     /* says "bye", then FIN */
	PEER_PLAIN,   /* answers in the clear, as a node without TLS */
	PEER_SILENT,  /* not a byte */
	PEER_CLOSE,   /* FIN when the client hello is there */
	PEER_RESET,   /* RST then */
	PEER_SLOW     /* an echo, after SLOW_MS */
};
#define SLOW_MS 300

struct peer {
	enum peer_kind kind;
	const char *certificate; /* name below the directory */
	bool wants_certificate;
	int version_max; /* 0: the newest */
	int fd;
	uint16_t port;
	pthread_t thread;
	size_t received;
};

static struct testing_ca the_ca, other_ca;
static struct peer the_peer;

/* ---- the peer ---- */

static SSL_CTX *peer_context(const struct peer *peer)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char name[64];

	SSL_CTX_set_security_level(context, 0);
	(void)SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
	if (peer->version_max != 0)
		assert_int_equal(SSL_CTX_set_max_proto_version(context, peer->version_max), 1);
	(void)snprintf(name, sizeof(name), "%s.pem", peer->certificate);
	assert_int_equal(
		SSL_CTX_use_certificate_file(context, testing_path(name), SSL_FILETYPE_PEM), 1);
	(void)snprintf(name, sizeof(name), "%s.key", peer->certificate);
	assert_int_equal(
		SSL_CTX_use_PrivateKey_file(context, testing_path(name), SSL_FILETYPE_PEM), 1);
	if (peer->wants_certificate) {
		SSL_CTX_set_verify(
			context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		assert_int_equal(SSL_CTX_load_verify_locations(context, the_ca.file, NULL), 1);
	}
	return context;
}

static void peer_talk(struct peer *peer, SSL *ssl)
{
	static char data[16384];
	int n;

	if (peer->kind == PEER_GOODBYE || peer->kind == PEER_CUT) {
		(void)SSL_write(ssl, "bye", 3);
		if (peer->kind == PEER_GOODBYE)
			(void)SSL_shutdown(ssl);
		return;
	}
	while ((n = SSL_read(ssl, data, sizeof(data))) > 0) {
		peer->received += (size_t)n;
		(void)SSL_write(ssl, data, n);
	}
}

static void peer_tls(struct peer *peer, int fd)
{
	SSL_CTX *context = peer_context(peer);
	SSL *ssl = SSL_new(context);

	(void)SSL_set_fd(ssl, fd);
	if (peer->kind == PEER_SLOW)
		test_wait_ms(SLOW_MS);
	if (SSL_accept(ssl) == 1)
		peer_talk(peer, ssl);
	SSL_free(ssl);
	SSL_CTX_free(context);
}

static void peer_no_tls(struct peer *peer, int fd)
{
	struct linger reset = { .l_onoff = 1 };
	char data[1024];

	(void)!recv(fd, data, sizeof(data), 0);
	if (peer->kind == PEER_PLAIN)
		(void)!send(fd, "\x84\x00\x00\x00\x00\x00\x00\x00\x04oops", 13, MSG_NOSIGNAL);
	if (peer->kind == PEER_SILENT)
		(void)!recv(fd, data, sizeof(data), 0); /* until the client goes */
	if (peer->kind == PEER_RESET)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

static void *peer_serve(void *arg)
{
	struct peer *peer = arg;
	int fd = accept(peer->fd, NULL, NULL);

	if (peer->kind == PEER_PLAIN || peer->kind == PEER_SILENT || peer->kind == PEER_CLOSE ||
		peer->kind == PEER_RESET)
		peer_no_tls(peer, fd);
	else
		peer_tls(peer, fd);
	(void)close(fd);
	return NULL;
}

static void peer_start(const struct peer *settings)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);

	the_peer = *settings;
	if (the_peer.certificate == NULL)
		the_peer.certificate = "good";
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	the_peer.fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(the_peer.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(the_peer.fd, 8), 0);
	assert_int_equal(getsockname(the_peer.fd, (struct sockaddr *)&address, &size), 0);
	the_peer.port = ntohs(address.sin_port);
	assert_int_equal(pthread_create(&the_peer.thread, NULL, peer_serve, &the_peer), 0);
}

/* ---- one connection ---- */

struct attempt {
	struct env_tls tls;
	uint64_t timeout_ns; /* 0: 10 s */
	void (*use)(struct bed *bed, struct env_stream *stream);
	int result;
	struct lab_error err;
	uint64_t took_ns;
};

static void attempt_body(struct bed *bed)
{
	struct attempt *attempt = bed->extra;
	uint64_t started_ns = env_now(bed->env);
	uint64_t timeout_ns = attempt->timeout_ns == 0 ? 10 * LAB_SEC : attempt->timeout_ns;
	struct env_stream *stream = NULL;

	attempt->result = env_connect_tls(bed->env, NAME, 9042, &attempt->tls,
		started_ns + timeout_ns, &stream, &attempt->err);
	attempt->took_ns = env_now(bed->env) - started_ns;
	if (attempt->result == 0 && attempt->use != NULL)
		attempt->use(bed, stream);
	env_stream_close(&stream);
}

static struct attempt dial(const struct peer *peer, struct attempt attempt)
{
	struct bed bed;

	peer_start(peer);
	bed_open(&bed);
	bed.extra = &attempt;
	assert_int_equal(
		live_map(bed.live, NAME ":9042", "127.0.0.1", the_peer.port, false, NULL), 0);
	bed_run(&bed, attempt_body);
	bed_close(&bed);
	assert_int_equal(pthread_join(the_peer.thread, NULL), 0);
	(void)close(the_peer.fd);
	return attempt;
}

static void assert_failed(struct attempt attempt, enum lab_code code, const char *says)
{
	assert_int_equal(attempt.result, -1);
	assert_string_equal(lab_code_name(attempt.err.code), lab_code_name(code));
	if (strstr(attempt.err.message, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", attempt.err.message, says);
	assert_int_equal(attempt.err.retryable, code != LAB_INVALID);
}

static void echo_hello(struct bed *bed, struct env_stream *stream)
{
	char text[8];
	size_t n, got = 0;

	assert_int_equal(env_stream_write(stream, LAB_VIEW("hello"), NULL), 0);
	while (got < 5) {
		assert_int_equal(env_stream_read(stream, text + got, sizeof(text) - got,
					 env_now(bed->env) + 10 * LAB_SEC, &n, NULL),
			0);
		assert_true(n > 0);
		got += n;
	}
	assert_memory_equal(text, "hello", 5);
}

/* ---- who trusts whom ---- */

static void a_trusted_peer_is_talked_to(void **state)
{
	static const enum env_tls_verify verify[] = { ENV_TLS_VERIFY_NAME, ENV_TLS_VERIFY_IP,
		ENV_TLS_VERIFY_CERT, ENV_TLS_VERIFY_NONE };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(verify); i++) {
		struct attempt attempt = dial(&(struct peer){ .kind = PEER_ECHO },
			(struct attempt){ .tls = { .verify = verify[i], .ca_file = the_ca.file },
				.use = echo_hello });

		assert_int_equal(attempt.result, 0);
		assert_int_equal(the_peer.received, 5);
	}
}

static void tls_1_2_is_spoken_and_1_1_is_not(void **state)
{
	const struct attempt attempt = { .tls = { .ca_file = the_ca.file }, .use = echo_hello };

	(void)state;
	assert_int_equal(dial(&(struct peer){ .version_max = TLS1_2_VERSION }, attempt).result, 0);
	assert_failed(dial(&(struct peer){ .version_max = TLS1_1_VERSION }, attempt), LAB_CORRUPT,
		"protocol version");
}

static void a_certificate_of_somebody_unknown_is_refused(void **state)
{
	const struct peer peer = { .kind = PEER_ECHO };

	(void)state;
	assert_failed(dial(&peer, (struct attempt){ .tls = { .ca_file = other_ca.file } }),
		LAB_DENIED, "unable to get local issuer certificate");
	/* Without a CA file nobody is trusted, not even whom the machine trusts. */
	assert_failed(dial(&peer, (struct attempt){ .tls = { .verify = ENV_TLS_VERIFY_CERT } }),
		LAB_DENIED, "unable to get local issuer certificate");
	assert_int_equal(
		dial(&peer, (struct attempt){ .tls = { .verify = ENV_TLS_VERIFY_NONE } }).result,
		0);
}

static void a_certificate_for_another_name_is_refused(void **state)
{
	const struct peer peer = { .certificate = "stranger" };

	(void)state;
	assert_failed(dial(&peer, (struct attempt){ .tls = { .ca_file = the_ca.file } }),
		LAB_DENIED, "hostname mismatch");
	assert_failed(dial(&peer, (struct attempt){ .tls = { .verify = ENV_TLS_VERIFY_IP,
							    .ca_file = the_ca.file } }),
		LAB_DENIED, "IP address mismatch");
	assert_int_equal(dial(&peer, (struct attempt){ .tls = { .verify = ENV_TLS_VERIFY_CERT,
							       .ca_file = the_ca.file } })
				 .result,
		0);
}

static void an_expired_certificate_is_refused(void **state)
{
	const struct peer peer = { .certificate = "expired" };

	(void)state;
	assert_failed(dial(&peer, (struct attempt){ .tls = { .verify = ENV_TLS_VERIFY_CERT,
							    .ca_file = the_ca.file } }),
		LAB_DENIED, "certificate has expired");
	assert_int_equal(
		dial(&peer, (struct attempt){ .tls = { .verify = ENV_TLS_VERIFY_NONE } }).result,
		0);
}

/* ---- certificates of clients ---- */

static void read_is_refused(struct bed *bed, struct env_stream *stream)
{
	struct lab_error err;
	char text[8];
	size_t n;

	assert_int_equal(env_stream_read(stream, text, sizeof(text),
				 env_now(bed->env) + 10 * LAB_SEC, &n, &err),
		-1);
	assert_int_equal(err.code, LAB_RESET);
	assert_non_null(strstr(err.message, "certificate required"));
	/* It stays so. */
	assert_int_equal(env_stream_write(stream, LAB_VIEW("x"), &err), -1);
	assert_int_equal(err.code, LAB_RESET);
}

static void a_client_without_certificate_is_told_so(void **state)
{
	const struct env_tls tls = { .ca_file = the_ca.file };
	struct attempt attempt;

	(void)state;
	/* TLS 1.2 says it in the handshake, 1.3 behind it. */
	attempt = dial(&(struct peer){ .wants_certificate = true, .version_max = TLS1_2_VERSION },
		(struct attempt){ .tls = tls });
	assert_failed(attempt, LAB_DENIED, "handshake failure");
	attempt = dial(&(struct peer){ .wants_certificate = true },
		(struct attempt){ .tls = tls, .use = read_is_refused });
	assert_int_equal(attempt.result, 0);
}

static void a_client_may_have_a_certificate_and_a_password_for_its_key(void **state)
{
	struct env_tls tls = { .ca_file = the_ca.file,
		.cert_file = testing_path("client.pem"),
		.key_file = testing_path("client.key") };
	const struct peer peer = { .wants_certificate = true };

	(void)state;
	assert_int_equal(dial(&peer, (struct attempt){ .tls = tls, .use = echo_hello }).result, 0);
	tls.cert_file = testing_path("locked.pem");
	tls.key_file = testing_path("locked.key");
	tls.key_password = PASSWORD;
	assert_int_equal(dial(&peer, (struct attempt){ .tls = tls, .use = echo_hello }).result, 0);
}

static void what_is_wrong_with_a_file_is_told_without_its_secrets(void **state)
{
	const struct env_tls cases[] = {
		{ .ca_file = testing_path("missing.pem") },
		{ .ca_file = testing_path("client.key") },
		{ .ca_file = the_ca.file, .cert_file = testing_path("missing.pem") },
		{ .ca_file = the_ca.file,
			.cert_file = testing_path("client.pem"),
			.key_file = testing_path("good.key") },
		{ .ca_file = the_ca.file,
			.cert_file = testing_path("locked.pem"),
			.key_file = testing_path("locked.key") },
		{ .ca_file = the_ca.file,
			.cert_file = testing_path("locked.pem"),
			.key_file = testing_path("locked.key"),
			.key_password = "wrong " PASSWORD },
	};
	static const char *const says[] = { "CA file", "CA file", "certificate file",
		"private key file", "private key file", "private key file" };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct attempt attempt = dial(
			&(struct peer){ .kind = PEER_ECHO }, (struct attempt){ .tls = cases[i] });

		assert_failed(attempt, LAB_INVALID, says[i]);
		assert_null(strstr(attempt.err.message, PASSWORD));
		assert_null(strstr(attempt.err.message, "BEGIN"));
	}
}

/* ---- peers that are none ---- */

static void a_peer_that_speaks_no_tls_is_found_out(void **state)
{
	(void)state;
	assert_failed(dial(&(struct peer){ .kind = PEER_PLAIN },
			      (struct attempt){ .tls = { .ca_file = the_ca.file } }),
		LAB_CORRUPT, "TLS: ");
}

static void a_peer_that_goes_during_the_handshake_is_a_reset(void **state)
{
	(void)state;
	assert_failed(dial(&(struct peer){ .kind = PEER_CLOSE },
			      (struct attempt){ .tls = { .ca_file = the_ca.file } }),
		LAB_RESET, "during the handshake");
	assert_failed(dial(&(struct peer){ .kind = PEER_RESET },
			      (struct attempt){ .tls = { .ca_file = the_ca.file } }),
		LAB_RESET, "connection lost");
}

static void the_handshake_counts_to_the_connect_timeout(void **state)
{
	struct attempt attempt = dial(&(struct peer){ .kind = PEER_SILENT },
		(struct attempt){
			.tls = { .ca_file = the_ca.file }, .timeout_ns = 200 * LAB_MSEC });

	(void)state;
	assert_failed(attempt, LAB_TIMEOUT, "in time");
	assert_true(attempt.took_ns >= 200 * LAB_MSEC && attempt.took_ns < 2 * LAB_SEC);
	attempt = dial(&(struct peer){ .kind = PEER_SLOW },
		(struct attempt){
			.tls = { .ca_file = the_ca.file }, .timeout_ns = 100 * LAB_MSEC });
	assert_failed(attempt, LAB_TIMEOUT, "in time");
	attempt = dial(&(struct peer){ .kind = PEER_SLOW },
		(struct attempt){ .tls = { .ca_file = the_ca.file }, .use = echo_hello });
	assert_int_equal(attempt.result, 0);
	assert_true(attempt.took_ns >= SLOW_MS * LAB_MSEC - 20 * LAB_MSEC);
}

/* ---- the end ---- */

static void read_bye(struct bed *bed, struct env_stream *stream)
{
	char text[8];
	size_t n;

	assert_int_equal(env_stream_read(stream, text, sizeof(text),
				 env_now(bed->env) + 10 * LAB_SEC, &n, NULL),
		0);
	assert_int_equal(n, 3);
	assert_memory_equal(text, "bye", 3);
}

static void ends_well(struct bed *bed, struct env_stream *stream)
{
	char text[8];
	size_t n = 7;

	read_bye(bed, stream);
	assert_int_equal(env_stream_read(stream, text, sizeof(text),
				 env_now(bed->env) + 10 * LAB_SEC, &n, NULL),
		0);
	assert_int_equal(n, 0);
}

static void ends_badly(struct bed *bed, struct env_stream *stream)
{
	struct lab_error err;
	char text[8];
	size_t n;

	read_bye(bed, stream);
	assert_int_equal(env_stream_read(stream, text, sizeof(text),
				 env_now(bed->env) + 10 * LAB_SEC, &n, &err),
		-1);
	assert_int_equal(err.code, LAB_RESET);
}

static void only_a_goodbye_is_an_orderly_end(void **state)
{
	(void)state;
	assert_int_equal(
		dial(&(struct peer){ .kind = PEER_GOODBYE },
			(struct attempt){ .tls = { .ca_file = the_ca.file }, .use = ends_well })
			.result,
		0);
	assert_int_equal(
		dial(&(struct peer){ .kind = PEER_CUT },
			(struct attempt){ .tls = { .ca_file = the_ca.file }, .use = ends_badly })
			.result,
		0);
}

static void times_out(struct bed *bed, struct env_stream *stream)
{
	struct lab_error err;
	char text[8];
	size_t n;

	assert_int_equal(env_stream_read(stream, text, sizeof(text),
				 env_now(bed->env) + 50 * LAB_MSEC, &n, &err),
		-1);
	assert_int_equal(err.code, LAB_TIMEOUT);
	echo_hello(bed, stream);
}

static void a_read_that_timed_out_may_be_tried_again(void **state)
{
	(void)state;
	assert_int_equal(
		dial(&(struct peer){ .kind = PEER_ECHO },
			(struct attempt){ .tls = { .ca_file = the_ca.file }, .use = times_out })
			.result,
		0);
}

/* ---- several fibers on one stream ---- */

struct job {
	struct bed *bed;
	struct env_stream *stream;
	unsigned left;
	size_t bytes;
	uint64_t sum;
	int result;
	enum lab_code code;
	struct env_cond done;
};

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 31 + i / 251);
}

static void write_long(void *arg)
{
	struct job *job = arg;
	uint8_t *data = lab_heap_alloc(job->bed->env->heap, LONG_BYTES);

	for (size_t i = 0; i < LONG_BYTES; i++)
		data[i] = pattern(i);
	job->result |= env_stream_write(job->stream, lab_view_of(data, LONG_BYTES), NULL);
	lab_heap_free(job->bed->env->heap, data);
	job->left--;
	env_cond_broadcast(job->bed->env, &job->done);
}

static void read_long(struct bed *bed, struct env_stream *stream)
{
	struct job job = { .bed = bed, .stream = stream, .left = 1 };
	static uint8_t data[40000];
	size_t got = 0, n;
	bool same = true;

	assert_int_equal(env_spawn(bed->env, "writer", write_long, &job, NULL), 0);
	while (got < LONG_BYTES) {
		assert_int_equal(env_stream_read(stream, data, sizeof(data),
					 env_now(bed->env) + 20 * LAB_SEC, &n, NULL),
			0);
		for (size_t i = 0; i < n; i++)
			same &= data[i] == pattern(got + i);
		assert_true(same);
		got += n;
	}
	while (job.left > 0)
		(void)env_cond_wait(bed->env, &job.done, ENV_FOREVER);
	assert_int_equal(job.result, 0);
}

static void long_messages_go_both_ways_at_a_time(void **state)
{
	(void)state;
	assert_int_equal(
		dial(&(struct peer){ .kind = PEER_ECHO },
			(struct attempt){ .tls = { .ca_file = the_ca.file }, .use = read_long })
			.result,
		0);
	assert_int_equal(the_peer.received, LONG_BYTES);
}

static void read_until_closed(void *arg)
{
	struct job *job = arg;
	struct lab_error err = { 0 };
	char text[8];
	size_t n;

	job->result = env_stream_read(job->stream, text, sizeof(text), ENV_FOREVER, &n, &err);
	job->code = err.code;
	job->left--;
	env_cond_broadcast(job->bed->env, &job->done);
}

static void close_under_reader(struct bed *bed, struct env_stream *stream)
{
	struct job job = { .bed = bed, .stream = stream, .left = 1 };
	struct env_stream *mine = stream;

	assert_int_equal(env_spawn(bed->env, "reader", read_until_closed, &job, NULL), 0);
	env_sleep(bed->env, 20 * LAB_MSEC);
	env_stream_close(&mine);
	while (job.left > 0)
		(void)env_cond_wait(bed->env, &job.done, ENV_FOREVER);
	assert_int_equal(job.result, -1);
	assert_int_equal(job.code, LAB_RESET);
}

static void close_body(struct bed *bed)
{
	const struct env_tls tls = { .ca_file = the_ca.file };
	struct env_stream *stream;

	assert_int_equal(
		env_connect_tls(bed->env, NAME, 9042, &tls, ENV_FOREVER, &stream, NULL), 0);
	close_under_reader(bed, stream);
}

static void crash_body(struct bed *bed)
{
	const struct env_tls tls = { .ca_file = the_ca.file };
	struct env_stream *stream;
	struct job job = { .bed = bed, .left = 1 };

	assert_int_equal(
		env_connect_tls(bed->env, NAME, 9042, &tls, ENV_FOREVER, &stream, NULL), 0);
	job.stream = stream;
	assert_int_equal(env_spawn(bed->env, "reader", read_until_closed, &job, NULL), 0);
	env_sleep(bed->env, 20 * LAB_MSEC);
	bed->done = true;
	live_crash(bed->host);
}

static void run_body(void (*body)(struct bed *bed))
{
	struct bed bed;

	peer_start(&(struct peer){ .kind = PEER_ECHO });
	bed_open(&bed);
	assert_int_equal(
		live_map(bed.live, NAME ":9042", "127.0.0.1", the_peer.port, false, NULL), 0);
	bed_run(&bed, body);
	bed_close(&bed);
	assert_int_equal(pthread_join(the_peer.thread, NULL), 0);
	(void)close(the_peer.fd);
}

static void closing_and_crashing_end_what_is_under_way(void **state)
{
	(void)state;
	run_body(close_body);
	run_body(crash_body);
}

/* ---- */

static int make_certificates(void **state)
{
	const struct testing_certificate good = { .names = "DNS:" NAME ",IP:127.0.0.1" },
					 stranger = { .names = "DNS:other.example" },
					 expired = { .names = good.names, .expired = true },
					 locked = { .password = PASSWORD };

	(void)state;
	testing_directory_make();
	testing_ca_make(&the_ca, "ca");
	testing_ca_make(&other_ca, "other-ca");
	testing_certificate_make(&the_ca, "good", &good);
	testing_certificate_make(&the_ca, "stranger", &stranger);
	testing_certificate_make(&the_ca, "expired", &expired);
	testing_certificate_make(&the_ca, "client", &(struct testing_certificate){ .names = NULL });
	testing_certificate_make(&the_ca, "locked", &locked);
	return 0;
}

static int remove_certificates(void **state)
{
	(void)state;
	testing_ca_done(&the_ca);
	testing_ca_done(&other_ca);
	return testing_directory_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trusted_peer_is_talked_to),
		cmocka_unit_test(tls_1_2_is_spoken_and_1_1_is_not),
		cmocka_unit_test(a_certificate_of_somebody_unknown_is_refused),
		cmocka_unit_test(a_certificate_for_another_name_is_refused),
		cmocka_unit_test(an_expired_certificate_is_refused),
		cmocka_unit_test(a_client_without_certificate_is_told_so),
		cmocka_unit_test(a_client_may_have_a_certificate_and_a_password_for_its_key),
		cmocka_unit_test(what_is_wrong_with_a_file_is_told_without_its_secrets),
		cmocka_unit_test(a_peer_that_speaks_no_tls_is_found_out),
		cmocka_unit_test(a_peer_that_goes_during_the_handshake_is_a_reset),
		cmocka_unit_test(the_handshake_counts_to_the_connect_timeout),
		cmocka_unit_test(only_a_goodbye_is_an_orderly_end),
		cmocka_unit_test(a_read_that_timed_out_may_be_tried_again),
		cmocka_unit_test(long_messages_go_both_ways_at_a_time),
		cmocka_unit_test(closing_and_crashing_end_what_is_under_way),
	};

	return cmocka_run_group_tests_name(
		"live-tls-stream", tests, make_certificates, remove_certificates);
}

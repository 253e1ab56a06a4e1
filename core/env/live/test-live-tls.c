/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/live/test-support.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define NAME "bucket.s3.eu-central-1.amazonaws.com"

/* A TLS server with a certificate for NAME that it signed itself. */
struct tls_server {
	SSL_CTX *context;
	X509 *certificate;
	EVP_PKEY *key;
	int fd;
	uint16_t port;
	pthread_t thread;
	char ca_file[64];
	unsigned requests;
};

static struct tls_server the_server;

static void certificate_add(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void certificate_make(struct tls_server *server)
{
	X509 *certificate = X509_new();
	X509_NAME *name;

	server->key = EVP_EC_gen("P-256");
	assert_int_equal(X509_set_version(certificate, 2), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), -3600));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
	assert_int_equal(X509_set_pubkey(certificate, server->key), 1);
	name = X509_get_subject_name(certificate);
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
				 (const unsigned char *)"oboxlab test", -1, -1, 0),
		1);
	assert_int_equal(X509_set_issuer_name(certificate, name), 1);
	certificate_add(certificate, NID_subject_alt_name, "DNS:" NAME);
	certificate_add(certificate, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(certificate, server->key, EVP_sha256()) > 0);
	server->certificate = certificate;
}

static void certificate_write(struct tls_server *server)
{
	int fd;
	FILE *file;

	(void)snprintf(server->ca_file, sizeof(server->ca_file), "/tmp/lab-ca-XXXXXX");
	fd = mkstemp(server->ca_file);
	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, server->certificate), 1);
	assert_int_equal(fclose(file), 0);
}

static void tls_answer(struct tls_server *server, SSL *ssl)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	char in[4096];
	int n;

	while ((n = SSL_read(ssl, in, sizeof(in) - 1)) > 0) {
		in[n] = '\0';
		if (strstr(in, "Host: " NAME "\r\n") == NULL)
			return;
		server->requests++;
		(void)SSL_write(ssl, answer, sizeof(answer) - 1);
	}
}

static void *tls_serve(void *arg)
{
	struct tls_server *server = arg;
	int fd;

	while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
		SSL *ssl = SSL_new(server->context);

		(void)SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1)
			tls_answer(server, ssl);
		SSL_free(ssl);
		(void)close(fd);
	}
	return NULL;
}

static int tls_setup(void **state)
{
	struct tls_server *server = &the_server;
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);

	(void)state;
	certificate_make(server);
	certificate_write(server);
	server->context = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(server->context, server->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(server->context, server->key), 1);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->fd, 8), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
	server->port = ntohs(address.sin_port);
	return pthread_create(&server->thread, NULL, tls_serve, server);
}

static int tls_teardown(void **state)
{
	(void)state;
	(void)shutdown(the_server.fd, SHUT_RDWR);
	assert_int_equal(pthread_join(the_server.thread, NULL), 0);
	(void)close(the_server.fd);
	SSL_CTX_free(the_server.context);
	X509_free(the_server.certificate);
	EVP_PKEY_free(the_server.key);
	return unlink(the_server.ca_file);
}

struct outcome {
	const char *authority;
	int result;
	struct lab_error err;
	struct env_http_stats stats;
	bool reused;
};

static void get_twice(struct bed *bed)
{
	const struct env_http_limits limits = { .connect_timeout_ns = 10 * LAB_SEC,
		.response_timeout_ns = 10 * LAB_SEC,
		.response_max_bytes = 1024 };
	struct outcome *outcome = bed->extra;
	struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.tls = true,
		.authority = lab_view_cstr(outcome->authority),
		.target = LAB_VIEW("/") };
	struct lab_arena *arena = lab_arena_new(bed->env->heap, 1 << 20);
	struct lab_http_response response;

	for (unsigned i = 0; i < 2; i++)
		outcome->result = env_http(bed->env, &request, &limits, arena, &response,
			&outcome->stats, &outcome->err);
	outcome->reused = outcome->stats.reused;
}

static struct outcome tls_get(const char *authority, const char *ca_file)
{
	const struct live_settings settings = { .ca_file = ca_file };
	const struct live_host_settings host = { .hostname = "b1" };
	struct outcome outcome = { .authority = authority };
	struct bed bed;

	bed_open_with(&bed, &settings, &host);
	bed.extra = &outcome;
	assert_int_equal(
		live_map(bed.live, NAME ":443", "127.0.0.1", the_server.port, false, NULL), 0);
	assert_int_equal(
		live_map(bed.live, "other.name:443", "127.0.0.1", the_server.port, false, NULL), 0);
	bed_run(&bed, get_twice);
	bed_close(&bed);
	return outcome;
}

static void a_trusted_server_is_talked_to_by_its_name(void **state)
{
	struct outcome outcome = tls_get(NAME, the_server.ca_file);

	(void)state;
	assert_int_equal(outcome.result, 0);
	assert_true(outcome.reused);
}

static void assert_not_trusted(struct outcome outcome)
{
	assert_int_equal(outcome.result, -1);
	assert_int_equal(outcome.err.code, LAB_REFUSED);
	assert_false(outcome.err.retryable);
	assert_false(outcome.stats.request_sent);
}

static void an_unknown_certificate_is_refused_before_anything_is_sent(void **state)
{
	(void)state;
	assert_not_trusted(tls_get(NAME, NULL));
}

static void a_certificate_for_another_name_is_refused(void **state)
{
	(void)state;
	assert_not_trusted(tls_get("other.name", the_server.ca_file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trusted_server_is_talked_to_by_its_name),
		cmocka_unit_test(an_unknown_certificate_is_refused_before_anything_is_sent),
		cmocka_unit_test(a_certificate_for_another_name_is_refused),
	};

	return cmocka_run_group_tests_name("live-tls", tests, tls_setup, tls_teardown);
}

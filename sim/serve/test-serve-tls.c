/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/live/test-support.h"

#include "core/cql/cql-client.h"
#include "core/env/live/testing-certificates.h"
#include "sim/serve/testing-serve.h"

static struct testing_ca the_ca;

static struct serve_options with_tls(struct serve_options options)
{
	options.tls_cert = testing_path("server.pem");
	options.tls_key = testing_path("server.key");
	return options;
}

/* ---- S3 ---- */

static void https_get(struct bed *bed)
{
	const struct env_http_limits limits = { .connect_timeout_ns = 10 * LAB_SEC,
		.response_timeout_ns = 10 * LAB_SEC,
		.response_max_bytes = 65536 };
	struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.tls = true,
		.authority = LAB_VIEW("s3.example"),
		.target = LAB_VIEW("/") };
	struct lab_arena *arena = lab_arena_new(bed->env->heap, 1 << 20);
	struct lab_http_response response;
	struct lab_error err;

	if (env_http(bed->env, &request, &limits, arena, &response, NULL, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(response.status, 403);
	assert_true(
		lab_view_find(response.body, LAB_VIEW("<Code>AccessDenied</Code>")) != SIZE_MAX);
	request.tls = false;
	request.authority = LAB_VIEW("s3.example:443");
	/* In the clear nobody answers. */
	assert_int_equal(env_http(bed->env, &request, &limits, arena, &response, NULL, &err), -1);
}

static void s3_speaks_https_only(void **state)
{
	const struct live_settings live = { .ca_file = the_ca.file };
	const struct live_host_settings host = { .hostname = "b1" };
	struct lab_buf out;
	struct bed bed;

	(void)state;
	t_start_ok(with_tls((struct serve_options){ .s3 = "127.0.0.1:0" }));
	lab_buf_init(&out, testing_heap, 4096);
	serve_print(t.serve, &out);
	assert_non_null(strstr(lab_buf_cstr(&out),
		lab_arena_printf(t.arena, "s3 https://127.0.0.1:%u\n", serve_s3_port(t.serve))));
	bed_open_with(&bed, &live, &host);
	assert_int_equal(live_map(bed.live, "s3.example:443", "127.0.0.1", serve_s3_port(t.serve),
				 false, NULL),
		0);
	bed_run(&bed, https_get);
	bed_close(&bed);
}

/* ---- Cassandra ---- */

struct cql_case {
	struct cql_settings settings;
	int result;
	unsigned connected;
	struct lab_error err;
};

static void cql_session(struct bed *bed)
{
	const struct cql_statement statement = { .type = CQL_STATEMENT_READ,
		.query = LAB_VIEW("SELECT cluster_name FROM system.local") };
	struct lab_arena *arena = lab_arena_new(bed->env->heap, 1 << 20);
	struct cql_case *c = bed->extra;
	struct cql_client *client;
	struct cql_result result;

	assert_int_equal(cql_client_open(bed->env, &c->settings, &client, NULL), 0);
	for (unsigned i = 0; i < 6; i++) {
		c->result = cql_client_execute(client, &statement, 10, arena, &result, &c->err);
		env_sleep(bed->env, 50 * LAB_MSEC);
	}
	c->connected = cql_client_connected(client);
	cql_client_close(&client);
}

static void cql_try(struct cql_case *c, enum env_tls_verify verify, const char *ca)
{
	const struct live_settings live = { .seed = 1 };
	const struct live_host_settings host = { .hostname = "b1" };
	struct bed bed;

	bed_open_with(&bed, &live, &host);
	bed.extra = c;
	cql_settings_defaults(&c->settings);
	c->settings.hosts[0] = "127.0.0.11";
	c->settings.host_count = 1;
	c->settings.port = serve_cql_port(t.serve);
	c->settings.discover = true;
	c->settings.use_tls = true;
	c->settings.tls.verify = verify;
	c->settings.tls.ca_file = ca;
	c->settings.log_level = CQL_LOG_CRITICAL;
	bed_run(&bed, cql_session);
	bed_close(&bed);
}

static void all_nodes_are_found_and_talked_to_over_tls(void **state)
{
	struct cql_case c = { .result = -1 };

	(void)state;
	t_start_ok(with_tls((struct serve_options){ .cql = "127.0.0.11:39142" }));
	cql_try(&c, ENV_TLS_VERIFY_IP, the_ca.file);
	if (c.result < 0)
		fail_msg("%s", c.err.message);
	assert_int_equal(c.connected, 3);
	/* Nobody vouches for it. */
	cql_try(&c, ENV_TLS_VERIFY_CERT, NULL);
	assert_int_equal(c.result, -1);
	assert_int_equal(c.connected, 0);
}

static void clients_without_a_certificate_get_nowhere(void **state)
{
	struct cql_case c = { .result = -1 };
	struct serve_options options = { .cql = "127.0.0.11:39143" };

	(void)state;
	options.tls_client_ca = the_ca.file;
	t_start_ok(with_tls(options));
	cql_try(&c, ENV_TLS_VERIFY_CERT, the_ca.file);
	assert_int_equal(c.result, -1);
	assert_int_equal(c.connected, 0);
}

/* ---- bad input ---- */

static void what_is_wrong_is_said(void **state)
{
	struct serve_options options = { .s3 = "127.0.0.1:0" };

	(void)state;
	options.tls_key = testing_path("server.key");
	assert_int_equal(t_start(&options), -1);
	assert_string_equal(t.err.message, "--tls-key needs --tls-cert");
	options.tls_key = NULL;
	options.tls_client_ca = the_ca.file;
	assert_int_equal(t_start(&options), -1);
	assert_string_equal(t.err.message, "--tls-client-ca needs --tls-cert");
	options.tls_cert = testing_path("missing.pem");
	assert_int_equal(t_start(&options), -1);
	assert_non_null(strstr(t.err.message, "missing.pem"));
	options.tls_cert = testing_path("server.pem");
	options.tls_key = testing_path("other.key");
	assert_int_equal(t_start(&options), -1);
	assert_non_null(strstr(t.err.message, "other.key"));
}

static int make_certificates(void **state)
{
	const struct testing_certificate server = {
		.names = "DNS:s3.example,IP:127.0.0.11,IP:127.0.0.12,IP:127.0.0.13"
	};

	(void)state;
	testing_directory_make();
	testing_ca_make(&the_ca, "ca");
	testing_certificate_make(&the_ca, "server", &server);
	testing_certificate_make(&the_ca, "other", &server);
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
		t_test(s3_speaks_https_only),
		t_test(all_nodes_are_found_and_talked_to_over_tls),
		t_test(clients_without_a_certificate_get_nowhere),
		t_test(what_is_wrong_is_said),
	};

	return cmocka_run_group_tests_name(
		"serve-tls", tests, make_certificates, remove_certificates);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/testing-serve.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct serve_options all = {
	.s3 = T_ADDRESS, .imds = T_ADDRESS, .cql = "127.0.3.1:0", .admin = T_ADDRESS
};

static void make_object(const char *target)
{
	if (t_s3("PUT", target, LAB_VIEW("hello")) != 200)
		fail_msg("%s", t.body);
}

static void make_bucket(void)
{
	if (t_s3("PUT", "/mails", LAB_VIEW("")) != 200)
		fail_msg("%s", t.body);
}

/* ---- services ---- */

static void the_well_known_key_makes_buckets_and_objects(void **state)
{
	(void)state;
	t_start_ok(all);
	make_bucket();
	make_object("/mails/a%20b");
	assert_int_equal(t_s3("GET", "/mails/a%20b", LAB_VIEW("")), 200);
	assert_string_equal(t.body, "hello");
	t.key.secret_access_key = LAB_VIEW("wrong");
	assert_int_equal(t_s3("GET", "/mails/a%20b", LAB_VIEW("")), 403);
	assert_body_has("SignatureDoesNotMatch");
}

static void keys_of_imds_are_good_through_rotations(void **state)
{
	struct aws_credentials keys[4];

	(void)state;
	t_start_ok(all);
	make_bucket();
	make_object("/mails/a");
	for (size_t i = 0; i < 4; i++) {
		t_take_imds_key();
		keys[i] = t.key;
		assert_int_equal(t_s3("GET", "/mails/a", LAB_VIEW("")), 200);
		assert_int_equal(t_admin("POST", "/rotate", NULL), 200);
		for (size_t n = 0; n < i; n++)
			assert_false(lab_view_eq(keys[n].access_key_id, keys[i].access_key_id));
	}
	/* Old ones live to their own end. */
	t.key = keys[0];
	assert_int_equal(t_s3("GET", "/mails/a", LAB_VIEW("")), 200);
	t.key.token = lab_view_of(NULL, 0);
	assert_int_equal(t_s3("GET", "/mails/a", LAB_VIEW("")), 403);
}

/* STARTUP, and what comes back is READY. */
static void check_cql(const char *address)
{
	static const uint8_t startup[] = { 4, 0, 0, 1, 1, 0, 0, 0, 22, 0, 1, 0, 11, 'C', 'Q', 'L',
		'_', 'V', 'E', 'R', 'S', 'I', 'O', 'N', 0, 5, '3', '.', '0', '.', '0' };
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(serve_cql_port(t.serve)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	uint8_t answer[64];

	assert_int_equal(inet_pton(AF_INET, address, &to.sin_addr), 1);
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(write(fd, startup, sizeof(startup)), sizeof(startup));
	assert_int_equal(poll(&poller, 1, 5000), 1);
	assert_int_equal(read(fd, answer, sizeof(answer)), 9);
	assert_int_equal(answer[4], 2);
	close(fd);
}

static void each_node_of_cassandra_listens(void **state)
{
	(void)state;
	t_start_ok(all);
	check_cql("127.0.3.1");
	check_cql("127.0.3.2");
	check_cql("127.0.3.3");
}

static void what_is_not_named_is_not_started(void **state)
{
	struct lab_buf out;

	(void)state;
	t_start_ok((struct serve_options){ .imds = T_ADDRESS });
	assert_int_equal(serve_s3_port(t.serve), 0);
	assert_int_equal(serve_cql_port(t.serve), 0);
	assert_int_equal(serve_admin_port(t.serve), 0);
	assert_int_not_equal(serve_imds_port(t.serve), 0);
	lab_buf_init(&out, testing_heap, 4096);
	serve_print(t.serve, &out);
	assert_int_equal(strncmp(lab_buf_cstr(&out), "imds http://127.0.0.1:", 22), 0);
	assert_null(strstr(lab_buf_cstr(&out), "key "));
	lab_buf_done(&out);
}

static void scality_is_there_if_it_is_asked_for(void **state)
{
	struct serve_options options = { .sproxyd = T_ADDRESS, .cdmi = T_ADDRESS };
	char expected[128];
	struct lab_buf out;

	(void)state;
	t_start_ok(options);
	assert_int_equal(serve_s3_port(t.serve), 0);
	lab_buf_init(&out, testing_heap, 4096);
	serve_print(t.serve, &out);
	(void)snprintf(expected, sizeof(expected),
		"sproxyd http://127.0.0.1:%u\ncdmi http://127.0.0.1:%u\n",
		serve_sproxyd_port(t.serve), serve_cdmi_port(t.serve));
	assert_string_equal(lab_buf_cstr(&out), expected);
	lab_buf_done(&out);
}

static void the_lines_say_where_everything_is(void **state)
{
	char expected[512];
	struct lab_buf out;

	(void)state;
	t_start_ok(all);
	lab_buf_init(&out, testing_heap, 4096);
	serve_print(t.serve, &out);
	(void)snprintf(expected, sizeof(expected),
		"s3 http://127.0.0.1:%u\nimds http://127.0.0.1:%u\ncql 127.0.3.1:%u 127.0.3.2:%u "
		"127.0.3.3:%u\nadmin http://127.0.0.1:%u\nkey " PROFILE_DEFAULT_KEY
		" secret " PROFILE_DEFAULT_SECRET "\n",
		serve_s3_port(t.serve), serve_imds_port(t.serve), serve_cql_port(t.serve),
		serve_cql_port(t.serve), serve_cql_port(t.serve), serve_admin_port(t.serve));
	assert_string_equal(lab_buf_cstr(&out), expected);
	lab_buf_done(&out);
}

/* ---- bad addresses ---- */

static void a_wrong_address_gets_one_sentence(void **state)
{
	static const struct {
		const char *s3, *cql, *admin;
		enum lab_code code;
		const char *message;
	} rows[] = {
		{ "127.0.0.1", NULL, NULL, LAB_INVALID, "--s3: \"127.0.0.1\" is not ADDRESS:PORT" },
		{ "127.0.0.1:x", NULL, NULL, LAB_INVALID, "--s3: \"127.0.0.1:x\" does not end" },
		{ "127.0.0.1:65536", NULL, NULL, LAB_INVALID,
			"--s3: \"127.0.0.1:65536\" does not" },
		{ "127.0.0.256:1", NULL, NULL, LAB_INVALID,
			"--s3: \"127.0.0.256:1\" does not begin" },
		{ "example.com:1", NULL, NULL, LAB_INVALID,
			"--s3: \"example.com:1\" does not begin" },
		{ "::1:9000", NULL, NULL, LAB_INVALID,
			"--s3: \"::1:9000\" is not ADDRESS:PORT: IPv6" },
		{ "[::1:9000", NULL, NULL, LAB_INVALID, "--s3: \"[::1:9000\" is not" },
		{ NULL, "127.0.0.253:0", NULL, LAB_INVALID, "--cql: the address of node 3" },
		{ NULL, "0.0.0.0:0", NULL, LAB_INVALID, "--cql: the address of node 2" },
		{ NULL, "[::1]:0", NULL, LAB_INVALID, "--cql: \"::1\" is not an IPv4 address" },
		{ NULL, NULL, "0.0.0.0:0", LAB_DENIED, "--admin: 0.0.0.0:0 is not a loopback" },
		{ NULL, NULL, "10.1.2.3:0", LAB_DENIED, "--admin: 10.1.2.3:0 is not a loopback" },
		{ NULL, NULL, "[::]:0", LAB_DENIED, "--admin: [::]:0 is not a loopback" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct serve_options o = {
			.s3 = rows[i].s3, .cql = rows[i].cql, .admin = rows[i].admin
		};

		if (rows[i].admin != NULL)
			o.s3 = T_ADDRESS;
		assert_row(i, t_start(&o) == -1);
		assert_row(i, t.err.code == rows[i].code);
		if (strstr(t.err.message, rows[i].message) != t.err.message)
			fail_msg("row %zu: %s", i, t.err.message);
		assert_null(t.serve);
	}
}

static void an_address_in_use_is_said(void **state)
{
	struct serve_options second = { .s3 = NULL };
	struct serve *first;
	char address[32];

	(void)state;
	t_start_ok((struct serve_options){ .s3 = T_ADDRESS });
	first = t.serve;
	(void)snprintf(address, sizeof(address), "127.0.0.1:%u", serve_s3_port(first));
	second.s3 = address;
	assert_int_equal(t_start(&second), -1);
	assert_int_equal(t.err.code, LAB_EXISTS);
	serve_stop(&first);
	t.serve = NULL;
}

/* ---- profiles ---- */

static void a_profile_makes_buckets_keys_and_rates(void **state)
{
	static const struct t_file files[] = {
		{ "lab.conf", "s3 {\n memory = 1M\n body_max = 512k\n}\n"
			      "key AKIAIOSFODNN7EXAMPLE {\n"
			      " secret = \"$a <b\"\n account = 111122223333\n}\n"
			      "key AKIAIOSFODNN8EXAMPLE {\n secret = x\n}\n"
			      "bucket mails {\n owner = 111122223333\n}\n"
			      "bucket slow {\n write_rate = 2\n burst = 1 s\n}\n" },
		{ NULL, NULL }
	};
	unsigned slow = 0;

	(void)state;
	t.files = files;
	t_start_ok((struct serve_options){ .s3 = T_ADDRESS, .profile = "lab.conf" });
	assert_int_equal(t_s3("GET", "/mails", LAB_VIEW("")), 403);
	assert_body_has("InvalidAccessKeyId");
	t.key.access_key_id = LAB_VIEW("AKIAIOSFODNN8EXAMPLE");
	t.key.secret_access_key = LAB_VIEW("x");
	assert_int_equal(t_s3("GET", "/mails", LAB_VIEW("")), 403);
	assert_body_has("<Code>AccessDenied</Code>");
	t.key.access_key_id = LAB_VIEW("AKIAIOSFODNN7EXAMPLE");
	t.key.secret_access_key = LAB_VIEW("$a <b");
	make_object("/mails/a");
	for (size_t i = 0; i < 6; i++)
		slow += t_s3("PUT", "/slow/a", LAB_VIEW("x")) == 503;
	assert_in_range(slow, 1, 4);
	assert_body_has("SlowDown");
}

static void what_does_not_fit_is_refused(void **state)
{
	static const struct t_file files[] = {
		{ "lab.conf", "s3 {\n memory = 1M\n body_max = 512k\n}\n"
			      "key AKIAIOSFODNN7EXAMPLE {\n secret = x\n}\n"
			      "bucket mails {\n}\n" },
		{ NULL, NULL }
	};
	uint8_t *big = lab_heap_alloc(testing_heap, 600000);

	(void)state;
	t.files = files;
	t.key.access_key_id = LAB_VIEW("AKIAIOSFODNN7EXAMPLE");
	t.key.secret_access_key = LAB_VIEW("x");
	t_start_ok((struct serve_options){ .s3 = T_ADDRESS, .profile = "lab.conf" });
	assert_int_equal(t_s3("PUT", "/mails/a", lab_view_of(big, 400000)), 200);
	assert_int_equal(t_s3("PUT", "/mails/b", lab_view_of(big, 400000)), 200);
	assert_int_equal(t_s3("PUT", "/mails/c", lab_view_of(big, 400000)), 503);
	assert_int_equal(t_s3("GET", "/mails/c", LAB_VIEW("")), 404);
	assert_int_equal(t_s3("GET", "/mails/b", LAB_VIEW("")), 200);
	assert_int_not_equal(t_s3("PUT", "/mails/d", lab_view_of(big, 600000)), 200);
}

static void a_wrong_bucket_is_named_with_its_place(void **state)
{
	static const struct t_file files[] = {
		{ "lab.conf", "bucket mails {\n}\nbucket Mails {\n}\n" }, { NULL, NULL }
	};
	struct serve_options o = { .s3 = T_ADDRESS, .profile = "lab.conf" };

	(void)state;
	t.files = files;
	assert_int_equal(t_start(&o), -1);
	assert_string_equal(
		t.err.message, "lab.conf:3:1: bucket Mails: 'Mails' cannot be a bucket's name");
	o.profile = "none.conf";
	assert_int_equal(t_start(&o), -1);
	assert_int_equal(t.err.code, LAB_NOT_FOUND);
}

/* ---- the admin interface ---- */

static void health_and_counters_tell_what_happened(void **state)
{
	(void)state;
	t_start_ok(all);
	make_bucket();
	make_object("/mails/a");
	assert_int_equal(t_s3("GET", "/mails/b", LAB_VIEW("")), 404);
	assert_int_equal(t_admin("GET", "/health", NULL), 200);
	assert_body_has("\"status\":\"ok\"");
	assert_int_equal(t_admin("GET", "/counters", NULL), 200);
	assert_body_has("\"s3\":{\"requests\":3,");
	assert_body_has(
		"\"by_status\":{\"GET\":{\"404\":1},\"PUT\":{\"200\":1},\"BUCKET\":{\"200\":1}}");
	assert_body_has("\"objects\":1,\"stored_bytes\":5,");
	assert_body_has("\"imds\":{\"requests\":0,");
	assert_body_has("\"cql\":{\"connections\":0,");
}

static void the_log_has_the_last_requests(void **state)
{
	static const struct t_file files[] = { { "lab.conf",
						       "serve {\n log_lines = 3\n}\n"
						       "key " PROFILE_DEFAULT_KEY " {\n secret = "
						       "\"" PROFILE_DEFAULT_SECRET "\"\n}\n"
						       "bucket mails {\n}\n" },
		{ NULL, NULL } };
	struct serve_options o = all;

	(void)state;
	t.files = files;
	o.profile = "lab.conf";
	t_start_ok(o);
	assert_int_equal(t_admin("GET", "/log", NULL), 200);
	assert_string_equal(t.body, "{\"log\":[]}");
	make_object("/mails/a");
	make_object("/mails/b");
	make_object("/mails/c");
	make_object("/mails/d");
	assert_int_equal(t_admin("GET", "/log?limit=2", NULL), 200);
	assert_null(strstr(t.body, "mails/b"));
	assert_true(strstr(t.body, "mails/c") < strstr(t.body, "mails/d"));
	assert_body_has("\"operation\":\"PUT\",\"subject\":\"mails/d\"");
	assert_body_has(
		"\"status\":200,\"applied\":true,\"answered\":true,\"fault\":0,\"bytes\":5}");
	assert_int_equal(t_admin("GET", "/log?limit=1000", NULL), 200);
	assert_body_has("mails/b");
	assert_null(strstr(t.body, "mails/a"));
}

static void a_snapshot_goes_on_where_it_ended(void **state)
{
	(void)state;
	t_start_ok(all);
	make_bucket();
	make_object("/mails/a");
	make_object("/mails/b%26c");
	make_object("/mails/d");
	assert_int_equal(t_admin("GET", "/snapshot?bucket=mails&limit=1", NULL), 200);
	assert_body_has("{\"objects\":[{\"key\":\"a\",\"size\":5,\"etag\":"
			"\"5d41402abc4b2a76b9719d911017c592\",");
	assert_body_has("\"next\":\"b&c\"");
	assert_int_equal(t_admin("GET", "/snapshot?bucket=mails&from=b%26c", NULL), 200);
	assert_body_has("{\"objects\":[{\"key\":\"b&c\"");
	assert_body_has("\"key\":\"d\"");
	assert_null(strstr(t.body, "next"));
	assert_int_equal(t_admin("GET", "/snapshot?bucket=nix", NULL), 404);
	assert_int_equal(t_admin("GET", "/snapshot", NULL), 400);
}

static void a_reset_empties_the_stores(void **state)
{
	(void)state;
	t_start_ok(all);
	make_bucket();
	make_object("/mails/a");
	assert_int_equal(t_admin("POST", "/reset", NULL), 200);
	assert_int_equal(t_s3("GET", "/mails/a", LAB_VIEW("")), 404);
	assert_body_has("NoSuchKey");
	assert_int_equal(t_admin("GET", "/counters", NULL), 200);
	assert_body_has("\"objects\":0,\"stored_bytes\":0,");
	make_object("/mails/a");
}

static void wrong_requests_are_refused(void **state)
{
	static const struct {
		const char *method, *target, *header;
		unsigned status;
	} rows[] = {
		{ "GET", "/", NULL, 404 },
		{ "GET", "/healthy", NULL, 404 },
		{ "POST", "/health", NULL, 405 },
		{ "GET", "/rotate", NULL, 405 },
		{ "GET", "/log?limit=0", NULL, 400 },
		{ "GET", "/log?limit=1001", NULL, 400 },
		{ "GET", "/log?limit=x", NULL, 400 },
		{ "GET", "/log?limit=%zz", NULL, 400 },
		{ "GET", "/log?a&b&c&d&e&f&g&h&i", NULL, 400 },
		{ "GET", "/health", "host:evil.example", 403 },
		{ "GET", "/health", "host:127.0.0.1.evil.example", 403 },
		{ "GET", "/health", "host:10.0.0.1:80", 403 },
		{ "GET", "/health", "origin:http://localhost", 403 },
		{ "GET", "/health", "host:localhost:1234", 200 },
		{ "GET", "/health", "host:[::1]:1234", 200 },
	};

	(void)state;
	t_start_ok(all);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		unsigned status = t_http(serve_admin_port(t.serve), rows[i].method, rows[i].target,
			NULL, rows[i].header);

		assert_row(i, status == rows[i].status);
		assert_row(i, status == 200 || strstr(t.body, "{\"error\":\"") == t.body);
	}
}

static void services_that_are_not_there_are_404(void **state)
{
	(void)state;
	t_start_ok((struct serve_options){ .cql = "127.0.3.1:0", .admin = T_ADDRESS });
	assert_int_equal(t_admin("POST", "/rotate", NULL), 404);
	assert_int_equal(t_admin("GET", "/snapshot?bucket=mails", NULL), 404);
	assert_int_equal(t_admin("POST", "/reset", NULL), 200);
	assert_int_equal(t_admin("GET", "/counters", NULL), 200);
	assert_null(strstr(t.body, "\"s3\""));
}

/* ---- faults ---- */

static void faults_come_and_go_by_request(void **state)
{
	(void)state;
	t_start_ok(all);
	make_bucket();
	make_object("/mails/a");
	assert_int_equal(t_admin("POST", "/faults",
				 "fault x {\n kinds = slow_down\n points = s3.get\n rate = 1\n"
				 " length = 1 h\n}\n"),
		200);
	assert_body_has("\"kind\":\"slow_down\",\"target\":\"any\"");
	assert_body_has("\"is_on\":true,\"asked\":0,\"fired\":0");
	assert_int_equal(t_s3("GET", "/mails/a", LAB_VIEW("")), 503);
	assert_body_has("SlowDown");
	make_object("/mails/b");
	assert_int_equal(t_admin("GET", "/faults", NULL), 200);
	assert_body_has("\"asked\":1,\"fired\":1");
	assert_int_equal(t_admin("GET", "/counters", NULL), 200);
	assert_body_has("{\"faults_injected\":1,");
	assert_int_equal(t_admin("GET", "/log", NULL), 200);
	assert_body_has("\"status\":503,\"applied\":false,\"answered\":true,\"fault\":1,");
	assert_int_equal(t_admin("DELETE", "/faults", NULL), 200);
	assert_int_equal(t_s3("GET", "/mails/a", LAB_VIEW("")), 200);
	assert_int_equal(t_admin("GET", "/faults", NULL), 200);
	assert_string_equal(t.body, "{\"faults\":[]}");
}

static void a_fault_hits_the_client_that_it_names(void **state)
{
	static const struct t_file files[] = {
		{ "lab.conf", "peer b1 {\n address = 127.0.0.1\n zone = az1\n}\n"
			      "key " PROFILE_DEFAULT_KEY " {\n secret = "
			      "\"" PROFILE_DEFAULT_SECRET "\"\n}\n"
			      "bucket mails {\n}\n" },
		{ "f.conf",
			"fault a {\n kinds = access_denied\n points = s3.put\n target = client b1\n"
			" rate = 1\n length = 1 h\n}\n"
			"fault b {\n kinds = slow_down\n points = s3.get\n target = zone az1\n"
			" rate = 1\n length = 1 h\n}\n"
			"fault c {\n kinds = access_denied\n points = s3.head\n target = client "
			"b2\n"
			" rate = 1\n length = 1 h\n}\n" },
		{ NULL, NULL }
	};
	struct serve_options o = all;

	(void)state;
	t.files = files;
	o.profile = "lab.conf";
	o.faults = "f.conf";
	t_start_ok(o);
	assert_int_equal(t_s3("PUT", "/mails/a", LAB_VIEW("x")), 403);
	assert_int_equal(t_s3("GET", "/mails/a", LAB_VIEW("")), 503);
	assert_int_equal(t_s3("HEAD", "/mails/a", LAB_VIEW("")), 404);
	assert_int_equal(t_admin("GET", "/counters", NULL), 200);
	assert_body_has("{\"faults_injected\":2,");
}

/* Without the port of its connection. */
static void a_client_that_nobody_named_is_its_address(void **state)
{
	(void)state;
	t_start_ok(all);
	make_bucket();
	make_object("/mails/a");
	assert_int_equal(t_admin("POST", "/faults",
				 "fault x {\n kinds = slow_down\n target = client 127.0.0.2\n"
				 " rate = 1\n length = 1 h\n}\n"),
		200);
	assert_int_equal(t_s3("GET", "/mails/a", LAB_VIEW("")), 200);
	assert_int_equal(t_admin("POST", "/faults",
				 "fault y {\n kinds = slow_down\n target = client 127.0.0.1\n"
				 " rate = 1\n length = 1 h\n}\n"),
		200);
	assert_int_equal(t_s3("GET", "/mails/a", LAB_VIEW("")), 503);
}

static void bad_faults_are_refused_with_their_places(void **state)
{
	(void)state;
	t_start_ok(all);
	assert_int_equal(t_admin("POST", "/faults", "fault x {\n kinds = slow_dwon\n}\n"), 400);
	assert_body_has("\"problems\":[\"request:2:10: kinds: unknown kind of fault slow_dwon "
			"(did you mean slow_down?)\"]");
	assert_int_equal(t_admin("POST", "/faults", "fault x {\n"), 400);
	assert_int_equal(t_admin("POST", "/faults", ""), 400);
	assert_int_equal(t_admin("POST", "/faults",
				 "fault x {\n kinds = unavailable\n target = node n9\n}\n"),
		400);
	assert_body_has("there is no such node");
	assert_int_equal(t_admin("GET", "/faults", NULL), 200);
	assert_string_equal(t.body, "{\"faults\":[]}");
}

/* 1024 requests of one fault each are what a plan takes. */
static void a_full_plan_says_so_and_can_be_emptied(void **state)
{
	char body[32768] = "";
	unsigned status = 200, requests = 0;
	size_t len = 0;

	(void)state;
	for (size_t i = 0; i < 256; i++)
		len += (size_t)snprintf(
			body + len, sizeof(body) - len, "fault f%zu {\n kinds = stall\n}\n", i);
	t_start_ok(all);
	while (status == 200 && requests++ < 10)
		status = t_admin("POST", "/faults", body);
	assert_int_equal(status, 409);
	assert_in_range(requests, 4, 5);
	assert_int_equal(t_admin("DELETE", "/faults", NULL), 200);
	assert_int_equal(t_admin("POST", "/faults", body), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(the_well_known_key_makes_buckets_and_objects),
		t_test(keys_of_imds_are_good_through_rotations),
		t_test(each_node_of_cassandra_listens),
		t_test(what_is_not_named_is_not_started),
		t_test(scality_is_there_if_it_is_asked_for),
		t_test(the_lines_say_where_everything_is),
		t_test(a_wrong_address_gets_one_sentence),
		t_test(an_address_in_use_is_said),
		t_test(a_profile_makes_buckets_keys_and_rates),
		t_test(what_does_not_fit_is_refused),
		t_test(a_wrong_bucket_is_named_with_its_place),
		t_test(health_and_counters_tell_what_happened),
		t_test(the_log_has_the_last_requests),
		t_test(a_snapshot_goes_on_where_it_ended),
		t_test(a_reset_empties_the_stores),
		t_test(wrong_requests_are_refused),
		t_test(services_that_are_not_there_are_404),
		t_test(faults_come_and_go_by_request),
		t_test(a_fault_hits_the_client_that_it_names),
		t_test(a_client_that_nobody_named_is_its_address),
		t_test(bad_faults_are_refused_with_their_places),
		t_test(a_full_plan_says_so_and_can_be_emptied),
	};

	return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/aws/imds-document.h"
#include "core/aws/sigv4.h"
#include "core/base/testing.h"
#include "sim/imds-emulator/imds-emulator.h"
#include "sim/s3-emulator/s3-emulator.h"

#define T_EPOCH INT64_C(1767225600) /* 2026-01-01 */
#define ROLES "/latest/meta-data/iam/security-credentials/"

static struct t {
	struct imdsemu_options options;
	struct imdsemu *imds;
	struct sim_http_service service;
	struct lab_arena *arena;
	uint64_t now;
	struct sim_peer peer;
	struct lab_http_headers headers;
	struct sim_http_reply reply;
	size_t replies;
	struct sim_fault fault;
	char asked_point[32];
	char operation[32];
	unsigned logged_status;
	bool logged_answered;
	size_t log_count;
	size_t published;
	char last_key[32], last_account[32];
	int64_t last_expires;
} t;

static void on_reply(void *ctx, const struct sim_http_reply *reply)
{
	(void)ctx;
	t.reply.wire = reply->wire;
	t.reply.head = reply->head;
	t.reply.bytes_per_s = reply->bytes_per_s;
	lab_http_response_copy(t.arena, &reply->response, &t.reply.response);
	t.replies++;
}

static struct sim_fault on_fault(void *ctx, const struct sim_fault_query *query)
{
	(void)ctx;
	(void)snprintf(t.asked_point, sizeof(t.asked_point), "%s", query->point);
	return t.fault;
}

static void on_access(void *ctx, const struct sim_access *access)
{
	(void)ctx;
	(void)snprintf(t.operation, sizeof(t.operation), "%.*s", LAB_VIEW_ARG(access->operation));
	t.logged_status = access->status;
	t.logged_answered = access->answered;
	t.log_count++;
}

static void on_publish(void *ctx, const struct sim_credentials *credentials)
{
	(void)ctx;
	t.published++;
	(void)snprintf(
		t.last_key, sizeof(t.last_key), "%.*s", LAB_VIEW_ARG(credentials->access_key_id));
	(void)snprintf(
		t.last_account, sizeof(t.last_account), "%.*s", LAB_VIEW_ARG(credentials->account));
	t.last_expires = credentials->expires_unix;
}

static void start(void)
{
	struct lab_error err;

	imdsemu_free(&t.imds);
	assert_int_equal(imdsemu_new(testing_pool, &t.options, &t.imds, &err), 0);
	t.service = imdsemu_service(t.imds);
	assert_int_equal(
		imdsemu_role_attach(t.imds, LAB_VIEW("s3access"), IMDSEMU_ROLE_OK, &err), 0);
}

static int setup(void **state)
{
	(void)testing_setup(state);
	memset(&t, 0, sizeof(t));
	t.arena = lab_arena_new(testing_heap, (size_t)1 << 26);
	t.peer = (struct sim_peer){
		.name = LAB_VIEW("backend-1"), .zone = LAB_VIEW("eu-central-1b"), .hops = 1
	};
	imdsemu_options_init(&t.options);
	t.options.seed = 7;
	t.options.region = LAB_VIEW("eu-central-1");
	t.options.publish = on_publish;
	t.options.hooks.fault = on_fault;
	t.options.hooks.access = on_access;
	start();
	return 0;
}

static int teardown(void **state)
{
	imdsemu_free(&t.imds);
	return testing_teardown(state);
}

#define t_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

static void header(const char *name, const char *value)
{
	assert_int_equal(
		lab_http_header_add(&t.headers, lab_view_cstr(name), lab_view_cstr(value)), 0);
}

static unsigned request(const char *method, const char *target)
{
	struct lab_http_request request = { .method = lab_view_cstr(method),
		.authority = LAB_VIEW("169.254.169.254"),
		.target = lab_view_cstr(target),
		.headers = t.headers };
	size_t before = t.replies;

	t.headers.count = 0;
	t.service.ops->submit(t.service.service, &request, &t.peer, t.now, on_reply, NULL);
	assert_true(t.replies <= before + 1);
	return t.replies == before ? 0 : t.reply.response.status;
}

static const char *body(void)
{
	return lab_arena_cstr(t.arena, t.reply.response.body);
}

static const char *reply_header(const char *name)
{
	struct lab_view value = lab_http_header_get(&t.reply.response.headers, name);

	return value.ptr == NULL ? NULL : lab_arena_cstr(t.arena, value);
}

static const char *new_token(const char *ttl)
{
	header("X-aws-ec2-metadata-token-ttl-seconds", ttl);
	assert_int_equal(request("PUT", "/latest/api/token"), 200);
	return body();
}

static unsigned get_with(const char *token, const char *target)
{
	header("X-Aws-Ec2-Metadata-Token", token);
	return request("GET", target);
}

static unsigned get(const char *target)
{
	return get_with(new_token("60"), target);
}

static void advance(uint64_t ns)
{
	t.now += ns;
	t.service.ops->advance(t.service.service, t.now);
}

static void parse(struct aws_credentials *ret)
{
	struct lab_error err;

	if (imds_document_parse(t.reply.response.body, t.arena, ret, &err) < 0)
		fail_msg("%s: %s", err.message, body());
}

/* ---- tokens ---- */

static void token_answer_has_its_form(void **state)
{
	const char *token = new_token("21600");
	(void)state;

	assert_int_equal(strlen(token), 56);
	assert_string_equal(reply_header("X-aws-ec2-metadata-token-ttl-seconds"), "21600");
	assert_string_equal(reply_header("Content-Type"), "text/plain");
	assert_string_equal(t.operation, "imds.token");
	assert_string_not_equal(token, new_token("21600"));
	assert_int_equal(imdsemu_counters(t.imds)->tokens_issued, 2);
}

static void wrong_ttl_is_400(void **state)
{
	static const char *const ttls[] = { NULL, "", "0", "21601", "abc", "-1", "1.5",
		"99999999999999999999" };
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(ttls); i++) {
		if (ttls[i] != NULL)
			header("X-aws-ec2-metadata-token-ttl-seconds", ttls[i]);
		assert_row(i, request("PUT", "/latest/api/token") == 400);
	}
	assert_true(strstr(body(), "400 - Bad Request") != NULL);
	assert_int_equal(imdsemu_counters(t.imds)->tokens_refused, LAB_COUNT_OF(ttls));
}

static void forwarded_and_dated_puts_are_403(void **state)
{
	(void)state;

	header("X-aws-ec2-metadata-token-ttl-seconds", "60");
	header("X-Forwarded-For", "10.0.0.1");
	assert_int_equal(request("PUT", "/latest/api/token"), 403);
	header("X-aws-ec2-metadata-token-ttl-seconds", "60");
	assert_int_equal(request("PUT", "/2021-03-23/api/token"), 403);
	assert_int_equal(request("PUT", "/latest/meta-data/"), 405);
	assert_int_equal(request("POST", "/latest/api/token"), 405);
	assert_int_equal(request("DELETE", ROLES), 405);
}

static void reading_needs_a_live_token_of_this_host(void **state)
{
	const char *token = new_token("60");
	char damaged[57];
	size_t i;
	(void)state;

	assert_int_equal(get_with(token, "/latest/meta-data/placement/region"), 200);
	assert_int_equal(request("GET", "/latest/meta-data/placement/region"), 401);
	assert_true(strstr(body(), "401 - Unauthorized") != NULL);
	assert_int_equal(get_with("", "/latest/meta-data/"), 401);
	for (i = 0; i < 56; i++) {
		(void)snprintf(damaged, sizeof(damaged), "%s", token);
		damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
		assert_row(i, get_with(damaged, "/latest/meta-data/") == 401);
	}
	damaged[55] = '!';
	assert_int_equal(get_with(damaged, "/latest/meta-data/"), 401);
	t.peer.name = LAB_VIEW("backend-2");
	assert_int_equal(get_with(token, "/latest/meta-data/"), 401);
	t.peer.name = LAB_VIEW("backend-1");
	advance(60 * LAB_SEC - 1);
	assert_int_equal(get_with(token, "/latest/meta-data/"), 200);
	advance(1);
	assert_int_equal(get_with(token, "/latest/meta-data/"), 401);
}

static void tokens_live_side_by_side_until_revoked(void **state)
{
	const char *first = new_token("60"), *second = new_token("600");
	(void)state;

	assert_int_equal(get_with(first, "/latest/meta-data/"), 200);
	assert_int_equal(get_with(second, "/latest/meta-data/"), 200);
	imdsemu_tokens_revoke(t.imds);
	assert_int_equal(get_with(second, "/latest/meta-data/"), 401);
	assert_int_equal(get_with(new_token("60"), "/latest/meta-data/"), 200);
}

static void connections_of_one_host_share_it(void **state)
{
	const char *token;
	(void)state;

	t.peer.name = LAB_VIEW("10.0.0.7:40001");
	token = new_token("60");
	t.peer.name = LAB_VIEW("10.0.0.7:51999");
	assert_int_equal(get_with(token, "/latest/meta-data/"), 200);
	t.peer.name = LAB_VIEW("10.0.0.8:40001");
	assert_int_equal(get_with(token, "/latest/meta-data/"), 401);
}

static void version_one_is_off_unless_asked_for(void **state)
{
	(void)state;

	assert_int_equal(request("GET", ROLES), 401);
	imdsemu_set_tokens(t.imds, IMDSEMU_OPTIONAL);
	assert_int_equal(request("GET", ROLES), 200);
	assert_string_equal(body(), "s3access");
	assert_int_equal(get_with("wrong", ROLES), 401);
	imdsemu_set_tokens(t.imds, IMDSEMU_DISABLED);
	assert_int_equal(request("GET", ROLES), 403);
	header("X-aws-ec2-metadata-token-ttl-seconds", "60");
	assert_int_equal(request("PUT", "/latest/api/token"), 403);
}

static void answer_to_put_does_not_reach_beyond_the_hop_limit(void **state)
{
	const char *token = new_token("60");
	(void)state;

	t.peer.hops = 2;
	header("X-aws-ec2-metadata-token-ttl-seconds", "60");
	(void)request("PUT", "/latest/api/token");
	assert_int_equal(t.reply.wire, SIM_WIRE_SILENCE);
	assert_false(t.logged_answered);
	assert_int_equal(imdsemu_counters(t.imds)->beyond_hop_limit, 1);
	assert_int_equal(get_with(token, ROLES), 200); /* only the PUT is limited */
	t.options.hop_limit = 2;
	start();
	(void)new_token("60");
	assert_int_equal(t.reply.wire, SIM_WIRE_ANSWER);
}

/* ---- documents ---- */

static void role_document_has_aws_form(void **state)
{
	struct aws_credentials credentials;
	(void)state;

	assert_int_equal(get(ROLES "s3access"), 200);
	assert_string_equal(t.operation, "imds.role");
	assert_string_equal(reply_header("Content-Type"), "text/plain");
	assert_memory_equal(body(),
		"{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2026-01-01T00:00:00Z\",\n"
		"  \"Type\" : \"AWS-HMAC\",\n  \"AccessKeyId\" : \"ASIA",
		strlen("{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : "
		       "\"2026-01-01T00:00:00Z\",\n"
		       "  \"Type\" : \"AWS-HMAC\",\n  \"AccessKeyId\" : \"ASIA"));
	assert_true(strstr(body(), "\"Expiration\" : \"2026-01-01T06:00:00Z\"\n}") != NULL);
	parse(&credentials);
	assert_int_equal(credentials.access_key_id.len, 20);
	assert_int_equal(credentials.secret_access_key.len, 40);
	assert_int_equal(credentials.token.len, 360);
	assert_int_equal(credentials.expires_unix, T_EPOCH + 21600);
	assert_int_equal(t.published, 1);
	assert_true(lab_view_eq_cstr(credentials.access_key_id, t.last_key));
	assert_string_equal(t.last_account, "123456789012");
	assert_int_equal(t.last_expires, T_EPOCH + 21600);
}

static void roles_come_and_go(void **state)
{
	struct lab_error err;
	(void)state;

	assert_int_equal(get(ROLES "other"), 404);
	assert_true(strstr(body(), "404 - Not Found") != NULL);
	assert_int_equal(
		imdsemu_role_attach(t.imds, LAB_VIEW("other"), IMDSEMU_ROLE_UNAUTHORIZED, &err), 0);
	assert_int_equal(get(ROLES), 200);
	assert_string_equal(body(), "other\ns3access");
	assert_int_equal(get(ROLES "other"), 200);
	assert_true(strstr(body(), "\"Code\" : \"AssumeRoleUnauthorizedAccess\"") != NULL);
	assert_true(strstr(body(), "SecretAccessKey") == NULL);
	assert_int_equal(
		imdsemu_role_attach(t.imds, LAB_VIEW("other"), IMDSEMU_ROLE_FAILED, &err), 0);
	assert_int_equal(get(ROLES "other"), 200);
	assert_true(strstr(body(), "\"Code\" : \"Failed\"") != NULL);
	imdsemu_role_detach(t.imds, LAB_VIEW("other"));
	imdsemu_role_detach(t.imds, LAB_VIEW("s3access"));
	imdsemu_role_detach(t.imds, LAB_VIEW("s3access"));
	assert_int_equal(get(ROLES), 404);
	assert_int_equal(get(ROLES "s3access"), 404);
	assert_int_equal(get("/latest/meta-data/iam/"), 404);
	assert_int_equal(get("/latest/meta-data/iam/info"), 404);
	assert_int_equal(t.published, 0);
}

static void role_names_are_checked(void **state)
{
	static const char *const bad[] = { "", "a/b", "a b", "\xc3\xbc",
		"12345678901234567890123456789012345678901234567890123456789012345" };
	struct lab_error err;
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(bad); i++) {
		assert_row(i, imdsemu_role_attach(
				      t.imds, lab_view_cstr(bad[i]), IMDSEMU_ROLE_OK, &err) == -1);
		assert_row(i, err.code == LAB_INVALID);
	}
	t.options.roles_max = 1;
	start();
	assert_int_equal(
		imdsemu_role_attach(t.imds, LAB_VIEW("second"), IMDSEMU_ROLE_OK, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
}

static void what_sdks_ask_for_is_there(void **state)
{
	static const struct {
		const char *target, *body;
	} rows[] = {
		{ "/latest/meta-data/placement/region", "eu-central-1" },
		{ "/latest/meta-data/placement/availability-zone", "eu-central-1b" },
		{ "/latest/meta-data/placement/availability-zone/", "eu-central-1b" },
		{ "/2021-03-23/meta-data/placement/region", "eu-central-1" },
		{ "/latest/meta-data/services/domain", "amazonaws.com" },
		{ "/latest/meta-data/services/partition", "aws" },
		{ "/latest/meta-data/placement/",
			"availability-zone\navailability-zone-id\nregion" },
		{ "/latest/meta-data/placement/availability-zone-id", "euc1-az2" },
		{ "/latest/meta-data/events/maintenance/history", "[]" },
		{ "/latest/meta-data/instance-life-cycle", "on-demand" },
		{ "/latest/dynamic/fws/instance-monitoring", "disabled" },
		{ "/latest/meta-data/iam/", "info\nsecurity-credentials/" },
		{ "/latest/meta-data/iam/security-credentials/", "s3access" },
		{ "/latest/meta-data/hostname", "backend-1" },
		{ "/latest/meta-data/instance-type?x=1", "m5.large" },
		{ "/latest/", "dynamic\nmeta-data" },
		{ "/latest", "dynamic\nmeta-data" },
		{ "/latest/dynamic/instance-identity/", "document" },
		{ "/latest/dynamic/", "fws/\ninstance-identity/" },
	};
	static const char *const missing[] = { "/latest/nothing", "/2099-01-01/meta-data/",
		"/latest/meta-data/iam/security-credentials-extended/", "/latest/api/token",
		"/latest/meta-data/tags/instance/", "/latest/user-data",
		"/latest/meta-data/spot/instance-action",
		"/latest/meta-data/events/recommendations/rebalance",
		"/latest/meta-data/network/interfaces/macs/06:00:00:00:00:00/", "/favicon.ico" };
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_row(i, get(rows[i].target) == 200);
		assert_string_equal(body(), rows[i].body);
	}
	for (i = 0; i < LAB_COUNT_OF(missing); i++)
		assert_row(i, get(missing[i]) == 404);
	assert_int_equal(get("/"), 200);
	assert_true(strstr(body(), "2021-03-23\n") != NULL);
	assert_true(strstr(body(), "\nlatest") != NULL);
	assert_int_equal(get("/latest/meta-data"), 200);
	assert_true(strstr(body(), "\niam/\n") != NULL);
	assert_string_equal(t.operation, "imds.meta");
}

static void instance_documents_differ_by_host(void **state)
{
	char first[30];
	(void)state;

	assert_int_equal(get("/latest/meta-data/instance-id"), 200);
	(void)snprintf(first, sizeof(first), "%s", body());
	assert_int_equal(get("/latest/dynamic/instance-identity/document"), 200);
	assert_true(strstr(body(), "\"region\" : \"eu-central-1\"") != NULL);
	assert_true(strstr(body(), "\"availabilityZone\" : \"eu-central-1b\"") != NULL);
	assert_true(strstr(body(), first) != NULL);
	assert_int_equal(get("/latest/meta-data/mac"), 200);
	assert_int_equal(strlen(body()), 17);
	assert_int_equal(get("/latest/meta-data/local-ipv4"), 200);
	assert_memory_equal(body(), "10.", 3);
	assert_int_equal(get("/latest/meta-data/iam/info"), 200);
	assert_true(strstr(body(), "arn:aws:iam::123456789012:instance-profile/s3access") != NULL);
	t.peer.name = LAB_VIEW("backend-2");
	t.peer.zone = lab_view_of(NULL, 0);
	assert_int_equal(get("/latest/meta-data/instance-id"), 200);
	assert_string_not_equal(first, body());
	assert_int_equal(get("/latest/meta-data/placement/availability-zone"), 200);
	assert_string_equal(body(), "us-east-1a");
}

static void head_is_get_without_a_body(void **state)
{
	(void)state;

	header("X-aws-ec2-metadata-token", new_token("60"));
	assert_int_equal(request("HEAD", "/latest/meta-data/placement/region"), 200);
	assert_true(t.reply.head);
	assert_int_equal(t.reply.response.body.len, strlen("eu-central-1"));
	assert_int_equal(request("HEAD", ROLES), 401);
	assert_int_equal(t.reply.response.body.len, 0);
}

static void odd_targets_are_refused(void **state)
{
	char *target = lab_arena_alloc(t.arena, 3000);
	(void)state;

	assert_int_equal(request("GET", ""), 400);
	assert_int_equal(request("GET", "latest"), 400);
	assert_int_equal(request("GET", "?"), 400);
	memset(target, '/', 2999);
	assert_int_equal(request("GET", target), 400);
}

static void zone_ids_follow_the_region(void **state)
{
	static const struct {
		const char *region, *zone, *id;
	} rows[] = {
		{ "us-east-1", "us-east-1a", "use1-az1" },
		{ "ap-southeast-2", "ap-southeast-2c", "apse2-az3" },
		{ "ap-northeast-1", "ap-northeast-1d", "apne1-az4" },
		{ "eu-north-1", "eu-north-1a", "eun1-az1" },
	};
	size_t i;
	(void)state;

	t.peer.zone = lab_view_of(NULL, 0);
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t.options.region = lab_view_cstr(rows[i].region);
		t.options.zone = lab_view_cstr(rows[i].zone);
		start();
		assert_row(i, get("/latest/meta-data/placement/availability-zone-id") == 200);
		assert_string_equal(body(), rows[i].id);
	}
}

static void the_interface_is_listed_by_its_mac(void **state)
{
	char path[128], own[18];
	(void)state;

	assert_int_equal(get("/latest/meta-data/mac"), 200);
	(void)snprintf(own, sizeof(own), "%s", body());
	assert_int_equal(get("/latest/meta-data/network/interfaces/macs/"), 200);
	assert_memory_equal(body(), own, 17);
	(void)snprintf(path, sizeof(path), "/latest/meta-data/network/interfaces/macs/%s/", own);
	assert_int_equal(get(path), 200);
	assert_true(strstr(body(), "device-number\nlocal-hostname\n") != NULL);
	(void)snprintf(
		path, sizeof(path), "/latest/meta-data/network/interfaces/macs/%s/owner-id", own);
	assert_int_equal(get(path), 200);
	assert_string_equal(body(), "123456789012");
	(void)snprintf(
		path, sizeof(path), "/latest/meta-data/network/interfaces/macs/%s/nothing", own);
	assert_int_equal(get(path), 404);
}

static void the_list_without_its_slash_is_elsewhere(void **state)
{
	(void)state;

	assert_int_equal(get("/latest/meta-data/iam/security-credentials"), 301);
	assert_string_equal(reply_header("Location"),
		"http://169.254.169.254/latest/meta-data/iam/security-credentials/");
	assert_true(strstr(body(), "<title>301 - Moved Permanently</title>") != NULL);
	imdsemu_role_detach(t.imds, LAB_VIEW("s3access"));
	assert_int_equal(get("/latest/meta-data/iam/security-credentials"), 404);
}

static void answers_tell_how_long_the_token_lives(void **state)
{
	const char *token = new_token("60");
	(void)state;

	advance(10 * LAB_SEC);
	assert_int_equal(get_with(token, "/latest/meta-data/placement/region"), 200);
	assert_string_equal(reply_header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"), "50");
	assert_string_equal(reply_header("Accept-Ranges"), "none");
	assert_int_equal(get_with(token, "/latest/nothing"), 404);
	assert_string_equal(reply_header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"), "50");
	imdsemu_set_tokens(t.imds, IMDSEMU_OPTIONAL);
	assert_int_equal(request("GET", "/latest/meta-data/placement/region"), 200);
	assert_null(reply_header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"));
}

static void connections_may_end_with_each_answer(void **state)
{
	(void)state;

	t.options.close_connections = true;
	start();
	(void)new_token("60");
	assert_int_equal(t.reply.wire, SIM_WIRE_ANSWER_CLOSE);
}

static void what_is_no_request_is_refused_in_its_form(void **state)
{
	static const unsigned statuses[SIM_REFUSE_COUNT] = { 400, 400, 505, 431, 400, 411, 501, 400,
		413, 408, 503, 503 };
	const struct lab_http_request nothing = { .headers.count = 0 };
	unsigned why;
	(void)state;

	for (why = 0; why < SIM_REFUSE_COUNT; why++) {
		t.service.ops->refuse(t.service.service, (enum sim_http_refusal)why, &nothing,
			&t.peer, t.now, on_reply, NULL);
		assert_row(why, t.reply.response.status == statuses[why]);
		assert_string_equal(reply_header("Server"), "EC2ws");
		assert_true(strstr(body(), "<h1>") != NULL);
		assert_int_equal(t.logged_status, statuses[why]);
	}
	assert_int_equal(imdsemu_counters(t.imds)->requests, SIM_REFUSE_COUNT);
	assert_false(t.service.ops->length_required);
}

/* ---- rotation ---- */

static void keys_rotate_on_schedule(void **state)
{
	struct aws_credentials credentials;
	char first[32];
	(void)state;

	assert_int_equal(get(ROLES "s3access"), 200);
	(void)snprintf(first, sizeof(first), "%s", t.last_key);
	advance(18000 * LAB_SEC - 1);
	assert_int_equal(get(ROLES "s3access"), 200);
	assert_int_equal(t.published, 1);
	advance(1);
	assert_int_equal(get(ROLES "s3access"), 200);
	assert_int_equal(t.published, 2);
	assert_string_not_equal(first, t.last_key);
	parse(&credentials);
	assert_int_equal(credentials.expires_unix, T_EPOCH + 18000 + 21600);
	assert_int_equal(imdsemu_counters(t.imds)->credentials_issued, 2);
	assert_int_equal(imdsemu_counters(t.imds)->role_documents, 3);
}

static void each_host_and_role_has_its_keys(void **state)
{
	struct lab_error err;
	char keys[3][32];
	(void)state;

	assert_int_equal(imdsemu_role_attach(t.imds, LAB_VIEW("other"), IMDSEMU_ROLE_OK, &err), 0);
	assert_int_equal(get(ROLES "s3access"), 200);
	memcpy(keys[0], t.last_key, 32);
	assert_int_equal(get(ROLES "other"), 200);
	memcpy(keys[1], t.last_key, 32);
	t.peer.name = LAB_VIEW("backend-2");
	assert_int_equal(get(ROLES "other"), 200);
	memcpy(keys[2], t.last_key, 32);
	assert_string_not_equal(keys[0], keys[1]);
	assert_string_not_equal(keys[1], keys[2]);
	t.published = 0;
	t.peer.name = LAB_VIEW("backend-1");
	start();
	assert_int_equal(get(ROLES "s3access"), 200);
	assert_string_equal(keys[0], t.last_key); /* the same seed */
	t.options.seed = 8;
	start();
	assert_int_equal(get(ROLES "s3access"), 200);
	assert_string_not_equal(keys[0], t.last_key);
}

static void frozen_keys_stay_past_their_end(void **state)
{
	struct aws_credentials credentials;
	(void)state;

	imdsemu_freeze(t.imds, t.now);
	advance(40000 * LAB_SEC);
	assert_int_equal(get(ROLES "s3access"), 200);
	parse(&credentials);
	assert_int_equal(credentials.expires_unix, T_EPOCH + 21600);
	imdsemu_thaw(t.imds);
	assert_int_equal(get(ROLES "s3access"), 200);
	parse(&credentials);
	assert_int_equal(credentials.expires_unix, T_EPOCH + 36000 + 21600);
}

static void a_wrong_clock_shows_in_documents_only(void **state)
{
	struct aws_credentials credentials;
	const char *token;
	(void)state;

	imdsemu_set_skew(t.imds, 7200 * INT64_C(1000000));
	token = new_token("60");
	assert_int_equal(get_with(token, ROLES "s3access"), 200);
	parse(&credentials);
	assert_int_equal(credentials.expires_unix, T_EPOCH + 21600 + 7200);
	assert_int_equal(t.last_expires, T_EPOCH + 21600);
	assert_string_equal(reply_header("Date"), "Thu, 01 Jan 2026 02:00:00 GMT");
	advance(60 * LAB_SEC - 1);
	assert_int_equal(get_with(token, "/latest/meta-data/"), 200);
	advance(1);
	assert_int_equal(get_with(token, "/latest/meta-data/"), 401);
}

/* ---- throttling, latency, faults ---- */

static void hosts_are_throttled_apart(void **state)
{
	const char *token;
	size_t i;
	(void)state;

	t.options.throttle_per_s = 10;
	t.options.throttle_burst = 5;
	start();
	token = new_token("60");
	for (i = 0; i < 4; i++)
		assert_int_equal(get_with(token, "/latest/meta-data/"), 200);
	assert_int_equal(get_with(token, "/latest/meta-data/"), 429);
	assert_int_equal(imdsemu_counters(t.imds)->throttled, 1);
	t.peer.name = LAB_VIEW("backend-2");
	(void)new_token("60");
	t.peer.name = LAB_VIEW("backend-1");
	advance(LAB_SEC / 10);
	assert_int_equal(get_with(token, "/latest/meta-data/"), 200);
	assert_int_equal(get_with(token, "/latest/meta-data/"), 429);
	advance(3600 * LAB_SEC);
	for (i = 0; i < 5; i++)
		assert_int_equal(get_with(token, "/latest/meta-data/"), 401);
	assert_int_equal(get_with(token, "/latest/meta-data/"), 429);
}

static void faults_at_both_points(void **state)
{
	static const struct {
		enum sim_fault_kind kind;
		unsigned status;
		unsigned want;
		enum sim_wire wire;
	} rows[] = {
		{ SIM_FAULT_REFUSE, 503, 503, SIM_WIRE_ANSWER },
		{ SIM_FAULT_FAIL, 0, 500, SIM_WIRE_ANSWER },
		{ SIM_FAULT_ALTER_REPLY, 404, 404, SIM_WIRE_ANSWER },
		{ SIM_FAULT_LATE, 0, 500, SIM_WIRE_ANSWER },
		{ SIM_FAULT_PARTLY, 0, 500, SIM_WIRE_ANSWER },
		{ SIM_FAULT_LOSE_REPLY, 0, 200, SIM_WIRE_RESET },
		{ SIM_FAULT_STALL_REPLY, 0, 200, SIM_WIRE_SILENCE },
		{ SIM_FAULT_STALL, 0, 500, SIM_WIRE_SILENCE },
		{ SIM_FAULT_RESET, 0, 500, SIM_WIRE_RESET },
		{ SIM_FAULT_CORRUPT, 0, 200, SIM_WIRE_TRUNCATE },
		{ SIM_FAULT_DROP, 0, 200, SIM_WIRE_ANSWER_DROP },
	};
	const char *token = new_token("600");
	size_t i;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		t.fault = (struct sim_fault){
			.kind = rows[i].kind, .id = 9, .status = rows[i].status
		};
		header("X-aws-ec2-metadata-token-ttl-seconds", "60");
		assert_row(i, request("PUT", "/latest/api/token") == rows[i].want);
		assert_row(i, t.reply.wire == rows[i].wire);
		assert_string_equal(t.asked_point, "imds.token");
		assert_row(i, get_with(token, ROLES "s3access") == rows[i].want);
		assert_row(i, t.reply.wire == rows[i].wire);
		assert_string_equal(t.asked_point, "imds.role");
		assert_row(i, t.logged_answered == (rows[i].wire == SIM_WIRE_ANSWER ||
							   rows[i].wire == SIM_WIRE_ANSWER_DROP ||
							   rows[i].wire == SIM_WIRE_TRUNCATE));
	}
	assert_int_equal(imdsemu_counters(t.imds)->faults, 2 * LAB_COUNT_OF(rows));
	t.asked_point[0] = '\0';
	assert_int_equal(get_with(token, "/latest/meta-data/hostname"), 200);
	assert_string_equal(t.asked_point, "");
}

static void spoilt_documents_are_no_documents(void **state)
{
	static const char *const codes[] = { "AssumeRoleUnauthorizedAccess", "Failed",
		"InstanceProfileNotFound", "HalfDocument", "EmptyDocument", "MissingField" };
	const char *token = new_token("21600");
	struct aws_credentials credentials;
	struct lab_error err;
	size_t i, bad = 0;
	(void)state;

	for (i = 0; i < LAB_COUNT_OF(codes); i++) {
		t.fault = (struct sim_fault){
			.kind = SIM_FAULT_ALTER_REPLY, .id = 9, .status = 200, .code = codes[i]
		};
		assert_row(i, get_with(token, ROLES "s3access") == 200);
		assert_row(i, imds_document_parse(
				      t.reply.response.body, t.arena, &credentials, &err) == -1);
		assert_row(i, strstr(body(), codes[i]) != NULL || i >= 3);
	}
	t.fault.code = "ExpiredCredentials";
	advance(7200 * LAB_SEC);
	assert_int_equal(get_with(token, ROLES "s3access"), 200);
	parse(&credentials);
	assert_int_equal(credentials.expires_unix, T_EPOCH + 3600);
	t.fault.code = "BadDocument";
	for (i = 0; i < 40; i++) {
		assert_int_equal(get_with(token, ROLES "s3access"), 200);
		bad += imds_document_parse(t.reply.response.body, t.arena, &credentials, &err) < 0;
	}
	assert_in_range(bad, 20, 39); /* the rest was past its end */
	t.fault.code = "Failed";
	assert_int_equal(get_with(token, ROLES), 200);
	assert_string_equal(body(), ""); /* a list has no code */
	t.fault.code = "HalfDocument";
	header("X-aws-ec2-metadata-token-ttl-seconds", "60");
	assert_int_equal(request("PUT", "/latest/api/token"), 200);
	assert_int_equal(t.reply.response.body.len, 28);
	assert_int_equal(imdsemu_counters(t.imds)->faults, LAB_COUNT_OF(codes) + 43);
}

static void the_wire_carries_slow_and_dropped_answers(void **state)
{
	const char *token = new_token("600");
	char plain[2000];
	size_t i, differ = 0;
	(void)state;

	assert_int_equal(get_with(token, ROLES "s3access"), 200);
	(void)snprintf(plain, sizeof(plain), "%s", body());
	t.fault = (struct sim_fault){ .kind = SIM_FAULT_TRICKLE, .delay_ns = 2 * LAB_SEC };
	assert_int_equal(get_with(token, ROLES "s3access"), 200);
	assert_int_equal(t.reply.wire, SIM_WIRE_TRICKLE);
	assert_int_equal(t.reply.bytes_per_s, strlen(plain) / 2);
	t.fault.kind = SIM_FAULT_DROP;
	assert_int_equal(get_with(token, ROLES "s3access"), 200);
	assert_int_equal(t.reply.wire, SIM_WIRE_ANSWER_DROP);
	t.fault.kind = SIM_FAULT_WRONG_DATE;
	assert_int_equal(get_with(token, ROLES "s3access"), 200);
	assert_string_equal(reply_header("Date"), "Thu, 01 Jan 2026 00:15:02 GMT");
	t.fault.kind = SIM_FAULT_FLIP;
	assert_int_equal(get_with(token, ROLES "s3access"), 200);
	for (i = 0; i < strlen(plain); i++)
		differ += plain[i] != body()[i];
	assert_int_equal(differ, 1);
}

static void a_wrong_request_keeps_its_own_error(void **state)
{
	(void)state;

	t.fault = (struct sim_fault){ .kind = SIM_FAULT_FAIL, .status = 503 };
	assert_int_equal(request("PUT", "/latest/api/token"), 400);
	assert_int_equal(request("GET", ROLES), 401);
	t.fault.kind = SIM_FAULT_REFUSE;
	assert_int_equal(request("GET", ROLES), 503);
	t.fault.kind = SIM_FAULT_CORRUPT;
	(void)request("HEAD", ROLES);
	assert_int_equal(t.reply.wire, SIM_WIRE_RESET);
}

static void slow_answers_come_in_their_order(void **state)
{
	const char *token = new_token("600");
	(void)state;

	t.fault = (struct sim_fault){ .kind = SIM_FAULT_DELAY, .delay_ns = 9 * LAB_SEC };
	assert_int_equal(get_with(token, ROLES), 0);
	t.fault.delay_ns = 5 * LAB_SEC;
	assert_int_equal(get_with(token, ROLES "s3access"), 0);
	assert_true(t.service.ops->next_deadline(t.service.service) == 5 * LAB_SEC);
	assert_int_equal(t.log_count, 3);
	advance(5 * LAB_SEC);
	assert_int_equal(t.replies, 2);
	assert_true(strstr(body(), "Success") != NULL);
	advance(4 * LAB_SEC);
	assert_int_equal(t.replies, 3);
	assert_string_equal(body(), "s3access");
	assert_true(t.service.ops->next_deadline(t.service.service) == UINT64_MAX);
}

static void a_full_queue_answers_at_once(void **state)
{
	const char *token;
	(void)state;

	t.options.pending_max = 1;
	t.options.latency_low_ns = t.options.latency_high_ns = LAB_MSEC;
	start();
	header("X-aws-ec2-metadata-token-ttl-seconds", "60");
	assert_int_equal(request("PUT", "/latest/api/token"), 0);
	advance(LAB_SEC);
	token = body();
	assert_int_equal(get_with(token, ROLES), 0);
	assert_int_equal(get_with(token, ROLES), 200);
	advance(LAB_SEC);
	assert_int_equal(t.replies, 3);
}

static void hosts_beyond_the_bound_share_one_record(void **state)
{
	(void)state;

	t.options.hosts_max = 1;
	start();
	assert_int_equal(get(ROLES "s3access"), 200);
	t.peer.name = LAB_VIEW("backend-2");
	assert_int_equal(get(ROLES "s3access"), 200);
	t.peer.name = LAB_VIEW("backend-3");
	assert_int_equal(get(ROLES "s3access"), 200);
	t.service.ops->submit(t.service.service,
		&(struct lab_http_request){ .method = LAB_VIEW("GET"), .target = LAB_VIEW("/") },
		NULL, t.now, on_reply, NULL);
	assert_int_equal(t.reply.response.status, 401);
}

static void wrong_options_are_refused(void **state)
{
	struct imdsemu_options options;
	struct imdsemu *imds = NULL;
	struct lab_error err;
	(void)state;

#define REFUSED(change) \
	do { \
		options = t.options; \
		change; \
		assert_int_equal(imdsemu_new(testing_pool, &options, &imds, &err), -1); \
		assert_int_equal(err.code, LAB_INVALID); \
	} while (0)
	REFUSED(options.hop_limit = 0);
	REFUSED(options.hop_limit = 65);
	REFUSED(options.rotate_every_s = 0);
	REFUSED(options.rotate_every_s = options.lifetime_s + 1);
	REFUSED(options.throttle_status = 200);
	REFUSED(options.throttle_burst = 0);
	REFUSED(options.latency_low_ns = 1);
	REFUSED(options.latency_high_ns = 1);
	REFUSED(options.skew_us = INT64_MAX);
	REFUSED(options.hosts_max = 0);
	REFUSED(options.region = lab_view_of(NULL, 0));
	imdsemu_free(&imds);
}

/* ---- together with S3 ---- */

static void on_s3_reply(void *ctx, const struct sim_http_reply *reply)
{
	struct sim_http_reply *copy = ctx;

	*copy = *reply;
	lab_http_response_copy(t.arena, &reply->response, &copy->response);
}

/* A bucket listing signed with what IMDS said last. */
static unsigned s3_list(struct s3emu *s3, const struct aws_credentials *credentials)
{
	struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.authority = LAB_VIEW("localhost"),
		.target = LAB_VIEW("/mail") };
	struct sigv4_signer signer = { .credentials = credentials,
		.region = LAB_VIEW("eu-central-1"),
		.service = LAB_VIEW("s3"),
		.now_unix = T_EPOCH + (int64_t)(t.now / LAB_SEC),
		.heap = testing_heap };
	struct sim_http_service service = s3emu_service(s3);
	struct sim_http_reply reply;
	struct lab_error err;

	(void)lab_http_header_add(
		&request.headers, LAB_VIEW("x-amz-security-token"), credentials->token);
	assert_int_equal(sigv4_sign_headers(&request, &signer, t.arena, &err), 0);
	service.ops->submit(service.service, &request, &t.peer, t.now, on_s3_reply, &reply);
	return reply.response.status;
}

static void s3_takes_the_keys_through_three_rotations(void **state)
{
	struct s3emu_options options;
	struct s3emu_bucket_options bucket = { .name = LAB_VIEW("mail"),
		.owner = LAB_VIEW("123456789012") };
	struct aws_credentials credentials, previous;
	struct lab_error err;
	struct s3emu *s3;
	size_t i;
	(void)state;

	s3emu_options_init(&options);
	options.region = LAB_VIEW("eu-central-1");
	assert_int_equal(s3emu_new(testing_pool, &options, &s3, &err), 0);
	assert_int_equal(s3emu_bucket_add(s3, &bucket, &err), 0);
	t.options.publish = s3emu_credentials_sink;
	t.options.publish_ctx = s3;
	start();
	for (i = 0; i < 4; i++) {
		assert_int_equal(get(ROLES "s3access"), 200);
		parse(&credentials);
		assert_int_equal(s3_list(s3, &credentials), 200);
		if (i > 0) /* the old ones overlap for an hour */
			assert_int_equal(s3_list(s3, &previous), 200);
		advance(3600 * LAB_SEC);
		if (i > 0)
			assert_int_equal(s3_list(s3, &previous), 400);
		previous = credentials;
		advance((18000 - 3600) * LAB_SEC);
	}
	s3emu_free(&s3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(token_answer_has_its_form),
		t_test(wrong_ttl_is_400),
		t_test(forwarded_and_dated_puts_are_403),
		t_test(reading_needs_a_live_token_of_this_host),
		t_test(tokens_live_side_by_side_until_revoked),
		t_test(connections_of_one_host_share_it),
		t_test(version_one_is_off_unless_asked_for),
		t_test(answer_to_put_does_not_reach_beyond_the_hop_limit),
		t_test(role_document_has_aws_form),
		t_test(roles_come_and_go),
		t_test(role_names_are_checked),
		t_test(what_sdks_ask_for_is_there),
		t_test(instance_documents_differ_by_host),
		t_test(zone_ids_follow_the_region),
		t_test(the_interface_is_listed_by_its_mac),
		t_test(the_list_without_its_slash_is_elsewhere),
		t_test(answers_tell_how_long_the_token_lives),
		t_test(connections_may_end_with_each_answer),
		t_test(what_is_no_request_is_refused_in_its_form),
		t_test(head_is_get_without_a_body),
		t_test(odd_targets_are_refused),
		t_test(keys_rotate_on_schedule),
		t_test(each_host_and_role_has_its_keys),
		t_test(frozen_keys_stay_past_their_end),
		t_test(a_wrong_clock_shows_in_documents_only),
		t_test(hosts_are_throttled_apart),
		t_test(faults_at_both_points),
		t_test(spoilt_documents_are_no_documents),
		t_test(the_wire_carries_slow_and_dropped_answers),
		t_test(a_wrong_request_keeps_its_own_error),
		t_test(slow_answers_come_in_their_order),
		t_test(a_full_queue_answers_at_once),
		t_test(hosts_beyond_the_bound_share_one_record),
		t_test(wrong_options_are_refused),
		t_test(s3_takes_the_keys_through_three_rotations),
	};

	return cmocka_run_group_tests_name("imds-emulator", tests, NULL, NULL);
}

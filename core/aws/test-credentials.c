/* SPDX-License-Identifier: Apache-2.0
 *
 * Credentials from IMDS in virtual time: sessions, refreshing, sharing, failing (cql-imds 6).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/aws/credentials.h"
#include "core/http/testing/fake-world.h"

#define TTL "X-aws-ec2-metadata-token-ttl-seconds"
#define HOUR UINT64_C(3600)

/* An IMDS that knows sessions; the knobs are its ways to fail. */
struct probe {
	struct fake_world *world;
	struct aws_credentials_source *source;
	struct lab_arena *arena;

	unsigned puts, gets;
	unsigned session;        /* the one it knows */
	unsigned key;            /* AccessKeyId ASIA<key> */
	uint64_t lifetime_s;     /* of the keys, from when they are asked for */
	uint64_t fixed_expiry_s; /* or until then, from the run's start */
	unsigned fail_status;    /* all requests get it */
	unsigned fail_count;     /* so many of the next requests fail; UINT32_MAX: all */
	enum lab_code fail_code; /* with this failure of the wire, or fail_status */
	const char *ttl;         /* header of the answer to PUT */
	const char *document;    /* instead of the right one */
	uint64_t delay_ns;

	struct aws_credentials found;
	int result;
	struct lab_error err;
};

static bool fails(struct probe *probe, struct fake_reply *ret)
{
	if (probe->fail_count == 0)
		return false;
	if (probe->fail_count != UINT32_MAX)
		probe->fail_count--;
	ret->failure = probe->fail_code;
	ret->status = probe->fail_status;
	return true;
}

static void imds(
	struct fake_world *world, const struct lab_http_request *request, struct fake_reply *ret)
{
	struct probe *probe = world->handler_ctx;
	struct lab_view session;
	char date[LAB_DATE_TEXT_MAX];
	uint64_t expires = probe->fixed_expiry_s != 0 ? probe->fixed_expiry_s
						      : world->now_ns / LAB_SEC + probe->lifetime_s;

	*ret = (struct fake_reply){ .status = 200, .delay_ns = probe->delay_ns };
	if (lab_view_eq_cstr(request->target, "/latest/api/token")) {
		probe->puts++;
		if (fails(probe, ret))
			return;
		ret->headers = probe->ttl;
		ret->body = lab_view_cstr(
			lab_arena_printf(world->arena, "session-%u", ++probe->session));
		return;
	}
	probe->gets++;
	if (fails(probe, ret))
		return;
	session = lab_http_header_get(&request->headers, "X-aws-ec2-metadata-token");
	if (!lab_view_eq_cstr(
		    session, lab_arena_printf(world->arena, "session-%u", probe->session))) {
		ret->status = 401;
		return;
	}
	lab_date_iso_extended((world->wall_unix + (int64_t)expires) * 1000, date);
	ret->body = lab_view_cstr(
		probe->document != NULL
			? probe->document
			: lab_arena_printf(world->arena,
				  "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA%u\","
				  "\"SecretAccessKey\":\"HIDDEN\",\"Token\":\"TOKEN%u\","
				  "\"Expiration\":\"%s\"}",
				  probe->key, probe->key, date));
}

static int setup(void **state)
{
	static struct probe probe;

	memset(&probe, 0, sizeof(probe));
	probe.world = fake_world_new();
	probe.world->handler = imds;
	probe.world->handler_ctx = &probe;
	probe.arena = probe.world->arena;
	probe.lifetime_s = 6 * HOUR;
	probe.source = aws_credentials_imds(&probe.world->env, LAB_VIEW("169.254.169.254:80"),
		LAB_VIEW("s3/access"), 1, 10 * LAB_SEC);
	*state = &probe;
	return 0;
}

static int teardown(void **state)
{
	struct probe *probe = *state;

	aws_credentials_free(&probe->source);
	fake_world_free(&probe->world);
	return 0;
}

static void step_get(void *ctx)
{
	struct probe *probe = ctx;

	probe->result =
		aws_credentials_get(probe->source, probe->arena, &probe->found, &probe->err);
}

static void get(struct probe *probe)
{
	memset(&probe->err, 0, sizeof(probe->err));
	fake_run(probe->world, step_get, probe);
}

static void assert_key(struct probe *probe, const char *key)
{
	get(probe);
	if (probe->result != 0)
		fail_msg("%s", probe->err.message);
	assert_true(lab_view_eq_cstr(probe->found.access_key_id, key));
}

static void advance(struct probe *probe, uint64_t seconds)
{
	probe->world->now_ns += seconds * LAB_SEC;
}

/* ---- */

static void fixed_credentials_are_what_they_are(void **state)
{
	struct probe *probe = *state;
	struct aws_credentials_source *imds_source = probe->source;

	probe->source =
		aws_credentials_fixed(&probe->world->env, LAB_VIEW("KEY"), LAB_VIEW("SECRET"));
	assert_key(probe, "KEY");
	assert_true(lab_view_eq_cstr(probe->found.secret_access_key, "SECRET"));
	assert_null(probe->found.token.ptr);
	assert_int_equal(probe->found.expires_unix, 0);
	aws_credentials_invalidate(probe->source, LAB_VIEW("KEY"));
	assert_key(probe, "KEY");
	assert_int_equal(probe->world->request_count, 0);
	aws_credentials_free(&probe->source);
	probe->source = imds_source;
}

static void a_lookup_is_a_put_and_a_get(void **state)
{
	struct probe *probe = *state;
	const struct fake_request *requests = probe->world->requests;

	assert_key(probe, "ASIA0");
	assert_true(lab_view_eq_cstr(probe->found.token, "TOKEN0"));
	assert_true(lab_view_eq_cstr(probe->found.secret_access_key, "HIDDEN"));
	assert_int_equal(probe->found.expires_unix, probe->world->wall_unix + 6 * 3600);

	assert_int_equal(probe->world->request_count, 2);
	assert_true(lab_view_eq_cstr(requests[0].request.method, "PUT"));
	assert_true(lab_view_eq_cstr(requests[0].request.target, "/latest/api/token"));
	assert_true(lab_view_eq_cstr(requests[0].request.authority, "169.254.169.254:80"));
	assert_false(requests[0].request.tls);
	assert_true(lab_view_eq_cstr(fake_header(probe->world, 0, TTL), "21600"));
	assert_int_equal(requests[0].limits.response_timeout_ns, 10 * LAB_SEC);
	assert_true(lab_view_eq_cstr(requests[1].request.method, "GET"));
	assert_true(lab_view_eq_cstr(requests[1].request.target,
		"/latest/meta-data/iam/security-credentials/s3%2Faccess"));
	assert_true(lab_view_eq_cstr(
		fake_header(probe->world, 1, "X-aws-ec2-metadata-token"), "session-1"));
}

static void credentials_are_kept_until_five_minutes_before_they_expire(void **state)
{
	struct probe *probe = *state;

	assert_key(probe, "ASIA0");
	advance(probe, 6 * HOUR - 301);
	probe->key = 1;
	assert_key(probe, "ASIA0");
	assert_int_equal(probe->gets, 1);
	/* Hosts do not all ask in the same second, but within a minute. */
	advance(probe, 61);
	assert_key(probe, "ASIA1");
	assert_int_equal(probe->gets, 2);
}

static void the_session_is_kept_for_its_time(void **state)
{
	struct probe *probe = *state;

	probe->lifetime_s = HOUR;
	for (unsigned i = 0; i < 6; i++) {
		probe->key = i;
		get(probe);
		advance(probe, HOUR);
	}
	assert_int_equal(probe->gets, 6);
	assert_true(probe->puts <= 2);
}

static void a_shorter_ttl_of_the_answer_counts(void **state)
{
	static const struct {
		const char *header;
		unsigned puts;
	} cases[] = { { TTL ": 60", 2 }, { TTL ": 999999", 1 }, { TTL ": x", 1 }, { NULL, 1 } };
	struct probe *probe = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		aws_credentials_free(&probe->source);
		probe->source = aws_credentials_imds(
			&probe->world->env, LAB_VIEW("imds"), LAB_VIEW("r"), 1, LAB_SEC);
		probe->lifetime_s = HOUR;
		probe->ttl = cases[i].header;
		probe->puts = 0;
		get(probe);
		advance(probe, HOUR);
		get(probe);
		assert_int_equal(probe->puts, cases[i].puts);
	}
}

static void old_credentials_serve_while_there_are_no_new_ones(void **state)
{
	struct probe *probe = *state;

	assert_key(probe, "ASIA0");
	advance(probe, 6 * HOUR - 200);
	/* Still the old set: asked for at most every 30 seconds. */
	probe->fixed_expiry_s = 6 * HOUR;
	for (int i = 0; i < 10; i++) {
		assert_key(probe, "ASIA0");
		advance(probe, 1);
	}
	assert_int_equal(probe->gets, 2);
	advance(probe, 30);
	probe->fixed_expiry_s = 0;
	probe->key = 1;
	assert_key(probe, "ASIA1");
}

static void old_credentials_serve_while_imds_fails_until_they_expire(void **state)
{
	struct probe *probe = *state;

	assert_key(probe, "ASIA0");
	advance(probe, 6 * HOUR - 200);
	probe->fail_count = UINT32_MAX;
	probe->fail_code = LAB_REFUSED;
	for (int i = 0; i < 3; i++)
		assert_key(probe, "ASIA0");
	assert_int_equal(probe->world->request_count, 4); /* one more lookup, tried twice */
	advance(probe, 200);
	get(probe);
	assert_int_equal(probe->result, -1);
	assert_int_equal(probe->err.code, LAB_UNAVAILABLE);

	/* IMDS is back: the next request has new keys. */
	probe->fail_count = 0;
	probe->key = 1;
	assert_key(probe, "ASIA1");
}

static void failures_are_tried_again_as_often_as_configured(void **state)
{
	static const struct {
		enum lab_code code;
		unsigned status;
		unsigned puts;
	} cases[] = { { LAB_REFUSED, 0, 2 }, { LAB_TIMEOUT, 0, 2 }, { LAB_UNCERTAIN, 0, 2 },
		{ LAB_CORRUPT, 0, 2 }, { LAB_LIMIT, 0, 1 }, { LAB_OK, 503, 2 }, { LAB_OK, 500, 2 },
		{ LAB_OK, 429, 2 }, { LAB_OK, 408, 2 }, { LAB_OK, 400, 1 }, { LAB_OK, 403, 1 },
		{ LAB_OK, 405, 1 } };
	struct probe *probe = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		probe->fail_code = cases[i].code;
		probe->fail_status = cases[i].status;
		probe->fail_count = UINT32_MAX;
		probe->puts = 0;
		get(probe);
		assert_int_equal(probe->result, -1);
		if (probe->err.code != LAB_UNAVAILABLE || probe->puts != cases[i].puts)
			fail_msg("case %zu: %u puts, %s", i, probe->puts, probe->err.message);
		assert_int_equal(probe->gets, 0);
		assert_int_equal(probe->err.status, cases[i].status);
	}
	probe->fail_status = 503;
	probe->fail_count = 1;
	assert_key(probe, "ASIA0");
}

static void a_hanging_imds_costs_its_timeout_for_each_try(void **state)
{
	struct probe *probe = *state;
	uint64_t started_ns = probe->world->now_ns;

	probe->delay_ns = LAB_MINUTE;
	get(probe);
	assert_int_equal(probe->result, -1);
	assert_int_equal(probe->world->now_ns - started_ns, 20 * LAB_SEC + 50 * LAB_MSEC);
	assert_true(probe->err.retryable);
}

static void an_unknown_session_is_replaced_once(void **state)
{
	struct probe *probe = *state;

	probe->lifetime_s = HOUR;
	assert_key(probe, "ASIA0");
	probe->session = 17;
	probe->key = 1;
	advance(probe, HOUR);
	assert_key(probe, "ASIA1");
	assert_int_equal(probe->puts, 2);
	assert_int_equal(probe->gets, 3);
}

static void a_401_that_stays_is_an_error_and_no_step_down(void **state)
{
	struct probe *probe = *state;

	probe->lifetime_s = HOUR;
	get(probe);
	advance(probe, HOUR);
	probe->fail_status = 401;
	probe->fail_count = UINT32_MAX;
	get(probe);
	assert_int_equal(probe->result, -1);
	assert_int_equal(probe->err.code, LAB_UNAVAILABLE);
	assert_int_equal(probe->err.status, 401);
	/* No request was ever without a session. */
	for (size_t i = 0; i < probe->world->request_count; i++) {
		const struct lab_http_request *request = &probe->world->requests[i].request;

		if (lab_view_eq_cstr(request->method, "GET"))
			assert_non_null(
				lab_http_header_get(&request->headers, "X-aws-ec2-metadata-token")
					.ptr);
	}
}

static void a_role_that_is_not_there_is_denied(void **state)
{
	struct probe *probe = *state;

	get(probe);
	probe->fail_status = 404;
	probe->fail_count = UINT32_MAX;
	advance(probe, 7 * HOUR);
	probe->document = NULL;
	get(probe);
	assert_int_equal(probe->err.code, LAB_DENIED);
	probe->fail_count = 0;
	probe->document = "{\"Code\":\"AssumeRoleUnauthorizedAccess\"}";
	get(probe);
	assert_int_equal(probe->err.code, LAB_DENIED);
}

static void bad_answers_of_imds_are_unavailable(void **state)
{
	static const char expired[] =
		"{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"HIDDEN\","
		"\"Expiration\":\"2012-01-01T00:00:00Z\"}";
	static const char *const documents[] = { "", "{", "{\"Code\":\"Success\"}", expired };
	struct probe *probe = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(documents); i++) {
		probe->document = documents[i];
		get(probe);
		assert_int_equal(probe->result, -1);
		assert_int_equal(probe->err.code, LAB_UNAVAILABLE);
		assert_true(probe->err.retryable);
		assert_null(strstr(probe->err.message, "HIDDEN"));
	}
}

static void bad_token(
	struct fake_world *world, const struct lab_http_request *request, struct fake_reply *ret)
{
	(void)world;
	(void)request;
	*ret = (struct fake_reply){ .status = 200, .body = LAB_VIEW("<html>a page</html>") };
}

static void what_is_no_token_is_not_used(void **state)
{
	struct probe *probe = *state;

	probe->world->handler = bad_token;
	get(probe);
	assert_int_equal(probe->err.code, LAB_UNAVAILABLE);
	assert_int_equal(probe->world->request_count, 1);
}

/* ---- sharing ---- */

struct sharer {
	struct probe *probe;
	struct aws_credentials found;
	struct lab_error err;
	int result;
};

static void share_one(void *ctx, size_t index)
{
	struct sharer *sharer = (struct sharer *)ctx + index;

	sharer->result = aws_credentials_get(
		sharer->probe->source, sharer->probe->arena, &sharer->found, &sharer->err);
}

static void share_all(void *ctx)
{
	struct sharer *sharers = ctx;

	env_for_each(&sharers->probe->world->env, 8, 8, share_one, sharers);
}

static void concurrent_callers_share_one_lookup(void **state)
{
	struct probe *probe = *state;
	struct sharer sharers[8];

	memset(sharers, 0, sizeof(sharers));
	for (size_t i = 0; i < 8; i++)
		sharers[i].probe = probe;
	probe->delay_ns = LAB_SEC;
	fake_run(probe->world, share_all, sharers);
	assert_int_equal(probe->puts, 1);
	assert_int_equal(probe->gets, 1);
	assert_int_equal(probe->world->in_flight_max, 1);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(sharers[i].result, 0);
		assert_true(lab_view_eq_cstr(sharers[i].found.access_key_id, "ASIA0"));
	}
}

static void concurrent_callers_share_a_failure(void **state)
{
	struct probe *probe = *state;
	struct sharer sharers[8];

	memset(sharers, 0, sizeof(sharers));
	for (size_t i = 0; i < 8; i++)
		sharers[i].probe = probe;
	probe->fail_count = UINT32_MAX;
	probe->fail_status = 503;
	probe->delay_ns = LAB_SEC;
	fake_run(probe->world, share_all, sharers);
	assert_int_equal(probe->puts, 2);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(sharers[i].err.code, LAB_UNAVAILABLE);
}

/* ---- invalidating ---- */

static void refused_credentials_are_looked_up_again(void **state)
{
	struct probe *probe = *state;

	assert_key(probe, "ASIA0");
	advance(probe, 60);
	probe->key = 1;
	aws_credentials_invalidate(probe->source, LAB_VIEW("ASIA0"));
	assert_key(probe, "ASIA1");
	/* Somebody who still had the old ones does not throw the new ones away. */
	advance(probe, 60);
	aws_credentials_invalidate(probe->source, LAB_VIEW("ASIA0"));
	assert_key(probe, "ASIA1");
	assert_int_equal(probe->gets, 2);
}

static void refusing_fresh_credentials_makes_no_storm(void **state)
{
	struct probe *probe = *state;

	for (int i = 0; i < 100; i++) {
		get(probe);
		aws_credentials_invalidate(probe->source, LAB_VIEW("ASIA0"));
		probe->world->now_ns += 100 * LAB_MSEC;
	}
	assert_in_range(probe->gets, 2, 11);
}

static void fresh_credentials_that_were_refused_are_not_used_later(void **state)
{
	struct probe *probe = *state;

	assert_key(probe, "ASIA0");
	aws_credentials_invalidate(probe->source, LAB_VIEW("ASIA0"));
	assert_key(probe, "ASIA0");
	assert_int_equal(probe->gets, 1);
	/* Nobody asks for a while; whoever comes next does not begin with them. */
	probe->key = 1;
	advance(probe, 240);
	assert_key(probe, "ASIA1");
	assert_int_equal(probe->gets, 2);
}

static void refused_credentials_are_not_used_while_imds_fails(void **state)
{
	struct probe *probe = *state;

	assert_key(probe, "ASIA0");
	advance(probe, 60);
	aws_credentials_invalidate(probe->source, LAB_VIEW("ASIA0"));
	probe->fail_count = UINT32_MAX;
	probe->fail_status = 500;
	get(probe);
	assert_int_equal(probe->result, -1);
	assert_int_equal(probe->err.code, LAB_UNAVAILABLE);
	/* The error is the caller's if he wants it. */
	fake_run(probe->world, step_get, probe);
	probe->fail_count = 0;
	assert_key(probe, "ASIA0");
}

/* ---- a cache that hosts share ---- */

struct shared_cache {
	char document[1024]; /* empty: none */
	bool fails;
	unsigned loads, stores, releases;
};
static struct shared_cache shared;

static int load(void *ctx, struct lab_arena *arena, struct lab_view *ret)
{
	struct shared_cache *cache = ctx;

	cache->loads++;
	if (cache->fails)
		return -1;
	*ret = lab_arena_copy(arena, lab_view_cstr(cache->document));
	return ret->len > 0;
}

static void store(void *ctx, struct lab_view document)
{
	struct shared_cache *cache = ctx;

	cache->stores++;
	assert_int_equal(lab_view_to_cstr(document, cache->document, sizeof(cache->document)), 0);
}

static void release(void *ctx)
{
	((struct shared_cache *)ctx)->releases++;
}

/* The probe goes on as another host. */
static void become_another_host(struct probe *probe)
{
	aws_credentials_free(&probe->source);
	probe->source = aws_credentials_imds(&probe->world->env, LAB_VIEW("169.254.169.254:80"),
		LAB_VIEW("s3/access"), 1, 10 * LAB_SEC);
	aws_credentials_set_cache(
		probe->source, &(struct aws_credentials_cache){ load, store, release, &shared });
}

static void begin_sharing(struct probe *probe)
{
	memset(&shared, 0, sizeof(shared));
	become_another_host(probe);
	assert_key(probe, "ASIA0");
	assert_int_equal(shared.stores, 1);
	assert_int_equal(probe->gets, 1);
}

static void what_one_host_looked_up_others_take(void **state)
{
	struct probe *probe = *state;

	begin_sharing(probe);
	become_another_host(probe);
	assert_int_equal(shared.releases, 1);
	probe->key = 1;
	assert_key(probe, "ASIA0");
	assert_key(probe, "ASIA0");
	assert_int_equal(probe->puts + probe->gets, 2);
	assert_int_equal(shared.loads, 2);
	assert_int_equal(shared.stores, 1);
	assert_true(lab_view_eq_cstr(probe->found.token, "TOKEN0"));
	/* When they are about to expire they are no better there. */
	advance(probe, 6 * HOUR - 240);
	assert_key(probe, "ASIA1");
	assert_int_equal(probe->gets, 2);
	assert_int_equal(shared.stores, 2);
	become_another_host(probe);
	assert_key(probe, "ASIA1");
	assert_int_equal(probe->gets, 2);
	assert_false(fake_events_mention(probe->world, "HIDDEN"));
}

static void what_the_storage_refused_is_not_taken_again(void **state)
{
	struct probe *probe = *state;

	begin_sharing(probe);
	advance(probe, 60);
	probe->key = 1;
	aws_credentials_invalidate(probe->source, LAB_VIEW("ASIA0"));
	assert_key(probe, "ASIA1");
	assert_int_equal(probe->gets, 2);
	/* Whoever is refused next takes what the first one found. */
	advance(probe, 60);
	probe->key = 2;
	snprintf(shared.document, sizeof(shared.document),
		"{\"Code\":\"Success\",\"AccessKeyId\":\"OTHER\",\"SecretAccessKey\":\"S\","
		"\"Expiration\":\"2099-01-01T00:00:00Z\"}");
	aws_credentials_invalidate(probe->source, LAB_VIEW("ASIA1"));
	assert_key(probe, "OTHER");
	assert_int_equal(probe->gets, 2);
}

/* Somebody had stored what IMDS should not have given. */
static void what_others_know_and_the_storage_refuses_is_asked_of_imds_at_once(void **state)
{
	struct probe *probe = *state;

	begin_sharing(probe);
	become_another_host(probe);
	probe->key = 1;
	assert_key(probe, "ASIA0");
	aws_credentials_invalidate(probe->source, LAB_VIEW("ASIA0"));
	assert_key(probe, "ASIA1");
	assert_int_equal(probe->gets, 2);
	assert_int_equal(shared.stores, 2);
	/* That was a moment ago. */
	aws_credentials_invalidate(probe->source, LAB_VIEW("ASIA1"));
	assert_key(probe, "ASIA1");
	assert_int_equal(probe->gets, 2);
}

static void the_cache_is_what_is_left_while_imds_fails(void **state)
{
	struct probe *probe = *state;
	unsigned puts;

	begin_sharing(probe);
	advance(probe, 6 * HOUR - 200);
	become_another_host(probe);
	probe->fail_count = UINT32_MAX;
	probe->fail_status = 500;
	assert_key(probe, "ASIA0");
	puts = probe->puts;
	assert_true(puts > 1);
	/* IMDS is not asked for each request. */
	assert_key(probe, "ASIA0");
	assert_int_equal(probe->puts, puts);
	advance(probe, 31);
	assert_key(probe, "ASIA0");
	assert_true(probe->puts > puts);
	advance(probe, 200);
	get(probe);
	assert_int_equal(probe->result, -1);
	assert_int_equal(probe->err.code, LAB_UNAVAILABLE);
}

static void a_cache_that_is_of_no_use_costs_a_lookup(void **state)
{
	struct probe *probe = *state;

	memset(&shared, 0, sizeof(shared));
	shared.fails = true;
	become_another_host(probe);
	assert_key(probe, "ASIA0");
	shared.fails = false;
	snprintf(shared.document, sizeof(shared.document), "{\"Code\":\"Success\"");
	become_another_host(probe);
	assert_key(probe, "ASIA0");
	assert_int_equal(probe->gets, 2);
	assert_int_equal(shared.stores, 2);
}

/* ---- events ---- */

static void each_lookup_is_an_event_without_secrets(void **state)
{
	struct probe *probe = *state;
	const char *text;

	assert_key(probe, "ASIA0");
	assert_int_equal(fake_events(probe->world, LAB_EV_fs_auth_request_finished, &text), 1);
	assert_non_null(strstr(text, "auth_role=s3/access"));
	assert_non_null(strstr(text, "attempts=2"));
	assert_non_null(strstr(text, "status_code=200"));
	advance(probe, 7 * HOUR);
	probe->fail_count = UINT32_MAX;
	probe->fail_status = 500;
	get(probe);
	assert_int_equal(fake_events(probe->world, LAB_EV_fs_auth_request_finished, &text), 2);
	assert_non_null(strstr(text, "status_code=500"));
	assert_false(fake_events_mention(probe->world, "HIDDEN"));
	assert_false(fake_events_mention(probe->world, "TOKEN"));
	assert_false(fake_events_mention(probe->world, "session-"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fixed_credentials_are_what_they_are),
		TEST(a_lookup_is_a_put_and_a_get),
		TEST(credentials_are_kept_until_five_minutes_before_they_expire),
		TEST(the_session_is_kept_for_its_time),
		TEST(a_shorter_ttl_of_the_answer_counts),
		TEST(old_credentials_serve_while_there_are_no_new_ones),
		TEST(old_credentials_serve_while_imds_fails_until_they_expire),
		TEST(failures_are_tried_again_as_often_as_configured),
		TEST(a_hanging_imds_costs_its_timeout_for_each_try),
		TEST(an_unknown_session_is_replaced_once),
		TEST(a_401_that_stays_is_an_error_and_no_step_down),
		TEST(a_role_that_is_not_there_is_denied),
		TEST(bad_answers_of_imds_are_unavailable),
		TEST(what_is_no_token_is_not_used),
		TEST(concurrent_callers_share_one_lookup),
		TEST(concurrent_callers_share_a_failure),
		TEST(refused_credentials_are_looked_up_again),
		TEST(refusing_fresh_credentials_makes_no_storm),
		TEST(fresh_credentials_that_were_refused_are_not_used_later),
		TEST(refused_credentials_are_not_used_while_imds_fails),
		TEST(what_one_host_looked_up_others_take),
		TEST(what_the_storage_refused_is_not_taken_again),
		TEST(what_others_know_and_the_storage_refuses_is_asked_of_imds_at_once),
		TEST(the_cache_is_what_is_left_while_imds_fails),
		TEST(a_cache_that_is_of_no_use_costs_a_lookup),
		TEST(each_lookup_is_an_event_without_secrets),
	};

	return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The retry ladder in virtual time: how often, when, and what the outcome is called.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/base/defect.h"
#include "core/http/http-client.h"
#include "core/http/testing/fake-world.h"

/* One request, what it was told, and what came of it. */
struct probe {
	struct fake_world *world;
	struct http_policy policy;
	struct http_client *client; /* made by the first request */
	enum http_action action;
	struct lab_http_request request;
	const char *reason;
	size_t response_max_bytes;
	bool can_renew, inspects, reads_code;

	unsigned signs, renewals;
	int sign_fails_at; /* n-th sign, from 1; 0: never */
	uint64_t sign_takes_ns;
	unsigned altered_answers; /* so many of the first answers are not what they say */
	bool was_uncertain;

	int result;
	struct lab_http_response response;
	struct lab_error err;
	uint64_t took_ns;
};

static int probe_setup(void **state)
{
	static struct probe probe;

	memset(&probe, 0, sizeof(probe));
	lab_defects_on = LAB_NO_DEFECTS;
	probe.world = fake_world_new();
	http_policy_init(&probe.policy);
	probe.request = (struct lab_http_request){ .method = LAB_VIEW("PUT"),
		.tls = true,
		.authority = LAB_VIEW("bucket.s3.example.com"),
		.target = LAB_VIEW("/user/1"),
		.body = LAB_VIEW("contents") };
	probe.action = HTTP_WRITE;
	probe.response_max_bytes = 65536;
	probe.reads_code = true;
	*state = &probe;
	return 0;
}

static int probe_teardown(void **state)
{
	struct probe *probe = *state;

	http_client_free(&probe->client);
	fake_world_free(&probe->world);
	return 0;
}

static int probe_sign(
	void *ctx, struct lab_http_request *request, struct lab_arena *arena, struct lab_error *err)
{
	struct probe *probe = ctx;

	if (probe->sign_takes_ns > 0)
		env_sleep(&probe->world->env, probe->sign_takes_ns);
	if (++probe->signs == (unsigned)probe->sign_fails_at)
		return lab_fail(err, LAB_UNAVAILABLE, "no credentials");
	return lab_http_header_add(&request->headers, LAB_VIEW("Signature"),
		lab_view_cstr(lab_arena_printf(arena, "%u at %" PRIu64, probe->signs,
			env_now(&probe->world->env) / LAB_MSEC)));
}

static void probe_renew(void *ctx)
{
	((struct probe *)ctx)->renewals++;
}

/* The body of an error is its code here. */
static struct lab_view probe_error_code(
	void *ctx, const struct lab_http_response *response, struct lab_arena *arena)
{
	(void)ctx;
	(void)arena;
	return response->body;
}

static unsigned probe_inspect(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why)
{
	struct probe *probe = ctx;

	(void)arena;
	if (probe->altered_answers > 0) {
		probe->altered_answers--;
		*why = "MD5 differs";
		return HTTP_STATUS_ALTERED;
	}
	if (lab_view_eq_cstr(response->body, "SlowDown"))
		return 503;
	return response->status;
}

static void probe_request(void *ctx)
{
	struct probe *probe = ctx;
	struct http_call call = {
		.action = probe->action,
		.request = &probe->request,
		.response_max_bytes = probe->response_max_bytes,
		.reason = probe->reason,
		.ctx = probe,
		.sign = probe_sign,
		.renew = probe->can_renew ? probe_renew : NULL,
		.error_code = probe->reads_code ? probe_error_code : NULL,
		.inspect = probe->inspects ? probe_inspect : NULL,
		.ret_uncertain = &probe->was_uncertain,
	};
	struct lab_error err;
	uint64_t started_ns = env_now(&probe->world->env);

	if (probe->client == NULL &&
		http_client_new(&probe->world->env, &probe->policy, &probe->client, &err) < 0)
		lab_bug("a policy of a test is refused");
	probe->result = http_client_request(
		probe->client, &call, probe->world->arena, &probe->response, &probe->err);
	probe->took_ns = env_now(&probe->world->env) - started_ns;
}

static int run(struct probe *probe)
{
	fake_run(probe->world, probe_request, probe);
	return probe->result;
}

static void many(struct probe *probe, size_t count, unsigned status, const char *code)
{
	for (size_t i = 0; i < count; i++)
		fake_body(probe->world, status, NULL, code);
}

/* Milliseconds between the n-th and the next attempt. */
static uint64_t gap_ms(const struct probe *probe, size_t n)
{
	return (probe->world->requests[n + 1].at_ns - probe->world->requests[n].at_ns) / LAB_MSEC;
}

static void assert_failed(const struct probe *probe, enum lab_code code, size_t attempts)
{
	assert_int_equal(probe->result, -1);
	if (probe->err.code != code)
		fail_msg("%s: %s", lab_code_name(probe->err.code), probe->err.message);
	assert_int_equal(probe->world->request_count, attempts);
}

/* ---- the ladder ---- */

static void an_answer_is_passed_on(void **state)
{
	struct probe *probe = *state;

	fake_body(probe->world, 200, "ETag: \"x\"", "hello");
	assert_int_equal(run(probe), 0);
	assert_int_equal(probe->response.status, 200);
	assert_true(lab_view_eq_cstr(probe->response.body, "hello"));
	assert_true(
		lab_view_eq_cstr(lab_http_header_get(&probe->response.headers, "etag"), "\"x\""));
	assert_int_equal(probe->world->request_count, 1);
	assert_int_equal(probe->took_ns, 0);
}

static void slow_down_is_retried_after_50_500_5000_10000_ms(void **state)
{
	struct probe *probe = *state;

	many(probe, 5, 503, "SlowDown");
	run(probe);
	assert_failed(probe, LAB_THROTTLED, 5);
	assert_int_equal(gap_ms(probe, 0), 50);
	assert_int_equal(gap_ms(probe, 1), 500);
	assert_int_equal(gap_ms(probe, 2), 5000);
	assert_int_equal(gap_ms(probe, 3), 10000);
	assert_int_equal(probe->took_ns, 15550 * LAB_MSEC);
	assert_int_equal(probe->err.status, 503);
	assert_true(probe->err.retryable);
}

static void a_retry_may_succeed(void **state)
{
	struct probe *probe = *state;

	many(probe, 2, 503, "SlowDown");
	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
	assert_int_equal(probe->world->request_count, 3);
	assert_int_equal(probe->took_ns, 550 * LAB_MSEC);
}

static void max_retries_counts_for_each_class(void **state)
{
	struct probe *probe = *state;
	static const unsigned retries[HTTP_ACTION_COUNT] = { 0, 1, 6 };

	memcpy(probe->policy.max_retries, retries, sizeof(retries));
	many(probe, 1 + 2 + 7, 503, "SlowDown");
	for (unsigned action = 0; action < HTTP_ACTION_COUNT; action++) {
		size_t before = probe->world->request_count;

		probe->action = (enum http_action)action;
		run(probe);
		assert_int_equal(probe->err.code, LAB_THROTTLED);
		assert_int_equal(probe->world->request_count - before, retries[action] + 1);
	}
	/* Past the fourth wait it stays at ten seconds. */
	assert_int_equal(gap_ms(probe, 7), 10000);
	assert_int_equal(gap_ms(probe, 8), 10000);
}

static void other_4xx_are_not_retried(void **state)
{
	struct probe *probe = *state;

	fake_body(probe->world, 400, NULL, "InvalidArgument");
	run(probe);
	assert_failed(probe, LAB_INVALID, 1);
}

static void statuses_409_423_429_are_retried_only_if_listed(void **state)
{
	static const unsigned statuses[] = { 409, 423, 429 };
	struct probe *probe = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(statuses); i++) {
		size_t before = probe->world->request_count;

		fake_status(probe->world, statuses[i]);
		assert_int_equal(run(probe), -1);
		assert_int_equal(probe->world->request_count - before, 1);
	}
	http_client_free(&probe->client);
	memcpy(probe->policy.retry_statuses, statuses, sizeof(statuses));
	for (size_t i = 0; i < LAB_COUNT_OF(statuses); i++) {
		fake_status(probe->world, statuses[i]);
		fake_status(probe->world, 200);
		assert_int_equal(run(probe), 0);
	}
}

static void the_defect_gives_up_at_the_first_503(void **state)
{
	struct probe *probe = *state;

	lab_defects_on = LAB_DEFECT(NO_RETRY_503);
	many(probe, 1, 503, "SlowDown");
	run(probe);
	assert_failed(probe, LAB_THROTTLED, 1);
	/* Other 5xx are still retried. */
	many(probe, 1, 500, "InternalError");
	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
}

static void each_attempt_is_signed_anew(void **state)
{
	struct probe *probe = *state;

	many(probe, 1, 503, "SlowDown");
	fake_status(probe->world, 200);
	run(probe);
	assert_true(lab_view_eq_cstr(fake_header(probe->world, 0, "Signature"), "1 at 0"));
	assert_true(lab_view_eq_cstr(fake_header(probe->world, 1, "Signature"), "2 at 50"));
	assert_int_equal(probe->world->requests[1].request.headers.count,
		probe->world->requests[0].request.headers.count);
}

/* ---- certain or not ---- */

static void a_write_without_an_answer_is_uncertain(void **state)
{
	struct probe *probe = *state;

	for (int i = 0; i < 5; i++)
		fake_fail(probe->world, LAB_UNCERTAIN, 0);
	run(probe);
	assert_failed(probe, LAB_UNCERTAIN, 5);
	assert_non_null(strstr(probe->err.message, "connection lost after sending"));
	assert_int_equal(probe->took_ns, 15550 * LAB_MSEC);
}

static void a_read_without_an_answer_is_only_unavailable(void **state)
{
	struct probe *probe = *state;

	probe->action = HTTP_READ;
	for (int i = 0; i < 5; i++)
		fake_fail(probe->world, LAB_UNCERTAIN, 0);
	run(probe);
	assert_failed(probe, LAB_UNAVAILABLE, 5);
}

static void exists_is_an_answer_to_a_condition_only(void **state)
{
	struct probe *probe = *state;

	fake_status(probe->world, 412);
	run(probe);
	assert_failed(probe, LAB_INVALID, 1);
	lab_http_header_add(&probe->request.headers, LAB_VIEW("If-None-Match"), LAB_VIEW("*"));
	fake_status(probe->world, 412);
	run(probe);
	assert_failed(probe, LAB_EXISTS, 2);
}

/* The last attempt's certain error says nothing about the first one. */
static void a_write_stays_uncertain_after_a_certain_end(void **state)
{
	static const struct {
		unsigned first, last;
		const char *last_code;
	} cases[] = { { 500, 403, "AccessDenied" }, { 502, 404, "NoSuchBucket" },
		{ 504, 400, "InvalidArgument" }, { 0, 412, "" }, { 408, 403, "AccessDenied" } };
	struct probe *probe = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		if (cases[i].first == 0)
			fake_fail(probe->world, LAB_UNCERTAIN, 0);
		else
			fake_status(probe->world, cases[i].first);
		fake_body(probe->world, cases[i].last, NULL, cases[i].last_code);
		assert_int_equal(run(probe), -1);
		if (probe->err.code != LAB_UNCERTAIN)
			fail_msg("case %zu: %s", i, lab_code_name(probe->err.code));
		assert_int_equal(probe->err.status, cases[i].last);
	}
}

/* Whoever sends many changes at once gets an answer for each, of the last attempt. */
static void attempts_before_a_good_answer_are_told_of(void **state)
{
	struct probe *probe = *state;
	const unsigned first[] = { 0, 500, 408 };

	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
	assert_false(probe->was_uncertain);
	many(probe, 1, 503, "SlowDown");
	fake_fail(probe->world, LAB_REFUSED, 0);
	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
	assert_false(probe->was_uncertain);
	for (size_t i = 0; i < LAB_COUNT_OF(first); i++) {
		if (first[i] == 0)
			fake_fail(probe->world, LAB_UNCERTAIN, 0);
		else
			fake_status(probe->world, first[i]);
		fake_status(probe->world, 200);
		assert_int_equal(run(probe), 0);
		assert_true(probe->was_uncertain);
	}
	probe->inspects = true;
	probe->altered_answers = 1;
	many(probe, 2, 200, "");
	assert_int_equal(run(probe), 0);
	assert_true(probe->was_uncertain);
	/* Reads change nothing. */
	probe->action = HTTP_READ;
	fake_fail(probe->world, LAB_UNCERTAIN, 0);
	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
	assert_false(probe->was_uncertain);
}

static void a_write_refused_before_it_began_fails_certainly(void **state)
{
	struct probe *probe = *state;

	many(probe, 1, 503, "SlowDown");
	many(probe, 1, 503, "ServiceUnavailable");
	fake_body(probe->world, 403, NULL, "AccessDenied");
	run(probe);
	assert_failed(probe, LAB_DENIED, 3);
}

static void a_503_that_is_not_the_storage_s_is_uncertain(void **state)
{
	struct probe *probe = *state;

	probe->reads_code = false;
	many(probe, 5, 503, "SlowDown");
	run(probe);
	assert_failed(probe, LAB_UNCERTAIN, 5);
}

static void a_write_that_succeeds_at_last_is_ok(void **state)
{
	struct probe *probe = *state;

	fake_fail(probe->world, LAB_UNCERTAIN, 0);
	fake_status(probe->world, 500);
	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
}

static void a_delete_that_our_own_retry_finds_gone_is_ok(void **state)
{
	struct probe *probe = *state;

	probe->action = HTTP_DELETE;
	fake_fail(probe->world, LAB_UNCERTAIN, 0);
	fake_body(probe->world, 404, NULL, "NoSuchKey");
	assert_int_equal(run(probe), 0);
	assert_int_equal(probe->response.status, 404);

	/* But not when no earlier attempt can have deleted it. */
	many(probe, 1, 503, "SlowDown");
	fake_body(probe->world, 404, NULL, "NoSuchKey");
	assert_int_equal(run(probe), -1);
	assert_int_equal(probe->err.code, LAB_NOT_FOUND);
	/* And a missing bucket proves nothing. */
	fake_status(probe->world, 500);
	fake_body(probe->world, 404, NULL, "NoSuchBucket");
	assert_int_equal(run(probe), -1);
	assert_int_equal(probe->err.code, LAB_UNCERTAIN);
}

static void an_altered_answer_is_retried(void **state)
{
	struct probe *probe = *state;

	probe->inspects = true;
	probe->altered_answers = 1;
	many(probe, 2, 200, "");
	assert_int_equal(run(probe), 0);
	assert_int_equal(probe->world->request_count, 2);
	assert_int_equal(gap_ms(probe, 0), 50);

	probe->altered_answers = 5;
	many(probe, 5, 200, "");
	assert_int_equal(run(probe), -1);
	assert_int_equal(probe->err.code, LAB_UNCERTAIN);
	assert_non_null(strstr(probe->err.message, "MD5 differs"));

	probe->action = HTTP_READ;
	probe->altered_answers = 5;
	many(probe, 5, 200, "");
	assert_int_equal(run(probe), -1);
	assert_int_equal(probe->err.code, LAB_CORRUPT);
}

static void an_error_inside_a_200_counts_as_what_it_is(void **state)
{
	struct probe *probe = *state;

	probe->inspects = true;
	many(probe, 5, 200, "SlowDown");
	run(probe);
	assert_failed(probe, LAB_THROTTLED, 5);
}

static void an_answer_that_is_too_long_is_not_asked_for_again(void **state)
{
	struct probe *probe = *state;

	probe->response_max_bytes = 4;
	probe->action = HTTP_READ;
	many(probe, 1, 200, "12345");
	run(probe);
	assert_failed(probe, LAB_LIMIT, 1);
	probe->action = HTTP_WRITE;
	many(probe, 1, 200, "12345");
	run(probe);
	assert_failed(probe, LAB_UNCERTAIN, 2);
}

static void garbage_instead_of_http_is_retried(void **state)
{
	struct probe *probe = *state;

	fake_fail(probe->world, LAB_CORRUPT, 0);
	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
	probe->policy.max_retries[HTTP_WRITE] = 0;
	http_client_free(&probe->client);
	fake_fail(probe->world, LAB_CORRUPT, 0);
	assert_int_equal(run(probe), -1);
	assert_int_equal(probe->err.code, LAB_UNCERTAIN);
}

/* ---- connecting ---- */

static void connects_have_their_own_retries(void **state)
{
	struct probe *probe = *state;

	for (int i = 0; i < 3; i++)
		fake_fail(probe->world, i == 1 ? LAB_TIMEOUT : LAB_REFUSED, 0);
	run(probe);
	assert_failed(probe, LAB_REFUSED, 3);
	assert_int_equal(gap_ms(probe, 0), 100);
	assert_int_equal(gap_ms(probe, 1), 200);
	assert_true(probe->err.retryable);
}

static void connect_waits_double_up_to_a_second(void **state)
{
	struct probe *probe = *state;

	probe->policy.max_connect_retries = 6;
	for (int i = 0; i < 6; i++)
		fake_fail(probe->world, LAB_REFUSED, 0);
	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
	assert_int_equal(gap_ms(probe, 2), 400);
	assert_int_equal(gap_ms(probe, 3), 800);
	assert_int_equal(gap_ms(probe, 4), 1000);
	assert_int_equal(gap_ms(probe, 5), 1000);
}

static void failed_connects_do_not_use_up_the_ladder(void **state)
{
	struct probe *probe = *state;

	fake_fail(probe->world, LAB_REFUSED, 0);
	many(probe, 4, 503, "SlowDown");
	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
	assert_int_equal(probe->world->request_count, 6);
}

static void a_write_lost_before_the_connection_failed_is_uncertain(void **state)
{
	struct probe *probe = *state;

	fake_fail(probe->world, LAB_UNCERTAIN, 0);
	for (int i = 0; i < 3; i++)
		fake_fail(probe->world, LAB_REFUSED, 0);
	run(probe);
	assert_failed(probe, LAB_UNCERTAIN, 4);
}

static void a_host_that_is_not_there_is_not_a_missing_object(void **state)
{
	struct probe *probe = *state;

	probe->action = HTTP_DELETE;
	fake_fail(probe->world, LAB_UNCERTAIN, 0);
	for (int i = 0; i < 3; i++)
		fake_fail(probe->world, LAB_NOT_FOUND, 0);
	run(probe);
	assert_failed(probe, LAB_UNCERTAIN, 4);
	for (int i = 0; i < 3; i++)
		fake_fail(probe->world, LAB_NOT_FOUND, 0);
	run(probe);
	assert_failed(probe, LAB_UNAVAILABLE, 7);
}

static void a_request_that_cannot_be_sent_fails_certainly_and_at_once(void **state)
{
	static const enum lab_code codes[] = { LAB_DENIED, LAB_INVALID, LAB_LIMIT };
	struct probe *probe = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(codes); i++) {
		fake_fail(probe->world, codes[i], 0);
		run(probe);
		assert_failed(probe, codes[i], i + 1);
	}
}

static void a_new_connection_is_used_after_a_lost_one(void **state)
{
	struct probe *probe = *state;

	fake_fail(probe->world, LAB_UNCERTAIN, 0);
	many(probe, 1, 503, "SlowDown");
	fake_status(probe->world, 200);
	run(probe);
	assert_false(probe->world->requests[0].limits.fresh_connection);
	assert_true(probe->world->requests[1].limits.fresh_connection);
	assert_false(probe->world->requests[2].limits.fresh_connection);
}

/* ---- timeouts ---- */

static void each_class_has_its_timeout(void **state)
{
	struct probe *probe = *state;

	probe->policy.connect_timeout_ns = 7 * LAB_SEC;
	for (unsigned action = 0; action < HTTP_ACTION_COUNT; action++)
		probe->policy.timeout_ns[action] = (action + 1) * LAB_SEC;
	for (unsigned action = 0; action < HTTP_ACTION_COUNT; action++) {
		probe->action = (enum http_action)action;
		fake_status(probe->world, 200);
		run(probe);
		assert_int_equal(
			probe->world->requests[action].limits.connect_timeout_ns, 7 * LAB_SEC);
		assert_int_equal(probe->world->requests[action].limits.response_timeout_ns,
			(action + 1) * LAB_SEC);
		assert_int_equal(probe->world->requests[action].limits.deadline_ns, 0);
	}
}

static void a_response_that_takes_longer_than_timeout_is_retried(void **state)
{
	struct probe *probe = *state;

	fake_reply(probe->world, (struct fake_reply){ .status = 200, .delay_ns = 11 * LAB_SEC });
	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
	assert_int_equal(probe->took_ns, 10 * LAB_SEC + 50 * LAB_MSEC);
}

static void absolute_timeout_forbids_further_retries(void **state)
{
	struct probe *probe = *state;

	/* 50 + 500 ms fit, the wait of 5 s does not. */
	probe->policy.absolute_timeout_ns = 3 * LAB_SEC;
	many(probe, 5, 503, "SlowDown");
	run(probe);
	assert_failed(probe, LAB_THROTTLED, 3);
	assert_int_equal(probe->took_ns, 550 * LAB_MSEC);
}

static void absolute_timeout_overrides_longer_timeouts(void **state)
{
	struct probe *probe = *state;

	probe->policy.absolute_timeout_ns = 2 * LAB_SEC;
	fake_reply(probe->world, (struct fake_reply){ .status = 200, .delay_ns = 5 * LAB_SEC });
	run(probe);
	assert_failed(probe, LAB_UNCERTAIN, 1);
	assert_int_equal(probe->took_ns, 2 * LAB_SEC);
	assert_int_equal(probe->world->requests[0].limits.response_timeout_ns, 2 * LAB_SEC);
	assert_int_equal(probe->world->requests[0].limits.connect_timeout_ns, 2 * LAB_SEC);
	assert_int_equal(probe->world->requests[0].limits.deadline_ns, 2 * LAB_SEC);
}

static void absolute_timeout_shrinks_the_later_attempts(void **state)
{
	struct probe *probe = *state;

	probe->policy.absolute_timeout_ns = 2 * LAB_SEC;
	fake_reply(probe->world,
		(struct fake_reply){
			.status = 503, .delay_ns = LAB_SEC, .body = LAB_VIEW("SlowDown") });
	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
	assert_int_equal(probe->world->requests[1].limits.response_timeout_ns, 950 * LAB_MSEC);
}

static void absolute_timeout_counts_the_wait_for_credentials(void **state)
{
	struct probe *probe = *state;

	probe->policy.absolute_timeout_ns = 2 * LAB_SEC;
	probe->sign_takes_ns = 3 * LAB_SEC;
	run(probe);
	assert_failed(probe, LAB_TIMEOUT, 0);
	assert_non_null(strstr(probe->err.message, "Absolute request timeout expired"));
}

/* ---- credentials ---- */

static void refused_credentials_are_renewed_once_and_at_once(void **state)
{
	struct probe *probe = *state;

	probe->can_renew = true;
	fake_body(probe->world, 400, NULL, "ExpiredToken");
	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
	assert_int_equal(probe->renewals, 1);
	assert_int_equal(probe->took_ns, 0);

	many(probe, 2, 403, "InvalidAccessKeyId");
	assert_int_equal(run(probe), -1);
	assert_int_equal(probe->err.code, LAB_DENIED);
	assert_int_equal(probe->renewals, 2);
	assert_int_equal(probe->world->request_count, 4);
}

static void renewing_does_not_use_up_a_retry(void **state)
{
	struct probe *probe = *state;

	probe->can_renew = true;
	fake_body(probe->world, 403, NULL, "ExpiredToken");
	many(probe, 4, 503, "SlowDown");
	fake_status(probe->world, 200);
	assert_int_equal(run(probe), 0);
}

static void fixed_credentials_are_not_tried_again(void **state)
{
	struct probe *probe = *state;

	many(probe, 1, 403, "InvalidAccessKeyId");
	run(probe);
	assert_failed(probe, LAB_DENIED, 1);
}

static void failing_to_sign_fails_certainly_if_nothing_was_sent(void **state)
{
	struct probe *probe = *state;

	probe->sign_fails_at = 1;
	run(probe);
	assert_failed(probe, LAB_UNAVAILABLE, 0);
	assert_non_null(strstr(probe->err.message, "no credentials"));
	assert_int_equal(probe->response.status, 0);

	/* But not after an attempt whose answer was lost. */
	probe->sign_fails_at = 3;
	fake_fail(probe->world, LAB_UNCERTAIN, 0);
	run(probe);
	assert_failed(probe, LAB_UNCERTAIN, 1);
}

/* ---- headers ---- */

static void trace_headers_say_who_and_why(void **state)
{
	struct probe *probe = *state;

	probe->policy.username = LAB_VIEW("user@example.com");
	probe->policy.session_id = LAB_VIEW("abc/1");
	probe->policy.reason_header_max_length = 12;
	probe->reason = "mailbox\nrescan, and more";
	fake_status(probe->world, 200);
	run(probe);
	assert_true(lab_view_eq_cstr(
		fake_header(probe->world, 0, "X-Dovecot-Username"), "user@example.com"));
	assert_true(
		lab_view_eq_cstr(fake_header(probe->world, 0, "X-Dovecot-Session-Id"), "abc/1"));
	assert_true(
		lab_view_eq_cstr(fake_header(probe->world, 0, "X-Dovecot-Reason"), "mailbox?resc"));
	assert_true(lab_view_eq_cstr(fake_header(probe->world, 0, "User-Agent"), "oboxlab"));
}

static void trace_headers_can_be_turned_off(void **state)
{
	struct probe *probe = *state;

	probe->policy.username = LAB_VIEW("user@example.com");
	probe->policy.session_id = LAB_VIEW("abc/1");
	probe->policy.trace_headers = false;
	probe->reason = "mailbox rescan";
	fake_status(probe->world, 200);
	run(probe);
	assert_null(fake_header(probe->world, 0, "X-Dovecot-Username").ptr);
	assert_null(fake_header(probe->world, 0, "X-Dovecot-Session-Id").ptr);
	/* Its default length is 0. */
	assert_null(fake_header(probe->world, 0, "X-Dovecot-Reason").ptr);
}

static void configured_headers_are_added(void **state)
{
	struct probe *probe = *state;

	probe->policy.add_headers[0] = (struct lab_http_header){ LAB_VIEW("X-One"), LAB_VIEW("1") };
	probe->policy.add_headers[1] =
		(struct lab_http_header){ LAB_VIEW("X-Two"), LAB_VIEW("2 3") };
	probe->policy.add_header_count = 2;
	fake_status(probe->world, 200);
	run(probe);
	assert_true(lab_view_eq_cstr(fake_header(probe->world, 0, "X-One"), "1"));
	assert_true(lab_view_eq_cstr(fake_header(probe->world, 0, "X-Two"), "2 3"));
}

static void headers_that_would_break_a_request_are_refused(void **state)
{
	static const struct lab_http_header bad[] = {
		{ { (const uint8_t *)"X A", 3 }, { (const uint8_t *)"1", 1 } },
		{ { (const uint8_t *)"", 0 }, { (const uint8_t *)"1", 1 } },
		{ { (const uint8_t *)"X:A", 3 }, { (const uint8_t *)"1", 1 } },
		{ { (const uint8_t *)"X\0", 2 }, { (const uint8_t *)"1", 1 } },
		{ { (const uint8_t *)"X", 1 }, { (const uint8_t *)"1\r\nY: 2", 7 } },
	};
	struct probe *probe = *state;
	struct http_client *client = NULL;
	struct http_policy policy;
	struct lab_error err;

	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++) {
		policy = probe->policy;
		policy.add_headers[0] = bad[i];
		policy.add_header_count = 1;
		assert_int_equal(http_client_new(&probe->world->env, &policy, &client, &err), -1);
		assert_int_equal(err.code, LAB_INVALID);
	}
	policy = probe->policy;
	policy.log_headers[0] = LAB_VIEW("a b");
	policy.log_header_count = 1;
	assert_int_equal(http_client_new(&probe->world->env, &policy, &client, &err), -1);
	policy = probe->policy;
	policy.username = LAB_VIEW("u\r\nX-Evil: 1");
	assert_int_equal(http_client_new(&probe->world->env, &policy, &client, &err), -1);
	policy = probe->policy;
	policy.max_parallel_connections = 0;
	assert_int_equal(http_client_new(&probe->world->env, &policy, &client, &err), -1);
	assert_null(client);
}

static void too_many_headers_are_an_error(void **state)
{
	struct probe *probe = *state;

	while (probe->request.headers.count < LAB_HTTP_HEADERS_MAX)
		lab_http_header_add(&probe->request.headers, LAB_VIEW("a"), LAB_VIEW("b"));
	run(probe);
	assert_failed(probe, LAB_LIMIT, 0);
}

/* ---- messages and events ---- */

static void log_headers(struct probe *probe)
{
	probe->policy.log_headers[0] = LAB_VIEW("x-amz-request-id");
	probe->policy.log_headers[1] = LAB_VIEW("x-amz-id-2");
	probe->policy.log_headers[2] = LAB_VIEW("X-Odd");
	probe->policy.log_header_count = 3;
}

static void errors_have_dovecot_s_line_with_the_logged_headers(void **state)
{
	struct probe *probe = *state;

	log_headers(probe);
	probe->policy.max_retries[HTTP_WRITE] = 0;
	fake_reply(probe->world,
		(struct fake_reply){ .status = 503,
			.reason = "Slow Down",
			.delay_ns = 63 * LAB_MSEC,
			.headers = "x-amz-request-id: AABB\nx-amz-id-2: DeadBeef=\nOther: no",
			.body = LAB_VIEW("SlowDown") });
	run(probe);
	assert_string_equal(probe->err.message,
		"Got 503 response for request [Req1: PUT https://bucket.s3.example.com/user/1]: "
		"Slow Down: SlowDown (x-amz-request-id:AABB, x-amz-id-2:DeadBeef=) "
		"(took 63 ms + 0 ms in queue)");
}

static void long_urls_are_cut_in_the_middle_so_that_the_ids_stay(void **state)
{
	struct probe *probe = *state;

	log_headers(probe);
	probe->request.target = LAB_VIEW(
		"/prefix/user@example.com/mailboxes/0123456789abcdef0123456789abcdef/"
		"fedcba9876543210fedcba9876543210/some-more/levels/of/directories/here/THE-END");
	fake_body(probe->world, 403,
		"x-amz-request-id: AABBCC22BB779886\n"
		"x-amz-id-2: DeadBeefanXBapRucWGAD1aWwYMfwmXydlI0mHSuh4ic=",
		"AccessDenied");
	run(probe);
	assert_non_null(strstr(probe->err.message, "https://bucket"));
	assert_non_null(strstr(probe->err.message, "..."));
	assert_non_null(strstr(probe->err.message, "THE-END]"));
	assert_non_null(strstr(probe->err.message, "x-amz-request-id:AABBCC22BB779886"));
	assert_non_null(strstr(probe->err.message, "ms in queue)"));
	assert_true(strlen(probe->err.message) < 239);
}

static void events_have_dovecot_s_fields(void **state)
{
	struct probe *probe = *state;
	const char *text;

	log_headers(probe);
	probe->policy.username = LAB_VIEW("timo");
	probe->policy.session_id = LAB_VIEW("s1");
	fake_body(probe->world, 503, "x-amz-request-id: R1", "SlowDown");
	fake_body(probe->world, 200, "x-amz-request-id: R2\nx-odd: O", "");
	run(probe);

	assert_int_equal(fake_events(probe->world, LAB_EV_http_request_retried, &text), 1);
	assert_non_null(strstr(text, "status_code=503"));
	assert_non_null(strstr(text, "http_hdr_x-amz-request-id=R1"));
	assert_int_equal(fake_events(probe->world, LAB_EV_http_request_finished, &text), 1);
	assert_non_null(strstr(text, "method=PUT"));
	assert_non_null(strstr(text, "status_code=200"));
	assert_non_null(strstr(text, "target=/user/1"));
	assert_non_null(strstr(text, "dest_host=bucket.s3.example.com"));
	assert_non_null(strstr(text, "attempts=2"));
	assert_non_null(strstr(text, "user=timo"));
	assert_non_null(strstr(text, "session=s1"));
	assert_non_null(strstr(text, "http_hdr_x-amz-request-id=R2"));
	assert_non_null(strstr(text, "X-Odd:O"));
	assert_int_equal(fake_events(probe->world, LAB_EV_http_request_slow, &text), 0);
}

/* Whatever is said about a request: errors, retries, redirects, warnings. */
static void every_line_has_the_logged_headers(void **state)
{
	static const enum lab_event_id ids[] = { LAB_EV_http_request_redirected,
		LAB_EV_http_request_retried, LAB_EV_http_request_slow,
		LAB_EV_http_request_finished };
	struct probe *probe = *state;

	log_headers(probe);
	probe->policy.max_retries[HTTP_WRITE] = 1;
	fake_body(probe->world, 307, "Location: https://other.example.com/\nx-amz-request-id: R0",
		"");
	fake_body(probe->world, 503, "x-amz-request-id: R1", "SlowDown");
	fake_reply(probe->world, (struct fake_reply){ .status = 503,
					 .delay_ns = 6 * LAB_SEC,
					 .headers = "x-amz-request-id: R2",
					 .body = LAB_VIEW("SlowDown") });
	run(probe);
	assert_failed(probe, LAB_THROTTLED, 3);
	assert_non_null(strstr(probe->err.message, "(x-amz-request-id:R2)"));
	for (size_t i = 0; i < LAB_COUNT_OF(ids); i++) {
		char field[32], line[32];
		const char *text;

		assert_int_equal(fake_events(probe->world, ids[i], &text), 1);
		snprintf(field, sizeof(field), "request-id=R%zu", LAB_MIN(i, 2));
		snprintf(line, sizeof(line), "(x-amz-request-id:R%zu)", LAB_MIN(i, 2));
		if (strstr(text, field) == NULL || strstr(text, line) == NULL)
			fail_msg("%s", text);
	}
}

static void slow_requests_are_warned_about(void **state)
{
	struct probe *probe = *state;
	const char *text;

	probe->policy.slow_warn_ns = 2 * LAB_SEC;
	fake_reply(probe->world, (struct fake_reply){ .status = 200, .delay_ns = 2 * LAB_SEC });
	run(probe);
	assert_int_equal(fake_events(probe->world, LAB_EV_http_request_slow, &text), 0);
	fake_reply(probe->world, (struct fake_reply){ .status = 200, .delay_ns = 2 * LAB_SEC + 1 });
	run(probe);
	assert_int_equal(fake_events(probe->world, LAB_EV_http_request_slow, &text), 1);
	assert_non_null(strstr(text, "took 2000 ms"));

	http_client_free(&probe->client);
	probe->policy.slow_warn_ns = 0;
	fake_reply(probe->world, (struct fake_reply){ .status = 200, .delay_ns = 9 * LAB_SEC });
	run(probe);
	assert_int_equal(fake_events(probe->world, LAB_EV_http_request_slow, &text), 1);
}

static void injected_faults_are_named(void **state)
{
	struct probe *probe = *state;

	probe->policy.max_retries[HTTP_WRITE] = 0;
	fake_reply(probe->world, (struct fake_reply){ .failure = LAB_UNCERTAIN, .fault_id = 42 });
	run(probe);
	assert_int_equal(probe->err.fault_id, 42);
}

/* ---- parallel requests ---- */

static void slow_answer(
	struct fake_world *world, const struct lab_http_request *request, struct fake_reply *ret)
{
	(void)world;
	(void)request;
	*ret = (struct fake_reply){ .status = 200, .delay_ns = LAB_SEC };
}

static void parallel_one(void *ctx, size_t index)
{
	struct probe *probe = (struct probe *)ctx + index;

	probe_request(probe);
}

static void parallel_all(void *ctx)
{
	struct probe *probes = ctx;

	env_for_each(&probes->world->env, 6, 6, parallel_one, probes);
}

static void at_most_max_parallel_connections_are_used(void **state)
{
	struct probe *probe = *state, probes[6];
	const char *text;

	probe->policy.max_parallel_connections = 2;
	probe->world->handler = slow_answer;
	assert_int_equal(
		http_client_new(&probe->world->env, &probe->policy, &probe->client, NULL), 0);
	for (size_t i = 0; i < 6; i++)
		probes[i] = *probe;
	fake_run(probe->world, parallel_all, probes);

	assert_int_equal(probe->world->in_flight_max, 2);
	assert_int_equal(probe->world->now_ns, 3 * LAB_SEC);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(probes[i].result, 0);
		assert_int_equal(probes[i].took_ns, (i / 2 + 1) * LAB_SEC);
	}
	assert_int_equal(fake_events(probe->world, LAB_EV_http_request_finished, &text), 6);
}

static void a_request_may_time_out_in_the_queue(void **state)
{
	struct probe *probe = *state, probes[6];

	probe->policy.max_parallel_connections = 4;
	probe->policy.absolute_timeout_ns = LAB_SEC / 2;
	probe->world->handler = slow_answer;
	assert_int_equal(
		http_client_new(&probe->world->env, &probe->policy, &probe->client, NULL), 0);
	for (size_t i = 0; i < 6; i++)
		probes[i] = *probe;
	fake_run(probe->world, parallel_all, probes);

	/* Those that were sent are uncertain, those that never were are not. */
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(probes[i].err.code, i < 4 ? LAB_UNCERTAIN : LAB_TIMEOUT);
	assert_non_null(strstr(probes[5].err.message, "in queue"));
	assert_non_null(strstr(probes[5].err.message, "+ 500 ms in queue"));
}

/* ---- redirects ---- */

static void fake_location(struct fake_world *world, unsigned status, const char *location)
{
	static char lines[8][256];
	static unsigned next;
	char *line = lines[next++ % 8];

	snprintf(line, sizeof(lines[0]), "Location: %s\n", location);
	fake_body(world, status, line, "");
}

static void a_redirect_is_followed_and_signed_anew(void **state)
{
	struct probe *probe = *state;
	const char *text;

	fake_location(probe->world, 307, "https://other.example.com:8443/x%20y?z#frag");
	fake_location(probe->world, 301, "/there#frag");
	fake_status(probe->world, 200);
	run(probe);
	assert_int_equal(probe->result, 0);
	assert_int_equal(probe->world->request_count, 3);
	assert_true(lab_view_eq_cstr(
		probe->world->requests[1].request.authority, "other.example.com:8443"));
	assert_true(lab_view_eq_cstr(probe->world->requests[1].request.target, "/x%20y?z"));
	assert_true(lab_view_eq_cstr(
		probe->world->requests[2].request.authority, "other.example.com:8443"));
	assert_true(lab_view_eq_cstr(probe->world->requests[2].request.target, "/there"));
	assert_true(lab_view_eq(probe->world->requests[2].request.method,
		probe->world->requests[0].request.method));
	assert_int_equal(probe->world->now_ns, 0);
	assert_int_equal(fake_events(probe->world, LAB_EV_http_request_redirected, &text), 2);
	assert_non_null(strstr(text, "redirects=2"));
}

static void redirects_have_an_end(void **state)
{
	struct probe *probe = *state;

	for (unsigned i = 0; i < 3; i++)
		fake_location(probe->world, 307, "https://other.example.com/");
	run(probe);
	assert_int_equal(probe->world->request_count, 3);
	assert_int_equal(probe->err.code, LAB_UNSUPPORTED);
	assert_int_equal(probe->err.status, 307);
	assert_non_null(strstr(probe->err.message, "Redirected more than 2 times"));
}

static void redirects_that_are_not_followed(void **state)
{
	static const struct {
		unsigned status;
		const char *location, *why;
	} rows[] = {
		{ 307, "http://other.example.com/", "without TLS" },
		{ 307, "//other.example.com/", "Invalid redirect" },
		{ 307, "ftp://other.example.com/", "Invalid redirect" },
		{ 307, "https:///x", "Invalid redirect" },
		{ 307, "https://user@other.example.com/", "Invalid redirect" },
		{ 307, "https://other.example.com/a b", "Invalid redirect" },
		{ 307, "x", "Invalid redirect" },
		{ 307, "#x", "Invalid redirect" },
		{ 303, "https://other.example.com/", "" },
		{ 304, "https://other.example.com/", "" },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct probe *probe = *state;

		fake_location(probe->world, rows[i].status, rows[i].location);
		run(probe);
		assert_failed(probe, LAB_UNSUPPORTED, 1);
		if (strstr(probe->err.message, rows[i].why) == NULL)
			fail_msg("row %zu: %s", i, probe->err.message);
		assert_int_equal(probe_teardown(state), 0);
		assert_int_equal(probe_setup(state), 0);
	}
}

/* Where the second one fails, nothing is forgotten of what the first may have done. */
static void a_redirect_does_not_use_up_the_ladder(void **state)
{
	struct probe *probe = *state;

	fake_location(probe->world, 307, "https://other.example.com/");
	for (unsigned i = 0; i < 5; i++)
		fake_status(probe->world, 503);
	run(probe);
	assert_int_equal(probe->world->request_count, 6);
	assert_int_equal(probe->world->now_ns, 15550 * LAB_MSEC);
	for (size_t i = 1; i < 6; i++)
		assert_true(lab_view_eq_cstr(
			probe->world->requests[i].request.authority, "other.example.com"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, probe_setup, probe_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_is_passed_on),
		TEST(slow_down_is_retried_after_50_500_5000_10000_ms),
		TEST(a_retry_may_succeed),
		TEST(max_retries_counts_for_each_class),
		TEST(other_4xx_are_not_retried),
		TEST(statuses_409_423_429_are_retried_only_if_listed),
		TEST(the_defect_gives_up_at_the_first_503),
		TEST(each_attempt_is_signed_anew),
		TEST(a_write_without_an_answer_is_uncertain),
		TEST(a_read_without_an_answer_is_only_unavailable),
		TEST(a_write_stays_uncertain_after_a_certain_end),
		TEST(exists_is_an_answer_to_a_condition_only),
		TEST(attempts_before_a_good_answer_are_told_of),
		TEST(a_write_refused_before_it_began_fails_certainly),
		TEST(a_503_that_is_not_the_storage_s_is_uncertain),
		TEST(a_write_that_succeeds_at_last_is_ok),
		TEST(a_delete_that_our_own_retry_finds_gone_is_ok),
		TEST(an_altered_answer_is_retried),
		TEST(an_error_inside_a_200_counts_as_what_it_is),
		TEST(an_answer_that_is_too_long_is_not_asked_for_again),
		TEST(garbage_instead_of_http_is_retried),
		TEST(connects_have_their_own_retries),
		TEST(connect_waits_double_up_to_a_second),
		TEST(failed_connects_do_not_use_up_the_ladder),
		TEST(a_write_lost_before_the_connection_failed_is_uncertain),
		TEST(a_host_that_is_not_there_is_not_a_missing_object),
		TEST(a_request_that_cannot_be_sent_fails_certainly_and_at_once),
		TEST(a_new_connection_is_used_after_a_lost_one),
		TEST(each_class_has_its_timeout),
		TEST(a_response_that_takes_longer_than_timeout_is_retried),
		TEST(absolute_timeout_forbids_further_retries),
		TEST(absolute_timeout_overrides_longer_timeouts),
		TEST(absolute_timeout_shrinks_the_later_attempts),
		TEST(absolute_timeout_counts_the_wait_for_credentials),
		TEST(refused_credentials_are_renewed_once_and_at_once),
		TEST(renewing_does_not_use_up_a_retry),
		TEST(fixed_credentials_are_not_tried_again),
		TEST(failing_to_sign_fails_certainly_if_nothing_was_sent),
		TEST(trace_headers_say_who_and_why),
		TEST(trace_headers_can_be_turned_off),
		TEST(configured_headers_are_added),
		TEST(headers_that_would_break_a_request_are_refused),
		TEST(too_many_headers_are_an_error),
		TEST(errors_have_dovecot_s_line_with_the_logged_headers),
		TEST(long_urls_are_cut_in_the_middle_so_that_the_ids_stay),
		TEST(events_have_dovecot_s_fields),
		TEST(every_line_has_the_logged_headers),
		TEST(slow_requests_are_warned_about),
		TEST(injected_faults_are_named),
		TEST(a_redirect_is_followed_and_signed_anew),
		TEST(redirects_have_an_end),
		TEST(redirects_that_are_not_followed),
		TEST(a_redirect_does_not_use_up_the_ladder),
		TEST(at_most_max_parallel_connections_are_used),
		TEST(a_request_may_time_out_in_the_queue),
	};

	return cmocka_run_group_tests_name("http-client", tests, NULL, NULL);
}

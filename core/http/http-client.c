/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/http-client.h"
#include "core/base/mark.h"

#include "core/http/http-private.h"
#include "core/base/defect.h"
#include "core/env/buggify.h"

/* Beside the body of an answer: two copies of a request's headers, texts of the signature. */
#define EARLY_TIMEOUT (20 * LAB_MSEC) /* buggify */
#define SCRATCH_OVERHEAD ((size_t)1024 * 1024)
#define TEXTS_MAX ((size_t)256 * 1024)

void http_policy_init(struct http_policy *policy)
{
	*policy = (struct http_policy){
		.connect_timeout_ns = 10 * LAB_SEC,
		.max_connect_retries = 2,
		.slow_warn_ns = 5 * LAB_SEC,
		.max_parallel_connections = 10,
		.max_redirects = 2,
		.trace_headers = true,
		.user_agent = LAB_VIEW("oboxlab"),
	};
	for (size_t i = 0; i < HTTP_ACTION_COUNT; i++) {
		policy->timeout_ns[i] = 10 * LAB_SEC;
		policy->max_retries[i] = 4;
	}
}

/* ---- the client ---- */

static struct lab_view copy_text(struct lab_arena *arena, struct lab_view text)
{
	return text.ptr == NULL ? text : lab_arena_copy(arena, text);
}

static void copy_texts(struct http_policy *policy, struct lab_arena *arena)
{
	policy->user_agent = copy_text(arena, policy->user_agent);
	policy->username = copy_text(arena, policy->username);
	policy->session_id = copy_text(arena, policy->session_id);
	for (size_t i = 0; i < policy->log_header_count; i++)
		policy->log_headers[i] = copy_text(arena, policy->log_headers[i]);
	for (size_t i = 0; i < policy->add_header_count; i++) {
		policy->add_headers[i].name = copy_text(arena, policy->add_headers[i].name);
		policy->add_headers[i].value = copy_text(arena, policy->add_headers[i].value);
	}
}

static bool is_header_name(struct lab_view name)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		bool is_alnum =
			(c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!is_alnum && (c == '\0' || strchr(others, c) == NULL))
			return false;
	}
	return name.len > 0;
}

static int check_policy(const struct http_policy *policy, struct lab_error *err)
{
	for (size_t i = 0; i < policy->add_header_count; i++) {
		const struct lab_http_header *header = &policy->add_headers[i];

		if (!is_header_name(header->name) || !http_is_header_value(header->value))
			return lab_fail(
				err, LAB_INVALID, "not a header: %.*s", LAB_VIEW_ARG(header->name));
	}
	for (size_t i = 0; i < policy->log_header_count; i++) {
		if (!is_header_name(policy->log_headers[i]))
			return lab_fail(err, LAB_INVALID, "not a header name: %.*s",
				LAB_VIEW_ARG(policy->log_headers[i]));
	}
	if (!http_is_header_value(policy->username) || !http_is_header_value(policy->session_id) ||
		!http_is_header_value(policy->user_agent))
		return lab_fail(err, LAB_INVALID,
			"user name, session or user agent has a control character");
	if (policy->max_parallel_connections == 0)
		return lab_fail(err, LAB_INVALID, "max_parallel_connections is 0");
	return 0;
}

int http_client_new(struct env *env, const struct http_policy *policy, struct http_client **ret,
	struct lab_error *err)
{
	struct http_client *client;

	lab_assert(policy->add_header_count <= HTTP_POLICY_HEADERS_MAX &&
		   policy->log_header_count <= HTTP_POLICY_HEADERS_MAX);
	if (check_policy(policy, err) < 0)
		return -1;
	client = lab_new(env->heap, struct http_client);
	client->env = env;
	client->policy = *policy;
	client->texts = lab_arena_new(env->heap, TEXTS_MAX);
	copy_texts(&client->policy, client->texts);
	client->connections.free = policy->max_parallel_connections;
	*ret = client;
	return 0;
}

void http_client_free(struct http_client **client)
{
	struct lab_heap *heap;

	if (*client == NULL)
		return;
	lab_assert((*client)->running == 0);
	heap = (*client)->env->heap;
	lab_arena_free(&(*client)->texts);
	lab_heap_free(heap, *client);
	*client = NULL;
}

/* ---- one attempt ---- */

static uint64_t clip(uint64_t timeout_ns, uint64_t now, uint64_t deadline_ns)
{
	return deadline_ns == ENV_FOREVER ? timeout_ns : LAB_MIN(timeout_ns, deadline_ns - now);
}

/* Not a byte of the request left: nothing can have happened. */
static void classify_unsent(struct http_run *run)
{
	run->class = NULL;
	run->connect_failed = run->error.code == LAB_REFUSED || run->error.code == LAB_TIMEOUT ||
			      run->error.code == LAB_NOT_FOUND;
	/* A missing host is not a missing object. */
	if (run->error.code == LAB_NOT_FOUND)
		run->error.code = LAB_UNAVAILABLE;
	run->error.retryable |= run->connect_failed;
}

/* The request left, in whole or in part, and there is no answer to use. */
static void classify_silence(struct http_run *run)
{
	run->uncertain = true;
	if (run->error.code == LAB_LIMIT) {
		/* Another try would bring the same. */
		run->class = NULL;
		return;
	}
	run->class = http_classify(
		run->error.code == LAB_CORRUPT ? HTTP_STATUS_ALTERED : 0, LAB_VIEW(""));
	run->error.code = run->class->error;
	run->error.retryable = run->class->retryable;
}

/* 412 to who set no condition says nothing of what is there. */
static enum lab_code code_of(const struct http_run *run)
{
	const struct lab_http_headers *asked = &run->call->request->headers;

	if (run->class->error == LAB_EXISTS && lab_http_header_get(asked, "If-None-Match").len == 0)
		return LAB_INVALID;
	return run->class->error;
}

static void classify_answer(struct http_run *run)
{
	const struct http_call *call = run->call;
	struct lab_view code = LAB_VIEW("");

	run->status = run->response.status;
	if (run->status >= 200 && run->status <= 299 && call->inspect != NULL)
		run->status = call->inspect(call->ctx, &run->response, run->scratch, &run->why);
	if ((run->status < 200 || run->status > 299) && call->error_code != NULL)
		code = call->error_code(call->ctx, &run->response, run->scratch);
	if (code.len > 0 && run->why == NULL)
		run->why = lab_arena_cstr(run->scratch, code);
	run->class = http_classify(run->status, code);
	run->uncertain |= run->class->maybe_applied;
	if (run->class->error == LAB_OK)
		return;
	lab_fail(&run->error, code_of(run), "%u", run->response.status);
	run->error.retryable = run->class->retryable;
	run->error.status = (uint16_t)run->response.status;
}

static int prepare(struct http_run *run, struct lab_http_request *request)
{
	const struct http_call *call = run->call;

	*request = *call->request;
	if (run->redirects > 0)
		http_redirect_apply(lab_buf_view(&run->location), request);
	if (!(lab_defect(RETRY_NAMES_NOBODY) && run->attempts > 0) &&
		http_add_headers(run->client, call, request, run->scratch, &run->error) < 0)
		return -1;
	if (call->sign == NULL)
		return 0;
	return call->sign(call->ctx, request, run->scratch, &run->error);
}

static struct env_http_limits attempt_limits(const struct http_run *run, uint64_t now)
{
	const struct http_policy *policy = &run->client->policy;
	enum http_action action = run->call->action;

	uint64_t timeout_ns = policy->timeout_ns[action];
	struct env *env = run->client->env;

	if (ENV_BUGGIFY(env, http_early_timeout))
		timeout_ns = LAB_MIN(timeout_ns, EARLY_TIMEOUT);
	return (struct env_http_limits){
		.connect_timeout_ns = clip(policy->connect_timeout_ns, now, run->deadline_ns),
		.response_timeout_ns = clip(timeout_ns, now, run->deadline_ns),
		.response_max_bytes = LAB_MIN(run->call->response_max_bytes, HTTP_RESPONSE_MAX),
		.fresh_connection = run->fresh || ENV_BUGGIFY(env, http_fresh_connection),
		.deadline_ns = run->deadline_ns == ENV_FOREVER ? 0 : run->deadline_ns,
	};
}

static void exchange(struct http_run *run)
{
	struct env *env = run->client->env;
	struct env_http_stats stats = { .request_sent = false };
	struct env_http_limits limits;
	struct lab_http_request request;
	uint64_t now;

	if (prepare(run, &request) < 0)
		return;
	/* Waiting for credentials may have taken the rest of the time. */
	now = env_now(env);
	if (now >= run->deadline_ns) {
		lab_fail(&run->error, LAB_TIMEOUT, "Absolute request timeout expired");
		return;
	}
	limits = attempt_limits(run, now);
	if (lab_defect(RETRY_FROM_THE_MIDDLE) && run->attempts > 0)
		request.body = lab_view_skip(request.body, request.body.len / 2);
	run->attempts++;
	run->bytes_out += request.body.len;
	if (env_http(env, &request, &limits, run->scratch, &run->response, &stats, &run->error) <
		0) {
		run->response = (struct lab_http_response){ .status = 0 };
		run->fresh = true;
		if (stats.request_sent || run->error.code == LAB_UNCERTAIN)
			classify_silence(run);
		else
			classify_unsent(run);
	} else {
		run->fresh = false;
		run->bytes_in += run->response.body.len;
		classify_answer(run);
	}
	run->took_ns = env_now(env) - now;
}

/* Leaves everything about it in *run. */
static void attempt(struct http_run *run)
{
	struct http_client *client = run->client;
	uint64_t asked_ns = env_now(client->env);

	lab_arena_reset(run->scratch);
	run->response = (struct lab_http_response){ .status = 0 };
	run->class = NULL;
	run->status = 0;
	run->why = NULL;
	run->took_ns = 0;
	run->connect_failed = false;
	run->error = (struct lab_error){ .code = LAB_OK };
	if (env_semaphore_take(client->env, &client->connections, run->deadline_ns, &run->error) <
		0) {
		run->queued_ns = env_now(client->env) - asked_ns;
		lab_fail(&run->error, LAB_TIMEOUT, "Absolute request timeout expired in queue");
		return;
	}
	run->queued_ns = env_now(client->env) - asked_ns;
	if (run->queued_ns > 0)
		LAB_MARK(connection_awaited);
	exchange(run);
	env_semaphore_give(client->env, &client->connections);
}

/* ---- the ladder ---- */

static bool is_listed(const struct http_policy *policy, unsigned status)
{
	for (size_t i = 0; i < HTTP_RETRY_STATUSES_MAX && policy->retry_statuses[i] != 0; i++) {
		if (policy->retry_statuses[i] == status)
			return true;
	}
	return false;
}

static bool on_ladder(const struct http_run *run)
{
	const struct http_policy *policy = &run->client->policy;

	if (run->class == NULL)
		return false;
	if (run->retries >= policy->max_retries[run->call->action]) {
		if (run->retries > 0)
			LAB_MARK(ladder_used_up);
		return false;
	}
	if (run->status == 503 && lab_defect(NO_RETRY_503))
		return false;
	return run->class->retry == HTTP_RETRY_LADDER ||
	       (run->class->retry == HTTP_RETRY_LISTED && is_listed(policy, run->status));
}

static uint64_t connect_wait_ns(unsigned retry)
{
	uint64_t wait = HTTP_CONNECT_WAIT_FIRST_NS;

	for (unsigned i = 0; i < retry && wait < HTTP_CONNECT_WAIT_MAX_NS; i++)
		wait *= 2;
	return LAB_MIN(wait, HTTP_CONNECT_WAIT_MAX_NS);
}

/* Somebody says where to ask instead. What he was asked, he did not do. */
static bool follow_redirect(struct http_run *run)
{
	struct lab_http_request asked = *run->call->request;
	struct lab_buf next;
	bool found;

	if (run->redirects > 0)
		http_redirect_apply(lab_buf_view(&run->location), &asked);
	lab_buf_init(&next, run->client->env->heap, HTTP_LOCATION_MAX);
	found = http_redirect_find(&asked, &run->response, &next, &run->why) == 1;
	if (found && run->redirects == run->client->policy.max_redirects) {
		run->why = lab_arena_printf(run->scratch, "Redirected more than %u times",
			run->client->policy.max_redirects);
		found = false;
	}
	if (found) {
		LAB_MARK(redirect_followed);
		run->redirects++;
		lab_buf_reset(&run->location);
		lab_buf_append_view(&run->location, lab_buf_view(&next));
	}
	lab_buf_done(&next);
	return found;
}

/* Whether to try again, and after how long. */
static bool plan_retry(struct http_run *run, uint64_t *ret_wait_ns)
{
	const struct http_call *call = run->call;

	if (run->class != NULL && run->class->renew && call->renew != NULL && !run->renewed) {
		LAB_MARK(signed_anew);
		run->renewed = true;
		call->renew(call->ctx);
		*ret_wait_ns = 0;
	} else if (run->connect_failed &&
		   run->connect_retries < run->client->policy.max_connect_retries) {
		LAB_MARK(connect_retried);
		*ret_wait_ns = connect_wait_ns(run->connect_retries++);
	} else if (on_ladder(run)) {
		*ret_wait_ns = http_retry_wait_ns(run->retries++);
	} else {
		return false;
	}
	/* At the deadline it would be given up without having been sent. */
	return run->deadline_ns == ENV_FOREVER ||
	       *ret_wait_ns < run->deadline_ns - env_now(run->client->env);
}

static bool deadline_passed(const struct http_run *run)
{
	return env_now(run->client->env) >= run->deadline_ns;
}

static void try_until_done(struct http_run *run)
{
	uint64_t wait_ns;

	for (;;) {
		attempt(run);
		if (run->response.status >= 300 && run->response.status <= 399 &&
			!deadline_passed(run) && follow_redirect(run)) {
			http_report(run, HTTP_REPORT_REDIRECTED, &run->error);
			continue;
		}
		if (run->error.code == LAB_OK || deadline_passed(run) || !plan_retry(run, &wait_ns))
			return;
		http_report(run, HTTP_REPORT_RETRIED, &run->error);
		if (wait_ns > 0)
			env_sleep(run->client->env, wait_ns);
	}
}

/* ---- the outcome ---- */

/* What all attempts together say. */
static int conclude(struct http_run *run, struct lab_error *err)
{
	bool changes = run->call->action != HTTP_READ;
	bool uncertain = changes && run->uncertain && !lab_defect(PUT_TIMEOUT_IS_CERTAIN);

	if (run->call->ret_uncertain != NULL)
		*run->call->ret_uncertain = uncertain;
	if (run->error.code == LAB_OK)
		return 0;
	/* It was there for an earlier attempt of ours, which may have been applied. */
	if (run->call->action == HTTP_DELETE && run->error.code == LAB_NOT_FOUND &&
		run->uncertain) {
		run->error.code = LAB_OK;
		return 0;
	}
	if (uncertain)
		run->error.code = LAB_UNCERTAIN;
	if (!changes && lab_defect(ERRORS_ARE_404) && run->error.code == LAB_UNAVAILABLE)
		run->error.code = LAB_NOT_FOUND;
	*err = run->error;
	http_line_error(run, err);
	err->retryable = run->error.retryable;
	err->fault_id = run->error.fault_id;
	err->status = run->error.status;
	return -1;
}

static void report_outcome(const struct http_run *run, const struct lab_error *err)
{
	uint64_t slow_ns = run->client->policy.slow_warn_ns;

	if (slow_ns > 0 && env_now(run->client->env) - run->started_ns > slow_ns)
		http_report(run, HTTP_REPORT_SLOW, err);
	http_report(run, HTTP_REPORT_FINISHED, err);
}

int http_client_request(struct http_client *client, const struct http_call *call,
	struct lab_arena *arena, struct lab_http_response *ret, struct lab_error *err)
{
	uint64_t absolute_ns = client->policy.absolute_timeout_ns;
	struct http_run run = { .client = client, .call = call, .number = ++client->last_request };
	struct lab_error outcome = { .code = LAB_OK };
	int result;

	client->running++;
	run.started_ns = env_now(client->env);
	run.deadline_ns = absolute_ns == 0 ? ENV_FOREVER : run.started_ns + absolute_ns;
	lab_buf_init(&run.location, client->env->heap, HTTP_LOCATION_MAX);
	run.scratch = lab_arena_new(client->env->heap,
		SCRATCH_OVERHEAD + 2 * LAB_MIN(call->response_max_bytes, HTTP_RESPONSE_MAX));
	try_until_done(&run);
	result = conclude(&run, &outcome);
	report_outcome(&run, &outcome);
	lab_http_response_copy(arena, &run.response, ret);
	if (result < 0 && err != NULL)
		*err = outcome;
	lab_arena_free(&run.scratch);
	lab_buf_done(&run.location);
	client->running--;
	return result;
}

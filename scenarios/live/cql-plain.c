/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/live/cql-plain.h"

#define READ_BYTES 65536
#define REQUEST_MAX ((size_t)256 * 1024)
#define HELLO_ARENA_MAX ((size_t)256 * 1024)

static int send_request(
	struct cql_plain *plain, const struct cql_request *request, struct lab_error *err)
{
	struct lab_buf out;
	int result;

	lab_buf_init(&out, plain->env->heap, REQUEST_MAX);
	cql_request_encode(&out, CQL_VERSION, 0, request);
	result = out.overflow ? lab_fail(err, LAB_LIMIT, "a statement is too long to be sent")
			      : env_stream_write(plain->stream, lab_buf_view(&out), err);
	lab_buf_done(&out);
	return result;
}

/* *ret borrows from the arena. */
static int receive_frame(struct cql_plain *plain, uint64_t deadline_ns, struct lab_arena *arena,
	struct cql_frame *ret, struct lab_error *err)
{
	for (;;) {
		size_t used, n;
		int found = cql_frame_next(
			lab_buf_view(&plain->input), CQL_PLAIN_ANSWER_MAX, ret, &used, err);

		if (found < 0)
			return -1;
		if (found > 0) {
			ret->body = lab_arena_copy(arena, ret->body);
			lab_buf_consume(&plain->input, used);
			return 0;
		}
		if (env_stream_read(plain->stream, lab_buf_reserve(&plain->input, READ_BYTES),
			    READ_BYTES, deadline_ns, &n, err) < 0)
			return -1;
		if (n == 0)
			return lab_fail(err, LAB_RESET, "the server closed the connection");
		lab_buf_commit(&plain->input, n);
	}
}

static bool may_pass(uint32_t code)
{
	switch (code) {
	case CQL_E_UNAVAILABLE:
	case CQL_E_OVERLOADED:
	case CQL_E_IS_BOOTSTRAPPING:
	case CQL_E_READ_TIMEOUT:
	case CQL_E_READ_FAILURE:
	case CQL_E_WRITE_TIMEOUT:
	case CQL_E_SERVER_ERROR:
		return true;
	default:
		return false;
	}
}

static int refused(const struct cql_error *said, struct lab_error *err)
{
	bool is_login = said->code == CQL_E_BAD_CREDENTIALS;

	lab_fail(err, is_login ? LAB_INVALID : LAB_UNAVAILABLE, "Cassandra answers %s: %.*s",
		cql_error_code_name(said->code), LAB_VIEW_ARG(lab_view_sub(said->message, 0, 160)));
	/* SERVER_ERROR is 0, which in a lab_error is "no answer". */
	err->status = said->code == 0 ? UINT16_MAX : (uint16_t)said->code;
	err->retryable = may_pass(said->code);
	return -1;
}

static int exchange(struct cql_plain *plain, const struct cql_request *request,
	struct lab_arena *arena, struct cql_response *ret, struct lab_error *err)
{
	uint64_t deadline_ns = env_now(plain->env) + CQL_PLAIN_TIMEOUT_NS;
	struct cql_frame frame;

	if (send_request(plain, request, err) < 0 ||
		receive_frame(plain, deadline_ns, arena, &frame, err) < 0 ||
		cql_response_decode(&frame, arena, ret, err) < 0)
		return -1;
	return ret->opcode == CQL_ERROR ? refused(&ret->error, err) : 0;
}

static int log_in(struct cql_plain *plain, struct lab_view user, struct lab_view password,
	struct lab_arena *arena, struct lab_error *err)
{
	struct cql_request request = { .opcode = CQL_AUTH_RESPONSE };
	struct cql_response answer;
	struct lab_buf token;

	if (user.len == 0)
		return lab_fail(err, LAB_INVALID, "Cassandra wants a user and a password");
	lab_buf_init_arena(&token, arena, user.len + password.len + 2);
	lab_buf_append_byte(&token, 0);
	lab_buf_append_view(&token, user);
	lab_buf_append_byte(&token, 0);
	lab_buf_append_view(&token, password);
	request.token = lab_buf_view(&token);
	if (exchange(plain, &request, arena, &answer, err) < 0)
		return -1;
	return answer.opcode == CQL_AUTH_SUCCESS
		       ? 0
		       : lab_fail(err, LAB_UNSUPPORTED, "Cassandra asks for more than a password");
}

static int introduce(struct cql_plain *plain, struct lab_view user, struct lab_view password,
	struct lab_arena *arena, struct lab_error *err)
{
	struct cql_pair version = { LAB_VIEW("CQL_VERSION"), LAB_VIEW("3.0.0") };
	struct cql_request request = { .opcode = CQL_STARTUP, .options = { &version, 1 } };
	struct cql_response answer;

	if (exchange(plain, &request, arena, &answer, err) < 0)
		return -1;
	if (answer.opcode == CQL_AUTHENTICATE)
		return log_in(plain, user, password, arena, err);
	return answer.opcode == CQL_READY
		       ? 0
		       : lab_fail(err, LAB_CORRUPT, "neither READY nor AUTHENTICATE");
}

int cql_plain_open(struct cql_plain *plain, struct env *env, const char *host, uint16_t port,
	struct lab_view user, struct lab_view password, struct lab_error *err)
{
	struct lab_arena *arena;
	int result;

	*plain = (struct cql_plain){ .env = env };
	lab_buf_init(
		&plain->input, env->heap, CQL_PLAIN_ANSWER_MAX + CQL_HEADER_BYTES + READ_BYTES);
	if (env_connect(env, host, port, env_now(env) + CQL_PLAIN_TIMEOUT_NS, &plain->stream, err) <
		0)
		return lab_error_wrap(err, "%s:%u", host, port);
	arena = lab_arena_new(env->heap, HELLO_ARENA_MAX);
	result = introduce(plain, user, password, arena, err);
	lab_arena_free(&arena);
	return result < 0 ? lab_error_wrap(err, "%s:%u", host, port) : 0;
}

void cql_plain_close(struct cql_plain *plain)
{
	if (plain->env == NULL)
		return;
	env_stream_close(&plain->stream);
	lab_buf_done(&plain->input);
	*plain = (struct cql_plain){ .env = NULL };
}

int cql_plain_query(struct cql_plain *plain, struct lab_view text, const struct cql_params *params,
	struct lab_arena *arena, struct cql_response *ret, struct lab_error *err)
{
	struct cql_request request = { .opcode = CQL_QUERY, .query = text, .params = *params };

	if (exchange(plain, &request, arena, ret, err) < 0)
		return -1;
	return ret->opcode == CQL_RESULT ? 0
					 : lab_fail(err, LAB_CORRUPT, "a QUERY without a RESULT");
}

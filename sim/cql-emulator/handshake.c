/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake.c - the order of messages: STARTUP, OPTIONS, authentication, REGISTER; dispatch.
 */
#include "sim/cql-emulator/roles.h"

#define AUTHENTICATOR "org.apache.cassandra.auth.PasswordAuthenticator"

/* ---- the protocol before CQL ---- */

static void reply(struct cqlemu *emu, struct cqle_op *op, struct cql_response *response)
{
	cqle_op_answer(emu, op, response);
	cqle_op_finish(emu, op);
}

static void do_options(struct cqlemu *emu, struct cqle_op *op)
{
	struct lab_view keys[] = { LAB_VIEW("PROTOCOL_VERSIONS"), LAB_VIEW("COMPRESSION"),
		LAB_VIEW("CQL_VERSION") };
	struct lab_view versions[] = { LAB_VIEW("3/v3"), LAB_VIEW("4/v4") };
	struct lab_view cql[] = { LAB_VIEW("3.4.5") };
	struct cql_strings values[] = { { versions, 2 }, { NULL, 0 }, { cql, 1 } };
	struct cql_response response = { .opcode = CQL_SUPPORTED,
		.supported = { keys, values, 3 } };
	reply(emu, op, &response);
}

static struct lab_view option(const struct cql_map *options, const char *key)
{
	for (size_t i = 0; i < options->count; i++) {
		if (lab_view_eq_nocase(options->items[i].key, lab_view_cstr(key)))
			return options->items[i].value;
	}
	return lab_view_of(NULL, 0);
}

static void do_startup(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	struct cqle_session *s = op->session;
	struct lab_view cql = option(&request->options, "CQL_VERSION");
	struct lab_view compression = option(&request->options, "COMPRESSION");
	struct cql_response response = { .opcode = CQL_READY };
	if (cql.ptr == NULL) {
		op->stream = 0;
		cqle_op_refuse(
			emu, op, CQL_E_PROTOCOL, "Missing value CQL_VERSION in STARTUP message");
		return;
	}
	if (cql.len == 0 || cql.ptr[0] < '3' || cql.ptr[0] > '9') {
		cqle_op_refuse(
			emu, op, CQL_E_PROTOCOL, "CQL version is not supported by this server");
		return;
	}
	if (compression.len > 0) {
		op->stream = 0;
		cqle_op_refuse(emu, op, CQL_E_PROTOCOL,
			lab_arena_printf(op->arena, "Unknown compression algorithm: %.*s",
				LAB_VIEW_ARG(compression)));
		return;
	}
	s->version = op->version;
	s->state = CQLE_SESSION_READY;
	if (emu->auth != NULL) {
		s->state = CQLE_SESSION_AUTH;
		response.opcode = CQL_AUTHENTICATE;
		response.authenticator = LAB_VIEW(AUTHENTICATOR);
	}
	reply(emu, op, &response);
}

/* What is behind the last NUL of the rest; ptr NULL if there is none. */
static struct lab_view last_part(struct lab_view *rest)
{
	for (size_t i = rest->len; i > 0; i--) {
		if (rest->ptr[i - 1] != 0)
			continue;
		struct lab_view part = lab_view_skip(*rest, i);
		rest->len = i - 1;
		return part;
	}
	return lab_view_of(NULL, 0);
}

/* [authorization id]\0user\0password, read from its end. */
static void do_auth(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	struct lab_view rest = request->token;
	struct lab_view password = last_part(&rest), user = last_part(&rest);
	struct cql_response response = { .opcode = CQL_AUTH_SUCCESS };
	struct lab_error err;
	if (lab_view_find_byte(rest, 0) != SIZE_MAX) {
		cqle_op_refuse(emu, op, CQL_E_BAD_CREDENTIALS,
			"Credential format error: username or password is empty or contains "
			"NUL(\\0) character");
		return;
	}
	if (password.len == 0 || user.len == 0) {
		cqle_op_refuse(emu, op, CQL_E_BAD_CREDENTIALS,
			password.len == 0 ? "Password must not be null"
					  : "Authentication ID must not be null");
		return;
	}
	if (cqle_login(emu, user, password, &op->session->role, &err) < 0) {
		cqle_op_fail(emu, op, &err);
		return;
	}
	op->session->state = CQLE_SESSION_READY;
	reply(emu, op, &response);
}

static void do_register(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	static const char *const names[] = { "TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE" };
	struct cql_response response = { .opcode = CQL_READY };
	for (size_t i = 0; i < request->events.count; i++) {
		for (unsigned k = 0; k < LAB_COUNT_OF(names); k++) {
			if (lab_view_eq_cstr(request->events.items[i], names[k]))
				op->session->events |= 1u << k;
		}
	}
	reply(emu, op, &response);
}

/* ---- dispatch ---- */

static const char *unexpected(struct cqle_op *op, uint8_t opcode, const char *what)
{
	return lab_arena_printf(
		op->arena, "Unexpected message %s, %s", cql_opcode_name(opcode), what);
}

/* Is this message allowed now? False if it was answered. */
static bool in_order(struct cqlemu *emu, struct cqle_op *op, uint8_t opcode)
{
	switch (op->session->state) {
	case CQLE_SESSION_NEW:
		if (opcode == CQL_STARTUP || opcode == CQL_OPTIONS)
			return true;
		op->stream = 0;
		cqle_op_refuse(emu, op, CQL_E_PROTOCOL,
			unexpected(op, opcode, "expecting STARTUP or OPTIONS"));
		return false;
	case CQLE_SESSION_AUTH:
		if (opcode == CQL_AUTH_RESPONSE)
			return true;
		cqle_op_refuse(
			emu, op, CQL_E_PROTOCOL, unexpected(op, opcode, "expecting SASL_RESPONSE"));
		return false;
	case CQLE_SESSION_READY:
		if (opcode != CQL_STARTUP && opcode != CQL_AUTH_RESPONSE)
			return true;
		cqle_op_refuse(emu, op, CQL_E_PROTOCOL,
			unexpected(op, opcode, "the connection is already initialized"));
		return false;
	}
	return true;
}

static void dispatch(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	op->tracing = request->tracing;
	op->params = request->params;
	op->consistency = request->params.consistency;
	emu->viewer = op->node; /* names are those that this node knows */
	switch (request->opcode) {
	case CQL_STARTUP:
		do_startup(emu, op, request);
		break;
	case CQL_OPTIONS:
		do_options(emu, op);
		break;
	case CQL_AUTH_RESPONSE:
		do_auth(emu, op, request);
		break;
	case CQL_REGISTER:
		do_register(emu, op, request);
		break;
	case CQL_QUERY:
		cqle_do_query(emu, op, request);
		break;
	case CQL_PREPARE:
		cqle_do_prepare(emu, op, request);
		break;
	case CQL_EXECUTE:
		cqle_do_execute(emu, op, request);
		break;
	case CQL_BATCH:
		cqle_do_batch(emu, op, request);
		break;
	case CQL_ERROR:
	case CQL_READY:
	case CQL_AUTHENTICATE:
	case CQL_SUPPORTED:
	case CQL_RESULT:
	case CQL_EVENT:
	case CQL_AUTH_CHALLENGE:
	case CQL_AUTH_SUCCESS:
		lab_bug("the decoder lets no responses through");
	}
	emu->viewer = SIZE_MAX;
}

static void count_request(struct cqle_node *node, enum cql_opcode opcode)
{
	node->requests++;
	if (opcode == CQL_QUERY || opcode == CQL_EXECUTE || opcode == CQL_BATCH)
		node->statements++;
}

void cqle_handle_frame(struct cqlemu *emu, struct cqle_session *s, const struct cql_frame *frame)
{
	struct cqle_op *op = cqle_op_new(emu, s, s->node);
	struct cql_frame copy = *frame;
	struct cql_request request;
	struct lab_error err;
	cqle_op_hold(op);
	op->stream = frame->header.stream;
	op->version = frame->header.version;
	emu->counters.requests++;
	count_request(&emu->nodes[s->node], frame->header.opcode);
	copy.body = lab_arena_copy(op->arena, frame->body);
	if (s->inflight > emu->options.inflight_max) {
		struct cql_error error = { .code = CQL_E_OVERLOADED };
		cqle_op_answer_error(emu, op, &error);
		cqle_op_finish(emu, op);
	} else if (cql_opcode_is_request(frame->header.opcode) &&
		   !in_order(emu, op, frame->header.opcode)) {
		/* answered */
	} else if (cql_request_decode(&copy, op->arena, &request, &err) < 0) {
		cqle_op_refuse(emu, op, CQL_E_PROTOCOL, err.message);
	} else {
		dispatch(emu, op, &request);
	}
	cqle_op_release(emu, op);
}

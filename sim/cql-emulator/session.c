/* SPDX-License-Identifier: Apache-2.0
 *
 * session.c - a connection: bytes in, requests; answers, bytes out.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#define AUTHENTICATOR "org.apache.cassandra.auth.PasswordAuthenticator"

/* ---- sending ---- */

static void send_response(struct cqlemu *emu, struct cqle_session *s, uint8_t version,
	int16_t stream, const struct cql_response *response, enum sim_wire wire)
{
	if (s->closed)
		return;
	lab_buf_reset(&emu->out);
	cql_response_encode(&emu->out, version, stream, response);
	struct lab_view data = lab_buf_view(&emu->out);
	if (emu->out.overflow) {
		struct cql_response error = { .opcode = CQL_ERROR,
			.error = { .code = CQL_E_SERVER_ERROR,
				.message = LAB_VIEW("The answer is too long for a frame") } };
		lab_buf_reset(&emu->out);
		cql_response_encode(&emu->out, version, stream, &error);
		data = lab_buf_view(&emu->out);
	}
	if (wire == SIM_WIRE_TRUNCATE) {
		s->output(s->output_ctx, lab_view_sub(data, 0, data.len / 2), SIM_WIRE_ANSWER);
		cqle_session_reset(emu, s);
		return;
	}
	s->output(s->output_ctx, data, wire);
}

static void send_error(struct cqlemu *emu, struct cqle_session *s, uint8_t version, int16_t stream,
	uint32_t code, const char *text)
{
	struct cql_response response = { .opcode = CQL_ERROR,
		.error = { .code = code, .message = lab_view_cstr(text) } };
	emu->counters.errors++;
	send_response(emu, s, version, stream, &response, SIM_WIRE_ANSWER);
}

/* Out of all lists; freed when nobody on the stack can hold it any more. */
static void session_unlink(struct cqlemu *emu, struct cqle_session *s)
{
	if (s->closed)
		return;
	s->closed = true;
	if (s->previous != NULL)
		s->previous->next = s->next;
	else
		emu->sessions = s->next;
	if (s->next != NULL)
		s->next->previous = s->previous;
	emu->session_count--;
	for (struct cqle_op *op = emu->active_ops; op != NULL && s->inflight > 0; op = op->next) {
		if (op->session != s)
			continue;
		op->session = NULL;
		s->inflight--;
	}
	s->next_dead = emu->dead_sessions;
	emu->dead_sessions = s;
}

void cqle_session_reset(struct cqlemu *emu, struct cqle_session *s)
{
	if (s->closed)
		return;
	session_unlink(emu, s);
	s->output(s->output_ctx, lab_view_of("", 0), SIM_WIRE_RESET);
}

void cqle_session_bury(struct cqlemu *emu)
{
	while (emu->dead_sessions != NULL) {
		struct cqle_session *s = emu->dead_sessions;
		emu->dead_sessions = s->next_dead;
		lab_buf_done(&s->in);
		lab_heap_free(emu->heap, s->names);
		lab_heap_free(emu->heap, s);
	}
}

/* ---- events ---- */

static void broadcast(struct cqlemu *emu, size_t node, unsigned kind, const struct cql_event *event)
{
	struct cqle_session *next;
	struct cql_response response = { .opcode = CQL_EVENT, .event = *event };
	for (struct cqle_session *s = emu->sessions; s != NULL; s = next) {
		next = s->next;
		if ((s->events & kind) != 0 && (node == SIZE_MAX || s->node == node) &&
			emu->nodes[s->node].state == CQLEMU_NODE_UP)
			send_response(
				emu, s, s->version, CQL_EVENT_STREAM, &response, SIM_WIRE_ANSWER);
	}
}

void cqle_event_status(struct cqlemu *emu, size_t observer, size_t node, bool up)
{
	struct cql_event event = { .type = LAB_VIEW("STATUS_CHANGE"),
		.change = lab_view_cstr(up ? "UP" : "DOWN"),
		.node = { .size = 4, .port = emu->options.native_port } };
	memcpy(event.node.address, emu->nodes[node].address, 4);
	broadcast(emu, observer, CQLE_EVENT_STATUS, &event);
}

void cqle_event_schema(struct cqlemu *emu, const struct cql_schema_change *change)
{
	struct cql_event event = { .type = LAB_VIEW("SCHEMA_CHANGE"), .schema = *change };
	broadcast(emu, SIZE_MAX, CQLE_EVENT_SCHEMA, &event);
}

/* ---- answering an operation ---- */

static void access_log(struct cqlemu *emu, const struct cqle_op *op, unsigned status, bool answered)
{
	if (emu->hooks.access == NULL || op->operation.len == 0)
		return;
	struct sim_access access = { .service = "cql",
		.instance = emu->nodes[op->node].name,
		.peer = op->session != NULL ? op->session->peer_name : lab_view_of("", 0),
		.received_ns = op->received_ns,
		.answered_ns = emu->now_ns,
		.operation = op->operation,
		.subject = op->subject,
		.request = op->text,
		.user = op->user,
		.status = status,
		.applied = op->applied,
		.answered = answered && op->session != NULL,
		.fault_id = op->fault.id,
		.bytes = op->bytes,
		.body_hash = op->body_hash,
		.consistency = (uint16_t)op->consistency,
		.timestamp_us = op->timestamp_us };
	emu->hooks.access(emu->hooks.ctx, &access);
}

static void count_error(struct cqlemu *emu, uint32_t code)
{
	emu->counters.errors++;
	emu->counters.unavailable += code == CQL_E_UNAVAILABLE;
	emu->counters.read_timeouts += code == CQL_E_READ_TIMEOUT;
	emu->counters.write_timeouts += code == CQL_E_WRITE_TIMEOUT;
	emu->counters.unprepared += code == CQL_E_UNPREPARED;
}

static void tracing_id(struct cqlemu *emu, struct cqle_op *op, struct cql_response *response)
{
	uint8_t *id = lab_arena_alloc(op->arena, CQL_UUID_BYTES);
	for (size_t i = 0; i < CQL_UUID_BYTES; i += 8) {
		uint64_t draw = lab_draw(emu->options.seed, "cql.tracing", op->serial, i);
		memcpy(id + i, &draw, 8);
	}
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x10);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	response->tracing_id = lab_view_of(id, CQL_UUID_BYTES);
}

/* What the client gets to see of it. */
static void put_on_wire(struct cqlemu *emu, struct cqle_op *op, struct cql_response *response)
{
	bool failed = response->opcode == CQL_ERROR;
	unsigned status = failed ? response->error.code : 0;
	enum sim_fault_kind fault = failed ? SIM_FAULT_NONE : op->fault.kind;
	bool silent = fault == SIM_FAULT_LOSE_REPLY || fault == SIM_FAULT_STALL_REPLY;
	op->answered = true;
	access_log(emu, op, status, !silent);
	if (op->session == NULL)
		return;
	if (fault == SIM_FAULT_LOSE_REPLY)
		cqle_session_reset(emu, op->session);
	if (silent)
		return;
	response->warnings = (struct cql_strings){ op->warnings, op->warning_count };
	if (op->tracing && !failed)
		tracing_id(emu, op, response);
	if (failed)
		count_error(emu, response->error.code);
	send_response(emu, op->session, op->version, op->stream, response,
		fault == SIM_FAULT_CORRUPT ? SIM_WIRE_TRUNCATE : SIM_WIRE_ANSWER);
}

static bool is_write(const struct cqle_op *op)
{
	return op->kind == CQLE_OP_WRITE;
}

static bool is_timeout(uint32_t code)
{
	return code == CQL_E_WRITE_TIMEOUT || code == CQL_E_READ_TIMEOUT;
}

/* Faults give timeouts when the real ones would come. */
static uint64_t fault_delay(const struct cqlemu *emu, const struct cqle_op *op, uint32_t code)
{
	if (op->fault.delay_ns > 0 && op->fault.kind != SIM_FAULT_LATE)
		return op->fault.delay_ns;
	if (!is_timeout(code))
		return 0;
	return is_write(op) ? emu->options.write_timeout_ns : emu->options.read_timeout_ns;
}

/* The error code that a fault wants. 0 is a server error only if the fault says so by name. */
static uint32_t fault_code(const struct cqle_op *op)
{
	bool named = op->fault.code != NULL && strcmp(op->fault.code, "SERVER_ERROR") == 0;
	if (op->fault.status != 0 || named)
		return op->fault.status == 0xffff ? CQL_E_SERVER_ERROR : op->fault.status;
	if (op->fault.kind == SIM_FAULT_REFUSE)
		return CQL_E_OVERLOADED;
	return op->kind == CQLE_OP_OTHER ? CQL_E_SERVER_ERROR
	       : is_write(op)            ? CQL_E_WRITE_TIMEOUT
					 : CQL_E_READ_TIMEOUT;
}

/* Waits, if the error is one that comes late; then answers with it. */
void cqle_fault_answer_later(struct cqlemu *emu, struct cqle_op *op)
{
	uint64_t delay = fault_delay(emu, op, fault_code(op));
	op->prepared_to_answer = true;
	if (delay == 0) {
		cqle_fault_answer(emu, op);
		return;
	}
	cqle_op_arm(emu, op, CQLE_EV_RESUME, emu->now_ns + delay);
}

void cqle_op_answer(struct cqlemu *emu, struct cqle_op *op, struct cql_response *response)
{
	if (op->answered)
		return;
	if (op->fault.kind == SIM_FAULT_ALTER_REPLY && response->opcode != CQL_ERROR) {
		op->answered = true; /* the coordinator has done its part */
		cqle_fault_answer_later(emu, op);
		return;
	}
	put_on_wire(emu, op, response);
}

static const char *fixed_text(uint32_t code)
{
	switch (code) {
	case CQL_E_OVERLOADED:
		return "Server is in overloaded state. Cannot accept more requests at this point";
	case CQL_E_IS_BOOTSTRAPPING:
		return "Cannot read from a bootstrapping node";
	case CQL_E_TRUNCATE:
		return "Truncate timed out";
	case CQL_E_SERVER_ERROR:
		return "java.lang.RuntimeException";
	default:
		return "Operation failed";
	}
}

/* " UNKNOWN from /10.0.0.2:7000, ..." for the last `count` replicas. */
static const char *failure_text(
	const struct cqlemu *emu, struct cqle_op *op, const struct cql_error *error)
{
	const char *text = lab_arena_printf(op->arena,
		"Operation failed - received %d responses and %d failures:", (int)error->received,
		(int)error->failures);
	for (int32_t i = 0; i < error->failures; i++) {
		size_t node = emu->node_count - 1 - (size_t)i % emu->node_count;
		text = lab_arena_printf(op->arena, "%s%s UNKNOWN from /%s:%u", text,
			i > 0 ? "," : "", emu->nodes[node].address_text, emu->options.storage_port);
	}
	return text;
}

static struct lab_view error_text(
	const struct cqlemu *emu, struct cqle_op *op, const struct cql_error *error)
{
	if (is_timeout(error->code))
		return lab_view_cstr(lab_arena_printf(op->arena,
			"Operation timed out - received only %d responses.", (int)error->received));
	if (error->code == CQL_E_UNAVAILABLE)
		return lab_view_cstr(
			lab_arena_printf(op->arena, "Cannot achieve consistency level %s",
				cql_consistency_name(error->consistency)));
	if (error->code == CQL_E_WRITE_FAILURE || error->code == CQL_E_READ_FAILURE)
		return lab_view_cstr(failure_text(emu, op, error));
	return lab_view_cstr(fixed_text(error->code));
}

void cqle_op_answer_error(struct cqlemu *emu, struct cqle_op *op, const struct cql_error *error)
{
	struct cql_response response = { .opcode = CQL_ERROR, .error = *error };
	if (error->message.ptr == NULL)
		response.error.message = error_text(emu, op, error);
	cqle_op_answer(emu, op, &response);
}

void cqle_op_fail(struct cqlemu *emu, struct cqle_op *op, const struct lab_error *err)
{
	struct cql_error error = { .code = err->status, .message = lab_view_cstr(err->message) };
	cqle_op_answer_error(emu, op, &error);
	cqle_op_finish(emu, op);
}

void cqle_op_warn(struct cqle_op *op, const char *text)
{
	if (op->warning_count == 16) /* enough; a short count on the wire */
		return;
	if (op->warnings == NULL)
		op->warnings = lab_arena_array(op->arena, struct lab_view, 16);
	op->warnings[op->warning_count++] = lab_view_cstr(text);
}

static const char unprepared_text[] =
	" not found (either the query was not prepared on this host (maybe the host has been "
	"restarted?) or you have prepared too many queries and it has been evicted from the "
	"internal cache)";

void cqle_op_unprepared(struct cqlemu *emu, struct cqle_op *op, struct lab_view id)
{
	char *hex = lab_arena_alloc(op->arena, 2 * id.len + 1);
	lab_hex(id.ptr, id.len, hex);
	const char *text =
		lab_arena_printf(op->arena, "Prepared query with ID %s%s", hex, unprepared_text);
	struct cql_error error = {
		.code = CQL_E_UNPREPARED, .message = lab_view_cstr(text), .prepared_id = id
	};
	cqle_op_answer_error(emu, op, &error);
}

void cqle_fault_answer(struct cqlemu *emu, struct cqle_op *op)
{
	struct cql_error error = { .code = fault_code(op),
		.consistency = op->consistency,
		.write_type = lab_view_cstr(op->write_type != NULL ? op->write_type : "SIMPLE") };
	const struct cqle_table *table = op->write_count > 0 ? op->writes[0].mutation->table
					 : op->plan != NULL  ? op->plan->table
							     : NULL;
	int32_t required = table == NULL ? 1
					 : (int32_t)cqle_block_for(
						   emu, table->keyspace, op->consistency, op->node);
	bool applied = op->fault.kind == SIM_FAULT_ALTER_REPLY;
	error.required = required;
	error.received = applied || error.code == CQL_E_UNAVAILABLE ? required - 1 : 0;
	if (op->fault.kind == SIM_FAULT_PARTLY)
		error.received = LAB_MIN((int32_t)op->fault.replicas, required - 1);
	error.failures = required - error.received;
	if (error.code == CQL_E_UNPREPARED) {
		if (op->prepared_id.ptr == NULL) /* nothing to forget: the next best */
			error.code = CQL_E_OVERLOADED;
		else
			cqle_prepared_forget(emu, &emu->nodes[op->node], op->prepared_id);
	}
	op->answered = false;
	op->fault.kind = SIM_FAULT_NONE;
	if (error.code == CQL_E_UNPREPARED)
		cqle_op_unprepared(emu, op, op->prepared_id);
	else
		cqle_op_answer_error(emu, op, &error);
	if (!(applied && is_write(op))) /* else replicas are still waited for */
		cqle_op_finish(emu, op);
}

/* ---- faults at the door ---- */

static struct sim_fault ask_fault(struct cqlemu *emu, struct cqle_op *op, const char *point)
{
	struct sim_fault_query query = { .point = point,
		.service = "cql",
		.instance = emu->nodes[op->node].name,
		.peer = op->session != NULL ? op->session->peer_name : lab_view_of("", 0),
		.subject = op->subject,
		.now_ns = emu->now_ns };
	if (emu->hooks.fault == NULL || op->session == NULL)
		return (struct sim_fault){ .kind = SIM_FAULT_NONE };
	struct sim_fault fault = emu->hooks.fault(emu->hooks.ctx, &query);
	lab_assert(fault.kind < SIM_FAULT_KIND_COUNT);
	emu->counters.faults[fault.kind]++;
	return fault;
}

static void never_answer(struct cqlemu *emu, struct cqle_op *op, bool reset)
{
	op->answered = true;
	access_log(emu, op, 0, false);
	if (reset && op->session != NULL)
		cqle_session_reset(emu, op->session);
	cqle_op_finish(emu, op);
}

void cqle_request_begin(struct cqlemu *emu, struct cqle_op *op, const char *point)
{
	op->fault = ask_fault(emu, op, point);
	switch (op->fault.kind) {
	case SIM_FAULT_REFUSE:
	case SIM_FAULT_FAIL:
		cqle_fault_answer_later(emu, op);
		return;
	case SIM_FAULT_STALL:
	case SIM_FAULT_RESET:
		never_answer(emu, op, op->fault.kind == SIM_FAULT_RESET);
		return;
	case SIM_FAULT_DELAY:
		cqle_op_arm(emu, op, CQLE_EV_RESUME, emu->now_ns + op->fault.delay_ns);
		return;
	case SIM_FAULT_PARTLY:
	case SIM_FAULT_LATE:
		if (!is_write(op)) {
			cqle_fault_answer_later(emu, op);
			return;
		}
		break;
	case SIM_FAULT_NONE:
	case SIM_FAULT_LOSE_REPLY:
	case SIM_FAULT_STALL_REPLY:
	case SIM_FAULT_ALTER_REPLY:
	case SIM_FAULT_CORRUPT:
	case SIM_FAULT_FLIP:
	case SIM_FAULT_WRONG_ETAG:
	case SIM_FAULT_WRONG_DATE:
	case SIM_FAULT_TRICKLE:
	case SIM_FAULT_DROP:
	case SIM_FAULT_STALE:
	case SIM_FAULT_DUPLICATE:
	case SIM_FAULT_KIND_COUNT:
		break;
	}
	cqle_request_run(emu, op);
}

/* ---- the protocol before CQL ---- */

static void reply(struct cqlemu *emu, struct cqle_op *op, struct cql_response *response)
{
	cqle_op_answer(emu, op, response);
	cqle_op_finish(emu, op);
}

static void fail(struct cqlemu *emu, struct cqle_op *op, uint32_t code, const char *text)
{
	struct cql_error error = { .code = code, .message = lab_view_cstr(text) };
	cqle_op_answer_error(emu, op, &error);
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

static bool needs_password(const struct cqlemu *emu)
{
	return emu->options.user.len > 0 || emu->options.password.len > 0;
}

static void do_startup(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	struct cqle_session *s = op->session;
	struct lab_view cql = option(&request->options, "CQL_VERSION");
	struct lab_view compression = option(&request->options, "COMPRESSION");
	struct cql_response response = { .opcode = CQL_READY };
	if (cql.ptr == NULL) {
		op->stream = 0;
		fail(emu, op, CQL_E_PROTOCOL, "Missing value CQL_VERSION in STARTUP message");
		return;
	}
	if (cql.len == 0 || cql.ptr[0] < '3' || cql.ptr[0] > '9') {
		fail(emu, op, CQL_E_PROTOCOL, "CQL version is not supported by this server");
		return;
	}
	if (compression.len > 0) {
		op->stream = 0;
		fail(emu, op, CQL_E_PROTOCOL,
			lab_arena_printf(op->arena, "Unknown compression algorithm: %.*s",
				LAB_VIEW_ARG(compression)));
		return;
	}
	s->version = op->version;
	s->state = CQLE_SESSION_READY;
	if (needs_password(emu)) {
		s->state = CQLE_SESSION_AUTH;
		response.opcode = CQL_AUTHENTICATE;
		response.authenticator = LAB_VIEW(AUTHENTICATOR);
	}
	reply(emu, op, &response);
}

/* \0user\0password, perhaps with an authorization id in front. */
static void do_auth(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	struct lab_view rest = request->token, part = { NULL, 0 }, user = { NULL, 0 };
	struct cql_response response = { .opcode = CQL_AUTH_SUCCESS };
	(void)lab_view_split(&rest, 0, &part);
	if (rest.ptr == NULL || !lab_view_split(&rest, 0, &user) || rest.len == 0 ||
		user.len == 0) {
		fail(emu, op, CQL_E_BAD_CREDENTIALS, "Password must not be null");
		return;
	}
	bool known = lab_view_eq_secret(user, emu->options.user);
	bool right = lab_view_eq_secret(rest, emu->options.password);
	if (!known || !right) {
		fail(emu, op, CQL_E_BAD_CREDENTIALS,
			lab_arena_printf(op->arena,
				"Provided username %.*s and/or password are incorrect",
				LAB_VIEW_ARG(user)));
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
		fail(emu, op, CQL_E_PROTOCOL,
			unexpected(op, opcode, "expecting STARTUP or OPTIONS"));
		return false;
	case CQLE_SESSION_AUTH:
		if (opcode == CQL_AUTH_RESPONSE)
			return true;
		fail(emu, op, CQL_E_PROTOCOL, unexpected(op, opcode, "expecting SASL_RESPONSE"));
		return false;
	case CQLE_SESSION_READY:
		if (opcode != CQL_STARTUP && opcode != CQL_AUTH_RESPONSE)
			return true;
		fail(emu, op, CQL_E_PROTOCOL,
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
}

static void handle_frame(struct cqlemu *emu, struct cqle_session *s, const struct cql_frame *frame)
{
	struct cqle_op *op = cqle_op_new(emu, s, s->node);
	struct cql_frame copy = *frame;
	struct cql_request request;
	struct lab_error err;
	cqle_op_hold(op);
	op->stream = frame->header.stream;
	op->version = frame->header.version;
	emu->counters.requests++;
	copy.body = lab_arena_copy(op->arena, frame->body);
	if (s->inflight > emu->options.inflight_max) {
		fail(emu, op, CQL_E_OVERLOADED, fixed_text(CQL_E_OVERLOADED));
	} else if (cql_opcode_is_request(frame->header.opcode) &&
		   !in_order(emu, op, frame->header.opcode)) {
		/* answered */
	} else if (cql_request_decode(&copy, op->arena, &request, &err) < 0) {
		fail(emu, op, CQL_E_PROTOCOL, err.message);
	} else {
		dispatch(emu, op, &request);
	}
	cqle_op_release(emu, op);
}

/* The texts of the server generations (cql-imds 1.8); several drivers look for them. */
static void refuse_version(struct cqlemu *emu, struct cqle_session *s, uint8_t version)
{
	static const char *const tails[] = { "; supported versions are (3/v3, 4/v4)",
		"; the lowest supported version is 3 and the greatest is 4",
		"; highest supported is 4 ", "" };
	enum cqlemu_version_text generation = emu->options.version_text;
	char text[120];
	struct lab_buf out;
	lab_buf_init(&out, NULL, sizeof(text) - 1);
	out.data = (uint8_t *)text;
	out.capacity = sizeof(text) - 1;
	lab_buf_append_cstr(&out, "Invalid or unsupported protocol version");
	lab_buf_printf(&out, generation == CQLEMU_VERSIONS_2_1 ? ": %u" : " (%u)", version);
	lab_buf_append_cstr(&out, tails[generation]);
	uint8_t answer_in = version == 1 || version == 2 ? version : CQL_VERSION;
	send_error(emu, s, answer_in, 0, CQL_E_PROTOCOL, lab_buf_cstr(&out));
}

static bool refuse_direction(
	struct cqlemu *emu, struct cqle_session *s, const struct cql_header *header)
{
	if (!header->response)
		return false;
	const char *name = cql_opcode_name(header->opcode);
	char *text = lab_arena_printf(emu->scratch,
		"Wrong protocol direction (expected REQUEST, got RESPONSE) for opcode %u (%s)",
		header->opcode, name == NULL ? "UNKNOWN" : name);
	send_error(emu, s, CQL_VERSION, header->stream, CQL_E_PROTOCOL, text);
	return true;
}

static bool refuse_change(
	struct cqlemu *emu, struct cqle_session *s, const struct cql_header *header)
{
	if (s->version == 0 || s->version == header->version)
		return false;
	char *text = lab_arena_printf(emu->scratch,
		"Invalid message version. Got %u/v%u but previous messages on this connection had "
		"version %u/v%u",
		header->version, header->version, s->version, s->version);
	send_error(emu, s, s->version, header->stream, CQL_E_PROTOCOL, text);
	return true;
}

/* Bytes used; 0: more are needed. */
static size_t take_frame(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	struct cql_header header;
	struct cql_frame frame;
	size_t header_bytes, used;
	struct lab_error err;
	if (cql_header_decode(data, &header, &header_bytes) == 0)
		return 0;
	bool spoken = header.version >= CQL_VERSION_MIN && header.version <= CQL_VERSION;
	if (!spoken) {
		refuse_version(emu, s, header.version);
		return data.len; /* nobody knows where the next frame would begin */
	}
	int result = cql_frame_next(data, emu->options.frame_bytes_max, &frame, &used, &err);
	if (result < 0) {
		char *text = lab_arena_printf(emu->scratch,
			"Request is too big: length %u exceeds maximum allowed length %zu.",
			header.length, emu->options.frame_bytes_max);
		send_error(emu, s, header.version, header.stream, CQL_E_INVALID, text);
		cqle_session_reset(emu, s);
		return data.len;
	}
	if (result == 0)
		return 0;
	if (!refuse_direction(emu, s, &header) && !refuse_change(emu, s, &header))
		handle_frame(emu, s, &frame);
	return used;
}

/* Handles what is there; returns how much of it. */
static size_t take_frames(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	size_t at = 0;
	while (at < data.len && !s->closed && !s->stalled &&
		emu->nodes[s->node].state == CQLEMU_NODE_UP) {
		struct lab_arena_mark mark = lab_arena_mark(emu->scratch);
		size_t used = take_frame(emu, s, lab_view_skip(data, at));
		lab_arena_rewind(emu->scratch, mark);
		if (used == 0)
			break;
		at += used;
	}
	return s->closed ? data.len : at;
}

static void keep(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	lab_buf_append_view(&s->in, data);
	if (s->in.overflow)
		cqle_session_reset(emu, s);
}

void cqle_session_run(struct cqlemu *emu, struct cqle_session *s)
{
	if (s->closed || s->in.len == 0)
		return;
	lab_buf_consume(&s->in, take_frames(emu, s, lab_buf_view(&s->in)));
}

static void take_input(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	if (s->in.len > 0) {
		keep(emu, s, data);
		cqle_session_run(emu, s);
		return;
	}
	size_t used = take_frames(emu, s, data);
	if (used < data.len)
		keep(emu, s, lab_view_skip(data, used));
}

/* ---- the stream operations ---- */

void cqle_enter(struct cqlemu *emu, uint64_t now_ns)
{
	lab_check(emu, CQLE_MAGIC);
	lab_assert(!emu->busy);
	emu->busy = true;
	emu->now_ns = LAB_MAX(emu->now_ns, now_ns);
	cqle_events_run(emu);
}

/* What came in meanwhile, from inside of callbacks, is done now. */
void cqle_leave(struct cqlemu *emu)
{
	while (emu->pending_first != NULL) {
		struct cqle_session *s = emu->pending_first;
		emu->pending_first = s->next_pending;
		s->pending = false;
		if (s->close_pending)
			session_unlink(emu, s);
		else
			cqle_session_run(emu, s);
	}
	emu->pending_last = NULL;
	cqle_session_bury(emu);
	emu->busy = false;
}

static void make_pending(struct cqlemu *emu, struct cqle_session *s)
{
	if (s->pending || s->closed)
		return;
	s->pending = true;
	s->next_pending = NULL;
	if (emu->pending_last != NULL && emu->pending_first != NULL)
		emu->pending_last->next_pending = s;
	else
		emu->pending_first = s;
	emu->pending_last = s;
}

static bool connect_fault(struct cqlemu *emu, size_t node, struct lab_view peer, bool *ret_stalled)
{
	struct sim_fault_query query = { .point = "cql.connect",
		.service = "cql",
		.instance = emu->nodes[node].name,
		.peer = peer,
		.now_ns = emu->now_ns };
	if (emu->hooks.fault == NULL)
		return false;
	struct sim_fault fault = emu->hooks.fault(emu->hooks.ctx, &query);
	emu->counters.faults[fault.kind]++;
	*ret_stalled = fault.kind == SIM_FAULT_STALL || fault.kind == SIM_FAULT_STALL_REPLY;
	return fault.kind == SIM_FAULT_REFUSE || fault.kind == SIM_FAULT_FAIL ||
	       fault.kind == SIM_FAULT_RESET || fault.kind == SIM_FAULT_LOSE_REPLY;
}

static void *stream_accept(void *service, struct lab_view instance, const struct sim_peer *peer,
	uint64_t now_ns, sim_stream_output_fn output, void *output_ctx)
{
	struct cqlemu *emu = service;
	lab_check(emu, CQLE_MAGIC);
	int node = cqlemu_node_find(emu, instance);
	bool stalled = false;
	emu->now_ns = LAB_MAX(emu->now_ns, now_ns);
	if (node < 0 || emu->nodes[node].state == CQLEMU_NODE_DOWN ||
		emu->session_count >= emu->options.connections_max ||
		connect_fault(emu, (size_t)node, peer->name, &stalled))
		return NULL;
	struct cqle_session *s = lab_new(emu->heap, struct cqle_session);
	s->emu = emu;
	s->node = (size_t)node;
	s->number = ++emu->session_number;
	s->stalled = stalled;
	s->output = output;
	s->output_ctx = output_ctx;
	s->names = lab_heap_alloc(emu->heap, peer->name.len + 1);
	if (peer->name.len > 0)
		memcpy(s->names, peer->name.ptr, peer->name.len);
	s->peer_name = lab_view_of(s->names, peer->name.len);
	lab_buf_init(&s->in, emu->heap, 2 * (emu->options.frame_bytes_max + CQL_HEADER_BYTES));
	s->next = emu->sessions;
	if (s->next != NULL)
		s->next->previous = s;
	emu->sessions = s;
	emu->session_count++;
	emu->counters.connections++;
	if (emu->hooks.reachable != NULL)
		cqle_gossip_wake(emu, emu->now_ns + emu->options.gossip_ns);
	return s;
}

static void stream_input(void *connection, struct lab_view data, uint64_t now_ns)
{
	struct cqle_session *s = connection;
	struct cqlemu *emu = s->emu;
	lab_check(emu, CQLE_MAGIC);
	if (s->closed)
		return;
	if (emu->busy) {
		keep(emu, s, data);
		make_pending(emu, s);
		return;
	}
	cqle_enter(emu, now_ns);
	take_input(emu, s, data);
	cqle_leave(emu);
}

static void stream_closed(void *connection, uint64_t now_ns)
{
	struct cqle_session *s = connection;
	struct cqlemu *emu = s->emu;
	lab_check(emu, CQLE_MAGIC);
	if (emu->busy) {
		s->close_pending = true;
		make_pending(emu, s);
		return;
	}
	cqle_enter(emu, now_ns);
	session_unlink(emu, s);
	cqle_leave(emu);
}

static void stream_advance(void *service, uint64_t now_ns)
{
	struct cqlemu *emu = service;
	lab_check(emu, CQLE_MAGIC);
	cqle_enter(emu, now_ns);
	cqle_leave(emu);
}

static uint64_t stream_next_deadline(void *service)
{
	const struct cqlemu *emu = service;
	lab_check(emu, CQLE_MAGIC);
	return emu->event_count == 0 ? UINT64_MAX : emu->heap_events[0]->at_ns;
}

static const struct sim_stream_ops stream_ops = { stream_accept, stream_input, stream_closed,
	stream_advance, stream_next_deadline };

struct sim_stream_service cqlemu_service(struct cqlemu *emu)
{
	return (struct sim_stream_service){ &stream_ops, emu };
}

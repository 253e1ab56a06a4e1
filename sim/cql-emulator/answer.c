/* SPDX-License-Identifier: Apache-2.0
 *
 * answer.c - how a request ends: answers, errors, faults at the door, the access log.
 */
#include "sim/cql-emulator/tracing.h"

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
		.object = op->object,
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
	const uint8_t *trace = op->tracing ? cqle_trace_end(emu, op) : NULL;
	if (trace != NULL)
		response->tracing_id = lab_view_of(trace, CQL_UUID_BYTES);
	if (failed)
		count_error(emu, response->error.code);
	cqle_wire_send(emu, op->session, op->version, op->stream, response,
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

uint32_t cqle_op_now_s(const struct cqlemu *emu, const struct cqle_op *op)
{
	if ((op->params.flags & CQL_PARAM_NOW) == 0)
		return cqle_wall_s(emu);
	return (uint32_t)LAB_MAX(op->params.now_s, 0);
}

static void put_failed(const struct cqlemu *emu, struct cql_failed_replica *ret, size_t node,
	enum cql_failure_reason reason)
{
	*ret = (struct cql_failed_replica){ .node = { .size = 4 }, .reason = (uint16_t)reason };
	memcpy(ret->node.address, emu->nodes[node].address, 4);
}

void cqle_error_blame(const struct cqlemu *emu, struct cqle_op *op, struct cql_error *error,
	uint64_t nodes, uint64_t ignorant, enum cql_failure_reason reason)
{
	struct cql_failed_replica *list =
		lab_arena_array(op->arena, struct cql_failed_replica, emu->node_count);
	error->failures = 0;
	for (size_t i = 0; i < emu->node_count; i++) {
		if ((nodes & cqle_bit(i)) != 0)
			put_failed(emu, &list[error->failures++], i,
				(ignorant & cqle_bit(i)) != 0 ? CQL_REASON_SCHEMA : reason);
	}
	error->reasons = list;
}

/* " UNKNOWN from /10.0.0.2:7000, ..." for the last `count` replicas. */
static const char *failure_text(
	const struct cqlemu *emu, struct cqle_op *op, struct cql_error *error)
{
	struct cql_failed_replica *list =
		lab_arena_array(op->arena, struct cql_failed_replica, (size_t)error->failures + 1);
	const char *text = lab_arena_printf(op->arena,
		"Operation failed - received %d responses and %d failures:", (int)error->received,
		(int)error->failures);
	for (int32_t i = 0; i < error->failures; i++) {
		size_t node = emu->node_count - 1 - (size_t)i % emu->node_count;
		put_failed(emu, &list[i], node, CQL_REASON_UNKNOWN);
		text = lab_arena_printf(op->arena, "%s%s UNKNOWN from /%s:%u", text,
			i > 0 ? "," : "", emu->nodes[node].address_text, emu->options.storage_port);
	}
	error->reasons = list;
	return text;
}

static struct lab_view error_text(
	const struct cqlemu *emu, struct cqle_op *op, struct cql_error *error)
{
	if (error->code == CQL_E_WRITE_TIMEOUT && op->version >= CQL_VERSION_SEGMENTS &&
		lab_view_eq_cstr(error->write_type, "CAS"))
		return lab_view_cstr(lab_arena_printf(op->arena,
			"CAS operation timed out: received %d of %d required responses after %u "
			"contention retries",
			(int)error->received, (int)error->required, error->contentions));
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
		response.error.message = error_text(emu, op, &response.error);
	const char *own = cqle_profile_text(emu, op, &response.error);
	if (own != NULL)
		response.error.message = lab_view_cstr(own);
	cqle_op_answer(emu, op, &response);
}

int cqle_fail_long(struct cqlemu *emu, struct lab_error *err, unsigned code, const char *text)
{
	lab_buf_reset(&emu->long_error);
	lab_buf_append_view(
		&emu->long_error, lab_view_sub(lab_view_cstr(text), 0, CQLE_MESSAGE_MAX));
	return cqle_fail(err, code, "%s", text);
}

/* What lab_error had no room for. */
static struct lab_view whole_message(
	struct cqlemu *emu, const struct cqle_op *op, const struct lab_error *err)
{
	struct lab_view text = lab_view_cstr(err->message);
	if (text.len + 1 == sizeof(err->message) &&
		lab_view_starts_with(lab_buf_view(&emu->long_error), text))
		return lab_buf_view(&emu->long_error);
	if (err->status == CQL_E_SYNTAX && lab_view_starts_with(text, LAB_VIEW(CQLE_NUMBER_FORMAT)))
		return lab_view_cstr(
			lab_arena_printf(op->arena, "Failed parsing statement: [%.*s] reason: %s",
				(int)LAB_MIN(op->text.len, CQLE_MESSAGE_MAX / 2),
				(const char *)op->text.ptr, err->message));
	return text;
}

void cqle_op_fail(struct cqlemu *emu, struct cqle_op *op, const struct lab_error *err)
{
	struct cql_error error = { .code = err->status, .message = whole_message(emu, op, err) };
	struct lab_view args[2];
	if (err->status == CQL_E_FUNCTION_FAILURE) {
		for (size_t i = 0; i < emu->failure.count; i++)
			args[i] = lab_view_cstr(emu->failure.args[i]);
		error.keyspace = LAB_VIEW("system");
		error.table = lab_view_cstr(emu->failure.name);
		error.arg_types = (struct cql_strings){ args, emu->failure.count };
	}
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
	const char *text = lab_arena_printf(op->arena,
		emu->profile->scylla_texts ? "No prepared statement with ID %s found."
					   : "Prepared query with ID %s%s",
		hex, unprepared_text);
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

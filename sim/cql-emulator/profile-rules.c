/* SPDX-License-Identifier: Apache-2.0
 *
 * profile-rules.c - what the profile's row makes of a request: refused, throttled, worded
 * otherwise (cql-imds 4.4).
 */
#include "sim/cql-emulator/cql-emulator-private.h"

static bool is_change(const struct cqle_plan *plan)
{
	return plan->kind == STATEMENT_INSERT || plan->kind == STATEMENT_UPDATE ||
	       plan->kind == STATEMENT_DELETE || plan->kind == STATEMENT_BATCH;
}

/* "ONE, LOCAL_QUORUM": of the bits that are set. */
static const char *level_list(struct lab_arena *arena, unsigned levels)
{
	const char *list = "";
	for (unsigned i = CQL_ANY; i <= CQL_NODE_LOCAL; i++) {
		if ((levels & 1u << i) != 0)
			list = lab_arena_printf(arena, "%s%s%s", list, list[0] != '\0' ? ", " : "",
				cql_consistency_name((enum cql_consistency)i));
	}
	return list;
}

static const char *level_refusal(
	const struct cqle_op *op, const struct cqlemu_profile *p, unsigned refused)
{
	const char *level = cql_consistency_name(op->consistency);
	if ((refused & 1u << op->consistency) == 0)
		return NULL;
	switch (p->level_text) {
	case CQLEMU_LEVEL_WRITES:
		return lab_arena_printf(
			op->arena, "%s ConsistencyLevel is only supported for writes", level);
	case CQLEMU_LEVEL_GUARDRAIL:
		return lab_arena_printf(op->arena,
			"Provided values [%s] are not allowed for write consistency levels "
			"(disallowed values are: [%s])",
			level, level_list(op->arena, refused));
	case CQLEMU_LEVEL_SUPPORTED:
		break;
	}
	return lab_arena_printf(op->arena,
		"Consistency level %s is not supported for this operation. Supported consistency "
		"levels are: %s",
		level, level_list(op->arena, ~refused));
}

static bool wants_writetime(const struct cqle_plan *plan)
{
	for (size_t i = 0; i < plan->item_count; i++) {
		if (plan->items[i].kind == CQLE_EXPR_WRITETIME)
			return true;
	}
	return false;
}

static const char *statement_refusal(
	const struct cqle_op *op, const struct cqlemu_profile *p, const struct cqle_plan *plan)
{
	bool change = is_change(plan);
	const char *refusal = NULL;
	if (p->no_truncate && plan->kind == STATEMENT_TRUNCATE)
		return "TRUNCATE is not supported";
	if (plan->table != NULL && plan->table->keyspace->local)
		return NULL;
	if (p->no_timestamps && (plan->has_timestamp || wants_writetime(plan)))
		return "Client-side timestamps are not enabled for this table";
	if (change)
		refusal = level_refusal(op, p, p->write_refused);
	else if (plan->kind == STATEMENT_SELECT)
		refusal = level_refusal(op, p, p->read_refused);
	return refusal;
}

static const char *batch_refusal(const struct cqle_op *op, const struct cqlemu_profile *p,
	enum cql_batch_type type, size_t count)
{
	unsigned max = type == CQL_BATCH_LOGGED ? p->batch_logged_max : p->batch_unlogged_max;
	if (max == 0 || count <= max)
		return NULL;
	return lab_arena_printf(op->arena,
		"%s BATCH queries cannot contain more than %u statements",
		type == CQL_BATCH_LOGGED ? "LOGGED" : "UNLOGGED", max);
}

/* Too many requests in this second on this connection? They time out: the service has no code of
 * its own for it. */
static bool is_throttled(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_session *s = op->session;
	uint64_t second = emu->now_ns / LAB_SEC;
	if (emu->profile->connection_rate == 0)
		return false;
	if (s->rate_second != second) {
		s->rate_second = second;
		s->rate_count = 0;
	}
	return ++s->rate_count > emu->profile->connection_rate;
}

static void throttle(struct cqlemu *emu, struct cqle_op *op, bool change)
{
	struct cql_error error = { .code = change ? CQL_E_WRITE_TIMEOUT : CQL_E_READ_TIMEOUT,
		.consistency = op->consistency,
		.required = 2,
		.write_type = LAB_VIEW("SIMPLE") };
	cqle_op_answer_error(emu, op, &error);
	cqle_op_finish(emu, op);
}

bool cqle_profile_refuses(struct cqlemu *emu, struct cqle_op *op, const struct cqle_plan *plan)
{
	const struct cqlemu_profile *p = emu->profile;
	const char *refusal = statement_refusal(op, p, plan);
	if (refusal == NULL && plan->kind == STATEMENT_BATCH)
		refusal = batch_refusal(op, p, plan->batch_type, plan->batch_count);
	for (size_t i = 0; refusal == NULL && i < plan->batch_count; i++)
		refusal = statement_refusal(op, p, plan->batch[i]);
	if (refusal != NULL)
		cqle_op_refuse(emu, op, CQL_E_INVALID, refusal);
	else if (is_throttled(emu, op))
		throttle(emu, op, is_change(plan));
	else
		return false;
	return true;
}

bool cqle_profile_refuses_batch(struct cqlemu *emu, struct cqle_op *op)
{
	const struct cqlemu_profile *p = emu->profile;
	const char *refusal = batch_refusal(op, p, op->change.batch_type, op->change.count);
	for (size_t i = 0; refusal == NULL && i < op->change.count; i++)
		refusal = statement_refusal(op, p, op->change.items[i].plan);
	if (refusal != NULL)
		cqle_op_refuse(emu, op, CQL_E_INVALID, refusal);
	else if (is_throttled(emu, op))
		throttle(emu, op, true);
	else
		return false;
	return true;
}

const char *cqle_profile_key_refusal(
	const struct cqlemu *emu, struct lab_arena *arena, size_t bytes, bool clustering)
{
	unsigned max =
		clustering ? emu->profile->clustering_key_max : emu->profile->partition_key_max;
	if (max == 0 || bytes <= max)
		return NULL;
	return lab_arena_printf(arena, "%s key size %zu exceeds the maximum of %u bytes",
		clustering ? "Clustering" : "Partition", bytes, max);
}

/* Scylla's words; NULL: Cassandra's. */
const char *cqle_profile_text(
	const struct cqlemu *emu, const struct cqle_op *op, const struct cql_error *e)
{
	const char *level = cql_consistency_name(e->consistency);
	if (!emu->profile->scylla_texts)
		return NULL;
	switch (e->code) {
	case CQL_E_UNAVAILABLE:
		return lab_arena_printf(op->arena,
			"Cannot achieve consistency level for cl %s. Requires %d, alive %d", level,
			(int)e->required, (int)e->received);
	case CQL_E_READ_TIMEOUT:
	case CQL_E_WRITE_TIMEOUT:
		return lab_arena_printf(op->arena,
			"Operation timed out for %.*s - received only %d responses from %d CL=%s.",
			LAB_VIEW_ARG(op->subject), (int)e->received, (int)e->required, level);
	case CQL_E_READ_FAILURE:
	case CQL_E_WRITE_FAILURE:
		return lab_arena_printf(op->arena,
			"Operation failed for %.*s - received %d responses and %d failures from %d "
			"CL=%s.",
			LAB_VIEW_ARG(op->subject), (int)e->received, (int)e->failures,
			(int)e->required, level);
	default:
		return NULL;
	}
}

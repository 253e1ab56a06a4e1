/* SPDX-License-Identifier: Apache-2.0
 *
 * request.c - QUERY, PREPARE, EXECUTE, BATCH: from text or id and values to an operation.
 */
#include "sim/cql-emulator/describe.h"
#include "sim/cql-emulator/roles.h"

#define PLAN_ARENA_BYTES ((size_t)64 << 20)

static struct lab_view session_keyspace(const struct cqlemu *emu, const struct cqle_op *op)
{
	struct lab_view name = op->session->keyspace;
	if ((op->params.flags & CQL_PARAM_KEYSPACE) != 0) /* of this request alone; it exists */
		name = op->params.keyspace;
	return name.ptr != NULL && cqle_keyspace_find(emu, name) == NULL ? lab_view_of(NULL, 0)
									 : name;
}

/* ---- what the access log says ---- */

static struct lab_view operation_name(const struct cqle_plan *plan)
{
	switch (plan->kind) {
	case STATEMENT_SELECT:
		return LAB_VIEW("SELECT");
	case STATEMENT_INSERT:
		return LAB_VIEW("INSERT");
	case STATEMENT_UPDATE:
		return LAB_VIEW("UPDATE");
	case STATEMENT_DELETE:
		return LAB_VIEW("DELETE");
	case STATEMENT_BATCH:
		return LAB_VIEW("BATCH");
	case STATEMENT_TRUNCATE:
		return LAB_VIEW("TRUNCATE");
	case STATEMENT_USE:
		return LAB_VIEW("USE");
	case STATEMENT_CREATE_KEYSPACE:
	case STATEMENT_CREATE_TABLE:
	case STATEMENT_CREATE_TYPE:
	case STATEMENT_CREATE_INDEX:
		return LAB_VIEW("CREATE");
	case STATEMENT_DROP_KEYSPACE:
	case STATEMENT_DROP_TABLE:
	case STATEMENT_DROP_TYPE:
	case STATEMENT_DROP_INDEX:
		return LAB_VIEW("DROP");
	case STATEMENT_ALTER_KEYSPACE:
	case STATEMENT_ALTER_TABLE:
	case STATEMENT_ALTER_TYPE:
		return LAB_VIEW("ALTER");
	case STATEMENT_ROLE:
	case STATEMENT_DESCRIBE:
	case STATEMENT_UNSUPPORTED:
		break;
	}
	return LAB_VIEW("OTHER");
}

static void note_user(
	struct cqle_op *op, const struct cqle_plan *plan, const struct cql_bind *values)
{
	op->user = plan->user_constant;
	if (plan->user_marker != SIZE_MAX && values[plan->user_marker].kind == CQL_VALUE_BYTES)
		op->user = values[plan->user_marker].bytes;
	if (plan->object_marker != SIZE_MAX && values[plan->object_marker].kind == CQL_VALUE_BYTES)
		op->object = values[plan->object_marker].bytes;
}

static void note(struct cqle_op *op, struct cqle_plan *plan, const struct cql_bind *values)
{
	op->plan = plan;
	op->operation = operation_name(plan);
	op->text = plan->kind == STATEMENT_ROLE ? cqle_loggable(op->arena, plan->text) : plan->text;
	if (plan->table != NULL)
		op->subject = plan->table->full_name;
	note_user(op, plan, values);
}

/* ---- SELECT ---- */

static int select_resume(struct cqlemu *emu, struct cqle_op *op)
{
	struct lab_view state = op->params.paging_state;
	struct cqle_select *s = &op->select;
	(void)emu;
	if ((op->params.flags & CQL_PARAM_PAGING_STATE) == 0 || state.ptr == NULL)
		return 0;
	op->resume_at = lab_arena_new_of(op->arena, struct cqle_paging);
	if (cqle_paging_read(op->arena, op->plan->table, state, op->resume_at) < 0)
		return -1;
	bool single = !s->scan && s->keys.count == 1;
	if (single != (op->resume_at->key.ptr == NULL))
		return -1;
	if (op->remaining != SIZE_MAX)
		op->remaining = LAB_MIN(op->remaining, op->resume_at->remaining);
	while (!single && !s->scan && s->next_key_skip < s->keys.count &&
		!lab_view_eq(s->keys.keys[s->next_key_skip], op->resume_at->key))
		s->next_key_skip++;
	if (!single && !s->scan && s->next_key_skip == s->keys.count)
		return -1;
	op->next_key = s->next_key_skip;
	return 0;
}

void cqle_read_prepare(struct cqlemu *emu, struct cqle_op *op)
{
	const struct cqle_plan *plan = op->reading;
	bool paged = (op->params.flags & CQL_PARAM_PAGE_SIZE) != 0 && op->params.page_size > 0;
	op->kind = CQLE_OP_READ;
	bool all = (plan->aggregating && !plan->grouping) || plan->sorted > 0;
	op->wanted = paged && !all ? (size_t)op->params.page_size : SIZE_MAX;
	op->remaining = all ? SIZE_MAX : op->select.limit;
	op->result = lab_arena_new_of(op->arena, struct cqle_result);
	op->result->states =
		lab_arena_array(op->arena, struct cqle_aggregate, plan->slot_count + 1);
	op->next_key = 0;
	op->again = true;
	op->read = (struct cqle_read){ .table = plan->table,
		.slices = op->select.slices,
		.slice_count = op->select.slice_count,
		.reversed = plan->reversed,
		.statics = plan->wants_statics,
		.rows_max = emu->options.rows_per_read_max,
		.tombstone_fail = emu->options.tombstone_fail };
}

static void do_select(struct cqlemu *emu, struct cqle_op *op, const struct cql_bind *values)
{
	struct lab_error err;
	const char *refused = cqle_refused_consistency(op, false);
	emu->counters.selects++;
	if (refused != NULL) {
		cqle_op_refuse(emu, op, CQL_E_INVALID, refused);
		return;
	}
	if (cqle_bind_select(emu, op->arena, op->plan, values, &op->select, &err) < 0) {
		cqle_op_fail(emu, op, &err);
		return;
	}
	if (op->plan->sorted > 0 && (op->params.flags & CQL_PARAM_PAGE_SIZE) != 0 &&
		op->params.page_size > 0 && op->select.limit > (size_t)op->params.page_size) {
		cqle_op_refuse(emu, op, CQL_E_INVALID,
			"Cannot page queries with both ORDER BY and a IN restriction on the "
			"partition key; you must either remove the ORDER BY or the IN and sort "
			"client side, or disable paging for this query");
		return;
	}
	op->reading = op->plan;
	cqle_read_prepare(emu, op);
	if (select_resume(emu, op) < 0) {
		cqle_op_refuse(emu, op, CQL_E_PROTOCOL, "Invalid value for the paging state");
		return;
	}
	if (op->consistency == CQL_SERIAL || op->consistency == CQL_LOCAL_SERIAL) {
		if (!op->select.scan && op->select.keys.count > 1) {
			cqle_op_refuse(emu, op, CQL_E_INVALID,
				"SERIAL/LOCAL_SERIAL consistency may only be requested for one "
				"partition at a time");
			return;
		}
		if (!op->select.scan && !op->plan->table->keyspace->local)
			cqle_paxos_new(
				emu, op, op->plan->table, op->select.keys.keys[0], op->consistency)
				->read_only = true;
	}
	if (op->plan->table->keyspace->local) {
		cqle_system_table_refresh(emu, op->node, op->plan->table);
		cqle_read_start(emu, op);
		return;
	}
	cqle_request_begin(emu, op, "cql.read");
}

/* ---- USE, DDL, TRUNCATE ---- */

static void do_use(struct cqlemu *emu, struct cqle_op *op)
{
	struct lab_view name = op->plan->statement->keyspace;
	const struct cqle_keyspace *ks = cqle_keyspace_find(emu, name);
	if (ks == NULL) {
		cqle_op_refuse(emu, op, CQL_E_INVALID,
			lab_arena_printf(
				op->arena, "Keyspace '%.*s' does not exist", LAB_VIEW_ARG(name)));
		return;
	}
	op->session->keyspace = ks->name;
	struct cql_response response = {
		.opcode = CQL_RESULT, .kind = CQL_RESULT_SET_KEYSPACE, .keyspace = ks->name
	};
	cqle_op_answer(emu, op, &response);
	cqle_op_finish(emu, op);
}

static void do_ddl(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_ddl_result result;
	unsigned replicas = cqle_replication_before(emu, op->plan->statement);
	struct lab_error err;
	if (cqle_ddl(emu, op->plan->statement, session_keyspace(emu, op), &result, &err) < 0) {
		struct cql_error error = { .code = err.status,
			.message = lab_view_cstr(err.message),
			.keyspace = result.exists_keyspace,
			.table = result.exists_table };
		cqle_op_answer_error(emu, op, &error);
		cqle_op_finish(emu, op);
		return;
	}
	bool changed = result.change.change.len > 0;
	if (changed && cqle_ddl_done(emu, op->session->role, &result.change, &err) < 0)
		cqle_op_warn(op, lab_arena_printf(op->arena, "%s", err.message));
	struct cql_response response = { .opcode = CQL_RESULT,
		.kind = changed ? CQL_RESULT_SCHEMA_CHANGE : CQL_RESULT_VOID,
		.schema = result.change };
	op->applied = changed;
	if (changed)
		cqle_replication_warn(emu, op, op->plan->statement, replicas);
	if (changed)
		cqle_schema_spread(emu, op->node, &result.change);
	cqle_op_answer(emu, op, &response);
	cqle_op_finish(emu, op);
}

static void do_role(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_role_answer answer;
	struct lab_error err;
	if (cqle_role_run(emu, op->arena, op->session->role, op->plan->statement,
		    session_keyspace(emu, op), &answer, &err) < 0) {
		cqle_op_fail(emu, op, &err);
		return;
	}
	struct cql_response response = { .opcode = CQL_RESULT,
		.kind = answer.row_count > 0 ? CQL_RESULT_ROWS : CQL_RESULT_VOID };
	response.rows.metadata.columns = answer.columns;
	response.rows.metadata.column_count = answer.column_count;
	response.rows.cells = answer.cells;
	response.rows.row_count = answer.row_count;
	cqle_op_answer(emu, op, &response);
	cqle_op_finish(emu, op);
}

/* All nodes must be there. Those that are lose their rows, whatever is answered. */
static void do_truncate(struct cqlemu *emu, struct cqle_op *op)
{
	struct cqle_table *table = op->plan->table;
	bool all = true;
	for (size_t i = 0; i < emu->node_count; i++) {
		bool seen = i == op->node || emu->nodes[op->node].views[i].up;
		if (!seen) {
			cqle_op_refuse(emu, op, CQL_E_TRUNCATE,
				"Error during truncate: Cannot achieve consistency level ALL");
			return;
		}
	}
	for (size_t i = 0; i < emu->node_count; i++) {
		if (emu->nodes[i].state != CQLEMU_NODE_UP) {
			all = false;
			continue;
		}
		cqle_store_clear(table->stores[i]);
		if (table->durable != NULL)
			cqle_store_clear(table->durable[i]);
	}
	op->applied = true;
	if (!all) {
		op->fault = (struct sim_fault){ .kind = SIM_FAULT_FAIL,
			.status = CQL_E_TRUNCATE,
			.delay_ns = emu->options.truncate_timeout_ns };
		cqle_fault_answer_later(emu, op);
		return;
	}
	struct cql_response response = { .opcode = CQL_RESULT, .kind = CQL_RESULT_VOID };
	cqle_op_answer(emu, op, &response);
	cqle_op_finish(emu, op);
}

/* ---- running a plan ---- */

static void run_plan(struct cqlemu *emu, struct cqle_op *op, struct cqle_plan *plan,
	const struct cql_bind *values)
{
	struct lab_error err;
	note(op, plan, values);
	if (cqle_authorize(emu, op->session->role, plan, session_keyspace(emu, op), &err) < 0) {
		cqle_op_fail(emu, op, &err);
		return;
	}
	if (cqle_profile_refuses(emu, op, plan))
		return;
	switch (plan->kind) {
	case STATEMENT_SELECT:
		do_select(emu, op, values);
		break;
	case STATEMENT_INSERT:
	case STATEMENT_UPDATE:
	case STATEMENT_DELETE:
	case STATEMENT_BATCH:
		cqle_do_change(emu, op, values);
		break;
	case STATEMENT_USE:
		do_use(emu, op);
		break;
	case STATEMENT_TRUNCATE:
		do_truncate(emu, op);
		break;
	case STATEMENT_CREATE_KEYSPACE:
	case STATEMENT_CREATE_TABLE:
	case STATEMENT_DROP_KEYSPACE:
	case STATEMENT_DROP_TABLE:
	case STATEMENT_ALTER_KEYSPACE:
	case STATEMENT_ALTER_TABLE:
	case STATEMENT_CREATE_TYPE:
	case STATEMENT_DROP_TYPE:
	case STATEMENT_ALTER_TYPE:
	case STATEMENT_CREATE_INDEX:
	case STATEMENT_DROP_INDEX:
		do_ddl(emu, op);
		break;
	case STATEMENT_ROLE:
		do_role(emu, op);
		break;
	case STATEMENT_DESCRIBE:
		cqle_do_describe(emu, op, session_keyspace(emu, op));
		break;
	case STATEMENT_UNSUPPORTED:
		lab_bug("refused when the plan was made");
	}
}

void cqle_request_run(struct cqlemu *emu, struct cqle_op *op)
{
	if (op->paxos != NULL)
		cqle_paxos_start(emu, op);
	else if (op->kind == CQLE_OP_READ)
		cqle_read_start(emu, op);
	else if (op->kind == CQLE_OP_OTHER)
		cqle_prepare_run(emu, op);
	else if (op->fault.kind == SIM_FAULT_LATE && op->placed)
		cqle_write_late(emu, op);
	else
		cqle_write_start(emu, op);
}

static int make_plan(struct cqlemu *emu, struct lab_arena *arena, struct lab_view text,
	struct lab_view keyspace, struct cqle_plan **ret, struct lab_error *err)
{
	struct statement *statement;
	if (text.len > CQLEMU_STATEMENT_MAX)
		return cqle_fail(err, CQL_E_SYNTAX, "The statement is longer than %d bytes",
			CQLEMU_STATEMENT_MAX);
	if (cqle_parse(arena, text, &statement, err) < 0)
		return -1;
	return cqle_plan_build(emu, arena, statement, keyspace, ret, err);
}

/* Values in the order of the markers. */
static int arrange(struct cqle_op *op, const struct cqle_plan *plan, const struct cql_bind **values,
	size_t count, struct lab_error *err)
{
	struct cql_bind *arranged;
	if ((op->params.flags & CQL_PARAM_NAMES) == 0 || count == 0)
		return 0;
	if (cqle_bind_names(op->arena, plan, *values, count, &arranged, err) < 0)
		return -1;
	*values = arranged;
	return 1;
}

void cqle_do_query(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	struct cqle_plan *plan;
	struct lab_error err;
	const struct cql_bind *values = request->params.values;
	op->text = request->query;
	if (make_plan(emu, op->arena, request->query, session_keyspace(emu, op), &plan, &err) < 0) {
		cqle_op_fail(emu, op, &err);
		return;
	}
	int arranged = arrange(op, plan, &values, request->params.value_count, &err);
	if (arranged < 0) {
		cqle_op_fail(emu, op, &err);
		return;
	}
	if (arranged == 0 && request->params.value_count != plan->marker_count) {
		cqle_op_refuse(emu, op, CQL_E_INVALID, "Invalid amount of bind variables");
		return;
	}
	run_plan(emu, op, plan, values);
}

/* ---- prepared statements ---- */

static bool is_qualified(const struct statement *s)
{
	for (size_t i = 0; i < s->batch_count; i++) {
		if (s->batch[i]->keyspace.ptr == NULL)
			return false;
	}
	return s->kind == STATEMENT_BATCH || s->keyspace.ptr != NULL;
}

/* MD5 of the text, after the keyspace if names depend on it (cql-imds 1.5). */
static void prepared_id(struct cqle_op *op, struct lab_view keyspace, bool qualified,
	struct lab_view text, uint8_t *out)
{
	if (qualified || keyspace.ptr == NULL) {
		lab_digest(LAB_MD5, text, out);
		return;
	}
	char *both =
		lab_arena_printf(op->arena, "%.*s%.*s", LAB_VIEW_ARG(keyspace), LAB_VIEW_ARG(text));
	lab_digest(LAB_MD5, lab_view_of(both, keyspace.len + text.len), out);
}

static void prepared_unlink(struct cqle_node *node, struct cqle_prepared *p)
{
	if (p->older != NULL)
		p->older->newer = p->newer;
	else
		node->oldest = p->newer;
	if (p->newer != NULL)
		p->newer->older = p->older;
	else
		node->newest = p->older;
	p->older = p->newer = NULL;
}

static void prepared_touch(struct cqle_node *node, struct cqle_prepared *p)
{
	if (node->newest == p)
		return;
	prepared_unlink(node, p);
	p->older = node->newest;
	if (node->newest != NULL)
		node->newest->newer = p;
	else
		node->oldest = p;
	node->newest = p;
}

void cqle_prepared_forget(struct cqlemu *emu, struct cqle_node *node, struct lab_view id)
{
	struct cqle_prepared *p = lab_map_remove(node->prepared, id);
	if (p == NULL)
		return;
	prepared_unlink(node, p);
	cqle_plan_unref(emu, p->plan);
	lab_heap_free(emu->heap, p);
}

void cqle_node_prepared_drop(struct cqlemu *emu, struct cqle_node *node)
{
	while (node->oldest != NULL)
		cqle_prepared_forget(emu, node, lab_view_of(node->oldest->id, 16));
}

static struct cqle_prepared *prepared_find(
	struct cqlemu *emu, struct cqle_node *node, struct lab_view id)
{
	struct cqle_prepared *p = lab_map_get(node->prepared, id);
	if (p == NULL)
		return NULL;
	if (cqle_plan_is_stale(p->plan)) {
		cqle_prepared_forget(emu, node, id);
		return NULL;
	}
	prepared_touch(node, p);
	return p;
}

static struct cqle_prepared *prepared_add(
	struct cqlemu *emu, struct cqle_node *node, const uint8_t *id, struct cqle_plan *plan)
{
	struct cqle_prepared *p = lab_new(emu->heap, struct cqle_prepared);
	while (lab_map_count(node->prepared) >= emu->options.prepared_max)
		cqle_prepared_forget(emu, node, lab_view_of(node->oldest->id, 16));
	memcpy(p->id, id, sizeof(p->id));
	p->plan = plan;
	*lab_map_slot(node->prepared, lab_view_of(p->id, sizeof(p->id))) = p;
	p->older = node->newest;
	if (node->newest != NULL)
		node->newest->newer = p;
	else
		node->oldest = p;
	node->newest = p;
	return p;
}

/* Parses into an arena of its own, which lives with the plan. */
static int prepare(struct cqlemu *emu, struct cqle_op *op, struct lab_view text,
	struct lab_view keyspace, struct cqle_plan **ret, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(emu->heap, PLAN_ARENA_BYTES);
	struct lab_view own = text;
	(void)op;
	if (text.len <= CQLEMU_STATEMENT_MAX)
		own = lab_arena_copy(arena, text);
	if (make_plan(emu, arena, own, keyspace, ret, err) < 0) {
		lab_arena_free(&arena);
		return -1;
	}
	(*ret)->arena = arena;
	return 0;
}

static void warn_about_use(struct cqle_op *op, struct lab_view keyspace, const uint8_t *id)
{
	char hex[33];
	struct lab_view shown = keyspace.ptr != NULL ? keyspace : LAB_VIEW("null");
	lab_hex(id, 16, hex);
	cqle_op_warn(op, lab_arena_printf(op->arena,
				 "`USE <keyspace>` with prepared statements is considered to be an "
				 "anti-pattern due to ambiguity in non-qualified table names. "
				 "Please consider "
				 "removing instances of `Session#setKeyspace(<keyspace>)`, "
				 "`Session#execute(\"USE <keyspace>\")` and "
				 "`cluster.newSession(<keyspace>)` "
				 "from your code, and always use fully qualified table names (e.g. "
				 "<keyspace>.<table>). Keyspace used: %.*s, statement keyspace: "
				 "%.*s, statement "
				 "id: %s",
				 LAB_VIEW_ARG(shown), LAB_VIEW_ARG(shown), hex));
}

static void answer_prepared(
	struct cqlemu *emu, struct cqle_op *op, const struct cqle_plan *plan, const uint8_t *id)
{
	struct cql_response response = { .opcode = CQL_RESULT, .kind = CQL_RESULT_PREPARED };
	struct cql_prepared *p = &response.prepared;
	p->id = lab_view_of(id, 16);
	p->result_id = cqle_plan_result_id(emu, op->plan);
	p->binds.columns = plan->markers;
	p->binds.column_count = plan->marker_count;
	p->binds.pk_indexes = plan->pk_indexes;
	p->binds.pk_count = plan->pk_index_count;
	p->columns.columns = plan->result_columns;
	p->columns.column_count = plan->result_column_count;
	p->columns.no_metadata = plan->kind != STATEMENT_SELECT;
	cqle_op_answer(emu, op, &response);
	cqle_op_finish(emu, op);
}

void cqle_do_prepare(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	struct cqle_node *node = &emu->nodes[op->node];
	struct lab_view keyspace = session_keyspace(emu, op);
	struct cqle_plan *plan;
	struct lab_error err;
	uint8_t id[16];
	emu->counters.prepares++;
	op->kind = CQLE_OP_OTHER;
	op->operation = LAB_VIEW("PREPARE");
	op->text = cqle_loggable(op->arena, request->query);
	if (prepare(emu, op, request->query, keyspace, &plan, &err) < 0) {
		cqle_op_fail(emu, op, &err);
		return;
	}
	bool qualified = is_qualified(plan->statement);
	prepared_id(op, keyspace, qualified, request->query, id);
	struct cqle_prepared *p = prepared_find(emu, node, lab_view_of(id, 16));
	bool known = p != NULL;
	if (known)
		cqle_plan_unref(emu, plan);
	else
		p = prepared_add(emu, node, id, plan);
	op->plan = p->plan;
	op->plan->refs++;
	if (op->plan->table != NULL)
		op->subject = op->plan->table->full_name;
	if (!known && (op->plan->kind == STATEMENT_USE || (!qualified && keyspace.ptr != NULL)))
		warn_about_use(op, keyspace, id);
	memcpy(op->new_id, id, sizeof(id));
	if (op->plan->table != NULL && op->plan->table->keyspace->local)
		answer_prepared(emu, op, op->plan, op->new_id);
	else
		cqle_request_begin(emu, op, "cql.prepare");
}

void cqle_prepare_run(struct cqlemu *emu, struct cqle_op *op)
{
	answer_prepared(emu, op, op->plan, op->new_id);
}

static bool wrong_count(
	struct cqlemu *emu, struct cqle_op *op, const struct cqle_plan *plan, size_t count)
{
	if (count == plan->marker_count)
		return false;
	cqle_op_refuse(emu, op, CQL_E_INVALID,
		lab_arena_printf(op->arena,
			"there were %zu markers(?) in CQL but %zu bound variables",
			plan->marker_count, count));
	return true;
}

void cqle_do_execute(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	const struct cql_bind *values = request->params.values;
	struct cqle_prepared *p = prepared_find(emu, &emu->nodes[op->node], request->query);
	struct lab_error err;
	if (p == NULL) {
		op->operation = LAB_VIEW("EXECUTE");
		cqle_op_unprepared(emu, op, request->query);
		cqle_op_finish(emu, op);
		return;
	}
	p->plan->refs++;
	op->plan = p->plan;
	op->prepared_id = request->query;
	op->result_id = request->result_id;
	int arranged = arrange(op, p->plan, &values, request->params.value_count, &err);
	if (arranged < 0)
		cqle_op_fail(emu, op, &err);
	else if (arranged > 0 || !wrong_count(emu, op, p->plan, request->params.value_count))
		run_plan(emu, op, p->plan, values);
}

/* ---- BATCH ---- */

static bool is_change(const struct cqle_plan *plan)
{
	return plan->kind == STATEMENT_INSERT || plan->kind == STATEMENT_UPDATE ||
	       plan->kind == STATEMENT_DELETE;
}

/* The plan of one statement of a batch; borrowed from the prepared statements or the arena. 0,
 * -1, or 1 if it was answered (UNPREPARED). */
static int batch_plan(struct cqlemu *emu, struct cqle_op *op, const struct cql_batch_item *item,
	struct cqle_plan **ret, struct lab_error *err)
{
	if (!item->prepared)
		return make_plan(emu, op->arena, item->query, session_keyspace(emu, op), ret, err);
	struct cqle_prepared *p = prepared_find(emu, &emu->nodes[op->node], item->query);
	if (p == NULL) {
		cqle_op_unprepared(emu, op, item->query);
		return 1;
	}
	*ret = p->plan;
	return 0;
}

static int batch_item(struct cqlemu *emu, struct cqle_op *op, const struct cql_batch_item *item,
	struct lab_error *err)
{
	struct cqle_plan *plan;
	int result = batch_plan(emu, op, item, &plan, err);
	if (result != 0)
		return result;
	if (!is_change(plan))
		return cqle_fail(err, CQL_E_INVALID,
			"Invalid statement in batch: only UPDATE, INSERT and DELETE statements are "
			"allowed.");
	if (cqle_authorize(emu, op->session->role, plan, session_keyspace(emu, op), err) < 0)
		return -1;
	if (item->value_count != plan->marker_count)
		return cqle_fail(err, CQL_E_INVALID,
			"there were %zu markers(?) in CQL but %zu bound variables",
			plan->marker_count, item->value_count);
	if (cqle_batch_check(op->change.batch_type,
		    op->change.count == 0 ? NULL : op->change.items[0].plan->table, plan->table,
		    err) < 0)
		return -1;
	if (op->subject.len == 0) {
		op->subject = plan->table->full_name;
		op->text = lab_arena_copy(op->arena, plan->text);
	}
	if (op->user.ptr == NULL) {
		note_user(op, plan, item->values);
		op->user = op->user.ptr == NULL ? op->user : lab_arena_copy(op->arena, op->user);
		op->object = (struct lab_view){ 0 };
	}
	cqle_change_add(op, plan, item->values);
	return 0;
}

void cqle_do_batch(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	struct lab_error err;
	op->operation = LAB_VIEW("BATCH");
	emu->counters.batches++;
	op->change.is_batch = true;
	op->change.batch_type = request->batch_type;
	op->change.items =
		lab_arena_array(op->arena, struct cqle_change_item, request->batch_count + 1);
	for (size_t i = 0; i < request->batch_count; i++) {
		int result = batch_item(emu, op, &request->batch[i], &err);
		if (result < 0)
			cqle_op_fail(emu, op, &err);
		else if (result > 0)
			cqle_op_finish(emu, op);
		if (result != 0)
			return;
	}
	if (!cqle_profile_refuses_batch(emu, op))
		cqle_change_start(emu, op);
}

/* ---- set-up ---- */

static int setup_ddl(struct cqlemu *emu, const struct cqle_plan *plan, struct lab_error *err)
{
	struct cqle_ddl_result result;
	if (cqle_ddl(emu, plan->statement, emu->setup_keyspace, &result, err) < 0)
		return -1;
	if (result.change.change.len > 0 && emu->system_ready)
		cqle_schema_spread(emu, SIZE_MAX, &result.change);
	return cqle_ddl_done(emu, NULL, &result.change, err);
}

static int setup_plan(
	struct cqlemu *emu, struct cqle_op *op, struct cqle_plan *plan, struct lab_error *err)
{
	if (plan->marker_count > 0)
		return cqle_fail(err, CQL_E_INVALID, "Invalid amount of bind variables");
	if (emu->system_ready && cqle_authorize(emu, NULL, plan, emu->setup_keyspace, err) < 0)
		return -1;
	switch (plan->kind) {
	case STATEMENT_SELECT:
		return cqle_bind_select(emu, op->arena, plan, NULL, &op->select, err);
	case STATEMENT_INSERT:
	case STATEMENT_UPDATE:
	case STATEMENT_DELETE:
	case STATEMENT_BATCH:
		return cqle_change_setup(emu, op, plan, err);
	case STATEMENT_ROLE: {
		struct cqle_role_answer answer;
		return cqle_role_run(
			emu, op->arena, NULL, plan->statement, emu->setup_keyspace, &answer, err);
	}
	case STATEMENT_USE: {
		const struct cqle_keyspace *ks = cqle_keyspace_find(emu, plan->statement->keyspace);
		if (ks == NULL)
			return cqle_fail(err, CQL_E_INVALID, "Keyspace '%.*s' does not exist",
				LAB_VIEW_ARG(plan->statement->keyspace));
		emu->setup_keyspace = ks->name;
		return 0;
	}
	case STATEMENT_TRUNCATE:
		for (size_t i = 0; i < emu->node_count; i++)
			cqle_store_clear(plan->table->stores[i]);
		return 0;
	case STATEMENT_CREATE_KEYSPACE:
	case STATEMENT_CREATE_TABLE:
	case STATEMENT_DROP_KEYSPACE:
	case STATEMENT_DROP_TABLE:
	case STATEMENT_ALTER_KEYSPACE:
	case STATEMENT_ALTER_TABLE:
	case STATEMENT_CREATE_TYPE:
	case STATEMENT_DROP_TYPE:
	case STATEMENT_ALTER_TYPE:
	case STATEMENT_CREATE_INDEX:
	case STATEMENT_DROP_INDEX:
	case STATEMENT_UNSUPPORTED:
		break;
	case STATEMENT_DESCRIBE:
		return 0;
	}
	return setup_ddl(emu, plan, err);
}

int cqle_setup(struct cqlemu *emu, struct lab_view text, struct lab_error *err)
{
	struct cqle_op *op = cqle_op_new(emu, NULL, 0);
	struct cqle_plan *plan;
	int result = make_plan(
		emu, op->arena, lab_arena_copy(op->arena, text), emu->setup_keyspace, &plan, err);
	if (result == 0)
		result = setup_plan(emu, op, plan, err);
	cqle_op_finish(emu, op);
	return result;
}

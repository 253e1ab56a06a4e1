/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/live/foreign-cql.h"

#include "scenarios/live/cql-plain.h"
#include "sim/serve/schema.h"

#define PAGE_ROWS 1000
#define PAGE_BYTES_MAX (8 * CQL_PLAIN_ANSWER_MAX)
#define TEXT_MAX 65536
#define WAIT_NS (500 * LAB_MSEC)
#define AGREEMENT_NS (2 * LAB_MINUTE)

/* ---- statements, at any of the hosts ---- */

struct session {
	const struct foreign_cql *cql;
	struct cql_plain plain;
	size_t next; /* host to be tried */
	bool is_open;
	uint64_t patience_ns; /* how long nodes may refuse */
};

static void session_close(struct session *s)
{
	cql_plain_close(&s->plain);
	s->is_open = false;
}

static int session_open(struct session *s, struct lab_arena *arena, struct lab_error *err)
{
	const struct dict_cql_connect *c = s->cql->connect;
	const char *host;

	if (s->is_open)
		return 0;
	host = lab_arena_cstr(arena, c->hosts[s->next++ % c->host_count]);
	if (cql_plain_open(&s->plain, s->cql->env, host, c->port, c->user, c->password, err) == 0) {
		s->is_open = true;
		return 0;
	}
	/* Another host may do. */
	err->retryable = err->code != LAB_DENIED && err->code != LAB_INVALID;
	session_close(s);
	return -1;
}

static int attempt(struct session *s, struct lab_view text, const struct cql_params *params,
	struct lab_arena *arena, struct cql_response *ret, struct lab_error *err)
{
	if (session_open(s, arena, err) < 0)
		return -1;
	if (cql_plain_query(&s->plain, text, params, arena, ret, err) == 0)
		return 0;
	if (err->status != 0 && !err->retryable)
		return -1;
	err->retryable = true;
	session_close(s);
	return -1;
}

/* Everything that is asked here may be asked again. */
static int ask(struct session *s, struct lab_view text, const struct cql_params *params,
	struct lab_arena *arena, struct cql_response *ret, struct lab_error *err)
{
	struct env *env = s->cql->env;
	uint64_t began_ns = env_now(env);

	for (size_t tried = 1;; tried++) {
		struct lab_arena_mark mark = lab_arena_mark(arena);

		if (attempt(s, text, params, arena, ret, err) == 0)
			return 0;
		if (!err->retryable)
			return -1;
		if (tried >= s->cql->connect->host_count &&
			env_now(env) - began_ns >= s->patience_ns)
			return -1;
		lab_arena_rewind(arena, mark);
		if (tried % s->cql->connect->host_count == 0)
			env_sleep(env, WAIT_NS);
	}
}

static int ask_one(struct session *s, const char *text, struct lab_arena *arena,
	struct cql_response *ret, struct lab_error *err)
{
	struct cql_params params = { .consistency = CQL_ONE };

	return ask(s, lab_view_cstr(text), &params, arena, ret, err);
}

/* ---- the keyspace ---- */

static int check_keyspace(struct session *s, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view keyspace = s->cql->connect->keyspace;
	struct cql_response answer;

	if (ask_one(s,
		    lab_arena_printf(arena,
			    "SELECT keyspace_name FROM system_schema.keyspaces "
			    "WHERE keyspace_name = '%.*s'",
			    LAB_VIEW_ARG(keyspace)),
		    arena, &answer, err) < 0)
		return -1;
	if (answer.kind == CQL_RESULT_ROWS && answer.rows.row_count > 0)
		return lab_fail(err, LAB_EXISTS,
			"keyspace %.*s exists: a run makes its own, and drops it when it ends",
			LAB_VIEW_ARG(lab_view_sub(keyspace, 0, 80)));
	return 0;
}

/* The versions that this node has of itself and heard of the others. *ret_agreed: all are one. */
static int read_versions(struct session *s, struct lab_arena *arena, size_t *ret_nodes,
	bool *ret_agreed, struct lab_error *err)
{
	struct cql_response own, others;
	struct lab_view version;

	if (ask_one(s, "SELECT schema_version FROM system.local", arena, &own, err) < 0 ||
		ask_one(s, "SELECT schema_version FROM system.peers", arena, &others, err) < 0)
		return -1;
	if (own.rows.row_count != 1 || own.rows.metadata.column_count != 1 ||
		others.rows.metadata.column_count != 1)
		return lab_fail(err, LAB_CORRUPT, "the schema's version has another form");
	version = own.rows.cells[0];
	*ret_nodes = 1 + others.rows.row_count;
	*ret_agreed = true;
	for (size_t i = 0; i < others.rows.row_count; i++)
		*ret_agreed &= lab_view_eq(others.rows.cells[i], version);
	return 0;
}

static int check_nodes(
	struct session *s, unsigned replicas, struct lab_arena *arena, struct lab_error *err)
{
	size_t nodes;
	bool agreed;

	if (read_versions(s, arena, &nodes, &agreed, err) < 0)
		return -1;
	return nodes >= replicas ? 0
				 : lab_fail(err, LAB_INVALID,
					   "the cluster has %zu nodes, fewer than the %u replicas",
					   nodes, replicas);
}

static int await_agreement(struct session *s, struct lab_arena *arena, struct lab_error *err)
{
	struct env *env = s->cql->env;
	uint64_t until_ns = env_now(env) + AGREEMENT_NS;

	for (;;) {
		struct lab_arena_mark mark = lab_arena_mark(arena);
		size_t nodes;
		bool agreed;
		int result = read_versions(s, arena, &nodes, &agreed, err);

		lab_arena_rewind(arena, mark);
		if (result < 0 || agreed)
			return result;
		if (env_now(env) >= until_ns)
			return lab_fail(err, LAB_TIMEOUT, "the nodes do not agree on the schema");
		env_sleep(env, WAIT_NS);
	}
}

/* Statement by statement. Each USEs nothing: a later one may go to another host. */
static int create_schema(
	struct session *s, unsigned replicas, struct lab_arena *arena, struct lab_error *err)
{
	struct cql_params params = { .consistency = CQL_ONE };
	struct lab_view rest, statement;
	struct cql_response answer;
	struct lab_buf ddl;
	int result = 0;

	lab_buf_init(&ddl, s->cql->env->heap, TEXT_MAX);
	schema_print_qualified(s->cql->connect->keyspace, replicas, &ddl);
	rest = lab_buf_view(&ddl);
	while (result == 0 && lab_view_split(&rest, ';', &statement)) {
		if (lab_view_trim(statement).len > 0)
			result = ask(s, statement, &params, arena, &answer, err);
	}
	lab_buf_done(&ddl);
	return result < 0 ? -1 : await_agreement(s, arena, err);
}

static int drop(struct session *s, struct lab_arena *arena, struct lab_error *err)
{
	struct cql_response answer;

	return ask_one(s,
		lab_arena_printf(arena, "DROP KEYSPACE IF EXISTS %.*s",
			LAB_VIEW_ARG(s->cql->connect->keyspace)),
		arena, &answer, err);
}

int foreign_cql_claim(const struct foreign_cql *cql, unsigned replicas, struct lab_error *err)
{
	struct session s = { .cql = cql };
	struct lab_arena *arena = lab_arena_new(cql->env->heap, PAGE_BYTES_MAX);
	struct lab_error ignored;
	int result = -1;

	if (check_keyspace(&s, arena, err) == 0 && check_nodes(&s, replicas, arena, err) == 0) {
		s.patience_ns = cql->patience_ns;
		result = create_schema(&s, replicas, arena, err);
		if (result < 0)
			(void)drop(&s, arena, &ignored);
	}
	session_close(&s);
	lab_arena_free(&arena);
	return result;
}

int foreign_cql_clean(const struct foreign_cql *cql, struct lab_error *err)
{
	struct session s = { .cql = cql, .patience_ns = cql->patience_ns };
	struct lab_arena *arena = lab_arena_new(cql->env->heap, PAGE_BYTES_MAX);
	int result = drop(&s, arena, err);

	session_close(&s);
	lab_arena_free(&arena);
	return result;
}

/* ---- the mirror ---- */

static void put_text(struct lab_buf *out, struct lab_view text)
{
	lab_buf_append_byte(out, '\'');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\'')
			lab_buf_append_byte(out, '\'');
		lab_buf_append_byte(out, text.ptr[i]);
	}
	lab_buf_append_byte(out, '\'');
}

/* As a constant of CQL, of the types that our tables have. */
static int put_constant(struct lab_buf *out, const struct cql_column *column, struct lab_view value,
	struct lab_error *err)
{
	int64_t number;

	switch (column->type.id) {
	case CQL_TYPE_TEXT:
		put_text(out, value);
		return 0;
	case CQL_TYPE_BLOB:
		lab_buf_append_cstr(out, "0x");
		lab_buf_append_hex(out, value);
		return 0;
	case CQL_TYPE_INT:
		if (cql_value_to_i64(CQL_TYPE_INT, value, &number) < 0)
			break;
		lab_buf_printf(out, "%" PRId64, number);
		return 0;
	default:
		break;
	}
	return lab_fail(err, LAB_CORRUPT, "column %.*s holds what is no %s",
		LAB_VIEW_ARG(column->name), cql_type_name(column->type.id));
}

/* A column that is null is left out: what was never written has no cell. */
static int put_row(struct lab_buf *out, const char *table, const struct cql_metadata *columns,
	const struct lab_view *cells, struct lab_error *err)
{
	const char *separator = " (";

	lab_buf_printf(out, "INSERT INTO %s", table);
	for (size_t i = 0; i < columns->column_count; i++) {
		if (cells[i].ptr == NULL)
			continue;
		lab_buf_printf(out, "%s%.*s", separator, LAB_VIEW_ARG(columns->columns[i].name));
		separator = ",";
	}
	separator = ") VALUES (";
	for (size_t i = 0; i < columns->column_count; i++) {
		if (cells[i].ptr == NULL)
			continue;
		lab_buf_append_cstr(out, separator);
		if (put_constant(out, &columns->columns[i], cells[i], err) < 0)
			return -1;
		separator = ",";
	}
	lab_buf_append_byte(out, ')');
	return out->overflow ? lab_fail(err, LAB_LIMIT, "a row of %s is too long", table) : 0;
}

static int mirror_rows(const struct foreign_cql *cql, struct cqlemu *mirror, const char *table,
	const struct cql_rows *rows, struct lab_error *err)
{
	struct lab_buf text;
	int result = 0;

	lab_buf_init(&text, cql->env->heap, CQLEMU_STATEMENT_MAX);
	for (size_t i = 0; i < rows->row_count && result == 0; i++) {
		lab_buf_reset(&text);
		result = put_row(&text, table, &rows->metadata,
			rows->cells + i * rows->metadata.column_count, err);
		if (result == 0 && cqlemu_execute(mirror, lab_buf_view(&text), err) < 0)
			result = lab_error_wrap(err, "the mirror");
	}
	lab_buf_done(&text);
	return result;
}

static int mirror_table(
	struct session *s, struct cqlemu *mirror, const char *table, struct lab_error *err)
{
	struct env *env = s->cql->env;
	struct cql_params params = {
		.consistency = CQL_ALL, .flags = CQL_PARAM_PAGE_SIZE, .page_size = PAGE_ROWS
	};
	struct cql_response answer;
	size_t count = 0;
	struct lab_buf state;
	int result;

	lab_buf_init(&state, env->heap, TEXT_MAX);
	do {
		struct lab_arena *arena = lab_arena_new(env->heap, PAGE_BYTES_MAX);
		const char *text = lab_arena_printf(arena, "SELECT * FROM %s", table);

		params.paging_state = lab_buf_view(&state);
		result = ask(s, lab_view_cstr(text), &params, arena, &answer, err);
		if (result == 0)
			result = mirror_rows(s->cql, mirror, table, &answer.rows, err);
		count += result == 0 ? answer.rows.row_count : 0;
		if (result == 0 && count > FOREIGN_ROWS_MAX)
			result = lab_fail(err, LAB_LIMIT, "%s has more than %zu rows", table,
				FOREIGN_ROWS_MAX);
		lab_buf_reset(&state);
		if (result == 0)
			lab_buf_append_view(&state, answer.rows.metadata.paging_state);
		params.flags = CQL_PARAM_PAGE_SIZE | CQL_PARAM_PAGING_STATE;
		lab_arena_free(&arena);
	} while (result == 0 && state.len > 0);
	lab_buf_done(&state);
	return result;
}

int foreign_cql_mirror(const struct foreign_cql *cql, struct cqlemu *mirror, struct lab_error *err)
{
	struct session s = { .cql = cql, .patience_ns = cql->patience_ns };
	const char *table;
	int result = 0;

	for (size_t i = 0; result == 0 && (table = schema_table(i)) != NULL; i++) {
		struct lab_arena *arena = lab_arena_new(cql->env->heap, TEXT_MAX);

		result = mirror_table(&s, mirror,
			lab_arena_printf(
				arena, "%.*s.%s", LAB_VIEW_ARG(cql->connect->keyspace), table),
			err);
		lab_arena_free(&arena);
	}
	session_close(&s);
	return result;
}

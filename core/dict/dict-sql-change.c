/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions: changes of keys become statements, one or a batch (obox 3.6).
 */
#include "core/dict/dict-sql-private.h"

#define CHANGE_MAX_BYTES (64u << 20)
#define ARGS_MAX (DICT_SQL_VALUES_MAX + 1 + DICT_CQL_FIELDS_MAX)

/* One statement in the making. */
struct write {
	enum dict_change_kind kind;
	struct dict_sql_match match; /* of the first change that it holds */
	const struct dict_cql_value *columns[DICT_SQL_VALUES_MAX];
	struct cql_arg values[DICT_SQL_VALUES_MAX];
	size_t value_count;
	struct cql_arg keys[DICT_CQL_FIELDS_MAX];
};

struct transaction {
	struct dict_sql *sql;
	const struct dict_sql_operation *op;
	const struct dict_change_options *options;
	struct lab_arena *arena;
	struct write *writes;
	size_t count;
};

static bool is_same_arg(const struct cql_arg *a, const struct cql_arg *b)
{
	return a->kind == b->kind && a->number == b->number && lab_view_eq(a->bytes, b->bytes);
}

/* Sets of one row, through maps with the same fields. */
static bool is_mergeable(const struct write *a, const struct write *b)
{
	const struct dict_cql_map *x = a->match.map, *y = b->match.map;
	if (a->kind != DICT_CHANGE_SET || b->kind != DICT_CHANGE_SET ||
		a->value_count == DICT_SQL_VALUES_MAX || !lab_view_eq(x->table, y->table) ||
		x->field_count != y->field_count || !lab_view_eq(x->expire_field, y->expire_field))
		return false;
	for (size_t i = 0; i < x->field_count; i++) {
		if (!lab_view_eq(x->fields[i].column, y->fields[i].column) ||
			!is_same_arg(&a->keys[i], &b->keys[i]))
			return false;
	}
	return true;
}

static int fail_unmapped(const struct dict_change *change, struct lab_error *err)
{
	static const char *const prefixes[] = { [DICT_CHANGE_SET] = "sql dict set",
		[DICT_CHANGE_UNSET] = "dict-sql",
		[DICT_CHANGE_INC] = "sql dict atomic inc" };
	return lab_fail(err, LAB_INVALID, "%s: Invalid/unmapped key: %.*s", prefixes[change->kind],
		LAB_VIEW_ARG(change->key));
}

static int make_value(struct transaction *t, const struct dict_change *change, struct write *ret,
	struct lab_error *err)
{
	const struct dict_cql_value *first = &ret->match.map->values[0];
	if (change->kind == DICT_CHANGE_UNSET)
		return 0;
	ret->columns[0] = first;
	ret->value_count = 1;
	if (change->kind == DICT_CHANGE_INC) {
		ret->values[0] = (struct cql_arg){ .kind = CQL_ARG_INT, .number = change->diff };
		return 0;
	}
	return dict_sql_arg(ret->match.map, first->expression, first->type, change->value, t->arena,
		&ret->values[0], err);
}

static int make_write(struct transaction *t, const struct dict_change *change, struct write *ret,
	struct lab_error *err)
{
	*ret = (struct write){ .kind = change->kind };
	if (dict_sql_match_key(t->sql->config, change->key, &ret->match) == 0)
		return fail_unmapped(change, err);
	if (make_value(t, change, ret, err) < 0 ||
		dict_sql_args(&ret->match, t->sql->dict.env, t->arena, ret->keys, err) < 0) {
		return lab_error_wrap(err, "dict-sql: Failed to %s %.*s",
			change->kind == DICT_CHANGE_UNSET ? "unset" : "set",
			LAB_VIEW_ARG(change->key));
	}
	return 0;
}

static int add_change(
	struct transaction *t, const struct dict_change *change, struct lab_error *err)
{
	struct write *write = &t->writes[t->count];
	if (make_write(t, change, write, err) < 0)
		return -1;
	struct write *before = t->count == 0 ? NULL : write - 1;
	if (before == NULL || !is_mergeable(before, write)) {
		t->count++;
		return 0;
	}
	before->columns[before->value_count] = write->columns[0];
	before->values[before->value_count++] = write->values[0];
	return 0;
}

static struct lab_view text_of(const struct transaction *t, const struct write *write)
{
	const struct dict_sql_texts *texts = &t->sql->texts[write->match.index];
	if (write->kind != DICT_CHANGE_SET)
		return write->kind == DICT_CHANGE_UNSET ? texts->unset : texts->inc;
	if (write->value_count == 1)
		return texts->set;
	return dict_sql_set_text(write->match.map, write->columns, write->value_count,
		t->sql->dict.env->heap, t->arena);
}

static struct cql_statement statement_of(const struct transaction *t, const struct write *write)
{
	struct cql_arg *args = lab_arena_array(t->arena, struct cql_arg, ARGS_MAX);
	size_t n = 0;
	for (size_t i = 0; i < write->value_count; i++)
		args[n++] = write->values[i];
	if (write->kind == DICT_CHANGE_SET && dict_sql_expires(write->match.map)) {
		uint64_t secs = t->options->expire_secs;
		args[n++] = (struct cql_arg){ .kind = secs == 0 ? CQL_ARG_NULL : CQL_ARG_INT,
			.number = env_wall_seconds(t->sql->dict.env) + (int64_t)secs };
	}
	for (size_t i = 0; i < write->match.count; i++)
		args[n++] = write->keys[i];
	return (struct cql_statement){ .type = write->kind == DICT_CHANGE_UNSET
						       ? CQL_STATEMENT_DELETE
						       : CQL_STATEMENT_WRITE,
		.query = text_of(t, write),
		.args = args,
		.arg_count = n };
}

/* driver-cassandra's numbers of the types of a query. */
static int type_number(enum cql_statement_type type)
{
	return type == CQL_STATEMENT_DELETE ? 3 : 2;
}

static int make_batch(struct transaction *t, struct cql_statement *ret, struct lab_error *err)
{
	struct cql_statement *items = lab_arena_array(t->arena, struct cql_statement, t->count);
	if (!t->sql->config->batches) {
		return lab_fail(err, LAB_INVALID,
			"sql dict: commit failed: "
			"Multiple changes in transaction not supported");
	}
	for (size_t i = 0; i < t->count; i++) {
		items[i] = statement_of(t, &t->writes[i]);
		if (items[i].type != items[0].type) {
			return lab_fail(err, LAB_INVALID,
				"sql dict: commit failed: Mixed types of queries in transaction "
				"not supported (%d -> %d)",
				type_number(items[0].type), type_number(items[i].type));
		}
	}
	*ret = (struct cql_statement){ .type = items[0].type,
		.query = LAB_VIEW("<batch query>"),
		.batch = items,
		.batch_count = t->count,
		.batch_type = t->options->non_atomic ? CQL_BATCH_UNLOGGED : CQL_BATCH_LOGGED };
	return 0;
}

/* The offset is added to what the generator gives, and stays outside of it. */
static int64_t timestamp(const struct transaction *t)
{
	if (t->options->timestamp_us != 0)
		return (int64_t)t->options->timestamp_us;
	return cql_client_timestamp(t->sql->client) + (int64_t)t->options->timestamp_offset_us;
}

static int commit(struct transaction *t, const struct dict_change *changes, size_t count,
	struct lab_error *err)
{
	struct cql_statement statement;
	struct cql_result unused;
	t->writes = lab_arena_array(t->arena, struct write, count);
	for (size_t i = 0; i < count; i++) {
		if (add_change(t, &changes[i], err) < 0)
			return -1;
	}
	if (t->count == 1)
		statement = statement_of(t, &t->writes[0]);
	else if (make_batch(t, &statement, err) < 0)
		return -1;
	statement.timestamp_us = timestamp(t);
	return dict_sql_execute(
		t->sql, t->op, &statement, "sql dict: commit failed", 1, t->arena, &unused, err);
}

int dict_sql_commit(struct dict *dict, const struct dict_change *changes, size_t count,
	const struct dict_change_options *options, struct lab_error *err)
{
	static const char commands[] = {
		[DICT_CHANGE_SET] = 'S', [DICT_CHANGE_UNSET] = 'U', [DICT_CHANGE_INC] = 'A'
	};
	struct dict_sql *sql = dict_sql_of(dict);
	struct dict_sql_operation op;
	struct lab_error local = { 0 };
	struct lab_error *why = err == NULL ? &local : err;
	struct lab_arena *arena = lab_arena_new(dict->env->heap, CHANGE_MAX_BYTES);
	struct transaction t = { .sql = sql, .op = &op, .options = options, .arena = arena };
	dict_sql_begin(sql, &op, commands[changes[0].kind], changes[0].key);
	int result = commit(&t, changes, count, why);
	lab_arena_free(&arena);
	uint64_t took = dict_sql_end(sql, &op);
	bool uncertain = result < 0 && why->code == LAB_UNCERTAIN;
	dict_sql_warn_if_slow(sql, "commit", &op, took);
	ENV_EVENT(dict->env, LAB_EV_dict_transaction_finished, LAB_F_CSTR("driver", "sql"),
		LAB_F_TEXT("key", op.key), LAB_F_CSTR("write_uncertain", uncertain ? "yes" : "no"),
		LAB_F_U64("duration", took / LAB_USEC),
		LAB_F_CSTR("error", result < 0 ? why->message : ""));
	return result;
}

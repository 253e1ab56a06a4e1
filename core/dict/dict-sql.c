/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations of dict-sql, and around them what the dict client does: a time limit, warnings,
 * events (obox 3.6, 3.8, 7.3).
 */
#include "core/dict/dict-private.h"
#include "core/base/mark.h"
#include "core/dict/dict-sql-private.h"

#define TEXTS_MAX_BYTES (32u << 20)
#define ITERATE_MAX_BYTES (256u << 10)
#define LIST_MAX 4 /* commands named in the time-out's message */

/* ---- running operations ---- */

void dict_sql_begin(
	struct dict_sql *sql, struct dict_sql_operation *op, char command, struct lab_view key)
{
	*op = (struct dict_sql_operation){ .command = command,
		.key = key,
		.prev = sql->last,
		.started_ns = env_now(sql->dict.env) };
	if (sql->last == NULL)
		sql->first = op;
	else
		sql->last->next = op;
	sql->last = op;
}

uint64_t dict_sql_end(struct dict_sql *sql, struct dict_sql_operation *op)
{
	if (op->prev == NULL)
		sql->first = op->next;
	else
		op->prev->next = op->next;
	if (op->next == NULL)
		sql->last = op->prev;
	else
		op->next->prev = op->prev;
	if (sql->first == NULL)
		env_cond_broadcast(sql->dict.env, &sql->idle);
	return env_now(sql->dict.env) - op->started_ns;
}

/* "took 6.000 secs" */
static void put_secs(struct lab_buf *out, uint64_t ns)
{
	lab_buf_printf(out, "%" PRIu64 ".%03" PRIu64 " secs", ns / LAB_SEC, ns / LAB_MSEC % 1000);
}

static void put_pending(struct lab_buf *out, const struct dict_sql *sql)
{
	size_t count = 0;
	for (const struct dict_sql_operation *op = sql->first; op != NULL; op = op->next)
		count++;
	lab_buf_printf(out, " (%zu commands pending, oldest sent ", count);
	put_secs(out, env_now(sql->dict.env) - sql->first->started_ns);
	lab_buf_append_cstr(out, " ago: ");
	size_t listed = 0;
	for (const struct dict_sql_operation *op = sql->first; op != NULL && listed < LIST_MAX;
		op = op->next) {
		lab_buf_printf(out, "%s%c%.*s", listed++ == 0 ? "" : ", ", op->command,
			LAB_VIEW_ARG(op->key));
	}
	lab_buf_append_cstr(out, listed < count ? ", ...)" : ")");
}

/* The dict client's words for a statement that it gave up. Of a change it cannot know what
 * becomes of it, not even if nothing had been sent yet. */
static int fail_timeout(struct dict_sql *sql, const struct dict_sql_operation *op,
	enum cql_statement_type type, struct lab_error *err)
{
	struct lab_buf text;
	enum lab_code code = type == CQL_STATEMENT_READ ? LAB_TIMEOUT : LAB_UNCERTAIN;
	LAB_MARK(dict_timed_out);
	lab_buf_init(&text, sql->dict.env->heap, 8192);
	lab_buf_append_cstr(&text, "Dict server timeout: No input for ");
	put_secs(&text, env_now(sql->dict.env) - op->started_ns);
	put_pending(&text, sql);
	int result = lab_fail(err, code, "%s", lab_buf_cstr(&text));
	err->retryable = true;
	lab_buf_done(&text);
	return result;
}

int dict_sql_execute(struct dict_sql *sql, const struct dict_sql_operation *op,
	struct cql_statement *statement, const char *context, size_t max_rows,
	struct lab_arena *arena, struct cql_result *ret, struct lab_error *err)
{
	statement->deadline_ns = op->started_ns + DICT_CLIENT_TIMEOUT_NS;
	if (cql_client_execute(sql->client, statement, max_rows, arena, ret, err) == 0)
		return 0;
	if (env_now(sql->dict.env) >= statement->deadline_ns)
		return fail_timeout(sql, op, statement->type, err);
	return lab_error_wrap(err, "%s", context);
}

void dict_sql_warn_if_slow(struct dict_sql *sql, const char *what,
	const struct dict_sql_operation *op, uint64_t took_ns)
{
	struct lab_buf text;
	if (took_ns < DICT_CLIENT_WARN_NS)
		return;
	lab_buf_init(&text, sql->dict.env->heap, 8192);
	lab_buf_printf(&text, "dict %s took ", what);
	put_secs(&text, took_ns);
	lab_buf_printf(&text, ": %c%.*s", op->command, LAB_VIEW_ARG(op->key));
	ENV_EVENT(sql->dict.env, LAB_EV_log_message, LAB_F_TEXT("message", lab_buf_view(&text)));
	lab_buf_done(&text);
}

/* ---- lookup ---- */

/* NULL never expires. */
static bool is_expired(const struct cql_column *column, struct lab_view cell, int64_t now)
{
	int64_t expires;
	return cell.ptr != NULL && cql_value_to_i64(column->type.id, cell, &expires) == 0 &&
	       expires <= now;
}

static int lookup_values(const struct dict_cql_map *map, const struct cql_result *result,
	int64_t now, struct lab_arena *arena, struct dict_values *ret, struct lab_error *err)
{
	bool found = false;
	size_t first = dict_sql_expires(map) ? 1 : 0; /* the expire field comes before the values */
	if (result->row_count == 0)
		return 0;
	if (result->column_count != first + map->value_count) {
		return lab_fail(err, LAB_CORRUPT,
			"dict sql lookup failed: %zu columns for %zu values", result->column_count,
			first + map->value_count);
	}
	if (first > 0 && is_expired(&result->columns[0], result->cells[0], now))
		return 0;
	struct dict_values values = { .count = map->value_count };
	for (size_t i = 0; i < map->value_count; i++) {
		found |= result->cells[first + i].ptr != NULL;
		values.items[i] = dict_sql_text(&result->columns[first + i], map->values[i].type,
			result->cells[first + i], arena);
	}
	if (found)
		*ret = values;
	return found ? 1 : 0;
}

static int lookup(struct dict_sql *sql, const struct dict_sql_operation *op,
	struct lab_arena *arena, struct dict_values *ret, struct lab_error *err)
{
	struct dict_sql_match match;
	struct cql_arg args[DICT_CQL_FIELDS_MAX];
	struct cql_result result;
	if (dict_sql_match_key(sql->config, op->key, &match) == 0) {
		return lab_fail(err, LAB_INVALID, "sql dict lookup: Invalid/unmapped key: %.*s",
			LAB_VIEW_ARG(op->key));
	}
	if (dict_sql_args(&match, sql->dict.env, arena, args, err) < 0)
		return lab_error_wrap(err, "dict sql lookup failed");
	struct cql_statement statement = { .type = CQL_STATEMENT_READ,
		.query = sql->texts[match.index].lookup,
		.args = args,
		.arg_count = match.count };
	if (dict_sql_execute(
		    sql, op, &statement, "dict sql lookup failed", 1, arena, &result, err) < 0)
		return -1;
	return lookup_values(match.map, &result, env_wall_seconds(sql->dict.env), arena, ret, err);
}

static int sql_lookup(struct dict *dict, struct lab_view key, struct lab_arena *arena,
	struct dict_values *ret, struct lab_error *err)
{
	struct dict_sql *sql = dict_sql_of(dict);
	struct dict_sql_operation op;
	struct lab_error local;
	struct lab_error *why = err == NULL ? &local : err;
	dict_sql_begin(sql, &op, 'L', key);
	int found = lookup(sql, &op, arena, ret, why);
	uint64_t took = dict_sql_end(sql, &op);
	dict_sql_warn_if_slow(sql, "lookup", &op, took);
	ENV_EVENT(dict->env, LAB_EV_dict_lookup_finished, LAB_F_CSTR("driver", "sql"),
		LAB_F_TEXT("key", key), LAB_F_CSTR("key_not_found", found == 0 ? "yes" : "no"),
		LAB_F_U64("duration", took / LAB_USEC),
		LAB_F_CSTR("error", found < 0 ? why->message : ""));
	return found;
}

/* ---- iteration ---- */

static struct lab_view row_key(
	struct dict_sql *sql, struct lab_view path, struct lab_view part, struct lab_arena *arena)
{
	struct lab_buf key;
	lab_buf_init(&key, sql->dict.env->heap, path.len + 2 * part.len);
	lab_buf_append_view(&key, path);
	dict_escape(&key, part);
	struct lab_view copy = lab_arena_copy(arena, lab_buf_view(&key));
	lab_buf_done(&key);
	return copy;
}

/* Columns: the map's values, unless only keys are wanted, and the last field. */
static void fill_row(struct dict_sql *sql, const struct dict_sql_match *match,
	const struct cql_result *result, const struct lab_view *cells, struct lab_view path,
	struct lab_arena *arena, struct dict_row *ret)
{
	size_t values = result->column_count - 1;
	enum dict_cql_type type = match->map->fields[match->map->field_count - 1].type;
	ret->values.count = values;
	for (size_t i = 0; i < values; i++) {
		ret->values.items[i] = dict_sql_text(
			&result->columns[i], match->map->values[i].type, cells[i], arena);
	}
	ret->key = row_key(sql, path,
		dict_sql_text(&result->columns[values], type, cells[values], arena), arena);
}

static int iterate_match(struct dict_sql *sql, struct lab_view path, struct dict_sql_match *ret,
	struct lab_error *err)
{
	if (dict_sql_match_path(sql->config, path, ret) == 0) {
		return lab_fail(err, LAB_INVALID,
			"sql dict iterate failed for %.*s: Invalid/unmapped path",
			LAB_VIEW_ARG(path));
	}
	if (ret->count == ret->map->field_count) {
		return lab_fail(err, LAB_INVALID,
			"sql dict iterate failed for %.*s: Key continues past the matched pattern "
			"%.*s",
			LAB_VIEW_ARG(path), LAB_VIEW_ARG(ret->map->pattern));
	}
	return 0;
}

static struct lab_view iterate_text(const struct dict_cql_map *map,
	const struct dict_sql_texts *texts, const struct dict_iterate_options *options,
	struct lab_heap *heap, struct lab_arena *arena)
{
	struct lab_view text = options->no_value ? texts->iterate_no_value : texts->iterate;
	struct lab_buf out;
	if (options->limit == 0 && !options->sort_by_key && !options->sort_by_value)
		return text;
	lab_buf_init(&out, heap, ITERATE_MAX_BYTES);
	lab_buf_append_view(&out, text);
	for (size_t i = 0; i < map->field_count && options->sort_by_key; i++)
		lab_buf_printf(&out, "%s%.*s", i == 0 ? " ORDER BY " : ",",
			LAB_VIEW_ARG(map->fields[i].column));
	if (options->sort_by_value && !options->sort_by_key)
		lab_buf_printf(&out, " ORDER BY %.*s", LAB_VIEW_ARG(map->value_field));
	if (options->limit > 0)
		lab_buf_printf(&out, " LIMIT %" PRIu64, options->limit);
	text = lab_arena_copy(arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return text;
}

static int iterate(struct dict_sql *sql, const struct dict_sql_operation *op,
	const struct dict_iterate_options *options, struct lab_arena *arena,
	struct dict_row **ret_rows, size_t *ret_count, struct lab_error *err)
{
	struct dict_sql_match match;
	struct cql_arg args[DICT_CQL_FIELDS_MAX];
	struct cql_result result;
	if (iterate_match(sql, op->key, &match, err) < 0)
		return -1;
	if (dict_sql_args(&match, sql->dict.env, arena, args, err) < 0)
		return lab_error_wrap(err, "dict sql iterate failed");
	struct cql_statement statement = { .type = CQL_STATEMENT_READ,
		.query = iterate_text(
			match.map, &sql->texts[match.index], options, sql->dict.env->heap, arena),
		.args = args,
		.arg_count = match.count };
	if (dict_sql_execute(sql, op, &statement, "dict sql iterate failed", options->max_rows,
		    arena, &result, err) < 0)
		return -1;
	size_t columns = (options->no_value ? 0 : match.map->value_count) + 1;
	if (result.row_count > 0 && result.column_count != columns) {
		return lab_fail(err, LAB_CORRUPT,
			"dict sql iterate failed: %zu columns instead of %zu", result.column_count,
			columns);
	}
	struct dict_row *rows = lab_arena_array(arena, struct dict_row, result.row_count);
	for (size_t i = 0; i < result.row_count; i++)
		fill_row(
			sql, &match, &result, &result.cells[i * columns], op->key, arena, &rows[i]);
	*ret_rows = rows;
	*ret_count = result.row_count;
	return 0;
}

static int sql_iterate(struct dict *dict, struct lab_view path,
	const struct dict_iterate_options *options, struct lab_arena *arena,
	struct dict_row **ret_rows, size_t *ret_count, struct lab_error *err)
{
	struct dict_sql *sql = dict_sql_of(dict);
	struct dict_sql_operation op;
	struct lab_error local;
	struct lab_error *why = err == NULL ? &local : err;
	dict_sql_begin(sql, &op, 'I', path);
	int result = iterate(sql, &op, options, arena, ret_rows, ret_count, why);
	uint64_t took = dict_sql_end(sql, &op);
	dict_sql_warn_if_slow(sql, "iteration", &op, took);
	ENV_EVENT(dict->env, LAB_EV_dict_iteration_finished, LAB_F_CSTR("driver", "sql"),
		LAB_F_TEXT("key", path), LAB_F_U64("rows", result == 0 ? *ret_count : 0),
		LAB_F_U64("duration", took / LAB_USEC),
		LAB_F_CSTR("error", result < 0 ? why->message : ""));
	return result;
}

/* ---- life ---- */

static void sql_close(struct dict *dict)
{
	struct dict_sql *sql = dict_sql_of(dict);
	struct lab_heap *heap = dict->env->heap;
	while (sql->first != NULL)
		(void)env_cond_wait(dict->env, &sql->idle, ENV_FOREVER);
	lab_arena_free(&sql->texts_arena);
	lab_heap_free(heap, sql);
}

static const struct dict_ops sql_ops = {
	.lookup = sql_lookup, .iterate = sql_iterate, .commit = dict_sql_commit, .close = sql_close
};

int dict_sql_open(struct env *env, const struct dict_cql_config *config, struct cql_client *client,
	struct dict **ret, struct lab_error *err)
{
	for (size_t i = 0; i < config->map_count; i++) {
		if (config->maps[i].value_count == 0 ||
			config->maps[i].value_count > DICT_VALUES_MAX) {
			return lab_fail(err, LAB_INVALID, "map %.*s must have 1 to %d value fields",
				LAB_VIEW_ARG(config->maps[i].pattern), DICT_VALUES_MAX);
		}
	}
	struct dict_sql *sql = lab_new(env->heap, struct dict_sql);
	sql->dict.ops = &sql_ops;
	sql->dict.env = env;
	sql->config = config;
	sql->client = client;
	sql->texts_arena = lab_arena_new(env->heap, TEXTS_MAX_BYTES);
	sql->texts = lab_arena_array(sql->texts_arena, struct dict_sql_texts, config->map_count);
	for (size_t i = 0; i < config->map_count; i++) {
		if (dict_sql_texts_make(&config->maps[i], env->heap, sql->texts_arena,
			    &sql->texts[i], err) < 0) {
			sql_close(&sql->dict);
			return -1;
		}
	}
	*ret = &sql->dict;
	return 0;
}

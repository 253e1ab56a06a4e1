/* SPDX-License-Identifier: Apache-2.0 */
#include "core/obox/gc-rows.h"

#include "core/dict/dict-sql.h"

#include <stdio.h>

#define PAGE_ROWS 1000
#define COLUMNS_MAX (DICT_CQL_FIELDS_MAX + DICT_CQL_VALUES_MAX)
#define KEYS_MAX 8
#define RANGE_BYTES_MAX ((size_t)1 << 30)
#define QUERY_MAX 2048
#define NAME_HEX_MAX 4096

struct gc_rows {
	struct env *env;
	const struct dict_cql_config *config;
	struct dict_cql_connect connect;
	struct cql_client *client;
};

/* A table, and what of it names objects. */
struct table {
	struct lab_view name; /* with its keyspace, if the map has it */
	struct column {
		struct lab_view name;
		bool is_blob;
	} columns[COLUMNS_MAX];
	size_t column_count;
	struct lab_view keys[KEYS_MAX]; /* the partition key */
	size_t key_count;
};

/* ---- which tables, which columns ---- */

static bool names_an_object(struct lab_view variable)
{
	static const char *const others[] = { "user", "mailbox_guid", "bucket", "host" };

	for (size_t i = 0; i < LAB_COUNT_OF(others); i++) {
		if (lab_view_eq_cstr(variable, others[i]))
			return false;
	}
	return true;
}

static void add_column(struct table *table, struct lab_view name, enum dict_cql_type type)
{
	for (size_t i = 0; i < table->column_count; i++) {
		if (lab_view_eq(table->columns[i].name, name))
			return;
	}
	if (table->column_count < COLUMNS_MAX)
		table->columns[table->column_count++] =
			(struct column){ name, type == DICT_CQL_HEXBLOB };
}

/* The value of one map may be the user or the folder of another. */
static bool is_a_name_elsewhere(
	const struct dict_cql_config *config, struct lab_view table, struct lab_view column)
{
	for (size_t m = 0; m < config->map_count; m++) {
		const struct dict_cql_map *map = &config->maps[m];

		for (size_t f = 0; lab_view_eq(map->table, table) && f < map->field_count; f++) {
			if (lab_view_eq(map->fields[f].column, column) &&
				!names_an_object(map->fields[f].variable))
				return true;
		}
	}
	return false;
}

static void add_map(
	const struct dict_cql_config *config, const struct dict_cql_map *map, struct table *table)
{
	for (size_t f = 0; f < map->field_count; f++) {
		if (names_an_object(map->fields[f].variable))
			add_column(table, map->fields[f].column, map->fields[f].type);
	}
	for (size_t v = 0; v < map->value_count; v++) {
		const struct dict_cql_value *value = &map->values[v];

		if (lab_view_find_byte(value->expression, '(') == SIZE_MAX &&
			!is_a_name_elsewhere(config, map->table, value->expression))
			add_column(table, value->expression, value->type);
	}
}

static void table_of(const struct dict_cql_config *config, struct lab_view name, struct table *ret)
{
	*ret = (struct table){ .name = name };
	for (size_t m = 0; m < config->map_count; m++) {
		const struct dict_cql_map *map = &config->maps[m];

		if (lab_view_eq(map->table, name) &&
			!lab_view_ends_with(map->pattern, LAB_VIEW("/max_bucket")))
			add_map(config, map, ret);
	}
}

/* ---- the partition key ---- */

static struct cql_arg text_arg(struct lab_view text)
{
	return (struct cql_arg){ .kind = CQL_ARG_TEXT, .bytes = text };
}

static void take_key(struct table *table, const struct lab_view *cells)
{
	uint32_t position = 0;

	for (size_t i = 0; i < cells[2].len && i < 4; i++)
		position = position << 8 | cells[2].ptr[i];
	if (!lab_view_eq_cstr(cells[1], "partition_key") || position >= KEYS_MAX)
		return;
	table->keys[position] = cells[0];
	table->key_count = LAB_MAX(table->key_count, (size_t)position + 1);
}

/* A table that is not there has no rows: 0; else 1. */
static int read_keys(
	struct gc_rows *rows, struct table *table, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view keyspace = rows->connect.keyspace, name = table->name, part;
	struct cql_arg args[2];
	struct cql_statement statement = { .type = CQL_STATEMENT_READ,
		.query = LAB_VIEW("SELECT column_name,kind,position FROM system_schema.columns "
				  "WHERE keyspace_name = ? AND table_name = ?"),
		.args = args,
		.arg_count = 2 };
	struct cql_result result;

	if (lab_view_find_byte(name, '.') != SIZE_MAX && lab_view_split(&name, '.', &part))
		keyspace = part;
	args[0] = text_arg(keyspace);
	args[1] = text_arg(name);
	if (cql_client_execute(rows->client, &statement, 1000, arena, &result, err) < 0)
		return -1;
	for (size_t r = 0; r < result.row_count; r++)
		take_key(table, &result.cells[r * result.column_count]);
	if (result.row_count > 0 && table->key_count == 0)
		return lab_fail(err, LAB_CORRUPT, "table %.*s has no partition key",
			LAB_VIEW_ARG(table->name));
	return result.row_count > 0;
}

/* ---- rows of a range of tokens ---- */

struct scan {
	struct gc_rows *rows;
	struct table table;
	char query[QUERY_MAX];
	storage_gc_add_fn add;
	void *add_ctx;
};

static void print_list(struct lab_buf *out, const struct lab_view *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		lab_buf_printf(out, "%s\"%.*s\"", i > 0 ? "," : "", LAB_VIEW_ARG(items[i]));
}

static int print_query(struct scan *scan, struct lab_error *err)
{
	const struct table *t = &scan->table;
	struct lab_view columns[COLUMNS_MAX];
	struct lab_buf out;
	int result = 0;

	for (size_t i = 0; i < t->column_count; i++)
		columns[i] = t->columns[i].name;
	lab_buf_init(&out, scan->rows->env->heap, QUERY_MAX - 1);
	lab_buf_append_cstr(&out, "SELECT ");
	print_list(&out, columns, t->column_count);
	lab_buf_printf(&out, " FROM %.*s WHERE token(", LAB_VIEW_ARG(t->name));
	print_list(&out, t->keys, t->key_count);
	lab_buf_append_cstr(&out, ") >= ? AND token(");
	print_list(&out, t->keys, t->key_count);
	lab_buf_append_cstr(&out, ") <= ?");
	if (out.overflow)
		result = lab_fail(
			err, LAB_LIMIT, "table %.*s has too many columns", LAB_VIEW_ARG(t->name));
	else
		memcpy(scan->query, lab_buf_cstr(&out), out.len + 1);
	lab_buf_done(&out);
	return result;
}

/* "<object id>/<name>" names two. */
static int add_text(struct scan *scan, struct lab_view text, struct lab_error *err)
{
	struct lab_view part;

	while (lab_view_split(&text, '/', &part)) {
		if (part.len > 0 && scan->add(scan->add_ctx, part, err) < 0)
			return -1;
	}
	return 0;
}

static int add_cell(
	struct scan *scan, const struct column *column, struct lab_view cell, struct lab_error *err)
{
	char hex[NAME_HEX_MAX + 1];

	if (cell.len == 0)
		return 0;
	if (!column->is_blob)
		return add_text(scan, cell, err);
	/* A path in hex, of rows for old versions: its last part is its name (obox 2). */
	if (lab_view_find_byte(cell, '/') != SIZE_MAX && add_text(scan, cell, err) < 0)
		return -1;
	if (cell.len > NAME_HEX_MAX / 2)
		return 0;
	lab_hex(cell.ptr, cell.len, hex);
	return scan->add(scan->add_ctx, lab_view_cstr(hex), err);
}

static int add_rows(struct scan *scan, const struct cql_result *result, struct lab_error *err)
{
	for (size_t r = 0; r < result->row_count; r++) {
		for (size_t c = 0; c < result->column_count; c++) {
			struct lab_view cell = result->cells[r * result->column_count + c];

			if (add_cell(scan, &scan->table.columns[c], cell, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* 1: there are too many rows for one answer. */
static int scan_once(struct scan *scan, int64_t low, int64_t high, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(scan->rows->env->heap, RANGE_BYTES_MAX);
	struct cql_arg args[2] = { { .kind = CQL_ARG_INT, .number = low },
		{ .kind = CQL_ARG_INT, .number = high } };
	struct cql_statement statement = { .type = CQL_STATEMENT_READ,
		.query = lab_view_cstr(scan->query),
		.args = args,
		.arg_count = 2 };
	struct cql_result result;
	int status = cql_client_execute(
		scan->rows->client, &statement, GC_ROWS_OF_RANGE, arena, &result, err);

	if (status == 0)
		status = add_rows(scan, &result, err);
	else if (err->code == LAB_LIMIT && low < high)
		status = 1;
	lab_arena_free(&arena);
	return status;
}

#define DEPTH_MAX 64

/* Halves until each fits. */
static int scan_ranges(struct scan *scan, struct lab_error *err)
{
	struct range {
		int64_t low, high;
	} ranges[DEPTH_MAX + 1] = { { INT64_MIN, INT64_MAX } };
	size_t count = 1;

	while (count > 0) {
		struct range range = ranges[--count];
		int status = scan_once(scan, range.low, range.high, err);
		int64_t middle = (int64_t)((uint64_t)range.low +
					   ((uint64_t)range.high - (uint64_t)range.low) / 2);

		if (status < 0)
			return -1;
		if (status == 0)
			continue;
		lab_assert(count + 2 <= LAB_COUNT_OF(ranges));
		ranges[count++] = (struct range){ middle + 1, range.high };
		ranges[count++] = (struct range){ range.low, middle };
	}
	return 0;
}

static int scan_table(struct gc_rows *rows, struct lab_view name, storage_gc_add_fn add,
	void *add_ctx, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(rows->env->heap, 4 * 1024 * 1024);
	struct scan *scan = lab_new(rows->env->heap, struct scan);
	int result = 0;

	*scan = (struct scan){ .rows = rows, .add = add, .add_ctx = add_ctx };
	table_of(rows->config, name, &scan->table);
	if (scan->table.column_count > 0)
		result = read_keys(rows, &scan->table, arena, err);
	if (result > 0)
		result = print_query(scan, err) < 0 ? -1 : scan_ranges(scan, err);
	lab_heap_free(rows->env->heap, scan);
	lab_arena_free(&arena);
	return result < 0 ? lab_error_wrap(err, "table %.*s", LAB_VIEW_ARG(name)) : 0;
}

static bool is_first_map_of_table(const struct dict_cql_config *config, size_t map)
{
	for (size_t m = 0; m < map; m++) {
		if (lab_view_eq(config->maps[m].table, config->maps[map].table))
			return false;
	}
	return true;
}

static int each(void *ctx, storage_gc_add_fn add, void *add_ctx, struct lab_error *err)
{
	struct gc_rows *rows = ctx;
	const struct dict_cql_config *config = rows->config;

	for (size_t m = 0; m < config->map_count; m++) {
		if (is_first_map_of_table(config, m) &&
			scan_table(rows, config->maps[m].table, add, add_ctx, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- one object ---- */

/* "dictrevmap/$object_id/$object_name" (obox 3.4, 10). */
static const struct dict_cql_map *reverse_map(const struct dict_cql_config *config)
{
	for (size_t m = 0; m < config->map_count; m++) {
		const struct dict_cql_map *map = &config->maps[m];

		if (map->field_count == 2 &&
			lab_view_eq_cstr(map->fields[0].variable, "object_id") &&
			lab_view_eq_cstr(map->fields[1].variable, "object_name"))
			return map;
	}
	return NULL;
}

static int is_referenced(void *ctx, struct lab_view name, struct lab_error *err)
{
	struct gc_rows *rows = ctx;
	const struct dict_cql_map *map = reverse_map(rows->config);
	uint8_t oid[NAME_HEX_MAX / 2];
	struct lab_arena *arena;
	struct cql_arg arg = { .kind = CQL_ARG_BLOB };
	struct cql_statement statement = {
		.type = CQL_STATEMENT_READ, .args = &arg, .arg_count = 1
	};
	struct cql_result result;
	int status;

	/* Without a reverse table, and of what is no object id, no row is ever added later. */
	if (map == NULL || map->fields[0].type != DICT_CQL_HEXBLOB || name.len == 0 ||
		name.len % 2 != 0 || name.len / 2 > sizeof(oid) ||
		lab_unhex(name, oid, name.len / 2) < 0)
		return 0;
	arg.bytes = lab_view_of(oid, name.len / 2);
	arena = lab_arena_new(rows->env->heap, 1024 * 1024);
	statement.query = lab_view_cstr(
		lab_arena_printf(arena, "SELECT \"%.*s\" FROM %.*s WHERE \"%.*s\" = ? LIMIT 1",
			LAB_VIEW_ARG(map->fields[1].column), LAB_VIEW_ARG(map->table),
			LAB_VIEW_ARG(map->fields[0].column)));
	status = cql_client_execute(rows->client, &statement, 1, arena, &result, err);
	lab_arena_free(&arena);
	return status < 0 ? -1 : result.row_count > 0;
}

/* ---- the client ---- */

int gc_rows_open(struct env *env, const struct dict_cql_config *config, struct gc_rows **ret,
	struct storage_gc_rows *ret_source, struct lab_error *err)
{
	struct gc_rows *rows = lab_new(env->heap, struct gc_rows);

	rows->env = env;
	rows->config = config;
	rows->connect = config->connect;
	rows->connect.read_consistency = DICT_CQL_ALL;
	rows->connect.read_fallback_consistency = DICT_CQL_ALL;
	rows->connect.page_size = PAGE_ROWS;
	rows->connect.metrics = (struct lab_view){ NULL, 0 };
	if (dict_sql_connect(env, &rows->connect, 0, &rows->client, err) < 0) {
		lab_heap_free(env->heap, rows);
		return -1;
	}
	*ret_source = (struct storage_gc_rows){ each, is_referenced, rows };
	*ret = rows;
	return 0;
}

void gc_rows_close(struct gc_rows **rows)
{
	if (*rows == NULL)
		return;
	cql_client_close(&(*rows)->client);
	lab_heap_free((*rows)->env->heap, *rows);
	*rows = NULL;
}

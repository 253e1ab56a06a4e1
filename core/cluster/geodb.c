/* SPDX-License-Identifier: Apache-2.0
 *
 * geodb.c - rows of GeoDB over CQL.
 */
#include "core/cluster/geodb.h"

#include "core/base/defect.h"

#define STATEMENT_MAX 1024
#define PUT_ARENA_MAX (1u << 20)
/* "unconfigured table", "Keyspace ... does not exist" */
#define CQL_INVALID_STATUS 0x2200

struct geodb {
	struct env *env;
	struct cql_client *client;
	struct geodb_settings settings;
};

void geodb_settings_defaults(struct geodb_settings *ret)
{
	*ret = (struct geodb_settings){ .request_ns = 30 * LAB_SEC,
		.attempts = 3,
		.retry_ns = 50 * LAB_MSEC,
		.rows_max = 1000000 };
}

struct geodb *geodb_new(
	struct env *env, struct cql_client *client, const struct geodb_settings *settings)
{
	struct geodb *geodb = lab_new(env->heap, struct geodb);

	lab_assert(settings->attempts > 0);
	geodb->env = env;
	geodb->client = client;
	geodb->settings = *settings;
	return geodb;
}

void geodb_free(struct geodb **geodb)
{
	if (*geodb != NULL)
		lab_heap_free((*geodb)->env->heap, *geodb);
	*geodb = NULL;
}

struct env *geodb_env(const struct geodb *geodb)
{
	return geodb->env;
}

int64_t geodb_timestamp(struct geodb *geodb, int64_t version_us)
{
	int64_t now = cql_client_timestamp(geodb->client);

	/* Palomar 1.4: an order is newer than the row that it was given on, whatever clocks say. */
	return now > version_us || lab_defect(ORDER_BY_CLOCK) ? now : version_us + 1;
}

/* ---- values ---- */

static struct cql_arg arg_of(const struct cluster_column *column, const void *row)
{
	const void *value = (const uint8_t *)row + column->offset;
	struct cql_arg arg = { .kind = CQL_ARG_NULL };

	if (column->kind == CLUSTER_KIND_ID) {
		if (cluster_id_is_set(*(const struct cluster_id *)value)) {
			arg.kind = CQL_ARG_UUID;
			arg.bytes = lab_view_of(value, CLUSTER_ID_SIZE);
		}
	} else if (column->kind == CLUSTER_KIND_INT) {
		arg.kind = CQL_ARG_INT;
		arg.number = *(const int64_t *)value;
	} else {
		arg.bytes = column->kind == CLUSTER_KIND_TEXT
				    ? *(const struct lab_view *)value
				    : lab_view_cstr(cluster_status_name(
					      *(const enum cluster_status *)value));
		if (arg.bytes.ptr != NULL)
			arg.kind = CQL_ARG_TEXT;
	}
	return arg;
}

/* Widths are the database's: int, bigint, timestamp. */
static int number_of(struct lab_view cell, int64_t *ret)
{
	uint16_t type = cell.len == 4 ? CQL_TYPE_INT : CQL_TYPE_BIGINT;

	return cql_value_to_i64(type, cell, ret);
}

static int value_of(
	const struct cluster_column *column, struct lab_view cell, void *row, struct lab_error *err)
{
	void *value = (uint8_t *)row + column->offset;

	if (cell.ptr == NULL)
		return 0;
	switch (column->kind) {
	case CLUSTER_KIND_ID:
		if (cell.len != CLUSTER_ID_SIZE)
			return lab_fail(err, LAB_CORRUPT, "column %s is no uuid", column->name);
		memcpy(value, cell.ptr, CLUSTER_ID_SIZE);
		break;
	case CLUSTER_KIND_TEXT:
		if (cell.len > CLUSTER_TEXT_MAX)
			return lab_fail(err, LAB_CORRUPT, "column %s has %zu bytes", column->name,
				cell.len);
		*(struct lab_view *)value = cell;
		break;
	case CLUSTER_KIND_INT:
		if (number_of(cell, value) < 0)
			return lab_fail(err, LAB_CORRUPT, "column %s is no number", column->name);
		break;
	case CLUSTER_KIND_STATUS:
		/* A word of a later version: nobody is sent there. */
		(void)cluster_status_parse(cell, value);
		break;
	}
	return 0;
}

/* ---- SELECT ---- */

static void where_keys(const struct cluster_table *table, size_t key_count, struct lab_buf *text)
{
	for (size_t i = 0; i < key_count; i++)
		lab_buf_printf(
			text, "%s%s = ?", i == 0 ? " WHERE " : " AND ", table->columns[i].name);
}

static bool is_contended(const struct cluster_column *column)
{
	return column->role == CLUSTER_ROLE_CONTENDED || column->role == CLUSTER_ROLE_MAIN;
}

/* All columns in order, then the times at which contended ones were written. */
static void select_text(const struct cluster_table *table, size_t key_count, struct lab_buf *text)
{
	for (size_t i = 0; i < table->column_count; i++)
		lab_buf_printf(text, "%s%s", i == 0 ? "SELECT " : ", ", table->columns[i].name);
	for (size_t i = 0; i < table->column_count; i++) {
		if (is_contended(&table->columns[i]))
			lab_buf_printf(text, ", writetime(%s)", table->columns[i].name);
	}
	lab_buf_printf(text, " FROM %s", table->name);
	where_keys(table, key_count, text);
}

/* One row of a result. 1, 0 if it is not a row, -1. */
static int take_row(const struct cluster_table *table, const struct lab_view *cells, void *ret,
	struct lab_error *err)
{
	int64_t version = INT64_MIN, written;
	const struct lab_view *times = cells + table->column_count;
	bool is_row = true;

	memset(ret, 0, table->row_size);
	for (size_t i = 0; i < table->column_count; i++) {
		const struct cluster_column *column = &table->columns[i];

		if (value_of(column, cells[i], ret, err) < 0)
			return lab_error_wrap(err, "GeoDB table %s", table->name);
		if (column->role == CLUSTER_ROLE_MAIN && cells[i].ptr == NULL)
			is_row = false;
		if (!is_contended(column))
			continue;
		if (times->ptr != NULL && number_of(*times, &written) == 0)
			version = LAB_MAX(version, written);
		times++;
	}
	memcpy((uint8_t *)ret + table->version_offset, &version, sizeof(version));
	return is_row;
}

static int run_select(struct geodb *geodb, const struct cluster_table *table, const void *keys,
	size_t key_count, size_t rows_max, struct lab_arena *arena, struct cql_result *ret,
	struct lab_error *err)
{
	struct cql_arg args[CLUSTER_COLUMNS_MAX];
	struct cql_statement statement = { .type = CQL_STATEMENT_READ,
		.args = args,
		.arg_count = key_count,
		.deadline_ns = env_now(geodb->env) + geodb->settings.request_ns };
	struct lab_buf text;

	lab_buf_init_arena(&text, arena, STATEMENT_MAX);
	select_text(table, key_count, &text);
	lab_assert(!text.overflow);
	statement.query = lab_buf_view(&text);
	for (size_t i = 0; i < key_count; i++)
		args[i] = arg_of(&table->columns[i], keys);
	if (cql_client_execute(geodb->client, &statement, rows_max, arena, ret, err) == 0)
		return 0;
	if (lab_defect(GEODB_AWAITED))
		env_sleep(geodb->env, 2 * LAB_MINUTE);
	return lab_error_wrap(err, "GeoDB lookup in %s failed", table->name);
}

int geodb_get(struct geodb *geodb, enum cluster_table_id id, void *row, struct lab_arena *arena,
	struct lab_error *err)
{
	const struct cluster_table *table = cluster_table(id);
	struct cql_result result;
	uint64_t found[64];

	lab_assert(table->row_size <= sizeof(found));
	if (run_select(geodb, table, row, table->key_count, 1, arena, &result, err) < 0)
		return -1;
	if (result.row_count == 0)
		return 0;
	int is_row = take_row(table, result.cells, found, err);
	if (is_row > 0)
		memcpy(row, found, table->row_size);
	return is_row;
}

/* ---- lists ---- */

static int compare_keys(const struct cluster_table *table, const uint8_t *a, const uint8_t *b)
{
	for (size_t i = 0; i < table->key_count; i++) {
		const struct cluster_column *column = &table->columns[i];
		const void *left = a + column->offset, *right = b + column->offset;
		int order = 0;

		if (column->kind == CLUSTER_KIND_ID)
			order = memcmp(left, right, CLUSTER_ID_SIZE);
		else if (column->kind == CLUSTER_KIND_TEXT)
			order = lab_view_cmp(
				*(const struct lab_view *)left, *(const struct lab_view *)right);
		else if (*(const int64_t *)left != *(const int64_t *)right)
			order = *(const int64_t *)left < *(const int64_t *)right ? -1 : 1;
		if (order != 0)
			return order;
	}
	return 0;
}

/* Of [from, middle) and [middle, to), both sorted. */
static void merge(const struct cluster_table *table, uint8_t *rows, uint8_t *other, size_t from,
	size_t middle, size_t to)
{
	size_t size = table->row_size, left = from, right = middle;

	for (size_t at = from; at < to; at++) {
		bool take_left =
			right == to || (left < middle && compare_keys(table, rows + left * size,
								 rows + right * size) <= 0);
		size_t *taken = take_left ? &left : &right;

		memcpy(other + at * size, rows + *taken * size, size);
		++*taken;
	}
	memcpy(rows + from * size, other + from * size, (to - from) * size);
}

static void sort_rows(
	const struct cluster_table *table, uint8_t *rows, size_t count, struct lab_arena *arena)
{
	uint8_t *other = lab_arena_alloc_array(arena, table->row_size, count);

	for (size_t width = 1; width < count; width *= 2) {
		for (size_t from = 0; from + width < count; from += 2 * width)
			merge(table, rows, other, from, from + width,
				LAB_MIN(from + 2 * width, count));
	}
}

int geodb_list(struct geodb *geodb, enum cluster_table_id id, const void *prefix, size_t key_count,
	struct lab_arena *arena, void *ret_rows, size_t *ret_count, struct lab_error *err)
{
	const struct cluster_table *table = cluster_table(id);
	struct cql_result result;
	uint8_t *rows;
	size_t count = 0;

	lab_assert(key_count <= table->key_count);
	if (run_select(geodb, table, prefix, key_count, geodb->settings.rows_max, arena, &result,
		    err) < 0)
		return -1;
	rows = lab_arena_alloc_array(arena, table->row_size, result.row_count);
	for (size_t i = 0; i < result.row_count; i++) {
		int is_row = take_row(table, result.cells + i * result.column_count,
			rows + count * table->row_size, err);

		if (is_row < 0)
			return -1;
		count += (size_t)is_row;
	}
	sort_rows(table, rows, count, arena);
	*(void **)ret_rows = rows;
	*ret_count = count;
	return 0;
}

/* ---- changes ---- */

static bool passes(const struct lab_error *err)
{
	return err->code == LAB_UNCERTAIN || err->retryable;
}

/* Again and again under one timestamp. */
static int run_change(struct geodb *geodb, struct cql_statement *statement, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(geodb->env->heap, PUT_ARENA_MAX);
	uint64_t wait = geodb->settings.retry_ns;
	bool is_uncertain = false;
	struct lab_error own;
	int result = -1;

	for (unsigned i = 0; i < geodb->settings.attempts; i++, wait *= 2) {
		struct cql_result unused;

		if (i > 0)
			env_sleep(geodb->env, wait);
		if (i > 0 && lab_defect(RETRY_STAMPED_ANEW))
			statement->timestamp_us = geodb_timestamp(geodb, 0);
		statement->deadline_ns = env_now(geodb->env) + geodb->settings.request_ns;
		result = cql_client_execute(geodb->client, statement, 0, arena, &unused, &own);
		if (result == 0 || !passes(&own))
			break;
		is_uncertain |= own.code == LAB_UNCERTAIN;
		lab_arena_reset(arena);
	}
	lab_arena_free(&arena);
	if (result < 0 && is_uncertain)
		own.code = LAB_UNCERTAIN;
	if (result < 0 && err != NULL)
		*err = own;
	return result;
}

/* INSERT INTO sites (id, name) VALUES (?, ?) */
static size_t insert_text(const struct cluster_table *table, const void *row, uint32_t columns,
	struct lab_buf *text, struct cql_arg *args)
{
	size_t count = 0;

	lab_buf_printf(text, "INSERT INTO %s (", table->name);
	for (size_t i = 0; i < table->column_count; i++) {
		if (table->columns[i].role != CLUSTER_ROLE_KEY && (columns >> i & 1) == 0)
			continue;
		args[count] = arg_of(&table->columns[i], row);
		lab_buf_printf(text, "%s%s", count++ == 0 ? "" : ", ", table->columns[i].name);
	}
	lab_buf_append_cstr(text, ") VALUES (");
	for (size_t i = 0; i < count; i++)
		lab_buf_append_cstr(text, i == 0 ? "?" : ", ?");
	lab_buf_append_byte(text, ')');
	return count;
}

int geodb_put(struct geodb *geodb, enum cluster_table_id id, const void *row, uint32_t columns,
	int64_t timestamp_us, struct lab_error *err)
{
	const struct cluster_table *table = cluster_table(id);
	struct cql_arg args[CLUSTER_COLUMNS_MAX];
	struct cql_statement statement = { .type = CQL_STATEMENT_WRITE, .args = args };
	struct lab_buf text;
	int result;

	lab_buf_init(&text, geodb->env->heap, STATEMENT_MAX);
	statement.arg_count = insert_text(table, row, columns, &text, args);
	lab_assert(!text.overflow);
	statement.query = lab_buf_view(&text);
	statement.timestamp_us = timestamp_us != 0 ? timestamp_us : geodb_timestamp(geodb, 0);
	result = run_change(geodb, &statement, err);
	lab_buf_done(&text);
	if (result < 0)
		return lab_error_wrap(err, "GeoDB write to %s failed", table->name);
	return 0;
}

int geodb_delete(struct geodb *geodb, enum cluster_table_id id, const void *row,
	int64_t timestamp_us, struct lab_error *err)
{
	const struct cluster_table *table = cluster_table(id);
	struct cql_arg args[CLUSTER_COLUMNS_MAX];
	struct cql_statement statement = { .type = CQL_STATEMENT_DELETE, .args = args };
	struct lab_buf text;
	int result;

	lab_buf_init(&text, geodb->env->heap, STATEMENT_MAX);
	lab_buf_printf(&text, "DELETE FROM %s", table->name);
	where_keys(table, table->key_count, &text);
	statement.query = lab_buf_view(&text);
	statement.arg_count = table->key_count;
	for (size_t i = 0; i < table->key_count; i++)
		args[i] = arg_of(&table->columns[i], row);
	statement.timestamp_us = timestamp_us != 0 ? timestamp_us : geodb_timestamp(geodb, 0);
	result = run_change(geodb, &statement, err);
	lab_buf_done(&text);
	if (result < 0)
		return lab_error_wrap(err, "GeoDB delete from %s failed", table->name);
	return 0;
}

/* ---- feature switches ---- */

const char *const cluster_feature_names[CLUSTER_FEATURES] = { "off", "dryrun", "on" };

int geodb_feature(struct geodb *geodb, struct cluster_id site, struct lab_view name,
	enum cluster_feature *ret, struct lab_error *err)
{
	struct cluster_setting row = { .site_id = site, .name = name };
	struct lab_arena *arena = lab_arena_new(geodb->env->heap, PUT_ARENA_MAX);
	struct lab_error own;
	int found = geodb_get(geodb, CLUSTER_TABLE_SETTING, &row, arena, &own);

	if (found < 0 && own.status == CQL_INVALID_STATUS) {
		*ret = CLUSTER_FEATURE_ON;
		found = 0;
	} else if (found >= 0) {
		*ret = CLUSTER_FEATURE_OFF;
		for (unsigned i = 0; i < CLUSTER_FEATURES; i++) {
			if (lab_view_eq_cstr(row.value, cluster_feature_names[i]))
				*ret = (enum cluster_feature)i;
		}
	} else if (err != NULL) {
		*err = own;
	}
	lab_arena_free(&arena);
	return found < 0 ? -1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * geodb-schema.c - the tables of GeoDB, made from the lists of columns (cluster-rows.h).
 */
#include "core/cluster/geodb-schema.h"

#include "core/cluster/cluster-rows.h"

/* What the lists do not say: how many keys are the partition's (all, if 0), which numbers are no
 * int, and what follows the columns. */
static const struct {
	size_t partition_keys;
	const char *options;
} layouts[CLUSTER_TABLE_COUNT] = {
	[CLUSTER_TABLE_REACHABILITY] = { 1, NULL },
	/* One row for each window: they would be kept for ever, and controllers read what there
	 * is. */
	[CLUSTER_TABLE_STATS] = { 1, " with default_time_to_live = 600" },
	[CLUSTER_TABLE_SETTING] = { 1, NULL },
};

static const char *number_type(const char *name)
{
	static const struct {
		const char *name, *type;
	} types[] = { { "moving_started", "timestamp" }, { "backend_since", "timestamp" },
		{ "window_start", "timestamp" }, { "success", "bigint" }, { "failure", "bigint" } };

	for (size_t i = 0; i < LAB_COUNT_OF(types); i++) {
		if (strcmp(types[i].name, name) == 0)
			return types[i].type;
	}
	return "int";
}

static const char *type_of(const struct cluster_column *column)
{
	return column->kind == CLUSTER_KIND_ID    ? "uuid"
	       : column->kind == CLUSTER_KIND_INT ? number_type(column->name)
						  : "text";
}

/* ((site_id, name)), or ((site_id), dest, proxy) */
static void print_key(enum cluster_table_id id, struct lab_buf *out)
{
	const struct cluster_table *table = cluster_table(id);
	size_t partition = layouts[id].partition_keys;

	if (partition == 0)
		partition = table->key_count;
	lab_buf_append_cstr(out, "primary key ((");
	for (size_t i = 0; i < table->key_count; i++)
		lab_buf_printf(out, "%s%s%s", i == 0 ? "" : ", ", table->columns[i].name,
			i + 1 == partition ? ")" : "");
	lab_buf_append_cstr(out, ")");
}

void geodb_schema_print(struct lab_view keyspace, const char *replication, struct lab_buf *out)
{
	lab_buf_printf(out, "create keyspace if not exists %.*s with replication = {%s};\n",
		LAB_VIEW_ARG(keyspace), replication);
	for (unsigned id = 0; id < CLUSTER_TABLE_COUNT; id++) {
		const struct cluster_table *table = cluster_table((enum cluster_table_id)id);

		lab_buf_printf(out, "create table if not exists %.*s.%s (", LAB_VIEW_ARG(keyspace),
			table->name);
		for (size_t i = 0; i < table->column_count; i++)
			lab_buf_printf(out, "%s %s, ", table->columns[i].name,
				type_of(&table->columns[i]));
		print_key((enum cluster_table_id)id, out);
		lab_buf_printf(
			out, ")%s;\n", layouts[id].options == NULL ? "" : layouts[id].options);
	}
}

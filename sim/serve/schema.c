/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/schema.h"

#include <stdio.h>

static const struct {
	const char *name, *columns;
} tables[] = {
	{ "user_index_objects", "u text, n text, i blob, primary key (u, n)" },
	{ "user_mailbox_index_objects", "u text, g blob, n text, i blob, primary key ((u, g), n)" },
	{ "user_mailbox_objects",
		"u text, g blob, b int, n blob, i blob, primary key ((u, g, b), n)" },
	{ "user_mailbox_buckets", "u text, g blob, b int, primary key ((u, g))" },
	{ "user_fts_objects", "u text, n text, i blob, primary key (u, n)" },
	{ "user_index_diff_objects", "u text, h text, m text, primary key (u, h)" },
	{ "user_mailbox_index_diff_objects",
		"u text, g blob, h text, m text, primary key (u, g, h)" },
	{ "user_mailbox_objects_reverse", "u text, g blob, n blob, i blob, primary key (i, n)" },
	/* Not of fs-dictmap: metacache_last_host_dict. */
	{ "user_last_hosts", "u text, h text, primary key (u)" },
	/* Nor this: fs_auth_cache_dict. */
	{ "fs_auth_cache", "h text, r text, d text, primary key (h, r)" },
};

#define REPLICATION_MAX 80

static void simple(unsigned replicas, char ret[REPLICATION_MAX])
{
	snprintf(ret, REPLICATION_MAX, "'class': 'SimpleStrategy', 'replication_factor': %u",
		replicas);
}

static void print_keyspace(struct lab_view keyspace, const char *replication, struct lab_buf *out)
{
	lab_buf_printf(out, "create keyspace if not exists %.*s with replication = { %s };\n",
		LAB_VIEW_ARG(keyspace), replication);
}

static void print_tables(const char *qualifier, struct lab_view keyspace, struct lab_buf *out)
{
	for (size_t i = 0; i < LAB_COUNT_OF(tables); i++)
		lab_buf_printf(out, "create table if not exists %.*s%s%s (%s);\n",
			LAB_VIEW_ARG(keyspace), qualifier, tables[i].name, tables[i].columns);
}

void schema_print_replicated(struct lab_view keyspace, const char *replication, struct lab_buf *out)
{
	print_keyspace(keyspace, replication, out);
	lab_buf_printf(out, "use %.*s;\n", LAB_VIEW_ARG(keyspace));
	print_tables("", LAB_VIEW(""), out);
}

void schema_print(struct lab_view keyspace, unsigned replication_factor, struct lab_buf *out)
{
	char replication[REPLICATION_MAX];

	simple(replication_factor, replication);
	schema_print_replicated(keyspace, replication, out);
}

void schema_print_qualified(
	struct lab_view keyspace, unsigned replication_factor, struct lab_buf *out)
{
	char replication[REPLICATION_MAX];

	simple(replication_factor, replication);
	print_keyspace(keyspace, replication, out);
	print_tables(".", keyspace, out);
}

const char *schema_table(size_t index)
{
	return index < LAB_COUNT_OF(tables) ? tables[index].name : NULL;
}

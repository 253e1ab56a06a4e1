/* SPDX-License-Identifier: Apache-2.0
 *
 * replication.c - what Cassandra warns of when a keyspace gets its replication.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

static bool sets_replication(const struct statement *s)
{
	return s->kind == STATEMENT_CREATE_KEYSPACE || s->kind == STATEMENT_ALTER_KEYSPACE;
}

unsigned cqle_replication_before(const struct cqlemu *emu, const struct statement *s)
{
	const struct cqle_keyspace *ks = NULL;
	unsigned sum = 0;
	if (s->kind == STATEMENT_ALTER_KEYSPACE)
		ks = cqle_keyspace_find(emu, s->keyspace);
	for (size_t i = 0; ks != NULL && i < emu->dc_count; i++)
		sum += ks->per_dc[i];
	return ks == NULL ? UINT32_MAX : sum + ks->total;
}

static void warn_of(struct cqle_op *op, const struct cqle_keyspace *ks, unsigned replicas,
	size_t nodes, struct lab_view dc)
{
	if (replicas <= nodes)
		return;
	cqle_op_warn(op,
		lab_arena_printf(op->arena,
			"Your replication factor %u for keyspace %.*s is higher than the number "
			"of nodes %zu%s%.*s",
			replicas, LAB_VIEW_ARG(ks->name), nodes,
			dc.len > 0 ? " for datacenter " : "", LAB_VIEW_ARG(dc)));
}

void cqle_replication_warn(
	struct cqlemu *emu, struct cqle_op *op, const struct statement *s, unsigned before)
{
	const struct cqle_keyspace *ks =
		sets_replication(s) ? cqle_keyspace_find(emu, s->keyspace) : NULL;
	if (ks == NULL)
		return;
	if (ks->simple)
		warn_of(op, ks, ks->total, emu->node_count, LAB_VIEW(""));
	for (size_t i = 0; !ks->simple && i < emu->dc_count; i++)
		warn_of(op, ks, ks->per_dc[i], (size_t)__builtin_popcountll(emu->dc_nodes[i]),
			emu->dc_names[i]);
	unsigned now = cqle_replication_before(emu, s);
	if (s->kind == STATEMENT_ALTER_KEYSPACE && now > before)
		cqle_op_warn(op, "When increasing replication factor you need to run a full "
				 "(-full) repair to distribute the data.");
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * consistency.c - how many answers are enough, and whose count (cql-imds 4.1).
 */
#include "sim/cql-emulator/cql-emulator-private.h"

static unsigned quorum(unsigned replicas)
{
	return replicas / 2 + 1;
}

static unsigned local_total(const struct cqlemu *emu, const struct cqle_keyspace *ks, size_t node)
{
	return ks->simple ? ks->total : ks->per_dc[emu->nodes[node].dc];
}

static unsigned each_quorum(const struct cqlemu *emu, const struct cqle_keyspace *ks)
{
	unsigned sum = 0;
	if (ks->simple)
		return quorum(ks->total);
	for (size_t dc = 0; dc < emu->dc_count; dc++)
		sum += ks->per_dc[dc] > 0 ? quorum(ks->per_dc[dc]) : 0;
	return sum;
}

unsigned cqle_block_for(const struct cqlemu *emu, const struct cqle_keyspace *ks,
	enum cql_consistency cl, size_t node)
{
	switch (cl) {
	case CQL_ANY:
	case CQL_ONE:
	case CQL_LOCAL_ONE:
	case CQL_NODE_LOCAL:
		return 1;
	case CQL_TWO:
		return 2;
	case CQL_THREE:
		return 3;
	case CQL_QUORUM:
	case CQL_SERIAL:
		return quorum(ks->total);
	case CQL_ALL:
		return ks->total;
	case CQL_LOCAL_QUORUM:
	case CQL_LOCAL_SERIAL:
		return quorum(local_total(emu, ks, node));
	case CQL_EACH_QUORUM:
		return each_quorum(emu, ks);
	}
	return 1;
}

static bool is_local(enum cql_consistency cl)
{
	return cl == CQL_LOCAL_ONE || cl == CQL_LOCAL_QUORUM || cl == CQL_LOCAL_SERIAL;
}

uint64_t cqle_eligible(
	const struct cqlemu *emu, enum cql_consistency cl, size_t node, uint64_t replicas)
{
	return is_local(cl) ? replicas & emu->dc_nodes[emu->nodes[node].dc] : replicas;
}

static unsigned count(uint64_t mask)
{
	return (unsigned)__builtin_popcountll(mask);
}

/* The per-DC quorum wants a per-DC strategy; with SimpleStrategy it is an ordinary one. */
static bool is_each(const struct cqle_keyspace *ks, enum cql_consistency cl)
{
	return cl == CQL_EACH_QUORUM && !ks->simple;
}

unsigned cqle_received(const struct cqlemu *emu, const struct cqle_keyspace *ks,
	enum cql_consistency cl, size_t node, uint64_t acked)
{
	unsigned sum = 0;
	if (!is_each(ks, cl))
		return count(cqle_eligible(emu, cl, node, acked));
	for (size_t dc = 0; dc < emu->dc_count; dc++) {
		unsigned wanted = ks->per_dc[dc] > 0 ? quorum(ks->per_dc[dc]) : 0;
		sum += LAB_MIN(wanted, count(acked & emu->dc_nodes[dc]));
	}
	return sum;
}

int cqle_assure_live(struct cqlemu *emu, const struct cqle_keyspace *ks, enum cql_consistency cl,
	size_t node, uint64_t replicas, uint64_t live, struct lab_arena *arena,
	struct cql_error *ret)
{
	const char *name = cql_consistency_name(cl);
	unsigned required = cqle_block_for(emu, ks, cl, node);
	if (cl == CQL_ANY) /* a hint is enough */
		return 0;
	for (size_t dc = 0; is_each(ks, cl) && dc < emu->dc_count; dc++) {
		unsigned wanted = ks->per_dc[dc] > 0 ? quorum(ks->per_dc[dc]) : 0;
		if (count(replicas & live & emu->dc_nodes[dc]) >= wanted)
			continue;
		const char *text =
			lab_arena_printf(arena, "Cannot achieve consistency level %s in DC %.*s",
				name, LAB_VIEW_ARG(emu->dc_names[dc]));
		/* alive is always 0 here: the arguments' order is wrong in Cassandra (cql-imds 0).
		 */
		*ret = (struct cql_error){ .code = CQL_E_UNAVAILABLE,
			.consistency = cl,
			.message = lab_view_cstr(text),
			.required = (int32_t)wanted };
		return -1;
	}
	unsigned alive = count(cqle_eligible(emu, cl, node, replicas & live));
	if (is_each(ks, cl) || alive >= required)
		return 0;
	const char *text = lab_arena_printf(arena, "Cannot achieve consistency level %s", name);
	*ret = (struct cql_error){ .code = CQL_E_UNAVAILABLE,
		.consistency = cl,
		.message = lab_view_cstr(text),
		.required = (int32_t)required,
		.received = (int32_t)alive };
	return -1;
}

/* Cassandra names those who failed in the order of a hash table of 16 buckets, by address and port.
 */
static unsigned failure_bucket(const struct cqlemu *emu, size_t node)
{
	const uint8_t *a = emu->nodes[node].address;
	uint32_t address = (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3];
	uint32_t hash = address * 31 + emu->options.storage_port;
	return (hash ^ hash >> 16) & 15;
}

const char *cqle_failures(struct cqlemu *emu, struct lab_arena *arena, uint64_t failed,
	uint64_t ignorant, unsigned received, const char *reason)
{
	const char *who = lab_arena_printf(arena,
		"Operation failed - received %u responses and %u failures:", received,
		count(failed));
	const char *separator = " ";
	for (unsigned bucket = 0; bucket < 16; bucket++) {
		for (uint64_t rest = failed; rest != 0; rest &= rest - 1) {
			size_t node = (size_t)__builtin_ctzll(rest);
			if (failure_bucket(emu, node) != bucket)
				continue;
			const char *why =
				(ignorant & cqle_bit(node)) != 0 ? "INCOMPATIBLE_SCHEMA" : reason;
			who = lab_arena_printf(arena, "%s%s%s from /%s:%u", who, separator, why,
				emu->nodes[node].address_text, emu->options.storage_port);
			separator = ", ";
		}
	}
	return who;
}

uint64_t cqle_live_view(const struct cqlemu *emu, size_t node)
{
	uint64_t mask = 0;
	for (size_t i = 0; i < emu->node_count; i++) {
		if (i == node || emu->nodes[node].views[i].up)
			mask |= cqle_bit(i);
	}
	return mask;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * ring.c - tokens, and which nodes keep a partition (cql-imds 4.1).
 */
#include "sim/cql-emulator/cluster-private.h"

#include <stdlib.h>

static int token_order(const void *a, const void *b)
{
	const struct cqle_token *x = a, *y = b;
	return x->token < y->token ? -1 : x->token > y->token;
}

/* The i-th of a node's evenly spread tokens, moved a little by the seed. */
static int64_t spread_token(const struct cqlemu *emu, size_t node, size_t i, unsigned per_node)
{
	uint64_t slots = (uint64_t)emu->node_count * per_node;
	uint64_t width = UINT64_MAX / slots;
	uint64_t slot = (uint64_t)i * emu->node_count + node;
	uint64_t draw = lab_draw(
		emu->options.seed, "cql.token", lab_hash_view(0, emu->nodes[node].name), i);
	return (int64_t)(UINT64_C(0x8000000000000000) + slot * width + width / 2 +
			 lab_pick(draw, width / 4));
}

int cqle_ring_init(struct cqlemu *emu, const struct cqlemu_options *options, struct lab_error *err)
{
	size_t capacity = emu->node_count * CQLEMU_TOKENS_MAX;
	emu->ring = lab_new_array(emu->heap, struct cqle_token, capacity);
	for (size_t n = 0; n < emu->node_count; n++) {
		const struct cqlemu_node_options *o = &options->nodes[n];
		size_t count = o->tokens != NULL ? o->token_count : options->tokens_per_node;
		if (count == 0 || count > CQLEMU_TOKENS_MAX)
			return lab_fail(
				err, LAB_LIMIT, "a node has 1 to %d tokens", CQLEMU_TOKENS_MAX);
		for (size_t i = 0; i < count; i++) {
			int64_t token = o->tokens != NULL
						? o->tokens[i]
						: spread_token(emu, n, i, options->tokens_per_node);
			emu->ring[emu->ring_count++] = (struct cqle_token){ token, n };
		}
	}
	qsort(emu->ring, emu->ring_count, sizeof(*emu->ring), token_order);
	for (size_t i = 1; i < emu->ring_count; i++) {
		if (emu->ring[i].token == emu->ring[i - 1].token)
			return lab_fail(err, LAB_INVALID, "two nodes have the same token");
	}
	return 0;
}

size_t cqle_ring_index(const struct cqlemu *emu, int64_t token)
{
	size_t low = 0, high = emu->ring_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (emu->ring[middle].token < token)
			low = middle + 1;
		else
			high = middle;
	}
	return low == emu->ring_count ? 0 : low;
}

static bool has_node(const struct cqle_replicas *r, size_t node)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->nodes[i] == node)
			return true;
	}
	return false;
}

static void place_simple(const struct cqlemu *emu, const struct cqle_keyspace *ks, size_t from,
	struct cqle_replicas *ret)
{
	for (size_t i = 0; i < emu->ring_count && ret->count < ks->total; i++) {
		size_t node = emu->ring[(from + i) % emu->ring_count].node;
		if (!has_node(ret, node))
			ret->nodes[ret->count++] = (uint8_t)node;
	}
}

static size_t racks_in_dc(const struct cqlemu *emu, size_t dc)
{
	size_t count = 0;
	for (size_t i = 0; i < emu->node_count; i++) {
		bool seen = emu->nodes[i].dc != dc;
		for (size_t j = 0; j < i && !seen; j++)
			seen = emu->nodes[j].dc == dc &&
			       lab_view_eq(emu->nodes[j].rack_name, emu->nodes[i].rack_name);
		count += !seen;
	}
	return count;
}

struct dc_placement {
	uint64_t skipped_racks; /* nodes passed over because their rack has a replica */
	size_t taken, racks_taken, racks;
	uint8_t skipped[CQLEMU_NODES_MAX];
	size_t skipped_count;
};

static bool rack_is_taken(const struct cqlemu *emu, const struct cqle_replicas *r, size_t node)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct cqle_node *other = &emu->nodes[r->nodes[i]];
		if (other->dc == emu->nodes[node].dc &&
			lab_view_eq(other->rack_name, emu->nodes[node].rack_name))
			return true;
	}
	return false;
}

static void place_take(struct dc_placement *dc, struct cqle_replicas *ret, size_t node)
{
	ret->nodes[ret->count++] = (uint8_t)node;
	dc->taken++;
}

/* Clockwise; in each DC new racks first, and nodes passed over once all racks have one. */
static void place_topology(const struct cqlemu *emu, const struct cqle_keyspace *ks, size_t from,
	struct cqle_replicas *ret)
{
	struct dc_placement dcs[CQLE_DCS_MAX] = { { 0 } };
	for (size_t dc = 0; dc < emu->dc_count; dc++)
		dcs[dc].racks = racks_in_dc(emu, dc);
	for (size_t i = 0; i < emu->ring_count; i++) {
		size_t node = emu->ring[(from + i) % emu->ring_count].node;
		struct dc_placement *dc = &dcs[emu->nodes[node].dc];
		if (dc->taken >= ks->per_dc[emu->nodes[node].dc] || has_node(ret, node) ||
			(dc->skipped_racks & cqle_bit(node)) != 0)
			continue;
		if (dc->racks_taken < dc->racks && rack_is_taken(emu, ret, node)) {
			dc->skipped_racks |= cqle_bit(node);
			dc->skipped[dc->skipped_count++] = (uint8_t)node;
			continue;
		}
		dc->racks_taken += !rack_is_taken(emu, ret, node);
		place_take(dc, ret, node);
		for (size_t j = 0; dc->racks_taken == dc->racks && j < dc->skipped_count; j++) {
			if (dc->taken < ks->per_dc[emu->nodes[node].dc])
				place_take(dc, ret, dc->skipped[j]);
		}
		if (dc->racks_taken == dc->racks)
			dc->skipped_count = 0;
	}
}

const struct cqle_replicas *cqle_placement(
	struct cqlemu *emu, struct cqle_keyspace *ks, size_t ring_index)
{
	if (!ks->placed) {
		if (ks->placement == NULL)
			ks->placement = lab_arena_array(
				emu->permanent, struct cqle_replicas, emu->ring_count);
		memset(ks->placement, 0, emu->ring_count * sizeof(*ks->placement));
		ks->placed = true;
		for (size_t i = 0; i < emu->ring_count; i++) {
			if (ks->simple)
				place_simple(emu, ks, i, &ks->placement[i]);
			else
				place_topology(emu, ks, i, &ks->placement[i]);
		}
	}
	return &ks->placement[ring_index];
}

const struct cqle_replicas *cqle_replicas_of(
	struct cqlemu *emu, struct cqle_keyspace *ks, int64_t token)
{
	return cqle_placement(emu, ks, cqle_ring_index(emu, token));
}

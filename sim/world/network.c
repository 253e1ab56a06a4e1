/* SPDX-License-Identifier: Apache-2.0
 *
 * network.c - who is who, how far apart, and who does not hear whom. Also the hooks of the
 * emulators, which ask the same questions.
 */
#include "sim/world/world-private.h"

/* ---- names and zones ---- */

static uint32_t find_zone(const struct world *world, struct lab_view name)
{
	for (uint32_t i = 0; i < world->zone_count; i++) {
		if (lab_view_eq_cstr(name, world->zones[i]))
			return i;
	}
	return UINT32_MAX;
}

static uint32_t intern_zone(struct world *world, const char *name)
{
	uint32_t zone = find_zone(world, lab_view_cstr(name));

	if (zone != UINT32_MAX)
		return zone;
	lab_assert(world->zone_count < ZONES_MAX);
	world->zones[world->zone_count] = lab_heap_strdup(world->heap, name);
	return world->zone_count++;
}

const char *world_zone_name(const struct world *world, uint32_t zone)
{
	return world->zones[zone];
}

void world_add_node(
	struct world *world, struct world_node *node, const char *name, const char *zone)
{
	void **slot;

	lab_assert(name != NULL && *name != '\0');
	node->name = lab_view_cstr(lab_heap_strdup(world->heap, name));
	node->key = lab_hash_view(0, node->name);
	node->zone = intern_zone(world, zone == NULL ? "" : zone);
	slot = lab_map_slot(world->nodes, node->name);
	lab_assert(slot != NULL && *slot == NULL);
	*slot = node;
}

struct world_node *world_find_node(struct world *world, struct lab_view name)
{
	return lab_map_get(world->nodes, name);
}

/* ---- latency ---- */

void world_zone_latency(
	struct world *world, const char *zone_a, const char *zone_b, struct world_latency latency)
{
	uint32_t a = intern_zone(world, zone_a), b = intern_zone(world, zone_b);

	world->zone_latency[a][b] = world->zone_latency[b][a] = latency;
}

static const struct world_latency *latency_between(
	const struct world *world, const struct world_node *from, const struct world_node *to)
{
	const struct world_latency *pair = &world->zone_latency[from->zone][to->zone];

	if (to->latency.high_ns != 0)
		return &to->latency;
	if (from->latency.high_ns != 0)
		return &from->latency;
	if (pair->high_ns != 0)
		return pair;
	/* Zone 0 is no zone: a regional service is in another one. */
	if (from->zone == to->zone && from->zone != 0)
		return &world->settings.same_zone;
	return &world->settings.other_zone;
}

static uint64_t draw_latency(const struct world *world, const struct world_node *from,
	const struct world_node *to, uint64_t ordinal)
{
	const struct world_latency *latency = latency_between(world, from, to);

	if (latency->low_ns == latency->high_ns)
		return latency->low_ns;
	return lab_pick_lognormal(lab_draw(world->settings.seed, "latency",
					  lab_hash_fold(from->key, to->key), ordinal),
		latency->low_ns, latency->high_ns);
}

uint64_t world_delay(struct world *world, const struct world_node *from,
	const struct world_node *to, uint64_t ordinal, size_t bytes)
{
	uint64_t delay = draw_latency(world, from, to, ordinal);
	uint64_t rate = world->settings.bytes_per_second;

	if (rate != 0)
		delay += bytes / rate * LAB_SEC + bytes % rate * LAB_SEC / rate;
	return delay;
}

uint64_t world_resend_after(unsigned attempt)
{
	return attempt >= 5 ? 5 * LAB_SEC : (200 * LAB_MSEC) << attempt;
}

/* ---- partitions ---- */

static struct world_side make_side(struct world *world, const char *text)
{
	struct lab_view view = lab_view_cstr(text), prefix = LAB_VIEW("zone:");
	struct world_side side = { .is_all = lab_view_eq_cstr(view, "*") };

	side.is_zone = lab_view_starts_with(view, prefix);
	if (side.is_zone)
		side.zone = intern_zone(world, text + prefix.len);
	else
		side.name = lab_view_cstr(lab_heap_strdup(world->heap, text));
	return side;
}

static bool side_has(const struct world_side *side, const struct world_node *node)
{
	if (side->is_zone)
		return side->zone == node->zone;
	return side->is_all || lab_view_eq(side->name, node->name);
}

uint32_t world_partition(struct world *world, const char *a, const char *b, bool one_way)
{
	struct world_partition_rule rule = {
		.id = ++world->last_partition,
		.one_way = one_way,
		.a = make_side(world, a),
		.b = make_side(world, b),
	};

	world->partitions = world_grow(world, world->partitions, sizeof(rule),
		world->partition_count, &world->partition_capacity);
	world->partitions[world->partition_count++] = rule;
	return rule.id;
}

void world_heal(struct world *world, uint32_t partition)
{
	for (uint32_t i = 0; i < world->partition_count; i++) {
		if (world->partitions[i].id != partition)
			continue;
		world->partition_count--;
		memmove(&world->partitions[i], &world->partitions[i + 1],
			(world->partition_count - i) * sizeof(world->partitions[0]));
		return;
	}
}

void world_heal_all(struct world *world)
{
	world->partition_count = 0;
}

static bool rule_cuts(const struct world_partition_rule *rule, const struct world_node *from,
	const struct world_node *to)
{
	if (side_has(&rule->a, from) && side_has(&rule->b, to))
		return true;
	return !rule->one_way && side_has(&rule->b, from) && side_has(&rule->a, to);
}

static bool is_cut(
	const struct world *world, const struct world_node *from, const struct world_node *to)
{
	if (from == to)
		return false;
	for (uint32_t i = 0; i < world->partition_count; i++) {
		if (rule_cuts(&world->partitions[i], from, to))
			return true;
	}
	return false;
}

bool world_is_cut(struct world *world, const struct world_node *from, const struct world_node *to)
{
	if (!is_cut(world, from, to))
		return false;
	world->counters.dropped++;
	return true;
}

/* A name that is not in the network: it is its own node, in no zone. */
static const struct world_node *node_or(
	struct world *world, struct lab_view name, struct world_node *unknown)
{
	const struct world_node *node = world_find_node(world, name);

	if (node != NULL)
		return node;
	*unknown = (struct world_node){ .name = name, .key = lab_hash_view(0, name) };
	return unknown;
}

bool world_reachable(struct world *world, struct lab_view from, struct lab_view to)
{
	struct world_node unknown_from, unknown_to;
	const struct world_node *a, *b;

	if (world->partition_count == 0 && world->down_nodes == 0)
		return true;
	a = node_or(world, from, &unknown_from);
	b = node_or(world, to, &unknown_to);
	return a->down_count == 0 && b->down_count == 0 &&
	       (lab_view_eq(from, to) || !is_cut(world, a, b));
}

/* ---- nodes that are down ---- */

static void tell_node_sinks(struct world *world, const struct world_node *node)
{
	for (size_t i = 0; i < world->node_sink_count; i++)
		world->node_sinks[i].fn(
			world->node_sinks[i].ctx, node->name, node->down_count == 0);
}

static struct world_node *endpoint_node(struct world *world, struct lab_view name)
{
	struct world_node *node = world_find_node(world, name);

	lab_assert(node != NULL && node->endpoint != NULL);
	return node;
}

void world_node_down(struct world *world, struct lab_view name)
{
	struct world_node *node = endpoint_node(world, name);

	if (node->down_count++ > 0)
		return;
	world->down_nodes++;
	world_streams_node_down(world, node->endpoint);
	tell_node_sinks(world, node);
}

void world_node_up(struct world *world, struct lab_view name)
{
	struct world_node *node = endpoint_node(world, name);

	if (node->down_count == 0 || --node->down_count > 0)
		return;
	world->down_nodes--;
	tell_node_sinks(world, node);
}

/* ---- the emulators' hooks ---- */

static struct sim_fault hook_fault(void *ctx, const struct sim_fault_query *query)
{
	struct world *world = ctx;

	if (world->faults == NULL)
		return (struct sim_fault){ 0 };
	return fault_decide(world->faults, query);
}

static bool hook_reachable(void *ctx, struct lab_view from, struct lab_view to, uint64_t now_ns)
{
	(void)now_ns;
	return world_reachable(ctx, from, to);
}

static uint64_t hook_latency(void *ctx, struct lab_view from, struct lab_view to, uint64_t ordinal)
{
	struct world_node unknown_from, unknown_to;
	struct world *world = ctx;

	return draw_latency(world, node_or(world, from, &unknown_from),
		node_or(world, to, &unknown_to), ordinal);
}

static void hook_access(void *ctx, const struct sim_access *access)
{
	struct world *world = ctx;

	for (size_t i = 0; i < world->access_sink_count; i++)
		world->access_sinks[i].fn(world->access_sinks[i].ctx, access);
}

void world_hooks(struct world *world, struct sim_hooks *ret)
{
	*ret = (struct sim_hooks){
		.ctx = world,
		.fault = hook_fault,
		.reachable = hook_reachable,
		.latency = hook_latency,
		.access = hook_access,
	};
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * zone.c - a zone is lost, and comes back: hosts crash, and services' nodes that are in it are down
 * (palomar 5). What is regional stays.
 */
#include "sim/world/world-private.h"

struct lost_host {
	struct world_host *host;
	uint32_t boots;
};
struct world_lost_zone {
	struct lost_host *hosts;
	size_t host_count;
	struct lab_view *nodes;
	size_t node_count;
};

static bool is_in(const struct world *world, const struct world_node *node, const char *zone)
{
	return strcmp(world_zone_name(world, node->zone), zone) == 0;
}

static void lose_hosts(
	struct world *world, const char *zone, enum fault_disk disk, struct world_lost_zone *lost)
{
	lost->hosts = lab_new_array(world->heap, struct lost_host, world->host_count);
	for (size_t i = 0; i < world->host_count; i++) {
		struct world_host *host = world->hosts[i];

		if (!host->is_up || host->settings.kind != WORLD_BACKEND ||
			!is_in(world, &host->node, zone))
			continue;
		lost->hosts[lost->host_count++] = (struct lost_host){ host, host->boots };
		world_crash(host, disk);
	}
}

static void lose_nodes(struct world *world, const char *zone, struct world_lost_zone *lost)
{
	struct lab_map_iter iter = lab_map_iterate(world->nodes);
	struct lab_view name;
	void *value;

	lost->nodes = lab_new_array(world->heap, struct lab_view, lab_map_count(world->nodes));
	while (lab_map_next(&iter, &name, &value)) {
		const struct world_node *node = value;

		if (node->endpoint == NULL || !is_in(world, node, zone))
			continue;
		lost->nodes[lost->node_count++] = node->name;
		world_node_down(world, node->name);
	}
}

struct world_lost_zone *world_lose_zone(struct world *world, const char *zone, enum fault_disk disk)
{
	struct world_lost_zone *lost = lab_new(world->heap, struct world_lost_zone);

	lose_hosts(world, zone, disk, lost);
	lose_nodes(world, zone, lost);
	return lost;
}

void world_return_zone(struct world *world, struct world_lost_zone **lost)
{
	struct world_lost_zone *l = *lost;

	*lost = NULL;
	for (size_t i = 0; i < l->node_count; i++)
		world_node_up(world, l->nodes[i]);
	for (size_t i = 0; i < l->host_count; i++) {
		struct world_host *host = l->hosts[i].host;

		/* Unless somebody else started it meanwhile. */
		if (!host->is_up && host->boots == l->hosts[i].boots)
			world_restart(host);
	}
	lab_heap_free(world->heap, l->nodes);
	lab_heap_free(world->heap, l->hosts);
	lab_heap_free(world->heap, l);
}

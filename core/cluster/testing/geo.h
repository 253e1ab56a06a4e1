/* SPDX-License-Identifier: Apache-2.0
 *
 * geo.h - for tests: hosts of a simulated world in three zones, each with a GeoDB of its own on the
 * emulated Cassandra: one data centre, three nodes, a rack (and a node) in each zone (palomar 5,
 * layout A). The schema is geodb.cql.
 *
 * The test's body is a fiber of the first host; what it starts elsewhere with geo_on() runs at the
 * same time.
 */
#ifndef LAB_CLUSTER_TESTING_GEO_H
#define LAB_CLUSTER_TESTING_GEO_H

#include "core/base/testing.h"

#include "core/cluster/geodb.h"
#include "sim/cql-emulator/cql-emulator.h"
#include "sim/world/world.h"

#define GEO_HOSTS_MAX 8
#define GEO_NODES 3

struct geo;
struct geo_host {
	struct geo *geo;
	const char *name, *zone;
	struct world_host *host;
	struct env *env;
	struct lab_arena *arena;
	struct cql_client *client;
	struct geodb *geodb;
};

/* What goes wrong: the next `left` times that somebody asks at this point, after `skip` times at
 * which it does not; only of this table and client, if they are given. */
struct geo_fault {
	const char *point, *table, *peer;
	struct sim_fault fault;
	unsigned skip, left, fired, asked;
	struct world_host *crash; /* this host crashes then, too */
	/* When `left` is used up, this happens every time. SIM_FAULT_NONE: nothing more. */
	struct sim_fault at_last;
};

struct geo {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_fiber_pool *fibers;
	struct world *world;
	struct sim_hooks hooks;
	struct cqlemu *emu;
	struct geo_host hosts[GEO_HOSTS_MAX];
	size_t host_count;
	struct geo_fault fault;
	unsigned statements; /* that nodes answered, of ordinary tables */
	unsigned events[LAB_EV_COUNT];
	bool done;
	void (*body)(struct geo_host *first);
};

/* Runs body(first host). Names and zones are literals. Fails the test if it does not end within an
 * hour of virtual time. */
struct geo_place {
	const char *name, *zone;
};
void geo_run(const struct geo_place *places, size_t count, void (*body)(struct geo_host *first));
/* fn(arg) in a fiber of that host. */
void geo_on(struct geo_host *host, env_fiber_fn fn, void *arg);
/* The same, and waits until it returns. False: that host was down, or crashed meanwhile. */
bool geo_call(struct geo_host *here, struct geo_host *there, env_fiber_fn fn, void *arg);
/* Both fail the test if it ends otherwise. */
void geo_must(const struct lab_error *err, int result, int expected);
void geo_cql(struct geo *geo, const char *cql);
/* Waits for this to become true, for at most so long. */
void geo_wait(struct geo_host *host, const bool *flag, uint64_t ns);

/* An id that ends in this number. */
static inline struct cluster_id geo_id(uint8_t n)
{
	struct cluster_id id = { { 0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x41, 0xd1, 0x80, 0xb4, 0,
		0xc0, 0x4f, 0xd4, 0x30, n } };

	return id;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * scene.h - what a scenario is for one seed, whichever world it runs in: phases, backends, services
 * and faults, with every knob turned.
 *
 * Use        scene_init, scene_new_*, then the world connects them (sim-world.c, live-run.c).
 * Ownership  A scene owns its services. Pools and heaps that it is given stay the world's and must
 *            outlive it; the plan goes with the heap it is made in.
 * Threads    Each service is used by one thread at a time, and so is the pool it is made in.
 * Errors     LAB_INVALID (the scenario makes no sense), LAB_LIMIT. Free it in either case.
 */
#ifndef SCENARIOS_SCENE_H
#define SCENARIOS_SCENE_H

#include "scenarios/runner/node.h"
#include "scenarios/runner/run.h"
#include "sim/credentials.h"
#include "sim/cql-emulator/cql-emulator.h"
#include "sim/imds-emulator/imds-emulator.h"
#include "sim/s3-emulator/s3-emulator.h"
#include "sim/scality-emulator/scality-emulator.h"

#define SCENE_NODES_MAX 256
#define SCENE_CQL_NODES_MAX 32
#define SCENE_AUDITOR "auditor"
#define SCENE_PROXIES_MAX (SCENARIO_SITES_MAX * SCENARIO_PROXIES_MAX)
#define SCENE_MEMORY_MAX (6ull << 30)

struct scene {
	const struct run_options *options;
	bool is_live;      /* over real sockets */
	uint64_t epoch_us; /* wall clock of the services at time 0 */
	/* Phases. */
	uint64_t warmup_end, storm_end, settle_end;
	struct node nodes[SCENE_NODES_MAX]; /* the auditor is behind the last */
	size_t node_count;
	/* The scenario's, but with all the space that it needs: it opens everybody at once, and is
	 * refused nowhere. */
	struct conf_settings auditor_conf;
	struct s3emu *s3;     /* NULL if the storage is another one */
	struct scalemu *ring; /* sproxyd or CDMI; else NULL */
	struct imdsemu *imds; /* NULL if the settings have no auth_role */
	struct cqlemu *cql;   /* NULL if the settings have no dict */
	struct lab_heap *cql_heap;
	char cql_names[SCENE_CQL_NODES_MAX][32];
	size_t cql_count;
	/* Of a Palomar cluster: with their sites; and a controller for each site. */
	char proxy_names[SCENE_PROXIES_MAX][32], controller_names[SCENARIO_SITES_MAX][48];
	size_t proxy_sites[SCENE_PROXIES_MAX];
	size_t proxy_count;
	struct fault_plan *plan;
	size_t first_episode; /* of the command line's, in the plan */
};

/* Draws the phases and names the backends: zones in their order, backend-1, backend-2...; and
 * proxies: proxy-1, ... */
int scene_init(struct scene *scene, const struct run_options *options, uint64_t epoch_us,
	struct lab_error *err);
void scene_free(struct scene *scene);

/* A knob that has one value in a run; `what` is a literal. */
uint64_t scene_knob(const struct scene *scene, const struct conf_range *range, const char *what,
	uint64_t actor);
size_t scene_site_backends(const struct scene *scene, size_t site);
/* How far a backend's wall clock is off. */
int64_t scene_clock_offset(const struct scene *scene, const struct node *node);
size_t scene_memory_max(const struct scene *scene, const struct node *node);
/* NULL: the settings have no dict, and there is no Cassandra. */
const struct dict_cql_connect *scene_connect(const struct scene *scene);
/* The same with the nodes that hosts of this site ask: with a data centre for each zone its own. */
const struct dict_cql_connect *scene_connect_of(const struct scene *scene, size_t site);
/* Zone of the n-th Cassandra node. */
struct lab_view scene_cql_zone(const struct scene *scene, size_t node);

/* scene-s3.c */
struct lab_view scene_region(const struct scene *scene);
void scene_s3_options(
	const struct scene *scene, const struct sim_hooks *hooks, struct s3emu_options *ret);
/* Of S3's connections: the front end's business, wherever it is. */
struct sim_connection_life scene_s3_life(const struct scene *scene);

/* scene-scality.c */
int scene_new_ring(struct scene *scene, struct lab_pool *pool, const struct sim_hooks *hooks,
	struct lab_error *err);

/* S3, sproxyd or CDMI: what obox_fs ends in. */
int scene_new_storage(struct scene *scene, struct lab_pool *pool, const struct sim_hooks *hooks,
	struct lab_error *err);
/* The name under which faults and latencies know it: "s3", "sproxyd", "cdmi". */
const char *scene_storage_name(const struct scene *scene);
struct sim_http_service scene_storage_service(const struct scene *scene);
/* Nothing if the settings have no auth_role. `publish` gets the credentials for S3. */
int scene_new_imds(struct scene *scene, struct lab_pool *pool, const struct sim_hooks *hooks,
	sim_credentials_fn publish, void *publish_ctx, struct lab_error *err);
/* With the schema. The settings' hosts are the nodes, in their order. Nothing without a dict. */
int scene_new_cql(struct scene *scene, struct lab_pool *pool, const struct sim_hooks *hooks,
	struct lab_error *err);
/* Of the keyspace (of each data centre), at most the number of nodes. */
unsigned scene_replication_factor(const struct scene *scene);
/* The inside of NetworkTopologyStrategy's map, for all data centres there are. */
void scene_replication(const struct scene *scene, struct lab_buf *out);
/* What the faults say of a command on its way to dict-async (dict-proxy.h). */
enum dict_hop_fault scene_dict_hop(struct env *env, struct lab_view key,
	struct sim_fault (*decide)(void *ctx, const struct sim_fault_query *query), void *ctx);
/* Draws the episodes. Of each fault only the kinds are left that happen elsewhere than at
 * `missing_points`; one of which none is left is handed to `skipped` (may be NULL) and does not
 * happen. */
int scene_new_faults(struct scene *scene, struct lab_heap *heap, uint64_t missing_points,
	void (*skipped)(void *ctx, const struct scenario_fault *fault), void *ctx,
	struct lab_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * live-world.h - a scenario's world for one seed in real time: hosts of core/env/live, services
 * behind sockets, faults; built and taken down.
 *
 * Addresses  Backends speak from 127.0.1.1, 127.0.1.2..., proxies and controllers from 127.0.3.1,
 *            127.0.3.2...; S3 and IMDS listen on 127.0.0.1, the Cassandra nodes on 127.0.2.1,
 *            127.0.2.2..., all on ports that were free. The settings' names lead there.
 * Threads    The caller's, and one for each service. Everything here is the caller's.
 * Palomar    Proxies and controllers are hosts as backends are: their cluster services ask GeoDB by
 *            CQL over sockets of their own. The way of a client's connection from the load balancer
 *            to the backend, and a controller's questions to other hosts, are the laboratory's
 *            calls, without a socket.
 * TLS        If the dict's settings ask for it (ssl_*, cassandra_ssl) Cassandra's nodes speak TLS,
 *            and so does S3 behind https://, with certificates made for the run in place of the
 *            files that the settings name (live-encrypted.c). Otherwise https:// leads to S3 in the
 *            clear.
 * Foreign    A server that is not ours in the place of an emulator (live-foreign.c): an S3 whose
 *            bucket is there and empty, a Cassandra cluster that does not have our keyspace. It has
 *            no faults and no access log; scene.s3, scene.cql is the mirror for the audit.
 * Files      Of each host in a directory of its own under $TMPDIR or /tmp, removed at the end.
 * Faults     Those of services, crashes, node_down and zone_lost. The kinds that this world does
 *            not have (partitions, clocks, the disk) are left out; a fault that has no others is
 *            named on stderr. Who crashes has its connections reset; a Cassandra node that is down
 *            refuses connections, and those it had are reset; in a zone that is lost all of that
 *            happens. What a crash does to a disk: only `wipe` does anything, because the machine
 *            itself goes on and has what was not synced.
 */
#ifndef SCENARIOS_LIVE_WORLD_H
#define SCENARIOS_LIVE_WORLD_H

#include "core/env/live/live.h"
#include "scenarios/live/live-certificates.h"
#include "scenarios/live/live-directory.h"
#include "scenarios/live/live-tap.h"
#include "scenarios/runner/scene.h"
#include "sim/front-end/tls-front-end.h"
#include "sim/serve/sockets.h"

#define LIVE_CQL_ADDRESS "127.0.2.1"

#define LIVE_ADDRESS_MAX 40

struct palomar;
struct palomar_host;

struct live_host_place {
	struct node *node;            /* a backend or the auditor; else NULL */
	struct palomar_host *palomar; /* a proxy or a controller; else NULL */
	void (*main)(void *arg);      /* what runs there */
	void *arg;
	struct live_host *host;
	char root[LIVE_DIRECTORY_MAX];
	char source[LIVE_ADDRESS_MAX];
};

struct live_world {
	const struct run_options *options;
	struct scene scene;
	struct lab_pool *pool; /* of the main thread */
	struct lab_heap *heap;
	struct live *live;
	struct live_host *lab_host;
	struct env *lab;
	char root[LIVE_DIRECTORY_MAX];
	/* Backends and the auditor as in scene.nodes, then what palomar_host_at() tells. */
	struct live_host_place *places;
	size_t place_count;
	struct palomar *palomar; /* NULL: there is none */
	struct live_tap *tap;
	void *access_ctx;
	void (*access)(void *ctx, const struct sim_access *access);
	struct lab_pool *s3_pool, *imds_pool, *cql_pool;
	struct http_front_end *s3, *imds;
	struct serve_publisher publisher;
	struct stream_front_end *cql;
	bool is_encrypted; /* what the settings' names lead to is the next two */
	struct live_certificates certificates;
	struct tls_front_end *s3_tls, *cql_tls;
	uint64_t crashes;
	bool is_closing;
	bool is_bucket_ours;   /* of a foreign S3: it was empty when we came */
	bool is_keyspace_ours; /* of a foreign Cassandra: we made it */
	/* While a fault that a service's thread told of is traced: when it was. */
	uint64_t told_ns;
};

/* Boots everything but the auditor, whose directory and address are made. `access` gets the access
 * log; faults become events. Take it down in either case. -1 LAB_INVALID, LAB_LIMIT, LAB_IO. */
int live_world_build(struct live_world *w, const struct run_options *options, void *ctx,
	void (*access)(void *ctx, const struct sim_access *access), struct lab_error *err);
/* The foreign servers' bucket and keyspace become ours, see foreign-s3.h and foreign-cql.h. The
 * last step of the building. Neither this nor the next two from a fiber. */
int live_world_claim(struct live_world *w, struct lab_error *err);
/* With a foreign server: scene.s3, scene.cql become what it holds, for the oracle. Else nothing. */
int live_world_mirror(struct live_world *w, struct lab_error *err);
/* All that is in its bucket is deleted, the keyspace is dropped. */
int live_world_clean(struct live_world *w, struct lab_error *err);
/* Ends the services' threads: from now on the scene's services may be read. */
void live_world_stop(struct live_world *w);
void live_world_free(struct live_world *w);
/* Brings up nodes and hosts. */
void live_world_heal(struct live_world *w);
/* What the services' threads told since; before each event that is looked at, and after each turn
 * of the loop. */
void live_world_drain(struct live_world *w);
/* A backend that has never seen anything. It has booted when its `backend` is set. */
struct node *live_world_auditor(struct live_world *w);
/* An event of the laboratory. */
#define LIVE_WORLD_EVENT(w, id, ...) ENV_EVENT((w)->lab, id, __VA_ARGS__)

/* live-encrypted.c: before the world is made, and when its services are there. Nothing unless the
 * settings ask for TLS. */
int live_encrypted_prepare(
	struct live_world *w, struct live_settings *settings, struct lab_error *err);
int live_encrypted_serve(struct live_world *w, struct lab_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * emulators.h - the three emulators with something in them, and requests for them.
 *
 * Purpose    All rows that need an emulator get it from here. No faults, latencies or rate limits;
 *            signatures and body hashes are checked.
 * Use        Zeroed struct, emulators_init(), the ones you need, their _serve(), emulators_free()
 *            in every case.
 * Threads    A served emulator lives on its front end's thread (http-front-end.h).
 */
#ifndef SCENARIOS_BENCH_EMULATORS_H
#define SCENARIOS_BENCH_EMULATORS_H

#include "core/aws/credentials.h"
#include "sim/serve/sockets.h"

#define BENCH_OBJECTS 512
#define BENCH_OBJECT_BYTES 4096
#define BENCH_S3_REGION "us-east-1"
#define BENCH_S3_AUTHORITY "mails.s3." BENCH_S3_REGION ".amazonaws.com"
#define BENCH_ROLE "s3access"
#define BENCH_CQL_FRAMES 1024
#define BENCH_CQL_NODES_MAX 3

struct emulators {
	struct lab_pool *pool; /* of the caller's own thread */
	struct lab_heap *heap;
	struct lab_arena *arena;
	int64_t start_unix; /* the wall clock at the services' time 0 */
	uint64_t start_ns;  /* CLOCK_MONOTONIC then */

	struct lab_pool *s3_pool, *imds_pool, *cql_pool;
	struct lab_heap *cql_heap;
	struct s3emu *s3;
	struct imdsemu *imds;
	struct cqlemu *cql;
	size_t cql_nodes;
	const char *cql_keyspace; /* "mails" */
	bool cql_on_disk;         /* set before emulators_cql(): SQLite, in a folder of its own */
	char cql_folder[64];
	struct cqlsqlite *cql_data;
	struct http_front_end *s3_front, *imds_front;
	struct stream_front_end *cql_front;
};

void emulators_init(struct emulators *e);
void emulators_free(struct emulators *e);

/* One bucket, one key. */
int emulators_s3(struct emulators *e, struct lab_error *err);
int emulators_imds(struct emulators *e, struct lab_error *err);
/* The tables of fs-dictmap in the keyspace, on `nodes` nodes with as many replicas. */
int emulators_cql(struct emulators *e, unsigned nodes, struct lab_error *err);

int emulators_s3_serve(struct emulators *e, struct lab_error *err);
int emulators_imds_serve(struct emulators *e, struct lab_error *err);
int emulators_cql_serve(struct emulators *e, struct lab_error *err);

/* ---- requests ---- */

/* The key that the bucket's owner signs with. */
extern const struct aws_credentials bench_credentials;

/* A signed request of one object, in the arena. */
int bench_s3_request(struct emulators *e, const char *method, size_t number,
	struct lab_http_request *ret, struct lab_error *err);
/* BENCH_OBJECTS of them, of one object each. */
int bench_s3_requests(struct emulators *e, const char *method, struct lab_http_request **ret,
	struct lab_error *err);
/* As on the wire, in the arena. */
struct lab_view bench_http_wire(struct emulators *e, const struct lab_http_request *request);
/* Stores all objects, without sockets. -1 LAB_CORRUPT: the emulator refused one. */
int bench_s3_fill(struct emulators *e, struct lab_error *err);
/* Gives one request to the service as a front end does. */
int bench_submit(const struct sim_http_service *service, const struct lab_http_request *request,
	struct lab_error *err);

/* INSERT and SELECT of one row of user_mailbox_objects, prepared, in turns: BENCH_CQL_FRAMES frames
 * of EXECUTE at LOCAL_QUORUM. `ask` sends a PREPARE and gets its answer. */
typedef int (*bench_cql_ask_fn)(
	void *ctx, struct lab_view frame, struct lab_view *ret, struct lab_error *err);
int bench_cql_frames(struct emulators *e, bench_cql_ask_fn ask, void *ctx, struct lab_view **ret,
	struct lab_error *err);
/* One INSERT of row 0 by this user. */
int bench_cql_insert(struct emulators *e, bench_cql_ask_fn ask, void *ctx, struct lab_view user,
	struct lab_view *ret, struct lab_error *err);
struct lab_view bench_cql_startup(struct emulators *e);

#endif

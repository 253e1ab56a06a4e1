/* SPDX-License-Identifier: Apache-2.0
 *
 * sockets.h - an emulator on a socket: the one place where the live world, the bench and
 * `oboxlab serve` get that from.
 *
 * Threads    A served emulator lives on its front end's thread until the front end is freed
 *            (http-front-end.h, stream-front-end.h).
 * Errors     As http_front_end_new() and stream_front_end_new(), with the service's name before.
 */
#ifndef SIM_SERVE_SOCKETS_H
#define SIM_SERVE_SOCKETS_H

#include "sim/cql-emulator/cql-emulator.h"
#include "sim/front-end/http-front-end.h"
#include "sim/front-end/stream-front-end.h"
#include "sim/imds-emulator/imds-emulator.h"
#include "sim/s3-emulator/s3-emulator.h"
#include "sim/s3-sqlite/s3-sqlite.h"

struct serve_socket {
	const char *address; /* NULL: "127.0.0.1"; CQL: of the first node */
	uint16_t port;       /* 0: any */
	uint64_t start_ns;   /* CLOCK_MONOTONIC that is 0 for the service; 0: now */
	size_t body_max_bytes, memory_max_bytes; /* HTTP; 0: the front end's defaults */
	/* HTTP: how long connections live, borrowed during the call; NULL: until the client ends
	 * them. `life_seed` draws for each one. */
	const struct sim_connection_life *life;
	uint64_t life_seed;
	const struct front_end_peer *peers; /* borrowed during the call */
	size_t peer_count;
};

/* `name` is what errors begin with. */
int serve_http(struct sim_http_service service, const struct serve_socket *socket, const char *name,
	struct http_front_end **ret, struct lab_error *err);
int serve_s3(struct s3emu *s3, const struct serve_socket *socket, struct http_front_end **ret,
	struct lab_error *err);
int serve_imds(struct imdsemu *imds, const struct serve_socket *socket, struct http_front_end **ret,
	struct lab_error *err);

/* Address of node `n`, counted from 0: the first one's, with n added to its last number. -1
 * LAB_INVALID: not dotted IPv4 (unless n is 0), or no such address. */
#define SERVE_ADDRESS_MAX 48
int serve_node_address(
	const char *first, size_t n, char ret[SERVE_ADDRESS_MAX], struct lab_error *err);
/* Each node on an address of its own. */
int serve_cql(struct cqlemu *cql, const char *const *names, size_t count,
	const struct serve_socket *socket, struct stream_front_end **ret, struct lab_error *err);

/* A sim_credentials_fn between two threads: S3 knows a key before the client gets it. `publisher`
 * may be filled in after IMDS was made, but before it is served. */
struct serve_publisher {
	struct s3emu *s3; /* NULL: nobody is told */
	struct http_front_end *front_end;
	struct s3sqlite *store; /* keeps them too; NULL: does not */
};
void serve_publish(void *publisher, const struct sim_credentials *credentials);

#endif

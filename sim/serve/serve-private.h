/* SPDX-License-Identifier: Apache-2.0
 *
 * serve-private.h - what is running.
 */
#ifndef SIM_SERVE_PRIVATE_H
#define SIM_SERVE_PRIVATE_H

#include "sim/cql-sqlite/cql-sqlite.h"
#include "sim/s3-sqlite/s3-sqlite.h"
#include "sim/serve/address.h"
#include "sim/serve/admin.h"
#include "sim/serve/hooks.h"
#include "sim/serve/profile.h"
#include "sim/serve/sockets.h"
#include "sim/serve/serve.h"
#include "sim/front-end/tls-front-end.h"
#include "sim/scality-emulator/scality-emulator.h"

/* sproxyd or CDMI. */
struct serve_ring {
	bool is_there;
	struct serve_address address;
	struct lab_pool *pool;
	struct scalemu *ring;
	struct http_front_end *front;
};

struct serve {
	struct lab_arena *arena; /* of the caller's thread */
	struct profile *profile;
	bool has_default_key;
	uint64_t start_ns, start_unix_us;
	const char *data;

	bool has_s3, has_imds, has_cql, has_admin;
	struct serve_address s3_address, imds_address, cql_address, admin_address;
	struct lab_pool *s3_pool, *imds_pool, *cql_pool;
	struct lab_heap *cql_heap;
	const char *cql_names[CQLEMU_NODES_MAX];
	struct lab_heap *s3_heap; /* of the engine */
	struct s3sqlite *s3_data; /* NULL: in memory */
	struct cqlsqlite *cql_data;
	struct s3emu *s3;
	struct imdsemu *imds;
	struct cqlemu *cql;
	struct http_front_end *s3_front, *imds_front;
	struct stream_front_end *cql_front;
	struct serve_publisher publisher;
	struct tls_front_end_settings tls; /* its files; without a certificate: no TLS */
	struct tls_front_end *s3_tls, *cql_tls;

	struct serve_ring rings[2]; /* by enum scalemu_protocol */

	struct serve_hooks *hooks; /* NULL: nobody can ask for faults, or see the log */
	struct sim_hooks emulator_hooks;
	struct serve_admin *admin;
	struct http_front_end *admin_front;
};

/* tls.c */
int serve_tls_check(const struct serve_options *options, struct lab_error *err);
/* Where the service itself listens, if TLS is in front of it. */
void serve_tls_socket(const struct serve *serve, struct serve_socket *socket);
/* In front of `nodes` addresses from the given one on; nothing, without TLS. */
int serve_tls_open(struct serve *serve, const struct serve_address *address, size_t nodes,
	uint16_t inner_port, struct tls_front_end **ret, struct lab_error *err);

/* rings.c */
int serve_ring_open(struct serve *serve, enum scalemu_protocol protocol,
	const struct serve_socket *socket, struct lab_error *err);
void serve_ring_close(struct serve_ring *ring);
const char *serve_ring_name(enum scalemu_protocol protocol);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * serve-private.h - what is running.
 */
#ifndef SIM_SERVE_PRIVATE_H
#define SIM_SERVE_PRIVATE_H

#include "sim/s3-sqlite/s3-sqlite.h"
#include "sim/serve/address.h"
#include "sim/serve/admin.h"
#include "sim/serve/hooks.h"
#include "sim/serve/profile.h"
#include "sim/serve/serve.h"

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
	struct s3emu *s3;
	struct imdsemu *imds;
	struct cqlemu *cql;
	struct http_front_end *s3_front, *imds_front;
	struct stream_front_end *cql_front;
	struct serve_publisher publisher;

	struct serve_hooks *hooks; /* NULL: nobody can ask for faults, or see the log */
	struct sim_hooks emulator_hooks;
	struct serve_admin *admin;
	struct http_front_end *admin_front;
};

#endif

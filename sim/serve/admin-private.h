/* SPDX-License-Identifier: Apache-2.0
 *
 * admin-private.h - what the files of the admin interface share: a request, and its answers.
 */
#ifndef SIM_SERVE_ADMIN_PRIVATE_H
#define SIM_SERVE_ADMIN_PRIVATE_H

#include "sim/serve/serve-private.h"

#define PARAMS_MAX 8

struct serve_admin {
	struct serve *serve;
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *arena; /* of the request in hand */
	struct lab_buf out;
};

struct param {
	struct lab_view name, value;
};

/* The request in hand. */
struct call {
	struct serve_admin *admin;
	struct serve *serve;
	const struct lab_http_request *request;
	uint64_t now_ns;
	struct param params[PARAMS_MAX];
	size_t param_count;
	struct lab_json json;
	bool has_failed;
};

/* Answers; what they return is the status. */
unsigned serve_admin_fail(struct call *c, unsigned status, const char *message);
unsigned serve_admin_begin(struct call *c); /* an object, to be ended */
unsigned serve_admin_done(struct call *c);

/* NULL: not given. */
const struct param *serve_admin_param(const struct call *c, const char *name);

/* admin-nodes.c */
unsigned serve_admin_get_nodes(struct call *c);
unsigned serve_admin_post_nodes(struct call *c);

#endif

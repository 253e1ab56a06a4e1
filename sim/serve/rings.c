/* SPDX-License-Identifier: Apache-2.0
 *
 * rings.c - the connectors of a Scality RING: sproxyd and CDMI.
 */
#include "sim/serve/serve-private.h"

#define POOL_MAX ((size_t)8 << 30)

const char *serve_ring_name(enum scalemu_protocol protocol)
{
	return protocol == SCALEMU_SPROXYD ? "sproxyd" : "cdmi";
}

int serve_ring_open(struct serve *serve, enum scalemu_protocol protocol,
	const struct serve_socket *socket, struct lab_error *err)
{
	const struct profile_ring *p =
		protocol == SCALEMU_SPROXYD ? &serve->profile->sproxyd : &serve->profile->cdmi;
	struct scalemu_latency latency = { p->latency.low, p->latency.high };
	struct serve_ring *ring = &serve->rings[protocol];
	struct scalemu_options o;

	scalemu_options_init(&o, protocol);
	o.seed = serve->profile->serve.seed;
	o.epoch_unix_us = serve->start_unix_us;
	o.base = p->base;
	o.objectid_base = p->objectid_base;
	o.by_path = p->by_path;
	o.user = p->user;
	o.password = p->password;
	o.sticky_header = p->sticky_header;
	o.lock_ns = p->lock;
	o.read_latency = o.write_latency = o.list_latency = latency;
	o.hooks = serve->emulator_hooks;
	ring->pool = lab_pool_new(POOL_MAX);
	if (scalemu_new(ring->pool, &o, &ring->ring, err) < 0)
		return -1;
	return serve_http(
		scalemu_service(ring->ring), socket, serve_ring_name(protocol), &ring->front, err);
}

void serve_ring_close(struct serve_ring *ring)
{
	http_front_end_free(&ring->front);
	scalemu_free(&ring->ring);
	lab_pool_free(&ring->pool);
}

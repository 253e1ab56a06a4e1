/* SPDX-License-Identifier: Apache-2.0
 *
 * service.c - endpoints: which emulator answers to which authority, and when it wants to be
 * advanced. Nothing is polled: after each call its deadline is asked for and put on the queue.
 */
#include "sim/world/world-private.h"

#define PORT_HTTP 80
#define PORT_HTTPS 443

/* Splits "host:port"; *ret_port is 0 if there is none. -1 if the port is no number. */
static int split_authority(struct lab_view authority, struct lab_view *ret_host, uint16_t *ret_port)
{
	size_t colon = lab_view_find_byte(authority, ':');
	uint64_t port = 0;

	*ret_host = lab_view_sub(authority, 0, colon);
	if (colon != SIZE_MAX && (lab_view_to_u64(lab_view_skip(authority, colon + 1), &port) < 0 ||
					 port == 0 || port > UINT16_MAX))
		return -1;
	*ret_port = (uint16_t)port;
	return 0;
}

static bool host_matches(const struct world_endpoint *endpoint, struct lab_view host)
{
	if (!endpoint->is_wildcard)
		return lab_view_eq_nocase(host, endpoint->host);
	return host.len > endpoint->host.len &&
	       lab_view_eq_nocase(
		       lab_view_skip(host, host.len - endpoint->host.len), endpoint->host);
}

struct world_endpoint *world_http_endpoint(struct world *world, struct lab_view authority, bool tls)
{
	struct lab_view host;
	uint16_t port, default_port = tls ? PORT_HTTPS : PORT_HTTP;

	if (split_authority(authority, &host, &port) < 0)
		return NULL;
	if (port == 0)
		port = default_port;
	for (uint32_t i = 0; i < world->endpoint_count; i++) {
		struct world_endpoint *endpoint = world->endpoints[i];
		uint16_t own_port = endpoint->port == 0 ? default_port : endpoint->port;

		if (endpoint->http_ops != NULL && own_port == port && host_matches(endpoint, host))
			return endpoint;
	}
	return NULL;
}

struct world_endpoint *world_stream_endpoint(
	struct world *world, const char *host, uint16_t port, bool *ret_host_known)
{
	*ret_host_known = false;
	for (uint32_t i = 0; i < world->endpoint_count; i++) {
		struct world_endpoint *endpoint = world->endpoints[i];

		if (!host_matches(endpoint, lab_view_cstr(host)))
			continue;
		*ret_host_known = true;
		if (endpoint->stream_ops != NULL && endpoint->port == port)
			return endpoint;
	}
	return NULL;
}

/* ---- deadlines ---- */

static void on_service_deadline(void *ctx)
{
	struct world_backend *backend = ctx;

	backend->timer = 0;
	backend->armed_ns = UINT64_MAX;
	backend->advance(backend->service, backend->world->now_ns);
	world_rearm(backend);
}

void world_rearm(struct world_backend *backend)
{
	uint64_t deadline = backend->next_deadline(backend->service);

	if (deadline == backend->armed_ns)
		return;
	world_cancel(backend->world, &backend->timer);
	backend->armed_ns = deadline;
	if (deadline != UINT64_MAX)
		backend->timer =
			world_post(backend->world, NULL, deadline, on_service_deadline, backend);
}

static struct world_backend *find_backend(struct world *world, void *service)
{
	for (uint32_t i = 0; i < world->backend_count; i++) {
		if (world->backends[i]->service == service)
			return world->backends[i];
	}
	return NULL;
}

static struct world_backend *make_backend(struct world *world, void *service,
	void (*advance)(void *service, uint64_t now_ns), uint64_t (*next_deadline)(void *service))
{
	struct world_backend *backend = find_backend(world, service);

	if (backend != NULL)
		return backend;
	backend = lab_new(world->heap, struct world_backend);
	backend->world = world;
	backend->service = service;
	backend->advance = advance;
	backend->next_deadline = next_deadline;
	backend->armed_ns = UINT64_MAX;
	world->backends = world_grow(world, world->backends, sizeof(struct world_backend *),
		world->backend_count, &world->backend_capacity);
	world->backends[world->backend_count++] = backend;
	world_rearm(backend);
	return backend;
}

/* ---- registration ---- */

static struct world_endpoint *make_endpoint(
	struct world *world, const struct world_service_settings *settings)
{
	struct world_endpoint *endpoint = lab_new(world->heap, struct world_endpoint);
	struct lab_view authority =
		lab_view_cstr(lab_heap_strdup(world->heap, settings->authority));

	endpoint->world = world;
	endpoint->settings = *settings;
	if (settings->close_race_ns == 0)
		endpoint->settings.close_race_ns = 2 * LAB_MSEC;
	world_add_node(world, &endpoint->node, settings->name, settings->zone);
	endpoint->node.endpoint = endpoint;
	endpoint->node.latency = settings->latency;
	if (split_authority(authority, &endpoint->host, &endpoint->port) < 0)
		lab_bug("an authority is host or host:port");
	endpoint->is_wildcard = endpoint->host.len > 0 && endpoint->host.ptr[0] == '*';
	if (endpoint->is_wildcard)
		endpoint->host = lab_view_skip(endpoint->host, 1);
	world->endpoints = world_grow(world, world->endpoints, sizeof(struct world_endpoint *),
		world->endpoint_count, &world->endpoint_capacity);
	world->endpoints[world->endpoint_count++] = endpoint;
	return endpoint;
}

void world_http_service(struct world *world, const struct world_service_settings *settings,
	const struct sim_http_service *service)
{
	struct world_endpoint *endpoint = make_endpoint(world, settings);

	endpoint->http_ops = service->ops;
	endpoint->backend = make_backend(
		world, service->service, service->ops->advance, service->ops->next_deadline);
}

void world_stream_service(struct world *world, const struct world_service_settings *settings,
	const struct sim_stream_service *service)
{
	struct world_endpoint *endpoint = make_endpoint(world, settings);

	lab_assert(endpoint->port != 0);
	endpoint->stream_ops = service->ops;
	endpoint->backend = make_backend(
		world, service->service, service->ops->advance, service->ops->next_deadline);
}

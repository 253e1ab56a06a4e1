/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/sockets.h"

#include <stdio.h>

/* ---- HTTP ---- */

int serve_http(struct sim_http_service service, const struct serve_socket *socket, const char *name,
	struct http_front_end **ret, struct lab_error *err)
{
	struct http_front_end_settings settings = { .service = service,
		.address = socket->address,
		.port = socket->port,
		.start_ns = socket->start_ns,
		.body_max_bytes = socket->body_max_bytes,
		.memory_max_bytes = socket->memory_max_bytes,
		.life = socket->life,
		.life_seed = socket->life_seed,
		.peers = socket->peers,
		.peer_count = socket->peer_count };

	return http_front_end_new(&settings, ret, err) < 0 ? lab_error_wrap(err, "%s", name) : 0;
}

int serve_s3(struct s3emu *s3, const struct serve_socket *socket, struct http_front_end **ret,
	struct lab_error *err)
{
	return serve_http(s3emu_service(s3), socket, "S3", ret, err);
}

int serve_imds(struct imdsemu *imds, const struct serve_socket *socket, struct http_front_end **ret,
	struct lab_error *err)
{
	return serve_http(imdsemu_service(imds), socket, "IMDS", ret, err);
}

/* ---- CQL ---- */

int serve_node_address(
	const char *first, size_t n, char ret[SERVE_ADDRESS_MAX], struct lab_error *err)
{
	struct lab_view text = lab_view_cstr(first);
	size_t dot = SIZE_MAX;
	uint64_t last;

	if (text.len >= SERVE_ADDRESS_MAX)
		return lab_fail(err, LAB_INVALID, "\"%.64s\" is not an IP address", first);
	for (size_t i = 0; i < text.len; i++)
		dot = text.ptr[i] == '.' ? i : dot;
	if (n == 0) {
		snprintf(ret, SERVE_ADDRESS_MAX, "%s", first);
		return 0;
	}
	if (dot == SIZE_MAX || lab_view_to_u64(lab_view_skip(text, dot + 1), &last) < 0)
		return lab_fail(err, LAB_INVALID,
			"\"%s\" is not an IPv4 address, and further nodes need those behind it",
			first);
	if (last == 0 || last + n > 254)
		return lab_fail(err, LAB_INVALID,
			"the address of node %zu, %zu behind %s, cannot be listened on", n + 1, n,
			first);
	snprintf(ret, SERVE_ADDRESS_MAX, "%.*s.%" PRIu64, (int)dot, first, last + n);
	return 0;
}

int serve_cql(struct cqlemu *cql, const char *const *names, size_t count,
	const struct serve_socket *socket, struct stream_front_end **ret, struct lab_error *err)
{
	struct stream_front_end_node nodes[CQLEMU_NODES_MAX];
	char addresses[CQLEMU_NODES_MAX][SERVE_ADDRESS_MAX];
	const char *first = socket->address == NULL ? "127.0.0.1" : socket->address;
	struct stream_front_end_settings settings = { .service = cqlemu_service(cql),
		.nodes = nodes,
		.node_count = count,
		.port = socket->port,
		.start_ns = socket->start_ns,
		.peers = socket->peers,
		.peer_count = socket->peer_count };

	lab_assert(count <= CQLEMU_NODES_MAX);
	for (size_t i = 0; i < count; i++) {
		if (serve_node_address(first, i, addresses[i], err) < 0)
			return lab_error_wrap(err, "Cassandra");
		nodes[i] = (struct stream_front_end_node){ names[i], addresses[i] };
	}
	return stream_front_end_new(&settings, ret, err) < 0 ? lab_error_wrap(err, "Cassandra") : 0;
}

/* ---- from IMDS to S3 ---- */

struct handover {
	const struct serve_publisher *publisher;
	const struct sim_credentials *credentials;
};

static void hand_over(void *ctx)
{
	const struct handover *handover = ctx;

	s3emu_credentials_sink(handover->publisher->s3, handover->credentials);
	if (handover->publisher->store != NULL)
		s3sqlite_credentials_keep(handover->publisher->store, handover->credentials);
}

void serve_publish(void *publisher, const struct sim_credentials *credentials)
{
	const struct serve_publisher *p = publisher;
	struct handover handover = { p, credentials };

	if (p->s3 != NULL)
		http_front_end_call(p->front_end, hand_over, &handover);
}

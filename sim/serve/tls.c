/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.c - --tls-cert: S3 and Cassandra behind TLS. The services themselves listen on loopback, on
 * any port, and TLS where they were asked to.
 */
#include "sim/serve/serve-private.h"

#include <stdio.h>

#define INNER_HOST "127.0.0.1"

int serve_tls_check(const struct serve_options *o, struct lab_error *err)
{
	if (o->tls_cert == NULL && (o->tls_key != NULL || o->tls_client_ca != NULL))
		return lab_fail(err, LAB_INVALID, "%s needs --tls-cert",
			o->tls_key != NULL ? "--tls-key" : "--tls-client-ca");
	return 0;
}

void serve_tls_socket(const struct serve *serve, struct serve_socket *socket)
{
	if (serve->tls.cert_file == NULL)
		return;
	socket->address = INNER_HOST;
	socket->port = 0;
}

int serve_tls_open(struct serve *serve, const struct serve_address *address, size_t nodes,
	uint16_t inner_port, struct tls_front_end **ret, struct lab_error *err)
{
	struct tls_front_end_settings settings = serve->tls;
	struct tls_front_end_route routes[TLS_FRONT_END_ROUTES_MAX];
	char outer[TLS_FRONT_END_ROUTES_MAX][SERVE_ADDRESS_MAX];
	char inner[TLS_FRONT_END_ROUTES_MAX][SERVE_ADDRESS_MAX];

	if (settings.cert_file == NULL)
		return 0;
	if (nodes > TLS_FRONT_END_ROUTES_MAX)
		return lab_fail(
			err, LAB_LIMIT, "TLS: more than %d nodes", TLS_FRONT_END_ROUTES_MAX);
	for (size_t i = 0; i < nodes; i++) {
		if (serve_node_address(address->host, i, outer[i], err) < 0 ||
			serve_node_address(INNER_HOST, i, inner[i], err) < 0)
			return lab_error_wrap(err, "TLS");
		routes[i] = (struct tls_front_end_route){ outer[i], inner[i], inner_port };
	}
	settings.routes = routes;
	settings.route_count = nodes;
	settings.port = address->port;
	return tls_front_end_new(&settings, ret, err) < 0 ? lab_error_wrap(err, "TLS") : 0;
}

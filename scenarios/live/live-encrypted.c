/* SPDX-License-Identifier: Apache-2.0
 *
 * live-encrypted.c - a live run whose settings ask for TLS to Cassandra gets it, and S3's https://
 * is taken at its word as well. Certificates are made for the run: they stand in for the files that
 * the settings name, as the run's sockets stand in for the hosts.
 */
#include "scenarios/live/live-world.h"

#define NAMES_MAX 8192

static bool wants(const struct live_world *w)
{
	const struct scenario *scenario = w->options->scenario;

	return scenario->dict_count > 0 && scenario->dicts[0].config->connect.use_tls &&
	       !scenario->is_foreign_s3 && !scenario->is_foreign_cql;
}

/* The names under which the settings know the servers, and where they are. */
static void append_names(const struct live_world *w, struct lab_buf *out)
{
	const struct scenario_endpoints *e = &w->options->scenario->endpoints;
	/* The scene is not there yet. */
	const struct dict_cql_connect *connect = &w->options->scenario->dicts[0].config->connect;
	struct lab_view s3 = e->s3_authority;

	s3.len = LAB_MIN(lab_view_find_byte(s3, ':'), s3.len);
	lab_buf_printf(out, "IP:127.0.0.1,DNS:%.*s", LAB_VIEW_ARG(s3));
	for (size_t i = 0; i < connect->host_count; i++) {
		char address[SERVE_ADDRESS_MAX];

		lab_buf_printf(out, ",DNS:%.*s", LAB_VIEW_ARG(connect->hosts[i]));
		if (serve_node_address(LIVE_CQL_ADDRESS, i, address, NULL) == 0)
			lab_buf_printf(out, ",IP:%s", address);
	}
}

int live_encrypted_prepare(
	struct live_world *w, struct live_settings *settings, struct lab_error *err)
{
	struct lab_buf names;
	int result = 0;

	if (!wants(w))
		return 0;
	lab_buf_init(&names, w->heap, NAMES_MAX);
	append_names(w, &names);
	if (names.overflow)
		result = lab_fail(err, LAB_LIMIT, "too many names for one certificate");
	else
		result = live_certificates_make(
			w->root, lab_buf_cstr(&names), &w->certificates, err);
	lab_buf_done(&names);
	if (result < 0)
		return -1;
	w->is_encrypted = true;
	settings->ca_file = settings->stream_ca_file = w->certificates.ca_file;
	return 0;
}

static int open_front(struct live_world *w, const struct tls_front_end_route *routes, size_t count,
	struct tls_front_end **ret, struct lab_error *err)
{
	const struct tls_front_end_settings settings = {
		.cert_file = w->certificates.cert_file, .routes = routes, .route_count = count
	};

	return tls_front_end_new(&settings, ret, err);
}

int live_encrypted_serve(struct live_world *w, struct lab_error *err)
{
	struct tls_front_end_route routes[SCENE_CQL_NODES_MAX];
	char addresses[SCENE_CQL_NODES_MAX][SERVE_ADDRESS_MAX];
	const struct tls_front_end_route s3 = { "127.0.0.1", "127.0.0.1",
		w->s3 == NULL ? 0 : http_front_end_port(w->s3) };

	if (!w->is_encrypted)
		return 0;
	for (size_t i = 0; i < w->scene.cql_count; i++) {
		if (serve_node_address(LIVE_CQL_ADDRESS, i, addresses[i], err) < 0)
			return -1;
		routes[i] = (struct tls_front_end_route){ addresses[i], addresses[i],
			stream_front_end_port(w->cql) };
	}
	if (w->options->scenario->endpoints.s3.tls && open_front(w, &s3, 1, &w->s3_tls, err) < 0)
		return -1;
	return open_front(w, routes, w->scene.cql_count, &w->cql_tls, err);
}

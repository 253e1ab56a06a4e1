/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/serve-private.h"

#include "sim/serve/schema.h"

#define POOL_MAX (SIZE_MAX / 4)
#define DDL_MAX 65536
#define ENGINE_HEAP_MAX ((size_t)4 << 30)
#define S3_DEFAULT "127.0.0.1:9000"
#define IMDS_DEFAULT "127.0.0.1:1338"
#define CQL_DEFAULT "127.0.0.1:9042"

/* ---- what the profile says, as the emulators want it ---- */

static int64_t skew_us(uint64_t skew_ns, bool is_behind)
{
	int64_t us = (int64_t)(skew_ns / LAB_USEC);

	return is_behind ? -us : us;
}

static struct s3emu_rates rates_of(const struct profile_rates *rates)
{
	return (struct s3emu_rates){ .writes_per_s = (uint32_t)rates->write_rate,
		.reads_per_s = (uint32_t)rates->read_rate,
		.burst_ns = rates->burst,
		.shared_budget = rates->shared_budget,
		.list_is_write = rates->list_is_write,
		.bulk_per_key = rates->bulk_per_key };
}

static void set_latencies(const struct profile_s3 *s3, struct s3emu_options *o)
{
	for (size_t c = 0; c < S3EMU_CLASS_COUNT; c++) {
		struct s3emu_latency *latency = &o->latency[c];

		if (s3->measured[c].table_count + s3->measured[c].trace_count > 0)
			*latency = s3->measured[c];
		else if (s3->latency[c].low != UINT64_MAX)
			*latency = (struct s3emu_latency){ .low_ns = s3->latency[c].low,
				.high_ns = s3->latency[c].high };
		latency->bytes_per_s = s3->body_rate;
		if (s3->slow_chance == 0)
			continue;
		latency->tail_ppm = (uint32_t)s3->slow_chance;
		latency->tail_low_ns = s3->slow_time.low;
		latency->tail_high_ns = s3->slow_time.high;
	}
}

static void set_scaling(const struct profile_s3 *s3, struct s3emu_options *o)
{
	o->scaling = (struct s3emu_scaling){ .split_after_ns = s3->split_after,
		.partitions_max = (uint32_t)s3->split_max,
		.ramp_ns = s3->split_ramp,
		.merge_after_ns = s3->merge_after,
		.key_write_interval_ns = s3->key_write_interval };
	o->retry_after_s = (unsigned)(s3->retry_after / LAB_SEC);
}

/* Of a connection: false if nothing bounds it. */
static bool life_of(const struct profile_s3 *s3, struct sim_connection_life *ret)
{
	const struct conf_range *requests = &s3->connection_requests;

	*ret = (struct sim_connection_life){ .requests_low = (uint32_t)requests->low,
		.requests_high = (uint32_t)requests->high,
		.idle_ns = s3->connection_idle,
		.announced = s3->connection_announced };
	if (requests->high == 0)
		ret->requests_low = ret->requests_high = UINT32_MAX;
	return requests->high > 0 || s3->connection_idle != UINT64_MAX;
}

static void set_s3_options(struct serve *serve, struct s3emu_options *o)
{
	const struct profile_s3 *s3 = &serve->profile->s3;

	s3emu_options_init(o);
	if (s3->typical_latency)
		s3emu_options_typical_latency(o);
	set_latencies(s3, o);
	set_scaling(s3, o);
	o->seed = serve->profile->serve.seed;
	o->epoch_unix_us = serve->start_unix_us;
	o->skew_us = skew_us(s3->clock_skew, s3->clock_is_behind);
	o->region = s3->region;
	o->endpoints = s3->endpoints.items;
	o->endpoint_count = s3->endpoints.count;
	o->cname = s3->cname;
	o->verify_signatures = s3->verify_signatures;
	o->hash_bodies = s3->hash_bodies;
	o->rates = rates_of(&s3->rates);
	o->limits.stored_bytes_max = s3->memory;
	o->limits.objects_max = s3->objects_max;
	o->limits.object_bytes_max = LAB_MIN(s3->object_bytes_max, s3->memory);
	o->limits.credentials_max = 2 * PROFILE_KEYS_MAX;
	o->hooks = serve->emulator_hooks;
}

static int add_bucket(struct serve *serve, const struct profile_bucket *b, struct lab_error *err)
{
	struct s3emu_rates rates = rates_of(&b->rates);
	struct s3emu_bucket_options options = { .name = b->name,
		.owner = b->owner,
		.refuse_sigv2 = b->refuse_sigv2,
		.partitions = { .hex_layers = b->partitions == 256  ? 2
					      : b->partitions == 16 ? 1
								    : 0,
			.hex_prefix = b->partition_prefix,
			.starts = b->partition_starts.items,
			.start_count = b->partition_starts.count },
		.rates = &rates };

	if (s3emu_bucket_add(serve->s3, &options, err) == 0)
		return 0;
	return lab_error_wrap(err, "%s:%u:%u: bucket %.*s", b->where.file, b->where.line,
		b->where.column, LAB_VIEW_ARG(b->name));
}

static int add_key(struct serve *serve, const struct profile_key *k, struct lab_error *err)
{
	struct sim_credentials credentials = { .account = k->account,
		.access_key_id = k->id,
		.secret_access_key = k->secret,
		.token = k->session_token.len > 0 ? k->session_token : lab_view_of(NULL, 0) };

	if (k->expires != UINT64_MAX)
		credentials.expires_unix =
			(int64_t)(serve->start_unix_us / 1000000 + k->expires / LAB_SEC);
	if (s3emu_credentials_add(serve->s3, &credentials, err) == 0)
		return 0;
	return lab_error_wrap(err, "%s:%u:%u: key %.*s", k->where.file, k->where.line,
		k->where.column, LAB_VIEW_ARG(k->id));
}

static int open_data(struct serve *serve, struct s3emu_options *o, struct lab_error *err)
{
	const struct profile_s3 *s3 = &serve->profile->s3;
	struct s3sqlite_settings settings = { .sync = s3->sync, .bytes_max = s3->disk };

	if (serve->data == NULL)
		return 0;
	settings.path = lab_arena_printf(serve->arena, "%s/s3.sqlite", serve->data);
	serve->s3_heap = lab_heap_new(serve->s3_pool, ENGINE_HEAP_MAX);
	if (s3sqlite_open(serve->s3_heap, &settings, &serve->s3_data, err) < 0)
		return -1;
	o->engine_ops = &s3sqlite_ops;
	o->engine = serve->s3_data;
	serve->publisher.store = serve->s3_data;
	return 0;
}

/* What was there when it ended. */
static int restore(struct serve *serve, struct lab_error *err)
{
	int64_t now_unix = (int64_t)(serve->start_unix_us / 1000000);

	if (serve->s3_data == NULL)
		return 0;
	return s3emu_buckets_restore(serve->s3, err) < 0
		       ? -1
		       : s3sqlite_credentials_restore(serve->s3_data, serve->s3, now_unix, err);
}

static int new_s3(struct serve *serve, struct lab_error *err)
{
	const struct profile *p = serve->profile;
	struct s3emu_options o;

	set_s3_options(serve, &o);
	serve->s3_pool = lab_pool_new(POOL_MAX);
	if (open_data(serve, &o, err) < 0 || s3emu_new(serve->s3_pool, &o, &serve->s3, err) < 0)
		return -1;
	for (size_t i = 0; i < p->bucket_count; i++) {
		if (add_bucket(serve, &p->buckets[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < p->key_count; i++) {
		if (add_key(serve, &p->keys[i], err) < 0)
			return -1;
	}
	return restore(serve, err);
}

static int new_imds(struct serve *serve, struct lab_error *err)
{
	const struct profile_imds *imds = &serve->profile->imds;
	struct imdsemu_options o;

	imdsemu_options_init(&o);
	o.seed = serve->profile->serve.seed;
	o.epoch_unix_us = serve->start_unix_us;
	o.skew_us = skew_us(imds->clock_skew, imds->clock_is_behind);
	o.region = serve->profile->s3.region;
	o.zone = imds->zone;
	o.account = imds->account;
	o.tokens = imds->tokens;
	o.hop_limit = (unsigned)imds->hop_limit;
	o.lifetime_s = (uint32_t)(imds->lifetime / LAB_SEC);
	o.rotate_every_s = (uint32_t)(imds->rotate / LAB_SEC);
	o.throttle_per_s = (uint32_t)imds->throttle_rate;
	o.throttle_burst = (uint32_t)imds->throttle_burst;
	o.throttle_status = (unsigned)imds->throttle_status;
	o.latency_low_ns = imds->latency.low;
	o.latency_high_ns = imds->latency.high;
	o.hooks = serve->emulator_hooks;
	o.publish = serve_publish;
	o.publish_ctx = &serve->publisher;
	serve->imds_pool = lab_pool_new(POOL_MAX);
	if (imdsemu_new(serve->imds_pool, &o, &serve->imds, err) < 0)
		return -1;
	return imdsemu_role_attach(serve->imds, imds->role, imds->role_state, err);
}

/* ---- Cassandra ---- */

/* Drivers find the other nodes in system.peers, so those are the addresses of the sockets. */
static int set_nodes(struct serve *serve, struct cqlemu_node_options *nodes, struct lab_error *err)
{
	const struct profile_words *topology = &serve->profile->cql.topology;

	for (size_t i = 0; i < serve->profile->cql.nodes; i++) {
		char address[SERVE_ADDRESS_MAX];

		if (serve_node_address(serve->cql_address.host, i, address, err) < 0)
			return lab_error_wrap(err, "--cql");
		nodes[i].name = lab_view_cstr(serve->cql_names[i]);
		nodes[i].address = lab_arena_copy(serve->arena, lab_view_cstr(address));
		nodes[i].rack = topology->items[i % topology->count];
		(void)lab_view_split(&nodes[i].rack, ':', &nodes[i].dc);
	}
	return 0;
}

static unsigned replicas_of(const struct profile_cql *cql)
{
	return (unsigned)LAB_MIN(cql->replication_factor, cql->nodes);
}

static int create_keyspaces(struct serve *serve, struct lab_error *err)
{
	const struct profile_cql *cql = &serve->profile->cql;
	unsigned rf = replicas_of(cql);
	int result = 0;

	for (size_t i = 0; result == 0 && i < cql->keyspaces.count; i++) {
		struct lab_buf ddl;

		lab_buf_init(&ddl, serve->cql_heap, DDL_MAX);
		schema_print(cql->keyspaces.items[i], rf, &ddl);
		result = cqlemu_execute(serve->cql, lab_buf_view(&ddl), err);
		lab_buf_done(&ddl);
	}
	return result;
}

static int open_cql_data(struct serve *serve, struct cqlemu_options *o, struct lab_error *err)
{
	const struct profile_cql *cql = &serve->profile->cql;
	struct cqlsqlite_settings settings = { .sync = cql->sync, .bytes_max = cql->disk };

	if (serve->data == NULL)
		return 0;
	settings.path = lab_arena_printf(serve->arena, "%s/cql.sqlite", serve->data);
	if (cqlsqlite_open(serve->cql_heap, &settings, &serve->cql_data, err) < 0)
		return -1;
	o->engine_ops = &cqlsqlite_ops;
	o->engine = serve->cql_data;
	return 0;
}

static int new_cql(struct serve *serve, struct lab_error *err)
{
	const struct profile_cql *cql = &serve->profile->cql;
	struct cqlemu_node_options *nodes =
		lab_arena_array(serve->arena, struct cqlemu_node_options, cql->nodes);
	struct cqlemu_options o;

	if (set_nodes(serve, nodes, err) < 0)
		return -1;
	serve->cql_pool = lab_pool_new(POOL_MAX);
	serve->cql_heap = lab_heap_new(serve->cql_pool, (size_t)cql->memory);
	cqlemu_options_init(&o);
	o.heap = serve->cql_heap;
	o.seed = serve->profile->serve.seed;
	o.hooks = &serve->emulator_hooks;
	o.nodes = nodes;
	o.node_count = cql->nodes;
	cqlemu_options_profile(&o, cql->profile);
	if (serve->cql_address.port != 0)
		o.native_port = serve->cql_address.port;
	o.cluster_name = cql->cluster_name;
	o.epoch_us = (int64_t)serve->start_unix_us;
	o.read_timeout_ns = cql->read_timeout;
	o.write_timeout_ns = cql->write_timeout;
	o.conviction_ns = cql->conviction;
	o.user = cql->user;
	o.password = cql->password;
	if (open_cql_data(serve, &o, err) < 0 || cqlemu_new(&o, &serve->cql, err) < 0)
		return -1;
	return create_keyspaces(serve, err);
}

/* ---- sockets ---- */

static struct serve_socket socket_of(struct serve *serve, const struct serve_address *address)
{
	const struct profile *p = serve->profile;
	struct front_end_peer *peers =
		lab_arena_array(serve->arena, struct front_end_peer, p->peer_count);

	for (size_t i = 0; i < p->peer_count; i++)
		peers[i] = (struct front_end_peer){ .address = lab_arena_cstr(
							    serve->arena, p->peers[i].address),
			.name = lab_arena_cstr(serve->arena, p->peers[i].name),
			.zone = p->peers[i].zone_text,
			.hops = (unsigned)p->peers[i].hops };
	return (struct serve_socket){ .address = address->host,
		.port = address->port,
		.start_ns = serve->start_ns,
		.peers = peers,
		.peer_count = p->peer_count };
}

static int open_s3(struct serve *serve, struct lab_error *err)
{
	struct serve_socket socket = socket_of(serve, &serve->s3_address);
	struct sim_connection_life life;

	if (life_of(&serve->profile->s3, &life))
		socket.life = &life;
	socket.life_seed = serve->profile->serve.seed;
	serve_tls_socket(serve, &socket);
	socket.body_max_bytes = (size_t)serve->profile->s3.body_max;
	socket.memory_max_bytes = (size_t)serve->profile->s3.receive_max;
	if (new_s3(serve, err) < 0 || serve_s3(serve->s3, &socket, &serve->s3_front, err) < 0)
		return -1;
	serve->publisher.s3 = serve->s3;
	serve->publisher.front_end = serve->s3_front;
	return serve_tls_open(serve, &serve->s3_address, 1, http_front_end_port(serve->s3_front),
		&serve->s3_tls, err);
}

static int open_imds(struct serve *serve, struct lab_error *err)
{
	struct serve_socket socket = socket_of(serve, &serve->imds_address);

	return new_imds(serve, err) < 0 ? -1
					: serve_imds(serve->imds, &socket, &serve->imds_front, err);
}

static void tell_port(void *ctx)
{
	struct serve *serve = ctx;

	cqlemu_native_port_set(serve->cql, stream_front_end_port(serve->cql_front));
}

static int open_cql(struct serve *serve, struct lab_error *err)
{
	struct serve_socket socket = socket_of(serve, &serve->cql_address);
	size_t nodes = serve->profile->cql.nodes;

	serve_tls_socket(serve, &socket);
	if (new_cql(serve, err) < 0 ||
		serve_cql(serve->cql, serve->cql_names, nodes, &socket, &serve->cql_front, err) < 0)
		return -1;
	/* Drivers look for the other nodes' ports in system.peers_v2. */
	stream_front_end_call(serve->cql_front, tell_port, serve);
	return serve_tls_open(serve, &serve->cql_address, nodes,
		stream_front_end_port(serve->cql_front), &serve->cql_tls, err);
}

static int open_rings(struct serve *serve, struct lab_error *err)
{
	for (size_t i = 0; i < LAB_COUNT_OF(serve->rings); i++) {
		struct serve_socket socket;

		if (!serve->rings[i].is_there)
			continue;
		socket = socket_of(serve, &serve->rings[i].address);
		if (serve_ring_open(serve, (enum scalemu_protocol)i, &socket, err) < 0)
			return -1;
	}
	return 0;
}

static int open_admin(struct serve *serve, struct lab_error *err)
{
	struct serve_socket socket = { .address = serve->admin_address.host,
		.port = serve->admin_address.port,
		.start_ns = serve->start_ns,
		.body_max_bytes = SERVE_ADMIN_BODY_MAX,
		.memory_max_bytes = 16 * SERVE_ADMIN_BODY_MAX };

	serve->admin = serve_admin_new(serve);
	return serve_http(
		serve_admin_service(serve->admin), &socket, "admin", &serve->admin_front, err);
}

/* ---- faults ---- */

static int open_hooks(struct serve *serve, const struct serve_options *o,
	struct conf_problems *problems, struct lab_error *err)
{
	const struct profile_cql *cql = &serve->profile->cql;
	struct serve_hooks_settings settings = { .profile = serve->profile,
		.nodes = { serve->cql_names, serve->has_cql ? cql->nodes : 0 },
		.replicas = replicas_of(cql),
		.logs = serve->has_admin };
	struct fault_file file;

	for (size_t i = 0; i < cql->nodes; i++)
		serve->cql_names[i] = lab_arena_printf(serve->arena, "cassandra-%zu", i + 1);
	if (o->faults == NULL && !serve->has_admin)
		return 0;
	serve->hooks = serve_hooks_new(&settings);
	serve_hooks_get(serve->hooks, &serve->emulator_hooks);
	if (o->faults == NULL)
		return 0;
	if (fault_file_load(o->faults, o->reader, serve->arena, problems, &file, err) < 0)
		return -1;
	return serve_hooks_add(serve->hooks, &file, 0, err);
}

/* ---- start and stop ---- */

/* What steers the laboratory is not for others. */
static int parse_admin(struct serve *serve, const struct serve_options *o, struct lab_error *err)
{
	serve->has_admin = o->admin != NULL;
	if (!serve->has_admin)
		return 0;
	if (serve_address_parse("--admin", o->admin, &serve->admin_address, err) < 0)
		return -1;
	if (!serve_address_is_loopback(&serve->admin_address))
		return lab_fail(err, LAB_DENIED,
			"--admin: %.64s is not a loopback address, and nobody else may steer the "
			"laboratory",
			o->admin);
	return 0;
}

/* Where a service listens: where it was told to, or, if none was told anything, at its default. */
static int parse_service(const char *option, const char *text, const char *otherwise, bool *has,
	struct serve_address *address, struct lab_error *err)
{
	*has = text != NULL || otherwise != NULL;
	if (!*has)
		return 0;
	return serve_address_parse(option, text != NULL ? text : otherwise, address, err);
}

static int parse_ring(
	const char *option, const char *text, struct serve_ring *ring, struct lab_error *err)
{
	return parse_service(option, text, NULL, &ring->is_there, &ring->address, err);
}

static int parse_addresses(
	struct serve *serve, const struct serve_options *o, struct lab_error *err)
{
	const char *given[] = { o->s3, o->imds, o->cql, o->sproxyd, o->cdmi };
	bool all = true;

	for (size_t i = 0; i < LAB_COUNT_OF(given); i++)
		all = all && given[i] == NULL;
	if (parse_service("--s3", o->s3, all ? S3_DEFAULT : NULL, &serve->has_s3,
		    &serve->s3_address, err) < 0 ||
		parse_service("--imds", o->imds, all ? IMDS_DEFAULT : NULL, &serve->has_imds,
			&serve->imds_address, err) < 0 ||
		parse_service("--cql", o->cql, all ? CQL_DEFAULT : NULL, &serve->has_cql,
			&serve->cql_address, err) < 0)
		return -1;
	if (parse_ring("--sproxyd", o->sproxyd, &serve->rings[SCALEMU_SPROXYD], err) < 0)
		return -1;
	return parse_ring("--cdmi", o->cdmi, &serve->rings[SCALEMU_CDMI], err);
}

static int load_profile(struct serve *serve, const struct serve_options *o,
	struct conf_problems *problems, struct lab_error *err)
{
	if (o->profile == NULL) {
		serve->profile = profile_default(serve->arena);
		serve->has_default_key = true;
		return 0;
	}
	return profile_load(o->profile, o->reader, serve->arena, problems, &serve->profile, err);
}

int serve_start(const struct serve_options *options, struct lab_arena *arena,
	struct conf_problems *problems, struct serve **ret, struct lab_error *err)
{
	struct serve *serve = lab_arena_new_of(arena, struct serve);

	serve->arena = arena;
	serve->start_ns = options->start_ns;
	serve->data = options->data;
	serve->start_unix_us = options->start_unix_us;
	serve->tls.cert_file = options->tls_cert;
	serve->tls.key_file = options->tls_key;
	serve->tls.client_ca_file = options->tls_client_ca;
	if (serve_tls_check(options, err) < 0 || parse_addresses(serve, options, err) < 0 ||
		parse_admin(serve, options, err) < 0 ||
		load_profile(serve, options, problems, err) < 0 ||
		open_hooks(serve, options, problems, err) < 0 ||
		(serve->has_s3 && open_s3(serve, err) < 0) ||
		(serve->has_imds && open_imds(serve, err) < 0) ||
		(serve->has_cql && open_cql(serve, err) < 0) || open_rings(serve, err) < 0 ||
		(serve->has_admin && open_admin(serve, err) < 0)) {
		serve_stop(&serve);
		return -1;
	}
	*ret = serve;
	return 0;
}

void serve_stop(struct serve **serve_p)
{
	struct serve *serve = *serve_p;

	if (serve == NULL)
		return;
	*serve_p = NULL;
	/* Who calls others goes first. */
	tls_front_end_free(&serve->s3_tls);
	tls_front_end_free(&serve->cql_tls);
	http_front_end_free(&serve->admin_front);
	http_front_end_free(&serve->imds_front);
	http_front_end_free(&serve->s3_front);
	stream_front_end_free(&serve->cql_front);
	for (size_t i = 0; i < LAB_COUNT_OF(serve->rings); i++)
		serve_ring_close(&serve->rings[i]);
	imdsemu_free(&serve->imds);
	s3emu_free(&serve->s3);
	s3sqlite_close(&serve->s3_data);
	lab_heap_drop(&serve->s3_heap);
	cqlemu_free(&serve->cql);
	cqlsqlite_close(&serve->cql_data);
	serve_admin_free(&serve->admin);
	serve_hooks_free(&serve->hooks);
	lab_heap_drop(&serve->cql_heap);
	lab_pool_free(&serve->cql_pool);
	lab_pool_free(&serve->imds_pool);
	lab_pool_free(&serve->s3_pool);
}

/* ---- where it is ---- */

uint16_t serve_s3_port(const struct serve *serve)
{
	if (serve->s3_tls != NULL)
		return tls_front_end_port(serve->s3_tls);
	return serve->has_s3 ? http_front_end_port(serve->s3_front) : 0;
}

static uint16_t ring_port(const struct serve_ring *ring)
{
	return ring->is_there ? http_front_end_port(ring->front) : 0;
}

uint16_t serve_sproxyd_port(const struct serve *serve)
{
	return ring_port(&serve->rings[SCALEMU_SPROXYD]);
}

uint16_t serve_cdmi_port(const struct serve *serve)
{
	return ring_port(&serve->rings[SCALEMU_CDMI]);
}

uint16_t serve_imds_port(const struct serve *serve)
{
	return serve->has_imds ? http_front_end_port(serve->imds_front) : 0;
}

uint16_t serve_cql_port(const struct serve *serve)
{
	if (serve->cql_tls != NULL)
		return tls_front_end_port(serve->cql_tls);
	return serve->has_cql ? stream_front_end_port(serve->cql_front) : 0;
}

uint16_t serve_admin_port(const struct serve *serve)
{
	return serve->has_admin ? http_front_end_port(serve->admin_front) : 0;
}

static void print_line(
	const char *name, const char *host, uint16_t port, const char *after, struct lab_buf *out)
{
	lab_buf_append_cstr(out, name);
	serve_address_print(host, port, out);
	lab_buf_append_cstr(out, after);
}

static void print_cql(struct serve *serve, struct lab_buf *out)
{
	lab_buf_append_cstr(out, "cql");
	for (size_t i = 0; i < serve->profile->cql.nodes; i++) {
		char address[SERVE_ADDRESS_MAX];
		struct lab_error err;

		lab_assert(serve_node_address(serve->cql_address.host, i, address, &err) == 0);
		print_line(" ", address, serve_cql_port(serve), "", out);
	}
	lab_buf_append_cstr(out, "\n");
}

void serve_print(struct serve *serve, struct lab_buf *out)
{
	if (serve->has_s3)
		print_line(serve->s3_tls != NULL ? "s3 https://" : "s3 http://",
			serve->s3_address.host, serve_s3_port(serve), "\n", out);
	if (serve->has_imds)
		print_line("imds http://", serve->imds_address.host, serve_imds_port(serve), "\n",
			out);
	for (size_t i = 0; i < LAB_COUNT_OF(serve->rings); i++) {
		const struct serve_ring *ring = &serve->rings[i];

		if (!ring->is_there)
			continue;
		lab_buf_append_cstr(out, serve_ring_name((enum scalemu_protocol)i));
		print_line(" http://", ring->address.host, http_front_end_port(ring->front), "\n",
			out);
	}
	if (serve->has_cql)
		print_cql(serve, out);
	if (serve->has_admin)
		print_line("admin http://", serve->admin_address.host, serve_admin_port(serve),
			"\n", out);
	if (serve->has_default_key && serve->has_s3)
		lab_buf_printf(
			out, "key %s secret %s\n", PROFILE_DEFAULT_KEY, PROFILE_DEFAULT_SECRET);
}

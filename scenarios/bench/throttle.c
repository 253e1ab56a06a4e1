/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/bench/throttle.h"

#include "core/fs/fs-api.h"
#include "sim/s3-emulator/s3-emulator.h"
#include "sim/world/world.h"

#include <stdio.h>

#define BUCKET "mails"
#define REGION "us-east-1"
#define AUTHORITY BUCKET ".s3." REGION ".amazonaws.com"
#define ACCESS_KEY "AKIAIOSFODNN7EXAMPLE"
#define SECRET "throttle"
#define URI "s3:http://" ACCESS_KEY ":" SECRET "@" AUTHORITY "/?region=" REGION "&max_retries=0"
#define POOL_MAX ((size_t)16 << 30)
#define HOST_MEMORY_MAX ((size_t)8 << 30)
#define ARENA_MAX ((size_t)1 << 20)
#define STACK_BYTES ((size_t)64 << 10)
#define CLIENTS_MAX 65536
#define ONE_WAY_NS (250 * LAB_USEC)
#define OBJECT "0123456789abcdef"

struct throttle {
	const struct throttle_options *options;
	struct lab_pool *pool;
	struct lab_fiber_pool *fibers;
	struct world *world;
	struct s3emu *s3;
	struct env *env;
	uint64_t start_ns, end_ns; /* of the window */
	struct throttle_result result;
	uint64_t served;         /* 200s that the service sent so that they arrive in the window */
	struct lab_error failed; /* of the first client that did; code LAB_OK: none */
};

struct client {
	struct throttle *throttle;
	unsigned number, partition;
	bool is_writer;
	struct fs *fs;
	uint64_t count;
};

/* ---- clients ---- */

static void path_of(const struct client *client, const char *name, char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	unsigned n = client->partition;

	/* Whatever the layers are: two digits fall into the n-th of their ranges. */
	if (client->throttle->options->hex_layers == 2)
		(void)snprintf(out, size, "%c%c/%s", digits[n >> 4], digits[n & 15], name);
	else
		(void)snprintf(out, size, "%c0/%s", digits[n], name);
}

static int put(struct client *client, const char *path, struct lab_error *err)
{
	struct fs_file *file = fs_file_open(client->fs, lab_view_cstr(path), FS_OPEN_REPLACE);
	int result = fs_write(file, LAB_VIEW(OBJECT), err);

	fs_file_close(&file);
	return result;
}

static int get(
	struct client *client, const char *path, struct lab_arena *arena, struct lab_error *err)
{
	struct fs_file *file = fs_file_open(client->fs, lab_view_cstr(path), FS_OPEN_READONLY);
	struct lab_view body;
	int result = fs_read(file, arena, 1 << 16, &body, err);

	if (result == 0 && !lab_view_eq_cstr(body, OBJECT))
		result = lab_fail(err, LAB_CORRUPT, "another object was read");
	fs_file_close(&file);
	return result;
}

/* 0 accepted, 1 refused, -1. */
static int ask(struct client *client, struct lab_arena *arena, struct lab_error *err)
{
	char path[64], name[24];
	int result;

	lab_arena_reset(arena);
	if (!client->is_writer) {
		path_of(client, "object", path, sizeof(path));
		result = get(client, path, arena, err);
	} else {
		/* Two objects in turns: each is overwritten, so that memory stays bounded. */
		(void)snprintf(
			name, sizeof(name), "%u-%u", client->number, (unsigned)client->count & 1);
		path_of(client, name, path, sizeof(path));
		result = put(client, path, err);
	}
	client->count++;
	return result < 0 && err->status == 503 ? 1 : result;
}

static void count_answer(struct client *client, int result)
{
	struct throttle *t = client->throttle;
	struct throttle_count *count = client->is_writer ? &t->result.writes : &t->result.reads;
	uint64_t now = env_now(t->env);

	if (now < t->start_ns || now >= t->end_ns)
		return;
	if (result == 0)
		count->accepted++;
	else
		count->refused++;
}

static void client_main(void *arg)
{
	struct client *client = arg;
	struct throttle *t = client->throttle;
	struct lab_arena *arena = lab_arena_new(t->env->heap, ARENA_MAX);
	struct lab_error err = { 0 };

	/* They do not march in step. */
	env_sleep(t->env, lab_pick(lab_draw(t->options->seed, "throttle.start", client->number, 0),
				  4 * ONE_WAY_NS));
	while (env_now(t->env) < t->end_ns && t->failed.code == LAB_OK) {
		int result = ask(client, arena, &err);

		if (result < 0)
			t->failed = err;
		else
			count_answer(client, result);
	}
	lab_arena_free(&arena);
}

static int make_client(struct throttle *t, unsigned partition, bool is_writer, unsigned number,
	struct client **ret, struct lab_error *err)
{
	struct client *client = lab_new(t->env->heap, struct client);
	struct fs_settings settings = { .env = t->env, .username = "u", .session_id = "s" };

	*client = (struct client){
		.throttle = t, .number = number, .partition = partition, .is_writer = is_writer
	};
	*ret = client;
	return fs_init(LAB_VIEW(URI), &settings, &client->fs, err);
}

/* One client each, which stores what the readers read. */
static int fill_partitions(struct throttle *t, unsigned count, struct lab_error *err)
{
	struct client *client;
	char path[64];

	for (unsigned p = 0; p < count; p++) {
		if (make_client(t, p, true, p, &client, err) < 0)
			return -1;
		path_of(client, "object", path, sizeof(path));
		if (put(client, path, err) < 0)
			return lab_error_wrap(err, "partition %u", p);
	}
	return 0;
}

static int start_clients(struct throttle *t, unsigned partitions, struct lab_error *err)
{
	unsigned each = t->options->writers + t->options->readers;
	struct client *client;

	for (unsigned i = 0; i < partitions * each; i++) {
		bool is_writer = i % each < t->options->writers;

		if (make_client(t, i / each, is_writer, i, &client, err) < 0 ||
			env_spawn(t->env, "client", client_main, client, err) < 0)
			return -1;
	}
	return 0;
}

static void main_fiber(void *arg)
{
	struct throttle *t = arg;
	unsigned partitions = 1U << (4 * t->options->hex_layers);
	struct lab_error err;

	if (fill_partitions(t, partitions, &err) == 0) {
		t->start_ns = env_now(t->env) + t->options->warmup_ns;
		t->end_ns = t->start_ns + t->options->window_ns;
		if (start_clients(t, partitions, &err) == 0)
			return;
	}
	t->failed = err;
}

/* ---- the world ---- */

static void on_access(void *ctx, const struct sim_access *access)
{
	struct throttle *t = ctx;
	uint64_t heard = access->answered_ns + ONE_WAY_NS;

	if (access->status == 200 && heard >= t->start_ns && heard < t->end_ns)
		t->served++;
}

static int build_s3(struct throttle *t, struct lab_error *err)
{
	const struct sim_credentials key = { .account = LAB_VIEW("123456789012"),
		.access_key_id = LAB_VIEW(ACCESS_KEY),
		.secret_access_key = LAB_VIEW(SECRET) };
	struct s3emu_bucket_options bucket = { .name = LAB_VIEW(BUCKET), .refuse_sigv2 = true };
	struct s3emu_options o;

	s3emu_options_init(&o);
	o.seed = t->options->seed;
	o.rates.burst_ns = t->options->burst_ns;
	o.rates.shared_budget = t->options->shared_budget;
	world_hooks(t->world, &o.hooks);
	bucket.partitions.hex_layers = t->options->hex_layers;
	if (s3emu_new(t->pool, &o, &t->s3, err) < 0 || s3emu_bucket_add(t->s3, &bucket, err) < 0)
		return -1;
	return s3emu_credentials_add(t->s3, &key, err);
}

static int build(struct throttle *t, struct lab_error *err)
{
	const struct world_settings settings = { .seed = t->options->seed,
		.pool = t->pool,
		.fibers = t->fibers,
		.wall_start_us = UINT64_C(1767225600000000) };
	const struct world_service_settings link = { .name = "s3",
		.authority = AUTHORITY,
		.latency = { ONE_WAY_NS, ONE_WAY_NS },
		.life = { UINT32_MAX, UINT32_MAX, UINT64_MAX, false } };
	const struct world_host_settings clients = { .name = "clients",
		.kind = WORLD_LAB,
		.memory_max_bytes = HOST_MEMORY_MAX,
		.http_idle_max = CLIENTS_MAX };
	struct sim_http_service service;
	struct world_host *host;

	t->world = world_new(&settings);
	if (build_s3(t, err) < 0)
		return -1;
	service = s3emu_service(t->s3);
	world_http_service(t->world, &link, &service);
	world_add_access_sink(t->world, on_access, t);
	host = world_host_new(t->world, &clients);
	t->env = world_env(host);
	world_start(host, main_fiber, t);
	return 0;
}

static int check_options(const struct throttle_options *o, struct lab_error *err)
{
	uint64_t clients = (uint64_t)o->writers + o->readers;

	if (o->hex_layers > 2 || o->burst_ns == 0 || o->window_ns == 0)
		return lab_fail(err, LAB_INVALID, "layers up to 2, a burst and a window");
	if (clients == 0 || clients << (4 * o->hex_layers) > CLIENTS_MAX)
		return lab_fail(err, LAB_INVALID, "1 to %d clients", CLIENTS_MAX);
	return 0;
}

static bool is_over(void *ctx)
{
	const struct throttle *t = ctx;

	return t->failed.code != LAB_OK || (t->end_ns != 0 && world_now(t->world) >= t->end_ns);
}

static int run(struct throttle *t, struct lab_error *err)
{
	if (build(t, err) < 0 || world_run_until(t->world, ENV_FOREVER, is_over, t, err) < 0)
		return -1;
	if (t->failed.code != LAB_OK) {
		*err = t->failed;
		return -1;
	}
	if (t->served != t->result.writes.accepted + t->result.reads.accepted)
		return lab_fail(err, LAB_INTERNAL,
			"clients got %" PRIu64 " answers, the service gave %" PRIu64,
			t->result.writes.accepted + t->result.reads.accepted, t->served);
	return 0;
}

int throttle_run(
	const struct throttle_options *options, struct throttle_result *ret, struct lab_error *err)
{
	struct throttle t = { .options = options };
	int result;

	if (check_options(options, err) < 0)
		return -1;
	t.pool = lab_pool_new(POOL_MAX);
	t.fibers = lab_fiber_pool_new(STACK_BYTES, CLIENTS_MAX + 16, NULL);
	result = run(&t, err);
	world_free(&t.world);
	s3emu_free(&t.s3);
	lab_fiber_pool_free(&t.fibers);
	lab_pool_free(&t.pool);
	if (result == 0)
		*ret = t.result;
	return result;
}

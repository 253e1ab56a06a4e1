/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's S3 driver in the simulated world under each kind of fault that S3 has: whatever it
 * says must be true. What the bucket holds is looked up behind its back.
 */
#include "core/base/testing.h"
#include "core/fs/fs-api.h"
#include "sim/s3-emulator/s3-emulator.h"
#include "sim/world/world.h"

#include <stdio.h>

#define BUCKET "mails"
#define AUTHORITY BUCKET ".s3.us-east-1.amazonaws.com"
#define ACCESS_KEY "AKIAIOSFODNN7EXAMPLE"
#define SECRET "secret"
#define URI "s3:http://" ACCESS_KEY ":" SECRET "@" AUTHORITY "/?region=us-east-1"
#define POOL_MAX ((size_t)1 << 32)
#define ARENA_MAX ((size_t)1 << 24)
#define ROUNDS 12
#define BULK 5
/* S3 lies about what it holds: nobody can see through that. */
#define LIES (FAULT_KIND(stale_missing) | FAULT_KIND(stale) | FAULT_KIND(duplicate))

static struct rig {
	struct lab_pool *pool;
	struct lab_fiber_pool *fibers;
	struct world *world;
	struct s3emu *s3;
	struct fault_plan *plan;
	struct env *env;
	struct fs *fs;
	struct lab_arena *arena;
	bool lies, done;
	unsigned ok, failed, uncertain;
} rig;

/* ---- what is there, and what was said ---- */

static bool is_stored(const char *path, struct lab_view *ret_body)
{
	struct s3emu_object_info info;

	if (s3emu_object_find(rig.s3, LAB_VIEW(BUCKET), lab_view_cstr(path), &info) == 0)
		return false;
	*ret_body = info.body;
	return true;
}

static void count(int result, const struct lab_error *err)
{
	if (result == 0)
		rig.ok++;
	else if (err->code == LAB_UNCERTAIN)
		rig.uncertain++;
	else
		rig.failed++;
}

/* Writing: done, or certainly not, or it says that it does not know. */
static void check_write(const char *path, const char *body, bool was_there)
{
	struct fs_file *file = fs_file_open(rig.fs, lab_view_cstr(path), FS_OPEN_REPLACE);
	struct lab_error err = { 0 };
	struct lab_view stored;
	int result = fs_write(file, lab_view_cstr(body), &err);
	bool there = is_stored(path, &stored);

	count(result, &err);
	fs_file_close(&file);
	if (result == 0)
		assert_true(there && lab_view_eq_cstr(stored, body));
	else if (err.code != LAB_UNCERTAIN)
		assert_int_equal(there, was_there);
}

static void check_read(const char *path)
{
	struct fs_file *file = fs_file_open(rig.fs, lab_view_cstr(path), FS_OPEN_READONLY);
	struct lab_error err = { 0 };
	struct lab_view body, stored = { NULL, 0 };
	int result = fs_read(file, rig.arena, 1 << 20, &body, &err);
	bool there = is_stored(path, &stored);

	count(result, &err);
	fs_file_close(&file);
	if (rig.lies)
		return;
	if (result == 0)
		assert_true(there && lab_view_eq(body, stored));
	else if (err.code == LAB_NOT_FOUND)
		assert_false(there);
}

static void check_exists(const char *path)
{
	struct fs_file *file = fs_file_open(rig.fs, lab_view_cstr(path), FS_OPEN_READONLY);
	struct lab_error err = { 0 };
	struct lab_view stored;
	int result = fs_exists(file, &err);

	fs_file_close(&file);
	if (result >= 0 && !rig.lies)
		assert_int_equal(result, is_stored(path, &stored));
}

static void check_gone(const char *path, enum lab_code code)
{
	struct lab_view stored;
	bool there = is_stored(path, &stored);

	if (code == LAB_OK || code == LAB_NOT_FOUND)
		assert_false(there);
	else if (code != LAB_UNCERTAIN)
		assert_true(there);
}

static void check_delete(const char *path)
{
	struct fs_file *file = fs_file_open(rig.fs, lab_view_cstr(path), FS_OPEN_READONLY);
	struct lab_error err = { 0 };
	struct lab_view stored;
	bool was_there = is_stored(path, &stored);
	int result = fs_delete(file, &err);

	count(result, &err);
	fs_file_close(&file);
	if (was_there)
		check_gone(path, result == 0 ? LAB_OK : err.code);
}

static void check_bulk_delete(unsigned round)
{
	struct lab_error results[BULK] = { { 0 } }, err = { 0 };
	struct fs_file *files[BULK];
	char paths[BULK][32];
	bool was_there[BULK];
	struct lab_view stored;

	for (size_t i = 0; i < BULK; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "bulk/%u-%zu", round, i);
		check_write(paths[i], "bulk", false);
		was_there[i] = is_stored(paths[i], &stored);
		files[i] = fs_file_open(rig.fs, lab_view_cstr(paths[i]), FS_OPEN_READONLY);
	}
	(void)fs_delete_many(files, BULK, results, &err);
	for (size_t i = 0; i < BULK; i++) {
		fs_file_close(&files[i]);
		if (was_there[i])
			check_gone(paths[i], results[i].code);
	}
}

static void check_copy(const char *from, const char *to)
{
	struct fs_file *source = fs_file_open(rig.fs, lab_view_cstr(from), FS_OPEN_READONLY);
	struct fs_file *target = fs_file_open(rig.fs, lab_view_cstr(to), FS_OPEN_REPLACE);
	struct lab_error err = { 0 };
	struct lab_view stored, original;
	int result = fs_copy(source, target, &err);

	count(result, &err);
	fs_file_close(&target);
	fs_file_close(&source);
	if (result == 0)
		assert_true(is_stored(from, &original) && is_stored(to, &stored) &&
			    lab_view_eq(stored, original));
	else if (err.code != LAB_UNCERTAIN)
		assert_false(is_stored(to, &stored));
}

static void check_list(void)
{
	struct lab_view *names, stored;
	struct lab_error err = { 0 };
	size_t n;

	if (fs_iter(rig.fs, LAB_VIEW("one/"), 0, 1000, rig.arena, &names, &n, &err) < 0 || rig.lies)
		return;
	for (size_t i = 0; i < n; i++)
		assert_true(is_stored(
			lab_arena_printf(rig.arena, "one/%.*s", LAB_VIEW_ARG(names[i])), &stored));
}

static void do_round(unsigned round)
{
	char path[32], copy[32];

	(void)snprintf(path, sizeof(path), "one/%u", round);
	(void)snprintf(copy, sizeof(copy), "copies/%u", round);
	check_write(path, "first", false);
	check_read(path);
	check_exists(path);
	check_list();
	check_copy("there", copy);
	check_read("there");
	check_bulk_delete(round);
	check_delete(path);
	check_read(path);
	lab_arena_reset(rig.arena);
}

/* ---- the world ---- */

static void all_rounds(void *arg)
{
	struct fs_settings settings = {
		.env = rig.env, .username = "u", .session_id = "s", .max_parallel_deletes = 100
	};
	struct lab_error err;

	(void)arg;
	rig.arena = lab_arena_new(rig.env->heap, ARENA_MAX);
	if (fs_init(LAB_VIEW(URI), &settings, &rig.fs, &err) < 0)
		fail_msg("%s", err.message);
	/* The faults begin a second later. */
	check_write("there", "content", false);
	assert_int_equal(rig.ok, 1);
	env_sleep(rig.env, LAB_SEC);
	for (unsigned round = 0; round < ROUNDS; round++)
		do_round(round);
	rig.done = true;
}

static void build(void)
{
	const struct sim_credentials key = { .account = LAB_VIEW("123456789012"),
		.access_key_id = LAB_VIEW(ACCESS_KEY),
		.secret_access_key = LAB_VIEW(SECRET) };
	const struct s3emu_bucket_options bucket = { .name = LAB_VIEW(BUCKET) };
	const struct world_settings settings = { .seed = 1,
		.pool = rig.pool,
		.fibers = rig.fibers,
		.wall_start_us = UINT64_C(1767225600000000) };
	const struct world_service_settings link = {
		.name = "s3", .authority = AUTHORITY, .latency = { LAB_MSEC, LAB_MSEC }
	};
	struct sim_http_service service;
	struct s3emu_options o;
	struct world_host *host;

	rig.world = world_new(&settings);
	s3emu_options_init(&o);
	o.stale_changes_max = 100;
	o.limits.stored_bytes_max = o.limits.object_bytes_max = 1 << 26;
	world_hooks(rig.world, &o.hooks);
	assert_int_equal(s3emu_new(rig.pool, &o, &rig.s3, NULL), 0);
	assert_int_equal(s3emu_bucket_add(rig.s3, &bucket, NULL), 0);
	assert_int_equal(s3emu_credentials_add(rig.s3, &key, NULL), 0);
	service = s3emu_service(rig.s3);
	world_http_service(rig.world, &link, &service);
	host = world_host_new(
		rig.world, &(struct world_host_settings){ .name = "clients", .kind = WORLD_LAB });
	rig.env = world_env(host);
	world_start(host, all_rounds, NULL);
}

static void try_kind(enum fault_kind kind, uint32_t rate_ppm)
{
	const struct fault_episode episode = { .kind = kind,
		.points = fault_kind_points(kind) & FAULT_S3,
		.start_ns = LAB_SEC / 2,
		.length_ns = 365 * 86400 * LAB_SEC,
		.rate_ppm = rate_ppm };

	memset(&rig, 0, sizeof(rig));
	rig.lies = (LIES & FAULT_KIND_BIT(kind)) != 0;
	rig.pool = lab_pool_new(POOL_MAX);
	rig.fibers = lab_fiber_pool_new((size_t)128 << 10, 64, NULL);
	build();
	rig.plan = fault_plan_new(world_heap(rig.world), 7, 1);
	assert_int_equal(fault_plan_add_episode(rig.plan, &episode, NULL, NULL), 0);
	world_set_faults(rig.world, rig.plan);
	assert_int_equal(world_run_until(rig.world, ENV_FOREVER, NULL, NULL, NULL), 0);
	assert_true(rig.done);
	if (fault_fired_kind(rig.plan, kind) == 0)
		fail_msg("%s did not happen", fault_kind_name(kind));
	print_message("%-24s %3u ok %3u failed %3u uncertain, %u faults\n", fault_kind_name(kind),
		rig.ok, rig.failed, rig.uncertain, (unsigned)fault_fired_kind(rig.plan, kind));
	world_free(&rig.world);
	s3emu_free(&rig.s3);
	lab_fiber_pool_free(&rig.fibers);
	lab_pool_free(&rig.pool);
}

static void try_all(uint32_t rate_ppm)
{
	unsigned kinds = 0;

	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		if ((fault_kind_points((enum fault_kind)k) & FAULT_S3) == 0)
			continue;
		try_kind((enum fault_kind)k, rate_ppm);
		kinds++;
	}
	assert_true(kinds >= 30);
}

static void what_the_driver_says_is_true_if_half_of_it_fails(void **state)
{
	(void)state;
	try_all(500000);
}

static void what_the_driver_says_is_true_if_all_of_it_fails(void **state)
{
	(void)state;
	try_all(1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_driver_says_is_true_if_half_of_it_fails),
		cmocka_unit_test(what_the_driver_says_is_true_if_all_of_it_fails),
	};

	return cmocka_run_group_tests_name("s3-faults", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * LocalDB: what is remembered, for how long, and what is left of it on the disk.
 */
#include "core/base/testing.h"

#include "core/cluster/localdb.h"
#include "sim/world/world.h"

#define PATH "/dev/shm/cluster-localdb"

static struct {
	struct env *env;
	struct world_host *host;
	struct lab_arena *arena;
	struct localdb_settings settings;
	struct localdb *db;
	void (*body)(void);
	bool done;
} t;

static struct lab_error err;

static void test_main(void *arg)
{
	(void)arg;
	t.arena = lab_arena_new(t.env->heap, 16u << 20);
	localdb_settings_defaults(&t.settings);
	t.settings.path = PATH;
	t.db = localdb_new(t.env, &t.settings);
	t.body();
	t.done = true;
}

static void run(void (*body)(void))
{
	struct world_settings settings = { .seed = 1, .pool = testing_pool };
	const struct world_host_settings host = { .name = "b1" };
	struct lab_fiber_pool *fibers = lab_fiber_pool_new(256 << 10, 100, NULL);
	struct world *world;

	settings.fibers = fibers;
	memset(&t, 0, sizeof(t));
	t.body = body;
	world = world_new(&settings);
	t.host = world_host_new(world, &host);
	t.env = world_env(t.host);
	world_start(t.host, test_main, NULL);
	if (world_run_until(world, ENV_FOREVER, NULL, NULL, &err) < 0)
		fail_msg("%s", err.message);
	assert_true(t.done);
	world_free(&world);
	lab_fiber_pool_free(&fibers);
}

#define TEST(name) \
	static void name##_body(void); \
	static void name(void **state) \
	{ \
		(void)state; \
		run(name##_body); \
	} \
	static void name##_body(void)

static void reopen(void)
{
	localdb_free(&t.db);
	t.db = localdb_new(t.env, &t.settings);
}

static void put_user(const char *name, int64_t version)
{
	const struct cluster_user user = { .username = lab_view_cstr(name),
		.group_name = LAB_VIEW("default-1"),
		.version_us = version };

	localdb_put_user(t.db, &user);
}

/* The version of what is cached; -1: nothing. */
static int64_t user_of(const char *name, uint64_t max_age_ns)
{
	struct cluster_user user = { .username = lab_view_cstr(name) };

	if (localdb_get_user(t.db, &user, max_age_ns, t.arena) == 0)
		return -1;
	assert_true(lab_view_eq_cstr(user.username, name));
	assert_true(lab_view_eq_cstr(user.group_name, "default-1"));
	return user.version_us;
}

static struct cluster_id id(uint8_t n)
{
	return (struct cluster_id){ { n } };
}

#define G LAB_VIEW("default-1")
#define M LAB_VIEW("b1:7")

static void mark(const char *user)
{
	assert_int_equal(localdb_mark_moved(t.db, G, M, lab_view_cstr(user), &err), 0);
}

static bool was_moved(const char *user)
{
	return localdb_was_moved(t.db, G, M, lab_view_cstr(user));
}

TEST(rows_live_as_long_as_they_may)
{
	put_user("bob", 5);
	assert_int_equal(user_of("bob", LAB_SEC), 5);
	assert_int_equal(user_of("ann", LAB_SEC), -1);
	assert_int_equal(user_of("bob", 0), -1);
	env_sleep(t.env, 10 * LAB_SEC);
	assert_int_equal(user_of("bob", 10 * LAB_SEC), -1);
	assert_int_equal(user_of("bob", 11 * LAB_SEC), 5);
	put_user("bob", 6);
	assert_int_equal(user_of("bob", LAB_SEC), 6);
	assert_int_equal(localdb_count(t.db), 1);
	localdb_drop_user(t.db, LAB_VIEW("bob"));
	localdb_drop_user(t.db, LAB_VIEW("bob"));
	assert_int_equal(user_of("bob", ENV_FOREVER), -1);
}

TEST(groups_of_two_sites_are_two)
{
	struct cluster_group group = { .site_id = id(1), .name = G, .backend_id = id(9) };

	localdb_put_group(t.db, &group);
	group.site_id = id(2);
	assert_int_equal(localdb_get_group(t.db, &group, ENV_FOREVER, t.arena), 0);
	group.backend_id = id(8);
	localdb_put_group(t.db, &group);
	reopen();
	group = (struct cluster_group){ .site_id = id(1), .name = G };
	assert_int_equal(localdb_get_group(t.db, &group, ENV_FOREVER, t.arena), 1);
	assert_int_equal(group.backend_id.bytes[0], 9);
}

TEST(a_clock_that_is_put_back_expires_everything)
{
	put_user("bob", 5);
	world_clock_offset(t.host, -1000000);
	assert_int_equal(user_of("bob", 3600 * LAB_SEC), -1);
	world_clock_offset(t.host, 0);
	assert_int_equal(user_of("bob", 3600 * LAB_SEC), 5);
}

TEST(what_is_frozen_stays)
{
	put_user("bob", 5);
	localdb_freeze(t.db, true);
	env_sleep(t.env, 1000 * LAB_SEC);
	put_user("bob", 6);
	put_user("new", 1);
	localdb_drop_user(t.db, LAB_VIEW("bob"));
	assert_int_equal(user_of("bob", 1), 5);
	assert_int_equal(user_of("new", 1), 1);
	mark("bob");
	assert_true(was_moved("bob"));
	localdb_freeze(t.db, false);
	assert_int_equal(user_of("bob", LAB_SEC), -1);
}

TEST(marks_are_of_one_move_and_one_hour)
{
	struct cluster_id to;

	mark("bob");
	assert_true(was_moved("bob"));
	assert_false(was_moved("ann"));
	assert_false(localdb_was_moved(t.db, G, LAB_VIEW("b1:8"), LAB_VIEW("bob")));
	assert_int_equal(localdb_group_went(t.db, G, &to), 0);
	assert_int_equal(localdb_mark_group(t.db, G, id(7), &err), 0);
	assert_int_equal(localdb_group_went(t.db, G, &to), 1);
	assert_int_equal(to.bytes[0], 7);
	/* Not forgotten with the cache. */
	put_user("bob", 1);
	localdb_clear(t.db);
	assert_int_equal(user_of("bob", ENV_FOREVER), -1);
	assert_true(was_moved("bob"));
	env_sleep(t.env, 59 * LAB_MINUTE);
	reopen();
	assert_true(was_moved("bob"));
	assert_int_equal(localdb_group_went(t.db, G, &to), 1);
	localdb_forget_group(t.db, G);
	assert_int_equal(localdb_group_went(t.db, G, &to), 0);
	env_sleep(t.env, 2 * LAB_MINUTE);
	assert_false(was_moved("bob"));
	reopen();
	assert_int_equal(localdb_group_went(t.db, G, &to), 0);
}

TEST(when_it_is_full_the_oldest_row_goes_and_no_mark)
{
	char name[32];

	t.settings.entries_max = 10;
	reopen();
	for (int i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof(name), "moved%d", i);
		mark(name);
	}
	for (int i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), "u%d", i);
		put_user(name, i);
	}
	assert_int_equal(localdb_count(t.db), 10);
	assert_int_equal(user_of("u14", ENV_FOREVER), -1);
	assert_int_equal(user_of("u15", ENV_FOREVER), 15);
	for (int i = 5; i < 10; i++) {
		(void)snprintf(name, sizeof(name), "moved%d", i);
		mark(name);
	}
	assert_int_equal(localdb_mark_moved(t.db, G, M, LAB_VIEW("one-more"), &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	put_user("u30", 30);
	assert_int_equal(user_of("u30", ENV_FOREVER), -1);
	assert_true(was_moved("moved0"));
	/* Until their time is over. */
	env_sleep(t.env, 61 * LAB_MINUTE);
	mark("one-more");
	assert_int_equal(localdb_count(t.db), 1);
}

/* ---- the file ---- */

static struct lab_view load(void)
{
	struct lab_view bytes;

	assert_int_equal(env_file_load(t.env, PATH, 64u << 20, t.arena, &bytes, &err), 0);
	return bytes;
}

static void store(struct lab_view bytes)
{
	localdb_free(&t.db);
	assert_int_equal(env_file_replace(t.env, PATH, bytes, false, &err), 0);
	t.db = localdb_new(t.env, &t.settings);
}

TEST(a_restart_finds_everything)
{
	put_user("bob", 5);
	put_user("bob", 6);
	put_user("gone", 1);
	localdb_drop_user(t.db, LAB_VIEW("gone"));
	mark("bob");
	reopen();
	assert_int_equal(user_of("bob", LAB_SEC), 6);
	assert_int_equal(user_of("gone", ENV_FOREVER), -1);
	assert_true(was_moved("bob"));
	assert_int_equal(localdb_count(t.db), 2);
}

/* Cut at every byte, and damaged at every byte: what was before counts, nothing is made up. */
TEST(damage_ends_the_reading)
{
	struct lab_view bytes;

	put_user("bob", 5);
	put_user("ann", 6);
	bytes = load();
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t *copy = lab_arena_alloc(t.arena, bytes.len);
		int64_t bob, ann;

		store(lab_view_sub(bytes, 0, i));
		assert_row(i, localdb_count(t.db) <= 1);
		assert_row(i, user_of("ann", ENV_FOREVER) == -1);
		memcpy(copy, bytes.ptr, bytes.len);
		copy[i] ^= 0x10;
		store(lab_view_of(copy, bytes.len));
		bob = user_of("bob", ENV_FOREVER);
		ann = user_of("ann", ENV_FOREVER);
		assert_row(i, (bob == 5 || bob == -1) && (ann == 6 || ann == -1));
		assert_row(i, bob == -1 || ann == -1);
	}
	store(bytes);
	assert_int_equal(localdb_count(t.db), 2);
}

TEST(the_file_does_not_grow_for_ever)
{
	for (int i = 0; i < 20000; i++)
		put_user("bob", i);
	assert_in_range(load().len, 100, 300000);
	reopen();
	assert_int_equal(user_of("bob", ENV_FOREVER), 19999);
	assert_in_range(load().len, 100, 500);
}

TEST(without_a_disk_it_lives_in_memory)
{
	struct lab_view bytes;

	t.settings.file_max_bytes = 4096;
	for (int i = 0; i < 100; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "u%d", i);
		if (i == 0)
			reopen();
		put_user(name, i);
	}
	assert_int_equal(user_of("u99", LAB_SEC), 99);
	assert_int_equal(env_file_load(t.env, PATH, 64u << 20, t.arena, &bytes, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	t.settings.path = NULL;
	reopen();
	assert_int_equal(localdb_count(t.db), 0);
	put_user("bob", 1);
	assert_int_equal(user_of("bob", LAB_SEC), 1);
	localdb_free(&t.db);
	localdb_free(&t.db);
	assert_int_equal(localdb_group_ttl(localdb_new(t.env, &t.settings)), 5 * LAB_SEC);
}

#define T(name) cmocka_unit_test_setup_teardown(name, testing_setup, testing_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rows_live_as_long_as_they_may),
		T(groups_of_two_sites_are_two),
		T(a_clock_that_is_put_back_expires_everything),
		T(what_is_frozen_stays),
		T(marks_are_of_one_move_and_one_hour),
		T(when_it_is_full_the_oldest_row_goes_and_no_mark),
		T(a_restart_finds_everything),
		T(damage_ends_the_reading),
		T(the_file_does_not_grow_for_ever),
		T(without_a_disk_it_lives_in_memory),
	};
	return cmocka_run_group_tests_name("localdb", tests, NULL, NULL);
}

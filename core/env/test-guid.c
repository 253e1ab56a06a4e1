/* SPDX-License-Identifier: Apache-2.0
 *
 * GUID-128: the layout of obox 4.1, and what a clock that steps back does to it.
 */
#include "core/base/testing.h"
#include "core/env/env-private.h"

struct clock_world {
	struct env env;
	uint64_t wall_us;
};

static uint64_t read_wall(struct env *env)
{
	return ((struct clock_world *)(void *)env)->wall_us;
}

static const struct env_ops clock_ops = { .wall_us = read_wall };

static struct clock_world make_world(const char *hostname, uint32_t pid, uint64_t wall_us)
{
	return (struct clock_world){ .env = { .ops = &clock_ops, .hostname = hostname, .pid = pid },
		.wall_us = wall_us };
}

static void generate(struct clock_world *world, char hex[33])
{
	uint8_t guid[ENV_GUID128_SIZE];

	env_guid128_generate(&world->env, guid);
	lab_hex(guid, sizeof(guid), hex);
}

/* d88ff100 1d4bf753 a1b80000 1accfe22: nanoseconds, seconds, pid, end of SHA-1(host). */
static void the_layout_is_dovecots(void **state)
{
	struct clock_world world =
		make_world("b1.example.com", 0xb8a1, UINT64_C(0x53f74b1d) * 1000000 + 15831);
	uint8_t digest[LAB_DIGEST_MAX];
	char hex[33], host[9];

	(void)state;
	/* A wall clock of microseconds, and the nanoseconds of earlier GUIDs of that instant. */
	world.env.last_guid.seconds = 0x53f74b1d;
	world.env.last_guid.nanos = 0x00f18fd7;
	generate(&world, hex);
	assert_memory_equal(hex, "d88ff1001d4bf753a1b80000", 24);
	lab_digest(LAB_SHA1, LAB_VIEW("b1.example.com"), digest);
	lab_hex(digest + 16, 4, host);
	assert_string_equal(hex + 24, host);
}

static void the_time_comes_back(void **state)
{
	static const uint8_t guid[ENV_GUID128_SIZE] = { 0xd8, 0x8f, 0xf1, 0x00, 0x1d, 0x4b, 0xf7,
		0x53, 0xa1, 0xb8, 0, 0, 0x1a, 0xcc, 0xfe, 0x22 };

	(void)state;
	assert_int_equal(env_guid128_time(guid), UINT64_C(0x53f74b1d) * LAB_SEC + 0x00f18fd8);
}

/* Generates n; every one is later than the one before. */
static void assert_ordered(struct clock_world *world, unsigned n, uint64_t *last_ns)
{
	uint8_t guid[ENV_GUID128_SIZE];

	for (unsigned i = 0; i < n; i++) {
		env_guid128_generate(&world->env, guid);
		assert_true(env_guid128_time(guid) > *last_ns);
		*last_ns = env_guid128_time(guid);
	}
}

static void guids_of_one_instant_are_a_nanosecond_apart(void **state)
{
	struct clock_world world = make_world("h", 1, 5000000);
	uint64_t last_ns = 0;

	(void)state;
	assert_ordered(&world, 3000, &last_ns);
	assert_int_equal(last_ns, 5 * LAB_SEC + 2999);
	/* The clock is behind them for three microseconds. */
	world.wall_us += 2;
	assert_ordered(&world, 1, &last_ns);
	assert_int_equal(last_ns, 5 * LAB_SEC + 3000);
	world.wall_us += 2;
	assert_ordered(&world, 1, &last_ns);
	assert_int_equal(last_ns, 5 * LAB_SEC + 4000);
}

static void a_clock_that_steps_back_changes_neither_order_nor_uniqueness(void **state)
{
	struct clock_world world = make_world("h", 1, 100 * 1000000);
	uint64_t last_ns = 0;

	(void)state;
	assert_ordered(&world, 10, &last_ns);
	world.wall_us = 40 * 1000000;
	assert_ordered(&world, 10, &last_ns);
	assert_int_equal(last_ns, 100 * LAB_SEC + 19);
	world.wall_us = 101 * 1000000;
	assert_ordered(&world, 10, &last_ns);
	assert_int_equal(last_ns, 101 * LAB_SEC + 9);
}

static void the_last_nanosecond_of_a_second_is_followed_by_the_next_second(void **state)
{
	struct clock_world world = make_world("h", 1, 7 * 1000000);
	uint64_t last_ns = 0;

	(void)state;
	world.env.last_guid.seconds = 7;
	world.env.last_guid.nanos = 999999998;
	assert_ordered(&world, 3, &last_ns);
	assert_int_equal(last_ns, 8 * LAB_SEC + 1);
}

static void processes_and_hosts_differ(void **state)
{
	struct clock_world a = make_world("a", 1, 1000000), b = make_world("b", 1, 1000000);
	struct clock_world again = make_world("a", 2, 1000000);
	char first[33], second[33], third[33];

	(void)state;
	generate(&a, first);
	generate(&b, second);
	generate(&again, third);
	assert_string_not_equal(first, second);
	assert_string_not_equal(first, third);
	assert_memory_equal(first, third, 16);
	assert_memory_equal(first, second, 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_layout_is_dovecots),
		cmocka_unit_test(the_time_comes_back),
		cmocka_unit_test(guids_of_one_instant_are_a_nanosecond_apart),
		cmocka_unit_test(a_clock_that_steps_back_changes_neither_order_nor_uniqueness),
		cmocka_unit_test(the_last_nanosecond_of_a_second_is_followed_by_the_next_second),
		cmocka_unit_test(processes_and_hosts_differ),
	};

	return cmocka_run_group_tests_name("guid", tests, NULL, NULL);
}

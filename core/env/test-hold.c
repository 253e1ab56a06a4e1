/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds and unusual places: their names, and that they are inert unless somebody watches.
 */
#include "core/base/testing.h"

#include "core/env/buggify.h"
#include "core/env/env-private.h"
#include "core/env/hold.h"

struct seen {
	struct env *env;
	enum env_hold hold;
	const char *user;
	unsigned count;
};

static void reached(void *ctx, struct env *env, enum env_hold hold, const char *user)
{
	struct seen *seen = ctx;

	*seen = (struct seen){ env, hold, user, seen->count + 1 };
}

static void a_hold_is_seen_by_who_watches(void **state)
{
	struct seen seen = { 0 };
	struct env_hold_watcher watcher = { reached, &seen };
	struct env env = { .host = 1 };

	(void)state;
	ENV_HOLD(&env, object_stored, "u");
	assert_int_equal(seen.count, 0);
	env_hold_watcher = &watcher;
	ENV_HOLD(&env, rows_deleted, "u");
	env_hold_watcher = NULL;
	ENV_HOLD(&env, object_stored, "u");
	assert_int_equal(seen.count, 1);
	assert_ptr_equal(seen.env, &env);
	assert_int_equal(seen.hold, ENV_HOLD_rows_deleted);
	assert_string_equal(seen.user, "u");
}

static void holds_are_found_by_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ENV_HOLD_COUNT; i++) {
		struct lab_view name = lab_view_cstr(env_hold_name((enum env_hold)i));

		assert_row(i, env_hold_find(name) == (enum env_hold)i);
		assert_row(i, strlen(env_hold_doc((enum env_hold)i)) > 20);
	}
	assert_int_equal(env_hold_find(LAB_VIEW("nowhere")), ENV_HOLD_COUNT);
	assert_asserts((void)env_hold_name(ENV_HOLD_COUNT));
}

static uint64_t draw(struct env *env, const char *purpose, uint64_t ordinal)
{
	return lab_draw(1, purpose, env->host, ordinal);
}

static unsigned fires(struct env *env, unsigned times)
{
	unsigned count = 0;

	for (unsigned i = 0; i < times; i++)
		count += ENV_BUGGIFY(env, cql_small_pages);
	return count;
}

static void unusual_places_fire_at_their_rate(void **state)
{
	static const struct env_ops ops = { .draw = draw };
	static struct env_buggify_plan plan;
	struct env env = { .ops = &ops, .host = 1 }, other = { .ops = &ops, .host = 2 };
	unsigned chosen = 0, count;

	(void)state;
	assert_int_equal(fires(&env, 100), 0);
	for (uint64_t seed = 1; seed <= 400; seed++) {
		env_buggify_choose(&plan, seed, 100000);
		for (unsigned i = 0; i < ENV_BUGGIFY_COUNT; i++)
			chosen += plan.is_chosen[i];
	}
	/* A quarter of them. */
	assert_in_range(chosen, 80 * ENV_BUGGIFY_COUNT, 120 * ENV_BUGGIFY_COUNT);
	memset(plan.is_chosen, 0, sizeof(plan.is_chosen));
	env_buggify_plan = &plan;
	assert_int_equal(fires(&env, 1000), 0);
	plan.is_chosen[ENV_BUGGIFY_cql_small_pages] = true;
	count = fires(&env, 10000);
	assert_in_range(count, 900, 1100);
	assert_int_equal(plan.fired[ENV_BUGGIFY_cql_small_pages], count);
	/* Another host's are its own. */
	(void)fires(&other, 500);
	env_buggify_choose(&plan, 1, 100000);
	memset(plan.is_chosen, 1, sizeof(plan.is_chosen));
	assert_int_equal(fires(&env, 10000), count);
	env_buggify_plan = NULL;
	for (unsigned i = 0; i < ENV_BUGGIFY_COUNT; i++) {
		assert_row(i, strlen(env_buggify_name((enum env_buggify)i)) > 5);
		assert_row(i, strlen(env_buggify_doc((enum env_buggify)i)) > 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(a_hold_is_seen_by_who_watches),
		testing_test(holds_are_found_by_name),
		testing_test(unusual_places_fire_at_their_rate),
	};

	return cmocka_run_group_tests_name("hold", tests, NULL, NULL);
}

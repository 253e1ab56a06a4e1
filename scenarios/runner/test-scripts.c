/* SPDX-License-Identifier: Apache-2.0
 *
 * The scenarios that are scripts, scenarios/2*.scn: each passes, and between them somebody was
 * caught at every hold of the core.
 */
#include "core/base/testing.h"

#include "scenarios/runner/run.h"

#include <dirent.h>
#include <stdlib.h>

#define FILE_MAX (1u << 20)
#define SCENARIOS_MAX 100

static int read_disk(void *ctx, struct lab_view path, struct lab_arena *arena, struct lab_view *ret,
	struct lab_error *err)
{
	char name[1024];
	uint8_t *data = lab_arena_alloc(arena, FILE_MAX);
	FILE *file;

	(void)ctx;
	assert_int_equal(lab_view_to_cstr(path, name, sizeof(name)), 0);
	file = fopen(name, "re");
	if (file == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "%s: no such file", name);
	*ret = lab_view_of(data, fread(data, 1, FILE_MAX, file));
	assert_int_equal(fclose(file), 0);
	return 0;
}

static const struct scenario *load(const char *path)
{
	struct conf_reader reader = { .read_file = read_disk };
	struct lab_arena *arena = lab_arena_new(testing_heap, (size_t)1 << 28);
	struct conf_problems problems;
	struct scenario *scenario;
	struct lab_error err;

	conf_problems_init(&problems, arena);
	if (scenario_load(path, &reader, NULL, arena, &problems, &scenario, &err) < 0)
		fail_msg("%s: %s", path, err.message);
	return scenario;
}

static int is_script(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] == '2' && len > 4 && strcmp(entry->d_name + len - 4, ".scn") == 0;
}

/* How many scripts it has. */
static size_t run(const char *path, uint64_t caught[ENV_HOLD_COUNT])
{
	static struct run_result result;
	struct lab_pool *pool = lab_pool_new((size_t)1 << 30);
	struct lab_fiber_pool *fibers = lab_fiber_pool_new(64 * 1024, 4000, NULL);
	struct run_options options = {
		.scenario = load(path), .seed = 1, .pool = pool, .fibers = fibers
	};
	struct lab_error err;

	assert_int_equal(run_simulated(&options, &result, &err), 0);
	if (result.verdict != RUN_PASS)
		fail_msg("%s: %s\n%s", path, run_verdict_name(result.verdict), result.report);
	for (unsigned h = 0; h < ENV_HOLD_COUNT; h++)
		caught[h] += result.holds[h];
	lab_fiber_pool_free(&fibers);
	lab_pool_free(&pool);
	return options.scenario->script_count;
}

static void every_hold_catches_somebody(void **state)
{
	uint64_t caught[ENV_HOLD_COUNT] = { 0 };
	struct dirent **entries;
	int count = scandir("scenarios", &entries, is_script, alphasort);
	size_t scripts = 0;

	(void)state;
	assert_in_range(count, 8, SCENARIOS_MAX);
	for (int i = 0; i < count; i++) {
		char path[512];

		(void)snprintf(path, sizeof(path), "scenarios/%s", entries[i]->d_name);
		scripts += run(path, caught);
		free(entries[i]);
	}
	free(entries);
	assert_in_range(scripts, 8, SCENARIOS_MAX);
	for (unsigned h = 0; h < ENV_HOLD_COUNT; h++) {
		if (caught[h] == 0)
			fail_msg("nobody was caught at %s", env_hold_name((enum env_hold)h));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(every_hold_catches_somebody),
	};

	return cmocka_run_group_tests_name("scripts", tests, NULL, NULL);
}

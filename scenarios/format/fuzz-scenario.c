/* SPDX-License-Identifier: Apache-2.0
 *
 * A .scn file; the settings of scenarios/configs can be included. What is accepted keeps the limits
 * that a run relies on.
 */
#include "scenarios/format/scenario.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 8192

struct file {
	const char *path;
	char text[32768];
	size_t len;
};
static struct file files[] = { { .path = "scenarios/configs/aws-s3-dictmap.conf" },
	{ .path = "scenarios/configs/dovecot-dict-cql.conf.ext" } };
static struct lab_view input;

/* They are two folders above this file. */
static void load_once(void)
{
	const char *end = strstr(__FILE__, "scenarios/format/");

	for (size_t i = 0; i < LAB_COUNT_OF(files) && files[i].len == 0; i++) {
		char path[PATH_MAX];
		FILE *file;

		snprintf(path, sizeof(path), "%.*s%s", (int)(end - __FILE__), __FILE__,
			files[i].path);
		file = fopen(path, "re");
		lab_assert(file != NULL);
		files[i].len = fread(files[i].text, 1, sizeof(files[i].text), file);
		lab_assert(files[i].len < sizeof(files[i].text));
		fclose(file);
	}
}

static int read_file(void *ctx, struct lab_view path, struct lab_arena *arena, struct lab_view *ret,
	struct lab_error *err)
{
	(void)ctx;
	(void)arena;
	if (lab_view_eq_cstr(path, "scenarios/fuzz.scn")) {
		*ret = input;
		return 0;
	}
	if (lab_view_ends_with(path, LAB_VIEW(".lua"))) {
		*ret = LAB_VIEW("return 1");
		return 0;
	}
	for (size_t i = 0; i < LAB_COUNT_OF(files); i++) {
		if (lab_view_eq_cstr(path, files[i].path)) {
			*ret = lab_view_of(files[i].text, files[i].len);
			return 0;
		}
	}
	return lab_fail(err, LAB_NOT_FOUND, "no such file");
}

/* Whatever was read can be written. */
static void check_print(const struct scenario *s, struct lab_heap *heap)
{
	struct lab_buf out;
	struct lab_error err;

	lab_buf_init(&out, heap, 1 << 20);
	if (scenario_print(s, &out, &err) == 0)
		lab_assert(out.len > 0);
	lab_buf_done(&out);
}

/* What was checked can be turned, for every seed, and leaves the settings as they were. */
static void check_turn(const struct scenario *s, struct lab_arena *arena)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		const struct scenario *turned;
		struct lab_error err;
		int result = scenario_turn(s, seed, arena, &turned, &err);

		/* Only two knobs together can be too much. */
		lab_assert(result == 0 || s->knob_count > 1);
		lab_assert(scenario_schedule(s, seed) < SCENARIO_SCHEDULES);
		for (size_t i = 0; i < s->knob_count; i++)
			lab_assert(s->knobs[i].at == NULL && !s->knobs[i].is_new);
	}
}

static void check(const struct scenario *s)
{
	uint64_t backends = 0, users = 0;

	lab_assert(s->site_count >= 1 && s->group_count >= 1 && s->dict_count <= 1);
	for (size_t i = 0; i < s->site_count; i++)
		backends += s->sites[i].backends.high;
	for (size_t i = 0; i < s->group_count; i++)
		users += s->groups[i].count.high;
	lab_assert(backends >= 1 && backends <= SCENARIO_BACKENDS_MAX);
	lab_assert(users <= SCENARIO_USERS_MAX);
	lab_assert(s->cql.nodes.low >= 1 && s->cql.nodes.high <= SCENARIO_CQL_NODES_MAX);
	for (size_t i = 0; i < s->fault_count; i++)
		lab_assert(s->faults[i].kinds != 0);
	lab_assert(s->warmup.high + s->storm.high + s->settle.high < UINT64_MAX / 4);
	for (size_t i = 0; i < s->step_count; i++)
		lab_assert(s->steps[i].what != HISTORY_KIND_COUNT && s->steps[i].user >= 1 &&
			   s->steps[i].user <= users);
	lab_assert(s->exact_count == s->episode_count);
	for (size_t i = 0; i < s->exact_count; i++)
		lab_assert(s->exact[i].kind < FAULT_KIND_COUNT && s->exact[i].after <= i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct conf_reader reader = { .read_file = read_file };
	/* The first line, if it looks so, is a --set. */
	char set[64] = "";
	const char *sets[] = { set };
	struct scenario_overrides overrides = { .sets = sets };
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *arena;
	struct conf_problems problems;
	struct scenario *scenario;
	struct lab_error err = { .message = "" };

	if (size > INPUT_MAX)
		return 0;
	load_once();
	input = lab_view_of(data, size);
	if (size > 0 && data[0] == '-') {
		struct lab_view line;

		(void)lab_view_split(&input, '\n', &line);
		if (lab_view_to_cstr(lab_view_skip(line, 1), set, sizeof(set)) == 0)
			overrides.set_count = 1;
	}
	pool = lab_pool_new((size_t)1 << 28);
	heap = lab_heap_new(pool, (size_t)1 << 27);
	arena = lab_arena_new(heap, (size_t)1 << 26);
	conf_problems_init(&problems, arena);
	if (scenario_load("scenarios/fuzz.scn", &reader, &overrides, arena, &problems, &scenario,
		    &err) == 0) {
		lab_assert(problems.errors == 0);
		check(scenario);
		check_print(scenario, heap);
		check_turn(scenario, arena);
	} else {
		lab_assert(err.message[0] != '\0');
	}
	lab_arena_free(&arena);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}

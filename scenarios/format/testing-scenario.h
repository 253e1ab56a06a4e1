/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-scenario.h - for test-*.c only: scenarios from texts, with the settings of
 * scenarios/configs around them.
 */
#ifndef SCENARIOS_TESTING_SCENARIO_H
#define SCENARIOS_TESTING_SCENARIO_H

#include "core/base/testing.h"

#include "scenarios/format/scenario.h"

#define TESTING_SCN "scenarios/test.scn"
#define TESTING_CONF "scenarios/configs/aws-s3-dictmap.conf"
#define TESTING_DICT "scenarios/configs/dovecot-dict-cql.conf.ext"
#define TESTING_INCLUDE "!include configs/aws-s3-dictmap.conf\n"
/* The least that can run. Line 1 is the include. */
#define TESTING_LEAST TESTING_INCLUDE "site az1 {\n}\nuser u {\n}\n"

/* Files by path; a path that is not here comes from the disk. */
struct testing_file {
	const char *path;
	struct lab_view text;
};

struct testing_loader {
	struct lab_arena *arena;
	struct testing_file files[4];
	struct conf_reader reader;
	struct conf_problems problems;
	struct scenario_overrides overrides;
	struct scenario *scenario;
	struct lab_error err;
};

__attribute__((unused)) static struct lab_view testing_disk_file(
	const char *path, struct lab_arena *arena)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = lab_arena_alloc(arena, 65536);
	size_t len;

	if (file == NULL)
		fail_msg("%s: cannot be opened; tests run in the top folder", path);
	len = fread(data, 1, 65536, file);
	assert_true(len < 65536);
	assert_int_equal(fclose(file), 0);
	return lab_view_of(data, len);
}

static int testing_read_file(void *ctx, struct lab_view path, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	struct testing_loader *loader = ctx;

	(void)arena;
	for (size_t i = 0; i < LAB_COUNT_OF(loader->files); i++) {
		if (loader->files[i].path == NULL || !lab_view_eq_cstr(path, loader->files[i].path))
			continue;
		*ret = loader->files[i].text;
		return 0;
	}
	return lab_fail(err, LAB_NOT_FOUND, "%.*s: no such file", LAB_VIEW_ARG(path));
}

__attribute__((unused)) static void testing_file_set(
	struct testing_loader *loader, const char *path, struct lab_view text)
{
	size_t i = 0;

	while (i < LAB_COUNT_OF(loader->files) && loader->files[i].path != NULL &&
		strcmp(loader->files[i].path, path) != 0)
		i++;
	assert_true(i < LAB_COUNT_OF(loader->files));
	loader->files[i] = (struct testing_file){ path, text };
}

/* In testing_heap. */
__attribute__((unused)) static void testing_loader_init(struct testing_loader *loader)
{
	memset(loader, 0, sizeof(*loader));
	loader->arena = lab_arena_new(testing_heap, (size_t)1 << 28);
	loader->reader = (struct conf_reader){ .read_file = testing_read_file, .ctx = loader };
	testing_file_set(loader, TESTING_CONF, testing_disk_file(TESTING_CONF, loader->arena));
	testing_file_set(loader, TESTING_DICT, testing_disk_file(TESTING_DICT, loader->arena));
}

/* Once more from the start, with this text as the scenario. */
__attribute__((unused)) static int testing_load(struct testing_loader *loader, const char *text)
{
	testing_file_set(loader, TESTING_SCN, lab_view_cstr(text));
	conf_problems_init(&loader->problems, loader->arena);
	loader->err = (struct lab_error){ .message = "" };
	return scenario_load(TESTING_SCN, &loader->reader, &loader->overrides, loader->arena,
		&loader->problems, &loader->scenario, &loader->err);
}

/* Everything that would be printed, a line each. */
__attribute__((unused)) static const char *testing_problems(struct testing_loader *loader)
{
	struct lab_buf out;

	lab_buf_init(&out, testing_heap, 65536);
	for (size_t i = 0; i < loader->problems.count; i++) {
		conf_problem_print(&loader->problems.items[i], &out);
		lab_buf_append_byte(&out, '\n');
	}
	lab_buf_printf(&out, "%s\n", loader->err.message);
	return lab_arena_cstr(loader->arena, lab_buf_view(&out));
}

__attribute__((unused)) static void testing_load_ok(struct testing_loader *loader, const char *text)
{
	if (testing_load(loader, text) < 0)
		fail_msg("%s\nhas problems:\n%s", text, testing_problems(loader));
}

/* It is refused, and what is printed contains `expected`. */
__attribute__((unused)) static void testing_load_fails(
	struct testing_loader *loader, const char *text, const char *expected)
{
	if (testing_load(loader, text) == 0)
		fail_msg("%s\nis accepted; expected: %s", text, expected);
	if (strstr(testing_problems(loader), expected) == NULL)
		fail_msg(
			"%s\nexpected: %s\nprinted:\n%s", text, expected, testing_problems(loader));
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/scenario-file.h"

#include "cli/options.h"
#include "core/conf/conf.h"
#include "scenarios/format/scenario.h"

#include <stdio.h>
#include <unistd.h>

#define FILE_MAX (64u << 20)

static int write_file(const char *path, struct lab_view text, struct lab_error *err)
{
	FILE *file = fopen(path, "we");
	bool ok;

	if (file == NULL)
		return lab_fail(err, LAB_IO, "%s: cannot be written", path);
	ok = fwrite(text.ptr, 1, text.len, file) == text.len;
	ok = fclose(file) == 0 && ok;
	return ok ? 0 : lab_fail(err, LAB_IO, "%s: cannot be written", path);
}

/* A file of another scenario may lie there. */
static int write_beside(const struct scenario_file *f, const char *path, struct lab_view name,
	struct lab_view text, struct lab_error *err)
{
	struct lab_view beside = conf_resolve_path(f->arena, path, name), there;
	const char *to = lab_arena_cstr(f->arena, beside);

	if (access(to, F_OK) != 0)
		return write_file(to, text, err);
	if (cli_input(to, FILE_MAX, f->arena, &there, err) < 0)
		return -1;
	return lab_view_eq(there, text)
		       ? 0
		       : lab_fail(err, LAB_EXISTS,
				 "%s is there already, and not what this scenario needs", to);
}

static int write_dicts(const struct scenario_file *f, const struct conf_settings *conf,
	const char *path, struct lab_error *err)
{
	for (size_t i = 0; i < conf->dict_count; i++) {
		struct lab_view from = conf->dicts[i].path, text;

		if (cli_input(lab_arena_cstr(f->arena, from), FILE_MAX, f->arena, &text, err) < 0 ||
			write_beside(f, path, scenario_file_name(from), text, err) < 0)
			return -1;
	}
	return 0;
}

static int write_before(const struct scenario_file *f, const char *path, struct lab_error *err)
{
	const struct scenario *scenario = f->scenario;
	struct lab_buf text;
	int result;

	if (scenario->migrated_from.len == 0)
		return 0;
	lab_buf_init(&text, cli_heap(), FILE_MAX);
	result = scenario_print_settings(scenario->settings_before, &text, err);
	if (result == 0)
		result = write_beside(f, path, scenario_file_name(scenario->migrated_from),
			lab_buf_view(&text), err);
	lab_buf_done(&text);
	return result;
}

static int write_scripts(const struct scenario_file *f, const char *path, struct lab_error *err)
{
	const struct scenario *scenario = f->scenario;

	for (size_t i = 0; i < scenario->script_count; i++) {
		const struct scenario_script *script = &scenario->scripts[i];

		if (write_beside(f, path, scenario_file_name(script->file), script->text, err) < 0)
			return -1;
	}
	return 0;
}

int scenario_file_write(const struct scenario_file *f, const char *path, struct lab_error *err)
{
	struct lab_buf text;
	int result;

	lab_buf_init(&text, cli_heap(), FILE_MAX);
	lab_buf_printf(&text, "# %s\n", f->about);
	result = scenario_print(f->scenario, &text, err);
	if (result == 0 && text.overflow)
		result = lab_fail(err, LAB_LIMIT, "the scenario is too long");
	if (result == 0)
		result = write_dicts(f, &f->from->conf, path, err);
	if (result == 0)
		result = write_before(f, path, err);
	if (result == 0)
		result = write_scripts(f, path, err);
	if (result == 0)
		result = write_file(path, lab_buf_view(&text), err);
	lab_buf_done(&text);
	return result;
}

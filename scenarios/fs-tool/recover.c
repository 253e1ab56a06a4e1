/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/fs-tool/recover.h"

#include "core/obox/obox-collect.h"
#include "core/obox/obox-rebuild.h"

#include <stdio.h>

#define LINE_MAX_BYTES 4096

struct output {
	const struct fs_tool_job *job;
	struct lab_error err;
	bool has_failed;
};

static void print_line(struct output *out, const char *text)
{
	const struct fs_tool_job *job = out->job;

	if (out->has_failed)
		return;
	out->has_failed =
		job->print(job->print_ctx, lab_view_cstr(text), &out->err) < 0 ||
		job->print(job->print_ctx, lab_view_of(&job->separator, 1), &out->err) < 0;
}

static void on_object(void *ctx, struct lab_view path, enum storage_gc_state state, int64_t age)
{
	char line[LINE_MAX_BYTES];

	(void)snprintf(line, sizeof(line), "%s %" PRId64 "s %.*s",
		state == STORAGE_GC_LEAK ? "leak" : "foreign", age, LAB_VIEW_ARG(path));
	print_line(ctx, line);
}

static int collect(struct backend *backend, struct output *out, struct lab_error *err)
{
	struct lab_view user = lab_view_cstr(out->job->paths[0]);
	struct backend_collect all = { .users = &user,
		.user_count = 1,
		.do_delete = out->job->command == FS_TOOL_gc_delete,
		.report = on_object,
		.report_ctx = out };
	struct storage_gc_result r = { 0 };
	char line[LINE_MAX_BYTES];

	if (backend_collect(backend, &all, &r, err) < 0)
		return -1;
	(void)snprintf(line, sizeof(line),
		"objects %" PRIu64 ", young %" PRIu64 ", foreign %" PRIu64 ", leaks %" PRIu64
		", deleted %" PRIu64 ", failed %" PRIu64,
		r.objects, r.young, r.foreign, r.leaks, r.deleted, r.failed);
	print_line(out, line);
	return 0;
}

static int rebuild(struct backend *backend, struct output *out, struct lab_error *err)
{
	struct lab_view user = lab_view_cstr(out->job->paths[0]);
	struct obox_rebuilt r = { 0 };
	char line[LINE_MAX_BYTES];
	int result = out->job->command == FS_TOOL_repair
			     ? backend_user_repair(backend, user, &r, err)
			     : backend_user_rebuild(backend, user, &r, err);

	if (result < 0)
		return -1;
	(void)snprintf(line, sizeof(line),
		"objects %" PRIu64 ", foreign %" PRIu64 ", rows of mails %" PRIu64
		", of copies %" PRIu64 ", of bundles %" PRIu64 ", of others %" PRIu64
		", there %" PRIu64 ", recovered folders %" PRIu64,
		r.objects, r.foreign, r.mails, r.copies, r.bundles, r.others, r.kept, r.folders);
	print_line(out, line);
	return 0;
}

static int resync(struct backend *backend, struct output *out, struct lab_error *err)
{
	unsigned lost;
	char line[LINE_MAX_BYTES];

	if (backend_user_resync(backend, lab_view_cstr(out->job->paths[0]), &lost, err) < 0)
		return -1;
	(void)snprintf(line, sizeof(line), "recovered folders %u", lost);
	print_line(out, line);
	return backend_flush(
		backend, lab_view_cstr(out->job->paths[0]), false, "metacache:upload_all", err);
}

bool fs_tool_is_about_user(enum fs_tool_command command)
{
	return command == FS_TOOL_gc || command == FS_TOOL_gc_delete ||
	       command == FS_TOOL_rebuild || command == FS_TOOL_repair ||
	       command == FS_TOOL_force_resync;
}

int fs_tool_recover(struct backend *backend, const struct fs_tool_job *job, struct lab_error *err)
{
	struct output out = { .job = job };
	int result = job->command == FS_TOOL_force_resync ? resync(backend, &out, err)
		     : job->command == FS_TOOL_gc || job->command == FS_TOOL_gc_delete
			     ? collect(backend, &out, err)
			     : rebuild(backend, &out, err);

	if (result == 0 && out.has_failed) {
		*err = out.err;
		return -1;
	}
	return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fs/testing/s3-probe.h"

#include "core/base/defect.h"

static struct aws_credentials_source *auth_open(
	void *ctx, struct lab_view auth_host, struct lab_view role, struct lab_error *err)
{
	struct s3_probe *probe = ctx;

	probe->asked_host = lab_arena_cstr(probe->world->arena, auth_host);
	probe->asked_role = lab_arena_cstr(probe->world->arena, role);
	if (probe->role == NULL)
		lab_fail(err, LAB_DENIED, "no such role");
	return probe->role;
}

int s3_probe_setup(void **state)
{
	static struct s3_probe probe;

	memset(&probe, 0, sizeof(probe));
	lab_defects_on = LAB_NO_DEFECTS;
	probe.world = fake_world_new();
	probe.services.auth_open = auth_open;
	probe.services.ctx = &probe;
	probe.settings = (struct fs_settings){ .env = &probe.world->env,
		.username = "user@example.com",
		.session_id = "session1",
		.max_parallel_deletes = 1000,
		.services = &probe.services };
	probe.uri = V4;
	probe.path = "user/mails/1";
	probe.contents = "hello";
	probe.mode = FS_OPEN_REPLACE;
	probe.max_bytes = probe.max_entries = 1000;
	*state = &probe;
	return 0;
}

int s3_probe_teardown(void **state)
{
	struct s3_probe *probe = *state;

	fs_deinit(&probe->fs);
	aws_credentials_free(&probe->role);
	fake_world_free(&probe->world);
	return 0;
}

/* ---- steps: each runs in a fiber ---- */

struct fs_file *open_path(struct s3_probe *probe, const char *path)
{
	struct lab_error err;
	struct fs_file *file;

	if (probe->fs == NULL &&
		fs_init(lab_view_cstr(probe->uri), &probe->settings, &probe->fs, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		lab_bug("a test's URI is refused");
	}
	file = fs_file_open(probe->fs, lab_view_cstr(path), probe->mode);
	return file;
}

struct fs_file *open_file(struct s3_probe *probe)
{
	struct fs_file *file = open_path(probe, probe->path);

	for (size_t i = 0; i + 1 < LAB_COUNT_OF(probe->set) && probe->set[i] != NULL; i += 2)
		fs_set_metadata(file, probe->set[i], lab_view_cstr(probe->set[i + 1]));
	return file;
}

void step_write(void *ctx)
{
	struct s3_probe *probe = ctx;
	struct fs_file *file = open_file(probe);
	struct lab_view path;

	probe->result = fs_write(file, lab_view_cstr(probe->contents), &probe->err);
	path = fs_file_path(file);
	snprintf(probe->final_path, sizeof(probe->final_path), "%.*s", LAB_VIEW_ARG(path));
	fs_file_close(&file);
}

void step_read(void *ctx)
{
	struct s3_probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	probe->result =
		fs_read(file, probe->world->arena, probe->max_bytes, &probe->view, &probe->err);
	/* Metadata that came with the body costs no request. */
	if (probe->result == 0 && probe->key != NULL)
		probe->result = fs_get_metadata(
			file, probe->key, probe->world->arena, &probe->view, &probe->err);
	fs_file_close(&file);
}

void step_exists(void *ctx)
{
	struct s3_probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	probe->result = fs_exists(file, &probe->err);
	fs_file_close(&file);
}

void step_delete(void *ctx)
{
	struct s3_probe *probe = ctx;
	struct fs_file *file = open_file(probe);

	probe->result = fs_delete(file, &probe->err);
	fs_file_close(&file);
}

/* Files "k0", "k1"...; "k<n>" is the last one's name if `second` says "twice". */
void step_delete_many(void *ctx)
{
	struct s3_probe *probe = ctx;
	struct fs_file *files[8];

	for (size_t i = 0; i < probe->count; i++)
		files[i] = open_path(
			probe, lab_arena_printf(probe->world->arena, "k%zu",
				       probe->second != NULL && i + 1 == probe->count ? 0 : i));
	probe->result = fs_delete_many(files, probe->count, probe->results, &probe->err);
	for (size_t i = 0; i < probe->count; i++)
		fs_file_close(&files[i]);
}

void run(struct s3_probe *probe, env_fiber_fn step)
{
	memset(&probe->err, 0, sizeof(probe->err));
	fake_run(probe->world, step, probe);
}

/* ---- expectations ---- */

void assert_view(struct lab_view got, const char *expected)
{
	if (!lab_view_eq_cstr(got, expected))
		fail_msg("got \"%.*s\", expected \"%s\"", LAB_VIEW_ARG(got), expected);
}

const struct lab_http_request *request_at(const struct s3_probe *probe, size_t index)
{
	assert_true(index < probe->world->request_count);
	return &probe->world->requests[index].request;
}

void assert_request(
	const struct s3_probe *probe, size_t index, const char *method, const char *target)
{
	assert_view(request_at(probe, index)->method, method);
	assert_view(request_at(probe, index)->target, target);
}

void assert_error(const struct s3_probe *probe, enum lab_code code)
{
	assert_int_equal(probe->result, -1);
	if (probe->err.code != code)
		fail_msg("%s: %s", lab_code_name(probe->err.code), probe->err.message);
}

void assert_ok(const struct s3_probe *probe)
{
	if (probe->result != 0)
		fail_msg("%s", probe->err.message);
}

void error_body(struct s3_probe *probe, unsigned status, const char *code)
{
	fake_body(probe->world, status, NULL,
		lab_arena_printf(probe->world->arena,
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code>"
			"<Message>m</Message><RequestId>r</RequestId></Error>",
			code));
}

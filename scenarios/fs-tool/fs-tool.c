/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-tool.c - one stack of fs drivers in a live world of one host, for one command.
 */
#include "scenarios/fs-tool/fs-tool-private.h"

#include "core/conf/dict-cql.h"
#include "core/conf/fs-uri.h"
#include "core/conf/var-expand.h"
#include "core/env/live/live.h"
#include "core/obox/backend.h"
#include "scenarios/live/live-directory.h"
#include "scenarios/fs-tool/peer-host.h"
#include "scenarios/fs-tool/recover.h"

#include <stdio.h>

#define HOST_BYTES_MAX ((size_t)4 * 1024 * 1024 * 1024)
#define BUFFERS_MAX ((size_t)1024 * 1024 * 1024)
#define SETTINGS_ARENA_MAX ((size_t)64 * 1024 * 1024)
#define EVENT_LINE_MAX 65536
#define OUTPUT_MAX ((size_t)64 * 1024 * 1024)

static const char *const command_names[] = {
#define X(name, arguments, doc) #name,
	FS_TOOL_COMMANDS(X)
#undef X
};

const char *fs_tool_command_name(enum fs_tool_command command)
{
	/* An enum has no hyphens. */
	return command == FS_TOOL_iter_dirs      ? "iter-dirs"
	       : command == FS_TOOL_gc_delete    ? "gc-delete"
	       : command == FS_TOOL_force_resync ? "force-resync"
						 : command_names[command];
}

int fs_tool_command_find(const char *name)
{
	for (int i = 0; i < FS_TOOL_COMMAND_COUNT; i++) {
		if (strcmp(fs_tool_command_name((enum fs_tool_command)i), name) == 0)
			return i;
	}
	return -1;
}

/* ---- the settings ---- */

struct tool {
	const struct fs_tool_settings *settings;
	const struct fs_tool_job *job;
	struct fs_tool_result *result;
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *arena;
	struct conf_settings conf;
	struct lab_view uri; /* expanded */
	struct var_user user;
	struct backend_dict dicts[CONF_DICTS_MAX];
	size_t dict_count;
	char root[LIVE_DIRECTORY_MAX];
	bool own_root;
	struct live *live;
	struct live_host *host;
	struct backend_settings backend;
	struct peer_host *peer; /* NULL: there is no other backend */
	struct lab_buf line;
	int outcome;
	struct lab_error error;
	bool is_done;
};

/* The names of 2.3 and 3.0, and of the filters that came with 3.1. */
static const struct conf_text *find_setting(
	const struct conf_settings *conf, const char *filter, struct lab_error *err)
{
	const struct {
		const char *name, *alias;
		const struct conf_text *text;
	} known[] = { { "obox_fs", "obox", &conf->obox_fs },
		{ "obox_index_fs", "metacache", &conf->obox_index_fs },
		{ "fts_dovecot_fs", "fts", &conf->fts_dovecot_fs } };
	const char *names[LAB_COUNT_OF(known)];
	char hint[CONF_HINT_MAX];

	for (size_t i = 0; i < LAB_COUNT_OF(known); i++) {
		if (strcmp(filter, known[i].name) == 0 || strcmp(filter, known[i].alias) == 0) {
			if (known[i].text->text.len > 0)
				return known[i].text;
			lab_fail(err, LAB_INVALID, "%s is not set", known[i].name);
			return NULL;
		}
		names[i] = known[i].name;
	}
	lab_fail(err, LAB_INVALID, "--filter: there is no setting \"%s\" with an fs in it%s",
		filter,
		conf_hint(
			conf_suggest_of(lab_view_cstr(filter), names, LAB_COUNT_OF(known)), hint));
	return NULL;
}

static int read_variable(struct tool *tool, const char *text, struct lab_error *err)
{
	const struct {
		const char *name;
		struct lab_view *value;
	} known[] = { { "home", &tool->user.home }, { "service", &tool->user.service },
		{ "session", &tool->user.session }, { "lip", &tool->user.local_ip },
		{ "rip", &tool->user.remote_ip }, { "pid", &tool->user.pid },
		{ "hostname", &tool->user.hostname } };
	const char *names[LAB_COUNT_OF(known)];
	struct lab_view all = lab_view_cstr(text), name;
	size_t at = lab_view_find_byte(all, '=');
	char hint[CONF_HINT_MAX];

	if (at == SIZE_MAX)
		return lab_fail(err, LAB_INVALID, "--var: \"%s\" is not name=value", text);
	name = lab_view_sub(all, 0, at);
	for (size_t i = 0; i < LAB_COUNT_OF(known); i++) {
		if (lab_view_eq_cstr(name, known[i].name)) {
			*known[i].value = lab_view_skip(all, at + 1);
			return 0;
		}
		names[i] = known[i].name;
	}
	return lab_fail(err, LAB_INVALID, "--var: there is no variable \"%.*s\"%s",
		LAB_VIEW_ARG(name),
		conf_hint(conf_suggest_of(name, names, LAB_COUNT_OF(known)), hint));
}

static int read_variables(struct tool *tool, struct lab_error *err)
{
	const struct fs_tool_settings *s = tool->settings;

	tool->user = (struct var_user){ .service = LAB_VIEW("doveadm"),
		.session = LAB_VIEW("oboxlab-fs"),
		.hostname = LAB_VIEW("localhost") };
	tool->user.user = lab_view_cstr(s->user);
	for (size_t i = 0; i < s->variable_count; i++) {
		if (read_variable(tool, s->variables[i], err) < 0)
			return -1;
	}
	return 0;
}

static int expand(
	struct tool *tool, struct lab_view text, struct lab_view *ret, struct lab_error *err)
{
	struct var_user_table table;

	var_user_table_init(&table, &tool->user);
	return var_expand_arena(tool->arena, text, &table.table, ret, err);
}

/* %h is mail_home for this user, unless --var says otherwise. */
static int expand_home(struct tool *tool, struct lab_error *err)
{
	struct lab_view home = tool->conf.mail_home.text;

	if (tool->user.home.ptr != NULL || tool->user.user.ptr == NULL || home.len == 0)
		return 0;
	return expand(tool, home, &tool->user.home, err) < 0
		       ? lab_error_wrap(err, "mail_home (or give --var home=DIR)")
		       : 0;
}

static int expand_uri(struct tool *tool, struct lab_error *err)
{
	const struct fs_tool_settings *s = tool->settings;
	const char *name = s->uri != NULL ? "--uri" : s->filter;
	const struct conf_text *setting;

	if (s->uri != NULL) {
		/* What stands on a command line is as userdb would say it: no variables in it. */
		tool->uri = lab_view_cstr(s->uri);
	} else {
		setting = find_setting(&tool->conf, s->filter, err);
		if (setting == NULL || expand_home(tool, err) < 0)
			return -1;
		if (expand(tool, setting->text, &tool->uri, err) < 0)
			return lab_error_wrap(
				err, "%s%s", name, s->user == NULL ? " (without --user)" : "");
	}
	return fs_uri_check(tool->uri, tool->arena, NULL, err) < 0 ? lab_error_wrap(err, "%s", name)
								   : 0;
}

/* Files of dict maps are read only if the stack asks for a dict. */
static int load_dicts(struct tool *tool, struct lab_error *err)
{
	const struct conf_settings *conf = tool->settings->conf;

	if (conf == NULL || lab_view_find(tool->uri, LAB_VIEW("dictmap:")) == SIZE_MAX)
		return 0;
	for (size_t i = 0; i < conf->dict_count; i++) {
		const struct conf_dict *dict = &conf->dicts[i];
		struct dict_cql_config *config;

		if (!lab_view_eq_cstr(dict->driver, "cassandra"))
			continue;
		if (dict_cql_load(dict->path, tool->settings->reader, tool->arena, &config, err) <
			0)
			return lab_error_wrap(err, "dict %.*s", LAB_VIEW_ARG(dict->name));
		tool->dicts[tool->dict_count++] = (struct backend_dict){ dict->name, config };
	}
	return 0;
}

static int check_job(const struct fs_tool_job *job, struct lab_error *err)
{
	size_t count = job->path_count;
	bool is_copy = job->command == FS_TOOL_copy;
	bool is_single = job->command == FS_TOOL_get || job->command == FS_TOOL_put ||
			 job->command == FS_TOOL_iter || job->command == FS_TOOL_iter_dirs ||
			 fs_tool_is_about_user(job->command);

	if (count == 0 || (is_copy && count != 2) || (is_single && count != 1))
		return lab_fail(err, LAB_INVALID, "fs %s takes %s, not %zu",
			fs_tool_command_name(job->command),
			is_copy     ? "two paths"
			: is_single ? "one path"
				    : "at least one path",
			count);
	for (size_t i = 0; i < job->metadata_count; i++) {
		if (strchr(job->metadata[i], '=') == NULL || job->metadata[i][0] == '=')
			return lab_fail(err, LAB_INVALID, "--meta: \"%s\" is not key=value",
				job->metadata[i]);
	}
	return 0;
}

static int read_settings(struct tool *tool, struct lab_error *err)
{
	if (tool->settings->conf != NULL)
		tool->conf = *tool->settings->conf;
	if (tool->conf.obox_max_parallel_deletes == 0)
		tool->conf.obox_max_parallel_deletes = 1000;
	if (tool->conf.fs_auth_request_timeout_ns == 0) {
		tool->conf.fs_auth_request_timeout_ns = 10 * LAB_SEC;
		tool->conf.fs_auth_request_max_retries = 1;
	}
	if (tool->settings->command != NULL) {
		tool->uri = tool->conf.obox_fs.text;
		return read_variables(tool, err) < 0 ? -1 : load_dicts(tool, err);
	}
	if (check_job(tool->job, err) < 0 || read_variables(tool, err) < 0 ||
		expand_uri(tool, err) < 0)
		return -1;
	/* The backend is only for what stacks share; it wants to see that there is one. */
	if (!fs_tool_is_about_user(tool->job->command))
		tool->conf.obox_fs.text = tool->uri;
	else if (tool->settings->conf == NULL)
		return lab_fail(err, LAB_INVALID, "fs %s needs --conf",
			fs_tool_command_name(tool->job->command));
	return load_dicts(tool, err);
}

/* ---- the world ---- */

/* "HOST:PORT=ADDRESS:PORT[,plain]" */
static int add_map(struct tool *tool, const char *text, struct lab_error *err)
{
	struct lab_view rest = lab_view_cstr(text), pattern;
	bool is_plain = lab_view_ends_with(rest, LAB_VIEW(",plain"));
	size_t colon = SIZE_MAX;
	uint64_t port = 0;

	if (is_plain)
		rest.len -= strlen(",plain");
	if (lab_view_split(&rest, '=', &pattern) && rest.ptr != NULL) {
		for (size_t i = 0; i < rest.len; i++)
			colon = rest.ptr[i] == ':' ? i : colon;
	}
	if (colon == SIZE_MAX || lab_view_to_u64(lab_view_skip(rest, colon + 1), &port) < 0 ||
		port == 0 || port > UINT16_MAX)
		return lab_fail(err, LAB_INVALID,
			"--map: \"%s\" is not HOST:PORT=ADDRESS:PORT[,plain]", text);
	if (live_map(tool->live, lab_arena_cstr(tool->arena, pattern),
		    lab_arena_cstr(tool->arena, lab_view_sub(rest, 0, colon)), (uint16_t)port,
		    is_plain, err) < 0)
		return lab_error_wrap(err, "--map");
	return 0;
}

static void on_event(void *ctx, const struct lab_event *event)
{
	struct tool *tool = ctx;

	lab_buf_reset(&tool->line);
	lab_event_format(&tool->line, event, NULL);
	tool->settings->on_event(tool->settings->on_event_ctx, lab_buf_cstr(&tool->line));
}

static void on_interrupt(void *ctx)
{
	struct tool *tool = ctx;

	tool->result->is_interrupted = true;
}

static int open_root(struct tool *tool, struct lab_error *err)
{
	if (tool->settings->root == NULL) {
		tool->own_root = live_directory_new(tool->root, err) == 0;
		return tool->own_root ? 0 : -1;
	}
	if ((size_t)snprintf(tool->root, sizeof(tool->root), "%s", tool->settings->root) >=
		sizeof(tool->root))
		return lab_fail(err, LAB_INVALID, "--root: the name is too long");
	return 0;
}

static int open_hosts(struct tool *tool, struct lab_error *err)
{
	const struct fs_tool_settings *s = tool->settings;
	struct live_host_settings host = {
		.hostname = "fs", .root = tool->root, .heap_max_bytes = HOST_BYTES_MAX
	};

	if (s->command != NULL)
		host.hostname = lab_arena_cstr(tool->arena, tool->user.hostname);
	tool->backend = (struct backend_settings){ .conf = &tool->conf,
		.dicts = tool->dicts,
		.dict_count = tool->dict_count,
		.has_no_users = s->command == NULL && !fs_tool_is_about_user(tool->job->command),
		.peer = peer_host_ask };
	if (live_host_new(tool->live, &host, &tool->host, err) < 0)
		return -1;
	return s->peer == NULL ? 0
			       : peer_host_new(tool->live, s->peer, tool->root, tool->heap,
					 &tool->backend, &tool->peer, err);
}

static int open_world(struct tool *tool, struct lab_error *err)
{
	struct live_settings settings = { .memory_max_bytes = HOST_BYTES_MAX,
		.buffers_max_bytes = BUFFERS_MAX,
		.ca_file = tool->settings->ca_file };

	if (open_root(tool, err) < 0 || live_new(&settings, &tool->live, err) < 0)
		return -1;
	if (tool->settings->allow_remote)
		live_allow_remote(tool->live);
	for (size_t i = 0; i < tool->settings->map_count; i++) {
		if (add_map(tool, tool->settings->maps[i], err) < 0)
			return -1;
	}
	if (tool->settings->on_event != NULL)
		live_add_sink(tool->live, on_event, tool);
	if (live_on_interrupt(tool->live, on_interrupt, tool, err) < 0)
		return -1;
	return open_hosts(tool, err);
}

/* ---- in the host ---- */

static int with_stack(struct tool *tool, struct env *env, struct fs_services *services)
{
	struct fs_settings fs_settings = { .env = env,
		.username = tool->settings->user,
		.session_id = lab_arena_cstr(tool->arena, tool->user.session),
		.temp_dir = "/tmp",
		.root_path = tool->user.home.ptr == NULL
				     ? "/"
				     : lab_arena_cstr(tool->arena, tool->user.home),
		.max_parallel_deletes = tool->conf.obox_max_parallel_deletes,
		.services = services };
	struct fs *fs;
	int result;

	if (fs_init(tool->uri, &fs_settings, &fs, &tool->error) < 0) {
		tool->result->is_usage = true;
		return -1;
	}
	result = fs_tool_do(fs, env, tool->job, tool->result, &tool->error);
	fs_deinit(&fs);
	return result;
}

static int do_command(struct tool *tool, struct backend *backend)
{
	struct lab_buf out;
	int result;

	lab_buf_init(&out, backend_env(backend)->heap, OUTPUT_MAX);
	result = operator_run(backend, tool->settings->command, &out, &tool->error);
	if (result == 0 && out.len > 0)
		result = tool->job->print(tool->job->print_ctx, lab_buf_view(&out), &tool->error);
	lab_buf_done(&out);
	return result;
}

static void host_main(struct env *env, void *arg)
{
	struct tool *tool = arg;
	struct backend_settings settings = tool->backend;
	struct backend *backend;

	settings.env = env;
	settings.peer_ctx = tool->peer;
	tool->outcome = backend_start(&settings, &backend, &tool->error);
	tool->result->is_usage = tool->outcome < 0;
	if (tool->outcome == 0) {
		tool->outcome = tool->settings->command != NULL ? do_command(tool, backend)
				: settings.has_no_users
					? with_stack(tool, env, backend_get_services(backend))
					: fs_tool_recover(backend, tool->job, &tool->error);
		backend_stop(&backend);
	}
	tool->is_done = true;
}

static bool is_over(void *ctx)
{
	const struct tool *tool = ctx;

	return tool->is_done || tool->result->is_interrupted;
}

static int run(struct tool *tool, struct lab_error *err)
{
	if (live_start(tool->host, "fs", host_main, tool, err) < 0)
		return -1;
	(void)live_run(tool->live, ENV_FOREVER, is_over, tool);
	tool->result->is_guarded = live_was_guarded(tool->live);
	if (!tool->is_done)
		return lab_fail(err, LAB_CANCELLED, "interrupted");
	*err = tool->error;
	return tool->outcome;
}

static void tool_free(struct tool *tool)
{
	live_free(&tool->live);
	peer_host_free(&tool->peer);
	if (tool->own_root)
		tool->result->is_left = live_directory_remove(tool->root) < 0;
	lab_buf_done(&tool->line);
	lab_arena_free(&tool->arena);
	lab_heap_drop(&tool->heap);
	lab_pool_free(&tool->pool);
}

int fs_tool_run(const struct fs_tool_settings *settings, const struct fs_tool_job *job,
	struct fs_tool_result *ret, struct lab_error *err)
{
	struct tool tool = { .settings = settings, .job = job, .result = ret };
	int result;

	lab_assert(settings->uri != NULL || (settings->conf != NULL && settings->filter != NULL));
	*ret = (struct fs_tool_result){ 0 };
	tool.pool = lab_pool_new(SETTINGS_ARENA_MAX + EVENT_LINE_MAX * 4);
	tool.heap = lab_heap_new(tool.pool, SETTINGS_ARENA_MAX + EVENT_LINE_MAX * 4);
	tool.arena = lab_arena_new(tool.heap, SETTINGS_ARENA_MAX);
	lab_buf_init(&tool.line, tool.heap, EVENT_LINE_MAX);
	result = read_settings(&tool, err);
	if (result == 0)
		result = open_world(&tool, err);
	ret->is_usage = result < 0;
	if (result == 0)
		result = run(&tool, err);
	tool_free(&tool);
	return result;
}

/* ---- the exit status ---- */

int fs_tool_status(int result, const struct fs_tool_result *ret, const struct lab_error *err)
{
	enum {
		DONE = 0,
		NO = 1,
		USAGE = 2,
		MAYBE = 4,
		GUARDED = 5,
		UNREACHABLE = 6
	};

	if (result == 0)
		return DONE;
	if (ret->is_usage)
		return USAGE;
	if (ret->is_guarded)
		return GUARDED;
	switch (err->code) {
	case LAB_UNCERTAIN:
	case LAB_CANCELLED:
		return MAYBE;
	case LAB_REFUSED:
	case LAB_RESET:
	case LAB_TIMEOUT:
	case LAB_THROTTLED:
	case LAB_UNAVAILABLE:
		/* "No such bucket" is an answer. */
		return err->status >= 400 && err->status <= 499 ? NO : UNREACHABLE;
	case LAB_INVALID:
		/* A path or a value that cannot be, unless the storage says so. */
		return err->status == 0 ? USAGE : NO;
	case LAB_OK:
	case LAB_NOT_FOUND:
	case LAB_EXISTS:
	case LAB_DENIED:
	case LAB_UNSUPPORTED:
	case LAB_LIMIT:
	case LAB_NO_SPACE:
	case LAB_IO:
	case LAB_CORRUPT:
	case LAB_INTERNAL:
	case LAB_OVER_QUOTA:
	case LAB_CODE_COUNT:
		return NO;
	}
	return NO;
}

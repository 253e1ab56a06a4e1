/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/fs-tool/cluster-tool.h"

#include "core/env/live/live.h"
#include "scenarios/live/live-directory.h"

#define HOST_BYTES_MAX ((size_t)1 << 30)
#define HOSTS_TEXT_MAX 4096
#define PATIENCE (10 * LAB_SEC)

struct run {
	const struct cluster_tool *tool;
	struct lab_buf *out;
	struct cql_settings settings;
	char hosts[HOSTS_TEXT_MAX];
	int outcome;
	struct lab_error error;
	bool is_done;
};

/* "HOST,HOST:PORT" is cut into its names in place. */
static int read_hosts(struct run *run, struct lab_error *err)
{
	struct lab_view text = lab_view_cstr(run->tool->hosts), names, name;
	struct lab_view wrong = text;
	char *at = run->hosts;
	uint64_t port;

	if (!lab_view_split(&text, ':', &names) || names.len == 0 ||
		names.len + 1 >= sizeof(run->hosts) || lab_view_to_u64(text, &port) < 0 ||
		port == 0 || port > UINT16_MAX)
		return lab_fail(err, LAB_INVALID, "\"%.*s\" is not HOST[,HOST...]:PORT",
			LAB_VIEW_ARG(wrong));
	run->settings.port = (uint16_t)port;
	while (lab_view_split(&names, ',', &name)) {
		if (name.len == 0 || run->settings.host_count == CQL_HOSTS_MAX)
			return lab_fail(err, LAB_INVALID, "\"%.*s\": 1 to %d hosts",
				LAB_VIEW_ARG(wrong), CQL_HOSTS_MAX);
		memcpy(at, name.ptr, name.len);
		at[name.len] = '\0';
		run->settings.hosts[run->settings.host_count++] = at;
		at += name.len + 1;
	}
	return 0;
}

static int in_geodb(struct run *run, struct env *env, struct cql_client *client)
{
	const struct cluster_policy policy = { CLUSTER_ASSIGN_HASH, run->tool->group_count };
	struct geodb_settings settings;
	struct geodb *geodb;
	int result;

	geodb_settings_defaults(&settings);
	settings.request_ns = PATIENCE;
	geodb = geodb_new(env, client, &settings);
	result = cluster_command_run(
		geodb, NULL, &policy, run->tool->command, run->out, &run->error);
	geodb_free(&geodb);
	return result;
}

static void host_main(struct env *env, void *arg)
{
	struct run *run = arg;
	struct cql_client *client;

	run->outcome = cql_client_open(env, &run->settings, &client, &run->error);
	if (run->outcome == 0) {
		run->outcome = in_geodb(run, env, client);
		cql_client_close(&client);
	}
	run->is_done = true;
}

static bool is_over(void *ctx)
{
	return ((struct run *)ctx)->is_done;
}

static int in_world(struct run *run, struct live *live, const char *root, struct lab_error *err)
{
	const struct live_host_settings settings = {
		.hostname = "doveadm", .root = root, .heap_max_bytes = HOST_BYTES_MAX
	};
	struct live_host *host;

	if (run->tool->allow_remote)
		live_allow_remote(live);
	if (live_host_new(live, &settings, &host, err) < 0 ||
		live_start(host, "cluster", host_main, run, err) < 0)
		return -1;
	/* Each statement has its own patience, and there are few. */
	if (live_run(live, 6 * PATIENCE, is_over, run) != 0)
		return lab_fail(err, LAB_TIMEOUT, "GeoDB does not answer");
	*err = run->error;
	return run->outcome;
}

int cluster_tool_run(const struct cluster_tool *tool, struct lab_heap *heap, struct lab_buf *out,
	bool *ret_guarded, struct lab_error *err)
{
	const struct live_settings settings = { .memory_max_bytes = HOST_BYTES_MAX };
	struct run *run = lab_new(heap, struct run);
	char root[LIVE_DIRECTORY_MAX];
	struct live *live = NULL;
	int result = -1;

	*run = (struct run){ .tool = tool, .out = out };
	*ret_guarded = false;
	cql_settings_defaults(&run->settings);
	run->settings.keyspace = tool->keyspace;
	run->settings.user = tool->user;
	run->settings.password = tool->password;
	run->settings.request_timeout_ns = PATIENCE;
	run->settings.log_level = CQL_LOG_CRITICAL;
	if (read_hosts(run, err) == 0 && live_directory_new(root, err) == 0) {
		if (live_new(&settings, &live, err) == 0)
			result = in_world(run, live, root, err);
		*ret_guarded = live != NULL && live_was_guarded(live);
		live_free(&live);
		(void)live_directory_remove(root);
	}
	lab_heap_free(heap, run);
	return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/disk-watch.h"

#include "core/conf/conf-value.h"
#include "core/obox/metacache-commands.h"

#define ARENA_MAX ((size_t)1 << 28)
#define ENTRIES_MAX 1000000
#define DEPTH_MAX 16
#define AFTER_THE_END (30 * LAB_SEC)

bool disk_watch_fscache(
	const struct conf_settings *conf, uint64_t *ret_bytes, struct lab_view *ret_directory)
{
	struct lab_view rest = conf->obox_fs.text, prefix = LAB_VIEW("fscache"), size;
	struct lab_error ignored;

	if (!lab_view_starts_with(rest, prefix) || rest.len == prefix.len)
		return false;
	rest = lab_view_skip(rest, prefix.len + 1);
	if (!lab_view_split(&rest, ':', &size) || rest.ptr == NULL ||
		conf_value_size(size, ret_bytes, &ignored) < 0 ||
		!lab_view_split(&rest, ':', ret_directory))
		return false;
	/* With variables in it each user, or hash of users, has a cache of that size. */
	return lab_view_find_byte(*ret_directory, '%') == SIZE_MAX;
}

/* ---- the walk ---- */

struct walk {
	struct env *env;
	struct lab_arena *arena;
	struct lab_view fscache;
	struct disk_usage *usage;
};

static bool ends_with_name(struct lab_view path, const char *name)
{
	struct lab_view text = lab_view_cstr(name);

	return lab_view_ends_with(path, text) && path.len > text.len &&
	       path.ptr[path.len - text.len - 1] == '/';
}

static void add_file(struct walk *walk, struct lab_view path, uint64_t bytes)
{
	struct disk_usage *usage = walk->usage;
	struct lab_view cache = walk->fscache;

	if (ends_with_name(path, "obox.root") || ends_with_name(path, "obox.index.log")) {
		usage->metacache_bytes += bytes;
	} else if (cache.len > 0 && lab_view_starts_with(path, cache) && path.len > cache.len &&
		   path.ptr[cache.len] == '/') {
		usage->fscache_bytes += bytes;
		usage->fscache_files++;
	}
}

static void walk_directory(struct walk *walk, const char *path, unsigned depth)
{
	struct lab_view *names;
	struct lab_error ignored;
	size_t count = 0;

	if (env_list(walk->env, path[0] == '\0' ? "/" : path, ENTRIES_MAX, walk->arena, &names,
		    &count, &ignored) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		const char *below =
			lab_arena_printf(walk->arena, "%s/%.*s", path, LAB_VIEW_ARG(names[i]));
		struct env_stat stat;

		if (strlen(below) >= ENV_PATH_MAX ||
			env_stat(walk->env, below, &stat, &ignored) < 0)
			continue;
		if (!stat.is_directory)
			add_file(walk, lab_view_cstr(below), stat.size);
		else if (depth < DEPTH_MAX)
			walk_directory(walk, below, depth + 1);
	}
}

void disk_measure(struct backend *backend, const struct conf_settings *conf, struct disk_usage *ret)
{
	struct walk walk = { .env = backend_env(backend),
		.arena = lab_arena_new(backend_env(backend)->heap, ARENA_MAX),
		.usage = ret };
	struct metacache_status status;
	uint64_t size;

	*ret = (struct disk_usage){ 0 };
	if (!disk_watch_fscache(conf, &size, &walk.fscache))
		walk.fscache.len = 0;
	metacache_get_status(backend, &status);
	ret->counted_bytes = status.bytes;
	walk_directory(&walk, "", 0);
	lab_arena_free(&walk.arena);
}

void disk_report(
	struct env *lab, const char *host, const char *reason, const struct disk_usage *usage)
{
	ENV_EVENT(lab, LAB_EV_disk_measured, LAB_F_CSTR("host", host), LAB_F_CSTR("reason", reason),
		LAB_F_U64("metacache_bytes", usage->metacache_bytes),
		LAB_F_U64("counted_bytes", usage->counted_bytes),
		LAB_F_U64("fscache_bytes", usage->fscache_bytes),
		LAB_F_U64("fscache_files", usage->fscache_files));
}

/* ---- now and then ---- */

struct measurement {
	const struct conf_settings *conf;
	struct disk_usage usage;
};

static void measure_in_backend(struct backend *backend, void *arg)
{
	struct measurement *measurement = arg;

	disk_measure(backend, measurement->conf, &measurement->usage);
}

static void measure_all(const struct disk_watch_settings *s, const char *reason)
{
	for (size_t i = 0; i < s->node_count; i++) {
		struct measurement measurement = { .conf = s->conf };

		if (node_call(&s->nodes[i], s->lab, measure_in_backend, &measurement) ==
			NODE_ANSWERED)
			disk_report(s->lab, s->nodes[i].name, reason, &measurement.usage);
	}
}

static void watch(void *arg)
{
	const struct disk_watch_settings *s = arg;

	while (env_now(s->lab) + s->interval_ns < s->end_ns) {
		env_sleep(s->lab, s->interval_ns);
		measure_all(s, "watch");
	}
	env_sleep(s->lab, s->end_ns + AFTER_THE_END - env_now(s->lab));
	measure_all(s, "end");
	(*s->busy)--;
}

int disk_watch_start(const struct disk_watch_settings *settings, struct lab_error *err)
{
	struct disk_watch_settings *s = lab_new(settings->lab->heap, struct disk_watch_settings);

	*s = *settings;
	(*s->busy)++;
	return env_spawn(s->lab, "disk-watch", watch, s, err);
}

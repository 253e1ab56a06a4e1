/* SPDX-License-Identifier: Apache-2.0 */
#include "core/obox/obox-collect.h"

#include "core/obox/gc-rows.h"
#include "core/obox/obox-private.h"

#define HASHES_IN_MEMORY (4u * 1024 * 1024)
#define PREFIX_MAX 1024

/* What follows the last ';': the driver that stores. */
static struct lab_view storage_of(struct lab_view uri)
{
	for (size_t i = uri.len; i > 0; i--) {
		if (uri.ptr[i - 1] == ';')
			return lab_view_trim(lab_view_skip(uri, i));
	}
	return lab_view_trim(uri);
}

static bool has_own_index_storage(const struct conf_settings *conf)
{
	return conf->obox_index_fs.text.ptr != NULL &&
	       !lab_view_eq(storage_of(conf->obox_fs.text), storage_of(conf->obox_index_fs.text));
}

static int collect_user(
	struct storage_gc *gc, struct backend *backend, struct lab_view name, struct lab_error *err)
{
	const struct conf_settings *conf = backend_get_settings(backend)->conf;
	struct obox_user *user;
	struct lab_buf prefix;
	int result;

	if (backend_user_get(backend, name, &user, err) < 0)
		return -1;
	lab_buf_init(&prefix, user->env->heap, PREFIX_MAX);
	lab_buf_printf(&prefix, "%s/", user->root);
	result = storage_gc_run(gc, user->fs, lab_buf_view(&prefix), err);
	if (result == 0 && has_own_index_storage(conf))
		result = storage_gc_run(gc, user->index_fs, lab_buf_view(&prefix), err);
	lab_buf_done(&prefix);
	backend_user_release(&user);
	return result < 0 ? lab_error_wrap(err, "user %.*s", LAB_VIEW_ARG(name)) : 0;
}

static void add_result(struct storage_gc_result *sum, const struct storage_gc_result *r)
{
	sum->rows += r->rows;
	sum->objects += r->objects;
	sum->referenced += r->referenced;
	sum->young += r->young;
	sum->foreign += r->foreign;
	sum->leaks += r->leaks;
	sum->deleted += r->deleted;
	sum->failed += r->failed;
	sum->saved += r->saved;
}

static void tell(struct env *env, const struct storage_gc_result *r)
{
	ENV_EVENT(env, LAB_EV_log_message, LAB_F_CSTR("area", "storage-gc"),
		LAB_F_CSTR("message", "storage was compared with all rows"),
		LAB_F_U64("objects", r->objects), LAB_F_U64("young", r->young),
		LAB_F_U64("foreign", r->foreign), LAB_F_U64("leaks", r->leaks),
		LAB_F_U64("deleted", r->deleted));
}

static int collect_users(struct storage_gc *gc, struct backend *backend,
	const struct backend_collect *collect, struct lab_error *err)
{
	for (size_t i = 0; i < collect->user_count; i++) {
		if (collect_user(gc, backend, collect->users[i], err) < 0)
			return -1;
	}
	return 0;
}

int backend_collect(struct backend *backend, const struct backend_collect *collect,
	struct storage_gc_result *ret, struct lab_error *err)
{
	const struct backend_settings *s = backend_get_settings(backend);
	struct storage_gc_rows source;
	struct storage_gc_settings settings = { .env = s->env,
		.rows = &source,
		.directory = "/tmp",
		.hashes_in_memory = HASHES_IN_MEMORY,
		.min_age = collect->min_age,
		.is_unsafe = collect->is_unsafe,
		.do_delete = collect->do_delete,
		.report = collect->report,
		.report_ctx = collect->report_ctx };
	struct gc_rows *rows;
	struct storage_gc *gc = NULL;
	int result;

	if (s->dict_count == 0)
		return lab_fail(err, LAB_UNSUPPORTED, "there is no dict whose rows name objects");
	if (gc_rows_open(s->env, s->dicts[0].config, &rows, &source, err) < 0)
		return -1;
	result = storage_gc_begin(&settings, &gc, err);
	if (result == 0) {
		result = collect_users(gc, backend, collect, err);
		tell(s->env, storage_gc_result(gc));
		add_result(ret, storage_gc_result(gc));
	}
	storage_gc_end(&gc);
	gc_rows_close(&rows);
	return result < 0 ? lab_error_wrap(err, "storage garbage collection") : 0;
}

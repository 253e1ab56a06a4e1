/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-root.c - a user's root on one backend: refreshed, changed, uploaded.
 */
#include "core/obox/metacache.h"
#include "core/base/defect.h"
#include "core/obox/obox-private.h"
#include "core/env/buggify.h"

#include <stdio.h>

#define ROOT_FILE "dovecot.list.index"
#define ROOT_SEED UINT64_C(0x6f626f7872743031)
#define DOWNLOADS_ARENA_MAX ((size_t)1 << 30)
/* HD-7, and what is too small to be worth a base. */
#define SELF_BYTES_MAX (64u * 1024)
#define SELF_BUNDLES_MAX 8
#define DIFF_BYTES_MIN (4u * 1024)
#define DIFF_BYTES_MAX (256u * 1024)

static const struct conf_settings *conf_of(const struct obox_root *root)
{
	return backend_get_settings(root->user->backend)->conf;
}

/* ---- who may run ---- */

static void lock(struct obox_root *root)
{
	while (root->is_busy)
		(void)env_cond_wait(root->env, &root->cond, ENV_FOREVER);
	root->is_busy = true;
}

static void unlock(struct obox_root *root)
{
	lab_assert(root->is_busy);
	root->is_busy = false;
	env_cond_signal(root->env, &root->cond);
}

/* ---- life ---- */

static void new_bundles(struct obox_root *root)
{
	struct obox_user *user = root->user;
	struct obox_bundles_settings settings = { .env = root->env,
		.fs = user->index_fs,
		.username = user->username,
		.max_parallel_requests = conf_of(root)->metacache_max_parallel_requests };
	char *path = lab_heap_alloc(root->env->heap, strlen(user->root) + sizeof("/idx/"));

	(void)snprintf(path, strlen(user->root) + sizeof("/idx/"), "%s/idx/", user->root);
	settings.path = path;
	obox_bundles_free(&root->bundles);
	root->bundles = obox_bundles_new(&settings);
	lab_heap_free(root->env->heap, path);
}

/* Nothing is known, and whoever changes it is somebody new. */
static void begin_anew(struct obox_root *root)
{
	uint8_t inbox[ENV_GUID128_SIZE], guid[ENV_GUID128_SIZE];

	obox_inbox_guid(root->user->username, inbox);
	obox_list_free(&root->list);
	obox_list_free(&root->base);
	root->list = obox_list_new(root->env->heap, inbox);
	obox_secondary_begin_anew(root);
	new_bundles(root);
	env_guid128_generate(root->env, guid);
	root->author = lab_hash_bytes(ROOT_SEED, guid, sizeof(guid));
	root->generation = root->author;
	root->is_dirty = root->is_marked = root->is_changed = root->is_damaged = false;
	root->is_known = root->is_uncertain = false;
}

int obox_root_init(struct obox_root *root, struct obox_user *user, struct lab_error *err)
{
	int n = snprintf(root->path, sizeof(root->path), "%s/obox.root", user->home);

	if (n >= (int)sizeof(root->path))
		return lab_fail(err, LAB_INVALID, "path of the root index is longer than %d",
			ENV_PATH_MAX - 1);
	root->user = user;
	root->env = user->env;
	begin_anew(root);
	return 0;
}

void obox_root_done(struct obox_root *root)
{
	struct lab_error err;

	root->is_stopping = true;
	env_cond_broadcast(root->env, &root->uploader_cond);
	while (root->has_uploader)
		(void)env_cond_wait(root->env, &root->cond, ENV_FOREVER);
	if (root->is_refreshed)
		(void)obox_root_flush(root, "metacache:flush_all_changed", &err);
	if (root->is_loaded)
		obox_root_save(root);
	obox_bundles_free(&root->bundles);
	obox_list_free(&root->list);
	obox_list_free(&root->base);
	obox_secondary_free_all(root);
}

/* ---- upload ---- */

static struct obox_list *copy_of(const struct obox_list *list)
{
	struct obox_list *copy;

	lab_assert(obox_list_merge(list, list, &copy, NULL) == 0);
	return copy;
}

static bool has_base(const struct obox_root *root)
{
	struct obox_bundle_name newest;

	return root->base != NULL && obox_bundles_bases(root->bundles, &newest) == 1 &&
	       memcmp(&newest.guid, &root->base_name.guid, sizeof(newest.guid)) == 0;
}

static size_t private_bytes(const struct obox_root *root, const struct obox_secondary *base)
{
	struct lab_buf bytes;
	size_t len;

	lab_buf_init(&bytes, root->env->heap, OBOX_BUNDLE_BYTES_MAX);
	obox_private_encode(root->secondary, base, &bytes);
	len = bytes.len;
	lab_buf_done(&bytes);
	return len;
}

/* Virtual folders are in every bundle, whole. */
static bool is_small_diff(const struct obox_root *root, size_t list_bytes, size_t small)
{
	size_t diff = list_bytes + private_bytes(root, root->base_secondary), whole_bytes;
	struct lab_buf whole;

	lab_buf_init(&whole, root->env->heap, OBOX_BUNDLE_BYTES_MAX);
	obox_list_encode(root->base, &whole);
	whole_bytes = whole.len + private_bytes(root, NULL);
	lab_buf_done(&whole);
	return diff <= LAB_MAX(LAB_MIN(DIFF_BYTES_MIN, small), whole_bytes / 2) &&
	       diff <= DIFF_BYTES_MAX;
}

/* The content, as small as it may be. */
static enum obox_bundle_kind encode(const struct obox_root *root, struct lab_buf *out)
{
	size_t small = backend_self_bundle_max(root->user->backend);

	if (has_base(root)) {
		obox_list_encode_changes(root->base, root->list, out);
		if (is_small_diff(root, out->len, small))
			return OBOX_BUNDLE_DIFF;
		lab_buf_reset(out);
	}
	obox_list_encode(root->list, out);
	return root->base == NULL &&
			       out->len + private_bytes(root, NULL) <=
				       LAB_MIN(SELF_BYTES_MAX, small) &&
			       obox_bundles_count(root->bundles) <= SELF_BUNDLES_MAX
		       ? OBOX_BUNDLE_SELF
		       : OBOX_BUNDLE_BASE;
}

static void keep_base(
	struct obox_root *root, const struct obox_list *list, const struct obox_bundle_name *name)
{
	obox_list_free(&root->base);
	root->base = copy_of(list);
	root->base_name = *name;
}

static int upload(struct obox_root *root, const char *reason, struct lab_error *err)
{
	char base[OBOX_BUNDLE_NAME_MAX] = "";
	struct obox_bundle_file files[1 + OBOX_SECONDARY_MEMBERS] = { { .name = LAB_VIEW(
										ROOT_FILE) } };
	struct obox_bundle_upload upload = { .files = files, .reason = reason };
	uint64_t secondary = root->secondary->changes;
	struct obox_secondary_members members;
	struct obox_bundle_name name;
	struct lab_buf content;
	int result;

	lab_buf_init(&content, root->env->heap, OBOX_BUNDLE_BYTES_MAX / 2);
	upload.kind = encode(root, &content);
	if (upload.kind == OBOX_BUNDLE_DIFF) {
		obox_bundle_name_format(&root->base_name, base);
		upload.base = lab_view_cstr(base);
	}
	files[0].content = lab_buf_view(&content);
	obox_secondary_members_init(&members, root, upload.kind == OBOX_BUNDLE_DIFF);
	upload.file_count = obox_secondary_members_add(&members, files, 1);
	root->is_dirty = true;
	if (content.overflow || members.flags.overflow || members.folders.overflow)
		result = lab_fail(err, LAB_LIMIT, "root index is too large");
	else
		result = obox_bundles_upload(root->bundles, &upload, &name, err);
	lab_buf_done(&content);
	if (result == 0) {
		root->is_dirty = root->is_uncertain = false;
		root->uploaded_secondary = secondary;
		if (root->secondary->changes == secondary)
			obox_virtual_uploaded(root->secondary, true);
	}
	if (result == 0 && upload.kind == OBOX_BUNDLE_BASE) {
		keep_base(root, root->list, &name);
		obox_secondary_keep_base(root, lab_buf_view(&members.flags));
	}
	obox_secondary_members_done(&members);
	return result < 0 ? -1 : 0;
}

/* A failure that is certain leaves the first one as it was: uncertain. */
static int upload_again(struct obox_root *root, const char *reason, struct lab_error *err)
{
	struct lab_error again;

	if (upload(root, reason, &again) == 0)
		return 0;
	if (again.code == LAB_UNCERTAIN)
		*err = again;
	return -1;
}

/* With this host's mark. A second upload settles what came of the first: it is the same row. Marks
 * begin at the time: other hosts may know those of a user of this name who was deleted. */
static int upload_mark(struct obox_root *root, const char *reason, struct lab_error *err)
{
	root->is_marked = false;
	if (obox_list_mark(root->list, lab_view_cstr(root->env->hostname), env_wall_us(root->env),
		    err) < 0)
		return -1;
	if (upload(root, reason, err) < 0 &&
		(err->code != LAB_UNCERTAIN || upload_again(root, reason, err) < 0))
		return -1;
	root->is_marked = true;
	root->is_changed = false;
	return 0;
}

static bool has_secondary_changes(const struct obox_root *root)
{
	return root->secondary->changes != root->uploaded_secondary;
}

bool obox_root_is_changed(const struct obox_root *root)
{
	return root->is_dirty || has_secondary_changes(root);
}

/* No mark: whoever comes next lists the root's bundles, and no folder is to be refreshed for them.
 * That they are not uploaded keeps nobody from anything. */
static int upload_secondary(struct obox_root *root, const char *reason, struct lab_error *err)
{
	if (upload(root, reason, err) == 0)
		return 0;
	root->is_dirty = err->code == LAB_UNCERTAIN;
	return -1;
}

int obox_root_flush(struct obox_root *root, const char *reason, struct lab_error *err)
{
	int result = 0;

	lock(root);
	if (root->is_dirty)
		result = root->is_marked ? upload(root, reason, err)
					 : upload_mark(root, reason, err);
	else if (has_secondary_changes(root))
		result = upload_secondary(root, reason, err);
	else
		reason = NULL;
	unlock(root);
	return result < 0 ? -1 : reason != NULL;
}

/* ---- uploads in the background ---- */

static void uploader(void *arg)
{
	struct obox_root *root = arg;
	uint64_t deadline = env_now(root->env) + conf_of(root)->metacache_upload_interval_ns;
	struct lab_error err;

	while (!root->is_stopping && obox_root_is_changed(root)) {
		if (env_cond_wait(root->env, &root->uploader_cond, deadline) == 0)
			continue;
		(void)obox_root_flush(root, "metacache:upload_root", &err);
		deadline = env_now(root->env) +
			   LAB_MAX(LAB_SEC, conf_of(root)->metacache_upload_interval_ns);
	}
	root->has_uploader = false;
	env_cond_broadcast(root->env, &root->cond);
}

bool obox_root_upload_later(struct obox_root *root)
{
	struct lab_error err;

	if (!root->has_uploader)
		root->has_uploader =
			env_spawn(root->env, "root-uploader", uploader, root, &err) == 0;
	return root->has_uploader;
}

/* False: it must be uploaded now. */
static bool upload_later(struct obox_root *root)
{
	return conf_of(root)->metacache_bg_root_uploads && obox_root_upload_later(root);
}

/* ---- refresh ---- */

/* Has a host other than this one a mark that `before` has not? `before` NULL: any mark. */
static bool has_foreign_marks(const struct obox_root *root, const struct obox_list *before)
{
	for (size_t i = 0; i < root->list->mark_count; i++) {
		const struct obox_list_mark *mark = &root->list->marks[i];

		if (strcmp(mark->host, root->env->hostname) != 0 &&
			(before == NULL ||
				mark->count > obox_list_mark_of(before, lab_view_cstr(mark->host))))
			return true;
	}
	return false;
}

static int decode(struct obox_root *root, const struct obox_bundle_download *download,
	struct obox_list **ret, struct lab_error *err)
{
	const struct obox_bundle_file *file = obox_bundle_file(&download->bundle, ROOT_FILE);
	struct obox_list *whole;
	int result;

	*ret = NULL;
	if (file == NULL)
		return lab_fail(err, LAB_CORRUPT, "root bundle without " ROOT_FILE);
	if (obox_secondary_merge(root, &download->bundle, err) < 0)
		return -1;
	if (download->bundle.kind == OBOX_BUNDLE_DIFF)
		return obox_list_merge_changes(root->list, file->content, ret, err);
	if (obox_list_decode(root->env->heap, file->content, &whole, err) < 0)
		return -1;
	result = obox_list_merge(root->list, whole, ret, err);
	if (result == 0 && download->bundle.kind == OBOX_BUNDLE_BASE) {
		keep_base(root, whole, &download->id);
		obox_secondary_keep_base(root, obox_secondary_flags_of(&download->bundle));
	}
	obox_list_free(&whole);
	return result;
}

/* What cannot be used is set aside: nothing of it is lost, and the rest counts. */
static void merge_news(struct obox_root *root, struct obox_bundles_news *news)
{
	for (size_t i = 0; i < news->count; i++) {
		struct obox_list *merged;
		struct lab_error err;

		if (decode(root, &news->downloads[i], &merged, &err) < 0) {
			obox_bundles_set_aside(root->bundles, &news->downloads[i], &err);
			news->set_aside++;
			continue;
		}
		obox_list_free(&root->list);
		root->list = merged;
		obox_bundles_merged(root->bundles, &news->downloads[i]);
	}
}

/* A host whose mark another one has seen need not mark again: only who has marked after it would
 * hear of its next change. Who has not, because it only reads, must look each time. */
static bool may_be_out_of_date(const struct obox_root *root)
{
	return !root->is_marked && has_foreign_marks(root, NULL);
}

/* The user was deleted elsewhere (obox 4.11), or the bundles are lost: what folders hold now, only
 * their listings know. */
static bool is_erased(const struct obox_root *root, const struct obox_bundles_news *news)
{
	return news->gone > 0 && news->count == 0 && obox_bundles_count(root->bundles) == 0;
}

/* 1 if another host has changed something, or may have. */
static int take_news(
	struct obox_root *root, struct obox_bundles_news *news, const char **ret_status)
{
	struct obox_list *before = copy_of(root->list);
	bool is_new;

	*ret_status = obox_bundles_count(root->bundles) == 0 && news->count == 0 ? "created"
		      : news->count > 0 ? "refreshed_changed"
					: "refreshed_unchanged";
	merge_news(root, news);
	is_new = has_foreign_marks(root, before) || news->set_aside > 0 || is_erased(root, news);
	root->is_damaged = root->is_damaged || news->set_aside > 0;
	obox_list_free(&before);
	root->is_marked = root->is_marked && !is_new;
	if ((!is_new && !may_be_out_of_date(root)) || lab_defect(MARKS_NOT_HEARD))
		return 0;
	root->generation++;
	return 1;
}

/* obox_refresh_index_once_after: what is known is from before that time, which has come. */
static bool must_refresh_once(const struct obox_root *root)
{
	uint64_t after = conf_of(root)->obox_refresh_index_once_after;

	return after != 0 && (uint64_t)env_wall_seconds(root->env) >= after &&
	       root->refreshed_us / 1000000 < after;
}

static int refresh(struct obox_root *root, const char **ret_status, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(root->env->heap, DOWNLOADS_ARENA_MAX);
	uint64_t started_us = env_wall_us(root->env), started_ns = env_now(root->env);
	struct obox_bundles_news news;
	struct lab_error ignored;
	bool is_once = must_refresh_once(root);
	int result;

	result = obox_bundles_refresh(root->bundles, "metacache:refresh_root", arena, &news, err);
	if (result == 0) {
		result = take_news(root, &news, ret_status);
		root->generation += is_once;
		root->is_refreshed = root->is_known = true;
		root->refreshed_ns = started_ns;
		root->refreshed_before_us = root->refreshed_us;
		root->refreshed_us = started_us;
		/* Who changed something meanwhile may have looked before: he must look again. */
		if (result > 0 && root->is_changed)
			(void)upload_mark(root, "metacache:upload_root", &ignored);
	}
	lab_arena_free(&arena);
	return result;
}

static void count_file(struct obox_root *root, bool is_changed)
{
	struct obox_user *user = root->user;

	metacache_count_root(backend_get_metacache(user->backend), user,
		root->file == NULL ? 0 : env_file_size(root->file), is_changed);
}

/* Loads the file at the first access, as that blocks. */
static void load(struct obox_root *root)
{
	if (root->is_loaded)
		return;
	root->is_loaded = true;
	root->user->known = metacache_known(backend_get_metacache(root->user->backend), root->user);
	if (obox_root_load(root))
		root->is_known = true;
	else
		begin_anew(root);
	count_file(root, obox_root_is_changed(root));
}

bool obox_root_is_current(const struct obox_root *root)
{
	const struct conf_settings *conf = conf_of(root);
	uint64_t now = env_now(root->env), forced = conf->metacache_forced_refresh_interval_ns;

	if (lab_defect(NEVER_REFRESHED))
		return root->is_refreshed;
	return root->is_refreshed && now - root->accessed_ns < conf->metacache_close_delay_ns &&
	       (forced == 0 || now - root->refreshed_ns < forced) && !must_refresh_once(root);
}

/* `failed` is NULL if it did not. */
static void report_finished(
	struct obox_root *root, const char *status, const struct lab_error *failed)
{
	ENV_EVENT(root->env, LAB_EV_metacache_user_refresh_finished,
		LAB_F_CSTR("user", root->user->username), LAB_F_CSTR("metacache_status", status),
		LAB_F_CODE("code", failed != NULL ? failed->code : LAB_OK),
		LAB_F_CSTR("error", failed != NULL ? failed->message : ""));
}

int obox_root_access(struct obox_root *root, struct lab_error *err)
{
	const char *status = "kept";
	int result = 0;

	lock(root);
	load(root);
	if (!obox_root_is_current(root) || ENV_BUGGIFY(root->env, root_refreshed_again)) {
		ENV_EVENT(root->env, LAB_EV_metacache_user_refresh_started,
			LAB_F_CSTR("user", root->user->username));
		result = refresh(root, &status, err);
	}
	report_finished(root, result < 0 ? "" : status, result < 0 ? err : NULL);
	if (result >= 0)
		root->accessed_ns = env_now(root->env);
	if (result >= 0)
		obox_user_sync_folders(root->user);
	unlock(root);
	return result < 0 ? lab_error_wrap(err, "refresh of the root of %s", root->user->username)
			  : result;
}

void obox_root_force_refresh(struct obox_root *root)
{
	root->is_refreshed = false;
	root->generation++;
}

/* The caller has the user open, and nobody else. */
static bool is_in_use(const struct obox_root *root)
{
	return root->user->references > 1 || lab_map_count(root->user->folders) > 0;
}

static int clean(struct obox_root *root, struct lab_error *err)
{
	struct lab_error ignored;

	if (is_in_use(root))
		return 0;
	load(root);
	if (root->is_dirty ? upload_mark(root, "metacache_worker:cmd_clean", err) < 0
			   : has_secondary_changes(root) &&
				     upload_secondary(root, "metacache_worker:cmd_clean", err) < 0)
		return -1;
	if (is_in_use(root))
		return 0;
	env_file_close(&root->file);
	(void)env_unlink(root->env, root->path, &ignored);
	count_file(root, false);
	begin_anew(root);
	root->is_loaded = root->is_refreshed = false;
	return 1;
}

int obox_root_clean(struct obox_root *root, struct lab_error *err)
{
	int result;

	lock(root);
	result = clean(root, err);
	unlock(root);
	return result;
}

void obox_root_forget_access(struct obox_root *root)
{
	root->is_refreshed = false;
}

/* ---- changes ---- */

/* What an upload leaves uncertain is a mark or a folder, not what the caller is about to do. */
static int not_begun(struct obox_root *root, struct lab_error *err)
{
	if (err->code == LAB_UNCERTAIN)
		err->code = LAB_UNAVAILABLE;
	return lab_error_wrap(err, "root of %s", root->user->username);
}

static bool is_safe(const struct obox_root *root)
{
	return root->is_marked && (!root->is_dirty || conf_of(root)->metacache_bg_root_uploads);
}

int obox_root_begin_change(struct obox_root *root, struct lab_error *err)
{
	struct lab_error own;
	int result = 0;

	if (err == NULL)
		err = &own;
	if (lab_defect(MARKS_NOT_MADE))
		root->is_marked = true;
	if (!is_safe(root)) {
		lock(root);
		if (!is_safe(root))
			result = upload_mark(root, "metacache:upload_root", err);
		unlock(root);
		if (result < 0)
			return not_begun(root, err);
	}
	root->is_changed = true;
	return 0;
}

static void restore(struct obox_root *root, struct obox_list **before, bool was_dirty)
{
	struct obox_list *changed = root->list;

	root->list = *before;
	*before = changed;
	root->is_dirty = was_dirty;
}

/* A failure that is certain leaves the list as it was. */
static int upload_change(
	struct obox_root *root, struct obox_list **before, bool was_dirty, struct lab_error *err)
{
	bool was_uncertain = root->is_uncertain, is_later;

	root->is_dirty = true;
	is_later = upload_later(root);
	/* Others see it in the list before it is known how the upload ends. */
	root->is_uncertain = was_uncertain || !is_later;
	if (is_later || upload_mark(root, "metacache:upload_root", err) == 0) {
		root->is_changed = true;
		return 0;
	}
	if (err->code != LAB_UNCERTAIN) {
		restore(root, before, was_dirty);
		root->is_uncertain = was_uncertain;
	}
	return -1;
}

int obox_root_settle(struct obox_root *root, struct lab_error *err)
{
	struct lab_error own;
	int result = 0;

	if (!root->is_uncertain)
		return 0;
	if (err == NULL)
		err = &own;
	lock(root);
	if (root->is_uncertain)
		result = upload_mark(root, "metacache:upload_root", err);
	unlock(root);
	return result < 0 ? not_begun(root, err) : 0;
}

int obox_root_change(
	struct obox_root *root, obox_root_change_fn fn, void *ctx, struct lab_error *err)
{
	struct obox_list *before;
	struct lab_error own;
	bool was_dirty;
	int result;

	if (err == NULL)
		err = &own;
	lock(root);
	before = copy_of(root->list);
	was_dirty = root->is_dirty;
	result = fn(root, ctx, err);
	if (result < 0)
		restore(root, &before, was_dirty);
	if (result > 0 && upload_change(root, &before, was_dirty, err) < 0)
		result = lab_error_wrap(err, "root of %s", root->user->username);
	obox_user_sync_folders(root->user);
	obox_list_free(&before);
	unlock(root);
	return result;
}

uint32_t obox_root_new_uidvalidity(const struct obox_root *root)
{
	uint32_t now = (uint32_t)env_wall_seconds(root->env), last = root->list->last_uidvalidity;

	return now > last || last == UINT32_MAX ? now : last + 1;
}

int obox_root_erase(struct obox_root *root, struct lab_error *err)
{
	int result;

	lock(root);
	result = obox_bundles_delete_all(root->bundles, "obox:user_delete", err);
	if (result == 0) {
		begin_anew(root);
		root->is_refreshed = false;
		obox_user_forget_folders(root->user);
		obox_user_sync_folders(root->user);
	}
	unlock(root);
	return result;
}

/* ---- from host to host ---- */

int obox_root_pack(struct obox_root *root, struct lab_buf *out, struct lab_error *err)
{
	int result = 0;

	lock(root);
	load(root);
	if (root->is_known && !root->is_damaged)
		obox_root_encode(root, out);
	else
		result = lab_fail(err, LAB_NOT_FOUND, "there is no metacache of %s that is trusted",
			root->user->username);
	unlock(root);
	return result;
}

/* It is a new metacache, whoever knew it before. */
static void make_own(struct obox_root *root, uint64_t author)
{
	root->author = root->generation = author;
	root->is_marked = root->is_changed = false;
	root->is_known = true;
	obox_bundles_adopted(root->bundles);
}

static int adopt(
	struct obox_root *root, struct lab_view bytes, bool latest_only, struct lab_error *err)
{
	struct lab_reader reader = { .rest = bytes };
	uint64_t author;

	/* What a refresh that failed has listed is listed again. */
	begin_anew(root);
	author = root->author;
	if (!obox_root_decode(root, &reader))
		return lab_fail(
			err, LAB_CORRUPT, "root of %s: what came is damaged", root->user->username);
	make_own(root, author);
	if (latest_only) {
		ENV_EVENT(root->env, LAB_EV_metacache_user_refresh_started,
			LAB_F_CSTR("user", root->user->username));
		return obox_bundles_check_latest(root->bundles, "metacache:refresh_root", err);
	}
	return 0;
}

int obox_root_adopt(
	struct obox_root *root, struct lab_view bytes, bool latest_only, struct lab_error *err)
{
	struct lab_error ok = { .code = LAB_OK };
	int result = 0;

	lock(root);
	load(root);
	if (!root->is_known) {
		result = adopt(root, bytes, latest_only, err) < 0 ? -1 : 1;
		report_finished(root, result < 0 ? "" : "created", result < 0 ? err : &ok);
		if (result < 0)
			begin_anew(root);
		obox_user_sync_folders(root->user);
	}
	unlock(root);
	return result;
}

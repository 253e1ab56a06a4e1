/* SPDX-License-Identifier: Apache-2.0 */
#include "core/obox/obox-rebuild.h"

#include "core/fs/dictmap-rebuild.h"
#include "core/obox/bundle.h"
#include "core/obox/obox-private.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXTS_BYTES_MAX ((size_t)1 << 30)
#define HEAD_BYTES_MAX (1024 * 1024)
#define KEYS_MAX OBOX_MAILS_MAX

struct found_mail {
	struct lab_view path, key;
	struct found_mail *next;
};

struct found_bundle {
	struct lab_view path, key;
	int64_t modified;
	struct found_bundle *next;
};

struct rebuild {
	struct obox_user *user;
	struct obox_rebuilt *counts;
	struct lab_arena *texts;
	struct lab_map *keys; /* last part of a mail's key -> the key (struct lab_view *) */
	struct found_mail *mails, **last_mail;
	struct found_bundle *bundles;
	size_t bundle_count;
	struct fs *walked; /* the stack whose storage is being listed */
	bool is_partial;   /* other rows are left */
};

static bool is_bundle_path(struct lab_view path)
{
	return lab_view_find(path, LAB_VIEW("/idx/")) != SIZE_MAX;
}

static struct lab_view last_part(struct lab_view path)
{
	for (size_t i = path.len; i > 0; i--) {
		if (path.ptr[i - 1] == '/')
			return lab_view_skip(path, i);
	}
	return path;
}

/* ---- one object ---- */

/* 1: the name that it has; 0: none, or it is gone. */
static int name_of(struct rebuild *r, struct lab_view key, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	struct fs_file *file = fs_file_open(fs_storage(r->walked), key, FS_OPEN_READONLY);
	struct lab_error own = { .code = LAB_OK };
	int found = fs_get_metadata(file, "fname", arena, ret, &own);

	fs_file_close(&file);
	if (found >= 0 || own.code == LAB_NOT_FOUND)
		return found > 0;
	*err = own;
	return -1;
}

static int add_row(struct rebuild *r, struct fs *stack, const struct dictmap_lost_row *lost,
	uint64_t *made, struct lab_error *err)
{
	int result = dictmap_rebuild_row(stack, lost, err);

	if (result < 0 && err->code == LAB_INVALID) {
		r->counts->foreign++;
		return 0;
	}
	if (result < 0)
		return lab_error_wrap(err, "%.*s", LAB_VIEW_ARG(lost->path));
	*made += result > 0;
	r->counts->kept += result == 0;
	return 0;
}

/* Bundles come last, in the order in which they were written. */
static void keep_bundle(struct rebuild *r, struct lab_view path, const struct fs_walked *item)
{
	struct found_bundle *bundle = lab_arena_new_of(r->texts, struct found_bundle);

	*bundle = (struct found_bundle){ lab_arena_copy(r->texts, path),
		lab_arena_copy(r->texts, item->path), item->modified, r->bundles };
	r->bundles = bundle;
	r->bundle_count++;
}

/* Rows come later: when it is known what is left of them. */
static int keep_mail(
	struct rebuild *r, struct lab_view path, struct lab_view key, struct lab_error *err)
{
	struct found_mail *mail = lab_arena_new_of(r->texts, struct found_mail);
	void **slot = lab_map_slot(r->keys, last_part(key));

	if (slot == NULL)
		return lab_fail(err, LAB_LIMIT, "more than %d objects", KEYS_MAX);
	*mail = (struct found_mail){ lab_arena_copy(r->texts, path), lab_arena_copy(r->texts, key),
		NULL };
	*slot = &mail->key;
	*r->last_mail = mail;
	r->last_mail = &mail->next;
	return 0;
}

static int take_object(struct rebuild *r, const struct fs_walked *item, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(r->user->env->heap, HEAD_BYTES_MAX);
	struct lab_view path = LAB_VIEW("");
	int result = name_of(r, item->path, arena, &path, err);

	r->counts->objects++;
	if (result == 0)
		r->counts->foreign++;
	else if (result > 0 && is_bundle_path(path))
		keep_bundle(r, path, item);
	else if (result > 0)
		result = keep_mail(r, path, item->path, err);
	lab_arena_free(&arena);
	return result < 0 ? -1 : 0;
}

/* What lies under a bundle's path is the business of obox_index_fs, and all else of obox_fs, also
 * if both end in one storage. */
static int on_page(void *ctx, const struct fs_walked *items, size_t count, struct lab_error *err)
{
	struct rebuild *r = ctx;
	bool is_index = r->walked == r->user->index_fs;

	for (size_t i = 0; i < count; i++) {
		if (is_bundle_path(items[i].path) == is_index && take_object(r, &items[i], err) < 0)
			return -1;
	}
	return 0;
}

static int walk(struct rebuild *r, struct fs *stack, const char *below, struct lab_error *err)
{
	r->walked = stack;
	fs_set_reason(stack, "obox:rebuild");
	return fs_walk(stack,
		lab_view_cstr(lab_arena_printf(r->texts, "%s/%s", r->user->root, below)), on_page,
		r, err);
}

/* ---- bundles ---- */

static int compare_bundles(const void *a, const void *b)
{
	const struct found_bundle *x = *(const struct found_bundle *const *)a;
	const struct found_bundle *y = *(const struct found_bundle *const *)b;

	if (x->modified != y->modified)
		return x->modified < y->modified ? -1 : 1;
	return lab_view_cmp(x->key, y->key);
}

/* What cannot be read is nobody's last word: its row would take the place of a better one. */
static int add_bundle(struct rebuild *r, const struct found_bundle *bundle, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(r->user->env->heap, OBOX_BUNDLE_BYTES_MAX);
	struct dictmap_lost_row lost = { bundle->path, bundle->key, LAB_VIEW(""), false };
	int result = obox_bundle_host(r->user, bundle->path, arena, &lost.host, err);

	if (result == 0 && lost.host.len == 0)
		r->counts->foreign++;
	else if (result == 0)
		result = add_row(r, r->user->index_fs, &lost, &r->counts->bundles, err);
	lab_arena_free(&arena);
	return result;
}

static int add_bundles(struct rebuild *r, struct lab_error *err)
{
	struct found_bundle **all =
		lab_arena_array(r->texts, struct found_bundle *, r->bundle_count);
	size_t n = 0;

	for (struct found_bundle *b = r->bundles; b != NULL; b = b->next)
		all[n++] = b;
	if (n > 0)
		qsort(all, n, sizeof(struct found_bundle *), compare_bundles);
	for (size_t i = 0; i < n; i++) {
		if (add_bundle(r, all[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- mails, and what else is not a bundle ---- */

static int add_mails(struct rebuild *r, struct lab_error *err)
{
	for (const struct found_mail *m = r->mails; m != NULL; m = m->next) {
		bool is_mail = lab_view_find(m->path, LAB_VIEW("/mailboxes/")) != SIZE_MAX;
		struct dictmap_lost_row lost = { m->path, m->key, LAB_VIEW(""), r->is_partial };

		if (add_row(r, r->user->fs, &lost, is_mail ? &r->counts->mails : &r->counts->others,
			    err) < 0)
			return -1;
	}
	return 0;
}

/* ---- what only bundles know: copies ---- */

static int add_copy(
	struct rebuild *r, const char *guid, const struct obox_mail *mail, struct lab_error *err)
{
	char name[OBOX_GUID_HEX + 1], oid[2 * OBOX_OID_BYTES_MAX + 1], path[1024];
	const struct lab_view *key;
	struct dictmap_lost_row lost;
	uint64_t kept = r->counts->kept;
	int result;

	lab_hex(mail->oid, mail->oid_len, oid);
	lab_hex(mail->name, sizeof(mail->name), name);
	key = lab_map_get(r->keys, lab_view_cstr(mail->oid_len > 0 ? oid : name));
	if (key == NULL)
		return 0;
	(void)snprintf(path, sizeof(path), "%s/mailboxes/%s/%s", r->user->root, guid, name);
	lost = (struct dictmap_lost_row){ lab_view_cstr(path), *key, LAB_VIEW(""), false };
	result = add_row(r, r->user->fs, &lost, &r->counts->copies, err);
	/* Counted by its object already. */
	r->counts->kept = kept;
	return result;
}

static int add_copies_of(
	struct rebuild *r, const struct obox_list_folder *folder, struct lab_error *err)
{
	char guid[OBOX_GUID_HEX + 1];
	struct obox_state *state = NULL;
	int result;

	lab_hex(folder->guid, sizeof(folder->guid), guid);
	result = obox_bundles_state(r->user, guid, &state, err);
	for (size_t i = 0; result == 0 && state != NULL && i < state->count; i++)
		result = add_copy(r, guid, &state->records[i].mail, err);
	obox_state_free(&state);
	return result < 0 ? lab_error_wrap(err, "folder %s", guid) : 0;
}

static int add_copies(struct rebuild *r, struct lab_error *err)
{
	const struct obox_list *list = r->user->root_index.list;

	for (size_t i = 0; i < list->folder_count; i++) {
		if (add_copies_of(r, list->folders[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- forward rows that are left ---- */

/* Each gets its reverse row again, if that was lost. */
static int add_listed(struct rebuild *r, const char *guid, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(r->user->env->heap, TEXTS_BYTES_MAX);
	struct lab_view directory =
		lab_view_cstr(lab_arena_printf(arena, "%s/mailboxes/%s/", r->user->root, guid));
	struct lab_view *names, oid;
	size_t count = 0;
	int result = fs_iter(r->user->fs, directory, FS_ITER_OBJECTIDS | FS_ITER_NOCACHE,
		OBOX_MAILS_MAX, arena, &names, &count, err);

	for (size_t i = 0; result == 0 && i < count; i++) {
		const struct lab_view *key;
		struct dictmap_lost_row lost = { .is_partial = false };
		uint64_t ignored = 0, kept = r->counts->kept;

		if (!lab_view_split(&names[i], '/', &oid))
			continue;
		key = lab_map_get(r->keys, oid.len > 0 ? oid : names[i]);
		if (key == NULL)
			continue;
		lost.key = *key;
		lost.path = lab_view_cstr(lab_arena_printf(
			arena, "%.*s%.*s", LAB_VIEW_ARG(directory), LAB_VIEW_ARG(names[i])));
		result = add_row(r, r->user->fs, &lost, &ignored, err);
		r->counts->kept = kept;
	}
	lab_arena_free(&arena);
	return result;
}

static int add_reverse_rows(struct rebuild *r, struct lab_error *err)
{
	const struct obox_list *list = r->user->root_index.list;

	for (size_t i = 0; i < list->folder_count; i++) {
		char guid[OBOX_GUID_HEX + 1];

		lab_hex(list->folders[i]->guid, ENV_GUID128_SIZE, guid);
		if (add_listed(r, guid, err) < 0)
			return lab_error_wrap(err, "folder %s", guid);
	}
	return 0;
}

/* ---- a user ---- */

static int open_root(struct rebuild *r, struct lab_error *err)
{
	int lost;

	obox_root_forget_access(&r->user->root_index);
	if (obox_user_access(r->user, err) < 0)
		return -1;
	lost = obox_user_recover(r->user, err);
	r->counts->folders += lost > 0 ? (uint64_t)lost : 0;
	return lost < 0 ? -1 : 0;
}

static void report(const struct rebuild *r)
{
	const struct obox_rebuilt *c = r->counts;

	ENV_EVENT(r->user->env, LAB_EV_log_message, LAB_F_CSTR("area", "rebuild"),
		LAB_F_CSTR("message", "rows were made anew"), LAB_F_CSTR("user", r->user->username),
		LAB_F_U64("objects", c->objects), LAB_F_U64("foreign", c->foreign),
		LAB_F_U64("mails", c->mails), LAB_F_U64("bundles", c->bundles),
		LAB_F_U64("others", c->others), LAB_F_U64("copies", c->copies),
		LAB_F_U64("kept", c->kept), LAB_F_U64("folders", c->folders));
}

static int rebuild(struct rebuild *r, struct lab_error *err)
{
	if (walk(r, r->user->fs, "", err) < 0 || walk(r, r->user->index_fs, "", err) < 0 ||
		add_bundles(r, err) < 0 || open_root(r, err) < 0)
		return -1;
	if (r->is_partial && add_reverse_rows(r, err) < 0)
		return -1;
	if (add_mails(r, err) < 0 || (!r->is_partial && add_copies(r, err) < 0))
		return -1;
	report(r);
	return 0;
}

static int rebuild_user(struct backend *backend, struct lab_view name, bool is_partial,
	struct obox_rebuilt *ret, struct lab_error *err)
{
	struct rebuild r = { .counts = ret, .is_partial = is_partial };
	int result;

	if (backend_user_get(backend, name, &r.user, err) < 0)
		return -1;
	r.last_mail = &r.mails;
	r.texts = lab_arena_new(r.user->env->heap, TEXTS_BYTES_MAX);
	r.keys = lab_map_new(r.user->env->heap, KEYS_MAX);
	result = rebuild(&r, err);
	lab_map_free(&r.keys);
	lab_arena_free(&r.texts);
	backend_user_release(&r.user);
	return result < 0 ? lab_error_wrap(err, "rebuild of user %.*s", LAB_VIEW_ARG(name)) : 0;
}

int backend_user_rebuild(struct backend *backend, struct lab_view name, struct obox_rebuilt *ret,
	struct lab_error *err)
{
	return rebuild_user(backend, name, false, ret, err);
}

int backend_user_repair(struct backend *backend, struct lab_view name, struct obox_rebuilt *ret,
	struct lab_error *err)
{
	return rebuild_user(backend, name, true, ret, err);
}

/* ---- force-resync ---- */

/* The list may change meanwhile: folders are gone through by name. */
static int resync_folders(struct obox_user *user, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(user->env->heap, TEXTS_BYTES_MAX);
	struct obox_folder *folders;
	size_t count;
	int result = 0;

	obox_folder_list(user, arena, &folders, &count);
	for (size_t i = 0; i < count && result == 0; i++) {
		struct obox_mailbox *mailbox;

		if (obox_mailbox_select(user, lab_view_cstr(folders[i].name), &mailbox, err) < 0) {
			/* Deleted meanwhile. */
			result = err->code == LAB_NOT_FOUND ? 0 : -1;
			continue;
		}
		result = obox_mailbox_rebuild(mailbox, err);
		obox_mailbox_close(&mailbox);
	}
	lab_arena_free(&arena);
	return result;
}

int backend_user_resync(
	struct backend *backend, struct lab_view name, unsigned *ret_lost, struct lab_error *err)
{
	struct obox_user *user;
	int lost, result;

	*ret_lost = 0;
	if (backend_user_get(backend, name, &user, err) < 0)
		return -1;
	obox_root_forget_access(&user->root_index);
	result = obox_user_access(user, err);
	lost = result < 0 ? -1 : obox_user_recover(user, err);
	if (lost >= 0) {
		*ret_lost = (unsigned)lost;
		result = resync_folders(user, err);
	}
	backend_user_release(&user);
	return lost < 0 || result < 0
		       ? lab_error_wrap(err, "force-resync of user %.*s", LAB_VIEW_ARG(name))
		       : 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-migrate.c - a user whose mails and bundles lie under their paths, taken into the dict in
 * place (obox 2, storage-objectid-migrate): what the product's two migration scripts do.
 */
#include "core/fs/dictmap-migrate.h"
#include "core/obox/bundle.h"
#include "core/obox/obox-private.h"

/* Passthrough paths are read without asking the dict. What is no bundle stays what it is, and will
 * be set aside. */
int obox_bundle_host(void *ctx, struct lab_view path, struct lab_arena *arena, struct lab_view *ret,
	struct lab_error *err)
{
	struct obox_user *user = ctx;
	struct fs_file *file = fs_file_open(user->index_fs, path, FS_OPEN_READONLY);
	struct obox_bundle *bundle = lab_arena_new_of(arena, struct obox_bundle);
	struct lab_error why = { .code = LAB_OK };
	struct lab_view bytes;
	int result = fs_read(file, arena, OBOX_BUNDLE_BYTES_MAX, &bytes, &why);

	fs_file_close(&file);
	*ret = LAB_VIEW("");
	if (result == 0 && obox_bundle_decode(bytes, bundle, &why) == 0)
		*ret = bundle->host;
	if (result == 0 || why.code == LAB_CORRUPT || why.code == LAB_NOT_FOUND)
		return 0;
	*err = why;
	return -1;
}

static int migrate(struct obox_user *user, struct lab_error *err)
{
	struct dictmap_migrated mails = { 0 }, bundles = { 0 };

	fs_set_reason(user->index_fs, "obox:migrate");
	fs_set_reason(user->fs, "obox:migrate");
	if (dictmap_migrate_bundles(user->index_fs, obox_bundle_host, user, &bundles, err) < 0)
		return lab_error_wrap(err, "obox_index_fs");
	if (dictmap_migrate_mails(user->fs, &mails, err) < 0)
		return lab_error_wrap(err, "obox_fs");
	ENV_EVENT(user->env, LAB_EV_log_message, LAB_F_CSTR("area", "migrate"),
		LAB_F_CSTR("message", "taken into the dict"), LAB_F_CSTR("user", user->username),
		LAB_F_U64("folders", mails.folders), LAB_F_U64("mails", mails.added),
		LAB_F_U64("bundles", bundles.added));
	return 0;
}

/* Nobody refreshes: to whom the dict has no bundles yet, what is in the metacache is all there is,
 * and it would be uploaded into the row that the host's bundle is about to get. */
int backend_user_migrate(struct backend *backend, struct lab_view name, struct lab_error *err)
{
	struct obox_user *user;
	int result;

	if (backend_user_get(backend, name, &user, err) < 0)
		return -1;
	result = migrate(user, err);
	backend_user_release(&user);
	return result < 0 ? lab_error_wrap(err, "user %.*s", LAB_VIEW_ARG(name)) : 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * fts.c - full text search on one backend: its users, and indexing in the background.
 */
#include "core/fts/fts-private.h"
#include "core/base/defect.h"

#define USERS_MAX 1000000
#define DELETE_ARENA_MAX (64u << 20)
#define OBOX_FOLDER_BYTES 256

bool fts_is_configured(const struct conf_settings *conf)
{
	return lab_view_eq_cstr(conf->fts.text, "dovecot") && conf->fts_dovecot_fs.text.len > 0;
}

struct fts *fts_start(struct env *env, struct backend *backend, const struct conf_settings *conf)
{
	struct fts *fts = lab_new(env->heap, struct fts);

	fts->env = env;
	fts->backend = backend;
	fts->conf = conf;
	fts->users = lab_map_new(env->heap, USERS_MAX);
	return fts;
}

void fts_stop(struct fts **fts_p)
{
	struct fts *fts = *fts_p;
	struct lab_map_iter iter;
	struct lab_error ignored;
	struct lab_view name;
	void *user;

	if (fts == NULL)
		return;
	fts->is_stopping = true;
	while (fts->indexers > 0)
		(void)env_cond_wait(fts->env, &fts->done, ENV_FOREVER);
	/* What fails is told by its event; the newest triplet is where fts-cache keeps it. */
	(void)fts_flush(fts, LAB_VIEW(""), &ignored);
	iter = lab_map_iterate(fts->users);
	while (lab_map_next(&iter, &name, &user))
		fts_user_free((struct fts_user **)&user);
	lab_map_free(&fts->users);
	lab_heap_free(fts->env->heap, fts);
	*fts_p = NULL;
}

/* ---- indexing ---- */

bool fts_does_autoindex(const struct fts *fts, struct obox_user *user, struct lab_view folder)
{
	return fts->conf->fts_autoindex &&
	       !obox_folder_is_among(user, folder, fts->conf->fts_autoindex_exclude,
		       fts->conf->fts_autoindex_exclude_count);
}

int fts_index(struct fts *fts, struct obox_user *obox, struct obox_mailbox *mailbox,
	struct lab_error *err)
{
	struct fts_user *user = fts_user_get(fts, obox, err);
	size_t unreadable;
	int result;

	if (user == NULL)
		return -1;
	fts_user_lock(user);
	result = fts_index_locked(user, mailbox, &unreadable, err);
	fts_user_unlock(user);
	return result;
}

void fts_expunged(struct fts *fts, struct obox_user *obox, const struct fts_mail *mail)
{
	struct lab_error ignored;
	struct fts_user *user = fts_user_get(fts, obox, &ignored);
	uint8_t bytes[FTS_MAIL_BYTES];
	void **slot;

	if (user == NULL || fts_user_is_expunged(user, mail) || lab_defect(FTS_EXPUNGES_FORGOTTEN))
		return;
	slot = lab_map_slot(user->pending, fts_mail_key(mail, bytes));
	if (slot != NULL)
		*slot = user;
}

static void index_folder(struct fts_user *user, struct lab_view folder)
{
	struct fts *fts = user->fts;
	struct obox_mailbox *mailbox = NULL;
	struct obox_user *obox = NULL;
	struct lab_error ignored;

	/* What fails is done by the next search, or with the next mail. */
	if (backend_user_open(fts->backend, lab_view_cstr(obox_user_name(user->user)), &obox,
		    &ignored) == 0 &&
		obox_mailbox_select(obox, folder, &mailbox, &ignored) >= 0)
		(void)fts_index(fts, obox, mailbox, &ignored);
	obox_mailbox_close(&mailbox);
	backend_user_release(&obox);
}

static bool take_wanted(struct fts_user *user, char name[OBOX_FOLDER_BYTES])
{
	struct lab_map_iter iter = lab_map_iterate(user->wanted);
	struct lab_view key;
	void *value;

	if (!lab_map_next(&iter, &key, &value))
		return false;
	lab_assert(lab_view_to_cstr(key, name, OBOX_FOLDER_BYTES) == 0);
	(void)lab_map_remove(user->wanted, key);
	return true;
}

static void indexer(void *arg)
{
	struct fts_user *user = arg;
	struct fts *fts = user->fts;
	char name[OBOX_FOLDER_BYTES];

	while (!fts->is_stopping && take_wanted(user, name))
		index_folder(user, lab_view_cstr(name));
	user->has_indexer = false;
	fts->indexers--;
	env_cond_broadcast(fts->env, &fts->done);
}

void fts_autoindex(struct fts *fts, struct obox_user *obox, struct lab_view folder)
{
	struct lab_error ignored;
	struct fts_user *user = fts_user_get(fts, obox, &ignored);
	void **slot;

	if (user == NULL || fts->is_stopping || folder.len >= OBOX_FOLDER_BYTES)
		return;
	slot = lab_map_slot(user->wanted, folder);
	if (slot != NULL)
		*slot = user;
	if (user->has_indexer || env_spawn(fts->env, "indexer-worker", indexer, user, &ignored) < 0)
		return;
	user->has_indexer = true;
	fts->indexers++;
}

/* ---- flushing ---- */

static size_t copy_users(const struct fts *fts, struct lab_view name, struct fts_user **users)
{
	struct lab_map_iter iter = lab_map_iterate(fts->users);
	size_t count = 0;
	struct lab_view key;
	void *user;

	while (lab_map_next(&iter, &key, &user)) {
		if (user != NULL && (name.len == 0 || lab_view_eq(name, key)))
			users[count++] = user;
	}
	return count;
}

int fts_flush(struct fts *fts, struct lab_view name, struct lab_error *err)
{
	struct fts_user **users =
		lab_new_array(fts->env->heap, struct fts_user *, lab_map_count(fts->users));
	size_t count = copy_users(fts, name, users);
	struct lab_error own;
	int result = 0;

	for (size_t i = 0; i < count; i++) {
		fts_user_lock(users[i]);
		if (fts_flush_user(users[i], "metacache:flush_all_changed",
			    result == 0 && err != NULL ? err : &own) < 0)
			result = -1;
		fts_user_unlock(users[i]);
	}
	lab_heap_free(fts->env->heap, users);
	return result;
}

/* ---- deleting a user ---- */

static int delete_listed(struct fts_user *user, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(user->env->heap, DELETE_ARENA_MAX);
	struct lab_view *names;
	size_t count, before;
	int result =
		fs_iter(user->fs, LAB_VIEW(""), 0, FTS_OBJECTS_MAX, arena, &names, &count, err);

	for (size_t i = 0; result == 0 && i < count; i++) {
		struct fts_guid guid;
		enum fts_kind kind;
		void **slot;

		/* What is not ours is left alone. */
		if (fts_name_parse(names[i], &kind, &guid) < 0)
			continue;
		slot = lab_map_slot(user->garbage, names[i]);
		if (slot != NULL)
			*slot = user;
	}
	lab_arena_free(&arena);
	do {
		before = lab_map_count(user->garbage);
		fts_delete_garbage(user);
	} while (result == 0 && lab_map_count(user->garbage) < before);
	if (result == 0 && before > 0)
		result = lab_fail(
			err, LAB_UNAVAILABLE, "%zu FTS objects could not be deleted", before);
	return result;
}

int fts_user_delete(struct fts *fts, struct obox_user *obox, struct lab_error *err)
{
	struct fts_user *user = fts_user_get(fts, obox, err);
	int result;

	if (user == NULL)
		return -1;
	fts_user_lock(user);
	result = delete_listed(user, err);
	if (result == 0)
		fts_user_forget(user);
	fts_user_unlock(user);
	return result < 0 ? lab_error_wrap(err, "FTS of %s", obox_user_name(obox)) : 0;
}

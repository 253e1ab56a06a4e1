/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-deleted.c - what comes into a folder that was deleted.
 *
 * A backend that has not heard of a deletion may save into the folder until it refreshes the root.
 * It saves those mails again when it hears of it (obox_user_rescue()); if it crashes before, nobody
 * else knows of them. So the list of folders remembers each deletion for as long as a backend may
 * go without a refresh, and every backend looks into the folder: when it hears of it, and again
 * later and later, in the background. What is there is of after the deletion, and is saved again
 * into a folder of that name; what is older the deletion failed to remove. Which it is the clocks
 * say: what the deleting host has saved itself by one clock, what others have by two. Two backends
 * that look at the same time both save it: it is there at least once. So they begin apart from each
 * other, and when the deletion itself is over.
 */
#include "core/obox/obox-private.h"
#include "core/base/defect.h"
#include "core/base/mark.h"
#include "core/env/hold.h"

#include <stdio.h>

/* After the deletion; and for each backend another multiple of the second. */
#define FIRST_LOOK (30 * LAB_SEC)
#define LOOKS_APART (30 * LAB_SEC)
#define LOOKS_APART_MAX 4
/* Between two looks: half of the time since the deletion, but not less. */
#define LOOK_INTERVAL_MIN (10 * LAB_SEC)
/* As far as clocks of backends may be apart (what `delete-timestamp` is for). */
#define CLOCKS_APART_MS 10000
/* Of the names of mails: which host made them. */
#define HOST_AT 12
#define HOST_BYTES 4
/* A deletion is remembered for longer than any backend goes without a refresh, by so much. */
#define REMEMBERED_MORE_SEC 3600
#define FORCED_REFRESH_NS (8 * 3600 * LAB_SEC) /* the default; if it is never forced */
#define LISTED_MAX OBOX_MAILS_MAX

/* ---- which, and when ---- */

static uint32_t remembered_since(const struct obox_user *user)
{
	uint64_t forced =
		backend_get_settings(user->backend)->conf->metacache_forced_refresh_interval_ns;
	int64_t seconds = (int64_t)((forced == 0 ? FORCED_REFRESH_NS : forced) / LAB_SEC);
	int64_t since = env_wall_seconds(user->env) - seconds - REMEMBERED_MORE_SEC;

	return since < 0 ? 0 : (uint32_t)since;
}

int obox_deleted_remember(struct obox_root *root, const uint8_t guid[ENV_GUID128_SIZE],
	struct lab_view name, struct lab_error *err)
{
	uint64_t now_ms = env_wall_us(root->env) / 1000;
	uint8_t own[ENV_GUID128_SIZE];
	char by[32], host[2 * HOST_BYTES + 1];
	int n;

	env_guid128_generate(root->env, own);
	lab_hex(own + HOST_AT, HOST_BYTES, host);
	n = snprintf(by, sizeof(by), "\\%s.%03u", host, (unsigned)(now_ms % 1000));
	obox_list_forget_deleted(root->list, remembered_since(root->user));
	return obox_list_remember_deleted(root->list, root->author, guid, name,
		(uint32_t)(now_ms / 1000), lab_view_of(by, (size_t)n), err);
}

static void set_next(struct obox_user *user, struct lab_view guid, uint64_t when_ns)
{
	void **slot = lab_map_slot(user->looks, guid);

	if (slot != NULL)
		*slot = (void *)(uintptr_t)when_ns;
}

void obox_deleted_looked(struct obox_user *user, const uint8_t guid[ENV_GUID128_SIZE])
{
	set_next(user, lab_view_of(guid, ENV_GUID128_SIZE), env_now(user->env) + FIRST_LOOK);
}

/* This host has saved mails into it itself, which it will save again with their flags. */
static bool has_own(const struct obox_user *user, const struct obox_list_entry *entry)
{
	char hex[OBOX_GUID_HEX + 1];
	const struct obox_mailbox *mailbox;

	lab_hex(entry->key.ptr, ENV_GUID128_SIZE, hex);
	mailbox = lab_map_get(user->folders, lab_view_cstr(hex));
	return mailbox != NULL && mailbox->is_gone && !mailbox->is_left;
}

static bool is_due(const struct obox_user *user, const struct obox_list_entry *entry)
{
	uint64_t when_ns = (uintptr_t)lab_map_get(user->looks, entry->key);

	return !has_own(user, entry) && when_ns != 0 && when_ns <= env_now(user->env) &&
	       entry->uidvalidity >= remembered_since(user);
}

/* Deletions that this host has just heard of. */
static void hear(struct obox_user *user)
{
	const struct obox_list_entries *deleted =
		&user->root_index.list->entries[OBOX_LIST_DELETED];
	uint64_t delay_ns = FIRST_LOOK + lab_hash_view(0, lab_view_cstr(user->env->hostname)) %
						 LOOKS_APART_MAX * LOOKS_APART;

	for (size_t i = 0; i < deleted->count; i++) {
		const struct obox_list_entry *entry = deleted->items[i];
		int64_t age = env_wall_seconds(user->env) - (int64_t)entry->uidvalidity;
		uint64_t age_ns = (uint64_t)LAB_MAX(age, 0) * LAB_SEC;

		if (lab_map_get(user->looks, entry->key) == NULL)
			set_next(user, entry->key,
				LAB_MAX(env_now(user->env), (uint64_t)1) + delay_ns -
					LAB_MIN(delay_ns, age_ns));
	}
}

static const struct obox_list_entry *find_due(const struct obox_user *user)
{
	const struct obox_list_entries *deleted =
		&user->root_index.list->entries[OBOX_LIST_DELETED];

	for (size_t i = 0; i < deleted->count; i++) {
		if (is_due(user, deleted->items[i]))
			return deleted->items[i];
	}
	return NULL;
}

/* ---- a look ---- */

struct look {
	struct obox_user *user;
	uint8_t guid[ENV_GUID128_SIZE];
	char hex[OBOX_GUID_HEX + 1];
	char name[OBOX_FOLDER_NAME_MAX + 1];
	uint64_t deleted_ms; /* unix time */
	uint8_t host[HOST_BYTES];
};

static void report(const struct look *look, const char *message, const struct lab_error *err)
{
	ENV_EVENT(look->user->env, LAB_EV_log_message, LAB_F_CSTR("area", "obox"),
		LAB_F_CSTR("message", message), LAB_F_CSTR("user", look->user->username),
		LAB_F_CSTR("mailbox", look->name), LAB_F_CSTR("mailbox_guid", look->hex),
		LAB_F_CSTR("error", err == NULL ? "" : err->message));
}

/* Without the row's place its deletion looks for it, and so finds out that it is gone. */
static struct fs_file *open_listed(const struct look *look, struct lab_view listed,
	bool is_place_known, struct lab_arena *arena)
{
	struct lab_view name = listed, oid = LAB_VIEW(""), version = LAB_VIEW("");
	struct fs_file *file;

	(void)lab_view_split(&name, '/', &oid);
	if (lab_view_find_byte(name, '/') != SIZE_MAX)
		(void)lab_view_split(&name, '/', &version);
	file = fs_file_open(look->user->fs,
		lab_view_cstr(lab_arena_printf(arena, "%s/mailboxes/%s/%.*s", look->user->root,
			look->hex, LAB_VIEW_ARG(name))),
		FS_OPEN_READONLY);
	if (oid.len > 0)
		fs_set_metadata(file, FS_METADATA_OBJECTID, oid);
	if (version.len > 0 && is_place_known)
		fs_set_metadata(file, FS_METADATA_VERSION, version);
	return file;
}

/* By the clock of whoever saved it, and that of whoever deleted the folder. */
static bool is_older(const struct look *look, struct lab_view listed)
{
	struct lab_view name = listed;
	uint64_t margin_ms = CLOCKS_APART_MS;
	uint8_t guid[ENV_GUID128_SIZE];
	size_t slash = lab_view_find_byte(listed, '/');

	while (slash != SIZE_MAX) {
		name = lab_view_skip(name, slash + 1);
		slash = lab_view_find_byte(name, '/');
	}
	if (lab_unhex(name, guid, sizeof(guid)) < 0)
		return false;
	if (memcmp(guid + HOST_AT, look->host, HOST_BYTES) == 0)
		margin_ms = 0;
	return env_guid128_time(guid) / LAB_MSEC + margin_ms < look->deleted_ms;
}

void obox_deleted_undo(struct obox_mailbox *to, uint32_t uid)
{
	struct obox_result result;
	struct lab_error ignored;

	(void)obox_expunge(to, &uid, 1, &result, &ignored);
}

static int save_again(const struct look *look, struct fs_file *file, struct lab_arena *arena,
	struct lab_error *err)
{
	struct obox_mailbox *to = NULL;
	struct obox_save save = { 0 };
	struct obox_saved saved;
	struct lab_error err_of_delete;
	int result;

	fs_set_reason(look->user->fs, "obox:mail_save");
	if (fs_read(file, arena, OBOX_MAIL_MAX, &save.body, err) < 0)
		return err->code == LAB_NOT_FOUND ? 0 : -1;
	result = obox_mailbox_open(look->user, lab_view_cstr(look->name), &to, err);
	if (result >= 0)
		result = obox_save(to, &save, &saved, err);
	ENV_HOLD(look->user->env, mail_rescued, look->user->username);
	if (result == 0 && fs_delete(file, &err_of_delete) < 0 &&
		err_of_delete.code == LAB_NOT_FOUND)
		obox_deleted_undo(to, saved.uid);
	obox_mailbox_close(&to);
	if (result == 0) {
		LAB_MARK(mail_saved_again);
		report(look, "a mail that was saved into a deleted folder is saved again", NULL);
	}
	return result < 0 ? -1 : 0;
}

static int look_at(const struct look *look, struct lab_view listed, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(look->user->env->heap, 2 * (size_t)OBOX_MAIL_MAX);
	bool is_left = is_older(look, listed);
	struct fs_file *file = open_listed(look, listed, is_left, arena);
	int result;

	if (is_left) {
		fs_set_reason(look->user->fs, "obox:mailbox_delete");
		result = fs_delete(file, err);
		if (result < 0 && err->code == LAB_NOT_FOUND)
			result = 0;
	} else {
		result = save_again(look, file, arena, err);
	}
	fs_file_close(&file);
	lab_arena_free(&arena);
	return result;
}

static int look_into(const struct look *look, struct lab_error *err)
{
	struct obox_user *user = look->user;
	struct lab_arena *arena = lab_arena_new(user->env->heap, (size_t)LISTED_MAX * 1024);
	const char *directory = lab_arena_printf(arena, "%s/mailboxes/%s/", user->root, look->hex);
	struct lab_view *names;
	size_t count = 0;
	int result;

	fs_set_reason(user->fs, "obox:mailbox_delete");
	result = fs_iter(user->fs, lab_view_cstr(directory),
		FS_ITER_OBJECTIDS | FS_ITER_VERSIONS | FS_ITER_NOCACHE, LISTED_MAX, arena, &names,
		&count, err);
	for (size_t i = 0; i < count && result == 0 && !user->must_not_look; i++)
		result = look_at(look, names[i], err);
	lab_arena_free(&arena);
	return result;
}

/* "\\0123abcd.456": the host and the milliseconds. Anything else is nobody. */
static void read_by(struct look *look, struct lab_view by)
{
	struct lab_view host;
	uint64_t ms;

	if (by.len != 1 + 2 * HOST_BYTES + 4)
		return;
	host = lab_view_sub(by, 1, 2 * HOST_BYTES);
	if (lab_unhex(host, look->host, HOST_BYTES) == 0 &&
		lab_view_to_u64(lab_view_skip(by, by.len - 3), &ms) == 0)
		look->deleted_ms += ms;
}

static void look(struct obox_user *user, const struct obox_list_entry *entry)
{
	struct look look = { .user = user, .deleted_ms = entry->uidvalidity * UINT64_C(1000) };
	int64_t age = env_wall_seconds(user->env) - (int64_t)entry->uidvalidity;
	struct lab_error err;

	memcpy(look.guid, entry->key.ptr, sizeof(look.guid));
	lab_hex(look.guid, sizeof(look.guid), look.hex);
	(void)snprintf(look.name, sizeof(look.name), "%s", entry->name.value);
	read_by(&look, lab_view_cstr(entry->special_use.value));
	/* Also of what fails: the next refresh comes soon enough. */
	set_next(user, lab_view_of(look.guid, sizeof(look.guid)),
		env_now(user->env) +
			LAB_MAX(LOOK_INTERVAL_MIN, (uint64_t)LAB_MAX(age, 0) / 2 * LAB_SEC));
	if (look_into(&look, &err) < 0) {
		report(&look, "a deleted folder cannot be looked into", &err);
		set_next(user, lab_view_of(look.guid, sizeof(look.guid)),
			env_now(user->env) + LOOK_INTERVAL_MIN);
	}
}

/* ---- in the background ---- */

static void looker(void *arg)
{
	struct obox_user *user = arg;
	const struct obox_list_entry *entry;

	while (!user->must_not_look && !user->root_index.is_dirty &&
		(entry = find_due(user)) != NULL)
		look(user, entry);
	user->is_looking = false;
	env_cond_broadcast(user->env, &user->looked_cond);
}

void obox_deleted_look(struct obox_user *user)
{
	struct lab_error err;

	/* Once for each refresh of the root, and not before it is certain what was deleted. */
	if (user->root_index.is_dirty ||
		user->looks_refreshed_ns == user->root_index.refreshed_ns || user->is_looking ||
		user->must_not_look)
		return;
	user->looks_refreshed_ns = user->root_index.refreshed_ns;
	if (lab_defect(DELETED_NOT_LOOKED_INTO))
		return;
	hear(user);
	if (find_due(user) == NULL)
		return;
	user->is_looking = env_spawn(user->env, "deleted-folders", looker, user, &err) == 0;
}

void obox_deleted_hold(struct obox_user *user, bool is_held)
{
	user->must_not_look = is_held;
	while (is_held && user->is_looking)
		(void)env_cond_wait(user->env, &user->looked_cond, ENV_FOREVER);
}

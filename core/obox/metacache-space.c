/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-space.c - what local indexes take: counted as they change, known from the last run, and
 * looked up on the disk (obox 5.1: metacache_roots, metacache_userdb, metacache_rescan_interval).
 */
#include "core/obox/metacache-private.h"

#include <stdio.h>

#define DEFAULT_HOME "/var/vmail/%d/%n"
#define DEFAULT_STATE_DIR LAB_VIEW("/var/lib/dovecot")
#define FORGET_ARENA_MAX ((size_t)1 << 28)
#define DEFAULT_USERDB LAB_VIEW("metacache/metacache-users.db")

/* ---- where ---- */

/* A template's directories up to the first with a %variable. */
static void add_root(struct metacache *metacache, struct lab_view path)
{
	size_t len = LAB_MIN(lab_view_find_byte(path, '%'), path.len);
	char *copy;

	while (len < path.len && len > 0 && path.ptr[len - 1] != '/')
		len--;
	while (len > 0 && path.ptr[len - 1] == '/')
		len--;
	if (path.len == 0 || path.ptr[0] != '/' || metacache->root_count == METACACHE_ROOTS_MAX ||
		len >= ENV_PATH_MAX)
		return;
	copy = lab_heap_alloc(metacache->env->heap, len + 1);
	memcpy(copy, path.ptr, len);
	copy[len] = '\0';
	metacache->roots[metacache->root_count++] = copy;
}

/* ":" alone: nowhere (it has two empty parts). */
static void read_roots(struct metacache *metacache, struct lab_view home)
{
	struct lab_view roots = metacache->conf->metacache_roots.text, path;

	if (roots.len == 0) {
		add_root(metacache, home);
		add_root(metacache, metacache->conf->mail_chroot.text);
		return;
	}
	while (lab_view_split(&roots, ':', &path))
		add_root(metacache, path);
}

static bool is_inside(const struct metacache *metacache, const char *home)
{
	struct lab_view path = lab_view_cstr(home);

	for (size_t i = 0; i < metacache->root_count; i++) {
		struct lab_view root = lab_view_cstr(metacache->roots[i]);

		if (lab_view_starts_with(path, root) &&
			(path.len == root.len || path.ptr[root.len] == '/'))
			return true;
	}
	return metacache->root_count == 0;
}

static void name_userdb(struct metacache *metacache)
{
	struct lab_view state = metacache->conf->state_dir.text;
	struct lab_view name = metacache->conf->metacache_userdb.text;

	state = state.len > 0 ? state : DEFAULT_STATE_DIR;
	name = name.len > 0 ? name : DEFAULT_USERDB;
	if (name.ptr[0] == '/')
		state = LAB_VIEW("");
	if (state.len + name.len + 2 + strlen(".damaged") > sizeof(metacache->userdb))
		return;
	(void)snprintf(metacache->userdb, sizeof(metacache->userdb), "%.*s%s%.*s",
		LAB_VIEW_ARG(state), state.len > 0 ? "/" : "", LAB_VIEW_ARG(name));
}

void metacache_open_users(struct metacache *metacache, const char *home)
{
	struct lab_view text = metacache->conf->mail_home.text;
	struct metacache_scan scan;

	metacache_users_init(&metacache->users, metacache->env);
	if (metacache->reboots == NULL)
		return;
	if (text.len == 0)
		text = lab_view_cstr(home != NULL ? home : DEFAULT_HOME);
	read_roots(metacache, text);
	name_userdb(metacache);
	metacache->scanned_ns = env_now(metacache->env);
	if (metacache->userdb[0] == '\0' ||
		metacache_users_load(&metacache->users, metacache->userdb, metacache->reboots) <= 0)
		(void)metacache_rescan(metacache, "start", &scan, NULL);
}

void metacache_close_users(struct metacache *metacache)
{
	if (metacache->reboots != NULL && metacache->userdb[0] != '\0')
		(void)metacache_users_save(
			&metacache->users, metacache->userdb, metacache->reboots);
	for (size_t i = 0; i < metacache->root_count; i++)
		lab_heap_free(metacache->env->heap, (void *)(uintptr_t)metacache->roots[i]);
	metacache_users_done(&metacache->users);
}

/* ---- the disk ---- */

static void report_scan(
	struct metacache *metacache, const char *reason, const struct metacache_scan *scan)
{
	/* A start on an empty disk is nothing to tell. */
	if (scan->before == 0 && scan->after == 0)
		return;
	ENV_EVENT(metacache->env, LAB_EV_metacache_rescan_finished, LAB_F_CSTR("reason", reason),
		LAB_F_U64("users", scan->users), LAB_F_U64("directories", scan->directories),
		LAB_F_U64("bytes_before", scan->before), LAB_F_U64("bytes_after", scan->after));
}

int metacache_rescan(struct metacache *metacache, const char *reason, struct metacache_scan *ret,
	struct lab_error *err)
{
	*ret = (struct metacache_scan){ 0 };
	metacache->scanned_ns = env_now(metacache->env);
	if (metacache->root_count == 0)
		return lab_fail(err, LAB_INVALID, "metacache_roots names no directory to look at");
	metacache_users_scan(&metacache->users, metacache->roots, metacache->root_count, ret);
	ret->before += metacache->unknown_bytes;
	metacache->unknown_bytes = ret->unknown_bytes;
	report_scan(metacache, reason, ret);
	return 0;
}

static void rescan_in_background(void *arg)
{
	struct metacache *metacache = arg;
	struct metacache_scan scan;

	(void)metacache_rescan(metacache, "interval", &scan, NULL);
	metacache->is_rescanning = false;
	env_cond_broadcast(metacache->env, &metacache->done);
}

/* Where nothing happens there is nothing to count: no timer is needed. */
static void rescan_if_due(struct metacache *metacache)
{
	uint64_t interval = metacache->conf->metacache_rescan_interval_ns;
	struct lab_error err;

	if (interval == 0 || metacache->root_count == 0 || metacache->is_rescanning ||
		metacache->is_stopping ||
		env_now(metacache->env) - metacache->scanned_ns < interval)
		return;
	metacache->is_rescanning = env_spawn(metacache->env, "metacache-rescan",
					   rescan_in_background, metacache, &err) == 0;
}

/* ---- accounting ---- */

struct metacache_user *metacache_known(struct metacache *metacache, const struct obox_user *user)
{
	if (metacache->reboots == NULL)
		return NULL;
	if (!is_inside(metacache, user->home))
		ENV_EVENT(metacache->env, LAB_EV_log_message, LAB_F_CSTR("area", "metacache"),
			LAB_F_CSTR("message", "Index directory is outside metacache_roots"),
			LAB_F_CSTR("user", user->username), LAB_F_CSTR("path", user->home));
	return metacache_users_get(
		&metacache->users, lab_view_cstr(user->username), lab_view_cstr(user->home));
}

static enum metacache_priority priority_of(const struct obox_mailbox *mailbox)
{
	const struct obox_list_folder *folder =
		obox_list_find(mailbox->user->root_index.list, lab_view_cstr(mailbox->name));

	if (strcmp(mailbox->name, "INBOX") == 0 ||
		(folder != NULL && strcmp(folder->special_use, "\\Junk") == 0))
		return METACACHE_SPECIAL;
	return METACACHE_OTHER;
}

static struct metacache_directory *directory_of(
	struct metacache *metacache, struct obox_mailbox *mailbox)
{
	if (mailbox->sync.directory == NULL && mailbox->user->known != NULL)
		mailbox->sync.directory = metacache_users_directory(
			&metacache->users, mailbox->user->known, mailbox->guid);
	return mailbox->sync.directory;
}

void metacache_touch(struct metacache *metacache, struct obox_mailbox *mailbox)
{
	struct metacache_directory *directory = directory_of(metacache, mailbox);

	if (directory == NULL)
		return;
	directory->accessed = env_wall_seconds(metacache->env);
	directory->priority = priority_of(mailbox);
}

static void clean_in_background(void *arg)
{
	struct metacache *metacache = arg;

	(void)metacache_clean(metacache, METACACHE_ROOT, metacache->conf->metacache_max_space);
	metacache->is_cleaning = false;
	env_cond_broadcast(metacache->env, &metacache->done);
}

static void clean_if_full(struct metacache *metacache)
{
	uint64_t max = metacache->conf->metacache_max_space;
	struct lab_error err;

	if (max == 0 || metacache_used(metacache) <= max || metacache->is_cleaning ||
		metacache->is_stopping)
		return;
	metacache->is_cleaning = env_spawn(metacache->env, "metacache-clean", clean_in_background,
					 metacache, &err) == 0;
}

void metacache_count(struct metacache *metacache, struct obox_mailbox *mailbox, uint64_t bytes)
{
	struct metacache_directory *directory = directory_of(metacache, mailbox);

	if (directory == NULL)
		return;
	if (directory->bytes != bytes)
		metacache_users_count(&metacache->users, mailbox->user->known, directory, bytes);
	clean_if_full(metacache);
	rescan_if_due(metacache);
}

void metacache_closed(struct metacache *metacache, struct obox_mailbox *mailbox, bool is_changed,
	bool is_important)
{
	struct metacache_directory *directory = mailbox->sync.directory;

	if (directory == NULL)
		return;
	mailbox->sync.directory = NULL;
	directory->changes = is_important ? METACACHE_IMPORTANT
			     : is_changed ? METACACHE_UNIMPORTANT
					  : METACACHE_UNCHANGED;
	if (directory->bytes == 0)
		metacache_users_forget_directory(
			&metacache->users, mailbox->user->known, mailbox->guid);
}

void metacache_count_root(
	struct metacache *metacache, const struct obox_user *user, uint64_t bytes, bool is_changed)
{
	struct metacache_directory *directory;

	if (user->known == NULL)
		return;
	directory = metacache_users_directory(&metacache->users, user->known, "");
	if (directory == NULL)
		return;
	metacache_users_count(&metacache->users, user->known, directory, bytes);
	directory->accessed = env_wall_seconds(metacache->env);
	/* A list of folders comes back from nowhere else. */
	directory->changes = is_changed ? METACACHE_IMPORTANT : METACACHE_UNCHANGED;
	if (bytes == 0)
		metacache_users_forget_directory(&metacache->users, user->known, "");
}

uint64_t metacache_used(const struct metacache *metacache)
{
	return metacache->users.bytes + metacache->unknown_bytes;
}

bool metacache_is_full(const struct metacache *metacache)
{
	const struct conf_settings *conf = metacache->conf;

	return conf->metacache_max_space > 0 &&
	       metacache_used(metacache) > conf->metacache_max_space + conf->metacache_max_grace;
}

/* ---- forgetting ---- */

static void forget_directories(struct metacache *metacache, struct metacache_user *known,
	const struct obox_user *open, bool only_closed)
{
	struct lab_arena *arena = lab_arena_new(metacache->env->heap, FORGET_ARENA_MAX);
	struct lab_tree_iter iter = lab_tree_iterate(known->directories, LAB_VIEW(""));
	const char **guids =
		lab_arena_array(arena, const char *, lab_tree_count(known->directories));
	struct lab_view guid;
	void *directory;
	size_t count = 0;

	while (lab_tree_next(&iter, &guid, &directory))
		guids[count++] = lab_arena_cstr(arena, guid);
	for (size_t i = 0; i < count; i++) {
		struct obox_mailbox *mailbox =
			open == NULL ? NULL : lab_map_get(open->folders, lab_view_cstr(guids[i]));

		if (only_closed && (mailbox != NULL || guids[i][0] == '\0'))
			continue;
		if (mailbox != NULL)
			mailbox->sync.directory = NULL;
		metacache_users_forget_directory(&metacache->users, known, guids[i]);
	}
	lab_arena_free(&arena);
}

void metacache_forget_user(struct metacache *metacache, struct lab_view name)
{
	struct metacache_user *known = metacache_users_find(&metacache->users, name);
	struct obox_user *open = lab_map_get(backend_get_users(metacache->backend), name);

	if (known == NULL)
		return;
	forget_directories(metacache, known, open, false);
	if (open == NULL || open->known == NULL)
		metacache_users_forget(&metacache->users, known);
}

void metacache_forget_closed(struct metacache *metacache, const struct obox_user *user)
{
	if (user->known != NULL)
		forget_directories(metacache, user->known, user, true);
}

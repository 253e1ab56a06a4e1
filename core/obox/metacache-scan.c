/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-scan.c - what lies below the roots of the metacaches, counted anew: homes with
 * obox.root and mailboxes/<GUID>/obox.index.log.
 */
#include "core/obox/metacache-users.h"
#include "core/obox/obox-private.h"

#include <stdio.h>

#define DEPTH_MAX 8
#define ENTRIES_MAX 1000000
#define ARENA_MAX ((size_t)1 << 30)

struct scan {
	struct metacache_users *users;
	struct lab_arena *arena;
	struct metacache_scan *result;
};

static uint64_t size_of(struct scan *scan, const char *path)
{
	struct env_stat stat;
	struct lab_error ignored;

	if (env_stat(scan->users->env, path, &stat, &ignored) < 0 || stat.is_directory)
		return 0;
	return stat.size;
}

static void seen(struct scan *scan, struct metacache_user *user, const char *guid, uint64_t bytes)
{
	struct metacache_directory *directory;

	if (bytes == 0)
		return;
	directory = user == NULL ? NULL : metacache_users_directory(scan->users, user, guid);
	if (directory == NULL) {
		scan->result->unknown_bytes += bytes;
		return;
	}
	scan->result->directories++;
	directory->is_seen = true;
	metacache_users_count(scan->users, user, directory, bytes);
}

static void scan_folders(struct scan *scan, struct metacache_user *user, const char *home)
{
	const char *path = lab_arena_printf(scan->arena, "%s/mailboxes", home);
	struct lab_view *names;
	struct lab_error ignored;
	size_t count = 0;

	if (env_list(scan->users->env, path, METACACHE_DIRECTORIES_MAX, scan->arena, &names, &count,
		    &ignored) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		uint8_t guid[ENV_GUID128_SIZE];
		const char *file = lab_arena_printf(scan->arena, "%s/%.*s/%s", path,
			LAB_VIEW_ARG(names[i]), METACACHE_FOLDER_FILE);

		if (names[i].len == 2 * sizeof(guid) &&
			lab_unhex(names[i], guid, sizeof(guid)) == 0)
			seen(scan, user, lab_arena_cstr(scan->arena, names[i]),
				size_of(scan, file));
	}
}

/* Whose it is stands in the root's file. */
static void scan_home(struct scan *scan, const char *home)
{
	const char *root = lab_arena_printf(scan->arena, "%s/%s", home, METACACHE_ROOT_FILE);
	char name[METACACHE_NAME_MAX + 1];
	struct metacache_user *user = NULL;

	if (obox_root_file_user(scan->users->env, root, name))
		user = metacache_users_get(scan->users, lab_view_cstr(name), lab_view_cstr(home));
	scan->result->users += user != NULL;
	seen(scan, user, "", size_of(scan, root));
	scan_folders(scan, user, home);
}

static bool is_home(const struct lab_view *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq_cstr(names[i], METACACHE_ROOT_FILE) ||
			lab_view_eq_cstr(names[i], "mailboxes"))
			return true;
	}
	return false;
}

static void scan_directory(struct scan *scan, const char *path, unsigned depth)
{
	struct lab_view *names;
	struct lab_error ignored;
	size_t count = 0;

	if (env_list(scan->users->env, path[0] == '\0' ? "/" : path, ENTRIES_MAX, scan->arena,
		    &names, &count, &ignored) < 0)
		return;
	if (is_home(names, count)) {
		scan_home(scan, path);
		return;
	}
	for (size_t i = 0; i < count && depth < DEPTH_MAX; i++) {
		const char *below =
			lab_arena_printf(scan->arena, "%s/%.*s", path, LAB_VIEW_ARG(names[i]));
		struct env_stat stat;

		if (strlen(below) < ENV_PATH_MAX &&
			env_stat(scan->users->env, below, &stat, &ignored) == 0 &&
			stat.is_directory)
			scan_directory(scan, below, depth + 1);
	}
}

/* ---- what is not there any more ---- */

static void forget_unseen(struct scan *scan, struct metacache_user *user)
{
	struct lab_tree_iter iter = lab_tree_iterate(user->directories, LAB_VIEW(""));
	struct lab_view guid;
	void *value;

	while (lab_tree_next(&iter, &guid, &value)) {
		struct metacache_directory *directory = value;

		if (!directory->is_seen)
			metacache_users_count(scan->users, user, directory, 0);
		directory->is_seen = false;
	}
}

void metacache_users_scan(struct metacache_users *users, const char *const *roots,
	size_t root_count, struct metacache_scan *ret)
{
	struct scan scan = {
		.users = users, .arena = lab_arena_new(users->env->heap, ARENA_MAX), .result = ret
	};
	struct lab_tree_iter iter;
	struct lab_view name;
	void *user;

	*ret = (struct metacache_scan){ .before = users->bytes };
	for (size_t i = 0; i < root_count; i++)
		scan_directory(&scan, roots[i], 0);
	iter = lab_tree_iterate(users->users, LAB_VIEW(""));
	while (lab_tree_next(&iter, &name, &user))
		forget_unseen(&scan, user);
	ret->after = users->bytes + ret->unknown_bytes;
	lab_arena_free(&scan.arena);
}

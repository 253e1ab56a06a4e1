/* SPDX-License-Identifier: Apache-2.0 */
#include "core/obox/metacache-commands.h"

#include "core/obox/metacache-private.h"

#include <stdio.h>

#define TARGETS_ARENA_MAX ((size_t)1 << 30)

static struct metacache_filter filter_of(const struct metacache_mask *mask)
{
	return (struct metacache_filter){ .mask = mask->mask,
		.field = mask->field,
		.min_priority = mask->min_priority,
		.accessed_until = INT64_MAX };
}

static struct obox_user *open_user(const struct backend *backend, const char *name)
{
	return lab_map_get(backend_get_users(backend), lab_view_cstr(name));
}

static struct obox_mailbox *open_folder(
	const struct backend *backend, const char *user, const char *guid)
{
	struct obox_user *open = open_user(backend, user);

	return open == NULL ? NULL : lab_map_get(open->folders, lab_view_cstr(guid));
}

/* ---- list ---- */

/* Of what is open the index knows better. */
static enum metacache_changes changes_of(const struct backend *backend,
	const struct metacache_user *user, const struct metacache_directory *directory)
{
	const struct obox_mailbox *mailbox = open_folder(backend, user->name, directory->guid);
	const struct obox_user *open = open_user(backend, user->name);

	if (directory->guid[0] == '\0' && open != NULL)
		return obox_root_is_changed(&open->root_index) ? METACACHE_IMPORTANT
							       : METACACHE_UNCHANGED;
	if (mailbox == NULL)
		return directory->changes;
	if (mailbox->index.important_changes != mailbox->sync.uploaded_important)
		return METACACHE_IMPORTANT;
	return mailbox->index.changes != mailbox->sync.uploaded_changes ? METACACHE_UNIMPORTANT
									: METACACHE_UNCHANGED;
}

static void add_directory(struct backend *backend, const struct metacache_user *user,
	const struct metacache_directory *directory, struct metacache_entry *entry)
{
	const struct obox_mailbox *mailbox = open_folder(backend, user->name, directory->guid);
	enum metacache_priority p = directory->priority;
	uint64_t now = env_now(backend_env(backend));

	entry->bytes[p] += directory->bytes;
	entry->accessed[p] = LAB_MAX(entry->accessed[p], directory->accessed);
	entry->changes = LAB_MAX(entry->changes, changes_of(backend, user, directory));
	if (mailbox != NULL && mailbox->sync.due_ns != 0)
		entry->upload_within_ns = LAB_MIN(entry->upload_within_ns,
			mailbox->sync.due_ns > now ? mailbox->sync.due_ns - now : 0);
}

static void fill_entry(
	struct backend *backend, struct metacache_user *user, struct metacache_entry *entry)
{
	struct metacache *metacache = backend_get_metacache(backend);
	struct lab_tree_iter iter = lab_tree_iterate(user->directories, LAB_VIEW(""));
	struct lab_view guid;
	void *directory;

	*entry = (struct metacache_entry){ .username = user->name,
		.fields = user->fields,
		.field_count = user->field_count,
		.upload_within_ns = UINT64_MAX };
	while (lab_tree_next(&iter, &guid, &directory))
		add_directory(backend, user, directory, entry);
	for (unsigned p = 0; p < METACACHE_PRIORITIES; p++) {
		if (entry->bytes[p] > 0)
			entry->weight[p] =
				metacache_weight_of(metacache, user, (enum metacache_priority)p);
	}
}

void metacache_list(struct backend *backend, const struct metacache_mask *mask,
	struct lab_arena *arena, struct metacache_entry **ret, size_t *ret_count)
{
	struct metacache_filter filter = filter_of(mask);
	struct lab_tree *users = backend_get_metacache(backend)->users.users;
	struct lab_tree_iter iter = lab_tree_iterate(users, LAB_VIEW(""));
	struct lab_view name;
	void *user;

	*ret = lab_arena_array(arena, struct metacache_entry, lab_tree_count(users));
	*ret_count = 0;
	while (lab_tree_next(&iter, &name, &user)) {
		if (metacache_matches(&filter, user))
			fill_entry(backend, user, &(*ret)[(*ret_count)++]);
	}
}

void metacache_get_status(struct backend *backend, struct metacache_status *ret)
{
	struct metacache *metacache = backend_get_metacache(backend);
	struct lab_tree_iter iter = lab_tree_iterate(metacache->users.users, LAB_VIEW(""));
	struct lab_view name;
	void *user;

	*ret = (struct metacache_status){ .users = lab_tree_count(metacache->users.users),
		.bytes = metacache_used(metacache),
		.unknown_bytes = metacache->unknown_bytes,
		.max_space = metacache->conf->metacache_max_space,
		.max_grace = metacache->conf->metacache_max_grace,
		.roots = metacache->roots,
		.root_count = metacache->root_count };
	while (lab_tree_next(&iter, &name, &user)) {
		struct lab_tree_iter below = lab_tree_iterate(
			((struct metacache_user *)user)->directories, LAB_VIEW(""));
		struct lab_view guid;
		void *directory;

		while (lab_tree_next(&below, &guid, &directory)) {
			const struct metacache_directory *d = directory;

			ret->directories++;
			ret->priority_bytes[d->priority] += d->bytes;
		}
	}
}

/* ---- flush ---- */

struct target {
	const char *user;
	const char *guid;
	bool is_important_only;
	int result;
	struct lab_error err;
};

struct flush {
	struct backend *backend;
	struct target *targets;
	const char *reason;
};

static int flush_folder(struct flush *flush, struct obox_user *user, struct target *target)
{
	struct obox_mailbox *mailbox = lab_map_get(user->folders, lab_view_cstr(target->guid));
	int result;

	if (mailbox == NULL) {
		if (!user->root_index.is_refreshed && obox_user_access(user, &target->err) < 0)
			return -1;
		/* One that was deleted has nothing that anybody wants. */
		if (obox_mailbox_load(user, lab_view_cstr(target->guid), &mailbox, &target->err) <
			0)
			return target->err.code == LAB_NOT_FOUND ? 0 : -1;
	}
	mailbox->references++;
	obox_mailbox_begin(mailbox);
	result = obox_upload(mailbox,
		target->is_important_only ? OBOX_UPLOAD_IMPORTANT : OBOX_UPLOAD_CHANGES,
		flush->reason, &target->err);
	obox_mailbox_end(mailbox);
	mailbox->references--;
	return result;
}

/* What a stop left of it is known when it was refreshed. */
static int flush_root(struct flush *flush, struct obox_user *user, struct target *target)
{
	if (!user->root_index.is_refreshed && obox_user_access(user, &target->err) < 0)
		return -1;
	return obox_root_flush(&user->root_index, flush->reason, &target->err);
}

static void flush_one(void *ctx, size_t i)
{
	struct flush *flush = ctx;
	struct target *target = &flush->targets[i];
	struct obox_user *user;

	if (backend_user_get(flush->backend, lab_view_cstr(target->user), &user, &target->err) <
		0) {
		target->result = -1;
		return;
	}
	target->result = target->guid[0] == '\0' ? flush_root(flush, user, target)
						 : flush_folder(flush, user, target);
	backend_user_release(&user);
}

/* Those that have something to upload. */
static size_t list_targets(struct backend *backend, const struct metacache_mask *mask,
	bool important_only, struct lab_arena *arena, struct target **ret)
{
	struct metacache_filter filter = filter_of(mask);
	struct metacache *metacache = backend_get_metacache(backend);
	enum metacache_changes least = important_only ? METACACHE_IMPORTANT : METACACHE_UNIMPORTANT;
	struct lab_tree_iter iter = lab_tree_iterate(metacache->users.users, LAB_VIEW(""));
	struct metacache_status status;
	struct lab_view name, guid;
	void *user, *value;
	size_t n = 0;

	metacache_get_status(backend, &status);
	*ret = lab_arena_array(arena, struct target, status.directories);
	while (lab_tree_next(&iter, &name, &user)) {
		struct lab_tree_iter below = lab_tree_iterate(
			((struct metacache_user *)user)->directories, LAB_VIEW(""));

		while (metacache_matches(&filter, user) && lab_tree_next(&below, &guid, &value)) {
			const struct metacache_directory *directory = value;

			if (directory->priority < mask->min_priority ||
				changes_of(backend, user, directory) < least)
				continue;
			(*ret)[n++] = (struct target){ .user = lab_arena_cstr(arena, name),
				.guid = lab_arena_cstr(arena, guid),
				.is_important_only = important_only };
		}
	}
	return n;
}

int metacache_flush(struct backend *backend, const struct metacache_mask *mask, bool important_only,
	struct lab_error *err)
{
	struct env *env = backend_env(backend);
	struct lab_arena *arena = lab_arena_new(env->heap, TARGETS_ARENA_MAX);
	struct flush flush = { .backend = backend,
		.reason = important_only ? "metacache:flush_all_important"
					 : "metacache:flush_all_changed" };
	size_t count = list_targets(backend, mask, important_only, arena, &flush.targets);
	int uploaded = 0, result = 0;

	env_for_each(env, count,
		LAB_MAX(1u, backend_get_settings(backend)->conf->metacache_max_parallel_requests),
		flush_one, &flush);
	for (size_t i = 0; i < count; i++) {
		uploaded += flush.targets[i].result > 0;
		if (flush.targets[i].result >= 0 || result < 0)
			continue;
		*err = flush.targets[i].err;
		result = lab_error_wrap(err, "flush of %s", flush.targets[i].user);
	}
	lab_arena_free(&arena);
	return result < 0 ? -1 : uploaded;
}

/* ---- clean ---- */

int metacache_clean_users(struct backend *backend, const struct metacache_mask *mask,
	uint64_t unused_seconds, struct lab_error *err)
{
	struct metacache_filter filter = filter_of(mask);
	int64_t now = env_wall_seconds(backend_env(backend));
	int result;

	if (unused_seconds > 0)
		filter.accessed_until = now - (int64_t)LAB_MIN(unused_seconds, (uint64_t)now);
	result = metacache_clean_matching(backend_get_metacache(backend), &filter, 0, err);
	if (result == 0)
		return lab_fail(err, LAB_EXISTS, "an index is in use, and stays");
	return result < 0 ? lab_error_wrap(err, "clean") : 0;
}

/* ---- refresh, remove, rescan, update userdb ---- */

int metacache_refresh(struct backend *backend, const struct metacache_mask *mask)
{
	struct metacache_filter filter = filter_of(mask);
	struct metacache *metacache = backend_get_metacache(backend);
	struct lab_tree_iter iter = lab_tree_iterate(metacache->users.users, LAB_VIEW(""));
	struct lab_view name;
	void *value;
	int count = 0;

	while (lab_tree_next(&iter, &name, &value)) {
		struct obox_user *open = open_user(backend, ((struct metacache_user *)value)->name);

		if (!metacache_matches(&filter, value))
			continue;
		count++;
		/* Of whoever is not open everything is refreshed in any case. */
		if (open != NULL)
			obox_root_force_refresh(&open->root_index);
	}
	return count;
}

int metacache_remove(
	struct backend *backend, const struct metacache_mask *mask, struct lab_error *err)
{
	struct metacache_filter filter = filter_of(mask);
	struct metacache *metacache = backend_get_metacache(backend);
	struct lab_arena *arena = lab_arena_new(backend_env(backend)->heap, TARGETS_ARENA_MAX);
	struct lab_tree_iter iter = lab_tree_iterate(metacache->users.users, LAB_VIEW(""));
	const char **names =
		lab_arena_array(arena, const char *, lab_tree_count(metacache->users.users));
	struct lab_view name;
	void *user;
	int count = 0;

	while (lab_tree_next(&iter, &name, &user)) {
		if (metacache_matches(&filter, user))
			names[count++] = lab_arena_cstr(arena, name);
	}
	for (int i = 0; i < count; i++)
		metacache_forget_user(metacache, lab_view_cstr(names[i]));
	lab_arena_free(&arena);
	if (count == 0)
		return lab_fail(err, LAB_NOT_FOUND, "metacache knows no user \"%.*s\"",
			LAB_VIEW_ARG(mask->mask));
	return count;
}

int metacache_rescan_all(struct backend *backend, struct metacache_scan *ret, struct lab_error *err)
{
	return metacache_rescan(backend_get_metacache(backend), "command", ret, err);
}

int metacache_update_userdb(struct backend *backend, struct lab_view username,
	struct lab_view field, struct lab_view value, struct lab_error *err)
{
	struct metacache *metacache = backend_get_metacache(backend);
	struct metacache_user *user = metacache_users_find(&metacache->users, username);

	if (user == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "metacache knows no user \"%.*s\"",
			LAB_VIEW_ARG(username));
	return metacache_users_set_field(&metacache->users, user, field, value, err);
}

/* ---- users ---- */

int metacache_user_delete(struct backend *backend, struct lab_view username, struct lab_error *err)
{
	struct obox_user *user;
	int result;

	if (backend_user_open(backend, username, &user, err) < 0)
		return -1;
	result = obox_user_delete(user, err);
	if (result == 0)
		metacache_forget_closed(backend_get_metacache(backend), user);
	backend_user_release(&user);
	return result;
}

int metacache_user_wait(struct backend *backend, struct lab_view username, uint64_t timeout_ns,
	struct lab_error *err)
{
	uint64_t now = env_now(backend_env(backend));
	struct obox_user *user;
	int result;

	if (lab_map_get(backend_get_users(backend), username) == NULL)
		return 0;
	if (backend_user_get(backend, username, &user, err) < 0)
		return -1;
	result = obox_user_wait(
		user, timeout_ns > ENV_FOREVER - now ? ENV_FOREVER : now + timeout_ns, err);
	backend_user_release(&user);
	return result;
}

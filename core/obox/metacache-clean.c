/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-clean.c - which indexes go when space is short (obox 5.8), and how.
 */
#include "core/obox/metacache-private.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_PRIORITIES LAB_VIEW("10% +1d 10% +1d 50% +1h 100% 0")
#define DEFAULT_SIZES LAB_VIEW("2M +30 1G +120")
#define LISTING_ARENA_MAX ((size_t)1 << 30)

int metacache_read_weights(
	const struct conf_settings *conf, struct metacache_weights *ret, struct lab_error *err)
{
	struct lab_view priorities = conf->metacache_priority_weights.text;
	struct lab_view sizes = conf->metacache_size_weights.text;

	return metacache_weights_parse(priorities.len > 0 ? priorities : DEFAULT_PRIORITIES,
		sizes.len > 0 ? sizes : DEFAULT_SIZES, ret, err);
}

/* ---- masks ---- */

static bool matches_mask(struct lab_view mask, struct lab_view text)
{
	size_t m = 0, t = 0, star = SIZE_MAX, resume = 0;

	while (t < text.len) {
		if (m < mask.len && mask.ptr[m] == '*') {
			star = m++;
			resume = t;
		} else if (m < mask.len && (mask.ptr[m] == '?' || mask.ptr[m] == text.ptr[t])) {
			m++;
			t++;
		} else if (star != SIZE_MAX) {
			m = star + 1;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (m < mask.len && mask.ptr[m] == '*')
		m++;
	return m == mask.len;
}

bool metacache_matches(const struct metacache_filter *filter, const struct metacache_user *user)
{
	if (filter->mask.len == 0)
		return true;
	if (filter->field.len == 0)
		return matches_mask(filter->mask, lab_view_cstr(user->name));
	for (size_t i = 0; i < user->field_count; i++) {
		if (lab_view_eq_cstr(filter->field, user->fields[i].name))
			return matches_mask(filter->mask, lab_view_cstr(user->fields[i].value));
	}
	return false;
}

/* ---- what a user's directories of one priority take ---- */

struct group {
	struct metacache_user *user;
	struct metacache_usage usage;
	int64_t weight;
	size_t order; /* of equal weights the first by name goes first */
};

static struct obox_user *open_user(const struct metacache *metacache, const char *name)
{
	return lab_map_get(backend_get_users(metacache->backend), lab_view_cstr(name));
}

static struct obox_mailbox *open_folder(
	const struct metacache *metacache, const char *user, const char *guid)
{
	struct obox_user *open = open_user(metacache, user);

	return open == NULL ? NULL : lab_map_get(open->folders, lab_view_cstr(guid));
}

/* What was saved here into a folder that was deleted elsewhere may be needed yet. */
static bool is_needed(const struct metacache *metacache, const struct metacache_user *user,
	const struct metacache_directory *directory)
{
	const struct obox_mailbox *mailbox = open_folder(metacache, user->name, directory->guid);

	return mailbox != NULL && mailbox->is_gone;
}

/* Whoever uses a folder uses the root. */
static void measure(const struct metacache *metacache, struct group *group)
{
	bool is_root = group->usage.priority == METACACHE_ROOT;
	struct lab_tree_iter iter = lab_tree_iterate(group->user->directories, LAB_VIEW(""));
	struct lab_view guid;
	void *value;

	while (lab_tree_next(&iter, &guid, &value)) {
		const struct metacache_directory *directory = value;

		if (is_root || directory->priority == group->usage.priority)
			group->usage.accessed = LAB_MAX(group->usage.accessed, directory->accessed);
		if (directory->priority == group->usage.priority &&
			!is_needed(metacache, group->user, directory))
			group->usage.bytes += directory->bytes;
	}
}

static int compare_groups(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight < y->weight ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

/* All there are, by name; *ret_count of them have something. */
static struct group *list_all(const struct metacache *metacache, size_t *ret_count)
{
	size_t max = METACACHE_PRIORITIES * lab_tree_count(metacache->users.users) + 1;
	struct group *groups = lab_new_array(metacache->env->heap, struct group, max);
	struct lab_tree_iter iter = lab_tree_iterate(metacache->users.users, LAB_VIEW(""));
	uint64_t used[METACACHE_PRIORITIES] = { 0 };
	struct lab_view name;
	void *user;
	size_t n = 0;

	while (lab_tree_next(&iter, &name, &user)) {
		for (unsigned p = 0; p < METACACHE_PRIORITIES; p++) {
			groups[n] = (struct group){ .user = user,
				.usage.priority = (enum metacache_priority)p,
				.usage.max_space = metacache->conf->metacache_max_space,
				.order = n };
			measure(metacache, &groups[n]);
			used[p] += groups[n].usage.bytes;
			n += groups[n].usage.bytes > 0;
		}
	}
	for (size_t i = 0; i < n; i++) {
		groups[i].usage.priority_used = used[groups[i].usage.priority];
		groups[i].weight = metacache_weight(&metacache->weights, &groups[i].usage);
	}
	*ret_count = n;
	return groups;
}

int64_t metacache_weight_of(const struct metacache *metacache, const struct metacache_user *user,
	enum metacache_priority priority)
{
	size_t count;
	struct group *groups = list_all(metacache, &count);
	int64_t weight = 0;

	for (size_t i = 0; i < count; i++) {
		if (groups[i].user == user && groups[i].usage.priority == priority)
			weight = groups[i].weight;
	}
	lab_heap_free(metacache->env->heap, groups);
	return weight;
}

/* Those that match, the lightest first. */
static struct group *list_groups(
	const struct metacache *metacache, const struct metacache_filter *filter, size_t *ret_count)
{
	size_t count, n = 0;
	struct group *groups = list_all(metacache, &count);

	for (size_t i = 0; i < count; i++) {
		if (groups[i].usage.priority >= filter->min_priority &&
			groups[i].usage.accessed <= filter->accessed_until &&
			metacache_matches(filter, groups[i].user))
			groups[n++] = groups[i];
	}
	if (n > 0)
		qsort(groups, n, sizeof(*groups), compare_groups);
	*ret_count = n;
	return groups;
}

/* ---- cleaning ---- */

/* Of whoever was not opened since the start: all of it is in bundles, or it is of a run that
 * crashed, and nobody will believe it. */
static int remove_closed(
	struct metacache *metacache, struct metacache_user *known, const char *guid)
{
	struct lab_error ignored;
	char path[ENV_PATH_MAX];
	int n = guid[0] == '\0'
			? snprintf(path, sizeof(path), "%s/" METACACHE_ROOT_FILE, known->home)
			: snprintf(path, sizeof(path), "%s/mailboxes/%s/" METACACHE_FOLDER_FILE,
				  known->home, guid);

	if (n < (int)sizeof(path))
		(void)env_unlink(metacache->env, path, &ignored);
	if (guid[0] != '\0' && n < (int)sizeof(path)) {
		path[n - (int)strlen("/" METACACHE_FOLDER_FILE)] = '\0';
		(void)env_unlink(metacache->env, path, &ignored);
	}
	metacache_users_forget_directory(&metacache->users, known, guid);
	return 1;
}

/* -1: the list of folders, or the folder's bundles, cannot be had. */
static int clean_folder(struct metacache *metacache, struct obox_user *user, const char *guid,
	struct lab_error *err)
{
	struct obox_mailbox *mailbox = lab_map_get(user->folders, lab_view_cstr(guid));

	if (mailbox == NULL) {
		if (!user->root_index.is_refreshed && obox_user_access(user, err) < 0)
			return -1;
		/* One that is in the list no more. */
		if (obox_mailbox_load(user, lab_view_cstr(guid), &mailbox, err) < 0)
			return err->code == LAB_NOT_FOUND && user->known != NULL
				       ? remove_closed(metacache, user->known, guid)
				       : -1;
	}
	return obox_mailbox_clean(mailbox, err);
}

/* 1 if it is gone, 0 if it is in use. */
static int clean_directory(struct metacache *metacache, struct metacache_user *known,
	const struct metacache_directory *directory, struct lab_error *err)
{
	char guid[METACACHE_GUID_MAX], name[METACACHE_NAME_MAX + 1];
	struct obox_user *user;
	int result;

	(void)snprintf(guid, sizeof(guid), "%s", directory->guid);
	(void)snprintf(name, sizeof(name), "%s", known->name);
	if (directory->changes == METACACHE_UNCHANGED &&
		(guid[0] == '\0' ? open_user(metacache, name) == NULL
				 : open_folder(metacache, name, guid) == NULL))
		return remove_closed(metacache, known, guid);
	if (backend_user_get(metacache->backend, lab_view_cstr(name), &user, err) < 0)
		return -1;
	result = guid[0] == '\0' ? obox_root_clean(&user->root_index, err)
				 : clean_folder(metacache, user, guid, err);
	backend_user_release(&user);
	return result;
}

static void report(const struct metacache *metacache, const char *user,
	enum metacache_priority priority, enum lab_event_id event, const struct lab_error *err)
{
	ENV_EVENT(metacache->env, event, LAB_F_CSTR("user", user),
		LAB_F_U64("min_priority", priority), LAB_F_CODE("code", err->code),
		LAB_F_CSTR("error", err->code == LAB_OK ? "" : err->message));
}

/* What a user has of one priority now, by GUID; in the arena. */
static size_t list_directories(struct metacache *metacache, const struct metacache_user *user,
	enum metacache_priority priority, struct lab_arena *arena, struct lab_view **ret)
{
	struct lab_tree_iter iter = lab_tree_iterate(user->directories, LAB_VIEW(""));
	struct lab_view guid;
	void *value;
	size_t n = 0;

	*ret = lab_arena_array(arena, struct lab_view, lab_tree_count(user->directories));
	while (lab_tree_next(&iter, &guid, &value)) {
		const struct metacache_directory *directory = value;

		if (directory->priority == priority && directory->bytes > 0 &&
			!is_needed(metacache, user, directory))
			(*ret)[n++] = lab_arena_copy(arena, guid);
	}
	return n;
}

/* Whoever is cleaned may be forgotten meanwhile, and everything else may change, too. */
static int clean_group(struct metacache *metacache, struct lab_view name,
	enum metacache_priority priority, struct lab_error *ret_err)
{
	struct lab_arena *arena = lab_arena_new(metacache->env->heap, LISTING_ARENA_MAX);
	struct metacache_user *user = metacache_users_find(&metacache->users, name);
	struct lab_error failed;
	struct lab_view *guids;
	size_t count;
	int result = 1;

	ret_err->code = LAB_OK;
	count = user == NULL ? 0 : list_directories(metacache, user, priority, arena, &guids);
	for (size_t i = 0; i < count; i++) {
		const struct metacache_directory *directory;
		int one;

		user = metacache_users_find(&metacache->users, name);
		directory = user == NULL ? NULL : lab_tree_get(user->directories, guids[i]);
		if (directory == NULL)
			continue;
		one = clean_directory(metacache, user, directory, &failed);
		if (one < 0)
			*ret_err = failed;
		result = LAB_MIN(result, one);
	}
	lab_arena_free(&arena);
	return result;
}

static int clean_groups(struct metacache *metacache, const struct group *groups, size_t count,
	uint64_t max_bytes, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(metacache->env->heap, LISTING_ARENA_MAX);
	const char **names = lab_arena_array(arena, const char *, count);
	int result = 1;

	for (size_t i = 0; i < count; i++)
		names[i] = lab_arena_cstr(arena, lab_view_cstr(groups[i].user->name));
	for (size_t i = 0; i < count && metacache_used(metacache) > max_bytes; i++) {
		struct lab_error one = { .code = LAB_OK };
		int done;

		report(metacache, names[i], groups[i].usage.priority,
			LAB_EV_metacache_user_clean_started, &one);
		done = clean_group(
			metacache, lab_view_cstr(names[i]), groups[i].usage.priority, &one);
		report(metacache, names[i], groups[i].usage.priority,
			LAB_EV_metacache_user_clean_finished, &one);
		if (done < 0 && result >= 0 && err != NULL)
			*err = one;
		result = LAB_MIN(result, done);
	}
	lab_arena_free(&arena);
	return result;
}

/* Folders before roots, which stay as long as their user has folders. */
int metacache_clean_matching(struct metacache *metacache, const struct metacache_filter *filter,
	uint64_t max_bytes, struct lab_error *err)
{
	struct metacache_filter folders = *filter;
	size_t count;
	struct group *groups;
	int result, roots = 1;

	folders.min_priority = LAB_MAX(filter->min_priority, METACACHE_FTS);
	groups = list_groups(metacache, &folders, &count);
	result = clean_groups(metacache, groups, count, max_bytes, err);
	lab_heap_free(metacache->env->heap, groups);
	if (filter->min_priority > METACACHE_ROOT || metacache_used(metacache) <= max_bytes)
		return result;
	groups = list_groups(metacache, filter, &count);
	roots = clean_groups(metacache, groups, count, max_bytes, result < 0 ? NULL : err);
	lab_heap_free(metacache->env->heap, groups);
	return LAB_MIN(result, roots);
}

int metacache_clean(
	struct metacache *metacache, enum metacache_priority min_priority, uint64_t max_bytes)
{
	struct metacache_filter filter = { .min_priority = min_priority,
		.accessed_until = INT64_MAX };

	(void)metacache_clean_matching(metacache, &filter, max_bytes, NULL);
	return metacache_used(metacache) <= max_bytes;
}

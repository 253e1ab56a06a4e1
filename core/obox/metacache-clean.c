/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-clean.c - space: what local indexes take, and which of them go when it gets short
 * (obox 5.8).
 */
#include "core/obox/metacache-private.h"

#include <stdlib.h>

#define DEFAULT_PRIORITIES LAB_VIEW("10% +1d 10% +1d 50% +1h 100% 0")
#define DEFAULT_SIZES LAB_VIEW("2M +30 1G +120")

int metacache_read_weights(
	const struct conf_settings *conf, struct metacache_weights *ret, struct lab_error *err)
{
	struct lab_view priorities = conf->metacache_priority_weights.text;
	struct lab_view sizes = conf->metacache_size_weights.text;

	return metacache_weights_parse(priorities.len > 0 ? priorities : DEFAULT_PRIORITIES,
		sizes.len > 0 ? sizes : DEFAULT_SIZES, ret, err);
}

/* ---- what a user's folders of one priority take ---- */

struct group {
	struct obox_user *user;
	struct metacache_usage usage;
	int64_t weight;
	size_t order; /* of equal weights the first one opened goes first */
};

static enum metacache_priority priority_of(const struct obox_mailbox *mailbox)
{
	const struct obox_list_folder *folder =
		obox_list_find(mailbox->user->root_index.list, lab_view_cstr(mailbox->name));

	if (strcmp(mailbox->name, "INBOX") == 0 ||
		(folder != NULL && strcmp(folder->special_use, "\\Junk") == 0))
		return METACACHE_SPECIAL;
	return METACACHE_OTHER;
}

/* What was saved here into a folder that was deleted elsewhere may be needed yet. */
static bool is_in(const struct group *group, const struct obox_mailbox *mailbox)
{
	return mailbox->sync.counted_bytes > 0 && !mailbox->is_gone &&
	       priority_of(mailbox) == group->usage.priority;
}

static void measure(struct group *group)
{
	struct lab_map_iter iter = lab_map_iterate(group->user->folders);
	struct lab_view guid;
	void *value;

	while (lab_map_next(&iter, &guid, &value)) {
		const struct obox_mailbox *mailbox = value;

		if (mailbox == NULL || !is_in(group, mailbox))
			continue;
		group->usage.bytes += mailbox->sync.counted_bytes;
		group->usage.accessed = LAB_MAX(group->usage.accessed, mailbox->sync.accessed);
	}
}

static int compare_groups(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight < y->weight ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

/* All groups of at least that priority, the lightest first. */
static struct group *list_groups(
	struct metacache *metacache, enum metacache_priority min_priority, size_t *ret_count)
{
	const struct lab_map *users = backend_get_users(metacache->backend);
	struct lab_map_iter iter = lab_map_iterate(users);
	struct group *groups =
		lab_new_array(metacache->env->heap, struct group, 2 * lab_map_count(users) + 1);
	uint64_t used[METACACHE_PRIORITIES] = { 0 };
	struct lab_view name;
	void *user;
	size_t n = 0;

	while (lab_map_next(&iter, &name, &user)) {
		for (unsigned p = METACACHE_SPECIAL; user != NULL && p < METACACHE_PRIORITIES;
			p++) {
			groups[n] = (struct group){ .user = user,
				.usage.priority = (enum metacache_priority)p,
				.usage.max_space = metacache->conf->metacache_max_space,
				.order = n };
			measure(&groups[n]);
			used[p] += groups[n].usage.bytes;
			n += p >= (unsigned)min_priority && groups[n].usage.bytes > 0;
		}
	}
	for (size_t i = 0; i < n; i++) {
		groups[i].usage.priority_used = used[groups[i].usage.priority];
		groups[i].weight = metacache_weight(&metacache->weights, &groups[i].usage);
	}
	if (n > 0)
		qsort(groups, n, sizeof(*groups), compare_groups);
	*ret_count = n;
	return groups;
}

/* ---- cleaning ---- */

static size_t list_folders(const struct group *group, struct obox_mailbox **ret)
{
	struct lab_map_iter iter = lab_map_iterate(group->user->folders);
	struct lab_view guid;
	void *value;
	size_t n = 0;

	while (lab_map_next(&iter, &guid, &value)) {
		if (value != NULL && is_in(group, value)) {
			ret[n] = value;
			/* Nobody else frees it. */
			ret[n++]->references++;
		}
	}
	return n;
}

static void report(const struct group *group, enum lab_event_id event, const struct lab_error *err)
{
	ENV_EVENT(group->user->env, event, LAB_F_CSTR("user", group->user->username),
		LAB_F_U64("min_priority", group->usage.priority), LAB_F_CODE("code", err->code),
		LAB_F_CSTR("error", err->code == LAB_OK ? "" : err->message));
}

static void clean_group(const struct group *group)
{
	struct lab_heap *heap = group->user->env->heap;
	struct obox_mailbox **folders =
		lab_new_array(heap, struct obox_mailbox *, lab_map_count(group->user->folders) + 1);
	struct lab_error err = { .code = LAB_OK }, failed;
	size_t count = list_folders(group, folders);

	report(group, LAB_EV_metacache_user_clean_started, &err);
	for (size_t i = 0; i < count; i++) {
		folders[i]->references--;
		if (obox_mailbox_clean(folders[i], &failed) < 0)
			err = failed;
	}
	report(group, LAB_EV_metacache_user_clean_finished, &err);
	lab_heap_free(heap, folders);
}

int metacache_clean(
	struct metacache *metacache, enum metacache_priority min_priority, uint64_t max_bytes)
{
	size_t count;
	struct group *groups = list_groups(metacache, min_priority, &count);

	for (size_t i = 0; i < count && metacache->used_bytes > max_bytes; i++)
		clean_group(&groups[i]);
	lab_heap_free(metacache->env->heap, groups);
	return metacache->used_bytes <= max_bytes;
}

static void clean_in_background(void *arg)
{
	struct metacache *metacache = arg;

	(void)metacache_clean(metacache, METACACHE_SPECIAL, metacache->conf->metacache_max_space);
	metacache->is_cleaning = false;
	env_cond_broadcast(metacache->env, &metacache->done);
}

/* ---- accounting ---- */

void metacache_count(struct metacache *metacache, struct obox_mailbox *mailbox, uint64_t bytes)
{
	uint64_t max = metacache->conf->metacache_max_space;
	struct lab_error err;

	metacache->used_bytes += bytes - mailbox->sync.counted_bytes;
	mailbox->sync.counted_bytes = bytes;
	if (max == 0 || metacache->used_bytes <= max || metacache->is_cleaning ||
		metacache->is_stopping)
		return;
	metacache->is_cleaning = env_spawn(metacache->env, "metacache-clean", clean_in_background,
					 metacache, &err) == 0;
}

uint64_t metacache_used(const struct metacache *metacache)
{
	return metacache->used_bytes;
}

bool metacache_is_full(const struct metacache *metacache)
{
	const struct conf_settings *conf = metacache->conf;

	return conf->metacache_max_space > 0 &&
	       metacache->used_bytes > conf->metacache_max_space + conf->metacache_max_grace;
}

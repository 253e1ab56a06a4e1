/* SPDX-License-Identifier: Apache-2.0
 *
 * fts-user.c - what is known of a user's index: which mails are in which triplets, and which are to
 * be expunged.
 */
#include "core/fts/fts-private.h"

/* ---- life ---- */

static void init_maps(struct fts_user *user)
{
	struct lab_heap *heap = user->env->heap;

	user->triplets = lab_map_new(heap, FTS_OBJECTS_MAX);
	user->segments = lab_map_new(heap, FTS_OBJECTS_MAX);
	user->ignored = lab_map_new(heap, FTS_OBJECTS_MAX);
	user->garbage = lab_map_new(heap, FTS_OBJECTS_MAX);
	user->control = lab_map_new(heap, FTS_OBJECTS_MAX);
	user->pending = lab_map_new(heap, FTS_ENTRIES_MAX);
	user->mails = lab_map_new(heap, FTS_ENTRIES_MAX);
	user->expunges = lab_map_new(heap, FTS_ENTRIES_MAX);
	user->wanted = lab_map_new(heap, FTS_OBJECTS_MAX);
	user->newest = fts_builder_new(heap);
}

struct fts_user *fts_user_get(struct fts *fts, struct obox_user *obox, struct lab_error *err)
{
	struct lab_view name = lab_view_cstr(obox_user_name(obox));
	void **slot = lab_map_slot(fts->users, name);
	struct fts_user *user;

	if (slot == NULL) {
		lab_fail(err, LAB_LIMIT, "too many users with full text search");
		return NULL;
	}
	if (*slot != NULL)
		return *slot;
	user = lab_new(fts->env->heap, struct fts_user);
	user->fts = fts;
	user->env = fts->env;
	user->user = obox;
	if (obox_user_new_fs(
		    obox, "fts_dovecot_fs", fts->conf->fts_dovecot_fs.text, &user->fs, err) < 0) {
		lab_heap_free(fts->env->heap, user);
		lab_map_remove(fts->users, name);
		return NULL;
	}
	init_maps(user);
	*slot = user;
	return user;
}

void fts_user_drop_segment(struct fts_user *user, struct fts_segment *segment)
{
	(void)lab_map_remove(user->segments, fts_guid_view(&segment->guid));
	fts_expunges_free(user->env->heap, &segment->expunges);
	lab_heap_free(user->env->heap, segment);
}

static void free_contents(struct fts_user *user)
{
	struct lab_map_iter iter = lab_map_iterate(user->triplets);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value))
		fts_triplet_free((struct fts_triplet **)&value);
	iter = lab_map_iterate(user->segments);
	while (lab_map_next(&iter, &key, &value)) {
		struct fts_segment *segment = value;

		fts_expunges_free(user->env->heap, &segment->expunges);
		lab_heap_free(user->env->heap, segment);
	}
	if (user->has_stats)
		fts_stats_free(user->env->heap, &user->stats);
	fts_builder_free(&user->newest);
}

static void free_all(struct fts_user *user)
{
	struct lab_map **maps[] = { &user->triplets, &user->segments, &user->ignored,
		&user->garbage, &user->control, &user->pending, &user->mails, &user->expunges,
		&user->wanted };

	free_contents(user);
	for (size_t i = 0; i < LAB_COUNT_OF(maps); i++)
		lab_map_free(maps[i]);
	lab_heap_free(user->env->heap, user->uncertain);
	lab_heap_free(user->env->heap, user->done);
}

void fts_user_forget(struct fts_user *user)
{
	free_all(user);
	user->is_listed = user->has_stats = user->stats_are_current = false;
	user->newest_is_saved = false;
	user->newest_mails = user->uncertain_count = user->done_count = user->done_capacity = 0;
	user->uncertain = NULL;
	user->done = NULL;
	user->stats = (struct fts_stats){ .count = 0 };
	init_maps(user);
}

void fts_user_free(struct fts_user **user_p)
{
	struct fts_user *user = *user_p;

	free_all(user);
	fs_deinit(&user->fs);
	lab_heap_free(user->env->heap, user);
	*user_p = NULL;
}

void fts_user_lock(struct fts_user *user)
{
	while (user->is_busy)
		(void)env_cond_wait(user->env, &user->cond, ENV_FOREVER);
	user->is_busy = true;
}

void fts_user_unlock(struct fts_user *user)
{
	lab_assert(user->is_busy);
	user->is_busy = false;
	env_cond_signal(user->env, &user->cond);
}

/* ---- which mails are in how many triplets ---- */

static void count_mail(struct fts_user *user, const struct fts_mail *mail, int difference)
{
	uint8_t bytes[FTS_MAIL_BYTES];
	struct lab_view key = fts_mail_key(mail, bytes);
	void **slot = lab_map_slot(user->mails, key);
	uintptr_t count;

	if (slot == NULL)
		return;
	count = (uintptr_t)*slot + (uintptr_t)difference;
	if (count == 0)
		(void)lab_map_remove(user->mails, key);
	else
		*slot = (void *)count;
}

/* Once for each mail: it has one doc of its header. */
static void count_docs(
	struct fts_user *user, const struct fts_doc *docs, size_t count, int difference)
{
	for (size_t i = 0; i < count; i++) {
		if (docs[i].part == FTS_PART_HEADER)
			count_mail(user, &docs[i].mail, difference);
	}
}

void fts_user_add_triplet(struct fts_user *user, struct fts_triplet *triplet)
{
	void **slot = lab_map_slot(user->triplets, fts_guid_view(&triplet->guid));

	lab_assert(slot != NULL && *slot == NULL);
	*slot = triplet;
	count_docs(user, triplet->docs.docs, triplet->docs.count, 1);
}

void fts_user_drop_triplet(struct fts_user *user, struct fts_triplet *triplet)
{
	count_docs(user, triplet->docs.docs, triplet->docs.count, -1);
	(void)lab_map_remove(user->triplets, fts_guid_view(&triplet->guid));
	fts_triplet_free(&triplet);
}

void fts_user_count_newest(struct fts_user *user, bool is_added)
{
	size_t count;
	const struct fts_doc *docs = fts_builder_docs(user->newest, &count);

	count_docs(user, docs, count, is_added ? 1 : -1);
}

size_t fts_user_triplets_of(const struct fts_user *user, const struct fts_mail *mail)
{
	uint8_t bytes[FTS_MAIL_BYTES];

	return (uintptr_t)lab_map_get(user->mails, fts_mail_key(mail, bytes));
}

/* ---- expunges ---- */

static void push_done(struct fts_user *user, const struct fts_expunge *expunge)
{
	if (user->done_count == user->done_capacity) {
		user->done_capacity = LAB_MAX((size_t)16, 2 * user->done_capacity);
		user->done = lab_heap_realloc(
			user->env->heap, user->done, user->done_capacity * sizeof(*user->done));
	}
	user->done[user->done_count++] = *expunge;
}

struct done_key {
	uint8_t bytes[FTS_MAIL_BYTES + ENV_GUID128_SIZE];
};

static struct lab_view done_key(const struct fts_expunge *expunge, struct done_key *key)
{
	(void)fts_mail_key(&expunge->mail, key->bytes);
	memcpy(key->bytes + FTS_MAIL_BYTES, expunge->of.bytes, ENV_GUID128_SIZE);
	return lab_view_of(key->bytes, sizeof(key->bytes));
}

static void mark_done(
	struct lab_map *done, const struct fts_expunge *entries, size_t count, void *marker)
{
	struct done_key key;

	for (size_t i = 0; i < count; i++) {
		void **slot = lab_map_slot(done, done_key(&entries[i], &key));

		if (slot != NULL)
			*slot = marker;
	}
}

static void add_expunges(
	struct fts_user *user, const struct lab_map *done, struct fts_segment *segment)
{
	struct done_key key;
	uint8_t bytes[FTS_MAIL_BYTES];

	for (size_t i = 0; i < segment->expunges.count; i++) {
		struct fts_expunge *entry = &segment->expunges.entries[i];
		void **slot;

		entry->of = segment->guid;
		if (lab_map_get(done, done_key(entry, &key)) != NULL)
			continue;
		slot = lab_map_slot(user->expunges, fts_mail_key(&entry->mail, bytes));
		/* Two backends saw it: one of them is enough. */
		if (slot == NULL || *slot != NULL)
			push_done(user, entry);
		else
			*slot = entry;
	}
}

void fts_user_settle_expunges(struct fts_user *user)
{
	struct lab_map *done = lab_map_new(user->env->heap, FTS_ENTRIES_MAX);
	struct lab_map_iter iter = lab_map_iterate(user->segments);
	struct lab_view key;
	void *value;

	mark_done(done, user->done, user->done_count, user);
	while (lab_map_next(&iter, &key, &value)) {
		struct fts_segment *segment = value;

		if (segment->kind == FTS_Y)
			mark_done(done, segment->expunges.entries, segment->expunges.count, user);
	}
	lab_map_clear(user->expunges);
	iter = lab_map_iterate(user->segments);
	while (lab_map_next(&iter, &key, &value)) {
		struct fts_segment *segment = value;

		if (segment->kind == FTS_X)
			add_expunges(user, done, segment);
	}
	lab_map_free(&done);
}

bool fts_user_is_expunged(const struct fts_user *user, const struct fts_mail *mail)
{
	uint8_t bytes[FTS_MAIL_BYTES];
	struct lab_view key = fts_mail_key(mail, bytes);

	return lab_map_get(user->expunges, key) != NULL || lab_map_get(user->pending, key) != NULL;
}

void fts_user_end_expunge(struct fts_user *user, const struct fts_mail *mail)
{
	uint8_t bytes[FTS_MAIL_BYTES];
	struct lab_view key = fts_mail_key(mail, bytes);
	const struct fts_expunge *entry = lab_map_get(user->expunges, key);

	(void)lab_map_remove(user->pending, key);
	if (entry == NULL)
		return;
	push_done(user, entry);
	(void)lab_map_remove(user->expunges, key);
}

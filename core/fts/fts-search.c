/* SPDX-License-Identifier: Apache-2.0
 *
 * fts-search.c - which mails of a folder have all words of a query.
 */
#include "core/fts/fts-private.h"

#define QUERY_WORDS_MAX 64

struct query {
	struct fts_user *user;
	struct fts_mail folder; /* its GUID */
	enum fts_where where;
	struct lab_arena *arena;
	struct lab_view words[QUERY_WORDS_MAX];
	size_t count;
	bool has_too_many;
	/* Mail -> how many of the words were found in it, in their order. */
	struct lab_map *hits;
	uintptr_t word; /* that is looked for, from 1 */
};

static void add_word(void *ctx, struct lab_view word)
{
	struct query *q = ctx;

	if (q->count == QUERY_WORDS_MAX)
		q->has_too_many = true;
	else
		q->words[q->count++] = lab_arena_copy(q->arena, word);
}

static void hit(void *ctx, const struct fts_doc *doc)
{
	struct query *q = ctx;
	uint8_t bytes[FTS_MAIL_BYTES];
	void **slot;

	if ((q->where == FTS_HEADER && doc->part != FTS_PART_HEADER) ||
		(q->where == FTS_BODY && doc->part != FTS_PART_BODY) ||
		memcmp(doc->mail.mailbox, q->folder.mailbox, sizeof(doc->mail.mailbox)) != 0)
		return;
	slot = lab_map_slot(q->hits, fts_mail_key(&doc->mail, bytes));
	if (slot != NULL && (uintptr_t)*slot + 1 == q->word)
		*slot = (void *)q->word;
}

/* Words in their order: a mail that lacks one gets no further. */
static int find_words(struct query *q, const struct fts_triplet *triplet, struct lab_error *err)
{
	bool is_prefix = q->user->fts->conf->fts_dovecot_prefix;

	for (size_t i = 0; i < q->count; i++) {
		q->word = i + 1;
		if (triplet == NULL)
			fts_builder_find(q->user->newest, q->words[i], is_prefix, hit, q);
		else if (fts_triplet_find(triplet, q->words[i], is_prefix, hit, q, err) < 0)
			return -1;
	}
	return 0;
}

/* 1: a triplet is gone, begin anew. */
static int find_in_triplets(struct query *q, struct lab_error *err)
{
	struct lab_map_iter iter = lab_map_iterate(q->user->triplets);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		struct fts_triplet *triplet = value;
		int result = fts_load_words(q->user, triplet, err);

		if (result != 0)
			return result;
		if (find_words(q, triplet, err) < 0) {
			fts_object_set_aside(q->user, FTS_L, &triplet->guid, err);
			fts_user_drop_triplet(q->user, triplet);
			return 1;
		}
	}
	return find_words(q, NULL, err);
}

static int check_triplets(struct fts_user *user, struct lab_error *err)
{
	unsigned max = user->fts->conf->fts_dovecot_max_triplets;
	size_t count = lab_map_count(user->triplets) + (fts_builder_mails(user->newest) > 0);

	if (max == 0 || count <= max)
		return 0;
	ENV_EVENT(user->env, LAB_EV_fts_dovecot_too_many_triplets,
		LAB_F_CSTR("user", obox_user_name(user->user)), LAB_F_U64("triplet_count", count));
	return lab_fail(err, LAB_LIMIT, "%zu triplets, more than fts_dovecot_max_triplets = %u",
		count, max);
}

static size_t count_unindexed(const struct fts_user *user, const struct obox_mailbox *mailbox)
{
	size_t count = 0;

	for (size_t i = 0; i < obox_mailbox_count(mailbox); i++) {
		struct fts_mail mail = fts_mail_of(mailbox, obox_mailbox_mail(mailbox, i));

		count += fts_user_triplets_of(user, &mail) == 0;
	}
	return count;
}

/* 1: something changed meanwhile. */
static int search_once(struct query *q, struct obox_mailbox *mailbox, struct lab_error *err)
{
	size_t unreadable;
	int result;

	lab_map_clear(q->hits);
	if (fts_index_locked(q->user, mailbox, &unreadable, err) < 0 ||
		check_triplets(q->user, err) < 0)
		return -1;
	result = find_in_triplets(q, err);
	if (result != 0)
		return result;
	return count_unindexed(q->user, mailbox) > unreadable;
}

static void collect(const struct query *q, const struct obox_mailbox *mailbox, uint32_t **ret,
	size_t *ret_count)
{
	*ret = lab_arena_array(q->arena, uint32_t, obox_mailbox_count(mailbox));
	*ret_count = 0;
	for (size_t i = 0; i < obox_mailbox_count(mailbox); i++) {
		struct fts_mail mail = fts_mail_of(mailbox, obox_mailbox_mail(mailbox, i));
		uint8_t bytes[FTS_MAIL_BYTES];

		if ((uintptr_t)lab_map_get(q->hits, fts_mail_key(&mail, bytes)) == q->count)
			(*ret)[(*ret_count)++] = mail.uid;
	}
}

static int search(struct query *q, struct obox_mailbox *mailbox, struct lab_error *err)
{
	int result = 1;

	fts_user_lock(q->user);
	for (unsigned n = 0; n < 2 * FTS_ATTEMPTS && result > 0; n++)
		result = search_once(q, mailbox, err);
	fts_user_unlock(q->user);
	if (result > 0)
		return lab_fail(
			err, LAB_UNAVAILABLE, "the folder or its index never stay as they are");
	return result;
}

int fts_search(struct fts *fts, struct obox_user *user, struct obox_mailbox *mailbox,
	enum fts_where where, struct lab_view text, struct lab_arena *arena, uint32_t **ret_uids,
	size_t *ret_count, struct lab_error *err)
{
	struct query *q = lab_arena_new_of(arena, struct query);
	struct lab_error own;
	int result;

	if (err == NULL)
		err = &own;
	*q = (struct query){ .user = fts_user_get(fts, user, err),
		.folder = fts_mail_of(mailbox, &(struct obox_mail){ .uid = 0 }),
		.where = where,
		.arena = arena };
	if (q->user == NULL)
		return -1;
	fts_words(text, add_word, q);
	if (q->count == 0 || q->has_too_many)
		return lab_fail(err, LAB_INVALID, "a search has 1 to %d words", QUERY_WORDS_MAX);
	q->hits = lab_map_new(fts->env->heap, FTS_ENTRIES_MAX);
	result = search(q, mailbox, err);
	if (result == 0)
		collect(q, mailbox, ret_uids, ret_count);
	lab_map_free(&q->hits);
	return result < 0 ? lab_error_wrap(err, "search") : 0;
}

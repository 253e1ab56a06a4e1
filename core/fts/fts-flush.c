/* SPDX-License-Identifier: Apache-2.0
 *
 * fts-flush.c - the newest triplet goes to storage, put together with others (obox 6.1).
 *
 * The smallest triplet is written anew at each flush, until its L is larger than
 * fts_dovecot_min_merge_l_file_size; then it is put together with the next larger one, which is the
 * smallest of the others. Two that have a mail in common are put together, too.
 */
#include "core/base/defect.h"
#include "core/env/hold.h"
#include "core/fts/fts-private.h"

/* Of Y, before X is reduced. */
#define DONE_ENTRIES_MAX 64
#define DONE_OBJECTS_MAX 8

/* ---- writing a triplet ---- */

struct encoded {
	struct fts_guid guid;
	struct lab_buf d, w, l;
};

static void encode(struct fts_user *user, const struct fts_builder *builder,
	struct fts_guid *replaced, size_t replaced_count, struct encoded *ret)
{
	struct lab_heap *heap = user->env->heap;

	memset(ret, 0, sizeof(*ret));
	env_guid128_generate(user->env, ret->guid.bytes);
	lab_buf_init(&ret->d, heap, FTS_FILE_MAX);
	lab_buf_init(&ret->w, heap, FTS_FILE_MAX);
	lab_buf_init(&ret->l, heap, FTS_FILE_MAX);
	fts_builder_encode(
		builder, &ret->guid, replaced, replaced_count, &ret->d, &ret->w, &ret->l);
}

static void encoded_done(struct encoded *e)
{
	lab_buf_done(&e->d);
	lab_buf_done(&e->w);
	lab_buf_done(&e->l);
}

/* If one of them may turn up later, whoever writes next says that it does not count. */
static void remember_uncertain(struct fts_user *user, const struct fts_guid *guid)
{
	if (user->uncertain_count == FTS_REPLACED_MAX / 2)
		return;
	user->uncertain = lab_heap_realloc(user->env->heap, user->uncertain,
		(user->uncertain_count + 1) * sizeof(*user->uncertain));
	user->uncertain[user->uncertain_count++] = *guid;
}

/* L and W before D: a triplet is there once its D is. */
static int write_triplet(
	struct fts_user *user, const struct encoded *e, bool is_newest, struct lab_error *err)
{
	if (e->d.overflow || e->w.overflow || e->l.overflow)
		return lab_fail(err, LAB_LIMIT, "triplet is larger than %u bytes", FTS_FILE_MAX);
	if (lab_defect(FTS_DOCS_FIRST) &&
		fts_object_write(user, FTS_D, &e->guid, is_newest, lab_buf_view(&e->d), err) < 0)
		return -1;
	if (fts_object_write(user, FTS_L, &e->guid, is_newest, lab_buf_view(&e->l), err) == 0 &&
		fts_object_write(user, FTS_W, &e->guid, is_newest, lab_buf_view(&e->w), err) == 0 &&
		fts_object_write(user, FTS_D, &e->guid, is_newest, lab_buf_view(&e->d), err) == 0)
		return 0;
	fts_triplet_throw_away(user, &e->guid);
	remember_uncertain(user, &e->guid);
	return -1;
}

/* ---- the newest triplet ---- */

void fts_save_newest(struct fts_user *user)
{
	struct fts_guid *replaced =
		lab_new_array(user->env->heap, struct fts_guid, user->uncertain_count + 1);
	size_t count = user->uncertain_count;
	struct encoded e;
	struct lab_error ignored;

	if (count > 0)
		memcpy(replaced, user->uncertain, count * sizeof(*replaced));
	if (user->newest_is_saved)
		replaced[count++] = user->newest_guid;
	encode(user, user->newest, replaced, count, &e);
	fs_set_reason(user->fs, "fts:index");
	/* It is in memory, and written again with the next mail or flush. */
	if (write_triplet(user, &e, true, &ignored) == 0) {
		if (user->newest_is_saved)
			fts_triplet_throw_away(user, &user->newest_guid);
		user->newest_guid = e.guid;
		user->newest_is_saved = true;
		fts_delete_garbage(user);
	}
	encoded_done(&e);
	lab_heap_free(user->env->heap, replaced);
}

bool fts_newest_is_full(const struct fts_user *user)
{
	const struct conf_settings *conf = user->fts->conf;

	return (conf->fts_dovecot_mail_flush_interval > 0 &&
		       user->newest_mails >= conf->fts_dovecot_mail_flush_interval) ||
	       fts_builder_list_bytes(user->newest) > conf->fts_dovecot_min_merge_l_file_size;
}

/* ---- which triplets are put together ---- */

struct merge {
	struct fts_user *user;
	struct lab_arena *arena;
	struct fts_triplet **inputs;
	size_t count;
	struct lab_map *input_guids;
	bool has_expunged; /* in an input, or in the newest */
	struct fts_builder *result;
};

static bool is_input(const struct merge *m, const struct fts_triplet *triplet)
{
	return lab_map_get(m->input_guids, fts_guid_view(&triplet->guid)) != NULL;
}

static void add_input(struct merge *m, struct fts_triplet *triplet)
{
	if (is_input(m, triplet))
		return;
	*lab_map_slot(m->input_guids, fts_guid_view(&triplet->guid)) = triplet;
	m->inputs[m->count++] = triplet;
}

static bool has_duplicates(const struct fts_user *user, const struct fts_triplet *triplet)
{
	for (size_t i = 0; i < triplet->docs.count; i++) {
		if (fts_user_triplets_of(user, &triplet->docs.docs[i].mail) > 1)
			return true;
	}
	return false;
}

/* S saves reading it. 0, or as fts_load_words(). */
static int learn_size(struct fts_user *user, struct fts_triplet *triplet, struct lab_error *err)
{
	for (size_t i = 0; triplet->l_bytes == 0 && i < user->stats.count; i++) {
		const struct fts_triplet_stats *stats = &user->stats.triplets[i];

		if (memcmp(&stats->guid, &triplet->guid, sizeof(stats->guid)) == 0)
			triplet->l_bytes = stats->l_bytes;
	}
	return triplet->l_bytes == 0 ? fts_load_words(user, triplet, err) : 0;
}

static struct fts_triplet *smallest_other(struct merge *m)
{
	struct lab_map_iter iter = lab_map_iterate(m->user->triplets);
	struct fts_triplet *smallest = NULL;
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		struct fts_triplet *triplet = value;

		if (!is_input(m, triplet) &&
			(smallest == NULL || triplet->l_bytes < smallest->l_bytes))
			smallest = triplet;
	}
	return smallest;
}

/* 0, 1: something is gone, begin anew; -1. */
static int choose_inputs(struct merge *m, struct lab_error *err)
{
	struct fts_user *user = m->user;
	uint64_t limit = user->fts->conf->fts_dovecot_min_merge_l_file_size;
	uint64_t bytes = fts_builder_list_bytes(user->newest);
	struct lab_map_iter iter = lab_map_iterate(user->triplets);
	struct fts_triplet *next;
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		struct fts_triplet *triplet = value;
		int result = learn_size(user, triplet, err);

		if (result != 0)
			return result;
		if (triplet->l_bytes > limit && !has_duplicates(user, triplet))
			continue;
		bytes += triplet->l_bytes;
		add_input(m, triplet);
	}
	next = smallest_other(m);
	if (bytes > limit && next != NULL)
		add_input(m, next);
	return 0;
}

/* ---- putting them together ---- */

static bool keep_mail(void *ctx, const struct fts_mail *mail)
{
	struct merge *m = ctx;
	bool is_expunged = fts_user_is_expunged(m->user, mail);

	m->has_expunged |= is_expunged;
	return !is_expunged;
}

static int put_together(struct merge *m, struct lab_error *err)
{
	struct fts_user *user = m->user;

	for (size_t i = 0; i < m->count; i++) {
		int result = fts_load_words(user, m->inputs[i], err);

		if (result != 0)
			return result;
	}
	m->result = fts_builder_new(user->env->heap);
	for (size_t i = 0; i < m->count; i++) {
		/* Room is made by dropping words. */
		int result = fts_load_words(user, m->inputs[i], err);

		if (result == 0)
			result =
				fts_builder_add_triplet(m->result, m->inputs[i], keep_mail, m, err);
		if (result < 0 && err->code == LAB_CORRUPT) {
			fts_object_set_aside(user, FTS_L, &m->inputs[i]->guid, err);
			fts_user_drop_triplet(user, m->inputs[i]);
			return 1;
		}
		if (result != 0)
			return result;
	}
	return fts_builder_add_builder(m->result, user->newest, keep_mail, m, err);
}

/* The same mails in one triplet as before: nothing to be written. */
static bool is_worth_it(const struct merge *m)
{
	return m->has_expunged || m->count > 1 || fts_builder_mails(m->user->newest) > 0;
}

/* ---- X and Y ---- */

/* Of those the pending ones whose mail stays in some triplet. */
static size_t unresolved(
	const struct merge *m, struct fts_expunge *ret, const struct lab_map *dropped)
{
	struct lab_map_iter iter = lab_map_iterate(m->user->pending);
	struct lab_view key;
	size_t count = 0;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		struct fts_mail mail = fts_mail_of_key(key);
		uintptr_t gone = (uintptr_t)lab_map_get(dropped, key);

		if (fts_user_triplets_of(m->user, &mail) > gone)
			ret[count++].mail = mail;
	}
	return count;
}

static void count_dropped(struct lab_map *dropped, const struct fts_doc *docs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t bytes[FTS_MAIL_BYTES];
		void **slot;

		if (docs[i].part != FTS_PART_HEADER)
			continue;
		slot = lab_map_slot(dropped, fts_mail_key(&docs[i].mail, bytes));
		if (slot != NULL)
			*slot = (void *)((uintptr_t)*slot + 1);
	}
}

/* In how many of the triplets that go a mail is. */
static struct lab_map *dropped_mails(const struct merge *m)
{
	struct lab_map *dropped = lab_map_new(m->user->env->heap, FTS_ENTRIES_MAX);
	size_t count;
	const struct fts_doc *docs = fts_builder_docs(m->user->newest, &count);

	count_dropped(dropped, docs, count);
	for (size_t i = 0; i < m->count; i++)
		count_dropped(dropped, m->inputs[i]->docs.docs, m->inputs[i]->docs.count);
	return dropped;
}

static int write_segment(struct fts_user *user, enum fts_kind kind, struct fts_expunges *expunges,
	struct lab_error *err)
{
	struct fts_segment *segment = lab_new(user->env->heap, struct fts_segment);
	struct lab_buf bytes;
	int result;

	segment->kind = kind;
	env_guid128_generate(user->env, segment->guid.bytes);
	lab_buf_init(&bytes, user->env->heap, FTS_FILE_MAX);
	fts_expunges_encode(kind, &segment->guid, expunges, &bytes);
	if (bytes.overflow)
		result = lab_fail(err, LAB_LIMIT, "too many expunged mails");
	else
		result = fts_object_write(
			user, kind, &segment->guid, false, lab_buf_view(&bytes), err);
	lab_buf_done(&bytes);
	if (result < 0) {
		fts_object_throw_away(user, kind, &segment->guid);
		lab_heap_free(user->env->heap, segment);
		return -1;
	}
	segment->expunges = *expunges;
	*expunges = (struct fts_expunges){ .count = 0 };
	*lab_map_slot(user->segments, fts_guid_view(&segment->guid)) = segment;
	return 0;
}

/* What is in X is not pending any more, nor is what no triplet has. */
static void settle_pending(struct fts_user *user)
{
	struct lab_map_iter iter = lab_map_iterate(user->pending);
	struct lab_view key;
	void *value;

	fts_user_settle_expunges(user);
	while (lab_map_next(&iter, &key, &value)) {
		struct fts_mail mail = fts_mail_of_key(key);

		if (fts_user_triplets_of(user, &mail) == 0 ||
			lab_map_get(user->expunges, key) != NULL)
			(void)lab_map_remove(user->pending, key);
	}
}

/* Before the triplets: what they do not have any more is in X, or nowhere. */
static int append_x(struct merge *m, struct lab_error *err)
{
	struct fts_user *user = m->user;
	struct lab_heap *heap = user->env->heap;
	struct fts_expunges x = { .entries = lab_new_array(
					  heap, struct fts_expunge, lab_map_count(user->pending)) };
	struct lab_map *dropped = dropped_mails(m);
	int result = 0;

	x.count = unresolved(m, x.entries, dropped);
	lab_map_free(&dropped);
	if (x.count > 0)
		result = write_segment(user, FTS_X, &x, err);
	fts_expunges_free(heap, &x);
	settle_pending(user);
	return result;
}

/* Those whose mails are in no triplet any more. */
static void find_done(struct fts_user *user)
{
	struct lab_map_iter iter = lab_map_iterate(user->expunges);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		struct fts_mail mail = fts_mail_of_key(key);

		if (fts_user_triplets_of(user, &mail) == 0)
			fts_user_end_expunge(user, &mail);
	}
}

static bool is_y_large(const struct fts_user *user)
{
	struct lab_map_iter iter = lab_map_iterate(user->segments);
	size_t entries = user->done_count, objects = 0;
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		const struct fts_segment *segment = value;

		if (segment->kind == FTS_Y)
			entries += segment->expunges.count;
		objects++;
	}
	return entries > DONE_ENTRIES_MAX || objects > DONE_OBJECTS_MAX;
}

static int append_y(struct fts_user *user, struct lab_error *err)
{
	struct fts_expunges y = { .entries = lab_new_array(
					  user->env->heap, struct fts_expunge, user->done_count),
		.count = user->done_count };
	int result;

	memcpy(y.entries, user->done, user->done_count * sizeof(*y.entries));
	result = write_segment(user, FTS_Y, &y, err);
	fts_expunges_free(user->env->heap, &y);
	if (result == 0)
		user->done_count = 0;
	return result;
}

/* What is still to be expunged, in an X of its own that replaces all others and all Y. */
static int reduce_x(struct fts_user *user, struct lab_error *err)
{
	struct lab_heap *heap = user->env->heap;
	size_t count = lab_map_count(user->segments);
	struct fts_segment **old = lab_new_array(heap, struct fts_segment *, count);
	struct fts_expunges x = { .replaced = lab_new_array(heap, struct fts_guid, count),
		.entries = lab_new_array(heap, struct fts_expunge, lab_map_count(user->expunges)) };
	struct lab_map_iter iter = lab_map_iterate(user->segments);
	struct lab_view key;
	void *value;
	int result;

	while (lab_map_next(&iter, &key, &value)) {
		old[x.replaced_count] = value;
		x.replaced[x.replaced_count] = old[x.replaced_count]->guid;
		x.replaced_count++;
	}
	iter = lab_map_iterate(user->expunges);
	while (lab_map_next(&iter, &key, &value))
		x.entries[x.count++] = *(const struct fts_expunge *)value;
	count = x.replaced_count;
	result = write_segment(user, FTS_X, &x, err);
	for (size_t i = 0; result == 0 && i < count; i++) {
		fts_object_throw_away(user, old[i]->kind, &old[i]->guid);
		fts_user_drop_segment(user, old[i]);
	}
	if (result == 0)
		user->done_count = 0;
	fts_expunges_free(heap, &x);
	lab_heap_free(heap, old);
	return result;
}

static int settle_y(struct fts_user *user, struct lab_error *err)
{
	int result = 0;

	find_done(user);
	if (user->done_count > 0)
		result = is_y_large(user) ? reduce_x(user, err) : append_y(user, err);
	if (result == 0)
		fts_user_settle_expunges(user);
	return result;
}

/* ---- S ---- */

static void count_folders(
	struct fts_user *user, const struct fts_triplet *triplet, struct fts_triplet_stats *ret)
{
	struct lab_map *folders = lab_map_new(user->env->heap, FTS_ENTRIES_MAX);

	ret->guid = triplet->guid;
	ret->l_bytes = triplet->l_bytes;
	ret->docs = (uint32_t)triplet->docs.count;
	ret->folders = lab_new_array(user->env->heap, struct fts_folder_stats, triplet->docs.count);
	for (size_t i = 0; i < triplet->docs.count; i++) {
		const struct fts_doc *doc = &triplet->docs.docs[i];
		void **slot = lab_map_slot(
			folders, lab_view_of(doc->mail.mailbox, sizeof(doc->mail.mailbox)));
		struct fts_folder_stats *folder;

		lab_assert(slot != NULL);
		if (*slot == NULL)
			*slot = &ret->folders[ret->folder_count++];
		folder = *slot;
		memcpy(folder->mailbox, doc->mail.mailbox, sizeof(folder->mailbox));
		folder->highest_uid = LAB_MAX(folder->highest_uid, doc->mail.uid);
		folder->mails += doc->part == FTS_PART_HEADER;
	}
	lab_map_free(&folders);
}

static void make_stats(struct fts_user *user, struct fts_stats *ret)
{
	struct lab_map_iter iter = lab_map_iterate(user->triplets);
	struct lab_view key;
	void *value;

	*ret = (struct fts_stats){ .version = user->fts->conf->fts_dovecot_message_count_stats
						      ? FTS_STATS_COUNTS
						      : FTS_STATS_PLAIN,
		.expunges = (uint32_t)lab_map_count(user->expunges),
		.triplets = lab_new_array(
			user->env->heap, struct fts_triplet_stats, lab_map_count(user->triplets)) };
	while (lab_map_next(&iter, &key, &value))
		count_folders(user, value, &ret->triplets[ret->count++]);
}

static void take_stats(
	struct fts_user *user, const struct fts_guid *guid, const struct fts_stats *stats)
{
	struct lab_map_iter iter = lab_map_iterate(user->control);
	struct lab_view name;
	char own[FTS_NAME_MAX];
	void *value;

	while (lab_map_next(&iter, &name, &value))
		*lab_map_slot(user->garbage, name) = user;
	lab_map_clear(user->control);
	fts_name_format(FTS_S, guid, own);
	*lab_map_slot(user->control, lab_view_cstr(own)) = user;
	if (user->has_stats)
		fts_stats_free(user->env->heap, &user->stats);
	user->stats = *stats;
	user->stats_guid = *guid;
	user->has_stats = user->stats_are_current = true;
}

static int write_stats(struct fts_user *user, struct lab_error *err)
{
	struct fts_guid guid;
	struct fts_stats stats;
	struct lab_buf bytes;
	int result;

	env_guid128_generate(user->env, guid.bytes);
	make_stats(user, &stats);
	lab_buf_init(&bytes, user->env->heap, FTS_FILE_MAX);
	fts_stats_encode(&guid, &stats, &bytes);
	result = fts_object_write(user, FTS_S, &guid, false, lab_buf_view(&bytes), err);
	lab_buf_done(&bytes);
	if (result == 0) {
		take_stats(user, &guid, &stats);
		return 0;
	}
	fts_object_throw_away(user, FTS_S, &guid);
	fts_stats_free(user->env->heap, &stats);
	return -1;
}

/* ---- the whole ---- */

/* The mails of the result are in it; it is in storage. */
static struct fts_triplet *triplet_of(
	struct fts_user *user, const struct encoded *e, struct lab_error *err)
{
	struct fts_triplet *triplet = fts_triplet_new(user->env->heap, &e->guid);

	if (fts_triplet_take_docs(triplet, lab_buf_view(&e->d), err) < 0 ||
		fts_triplet_take_words(triplet, lab_buf_view(&e->w), lab_buf_view(&e->l), err) < 0)
		lab_bug("a triplet that was just written cannot be read");
	return triplet;
}

static void take_result(struct merge *m, const struct encoded *e)
{
	struct fts_user *user = m->user;
	struct fts_triplet *triplet = NULL;
	uint64_t seen_ns = 0;
	struct lab_error ignored;

	for (size_t i = 0; i < m->count; i++) {
		seen_ns = LAB_MAX(seen_ns, m->inputs[i]->seen_ns);
		fts_triplet_throw_away(user, &m->inputs[i]->guid);
		fts_user_drop_triplet(user, m->inputs[i]);
	}
	fts_user_count_newest(user, false);
	fts_builder_free(&user->newest);
	user->newest = fts_builder_new(user->env->heap);
	if (user->newest_is_saved)
		fts_triplet_throw_away(user, &user->newest_guid);
	user->newest_is_saved = false;
	user->newest_mails = 0;
	if (fts_builder_mails(m->result) == 0)
		return;
	user->uncertain_count = 0;
	triplet = triplet_of(user, e, &ignored);
	triplet->seen_ns = seen_ns;
	fts_user_add_triplet(user, triplet);
}

static size_t all_replaced(const struct merge *m, struct fts_guid *ret)
{
	const struct fts_user *user = m->user;
	size_t count = user->uncertain_count;

	if (count > 0)
		memcpy(ret, user->uncertain, count * sizeof(*ret));
	if (user->newest_is_saved)
		ret[count++] = user->newest_guid;
	for (size_t i = 0; i < m->count; i++)
		ret[count++] = m->inputs[i]->guid;
	return count;
}

static int write_result(struct merge *m, struct lab_error *err)
{
	struct fts_user *user = m->user;
	struct fts_guid *replaced = lab_new_array(
		user->env->heap, struct fts_guid, user->uncertain_count + m->count + 1);
	size_t count = all_replaced(m, replaced);
	struct encoded e;
	int result = 0;

	encode(user, m->result, replaced, count, &e);
	if (fts_builder_mails(m->result) > 0)
		result = write_triplet(user, &e, false, err);
	ENV_HOLD(user->env, fts_triplet_stored, obox_user_name(user->user));
	if (result == 0)
		take_result(m, &e);
	encoded_done(&e);
	lab_heap_free(user->env->heap, replaced);
	return result;
}

static int merge_once(struct merge *m, struct lab_error *err)
{
	int result = choose_inputs(m, err);

	if (result == 0)
		result = put_together(m, err);
	if (result != 0)
		return result;
	if (append_x(m, err) < 0)
		return -1;
	ENV_HOLD(m->user->env, fts_expunges_stored, obox_user_name(m->user->user));
	if (is_worth_it(m) && write_result(m, err) < 0)
		return -1;
	settle_pending(m->user);
	return 0;
}

static int merge(struct fts_user *user, struct lab_error *err)
{
	int result = 1;

	for (unsigned n = 0; n < FTS_ATTEMPTS && result == 1; n++) {
		struct merge m = { .user = user,
			.inputs = lab_new_array(user->env->heap, struct fts_triplet *,
				lab_map_count(user->triplets)),
			.input_guids = lab_map_new(user->env->heap, FTS_OBJECTS_MAX) };

		result = merge_once(&m, err);
		fts_builder_free(&m.result);
		lab_map_free(&m.input_guids);
		lab_heap_free(user->env->heap, m.inputs);
	}
	if (result == 1)
		return lab_fail(err, LAB_UNAVAILABLE, "triplets are gone as soon as they are seen");
	return result;
}

static bool has_news(const struct fts_user *user)
{
	return fts_builder_mails(user->newest) > 0 || lab_map_count(user->pending) > 0 ||
	       user->done_count > 0 || lab_map_count(user->garbage) > 0;
}

static bool stats_agree(const struct fts_user *user)
{
	struct lab_map_iter iter = lab_map_iterate(user->triplets);
	size_t found = 0;
	struct lab_view key;
	void *value;

	if (!user->has_stats || !user->stats_are_current ||
		user->stats.count != lab_map_count(user->triplets))
		return false;
	while (lab_map_next(&iter, &key, &value)) {
		for (size_t i = 0; i < user->stats.count; i++)
			found += lab_view_eq(fts_guid_view(&user->stats.triplets[i].guid), key);
	}
	return found == user->stats.count;
}

static int flush(struct fts_user *user, struct lab_error *err)
{
	if (fts_refresh(user, err) < 0)
		return -1;
	fs_set_reason(user->fs, "fts:index");
	if (merge(user, err) < 0 || settle_y(user, err) < 0)
		return -1;
	if (lab_map_count(user->triplets) == 0 && !user->has_stats)
		return 0;
	return stats_agree(user) ? 0 : write_stats(user, err);
}

int fts_flush_user(struct fts_user *user, const char *reason, struct lab_error *err)
{
	int result;

	fts_compare_list(user);
	if (!has_news(user))
		return 0;
	result = flush(user, err);
	/* After a failure, too: what replaces them may be there, and else they are none of ours. */
	fts_delete_garbage(user);
	ENV_EVENT(user->env, LAB_EV_fts_flush_finished,
		LAB_F_CSTR("user", obox_user_name(user->user)), LAB_F_CSTR("reason", reason),
		LAB_F_U64("triplets", lab_map_count(user->triplets)),
		LAB_F_CODE("code", result < 0 ? err->code : LAB_OK),
		LAB_F_CSTR("error", result < 0 ? err->message : ""));
	return result < 0 ? lab_error_wrap(err, "FTS of %s", obox_user_name(user->user)) : 0;
}

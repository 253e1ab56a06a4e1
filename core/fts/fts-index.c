/* SPDX-License-Identifier: Apache-2.0
 *
 * fts-index.c - what of a folder is not indexed is read and indexed.
 */
#include "core/fts/fts-private.h"
#include "core/base/defect.h"
#include "core/env/hold.h"

#define BODY_ARENA_MAX (2 * (size_t)OBOX_MAIL_MAX)

struct fts_mail fts_mail_of(const struct obox_mailbox *mailbox, const struct obox_mail *mail)
{
	struct fts_mail ret = { .uid = mail->uid };

	(void)lab_unhex(
		lab_view_cstr(obox_mailbox_guid(mailbox)), ret.mailbox, sizeof(ret.mailbox));
	memcpy(ret.name, mail->name, sizeof(ret.name));
	return ret;
}

static bool is_in_folder(const struct obox_mailbox *mailbox, const struct fts_mail *mail)
{
	const struct obox_mail *found = obox_mailbox_find(mailbox, mail->uid);

	return found != NULL && memcmp(found->name, mail->name, sizeof(mail->name)) == 0;
}

/* ---- what is to be expunged ---- */

static void add_pending(struct fts_user *user, const struct fts_mail *mail)
{
	uint8_t bytes[FTS_MAIL_BYTES];
	void **slot;

	if (fts_user_is_expunged(user, mail) || lab_defect(FTS_EXPUNGES_FORGOTTEN))
		return;
	slot = lab_map_slot(user->pending, fts_mail_key(mail, bytes));
	if (slot != NULL)
		*slot = user;
}

static void compare_docs(struct fts_user *user, const struct obox_mailbox *mailbox,
	const struct fts_mail *of, const struct fts_doc *docs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct fts_mail *mail = &docs[i].mail;

		if (docs[i].part == FTS_PART_HEADER &&
			memcmp(mail->mailbox, of->mailbox, sizeof(mail->mailbox)) == 0 &&
			!is_in_folder(mailbox, mail))
			add_pending(user, mail);
	}
}

/* A triplet of another backend may know mails that this one has not heard of: only a listing that
 * is younger says that they are gone. What was indexed here was in the folder once. */
void fts_compare_folder(struct fts_user *user, const struct obox_mailbox *mailbox)
{
	uint64_t compared_ns = obox_mailbox_compared_ns(mailbox);
	struct lab_map_iter iter = lab_map_iterate(user->triplets);
	struct fts_mail of = fts_mail_of(mailbox, &(struct obox_mail){ .uid = 0 });
	const struct fts_doc *docs;
	struct lab_view key;
	size_t count;
	void *value;

	for (size_t i = 0; i < obox_mailbox_count(mailbox); i++) {
		struct fts_mail mail = fts_mail_of(mailbox, obox_mailbox_mail(mailbox, i));

		if (fts_user_is_expunged(user, &mail))
			fts_user_end_expunge(user, &mail);
	}
	while (lab_map_next(&iter, &key, &value)) {
		const struct fts_triplet *triplet = value;

		if (triplet->seen_ns == 0 || triplet->seen_ns < compared_ns)
			compare_docs(user, mailbox, &of, triplet->docs.docs, triplet->docs.count);
	}
	docs = fts_builder_docs(user->newest, &count);
	compare_docs(user, mailbox, &of, docs, count);
}

#define LIST_ARENA_MAX (64u << 20)

static void compare_with_list(struct fts_user *user, const struct lab_map *folders,
	const struct fts_doc *docs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct fts_mail *mail = &docs[i].mail;

		if (docs[i].part == FTS_PART_HEADER &&
			lab_map_get(folders, lab_view_of(mail->mailbox, sizeof(mail->mailbox))) ==
				NULL)
			add_pending(user, mail);
	}
}

static struct lab_map *list_folders(struct fts_user *user)
{
	struct lab_arena *arena = lab_arena_new(user->env->heap, LIST_ARENA_MAX);
	struct lab_map *guids = lab_map_new(user->env->heap, FTS_ENTRIES_MAX);
	struct obox_folder *folders;
	size_t count;

	obox_folder_list(user->user, arena, &folders, &count);
	for (size_t i = 0; i < count; i++) {
		uint8_t guid[ENV_GUID128_SIZE];

		if (lab_unhex(lab_view_cstr(folders[i].guid), guid, sizeof(guid)) == 0)
			*lab_map_slot(guids, lab_view_of(guid, sizeof(guid))) = user;
	}
	lab_arena_free(&arena);
	return guids;
}

/* As above: only a list that is younger says so of what others have indexed. */
void fts_compare_list(struct fts_user *user)
{
	struct lab_map *folders;
	struct lab_map_iter iter = lab_map_iterate(user->triplets);
	const struct fts_doc *docs;
	uint64_t refreshed_ns;
	struct lab_view key;
	size_t count;
	void *value;

	if (!obox_user_is_refreshed(user->user, &refreshed_ns))
		return;
	folders = list_folders(user);
	while (lab_map_next(&iter, &key, &value)) {
		const struct fts_triplet *triplet = value;

		if (triplet->seen_ns == 0 || triplet->seen_ns < refreshed_ns)
			compare_with_list(user, folders, triplet->docs.docs, triplet->docs.count);
	}
	docs = fts_builder_docs(user->newest, &count);
	compare_with_list(user, folders, docs, count);
	lab_map_free(&folders);
}

/* ---- indexing ---- */

struct indexing {
	struct fts_user *user;
	struct obox_mailbox *mailbox;
	struct fts_mail *todo;
	size_t count, added, unreadable;
};

static void find_todo(struct indexing *x)
{
	struct lab_heap *heap = x->user->env->heap;

	lab_heap_free(heap, x->todo);
	x->todo = lab_new_array(heap, struct fts_mail, obox_mailbox_count(x->mailbox));
	x->count = 0;
	for (size_t i = 0; i < obox_mailbox_count(x->mailbox); i++) {
		struct fts_mail mail = fts_mail_of(x->mailbox, obox_mailbox_mail(x->mailbox, i));

		if (lab_defect(FTS_LAST_MAIL_FORGOTTEN) && i > 0 &&
			i + 1 == obox_mailbox_count(x->mailbox))
			break;
		if (fts_user_triplets_of(x->user, &mail) == 0)
			x->todo[x->count++] = mail;
	}
}

static int add_mail(struct indexing *x, const struct fts_mail *mail, struct lab_view body,
	struct lab_error *err)
{
	struct fts_user *user = x->user;
	int result = fts_builder_add_mail(user->newest, mail, body, err);
	uint8_t bytes[FTS_MAIL_BYTES];
	void **slot;

	if (result <= 0)
		return result;
	slot = lab_map_slot(user->mails, fts_mail_key(mail, bytes));
	if (slot != NULL)
		*slot = (void *)((uintptr_t)*slot + 1);
	user->newest_mails++;
	x->added++;
	return 1;
}

/* One that is gone, or cannot be found, keeps the others from nothing. */
static int index_mail(struct indexing *x, const struct fts_mail *mail, struct lab_error *err)
{
	struct lab_arena *arena;
	struct lab_view body;
	int result;

	if (!is_in_folder(x->mailbox, mail))
		return 0;
	arena = lab_arena_new(x->user->env->heap, BODY_ARENA_MAX);
	result = obox_fetch(x->mailbox, mail->uid, arena, &body, err);
	ENV_HOLD(x->user->env, fts_mail_read, obox_user_name(x->user->user));
	if (result < 0 && err->code == LAB_NOT_FOUND) {
		x->unreadable += is_in_folder(x->mailbox, mail);
		result = 0;
	} else if (result == 0 && is_in_folder(x->mailbox, mail)) {
		result = add_mail(x, mail, body, err);
	}
	lab_arena_free(&arena);
	return result < 0 ? -1 : 0;
}

static int index_todo(struct indexing *x, struct lab_error *err)
{
	struct lab_error ignored;

	for (size_t i = 0; i < x->count; i++) {
		if (index_mail(x, &x->todo[i], err) < 0)
			return -1;
		/* If that fails it is tried again by whoever comes next. */
		if (fts_newest_is_full(x->user))
			(void)fts_flush_user(x->user, "fts:index", &ignored);
	}
	return 0;
}

/* Another backend may have indexed them. */
static int look_elsewhere(struct indexing *x, struct lab_error *err)
{
	const struct fts_user *user = x->user;

	if (x->count == 0 ||
		env_now(user->env) - user->listed_ns < user->fts->conf->metacache_close_delay_ns)
		return 0;
	if (fts_refresh(x->user, err) < 0)
		return -1;
	find_todo(x);
	return 0;
}

int fts_index_locked(struct fts_user *user, struct obox_mailbox *mailbox, size_t *ret_unreadable,
	struct lab_error *err)
{
	struct indexing x = { .user = user, .mailbox = mailbox };
	int result = 0;

	if (!user->is_listed && fts_refresh(user, err) < 0)
		return -1;
	fts_compare_folder(user, mailbox);
	find_todo(&x);
	result = look_elsewhere(&x, err);
	if (result == 0)
		result = index_todo(&x, err);
	if (x.added > 0) {
		if (fts_builder_mails(user->newest) > 0)
			fts_save_newest(user);
		ENV_EVENT(user->env, LAB_EV_fts_index_finished,
			LAB_F_CSTR("user", obox_user_name(user->user)),
			LAB_F_CSTR("mailbox_guid", obox_mailbox_guid(mailbox)),
			LAB_F_U64("mails", x.added),
			LAB_F_CODE("code", result < 0 ? err->code : LAB_OK));
	}
	*ret_unreadable = x.unreadable;
	lab_heap_free(user->env->heap, x.todo);
	return result;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * fts-check.c - doveadm fts check: is the index what the folders are? (obox 6.1)
 */
#include "core/fts/fts-private.h"

#include <stdio.h>

#define CHECK_ARENA_MAX (256u << 20)

const char *fts_state_name(enum fts_state state)
{
	static const char *const names[] = {
#define X(name, text) [FTS_STATE_##name] = text,
		FTS_STATES(X)
#undef X
	};

	return names[state];
}

/* ---- full ---- */

struct check {
	struct fts_user *user;
	struct fts_check *ret;
	struct lab_map *present; /* mails of the folders */
	struct lab_map *folders; /* GUIDs */
};

static void check_mail(struct check *check, const struct fts_mail *mail)
{
	bool is_expunged = fts_user_is_expunged(check->user, mail);
	size_t triplets = fts_user_triplets_of(check->user, mail);
	uint8_t bytes[FTS_MAIL_BYTES];
	enum fts_state state;

	*lab_map_slot(check->present, fts_mail_key(mail, bytes)) = check;
	if (is_expunged)
		state = FTS_STATE_MISSING_UNEXPUNGED;
	else
		state = triplets > 0 ? FTS_STATE_SYNCED : FTS_STATE_MISSING;
	check->ret->counts[state]++;
}

static int check_folder(
	struct check *check, const struct obox_folder *folder, struct lab_error *err)
{
	struct obox_mailbox *mailbox;

	if (obox_mailbox_select(check->user->user, lab_view_cstr(folder->name), &mailbox, err) < 0)
		return err->code == LAB_NOT_FOUND ? 0 : -1;
	for (size_t i = 0; i < obox_mailbox_count(mailbox); i++) {
		struct fts_mail mail = fts_mail_of(mailbox, obox_mailbox_mail(mailbox, i));

		check_mail(check, &mail);
	}
	*lab_map_slot(check->folders, lab_view_cstr(obox_mailbox_guid(mailbox))) = check;
	obox_mailbox_close(&mailbox);
	return 0;
}

static int check_folders(struct check *check, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(check->user->env->heap, CHECK_ARENA_MAX);
	struct obox_folder *folders;
	size_t count;
	int result = 0;

	obox_folder_list(check->user->user, arena, &folders, &count);
	for (size_t i = 0; i < count && result == 0; i++)
		result = check_folder(check, &folders[i], err);
	lab_arena_free(&arena);
	return result;
}

static bool has_folder(const struct check *check, const struct fts_mail *mail)
{
	char guid[2 * ENV_GUID128_SIZE + 1];

	lab_hex(mail->mailbox, sizeof(mail->mailbox), guid);
	return lab_map_get(check->folders, lab_view_cstr(guid)) != NULL;
}

static void check_docs(struct check *check)
{
	struct lab_map_iter iter = lab_map_iterate(check->user->mails);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		struct fts_mail mail = fts_mail_of_key(key);
		enum fts_state state = FTS_STATE_SYNCED_EXPUNGED;

		check->ret->counts[FTS_STATE_DUPLICATE] += (uintptr_t)value > 1;
		if (lab_map_get(check->present, key) != NULL)
			continue;
		if (!fts_user_is_expunged(check->user, &mail))
			state = has_folder(check, &mail) ? FTS_STATE_UNEXPUNGED : FTS_STATE_LEAKED;
		check->ret->counts[state]++;
	}
}

static void check_expunges(struct check *check, const struct lab_map *expunges)
{
	struct lab_map_iter iter = lab_map_iterate(expunges);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		struct fts_mail mail = fts_mail_of_key(key);

		if (fts_user_triplets_of(check->user, &mail) == 0 &&
			lab_map_get(check->present, key) == NULL)
			check->ret->counts[FTS_STATE_EXPUNGE_LEAKED]++;
	}
}

static int check_locked(struct check *check, struct lab_error *err)
{
	if (fts_refresh(check->user, err) < 0 || check_folders(check, err) < 0)
		return -1;
	check_docs(check);
	/* Pending ones are in no object: what no triplet has is forgotten with the next flush. */
	check_expunges(check, check->user->expunges);
	check->ret->triplets =
		lab_map_count(check->user->triplets) + (fts_builder_mails(check->user->newest) > 0);
	return 0;
}

int fts_check_full(
	struct fts *fts, struct obox_user *user, struct fts_check *ret, struct lab_error *err)
{
	struct check check = { .user = fts_user_get(fts, user, err), .ret = ret };
	int result;

	*ret = (struct fts_check){ .triplets = 0 };
	if (check.user == NULL)
		return -1;
	check.present = lab_map_new(fts->env->heap, FTS_ENTRIES_MAX);
	check.folders = lab_map_new(fts->env->heap, FTS_OBJECTS_MAX);
	fts_user_lock(check.user);
	result = check_locked(&check, err);
	fts_user_unlock(check.user);
	lab_map_free(&check.folders);
	lab_map_free(&check.present);
	return result;
}

/* ---- fast ---- */

void fts_number_text(const struct fts_number *number, char out[FTS_NUMBER_TEXT_MAX])
{
	if (number->knowledge == FTS_UNKNOWN)
		snprintf(out, FTS_NUMBER_TEXT_MAX, "?");
	else if (number->knowledge == FTS_AT_LEAST)
		snprintf(out, FTS_NUMBER_TEXT_MAX, "%" PRIu64 "?", number->value);
	else
		snprintf(out, FTS_NUMBER_TEXT_MAX, "%" PRIu64, number->value);
}

static struct fts_number known(uint64_t value)
{
	return (struct fts_number){ value, FTS_KNOWN };
}

/* What the newest triplet has of the folder. */
static void add_newest(
	const struct fts_user *user, const struct fts_mail *of, struct fts_fast_check *ret)
{
	size_t count;
	const struct fts_doc *docs = fts_builder_docs(user->newest, &count);

	for (size_t i = 0; i < count; i++) {
		if (docs[i].part != FTS_PART_HEADER ||
			memcmp(docs[i].mail.mailbox, of->mailbox, sizeof(of->mailbox)) != 0)
			continue;
		ret->fts_count.value++;
		ret->fts_highest_uid.value =
			LAB_MAX(ret->fts_highest_uid.value, (uint64_t)docs[i].mail.uid);
	}
}

/* What S says of it. Plain S files have no counts. */
static void add_stats(
	const struct fts_user *user, const struct fts_mail *of, struct fts_fast_check *ret)
{
	for (size_t i = 0; i < user->stats.count; i++) {
		const struct fts_triplet_stats *triplet = &user->stats.triplets[i];

		for (size_t n = 0; n < triplet->folder_count; n++) {
			const struct fts_folder_stats *folder = &triplet->folders[n];

			if (memcmp(folder->mailbox, of->mailbox, sizeof(of->mailbox)) != 0)
				continue;
			ret->fts_count.value += folder->mails;
			ret->fts_highest_uid.value =
				LAB_MAX(ret->fts_highest_uid.value, (uint64_t)folder->highest_uid);
		}
	}
}

static uint64_t count_expunges(const struct lab_map *expunges, const struct fts_mail *of)
{
	struct lab_map_iter iter = lab_map_iterate(expunges);
	struct lab_view key;
	uint64_t count = 0;
	void *value;

	while (lab_map_next(&iter, &key, &value))
		count += memcmp(key.ptr, of->mailbox, sizeof(of->mailbox)) == 0;
	return count;
}

static void set_knowledge(struct fts_number *number, bool is_known)
{
	if (is_known)
		number->knowledge = FTS_KNOWN;
	else
		number->knowledge = number->value > 0 ? FTS_AT_LEAST : FTS_UNKNOWN;
}

int fts_check_fast(struct fts *fts, struct obox_user *obox, struct obox_mailbox *mailbox,
	bool refresh, struct fts_fast_check *ret, struct lab_error *err)
{
	struct fts_mail of = fts_mail_of(mailbox, &(struct obox_mail){ .uid = 0 });
	struct fts_user *user = fts_user_get(fts, obox, err);
	bool has_all;
	int result = 0;

	*ret = (struct fts_fast_check){ .autoindex = fts_does_autoindex(fts, obox,
						lab_view_cstr(obox_mailbox_name(mailbox))),
		.uidnext = known(obox_mailbox_uidnext(mailbox)),
		.mailbox_count = known(obox_mailbox_count(mailbox)) };
	if (user == NULL)
		return -1;
	fts_user_lock(user);
	if (refresh)
		result = fts_refresh(user, err);
	add_newest(user, &of, ret);
	add_stats(user, &of, ret);
	has_all = user->is_listed && (user->has_stats || lab_map_count(user->triplets) == 0);
	set_knowledge(&ret->fts_highest_uid, has_all);
	set_knowledge(&ret->fts_count,
		has_all && (!user->has_stats || user->stats.version == FTS_STATS_COUNTS));
	ret->fts_expunges.value =
		count_expunges(user->expunges, &of) + count_expunges(user->pending, &of);
	set_knowledge(&ret->fts_expunges, user->is_listed);
	ret->expected_fts_count =
		(struct fts_number){ ret->mailbox_count.value + ret->fts_expunges.value,
			ret->fts_expunges.knowledge };
	if (ret->expected_fts_count.knowledge == FTS_UNKNOWN)
		ret->expected_fts_count.knowledge = FTS_AT_LEAST;
	fts_user_unlock(user);
	return result;
}

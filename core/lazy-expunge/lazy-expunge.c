/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lazy-expunge/lazy-expunge.h"
#include "core/base/defect.h"
#include "core/env/hold.h"

#include "core/quota/quota.h"

/* ---- where it applies ---- */

bool lazy_expunge_applies(struct obox_user *user, struct lab_view folder)
{
	const struct conf_settings *conf = backend_user_settings(user);

	return conf->lazy_expunge && !lab_view_eq(conf->lazy_expunge_mailbox.text, folder) &&
	       !obox_folder_is_among(
		       user, folder, conf->lazy_expunge_exclude, conf->lazy_expunge_exclude_count);
}

/* ---- which of them are the last ---- */

struct batch {
	struct obox_user *user;
	struct obox_mailbox *from, *to;
	const uint32_t *uids;
	struct obox_result *results;
	struct obox_references *references;
	/* Those that are moved, and those that are expunged: which of the results. The parts of
	 * earlier rounds come first. */
	size_t *moved, *expunged;
	size_t moved_count, expunged_count, moved_before, expunged_before;
	/* Those that another round decides. */
	size_t *later;
	size_t later_count;
};

static bool is_same_object(const struct obox_references *a, const struct obox_references *b)
{
	return a->oid_len > 0 && a->oid_len == b->oid_len &&
	       memcmp(a->oid, b->oid, a->oid_len) == 0;
}

static void add(size_t *list, size_t *count, size_t i)
{
	list[(*count)++] = i;
}

/* One that is moved keeps the object for the others. Of those before it in this round some are
 * expunged and count no more; but counts end at nlinks-limit, so whether it is the last one is
 * asked again when they are gone. */
static void choose_part(struct batch *batch, size_t i)
{
	const struct obox_references *references = batch->references;
	unsigned gone = 0;

	for (size_t n = 0; n < batch->moved_count; n++) {
		if (is_same_object(&references[batch->moved[n]], &references[i])) {
			add(batch->expunged, &batch->expunged_count, i);
			return;
		}
	}
	for (size_t n = batch->expunged_before; n < batch->expunged_count; n++)
		gone += is_same_object(&references[batch->expunged[n]], &references[i]);
	if (references[i].count > gone + (lab_defect(LAST_COPY_EXPUNGED) ? 0 : 1) &&
		!lab_defect(EVERY_COPY_MOVED))
		add(batch->expunged, &batch->expunged_count, i);
	else if (gone > 0)
		add(batch->later, &batch->later_count, i);
	else
		add(batch->moved, &batch->moved_count, i);
}

/* Those of earlier rounds that are gone. The rows of some may be left (HD-13): to count them would
 * be to take the last copy for one of several. */
static size_t find_expunged(const struct batch *batch, const struct obox_references **ret)
{
	size_t count = 0;

	for (size_t n = 0; n < batch->expunged_before; n++) {
		size_t i = batch->expunged[n];

		if (batch->results[i].err.code == LAB_OK)
			ret[count++] = &batch->references[i];
	}
	return count;
}

static void split_by_references(struct batch *batch, const size_t *which, size_t count)
{
	struct lab_heap *heap = backend_user_env(batch->user)->heap;
	struct obox_references *counted = lab_new_array(heap, struct obox_references, count);
	uint32_t *uids = lab_new_array(heap, uint32_t, count);
	const struct obox_references **expunged =
		lab_new_array(heap, const struct obox_references *, batch->expunged_before + 1);

	for (size_t i = 0; i < count; i++)
		uids[i] = batch->uids[which[i]];
	obox_count_references(
		batch->from, uids, count, expunged, find_expunged(batch, expunged), counted);
	for (size_t i = 0; i < count; i++) {
		batch->references[which[i]] = counted[i];
		if (counted[i].err.code != LAB_OK)
			batch->results[which[i]].err = counted[i].err;
		else
			choose_part(batch, which[i]);
	}
	lab_heap_free(heap, (void *)expunged);
	lab_heap_free(heap, uids);
	lab_heap_free(heap, counted);
}

/* A row whose deletion is not certain may count, and be gone afterwards: then nobody knows which is
 * the last. Leaves those that can be decided. */
static size_t drop_undecidable(struct batch *batch, size_t *which, size_t count)
{
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		struct obox_result *result = &batch->results[which[i]];
		bool is_open = false;

		for (size_t n = 0; n < batch->expunged_count && !is_open; n++)
			is_open = batch->results[batch->expunged[n]].err.code != LAB_OK &&
				  is_same_object(&batch->references[batch->expunged[n]],
					  &batch->references[which[i]]);
		if (is_open)
			(void)lab_fail(&result->err, LAB_UNAVAILABLE,
				"another copy could not be expunged for certain");
		else
			which[left++] = which[i];
	}
	return left;
}

/* ---- the expunge ---- */

typedef int (*part_fn)(struct batch *batch, const uint32_t *uids, size_t count,
	struct obox_result *results, struct lab_error *err);

static int move_part(struct batch *batch, const uint32_t *uids, size_t count,
	struct obox_result *results, struct lab_error *err)
{
	return obox_move(batch->from, uids, count, batch->to, results, err);
}

static int expunge_part(struct batch *batch, const uint32_t *uids, size_t count,
	struct obox_result *results, struct lab_error *err)
{
	return obox_expunge(batch->from, uids, count, results, err);
}

static void do_part(struct batch *batch, const size_t *which, size_t count, part_fn fn)
{
	struct lab_heap *heap = backend_user_env(batch->user)->heap;
	struct obox_result *results = lab_new_array(heap, struct obox_result, count + 1);
	uint32_t *uids = lab_new_array(heap, uint32_t, count + 1);
	struct lab_error ignored;

	for (size_t i = 0; i < count; i++)
		uids[i] = batch->results[which[i]].uid;
	if (count > 0)
		(void)fn(batch, uids, count, results, &ignored);
	for (size_t i = 0; i < count; i++)
		batch->results[which[i]] = results[i];
	lab_heap_free(heap, uids);
	lab_heap_free(heap, results);
}

static int fail_all(struct obox_result *results, size_t count, const struct lab_error *why,
	struct lab_error *err)
{
	for (size_t i = 0; i < count; i++)
		results[i].err = *why;
	if (err != NULL)
		*err = *why;
	return -1;
}

static int first_error(const struct obox_result *results, size_t count, struct lab_error *err)
{
	for (size_t i = 0; i < count; i++) {
		if (results[i].err.code == LAB_OK)
			continue;
		if (err != NULL)
			*err = results[i].err;
		return -1;
	}
	return 0;
}

/* The UIDs were looked up: what was counted must be what goes. */
static bool check_uidvalidity(
	struct batch *batch, uint32_t uidvalidity, const size_t *which, size_t count)
{
	if (obox_mailbox_uidvalidity(batch->from) == uidvalidity)
		return true;
	for (size_t i = 0; i < count; i++)
		(void)lab_fail(&batch->results[which[i]].err, LAB_NOT_FOUND,
			"UIDVALIDITY of %s changed", obox_mailbox_name(batch->from));
	return false;
}

/* What is kept is safe before anything goes. */
static void do_round(struct batch *batch)
{
	do_part(batch, batch->moved + batch->moved_before, batch->moved_count - batch->moved_before,
		move_part);
	do_part(batch, batch->expunged + batch->expunged_before,
		batch->expunged_count - batch->expunged_before, expunge_part);
	batch->moved_before = batch->moved_count;
	batch->expunged_before = batch->expunged_count;
}

/* Each round decides on at least one mail of each object. */
static void split_and_do(struct batch *batch, size_t *which, size_t count)
{
	uint32_t uidvalidity = obox_mailbox_uidvalidity(batch->from);

	while (count > 0) {
		batch->later_count = 0;
		if (batch->references != NULL)
			split_by_references(batch, which, count);
		for (size_t i = 0; i < count && batch->references == NULL; i++)
			add(batch->moved, &batch->moved_count, which[i]);
		ENV_HOLD(
			backend_user_env(batch->user), expunges_split, obox_user_name(batch->user));
		if (!check_uidvalidity(batch, uidvalidity, which, count))
			return;
		do_round(batch);
		memcpy(which, batch->later, batch->later_count * sizeof(*which));
		count = drop_undecidable(batch, which, batch->later_count);
	}
}

/* 0, or -1: there is no folder to move to, and nothing was done. */
static int open_target(struct batch *batch, struct lab_error *err)
{
	if (obox_mailbox_open(batch->user,
		    backend_user_settings(batch->user)->lazy_expunge_mailbox.text, &batch->to,
		    err) >= 0)
		return 0;
	if (err->code == LAB_UNCERTAIN)
		err->code = LAB_UNAVAILABLE;
	return lab_error_wrap(err, "lazy_expunge");
}

int lazy_expunge(struct obox_user *user, struct obox_mailbox *mailbox, const uint32_t *uids,
	size_t count, struct obox_result *results, char ret_target[2 * ENV_GUID128_SIZE + 1],
	struct lab_error *err)
{
	struct lab_heap *heap = backend_user_env(user)->heap;
	struct batch batch = { .user = user, .from = mailbox, .uids = uids, .results = results };
	size_t *lists;
	struct lab_error refused;

	ret_target[0] = '\0';
	if (count > OBOX_BATCH ||
		!lazy_expunge_applies(user, lab_view_cstr(obox_mailbox_name(mailbox))))
		return obox_expunge(mailbox, uids, count, results, err);
	for (size_t i = 0; i < count; i++)
		results[i] = (struct obox_result){ .uid = uids[i] };
	if (open_target(&batch, &refused) < 0)
		return fail_all(results, count, &refused, err);
	memcpy(ret_target, obox_mailbox_guid(batch.to), 2 * ENV_GUID128_SIZE + 1);
	lists = lab_new_array(heap, size_t, 4 * count + 1);
	batch.moved = lists + count;
	batch.expunged = lists + 2 * count;
	batch.later = lists + 3 * count;
	for (size_t i = 0; i < count; i++)
		lists[i] = i;
	if (backend_user_settings(user)->lazy_expunge_only_last_instance)
		batch.references = lab_new_array(heap, struct obox_references, count + 1);
	split_and_do(&batch, lists, count);
	lab_heap_free(heap, batch.references);
	lab_heap_free(heap, lists);
	obox_mailbox_close(&batch.to);
	return first_error(results, count, err);
}

/* ---- autoexpunge ---- */

static const struct conf_mailbox *settings_of(
	const struct conf_settings *conf, struct lab_view folder)
{
	for (size_t i = 0; i < conf->mailbox_count; i++) {
		const struct conf_mailbox *mailbox = &conf->mailboxes[i];

		if (mailbox->autoexpunge_ns > 0 && lab_view_eq(mailbox->name, folder))
			return mailbox;
	}
	return NULL;
}

/* When it came into this folder. A mail that a listing brought has no date of its own, and its
 * object's is that of the delivery; its name was made when it came. */
static uint64_t came_ns(const struct obox_mail *mail)
{
	uint64_t named_ns = env_guid128_time(mail->name);
	uint64_t saved_ns = mail->saved > 0 ? (uint64_t)mail->saved * LAB_SEC : 0;

	if (lab_defect(OLD_BY_RECEIVED))
		return (uint64_t)LAB_MAX(mail->received, 0) * LAB_SEC;
	return LAB_MAX(named_ns, saved_ns);
}

/* The oldest ones that are to go. */
static size_t choose(const struct obox_mailbox *mailbox, const struct conf_mailbox *settings,
	uint64_t now_ns, struct obox_mail *ret, uint32_t *uids)
{
	size_t total = obox_mailbox_count(mailbox), max = settings->autoexpunge_max_mails, count;

	for (count = 0; count < LAB_MIN(total, (size_t)OBOX_BATCH); count++) {
		const struct obox_mail *mail = obox_mailbox_mail(mailbox, count);
		bool is_old = came_ns(mail) + settings->autoexpunge_ns <= now_ns;

		if (!is_old && (max == 0 || total - count <= max))
			break;
		ret[count] = *mail;
		uids[count] = mail->uid;
	}
	return count;
}

struct auto_batch {
	struct obox_mail mails[OBOX_BATCH];
	uint32_t uids[OBOX_BATCH];
	struct obox_result results[OBOX_BATCH];
};

static int expunge_old(struct obox_user *user, struct obox_mailbox *mailbox,
	const struct conf_mailbox *settings, struct auto_batch *batch, lazy_expunge_done_fn done,
	void *ctx, struct lab_error *err)
{
	struct env *env = backend_user_env(user);
	char target[2 * ENV_GUID128_SIZE + 1];
	size_t count = 0;
	int result = 0;

	do {
		/* What could not be expunged is not tried for ever. */
		count = choose(
			mailbox, settings, env_wall_us(env) * 1000, batch->mails, batch->uids);
		if (count > 0) {
			ENV_HOLD(env, old_mails_found, obox_user_name(user));
			result = lazy_expunge(
				user, mailbox, batch->uids, count, batch->results, target, err);
		}
		for (size_t i = 0; i < count; i++)
			done(ctx, &batch->mails[i], &batch->results[i]);
	} while (result == 0 && count == OBOX_BATCH);
	return result;
}

int lazy_expunge_auto(struct obox_user *user, struct lab_view folder, lazy_expunge_done_fn done,
	void *ctx, struct lab_error *err)
{
	const struct conf_mailbox *settings = settings_of(backend_user_settings(user), folder);
	struct lab_heap *heap = backend_user_env(user)->heap;
	struct obox_mailbox *mailbox = NULL;
	struct auto_batch *batch;
	struct lab_error own;
	int result;

	if (err == NULL)
		err = &own;
	if (settings == NULL)
		return 0;
	if (obox_mailbox_select(user, folder, &mailbox, err) < 0)
		return err->code == LAB_NOT_FOUND ? 0 : -1;
	batch = lab_new(heap, struct auto_batch);
	result = expunge_old(user, mailbox, settings, batch, done, ctx, err);
	lab_heap_free(heap, batch);
	obox_mailbox_close(&mailbox);
	return result;
}

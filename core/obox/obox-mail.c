/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-mail.c - the operations on mails, in the order of HD-1 (obox 3.10, 4.6, 4.7).
 */
#include "core/obox/mail-attachment.h"
#include "core/obox/obox-private.h"

#include "core/base/defect.h"
#include "core/env/buggify.h"
#include "core/env/hold.h"

#include <stdio.h>

#define PARALLEL_COPIES_MAX 32
#define FLAGS_BYTES_MAX ((size_t)1 << 30)

static struct obox_mail mail_of(const struct obox_saved *saved)
{
	struct obox_mail mail = { .uid = saved->uid,
		.oid_len = saved->oid_len,
		.bits = OBOX_MAIL_COPIED,
		.size = UINT64_MAX };

	memcpy(mail.name, saved->name, sizeof(mail.name));
	memcpy(mail.guid, saved->guid, sizeof(mail.guid));
	memcpy(mail.oid, saved->oid, saved->oid_len);
	return mail;
}

/* ---- save ---- */

/* add-flags, or as 2.3 has it, add-flags-on-save. */
static bool detects_attachments(const struct obox_mailbox *mailbox)
{
	const struct conf_settings *conf = backend_get_settings(mailbox->user->backend)->conf;

	return lab_view_find(conf->mail_attachment_detection_options.text, LAB_VIEW("add-flags")) !=
	       SIZE_MAX;
}

/* The answer goes into the object id, too: it survives whatever becomes of the index (HD-3). */
static bool detect_attachment(struct fs_file *file, struct lab_view body)
{
	bool has_attachment = mail_has_attachment(body);
	char hex[8];

	snprintf(hex, sizeof(hex), "%02x",
		has_attachment ? FS_OBJECTID_EXTRA_ATTACHMENT : FS_OBJECTID_EXTRA_NO_ATTACHMENT);
	fs_set_metadata(file, FS_METADATA_OBJECTID_EXTRA, lab_view_cstr(hex));
	return has_attachment;
}

/* 0: the caller calls obox_mailbox_end(). */
static int begin_adding(struct obox_mailbox *mailbox, struct lab_error *err)
{
	if (obox_root_begin_change(&mailbox->user->root_index, err) < 0 ||
		obox_mailbox_begin_change(mailbox, err) < 0)
		return -1;
	if (obox_upload_ahead(mailbox, err) >= 0)
		return 0;
	obox_mailbox_end(mailbox);
	return -1;
}

/* PUT, rows, index; `saved->guid` and, if it is reserved, `saved->uid` are set already. */
static int save_now(struct obox_mailbox *mailbox, const struct obox_save *mail,
	struct obox_saved *saved, struct lab_error *err)
{
	struct obox_user *user = mailbox->user;
	struct fs_file *file;
	struct obox_mail added;
	bool has_attachment;
	int64_t now;
	int result;

	if (begin_adding(mailbox, err) < 0)
		return -1;
	now = env_wall_seconds(user->env);
	file = obox_mail_create(mailbox);
	obox_mail_set_metadata(file, mailbox, mail, saved->guid, now);
	has_attachment = detects_attachments(mailbox) && detect_attachment(file, mail->body);
	fs_set_reason(user->fs, "obox:mail_save");
	mailbox->sync.saving++;
	result = fs_write(file, mail->body, err);
	ENV_HOLD(user->env, save_before_index, user->username);
	mailbox->sync.saving--;
	mailbox->sync.has_uncertain |= result < 0 && err->code == LAB_UNCERTAIN;
	obox_mail_take(file, user->env->heap, saved);
	if (result == 0) {
		added = mail_of(saved);
		added.bucket1 = obox_mail_bucket1_of(file, user->env->heap);
		added.size = quota_virtual_size(mail->body);
		added.bits = obox_reference_bits(mailbox);
		added.received = mail->received != 0 ? mail->received : now;
		added.saved = now;
		saved->uid = obox_index_append(&mailbox->index, &added);
		if (!lab_defect(DELIVERY_WITHOUT_FLAGS))
			obox_flags_add(mailbox, saved->uid, mail->flags, mail->flag_count);
		if (detects_attachments(mailbox))
			obox_flags_add_attachment(mailbox, saved->uid, has_attachment);
	}
	obox_mailbox_end(mailbox);
	fs_file_close(&file);
	return result;
}

/* The defect ack-before-put: the caller hears OK while this is still to be done. */
struct late_save {
	struct obox_mailbox *mailbox;
	struct obox_save mail;
	struct obox_saved saved;
};

static void late_save(void *arg)
{
	struct late_save *late = arg;
	struct lab_heap *heap = late->mailbox->user->env->heap;
	struct lab_error ignored;

	(void)save_now(late->mailbox, &late->mail, &late->saved, &ignored);
	lab_heap_free(heap, (void *)(uintptr_t)late->mail.body.ptr);
	obox_mailbox_close(&late->mailbox);
	lab_heap_free(heap, late);
}

static int save_later(struct obox_mailbox *mailbox, const struct obox_save *mail,
	struct obox_saved *saved, struct lab_error *err)
{
	struct env *env = mailbox->user->env;
	struct late_save *late = lab_new(env->heap, struct late_save);
	uint8_t *body = lab_heap_alloc(env->heap, mail->body.len);

	if (mail->body.len > 0)
		memcpy(body, mail->body.ptr, mail->body.len);
	saved->uid = mailbox->index.state->next_uid++;
	*late = (struct late_save){ mailbox, *mail, *saved };
	/* The caller's: this defect is about bodies. */
	late->mail.flag_count = 0;
	late->mail.body = lab_view_of(body, mail->body.len);
	mailbox->references++;
	if (env_spawn(env, "late-save", late_save, late, err) == 0)
		return 0;
	mailbox->references--;
	saved->uid = 0;
	lab_heap_free(env->heap, body);
	lab_heap_free(env->heap, late);
	return -1;
}

static void report(struct obox_mailbox *mailbox, enum lab_event_id id,
	const struct obox_saved *saved, const struct lab_error *err)
{
	char guid[OBOX_GUID_HEX + 1], name[OBOX_GUID_HEX + 1];

	lab_hex(saved->guid, sizeof(saved->guid), guid);
	lab_hex(saved->name, sizeof(saved->name), name);
	ENV_EVENT(mailbox->user->env, id, LAB_F_CSTR("user", mailbox->user->username),
		LAB_F_CSTR("mailbox", mailbox->name), LAB_F_U64("uid", saved->uid),
		LAB_F_CSTR("guid", guid), LAB_F_CSTR("name", name), LAB_F_CODE("code", err->code));
}

/* Room for so many more mails beside those that are on their way. */
static int check_room(const struct obox_mailbox *mailbox, size_t count, struct lab_error *err)
{
	size_t free = OBOX_MAILS_MAX - LAB_MIN(mailbox->index.state->count, (size_t)OBOX_MAILS_MAX);

	/* An operation is a batch at most. */
	if (count + (size_t)mailbox->operations * OBOX_BATCH <= free)
		return 0;
	return lab_fail(err, LAB_LIMIT, "folder %s has %zu mails, %d are the most", mailbox->name,
		mailbox->index.state->count, OBOX_MAILS_MAX);
}

static int admit(struct obox_mailbox *mailbox, const struct obox_save *mail, struct lab_error *err)
{
	struct quota_amount added = { 0, 1 };

	if (mail->ignores_quota || !mailbox->user->quota.is_set)
		return 0;
	added.bytes = quota_virtual_size(mail->body);
	return obox_quota_admit(mailbox, &added, added.bytes, mail->is_delivery, err);
}

int obox_save(struct obox_mailbox *mailbox, const struct obox_save *mail, struct obox_saved *ret,
	struct lab_error *err)
{
	struct lab_error own;
	int result;

	if (err == NULL)
		err = &own;
	*ret = (struct obox_saved){ 0 };
	if (mail->body.len > OBOX_MAIL_MAX)
		return lab_fail(err, LAB_LIMIT, "mail has %zu bytes, more than %u", mail->body.len,
			OBOX_MAIL_MAX);
	if (check_room(mailbox, 1, err) < 0)
		return -1;
	env_guid128_generate(mailbox->user->env, ret->guid);
	if (admit(mailbox, mail, err) < 0)
		return -1;
	if (lab_defect(ACK_BEFORE_PUT))
		result = save_later(mailbox, mail, ret, err);
	else
		result = save_now(mailbox, mail, ret, err);
	if (result == 0)
		err->code = LAB_OK;
	report(mailbox, LAB_EV_obox_save_finished, ret, err);
	return result < 0 ? lab_error_wrap(err, "save to %s", mailbox->name) : 0;
}

/* ---- fetch ---- */

static int no_such_uid(const struct obox_mailbox *mailbox, uint32_t uid, struct lab_error *err)
{
	return lab_fail(err, LAB_NOT_FOUND, "%s has no mail with UID %" PRIu32, mailbox->name, uid);
}

int obox_fetch(struct obox_mailbox *mailbox, uint32_t uid, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	const struct obox_mail *mail = obox_index_find(&mailbox->index, uid);
	uint8_t name[ENV_GUID128_SIZE];
	const struct obox_mail *present;
	struct fs_file *file;
	struct lab_error own;
	int result;

	if (err == NULL)
		err = &own;
	if (mail == NULL)
		return no_such_uid(mailbox, uid, err);
	memcpy(name, mail->name, sizeof(name));
	file = obox_mail_open(mailbox, mail, FS_OPEN_READONLY);
	fs_set_reason(mailbox->user->fs, "obox:mail_read");
	result = fs_read(file, arena, OBOX_MAIL_MAX, ret, err);
	fs_file_close(&file);
	present = obox_index_find_name(&mailbox->index, name);
	if (result == 0 && present != NULL)
		obox_size_read(mailbox, present->uid, *ret);
	if (result < 0 && err->code == LAB_NOT_FOUND && obox_mail_lost(mailbox, name) > 0) {
		*ret = LAB_VIEW("");
		return 0;
	}
	return result < 0 ? lab_error_wrap(err, "fetch UID %" PRIu32 " of %s", uid, mailbox->name)
			  : 0;
}

struct prefetch {
	struct obox_mailbox *mailbox;
	const uint32_t *uids;
	obox_take_fn take;
	void *ctx;
};

static void prefetch_one(void *ctx, size_t i)
{
	struct prefetch *p = ctx;
	struct lab_arena *arena =
		lab_arena_new(p->mailbox->user->env->heap, 2 * (size_t)OBOX_MAIL_MAX);
	struct lab_view body = { NULL, 0 };
	struct lab_error err = { .code = LAB_OK };

	if (obox_fetch(p->mailbox, p->uids[i], arena, &body, &err) < 0)
		body.len = 0;
	else
		err.code = LAB_OK;
	p->take(p->ctx, i, body, &err);
	lab_arena_free(&arena);
}

void obox_fetch_many(struct obox_mailbox *mailbox, const uint32_t *uids, size_t count,
	obox_take_fn take, void *ctx)
{
	struct prefetch p = { mailbox, uids, take, ctx };
	unsigned parallel = backend_get_settings(mailbox->user->backend)->conf->mail_prefetch_count;

	if (ENV_BUGGIFY(mailbox->user->env, fetch_one_by_one))
		parallel = 1;
	env_for_each(mailbox->user->env, count, LAB_MAX(1u, parallel), prefetch_one, &p);
}

/* ---- copy ---- */

struct copied {
	struct obox_mail added;           /* what the index gets */
	uint8_t source[ENV_GUID128_SIZE]; /* its name */
	struct lab_view *flags;           /* of the source, in the batch's arena */
	size_t flag_count;
};

struct copy_batch {
	struct obox_mailbox *from, *to;
	struct obox_result *results;
	struct copied *copies;
	struct lab_arena *arena;
	bool is_move;
	bool is_written; /* obox_disable_fast_copy: each copy is a save of what was read */
};

static void keep_flags(const struct copy_batch *batch, uint32_t uid, struct copied *copied)
{
	if (!lab_defect(COPY_WITHOUT_FLAGS))
		copied->flag_count =
			obox_flags_keep(batch->from, uid, batch->arena, &copied->flags);
}

static int copy_one(struct copy_batch *batch, struct obox_result *result, struct copied *copied)
{
	struct obox_mail *added = &copied->added;
	const struct obox_mail *found = obox_index_find(&batch->from->index, result->uid);
	struct obox_mail source;
	struct fs_file *from, *to;
	int status;

	if (found == NULL)
		return no_such_uid(batch->from, result->uid, &result->err);
	source = *found;
	memcpy(copied->source, source.name, sizeof(copied->source));
	keep_flags(batch, result->uid, copied);
	if (!batch->is_written)
		result->is_sole = obox_reference_begin(batch->from, result->uid, batch->is_move);
	from = obox_mail_open(batch->from, &source, FS_OPEN_READONLY);
	to = obox_mail_create(batch->to);
	status = batch->is_written
			 ? obox_mail_copy_contents(from, to, batch->to, &source, &result->err)
			 : fs_copy(from, to, &result->err);
	memcpy(result->saved.guid, source.guid, sizeof(source.guid));
	ENV_HOLD(batch->to->user->env, copy_before_index, batch->to->user->username);
	obox_mail_take(to, batch->to->user->env->heap, &result->saved);
	*added = mail_of(&result->saved);
	if (status == 0)
		added->bucket1 = obox_mail_bucket1_of(to, batch->to->user->env->heap);
	added->size = source.size;
	added->received = source.received;
	added->saved = env_wall_seconds(batch->to->user->env);
	fs_file_close(&to);
	fs_file_close(&from);
	return status;
}

static void copy_of_batch(void *ctx, size_t i)
{
	struct copy_batch *batch = ctx;
	struct obox_result *result = &batch->results[i];

	result->copied = copy_one(batch, result, &batch->copies[i]) == 0;
	if (result->copied)
		result->err.code = LAB_OK;
}

/* With the flags that the source has now, or had when it was still there: it may have been expunged
 * or numbered anew meanwhile. */
static void append_copy(struct copy_batch *batch, struct obox_result *result, struct copied *copied)
{
	const struct obox_mail *source = obox_index_find_name(&batch->from->index, copied->source);

	if (source != NULL)
		keep_flags(batch, source->uid, copied);
	obox_reference_added(batch->to, result, &copied->added);
	result->saved.uid = copied->added.uid;
	obox_flags_add(batch->to, result->saved.uid, copied->flags, copied->flag_count);
}

/* UIDs in the order in which the mails were asked for, whichever copy came to its end first. */
static void append_copies(struct copy_batch *batch, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct obox_result *result = &batch->results[i];

		batch->to->sync.has_uncertain |= result->err.code == LAB_UNCERTAIN;
		if (result->copied)
			append_copy(batch, result, &batch->copies[i]);
		report(batch->to, LAB_EV_obox_copy_finished, &result->saved, &result->err);
	}
}

/* A client is about to see them. If they might become others, it sees none (no COPYUID). */
static void tell_uids(struct copy_batch *batch, size_t count)
{
	struct lab_error ignored;

	if (lab_defect(COPYUID_BEFORE_UPLOAD) ||
		obox_upload(batch->to, OBOX_UPLOAD_UIDS, "obox:mailbox_uids_non_reproducible",
			&ignored) >= 0)
		return;
	for (size_t i = 0; i < count; i++)
		batch->results[i].saved.uid = 0;
}

/* Every result says so. */
static int refuse_batch(struct obox_result *results, size_t count, const struct lab_error *refused,
	struct lab_error *err)
{
	for (size_t i = 0; i < count; i++)
		results[i].err = *refused;
	if (err != NULL)
		*err = *refused;
	return -1;
}

/* How many run at a time: what is read and written is a save (obox 4.6). */
static unsigned parallel_of(const struct copy_batch *batch, size_t count)
{
	const struct obox_user *user = batch->to->user;
	const struct conf_settings *conf = backend_get_settings(user->backend)->conf;
	unsigned most =
		batch->is_written ? conf->obox_max_parallel_writes : conf->obox_max_parallel_copies;

	most = LAB_MAX(1u, LAB_MIN(most, PARALLEL_COPIES_MAX));
	if (batch->is_written && count > most)
		ENV_EVENT(user->env, LAB_EV_obox_save_throttling,
			LAB_F_CSTR("user", user->username), LAB_F_CSTR("mailbox", batch->to->name),
			LAB_F_U64("pending_save", most), LAB_F_U64("pending_copy", 0));
	return most;
}

static void copy_results(struct copy_batch *batch, size_t count)
{
	struct obox_user *user = batch->to->user;
	struct lab_error err;

	batch->is_written = backend_get_settings(user->backend)->conf->obox_disable_fast_copy;
	if (begin_adding(batch->to, &err) < 0) {
		(void)refuse_batch(batch->results, count, &err, NULL);
		return;
	}
	batch->copies = lab_new_array(user->env->heap, struct copied, count);
	batch->arena = lab_arena_new(user->env->heap, FLAGS_BYTES_MAX);
	fs_set_reason(user->fs, "obox:mail_copy");
	batch->to->sync.saving++;
	env_for_each(user->env, count, parallel_of(batch, count), copy_of_batch, batch);
	append_copies(batch, count);
	batch->to->sync.saving--;
	tell_uids(batch, count);
	obox_mailbox_end(batch->to);
	lab_arena_free(&batch->arena);
	lab_heap_free(user->env->heap, batch->copies);
}

/* `to` is NULL where nothing is added. */
static int start_batch(const uint32_t *uids, size_t count, const struct obox_mailbox *to,
	struct obox_result *results, struct lab_error *err)
{
	struct lab_error refused;

	for (size_t i = 0; i < count; i++)
		results[i] = (struct obox_result){ .uid = uids[i] };
	if (count > OBOX_BATCH) {
		lab_fail(&refused, LAB_LIMIT, "%zu mails in one call, more than %d", count,
			OBOX_BATCH);
		return refuse_batch(results, count, &refused, err);
	}
	if (to != NULL && check_room(to, count, &refused) < 0)
		return refuse_batch(results, count, &refused, err);
	return 0;
}

static int admit_batch(struct copy_batch *batch, const uint32_t *uids, size_t count, bool is_move,
	struct lab_error *err)
{
	struct lab_error refused;

	if (obox_quota_admit_copies(batch->from, uids, count, batch->to, is_move, &refused) == 0)
		return 0;
	return refuse_batch(batch->results, count, &refused, err);
}

/* -1 and the first error if any result has one. */
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

int obox_copy(struct obox_mailbox *from, const uint32_t *uids, size_t count,
	struct obox_mailbox *to, struct obox_result *results, struct lab_error *err)
{
	struct copy_batch batch = { .from = from, .to = to, .results = results };

	lab_assert(from->user == to->user);
	if (start_batch(uids, count, to, results, err) < 0 ||
		admit_batch(&batch, uids, count, false, err) < 0)
		return -1;
	copy_results(&batch, count);
	return first_error(results, count, err);
}

/* ---- expunge ---- */

struct expunge_batch {
	struct obox_result **results; /* of the mails that are there */
	struct fs_file **files;
	struct lab_error *errors;
	size_t count;
};

static void finish_expunge(
	struct obox_mailbox *mailbox, struct obox_result *result, const struct lab_error *err)
{
	result->err = *err;
	/* Already gone: another backend expunged it, which is what was asked for. */
	if (err->code == LAB_NOT_FOUND)
		result->err.code = LAB_OK;
	report(mailbox, LAB_EV_obox_expunge_finished, &(struct obox_saved){ .uid = result->uid },
		&result->err);
}

static void expunge_batch(struct obox_mailbox *mailbox, struct expunge_batch *batch)
{
	struct lab_heap *heap = mailbox->user->env->heap;
	uint32_t *gone = lab_new_array(heap, uint32_t, batch->count + 1);
	struct lab_error ignored;
	size_t count = 0;

	ENV_HOLD(mailbox->user->env, expunge_before_rows, mailbox->user->username);
	fs_set_reason(mailbox->user->fs, "obox:mail_expunge");
	(void)fs_delete_many(batch->files, batch->count, batch->errors, &ignored);
	ENV_HOLD(mailbox->user->env, expunge_before_index, mailbox->user->username);
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->errors[i].code == LAB_OK || batch->errors[i].code == LAB_NOT_FOUND)
			gone[count++] = batch->results[i]->uid;
		/* Before its record goes. */
		if (batch->results[i]->is_sole)
			batch->results[i]->is_sole =
				obox_reference_is_sole(mailbox, batch->results[i]);
	}
	obox_index_expunge(&mailbox->index, gone, count);
	if (lab_defect(UIDNEXT_AFTER_LAST) && mailbox->index.state->count > 0)
		mailbox->index.state->next_uid =
			obox_mailbox_mail(mailbox, mailbox->index.state->count - 1)->uid + 1;
	for (size_t i = 0; i < batch->count; i++) {
		fs_file_close(&batch->files[i]);
		finish_expunge(mailbox, batch->results[i], &batch->errors[i]);
	}
	lab_heap_free(heap, gone);
}

/* Without the mails that go, a recovery would give their UIDs to others (obox 4.8): a bundle must
 * know them first. Else they stay. */
static int keep_uids(struct obox_mailbox *mailbox, const struct obox_result *results, size_t count,
	struct lab_error *err)
{
	uint32_t highest = 0;

	for (size_t i = 0; i < count; i++) {
		if (results[i].err.code == LAB_OK &&
			obox_index_find(&mailbox->index, results[i].uid) != NULL)
			highest = LAB_MAX(highest, results[i].uid);
	}
	if (highest == 0 || obox_upload_below(mailbox, highest, err) >= 0)
		return 0;
	/* It is the upload that is uncertain. */
	if (err->code == LAB_UNCERTAIN)
		err->code = LAB_UNAVAILABLE;
	obox_mailbox_end(mailbox);
	return -1;
}

/* No rescan from here on: a UID means the same mail to the end. */
static int begin_expunge(struct obox_mailbox *mailbox, struct obox_result *results, size_t count)
{
	struct lab_error err;

	if (obox_root_begin_change(&mailbox->user->root_index, &err) == 0 &&
		obox_mailbox_begin_change(mailbox, &err) == 0 &&
		keep_uids(mailbox, results, count, &err) == 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (results[i].err.code == LAB_OK)
			results[i].err = err;
	}
	return -1;
}

static void open_expunged(struct obox_mailbox *mailbox, struct obox_result *results, size_t count,
	struct expunge_batch *batch)
{
	for (size_t i = 0; i < count; i++) {
		const struct obox_mail *mail = obox_index_find(&mailbox->index, results[i].uid);

		if (results[i].err.code != LAB_OK)
			continue;
		if (mail == NULL) {
			no_such_uid(mailbox, results[i].uid, &results[i].err);
			continue;
		}
		batch->results[batch->count] = &results[i];
		batch->files[batch->count] = obox_mail_open(mailbox, mail, FS_OPEN_READONLY);
		obox_reference_tell(mailbox, &results[i], mail, batch->files[batch->count++]);
	}
}

/* Those of the results that have no error yet. */
static void expunge_results(struct obox_mailbox *mailbox, struct obox_result *results, size_t count)
{
	struct lab_heap *heap = mailbox->user->env->heap;
	struct expunge_batch batch = { lab_new_array(heap, struct obox_result *, count),
		lab_new_array(heap, struct fs_file *, count),
		lab_new_array(heap, struct lab_error, count), 0 };

	if (begin_expunge(mailbox, results, count) == 0) {
		open_expunged(mailbox, results, count, &batch);
		expunge_batch(mailbox, &batch);
		obox_mailbox_end(mailbox);
	}
	lab_heap_free(heap, batch.errors);
	lab_heap_free(heap, batch.files);
	lab_heap_free(heap, batch.results);
}

int obox_expunge(struct obox_mailbox *mailbox, const uint32_t *uids, size_t count,
	struct obox_result *results, struct lab_error *err)
{
	if (start_batch(uids, count, NULL, results, err) < 0)
		return -1;
	expunge_results(mailbox, results, count);
	return first_error(results, count, err);
}

int obox_move(struct obox_mailbox *from, const uint32_t *uids, size_t count,
	struct obox_mailbox *to, struct obox_result *results, struct lab_error *err)
{
	struct copy_batch batch = { .from = from, .to = to, .results = results, .is_move = true };

	lab_assert(from->user == to->user);
	if (start_batch(uids, count, to, results, err) < 0 ||
		admit_batch(&batch, uids, count, true, err) < 0)
		return -1;
	copy_results(&batch, count);
	ENV_HOLD(from->user->env, move_copied, from->user->username);
	for (size_t i = 0; i < count && lab_defect(MOVE_EXPUNGES_UNCOPIED); i++)
		results[i].err.code = LAB_OK;
	/* Only what was copied is expunged: its error is LAB_OK. */
	expunge_results(from, results, count);
	for (size_t i = 0; i < count; i++)
		obox_reference_end(from, to, &results[i]);
	return first_error(results, count, err);
}

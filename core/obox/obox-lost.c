/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-lost.c - mails whose objects are not there: what is mended, and what their reader is told
 * (obox 3.9, 4.5, 7.1).
 */
#include "core/obox/obox-private.h"

#define METADATA_BYTES_MAX (1024 * 1024)

static void report(struct obox_mailbox *mailbox, uint32_t uid, const char *message)
{
	ENV_EVENT(mailbox->user->env, LAB_EV_log_message, LAB_F_CSTR("area", "obox"),
		LAB_F_CSTR("message", message), LAB_F_CSTR("user", mailbox->user->username),
		LAB_F_CSTR("mailbox", mailbox->name), LAB_F_U64("uid", uid));
}

static void report_dropped(struct obox_mailbox *mailbox, uint32_t uid, const uint8_t *name)
{
	char hex[OBOX_GUID_HEX + 1];

	lab_hex(name, ENV_GUID128_SIZE, hex);
	ENV_EVENT(mailbox->user->env, LAB_EV_obox_mail_dropped,
		LAB_F_CSTR("user", mailbox->user->username), LAB_F_CSTR("mailbox", mailbox->name),
		LAB_F_CSTR("mailbox_guid", mailbox->guid), LAB_F_U64("uid", uid),
		LAB_F_CSTR("name", hex));
}

/* Of the mail as it is now. */
static struct fs_file *open_now(struct obox_mailbox *mailbox, const uint8_t *name)
{
	const struct obox_mail *mail = obox_index_find_name(&mailbox->index, name);
	struct obox_mail copy;

	if (mail == NULL)
		return NULL;
	copy = *mail;
	return obox_mail_open(mailbox, &copy, FS_OPEN_READONLY);
}

/* HEAD: storage says so itself. Nothing else counts, least of all that it did not answer. */
static bool object_is_gone(struct obox_mailbox *mailbox, const uint8_t *name)
{
	struct fs_file *file = open_now(mailbox, name);
	struct lab_arena *arena = lab_arena_new(mailbox->user->env->heap, METADATA_BYTES_MAX);
	struct lab_error err = { .code = LAB_OK };
	struct lab_view guid;
	bool is_gone = file != NULL && fs_get_metadata(file, "guid", arena, &guid, &err) < 0 &&
		       err.code == LAB_NOT_FOUND;

	fs_file_close(&file);
	lab_arena_free(&arena);
	return is_gone;
}

/* Without the mail, a recovery would give its UID to another one: a bundle must know it first, as
 * for an expunge (obox 4.8). */
static void drop(struct obox_mailbox *mailbox, const uint8_t *name)
{
	const struct obox_mail *mail;
	struct lab_error ignored;
	uint32_t uid = 0;

	if (obox_mailbox_begin_change(mailbox, &ignored) < 0)
		return;
	mail = obox_index_find_name(&mailbox->index, name);
	if (mail != NULL)
		uid = mail->uid;
	if (uid != 0 && obox_upload_below(mailbox, uid, &ignored) >= 0) {
		obox_index_expunge(&mailbox->index, &(uint32_t){ uid }, 1);
		report_dropped(mailbox, uid, name);
	}
	obox_mailbox_end(mailbox);
}

/* obox_autofix_storage: the folder is listed; what is still in it, and not in storage, goes from
 * the index. Its row stays. */
static void autofix(struct obox_mailbox *mailbox, const uint8_t *name)
{
	struct lab_error ignored;

	if (obox_mailbox_rescan(mailbox, &ignored) == 0 && object_is_gone(mailbox, name))
		drop(mailbox, name);
}

int obox_mail_lost(struct obox_mailbox *mailbox, const uint8_t name[ENV_GUID128_SIZE])
{
	const struct conf_settings *conf = backend_get_settings(mailbox->user->backend)->conf;
	const struct obox_mail *mail = obox_index_find_name(&mailbox->index, name);
	struct fs_file *file;
	struct lab_error ignored;
	uint32_t uid;
	int has_row;

	if (mail == NULL || (!conf->obox_autofix_storage && !conf->obox_fetch_lost_mails_as_empty))
		return 0;
	uid = mail->uid;
	/* Before it may be dropped: this reader still has it. */
	file = open_now(mailbox, name);
	has_row = conf->obox_fetch_lost_mails_as_empty ? fs_exists(file, &ignored) : 0;
	fs_file_close(&file);
	if (has_row > 0)
		report(mailbox, uid, "a lost mail is read as empty");
	if (conf->obox_autofix_storage)
		autofix(mailbox, name);
	return has_row > 0;
}

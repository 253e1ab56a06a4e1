/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-mail-object.c - the object of a mail: opened, its metadata, what a write or copy made of it,
 * and copies that are objects of their own (obox 4.1, 4.3, 4.5).
 */
#include "core/obox/obox-private.h"

#include <stdio.h>

#define PATH_BYTES_MAX 1024

/* ---- opening it ---- */

static struct fs_file *open_path(
	struct obox_mailbox *mailbox, const char *name, enum fs_open_mode mode)
{
	char path[PATH_BYTES_MAX];
	int n = snprintf(
		path, sizeof(path), "%s/mailboxes/%s/%s", mailbox->user->root, mailbox->guid, name);

	lab_assert(n > 0 && n < (int)sizeof(path));
	return fs_file_open(mailbox->user->fs, lab_view_of(path, (size_t)n), mode);
}

struct fs_file *obox_mail_create(struct obox_mailbox *mailbox)
{
	return open_path(mailbox, "", FS_OPEN_CREATE_UNIQUE_128);
}

struct fs_file *obox_mail_open(
	struct obox_mailbox *mailbox, const struct obox_mail *mail, enum fs_open_mode mode)
{
	char name[OBOX_GUID_HEX + 1], oid[2 * OBOX_OID_BYTES_MAX + 1];
	struct fs_file *file;

	lab_hex(mail->name, sizeof(mail->name), name);
	lab_hex(mail->oid, mail->oid_len, oid);
	file = open_path(mailbox, name, mode);
	if (mail->oid_len > 0 &&
		!backend_get_settings(mailbox->user->backend)->conf->obox_dont_use_object_ids)
		fs_set_metadata(file, FS_METADATA_OBJECTID, lab_view_cstr(oid));
	if (mail->bucket1 > 0) {
		char bucket[8];

		snprintf(bucket, sizeof(bucket), "%u", mail->bucket1 - 1u);
		fs_set_metadata(file, FS_METADATA_VERSION, lab_view_cstr(bucket));
	}
	return file;
}

/* ---- its metadata ---- */

static void set_number(struct fs_file *file, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	fs_set_metadata(file, key, lab_view_cstr(text));
}

void obox_mail_set_metadata(struct fs_file *file, struct obox_mailbox *mailbox,
	const struct obox_save *mail, const uint8_t guid[ENV_GUID128_SIZE], int64_t now)
{
	char hex[OBOX_GUID_HEX + 1];

	lab_hex(guid, ENV_GUID128_SIZE, hex);
	fs_set_metadata(file, "username", lab_view_cstr(mailbox->user->username));
	fs_set_metadata(file, "guid", lab_view_cstr(hex));
	set_number(file, "size", quota_virtual_size(mail->body));
	set_number(file, "received", (uint64_t)(mail->received != 0 ? mail->received : now));
	set_number(file, "saved", (uint64_t)now);
	fs_set_metadata(file, "origbox", lab_view_cstr(mailbox->guid));
}

/* ---- what a write or copy made ---- */

static void take_name(struct lab_view path, uint8_t name[ENV_GUID128_SIZE])
{
	uint8_t made[ENV_GUID128_SIZE];

	if (path.len >= OBOX_GUID_HEX &&
		lab_unhex(lab_view_skip(path, path.len - OBOX_GUID_HEX), made, sizeof(made)) == 0)
		memcpy(name, made, sizeof(made));
}

static void take_object_id(struct fs_file *file, struct lab_heap *heap, struct obox_saved *saved)
{
	struct lab_arena *arena = lab_arena_new(heap, 65536);
	struct lab_view oid;

	if (fs_get_metadata(file, FS_METADATA_OBJECTID, arena, &oid, NULL) > 0 &&
		oid.len / 2 <= sizeof(saved->oid) && lab_unhex(oid, saved->oid, oid.len / 2) == 0)
		saved->oid_len = (uint8_t)(oid.len / 2);
	lab_arena_free(&arena);
}

void obox_mail_take(struct fs_file *file, struct lab_heap *heap, struct obox_saved *saved)
{
	take_name(fs_file_path(file), saved->name);
	take_object_id(file, heap, saved);
}

uint16_t obox_mail_bucket1(struct lab_view version)
{
	uint64_t bucket;

	return lab_view_to_u64(version, &bucket) == 0 && bucket < UINT16_MAX
		       ? (uint16_t)(bucket + 1)
		       : 0;
}

uint16_t obox_mail_bucket1_of(struct fs_file *file, struct lab_heap *heap)
{
	struct lab_arena *arena = lab_arena_new(heap, 65536);
	struct lab_view version;
	uint16_t bucket1 = 0;

	if (fs_get_metadata(file, FS_METADATA_VERSION, arena, &version, NULL) > 0)
		bucket1 = obox_mail_bucket1(version);
	lab_arena_free(&arena);
	return bucket1;
}

/* ---- copies with an object of their own ---- */

/* What the index does not know of a mail that a listing brought. One request at most. */
static int learn(struct obox_mailbox *mailbox, struct fs_file *from, struct lab_arena *arena,
	struct obox_mail *mail, struct lab_error *err)
{
	static const uint8_t unknown[ENV_GUID128_SIZE];
	struct lab_view text;
	uint64_t received;
	int found;

	if (memcmp(mail->guid, unknown, sizeof(unknown)) == 0) {
		found = fs_get_metadata(from, "guid", arena, &text, err);
		if (found < 0)
			return -1;
		/* Nobody knows it: the copy is a mail of its own. */
		if (found == 0 || lab_unhex(text, mail->guid, sizeof(mail->guid)) < 0)
			env_guid128_generate(mailbox->user->env, mail->guid);
	}
	if (mail->received != 0)
		return 0;
	found = fs_get_metadata(from, "received", arena, &text, err);
	if (found > 0 && lab_view_to_u64(text, &received) == 0 && received <= INT64_MAX)
		mail->received = (int64_t)received;
	return LAB_MIN(found, 0);
}

/* What its id says of a mail is so of the copy, too (HD-3). */
static void keep_extra(struct fs_file *to, const struct obox_mail *mail)
{
	unsigned extra = fs_objectid_extra(mail->oid, mail->oid_len);
	char hex[9];

	if (extra == 0)
		return;
	snprintf(hex, sizeof(hex), "%02x", extra);
	fs_set_metadata(to, FS_METADATA_OBJECTID_EXTRA, lab_view_cstr(hex));
}

int obox_mail_copy_contents(struct fs_file *from, struct fs_file *to, struct obox_mailbox *mailbox,
	struct obox_mail *mail, struct lab_error *err)
{
	struct env *env = mailbox->user->env;
	struct lab_arena *arena = lab_arena_new(env->heap, 2 * (size_t)OBOX_MAIL_MAX);
	struct obox_save save = { .body = { NULL, 0 } };
	int result = fs_read(from, arena, OBOX_MAIL_MAX, &save.body, err);

	if (result == 0)
		result = learn(mailbox, from, arena, mail, err);
	if (result == 0) {
		mail->size = quota_virtual_size(save.body);
		save.received = mail->received;
		obox_mail_set_metadata(to, mailbox, &save, mail->guid, env_wall_seconds(env));
		keep_extra(to, mail);
		result = fs_write(to, save.body, err);
	}
	lab_arena_free(&arena);
	return result;
}

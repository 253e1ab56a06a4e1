/* SPDX-License-Identifier: Apache-2.0
 *
 * bundle-upload.c - a bundle is uploaded, then what it replaces is deleted (obox 5.3, HD-8, HD-12).
 */
#include "core/obox/bundle-store-private.h"
#include "core/base/defect.h"
#include "core/env/hold.h"

#include <stdio.h>

/* Superseded bundles whose deletion failed; the oldest is given up, a leak. */
#define LEFT_MAX 64

/* ---- deleting ---- */

/* What it says is in a bundle that is there: it goes, now or later. */
static void leave(struct obox_bundles *bundles, struct bundle_entry *entry, bool is_overwritten)
{
	entry->status = BUNDLE_LEFT;
	if (is_overwritten && bundles_is_own_row(bundles, entry))
		bundles_set_text(entry->version, sizeof(entry->version), LAB_VIEW(FS_VERSION_GONE));
}

static void report_left(const struct obox_bundles *bundles, const struct bundle_entry *entry,
	const char *message, const struct lab_error *err)
{
	ENV_EVENT(bundles->settings.env, LAB_EV_log_message, LAB_F_CSTR("area", "metacache"),
		LAB_F_CSTR("message", message), LAB_F_CSTR("filename", entry->name),
		LAB_F_CSTR("error", err == NULL ? "" : err->message));
}

static size_t open_left(const struct obox_bundles *bundles, struct fs_file **files, size_t *places)
{
	size_t n = 0;

	for (size_t i = 0; i < bundles->count; i++) {
		const struct bundle_entry *entry = &bundles->entries[i];

		if (entry->status != BUNDLE_LEFT)
			continue;
		files[n] = bundles_open_entry(bundles, entry);
		if (entry->version[0] != '\0')
			fs_set_metadata(
				files[n], FS_METADATA_VERSION, lab_view_cstr(entry->version));
		places[n++] = i;
	}
	return n;
}

/* Rows, then objects. What fails stays for the next time. 0, or -1 with the first error. */
static int delete_left(struct obox_bundles *bundles, struct lab_error *err)
{
	struct lab_heap *heap = bundles_heap(bundles);
	struct fs_file **files = lab_new_array(heap, struct fs_file *, bundles->count + 1);
	size_t *places = lab_new_array(heap, size_t, bundles->count + 1);
	struct lab_error *results;
	size_t n = open_left(bundles, files, places);
	int result = 0;

	results = lab_new_array(heap, struct lab_error, n + 1);
	if (n > 0) {
		bundles_begin_request(bundles);
		result = fs_delete_many(files, n, results, err);
		bundles_end_request(bundles);
	}
	while (n-- > 0) {
		struct bundle_entry *entry = &bundles->entries[places[n]];

		fs_file_close(&files[n]);
		if (results[n].code == LAB_OK || results[n].code == LAB_NOT_FOUND)
			bundles_remove(bundles, places[n]);
		else
			report_left(bundles, entry, "a replaced bundle could not be deleted",
				&results[n]);
	}
	lab_heap_free(heap, results);
	lab_heap_free(heap, places);
	lab_heap_free(heap, files);
	return result;
}

/* What cannot be deleted must not grow for ever. */
static void give_up_oldest(struct obox_bundles *bundles)
{
	size_t left = 0;

	for (size_t i = bundles->count; i-- > 0;) {
		if (bundles->entries[i].status != BUNDLE_LEFT || ++left <= LEFT_MAX)
			continue;
		report_left(
			bundles, &bundles->entries[i], "a replaced bundle is left for good", NULL);
		bundles_remove(bundles, i);
	}
}

/* The defect old-bundle-first. */
void obox_bundles_drop_own(struct obox_bundles *bundles)
{
	struct lab_error ignored;

	for (size_t i = 0; i < bundles->count; i++) {
		if (bundles->entries[i].status == BUNDLE_MERGED && bundles->entries[i].is_own &&
			bundles->entries[i].id.kind != OBOX_BUNDLE_BASE)
			leave(bundles, &bundles->entries[i], false);
	}
	(void)delete_left(bundles, &ignored);
}

int obox_bundles_delete_all(struct obox_bundles *bundles, const char *reason, struct lab_error *err)
{
	struct lab_error own;

	if (err == NULL)
		err = &own;
	for (size_t i = 0; i < bundles->count; i++)
		leave(bundles, &bundles->entries[i], false);
	fs_set_reason(bundles->settings.fs, reason);
	(void)delete_left(bundles, err);
	return bundles->count == 0 ? 0 : -1;
}

/* ---- upload ---- */

static int new_name(const struct obox_bundles *bundles, const struct obox_bundle_upload *upload,
	struct obox_bundle_name *ret, struct lab_error *err)
{
	struct env *env = bundles->settings.env;
	uint64_t now = env_wall_us(env);

	*ret = (struct obox_bundle_name){ .kind = upload->kind };
	if (upload->kind != OBOX_BUNDLE_DIFF) {
		ret->seconds = (uint32_t)(now / 1000000);
		ret->usecs = (uint32_t)(now % 1000000);
		env_guid128_generate(env, ret->guid);
		return 0;
	}
	if (obox_bundle_name_parse(upload->base, ret) < 0 || ret->kind != OBOX_BUNDLE_BASE ||
		!obox_bundles_has(bundles, ret))
		return lab_fail(err, LAB_INVALID, "%.*s is no base that a diff could belong to",
			LAB_VIEW_ARG(upload->base));
	ret->kind = OBOX_BUNDLE_DIFF;
	env_guid128_generate(env, ret->diff_guid);
	return 0;
}

static int check_known(const struct obox_bundles *bundles, struct lab_error *err)
{
	if (!bundles->is_listed)
		return lab_fail(err, LAB_INVALID, "bundles were never listed");
	for (size_t i = 0; i < bundles->count; i++) {
		if (bundles->entries[i].status == BUNDLE_LISTED)
			return lab_fail(err, LAB_INVALID, "bundle %s is listed, but not merged",
				bundles->entries[i].name);
	}
	return 0;
}

static bool has_dictmap(struct fs *fs)
{
	while (fs != NULL && strcmp(fs_driver_name(fs), "dictmap") != 0)
		fs = fs_parent(fs);
	return fs != NULL;
}

/* For its deletion, some day: which object and which row it is. */
static void take_row(struct obox_bundles *bundles, struct fs_file *file, struct bundle_entry *entry)
{
	struct lab_arena *arena = lab_arena_new(bundles_heap(bundles), 65536);
	struct lab_view value;

	if (fs_get_metadata(file, FS_METADATA_OBJECTID, arena, &value, NULL) > 0)
		bundles_set_text(entry->oid, sizeof(entry->oid), value);
	if (fs_get_metadata(file, FS_METADATA_VERSION, arena, &value, NULL) > 0)
		bundles_set_text(entry->version, sizeof(entry->version), value);
	lab_arena_free(&arena);
}

/* obox 4.3; fs-dictmap adds fname. */
static void set_bundle_metadata(
	const struct obox_bundles *bundles, struct fs_file *file, size_t size)
{
	char text[24];

	snprintf(text, sizeof(text), "%zu", size);
	fs_set_metadata(file, "username", lab_view_cstr(bundles->settings.username));
	fs_set_metadata(file, "size", lab_view_cstr(text));
	if (bundles->settings.mailbox_guid != NULL)
		fs_set_metadata(
			file, "mailbox-guid", lab_view_cstr(bundles->settings.mailbox_guid));
}

static void hold_before_put(const struct obox_bundles *bundles)
{
	const struct obox_bundles_settings *s = &bundles->settings;

	if (s->mailbox_guid != NULL)
		ENV_HOLD(s->env, bundle_before_put, s->username);
	else
		ENV_HOLD(s->env, root_before_put, s->username);
}

/* PUT and INSERT. *entry tells what was, or may have been, written. */
static int write_bundle(struct obox_bundles *bundles, const struct obox_bundle_upload *upload,
	struct bundle_entry *entry, size_t *ret_size, struct lab_error *err)
{
	struct obox_bundle bundle = { .kind = upload->kind,
		.host = lab_view_cstr(bundles->settings.env->hostname),
		.base = upload->base,
		.uidvalidity = upload->uidvalidity,
		.next_uid = upload->next_uid,
		.highest_modseq = upload->highest_modseq,
		.file_count = upload->file_count };
	struct fs_file *file = bundles_open(bundles, entry->name, FS_OPEN_CREATE);
	struct lab_buf bytes;
	int result;

	lab_assert(upload->file_count <= OBOX_BUNDLE_FILES_MAX);
	for (size_t i = 0; i < upload->file_count; i++)
		bundle.files[i] = upload->files[i];
	lab_buf_init(&bytes, bundles_heap(bundles), OBOX_BUNDLE_BYTES_MAX);
	obox_bundle_encode(&bundle, &bytes);
	*ret_size = bytes.len;
	if (bytes.overflow) {
		result = lab_fail(
			err, LAB_LIMIT, "bundle is larger than %u bytes", OBOX_BUNDLE_BYTES_MAX);
	} else {
		set_bundle_metadata(bundles, file, bytes.len);
		hold_before_put(bundles);
		bundles_begin_request(bundles);
		result = fs_write(file, lab_buf_view(&bytes), err);
		bundles_end_request(bundles);
		if (has_dictmap(bundles->settings.fs))
			take_row(bundles, file, entry);
	}
	lab_buf_done(&bytes);
	fs_file_close(&file);
	return result;
}

static bool is_replaced(const struct obox_bundles *bundles, const struct bundle_entry *entry,
	enum obox_bundle_kind new_kind)
{
	if (entry->status != BUNDLE_MERGED &&
		!(lab_defect(ASIDE_DELETED) && entry->status == BUNDLE_ASIDE))
		return false;
	if (new_kind == OBOX_BUNDLE_BASE)
		return entry->id.kind != OBOX_BUNDLE_BASE || !lab_defect(OLD_BASE_STAYS);
	return entry->id.kind != OBOX_BUNDLE_BASE &&
	       (entry->is_own || bundles_is_own_row(bundles, entry));
}

static void replace(struct obox_bundles *bundles, const struct bundle_entry *written)
{
	enum obox_bundle_kind kind = written->id.kind;
	bool is_overwritten = bundles_has_host_row(written);

	for (size_t i = 0; i < bundles->count; i++) {
		struct bundle_entry *entry = &bundles->entries[i];

		/* One whose INSERT was uncertain has the row that is overwritten now, too. */
		if (is_replaced(bundles, entry, kind) ||
			(entry->status == BUNDLE_LEFT && is_overwritten))
			leave(bundles, entry, is_overwritten);
	}
	(void)bundles_add(bundles, written);
}

int obox_bundles_upload(struct obox_bundles *bundles, const struct obox_bundle_upload *upload,
	struct obox_bundle_name *ret_name, struct lab_error *err)
{
	struct bundle_entry entry = { .status = BUNDLE_MERGED, .is_own = true };
	struct bundle_transfer t = { .kind = upload->kind,
		.reason = upload->reason,
		.highest_modseq = upload->highest_modseq };
	struct lab_error own;
	int result;

	if (err == NULL)
		err = &own;
	t.err = err;
	if (check_known(bundles, err) < 0 || new_name(bundles, upload, &entry.id, err) < 0)
		return -1;
	obox_bundle_name_format(&entry.id, entry.name);
	t.name = entry.name;
	err->code = LAB_OK;
	/* Before anything blocks: what was encoded for it is what was known at this time. */
	bundles_report(bundles, BUNDLE_UPLOAD_STARTED, &t);
	fs_set_reason(bundles->settings.fs, upload->reason);
	result = write_bundle(bundles, upload, &entry, &t.size, err);
	if (result == 0)
		err->code = LAB_OK;
	bundles_report(bundles, BUNDLE_UPLOAD_FINISHED, &t);
	if (result < 0) {
		entry.status = BUNDLE_LEFT;
		if (err->code == LAB_UNCERTAIN)
			(void)bundles_add(bundles, &entry);
		return lab_error_wrap(err, "upload bundle %s", entry.name);
	}
	if (!lab_defect(REPLACED_BUNDLES_STAY))
		replace(bundles, &entry);
	else
		(void)bundles_add(bundles, &entry);
	if (ret_name != NULL)
		*ret_name = entry.id;
	ENV_HOLD(bundles->settings.env, bundle_before_delete, bundles->settings.username);
	fs_set_reason(bundles->settings.fs, upload->reason);
	(void)delete_left(bundles, &own);
	give_up_oldest(bundles);
	return 0;
}

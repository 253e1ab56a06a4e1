/* SPDX-License-Identifier: Apache-2.0
 *
 * bundle-refresh.c - bundles are listed, and those that are not known are downloaded (obox 5.4).
 */
#include "core/obox/bundle-store-private.h"
#include "core/base/defect.h"
#include "core/env/hold.h"

#include <stdio.h>
#include <stdlib.h>

#define LISTINGS_MAX 3
#define LISTING_ARENA_MAX ((size_t)64 << 20)

/* ---- listing ---- */

/* "<object id>/<version>/<name>"; stacks without dictmap have neither of the first two. */
static bool parse_listed(struct lab_view text, struct bundle_entry *ret)
{
	struct lab_view part;
	size_t slashes = 0;

	*ret = (struct bundle_entry){ .status = BUNDLE_LISTED };
	while (lab_view_find_byte(text, '/') != SIZE_MAX && slashes++ < 2) {
		(void)lab_view_split(&text, '/', &part);
		if (slashes == 1)
			bundles_set_text(ret->oid, sizeof(ret->oid), part);
		else
			bundles_set_text(ret->version, sizeof(ret->version), part);
	}
	bundles_set_text(ret->name, sizeof(ret->name), text);
	return obox_bundle_name_parse(text, &ret->id) == 0;
}

/* What is known keeps what it is; only the row may be another. */
static void see(struct obox_bundles *bundles, const struct bundle_entry *listed)
{
	struct bundle_entry *entry = bundles_find(bundles, listed->name);

	if (entry == NULL) {
		entry = bundles_add(bundles, listed);
	} else {
		memcpy(entry->oid, listed->oid, sizeof(entry->oid));
		memcpy(entry->version, listed->version, sizeof(entry->version));
	}
	entry->is_seen = true;
}

/* Others have replaced it; what they wrote is listed. */
static size_t forget_unseen(struct obox_bundles *bundles)
{
	size_t gone = 0;

	for (size_t i = bundles->count; i-- > 0;) {
		struct bundle_entry *entry = &bundles->entries[i];

		if (entry->is_seen || entry->status == BUNDLE_LEFT)
			continue;
		gone += entry->status == BUNDLE_MERGED;
		bundles_remove(bundles, i);
	}
	return gone;
}

/* Bases are listed before diffs. A diff of a base that was written in between made no sense, and
 * does once the base is listed. */
static void look_again(struct obox_bundles *bundles, const struct bundle_entry *base)
{
	for (size_t i = 0; i < bundles->count; i++) {
		struct bundle_entry *entry = &bundles->entries[i];

		if (entry->status == BUNDLE_ASIDE &&
			obox_bundle_name_is_diff_of(&entry->id, &base->id))
			entry->status = BUNDLE_LISTED;
	}
}

static void look_again_at_diffs(struct obox_bundles *bundles)
{
	for (size_t i = 0; i < bundles->count; i++) {
		const struct bundle_entry *entry = &bundles->entries[i];

		if (entry->status == BUNDLE_LISTED && entry->id.kind == OBOX_BUNDLE_BASE)
			look_again(bundles, entry);
	}
}

static int list(struct obox_bundles *bundles, struct lab_arena *arena,
	struct obox_bundles_news *news, struct lab_error *err)
{
	struct lab_view *names;
	struct bundle_entry listed;
	size_t count;

	if (fs_iter(bundles->settings.fs, lab_view_cstr(bundles->path),
		    FS_ITER_OBJECTIDS | FS_ITER_VERSIONS, OBOX_BUNDLES_MAX, arena, &names, &count,
		    err) < 0)
		return lab_error_wrap(err, "list bundles");
	for (size_t i = 0; i < bundles->count; i++)
		bundles->entries[i].is_seen = false;
	for (size_t i = 0; i < count; i++) {
		if (parse_listed(names[i], &listed))
			see(bundles, &listed);
	}
	news->gone += forget_unseen(bundles);
	look_again_at_diffs(bundles);
	return 0;
}

int obox_bundles_check_latest(
	struct obox_bundles *bundles, const char *reason, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(bundles_heap(bundles), LISTING_ARENA_MAX);
	struct lab_view *names;
	struct bundle_entry listed;
	size_t count = 0;
	int result;

	fs_set_reason(bundles->settings.fs, reason);
	result = fs_iter(bundles->settings.fs, lab_view_cstr(bundles->path),
		FS_ITER_OBJECTIDS | FS_ITER_VERSIONS, OBOX_BUNDLES_MAX, arena, &names, &count, err);
	for (size_t i = 0; result == 0 && i < count; i++) {
		if (parse_listed(names[i], &listed) && bundles_find(bundles, listed.name) == NULL)
			result = lab_fail(
				err, LAB_EXISTS, "storage has newer bundles: %s", listed.name);
	}
	lab_arena_free(&arena);
	return result;
}

/* ---- download ---- */

static void report_aside(
	const struct obox_bundles *bundles, const char *name, const struct lab_error *why)
{
	const char *guid = bundles->settings.mailbox_guid;

	ENV_EVENT(bundles->settings.env, LAB_EV_metacache_bundle_set_aside,
		LAB_F_CSTR("user", bundles->settings.username), LAB_F_CSTR("filename", name),
		LAB_F_CSTR("mailbox_guid", guid == NULL ? "" : guid), LAB_F_CODE("code", why->code),
		LAB_F_CSTR("error", why->message));
}

struct fetch {
	const struct obox_bundles *bundles;
	struct lab_arena *arena;
	const char *reason;
	struct fetched {
		struct bundle_entry entry; /* as it was listed */
		struct obox_bundle_download download;
		struct lab_error err;
	} * items;
	size_t count;
};

static unsigned parallel(const struct obox_bundles *bundles)
{
	return LAB_MAX(1u, bundles->settings.max_parallel_requests);
}

static int decode_download(struct lab_view bytes, const struct bundle_entry *entry,
	struct fetched *ret, struct lab_error *err)
{
	struct obox_bundle_download *d = &ret->download;

	memcpy(d->name, entry->name, sizeof(d->name));
	d->id = entry->id;
	if (obox_bundle_decode(bytes, &d->bundle, err) < 0)
		return -1;
	if (d->bundle.kind != d->id.kind)
		return lab_fail(err, LAB_CORRUPT, "bundle is a %s by its name and a %s inside",
			bundles_kind_name(d->id.kind), bundles_kind_name(d->bundle.kind));
	return 0;
}

static void fetch_one(void *ctx, size_t i)
{
	struct fetch *fetch = ctx;
	struct fetched *item = &fetch->items[i];
	struct fs_file *file = bundles_open_entry(fetch->bundles, &item->entry);
	struct lab_view bytes = { NULL, 0 };
	struct lab_error *err = &item->err;
	struct bundle_transfer t = { .name = item->entry.name,
		.kind = item->entry.id.kind,
		.reason = fetch->reason,
		.err = err };

	bundles_begin_request(fetch->bundles);
	bundles_report(fetch->bundles, BUNDLE_DOWNLOAD_STARTED, &t);
	if (fs_read_content(file, fetch->arena, OBOX_BUNDLE_BYTES_MAX, &bytes, err) == 0 &&
		decode_download(bytes, &item->entry, item, err) == 0)
		err->code = LAB_OK;
	bundles_end_request(fetch->bundles);
	t.size = bytes.len;
	bundles_report(fetch->bundles, BUNDLE_DOWNLOAD_FINISHED, &t);
	fs_file_close(&file);
}

static void fetch_listed(struct fetch *fetch)
{
	const struct obox_bundles *bundles = fetch->bundles;

	size_t listed = 0;

	for (size_t i = 0; i < bundles->count; i++)
		listed += bundles->entries[i].status == BUNDLE_LISTED;
	fetch->items = lab_arena_array(fetch->arena, struct fetched, listed);
	fetch->count = 0;
	for (size_t i = 0; i < bundles->count; i++) {
		if (bundles->entries[i].status == BUNDLE_LISTED)
			fetch->items[fetch->count++].entry = bundles->entries[i];
	}
	fs_set_reason(bundles->settings.fs, fetch->reason);
	env_for_each(bundles->settings.env, fetch->count, parallel(bundles), fetch_one, fetch);
}

/* Nothing will ever come of it but what is there now. What may pass is not like that. */
static bool is_unreadable(const struct lab_error *err)
{
	if (err->retryable)
		return lab_defect(UNREAD_IS_DAMAGED);
	return err->code == LAB_CORRUPT || err->code == LAB_UNSUPPORTED || err->code == LAB_LIMIT;
}

/* 0: all is there or unreadable; 1: something was gone, which another listing will explain; -1. */
static int check_fetched(const struct fetch *fetch, bool is_last, struct lab_error *err)
{
	int result = 0;

	for (size_t i = 0; i < fetch->count; i++) {
		const struct lab_error *failed = &fetch->items[i].err;

		if (failed->code == LAB_OK || is_unreadable(failed))
			continue;
		if (failed->code == LAB_NOT_FOUND) {
			result = is_last ? 0 : 1;
			continue;
		}
		*err = *failed;
		return lab_error_wrap(err, "download bundle %s", fetch->items[i].entry.name);
	}
	return result;
}

static int rank_of(enum obox_bundle_kind kind)
{
	return kind == OBOX_BUNDLE_BASE ? 0 : kind == OBOX_BUNDLE_SELF ? 1 : 2;
}

static int compare_downloads(const void *a, const void *b)
{
	const struct obox_bundle_download *x = a, *y = b;

	if (x->id.kind != y->id.kind)
		return rank_of(x->id.kind) - rank_of(y->id.kind);
	return strcmp(x->name, y->name);
}

static void give(struct obox_bundles *bundles, struct fetch *fetch, struct obox_bundles_news *news)
{
	news->downloads =
		lab_arena_array(fetch->arena, struct obox_bundle_download, fetch->count + 1);
	for (size_t i = 0; i < fetch->count; i++) {
		struct fetched *item = &fetch->items[i];

		if (item->err.code == LAB_OK) {
			news->downloads[news->count++] = item->download;
			continue;
		}
		report_aside(bundles, item->entry.name, &item->err);
		bundles_find(bundles, item->entry.name)->status = BUNDLE_ASIDE;
		news->set_aside++;
	}
	qsort(news->downloads, news->count, sizeof(*news->downloads), compare_downloads);
}

static void hold_listed(const struct obox_bundles *bundles)
{
	const struct obox_bundles_settings *s = &bundles->settings;

	if (s->mailbox_guid != NULL)
		ENV_HOLD(s->env, bundles_listed, s->username);
	else
		ENV_HOLD(s->env, root_listed, s->username);
}

int obox_bundles_refresh(struct obox_bundles *bundles, const char *reason, struct lab_arena *arena,
	struct obox_bundles_news *ret, struct lab_error *err)
{
	struct fetch fetch = { .bundles = bundles, .arena = arena, .reason = reason };
	struct lab_error own;

	if (err == NULL)
		err = &own;
	*ret = (struct obox_bundles_news){ 0 };
	/* Between the listing and the download another host may have replaced a bundle. One that is
	 * listed again and again without its object is lost. */
	for (unsigned n = 1;; n++) {
		int result;

		fs_set_reason(bundles->settings.fs, reason);
		if (list(bundles, arena, ret, err) < 0 && !lab_defect(UNREAD_BUNDLES_ARE_NONE))
			return -1;
		hold_listed(bundles);
		fetch_listed(&fetch);
		result = check_fetched(&fetch, n == LISTINGS_MAX, err);
		if (result < 0)
			return -1;
		if (result == 0)
			break;
	}
	give(bundles, &fetch, ret);
	bundles->is_listed = true;
	return 0;
}

static struct bundle_entry *listed_entry(
	struct obox_bundles *bundles, const struct obox_bundle_download *download)
{
	struct bundle_entry *entry = bundles_find(bundles, download->name);

	lab_assert(entry != NULL && entry->status == BUNDLE_LISTED);
	return entry;
}

void obox_bundles_merged(struct obox_bundles *bundles, const struct obox_bundle_download *download)
{
	struct bundle_entry *entry = listed_entry(bundles, download);

	entry->status = BUNDLE_MERGED;
	entry->is_own = lab_view_eq_cstr(download->bundle.host, bundles->settings.env->hostname);
}

void obox_bundles_set_aside(struct obox_bundles *bundles,
	const struct obox_bundle_download *download, const struct lab_error *why)
{
	listed_entry(bundles, download)->status = BUNDLE_ASIDE;
	report_aside(bundles, download->name, why);
}

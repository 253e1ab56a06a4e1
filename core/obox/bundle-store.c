/* SPDX-License-Identifier: Apache-2.0
 *
 * bundle-store.c - the bundles of one directory in storage, and what is known of each.
 */
#include "core/obox/bundle-store.h"
#include "core/base/defect.h"
#include "core/env/hold.h"

#include <stdio.h>
#include <stdlib.h>

#define OID_TEXT_MAX 65      /* hex, with the NUL */
#define VERSION_TEXT_MAX 288 /* "<us>@<host>" */
#define LISTINGS_MAX 3
#define LISTING_ARENA_MAX ((size_t)64 << 20)
/* Superseded bundles whose deletion failed; the oldest is given up, a leak. */
#define LEFT_MAX 64
#define COMPACT_VERSION 1

enum status {
	STATUS_LISTED, /* downloaded perhaps, but nobody has said what became of it */
	STATUS_MERGED,
	STATUS_ASIDE,
	STATUS_LEFT /* replaced by an upload; its row or its object may be there yet */
};

struct entry {
	char name[OBOX_BUNDLE_NAME_MAX];
	struct obox_bundle_name id;
	enum status status;
	bool is_own; /* this host has written it */
	char oid[OID_TEXT_MAX];
	char version[VERSION_TEXT_MAX]; /* FS_METADATA_VERSION */
	bool is_seen;                   /* by the listing that is being looked at */
};

struct obox_bundles {
	struct obox_bundles_settings settings;
	char *path;
	bool is_listed;
	struct entry *entries; /* in the order in which they became known */
	size_t count;
};

/* ---- life ---- */

static struct lab_heap *heap_of(const struct obox_bundles *bundles)
{
	return bundles->settings.env->heap;
}

struct obox_bundles *obox_bundles_new(const struct obox_bundles_settings *settings)
{
	struct lab_heap *heap = settings->env->heap;
	struct obox_bundles *bundles = lab_new(heap, struct obox_bundles);
	size_t len = strlen(settings->path);

	lab_assert(len > 0 && settings->path[len - 1] == '/');
	bundles->settings = *settings;
	bundles->path = lab_heap_alloc(heap, len + 1);
	memcpy(bundles->path, settings->path, len + 1);
	bundles->settings.path = bundles->path;
	return bundles;
}

void obox_bundles_free(struct obox_bundles **bundles_p)
{
	struct obox_bundles *bundles = *bundles_p;
	struct lab_heap *heap;

	if (bundles == NULL)
		return;
	heap = heap_of(bundles);
	lab_heap_free(heap, bundles->entries);
	lab_heap_free(heap, bundles->path);
	lab_heap_free(heap, bundles);
	*bundles_p = NULL;
}

/* ---- entries ---- */

static struct entry *find(const struct obox_bundles *bundles, const char *name)
{
	for (size_t i = 0; i < bundles->count; i++) {
		if (strcmp(bundles->entries[i].name, name) == 0)
			return &bundles->entries[i];
	}
	return NULL;
}

static struct entry *add(struct obox_bundles *bundles, const struct entry *entry)
{
	if ((bundles->count & (bundles->count - 1)) == 0)
		bundles->entries = lab_heap_realloc(heap_of(bundles), bundles->entries,
			2 * (bundles->count + 1) * sizeof(*entry));
	bundles->entries[bundles->count] = *entry;
	return &bundles->entries[bundles->count++];
}

static void remove_at(struct obox_bundles *bundles, size_t at)
{
	memmove(&bundles->entries[at], &bundles->entries[at + 1],
		(bundles->count - at - 1) * sizeof(*bundles->entries));
	bundles->count--;
}

static void set_text(char *out, size_t size, struct lab_view text)
{
	if (lab_view_to_cstr(text, out, size) < 0)
		out[0] = '\0';
}

/* Each host has one row for such bundles, and the next one overwrites it. */
static bool has_host_row(const struct entry *entry)
{
	return strchr(entry->version, '@') != NULL;
}

static bool is_own_row(const struct obox_bundles *bundles, const struct entry *entry)
{
	const char *at = strchr(entry->version, '@');

	return at != NULL && strcmp(at + 1, bundles->settings.env->hostname) == 0;
}

bool obox_bundles_is_listed(const struct obox_bundles *bundles)
{
	return bundles->is_listed;
}

static bool is_later(const struct obox_bundle_name *a, const struct obox_bundle_name *b)
{
	if (a->seconds != b->seconds)
		return a->seconds > b->seconds;
	if (a->usecs != b->usecs)
		return a->usecs > b->usecs;
	return memcmp(a->guid, b->guid, sizeof(a->guid)) > 0;
}

size_t obox_bundles_bases(const struct obox_bundles *bundles, struct obox_bundle_name *ret)
{
	const struct obox_bundle_name *newest = NULL;
	size_t count = 0;

	for (size_t i = 0; i < bundles->count; i++) {
		const struct entry *entry = &bundles->entries[i];

		if (entry->status != STATUS_MERGED || entry->id.kind != OBOX_BUNDLE_BASE)
			continue;
		count++;
		if (newest == NULL || is_later(&entry->id, newest))
			newest = &entry->id;
	}
	if (newest != NULL)
		*ret = *newest;
	return count;
}

bool obox_bundles_has(const struct obox_bundles *bundles, const struct obox_bundle_name *name)
{
	char text[OBOX_BUNDLE_NAME_MAX];
	const struct entry *entry;

	obox_bundle_name_format(name, text);
	entry = find(bundles, text);
	return entry != NULL && entry->status == STATUS_MERGED;
}

size_t obox_bundles_count(const struct obox_bundles *bundles)
{
	size_t merged = 0;

	for (size_t i = 0; i < bundles->count; i++)
		merged += bundles->entries[i].status == STATUS_MERGED;
	return merged;
}

/* ---- events ---- */

static const char *kind_name(enum obox_bundle_kind kind)
{
	static const char *const names[] = { "base", "diff", "self" };

	return names[kind];
}

struct transfer {
	const char *name;
	enum obox_bundle_kind kind;
	size_t size;
	const char *reason;
	const struct lab_error *err;
};

static void report(const struct obox_bundles *bundles, enum lab_event_id user_event,
	enum lab_event_id mailbox_event, const struct transfer *t)
{
	const char *guid = bundles->settings.mailbox_guid;
	bool failed = t->err->code != LAB_OK;

	ENV_EVENT(bundles->settings.env, guid == NULL ? user_event : mailbox_event,
		LAB_F_CSTR("user", bundles->settings.username), LAB_F_CSTR("filename", t->name),
		LAB_F_CSTR("bundle_type", kind_name(t->kind)), LAB_F_U64("bundle_size", t->size),
		LAB_F_CSTR("mailbox_guid", guid == NULL ? "" : guid),
		LAB_F_CSTR("reason", t->reason), LAB_F_CODE("code", t->err->code),
		LAB_F_CSTR("error", failed ? t->err->message : ""));
}

static void report_aside(
	const struct obox_bundles *bundles, const char *name, const struct lab_error *why)
{
	const char *guid = bundles->settings.mailbox_guid;

	ENV_EVENT(bundles->settings.env, LAB_EV_metacache_bundle_set_aside,
		LAB_F_CSTR("user", bundles->settings.username), LAB_F_CSTR("filename", name),
		LAB_F_CSTR("mailbox_guid", guid == NULL ? "" : guid), LAB_F_CODE("code", why->code),
		LAB_F_CSTR("error", why->message));
}

/* ---- requests ---- */

static struct fs_file *open_bundle(
	const struct obox_bundles *bundles, const char *name, enum fs_open_mode mode)
{
	struct lab_heap *heap = heap_of(bundles);
	struct fs_file *file;
	struct lab_buf path;

	lab_buf_init(&path, heap, 65536);
	lab_buf_printf(&path, "%s%s", bundles->path, name);
	lab_assert(!path.overflow);
	file = fs_file_open(bundles->settings.fs, lab_buf_view(&path), mode);
	lab_buf_done(&path);
	return file;
}

static struct fs_file *open_entry(const struct obox_bundles *bundles, const struct entry *entry)
{
	struct fs_file *file = open_bundle(bundles, entry->name, FS_OPEN_READONLY);

	if (entry->oid[0] != '\0')
		fs_set_metadata(file, FS_METADATA_OBJECTID, lab_view_cstr(entry->oid));
	return file;
}

static void begin_request(const struct obox_bundles *bundles)
{
	if (bundles->settings.requests != NULL)
		(void)env_semaphore_take(
			bundles->settings.env, bundles->settings.requests, ENV_FOREVER, NULL);
}

static void end_request(const struct obox_bundles *bundles)
{
	if (bundles->settings.requests != NULL)
		env_semaphore_give(bundles->settings.env, bundles->settings.requests);
}

static unsigned parallel(const struct obox_bundles *bundles)
{
	return LAB_MAX(1u, bundles->settings.max_parallel_requests);
}

/* ---- listing ---- */

/* "<object id>/<version>/<name>"; stacks without dictmap have neither of the first two. */
static bool parse_listed(struct lab_view text, struct entry *ret)
{
	struct lab_view part;
	size_t slashes = 0;

	*ret = (struct entry){ .status = STATUS_LISTED };
	while (lab_view_find_byte(text, '/') != SIZE_MAX && slashes++ < 2) {
		(void)lab_view_split(&text, '/', &part);
		if (slashes == 1)
			set_text(ret->oid, sizeof(ret->oid), part);
		else
			set_text(ret->version, sizeof(ret->version), part);
	}
	set_text(ret->name, sizeof(ret->name), text);
	return obox_bundle_name_parse(text, &ret->id) == 0;
}

/* What is known keeps what it is; only the row may be another. */
static void see(struct obox_bundles *bundles, const struct entry *listed)
{
	struct entry *entry = find(bundles, listed->name);

	if (entry == NULL) {
		entry = add(bundles, listed);
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
		struct entry *entry = &bundles->entries[i];

		if (entry->is_seen || entry->status == STATUS_LEFT)
			continue;
		gone += entry->status == STATUS_MERGED;
		remove_at(bundles, i);
	}
	return gone;
}

static int list(struct obox_bundles *bundles, struct lab_arena *arena,
	struct obox_bundles_news *news, struct lab_error *err)
{
	struct lab_view *names;
	struct entry listed;
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
	return 0;
}

/* ---- download ---- */

struct fetch {
	const struct obox_bundles *bundles;
	struct lab_arena *arena;
	const char *reason;
	struct fetched {
		struct entry entry; /* as it was listed */
		struct obox_bundle_download download;
		struct lab_error err;
	} * items;
	size_t count;
};

static int decode_download(struct lab_view bytes, const struct entry *entry, struct fetched *ret,
	struct lab_error *err)
{
	struct obox_bundle_download *d = &ret->download;

	memcpy(d->name, entry->name, sizeof(d->name));
	d->id = entry->id;
	if (obox_bundle_decode(bytes, &d->bundle, err) < 0)
		return -1;
	if (d->bundle.kind != d->id.kind)
		return lab_fail(err, LAB_CORRUPT, "bundle is a %s by its name and a %s inside",
			kind_name(d->id.kind), kind_name(d->bundle.kind));
	return 0;
}

static void fetch_one(void *ctx, size_t i)
{
	struct fetch *fetch = ctx;
	struct fetched *item = &fetch->items[i];
	struct fs_file *file = open_entry(fetch->bundles, &item->entry);
	struct lab_view bytes = { NULL, 0 };
	struct lab_error *err = &item->err;
	struct transfer t = { item->entry.name, item->entry.id.kind, 0, fetch->reason, err };

	begin_request(fetch->bundles);
	report(fetch->bundles, LAB_EV_metacache_user_bundle_download_started,
		LAB_EV_metacache_mailbox_bundle_download_started, &t);
	if (fs_read_content(file, fetch->arena, OBOX_BUNDLE_BYTES_MAX, &bytes, err) == 0 &&
		decode_download(bytes, &item->entry, item, err) == 0)
		err->code = LAB_OK;
	end_request(fetch->bundles);
	t.size = bytes.len;
	report(fetch->bundles, LAB_EV_metacache_user_bundle_download_finished,
		LAB_EV_metacache_mailbox_bundle_download_finished, &t);
	fs_file_close(&file);
}

static void fetch_listed(struct fetch *fetch)
{
	const struct obox_bundles *bundles = fetch->bundles;

	size_t listed = 0;

	for (size_t i = 0; i < bundles->count; i++)
		listed += bundles->entries[i].status == STATUS_LISTED;
	fetch->items = lab_arena_array(fetch->arena, struct fetched, listed);
	fetch->count = 0;
	for (size_t i = 0; i < bundles->count; i++) {
		if (bundles->entries[i].status == STATUS_LISTED)
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
		find(bundles, item->entry.name)->status = STATUS_ASIDE;
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

static struct entry *listed_entry(
	struct obox_bundles *bundles, const struct obox_bundle_download *download)
{
	struct entry *entry = find(bundles, download->name);

	lab_assert(entry != NULL && entry->status == STATUS_LISTED);
	return entry;
}

void obox_bundles_merged(struct obox_bundles *bundles, const struct obox_bundle_download *download)
{
	struct entry *entry = listed_entry(bundles, download);

	entry->status = STATUS_MERGED;
	entry->is_own = lab_view_eq_cstr(download->bundle.host, bundles->settings.env->hostname);
}

void obox_bundles_set_aside(struct obox_bundles *bundles,
	const struct obox_bundle_download *download, const struct lab_error *why)
{
	listed_entry(bundles, download)->status = STATUS_ASIDE;
	report_aside(bundles, download->name, why);
}

/* ---- deleting ---- */

/* What it says is in a bundle that is there: it goes, now or later. */
static void leave(struct obox_bundles *bundles, struct entry *entry, bool is_overwritten)
{
	entry->status = STATUS_LEFT;
	if (is_overwritten && is_own_row(bundles, entry))
		set_text(entry->version, sizeof(entry->version), LAB_VIEW(FS_VERSION_GONE));
}

static void report_left(const struct obox_bundles *bundles, const struct entry *entry,
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
		const struct entry *entry = &bundles->entries[i];

		if (entry->status != STATUS_LEFT)
			continue;
		files[n] = open_entry(bundles, entry);
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
	struct lab_heap *heap = heap_of(bundles);
	struct fs_file **files = lab_new_array(heap, struct fs_file *, bundles->count + 1);
	size_t *places = lab_new_array(heap, size_t, bundles->count + 1);
	struct lab_error *results;
	size_t n = open_left(bundles, files, places);
	int result = 0;

	results = lab_new_array(heap, struct lab_error, n + 1);
	if (n > 0) {
		begin_request(bundles);
		result = fs_delete_many(files, n, results, err);
		end_request(bundles);
	}
	while (n-- > 0) {
		struct entry *entry = &bundles->entries[places[n]];

		fs_file_close(&files[n]);
		if (results[n].code == LAB_OK || results[n].code == LAB_NOT_FOUND)
			remove_at(bundles, places[n]);
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
		if (bundles->entries[i].status != STATUS_LEFT || ++left <= LEFT_MAX)
			continue;
		report_left(
			bundles, &bundles->entries[i], "a replaced bundle is left for good", NULL);
		remove_at(bundles, i);
	}
}

/* The defect old-bundle-first. */
void obox_bundles_drop_own(struct obox_bundles *bundles)
{
	struct lab_error ignored;

	for (size_t i = 0; i < bundles->count; i++) {
		if (bundles->entries[i].status == STATUS_MERGED && bundles->entries[i].is_own &&
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
		if (bundles->entries[i].status == STATUS_LISTED)
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
static void take_row(struct obox_bundles *bundles, struct fs_file *file, struct entry *entry)
{
	struct lab_arena *arena = lab_arena_new(heap_of(bundles), 65536);
	struct lab_view value;

	if (fs_get_metadata(file, FS_METADATA_OBJECTID, arena, &value, NULL) > 0)
		set_text(entry->oid, sizeof(entry->oid), value);
	if (fs_get_metadata(file, FS_METADATA_VERSION, arena, &value, NULL) > 0)
		set_text(entry->version, sizeof(entry->version), value);
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
	struct entry *entry, size_t *ret_size, struct lab_error *err)
{
	struct obox_bundle bundle = { .kind = upload->kind,
		.host = lab_view_cstr(bundles->settings.env->hostname),
		.base = upload->base,
		.uidvalidity = upload->uidvalidity,
		.next_uid = upload->next_uid,
		.highest_modseq = upload->highest_modseq,
		.file_count = upload->file_count };
	struct fs_file *file = open_bundle(bundles, entry->name, FS_OPEN_CREATE);
	struct lab_buf bytes;
	int result;

	lab_assert(upload->file_count <= OBOX_BUNDLE_FILES_MAX);
	for (size_t i = 0; i < upload->file_count; i++)
		bundle.files[i] = upload->files[i];
	lab_buf_init(&bytes, heap_of(bundles), OBOX_BUNDLE_BYTES_MAX);
	obox_bundle_encode(&bundle, &bytes);
	*ret_size = bytes.len;
	if (bytes.overflow) {
		result = lab_fail(
			err, LAB_LIMIT, "bundle is larger than %u bytes", OBOX_BUNDLE_BYTES_MAX);
	} else {
		set_bundle_metadata(bundles, file, bytes.len);
		hold_before_put(bundles);
		begin_request(bundles);
		result = fs_write(file, lab_buf_view(&bytes), err);
		end_request(bundles);
		if (has_dictmap(bundles->settings.fs))
			take_row(bundles, file, entry);
	}
	lab_buf_done(&bytes);
	fs_file_close(&file);
	return result;
}

static bool is_replaced(const struct obox_bundles *bundles, const struct entry *entry,
	enum obox_bundle_kind new_kind)
{
	if (entry->status != STATUS_MERGED &&
		!(lab_defect(ASIDE_DELETED) && entry->status == STATUS_ASIDE))
		return false;
	if (new_kind == OBOX_BUNDLE_BASE)
		return true;
	return entry->id.kind != OBOX_BUNDLE_BASE && (entry->is_own || is_own_row(bundles, entry));
}

static void replace(struct obox_bundles *bundles, const struct entry *written)
{
	enum obox_bundle_kind kind = written->id.kind;
	bool is_overwritten = has_host_row(written);

	for (size_t i = 0; i < bundles->count; i++) {
		struct entry *entry = &bundles->entries[i];

		/* One whose INSERT was uncertain has the row that is overwritten now, too. */
		if (is_replaced(bundles, entry, kind) ||
			(entry->status == STATUS_LEFT && is_overwritten))
			leave(bundles, entry, is_overwritten);
	}
	(void)add(bundles, written);
}

int obox_bundles_upload(struct obox_bundles *bundles, const struct obox_bundle_upload *upload,
	struct obox_bundle_name *ret_name, struct lab_error *err)
{
	struct entry entry = { .status = STATUS_MERGED, .is_own = true };
	struct transfer t = { .kind = upload->kind, .reason = upload->reason };
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
	report(bundles, LAB_EV_metacache_user_bundle_upload_started,
		LAB_EV_metacache_mailbox_bundle_upload_started, &t);
	fs_set_reason(bundles->settings.fs, upload->reason);
	result = write_bundle(bundles, upload, &entry, &t.size, err);
	if (result == 0)
		err->code = LAB_OK;
	report(bundles, LAB_EV_metacache_user_bundle_upload_finished,
		LAB_EV_metacache_mailbox_bundle_upload_finished, &t);
	if (result < 0) {
		entry.status = STATUS_LEFT;
		if (err->code == LAB_UNCERTAIN)
			(void)add(bundles, &entry);
		return lab_error_wrap(err, "upload bundle %s", entry.name);
	}
	if (!lab_defect(REPLACED_BUNDLES_STAY))
		replace(bundles, &entry);
	else
		(void)add(bundles, &entry);
	if (ret_name != NULL)
		*ret_name = entry.id;
	ENV_HOLD(bundles->settings.env, bundle_before_delete, bundles->settings.username);
	fs_set_reason(bundles->settings.fs, upload->reason);
	(void)delete_left(bundles, &own);
	give_up_oldest(bundles);
	return 0;
}

/* ---- over a clean stop ---- */

static void put_text(struct lab_buf *out, const char *text)
{
	lab_buf_append_u16(out, (uint16_t)strlen(text));
	lab_buf_append_cstr(out, text);
}

void obox_bundles_encode(const struct obox_bundles *bundles, struct lab_buf *out)
{
	uint32_t count = 0;

	for (size_t i = 0; i < bundles->count; i++)
		count += bundles->entries[i].status != STATUS_LISTED;
	lab_buf_append_byte(out, COMPACT_VERSION);
	lab_buf_append_byte(out, bundles->is_listed);
	lab_buf_append_u32(out, count);
	for (size_t i = 0; i < bundles->count; i++) {
		const struct entry *entry = &bundles->entries[i];

		if (entry->status == STATUS_LISTED)
			continue;
		put_text(out, entry->name);
		lab_buf_append_byte(out, (uint8_t)entry->status);
		lab_buf_append_byte(out, entry->is_own);
		put_text(out, entry->oid);
		put_text(out, entry->version);
	}
}

static bool get_text(struct lab_reader *reader, char *out, size_t size)
{
	struct lab_view text = lab_read_view(reader, lab_read_u16(reader));

	return !reader->failed && lab_view_to_cstr(text, out, size) == 0;
}

static bool get_entry(struct lab_reader *reader, struct entry *ret)
{
	uint8_t status, is_own;

	*ret = (struct entry){ 0 };
	if (!get_text(reader, ret->name, sizeof(ret->name)))
		return false;
	status = lab_read_u8(reader);
	is_own = lab_read_u8(reader);
	ret->status = (enum status)status;
	ret->is_own = is_own == 1;
	return get_text(reader, ret->oid, sizeof(ret->oid)) &&
	       get_text(reader, ret->version, sizeof(ret->version)) && !reader->failed &&
	       status > STATUS_LISTED && status <= STATUS_LEFT && is_own <= 1 &&
	       obox_bundle_name_parse(lab_view_cstr(ret->name), &ret->id) == 0;
}

int obox_bundles_decode(struct obox_bundles *bundles, struct lab_view bytes, struct lab_error *err)
{
	struct lab_reader reader = { .rest = bytes };
	uint8_t version = lab_read_u8(&reader), is_listed = lab_read_u8(&reader);
	uint32_t count = lab_read_count(&reader, 8);
	struct entry entry;
	bool good = version == COMPACT_VERSION && is_listed <= 1 && count <= OBOX_BUNDLES_MAX;

	lab_assert(bundles->count == 0);
	for (uint32_t i = 0; good && i < count; i++) {
		good = get_entry(&reader, &entry) && find(bundles, entry.name) == NULL;
		if (good)
			(void)add(bundles, &entry);
	}
	if (good && !reader.failed && reader.rest.len == 0) {
		bundles->is_listed = is_listed == 1;
		return 0;
	}
	bundles->count = 0;
	return lab_fail(err, LAB_CORRUPT, "not a list of known bundles");
}

/* ---- from host to host ---- */

void obox_bundles_adopted(struct obox_bundles *bundles)
{
	bundles->is_listed = false;
	for (size_t i = 0; i < bundles->count; i++)
		bundles->entries[i].is_own = is_own_row(bundles, &bundles->entries[i]);
}

int obox_bundles_check_latest(
	struct obox_bundles *bundles, const char *reason, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(heap_of(bundles), LISTING_ARENA_MAX);
	struct lab_view *names;
	struct entry listed;
	size_t count = 0;
	int result;

	fs_set_reason(bundles->settings.fs, reason);
	result = fs_iter(bundles->settings.fs, lab_view_cstr(bundles->path),
		FS_ITER_OBJECTIDS | FS_ITER_VERSIONS, OBOX_BUNDLES_MAX, arena, &names, &count, err);
	for (size_t i = 0; result == 0 && i < count; i++) {
		if (parse_listed(names[i], &listed) && find(bundles, listed.name) == NULL)
			result = lab_fail(
				err, LAB_EXISTS, "storage has newer bundles: %s", listed.name);
	}
	lab_arena_free(&arena);
	return result;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * bundle-store.c - the bundles of one directory in storage: what is known of each, over a stop and
 * on another host, too. bundle-refresh.c reads them, bundle-upload.c writes and deletes them.
 */
#include "core/obox/bundle-store-private.h"
#include "core/base/defect.h"

#define COMPACT_VERSION 1

/* ---- life ---- */

struct lab_heap *bundles_heap(const struct obox_bundles *bundles)
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
	heap = bundles_heap(bundles);
	lab_heap_free(heap, bundles->entries);
	lab_heap_free(heap, bundles->path);
	lab_heap_free(heap, bundles);
	*bundles_p = NULL;
}

/* ---- entries ---- */

struct bundle_entry *bundles_find(const struct obox_bundles *bundles, const char *name)
{
	for (size_t i = 0; i < bundles->count; i++) {
		if (strcmp(bundles->entries[i].name, name) == 0)
			return &bundles->entries[i];
	}
	return NULL;
}

struct bundle_entry *bundles_add(struct obox_bundles *bundles, const struct bundle_entry *entry)
{
	if ((bundles->count & (bundles->count - 1)) == 0)
		bundles->entries = lab_heap_realloc(bundles_heap(bundles), bundles->entries,
			2 * (bundles->count + 1) * sizeof(*entry));
	bundles->entries[bundles->count] = *entry;
	return &bundles->entries[bundles->count++];
}

void bundles_remove(struct obox_bundles *bundles, size_t at)
{
	memmove(&bundles->entries[at], &bundles->entries[at + 1],
		(bundles->count - at - 1) * sizeof(*bundles->entries));
	bundles->count--;
}

void bundles_set_text(char *out, size_t size, struct lab_view text)
{
	if (lab_view_to_cstr(text, out, size) < 0)
		out[0] = '\0';
}

bool bundles_has_host_row(const struct bundle_entry *entry)
{
	return strchr(entry->version, '@') != NULL;
}

bool bundles_is_own_row(const struct obox_bundles *bundles, const struct bundle_entry *entry)
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
		const struct bundle_entry *entry = &bundles->entries[i];

		if (entry->status != BUNDLE_MERGED || entry->id.kind != OBOX_BUNDLE_BASE)
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
	const struct bundle_entry *entry;

	obox_bundle_name_format(name, text);
	entry = bundles_find(bundles, text);
	return entry != NULL && entry->status == BUNDLE_MERGED;
}

size_t obox_bundles_count(const struct obox_bundles *bundles)
{
	size_t merged = 0;

	for (size_t i = 0; i < bundles->count; i++)
		merged += bundles->entries[i].status == BUNDLE_MERGED;
	return merged;
}

/* ---- events ---- */

const char *bundles_kind_name(enum obox_bundle_kind kind)
{
	static const char *const names[] = { "base", "diff", "self" };

	return names[kind];
}

void bundles_report(const struct obox_bundles *bundles, enum bundle_event event,
	const struct bundle_transfer *t)
{
	static const enum lab_event_id of_user[] = { LAB_EV_metacache_user_bundle_download_started,
		LAB_EV_metacache_user_bundle_download_finished,
		LAB_EV_metacache_user_bundle_upload_started,
		LAB_EV_metacache_user_bundle_upload_finished };
	static const enum lab_event_id of_mailbox[] = {
		LAB_EV_metacache_mailbox_bundle_download_started,
		LAB_EV_metacache_mailbox_bundle_download_finished,
		LAB_EV_metacache_mailbox_bundle_upload_started,
		LAB_EV_metacache_mailbox_bundle_upload_finished
	};
	const char *guid = bundles->settings.mailbox_guid;
	bool failed = t->err->code != LAB_OK;

	ENV_EVENT(bundles->settings.env, guid == NULL ? of_user[event] : of_mailbox[event],
		LAB_F_CSTR("user", bundles->settings.username), LAB_F_CSTR("filename", t->name),
		LAB_F_CSTR("bundle_type", bundles_kind_name(t->kind)),
		LAB_F_U64("bundle_size", t->size),
		LAB_F_CSTR("mailbox_guid", guid == NULL ? "" : guid),
		LAB_F_CSTR("reason", t->reason), LAB_F_CODE("code", t->err->code),
		LAB_F_CSTR("error", failed ? t->err->message : ""),
		LAB_F_VOLATILE_U64("highest_modseq", t->highest_modseq));
}

/* ---- requests ---- */

struct fs_file *bundles_open(
	const struct obox_bundles *bundles, const char *name, enum fs_open_mode mode)
{
	struct lab_heap *heap = bundles_heap(bundles);
	struct fs_file *file;
	struct lab_buf path;

	lab_buf_init(&path, heap, 65536);
	lab_buf_printf(&path, "%s%s", bundles->path, name);
	lab_assert(!path.overflow);
	file = fs_file_open(bundles->settings.fs, lab_buf_view(&path), mode);
	lab_buf_done(&path);
	return file;
}

struct fs_file *bundles_open_entry(
	const struct obox_bundles *bundles, const struct bundle_entry *entry)
{
	struct fs_file *file = bundles_open(bundles, entry->name, FS_OPEN_READONLY);

	if (entry->oid[0] != '\0')
		fs_set_metadata(file, FS_METADATA_OBJECTID, lab_view_cstr(entry->oid));
	return file;
}

void bundles_begin_request(const struct obox_bundles *bundles)
{
	if (bundles->settings.requests != NULL)
		(void)env_semaphore_take(
			bundles->settings.env, bundles->settings.requests, ENV_FOREVER, NULL);
}

void bundles_end_request(const struct obox_bundles *bundles)
{
	if (bundles->settings.requests != NULL)
		env_semaphore_give(bundles->settings.env, bundles->settings.requests);
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
		count += bundles->entries[i].status != BUNDLE_LISTED;
	lab_buf_append_byte(out, COMPACT_VERSION);
	lab_buf_append_byte(out, bundles->is_listed);
	lab_buf_append_u32(out, count);
	for (size_t i = 0; i < bundles->count; i++) {
		const struct bundle_entry *entry = &bundles->entries[i];

		if (entry->status == BUNDLE_LISTED)
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

static bool get_entry(struct lab_reader *reader, struct bundle_entry *ret)
{
	uint8_t status, is_own;

	*ret = (struct bundle_entry){ 0 };
	if (!get_text(reader, ret->name, sizeof(ret->name)))
		return false;
	status = lab_read_u8(reader);
	is_own = lab_read_u8(reader);
	ret->status = (enum bundle_status)status;
	ret->is_own = is_own == 1;
	return get_text(reader, ret->oid, sizeof(ret->oid)) &&
	       get_text(reader, ret->version, sizeof(ret->version)) && !reader->failed &&
	       status > BUNDLE_LISTED && status <= BUNDLE_LEFT && is_own <= 1 &&
	       obox_bundle_name_parse(lab_view_cstr(ret->name), &ret->id) == 0;
}

int obox_bundles_decode(struct obox_bundles *bundles, struct lab_view bytes, struct lab_error *err)
{
	struct lab_reader reader = { .rest = bytes };
	uint8_t version = lab_read_u8(&reader), is_listed = lab_read_u8(&reader);
	uint32_t count = lab_read_count(&reader, 8);
	struct bundle_entry entry;
	bool good = version == COMPACT_VERSION && is_listed <= 1 && count <= OBOX_BUNDLES_MAX;

	lab_assert(bundles->count == 0);
	for (uint32_t i = 0; good && i < count; i++) {
		good = get_entry(&reader, &entry) && bundles_find(bundles, entry.name) == NULL;
		if (good)
			(void)bundles_add(bundles, &entry);
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
	for (size_t i = 0; i < bundles->count; i++) {
		struct bundle_entry *entry = &bundles->entries[i];

		entry->is_own = bundles_is_own_row(bundles, entry);
		/* Only its host overwrites its row, whose INSERT may have been UNCERTAIN: were the
		 * object deleted here, the row might come to light yet. The listing will tell. */
		if (entry->status == BUNDLE_LEFT && bundles_has_host_row(entry) && !entry->is_own &&
			!lab_defect(OTHERS_ROW_DELETED_NOW))
			entry->status = BUNDLE_MERGED;
	}
}

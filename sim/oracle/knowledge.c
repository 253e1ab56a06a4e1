/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle/knowledge.h"

#define ARENA_MAX ((size_t)1 << 30)
#define FOLDERS_MAX 4000000
/* What an event writes down beside vectors, at most. */
#define EVENT_BYTES 512u

/* Of some lives: all up to these events. By life. */
struct vector {
	size_t count;
	struct seen {
		uint32_t life;
		uint64_t until;
	} of[];
};

/* A value from an event on; the newest first. */
struct moment {
	uint64_t from, time_ns;
	const struct vector *value;
	const struct upload *upload; /* that ended then, or NULL */
	const struct moment *before;
};

struct upload {
	uint32_t life;
	uint64_t fiber;
	uint64_t began, highest_modseq;
	const struct vector *value;
	struct upload *next;
};

struct merge {
	uint32_t life;
	enum lab_event_id id;
	uint64_t event;
	const struct merge *before;
};

/* It looked at a folder. The newest first. */
struct look {
	uint64_t from, to, to_ns; /* events of the refresh; its end */
	/* Its index was made from what is stored, by others or by lives before it: none of its own
	 * was left. */
	bool is_beginning;
	const struct look *before;
};

/* What one life knows of one folder. */
struct reader {
	uint32_t life;
	const struct moment *known;
	const struct vector *listed; /* what was stored when its refresh began */
	uint64_t listed_at;          /* the event of that; 0: none is under way */
	const struct look *looks;
	struct reader *next;
};

struct folder {
	const struct moment *stored;
	struct reader *readers;
	struct upload *uploads; /* under way */
	uint32_t last;          /* who uploaded last; KNOWLEDGE_NOBODY */
	const struct merge *merges;
};

struct life {
	struct lab_view name;
	uint32_t boot;
	uint64_t started, crashed, crashed_ns;
};

struct knowledge {
	struct lab_heap *heap;
	struct lab_arena *arena;
	struct lab_map *folders; /* key -> struct folder */
	struct lab_map *hosts;   /* number -> life + 1 */
	struct lab_map *names;   /* name -> its last life + 1 */
	struct life *lives;
	size_t count, capacity;
	size_t used;
	bool is_full, has_uploads, has_roots;
};

struct knowledge *knowledge_new(struct lab_heap *heap)
{
	struct knowledge *k = lab_new(heap, struct knowledge);

	k->heap = heap;
	k->arena = lab_arena_new(heap, ARENA_MAX);
	k->folders = lab_map_new(heap, FOLDERS_MAX);
	k->hosts = lab_map_new(heap, KNOWLEDGE_LIVES_MAX);
	k->names = lab_map_new(heap, KNOWLEDGE_LIVES_MAX);
	return k;
}

void knowledge_free(struct knowledge **k_p)
{
	struct knowledge *k = *k_p;
	struct lab_heap *heap;

	if (k == NULL)
		return;
	heap = k->heap;
	lab_map_free(&k->folders);
	lab_map_free(&k->hosts);
	lab_map_free(&k->names);
	lab_arena_free(&k->arena);
	lab_heap_free(heap, k->lives);
	lab_heap_free(heap, k);
	*k_p = NULL;
}

bool knowledge_is_full(const struct knowledge *k)
{
	return k->is_full;
}

bool knowledge_has_uploads(const struct knowledge *k)
{
	return k->has_uploads;
}

/* ---- vectors ---- */

static uint64_t until(const struct vector *v, uint32_t life)
{
	for (size_t i = 0; v != NULL && i < v->count && v->of[i].life <= life; i++) {
		if (v->of[i].life == life)
			return v->of[i].until;
	}
	return 0;
}

static struct vector *new_vector(struct knowledge *k, size_t count)
{
	size_t size = sizeof(struct vector) + count * sizeof(struct seen);

	k->used += size;
	return lab_arena_alloc(k->arena, size);
}

/* What both say. */
static const struct vector *joined(
	struct knowledge *k, const struct vector *a, const struct vector *b)
{
	size_t i = 0, n = 0;
	struct vector *both;

	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	both = new_vector(k, a->count + b->count);
	both->count = 0;
	while (i < a->count || n < b->count) {
		struct seen *seen = &both->of[both->count++];

		if (n == b->count || (i < a->count && a->of[i].life < b->of[n].life)) {
			*seen = a->of[i++];
		} else if (i == a->count || b->of[n].life < a->of[i].life) {
			*seen = b->of[n++];
		} else {
			*seen = a->of[i].until > b->of[n].until ? a->of[i] : b->of[n];
			i++, n++;
		}
	}
	return both;
}

/* ---- lives ---- */

static struct lab_view number_view(const uint64_t *number)
{
	return lab_view_of(number, sizeof(*number));
}

void knowledge_started(struct knowledge *k, uint32_t host, struct lab_view name, uint32_t boot)
{
	uint64_t number = host;
	void **slot = lab_map_slot(k->hosts, number_view(&number));
	void **last = lab_map_slot(k->names, name);

	if (slot == NULL || last == NULL || k->count == KNOWLEDGE_LIVES_MAX) {
		k->is_full = true;
		return;
	}
	if (k->count == k->capacity) {
		k->capacity = LAB_MAX(k->capacity * 2, (size_t)16);
		k->lives = lab_heap_realloc(k->heap, k->lives, k->capacity * sizeof(*k->lives));
	}
	k->lives[k->count++] = (struct life){ .name = lab_arena_copy(k->arena, name),
		.boot = boot,
		.crashed = UINT64_MAX,
		.crashed_ns = UINT64_MAX };
	*slot = *last = (void *)(uintptr_t)k->count;
}

static uint32_t life_of_host(const struct knowledge *k, uint32_t host)
{
	uint64_t number = host;

	return (uint32_t)((uintptr_t)lab_map_get(k->hosts, number_view(&number)) - 1);
}

struct lab_view knowledge_host(const struct knowledge *k, uint32_t host, uint32_t *ret_boot)
{
	uint32_t life = life_of_host(k, host);

	*ret_boot = life < k->count ? k->lives[life].boot : 0;
	return life < k->count ? k->lives[life].name : LAB_VIEW("");
}

uint32_t knowledge_life(const struct knowledge *k, const struct history_op *op)
{
	uint32_t last = (uint32_t)(uintptr_t)lab_map_get(k->names, op->backend);

	while (op->boot != 0 && last-- > 0) {
		if (k->lives[last].boot == op->boot &&
			lab_view_eq(k->lives[last].name, op->backend))
			return last;
	}
	return KNOWLEDGE_NOBODY;
}

uint64_t knowledge_crash(const struct knowledge *k, uint32_t life, uint64_t *ret_ns)
{
	if (ret_ns != NULL)
		*ret_ns = life < k->count ? k->lives[life].crashed_ns : UINT64_MAX;
	return life < k->count ? k->lives[life].crashed : UINT64_MAX;
}

uint64_t knowledge_start(const struct knowledge *k, uint32_t life)
{
	return life < k->count ? k->lives[life].started : 0;
}

/* ---- fields ---- */

struct lab_view oracle_event_text(const struct lab_event *event, const char *name)
{
	for (size_t i = 0; i < event->field_count; i++) {
		if (event->fields[i].kind == LAB_FIELD_TEXT &&
			strcmp(event->fields[i].name, name) == 0)
			return event->fields[i].text;
	}
	return LAB_VIEW("");
}

uint64_t oracle_event_number(const struct lab_event *event, const char *name)
{
	for (size_t i = 0; i < event->field_count; i++) {
		if (event->fields[i].kind != LAB_FIELD_TEXT &&
			strcmp(event->fields[i].name, name) == 0)
			return event->fields[i].number;
	}
	return 0;
}

/* ---- folders ---- */

static uint64_t key_of(struct lab_view user, struct lab_view guid_hex)
{
	return lab_hash_view(lab_hash_view(0, user), guid_hex);
}

uint64_t knowledge_folder(struct lab_view user, const uint8_t guid[HISTORY_NAME_BYTES])
{
	char hex[2 * HISTORY_NAME_BYTES + 1];

	lab_hex(guid, HISTORY_NAME_BYTES, hex);
	return key_of(user, lab_view_of(hex, 2 * HISTORY_NAME_BYTES));
}

uint64_t knowledge_root(struct lab_view user)
{
	return key_of(user, LAB_VIEW(""));
}

void knowledge_follow_roots(struct knowledge *k)
{
	k->has_roots = true;
}

static const struct folder *find_folder(const struct knowledge *k, uint64_t key)
{
	return lab_map_get(k->folders, number_view(&key));
}

static struct folder *folder_of(struct knowledge *k, const struct lab_event *event)
{
	uint64_t key =
		key_of(oracle_event_text(event, "user"), oracle_event_text(event, "mailbox_guid"));
	void **slot = lab_map_slot(k->folders, number_view(&key));

	if (slot == NULL) {
		k->is_full = true;
		return NULL;
	}
	if (*slot == NULL) {
		*slot = lab_arena_new_of(k->arena, struct folder);
		((struct folder *)*slot)->last = KNOWLEDGE_NOBODY;
	}
	return *slot;
}

static const struct reader *find_reader(const struct folder *folder, uint32_t life)
{
	const struct reader *reader = folder == NULL ? NULL : folder->readers;

	while (reader != NULL && reader->life != life)
		reader = reader->next;
	return reader;
}

static struct reader *reader_of(struct knowledge *k, struct folder *folder, uint32_t life)
{
	struct reader *reader = (struct reader *)(uintptr_t)find_reader(folder, life);

	if (reader != NULL)
		return reader;
	reader = lab_arena_new_of(k->arena, struct reader);
	reader->life = life;
	reader->next = folder->readers;
	folder->readers = reader;
	return reader;
}

static struct moment *later(struct knowledge *k, const struct moment *before,
	const struct lab_event *event, const struct vector *value)
{
	struct moment *moment = lab_arena_new_of(k->arena, struct moment);

	*moment = (struct moment){
		.from = event->sequence, .time_ns = event->time_ns, .value = value, .before = before
	};
	return moment;
}

static const struct vector *newest(const struct moment *moment)
{
	return moment == NULL ? NULL : moment->value;
}

/* ---- uploads and refreshes ---- */

static struct upload **find_upload(struct folder *folder, uint32_t life, uint64_t fiber)
{
	struct upload **at = &folder->uploads;

	while (*at != NULL && ((*at)->life != life || (*at)->fiber != fiber))
		at = &(*at)->next;
	return at;
}

static void upload_started(
	struct knowledge *k, struct folder *folder, uint32_t life, const struct lab_event *event)
{
	struct upload **at = find_upload(folder, life, event->fiber);
	struct vector *own = new_vector(k, 1);

	k->has_uploads = true;
	own->count = 1;
	/* It was encoded before it was told. An operation that ended after this event, and before
	 * the next one, has the event's number as its end (history.h). */
	own->of[0] = (struct seen){ life, event->sequence - 1 };
	if (*at == NULL) {
		*at = lab_arena_new_of(k->arena, struct upload);
		(*at)->life = life;
		(*at)->fiber = event->fiber;
	}
	(*at)->began = event->sequence;
	(*at)->highest_modseq = oracle_event_number(event, "highest_modseq");
	(*at)->value = joined(k, newest(reader_of(k, folder, life)->known), own);
}

static void upload_finished(
	struct knowledge *k, struct folder *folder, uint32_t life, const struct lab_event *event)
{
	struct upload **at = find_upload(folder, life, event->fiber);
	struct moment *stored;

	if (*at == NULL)
		return;
	if (oracle_event_number(event, "code") == LAB_OK) {
		stored = later(
			k, folder->stored, event, joined(k, newest(folder->stored), (*at)->value));
		stored->upload = *at;
		folder->stored = stored;
		folder->last = life;
	}
	*at = (*at)->next;
}

static void looked(struct knowledge *k, struct reader *reader, const struct lab_event *event,
	bool is_beginning)
{
	struct look *look = lab_arena_new_of(k->arena, struct look);

	*look = (struct look){ reader->listed_at, event->sequence, event->time_ns, is_beginning,
		reader->looks };
	reader->looks = look;
}

static void refresh_started(
	struct knowledge *k, struct folder *folder, uint32_t life, const struct lab_event *event)
{
	struct reader *reader = reader_of(k, folder, life);

	reader->listed = newest(folder->stored);
	reader->listed_at = event->sequence;
}

static void refresh_finished(
	struct knowledge *k, struct folder *folder, uint32_t life, const struct lab_event *event)
{
	struct reader *reader = reader_of(k, folder, life);

	if (oracle_event_number(event, "code") == LAB_OK && reader->listed != NULL &&
		!lab_view_eq_cstr(oracle_event_text(event, "metacache_status"), "kept"))
		reader->known = later(
			k, reader->known, event, joined(k, newest(reader->known), reader->listed));
	if (oracle_event_number(event, "code") == LAB_OK && reader->listed_at != 0)
		looked(k, reader, event,
			folder->last != life &&
				lab_view_eq_cstr(
					oracle_event_text(event, "metacache_status"), "created"));
	reader->listed = NULL;
	reader->listed_at = 0;
}

static void merged(
	struct knowledge *k, struct folder *folder, uint32_t life, const struct lab_event *event)
{
	struct merge *merge = lab_arena_new_of(k->arena, struct merge);

	*merge = (struct merge){ life, event->id, event->sequence, folder->merges };
	folder->merges = merge;
}

static void host_started(struct knowledge *k, const struct lab_event *event)
{
	struct lab_view name = oracle_event_text(event, "host");
	uint32_t last;

	if (name.len == 0)
		name = oracle_event_text(event, "hostname");
	last = (uint32_t)(uintptr_t)lab_map_get(k->names, name);
	knowledge_started(k, event->host, name, last == 0 ? 1 : k->lives[last - 1].boot + 1);
	if (k->count > 0)
		k->lives[k->count - 1].started = event->sequence;
}

static void host_crashed(struct knowledge *k, const struct lab_event *event)
{
	uint32_t life = life_of_host(k, event->host);

	if (life >= k->count)
		return;
	k->lives[life].crashed = event->sequence;
	k->lives[life].crashed_ns = event->time_ns;
}

static void folder_event(struct knowledge *k, const struct lab_event *event)
{
	uint32_t life = life_of_host(k, event->host);
	struct folder *folder;

	k->is_full |= k->used > ARENA_MAX - EVENT_BYTES;
	if (k->is_full)
		return;
	k->used += EVENT_BYTES;
	folder = folder_of(k, event);
	if (folder == NULL || life >= k->count)
		return;
	switch ((int)event->id) {
	case LAB_EV_metacache_mailbox_bundle_upload_started:
	case LAB_EV_metacache_user_bundle_upload_started:
		upload_started(k, folder, life, event);
		break;
	case LAB_EV_metacache_mailbox_bundle_upload_finished:
	case LAB_EV_metacache_user_bundle_upload_finished:
		upload_finished(k, folder, life, event);
		break;
	case LAB_EV_metacache_mailbox_refresh_started:
	case LAB_EV_metacache_user_refresh_started:
		refresh_started(k, folder, life, event);
		break;
	case LAB_EV_metacache_mailbox_refresh_finished:
	case LAB_EV_metacache_user_refresh_finished:
		refresh_finished(k, folder, life, event);
		break;
	default:
		merged(k, folder, life, event);
		break;
	}
}

void knowledge_event(struct knowledge *k, const struct lab_event *event)
{
	switch ((int)event->id) {
	case LAB_EV_host_started:
		host_started(k, event);
		break;
	case LAB_EV_host_crashed:
		host_crashed(k, event);
		break;
	case LAB_EV_metacache_mailbox_bundle_upload_started:
	case LAB_EV_metacache_mailbox_bundle_upload_finished:
	case LAB_EV_metacache_mailbox_refresh_started:
	case LAB_EV_metacache_mailbox_refresh_finished:
	case LAB_EV_obox_index_merge_uidvalidity_changed:
	case LAB_EV_obox_index_merge_uids_renumbered:
		folder_event(k, event);
		break;
	case LAB_EV_metacache_user_bundle_upload_started:
	case LAB_EV_metacache_user_bundle_upload_finished:
	case LAB_EV_metacache_user_refresh_started:
	case LAB_EV_metacache_user_refresh_finished:
		if (k->has_roots)
			folder_event(k, event);
		break;
	default:
		break;
	}
}

/* ---- questions ---- */

static const struct vector *value_at(const struct moment *moment, uint64_t at)
{
	while (moment != NULL && moment->from > at)
		moment = moment->before;
	return newest(moment);
}

bool knowledge_knew(const struct knowledge *k, uint64_t folder, uint32_t reader, uint64_t at,
	uint32_t writer, uint64_t done)
{
	return reader != KNOWLEDGE_NOBODY && writer != KNOWLEDGE_NOBODY &&
	       knowledge_known_until(k, folder, reader, at, writer) >= done;
}

uint64_t knowledge_begun(
	const struct knowledge *k, uint64_t folder, uint32_t reader, uint64_t at, uint64_t *ret_ns)
{
	const struct reader *r = find_reader(find_folder(k, folder), reader);
	const struct look *look = r == NULL ? NULL : r->looks;

	while (look != NULL && (look->to > at || !look->is_beginning))
		look = look->before;
	*ret_ns = look == NULL ? 0 : look->to_ns;
	return look == NULL ? 0 : look->from;
}

bool knowledge_looked(
	const struct knowledge *k, uint64_t folder, uint32_t reader, uint64_t from, uint64_t to)
{
	const struct reader *r = find_reader(find_folder(k, folder), reader);
	const struct look *look = r == NULL ? NULL : r->looks;

	while (look != NULL && (look->from < from || look->to > to))
		look = look->before;
	return look != NULL;
}

bool knowledge_was_stored(
	const struct knowledge *k, uint64_t folder, uint64_t at, uint32_t writer, uint64_t done)
{
	const struct folder *f = find_folder(k, folder);

	return f != NULL && writer != KNOWLEDGE_NOBODY &&
	       until(value_at(f->stored, at), writer) >= done;
}

/* It began before the operation's client heard that it was done, and has what was done. */
static bool has_it_already(
	const struct upload *upload, uint32_t writer, const struct history_op *op)
{
	return upload != NULL && upload->life == writer && upload->began > op->invoked_event &&
	       upload->began <= op->ended_event && op->modseq > 0 &&
	       upload->highest_modseq >= op->modseq;
}

uint64_t knowledge_stored_ns(
	const struct knowledge *k, uint64_t folder, uint32_t writer, const struct history_op *op)
{
	const struct folder *f = find_folder(k, folder);
	uint64_t ns = UINT64_MAX;

	for (const struct moment *m = f == NULL ? NULL : f->stored;
		m != NULL && writer != KNOWLEDGE_NOBODY && m->from > op->invoked_event;
		m = m->before) {
		if (until(m->value, writer) >= op->ended_event ||
			has_it_already(m->upload, writer, op))
			ns = m->time_ns;
	}
	return ns;
}

uint64_t knowledge_known_until(
	const struct knowledge *k, uint64_t folder, uint32_t reader, uint64_t at, uint32_t writer)
{
	const struct reader *r = find_reader(find_folder(k, folder), reader);

	if (reader == writer)
		return at;
	return r == NULL ? 0 : until(value_at(r->known, at), writer);
}

uint64_t knowledge_merges(const struct knowledge *k, uint64_t folder, uint32_t life,
	enum lab_event_id id, uint64_t from, uint64_t to)
{
	const struct folder *f = find_folder(k, folder);
	uint64_t count = 0;

	for (const struct merge *m = f == NULL ? NULL : f->merges; m != NULL; m = m->before)
		count += (m->life == life || life == KNOWLEDGE_NOBODY) && m->id == id &&
			 m->event > from && m->event <= to;
	return count;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle/history.h"

#include <stdio.h>
#include <stdlib.h>

struct sighting_range {
	size_t start, count;
	const struct history_folder *folders; /* of a LIST */
	size_t folder_count;
};

struct folder {
	struct lab_view name;
};

struct history {
	struct lab_heap *heap;
	struct lab_arena *texts;
	struct history_op *ops;
	struct sighting_range *ranges; /* one for each op */
	size_t count, capacity;
	struct history_sighting *sightings;
	size_t sighting_count, sighting_capacity;
	struct lab_map *folders; /* user, GUID, or user, name -> struct folder */
	struct lab_view flags[HISTORY_FLAGS_MAX];
	size_t flag_count;
	uint64_t totals[HISTORY_KIND_COUNT][HISTORY_UNCERTAIN + 1];
	bool is_full;
	history_listener listener;
	void *listener_ctx;
};

static const char *const kind_names[] = {
#define X(name, text) text,
	HISTORY_KINDS(X)
#undef X
};
static const char *const outcome_names[] = { "pending", "ok", "fail", "uncertain" };

const char *history_kind_name(enum history_kind kind)
{
	lab_assert(kind < HISTORY_KIND_COUNT);
	return kind_names[kind];
}

const char *history_outcome_name(enum history_outcome outcome)
{
	lab_assert(outcome <= HISTORY_UNCERTAIN);
	return outcome_names[outcome];
}

#define TEXT_BYTES_MAX (4ull << 30)

struct history *history_new(struct lab_heap *heap)
{
	struct history *history = lab_new(heap, struct history);

	history->heap = heap;
	history->texts = lab_arena_new(heap, TEXT_BYTES_MAX);
	history->folders = lab_map_new(heap, HISTORY_OPS_MAX);
	return history;
}

void history_free(struct history **history_p)
{
	struct history *history = *history_p;
	struct lab_heap *heap;

	if (history == NULL)
		return;
	heap = history->heap;
	lab_arena_free(&history->texts);
	lab_map_free(&history->folders);
	lab_heap_free(heap, history->ops);
	lab_heap_free(heap, history->ranges);
	lab_heap_free(heap, history->sightings);
	lab_heap_free(heap, history);
	*history_p = NULL;
}

bool history_is_full(const struct history *history)
{
	return history->is_full;
}

static bool grow(struct history *history)
{
	size_t capacity = LAB_MAX(history->capacity * 2, (size_t)1024);

	if (history->count < history->capacity)
		return true;
	if (history->count >= HISTORY_OPS_MAX) {
		history->is_full = true;
		return false;
	}
	history->ops =
		lab_heap_realloc(history->heap, history->ops, capacity * sizeof(*history->ops));
	history->ranges = lab_heap_realloc(
		history->heap, history->ranges, capacity * sizeof(*history->ranges));
	history->capacity = capacity;
	return true;
}

uint64_t history_flag(struct history *history, struct lab_view name)
{
	for (size_t i = 0; i < history->flag_count; i++) {
		if (lab_view_eq_nocase(history->flags[i], name))
			return UINT64_C(1) << i;
	}
	if (history->flag_count == HISTORY_FLAGS_MAX) {
		history->is_full = true;
		return 0;
	}
	history->flags[history->flag_count] = lab_arena_copy(history->texts, name);
	return UINT64_C(1) << history->flag_count++;
}

void history_flag_names(const struct history *history, uint64_t flags, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < history->flag_count; i++) {
		if ((flags >> i & 1) == 0 || n + history->flags[i].len + 2 > size)
			continue;
		n += (size_t)snprintf(out + n, size - n, "%s%.*s", n > 0 ? " " : "",
			LAB_VIEW_ARG(history->flags[i]));
	}
}

static struct folder **folder_slot(
	struct history *history, struct lab_view user, char kind, struct lab_view key)
{
	struct lab_buf text;
	void **slot;

	lab_buf_init(&text, history->heap, 4096);
	lab_buf_append_view(&text, user);
	lab_buf_append_byte(&text, '\n');
	lab_buf_append_byte(&text, (uint8_t)kind);
	lab_buf_append_view(&text, key);
	slot = lab_map_slot(history->folders, lab_buf_view(&text));
	lab_buf_done(&text);
	return (struct folder **)slot;
}

static struct lab_view folder_name(struct history *history, struct lab_view user,
	struct lab_view name, const uint8_t guid[HISTORY_NAME_BYTES])
{
	static const uint8_t unknown[HISTORY_NAME_BYTES];
	struct folder **of_guid, **of_name, *folder;
	char hex[2 * HISTORY_NAME_BYTES + 1];

	if (memcmp(guid, unknown, sizeof(unknown)) == 0 || name.len == 0)
		return name;
	of_guid = folder_slot(history, user, 'g', lab_view_of(guid, HISTORY_NAME_BYTES));
	if (of_guid == NULL || *of_guid != NULL)
		return of_guid == NULL ? name : (*of_guid)->name;
	folder = lab_arena_new_of(history->texts, struct folder);
	*of_guid = folder;
	of_name = folder_slot(history, user, 'n', name);
	lab_hex(guid, HISTORY_NAME_BYTES, hex);
	folder->name = name;
	if (of_name != NULL && *of_name == NULL)
		*of_name = folder;
	else
		folder->name = lab_view_cstr(
			lab_arena_printf(history->texts, "%.*s#%s", LAB_VIEW_ARG(name), hex));
	return folder->name;
}

void history_listen(struct history *history, history_listener fn, void *ctx)
{
	history->listener = fn;
	history->listener_ctx = ctx;
}

uint32_t history_invoke(struct history *history, const struct history_op *op)
{
	struct history_op *copy;

	if (!grow(history))
		return 0;
	copy = &history->ops[history->count++];
	*copy = *op;
	copy->id = (uint32_t)history->count;
	copy->outcome = HISTORY_PENDING;
	copy->user = lab_arena_copy(history->texts, op->user);
	copy->asked = lab_arena_copy(history->texts, op->folder);
	copy->asked_target = copy->target = lab_arena_copy(history->texts, op->target);
	copy->special_use = lab_arena_copy(history->texts, op->special_use);
	copy->folder = folder_name(history, copy->user, copy->asked, op->mailbox_guid);
	copy->backend = lab_arena_copy(history->texts, op->backend);
	history->ranges[copy->id - 1] = (struct sighting_range){ 0 };
	history->totals[copy->kind][HISTORY_PENDING]++;
	if (history->listener != NULL)
		history->listener(history->listener_ctx, copy, false);
	return copy->id;
}

void history_end(struct history *history, uint32_t id, const struct history_op *end)
{
	struct history_op *op;

	if (id == 0)
		return;
	lab_assert(id <= history->count && end->outcome != HISTORY_PENDING);
	op = &history->ops[id - 1];
	lab_assert(op->outcome == HISTORY_PENDING);
	op->outcome = end->outcome;
	op->body_hash = end->body_hash;
	op->body_bytes = end->body_bytes;
	op->body_vsize = end->body_vsize;
	op->messages = end->messages;
	op->has_told_all = end->has_told_all;
	op->uidvalidity = end->uidvalidity;
	op->uid = end->uid;
	op->target_uid = end->target_uid;
	op->target_uidvalidity = end->target_uidvalidity;
	op->uidnext = end->uidnext;
	op->highest_modseq = end->highest_modseq;
	op->modseq = end->modseq;
	op->changed = end->changed;
	op->folder = folder_name(history, op->user, op->folder, end->mailbox_guid);
	op->target = folder_name(history, op->user, op->target, end->target_guid);
	memcpy(op->mailbox_guid, end->mailbox_guid, sizeof(op->mailbox_guid));
	memcpy(op->target_guid, end->target_guid, sizeof(op->target_guid));
	op->made = end->made;
	op->copied = end->copied;
	op->call = end->call;
	op->ended_ns = end->ended_ns;
	op->ended_event = end->ended_event;
	op->code = end->code;
	op->words = end->words;
	memcpy(op->fts_check, end->fts_check, sizeof(op->fts_check));
	if (end->token != 0)
		op->token = end->token;
	memcpy(op->message, end->message, sizeof(op->message));
	history->totals[op->kind][HISTORY_PENDING]--;
	history->totals[op->kind][op->outcome]++;
	if (history->listener != NULL)
		history->listener(history->listener_ctx, op, true);
}

void history_sight(struct history *history, uint32_t op, const struct history_sighting *sightings,
	size_t count)
{
	size_t needed = history->sighting_count + count;

	if (op == 0)
		return;
	lab_assert(op <= history->count && history->ranges[op - 1].count == 0);
	if (needed > HISTORY_SIGHTINGS_MAX) {
		history->is_full = true;
		return;
	}
	if (needed > history->sighting_capacity) {
		history->sighting_capacity = LAB_MAX(needed, history->sighting_capacity * 2);
		history->sightings = lab_heap_realloc(history->heap, history->sightings,
			history->sighting_capacity * sizeof(*history->sightings));
	}
	history->ranges[op - 1].start = history->sighting_count;
	history->ranges[op - 1].count = count;
	for (size_t i = 0; i < count; i++) {
		history->sightings[history->sighting_count] = sightings[i];
		history->sightings[history->sighting_count++].op = op;
	}
}

void history_sight_folders(
	struct history *history, uint32_t op, const struct history_folder *folders, size_t count)
{
	struct history_folder *copies;

	if (op == 0)
		return;
	lab_assert(op <= history->count && history->ranges[op - 1].folders == NULL);
	copies = lab_arena_array(history->texts, struct history_folder, count + 1);
	for (size_t i = 0; i < count; i++) {
		copies[i] = folders[i];
		copies[i].name = lab_arena_copy(history->texts, folders[i].name);
		copies[i].special_use = lab_arena_copy(history->texts, folders[i].special_use);
	}
	history->ranges[op - 1].folders = copies;
	history->ranges[op - 1].folder_count = count;
}

size_t history_count(const struct history *history)
{
	return history->count;
}

const struct history_op *history_op(const struct history *history, size_t index)
{
	lab_assert(index < history->count);
	return &history->ops[index];
}

const struct history_sighting *history_sightings(
	const struct history *history, uint32_t op, size_t *ret_count)
{
	lab_assert(op >= 1 && op <= history->count);
	*ret_count = history->ranges[op - 1].count;
	return *ret_count == 0 ? NULL : history->sightings + history->ranges[op - 1].start;
}

const struct history_folder *history_folders(
	const struct history *history, uint32_t op, size_t *ret_count)
{
	lab_assert(op >= 1 && op <= history->count);
	*ret_count = history->ranges[op - 1].folder_count;
	return history->ranges[op - 1].folders;
}

uint64_t history_total(
	const struct history *history, enum history_kind kind, enum history_outcome outcome)
{
	return history->totals[kind][outcome];
}

/* ---- canonical form ---- */

static int compare_ops(const void *a, const void *b)
{
	const struct history_op *x = *(const struct history_op *const *)a;
	const struct history_op *y = *(const struct history_op *const *)b;
	int by_user = lab_view_cmp(x->user, y->user);

	if (by_user != 0)
		return by_user;
	return x->id < y->id ? -1 : 1;
}

void history_print_canonical(const struct history *history, struct lab_buf *out)
{
	const struct history_op **sorted =
		lab_new_array(history->heap, const struct history_op *, history->count);

	for (size_t i = 0; i < history->count; i++)
		sorted[i] = &history->ops[i];
	qsort(sorted, history->count, sizeof(*sorted), compare_ops);
	for (size_t i = 0; i < history->count; i++) {
		const struct history_op *op = sorted[i];
		char flags[200];
		size_t seen;

		history_flag_names(history, op->flags, flags, sizeof(flags));
		(void)history_sightings(history, op->id, &seen);
		lab_buf_printf(out,
			"%.*s %s %.*s%s%.*s%s%s%s token=%" PRIu64 " seen=%zu body=%016" PRIx64
			" %s\n",
			LAB_VIEW_ARG(op->user), kind_names[op->kind], LAB_VIEW_ARG(op->folder),
			op->target.len > 0 ? " -> " : "", LAB_VIEW_ARG(op->target),
			flags[0] != '\0' ? " " : "",
			op->kind == HISTORY_STORE && !op->is_set ? "-" : "", flags, op->token, seen,
			op->body_hash, outcome_names[op->outcome]);
	}
	lab_heap_free(history->heap, sorted);
}

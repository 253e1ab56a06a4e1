/* SPDX-License-Identifier: Apache-2.0
 *
 * elle.c - three passes over a history: which folders and mails there are, who appended and who
 * removed them, and the lines.
 */
#include "sim/oracle/elle.h"

#include <stdlib.h>

#define KEYS_MAX 1000000
#define NAME_BYTES_MAX 600
#define NEVER UINT64_MAX

struct element {
	uint64_t value;
	uint32_t uid;           /* 0: nobody said */
	uint32_t writer;        /* op; 0: nobody appended it */
	uint64_t ok_event;      /* its append was acknowledged; NEVER */
	uint64_t removed_event; /* somebody began to remove it; NEVER */
	struct element *next;   /* of the folder */
};

struct folder {
	uint64_t key;
	struct lab_view user, name;
	uint32_t uidvalidity;
	const char *left_out; /* why; NULL: it is not */
	struct element *first, **sorted;
	size_t count;
	struct folder *next;
};

struct elle {
	const struct history *history;
	struct lab_arena *arena;
	struct lab_buf *out;
	struct lab_map *folders;  /* by user and name */
	struct lab_map *elements; /* by folder and object name */
	struct folder *first, **last;
	uint64_t last_value, index, last_process, unwritten;
	uint64_t *values;     /* of appends, by op id */
	uint64_t *processes;  /* of operations, by op id */
	uint64_t *of_session; /* its process; 0: none yet, or it is used up */
	bool *is_busy;        /* sessions */
};

static struct lab_view append_folder(const struct history_op *op)
{
	return op->kind == HISTORY_DELIVER ? op->folder : op->target;
}

static bool is_append(const struct history_op *op)
{
	return op->kind == HISTORY_DELIVER || op->kind == HISTORY_COPY || op->kind == HISTORY_MOVE;
}

static bool is_told(const struct history_op *op)
{
	return is_append(op) || op->kind == HISTORY_SELECT;
}

static struct folder *folder_of(struct elle *e, struct lab_view user, struct lab_view name)
{
	const char *text =
		lab_arena_printf(e->arena, "%.*s\n%.*s", LAB_VIEW_ARG(user), LAB_VIEW_ARG(name));
	void **slot = lab_map_slot(e->folders, lab_view_cstr(text));
	struct folder *f = *slot;

	if (f != NULL)
		return f;
	*slot = f = lab_arena_new_of(e->arena, struct folder);
	f->key = lab_map_count(e->folders);
	f->user = user;
	f->name = name;
	*e->last = f;
	e->last = &f->next;
	return f;
}

static void leave_out(struct folder *f, const char *why)
{
	if (f->left_out == NULL)
		f->left_out = why;
}

static void see_validity(struct folder *f, uint32_t uidvalidity)
{
	if (uidvalidity == 0)
		return;
	if (f->uidvalidity != 0 && f->uidvalidity != uidvalidity)
		leave_out(f, "UIDVALIDITY changed");
	f->uidvalidity = uidvalidity;
}

static struct lab_view element_key(struct elle *e, const struct folder *f, const uint8_t *name)
{
	uint8_t *bytes = lab_arena_alloc(e->arena, sizeof(f->key) + HISTORY_NAME_BYTES);

	memcpy(bytes, &f->key, sizeof(f->key));
	memcpy(bytes + sizeof(f->key), name, HISTORY_NAME_BYTES);
	return lab_view_of(bytes, sizeof(f->key) + HISTORY_NAME_BYTES);
}

/* The mail of that object's name, which is new if nobody has named it. */
static struct element *element_of(struct elle *e, struct folder *f, const uint8_t *name)
{
	void **slot = lab_map_slot(e->elements, element_key(e, f, name));
	struct element *x = *slot;

	if (x != NULL)
		return x;
	*slot = x = lab_arena_new_of(e->arena, struct element);
	*x = (struct element){ .value = ++e->last_value,
		.ok_event = NEVER,
		.removed_event = NEVER,
		.next = f->first };
	f->first = x;
	f->count++;
	return x;
}

static void see_uid(struct folder *f, struct element *x, uint32_t uid)
{
	if (uid == 0)
		return;
	if (x->uid != 0 && x->uid != uid)
		leave_out(f, "mails got other UIDs");
	x->uid = uid;
}

/* ---- who appended, who saw ---- */

static void see_append(struct elle *e, const struct history_op *op)
{
	struct folder *f = folder_of(e, op->user, append_folder(op));
	bool is_delivery = op->kind == HISTORY_DELIVER;
	struct element *x;

	see_validity(f, is_delivery ? op->uidvalidity : op->target_uidvalidity);
	if (!op->made.has_name) {
		/* It is given what nobody else has appended, or a number that nobody reads. */
		if (op->outcome == HISTORY_OK || op->outcome == HISTORY_FAIL)
			e->values[op->id] = ++e->last_value;
		return;
	}
	x = element_of(e, f, op->made.name);
	if (x->writer != 0)
		leave_out(f, "an object's name was appended twice");
	x->writer = op->id;
	e->values[op->id] = x->value;
	see_uid(f, x, is_delivery ? op->uid : op->target_uid);
	if (op->outcome == HISTORY_OK)
		x->ok_event = op->ended_event;
}

static void see_select(struct elle *e, const struct history_op *op)
{
	struct folder *f = folder_of(e, op->user, op->folder);
	size_t count;
	const struct history_sighting *seen = history_sightings(e->history, op->id, &count);

	see_validity(f, op->uidvalidity);
	for (size_t i = 0; i < count && op->outcome == HISTORY_OK; i++) {
		if (seen[i].object.has_name)
			see_uid(f, element_of(e, f, seen[i].object.name), seen[i].uid);
		else
			leave_out(f, "a listing had a mail without a name");
	}
}

/* ---- who removed ---- */

static void see_removal(
	struct elle *e, struct folder *f, const struct history_object *object, uint64_t event)
{
	struct element *x;

	if (!object->has_name) {
		leave_out(f, "a mail without a name was removed");
		return;
	}
	x = element_of(e, f, object->name);
	x->removed_event = LAB_MIN(x->removed_event, event);
}

static void see_removals(struct elle *e, const struct history_op *op)
{
	struct folder *f;
	size_t count;
	const struct history_sighting *seen;

	if (op->kind != HISTORY_EXPUNGE && op->kind != HISTORY_MOVE &&
		op->kind != HISTORY_AUTOEXPUNGE)
		return;
	f = folder_of(e, op->user, op->folder);
	if (op->kind == HISTORY_EXPUNGE && op->target.len > 0)
		leave_out(folder_of(e, op->user, op->target), "lazy_expunge moves mails into it");
	if (op->outcome == HISTORY_FAIL)
		return;
	if (op->kind != HISTORY_AUTOEXPUNGE) {
		see_removal(e, f, &op->source, op->invoked_event);
		return;
	}
	seen = history_sightings(e->history, op->id, &count);
	for (size_t i = 0; i < count; i++)
		see_removal(e, f, &seen[i].object, op->invoked_event);
}

/* ---- folders as a whole ---- */

static int compare_elements(const void *a, const void *b)
{
	const struct element *x = *(struct element *const *)a, *y = *(struct element *const *)b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->value < y->value ? -1 : x->value > y->value;
}

static void sort_folder(struct elle *e, struct folder *f)
{
	size_t n = 0;

	f->sorted = lab_arena_array(e->arena, struct element *, f->count + 1);
	for (struct element *x = f->first; x != NULL; x = x->next)
		f->sorted[n++] = x;
	if (n > 0)
		qsort(f->sorted, n, sizeof(struct element *), compare_elements);
	for (size_t i = 1; i < n; i++) {
		if (f->sorted[i]->uid != 0 && f->sorted[i]->uid == f->sorted[i - 1]->uid)
			leave_out(f, "two mails had one UID");
	}
}

/* The first mail of the folder that nobody appended; NULL: none. */
static struct element *orphan_of(const struct folder *f)
{
	for (size_t i = 0; i < f->count; i++) {
		if (f->sorted[i]->writer == 0 && f->sorted[i]->uid != 0)
			return f->sorted[i];
	}
	return NULL;
}

/* Uncertain appends get what was seen, and nobody is known to have appended. */
static void give_orphans(struct elle *e)
{
	for (size_t i = 0; i < history_count(e->history); i++) {
		const struct history_op *op = history_op(e->history, i);
		struct element *x;

		if (!is_append(op) || e->values[op->id] != 0)
			continue;
		x = orphan_of(folder_of(e, op->user, append_folder(op)));
		if (x != NULL)
			x->writer = op->id;
		e->values[op->id] = x != NULL ? x->value : ++e->last_value;
	}
	for (struct folder *f = e->first; f != NULL; f = f->next) {
		for (size_t i = 0; i < f->count && f->left_out == NULL; i++)
			e->unwritten += f->sorted[i]->writer == 0 && f->sorted[i]->uid != 0;
	}
}

/* ---- lines ---- */

struct edge {
	uint64_t event;
	const struct history_op *op;
	bool is_end;
};

/* What has the same event's number overlaps: beginnings come first. */
static int compare_edges(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	if (x->event != y->event)
		return x->event < y->event ? -1 : 1;
	if (x->is_end != y->is_end)
		return x->is_end ? 1 : -1;
	return x->op->id < y->op->id ? -1 : x->op->id > y->op->id;
}

static bool was_seen(const struct history_sighting *seen, size_t count, uint32_t uid)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (seen[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && seen[low].uid == uid;
}

/* Sightings are in the order of their UIDs. */
static void print_list(struct elle *e, const struct folder *f, const struct history_op *op)
{
	size_t count;
	const struct history_sighting *seen = history_sightings(e->history, op->id, &count);
	uint32_t last = count > 0 ? seen[count - 1].uid : 0;
	const char *space = "";

	lab_buf_append_cstr(e->out, "[");
	for (size_t i = 0; i < f->count; i++) {
		const struct element *x = f->sorted[i];
		bool is_put_back = x->removed_event <= op->ended_event &&
				   (x->uid < last || x->ok_event < op->invoked_event);

		if (x->uid == 0 || (!was_seen(seen, count, x->uid) && !is_put_back))
			continue;
		lab_buf_printf(e->out, "%s%" PRIu64, space, x->value);
		space = " ";
	}
	lab_buf_append_cstr(e->out, "]");
}

static void print_line(struct elle *e, const struct history_op *op, const char *type, bool is_end)
{
	struct folder *f =
		folder_of(e, op->user, op->kind == HISTORY_SELECT ? op->folder : append_folder(op));

	if (f->left_out != NULL)
		return;
	lab_buf_printf(e->out,
		"{:index %" PRIu64 " :time %" PRIu64 " :process %" PRIu64
		" :type :%s :f :txn :value [[",
		e->index++,
		is_end && op->outcome != HISTORY_PENDING ? op->ended_ns : op->invoked_ns,
		e->processes[op->id], type);
	if (op->kind != HISTORY_SELECT) {
		lab_buf_printf(e->out, ":append %" PRIu64 " %" PRIu64, f->key, e->values[op->id]);
	} else {
		lab_buf_printf(e->out, ":r %" PRIu64 " ", f->key);
		if (is_end && op->outcome == HISTORY_OK)
			print_list(e, f, op);
		else
			lab_buf_append_cstr(e->out, "nil");
	}
	lab_buf_append_cstr(e->out, "]]}\n");
}

static void begin_op(struct elle *e, const struct history_op *op)
{
	uint32_t session = op->session;

	if (session == 0 || e->is_busy[session]) {
		e->processes[op->id] = ++e->last_process;
	} else {
		if (e->of_session[session] == 0)
			e->of_session[session] = ++e->last_process;
		e->processes[op->id] = e->of_session[session];
		e->is_busy[session] = true;
	}
	print_line(e, op, "invoke", false);
}

static void end_op(struct elle *e, const struct history_op *op)
{
	bool is_info = op->outcome == HISTORY_UNCERTAIN || op->outcome == HISTORY_PENDING;

	if (op->session != 0 && e->processes[op->id] == e->of_session[op->session]) {
		e->is_busy[op->session] = false;
		if (is_info)
			e->of_session[op->session] = 0;
	}
	print_line(e, op, is_info ? "info" : op->outcome == HISTORY_OK ? "ok" : "fail", true);
}

static void print_lines(struct elle *e, struct lab_heap *heap)
{
	size_t operations = history_count(e->history), n = 0;
	struct edge *edges = lab_new_array(heap, struct edge, 2 * operations + 1);

	for (size_t i = 0; i < operations; i++) {
		const struct history_op *op = history_op(e->history, i);
		bool is_pending = op->outcome == HISTORY_PENDING;

		if (!is_told(op))
			continue;
		edges[n++] = (struct edge){ op->invoked_event, op, false };
		edges[n++] = (struct edge){ is_pending ? NEVER : op->ended_event, op, true };
	}
	if (n > 0)
		qsort(edges, n, sizeof(*edges), compare_edges);
	for (size_t i = 0; i < n; i++)
		(edges[i].is_end ? end_op : begin_op)(e, edges[i].op);
	lab_heap_free(heap, edges);
}

/* Names are one line of a comment, whatever is in them. */
static void print_name(struct lab_buf *out, struct lab_view name)
{
	for (size_t i = 0; i < name.len; i++)
		lab_buf_append_byte(
			out, name.ptr[i] < ' ' || name.ptr[i] == 0x7f ? '?' : name.ptr[i]);
}

static void print_head(struct elle *e)
{
	lab_buf_append_cstr(e->out, "; list-append: folders are keys, mails are values\n");
	for (const struct folder *f = e->first; f != NULL; f = f->next) {
		lab_buf_printf(e->out, "; key %" PRIu64 ": ", f->key);
		print_name(e->out, f->user);
		lab_buf_append_byte(e->out, ' ');
		print_name(e->out, f->name);
		if (f->left_out != NULL)
			lab_buf_printf(e->out, " LEFT OUT: %s", f->left_out);
		lab_buf_append_byte(e->out, '\n');
	}
	if (e->unwritten > 0)
		lab_buf_printf(e->out,
			"; %" PRIu64 " values were read that no client of this run appended\n",
			e->unwritten);
}

void elle_print(const struct history *history, struct lab_heap *heap, struct lab_buf *out)
{
	size_t operations = history_count(history), sessions = 0;
	struct elle e = { .history = history,
		.arena = lab_arena_new(heap, SIZE_MAX / 8),
		.out = out,
		.folders = lab_map_new(heap, KEYS_MAX),
		.elements = lab_map_new(heap, HISTORY_OPS_MAX) };

	e.last = &e.first;
	for (size_t i = 0; i < operations; i++)
		sessions = LAB_MAX(sessions, (size_t)history_op(history, i)->session);
	e.values = lab_arena_array(e.arena, uint64_t, operations + 1);
	e.processes = lab_arena_array(e.arena, uint64_t, operations + 1);
	e.of_session = lab_arena_array(e.arena, uint64_t, sessions + 1);
	e.is_busy = lab_arena_array(e.arena, bool, sessions + 1);
	for (size_t i = 0; i < operations; i++) {
		const struct history_op *op = history_op(history, i);

		if (is_append(op))
			see_append(&e, op);
		else if (op->kind == HISTORY_SELECT)
			see_select(&e, op);
	}
	for (size_t i = 0; i < operations; i++)
		see_removals(&e, history_op(history, i));
	for (struct folder *f = e.first; f != NULL; f = f->next)
		sort_folder(&e, f);
	give_orphans(&e);
	print_head(&e);
	print_lines(&e, heap);
	lab_map_free(&e.elements);
	lab_map_free(&e.folders);
	lab_arena_free(&e.arena);
}

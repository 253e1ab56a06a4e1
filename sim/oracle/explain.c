/* SPDX-License-Identifier: Apache-2.0
 *
 * explain.c - how it happened (simulation 6.2): the operations on a mail, the requests that touched
 * its objects and rows, and the faults that hit them, in the order of time.
 */
#include "sim/oracle/oracle-private.h"

#include <stdio.h>
#include <stdlib.h>

#define ENTRIES_MAX 65536
#define OBJECTS_MAX 64
#define WINDOWS_MAX 4096
#define MESSAGE_PART 60
#define ARENA_MAX ((size_t)64 << 20)

/* When there are too many lines, the later classes go first. */
enum entry_class {
	CLASS_OPERATION,
	CLASS_STORAGE_WRITE,
	CLASS_FAULT,
	CLASS_ROW_WRITE,
	CLASS_READ,
	CLASS_COUNT
};

struct entry {
	uint64_t time_ns, event;
	size_t number; /* breaks ties */
	enum entry_class class;
	const char *who; /* 12 columns */
	const char *text;
};

struct explanation {
	struct oracle *oracle;
	const struct oracle_case *c;
	const struct oracle_finding *finding;
	struct lab_arena *arena;
	struct lab_view user;
	uint64_t user_key;
	uint64_t keys[OBJECTS_MAX];
	struct lab_view oids[OBJECTS_MAX];
	size_t key_count;
	const struct history_op *ops[WINDOWS_MAX];
	size_t op_count;
	struct entry *entries;
	size_t count;
};

/* ---- which mail ---- */

static void add_oid(struct explanation *e, const struct history_object *object)
{
	struct lab_view oid = lab_view_of(object->oid, object->oid_len);

	if (oid.len == 0 || e->key_count == OBJECTS_MAX)
		return;
	for (size_t i = 0; i < e->key_count; i++) {
		if (lab_view_eq(e->oids[i], oid))
			return;
	}
	e->keys[e->key_count] = oracle_object_key(e->oracle, e->user, oid);
	e->oids[e->key_count++] = oid;
}

static bool has_oid(const struct explanation *e, const struct history_object *object)
{
	for (size_t i = 0; object->oid_len > 0 && i < e->key_count; i++) {
		if (lab_view_eq(e->oids[i], lab_view_of(object->oid, object->oid_len)))
			return true;
	}
	return false;
}

static bool is_about(const struct explanation *e, const struct history_op *op)
{
	if (!lab_view_eq(op->user, e->user))
		return false;
	return op->id == e->finding->op || (op->token != 0 && op->token == e->finding->token) ||
	       has_oid(e, &op->source) || has_oid(e, &op->made);
}

/* The mail is the user's: a token alone belongs to the user who was delivered it. */
static bool find_user(struct explanation *e)
{
	const struct history *h = e->c->history;

	if (e->finding->op != 0 && e->finding->op <= history_count(h)) {
		e->user = history_op(h, e->finding->op - 1)->user;
		return true;
	}
	for (size_t i = 0; e->finding->token != 0 && i < history_count(h); i++) {
		if (history_op(h, i)->token == e->finding->token) {
			e->user = history_op(h, i)->user;
			return true;
		}
	}
	return false;
}

static void find_ops(struct explanation *e)
{
	const struct history *h = e->c->history;

	for (size_t i = 0; i < history_count(h); i++) {
		const struct history_op *op = history_op(h, i);

		if (!is_about(e, op))
			continue;
		add_oid(e, &op->source);
		add_oid(e, &op->made);
		if (e->op_count < WINDOWS_MAX)
			e->ops[e->op_count++] = op;
	}
}

/* ---- lines ---- */

static void add(struct explanation *e, enum entry_class class, uint64_t time_ns, uint64_t event,
	const char *who, const char *text)
{
	if (e->count == ENTRIES_MAX)
		return;
	e->entries[e->count] = (struct entry){ time_ns, event, e->count, class, who, text };
	e->count++;
}

static const char *who_of(struct explanation *e, struct lab_view name)
{
	return name.len == 0 ? "nobody" : lab_arena_cstr(e->arena, name);
}

/* Its beginning says what was done, its end why that failed. */
static const char *shortened(struct explanation *e, const char *message)
{
	size_t len = strlen(message);

	return len <= 2 * MESSAGE_PART ? message
				       : lab_arena_printf(e->arena, "%.*s ... %s", MESSAGE_PART,
						 message, message + len - MESSAGE_PART);
}

static void add_op(struct explanation *e, const struct history_op *op)
{
	const char *who = who_of(e, op->backend);
	const char *what = lab_arena_printf(e->arena, "%s %.*s%s%.*s", history_kind_name(op->kind),
		LAB_VIEW_ARG(op->folder), op->target.len > 0 ? " -> " : "",
		LAB_VIEW_ARG(op->target));
	enum entry_class class = op->kind == HISTORY_FETCH && op->id != e->finding->op
					 ? CLASS_READ
					 : CLASS_OPERATION;

	if (op->kind != HISTORY_FETCH)
		add(e, class, op->invoked_ns, op->invoked_event, who,
			lab_arena_printf(e->arena, "%s begins", what));
	if (op->outcome != HISTORY_PENDING)
		add(e, class, op->ended_ns, op->ended_event, who,
			lab_arena_printf(e->arena, "%s: %s%s%s", what,
				op->outcome == HISTORY_OK ? "OK"
							  : history_outcome_name(op->outcome),
				op->message[0] == '\0' ? "" : ", ", shortened(e, op->message)));
}

static bool touches_object(const struct explanation *e, const struct oracle_line *line)
{
	if (line->what > ORACLE_S3_OTHER)
		return false;
	for (size_t i = 0; i < e->key_count; i++) {
		if (e->keys[i] == line->key)
			return true;
	}
	return false;
}

static bool is_write(const struct oracle_line *line)
{
	return line->what == ORACLE_S3_PUT || line->what == ORACLE_S3_DELETE ||
	       line->what == ORACLE_CQL_INSERT || line->what == ORACLE_CQL_DELETE;
}

static bool is_of_mails(unsigned table)
{
	return table == ORACLE_TABLE_FORWARD || table == ORACLE_TABLE_REVERSE ||
	       table == ORACLE_TABLE_BUCKETS;
}

/* A statement's rows are not in the log: those of the mail's operations are meant that came from
 * their backend while they ran. Deletes of reverse rows do not even name the user. */
static bool touches_rows(const struct explanation *e, const struct oracle_line *line)
{
	const struct lab_view *peer = e->oracle->peer_names[line->peer];

	if (line->what <= ORACLE_S3_OTHER || peer == NULL || !is_of_mails(line->table) ||
		(line->key != 0 && line->key != e->user_key))
		return false;
	for (size_t i = 0; i < e->op_count; i++) {
		const struct history_op *op = e->ops[i];

		/* What is read changes rows only where something is wrong. */
		if ((op->kind != HISTORY_FETCH || is_write(line)) &&
			lab_view_eq(op->backend, *peer) && op->invoked_ns <= line->time_ns &&
			line->time_ns <= oracle_op_end(op))
			return true;
	}
	return false;
}

static const char *what_text(const struct oracle_line *line)
{
	static const char *const whats[] = { "GET", "HEAD", "PUT", "DELETE", "request", "SELECT",
		"INSERT", "DELETE" };

	return whats[line->what];
}

static const char *table_text(const struct oracle_line *line)
{
	static const char *const tables[] = { "other row", "forward row", "reverse row",
		"max_bucket" };

	return line->what <= ORACLE_S3_OTHER ? "object" : tables[line->table];
}

static enum entry_class class_of(const struct oracle_line *line)
{
	if (line->fault_id != 0)
		return CLASS_FAULT;
	if (!is_write(line))
		return CLASS_READ;
	return line->what <= ORACLE_S3_OTHER ? CLASS_STORAGE_WRITE : CLASS_ROW_WRITE;
}

static const struct fault_record *fault_of(
	const struct explanation *e, const struct oracle_line *line)
{
	return line->fault_id == 0 || e->c->faults == NULL
		       ? NULL
		       : fault_record_find(e->c->faults, line->fault_id);
}

/* SERVER_ERROR has the number 0, as what went well has in the log: the fault tells them apart. */
static bool went_well(const struct explanation *e, const struct oracle_line *line)
{
	const struct fault_record *fault = fault_of(e, line);

	return line->status == 0 &&
	       (fault == NULL || (fault->kind != FAULT_server_error &&
					 fault->kind != FAULT_server_error_applied));
}

/* Of CQL, those that say what became of a write or read. */
static const char *error_text(struct explanation *e, unsigned number)
{
	static const struct {
		unsigned number;
		const char *name;
	} errors[] = { { 0x0000, "SERVER_ERROR" }, { 0x1000, "UNAVAILABLE" },
		{ 0x1001, "OVERLOADED" }, { 0x1100, "WRITE_TIMEOUT" }, { 0x1200, "READ_TIMEOUT" },
		{ 0x1300, "READ_FAILURE" }, { 0x1500, "WRITE_FAILURE" } };

	for (size_t i = 0; i < LAB_COUNT_OF(errors); i++) {
		if (errors[i].number == number)
			return errors[i].name;
	}
	return lab_arena_printf(e->arena, "0x%04x", number);
}

static const char *answer_text(struct explanation *e, const struct oracle_line *line)
{
	const char *applied = !is_write(line) ? "" : line->applied ? ", applied" : ", not applied";

	if (!line->answered)
		return lab_arena_printf(e->arena, "no answer%s", applied);
	if (line->what <= ORACLE_S3_OTHER)
		return lab_arena_printf(e->arena, "%u%s", line->status, applied);
	if (went_well(e, line))
		return lab_arena_printf(e->arena, "ok%s", applied);
	return lab_arena_printf(e->arena, "error %s%s", error_text(e, line->status), applied);
}

static const char *fault_text(struct explanation *e, const struct oracle_line *line)
{
	const struct fault_record *fault = fault_of(e, line);

	if (line->fault_id == 0)
		return "";
	return lab_arena_printf(
		e->arena, "  FAULT %s", fault == NULL ? "injected" : fault_kind_name(fault->kind));
}

static void add_line(struct explanation *e, const struct oracle_line *line)
{
	const struct lab_view *peer = e->oracle->peer_names[line->peer];

	add(e, class_of(line), line->time_ns, line->event,
		who_of(e, peer == NULL ? LAB_VIEW("") : *peer),
		lab_arena_printf(e->arena, "%s %s %s ---> %s%s",
			line->what <= ORACLE_S3_OTHER ? "s3 " : "cql", what_text(line),
			table_text(line), answer_text(e, line), fault_text(e, line)));
}

/* Crashes and the like of the backends that worked on it. */
static void add_world_faults(struct explanation *e)
{
	for (size_t i = 0; e->c->faults != NULL && i < fault_record_count(e->c->faults); i++) {
		const struct fault_record *r = fault_record(e->c->faults, i);

		if (!fault_kind_is_world(r->kind))
			continue;
		for (size_t n = 0; n < e->op_count; n++) {
			const struct history_op *op = e->ops[n];

			if (lab_view_eq_cstr(op->backend, r->subject) ||
				lab_view_eq_cstr(op->backend, r->peer) ||
				lab_view_eq_cstr(op->backend, r->instance)) {
				add(e, CLASS_FAULT, r->time_ns, 0, who_of(e, op->backend),
					lab_arena_printf(
						e->arena, "FAULT %s", fault_kind_name(r->kind)));
				break;
			}
		}
	}
}

/* ---- printing ---- */

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* How many of each class: all of the first ones that fit, the last lines of the next. */
static void choose(const struct explanation *e, size_t lines_max, size_t skip[CLASS_COUNT])
{
	size_t left = lines_max;

	for (size_t class = 0; class < CLASS_COUNT; class ++) {
		size_t have = 0;

		for (size_t i = 0; i < e->count; i++)
			have += e->entries[i].class == class;
		skip[class] = have > left ? have - left : 0;
		left -= have - skip[class];
	}
}

static void print(struct explanation *e, unsigned lines_max, struct lab_buf *out)
{
	size_t skip[CLASS_COUNT], skipped = 0;

	qsort(e->entries, e->count, sizeof(*e->entries), compare);
	/* One line may be needed to say that some are left out. */
	choose(e, e->count > lines_max ? lines_max - 1 : lines_max, skip);
	for (size_t i = 0; i < e->count; i++) {
		const struct entry *entry = &e->entries[i];
		uint64_t ms = entry->time_ns / LAB_MSEC;

		if (skip[entry->class] > 0) {
			skip[entry->class]--;
			skipped++;
			continue;
		}
		lab_buf_printf(out, "  %3" PRIu64 ":%02u.%03u  %-11s  %s", ms / 60000,
			(unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000), entry->who, entry->text);
		if (entry->event != 0)
			lab_buf_printf(out, "  #%" PRIu64, entry->event);
		lab_buf_append_byte(out, '\n');
	}
	if (skipped > 0)
		lab_buf_printf(out, "  (%zu more of %zu are not shown)\n", skipped, e->count);
}

void oracle_explain(struct oracle *oracle, const struct oracle_case *c,
	const struct oracle_finding *finding, unsigned lines_max, struct lab_buf *out)
{
	struct lab_heap *heap = oracle->settings.heap;
	struct explanation *e = lab_new(heap, struct explanation);

	*e = (struct explanation){ .oracle = oracle, .c = c, .finding = finding };
	if (lines_max > 0 && find_user(e)) {
		e->arena = lab_arena_new(heap, ARENA_MAX);
		e->entries = lab_new_array(heap, struct entry, ENTRIES_MAX);
		e->user_key = lab_hash_view(0, e->user);
		find_ops(e);
		for (size_t i = 0; i < e->op_count; i++)
			add_op(e, e->ops[i]);
		for (size_t i = 0; i < oracle->line_count; i++) {
			if (touches_object(e, oracle_line_at(oracle, i)) ||
				touches_rows(e, oracle_line_at(oracle, i)))
				add_line(e, oracle_line_at(oracle, i));
		}
		add_world_faults(e);
		print(e, lines_max, out);
		lab_arena_free(&e->arena);
		lab_heap_free(heap, e->entries);
	}
	lab_heap_free(heap, e);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * requests.c - what the services' logs say: invariants 19 (a copy writes and deletes no object), 20
 * (no mail's object is written over), 33 (timestamps), and what was found while the run went on.
 */
#include "sim/oracle/oracle-private.h"

/* How long after its timestamp was made a statement may still arrive: host by host, then with the
 * fallback consistency. */
#define STATEMENT_LATE_US (INT64_C(10) * 60 * 1000000)
/* The same with a connection that is there: 60 s for each of two consistencies, and some more. */
#define OVERTAKING_NS (3 * LAB_MINUTE)
/* The way to the server, and two statements of one microsecond. */
#define STATEMENT_EARLY_US (INT64_C(1000000))

static struct lab_view u64_view(const uint64_t *value)
{
	return lab_view_of(value, sizeof(*value));
}

static void why_line(const struct oracle *oracle, struct oracle_finding *f,
	const struct oracle_line *line, const char *what)
{
	const struct lab_view *peer = oracle->peer_names[line->peer];

	oracle_why(f, "%.*s %s at %" PRIu64 ".%03u s, after event #%" PRIu64,
		LAB_VIEW_ARG(peer == NULL ? LAB_VIEW("?") : *peer), what, line->time_ns / LAB_SEC,
		(unsigned)(line->time_ns / LAB_MSEC % 1000), line->event);
}

/* ---- 19 ---- */

/* Who may delete the body of an object: an expunge, a move, a delivery that failed; the deletion
 * of its folder or user. */
static bool may_delete(const struct oracle_object *object, const struct oracle_line *line)
{
	for (const struct oracle_touch *t = object->first; t != NULL; t = t->next) {
		if (t->op->invoked_ns <= line->time_ns &&
			(t->op->kind == HISTORY_EXPUNGE || t->op->kind == HISTORY_MOVE ||
				t->op->kind == HISTORY_AUTOEXPUNGE ||
				t->op->kind == HISTORY_DELETE ||
				t->op->kind == HISTORY_USER_DELETE ||
				(t->op->kind == HISTORY_DELIVER && t->op->outcome != HISTORY_OK)))
			return true;
	}
	return false;
}

/* A copy that knows an object of its own wrote it. */
static const struct history_op *copy_that_made(
	const struct oracle *oracle, const struct oracle_object *object)
{
	for (const struct oracle_touch *t = object->first; t != NULL; t = t->next) {
		const struct history_op *op = t->op;

		if ((op->kind != HISTORY_COPY && op->kind != HISTORY_MOVE) ||
			op->source.oid_len == 0 || op->made.oid_len == 0 ||
			!oracle_is_copy_in_dict(oracle, op))
			continue;
		if (!lab_view_eq(lab_view_of(op->source.oid, op->source.oid_len),
			    lab_view_of(op->made.oid, op->made.oid_len)) &&
			lab_view_eq(lab_view_of(op->made.oid, op->made.oid_len),
				lab_view_of(object->oid, object->oid_len)))
			return op;
	}
	return NULL;
}

static const struct history_op *first_copy(
	const struct oracle *oracle, const struct oracle_object *object, uint64_t until_ns)
{
	for (const struct oracle_touch *t = object->first; t != NULL; t = t->next) {
		if (t->op->kind == HISTORY_COPY && t->op->invoked_ns <= until_ns &&
			oracle_is_copy_in_dict(oracle, t->op))
			return t->op;
	}
	return NULL;
}

static void copy_finding(struct oracle *oracle, const struct history_op *op,
	const struct oracle_line *line, const char *signature, const char *what)
{
	struct oracle_finding *f = oracle_find(oracle, 19, signature,
		"%.*s/%.*s: copying mail %016" PRIx64 " %s an object", LAB_VIEW_ARG(op->user),
		LAB_VIEW_ARG(op->folder), op->token, what);

	f->token = op->token;
	f->op = op->id;
	f->time_ns = line->time_ns;
	oracle_why_op(f, op);
	why_line(oracle, f, line, what);
}

static void check_copy(struct oracle *oracle, const struct oracle_line *line)
{
	const struct oracle_object *object =
		lab_map_get(oracle->model.object_keys, u64_view(&line->key));
	const struct history_op *op;

	if (object == NULL)
		return;
	if (line->what == ORACLE_S3_PUT) {
		op = copy_that_made(oracle, object);
		if (op != NULL && line->applied)
			copy_finding(oracle, op, line, "I19 copy wrote an object", "wrote");
		return;
	}
	/* A delivery that was cut off may have had this object, and cleaned it up. */
	if (!object->is_delivered && lab_map_get(oracle->model.unnamed, object->user) != NULL)
		return;
	op = first_copy(oracle, object, line->time_ns);
	if (op != NULL && !may_delete(object, line))
		copy_finding(oracle, op, line, "I19 copy deleted an object", "deleted");
}

/* Where each copy is an object of its own, none shares that of its source. */
static void check_written_copies(struct oracle *oracle, const struct oracle_case *c)
{
	if (!oracle->settings.copies_are_written)
		return;
	for (size_t i = 0; i < history_count(c->history); i++) {
		const struct history_op *op = history_op(c->history, i);
		struct oracle_finding *f;

		if ((op->kind != HISTORY_COPY && op->kind != HISTORY_MOVE) ||
			op->outcome != HISTORY_OK || op->source.oid_len == 0 ||
			!lab_view_eq(lab_view_of(op->source.oid, op->source.oid_len),
				lab_view_of(op->made.oid, op->made.oid_len)))
			continue;
		f = oracle_find(oracle, 19, "I19 copy wrote no object",
			"%.*s/%.*s: the copy of mail %016" PRIx64
			" shares the object of its source",
			LAB_VIEW_ARG(op->user), LAB_VIEW_ARG(op->folder), op->token);
		f->token = op->token;
		f->op = op->id;
		f->time_ns = op->ended_ns;
		oracle_why_op(f, op);
	}
}

/* ---- 20 ---- */

/* A retry writes the same bytes again; another body under the same key is another mail. */
static void check_overwrite(
	struct oracle *oracle, struct lab_map *written, const struct oracle_line *line)
{
	void **slot = lab_map_slot(written, u64_view(&line->key));
	const struct oracle_line *before;
	const struct oracle_object *object;
	struct oracle_finding *f;

	if (slot == NULL)
		return;
	before = *slot;
	*slot = (void *)(uintptr_t)line;
	if (before == NULL || before->body_hash == line->body_hash)
		return;
	object = lab_map_get(oracle->model.object_keys, u64_view(&line->key));
	if (object == NULL && line->is_bundle) {
		f = oracle_find(oracle, 20, "I20 bundle written over",
			"an index bundle was written over with another one");
		f->time_ns = line->time_ns;
		why_line(oracle, f, before, "wrote it");
		why_line(oracle, f, line, "wrote it again, with other bytes");
	}
	if (object == NULL)
		return;
	f = oracle_find(oracle, 20, "I20 mail written over",
		"%.*s: the body of mail %016" PRIx64 " was written over with another one",
		LAB_VIEW_ARG(object->user), object->token);
	f->token = object->token;
	f->time_ns = line->time_ns;
	why_line(oracle, f, before, "wrote it");
	why_line(oracle, f, line, "wrote it again, with other bytes");
}

void oracle_check_log(struct oracle *oracle, const struct oracle_case *c)
{
	struct lab_map *written = lab_map_new(oracle->settings.heap, ORACLE_LINES_MAX);

	check_written_copies(oracle, c);
	for (size_t i = 0; i < oracle->line_count; i++) {
		const struct oracle_line *line = oracle_line_at(oracle, i);

		if (line->what != ORACLE_S3_PUT && line->what != ORACLE_S3_DELETE)
			continue;
		check_copy(oracle, line);
		if (line->what == ORACLE_S3_PUT && line->applied)
			check_overwrite(oracle, written, line);
	}
	lab_map_free(&written);
}

/* ---- 33 ---- */

static void drift_finding(
	struct oracle *oracle, const struct oracle_line *line, const char *statement, int64_t us)
{
	struct oracle_finding *f = oracle_find(oracle, 33, "I33 wrong timestamp",
		"%s: a timestamp is %" PRId64 " us off the wall clock at its arrival", statement,
		us);

	f->time_ns = line->time_ns;
	why_line(oracle, f, line, "sent it");
}

static void check_drift(struct oracle *oracle, const struct oracle_case *c,
	const struct oracle_drift *drift, const char *statement)
{
	int64_t error = oracle_clock_error(oracle, c);

	if (!drift->seen)
		return;
	if (drift->least_us < -error - STATEMENT_LATE_US)
		drift_finding(oracle, &drift->least, statement, drift->least_us);
	if (drift->most_us > error + STATEMENT_EARLY_US)
		drift_finding(oracle, &drift->most, statement, drift->most_us);
}

/* A client's timestamps grow, whatever its clock does; statements may overtake each other for as
 * long as the retries of one take. */
void oracle_check_clock(struct oracle *oracle, const struct sim_access *access)
{
	uint64_t span = access->received_ns / OVERTAKING_NS;
	void **slot = lab_map_slot(oracle->clocks, access->peer);
	struct oracle_clock *clock;

	if (slot == NULL || access->peer.len == 0 || access->timestamp_us == INT64_MIN)
		return;
	if (*slot == NULL)
		*slot = lab_arena_new_of(oracle->texts, struct oracle_clock);
	clock = *slot;
	/* Logged when it was answered, behind those that came after it. */
	if (span < clock->span)
		return;
	if (span != clock->span) {
		clock->older_us = LAB_MAX(clock->older_us, clock->before_us);
		clock->before_us = clock->now_us;
		clock->now_us = 0;
		clock->span = span;
	}
	clock->now_us = LAB_MAX(clock->now_us, access->timestamp_us);
	if (access->timestamp_us > clock->older_us)
		return;
	oracle_found_online(oracle, 33, "I33 timestamp went back", access->received_ns,
		"%.*s: an INSERT of %.*s is stamped %" PRId64
		" us, and one of minutes ago %" PRId64,
		LAB_VIEW_ARG(access->peer), LAB_VIEW_ARG(access->subject), access->timestamp_us,
		clock->older_us);
}

void oracle_forget_clock(struct oracle *oracle, struct lab_view peer)
{
	(void)lab_map_remove(oracle->clocks, peer);
}

static void report_online(struct oracle *oracle, const struct oracle_online *found)
{
	const struct oracle_object *object = NULL;
	struct oracle_finding *f;

	if (found->key != 0 && oracle->model.object_keys != NULL)
		object = lab_map_get(oracle->model.object_keys, u64_view(&found->key));
	if (object == NULL) {
		f = oracle_find(oracle, found->invariant, found->signature, "%s", found->sentence);
	} else {
		f = oracle_find(oracle, found->invariant, found->signature,
			"%.*s: mail %016" PRIx64 ": %s", LAB_VIEW_ARG(object->user), object->token,
			found->sentence);
		f->token = object->token;
		f->op = object->first != NULL ? object->first->op->id : 0;
	}
	f->time_ns = found->time_ns;
	oracle_why(f, "after event #%" PRIu64, found->event);
}

void oracle_report_online(struct oracle *oracle)
{
	for (size_t i = 0; i < oracle->online_count; i++)
		report_online(oracle, &oracle->online[i]);
}

void oracle_check_requests(struct oracle *oracle, const struct oracle_case *c)
{
	if (!oracle->settings.has_dictmap)
		return;
	check_drift(oracle, c, &oracle->inserts, "INSERT");
	check_drift(oracle, c, &oracle->deletes, "DELETE");
}

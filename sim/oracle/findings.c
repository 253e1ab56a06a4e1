/* SPDX-License-Identifier: Apache-2.0
 *
 * findings.c - findings, their reasons and their order, and what the configuration excuses.
 */
#include "sim/oracle/oracle-private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define COLLECTED_MAX 65536
#define COPIES_MAX 32 /* one of the other */
#define LIE \
	"Cassandra answered SERVER_ERROR or OVERLOADED to a write that it had applied, and the " \
	"client takes that for a certain failure (obox 3.8)"

/* CQL numbers of the levels below a quorum. */
enum {
	CQL_ANY = 0,
	CQL_ONE = 1,
	CQL_TWO = 2,
	CQL_THREE = 3,
	CQL_LOCAL_ONE = 10
};

struct oracle_finding *oracle_find(
	struct oracle *oracle, unsigned invariant, const char *signature, const char *format, ...)
{
	size_t capacity = LAB_MAX(oracle->finding_capacity * 2, (size_t)64);
	struct oracle_finding *f;
	va_list args;

	/* Beyond the bound the last one is written over: the number still counts. */
	if (oracle->finding_count == COLLECTED_MAX)
		oracle->finding_count--, oracle->verdict->failures++;
	if (oracle->finding_count == oracle->finding_capacity) {
		oracle->findings = lab_heap_realloc(oracle->settings.heap, oracle->findings,
			capacity * sizeof(*oracle->findings));
		oracle->finding_capacity = capacity;
	}
	f = &oracle->findings[oracle->finding_count++];
	*f = (struct oracle_finding){ .invariant = invariant };
	(void)snprintf(f->signature, sizeof(f->signature), "%s", signature);
	va_start(args, format);
	(void)vsnprintf(f->sentence, sizeof(f->sentence), format, args);
	va_end(args);
	return f;
}

void oracle_why(struct oracle_finding *finding, const char *format, ...)
{
	va_list args;
	size_t n = 0;

	while (n < LAB_COUNT_OF(finding->why) && finding->why[n][0] != '\0')
		n++;
	if (n == LAB_COUNT_OF(finding->why))
		return;
	va_start(args, format);
	(void)vsnprintf(finding->why[n], sizeof(finding->why[n]), format, args);
	va_end(args);
}

void oracle_why_op(struct oracle_finding *finding, const struct history_op *op)
{
	bool ended = op->outcome != HISTORY_PENDING;
	uint64_t ms = (ended ? op->ended_ns : op->invoked_ns) / LAB_MSEC;

	oracle_why(finding,
		"%.*s: %s %.*s%s%.*s ended %s at %" PRIu64 ".%03u s, event #%" PRIu64 "%s%.120s",
		LAB_VIEW_ARG(op->backend), history_kind_name(op->kind), LAB_VIEW_ARG(op->folder),
		op->target.len > 0 ? " -> " : "", LAB_VIEW_ARG(op->target),
		history_outcome_name(op->outcome), ms / 1000, (unsigned)(ms % 1000),
		ended ? op->ended_event : op->invoked_event, op->message[0] == '\0' ? "" : ": ",
		op->message);
}

void oracle_claimed_since(struct oracle *oracle, struct oracle_finding *finding,
	const struct history_op *op, bool is_target)
{
	finding->since_ns = op->invoked_ns;
	finding->folder =
		knowledge_folder(op->user, is_target ? op->target_guid : op->mailbox_guid);
	finding->life = knowledge_life(oracle->knowledge, op);
	finding->done = op->ended_event;
}

void oracle_unknown(struct oracle *oracle, const char *format, ...)
{
	va_list args;

	if (oracle->verdict->is_unknown)
		return;
	oracle->verdict->is_unknown = true;
	va_start(args, format);
	(void)vsnprintf(oracle->verdict->unknown, sizeof(oracle->verdict->unknown), format, args);
	va_end(args);
}

/* ---- order: what tells most comes first, and equal runs give equal lists ---- */

static unsigned rank(unsigned invariant)
{
	static const uint8_t order[] = { 1, 11, 14, 12, 2, 5, 21, 3, 4, 7, 9, 6, 10, 22, 8, 13, 19,
		20, 30, 16, 31, 32, 33 };

	for (unsigned i = 0; i < LAB_COUNT_OF(order); i++) {
		if (order[i] == invariant)
			return i;
	}
	/* The ledger tells once more. */
	return (unsigned)LAB_COUNT_OF(order) +
	       (invariant >= ORACLE_M(1) && invariant <= ORACLE_M(5) ? 1u : 0u);
}

static int compare(const void *a, const void *b)
{
	const struct oracle_finding *x = a, *y = b;
	int result;

	if ((x->excuse == NULL) != (y->excuse == NULL))
		return x->excuse == NULL ? -1 : 1;
	if (rank(x->invariant) != rank(y->invariant))
		return rank(x->invariant) < rank(y->invariant) ? -1 : 1;
	result = strcmp(x->signature, y->signature);
	if (result == 0 && x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	if (result == 0)
		result = strcmp(x->sentence, y->sentence);
	if (result == 0 && x->op != y->op)
		return x->op < y->op ? -1 : 1;
	for (size_t i = 0; result == 0 && i < LAB_COUNT_OF(x->why); i++)
		result = strcmp(x->why[i], y->why[i]);
	return result;
}

void oracle_findings_finish(struct oracle *oracle)
{
	struct oracle_verdict *v = oracle->verdict;

	if (oracle->finding_count > 0)
		qsort(oracle->findings, oracle->finding_count, sizeof(*oracle->findings), compare);
	for (size_t i = 0; i < oracle->finding_count; i++) {
		v->failures += oracle->findings[i].excuse == NULL;
		v->excused += oracle->findings[i].excuse != NULL;
	}
	v->findings = oracle->findings;
	v->count = LAB_MIN(oracle->finding_count, (size_t)ORACLE_FINDINGS_MAX);
}

const struct oracle_finding *oracle_findings(const struct oracle *oracle, size_t *ret_count)
{
	*ret_count = LAB_MIN(oracle->finding_count, (size_t)ORACLE_FINDINGS_MAX);
	return oracle->findings;
}

/* In their order those of one signature follow each other. */
size_t oracle_found(const struct oracle *oracle, const char **ret, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < oracle->finding_count && count < max; i++) {
		const struct oracle_finding *f = &oracle->findings[i];

		if (f->excuse == NULL && (count == 0 || strcmp(ret[count - 1], f->signature) != 0))
			ret[count++] = f->signature;
	}
	return count;
}

/* ---- excuses ---- */

static bool is_weak(uint16_t consistency)
{
	return consistency == CQL_ANY || consistency == CQL_ONE || consistency == CQL_TWO ||
	       consistency == CQL_THREE || consistency == CQL_LOCAL_ONE;
}

const char *oracle_excuse_weak(const struct oracle *oracle)
{
	const struct oracle_settings *s = &oracle->settings;

	if (!s->has_dictmap)
		return NULL;
	if (is_weak(s->read_consistency) || is_weak(s->write_consistency) ||
		is_weak(s->delete_consistency) || is_weak(s->read_fallback) ||
		is_weak(s->write_fallback) || is_weak(s->delete_fallback))
		return "the configuration has a consistency below quorum: reads need not see "
		       "writes";
	return NULL;
}

int64_t oracle_clock_error(const struct oracle *oracle, const struct oracle_case *c)
{
	int64_t most = 0;
	size_t count = 0;
	const struct fault_episode *episodes =
		c->faults == NULL ? NULL : fault_plan_episodes(c->faults, &count);

	for (size_t i = 0; i < count; i++) {
		int64_t us = episodes[i].clock_us;

		/* Steps stay, so they add up. */
		if ((episodes[i].kind == FAULT_clock_skew ||
			    episodes[i].kind == FAULT_clock_step) &&
			episodes[i].fired > 0)
			most += us < 0 ? -us : us;
	}
	return oracle->settings.clock_error_us + most;
}

const char *oracle_excuse_clock(const struct oracle *oracle, const struct oracle_case *c)
{
	if (oracle->settings.has_dictmap &&
		2 * oracle_clock_error(oracle, c) > oracle->settings.delete_timestamp_us)
		return "clocks differ by more than delete-timestamp: a DELETE may be older than "
		       "the "
		       "INSERT it is meant for";
	return NULL;
}

const char *oracle_excuse_return(const struct oracle *oracle, const struct oracle_case *c,
	const struct oracle_instance *instance, uint64_t event)
{
	const struct history_op *removed = instance->removed, *maybe = instance->maybe_removed;

	if ((removed != NULL && removed->invoked_event < event) ||
		(maybe != NULL && maybe->invoked_event < event))
		return oracle_excuse_clock(oracle, c);
	return NULL;
}

/* Does the listing have a mail that had been removed, before that event and before the listing? */
static bool has_returned(struct oracle *oracle, const struct history_op *listing, uint64_t event)
{
	size_t count;
	const struct history_sighting *seen =
		history_sightings(oracle->model.history, listing->id, &count);

	for (size_t i = 0; i < count; i++) {
		const struct oracle_instance *instance = oracle_instance_find(
			&oracle->model, listing->user, listing->folder, seen[i].object.name);

		if (instance != NULL && instance->removed != NULL &&
			instance->removed->invoked_event < event &&
			instance->removed->ended_event < listing->invoked_event)
			return true;
	}
	return false;
}

const char *oracle_excuse_return_to(struct oracle *oracle, const struct oracle_case *c,
	const struct history_op *op, struct lab_view folder)
{
	const char *excuse = oracle_excuse_clock(oracle, c);

	for (size_t i = 0; excuse != NULL && i < history_count(c->history); i++) {
		const struct history_op *listing = history_op(c->history, i);

		if (listing->kind == HISTORY_SELECT && listing->outcome == HISTORY_OK &&
			lab_view_eq(listing->user, op->user) &&
			lab_view_eq(listing->folder, folder) &&
			has_returned(oracle, listing, op->ended_event))
			return excuse;
	}
	return NULL;
}

const char *oracle_excuse_returned_source(
	struct oracle *oracle, const struct oracle_case *c, const struct oracle_instance *instance)
{
	const char *excuse = NULL;

	for (unsigned depth = 0; depth < COPIES_MAX && excuse == NULL; depth++) {
		const struct history_op *maker = instance->maker;

		if (maker == NULL || maker->kind == HISTORY_DELIVER || !maker->source.has_name)
			return NULL;
		instance = oracle_instance_find(
			&oracle->model, maker->user, maker->folder, maker->source.name);
		if (instance == NULL)
			return NULL;
		excuse = oracle_excuse_return(oracle, c, instance, maker->invoked_event);
	}
	return excuse;
}

/* A request of a crashed host may be applied a while after it. */
static uint64_t last_effect(const struct history_op *op)
{
	return op->outcome == HISTORY_UNCERTAIN ? op->ended_ns + LAB_MINUTE : oracle_op_end(op);
}

static bool overlap(const struct history_op *a, const struct history_op *b)
{
	return a->invoked_ns <= last_effect(b) && b->invoked_ns <= last_effect(a);
}

/* With lazy_expunge: it left a reference in the expunge folder, or where it moved to. */
static bool keeps_body(const struct oracle *oracle, const struct history_op *op)
{
	return oracle->settings.expunge_folder.len > 0 &&
	       (op->kind == HISTORY_MOVE || (op->kind == HISTORY_EXPUNGE && op->copied));
}

/* A delivery that failed cleaned up, and deleted its object while that copy was under way. */
static bool cleans_up_beside(const struct oracle *oracle, const struct oracle_object *object,
	const struct history_op *op, const struct history_op *copy)
{
	uint64_t from = LAB_MAX(op->invoked_ns, copy->invoked_ns);
	uint64_t to = LAB_MIN(last_effect(op), last_effect(copy));

	for (size_t i = 0; op->outcome != HISTORY_OK && i < oracle->line_count; i++) {
		const struct oracle_line *line = oracle_line_at(oracle, i);

		if (line->what == ORACLE_S3_DELETE && line->applied && line->key == object->key &&
			line->time_ns >= from && line->time_ns <= to &&
			lab_view_eq(*oracle->peer_names[line->peer], op->backend))
			return true;
	}
	return false;
}

static bool deletes_beside(const struct oracle *oracle, const struct oracle_object *object,
	const struct history_op *op, const struct history_op *copy)
{
	if (op->kind == HISTORY_DELIVER)
		return cleans_up_beside(oracle, object, op, copy);
	return oracle_is_storage_write(op) && op->kind != HISTORY_COPY && op != copy &&
	       !keeps_body(oracle, op) && overlap(op, copy);
}

/* A copy while the reference that it copies is deleted: lockdir is of one host, if it is set. Only
 * deletes that began before that event. */
static const char *race_of(const struct oracle *oracle, const struct oracle_object *object,
	const struct history_op *copy, uint64_t before)
{
	for (const struct oracle_touch *t = object->first; t != NULL; t = t->next) {
		const struct history_op *op = t->op;

		if (op->invoked_event >= before || !deletes_beside(oracle, object, op, copy))
			continue;
		if (!lab_view_eq(op->backend, copy->backend))
			return "a copy raced with a delete on another host, and lockdir is of one "
			       "host only (obox 3.10)";
		if (!oracle->settings.has_lockdir)
			return "a copy raced with a delete, and there is no lockdir (obox 3.10)";
	}
	return NULL;
}

/* May a copy that began then have found what `earlier` made among the references? */
static bool may_be_counted(
	struct oracle *oracle, const struct history_op *earlier, const struct history_op *copy)
{
	const struct oracle_instance *made;

	if ((earlier->kind != HISTORY_COPY && earlier->kind != HISTORY_MOVE) ||
		earlier->outcome == HISTORY_FAIL || earlier->invoked_event >= copy->invoked_event)
		return false;
	made = earlier->made.has_name ? oracle_instance_find(&oracle->model, earlier->user,
						earlier->target, earlier->made.name)
				      : NULL;
	return made == NULL || made->removed == NULL ||
	       made->removed->ended_event > copy->invoked_event;
}

/* Under the lock a copy counts references, so as not to copy what is deleted. One that raced with
 * the delete counts, too, and has no body. */
static const char *race_before(struct oracle *oracle, const struct oracle_instance *instance)
{
	const struct history_op *copy = instance->maker;
	uint64_t end = oracle_is_maybe(copy) ? UINT64_MAX : copy->ended_event;

	for (const struct oracle_touch *t = instance->object->first;
		t != NULL && oracle->settings.has_lockdir; t = t->next) {
		if (may_be_counted(oracle, t->op, copy) &&
			race_of(oracle, instance->object, t->op, end) != NULL)
			return "it counted the reference of a copy that had raced with a delete on "
			       "another host, and lockdir is of one host only (obox 3.10)";
	}
	return NULL;
}

/* Without the lock nobody counts: who has not heard that another host has expunged the mail copies
 * what is gone. */
static const char *copied_too_late(
	struct oracle *oracle, const struct history_op *copy, const struct oracle_instance *source)
{
	const struct history_op *gone = source == NULL ? NULL : source->removed;
	struct knowledge *k = oracle->knowledge;

	if (oracle->settings.has_lockdir || gone == NULL ||
		lab_view_eq(gone->backend, copy->backend) || keeps_body(oracle, gone) ||
		knowledge_knew(k, knowledge_folder(copy->user, copy->mailbox_guid),
			knowledge_life(k, copy), copy->invoked_event, knowledge_life(k, gone),
			gone->ended_event))
		return NULL;
	return "a copy of what another host had expunged unheard, and without lockdir nobody "
	       "counts references (obox 3.10)";
}

/* The race may have been that of a mail which it was copied from. */
const char *oracle_excuse_race(struct oracle *oracle, const struct oracle_instance *instance)
{
	const char *race = NULL;

	for (unsigned depth = 0; depth < COPIES_MAX && race == NULL; depth++) {
		const struct history_op *maker = instance == NULL ? NULL : instance->maker;

		if (!oracle->settings.copies_in_dict || maker == NULL ||
			maker->kind == HISTORY_DELIVER || instance->object == NULL)
			return NULL;
		race = race_of(oracle, instance->object, maker, UINT64_MAX);
		if (race == NULL)
			race = race_before(oracle, instance);
		if (!maker->source.has_name)
			return race;
		instance = oracle_instance_find(
			&oracle->model, instance->user, maker->folder, maker->source.name);
		if (race == NULL)
			race = copied_too_late(oracle, maker, instance);
	}
	return race;
}

/* ---- answers that were not true ---- */

/* Cassandra answered SERVER_ERROR or OVERLOADED, although it had done what was asked. Dovecot takes
 * that answer for a certain failure (obox 3.8), so it may clean up, or give up, what is there. */
static bool is_lie(const struct fault_record *r)
{
	return r->kind == FAULT_server_error_applied || r->kind == FAULT_overloaded_applied ||
	       r->kind == FAULT_overloaded_minority;
}

static bool is_lie_during(const struct fault_record *r, const struct history_op *op)
{
	return is_lie(r) && r->time_ns >= op->invoked_ns && r->time_ns <= oracle_op_end(op) &&
	       lab_view_eq_cstr(op->backend, r->peer);
}

/* Was it this user's row? Deletes of reverse rows name no user. */
static bool is_about_user(const struct oracle *oracle, uint32_t fault_id, struct lab_view user)
{
	uint64_t key = lab_hash_view(0, user);

	for (size_t i = 0; i < oracle->line_count; i++) {
		const struct oracle_line *line = oracle_line_at(oracle, i);

		if (line->fault_id == fault_id && (line->key == key || line->key == 0))
			return true;
	}
	return false;
}

/* Was it an INSERT of this user's into that table? NULL: no. */
static const struct oracle_line *insert_of(const struct oracle *oracle, uint32_t fault_id,
	enum oracle_table table, struct lab_view user)
{
	uint64_t key = lab_hash_view(0, user);

	for (size_t i = 0; i < oracle->line_count; i++) {
		const struct oracle_line *line = oracle_line_at(oracle, i);

		if (line->fault_id == fault_id && line->what == ORACLE_CQL_INSERT &&
			line->table == table && line->key == key)
			return line;
	}
	return NULL;
}

static bool was_lied_to(
	const struct oracle *oracle, const struct oracle_case *c, const struct history_op *op)
{
	size_t count = fault_record_count(c->faults);

	for (size_t i = 0; i < count; i++) {
		const struct fault_record *r = fault_record(c->faults, i);

		if (is_lie_during(r, op) && is_about_user(oracle, r->id, op->user))
			return true;
	}
	return false;
}

static bool is_write_of(const struct history_op *op, uint64_t token)
{
	return op->token == token && op->outcome == HISTORY_FAIL && oracle_is_storage_write(op);
}

static bool followed_from_a_lie(
	const struct oracle *oracle, const struct oracle_case *c, uint64_t token)
{
	for (size_t i = 0; i < history_count(c->history); i++) {
		const struct history_op *op = history_op(c->history, i);

		if (is_write_of(op, token) && was_lied_to(oracle, c, op))
			return true;
	}
	return false;
}

const char *oracle_excuse_lie(
	const struct oracle *oracle, const struct oracle_case *c, struct lab_view user)
{
	size_t count = c->faults == NULL ? 0 : fault_record_count(c->faults);

	for (size_t i = 0; i < count; i++) {
		const struct fault_record *r = fault_record(c->faults, i);

		if (is_lie(r) && is_about_user(oracle, r->id, user))
			return LIE;
	}
	return NULL;
}

/* Who was told, by such an answer, that it had not made that mail. NULL: nobody. */
static const struct history_op *denied_maker(struct oracle *oracle, const struct oracle_case *c,
	const struct history_op *listing, const uint8_t name[HISTORY_NAME_BYTES])
{
	const struct oracle_instance *instance =
		oracle_instance_find(&oracle->model, listing->user, listing->folder, name);

	if (instance == NULL || instance->made != ORACLE_MADE_FAILED || instance->maker == NULL ||
		!was_lied_to(oracle, c, instance->maker))
		return NULL;
	return instance->maker;
}

const char *oracle_excuse_denied_mail(struct oracle *oracle, const struct oracle_case *c,
	const struct history_op *op, uint64_t *ret_since)
{
	*ret_since = UINT64_MAX;
	for (size_t i = 0; c->faults != NULL && i < history_count(c->history); i++) {
		const struct history_op *listing = history_op(c->history, i), *maker;
		const struct history_sighting *seen;
		size_t count;

		if (listing->kind != HISTORY_SELECT || listing->outcome != HISTORY_OK ||
			!lab_view_eq(listing->user, op->user) ||
			!lab_view_eq(listing->folder, op->folder))
			continue;
		seen = history_sightings(c->history, listing->id, &count);
		for (size_t n = 0; n < count; n++) {
			maker = denied_maker(oracle, c, listing, seen[n].object.name);
			if (maker != NULL)
				*ret_since = LAB_MIN(*ret_since, maker->invoked_event);
		}
	}
	return *ret_since < op->ended_event ? LIE : NULL;
}

const char *oracle_excuse_denied_bundle(const struct oracle *oracle, const struct oracle_case *c,
	enum oracle_table table, struct lab_view user, uint64_t from_ns, uint64_t to_ns)
{
	size_t count = c->faults == NULL ? 0 : fault_record_count(c->faults);

	for (size_t i = 0; i < count; i++) {
		const struct fault_record *r = fault_record(c->faults, i);
		const struct oracle_line *line =
			is_lie(r) ? insert_of(oracle, r->id, table, user) : NULL;

		if (line != NULL && line->time_ns >= from_ns && line->time_ns <= to_ns)
			return LIE;
	}
	return NULL;
}

/* ---- rows that come late ---- */

/* Not even a quorum has it yet. */
static bool is_late(const struct fault_record *r)
{
	return r->kind == FAULT_write_timeout_one || r->kind == FAULT_write_timeout_minority ||
	       r->kind == FAULT_write_timeout_late || r->kind == FAULT_write_timeout_hinted ||
	       r->kind == FAULT_write_failure || r->kind == FAULT_write_failure_minority;
}

bool oracle_came_late(const struct oracle *oracle, const struct oracle_case *c,
	const struct oracle_instance *instance)
{
	const struct history_op *maker = instance->maker;
	size_t count = c->faults == NULL ? 0 : fault_record_count(c->faults);

	if (instance->made != ORACLE_MADE_MAYBE || maker == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct fault_record *r = fault_record(c->faults, i);

		if (is_late(r) && r->time_ns >= maker->invoked_ns &&
			r->time_ns <= oracle_op_end(maker) &&
			lab_view_eq_cstr(maker->backend, r->peer) &&
			insert_of(oracle, r->id, ORACLE_TABLE_FORWARD, maker->user) != NULL)
			return true;
	}
	return false;
}

void oracle_excuse_lies(struct oracle *oracle, const struct oracle_case *c)
{
	if (c->faults == NULL ||
		fault_fired_kind(c->faults, FAULT_server_error_applied) +
				fault_fired_kind(c->faults, FAULT_overloaded_applied) +
				fault_fired_kind(c->faults, FAULT_overloaded_minority) ==
			0)
		return;
	for (size_t i = 0; i < oracle->finding_count; i++) {
		struct oracle_finding *f = &oracle->findings[i];

		if (f->excuse == NULL && f->token != 0 && followed_from_a_lie(oracle, c, f->token))
			f->excuse = LIE;
	}
}

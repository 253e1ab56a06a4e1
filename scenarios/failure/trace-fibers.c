/* SPDX-License-Identifier: Apache-2.0
 *
 * trace-fibers.c - events of fibers as slices that nest.
 *
 * An event X_started opens a slice, X_finished closes it. An event with a duration is a slice that
 * is known when it is over: what of its fiber lies in it has been written already, so it must begin
 * before them all. Durations are whole microseconds; what begins together is kept apart by setting
 * the innermost back by LEAF_NS, and each one around it by 1 ns less.
 */
#include "scenarios/failure/trace-private.h"

#include <stdio.h>

#define LEAF_NS 64
#define ROUNDED_NS (LAB_USEC + LEAF_NS)
#define OPEN UINT64_MAX

static const struct lab_field *field_of(const struct lab_event *event, const char *name)
{
	for (size_t i = 0; i < event->field_count; i++) {
		if (strcmp(event->fields[i].name, name) == 0)
			return &event->fields[i];
	}
	return NULL;
}

/* "http_request PUT". */
static struct lab_view slice_name(const struct lab_event *event, char *out, size_t size)
{
	static const char *const telling[] = { "method", "query_first_word", "op", "bundle_type" };
	struct lab_view name = lab_view_cstr(lab_event_name(event->id));
	const struct lab_field *field = NULL;

	if (lab_view_ends_with(name, LAB_VIEW("_finished")))
		name = lab_view_sub(name, 0, name.len - 9);
	for (size_t i = 0; i < LAB_COUNT_OF(telling) && field == NULL; i++)
		field = field_of(event, telling[i]);
	if (field == NULL || field->kind != LAB_FIELD_TEXT)
		return name;
	(void)snprintf(out, size, "%.*s %.*s", LAB_VIEW_ARG(name), LAB_VIEW_ARG(field->text));
	return lab_view_cstr(out);
}

/* "metacache_user_refresh" */
static struct lab_view started_name(enum lab_event_id id)
{
	struct lab_view name = lab_view_cstr(lab_event_name(id));

	return lab_view_sub(name, 0, name.len - (sizeof("_started") - 1));
}

static struct trace_line line_of(
	char phase, const char *category, struct lab_view name, uint32_t host, uint64_t track)
{
	struct trace_line line = {
		.phase = phase, .category = category, .name = name, .pid = TRACE_HOSTS + host
	};

	(void)snprintf(line.track, sizeof(line.track), "%s-%" PRIu64, category, track);
	return line;
}

/* ---- slices that have begun ---- */

static void open_slice(struct trace *t, struct trace_fiber *f, const struct lab_event *event)
{
	struct trace_line line = line_of('b', "fiber", started_name(event->id), f->host, f->track);

	f->spans[f->count++] = (struct trace_span){ event->time_ns, OPEN, event->id };
	line.time_ns = event->time_ns;
	trace_begin(t, &line);
	trace_fields(t, event);
	trace_end(t);
}

/* The innermost one that is not over, and everything in it. `event` or `why` says how it ended. */
static void close_slice(
	struct trace *t, struct trace_fiber *f, const struct lab_event *event, const char *why)
{
	struct trace_span *span;
	struct trace_line line;

	while (f->spans[f->count - 1].end_ns != OPEN)
		f->count--;
	span = &f->spans[f->count - 1];
	span->end_ns = t->now_ns;
	line = line_of('e', "fiber", started_name(span->what), f->host, f->track);
	line.time_ns = t->now_ns;
	trace_begin(t, &line);
	if (event != NULL)
		trace_fields(t, event);
	else
		lab_json_put_cstr(&t->json, "outcome", why);
	trace_end(t);
}

static size_t open_count(const struct trace_fiber *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += f->spans[i].end_ns == OPEN;
	return n;
}

static bool has_open(const struct trace_fiber *f, enum lab_event_id what)
{
	for (size_t i = 0; i < f->count; i++) {
		if (f->spans[i].end_ns == OPEN && f->spans[i].what == what)
			return true;
	}
	return false;
}

/* What was begun inside and never ended gets the same end. */
static void close_through(
	struct trace *t, struct trace_fiber *f, enum lab_event_id what, const struct lab_event *end)
{
	for (bool is_found = false; !is_found;) {
		size_t top = f->count - 1;

		while (f->spans[top].end_ns != OPEN)
			top--;
		is_found = f->spans[top].what == what;
		close_slice(t, f, is_found ? end : NULL, "no end was told");
	}
}

/* ---- slices that are over ---- */

/* Two neighbours that are over become one, or false. */
static bool make_room(struct trace_fiber *f)
{
	for (size_t i = 0; i + 1 < f->count; i++) {
		if (f->spans[i].end_ns == OPEN || f->spans[i + 1].end_ns == OPEN)
			continue;
		f->spans[i].end_ns = f->spans[i + 1].end_ns;
		memmove(&f->spans[i + 1], &f->spans[i + 2],
			(f->count - i - 2) * sizeof(f->spans[0]));
		f->count--;
		return true;
	}
	return false;
}

/* Fits it around what it holds, and behind what it does not. False: it does not nest. */
static bool fit(struct trace_fiber *f, uint64_t *start_ns, uint64_t end_ns)
{
	size_t count = f->count;
	uint64_t start = *start_ns, floor_ns = 0;

	while (count > 0 && f->spans[count - 1].end_ns != OPEN &&
		f->spans[count - 1].end_ns > start)
		count--;
	if (count < f->count) {
		uint64_t first = f->spans[count].start_ns;

		if (first + ROUNDED_NS < start)
			return false;
		start = LAB_MIN(start, LAB_MAX(first, 1) - 1);
	}
	if (count > 0) {
		const struct trace_span *before = &f->spans[count - 1];

		floor_ns = before->end_ns == OPEN ? before->start_ns : before->end_ns;
	}
	if (start + ROUNDED_NS < floor_ns)
		return false;
	*start_ns = LAB_MIN(LAB_MAX(start, floor_ns), end_ns);
	f->count = count;
	return f->count < TRACE_SPANS || make_room(f);
}

static void whole_slice(
	struct trace *t, struct trace_fiber *f, const struct lab_event *event, uint64_t duration_ns)
{
	uint64_t end = event->time_ns, start = end - LAB_MIN(end, duration_ns);
	char text[128];
	struct lab_view name = slice_name(event, text, sizeof(text));
	struct trace_line line;

	if (end - start > 2 * LEAF_NS)
		start += LEAF_NS;
	if (f != NULL && fit(f, &start, end)) {
		f->spans[f->count++] = (struct trace_span){ start, end, event->id };
		line = line_of('b', "fiber", name, event->host, f->track);
	} else {
		line = line_of('b', "request", name, event->host, ++t->last_track);
	}
	line.time_ns = start;
	trace_begin(t, &line);
	trace_fields(t, event);
	trace_end(t);
	line.phase = 'e';
	line.time_ns = end;
	trace_begin(t, &line);
	trace_end(t);
}

/* ---- fibers ---- */

static void forget(struct trace *t, struct trace_fiber *f, const char *why)
{
	while (f->number != 0 && open_count(f) > 0)
		close_slice(t, f, NULL, why);
	*f = (struct trace_fiber){ .number = 0 };
}

void trace_fibers_end(struct trace *t, uint32_t host, const char *why)
{
	for (size_t i = 0; i < TRACE_FIBERS; i++) {
		if (host == UINT32_MAX || t->fibers[i].host == host)
			forget(t, &t->fibers[i], why);
	}
}

/* NULL outside of fibers. */
static struct trace_fiber *fiber_of(struct trace *t, const struct lab_event *event)
{
	struct trace_fiber *f = &t->fibers[event->fiber % TRACE_FIBERS];

	if (event->fiber == 0)
		return NULL;
	if (f->number != event->fiber) {
		forget(t, f, "not followed any further");
		f->number = event->fiber;
		f->host = event->host;
		f->track = ++t->last_track;
	}
	return f;
}

static void instant(struct trace *t, const struct lab_event *event)
{
	const struct trace_line line = { .phase = 'i',
		.category = "event",
		.name = lab_view_cstr(lab_event_name(event->id)),
		.pid = TRACE_HOSTS + event->host,
		.time_ns = event->time_ns,
		.scope = 't' };

	trace_begin(t, &line);
	trace_fields(t, event);
	trace_end(t);
}

void trace_fiber_event(struct trace *t, const struct lab_event *event)
{
	struct trace_fiber *f = fiber_of(t, event);
	const struct lab_field *duration = field_of(event, "duration");
	enum lab_event_id started = t->starts_of[event->id];
	struct lab_view name = lab_view_cstr(lab_event_name(event->id));
	bool is_start = lab_view_ends_with(name, LAB_VIEW("_started"));
	bool is_end = lab_view_ends_with(name, LAB_VIEW("_finished"));

	if (is_end && duration != NULL && duration->kind == LAB_FIELD_U64)
		whole_slice(t, f, event, duration->number * LAB_USEC);
	else if (f != NULL && is_start && (f->count < TRACE_SPANS || make_room(f)))
		open_slice(t, f, event);
	else if (f != NULL && started != LAB_EV_COUNT && has_open(f, started))
		close_through(t, f, started, event);
	else
		instant(t, event);
}

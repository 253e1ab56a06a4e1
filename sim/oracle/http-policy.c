/* SPDX-License-Identifier: Apache-2.0
 *
 * http-policy.c - invariant 31: how often a request to the object storage was sent, and after which
 * waits (obox 1.6). A fiber has one request at a time. Whether a retry was one of the ladder is
 * certain only after a 5xx; connects and renewed credentials have counts of their own.
 */
#include "sim/oracle/oracle-private.h"

#define CONNECT_RETRIES 2u /* documented default */
#define RENEWALS 1u
#define TARGET_MAX 8192

/* A request that is being retried. */
struct ladder {
	uint64_t retried_ns; /* when the last wait began */
	uint64_t wait_ns;    /* how long it must be at least */
	unsigned sure;       /* retries that were the ladder's */
};

struct http_fields {
	struct lab_view method, target;
	uint64_t status, attempts, code;
	uint64_t sent; /* attempts, also those that were redirected */
};

/* Called for each field of each request: most names differ in their first letter. */
static inline bool is(const struct lab_field *field, const char *name)
{
	return field->name[0] == name[0] && strcmp(field->name, name) == 0;
}

static struct http_fields read_fields(const struct lab_event *event)
{
	struct http_fields ret = { .status = 0 };
	uint64_t redirects = 0;

	for (size_t i = 0; i < event->field_count; i++) {
		const struct lab_field *f = &event->fields[i];

		if (is(f, "method"))
			ret.method = f->text;
		else if (is(f, "target"))
			ret.target = f->text;
		else if (is(f, "status_code"))
			ret.status = f->number;
		else if (is(f, "attempts"))
			ret.attempts = f->number;
		else if (is(f, "code"))
			ret.code = f->number;
		else if (is(f, "redirects"))
			redirects = f->number;
	}
	ret.sent = ret.attempts;
	/* Sent elsewhere is not sent again. */
	ret.attempts -= LAB_MIN(redirects, ret.attempts);
	return ret;
}

static uint64_t ladder_wait(unsigned retry)
{
	static const uint64_t waits[] = { 50 * LAB_MSEC, 500 * LAB_MSEC, 5 * LAB_SEC };

	return retry < LAB_COUNT_OF(waits) ? waits[retry] : 10 * LAB_SEC;
}

static bool is_server_error(uint64_t status)
{
	return status == 500 || status == 502 || status == 503 || status == 504;
}

static void check_wait(struct oracle *oracle, const struct lab_event *event,
	const struct http_fields *f, const struct ladder *ladder)
{
	if (event->time_ns - ladder->retried_ns >= ladder->wait_ns)
		return;
	oracle_found_online(oracle, 31, "I31 retried too soon", event->time_ns,
		"%.*s %.*s was sent again at most %" PRIu64 " ms after a 5xx, not after %" PRIu64,
		LAB_VIEW_ARG(f->method), LAB_VIEW_ARG(f->target),
		(event->time_ns - ladder->retried_ns) / LAB_MSEC, ladder->wait_ns / LAB_MSEC);
}

static void too_many(
	struct oracle *oracle, const struct lab_event *event, const struct http_fields *f)
{
	oracle_found_online(oracle, 31, "I31 too many attempts", event->time_ns,
		"%.*s %.*s was sent %" PRIu64 " times, max_retries is %u", LAB_VIEW_ARG(f->method),
		LAB_VIEW_ARG(f->target), f->attempts, oracle->settings.max_retries);
}

static void retried(struct oracle *oracle, const struct lab_event *event,
	const struct http_fields *f, void **slot)
{
	struct ladder *ladder = *slot;

	if (ladder == NULL)
		*slot = ladder = lab_new(oracle->settings.heap, struct ladder);
	/* The fiber's request before this one was cut off by a crash. */
	if (f->attempts <= 1)
		*ladder = (struct ladder){ 0 };
	check_wait(oracle, event, f, ladder);
	ladder->retried_ns = event->time_ns;
	ladder->wait_ns = 0;
	if (!is_server_error(f->status))
		return;
	ladder->wait_ns = ladder_wait(ladder->sure);
	if (++ladder->sure == oracle->settings.max_retries + 1)
		too_many(oracle, event, f);
}

/* Which mail a finding is about: the object behind the request's path (virtual-host style). */
static void about(struct oracle *oracle, const struct http_fields *f, struct oracle_online *found)
{
	struct lab_view path = f->target;
	struct lab_buf key;

	if (found == NULL || !lab_view_starts_with(path, LAB_VIEW("/")))
		return;
	path = lab_view_sub(path, 1, LAB_MIN(lab_view_find_byte(path, '?'), path.len) - 1);
	lab_buf_init(&key, oracle->settings.heap, TARGET_MAX);
	if (lab_buf_append_unpercent(&key, path) == 0 && !key.overflow)
		found->key = lab_hash_view(0, lab_buf_view(&key));
	lab_buf_done(&key);
}

static void finished(struct oracle *oracle, const struct lab_event *event,
	const struct http_fields *f, struct ladder *ladder)
{
	const struct oracle_settings *s = &oracle->settings;
	unsigned connects = LAB_MAX(s->max_connect_retries, CONNECT_RETRIES);
	bool was_counted = ladder != NULL && ladder->sure > s->max_retries;

	if (ladder != NULL)
		check_wait(oracle, event, f, ladder);
	if (!was_counted && f->attempts > 1 + s->max_retries + connects + RENEWALS)
		too_many(oracle, event, f);
	if (is_server_error(f->status) && f->code != LAB_OK && !s->has_absolute_timeout &&
		f->attempts < 1 + s->min_retries)
		about(oracle, f,
			oracle_found_online(oracle, 31, "I31 gave up too early", event->time_ns,
				"%.*s %.*s was given up after %" PRIu64
				" of %u attempts, with %" PRIu64,
				LAB_VIEW_ARG(f->method), LAB_VIEW_ARG(f->target), f->attempts,
				1 + s->min_retries, f->status));
}

void oracle_http_event(struct oracle *oracle, const struct lab_event *event)
{
	struct http_fields f = read_fields(event);
	struct {
		uint64_t host, fiber;
	} id = { event->host, event->fiber };
	struct lab_view key = lab_view_of(&id, sizeof(id));
	void **slot;

	reconcile_http_event(oracle, event, f.method, f.target, f.sent, f.status);
	if (event->id == LAB_EV_http_request_redirected)
		return;
	if (f.code != LAB_OK)
		oracle_trouble(oracle, event->time_ns);
	/* IMDS has a policy of its own. */
	if (lab_view_starts_with(f.target, LAB_VIEW("/latest/"))) {
		if (f.code != LAB_OK)
			oracle_imds_trouble(oracle, event->time_ns);
		return;
	}
	if (event->id == LAB_EV_http_request_retried) {
		slot = lab_map_slot(oracle->ladders, key);
		if (slot != NULL)
			retried(oracle, event, &f, slot);
		return;
	}
	finished(oracle, event, &f, f.attempts > 1 ? lab_map_get(oracle->ladders, key) : NULL);
	if (f.attempts > 1)
		lab_heap_free(oracle->settings.heap, lab_map_remove(oracle->ladders, key));
}

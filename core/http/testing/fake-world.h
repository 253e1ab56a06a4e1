/* SPDX-License-Identifier: Apache-2.0
 *
 * fake-world.h - for tests: one host in virtual time, whose HTTP peer answers from a script.
 *
 * fake_run() runs a function in a fiber until all fibers have ended; time jumps to the next
 * deadline. Each exchange takes the next reply of the script; with none left the test fails. What
 * was asked is recorded, with its time. Disk and streams are not there. The host's heap must be
 * empty in the end.
 */
#ifndef LAB_HTTP_FAKE_WORLD_H
#define LAB_HTTP_FAKE_WORLD_H

#include "core/env/env-private.h"

#define FAKE_REPLIES_MAX 4096
#define FAKE_FIBERS_MAX 64
#define FAKE_EVENTS_MAX 4096

struct fake_reply {
	uint64_t delay_ns;     /* until the answer, or until the failure is noticed */
	enum lab_code failure; /* LAB_OK: there is an answer; else what env_http() fails with */
	unsigned status;
	const char *reason;
	/* "name: value\n" lines, or NULL */
	const char *headers;
	struct lab_view body;
	uint32_t fault_id;
};

struct fake_request {
	struct lab_http_request request; /* a copy */
	struct env_http_limits limits;
	uint64_t at_ns;
};

struct fake_event {
	enum lab_event_id id;
	uint64_t at_ns;
	char *text; /* as lab_event_format() has it */
};

struct fake_fiber;

struct fake_world {
	struct env env; /* first: the ops find the world by it */
	struct lab_pool *pool;
	struct lab_heap *records; /* the world's own memory, not the host's */
	struct lab_arena *arena;  /* of the records */
	uint64_t now_ns;
	int64_t wall_unix; /* at now 0 */
	struct lab_fiber_pool *fiber_pool;
	struct lab_fiber_group *fiber_group;
	struct fake_fiber *fibers;

	struct fake_reply script[FAKE_REPLIES_MAX];
	size_t script_count, script_next;
	/* Instead of the script, if set. */
	void (*handler)(struct fake_world *world, const struct lab_http_request *request,
		struct fake_reply *ret);
	void *handler_ctx;
	struct fake_request *requests;
	size_t request_count;
	unsigned in_flight, in_flight_max;
	struct fake_event *events;
	size_t event_count;
};

struct fake_world *fake_world_new(void);
void fake_world_free(struct fake_world **world);
/* Everything that is not world, script or record. */
void fake_run(struct fake_world *world, env_fiber_fn fn, void *arg);

void fake_reply(struct fake_world *world, struct fake_reply reply);
/* Shorthands: an answer at once, with or without a body. */
void fake_status(struct fake_world *world, unsigned status);
void fake_body(struct fake_world *world, unsigned status, const char *headers, const char *body);
void fake_fail(struct fake_world *world, enum lab_code failure, uint64_t delay_ns);

/* Of the n-th request; ptr NULL if it has no such header. */
struct lab_view fake_header(const struct fake_world *world, size_t index, const char *name);
/* How many events of the kind there were, and the text of the last one ("" if none). */
size_t fake_events(const struct fake_world *world, enum lab_event_id id, const char **ret_last);
/* True if any event's text has it. */
bool fake_events_mention(const struct fake_world *world, const char *text);

#endif

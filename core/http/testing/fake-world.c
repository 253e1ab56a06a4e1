/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/testing/fake-world.h"

#include "core/base/fiber.h"

#define POOL_MAX ((size_t)1 << 30)
#define STACK_BYTES ((size_t)256 * 1024)

struct fake_fiber {
	struct lab_fiber *fiber; /* NULL: a free slot */
	struct fake_world *world;
	env_fiber_fn fn;
	void *arg;
	bool parked, runnable;
	uint64_t deadline_ns;
	uint64_t order; /* runnable: turn; parked: when it parked */
	int wake_result;
};

static struct fake_world *world_of(struct env *env)
{
	return (struct fake_world *)env;
}

static uint64_t turn(void)
{
	static uint64_t last;

	return ++last;
}

/* ---- the ops ---- */

static uint64_t op_now(struct env *env)
{
	return world_of(env)->now_ns;
}

static uint64_t op_wall_us(struct env *env)
{
	struct fake_world *world = world_of(env);

	return (uint64_t)world->wall_unix * 1000000 + world->now_ns / LAB_USEC;
}

static uint64_t op_draw(struct env *env, const char *purpose, uint64_t ordinal)
{
	return lab_draw(1, purpose, env->host, ordinal);
}

static void op_event(
	struct env *env, enum lab_event_id id, const struct lab_field *fields, size_t count)
{
	struct fake_world *world = world_of(env);
	struct lab_event event = {
		.id = id, .time_ns = world->now_ns, .fields = fields, .field_count = count
	};
	struct lab_buf text;

	lab_assert(world->event_count < FAKE_EVENTS_MAX);
	lab_buf_init(&text, world->records, 65536);
	lab_event_format(&text, &event, NULL);
	world->events[world->event_count++] = (struct fake_event){ id, world->now_ns,
		lab_arena_cstr(world->arena, lab_buf_view(&text)) };
	lab_buf_done(&text);
}

static void fiber_main(void *arg)
{
	struct fake_fiber *fiber = arg;

	fiber->fn(fiber->arg);
}

static int op_spawn(
	struct env *env, const char *name, env_fiber_fn fn, void *arg, struct lab_error *err)
{
	struct fake_world *world = world_of(env);

	(void)name;
	for (size_t i = 0; i < FAKE_FIBERS_MAX; i++) {
		struct fake_fiber *slot = &world->fibers[i];

		if (slot->fiber != NULL)
			continue;
		*slot = (struct fake_fiber){
			.world = world, .fn = fn, .arg = arg, .runnable = true, .order = turn()
		};
		slot->fiber = lab_fiber_new(world->fiber_group, fiber_main, slot);
		lab_assert(slot->fiber != NULL);
		lab_fiber_set_owner(slot->fiber, slot);
		return 0;
	}
	return lab_fail(err, LAB_LIMIT, "no more fibers");
}

static void *op_self(struct env *env)
{
	(void)env;
	return lab_fiber_owner(lab_fiber_self());
}

static int op_park(struct env *env, uint64_t deadline_ns)
{
	struct fake_fiber *self = op_self(env);

	self->parked = true;
	self->deadline_ns = deadline_ns;
	self->order = turn();
	lab_fiber_suspend();
	return self->wake_result;
}

static void wake(struct fake_fiber *fiber, int result)
{
	lab_assert(fiber->parked);
	fiber->parked = false;
	fiber->runnable = true;
	fiber->order = turn();
	fiber->wake_result = result;
}

static void op_unpark(struct env *env, void *token)
{
	(void)env;
	wake(token, 0);
}

/* ---- HTTP ---- */

static void add_headers(struct lab_http_headers *headers, const char *text, struct lab_arena *arena)
{
	struct lab_view rest = lab_view_cstr(text), line;

	while (text != NULL && lab_view_split(&rest, '\n', &line)) {
		size_t colon = lab_view_find_byte(line, ':');

		if (colon != SIZE_MAX)
			lab_http_header_add(headers,
				lab_arena_copy(arena, lab_view_sub(line, 0, colon)),
				lab_arena_copy(
					arena, lab_view_trim(lab_view_skip(line, colon + 1))));
	}
}

static void record(struct fake_world *world, const struct lab_http_request *request,
	const struct env_http_limits *limits)
{
	struct fake_request *slot;

	lab_assert(world->request_count < FAKE_REPLIES_MAX);
	slot = &world->requests[world->request_count++];
	lab_http_request_copy(world->arena, request, &slot->request);
	slot->limits = *limits;
	slot->at_ns = world->now_ns;
}

static struct fake_reply next_reply(
	struct fake_world *world, const struct lab_http_request *request)
{
	struct fake_reply reply = { .status = 0 };

	if (world->handler != NULL) {
		world->handler(world, request, &reply);
		return reply;
	}
	lab_assert(world->script_next < world->script_count);
	return world->script[world->script_next++];
}

static int fail_with(const struct fake_reply *reply, enum lab_code code, struct lab_error *err)
{
	lab_fail(err, code, "%s",
		code == LAB_UNCERTAIN ? "connection lost after sending" : lab_code_text(code));
	if (err != NULL) {
		err->retryable = true;
		err->fault_id = reply->fault_id;
	}
	return -1;
}

/* An answer that comes too late is a timeout after sending. */
static int op_http(struct env *env, const struct lab_http_request *request,
	const struct env_http_limits *limits, struct lab_arena *arena,
	struct lab_http_response *ret, struct env_http_stats *ret_stats, struct lab_error *err)
{
	struct fake_world *world = world_of(env);
	struct fake_reply reply;
	uint64_t limit_ns;
	bool connecting;

	record(world, request, limits);
	reply = next_reply(world, request);
	connecting = reply.failure != LAB_OK && reply.failure != LAB_UNCERTAIN &&
		     reply.failure != LAB_CORRUPT;
	limit_ns = connecting ? limits->connect_timeout_ns : limits->response_timeout_ns;
	if (limits->deadline_ns != 0)
		limit_ns = LAB_MIN(limit_ns, limits->deadline_ns - world->now_ns);
	if (++world->in_flight > world->in_flight_max)
		world->in_flight_max = world->in_flight;
	env_sleep(env, LAB_MIN(reply.delay_ns, limit_ns));
	world->in_flight--;
	if (ret_stats != NULL)
		*ret_stats = (struct env_http_stats){ .request_sent = !connecting };
	if (reply.failure != LAB_OK)
		return fail_with(&reply, reply.failure, err);
	if (reply.delay_ns > limit_ns)
		return fail_with(&reply, LAB_UNCERTAIN, err);
	if (reply.body.len > limits->response_max_bytes)
		return fail_with(&reply, LAB_LIMIT, err);
	*ret = (struct lab_http_response){ .status = reply.status };
	ret->reason =
		lab_arena_copy(arena, lab_view_cstr(reply.reason == NULL ? "" : reply.reason));
	add_headers(&ret->headers, reply.headers, arena);
	ret->body = lab_arena_copy(arena, reply.body);
	return 0;
}

static const struct env_ops fake_ops = {
	.now = op_now,
	.wall_us = op_wall_us,
	.draw = op_draw,
	.event = op_event,
	.spawn = op_spawn,
	.self = op_self,
	.park = op_park,
	.unpark = op_unpark,
	.http = op_http,
};

/* ---- the world ---- */

struct fake_world *fake_world_new(void)
{
	struct lab_pool *pool = lab_pool_new(POOL_MAX);
	struct lab_heap *heap = lab_heap_new(pool, POOL_MAX),
			*records = lab_heap_new(pool, POOL_MAX);
	struct fake_world *world = lab_new(records, struct fake_world);

	world->env = (struct env){
		.ops = &fake_ops, .heap = heap, .hostname = "b1", .host = 1, .pid = 7, .zone = ""
	};
	world->pool = pool;
	world->records = records;
	world->arena = lab_arena_new(records, POOL_MAX / 2);
	world->wall_unix = 1369353600; /* 2013-05-24, the day of the published signatures */
	world->fiber_pool = lab_fiber_pool_new(STACK_BYTES, FAKE_FIBERS_MAX, NULL);
	world->fiber_group = lab_fiber_group_new(world->fiber_pool);
	world->fibers = lab_new_array(records, struct fake_fiber, FAKE_FIBERS_MAX);
	world->requests = lab_new_array(records, struct fake_request, FAKE_REPLIES_MAX);
	world->events = lab_new_array(records, struct fake_event, FAKE_EVENTS_MAX);
	return world;
}

void fake_world_free(struct fake_world **world)
{
	struct lab_pool *pool = (*world)->pool;
	struct lab_heap *heap = (*world)->env.heap, *records = (*world)->records;

	/* Whatever a test made on the host, it has freed. */
	lab_assert(lab_heap_used(heap) == 0);
	lab_fiber_group_free(&(*world)->fiber_group);
	lab_fiber_pool_free(&(*world)->fiber_pool);
	lab_heap_drop(&heap);
	lab_heap_drop(&records);
	lab_pool_free(&pool);
	*world = NULL;
}

static struct fake_fiber *next_runnable(struct fake_world *world)
{
	struct fake_fiber *best = NULL;

	for (size_t i = 0; i < FAKE_FIBERS_MAX; i++) {
		struct fake_fiber *fiber = &world->fibers[i];

		if (fiber->fiber != NULL && fiber->runnable &&
			(best == NULL || fiber->order < best->order))
			best = fiber;
	}
	return best;
}

static struct fake_fiber *next_deadline(struct fake_world *world)
{
	struct fake_fiber *best = NULL;

	for (size_t i = 0; i < FAKE_FIBERS_MAX; i++) {
		struct fake_fiber *fiber = &world->fibers[i];

		if (fiber->fiber == NULL || !fiber->parked || fiber->deadline_ns == ENV_FOREVER)
			continue;
		if (best == NULL || fiber->deadline_ns < best->deadline_ns ||
			(fiber->deadline_ns == best->deadline_ns && fiber->order < best->order))
			best = fiber;
	}
	return best;
}

void fake_run(struct fake_world *world, env_fiber_fn fn, void *arg)
{
	struct fake_fiber *fiber;

	lab_assert(op_spawn(&world->env, "test", fn, arg, NULL) == 0);
	for (;;) {
		fiber = next_runnable(world);
		if (fiber == NULL) {
			fiber = next_deadline(world);
			if (fiber == NULL)
				break;
			world->now_ns = LAB_MAX(world->now_ns, fiber->deadline_ns);
			wake(fiber, 1);
			continue;
		}
		fiber->runnable = false;
		if (lab_fiber_resume(fiber->fiber))
			fiber->fiber = NULL;
	}
	for (size_t i = 0; i < FAKE_FIBERS_MAX; i++)
		lab_assert(world->fibers[i].fiber == NULL);
}

/* ---- script and records ---- */

void fake_reply(struct fake_world *world, struct fake_reply reply)
{
	lab_assert(world->script_count < FAKE_REPLIES_MAX);
	world->script[world->script_count++] = reply;
}

void fake_status(struct fake_world *world, unsigned status)
{
	fake_reply(world, (struct fake_reply){ .status = status });
}

void fake_body(struct fake_world *world, unsigned status, const char *headers, const char *body)
{
	fake_reply(
		world, (struct fake_reply){
			       .status = status, .headers = headers, .body = lab_view_cstr(body) });
}

void fake_fail(struct fake_world *world, enum lab_code failure, uint64_t delay_ns)
{
	fake_reply(world, (struct fake_reply){ .failure = failure, .delay_ns = delay_ns });
}

struct lab_view fake_header(const struct fake_world *world, size_t index, const char *name)
{
	lab_assert(index < world->request_count);
	return lab_http_header_get(&world->requests[index].request.headers, name);
}

size_t fake_events(const struct fake_world *world, enum lab_event_id id, const char **ret_last)
{
	size_t count = 0;

	*ret_last = "";
	for (size_t i = 0; i < world->event_count; i++) {
		if (world->events[i].id != id)
			continue;
		*ret_last = world->events[i].text;
		count++;
	}
	return count;
}

bool fake_events_mention(const struct fake_world *world, const char *text)
{
	for (size_t i = 0; i < world->event_count; i++) {
		if (strstr(world->events[i].text, text) != NULL)
			return true;
	}
	return false;
}

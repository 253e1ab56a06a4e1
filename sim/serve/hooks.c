/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/hooks.h"

#include <pthread.h>
#include <stdio.h>

#define HEAP_MAX ((size_t)4 << 30)
#define TEXT_MAX 64
#define SUBJECT_MAX 256

/* One request, with its texts cut. */
struct line {
	const char *service;
	char instance[TEXT_MAX], peer[TEXT_MAX], operation[TEXT_MAX], subject[SUBJECT_MAX];
	uint64_t received_ns, answered_ns, bytes;
	unsigned status;
	bool applied, answered;
	uint32_t fault_id;
};

struct serve_hooks {
	struct serve_hooks_settings settings;
	pthread_mutex_t mutex; /* of everything below */
	struct lab_pool *pool;
	struct lab_heap *heap;      /* of the log */
	struct lab_heap *plan_heap; /* goes with the plan */
	struct fault_plan *plan;
	uint64_t additions; /* of sections, over all plans */
	struct line *lines; /* a ring */
	size_t line_count, next_line;
};

static void lock(struct serve_hooks *hooks)
{
	lab_assert(pthread_mutex_lock(&hooks->mutex) == 0);
}

static void unlock(struct serve_hooks *hooks)
{
	lab_assert(pthread_mutex_unlock(&hooks->mutex) == 0);
}

/* ---- the plan; locked ---- */

/* Clients that the profile does not name have the port of their connection in their names. */
static struct lab_view without_port(struct lab_view peer)
{
	size_t colon = SIZE_MAX;

	for (size_t i = 0; i < peer.len; i++)
		colon = peer.ptr[i] == ':' ? i : colon;
	if (colon == SIZE_MAX)
		return peer;
	peer = lab_view_sub(peer, 0, colon);
	if (peer.len > 2 && peer.ptr[0] == '[' && peer.ptr[peer.len - 1] == ']')
		peer = lab_view_sub(peer, 1, peer.len - 2);
	return peer;
}

static const char *zone_of(void *ctx, struct lab_view peer)
{
	const struct profile *p = ((struct serve_hooks *)ctx)->settings.profile;

	for (size_t i = 0; i < p->peer_count; i++) {
		if (lab_view_eq(p->peers[i].name, peer))
			return p->peers[i].zone_text;
	}
	return "";
}

static void new_plan(struct serve_hooks *hooks)
{
	struct fault_observer observer = { .ctx = hooks, .zone_of = zone_of };

	hooks->plan_heap = lab_heap_new(hooks->pool, HEAP_MAX);
	hooks->plan = fault_plan_new(
		hooks->plan_heap, hooks->settings.profile->serve.seed, hooks->settings.replicas);
	fault_plan_observe(hooks->plan, &observer);
}

/* ---- the services' side ---- */

static struct sim_fault on_fault(void *ctx, const struct sim_fault_query *query)
{
	struct serve_hooks *hooks = ctx;
	struct sim_fault_query named = *query;
	struct sim_fault fault;

	named.peer = without_port(query->peer);
	lock(hooks);
	fault = fault_decide(hooks->plan, &named);
	unlock(hooks);
	return fault;
}

static void cut(char *out, size_t size, struct lab_view text)
{
	size_t len = LAB_MIN(text.len, size - 1);

	if (len > 0)
		memcpy(out, text.ptr, len);
	out[len] = '\0';
}

static void on_access(void *ctx, const struct sim_access *access)
{
	struct serve_hooks *hooks = ctx;
	struct line *line;

	lock(hooks);
	line = &hooks->lines[hooks->next_line];
	hooks->next_line = (hooks->next_line + 1) % hooks->settings.profile->serve.log_lines;
	hooks->line_count =
		LAB_MIN(hooks->line_count + 1, (size_t)hooks->settings.profile->serve.log_lines);
	*line = (struct line){ .service = access->service,
		.received_ns = access->received_ns,
		.answered_ns = access->answered_ns,
		.bytes = access->bytes,
		.status = access->status,
		.applied = access->applied,
		.answered = access->answered,
		.fault_id = access->fault_id };
	cut(line->instance, sizeof(line->instance), access->instance);
	cut(line->peer, sizeof(line->peer), access->peer);
	cut(line->operation, sizeof(line->operation), access->operation);
	cut(line->subject, sizeof(line->subject), access->subject);
	unlock(hooks);
}

/* ---- making ---- */

struct serve_hooks *serve_hooks_new(const struct serve_hooks_settings *settings)
{
	struct lab_pool *pool = lab_pool_new(SIZE_MAX / 4);
	struct lab_heap *heap = lab_heap_new(pool, HEAP_MAX);
	struct serve_hooks *hooks = lab_new(heap, struct serve_hooks);

	hooks->settings = *settings;
	hooks->pool = pool;
	hooks->heap = heap;
	if (settings->logs)
		hooks->lines = lab_new_array(
			heap, struct line, (size_t)settings->profile->serve.log_lines);
	new_plan(hooks);
	lab_assert(pthread_mutex_init(&hooks->mutex, NULL) == 0);
	return hooks;
}

void serve_hooks_free(struct serve_hooks **hooks_p)
{
	struct serve_hooks *hooks = *hooks_p;
	struct lab_pool *pool;
	struct lab_heap *heap;

	if (hooks == NULL)
		return;
	*hooks_p = NULL;
	pool = hooks->pool;
	heap = hooks->heap;
	lab_assert(pthread_mutex_destroy(&hooks->mutex) == 0);
	lab_heap_drop(&hooks->plan_heap);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

void serve_hooks_get(struct serve_hooks *hooks, struct sim_hooks *ret)
{
	*ret = (struct sim_hooks){
		.ctx = hooks, .fault = on_fault, .access = hooks->settings.logs ? on_access : NULL
	};
}

/* ---- the other side ---- */

int serve_hooks_add(struct serve_hooks *hooks, const struct fault_file *file, uint64_t now_ns,
	struct lab_error *err)
{
	uint64_t seed = hooks->settings.profile->serve.seed;
	int result = 0;

	lock(hooks);
	for (size_t i = 0; result == 0 && i < file->count; i++)
		result = fault_file_add(hooks->plan, &file->sections[i], &hooks->settings.nodes,
			now_ns, seed, ++hooks->additions, err);
	unlock(hooks);
	return result;
}

void serve_hooks_clear(struct serve_hooks *hooks)
{
	lock(hooks);
	lab_heap_drop(&hooks->plan_heap);
	new_plan(hooks);
	unlock(hooks);
}

uint64_t serve_hooks_fired(struct serve_hooks *hooks)
{
	uint64_t fired;

	lock(hooks);
	fired = fault_fired_total(hooks->plan);
	unlock(hooks);
	return fired;
}

static void print_episode(
	const struct fault_episode *episode, uint64_t now_ns, struct lab_json *json)
{
	uint64_t end_ns = episode->start_ns + episode->length_ns;

	lab_json_object(json);
	lab_json_put_u64(json, "id", episode->id);
	lab_json_put_cstr(json, "kind", fault_kind_name(episode->kind));
	lab_json_put_cstr(json, "target", episode->target[0] == '\0' ? "any" : episode->target);
	lab_json_put_u64(json, "start_ms", episode->start_ns / LAB_MSEC);
	lab_json_put_u64(json, "length_ms", episode->length_ns / LAB_MSEC);
	lab_json_put_u64(json, "rate_ppm", episode->rate_ppm);
	lab_json_put_bool(json, "is_on", now_ns >= episode->start_ns && now_ns < end_ns);
	lab_json_put_u64(json, "asked", episode->asked);
	lab_json_put_u64(json, "fired", episode->fired);
	lab_json_end(json);
}

void serve_hooks_print_faults(struct serve_hooks *hooks, uint64_t now_ns, struct lab_json *json)
{
	const struct fault_episode *episodes;
	size_t count;

	lab_json_array(json);
	lock(hooks);
	episodes = fault_plan_episodes(hooks->plan, &count);
	for (size_t i = 0; i < count; i++)
		print_episode(&episodes[i], now_ns, json);
	unlock(hooks);
	lab_json_end(json);
}

static void print_line(const struct line *line, struct lab_json *json)
{
	lab_json_object(json);
	lab_json_put_cstr(json, "service", line->service);
	lab_json_put_cstr(json, "instance", line->instance);
	lab_json_put_cstr(json, "peer", line->peer);
	lab_json_put_cstr(json, "operation", line->operation);
	lab_json_put_cstr(json, "subject", line->subject);
	lab_json_put_u64(json, "received_us", line->received_ns / LAB_USEC);
	lab_json_put_u64(json, "answered_us", line->answered_ns / LAB_USEC);
	lab_json_put_u64(json, "status", line->status);
	lab_json_put_bool(json, "applied", line->applied);
	lab_json_put_bool(json, "answered", line->answered);
	lab_json_put_u64(json, "fault", line->fault_id);
	lab_json_put_u64(json, "bytes", line->bytes);
	lab_json_end(json);
}

void serve_hooks_print_log(struct serve_hooks *hooks, size_t max, struct lab_json *json)
{
	size_t size = (size_t)hooks->settings.profile->serve.log_lines, count;

	lab_json_array(json);
	lock(hooks);
	count = LAB_MIN(max, hooks->line_count);
	for (size_t i = 0; i < count; i++)
		print_line(&hooks->lines[(hooks->next_line + size - count + i) % size], json);
	unlock(hooks);
	lab_json_end(json);
}

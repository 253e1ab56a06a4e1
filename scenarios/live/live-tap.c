/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/live/live-tap.h"

#include <pthread.h>
#include <stdlib.h>

struct notice {
	struct notice *next;
	bool is_fault;
	struct fault_record fault;
	struct sim_access access; /* its texts are behind it, in one piece */
};

struct live_tap {
	const struct scene *scene;
	pthread_mutex_t mutex; /* of everything below, and of the plan */
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct fault_plan *plan;
	struct notice *first, *last;
	bool is_draining; /* main thread only */
};

static void tap_lock(struct live_tap *tap)
{
	lab_assert(pthread_mutex_lock(&tap->mutex) == 0);
}

static void tap_unlock(struct live_tap *tap)
{
	lab_assert(pthread_mutex_unlock(&tap->mutex) == 0);
}

struct live_tap *live_tap_new(const struct scene *scene)
{
	struct lab_pool *pool = lab_pool_new(LIVE_TAP_BYTES_MAX);
	struct lab_heap *heap = lab_heap_new(pool, LIVE_TAP_BYTES_MAX);
	struct live_tap *tap = lab_new(heap, struct live_tap);

	tap->scene = scene;
	tap->pool = pool;
	tap->heap = heap;
	lab_assert(pthread_mutex_init(&tap->mutex, NULL) == 0);
	return tap;
}

void live_tap_free(struct live_tap **tap_p)
{
	struct live_tap *tap = *tap_p;
	struct lab_pool *pool;
	struct lab_heap *heap;

	if (tap == NULL)
		return;
	*tap_p = NULL;
	pool = tap->pool;
	heap = tap->heap;
	lab_assert(pthread_mutex_destroy(&tap->mutex) == 0);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

struct lab_heap *live_tap_heap(struct live_tap *tap)
{
	return tap->heap;
}

/* ---- the queue; locked ---- */

static void enqueue(struct live_tap *tap, struct notice *notice)
{
	if (tap->last == NULL)
		tap->first = notice;
	else
		tap->last->next = notice;
	tap->last = notice;
}

/* Copies the text behind *view to *at, and points the view there. */
static void move_text(uint8_t **at, struct lab_view *view)
{
	if (view->len > 0) {
		memcpy(*at, view->ptr, view->len);
		view->ptr = *at;
		*at += view->len;
	} else if (view->ptr != NULL) {
		*view = LAB_VIEW("");
	}
}

static size_t texts_size(const struct sim_access *a)
{
	size_t size = a->instance.len + a->peer.len + a->method.len + a->operation.len +
		      a->subject.len + a->request.len + a->user.len +
		      a->key_count * sizeof(struct lab_view);

	for (size_t i = 0; i < a->key_count; i++)
		size += a->keys[i].len;
	return size;
}

static void enqueue_access(struct live_tap *tap, const struct sim_access *from)
{
	struct notice *notice = lab_heap_alloc(tap->heap, sizeof(struct notice) + texts_size(from));
	struct sim_access *a = &notice->access;
	struct lab_view *keys = (struct lab_view *)(notice + 1);
	uint8_t *at = (uint8_t *)(keys + from->key_count);

	*a = *from;
	move_text(&at, &a->instance);
	move_text(&at, &a->peer);
	move_text(&at, &a->method);
	move_text(&at, &a->operation);
	move_text(&at, &a->subject);
	move_text(&at, &a->request);
	move_text(&at, &a->user);
	a->keys = keys;
	for (size_t i = 0; i < a->key_count; i++) {
		keys[i] = from->keys[i];
		move_text(&at, &keys[i]);
	}
	enqueue(tap, notice);
}

/* ---- the plan's side; locked, because the plan is ---- */

static const char *zone_of(void *ctx, struct lab_view peer)
{
	const struct live_tap *tap = ctx;

	for (size_t i = 0; i <= tap->scene->node_count; i++) {
		if (lab_view_eq_cstr(peer, tap->scene->nodes[i].name))
			return tap->scene->nodes[i].zone;
	}
	return "";
}

static void on_fired(void *ctx, const struct fault_record *record)
{
	struct live_tap *tap = ctx;
	struct notice *notice = lab_new(tap->heap, struct notice);

	notice->is_fault = true;
	notice->fault = *record;
	enqueue(tap, notice);
}

void live_tap_observe(struct live_tap *tap, struct fault_plan *plan,
	void (*episode)(void *ctx, const struct fault_episode *episode), void *ctx)
{
	struct fault_observer observer = { .ctx = tap, .zone_of = zone_of, .fired = on_fired };
	const struct fault_episode *episodes;
	size_t count;

	tap_lock(tap);
	fault_plan_observe(plan, &observer);
	tap->plan = plan;
	episodes = fault_plan_episodes(plan, &count);
	tap_unlock(tap);
	/* None is added any more, so they stay where they are. */
	for (size_t i = 0; i < count; i++)
		episode(ctx, &episodes[i]);
}

bool live_tap_fire(struct live_tap *tap, uint32_t episode, uint64_t now_ns)
{
	uint32_t id;

	tap_lock(tap);
	id = fault_world_fire(tap->plan, episode, now_ns);
	tap_unlock(tap);
	return id != 0;
}

/* ---- the services' side ---- */

static struct sim_fault on_fault(void *ctx, const struct sim_fault_query *query)
{
	struct live_tap *tap = ctx;
	struct sim_fault fault = { 0 };

	tap_lock(tap);
	if (tap->plan != NULL)
		fault = fault_decide(tap->plan, query);
	tap_unlock(tap);
	return fault;
}

static void on_access(void *ctx, const struct sim_access *access)
{
	struct live_tap *tap = ctx;

	tap_lock(tap);
	enqueue_access(tap, access);
	tap_unlock(tap);
}

void live_tap_hooks(struct live_tap *tap, struct sim_hooks *ret)
{
	*ret = (struct sim_hooks){ .ctx = tap, .fault = on_fault, .access = on_access };
}

/* ---- the main thread's side ---- */

static struct notice *take_all(struct live_tap *tap)
{
	struct notice *first;

	tap_lock(tap);
	first = tap->first;
	tap->first = tap->last = NULL;
	tap_unlock(tap);
	return first;
}

static void give_back(struct live_tap *tap, struct notice *first)
{
	tap_lock(tap);
	while (first != NULL) {
		struct notice *next = first->next;

		lab_heap_free(tap->heap, first);
		first = next;
	}
	tap_unlock(tap);
}

void live_tap_drain(struct live_tap *tap, const struct live_tap_sink *sink)
{
	struct notice *first;

	if (tap->is_draining)
		return;
	first = take_all(tap);
	if (first == NULL)
		return;
	tap->is_draining = true;
	for (struct notice *n = first; n != NULL; n = n->next) {
		if (n->is_fault)
			sink->fault(sink->ctx, &n->fault);
		else
			sink->access(sink->ctx, &n->access);
	}
	tap->is_draining = false;
	give_back(tap, first);
}

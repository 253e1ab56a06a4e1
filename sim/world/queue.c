/* SPDX-License-Identifier: Apache-2.0
 *
 * queue.c - what happens next. A binary heap with back-indices, so that a timeout can be
 * cancelled in O(log n); and a ring of fibers that are ready at the current time, which the heap
 * would give back in the same order, only slower.
 *
 * The heap's entries lead to slots, which are the world's and not the host's: a crash leaves its
 * events where they are, and they are skipped when their time comes.
 */
#include "sim/world/world-private.h"

#define NO_SLOT UINT32_MAX

static bool entry_before(const struct queue_entry *a, const struct queue_entry *b)
{
	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns;
	if (a->tie != b->tie)
		return a->tie < b->tie;
	return a->sequence < b->sequence;
}

static void entry_put(struct queue *queue, uint32_t index, const struct queue_entry *entry)
{
	queue->entries[index] = *entry;
	queue->slots[entry->slot].index = index;
}

static void sift_up(struct queue *queue, uint32_t index, struct queue_entry entry)
{
	while (index > 0) {
		uint32_t parent = (index - 1) / 2;

		if (!entry_before(&entry, &queue->entries[parent]))
			break;
		entry_put(queue, index, &queue->entries[parent]);
		index = parent;
	}
	entry_put(queue, index, &entry);
}

static void sift_down(struct queue *queue, uint32_t index, struct queue_entry entry)
{
	for (;;) {
		uint32_t child = 2 * index + 1;

		if (child >= queue->count)
			break;
		if (child + 1 < queue->count &&
			entry_before(&queue->entries[child + 1], &queue->entries[child]))
			child++;
		if (!entry_before(&queue->entries[child], &entry))
			break;
		entry_put(queue, index, &queue->entries[child]);
		index = child;
	}
	entry_put(queue, index, &entry);
}

static void remove_entry(struct queue *queue, uint32_t index)
{
	struct queue_entry last = queue->entries[--queue->count];

	if (index == queue->count)
		return;
	if (index > 0 && entry_before(&last, &queue->entries[(index - 1) / 2]))
		sift_up(queue, index, last);
	else
		sift_down(queue, index, last);
}

static void free_slot(struct queue *queue, uint32_t slot)
{
	queue->slots[slot].fn = NULL;
	queue->slots[slot].index = queue->free_slot;
	queue->free_slot = slot;
}

static void queue_grow(struct world *world)
{
	struct queue *queue = &world->queue;

	if (queue->count < queue->capacity)
		return;
	if (queue->capacity == 0)
		queue->free_slot = NO_SLOT;
	queue->capacity = queue->capacity == 0 ? 256 : queue->capacity * 2;
	queue->entries = lab_heap_realloc(
		world->heap, queue->entries, queue->capacity * sizeof(*queue->entries));
	queue->slots = lab_heap_realloc(
		world->heap, queue->slots, queue->capacity * sizeof(*queue->slots));
}

static uint32_t take_slot(struct queue *queue)
{
	uint32_t slot = queue->free_slot;

	if (slot == NO_SLOT)
		return queue->slot_count++;
	queue->free_slot = queue->slots[slot].index;
	return slot;
}

static uint64_t draw_tie(struct world *world, struct world_host *host)
{
	if (world->settings.schedule == WORLD_FIFO)
		return 0;
	if (host == NULL)
		return lab_draw(world->settings.seed, "tie", 0, world->queue.sequence);
	return lab_draw(world->settings.seed, "tie", host->node.key, host->ties++);
}

static world_timer post(struct world *world, struct world_host *host, uint64_t time_ns,
	uint64_t tie, world_action_fn fn, void *ctx)
{
	struct queue *queue = &world->queue;
	struct queue_entry entry = {
		.time_ns = LAB_MAX(time_ns, world->now_ns),
		.tie = tie,
		.sequence = ++queue->sequence,
	};

	if (queue->count == queue->max) {
		world->is_overflown = true;
		return 0;
	}
	queue_grow(world);
	entry.slot = take_slot(queue);
	queue->slots[entry.slot] = (struct queue_slot){
		.fn = fn, .ctx = ctx, .host = host, .boots = host == NULL ? 0 : host->boots
	};
	sift_up(queue, queue->count++, entry);
	return entry.slot + 1;
}

world_timer world_post(struct world *world, struct world_host *host, uint64_t time_ns,
	world_action_fn fn, void *ctx)
{
	return post(world, host, time_ns, draw_tie(world, host), fn, ctx);
}

void world_cancel(struct world *world, world_timer *timer)
{
	struct queue *queue = &world->queue;
	uint32_t slot = *timer - 1;

	if (*timer == 0)
		return;
	*timer = 0;
	lab_assert(slot < queue->slot_count && queue->slots[slot].fn != NULL);
	remove_entry(queue, queue->slots[slot].index);
	free_slot(queue, slot);
}

/* ---- ready fibers ---- */

static void ready_grow(struct world *world)
{
	struct queue *queue = &world->queue;
	uint32_t capacity = queue->ready_capacity == 0 ? 64 : queue->ready_capacity * 2;
	struct ready_fiber *ring = lab_new_array(world->heap, struct ready_fiber, capacity);

	for (uint32_t i = 0; i < queue->ready_count; i++)
		ring[i] = queue->ready[(queue->ready_head + i) & (queue->ready_capacity - 1)];
	lab_heap_free(world->heap, queue->ready);
	queue->ready = ring;
	queue->ready_head = 0;
	queue->ready_capacity = capacity;
}

static void resume_ready(void *ctx)
{
	world_resume(ctx);
}

void world_ready(struct world_fiber *fiber)
{
	struct world_host *host = fiber->host;
	struct world *world = host->world;
	struct queue *queue = &world->queue;

	fiber->state = FIBER_READY;
	if (world->settings.schedule != WORLD_FIFO) {
		uint64_t tie = world->settings.schedule == WORLD_PRIORITY ? fiber->priority
									  : draw_tie(world, host);

		(void)post(world, host, world->now_ns + fiber->lag_ns, tie, resume_ready, fiber);
		return;
	}
	if (queue->ready_count == queue->ready_capacity)
		ready_grow(world);
	queue->ready[(queue->ready_head + queue->ready_count++) & (queue->ready_capacity - 1)] =
		(struct ready_fiber){ fiber, host, host->boots, ++queue->sequence };
}

/* ---- priorities ---- */

#define CHANGE_PPM 1000
#define LAG_MAX (20 * LAB_MSEC)

void world_draw_priority(struct world_fiber *fiber)
{
	struct world_host *host = fiber->host;
	struct world *world = host->world;

	/* Those that are demoted come behind all these. */
	fiber->priority =
		lab_draw(world->settings.seed, "priority", host->node.key, host->spawned++) / 2;
}

/* Clients are not slow: they are many. */
void world_change_priority(struct world_fiber *fiber)
{
	struct world_host *host = fiber->host;
	struct world *world = host->world;
	uint64_t draw =
		lab_draw(world->settings.seed, "priority.change", host->node.key, host->resumed++);

	if (host->settings.kind != WORLD_BACKEND || !lab_chance(draw, CHANGE_PPM))
		return;
	fiber->priority = UINT64_MAX - host->demoted++;
	fiber->lag_ns = lab_pick_qlog(lab_mix64(draw), LAB_USEC, LAG_MAX);
	world->counters.demotions++;
}

/* ---- stepping ---- */

static void run_ready(struct queue *queue)
{
	struct ready_fiber *next = &queue->ready[queue->ready_head];

	queue->ready_head = (queue->ready_head + 1) & (queue->ready_capacity - 1);
	queue->ready_count--;
	if (next->boots == next->host->boots && next->host->is_up)
		world_resume(next->fiber);
}

static void run_event(struct queue *queue)
{
	struct queue_entry entry = queue->entries[0];
	struct queue_slot slot = queue->slots[entry.slot];

	remove_entry(queue, 0);
	free_slot(queue, entry.slot);
	if (slot.host == NULL || (slot.boots == slot.host->boots && slot.host->is_up))
		slot.fn(slot.ctx);
}

bool world_step(struct world *world, uint64_t until_ns)
{
	struct queue *queue = &world->queue;
	const struct queue_entry *first = queue->count == 0 ? NULL : &queue->entries[0];

	if (queue->ready_count > 0 &&
		(first == NULL || first->time_ns > world->now_ns ||
			first->sequence > queue->ready[queue->ready_head].sequence)) {
		world->idle_steps++;
		run_ready(queue);
		return true;
	}
	if (first == NULL || first->time_ns > until_ns)
		return false;
	world->idle_steps++;
	if (first->time_ns > world->now_ns) {
		world->now_ns = first->time_ns;
		world->idle_steps = 0;
	}
	run_event(queue);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * hints.c - writes that a replica missed, kept for it by a coordinator.
 */
#include "sim/cql-emulator/cluster-private.h"

struct cqle_hint_list *cqle_hint_list_of(struct cqlemu *emu, size_t from, size_t to)
{
	return &emu->hints[from * emu->node_count + to];
}

void cqle_hints_schedule(struct cqlemu *emu, size_t from, size_t to, uint64_t delay_ns)
{
	struct cqle_hint_list *list = cqle_hint_list_of(emu, from, to);
	if (list->first == NULL ||
		(list->event != NULL && list->event->at_ns <= emu->now_ns + delay_ns))
		return;
	if (list->event != NULL)
		cqle_event_free(emu, list->event);
	list->event = cqle_event_new(emu, CQLE_EV_HINTS);
	list->event->from = (uint8_t)from;
	list->event->to = (uint8_t)to;
	cqle_schedule(emu, list->event, emu->now_ns + delay_ns);
}

void cqle_hint(struct cqlemu *emu, size_t from, size_t to, struct cqle_mutation *mutation)
{
	const struct cqle_view *view = &emu->nodes[from].views[to];
	struct cqle_hint_list *list = cqle_hint_list_of(emu, from, to);
	bool too_old = !view->up && emu->now_ns - view->down_since_ns > emu->options.hint_window_ns;
	if (!emu->options.hinted_handoff || too_old || emu->hint_count >= emu->options.hints_max) {
		emu->counters.hints_dropped++;
		return;
	}
	struct cqle_hint *hint = lab_new(emu->heap, struct cqle_hint);
	hint->mutation = cqle_mutation_ref(mutation);
	if (list->last != NULL)
		list->last->next = hint;
	else
		list->first = hint;
	list->last = hint;
	emu->hint_count++;
	emu->counters.hints_stored++;
	if (view->up)
		cqle_hints_schedule(emu, from, to, emu->options.hint_retry_ns);
	cqle_gossip_wake(emu, emu->now_ns + emu->options.gossip_ns);
}

struct cqle_hint *cqle_hint_pop(struct cqlemu *emu, struct cqle_hint_list *list)
{
	struct cqle_hint *hint = list->first;
	if (hint == NULL)
		return NULL;
	list->first = hint->next;
	if (list->first == NULL)
		list->last = NULL;
	emu->hint_count--;
	return hint;
}

void cqle_hints_replay(struct cqlemu *emu, size_t from, size_t to)
{
	struct cqle_hint_list *list = cqle_hint_list_of(emu, from, to);
	struct cqle_hint *hint, *last = list->last;
	bool through = emu->nodes[to].state == CQLEMU_NODE_UP && cqle_reachable(emu, from, to);
	if (emu->nodes[from].state != CQLEMU_NODE_UP || !emu->nodes[from].views[to].up)
		return; /* again when it starts, thaws or sees the node */
	if (!through) {
		cqle_hints_schedule(emu, from, to, emu->options.hint_retry_ns);
		return;
	}
	while ((hint = cqle_hint_pop(emu, list)) != NULL) {
		struct cqle_event message = { .kind = CQLE_EV_MESSAGE,
			.message = CQLE_MSG_HINT,
			.from = (uint8_t)from,
			.to = (uint8_t)to,
			.mutation = hint->mutation };
		emu->counters.hints_replayed++;
		(void)cqle_send(emu, &message);
		cqle_mutation_unref(emu->heap, hint->mutation);
		bool done = hint == last;
		lab_heap_free(emu->heap, hint);
		if (done)
			break;
	}
	cqle_hints_schedule(emu, from, to, emu->options.hint_retry_ns);
}

void cqle_hints_drop_of(struct cqlemu *emu, size_t from)
{
	struct cqle_hint *hint;

	for (size_t to = 0; to < emu->node_count; to++) {
		while ((hint = cqle_hint_pop(emu, cqle_hint_list_of(emu, from, to))) != NULL) {
			cqle_mutation_unref(emu->heap, hint->mutation);
			lab_heap_free(emu->heap, hint);
		}
	}
}

void cqle_hints_drop(struct cqlemu *emu)
{
	for (size_t i = 0; i < emu->node_count; i++)
		cqle_hints_drop_of(emu, i);
}

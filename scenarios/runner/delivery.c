/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/delivery.h"

#include "core/base/mark.h"

struct attempt {
	struct delivery *delivery;
	struct node *node;
	unsigned *active;
	enum history_outcome outcome;
	bool is_done;
};

static void attempt_now(struct attempt *a)
{
	struct delivery *d = a->delivery;

	++*a->active;
	a->outcome =
		client_deliver(d->client, d->user, a->node, d->folder, d->token, d->mail, d->flag);
	--*a->active;
	a->is_done = true;
}

static void attempt_fiber(void *arg)
{
	struct attempt *a = arg;
	struct delivery *d = a->delivery;

	attempt_now(a);
	d->running--;
	env_cond_broadcast(d->client->lab, &d->ended);
}

enum history_outcome delivery_attempt(
	struct delivery *delivery, struct node *node, unsigned *active)
{
	struct env *lab = delivery->client->lab;
	uint64_t deadline_ns = env_now(lab) + delivery->timeout_ns;
	struct attempt *a = lab_arena_new_of(delivery->arena, struct attempt);

	*a = (struct attempt){ .delivery = delivery, .node = node, .active = active };
	if (delivery->timeout_ns == 0 || env_spawn(lab, "delivery", attempt_fiber, a, NULL) < 0) {
		attempt_now(a);
		return a->outcome;
	}
	delivery->running++;
	while (!a->is_done) {
		if (env_cond_wait(lab, &delivery->ended, deadline_ns) == 0)
			continue;
		LAB_MARK(delivery_timed_out);
		return HISTORY_UNCERTAIN;
	}
	return a->outcome;
}

void delivery_wait(struct delivery *delivery)
{
	while (delivery->running > 0)
		(void)env_cond_wait(delivery->client->lab, &delivery->ended, ENV_FOREVER);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/delivery.h"

#include "core/base/mark.h"
#include "scenarios/runner/palomar.h"

struct attempt {
	struct delivery *delivery;
	struct node *node;
	unsigned *active;
	uint64_t draw;
	enum history_outcome outcome;
	bool is_done;
};

static enum history_outcome deliver(const struct delivery *d, struct node *node)
{
	return client_deliver(d->client, d->user, node, d->folder, d->token, d->mail, d->flag);
}

/* 4xx of a proxy that finds nobody is a failure like any other: the MTA keeps the mail. An answer
 * that gets lost on its way back is one that the MTA never had. */
static enum history_outcome deliver_by_proxy(const struct attempt *a)
{
	const struct delivery *d = a->delivery;
	struct palomar_session *session;
	enum history_outcome outcome;

	if (palomar_login(d->palomar, d->user->name, CLUSTER_LMTP, a->draw, &session, NULL) < 0)
		return deliver(d, NULL);
	if (palomar_request_begin(session)) {
		outcome = deliver(d, palomar_session_node(session));
		if (!palomar_request_end(session) && outcome == HISTORY_OK)
			outcome = HISTORY_UNCERTAIN;
	} else {
		outcome = deliver(d, NULL);
	}
	(void)palomar_logout(&session);
	return outcome;
}

static void attempt_now(struct attempt *a)
{
	++*a->active;
	a->outcome =
		a->delivery->palomar != NULL ? deliver_by_proxy(a) : deliver(a->delivery, a->node);
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

	*a = (struct attempt){
		.delivery = delivery, .node = node, .active = active, .draw = delivery->draw
	};
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * delivery.h - one mail on its way from an MTA, which may lose its patience: the backend goes on
 * with what the MTA has given up, and sends again meanwhile (obox 8.3, S8).
 */
#ifndef SCENARIOS_DELIVERY_H
#define SCENARIOS_DELIVERY_H

#include "scenarios/runner/client.h"

struct palomar;

struct delivery {
	struct client_context *client;
	struct user *user;
	uint64_t token;
	struct lab_view folder, mail, flag; /* borrowed until delivery_wait() */
	struct lab_arena *arena;
	struct palomar *palomar; /* by way of its proxies; NULL: straight to the node */
	uint64_t draw;           /* of the attempt: where it knocks */
	uint64_t timeout_ns;     /* of an attempt; 0: it waits as long as it takes */
	unsigned running;
	struct env_cond ended;
};

/* Blocks. What nobody waited for any more is HISTORY_UNCERTAIN here; the history has what came of
 * it. Behind proxies `node` is not looked at. `active` is counted up while the attempt is under
 * way. */
enum history_outcome delivery_attempt(
	struct delivery *delivery, struct node *node, unsigned *active);
/* Blocks until every attempt has ended. */
void delivery_wait(struct delivery *delivery);

#endif

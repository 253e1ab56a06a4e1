/* SPDX-License-Identifier: Apache-2.0
 *
 * host-call.h - something is done in a fiber of a host, and a fiber of the laboratory's host waits
 * for it.
 *
 * Crash      When the host dies, everything that runs there is lost: who waits learns that, and
 *            nothing about the outcome.
 * Ownership  What goes to and fro belongs to the caller, whose host never crashes.
 */
#ifndef SCENARIOS_HOST_CALL_H
#define SCENARIOS_HOST_CALL_H

#include "core/env/env.h"

struct host_call;
struct host_calls { /* of one host; zero-initialised is empty */
	struct host_call *first;
	uint64_t total, lost;
};

typedef void (*host_call_fn)(void *arg);
enum host_answer {
	HOST_ANSWERED,
	HOST_REFUSED, /* certainly not done */
	HOST_LOST     /* anything may have happened */
};
/* Blocks the calling fiber of `lab` until fn(arg) has run in a fiber of `host`, or that has
 * crashed. */
enum host_answer host_call(
	struct host_calls *calls, struct env *host, struct env *lab, host_call_fn fn, void *arg);
/* The host has crashed: who waits becomes runnable. */
void host_calls_crashed(struct host_calls *calls, struct env *lab);

#endif

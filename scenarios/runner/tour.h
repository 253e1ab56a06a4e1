/* SPDX-License-Identifier: Apache-2.0
 *
 * tour.h - a user who does everything that has a price, one thing after the other (user { tour =
 * yes }): the rows of `oboxlab list costs`, in a fixed order and with nothing beside it.
 *
 * Backends   The first half is done on one backend, the second on its neighbour, the end on the
 *            first again; with one backend all of it there.
 * Failures   What fails is left out, and the tour goes on.
 */
#ifndef SCENARIOS_TOUR_H
#define SCENARIOS_TOUR_H

#include "scenarios/runner/client.h"
#include "scenarios/runner/workload.h"

struct tour {
	struct workload *workload;
	struct client_context *client;
	struct user *user;
	struct node *nodes[2];
	uint64_t action_delay_ns; /* between two actions */
	uint64_t close_delay_ns;  /* after which a user is looked at again */
	uint64_t expunge_ppm;     /* of the mails of INBOX, in batches */
	size_t bulk;              /* of so many mails */
};

/* Blocks the calling fiber of the laboratory's host until all is done. */
void tour_run(const struct tour *tour);

#endif

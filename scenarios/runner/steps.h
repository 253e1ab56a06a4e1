/* SPDX-License-Identifier: Apache-2.0
 *
 * steps.h - a run that is told what to do: each step NAME { } of a scenario happens at its time,
 * and nothing else does (scenario { clients = no }).
 *
 * Sessions   Steps of one session share a connection: one after the other, each at its time or when
 *            the one before it has ended. The session begins with its first step, and is over when
 *            its connection is gone, or its folder is another one: what is left of it is passed
 *            over, as a client would. It selects the folder of a step unless it has that one.
 * Mails      By the number of the user's delivery, so that a step means the same mail whatever else
 *            happens. If several mails of a folder are that one, the UID says which; a mail whose
 *            number the session does not know is read first. A step whose mails are not there is
 *            passed over.
 * MTAs       Attempts of one mail follow each other. One that the MTA knows to be delivered is not
 *            made again: steps that were a retry stay meaningful when the first attempt succeeds.
 * Deletion   A user is locked out from user-delete on until it is done, as by `oboxlab`'s own
 *            operators: sessions do not begin, deliveries wait.
 */
#ifndef SCENARIOS_STEPS_H
#define SCENARIOS_STEPS_H

#include "scenarios/runner/client.h"
#include "scenarios/runner/operators.h"
#include "scenarios/runner/workload.h"

struct steps_settings {
	const struct scenario *scenario;
	struct workload *workload;
	struct client_context *client;
	struct node *nodes;
	size_t node_count;
	struct operators_settings operators; /* for what operators are told */
	size_t *busy;                        /* counted up while a step is under way */
};

/* Begins; *busy is 0 again when the last step has ended. -1 if no fiber can be started. */
int steps_start(const struct steps_settings *settings, struct lab_error *err);

#endif

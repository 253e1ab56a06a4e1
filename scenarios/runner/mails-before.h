/* SPDX-License-Identifier: Apache-2.0
 *
 * mails-before.h - users who had mails before the run begins (user { mails = N }).
 *
 * Purpose    Puts rows, objects and metadata where deliveries of the past would have left them: one
 *            a minute, the last one a minute before the start, into INBOX, bucket after bucket.
 *            Without index bundles: who opens the folder first recovers it from its listing.
 *            The history says that they were delivered, so the oracle expects each of them.
 * Blocking   Never; nothing has run yet. Nothing of it is in an access log.
 * Limits     Needs dictmap with storage-objectid-prefix over an S3 and a Cassandra of ours
 *            (scenario-check.c).
 * Errors     LAB_LIMIT: they do not fit.
 */
#ifndef SCENARIOS_MAILS_BEFORE_H
#define SCENARIOS_MAILS_BEFORE_H

#include "scenarios/runner/scene.h"
#include "scenarios/runner/workload.h"
#include "sim/oracle/oracle.h"

/* Of all users. `heap` is for work in progress. */
int mails_before_place(const struct scene *scene, struct workload *workload,
	struct history *history, struct oracle *oracle, struct lab_heap *heap,
	struct lab_error *err);

#endif

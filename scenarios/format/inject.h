/* SPDX-License-Identifier: Apache-2.0
 *
 * inject.h - one exact fault, as a text that a command line takes and a report prints:
 *
 *     [>]POINT:KIND:N[+[TIME]][:DISK,DOWN]   cql.write:write_timeout_all:17
 *                                            >cql.write:overloaded:1+1s
 *                                            s3.put:reset:3+
 *                                            cql.write:stall_reply:5:wipe,2s
 *
 * The N-th request that comes to POINT in warmup and storm fails by KIND; with "+" that one and all
 * after it, or those within TIME. With ">" the count begins when the fault before this one has
 * fired. With DISK (keep, lose_unsynced, wipe) the backend that asked crashes in the middle of it,
 * and starts again after DOWN.
 */
#ifndef SCENARIOS_INJECT_H
#define SCENARIOS_INJECT_H

#include "sim/faults/faults.h"

#define INJECT_TEXT_MAX 128

/* -1 LAB_INVALID, with what is wrong in one sentence. Start and length are the run's business, and
 * so is `after`, which is 1 for a text with ">". */
int inject_parse(struct lab_view text, struct fault_episode *ret, struct lab_error *err);
void inject_print(const struct fault_episode *episode, char out[INJECT_TEXT_MAX]);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * reboots.h - which runs of this host's backend ended uncleanly (obox 5.6).
 *
 * Purpose    What a run wrote to its metacache is believed only if that run and all after it ended
 *            with a clean stop: local indexes are not synced, and after a crash of the machine
 *            nobody knows what of them is on the disk.
 * File       REBOOTS_PATH, a line for each run: its number, an id, and "open" or "clean". Written
 *            whole, and synced, when a run begins and when it ends. Only the last runs are kept;
 *            what older ones wrote is not believed.
 * Errors     If the file cannot be read or written, nothing is believed: indexes are downloaded
 *            again.
 * Blocking   Start and stop.
 */
#ifndef LAB_OBOX_REBOOTS_H
#define LAB_OBOX_REBOOTS_H

#include "core/env/env.h"

#define REBOOTS_PATH "/var/lib/dovecot/reboots"
#define REBOOTS_MAX 256

struct reboots;

/* A run begins. */
struct reboots *reboots_start(struct env *env);
/* A clean stop: all that was written is synced. NULLs the pointer; accepts NULL. */
void reboots_stop(struct reboots **reboots);

/* What a run leaves in all that it writes, and whether what has such a stamp may be believed. Takes
 * it off the front; false if the reader has failed. */
void reboots_stamp(const struct reboots *reboots, struct lab_buf *out);
bool reboots_check(const struct reboots *reboots, struct lab_reader *reader);

#endif

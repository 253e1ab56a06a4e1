/* SPDX-License-Identifier: Apache-2.0
 *
 * elle.h - a history in the list-append form of Elle (github.com/jepsen-io/elle), for a checker
 * that knows nothing of ours (simulation 5.6).
 *
 * Form       EDN, an operation a line, `:invoke` and then `:ok`, `:fail` or `:info` (uncertain,
 *            pending). Keys and values are integers; comments at the start say which key is which
 *            folder of which user, what was left out, and why. Times are nanoseconds, the order is
 *            that of the run's events; where that does not tell, operations overlap.
 * Mapping    A folder is a list of mails in the order of their UIDs. A delivery, and the target of
 *            a COPY or MOVE, append one value, which stands for the object's name in that folder; a
 *            SELECT reads the list. What was seen and had no name when it was appended belongs to
 *            the uncertain appends to that folder, in their order. Sessions are processes; one with
 *            an uncertain end gets another number, as Jepsen wants it.
 * Expunging  Lists only grow. A mail that somebody had begun to expunge, move away or autoexpunge
 *            by the end of a SELECT is put back in its place, so its absence proves nothing; any
 *            other absence is what Elle calls an incompatible order.
 * Not told   Flags, bodies, modseqs, names and quotas. That a mail was expunged and is back. Whole
 *            folders are left out when UIDVALIDITY or UIDs changed (merges), a mail has no name in
 *            a listing, or lazy_expunge moves mails into it.
 */
#ifndef SIM_ELLE_H
#define SIM_ELLE_H

#include "sim/oracle/history.h"

/* `heap` for work; nothing of it is kept. */
void elle_print(const struct history *history, struct lab_heap *heap, struct lab_buf *out);

#endif

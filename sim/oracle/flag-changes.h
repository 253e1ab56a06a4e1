/* SPDX-License-Identifier: Apache-2.0
 *
 * flag-changes.h - what a flag may be for somebody who looks, after changes by backends of which
 * one did not know all that the others did (knowledge.h). For flags.c and private.c.
 */
#ifndef SIM_ORACLE_FLAG_CHANGES_H
#define SIM_ORACLE_FLAG_CHANGES_H

#include "sim/oracle/oracle-private.h"

/* Until an upload that is due has ended: its own retries, and a queue before it. */
#define ORACLE_UPLOAD_TIME (2 * LAB_MINUTE)

/* What a flag can be. */
enum {
	FLAG_CLEAR = 1,
	FLAG_SET = 2
};

/* Somebody who looks. */
struct flag_observer {
	uint32_t life;
	uint64_t at;     /* what it knew then is certain for it */
	uint64_t to;     /* what began before then may be */
	bool is_storage; /* it began with all that was stored then */
};

struct flag_change {
	const struct history_op *op;
	unsigned values; /* that it may have left */
	uint32_t life;
	uint64_t began, ended; /* events */
	bool is_certain, is_known;
};

struct flag_changes {
	struct flag_change *of;
	size_t count;
	uint64_t folder; /* knowledge_folder() or knowledge_root() */
};

struct flag_change flag_change_of(
	const struct oracle *oracle, const struct history_op *op, unsigned values);
/* Must the observer know it? */
bool flag_is_known(const struct oracle *oracle, uint64_t folder, const struct flag_observer *who,
	const struct flag_change *change);
/* What the flag may be, once is_known is set of all. */
unsigned flag_allowed(const struct oracle *oracle, const struct flag_changes *changes);
/* The last change that the observer must have known; NULL: none. */
const struct flag_change *flag_last_known(const struct flag_changes *changes);

#endif

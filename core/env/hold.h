/* SPDX-License-Identifier: Apache-2.0
 *
 * hold.h - named places at which a fiber of a backend can be seen, kept waiting, or crashed with
 * its host, by a script of a scenario (simulation 4.2): races without a guess at times.
 *
 * Purpose    The list is holds.def; `oboxlab list holds` prints it. Unless somebody watches, a hold
 *            is one load and one branch that is never taken.
 * Place      Only where the code may block already, right before or after something that does:
 *            what a hold does to a fiber a slow network could do, too.
 * Crash      The watcher may crash the host: then the fiber ends in here.
 * Threads    One watcher for the process; runs of one process follow each other.
 */
#ifndef LAB_ENV_HOLD_H
#define LAB_ENV_HOLD_H

#include "core/env/env.h"

enum env_hold {
#define X(name, doc) ENV_HOLD_##name,
#include "core/env/holds.def"
#undef X
	ENV_HOLD_COUNT
};

struct env_hold_watcher {
	/* A fiber of env's host is at `hold`, for `user`. May block it. */
	void (*reached)(void *ctx, struct env *env, enum env_hold hold, const char *user);
	void *ctx;
};

/* NULL: nobody watches. Borrowed; set for the length of a run. */
extern const struct env_hold_watcher *env_hold_watcher;

/* Blocks, maybe. `hold` is a name of holds.def. */
#define ENV_HOLD(env, hold, user) \
	do { \
		if (__builtin_expect(env_hold_watcher != NULL, 0)) \
			env_hold_watcher->reached( \
				env_hold_watcher->ctx, (env), ENV_HOLD_##hold, (user)); \
	} while (0)

const char *env_hold_name(enum env_hold hold);
const char *env_hold_doc(enum env_hold hold);
/* ENV_HOLD_COUNT if there is none of that name. */
enum env_hold env_hold_find(struct lab_view name);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * buggify.h - the core does what it may do, but seldom does: smaller pages, an early timeout, a
 * look too many (simulation 3.4).
 *
 * Purpose    The list is buggify.def; `oboxlab list buggify` prints it. A scenario asks for it with
 *            scenario { buggify = RATE }: each seed chooses a quarter of the places, and each of
 *            these does so at that rate. Elsewhere it is one load and one branch.
 * Rule       Whatever is done here is right: it may cost requests, or fail as it might have failed
 *            anyway. What is wrong is a defect (core/base/defect.h).
 * Draws      Keyed by seed, host, place and how often the host came there.
 */
#ifndef LAB_ENV_BUGGIFY_H
#define LAB_ENV_BUGGIFY_H

#include "core/env/env.h"

enum env_buggify {
#define X(name, doc) ENV_BUGGIFY_##name,
#include "core/env/buggify.def"
#undef X
	ENV_BUGGIFY_COUNT
};

#define ENV_BUGGIFY_HOSTS 512 /* that count for themselves; others share */

struct env_buggify_plan {
	uint32_t rate_ppm;
	bool is_chosen[ENV_BUGGIFY_COUNT];
	uint32_t asked[ENV_BUGGIFY_HOSTS][ENV_BUGGIFY_COUNT];
	uint64_t fired[ENV_BUGGIFY_COUNT];
};

/* NULL: never. Borrowed; set for the length of a run. */
extern struct env_buggify_plan *env_buggify_plan;

void env_buggify_choose(struct env_buggify_plan *plan, uint64_t seed, uint32_t rate_ppm);
bool env_buggify_fires(struct env *env, enum env_buggify place);

/* True: do it this time. `place` is a name of buggify.def. */
#define ENV_BUGGIFY(env, place) \
	(__builtin_expect(env_buggify_plan != NULL, 0) && \
		env_buggify_fires((env), ENV_BUGGIFY_##place))

const char *env_buggify_name(enum env_buggify place);
const char *env_buggify_doc(enum env_buggify place);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/buggify.h"

#define CHOSEN_PPM 250000

struct env_buggify_plan *env_buggify_plan;

static const struct {
	const char *name, *doc, *purpose;
} places[ENV_BUGGIFY_COUNT] = {
#define X(name, doc) { #name, doc, "buggify." #name },
#include "core/env/buggify.def"
#undef X
};

const char *env_buggify_name(enum env_buggify place)
{
	lab_assert(place < ENV_BUGGIFY_COUNT);
	return places[place].name;
}

const char *env_buggify_doc(enum env_buggify place)
{
	lab_assert(place < ENV_BUGGIFY_COUNT);
	return places[place].doc;
}

void env_buggify_choose(struct env_buggify_plan *plan, uint64_t seed, uint32_t rate_ppm)
{
	*plan = (struct env_buggify_plan){ .rate_ppm = rate_ppm };
	for (unsigned i = 0; i < ENV_BUGGIFY_COUNT; i++)
		plan->is_chosen[i] =
			lab_chance(lab_draw(seed, places[i].purpose, 0, 0), CHOSEN_PPM);
}

bool env_buggify_fires(struct env *env, enum env_buggify place)
{
	struct env_buggify_plan *plan = env_buggify_plan;
	uint32_t *asked = &plan->asked[env->host % ENV_BUGGIFY_HOSTS][place];

	if (!plan->is_chosen[place] ||
		!lab_chance(env_draw(env, places[place].purpose, (*asked)++), plan->rate_ppm))
		return false;
	plan->fired[place]++;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/campaign/hunt.h"

#include <stdlib.h>

struct hunt {
	const struct hunt_settings *settings;
	struct hunt_result *result;
	uint64_t failed; /* the lowest number of a run that failed; 0: none */
};

static uint64_t divisor(uint64_t a, uint64_t b)
{
	return b == 0 ? a : divisor(b, a % b);
}

/* Each once in a turn, and not one after the other: neighbours are alike. */
static const struct scenario *scenario_of(const struct hunt_settings *s, uint64_t number)
{
	uint64_t count = s->scenario_count, step = LAB_MAX(count * 5 / 8, (uint64_t)1);

	while (divisor(count, step) != 1)
		step++;
	return s->scenarios[(number - 1) * step % count];
}

static uint64_t seed_of(const struct hunt_settings *s, uint64_t number)
{
	return (number - 1) / s->scenario_count + 1;
}

static void prepare(void *ctx, uint64_t number, struct run_options *run)
{
	const struct hunt *hunt = ctx;

	run->scenario = scenario_of(hunt->settings, number);
	run->seed = seed_of(hunt->settings, number);
}

static void on_result(void *ctx, const struct run_result *run)
{
	struct hunt *hunt = ctx;

	if (run->verdict != RUN_FAIL || (hunt->failed != 0 && run->seed > hunt->failed))
		return;
	hunt->failed = run->seed;
	memcpy(hunt->result->signature, run->signature, sizeof(run->signature));
	memcpy(hunt->result->signatures, run->signatures, sizeof(run->signatures));
	hunt->result->signature_count = run->signature_count;
}

int hunt_one(const struct hunt_settings *settings, enum lab_defect defect, struct hunt_result *ret,
	struct lab_error *err)
{
	struct hunt hunt = { .settings = settings, .result = ret };
	struct campaign_settings campaign = { .scenario = settings->scenarios[0],
		.mails = settings->mails,
		.arguments = settings->arguments,
		.is_confined = settings->is_confined,
		.first_seed = 1,
		.last_seed = settings->seeds,
		.workers = settings->workers,
		.seed_timeout_s = settings->seed_timeout_s,
		.until_failure = true,
		.prepare = prepare,
		.on_result = on_result,
		.ctx = &hunt };
	struct campaign_result *result = calloc(1, sizeof(*result));
	int status;

	lab_assert(result != NULL);
	lab_assert(settings->scenario_count >= 1 && settings->seeds >= 1);
	lab_defects_add(&campaign.defects, defect);
	*ret = (struct hunt_result){ .defect = defect };
	status = campaign_run(&campaign, result, err);
	ret->found = hunt.failed != 0;
	ret->seeds = ret->found ? hunt.failed : settings->seeds;
	if (ret->found) {
		ret->scenario = scenario_of(settings, hunt.failed);
		ret->seed = seed_of(settings, hunt.failed);
	}
	ret->broken = result->broken;
	ret->inconclusive = result->inconclusive;
	ret->wall_ns = result->wall_ns;
	free(result);
	return status;
}

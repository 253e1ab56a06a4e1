/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cluster/health.h"

#include "core/base/defect.h"

void health_settings_defaults(struct health_settings *ret)
{
	*ret = (struct health_settings){
		.failed_percent = 70, .rounds_down = 3, .rounds_up = 3, .down_percent = 50
	};
}

static enum health_verdict online_round(
	const struct health_settings *s, struct health *h, int64_t success, int64_t failure)
{
	h->is_mine = false;
	h->good = 0;
	if (success + failure == 0)
		return HEALTH_KEEP;
	if (failure * 100 < (int64_t)s->failed_percent * (success + failure)) {
		h->bad = 0;
		return HEALTH_KEEP;
	}
	h->bad++;
	return h->bad >= s->rounds_down * (lab_defect(OUT_TOO_LATE) ? 8 : 1) ||
			       lab_defect(ONE_BAD_ROUND_IS_ENOUGH)
		       ? HEALTH_DOWN
		       : HEALTH_KEEP;
}

enum health_verdict health_round(const struct health_settings *s, struct health *h, bool is_online,
	int64_t success, int64_t failure, bool answers)
{
	if (is_online)
		return online_round(s, h, success, failure);
	h->bad = 0;
	h->good = answers ? h->good + 1 : 0;
	return (h->is_mine || lab_defect(TAKEN_BACK_BY_ANYBODY)) && h->good >= s->rounds_up
		       ? HEALTH_UP
		       : HEALTH_KEEP;
}

bool health_may_take_out(const struct health_settings *s, size_t down, size_t count)
{
	return lab_defect(ALL_MAY_GO_OUT) || (down + 1) * 100 <= count * s->down_percent;
}

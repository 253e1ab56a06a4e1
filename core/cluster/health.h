/* SPDX-License-Identifier: Apache-2.0
 *
 * health.h - whether a backend is to be taken out, from what proxies see of it (palomar 2.7).
 *
 * Thresholds The documents name none. Three failed rounds in a row of ten seconds are those of the
 *            predecessor's monitor; what is failed for seconds only is left alone, since moving
 *            users costs more than waiting.
 * Effects    None: pure functions.
 */
#ifndef LAB_CLUSTER_HEALTH_H
#define LAB_CLUSTER_HEALTH_H

#include "core/base/base.h"

struct health_settings {
	unsigned failed_percent; /* of a round's connections, at least: the round has failed; 70 */
	unsigned rounds_down;    /* failed ones in a row: it is taken out; 3 */
	unsigned rounds_up;      /* in which it answers, in a row: it is taken back; 3 */
	unsigned down_percent;   /* of a site's backends that may be out at a time; 50 */
};
void health_settings_defaults(struct health_settings *ret);

/* Of one backend. All zero: nothing is known. */
struct health {
	unsigned bad, good; /* rounds in a row */
	bool is_mine;       /* who took it out takes it back, and nobody else (palomar 2.7) */
};
enum health_verdict {
	HEALTH_KEEP,
	HEALTH_DOWN,
	HEALTH_UP
};
/* After a round: its status, what came of connections, and whether its doveadm answers. A round
 * without connections says nothing. */
enum health_verdict health_round(const struct health_settings *settings, struct health *health,
	bool is_online, int64_t success, int64_t failure, bool answers);
/* `down` of a site's `count` backends are out: another one may follow. */
bool health_may_take_out(const struct health_settings *settings, size_t down, size_t count);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-weight.h - which local indexes are removed first when space is short (obox 5.8):
 * metacache_priority_weights and metacache_size_weights. Pure.
 */
#ifndef LAB_OBOX_METACACHE_WEIGHT_H
#define LAB_OBOX_METACACHE_WEIGHT_H

#include "core/base/error.h"
#include "core/base/view.h"

enum metacache_priority {
	METACACHE_ROOT,
	METACACHE_FTS,
	METACACHE_SPECIAL, /* INBOX and \Junk */
	METACACHE_OTHER,
	METACACHE_PRIORITIES
};

struct metacache_weights {
	struct {
		uint32_t percent; /* of metacache_max_space: the priority may use that much ... */
		int64_t seconds;  /* ... as if it had been accessed so much later */
	} priorities[METACACHE_PRIORITIES];
	uint64_t low, max; /* bytes */
	int64_t low_seconds, max_seconds;
};

/* "10% +1d 10% +1d 50% +1h 100% 0" and "2M +30 1G +120". -1 LAB_INVALID. */
int metacache_weights_parse(struct lab_view priorities, struct lab_view sizes,
	struct metacache_weights *ret, struct lab_error *err);
/* Seconds: small indexes cost little space, large ones much to download again. */
int64_t metacache_size_adjustment(const struct metacache_weights *weights, uint64_t bytes);

struct metacache_usage {
	enum metacache_priority priority;
	int64_t accessed;       /* unix seconds */
	uint64_t bytes;         /* of what might be removed */
	uint64_t priority_used; /* by all of that priority */
	uint64_t max_space;
};
/* What has the lowest weight goes first. */
int64_t metacache_weight(
	const struct metacache_weights *weights, const struct metacache_usage *usage);

#endif

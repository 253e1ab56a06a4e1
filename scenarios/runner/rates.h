/* SPDX-License-Identifier: Apache-2.0
 *
 * rates.h - what the storage and Cassandra are asked, second by second, around the first loss of a
 * host: the storm of reconnects (palomar 4.2, F23).
 *
 * Purpose    A log of one run, and of it the ten-second rates from a minute before the loss to
 *            twenty minutes after it, which add up over many runs.
 * Limits     RATES_SECONDS of a run; what is later is not counted.
 */
#ifndef SCENARIOS_RATES_H
#define SCENARIOS_RATES_H

#include "core/base/event.h"
#include "core/base/heap.h"
#include "core/base/json.h"
#include "sim/service.h"

#define RATES_SECONDS 7200u
#define RATES_BEFORE 6u /* buckets of ten seconds */
#define RATES_BUCKETS (RATES_BEFORE + 120u)

enum rates_of {
	RATES_S3, /* or whatever the storage is */
	RATES_CQL,
	RATES_REFUSED, /* of both: answered with 503, or an error of Cassandra */
	RATES_LOGINS,  /* that succeeded */
	RATES_COUNT
};

/* Plain data. */
struct rates {
	uint64_t runs;
	uint32_t seen[RATES_BUCKETS]; /* runs that had this time */
	uint64_t counts[RATES_BUCKETS][RATES_COUNT];
};

struct rates_log;
struct rates_log *rates_log_new(struct lab_heap *heap);
void rates_log_access(struct rates_log *log, const struct sim_access *access);
void rates_log_event(struct rates_log *log, const struct lab_event *event);
/* What was until `end_ns`; nothing (runs 0) if no host was lost. */
void rates_log_end(const struct rates_log *log, uint64_t end_ns, struct rates *ret);

void rates_add(struct rates *total, const struct rates *run);
/* Per second and run, times ten. */
uint64_t rates_tenths(const struct rates *rates, unsigned bucket, enum rates_of what);
struct rates_summary {
	uint64_t normal, peak; /* tenths, of the minute before and of the highest bucket after */
	unsigned peak_at, back_at; /* buckets; back_at RATES_BUCKETS: never */
};
/* Back: three buckets in a row, from the peak on, that are not a quarter above what was normal. */
void rates_sum_up(const struct rates *rates, enum rates_of what, struct rates_summary *ret);
/* Nothing without a loss. */
void rates_print(const struct rates *rates, struct lab_buf *out);
void rates_json(const struct rates *rates, struct lab_json *json);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * histogram.h - log-linear histogram of u64 values (nanoseconds, bytes): 7,424 fixed counters, no
 * allocation, at most 0.8 % relative error, exact merge (loadgen 1.6).
 */
#ifndef LAB_BASE_HISTOGRAM_H
#define LAB_BASE_HISTOGRAM_H

#include <stdint.h>

#define LAB_HISTOGRAM_SUB_BITS 7
#define LAB_HISTOGRAM_COUNTERS 7424

struct lab_histogram {
	uint64_t count;
	uint64_t sum; /* saturates */
	uint64_t min; /* UINT64_MAX while empty */
	uint64_t max;
	uint64_t counters[LAB_HISTOGRAM_COUNTERS];
};

void lab_histogram_init(struct lab_histogram *h);
void lab_histogram_record(struct lab_histogram *h, uint64_t value);
void lab_histogram_merge(struct lab_histogram *into, const struct lab_histogram *from);
/* The smallest recorded value v such that at least ppm / 1,000,000 of all values are <= v, as the
 * upper end of its counter, never above max. 0 while empty. */
uint64_t lab_histogram_quantile(const struct lab_histogram *h, uint32_t ppm);
uint64_t lab_histogram_mean(const struct lab_histogram *h);
/* The counter a value falls into, and that counter's highest value. */
unsigned lab_histogram_index(uint64_t value);
uint64_t lab_histogram_upper(unsigned index);

#endif

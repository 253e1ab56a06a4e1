/* SPDX-License-Identifier: Apache-2.0
 *
 * 128 counters for the values below 128, then 128 for each octave above: 58 * 128 in all. */
#include "core/base/histogram.h"

#include <string.h>

#include "core/base/assert.h"

#define SUB_COUNT (1u << LAB_HISTOGRAM_SUB_BITS)

_Static_assert(
	LAB_HISTOGRAM_COUNTERS == (64 - LAB_HISTOGRAM_SUB_BITS + 1) * SUB_COUNT, "all of 64 bits");

unsigned lab_histogram_index(uint64_t value)
{
	if (value < SUB_COUNT)
		return (unsigned)value;
	unsigned shift = 63 - (unsigned)__builtin_clzll(value) - LAB_HISTOGRAM_SUB_BITS;
	/* The top bit of what is left after the shift counts the octave. */
	return shift * SUB_COUNT + (unsigned)(value >> shift);
}

uint64_t lab_histogram_upper(unsigned index)
{
	lab_assert(index < LAB_HISTOGRAM_COUNTERS);
	if (index < SUB_COUNT)
		return index;
	unsigned shift = index / SUB_COUNT - 1;
	uint64_t next = (uint64_t)(index % SUB_COUNT) + SUB_COUNT + 1;
	/* The last counter's end does not fit into 64 bits; wrapping gives UINT64_MAX. */
	return (next << shift) - 1;
}

void lab_histogram_init(struct lab_histogram *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

static void add_saturating(uint64_t *to, uint64_t value)
{
	if (__builtin_add_overflow(*to, value, to))
		*to = UINT64_MAX;
}

void lab_histogram_record(struct lab_histogram *h, uint64_t value)
{
	h->counters[lab_histogram_index(value)]++;
	h->count++;
	add_saturating(&h->sum, value);
	if (value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
}

void lab_histogram_merge(struct lab_histogram *into, const struct lab_histogram *from)
{
	for (unsigned i = 0; i < LAB_HISTOGRAM_COUNTERS; i++)
		into->counters[i] += from->counters[i];
	into->count += from->count;
	add_saturating(&into->sum, from->sum);
	if (from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
}

uint64_t lab_histogram_quantile(const struct lab_histogram *h, uint32_t ppm)
{
	unsigned __int128 share = (unsigned __int128)h->count * (ppm < 1000000 ? ppm : 1000000);
	uint64_t rank = (uint64_t)((share + 999999) / 1000000);
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	if (rank == 0)
		rank = 1;
	for (unsigned i = 0; i < LAB_HISTOGRAM_COUNTERS; i++) {
		seen += h->counters[i];
		if (seen >= rank) {
			uint64_t upper = lab_histogram_upper(i);

			return upper < h->max ? upper : h->max;
		}
	}
	return h->max;
}

uint64_t lab_histogram_mean(const struct lab_histogram *h)
{
	return h->count == 0 ? 0 : h->sum / h->count;
}

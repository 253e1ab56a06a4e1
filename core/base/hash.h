/* SPDX-License-Identifier: Apache-2.0
 *
 * hash.h - mixing, and the keyed decisions on which every run is built.
 *
 * A decision is a function of what it is about, never of what was drawn before it:
 * lab_draw(seed, purpose, actor, ordinal). So an unrelated change of the code leaves a saved seed
 * meaningful, and a dropped operation does not reshuffle the rest (simulation 3.4).
 */
#ifndef LAB_BASE_HASH_H
#define LAB_BASE_HASH_H

#include "core/base/view.h"

/* A bijection of 64 bits with good avalanche. */
uint64_t lab_mix64(uint64_t value);
/* Folds `value` into `hash`; order matters. */
uint64_t lab_hash_fold(uint64_t hash, uint64_t value);
/* Not for secrets. Same on every machine. */
uint64_t lab_hash_bytes(uint64_t seed, const void *data, size_t len);
static inline uint64_t lab_hash_view(uint64_t seed, struct lab_view v)
{
	return lab_hash_bytes(seed, v.ptr, v.len);
}

/* The keyed draw. `purpose` is a stable literal such as "s3.put.fault". */
uint64_t lab_draw(uint64_t seed, const char *purpose, uint64_t actor, uint64_t ordinal);

/* What a draw is turned into; integer arithmetic only, so equal on every machine. */
/* Uniform in [0, n), n > 0. */
uint64_t lab_pick(uint64_t draw, uint64_t n);
/* Uniform in [low, high]. */
uint64_t lab_pick_range(uint64_t draw, uint64_t low, uint64_t high);
/* True with probability ppm / 1,000,000. */
bool lab_chance(uint64_t draw, uint32_t ppm);
/* Log-uniform in [low, high] ("qlog"): as many values between 1 and 10 as between 10 and 100.
 * low >= 1. */
uint64_t lab_pick_qlog(uint64_t draw, uint64_t low, uint64_t high);
/* Log-normal whose 5 % and 95 % quantiles are low and high (from an integer table; clamped to
 * [low/4, high*16]). low >= 1. */
uint64_t lab_pick_lognormal(uint64_t draw, uint64_t low, uint64_t high);
/* Exponential with the given mean, clamped to 20 times the mean. */
uint64_t lab_pick_exponential(uint64_t draw, uint64_t mean);

#endif

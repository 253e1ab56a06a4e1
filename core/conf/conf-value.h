/* SPDX-License-Identifier: Apache-2.0
 *
 * conf-value.h - texts of settings to numbers, and the four value forms of .scn files.
 *
 * Units      Times are nanoseconds, sizes bytes, probabilities and percentages ppm (50 % is
 *            500,000). No floating point anywhere.
 * Errors     LAB_INVALID; the message names the value and says what was expected. The caller adds
 *            the place (lab_error_wrap, conf_fail).
 * Effects    Pure functions over views.
 */
#ifndef LAB_CONF_VALUE_H
#define LAB_CONF_VALUE_H

#include "core/conf/conf.h"

/* yes, true, y, on, 1 / no, false, n, off, 0, in any case. */
int conf_value_bool(struct lab_view text, bool *ret, struct lab_error *err);
int conf_value_uint(struct lab_view text, uint64_t max, uint64_t *ret, struct lab_error *err);
/* Dovecot's size: a number with an optional b, k, M, G, T (also kB, kiB, ..., any case; 1024 each).
 * "unlimited" is UINT64_MAX. */
int conf_value_size(struct lab_view text, uint64_t *ret, struct lab_error *err);
/* Dovecot's time: a number with msecs/ms, secs/s/sec/seconds, mins/min/m/minutes, hours/h,
 * days/d, weeks/w, usecs/us; white space before the unit is allowed; decimals ("1.5s") too.
 * `bare_unit_ns` is the unit of a number without one (LAB_SEC, LAB_MSEC); 0: a unit is required,
 * except for 0. "infinite" and "unlimited" are UINT64_MAX. Fails above 200 years. */
int conf_value_time(
	struct lab_view text, uint64_t bare_unit_ns, uint64_t *ret_ns, struct lab_error *err);
/* "60%", "1/500", "0.25", "0", "1" to ppm, rounded to the nearest, never above 1,000,000; anything
 * that is not 0 is at least 1. */
int conf_value_fraction(struct lab_view text, uint32_t *ret_ppm, struct lab_error *err);
/* File modes: "0600", "0". */
int conf_value_octal(struct lab_view text, uint32_t *ret, struct lab_error *err);
/* Sets *ret to the index of the word in `words`; the error lists or suggests. */
int conf_value_word(struct lab_view text, const char *const *words, size_t count, size_t *ret,
	struct lab_error *err);

enum conf_unit {
	CONF_UNIT_COUNT,   /* plain integers */
	CONF_UNIT_SIZE,    /* conf_value_size */
	CONF_UNIT_TIME,    /* conf_value_time; a bare number (but 0) is an error */
	CONF_UNIT_SECONDS, /* conf_value_time; a bare number counts seconds */
	CONF_UNIT_MSECS,   /* conf_value_time; a bare number counts milliseconds */
	CONF_UNIT_FRACTION /* conf_value_fraction, ppm */
};

enum conf_range_kind {
	CONF_RANGE_FIXED,    /* 7: low == high */
	CONF_RANGE_UNIFORM,  /* 2..5; ..12 has low 0; 3.. has high UINT64_MAX */
	CONF_RANGE_QLOG,     /* qlog 1s..90s */
	CONF_RANGE_LOGNORMAL /* lognormal 12ms..80ms: the 5 % and 95 % quantiles */
};
struct conf_range {
	enum conf_range_kind kind;
	uint64_t low, high; /* low <= high; low >= 1 for qlog and lognormal */
};

/* A number without a unit before ".." takes the unit behind it: "1..5 min". */
int conf_value_range(
	struct lab_view text, enum conf_unit unit, struct conf_range *ret, struct lab_error *err);
/* The value that a draw (hash.h) picks. */
uint64_t conf_range_pick(const struct conf_range *range, uint64_t draw);
static inline struct conf_range conf_range_fixed(uint64_t value)
{
	return (struct conf_range){ CONF_RANGE_FIXED, value, value };
}
/* "2..5", "qlog 1..90", in base units: for listings of effective settings. */
void conf_range_print(const struct conf_range *range, struct lab_buf *out);

/* a | b | c: one word or several words between the bars. Alternatives may not be empty. */
#define CONF_CHOICES_MAX 32
struct conf_choices {
	struct lab_view items[CONF_CHOICES_MAX];
	size_t count; /* >= 1 */
};
int conf_value_choices(struct lab_view text, struct conf_choices *ret, struct lab_error *err);
static inline struct lab_view conf_choices_pick(const struct conf_choices *choices, uint64_t draw)
{
	return choices->items[lab_pick(draw, choices->count)];
}

/* Words between white space; the next one off the front of *rest. False at the end. */
bool conf_value_next_word(struct lab_view *rest, struct lab_view *ret_word);

#endif

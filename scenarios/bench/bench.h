/* SPDX-License-Identifier: Apache-2.0
 *
 * bench.h - how fast oboxlab is on this machine, beside the raw limits of this machine.
 *
 * Purpose    The rows of `oboxlab bench`: each measures one thing and, in turns with it, the limit
 *            that nothing built on the same ground can pass (README.md says which). Budgets are
 *            those of DESIGN 9; missing one is printed, and is never a failure.
 * Processes  Each row runs in a process of its own, so that rows cannot warm or burden each other.
 *            The caller must have one thread only.
 * Time       About two seconds a row; throttle.256.* take ten.
 * Numbers    Thousandths of the row's unit. Only those of throttle.* are deterministic.
 * Limits     BENCH_ROW_TIMEOUT_S; then the row's process is killed.
 */
#ifndef SCENARIOS_BENCH_H
#define SCENARIOS_BENCH_H

#include "core/base/base.h"

#define BENCH_ROWS_MAX 32
#define BENCH_NOTE_MAX 256
#define BENCH_ROW_TIMEOUT_S 300

struct bench_result {
	int64_t value, limit;      /* limit 0: there is none */
	char note[BENCH_NOTE_MAX]; /* what the reader should know; "" if nothing */
};

struct bench_row {
	const char *name, *unit;
	int64_t budget; /* 0: none */
	bool less_is_better;
	unsigned ratio_min; /* thousandths of the limit that the budget asks for; 0: none */
	int (*run)(struct bench_result *ret, struct lab_error *err);
	bool on_request; /* it takes half a minute and gigabytes: only if its name is given */
};

const struct bench_row *bench_rows(size_t *ret_count);

/* The rows whose names begin with one of the prefixes, in the table's order; without a prefix
 * all but those on_request.
 * -1 LAB_INVALID: no row begins so. */
int bench_select(const char *const *prefixes, size_t prefix_count,
	const struct bench_row *ret_rows[BENCH_ROWS_MAX], size_t *ret_count, struct lab_error *err);

/* Runs the row in a process of its own. -1: what the row failed with; LAB_INTERNAL, LAB_TIMEOUT if
 * its process died or hung. */
int bench_measure(const struct bench_row *row, struct bench_result *ret, struct lab_error *err);

/* value / limit in thousandths; 0 without a limit. */
int64_t bench_ratio(const struct bench_result *result);
/* True without a budget. */
bool bench_is_met(const struct bench_row *row, const struct bench_result *result);

/* The table, line by line: the head, then each row as it comes. */
void bench_print_head(struct lab_buf *out);
void bench_print_row(
	const struct bench_row *row, const struct bench_result *result, struct lab_buf *out);
/* A list of objects with name, value, unit, limit, ratio; the last two are null without a limit. */
void bench_print_json(const struct bench_row *const *rows, const struct bench_result *results,
	size_t count, struct lab_buf *out);

#endif

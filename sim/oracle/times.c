/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle/times.h"

static const char *const names[] = {
#define X(id, text) text,
	ORACLE_TIMES(X)
#undef X
};

static void print_line(
	const char *name, uint64_t ns, uint64_t laps, uint64_t run_ns, struct lab_buf *out)
{
	uint64_t us = ns / LAB_USEC, share = us * 1000 / LAB_MAX(run_ns / LAB_USEC, 1);

	lab_buf_printf(out,
		"  %-40s %6" PRIu64 ".%03" PRIu64 " ms  %3" PRIu64 ".%" PRIu64 " %%  %9" PRIu64
		" times\n",
		name, us / 1000, us % 1000, share / 10, share % 10, laps);
}

void oracle_times_print(const struct oracle_times *times, uint64_t run_ns, struct lab_buf *out)
{
	uint64_t ns = 0, laps = 0;

	lab_buf_printf(
		out, "\nCheckers, as shares of a run of %" PRIu64 " ms\n", run_ns / LAB_MSEC);
	for (size_t i = 0; i < ORACLE_TIME_COUNT; i++) {
		print_line(names[i], times->ns[i], times->laps[i], run_ns, out);
		ns += times->ns[i];
		laps += times->laps[i];
	}
	print_line("all of them", ns, laps, run_ns, out);
}

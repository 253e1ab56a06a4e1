/* SPDX-License-Identifier: Apache-2.0
 *
 * report.h - what people read: the failure report of one run (simulation 6.2).
 */
#ifndef SCENARIOS_REPORT_H
#define SCENARIOS_REPORT_H

#include "scenarios/runner/judge.h"

/* Fills ret->report and ret->signature: a headline to grep for, the first finding in mail words,
 * why it is wrong, how it happened, and the commands to go on with. At most 40 lines. */
void report_failure(const struct judge_case *judged, const struct oracle_case *c,
	const struct oracle_verdict *verdict, struct run_result *ret);

/* The same of the first expectation of a script that failed. */
struct script_report;
void report_script(const struct judge_case *judged, const struct script_report *report,
	struct run_result *ret);

/* The same of what is not as it always is; ret->signature says which. */
void report_always(const struct judge_case *judged, enum lab_always always, struct run_result *ret);

/* write(2), all of it; for a failing assertion. */
void report_write(int fd, const char *text, size_t len);

/* "10m58.931s" */
#define REPORT_TIME_MAX 32
const char *report_time(uint64_t ns, char out[REPORT_TIME_MAX]);

/* " --defect NAME" for each of them. */
void report_defects(const struct lab_defects *defects, struct lab_buf *out);

#endif

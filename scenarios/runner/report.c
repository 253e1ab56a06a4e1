/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/report.h"

#include "scenarios/runner/script.h"

#include "core/base/defect.h"

#include <stdio.h>
#include <unistd.h>

#define EXPLAIN_LINES 24

void report_write(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

const char *report_time(uint64_t ns, char out[REPORT_TIME_MAX])
{
	uint64_t ms = ns / LAB_MSEC, minutes = ms / 60000;

	if (minutes > 0)
		snprintf(out, REPORT_TIME_MAX, "%" PRIu64 "m%02u.%03us", minutes,
			(unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));
	else
		snprintf(out, REPORT_TIME_MAX, "%u.%03us", (unsigned)(ms / 1000),
			(unsigned)(ms % 1000));
	return out;
}

void report_defects(const struct lab_defects *defects, struct lab_buf *out)
{
	for (unsigned i = 0; i < LAB_DEFECT_COUNT; i++) {
		enum lab_defect defect = (enum lab_defect)i;

		if (lab_defects_has(defects, defect))
			lab_buf_printf(out, " --defect %s", lab_defect_info(defect)->name);
	}
}

/* What is claimed, in a sentence: the finding's says what is the case. */
static void print_rule(const struct oracle_finding *f, struct lab_buf *out)
{
	size_t count;
	const struct oracle_invariant *invariants = oracle_invariants(&count);

	for (size_t i = 0; i < count; i++) {
		if (invariants[i].number == f->invariant)
			lab_buf_printf(out, "  - the rule (%s): %s\n", invariants[i].name,
				invariants[i].doc);
	}
}

static void print_why(const struct oracle_finding *f, struct lab_buf *out)
{
	lab_buf_append_cstr(out, "\nWhy this is wrong\n");
	print_rule(f, out);
	for (size_t i = 0; i < LAB_COUNT_OF(f->why) && f->why[i][0] != '\0'; i++)
		lab_buf_printf(out, "  - %s\n", f->why[i]);
}

/* Nothing of what is about no mail and no operation. */
static void print_how(const struct judge_case *judged, const struct oracle_case *c,
	const struct oracle_finding *f, struct lab_buf *out)
{
	unsigned lines = judged->options->explain_lines;
	size_t before = out->len, after;

	lab_buf_append_cstr(out, "\nHow it happened\n");
	after = out->len;
	oracle_explain(judged->oracle, c, f, lines != 0 ? lines : EXPLAIN_LINES, out);
	if (out->len == after)
		out->len = before;
}

static void print_others(const struct run_result *r, struct lab_buf *out)
{
	if (r->findings <= 1)
		return;
	lab_buf_printf(out, "\n%" PRIu64 " findings in this run, %s", r->findings,
		r->signature_count == 1 ? "all of this kind" : "also: ");
	for (size_t i = 1; i < r->signature_count; i++)
		lab_buf_printf(out, "%s%s", i == 1 ? "" : "; ", r->signatures[i]);
	lab_buf_append_cstr(out, "\n");
}

static void print_arguments(const struct run_options *o, struct lab_buf *out)
{
	report_defects(&o->defects, out);
	if (o->arguments != NULL)
		lab_buf_append_cstr(out, o->arguments);
}

static void print_commands(const struct run_options *o, struct lab_buf *out)
{
	lab_buf_printf(
		out, "\nReplay    oboxlab replay %" PRIu64 " %s", o->seed, o->scenario->path);
	print_arguments(o, out);
	lab_buf_printf(out, "\nAgain     oboxlab test %s --seeds %" PRIu64 "..%" PRIu64,
		o->scenario->path, o->seed, o->seed);
	print_arguments(o, out);
	if (o->mails == NULL) {
		lab_buf_printf(out, "\nWhy       oboxlab explain %" PRIu64 " %s", o->seed,
			o->scenario->path);
		print_arguments(o, out);
	}
	lab_buf_append_cstr(out, "\n");
}

static const struct oracle_finding *first_failure(const struct oracle_verdict *v)
{
	for (size_t i = 0; i < v->count; i++) {
		if (v->findings[i].excuse == NULL)
			return &v->findings[i];
	}
	return NULL;
}

void report_failure(const struct judge_case *judged, const struct oracle_case *c,
	const struct oracle_verdict *verdict, struct run_result *ret)
{
	const struct run_options *options = judged->options;
	const struct oracle_finding *f = first_failure(verdict);
	char when[REPORT_TIME_MAX];
	struct lab_buf out;

	lab_assert(f != NULL);
	lab_buf_init(&out, judged->heap, RUN_REPORT_MAX - 1);
	lab_buf_printf(&out, "FAIL  %s  seed %" PRIu64 "  %s  [at %s virtual]\n",
		options->scenario->path, options->seed, f->signature,
		report_time(f->time_ns, when));
	lab_buf_printf(&out, "      %s\n", f->sentence);
	print_why(f, &out);
	print_how(judged, c, f, &out);
	print_others(ret, &out);
	lab_buf_printf(&out, "\nTrace hash %016" PRIx64 ", %" PRIu64 " events\n",
		judged->trace_hash, judged->events);
	print_commands(options, &out);
	snprintf(ret->signature, sizeof(ret->signature), "%s", f->signature);
	snprintf(ret->report, sizeof(ret->report), "%s", lab_buf_cstr(&out));
	lab_buf_done(&out);
}

void report_script(
	const struct judge_case *judged, const struct script_report *report, struct run_result *ret)
{
	const struct run_options *options = judged->options;
	char when[REPORT_TIME_MAX];
	struct lab_buf out;

	lab_buf_init(&out, judged->heap, RUN_REPORT_MAX - 1);
	lab_buf_printf(&out, "FAIL  %s  seed %" PRIu64 "  %s  [at %s virtual]\n",
		options->scenario->path, options->seed, report->signature,
		report_time(report->time_ns, when));
	lab_buf_printf(&out,
		"      %s\n\n%" PRIu64 " expectation%s of scripts failed, the first after "
		"event #%" PRIu64 "\n",
		report->sentence, report->failed, report->failed == 1 ? "" : "s", report->event);
	lab_buf_printf(&out, "\nTrace hash %016" PRIx64 ", %" PRIu64 " events\n",
		judged->trace_hash, judged->events);
	print_commands(options, &out);
	(void)snprintf(ret->signature, sizeof(ret->signature), "%s", report->signature);
	(void)snprintf(ret->report, sizeof(ret->report), "%s", lab_buf_cstr(&out));
	lab_buf_done(&out);
}

void report_always(const struct judge_case *judged, enum lab_always always, struct run_result *ret)
{
	const struct run_options *options = judged->options;
	struct lab_buf out;

	lab_buf_init(&out, judged->heap, RUN_REPORT_MAX - 1);
	lab_buf_printf(&out,
		"FAIL  %s  seed %" PRIu64 "  %s\n      Not so %" PRIu64 " times of %" PRIu64
		": %s\n\nTrace hash %016" PRIx64 ", %" PRIu64 " events\n",
		options->scenario->path, options->seed, ret->signature, ret->always.failed[always],
		ret->always.checked[always], lab_always_doc(always), judged->trace_hash,
		judged->events);
	print_commands(options, &out);
	(void)snprintf(ret->report, sizeof(ret->report), "%s", lab_buf_cstr(&out));
	lab_buf_done(&out);
}

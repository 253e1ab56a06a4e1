/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-shrink.c - oboxlab shrink and oboxlab explain: a minimal scenario for a run that fails, as a
 * file, and in words.
 */
#include "cli/shrunk.h"

#include "scenarios/failure/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ALLOWED \
	(OPTION_SHRINK | OPTION_OUTPUT | OPTION_WORKERS | OPTION_TIME | OPTION_DEFECT | \
		OPTION_SET | OPTION_CONF | OPTION_INJECT | OPTION_QUIET)

static int not_failing(const struct shrunk *s)
{
	fprintf(stderr, "oboxlab: seed %" PRIu64 " of %s does not fail: %s\n", s->run.seed,
		s->run.scenario->path, run_verdict_name(s->verdict));
	return s->verdict == RUN_PASS ? CLI_INCONCLUSIVE : CLI_BROKEN;
}

static void print_summary(const struct shrunk *s, const char *path)
{
	const struct shrink_result *r = &s->result;

	printf("%s: %zu operations left of %zu, %zu faults of %zu, %zu users of %zu; %" PRIu64
	       " runs%s\n",
		r->signature, r->steps_after, r->steps_before, r->faults_after, r->faults_before,
		r->users_after, r->users_before, r->runs,
		r->is_used_up ? "; there was no time for more" : "");
	if (!r->is_told)
		printf("The operations alone do not fail in this way: clients do what they did.\n");
	printf("\nReplay    oboxlab run %s\nWhy       oboxlab explain %s\n", path, path);
}

/* What both commands begin with: the options, and the least that fails. NULL: that is all, and
 * *ret_status is the command's. */
static struct shrunk *begin(int argc, char **argv, int *ret_status)
{
	struct shrunk *s = calloc(1, sizeof(*s));
	struct lab_error err;
	int result;

	lab_assert(s != NULL);
	result = options_parse(argc, argv, ALLOWED, &s->options, &err);
	if (result == 0)
		result = shrunk_begin(s, &err);
	if (result == 0)
		return s;
	*ret_status = result < 0 ? cli_usage(&err) : not_failing(s);
	return NULL;
}

static int cmd_shrink(int argc, char **argv)
{
	int status = CLI_FAIL;
	struct shrunk *s = begin(argc, argv, &status);
	struct lab_error err;
	char path[64];

	if (s == NULL)
		return status;
	(void)snprintf(path, sizeof(path), "min-%" PRIu64 ".scn", s->run.seed);
	if (s->options.output == NULL)
		s->options.output = path;
	if (shrunk_write(s, s->options.output, &err) < 0)
		return cli_usage(&err);
	if (shrunk_verify(s, s->options.output, &err) < 0) {
		(void)cli_usage(&err);
		return CLI_BROKEN;
	}
	print_summary(s, s->options.output);
	shrunk_end(s);
	free(s);
	return status;
}

const struct command command_shrink = { .name = "shrink",
	.arguments = "SEED SCN",
	.doc = "the least that still fails in the same way, as a scenario",
	.examples =
		"shrink 1 scenarios/001-standard-storm.scn --defect ack-before-put -o min.scn\n",
	.options = ALLOWED,
	.run = cmd_shrink };

static int print_explanation(const struct shrunk *s, struct lab_error *err)
{
	struct lab_buf text;
	int result;

	lab_buf_init(&text, cli_heap(), 1u << 20);
	result = explain_run(&s->run, &s->result, cli_heap(), &text, err);
	if (result == 0) {
		fwrite(text.data, 1, text.len, stdout);
		printf("\n");
	}
	lab_buf_done(&text);
	return result;
}

static int cmd_explain(int argc, char **argv)
{
	int status = CLI_FAIL;
	struct shrunk *s = begin(argc, argv, &status);
	struct lab_error err;

	if (s == NULL)
		return status;
	if (print_explanation(s, &err) < 0 ||
		(s->options.output != NULL && shrunk_write(s, s->options.output, &err) < 0)) {
		(void)cli_usage(&err);
		return CLI_BROKEN;
	}
	if (s->options.output != NULL)
		printf("Replay    oboxlab run %s\n", s->options.output);
	shrunk_end(s);
	free(s);
	return CLI_FAIL;
}

const struct command command_explain = { .name = "explain",
	.arguments = "SEED SCN | FILE",
	.doc = "what it takes to fail, and why",
	.examples = "explain 1 scenarios/001-standard-storm.scn --defect ack-before-put\n"
		    "explain min.scn\n",
	.options = ALLOWED,
	.run = cmd_explain };

/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-matrix.c - oboxlab matrix: what campaigns and hunts have reached, and what none of them has.
 */
#include "cli/options.h"

#include "scenarios/campaign/matrix.h"

#include <stdio.h>

#define INPUT_MAX ((size_t)256 << 20)
#define OUTPUT_MAX ((size_t)1 << 20)

static int add_all(const struct options *o, struct matrix *matrix, struct lab_error *err)
{
	if (o->argument_count == 0)
		return lab_fail(err, LAB_INVALID,
			"matrix needs the output of test --json and of defects hunt --json");
	for (size_t i = 0; i < o->argument_count; i++) {
		struct lab_arena *arena = lab_arena_new(cli_heap(), 2 * INPUT_MAX);
		struct lab_view text;
		int result = cli_input(o->arguments[i], INPUT_MAX, arena, &text, err);

		if (result == 0)
			result = matrix_add(matrix, o->arguments[i], text, err);
		lab_arena_free(&arena);
		if (result < 0)
			return -1;
	}
	return 0;
}

static int cmd_matrix(int argc, char **argv)
{
	struct matrix *matrix = matrix_new(cli_heap());
	struct lab_error err;
	struct options o;
	struct lab_buf out;
	size_t gaps;

	if (options_parse(argc, argv, 0, &o, &err) < 0 || add_all(&o, matrix, &err) < 0)
		return cli_usage(&err);
	lab_buf_init(&out, cli_heap(), OUTPUT_MAX);
	gaps = matrix_print(matrix, &out);
	fwrite(out.data, 1, out.len, stdout);
	lab_buf_done(&out);
	matrix_free(&matrix);
	return gaps == 0 ? CLI_PASS : CLI_FAIL;
}

const struct command command_matrix = { .name = "matrix",
	.arguments = "FILE.json...",
	.doc = "what no campaign and no hunt has reached",
	.examples = "test scenarios/*.scn --seeds 1..20 --json --quiet >campaigns.json\n"
		    "defects hunt --json --quiet >hunt.json\n"
		    "matrix campaigns.json hunt.json\n",
	.run = cmd_matrix };

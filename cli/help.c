/* SPDX-License-Identifier: Apache-2.0
 *
 * help.c - what the program and each of its commands say of themselves.
 */
#include "cli/help.h"

#define EXIT_STATUSES \
	"\nExit status: 0 pass, 1 an invariant was broken, 2 usage or configuration,\n" \
	"3 the laboratory itself is broken, 4 inconclusive, 5 refused by a guard,\n" \
	"6 target unreachable, 7 something is left behind\n"

void help_program(const struct command *const *commands, size_t count, FILE *to)
{
	fprintf(to, "oboxlab: a laboratory for the Dovecot Pro mail storage stack\n\n");
	for (size_t i = 0; i < count; i++)
		fprintf(to, "  oboxlab %-9s  %s\n", commands[i]->name, commands[i]->doc);
	fprintf(to, "\noboxlab COMMAND --help has the options of each.\n" EXIT_STATUSES);
}

static void print_examples(const char *examples, FILE *to)
{
	struct lab_view rest = lab_view_cstr(examples), line;

	fprintf(to, "\nFor example\n");
	while (lab_view_split(&rest, '\n', &line) && line.len > 0)
		fprintf(to, "  oboxlab %.*s\n", LAB_VIEW_ARG(line));
}

void help_command(const struct command *command, FILE *to)
{
	if (command->help != NULL) {
		command->help(to);
		return;
	}
	fprintf(to, "oboxlab %s%s%s%s\n  %s\n", command->name,
		command->arguments[0] != '\0' ? " " : "", command->arguments,
		command->options != 0 ? " [options]" : "", command->doc);
	if (command->options != 0) {
		fprintf(to, "\nOptions:\n");
		options_print(command->options, to);
	}
	if (command->examples != NULL)
		print_examples(command->examples, to);
	fprintf(to, EXIT_STATUSES);
}

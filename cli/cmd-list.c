/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-list.c - oboxlab list: the vocabulary, from the same tables that the program works with.
 */
#include "cli/options.h"

#include "core/base/mark.h"
#include "core/conf/conf.h"
#include "core/conf/settings.h"
#include "core/base/defect.h"
#include "core/env/buggify.h"
#include "core/env/hold.h"
#include "scenarios/format/scenario.h"
#include "sim/faults/faults.h"
#include "sim/oracle/oracle.h"
#include "sim/serve/fault-file.h"
#include "sim/serve/profile.h"

#include <stdio.h>

#define NAMES_MAX 256

static void list_faults(void)
{
	printf("kinds\n");
	for (unsigned i = 0; i < FAULT_KIND_COUNT; i++)
		printf("  %-24s %s\n", fault_kind_name((enum fault_kind)i),
			fault_kind_doc((enum fault_kind)i));
	printf("points\n");
	for (unsigned i = 0; i < FAULT_POINT_COUNT; i++)
		printf("  %-24s %s\n", fault_point_name((enum fault_point)i),
			fault_point_doc((enum fault_point)i));
}

/* Signatures of an invariant, and below each the tests that make it fire. */
static void list_signatures(unsigned number)
{
	size_t count;
	const struct oracle_signature *signatures = oracle_signatures(&count);
	const char *last = "";

	for (size_t i = 0; i < count; i++) {
		if (signatures[i].number != number)
			continue;
		if (strcmp(signatures[i].text, last) != 0)
			printf("         %s\n", signatures[i].text);
		last = signatures[i].text;
		printf("           sim/oracle/%s\n", signatures[i].test);
	}
}

static void list_invariants(void)
{
	size_t count;
	const struct oracle_invariant *invariants = oracle_invariants(&count);

	for (size_t i = 0; i < count; i++) {
		printf("  I%-3u %-28s %s\n", invariants[i].number, invariants[i].name,
			invariants[i].doc);
		list_signatures(invariants[i].number);
	}
}

/* "user NAME { }" for the section "user". */
static const char *section_text(const char *section)
{
	static const char *const texts[][2] = { { "site", "site NAME { }" },
		{ "user", "user NAME { }" }, { "fault", "fault NAME { }" },
		{ "operator", "operator NAME { }" }, { "script", "script NAME { }" },
		{ "knob", "knob NAME { }" }, { "s3", "store s3 { }" },
		{ "scality", "store scality { }" }, { "cql", "store cql { }" },
		{ "scenario", "scenario { }" }, { "imds", "imds { }" },
		{ "network", "network { }" }, { "backend", "backend { }" } };

	for (size_t i = 0; i < LAB_COUNT_OF(texts); i++) {
		if (strcmp(texts[i][0], section) == 0)
			return texts[i][1];
	}
	return section;
}

static void list_scenario_keys(void)
{
	const char *section = "";

	printf("scenario (.scn): key, default; --set SECTION.KEY=VALUE\n");
	for (size_t i = 0; i < scenario_key_count(); i++) {
		struct scenario_key_doc key = scenario_key_doc(i);

		if (strcmp(section, key.section) != 0)
			printf("\n  %-32s--set %s.KEY\n", section_text(key.section), key.section);
		section = key.section;
		printf("    %-29s %-24s %s\n", key.key, key.initial, key.doc);
	}
}

static void list_keys(const char *title, const struct conf_vocabulary *vocabulary)
{
	const char *section = "";

	printf("\n%s: section, key, default\n", title);
	for (size_t i = 0; i < vocabulary->count; i++) {
		const struct conf_key *key = &vocabulary->keys[i];

		if (strcmp(section, key->section) != 0)
			printf("\n  %s { }\n", key->section);
		section = key->section;
		printf("    %-29s %-24s %s\n", key->name, key->initial, key->doc);
	}
}

static void list_settings(void)
{
	size_t count;
	const struct conf_setting_def *defs = conf_setting_defs(&count);

	list_scenario_keys();
	list_keys("profile of serve", &profile_vocabulary);
	list_keys("faults of serve", &fault_file_vocabulary);
	printf("\ndovecot.conf: setting, type, default; '*' stands for digits, '+' for "
	       "letters\n\n");
	for (size_t i = 0; i < count; i++)
		printf("  %-44s %-20s %-20s %s\n", defs[i].name, conf_type_name(defs[i].type),
			defs[i].initial == NULL ? "" : defs[i].initial, defs[i].doc);
}

static void list_events(void)
{
	static const char *const levels[] = { "debug", "info", "warning", "error" };

	for (unsigned i = 0; i < LAB_EV_COUNT; i++)
		printf("  %-36s %-8s %s\n", lab_event_name((enum lab_event_id)i),
			levels[lab_event_level((enum lab_event_id)i)],
			lab_event_doc((enum lab_event_id)i));
}

static void list_marks(void)
{
	for (unsigned i = 0; i < LAB_MARK_COUNT; i++)
		printf("  %-26s %s\n", lab_mark_name((enum lab_mark)i),
			lab_mark_doc((enum lab_mark)i));
}

static void list_always(void)
{
	for (unsigned i = 0; i < LAB_ALWAYS_COUNT; i++)
		printf("  %-26s %s\n", lab_always_name((enum lab_always)i),
			lab_always_doc((enum lab_always)i));
}

static void list_holds(void)
{
	for (unsigned i = 0; i < ENV_HOLD_COUNT; i++)
		printf("  %-26s %s\n", env_hold_name((enum env_hold)i),
			env_hold_doc((enum env_hold)i));
}

static void list_buggify(void)
{
	for (unsigned i = 0; i < ENV_BUGGIFY_COUNT; i++)
		printf("  %-26s %s\n", env_buggify_name((enum env_buggify)i),
			env_buggify_doc((enum env_buggify)i));
}

static void append_term(
	char *cell, size_t size, enum cost_request request, unsigned count, bool is_most)
{
	size_t len = strlen(cell);

	(void)snprintf(cell + len, size - len, "%s%s%u x %s", len == 0 ? "" : ", ",
		is_most ? "at most " : "", count, cost_request_name(request));
}

static void list_costs(void)
{
	for (unsigned i = 0; i < COST_ACTION_COUNT; i++) {
		const struct cost_line *line = cost_line((enum cost_action)i);
		char cell[512] = "";

		for (size_t n = 0; n < COST_TERMS_MAX && line->terms[n].count > 0; n++)
			append_term(cell, sizeof(cell), line->terms[n].request,
				line->terms[n].count, line->terms[n].is_most);
		printf("  %-22s %s\n      %s\n      %s\n", line->name, line->action,
			cell[0] == '\0' ? "nothing" : cell, line->source);
	}
}

static const struct list {
	const char *name;
	void (*print)(void);
} lists[] = {
	{ "faults", list_faults },
	{ "invariants", list_invariants },
	{ "marks", list_marks },
	{ "always", list_always },
	{ "holds", list_holds },
	{ "buggify", list_buggify },
	{ "settings", list_settings },
	{ "events", list_events },
	{ "defects", cli_list_defects },
	{ "costs", list_costs },
};

/* "faults, invariants, ..." */
static const char *all_lists(char line[NAMES_MAX])
{
	size_t used = 0;

	for (size_t i = 0; i < LAB_COUNT_OF(lists); i++)
		used += (size_t)snprintf(
			line + used, NAMES_MAX - used, "%s%s", i > 0 ? ", " : "", lists[i].name);
	return line;
}

static void help(FILE *to)
{
	char line[NAMES_MAX];

	fprintf(to,
		"oboxlab list WHAT...\n"
		"  the vocabulary, from the tables that the program works with\n\n"
		"WHAT is one or more of:\n"
		"  %s\n"
		"\nExit status: 0, or 2 if there is no such list\n",
		all_lists(line));
}

static int cmd_list(int argc, char **argv)
{
	const char *names[LAB_COUNT_OF(lists)];
	char hint[CONF_HINT_MAX], line[NAMES_MAX];
	struct lab_error err;
	struct options o;

	if (options_parse(argc, argv, 0, &o, &err) < 0)
		return cli_usage(&err);
	for (size_t i = 0; i < LAB_COUNT_OF(lists); i++)
		names[i] = lists[i].name;
	for (size_t a = 0; a < o.argument_count; a++) {
		const struct list *found = NULL;

		for (size_t i = 0; i < LAB_COUNT_OF(lists) && found == NULL; i++)
			found = strcmp(lists[i].name, o.arguments[a]) == 0 ? &lists[i] : NULL;
		if (found == NULL) {
			lab_fail(&err, LAB_INVALID, "there is no list of \"%s\"%s", o.arguments[a],
				conf_hint(conf_suggest_of(lab_view_cstr(o.arguments[a]), names,
						  LAB_COUNT_OF(names)),
					hint));
			return cli_usage(&err);
		}
		found->print();
	}
	if (o.argument_count > 0)
		return CLI_PASS;
	lab_fail(&err, LAB_INVALID, "list needs one or more of: %s", all_lists(line));
	return cli_usage(&err);
}

const struct command command_list = { .name = "list",
	.arguments = "WHAT...",
	.doc = "the vocabulary, from the tables that the program works with",
	.examples = "list faults invariants\n",
	.run = cmd_list,
	.help = help };

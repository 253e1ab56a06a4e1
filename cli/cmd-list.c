/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-list.c - oboxlab list: the vocabulary, from the same tables that the program works with.
 */
#include "cli/options.h"

#include "core/conf/conf.h"
#include "core/conf/settings.h"
#include "core/env/defects.h"
#include "scenarios/runner/scenario.h"
#include "sim/faults/faults.h"
#include "sim/oracle/oracle.h"

#include <stdio.h>

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

static void list_invariants(void)
{
	size_t count;
	const struct oracle_invariant *invariants = oracle_invariants(&count);

	for (size_t i = 0; i < count; i++)
		printf("  I%-3u %-28s %s\n", invariants[i].number, invariants[i].name,
			invariants[i].doc);
}

static void list_settings(void)
{
	size_t count;
	const struct conf_setting_def *defs = conf_setting_defs(&count);

	printf("scenario (.scn)\n");
	for (size_t i = 0; i < scenario_key_count(); i++) {
		struct scenario_key_doc key = scenario_key_doc(i);

		printf("  %s.%-34s %-24s %s\n", key.section, key.key, key.initial, key.doc);
	}
	printf("dovecot.conf\n");
	for (size_t i = 0; i < count; i++)
		printf("  %-44s %-24s %s\n", defs[i].name,
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

static void list_defects(void)
{
#define X(name, text, doc) printf("  %-26s %s\n", text, doc);
	LAB_DEFECTS(X)
#undef X
}

static const struct list {
	const char *name;
	void (*print)(void);
} lists[] = {
	{ "faults", list_faults },
	{ "invariants", list_invariants },
	{ "settings", list_settings },
	{ "events", list_events },
	{ "defects", list_defects },
};

int cmd_list(int argc, char **argv)
{
	const char *names[LAB_COUNT_OF(lists)];
	char hint[CONF_HINT_MAX];
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
	lab_fail(&err, LAB_INVALID,
		"list needs one of faults, invariants, settings, events, defects");
	return cli_usage(&err);
}

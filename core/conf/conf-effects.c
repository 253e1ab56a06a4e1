/* SPDX-License-Identifier: Apache-2.0
 *
 * conf-effects.c - settings that are known, and change nothing here.
 */
#include "core/conf/conf-private.h"
#include "core/conf/settings.h"

static const struct {
	const char *name, *reason;
} without[] = {
#define NO_EFFECT(name, reason) { name, reason },
#include "core/conf/no-effect.def"
#undef NO_EFFECT
};

const char *conf_setting_no_effect(const struct conf_setting_def *def)
{
	for (size_t i = 0; i < LAB_COUNT_OF(without); i++) {
		if (strcmp(def->name, without[i].name) == 0)
			return without[i].reason;
	}
	return NULL;
}

static void tell(const struct conf_section *section, uint32_t place, struct conf_problems *problems)
{
	for (const struct conf_setting *s = section->settings; s != NULL; s = s->next) {
		const struct conf_setting_def *def = conf_setting_def_find(s->name, place);
		const char *reason = def == NULL ? NULL : conf_setting_no_effect(def);

		if (reason != NULL)
			conf_problem_add(problems, false, s->where,
				"setting %.*s has no effect here: %s", LAB_VIEW_ARG(s->name),
				reason);
	}
}

void conf_check_effects(const struct conf_section *root, struct conf_problems *problems)
{
	const struct conf_section *plugin = NULL;

	tell(root, CONF_AT_TOP, problems);
	while ((plugin = conf_section_next(root, "plugin", plugin)) != NULL)
		tell(plugin, CONF_AT_PLUGIN, problems);
}

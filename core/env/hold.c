/* SPDX-License-Identifier: Apache-2.0 */
#include "core/env/hold.h"

const struct env_hold_watcher *env_hold_watcher;

static const struct {
	const char *name, *doc;
} holds[ENV_HOLD_COUNT] = {
#define X(name, doc) { #name, doc },
#include "core/env/holds.def"
#undef X
};

const char *env_hold_name(enum env_hold hold)
{
	lab_assert(hold < ENV_HOLD_COUNT);
	return holds[hold].name;
}

const char *env_hold_doc(enum env_hold hold)
{
	lab_assert(hold < ENV_HOLD_COUNT);
	return holds[hold].doc;
}

enum env_hold env_hold_find(struct lab_view name)
{
	for (unsigned i = 0; i < ENV_HOLD_COUNT; i++) {
		if (lab_view_eq_cstr(name, holds[i].name))
			return (enum env_hold)i;
	}
	return ENV_HOLD_COUNT;
}

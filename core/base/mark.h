/* SPDX-License-Identifier: Apache-2.0
 *
 * mark.h - places that a campaign should reach: "sometimes" (simulation 3.8).
 *
 * The list is marks.def; `oboxlab list marks` prints it. A scenario says which of them its campaign
 * must hit (scenario { marks }). Outside of a simulated run nobody counts, and a mark is one load
 * and one branch. Not for the emulators, which have threads of their own in the live world.
 */
#ifndef LAB_BASE_MARK_H
#define LAB_BASE_MARK_H

#include <stddef.h>
#include <stdint.h>

enum lab_mark {
#define X(name, doc) LAB_MARK_##name,
#include "core/base/marks.def"
#undef X
	LAB_MARK_COUNT
};

/* Where hits are counted: LAB_MARK_COUNT numbers; NULL: nowhere. */
extern uint64_t *lab_mark_hits;

#define LAB_MARK(name) \
	do { \
		if (__builtin_expect(lab_mark_hits != NULL, 1)) \
			lab_mark_hits[LAB_MARK_##name]++; \
	} while (0)

const char *lab_mark_name(enum lab_mark mark);
const char *lab_mark_doc(enum lab_mark mark);

#endif

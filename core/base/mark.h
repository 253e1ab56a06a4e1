/* SPDX-License-Identifier: Apache-2.0
 *
 * mark.h - what a campaign should see of the core from inside (simulation 3.8):
 *
 *     LAB_REACHABLE(name)         a place that some run comes to: the same as LAB_MARK(name)
 *     LAB_SOMETIMES(name, so)     something that is so in some run, at a place
 *     LAB_ALWAYS(name, so)        something that is so whenever anybody comes to a place
 *
 * The list is marks.def; `oboxlab list marks` prints it. A scenario says which of them its campaign
 * must hit (scenario { marks }). Outside of a run nobody counts, and a mark is one load
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

#define LAB_REACHABLE(name) LAB_MARK(name)
#define LAB_SOMETIMES(name, so) \
	do { \
		if (so) \
			LAB_MARK(name); \
	} while (0)

/* The list is always.def; `oboxlab list always` prints it. A run in which one is not so fails;
 * nothing is checked where nobody counts. */
enum lab_always {
#define X(name, doc) LAB_ALWAYS_##name,
#include "core/base/always.def"
#undef X
	LAB_ALWAYS_COUNT
};

struct lab_always_counts {
	uint64_t checked[LAB_ALWAYS_COUNT], failed[LAB_ALWAYS_COUNT];
};
/* NULL: nobody counts. */
extern struct lab_always_counts *lab_always_counts;

#define LAB_ALWAYS(name, so) \
	do { \
		if (__builtin_expect(lab_always_counts != NULL, 1)) { \
			lab_always_counts->checked[LAB_ALWAYS_##name]++; \
			lab_always_counts->failed[LAB_ALWAYS_##name] += !(so); \
		} \
	} while (0)

const char *lab_always_name(enum lab_always always);
const char *lab_always_doc(enum lab_always always);

const char *lab_mark_name(enum lab_mark mark);
const char *lab_mark_doc(enum lab_mark mark);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * defect.h - the zoo: known mistakes, each a switch at the place where the core decides, so that
 * the oracle can be shown to find it (DESIGN 4). None is ever on unless asked for by name.
 *
 * The list is defects.def; `oboxlab defects list` prints it, `oboxlab defects hunt` runs it. Which
 * ones are on is said for the whole process: a run sets it when it begins and clears it when it
 * ends. Off, a switch is one load and one branch. Not for the emulators and the oracle.
 */
#ifndef LAB_BASE_DEFECT_H
#define LAB_BASE_DEFECT_H

#include "core/base/base.h"

enum lab_defect {
#define X(name, text, source, first, doc) LAB_DEFECT_##name,
#include "core/base/defects.def"
#undef X
	LAB_DEFECT_COUNT
};

#define LAB_DEFECT_WORDS ((LAB_DEFECT_COUNT + 63) / 64)
struct lab_defects {
	uint64_t words[LAB_DEFECT_WORDS];
};
extern struct lab_defects lab_defects_on;

/* Whether it is on: lab_defect(ACK_BEFORE_PUT). */
#define lab_defect(name) \
	__builtin_expect( \
		(lab_defects_on.words[LAB_DEFECT_##name / 64] >> (LAB_DEFECT_##name % 64) & 1) != \
			0, \
		0)

/* Sets of them. */
#define LAB_NO_DEFECTS ((struct lab_defects){ { 0 } })
#define LAB_DEFECT(name) \
	((struct lab_defects){ \
		.words[LAB_DEFECT_##name / 64] = UINT64_C(1) << (LAB_DEFECT_##name % 64) })
void lab_defects_add(struct lab_defects *set, enum lab_defect defect);
bool lab_defects_has(const struct lab_defects *set, enum lab_defect defect);

struct lab_defect_info {
	const char *name;   /* "ack-before-put" */
	const char *source; /* of the catalogue or of a decision (obox 8.4, 9; palomar 4) */
	const char *first;  /* a scenario that finds it soon, without ".scn" */
	const char *doc;    /* one sentence */
};
const struct lab_defect_info *lab_defect_info(enum lab_defect defect);
/* The one of that name; false if there is none. */
bool lab_defect_find(const char *name, enum lab_defect *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/defect.h"

#include "core/base/assert.h"

struct lab_defects lab_defects_on;

static const struct lab_defect_info infos[LAB_DEFECT_COUNT] = {
#define X(name, text, source, first, doc) { text, source, first, doc },
#include "core/base/defects.def"
#undef X
};

const struct lab_defect_info *lab_defect_info(enum lab_defect defect)
{
	lab_assert(defect < LAB_DEFECT_COUNT);
	return &infos[defect];
}

bool lab_defect_find(const char *name, enum lab_defect *ret)
{
	for (unsigned i = 0; i < LAB_DEFECT_COUNT; i++) {
		if (strcmp(infos[i].name, name) == 0) {
			*ret = (enum lab_defect)i;
			return true;
		}
	}
	return false;
}

void lab_defects_add(struct lab_defects *set, enum lab_defect defect)
{
	lab_assert(defect < LAB_DEFECT_COUNT);
	set->words[defect / 64] |= UINT64_C(1) << (defect % 64);
}

bool lab_defects_has(const struct lab_defects *set, enum lab_defect defect)
{
	lab_assert(defect < LAB_DEFECT_COUNT);
	return (set->words[defect / 64] >> (defect % 64) & 1) != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/mark.h"

#include "core/base/assert.h"

uint64_t *lab_mark_hits;
struct lab_always_counts *lab_always_counts;

static const struct {
	const char *name, *doc;
} marks[LAB_MARK_COUNT] = {
#define X(name, doc) { #name, doc },
#include "core/base/marks.def"
#undef X
};
_Static_assert(LAB_MARK_COUNT <= 64, "a scenario keeps them in 64 bits");

const char *lab_mark_name(enum lab_mark mark)
{
	lab_assert(mark < LAB_MARK_COUNT);
	return marks[mark].name;
}

const char *lab_mark_doc(enum lab_mark mark)
{
	lab_assert(mark < LAB_MARK_COUNT);
	return marks[mark].doc;
}

static const struct {
	const char *name, *doc;
} always_list[LAB_ALWAYS_COUNT] = {
#define X(name, doc) { #name, doc },
#include "core/base/always.def"
#undef X
};

const char *lab_always_name(enum lab_always always)
{
	lab_assert(always < LAB_ALWAYS_COUNT);
	return always_list[always].name;
}

const char *lab_always_doc(enum lab_always always)
{
	lab_assert(always < LAB_ALWAYS_COUNT);
	return always_list[always].doc;
}

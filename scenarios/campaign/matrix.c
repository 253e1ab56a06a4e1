/* SPDX-License-Identifier: Apache-2.0
 *
 * matrix.c - rows from the tables of this build, sums from the JSON of its commands.
 */
#include "scenarios/campaign/matrix.h"

#include "core/base/mark.h"
#include "core/env/hold.h"
#include "sim/faults/faults.h"
#include "sim/oracle/oracle.h"

#include <jansson.h>
#include <stdio.h>

#define WHERE_MAX 96
#define DEPTH_MAX 8

struct row {
	const char *name;
	uint64_t count;
	uint64_t best;         /* of one input ... */
	char where[WHERE_MAX]; /* ... which is this one: a scenario, a defect */
};

struct group {
	const char *title, *verb, *member;
	struct row *rows;
	size_t count;
};

enum {
	GROUP_FAULTS,
	GROUP_HOLDS,
	GROUP_MARKS,
	GROUP_INVARIANTS,
	GROUP_COUNT
};

struct matrix {
	struct lab_heap *heap;
	struct group groups[GROUP_COUNT];
	uint64_t campaigns, seeds, hunted, found;
};

static struct row *new_rows(struct matrix *m, unsigned group, size_t count)
{
	static const char *const words[GROUP_COUNT][3] = {
		{ "kinds of faults", "fired in", "faults" },
		{ "hold points", "used by", "holds" },
		{ "marks", "hit in", "marks" },
		{ "invariants", "fired under", NULL },
	};
	struct group *g = &m->groups[group];

	g->title = words[group][0];
	g->verb = words[group][1];
	g->member = words[group][2];
	g->rows = lab_new_array(m->heap, struct row, count);
	g->count = count;
	return g->rows;
}

struct matrix *matrix_new(struct lab_heap *heap)
{
	struct matrix *m = lab_new(heap, struct matrix);
	size_t count;
	const struct oracle_invariant *invariants = oracle_invariants(&count);
	struct row *rows;

	m->heap = heap;
	rows = new_rows(m, GROUP_FAULTS, FAULT_KIND_COUNT);
	for (unsigned i = 0; i < FAULT_KIND_COUNT; i++)
		rows[i].name = fault_kind_name((enum fault_kind)i);
	rows = new_rows(m, GROUP_HOLDS, ENV_HOLD_COUNT);
	for (unsigned i = 0; i < ENV_HOLD_COUNT; i++)
		rows[i].name = env_hold_name((enum env_hold)i);
	rows = new_rows(m, GROUP_MARKS, LAB_MARK_COUNT);
	for (unsigned i = 0; i < LAB_MARK_COUNT; i++)
		rows[i].name = lab_mark_name((enum lab_mark)i);
	rows = new_rows(m, GROUP_INVARIANTS, count);
	for (size_t i = 0; i < count; i++)
		rows[i].name = invariants[i].name;
	return m;
}

void matrix_free(struct matrix **matrix)
{
	struct matrix *m = *matrix;

	if (m == NULL)
		return;
	for (size_t i = 0; i < GROUP_COUNT; i++)
		lab_heap_free(m->heap, m->groups[i].rows);
	lab_heap_free(m->heap, m);
	*matrix = NULL;
}

/* ---- reading ---- */

static void add(struct row *row, uint64_t n, const char *where)
{
	row->count += n;
	if (n <= row->best)
		return;
	row->best = n;
	(void)snprintf(row->where, sizeof(row->where), "%s", where);
}

static struct row *find(const struct group *group, const char *name)
{
	for (size_t i = 0; i < group->count; i++) {
		if (strcmp(group->rows[i].name, name) == 0)
			return &group->rows[i];
	}
	return NULL;
}

/* Counters of the run beside the marks. */
static bool is_no_mark(const char *name)
{
	return strcmp(name, "host_crashed") == 0 || strcmp(name, "leaked_objects") == 0;
}

static int add_group(struct matrix *m, struct group *group, json_t *root, const char *where,
	struct lab_error *err)
{
	json_t *members = json_object_get(root, group->member), *value;
	const char *name;

	if (!json_is_object(members))
		return lab_fail(
			err, LAB_INVALID, "%s: the campaign has no \"%s\"", where, group->member);
	json_object_foreach(members, name, value)
	{
		struct row *row = find(group, name);

		if (row == NULL && group == &m->groups[GROUP_MARKS] && is_no_mark(name))
			continue;
		if (row == NULL || !json_is_integer(value) || json_integer_value(value) < 0)
			return lab_fail(err, LAB_INVALID,
				"%s: \"%s\" of \"%s\" is not of this build", where, name,
				group->member);
		add(row, (uint64_t)json_integer_value(value), where);
	}
	return 0;
}

static int add_campaign(struct matrix *m, json_t *root, struct lab_error *err)
{
	const char *where = json_string_value(json_object_get(root, "scenario"));

	for (unsigned i = 0; i < GROUP_INVARIANTS; i++) {
		if (add_group(m, &m->groups[i], root, where == NULL ? "?" : where, err) < 0)
			return -1;
	}
	m->campaigns++;
	m->seeds += (uint64_t)json_integer_value(json_object_get(root, "seeds"));
	return 0;
}

/* "I15 object leaked": 15; "R1 two backends": 101; "M1 ...": 111; "T3 ...": 123. 0: none of the
 * oracle's. */
static unsigned number_of(const char *signature)
{
	struct lab_view text = lab_view_cstr(signature);
	size_t space = lab_view_find_byte(text, ' ');
	uint64_t number;

	if (text.len < 2 ||
		lab_view_to_u64(lab_view_sub(text, 1, LAB_MIN(space, text.len) - 1), &number) < 0 ||
		number == 0 || number > 99)
		return 0;
	switch (signature[0]) {
	case 'I':
		return (unsigned)number;
	case 'R':
		return ORACLE_R((unsigned)number);
	case 'M':
		return ORACLE_M((unsigned)number);
	case 'T':
		return ORACLE_T((unsigned)number);
	default:
		return 0;
	}
}

/* The row of the invariant that a signature is of; the number of rows if it is of none. */
static size_t row_of(const char *signature)
{
	size_t count, i = 0;
	const struct oracle_invariant *invariants = oracle_invariants(&count);
	unsigned number = number_of(signature);

	while (i < count && invariants[i].number != number)
		i++;
	return i;
}

/* A run may break several invariants, and one of them in several ways. */
static int add_signatures(
	struct matrix *m, json_t *signatures, const char *defect, struct lab_error *err)
{
	struct group *group = &m->groups[GROUP_INVARIANTS];
	json_t *value;
	size_t i;

	if (!json_is_array(signatures))
		return lab_fail(
			err, LAB_INVALID, "%s: it was found, and has no \"signatures\"", defect);
	json_array_foreach(signatures, i, value)
	{
		const char *text = json_string_value(value);
		size_t row = text == NULL ? group->count : row_of(text);
		bool is_new = row < group->count;

		for (size_t k = 0; k < i && is_new; k++)
			is_new = row_of(json_string_value(json_array_get(signatures, k))) != row;
		if (text == NULL)
			return lab_fail(err, LAB_INVALID, "%s: a signature is no text", defect);
		if (is_new)
			add(&group->rows[row], 1, defect);
	}
	return 0;
}

static int add_found(struct matrix *m, json_t *one, struct lab_error *err)
{
	const char *defect = json_string_value(json_object_get(one, "defect"));

	if (defect == NULL)
		return lab_fail(err, LAB_INVALID, "a line of the hunt has no defect");
	m->hunted++;
	if (!json_is_true(json_object_get(one, "found")))
		return 0;
	m->found++;
	return add_signatures(m, json_object_get(one, "signatures"), defect, err);
}

static int add_value(struct matrix *m, json_t *root, struct lab_error *err)
{
	json_t *defects = json_object_get(root, "defects"), *one;
	size_t i;

	if (json_is_string(json_object_get(root, "scenario")))
		return add_campaign(m, root, err);
	if (!json_is_array(defects))
		return lab_fail(err, LAB_INVALID,
			"it is neither of test --json nor of defects hunt --json");
	json_array_foreach(defects, i, one)
	{
		if (add_found(m, one, err) < 0)
			return -1;
	}
	return 0;
}

int matrix_add(struct matrix *m, const char *name, struct lab_view json, struct lab_error *err)
{
	struct lab_view rest = lab_view_trim(json);

	json_object_seed(1);
	if (rest.len == 0)
		return lab_fail(err, LAB_INVALID, "%s: it is empty", name);
	if (!lab_json_is_shallow(rest, DEPTH_MAX))
		return lab_fail(err, LAB_INVALID, "%s: it nests too deeply", name);
	while (rest.len > 0) {
		json_error_t error;
		json_t *root = json_loadb((const char *)rest.ptr, rest.len,
			JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
		int result;

		if (root == NULL)
			return lab_fail(err, LAB_INVALID, "%s:%d:%d: %s", name, error.line,
				error.column, error.text);
		result = add_value(m, root, err);
		json_decref(root);
		if (result < 0)
			return lab_error_wrap(err, "%s", name);
		rest = lab_view_trim(lab_view_skip(rest, (size_t)error.position));
	}
	return 0;
}

/* ---- printing ---- */

static size_t print_group(const struct group *group, struct lab_buf *out)
{
	size_t gaps = 0;

	for (size_t i = 0; i < group->count; i++)
		gaps += group->rows[i].count == 0;
	lab_buf_printf(out, "%s: %zu of %zu\n", group->title, group->count - gaps, group->count);
	for (size_t i = 0; i < group->count; i++) {
		const struct row *row = &group->rows[i];

		if (row->count == 0)
			lab_buf_printf(out, "  %-32s          -  GAP\n", row->name);
		else
			lab_buf_printf(out, "  %-32s %10" PRIu64 "  %s %s\n", row->name, row->count,
				group->verb, row->where);
	}
	lab_buf_append_byte(out, '\n');
	return gaps;
}

size_t matrix_print(const struct matrix *m, struct lab_buf *out)
{
	size_t gaps = 0;

	for (size_t i = 0; i < GROUP_COUNT; i++)
		gaps += print_group(&m->groups[i], out);
	lab_buf_printf(out,
		"VERDICT %s: %zu gaps in %" PRIu64 " campaigns of %" PRIu64 " seeds and %" PRIu64
		" of %" PRIu64 " hunted defects\n",
		gaps == 0 ? "pass" : "fail", gaps, m->campaigns, m->seeds, m->found, m->hunted);
	return gaps;
}

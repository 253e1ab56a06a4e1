/* SPDX-License-Identifier: Apache-2.0
 *
 * What is left behind when any step of a save, copy or delete by dictmap fails, in every way
 * (HD-1).
 */
#include "core/base/defect.h"
#include "core/fs/testing/dictmap-test.h"

enum sweep_op {
	SWEEP_SAVE,
	SWEEP_COPY,
	SWEEP_DELETE,        /* of the only reference */
	SWEEP_DELETE_SHARED, /* of one of two */
	SWEEP_OP_COUNT
};
static const char *const op_names[] = { "save", "copy", "delete", "delete shared" };

struct sweep {
	struct rig *rig;
	const char *uri;
	enum sweep_op op;
	enum rig_fault fault;
	bool from_then_on;
	struct lab_defects defects;
	unsigned n;

	char first[33], second[33]; /* the mail that was there, and what the operation made */
	bool is_over;               /* false: a crash came in between */
	int result;
	struct lab_error err;
	struct rig_counts before, after;
	bool first_readable, second_readable;
	char problem[300];
};

static void run_operation(void *arg)
{
	struct sweep *s = arg;
	struct rig *rig = s->rig;
	struct lab_error err;
	struct fs *fs;

	lab_defects_on = s->defects;
	fs = open_dictmap(rig, s->uri);
	OK(create(fs, FOLDER, "first", s->first, &err));
	if (s->op == SWEEP_DELETE_SHARED)
		OK(copy(fs, path_of(rig, FOLDER, s->first), FOLDER2, s->second, &err));
	s->before = rig->counts;
	rig_fail_at(rig, s->n, s->fault);
	rig->fail_from_then_on = s->from_then_on;
	switch (s->op) {
	case SWEEP_SAVE:
		s->result = create(fs, FOLDER2, "second", s->second, &s->err);
		break;
	case SWEEP_COPY:
		s->result = copy(fs, path_of(rig, FOLDER, s->first), FOLDER2, s->second, &s->err);
		break;
	case SWEEP_DELETE:
	case SWEEP_DELETE_SHARED:
	case SWEEP_OP_COUNT:
		s->result = del(fs, path_of(rig, FOLDER, s->first), &s->err);
		break;
	}
	s->is_over = true;
	s->after = rig->counts;
	rig->fail_at = 0;
	fs_deinit(&fs);
}

static void look_again(void *arg)
{
	struct sweep *s = arg;
	struct fs *fs = open_dictmap(s->rig, s->uri);
	const char *second = s->op == SWEEP_SAVE ? "second" : "first";
	struct lab_error err;
	struct lab_view text, *names;

	/* A crash keeps the name to itself. */
	if (s->second[0] == '\0' && list(s->rig, fs, FOLDER2, 0, &names) > 0)
		snprintf(s->second, sizeof(s->second), "%.*s", LAB_VIEW_ARG(names[0]));
	s->first_readable = get(s->rig, fs, path_of(s->rig, FOLDER, s->first), &text, &err) == 0 &&
			    lab_view_eq_cstr(text, "first");
	s->second_readable =
		s->second[0] != '\0' &&
		get(s->rig, fs, path_of(s->rig, FOLDER2, s->second), &text, &err) == 0 &&
		lab_view_eq_cstr(text, second);
	fs_deinit(&fs);
}

static bool is_delete(const struct sweep *s)
{
	return s->op == SWEEP_DELETE || s->op == SWEEP_DELETE_SHARED;
}

/* Whether the caller was told the truth; NULL: yes. */
static const char *judge_outcome(const struct sweep *s)
{
	bool certain = s->is_over && s->result < 0 && s->err.code != LAB_UNCERTAIN;
	bool happened = is_delete(s) ? !s->first_readable : s->second_readable;

	if (!s->first_readable && !is_delete(s))
		return "an acknowledged mail is lost";
	if (s->op == SWEEP_DELETE_SHARED && !s->second_readable)
		return "the other reference is lost";
	if (s->is_over && s->result == 0 && !happened)
		return "OK, but it did not happen";
	return certain && happened ? "certainly failed, but it happened" : NULL;
}

static bool touched_storage(const struct sweep *s)
{
	return s->after.puts != s->before.puts || s->after.deletes != s->before.deletes ||
	       s->after.gets != s->before.gets;
}

static bool has_leak(const struct sweep *s)
{
	size_t objects = (size_t)(s->first_readable || s->second_readable) +
			 (s->op == SWEEP_SAVE && s->second_readable);

	return rig_object_count(s->rig) != objects;
}

/* What is wrong after the operation and everything that was late; NULL: nothing. */
static const char *judge(const struct sweep *s)
{
	const char *problem = judge_outcome(s);

	if (!rig_is_consistent(s->rig, "m", true))
		return "a row without its object or reverse row";
	if (problem != NULL)
		return problem;
	if (rig_forward_rows(s->rig) != (size_t)s->first_readable + s->second_readable)
		return "a row that cannot be read";
	if (s->is_over && s->op == SWEEP_COPY && touched_storage(s))
		return "a copy touched the storage";
	if (!s->rig->fired && has_leak(s))
		return "an object is left although nothing failed";
	return NULL;
}

/* One run in a world of its own; true if the fault was met. */
static bool sweep_once(struct sweep *s, const char **ret_problem)
{
	bool fired;

	s->rig = rig_new();
	s->is_over = false;
	s->first[0] = s->second[0] = '\0';
	rig_run(s->rig, 0, run_operation, s);
	s->rig->fail_at = 0;
	rig_apply_late(s->rig);
	rig_run(s->rig, 0, look_again, s);
	fired = s->rig->fired;
	*ret_problem = judge(s);
	rig_free(&s->rig);
	return fired;
}

/* Steps until the fault is not met any more; the first problem, or NULL. *ret_steps counts. */
static const char *sweep(struct sweep *s, unsigned *ret_steps)
{
	const char *problem = NULL;

	for (s->n = 1; problem == NULL && sweep_once(s, &problem); s->n++)
		;
	*ret_steps = s->n - 1;
	return problem;
}

static void sweep_all(const char *uri, bool from_then_on)
{
	for (enum sweep_op op = 0; op < SWEEP_OP_COUNT; op++) {
		for (enum rig_fault fault = 0; fault < RIG_FAULT_COUNT; fault++) {
			struct sweep s = {
				.uri = uri, .op = op, .fault = fault, .from_then_on = from_then_on
			};
			unsigned steps;
			const char *problem = sweep(&s, &steps);

			if (problem != NULL)
				fail_msg("%s, %s at step %u: %s", op_names[op],
					rig_fault_name(fault), s.n - 1, problem);
			assert_true(steps >= 3 && steps < 20);
		}
	}
}

static void one_failure_anywhere_leaves_at_most_a_leak(void **state)
{
	(void)state;
	sweep_all(DICTMAP(USUAL), false);
	sweep_all(DICTMAP(USUAL ":no-cleanup-uncertain"), false);
	sweep_all(DICTMAP(REFCOUNTED), false);
}

static void an_outage_from_anywhere_on_leaves_at_most_a_leak(void **state)
{
	(void)state;
	sweep_all(DICTMAP(USUAL), true);
	sweep_all(DICTMAP(USUAL ":no-cleanup-uncertain"), true);
}

/* With clean-up a single uncertain step of a save or copy ends as a certain failure; without, that
 * of the forward row does not. */
static unsigned uncertain_outcomes(const char *uri, enum sweep_op op)
{
	unsigned uncertain = 0;

	for (enum rig_fault fault = RIG_UNCERTAIN_APPLIED; fault <= RIG_UNCERTAIN_LATE; fault++) {
		struct sweep s = { .uri = uri, .op = op, .fault = fault };
		const char *problem = NULL;

		for (s.n = 1; sweep_once(&s, &problem); s.n++)
			uncertain += s.result < 0 && s.err.code == LAB_UNCERTAIN;
	}
	return uncertain;
}

static void clean_up_makes_uncertain_outcomes_certain(void **state)
{
	(void)state;
	assert_int_equal(uncertain_outcomes(DICTMAP(USUAL), SWEEP_SAVE), 0);
	assert_int_equal(uncertain_outcomes(DICTMAP(USUAL), SWEEP_COPY), 0);
	assert_int_equal(uncertain_outcomes(DICTMAP(USUAL ":no-cleanup-uncertain"), SWEEP_SAVE), 3);
	assert_int_equal(uncertain_outcomes(DICTMAP(USUAL ":no-cleanup-uncertain"), SWEEP_COPY), 3);
	/* A delete is never undone. */
	assert_int_equal(uncertain_outcomes(DICTMAP(USUAL), SWEEP_DELETE), 3);
}

RIG_TEST(clean_up_is_reported)
{
	static const struct {
		const char *uri, *says;
		bool from_then_on;
	} rows[] = { { DICTMAP(REFCOUNTED), "cleanup=success", false },
		{ DICTMAP(REFCOUNTED), "cleanup=failed", true },
		{ DICTMAP(REFCOUNTED ":no-cleanup-uncertain"), "cleanup=disabled", false } };
	struct lab_error err;
	char name[33];

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct fs *fs = open_dictmap(rig, rows[i].uri);

		/* The PUT, then the forward row. */
		rig_fail_at(rig, 1, RIG_UNCERTAIN_APPLIED);
		rig->fail_from_then_on = rows[i].from_then_on;
		assert_true(create(fs, FOLDER, "x", name, &err) < 0);
		assert_row(i, strstr(rig->last_event, "fs_object_write_uncertain") != NULL);
		assert_row(i, strstr(rig->last_event, rows[i].says) != NULL);
		rig_fail_at(rig, 3, RIG_UNCERTAIN_APPLIED);
		rig->fail_from_then_on = rows[i].from_then_on;
		assert_true(create(fs, FOLDER, "x", name, &err) < 0);
		assert_row(i, strstr(rig->last_event, "fs_dictmap_dict_write_uncertain") != NULL);
		assert_row(i, strstr(rig->last_event, rows[i].says) != NULL);
		fs_deinit(&fs);
	}
}

static bool is_caught(struct lab_defects defect, enum sweep_op op, enum rig_fault fault)
{
	struct sweep s = { .uri = DICTMAP(USUAL), .op = op, .fault = fault, .defects = defect };
	unsigned steps;

	return sweep(&s, &steps) != NULL;
}

/* The order matters: each unsafe alternative is caught by the sweep. */
static void the_sweep_catches_the_defects(void **state)
{
	(void)state;
	assert_true(is_caught(LAB_DEFECT(FORWARD_BEFORE_REVERSE), SWEEP_SAVE, RIG_CRASH_BEFORE));
	assert_true(is_caught(LAB_DEFECT(FORWARD_BEFORE_REVERSE), SWEEP_COPY, RIG_CRASH_AFTER));
	assert_true(is_caught(LAB_DEFECT(OBJECT_BEFORE_ROWS), SWEEP_DELETE, RIG_CRASH_BEFORE));
	assert_true(
		is_caught(LAB_DEFECT(CERTAIN_AFTER_UNCERTAIN), SWEEP_SAVE, RIG_UNCERTAIN_APPLIED));
	assert_true(is_caught(LAB_DEFECT(CERTAIN_AFTER_UNCERTAIN), SWEEP_SAVE, RIG_UNCERTAIN_LATE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_failure_anywhere_leaves_at_most_a_leak),
		cmocka_unit_test(an_outage_from_anywhere_on_leaves_at_most_a_leak),
		cmocka_unit_test(clean_up_makes_uncertain_outcomes_certain),
		RIG_UNIT_TEST(clean_up_is_reported),
		cmocka_unit_test(the_sweep_catches_the_defects),
	};

	return cmocka_run_group_tests_name("dictmap-sweep", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariant 28, and 12, 13, 15 for FTS rows and objects. Mails 1 and 3 have word 0, mail 2 has not.
 */
#include "sim/oracle/testing-oracle.h"

#define GUID "0123456789abcdef0123456789abcdef"
#define WORD 0

static int setup(void **state)
{
	int result = t_setup(state);

	t_execute("create table user_fts_objects (u text, n text, i blob, primary key (u, n))");
	return result;
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, t_teardown)

static void deliver(unsigned n)
{
	struct history_op op = t_op(HISTORY_DELIVER, 0, n);

	op.made = t_object(n, n);
	op.body_hash = t_hash(n);
	op.words = HISTORY_WORDS_KNOWN | (n % 2);
	(void)t_run(op, HISTORY_OK);
	t_put(n);
	t_rows(0, n, n);
}

/* Returns the SELECT that shows the mails. */
static uint32_t deliver_three(void)
{
	struct history_object mails[3];

	for (unsigned n = 1; n <= 3; n++) {
		deliver(n);
		mails[n - 1] = t_object(n, n);
	}
	return t_select("backend-1", 0, mails, 3);
}

/* `token` 0: for the word. Finds the mails of that list, which ends with 0. */
static void search(uint32_t view, unsigned token, const unsigned *found, enum history_outcome how)
{
	struct history_op op = t_op(HISTORY_SEARCH, 0, token);
	struct history_sighting seen[16] = { 0 };
	size_t count = 0;
	uint32_t id;

	op.words = token == 0 ? UINT64_C(1) << WORD : 0;
	op.view = view;
	id = t_begin(&op);
	for (; found[count] != 0; count++)
		seen[count].object = t_object(found[count], found[count]);
	history_sight(t.history, id, seen, count);
	t_end(id, &op, how);
}
#define search_finds(view, token, ...) \
	search(view, token, (const unsigned[]){ __VA_ARGS__, 0 }, HISTORY_OK)

static void an_exact_search_passes(void **state)
{
	uint32_t view = deliver_three();

	(void)state;
	search_finds(view, 0, 1, 3);
	search_finds(view, 2, 2);
	/* What came after the listing may be found or not. */
	deliver(5);
	search_finds(view, 0, 1, 3);
	search_finds(view, 0, 1, 3, 5);
	t_audit_of(0, 1, 2, 3, 5);
	t_passes();
}

static void a_mail_that_is_not_found_is_missed(void **state)
{
	uint32_t view = deliver_three();
	const struct oracle_finding *f;

	(void)state;
	search_finds(view, 0, 3);
	t_audit_of(0, 1, 2, 3);
	f = t_finds("I28 search missed a mail");
	assert_int_equal(f->token, 1);
	assert_int_equal(f->invariant, 28);
}

static void a_token_that_is_not_found_is_missed(void **state)
{
	uint32_t view = deliver_three();

	(void)state;
	search_finds(view, 2, 0);
	t_audit_of(0, 1, 2, 3);
	(void)t_finds("I28 search missed a mail");
}

static void a_search_that_failed_misses_nothing(void **state)
{
	uint32_t view = deliver_three();

	(void)state;
	search(view, 0, (const unsigned[]){ 0 }, HISTORY_FAIL);
	t_audit_of(0, 1, 2, 3);
	t_passes();
}

static void what_is_expunged_meanwhile_need_not_be_found(void **state)
{
	uint32_t view = deliver_three();

	(void)state;
	(void)t_expunge(0, 1, 1, 1, HISTORY_UNCERTAIN);
	search_finds(view, 0, 3);
	t_audit_of(0, 1, 2, 3);
	t_passes();
}

static void what_another_backend_listed_need_not_be_found(void **state)
{
	uint32_t view;

	(void)state;
	t.peer = "backend-2";
	view = deliver_three();
	t.peer = "backend-1";
	(void)t_run(t_op(HISTORY_FLUSH, 0, 0), HISTORY_OK);
	((struct history_op *)(uintptr_t)history_op(t.history, view - 1))->backend =
		LAB_VIEW("backend-2");
	search_finds(view, 0, 3);
	t_audit_of(0, 1, 2, 3);
	t_passes();
}

static void a_mail_without_the_word_must_not_be_found(void **state)
{
	uint32_t view = deliver_three();
	const struct oracle_finding *f;

	(void)state;
	search_finds(view, 0, 1, 2, 3);
	t_audit_of(0, 1, 2, 3);
	f = t_finds("I28 search found a mail without the word");
	assert_int_equal(f->token, 2);
}

static void another_mail_must_not_be_found_by_a_token(void **state)
{
	uint32_t view = deliver_three();

	(void)state;
	search_finds(view, 2, 2, 3);
	t_audit_of(0, 1, 2, 3);
	(void)t_finds("I28 search found a mail without the word");
}

/* ---- checks ---- */

static void check(enum history_fts_state state, bool is_last)
{
	struct history_op op = t_op(HISTORY_FTS_CHECK, 0, 0);

	op.backend = LAB_VIEW(T_AUDITOR);
	op.is_converged = is_last;
	op.fts_check[HISTORY_FTS_SYNCED] = 3;
	op.fts_check[state]++;
	(void)t_run(op, HISTORY_OK);
}

static void trouble(void)
{
	struct lab_event fault = { .id = LAB_EV_fault_injected, .sequence = 5, .time_ns = t.now };

	oracle_event(t.oracle, &fault);
}

static void states_that_are_good_pass(void **state)
{
	(void)state;
	check(HISTORY_FTS_SYNCED, false);
	check(HISTORY_FTS_SYNCED_EXPUNGED, false);
	check(HISTORY_FTS_SYNCED_EXPUNGED, true);
	t_passes();
}

static void without_faults_no_other_state_is_good(void **state)
{
	for (unsigned s = HISTORY_FTS_MISSING; s < HISTORY_FTS_STATE_COUNT; s++) {
		check((enum history_fts_state)s, false);
		(void)t_finds("I28 index is not in sync");
		(void)t_teardown(state);
		(void)setup(state);
		trouble();
		check((enum history_fts_state)s, false);
		t_passes();
		(void)t_teardown(state);
		(void)setup(state);
	}
}

static void missing_is_always_a_failure(void **state)
{
	static const enum history_fts_state states[] = { HISTORY_FTS_MISSING,
		HISTORY_FTS_MISSING_UNEXPUNGED };

	for (size_t i = 0; i < LAB_COUNT_OF(states); i++) {
		trouble();
		check(states[i], true);
		(void)t_finds("I28 mail missing from the index");
		(void)t_teardown(state);
		(void)setup(state);
	}
}

/* ---- rows and objects ---- */

static void object(char kind)
{
	char target[300];

	(void)snprintf(target, sizeof(target), "/mails/" T_USER "/fts/%c." GUID, kind);
	assert_int_equal(t_s3(T_USER, "PUT", target, LAB_VIEW("fts")), 200);
}

static void row(char kind)
{
	char cql[300];

	(void)snprintf(cql, sizeof(cql),
		"insert into user_fts_objects (u,n,i) values ('" T_USER "','%c." GUID "',0x)",
		kind);
	t_execute(cql);
}

static void rows_and_objects_of_triplets_pass(void **state)
{
	(void)state;
	for (const char *kind = "SXYLWD"; *kind != '\0'; kind++) {
		object(*kind);
		row(*kind);
	}
	t.now += 10 * LAB_MINUTE;
	t_passes();
}

static void an_fts_row_without_its_object_is_found(void **state)
{
	const struct oracle_finding *f;

	(void)state;
	row('S');
	f = t_finds("I12 FTS row without object");
	assert_non_null(strstr(f->sentence, T_USER "/fts/S." GUID));
}

static void an_fts_object_taken_away_is_excused(void **state)
{
	(void)state;
	t.settings.objects_were_lost = true;
	t_restart();
	row('S');
	t_excuses("I12 FTS row without object");
}

static void a_triplet_without_its_lists_is_found(void **state)
{
	(void)state;
	for (const char *kind = "WD"; *kind != '\0'; kind++) {
		object(*kind);
		row(*kind);
	}
	(void)t_finds("I13 FTS triplet is not whole");
	trouble();
	t_passes();
}

/* Whatever had failed. */
static void documents_before_their_words_are_found(void **state)
{
	static const char *const orders[] = { "LWD", "LDW", "DWL", "D" };

	for (size_t i = 0; i < LAB_COUNT_OF(orders); i++) {
		bool is_right = i == 0 || i == 3;

		for (const char *kind = orders[i]; *kind != '\0'; kind++) {
			object(*kind);
			row(*kind);
			t.now += LAB_SEC;
		}
		trouble();
		if (is_right)
			t_passes();
		else
			(void)t_finds("I13 FTS triplet begun at its end");
		(void)t_teardown(state);
		(void)setup(state);
	}
}

static void an_fts_object_without_a_row_needs_a_cause(void **state)
{
	(void)state;
	object('X');
	row('X');
	object('Y');
	t.now += 10 * LAB_MINUTE;
	(void)t_finds("I15 FTS leak without cause");
	(void)t_teardown(state);
	(void)setup(state);
	object('X');
	row('X');
	object('Y');
	t.now += LAB_SEC;
	trouble();
	t.now += 10 * LAB_MINUTE;
	t_passes();
	/* It was on its way when its host died. */
	(void)t_teardown(state);
	(void)setup(state);
	object('X');
	row('X');
	trouble();
	t.now += LAB_MSEC;
	object('Y');
	t.now += 10 * LAB_MINUTE;
	t_passes();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(an_exact_search_passes),
		test(a_mail_that_is_not_found_is_missed),
		test(a_token_that_is_not_found_is_missed),
		test(a_search_that_failed_misses_nothing),
		test(what_is_expunged_meanwhile_need_not_be_found),
		test(what_another_backend_listed_need_not_be_found),
		test(a_mail_without_the_word_must_not_be_found),
		test(another_mail_must_not_be_found_by_a_token),
		test(states_that_are_good_pass),
		test(without_faults_no_other_state_is_good),
		test(missing_is_always_a_failure),
		test(rows_and_objects_of_triplets_pass),
		test(an_fts_row_without_its_object_is_found),
		test(an_fts_object_taken_away_is_excused),
		test(a_triplet_without_its_lists_is_found),
		test(documents_before_their_words_are_found),
		test(an_fts_object_without_a_row_needs_a_cause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

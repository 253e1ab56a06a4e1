/* SPDX-License-Identifier: Apache-2.0
 *
 * Histories made by hand, in the form of Elle.
 */
#include "core/base/testing.h"
#include "sim/oracle/elle.h"

static struct history *history;
static uint64_t event;

static int setup(void **state)
{
	(void)testing_setup(state);
	history = history_new(testing_heap);
	event = 10;
	return 0;
}

static int teardown(void **state)
{
	history_free(&history);
	return testing_teardown(state);
}

static struct history_object object(uint8_t n)
{
	return (struct history_object){ .name = { n }, .has_name = n != 0 };
}

/* An operation that begins; `n`: the mail that it makes or removes. */
static uint32_t begins(enum history_kind kind, uint32_t session, const char *folder, uint8_t n)
{
	struct history_op op = { .kind = kind,
		.session = session,
		.user = LAB_VIEW("u"),
		.folder = lab_view_cstr(folder),
		.invoked_ns = event * 100,
		.invoked_event = event };

	event++;
	op.source = object(n);
	if (kind == HISTORY_COPY || kind == HISTORY_MOVE)
		op.target = LAB_VIEW("T");
	return history_invoke(history, &op);
}

struct end {
	enum history_outcome outcome;
	uint8_t made;
	uint32_t uid, uidvalidity;
};

static void ends(uint32_t id, const struct end *how)
{
	const struct history_op *begun = history_op(history, id - 1);
	struct history_op op = *begun;
	bool is_copy = op.kind == HISTORY_COPY || op.kind == HISTORY_MOVE;

	op.outcome = how->outcome;
	op.made = object(how->made);
	*(is_copy ? &op.target_uid : &op.uid) = how->uid;
	*(is_copy ? &op.target_uidvalidity : &op.uidvalidity) =
		how->uidvalidity == 0 ? 1 : how->uidvalidity;
	op.ended_ns = event * 100;
	op.ended_event = event++;
	history_end(history, id, &op);
}

static void delivers(uint8_t n, uint32_t uid)
{
	ends(begins(HISTORY_DELIVER, 0, "F", 0),
		&(struct end){ .outcome = HISTORY_OK, .made = n, .uid = uid });
}

static void expunges(uint8_t n, enum history_outcome outcome)
{
	ends(begins(HISTORY_EXPUNGE, 0, "F", n), &(struct end){ .outcome = outcome });
}

/* Sees these mails, whose UIDs are their numbers. */
static void selects_as(uint32_t session, const char *folder, const uint8_t *mails)
{
	struct history_sighting seen[16];
	uint32_t id = begins(HISTORY_SELECT, session, folder, 0);
	size_t count = 0;

	for (; mails[count] != 0; count++)
		seen[count] = (struct history_sighting){
			.op = id, .uid = mails[count], .object = object(mails[count])
		};
	history_sight(history, id, seen, count);
	ends(id, &(struct end){ .outcome = HISTORY_OK });
}
#define SELECTS(session, ...) selects_as((session), "F", (const uint8_t[]){ __VA_ARGS__, 0 })

static const char *printed(void)
{
	struct lab_buf out;

	lab_buf_init(&out, testing_heap, 1 << 20);
	elle_print(history, testing_heap, &out);
	return lab_buf_cstr(&out);
}

static void has(const char *text)
{
	if (strstr(printed(), text) == NULL)
		fail_msg("expected: %s\nin:\n%s", text, printed());
}

static void a_folder_is_a_list(void **state)
{
	(void)state;
	delivers(1, 1);
	SELECTS(4, 1);
	delivers(2, 2);
	SELECTS(4, 1, 2);
	assert_string_equal(printed(),
		"; list-append: folders are keys, mails are values\n"
		"; key 1: u F\n"
		"{:index 0 :time 1000 :process 1 :type :invoke :f :txn :value [[:append 1 1]]}\n"
		"{:index 1 :time 1100 :process 1 :type :ok :f :txn :value [[:append 1 1]]}\n"
		"{:index 2 :time 1200 :process 2 :type :invoke :f :txn :value [[:r 1 nil]]}\n"
		"{:index 3 :time 1300 :process 2 :type :ok :f :txn :value [[:r 1 [1]]]}\n"
		"{:index 4 :time 1400 :process 3 :type :invoke :f :txn :value [[:append 1 2]]}\n"
		"{:index 5 :time 1500 :process 3 :type :ok :f :txn :value [[:append 1 2]]}\n"
		"{:index 6 :time 1600 :process 2 :type :invoke :f :txn :value [[:r 1 nil]]}\n"
		"{:index 7 :time 1700 :process 2 :type :ok :f :txn :value [[:r 1 [1 2]]]}\n");
}

static void copies_append_to_their_target(void **state)
{
	(void)state;
	delivers(1, 1);
	ends(begins(HISTORY_COPY, 3, "F", 1),
		&(struct end){ .outcome = HISTORY_OK, .made = 9, .uid = 9 });
	ends(begins(HISTORY_MOVE, 3, "F", 1), &(struct end){ .outcome = HISTORY_FAIL });
	selects_as(3, "T", (const uint8_t[]){ 9, 0 });
	has("; key 2: u T\n");
	has(":process 2 :type :ok :f :txn :value [[:append 2 2]]");
	has(":process 2 :type :fail :f :txn :value [[:append 2 3]]");
	has(":process 2 :type :ok :f :txn :value [[:r 2 [2]]]");
}

static void what_is_being_removed_is_put_back(void **state)
{
	(void)state;
	delivers(1, 1);
	delivers(2, 2);
	delivers(3, 3);
	expunges(1, HISTORY_OK);
	expunges(3, HISTORY_UNCERTAIN);
	SELECTS(1, 2);
	has(":value [[:r 1 [1 2 3]]]");
}

static void what_nobody_removed_is_missing(void **state)
{
	(void)state;
	delivers(1, 1);
	delivers(2, 2);
	expunges(1, HISTORY_FAIL);
	SELECTS(1, 2);
	has(":value [[:r 1 [2]]]");
	/* Removed later: then it was lost. */
	expunges(1, HISTORY_OK);
	has(":value [[:r 1 [2]]]");
}

static void uncertain_appends_get_what_is_seen(void **state)
{
	uint32_t pending;

	(void)state;
	ends(begins(HISTORY_DELIVER, 0, "F", 0), &(struct end){ .outcome = HISTORY_UNCERTAIN });
	pending = begins(HISTORY_DELIVER, 0, "F", 0);
	ends(begins(HISTORY_DELIVER, 0, "F", 0), &(struct end){ .outcome = HISTORY_FAIL });
	SELECTS(1, 5, 6, 7);
	assert_int_equal(pending, 2);
	/* The failed one has a value that nobody reads. */
	has(":type :fail :f :txn :value [[:append 1 1]]");
	has(":type :info :f :txn :value [[:append 1 2]]");
	has(":type :info :f :txn :value [[:append 1 3]]");
	has(":value [[:r 1 [2 3 4]]]");
	has("; 1 values were read that no client of this run appended\n");
}

static void a_process_does_one_thing_and_none_after_an_uncertain_end(void **state)
{
	uint32_t first, second;

	(void)state;
	first = begins(HISTORY_COPY, 8, "F", 0);
	second = begins(HISTORY_COPY, 8, "F", 0);
	ends(first, &(struct end){ .outcome = HISTORY_UNCERTAIN });
	ends(second, &(struct end){ .outcome = HISTORY_OK, .made = 2, .uid = 2 });
	selects_as(8, "T", (const uint8_t[]){ 2, 0 });
	has(":process 1 :type :info");
	has(":process 2 :type :ok :f :txn :value [[:append");
	has(":process 3 :type :ok :f :txn :value [[:r");
}

static void left_out(const char *why)
{
	char text[200];

	(void)snprintf(text, sizeof(text), "; key 1: u F LEFT OUT: %s\n", why);
	has(text);
	assert_null(strstr(printed(), "append 1 "));
	assert_null(strstr(printed(), ":r 1 "));
}

static void another_uidvalidity_is_left_out(void **state)
{
	(void)state;
	delivers(1, 1);
	ends(begins(HISTORY_DELIVER, 0, "F", 0),
		&(struct end){ .outcome = HISTORY_OK, .made = 2, .uid = 1, .uidvalidity = 7 });
	left_out("UIDVALIDITY changed");
}

static void other_uids_are_left_out(void **state)
{
	(void)state;
	delivers(1, 5);
	SELECTS(1, 1);
	left_out("mails got other UIDs");
}

static void one_uid_of_two_mails_is_left_out(void **state)
{
	(void)state;
	delivers(1, 1);
	delivers(2, 1);
	left_out("two mails had one UID");
}

static void nameless_mails_are_left_out(void **state)
{
	uint32_t id;

	(void)state;
	id = begins(HISTORY_SELECT, 1, "F", 0);
	history_sight(history, id, &(struct history_sighting){ .op = id, .uid = 1 }, 1);
	ends(id, &(struct end){ .outcome = HISTORY_OK });
	left_out("a listing had a mail without a name");
}

static void nameless_expunges_are_left_out(void **state)
{
	(void)state;
	delivers(1, 1);
	expunges(0, HISTORY_OK);
	left_out("a mail without a name was removed");
}

static void no_name_breaks_a_comment(void **state)
{
	(void)state;
	ends(begins(HISTORY_SELECT, 1, "a\nb", 0), &(struct end){ .outcome = HISTORY_FAIL });
	has("; key 1: u a?b\n");
	has(":type :fail :f :txn :value [[:r 1 nil]]");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_folder_is_a_list),
		T(copies_append_to_their_target),
		T(what_is_being_removed_is_put_back),
		T(what_nobody_removed_is_missing),
		T(uncertain_appends_get_what_is_seen),
		T(a_process_does_one_thing_and_none_after_an_uncertain_end),
		T(another_uidvalidity_is_left_out),
		T(other_uids_are_left_out),
		T(one_uid_of_two_mails_is_left_out),
		T(nameless_mails_are_left_out),
		T(nameless_expunges_are_left_out),
		T(no_name_breaks_a_comment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

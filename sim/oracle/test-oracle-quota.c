/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariants 27 (a quota is a sum) and 29 (lazy_expunge). Mail n has 100 * n bytes; Folder2 is
 * where expunged mails go, and does not count.
 */
#include "sim/oracle/testing-oracle.h"

#define LAZY 2

static const struct lab_view ignored = { (const uint8_t *)"Folder2", 7 };

static void start(uint64_t bytes, uint64_t messages)
{
	t.settings.has_quota = true;
	t.settings.quota_bytes = bytes;
	t.settings.quota_messages = messages;
	t.settings.quota_ignored = &ignored;
	t.settings.quota_ignored_count = 1;
	t.settings.expunge_folder = ignored;
	t.settings.only_last_instance = true;
	t.settings.autoexpunge_ns = 15 * LAB_MINUTE;
	t_restart();
}

static void deliver(unsigned n, enum history_outcome outcome, enum lab_code code)
{
	struct history_op op = t_op(HISTORY_DELIVER, 0, n);

	if (outcome != HISTORY_FAIL)
		op.made = t_object(n, n);
	op.body_hash = t_hash(n);
	op.body_vsize = 100 * n;
	op.code = code;
	(void)t_run(op, outcome);
}

static void took(unsigned n)
{
	deliver(n, HISTORY_OK, LAB_OK);
}

static void says_as(const char *backend, bool is_converged, uint64_t bytes, uint64_t messages)
{
	struct history_op op = t_op(HISTORY_QUOTA, 0, 0);

	op.folder = LAB_VIEW("");
	op.backend = lab_view_cstr(backend);
	op.is_converged = is_converged;
	op.body_vsize = bytes;
	op.messages = messages;
	(void)t_run(op, HISTORY_OK);
}

static void says(uint64_t bytes, uint64_t messages)
{
	says_as("backend-1", false, bytes, messages);
}

static void list_as(const char *backend, size_t count)
{
	static const struct history_folder folders[3] = { 0 };
	struct history_op op = t_op(HISTORY_LIST, 0, 0);
	uint32_t id;

	op.backend = lab_view_cstr(backend);
	id = t_begin(&op);
	history_sight_folders(t.history, id, folders, count);
	t_end(id, &op, HISTORY_OK);
}

/* An expunge that moves mail n to the expunge folder as `name`; 0: it only expunges. */
static void expunge(unsigned folder, unsigned n, unsigned name)
{
	struct history_op op = t_copy_op(HISTORY_EXPUNGE, folder, LAZY, n, n % 10, n % 10);

	op.copied = name != 0;
	if (name != 0)
		op.made = t_object(name, n % 10);
	(void)t_run(op, HISTORY_OK);
}

/* ---- 27 ---- */

static void the_auditor_says_the_sum(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	took(2);
	list_as(T_AUDITOR, 1);
	says_as(T_AUDITOR, false, 300, 2);
	t_audit_of(0, 1, 2);
	t_passes();
}

static void the_auditor_says_another_sum(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	took(2);
	list_as(T_AUDITOR, 1);
	says_as(T_AUDITOR, false, 301, 2);
	t_audit_of(0, 1, 2);
	assert_non_null(strstr(t_finds("I27 quota is not the sum")->sentence, "301 bytes in 2"));
}

static void mails_are_counted_too(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	took(2);
	list_as(T_AUDITOR, 1);
	says_as(T_AUDITOR, false, 300, 3);
	t_audit_of(0, 1, 2);
	(void)t_finds("I27 quota is not the sum");
}

static void what_is_ignored_does_not_count(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	took(2);
	expunge(0, 2, 12);
	list_as(T_AUDITOR, 2);
	says_as(T_AUDITOR, false, 100, 1);
	t_audit_of(0, 1);
	t_audit(LAZY, (struct history_object[]){ t_object(12, 2) }, (unsigned[]){ 2 }, 1);
	t_passes();
}

static void who_has_converged_says_what_it_lists(void **state)
{
	struct history_object one = t_object(1, 1);

	(void)state;
	start(0, 0);
	took(1);
	list_as("backend-1", 1);
	(void)t_select("backend-1", 0, &one, 1);
	says_as("backend-1", true, 200, 1);
	list_as(T_AUDITOR, 1);
	t_audit_of(0, 1);
	(void)t_finds("I27 quota is not the sum");
}

static void what_was_taken_is_the_least(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	took(2);
	says(300, 2);
	says(200, 2);
	list_as(T_AUDITOR, 1);
	t_audit_of(0, 1, 2);
	(void)t_finds("I27 quota below what is there");
}

/* What the other one took may have reached this one, or not. */
static void two_took_and_one_says(uint64_t bytes, uint64_t messages)
{
	struct history_op op = t_op(HISTORY_DELIVER, 0, 2);

	start(0, 0);
	took(1);
	op.made = t_object(2, 2);
	op.body_hash = t_hash(2);
	op.body_vsize = 200;
	op.backend = LAB_VIEW("backend-2");
	(void)t_run(op, HISTORY_OK);
	says(bytes, messages);
	list_as(T_AUDITOR, 1);
	t_audit_of(0, 1, 2);
}

static void what_another_backend_took_is_known_or_not(void **state)
{
	(void)state;
	two_took_and_one_says(100, 1);
	t_passes();
	(void)t_teardown(state);
	(void)t_setup(state);
	two_took_and_one_says(300, 2);
	t_passes();
}

static void but_what_this_one_took_is(void **state)
{
	(void)state;
	two_took_and_one_says(0, 0);
	(void)t_finds("I27 quota below what is there");
}

/* Mail 3, which nobody has in the end; `name` 0: it was not tried. */
static void failed_to_take(const char *backend, unsigned name)
{
	struct history_op op = t_op(HISTORY_DELIVER, 0, 3);

	if (name != 0)
		op.made = t_object(name, 3);
	op.body_hash = t_hash(3);
	op.body_vsize = 300;
	op.backend = lab_view_cstr(backend);
	op.code = LAB_UNAVAILABLE;
	(void)t_run(op, HISTORY_FAIL);
}

static void says_beside_a_failed_one(const char *backend, unsigned name, uint64_t bytes)
{
	start(0, 0);
	took(1);
	failed_to_take(backend, name);
	says(bytes, 2);
	list_as(T_AUDITOR, 1);
	t_audit_of(0, 1);
}

/* It was there for a while. */
static void what_another_backend_failed_to_take_may_have_been_seen(void **state)
{
	(void)state;
	says_beside_a_failed_one("backend-2", 3, 400);
	t_passes();
}

static void and_nothing_beside_it(void **state)
{
	(void)state;
	says_beside_a_failed_one("backend-2", 3, 401);
	(void)t_finds("I27 quota above what is there");
}

static void what_another_backend_did_not_try_was_not_seen(void **state)
{
	(void)state;
	says_beside_a_failed_one("backend-2", 0, 400);
	(void)t_finds("I27 quota above what is there");
}

static void what_it_failed_to_take_itself_was_not(void **state)
{
	(void)state;
	says_beside_a_failed_one("backend-1", 3, 400);
	(void)t_finds("I27 quota above what is there");
}

static void and_there_is_no_more_than_both_took(void **state)
{
	(void)state;
	two_took_and_one_says(301, 2);
	(void)t_finds("I27 quota above what is there");
}

static void what_may_be_there_is_the_most(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	deliver(2, HISTORY_UNCERTAIN, LAB_UNCERTAIN);
	says(100, 1);
	says(300, 2);
	says(400, 2);
	list_as(T_AUDITOR, 1);
	t_audit_of(0, 1);
	(void)t_finds("I27 quota above what is there");
}

static void what_was_expunged_counts_no_more(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	took(2);
	expunge(0, 2, 12);
	says(100, 1);
	says(300, 2);
	list_as(T_AUDITOR, 1);
	t_audit_of(0, 1);
	t_audit(LAZY, (struct history_object[]){ t_object(12, 2) }, (unsigned[]){ 2 }, 1);
	(void)t_finds("I27 quota above what is there");
}

static void what_fits_is_taken(void **state)
{
	(void)state;
	start(300, 0);
	took(1);
	deliver(3, HISTORY_FAIL, LAB_OVER_QUOTA);
	list_as(T_AUDITOR, 1);
	t_audit_of(0, 1);
	t_passes();
	deliver(2, HISTORY_FAIL, LAB_OVER_QUOTA);
	(void)t_finds("I27 refused below the limit");
}

/* Mail 2 of 200 bytes, where there are 100 of 500. */
static void refuses_beside_a_failed_one(const char *backend, unsigned name)
{
	start(500, 0);
	took(1);
	failed_to_take(backend, name);
	deliver(2, HISTORY_FAIL, LAB_OVER_QUOTA);
	list_as(T_AUDITOR, 1);
	t_audit_of(0, 1);
}

static void what_does_not_fit_beside_what_another_failed_to_take(void **state)
{
	(void)state;
	refuses_beside_a_failed_one("backend-2", 3);
	t_passes();
}

static void what_fits_beside_what_another_did_not_try(void **state)
{
	(void)state;
	refuses_beside_a_failed_one("backend-2", 0);
	(void)t_finds("I27 refused below the limit");
}

static void what_fits_beside_what_it_failed_to_take_itself(void **state)
{
	(void)state;
	refuses_beside_a_failed_one("backend-1", 3);
	(void)t_finds("I27 refused below the limit");
}

static void what_does_not_fit_is_refused(void **state)
{
	(void)state;
	start(0, 2);
	for (unsigned n = 1; n <= 3; n++)
		took(n);
	list_as(T_AUDITOR, 1);
	t_audit_of(0, 1, 2, 3);
	/* Two may have come at once; nobody comes after three. */
	t_passes();
	took(4);
	t_audit_of(0, 1, 2, 3, 4);
	(void)t_finds("I27 accepted above the limit");
}

/* ---- 29 ---- */

static void audit_lazy(const unsigned *names, size_t count)
{
	struct history_object objects[4];
	unsigned tokens[4];

	for (size_t i = 0; i < count; i++) {
		objects[i] = t_object(names[i], names[i] % 10);
		tokens[i] = names[i] % 10;
	}
	t_audit(LAZY, objects, tokens, count);
}
#define AUDIT_LAZY(...) \
	audit_lazy((const unsigned[]){ __VA_ARGS__ }, \
		LAB_COUNT_OF(((const unsigned[]){ __VA_ARGS__ })))

static void copy(unsigned n, unsigned name)
{
	(void)t_copy(HISTORY_COPY, 0, 0, n, n, n, t_object(name, n), HISTORY_OK);
}

/* Opens a folder of that GUID. */
static void open_of(unsigned folder, uint8_t guid)
{
	struct history_op op = t_op(HISTORY_SELECT, folder, 0);

	op.mailbox_guid[0] = guid;
	(void)t_run(op, HISTORY_OK);
}

/* What was moved to the expunge folder counts again, after those folders were opened. */
static void counts_what_is_ignored(unsigned folder, uint8_t first, uint8_t second)
{
	start(0, 0);
	took(1);
	took(2);
	open_of(folder, first);
	open_of(folder, second);
	expunge(0, 1, 21);
	says(300, 2);
	list_as(T_AUDITOR, 2);
	t_audit(0, (const struct history_object[]){ t_object(2, 2) }, (const unsigned[]){ 2 }, 1);
	AUDIT_LAZY(21);
}

static void an_ignored_folder_counts_under_another_name(void **state)
{
	(void)state;
	counts_what_is_ignored(LAZY, 1, 2);
	t_passes();
}

static void an_ignored_folder_of_one_guid_does_not_count(void **state)
{
	(void)state;
	counts_what_is_ignored(LAZY, 1, 1);
	(void)t_finds("I27 quota above what is there");
}

static void a_clash_of_folders_that_count_is_no_excuse(void **state)
{
	(void)state;
	counts_what_is_ignored(1, 1, 2);
	(void)t_finds("I27 quota above what is there");
}

static void the_last_instance_is_kept(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	copy(1, 11);
	expunge(0, 1, 0);
	expunge(0, 11, 21);
	list_as(T_AUDITOR, 2);
	t_audit(0, NULL, NULL, 0);
	AUDIT_LAZY(21);
	t_passes();
}

static void a_mail_that_was_kept_is_lost(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	expunge(0, 1, 21);
	list_as(T_AUDITOR, 2);
	t_audit(0, NULL, NULL, 0);
	t_audit(LAZY, NULL, NULL, 0);
	(void)t_finds("I1 lost mail");
}

static void the_last_instance_is_nowhere(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	copy(1, 11);
	expunge(0, 1, 0);
	expunge(0, 11, 0);
	list_as(T_AUDITOR, 2);
	t_audit(0, NULL, NULL, 0);
	t_audit(LAZY, NULL, NULL, 0);
	(void)t_finds("I29 expunged mail is nowhere");
}

/* The row of `name`, of object `oid`, could not be deleted. */
static void row_is_left(unsigned oid, unsigned name, uint64_t when)
{
	char of[48], row[48];
	const struct lab_field fields[] = { LAB_F_CSTR("path", t_hex(name, false, row)),
		LAB_F_CSTR("object_id", t_hex(oid, true, of)) };
	struct lab_event event = { .id = LAB_EV_fs_dictmap_dict_write_uncertain,
		.sequence = 5,
		.time_ns = when,
		.fields = fields,
		.field_count = LAB_COUNT_OF(fields) };

	oracle_event(t.oracle, &event);
}

/* Mail 1 and a copy of it are expunged, and none is kept; the row is left `late` after the first of
 * the two began. */
static void leaves_a_row(unsigned oid, unsigned name, uint64_t late)
{
	struct history_op op = t_copy_op(HISTORY_EXPUNGE, 0, LAZY, 1, 1, 1);
	uint32_t id;

	start(0, 0);
	took(1);
	copy(1, 11);
	id = t_begin(&op);
	row_is_left(oid, name, t.now + late);
	t.now += LAB_SEC;
	t_end(id, &op, HISTORY_OK);
	t.now += LAB_SEC;
	expunge(0, 11, 0);
	list_as(T_AUDITOR, 2);
	t_audit(0, NULL, NULL, 0);
	t_audit(LAZY, NULL, NULL, 0);
}

static void a_row_that_was_left_is_counted(void **state)
{
	(void)state;
	leaves_a_row(1, 1, LAB_MSEC);
	t_excuses("I29 expunged mail is nowhere");
	assert_non_null(strstr(t.verdict.findings[0].excuse, "could not be deleted"));
}

static void rows_of_others_are_not_counted(void **state)
{
	static const struct {
		unsigned oid, name;
		uint64_t late;
	} cases[] = {
		{ 2, 1, LAB_MSEC },    /* of another object */
		{ 1, 2, LAB_MSEC },    /* of nobody that was expunged */
		{ 1, 11, LAB_MSEC },   /* of the one that is still there then */
		{ 1, 1, 5 * LAB_SEC }, /* after both */
	};

	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		leaves_a_row(cases[i].oid, cases[i].name, cases[i].late);
		(void)t_finds("I29 expunged mail is nowhere");
		(void)t_teardown(state);
		(void)t_setup(state);
	}
}

/* Who expunges both in one call knows of both. */
static void a_row_that_the_same_call_left_is_no_excuse(void **state)
{
	struct history_op a = t_copy_op(HISTORY_EXPUNGE, 0, LAZY, 1, 1, 1);
	struct history_op b = t_copy_op(HISTORY_EXPUNGE, 0, LAZY, 11, 1, 1);
	uint32_t first, second;

	(void)state;
	start(0, 0);
	took(1);
	copy(1, 11);
	first = t_begin(&a);
	t.now = a.invoked_ns;
	second = t_begin(&b);
	row_is_left(1, 1, t.now);
	t_end(first, &a, HISTORY_OK);
	t_end(second, &b, HISTORY_OK);
	list_as(T_AUDITOR, 2);
	t_audit(0, NULL, NULL, 0);
	t_audit(LAZY, NULL, NULL, 0);
	(void)t_finds("I29 expunged mail is nowhere");
}

static void the_last_instance_is_there_twice(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	copy(1, 11);
	expunge(0, 1, 31);
	expunge(0, 11, 21);
	list_as(T_AUDITOR, 2);
	t_audit(0, NULL, NULL, 0);
	AUDIT_LAZY(21, 31);
	(void)t_finds("I29 mail twice in the expunge folder");
}

static void without_only_last_instance_it_may_be(void **state)
{
	(void)state;
	start(0, 0);
	t.settings.only_last_instance = false;
	t_restart();
	took(1);
	copy(1, 11);
	expunge(0, 1, 31);
	expunge(0, 11, 21);
	list_as(T_AUDITOR, 2);
	t_audit(0, NULL, NULL, 0);
	AUDIT_LAZY(21, 31);
	t_passes();
}

/* Each counts the other's. */
static void two_at_once_are_excused(void **state)
{
	struct history_op a = t_copy_op(HISTORY_EXPUNGE, 0, LAZY, 1, 1, 1);
	struct history_op b = t_copy_op(HISTORY_EXPUNGE, 0, LAZY, 11, 1, 1);
	uint32_t first, second;

	(void)state;
	start(0, 0);
	took(1);
	copy(1, 11);
	first = t_begin(&a);
	second = t_begin(&b);
	t_end(first, &a, HISTORY_OK);
	t_end(second, &b, HISTORY_OK);
	list_as(T_AUDITOR, 2);
	t_audit(0, NULL, NULL, 0);
	t_audit(LAZY, NULL, NULL, 0);
	t_excuses("I29 expunged mail is nowhere");
}

static void autoexpunge(unsigned name)
{
	struct history_op op = t_op(HISTORY_AUTOEXPUNGE, LAZY, 0);
	struct history_sighting gone = { .uid = 1, .object = t_object(name, name % 10) };
	uint32_t id = t_begin(&op);

	history_sight(t.history, id, &gone, 1);
	op.has_told_all = true;
	t_end(id, &op, HISTORY_OK);
}

static void what_stayed_long_enough_may_go(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	expunge(0, 1, 21);
	t.now += 15 * LAB_MINUTE;
	autoexpunge(21);
	list_as(T_AUDITOR, 2);
	t_audit(0, NULL, NULL, 0);
	t_audit(LAZY, NULL, NULL, 0);
	t_passes();
}

static void what_went_too_early_is_found(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	expunge(0, 1, 21);
	t.now += 14 * LAB_MINUTE;
	autoexpunge(21);
	list_as(T_AUDITOR, 2);
	t_audit(0, NULL, NULL, 0);
	t_audit(LAZY, NULL, NULL, 0);
	assert_non_null(strstr(t_finds("I29 gone before its time")->sentence, "840 s after"));
}

static void what_went_does_not_come_back(void **state)
{
	(void)state;
	start(0, 0);
	took(1);
	expunge(0, 1, 21);
	t.now += 15 * LAB_MINUTE;
	autoexpunge(21);
	list_as(T_AUDITOR, 2);
	t_audit(0, NULL, NULL, 0);
	AUDIT_LAZY(21);
	(void)t_finds("I2 expunged mail is back");
}

/* ---- 4: what object ids say ---- */

static void see(const char *backend, uint64_t flags)
{
	struct history_op op = t_op(HISTORY_SELECT, 0, 0);
	struct history_sighting seen = { .uid = 1, .object = t_object(1, 1), .flags = flags };
	uint32_t id;

	op.backend = lab_view_cstr(backend);
	id = t_begin(&op);
	history_sight(t.history, id, &seen, 1);
	t_end(id, &op, HISTORY_OK);
	if (strcmp(backend, T_AUDITOR) == 0)
		t_fetch_as(0, t_object(1, 1), 1, t_hash(1), HISTORY_OK, LAB_OK);
}

static void attachments(uint64_t listed, bool is_told)
{
	uint64_t has = history_flag(t.history, LAB_VIEW("$HasAttachment"));
	uint64_t has_not = history_flag(t.history, LAB_VIEW("$HasNoAttachment"));
	struct history_op op = t_op(HISTORY_DELIVER, 0, 1);

	t.settings.ids_tell_attachments = is_told;
	t_restart();
	op.flags = has;
	op.made = t_object(1, 1);
	op.body_hash = t_hash(1);
	(void)t_run(op, HISTORY_OK);
	list_as(T_AUDITOR, 1);
	/* It knows nothing but the listing. */
	see(T_AUDITOR, listed == 0 ? 0 : listed == 1 ? has : has_not);
}

static void attachments_survive(void **state)
{
	(void)state;
	attachments(1, true);
	t_passes();
}

static void a_lost_attachment_flag_is_found(void **state)
{
	(void)state;
	attachments(0, true);
	(void)t_finds("I4 attachment flag lost");
}

static void so_is_the_wrong_one(void **state)
{
	(void)state;
	attachments(2, true);
	(void)t_finds("I4 attachment flag lost");
}

static void where_ids_say_nothing_it_is_a_flag(void **state)
{
	(void)state;
	attachments(0, false);
	t_passes();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, t_setup, t_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_auditor_says_the_sum),
		TEST(the_auditor_says_another_sum),
		TEST(mails_are_counted_too),
		TEST(what_is_ignored_does_not_count),
		TEST(who_has_converged_says_what_it_lists),
		TEST(what_was_taken_is_the_least),
		TEST(what_another_backend_took_is_known_or_not),
		TEST(but_what_this_one_took_is),
		TEST(and_there_is_no_more_than_both_took),
		TEST(what_another_backend_failed_to_take_may_have_been_seen),
		TEST(and_nothing_beside_it),
		TEST(what_another_backend_did_not_try_was_not_seen),
		TEST(what_it_failed_to_take_itself_was_not),
		TEST(what_may_be_there_is_the_most),
		TEST(what_was_expunged_counts_no_more),
		TEST(what_fits_is_taken),
		TEST(what_does_not_fit_beside_what_another_failed_to_take),
		TEST(what_fits_beside_what_another_did_not_try),
		TEST(what_fits_beside_what_it_failed_to_take_itself),
		TEST(what_does_not_fit_is_refused),
		TEST(an_ignored_folder_counts_under_another_name),
		TEST(an_ignored_folder_of_one_guid_does_not_count),
		TEST(a_clash_of_folders_that_count_is_no_excuse),
		TEST(the_last_instance_is_kept),
		TEST(a_mail_that_was_kept_is_lost),
		TEST(the_last_instance_is_nowhere),
		TEST(a_row_that_was_left_is_counted),
		TEST(rows_of_others_are_not_counted),
		TEST(a_row_that_the_same_call_left_is_no_excuse),
		TEST(the_last_instance_is_there_twice),
		TEST(without_only_last_instance_it_may_be),
		TEST(two_at_once_are_excused),
		TEST(what_stayed_long_enough_may_go),
		TEST(what_went_too_early_is_found),
		TEST(what_went_does_not_come_back),
		TEST(attachments_survive),
		TEST(a_lost_attachment_flag_is_found),
		TEST(so_is_the_wrong_one),
		TEST(where_ids_say_nothing_it_is_a_flag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

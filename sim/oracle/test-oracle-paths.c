/* SPDX-License-Identifier: Apache-2.0
 *
 * Mails that are stored under their paths: without dictmap, with passthrough paths, and migrated.
 */
#include "sim/oracle/testing-metacache.h"

#define FOLDER "/mailboxes/000000000000000000000000000000f0/"

static int setup_without_dictmap(void **state)
{
	(void)t_setup(state);
	t.settings.has_dictmap = t.settings.copies_in_dict = false;
	t.settings.stores_paths = true;
	t.settings.object_prefix = t.settings.keyspace = LAB_VIEW("");
	t.settings.read_consistency = t.settings.write_consistency = 0;
	t.settings.delete_consistency = 0;
	t.settings.delete_timestamp_us = 0;
	t.settings.bucket_size = 0;
	t_restart();
	return 0;
}

static int setup_backends_without_dictmap(void **state)
{
	(void)setup_without_dictmap(state);
	memset(t_boots, 0, sizeof(t_boots));
	t_start(1);
	return 0;
}

#define path_test(function) \
	cmocka_unit_test_setup_teardown(function, setup_without_dictmap, t_teardown)

#define index_test(function) \
	cmocka_unit_test_setup_teardown(function, setup_backends_without_dictmap, t_teardown)

/* Its name is its object id. */
static struct history_object named(unsigned name)
{
	struct history_object object = { .has_name = true, .oid_len = HISTORY_NAME_BYTES };

	memset(object.name, (int)name, sizeof(object.name));
	memcpy(object.oid, object.name, sizeof(object.name));
	return object;
}

static unsigned ask_as(
	const char *user, const char *root, const char *method, unsigned name, const char *body)
{
	char target[200], hex[48];

	(void)snprintf(
		target, sizeof(target), "/mails/%s" FOLDER "%s", root, t_hex(name, false, hex));
	return t_s3(user, method, target, lab_view_cstr(body));
}

static void put(unsigned name)
{
	assert_int_equal(ask_as(T_USER, "ab/cde/" T_USER, "PUT", name, "stored"), 200);
}

static void drop(unsigned name)
{
	assert_int_equal(ask_as(T_USER, "ab/cde/" T_USER, "DELETE", name, ""), 204);
}

static uint32_t mail(unsigned n)
{
	put(n);
	return t_deliver(n, named(n), HISTORY_OK);
}

static void audit(unsigned folder, unsigned n)
{
	const struct history_object object = named(n);

	t_audit(folder, &object, &n, 1);
}

static void list(const char *user, const char *query)
{
	char target[300];

	(void)snprintf(target, sizeof(target), "/mails/?%s", query);
	assert_int_equal(t_s3(user, "GET", target, LAB_VIEW("")), 200);
}

static void a_stored_and_listed_mail_is_fine(void **state)
{
	(void)state;
	(void)mail(1);
	audit(0, 1);
	t_passes();
	assert_int_equal(t.verdict.mails_expected, 1);
}

static void a_lost_mail_is_one_finding(void **state)
{
	(void)state;
	(void)mail(1);
	drop(1);
	(void)t_select(T_AUDITOR, 0, NULL, 0);
	t_finds("I1 lost mail");
}

static void a_mail_that_no_listing_shows_is_a_leak(void **state)
{
	const struct oracle_finding *f;

	(void)state;
	(void)mail(1);
	put(2);
	t_deliver(2, named(2), HISTORY_FAIL);
	audit(0, 1);
	f = t_finds("I15 leak without cause");
	assert_int_equal(f->token, 2);
	assert_int_equal(t.verdict.leaked_objects, 1);
}

static void a_write_that_may_be_late_is_no_leak(void **state)
{
	(void)state;
	(void)mail(1);
	put(2);
	t_deliver(2, named(2), HISTORY_UNCERTAIN);
	audit(0, 1);
	t_passes();
}

static void a_mail_of_nobody_is_a_leak_unless_a_delivery_was_cut_off(void **state)
{
	(void)state;
	(void)mail(1);
	put(3);
	audit(0, 1);
	t_finds("I15 leak without cause");
	t_deliver(9, t_unknown(), HISTORY_UNCERTAIN);
	t_passes();
}

static void an_expunged_mail_that_stays_stored_is_a_finding(void **state)
{
	struct history_op op = t_op(HISTORY_EXPUNGE, 0, 1);

	(void)state;
	(void)mail(1);
	op.source = named(1);
	(void)t_run(op, HISTORY_OK);
	(void)t_select(T_AUDITOR, 0, NULL, 0);
	t_finds("I15 leak without cause");
}

static void an_unlisted_folder_says_nothing_of_leaks(void **state)
{
	struct history_op op = t_op(HISTORY_SELECT, 1, 0);

	(void)state;
	(void)mail(1);
	put(2);
	audit(0, 1);
	op.backend = LAB_VIEW(T_AUDITOR);
	(void)t_run(op, HISTORY_FAIL);
	t_passes();
}

static void a_listed_mail_without_body_is_a_finding(void **state)
{
	struct history_object object = named(1);

	(void)state;
	t_deliver(1, named(1), HISTORY_UNCERTAIN);
	(void)t_select(T_AUDITOR, 0, &object, 1);
	t_finds("I12 listed without body");
}

/* ---- what requests may do ---- */

static void folders_of_one_s_own_may_be_listed(void **state)
{
	(void)state;
	list(T_USER, "delimiter=%2F&prefix=ab%2Fcde%2Fuser1%40example.com%2Fmailboxes%2F");
	t_passes();
}

static void folders_of_others_may_not(void **state)
{
	(void)state;
	list(T_USER, "prefix=ab%2Fcde%2Fother%40example.com%2Fmailboxes%2F&delimiter=%2F");
	t_finds("I30 request for another user's object");
}

static void the_whole_bucket_may_not(void **state)
{
	(void)state;
	list(T_USER, "delimiter=%2F");
	t_finds("I30 request for another user's object");
}

static void a_copy_is_an_object_of_its_own(void **state)
{
	struct history_op op = t_op(HISTORY_COPY, 0, 1);

	(void)state;
	(void)mail(1);
	put(2);
	op.target = LAB_VIEW("Folder1");
	op.source = named(1);
	op.made = named(2);
	(void)t_run(op, HISTORY_OK);
	audit(0, 1);
	t_audit(1, &op.made, &(const unsigned){ 1 }, 1);
	t_passes();
}

static void a_mail_may_not_be_written_over(void **state)
{
	(void)state;
	(void)mail(1);
	assert_int_equal(ask_as(T_USER, "ab/cde/" T_USER, "PUT", 1, "another"), 200);
	audit(0, 1);
	t_finds("I20 mail written over");
}

/* ---- stale listings ---- */

static void add_stale_list(uint64_t from_ns, uint64_t until_ns)
{
	struct fault_episode episode = { .kind = FAULT_stale,
		.points = FAULT_BIT(s3_list),
		.scope = FAULT_EVERYWHERE,
		.start_ns = from_ns,
		.length_ns = until_ns - from_ns,
		.rate_ppm = 1000000 };
	struct sim_fault_query query = { .point = "s3.list",
		.service = "s3",
		.instance = LAB_VIEW("s3"),
		.peer = lab_view_cstr(t.peer),
		.now_ns = from_ns };
	struct lab_error err;

	t.faults = fault_plan_new(testing_heap, 1, 1);
	assert_int_equal(fault_plan_add_episode(t.faults, &episode, NULL, &err), 0);
	assert_int_equal(fault_decide(t.faults, &query).kind, SIM_FAULT_STALE);
}

static void expunge_and_list(const char *who)
{
	struct history_object object = named(1);
	struct history_op op = t_op(HISTORY_EXPUNGE, 0, 1);

	(void)mail(1);
	op.source = named(1);
	drop(1);
	(void)t_run(op, HISTORY_OK);
	(void)t_select(who, 0, &object, 1);
	(void)t_select(T_AUDITOR, 0, NULL, 0);
}

static void an_expunged_mail_may_be_in_a_stale_listing(void **state)
{
	(void)state;
	expunge_and_list("backend-1");
	add_stale_list(t.now - 5 * LAB_MSEC, t.now);
	t_excuses("I2 expunged mail is back");
}

static void a_stale_listing_before_the_expunge_excuses_nothing(void **state)
{
	(void)state;
	add_stale_list(t.now, t.now + LAB_MSEC);
	t.now += LAB_SEC;
	expunge_and_list("backend-1");
	t_finds("I2 expunged mail is back");
}

static void the_audit_is_excused_by_nothing_that_was_before_it(void **state)
{
	uint64_t expunged_ns;
	struct history_object object = named(1);
	struct history_op op = t_op(HISTORY_EXPUNGE, 0, 1);

	(void)state;
	(void)mail(1);
	op.source = named(1);
	(void)t_run(op, HISTORY_OK);
	expunged_ns = t.now;
	t.now += LAB_SEC;
	(void)t_select(T_AUDITOR, 0, &object, 1);
	add_stale_list(expunged_ns + LAB_MSEC, expunged_ns + 2 * LAB_MSEC);
	t_finds("I2 expunged mail is back");
}

/* INBOX, empty, as one backend has it. */
static void select_under(uint32_t uidvalidity)
{
	t_list(1, (struct t_list){ .uidvalidity = uidvalidity }, NULL, 0);
}

static void a_stale_listing_excuses_numbers_that_were_given_after_it(void **state)
{
	(void)state;
	select_under(100);
	add_stale_list(t.now, t.now + LAB_MSEC);
	t.now += LAB_SEC;
	select_under(101);
	t_excuses("I6 UIDVALIDITY changed");
}

static void a_stale_listing_excuses_nothing_before_it(void **state)
{
	(void)state;
	select_under(100);
	select_under(101);
	add_stale_list(t.now, t.now + LAB_MSEC);
	t_finds("I6 UIDVALIDITY changed");
}

static void with_dictmap_a_stale_listing_excuses_nothing(void **state)
{
	(void)state;
	t.settings.has_dictmap = true;
	t.settings.keyspace = LAB_VIEW("mails");
	t_restart();
	memset(t_boots, 0, sizeof(t_boots));
	t_start(1);
	select_under(100);
	add_stale_list(t.now, t.now + LAB_MSEC);
	t.now += LAB_SEC;
	select_under(101);
	t_finds("I6 UIDVALIDITY changed");
}

/* ---- rows of paths ---- */

static void path_row(unsigned name, const char *value)
{
	char cql[400], hex[48];

	(void)snprintf(cql, sizeof(cql),
		"insert into user_mailbox_objects (i,u,g,b,n) values (%s,'" T_USER
		"',0x000000000000000000000000000000f0,0,0x%s)",
		value, t_hex(name, false, hex));
	t_execute(cql);
}

static void put_path(unsigned name)
{
	assert_int_equal(ask_as(T_USER, T_USER, "PUT", name, "stored"), 200);
}

static void use_passthrough(void)
{
	t.settings.stores_paths = t.settings.rows_are_paths = true;
	t.settings.copies_in_dict = false;
	t_restart();
}

static void a_row_of_a_path_has_its_object_there(void **state)
{
	(void)state;
	use_passthrough();
	put_path(1);
	path_row(1, "0x");
	t_deliver(1, named(1), HISTORY_OK);
	audit(0, 1);
	t_passes();
}

static void a_row_of_a_path_may_dangle(void **state)
{
	(void)state;
	use_passthrough();
	path_row(1, "0x");
	t_deliver(1, named(1), HISTORY_UNCERTAIN);
	t_finds("I12 dangling row");
}

static void a_stored_path_without_row_is_a_leak(void **state)
{
	(void)state;
	use_passthrough();
	put_path(1);
	path_row(1, "0x");
	put_path(2);
	t_deliver(1, named(1), HISTORY_OK);
	audit(0, 1);
	t_finds("I15 leak without cause");
}

/* A migrated mail's id is its old name, and its object where it was. */
static void migrated_rows_have_old_objects_and_new_ones(void **state)
{
	char hex[48], value[60];

	(void)state;
	t.settings.stores_paths = true;
	t_restart();
	put_path(1);
	(void)snprintf(value, sizeof(value), "0x%s", t_hex(1, false, hex));
	path_row(1, value);
	t_execute("insert into user_mailbox_objects_reverse (n,u,g,i) values "
		  "(0x01010101010101010101010101010101,'" T_USER
		  "',0x000000000000000000000000000000f0,0x01010101010101010101010101010101)");
	t_deliver(1, named(1), HISTORY_OK);
	(void)t_mail(2);
	t_audit(0, (const struct history_object[]){ named(1), t_object(2, 2) },
		(const unsigned[]){ 1, 2 }, 2);
	t_passes();
	assert_int_equal(t.verdict.dangling_rows, 0);
}

static void only_migrated_mails_may_be_copied_by_contents(void **state)
{
	struct history_op op = t_copy_op(HISTORY_COPY, 0, 1, 1, 1, 1);

	(void)state;
	t.settings.stores_paths = true;
	t_restart();
	put_path(1);
	path_row(1, "0x01010101010101010101010101010101");
	t_execute("insert into user_mailbox_objects_reverse (n,u,g,i) values "
		  "(0x01010101010101010101010101010101,'" T_USER
		  "',0x000000000000000000000000000000f0,0x01010101010101010101010101010101)");
	t_deliver(1, named(1), HISTORY_OK);
	op.source = named(1);
	op.made = t_object(2, 2);
	t_put(2);
	t_rows(1, 2, 2);
	(void)t_run(op, HISTORY_OK);
	audit(0, 1);
	t_audit(1, &op.made, &(const unsigned){ 1 }, 1);
	t_passes();
	/* The copy has a new id: copying that writes nothing. */
	op = t_copy_op(HISTORY_COPY, 1, 0, 2, 2, 1);
	op.made = t_object(3, 3);
	t_put(3);
	t_rows(0, 3, 3);
	(void)t_run(op, HISTORY_OK);
	t_audit(0, (const struct history_object[]){ named(1), t_object(3, 3) },
		(const unsigned[]){ 1, 1 }, 2);
	t_finds("I19 copy wrote an object");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		path_test(a_stored_and_listed_mail_is_fine),
		path_test(a_lost_mail_is_one_finding),
		path_test(a_mail_that_no_listing_shows_is_a_leak),
		path_test(a_write_that_may_be_late_is_no_leak),
		path_test(a_mail_of_nobody_is_a_leak_unless_a_delivery_was_cut_off),
		path_test(an_expunged_mail_that_stays_stored_is_a_finding),
		path_test(an_unlisted_folder_says_nothing_of_leaks),
		path_test(a_listed_mail_without_body_is_a_finding),
		path_test(folders_of_one_s_own_may_be_listed),
		path_test(folders_of_others_may_not),
		path_test(the_whole_bucket_may_not),
		path_test(a_copy_is_an_object_of_its_own),
		path_test(a_mail_may_not_be_written_over),
		path_test(an_expunged_mail_may_be_in_a_stale_listing),
		path_test(a_stale_listing_before_the_expunge_excuses_nothing),
		path_test(the_audit_is_excused_by_nothing_that_was_before_it),
		index_test(a_stale_listing_excuses_numbers_that_were_given_after_it),
		index_test(a_stale_listing_excuses_nothing_before_it),
		index_test(with_dictmap_a_stale_listing_excuses_nothing),
		t_test(a_row_of_a_path_has_its_object_there),
		t_test(a_row_of_a_path_may_dangle),
		t_test(a_stored_path_without_row_is_a_leak),
		t_test(migrated_rows_have_old_objects_and_new_ones),
		t_test(only_migrated_mails_may_be_copied_by_contents),
	};

	return cmocka_run_group_tests_name("oracle-paths", tests, NULL, NULL);
}

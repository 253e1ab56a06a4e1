/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariants 17, 18, and 15 for index bundles: rows and objects as the services hold them.
 */
#include "sim/oracle/testing-oracle.h"

#define BASE "bundle.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe22"
#define OTHER "bundle.53f74dc3.0fbcf.c96d802b5d4df75307bb00001accfe22"
#define THIRD "bundle.53f74dc4.0fbcf.c96d802b5d4df75307bb00001accfe22"
#define DIFF BASE "-0123456789abcdef0123456789abcdef"
#define SELF "self.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe22"
#define GUID "00000000000000000000000000000001"
#define ROOT "user1@example.com/idx/"
#define FOLDER "user1@example.com/mailboxes/" GUID "/idx/"

static int setup(void **state)
{
	int result = t_setup(state);

	t.settings.has_dictmap = true;
	t_restart();
	t_execute("create table user_index_objects (u text, n text, i blob, primary key (u, n))");
	t_execute("create table user_mailbox_index_objects (u text, g blob, n text, i blob, "
		  "primary key ((u, g), n))");
	t_execute("create table user_index_diff_objects (u text, h text, m text, "
		  "primary key (u, h))");
	t_execute("create table user_mailbox_index_diff_objects (u text, g blob, h text, m text, "
		  "primary key (u, g, h))");
	return result;
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, t_teardown)

static void object(const char *path)
{
	char target[300];

	(void)snprintf(target, sizeof(target), "/mails/%s", path);
	assert_int_equal(t_s3(T_USER, "PUT", target, LAB_VIEW("bundle")), 200);
}

static void index_row(bool is_root, const char *name)
{
	char cql[500];

	(void)snprintf(cql, sizeof(cql),
		is_root ? "insert into user_index_objects (u,n,i) values ('" T_USER "','%s',0x)"
			: "insert into user_mailbox_index_objects (u,g,n,i) values ('" T_USER
			  "',0x" GUID ",'%s',0x)",
		name);
	t_execute(cql);
}

static void diff_row(bool is_root, const char *host, const char *name)
{
	char cql[500];

	(void)snprintf(cql, sizeof(cql),
		is_root ? "insert into user_index_diff_objects (u,h,m) values ('" T_USER
			  "','%s','%s')"
			: "insert into user_mailbox_index_diff_objects (u,g,h,m) values ('" T_USER
			  "',0x" GUID ",'%s','%s')",
		host, name);
	t_execute(cql);
}

static void trouble(void)
{
	struct lab_event fault = { .id = LAB_EV_fault_injected, .sequence = 5, .time_ns = t.now };

	oracle_event(t.oracle, &fault);
}

static void bundles_with_rows_and_objects_pass(void **state)
{
	(void)state;
	object(ROOT SELF);
	diff_row(true, "h1", SELF);
	object(FOLDER BASE);
	index_row(false, BASE);
	object(FOLDER DIFF);
	diff_row(false, "h1", DIFF);
	t.now += 10 * LAB_MINUTE;
	t_passes();
}

static void a_row_without_its_object_is_found(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		const struct oracle_finding *f;

		if (i < 2)
			index_row(i == 0, BASE);
		else
			diff_row(i == 2, "h1", SELF);
		f = t_finds("I17 bundle row without object");
		assert_int_equal(f->invariant, 17);
		assert_non_null(strstr(f->sentence, i < 2 ? BASE : SELF));
		assert_non_null(
			strstr(f->sentence, i % 2 == 0 ? T_USER "/root" : T_USER "/folder " GUID));
		(void)t_teardown(state);
		(void)setup(state);
	}
}

static void what_was_taken_away_is_excused(void **state)
{
	(void)state;
	t.settings.objects_were_lost = true;
	t_restart();
	index_row(true, BASE);
	t_excuses("I17 bundle row without object");
}

static void bundles_with_object_ids_are_looked_for_under_them(void **state)
{
	char cql[500], hex[48];

	(void)state;
	t_put(7);
	(void)snprintf(cql, sizeof(cql),
		"insert into user_index_objects (u,n,i) values ('" T_USER "','" BASE "',0x%s)",
		t_hex(7, true, hex));
	t_execute(cql);
	t_put(8);
	(void)snprintf(cql, sizeof(cql), "%s/" SELF, t_hex(8, true, hex));
	diff_row(true, "h1", cql);
	t.now += 10 * LAB_MINUTE;
	t_passes();
	t_drop(8);
	(void)t_finds("I17 bundle row without object");
}

static void a_diff_needs_a_base_of_its_directory(void **state)
{
	(void)state;
	object(FOLDER DIFF);
	diff_row(false, "h1", DIFF);
	object(ROOT OTHER);
	index_row(true, OTHER);
	(void)t_finds("I17 diff without a base");
	object(FOLDER OTHER);
	index_row(false, OTHER);
	t_passes();
}

/* ---- 18 ---- */

#define UPLOAD_STARTED LAB_EV_metacache_mailbox_bundle_upload_started
#define UPLOAD_FINISHED LAB_EV_metacache_mailbox_bundle_upload_finished
#define DOWNLOADED LAB_EV_metacache_mailbox_bundle_download_finished
#define REFRESHED LAB_EV_metacache_mailbox_refresh_finished

static void tell_of(enum lab_event_id id, unsigned host, const char *guid, const char *name,
	const char *status, enum lab_code code)
{
	bool is_base = strchr(name, '-') == NULL;
	const struct lab_field fields[] = { LAB_F_CSTR("user", T_USER),
		LAB_F_CSTR("filename", name),
		LAB_F_CSTR("bundle_type", name[0] == '\0' ? ""
					  : is_base       ? "base"
							  : "diff"),
		LAB_F_CSTR("mailbox_guid", guid), LAB_F_CSTR("metacache_status", status),
		LAB_F_CODE("code", code) };
	struct lab_event event = { .id = id,
		.host = host,
		.time_ns = t.now,
		.sequence = t.sequence++,
		.fields = fields,
		.field_count = LAB_COUNT_OF(fields) };

	oracle_event(t.oracle, &event);
}

static void tell(enum lab_event_id id, unsigned host, const char *name)
{
	tell_of(id, host, GUID, name, "", LAB_OK);
}

static void upload(unsigned host, const char *name)
{
	tell(UPLOAD_STARTED, host, name);
	tell(UPLOAD_FINISHED, host, name);
}

static void start_hosts(void)
{
	for (unsigned i = 1; i <= 2; i++) {
		char name[] = "backend-0";
		const struct lab_field field = LAB_F_CSTR("host", name);
		struct lab_event event = { .id = LAB_EV_host_started,
			.host = i,
			.sequence = t.sequence++,
			.fields = &field,
			.field_count = 1 };

		name[8] = (char)('0' + i);
		oracle_event(t.oracle, &event);
	}
}

/* Two that did not know of each other. */
static void write_at_once(void)
{
	start_hosts();
	tell(UPLOAD_STARTED, 1, BASE);
	tell(UPLOAD_STARTED, 2, OTHER);
	tell(UPLOAD_FINISHED, 1, BASE);
	tell(UPLOAD_FINISHED, 2, OTHER);
	object(FOLDER BASE);
	index_row(false, BASE);
	object(FOLDER OTHER);
	index_row(false, OTHER);
}

static void two_who_write_a_base_at_once_leave_two(void **state)
{
	(void)state;
	write_at_once();
	t_passes();
	/* A merge of the two has nothing new, so nobody has to upload it. */
	tell(DOWNLOADED, 1, OTHER);
	tell(REFRESHED, 1, "");
	tell(DOWNLOADED, 2, BASE);
	tell(REFRESHED, 2, "");
	t_passes();
}

static void who_has_read_a_base_leaves_one_unless_something_failed(void **state)
{
	(void)state;
	write_at_once();
	tell(DOWNLOADED, 1, OTHER);
	tell(REFRESHED, 1, "");
	upload(1, THIRD);
	(void)t_finds("I18 too many bundles");
	assert_int_equal(t.verdict.findings[0].invariant, 18);
	assert_non_null(strstr(t.verdict.findings[0].why[0], "backend-1 began"));
	trouble();
	t_passes();
}

static void who_has_written_a_base_leaves_one(void **state)
{
	(void)state;
	write_at_once();
	upload(2, THIRD);
	(void)t_finds("I18 too many bundles");
}

static void what_was_not_merged_yet_is_not_known(void **state)
{
	(void)state;
	start_hosts();
	upload(1, BASE);
	object(FOLDER BASE);
	index_row(false, BASE);
	tell(DOWNLOADED, 2, BASE);
	tell_of(REFRESHED, 2, GUID, "", "kept", LAB_OK);
	tell_of(REFRESHED, 2, GUID, "", "", LAB_UNAVAILABLE);
	tell_of(REFRESHED, 2, "", "", "", LAB_OK);
	upload(2, OTHER);
	object(FOLDER OTHER);
	index_row(false, OTHER);
	t_passes();
	tell(REFRESHED, 2, "");
	t_passes();
	/* One that fails replaces nothing, nor does one of another folder. */
	tell(UPLOAD_STARTED, 2, THIRD);
	tell_of(UPLOAD_FINISHED, 2, GUID, THIRD, "", LAB_UNAVAILABLE);
	tell_of(UPLOAD_STARTED, 2, "", THIRD, "", LAB_OK);
	tell_of(UPLOAD_FINISHED, 2, "", THIRD, "", LAB_OK);
	t_passes();
	upload(2, THIRD);
	(void)t_finds("I18 too many bundles");
}

static void a_diff_is_written_beside_one_base_only(void **state)
{
	(void)state;
	write_at_once();
	upload(1, DIFF);
	t_passes();
	tell(DOWNLOADED, 1, OTHER);
	tell(REFRESHED, 1, "");
	t_passes();
	upload(1, DIFF);
	(void)t_finds("I18 too many bundles");
}

/* ---- 15 ---- */

static void a_bundle_without_a_row_is_a_leak(void **state)
{
	(void)state;
	object(FOLDER BASE);
	object(ROOT DIFF);
	t_passes();
	t.now += 10 * LAB_MINUTE;
	t_judge();
	assert_int_equal(t.verdict.failures, 2);
	assert_int_equal(t.verdict.leaked_objects, 2);
	assert_string_equal(t.verdict.findings[0].signature, "I15 leak without cause");
	trouble();
	t_passes();
	assert_int_equal(t.verdict.leaked_objects, 2);
}

static void a_bundle_that_was_not_collected_is_a_failure_whatever_had_failed(void **state)
{
	(void)state;
	object(FOLDER BASE);
	trouble();
	t.now += 10 * LAB_MINUTE;
	t_passes();
	oracle_collected(t.oracle, t.now);
	(void)t_finds("I15 leak was not collected");
	/* What was written since is judged as ever. */
	oracle_collected(t.oracle, 1);
	t_passes();
}

static void failures_before_it_was_written_are_no_cause(void **state)
{
	(void)state;
	trouble();
	t.now += LAB_SEC;
	object(FOLDER BASE);
	t.now += 10 * LAB_MINUTE;
	(void)t_finds("I15 leak without cause");
}

/* It was on its way when its host crashed. */
static void but_a_crash_while_it_was_on_its_way_is(void **state)
{
	(void)state;
	trouble();
	t.now += 100 * LAB_MSEC;
	object(FOLDER BASE);
	t.now += 10 * LAB_MINUTE;
	t_passes();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(bundles_with_rows_and_objects_pass),
		test(a_row_without_its_object_is_found),
		test(what_was_taken_away_is_excused),
		test(bundles_with_object_ids_are_looked_for_under_them),
		test(a_diff_needs_a_base_of_its_directory),
		test(two_who_write_a_base_at_once_leave_two),
		test(who_has_read_a_base_leaves_one_unless_something_failed),
		test(who_has_written_a_base_leaves_one),
		test(what_was_not_merged_yet_is_not_known),
		test(a_diff_is_written_beside_one_base_only),
		test(a_bundle_without_a_row_is_a_leak),
		test(a_bundle_that_was_not_collected_is_a_failure_whatever_had_failed),
		test(failures_before_it_was_written_are_no_cause),
		test(but_a_crash_while_it_was_on_its_way_is),
	};

	return cmocka_run_group_tests_name("oracle-bundles", tests, NULL, NULL);
}

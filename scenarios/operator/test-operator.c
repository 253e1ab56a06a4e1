/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators may say, and what they are told when they say something else.
 */
#include "core/base/testing.h"

#include "scenarios/operator/operator.h"
#include "scenarios/operator/unpack.h"

static struct operator_command command;
static struct lab_error err;

static void says(const char *text)
{
	if (operator_parse_text(lab_view_cstr(text), &command, &err) < 0)
		fail_msg("%s: %s", text, err.message);
}

static void refused(const char *text, const char *expected)
{
	assert_int_equal(operator_parse_text(lab_view_cstr(text), &command, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	assert_string_equal(err.message, expected);
}

static void verbs_of_one_and_more_words_are_told_apart(void **state)
{
	(void)state;
	says("metacache flush -u a@b");
	assert_int_equal(command.verb, OPERATOR_FLUSH);
	says("metacache  flushall -i a*");
	assert_int_equal(command.verb, OPERATOR_FLUSHALL);
	assert_true(command.is_important_only);
	assert_true(lab_view_eq_cstr(command.mask.mask, "a*"));
	says("metacache update userdb a@b group g1");
	assert_int_equal(command.verb, OPERATOR_UPDATE_USERDB);
	assert_true(lab_view_eq_cstr(command.mask.mask, "a@b"));
	assert_true(lab_view_eq_cstr(command.field, "group"));
	assert_true(lab_view_eq_cstr(command.value, "g1"));
	says("fscache rescan /var/cache/mails");
	assert_int_equal(command.verb, OPERATOR_FSCACHE_RESCAN);
	assert_true(lab_view_eq_cstr(command.mask.mask, "/var/cache/mails"));
	says("obox user wait -t 3 -u a@b");
	assert_int_equal(command.verb, OPERATOR_WAIT);
	assert_true(command.timeout_ns == 3 * LAB_SEC);
	says("metacache pull --clean -u a@b backend-2");
	assert_int_equal(command.verb, OPERATOR_PULL);
	assert_true(command.pull.clean && !command.pull.latest_only);
	assert_true(lab_view_eq_cstr(command.pull.source, "backend-2"));
	says("fts check full -u a@b");
	assert_int_equal(command.verb, OPERATOR_FTS_CHECK_FULL);
	says("fts check fast --refresh -u a@b Work");
	assert_int_equal(command.verb, OPERATOR_FTS_CHECK_FAST);
	assert_true(command.has_refresh && lab_view_eq_cstr(command.field, "Work"));
	says("obox user wait -u a@b");
	assert_true(command.timeout_ns == ENV_FOREVER);
}

static void options_have_values(void **state)
{
	(void)state;
	says("metacache clean -A -d 2 -p 3");
	assert_true(command.unused_seconds == 2 * 86400);
	assert_int_equal(command.mask.min_priority, METACACHE_OTHER);
	assert_true(lab_view_eq_cstr(command.mask.mask, "*"));
	says("metacache flushall -f group g*");
	assert_true(lab_view_eq_cstr(command.mask.field, "group"));
	says("metacache status --roots -b");
	assert_true(command.has_roots && command.has_bytes);
	says("metacache list");
	assert_int_equal(command.mask.mask.len, 0);
}

static void what_is_wrong_is_one_sentence(void **state)
{
	(void)state;
	refused("", "there is no command");
	refused("metacache", "there is no command \"metacache\"");
	refused("metacache flusch", "there is no command \"metacache flusch\"");
	refused("metacache flush", "metacache flush needs [-i] [-p PRIORITY] -u USER");
	refused("metacache clean -u", "metacache clean: -u needs a value");
	refused("metacache clean -A -u x", "metacache clean: one of -A and -u, and once");
	refused("metacache clean -A -p 4", "metacache clean: \"4\" is not a number from 0 to 3");
	refused("metacache clean -A -d x",
		"metacache clean: \"x\" is not a number from 0 to 36500");
	refused("metacache rescan now", "metacache rescan: what is \"now\"?");
	refused("metacache rescan -i", "metacache rescan has no option -i");
	refused("fscache rescan", "fscache rescan needs PATH");
	/* What max_age means is documented nowhere. */
	refused("fscache rescan /c 60", "fscache rescan: what is \"60\"?");
	refused("metacache pull -u a",
		"metacache pull needs [--latest-only] [--clean] -u USER HOST");
	refused("fts check fast -u a", "fts check fast needs [--refresh] -u USER FOLDER");
	refused("fts check full -u a INBOX", "fts check full: what is \"INBOX\"?");
	refused("fts check full --refresh -u a", "fts check full has no option --refresh");
	refused("metacache remove", "metacache remove needs MASK");
	refused("metacache list a b", "metacache list: what is \"b\"?");
	refused("metacache update userdb a b", "metacache update userdb needs USER FIELD VALUE");
	refused("a b c d e f g h i j k l m n o p q", "a command has at most 16 words");
}

static void only_a_session_that_is_there_is_65(void **state)
{
	struct lab_error exists = { .code = LAB_EXISTS }, timeout = { .code = LAB_TIMEOUT };

	(void)state;
	says("obox user delete -u a");
	assert_int_equal(operator_exit_in_use(&command, -1, &exists), 65);
	assert_int_equal(operator_exit_in_use(&command, -1, &timeout), 0);
	assert_int_equal(operator_exit_in_use(&command, 0, &exists), 0);
	says("obox user wait -u a");
	assert_int_equal(operator_exit_in_use(&command, -1, &timeout), 65);
	says("metacache clean -A");
	assert_int_equal(operator_exit_in_use(&command, -1, &exists), 0);
}

/* ---- unpack ---- */

static void unpack_tells_what_is_in_a_bundle(void **state)
{
	struct obox_bundle bundle = { .kind = OBOX_BUNDLE_SELF,
		.host = LAB_VIEW("b1"),
		.uidvalidity = 7,
		.next_uid = 8,
		.highest_modseq = 9,
		.files = { { LAB_VIEW("dovecot.index"), LAB_VIEW("abc") } },
		.file_count = 1 };
	struct obox_bundle *back = lab_new(testing_heap, struct obox_bundle);
	struct lab_buf bytes, out;

	(void)state;
	lab_buf_init(&bytes, testing_heap, 65536);
	lab_buf_init(&out, testing_heap, 65536);
	obox_bundle_encode(&bundle, &bytes);
	assert_int_equal(operator_unpack(lab_buf_view(&bytes), back, &out, &err), 0);
	assert_string_equal(lab_buf_cstr(&out),
		"bundle_type\tself\nhost\tb1\nuidvalidity\t7\nuidnext\t8\nhighestmodseq\t9\n"
		"file\tdovecot.index\t3\n");
	for (size_t i = 0; i < bytes.len; i++) {
		bytes.data[i] ^= 1;
		assert_int_equal(operator_unpack(lab_buf_view(&bytes), back, &out, &err), -1);
		assert_true(err.code == LAB_CORRUPT || err.code == LAB_UNSUPPORTED);
		bytes.data[i] ^= 1;
	}
	bytes.len -= 1;
	assert_int_equal(operator_unpack(lab_buf_view(&bytes), back, &out, &err), -1);
}

static void names_of_files_are_no_paths(void **state)
{
	struct obox_bundle bundle = { .kind = OBOX_BUNDLE_SELF,
		.host = LAB_VIEW("b1"),
		.files = { { LAB_VIEW("../x"), LAB_VIEW("abc") } },
		.file_count = 1 };
	struct obox_bundle *back = lab_new(testing_heap, struct obox_bundle);
	struct lab_buf bytes, out;

	(void)state;
	lab_buf_init(&bytes, testing_heap, 65536);
	lab_buf_init(&out, testing_heap, 65536);
	obox_bundle_encode(&bundle, &bytes);
	assert_int_equal(operator_unpack(lab_buf_view(&bytes), back, &out, &err), -1);
	assert_int_equal(err.code, LAB_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs_of_one_and_more_words_are_told_apart),
		cmocka_unit_test(options_have_values),
		cmocka_unit_test(what_is_wrong_is_one_sentence),
		cmocka_unit_test_setup_teardown(
			unpack_tells_what_is_in_a_bundle, testing_setup, testing_teardown),
		cmocka_unit_test_setup_teardown(
			names_of_files_are_no_paths, testing_setup, testing_teardown),
		cmocka_unit_test(only_a_session_that_is_there_is_65),
	};

	return cmocka_run_group_tests_name("operator", tests, NULL, NULL);
}

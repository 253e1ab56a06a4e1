/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include "core/base/testing.h"
#include "core/base/defect.h"

#define ALL (UINT32_MAX & ~(uint32_t)OPTION_FS)
#define WORDS_MAX 32

/* "test a.scn --seeds 1..5": words at single spaces; '_' stands for a space in a word. */
static int parse(const char *line, uint32_t allowed, struct options *ret, struct lab_error *err)
{
	static char text[512];
	char *words[WORDS_MAX];
	int count = 0;

	snprintf(text, sizeof(text), "%s", line);
	words[count++] = text;
	for (char *at = text; *at != '\0'; at++) {
		if (*at == ' ') {
			*at = '\0';
			assert_true(count < WORDS_MAX);
			words[count++] = at + 1;
		} else if (*at == '_') {
			*at = ' ';
		}
	}
	return options_parse(count, words, allowed, ret, err);
}

static struct options parse_ok(const char *line)
{
	struct options o;
	struct lab_error err;

	if (parse(line, ALL, &o, &err) < 0)
		fail_msg("%s: %s", line, err.message);
	return o;
}

static void without_options_there_are_defaults(void **state)
{
	struct options o = parse_ok("test");

	(void)state;
	assert_int_equal(o.argument_count, 0);
	assert_int_equal(o.first_seed, 1);
	assert_int_equal(o.last_seed, 100);
	assert_int_equal(o.seed, 1);
	assert_false(o.has_seed);
	assert_int_equal(o.workers, 0);
	assert_memory_equal(&o.defects, &LAB_NO_DEFECTS, sizeof(o.defects));
	assert_int_equal(o.time_limit_ns, 0);
	assert_false(o.is_live || o.json || o.stop_at_first || o.quiet);
	assert_null(o.conf);
	assert_null(o.mbox);
	assert_null(o.history);
}

static void arguments_may_stand_anywhere(void **state)
{
	struct options o = parse_ok("test a.scn --json b.scn -j 3 c.scn");

	(void)state;
	assert_int_equal(o.argument_count, 3);
	assert_string_equal(o.arguments[0], "a.scn");
	assert_string_equal(o.arguments[2], "c.scn");
	assert_true(o.json);
	assert_int_equal(o.workers, 3);
}

static void seeds_are_a_number_or_a_range(void **state)
{
	struct options o = parse_ok("run --seed 18446744073709551615 --seeds 5..9");

	(void)state;
	assert_true(o.has_seed);
	assert_int_equal(o.seed, UINT64_MAX);
	assert_int_equal(o.first_seed, 5);
	assert_int_equal(o.last_seed, 9);
	o = parse_ok("test --seeds 7");
	assert_int_equal(o.first_seed, 7);
	assert_int_equal(o.last_seed, 7);
}

static void every_option_sets_its_field(void **state)
{
	struct options o = parse_ok("run -t 2_min --conf c --mbox m --world live --first --quiet "
				    "--history h --until 30_s");

	(void)state;
	assert_int_equal(o.time_limit_ns, 2 * LAB_MINUTE);
	assert_string_equal(o.conf, "c");
	assert_string_equal(o.mbox, "m");
	assert_string_equal(o.history, "h");
	assert_true(o.is_live && o.stop_at_first && o.quiet);
	assert_int_equal(o.until_ns, 30 * LAB_SEC);
	assert_int_equal(o.until_event, 0);
	o = parse_ok("replay --until #20418 --world sim");
	assert_int_equal(o.until_event, 20418);
	assert_int_equal(o.guard, OPTIONS_GUARD);
	assert_int_equal(parse_ok("test --guard 0").guard, 0);
	o = parse_ok("test --explore --runs 50 -o plans");
	assert_true(o.is_exploring);
	assert_int_equal(o.guard, OPTIONS_GUARD);
	assert_int_equal(o.runs, 50);
	assert_false(parse_ok("test --guard 8").is_exploring);
	assert_string_equal(parse_ok("run --history-elle e").history_elle, "e");
	assert_true(parse_ok("run --profile-checks").profile_checks);
	assert_string_equal(parse_ok("trace -o t.json").output, "t.json");
	assert_false(o.is_live);
}

static void sets_and_defects_add_up(void **state)
{
	struct options o = parse_ok("run --set user.count=5 --set fault.rate=1/2 "
				    "--defect no-retry-503 --defect ack-before-put");

	(void)state;
	assert_int_equal(o.set_count, 2);
	assert_string_equal(o.sets[1], "fault.rate=1/2");
	for (unsigned i = 0; i < LAB_DEFECT_COUNT; i++)
		assert_int_equal(lab_defects_has(&o.defects, (enum lab_defect)i),
			i == LAB_DEFECT_NO_RETRY_503 || i == LAB_DEFECT_ACK_BEFORE_PUT);
}

static void options_of_fs(void **state)
{
	struct lab_error err;
	struct options o;

	(void)state;
	assert_int_equal(
		parse("fs put --filter obox_fs --user u@d --var home=/h --var service=imap "
		      "--meta a=b --map h:1=127.0.0.1:2 --root /r --ca /c -f in -R --null "
		      "--remote -v - path",
			OPTION_FS, &o, &err),
		0);
	assert_int_equal(o.argument_count, 3);
	assert_string_equal(o.arguments[1], "-");
	assert_string_equal(o.fs.filter, "obox fs"); /* a word with a space */
	assert_string_equal(o.fs.user, "u@d");
	assert_int_equal(o.fs.variable_count, 2);
	assert_string_equal(o.fs.variables[1], "service=imap");
	assert_string_equal(o.fs.metadata[0], "a=b");
	assert_string_equal(o.fs.maps[0], "h:1=127.0.0.1:2");
	assert_string_equal(o.fs.root, "/r");
	assert_string_equal(o.fs.ca_file, "/c");
	assert_string_equal(o.fs.file, "in");
	assert_true(o.fs.is_recursive && o.fs.is_null && o.fs.is_remote && o.fs.is_verbose);
}

static void what_is_wrong_gets_one_sentence(void **state)
{
	static const struct {
		const char *line, *expected;
	} rows[] = {
		{ "test --sedes 1..2", "unknown option --sedes (did you mean --seeds?)" },
		{ "test --zzzzzzzzzzzz", "unknown option --zzzzzzzzzzzz" },
		{ "test -x", "unknown option -x" },
		{ "test -", "unknown option -" },
		{ "test --seeds", "--seeds needs a value" },
		{ "test --seeds 5..2", "--seeds: \"5..2\" is not a range A..B" },
		{ "test --seeds x", "--seeds: \"x\" is not a range A..B" },
		{ "test --seeds 1..", "--seeds: \"1..\" is not a range A..B" },
		{ "test --seeds 0..18446744073709551615", "--seeds: " },
		{ "test --seed -1", "--seed: \"-1\" is not a number" },
		{ "test --seed 18446744073709551616", "--seed: " },
		{ "test -j 65", "-j: \"65\" is not a number up to 64" },
		{ "test -j two", "-j: \"two\" is not a number up to 64" },
		{ "test -t soon", "-t: 'soon'" },
		{ "test --defect no-retry-530",
			"--defect: there is no defect \"no-retry-530\" (did you mean "
			"no-retry-503?)" },
		{ "run --world moon", "--world: \"moon\" is neither sim nor live" },
		{ "replay --until #0", "--until: \"#0\" is not an event's number" },
		{ "replay --until #x", "--until: \"#x\" is not an event's number" },
		{ "replay --until later", "--until: 'later'" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct options o;
		struct lab_error err = { .message = "" };

		assert_row(i, parse(rows[i].line, ALL, &o, &err) < 0);
		if (strstr(err.message, rows[i].expected) != err.message)
			fail_msg("row %zu: %s", i, err.message);
	}
}

static void an_option_of_another_command_is_unknown_and_not_suggested(void **state)
{
	struct options o;
	struct lab_error err;

	(void)state;
	assert_int_equal(parse("run --seeds 1..5", OPTION_SEED, &o, &err), -1);
	assert_string_equal(err.message, "unknown option --seeds (did you mean --seed?)");
	assert_int_equal(parse("run --jsno", OPTION_SEED, &o, &err), -1);
	assert_string_equal(err.message, "unknown option --jsno");
}

static void too_many_are_refused(void **state)
{
	static char *words[OPTIONS_SCENARIOS_MAX + 2];
	static char scenario[] = "a.scn", set[] = "--set", value[] = "user.count=1";
	struct options o;
	struct lab_error err;
	int count = OPTIONS_SCENARIOS_MAX + 1;

	(void)state;
	for (int i = 0; i <= count; i++)
		words[i] = scenario;
	assert_int_equal(options_parse(count, words, 0, &o, &err), 0);
	assert_int_equal(o.argument_count, OPTIONS_SCENARIOS_MAX);
	assert_int_equal(options_parse(count + 1, words, 0, &o, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);

	count = 1;
	for (int i = 0; i <= OPTIONS_SETS_MAX; i++) {
		words[count++] = set;
		words[count++] = value;
	}
	assert_int_equal(options_parse(count - 2, words, ALL, &o, &err), 0);
	assert_int_equal(o.set_count, OPTIONS_SETS_MAX);
	assert_int_equal(options_parse(count, words, ALL, &o, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_options_there_are_defaults),
		cmocka_unit_test(arguments_may_stand_anywhere),
		cmocka_unit_test(seeds_are_a_number_or_a_range),
		cmocka_unit_test(every_option_sets_its_field),
		cmocka_unit_test(sets_and_defects_add_up),
		cmocka_unit_test(options_of_fs),
		cmocka_unit_test(what_is_wrong_gets_one_sentence),
		cmocka_unit_test(an_option_of_another_command_is_unknown_and_not_suggested),
		cmocka_unit_test(too_many_are_refused),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/format/inject.h"

#include "core/base/testing.h"

static void parse(const char *text, struct fault_episode *ret)
{
	struct lab_error err;

	if (inject_parse(lab_view_cstr(text), ret, &err) < 0)
		fail_msg("%s: %s", text, err.message);
}

static void what_is_printed_can_be_parsed(void **state)
{
	static const char *const texts[] = { "cql.write:write_timeout_all:17",
		">cql.write:overloaded:1+1000ms", "s3.put:reset:3+",
		"cql.delete:stall_reply:5:wipe,2000ms", "dict.hop:dict_stall:1:keep,0ms",
		"disk.write:disk_error:9:lose_unsynced,3600000ms" };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(texts); i++) {
		struct fault_episode episode;
		char printed[INJECT_TEXT_MAX];

		parse(texts[i], &episode);
		inject_print(&episode, printed);
		assert_string_equal(printed, texts[i]);
	}
}

static void every_part_has_its_meaning(void **state)
{
	struct fault_episode episode;

	(void)state;
	parse("cql.write:stall_reply:5:wipe,2s", &episode);
	assert_int_equal(episode.kind, FAULT_stall_reply);
	assert_true(episode.points == FAULT_BIT(cql_write));
	assert_int_equal(episode.nth, 5);
	assert_false(episode.is_lasting);
	assert_true(episode.crashes_peer);
	assert_int_equal(episode.disk, FAULT_DISK_WIPE);
	assert_int_equal(episode.down_ns, 2 * LAB_SEC);
	parse("s3.put:reset:3+", &episode);
	assert_int_equal(episode.nth, 3);
	assert_true(episode.is_lasting);
	assert_int_equal(episode.lasting_ns, 0);
	assert_false(episode.crashes_peer);
	assert_int_equal(episode.after, 0);
	parse(">s3.put:reset:3+2s", &episode);
	assert_true(episode.is_lasting);
	assert_int_equal(episode.lasting_ns, 2 * LAB_SEC);
	assert_int_equal(episode.after, 1);
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "\"\" is not [>]POINT:KIND:N[+[TIME]][:DISK,DOWN]" },
		{ "s3.put:reset", "\"s3.put:reset\" is not [>]POINT:KIND:N[+[TIME]][:DISK,DOWN]" },
		{ "s3.patch:reset:1", "there is no fault point \"s3.patch\"" },
		{ "s3.put:rest:1", "there is no kind of fault \"rest\"" },
		{ "s3.put:write_timeout:1", "write_timeout does not happen at s3.put" },
		{ "world.crash:crash:1", "crash does not happen at world.crash" },
		{ "s3.put:reset:0", "\"0\" is not the number of a request" },
		{ "s3.put:reset:+", "\"+\" is not the number of a request" },
		{ "s3.put:reset:1+2", "2" },
		{ "s3.put:reset:1:keep", "\"keep\" is not DISK,DOWN" },
		{ "s3.put:reset:1:keep,1s:x", "has more than four parts" },
		{ "s3.put:reset:1:lost,1s", "lost" },
		{ "s3.put:reset:1:keep,soon", "soon" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct fault_episode episode;
		struct lab_error err;

		assert_int_equal(inject_parse(lab_view_cstr(cases[i].text), &episode, &err), -1);
		assert_int_equal(err.code, LAB_INVALID);
		if (strstr(err.message, cases[i].message) == NULL)
			fail_msg("%s: %s", cases[i].text, err.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_printed_can_be_parsed),
		cmocka_unit_test(every_part_has_its_meaning),
		cmocka_unit_test(what_is_wrong_is_said),
	};

	return cmocka_run_group_tests_name("inject", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include "core/aws/metadata-text.h"

static struct lab_arena *arena;

static int setup(void **state)
{
	testing_setup(state);
	arena = lab_arena_new(testing_heap, 1u << 20);
	return 0;
}

static int teardown(void **state)
{
	lab_arena_free(&arena);
	return testing_teardown(state);
}

static void words_are_decoded(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "plain", "plain" },
		{ "", "" },
		{ "=?UTF-8?B?Z3LDtsOfZQ==?=", "gr\xc3\xb6\xc3\x9f"
					      "e" },
		{ "=?utf-8?b?Z3LDtsOfZQ==?=", "gr\xc3\xb6\xc3\x9f"
					      "e" },
		{ "=?UTF-8?Q?gr=C3=B6=c3=9fe_x=3F?=", "gr\xc3\xb6\xc3\x9f"
						      "e x?" },
		{ "=?UTF-8*de?Q?a?=", "a" },
		{ "=?US-ASCII?Q?a?=", "a" },
		{ "a =?UTF-8?B?Yg==?= c", "a b c" },
		{ "=?UTF-8?B?YQ==?= \t=?UTF-8?B?Yg==?=", "ab" },
		{ "=?UTF-8?B?YQ==?= x =?UTF-8?B?Yg==?= ", "a x b " },
		{ "=?UTF-8?B?IGEg?=", " a " },
		{ "=?UTF-8?B?"
		  "?=",
			"" },
		/* What is not one stays. */
		{ "=?", "=?" },
		{ "=?UTF-8", "=?UTF-8" },
		{ "=?UTF-8?B?YQ==", "=?UTF-8?B?YQ==" },
		{ "=?UTF-8?X?YQ==?=", "=?UTF-8?X?YQ==?=" },
		{ "=?UTF-8?BB?YQ==?=", "=?UTF-8?BB?YQ==?=" },
		{ "=?UTF-8?B?Y*==?=", "=?UTF-8?B?Y*==?=" },
		{ "=?UTF-8?Q?a=4?=", "=?UTF-8?Q?a=4?=" },
		{ "=?UTF-8?Q?a=?=", "=?UTF-8?Q?a=?=" },
		{ "=?UTF-8?Q?a=xy?=", "=?UTF-8?Q?a=xy?=" },
		{ "=?UTF-8?Q?a b?=", "=?UTF-8?Q?a b?=" },
		{ "=?ISO-8859-1?Q?a=F6?=", "=?ISO-8859-1?Q?a=F6?=" },
		/* Nothing that could end a header's line comes out. */
		{ "=?UTF-8?Q?a=0D=0Ab?=", "=?UTF-8?Q?a=0D=0Ab?=" },
		{ "=?UTF-8?B?AA==?=", "=?UTF-8?B?AA==?=" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct lab_view text =
			metadata_text_decode(lab_view_cstr(rows[i].text), testing_heap, arena);

		if (!lab_view_eq_cstr(text, rows[i].expected))
			fail_msg("row %zu: \"%.*s\"", i, LAB_VIEW_ARG(text));
	}
}

static void what_would_change_goes_out_as_a_word(void **state)
{
	static const struct {
		const char *text;
		bool is_word;
	} rows[] = { { "plain", false }, { "", false }, { "gr\xc3\xb6", false }, { "a b", false },
		{ " a", true }, { "a ", true }, { "=?UTF-8?B?YQ==?=", true }, { "x=?", true } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct lab_view text = lab_view_cstr(rows[i].text);
		struct lab_view sent = metadata_text_encode(text, testing_heap, arena);

		assert_row(
			i, lab_view_starts_with(sent, LAB_VIEW("=?UTF-8?B?")) == rows[i].is_word);
		assert_row(i, lab_view_eq(metadata_text_decode(sent, testing_heap, arena), text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(words_are_decoded, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_would_change_goes_out_as_a_word, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"
#include "core/fts/fts-words.h"

#include <stdio.h>

struct told {
	char text[2000];
	size_t used;
};

static void add(void *ctx, struct lab_view word)
{
	struct told *told = ctx;

	told->used += (size_t)snprintf(told->text + told->used, sizeof(told->text) - told->used,
		"[%.*s]", LAB_VIEW_ARG(word));
}

static void assert_words(const char *text, const char *expected)
{
	struct told told = { .used = 0 };

	fts_words(lab_view_cstr(text), add, &told);
	assert_string_equal(told.text, expected);
}

static void words_are_runs_of_letters_and_digits(void **state)
{
	(void)state;
	assert_words("", "");
	assert_words(" .,- \r\n", "");
	assert_words("One two-THREE,four_5", "[one][two][three][four][5]");
	assert_words("na\xc3\xafve caf\xc3\x89", "[na\xc3\xafve][caf\xc3\x89]");
	assert_words("a", "[a]");
}

static void addresses_are_words_beside_their_parts(void **state)
{
	(void)state;
	assert_words("<Joe.Doe@Example.com>", "[joe][doe][joe.doe@example.com][example][com]");
	assert_words("a@b", "[a][a@b][b]");
	assert_words("@b a@ @", "[b][a]");
	assert_words("x@y.com, z", "[x][x@y.com][y][com][z]");
	assert_words("end x@y.com.", "[end][x][x@y.com][y][com]");
}

static void long_words_are_cut(void **state)
{
	char text[600];
	struct told told = { .used = 0 };

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	fts_words(lab_view_cstr(text), add, &told);
	assert_int_equal(told.used, FTS_WORD_MAX + 2);
	/* No address is cut: it is none. */
	text[300] = '@';
	told.used = 0;
	fts_words(lab_view_cstr(text), add, &told);
	assert_int_equal(told.used, FTS_WORD_MAX + 2 + FTS_WORD_MAX + 2);
}

static void a_header_ends_at_an_empty_line(void **state)
{
	static const struct {
		const char *mail;
		size_t bytes;
	} rows[] = { { "", 0 }, { "A: b", 4 }, { "A: b\n", 5 }, { "A: b\n\nx", 6 },
		{ "A: b\r\n\r\nx\n\ny", 8 }, { "\nbody", 1 }, { "\r\nbody", 2 },
		{ "A: b\n \nC: d\n\n", 13 } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, fts_header_bytes(lab_view_cstr(rows[i].mail)) == rows[i].bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_runs_of_letters_and_digits),
		cmocka_unit_test(addresses_are_words_beside_their_parts),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(a_header_ends_at_an_empty_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

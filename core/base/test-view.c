/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

static const struct lab_view nothing;

static void sub_and_skip_stay_inside(void **state)
{
	struct lab_view v = LAB_VIEW("abcdef");

	(void)state;
	assert_true(lab_view_eq_cstr(lab_view_sub(v, 2, 3), "cde"));
	assert_true(lab_view_eq_cstr(lab_view_sub(v, 4, 100), "ef"));
	assert_int_equal(lab_view_sub(v, 6, 1).len, 0);
	assert_int_equal(lab_view_sub(v, SIZE_MAX, SIZE_MAX).len, 0);
	assert_true(lab_view_eq_cstr(lab_view_skip(v, 5), "f"));
	assert_int_equal(lab_view_skip(v, 7).len, 0);
	assert_int_equal(lab_view_skip(nothing, 7).len, 0);
	assert_null(lab_view_sub(nothing, 1, 1).ptr);
}

static void equality_looks_at_bytes_only(void **state)
{
	(void)state;
	assert_true(lab_view_eq(nothing, LAB_VIEW("")));
	assert_true(lab_view_eq(LAB_VIEW("a\0b"), LAB_VIEW("a\0b")));
	assert_false(lab_view_eq(LAB_VIEW("a\0b"), LAB_VIEW("a\0c")));
	assert_false(lab_view_eq_cstr(LAB_VIEW("abc"), "ab"));
	assert_true(lab_view_eq_cstr(nothing, NULL));
	assert_null(lab_view_cstr(NULL).ptr);
	assert_true(lab_view_eq_nocase(LAB_VIEW("Content-Type"), LAB_VIEW("cONTENT-tYPE")));
	assert_false(lab_view_eq_nocase(LAB_VIEW("a"), LAB_VIEW("ab")));
	/* Only letters fold: '[' and '{' differ by the same bit. */
	assert_false(lab_view_eq_nocase(LAB_VIEW("["), LAB_VIEW("{")));
	assert_false(lab_view_eq_nocase(LAB_VIEW("@"), LAB_VIEW("`")));
	assert_true(lab_view_eq_secret(LAB_VIEW("secret"), LAB_VIEW("secret")));
	assert_false(lab_view_eq_secret(LAB_VIEW("secret"), LAB_VIEW("secreT")));
	assert_false(lab_view_eq_secret(LAB_VIEW("secret"), LAB_VIEW("secre")));
}

static void prefixes_and_suffixes(void **state)
{
	struct lab_view v = LAB_VIEW("dict:fs");

	(void)state;
	assert_true(lab_view_starts_with(v, LAB_VIEW("dict:")));
	assert_true(lab_view_starts_with(v, nothing));
	assert_false(lab_view_starts_with(LAB_VIEW("dic"), LAB_VIEW("dict")));
	assert_true(lab_view_ends_with(v, LAB_VIEW(":fs")));
	assert_true(lab_view_ends_with(nothing, nothing));
	assert_false(lab_view_ends_with(v, LAB_VIEW(":gs")));
	assert_false(lab_view_ends_with(LAB_VIEW("s"), LAB_VIEW("fs")));
}

static void order_is_by_bytes_and_prefix_first(void **state)
{
	static const char *const sorted[] = { "", "A", "Aa", "B", "a", "\x7f", "\x80", "\xff" };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(sorted); i++) {
		for (size_t j = 0; j < LAB_COUNT_OF(sorted); j++) {
			int order =
				lab_view_cmp(lab_view_cstr(sorted[i]), lab_view_cstr(sorted[j]));

			assert_row(i * 100 + j, (order < 0) == (i < j) && (order > 0) == (i > j));
		}
	}
}

static void find_gives_the_first(void **state)
{
	struct lab_view v = LAB_VIEW("a=b=c");

	(void)state;
	assert_int_equal(lab_view_find_byte(v, '='), 1);
	assert_true(lab_view_find_byte(v, 'x') == SIZE_MAX);
	assert_true(lab_view_find_byte(nothing, 0) == SIZE_MAX);
	assert_int_equal(lab_view_find(v, LAB_VIEW("=c")), 3);
	assert_int_equal(lab_view_find(v, nothing), 0);
	assert_true(lab_view_find(v, LAB_VIEW("=d")) == SIZE_MAX);
	assert_true(lab_view_find(nothing, v) == SIZE_MAX);
}

static void split_gives_every_part_once(void **state)
{
	static const struct {
		const char *text, *joined;
	} rows[] = { { "a,,b", "<a><><b>" }, { "", "<>" }, { ",", "<><>" }, { "abc", "<abc>" } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct lab_view rest = lab_view_cstr(rows[i].text), part;
		char joined[64] = "";
		size_t used = 0;

		while (lab_view_split(&rest, ',', &part))
			used += (size_t)snprintf(
				joined + used, sizeof(joined) - used, "<%.*s>", LAB_VIEW_ARG(part));
		assert_row(i, strcmp(joined, rows[i].joined) == 0);
	}
	struct lab_view rest = nothing, part;
	assert_false(lab_view_split(&rest, ',', &part));
}

static void trim_takes_white_space_off_both_ends(void **state)
{
	(void)state;
	assert_true(lab_view_eq_cstr(lab_view_trim(LAB_VIEW(" \t a b\r\n")), "a b"));
	assert_int_equal(lab_view_trim(LAB_VIEW(" \t")).len, 0);
	assert_int_equal(lab_view_trim(nothing).len, 0);
	assert_true(lab_view_eq_cstr(lab_view_trim(LAB_VIEW("\va")), "\va"));
}

static void numbers_are_whole_and_fit(void **state)
{
	static const struct {
		const char *text;
		int u64;
		uint64_t u64_value;
		int i64;
		int64_t i64_value;
	} rows[] = {
		{ "0", 0, 0, 0, 0 },
		{ "007", 0, 7, 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX, -1, 0 },
		{ "18446744073709551616", -1, 0, -1, 0 },
		{ "99999999999999999999999", -1, 0, -1, 0 },
		{ "9223372036854775807", 0, INT64_MAX, 0, INT64_MAX },
		{ "9223372036854775808", 0, UINT64_C(9223372036854775808), -1, 0 },
		{ "-9223372036854775808", -1, 0, 0, INT64_MIN },
		{ "-9223372036854775809", -1, 0, -1, 0 },
		{ "-1", -1, 0, 0, -1 },
		{ "", -1, 0, -1, 0 },
		{ "-", -1, 0, -1, 0 },
		{ "--1", -1, 0, -1, 0 },
		{ "+1", -1, 0, -1, 0 },
		{ " 1", -1, 0, -1, 0 },
		{ "1x", -1, 0, -1, 0 },
		{ "1:", -1, 0, -1, 0 },
		{ "1/", -1, 0, -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		uint64_t u64 = 4242;
		int64_t i64 = 4242;

		assert_row(i, lab_view_to_u64(lab_view_cstr(rows[i].text), &u64) == rows[i].u64);
		assert_row(i, u64 == (rows[i].u64 == 0 ? rows[i].u64_value : 4242));
		assert_row(i, lab_view_to_i64(lab_view_cstr(rows[i].text), &i64) == rows[i].i64);
		assert_row(i, i64 == (rows[i].i64 == 0 ? rows[i].i64_value : 4242));
	}
}

static void to_cstr_refuses_what_a_c_string_cannot_hold(void **state)
{
	char out[4];

	(void)state;
	assert_int_equal(lab_view_to_cstr(LAB_VIEW("abc"), out, sizeof(out)), 0);
	assert_string_equal(out, "abc");
	assert_int_equal(lab_view_to_cstr(LAB_VIEW("abcd"), out, sizeof(out)), -1);
	assert_int_equal(lab_view_to_cstr(LAB_VIEW("a\0b"), out, sizeof(out)), -1);
	assert_string_equal(out, "abc");
	assert_int_equal(lab_view_to_cstr(nothing, out, 1), 0);
	assert_string_equal(out, "");
	assert_int_equal(lab_view_to_cstr(nothing, out, 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sub_and_skip_stay_inside),
		cmocka_unit_test(equality_looks_at_bytes_only),
		cmocka_unit_test(prefixes_and_suffixes),
		cmocka_unit_test(order_is_by_bytes_and_prefix_first),
		cmocka_unit_test(find_gives_the_first),
		cmocka_unit_test(split_gives_every_part_once),
		cmocka_unit_test(trim_takes_white_space_off_both_ends),
		cmocka_unit_test(numbers_are_whole_and_fit),
		cmocka_unit_test(to_cstr_refuses_what_a_c_string_cannot_hold),
	};

	return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}

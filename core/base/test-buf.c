/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

static void appends_follow_each_other(void **state)
{
	struct lab_buf buf;

	(void)state;
	lab_buf_init(&buf, testing_heap, 1000);
	assert_null(buf.data);
	assert_string_equal(lab_buf_cstr(&buf), "");
	lab_buf_append_cstr(&buf, "ab");
	lab_buf_append(&buf, NULL, 0);
	lab_buf_append_view(&buf, LAB_VIEW("cd"));
	lab_buf_append_byte(&buf, 'e');
	lab_buf_printf(&buf, "<%d>", 42);
	assert_string_equal(lab_buf_cstr(&buf), "abcde<42>");
	assert_int_equal(lab_buf_view(&buf).len, 9);
	lab_buf_reset(&buf);
	assert_string_equal(lab_buf_cstr(&buf), "");
	lab_buf_done(&buf);
	assert_int_equal(lab_heap_used(testing_heap), 0);
	lab_buf_append_cstr(&buf, "again");
	assert_string_equal(lab_buf_cstr(&buf), "again");
	lab_buf_done(&buf);
}

static void integers_are_big_endian(void **state)
{
	static const uint8_t expected[] = { 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7,
		0xff };
	struct lab_buf buf;

	(void)state;
	lab_buf_init(&buf, testing_heap, 1000);
	lab_buf_append_u16(&buf, 0x1234);
	lab_buf_append_u32(&buf, 0xdeadbeef);
	lab_buf_append_u64(&buf, UINT64_C(0x01020304050607ff));
	assert_int_equal(buf.len, sizeof(expected));
	assert_memory_equal(buf.data, expected, sizeof(expected));
	lab_buf_done(&buf);
}

static void overflow_is_sticky_and_keeps_what_fitted(void **state)
{
	struct lab_buf buf;

	(void)state;
	lab_buf_init(&buf, testing_heap, 10);
	lab_buf_append_cstr(&buf, "12345678");
	assert_false(buf.overflow);
	lab_buf_append_cstr(&buf, "abc");
	assert_true(buf.overflow);
	lab_buf_append_byte(&buf, 'x'); /* would fit, but comes after the overflow */
	lab_buf_printf(&buf, "y");
	assert_null(lab_buf_reserve(&buf, 1));
	assert_string_equal(lab_buf_cstr(&buf), "12345678");
	lab_buf_reset(&buf);
	lab_buf_append_cstr(&buf, "0123456789");
	assert_false(buf.overflow);
	assert_string_equal(lab_buf_cstr(&buf), "0123456789");
	assert_null(lab_buf_reserve(&buf, SIZE_MAX));
	lab_buf_done(&buf);
	assert_false(buf.overflow);
}

static void printf_up_to_the_last_byte(void **state)
{
	(void)state;
	for (size_t max = 0; max < 140; max++) {
		struct lab_buf buf;

		lab_buf_init(&buf, testing_heap, max);
		lab_buf_printf(&buf, "%070d", 1);
		lab_buf_printf(&buf, "%s", "0123456789");
		size_t expected = max < 70 ? 0 : (max < 80 ? 70 : 80);
		assert_row(max, buf.len == expected);
		assert_row(max, buf.overflow == (max < 80));
		assert_row(max, strlen(lab_buf_cstr(&buf)) == expected);
		lab_buf_done(&buf);
	}
}

static void reserve_and_commit(void **state)
{
	struct lab_buf buf;

	(void)state;
	lab_buf_init(&buf, testing_heap, 1000);
	memcpy(lab_buf_reserve(&buf, 100), "hello", 5);
	lab_buf_commit(&buf, 5);
	assert_string_equal(lab_buf_cstr(&buf), "hello");
	assert_asserts(lab_buf_commit(&buf, 1000));
	assert_non_null(lab_buf_reserve(&buf, 0));
	lab_buf_done(&buf);
}

static void consume_takes_from_the_front(void **state)
{
	struct lab_buf buf;

	(void)state;
	lab_buf_init(&buf, testing_heap, 1000);
	lab_buf_consume(&buf, 0);
	lab_buf_append_cstr(&buf, "header body");
	lab_buf_consume(&buf, 7);
	assert_string_equal(lab_buf_cstr(&buf), "body");
	assert_asserts(lab_buf_consume(&buf, 5));
	lab_buf_consume(&buf, 4);
	assert_int_equal(buf.len, 0);
	lab_buf_done(&buf);
}

static void grows_to_its_maximum_byte_by_byte(void **state)
{
	struct lab_buf buf;

	(void)state;
	lab_buf_init(&buf, testing_heap, 100003);
	for (unsigned i = 0; i < 100003; i++)
		lab_buf_append_byte(&buf, (uint8_t)i);
	assert_false(buf.overflow);
	for (unsigned i = 0; i < 100003; i++)
		assert_row(i, buf.data[i] == (uint8_t)i);
	lab_buf_append_byte(&buf, 0);
	assert_true(buf.overflow);
	lab_buf_done(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(appends_follow_each_other),
		testing_test(integers_are_big_endian),
		testing_test(overflow_is_sticky_and_keeps_what_fitted),
		testing_test(printf_up_to_the_last_byte),
		testing_test(reserve_and_commit),
		testing_test(consume_takes_from_the_front),
		testing_test(grows_to_its_maximum_byte_by_byte),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}

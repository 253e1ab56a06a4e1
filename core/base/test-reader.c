/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

static void numbers_come_back_as_they_were_appended(void **state)
{
	struct lab_pool *pool = lab_pool_new(1 << 20);
	struct lab_heap *heap = lab_heap_new(pool, 1 << 20);
	struct lab_reader reader = { 0 };
	struct lab_buf buf;
	char text[4] = "";
	(void)state;

	lab_buf_init(&buf, heap, 100);
	lab_buf_append_byte(&buf, 0x80);
	lab_buf_append_u16(&buf, 0xfedc);
	lab_buf_append_u32(&buf, 0x80000001);
	lab_buf_append_u64(&buf, UINT64_C(0xf123456789abcdef));
	lab_buf_append_cstr(&buf, "abcde");
	reader.rest = lab_buf_view(&buf);
	assert_int_equal(lab_read_u8(&reader), 0x80);
	assert_int_equal(lab_read_u16(&reader), 0xfedc);
	assert_int_equal(lab_read_u32(&reader), 0x80000001);
	assert_true(lab_read_u64(&reader) == UINT64_C(0xf123456789abcdef));
	lab_read_bytes(&reader, text, 3);
	assert_string_equal(text, "abc");
	assert_true(lab_view_eq_cstr(lab_read_view(&reader, 2), "de"));
	assert_int_equal(lab_read_view(&reader, 0).len, 0);
	assert_false(reader.failed);
	lab_buf_done(&buf);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

static void what_is_not_there_fails_and_ends_it(void **state)
{
	struct lab_reader reader = { .rest = LAB_VIEW("abc") };
	char text[4] = "xyz";
	(void)state;

	assert_int_equal(lab_read_u32(&reader), 0);
	assert_true(reader.failed);
	assert_int_equal(reader.rest.len, 0);
	assert_int_equal(lab_read_u8(&reader), 0);
	lab_read_bytes(&reader, text, 1);
	assert_string_equal(text, "xyz");
	assert_int_equal(lab_read_view(&reader, SIZE_MAX).len, 0);
	assert_true(reader.failed);
}

static void counts_are_of_things_that_can_be_there(void **state)
{
	static const struct {
		struct lab_view bytes;
		size_t each;
		uint32_t count;
		bool failed;
	} rows[] = {
		{ { (const uint8_t *)"\0\0\0\2abcd", 8 }, 2, 2, false },
		{ { (const uint8_t *)"\0\0\0\2abc", 7 }, 2, 0, true },
		{ { (const uint8_t *)"\0\0\0\0", 4 }, 100, 0, false },
		{ { (const uint8_t *)"\377\377\377\377abcd", 8 }, 1, 0, true },
		{ { (const uint8_t *)"\0\0\0", 3 }, 1, 0, true },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct lab_reader reader = { .rest = rows[i].bytes };

		assert_int_equal(lab_read_count(&reader, rows[i].each), rows[i].count);
		assert_int_equal(reader.failed, rows[i].failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_come_back_as_they_were_appended),
		cmocka_unit_test(what_is_not_there_fails_and_ends_it),
		cmocka_unit_test(counts_are_of_things_that_can_be_there),
	};

	return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}

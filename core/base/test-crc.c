/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include "core/base/crc.h"

static const enum lab_crc_kind kinds[] = { LAB_CRC32, LAB_CRC32C, LAB_CRC64NVME };

static void published_check_values(void **state)
{
	static const uint64_t expected[] = { UINT64_C(0xcbf43926), UINT64_C(0xe3069283),
		UINT64_C(0xae8b14860a799888) };
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(kinds); i++) {
		assert_row(i, lab_crc(kinds[i], 0, LAB_VIEW("123456789")) == expected[i]);
		assert_row(i, lab_crc(kinds[i], 0, lab_view_of(NULL, 0)) == 0);
		assert_row(i, lab_crc_size(kinds[i]) == (i == 2 ? 8 : 4));
	}
}

/* RFC 3720 B.4: 32 bytes of zeros, of ones, ascending, descending. CRC64NVME: 4096 bytes of zeros
 * and of ones, from the NVM Express command set specification. */
static void published_patterns(void **state)
{
	uint8_t up[32], down[32], page[4096];
	(void)state;

	for (uint8_t i = 0; i < 32; i++) {
		up[i] = i;
		down[i] = (uint8_t)(31 - i);
	}
	memset(page, 0, sizeof(page));
	assert_int_equal(lab_crc(LAB_CRC32C, 0, lab_view_of(page, 32)), 0x8a9136aa);
	assert_true(
		lab_crc(LAB_CRC64NVME, 0, lab_view_of(page, 4096)) == UINT64_C(0x6482d367eb22b64e));
	memset(page, 0xff, sizeof(page));
	assert_int_equal(lab_crc(LAB_CRC32C, 0, lab_view_of(page, 32)), 0x62a8ab43);
	assert_true(
		lab_crc(LAB_CRC64NVME, 0, lab_view_of(page, 4096)) == UINT64_C(0xc0ddba7302eca3ac));
	assert_int_equal(lab_crc(LAB_CRC32C, 0, lab_view_of(up, 32)), 0x46dd794e);
	assert_int_equal(lab_crc(LAB_CRC32C, 0, lab_view_of(down, 32)), 0x113fdb5c);
}

/* One byte at a time against all at once, at every length and alignment around sixteens. */
static void all_lengths_agree(void **state)
{
	uint8_t data[300];
	(void)state;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * i + 7 * i);
	for (size_t i = 0; i < LAB_COUNT_OF(kinds); i++) {
		for (size_t from = 0; from < 17; from++) {
			uint64_t slow = 0;

			for (size_t len = 0; from + len < sizeof(data); len++) {
				struct lab_view all = lab_view_of(data + from, len);

				assert_row(len, lab_crc(kinds[i], 0, all) == slow);
				slow = lab_crc(kinds[i], slow, lab_view_of(data + from + len, 1));
			}
		}
	}
}

/* Whatever the cut, in one go and in two, computed and combined. */
static void parts_give_the_whole(void **state)
{
	uint8_t data[200];
	(void)state;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 11);
	for (size_t i = 0; i < LAB_COUNT_OF(kinds); i++) {
		uint64_t whole = lab_crc(kinds[i], 0, lab_view_of(data, sizeof(data)));

		for (size_t cut = 0; cut <= sizeof(data); cut++) {
			struct lab_view rest = lab_view_of(data + cut, sizeof(data) - cut);
			uint64_t first = lab_crc(kinds[i], 0, lab_view_of(data, cut));

			assert_row(cut, lab_crc(kinds[i], first, rest) == whole);
			assert_row(cut, lab_crc_combine(kinds[i], first, lab_crc(kinds[i], 0, rest),
						rest.len) == whole);
		}
	}
}

/* Long data goes by another way than short: the same result, wherever it begins and ends. */
static void long_data_is_the_sum_of_short(void **state)
{
	static uint8_t data[9000];
	size_t len = sizeof(data) - 100;
	(void)state;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * i / 7 + i);
	for (size_t i = 0; i < LAB_COUNT_OF(kinds); i++) {
		for (size_t from = 0; from < 20; from++) {
			uint64_t whole = lab_crc(kinds[i], from, lab_view_of(data + from, len));
			uint64_t parts = from;

			for (size_t at = 0; at < len; at += 100)
				parts = lab_crc(
					kinds[i], parts, lab_view_of(data + from + at, 100));
			assert_row(from, whole == parts);
		}
	}
}

/* 8 MiB of zeros behind "123456789", without computing them twice. */
static void long_second_parts_combine(void **state)
{
	size_t len = 8 << 20;
	uint8_t *zeros = lab_heap_alloc(testing_heap, len);
	(void)state;

	memset(zeros, 0, len);
	for (size_t i = 0; i < LAB_COUNT_OF(kinds); i++) {
		uint64_t first = lab_crc(kinds[i], 0, LAB_VIEW("123456789"));
		uint64_t second = lab_crc(kinds[i], 0, lab_view_of(zeros, len));

		assert_row(i, lab_crc_combine(kinds[i], first, second, len) ==
				      lab_crc(kinds[i], first, lab_view_of(zeros, len)));
	}
	lab_heap_free(testing_heap, zeros);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_check_values),
		cmocka_unit_test(published_patterns),
		cmocka_unit_test(all_lengths_agree),
		cmocka_unit_test(parts_give_the_whole),
		cmocka_unit_test(long_data_is_the_sum_of_short),
		cmocka_unit_test_setup_teardown(
			long_second_parts_combine, testing_setup, testing_teardown),
	};

	return cmocka_run_group_tests_name("crc", tests, NULL, NULL);
}

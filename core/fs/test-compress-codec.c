/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"
#include "core/fs/compress-codec.h"

#define BIG (300 * 1000)

static const struct {
	enum compress_algorithm algorithm;
	const char *name;
	int level_min, level_max;
} all[] = {
	{ COMPRESS_ZSTD, "zstd", 1, 22 },
	{ COMPRESS_GZ, "gz", 1, 9 },
	{ COMPRESS_DEFLATE, "deflate", 1, 9 },
	{ COMPRESS_LZ4, "lz4", 1, 9 },
};

/* Some of it repeats, some of it does not. */
static struct lab_view make_text(size_t len)
{
	uint8_t *text = lab_heap_alloc(testing_heap, len);

	for (size_t i = 0; i < len; i++)
		text[i] = i % 3 == 0 ? (uint8_t)lab_draw(1, "text", 0, i) : (uint8_t)('a' + i % 7);
	return lab_view_of(text, len);
}

static void encode(size_t row, int level, struct lab_view plain, struct lab_buf *out)
{
	struct lab_error err;

	lab_buf_init(out, testing_heap, 2 * plain.len + 4096);
	assert_row(row, compress_encode(all[row].algorithm, level, plain, out, &err) == 0);
}

static void assert_round_trip(size_t row, int level, struct lab_view plain, size_t max_bytes)
{
	struct lab_buf packed, unpacked;
	struct lab_error err;

	encode(row, level, plain, &packed);
	assert_row(row, compress_detect(lab_buf_view(&packed)) == all[row].algorithm);
	lab_buf_init(&unpacked, testing_heap, max_bytes);
	assert_row(row,
		compress_decode(all[row].algorithm, lab_buf_view(&packed), &unpacked, &err) == 0);
	assert_row(row, lab_view_eq(lab_buf_view(&unpacked), plain));
	lab_buf_done(&packed);
	lab_buf_done(&unpacked);
}

static void contents_come_back_at_every_level(void **state)
{
	struct lab_view text = make_text(20000);

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(all); i++) {
		for (int level = all[i].level_min; level <= all[i].level_max; level++)
			assert_round_trip(i, level, text, 20000);
	}
}

static void every_size_around_a_piece_comes_back(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 16383, 16384, 16385, 32768, 65536, BIG };
	struct lab_view text = make_text(BIG);

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(all); i++) {
		for (size_t k = 0; k < LAB_COUNT_OF(sizes); k++) {
			struct lab_view part = lab_view_sub(text, 0, sizes[k]);

			assert_round_trip(i, 3, part, sizes[k]);
			assert_round_trip(i, 3, part, sizes[k] + 1);
		}
	}
}

static void nothing_is_a_stream_of_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(all); i++)
		assert_round_trip(i, 1, lab_view_of(NULL, 0), 0);
}

static void decode_fails(size_t row, struct lab_view packed, size_t max_bytes, enum lab_code code)
{
	struct lab_error err = { .code = LAB_OK };
	struct lab_buf out;

	lab_buf_init(&out, testing_heap, max_bytes);
	assert_row(row, compress_decode(all[row].algorithm, packed, &out, &err) < 0);
	assert_row(row, err.code == code);
	lab_buf_done(&out);
}

static void a_stream_that_is_cut_anywhere_is_corrupt(void **state)
{
	struct lab_view text = make_text(3000);

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(all); i++) {
		struct lab_buf packed;

		encode(i, 3, text, &packed);
		for (size_t len = 0; len < packed.len; len++)
			decode_fails(i, lab_view_of(packed.data, len), 3000, LAB_CORRUPT);
		lab_buf_done(&packed);
	}
}

static void bytes_behind_a_stream_are_corrupt(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(all); i++) {
		struct lab_buf packed;

		encode(i, 3, LAB_VIEW("hello"), &packed);
		lab_buf_append_byte(&packed, 'x');
		decode_fails(i, lab_buf_view(&packed), 100, LAB_CORRUPT);
		lab_buf_done(&packed);
	}
}

static void a_changed_byte_is_noticed(void **state)
{
	struct lab_view text = make_text(2000);

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(all); i++) {
		struct lab_buf packed, out;
		struct lab_error err;

		encode(i, 3, text, &packed);
		for (size_t at = 0; at < packed.len; at++) {
			packed.data[at] ^= 0x10;
			lab_buf_init(&out, testing_heap, 4000);
			assert_row(at, compress_decode(all[i].algorithm, lab_buf_view(&packed),
					       &out, &err) < 0 ||
					       lab_view_eq(lab_buf_view(&out), text));
			lab_buf_done(&out);
			packed.data[at] ^= 0x10;
		}
		lab_buf_done(&packed);
	}
}

static void more_than_the_limit_is_refused(void **state)
{
	static const size_t sizes[] = { 1, 100, 16384, 16385, BIG };
	struct lab_view text = make_text(BIG);

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(all); i++) {
		for (size_t k = 0; k < LAB_COUNT_OF(sizes); k++) {
			struct lab_buf packed;

			encode(i, 1, lab_view_sub(text, 0, sizes[k]), &packed);
			decode_fails(i, lab_buf_view(&packed), sizes[k] - 1, LAB_LIMIT);
			decode_fails(i, lab_buf_view(&packed), 0, LAB_LIMIT);
			lab_buf_done(&packed);
		}
	}
}

static void a_bomb_stops_at_the_limit(void **state)
{
	size_t len = 16 * 1000 * 1000;
	struct lab_view zeros = lab_view_of(lab_heap_alloc(testing_heap, len), len);

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(all); i++) {
		struct lab_buf packed;
		size_t before;

		encode(i, 1, zeros, &packed);
		before = lab_heap_used(testing_heap);
		decode_fails(i, lab_buf_view(&packed), 100000, LAB_LIMIT);
		assert_int_equal(lab_heap_used(testing_heap), before);
		lab_buf_done(&packed);
	}
}

static void an_output_without_room_is_a_limit(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(all); i++) {
		struct lab_error err = { .code = LAB_OK };
		struct lab_buf out;

		lab_buf_init(&out, testing_heap, 4);
		assert_row(
			i, compress_encode(all[i].algorithm, 1, LAB_VIEW("hello"), &out, &err) < 0);
		assert_row(i, err.code == LAB_LIMIT);
		lab_buf_done(&out);
	}
}

static void algorithms_are_known_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(all); i++)
		assert_row(i, compress_by_name(lab_view_cstr(all[i].name)) == all[i].algorithm);
	assert_int_equal(compress_by_name(LAB_VIEW("bz2")), COMPRESS_NONE);
	assert_int_equal(compress_by_name(LAB_VIEW("")), COMPRESS_NONE);
	assert_int_equal(compress_by_name(LAB_VIEW("ZSTD")), COMPRESS_NONE);
}

static void plain_text_is_not_taken_for_a_stream(void **state)
{
	static const char *const plain[] = { "", "x", "xx", "X-Header: a", "x-header: a", "x=1",
		"x?y", "x}", "From: a@b", "\x1f", "\x28\xb5\x2f", "\x04\x22\x4d" };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(plain); i++)
		assert_row(i, compress_detect(lab_view_cstr(plain[i])) == COMPRESS_NONE);
	/* The four headers that zlib writes, and one with a dictionary. */
	assert_int_equal(compress_detect(lab_view_of("\x78\x01", 2)), COMPRESS_DEFLATE);
	assert_int_equal(compress_detect(lab_view_of("\x78\x5e", 2)), COMPRESS_DEFLATE);
	assert_int_equal(compress_detect(lab_view_of("\x78\x9c", 2)), COMPRESS_DEFLATE);
	assert_int_equal(compress_detect(lab_view_of("\x78\xda", 2)), COMPRESS_DEFLATE);
	assert_int_equal(compress_detect(lab_view_of("\x78\xbb", 2)), COMPRESS_NONE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, testing_setup, testing_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(contents_come_back_at_every_level),
		T(every_size_around_a_piece_comes_back),
		T(nothing_is_a_stream_of_nothing),
		T(a_stream_that_is_cut_anywhere_is_corrupt),
		T(bytes_behind_a_stream_are_corrupt),
		T(a_changed_byte_is_noticed),
		T(more_than_the_limit_is_refused),
		T(a_bomb_stops_at_the_limit),
		T(an_output_without_room_is_a_limit),
		T(algorithms_are_known_by_name),
		T(plain_text_is_not_taken_for_a_stream),
	};

	return cmocka_run_group_tests_name("compress-codec", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Segments of version 5, plain and with LZ4: frames come back whole, from however few bytes, and no
 * bit may change.
 */
#include "core/base/base.h"
#include "core/base/testing.h"
#include "core/cql/cql-codec.h"

static const enum cql_compression both[] = { CQL_UNCOMPRESSED, CQL_LZ4 };

static struct lab_pool *pool;
static struct lab_heap *heap;
static struct lab_arena *arena;

static int set_up(void **state)
{
	(void)state;
	pool = lab_pool_new(64u << 20);
	heap = lab_heap_new(pool, 64u << 20);
	arena = lab_arena_new(heap, 32u << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	lab_arena_free(&arena);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
	return 0;
}

/* Half of it repeats, so that LZ4 has something to do. */
static struct lab_view frame_of(size_t len)
{
	uint8_t *bytes = lab_arena_alloc(arena, len + 1);

	for (size_t i = 0; i < len; i++)
		bytes[i] = i % 2 == 0 ? 7 : (uint8_t)(lab_mix64(i) >> 8);
	return lab_view_of(bytes, len);
}

static struct lab_buf segments_of(struct lab_view frame, enum cql_compression compression)
{
	struct lab_buf out;

	lab_buf_init(&out, heap, 16u << 20);
	cql_segments_put(&out, frame, compression, arena);
	assert_false(out.overflow);
	return out;
}

static void frames_come_back_whole(void **state)
{
	static const size_t lengths[] = { 1, 9, 1000, 131054, 131055, 131060, 131061, 131071,
		131072, 500000 };
	(void)state;

	for (size_t i = 0; i < 2 * LAB_COUNT_OF(lengths); i++) {
		struct lab_view frame = frame_of(lengths[i / 2]);
		struct lab_buf out = segments_of(frame, both[i % 2]), joined;
		struct lab_view rest = lab_buf_view(&out);
		struct cql_segment segment;
		size_t used, count = 0;

		lab_buf_init(&joined, heap, 16u << 20);
		while (rest.len > 0) {
			assert_row(i, cql_segment_next(rest, both[i % 2], arena, &segment, &used,
					      NULL) == 1);
			assert_row(i, segment.payload.len <= CQL_SEGMENT_PAYLOAD_MAX);
			lab_buf_append_view(&joined, segment.payload);
			rest = lab_view_skip(rest, used);
			count++;
		}
		assert_row(i, lab_view_eq(lab_buf_view(&joined), frame));
		assert_row(i, segment.self_contained == (count == 1));
		lab_buf_done(&joined);
		lab_buf_done(&out);
	}
}

static void a_part_asks_for_more(void **state)
{
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(both); i++) {
		struct lab_buf out = segments_of(frame_of(300), both[i]);
		struct cql_segment segment;
		size_t used;

		for (size_t len = 0; len < out.len; len++) {
			assert_int_equal(cql_segment_next(lab_view_sub(lab_buf_view(&out), 0, len),
						 both[i], arena, &segment, &used, NULL),
				0);
		}
		lab_buf_done(&out);
	}
}

static void no_bit_may_change(void **state)
{
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(both); i++) {
		struct lab_buf out = segments_of(frame_of(300), both[i]);
		struct cql_segment segment;
		struct lab_error err;
		size_t used;

		for (size_t bit = 0; bit < 8 * out.len; bit++) {
			out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			err.code = LAB_OK;
			assert_int_equal(cql_segment_next(lab_buf_view(&out), both[i], arena,
						 &segment, &used, &err),
				-1);
			assert_int_equal(err.code, LAB_CORRUPT);
			out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		lab_buf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(frames_come_back_whole),
		T(a_part_asks_for_more),
		T(no_bit_may_change),
	};

	return cmocka_run_group_tests_name("cql-segment", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"
#include "sim/serve/latency-file.h"

static struct lab_arena *arena;
static struct lab_error err;

static int setup(void **state)
{
	int result = testing_setup(state);

	arena = lab_arena_new(testing_heap, (size_t)1 << 26);
	err.message[0] = '\0';
	return result;
}

static int parse(const char *text, struct s3emu_latency *ret)
{
	return latency_file_parse("f.lat", lab_view_cstr(text), arena, ret, &err);
}

static void quantiles_become_a_table(void **state)
{
	struct s3emu_latency l = { .low_ns = 1, .high_ns = 2, .tail_ppm = 3 };
	(void)state;

	assert_int_equal(parse("# GET\n\np50 20ms\n  p90\t60 # ms\r\np99.9 1.5 s\n", &l), 0);
	assert_int_equal(l.table_count, 3);
	assert_int_equal(l.trace_count, 0);
	assert_int_equal(l.table[0].ppm, 500000);
	assert_int_equal(l.table[0].ns, 20 * LAB_MSEC);
	assert_int_equal(l.table[1].ns, 60 * LAB_MSEC);
	assert_int_equal(l.table[2].ppm, 999000);
	assert_int_equal(l.table[2].ns, 1500 * LAB_MSEC);
	assert_int_equal(l.high_ns, 0);
	assert_int_equal(l.tail_ppm, 3);
}

static void times_become_a_trace(void **state)
{
	struct s3emu_latency l = { 0 };
	(void)state;

	assert_int_equal(parse("12ms\n3.5\n0\n2s", &l), 0);
	assert_int_equal(l.trace_count, 4);
	assert_int_equal(l.table_count, 0);
	assert_int_equal(l.trace[0], 12 * LAB_MSEC);
	assert_int_equal(l.trace[1], 3500 * LAB_USEC);
	assert_int_equal(l.trace[2], 0);
	assert_int_equal(l.trace[3], 2 * LAB_SEC);
}

static void what_is_wrong_has_its_line(void **state)
{
	static const struct {
		const char *text, *place, *says;
	} rows[] = {
		{ "1ms\nfast\n", "f.lat:2", "fast" },
		{ "p50 1ms\n\np50 2ms\n", "f.lat:3", "not above the line before" },
		{ "p50 2ms\np60 1ms\n", "f.lat:2", "not above the line before" },
		{ "1ms\np50 2ms\n", "f.lat:2", "either quantiles or times" },
		{ "p50 2ms\n1ms\n", "f.lat:2", "either quantiles or times" },
		{ "p101 2ms\n", "f.lat:1", "101" },
		{ "p5x 2ms\n", "f.lat:1", "p5x" },
		{ "p50.12345678901234567 2ms\n", "f.lat:1", "is no quantile" },
		{ "p50\n", "f.lat:1", "" },
		{ "2 days\n", "f.lat:1", "more than a day" },
		{ "infinite\n", "f.lat:1", "more than a day" },
		{ "", "f.lat: ", "no latency" },
		{ "# only\n\n", "f.lat: ", "no latency" },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct s3emu_latency l = { .low_ns = 7 };

		assert_row(i, parse(rows[i].text, &l) == -1);
		assert_row(i, err.code == LAB_INVALID);
		assert_row(i, strncmp(err.message, rows[i].place, strlen(rows[i].place)) == 0);
		assert_row(i, strstr(err.message, rows[i].says) != NULL);
		assert_row(i, l.low_ns == 7 && l.table_count == 0 && l.trace_count == 0);
	}
}

static void there_are_not_too_many(void **state)
{
	struct s3emu_latency l = { 0 };
	struct lab_buf text;
	(void)state;

	lab_buf_init(&text, testing_heap, (size_t)1 << 24);
	for (unsigned i = 0; i < S3EMU_TRACE_MAX; i++)
		lab_buf_append_cstr(&text, "1\n");
	assert_int_equal(latency_file_parse("t", lab_buf_view(&text), arena, &l, &err), 0);
	assert_int_equal(l.trace_count, S3EMU_TRACE_MAX);
	lab_buf_append_cstr(&text, "1\n");
	assert_int_equal(latency_file_parse("t", lab_buf_view(&text), arena, &l, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	lab_buf_reset(&text);
	for (unsigned i = 0; i <= S3EMU_QUANTILES_MAX; i++)
		lab_buf_printf(&text, "p%u.%03u 1ms\n", i / 1000, i % 1000);
	assert_int_equal(latency_file_parse("t", lab_buf_view(&text), arena, &l, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	lab_buf_done(&text);
}

static int read_file(void *ctx, struct lab_view path, struct lab_arena *into, struct lab_view *ret,
	struct lab_error *e)
{
	(void)into;
	if (!lab_view_eq_cstr(path, "there"))
		return lab_fail(e, LAB_NOT_FOUND, "%.*s: not there", LAB_VIEW_ARG(path));
	*ret = lab_view_cstr(ctx);
	return 0;
}

static void a_file_is_read(void **state)
{
	char text[] = "p50 1ms\nx\n";
	const struct conf_reader reader = { .read_file = read_file, .ctx = text };
	struct s3emu_latency l = { 0 };
	(void)state;

	assert_int_equal(latency_file_load(LAB_VIEW("there"), &reader, arena, &l, &err), -1);
	assert_int_equal(strncmp(err.message, "there:2", 7), 0);
	text[8] = '\0';
	assert_int_equal(latency_file_load(LAB_VIEW("there"), &reader, arena, &l, &err), 0);
	assert_int_equal(l.table_count, 1);
	assert_int_equal(latency_file_load(LAB_VIEW("away"), &reader, arena, &l, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	assert_int_equal(latency_file_load(LAB_VIEW("there"), NULL, arena, &l, &err), -1);
	assert_int_equal(err.code, LAB_UNSUPPORTED);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, testing_teardown)
	const struct CMUnitTest tests[] = {
		T(quantiles_become_a_table),
		T(times_become_a_trace),
		T(what_is_wrong_has_its_line),
		T(there_are_not_too_many),
		T(a_file_is_read),
	};

	return cmocka_run_group_tests_name("latency-file", tests, NULL, NULL);
}

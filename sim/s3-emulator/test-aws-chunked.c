/* SPDX-License-Identifier: Apache-2.0
 *
 * The framing alone: what is a chunk, what is a trailer, and what is neither.
 */
#include "core/base/testing.h"
#include "sim/s3-emulator/aws-chunked.h"

#define SIGNATURE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ABCDEF"

/* Everything that a body gives, as text: data, '|' behind each chunk, then each trailer in
 * brackets, then what stopped it. */
static const char *read_all(struct lab_view body, bool is_signed, uint64_t size)
{
	static char text[4096];
	struct s3emu_chunks chunks;
	struct s3emu_chunk chunk;
	struct s3emu_trailer trailer;
	enum s3emu_chunk_result result;
	size_t at = 0;
	int more;

	s3emu_chunks_start(&chunks, body, is_signed, size);
	while ((result = s3emu_chunks_next(&chunks, &chunk)) == S3EMU_CHUNK_DATA) {
		if (is_signed)
			assert_int_equal(chunk.signature.len, S3EMU_CHUNK_SIGNATURE_LEN);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s|",
			LAB_VIEW_ARG(lab_view_sub(chunk.data, 0, 20)));
	}
	if (result != S3EMU_CHUNK_LAST) {
		(void)snprintf(text + at, sizeof(text) - at, "%s",
			result == S3EMU_CHUNK_TOO_SMALL ? "SMALL" : "BROKEN");
		return text;
	}
	while ((more = s3emu_chunks_trailer(&chunks, &trailer)) > 0)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "[%.*s=%.*s]",
			LAB_VIEW_ARG(trailer.name), LAB_VIEW_ARG(trailer.value));
	(void)snprintf(text + at, sizeof(text) - at, "%s", more == 0 ? "END" : "BROKEN");
	return text;
}

static void unsigned_bodies(void **state)
{
	static const struct {
		const char *body;
		uint64_t size;
		const char *expected;
	} rows[] = {
		{ "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n", 11,
			"hello world|[x-amz-checksum-crc32=DUoRhQ==]END" },
		{ "B\r\nhello world\r\n0\r\n\r\n", 11, "hello world|END" },
		{ "000b\r\nhello world\r\n0000\r\n\r\n", 11, "hello world|END" },
		{ "0\r\n\r\n", 0, "END" },
		{ "1\r\na\r\n0\r\na: b \r\nc:\r\nd\r\n\r\n", 1, "a|[a=b][c=][d=]END" },
		{ "1\r\na\r\n0\r\na:b\n\r\nc:d\r\n\r\n", 1, "a|[a=b][c=d]END" },
		/* data that looks like framing */
		{ "5\r\n\r\n0\r\n\r\n0\r\n\r\n", 5, "\r\n0\r\n|END" },
		/* cut off, anywhere */
		{ "", 0, "BROKEN" },
		{ "0", 0, "BROKEN" },
		{ "0\r\n", 0, "BROKEN" },
		{ "0\r\n\r", 0, "BROKEN" },
		{ "0\r\na:b\r\n", 0, "[a=b]BROKEN" },
		{ "1\r\na", 1, "BROKEN" },
		{ "1\r\na\r\n", 1, "a|BROKEN" },
		{ "A\r\n", 10, "BROKEN" },
		/* something else where framing should be */
		{ "A\ndummy data\r\n0\r\n\r\n", 10, "BROKEN" },
		{ "A\r\ndummy data0\r\n\r\n", 10, "BROKEN" },
		{ "A\r\nXYZ\r\ndummy data\r\n0\r\n\r\n", 10, "BROKEN" },
		{ "g\r\na\r\n0\r\n\r\n", 1, "BROKEN" },
		{ "\r\na\r\n0\r\n\r\n", 1, "BROKEN" },
		{ " 1\r\na\r\n0\r\n\r\n", 1, "BROKEN" },
		{ "-1\r\na\r\n0\r\n\r\n", 1, "BROKEN" },
		{ "0x1\r\na\r\n0\r\n\r\n", 1, "BROKEN" },
		{ "1;a=b\r\na\r\n0\r\n\r\n", 1, "BROKEN" },
		{ "00000000000000001\r\na\r\n0\r\n\r\n", 1, "BROKEN" },
		{ "ffffffffffffffff\r\na\r\n0\r\n\r\n", UINT64_MAX, "BROKEN" },
		{ "1\r\na\r\n0\r\n\r\nx", 1, "a|BROKEN" },
		{ "1\r\na\r\n0\r\n\r\n\r\n", 1, "a|BROKEN" },
		/* more or less than was said */
		{ "B\r\nhello world\r\n0\r\n\r\n", 10, "BROKEN" },
		{ "B\r\nhello world\r\n0\r\n\r\n", 12, "hello world|BROKEN" },
		/* the rule of sizes */
		{ "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 5, "hel|SMALL" },
		{ "3\r\nhel\r\n2", 5, "hel|SMALL" },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, strcmp(read_all(lab_view_cstr(rows[i].body), false, rows[i].size),
				      rows[i].expected) == 0);
}

#define S ";chunk-signature=" SIGNATURE "\r\n"

static void signed_bodies(void **state)
{
	static const struct {
		const char *body;
		uint64_t size;
		const char *expected;
	} rows[] = {
		{ "5" S "hello\r\n0" S "\r\n", 5, "hello|END" },
		{ "0" S "a:b\r\nx-amz-trailer-signature:" SIGNATURE "\r\n\r\n", 0,
			"[a=b][x-amz-trailer-signature=" SIGNATURE "]END" },
		{ "5\r\nhello\r\n0" S "\r\n", 5, "BROKEN" },
		{ "5" S "hello\r\n0\r\n\r\n", 5, "hello|BROKEN" },
		{ "5:chunk-signature=" SIGNATURE "\r\nhello\r\n0" S "\r\n", 5, "BROKEN" },
		{ "5;Chunk-signature=" SIGNATURE "\r\nhello\r\n0" S "\r\n", 5, "BROKEN" },
		{ "5;chunk-signature=" SIGNATURE "0\r\nhello\r\n0" S "\r\n", 5, "BROKEN" },
		{ "5;chunk-signature=0123\r\nhello\r\n0" S "\r\n", 5, "BROKEN" },
		{ "5" S "hello\r\n0;chunk-signature=", 5, "hello|BROKEN" },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, strcmp(read_all(lab_view_cstr(rows[i].body), true, rows[i].size),
				      rows[i].expected) == 0);
}

/* Two chunks of which the first has `first` bytes. */
static enum s3emu_chunk_result second_after(size_t first, struct s3emu_chunks *chunks)
{
	struct lab_buf body;
	struct s3emu_chunk chunk;
	enum s3emu_chunk_result result;

	lab_buf_init(&body, testing_heap, 1 << 20);
	lab_buf_printf(&body, "%zx\r\n", first);
	for (size_t i = 0; i < first; i++)
		lab_buf_append_byte(&body, 'x');
	lab_buf_append_cstr(&body, "\r\n1\r\ny\r\n0\r\n\r\n");
	s3emu_chunks_start(chunks, lab_buf_view(&body), false, first + 1);
	assert_int_equal(s3emu_chunks_next(chunks, &chunk), S3EMU_CHUNK_DATA);
	assert_int_equal(chunk.data.len, first);
	result = s3emu_chunks_next(chunks, &chunk);
	lab_buf_done(&body);
	return result;
}

static void only_the_last_chunk_may_be_small(void **state)
{
	struct s3emu_chunks chunks;
	(void)state;

	assert_int_equal(second_after(8192, &chunks), S3EMU_CHUNK_DATA);
	assert_int_equal(second_after(8191, &chunks), S3EMU_CHUNK_TOO_SMALL);
	assert_int_equal(chunks.count + 1, 2);
	assert_int_equal(chunks.last_size, 8191);
}

static void long_trailer_lines_are_refused(void **state)
{
	struct lab_buf body;
	(void)state;

	for (size_t len = S3EMU_TRAILER_LINE_MAX - 2; len < S3EMU_TRAILER_LINE_MAX; len++) {
		lab_buf_init(&body, testing_heap, 1 << 20);
		lab_buf_append_cstr(&body, "0\r\n");
		for (size_t i = 0; i < len; i++)
			lab_buf_append_byte(&body, 'n');
		lab_buf_append_cstr(&body, "\r\n\r\n");
		assert_row(len,
			lab_view_ends_with(lab_view_cstr(read_all(lab_buf_view(&body), false, 0)),
				lab_view_cstr(
					len == S3EMU_TRAILER_LINE_MAX - 2 ? "END" : "BROKEN")));
		lab_buf_done(&body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unsigned_bodies),
		cmocka_unit_test(signed_bodies),
		cmocka_unit_test_setup_teardown(
			only_the_last_chunk_may_be_small, testing_setup, testing_teardown),
		cmocka_unit_test_setup_teardown(
			long_trailer_lines_are_refused, testing_setup, testing_teardown),
	};

	return cmocka_run_group_tests_name("aws-chunked", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-wire.c - bytes that a genuine Cassandra 4.0.14 was sent, and those that it answered
 * (golden/wire.txt): versions, what gets a connection stuck, compression, segments, version 5.
 *
 *   open [max=N] [address=A] [tombstones=WARN,FAIL]   a server of its own, and a connection
 *   > hex, >fill N                                     bytes sent; N blanks
 *   <[lz4|snappy|seglz4] hex                           all that came back, unpacked; ".." is any
 * byte = open, = closed                                   is the connection still there?
 */
#include "sim/cql-emulator/testing-cql.h"

#define GOLDEN "sim/cql-emulator/golden/wire.txt"
#define FILE_MAX (2 * 1024 * 1024)

struct replay {
	struct test_world *w;
	struct test_client *c;
	struct lab_view name;
	unsigned line, cases, answers, closed, wrong;
};

static void end_case(struct replay *r)
{
	if (r->w == NULL)
		return;
	test_disconnect(r->c);
	test_end(r->w);
	r->w = NULL;
}

static int64_t number_of(struct lab_view text)
{
	int64_t number;
	assert_int_equal(lab_view_to_i64(text, &number), 0);
	return number;
}

static void set_option(struct test_world *w, struct lab_view option)
{
	struct lab_view key, warn;
	assert_true(lab_view_split(&option, '=', &key));
	if (lab_view_eq_cstr(key, "max")) {
		w->options.frame_bytes_max = (size_t)number_of(option);
	} else if (lab_view_eq_cstr(key, "address")) {
		w->nodes[0].address = option;
	} else {
		assert_true(lab_view_eq_cstr(key, "tombstones"));
		assert_true(lab_view_split(&option, ',', &warn));
		w->options.tombstone_warn = (uint32_t)number_of(warn);
		w->options.tombstone_fail = (uint32_t)number_of(option);
	}
}

static void begin_case(struct replay *r, struct lab_view options)
{
	struct lab_view option;
	end_case(r);
	r->w = test_world(1);
	while (lab_view_split(&options, ' ', &option)) {
		if (option.len > 0)
			set_option(r->w, option);
	}
	test_start(r->w);
	r->c = test_connect(r->w, "n1");
	assert_non_null(r->c);
	r->cases++;
}

static void send_blanks(struct replay *r, size_t count)
{
	uint8_t blanks[1000];
	memset(blanks, ' ', sizeof(blanks));
	for (size_t at = 0; at < count && !r->c->reset; at += sizeof(blanks))
		test_send(r->c, lab_view_of(blanks, LAB_MIN(sizeof(blanks), count - at)));
}

static void send_hex(struct replay *r, struct lab_view hex)
{
	uint8_t *bytes = lab_arena_alloc(r->w->arena, hex.len / 2 + 1);
	assert_int_equal(lab_unhex(hex, bytes, hex.len / 2), 0);
	if (!r->c->reset)
		test_send(r->c, lab_view_of(bytes, hex.len / 2));
	test_sleep(r->w, LAB_SEC / 10);
}

/* ---- unpacking ---- */

static void unpack_frames(struct replay *r, enum cql_compression compression, struct lab_buf *out)
{
	struct lab_view rest = lab_buf_view(&r->c->in);
	struct cql_frame frame, plain;
	struct lab_error err;
	size_t used;
	while (rest.len > 0) {
		assert_int_equal(cql_frame_next(rest, FILE_MAX, &frame, &used, &err), 1);
		plain = frame;
		if ((frame.header.flags & CQL_FLAG_COMPRESSED) != 0 &&
			cql_frame_decompress(
				&frame, compression, FILE_MAX, r->w->arena, &plain, &err) < 0)
			fail_msg("line %u: %s", r->line, err.message);
		plain.header.length = (uint32_t)plain.body.len;
		cql_header_encode(out, &plain.header);
		lab_buf_append_view(out, plain.body);
		rest = lab_view_skip(rest, used);
	}
}

static void unpack_segments(struct replay *r, struct lab_buf *out)
{
	struct lab_view rest = lab_buf_view(&r->c->in);
	struct cql_segment segment;
	struct lab_error err;
	size_t used;
	while (rest.len > 0) {
		assert_int_equal(
			cql_segment_next(rest, CQL_LZ4, r->w->arena, &segment, &used, &err), 1);
		lab_buf_append_view(out, segment.payload);
		rest = lab_view_skip(rest, used);
	}
}

static bool matches(struct lab_view got, struct lab_view expected)
{
	if (got.len != expected.len)
		return false;
	for (size_t i = 0; i < got.len; i++) {
		if (expected.ptr[i] != '.' && expected.ptr[i] != got.ptr[i])
			return false;
	}
	return true;
}

static void compare(struct replay *r, struct lab_view line)
{
	struct lab_view mode;
	struct lab_buf out, hex;
	(void)lab_view_split(&line, ' ', &mode);
	lab_buf_init(&out, r->w->heap, FILE_MAX);
	lab_buf_init(&hex, r->w->heap, FILE_MAX);
	if (mode.len == 0)
		lab_buf_append_view(&out, lab_buf_view(&r->c->in));
	else if (lab_view_eq_cstr(mode, "seglz4"))
		unpack_segments(r, &out);
	else
		unpack_frames(r, lab_view_eq_cstr(mode, "lz4") ? CQL_LZ4 : CQL_SNAPPY, &out);
	lab_buf_append_hex(&hex, lab_buf_view(&out));
	if (!matches(lab_buf_view(&hex), line)) {
		print_error("line %u, %.*s: %.*s instead of %.*s\n", r->line, LAB_VIEW_ARG(r->name),
			LAB_VIEW_ARG(lab_buf_view(&hex)), LAB_VIEW_ARG(line));
		r->wrong++;
	}
	r->answers += out.len > 0;
	lab_buf_done(&out);
	lab_buf_done(&hex);
	lab_buf_reset(&r->c->in);
}

static void step(struct replay *r, struct lab_view line)
{
	if (lab_view_starts_with(line, LAB_VIEW("# "))) {
		r->name = lab_view_skip(line, 2);
	} else if (lab_view_starts_with(line, LAB_VIEW("open"))) {
		begin_case(r, lab_view_skip(line, 4));
	} else if (lab_view_starts_with(line, LAB_VIEW(">fill "))) {
		send_blanks(r, (size_t)number_of(lab_view_skip(line, 6)));
	} else if (lab_view_starts_with(line, LAB_VIEW("> "))) {
		send_hex(r, lab_view_skip(line, 2));
	} else if (line.ptr[0] == '<') {
		compare(r, lab_view_skip(line, 1));
	} else {
		bool closed = lab_view_eq_cstr(line, "= closed");
		assert_true(closed || lab_view_eq_cstr(line, "= open"));
		if (closed != r->c->reset) {
			print_error("line %u, %.*s: the connection is %s\n", r->line,
				LAB_VIEW_ARG(r->name), r->c->reset ? "closed" : "open");
			r->wrong++;
		}
		r->closed += closed;
	}
}

static void bytes_are_those_of_a_genuine_server(void **state)
{
	struct replay r = { .line = 0 };
	FILE *file = fopen(GOLDEN, "rb");
	uint8_t *data = calloc(1, FILE_MAX);
	struct lab_view rest, line;
	(void)state;
	assert_non_null(file);
	assert_non_null(data);
	rest = lab_view_of(data, fread(data, 1, FILE_MAX, file));
	(void)fclose(file);
	while (lab_view_split(&rest, '\n', &line)) {
		r.line++;
		if (line.len > 0)
			step(&r, line);
	}
	end_case(&r);
	free(data);
	assert_int_equal(r.wrong, 0);
	assert_true(r.cases > 120 && r.answers > 250 && r.closed > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_those_of_a_genuine_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

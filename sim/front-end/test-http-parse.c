/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"
#include "sim/front-end/http-parse.h"

static struct http_head head;
static enum sim_http_refusal why;

static int parse(const char *text)
{
	return http_head_parse(lab_view_cstr(text), &head, &why);
}

static void heads_are_taken_apart(void **state)
{
	(void)state;

	assert_int_equal(parse("PUT /b/k%20?x=1 HTTP/1.1\r\nHost:  h:80\t\r\nContent-Length: 12\r\n"
			       "X-Empty:\r\nx-amz-meta-a: b c \r\nExpect: 100-Continue\r\n"
			       "Connection: TE, Keep-Alive\r\n\r\n"),
		0);
	assert_true(lab_view_eq_cstr(head.request.method, "PUT"));
	assert_true(lab_view_eq_cstr(head.request.target, "/b/k%20?x=1"));
	assert_true(lab_view_eq_cstr(head.request.authority, "h:80"));
	assert_int_equal(head.request.headers.count, 4); /* not Host, not Content-Length */
	assert_true(lab_view_eq_cstr(head.request.headers.items[0].name, "X-Empty"));
	assert_int_equal(head.request.headers.items[0].value.len, 0);
	assert_non_null(head.request.headers.items[0].value.ptr);
	assert_true(lab_view_eq_cstr(head.request.headers.items[1].value, "b c"));
	assert_true(head.has_length && head.expects && head.keep_alive);
	assert_false(head.chunked || head.close || head.version_1_0);
	assert_int_equal(head.length, 12);
	assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n"), 0);
	assert_true(head.version_1_0);
	assert_false(head.has_length || head.expects || head.keep_alive);
	assert_null(head.request.authority.ptr);
}

static void what_is_no_head_is_refused(void **state)
{
	static const struct {
		const char *text;
		enum sim_http_refusal why;
	} rows[] = {
		{ "GARBAGE\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET /\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ " / HTTP/1.1\r\nHost: h\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET  HTTP/1.1\r\nHost: h\r\n\r\n", SIM_REFUSE_URI },
		{ "G\tT / HTTP/1.1\r\nHost: h\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET / FOO/1.1\r\nHost: h\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: h\r\n\r\n",
			SIM_REFUSE_MALFORMED },
		{ "GET / HTTP/2.0\r\nHost: h\r\n\r\n", SIM_REFUSE_VERSION },
		{ "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", SIM_REFUSE_URI },
		{ "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", SIM_REFUSE_URI },
		{ "GET /a\x01 HTTP/1.1\r\nHost: h\r\n\r\n", SIM_REFUSE_URI },
		{ "GET /a\x7f HTTP/1.1\r\nHost: h\r\n\r\n", SIM_REFUSE_URI },
		{ "GET / HTTP/1.1\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET / HTTP/1.1\r\nHost: h\r\n: v\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET / HTTP/1.1\r\nHost: h\r\nA : v\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET / HTTP/1.1\r\nHost: h\r\nA: v\r\n folded\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET / HTTP/1.1\r\nHost: h\r\nA: \x02\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET / HTTP/1.1\r\nHost: h\r\nA: a\rb\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", SIM_REFUSE_LENGTH },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", SIM_REFUSE_LENGTH },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\n", SIM_REFUSE_LENGTH },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\n", SIM_REFUSE_LENGTH },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", SIM_REFUSE_LENGTH },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
			SIM_REFUSE_LENGTH },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n",
			SIM_REFUSE_LENGTH },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n",
			SIM_REFUSE_MALFORMED },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
			SIM_REFUSE_CODING },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n",
			SIM_REFUSE_MALFORMED },
		{ "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", SIM_REFUSE_MALFORMED },
		{ "GET / HTTP/1.1\r\nHost: h\r\n", SIM_REFUSE_MALFORMED },
		{ "", SIM_REFUSE_MALFORMED },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		why = SIM_REFUSE_COUNT;
		assert_row(i, parse(rows[i].text) == -1 && why == rows[i].why);
	}
}

static void the_end_of_a_head_is_found_in_any_pieces(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\nrest";
	size_t at = 0, len;
	(void)state;

	for (len = 0; len < sizeof(text) - 5; len++)
		assert_row(len, http_head_find(lab_view_of(text, len), &at) == 1);
	assert_int_equal(http_head_find(lab_view_of(text, sizeof(text) - 1), &at), 0);
	assert_int_equal(at, sizeof(text) - 5);
	at = 0;
	assert_int_equal(http_head_find(LAB_VIEW("GET / HTTP/1.1\nHost"), &at), -1);
	at = 0;
	assert_int_equal(http_head_find(LAB_VIEW("\n"), &at), -1);
}

/* Decodes, in pieces of `step`; what is left of the text goes to *ret_left. */
static int decode(const char *text, size_t step, char out[256], size_t *ret_left)
{
	struct http_chunks chunks = { HTTP_CHUNK_SIZE, 0 };
	size_t shown = LAB_MIN(step, strlen(text)), at = 0, len = 0;

	while (chunks.state != HTTP_CHUNK_DONE) {
		struct lab_view rest = lab_view_of(text + at, shown - at), piece;
		int rc = http_chunks_next(&chunks, &rest, &piece);

		at = shown - rest.len;
		if (rc < 0)
			return -1;
		if (rc == 1 && shown == strlen(text))
			return 1;
		if (rc == 1)
			shown += LAB_MIN(step, strlen(text) - shown);
		assert_true(len + piece.len < 256);
		if (piece.len > 0)
			memcpy(out + len, piece.ptr, piece.len);
		len += piece.len;
	}
	out[len] = '\0';
	*ret_left = strlen(text) - at;
	return 0;
}

static void chunks_are_joined_in_any_pieces(void **state)
{
	char out[256];
	size_t left;
	(void)state;

	for (size_t step = 1; step < 50; step++) {
		assert_row(step, decode("5;ext=\"x\"\r\nhello\r\n00a \r\n0123456789\r\n0\r\n"
					"A: b\r\n\r\nGET",
					 step, out, &left) == 0);
		assert_string_equal(out, "hello0123456789A: b\r\n");
		assert_row(step, left <= 3);
	}
}

static void broken_chunks_are_refused(void **state)
{
	static const char *const rows[] = { "\r\n", "x\r\n", "-1\r\n", " 1\r\na\r\n",
		"0x1\r\na\r\n", "1 a\r\n", "1,\r\n", "1;\x01\r\n", "1\na", "1000000000000000\r\n",
		"2\r\nabc\r\n", "1\r\na\n", "1\r\na\rX", "0\r\nA: b\n" };
	char out[256], line[HTTP_CHUNK_LINE_MAX + 10];
	size_t left;
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_row(i, decode(rows[i], 100, out, &left) == -1);
		assert_row(i, decode(rows[i], 1, out, &left) == -1);
	}
	assert_int_equal(decode("5\r\nhell", 3, out, &left), 1);
	memset(line, '1', sizeof(line));
	line[0] = '1';
	line[1] = ';';
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(decode(line, 100, out, &left), -1);
}

static void trailers_may_not_change_the_request(void **state)
{
	struct lab_http_headers headers = { .count = 0 };
	(void)state;

	assert_int_equal(http_trailers_parse(
				 LAB_VIEW("x-amz-checksum-crc32: AA==\r\nb:\r\n"), &headers, &why),
		0);
	assert_int_equal(headers.count, 2);
	assert_int_equal(http_trailers_parse(LAB_VIEW("Host: x\r\n"), &headers, &why), -1);
	assert_int_equal(why, SIM_REFUSE_MALFORMED);
	assert_int_equal(http_trailers_parse(LAB_VIEW("authorization: x\r\n"), &headers, &why), -1);
	assert_int_equal(http_trailers_parse(LAB_VIEW("broken\r\n"), &headers, &why), -1);
	headers.count = LAB_HTTP_HEADERS_MAX;
	assert_int_equal(http_trailers_parse(LAB_VIEW("a: b\r\n"), &headers, &why), -1);
	assert_int_equal(why, SIM_REFUSE_HEADERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_are_taken_apart),
		cmocka_unit_test(what_is_no_head_is_refused),
		cmocka_unit_test(the_end_of_a_head_is_found_in_any_pieces),
		cmocka_unit_test(chunks_are_joined_in_any_pieces),
		cmocka_unit_test(broken_chunks_are_refused),
		cmocka_unit_test(trailers_may_not_change_the_request),
	};

	return cmocka_run_group_tests_name("http-parse", tests, NULL, NULL);
}

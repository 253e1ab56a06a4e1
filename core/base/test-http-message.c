/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

static void headers_are_found_without_case_first_wins(void **state)
{
	struct lab_http_headers headers = { .count = 0 };

	(void)state;
	assert_null(lab_http_header_get(&headers, "ETag").ptr);
	assert_int_equal(lab_http_header_add(&headers, LAB_VIEW("ETag"), LAB_VIEW("\"1\"")), 0);
	assert_int_equal(lab_http_header_add(&headers, LAB_VIEW("etag"), LAB_VIEW("\"2\"")), 0);
	assert_int_equal(lab_http_header_add(&headers, LAB_VIEW("X-Empty"), LAB_VIEW("")), 0);
	assert_true(lab_view_eq_cstr(lab_http_header_get(&headers, "eTAG"), "\"1\""));
	assert_non_null(lab_http_header_get(&headers, "x-empty").ptr);
	assert_null(lab_http_header_get(&headers, "ETa").ptr);
}

static void headers_are_bounded(void **state)
{
	struct lab_http_headers headers = { .count = 0 };

	(void)state;
	for (size_t i = 0; i < LAB_HTTP_HEADERS_MAX; i++)
		assert_row(i, lab_http_header_add(&headers, LAB_VIEW("a"), LAB_VIEW("b")) == 0);
	assert_int_equal(lab_http_header_add(&headers, LAB_VIEW("a"), LAB_VIEW("b")), -1);
	assert_int_equal(headers.count, LAB_HTTP_HEADERS_MAX);
}

static struct lab_view scribbled(char *text)
{
	return lab_view_of(text, strlen(text));
}

static void request_copy_borrows_from_the_arena_only(void **state)
{
	char method[] = "PUT", authority[] = "s3.local:80", target[] = "/b/o?x=1", name[] = "X-A";
	char value[] = "v", body[] = "mail";
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 20);
	struct lab_http_request from = { .method = scribbled(method),
		.tls = true,
		.authority = scribbled(authority),
		.target = scribbled(target),
		.body = scribbled(body) };
	struct lab_http_request to;
	char *const all[] = { method, authority, target, name, value, body };

	(void)state;
	assert_int_equal(lab_http_header_add(&from.headers, scribbled(name), scribbled(value)), 0);
	lab_http_request_copy(arena, &from, &to);
	for (size_t i = 0; i < LAB_COUNT_OF(all); i++)
		memset(all[i], '#', strlen(all[i]));
	assert_true(lab_view_eq_cstr(to.method, "PUT"));
	assert_true(to.tls);
	assert_true(lab_view_eq_cstr(to.authority, "s3.local:80"));
	assert_true(lab_view_eq_cstr(to.target, "/b/o?x=1"));
	assert_true(lab_view_eq_cstr(to.body, "mail"));
	assert_int_equal(to.headers.count, 1);
	assert_true(lab_view_eq_cstr(lab_http_header_get(&to.headers, "x-a"), "v"));
	lab_arena_free(&arena);
}

static void response_copy_borrows_from_the_arena_only(void **state)
{
	char reason[] = "Slow Down", name[] = "Retry-After", value[] = "1", body[] = "<Error/>";
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 20);
	struct lab_http_response from = {
		.status = 503, .reason = scribbled(reason), .body = scribbled(body)
	};
	struct lab_http_response to;
	char *const all[] = { reason, name, value, body };

	(void)state;
	assert_int_equal(lab_http_header_add(&from.headers, scribbled(name), scribbled(value)), 0);
	lab_http_response_copy(arena, &from, &to);
	for (size_t i = 0; i < LAB_COUNT_OF(all); i++)
		memset(all[i], '#', strlen(all[i]));
	assert_int_equal(to.status, 503);
	assert_true(lab_view_eq_cstr(to.reason, "Slow Down"));
	assert_true(lab_view_eq_cstr(lab_http_header_get(&to.headers, "retry-after"), "1"));
	assert_true(lab_view_eq_cstr(to.body, "<Error/>"));
	lab_arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(headers_are_found_without_case_first_wins),
		testing_test(headers_are_bounded),
		testing_test(request_copy_borrows_from_the_arena_only),
		testing_test(response_copy_borrows_from_the_arena_only),
	};

	return cmocka_run_group_tests_name("http-message", tests, NULL, NULL);
}

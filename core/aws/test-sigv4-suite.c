/* SPDX-License-Identifier: Apache-2.0
 *
 * The generic test suite of Signature Version 4, through the client's arithmetic.
 */
#include "core/aws/sigv4.h"
#include "core/aws/testing-suite.h"

static struct lab_arena *arena;
static struct lab_buf canonical, to_sign;

static void make_canonical(const struct lab_http_request *request, const struct suite_case *c)
{
	struct lab_error err;

	lab_buf_reset(&canonical);
	if (sigv4_canonical_request(request, c->signed_headers, c->payload, &canonical, &err) < 0)
		fail_msg("%.*s: %s", LAB_VIEW_ARG(c->name), err.message);
}

static void check(void *ctx, const struct suite_case *c)
{
	uint8_t key[SIGV4_KEY_SIZE];
	char signature[SIGV4_HEX_SIZE];
	struct lab_http_request request = c->request;
	(void)ctx;

	make_canonical(&request, c);
	if (!c->same) {
		/* S3 keeps what other services normalise. */
		assert_false(lab_view_eq(lab_buf_view(&canonical), c->canonical));
		request = suite_canonical_request(c, arena);
		make_canonical(&request, c);
	}
	if (!lab_view_eq(lab_buf_view(&canonical), c->canonical))
		fail_msg("%.*s:\n%.*s\nexpected\n%.*s", LAB_VIEW_ARG(c->name),
			LAB_VIEW_ARG(lab_buf_view(&canonical)), LAB_VIEW_ARG(c->canonical));
	lab_buf_reset(&to_sign);
	sigv4_string_to_sign(
		LAB_VIEW(SUITE_DATE), LAB_VIEW(SUITE_SCOPE), lab_buf_view(&canonical), &to_sign);
	assert_true(lab_view_ends_with(lab_buf_view(&to_sign), c->hash));
	sigv4_signing_key(LAB_VIEW(SUITE_SECRET), LAB_VIEW("20150830"), LAB_VIEW("us-east-1"),
		LAB_VIEW("service"), key);
	sigv4_signature(key, lab_buf_view(&to_sign), signature);
	if (!lab_view_eq_cstr(c->signature, signature))
		fail_msg("%.*s: %s", LAB_VIEW_ARG(c->name), signature);
}

static void every_case_is_signed_as_published(void **state)
{
	(void)state;

	arena = lab_arena_new(testing_heap, (size_t)1 << 24);
	lab_buf_init(&canonical, testing_heap, 1 << 16);
	lab_buf_init(&to_sign, testing_heap, 1 << 16);
	assert_int_equal(suite_each(arena, testing_heap, check, NULL), SUITE_CASES);
	lab_buf_done(&canonical);
	lab_buf_done(&to_sign);
	lab_arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			every_case_is_signed_as_published, testing_setup, testing_teardown),
	};

	return cmocka_run_group_tests_name("sigv4-suite", tests, NULL, NULL);
}

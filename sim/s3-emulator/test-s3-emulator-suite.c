/* SPDX-License-Identifier: Apache-2.0
 *
 * The generic test suite of Signature Version 4, through the emulator's own arithmetic. Its scope
 * is another service's, so it goes around the checks of the scope.
 */
#include "core/aws/testing-suite.h"
#include "sim/s3-emulator/s3-emulator-private.h"
#include "sim/s3-emulator/testing-s3.h"

static struct s3emu_exchange *x;

/* The parts that the signature claims, as from the header, or from the query. */
static struct s3emu_v4 claims_of(const struct suite_case *c)
{
	struct s3emu_v4 v4 = { .credential = LAB_VIEW("AKIDEXAMPLE/" SUITE_SCOPE),
		.time = LAB_VIEW(SUITE_DATE),
		.signed_headers = c->signed_headers,
		.signature = c->signature,
		.payload = c->payload };

	if (c->query) {
		v4.credential = s3emu_param(x, "X-Amz-Credential")->value;
		v4.time = s3emu_param(x, "X-Amz-Date")->value;
		v4.signed_headers = s3emu_param(x, "X-Amz-SignedHeaders")->value;
		v4.signature = s3emu_param(x, "X-Amz-Signature")->value;
	}
	assert_int_equal(s3emu_v4_split_credential(&v4), 0);
	assert_int_equal(s3emu_v4_split_headers(&v4), 0);
	assert_true(lab_view_eq_cstr(v4.id, "AKIDEXAMPLE"));
	assert_true(lab_view_eq_cstr(v4.scope, SUITE_SCOPE));
	return v4;
}

static struct s3emu_v4 make_canonical(
	const struct lab_http_request *request, const struct suite_case *c)
{
	struct s3emu_v4 v4;

	x->request = request;
	x->param_count = 0;
	x->bucket_name = x->key = lab_view_of(NULL, 0);
	x->auth = c->query ? S3EMU_AUTH_V4_QUERY : S3EMU_AUTH_V4;
	/* Most paths have no bucket; the query and the raw path are there nevertheless. */
	(void)s3emu_parse(x);
	v4 = claims_of(c);
	assert_int_equal(s3emu_v4_canonical(x, &v4), 0);
	return v4;
}

static void check(void *ctx, const struct suite_case *c)
{
	struct lab_http_request request = c->request;
	struct lab_view canonical, to_sign;
	char signature[S3EMU_V4_HEX_SIZE];
	struct s3emu_v4 v4;
	uint8_t key[32];
	(void)ctx;

	v4 = make_canonical(&request, c);
	if (!c->same) {
		assert_false(lab_view_eq(lab_buf_view(&x->scratch), c->canonical));
		request = suite_canonical_request(c, t.arena);
		v4 = make_canonical(&request, c);
	}
	if (!lab_view_eq(lab_buf_view(&x->scratch), c->canonical))
		fail_msg("%.*s:\n%.*s\nexpected\n%.*s", LAB_VIEW_ARG(c->name),
			LAB_VIEW_ARG(lab_buf_view(&x->scratch)), LAB_VIEW_ARG(c->canonical));
	assert_int_equal(s3emu_v4_string(x, &v4, &canonical, &to_sign), 0);
	assert_true(lab_view_ends_with(to_sign, c->hash));
	s3emu_v4_key(LAB_VIEW(SUITE_SECRET), v4.date, v4.region, v4.service, key);
	s3emu_v4_signature(key, to_sign, signature);
	if (!lab_view_eq_cstr(v4.signature, signature) ||
		!lab_view_eq_cstr(c->signature, signature))
		fail_msg("%.*s: %s", LAB_VIEW_ARG(c->name), signature);
}

static void every_case_verifies(void **state)
{
	(void)state;

	x = lab_new(testing_heap, struct s3emu_exchange);
	x->s3 = t.s3;
	x->arena = t.arena;
	lab_buf_init(&x->scratch, testing_heap, 1 << 17);
	assert_int_equal(suite_each(t.arena, testing_heap, check, NULL), SUITE_CASES);
	lab_buf_done(&x->scratch);
	lab_heap_free(testing_heap, x);
}

int main(void)
{
	const struct CMUnitTest tests[] = { t_test(every_case_verifies) };

	return cmocka_run_group_tests_name("s3-emulator-suite", tests, NULL, NULL);
}

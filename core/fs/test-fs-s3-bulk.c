/* SPDX-License-Identifier: Apache-2.0
 *
 * The drivers s3 and aws-s3: deleting, alone and in bulk.
 */
#include "core/base/defect.h"
#include "core/fs/testing/s3-probe.h"

static void delete_is_a_delete(void **state)
{
	struct s3_probe *probe = *state;

	fake_status(probe->world, 204);
	run(probe, step_delete);
	assert_ok(probe);
	assert_request(probe, 0, "DELETE", "/user/mails/1");

	error_body(probe, 404, "NoSuchKey");
	run(probe, step_delete);
	assert_error(probe, LAB_NOT_FOUND);
	fake_fail(probe->world, LAB_UNCERTAIN, 0);
	error_body(probe, 404, "NoSuchKey");
	run(probe, step_delete);
	assert_ok(probe);
}

#define DELETED(key) "<Deleted><Key>" key "</Key></Deleted>"
#define FAILED(key, code) \
	"<Error><Key>" key "</Key><Code>" code "</Code><Message>m</Message></Error>"

static void deleted(struct s3_probe *probe, const char *entries)
{
	fake_body(probe->world, 200, NULL,
		lab_arena_printf(probe->world->arena,
			"<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
			"%s</DeleteResult>",
			entries));
}

static void bulk_delete_posts_its_keys(void **state)
{
	struct s3_probe *probe = *state;

	probe->uri = "s3:" HOST "pre%20fix?region=r";
	probe->count = 3;
	deleted(probe, DELETED("pre fix/k2") DELETED("pre fix/k0") DELETED("pre fix/k1"));
	run(probe, step_delete_many);
	assert_ok(probe);
	assert_request(probe, 0, "POST", "/?delete");
	assert_view(request_at(probe, 0)->body,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		"<Object><Key>pre fix/k0</Key></Object><Object><Key>pre fix/k1</Key></Object>"
		"<Object><Key>pre fix/k2</Key></Object></Delete>");
	assert_true(fake_header(probe->world, 0, "Content-MD5").len == 24);
	assert_view(fake_header(probe->world, 0, "Content-Type"), "application/xml");
}

static void bulk_deletes_are_split_by_both_limits(void **state)
{
	struct s3_probe *probe = *state;

	probe->uri = "s3:" HOST "?bulk_delete_limit=2";
	probe->count = 3;
	deleted(probe, DELETED("k0") DELETED("k1"));
	deleted(probe, DELETED("k2"));
	run(probe, step_delete_many);
	assert_ok(probe);
	assert_int_equal(probe->world->request_count, 2);
	fs_deinit(&probe->fs);

	probe->uri = "s3:" HOST;
	probe->settings.max_parallel_deletes = 2;
	deleted(probe, DELETED("k0") DELETED("k1"));
	deleted(probe, DELETED("k2"));
	run(probe, step_delete_many);
	assert_ok(probe);
	assert_int_equal(probe->world->request_count, 4);
}

static void deletes_are_parallel(
	struct fake_world *world, const struct lab_http_request *request, struct fake_reply *ret)
{
	(void)world;
	*ret = (struct fake_reply){ .status = 204, .delay_ns = LAB_SEC };
	if (lab_view_eq_cstr(request->target, "/k1"))
		*ret = (struct fake_reply){ .status = 403, .delay_ns = LAB_SEC };
}

static void without_bulk_deletes_there_are_deletes_side_by_side(void **state)
{
	struct s3_probe *probe = *state;

	probe->uri = "s3:" HOST "?bulk_delete_limit=0";
	probe->settings.max_parallel_deletes = 3;
	probe->count = 6;
	probe->world->handler = deletes_are_parallel;
	run(probe, step_delete_many);
	assert_error(probe, LAB_DENIED);
	assert_int_equal(probe->world->in_flight_max, 3);
	assert_int_equal(probe->world->now_ns, 2 * LAB_SEC);
	for (size_t i = 0; i < 6; i++) {
		assert_view(request_at(probe, i)->method, "DELETE");
		assert_int_equal(probe->results[i].code, i == 1 ? LAB_DENIED : LAB_OK);
	}
	fs_deinit(&probe->fs);

	/* obox_max_parallel_deletes 0 or 1: one after the other, and no POST for a single key. */
	probe->uri = "s3:" HOST;
	probe->settings.max_parallel_deletes = 0;
	probe->world->in_flight_max = 0;
	run(probe, step_delete_many);
	assert_int_equal(probe->world->in_flight_max, 1);
	assert_view(request_at(probe, 6)->method, "DELETE");
}

static void each_key_of_a_bulk_delete_has_its_own_result(void **state)
{
	struct s3_probe *probe = *state;

	probe->count = 6;
	deleted(probe, DELETED("k0") FAILED("k1", "AccessDenied") FAILED("k2", "NoSuchKey")
			       DELETED("k4") DELETED("stranger"));
	run(probe, step_delete_many);
	assert_int_equal(probe->result, -1);
	assert_int_equal(probe->results[0].code, LAB_OK);
	assert_int_equal(probe->results[1].code, LAB_DENIED);
	assert_int_equal(probe->results[2].code, LAB_NOT_FOUND);
	/* What the answer does not mention may be gone or not. */
	assert_int_equal(probe->results[3].code, LAB_UNCERTAIN);
	assert_int_equal(probe->results[4].code, LAB_OK);
	assert_int_equal(probe->results[5].code, LAB_UNCERTAIN);
	assert_int_equal(probe->err.code, LAB_DENIED);
	assert_int_equal(probe->world->request_count, 1);
}

static void refused_keys_go_out_again_after_the_ladder_s_waits(void **state)
{
	struct s3_probe *probe = *state;

	probe->count = 4;
	deleted(probe, DELETED("k0") FAILED("k1", "SlowDown") FAILED("k2", "InternalError")
			       FAILED("k3", "InternalError"));
	deleted(probe, DELETED("k1") FAILED("k2", "NoSuchKey") FAILED("k3", "AccessDenied"));
	run(probe, step_delete_many);
	assert_int_equal(probe->world->request_count, 2);
	assert_int_equal(probe->world->requests[1].at_ns, 50 * LAB_MSEC);
	assert_true(lab_view_find(request_at(probe, 1)->body, LAB_VIEW("k0")) == SIZE_MAX);
	assert_int_equal(probe->results[0].code, LAB_OK);
	assert_int_equal(probe->results[1].code, LAB_OK);
	/* Gone after an attempt that may have deleted it: ours. */
	assert_int_equal(probe->results[2].code, LAB_OK);
	assert_int_equal(probe->results[3].code, LAB_UNCERTAIN);
}

static void refused_keys_are_given_up_after_max_retries(void **state)
{
	struct s3_probe *probe = *state;

	probe->uri = "s3:" HOST "?delete_max_retries=2";
	probe->count = 2;
	deleted(probe, DELETED("k0") FAILED("k1", "SlowDown"));
	deleted(probe, FAILED("k1", "SlowDown"));
	deleted(probe, FAILED("k1", "SlowDown"));
	run(probe, step_delete_many);
	assert_error(probe, LAB_THROTTLED);
	assert_true(probe->err.retryable);
	assert_int_equal(probe->world->now_ns, 550 * LAB_MSEC);
	fs_deinit(&probe->fs);

	probe->uri = "s3:" HOST "?absolute_timeout=40";
	deleted(probe, DELETED("k0") FAILED("k1", "SlowDown"));
	run(probe, step_delete_many);
	assert_error(probe, LAB_THROTTLED);
	fs_deinit(&probe->fs);

	probe->uri = "s3:" HOST;
	lab_defects_on = LAB_DEFECT(NO_RETRY_503);
	deleted(probe, DELETED("k0") FAILED("k1", "SlowDown"));
	run(probe, step_delete_many);
	assert_error(probe, LAB_THROTTLED);
}

static void a_failed_post_is_the_result_of_each_key(void **state)
{
	struct s3_probe *probe = *state;

	probe->count = 2;
	for (int i = 0; i < 5; i++)
		fake_fail(probe->world, LAB_UNCERTAIN, 0);
	run(probe, step_delete_many);
	assert_error(probe, LAB_UNCERTAIN);
	assert_int_equal(probe->results[0].code, LAB_UNCERTAIN);
	assert_int_equal(probe->results[1].code, LAB_UNCERTAIN);

	/* A cut-off answer is no answer; it is asked for again. */
	fake_body(probe->world, 200, NULL, "<DeleteResult>" DELETED("k0"));
	deleted(probe, DELETED("k0") DELETED("k1"));
	run(probe, step_delete_many);
	assert_ok(probe);

	error_body(probe, 200, "AccessDenied");
	run(probe, step_delete_many);
	assert_error(probe, LAB_DENIED);

	/* Sticky: k1 may be gone since the first round. */
	deleted(probe, DELETED("k0") FAILED("k1", "InternalError"));
	error_body(probe, 403, "AccessDenied");
	run(probe, step_delete_many);
	assert_error(probe, LAB_UNCERTAIN);
}

/* What a key is told by the last attempt says nothing of those before it. */
static void a_refused_key_behind_a_failed_post_is_uncertain(void **state)
{
	struct s3_probe *probe = *state;

	probe->count = 3;
	fake_status(probe->world, 500);
	deleted(probe, DELETED("k0") FAILED("k1", "AccessDenied") FAILED("k2", "NoSuchKey"));
	run(probe, step_delete_many);
	assert_int_equal(probe->world->request_count, 2);
	assert_int_equal(probe->results[0].code, LAB_OK);
	assert_int_equal(probe->results[1].code, LAB_UNCERTAIN);
	assert_int_equal(probe->results[2].code, LAB_OK);

	/* Refused before it was read, or never sent. */
	error_body(probe, 503, "SlowDown");
	fake_fail(probe->world, LAB_REFUSED, 0);
	deleted(probe, DELETED("k0") FAILED("k1", "AccessDenied") FAILED("k2", "NoSuchKey"));
	run(probe, step_delete_many);
	assert_int_equal(probe->world->request_count, 5);
	assert_int_equal(probe->results[1].code, LAB_DENIED);
	assert_int_equal(probe->results[2].code, LAB_NOT_FOUND);
}

static void the_same_key_twice_is_sent_once(void **state)
{
	struct s3_probe *probe = *state;

	probe->count = 3;
	probe->second = "twice";
	deleted(probe, FAILED("k0", "AccessDenied") DELETED("k1"));
	run(probe, step_delete_many);
	assert_int_equal(probe->results[0].code, LAB_DENIED);
	assert_int_equal(probe->results[1].code, LAB_OK);
	assert_int_equal(probe->results[2].code, LAB_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(delete_is_a_delete),
		TEST(bulk_delete_posts_its_keys),
		TEST(bulk_deletes_are_split_by_both_limits),
		TEST(without_bulk_deletes_there_are_deletes_side_by_side),
		TEST(each_key_of_a_bulk_delete_has_its_own_result),
		TEST(refused_keys_go_out_again_after_the_ladder_s_waits),
		TEST(refused_keys_are_given_up_after_max_retries),
		TEST(a_failed_post_is_the_result_of_each_key),
		TEST(a_refused_key_behind_a_failed_post_is_uncertain),
		TEST(the_same_key_twice_is_sent_once),
	};

	return cmocka_run_group_tests_name("fs-s3-bulk", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Live runs against an S3 server that the runner knows only by its URL. Here it is another emulator
 * of ours behind a socket; ci/stage clients-s3 has those of others.
 */
#include "scenarios/live/live-run.h"

#include <stdlib.h>
#include <time.h>

#include "scenarios/format/testing-scenario.h"
#include "sim/front-end/http-front-end.h"

#define POOL_BYTES ((size_t)512 * 1024 * 1024)
#define SCENARIO \
	TESTING_INCLUDE \
	"scenario {\n  warmup = 0\n  duration = 1500 ms\n  settle = 500 ms\n}\n" \
	"site az1 {\n  backends = 2\n}\n" \
	"user u {\n  count = 3\n  mail_inbox_delivery_interval = 200 ms\n" \
	"  mail_session_interval = 600 ms\n  mail_session_length = 1 min\n" \
	"  mail_action_delay = 300 ms\n  mail_size = 1 k\n  folders = 1\n}\n" \
	"fault throttled {\n  kinds = slow_down\n  episodes = 1\n}\n"

static struct testing_loader loader;
static struct run_result result; /* large */

struct foreign {
	struct lab_pool *pool;
	struct s3emu *s3;
	struct http_front_end *front_end;
	char url[256];
	unsigned puts, lie_at, refuse_deletes_from, deletes; /* n-th of the run; 0: never */
};

static struct sim_fault on_fault(void *ctx, const struct sim_fault_query *query)
{
	struct foreign *f = ctx;

	/* Says that a mail is stored, and it is not. */
	if (strcmp(query->point, "s3.put") == 0 &&
		lab_view_find(query->subject, LAB_VIEW("/idx/")) == SIZE_MAX &&
		++f->puts == f->lie_at)
		return (struct sim_fault){ .kind = SIM_FAULT_REFUSE, .status = 200 };
	if (strcmp(query->point, "s3.delete") == 0 && f->refuse_deletes_from != 0 &&
		++f->deletes >= f->refuse_deletes_from)
		return (struct sim_fault){
			.kind = SIM_FAULT_REFUSE, .status = 403, .code = "AccessDenied"
		};
	return (struct sim_fault){ .kind = SIM_FAULT_NONE };
}

static void foreign_open(struct foreign *f)
{
	struct sim_credentials key = { .access_key_id = LAB_VIEW("AKID"),
		.secret_access_key = LAB_VIEW("a/b%c") };
	struct s3emu_bucket_options bucket = { .name = LAB_VIEW("strange") };
	struct http_front_end_settings settings = { 0 };
	struct s3emu_options options;
	struct lab_error err;

	memset(f, 0, sizeof(*f));
	f->pool = lab_pool_new(POOL_BYTES);
	s3emu_options_init(&options);
	options.epoch_unix_us = (uint64_t)time(NULL) * 1000000;
	options.hooks = (struct sim_hooks){ .ctx = f, .fault = on_fault };
	assert_int_equal(s3emu_new(f->pool, &options, &f->s3, &err), 0);
	assert_int_equal(s3emu_bucket_add(f->s3, &bucket, &err), 0);
	assert_int_equal(s3emu_credentials_add(f->s3, &key, &err), 0);
	settings.service = s3emu_service(f->s3);
	assert_int_equal(http_front_end_new(&settings, &f->front_end, &err), 0);
	(void)snprintf(f->url, sizeof(f->url),
		"http://AKID:a%%2fb%%25c@127.0.0.1:%u/?bucket=strange&region=us-east-1"
		"&max_retries=1",
		http_front_end_port(f->front_end));
}

static void foreign_close(struct foreign *f)
{
	http_front_end_free(&f->front_end);
	s3emu_free(&f->s3);
	lab_pool_free(&f->pool);
}

static int run(const char *url, struct lab_error *err)
{
	struct run_options options = { .seed = 1 };
	uint64_t wall_ns = 0;

	testing_loader_init(&loader);
	loader.overrides.s3_url = url;
	testing_load_ok(&loader, SCENARIO);
	options.scenario = loader.scenario;
	return run_live(&options, &result, &wall_ns, err);
}

static uint64_t objects_left(struct foreign *f)
{
	return s3emu_counters(f->s3)->objects;
}

static void a_storm_passes_and_the_bucket_is_empty_again(void **state)
{
	struct lab_error err;
	struct foreign f;

	(void)state;
	foreign_open(&f);
	assert_int_equal(run(f.url, &err), 0);
	if (result.verdict != RUN_PASS)
		fail_msg("%s", result.report);
	assert_true(result.operations[HISTORY_DELIVER][HISTORY_OK] > 5);
	assert_true(s3emu_counters(f.s3)->created > 5);
	assert_true(result.s3_requests > 5);
	assert_false(result.is_left);
	assert_int_equal(objects_left(&f), 0);
	foreign_close(&f);
}

static void a_mail_that_it_loses_is_found(void **state)
{
	struct lab_error err;
	struct foreign f;

	(void)state;
	foreign_open(&f);
	f.lie_at = 3;
	assert_int_equal(run(f.url, &err), 0);
	assert_true(f.puts >= 3);
	assert_int_equal(result.verdict, RUN_FAIL);
	assert_int_equal(objects_left(&f), 0);
	foreign_close(&f);
}

static void what_cannot_be_deleted_is_said(void **state)
{
	struct lab_error err;
	struct foreign f;

	(void)state;
	foreign_open(&f);
	f.refuse_deletes_from = 1;
	assert_int_equal(run(f.url, &err), 0);
	assert_true(f.deletes > 0);
	assert_true(result.is_left);
	assert_true(objects_left(&f) > 0);
	foreign_close(&f);
}

static void a_bucket_with_something_in_it_is_left_alone(void **state)
{
	struct lab_error err;
	struct foreign f;

	(void)state;
	foreign_open(&f);
	f.refuse_deletes_from = 1;
	assert_int_equal(run(f.url, &err), 0);
	assert_true(objects_left(&f) > 0);
	f.refuse_deletes_from = 0;
	assert_int_equal(run(f.url, &err), -1);
	assert_int_equal(err.code, LAB_EXISTS);
	assert_true(objects_left(&f) > 0);
	foreign_close(&f);
}

static void servers_that_are_not_there(void **state)
{
	struct lab_error err;

	(void)state;
	assert_int_equal(run("http://k:s@127.0.0.1:1/?bucket=bbb", &err), -1);
	assert_int_equal(err.code, LAB_REFUSED);
	assert_int_equal(run("http://k:s@192.0.2.1/?bucket=bbb", &err), -1);
	assert_int_equal(err.code, LAB_DENIED);
}

static void check_refused(const char *url, const char *expected)
{
	testing_loader_init(&loader);
	loader.overrides.s3_url = url;
	assert_int_equal(testing_load(&loader, SCENARIO), -1);
	if (strstr(loader.err.message, expected) == NULL)
		fail_msg("%s: %s", url, loader.err.message);
}

static void urls_that_say_too_little(void **state)
{
	(void)state;
	check_refused("http://127.0.0.1:9000/?bucket=b", "needs a key");
	check_refused("http://k:s@127.0.0.1:9000/", "needs bucket=");
	check_refused("http://k:s@127.0.0.1:9000/?bucket=b&auth_role=r", "auth_role");
	check_refused("http://k:s@127.0.0.1:9000/?bukcet=b", "did you mean bucket");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_storm_passes_and_the_bucket_is_empty_again),
		cmocka_unit_test(a_mail_that_it_loses_is_found),
		cmocka_unit_test(what_cannot_be_deleted_is_said),
		cmocka_unit_test(a_bucket_with_something_in_it_is_left_alone),
		cmocka_unit_test(servers_that_are_not_there),
		cmocka_unit_test(urls_that_say_too_little),
	};

	return cmocka_run_group_tests(tests, testing_setup, testing_teardown);
}

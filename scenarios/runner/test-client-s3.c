/* SPDX-License-Identifier: Apache-2.0
 *
 * The S3 drivers in the simulated world, against the S3 and IMDS emulators: what obox 1.6 says of
 * retries and timeouts, read off the storage's access log, and IAM credentials over rotations. The
 * network takes a nanosecond each way, so the log's times are the client's own.
 */
#include "core/base/testing.h"

#include "core/conf/settings.h"
#include "core/base/defect.h"
#include "core/fs/fs-api.h"
#include "core/obox/backend.h"
#include "sim/imds-emulator/imds-emulator.h"
#include "sim/s3-emulator/s3-emulator.h"
#include "sim/world/world.h"

#define LINES_MAX 4096
#define EPOCH_US UINT64_C(1767225600000000)
#define NETWORK_NS 100 /* connects, ways there and back of one attempt are less */
#define BASE "s3:http://AKID:secret@s3.test/?bucket=mails&region=us-east-1"
#define IAM "aws-s3:http://mails.s3.test/?region=us-east-1&auth_role=r&auth_host=169.254.169.254:80"

struct line {
	uint64_t received_ns;
	unsigned status;
	char operation[24];
	bool applied;
};

struct rig {
	struct lab_fiber_pool *fibers;
	struct world *world;
	struct world_host *host;
	struct env *env;
	struct s3emu *s3;
	struct imdsemu *imds;
	struct conf_settings conf;
	struct backend_settings settings;
	const char *uri;
	uint64_t ended_ns;
	struct line lines[LINES_MAX];
	size_t count, imds_requests;
	/* Every S3 request received in [from, until) gets `fault`. */
	uint64_t fault_from_ns, fault_until_ns, fired, fire_max; /* 0: no limit */
	struct sim_fault fault;
	void (*body)(struct rig *rig, struct fs *fs);
	int result;
	struct lab_error err;
	struct lab_arena *arena;
	unsigned oks, failures, first_failure;
	bool is_done;
};

static struct rig rig; /* large */

static struct sim_fault on_fault(void *ctx, const struct sim_fault_query *query)
{
	struct rig *r = ctx;

	if (strcmp(query->service, "s3") != 0 || query->now_ns < r->fault_from_ns ||
		query->now_ns >= r->fault_until_ns || (r->fire_max > 0 && r->fired == r->fire_max))
		return (struct sim_fault){ .kind = SIM_FAULT_NONE };
	r->fired++;
	return r->fault;
}

static void on_access(void *ctx, const struct sim_access *access)
{
	struct rig *r = ctx;
	struct line *line = &r->lines[r->count];

	if (strcmp(access->service, "s3") != 0) {
		r->imds_requests++;
		return;
	}
	assert_true(r->count < LINES_MAX);
	r->count++;
	line->received_ns = access->received_ns;
	line->status = access->status;
	line->applied = access->applied;
	(void)lab_view_to_cstr(access->operation, line->operation, sizeof(line->operation));
}

static void new_s3(void)
{
	struct sim_credentials key = { .access_key_id = LAB_VIEW("AKID"),
		.secret_access_key = LAB_VIEW("secret") };
	struct s3emu_bucket_options bucket = { .name = LAB_VIEW("mails") };
	struct lab_view endpoint = LAB_VIEW("s3.test");
	struct world_service_settings settings = { .name = "s3", .latency = { 1, 1 } };
	struct s3emu_options o;
	struct sim_http_service service;

	s3emu_options_init(&o);
	o.epoch_unix_us = EPOCH_US;
	o.endpoints = &endpoint;
	o.endpoint_count = 1;
	o.hooks = (struct sim_hooks){ .ctx = &rig, .fault = on_fault, .access = on_access };
	assert_int_equal(s3emu_new(testing_pool, &o, &rig.s3, &rig.err), 0);
	assert_int_equal(s3emu_bucket_add(rig.s3, &bucket, &rig.err), 0);
	assert_int_equal(s3emu_credentials_add(rig.s3, &key, &rig.err), 0);
	service = s3emu_service(rig.s3);
	settings.authority = "s3.test";
	world_http_service(rig.world, &settings, &service);
	settings.name = "s3-buckets";
	settings.authority = "*.s3.test";
	world_http_service(rig.world, &settings, &service);
}

static void new_imds(uint32_t lifetime_s, uint32_t rotate_s)
{
	struct world_service_settings settings = {
		.name = "imds", .authority = "169.254.169.254", .latency = { 1, 1 }
	};
	struct imdsemu_options o;
	struct sim_http_service service;

	imdsemu_options_init(&o);
	o.epoch_unix_us = EPOCH_US;
	o.account = LAB_VIEW("123456789012");
	o.lifetime_s = lifetime_s;
	o.rotate_every_s = rotate_s;
	o.publish = s3emu_credentials_sink;
	o.publish_ctx = rig.s3;
	o.hooks = (struct sim_hooks){ .ctx = &rig, .access = on_access };
	assert_int_equal(imdsemu_new(testing_pool, &o, &rig.imds, &rig.err), 0);
	assert_int_equal(
		imdsemu_role_attach(rig.imds, LAB_VIEW("r"), IMDSEMU_ROLE_OK, &rig.err), 0);
	service = imdsemu_service(rig.imds);
	world_http_service(rig.world, &settings, &service);
}

static void rig_open(uint32_t lifetime_s, uint32_t rotate_s)
{
	struct world_settings settings = {
		.seed = 1, .wall_start_us = EPOCH_US, .same_zone = { 1, 1 }, .other_zone = { 1, 1 }
	};

	lab_defects_on = LAB_NO_DEFECTS;
	rig = (struct rig){ .arena = lab_arena_new(testing_heap, (size_t)1 << 28) };
	rig.fibers = lab_fiber_pool_new(64 << 10, 1000, NULL);
	settings.pool = testing_pool;
	settings.fibers = rig.fibers;
	rig.world = world_new(&settings);
	rig.host = world_host_new(rig.world, &(struct world_host_settings){ .name = "b1" });
	rig.env = world_env(rig.host);
	rig.conf.obox_fs.text = LAB_VIEW("-");
	rig.conf.obox_max_parallel_deletes = 1000;
	rig.conf.fs_auth_request_max_retries = 1;
	rig.conf.fs_auth_request_timeout_ns = 10 * LAB_SEC;
	new_s3();
	if (lifetime_s > 0)
		new_imds(lifetime_s, rotate_s);
}

static void rig_close(void)
{
	s3emu_free(&rig.s3);
	imdsemu_free(&rig.imds);
	world_free(&rig.world);
	lab_fiber_pool_free(&rig.fibers);
	lab_arena_free(&rig.arena);
}

static void host_main(void *arg)
{
	struct rig *r = arg;
	struct fs_settings settings = { .env = r->env,
		.username = "u",
		.session_id = "s",
		.temp_dir = "/tmp",
		.root_path = "/home",
		.max_parallel_deletes = 1000 };
	struct backend *backend;
	struct fs *fs;

	r->settings.env = r->env;
	r->settings.conf = &r->conf;
	assert_int_equal(backend_start(&r->settings, &backend, &r->err), 0);
	settings.services = backend_get_services(backend);
	if (fs_init(lab_view_cstr(r->uri), &settings, &fs, &r->err) < 0)
		fail_msg("%s", r->err.message);
	r->body(r, fs);
	r->ended_ns = env_now(r->env);
	fs_deinit(&fs);
	backend_stop(&backend);
	r->is_done = true;
}

static bool is_done(void *ctx)
{
	return ((struct rig *)ctx)->is_done;
}

static void run(const char *uri, void (*body)(struct rig *rig, struct fs *fs))
{
	struct lab_error err;

	rig.uri = uri;
	rig.body = body;
	rig.is_done = false;
	rig.count = 0;
	world_start(rig.host, host_main, &rig);
	assert_int_equal(world_run_until(rig.world, ENV_FOREVER, is_done, &rig, &err), 1);
}

/* ---- one operation of each kind ---- */

static void do_read(struct rig *r, struct fs *fs)
{
	struct fs_file *file = fs_file_open(fs, LAB_VIEW("k"), FS_OPEN_READONLY);
	struct lab_view contents;

	r->result = fs_read(file, r->arena, 1024, &contents, &r->err);
	fs_file_close(&file);
}

static void do_stat(struct rig *r, struct fs *fs)
{
	struct fs_file *file = fs_file_open(fs, LAB_VIEW("k"), FS_OPEN_READONLY);
	uint64_t size;

	r->result = fs_stat(file, &size, &r->err);
	fs_file_close(&file);
}

static void do_list(struct rig *r, struct fs *fs)
{
	struct lab_view *names;
	size_t count;

	r->result = fs_iter(fs, LAB_VIEW("d"), 0, 100, r->arena, &names, &count, &r->err);
}

static void do_write(struct rig *r, struct fs *fs)
{
	struct fs_file *file = fs_file_open(fs, LAB_VIEW("k"), FS_OPEN_REPLACE);

	r->result = fs_write(file, LAB_VIEW("text"), &r->err);
	fs_file_close(&file);
}

static void do_copy(struct rig *r, struct fs *fs)
{
	struct fs_file *from = fs_file_open(fs, LAB_VIEW("k"), FS_OPEN_READONLY);
	struct fs_file *to = fs_file_open(fs, LAB_VIEW("c"), FS_OPEN_REPLACE);

	r->result = fs_copy(from, to, &r->err);
	fs_file_close(&to);
	fs_file_close(&from);
}

static void do_delete(struct rig *r, struct fs *fs)
{
	struct fs_file *file = fs_file_open(fs, LAB_VIEW("k"), FS_OPEN_READONLY);

	r->result = fs_delete(file, &r->err);
	fs_file_close(&file);
}

static void do_bulk_delete(struct rig *r, struct fs *fs)
{
	struct fs_file *files[2] = { fs_file_open(fs, LAB_VIEW("a"), FS_OPEN_READONLY),
		fs_file_open(fs, LAB_VIEW("b"), FS_OPEN_READONLY) };
	struct lab_error results[2];

	r->result = fs_delete_many(files, 2, results, &r->err);
	fs_file_close(&files[0]);
	fs_file_close(&files[1]);
}

static const struct operation {
	const char *name;
	void (*body)(struct rig *rig, struct fs *fs);
	char class; /* r, w, d */
} operations[] = {
	{ "GET", do_read, 'r' },
	{ "HEAD", do_stat, 'r' },
	{ "LIST", do_list, 'r' },
	{ "PUT", do_write, 'w' },
	{ "COPY", do_copy, 'w' },
	{ "DELETE", do_delete, 'd' },
	{ "POST-DELETE", do_bulk_delete, 'd' },
};

/* ---- the ladder ---- */

/* Each attempt came `waits[i]` after the one before it, to the nanoseconds of the network. */
static void check_times(const char *what, const uint64_t *waits, size_t count)
{
	if (rig.count != count + 1)
		fail_msg("%s: %zu attempts, not %zu", what, rig.count, count + 1);
	for (size_t i = 0; i < count; i++) {
		uint64_t gap = rig.lines[i + 1].received_ns - rig.lines[i].received_ns;

		if (gap < waits[i] || gap > waits[i] + NETWORK_NS)
			fail_msg("%s: attempt %zu came after %" PRIu64 " ns, not %" PRIu64, what,
				i + 2, gap, waits[i]);
	}
}

static void always(struct sim_fault fault)
{
	rig.fault = fault;
	rig.fault_from_ns = 0;
	rig.fault_until_ns = ENV_FOREVER;
}

static void the_ladder_of_every_class(void **state)
{
	static const uint64_t ladder[] = { 50 * LAB_MSEC, 500 * LAB_MSEC, 5 * LAB_SEC,
		10 * LAB_SEC };
	static const struct {
		struct sim_fault fault;
		enum lab_code read, write;
	} faults[] = {
		{ { .kind = SIM_FAULT_REFUSE, .status = 503, .code = "SlowDown" }, LAB_THROTTLED,
			LAB_THROTTLED },
		{ { .kind = SIM_FAULT_REFUSE, .status = 503, .code = "ServiceUnavailable" },
			LAB_UNAVAILABLE, LAB_UNAVAILABLE },
		{ { .kind = SIM_FAULT_REFUSE, .status = 500, .code = "InternalError" },
			LAB_UNAVAILABLE, LAB_UNCERTAIN },
		{ { .kind = SIM_FAULT_RESET }, LAB_UNAVAILABLE, LAB_UNCERTAIN },
	};

	(void)state;
	for (size_t f = 0; f < LAB_COUNT_OF(faults); f++) {
		for (size_t i = 0; i < LAB_COUNT_OF(operations); i++) {
			const struct operation *o = &operations[i];
			enum lab_code expected;

			rig_open(0, 0);
			always(faults[f].fault);
			run(BASE, o->body);
			assert_int_equal(rig.fired, 5);
			check_times(o->name, ladder, LAB_COUNT_OF(ladder));
			assert_string_equal(rig.lines[0].operation, o->name);
			assert_int_equal(rig.result, -1);
			expected = o->class == 'r' ? faults[f].read : faults[f].write;
			/* No answer to a HEAD has a body, so nobody knows which 503 it is. */
			if (o->body == do_stat)
				expected = LAB_UNAVAILABLE;
			assert_row(f * 100 + i, rig.err.code == expected);
			rig_close();
		}
	}
}

static void counts_of_the_classes(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(operations); i++) {
		const struct operation *o = &operations[i];
		size_t retries = o->class == 'r' ? 1 : o->class == 'w' ? 2 : 0;

		rig_open(0, 0);
		always((struct sim_fault){ .kind = SIM_FAULT_REFUSE, .status = 500 });
		run(BASE "&read_max_retries=1&write_max_retries=2&delete_max_retries=0", o->body);
		if (rig.count != 1 + retries)
			fail_msg("%s: %zu attempts", o->name, rig.count);
		rig_close();
	}
}

static void timeouts_of_the_classes(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(operations); i++) {
		const struct operation *o = &operations[i];
		uint64_t timeout = o->class == 'r' ? 1 : o->class == 'w' ? 2 : 3;
		uint64_t waits[] = { timeout * LAB_SEC + 50 * LAB_MSEC,
			timeout * LAB_SEC + 500 * LAB_MSEC };

		rig_open(0, 0);
		always((struct sim_fault){ .kind = SIM_FAULT_STALL });
		run(BASE "&read_timeout=1000&write_timeout=2000&delete_timeout=3000&max_retries=2",
			o->body);
		check_times(o->name, waits, 2);
		assert_int_equal(rig.err.code, o->class == 'r' ? LAB_UNAVAILABLE : LAB_UNCERTAIN);
		rig_close();
	}
}

static void absolute_timeout_ends_the_ladder(void **state)
{
	static const uint64_t waits[] = { 50 * LAB_MSEC, 500 * LAB_MSEC };

	(void)state;
	rig_open(0, 0);
	always((struct sim_fault){ .kind = SIM_FAULT_REFUSE, .status = 500 });
	run(BASE "&absolute_timeout=5500", do_read);
	/* The third wait would end at 5.55 s. */
	check_times("GET", waits, 2);
	assert_in_range(rig.ended_ns, 550 * LAB_MSEC, 550 * LAB_MSEC + 3 * NETWORK_NS);
	rig_close();

	rig_open(0, 0);
	always((struct sim_fault){ .kind = SIM_FAULT_STALL });
	run(BASE "&absolute_timeout=5500", do_write);
	assert_int_equal(rig.count, 1);
	assert_in_range(rig.ended_ns, 5500 * LAB_MSEC, 5500 * LAB_MSEC + 3 * NETWORK_NS);
	assert_int_equal(rig.err.code, LAB_UNCERTAIN);
	rig_close();
}

/* 50 ms + 500 ms + 5 s + 10 s: what a user does not see, and what he does (s3 2.5). */
static void bursts_around_the_ladders_length(void **state)
{
	(void)state;
	rig_open(0, 0);
	always((struct sim_fault){ .kind = SIM_FAULT_REFUSE, .status = 503, .code = "SlowDown" });
	rig.fault_until_ns = 15540 * LAB_MSEC;
	run(BASE, do_write);
	assert_int_equal(rig.fired, 4);
	assert_int_equal(rig.result, 0);
	assert_true(rig.lines[4].applied);
	rig_close();

	rig_open(0, 0);
	always((struct sim_fault){ .kind = SIM_FAULT_REFUSE, .status = 503, .code = "SlowDown" });
	rig.fault_until_ns = 15560 * LAB_MSEC;
	run(BASE, do_write);
	assert_int_equal(rig.fired, 5);
	assert_int_equal(rig.result, -1);
	rig_close();
}

/* ---- answers that are not what they say ---- */

static void write_and_copy(struct rig *r, struct fs *fs)
{
	do_write(r, fs);
	assert_int_equal(r->result, 0);
	r->fault_from_ns = env_now(r->env);
	r->fault_until_ns = ENV_FOREVER;
	do_copy(r, fs);
}

/* S3 says 200 and then that it failed: not a success, and retried as what it is (s3 0.7). */
static void an_error_inside_a_200_is_an_error(void **state)
{
	static const uint64_t waits[] = { 50 * LAB_MSEC, 500 * LAB_MSEC };

	(void)state;
	rig_open(0, 0);
	rig.fault = (struct sim_fault){
		.kind = SIM_FAULT_FAIL, .status = 200, .code = "InternalError"
	};
	rig.fire_max = 2;
	run(BASE, write_and_copy);
	assert_int_equal(rig.fired, 2);
	assert_int_equal(rig.result, 0);
	/* Without the PUT before it. */
	memmove(rig.lines, rig.lines + 1, 3 * sizeof(rig.lines[0]));
	rig.count--;
	check_times("COPY", waits, 2);
	assert_int_equal(rig.lines[0].status, 200);
	assert_false(rig.lines[1].applied);
	assert_true(rig.lines[2].applied);
	rig_close();

	rig_open(0, 0);
	rig.fault = (struct sim_fault){
		.kind = SIM_FAULT_FAIL, .status = 200, .code = "InternalError"
	};
	run(BASE "&max_retries=1", write_and_copy);
	assert_int_equal(rig.result, -1);
	assert_int_equal(rig.err.code, LAB_UNCERTAIN);
	rig_close();
}

static void put_two(struct rig *r, struct fs *fs)
{
	static const char *const names[] = { "a", "b" };

	for (size_t i = 0; i < 2; i++) {
		struct fs_file *file = fs_file_open(fs, lab_view_cstr(names[i]), FS_OPEN_REPLACE);

		assert_int_equal(fs_write(file, LAB_VIEW("x"), &r->err), 0);
		fs_file_close(&file);
	}
	r->fault_from_ns = env_now(r->env);
	r->fault_until_ns = ENV_FOREVER;
	do_bulk_delete(r, fs);
}

/* One key deleted, one not, in a 200: only the other one goes out again. */
static void keys_of_a_bulk_delete_that_are_refused_go_out_again(void **state)
{
	(void)state;
	rig_open(0, 0);
	rig.fault =
		(struct sim_fault){ .kind = SIM_FAULT_PARTLY, .replicas = 1, .code = "SlowDown" };
	rig.fire_max = 1;
	run(BASE, put_two);
	assert_int_equal(rig.fired, 1);
	assert_int_equal(rig.result, 0);
	assert_int_equal(rig.count, 4);
	assert_int_equal(s3emu_counters(rig.s3)->deleted, 2);
	assert_int_equal(s3emu_counters(rig.s3)->deleted_missing, 0);
	assert_in_range(rig.lines[3].received_ns - rig.lines[2].received_ns, 50 * LAB_MSEC,
		50 * LAB_MSEC + NETWORK_NS);
	rig_close();
}

/* ---- IAM over rotations ---- */

#define ROTATE_S 3000
#define LIFETIME_S 3600
#define ROTATIONS 4

/* One session, a write every ten seconds, over four rotations and past every expiry. */
static void work_for_hours(struct rig *r, struct fs *fs)
{
	for (unsigned i = 0; i * 10 < ROTATIONS * ROTATE_S + LIFETIME_S; i++) {
		do_write(r, fs);
		if (r->result == 0)
			r->oks++;
		else if (r->failures++ == 0)
			r->first_failure = i * 10;
		env_sleep(r->env, 10 * LAB_SEC);
	}
}

static unsigned refused(void)
{
	unsigned count = 0;

	for (size_t i = 0; i < rig.count; i++)
		count += rig.lines[i].status == 400 || rig.lines[i].status == 403;
	return count;
}

static void a_session_outlives_its_credentials(void **state)
{
	(void)state;
	rig_open(LIFETIME_S, ROTATE_S);
	run(IAM, work_for_hours);
	assert_int_equal(rig.failures, 0);
	assert_true(rig.oks > 1500);
	/* New ones were there before the old ones ended: nothing was ever refused. */
	assert_int_equal(refused(), 0);
	assert_true(imdsemu_counters(rig.imds)->credentials_issued > ROTATIONS);
	assert_in_range(imdsemu_counters(rig.imds)->role_documents, ROTATIONS, 4 * ROTATIONS);
	rig_close();
}

static void pro_01_is_seen(void **state)
{
	(void)state;
	rig_open(LIFETIME_S, ROTATE_S);
	lab_defects_on = LAB_DEFECT(SESSION_CREDENTIALS);
	run(IAM, work_for_hours);
	assert_in_range(rig.first_failure, LIFETIME_S - 10, LIFETIME_S + 10);
	/* And never again. */
	assert_true(rig.failures > 1000);
	assert_int_equal(rig.err.code, LAB_DENIED);
	rig_close();
}

/* The storage refuses living credentials: asked for once more, within the same request. */
static void revoke_and_write(struct rig *r, struct fs *fs)
{
	do_write(r, fs);
	assert_int_equal(r->result, 0);
	env_sleep(r->env, 60 * LAB_SEC);
	imdsemu_rotate(r->imds, env_now(r->env));
	r->fault = (struct sim_fault){
		.kind = SIM_FAULT_REFUSE, .status = 400, .code = "ExpiredToken"
	};
	r->fault_from_ns = env_now(r->env);
	r->fault_until_ns = ENV_FOREVER;
	r->fire_max = 1;
	do_write(r, fs);
}

static void an_expired_token_is_replaced_at_once(void **state)
{
	uint64_t gap;

	(void)state;
	rig_open(LIFETIME_S, ROTATE_S);
	run(IAM "&max_retries=0", revoke_and_write);
	assert_int_equal(rig.fired, 1);
	if (rig.result != 0)
		fail_msg("%s", rig.err.message);
	assert_int_equal(rig.count, 3);
	gap = rig.lines[2].received_ns - rig.lines[1].received_ns;
	assert_in_range(gap, 1, 10 * NETWORK_NS);
	assert_int_equal(imdsemu_counters(rig.imds)->credentials_issued, 2);
	rig_close();
}

static void one_renewal_for_each_request(void **state)
{
	(void)state;
	rig_open(LIFETIME_S, ROTATE_S);
	always((struct sim_fault){
		.kind = SIM_FAULT_REFUSE, .status = 400, .code = "ExpiredToken" });
	run(IAM, do_write);
	assert_int_equal(rig.count, 2);
	assert_int_equal(rig.result, -1);
	assert_int_equal(rig.err.code, LAB_DENIED);
	rig_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(the_ladder_of_every_class),
		testing_test(counts_of_the_classes),
		testing_test(timeouts_of_the_classes),
		testing_test(absolute_timeout_ends_the_ladder),
		testing_test(bursts_around_the_ladders_length),
		testing_test(an_error_inside_a_200_is_an_error),
		testing_test(keys_of_a_bulk_delete_that_are_refused_go_out_again),
		testing_test(a_session_outlives_its_credentials),
		testing_test(pro_01_is_seen),
		testing_test(an_expired_token_is_replaced_at_once),
		testing_test(one_renewal_for_each_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs that are told what to do, in the simulated world.
 */
#include "scenarios/runner/run.h"
#include "scenarios/format/testing-scenario.h"

#define OPS_MAX 200

#define HEAD_OF(more) \
	TESTING_INCLUDE \
	"scenario {\n  clients = no\n  warmup = 0\n  duration = 30 s\n  settle = 2 min\n}\n" \
	"site az1 {\n  backends = 2\n}\nstore s3 {\n  latency_read = 2ms\n  latency_write = 3ms\n" \
	"}\nuser u {\n  count = 2\n  folders = 1\n" more "}\n"
#define HEAD HEAD_OF("")

struct op {
	enum history_kind kind;
	enum history_outcome outcome;
	uint64_t user, number, invoked_ms;
	uint32_t session, uid;
	char folder[32], target[64], backend[32];
};

static struct test {
	struct testing_loader loader;
	struct run_result result;
	struct op ops[OPS_MAX];
	size_t count;
} test;

static void copy(char *out, size_t size, struct lab_view text)
{
	snprintf(out, size, "%.*s", LAB_VIEW_ARG(text));
}

static void on_end(void *ctx, const struct run_end *end)
{
	(void)ctx;
	for (size_t i = 0; i < history_count(end->history) && test.count < OPS_MAX; i++) {
		const struct history_op *from = history_op(end->history, i);
		struct op *op = &test.ops[test.count];

		if (from->invoked_ns >= end->settled_ns)
			break;
		*op = (struct op){ .kind = from->kind,
			.outcome = from->outcome,
			.user = from->token >> 32,
			.number = (uint32_t)from->token,
			.invoked_ms = from->invoked_ns / LAB_MSEC,
			.session = from->session,
			.uid = from->uid };
		copy(op->folder, sizeof(op->folder), from->folder);
		copy(op->target, sizeof(op->target), from->target);
		copy(op->backend, sizeof(op->backend), from->backend);
		test.count++;
	}
}

static void run(const char *text)
{
	struct run_options options = { .seed = 1, .on_end = on_end };
	struct lab_error err;

	memset(&test, 0, sizeof(test));
	testing_loader_init(&test.loader);
	testing_load_ok(&test.loader, text);
	options.scenario = test.loader.scenario;
	options.pool = lab_pool_new((size_t)4 << 30);
	options.fibers = lab_fiber_pool_new(65536, 1024, NULL);
	if (run_simulated(&options, &test.result, &err) < 0)
		fail_msg("%s", err.message);
	lab_fiber_pool_free(&options.fibers);
	lab_pool_free(&options.pool);
	if (test.result.verdict != RUN_PASS)
		fail_msg("%s", test.result.report);
}

/* The operations in one line: "deliver:ok:1 ..." */
static const char *told(void)
{
	struct lab_buf out;

	lab_buf_init(&out, testing_heap, 65536);
	for (size_t i = 0; i < test.count; i++)
		lab_buf_printf(&out, "%s%s:%s:%" PRIu64, i == 0 ? "" : " ",
			history_kind_name(test.ops[i].kind),
			history_outcome_name(test.ops[i].outcome), test.ops[i].number);
	return lab_buf_cstr(&out);
}

static void mails_go_by_their_numbers(void **state)
{
	(void)state;
	run(HEAD
		"step 1 { at=1s do=deliver user=2 backend=backend-1 mails=5 }\n"
		"step 2 { at=2s do=deliver user=2 backend=backend-1 mails=3 flag=$Junk }\n"
		"step 3 { at=3s do=select user=2 session=1 backend=backend-1 }\n"
		"step 4 { at=4s do=store user=2 session=1 backend=backend-1 mails=3 flag=\\Seen }\n"
		"step 5 { at=5s do=copy user=2 session=1 backend=backend-1 mails=5 "
		"target=Folder1 }\n"
		"step 6 { at=6s do=move user=2 session=1 backend=backend-1 mails=3,5 "
		"target=Folder1 }\n"
		"step 7 { at=7s do=expunge user=2 session=2 backend=backend-1 folder=Folder1 "
		"mails=5,5 }\n"
		"step 8 { at=8s do=fetch user=2 session=2 backend=backend-1 folder=Folder1 "
		"mails=3 }\n");
	assert_string_equal(told(),
		"deliver:ok:5 deliver:ok:3 select:ok:0 store:ok:3 copy:ok:5 move:ok:3 move:ok:5 "
		"select:ok:0 expunge:ok:5 expunge:ok:5 fetch:ok:3");
	assert_int_equal(test.ops[0].user, 2);
	assert_int_equal(test.ops[3].invoked_ms, 4000);
	assert_int_equal(test.ops[3].session, 1);
	assert_int_equal(test.ops[8].session, 2);
	/* Two copies of one mail. */
	assert_int_not_equal(test.ops[8].uid, test.ops[9].uid);
	assert_string_equal(test.ops[4].target, "Folder1");
}

static void what_is_not_there_is_passed_over(void **state)
{
	(void)state;
	run(HEAD "step 1 { at=1s do=deliver backend=backend-1 mails=1 }\n"
		 "step 2 { at=2s do=expunge session=1 backend=backend-1 mails=7 }\n"
		 "step 3 { at=3s do=fetch session=1 backend=backend-1 mails=1@99 }\n"
		 "step 4 { at=4s do=fetch session=1 backend=backend-1 mails=?@1 }\n");
	assert_string_equal(told(), "deliver:ok:1 select:ok:0 fetch:ok:1");
}

/* Nobody here was told the object's name, so the number is not known before it is read. */
static void an_unknown_mail_is_read_first(void **state)
{
	(void)state;
	run(HEAD "episode 1 { kind=crash target=backend-1 at=2500ms length=2s disk=keep }\n"
		 "episode 2 { kind=stall_reply points=cql.write target=backend-1 at=2s nth=3 }\n"
		 "step 1 { at=1s do=deliver backend=backend-2 mails=1 }\n"
		 "step 2 { at=2s do=deliver backend=backend-1 mails=2 }\n"
		 "step 3 { at=9s do=expunge session=1 backend=backend-2 mails=2 }\n");
	assert_string_equal(
		told(), "deliver:ok:1 deliver:uncertain:2 select:ok:0 fetch:ok:2 expunge:ok:2");
}

static void a_retry_of_what_was_delivered_is_not_made(void **state)
{
	(void)state;
	run(HEAD "step 1 { at=1s do=deliver backend=backend-1 mails=1 }\n"
		 "step 2 { at=2s do=deliver backend=backend-1 mails=1 }\n");
	assert_string_equal(told(), "deliver:ok:1");
	/* One that failed is. */
	run(HEAD "episode 1 { kind=server_error points=cql.write at=1s length=500ms }\n"
		 "step 1 { at=1s do=deliver backend=backend-1 mails=1 }\n"
		 "step 2 { at=20s do=deliver backend=backend-1 mails=1 }\n");
	assert_string_equal(told(), "deliver:fail:1 deliver:ok:1");
}

/* The second waits for the first to end, unless the MTA has no patience. */
static void attempts_of_a_mail_follow_each_other(void **state)
{
#define SLOW \
	"episode 1 { kind=delay points=s3.put at=1s nth=1 target=backend-1 amount=5s }\n" \
	"step 1 { at=1s do=deliver backend=backend-1 mails=1 }\n" \
	"step 2 { at=2s do=deliver backend=backend-1 mails=1 }\n"
	(void)state;
	run(HEAD SLOW);
	assert_string_equal(told(), "deliver:ok:1");
	run(HEAD_OF("  mail_delivery_timeout = 500 ms\n") SLOW);
	assert_string_equal(told(), "deliver:ok:1 deliver:ok:1");
	assert_int_equal(test.ops[1].invoked_ms, 2000);
}

static void a_session_is_over_when_its_connection_is(void **state)
{
	(void)state;
	run(HEAD "episode 1 { kind=crash target=backend-1 at=3s length=1s disk=keep }\n"
		 "step 1 { at=1s do=deliver backend=backend-1 mails=1 }\n"
		 "step 2 { at=2s do=fetch session=1 backend=backend-1 mails=1 }\n"
		 "step 3 { at=6s do=fetch session=1 backend=backend-1 mails=1 }\n"
		 "step 4 { at=7s do=fetch session=1 backend=backend-1 mails=1 }\n"
		 "step 5 { at=8s do=status session=2 backend=backend-1 }\n"
		 "step 6 { at=3500ms do=flush backend=backend-1 }\n");
	assert_string_equal(told(), "deliver:ok:1 select:ok:0 fetch:ok:1 flush:fail:0 "
				    "fetch:fail:1 status:ok:0");
}

static void folders_come_and_go(void **state)
{
	(void)state;
	run(HEAD_OF("  mailbox_create_percentage = 1%\n") "step 1 { at=1s do=create session=1 "
							  "backend=backend-1 folder=A }\n"
							  "step 2 { at=2s do=subscribe session=1 "
							  "backend=backend-1 folder=A }\n"
							  "step 3 { at=3s do=rename session=1 "
							  "backend=backend-1 folder=A target=B }\n"
							  "step 4 { at=4s do=status session=1 "
							  "backend=backend-1 folder=B }\n"
							  "step 5 { at=5s do=delete session=1 "
							  "backend=backend-1 folder=B }\n"
							  "step 6 { at=6s do=subscribe session=1 "
							  "backend=backend-1 folder=A set=no }\n"
							  "step 7 { at=7s do=autoexpunge session=1 "
							  "backend=backend-1 }\n"
							  "step 8 { at=8s do=create session=1 "
							  "backend=backend-1 folder=C }\n");
	assert_string_equal(told(),
		"create:ok:0 subscribe:ok:0 rename:ok:0 status:ok:0 delete:ok:0 subscribe:ok:0");
}

/* For up to 690 s after a long trouble nobody tries; that is not a failure to heal. */
static void backends_that_wait_to_reconnect_are_awaited(void **state)
{
	(void)state;
	run(TESTING_INCLUDE
		"scenario {\n  clients = no\n  warmup = 0\n  duration = 3h\n  settle = 1s\n}\n"
		"site az1 {\n  backends = 2\n}\nuser u {\n  count = 1\n  folders = 1\n  "
		"backends_at_once = 2\n}\n"
		"episode 1 { kind=connect_refused points=cql.connect at=0 length=3h }\n"
		"step 1 { at=1s do=deliver backend=backend-1 mails=1 }\n"
		"step 2 { at=2s do=deliver backend=backend-2 mails=1 }\n");
	assert_string_equal(told(), "deliver:fail:1 deliver:fail:1");
}

static void who_is_deleted_is_locked_out(void **state)
{
	(void)state;
	run(HEAD "episode 1 { kind=delay points=cql.delete at=2s nth=1 amount=5s }\n"
		 "step 1 { at=1s do=deliver backend=backend-1 mails=1 }\n"
		 "step 2 { at=2s do=user-delete backend=backend-1 }\n"
		 "step 3 { at=2010ms do=deliver backend=backend-1 mails=2 }\n"
		 "step 4 { at=2020ms do=select backend=backend-1 }\n"
		 "step 5 { at=20s do=operate backend=backend-2 command=metacache rescan }\n"
		 "step 6 { at=21s do=operate backend=backend-2 command=metacache flush -u "
		 "user0001@example.com }\n");
	/* The session came while the user was locked out; the MTA waited. */
	assert_string_equal(
		told(), "deliver:ok:1 user-delete:ok:0 deliver:ok:2 operate:ok:0 operate:ok:0");
	assert_true(test.ops[2].invoked_ms > 2010);
	assert_string_equal(test.ops[3].target, "metacache rescan");
	assert_string_equal(test.ops[4].backend, "backend-2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(mails_go_by_their_numbers),
		testing_test(what_is_not_there_is_passed_over),
		testing_test(an_unknown_mail_is_read_first),
		testing_test(a_retry_of_what_was_delivered_is_not_made),
		testing_test(attempts_of_a_mail_follow_each_other),
		testing_test(a_session_is_over_when_its_connection_is),
		testing_test(folders_come_and_go),
		testing_test(backends_that_wait_to_reconnect_are_awaited),
		testing_test(who_is_deleted_is_locked_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

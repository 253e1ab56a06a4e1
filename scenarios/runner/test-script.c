/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/format/testing-scenario.h"

#include "scenarios/runner/run.h"
#include "scenarios/runner/script.h"

#include "core/base/fiber.h"

/* A scenario with one script, in a simulated world without faults. */
#define WORLD \
	"scenario {\n warmup = 1 s\n duration = 60 s\n settle = 5 s\n}\n" TESTING_INCLUDE \
	"site az1 {\n backends = 2\n}\n" \
	"store s3 {\n latency_read = 1 ms\n latency_write = 1 ms\n latency_list = 1 ms\n}\n" \
	"network {\n same_zone = 100 us\n other_zone = 100 us\n}\n" \
	"user u {\n count = 2\n idle = yes\n folders = 1\n backends_at_once = 2\n" \
	" mail_size = 1 k\n}\n" \
	"script s {\n file = s.lua\n}\n"
#define SCRIPT "scenarios/s.lua"

static struct run_result result;
static char said[16384];

static void on_event(void *ctx, const struct lab_event *event, const char *host)
{
	size_t len = strlen(said);

	(void)ctx;
	(void)host;
	for (size_t i = 0; event->id == LAB_EV_script_said && i < event->field_count; i++) {
		if (strcmp(event->fields[i].name, "text") == 0)
			(void)snprintf(said + len, sizeof(said) - len, "%.*s;",
				LAB_VIEW_ARG(event->fields[i].text));
	}
}

static void run_script(const char *text)
{
	static struct testing_loader loader;
	struct lab_fiber_pool *fibers = lab_fiber_pool_new(64 * 1024, 1000, NULL);
	struct lab_pool *pool = lab_pool_new((size_t)1 << 30);
	struct run_options options = {
		.seed = 1, .pool = pool, .fibers = fibers, .on_event = on_event
	};
	struct lab_error err;

	testing_loader_init(&loader);
	testing_file_set(&loader, SCRIPT, lab_view_cstr(text));
	testing_load_ok(&loader, WORLD);
	options.scenario = loader.scenario;
	said[0] = '\0';
	assert_int_equal(run_simulated(&options, &result, &err), 0);
	assert_null(env_hold_watcher);
	assert_int_equal(lab_fiber_pool_alive(fibers), 0);
	lab_fiber_pool_free(&fibers);
	lab_pool_free(&pool);
}

static void passes(const char *text)
{
	run_script(text);
	if (result.verdict != RUN_PASS)
		fail_msg("%s\n%s", text, result.report);
}

static void is_broken(const char *text, const char *why)
{
	run_script(text);
	assert_int_equal(result.verdict, RUN_BROKEN);
	if (strstr(result.report, why) == NULL)
		fail_msg("%s\nexpected: %s\nreport: %s", text, why, result.report);
}

static void says(const char *text, const char *expected)
{
	passes(text);
	assert_string_equal(said, expected);
}

/* ---- reading ---- */

static void files_are_read_and_checked(void **state)
{
	struct testing_loader loader;

	(void)state;
	testing_loader_init(&loader);
	testing_load_fails(&loader, WORLD, "script: scenarios/s.lua: no such file");
	testing_file_set(&loader, SCRIPT, LAB_VIEW("local x =\nif"));
	testing_load_fails(&loader, WORLD, "script: scenarios/s.lua:2: unexpected symbol");
	testing_load_fails(&loader, TESTING_LEAST "script x {\n}\n", "script: it needs a file");
	testing_load_fails(&loader, TESTING_LEAST "script {\n}\n", "script needs a name");
	testing_load_fails(
		&loader, TESTING_LEAST "script x {\n when = 1 s\n}\n", "unknown setting when");
	testing_file_set(&loader, SCRIPT, LAB_VIEW("print(1)"));
	testing_load_fails(&loader,
		TESTING_LEAST "script x {\n file = s.lua\n}\nscript x {\n file = s.lua\n}\n",
		"script x is there twice");
	testing_load_ok(&loader, WORLD);
	assert_int_equal(loader.scenario->script_count, 1);
	assert_string_equal(loader.scenario->scripts[0].path, SCRIPT);
	assert_true(loader.scenario->groups[0].idle);
}

/* ---- clients ---- */

static void mails_come_and_go(void **state)
{
	(void)state;
	passes("local u, b = user(1), backend(1)\n"
	       "local outcome, why, token = u:deliver{on = b}\n"
	       "assert(outcome == 'ok' and why == '' and token > 0)\n"
	       "local s = u:session{on = b}\n"
	       "assert(s:is_open() and s:select('INBOX') == 'ok')\n"
	       "assert(#s:mails() == 1 and s:mails()[1].uid == 1 and s:mails()[1].token == token)\n"
	       "assert(s:uid(token) == 1 and s:uid(1) == nil)\n"
	       "assert(s:fetch(1) == 'ok')\n"
	       "assert(s:store(1, '\\\\Seen') == 'ok' and s:store(1, '\\\\Seen', false) == 'ok')\n"
	       "assert(s:copy(1, 'Folder1') == 'ok')\n"
	       "assert(s:move({1}, 'Folder1') == 'ok')\n"
	       "assert(#s:mails() == 0)\n"
	       "assert(s:select('Folder1') == 'ok' and #s:mails() == 2)\n"
	       "assert(s:expunge{1, 2} == 'ok' and #s:mails() == 0)\n"
	       "s:close() s:close() assert(not s:is_open())\n"
	       "assert(u:flush{on = b} == 'ok')");
	assert_int_equal(result.operations[HISTORY_DELIVER][HISTORY_OK], 1);
	assert_int_equal(result.operations[HISTORY_COPY][HISTORY_OK], 1);
	assert_int_equal(result.operations[HISTORY_MOVE][HISTORY_OK], 1);
	assert_int_equal(result.operations[HISTORY_EXPUNGE][HISTORY_OK], 2);
	assert_int_equal(result.operations[HISTORY_STORE][HISTORY_OK], 2);
}

static void folders_come_and_go(void **state)
{
	(void)state;
	passes("local s = user(2):session{on = backend('backend-2')}\n"
	       "assert(s:create('A') == 'ok' and s:create('B', '\\\\Archive') == 'ok')\n"
	       "assert(s:rename('A', 'C') == 'ok' and s:subscribe('C') == 'ok')\n"
	       "assert(s:subscribe('C', false) == 'ok' and s:status('C') == 'ok')\n"
	       "assert(table.concat(s:list(), ' ') == 'B C INBOX')\n"
	       "assert(s:delete('B') == 'ok')\n"
	       "local outcome, why = s:delete('B')\n"
	       "assert(outcome == 'fail' and why ~= '')\n"
	       "assert(s:select('Z') == 'fail')\n"
	       "s:close()\n"
	       "assert(user(2):delete{on = backend(2)} == 'ok')");
	assert_int_equal(result.operations[HISTORY_USER_DELETE][HISTORY_OK], 1);
}

static void operators_are_heard_of(void **state)
{
	(void)state;
	passes("local u = user(1)\n"
	       "assert(u:deliver{on = backend(1)} == 'ok')\n"
	       "assert(backend(1):operate('metacache flush -u %u', u) == 'ok')\n"
	       "assert(backend(2):operate('metacache pull -u %u backend-1', u) == 'ok')");
	assert_int_equal(result.operations[HISTORY_OPERATE][HISTORY_OK], 2);
	is_broken("backend(1):operate('metacache nothing')", "s.lua:1:");
	is_broken("backend(1):operate('obox user delete -u x')", "user:delete{on=} is for that");
}

/* ---- time, fibers, draws ---- */

static void time_and_fibers(void **state)
{
	(void)state;
	says("local t0, order = now(), {}\n"
	     "local a = spawn(function(x) sleep(2) order[#order + 1] = x end, 'a')\n"
	     "local b = spawn(function() sleep('500 ms') order[#order + 1] = 'b' end)\n"
	     "a:wait() b:wait() a:wait()\n"
	     "print(table.concat(order), now() - t0, t0)\n"
	     "sleep(0.25) print(now() - t0 == 2.25)",
		"ba\t2.0\t1.0;true;");
	is_broken("sleep(-1)", "a time is from 0 to one year");
	is_broken("sleep('soon')", "s.lua:1:");
	is_broken("spawn(5)", "function expected");
	is_broken("spawn(function()\n error('inside')\n end) sleep(5)", "s.lua:2: inside");
}

static void the_same_seed_is_the_same_run(void **state)
{
	static const char text[] = "for i = 1, 3 do sleep(math.random(1, 5)) user(1):deliver{on = "
				   "backend(i % 2 + 1)} end\n"
				   "print({}, backend(1), user(1), marks('last_reference'))";
	uint64_t hash;
	char before[sizeof(said)];

	(void)state;
	passes(text);
	hash = result.trace_hash;
	memcpy(before, said, sizeof(before));
	passes(text);
	assert_true(result.trace_hash == hash);
	assert_string_equal(said, before);
	assert_string_equal(said, "table\tbackend-1\tuser0001@example.com\t0;");
}

/* ---- expectations ---- */

static void expectations_fail_the_run(void **state)
{
	(void)state;
	run_script("expect(true, 'so')\nexpect(1 == 2, 'one is two')\nexpect(nil, 'nothing')");
	assert_int_equal(result.verdict, RUN_FAIL);
	assert_int_equal(result.findings, 2);
	assert_string_equal(result.signature, "script s: one is two");
	assert_non_null(strstr(result.report, "FAIL  scenarios/test.scn  seed 1  script s: one"));
	assert_non_null(strstr(result.report, "s.lua:2: expected, and not so: one is two"));
	assert_non_null(strstr(result.report, "2 expectations of scripts failed"));
	assert_non_null(strstr(result.report, "oboxlab replay 1 scenarios/test.scn"));
	assert_string_equal(said, "one is two;nothing;");
	is_broken("expect(true)", "string expected");
}

static void errors_break_the_run(void **state)
{
	(void)state;
	is_broken("\n\nlocal x = nil + 1", "s.lua:3: attempt to perform arithmetic");
	is_broken("assert(false, 'no')", "no");
	is_broken("user(3)", "there is no user 3");
	is_broken("user(0)", "there is no user 0");
	is_broken("backend(3)", "there is no backend 3");
	is_broken("backend('x')", "there is no backend x");
	is_broken("user(1):deliver{}", "on which backend?");
	is_broken("user(1):deliver{on = user(1)}", "backend expected");
	is_broken("user(1):deliver{on = backend(1), foldr = 'x'}", "there is no option foldr");
	is_broken("user(1):deliver{on = backend(1), [1] = 'x'}", "there is no option 1");
	is_broken("user(1):session{on = backend(1)}:mails()", "no folder is selected");
	is_broken("local s = user(1):session{on = backend(1)} s:close() s:list()",
		"the session is closed");
	is_broken("local s = user(1):session{on = backend(1)} s:select('')", "no name of a folder");
	is_broken("local s = user(1):session{on = backend(1)} s:select('INBOX') s:fetch(7)",
		"there is no UID 7");
	is_broken("local s = user(1):session{on = backend(1)} s:select('INBOX') s:fetch({})",
		"too few or too many UIDs");
	is_broken("local s = user(1):session{on = backend(1)} s:select('INBOX') s:search(0)",
		"no token of a mail");
	is_broken("marks('nothing')", "there is no mark nothing");
	is_broken("while true do end", "instructions");
}

/* ---- holds ---- */

static void fibers_are_held(void **state)
{
	(void)state;
	passes("local u, b = user(1), backend(1)\n"
	       "local h = hold('object_stored', {backend = b, user = u, nth = 2})\n"
	       "local o = observe('save_before_index')\n"
	       "assert(u:deliver{on = b} == 'ok' and not h:is_held() and h:count() == 1)\n"
	       "local outcome\n"
	       "local t = spawn(function() outcome = u:deliver{on = b} end)\n"
	       "assert(h:wait() and h:is_held() and h:count() == 2)\n"
	       "sleep(10) assert(outcome == nil)\n"
	       "assert(user(2):deliver{on = b} == 'ok')\n"
	       "assert(h:release() and not h:is_held() and not h:release())\n"
	       "t:wait() assert(outcome == 'ok')\n"
	       "assert(u:deliver{on = backend(2)} == 'ok')\n"
	       "assert(h:count() == 2 and o:count() == 4 and o:wait())");
	assert_int_equal(result.holds[ENV_HOLD_object_stored], 1);
	assert_int_equal(result.holds[ENV_HOLD_save_before_index], 1);
	assert_int_equal(result.holds[ENV_HOLD_rows_deleted], 0);
}

static void held_backends_crash(void **state)
{
	(void)state;
	passes("local u, b = user(1), backend(1)\n"
	       "local h = hold('reverse_row_inserted')\n"
	       "local outcome\n"
	       "local t = spawn(function() outcome = u:deliver{on = b} end)\n"
	       "h:wait() h:crash{disk = 'keep', down = '3 s'}\n"
	       "assert(not h:is_held() and not b:is_up() and not h:release())\n"
	       "t:wait() assert(outcome == 'uncertain')\n"
	       "sleep(4) assert(b:is_up())\n"
	       "local c = crash_at('object_stored', {backend = b, down = 1, disk = 'wipe'})\n"
	       "assert(u:deliver{on = b} == 'uncertain' and c:wait('1 ms'))\n"
	       "assert(b:restart() and b:is_up() and b:restart())\n"
	       "assert(u:deliver{on = b} == 'ok')\n"
	       "b:crash() assert(not b:is_up())\n"
	       "assert(u:deliver{on = b} == 'fail')");
	assert_int_equal(result.crashes, 3);
	assert_int_equal(result.faults[FAULT_crash], 3);
}

static void nobody_stays_held(void **state)
{
	(void)state;
	passes("local u, b = user(1), backend(1)\n"
	       "hold('bundle_before_put')\n"
	       "assert(u:deliver{on = b} == 'ok')\n"
	       "spawn(function() u:flush{on = b} end)");
	assert_int_equal(result.holds[ENV_HOLD_bundle_before_put], 1);
	passes("local h = hold('garbage_found') assert(not h:wait('5 s')) assert(not h:release())\n"
	       "sleep(70) h = hold('object_stored')\n"
	       "assert(user(1):deliver{on = backend(1)} == 'ok' and h:count() == 0)");
	is_broken("hold('garbage_found'):wait()", "nobody came to the hold garbage_found");
	is_broken("hold('nowhere')", "there is no hold nowhere");
	is_broken("hold('object_stored', {disk = 'keep'})", "there is no option disk");
	is_broken("hold('object_stored', {nth = 0})", "nth: from 1 to");
	is_broken("hold('object_stored'):crash()", "nobody is held at object_stored");
	is_broken("crash_at('object_stored', {disk = 'burn'})", "invalid option 'burn'");
}

/* ---- faults ---- */

static void faults_are_injected(void **state)
{
	(void)state;
	passes("local u, b = user(1), backend(1)\n"
	       "assert(u:deliver{on = b} == 'ok')\n"
	       "local f = fault{kind = 'slow_down', point = 's3.put', target = b}\n"
	       "local outcome = u:deliver{on = b}\n"
	       "assert(outcome == 'fail' and f:fired() > 1, outcome)\n"
	       "f:stop()\n"
	       "local n = f:fired()\n"
	       "assert(u:deliver{on = b} == 'ok' and f:fired() == n)\n"
	       "local i = inject('s3.put:reset:1')\n"
	       "assert(u:deliver{on = b} == 'ok' and i:fired() == 1)\n"
	       "local d = fault{kind = 'delay', point = 'cql.*', rate = 0.5, length = '5 s',\n"
	       "  amount = '10 ms', target = 'cassandra-1'}\n"
	       "assert(u:deliver{on = b} == 'ok')\n"
	       "fault{kind = 'partition', target = b, other = 'zone:az1', length = '1 s'}\n"
	       "fault{kind = 'node_down', target = 'cassandra-2', length = 1}\n"
	       "fault{kind = 'clock_step', target = b, amount = '50 ms'}\n"
	       "fault{kind = 'hang', target = b, length = '2 s'}\n"
	       "local before = now() assert(u:deliver{on = b} == 'ok' and now() - before >= 2)\n"
	       "fault{kind = 'reset', nth = 1, target = 'zone:az1'}\n"
	       "sleep(3) assert(u:deliver{on = b} == 'ok')");
	assert_int_equal(result.faults[FAULT_node_down], 1);
	assert_int_equal(result.faults[FAULT_partition], 1);
	assert_int_equal(result.faults[FAULT_clock_step], 1);
	assert_int_equal(result.faults[FAULT_hang], 1);
	assert_true(result.faults[FAULT_slow_down] > 1);
	assert_true(result.faults[FAULT_reset] >= 1);
}

static void faults_must_make_sense(void **state)
{
	(void)state;
	is_broken("fault{}", "there is no kind of fault");
	is_broken("fault{kind = 'nothing'}", "there is no kind of fault nothing");
	is_broken("fault{kind = 'reset', point = 'x'}", "there is no fault point x");
	is_broken("fault{kind = 'reset', point = 'world.crash'}", "s.lua:1:");
	is_broken("fault{kind = 'reset', target = 'x'}", "target: x is nothing that reset");
	is_broken("fault{kind = 'crash', target = 's3'}", "target: s3 is nothing that crash");
	is_broken("fault{kind = 'node_down', target = backend(1)}", "is nothing that node_down");
	is_broken("fault{kind = 'reset', target = 'zone:x'}", "zone:x is nothing that reset");
	is_broken("fault{kind = 'reset', rate = 0}", "rate: above 0");
	is_broken("fault{kind = 'partition', target = '*', other = '*', length = 1}:stop()",
		"ends after its length");
	is_broken("inject('s3.put')", "s.lua:1:");
	is_broken("inject('>s3.put:reset:1')", "for command lines");
	is_broken("backend(1):crash{down = '3 s'} backend(1):crash()", "is down already");
	is_broken("sleep(70) fault{kind = 'reset'}", "the storm is over");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(files_are_read_and_checked),
		testing_test(mails_come_and_go),
		testing_test(folders_come_and_go),
		testing_test(operators_are_heard_of),
		testing_test(time_and_fibers),
		testing_test(the_same_seed_is_the_same_run),
		testing_test(expectations_fail_the_run),
		testing_test(errors_break_the_run),
		testing_test(fibers_are_held),
		testing_test(held_backends_crash),
		testing_test(nobody_stays_held),
		testing_test(faults_are_injected),
		testing_test(faults_must_make_sense),
	};

	return cmocka_run_group_tests_name("script", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * step and episode sections: what they say, what is wrong with them, and scenarios as texts.
 */
#include "scenarios/format/scenario-private.h"
#include "scenarios/format/testing-scenario.h"

#define TEXT_MAX (1u << 20)

#define HEAD \
	TESTING_INCLUDE \
	"scenario {\n  clients = no\n  warmup = 10 s\n  duration = 1 min\n  settle = 5 s\n}\n" \
	"site az1 {\n  backends = 2\n}\nsite az2 {\n  backends = 1\n}\n" \
	"user u {\n  count = 3\n}\nuser v {\n  count = 2\n}\n"

static struct testing_loader l;

static const struct scenario *load(const char *text)
{
	testing_loader_init(&l);
	testing_load_ok(&l, text);
	return l.scenario;
}

/* ---- what they say ---- */

static void a_step_keeps_what_was_written(void **state)
{
	const struct scenario *s = load(
		HEAD "step a { at=1.5s do=move user=4 session=7 backend=backend-3 folder=Folder1 "
		     "target=INBOX mails=17@5,?@6,18 }\n"
		     "step b {\n  do = store\n  backend = backend-1\n  mails = 1\n  flag = \\Seen\n"
		     "  set = no\n}\n"
		     "step c { do=operate backend=backend-1 command=metacache flush -u "
		     "user0001@example.com }\n");
	const struct scenario_step *step = &s->steps[0];
	struct lab_view rest = step->mails;
	struct scenario_mail mail;

	(void)state;
	assert_int_equal(s->step_count, 3);
	assert_false(s->has_clients);
	assert_int_equal(step->at_ns, 1500 * LAB_MSEC);
	assert_int_equal(step->what, HISTORY_MOVE);
	assert_int_equal(step->user, 4);
	assert_int_equal(step->session, 7);
	assert_true(lab_view_eq_cstr(step->backend, "backend-3"));
	assert_true(lab_view_eq_cstr(step->target, "INBOX"));
	assert_true(scenario_next_mail(&rest, &mail));
	assert_int_equal(mail.number, 17);
	assert_int_equal(mail.uid, 5);
	assert_true(scenario_next_mail(&rest, &mail));
	assert_int_equal(mail.number, 0);
	assert_int_equal(mail.uid, 6);
	assert_true(scenario_next_mail(&rest, &mail));
	assert_int_equal(mail.number, 18);
	assert_int_equal(mail.uid, 0);
	assert_false(scenario_next_mail(&rest, &mail));
	assert_false(s->steps[1].is_set);
	assert_true(lab_view_eq_cstr(s->steps[1].folder, "INBOX"));
	assert_true(
		lab_view_eq_cstr(s->steps[2].command, "metacache flush -u user0001@example.com"));
}

static void an_episode_is_exact(void **state)
{
	const struct scenario *s = load(HEAD
		"episode 1 { kind=write_timeout points=cql.write target=backend-2 at=12s nth=3 "
		"lasting=yes lasting_time=2s down=4s disk=wipe }\n"
		"episode 2 { kind=delay target=zone:az2 rate=25% amount=2s..3s length=7s "
		"draws=slow 4 }\n"
		"episode 3 { kind=clock_step target=backend-1 amount=250ms backwards=yes }\n"
		"episode 4 { kind=partition target=zone:az1 other=cassandra-2 at=20s length=1s }\n"
		"episode 5 { kind=reset target=s3 nth=1 after=1 }\n"
		"episode 6 { kind=hang target=backend-2 at=5s length=90s }\n");

	(void)state;
	assert_int_equal(s->exact_count, 6);
	assert_int_equal(s->exact[5].kind, FAULT_hang);
	assert_string_equal(s->exact[5].target, "backend-2");
	assert_int_equal(s->exact[0].kind, FAULT_write_timeout);
	assert_int_equal(s->exact[0].points, FAULT_BIT(cql_write));
	assert_int_equal(s->exact[0].scope, FAULT_PEER);
	assert_string_equal(s->exact[0].target, "backend-2");
	assert_int_equal(s->exact[0].nth, 3);
	assert_true(s->exact[0].is_lasting);
	assert_int_equal(s->exact[0].lasting_ns, 2 * LAB_SEC);
	assert_true(s->exact[0].crashes_peer);
	assert_int_equal(s->exact[0].disk, FAULT_DISK_WIPE);
	assert_int_equal(s->exact[1].scope, FAULT_PEER_ZONE);
	assert_string_equal(s->exact[1].target, "az2");
	assert_int_equal(s->exact[1].rate_ppm, 250000);
	assert_int_equal(s->exact[1].amount.high, 3 * LAB_SEC);
	assert_int_equal(s->exact[1].key, scenario_episode_key(LAB_VIEW("slow"), 4));
	assert_int_equal(s->exact[2].clock_us, -250000);
	assert_string_equal(s->exact[3].target, "zone:az1");
	assert_string_equal(s->exact[3].other, "cassandra-2");
	assert_int_equal(s->exact[4].scope, FAULT_INSTANCE);
	assert_int_equal(s->exact[4].after, 1);
}

/* ---- what is wrong with them ---- */

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "step 1 { do=copy backend=backend-1 mails=1 }", "step 1: target is missing" },
		{ "step 1 { backend=backend-1 }", "step 1: do is missing" },
		{ "step 1 { do=flush }", "step 1: backend is missing" },
		{ "step 1 { do=store backend=backend-1 mails=1 }", "step 1: flag is missing" },
		{ "step 1 { do=store backend=backend-1 mails=1 flag=a*b }", "flag is missing" },
		{ "step 1 { do=search backend=backend-1 }", "step 1: word is missing" },
		{ "step 1 { do=search backend=backend-1 word=zebras }", "word: 'zebras'" },
		{ "step 1 { do=deliver backend=backend-1 mails=1,2 }", "step 1: mails is" },
		{ "step 1 { do=deliver backend=backend-1 mails=?@2 }", "step 1: mails is" },
		{ "step 1 { do=deliver backend=backend-1 mails=1 flag=a\\b }", "flag: this is no" },
		{ "step 1 { do=fetch backend=backend-1 mails=0 }", "\"0\" is not a mail" },
		{ "step 1 { do=fetch backend=backend-1 mails=1@0 }", "\"1@0\" is not a mail" },
		{ "step 1 { do=fetch backend=backend-1 mails=4294967296 }", "is not a mail" },
		{ "step 1 { do=flush backend=backend-4 }", "they are backend-1 to backend-3" },
		{ "step 1 { do=flush backend=node-1 }", "there is no node-1" },
		{ "step 1 { do=flush backend=backend-1 user=6 }", "they are 1 to 5" },
		{ "step 1 { do=flush backend=backend-1 at=76s }", "at: the run is over then" },
		{ "step 1 { do=operate backend=backend-1 command=metacache fulsh }", "command: " },
		{ "step 1 { do=operate backend=backend-1 command=obox user delete -u x }",
			"user-delete" },
		{ "step 1 { do=select backend=backend-1 folder=\"\" }", "folder: this is no" },
		{ "step { do=flush backend=backend-1 }", "step needs a name" },
		{ "episode 1 { at=1s }", "kind: an episode has exactly one" },
		{ "episode 1 { kind=crash target=s3 }", "crash happens to a host" },
		{ "episode 1 { kind=hang target=zone:az1 }", "hang happens to a host" },
		{ "episode 1 { kind=crash target=backend-1 nth=1 }", "for faults of requests" },
		{ "episode 1 { kind=crash target=backend-1 disk=keep | wipe }", "disk: it is one" },
		{ "episode 1 { kind=node_down target=backend-1 }", "node_down happens to a node" },
		{ "episode 1 { kind=node_down target=cassandra-4 }", "there is no cassandra-4" },
		{ "episode 1 { kind=partition target=zone:az1 }", "a partition has two sides" },
		{ "episode 1 { kind=reset other=s3 }", "reset has one side only" },
		{ "episode 1 { kind=reset target=* }", "without one it is everybody" },
		{ "episode 1 { kind=reset target=zone:az3 }", "there is no zone:az3" },
		{ "episode 1 { kind=clock_skew target=backend-1 }", "clock_skew needs one" },
		{ "episode 1 { kind=clock_skew target=backend-1 amount=1s..2s }", "needs one" },
		{ "episode 1 { kind=reset lasting=yes }", "lasting: it needs nth" },
		{ "episode 1 { kind=reset draws=x }", "is not FAULT N" },
		{ "episode 1 { kind=reset draws=x 1 2 }", "is not FAULT N" },
		{ "episode 1 { kind=reset at=71s }", "at: the storm is over then" },
		{ "episode 1 { kind=reset nth=1 after=1 }", "no episode 1 above" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		char text[2048];

		testing_loader_init(&l);
		snprintf(text, sizeof(text), "%s%s\n", HEAD, cases[i].text);
		testing_load_fails(&l, text, cases[i].expected);
	}
}

static void there_are_not_too_many(void **state)
{
	struct lab_buf text;

	(void)state;
	testing_loader_init(&l);
	lab_buf_init(&text, testing_heap, TEXT_MAX);
	lab_buf_append_cstr(&text, HEAD);
	for (size_t i = 0; i <= SCENARIO_EPISODES_MAX; i++)
		lab_buf_printf(&text, "episode %zu { kind=reset }\n", i);
	testing_load_fails(&l, lab_buf_cstr(&text), "more than 1000 sections episode");
}

/* ---- as a text ---- */

static const char *print(const struct scenario *s)
{
	struct lab_buf out;
	struct lab_error err;

	lab_buf_init(&out, testing_heap, TEXT_MAX);
	if (scenario_print(s, &out, &err) < 0)
		fail_msg("%s", err.message);
	return lab_buf_cstr(&out);
}

/* What is printed says the same when it is read. */
static const char *print_twice(const struct scenario *s)
{
	const char *once = print(s), *twice;

	testing_file_set(&l, "scenarios/dovecot-dict-cql.conf.ext",
		testing_disk_file(TESTING_DICT, l.arena));
	testing_load_ok(&l, once);
	twice = print(l.scenario);
	assert_string_equal(once, twice);
	return once;
}

static void a_scenario_is_printed_as_it_was_read(void **state)
{
	const char *text = print_twice(load(HEAD
		"scenario {\n  seed = 77\n  defects = ack-before-put | no-retry-503\n"
		"  damage = lost_rows | foreign\n  repair = rebuild\n  doc = what # it is\n}\n"
		"store s3 {\n  latency_read = lognormal 1500us..20ms\n  slow_chance = 1/8\n"
		"  list_is_write = yes\n}\n"
		"store cql {\n  profile = cassandra-4.0\n}\nbackend {\n  memory = 64M..128M\n}\n"
		"network {\n  stream_split = 0.25%\n}\n"
		"operator o {\n  command = metacache rescan\n  every = 3.5 s\n}\n"
		"step a { at=1.000000001s do=search user=4 session=7 backend=backend-3 "
		"word=zebra }\n"
		"step b { do=create backend=backend-1 folder=\"x = y\" special_use=\\Archive }\n"
		"step c { do=subscribe backend=backend-1 folder=x set=no }\n"
		"episode 1 { kind=write_timeout points=cql.write target=backend-2 at=12s nth=3 "
		"lasting=yes lasting_time=2s down=4s disk=wipe }\n"
		"episode 2 { kind=delay target=zone:az2 rate=25% amount=qlog 2s..3s length=7s "
		"draws=slow 4 }\n"
		"episode 3 { kind=clock_step target=backend-1 amount=250ms backwards=yes }\n"));

	(void)state;
	assert_non_null(strstr(text, "  latency_read = lognormal 1.5ms..20ms\n"));
	assert_non_null(strstr(text, "  defects = no-retry-503 | ack-before-put\n"));
	assert_non_null(strstr(text, "  slow_chance = 12.5%\n"));
	assert_non_null(strstr(text, "step a { at=1.000000001s do=search user=4 "));
	assert_non_null(strstr(text, "folder=\"x = y\""));
	assert_non_null(strstr(text, "obox_fs = fscache:512M:"));
	assert_non_null(strstr(text, "cassandra = cassandra:dovecot-dict-cql.conf.ext\n"));
	/* Defaults are not said. */
	assert_null(strstr(text, "latency_write"));
	assert_null(strstr(text, "store scality"));
}

static void exact_episodes_become_sections(void **state)
{
	struct scenario *s = lab_new(testing_heap, struct scenario);
	struct fault_episode exact[2] = { { .kind = FAULT_delay,
						  .scope = FAULT_PEER_ZONE,
						  .target = "az2",
						  .start_ns = 20 * LAB_SEC,
						  .length_ns = LAB_SEC,
						  .rate_ppm = 1000,
						  .amount = { FAULT_LOGNORMAL, 5, 10 } },
		{ .kind = FAULT_partition_one_way,
			.target = "zone:az1",
			.other = "*",
			.start_ns = LAB_SEC,
			.length_ns = LAB_SEC } };
	const char *text;

	(void)state;
	*s = *load(HEAD "fault slow {\n  kinds = delay\n  episodes = 3\n}\n");
	exact[0].key = scenario_episode_key(LAB_VIEW("slow"), 2);
	s->exact = exact;
	s->exact_count = 2;
	scenario_name_episodes(s, s, l.arena);
	text = print(s);
	assert_non_null(strstr(text, "episode 1 { kind=delay"));
	assert_non_null(strstr(text, "target=zone:az2"));
	assert_non_null(strstr(text, "draws=slow 2"));
	assert_non_null(strstr(text, "amount=lognormal 0.005us..0.01us"));
	assert_non_null(
		strstr(text, "kind=partition_one_way at=1s length=1s target=zone:az1 other=*"));
	assert_null(strstr(text, "fault slow"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(a_step_keeps_what_was_written),
		testing_test(an_episode_is_exact),
		testing_test(what_cannot_be_is_refused),
		testing_test(there_are_not_too_many),
		testing_test(a_scenario_is_printed_as_it_was_read),
		testing_test(exact_episodes_become_sections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"
#include "sim/serve/fault-file.h"
#include "sim/serve/profile.h"

static struct conf_problems problems;
static struct lab_error err;

static struct lab_arena *new_arena(void)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, (size_t)1 << 27);

	conf_problems_init(&problems, arena);
	return arena;
}

static struct profile *load_ok(const char *text)
{
	struct profile *profile;

	if (profile_load_text("p", lab_view_cstr(text), new_arena(), &problems, &profile, &err) < 0)
		fail_msg(
			"%s: %s", err.message, problems.count > 0 ? problems.items[0].message : "");
	return profile;
}

static void without_a_file_there_is_one_key(void **state)
{
	struct profile *p = profile_default(new_arena());

	(void)state;
	assert_int_equal(p->key_count, 1);
	assert_true(lab_view_eq_cstr(p->keys[0].id, PROFILE_DEFAULT_KEY));
	assert_true(lab_view_eq_cstr(p->keys[0].account, PROFILE_ACCOUNT));
	assert_int_equal(p->keys[0].expires, UINT64_MAX);
	assert_int_equal(p->bucket_count, 0);
	assert_int_equal(p->s3.rates.write_rate, 3500);
	assert_true(p->s3.verify_signatures);
	assert_int_equal(p->cql.nodes, 3);
	assert_int_equal(p->imds.tokens, IMDSEMU_REQUIRED);
}

static int read_file(void *ctx, struct lab_view path, struct lab_arena *arena, struct lab_view *ret,
	struct lab_error *error)
{
	(void)arena;
	if (lab_view_eq_cstr(path, "p"))
		*ret = lab_view_cstr(ctx);
	else if (lab_view_eq_cstr(path, "get.lat"))
		*ret = LAB_VIEW("p50 20ms\np99 1s\n");
	else
		return lab_fail(error, LAB_NOT_FOUND, "%.*s: no such file", LAB_VIEW_ARG(path));
	return 0;
}

static void latencies_come_from_files(void **state)
{
	static char text[] = "s3 {\n latency_get_file = get.lat\n latency_put = 5ms\n}\n",
		    away[] = "s3 {\n latency_put_file = none.lat\n}\n";
	struct conf_reader reader = { .read_file = read_file, .ctx = text };
	struct profile *p;

	(void)state;
	assert_int_equal(profile_load("p", &reader, new_arena(), &problems, &p, &err), 0);
	assert_int_equal(p->s3.measured[S3EMU_GET].table_count, 2);
	assert_int_equal(p->s3.measured[S3EMU_PUT].table_count, 0);
	reader.ctx = away;
	assert_int_equal(profile_load("p", &reader, new_arena(), &problems, &p, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	assert_non_null(strstr(problems.items[0].message, "none.lat: no such file"));
	/* A text has no files. */
	assert_int_equal(
		profile_load_text("p", lab_view_cstr(text), new_arena(), &problems, &p, &err), -1);
	assert_non_null(strstr(problems.items[0].message, "no files can be read"));
}

static void every_section_is_read(void **state)
{
	struct profile *p = load_ok(
		"serve {\n seed = 7\n}\n"
		"bucket mails {\n partitions = 16\n read_rate = 9\n refuse_sigv2 = no\n}\n"
		"s3 {\n region = eu-west-1\n endpoints = a.b  c.d\n write_rate = 5\n"
		" latency_get = lognormal 9ms..60ms\n latency_put = 5 ms\n typical_latency = "
		"yes\n}\n"
		"key AKIAIOSFODNN7EXAMPLE {\n secret = \"a#b\"\n account = 111122223333\n"
		" session_token = t\n expires = 15 min\n}\n"
		"imds {\n tokens = optional\n role_state = failed\n rotate = 2 min\n"
		" lifetime = 8 min\n throttle_status = 503\n}\n"
		"cql {\n nodes = 1\n keyspaces = mails other_2\n user = u\n password = p\n}\n"
		"peer b1 {\n address = 127.0.1.1\n zone = az1\n hops = 2\n}\n");

	(void)state;
	assert_int_equal(p->serve.seed, 7);
	assert_true(lab_view_eq_cstr(p->s3.region, "eu-west-1"));
	assert_int_equal(p->s3.endpoints.count, 2);
	assert_true(lab_view_eq_cstr(p->s3.endpoints.items[1], "c.d"));
	assert_int_equal(p->s3.latency[S3EMU_GET].high, 60 * LAB_MSEC);
	assert_int_equal(p->s3.latency[S3EMU_PUT].low, 5 * LAB_MSEC);
	assert_int_equal(p->s3.latency[S3EMU_HEAD].low, UINT64_MAX);
	/* A bucket's rates are those of s3, wherever that stands, but for its own. */
	assert_int_equal(p->buckets[0].partitions, 16);
	assert_int_equal(p->buckets[0].rates.write_rate, 5);
	assert_int_equal(p->buckets[0].rates.read_rate, 9);
	assert_false(p->buckets[0].refuse_sigv2);
	assert_true(lab_view_eq_cstr(p->keys[0].secret, "a#b"));
	assert_int_equal(p->keys[0].expires, 15 * LAB_MINUTE);
	assert_int_equal(p->imds.tokens, IMDSEMU_OPTIONAL);
	assert_int_equal(p->imds.role_state, IMDSEMU_ROLE_FAILED);
	assert_int_equal(p->cql.keyspaces.count, 2);
	assert_string_equal(p->peers[0].zone_text, "az1");
	assert_int_equal(p->peers[0].hops, 2);
}

static void check_error(size_t i, const char *text, const char *expected)
{
	struct profile *profile = NULL;
	struct lab_buf line;

	assert_row(i, profile_load_text("p", lab_view_cstr(text), new_arena(), &problems, &profile,
			      &err) == -1);
	assert_row(i, err.code == LAB_INVALID && problems.errors == 1);
	assert_null(profile);
	lab_buf_init(&line, testing_heap, 4096);
	conf_problem_print(&problems.items[0], &line);
	if (strstr(lab_buf_cstr(&line), expected) != lab_buf_cstr(&line))
		fail_msg("row %zu: %s", i, lab_buf_cstr(&line));
	lab_buf_done(&line);
}

static void every_error_has_its_place(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "s3 {\n memroy = 1G\n}\n",
			"p:2:2: unknown setting memroy (did you mean memory?)" },
		{ "s3 {\n memory = 1X\n}\n", "p:2:11: memory: " },
		{ "s3 {\n memory = 1k\n}\n", "p:2:11: memory: 1k is below the minimum of 1M" },
		{ "s3 {\n write_rate = 1..2\n}\n",
			"p:2:15: write_rate: 1..2 is a range; this takes one value" },
		{ "s3 {\n latency_get = 1ms..2ms\n}\n",
			"p:2:16: latency_get: 1ms..2ms is neither a time nor lognormal A..B" },
		{ "s3 {\n latency_get = 5\n}\n", "p:2:16: latency_get: " },
		{ "s3 {\n cname = maybe\n}\n", "p:2:10: cname: " },
		{ "s3 {\n region =\n}\n", "p:2:10: region: it is empty" },
		{ "s3 {\n body_max = 2G\n}\n", "p:1:1: receive_max: it is less than body_max" },
		{ "s3 x {\n}\n", "p:1:1: section s3 takes no name" },
		{ "s3 {\n}\ns3 {\n}\n", "p:3:1: s3 is there twice" },
		{ "s3 {\n sub {\n }\n}\n", "p:2:2: unknown section sub" },
		{ "buckte mails {\n}\n", "p:1:1: unknown section buckte (did you mean bucket?)" },
		{ "seed = 5\n", "p:1:1: seed stands in no section" },
		{ "bucket {\n}\n", "p:1:1: bucket needs a name: bucket NAME { }" },
		{ "bucket ab {\n}\n", "p:1:1: bucket: the name of this bucket is too short" },
		{ "bucket abc {\n}\nbucket abc {\n}\n", "p:3:1: bucket abc is there twice" },
		{ "bucket abc {\n partitions = 4\n}\n",
			"p:2:15: partitions: it is none of 1, 16 and 256" },
		{ "bucket abc {\n partitions = 16\n partition_starts = a b\n}\n",
			"p:3:21: partition_starts: " },
		{ "key AKIAIOSFODNN7EXAMPLE {\n}\n",
			"p:1:1: key AKIAIOSFODNN7EXAMPLE has no secret" },
		{ "key AKIA {\n secret = x\n}\n", "p:1:1: key: the name of this key is too short" },
		{ "key AKIAIOSFODNN7EXAMPLE {\n secret = x\n account = 12\n}\n",
			"p:3:12: account: '12' is not an account: 12 digits" },
		{ "imds {\n rotate = 7 h\n}\n", "p:2:11: rotate: it must not be longer" },
		{ "imds {\n rotate = 1500 ms\n}\n",
			"p:2:11: rotate and lifetime are whole seconds" },
		{ "imds {\n throttle_status = 500\n}\n", "p:2:20: throttle_status: " },
		{ "imds {\n tokens = requierd\n}\n", "p:2:11: tokens: " },
		{ "imds {\n role_state = gone\n}\n", "p:2:15: role_state: " },
		{ "imds {\n latency = 1ms..2ms\n}\n", "p:2:12: latency: it is neither" },
		{ "imds {\n role =\n}\n", "p:2:8: role: it is empty" },
		{ "peer b1 {\n}\n", "p:1:1: peer b1 has no address" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		check_error(i, rows[i].text, rows[i].expected);
	}
}

static void errors_about_cassandra_have_their_places(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "cql {\n nodes = 65\n}\n", "p:2:10: nodes: 65 is above the maximum of 64" },
		{ "cql {\n nodes = 2\n replication_factor = 3\n}\n",
			"p:3:23: replication_factor: it is more than there are nodes" },
		{ "cql {\n keyspaces = mails a;drop\n}\n",
			"p:2:14: keyspaces: 'a;drop' is not a name" },
		{ "cql {\n topology = dc1:r1 dc1\n}\n",
			"p:2:13: topology: 'dc1' is not DATACENTER:RACK" },
		{ "cql {\n topology = dc1:r1:x\n}\n",
			"p:2:13: topology: 'dc1:r1:x' is not DATACENTER:RACK" },
		{ "cql {\n nodes = 1\n topology = a:b a:c\n}\n",
			"p:3:13: topology: it has more places than there are nodes" },
		{ "cql {\n user = u\n}\n", "p:2:9: user and password go together" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		check_error(i, rows[i].text, rows[i].expected);
}

static void secrets_are_in_no_message(void **state)
{
	struct profile *profile;

	(void)state;
	assert_int_equal(profile_load_text("p",
				 LAB_VIEW("key AKIAIOSFODNN7EXAMPLE {\n secret = $hidden <hidden\n"
					  " session_token = $hidden\n account = 1\n}\n"
					  "cql {\n password = hidden\n nodes = 0\n}\n"),
				 new_arena(), &problems, &profile, &err),
		-1);
	assert_int_equal(problems.errors, 2);
	for (size_t i = 0; i < problems.count; i++)
		assert_null(strstr(problems.items[i].message, "hidden"));
}

static void there_are_limits(void **state)
{
	struct profile *profile;
	struct lab_buf text;

	(void)state;
	lab_buf_init(&text, testing_heap, 1 << 20);
	for (unsigned i = 0; i <= PROFILE_BUCKETS_MAX; i++)
		lab_buf_printf(&text, "bucket b%05u {\n}\n", i);
	for (unsigned i = 0; i <= PROFILE_KEYS_MAX; i++)
		lab_buf_printf(&text, "key AKIAIOSFODNN7%05u {\n secret = x\n}\n", i);
	for (unsigned i = 0; i <= PROFILE_PEERS_MAX; i++)
		lab_buf_printf(&text, "peer p%u {\n address = 127.0.0.1\n}\n", i);
	assert_int_equal(
		profile_load_text("p", lab_buf_view(&text), new_arena(), &problems, &profile, &err),
		-1);
	assert_int_equal(problems.errors, 3);
	assert_string_equal(problems.items[0].message, "more than 256 buckets");
	assert_string_equal(problems.items[1].message, "more than 1024 keys");
	assert_string_equal(problems.items[2].message, "more than 1024 peers");
	lab_buf_done(&text);
}

/* ---- faults ---- */

static struct fault_file load_faults(const char *text)
{
	struct fault_file file;

	if (fault_file_load_text("f", lab_view_cstr(text), new_arena(), &problems, &file, &err) < 0)
		fail_msg(
			"%s: %s", err.message, problems.count > 0 ? problems.items[0].message : "");
	return file;
}

static void faults_that_cannot_be_have_their_places(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "fautl x {\n}\n", "f:1:1: unknown section fautl" },
		{ "x = 1\n", "f:1:1: x stands in no section" },
		{ "fault {\n kinds = reset\n}\n", "f:1:1: fault needs a name" },
		{ "fault \"a b\" {\n kinds = reset\n}\n", "f:1:1: fault needs a name" },
		{ "fault x {\n}\n", "f:1:1: fault x has no kinds" },
		{ "fault x {\n kinds = crash\n}\n",
			"f:2:10: kinds: crash happens to the hosts of a scenario" },
		{ "fault x {\n kinds = disk_full\n}\n",
			"f:2:10: kinds: disk_full happens to the hosts of a scenario" },
		{ "fault x {\n kinds = slow_down\n points = imds.*\n}\n",
			"f:3:11: points: slow_down never happens at any of them" },
		{ "fault x {\n kinds = slow_down\n target = imds\n}\n",
			"f:3:11: target: slow_down never happens there" },
		{ "fault x {\n kinds = reset\n target = backend\n}\n", "f:3:11: target: " },
		{ "fault x {\n kinds = reset\n target = s3 now\n}\n",
			"f:3:11: target: s3 is followed by too many words" },
		{ "fault x {\n kinds = reset\n target = client\n}\n",
			"f:3:11: target: client needs a name" },
		{ "fault x {\n kinds = reset\n episodes = 0..2\n}\n",
			"f:3:13: episodes: more than one need a window" },
		{ "fault x {\n kinds = reset\n window = 5 s\n length = 1s..6s\n}\n",
			"f:3:11: window: an episode may be longer" },
		{ "fault x {\n kinds = reset\n rate = 2\n}\n", "f:3:9: rate: " },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct fault_file file;
		struct lab_buf line;

		assert_row(i, fault_file_load_text("f", lab_view_cstr(rows[i].text), new_arena(),
				      &problems, &file, &err) == -1);
		assert_row(i, problems.errors == 1);
		lab_buf_init(&line, testing_heap, 4096);
		conf_problem_print(&problems.items[0], &line);
		if (strstr(lab_buf_cstr(&line), rows[i].expected) != lab_buf_cstr(&line))
			fail_msg("row %zu: %s", i, lab_buf_cstr(&line));
		lab_buf_done(&line);
	}
}

static void episodes_begin_at_their_start_or_within_their_window(void **state)
{
	static const char *const names[] = { "n1", "n2" };
	const struct fault_file_nodes nodes = { names, 2 };
	struct fault_file file = load_faults(
		"fault a {\n kinds = reset\n start = 5 s\n length = 10s..20s\n rate = 1\n"
		" target = client c\n}\n"
		"fault b {\n kinds = unavailable\n window = 1 min\n episodes = 3\n length = 5 s\n"
		" target = node n2\n}\n");
	struct fault_plan *plan = fault_plan_new(testing_heap, 1, 3);
	const struct fault_episode *e;
	size_t count;

	(void)state;
	for (size_t i = 0; i < file.count; i++)
		assert_int_equal(
			fault_file_add(plan, &file.sections[i], &nodes, 100 * LAB_SEC, 1, i, &err),
			0);
	e = fault_plan_episodes(plan, &count);
	assert_int_equal(count, 4);
	assert_int_equal(e[0].start_ns, 105 * LAB_SEC);
	assert_in_range(e[0].length_ns, 10 * LAB_SEC, 20 * LAB_SEC);
	assert_int_equal(e[0].scope, FAULT_PEER);
	assert_string_equal(e[0].target, "c");
	for (size_t i = 1; i < 4; i++) {
		assert_in_range(e[i].start_ns, 100 * LAB_SEC, 155 * LAB_SEC);
		assert_int_equal(e[i].scope, FAULT_INSTANCE);
		assert_string_equal(e[i].target, "n2");
	}
	/* The same file again: other episodes. */
	assert_int_equal(fault_file_add(plan, &file.sections[0], &nodes, 0, 1, 9, &err), 0);
	fault_plan_free(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(without_a_file_there_is_one_key),
		testing_test(latencies_come_from_files),
		testing_test(every_section_is_read),
		testing_test(every_error_has_its_place),
		testing_test(errors_about_cassandra_have_their_places),
		testing_test(secrets_are_in_no_message),
		testing_test(there_are_limits),
		testing_test(faults_that_cannot_be_have_their_places),
		testing_test(episodes_begin_at_their_start_or_within_their_window),
	};

	return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}

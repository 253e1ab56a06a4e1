/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/faults/faults.h"

struct test {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct fault_plan *plan;
	struct lab_error err;
};

static int setup(void **state)
{
	struct test *test = test_calloc(1, sizeof(*test));

	test->pool = lab_pool_new((size_t)1 << 30);
	test->heap = lab_heap_new(test->pool, (size_t)1 << 30);
	test->plan = fault_plan_new(test->heap, 1, 3);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct test *test = *state;

	fault_plan_free(&test->plan);
	assert_null(test->plan);
	fault_plan_free(&test->plan);
	assert_int_equal(lab_heap_used(test->heap), 0);
	lab_heap_drop(&test->heap);
	lab_pool_free(&test->pool);
	test_free(test);
	return 0;
}

static void renew(struct test *test, uint64_t seed)
{
	fault_plan_free(&test->plan);
	test->plan = fault_plan_new(test->heap, seed, 3);
}

static struct sim_fault ask(struct fault_plan *plan, const char *point, const char *instance,
	const char *peer, uint64_t now_ns)
{
	struct sim_fault_query query = { .point = point,
		.service = "test",
		.instance = lab_view_cstr(instance),
		.peer = lab_view_cstr(peer),
		.subject = LAB_VIEW("bucket/key"),
		.now_ns = now_ns };

	return fault_decide(plan, &query);
}

static uint32_t add(struct test *test, const struct fault_episode *episode)
{
	uint32_t id = 0;

	if (fault_plan_add_episode(test->plan, episode, &id, &test->err) < 0)
		fail_msg("%s", test->err.message);
	return id;
}

static struct fault_episode always(enum fault_kind kind)
{
	return (struct fault_episode){ .kind = kind,
		.length_ns = LAB_MINUTE,
		.rate_ppm = 1000000,
		.target = "x",
		.other = "y" };
}

/* ---- the vocabulary ---- */

static void points_are_sorted_and_found_by_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FAULT_POINT_COUNT; i++) {
		const char *name = fault_point_name((enum fault_point)i);

		if (i > 0)
			assert_true(strcmp(fault_point_name((enum fault_point)(i - 1)), name) < 0);
		assert_int_equal(fault_point_find(lab_view_cstr(name)), i);
		assert_true(strlen(fault_point_doc((enum fault_point)i)) > 10);
	}
	assert_int_equal(fault_point_find(LAB_VIEW("s3.nothing")), FAULT_POINT_COUNT);
	assert_int_equal(fault_point_find(LAB_VIEW("")), FAULT_POINT_COUNT);
}

static void points_are_matched_by_pattern(void **state)
{
	(void)state;
	assert_true(fault_points_matching(LAB_VIEW("s3.*")) == FAULT_S3);
	assert_true(fault_points_matching(LAB_VIEW("s3.put")) == FAULT_BIT(s3_put));
	assert_true(fault_points_matching(LAB_VIEW("*")) == (UINT64_C(1) << FAULT_POINT_COUNT) - 1);
	assert_true(fault_points_matching(LAB_VIEW("s4.*")) == 0);
	assert_true(fault_points_matching(LAB_VIEW("s3")) == 0);
	assert_true(fault_points_matching(LAB_VIEW("")) == 0);
}

static void kinds_are_found_by_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FAULT_KIND_COUNT; i++) {
		enum fault_kind kind = (enum fault_kind)i;

		assert_int_equal(fault_kind_find(lab_view_cstr(fault_kind_name(kind))), i);
		assert_true(fault_kind_points(kind) != 0);
		assert_true(strlen(fault_kind_doc(kind)) > 10);
	}
	assert_int_equal(fault_kind_find(LAB_VIEW("slow")), FAULT_KIND_COUNT);
	assert_true(fault_kind_is_world(FAULT_crash));
	assert_true(fault_kind_is_world(FAULT_node_down));
	assert_false(fault_kind_is_world(FAULT_slow_down));
}

/* ---- every kind fires at every of its points, and nowhere else ---- */

static void every_kind_fires_at_each_of_its_points(void **state)
{
	struct test *test = *state;
	uint64_t fired_points = 0;

	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		struct fault_episode episode = always((enum fault_kind)k);
		uint64_t points = fault_kind_points((enum fault_kind)k);

		renew(test, 1);
		(void)add(test, &episode);
		if (fault_kind_is_world((enum fault_kind)k)) {
			assert_int_equal(fault_world_fire(test->plan, 1, 5), 1);
			assert_int_equal(fault_fired_kind(test->plan, (enum fault_kind)k), 1);
			fired_points |= points;
			continue;
		}
		for (unsigned p = 0; p < FAULT_POINT_COUNT; p++) {
			bool is_there = (points >> p & 1) != 0;
			struct sim_fault fault = ask(
				test->plan, fault_point_name((enum fault_point)p), "i", "b1", 5);

			assert_int_equal(fault.kind != SIM_FAULT_NONE, is_there);
			assert_int_equal(fault.id != 0, is_there);
			assert_int_equal(
				fault_fired_point(test->plan, (enum fault_point)p), is_there);
			assert_int_equal(fault_asked_point(test->plan, (enum fault_point)p), 1);
		}
		assert_int_equal(fault_fired_kind(test->plan, (enum fault_kind)k),
			__builtin_popcountll(points));
		fired_points |= points;
	}
	assert_true(fired_points == (UINT64_C(1) << FAULT_POINT_COUNT) - 1);
}

/* A slow body that takes no time, an answer as old as now: nothing would have happened. */
static void what_needs_an_amount_has_one(void **state)
{
	struct test *test = *state;
	unsigned count = 0;

	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		struct fault_episode episode = always((enum fault_kind)k);
		unsigned point = (unsigned)__builtin_ctzll(fault_kind_points((enum fault_kind)k));
		struct sim_fault fault;

		if (fault_kind_is_world((enum fault_kind)k))
			continue;
		renew(test, 1);
		(void)add(test, &episode);
		fault = ask(test->plan, fault_point_name((enum fault_point)point), "i", "b1", 5);
		if (fault_kind_has_amount((enum fault_kind)k))
			assert_in_range(fault.delay_ns, 10 * LAB_MSEC, 10 * LAB_SEC);
		else
			assert_int_equal(fault.delay_ns, 0);
		count += fault_kind_has_amount((enum fault_kind)k) ? 1 : 0;
	}
	assert_true(count >= 7);
}

/* Also those beyond the 64th. */
static void a_spec_draws_from_all_of_its_kinds(void **state)
{
	struct test *test = *state;
	bool seen[FAULT_KIND_COUNT] = { false };
	const struct fault_episode *episodes;
	size_t count, kinds = 0;
	struct fault_spec spec = { .name = "all",
		.episodes = { FAULT_UNIFORM, 2000, 2000 },
		.window_end_ns = LAB_MINUTE,
		.length_ns = { FAULT_UNIFORM, 1, 1 },
		.rate_ppm = { FAULT_UNIFORM, 1, 1 } };

	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		if (!fault_kind_is_world((enum fault_kind)k)) {
			spec.kinds |= FAULT_KIND_BIT(k);
			kinds++;
		}
	}
	assert_int_equal(fault_plan_add(test->plan, &spec, &test->err), 0);
	episodes = fault_plan_episodes(test->plan, &count);
	for (size_t i = 0; i < count; i++)
		seen[episodes[i].kind] = true;
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++)
		kinds -= seen[k] ? 1 : 0;
	assert_int_equal(kinds, 0);
}

/* What each kind tells the emulator. */
static const struct {
	enum fault_kind kind;
	const char *point;
	enum sim_fault_kind answer;
	unsigned status, replicas;
	const char *code;
	bool delay;
} answers[] = {
	{ FAULT_slow_down, "s3.get", SIM_FAULT_REFUSE, 503, 0, "SlowDown", false },
	{ FAULT_internal_error, "s3.put", SIM_FAULT_FAIL, 500, 0, "InternalError", false },
	{ FAULT_internal_error_applied, "s3.put", SIM_FAULT_ALTER_REPLY, 500, 0, "InternalError",
		false },
	{ FAULT_lose_reply, "cql.write", SIM_FAULT_LOSE_REPLY, 0, 0, NULL, false },
	{ FAULT_delay, "imds.role", SIM_FAULT_DELAY, 0, 0, NULL, true },
	{ FAULT_write_timeout, "cql.write", SIM_FAULT_FAIL, 0x1100, 0, "WRITE_TIMEOUT", false },
	{ FAULT_write_timeout_one, "cql.write", SIM_FAULT_PARTLY, 0x1100, 1, "WRITE_TIMEOUT",
		false },
	{ FAULT_write_timeout_minority, "cql.delete", SIM_FAULT_PARTLY, 0x1100, 2, "WRITE_TIMEOUT",
		false },
	{ FAULT_write_timeout_quorum, "cql.write", SIM_FAULT_PARTLY, 0x1100, 3, "WRITE_TIMEOUT",
		false },
	{ FAULT_write_timeout_all, "cql.write", SIM_FAULT_ALTER_REPLY, 0x1100, 0, "WRITE_TIMEOUT",
		false },
	{ FAULT_write_timeout_late, "cql.write", SIM_FAULT_LATE, 0x1100, 0, "WRITE_TIMEOUT", true },
	{ FAULT_write_timeout_hinted, "cql.write", SIM_FAULT_PARTLY, 0x1100, 1, "hint", false },
	{ FAULT_write_failure_none, "cql.write", SIM_FAULT_FAIL, 0x1500, 0, "WRITE_FAILURE",
		false },
	{ FAULT_write_failure_minority, "cql.write", SIM_FAULT_PARTLY, 0x1500, 2, "WRITE_FAILURE",
		false },
	{ FAULT_write_failure_quorum, "cql.delete", SIM_FAULT_PARTLY, 0x1500, 3, "WRITE_FAILURE",
		false },
	{ FAULT_write_failure_all, "cql.write", SIM_FAULT_ALTER_REPLY, 0x1500, 0, "WRITE_FAILURE",
		false },
	{ FAULT_overloaded_minority, "cql.write", SIM_FAULT_PARTLY, 0x1001, 2, "OVERLOADED",
		false },
	{ FAULT_overloaded_applied, "cql.write", SIM_FAULT_ALTER_REPLY, 0x1001, 0, "OVERLOADED",
		false },
	{ FAULT_schema_lag, "cql.schema", SIM_FAULT_DELAY, 0, 0, NULL, true },
	{ FAULT_schema_lost, "cql.schema", SIM_FAULT_STALL, 0, 0, NULL, false },
	{ FAULT_read_timeout, "cql.read", SIM_FAULT_FAIL, 0x1200, 0, "READ_TIMEOUT", false },
	{ FAULT_imds_role_missing, "imds.role", SIM_FAULT_REFUSE, 404, 0, "NotFound", false },
};

static void faults_say_what_to_answer(void **state)
{
	struct test *test = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(answers); i++) {
		struct fault_episode episode = always(answers[i].kind);
		struct sim_fault fault;

		fault_plan_free(&test->plan);
		test->plan = fault_plan_new(test->heap, 1, 5);
		(void)add(test, &episode);
		fault = ask(test->plan, answers[i].point, "i", "b1", 5);
		assert_int_equal(fault.kind, answers[i].answer);
		assert_int_equal(fault.status, answers[i].status);
		assert_int_equal(fault.replicas, answers[i].replicas);
		assert_int_equal(fault.id, 1);
		if (answers[i].code == NULL)
			assert_null(fault.code);
		else
			assert_string_equal(fault.code, answers[i].code);
		/* The default: qlog 10 ms..10 s. */
		assert_int_equal(fault.delay_ns >= 10 * LAB_MSEC, answers[i].delay);
		assert_true(fault.delay_ns <= 10 * LAB_SEC);
	}
}

/* ---- rates ---- */

#define DECISIONS 100000

static void the_measured_rate_is_the_stated_rate(void **state)
{
	static const uint32_t rates[] = { 0, 100, 2000, 50000, 333333, 900000, 1000000 };
	struct test *test = *state;

	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++) {
		struct fault_episode episode = always((enum fault_kind)k);
		uint64_t fired, expected, variance, difference;
		enum fault_point point;

		if (fault_kind_is_world(episode.kind))
			continue;
		point = (enum fault_point)__builtin_ctzll(fault_kind_points(episode.kind));
		renew(test, k + 1);
		episode.rate_ppm = rates[k % LAB_COUNT_OF(rates)];
		(void)add(test, &episode);
		for (unsigned i = 0; i < DECISIONS; i++)
			(void)ask(test->plan, fault_point_name(point), "i",
				i % 3 == 0 ? "b1" : "b2", 5);
		fired = fault_fired_kind(test->plan, episode.kind);
		expected = (uint64_t)DECISIONS * episode.rate_ppm / 1000000;
		difference = fired > expected ? fired - expected : expected - fired;
		/* Within five standard deviations. */
		variance = expected * (1000000 - episode.rate_ppm) / 1000000;
		if (difference * difference > 25 * variance)
			fail_msg("%s: %" PRIu64 " of %d instead of %" PRIu64,
				fault_kind_name(episode.kind), fired, DECISIONS, expected);
	}
}

/* ---- keys ---- */

/* Which of 200 questions of b1 fail, as bits; `noise` questions of others come in between. */
static void pattern(struct test *test, unsigned noise, uint8_t out[200])
{
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned n = 0; n < noise; n++) {
			(void)ask(test->plan, "s3.put", "s3", "b2", 5);
			(void)ask(test->plan, "s3.get", "s3", "b1", 5);
		}
		out[i] = ask(test->plan, "s3.put", "s3", "b1", 5).kind != SIM_FAULT_NONE;
	}
}

static void a_decision_does_not_depend_on_other_traffic(void **state)
{
	struct test *test = *state;
	struct fault_episode episode = always(FAULT_slow_down), other = always(FAULT_delay);
	uint8_t alone[200], crowded[200], two[200], seed[200];

	episode.rate_ppm = other.rate_ppm = 300000;
	(void)add(test, &episode);
	pattern(test, 0, alone);
	renew(test, 1);
	(void)add(test, &episode);
	pattern(test, 5, crowded);
	assert_memory_equal(alone, crowded, sizeof(alone));
	/* Another episode adds faults, and takes none away. */
	renew(test, 1);
	(void)add(test, &episode);
	(void)add(test, &other);
	pattern(test, 1, two);
	for (size_t i = 0; i < sizeof(two); i++)
		assert_true(two[i] >= alone[i]);
	assert_memory_not_equal(two, alone, sizeof(two));
	renew(test, 2);
	(void)add(test, &episode);
	pattern(test, 0, seed);
	assert_memory_not_equal(seed, alone, sizeof(seed));
}

static void peers_and_points_fail_independently(void **state)
{
	struct test *test = *state;
	struct fault_episode episode = always(FAULT_slow_down);
	unsigned same_peers = 0, same_points = 0;

	episode.rate_ppm = 500000;
	(void)add(test, &episode);
	for (int i = 0; i < 1000; i++) {
		bool first = ask(test->plan, "s3.put", "s3", "b1", 5).id != 0;

		same_peers += first == (ask(test->plan, "s3.put", "s3", "b2", 5).id != 0);
		same_points += first == (ask(test->plan, "s3.get", "s3", "b1", 5).id != 0);
	}
	/* As coins do, within five standard deviations. */
	assert_in_range(same_peers, 420, 580);
	assert_in_range(same_points, 420, 580);
}

/* ---- scope and time ---- */

static const char *zone_of(void *ctx, struct lab_view peer)
{
	(void)ctx;
	return lab_view_eq_cstr(peer, "b1") ? "az1" : "az2";
}

static bool fires_for(struct fault_plan *plan, const char *table)
{
	struct sim_fault_query query = { .point = "cql.read",
		.service = "cql",
		.instance = LAB_VIEW("i1"),
		.peer = LAB_VIEW("b1"),
		.subject = lab_view_cstr(table),
		.now_ns = LAB_SEC };

	return fault_decide(plan, &query).kind != SIM_FAULT_NONE;
}

static void an_episode_may_be_of_one_keyspace(void **state)
{
	struct test *test = *state;
	struct fault_episode episode = always(FAULT_unavailable);

	renew(test, 1);
	memcpy(episode.keyspace, "geodb", sizeof("geodb"));
	(void)add(test, &episode);
	assert_true(fires_for(test->plan, "geodb.users"));
	assert_false(fires_for(test->plan, "mails.user_mailbox_objects"));
	assert_false(fires_for(test->plan, "geodbs.users"));
	assert_false(fires_for(test->plan, "geodb"));
	assert_false(fires_for(test->plan, ""));
}

static void an_episode_has_a_scope(void **state)
{
	static const struct {
		enum fault_scope scope;
		const char *target;
		bool fires[4]; /* (i1, b1) (i1, b2) (i2, b1) (i2, b2) */
	} rows[] = {
		{ FAULT_EVERYWHERE, "", { true, true, true, true } },
		{ FAULT_INSTANCE, "i1", { true, true, false, false } },
		{ FAULT_PEER, "b2", { false, true, false, true } },
		{ FAULT_PEER_ZONE, "az1", { true, false, true, false } },
	};
	static const struct fault_observer observer = { .zone_of = zone_of };
	struct test *test = *state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct fault_episode episode = always(FAULT_reset);

		renew(test, 1);
		fault_plan_observe(test->plan, &observer);
		episode.scope = rows[i].scope;
		(void)lab_view_to_cstr(
			lab_view_cstr(rows[i].target), episode.target, sizeof(episode.target));
		(void)add(test, &episode);
		for (unsigned n = 0; n < 4; n++) {
			struct sim_fault fault = ask(test->plan, "cql.read", n < 2 ? "i1" : "i2",
				n % 2 == 0 ? "b1" : "b2", 5);

			assert_int_equal(fault.kind != SIM_FAULT_NONE, rows[i].fires[n]);
		}
	}
}

static void an_episode_has_a_beginning_and_an_end(void **state)
{
	static const uint64_t times[] = { 0, 99, 100, 149, 150, 249, 250, 1000, 120 };
	static const unsigned status[] = { 0, 0, 503, 503, 500, 500, 0, 0, 503 };
	struct test *test = *state;
	struct fault_episode first = always(FAULT_slow_down), second = always(FAULT_internal_error);

	/* Where they overlap the first one decides; time may also be asked backwards. */
	first.start_ns = 100;
	first.length_ns = 50;
	second.start_ns = 120;
	second.length_ns = 130;
	(void)add(test, &first);
	(void)add(test, &second);

	for (size_t i = 0; i < LAB_COUNT_OF(times); i++)
		assert_int_equal(
			ask(test->plan, "s3.head", "s3", "b1", times[i]).status, status[i]);
}

static void the_nth_occurrence_fails_and_only_that(void **state)
{
	struct test *test = *state;
	struct fault_episode episode = always(FAULT_lose_reply);

	episode.points = FAULT_BIT(s3_put) | FAULT_BIT(s3_delete);
	episode.nth = 3;
	(void)add(test, &episode);

	assert_int_equal(ask(test->plan, "s3.put", "s3", "b1", 1).id, 0);
	assert_int_equal(ask(test->plan, "s3.get", "s3", "b1", 1).id, 0);
	assert_int_equal(ask(test->plan, "s3.delete", "s3", "b2", 2).id, 0);
	assert_int_equal(ask(test->plan, "s3.put", "s3", "b2", 3).id, 1);
	assert_int_equal(ask(test->plan, "s3.put", "s3", "b2", 4).id, 0);
}

static void or_that_and_all_that_come_later(void **state)
{
	struct test *test = *state;
	struct fault_episode episode = always(FAULT_lose_reply);

	episode.points = FAULT_BIT(s3_put);
	episode.nth = 2;
	episode.is_lasting = true;
	(void)add(test, &episode);

	assert_int_equal(ask(test->plan, "s3.put", "s3", "b1", 1).id, 0);
	assert_int_equal(ask(test->plan, "s3.put", "s3", "b2", 2).id, 1);
	assert_int_equal(ask(test->plan, "s3.put", "s3", "b1", 3).id, 2);
}

static void or_all_within_a_time(void **state)
{
	struct test *test = *state;
	struct fault_episode episode = always(FAULT_lose_reply);

	episode.points = FAULT_BIT(s3_put);
	episode.nth = 2;
	episode.is_lasting = true;
	episode.lasting_ns = 5;
	(void)add(test, &episode);

	assert_int_equal(ask(test->plan, "s3.put", "s3", "b1", 1).id, 0);
	assert_int_equal(ask(test->plan, "s3.put", "s3", "b1", 3).id, 1);
	assert_int_equal(ask(test->plan, "s3.put", "s3", "b1", 7).id, 2);
	assert_int_equal(ask(test->plan, "s3.put", "s3", "b1", 8).id, 0);
}

static void one_fault_may_wait_for_another(void **state)
{
	struct test *test = *state;
	struct fault_episode first = always(FAULT_lose_reply), then = always(FAULT_reset);

	first.points = then.points = FAULT_BIT(cql_write);
	first.nth = 2;
	then.nth = 1;
	then.after = add(test, &first);
	(void)add(test, &then);

	assert_int_equal(ask(test->plan, "cql.write", "n1", "b1", 1).kind, SIM_FAULT_NONE);
	assert_int_equal(ask(test->plan, "cql.write", "n1", "b1", 2).kind, SIM_FAULT_LOSE_REPLY);
	assert_int_equal(ask(test->plan, "cql.write", "n2", "b1", 3).kind, SIM_FAULT_RESET);
	assert_int_equal(ask(test->plan, "cql.write", "n2", "b1", 4).kind, SIM_FAULT_NONE);
}

/* ---- records, suppression ---- */

static uint32_t observed;

static void on_fired(void *ctx, const struct fault_record *record)
{
	(void)ctx;
	observed = record->id;
}

static void fired_faults_are_recorded_and_can_be_suppressed(void **state)
{
	static const struct fault_observer observer = { .fired = on_fired };
	struct test *test = *state;
	struct fault_episode episode = always(FAULT_conflict);
	const struct fault_record *record;
	uint64_t second_key;

	fault_plan_observe(test->plan, &observer);
	(void)add(test, &episode);
	for (int i = 0; i < 3; i++)
		(void)ask(test->plan, "s3.put", "s3", "b1", 7);
	assert_int_equal(observed, 3);
	assert_int_equal(fault_record_count(test->plan), 3);
	record = fault_record(test->plan, 1);
	assert_int_equal(record->id, 2);
	assert_int_equal(record->kind, FAULT_conflict);
	assert_int_equal(record->point, FAULT_POINT_s3_put);
	assert_int_equal(record->episode, 1);
	assert_int_equal(record->time_ns, 7);
	assert_string_equal(record->peer, "b1");
	assert_string_equal(record->subject, "bucket/key");
	assert_ptr_equal(fault_record_find(test->plan, 2), record);
	assert_null(fault_record_find(test->plan, 4));
	assert_null(fault_record(test->plan, 3));
	second_key = record->key;

	renew(test, 1);
	(void)add(test, &episode);
	assert_int_equal(fault_plan_suppress(test->plan, second_key, &test->err), 0);
	assert_int_equal(ask(test->plan, "s3.put", "s3", "b1", 7).id, 1);
	assert_int_equal(ask(test->plan, "s3.put", "s3", "b1", 7).kind, SIM_FAULT_NONE);
	/* The others keep their numbers. */
	assert_int_equal(ask(test->plan, "s3.put", "s3", "b1", 7).id, 3);
	assert_int_equal(fault_fired_total(test->plan), 2);
}

static void the_last_records_are_kept(void **state)
{
	struct test *test = *state;
	struct fault_episode episode = always(FAULT_stall);

	(void)add(test, &episode);
	for (int i = 0; i < FAULT_RECORDS_MAX + 10; i++)
		(void)ask(test->plan, "s3.put", "s3", "b1", 7);

	assert_int_equal(fault_record_count(test->plan), FAULT_RECORDS_MAX);
	assert_int_equal(fault_record(test->plan, 0)->id, 11);
	assert_int_equal(
		fault_record(test->plan, FAULT_RECORDS_MAX - 1)->id, FAULT_RECORDS_MAX + 10);
	assert_null(fault_record_find(test->plan, 10));
	assert_int_equal(fault_fired_total(test->plan), FAULT_RECORDS_MAX + 10);
}

static void suppressions_are_bounded(void **state)
{
	struct test *test = *state;

	for (uint64_t key = 1; key <= 4096; key++)
		assert_int_equal(fault_plan_suppress(test->plan, key, &test->err), 0);
	assert_int_equal(fault_plan_suppress(test->plan, 5000, &test->err), -1);
	assert_int_equal(test->err.code, LAB_LIMIT);
}

static void a_disabled_episode_does_not_happen(void **state)
{
	struct test *test = *state;
	struct fault_episode service = always(FAULT_stall), world = always(FAULT_crash);

	(void)add(test, &service);
	(void)add(test, &world);
	assert_int_equal(fault_plan_disable_episode(test->plan, 1, &test->err), 0);
	assert_int_equal(fault_plan_disable_episode(test->plan, 2, &test->err), 0);
	assert_int_equal(fault_plan_disable_episode(test->plan, 3, &test->err), -1);
	assert_int_equal(test->err.code, LAB_NOT_FOUND);

	assert_int_equal(ask(test->plan, "s3.put", "s3", "b1", 7).kind, SIM_FAULT_NONE);
	assert_int_equal(fault_world_fire(test->plan, 2, 7), 0);
	assert_int_equal(fault_fired_total(test->plan), 0);
}

/* ---- specs ---- */

static const char *const hosts[] = { "b1", "b2", "b3" };
static const char *const nodes[] = { "cassandra-1", "zone:az1" };

static struct fault_spec spec_of(fault_kind_set kinds)
{
	return (struct fault_spec){ .name = "spec",
		.kinds = kinds,
		.episodes = { FAULT_UNIFORM, 5, 40 },
		.window_start_ns = LAB_MINUTE,
		.window_end_ns = 10 * LAB_MINUTE,
		.length_ns = { FAULT_QLOG, LAB_SEC, 90 * LAB_SEC },
		.rate_ppm = { FAULT_QLOG, 2000, 333333 },
		.targets = hosts,
		.target_count = LAB_COUNT_OF(hosts),
		.others = nodes,
		.other_count = LAB_COUNT_OF(nodes) };
}

static void episodes_are_drawn_within_their_spec(void **state)
{
	struct test *test = *state;
	fault_kind_set kinds_seen = 0;
	uint64_t targets_seen = 0, disks_seen = 0;
	int64_t negative = 0, positive = 0;

	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct fault_spec spec = spec_of(FAULT_KIND(slow_down) | FAULT_KIND(crash) |
						 FAULT_KIND(partition) | FAULT_KIND(clock_skew));
		const struct fault_episode *episodes;
		size_t count;

		renew(test, seed);
		spec.disks = 1 << FAULT_DISK_KEEP | 1 << FAULT_DISK_LOSE_UNSYNCED;
		spec.scope = FAULT_PEER;
		assert_int_equal(fault_plan_add(test->plan, &spec, &test->err), 0);
		episodes = fault_plan_episodes(test->plan, &count);
		assert_in_range(count, 5, 40);
		for (size_t i = 0; i < count; i++) {
			const struct fault_episode *episode = &episodes[i];

			assert_int_equal(episode->id, i + 1);
			kinds_seen |= FAULT_KIND_BIT(episode->kind);
			targets_seen |= UINT64_C(1) << (episode->target[1] - '0');
			disks_seen |= UINT64_C(1) << episode->disk;
			assert_true(episode->start_ns >= LAB_MINUTE);
			assert_true(episode->start_ns + episode->length_ns <= 10 * LAB_MINUTE);
			assert_in_range(episode->length_ns, LAB_SEC, 90 * LAB_SEC);
			assert_in_range(episode->rate_ppm, 2000, 333333);
			if (episode->kind == FAULT_clock_skew) {
				negative += episode->clock_us < 0;
				positive += episode->clock_us > 0;
			}
		}
	}
	assert_true(kinds_seen == (FAULT_KIND(slow_down) | FAULT_KIND(crash) |
					  FAULT_KIND(partition) | FAULT_KIND(clock_skew)));
	assert_true(targets_seen == (1 << 1 | 1 << 2 | 1 << 3));
	assert_true(disks_seen == (1 << FAULT_DISK_KEEP | 1 << FAULT_DISK_LOSE_UNSYNCED));
	assert_true(negative > 10 && positive > 10);
}

static void delays_are_drawn_from_their_range(void **state)
{
	struct test *test = *state;
	struct fault_spec spec = spec_of(FAULT_KIND(delay));
	unsigned inside = 0;

	spec.points = FAULT_BIT(cql_read);
	spec.amount = (struct fault_range){ FAULT_LOGNORMAL, LAB_MSEC, 4 * LAB_MSEC };
	spec.rate_ppm = (struct fault_range){ FAULT_UNIFORM, 1000000, 1000000 };
	spec.length_ns = (struct fault_range){ FAULT_UNIFORM, LAB_MINUTE * 60, LAB_MINUTE * 60 };
	assert_int_equal(fault_plan_add(test->plan, &spec, &test->err), 0);
	for (int i = 0; i < 1000; i++) {
		struct sim_fault fault = ask(test->plan, "cql.read", "i", "b1", LAB_MINUTE);

		assert_int_equal(fault.kind, SIM_FAULT_DELAY);
		assert_in_range(fault.delay_ns, LAB_MSEC / 4, 64 * LAB_MSEC);
		inside += fault.delay_ns >= LAB_MSEC && fault.delay_ns <= 4 * LAB_MSEC;
		assert_int_equal(
			ask(test->plan, "cql.write", "i", "b1", LAB_MINUTE).kind, SIM_FAULT_NONE);
	}
	/* 90 %, within five standard deviations. */
	assert_in_range(inside, 852, 948);
}

static void nobody_is_parted_from_himself(void **state)
{
	struct test *test = *state;
	struct fault_spec spec = spec_of(FAULT_KIND(partition));
	const struct fault_episode *episodes;
	unsigned pairs_seen = 0;
	size_t count;

	spec.others = hosts;
	spec.other_count = LAB_COUNT_OF(hosts);
	spec.episodes = (struct fault_range){ FAULT_UNIFORM, 200, 200 };
	assert_int_equal(fault_plan_add(test->plan, &spec, &test->err), 0);
	spec.name = "alone";
	spec.target_count = spec.other_count = 1;
	assert_int_equal(fault_plan_add(test->plan, &spec, &test->err), 0);
	episodes = fault_plan_episodes(test->plan, &count);
	assert_int_equal(count, 400);
	for (size_t i = 0; i < 200; i++) {
		assert_string_not_equal(episodes[i].target, episodes[i].other);
		pairs_seen |=
			1u << (3 * (episodes[i].target[1] - '1') + episodes[i].other[1] - '1');
	}
	assert_int_equal(__builtin_popcount(pairs_seen), 6);
	/* There is nobody else. */
	assert_string_equal(episodes[399].target, episodes[399].other);
}

static void one_spec_does_not_change_anothers_episodes(void **state)
{
	struct test *test = *state;
	struct fault_spec spec = spec_of(FAULT_KIND(slow_down)), other = spec;
	const struct fault_episode *episodes;
	struct fault_episode first;
	size_t count;

	assert_int_equal(fault_plan_add(test->plan, &spec, &test->err), 0);
	first = fault_plan_episodes(test->plan, &count)[0];
	renew(test, 1);
	other.name = "other";
	assert_int_equal(fault_plan_add(test->plan, &other, &test->err), 0);
	(void)fault_plan_episodes(test->plan, &count);
	assert_int_equal(fault_plan_add(test->plan, &spec, &test->err), 0);
	episodes = fault_plan_episodes(test->plan, &(size_t){ 0 });
	assert_int_equal(episodes[count].start_ns, first.start_ns);
	assert_int_equal(episodes[count].key, first.key);
	assert_int_not_equal(episodes[0].start_ns, first.start_ns);
}

static void senseless_specs_are_refused(void **state)
{
	struct test *test = *state;
	struct fault_spec good = spec_of(FAULT_KIND(slow_down)), bad;
	static const char *const long_name[] = { "a-name-that-is-much-too-long-for-a-target-"
						 "and-so-is-refused-when-added" };

#define REFUSED(wanted) \
	do { \
		assert_int_equal(fault_plan_add(test->plan, &bad, &test->err), -1); \
		assert_int_equal(test->err.code, (wanted)); \
	} while (0)
	bad = good, bad.kinds = 0;
	REFUSED(LAB_INVALID);
	bad = good, bad.points = FAULT_CQL;
	REFUSED(LAB_INVALID);
	bad = good, bad.kinds = FAULT_KIND(crash), bad.target_count = 0;
	REFUSED(LAB_INVALID);
	bad = good, bad.kinds = FAULT_KIND(partition), bad.other_count = 0;
	REFUSED(LAB_INVALID);
	bad = good, bad.scope = FAULT_PEER, bad.target_count = 0;
	REFUSED(LAB_INVALID);
	bad = good, bad.targets = long_name, bad.target_count = 1;
	REFUSED(LAB_INVALID);
	bad = good, bad.rate_ppm.high = 1000001;
	REFUSED(LAB_INVALID);
	bad = good, bad.rate_ppm.low = bad.rate_ppm.high + 1;
	REFUSED(LAB_INVALID);
	bad = good, bad.length_ns.low = 0;
	REFUSED(LAB_INVALID);
	bad = good, bad.window_start_ns = bad.window_end_ns + 1;
	REFUSED(LAB_INVALID);
	bad = good, bad.episodes.high = FAULT_EPISODES_MAX + 1;
	REFUSED(LAB_LIMIT);
	assert_int_equal(fault_plan_add(test->plan, &good, &test->err), 0);
	bad = good;
	REFUSED(LAB_INVALID); /* the same name again */
	bad.name = "many", bad.episodes = (struct fault_range){ FAULT_UNIFORM, 4096, 4096 };
	REFUSED(LAB_LIMIT);
#undef REFUSED
}

static void senseless_episodes_are_refused(void **state)
{
	struct test *test = *state;
	struct fault_episode good = always(FAULT_slow_down), bad;

#define REFUSED(wanted) \
	do { \
		assert_int_equal(fault_plan_add_episode(test->plan, &bad, NULL, &test->err), -1); \
		assert_int_equal(test->err.code, (wanted)); \
	} while (0)
	bad = good, bad.kind = FAULT_KIND_COUNT;
	REFUSED(LAB_INVALID);
	bad = good, bad.points = FAULT_CQL;
	REFUSED(LAB_INVALID);
	bad = always(FAULT_crash), bad.target[0] = '\0';
	REFUSED(LAB_INVALID);
	bad = always(FAULT_partition), bad.other[0] = '\0';
	REFUSED(LAB_INVALID);
	bad = good, bad.scope = FAULT_INSTANCE, bad.target[0] = '\0';
	REFUSED(LAB_INVALID);
	bad = good, bad.rate_ppm = 1000001;
	REFUSED(LAB_INVALID);
	bad = good, bad.after = 1;
	REFUSED(LAB_INVALID);
	bad = good, memset(bad.target, 'x', sizeof(bad.target));
	REFUSED(LAB_INVALID);
	bad = good, memset(bad.keyspace, 'x', sizeof(bad.keyspace));
	REFUSED(LAB_INVALID);
	bad = good, bad.amount = (struct fault_range){ FAULT_QLOG, 0, 5 };
	REFUSED(LAB_INVALID);
	for (int i = 0; i < FAULT_EPISODES_MAX; i++)
		(void)add(test, &good);
	bad = good;
	REFUSED(LAB_LIMIT);
#undef REFUSED
}

static void a_plan_can_be_printed(void **state)
{
	struct test *test = *state;
	struct fault_episode service = always(FAULT_slow_down), world = always(FAULT_partition);
	struct fault_episode clock = always(FAULT_clock_step);
	struct lab_buf out;

	service.points = FAULT_BIT(s3_get) | FAULT_BIT(s3_put);
	service.start_ns = 1500 * LAB_MSEC;
	service.nth = 2;
	service.target[0] = '\0';
	clock.clock_us = -5;
	service.other[0] = clock.other[0] = '\0';
	(void)add(test, &service);
	(void)add(test, &world);
	(void)add(test, &clock);
	(void)ask(test->plan, "s3.get", "s3", "b1", 2 * LAB_SEC);
	(void)fault_plan_disable_episode(test->plan, 2, NULL);
	lab_buf_init(&out, test->heap, 10000);
	fault_plan_print(test->plan, &out);

	assert_string_equal(lab_buf_cstr(&out),
		"#1 slow_down start=1.500s length=60.000s points=s3.get,s3.put nth=2 "
		"asked=1 fired=0\n"
		"#2 partition start=0.000s length=60.000s target=x other=y "
		"asked=0 fired=0 disabled\n"
		"#3 clock_step start=0.000s length=60.000s target=x clock=-5us "
		"asked=0 fired=0\n");
	lab_buf_done(&out);
}

static jmp_buf assertion;

static void jump(const char *what, const char *file, int line)
{
	(void)what, (void)file, (void)line;
	longjmp(assertion, 1);
}

static void an_unknown_point_asserts(void **state)
{
	struct test *test = *state;
	volatile bool asserted = false;

	lab_assert_set_hook(jump);
	if (setjmp(assertion) == 0)
		(void)ask(test->plan, "s3.unknown", "s3", "b1", 1);
	else
		asserted = true;
	lab_assert_set_hook(NULL);

	assert_true(asserted);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(points_are_sorted_and_found_by_name),
		T(points_are_matched_by_pattern),
		T(kinds_are_found_by_name),
		T(every_kind_fires_at_each_of_its_points),
		T(what_needs_an_amount_has_one),
		T(a_spec_draws_from_all_of_its_kinds),
		T(faults_say_what_to_answer),
		T(the_measured_rate_is_the_stated_rate),
		T(a_decision_does_not_depend_on_other_traffic),
		T(peers_and_points_fail_independently),
		T(an_episode_may_be_of_one_keyspace),
		T(an_episode_has_a_scope),
		T(an_episode_has_a_beginning_and_an_end),
		T(the_nth_occurrence_fails_and_only_that),
		T(or_that_and_all_that_come_later),
		T(or_all_within_a_time),
		T(one_fault_may_wait_for_another),
		T(fired_faults_are_recorded_and_can_be_suppressed),
		T(the_last_records_are_kept),
		T(suppressions_are_bounded),
		T(a_disabled_episode_does_not_happen),
		T(episodes_are_drawn_within_their_spec),
		T(delays_are_drawn_from_their_range),
		T(nobody_is_parted_from_himself),
		T(one_spec_does_not_change_anothers_episodes),
		T(senseless_specs_are_refused),
		T(senseless_episodes_are_refused),
		T(a_plan_can_be_printed),
		T(an_unknown_point_asserts),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}

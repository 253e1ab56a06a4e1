/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-snitch.c - whom a coordinator reads from, and when it asks one more: speculative retry
 * and the dynamic snitch, against what a genuine ring did with one replica frozen (cql-imds 0.5).
 */
#include "sim/cql-emulator/testing-cql.h"

#define KEYSPACE \
	"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"3};"
#define TABLE "CREATE TABLE k.t (p int PRIMARY KEY, v text) WITH speculative_retry = "
#define ROW "INSERT INTO k.t (p, v) VALUES (1, 'x');"
#define SELECT_V "SELECT v FROM k.t WHERE p = 1"
#define ROWS_V "[('v', '0xd')] [['x']]"
#define SLOW_NS (200 * LAB_MSEC)

struct ring {
	struct test_world *w;
	struct test_client *c;
	/* The other two replicas: the one that n1 reads from, and the spare one. */
	size_t asked, spare;
	size_t slow; /* node whose answers take slow_ns more; SIZE_MAX: none */
	uint64_t slow_ns;
};

static struct ring *slow_ring;

static uint64_t link_latency(void *ctx, struct lab_view from, struct lab_view to, uint64_t n)
{
	struct test_world *w = ctx;
	const struct ring *r = slow_ring;
	uint64_t link = lab_hash_view(lab_hash_view(0, from), to);
	uint64_t ns = 150 * LAB_USEC + lab_pick(lab_draw(7, "link", link, n), 100 * LAB_USEC);
	bool is_slow = r->slow < 3 && lab_view_eq(w->nodes[r->slow].name, from);
	return ns + (is_slow ? r->slow_ns : 0);
}

static void begin(struct ring *r, const char *retry)
{
	size_t nodes[CQLEMU_NODES_MAX];
	struct lab_error err;
	*r = (struct ring){ .w = test_world(3), .slow = SIZE_MAX };
	slow_ring = r;
	r->w->hooks.latency = link_latency;
	test_start(r->w);
	test_setup_cql(r->w, KEYSPACE);
	test_setup_cql(r->w, lab_arena_printf(r->w->arena, TABLE "'%s';" ROW, retry));
	assert_int_equal(
		cqlemu_replicas(r->w->emu, LAB_VIEW("k.t"), LAB_VIEW("\0\0\0\1"), nodes, &err), 3);
	r->asked = nodes[0] == 0 ? nodes[1] : nodes[0];
	r->spare = 3 - r->asked;
	r->c = test_client(r->w, "n1");
}

/* Everybody has a score, and a good one. */
static void get_to_know(struct ring *r)
{
	for (unsigned i = 0; i < 5; i++)
		test_expect(r->c, SELECT_V, CQL_ALL, ROWS_V);
	test_sleep(r->w, 200 * LAB_MSEC);
}

static void end(struct ring *r)
{
	test_disconnect(r->c);
	test_end(r->w);
	slow_ring = NULL;
}

/* One read every 10 ms for so long; how many took more than 200 ms, and how long those took. */
static unsigned read_for(struct ring *r, uint64_t ns, uint64_t *ret_slow, unsigned max)
{
	uint64_t until = r->w->now_ns + ns;
	unsigned slow = 0;
	while (r->w->now_ns < until) {
		uint64_t start = r->w->now_ns;
		test_expect(r->c, SELECT_V, CQL_LOCAL_QUORUM, ROWS_V);
		if (r->w->now_ns - start > SLOW_NS) {
			assert_true(slow < max);
			ret_slow[slow++] = r->w->now_ns - start;
		}
		test_sleep(r->w, 10 * LAB_MSEC);
	}
	return slow;
}

static uint64_t speculations(const struct ring *r)
{
	struct cqlemu_counters counters;
	cqlemu_counters(r->w->emu, &counters);
	return counters.speculations;
}

/* "victim n3, never-read table": three reads of 2.504, 2.505 and 2.877 s, and no other. Half of the
 * read timeout is where the threshold begins, 2.874 the histogram's next limit; then the snitch has
 * heard that the first of them was never answered. */
static void of_a_cold_table_three_reads_are_slow(void **state)
{
	struct ring r;
	uint64_t slow[4] = { 0 };
	(void)state;
	begin(&r, "99p");
	cqlemu_node_freeze(r.w->emu, r.asked, r.w->now_ns);
	assert_int_equal(read_for(&r, 16 * LAB_SEC, slow, 4), 3);
	assert_in_range(slow[0], 2500 * LAB_MSEC, 2505 * LAB_MSEC);
	assert_in_range(slow[1], 2500 * LAB_MSEC, 2505 * LAB_MSEC);
	assert_in_range(slow[2], 2874 * LAB_MSEC, 2880 * LAB_MSEC);
	assert_int_equal(speculations(&r), 3);
	assert_true(cqlemu_node_seen_up(r.w->emu, 0, r.asked)); /* it is not the failure detector */
	end(&r);
}

/* "victim n2, never-read table" and "warmed table". */
static void who_is_not_asked_is_not_missed(void **state)
{
	struct ring r;
	(void)state;
	begin(&r, "99p");
	get_to_know(&r);
	cqlemu_node_freeze(r.w->emu, r.spare, r.w->now_ns);
	assert_int_equal(read_for(&r, 16 * LAB_SEC, NULL, 0), 0);
	end(&r);
}

/* "victim n3, warmed table": 51,077 reads, none beyond 11 ms. */
static void of_a_warm_table_no_read_is_slow(void **state)
{
	struct ring r;
	(void)state;
	begin(&r, "99p");
	assert_int_equal(read_for(&r, 20 * LAB_SEC, NULL, 0), 0);
	uint64_t before = speculations(&r);
	cqlemu_node_freeze(r.w->emu, r.asked, r.w->now_ns);
	assert_int_equal(read_for(&r, 16 * LAB_SEC, NULL, 0), 0);
	assert_true(speculations(&r) > before + 10);
	end(&r);
}

/* Time-outs have pushed the percentile beyond the timeout: nobody else is asked any more. */
static void time_outs_spoil_the_percentile(void **state)
{
	struct ring r;
	(void)state;
	begin(&r, "99p");
	cqlemu_node_freeze(r.w->emu, r.asked, r.w->now_ns);
	for (unsigned i = 0; i < 2; i++) {
		struct cql_response e = test_query(r.c, SELECT_V, CQL_ALL);
		assert_int_equal(e.error.code, CQL_E_READ_TIMEOUT);
	}
	cqlemu_node_thaw(r.w->emu, r.asked, r.w->now_ns);
	test_sleep(r.w, 11 * LAB_MINUTE); /* the snitch forgets, the histogram, too */
	for (unsigned i = 0; i < 3; i++)
		test_expect(r.c, SELECT_V, CQL_LOCAL_QUORUM, ROWS_V);
	uint64_t before = speculations(&r);
	cqlemu_node_freeze(r.w->emu, r.asked, r.w->now_ns);
	uint64_t start = r.w->now_ns;
	struct cql_response e = test_query(r.c, SELECT_V, CQL_LOCAL_QUORUM);
	assert_int_equal(e.error.code, CQL_E_READ_TIMEOUT);
	assert_int_equal(e.error.received, 1);
	assert_in_range(r.w->now_ns - start, 5 * LAB_SEC, 5002 * LAB_MSEC);
	assert_int_equal(speculations(&r), before);
	end(&r);
}

/* ---- policies ---- */

/* How long the first read takes after the asked replica froze, once there is a history. */
static uint64_t first_read(const char *retry, uint64_t history_ns)
{
	struct ring r;
	begin(&r, retry);
	assert_int_equal(read_for(&r, history_ns, NULL, 0), 0);
	cqlemu_node_freeze(r.w->emu, r.asked, r.w->now_ns);
	uint64_t start = r.w->now_ns;
	struct cql_response e = test_query(r.c, SELECT_V, CQL_LOCAL_QUORUM);
	assert_true(e.opcode == CQL_RESULT || e.error.code == CQL_E_READ_TIMEOUT);
	uint64_t took = r.w->now_ns - start;
	end(&r);
	return took;
}

static void policies_decide_when(void **state)
{
	static const struct {
		const char *retry;
		uint64_t history_ns, from_ns, upto_ns;
	} cases[] = { { "NONE", 11 * LAB_SEC, 5 * LAB_SEC, 5002 * LAB_MSEC },
		{ "NEVER", 11 * LAB_SEC, 5 * LAB_SEC, 5002 * LAB_MSEC },
		{ "ALWAYS", 0, 0, 2 * LAB_MSEC }, { "always", 11 * LAB_SEC, 0, 2 * LAB_MSEC },
		{ "99p", 11 * LAB_SEC, 0, 4 * LAB_MSEC },
		{ "99.9PERCENTILE", 11 * LAB_SEC, 0, 4 * LAB_MSEC },
		{ "50ms", 0, 2500 * LAB_MSEC, 2503 * LAB_MSEC },
		{ "50ms", 6 * LAB_SEC, 50 * LAB_MSEC, 52 * LAB_MSEC },
		{ "7.5ms", 6 * LAB_SEC, 7 * LAB_MSEC, 10 * LAB_MSEC },
		{ "MIN(99p,50ms)", 11 * LAB_SEC, 0, 4 * LAB_MSEC },
		{ "MAX(99p, 50ms)", 11 * LAB_SEC, 50 * LAB_MSEC, 52 * LAB_MSEC },
		{ "MAX(80ms,99p)", 11 * LAB_SEC, 80 * LAB_MSEC, 82 * LAB_MSEC } };
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		uint64_t took = first_read(cases[i].retry, cases[i].history_ns);
		if (took < cases[i].from_ns || took > cases[i].upto_ns)
			fail_msg("%s: %" PRIu64 " us", cases[i].retry, took / LAB_USEC);
	}
}

static void what_is_no_policy_is_refused(void **state)
{
	static const char *const texts[] = { "", "99", "p", "ms", "-5ms", "1.2.3p", "MIN(99p)",
		"MIN(99p,150p)", "MIN(99p,50ms", "sometimes", "MIN(,)" };
	struct ring r;
	(void)state;
	begin(&r, "99p");
	for (size_t i = 0; i < LAB_COUNT_OF(texts); i++) {
		const char *cql = lab_arena_printf(
			r.w->arena, "ALTER TABLE k.t WITH speculative_retry = '%s'", texts[i]);
		const char *expected = lab_arena_printf(r.w->arena,
			"ERROR 0x2300 Invalid value %s for option 'speculative_retry'", texts[i]);
		test_expect(r.c, cql, CQL_ONE, expected);
	}
	test_expect(r.c,
		"SELECT speculative_retry FROM system_schema.tables WHERE "
		"keyspace_name = 'k' AND table_name = 't'",
		CQL_ONE, "[('speculative_retry', '0xd')] [['99p']]");
	end(&r);
}

static void each_quorum_and_scans_never_speculate(void **state)
{
	static const char *const statements[] = { SELECT_V, "SELECT v FROM k.t" };
	struct ring r;
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		begin(&r, "ALWAYS");
		cqlemu_node_freeze(r.w->emu, r.asked, r.w->now_ns);
		struct cql_response e =
			test_query(r.c, statements[i], i == 0 ? CQL_EACH_QUORUM : CQL_QUORUM);
		assert_int_equal(e.error.code, CQL_E_READ_TIMEOUT);
		assert_int_equal(speculations(&r), 0);
		end(&r);
	}
}

/* ---- the snitch ---- */

static uint64_t one_read(struct ring *r)
{
	uint64_t start = r->w->now_ns;
	test_expect(r->c, SELECT_V, CQL_LOCAL_QUORUM, ROWS_V);
	return r->w->now_ns - start;
}

static void a_slow_replica_is_avoided_until_it_is_forgotten(void **state)
{
	struct ring r;
	(void)state;
	begin(&r, "NONE");
	get_to_know(&r);
	assert_true(one_read(&r) < 2 * LAB_MSEC);
	r.slow = r.asked;
	r.slow_ns = 50 * LAB_MSEC;
	assert_in_range(one_read(&r), 50 * LAB_MSEC, 52 * LAB_MSEC);
	test_sleep(r.w, 3 * LAB_SEC);
	assert_in_range(one_read(&r), 50 * LAB_MSEC, 52 * LAB_MSEC);
	test_sleep(r.w, 100 * LAB_MSEC);
	for (unsigned i = 0; i < 20; i++)
		assert_true(one_read(&r) < 2 * LAB_MSEC);
	test_sleep(r.w, 10 * LAB_MINUTE);
	assert_true(one_read(&r) >= 50 * LAB_MSEC);
	end(&r);
}

/* Less than twice as slow: the topology's order stays. */
static void a_little_slower_is_good_enough(void **state)
{
	struct ring r;
	(void)state;
	begin(&r, "NONE");
	r.slow = r.asked;
	r.slow_ns = 20 * LAB_MSEC;
	test_expect(r.c, SELECT_V, CQL_ALL, ROWS_V);
	r.slow = r.spare;
	r.slow_ns = 15 * LAB_MSEC;
	test_sleep(r.w, LAB_SEC);
	test_expect(r.c, SELECT_V, CQL_ALL, ROWS_V);
	r.slow = r.asked;
	r.slow_ns = 20 * LAB_MSEC;
	test_sleep(r.w, LAB_SEC);
	assert_true(one_read(&r) >= 20 * LAB_MSEC);
	end(&r);
}

/* ---- read_repair ---- */

static void read_repair_none_repairs_nothing(void **state)
{
	(void)state;
	for (unsigned none = 0; none < 2; none++) {
		struct cqlemu_counters counters;
		struct ring r;
		begin(&r, "99p");
		if (none)
			test_setup_cql(r.w, "ALTER TABLE k.t WITH read_repair = 'NONE';");
		r.w->hooks.latency = NULL;
		r.w->fault = (struct sim_fault){ .kind = SIM_FAULT_PARTLY, .replicas = 1 };
		r.w->fault_point = "cql.write";
		struct cql_response e =
			test_query(r.c, "INSERT INTO k.t (p, v) VALUES (1, 'new')", CQL_QUORUM);
		assert_int_equal(e.error.code, CQL_E_WRITE_TIMEOUT);
		assert_null(r.w->fault_point); /* it has fired */
		test_expect(r.c, SELECT_V, CQL_ALL, "[('v', '0xd')] [['new']]");
		cqlemu_counters(r.w->emu, &counters);
		assert_int_equal(counters.digest_mismatches, 1);
		assert_int_equal(counters.read_repairs, none ? 0 : 2);
		test_expect(r.c,
			"SELECT read_repair FROM system_schema.tables WHERE "
			"keyspace_name = 'k' AND table_name = 't'",
			CQL_ONE,
			none ? "[('read_repair', '0xd')] [['NONE']]"
			     : "[('read_repair', '0xd')] [['BLOCKING']]");
		end(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(of_a_cold_table_three_reads_are_slow),
		cmocka_unit_test(who_is_not_asked_is_not_missed),
		cmocka_unit_test(of_a_warm_table_no_read_is_slow),
		cmocka_unit_test(time_outs_spoil_the_percentile),
		cmocka_unit_test(policies_decide_when),
		cmocka_unit_test(what_is_no_policy_is_refused),
		cmocka_unit_test(each_quorum_and_scans_never_speculate),
		cmocka_unit_test(a_slow_replica_is_avoided_until_it_is_forgotten),
		cmocka_unit_test(a_little_slower_is_good_enough),
		cmocka_unit_test(read_repair_none_repairs_nothing) };
	return cmocka_run_group_tests_name("cql-emulator-snitch", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-counters.c - increments on a cluster: who leads, what is counted once, and what twice.
 */
#include "sim/cql-emulator/testing-cql.h"

#define TABLE "CREATE TABLE k.t (p int, c int, n counter, PRIMARY KEY (p, c))"
#define SCHEMA \
	"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"3};" TABLE
#define ADD(n) "UPDATE k.t SET n = n + " #n " WHERE p = 1 AND c = 1"
#define SELECT_N "SELECT n FROM k.t WHERE p = 1"
#define ROWS(n) "[('n', '0x5')] [[" #n "]]"
#define VOID "RESULT kind=1 b''"

struct counted {
	int64_t value;
	unsigned replicas;
};

static void see(void *ctx, const struct cqlemu_entry *entry)
{
	struct counted *counted = ctx;
	assert_int_equal(
		cql_value_to_i64(CQL_TYPE_BIGINT, cqlemu_entry_value(entry, "n"), &counted->value),
		0);
	counted->replicas = entry->replicas;
}

static int64_t count_at(struct test_world *w, size_t node)
{
	struct counted counted = { INT64_MIN, 0 };
	struct lab_error err;
	assert_int_equal(cqlemu_snapshot(w->emu, LAB_VIEW("k.t"), node, see, &counted, &err), 0);
	return counted.value;
}

static struct test_world *cluster(size_t nodes, const char *schema)
{
	struct test_world *w = test_world(nodes);
	test_start(w);
	test_setup_cql(w, schema);
	return w;
}

static void increments_of_all_coordinators_add_up(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	static const char *const nodes[] = { "n1", "n2", "n3" };
	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		for (size_t i = 0; i < 3; i++) {
			struct test_client *c = test_client(w, nodes[i]);
			test_expect(c, ADD(5), CQL_QUORUM, VOID);
			test_expect(
				c, "UPDATE k.t SET n = n - 1 WHERE p = 1 AND c = 1", CQL_ONE, VOID);
			test_disconnect(c);
		}
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(count_at(w, i), 48);
	test_end(w);
}

/* What a returned node hears twice, by hint and by repair, counts once. */
static void replica_that_was_away_catches_up_without_counting_twice(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	test_expect(c, ADD(1), CQL_ALL, VOID);
	cqlemu_node_stop(w->emu, 2, w->now_ns);
	for (unsigned i = 0; i < 3; i++)
		test_expect(c, ADD(10), CQL_QUORUM, VOID);
	assert_int_equal(count_at(w, 2), 1);
	cqlemu_node_start(w->emu, 2, w->now_ns);
	test_sleep(w, 2 * LAB_SEC); /* until it is seen */
	test_expect(c, SELECT_N, CQL_ALL, ROWS(31));
	assert_int_equal(count_at(w, 2), 31);
	test_sleep(w, 20 * LAB_SEC);
	assert_int_equal(count_at(w, 2), 31);
	test_expect(c, ADD(1), CQL_ALL, VOID);
	test_expect(c, SELECT_N, CQL_ALL, ROWS(32));
	test_disconnect(c);
	test_end(w);
}

/* golden faults: the leader is asked first, and it alone (cql-imds 4.2). */
static void frozen_leader_is_a_timeout_of_one(void **state)
{
	struct test_world *w = test_world(4);
	struct lab_error err;
	size_t replicas[CQLEMU_NODES_MAX], outside = 0;
	(void)state;
	test_start(w);
	test_setup_cql(w, "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', "
			  "'replication_factor': 1};" TABLE);
	uint8_t key[4] = { 0, 0, 0, 1 };
	assert_int_equal(
		cqlemu_replicas(w->emu, LAB_VIEW("k.t"), lab_view_of(key, 4), replicas, &err), 1);
	outside = replicas[0] == 0 ? 1 : 0;
	struct test_client *c = test_client(w, outside == 0 ? "n1" : "n2");
	cqlemu_node_freeze(w->emu, replicas[0], w->now_ns);
	uint64_t start = w->now_ns;
	struct cql_response r = test_query(c, ADD(1), CQL_LOCAL_QUORUM);
	assert_string_equal(
		test_text(w, &r), "ERROR 0x1100 Operation timed out - received only 0 responses.");
	assert_int_equal(r.error.consistency, CQL_ONE);
	assert_int_equal(r.error.received, 0);
	assert_int_equal(r.error.required, 1);
	assert_true(lab_view_eq_cstr(r.error.write_type, "COUNTER"));
	assert_int_equal((w->now_ns - start) / LAB_MSEC, 5000);
	/* It had been sent: what timed out is counted when the leader thaws, and once. */
	cqlemu_node_thaw(w->emu, replicas[0], w->now_ns);
	test_sleep(w, 20 * LAB_SEC);
	test_expect(c, SELECT_N, CQL_ONE, ROWS(1));
	test_disconnect(c);
	test_end(w);
}

/* The coordinator leads: it tells who failed. Somebody else does, and is frozen: that it never said
 * anything. Which one it is, is a matter of luck. */
static bool slow_replicas(uint64_t seed)
{
	struct test_world *w = test_world(3);
	w->options.seed = seed;
	test_start(w);
	test_setup_cql(w, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	cqlemu_node_freeze(w->emu, 1, w->now_ns);
	cqlemu_node_freeze(w->emu, 2, w->now_ns);
	struct cql_response r = test_query(c, ADD(1), CQL_QUORUM);
	bool leads = r.error.code == CQL_E_WRITE_FAILURE;
	if (leads) {
		assert_int_equal(r.error.received, 1);
		assert_int_equal(r.error.required, 2);
		assert_int_equal(r.error.failures, 2);
		assert_true(lab_view_find(r.error.message, LAB_VIEW("TIMEOUT from /127.0.0.2")) !=
			    SIZE_MAX);
		test_expect(c, SELECT_N, CQL_ONE, ROWS(1));
	} else {
		assert_int_equal(r.error.code, CQL_E_WRITE_TIMEOUT);
		assert_int_equal(r.error.consistency, CQL_ONE);
		assert_int_equal(r.error.received, 0);
		assert_int_equal(r.error.required, 1);
	}
	cqlemu_node_thaw(w->emu, 1, w->now_ns);
	cqlemu_node_thaw(w->emu, 2, w->now_ns);
	test_sleep(w, 30 * LAB_SEC);
	assert_int_equal(count_at(w, 2), 1);
	test_disconnect(c);
	test_end(w);
	return leads;
}

static void slow_replicas_are_failures_behind_a_leader(void **state)
{
	unsigned leads = 0;
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++)
		leads += slow_replicas(seed);
	assert_in_range(leads, 1, 19);
}

/* Dovecot marks every statement idempotent, increments too (cql-imds 0.6). */
static void repeated_increment_counts_twice(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	w->fault_point = "cql.write";
	w->fault = (struct sim_fault){
		.kind = SIM_FAULT_ALTER_REPLY, .status = CQL_E_WRITE_TIMEOUT, .id = 1
	};
	struct cql_response r = test_query(c, ADD(1), CQL_QUORUM);
	assert_int_equal(r.error.code, CQL_E_WRITE_TIMEOUT);
	w->fault = (struct sim_fault){ .kind = SIM_FAULT_NONE };
	test_expect(c, ADD(1), CQL_QUORUM, VOID);
	test_expect(c, SELECT_N, CQL_QUORUM, ROWS(2));
	test_disconnect(c);
	test_end(w);
}

static void partial_and_late_faults_count_once(void **state)
{
	static const struct sim_fault faults[] = {
		{ .kind = SIM_FAULT_PARTLY, .status = CQL_E_WRITE_TIMEOUT, .replicas = 1, .id = 1 },
		{ .kind = SIM_FAULT_LATE,
			.status = CQL_E_WRITE_TIMEOUT,
			.delay_ns = 3 * LAB_SEC,
			.id = 1 }
	};
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(faults); i++) {
		struct test_world *w = cluster(3, SCHEMA);
		struct test_client *c = test_client(w, "n1");
		w->fault_point = "cql.write";
		w->fault = faults[i];
		struct cql_response r = test_query(c, ADD(1), CQL_QUORUM);
		assert_int_equal(r.error.code, CQL_E_WRITE_TIMEOUT);
		w->fault = (struct sim_fault){ .kind = SIM_FAULT_NONE };
		test_sleep(w, 10 * LAB_SEC);
		test_expect(c, SELECT_N, CQL_ALL, ROWS(1));
		for (size_t node = 0; node < 3; node++)
			assert_int_equal(count_at(w, node), 1);
		test_disconnect(c);
		test_end(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(increments_of_all_coordinators_add_up),
		cmocka_unit_test(replica_that_was_away_catches_up_without_counting_twice),
		cmocka_unit_test(frozen_leader_is_a_timeout_of_one),
		cmocka_unit_test(slow_replicas_are_failures_behind_a_leader),
		cmocka_unit_test(repeated_increment_counts_twice),
		cmocka_unit_test(partial_and_late_faults_count_once),
	};
	return cmocka_run_group_tests_name("cql-emulator-counters", tests, NULL, NULL);
}

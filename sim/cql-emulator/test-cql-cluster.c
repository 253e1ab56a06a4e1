/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-cluster.c - consistency levels with nodes down, timeouts, hints, read repair, node
 * control: what the coordinator does.
 */
#include "sim/cql-emulator/testing-cql.h"

#define SCHEMA \
	"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"3};" \
	"CREATE TABLE k.t (u text, n text, i text, PRIMARY KEY (u, n));"
#define SCHEMA_2DC \
	"CREATE KEYSPACE k WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3, " \
	"'dc2': 3}; CREATE TABLE k.t (u text, n text, i text, PRIMARY KEY (u, n));"

#define INSERT_NEW "INSERT INTO k.t (u, n, i) VALUES ('a', 'b', 'new')"
#define INSERT_OLD "INSERT INTO k.t (u, n, i) VALUES ('a', 'b', 'old')"
#define SELECT_I "SELECT i FROM k.t WHERE u = 'a'"
#define ROWS_I "[('i', '0xd')] "
#define VOID "RESULT kind=1 b''"

static struct test_world *cluster(size_t nodes, const char *schema)
{
	struct test_world *w = test_world(nodes);
	test_start(w);
	test_setup_cql(w, schema);
	return w;
}

/* ---- the snapshot ---- */

struct seen {
	unsigned rows, live;
	char value[32];
	bool tombstone;
	unsigned replicas;
	int64_t deletion_us;
};

static void see(void *ctx, const struct cqlemu_entry *entry)
{
	struct seen *seen = ctx;
	struct lab_view value = cqlemu_entry_value(entry, "i");
	if (entry->kind != CQLEMU_ROW)
		return;
	seen->rows++;
	seen->live += entry->live;
	seen->deletion_us = entry->deletion_us;
	seen->replicas = entry->replicas;
	if (value.ptr != NULL)
		assert_int_equal(lab_view_to_cstr(value, seen->value, sizeof(seen->value)), 0);
}

static struct seen look(struct test_world *w, size_t node)
{
	struct seen seen = { 0 };
	struct lab_error err;
	assert_int_equal(cqlemu_snapshot(w->emu, LAB_VIEW("k.t"), node, see, &seen, &err), 0);
	return seen;
}

static unsigned nodes_with(struct test_world *w, const char *value)
{
	unsigned count = 0;
	for (size_t i = 0; i < cqlemu_node_count(w->emu); i++) {
		struct seen seen = look(w, i);
		count += seen.live == 1 && strcmp(seen.value, value) == 0;
	}
	return count;
}

/* ---- consistency levels x nodes down ---- */

static void levels_with_all_nodes_up(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	for (enum cql_consistency cl = CQL_ANY; cl <= CQL_LOCAL_ONE; cl++) {
		bool serial = cl == CQL_SERIAL || cl == CQL_LOCAL_SERIAL;
		test_expect(c, INSERT_NEW, cl,
			serial ? "ERROR 0x2200 You must use conditional updates for serializable "
				 "writes"
			       : VOID);
		test_expect(c, SELECT_I, cl,
			cl == CQL_ANY
				? "ERROR 0x2200 ANY ConsistencyLevel is only supported for writes"
				: ROWS_I "[['new']]");
	}
	test_expect(c, SELECT_I, CQL_NODE_LOCAL,
		"ERROR 0x2200 NODE_LOCAL consistency level is highly dangerous and should be used "
		"only for debugging purposes");
	assert_int_equal(nodes_with(w, "new"), 3);
	test_disconnect(c);
	test_end(w);
}

/* RF 3 in one DC: how many nodes must be seen alive for each level, and what is said if they are
 * not (cql-imds 4.2). */
static const struct {
	enum cql_consistency cl;
	int required;
} levels[] = { { CQL_ONE, 1 }, { CQL_TWO, 2 }, { CQL_THREE, 3 }, { CQL_QUORUM, 2 }, { CQL_ALL, 3 },
	{ CQL_LOCAL_QUORUM, 2 }, { CQL_EACH_QUORUM, 2 }, { CQL_LOCAL_ONE, 1 } };

static void check_unavailable(struct test_client *c, const char *cql, size_t level, int alive)
{
	struct cql_response r = test_query(c, cql, levels[level].cl);
	if (alive >= levels[level].required) {
		assert_int_equal(r.opcode, CQL_RESULT);
		return;
	}
	char text[80];
	(void)snprintf(text, sizeof(text), "ERROR 0x1000 Cannot achieve consistency level %s",
		cql_consistency_name(levels[level].cl));
	assert_string_equal(test_text(c->world, &r), text);
	assert_int_equal(r.error.consistency, levels[level].cl);
	assert_int_equal(r.error.required, levels[level].required);
	assert_int_equal(r.error.received, alive);
}

static void levels_with_convicted_nodes(void **state)
{
	(void)state;
	for (int down = 1; down <= 2; down++) {
		struct test_world *w = cluster(3, SCHEMA);
		struct test_client *c = test_client(w, "n1");
		for (int i = 0; i < down; i++)
			cqlemu_node_stop(w->emu, 2 - (size_t)i, w->now_ns);
		for (size_t i = 0; i < LAB_COUNT_OF(levels); i++) {
			check_unavailable(c, INSERT_NEW, i, 3 - down);
			check_unavailable(c, SELECT_I, i, 3 - down);
		}
		test_expect(c, INSERT_NEW, CQL_ANY, VOID);
		test_disconnect(c);
		test_end(w);
	}
}

/* Frozen but not yet convicted: the coordinator waits for them. */
static void levels_with_undetected_frozen_nodes(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	test_setup_cql(w, INSERT_OLD);
	for (size_t i = 0; i < LAB_COUNT_OF(levels); i++) {
		cqlemu_node_freeze(w->emu, 1, w->now_ns);
		cqlemu_node_freeze(w->emu, 2, w->now_ns);
		uint64_t start = w->now_ns;
		struct cql_response r = test_query(c, INSERT_NEW, levels[i].cl);
		if (levels[i].required == 1) {
			assert_int_equal(r.opcode, CQL_RESULT);
		} else {
			assert_string_equal(test_text(w, &r),
				"ERROR 0x1100 Operation timed out - received only 1 responses.");
			assert_int_equal(r.error.required, levels[i].required);
			assert_int_equal(r.error.received, 1);
			assert_true(lab_view_eq_cstr(r.error.write_type, "SIMPLE"));
			assert_int_equal((w->now_ns - start) / LAB_MSEC, 2000);
		}
		start = w->now_ns;
		r = test_query(c, SELECT_I, levels[i].cl);
		if (levels[i].required == 1) {
			assert_string_equal(test_text(w, &r), ROWS_I "[['new']]");
		} else {
			assert_string_equal(test_text(w, &r),
				"ERROR 0x1200 Operation timed out - received only 1 responses.");
			assert_true(r.error.data_present);
			assert_int_equal((w->now_ns - start) / LAB_MSEC, 5000);
		}
		cqlemu_node_thaw(w->emu, 1, w->now_ns);
		cqlemu_node_thaw(w->emu, 2, w->now_ns);
		test_sleep(w, LAB_SEC);
	}
	/* Both work off what had been sent to them. */
	assert_int_equal(nodes_with(w, "new"), 3);
	test_disconnect(c);
	test_end(w);
}

static void two_data_centres_answer_as_the_real_ring_did(void **state)
{
	static const struct {
		enum cql_consistency cl;
		const char *write, *read; /* NULL: ok */
	} cases[] = { { CQL_LOCAL_QUORUM, NULL, NULL },
		{ CQL_QUORUM, "ERROR 0x1000 Cannot achieve consistency level QUORUM",
			"ERROR 0x1000 Cannot achieve consistency level QUORUM" },
		{ CQL_EACH_QUORUM,
			"ERROR 0x1000 Cannot achieve consistency level EACH_QUORUM in DC dc2",
			"ERROR 0x1000 Cannot achieve consistency level EACH_QUORUM in DC dc2" },
		{ CQL_ALL, "ERROR 0x1000 Cannot achieve consistency level ALL",
			"ERROR 0x1000 Cannot achieve consistency level ALL" },
		{ CQL_ANY, NULL,
			"ERROR 0x2200 ANY ConsistencyLevel is only supported for writes" } };
	struct test_world *w = cluster(6, SCHEMA_2DC);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	test_expect(c, INSERT_OLD, CQL_EACH_QUORUM, VOID);
	assert_int_equal(nodes_with(w, "old"), 6);
	for (size_t i = 3; i < 6; i++)
		cqlemu_node_stop(w->emu, i, w->now_ns);
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		test_expect(
			c, INSERT_NEW, cases[i].cl, cases[i].write == NULL ? VOID : cases[i].write);
		test_expect(c, SELECT_I, cases[i].cl,
			cases[i].read == NULL ? ROWS_I "[['new']]" : cases[i].read);
	}
	struct cql_response r = test_query(c, INSERT_NEW, CQL_EACH_QUORUM);
	assert_int_equal(r.error.required, 2);
	assert_int_equal(r.error.received, 0); /* whatever the truth (cql-imds 0.3) */
	test_disconnect(c);
	test_end(w);
}

static void each_quorum_write_counts_per_data_centre(void **state)
{
	struct test_world *w = cluster(6, SCHEMA_2DC);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	for (size_t i = 3; i < 6; i++)
		cqlemu_node_freeze(w->emu, i, w->now_ns);
	struct cql_response r = test_query(c, INSERT_NEW, CQL_EACH_QUORUM);
	assert_string_equal(
		test_text(w, &r), "ERROR 0x1100 Operation timed out - received only 3 responses.");
	assert_int_equal(r.error.required, 4);
	assert_int_equal(nodes_with(w, "new"), 3);
	r = test_query(c, "SELECT * FROM k.t", CQL_EACH_QUORUM);
	assert_int_equal(r.error.code, CQL_E_READ_TIMEOUT);
	test_disconnect(c);
	test_end(w);
}

static void simple_strategy_counts_only_local_replicas_for_local_levels(void **state)
{
	struct test_world *w = test_world(6);
	(void)state;
	test_start(w);
	test_setup_cql(w,
		"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', "
		"'replication_factor': 1}; CREATE TABLE k.t (u text PRIMARY KEY, i text);");
	struct test_client *c = test_client(w, "n1");
	unsigned refused = 0;
	for (unsigned i = 0; i < 40; i++) {
		char cql[80];
		(void)snprintf(
			cql, sizeof(cql), "INSERT INTO k.t (u, i) VALUES ('user%u', 'x')", i);
		struct cql_response r = test_query(c, cql, CQL_LOCAL_QUORUM);
		if (r.opcode != CQL_ERROR)
			continue;
		refused++;
		assert_int_equal(r.error.code, CQL_E_UNAVAILABLE);
		assert_int_equal(r.error.required, 1);
		assert_int_equal(r.error.received, 0);
	}
	assert_in_range(refused, 5, 35); /* where the one replica is in dc2 (cql-imds 0.10) */
	test_disconnect(c);
	test_end(w);
}

/* ---- failure detection and events ---- */

static unsigned take_events(struct test_client *c, const char *change)
{
	struct cql_response r;
	unsigned count = 0;
	while (test_take(c, &r, NULL))
		count += r.opcode == CQL_EVENT && lab_view_eq_cstr(r.event.change, change);
	return count;
}

static void register_events(struct test_client *c)
{
	struct lab_view names[] = { LAB_VIEW("STATUS_CHANGE"), LAB_VIEW("SCHEMA_CHANGE") };
	struct cql_request request = { .opcode = CQL_REGISTER, .events = { names, 2 } };
	assert_int_equal(test_ask(c, &request).opcode, CQL_READY);
}

static void killed_node_is_convicted_after_a_while(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	register_events(c);
	test_sleep(w, 5 * LAB_SEC);
	cqlemu_node_kill(w->emu, 2, w->now_ns);
	assert_null(test_connect(w, "n3"));
	test_sleep(w, 17 * LAB_SEC);
	assert_true(cqlemu_node_seen_up(w->emu, 0, 2));
	assert_int_equal(take_events(c, "DOWN"), 0);
	test_sleep(w, 4 * LAB_SEC);
	assert_false(cqlemu_node_seen_up(w->emu, 0, 2));
	assert_int_equal(take_events(c, "DOWN"), 1);
	cqlemu_node_start(w->emu, 2, w->now_ns);
	test_sleep(w, LAB_SEC);
	assert_true(cqlemu_node_seen_up(w->emu, 0, 2));
	assert_int_equal(take_events(c, "UP"), 1);
	assert_int_equal(w->service.ops->next_deadline(w->service.service), UINT64_MAX);
	test_disconnect(c);
	test_end(w);
}

static void quick_restart_is_seen_as_down_and_up_at_once(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	register_events(c);
	cqlemu_node_kill(w->emu, 1, w->now_ns);
	test_sleep(w, 3 * LAB_SEC);
	cqlemu_node_start(w->emu, 1, w->now_ns);
	assert_int_equal(c->in.len, 0);
	test_sleep(w, LAB_SEC);
	struct lab_view all = lab_buf_view(&c->in);
	assert_true(lab_view_find(all, LAB_VIEW("DOWN")) < lab_view_find(all, LAB_VIEW("UP")));
	assert_true(lab_view_find(all, LAB_VIEW("UP")) != SIZE_MAX);
	test_disconnect(c);
	test_end(w);
}

static void kill_resets_the_clients_of_the_node(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c1 = test_client(w, "n1"), *c2 = test_client(w, "n2");
	(void)state;
	cqlemu_node_kill(w->emu, 1, w->now_ns);
	assert_false(c1->reset);
	assert_true(c2->reset);
	test_disconnect(c1);
	test_disconnect(c2);
	test_end(w);
}

static void partition_is_detected_by_both_sides(void **state)
{
	struct test_world *w = test_world(3);
	(void)state;
	w->hooks.reachable = test_reachable;
	test_start(w);
	test_setup_cql(w, SCHEMA);
	struct test_client *c1 = test_client(w, "n1"), *c3 = test_client(w, "n3");
	w->cut_from = 1 | 2;
	w->cut_to = 4;
	test_expect(c1, INSERT_NEW, CQL_LOCAL_QUORUM, VOID);
	test_expect(c3, SELECT_I, CQL_ONE, ROWS_I "[]");
	struct cql_response r = test_query(c3, SELECT_I, CQL_QUORUM);
	assert_int_equal(r.error.code, CQL_E_READ_TIMEOUT);
	test_sleep(w, 25 * LAB_SEC);
	assert_false(cqlemu_node_seen_up(w->emu, 2, 0));
	assert_false(cqlemu_node_seen_up(w->emu, 0, 2));
	assert_true(cqlemu_node_seen_up(w->emu, 0, 1));
	r = test_query(c3, SELECT_I, CQL_QUORUM);
	assert_int_equal(r.error.code, CQL_E_UNAVAILABLE);
	w->cut_from = 0;
	test_sleep(w, 15 * LAB_SEC);
	assert_true(cqlemu_node_seen_up(w->emu, 2, 0));
	test_expect(c3, SELECT_I, CQL_ONE, ROWS_I "[['new']]"); /* by a hint */
	test_disconnect(c1);
	test_disconnect(c3);
	test_end(w);
}

/* ---- hints ---- */

static void hints_bring_a_returned_node_up_to_date(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	struct cqlemu_counters counters;
	(void)state;
	test_expect(c, INSERT_OLD, CQL_ALL, VOID);
	cqlemu_node_stop(w->emu, 2, w->now_ns);
	test_expect(c, INSERT_NEW, CQL_LOCAL_QUORUM, VOID);
	cqlemu_counters(w->emu, &counters);
	assert_int_equal(counters.hints_waiting, 1);
	test_sleep(w, 10 * LAB_SEC);
	cqlemu_node_start(w->emu, 2, w->now_ns);
	struct test_client *c3 = test_client(w, "n3");
	test_sleep(w, 100 * LAB_MSEC);
	test_expect(c3, SELECT_I, CQL_ONE, ROWS_I "[['old']]");
	test_sleep(w, 500 * LAB_MSEC);
	test_expect(c3, SELECT_I, CQL_ONE, ROWS_I "[['new']]");
	cqlemu_counters(w->emu, &counters);
	assert_int_equal(counters.hints_waiting, 0);
	assert_int_equal(counters.hints_replayed, 1);
	test_disconnect(c);
	test_disconnect(c3);
	test_end(w);
}

/* A hint of before the columns changed is for columns, not for places. */
static void hint_finds_its_columns_in_an_altered_table(void **state)
{
	struct test_world *w = cluster(3, "CREATE KEYSPACE al WITH replication = {'class': "
					  "'SimpleStrategy', 'replication_factor': 3}; "
					  "CREATE TABLE al.t (p int PRIMARY KEY, m int, x int)");
	struct test_client *c = test_client(w, "n1");
	(void)state;
	cqlemu_node_stop(w->emu, 2, w->now_ns);
	test_expect(c, "INSERT INTO al.t (p, m, x) VALUES (1, 5, 6)", CQL_QUORUM, VOID);
	test_sleep(w, LAB_SEC);
	(void)test_query(c, "ALTER TABLE al.t ADD a int", CQL_ONE);
	(void)test_query(c, "ALTER TABLE al.t DROP m", CQL_ONE);
	(void)test_query(c, "ALTER TABLE al.t ADD m int", CQL_ONE);
	cqlemu_node_start(w->emu, 2, w->now_ns);
	struct test_client *c3 = test_client(w, "n3");
	test_sleep(w, LAB_SEC);
	test_expect(c3, "SELECT * FROM al.t", CQL_ONE,
		"[('p', '0x9'), ('a', '0x9'), ('m', '0x9'), ('x', '0x9')] [[1, None, None, 6]]");
	test_disconnect(c);
	test_disconnect(c3);
	test_end(w);
}

static void replica_that_did_not_answer_gets_a_hint(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	cqlemu_node_kill(w->emu, 2, w->now_ns); /* nobody knows yet */
	test_expect(c, INSERT_NEW, CQL_QUORUM, VOID);
	test_sleep(w, 3 * LAB_SEC);
	cqlemu_node_start(w->emu, 2, w->now_ns);
	assert_int_equal(nodes_with(w, "new"), 2);
	test_sleep(w, 15 * LAB_SEC);
	assert_int_equal(nodes_with(w, "new"), 3);
	test_disconnect(c);
	test_end(w);
}

static void no_hints_beyond_the_window_or_the_bound(void **state)
{
	struct test_world *w = test_world(3);
	struct cqlemu_counters counters;
	(void)state;
	w->options.hint_window_ns = 60 * LAB_SEC;
	w->options.hints_max = 1;
	test_start(w);
	test_setup_cql(w, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	cqlemu_node_stop(w->emu, 2, w->now_ns);
	test_expect(c, INSERT_OLD, CQL_QUORUM, VOID);
	test_expect(c, INSERT_OLD, CQL_QUORUM, VOID);
	cqlemu_counters(w->emu, &counters);
	assert_int_equal(counters.hints_waiting, 1);
	assert_int_equal(counters.hints_dropped, 1);
	test_sleep(w, 61 * LAB_SEC);
	test_expect(c, INSERT_NEW, CQL_QUORUM, VOID);
	cqlemu_node_start(w->emu, 2, w->now_ns);
	test_sleep(w, 20 * LAB_SEC);
	assert_string_equal(look(w, 2).value, "old");
	test_disconnect(c);
	test_end(w);
}

static void any_is_content_with_a_hint(void **state)
{
	struct test_world *w = test_world(3);
	(void)state;
	test_start(w);
	test_setup_cql(w, "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', "
			  "'replication_factor': 1}; CREATE TABLE k.t (u text, n text, i text, "
			  "PRIMARY KEY (u, n));");
	size_t replicas[CQLEMU_NODES_MAX];
	struct lab_error err;
	assert_int_equal(
		cqlemu_replicas(w->emu, LAB_VIEW("k.t"), LAB_VIEW("a"), replicas, &err), 1);
	struct test_client *c = test_client(w, replicas[0] == 0 ? "n2" : "n1");
	cqlemu_node_stop(w->emu, replicas[0], w->now_ns);
	struct cql_response r = test_query(c, INSERT_NEW, CQL_ONE);
	assert_int_equal(r.error.code, CQL_E_UNAVAILABLE);
	test_expect(c, INSERT_NEW, CQL_ANY, VOID);
	assert_int_equal(nodes_with(w, "new"), 0);
	cqlemu_node_start(w->emu, replicas[0], w->now_ns);
	test_sleep(w, 5 * LAB_SEC);
	assert_int_equal(nodes_with(w, "new"), 1);
	test_disconnect(c);
	test_end(w);
}

/* ---- read repair ---- */

static void fault_partly(struct test_world *w, unsigned replicas)
{
	w->fault_point = "cql.write";
	w->fault = (struct sim_fault){ .kind = SIM_FAULT_PARTLY,
		.status = CQL_E_WRITE_TIMEOUT,
		.replicas = replicas,
		.id = 1 };
}

static void quorum_read_repairs_what_it_sees(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	struct cqlemu_counters counters;
	(void)state;
	test_expect(c, INSERT_OLD, CQL_ALL, VOID);
	fault_partly(w, 1);
	struct cql_response r = test_query(c, INSERT_NEW, CQL_LOCAL_QUORUM);
	assert_int_equal(r.error.code, CQL_E_WRITE_TIMEOUT);
	assert_int_equal(nodes_with(w, "new"), 1);
	test_expect(c, SELECT_I, CQL_ALL, ROWS_I "[['new']]");
	assert_int_equal(nodes_with(w, "new"), 3);
	cqlemu_counters(w->emu, &counters);
	assert_int_equal(counters.digest_mismatches, 1);
	assert_int_equal(counters.read_repairs, 2);
	test_expect(c, SELECT_I, CQL_ALL, ROWS_I "[['new']]");
	cqlemu_counters(w->emu, &counters);
	assert_int_equal(counters.digest_mismatches, 1);
	test_disconnect(c);
	test_end(w);
}

static void read_repair_spreads_deletes(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	test_expect(c, INSERT_OLD, CQL_ALL, VOID);
	test_expect(c, "INSERT INTO k.t (u, n, i) VALUES ('a', 'c', 'stays')", CQL_ALL, VOID);
	cqlemu_node_stop(w->emu, 0, w->now_ns);
	struct test_client *c2 = test_client(w, "n2");
	test_expect(c2, "DELETE FROM k.t WHERE u = 'a' AND n < 'c'", CQL_TWO, VOID);
	cqlemu_node_start(w->emu, 0, w->now_ns);
	struct test_client *c1 = test_client(w, "n1");
	test_expect(c1, SELECT_I, CQL_ONE, ROWS_I "[['old'], ['stays']]");
	test_expect(c1, SELECT_I, CQL_TWO, ROWS_I "[['stays']]");
	test_expect(c1, SELECT_I, CQL_ONE, ROWS_I "[['stays']]");
	test_disconnect(c);
	test_disconnect(c1);
	test_disconnect(c2);
	test_end(w);
}

/* One replica has tombstones where the other has rows: a limit must not cut too early. */
static void short_reads_are_read_again(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	char cql[128];
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		(void)snprintf(cql, sizeof(cql),
			"INSERT INTO k.t (u, n, i) VALUES ('a', 'n%02u', 'v%02u')", i, i);
		test_expect(c, cql, CQL_ALL, VOID);
	}
	cqlemu_node_stop(w->emu, 0, w->now_ns);
	struct test_client *c2 = test_client(w, "n2");
	test_expect(c2, "DELETE FROM k.t WHERE u = 'a' AND n < 'n40'", CQL_TWO, VOID);
	cqlemu_node_start(w->emu, 0, w->now_ns);
	struct test_client *c1 = test_client(w, "n1");
	test_expect(c1, "SELECT i FROM k.t WHERE u = 'a' LIMIT 2", CQL_ALL,
		ROWS_I "[['v40'], ['v41']]");
	test_expect(c1, "SELECT i FROM k.t WHERE u = 'a' ORDER BY n DESC LIMIT 11", CQL_TWO,
		ROWS_I "[['v49'], ['v48'], ['v47'], ['v46'], ['v45'], ['v44'], ['v43'], ['v42'], "
		       "['v41'], ['v40']]");
	test_disconnect(c);
	test_disconnect(c1);
	test_disconnect(c2);
	test_end(w);
}

/* What lies behind the end of a replica's answer must not be taken from another one: here each of
 * the two has deleted what the other still shows. */
static void limited_answers_do_not_resurrect_rows(void **state)
{
	struct test_world *w = test_world(3);
	(void)state;
	w->options.hinted_handoff = false;
	test_start(w);
	test_setup_cql(w, SCHEMA "INSERT INTO k.t (u, n, i) VALUES ('a', '1', 'x');"
				 "INSERT INTO k.t (u, n, i) VALUES ('a', '3', 'x');");
	test_sleep(w, LAB_SEC);
	cqlemu_node_stop(w->emu, 0, w->now_ns);
	struct test_client *c2 = test_client(w, "n2");
	test_expect(c2, "DELETE FROM k.t WHERE u = 'a' AND n = '1'", CQL_TWO, VOID);
	cqlemu_node_start(w->emu, 0, w->now_ns);
	cqlemu_node_stop(w->emu, 1, w->now_ns);
	cqlemu_node_stop(w->emu, 2, w->now_ns);
	struct test_client *c1 = test_client(w, "n1");
	test_expect(c1, "DELETE FROM k.t WHERE u = 'a' AND n = '3'", CQL_ONE, VOID);
	cqlemu_node_start(w->emu, 1, w->now_ns);
	cqlemu_node_start(w->emu, 2, w->now_ns);
	test_sleep(w, LAB_SEC);
	test_expect(c1, "SELECT i FROM k.t WHERE u = 'a' LIMIT 1", CQL_ALL, ROWS_I "[]");
	test_disconnect(c1);
	test_disconnect(c2);
	test_end(w);
}

static void works_the_same_with_latency(void **state)
{
	struct test_world *w = test_world(3);
	(void)state;
	w->hooks.latency = test_latency;
	w->latency_ns = 700 * LAB_USEC;
	test_start(w);
	test_setup_cql(w, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	uint64_t start = w->now_ns;
	test_expect(c, INSERT_OLD, CQL_QUORUM, VOID);
	assert_in_range(w->now_ns - start, 1400 * LAB_USEC, 2 * LAB_MSEC);
	fault_partly(w, 2);
	struct cql_response r = test_query(c, INSERT_NEW, CQL_QUORUM);
	assert_int_equal(r.error.code, CQL_E_WRITE_TIMEOUT);
	start = w->now_ns;
	test_expect(c, SELECT_I, CQL_ALL, ROWS_I "[['new']]");
	/* Digests, then data, then the repair: three round trips. */
	assert_in_range(w->now_ns - start, 4200 * LAB_USEC, 5 * LAB_MSEC);
	assert_int_equal(nodes_with(w, "new"), 3);
	test_expect(c, "SELECT * FROM k.t", CQL_QUORUM,
		"[('u', '0xd'), ('n', '0xd'), ('i', '0xd')] [['a', 'b', 'new']]");
	test_disconnect(c);
	test_end(w);
}

static void speculation_asks_another_replica(void **state)
{
	struct test_world *w = test_world(3);
	struct cqlemu_counters counters;
	(void)state;
	w->options.speculation = CQLEMU_SPECULATE_FIXED;
	test_start(w);
	test_setup_cql(w, SCHEMA INSERT_NEW);
	struct test_client *c = test_client(w, "n1");
	cqlemu_node_freeze(w->emu, 1, w->now_ns);
	cqlemu_node_freeze(w->emu, 2, w->now_ns);
	cqlemu_node_thaw(w->emu, 2, w->now_ns);
	uint64_t start = w->now_ns;
	test_expect(c, SELECT_I, CQL_QUORUM, ROWS_I "[['new']]");
	cqlemu_counters(w->emu, &counters);
	assert_true(counters.speculations <= 1);
	assert_in_range(w->now_ns - start, 0, 60 * LAB_MSEC);
	test_disconnect(c);
	test_end(w);
}

/* ---- data through failures ---- */

static void kill_keeps_data_unless_told_otherwise(void **state)
{
	(void)state;
	for (unsigned lossy = 0; lossy < 2; lossy++) {
		struct test_world *w = test_world(3);
		w->options.commitlog_sync_ns = lossy ? 10 * LAB_SEC : 0;
		test_start(w);
		test_setup_cql(w, SCHEMA);
		struct test_client *c = test_client(w, "n1");
		test_expect(c, INSERT_OLD, CQL_ALL, VOID);
		test_sleep(w, 11 * LAB_SEC);
		test_expect(c, INSERT_NEW, CQL_ALL, VOID);
		cqlemu_node_kill(w->emu, 2, w->now_ns);
		assert_string_equal(look(w, 2).value, lossy ? "old" : "new");
		assert_string_equal(look(w, 1).value, "new");
		cqlemu_node_kill(w->emu, 2, w->now_ns);
		cqlemu_node_start(w->emu, 2, w->now_ns);
		cqlemu_repair(w->emu, w->now_ns);
		assert_int_equal(nodes_with(w, "new"), 3);
		test_disconnect(c);
		test_end(w);
	}
}

static void a_node_that_lost_its_disks_is_filled_by_repair(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	test_expect(c, INSERT_OLD, CQL_ALL, VOID);
	cqlemu_node_stop(w->emu, 2, w->now_ns);
	test_expect(c, INSERT_NEW, CQL_QUORUM, VOID);
	cqlemu_node_lose_data(w->emu, 2);
	assert_int_equal(look(w, 2).rows, 0);
	assert_string_equal(look(w, 1).value, "new");
	/* What n1 had kept for it is lost with n1's disks. */
	cqlemu_node_stop(w->emu, 0, w->now_ns);
	cqlemu_node_lose_data(w->emu, 0);
	cqlemu_node_start(w->emu, 0, w->now_ns);
	cqlemu_node_start(w->emu, 2, w->now_ns);
	test_sleep(w, 20 * LAB_SEC);
	assert_int_equal(nodes_with(w, "new"), 1);
	cqlemu_repair(w->emu, w->now_ns);
	assert_int_equal(nodes_with(w, "new"), 3);
	test_disconnect(c);
	test_end(w);
}

static void deleted_row_comes_back_after_gc_grace(void **state)
{
	struct test_world *w = test_world(3);
	(void)state;
	w->options.hinted_handoff = false;
	test_start(w);
	test_setup_cql(w,
		"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', "
		"'replication_factor': 3}; CREATE TABLE k.t (u text, n text, i text, PRIMARY KEY "
		"(u, n)) WITH gc_grace_seconds = 3600;");
	struct test_client *c = test_client(w, "n1");
	test_expect(c, INSERT_OLD, CQL_ALL, VOID);
	cqlemu_node_stop(w->emu, 2, w->now_ns);
	test_expect(c, "DELETE FROM k.t WHERE u = 'a' AND n = 'b'", CQL_QUORUM, VOID);
	cqlemu_node_start(w->emu, 2, w->now_ns);
	test_sleep(w, 3601 * LAB_SEC);
	assert_int_equal(look(w, 0).rows, 1);
	cqlemu_node_compact(w->emu, 0, w->now_ns);
	cqlemu_node_compact(w->emu, 1, w->now_ns);
	assert_int_equal(look(w, 0).rows, 0);
	test_expect(c, SELECT_I, CQL_ALL, ROWS_I "[['old']]"); /* and repaired everywhere */
	assert_int_equal(nodes_with(w, "old"), 3);
	test_disconnect(c);
	test_end(w);
}

static void truncate_wants_all_nodes(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	test_expect(c, INSERT_NEW, CQL_ALL, VOID);
	cqlemu_node_freeze(w->emu, 1, w->now_ns);
	struct cql_response r = test_query(c, "TRUNCATE k.t", CQL_ONE);
	assert_int_equal(r.error.code, CQL_E_TRUNCATE);
	assert_int_equal(nodes_with(w, "new"), 1); /* the frozen one */
	test_expect(c, "TRUNCATE k.t", CQL_ONE,
		"ERROR 0x1003 Error during truncate: Cannot achieve consistency level ALL");
	cqlemu_node_thaw(w->emu, 1, w->now_ns);
	test_sleep(w, LAB_SEC);
	test_expect(c, "TRUNCATE k.t", CQL_ONE, VOID);
	assert_int_equal(nodes_with(w, "new"), 0);
	test_disconnect(c);
	test_end(w);
}

static void tombstones_are_counted(void **state)
{
	struct test_world *w = test_world(1);
	char cql[96];
	(void)state;
	w->options.tombstone_warn = 10;
	w->options.tombstone_fail = 20;
	test_start(w);
	test_setup_cql(w,
		"CREATE KEYSPACE z WITH replication = {'class': 'SimpleStrategy', "
		"'replication_factor': 1}; CREATE TABLE z.t (p int, c int, v text, PRIMARY KEY "
		"(p, c))");
	struct test_client *c = test_client(w, "n1");
	for (unsigned i = 0; i < 30; i++) {
		(void)snprintf(cql, sizeof(cql), "DELETE FROM z.t WHERE p = %u AND c = %u",
			i < 10 ? 10 : 30, i);
		test_expect(c, cql, CQL_ONE, VOID);
	}
	test_expect(c, "SELECT * FROM z.t WHERE p = 10", CQL_ONE,
		"WARN['Read 0 live rows and 10 tombstone cells for query SELECT * FROM z.t WHERE p "
		"= "
		"10; token -6715243485458697746 (see tombstone_warn_threshold)'] [('p', '0x9'), "
		"('c', '0x9'), ('v', '0xd')] []");
	test_expect(c, "DELETE FROM z.t WHERE p = 30 AND c = 99", CQL_ONE, VOID);
	struct cql_response r = test_query(c, "SELECT * FROM z.t WHERE p = 30", CQL_ONE);
	assert_int_equal(r.error.code, CQL_E_READ_FAILURE);
	assert_true(lab_view_eq_cstr(r.error.message,
		"Operation failed - received 0 responses and 1 failures: READ_TOO_MANY_TOMBSTONES "
		"from /127.0.0.1:7000"));
	assert_int_equal(r.error.failures, 1);
	test_disconnect(c);
	test_end(w);
}

static void logged_batch_needs_the_batch_log(void **state)
{
	struct test_world *w = cluster(3, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	static const char batch[] = "BEGIN BATCH INSERT INTO k.t (u, n, i) VALUES ('a', 'b', "
				    "'new'); INSERT INTO k.t (u, n, i) VALUES ('b', 'b', 'new'); "
				    "APPLY BATCH";
	static const char unlogged[] = "BEGIN UNLOGGED BATCH INSERT INTO k.t (u, n, i) VALUES "
				       "('a', 'b', 'new'); INSERT INTO k.t (u, n, i) VALUES ('b', "
				       "'b', 'new'); APPLY BATCH";
	(void)state;
	test_expect(c, batch, CQL_QUORUM, VOID);
	cqlemu_node_freeze(w->emu, 1, w->now_ns);
	cqlemu_node_freeze(w->emu, 2, w->now_ns);
	struct cql_response r = test_query(c, batch, CQL_ONE);
	assert_int_equal(r.error.code, CQL_E_WRITE_TIMEOUT);
	assert_true(lab_view_eq_cstr(r.error.write_type, "BATCH_LOG"));
	assert_int_equal(r.error.consistency, CQL_TWO);
	assert_int_equal(r.error.received, 0);
	r = test_query(c, unlogged, CQL_QUORUM);
	assert_true(lab_view_eq_cstr(r.error.write_type, "UNLOGGED_BATCH"));
	test_sleep(w, 30 * LAB_SEC);
	r = test_query(c, batch, CQL_ONE);
	assert_int_equal(r.error.code, CQL_E_UNAVAILABLE);
	assert_int_equal(r.error.consistency, CQL_TWO);
	test_disconnect(c);
	test_end(w);
}

/* The coordinator dies with a logged batch half done: the batch log finishes it. */
static void batch_log_outlives_its_coordinator(void **state)
{
	struct test_world *w = test_world(3);
	(void)state;
	w->hooks.latency = test_latency;
	w->latency_ns = LAB_MSEC;
	test_start(w);
	test_setup_cql(w, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	struct cql_request request =
		test_query_request("BEGIN BATCH INSERT INTO k.t (u, n, i) VALUES ('a', 'b', "
				   "'new'); INSERT INTO k.t (u, "
				   "n, i) VALUES ('b', 'b', 'new'); APPLY BATCH",
			CQL_ALL);
	test_request(c, &request);
	test_sleep(w, 2 * LAB_MSEC + 500 * LAB_USEC); /* logged, sent, not acknowledged */
	cqlemu_node_kill(w->emu, 0, w->now_ns);
	test_sleep(w, 30 * LAB_SEC);
	cqlemu_node_start(w->emu, 0, w->now_ns);
	test_sleep(w, 30 * LAB_SEC);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(look(w, i).live, 2);
	test_disconnect(c);
	test_end(w);
}

static void range_scan_crosses_the_ring(void **state)
{
	struct test_world *w = test_world(6);
	char cql[96];
	(void)state;
	test_start(w);
	test_setup_cql(w, "CREATE KEYSPACE k WITH replication = {'class': "
			  "'NetworkTopologyStrategy', 'dc1': 2, "
			  "'dc2': 1}; CREATE TABLE k.t (u int PRIMARY KEY, i int)");
	struct test_client *c = test_client(w, "n2");
	for (unsigned i = 0; i < 200; i++) {
		(void)snprintf(cql, sizeof(cql), "INSERT INTO k.t (u, i) VALUES (%u, %u)", i, i);
		test_expect(c, cql, CQL_ALL, VOID);
	}
	test_expect(c, "SELECT count(*) FROM k.t", CQL_QUORUM,
		"WARN['Aggregation query used without partition key'] [('count', '0x2')] [[200]]");
	struct cql_request page = test_query_request("SELECT token(u) FROM k.t", CQL_LOCAL_QUORUM);
	page.params.flags = CQL_PARAM_PAGE_SIZE;
	page.params.page_size = 7;
	int64_t last = INT64_MIN;
	unsigned rows = 0, pages = 0;
	for (;;) {
		struct cql_response r = test_ask(c, &page);
		assert_int_equal(r.opcode, CQL_RESULT);
		for (size_t i = 0; i < r.rows.row_count; i++) {
			int64_t token;
			assert_int_equal(
				cql_value_to_i64(CQL_TYPE_BIGINT, r.rows.cells[i], &token), 0);
			assert_true(token > last);
			last = token;
		}
		rows += (unsigned)r.rows.row_count;
		pages++;
		if (r.rows.metadata.paging_state.ptr == NULL)
			break;
		page.params.flags |= CQL_PARAM_PAGING_STATE;
		page.params.paging_state = r.rows.metadata.paging_state;
	}
	assert_int_equal(rows, 200);
	assert_int_equal(pages, 29);
	test_disconnect(c);
	test_end(w);
}

static void replicas_sit_in_different_racks(void **state)
{
	struct test_world *w = test_world(6);
	struct lab_error err;
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		w->nodes[i].dc = LAB_VIEW("dc1");
		w->nodes[i].rack = lab_view_cstr(i < 2 ? "r1" : i < 4 ? "r2" : "r3");
	}
	test_start(w);
	test_setup_cql(w, "CREATE KEYSPACE k WITH replication = {'class': "
			  "'NetworkTopologyStrategy', 'dc1': 3}; "
			  "CREATE TABLE k.t (u text PRIMARY KEY)");
	for (unsigned i = 0; i < 50; i++) {
		char key[16];
		size_t nodes[CQLEMU_NODES_MAX];
		unsigned racks = 0;
		(void)snprintf(key, sizeof(key), "user%u", i);
		assert_int_equal(
			cqlemu_replicas(w->emu, LAB_VIEW("k.t"), lab_view_cstr(key), nodes, &err),
			3);
		for (size_t j = 0; j < 3; j++)
			racks |= 1u << nodes[j] / 2;
		assert_int_equal(racks, 7);
	}
	test_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_with_all_nodes_up),
		cmocka_unit_test(levels_with_convicted_nodes),
		cmocka_unit_test(levels_with_undetected_frozen_nodes),
		cmocka_unit_test(two_data_centres_answer_as_the_real_ring_did),
		cmocka_unit_test(each_quorum_write_counts_per_data_centre),
		cmocka_unit_test(simple_strategy_counts_only_local_replicas_for_local_levels),
		cmocka_unit_test(killed_node_is_convicted_after_a_while),
		cmocka_unit_test(quick_restart_is_seen_as_down_and_up_at_once),
		cmocka_unit_test(kill_resets_the_clients_of_the_node),
		cmocka_unit_test(partition_is_detected_by_both_sides),
		cmocka_unit_test(hints_bring_a_returned_node_up_to_date),
		cmocka_unit_test(hint_finds_its_columns_in_an_altered_table),
		cmocka_unit_test(replica_that_did_not_answer_gets_a_hint),
		cmocka_unit_test(no_hints_beyond_the_window_or_the_bound),
		cmocka_unit_test(any_is_content_with_a_hint),
		cmocka_unit_test(quorum_read_repairs_what_it_sees),
		cmocka_unit_test(read_repair_spreads_deletes),
		cmocka_unit_test(short_reads_are_read_again),
		cmocka_unit_test(limited_answers_do_not_resurrect_rows),
		cmocka_unit_test(works_the_same_with_latency),
		cmocka_unit_test(speculation_asks_another_replica),
		cmocka_unit_test(kill_keeps_data_unless_told_otherwise),
		cmocka_unit_test(a_node_that_lost_its_disks_is_filled_by_repair),
		cmocka_unit_test(deleted_row_comes_back_after_gc_grace),
		cmocka_unit_test(truncate_wants_all_nodes),
		cmocka_unit_test(tombstones_are_counted),
		cmocka_unit_test(logged_batch_needs_the_batch_log),
		cmocka_unit_test(batch_log_outlives_its_coordinator),
		cmocka_unit_test(range_scan_crosses_the_ring),
		cmocka_unit_test(replicas_sit_in_different_racks),
	};
	return cmocka_run_group_tests_name("cql-emulator-cluster", tests, NULL, NULL);
}

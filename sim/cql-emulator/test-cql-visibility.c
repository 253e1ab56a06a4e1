/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-visibility.c - which node knows of a new table, what those say that do not, and what
 * becomes of two tables of one name.
 */
#include "sim/cql-emulator/testing-cql.h"

#define KEYSPACE \
	"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"3}"
#define TABLE "CREATE TABLE k.t (p int PRIMARY KEY, v text)"
#define INSERT_A "INSERT INTO k.t (p, v) VALUES (1, 'a')"
#define INSERT_B "INSERT INTO k.t (p, v) VALUES (2, 'b')"
#define SELECT_V "SELECT v FROM k.t WHERE p = 1"
#define ROWS_V "[('v', '0xd')] "
#define VOID "RESULT kind=1 b''"
#define CREATED "RESULT kind=5 b'\\x00\\x07CREATED\\x00\\x05TABLE\\x00\\x01k\\x00\\x01t'"
#define UNKNOWN "ERROR 0x2200 table t does not exist"
#define FROM(node) "INCOMPATIBLE_SCHEMA from /127.0.0." #node ":7000"

struct trio {
	struct test_world *w;
	struct test_client *c[3];
};

static void connect_to(struct trio *t, size_t i)
{
	static const char *const names[] = { "n1", "n2", "n3" };
	t->c[i] = test_client(t->w, names[i]);
}

static void begin(struct trio *t)
{
	t->w = test_world(3);
	t->w->hooks.reachable = test_reachable;
	t->w->hooks.latency = test_latency;
	test_start(t->w);
	test_setup_cql(t->w, KEYSPACE ";");
	for (size_t i = 0; i < 3; i++)
		connect_to(t, i);
}

static void end(struct trio *t)
{
	for (size_t i = 0; i < 3; i++) {
		if (t->c[i] != NULL)
			test_disconnect(t->c[i]);
	}
	test_end(t->w);
}

static void isolate_n3(struct trio *t)
{
	t->w->cut_from = 4;
	t->w->cut_to = 3;
}

static void heal(struct trio *t)
{
	t->w->cut_from = t->w->cut_to = 0;
	test_sleep(t->w, 3 * LAB_SEC);
}

/* The version that `node` says it has, or says that a peer has. */
static struct lab_view version(struct trio *t, size_t node, const char *peer)
{
	const char *cql = peer == NULL ? "SELECT schema_version FROM system.local"
				       : lab_arena_printf(t->w->arena,
						 "SELECT schema_version FROM system.peers WHERE "
						 "peer = '%s'",
						 peer);
	struct cql_response r = test_query(t->c[node], cql, CQL_ONE);
	assert_int_equal(r.rows.row_count, 1);
	return r.rows.cells[0];
}

static bool agree(struct trio *t)
{
	struct lab_view first = version(t, 0, NULL);
	return lab_view_eq(first, version(t, 1, NULL)) && lab_view_eq(first, version(t, 2, NULL)) &&
	       lab_view_eq(first, version(t, 0, "127.0.0.2")) &&
	       lab_view_eq(first, version(t, 0, "127.0.0.3")) &&
	       lab_view_eq(first, version(t, 2, "127.0.0.1"));
}

static bool lists_table(struct trio *t, size_t node)
{
	struct cql_response r = test_query(t->c[node],
		"SELECT id FROM system_schema.tables WHERE keyspace_name = 'k' AND "
		"table_name = 't'",
		CQL_ONE);
	return r.rows.row_count == 1;
}

/* Without waiting for the answer. */
static void send_query(struct test_client *c, const char *cql)
{
	struct cql_request request = test_query_request(cql, CQL_ONE);
	test_request(c, &request);
}

static bool hears_of_schema(struct test_client *c)
{
	struct cql_response r;
	bool heard = false;
	while (test_take(c, &r, NULL))
		heard = heard ||
			(r.opcode == CQL_EVENT && lab_view_eq_cstr(r.event.type, "SCHEMA_CHANGE"));
	return heard;
}

static void a_change_takes_as_long_as_a_message(void **state)
{
	struct lab_view name = LAB_VIEW("SCHEMA_CHANGE");
	struct cql_request request = { .opcode = CQL_REGISTER, .events = { &name, 1 } };
	struct trio t;
	(void)state;
	begin(&t);
	assert_int_equal(test_ask(t.c[1], &request).opcode, CQL_READY);
	t.w->latency_ns = 5 * LAB_MSEC;
	test_expect(t.c[0], TABLE, CQL_ONE, CREATED);
	assert_false(hears_of_schema(t.c[1]));
	test_expect(t.c[1], SELECT_V, CQL_ONE, UNKNOWN);
	assert_false(agree(&t));
	assert_true(lists_table(&t, 0));
	assert_false(lists_table(&t, 1));
	test_sleep(t.w, 5 * LAB_MSEC);
	assert_true(hears_of_schema(t.c[1]));
	test_expect(t.c[1], SELECT_V, CQL_ONE, ROWS_V "[]");
	assert_true(agree(&t));
	assert_true(lists_table(&t, 1));
	end(&t);
}

/* The first reads behind CREATE TABLE, even at its own coordinator (cql-imds 0.9). */
static void a_replica_that_does_not_know_fails(void **state)
{
	struct trio t;
	(void)state;
	begin(&t);
	t.w->fault_point = "cql.schema"; /* n2 does not hear of it */
	t.w->fault = (struct sim_fault){ .kind = SIM_FAULT_DELAY, .delay_ns = 10 * LAB_SEC };
	test_expect(t.c[0], TABLE, CQL_ONE, CREATED);
	assert_null(t.w->fault_point); /* it has fired */
	test_expect(t.c[0], INSERT_A, CQL_QUORUM, VOID);
	test_expect(t.c[2], SELECT_V, CQL_QUORUM, ROWS_V "[['a']]");
	test_expect(t.c[1], SELECT_V, CQL_ONE, UNKNOWN);
	struct cql_response r = test_query(t.c[0], SELECT_V, CQL_ALL);
	assert_string_equal(test_text(t.w, &r),
		"ERROR 0x1300 Operation failed - received 1 responses and 1 failures: " FROM(2));
	assert_int_equal(r.error.failures, 1);
	r = test_query(t.c[0], INSERT_A, CQL_ALL);
	assert_int_equal(r.error.code, CQL_E_WRITE_FAILURE);
	assert_int_equal(r.error.required, 3);
	assert_true(lab_view_find(r.error.message, LAB_VIEW(FROM(2))) != SIZE_MAX);
	test_sleep(t.w, 8 * LAB_SEC);
	test_expect(t.c[1], SELECT_V, CQL_ONE, UNKNOWN);
	test_sleep(t.w, 3 * LAB_SEC);
	/* No hint was kept: the coordinator knew that the node was alive. */
	test_expect(t.c[1], SELECT_V, CQL_ONE, ROWS_V "[]");
	test_expect(t.c[1], SELECT_V, CQL_ALL, ROWS_V "[['a']]");
	assert_true(agree(&t));
	end(&t);
}

static void a_lost_push_is_made_up_for_by_gossip(void **state)
{
	struct trio t;
	(void)state;
	begin(&t);
	t.w->fault_point = "cql.schema";
	t.w->fault = (struct sim_fault){ .kind = SIM_FAULT_STALL };
	test_expect(t.c[0], TABLE, CQL_ONE, CREATED);
	assert_null(t.w->fault_point);
	test_expect(t.c[1], SELECT_V, CQL_ONE, UNKNOWN);
	test_sleep(t.w, 1100 * LAB_MSEC);
	test_expect(t.c[1], SELECT_V, CQL_ONE, ROWS_V "[]");
	end(&t);
}

static void who_was_down_hears_of_it_when_it_starts(void **state)
{
	struct trio t;
	(void)state;
	begin(&t);
	cqlemu_node_kill(t.w->emu, 2, t.w->now_ns);
	test_disconnect(t.c[2]);
	t.c[2] = NULL;
	test_sleep(t.w, 30 * LAB_SEC);
	struct lab_view before = version(&t, 0, "127.0.0.3");
	test_expect(t.c[0], TABLE, CQL_ONE, CREATED);
	test_expect(t.c[0], INSERT_A, CQL_QUORUM, VOID);
	assert_true(lab_view_eq(version(&t, 0, "127.0.0.3"), before));
	assert_true(lab_view_eq(version(&t, 0, NULL), version(&t, 1, NULL)));
	assert_false(lab_view_eq(version(&t, 0, NULL), before));
	test_sleep(t.w, 30 * LAB_SEC);
	cqlemu_node_start(t.w->emu, 2, t.w->now_ns);
	connect_to(&t, 2);
	test_expect(t.c[2], SELECT_V, CQL_ONE, ROWS_V "[]");
	test_sleep(t.w, 3 * LAB_SEC);
	assert_true(agree(&t));
	test_expect(t.c[2], SELECT_V, CQL_ONE, ROWS_V "[['a']]"); /* hints */
	end(&t);
}

static void who_is_frozen_hears_of_it_when_it_goes_on(void **state)
{
	struct trio t;
	(void)state;
	begin(&t);
	cqlemu_node_freeze(t.w->emu, 2, t.w->now_ns);
	test_expect(t.c[0], TABLE, CQL_ONE, CREATED);
	assert_false(lab_view_eq(version(&t, 0, NULL), version(&t, 0, "127.0.0.3")));
	send_query(t.c[2], SELECT_V);
	cqlemu_node_thaw(t.w->emu, 2, t.w->now_ns);
	struct cql_response r = test_answer(t.c[2]);
	assert_string_equal(test_text(t.w, &r), ROWS_V "[]");
	assert_true(agree(&t));
	end(&t);
}

static void who_is_cut_off_hears_of_it_when_it_is_back(void **state)
{
	struct trio t;
	(void)state;
	begin(&t);
	isolate_n3(&t);
	test_sleep(t.w, 30 * LAB_SEC);
	test_expect(t.c[0], TABLE, CQL_ONE, CREATED);
	test_expect(t.c[2], SELECT_V, CQL_ONE, UNKNOWN);
	test_sleep(t.w, LAB_MINUTE);
	test_expect(t.c[2], SELECT_V, CQL_ONE, UNKNOWN);
	assert_false(agree(&t));
	heal(&t);
	test_expect(t.c[2], SELECT_V, CQL_ONE, ROWS_V "[]");
	assert_true(agree(&t));
	end(&t);
}

static void restart(struct trio *t, size_t node)
{
	cqlemu_node_kill(t->w->emu, node, t->w->now_ns);
	test_disconnect(t->c[node]);
	test_sleep(t->w, 30 * LAB_SEC);
	cqlemu_node_start(t->w->emu, node, t->w->now_ns);
	connect_to(t, node);
	test_sleep(t->w, 3 * LAB_SEC);
}

/* Both sides of a partition make the table. Each node keeps the one it knew first; they fail each
 * other's requests although the versions agree; when they start again the newer one wins, and what
 * was written to the other is gone. */
static void of_two_tables_the_newer_one_is_left(void **state)
{
	struct trio t;
	(void)state;
	begin(&t);
	isolate_n3(&t);
	test_sleep(t.w, 30 * LAB_SEC);
	test_expect(t.c[0], TABLE, CQL_ONE, CREATED);
	test_expect(t.c[0], INSERT_A, CQL_QUORUM, VOID);
	test_expect(t.c[2], "CREATE TABLE IF NOT EXISTS k.t (p int PRIMARY KEY, v text)", CQL_ONE,
		CREATED);
	test_expect(t.c[2], INSERT_B, CQL_ONE, VOID);
	heal(&t);
	assert_true(agree(&t));
	test_expect(t.c[0], TABLE, CQL_ONE,
		"ERROR 0x2400 Cannot add already existing table \"t\" to keyspace \"k\" "
		"00016b000174");
	test_expect(t.c[0], SELECT_V, CQL_QUORUM, ROWS_V "[['a']]");
	test_expect(t.c[0], SELECT_V, CQL_ALL,
		"ERROR 0x1300 Operation failed - received 2 responses and 1 failures: " FROM(3));
	struct cql_response r = test_query(t.c[2], SELECT_V, CQL_QUORUM);
	assert_int_equal(r.error.code, CQL_E_READ_FAILURE);
	restart(&t, 0);
	restart(&t, 1);
	test_expect(t.c[0], SELECT_V, CQL_ALL, ROWS_V "[]");
	test_expect(t.c[0], "SELECT v FROM k.t WHERE p = 2", CQL_ALL, ROWS_V "[['b']]");
	test_expect(t.c[2], INSERT_A, CQL_ALL, VOID);
	assert_true(agree(&t));
	end(&t);
}

static void of_two_keyspaces_the_newer_definition_wins(void **state)
{
	struct trio t;
	(void)state;
	begin(&t);
	isolate_n3(&t);
	test_sleep(t.w, 30 * LAB_SEC);
	for (unsigned i = 0; i < 2; i++) {
		struct cql_response r = test_query(t.c[i == 0 ? 0 : 2],
			lab_arena_printf(t.w->arena,
				"CREATE KEYSPACE m WITH replication = {'class': 'SimpleStrategy', "
				"'replication_factor': %u}",
				i + 1),
			CQL_ONE);
		assert_int_equal(r.kind, CQL_RESULT_SCHEMA_CHANGE);
	}
	heal(&t);
	assert_true(agree(&t));
	for (size_t i = 0; i < 3; i++) {
		struct cql_response r = test_query(t.c[i],
			"SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = "
			"'m'",
			CQL_ONE);
		assert_int_equal(r.rows.row_count, 1);
		assert_true(lab_view_find(r.rows.cells[0], LAB_VIEW("replication_factor\0\0\0\1"
								    "2")) != SIZE_MAX);
	}
	end(&t);
}

static void a_dropped_table_may_be_made_again(void **state)
{
	struct trio t;
	(void)state;
	begin(&t);
	t.w->fault_point = "cql.schema";
	t.w->fault = (struct sim_fault){ .kind = SIM_FAULT_DELAY, .delay_ns = LAB_MINUTE };
	test_expect(t.c[0], TABLE, CQL_ONE, CREATED);
	test_expect(t.c[1], "DROP TABLE k.t", CQL_ONE, "ERROR 0x2200 Table 'k.t' doesn't exist");
	test_expect(t.c[0], "DROP TABLE k.t", CQL_ONE,
		"RESULT kind=5 b'\\x00\\x07DROPPED\\x00\\x05TABLE\\x00\\x01k\\x00\\x01t'");
	test_expect(t.c[1], TABLE, CQL_ONE, CREATED);
	test_expect(t.c[1], INSERT_A, CQL_ALL, VOID);
	test_sleep(t.w, 2 * LAB_MINUTE);
	assert_true(agree(&t));
	test_expect(t.c[2], SELECT_V, CQL_ALL, ROWS_V "[['a']]");
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_change_takes_as_long_as_a_message),
		cmocka_unit_test(a_replica_that_does_not_know_fails),
		cmocka_unit_test(a_lost_push_is_made_up_for_by_gossip),
		cmocka_unit_test(who_was_down_hears_of_it_when_it_starts),
		cmocka_unit_test(who_is_frozen_hears_of_it_when_it_goes_on),
		cmocka_unit_test(who_is_cut_off_hears_of_it_when_it_is_back),
		cmocka_unit_test(of_two_tables_the_newer_one_is_left),
		cmocka_unit_test(of_two_keyspaces_the_newer_definition_wins),
		cmocka_unit_test(a_dropped_table_may_be_made_again) };
	return cmocka_run_group_tests_name("cql-emulator-visibility", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-paxos.c - conditional updates on a cluster: one winner, what a broken round leaves, and
 * the answers of a genuine ring with nodes frozen (golden faults).
 */
#include "sim/cql-emulator/testing-cql.h"
#include "sim/cql-emulator/cql-emulator-private.h"

#define SCHEMA \
	"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"3}; CREATE TABLE k.t (p int PRIMARY KEY, v text, n int);"
#define INSERT_IF "INSERT INTO k.t (p, v) VALUES (1, 'a') IF NOT EXISTS"
#define APPLIED "[('[applied]', '0x4')] [[True]]"
#define SELECT_V "SELECT v FROM k.t WHERE p = 1"
#define ROWS_V "[('v', '0xd')] "

static struct test_world *ring(size_t nodes, uint64_t latency_ns)
{
	struct test_world *w = test_world(nodes);
	w->hooks.reachable = test_reachable;
	w->hooks.latency = test_latency;
	w->latency_ns = latency_ns;
	test_start(w);
	test_setup_cql(w, SCHEMA);
	return w;
}

/* Without waiting for the answer. */
static void send_query(struct test_client *c, const char *cql)
{
	struct cql_request request = test_query_request(cql, CQL_QUORUM);
	test_request(c, &request);
}

static bool is_applied(const struct cql_response *r)
{
	return r->opcode == CQL_RESULT && r->rows.row_count == 1 && r->rows.cells[0].len == 1 &&
	       r->rows.cells[0].ptr[0] == 1;
}

static bool serve(struct test_world *w, enum cqle_paxos_phase phase, uint64_t ballot)
{
	struct cqle_table *table = cqle_table_find(w->emu, LAB_VIEW("k"), LAB_VIEW("t"));
	struct cqle_bytes *key = cqle_bytes_new(w->heap, LAB_VIEW("\0\0\0\1"));
	struct cqle_event message = {
		.phase = phase, .ballot = ballot, .paxos_table = table, .paxos_key = key
	};
	struct cqle_promise *promise = cqle_paxos_serve(w->emu, &message);
	bool ok = promise->ok;
	cqle_promise_unref(w->emu, promise);
	cqle_bytes_unref(w->heap, key);
	return ok;
}

static void replica_keeps_its_promises(void **state)
{
	struct test_world *w = ring(1, 0);
	(void)state;
	assert_true(serve(w, CQLE_PAXOS_PREPARE, 5));
	assert_false(serve(w, CQLE_PAXOS_PREPARE, 4));
	assert_false(serve(w, CQLE_PAXOS_PREPARE, 5));
	assert_false(serve(w, CQLE_PAXOS_PROPOSE, 4));
	assert_true(serve(w, CQLE_PAXOS_PROPOSE, 5));
	assert_true(serve(w, CQLE_PAXOS_PREPARE, 6));
	assert_false(serve(w, CQLE_PAXOS_PROPOSE, 5));
	test_end(w);
}

/* Nine clients on three coordinators want the same row at the same time. */
static void one_of_many_wins(void **state)
{
	static const char *const nodes[] = { "n1", "n2", "n3" };
	struct test_world *w = ring(3, LAB_MSEC);
	struct test_client *c[9];
	struct cqlemu_counters counters;
	unsigned applied = 0, refused = 0, unknown = 0;
	char cql[100];
	(void)state;
	for (size_t i = 0; i < 9; i++)
		c[i] = test_client(w, nodes[i % 3]);
	for (size_t i = 0; i < 9; i++) {
		(void)snprintf(cql, sizeof(cql),
			"INSERT INTO k.t (p, v) VALUES (1, 'client %zu') IF NOT EXISTS", i);
		send_query(c[i], cql);
	}
	for (size_t i = 0; i < 9; i++) {
		struct cql_response r = test_answer(c[i]);
		applied += is_applied(&r);
		refused += r.opcode == CQL_RESULT && !is_applied(&r);
		unknown += r.opcode == CQL_ERROR;
		test_disconnect(c[i]);
	}
	cqlemu_counters(w->emu, &counters);
	assert_int_equal(applied, 1);
	assert_int_equal(applied + refused + unknown, 9);
	assert_true(refused > 0);
	test_end(w);
}

/* Increments by compare and set, all at once: none is lost, and none counts twice. */
static void compare_and_set_loses_nothing(void **state)
{
	static const char *const nodes[] = { "n1", "n2", "n3" };
	struct test_world *w = ring(3, LAB_MSEC);
	struct test_client *c[3];
	unsigned applied = 0;
	char cql[100];
	(void)state;
	test_setup_cql(w, "INSERT INTO k.t (p, n) VALUES (1, 0);");
	for (size_t i = 0; i < 3; i++)
		c[i] = test_client(w, nodes[i]);
	for (unsigned round = 0; round < 20; round++) {
		unsigned winners = 0;
		(void)snprintf(cql, sizeof(cql), "UPDATE k.t SET n = %u WHERE p = 1 IF n = %u",
			applied + 1, applied);
		for (size_t i = 0; i < 3; i++)
			send_query(c[i], cql);
		for (size_t i = 0; i < 3; i++) {
			struct cql_response r = test_answer(c[i]);
			winners += is_applied(&r);
		}
		assert_true(winners <= 1);
		applied += winners;
	}
	assert_true(applied > 10);
	(void)snprintf(cql, sizeof(cql), "[('n', '0x9')] [[%u]]", applied);
	test_expect(c[0], "SELECT n FROM k.t WHERE p = 1", CQL_SERIAL, cql);
	for (size_t i = 0; i < 3; i++)
		test_disconnect(c[i]);
	test_end(w);
}

static void check_error(const struct cql_response *r, unsigned code, enum cql_consistency cl,
	int received, int required)
{
	assert_int_equal(r->error.code, code);
	assert_int_equal(r->error.consistency, cl);
	assert_int_equal(r->error.received, received);
	assert_int_equal(r->error.required, required);
}

static void frozen_participants_are_a_timeout_of_cas(void **state)
{
	struct test_world *w = ring(3, LAB_MSEC);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	cqlemu_node_freeze(w->emu, 1, w->now_ns);
	test_expect(c, INSERT_IF, CQL_QUORUM, APPLIED);
	cqlemu_node_freeze(w->emu, 2, w->now_ns);
	uint64_t start = w->now_ns;
	struct cql_response r = test_query(c, INSERT_IF, CQL_QUORUM);
	check_error(&r, CQL_E_WRITE_TIMEOUT, CQL_SERIAL, 1, 2);
	assert_true(lab_view_eq_cstr(r.error.write_type, "CAS"));
	assert_int_equal((w->now_ns - start) / LAB_MSEC, 2000);
	r = test_query(c, SELECT_V, CQL_SERIAL);
	check_error(&r, CQL_E_READ_TIMEOUT, CQL_SERIAL, 0, 2);
	assert_false(r.error.data_present);
	test_sleep(w, 30 * LAB_SEC); /* both are convicted */
	r = test_query(c, INSERT_IF, CQL_QUORUM);
	check_error(&r, CQL_E_UNAVAILABLE, CQL_SERIAL, 1, 2);
	assert_string_equal(
		test_text(w, &r), "ERROR 0x1000 Cannot achieve consistency level SERIAL");
	test_disconnect(c);
	test_end(w);
}

/* The coordinator alone accepts, then is cut off: nobody knows how it ends, until a later round
 * finds what was left and finishes it. */
static void half_accepted_proposal_is_finished_by_the_next_round(void **state)
{
	struct test_world *w = ring(3, LAB_MSEC);
	struct test_client *c1 = test_client(w, "n1"), *c2 = test_client(w, "n2");
	(void)state;
	send_query(c1, INSERT_IF);
	/* Prepared after 2 ms, read after 4; the proposals are on their way. */
	test_sleep(w, 3500 * LAB_USEC);
	w->cut_from = 1;
	w->cut_to = 2 | 4;
	struct cql_response r = test_answer(c1);
	assert_true(r.error.code == CQL_E_WRITE_TIMEOUT || r.error.code == CQL_E_READ_TIMEOUT);
	w->cut_from = 0;
	test_expect(c2, SELECT_V, CQL_QUORUM, ROWS_V "[]");
	/* Another one's condition sees the row, if its round meets the replica that had accepted.
	 */
	test_expect(c1, "UPDATE k.t SET n = 1 WHERE p = 1 IF EXISTS", CQL_QUORUM,
		r.error.code == CQL_E_WRITE_TIMEOUT ? APPLIED : "[('[applied]', '0x4')] [[False]]");
	test_disconnect(c1);
	test_disconnect(c2);
	test_end(w);
}

/* At each half millisecond of a round the coordinator loses its peers. Whatever it is told, a
 * second try and a serial read agree with each other afterwards. */
static void cut_at_any_time_leaves_one_truth(void **state)
{
	unsigned uncertain = 0, applied_anyway = 0;
	(void)state;
	for (uint64_t at = 0; at < 12; at++) {
		struct test_world *w = ring(3, LAB_MSEC);
		struct test_client *c1 = test_client(w, "n1"), *c2 = test_client(w, "n2");
		send_query(c1, INSERT_IF);
		test_sleep(w, at * 500 * LAB_USEC + 100 * LAB_USEC);
		w->cut_from = 1;
		w->cut_to = 2 | 4;
		struct cql_response r = test_answer(c1);
		bool told = is_applied(&r);
		uncertain += r.opcode == CQL_ERROR;
		w->cut_from = 0;
		test_sleep(w, 30 * LAB_SEC);
		r = test_query(
			c2, "INSERT INTO k.t (p, v) VALUES (1, 'b') IF NOT EXISTS", CQL_QUORUM);
		bool second = is_applied(&r);
		assert_int_equal(r.opcode, CQL_RESULT);
		assert_false(told && second);
		applied_anyway += !told && !second;
		test_expect(c1, SELECT_V, CQL_SERIAL, second ? ROWS_V "[['b']]" : ROWS_V "[['a']]");
		test_disconnect(c1);
		test_disconnect(c2);
		test_end(w);
	}
	assert_true(uncertain > 3);
	assert_true(applied_anyway > 0);
}

static void altered_reply_hides_what_was_agreed(void **state)
{
	struct test_world *w = ring(3, 0);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	w->fault_point = "cql.write";
	w->fault = (struct sim_fault){
		.kind = SIM_FAULT_ALTER_REPLY, .status = CQL_E_WRITE_TIMEOUT, .id = 1
	};
	struct cql_response r = test_query(c, INSERT_IF, CQL_QUORUM);
	assert_int_equal(r.error.code, CQL_E_WRITE_TIMEOUT);
	/* The retry of a client that calls everything idempotent says: not applied. */
	r = test_query(c, INSERT_IF, CQL_QUORUM);
	assert_false(is_applied(&r));
	test_expect(c, SELECT_V, CQL_SERIAL, ROWS_V "[['a']]");
	test_disconnect(c);
	test_end(w);
}

static void replica_that_missed_a_commit_hears_of_it_in_the_next_round(void **state)
{
	struct test_world *w = ring(3, 0);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	w->options.hinted_handoff = false;
	cqlemu_node_stop(w->emu, 2, w->now_ns);
	test_expect(c, INSERT_IF, CQL_QUORUM, APPLIED);
	cqlemu_node_start(w->emu, 2, w->now_ns);
	test_sleep(w, 5 * LAB_SEC);
	test_expect(c, "UPDATE k.t SET n = 7 WHERE p = 1 IF v = 'a'", CQL_ALL, APPLIED);
	cqlemu_node_stop(w->emu, 1, w->now_ns);
	test_sleep(w, LAB_SEC);
	struct test_client *c3 = test_client(w, "n3");
	test_expect(c3, "SELECT v, n FROM k.t WHERE p = 1", CQL_SERIAL,
		"[('v', '0xd'), ('n', '0x9')] [['a', 7]]");
	test_disconnect(c);
	test_disconnect(c3);
	test_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replica_keeps_its_promises),
		cmocka_unit_test(one_of_many_wins),
		cmocka_unit_test(compare_and_set_loses_nothing),
		cmocka_unit_test(frozen_participants_are_a_timeout_of_cas),
		cmocka_unit_test(half_accepted_proposal_is_finished_by_the_next_round),
		cmocka_unit_test(cut_at_any_time_leaves_one_truth),
		cmocka_unit_test(altered_reply_hides_what_was_agreed),
		cmocka_unit_test(replica_that_missed_a_commit_hears_of_it_in_the_next_round),
	};
	return cmocka_run_group_tests_name("cql-emulator-paxos", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-faults.c - every kind of fault: where it was applied, what was answered, when, and what
 * the access log says.
 */
#include "sim/cql-emulator/testing-cql.h"

#define SCHEMA \
	"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"3};" \
	"CREATE TABLE k.t (u text, n text, i text, PRIMARY KEY (u, n));" \
	"INSERT INTO k.t (u, n, i) VALUES ('a', 'b', 'old')"
#define INSERT_NEW "INSERT INTO k.t (u, n, i) VALUES ('a', 'b', 'new')"
#define DELETE_OLD "DELETE FROM k.t WHERE u = 'a' AND n = 'b'"
#define SELECT_I "SELECT i FROM k.t WHERE u = 'a'"

static struct test_world *cluster(void)
{
	struct test_world *w = test_world(3);
	test_start(w);
	test_setup_cql(w, SCHEMA);
	test_sleep(w, LAB_SEC); /* newer than the set-up */
	return w;
}

static void count_new(void *ctx, const struct cqlemu_entry *entry)
{
	unsigned *count = ctx;
	*count += entry->live && lab_view_eq_cstr(cqlemu_entry_value(entry, "i"), "new");
}

static unsigned nodes_with_new(struct test_world *w)
{
	unsigned count = 0;
	struct lab_error err;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(
			cqlemu_snapshot(w->emu, LAB_VIEW("k.t"), i, count_new, &count, &err), 0);
	return count;
}

enum outcome {
	ANSWERED,
	RESET,
	SILENT
};

struct fault_case {
	const char *point;
	struct sim_fault fault;
	enum outcome outcome;
	unsigned code; /* 0: ok */
	int received;
	unsigned applied; /* nodes, once everything is over */
	uint64_t after_ms;
	bool log_applied;
};

static const struct fault_case cases[] = {
	{ "cql.write", { .kind = SIM_FAULT_NONE }, ANSWERED, 0, 0, 3, 0, true },
	{ "cql.write", { .kind = SIM_FAULT_REFUSE }, ANSWERED, 0x1001, 0, 0, 0, false },
	{ "cql.write", { .kind = SIM_FAULT_REFUSE, .status = 0x1000 }, ANSWERED, 0x1000, 1, 0, 0,
		false },
	{ "cql.write", { .kind = SIM_FAULT_REFUSE, .status = 0x1002 }, ANSWERED, 0x1002, 0, 0, 0,
		false },
	{ "cql.write", { .kind = SIM_FAULT_REFUSE, .status = 0xffff }, ANSWERED, 0, 0, 0, 0,
		false },
	{ "cql.write", { .kind = SIM_FAULT_FAIL, .code = "SERVER_ERROR" }, ANSWERED, 0, 0, 0, 0,
		false },
	{ "cql.write", { .kind = SIM_FAULT_FAIL }, ANSWERED, 0x1100, 0, 0, 2000, false },
	{ "cql.write", { .kind = SIM_FAULT_FAIL, .delay_ns = 30 * LAB_MSEC }, ANSWERED, 0x1100, 0,
		0, 30, false },
	{ "cql.write", { .kind = SIM_FAULT_FAIL, .status = 0x1500 }, ANSWERED, 0x1500, 0, 0, 0,
		false },
	{ "cql.write", { .kind = SIM_FAULT_PARTLY, .replicas = 1 }, ANSWERED, 0x1100, 1, 1, 2000,
		true },
	{ "cql.write", { .kind = SIM_FAULT_PARTLY, .replicas = 2 }, ANSWERED, 0x1100, 1, 2, 2000,
		true },
	{ "cql.write", { .kind = SIM_FAULT_PARTLY, .replicas = 1, .code = "hint" }, ANSWERED,
		0x1100, 1, 3, 2000, true },
	{ "cql.write", { .kind = SIM_FAULT_PARTLY, .replicas = 1, .status = 0x1500 }, ANSWERED,
		0x1500, 1, 1, 0, true },
	{ "cql.write", { .kind = SIM_FAULT_PARTLY, .replicas = 0 }, ANSWERED, 0x1100, 0, 0, 2000,
		false },
	{ "cql.write", { .kind = SIM_FAULT_LATE, .delay_ns = 100 * LAB_MSEC }, ANSWERED, 0x1100, 0,
		3, 2000, true },
	{ "cql.write", { .kind = SIM_FAULT_LATE, .delay_ns = 7 * LAB_SEC }, ANSWERED, 0x1100, 0, 3,
		2000, true },
	{ "cql.write", { .kind = SIM_FAULT_ALTER_REPLY }, ANSWERED, 0x1100, 1, 3, 2000, true },
	{ "cql.write", { .kind = SIM_FAULT_ALTER_REPLY, .status = 0x1500 }, ANSWERED, 0x1500, 1, 3,
		0, true },
	{ "cql.write", { .kind = SIM_FAULT_ALTER_REPLY, .code = "SERVER_ERROR" }, ANSWERED, 0, 0, 3,
		0, true },
	{ "cql.write", { .kind = SIM_FAULT_LOSE_REPLY }, RESET, 0, 0, 3, 0, true },
	{ "cql.write", { .kind = SIM_FAULT_STALL_REPLY }, SILENT, 0, 0, 3, 0, true },
	{ "cql.write", { .kind = SIM_FAULT_STALL }, SILENT, 0, 0, 0, 0, false },
	{ "cql.write", { .kind = SIM_FAULT_RESET }, RESET, 0, 0, 0, 0, false },
	{ "cql.write", { .kind = SIM_FAULT_DELAY, .delay_ns = 40 * LAB_MSEC }, ANSWERED, 0, 0, 3,
		40, true },
	{ "cql.write", { .kind = SIM_FAULT_CORRUPT }, RESET, 0, 0, 3, 0, true },
};

/* An error that is expected to be 0x0000 and success both have code 0 in the table. */
static bool is_server_error(const struct fault_case *f)
{
	return f->fault.status == 0xffff ||
	       (f->fault.code != NULL && strcmp(f->fault.code, "SERVER_ERROR") == 0);
}

static void check_answer(struct test_client *c, const struct fault_case *f, unsigned index)
{
	struct test_world *w = c->world;
	uint64_t start = w->now_ns;
	struct cql_request request = test_query_request(INSERT_NEW, CQL_LOCAL_QUORUM);
	test_request(c, &request);
	if (f->outcome != ANSWERED) {
		test_sleep(w, 20 * LAB_SEC);
		assert_int_equal(c->reset, f->outcome == RESET);
		return;
	}
	struct cql_response r = test_answer(c);
	if (f->code == 0 && !is_server_error(f)) {
		if (r.opcode != CQL_RESULT)
			fail_msg("case %u: %s", index, test_text(w, &r));
	} else {
		if (r.opcode != CQL_ERROR || r.error.code != f->code)
			fail_msg("case %u: %s", index, test_text(w, &r));
		assert_int_equal(r.error.received, f->received);
		assert_int_equal(r.error.required,
			f->code >= 0x1000 && f->code != 0x1001 && f->code != 0x1002 ? 2 : 0);
	}
	if ((w->now_ns - start) / LAB_MSEC != f->after_ms)
		fail_msg("case %u: answered after %u ms", index,
			(unsigned)((w->now_ns - start) / LAB_MSEC));
}

static void each_fault_of_a_write_does_what_it_says(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LAB_COUNT_OF(cases); i++) {
		const struct fault_case *f = &cases[i];
		struct test_world *w = cluster();
		struct test_client *c = test_client(w, "n1");
		w->fault = f->fault;
		w->fault.id = 100 + i;
		w->fault_point = f->point;
		check_answer(c, f, i);
		if (w->access.applied != f->log_applied)
			fail_msg("case %u: the access log says applied=%d", i, w->access.applied);
		assert_int_equal(w->access_count, 1);
		assert_int_equal(
			w->access.fault_id, f->fault.kind == SIM_FAULT_NONE ? 100 : 100 + i);
		if (f->outcome == SILENT ||
			(f->outcome == RESET && f->fault.kind != SIM_FAULT_CORRUPT))
			assert_false(w->access.answered);
		test_sleep(w, 20 * LAB_SEC);
		if (nodes_with_new(w) != f->applied)
			fail_msg("case %u: applied on %u nodes", i, nodes_with_new(w));
		test_disconnect(c);
		test_end(w);
	}
}

static void late_write_is_not_there_before_its_time(void **state)
{
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	(void)state;
	w->fault_point = "cql.write";
	w->fault = (struct sim_fault){ .kind = SIM_FAULT_LATE, .delay_ns = 7 * LAB_SEC };
	struct cql_response r = test_query(c, INSERT_NEW, CQL_LOCAL_QUORUM);
	assert_int_equal(r.error.code, CQL_E_WRITE_TIMEOUT);
	test_sleep(w, 4 * LAB_SEC);
	assert_int_equal(nodes_with_new(w), 0);
	cqlemu_node_kill(w->emu, 0, w->now_ns); /* not even that stops it */
	test_sleep(w, 2 * LAB_SEC);
	assert_int_equal(nodes_with_new(w), 2);
	test_disconnect(c);
	test_end(w);
}

static void faults_of_reads(void **state)
{
	static const struct {
		struct sim_fault fault;
		unsigned code;
		uint64_t after_ms;
	} reads[] = { { { .kind = SIM_FAULT_FAIL }, 0x1200, 5000 },
		{ { .kind = SIM_FAULT_FAIL, .status = 0x1300 }, 0x1300, 0 },
		{ { .kind = SIM_FAULT_PARTLY, .replicas = 1 }, 0x1200, 5000 },
		{ { .kind = SIM_FAULT_REFUSE, .status = 0x1001 }, 0x1001, 0 },
		{ { .kind = SIM_FAULT_ALTER_REPLY }, 0x1200, 5000 } };
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(reads); i++) {
		uint64_t start = w->now_ns;
		w->fault_point = "cql.read";
		w->fault = reads[i].fault;
		struct cql_response r = test_query(c, SELECT_I, CQL_LOCAL_QUORUM);
		assert_int_equal(r.opcode, CQL_ERROR);
		assert_int_equal(r.error.code, reads[i].code);
		assert_int_equal((w->now_ns - start) / LAB_MSEC, reads[i].after_ms);
		assert_false(w->access.applied);
	}
	test_expect(c, SELECT_I, CQL_LOCAL_QUORUM, "[('i', '0xd')] [['old']]");
	test_disconnect(c);
	test_end(w);
}

static void points_are_asked_for_what_they_are(void **state)
{
	static const struct {
		const char *cql, *point;
	} statements[] = { { INSERT_NEW, "cql.write" },
		{ "UPDATE k.t SET i = 'x' WHERE u = 'a' AND n = 'b'", "cql.write" },
		{ "BEGIN BATCH " INSERT_NEW "; APPLY BATCH", "cql.write" },
		{ DELETE_OLD, "cql.delete" }, { SELECT_I, "cql.read" } };
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(statements); i++) {
		w->fault = (struct sim_fault){ .kind = SIM_FAULT_REFUSE };
		w->fault_point = statements[i].point;
		struct cql_response r = test_query(c, statements[i].cql, CQL_ONE);
		assert_int_equal(r.error.code, CQL_E_OVERLOADED);
	}
	w->fault_point = "cql.read";
	test_expect(c, "SELECT key FROM system.local", CQL_ONE, "[('key', '0xd')] [['local']]");
	assert_non_null(w->fault_point); /* system tables are spared */
	test_disconnect(c);
	test_end(w);
}

static void connections_and_prepares_can_fail(void **state)
{
	struct test_world *w = cluster();
	struct cql_request prepare = { .opcode = CQL_PREPARE, .query = LAB_VIEW(SELECT_I) };
	(void)state;
	w->fault = (struct sim_fault){ .kind = SIM_FAULT_REFUSE };
	w->fault_point = "cql.connect";
	assert_null(test_connect(w, "n1"));
	w->fault = (struct sim_fault){ .kind = SIM_FAULT_STALL };
	w->fault_point = "cql.connect";
	struct test_client *mute = test_connect(w, "n1");
	struct cql_request options = { .opcode = CQL_OPTIONS };
	test_request(mute, &options);
	test_sleep(w, 60 * LAB_SEC);
	assert_int_equal(mute->in.len, 0);
	test_disconnect(mute);

	struct test_client *c = test_client(w, "n1");
	w->fault = (struct sim_fault){ .kind = SIM_FAULT_FAIL };
	w->fault_point = "cql.prepare";
	struct cql_response r = test_ask(c, &prepare);
	assert_int_equal(r.opcode, CQL_ERROR);
	assert_int_equal(r.error.code, CQL_E_SERVER_ERROR);
	r = test_ask(c, &prepare);
	assert_int_equal(r.kind, CQL_RESULT_PREPARED);
	test_disconnect(c);
	test_end(w);
}

static void unprepared_fault_forgets_the_statement(void **state)
{
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	struct cql_request prepare = { .opcode = CQL_PREPARE, .query = LAB_VIEW(SELECT_I) };
	struct cql_response r = test_ask(c, &prepare);
	struct lab_view id = lab_arena_copy(w->arena, r.prepared.id);
	struct cql_request execute = {
		.opcode = CQL_EXECUTE, .query = id, .params = { .consistency = CQL_ONE }
	};
	(void)state;
	assert_int_equal(test_ask(c, &execute).opcode, CQL_RESULT);
	w->fault = (struct sim_fault){ .kind = SIM_FAULT_REFUSE, .status = CQL_E_UNPREPARED };
	w->fault_point = "cql.read";
	for (unsigned i = 0; i < 2; i++) {
		r = test_ask(c, &execute);
		assert_int_equal(r.error.code, CQL_E_UNPREPARED);
		assert_true(lab_view_eq(r.error.prepared_id, id));
	}
	assert_int_equal(test_ask(c, &prepare).kind, CQL_RESULT_PREPARED);
	assert_int_equal(test_ask(c, &execute).opcode, CQL_RESULT);
	test_disconnect(c);
	test_end(w);
}

static void access_log_tells_who_did_what(void **state)
{
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n2");
	struct cql_bind values[] = { { .kind = CQL_VALUE_BYTES, .bytes = LAB_VIEW("new") },
		{ .kind = CQL_VALUE_BYTES, .bytes = LAB_VIEW("alice") },
		{ .kind = CQL_VALUE_BYTES, .bytes = LAB_VIEW("x") } };
	struct cql_request prepare = { .opcode = CQL_PREPARE,
		.query = LAB_VIEW("INSERT INTO k.t (i, u, n) VALUES (?, ?, ?)") };
	(void)state;
	struct cql_response r = test_ask(c, &prepare);
	assert_true(lab_view_eq_cstr(w->access.operation, "PREPARE"));
	struct cql_request execute = { .opcode = CQL_EXECUTE,
		.query = r.prepared.id,
		.params = { .consistency = CQL_LOCAL_QUORUM,
			.flags = CQL_PARAM_VALUES | CQL_PARAM_TIMESTAMP,
			.values = values,
			.value_count = 3,
			.timestamp_us = 1234567 } };
	assert_int_equal(test_ask(c, &execute).opcode, CQL_RESULT);
	assert_true(lab_view_eq_cstr(w->access.operation, "INSERT"));
	assert_true(lab_view_eq_cstr(w->access.subject, "k.t"));
	assert_true(lab_view_eq_cstr(w->access.user, "alice"));
	assert_true(lab_view_eq(w->access.request, prepare.query));
	assert_int_equal(w->access.timestamp_us, 1234567);
	assert_int_equal(w->access.consistency, CQL_LOCAL_QUORUM);
	assert_int_equal(w->access.status, 0);
	assert_true(w->access.applied && w->access.answered);
	test_expect(c, "SELECT i FROM k.t WHERE u = 'alice'", CQL_ONE, "[('i', '0xd')] [['new']]");
	assert_true(lab_view_eq_cstr(w->access.operation, "SELECT"));
	assert_true(lab_view_eq_cstr(w->access.user, "alice"));
	assert_int_equal(w->access.timestamp_us, INT64_MIN);
	assert_false(w->access.applied);
	/* Without one the node makes one, which is not the client's. */
	execute.params.flags = CQL_PARAM_VALUES;
	assert_int_equal(test_ask(c, &execute).opcode, CQL_RESULT);
	assert_true(w->access.applied);
	assert_int_equal(w->access.timestamp_us, INT64_MIN);
	test_disconnect(c);
	test_end(w);
}

static void fault_of_a_doomed_request_does_not_hide_its_error(void **state)
{
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	(void)state;
	cqlemu_node_stop(w->emu, 1, w->now_ns);
	cqlemu_node_stop(w->emu, 2, w->now_ns);
	w->fault_point = "cql.write";
	w->fault = (struct sim_fault){ .kind = SIM_FAULT_LOSE_REPLY };
	struct cql_response r = test_query(c, INSERT_NEW, CQL_QUORUM);
	assert_int_equal(r.error.code, CQL_E_UNAVAILABLE);
	assert_false(w->access.applied);
	test_disconnect(c);
	test_end(w);
}

/* ---- applied on {none, one, minority, quorum, all} x answered with x after ---- */

struct cell {
	unsigned replicas; /* of five */
	unsigned status;
	const char *code;
	uint64_t delay_ns;
};

static struct sim_fault fault_of(const struct cell *m)
{
	struct sim_fault fault = { .kind = m->replicas == 5   ? SIM_FAULT_ALTER_REPLY
					   : m->replicas == 0 ? SIM_FAULT_FAIL
							      : SIM_FAULT_PARTLY,
		.replicas = m->replicas,
		.status = m->status,
		.code = m->code,
		.delay_ns = m->delay_ns };
	return fault;
}

static unsigned nodes_having(struct test_world *w)
{
	unsigned count = 0;
	struct lab_error err;
	for (size_t i = 0; i < cqlemu_node_count(w->emu); i++)
		assert_int_equal(
			cqlemu_snapshot(w->emu, LAB_VIEW("k.t"), i, count_new, &count, &err), 0);
	return count;
}

static void check_cell(const struct cell *m)
{
	struct test_world *w = test_world(5);
	struct cqlemu_counters counters;
	for (size_t i = 0; i < 5; i++)
		w->nodes[i].dc = LAB_VIEW("dc1");
	test_start(w);
	test_setup_cql(w, "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', "
			  "'replication_factor': 5}; CREATE TABLE k.t (u text, n text, i text, "
			  "PRIMARY KEY (u, n));");
	struct test_client *c = test_client(w, "n1");
	w->fault = fault_of(m);
	w->fault_point = "cql.write";
	uint64_t start = w->now_ns;
	struct cql_response r = test_query(c, INSERT_NEW, CQL_QUORUM);
	uint64_t took = w->now_ns - start;
	bool timeout = m->status == CQL_E_WRITE_TIMEOUT;
	assert_null(w->fault_point); /* it has fired */
	cqlemu_counters(w->emu, &counters);
	assert_int_equal(counters.faults[w->fault.kind], 1);
	assert_int_equal(r.opcode, CQL_ERROR);
	assert_int_equal(r.error.code, m->code != NULL ? CQL_E_SERVER_ERROR : m->status);
	assert_int_equal(took, m->delay_ns > 0 ? m->delay_ns : timeout ? 2 * LAB_SEC : 0);
	if (timeout || m->status == CQL_E_WRITE_FAILURE) {
		assert_int_equal(r.error.required, 3);
		assert_int_equal(r.error.received, LAB_MIN(m->replicas, 2u));
	}
	test_sleep(w, LAB_MINUTE);
	assert_int_equal(nodes_having(w), m->replicas);
	assert_int_equal(w->access.applied, m->replicas > 0);
	/* What a minority has may be seen or not; once it was seen at a quorum, it stays. */
	test_expect(c, SELECT_I, CQL_ALL,
		m->replicas > 0 ? "[('i', '0xd')] [['new']]" : "[('i', '0xd')] []");
	assert_int_equal(nodes_having(w), m->replicas > 0 ? 5 : 0);
	test_disconnect(c);
	test_end(w);
}

static void every_part_with_every_answer_at_any_time(void **state)
{
	static const struct {
		unsigned status;
		const char *code;
	} answers[] = { { CQL_E_WRITE_TIMEOUT, NULL }, { CQL_E_WRITE_FAILURE, NULL },
		{ CQL_E_OVERLOADED, NULL }, { CQL_E_IS_BOOTSTRAPPING, NULL },
		{ 0, "SERVER_ERROR" } };
	unsigned cells = 0;
	(void)state;
	for (unsigned replicas = 0; replicas <= 5; replicas++) {
		for (size_t i = 0; i < LAB_COUNT_OF(answers); i++) {
			for (uint64_t delay_ns = 0; delay_ns < LAB_SEC;
				delay_ns += 700 * LAB_MSEC, cells++) {
				struct cell m = { replicas, answers[i].status, answers[i].code,
					delay_ns };
				check_cell(&m);
			}
		}
	}
	assert_int_equal(cells, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_part_with_every_answer_at_any_time),
		cmocka_unit_test(each_fault_of_a_write_does_what_it_says),
		cmocka_unit_test(late_write_is_not_there_before_its_time),
		cmocka_unit_test(faults_of_reads),
		cmocka_unit_test(points_are_asked_for_what_they_are),
		cmocka_unit_test(connections_and_prepares_can_fail),
		cmocka_unit_test(unprepared_fault_forgets_the_statement),
		cmocka_unit_test(access_log_tells_who_did_what),
		cmocka_unit_test(fault_of_a_doomed_request_does_not_hide_its_error),
	};
	return cmocka_run_group_tests_name("cql-emulator-faults", tests, NULL, NULL);
}

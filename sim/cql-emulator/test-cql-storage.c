/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-storage.c - tokens, which of two writes wins, and that the order in which replicas hear
 * of them does not matter.
 */
#include "sim/cql-emulator/testing-cql.h"
#include "sim/cql-emulator/cql-emulator-private.h"

static void tokens_are_those_of_cassandra(void **state)
{
	static const struct {
		const char *key;
		size_t len;
		int64_t token;
	} cases[] = { { "\0\0\0\10", 4, INT64_C(-3799847372828181882) },
		{ "\0\0\0\12", 4, INT64_C(-6715243485458697746) },
		{ "\0\0\0\36", 4, INT64_C(-4944298994521308347) },
		{ "user1@example.com", 17, INT64_C(932501669495990369) },
		{ "\xff\xfe", 2, INT64_C(-2002833339314343643) },
		{ "a", 1, INT64_C(-8839064797231613815) },
		{ "\0\21user1@example.com\0\0\20\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\0", 39,
			INT64_C(-4539796345548412497) },
		{ "", 0, INT64_MIN } };
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++)
		assert_true(
			cqlemu_token(lab_view_of(cases[i].key, cases[i].len)) == cases[i].token);
}

#define SCHEMA \
	"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"1};" \
	"CREATE TABLE k.t (p int, c int, v text, w text, s text static, PRIMARY KEY (p, c));"
#define SELECT_ALL "SELECT c, s, v, w FROM k.t WHERE p = 1"
#define COLUMNS "[('c', '0x9'), ('s', '0xd'), ('v', '0xd'), ('w', '0xd')] "

/* Two changes of the same thing; the result must not depend on which comes first. */
struct pair {
	const char *a, *b, *rows;
};
static const struct pair pairs[] = {
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'a') USING TIMESTAMP 5",
		"INSERT INTO k.t (p, c, v) VALUES (1, 1, 'b') USING TIMESTAMP 5",
		"[[1, None, 'b', None]]" },
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'z') USING TIMESTAMP 4",
		"INSERT INTO k.t (p, c, v) VALUES (1, 1, 'b') USING TIMESTAMP 5",
		"[[1, None, 'b', None]]" },
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'a') USING TIMESTAMP 5",
		"INSERT INTO k.t (p, c, w) VALUES (1, 1, 'b') USING TIMESTAMP 6",
		"[[1, None, 'a', 'b']]" },
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'a') USING TIMESTAMP 5",
		"DELETE v FROM k.t USING TIMESTAMP 5 WHERE p = 1 AND c = 1",
		"[[1, None, None, None]]" },
	{ "UPDATE k.t USING TIMESTAMP 5 SET v = 'a' WHERE p = 1 AND c = 1",
		"DELETE v FROM k.t USING TIMESTAMP 5 WHERE p = 1 AND c = 1", "[]" },
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'a') USING TIMESTAMP 5",
		"DELETE FROM k.t USING TIMESTAMP 5 WHERE p = 1 AND c = 1", "[]" },
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'a') USING TIMESTAMP 6",
		"DELETE FROM k.t USING TIMESTAMP 5 WHERE p = 1 AND c = 1",
		"[[1, None, 'a', None]]" },
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'a') USING TIMESTAMP 5",
		"DELETE FROM k.t USING TIMESTAMP 5 WHERE p = 1", "[]" },
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'a') USING TIMESTAMP 6",
		"DELETE FROM k.t USING TIMESTAMP 5 WHERE p = 1", "[[1, None, 'a', None]]" },
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'a') USING TIMESTAMP 5",
		"DELETE FROM k.t USING TIMESTAMP 5 WHERE p = 1 AND c > 0 AND c <= 1", "[]" },
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'a') USING TIMESTAMP 5",
		"DELETE FROM k.t USING TIMESTAMP 5 WHERE p = 1 AND c > 1",
		"[[1, None, 'a', None]]" },
	{ "INSERT INTO k.t (p, s) VALUES (1, 'x') USING TIMESTAMP 5",
		"DELETE FROM k.t USING TIMESTAMP 9 WHERE p = 1 AND c >= 0",
		"[[None, 'x', None, None]]" },
	{ "INSERT INTO k.t (p, s) VALUES (1, 'x') USING TIMESTAMP 5",
		"DELETE FROM k.t USING TIMESTAMP 9 WHERE p = 1", "[]" },
	{ "INSERT INTO k.t (p, s) VALUES (1, 'x') USING TIMESTAMP 5",
		"INSERT INTO k.t (p, c, s) VALUES (1, 3, 'y') USING TIMESTAMP 6",
		"[[3, 'y', None, None]]" },
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'live') USING TIMESTAMP 5",
		"INSERT INTO k.t (p, c, v) VALUES (1, 1, 'ttl') USING TIMESTAMP 5 AND TTL 1000",
		"[[1, None, 'ttl', None]]" },
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'zz') USING TIMESTAMP 5 AND TTL 500",
		"INSERT INTO k.t (p, c, v) VALUES (1, 1, 'aa') USING TIMESTAMP 5 AND TTL 1000",
		"[[1, None, 'aa', None]]" },
	{ "DELETE FROM k.t USING TIMESTAMP 5 WHERE p = 1 AND c = 1",
		"DELETE FROM k.t USING TIMESTAMP 9 WHERE p = 1", "[]" },
	{ "DELETE FROM k.t USING TIMESTAMP 5 WHERE p = 1 AND c > 0",
		"DELETE FROM k.t USING TIMESTAMP 9 WHERE p = 1 AND c > 0", "[]" },
	{ "INSERT INTO k.t (p, c, v) VALUES (1, 1, '') USING TIMESTAMP 5",
		"UPDATE k.t USING TIMESTAMP 4 SET v = null WHERE p = 1 AND c = 1",
		"[[1, None, '', None]]" },
};

struct dump {
	struct lab_buf text;
};

static void dump_entry(void *ctx, const struct cqlemu_entry *e)
{
	struct dump *d = ctx;
	lab_buf_printf(&d->text, "%d live=%d marker=%" PRId64 " deletion=%" PRId64, (int)e->kind,
		e->live, e->marker_us, e->deletion_us);
	for (size_t i = 0; i < e->cell_count; i++)
		lab_buf_printf(&d->text, " %.*s=%.*s@%" PRId64 "/%u",
			LAB_VIEW_ARG(e->cells[i].column), LAB_VIEW_ARG(e->cells[i].value),
			e->cells[i].timestamp_us, e->cells[i].ttl_s);
	lab_buf_append_cstr(&d->text, "\n");
}

static const char *dump(struct test_world *w)
{
	struct dump d;
	struct lab_error err;
	lab_buf_init(&d.text, w->heap, 100000);
	assert_int_equal(
		cqlemu_snapshot(w->emu, LAB_VIEW("k.t"), CQLEMU_MERGED, dump_entry, &d, &err), 0);
	const char *text = lab_arena_cstr(w->arena, lab_buf_view(&d.text));
	lab_buf_done(&d.text);
	return text;
}

/* In both orders, and one of them again: the same rows, and the same inside. */
static void check_pair(struct test_world *w, struct test_client *c, const struct pair *pair,
	const char *select, const char *columns)
{
	const char *first = NULL;
	for (unsigned round = 0; round < 3; round++) {
		test_setup_cql(w, "TRUNCATE k.t");
		test_setup_cql(w, round == 1 ? pair->b : pair->a);
		test_setup_cql(w, round == 1 ? pair->a : pair->b);
		if (round == 2) /* again: nothing may change */
			test_setup_cql(w, pair->a);
		struct cql_response r = test_query(c, select, CQL_ONE);
		char expected[200];
		(void)snprintf(expected, sizeof(expected), "%s%s", columns, pair->rows);
		if (strcmp(test_text(w, &r), expected) != 0)
			fail_msg("%s; %s; round %u: %s", pair->a, pair->b, round, test_text(w, &r));
		if (first == NULL)
			first = dump(w);
		/* Identical inside as well, except for what a wider delete has swallowed. */
		assert_string_equal(dump(w), first);
	}
}

static void result_does_not_depend_on_the_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(pairs); i++) {
		struct test_world *w = test_world(1);
		test_start(w);
		test_setup_cql(w, SCHEMA);
		struct test_client *c = test_client(w, "n1");
		check_pair(w, c, &pairs[i], SELECT_ALL, COLUMNS);
		test_disconnect(c);
		test_end(w);
	}
}

#define MAPS \
	"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"1};" \
	"CREATE TABLE k.t (p int PRIMARY KEY, m map<int, int>, s set<int>);"

static const struct pair map_pairs[] = {
	{ "UPDATE k.t USING TIMESTAMP 5 SET m[1] = 1 WHERE p = 1",
		"UPDATE k.t USING TIMESTAMP 5 SET m[2] = 2 WHERE p = 1",
		"[[0x00000002000000040000000100000004000000010000000400000002000000040000"
		"0002, None]]" },
	{ "UPDATE k.t USING TIMESTAMP 5 SET m[1] = 1 WHERE p = 1",
		"UPDATE k.t USING TIMESTAMP 5 SET m[1] = 2 WHERE p = 1",
		"[[0x0000000100000004000000010000000400000002, None]]" },
	{ "UPDATE k.t USING TIMESTAMP 5 SET m[1] = 1 WHERE p = 1",
		"UPDATE k.t USING TIMESTAMP 6 SET m = {3: 3} WHERE p = 1",
		"[[0x0000000100000004000000030000000400000003, None]]" },
	{ "UPDATE k.t USING TIMESTAMP 7 SET m[1] = 1 WHERE p = 1",
		"UPDATE k.t USING TIMESTAMP 6 SET m = {} WHERE p = 1",
		"[[0x0000000100000004000000010000000400000001, None]]" },
	{ "UPDATE k.t USING TIMESTAMP 5 SET s = s + {1, 2} WHERE p = 1",
		"UPDATE k.t USING TIMESTAMP 5 SET s = s - {1} WHERE p = 1",
		"[[None, 0x000000010000000400000002]]" },
	{ "UPDATE k.t USING TIMESTAMP 5 SET s = s + {1} WHERE p = 1",
		"DELETE s[1] FROM k.t USING TIMESTAMP 6 WHERE p = 1", "[]" },
	{ "UPDATE k.t USING TIMESTAMP 5 SET s = s + {1}, m[1] = 1 WHERE p = 1",
		"DELETE FROM k.t USING TIMESTAMP 5 WHERE p = 1", "[]" },
	{ "UPDATE k.t USING TIMESTAMP 5 SET m[1] = 1 WHERE p = 1",
		"UPDATE k.t USING TIMESTAMP 5 AND TTL 100 SET m[1] = 0 WHERE p = 1",
		"[[0x0000000100000004000000010000000400000000, None]]" },
};

static void collections_merge_element_by_element(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(map_pairs); i++) {
		struct test_world *w = test_world(1);
		test_start(w);
		test_setup_cql(w, MAPS);
		struct test_client *c = test_client(w, "n1");
		check_pair(w, c, &map_pairs[i], "SELECT m, s FROM k.t WHERE p = 1",
			"[('m', (33, 9, 9)), ('s', (34, 9))] ");
		test_disconnect(c);
		test_end(w);
	}
}

/* A list survives compaction; what was deleted in it is gone after gc_grace, and only then. */
static void elements_are_purged_one_by_one(void **state)
{
	struct test_world *w = test_world(1);
	(void)state;
	test_start(w);
	test_setup_cql(w, "CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', "
			  "'replication_factor': 1};"
			  "CREATE TABLE k.t (p int PRIMARY KEY, l list<int>, m map<int, int>) "
			  "WITH gc_grace_seconds = 10;");
	struct test_client *c = test_client(w, "n1");
	test_expect(c, "UPDATE k.t SET l = [1, 2, 3], m[1] = 1 WHERE p = 1", CQL_ONE,
		"RESULT kind=1 b''");
	test_expect(c, "DELETE l[1], m[1] FROM k.t WHERE p = 1", CQL_ONE, "RESULT kind=1 b''");
	const char *rows = "[('l', (32, 9)), ('m', (33, 9, 9))] "
			   "[[0x0000000200000004000000010000000400000003, None]]";
	const char *before = dump(w);
	cqlemu_node_compact(w->emu, 0, w->now_ns);
	assert_string_equal(dump(w), before);
	test_sleep(w, 60 * LAB_SEC);
	cqlemu_node_compact(w->emu, 0, w->now_ns);
	assert_true(strcmp(dump(w), before) != 0);
	test_expect(c, "SELECT l, m FROM k.t WHERE p = 1", CQL_ONE, rows);
	test_disconnect(c);
	test_end(w);
}

static void ttl_runs_out(void **state)
{
	struct test_world *w = test_world(1);
	(void)state;
	test_start(w);
	test_setup_cql(w, SCHEMA "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'x') USING TTL 10;"
				 "INSERT INTO k.t (p, c) VALUES (1, 2);"
				 "UPDATE k.t USING TTL 5 SET v = 'y' WHERE p = 1 AND c = 2;");
	struct test_client *c = test_client(w, "n1");
	test_sleep(w, 4 * LAB_SEC);
	test_expect(c, "SELECT c, v, ttl(v) FROM k.t", CQL_ONE,
		"[('c', '0x9'), ('v', '0xd'), ('ttl(v)', '0x9')] [[1, 'x', 6], [2, 'y', 1]]");
	test_sleep(w, 2 * LAB_SEC);
	test_expect(c, "SELECT c, v FROM k.t", CQL_ONE,
		"[('c', '0x9'), ('v', '0xd')] [[1, 'x'], [2, None]]");
	test_sleep(w, 5 * LAB_SEC);
	test_expect(c, "SELECT c, v FROM k.t", CQL_ONE, "[('c', '0x9'), ('v', '0xd')] [[2, None]]");
	test_disconnect(c);
	test_end(w);
}

/* Many rows, inserted and deleted in a shuffled order, against a plain array. */
static void large_partitions_stay_in_order(void **state)
{
	enum {
		COUNT = 3000
	};
	static bool there[COUNT];
	struct test_world *w = test_world(1);
	struct cqlemu_counters counters;
	char cql[128];
	(void)state;
	test_start(w);
	test_setup_cql(w, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	for (uint64_t i = 0; i < 4 * COUNT; i++) {
		uint64_t draw = lab_draw(1, "test", 0, i);
		uint64_t at = draw % COUNT;
		bool remove = (draw >> 32) % 4 == 0;
		if (remove)
			(void)snprintf(cql, sizeof(cql),
				"DELETE FROM k.t WHERE p = 1 AND c = %" PRIu64, at);
		else
			(void)snprintf(cql, sizeof(cql),
				"INSERT INTO k.t (p, c, v) VALUES (1, %" PRIu64 ", 'x')", at);
		test_setup_cql(w, cql);
		there[at] = !remove;
	}
	test_setup_cql(w, "DELETE FROM k.t WHERE p = 1 AND c >= 1000 AND c < 1500");
	for (size_t i = 1000; i < 1500; i++)
		there[i] = false;
	for (unsigned back = 0; back < 2; back++) {
		struct cql_response r = test_query(c,
			back ? "SELECT c FROM k.t WHERE p = 1 ORDER BY c DESC"
			     : "SELECT c FROM k.t WHERE p = 1",
			CQL_ONE);
		size_t row = 0;
		for (size_t i = 0; i < COUNT; i++) {
			size_t at = back ? COUNT - 1 - i : i;
			int64_t value;
			if (!there[at])
				continue;
			assert_true(row < r.rows.row_count);
			assert_int_equal(
				cql_value_to_i64(CQL_TYPE_INT, r.rows.cells[row++], &value), 0);
			assert_int_equal(value, at);
		}
		assert_int_equal(row, r.rows.row_count);
	}
	test_setup_cql(w, "DELETE FROM k.t WHERE p = 1");
	cqlemu_counters(w->emu, &counters);
	assert_int_equal(counters.rows, 0);
	assert_int_equal(counters.partitions, 1);
	test_disconnect(c);
	test_end(w);
}

static void snapshot_shows_cells_and_tombstones(void **state)
{
	struct test_world *w = test_world(1);
	(void)state;
	test_start(w);
	test_setup_cql(w,
		SCHEMA "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'x') USING TIMESTAMP 10;"
		       "DELETE FROM k.t USING TIMESTAMP 20 WHERE p = 1 AND c = 2;"
		       "UPDATE k.t USING TIMESTAMP 30 SET w = null, s = 'st' WHERE p = 1 AND c = 1;"
		       "DELETE FROM k.t USING TIMESTAMP 5 WHERE p = 1;"
		       "DELETE FROM k.t USING TIMESTAMP 6 WHERE p = 1 AND c > 100;");
	char expected[600];
	(void)snprintf(expected, sizeof(expected),
		"2 live=0 marker=%" PRId64 " deletion=5\n"
		"3 live=0 marker=%" PRId64 " deletion=6\n"
		"1 live=1 marker=%" PRId64 " deletion=%" PRId64 " s=st@30/0\n"
		"0 live=1 marker=10 deletion=%" PRId64 " v=x@10/0 w=@30/0\n"
		"0 live=0 marker=%" PRId64 " deletion=20 v=@%" PRId64 "/0 w=@%" PRId64 "/0\n",
		INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN,
		INT64_MIN);
	assert_string_equal(dump(w), expected);
	struct lab_error err;
	assert_int_equal(
		cqlemu_snapshot(w->emu, LAB_VIEW("k.nope"), 0, dump_entry, NULL, &err), -1);
	assert_int_equal(err.code, LAB_NOT_FOUND);
	test_end(w);
}

static void set_up_reports_errors(void **state)
{
	struct test_world *w = test_world(1);
	struct lab_error err;
	(void)state;
	test_start(w);
	assert_int_equal(cqlemu_execute(w->emu, LAB_VIEW(SCHEMA " ; -- nothing\n"), &err), 0);
	assert_int_equal(
		cqlemu_execute(w->emu, LAB_VIEW("USE k; INSERT INTO t (p) VALUES (1)"), &err), -1);
	assert_int_equal(err.status, CQL_E_INVALID);
	assert_string_equal(err.message, "Some clustering keys are missing: c");
	assert_int_equal(
		cqlemu_execute(w->emu, LAB_VIEW("CREATE TABLE t (a int PRIMARY KEY)"), &err), -1);
	assert_int_equal(err.code, LAB_EXISTS);
	assert_int_equal(cqlemu_execute(w->emu, LAB_VIEW("SELECT * FROM t WHERE p = ?"), &err), -1);
	assert_int_equal(cqlemu_execute(w->emu,
				 LAB_VIEW("BEGIN BATCH INSERT INTO t (p, c) VALUES (1, 1); INSERT "
					  "INTO t (p, c) VALUES "
					  "(1, 2); APPLY BATCH; SELECT * FROM t"),
				 &err),
		0);
	struct cqlemu_counters counters;
	cqlemu_counters(w->emu, &counters);
	assert_int_equal(counters.rows, 2);
	test_end(w);
}

static void bad_options_are_refused(void **state)
{
	struct test_world *w = test_world(2);
	struct lab_error err;
	struct cqlemu *emu = NULL;
	int64_t same[] = { 5 };
	(void)state;
	w->nodes[1].name = w->nodes[0].name;
	assert_int_equal(cqlemu_new(&w->options, &emu, &err), -1);
	w->nodes[1].name = LAB_VIEW("other");
	w->nodes[1].address = LAB_VIEW("not-an-address");
	assert_int_equal(cqlemu_new(&w->options, &emu, &err), -1);
	w->nodes[1].address = LAB_VIEW("127.0.0.9");
	w->nodes[0].tokens = w->nodes[1].tokens = same;
	w->nodes[0].token_count = w->nodes[1].token_count = 1;
	assert_int_equal(cqlemu_new(&w->options, &emu, &err), -1);
	assert_string_equal(err.message, "two nodes have the same token");
	w->options.node_count = 0;
	assert_int_equal(cqlemu_new(&w->options, &emu, &err), -1);
	w->options.frame_bytes_max = 0;
	assert_int_equal(cqlemu_new(&w->options, &emu, &err), -1);
	assert_null(emu);
	test_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_are_those_of_cassandra),
		cmocka_unit_test(result_does_not_depend_on_the_order),
		cmocka_unit_test(collections_merge_element_by_element),
		cmocka_unit_test(elements_are_purged_one_by_one),
		cmocka_unit_test(ttl_runs_out),
		cmocka_unit_test(large_partitions_stay_in_order),
		cmocka_unit_test(snapshot_shows_cells_and_tombstones),
		cmocka_unit_test(set_up_reports_errors),
		cmocka_unit_test(bad_options_are_refused),
	};
	return cmocka_run_group_tests_name("cql-emulator-storage", tests, NULL, NULL);
}

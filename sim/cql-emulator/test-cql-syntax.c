/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-syntax.c - CQL text: what is understood, and the words for what is not.
 */
#include "sim/cql-emulator/testing-cql.h"
#include "sim/cql-emulator/syntax.h"

struct fixture {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *arena;
	struct lab_error err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->pool = lab_pool_new((size_t)1 << 30);
	f->heap = lab_heap_new(f->pool, (size_t)1 << 30);
	f->arena = lab_arena_new(f->heap, (size_t)512 << 20);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	lab_arena_free(&f->arena);
	lab_heap_drop(&f->heap);
	lab_pool_free(&f->pool);
	free(f);
	return 0;
}

static struct statement *parse(struct fixture *f, const char *cql)
{
	struct statement *s;
	if (cqle_parse(f->arena, lab_view_cstr(cql), &s, &f->err) < 0)
		fail_msg("%s: %s", cql, f->err.message);
	return s;
}

static void statements_of_the_object_id_schema_are_understood(void **state)
{
	static const struct {
		const char *cql;
		enum statement_kind kind;
		size_t markers;
	} cases[] = {
		{ "create keyspace if not exists mails\n  with replication = { 'class': "
		  "'SimpleStrategy', 'replication_factor': 3 };",
			STATEMENT_CREATE_KEYSPACE, 0 },
		{ "create table if not exists user_mailbox_objects (u text,g blob,b int,n blob,i "
		  "blob,primary key ((u, g, b), n));",
			STATEMENT_CREATE_TABLE, 0 },
		{ "SELECT i FROM user_mailbox_objects WHERE u = ? AND g = ? AND b = ? AND n = ?",
			STATEMENT_SELECT, 4 },
		{ "SELECT b,writetime(b) FROM user_mailbox_buckets WHERE u = ? AND g = ?",
			STATEMENT_SELECT, 2 },
		{ "SELECT g,n FROM user_mailbox_objects_reverse WHERE i = ? LIMIT 3",
			STATEMENT_SELECT, 1 },
		{ "INSERT INTO user_mailbox_objects (i,u,g,b,n) VALUES (?,?,?,?,?)",
			STATEMENT_INSERT, 5 },
		{ "DELETE FROM user_mailbox_objects_reverse WHERE i = ? AND n = ?",
			STATEMENT_DELETE, 2 },
		{ "INSERT INTO mails.t (a) VALUES ('it''s') USING TIMESTAMP 5 AND TTL ?",
			STATEMENT_INSERT, 1 },
		{ "UPDATE t USING TIMESTAMP ? SET a = 1, b = :x WHERE c = 2 AND d IN (1, ?)",
			STATEMENT_UPDATE, 3 },
		{ "DELETE a, b FROM t USING TIMESTAMP 7 WHERE c >= 0x00ff AND d = true",
			STATEMENT_DELETE, 0 },
		{ "select \"Quoted\"\"Name\" as x, ttl(v), count(*) from t -- c\n where a=? // d\n",
			STATEMENT_SELECT, 1 },
		{ "BEGIN UNLOGGED BATCH USING TIMESTAMP 3 INSERT INTO t (a) VALUES (?); DELETE "
		  "FROM "
		  "t WHERE a = ? APPLY BATCH;",
			STATEMENT_BATCH, 2 },
		{ "USE \"Ks\";", STATEMENT_USE, 0 },
		{ "TRUNCATE TABLE k.t", STATEMENT_TRUNCATE, 0 },
		{ "DROP TABLE IF EXISTS k.t", STATEMENT_DROP_TABLE, 0 },
		{ "DROP KEYSPACE k", STATEMENT_DROP_KEYSPACE, 0 },
		{ "SELECT * FROM t WHERE a = $$it's$$ AND b = -5 AND c = 1.5e-3 AND d = "
		  "123e4567-e89b-12d3-a456-426614174000 ALLOW FILTERING",
			STATEMENT_SELECT, 0 },
		{ "CREATE TABLE q (a text, b timestamp, c frozen<map<text, list<int>>>, PRIMARY "
		  "KEY "
		  "((a), b)) WITH CLUSTERING ORDER BY (b DESC) AND gc_grace_seconds = 3600 AND "
		  "caching = {'keys': 'ALL'} AND dclocal_read_repair_chance = 0.1",
			STATEMENT_CREATE_TABLE, 0 },
	};
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct statement *s = parse(*state, cases[i].cql);
		assert_int_equal(s->kind, cases[i].kind);
		assert_int_equal(s->marker_count, cases[i].markers);
	}
}

static void constants_lose_their_quotes(void **state)
{
	struct statement *s = parse(*state, "INSERT INTO \"My Table\" (A, \"B\"\"c\") VALUES "
					    "('it''s', 0xAb, $$a'b$$, null, TRUE, -7)");
	static const struct {
		enum term_kind kind;
		const char *text;
	} values[] = { { TERM_STRING, "it's" }, { TERM_HEX, "0xAb" } };
	assert_true(lab_view_eq_cstr(s->table, "My Table"));
	assert_true(lab_view_eq_cstr(s->assignments[0].column, "a"));
	assert_true(lab_view_eq_cstr(s->assignments[1].column, "B\"c"));
	assert_int_equal(s->value_count, 6);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(s->assignments[i].value.kind, values[i].kind);
		assert_true(lab_view_eq_cstr(s->assignments[i].value.text, values[i].text));
	}
}

static void errors_are_worded_like_antlr(void **state)
{
	static const struct {
		const char *cql, *message;
	} cases[] = {
		{ "selec", "line 1:0 no viable alternative at input 'selec' ([selec])" },
		{ "", "line 0:-1 no viable alternative at input '<EOF>'" },
		{ "DELETE FROM s.t", "line 0:-1 mismatched input '<EOF>' expecting K_WHERE" },
		{ "CREATE KEYSPACE bad", "line 0:-1 mismatched input '<EOF>' expecting K_WITH" },
		{ "SELECT * FROM s.t WHERE p=",
			"line 0:-1 no viable alternative at input '<EOF>'" },
		{ "SELECT * FROM s.t WHERE p=1;SELECT * FROM s.t",
			"line 1:28 mismatched input 'SELECT' expecting EOF (...s.t WHERE "
			"p=1;[SELECT]...)" },
		{ "BEGIN BATCH SELECT * FROM s.t; APPLY BATCH",
			"line 1:12 mismatched input 'SELECT' expecting K_APPLY (BEGIN BATCH "
			"[SELECT]...)" },
		{ "SELECT *\nFROM 5",
			"line 2:5 no viable alternative at input '5' (SELECT * FROM [5])" },
		{ "INSERT INTO t (select) VALUES (1)", "line 1:15 no viable alternative at input "
						       "'select' (INSERT INTO t ([select]...)" },
		{ "SELECT 'open FROM t",
			"line 1:7 no viable alternative at input ''' (SELECT [']...)" },
		{ "SELECT a FROM t WHERE a = [[[[[[[[[1]]]]]]]]]",
			"line 1:34 terms are nested too deeply" },
		{ "CREATE TABLE t (a VARCHAR(255))",
			"line 1:25 mismatched input '(' expecting ')' (CREATE TABLE t (a "
			"VARCHAR[(]...)" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct statement *s = NULL;
		assert_int_equal(
			cqle_parse(f->arena, lab_view_cstr(cases[i].cql), &s, &f->err), -1);
		assert_string_equal(f->err.message, cases[i].message);
		assert_int_equal(f->err.status, CQL_E_SYNTAX);
	}
}

/* ---- against a schema ---- */

#define SCHEMA \
	"CREATE KEYSPACE s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"1};" \
	"USE s;" \
	"CREATE TABLE t (p int, c int, d text, v text, w int, st text static, PRIMARY KEY (p, c, " \
	"d));" \
	"CREATE TABLE two (a text, b blob, v bigint, PRIMARY KEY ((a, b)));" \
	"CREATE TABLE types (k int PRIMARY KEY, bi bigint, si smallint, ti tinyint, bo boolean, " \
	"u uuid, tu timeuuid, ts timestamp, i inet, vi varint, do double, f float, l " \
	"frozen<list<int>>, " \
	"m frozen<map<text, int>>, se frozen<set<int>>, a ascii, b blob)"

static const struct {
	const char *cql, *text;
} mistakes[] = {
	{ "SELECT v FROM s.t WHERE p = 1 AND d = 'x'",
		"PRIMARY KEY column \"d\" cannot be restricted as preceding column \"c\" "
		"is not "
		"restricted" },
	{ "SELECT v FROM s.t WHERE p = 1 AND p = 2",
		"p cannot be restricted by more than one relation if it includes an "
		"Equal" },
	{ "SELECT v FROM s.t WHERE p = 1 AND c > 1 AND c >= 2",
		"More than one restriction was found for the start bound on c" },
	{ "SELECT v FROM s.t WHERE p = 1 AND (c, d) > (1, 'a') AND c IN (1)",
		"c cannot be restricted by more than one relation if it includes an Equal" },
	{ "SELECT v FROM s.t WHERE p = 1 AND (d) > ('a') ALLOW FILTERING",
		"Multi-column slice restrictions cannot be used for filtering." },
	{ "SELECT v FROM s.two WHERE a = 'x'",
		"Cannot execute this query as it might involve data filtering and thus may "
		"have "
		"unpredictable performance. If you want to execute this query despite the "
		"performance unpredictability, use ALLOW FILTERING" },
	{ "UPDATE s.t SET v = 'x' WHERE p = 1 AND c = 1", "Some clustering keys are missing: d" },
	{ "UPDATE s.t SET v = 'x' WHERE p > 1 AND c = 1 AND d = 'a'",
		"Only EQ and IN relation are supported on the partition key (unless you "
		"use the "
		"token() function) for UPDATE statements" },
	{ "UPDATE s.t SET v = 'x' WHERE p = 1 AND c > 1",
		"Slice restrictions are not supported on the clustering columns in UPDATE "
		"statements" },
	{ "UPDATE s.t SET v = 'x' WHERE p = 1 AND c = 1 AND d = 'a' AND w = 1",
		"Non PRIMARY KEY columns found in where clause: w" },
	{ "UPDATE s.t SET w = w + 1 WHERE p = 1 AND c = 1 AND d = 'a'",
		"Invalid operation (w = w + 1) for non counter column w" },
	{ "DELETE v FROM s.t WHERE p = 1 AND c > 1",
		"Range deletions are not supported for specific columns" },
	{ "DELETE nope FROM s.t WHERE p = 1", "Undefined column name nope in table s.t" },
	{ "INSERT INTO s.t (p, p, c, d) VALUES (1, 1, 1, 'a')",
		"The column names contains duplicates: p" },
	{ "INSERT INTO s.two (a, v) VALUES ('x', 1)", "Some partition key parts are missing: b" },
	{ "INSERT INTO s.t (p, c, d) VALUES (1, 99999999999, 'a')",
		"Unable to make int from '99999999999'" },
	{ "INSERT INTO s.two (a, b, v) VALUES ('x', 0x1, 1)",
		"An hex string representing bytes must have an even length" },
	{ "INSERT INTO s.two (a, b, v) VALUES ('x', 'y', 1)",
		"Invalid STRING constant (y) for \"b\" of type blob" },
	{ "INSERT INTO s.t (p, c, d) VALUES (1, now(), 'a')",
		"Type error: cannot assign result of function system.now (type timeuuid) "
		"to c (type int)" },
	{ "INSERT INTO s.t (p, c, d) VALUES (1, [1], 'a')",
		"Invalid list literal for c of type int" },
	{ "INSERT INTO s.types (k, tu) VALUES (1, 123e4567-e89b-42d3-a456-426614174000)",
		"Invalid version for TimeUUID type." },
	{ "INSERT INTO s.types (k, ts) VALUES (1, 'tomorrow')",
		"Unable to parse a date/time from 'tomorrow'" },
	{ "INSERT INTO s.types (k, i) VALUES (1, 'localhost')",
		"Unable to make inet address from 'localhost'" },
	{ "INSERT INTO s.types (k, bo) VALUES (1, 1)",
		"Invalid INTEGER constant (1) for \"bo\" of type boolean" },
	{ "INSERT INTO s.types (k, a) VALUES (1, 'ä')", "Invalid byte for ascii: -61" },
	{ "SELECT v FROM s.t WHERE p = 1 ORDER BY d",
		"Order by currently only supports the ordering of columns following their "
		"declared order in the PRIMARY KEY" },
	{ "SELECT DISTINCT v FROM s.t", "SELECT DISTINCT queries must only request "
					"partition key columns and/or static "
					"columns (not v)" },
	{ "CREATE TABLE s.x (a int, b int, PRIMARY KEY (a, z))",
		"Unknown column 'z' referenced in PRIMARY KEY for table 's.x'" },
	{ "CREATE TABLE s.x (a int PRIMARY KEY, b int static)",
		"Static columns are only useful (and thus allowed) if the table has at "
		"least one "
		"clustering column" },
	{ "CREATE TABLE s.x (a list<int> PRIMARY KEY)",
		"Invalid non-frozen collection type list<int> for PRIMARY KEY column 'a'" },
	{ "CREATE TABLE s.x (a int, b decimal, PRIMARY KEY (a, b))",
		"The type of clustering column 'b' is not supported here for table 's.x'" },
	{ "SELECT * FROM system_views.clients",
		"Contents of system_views.clients are not supported here" },
	{ "CREATE TABLE s.x (a int PRIMARY KEY, b set<decimal>)",
		"Decimals in sets and as map keys are not supported here: set<decimal>" },
	{ "CREATE TABLE s.x (a int PRIMARY KEY, b list<frozen<map<frozen<tuple<int, decimal>>, "
	  "int>>>)",
		"Decimals in sets and as map keys are not supported here: map<frozen<tuple<int, "
		"decimal>>, int>" },
	{ "CREATE TABLE s.x (a int, b int, PRIMARY KEY (a, b)) WITH CLUSTERING ORDER BY (a "
	  "DESC)",
		"Clustering column order must match the CLUSTERING ORDER directive: a for "
		"table "
		"'s.x'" },
	{ "CREATE TABLE s.x (a int PRIMARY KEY) WITH COMPACT STORAGE",
		"COMPACT STORAGE tables are not allowed starting with Cassandra version "
		"4.0" },
	{ "CREATE TABLE nope.x (a int PRIMARY KEY)", "Keyspace 'nope' doesn't exist" },
};

static void mistakes_are_named(void **state)
{
	struct test_world *w = test_world(1);
	(void)state;
	test_start(w);
	test_setup_cql(w, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	for (size_t i = 0; i < LAB_COUNT_OF(mistakes); i++) {
		struct cql_response r = test_query(c, mistakes[i].cql, CQL_ONE);
		char expected[400];
		(void)snprintf(expected, sizeof(expected), "ERROR 0x2200 %s", mistakes[i].text);
		if (strcmp(test_text(w, &r), expected) != 0)
			fail_msg("%s: %s", mistakes[i].cql, test_text(w, &r));
	}
	test_expect(c, "UPDATE s.t SET v = 'x', v = 'y' WHERE p = 1 AND c = 1 AND d = 'a'", CQL_ONE,
		"ERROR 0x2000 Multiple incompatible setting of column v");
	test_expect(c, "CREATE TABLE s.x (a int PRIMARY KEY) WITH nope = 1", CQL_ONE,
		"ERROR 0x2000 Unknown property 'nope'");
	test_expect(c, "CREATE TABLE s.x (a int PRIMARY KEY) WITH gc_grace_seconds = -1", CQL_ONE,
		"ERROR 0x2300 gc_grace_seconds must be greater than or equal to 0 (got -1)");
	test_disconnect(c);
	test_end(w);
}

static void every_type_keeps_its_value(void **state)
{
	static const struct {
		const char *column, *literal, *value;
	} cases[] = { { "bi", "-9223372036854775808", "-9223372036854775808" },
		{ "si", "-32768", "0x8000" }, { "ti", "127", "0x7f" }, { "bo", "true", "True" },
		{ "u", "123E4567-e89b-42d3-a456-426614174000",
			"0x123e4567e89b42d3a456426614174000" },
		{ "tu", "123e4567-e89b-12d3-a456-426614174000",
			"0x123e4567e89b12d3a456426614174000" },
		{ "ts", "1704164645000", "1704164645000" },
		{ "ts", "'2024-01-02T03:04:05Z'", "1704164645000" },
		{ "i", "'10.1.2.3'", "0x0a010203" }, { "vi", "-129", "0xff7f" },
		{ "vi", "128", "0x0080" }, { "do", "-2", "0xc000000000000000" },
		{ "f", "2", "0x40000000" },
		{ "l", "[3, 1]",
			"0x00000002000000040000000300000004"
			"00000001" },
		{ "se", "{3, 1, 3}",
			"0x00000002000000040000000100000004"
			"00000003" },
		{ "m", "{'b': 2, 'a': 1}",
			"0x0000000200000001610000000400000001000000016200000004"
			"00000002" },
		{ "b", "0x", "0x" }, { "a", "''", "''" }, { "a", "null", "None" } };
	struct test_world *w = test_world(1);
	(void)state;
	test_start(w);
	test_setup_cql(w, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		char cql[200];
		(void)snprintf(cql, sizeof(cql), "INSERT INTO s.types (k, %s) VALUES (%zu, %s)",
			cases[i].column, i, cases[i].literal);
		test_expect(c, cql, CQL_ONE, "RESULT kind=1 b''");
		(void)snprintf(cql, sizeof(cql), "SELECT %s FROM s.types WHERE k = %zu",
			cases[i].column, i);
		struct cql_response r = test_query(c, cql, CQL_ONE);
		struct lab_buf out;
		lab_buf_init(&out, w->heap, 1000);
		test_put_value(&out, &r.rows.metadata.columns[0].type, r.rows.cells[0]);
		assert_string_equal(lab_buf_cstr(&out), cases[i].value);
		lab_buf_done(&out);
	}
	test_disconnect(c);
	test_end(w);
}

static const struct {
	const char *type, *order;
	const char *values[5]; /* in the order they must come */
} clustering_orders[] = { { "int", "ASC", { "-2147483648", "-1", "0", "1", "2147483647" } },
	{ "int", "DESC", { "5", "4", "0", "-1", "-300" } },
	{ "bigint", "ASC", { "-5000000000", "-1", "0", "256", "5000000000" } },
	{ "tinyint", "DESC", { "127", "1", "0", "-1", "-128" } },
	{ "text", "ASC", { "''", "'a'", "'ab'", "'b'", "'ba'" } },
	{ "text", "DESC", { "'ba'", "'b'", "'ab'", "'a'", "''" } },
	{ "blob", "ASC", { "0x", "0x00", "0x0000", "0x00ff", "0x01" } },
	{ "blob", "DESC", { "0xff", "0x01", "0x00ff", "0x00", "0x" } },
	{ "double", "ASC", { "-200", "-1", "0", "1", "200" } },
	{ "boolean", "ASC", { "false", "true" } },
	{ "inet", "ASC", { "'1.2.3.4'", "'1.2.3.5'", "'9.0.0.0'" } },
	{ "timeuuid", "ASC",
		{ "ffffffff-0000-1000-8000-000000000000", "00000000-0001-1000-8000-000000000001",
			"00000000-0000-1001-8000-000000000000" } },
	{ "uuid", "ASC",
		{ "00000000-0000-1001-8000-000000000000", "00000000-0000-4000-8000-000000000000",
			"ffffffff-0000-4000-8000-000000000000" } } };

static void rows_come_in_clustering_order(void **state)
{
	struct test_world *w = test_world(1);
	(void)state;
	test_start(w);
	test_setup_cql(w, "CREATE KEYSPACE s WITH replication = {'class': 'SimpleStrategy', "
			  "'replication_factor': 1}");
	struct test_client *c = test_client(w, "n1");
	for (size_t i = 0; i < LAB_COUNT_OF(clustering_orders); i++) {
		char cql[240];
		size_t count = 0;
		(void)snprintf(cql, sizeof(cql),
			"CREATE TABLE s.o%zu (p int, c %s, n int, PRIMARY KEY (p, c)) WITH "
			"CLUSTERING "
			"ORDER BY (c %s)",
			i, clustering_orders[i].type, clustering_orders[i].order);
		assert_int_equal(test_query(c, cql, CQL_ONE).opcode, CQL_RESULT);
		while (count < 5 && clustering_orders[i].values[count] != NULL)
			count++;
		for (size_t j = count; j > 0; j--) {
			size_t at = (j * 3) % count; /* each once, in some order */
			if (count == 3)
				at = j - 1;
			(void)snprintf(cql, sizeof(cql),
				"INSERT INTO s.o%zu (p, c, n) VALUES (1, %s, %zu)", i,
				clustering_orders[i].values[at], at);
			test_expect(c, cql, CQL_ONE, "RESULT kind=1 b''");
		}
		for (unsigned back = 0; back < 2; back++) {
			bool desc =
				(strcmp(clustering_orders[i].order, "DESC") == 0) != (back == 1);
			(void)snprintf(cql, sizeof(cql),
				"SELECT n FROM s.o%zu WHERE p = 1 ORDER BY c %s", i,
				desc ? "DESC" : "ASC");
			struct cql_response r = test_query(c, cql, CQL_ONE);
			assert_int_equal(r.rows.row_count, count);
			for (size_t j = 0; j < count; j++) {
				int64_t n;
				assert_int_equal(
					cql_value_to_i64(CQL_TYPE_INT, r.rows.cells[j], &n), 0);
				if (n != (int64_t)(back ? count - 1 - j : j))
					fail_msg("%s: %s", cql, test_text(w, &r));
			}
		}
		/* Values come back as they were, and ranges hold. */
		(void)snprintf(cql, sizeof(cql), "SELECT n FROM s.o%zu WHERE p = 1 AND c = %s", i,
			clustering_orders[i].values[1]);
		test_expect(c, cql, CQL_ONE, "[('n', '0x9')] [[1]]");
		(void)snprintf(cql, sizeof(cql), "SELECT n FROM s.o%zu WHERE p = 1 AND c %s %s", i,
			strcmp(clustering_orders[i].order, "DESC") == 0 ? ">=" : "<=",
			clustering_orders[i].values[1]);
		test_expect(c, cql, CQL_ONE, "[('n', '0x9')] [[0], [1]]");
		(void)snprintf(cql, sizeof(cql), "SELECT n FROM s.o%zu WHERE p = 1 AND c %s %s", i,
			strcmp(clustering_orders[i].order, "DESC") == 0 ? ">" : "<",
			clustering_orders[i].values[1]);
		test_expect(c, cql, CQL_ONE, "[('n', '0x9')] [[0]]");
	}
	test_disconnect(c);
	test_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			statements_of_the_object_id_schema_are_understood, set_up, tear_down),
		cmocka_unit_test_setup_teardown(constants_lose_their_quotes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(errors_are_worded_like_antlr, set_up, tear_down),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(every_type_keeps_its_value),
		cmocka_unit_test(rows_come_in_clustering_order),
	};
	return cmocka_run_group_tests_name("cql-emulator-syntax", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What only this engine does: it outlives the program, belongs to one cluster, and fails.
 */
#define TESTING_CQL_SQLITE
#include "sim/cql-emulator/testing-cql.h"
#include "sim/sqlite-file/testing-failing-disk.h"

#include <unistd.h>

#define KS \
	"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"3};"
#define KS_ALONE \
	"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"1};"
#define T \
	"CREATE TABLE k.t (p int, c int, v text, s text STATIC, m map<text,int>, PRIMARY KEY (p, " \
	"c)) WITH CLUSTERING ORDER BY (c DESC);"

static char folder[64], path[96];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/cql-sqlite-XXXXXX");
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/cql.sqlite", folder);
	testing_cql_settings = (struct cqlsqlite_settings){ .path = path, .sync = true };
	shim_register();
	return 0;
}

static int teardown(void **state)
{
	static const char *const suffixes[] = { "", "-wal", "-journal", "-shm" };
	char name[128];

	(void)state;
	(void)sqlite3_vfs_unregister(&shim.vfs);
	for (size_t i = 0; i < LAB_COUNT_OF(suffixes); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		(void)unlink(name);
	}
	return rmdir(folder);
}

static struct test_world *started(size_t nodes)
{
	struct test_world *w = test_world(nodes);

	test_start(w);
	return w;
}

static void run_sql(const char *text)
{
	sqlite3 *sql;

	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sql, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(sql), SQLITE_OK);
}

static void open_fails(enum lab_code code, const char *words)
{
	struct lab_pool *pool = lab_pool_new((size_t)1 << 26);
	struct lab_heap *heap = lab_heap_new(pool, (size_t)1 << 26);
	struct cqlsqlite *db = NULL;
	struct lab_error err;

	assert_int_equal(cqlsqlite_open(heap, &testing_cql_settings, &db, &err), -1);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.message, words));
	assert_non_null(strstr(err.message, path));
	assert_int_equal(lab_heap_used(heap), 0);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

static const char *answer(struct test_world *w, const char *cql)
{
	struct test_client *c = test_client(w, "n1");
	struct cql_response r = test_query(c, cql, CQL_QUORUM);
	const char *text = test_text(w, &r);

	test_disconnect(c);
	return text;
}

/* ---- what outlives the program ---- */

static void rows_and_deletions_are_what_they_were(void **state)
{
	static const char *const questions[] = { "SELECT p, c, v, s, m, writetime(v) FROM k.t",
		"SELECT ttl(v) FROM k.t WHERE p = 1 AND c = 5",
		"SELECT c FROM k.t WHERE p = 1 ORDER BY c ASC", "SELECT n FROM k.counters" };
	struct test_world *w = started(3);
	char *before[LAB_COUNT_OF(questions)];

	(void)state;
	test_setup_cql(w,
		KS T "CREATE TABLE k.counters (p int PRIMARY KEY, n counter);"
		     "INSERT INTO k.t (p, c, v, m) VALUES (1, 1, 'one', {'a': 1, 'b': 2}) USING "
		     "TIMESTAMP 10;"
		     "INSERT INTO k.t (p, c, v) VALUES (1, 2, 'two') USING TIMESTAMP 10;"
		     "INSERT INTO k.t (p, c, v) VALUES (1, 3, '') USING TIMESTAMP 10;"
		     "INSERT INTO k.t (p, c, v) VALUES (1, 5, 'short') USING TTL 5000;"
		     "UPDATE k.t USING TIMESTAMP 12 SET s = 'static' WHERE p = 1;"
		     "UPDATE k.t USING TIMESTAMP 13 SET m['a'] = null WHERE p = 1 AND c = 1;"
		     "DELETE FROM k.t USING TIMESTAMP 20 WHERE p = 1 AND c = 2;"
		     "DELETE FROM k.t USING TIMESTAMP 20 WHERE p = 1 AND c > 100;"
		     "DELETE FROM k.t USING TIMESTAMP 20 WHERE p = 9;"
		     "UPDATE k.counters SET n = n + 7 WHERE p = 1;");
	for (size_t i = 0; i < LAB_COUNT_OF(questions); i++)
		before[i] = strdup(answer(w, questions[i]));
	assert_non_null(strstr(before[0], "'one'"));
	assert_non_null(strstr(before[3], "[7]"));
	test_end(w);

	w = started(3);
	for (size_t i = 0; i < LAB_COUNT_OF(questions); i++) {
		assert_string_equal(answer(w, questions[i]), before[i]);
		free(before[i]);
	}
	/* Older than the deletions, each of its kind. */
	test_setup_cql(w, "INSERT INTO k.t (p, c, v) VALUES (1, 2, 'x') USING TIMESTAMP 15;"
			  "INSERT INTO k.t (p, c, v) VALUES (1, 200, 'x') USING TIMESTAMP 15;"
			  "INSERT INTO k.t (p, c, v) VALUES (9, 1, 'x') USING TIMESTAMP 15;");
	assert_string_equal(
		answer(w, "SELECT c FROM k.t WHERE p = 1"), "[('c', '0x9')] [[5], [3], [1]]");
	assert_string_equal(answer(w, "SELECT c FROM k.t WHERE p = 9"), "[('c', '0x9')] []");
	test_end(w);
}

static void the_schema_is_what_it_was(void **state)
{
	static const char ids[] = "SELECT keyspace_name, table_name, id FROM system_schema.tables "
				  "WHERE keyspace_name = 'k'";
	static const char columns[] = "SELECT column_name, type, kind FROM system_schema.columns "
				      "WHERE keyspace_name = 'k'";
	struct test_world *w = started(1);
	static const char indexes[] = "SELECT table_name, index_name, kind FROM "
				      "system_schema.indexes WHERE keyspace_name = 'k'";
	char *before[3];

	(void)state;
	test_setup_cql(w,
		"CREATE KEYSPACE gone WITH replication = {'class': 'SimpleStrategy', "
		"'replication_factor': 1}; CREATE TABLE gone.t (a int PRIMARY KEY); DROP KEYSPACE "
		"gone;" KS
		"USE k; CREATE TABLE dropped (a int PRIMARY KEY); CREATE TABLE t (a int PRIMARY "
		"KEY, b text, c text);"
		"INSERT INTO t (a, b, c) VALUES (1, 'b', 'c');"
		"ALTER TABLE t DROP b; ALTER TABLE t ADD b text; ALTER TABLE t ADD aa int;"
		"INSERT INTO t (a, aa) VALUES (1, 5);"
		"ALTER KEYSPACE k WITH replication = {'class': 'SimpleStrategy', "
		"'replication_factor': 1};"
		"DROP TABLE dropped;"
		"CREATE INDEX by_c ON t (c); CREATE INDEX gone ON t (aa); DROP INDEX gone;");
	before[0] = strdup(answer(w, ids));
	before[1] = strdup(answer(w, columns));
	before[2] = strdup(answer(w, indexes));
	assert_non_null(strstr(before[2], "'by_c'"));
	assert_null(strstr(before[2], "'gone'"));
	test_end(w);

	for (unsigned life = 0; life < 2; life++) {
		w = started(1);
		assert_string_equal(answer(w, ids), before[0]);
		assert_string_equal(answer(w, columns), before[1]);
		assert_string_equal(answer(w, indexes), before[2]);
		assert_non_null(strstr(answer(w, "SELECT a FROM k.t WHERE c = 'c'"), "[[1]]"));
		assert_string_equal(answer(w, "SELECT a, aa, b, c FROM k.t"),
			"[('a', '0x9'), ('aa', '0x9'), ('b', '0xd'), ('c', '0xd')] [[1, 5, None, "
			"'c']]");
		assert_null(strstr(before[0], "dropped"));
		/* A new one has an id of its own. */
		if (life == 1)
			test_setup_cql(w, "CREATE TABLE k.dropped (a int PRIMARY KEY);");
		test_end(w);
	}
	w = started(1);
	assert_string_equal(answer(w, "SELECT * FROM k.dropped"), "[('a', '0x9')] []");
	test_end(w);
	free(before[0]);
	free(before[1]);
	free(before[2]);
}

static void identifiers_do_not_come_again(void **state)
{
	struct test_world *w = started(1);
	const char *text;

	(void)state;
	test_setup_cql(w, KS_ALONE "CREATE TABLE k.t (a int PRIMARY KEY, u uuid);"
				   "INSERT INTO k.t (a, u) VALUES (1, uuid());");
	test_end(w);
	w = started(1);
	test_setup_cql(w, "INSERT INTO k.t (a, u) VALUES (2, uuid());");
	text = answer(w, "SELECT u FROM k.t WHERE a = 1");
	assert_non_null(strstr(text, "0x"));
	assert_string_not_equal(text, answer(w, "SELECT u FROM k.t WHERE a = 2"));
	test_end(w);
}

/* Each node has what it was sent, not what the others have. */
static void a_node_that_was_behind_is_behind_after_a_restart(void **state)
{
	struct test_world *w = test_world(3);
	struct test_client *c;

	(void)state;
	w->options.hinted_handoff = false;
	test_start(w);
	test_setup_cql(w, KS T);
	cqlemu_node_stop(w->emu, 2, w->now_ns);
	c = test_client(w, "n1");
	test_expect(
		c, "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'x')", CQL_QUORUM, "RESULT kind=1 b''");
	test_disconnect(c);
	test_end(w);

	w = started(3);
	cqlemu_node_stop(w->emu, 0, w->now_ns);
	cqlemu_node_stop(w->emu, 1, w->now_ns);
	test_sleep(w, 30 * LAB_SEC);
	c = test_client(w, "n3");
	test_expect(c, "SELECT v FROM k.t WHERE p = 1", CQL_ONE, "[('v', '0xd')] []");
	cqlemu_node_start(w->emu, 0, w->now_ns);
	cqlemu_node_start(w->emu, 1, w->now_ns);
	test_sleep(w, 30 * LAB_SEC);
	test_expect(c, "SELECT v FROM k.t WHERE p = 1", CQL_ALL, "[('v', '0xd')] [['x']]");
	test_expect(c, "SELECT v FROM k.t WHERE p = 1", CQL_ONE, "[('v', '0xd')] [['x']]");
	test_disconnect(c);
	test_end(w);
}

static void counts_are_kept_and_dropped_tables_leave_nothing(void **state)
{
	struct test_world *w = started(3);
	struct cqlemu_counters counters;

	(void)state;
	test_setup_cql(w, KS T "INSERT INTO k.t (p, c) VALUES (1, 1); INSERT INTO k.t (p, c) "
			       "VALUES (1, 2); INSERT INTO k.t (p, c) VALUES (2, 1);");
	test_end(w);
	w = started(3);
	cqlemu_counters(w->emu, &counters);
	assert_int_equal(counters.rows, 9);
	assert_int_equal(counters.partitions, 6);
	test_setup_cql(w, "DROP TABLE k.t");
	test_end(w);
	/* CHECKs that nothing is left, or the insertion fails. */
	run_sql("CREATE TABLE proof (n INTEGER CHECK (n = 0)); INSERT INTO proof SELECT count(*) "
		"FROM rows; INSERT INTO proof SELECT count(*) FROM partitions; INSERT INTO proof "
		"SELECT count(*) FROM stores; INSERT INTO proof SELECT count(*) - 1 FROM "
		"statements; DROP TABLE proof");
}

/* ---- whose it is ---- */

static void another_clusters_data_are_refused(void **state)
{
	struct test_world *w = started(3);
	struct lab_error err;

	(void)state;
	test_end(w);
	w = test_world(2);
	assert_int_equal(cqlsqlite_open(w->heap, &testing_cql_settings, &w->engine, &err), 0);
	w->options.engine_ops = &cqlsqlite_ops;
	w->options.engine = w->engine;
	assert_int_equal(cqlemu_new(&w->options, &w->emu, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	assert_non_null(strstr(err.message, "these are another cluster's data"));
	assert_non_null(strstr(err.message, path));
	test_end(w);
}

static void another_version_is_refused(void **state)
{
	(void)state;
	test_end(started(1));
	run_sql("PRAGMA user_version = 2");
	open_fails(LAB_UNSUPPORTED, "newer oboxlab (schema 2, this one knows 1)");
	run_sql("PRAGMA user_version = 0");
	open_fails(LAB_UNSUPPORTED, "older oboxlab (schema 0, this one knows 1)");
	run_sql("PRAGMA application_id = 1868724300");
	open_fails(LAB_INVALID, "another program's database");
}

static void a_file_belongs_to_one_program(void **state)
{
	struct test_world *w = started(1);

	(void)state;
	open_fails(LAB_EXISTS, "in use by another program");
	test_end(w);
}

static void a_schema_that_makes_no_sense_is_refused(void **state)
{
	struct test_world *w = started(1);
	struct lab_error err;

	(void)state;
	test_setup_cql(w, KS);
	test_end(w);
	run_sql("UPDATE statements SET text = CAST('CREATE NONSENSE' AS BLOB)");
	w = test_world(1);
	assert_int_equal(cqlsqlite_open(w->heap, &testing_cql_settings, &w->engine, &err), 0);
	w->options.engine_ops = &cqlsqlite_ops;
	w->options.engine = w->engine;
	assert_int_equal(cqlemu_new(&w->options, &w->emu, &err), -1);
	assert_non_null(strstr(err.message, "the schema that was kept cannot be made again"));
	test_end(w);
}

/* ---- disks that fail ---- */

static void with_failing_disk(void)
{
	assert_int_equal(sqlite3_vfs_register(&shim.vfs, 1), SQLITE_OK);
}

static struct test_client *write_once(struct test_world *w, int value)
{
	struct test_client *c = test_client(w, "n1");
	struct cql_request request = test_query_request(
		lab_arena_printf(w->arena, "INSERT INTO k.t (p, c, v) VALUES (1, 1, '%d')", value),
		CQL_QUORUM);

	test_request(c, &request);
	return c;
}

static void start_nodes(struct test_world *w)
{
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(cqlemu_node_state(w->emu, i), CQLEMU_NODE_DOWN);
		cqlemu_node_start(w->emu, i, w->now_ns);
	}
	test_sleep(w, LAB_SEC);
}

/* Each operation of the disk that a write needs fails once: nobody is answered, all nodes are down,
 * and after it the file has all of the write before. */
static void every_failing_write_takes_the_nodes_down(void **state)
{
	struct test_world *w;
	unsigned failures = 0;
	int n;

	(void)state;
	with_failing_disk();
	w = started(3);
	test_setup_cql(w, KS T);
	for (n = 0; n < 200; n++) {
		struct test_client *c = write_once(w, 2 * n);
		struct cql_response r;

		assert_true(test_take(c, &r, NULL));
		test_disconnect(c);
		shim.failed = 0;
		shim.countdown = n;
		c = write_once(w, 2 * n + 1);
		shim.countdown = -1;
		if (shim.failed == 0) {
			test_disconnect(c);
			break;
		}
		failures++;
		assert_true(c->reset);
		assert_int_equal(c->in.len, 0);
		test_disconnect(c);
		start_nodes(w);
		assert_string_equal(answer(w, "SELECT v FROM k.t"),
			lab_arena_printf(w->arena, "[('v', '0xd')] [['%d']]", 2 * n));
	}
	assert_true(failures >= 2);
	assert_true(n < 200);
	test_end(w);
	w = started(3);
	assert_string_equal(answer(w, "SELECT v FROM k.t"),
		lab_arena_printf(w->arena, "[('v', '0xd')] [['%d']]", 2 * n + 1));
	test_end(w);
}

static void a_row_that_makes_no_sense_is_never_answered(void **state)
{
	struct test_world *w = started(3);
	struct test_client *c;
	struct cql_request request;
	struct cqlsqlite_stats stats;

	(void)state;
	test_setup_cql(w, KS T "INSERT INTO k.t (p, c, v) VALUES (1, 1, 'x')");
	test_end(w);
	run_sql("UPDATE rows SET data = CAST('nonsense' AS BLOB)");
	w = started(3);
	c = test_client(w, "n1");
	request = test_query_request("SELECT v FROM k.t WHERE p = 1", CQL_QUORUM);
	test_request(c, &request);
	assert_true(c->reset);
	assert_int_equal(c->in.len, 0);
	cqlsqlite_stats(w->engine, &stats);
	assert_int_equal(stats.failures, 1);
	assert_string_equal(stats.last_failure, "the database is damaged");
	test_disconnect(c);
	start_nodes(w);
	test_end(w);
}

static void a_full_file_keeps_what_it_has(void **state)
{
	struct test_world *w;
	struct test_client *c;
	char *big = calloc(1, 60001);
	unsigned n;

	(void)state;
	memset(big, 'x', 60000);
	testing_cql_settings.bytes_max = 1 << 20;
	w = started(1);
	test_setup_cql(w, KS_ALONE T);
	c = test_client(w, "n1");
	for (n = 0; n < 100; n++) {
		struct cql_request request = test_query_request(
			lab_arena_printf(
				w->arena, "INSERT INTO k.t (p, c, v) VALUES (1, %u, '%s')", n, big),
			CQL_ONE);
		struct cql_response r;

		test_request(c, &request);
		if (c->reset)
			break;
		assert_true(test_take(c, &r, NULL));
	}
	test_disconnect(c);
	assert_in_range(n, 5, 20);
	cqlemu_node_start(w->emu, 0, w->now_ns);
	assert_string_equal(answer(w, "SELECT count(*) FROM k.t WHERE p = 1"),
		lab_arena_printf(w->arena, "[('count', '0x2')] [[%u]]", n));
	test_end(w);
	free(big);
}

/* Many answers in one call: they leave in parts, each behind a commit, and in order. */
static void many_answers_of_one_call_all_come(void **state)
{
	struct test_world *w = started(3);
	struct test_client *c;
	struct cqlsqlite_stats before, after;
	struct lab_buf out;
	char *big = calloc(1, 20001);
	int16_t stream;
	struct cql_response r;

	(void)state;
	memset(big, 'x', 20000);
	test_setup_cql(w, KS T);
	test_setup_cql(w,
		lab_arena_printf(w->arena, "INSERT INTO k.t (p, c, v) VALUES (1, 1, '%s')", big));
	c = test_client(w, "n1");
	lab_buf_init(&out, w->heap, (size_t)1 << 20);
	for (int16_t i = 0; i < 200; i++) {
		struct cql_request request = test_query_request(
			i % 2 == 0 ? "SELECT v FROM k.t" : "UPDATE k.t SET s = 'y' WHERE p = 1",
			CQL_QUORUM);

		cql_request_encode(&out, c->version, i, &request);
	}
	cqlsqlite_stats(w->engine, &before);
	test_send(c, lab_buf_view(&out));
	cqlsqlite_stats(w->engine, &after);
	assert_in_range(after.commits - before.commits, 2, 5);
	for (int16_t i = 0; i < 200; i++) {
		assert_true(test_take(c, &r, &stream));
		assert_int_equal(stream, i);
		assert_int_equal(r.opcode, CQL_RESULT);
	}
	assert_false(test_take(c, &r, &stream));
	lab_buf_done(&out);
	test_disconnect(c);
	test_end(w);
	free(big);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		test(rows_and_deletions_are_what_they_were),
		test(the_schema_is_what_it_was),
		test(identifiers_do_not_come_again),
		test(a_node_that_was_behind_is_behind_after_a_restart),
		test(counts_are_kept_and_dropped_tables_leave_nothing),
		test(another_clusters_data_are_refused),
		test(another_version_is_refused),
		test(a_file_belongs_to_one_program),
		test(a_schema_that_makes_no_sense_is_refused),
		test(every_failing_write_takes_the_nodes_down),
		test(a_row_that_makes_no_sense_is_never_answered),
		test(a_full_file_keeps_what_it_has),
		test(many_answers_of_one_call_all_come),
	};
	return cmocka_run_group_tests_name("cql-sqlite", tests, NULL, NULL);
}

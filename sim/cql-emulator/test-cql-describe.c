/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-describe.c - DESCRIBE beyond golden/describe.txt: pages, internals, who has which range.
 */
#include "sim/cql-emulator/testing-cql.h"

#define SCHEMA \
	"CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', " \
	"'replication_factor': 2}; CREATE TABLE ks.a (p int PRIMARY KEY, v text, w int); " \
	"CREATE TABLE ks.b (p int PRIMARY KEY); CREATE TABLE ks.c (p int PRIMARY KEY);"

static struct test_world *world(size_t nodes)
{
	struct test_world *w = test_world(nodes);
	test_start(w);
	test_setup_cql(w, SCHEMA);
	return w;
}

static struct cql_request page(const char *cql, int32_t size, struct lab_view state)
{
	struct cql_request request = test_query_request(cql, CQL_ONE);
	request.params.flags = CQL_PARAM_PAGE_SIZE;
	request.params.page_size = size;
	if (state.ptr != NULL) {
		request.params.flags |= CQL_PARAM_PAGING_STATE;
		request.params.paging_state = state;
	}
	return request;
}

static void pages_go_on_where_the_last_one_ended(void **state)
{
	struct test_world *w = world(1);
	struct test_client *c = test_client(w, "n1");
	struct lab_view at = { NULL, 0 };
	const char *names[] = { "ks", "a", "b", "c" };
	size_t seen = 0;
	(void)state;
	do {
		struct cql_request request = page("DESCRIBE KEYSPACE ks", 3, at);
		struct cql_response r = test_ask(c, &request);
		assert_int_equal(r.kind, CQL_RESULT_ROWS);
		assert_int_equal(r.rows.row_count, seen == 0 ? 3 : 1);
		for (size_t i = 0; i < r.rows.row_count; i++)
			assert_true(lab_view_eq_cstr(r.rows.cells[4 * i + 2], names[seen++]));
		at = r.rows.metadata.paging_state;
	} while (at.ptr != NULL);
	assert_int_equal(seen, 4);
	test_disconnect(c);
	test_end(w);
}

/* 4.0.14: 22 0001 0006"4.0.14" <schema> <rows> 00 f07fffffff f07fffffff */
static void the_state_of_a_page_is_that_of_cassandra(void **state)
{
	struct test_world *w = world(1);
	struct test_client *c = test_client(w, "n1");
	struct cql_request request = page("DESCRIBE KEYSPACES", 2, lab_view_of(NULL, 0));
	(void)state;
	struct lab_view at = test_ask(c, &request).rows.metadata.paging_state;
	assert_int_equal(at.len, 46);
	assert_memory_equal(at.ptr, "\x22\0\1\0\6\x34.0.14", 11);
	assert_memory_equal(
		at.ptr + 27, "\0\0\0\0\0\0\0\2\0\xf0\x7f\xff\xff\xff\xf0\x7f\xff\xff\xff", 19);
	test_setup_cql(w, "CREATE TABLE ks.d (p int PRIMARY KEY)");
	request = page("DESCRIBE KEYSPACES", 2, at);
	struct cql_response r = test_ask(c, &request);
	assert_int_equal(r.error.code, CQL_E_INVALID);
	assert_true(lab_view_starts_with(
		r.error.message, LAB_VIEW("The schema has changed since the previous page")));
	request = page("DESCRIBE KEYSPACES", 2, LAB_VIEW("nonsense"));
	assert_int_equal(test_ask(c, &request).error.code, CQL_E_PROTOCOL);
	test_disconnect(c);
	test_end(w);
}

static struct lab_view text_of(struct test_client *c, const char *cql)
{
	struct cql_response r = test_query(c, cql, CQL_ONE);
	assert_int_equal(r.kind, CQL_RESULT_ROWS);
	assert_true(r.rows.row_count > 0);
	return r.rows.cells[3];
}

static bool has(struct lab_view text, const char *part)
{
	return lab_view_find(text, lab_view_cstr(part)) != SIZE_MAX;
}

static void internals_are_ids_and_dropped_columns(void **state)
{
	struct test_world *w = world(1);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	test_setup_cql(w, "ALTER TABLE ks.a DROP w; ALTER TABLE ks.a DROP v;"
			  "ALTER TABLE ks.a ADD v int; ALTER TABLE ks.a DROP v;"
			  "ALTER TABLE ks.a ADD v int");
	struct lab_view text = text_of(c, "DESCRIBE TABLE ks.a WITH INTERNALS");
	assert_true(has(text, ") WITH ID = "));
	assert_true(has(text, ",\n    w int\n)"));
	assert_true(has(text, ";\nALTER TABLE ks.a DROP v USING TIMESTAMP 1700000000000000;\n"
			      "ALTER TABLE ks.a ADD v int;\nALTER TABLE ks.a DROP w USING "));
	assert_false(has(text_of(c, "DESCRIBE TABLE ks.a"), "DROP"));
	test_expect(c,
		"SELECT column_name, kind, type FROM system_schema.dropped_columns WHERE "
		"keyspace_name = 'ks'",
		CQL_ONE,
		"[('column_name', '0xd'), ('kind', '0xd'), ('type', '0xd')] [['v', 'regular', "
		"'int'], ['w', 'regular', 'int']]");
	test_disconnect(c);
	test_end(w);
}

static void a_keyspace_in_use_shows_who_has_its_ranges(void **state)
{
	struct test_world *w = world(3);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	struct cql_response r = test_query(c, "DESCRIBE CLUSTER", CQL_ONE);
	assert_int_equal(r.rows.metadata.column_count, 3);
	(void)test_query(c, "USE ks", CQL_ONE);
	r = test_query(c, "DESC CLUSTER", CQL_ONE);
	assert_int_equal(r.rows.metadata.column_count, 4);
	struct lab_view map = r.rows.cells[3];
	assert_int_equal(map.ptr[3], 12); /* tokens */
	size_t at = 0, found = 0;
	while ((at = lab_view_find(map, LAB_VIEW("/127.0.0."))) != SIZE_MAX) {
		map = lab_view_skip(map, at + 1);
		found++;
	}
	assert_int_equal(found, 24); /* two replicas of each */
	test_disconnect(c);
	test_end(w);
}

/* What DESCRIBE says makes the same table again. */
static void descriptions_are_statements(void **state)
{
	struct test_world *w = world(1), *other = test_world(1);
	struct test_client *c = test_client(w, "n1");
	(void)state;
	test_start(other);
	test_setup_cql(w,
		"CREATE TABLE ks.x (\"P\" int, c text, s int static, m map<text, "
		"frozen<list<int>>>, PRIMARY KEY (\"P\", c)) WITH CLUSTERING ORDER BY (c DESC) AND "
		"comment = 'it''s' AND compression = {'enabled': 'false'} AND gc_grace_seconds = "
		"5");
	struct cql_response r = test_query(c, "DESCRIBE KEYSPACE ks", CQL_ONE);
	assert_int_equal(r.rows.row_count, 5);
	for (size_t i = 0; i < r.rows.row_count; i++)
		test_setup_cql(other, lab_arena_cstr(w->arena, r.rows.cells[4 * i + 3]));
	struct test_client *d = test_client(other, "n1");
	struct lab_view text = text_of(c, "DESCRIBE TABLE ks.x");
	assert_true(lab_view_eq(text, text_of(d, "DESCRIBE TABLE ks.x")));
	assert_true(has(text, "CLUSTERING ORDER BY (c DESC)"));
	test_disconnect(d);
	test_disconnect(c);
	test_end(other);
	test_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(pages_go_on_where_the_last_one_ended),
		cmocka_unit_test(the_state_of_a_page_is_that_of_cassandra),
		cmocka_unit_test(internals_are_ids_and_dropped_columns),
		cmocka_unit_test(a_keyspace_in_use_shows_who_has_its_ranges),
		cmocka_unit_test(descriptions_are_statements) };
	return cmocka_run_group_tests_name("cql-emulator-describe", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-profiles.c - each server of the table: what it says of itself, and what it refuses.
 */
#include "sim/cql-emulator/testing-cql.h"

#define SCHEMA \
	"CREATE KEYSPACE z WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"1};" \
	"CREATE TABLE z.t (p text, c text, v text, PRIMARY KEY (p, c));"
#define VOID "RESULT kind=1 b''"

static struct test_world *server(const char *name)
{
	struct test_world *w = test_world(1);
	const struct cqlemu_profile *profile = cqlemu_profile_find(lab_view_cstr(name));
	assert_non_null(profile);
	cqlemu_options_profile(&w->options, profile);
	test_start(w);
	test_setup_cql(w, SCHEMA);
	return w;
}

static void every_name_is_found_and_others_are_refused(void **state)
{
	const struct cqlemu_profile *profile;
	struct lab_error err;
	const char *name;
	size_t count = 0;
	(void)state;
	while ((name = cqlemu_profile_name(count)) != NULL) {
		assert_int_equal(cqlemu_profile_parse(lab_view_cstr(name), &profile, &err), 0);
		assert_ptr_equal(profile, cqlemu_profile_find(lab_view_cstr(name)));
		count++;
	}
	assert_int_equal(count, 7);
	assert_int_equal(cqlemu_profile_parse(LAB_VIEW("cassandra-2.1"), &profile, &err), -1);
	assert_string_equal(err.message,
		"\"cassandra-2.1\" is no kind of server; known are cassandra-3.11, cassandra-4.0, "
		"cassandra-4.1, cassandra-5.0, keyspaces, scylla, astra");
}

/* What system.local says, and how version 0x42 is refused. */
static void each_says_what_it_is(void **state)
{
	static const struct {
		const char *name, *row, *refusal;
		bool v5, peers_v2;
	} cases[] = {
		{ "cassandra-3.11", "['3.11.17', '3.4.4', '4']",
			" (66); supported versions are (3/v3, 4/v4)", false, false },
		{ "cassandra-4.0", "['4.0.14', '3.4.5', '5']",
			" (66); supported versions are (3/v3, 4/v4, 5/v5, 6/v6-beta)", true, true },
		{ "cassandra-4.1", "['4.1.7', '3.4.6', '5']",
			" (66); supported versions are (3/v3, 4/v4, 5/v5, 6/v6-beta)", true, true },
		{ "cassandra-5.0", "['5.0.1', '3.4.7', '5']",
			" (66); supported versions are (3/v3, 4/v4, 5/v5, 6/v6-beta)", true, true },
		{ "keyspaces", "['3.11.2', '3.4.4', '4']",
			" (66); the lowest supported version is 3 and the greatest is 4", false,
			false },
		{ "scylla", "['3.0.8', '3.3.1', '4']", ": 66", false, false },
		{ "astra", "['4.0.0.6816', '3.4.5', '4']",
			" (66); supported versions are (3/v3, 4/v4)", false, true },
	};
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct test_world *w = server(cases[i].name);
		struct test_client *c = test_connect(w, "n1");
		test_send(c, LAB_VIEW("\x42\0\0\1\5\0\0\0\0"));
		assert_true(
			lab_view_ends_with(lab_buf_view(&c->in), lab_view_cstr(cases[i].refusal)));
		test_disconnect(c);
		c = test_connect(w, "n1");
		test_send(c, LAB_VIEW("\x05\0\0\1\5\0\0\0\0"));
		assert_int_equal(c->in.data[4], cases[i].v5 ? CQL_SUPPORTED : CQL_ERROR);
		test_disconnect(c);
		c = test_client(w, "n1");
		struct cql_response r = test_query(c,
			"SELECT release_version, cql_version, native_protocol_version FROM "
			"system.local",
			CQL_ONE);
		assert_non_null(strstr(test_text(w, &r), cases[i].row));
		r = test_query(c, "SELECT peer FROM system.peers_v2", CQL_ONE);
		assert_int_equal(r.opcode, cases[i].peers_v2 ? CQL_RESULT : CQL_ERROR);
		r = test_query(c, "SELECT * FROM system_virtual_schema.tables", CQL_ONE);
		assert_int_equal(r.opcode, cases[i].peers_v2 ? CQL_RESULT : CQL_ERROR);
		test_disconnect(c);
		test_end(w);
	}
}

static void missing_tables_are_worded_by_generation(void **state)
{
	static const char *const old[] = { "cassandra-3.11", "keyspaces", "scylla" };
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(old); i++) {
		struct test_world *w = server(old[i]);
		struct test_client *c = test_client(w, "n1");
		test_expect(
			c, "SELECT * FROM z.nope", CQL_ONE, "ERROR 0x2200 unconfigured table nope");
		test_disconnect(c);
		test_end(w);
	}
}

static void only_scylla_advertises_its_shards(void **state)
{
	const char *name;
	(void)state;
	for (size_t i = 0; (name = cqlemu_profile_name(i)) != NULL; i++) {
		struct test_world *w = server(name);
		struct test_client *c = test_client(w, "n1");
		struct cql_request options = { .opcode = CQL_OPTIONS };
		struct cql_response r = test_ask(c, &options);
		size_t found = 0;
		for (size_t k = 0; k < r.supported.count; k++)
			found += lab_view_starts_with(r.supported.keys[k], LAB_VIEW("SCYLLA_"));
		assert_int_equal(found, strcmp(name, "scylla") == 0 ? 7 : 0);
		assert_int_equal(
			r.supported.values[1].count, strcmp(name, "keyspaces") == 0 ? 0 : 2);
		test_disconnect(c);
		test_end(w);
	}
}

static void levels_are_refused_in_each_ones_words(void **state)
{
	static const struct {
		const char *name, *cql;
		enum cql_consistency level;
		const char *text;
	} cases[] = {
		{ "keyspaces", "INSERT INTO z.t (p, c) VALUES ('a', 'b')", CQL_QUORUM,
			"ERROR 0x2200 Consistency level QUORUM is not supported for this "
			"operation. Supported consistency levels are: LOCAL_QUORUM" },
		{ "keyspaces", "SELECT v FROM z.t WHERE p = 'a'", CQL_ALL,
			"ERROR 0x2200 Consistency level ALL is not supported for this operation. "
			"Supported consistency levels are: ONE, LOCAL_QUORUM, LOCAL_ONE" },
		{ "keyspaces", "SELECT v FROM z.t WHERE p = 'a'", CQL_LOCAL_ONE,
			"[('v', '0xd')] []" },
		{ "keyspaces", "INSERT INTO z.t (p, c) VALUES ('a', 'b')", CQL_LOCAL_QUORUM, VOID },
		{ "scylla", "SELECT v FROM z.t WHERE p = 'a'", CQL_EACH_QUORUM,
			"ERROR 0x2200 EACH_QUORUM ConsistencyLevel is only supported for writes" },
		{ "scylla", "INSERT INTO z.t (p, c) VALUES ('a', 'b')", CQL_LOCAL_QUORUM, VOID },
		{ "astra", "INSERT INTO z.t (p, c) VALUES ('a', 'b')", CQL_ONE,
			"ERROR 0x2200 Provided values [ONE] are not allowed for write consistency "
			"levels (disallowed values are: [ANY, ONE, LOCAL_ONE])" },
		{ "astra", "BEGIN BATCH INSERT INTO z.t (p, c) VALUES ('a', 'b'); APPLY BATCH",
			CQL_LOCAL_ONE,
			"ERROR 0x2200 Provided values [LOCAL_ONE] are not allowed for write "
			"consistency levels (disallowed values are: [ANY, ONE, LOCAL_ONE])" },
		{ "astra", "SELECT v FROM z.t WHERE p = 'a'", CQL_ONE, "[('v', '0xd')] []" },
		{ "cassandra-5.0", "SELECT v FROM z.t WHERE p = 'a'", CQL_EACH_QUORUM,
			"[('v', '0xd')] []" },
	};
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct test_world *w = server(cases[i].name);
		struct test_client *c = test_client(w, "n1");
		test_expect(c, cases[i].cql, cases[i].level, cases[i].text);
		test_disconnect(c);
		test_end(w);
	}
}

static const char *batch(struct test_client *c, enum cql_batch_type type, size_t count)
{
	struct cql_batch_item items[101];
	struct cql_request request = { .opcode = CQL_BATCH,
		.params = { .consistency = CQL_LOCAL_QUORUM },
		.batch_type = type,
		.batch = items,
		.batch_count = count };
	for (size_t i = 0; i < count; i++)
		items[i] = (struct cql_batch_item){
			.query = LAB_VIEW("INSERT INTO z.t (p, c) VALUES ('a', 'b')")
		};
	struct cql_response r = test_ask(c, &request);
	return test_text(c->world, &r);
}

static void keyspaces_has_smaller_limits(void **state)
{
	struct test_world *w = server("keyspaces");
	struct test_client *c = test_client(w, "n1");
	char *key = lab_arena_alloc(w->arena, 2050);
	(void)state;
	assert_string_equal(batch(c, CQL_BATCH_LOGGED, 100), VOID);
	assert_string_equal(batch(c, CQL_BATCH_LOGGED, 101),
		"ERROR 0x2200 LOGGED BATCH queries cannot contain more than 100 statements");
	assert_string_equal(batch(c, CQL_BATCH_UNLOGGED, 30), VOID);
	assert_string_equal(batch(c, CQL_BATCH_UNLOGGED, 31),
		"ERROR 0x2200 UNLOGGED BATCH queries cannot contain more than 30 statements");
	memset(key, 'k', 2049);
	key[2049] = '\0';
	test_expect(c, lab_arena_printf(w->arena, "INSERT INTO z.t (p, c) VALUES ('%s', 'c')", key),
		CQL_LOCAL_QUORUM,
		"ERROR 0x2200 Partition key size 2049 exceeds the maximum of 2048 bytes");
	key[2048] = '\0';
	test_expect(c, lab_arena_printf(w->arena, "INSERT INTO z.t (p, c) VALUES ('%s', 'c')", key),
		CQL_LOCAL_QUORUM, VOID);
	key[851] = '\0';
	test_expect(c, lab_arena_printf(w->arena, "INSERT INTO z.t (p, c) VALUES ('p', '%s')", key),
		CQL_LOCAL_QUORUM,
		"ERROR 0x2200 Clustering key size 851 exceeds the maximum of 850 bytes");
	test_disconnect(c);
	test_end(w);
}

static void keyspaces_keeps_its_own_time(void **state)
{
	struct test_world *w = server("keyspaces");
	struct test_client *c = test_client(w, "n1");
	struct cql_request early = test_query_request(
		"INSERT INTO z.t (p, c, v) VALUES ('a', 'b', 'early')", CQL_LOCAL_QUORUM);
	(void)state;
	test_expect(c, "TRUNCATE z.t", CQL_LOCAL_QUORUM, "ERROR 0x2200 TRUNCATE is not supported");
	test_expect(c, "INSERT INTO z.t (p, c) VALUES ('a', 'b') USING TIMESTAMP 5",
		CQL_LOCAL_QUORUM,
		"ERROR 0x2200 Client-side timestamps are not enabled for this table");
	test_expect(c, "SELECT writetime(v) FROM z.t WHERE p = 'a'", CQL_LOCAL_QUORUM,
		"ERROR 0x2200 Client-side timestamps are not enabled for this table");
	/* The driver's are there, but mean nothing. */
	test_expect(
		c, "INSERT INTO z.t (p, c, v) VALUES ('a', 'b', 'first')", CQL_LOCAL_QUORUM, VOID);
	early.params.flags = CQL_PARAM_TIMESTAMP;
	early.params.timestamp_us = 1;
	assert_int_equal(test_ask(c, &early).opcode, CQL_RESULT);
	test_expect(c, "SELECT v FROM z.t WHERE p = 'a'", CQL_LOCAL_QUORUM,
		"[('v', '0xd')] [['early']]");
	test_disconnect(c);
	test_end(w);
}

static void keyspaces_answers_so_many_requests_a_second(void **state)
{
	struct test_world *w = server("keyspaces");
	struct test_client *c = test_client(w, "n1");
	const char *insert = "INSERT INTO z.t (p, c) VALUES ('a', 'b')";
	const char *select = "SELECT c FROM z.t WHERE p = 'a'";
	(void)state;
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(test_query(c, insert, CQL_LOCAL_QUORUM).opcode, CQL_RESULT);
	struct cql_response r = test_query(c, insert, CQL_LOCAL_QUORUM);
	assert_int_equal(r.error.code, CQL_E_WRITE_TIMEOUT);
	r = test_query(c, select, CQL_LOCAL_QUORUM);
	assert_int_equal(r.error.code, CQL_E_READ_TIMEOUT);
	struct test_client *other = test_client(w, "n1");
	assert_int_equal(test_query(other, select, CQL_LOCAL_QUORUM).opcode, CQL_RESULT);
	test_sleep(w, LAB_SEC);
	assert_int_equal(test_query(c, select, CQL_LOCAL_QUORUM).opcode, CQL_RESULT);
	test_disconnect(other);
	test_disconnect(c);
	test_end(w);
}

static void scylla_words_errors_in_its_own_way(void **state)
{
	struct test_world *w = server("scylla");
	struct test_client *c = test_client(w, "n1");
	struct cql_request execute = { .opcode = CQL_EXECUTE,
		.query = LAB_VIEW("0123456789abcdef"),
		.params = { .consistency = CQL_ONE } };
	(void)state;
	test_expect(c, "SELECT v FROM z.t WHERE p = 'a'", CQL_TWO,
		"ERROR 0x1000 Cannot achieve consistency level for cl TWO. Requires 2, alive 1");
	w->fault = (struct sim_fault){ .kind = SIM_FAULT_FAIL };
	w->fault_point = "cql.write";
	test_expect(c, "INSERT INTO z.t (p, c) VALUES ('a', 'b')", CQL_ONE,
		"ERROR 0x1100 Operation timed out for z.t - received only 0 responses from 1 "
		"CL=ONE.");
	assert_null(w->fault_point); /* it was asked for */
	w->fault = (struct sim_fault){ .kind = SIM_FAULT_FAIL, .status = CQL_E_READ_FAILURE };
	w->fault_point = "cql.read";
	test_expect(c, "SELECT v FROM z.t WHERE p = 'a'", CQL_ONE,
		"ERROR 0x1300 Operation failed for z.t - received 0 responses and 1 failures from "
		"1 CL=ONE.");
	struct cql_response r = test_ask(c, &execute);
	assert_string_equal(test_text(w, &r),
		"ERROR 0x2500 No prepared statement with ID 30313233343536373839616263646566 "
		"found.");
	test_disconnect(c);
	test_end(w);
}

static void limits_go_with_the_profile(void **state)
{
	struct cqlemu_options scylla, five;
	(void)state;
	cqlemu_options_init(&scylla);
	cqlemu_options_init(&five);
	assert_int_equal(five.batch_fail_bytes, 50 * 1024);
	assert_true(five.cas_contention_ns == LAB_SEC);
	cqlemu_options_profile(&scylla, cqlemu_profile_find(LAB_VIEW("scylla")));
	cqlemu_options_profile(&five, cqlemu_profile_find(LAB_VIEW("cassandra-5.0")));
	assert_int_equal(scylla.batch_warn_bytes, 128 * 1024);
	assert_int_equal(scylla.batch_fail_bytes, 1024 * 1024);
	assert_true(five.cas_contention_ns == 1800 * LAB_MSEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_is_found_and_others_are_refused),
		cmocka_unit_test(each_says_what_it_is),
		cmocka_unit_test(missing_tables_are_worded_by_generation),
		cmocka_unit_test(only_scylla_advertises_its_shards),
		cmocka_unit_test(levels_are_refused_in_each_ones_words),
		cmocka_unit_test(keyspaces_has_smaller_limits),
		cmocka_unit_test(keyspaces_keeps_its_own_time),
		cmocka_unit_test(keyspaces_answers_so_many_requests_a_second),
		cmocka_unit_test(scylla_words_errors_in_its_own_way),
		cmocka_unit_test(limits_go_with_the_profile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

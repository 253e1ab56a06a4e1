/* SPDX-License-Identifier: Apache-2.0
 *
 * Transactions of dict-sql: merged sets, batches of core 2.4, increments, rows that expire; and the
 * order of iterations.
 */
#include "core/dict/test-dict.h"

#define USAGE_MAP(field, type) TEST_MAP("quota/$user/" field, "usage", field, type, "  u = $user\n")
#define MAPS \
	USAGE_MAP("bytes", "int") \
	USAGE_MAP("count", "int") \
	TEST_MAP("hits/$user", "hits", "n", "int", "  u = $user\n") \
	"map {\n pattern = shared/login/$user/$host\n table = login\n value_field = v\n" \
	" expire_field = e\n fields {\n u = $user\n h = $host\n }\n}\n" TEST_MAP( \
		"list/$user/$name", "list", "v", "string", "  u = $user\n  n = $name\n")

#define OLD "connect = host=127.0.0.1 keyspace=mails debug_queries=yes\n" MAPS
#define NEW "cassandra_hosts = 127.0.0.1\ncassandra_keyspace = mails\n" MAPS

static const struct shape shapes[] = {
	{ "INSERT INTO usage (bytes,u) VALUES (?,?)", "lt", "" },
	{ "INSERT INTO usage (bytes,count,u) VALUES (?,?,?)", "llt", "" },
	{ "DELETE FROM usage WHERE u = ?", "t", "" },
	{ "UPDATE hits SET n=n+? WHERE u = ?", "lt", "" },
	{ "INSERT INTO login (v,e,u,h) VALUES (?,?,?,?)", "tltt", "" },
	{ "SELECT e,v FROM login WHERE u = ? AND h = ?", "tt", "lt" },
	{ "SELECT v,n FROM list WHERE u = ? ORDER BY u,n LIMIT 2", "t", "tt" },
	{ "SELECT n FROM list WHERE u = ? ORDER BY v", "t", "t" },
	{ NULL, NULL, NULL },
};

static struct test *test_new(void)
{
	return test_make(shapes, NEW);
}

static struct dict_change set_of(const char *key, const char *value)
{
	return (struct dict_change){
		.kind = DICT_CHANGE_SET, .key = lab_view_cstr(key), .value = lab_view_cstr(value)
	};
}

static struct dict_change unset_of(const char *key)
{
	return (struct dict_change){ .kind = DICT_CHANGE_UNSET, .key = lab_view_cstr(key) };
}

static int commit(struct test *t, struct dict_change a, struct dict_change b, bool non_atomic)
{
	struct dict_change changes[] = { a, b };
	struct dict_change_options options = { .non_atomic = non_atomic };
	return dict_commit(t->dict, changes, 2, &options, &t->err);
}

DICT_TEST(sets_of_one_row_are_one_insert)
{
	assert_int_equal(commit(t, set_of("shared/quota/bob/bytes", "100"),
				 set_of("shared/quota/bob/count", "3"), false),
		0);
	assert_bound(t, "INSERT INTO usage (bytes,count,u) VALUES (?,?,?)", "@100;@3;bob");
	assert_int_equal(last_seen(t)->opcode, CQL_EXECUTE);
	assert_int_equal(t->node->seen_count, 1);
}

DICT_TEST(changes_of_several_rows_are_a_batch)
{
	assert_int_equal(commit(t, set_of("shared/quota/bob/bytes", "100"),
				 set_of("shared/quota/amy/bytes", "3"), false),
		0);
	const struct seen *seen = last_seen(t);
	assert_int_equal(seen->opcode, CQL_BATCH);
	assert_int_equal(seen->batch_type, CQL_BATCH_LOGGED);
	assert_int_equal(seen->batch_count, 2);
	assert_true(lab_view_eq_cstr(seen->batch[1].values[1].bytes, "amy"));
	assert_true(seen->params.timestamp_us > 0);

	assert_int_equal(commit(t, unset_of("shared/quota/bob/bytes"),
				 unset_of("shared/quota/amy/bytes"), true),
		0);
	assert_int_equal(last_seen(t)->batch_type, CQL_BATCH_UNLOGGED);

	node_will_fail(t->node, CQL_E_WRITE_TIMEOUT, "Operation timed out");
	assert_int_equal(commit(t, set_of("shared/quota/bob/bytes", "100"),
				 set_of("shared/quota/amy/bytes", "3"), false),
		-1);
	assert_int_equal(t->err.code, LAB_UNCERTAIN);
	assert_non_null(strstr(t->err.message, "sql dict: commit failed: Query '<batch query>' "));
}

DICT_TEST(sets_and_deletes_do_not_mix)
{
	assert_int_equal(commit(t, set_of("shared/quota/bob/bytes", "1"),
				 unset_of("shared/quota/amy/bytes"), false),
		-1);
	assert_int_equal(t->err.code, LAB_INVALID);
	assert_string_equal(t->err.message,
		"sql dict: commit failed: Mixed types of queries in transaction not supported "
		"(2 -> 3)");
	assert_int_equal(
		commit(t, set_of("shared/quota/bob/bytes", "1"), unset_of("shared/nothing"), false),
		-1);
	assert_string_equal(t->err.message, "dict-sql: Invalid/unmapped key: shared/nothing");
	assert_int_equal(t->node->seen_count, 0);
}

static void before_24_there_are_no_batches_fiber(void *arg)
{
	struct test *t = arg;
	open_dict(t);
	assert_int_equal(commit(t, set_of("shared/quota/bob/bytes", "100"),
				 set_of("shared/quota/amy/bytes", "3"), false),
		-1);
	assert_string_equal(t->err.message,
		"sql dict: commit failed: Multiple changes in transaction not supported");
	assert_int_equal(t->err.code, LAB_INVALID);
	assert_int_equal(t->node->seen_count, 0);
	/* Merged sets are one statement there, too; and debug_queries reaches the client. */
	assert_int_equal(commit(t, set_of("shared/quota/bob/bytes", "100"),
				 set_of("shared/quota/bob/count", "3"), false),
		0);
	assert_true(world_logged(t->w, "Finished prepared query 'INSERT INTO usage"));
	dict_close(&t->dict);
	cql_client_close(&t->client);
}

static void before_24_there_are_no_batches(void **state)
{
	struct test *t = test_make(shapes, OLD);
	(void)state;
	assert_false(t->config->batches);
	world_run(t->w, before_24_there_are_no_batches_fiber, t);
	world_free(t->w);
}

DICT_TEST(increments_add_to_a_counter)
{
	struct dict_change_options options = { 0 };
	assert_int_equal(
		dict_atomic_inc(t->dict, LAB_VIEW("shared/hits/bob"), -5, &options, &t->err), 0);
	assert_bound(t, "UPDATE hits SET n=n+? WHERE u = ?", "@-5;bob");
	assert_int_equal(
		dict_atomic_inc(t->dict, LAB_VIEW("shared/nothing"), 1, &options, &t->err), -1);
	assert_string_equal(
		t->err.message, "sql dict atomic inc: Invalid/unmapped key: shared/nothing");

	/* Nobody knows whether it was counted. */
	node_will_fail(t->node, CQL_E_WRITE_TIMEOUT, "Operation timed out");
	assert_int_equal(
		dict_atomic_inc(t->dict, LAB_VIEW("shared/hits/bob"), 1, &options, &t->err), -1);
	assert_int_equal(t->err.code, LAB_UNCERTAIN);
}

DICT_TEST(rows_expire)
{
	struct dict_change_options options = { .expire_secs = 60 };
	assert_int_equal(dict_set(t->dict, LAB_VIEW("shared/login/bob/h1"), LAB_VIEW("now"),
				 &options, &t->err),
		0);
	assert_bound(t, "INSERT INTO login (v,e,u,h) VALUES (?,?,?,?)", "now;@1700000060;bob;h1");
	assert_int_equal(set(t, "shared/login/bob/h1", "now"), 0);
	assert_int_equal(last_seen(t)->params.values[1].kind, CQL_VALUE_NULL);

	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "@1700000060,now" });
	assert_int_equal(lookup(t, "shared/login/bob/h1"), 1);
	assert_values(&t->values, "now");
	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "NULL,now" });
	assert_int_equal(lookup(t, "shared/login/bob/h1"), 1);
	env_sleep(&t->w->env, LAB_MINUTE);
	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "@1700000060,now" });
	assert_int_equal(lookup(t, "shared/login/bob/h1"), 0);
}

DICT_TEST(iterations_can_be_ordered)
{
	struct dict_iterate_options options = { .limit = 2, .sort_by_key = true, .max_rows = 10 };
	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "v1,a;v2,b" });
	assert_int_equal(dict_iterate(t->dict, LAB_VIEW("shared/list/bob/"), &options, t->arena,
				 &t->rows, &t->row_count, &t->err),
		0);
	assert_int_equal(t->row_count, 2);
	assert_true(lab_view_eq_cstr(t->rows[1].key, "shared/list/bob/b"));
	options = (struct dict_iterate_options){
		.sort_by_value = true, .no_value = true, .max_rows = 10
	};
	node_will_fail(t->node, CQL_E_INVALID,
		"Order by is currently only supported on the clustered columns of the PRIMARY KEY, "
		"got v");
	assert_int_equal(dict_iterate(t->dict, LAB_VIEW("shared/list/bob/"), &options, t->arena,
				 &t->rows, &t->row_count, &t->err),
		-1);
	assert_non_null(strstr(t->err.message, "got v"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_of_one_row_are_one_insert),
		cmocka_unit_test(changes_of_several_rows_are_a_batch),
		cmocka_unit_test(sets_and_deletes_do_not_mix),
		cmocka_unit_test(before_24_there_are_no_batches),
		cmocka_unit_test(increments_add_to_a_counter),
		cmocka_unit_test(rows_expire),
		cmocka_unit_test(iterations_can_be_ordered),
	};
	return cmocka_run_group_tests_name("dict-changes", tests, NULL, NULL);
}

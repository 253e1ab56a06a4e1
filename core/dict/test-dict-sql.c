/* SPDX-License-Identifier: Apache-2.0
 *
 * dict-sql: every statement that obox 3.6 lists, values both ways, errors, time limits.
 */
#include "core/dict/test-dict.h"

static const struct shape shapes[] = {
	{ "SELECT i FROM user_mailbox_objects WHERE u = ? AND g = ? AND b = ? AND n = ?", "tbib",
		"b" },
	{ "SELECT i FROM user_index_objects WHERE u = ? AND n = ?", "tt", "b" },
	{ "SELECT b,writetime(b) FROM user_mailbox_buckets WHERE u = ? AND g = ?", "tb", "il" },
	{ "SELECT i,n FROM user_index_objects WHERE u = ?", "t", "bt" },
	{ "SELECT n FROM user_index_objects WHERE u = ?", "t", "t" },
	{ "SELECT i,n FROM user_mailbox_index_objects WHERE u = ? AND g = ?", "tb", "bt" },
	{ "SELECT i,n FROM user_mailbox_objects WHERE u = ? AND g = ? AND b = ?", "tbi", "bb" },
	{ "SELECT n FROM user_mailbox_objects WHERE u = ? AND g = ? AND b = ?", "tbi", "b" },
	{ "SELECT i,n FROM user_fts_objects WHERE u = ?", "t", "bt" },
	{ "SELECT m,writetime(m),h FROM user_index_diff_objects WHERE u = ?", "t", "tlt" },
	{ "SELECT m,writetime(m),h FROM user_mailbox_index_diff_objects WHERE u = ? AND g = ?",
		"tb", "tlt" },
	{ "SELECT m,g FROM user_mailbox_index_diff_objects WHERE u = ?", "t", "tb" },
	{ "SELECT g,n FROM user_mailbox_objects_reverse WHERE i = ? LIMIT 3", "b", "bb" },
	{ "SELECT u,g,n FROM user_mailbox_objects_reverse WHERE i = ?", "b", "ubb" },
	{ "INSERT INTO user_mailbox_objects (i,u,g,b,n) VALUES (?,?,?,?,?)", "btbib", "" },
	{ "INSERT INTO user_mailbox_objects_reverse (n,u,g,i) VALUES (?,?,?,?)", "btbb", "" },
	{ "INSERT INTO user_mailbox_buckets (b,u,g) VALUES (?,?,?)", "itb", "" },
	{ "INSERT INTO user_index_objects (i,u,n) VALUES (?,?,?)", "btt", "" },
	{ "INSERT INTO user_mailbox_index_objects (i,u,g,n) VALUES (?,?,?,?)", "btbt", "" },
	{ "INSERT INTO user_fts_objects (i,u,n) VALUES (?,?,?)", "btt", "" },
	{ "INSERT INTO user_index_diff_objects (m,u,h) VALUES (?,?,?)", "ttt", "" },
	{ "INSERT INTO user_mailbox_index_diff_objects (m,u,g,h) VALUES (?,?,?,?)", "ttbt", "" },
	{ "DELETE FROM user_mailbox_objects WHERE u = ? AND g = ? AND b = ? AND n = ?", "tbib",
		"" },
	{ "DELETE FROM user_mailbox_objects_reverse WHERE i = ? AND n = ?", "bb", "" },
	{ "DELETE FROM user_index_objects WHERE u = ? AND n = ?", "tt", "" },
	{ "DELETE FROM user_mailbox_index_objects WHERE u = ? AND g = ? AND n = ?", "tbt", "" },
	{ "DELETE FROM user_fts_objects WHERE u = ? AND n = ?", "tt", "" },
	{ "DELETE FROM user_index_diff_objects WHERE u = ? AND h = ?", "tt", "" },
	{ "DELETE FROM user_mailbox_index_diff_objects WHERE u = ? AND g = ? AND h = ?", "tbt",
		"" },
	{ NULL, NULL, NULL },
};

static struct test *test_new(void)
{
	return test_make(shapes, TEST_CONNECT TEST_MAPS);
}

/* ---- statements ---- */

DICT_TEST(every_listed_change_is_sent_as_listed)
{
	static const struct {
		const char *key, *value, *query, *args;
	} rows[] = {
		{ "shared/dictmap/u1/mailboxes/" GUID "/7/0102", OID,
			"INSERT INTO user_mailbox_objects (i,u,g,b,n) VALUES (?,?,?,?,?)",
			"x:" OID ";u1;x:" GUID ";#7;x:0102" },
		{ "shared/dictrevmap/u1/mailboxes/" GUID "/" OID, "0102",
			"INSERT INTO user_mailbox_objects_reverse (n,u,g,i) VALUES (?,?,?,?)",
			"x:0102;u1;x:" GUID ";x:" OID },
		{ "shared/dictmap/u1/mailboxes/" GUID "/max_bucket", "12",
			"INSERT INTO user_mailbox_buckets (b,u,g) VALUES (?,?,?)",
			"#12;u1;x:" GUID },
		{ "shared/dictmap/u1/idx/base", OID,
			"INSERT INTO user_index_objects (i,u,n) VALUES (?,?,?)",
			"x:" OID ";u1;base" },
		{ "shared/dictmap/u1/mailboxes/" GUID "/idx/base", OID,
			"INSERT INTO user_mailbox_index_objects (i,u,g,n) VALUES (?,?,?,?)",
			"x:" OID ";u1;x:" GUID ";base" },
		{ "shared/dictmap/u1/fts/f.1", OID,
			"INSERT INTO user_fts_objects (i,u,n) VALUES (?,?,?)", "x:" OID ";u1;f.1" },
		{ "shared/dictdiffmap/u1/idx/b1", "x/y",
			"INSERT INTO user_index_diff_objects (m,u,h) VALUES (?,?,?)", "x/y;u1;b1" },
		{ "shared/dictdiffmap/u1/mailboxes/" GUID "/idx/b1", "x",
			"INSERT INTO user_mailbox_index_diff_objects (m,u,g,h) VALUES (?,?,?,?)",
			"x;u1;x:" GUID ";b1" },
		{ "shared/dictmap/u1/mailboxes/" GUID "/7/0102", NULL,
			"DELETE FROM user_mailbox_objects WHERE u = ? AND g = ? AND b = ? AND n = "
			"?",
			"u1;x:" GUID ";#7;x:0102" },
		{ "shared/dictrevmap/" OID "/0102", NULL,
			"DELETE FROM user_mailbox_objects_reverse WHERE i = ? AND n = ?",
			"x:" OID ";x:0102" },
		{ "shared/dictmap/u1/idx/base", NULL,
			"DELETE FROM user_index_objects WHERE u = ? AND n = ?", "u1;base" },
		{ "shared/dictmap/u1/mailboxes/" GUID "/idx/base", NULL,
			"DELETE FROM user_mailbox_index_objects WHERE u = ? AND g = ? AND n = ?",
			"u1;x:" GUID ";base" },
		{ "shared/dictmap/u1/fts/f.1", NULL,
			"DELETE FROM user_fts_objects WHERE u = ? AND n = ?", "u1;f.1" },
		{ "shared/dictdiffmap/u1/idx/b1", NULL,
			"DELETE FROM user_index_diff_objects WHERE u = ? AND h = ?", "u1;b1" },
		{ "shared/dictdiffmap/u1/mailboxes/" GUID "/idx/b1", NULL,
			"DELETE FROM user_mailbox_index_diff_objects WHERE u = ? AND g = ? AND h = "
			"?",
			"u1;x:" GUID ";b1" },
	};
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		bool is_set = rows[i].value != NULL;
		int result = is_set ? set(t, rows[i].key, rows[i].value) : unset(t, rows[i].key);
		if (result < 0)
			fail_msg("%s: %s", rows[i].key, t->err.message);
		assert_bound(t, rows[i].query, rows[i].args);
		assert_int_equal(last_seen(t)->params.consistency,
			is_set ? CQL_EACH_QUORUM : CQL_LOCAL_QUORUM);
	}
}

DICT_TEST(every_listed_select_is_sent_as_listed)
{
	static const struct {
		const char *path;
		bool no_value;
		uint64_t limit;
		const char *query, *args, *answer, *key, *values;
	} rows[] = {
		{ "shared/dictmap/u1/idx/", false, 0,
			"SELECT i,n FROM user_index_objects WHERE u = ?", "u1", "x:ab,base",
			"shared/dictmap/u1/idx/base", "ab" },
		{ "shared/dictmap/u1/idx/", true, 0, "SELECT n FROM user_index_objects WHERE u = ?",
			"u1", "base", "shared/dictmap/u1/idx/base", NULL },
		{ "shared/dictmap/u1/mailboxes/" GUID "/idx/", false, 0,
			"SELECT i,n FROM user_mailbox_index_objects WHERE u = ? AND g = ?",
			"u1;x:" GUID, "x:ab,base", "shared/dictmap/u1/mailboxes/" GUID "/idx/base",
			"ab" },
		{ "shared/dictmap/u1/mailboxes/" GUID "/3/", false, 0,
			"SELECT i,n FROM user_mailbox_objects WHERE u = ? AND g = ? AND b = ?",
			"u1;x:" GUID ";#3", "x:" OID ",x:0102",
			"shared/dictmap/u1/mailboxes/" GUID "/3/0102", OID },
		{ "shared/dictmap/u1/mailboxes/" GUID "/3/", true, 0,
			"SELECT n FROM user_mailbox_objects WHERE u = ? AND g = ? AND b = ?",
			"u1;x:" GUID ";#3", "x:0102", "shared/dictmap/u1/mailboxes/" GUID "/3/0102",
			NULL },
		{ "shared/dictmap/u1/fts/", false, 0,
			"SELECT i,n FROM user_fts_objects WHERE u = ?", "u1", "x:ab,f",
			"shared/dictmap/u1/fts/f", "ab" },
		{ "shared/dictdiffmap/u1/idx/", false, 0,
			"SELECT m,writetime(m),h FROM user_index_diff_objects WHERE u = ?", "u1",
			"mm,@1700000000000001,b1", "shared/dictdiffmap/u1/idx/b1",
			"mm,1700000000000001" },
		{ "shared/dictdiffmap/u1/mailboxes/" GUID "/idx/", false, 0,
			"SELECT m,writetime(m),h FROM user_mailbox_index_diff_objects WHERE u = ? "
			"AND g = ?",
			"u1;x:" GUID, "mm,@5,b1", "shared/dictdiffmap/u1/mailboxes/" GUID "/idx/b1",
			"mm,5" },
		{ "shared/dictmap/u1/mailboxes/", false, 0,
			"SELECT m,g FROM user_mailbox_index_diff_objects WHERE u = ?", "u1",
			"mm,x:" GUID, "shared/dictmap/u1/mailboxes/" GUID, "mm" },
		{ "shared/dictrevmap/" OID "/", false, 3,
			"SELECT g,n FROM user_mailbox_objects_reverse WHERE i = ? LIMIT 3",
			"x:" OID, "x:" GUID ",x:0102", "shared/dictrevmap/" OID "/0102", GUID },
	};
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = rows[i].answer });
		if (iterate(t, rows[i].path, rows[i].limit, rows[i].no_value) < 0)
			fail_msg("%s: %s", rows[i].path, t->err.message);
		assert_bound(t, rows[i].query, rows[i].args);
		assert_int_equal(last_seen(t)->params.page_size, 1000);
		assert_int_equal(t->row_count, 1);
		assert_true(lab_view_eq_cstr(t->rows[0].key, rows[i].key));
		if (rows[i].no_value)
			assert_int_equal(t->rows[0].values.count, 0);
		else
			assert_values(&t->rows[0].values, rows[i].values);
	}
}

DICT_TEST(lookups_give_values_in_the_maps_text_form)
{
	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "x:" OID });
	assert_int_equal(lookup(t, "shared/dictmap/u1/mailboxes/" GUID "/0/0102"), 1);
	assert_bound(t,
		"SELECT i FROM user_mailbox_objects WHERE u = ? AND g = ? AND b = ? AND n = ?",
		"u1;x:" GUID ";#0;x:0102");
	assert_values(&t->values, OID);

	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "#3,@1700000000000000" });
	assert_int_equal(lookup(t, "shared/dictmap/u1/mailboxes/" GUID "/max_bucket"), 1);
	assert_bound(t, "SELECT b,writetime(b) FROM user_mailbox_buckets WHERE u = ? AND g = ?",
		"u1;x:" GUID);
	assert_values(&t->values, "3,1700000000000000");
	assert_true(world_logged(t->w, "dict_lookup_finished driver=sql key=shared/dictmap/u1/"));
}

DICT_TEST(nothing_and_null_are_not_found)
{
	assert_int_equal(lookup(t, "shared/dictmap/u1/idx/base"), 0);
	assert_true(world_logged(t->w, "key_not_found=yes"));
	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "NULL,NULL" });
	assert_int_equal(lookup(t, "shared/dictmap/u1/mailboxes/" GUID "/max_bucket"), 0);

	/* In other columns NULL is the empty string. */
	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "#3,NULL" });
	assert_int_equal(lookup(t, "shared/dictmap/u1/mailboxes/" GUID "/max_bucket"), 1);
	assert_values(&t->values, "3,");
	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "NULL,base" });
	assert_int_equal(iterate(t, "shared/dictmap/u1/idx/", 0, false), 0);
	assert_values(&t->rows[0].values, "");
}

DICT_TEST(the_last_map_reads_uuids_and_blobs)
{
	t->config->maps[0] = t->config->maps[10];
	dict_close(&t->dict);
	assert_int_equal(dict_sql_open(&t->w->env, t->config, t->client, &t->dict, &t->err), 0);
	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS,
				   .rows = "x:000102030405060708090a0b0c0d0e0f,x:ab,x:cd" });
	assert_int_equal(lookup(t, "shared/dictrevmap/" OID), 1);
	assert_values(&t->values, "00010203-0405-0607-0809-0a0b0c0d0e0f,ab,cd");
}

DICT_TEST(parts_are_unescaped_for_the_row_and_escaped_for_the_key)
{
	assert_int_equal(set(t, "shared/dictmap/a\\|b\\\\c/idx/n", OID), 0);
	assert_bound(
		t, "INSERT INTO user_index_objects (i,u,n) VALUES (?,?,?)", "x:" OID ";a/b\\c;n");

	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "x:ab,x/y\\z" });
	assert_int_equal(iterate(t, "shared/dictmap/a\\|b/idx/", 0, false), 0);
	assert_true(lab_view_eq_cstr(t->rows[0].key, "shared/dictmap/a\\|b/idx/x\\|y\\\\z"));

	assert_int_equal(set(t, "shared/dictmap/a\\b/idx/n", OID), -1);
	assert_int_equal(t->err.code, LAB_INVALID);
}

/* ---- keys and values that do not fit ---- */

DICT_TEST(unmapped_keys_are_refused_in_dict_sqls_words)
{
	static const struct {
		const char *operation, *key, *message;
	} rows[] = {
		{ "lookup", "shared/nope", "sql dict lookup: Invalid/unmapped key: shared/nope" },
		{ "lookup", "shared/dictmap/u1/idx/",
			"sql dict lookup: Invalid/unmapped key: shared/dictmap/u1/idx/" },
		{ "lookup", "shared/dictmap/u1/mailboxes/" GUID "/3/",
			"g field's value isn't hexblob: " GUID "/3/ (in pattern: " },
		{ "set", "shared/dictmap/u1",
			"sql dict set: Invalid/unmapped key: shared/dictmap/u1" },
		{ "unset", "priv/dictmap/u1/idx/n",
			"dict-sql: Invalid/unmapped key: priv/dictmap/u1/idx/n" },
		{ "iterate", "shared/nope/",
			"sql dict iterate failed for shared/nope/: Invalid/unmapped path" },
		{ "iterate", "shared/dictmap/",
			"sql dict iterate failed for shared/dictmap/: Invalid/unmapped path" },
		{ "iterate", "shared/dictmap/u1/idx",
			"sql dict iterate failed for shared/dictmap/u1/idx: Invalid/unmapped "
			"path" },
		{ "iterate", "shared/dictmap/u1/mailboxes/" GUID "/3/x/",
			"Key continues past the matched pattern "
			"shared/dictmap/$user/mailboxes/$mailbox_guid/$bucket/$object_name" },
		{ "set", "shared/dictmap/u1/idx/n",
			"i field's value isn't hexblob: xyz (in pattern: "
			"shared/dictmap/$user/idx/$object_name)" },
		{ "unset", "shared/dictmap/u1/mailboxes/xyz/idx/n",
			"g field's value isn't hexblob: xyz (in pattern: "
			"shared/dictmap/$user/mailboxes/$mailbox_guid/idx/$object_name)" },
		{ "lookup", "shared/dictmap/u1/mailboxes/" GUID "/-1/0102",
			"b field's value isn't 64bit unsigned integer: -1 (in pattern: " },
		{ "lookup", "shared/dictmap/u1/mailboxes/" GUID "/9223372036854775808/0102",
			"b field's value isn't 64bit unsigned integer" },
		{ "lookup", "shared/dictmap/u1/mailboxes/" GUID "/4294967296/0102",
			"Failed to bind column 2: Invalid value for type int" },
	};
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		int result = -2;
		if (strcmp(rows[i].operation, "lookup") == 0)
			result = lookup(t, rows[i].key);
		else if (strcmp(rows[i].operation, "set") == 0)
			result = set(t, rows[i].key, "xyz");
		else if (strcmp(rows[i].operation, "unset") == 0)
			result = unset(t, rows[i].key);
		else
			result = iterate(t, rows[i].key, 0, false);
		assert_int_equal(result, -1);
		if (strstr(t->err.message, rows[i].message) == NULL)
			fail_msg("row %zu: %s", i, t->err.message);
		assert_int_equal(t->err.code, LAB_INVALID);
	}
	assert_int_equal(t->node->seen_count, 0);
}

/* The documentation's warning: with maps 2 and 3 swapped, "idx" would be a bucket. */
DICT_TEST(the_first_map_that_matches_is_taken)
{
	struct dict_sql_match match;
	const char *key = "shared/dictmap/u1/mailboxes/" GUID "/idx/base";
	assert_int_equal(dict_sql_match_key(t->config, lab_view_cstr(key), &match), 1);
	assert_int_equal(match.index, 1);
	struct dict_cql_map second = t->config->maps[1];
	t->config->maps[1] = t->config->maps[2];
	t->config->maps[2] = second;
	assert_int_equal(dict_sql_match_key(t->config, lab_view_cstr(key), &match), 1);
	assert_true(lab_view_eq_cstr(match.map->table, "user_mailbox_objects"));
	assert_true(lab_view_eq_cstr(match.parts[2], "idx"));
}

DICT_TEST(the_last_variable_takes_the_rest_of_the_key)
{
	struct dict_sql_match match;
	assert_int_equal(
		dict_sql_match_key(t->config, LAB_VIEW("shared/dictmap/u1/fts/a/b/c"), &match), 1);
	assert_true(lab_view_eq_cstr(match.parts[1], "a/b/c"));
	assert_int_equal(
		dict_sql_match_key(t->config, LAB_VIEW("shared/dictmap//fts/x"), &match), 1);
	assert_int_equal(match.parts[0].len, 0);
}

/* ---- timestamps ---- */

DICT_TEST(deletes_are_stamped_ahead_without_moving_the_clock)
{
	struct dict_change_options ahead = { .timestamp_offset_us = 10000000 };
	struct dict_change_options exact = { .timestamp_us = 1234567 };
	assert_int_equal(set(t, "shared/dictmap/u1/idx/n", OID), 0);
	assert_int_equal(
		dict_unset(t->dict, LAB_VIEW("shared/dictmap/u1/idx/n"), &ahead, &t->err), 0);
	assert_int_equal(set(t, "shared/dictmap/u1/idx/n", OID), 0);
	assert_int_equal(
		dict_unset(t->dict, LAB_VIEW("shared/dictmap/u1/idx/n"), &exact, &t->err), 0);
	const struct seen *seen = t->node->seen;
	uint64_t wall = UINT64_C(1700000000000000);
	assert_in_range(seen[0].params.timestamp_us, wall, wall + 20000);
	assert_in_range(seen[1].params.timestamp_us, wall + 10000000, wall + 10020000);
	assert_in_range(seen[2].params.timestamp_us, wall, wall + 20000);
	assert_true(seen[2].params.timestamp_us > seen[0].params.timestamp_us);
	assert_true(seen[3].params.timestamp_us == 1234567);
}

/* ---- failures ---- */

DICT_TEST(failures_carry_dict_sqls_words_and_the_clients_class)
{
	node_will_fail(t->node, CQL_E_READ_TIMEOUT, "too slow");
	assert_int_equal(lookup(t, "shared/dictmap/u1/idx/n"), -1);
	assert_int_equal(t->err.code, LAB_TIMEOUT);
	assert_non_null(strstr(t->err.message, "dict sql lookup failed: Query 'SELECT i FROM"));

	node_will_fail(t->node, CQL_E_READ_FAILURE, "broken");
	assert_int_equal(iterate(t, "shared/dictmap/u1/idx/", 0, false), -1);
	assert_non_null(strstr(t->err.message, "dict sql iterate failed: "));

	node_will_fail(t->node, CQL_E_WRITE_TIMEOUT, "late");
	node_will_fail(t->node, CQL_E_WRITE_TIMEOUT, "late");
	assert_int_equal(set(t, "shared/dictmap/u1/idx/n", OID), -1);
	assert_int_equal(t->err.code, LAB_UNCERTAIN);
	assert_non_null(strstr(t->err.message, "sql dict: commit failed: "));
	assert_true(world_logged(t->w,
		"dict_transaction_finished driver=sql key=shared/dictmap/u1/idx/n "
		"write_uncertain=yes"));

	node_will_fail(t->node, CQL_E_INVALID, "no such table");
	assert_int_equal(unset(t, "shared/dictmap/u1/idx/n"), -1);
	assert_int_equal(t->err.code, LAB_INVALID);

	/* Errors are optional. */
	node_will_fail(t->node, CQL_E_INVALID, "no such table");
	assert_int_equal(dict_lookup(t->dict, LAB_VIEW("shared/dictmap/u1/idx/n"), t->arena,
				 &t->values, NULL),
		-1);
	node_will_fail(t->node, CQL_E_INVALID, "no such table");
	struct dict_change_options options = { 0 };
	assert_int_equal(
		dict_unset(t->dict, LAB_VIEW("shared/dictmap/u1/idx/n"), &options, NULL), -1);
}

DICT_TEST(after_30_seconds_the_dict_client_gives_up)
{
	assert_int_equal(set(t, "shared/dictmap/u1/idx/n", OID), 0);
	node_will(t->node, (struct answer){ .kind = ANSWER_SILENCE });
	uint64_t start = t->w->now_ns;
	assert_int_equal(set(t, "shared/dictmap/u1/idx/n", OID), -1);
	assert_true(t->w->now_ns - start == 30 * LAB_SEC);
	assert_int_equal(t->err.code, LAB_UNCERTAIN);
	assert_string_equal(t->err.message, "Dict server timeout: No input for 30.000 secs (1 "
					    "commands pending, oldest sent 30.000 "
					    "secs ago: Sshared/dictmap/u1/idx/n)");
	assert_int_equal(t->node->seen_count, 2); /* no fallback on its way out */

	node_will(t->node, (struct answer){ .kind = ANSWER_SILENCE });
	assert_int_equal(lookup(t, "shared/dictmap/u1/idx/n"), -1);
	assert_int_equal(t->err.code, LAB_TIMEOUT);
}

struct pending {
	struct test *t;
	struct lab_error errors[7];
};

static void pending_lookup(void *ctx, size_t index)
{
	struct pending *pending = ctx;
	struct dict_values values;
	assert_int_equal(dict_lookup(pending->t->dict, LAB_VIEW("shared/dictmap/u1/idx/n"),
				 pending->t->arena, &values, &pending->errors[index]),
		-1);
}

DICT_TEST(the_time_out_tells_what_else_is_pending)
{
	struct pending pending = { .t = t };
	assert_int_equal(lookup(t, "shared/dictmap/u1/idx/n"), 0);
	for (int i = 0; i < 7; i++)
		node_will(t->node, (struct answer){ .kind = ANSWER_SILENCE });
	env_for_each(&t->w->env, 7, 7, pending_lookup, &pending);
	bool found = false;
	for (int i = 0; i < 7; i++) {
		assert_int_equal(pending.errors[i].code, LAB_TIMEOUT);
		found |= strstr(pending.errors[i].message,
				 "(7 commands pending, oldest sent 30.000 secs ago: "
				 "Lshared/dictmap/u1/idx/n, L") != NULL;
	}
	assert_true(found);
}

DICT_TEST(slow_operations_are_warned_of)
{
	node_will(t->node,
		(struct answer){ .kind = ANSWER_ROWS, .rows = "x:ab", .delay_ns = 6 * LAB_SEC });
	assert_int_equal(lookup(t, "shared/dictmap/u1/idx/n"), 1);
	assert_true(world_logged(t->w, "log_message message=dict lookup took 6.00"));
}

DICT_TEST(too_many_rows_are_an_error)
{
	struct dict_iterate_options options = { .max_rows = 1 };
	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "x:ab,a;x:cd,b" });
	assert_int_equal(dict_iterate(t->dict, LAB_VIEW("shared/dictmap/u1/idx/"), &options,
				 t->arena, &t->rows, &t->row_count, &t->err),
		-1);
	assert_int_equal(t->err.code, LAB_LIMIT);
}

static void slow_lookup_fiber(void *arg)
{
	struct test *t = arg;
	(void)lookup(t, "shared/dictmap/u1/idx/n");
}

DICT_TEST(closing_waits_for_what_is_running)
{
	node_will(t->node,
		(struct answer){ .kind = ANSWER_ROWS, .rows = "x:ab", .delay_ns = LAB_SEC });
	assert_int_equal(env_spawn(&t->w->env, "lookup", slow_lookup_fiber, t, NULL), 0);
	env_sleep(&t->w->env, 100 * LAB_MSEC);
	dict_close(&t->dict);
	assert_null(t->dict);
	assert_true(t->w->now_ns >= LAB_SEC);
	assert_int_equal(t->values.count, 1);
}

/* ---- without a world ---- */

static void the_connect_string_reaches_the_client(void **state)
{
	struct test *t = test_new();
	const struct dict_cql_connect *connect = &t->config->connect;
	(void)state;
	assert_int_equal(connect->write_consistency, DICT_CQL_EACH_QUORUM);
	assert_int_equal((int)DICT_CQL_LOCAL_ONE, (int)CQL_LOCAL_ONE);
	assert_int_equal((int)DICT_CQL_EACH_QUORUM, (int)CQL_EACH_QUORUM);
	t->config->connect.num_threads = CQL_CONNECTIONS_PER_HOST_MAX + 1;
	assert_int_equal(dict_sql_connect(&t->w->env, connect, 0, &t->client, &t->err), -1);
	assert_int_equal(t->err.code, LAB_INVALID);
	world_free(t->w);
}

static void parts_survive_escaping(void **state)
{
	static const struct {
		const char *plain, *escaped;
	} rows[] = { { "", "" }, { "user@example.com", "user@example.com" }, { "a/b", "a\\|b" },
		{ "a\\b", "a\\\\b" }, { "/\\|", "\\|\\\\|" } };
	struct test *t = test_new();
	struct lab_buf out;
	(void)state;
	lab_buf_init(&out, t->w->env.heap, 1000);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		lab_buf_reset(&out);
		dict_escape(&out, lab_view_cstr(rows[i].plain));
		assert_true(lab_view_eq_cstr(lab_buf_view(&out), rows[i].escaped));
		lab_buf_reset(&out);
		assert_int_equal(dict_unescape(&out, lab_view_cstr(rows[i].escaped)), 0);
		assert_true(lab_view_eq_cstr(lab_buf_view(&out), rows[i].plain));
	}
	assert_int_equal(dict_unescape(&out, LAB_VIEW("a\\")), -1);
	assert_int_equal(dict_unescape(&out, LAB_VIEW("a\\b")), -1);
	struct dict *none = NULL;
	dict_close(&none);
	world_free(t->w);
}

static void statements_that_are_too_long_are_refused(void **state)
{
	struct test *t = test_new();
	(void)state;
	t->config->maps[3].table = lab_view_of(lab_arena_alloc(t->arena, 100000), 100000);
	assert_int_equal(dict_sql_open(&t->w->env, t->config, NULL, &t->dict, &t->err), -1);
	assert_int_equal(t->err.code, LAB_LIMIT);
	t->config->maps[3].value_count = 0;
	assert_int_equal(dict_sql_open(&t->w->env, t->config, NULL, &t->dict, &t->err), -1);
	assert_int_equal(t->err.code, LAB_INVALID);
	world_free(t->w);
}

static void typed_values_are_checked(void **state)
{
	struct test *t = test_new();
	struct cql_arg arg;
	const struct dict_cql_map *map = &t->config->maps[0];
	(void)state;
	assert_int_equal(dict_sql_arg(map, LAB_VIEW("x"), DICT_CQL_INT, LAB_VIEW("-5"), t->arena,
				 &arg, &t->err),
		0);
	assert_true(arg.kind == CQL_ARG_INT && arg.number == -5);
	assert_int_equal(dict_sql_arg(map, LAB_VIEW("x"), DICT_CQL_INT, LAB_VIEW("5x"), t->arena,
				 &arg, &t->err),
		-1);
	assert_non_null(strstr(t->err.message, "x field's value isn't 64bit signed integer: 5x"));
	assert_int_equal(dict_sql_arg(map, LAB_VIEW("x"), DICT_CQL_HEXBLOB, LAB_VIEW("abc"),
				 t->arena, &arg, &t->err),
		-1);
	assert_int_equal(dict_sql_arg(map, LAB_VIEW("x"), DICT_CQL_HEXBLOB, LAB_VIEW(""), t->arena,
				 &arg, &t->err),
		0);
	assert_int_equal(arg.bytes.len, 0);
	assert_non_null(arg.bytes.ptr);
	world_free(t->w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_listed_change_is_sent_as_listed),
		cmocka_unit_test(every_listed_select_is_sent_as_listed),
		cmocka_unit_test(lookups_give_values_in_the_maps_text_form),
		cmocka_unit_test(nothing_and_null_are_not_found),
		cmocka_unit_test(the_last_map_reads_uuids_and_blobs),
		cmocka_unit_test(parts_are_unescaped_for_the_row_and_escaped_for_the_key),
		cmocka_unit_test(unmapped_keys_are_refused_in_dict_sqls_words),
		cmocka_unit_test(the_first_map_that_matches_is_taken),
		cmocka_unit_test(the_last_variable_takes_the_rest_of_the_key),
		cmocka_unit_test(deletes_are_stamped_ahead_without_moving_the_clock),
		cmocka_unit_test(failures_carry_dict_sqls_words_and_the_clients_class),
		cmocka_unit_test(after_30_seconds_the_dict_client_gives_up),
		cmocka_unit_test(the_time_out_tells_what_else_is_pending),
		cmocka_unit_test(slow_operations_are_warned_of),
		cmocka_unit_test(too_many_rows_are_an_error),
		cmocka_unit_test(closing_waits_for_what_is_running),
		cmocka_unit_test(the_connect_string_reaches_the_client),
		cmocka_unit_test(parts_survive_escaping),
		cmocka_unit_test(statements_that_are_too_long_are_refused),
		cmocka_unit_test(typed_values_are_checked),
	};
	return cmocka_run_group_tests_name("dict-sql", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The hop to dict-async: each of its faults, with each kind of command.
 */
#include "core/dict/dict-proxy.h"
#include "core/dict/test-dict.h"

#define KEY "shared/dictmap/u1/idx/n"
#define SELECT "SELECT i FROM user_index_objects WHERE u = ? AND n = ?"
#define LIST "SELECT i,n FROM user_index_objects WHERE u = ?"
#define PUT "INSERT INTO user_index_objects (i,u,n) VALUES (?,?,?)"

static const struct shape shapes[] = {
	{ SELECT, "tt", "b" },
	{ LIST, "t", "bt" },
	{ PUT, "btt", "" },
	{ NULL, NULL, NULL },
};

static struct test *test_new(void)
{
	return test_make(shapes, TEST_CONNECT TEST_MAPS);
}

struct script {
	enum dict_hop_fault faults[4];
	size_t count, asked;
};

static enum dict_hop_fault next_fault(void *ctx, struct env *env, struct lab_view key)
{
	struct script *script = ctx;
	(void)env;
	assert_true(key.len > 0);
	size_t i = script->asked++;
	return i < script->count ? script->faults[i] : DICT_HOP_OK;
}

static void put_between(struct test *t, struct script *script)
{
	dict_proxy_open(&t->w->env, t->dict, next_fault, script, &t->dict);
	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "x:ab" });
	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "x:ab" });
}

DICT_TEST(a_lookup_is_asked_once_more)
{
	struct script script = { { DICT_HOP_LOSE_REQUEST, DICT_HOP_OK, DICT_HOP_LOSE_REPLY }, 3,
		0 };
	put_between(t, &script);
	assert_int_equal(lookup(t, KEY), 1);
	assert_int_equal(t->node->seen_count, 1);
	assert_int_equal(script.asked, 2);
	/* Done for nobody, then again. */
	assert_int_equal(lookup(t, KEY), 0);
	assert_int_equal(t->node->seen_count, 3);
	assert_int_equal(script.asked, 4);
}

DICT_TEST(a_lookup_lost_twice_fails)
{
	struct script script = { { DICT_HOP_LOSE_REQUEST, DICT_HOP_LOSE_REPLY }, 2, 0 };
	put_between(t, &script);
	assert_int_equal(lookup(t, KEY), -1);
	assert_int_equal(t->err.code, LAB_RESET);
	assert_string_equal(t->err.message, "Connection lost to dict server: L" KEY);
	assert_true(t->err.retryable);
	assert_true(world_logged(t->w, "Connection lost to dict server"));
}

DICT_TEST(an_iteration_is_asked_once_more)
{
	struct script script = { { DICT_HOP_LOSE_REQUEST }, 1, 0 };
	dict_proxy_open(&t->w->env, t->dict, next_fault, &script, &t->dict);
	node_will(t->node, (struct answer){ .kind = ANSWER_ROWS, .rows = "x:ab,n1;x:cd,n2" });
	assert_int_equal(iterate(t, "shared/dictmap/u1/idx/", 0, false), 0);
	assert_int_equal(t->row_count, 2);
	assert_int_equal(script.asked, 2);
}

DICT_TEST(a_change_is_never_repeated_and_always_uncertain)
{
	static const struct {
		enum dict_hop_fault fault;
		const char *message;
		bool applied;
	} rows[] = {
		{ DICT_HOP_LOSE_REQUEST, "Connection lost to dict server: S" KEY, false },
		{ DICT_HOP_LOSE_REPLY, "Connection lost to dict server: S" KEY, true },
		{ DICT_HOP_STALL, "Dict server timeout: No input for 30.000 secs", false },
		{ DICT_HOP_STALL_REPLY, "Dict server timeout: No input for 30.000 secs", true },
	};
	struct script script = { .count = 2 };
	dict_proxy_open(&t->w->env, t->dict, next_fault, &script, &t->dict);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		size_t seen = t->node->seen_count;
		uint64_t start = t->w->now_ns;
		script.faults[0] = rows[i].fault;
		script.asked = 0;
		assert_int_equal(set(t, KEY, OID), -1);
		assert_int_equal(t->err.code, LAB_UNCERTAIN);
		assert_non_null(strstr(t->err.message, rows[i].message));
		assert_int_equal(script.asked, 1);
		assert_int_equal(t->node->seen_count - seen, rows[i].applied ? 1 : 0);
		if (i >= 2)
			assert_true(t->w->now_ns - start == 30 * LAB_SEC);
		assert_int_equal(set(t, KEY, OID), 0);
	}
}

DICT_TEST(a_read_that_is_never_answered_times_out)
{
	struct script script = { { DICT_HOP_STALL }, 1, 0 };
	put_between(t, &script);
	uint64_t start = t->w->now_ns;
	assert_int_equal(lookup(t, KEY), -1);
	assert_int_equal(t->err.code, LAB_TIMEOUT);
	assert_true(t->w->now_ns - start == 30 * LAB_SEC);
	assert_int_equal(t->node->seen_count, 0);
}

DICT_TEST(without_faults_it_is_not_noticed)
{
	dict_proxy_open(&t->w->env, t->dict, NULL, NULL, &t->dict);
	node_will_fail(t->node, CQL_E_INVALID, "no");
	assert_int_equal(set(t, KEY, OID), -1);
	assert_int_equal(t->err.code, LAB_INVALID);
	assert_non_null(strstr(t->err.message, "sql dict: commit failed: "));
	assert_int_equal(set(t, KEY, OID), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lookup_is_asked_once_more),
		cmocka_unit_test(a_lookup_lost_twice_fails),
		cmocka_unit_test(an_iteration_is_asked_once_more),
		cmocka_unit_test(a_change_is_never_repeated_and_always_uncertain),
		cmocka_unit_test(a_read_that_is_never_answered_times_out),
		cmocka_unit_test(without_faults_it_is_not_noticed),
	};
	return cmocka_run_group_tests_name("dict-proxy", tests, NULL, NULL);
}

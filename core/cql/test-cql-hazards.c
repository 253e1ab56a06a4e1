/* SPDX-License-Identifier: Apache-2.0
 *
 * Bugs that the driver layer of Dovecot has had, tried on this client (scenarios/CATALOGUE.md).
 */
#include "core/cql/test-client.h"

/* ---- no host at the first level (C-06) ---- */

CLIENT_TEST(when_every_host_refuses_the_first_level_the_fallback_is_tried, 2)
{
	t->settings.consistency[CQL_STATEMENT_WRITE] = CQL_EACH_QUORUM;
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	for (int i = 0; i < 2; i++)
		node_will_fail(&t->w->nodes[i], CQL_E_OVERLOADED, "Too many in flight hints");
	insert(t);
	assert_ok(t);
	assert_int_equal(t->w->nodes[0].seen_count + t->w->nodes[1].seen_count, 3);
	for (int i = 0; i < 2; i++)
		assert_int_equal(t->w->nodes[i].seen[0].params.consistency, CQL_EACH_QUORUM);
	{
		const struct node *third = &t->w->nodes[t->w->nodes[0].seen_count == 2 ? 0 : 1];

		assert_int_equal(third->seen[1].params.consistency, CQL_LOCAL_QUORUM);
	}
	assert_int_equal(cql_client_counter(t->client, CQL_RECV_ERR_NO_HOSTS), 1);
	assert_true(world_logged(t->w, "retrying future write queries with consistency "
				       "LOCAL_QUORUM (instead of EACH_QUORUM)"));
}

/* ---- version 3 (C-10) ---- */

CLIENT_TEST(version_3_carries_timestamps_too, 1)
{
	struct cql_arg arg = { .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("key") };
	struct cql_statement ahead = { .type = CQL_STATEMENT_DELETE,
		.query = LAB_VIEW(DELETE),
		.args = &arg,
		.arg_count = 1 };
	struct node *node = &t->w->nodes[0];

	t->settings.protocol_version = 3;
	open_client(t);
	insert(t);
	assert_ok(t);
	ahead.timestamp_us = node->seen[0].params.timestamp_us + 10000000;
	assert_int_equal(
		cql_client_execute(t->client, &ahead, 1, t->arena, &t->result, &t->err), 0);
	insert(t);
	assert_ok(t);
	assert_int_equal(node->prepares, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(node->seen[i].opcode, CQL_QUERY);
		assert_true((node->seen[i].params.flags & CQL_PARAM_TIMESTAMP) != 0);
	}
	assert_true(node->seen[0].params.timestamp_us >= 1700000000000000);
	assert_true(
		node->seen[1].params.timestamp_us == node->seen[0].params.timestamp_us + 10000000);
	assert_true(node->seen[2].params.timestamp_us < node->seen[1].params.timestamp_us);
}

/* ---- an empty blob (C-12) ---- */

static void insert_empty(struct test *t)
{
	struct cql_arg args[] = { { .kind = CQL_ARG_BLOB, .bytes = { NULL, 0 } },
		{ .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("") } };

	execute(t, CQL_STATEMENT_WRITE, INSERT, args, 2);
	assert_ok(t);
}

CLIENT_TEST(an_empty_value_is_bound_as_empty_and_not_as_null, 1)
{
	struct node *node = &t->w->nodes[0];

	open_client(t);
	insert_empty(t);
	assert_int_equal(node->seen[0].opcode, CQL_EXECUTE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(node->seen[0].params.values[i].kind, CQL_VALUE_BYTES);
		assert_int_equal(node->seen[0].params.values[i].bytes.len, 0);
	}
	cql_client_close(&t->client);
	/* As a literal. */
	t->settings.protocol_version = 3;
	open_client(t);
	insert_empty(t);
	assert_true(lab_view_eq_cstr(node->seen[1].query, "INSERT INTO t (v,k) VALUES (0x,'')"));
}

/* ---- a batch while nobody is connected (C-21) ---- */

static void batch(struct test *t)
{
	struct cql_arg args[] = { { .kind = CQL_ARG_BLOB, .bytes = LAB_VIEW("\1") },
		{ .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("key") } };
	struct cql_statement items[] = {
		{ .query = LAB_VIEW(INSERT), .args = args, .arg_count = 2 },
		{ .query = LAB_VIEW(DELETE), .args = &args[1], .arg_count = 1 }
	};
	struct cql_statement statement = { .type = CQL_STATEMENT_WRITE,
		.query = LAB_VIEW("<batch query>"),
		.batch = items,
		.batch_count = 2 };

	t->err = (struct lab_error){ .code = LAB_OK };
	t->status = cql_client_execute(t->client, &statement, 1, t->arena, &t->result, &t->err);
}

CLIENT_TEST(a_batch_that_comes_before_any_connection_waits_for_it_or_ends, 1)
{
	struct node *node = &t->w->nodes[0];
	uint64_t start;

	/* At the very start. */
	open_client(t);
	batch(t);
	assert_ok(t);
	assert_int_equal(node->seen[0].opcode, CQL_BATCH);
	/* While it is being made anew, and nobody answers. */
	node->refuses = true;
	node_reset(node->last);
	env_sleep(&t->w->env, 100 * LAB_MSEC);
	assert_int_equal(cql_client_connected(t->client), 0);
	start = t->w->now_ns;
	batch(t);
	assert_fails(t, LAB_UNAVAILABLE, "All hosts in current policy attempted");
	assert_true(t->w->now_ns - start <= t->settings.request_timeout_ns);
	assert_int_equal(node->seen_count, 1);
	/* And when it is back. */
	node->refuses = false;
	env_sleep(&t->w->env, 20 * LAB_SEC);
	batch(t);
	assert_ok(t);
	assert_int_equal(node->seen_count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(when_every_host_refuses_the_first_level_the_fallback_is_tried),
		cmocka_unit_test(version_3_carries_timestamps_too),
		cmocka_unit_test(an_empty_value_is_bound_as_empty_and_not_as_null),
		cmocka_unit_test(a_batch_that_comes_before_any_connection_waits_for_it_or_ends),
	};
	return cmocka_run_group_tests_name("cql-hazards", tests, NULL, NULL);
}

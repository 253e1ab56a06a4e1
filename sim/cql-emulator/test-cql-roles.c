/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-roles.c - what golden/roles.txt does not show: prepared statements, batches, set-up,
 * secrets, bounds.
 */
#include "sim/cql-emulator/testing-cql.h"

#define SETUP \
	"CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', " \
	"'replication_factor': 1}; CREATE TABLE ks.t (p int PRIMARY KEY, v text); " \
	"CREATE TABLE ks.o (p int PRIMARY KEY, v text); " \
	"CREATE ROLE bob WITH PASSWORD = 'tops3cret' AND LOGIN = true; " \
	"CREATE ROLE idle WITH LOGIN = true; GRANT SELECT ON KEYSPACE ks TO bob; " \
	"GRANT MODIFY ON ks.t TO bob"

static struct test_world *world(size_t nodes)
{
	struct test_world *w = test_world(nodes);
	w->options.user = LAB_VIEW("admin");
	w->options.password = LAB_VIEW("adminpw");
	test_start(w);
	test_setup_cql(w, SETUP);
	return w;
}

static struct test_client *login(
	struct test_world *w, const char *node, const char *user, const char *password)
{
	struct cql_response response;
	const char *token = lab_arena_printf(w->arena, "%c%s%c%s", 0, user, 0, password);
	struct test_client *c =
		test_login(w, node, token, strlen(user) + strlen(password) + 2, &response);
	assert_int_equal(response.opcode, CQL_AUTH_SUCCESS);
	return c;
}

static void refused(struct test_client *c, const char *cql, const char *permission)
{
	struct cql_response r = test_query(c, cql, CQL_ONE);
	assert_int_equal(r.opcode, CQL_ERROR);
	assert_int_equal(r.error.code, CQL_E_UNAUTHORIZED);
	assert_true(lab_view_find(r.error.message, lab_view_cstr(permission)) != SIZE_MAX);
}

static void set_up_makes_roles_that_log_in_at_every_node(void **state)
{
	struct test_world *w = world(3);
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct test_client *c =
			login(w, (const char *const[]){ "n1", "n2", "n3" }[i], "bob", "tops3cret");
		test_expect(
			c, "INSERT INTO ks.t (p, v) VALUES (1, 'a')", CQL_ONE, "RESULT kind=1 b''");
		refused(c, "INSERT INTO ks.o (p, v) VALUES (1, 'a')", "no MODIFY permission");
		refused(c, "CREATE TABLE ks.n (p int PRIMARY KEY)", "no CREATE permission");
		test_disconnect(c);
	}
	test_end(w);
}

/* PREPARE asks for no permission, EXECUTE does, each time. */
static void permissions_are_asked_for_at_execution(void **state)
{
	struct test_world *w = world(1);
	struct test_client *c = login(w, "n1", "bob", "tops3cret");
	struct cql_request prepare = { .opcode = CQL_PREPARE,
		.query = LAB_VIEW("INSERT INTO ks.t (p, v) VALUES (7, 'x')") };
	(void)state;
	struct cql_response p = test_ask(c, &prepare);
	assert_int_equal(p.kind, CQL_RESULT_PREPARED);
	struct cql_request execute = {
		.opcode = CQL_EXECUTE, .query = p.prepared.id, .params = { .consistency = CQL_ONE }
	};
	assert_int_equal(test_ask(c, &execute).opcode, CQL_RESULT);
	test_setup_cql(w, "REVOKE MODIFY ON ks.t FROM bob; DELETE FROM ks.t WHERE p = 7");
	struct cql_response r = test_ask(c, &execute);
	assert_int_equal(r.error.code, CQL_E_UNAUTHORIZED);
	test_expect(c, "SELECT p FROM ks.t", CQL_ONE, "[('p', '0x9')] []");
	test_setup_cql(w, "GRANT ALL ON ALL KEYSPACES TO bob");
	assert_int_equal(test_ask(c, &execute).opcode, CQL_RESULT);
	test_disconnect(c);
	test_end(w);
}

static void a_batch_with_a_forbidden_part_does_nothing(void **state)
{
	struct test_world *w = world(1);
	struct test_client *c = login(w, "n1", "bob", "tops3cret");
	struct cql_batch_item items[] = { { .query = LAB_VIEW(
						    "INSERT INTO ks.t (p, v) VALUES (1, 'a')") },
		{ .query = LAB_VIEW("INSERT INTO ks.o (p, v) VALUES (1, 'a')") } };
	struct cql_request batch = { .opcode = CQL_BATCH,
		.batch = items,
		.batch_count = 2,
		.params = { .consistency = CQL_ONE } };
	(void)state;
	assert_int_equal(test_ask(c, &batch).error.code, CQL_E_UNAUTHORIZED);
	refused(c,
		"BEGIN BATCH INSERT INTO ks.t (p, v) VALUES (1, 'a'); INSERT INTO ks.o (p, v) "
		"VALUES (1, 'a') APPLY BATCH",
		"<table ks.o>");
	test_expect(c, "SELECT p FROM ks.t", CQL_ONE, "[('p', '0x9')] []");
	batch.batch_count = 1;
	assert_int_equal(test_ask(c, &batch).opcode, CQL_RESULT);
	test_expect(c, "SELECT p FROM ks.t", CQL_ONE, "[('p', '0x9')] [[1]]");
	test_disconnect(c);
	test_end(w);
}

static bool shows(struct lab_view text, const char *secret)
{
	return lab_view_find(text, lab_view_cstr(secret)) != SIZE_MAX;
}

static void passwords_are_shown_nowhere(void **state)
{
	static const char *const statements[] = {
		"CREATE ROLE eve WITH LOGIN = true AND PASSWORD = 'pw-one'",
		"ALTER ROLE eve WITH PASSWORD='pw-one' AND LOGIN=false",
		"create user mallory with password 'pw-one'",
		"CREATE ROLE eve WITH PASSWORD = 'pw-one'"
	};
	struct test_world *w = world(1);
	struct test_client *c = login(w, "n1", "admin", "adminpw");
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(statements); i++) {
		for (unsigned prepare = 0; prepare < 2; prepare++) {
			struct cql_request request = { .opcode = prepare ? CQL_PREPARE : CQL_QUERY,
				.query = lab_view_cstr(statements[i]) };
			unsigned before = w->access_count;
			(void)test_ask(c, &request);
			assert_int_equal(w->access_count, before + 1);
			assert_false(shows(w->access.request, "pw-one"));
			assert_true(shows(w->access.request, "***"));
		}
	}
	struct cql_response r =
		test_query(c, "SELECT role, salted_hash FROM system_auth.roles", CQL_ONE);
	assert_int_equal(r.rows.row_count, 5);
	for (size_t i = 0; i < r.rows.row_count; i++)
		assert_null(r.rows.cells[2 * i + 1].ptr);
	test_disconnect(c);
	test_end(w);
}

/* The role of an open connection may go, and come back as another one. */
static void a_connection_outlives_its_role(void **state)
{
	struct test_world *w = world(1);
	struct test_client *c = login(w, "n1", "bob", "tops3cret");
	(void)state;
	test_setup_cql(w, "DROP ROLE bob");
	refused(c, "SELECT p FROM ks.t", "User bob has no SELECT permission");
	test_expect(c, "SELECT key FROM system.local", CQL_ONE, "[('key', '0xd')] [['local']]");
	test_setup_cql(w, "CREATE ROLE bob WITH PASSWORD = 'other' AND LOGIN = true");
	refused(c, "SELECT p FROM ks.t", "User bob has no SELECT permission");
	test_setup_cql(w, "GRANT SELECT ON ALL KEYSPACES TO bob");
	test_expect(c, "SELECT p FROM ks.t", CQL_ONE, "[('p', '0x9')] []");
	test_disconnect(c);
	test_end(w);
}

/* A role without a password: no password is the right one, not even the hash of nothing. */
static void nobody_logs_in_without_a_password(void **state)
{
	struct test_world *w = world(1);
	struct cql_response response;
	(void)state;
	struct test_client *c = test_login(w, "n1", "\0idle\0x", 7, &response);
	assert_int_equal(response.error.code, CQL_E_BAD_CREDENTIALS);
	assert_int_equal(test_query(c, "SELECT p FROM ks.t", CQL_ONE).error.code, CQL_E_PROTOCOL);
	test_disconnect(c);
	test_end(w);
}

static void roles_and_permissions_are_bounded(void **state)
{
	struct test_world *w = world(1);
	struct lab_error err;
	unsigned made = 0;
	(void)state;
	while (cqlemu_execute(w->emu,
		       lab_view_cstr(lab_arena_printf(w->arena, "CREATE ROLE r%u", made)),
		       &err) == 0)
		made++;
	assert_int_equal(made, 1024 - 3);
	assert_true(shows(lab_view_cstr(err.message), "more than 1024 roles"));
	test_setup_cql(w, "DROP ROLE r5; CREATE ROLE r5"); /* a name that is known has a place */
	test_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
						    set_up_makes_roles_that_log_in_at_every_node),
		cmocka_unit_test(permissions_are_asked_for_at_execution),
		cmocka_unit_test(a_batch_with_a_forbidden_part_does_nothing),
		cmocka_unit_test(passwords_are_shown_nowhere),
		cmocka_unit_test(a_connection_outlives_its_role),
		cmocka_unit_test(nobody_logs_in_without_a_password),
		cmocka_unit_test(roles_and_permissions_are_bounded) };
	return cmocka_run_group_tests_name("cql-emulator-roles", tests, NULL, NULL);
}

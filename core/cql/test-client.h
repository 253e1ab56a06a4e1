/* SPDX-License-Identifier: Apache-2.0
 *
 * test-client.h - for tests only: a client of scripted nodes, one body in a fiber for each test.
 */
#ifndef LAB_CQL_TEST_CLIENT_H
#define LAB_CQL_TEST_CLIENT_H

#include "core/base/defect.h"
#include "core/cql/test-world.h"

#define READ_ONE "SELECT v FROM t WHERE k = ?"
#define INSERT "INSERT INTO t (v,k) VALUES (?,?)"
#define DELETE "DELETE FROM t WHERE k = ?"
#define TYPES "INSERT INTO types (a,b,c,d) VALUES (?,?,?,?)"

static const struct shape shapes[] = {
	{ READ_ONE, "T", "t" },
	{ INSERT, "bT", "" },
	{ DELETE, "T", "" },
	{ TYPES, "ilbu", "" },
	{ "INSERT INTO small (a,b) VALUES (?,?)", "sy", "" },
	{ NULL, NULL, NULL },
};

struct test {
	struct test_world *w;
	struct cql_settings settings;
	struct cql_client *client;
	struct lab_arena *arena;
	struct cql_result result;
	struct lab_error err;
	int status;
	size_t max_rows;
	uint64_t deadline_ns;
};

static inline struct test *test_new(size_t nodes)
{
	static struct test t;
	static const char *const names[] = { "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4" };
	t = (struct test){ .w = world_new(nodes, shapes), .max_rows = 1000 };
	t.arena = lab_arena_new(t.w->env.heap, 32u << 20);
	cql_settings_defaults(&t.settings);
	for (size_t i = 0; i < nodes; i++)
		t.settings.hosts[i] = names[i];
	t.settings.host_count = nodes;
	t.settings.keyspace = "mails";
	lab_defects_on = LAB_NO_DEFECTS;
	return &t;
}

static inline void open_client(struct test *t)
{
	assert_int_equal(cql_client_open(&t->w->env, &t->settings, &t->client, &t->err), 0);
}

static inline void execute(struct test *t, enum cql_statement_type type, const char *query,
	const struct cql_arg *args, size_t arg_count)
{
	struct cql_statement statement = { .type = type,
		.query = lab_view_cstr(query),
		.args = args,
		.arg_count = arg_count,
		.deadline_ns = t->deadline_ns };
	t->result = (struct cql_result){ .columns = NULL };
	t->err = (struct lab_error){ .code = LAB_OK };
	t->status = cql_client_execute(
		t->client, &statement, t->max_rows, t->arena, &t->result, &t->err);
}

static inline void read_one(struct test *t)
{
	struct cql_arg arg = { .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("key") };
	execute(t, CQL_STATEMENT_READ, READ_ONE, &arg, 1);
}

static inline void insert(struct test *t)
{
	struct cql_arg args[] = { { .kind = CQL_ARG_BLOB, .bytes = LAB_VIEW("\1\2") },
		{ .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("key") } };
	execute(t, CQL_STATEMENT_WRITE, INSERT, args, 2);
}

static inline void delete_one(struct test *t)
{
	struct cql_arg arg = { .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("key") };
	execute(t, CQL_STATEMENT_DELETE, DELETE, &arg, 1);
}

static inline void assert_ok(const struct test *t)
{
	if (t->status != 0)
		fail_msg("%s", t->err.message);
}

static inline void assert_fails(const struct test *t, enum lab_code code, const char *message)
{
	assert_int_equal(t->status, -1);
	if (strstr(t->err.message, message) == NULL)
		fail_msg("'%s' is not in '%s'", message, t->err.message);
	assert_string_equal(lab_code_name(t->err.code), lab_code_name(code));
}

/* Runs the body of a test in a fiber and closes the client afterwards. */
#define CLIENT_TEST(name, node_count) \
	static void name##_body(struct test *t); \
	static void name##_fiber(void *arg) \
	{ \
		struct test *t = arg; \
		name##_body(t); \
		cql_client_close(&t->client); \
	} \
	static void name(void **state) \
	{ \
		(void)state; \
		struct test *t = test_new(node_count); \
		world_run(t->w, name##_fiber, t); \
		world_free(t->w); \
	} \
	static void name##_body(struct test *t)

#endif

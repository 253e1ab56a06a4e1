/* SPDX-License-Identifier: Apache-2.0
 *
 * test-dict.h - for tests only: a dict over one scripted node.
 */
#ifndef LAB_DICT_TEST_DICT_H
#define LAB_DICT_TEST_DICT_H

#include "core/cql/test-world.h"
#include "core/dict/dict-sql-private.h"
#include "core/dict/test-maps.h"

#define OID "0123456789abcdef0123456789abcdef"
#define GUID "aabbccddeeff00112233445566778899"

struct test {
	struct test_world *w;
	struct node *node;
	struct lab_arena *arena;
	struct dict_cql_config *config;
	struct cql_client *client;
	struct dict *dict;
	struct lab_error err;
	struct dict_values values;
	struct dict_row *rows;
	size_t row_count;
};

static inline struct dict_cql_config *config_of(struct lab_arena *arena, const char *text)
{
	struct conf_section *root;
	struct dict_cql_config *config = NULL;
	struct lab_error err;
	if (conf_parse_text("d.ext", lab_view_cstr(text), NULL, CONF_PARSE_LITERAL, arena, NULL,
		    &root, &err) < 0 ||
		dict_cql_from_tree(root, arena, &config, &err) < 0)
		fail_msg("%s", err.message);
	return config;
}

/* One node, so that the order of what it sees is known. */
static inline struct test *test_make(const struct shape *shapes, const char *config)
{
	static struct test t;
	t = (struct test){ .w = world_new(1, shapes) };
	t.node = &t.w->nodes[0];
	t.arena = lab_arena_new(t.w->env.heap, 32u << 20);
	t.config = config_of(t.arena, config);
	t.config->connect.host_count = 1;
	return &t;
}

static inline void open_dict(struct test *t)
{
	assert_int_equal(
		dict_sql_connect(&t->w->env, &t->config->connect, 0, &t->client, &t->err), 0);
	assert_int_equal(dict_sql_open(&t->w->env, t->config, t->client, &t->dict, &t->err), 0);
}

/* Runs the body of a test in a fiber, with the dict of the file's test_new(). */
#define DICT_TEST(name) \
	static void name##_body(struct test *t); \
	static void name##_fiber(void *arg) \
	{ \
		struct test *t = arg; \
		open_dict(t); \
		name##_body(t); \
		dict_close(&t->dict); \
		cql_client_close(&t->client); \
	} \
	static void name(void **state) \
	{ \
		(void)state; \
		struct test *t = test_new(); \
		world_run(t->w, name##_fiber, t); \
		world_free(t->w); \
	} \
	static void name##_body(struct test *t)

static inline int lookup(struct test *t, const char *key)
{
	return dict_lookup(t->dict, lab_view_cstr(key), t->arena, &t->values, &t->err);
}

static inline int iterate(struct test *t, const char *path, uint64_t limit, bool no_value)
{
	struct dict_iterate_options options = {
		.limit = limit, .no_value = no_value, .max_rows = 100
	};
	return dict_iterate(
		t->dict, lab_view_cstr(path), &options, t->arena, &t->rows, &t->row_count, &t->err);
}

static inline int set(struct test *t, const char *key, const char *value)
{
	struct dict_change_options options = { 0 };
	return dict_set(t->dict, lab_view_cstr(key), lab_view_cstr(value), &options, &t->err);
}

static inline int unset(struct test *t, const char *key)
{
	struct dict_change_options options = { 0 };
	return dict_unset(t->dict, lab_view_cstr(key), &options, &t->err);
}

static inline const struct seen *last_seen(const struct test *t)
{
	assert_true(t->node->seen_count > 0);
	return &t->node->seen[t->node->seen_count - 1];
}

/* "u;x:aabb;#5": as bound. */
static inline void assert_bound(struct test *t, const char *query, const char *args)
{
	const struct seen *seen = last_seen(t);
	struct lab_view rest = lab_view_cstr(args), arg;
	size_t n = 0;
	if (!lab_view_eq_cstr(seen->query, query))
		fail_msg("'%.*s' instead of '%s'", LAB_VIEW_ARG(seen->query), query);
	while (lab_view_split(&rest, ';', &arg)) {
		struct lab_view want = cell_of(t->w, arg);
		assert_true(n < seen->params.value_count);
		if (!lab_view_eq(seen->params.values[n].bytes, want))
			fail_msg("argument %zu of '%s'", n, query);
		n++;
	}
	assert_int_equal(seen->params.value_count, n);
}

static inline void assert_values(const struct dict_values *values, const char *text)
{
	struct lab_view rest = lab_view_cstr(text), want;
	size_t n = 0;
	while (lab_view_split(&rest, ',', &want)) {
		assert_true(n < values->count);
		if (!lab_view_eq(values->items[n], want))
			fail_msg("'%.*s' instead of '%.*s'", LAB_VIEW_ARG(values->items[n]),
				LAB_VIEW_ARG(want));
		n++;
	}
	assert_int_equal(values->count, n);
}

#endif

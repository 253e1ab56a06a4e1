/* SPDX-License-Identifier: Apache-2.0
 *
 * The dict client over real sockets: against emulated nodes, or, if OBOXLAB_TEST_CQL is
 * "HOST[,HOST...]:PORT", against a cluster that is there already (ci/stage real-cassandra). The
 * same is expected of both.
 */
#include "core/base/testing.h"

#include <stdlib.h>
#include <time.h>

#include "core/dict/dict-sql.h"
#include "core/env/live/live.h"
#include "scenarios/live/cql-plain.h"
#include "sim/serve/sockets.h"

#define POOL_BYTES ((size_t)1024 * 1024 * 1024)
#define ARENA_BYTES ((size_t)256 * 1024 * 1024)
#define KEYSPACE "oboxlab_dict"
#define FIRST_ADDRESS "127.0.10.1"
#define FIRST_HOSTS "127.0.10.1,127.0.10.2,127.0.10.3"
#define NODES 3
#define PAGE_SIZE 100
#define PATIENCE (120 * LAB_SEC)
#define GUID "aabbccddeeff00112233445566778899"

static const char settings[] =
	"cassandra_hosts = replaced\ncassandra_keyspace = " KEYSPACE "\n"
	"map {\n pattern = shared/list/$user/$name\n table = list\n value_field = v\n"
	" fields {\n  u = $user\n  n = $name\n }\n}\n"
	"map {\n pattern = shared/blobs/$user/$guid/$bucket/$name\n table = blobs\n value_field = "
	"i\n"
	" value_type = hexblob\n fields {\n  u = $user\n  g = ${hexblob:guid}\n  b = "
	"${uint:bucket}\n  n = ${hexblob:name}\n }\n}\n"
	"map {\n pattern = shared/times/$user\n table = times\n value_field = b,writetime(b)\n"
	" value_type = uint,uint\n fields {\n  u = $user\n }\n}\n"
	"map {\n pattern = shared/usage/$user/bytes\n table = usage\n value_field = bytes\n"
	" value_type = int\n fields {\n  u = $user\n }\n}\n"
	"map {\n pattern = shared/usage/$user/count\n table = usage\n value_field = count\n"
	" value_type = int\n fields {\n  u = $user\n }\n}\n"
	"map {\n pattern = shared/hits/$user\n table = hits\n value_field = n\n"
	" value_type = int\n fields {\n  u = $user\n }\n}\n"
	"map {\n pattern = shared/login/$user/$host\n table = login\n value_field = v\n"
	" expire_field = e\n fields {\n  u = $user\n  h = $host\n }\n}\n"
	"map {\n pattern = shared/brief/$user\n table = brief\n value_field = v\n"
	" fields {\n  u = $user\n }\n}\n"
	"map {\n pattern = shared/none/$user\n table = no_table\n value_field = v\n"
	" fields {\n  u = $user\n }\n}\n";

static const char *const tables[] = {
	"list (u text, n text, v text, PRIMARY KEY (u, n))",
	"blobs (u text, g blob, b int, n blob, i blob, PRIMARY KEY ((u, g, b), n))",
	"times (u text PRIMARY KEY, b int)",
	"usage (u text PRIMARY KEY, bytes bigint, count int)",
	"hits (u text PRIMARY KEY, n counter)",
	"login (u text, h text, v text, e bigint, PRIMARY KEY (u, h))",
	"brief (u text PRIMARY KEY, v text) WITH default_time_to_live = 2",
};
static const char *const node_names[NODES] = { "one", "two", "three" };

struct bed {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *forever, *arena; /* of the run, of a test */
	struct cqlemu *cql;                /* NULL: somebody else's */
	struct stream_front_end *front_end;
	struct dict_cql_config *config;
	struct live *live;
	struct live_host *host;
	/* In a fiber: */
	struct env *env;
	struct cql_client *client;
	struct dict *dict;
	struct cql_plain plain;
	struct lab_error err;
	void (*body)(struct bed *bed);
	bool is_done;
};
static struct bed bed;

/* ---- where the nodes are ---- */

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * LAB_SEC + (uint64_t)t.tv_nsec;
}

static uint16_t emulate(void)
{
	struct serve_socket socket = { .address = FIRST_ADDRESS, .start_ns = monotonic_ns() };
	struct cqlemu_node_options nodes[NODES];
	struct cqlemu_options options;

	memset(nodes, 0, sizeof(nodes));
	for (size_t i = 0; i < NODES; i++) {
		char *address = lab_heap_alloc(bed.heap, SERVE_ADDRESS_MAX);

		assert_int_equal(serve_node_address(FIRST_ADDRESS, i, address, &bed.err), 0);
		nodes[i].name = lab_view_cstr(node_names[i]);
		nodes[i].address = lab_view_cstr(address);
	}
	cqlemu_options_init(&options);
	options.heap = bed.heap;
	options.nodes = nodes;
	options.node_count = NODES;
	options.epoch_us = (int64_t)time(NULL) * 1000000;
	assert_int_equal(cqlemu_new(&options, &bed.cql, &bed.err), 0);
	assert_int_equal(
		serve_cql(bed.cql, node_names, NODES, &socket, &bed.front_end, &bed.err), 0);
	return stream_front_end_port(bed.front_end);
}

static void configure(void)
{
	const char *given = getenv("OBOXLAB_TEST_CQL");
	struct lab_view rest, hosts, host;
	struct conf_section *root;
	struct dict_cql_connect *c;
	uint64_t port;

	assert_int_equal(conf_parse_text("d.ext", lab_view_cstr(settings), NULL, CONF_PARSE_LITERAL,
				 bed.forever, NULL, &root, &bed.err),
		0);
	if (dict_cql_from_tree(root, bed.forever, &bed.config, &bed.err) < 0)
		fail_msg("%s", bed.err.message);
	c = &bed.config->connect;
	rest = lab_view_cstr(given != NULL ? given : FIRST_HOSTS ":0");
	assert_true(lab_view_split(&rest, ':', &hosts));
	assert_int_equal(lab_view_to_u64(rest, &port), 0);
	c->port = given != NULL ? (uint16_t)port : emulate();
	c->host_count = 0;
	while (lab_view_split(&hosts, ',', &host))
		c->hosts[c->host_count++] = host;
	c->page_size = PAGE_SIZE;
}

/* ---- fibers ---- */

static void plain_execute(const char *format, ...) __attribute__((format(printf, 1, 2)));
static struct cql_response answer;

static void plain_execute(const char *format, ...)
{
	struct cql_params params = { .consistency = CQL_QUORUM };
	const char *text;
	va_list args;

	va_start(args, format);
	text = lab_arena_vprintf(bed.arena, format, args);
	va_end(args);
	if (cql_plain_query(
		    &bed.plain, lab_view_cstr(text), &params, bed.arena, &answer, &bed.err) < 0)
		fail_msg("%s: %s", text, bed.err.message);
}

static void open_plain(void)
{
	const struct dict_cql_connect *c = &bed.config->connect;

	if (cql_plain_open(&bed.plain, bed.env, lab_arena_cstr(bed.arena, c->hosts[0]), c->port,
		    c->user, c->password, &bed.err) < 0)
		fail_msg("%s", bed.err.message);
}

static void fiber_main(struct env *env, void *arg)
{
	(void)arg;
	bed.env = env;
	bed.body(&bed);
	bed.is_done = true;
}

static void run_fiber(void (*body)(struct bed *b))
{
	bed.body = body;
	bed.is_done = false;
	assert_int_equal(live_start(bed.host, "test", fiber_main, NULL, &bed.err), 0);
	assert_int_equal(live_run(bed.live, live_now(bed.live) + PATIENCE, NULL, NULL), 0);
	assert_true(bed.is_done);
}

static void make_schema(struct bed *b)
{
	(void)b;
	open_plain();
	plain_execute("DROP KEYSPACE IF EXISTS " KEYSPACE);
	plain_execute("CREATE KEYSPACE " KEYSPACE
		      " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': %zu}",
		bed.config->connect.host_count);
	for (size_t i = 0; i < LAB_COUNT_OF(tables); i++)
		plain_execute("CREATE TABLE " KEYSPACE ".%s", tables[i]);
	/* Until the other nodes have heard of it. */
	if (bed.config->connect.host_count > 1)
		env_sleep(bed.env, bed.cql == NULL ? 3 * LAB_SEC : LAB_MSEC);
	cql_plain_close(&bed.plain);
}

static void drop_schema(struct bed *b)
{
	(void)b;
	open_plain();
	plain_execute("DROP KEYSPACE " KEYSPACE);
	cql_plain_close(&bed.plain);
}

static int group_setup(void **state)
{
	struct live_settings live = { .seed = 1 };
	struct live_host_settings host = { .hostname = "lab", .root = "/tmp" };

	testing_setup(state);
	bed.pool = lab_pool_new(POOL_BYTES);
	bed.heap = lab_heap_new(bed.pool, POOL_BYTES);
	bed.forever = lab_arena_new(bed.heap, ARENA_BYTES);
	bed.arena = lab_arena_new(bed.heap, ARENA_BYTES);
	configure();
	assert_int_equal(live_new(&live, &bed.live, &bed.err), 0);
	assert_int_equal(live_host_new(bed.live, &host, &bed.host, &bed.err), 0);
	run_fiber(make_schema);
	return 0;
}

static int group_teardown(void **state)
{
	run_fiber(drop_schema);
	live_free(&bed.live);
	stream_front_end_free(&bed.front_end);
	cqlemu_free(&bed.cql);
	lab_arena_free(&bed.arena);
	lab_arena_free(&bed.forever);
	lab_heap_drop(&bed.heap);
	lab_pool_free(&bed.pool);
	return testing_teardown(state);
}

/* The body of a test has a dict, and a plain connection beside it. */
#define LIVE_TEST(name) \
	static void name##_body(void); \
	static void name##_fiber(struct bed *b) \
	{ \
		open_dict(b); \
		name##_body(); \
		close_dict(b); \
	} \
	static void name(void **state) \
	{ \
		(void)state; \
		run_fiber(name##_fiber); \
	} \
	static void name##_body(void)

static void open_dict(struct bed *b)
{
	lab_arena_reset(b->arena);
	open_plain();
	assert_int_equal(dict_sql_connect(b->env, &b->config->connect, 0, &b->client, &b->err), 0);
	assert_int_equal(dict_sql_open(b->env, b->config, b->client, &b->dict, &b->err), 0);
}

static void close_dict(struct bed *b)
{
	dict_close(&b->dict);
	cql_client_close(&b->client);
	cql_plain_close(&b->plain);
}

/* ---- words ---- */

static const struct dict_change_options plain_options;
static struct dict_values values;

static void set_at(const char *key, const char *value, uint64_t timestamp_us)
{
	struct dict_change_options options = { .timestamp_us = timestamp_us };

	if (dict_set(bed.dict, lab_view_cstr(key), lab_view_cstr(value), &options, &bed.err) < 0)
		fail_msg("%s: %s", key, bed.err.message);
}

static void set(const char *key, const char *value)
{
	set_at(key, value, 0);
}

static void unset_at(const char *key, uint64_t timestamp_us)
{
	struct dict_change_options options = { .timestamp_us = timestamp_us };

	if (dict_unset(bed.dict, lab_view_cstr(key), &options, &bed.err) < 0)
		fail_msg("%s: %s", key, bed.err.message);
}

static int lookup(const char *key)
{
	int found = dict_lookup(bed.dict, lab_view_cstr(key), bed.arena, &values, &bed.err);

	if (found < 0)
		fail_msg("%s: %s", key, bed.err.message);
	return found;
}

/* NULL: there is no such row. */
static void assert_value(const char *key, const char *expected)
{
	int found = lookup(key);

	assert_int_equal(found, expected != NULL);
	if (expected != NULL && !lab_view_eq_cstr(values.items[0], expected))
		fail_msg("%s: '%.*s' instead of '%s'", key,
			LAB_VIEW_ARG(lab_view_sub(values.items[0], 0, 100)), expected);
}

static struct dict_row *rows;
static size_t row_count;

static int iterate(const char *path, const struct dict_iterate_options *options)
{
	return dict_iterate(
		bed.dict, lab_view_cstr(path), options, bed.arena, &rows, &row_count, &bed.err);
}

static void iterate_all(const char *path)
{
	struct dict_iterate_options options = { .max_rows = 100000 };

	if (iterate(path, &options) < 0)
		fail_msg("%s: %s", path, bed.err.message);
}

/* ---- one row ---- */

LIVE_TEST(a_row_is_set_found_and_unset)
{
	assert_value("shared/list/bob/a", NULL);
	set("shared/list/bob/a", "one");
	assert_value("shared/list/bob/a", "one");
	set("shared/list/bob/a", "two");
	assert_value("shared/list/bob/a", "two");
	assert_value("shared/list/amy/a", NULL);
	unset_at("shared/list/bob/a", 0);
	assert_value("shared/list/bob/a", NULL);
	unset_at("shared/list/bob/never", 0);
}

LIVE_TEST(odd_keys_and_values_come_back)
{
	set("shared/list/o'n\\|e@ex\xc3\xa4mple/a\\\\b", "it''s \"q\" \xf0\x9f\x98\x80\n;--");
	assert_value(
		"shared/list/o'n\\|e@ex\xc3\xa4mple/a\\\\b", "it''s \"q\" \xf0\x9f\x98\x80\n;--");
	plain_execute("SELECT u, n FROM " KEYSPACE ".list WHERE u = 'o''n/e@ex\xc3\xa4mple'");
	assert_int_equal(answer.rows.row_count, 1);
	assert_true(lab_view_eq_cstr(answer.rows.cells[1], "a\\b"));
	iterate_all("shared/list/o'n\\|e@ex\xc3\xa4mple/");
	assert_int_equal(row_count, 1);
	assert_true(lab_view_eq_cstr(rows[0].key, "shared/list/o'n\\|e@ex\xc3\xa4mple/a\\\\b"));
	set("shared/list/bob/empty", "");
	assert_value("shared/list/bob/empty", "");
}

LIVE_TEST(hexblobs_and_numbers_are_what_the_columns_hold)
{
	set("shared/blobs/bob/" GUID "/7/00ff", "0123456789abcdef");
	assert_value("shared/blobs/bob/" GUID "/7/00ff", "0123456789abcdef");
	assert_value("shared/blobs/bob/" GUID "/8/00ff", NULL);
	plain_execute("SELECT b, n, i FROM " KEYSPACE ".blobs WHERE u = 'bob' AND g = 0x" GUID
		      " AND b = 7");
	assert_int_equal(answer.rows.row_count, 1);
	assert_int_equal(answer.rows.cells[0].len, 4);
	assert_int_equal(answer.rows.cells[1].len, 2);
	assert_int_equal(answer.rows.cells[2].len, 8);
	set("shared/usage/bob/bytes", "-9007199254740993");
	assert_value("shared/usage/bob/bytes", "-9007199254740993");
	set("shared/usage/bob/count", "-2147483648");
	assert_value("shared/usage/bob/count", "-2147483648");
	assert_value("shared/usage/bob/bytes", "-9007199254740993");
}

LIVE_TEST(a_large_value_comes_back)
{
	size_t size = 1024 * 1024;
	char *hex = lab_arena_alloc(bed.arena, 2 * size + 1);

	for (size_t i = 0; i < 2 * size; i++)
		hex[i] = "0123456789abcdef"[(i * 7 + i / 16) % 16];
	hex[2 * size] = '\0';
	set("shared/blobs/bob/" GUID "/1/aa", hex);
	assert_value("shared/blobs/bob/" GUID "/1/aa", hex);
}

LIVE_TEST(the_newest_timestamp_wins)
{
	set_at("shared/times/bob", "1", 2000);
	assert_value("shared/times/bob", "1");
	assert_true(lab_view_eq_cstr(values.items[1], "2000"));
	set_at("shared/times/bob", "2", 1000);
	assert_value("shared/times/bob", "1");
	unset_at("shared/times/bob", 1999);
	assert_value("shared/times/bob", "1");
	set_at("shared/times/bob", "3", 2001);
	assert_value("shared/times/bob", "3");
	unset_at("shared/times/bob", 2001); /* of two alike, the delete wins */
	assert_value("shared/times/bob", NULL);
	set_at("shared/times/bob", "4", 2001);
	assert_value("shared/times/bob", NULL);
	set("shared/times/bob", "5"); /* by the clock */
	assert_value("shared/times/bob", "5");
}

/* A delete that is stamped ahead hides a later set; one that is stamped exactly does not move the
 * clock. */
LIVE_TEST(deletes_may_be_stamped_ahead)
{
	struct dict_change_options ahead = { .timestamp_offset_us = 3600u * 1000000u };

	set("shared/times/amy", "1");
	assert_int_equal(dict_unset(bed.dict, LAB_VIEW("shared/times/amy"), &ahead, &bed.err), 0);
	assert_value("shared/times/amy", NULL);
	set("shared/times/amy", "2");
	assert_value("shared/times/amy", NULL);
	set("shared/times/eve", "3");
	assert_value("shared/times/eve", "3");
}

/* ---- many rows ---- */

#define MANY 1234

struct set_many {
	const char *user;
	unsigned failed;
};

static void set_one_of_many(void *ctx, size_t index)
{
	struct set_many *many = ctx;
	char key[80], value[20];
	struct lab_error err;

	(void)snprintf(key, sizeof(key), "shared/list/%s/n%05zu", many->user, index);
	(void)snprintf(value, sizeof(value), "v%zu", index);
	many->failed += dict_set(bed.dict, lab_view_cstr(key), lab_view_cstr(value), &plain_options,
				&err) < 0;
}

LIVE_TEST(an_iteration_reads_every_page_in_order)
{
	struct dict_iterate_options options = { .limit = 150, .no_value = true, .max_rows = 1000 };
	struct set_many many = { .user = "many" };
	char expected[60];

	env_for_each(bed.env, MANY, 32, set_one_of_many, &many);
	assert_int_equal(many.failed, 0);
	iterate_all("shared/list/many/");
	assert_int_equal(row_count, MANY);
	for (size_t i = 0; i < MANY; i++) {
		(void)snprintf(expected, sizeof(expected), "shared/list/many/n%05zu", i);
		assert_true(lab_view_eq_cstr(rows[i].key, expected));
		(void)snprintf(expected, sizeof(expected), "v%zu", i);
		assert_true(lab_view_eq_cstr(rows[i].values.items[0], expected));
	}
	assert_int_equal(iterate("shared/list/many/", &options), 0);
	assert_int_equal(row_count, 150);
	assert_true(lab_view_eq_cstr(rows[149].key, "shared/list/many/n00149"));
	options = (struct dict_iterate_options){ .max_rows = MANY - 1 };
	assert_int_equal(iterate("shared/list/many/", &options), -1);
	assert_int_equal(bed.err.code, LAB_LIMIT);
	iterate_all("shared/list/nobody/");
	assert_int_equal(row_count, 0);
}

LIVE_TEST(what_cassandra_cannot_order_is_an_error)
{
	struct dict_iterate_options options = { .sort_by_key = true, .max_rows = 10 };

	assert_int_equal(iterate("shared/list/many/", &options), -1);
	assert_non_null(strstr(bed.err.message,
		"Order by is currently only supported on the clustered columns of the PRIMARY KEY, "
		"got u"));
	options = (struct dict_iterate_options){ .sort_by_value = true, .max_rows = 10 };
	assert_int_equal(iterate("shared/list/many/", &options), -1);
	assert_non_null(strstr(bed.err.message, "got v"));
}

/* ---- transactions ---- */

static void commit(const struct dict_change *changes, size_t count, bool non_atomic)
{
	struct dict_change_options options = { .non_atomic = non_atomic };

	if (dict_commit(bed.dict, changes, count, &options, &bed.err) < 0)
		fail_msg("%s", bed.err.message);
}

static void check_batches(bool non_atomic)
{
	const char *prefix = non_atomic ? "unlogged" : "logged";
	struct dict_change changes[DICT_CHANGES_MAX];

	for (size_t i = 0; i < DICT_CHANGES_MAX; i++)
		changes[i] = (struct dict_change){ .kind = DICT_CHANGE_SET,
			.key = lab_view_cstr(lab_arena_printf(
				bed.arena, "shared/list/%s%zu/k%zu", prefix, i % 9, i)),
			.value = LAB_VIEW("x") };
	commit(changes, DICT_CHANGES_MAX, non_atomic);
	for (size_t i = 0; i < DICT_CHANGES_MAX; i++) {
		assert_value(lab_arena_cstr(bed.arena, changes[i].key), "x");
		changes[i].kind = DICT_CHANGE_UNSET;
	}
	commit(changes, DICT_CHANGES_MAX / 2, non_atomic);
	for (size_t i = 0; i < DICT_CHANGES_MAX; i++)
		assert_value(lab_arena_cstr(bed.arena, changes[i].key),
			i < DICT_CHANGES_MAX / 2 ? NULL : "x");
}

LIVE_TEST(batches_change_every_row)
{
	check_batches(false);
	check_batches(true);
}

LIVE_TEST(sets_of_one_row_are_one_insert)
{
	const struct dict_change changes[] = {
		{ DICT_CHANGE_SET, LAB_VIEW("shared/usage/amy/bytes"), LAB_VIEW("100"), 0 },
		{ DICT_CHANGE_SET, LAB_VIEW("shared/usage/amy/count"), LAB_VIEW("3"), 0 },
	};

	commit(changes, LAB_COUNT_OF(changes), false);
	plain_execute("SELECT bytes, count, writetime(bytes), writetime(count) FROM " KEYSPACE
		      ".usage WHERE u = 'amy'");
	assert_int_equal(answer.rows.row_count, 1);
	assert_true(lab_view_eq(answer.rows.cells[2], answer.rows.cells[3]));
	assert_value("shared/usage/amy/bytes", "100");
	assert_value("shared/usage/amy/count", "3");
}

static void increment(void *ctx, size_t index)
{
	struct set_many *many = ctx;
	struct lab_error err;

	many->failed += dict_atomic_inc(bed.dict, LAB_VIEW("shared/hits/bob"),
				index % 2 == 0 ? 3 : -1, &plain_options, &err) < 0;
}

LIVE_TEST(increments_add_up)
{
	struct set_many many = { 0 };
	int64_t sum = 0;

	env_for_each(bed.env, 200, 8, increment, &many);
	assert_int_equal(many.failed, 0);
	plain_execute("SELECT n FROM " KEYSPACE ".hits WHERE u = 'bob'");
	assert_int_equal(answer.rows.row_count, 1);
	assert_int_equal(cql_value_to_i64(CQL_TYPE_COUNTER, answer.rows.cells[0], &sum), 0);
	assert_int_equal(sum, 200);
	/* driver-cassandra hands out counters as their bytes (cql-imds 3.1). */
	assert_int_equal(lookup("shared/hits/bob"), 1);
	assert_int_equal(values.items[0].len, 8);
	assert_int_equal(values.items[0].ptr[7], 200);
}

/* ---- rows that go by themselves ---- */

LIVE_TEST(rows_expire)
{
	struct dict_change_options soon = { .expire_secs = 2 }, late = { .expire_secs = 600 };

	assert_int_equal(
		dict_set(bed.dict, LAB_VIEW("shared/login/bob/h1"), LAB_VIEW("x"), &soon, &bed.err),
		0);
	assert_int_equal(
		dict_set(bed.dict, LAB_VIEW("shared/login/bob/h2"), LAB_VIEW("x"), &late, &bed.err),
		0);
	set("shared/login/bob/h3", "x");
	set("shared/brief/bob", "x"); /* the table's default_time_to_live */
	assert_value("shared/login/bob/h1", "x");
	assert_value("shared/brief/bob", "x");
	plain_execute(
		"INSERT INTO " KEYSPACE ".list (u, n, v) VALUES ('ttl', 'a', 'x') USING TTL 2");
	plain_execute("INSERT INTO " KEYSPACE ".list (u, n, v) VALUES ('ttl', 'b', 'x')");
	iterate_all("shared/list/ttl/");
	assert_int_equal(row_count, 2);
	env_sleep(bed.env, 3200 * LAB_MSEC);
	assert_value("shared/login/bob/h1", NULL);
	assert_value("shared/login/bob/h2", "x");
	assert_value("shared/login/bob/h3", "x");
	assert_value("shared/brief/bob", NULL);
	iterate_all("shared/list/ttl/");
	assert_int_equal(row_count, 1);
	assert_true(lab_view_eq_cstr(rows[0].key, "shared/list/ttl/b"));
}

/* ---- errors ---- */

static void check_set_fails(const char *key, const char *value, const char *expected)
{
	assert_int_equal(dict_set(bed.dict, lab_view_cstr(key), lab_view_cstr(value),
				 &plain_options, &bed.err),
		-1);
	assert_int_not_equal(bed.err.code, LAB_UNCERTAIN);
	if (strstr(bed.err.message, expected) == NULL)
		fail_msg("%s: %s", key, bed.err.message);
}

LIVE_TEST(certain_failures_are_certain)
{
	check_set_fails("shared/nothing/x", "1", "Invalid/unmapped key: shared/nothing/x");
	check_set_fails("shared/none/bob", "1", "no_table");
	check_set_fails("shared/usage/bob/count", "2147483648", "");
	check_set_fails("shared/usage/bob/count", "many", "");
	check_set_fails("shared/blobs/bob/" GUID "/7/zz", "00", "");
	/* After all of which the connection still does. */
	set("shared/list/bob/after", "all");
	assert_value("shared/list/bob/after", "all");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_is_set_found_and_unset),
		cmocka_unit_test(odd_keys_and_values_come_back),
		cmocka_unit_test(hexblobs_and_numbers_are_what_the_columns_hold),
		cmocka_unit_test(a_large_value_comes_back),
		cmocka_unit_test(the_newest_timestamp_wins),
		cmocka_unit_test(deletes_may_be_stamped_ahead),
		cmocka_unit_test(an_iteration_reads_every_page_in_order),
		cmocka_unit_test(what_cassandra_cannot_order_is_an_error),
		cmocka_unit_test(batches_change_every_row),
		cmocka_unit_test(sets_of_one_row_are_one_insert),
		cmocka_unit_test(increments_add_up),
		cmocka_unit_test(rows_expire),
		cmocka_unit_test(certain_failures_are_certain),
	};

	return cmocka_run_group_tests_name("live-dict", tests, group_setup, group_teardown);
}

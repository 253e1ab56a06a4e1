/* SPDX-License-Identifier: Apache-2.0
 *
 * The dict on Cassandra, end to end: dict keys in, rows of the emulated cluster out, with what can
 * go wrong in between. Each test runs in the simulated world and over sockets.
 */
#include "scenarios/runner/testing-cassandra.h"

#include "core/dict/test-maps.h"

#define USAGE_MAP(field) TEST_MAP("quota/$user/" field, "usage", field, "int", "  u = $user\n")
#define MAPS \
	USAGE_MAP("bytes") \
	USAGE_MAP("count") \
	TEST_MAP("hits/$user", "hits", "n", "int", "  u = $user\n") \
	"map {\n pattern = shared/login/$user/$host\n table = login\n value_field = v\n" \
	" expire_field = e\n fields {\n u = $user\n h = $host\n }\n}\n" TEST_MAP( \
		"list/$user/$name", "list", "v", "string", "  u = $user\n  n = $name\n")

#define OLD \
	"connect = host=127.0.0.21 host=127.0.0.22 host=127.0.0.23 keyspace=mails " \
	"request_timeout=500ms log_level=critical\n" MAPS
#define NEW_OF(keyspace) \
	"cassandra_hosts = 127.0.0.21 127.0.0.22 127.0.0.23\n" \
	"cassandra_keyspace = " keyspace "\ncassandra_request_timeout = 500ms\n" \
	"cassandra_discover_peers = yes\ncassandra_log_level = critical\n"
#define NEW NEW_OF("mails") MAPS

#define IN_WORLD(name, world, live, config, defects) \
	static void name##_##world(void **state) \
	{ \
		(void)state; \
		c_run(live, config, defects, name##_body); \
	}
#define SIM(name, config, defects) \
	static void name##_body(struct c_bed *bed); \
	IN_WORLD(name, sim, false, config, defects) \
	static void name##_body(struct c_bed *bed)
#define BOTH(name, config, defects) \
	static void name##_body(struct c_bed *bed); \
	IN_WORLD(name, sim, false, config, defects) \
	IN_WORLD(name, live, true, config, defects) \
	static void name##_body(struct c_bed *bed)

/* ---- operations ---- */

static int set(struct c_bed *bed, const char *key, const char *value)
{
	struct dict_change_options options = { 0 };

	return dict_set(bed->dict, lab_view_cstr(key), lab_view_cstr(value), &options, &bed->err);
}

static int unset(struct c_bed *bed, const char *key)
{
	struct dict_change_options options = { 0 };

	return dict_unset(bed->dict, lab_view_cstr(key), &options, &bed->err);
}

static int lookup(struct c_bed *bed, const char *key)
{
	return dict_lookup(bed->dict, lab_view_cstr(key), bed->arena, &bed->values, &bed->err);
}

static int commit(struct c_bed *bed, struct dict_change a, struct dict_change b)
{
	const struct dict_change changes[] = { a, b };
	struct dict_change_options options = { 0 };

	return dict_commit(bed->dict, changes, 2, &options, &bed->err);
}

static struct dict_change set_of(const char *key, const char *value)
{
	return (struct dict_change){
		.kind = DICT_CHANGE_SET, .key = lab_view_cstr(key), .value = lab_view_cstr(value)
	};
}

static void must(struct c_bed *bed, int result, int expected)
{
	if (result != expected)
		fail_msg("%d instead of %d: %s", result, expected, bed->err.message);
}

static void must_fail(struct c_bed *bed, int result, enum lab_code code, const char *says)
{
	assert_int_equal(result, -1);
	if (bed->err.code != code || strstr(bed->err.message, says) == NULL)
		fail_msg("%s instead of %s: \"%s\" (\"%s\")", lab_code_name(bed->err.code),
			lab_code_name(code), bed->err.message, says);
}

/* ---- transactions ---- */

BOTH(several_changes_are_one_logged_batch, NEW, LAB_NO_DEFECTS)
{
	must(bed,
		commit(bed, set_of("shared/quota/bob/bytes", "100"),
			set_of("shared/quota/amy/bytes", "7")),
		0);
	assert_int_equal(c_rows(bed, "mails.usage", "bytes"), 2);
	/* One statement of the driver, one time. */
	assert_true(c_look.timestamp_us[0] == c_look.timestamp_us[1]);
	const unsigned *asked = c_asked(bed, "BATCH");
	assert_int_equal(asked[1] + asked[2] + asked[3], 1);
	asked = c_asked(bed, "INSERT");
	assert_int_equal(asked[1] + asked[2] + asked[3], 0);
	must(bed, lookup(bed, "shared/quota/amy/bytes"), 1);
	assert_true(lab_view_eq_cstr(bed->values.items[0], "7"));
	/* Sets of one row are one statement, not a batch. */
	must(bed,
		commit(bed, set_of("shared/quota/bob/bytes", "1"),
			set_of("shared/quota/bob/count", "2")),
		0);
	asked = c_asked(bed, "INSERT");
	assert_int_equal(asked[1] + asked[2] + asked[3], 1);
}

BOTH(before_24_a_transaction_is_one_statement, OLD, LAB_NO_DEFECTS)
{
	must_fail(bed,
		commit(bed, set_of("shared/quota/bob/bytes", "100"),
			set_of("shared/quota/amy/bytes", "7")),
		LAB_INVALID, "Multiple changes in transaction not supported");
	assert_int_equal(c_rows(bed, "mails.usage", NULL), 0);
	must(bed, set(bed, "shared/quota/bob/bytes", "100"), 0);
	assert_int_equal(c_rows(bed, "mails.usage", NULL), 1);
}

BOTH(a_batch_is_all_or_nothing_or_uncertain, NEW, LAB_NO_DEFECTS)
{
	const struct sim_fault nothing = { .kind = SIM_FAULT_FAIL, .status = 0x1100 },
			       everything = { .kind = SIM_FAULT_ALTER_REPLY, .status = 0x1100 };

	c_fail(bed, "cql.write", nothing, 1);
	must_fail(bed,
		commit(bed, set_of("shared/quota/bob/bytes", "100"),
			set_of("shared/quota/amy/bytes", "7")),
		LAB_UNCERTAIN, "<batch query>");
	assert_int_equal(c_fired(bed), 1);
	assert_int_equal(c_rows(bed, "mails.usage", NULL), 0);
	c_fail(bed, "cql.write", everything, 1);
	must_fail(bed,
		commit(bed, set_of("shared/quota/bob/bytes", "100"),
			set_of("shared/quota/amy/bytes", "7")),
		LAB_UNCERTAIN, "<batch query>");
	assert_int_equal(c_fired(bed), 1);
	assert_int_equal(c_rows(bed, "mails.usage", NULL), 2);
}

BOTH(counters_count, NEW, LAB_NO_DEFECTS)
{
	const int64_t diffs[] = { 5, 5, -2 };
	struct dict_change_options options = { 0 };

	for (size_t i = 0; i < LAB_COUNT_OF(diffs); i++)
		must(bed,
			dict_atomic_inc(bed->dict, LAB_VIEW("shared/hits/bob"), diffs[i], &options,
				&bed->err),
			0);
	must(bed, lookup(bed, "shared/hits/bob"), 1);
	/* What driver-cassandra makes of a counter: its bytes (cql-imds 3.1). */
	assert_true(lab_view_eq(bed->values.items[0], lab_view_of("\0\0\0\0\0\0\0\10", 8)));
	/* Counted, but nobody knows: repeating it would count twice. */
	c_fail(bed, "cql.write",
		(struct sim_fault){ .kind = SIM_FAULT_ALTER_REPLY, .status = 0x1100 }, 1);
	must_fail(bed,
		dict_atomic_inc(bed->dict, LAB_VIEW("shared/hits/bob"), 1, &options, &bed->err),
		LAB_UNCERTAIN, "sql dict: commit failed");
	assert_int_equal(c_fired(bed), 1);
	must(bed, lookup(bed, "shared/hits/bob"), 1);
	assert_true(lab_view_eq(bed->values.items[0], lab_view_of("\0\0\0\0\0\0\0\11", 8)));
}

BOTH(rows_expire, NEW, LAB_NO_DEFECTS)
{
	struct dict_change_options options = { .expire_secs = 2 };

	must(bed,
		dict_set(bed->dict, LAB_VIEW("shared/login/bob/h1"), LAB_VIEW("now"), &options,
			&bed->err),
		0);
	must(bed, set(bed, "shared/login/bob/h2", "for ever"), 0);
	must(bed, lookup(bed, "shared/login/bob/h1"), 1);
	assert_true(lab_view_eq_cstr(bed->values.items[0], "now"));
	env_sleep(bed->env, 3 * LAB_SEC);
	must(bed, lookup(bed, "shared/login/bob/h1"), 0);
	must(bed, lookup(bed, "shared/login/bob/h2"), 1);
	/* The column says so; the row is still there (obox 3.6: no TTL). */
	assert_int_equal(c_rows(bed, "mails.login", NULL), 2);
}

/* ---- pages ---- */

static void put_list(struct c_bed *bed, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		must(bed,
			set(bed, lab_arena_printf(bed->arena, "shared/list/bob/%02u", i),
				lab_arena_printf(bed->arena, "v%u", i)),
			0);
}

static void check_list(struct c_bed *bed, unsigned count)
{
	const struct dict_iterate_options options = { .max_rows = 100 };

	must(bed,
		dict_iterate(bed->dict, LAB_VIEW("shared/list/bob/"), &options, bed->arena,
			&bed->rows, &bed->row_count, &bed->err),
		0);
	assert_int_equal(bed->row_count, count);
	for (unsigned i = 0; i < count; i++) {
		assert_true(lab_view_eq_cstr(
			bed->rows[i].key, lab_arena_printf(bed->arena, "shared/list/bob/%02u", i)));
		assert_true(lab_view_eq_cstr(
			bed->rows[i].values.items[0], lab_arena_printf(bed->arena, "v%u", i)));
	}
}

#define PAGED NEW_OF("mails") "cassandra_page_size = 10\n" MAPS
BOTH(long_lists_come_in_pages, PAGED, LAB_NO_DEFECTS)
{
	put_list(bed, 25);
	c_forget(bed);
	check_list(bed, 25);
	const unsigned *asked = c_asked(bed, "SELECT");
	assert_int_equal(asked[1] + asked[2] + asked[3], 3);
	/* A page that is lost is no end of the list. */
	c_fail(bed, "cql.read", (struct sim_fault){ .kind = SIM_FAULT_LOSE_REPLY }, 1);
	check_list(bed, 25);
	assert_int_equal(c_fired(bed), 1);
}

/* ---- who is asked ---- */

#define SINGLE \
	NEW_OF("single") \
	TEST_MAP("list/$user/$name", "list", "v", "string", "  u = $user\n  n = $name\n")

static size_t replica_of;
static const char *replica_key;
static void find_replica(void *arg)
{
	size_t nodes[CQLEMU_NODES_MAX];

	assert_int_equal(cqlemu_replicas(((struct c_bed *)arg)->emu, LAB_VIEW("single.list"),
				 lab_view_cstr(replica_key), nodes, NULL),
		1);
	replica_of = nodes[0] + 1;
}

BOTH(the_replica_of_a_row_is_its_coordinator, SINGLE, LAB_NO_DEFECTS)
{
	bool seen[C_NODES + 1] = { false };

	/* Prepared on the way, so that its partition key is known. */
	must(bed, set(bed, "shared/list/warm/up", "v"), 0);
	for (unsigned i = 0; i < 24; i++) {
		const char *user = lab_arena_printf(bed->arena, "user%u", i);

		c_forget(bed);
		must(bed, set(bed, lab_arena_printf(bed->arena, "shared/list/%s/n", user), "v"), 0);
		replica_key = user;
		c_call(bed, find_replica);
		assert_int_equal(c_asked(bed, "INSERT")[replica_of], 1);
		seen[replica_of] = true;
	}
	assert_true(seen[1] && seen[2] && seen[3] && !seen[4]);
}

BOTH(another_data_centre_is_never_asked, NEW, LAB_NO_DEFECTS)
{
	for (unsigned i = 0; i < 12; i++)
		must(bed, set(bed, lab_arena_printf(bed->arena, "shared/list/bob/%u", i), "v"), 0);
	const unsigned *asked = c_asked(bed, "INSERT");
	assert_int_equal(asked[4], 0);
	assert_int_equal(asked[1] + asked[2] + asked[3], 12);
	assert_true(asked[1] > 0 && asked[2] > 0 && asked[3] > 0);
	/* It has its replica all the same. */
	assert_int_equal(c_rows(bed, "mails.list", NULL), 12);
	assert_int_equal(c_look.replicas, 4);
	for (unsigned node = 1; node <= 3; node++)
		c_node(bed, node, cqlemu_node_stop);
	env_sleep(bed->env, 100 * LAB_MSEC);
	must_fail(bed, set(bed, "shared/list/bob/late", "v"), LAB_UNAVAILABLE,
		"All hosts in current policy attempted");
	assert_int_equal(c_asked(bed, "INSERT")[4], 0);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 12);
}

#define SPECULATIVE \
	NEW_OF("mails") \
	"cassandra_execution_retry_interval = 50ms\ncassandra_execution_retry_times = 2\n" MAPS
BOTH(a_frozen_coordinator_is_overtaken, SPECULATIVE, LAB_NO_DEFECTS)
{
	uint64_t slowest = 0;

	must(bed, set(bed, "shared/list/warm/up", "v"), 0);
	must(bed, unset(bed, "shared/list/warm/up"), 0);
	c_node(bed, 2, cqlemu_node_freeze);
	for (unsigned i = 0; i < 6; i++) {
		uint64_t began = env_now(bed->env);

		must(bed, set(bed, "shared/list/bob/n", "v"), 0);
		slowest = LAB_MAX(slowest, env_now(bed->env) - began);
	}
	assert_true(slowest >= 50 * LAB_MSEC && slowest < 450 * LAB_MSEC);
	c_node(bed, 2, cqlemu_node_thaw);
	env_sleep(bed->env, 500 * LAB_MSEC);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 1);
}

#define AWARE NEW_OF("mails") "cassandra_latency_aware_routing = yes\n" MAPS
BOTH(a_slow_node_is_asked_last, AWARE, LAB_NO_DEFECTS)
{
	c_faults(bed,
		&(struct c_script){ .point = "cql.read",
			.instance = "node-2",
			.fault = { .kind = SIM_FAULT_DELAY, .delay_ns = 60 * LAB_MSEC },
			.left = 100000 },
		1);
	for (unsigned i = 0; i < 160; i++)
		must(bed, lookup(bed, "shared/list/bob/n"), 0);
	assert_true(c_fired(bed) >= 50);
	env_sleep(bed->env, 200 * LAB_MSEC);
	must(bed, lookup(bed, "shared/list/bob/n"), 0);
	c_forget(bed);
	for (unsigned i = 0; i < 20; i++)
		must(bed, lookup(bed, "shared/list/bob/n"), 0);
	/* A busy machine may slow the others down, now and then. */
	assert_true(c_asked(bed, "SELECT")[2] <= (bed->is_live ? 3U : 0U));
}

#define METERED NEW_OF("mails") "cassandra_metrics_path = /metrics.json\n" MAPS
BOTH(metrics_are_of_what_the_cluster_answered, METERED, LAB_NO_DEFECTS)
{
	struct lab_view text;

	for (unsigned i = 0; i < 5; i++)
		must(bed, set(bed, "shared/list/bob/n", "v"), 0);
	c_fail(bed, "cql.write", (struct sim_fault){ .kind = SIM_FAULT_FAIL, .status = 0x1100 }, 1);
	must_fail(bed, set(bed, "shared/list/bob/n", "v"), LAB_UNCERTAIN, "");
	env_sleep(bed->env, 2200 * LAB_MSEC);
	must(bed, env_file_load(bed->env, "/metrics.json", 65536, bed->arena, &text, &bed->err), 0);
	assert_true(lab_view_find(text, LAB_VIEW("\"sent\": 6")) != SIZE_MAX);
	assert_true(lab_view_find(text, LAB_VIEW("\"recv_ok\": 5")) != SIZE_MAX);
	assert_true(lab_view_find(text, LAB_VIEW("\"recv_err_server_timeout\": 1")) != SIZE_MAX);
	/* Three local nodes, and the one of dc2. */
	assert_true(lab_view_find(text, LAB_VIEW("\"total_connections\": 4")) != SIZE_MAX);
}

/* ---- what goes wrong, what the caller is told, and what is there in the end ---- */

enum holds {
	NO,
	YES,
	LATER /* not yet */
};

static const struct trouble {
	const char *name;
	struct sim_fault fault;
	unsigned times;
	enum lab_code code; /* LAB_OK: it went well */
	const char *says;
	enum holds holds;
} troubles[] = {
	{ "write timeout, nowhere", { .kind = SIM_FAULT_FAIL, .status = 0x1100 }, 1, LAB_UNCERTAIN,
		"Operation timed out", NO },
	{ "write timeout, one replica",
		{ .kind = SIM_FAULT_PARTLY, .status = 0x1100, .replicas = 1 }, 1, LAB_UNCERTAIN,
		"Operation timed out", YES },
	{ "write timeout, everywhere", { .kind = SIM_FAULT_ALTER_REPLY, .status = 0x1100 }, 1,
		LAB_UNCERTAIN, "Operation timed out", YES },
	{ "write timeout, later",
		{ .kind = SIM_FAULT_LATE, .status = 0x1100, .delay_ns = 600 * LAB_MSEC }, 1,
		LAB_UNCERTAIN, "Operation timed out", LATER },
	{ "write failure", { .kind = SIM_FAULT_FAIL, .status = 0x1500 }, 1, LAB_UNCERTAIN,
		"failures", NO },
	{ "overloaded once", { .kind = SIM_FAULT_REFUSE, .status = 0x1001 }, 1, LAB_OK, NULL, YES },
	{ "overloaded everywhere", { .kind = SIM_FAULT_REFUSE, .status = 0x1001 }, 100,
		LAB_UNAVAILABLE, "All hosts in current policy attempted", NO },
	{ "unavailable once", { .kind = SIM_FAULT_REFUSE, .status = 0x1000 }, 1, LAB_OK, NULL,
		YES },
	{ "unavailable everywhere", { .kind = SIM_FAULT_REFUSE, .status = 0x1000 }, 100,
		LAB_UNCERTAIN, "Cannot achieve consistency level", NO },
	{ "bootstrapping once", { .kind = SIM_FAULT_REFUSE, .status = 0x1002 }, 1, LAB_OK, NULL,
		YES },
	{ "unprepared once", { .kind = SIM_FAULT_REFUSE, .status = 0x2500 }, 1, LAB_OK, NULL, YES },
	{ "reply lost once", { .kind = SIM_FAULT_LOSE_REPLY }, 1, LAB_OK, NULL, YES },
	{ "reply lost everywhere", { .kind = SIM_FAULT_LOSE_REPLY }, 100, LAB_UNCERTAIN,
		"All hosts in current policy attempted", YES },
	{ "request lost everywhere", { .kind = SIM_FAULT_RESET }, 100, LAB_UNCERTAIN,
		"All hosts in current policy attempted", NO },
	{ "silence before", { .kind = SIM_FAULT_STALL }, 1, LAB_UNCERTAIN, "Request timed out",
		NO },
	{ "silence behind", { .kind = SIM_FAULT_STALL_REPLY }, 1, LAB_UNCERTAIN,
		"Request timed out", YES },
	{ "slow", { .kind = SIM_FAULT_DELAY, .delay_ns = 300 * LAB_MSEC }, 1, LAB_OK, NULL, YES },
};

static void live_through(struct c_bed *bed, const struct trouble *t, unsigned i)
{
	const char *key = lab_arena_printf(bed->arena, "shared/list/user%u/n", i);
	size_t before = c_rows(bed, "mails.list", NULL);
	int result;

	c_fail(bed, "cql.write", t->fault, t->times);
	result = set(bed, key, "v");
	if ((t->code == LAB_OK) != (result == 0))
		fail_msg("%s: %s", t->name, result == 0 ? "ok" : bed->err.message);
	if (result < 0)
		must_fail(bed, result, t->code, t->says);
	if (c_fired(bed) == 0)
		fail_msg("%s: nothing went wrong", t->name);
	c_faults(bed, NULL, 0);
	if (c_rows(bed, "mails.list", NULL) - before != (t->holds == YES ? 1 : 0))
		fail_msg("%s: the row is %s", t->name, t->holds == YES ? "missing" : "there");
	if (t->holds == LATER) {
		env_sleep(bed->env, LAB_SEC);
		assert_int_equal(c_rows(bed, "mails.list", NULL) - before, 1);
	}
	/* Whatever was broken is mended before the next one. */
	for (unsigned n = 0; n < 60 && cql_client_connected(bed->client) < 4; n++)
		env_sleep(bed->env, 100 * LAB_MSEC);
	assert_int_equal(cql_client_connected(bed->client), 4);
}

BOTH(a_write_is_done_or_not_or_uncertain, NEW, LAB_NO_DEFECTS)
{
	must(bed, set(bed, "shared/list/warm/up", "v"), 0);
	for (unsigned i = 0; i < LAB_COUNT_OF(troubles); i++)
		live_through(bed, &troubles[i], i);
}

BOTH(reads_fail_or_go_elsewhere, NEW, LAB_NO_DEFECTS)
{
	must(bed, set(bed, "shared/list/bob/n", "v"), 0);
	c_fail(bed, "cql.read", (struct sim_fault){ .kind = SIM_FAULT_FAIL, .status = 0x1200 },
		100);
	must_fail(bed, lookup(bed, "shared/list/bob/n"), LAB_TIMEOUT, "Operation timed out");
	assert_true(c_fired(bed) > 0);
	c_fail(bed, "cql.read", (struct sim_fault){ .kind = SIM_FAULT_REFUSE, .status = 0x1001 },
		2);
	must(bed, lookup(bed, "shared/list/bob/n"), 1);
	assert_int_equal(c_fired(bed), 2);
	c_fail(bed, "cql.read", (struct sim_fault){ .kind = SIM_FAULT_CORRUPT }, 1);
	must(bed, lookup(bed, "shared/list/bob/n"), 1);
	assert_int_equal(c_fired(bed), 1);
}

/* ---- nodes ---- */

static struct cqlemu_counters counted;
static void count(void *arg)
{
	cqlemu_counters(((struct c_bed *)arg)->emu, &counted);
}

static void forget_all(void *arg)
{
	for (size_t i = 0; i < C_NODES; i++)
		cqlemu_node_forget_prepared(((struct c_bed *)arg)->emu, i);
}

BOTH(forgotten_statements_are_prepared_again, NEW, LAB_NO_DEFECTS)
{
	must(bed, set(bed, "shared/list/bob/1", "v"), 0);
	c_call(bed, forget_all);
	for (unsigned i = 0; i < 6; i++)
		must(bed, set(bed, "shared/list/bob/2", "v"), 0);
	c_call(bed, count);
	assert_true(counted.unprepared > 0);
	/* The same by killing all of them, one after the other. */
	for (unsigned node = 1; node <= 3; node++) {
		c_node(bed, node, cqlemu_node_kill);
		must(bed, set(bed, "shared/list/bob/3", "v"), 0);
		c_node(bed, node, cqlemu_node_start);
		for (unsigned n = 0; n < 60 && cql_client_connected(bed->client) < 4; n++)
			env_sleep(bed->env, 100 * LAB_MSEC);
	}
	assert_int_equal(cql_client_connected(bed->client), 4);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 3);
}

BOTH(a_frozen_coordinator_leaves_it_uncertain_and_does_it_later, NEW, LAB_NO_DEFECTS)
{
	unsigned uncertain = 0;

	must(bed, set(bed, "shared/list/warm/up", "v"), 0);
	c_node(bed, 3, cqlemu_node_freeze);
	for (unsigned i = 0; i < 3; i++) {
		int result = set(bed, lab_arena_printf(bed->arena, "shared/list/bob/%u", i), "v");

		if (result < 0)
			must_fail(bed, result, LAB_UNCERTAIN, "Request timed out");
		uncertain += result < 0;
	}
	/* Hosts take turns: one of three met it. */
	assert_int_equal(uncertain, 1);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 3);
	c_node(bed, 3, cqlemu_node_thaw);
	env_sleep(bed->env, 500 * LAB_MSEC);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 4);
}

BOTH(without_a_quorum_nothing_is_written, NEW, LAB_NO_DEFECTS)
{
	must(bed, set(bed, "shared/list/bob/1", "v"), 0);
	c_node(bed, 2, cqlemu_node_stop);
	c_node(bed, 3, cqlemu_node_stop);
	env_sleep(bed->env, 200 * LAB_MSEC);
	/* Unavailable, and no other host to ask. Nothing was written; driver-cassandra calls it
	 * uncertain all the same (obox 3.8). */
	must_fail(bed, set(bed, "shared/list/bob/2", "v"), LAB_UNCERTAIN,
		"All hosts in current policy attempted");
	must_fail(bed, lookup(bed, "shared/list/bob/1"), LAB_UNAVAILABLE,
		"All hosts in current policy attempted");
	assert_int_equal(c_rows(bed, "mails.list", NULL), 1);
	c_node(bed, 2, cqlemu_node_start);
	env_sleep(bed->env, LAB_SEC);
	must(bed, set(bed, "shared/list/bob/2", "v"), 0);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 2);
}

/* ---- hazards ---- */

#define FALLBACK \
	NEW_OF("mails") \
	"cassandra_write_consistency = each-quorum\n" \
	"cassandra_write_fallback_consistency = local-quorum\n" MAPS

static void primary_in_doubt(struct c_bed *bed)
{
	const struct c_script scripts[] = {
		{ .point = "cql.write",
			.fault = { .kind = SIM_FAULT_ALTER_REPLY, .status = 0x1100 },
			.left = 1 },
		{ .point = "cql.write",
			.fault = { .kind = SIM_FAULT_REFUSE, .status = 0x1001 },
			.left = 100 },
	};

	must(bed, set(bed, "shared/list/warm/up", "v"), 0);
	c_faults(bed, scripts, 2);
}

BOTH(a_fallback_that_failed_does_not_make_it_certain, FALLBACK, LAB_NO_DEFECTS)
{
	primary_in_doubt(bed);
	must_fail(bed, set(bed, "shared/list/bob/n", "v"), LAB_UNCERTAIN, "");
	assert_true(c_fired(bed) >= 2);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 2);
}

BOTH(hazard_1_takes_what_is_there_for_certainly_failed, FALLBACK,
	LAB_DEFECT(FALLBACK_HIDES_UNCERTAIN))
{
	primary_in_doubt(bed);
	must_fail(bed, set(bed, "shared/list/bob/n", "v"), LAB_UNAVAILABLE, "");
	assert_true(c_fired(bed) >= 2);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 2);
}

BOTH(hazard_2_takes_what_is_there_for_certainly_failed, NEW, LAB_DEFECT(NO_HOSTS_CERTAIN))
{
	must(bed, set(bed, "shared/list/warm/up", "v"), 0);
	c_fail(bed, "cql.write", (struct sim_fault){ .kind = SIM_FAULT_LOSE_REPLY }, 100);
	must_fail(bed, set(bed, "shared/list/bob/n", "v"), LAB_UNAVAILABLE,
		"All hosts in current policy attempted");
	assert_true(c_fired(bed) > 0);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 2);
}

/* ---- proxy:dict-async ---- */

static enum dict_hop_fault hop;
static unsigned hop_left;
static enum dict_hop_fault next_hop(void *ctx, struct env *env, struct lab_view key)
{
	(void)ctx;
	(void)env;
	(void)key;
	if (hop_left == 0)
		return DICT_HOP_OK;
	hop_left--;
	return hop;
}

static void hop_fails(enum dict_hop_fault fault, unsigned times)
{
	hop = fault;
	hop_left = times;
}

BOTH(the_hop_loses_requests_and_replies, NEW, LAB_NO_DEFECTS)
{
	dict_proxy_open(bed->env, bed->dict, next_hop, NULL, &bed->dict);
	hop_fails(DICT_HOP_LOSE_REQUEST, 1);
	must_fail(bed, set(bed, "shared/list/bob/1", "v"), LAB_UNCERTAIN,
		"Connection lost to dict server");
	assert_int_equal(hop_left, 0);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 0);
	hop_fails(DICT_HOP_LOSE_REPLY, 1);
	must_fail(bed, set(bed, "shared/list/bob/1", "v"), LAB_UNCERTAIN,
		"Connection lost to dict server");
	assert_int_equal(hop_left, 0);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 1);
	/* Reads are asked once more, and not twice. */
	hop_fails(DICT_HOP_LOSE_REPLY, 1);
	must(bed, lookup(bed, "shared/list/bob/1"), 1);
	assert_int_equal(hop_left, 0);
	hop_fails(DICT_HOP_LOSE_REQUEST, 2);
	must_fail(
		bed, lookup(bed, "shared/list/bob/1"), LAB_RESET, "Connection lost to dict server");
}

/* Thirty seconds: in virtual time only. */
#define PATIENT "cassandra_hosts = 127.0.0.21\ncassandra_keyspace = mails\n" MAPS
SIM(the_dict_client_gives_up_after_30_s, PATIENT, LAB_NO_DEFECTS)
{
	uint64_t began = env_now(bed->env);

	must(bed, set(bed, "shared/list/warm/up", "v"), 0);
	c_fail(bed, "cql.write", (struct sim_fault){ .kind = SIM_FAULT_STALL_REPLY }, 1);
	began = env_now(bed->env);
	must_fail(bed, set(bed, "shared/list/bob/1", "v"), LAB_UNCERTAIN,
		"Dict server timeout: No input for 30.000 secs (1 commands pending, oldest sent "
		"30.000 secs ago: Sshared/list/bob/1)");
	assert_int_equal(env_now(bed->env) - began, 30 * LAB_SEC);
	assert_int_equal(c_fired(bed), 1);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 2);
	/* The hop has the same limit, of its own. */
	dict_proxy_open(bed->env, bed->dict, next_hop, NULL, &bed->dict);
	hop_fails(DICT_HOP_STALL_REPLY, 1);
	began = env_now(bed->env);
	must_fail(bed, set(bed, "shared/list/bob/2", "v"), LAB_UNCERTAIN, "Dict server timeout: ");
	assert_int_equal(env_now(bed->env) - began, 30 * LAB_SEC);
	assert_int_equal(c_rows(bed, "mails.list", NULL), 3);
}

/* ---- the nth thing that may fail does ---- */

static struct c_script sweep;
static bool sweep_fired;
static unsigned sweep_lies; /* certainly failed, but there */

/* One change, from connecting to the answer, and then whether all is well again. */
static void swept_change(struct c_bed *bed)
{
	int result = set(bed, "shared/list/bob/n", "v");
	size_t rows = c_rows(bed, "mails.list", NULL);

	if (result == 0 && rows != 1)
		fail_msg("done, but it is not there");
	bool is_certain = result < 0 && bed->err.code != LAB_UNCERTAIN;
	sweep_lies += is_certain && rows != 0;
	sweep_fired = c_fired(bed) > 0;
	c_faults(bed, NULL, 0);
	/* What never happened does not happen later. */
	env_sleep(bed->env, 3 * LAB_SEC);
	sweep_lies += is_certain && rows == 0 && c_rows(bed, "mails.list", NULL) != 0;
	for (unsigned n = 0; n < 100 && cql_client_connected(bed->client) < 4; n++)
		env_sleep(bed->env, LAB_SEC);
	assert_int_equal(cql_client_connected(bed->client), 4);
	must(bed, set(bed, "shared/list/bob/n", "w"), 0);
	assert_int_equal(c_rows(bed, "mails.list", "v"), 1);
	assert_string_equal(c_look.value, "w");
	must(bed, lookup(bed, "shared/list/bob/n"), 1);
}

static unsigned sweep_through(
	struct sim_fault fault, unsigned times, const char *config, struct lab_defects defects)
{
	unsigned n = 0;

	do {
		sweep = (struct c_script){ .fault = fault, .skip = n++, .left = times };
		c_run_faulty(config, defects, &sweep, swept_change);
	} while (sweep_fired);
	return n - 1;
}

static void any_step_may_fail_sim(void **state)
{
	static const struct sim_fault faults[] = {
		{ .kind = SIM_FAULT_RESET },
		{ .kind = SIM_FAULT_LOSE_REPLY },
		{ .kind = SIM_FAULT_STALL },
		{ .kind = SIM_FAULT_STALL_REPLY },
		{ .kind = SIM_FAULT_CORRUPT },
		{ .kind = SIM_FAULT_FAIL },
		{ .kind = SIM_FAULT_REFUSE },
		{ .kind = SIM_FAULT_DELAY, .delay_ns = 700 * LAB_MSEC },
		{ .kind = SIM_FAULT_LATE, .delay_ns = 700 * LAB_MSEC },
	};

	(void)state;
	sweep_lies = 0;
	for (size_t i = 0; i < LAB_COUNT_OF(faults); i++) {
		/* Four connections, three prepares or more, and the statement. */
		assert_true(sweep_through(faults[i], 1, NEW, LAB_NO_DEFECTS) >= 6);
		assert_true(sweep_through(faults[i], 1000, NEW, LAB_NO_DEFECTS) >= 6);
		assert_true(sweep_through(faults[i], 1, SPECULATIVE, LAB_NO_DEFECTS) >= 6);
	}
	assert_int_equal(sweep_lies, 0);
	/* The hazard shows what this would have found. */
	(void)sweep_through(faults[1], 1000, NEW, LAB_DEFECT(NO_HOSTS_CERTAIN));
	assert_true(sweep_lies > 0);
}

#define WORLDS(name) cmocka_unit_test(name##_sim), cmocka_unit_test(name##_live)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLDS(several_changes_are_one_logged_batch),
		WORLDS(before_24_a_transaction_is_one_statement),
		WORLDS(a_batch_is_all_or_nothing_or_uncertain),
		WORLDS(counters_count),
		WORLDS(rows_expire),
		WORLDS(long_lists_come_in_pages),
		WORLDS(the_replica_of_a_row_is_its_coordinator),
		WORLDS(another_data_centre_is_never_asked),
		WORLDS(a_frozen_coordinator_is_overtaken),
		WORLDS(a_slow_node_is_asked_last),
		WORLDS(metrics_are_of_what_the_cluster_answered),
		WORLDS(a_write_is_done_or_not_or_uncertain),
		WORLDS(reads_fail_or_go_elsewhere),
		WORLDS(forgotten_statements_are_prepared_again),
		WORLDS(a_frozen_coordinator_leaves_it_uncertain_and_does_it_later),
		WORLDS(without_a_quorum_nothing_is_written),
		WORLDS(a_fallback_that_failed_does_not_make_it_certain),
		WORLDS(hazard_1_takes_what_is_there_for_certainly_failed),
		WORLDS(hazard_2_takes_what_is_there_for_certainly_failed),
		WORLDS(the_hop_loses_requests_and_replies),
		cmocka_unit_test(the_dict_client_gives_up_after_30_s_sim),
		cmocka_unit_test(any_step_may_fail_sim),
	};

	return cmocka_run_group_tests_name("dict-cassandra", tests, NULL, NULL);
}

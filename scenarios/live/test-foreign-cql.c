/* SPDX-License-Identifier: Apache-2.0
 *
 * Live runs against a Cassandra cluster that the runner knows only by its addresses. Here it is
 * another emulator of ours behind sockets; ci/stage real-cassandra has the genuine one.
 */
#include "scenarios/live/live-run.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "core/cql/cql-codec.h"
#include "core/env/live/live.h"
#include "scenarios/live/foreign-cql.h"
#include "scenarios/format/testing-scenario.h"
#include "sim/serve/schema.h"
#include "sim/serve/sockets.h"

#define POOL_BYTES ((size_t)512 * 1024 * 1024)
#define NODES 3
#define FIRST_ADDRESS "127.0.9.1"
#define HOSTS "127.0.9.1,127.0.9.2,127.0.9.3"
#define SCENARIO \
	TESTING_INCLUDE \
	"scenario {\n  warmup = 0\n  duration = 1500 ms\n  settle = 500 ms\n}\n" \
	"site az1 {\n  backends = 2\n}\n" \
	"user u {\n  count = 3\n  mail_inbox_delivery_interval = 200 ms\n" \
	"  mail_session_interval = 600 ms\n  mail_session_length = 1 min\n" \
	"  mail_action_delay = 300 ms\n  mail_size = 1 k\n  folders = 1\n}\n" \
	"fault silence {\n  kinds = stall\n  points = cql.read\n  episodes = 1\n}\n"

static const char *const names[NODES] = { "one", "two", "three" };
static struct testing_loader loader;
static struct run_result result; /* large */

struct foreign {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct cqlemu *cql;
	struct stream_front_end *front_end;
	char hosts[80];
	uint64_t start_ns;
	/* What is done to it during a run, once that many INSERTs of mails have come. */
	const char *sabotage;
	unsigned mails_before;
	atomic_uint mails;
	atomic_bool is_over, was_done, refuses;
};

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&t, NULL);
}

static struct sim_fault on_fault(void *ctx, const struct sim_fault_query *query)
{
	struct foreign *f = ctx;
	bool refuses = f->refuses && strcmp(query->point, "cql.connect") == 0;

	if (strcmp(query->point, "cql.write") == 0 &&
		lab_view_eq(query->subject, LAB_VIEW("mails.user_mailbox_objects")))
		f->mails++;
	return (struct sim_fault){ .kind = refuses ? SIM_FAULT_REFUSE : SIM_FAULT_NONE };
}

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * LAB_SEC + (uint64_t)t.tv_nsec;
}

static void new_cluster(struct foreign *f, const char *user, const char *password)
{
	struct cqlemu_node_options nodes[NODES];
	struct sim_hooks hooks = { .ctx = f, .fault = on_fault };
	struct cqlemu_options options;
	struct lab_error err;

	memset(nodes, 0, sizeof(nodes));
	for (size_t i = 0; i < NODES; i++) {
		char *address = lab_heap_alloc(f->heap, SERVE_ADDRESS_MAX);

		assert_int_equal(serve_node_address(FIRST_ADDRESS, i, address, &err), 0);
		nodes[i].name = lab_view_cstr(names[i]);
		nodes[i].address = lab_view_cstr(address);
	}
	cqlemu_options_init(&options);
	options.heap = f->heap;
	options.hooks = &hooks;
	options.nodes = nodes;
	options.node_count = NODES;
	options.epoch_us = (int64_t)time(NULL) * 1000000;
	options.user = lab_view_cstr(user);
	options.password = lab_view_cstr(password);
	options.conviction_ns = 200 * LAB_MSEC;
	options.conviction_jitter_ns = LAB_MSEC;
	assert_int_equal(cqlemu_new(&options, &f->cql, &err), 0);
}

static void foreign_open_with(struct foreign *f, const char *user, const char *password)
{
	struct serve_socket socket = { .address = FIRST_ADDRESS, .start_ns = monotonic_ns() };
	struct lab_error err;

	memset(f, 0, sizeof(*f));
	f->start_ns = socket.start_ns;
	f->pool = lab_pool_new(POOL_BYTES);
	f->heap = lab_heap_new(f->pool, POOL_BYTES);
	new_cluster(f, user, password);
	assert_int_equal(serve_cql(f->cql, names, NODES, &socket, &f->front_end, &err), 0);
	(void)snprintf(
		f->hosts, sizeof(f->hosts), HOSTS ":%u", stream_front_end_port(f->front_end));
}

static void foreign_open(struct foreign *f)
{
	foreign_open_with(f, "", "");
}

static void foreign_close(struct foreign *f)
{
	stream_front_end_free(&f->front_end);
	cqlemu_free(&f->cql);
	lab_heap_drop(&f->heap);
	lab_pool_free(&f->pool);
}

/* On the cluster's own side; whether it went well. */
struct execution {
	struct foreign *foreign;
	const char *text;
	int result;
};

static void execute_here(void *ctx)
{
	struct execution *e = ctx;
	struct lab_error err;

	e->result = cqlemu_execute(e->foreign->cql, lab_view_cstr(e->text), &err);
}

static int execute(struct foreign *f, const char *text)
{
	struct execution e = { f, text, 0 };

	stream_front_end_call(f->front_end, execute_here, &e);
	return e.result;
}

static void check_execute(struct foreign *f, const char *text)
{
	if (execute(f, text) != 0)
		fail_msg("%s", text);
}

static bool has_keyspace(struct foreign *f)
{
	return execute(f, "SELECT u FROM mails.user_index_objects LIMIT 1") == 0;
}

static void *saboteur(void *ctx)
{
	struct foreign *f = ctx;

	while (!f->is_over && f->mails < f->mails_before)
		sleep_ms(5);
	if (f->is_over)
		return NULL;
	if (strcmp(f->sabotage, "refuse") == 0) {
		f->refuses = true;
		stream_front_end_reset(f->front_end);
		f->was_done = true;
	} else {
		f->was_done = execute(f, f->sabotage) == 0;
	}
	return NULL;
}

static int run_as(const char *hosts, const char *user, const char *password, struct lab_error *err)
{
	struct run_options options = { .seed = 1, .foreign_patience_ns = LAB_SEC };
	uint64_t wall_ns = 0;

	testing_loader_init(&loader);
	loader.overrides.cql_hosts = hosts;
	loader.overrides.cql_user = user;
	loader.overrides.cql_password = password;
	testing_load_ok(&loader, SCENARIO);
	options.scenario = loader.scenario;
	return run_live(&options, &result, &wall_ns, err);
}

static int run(struct foreign *f, struct lab_error *err)
{
	pthread_t thread;
	int status;

	if (f->sabotage != NULL)
		assert_int_equal(pthread_create(&thread, NULL, saboteur, f), 0);
	status = run_as(f->hosts, NULL, NULL, err);
	f->is_over = true;
	if (f->sabotage != NULL)
		assert_int_equal(pthread_join(thread, NULL), 0);
	return status;
}

/* ---- whole runs ---- */

static void a_storm_passes_and_the_keyspace_is_gone_again(void **state)
{
	struct lab_error err;
	struct foreign f;

	(void)state;
	foreign_open(&f);
	assert_int_equal(run(&f, &err), 0);
	if (result.verdict != RUN_PASS)
		fail_msg("%s", result.report);
	assert_true(result.operations[HISTORY_DELIVER][HISTORY_OK] > 5);
	assert_true(f.mails > 5);
	assert_true(result.cql_requests > 5);
	assert_int_equal(result.faults[FAULT_stall], 0);
	assert_false(result.is_left);
	assert_false(has_keyspace(&f));
	foreign_close(&f);
}

static void check_sabotage(const char *statement, const char *expected)
{
	struct lab_error err;
	struct foreign f;

	foreign_open(&f);
	f.sabotage = statement;
	f.mails_before = 5;
	assert_int_equal(run(&f, &err), 0);
	assert_true(f.was_done);
	assert_int_equal(result.verdict, RUN_FAIL);
	if (strstr(result.report, expected) == NULL)
		fail_msg("%s", result.report);
	assert_false(has_keyspace(&f));
	foreign_close(&f);
}

static void rows_that_it_loses_are_found(void **state)
{
	(void)state;
	check_sabotage("TRUNCATE mails.user_mailbox_objects", "lost mail");
	check_sabotage("TRUNCATE mails.user_mailbox_objects_reverse", "reverse row missing");
}

/* Then nothing is known of what it holds, and nothing can be removed. */
static void a_cluster_that_goes_away_leaves_no_verdict(void **state)
{
	struct lab_error err;
	struct foreign f;

	(void)state;
	foreign_open(&f);
	f.sabotage = "refuse";
	f.mails_before = 3;
	assert_int_equal(run(&f, &err), 0);
	assert_true(f.was_done);
	assert_int_equal(result.verdict, RUN_INCONCLUSIVE);
	assert_true(result.is_left);
	assert_true(has_keyspace(&f));
	foreign_close(&f);
}

static void a_keyspace_that_is_there_is_left_alone(void **state)
{
	struct lab_error err;
	struct foreign f;

	(void)state;
	foreign_open(&f);
	check_execute(&f,
		"CREATE KEYSPACE mails WITH replication = { 'class': 'SimpleStrategy', "
		"'replication_factor': 1 }; CREATE TABLE mails.precious (k int PRIMARY KEY)");
	assert_int_equal(run(&f, &err), -1);
	assert_int_equal(err.code, LAB_EXISTS);
	check_execute(&f, "SELECT k FROM mails.precious");
	foreign_close(&f);
}

static void credentials_are_needed_and_not_told(void **state)
{
	struct lab_error err;
	struct foreign f;

	(void)state;
	foreign_open_with(&f, "cassandra", "hunter2!x");
	assert_int_equal(run_as(f.hosts, NULL, NULL, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	assert_int_equal(run_as(f.hosts, "cassandra", "swordfish", &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	assert_null(strstr(err.message, "swordfish"));
	assert_int_equal(run_as(f.hosts, "cassandra", "hunter2!x", &err), 0);
	if (result.verdict != RUN_PASS)
		fail_msg("%s", result.report);
	foreign_close(&f);
}

static void servers_that_are_not_there(void **state)
{
	struct lab_error err;

	(void)state;
	assert_int_equal(run_as("127.0.0.1:1", NULL, NULL, &err), -1);
	assert_int_equal(err.code, LAB_REFUSED);
	assert_int_equal(run_as("192.0.2.1:9042", NULL, NULL, &err), -1);
	assert_int_equal(err.code, LAB_DENIED);
}

static void check_refused(const char *hosts, const char *expected)
{
	testing_loader_init(&loader);
	loader.overrides.cql_hosts = hosts;
	assert_int_equal(testing_load(&loader, SCENARIO), -1);
	if (strstr(loader.err.message, expected) == NULL)
		fail_msg("%s: %s", hosts, loader.err.message);
}

static void texts_that_are_no_hosts(void **state)
{
	char many[40 * 10];
	size_t len = 0;

	(void)state;
	check_refused("127.0.0.1", "--cql: \"127.0.0.1\" is not HOST[,HOST...]:PORT");
	check_refused(":9042", "is not HOST");
	check_refused("127.0.0.1:0", "is not HOST");
	check_refused("127.0.0.1:65536", "is not HOST");
	check_refused("127.0.0.1:x", "is not HOST");
	check_refused("127.0.0.1,,127.0.0.3:9042", "a host is empty");
	for (size_t i = 0; i < 33; i++)
		len += (size_t)snprintf(
			many + len, sizeof(many) - len, "%s10.0.0.1", i == 0 ? "" : ",");
	(void)snprintf(many + len, sizeof(many) - len, ":1");
	check_refused(many, "more than 32 hosts");
}

static void fewer_nodes_mean_fewer_replicas(void **state)
{
	(void)state;
	testing_loader_init(&loader);
	loader.overrides.cql_hosts = "127.0.0.1:9042";
	testing_load_ok(&loader, SCENARIO);
	assert_int_equal(loader.scenario->cql.nodes.high, 1);
	assert_true(loader.scenario->is_foreign_cql);
	assert_int_equal(loader.scenario->dicts[0].config->connect.host_count, 1);
}

/* ---- the mirror by itself ---- */

struct mirror {
	struct live *live;
	struct foreign_cql cql;
	struct cqlemu *emulator;
	int result;
	struct lab_error err;
};

static void mirror_main(struct env *env, void *arg)
{
	struct mirror *m = arg;

	m->cql.env = env;
	m->result = foreign_cql_mirror(&m->cql, m->emulator, &m->err);
}

/* A cluster of one node in this process, with our tables. */
static struct cqlemu *new_mirror(struct lab_heap *heap)
{
	struct cqlemu_node_options node = { .name = LAB_VIEW("mirror"),
		.address = LAB_VIEW("10.0.0.1") };
	struct cqlemu_options options;
	struct cqlemu *emulator;
	struct lab_error err;
	struct lab_buf ddl;

	cqlemu_options_init(&options);
	options.heap = heap;
	options.nodes = &node;
	options.node_count = 1;
	assert_int_equal(cqlemu_new(&options, &emulator, &err), 0);
	lab_buf_init(&ddl, heap, 65536);
	schema_print(LAB_VIEW("mails"), 1, &ddl);
	assert_int_equal(cqlemu_execute(emulator, lab_buf_view(&ddl), &err), 0);
	lab_buf_done(&ddl);
	return emulator;
}

static void run_mirror(struct foreign *f, struct mirror *m)
{
	struct live_settings settings = { .seed = 1 };
	struct live_host_settings host_settings = { .hostname = "lab", .root = "/tmp" };
	struct dict_cql_connect connect = { .hosts = { LAB_VIEW("127.0.9.1"),
						    LAB_VIEW("127.0.9.2") },
		.host_count = 2,
		.port = stream_front_end_port(f->front_end),
		.keyspace = LAB_VIEW("mails") };
	struct live_host *host;

	m->cql.connect = &connect;
	m->result = 1;
	assert_int_equal(live_new(&settings, &m->live, &m->err), 0);
	assert_int_equal(live_host_new(m->live, &host_settings, &host, &m->err), 0);
	assert_int_equal(live_start(host, "mirror", mirror_main, m, &m->err), 0);
	assert_int_equal(live_run(m->live, 60 * LAB_SEC, NULL, NULL), 0);
	live_free(&m->live);
}

struct seen {
	size_t rows;
	uint64_t hash; /* of all of them, whatever their order */
};

static void see(void *ctx, const struct cqlemu_entry *entry)
{
	struct seen *seen = ctx;
	uint64_t hash = 0;

	if (entry->kind != CQLEMU_ROW || !entry->live)
		return;
	for (size_t i = 0; i < entry->key_count; i++)
		hash = lab_hash_view(hash, entry->keys[i].value);
	for (size_t i = 0; i < entry->cell_count; i++) {
		/* Never written and deleted look alike to a SELECT. */
		hash = lab_hash_view(hash, entry->cells[i].value);
		hash += entry->cells[i].value.ptr == NULL;
	}
	seen->rows++;
	seen->hash ^= hash;
}

static struct seen snapshot(struct cqlemu *emulator, const char *table)
{
	struct seen seen = { 0 };
	struct lab_error err;

	assert_int_equal(
		cqlemu_snapshot(emulator, lab_view_cstr(table), CQLEMU_MERGED, see, &seen, &err),
		0);
	return seen;
}

static void make_rows(struct foreign *f, unsigned count)
{
	struct lab_buf text;

	lab_buf_init(&text, f->heap, 65536);
	schema_print_qualified(LAB_VIEW("mails"), 3, &text);
	check_execute(f, lab_buf_cstr(&text));
	for (unsigned i = 0; i < count; i++) {
		lab_buf_reset(&text);
		lab_buf_printf(&text,
			"INSERT INTO mails.user_mailbox_objects (u,g,b,n,i) VALUES "
			"('o''neil %u',0x%08x,%d,0x00ff%04x,0x)",
			i % 7, i % 300, -(int)(i % 3), i);
		check_execute(f, lab_buf_cstr(&text));
	}
	lab_buf_done(&text);
	/* A null, an empty text, a row that is gone, another table. */
	check_execute(f,
		"INSERT INTO mails.user_mailbox_objects (u,g,b,n) VALUES ('x',0x,7,0x01);"
		"INSERT INTO mails.user_mailbox_objects (u,g,b,n,i) VALUES ('x',0x,7,0x02,0xff);"
		"DELETE FROM mails.user_mailbox_objects WHERE u='x' AND g=0x AND b=7 AND n=0x02;"
		"INSERT INTO mails.user_index_diff_objects (u,h,m) VALUES ('x','h','')");
}

static void the_mirror_has_every_page(void **state)
{
	static const char *const tables[] = { "mails.user_mailbox_objects",
		"mails.user_index_diff_objects", "mails.user_mailbox_buckets" };
	struct mirror m = { 0 };
	struct foreign f;

	(void)state;
	foreign_open(&f);
	make_rows(&f, 2500);
	m.emulator = new_mirror(f.heap);
	run_mirror(&f, &m);
	if (m.result != 0)
		fail_msg("%s", m.err.message);
	stream_front_end_free(&f.front_end);
	assert_int_equal(snapshot(m.emulator, tables[0]).rows, 2501);
	for (size_t i = 0; i < LAB_COUNT_OF(tables); i++) {
		struct seen here = snapshot(m.emulator, tables[i]);
		struct seen there = snapshot(f.cql, tables[i]);

		assert_int_equal(here.rows, there.rows);
		assert_int_equal(here.hash, there.hash);
	}
	cqlemu_free(&m.emulator);
	foreign_close(&f);
}

static void kill_three(void *ctx)
{
	struct foreign *f = ctx;

	cqlemu_node_kill(f->cql, 2, monotonic_ns() - f->start_ns);
}

static void start_three(void *ctx)
{
	struct foreign *f = ctx;

	cqlemu_node_start(f->cql, 2, monotonic_ns() - f->start_ns);
}

static void *restarter(void *ctx)
{
	struct foreign *f = ctx;

	sleep_ms(1200);
	stream_front_end_call(f->front_end, start_three, f);
	return NULL;
}

/* Every replica is asked: without one of them there is no answer. */
static void the_mirror_waits_for_every_replica(void **state)
{
	struct mirror m = { .cql.patience_ns = 300 * LAB_MSEC };
	struct foreign f;
	pthread_t thread;

	(void)state;
	foreign_open(&f);
	make_rows(&f, 10);
	m.emulator = new_mirror(f.heap);
	stream_front_end_call(f.front_end, kill_three, &f);
	sleep_ms(500); /* until it is convicted */
	run_mirror(&f, &m);
	assert_int_equal(m.result, -1);
	assert_int_equal(m.err.code, LAB_UNAVAILABLE);
	assert_int_equal(m.err.status, CQL_E_UNAVAILABLE);
	assert_int_equal(pthread_create(&thread, NULL, restarter, &f), 0);
	m.cql.patience_ns = 20 * LAB_SEC;
	run_mirror(&f, &m);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (m.result != 0)
		fail_msg("%s", m.err.message);
	assert_int_equal(snapshot(m.emulator, "mails.user_mailbox_objects").rows, 11);
	cqlemu_free(&m.emulator);
	foreign_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_storm_passes_and_the_keyspace_is_gone_again),
		cmocka_unit_test(rows_that_it_loses_are_found),
		cmocka_unit_test(a_cluster_that_goes_away_leaves_no_verdict),
		cmocka_unit_test(a_keyspace_that_is_there_is_left_alone),
		cmocka_unit_test(credentials_are_needed_and_not_told),
		cmocka_unit_test(servers_that_are_not_there),
		cmocka_unit_test(texts_that_are_no_hosts),
		cmocka_unit_test(fewer_nodes_mean_fewer_replicas),
		cmocka_unit_test(the_mirror_has_every_page),
		cmocka_unit_test(the_mirror_waits_for_every_replica),
	};

	return cmocka_run_group_tests(tests, testing_setup, testing_teardown);
}

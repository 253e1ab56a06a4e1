/* SPDX-License-Identifier: Apache-2.0
 *
 * doveadm cluster on a GeoDB over loopback.
 */
#include "core/base/testing.h"

#include "core/cluster/geodb-schema.h"
#include "scenarios/fs-tool/cluster-tool.h"
#include "sim/cql-emulator/cql-emulator.h"
#include "sim/front-end/stream-front-end.h"

#include <stdio.h>

static struct {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct cqlemu *cql;
	struct stream_front_end *front_end;
	char hosts[64];
	struct lab_buf out;
	struct lab_error err;
	bool is_guarded;
} t;

static int open_geodb(void **state)
{
	const struct stream_front_end_node node = { "cassandra-1", "127.0.11.1" };
	struct stream_front_end_settings settings = { .nodes = &node, .node_count = 1 };
	struct cqlemu_node_options one = { .name = LAB_VIEW("cassandra-1"),
		.address = LAB_VIEW("127.0.11.1") };
	struct cqlemu_options options;
	struct lab_buf schema;

	(void)state;
	memset(&t, 0, sizeof(t));
	t.pool = lab_pool_new((size_t)1 << 30);
	t.heap = lab_heap_new(t.pool, (size_t)1 << 30);
	cqlemu_options_init(&options);
	options.heap = t.heap;
	options.nodes = &one;
	options.node_count = 1;
	options.epoch_us = INT64_C(1767225600000000);
	assert_int_equal(cqlemu_new(&options, &t.cql, NULL), 0);
	lab_buf_init(&schema, t.heap, 65536);
	geodb_schema_print(LAB_VIEW(CLUSTER_TOOL_KEYSPACE),
		"'class': 'SimpleStrategy', 'replication_factor': 1", &schema);
	assert_int_equal(cqlemu_execute(t.cql, lab_buf_view(&schema), NULL), 0);
	lab_buf_done(&schema);
	settings.service = cqlemu_service(t.cql);
	assert_int_equal(stream_front_end_new(&settings, &t.front_end, NULL), 0);
	(void)snprintf(
		t.hosts, sizeof(t.hosts), "127.0.11.1:%u", stream_front_end_port(t.front_end));
	lab_buf_init(&t.out, t.heap, 65536);
	return 0;
}

static int close_geodb(void **state)
{
	(void)state;
	stream_front_end_free(&t.front_end);
	cqlemu_free(&t.cql);
	lab_buf_done(&t.out);
	lab_heap_drop(&t.heap);
	lab_pool_free(&t.pool);
	return 0;
}

static int command(const char *text, const char *hosts)
{
	struct cluster_command c;
	const struct cluster_tool tool = {
		.hosts = hosts, .keyspace = CLUSTER_TOOL_KEYSPACE, .group_count = 10, .command = &c
	};

	lab_buf_reset(&t.out);
	assert_int_equal(cluster_command_parse_text(lab_view_cstr(text), &c, &t.err), 0);
	return cluster_tool_run(&tool, t.heap, &t.out, &t.is_guarded, &t.err);
}

static void must(const char *text)
{
	if (command(text, t.hosts) < 0)
		fail_msg("%s: %s", text, t.err.message);
}

static void a_cluster_is_set_up_and_listed(void **state)
{
	(void)state;
	must("site add --load-balancer lb-1 az1");
	must("backend add --site az1 b1");
	must("backend update --status online b1");
	must("backend list");
	assert_string_equal(
		lab_buf_cstr(&t.out), "host\tsite\tstatus\tload_factor\nb1\taz1\tonline\t100\n");
	assert_int_equal(command("backend status b2", t.hosts), -1);
	assert_int_equal(t.err.code, LAB_NOT_FOUND);
}

static void hosts_are_checked(void **state)
{
	static const char *const wrong[] = { "", "127.0.0.1", "127.0.0.1:", ":9042", "a,,b:9042",
		"127.0.0.1:0", "127.0.0.1:65536" };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(wrong); i++) {
		assert_row(i, command("site list", wrong[i]) == -1);
		assert_row(i, t.err.code == LAB_INVALID);
	}
}

static void nobody_else_is_asked_without_leave(void **state)
{
	(void)state;
	assert_int_equal(command("site list", "192.0.2.1:9042"), -1);
	assert_true(t.is_guarded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_cluster_is_set_up_and_listed, open_geodb, close_geodb),
		cmocka_unit_test_setup_teardown(hosts_are_checked, open_geodb, close_geodb),
		cmocka_unit_test_setup_teardown(
			nobody_else_is_asked_without_leave, open_geodb, close_geodb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

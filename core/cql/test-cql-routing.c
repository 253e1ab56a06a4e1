/* SPDX-License-Identifier: Apache-2.0
 *
 * Discovered peers, data centres and replicas: who is asked, and who is not.
 */
#include "core/cql/cql-client-private.h"
#include "core/cql/test-client.h"

#define KEY_TOKEN INT64_C(932501669495990369) /* of user1@example.com (cql-imds 2.3) */

/* "x:" and a set or a map of texts, as a cell. */
static const char *collection(struct test_world *w, const char *items, unsigned per_entry)
{
	struct lab_buf bytes, text;
	struct lab_view rest = lab_view_cstr(items), item;
	uint32_t count = 0;
	lab_buf_init(&bytes, w->env.heap, 4096);
	lab_buf_init(&text, w->env.heap, 8192);
	lab_buf_append_u32(&bytes, 0);
	while (lab_view_split(&rest, ' ', &item)) {
		cql_put_bytes(&bytes, item);
		count++;
	}
	bytes.data[3] = (uint8_t)(count / per_entry);
	lab_buf_append_cstr(&text, "x:");
	lab_buf_append_hex(&text, lab_buf_view(&bytes));
	const char *cell = lab_arena_printf(w->arena, "%s", lab_buf_cstr(&text));
	lab_buf_done(&text);
	lab_buf_done(&bytes);
	return cell;
}

static const char *place(
	struct test_world *w, const char *dc, const char *rack, const char *tokens, unsigned node)
{
	return lab_arena_printf(
		w->arena, "%s,%s,%s,x:7f0000%02x", dc, rack, collection(w, tokens, 1), node);
}

static void replicate(struct test *t, const char *map)
{
	for (int i = 0; i < NODES_MAX; i++)
		t->w->nodes[i].keyspaces = collection(t->w, map, 2);
}

static void discover(struct test *t)
{
	t->settings.discover = true;
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
}

static void insert_user(struct test *t, int times)
{
	struct cql_arg args[] = { { .kind = CQL_ARG_BLOB, .bytes = LAB_VIEW("\1\2") },
		{ .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("user1@example.com") } };
	for (int i = 0; i < times; i++)
		execute(t, CQL_STATEMENT_WRITE, INSERT, args, 2);
}

static void tokens_are_cassandras(void **state)
{
	static const struct {
		const char *key;
		size_t len;
		int64_t token;
	} rows[] = { { "user1@example.com", 17, KEY_TOKEN },
		{ "\xff\xfe", 2, INT64_C(-2002833339314343643) },
		{ "a", 1, INT64_C(-8839064797231613815) },
		{ "\0\0\0\x08", 4, INT64_C(-3799847372828181882) }, { "", 0, INT64_MIN } };
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_true(cql_token(lab_view_of(rows[i].key, rows[i].len)) == rows[i].token);
}

CLIENT_TEST(the_replica_of_a_partition_is_asked_first, 3)
{
	struct node *nodes = t->w->nodes;
	nodes[0].local = place(t->w, "dc1", "r1", "0 -9000000000000000000", 1);
	nodes[1].local = place(t->w, "dc1", "r1", "2000000000000000000", 2);
	nodes[2].local = place(t->w, "dc1", "r1", "-5000000000000000000", 3);
	replicate(t, "class org.apache.cassandra.locator.SimpleStrategy replication_factor 1");
	discover(t);
	insert_user(t, 1); /* not prepared yet, so nothing is known of its key */
	insert_user(t, 6);
	assert_ok(t);
	assert_int_equal(nodes[0].seen_count, 1);
	assert_int_equal(nodes[1].seen_count, 6);

	/* Another partition is another's: -8839064797231613815 is below -5e18. */
	struct cql_arg args[] = { { .kind = CQL_ARG_BLOB, .bytes = LAB_VIEW("\1\2") },
		{ .kind = CQL_ARG_TEXT, .bytes = LAB_VIEW("a") } };
	for (int i = 0; i < 3; i++)
		execute(t, CQL_STATEMENT_WRITE, INSERT, args, 2);
	assert_int_equal(nodes[2].seen_count, 3);

	/* Without the replica the others will do. */
	nodes[1].refuses = true;
	node_reset(nodes[1].last);
	env_sleep(&t->w->env, 10 * LAB_MSEC);
	insert_user(t, 1);
	assert_ok(t);
	assert_int_equal(nodes[1].seen_count, 6);
}

CLIENT_TEST(other_data_centres_are_not_asked, 4)
{
	struct node *nodes = t->w->nodes;
	nodes[0].local = place(t->w, "dc1", "r1", "0", 1);
	nodes[1].local = place(t->w, "dc1", "r2", "100", 2);
	nodes[2].local = place(t->w, "dc2", "r1", "1000000000000000000", 3);
	nodes[3].local = place(t->w, "dc2", "r2", "2000000000000000000", 4);
	replicate(t, "class NetworkTopologyStrategy dc1 2 dc2 2");
	discover(t);
	assert_int_equal(cql_client_connected(t->client), 4);
	insert_user(t, 6);
	assert_ok(t);
	assert_int_equal(nodes[0].seen_count + nodes[1].seen_count, 6);
	/* Replicas take turns. */
	assert_int_equal(nodes[0].seen_count, 3);
	node_will_fail(&nodes[0], CQL_E_OVERLOADED, "overloaded");
	node_will_fail(&nodes[1], CQL_E_OVERLOADED, "overloaded");
	insert_user(t, 1);
	assert_fails(t, LAB_UNAVAILABLE, "All hosts in current policy attempted");
	assert_int_equal(nodes[2].seen_count + nodes[3].seen_count, 0);
}

CLIENT_TEST(replicas_are_spread_over_racks, 4)
{
	struct node *nodes = t->w->nodes;
	unsigned replicas[CQL_HOSTS_MAX];
	nodes[0].local = place(t->w, "dc1", "r1", "100", 1);
	nodes[1].local = place(t->w, "dc1", "r1", "200", 2);
	nodes[2].local = place(t->w, "dc1", "r2", "300", 3);
	nodes[3].local = place(t->w, "dc1", "r2", "400", 4);
	replicate(t, "class NetworkTopologyStrategy dc1 3/1");
	discover(t);
	assert_int_equal(cql_topology_replicas(t->client, 50, replicas), 3);
	assert_int_equal(replicas[0], 0);
	assert_int_equal(replicas[1], 2);
	assert_int_equal(replicas[2], 1);
	/* A token belongs to its own range; behind the last one the ring begins again. */
	assert_int_equal(cql_topology_replicas(t->client, 400, replicas), 3);
	assert_int_equal(replicas[0], 3);
	assert_int_equal(replicas[1], 0);
	assert_int_equal(cql_topology_replicas(t->client, 401, replicas), 3);
	assert_int_equal(replicas[0], 0);
	replicate(t, "class SimpleStrategy replication_factor 2");
	node_event_topology(&nodes[0]);
	env_sleep(&t->w->env, LAB_SEC);
	assert_int_equal(cql_topology_replicas(t->client, 50, replicas), 2);
	assert_int_equal(replicas[1], 1);
}

CLIENT_TEST(peers_become_hosts, 4)
{
	struct node *nodes = t->w->nodes;
	t->settings.host_count = 1;
	nodes[0].local = place(t->w, "dc1", "r1", "1", 1);
	/* The second listens to everything; the third has no rack yet: a ghost. */
	nodes[0].peers = lab_arena_printf(t->w->arena,
		"dc1,r1,%s,x:00000000,x:7f000002;"
		"dc1,NULL,%s,x:7f000003,x:7f000003",
		collection(t->w, "2", 1), collection(t->w, "3", 1));
	nodes[1].local = place(t->w, "dc1", "r1", "2", 2);
	discover(t);
	assert_int_equal(cql_client_connected(t->client), 2);
	assert_int_equal(nodes[2].attempts, 0);
	for (int i = 0; i < 4; i++)
		read_one(t);
	assert_int_equal(nodes[1].seen_count, 2);

	/* News of the ring is read again; nobody is added twice. */
	nodes[0].peers = lab_arena_printf(t->w->arena, "%s;%s",
		lab_arena_printf(t->w->arena, "%s,x:7f000002", place(t->w, "dc1", "r1", "2", 2)),
		lab_arena_printf(t->w->arena, "%s,x:7f000003", place(t->w, "dc1", "r1", "3", 3)));
	nodes[2].local = place(t->w, "dc1", "r1", "3", 3);
	node_event_topology(&nodes[0]);
	env_sleep(&t->w->env, LAB_SEC);
	assert_int_equal(cql_client_connected(t->client), 3);
	assert_int_equal(nodes[1].connections, 1);
	assert_int_equal(nodes[2].connections, 1);
}

CLIENT_TEST(a_node_that_tells_nothing_is_asked_again, 1)
{
	t->w->nodes[0].local = place(t->w, "dc1", "r1", "1", 1);
	t->settings.discover = true;
	t->w->nodes[0].silent = true;
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	assert_int_equal(t->w->nodes[0].system_queries, 0);
	t->w->nodes[0].silent = false;
	env_sleep(&t->w->env, 20 * LAB_SEC);
	assert_int_equal(t->w->nodes[0].system_queries, 3);
	/* Lost while asking. */
	unsigned before = t->w->nodes[0].system_queries;
	t->w->nodes[0].silent = true;
	node_event_topology(&t->w->nodes[0]);
	env_sleep(&t->w->env, 2 * LAB_SEC);
	t->w->nodes[0].silent = false;
	env_sleep(&t->w->env, 20 * LAB_SEC);
	assert_true(t->w->nodes[0].system_queries > before);
}

/* Rows of system.peers for the nodes of a set: bit 1 is 127.0.0.2. */
static const char *peer_rows(struct test *t, unsigned set)
{
	const char *rows = "";
	for (unsigned node = 1; node < NODES_MAX; node++) {
		if ((set & 1u << node) == 0)
			continue;
		const char *token = lab_arena_printf(t->w->arena, "%u", node + 1);
		rows = lab_arena_printf(t->w->arena, "%s%s%s,x:7f0000%02x", rows,
			rows[0] == '\0' ? "" : ";", place(t->w, "dc1", "r1", token, node + 1),
			node + 1);
	}
	return rows;
}

static void ring_of_four(struct test *t)
{
	struct node *nodes = t->w->nodes;
	t->settings.host_count = 1;
	t->settings.log_level = CQL_LOG_INFO;
	for (unsigned i = 0; i < NODES_MAX; i++)
		nodes[i].local =
			place(t->w, "dc1", "r1", lab_arena_printf(t->w->arena, "%u", i + 1), i + 1);
	nodes[0].peers = peer_rows(t, 0xe);
	replicate(t, "class SimpleStrategy replication_factor 3");
	discover(t);
	assert_int_equal(cql_client_connected(t->client), 4);
}

CLIENT_TEST(who_leaves_the_ring_is_a_host_no_longer, 4)
{
	struct node *nodes = t->w->nodes;
	unsigned replicas[CQL_HOSTS_MAX];
	ring_of_four(t);
	/* The peers do not list it any more; nobody said REMOVED_NODE. */
	nodes[0].peers = peer_rows(t, 0xa);
	node_event_topology(&nodes[0]);
	env_sleep(&t->w->env, LAB_SEC);
	assert_int_equal(cql_client_connected(t->client), 3);
	assert_true(cql_host_is_gone(t->client, 2));
	unsigned attempts = nodes[2].attempts;
	size_t seen = nodes[2].seen_count;
	/* Neither asked nor connected to, nor counted as a replica. */
	for (int i = 0; i < 8; i++)
		read_one(t);
	env_sleep(&t->w->env, 20 * LAB_MINUTE);
	assert_int_equal(nodes[2].attempts, attempts);
	assert_int_equal(nodes[2].seen_count, seen);
	assert_int_equal(cql_topology_replicas(t->client, 2, replicas), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_not_equal(replicas[i], 2);
	assert_true(world_logged(t->w, "Host 127.0.0.3 removed"));

	/* And it comes back. */
	nodes[0].peers = peer_rows(t, 0xe);
	node_event_topology(&nodes[0]);
	env_sleep(&t->w->env, LAB_SEC);
	assert_int_equal(cql_client_connected(t->client), 4);
	for (int i = 0; i < 8; i++)
		read_one(t);
	assert_ok(t);
	assert_true(nodes[2].seen_count > seen);
}

CLIENT_TEST(a_removed_node_is_dropped_without_asking, 4)
{
	struct node *nodes = t->w->nodes;
	ring_of_four(t);
	nodes[0].silent = true; /* nobody answers what system.peers has */
	node_event_removed(&nodes[0], 4);
	env_sleep(&t->w->env, LAB_SEC);
	assert_int_equal(cql_client_connected(t->client), 3);
	assert_true(cql_host_is_gone(t->client, 3));
	/* The node that tells of it may be the one that left. */
	nodes[0].silent = false;
	nodes[1].peers = peer_rows(t, 0x4);
	node_event_removed(&nodes[0], 1);
	env_sleep(&t->w->env, LAB_SEC);
	assert_true(cql_host_is_gone(t->client, 0));
	assert_int_equal(cql_client_connected(t->client), 2);
	for (int i = 0; i < 4; i++)
		read_one(t);
	assert_ok(t);
}

CLIENT_TEST(a_node_that_left_is_not_waited_for, 4)
{
	struct node *nodes = t->w->nodes;
	ring_of_four(t);
	/* It dies first: the client is waiting to reconnect when it is removed. */
	nodes[1].refuses = true;
	node_reset(nodes[1].last);
	env_sleep(&t->w->env, 10 * LAB_SEC);
	node_event_removed(&nodes[0], 2);
	nodes[0].peers = peer_rows(t, 0xc);
	env_sleep(&t->w->env, LAB_SEC);
	unsigned attempts = nodes[1].attempts;
	env_sleep(&t->w->env, 60 * LAB_MINUTE);
	assert_int_equal(nodes[1].attempts, attempts);
}

CLIENT_TEST(a_place_of_one_that_left_is_used_again, 4)
{
	struct node *nodes = t->w->nodes;
	ring_of_four(t);
	/* Nodes come and go, more than there are places: each time with another address. */
	for (unsigned i = 0; i < 2 * CQL_HOSTS_MAX; i++) {
		nodes[0].peers = lab_arena_printf(t->w->arena, "%s;%s,x:7f0000%02x",
			peer_rows(t, 0xe), place(t->w, "dc1", "r1", "7", 100 + i), 100 + i);
		node_event_topology(&nodes[0]);
		env_sleep(&t->w->env, LAB_MINUTE);
		char name[20];
		(void)snprintf(name, sizeof(name), "127.0.0.%u", 100 + i);
		bool found = false;
		for (unsigned host = 0; host < t->client->settings.host_count; host++)
			found |= !cql_host_is_gone(t->client, host) &&
				 strcmp(t->client->settings.hosts[host], name) == 0;
		assert_true(found);
	}
	assert_int_equal(t->client->settings.host_count, CQL_HOSTS_MAX);
	assert_int_equal(cql_client_connected(t->client), 4);
}

CLIENT_TEST(undiscovered_no_system_table_is_read, 2)
{
	open_client(t);
	env_sleep(&t->w->env, LAB_SEC);
	insert(t);
	assert_ok(t);
	assert_int_equal(t->w->nodes[0].system_queries + t->w->nodes[1].system_queries, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_are_cassandras),
		cmocka_unit_test(the_replica_of_a_partition_is_asked_first),
		cmocka_unit_test(other_data_centres_are_not_asked),
		cmocka_unit_test(replicas_are_spread_over_racks),
		cmocka_unit_test(peers_become_hosts),
		cmocka_unit_test(who_leaves_the_ring_is_a_host_no_longer),
		cmocka_unit_test(a_removed_node_is_dropped_without_asking),
		cmocka_unit_test(a_node_that_left_is_not_waited_for),
		cmocka_unit_test(a_place_of_one_that_left_is_used_again),
		cmocka_unit_test(a_node_that_tells_nothing_is_asked_again),
		cmocka_unit_test(undiscovered_no_system_table_is_read),
	};
	return cmocka_run_group_tests_name("cql-routing", tests, NULL, NULL);
}

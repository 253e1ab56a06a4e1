/* SPDX-License-Identifier: Apache-2.0
 *
 * Each zone a data centre: who asks which nodes. The settings' dict names cassandra-1 to 3.
 */
#include "scenarios/format/testing-scenario.h"

#define SITES "site az1 {\n}\nsite az2 {\n}\nuser u {\n}\n"
#define STORE(what) "store cql {\n  nodes = 3\n" what "}\n"
#define TWO_DCS STORE("  data_center_per_zone = yes\n")

static const struct dict_cql_connect *connect_of(const struct scenario *s, size_t site)
{
	assert_non_null(s->sites[site].dicts);
	return &s->sites[site].dicts[0].config->connect;
}

static void assert_host(const struct dict_cql_connect *connect, size_t index, const char *name)
{
	assert_true(index < connect->host_count);
	assert_true(lab_view_eq_cstr(connect->hosts[index], name));
}

static void hosts_name_the_nodes_of_their_own_zone(void **state)
{
	struct testing_loader l;
	const struct dict_cql_connect *all, *first, *second;

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l, TESTING_INCLUDE SITES TWO_DCS);
	first = connect_of(l.scenario, 0);
	second = connect_of(l.scenario, 1);
	assert_int_equal(first->host_count, 2);
	assert_host(first, 0, "cassandra-1");
	assert_host(first, 1, "cassandra-3");
	assert_int_equal(second->host_count, 1);
	assert_host(second, 0, "cassandra-2");
	/* All else is as in the settings, and those are as they were. */
	all = &l.scenario->dicts[0].config->connect;
	assert_int_equal(all->host_count, 3);
	assert_true(lab_view_eq(second->keyspace, all->keyspace));
	assert_true(lab_view_eq(l.scenario->sites[1].dicts[0].name, l.scenario->dicts[0].name));
	assert_int_equal(l.scenario->sites[1].dicts[0].config->map_count,
		l.scenario->dicts[0].config->map_count);
}

static void otherwise_zones_are_racks(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l, TESTING_INCLUDE SITES STORE(""));
	assert_false(l.scenario->cql.data_center_per_zone);
	assert_null(l.scenario->sites[0].dicts);
}

static void each_zone_needs_a_node(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_load_fails(&l, TESTING_INCLUDE "site az3 {\n}\nsite az4 {\n}\n" SITES TWO_DCS,
		"data_center_per_zone: 4 zones need as many nodes, not 3");
}

static void a_foreign_cassandra_has_the_data_centres_that_it_has(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	l.overrides.cql_hosts = "127.0.0.1,127.0.0.2,127.0.0.3:9042";
	testing_load_fails(&l, TESTING_INCLUDE SITES TWO_DCS,
		"data_center_per_zone needs an emulated Cassandra");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(hosts_name_the_nodes_of_their_own_zone),
		testing_test(otherwise_zones_are_racks),
		testing_test(each_zone_needs_a_node),
		testing_test(a_foreign_cassandra_has_the_data_centres_that_it_has),
	};

	return cmocka_run_group_tests_name("scenario-data-centers", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/dict-cql.h"
#include "core/conf/test-support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CONNECT "connect = host=a keyspace=mails\n"
#define MAP(body) CONNECT "map {\n" body "}\n"

static int load(struct test_world *world, const char *text, struct dict_cql_config **ret)
{
	struct conf_section *root;

	if (conf_parse_text("d.ext", lab_view_cstr(text), NULL, CONF_PARSE_LITERAL, world->arena,
		    NULL, &root, &world->err) < 0)
		return -1;
	return dict_cql_from_tree(root, world->arena, ret, &world->err);
}

static void assert_view(struct lab_view view, const char *text)
{
	if (!lab_view_eq_cstr(view, text))
		fail_msg("'%.*s' is not '%s'", LAB_VIEW_ARG(view), text);
}

static void a_map_has_its_fields_in_pattern_order(void **state)
{
	struct dict_cql_config *config;
	struct dict_cql_map *map;
	struct test_world world;
	(void)state;

	test_world_init(&world, NULL);
	if (load(&world,
		    "driver = sqlpool\n" MAP(
			    "pattern = shared/x/$user/mailboxes/$guid/${bucket}/$name\n"
			    "table = t\n value_field = b, writetime(b)\n value_type = uint,int\n"
			    "fields {\n n = ${hexblob:name}\n b = ${uint:bucket}\n u = $user\n"
			    " g = ${hexblob:guid}\n}\n"),
		    &config) < 0)
		fail_msg("%s", world.err.message);
	assert_int_equal(config->map_count, 1);
	map = &config->maps[0];
	assert_view(map->table, "t");
	assert_view(map->value_field, "b, writetime(b)");
	assert_int_equal(map->value_count, 2);
	assert_view(map->values[1].expression, "writetime(b)");
	assert_int_equal(map->values[0].type, DICT_CQL_UINT);
	assert_string_equal(dict_cql_type_name(map->values[1].type), "int");
	assert_int_equal(map->field_count, 4);
	assert_view(map->fields[0].column, "u");
	assert_view(map->fields[1].column, "g");
	assert_view(map->fields[1].variable, "guid");
	assert_int_equal(map->fields[1].type, DICT_CQL_HEXBLOB);
	assert_view(map->fields[2].column, "b");
	assert_view(map->fields[3].column, "n");
	assert_int_equal(map->part_count, 8);
	assert_view(map->parts[0].literal, "shared/x/");
	assert_true(map->parts[1].is_variable && map->parts[1].field == 0);
	assert_view(map->parts[2].literal, "/mailboxes/");
	assert_true(map->parts[7].is_variable && map->parts[7].field == 3);
	assert_int_equal(map->where.line, 3);
	test_world_done(&world);
}

static void value_hexblob_is_an_older_value_type(void **state)
{
	struct dict_cql_config *config;
	struct test_world world;
	(void)state;

	test_world_init(&world, NULL);
	assert_int_equal(load(&world,
				 MAP("pattern = p\ntable = t\nvalue_field = i\n"
				     "value_hexblob = yes\nusername_field = u\n"),
				 &config),
		0);
	assert_int_equal(config->maps[0].values[0].type, DICT_CQL_HEXBLOB);
	assert_int_equal(config->maps[0].part_count, 1);
	test_world_done(&world);
}

static void connect_has_documented_defaults(void **state)
{
	struct dict_cql_connect connect;
	(void)state;

	assert_int_equal(
		dict_cql_connect_parse(LAB_VIEW("host=a host=b  dbname=mails"), &connect, NULL), 0);
	assert_int_equal(connect.host_count, 2);
	assert_view(connect.hosts[1], "b");
	assert_view(connect.keyspace, "mails");
	assert_int_equal(connect.port, 9042);
	assert_int_equal(connect.read_consistency, DICT_CQL_LOCAL_QUORUM);
	assert_int_equal(connect.read_fallback_consistency, DICT_CQL_LOCAL_QUORUM);
	assert_int_equal(connect.write_fallback_consistency, DICT_CQL_LOCAL_QUORUM);
	assert_int_equal(connect.delete_fallback_consistency, DICT_CQL_LOCAL_QUORUM);
	assert_true(connect.connect_timeout_ns == 5 * LAB_SEC);
	assert_true(connect.request_timeout_ns == LAB_MINUTE);
	assert_true(connect.warn_timeout_ns == 5 * LAB_SEC);
	assert_int_equal(connect.page_size + connect.execution_retry_times, 0);
	assert_false(connect.use_tls || connect.latency_aware_routing);
	assert_view(connect.log_level, "warn");
	assert_null(connect.metrics.ptr);
}

static void connect_takes_every_option(void **state)
{
	struct dict_cql_connect connect;
	struct lab_error err;
	(void)state;

	if (dict_cql_connect_parse(
		    LAB_VIEW(
			    "host=a port=9142 keyspace=k user=u password=p "
			    "read_consistency=quorum read_fallback_consistency=one "
			    "write_consistency=each-quorum write_fallback_consistency=local-quorum "
			    "delete_consistency=each-quorum log_level=info debug_queries=yes "
			    "latency_aware_routing=yes version=4 num_threads=2 "
			    "heartbeat_interval=5s idle_timeout=0 connect_timeout=100 "
			    "request_timeout=4s warn_timeout=1s metrics=/m "
			    "execution_retry_interval=500ms execution_retry_times=3 page_size=1000 "
			    "ssl_ca=/ca ssl_cert_file=/c ssl_private_key_file=/k "
			    "ssl_private_key_password=x ssl_verify=cert-dns"),
		    &connect, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(connect.port, 9142);
	assert_int_equal(connect.read_consistency, DICT_CQL_QUORUM);
	assert_int_equal(connect.read_fallback_consistency, DICT_CQL_ONE);
	assert_int_equal(connect.write_fallback_consistency, DICT_CQL_LOCAL_QUORUM);
	assert_int_equal(connect.delete_fallback_consistency, DICT_CQL_EACH_QUORUM);
	assert_true(connect.debug_queries && connect.latency_aware_routing && connect.use_tls);
	assert_int_equal(connect.protocol_version, 4);
	assert_int_equal(connect.num_threads, 2);
	assert_true(connect.heartbeat_interval_ns == 5 * LAB_SEC && connect.idle_timeout_ns == 0);
	assert_true(connect.connect_timeout_ns == 100 * LAB_MSEC);
	assert_true(connect.request_timeout_ns == 4 * LAB_SEC);
	assert_true(connect.execution_retry_interval_ns == 500 * LAB_MSEC);
	assert_int_equal(connect.execution_retry_times, 3);
	assert_int_equal(connect.page_size, 1000);
	assert_int_equal(connect.ssl_verify, DICT_CQL_SSL_VERIFY_CERT_DNS);
	assert_view(connect.ssl_private_key_file, "/k");
}

#define MAP_24 \
	"map {\n pattern = shared/x/$k\n table = t\n value_field = v\n" \
	" expire_field = e\n fields {\n k = $k\n }\n}\n"

static void settings_of_24_take_the_place_of_connect(void **state)
{
	static const char text[] =
		"cassandra_hosts = a b c\ncassandra_port = 9142\ncassandra_keyspace = mails\n"
		"cassandra_user = u\ncassandra_password = p\n"
		"cassandra_read_consistency = quorum\ncassandra_read_fallback_consistency = one\n"
		"cassandra_write_consistency = each-quorum\n"
		"cassandra_write_fallback_consistency = local-quorum\n"
		"cassandra_delete_consistency = all\n"
		"cassandra_delete_fallback_consistency = two\n"
		"cassandra_connect_timeout = 1s\ncassandra_request_timeout = 2s\n"
		"cassandra_warn_timeout = 3s\ncassandra_protocol_version = 0\n"
		"cassandra_io_thread_count = 2\ncassandra_heartbeat_interval = 4s\n"
		"cassandra_idle_timeout = 5s\ncassandra_execution_retry_interval = 500ms\n"
		"cassandra_execution_retry_times = 3\ncassandra_page_size = 10\n"
		"cassandra_latency_aware_routing = yes\ncassandra_log_level = info\n"
		"cassandra_debug_queries = yes\ncassandra_log_retries = yes\n"
		"cassandra_discover_peers = yes\ncassandra_metrics_path = /m\ncassandra_ssl = "
		"cert-only\n" MAP_24;
	struct dict_cql_config *config;
	struct test_world world;
	(void)state;

	test_world_init(&world, NULL);
	if (load(&world, text, &config) < 0)
		fail_msg("%s", world.err.message);
	const struct dict_cql_connect *c = &config->connect;
	assert_true(config->batches);
	assert_int_equal(c->host_count, 3);
	assert_view(c->hosts[2], "c");
	assert_view(c->keyspace, "mails");
	assert_view(c->user, "u");
	assert_view(c->password, "p");
	assert_int_equal(c->port, 9142);
	assert_int_equal(c->read_consistency, DICT_CQL_QUORUM);
	assert_int_equal(c->read_fallback_consistency, DICT_CQL_ONE);
	assert_int_equal(c->write_consistency, DICT_CQL_EACH_QUORUM);
	assert_int_equal(c->write_fallback_consistency, DICT_CQL_LOCAL_QUORUM);
	assert_int_equal(c->delete_consistency, DICT_CQL_ALL);
	assert_int_equal(c->delete_fallback_consistency, DICT_CQL_TWO);
	assert_true(c->connect_timeout_ns == LAB_SEC && c->request_timeout_ns == 2 * LAB_SEC);
	assert_true(c->warn_timeout_ns == 3 * LAB_SEC && c->protocol_version == 0);
	assert_int_equal(c->num_threads, 2);
	assert_true(c->heartbeat_interval_ns == 4 * LAB_SEC && c->idle_timeout_ns == 5 * LAB_SEC);
	assert_true(c->execution_retry_interval_ns == 500 * LAB_MSEC);
	assert_int_equal(c->execution_retry_times, 3);
	assert_int_equal(c->page_size, 10);
	assert_true(c->latency_aware_routing && c->debug_queries && c->log_retries && c->use_tls);
	assert_true(c->discover_peers);
	assert_view(c->log_level, "info");
	assert_view(c->metrics, "/m");
	assert_int_equal(c->ssl_verify, DICT_CQL_SSL_VERIFY_CERT);
	assert_view(config->maps[0].expire_field, "e");
	test_world_done(&world);
}

static void settings_of_24_have_errors_of_their_own(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "cassandra_keyspace = m\n", "cassandra_hosts is empty" },
		{ "cassandra_hosts = a\n", "cassandra_keyspace is empty" },
		{ "cassandra_hosts = a\ncassandra_read_consistency = much\n",
			"Unknown cassandra_read_consistency: much" },
		{ "cassandra_ssl = yes\n",
			"cassandra_ssl: 'yes' is not one of no, cert-only, cert-ip" },
		{ "cassandra_port = 0\n", "cassandra_port: it must not be 0" },
		{ "cassandra_ports = 1\n", "Unknown setting: cassandra_ports" },
		{ CONNECT "cassandra_port = 1\n", "cassandra_port and connect are settings of "
						  "different versions of Dovecot" },
	};
	struct dict_cql_config *config;
	struct test_world world;
	(void)state;

	test_world_init(&world, NULL);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_int_equal(load(&world, rows[i].text, &config), -1);
		if (strstr(world.err.message, rows[i].message) == NULL)
			fail_msg("'%s' is not in '%s'", rows[i].message, world.err.message);
	}
	assert_int_equal(load(&world, "cassandra_hosts = a\ncassandra_keyspace = k\n", &config), 0);
	assert_int_equal(config->connect.delete_fallback_consistency, DICT_CQL_LOCAL_QUORUM);
	test_world_done(&world);
}

static void connect_errors_are_dovecots(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "", "No hosts given in connect string" },
		{ "keyspace=m", "No hosts given in connect string" },
		{ "host=a", "No dbname given in connect string" },
		{ "host=a latency_aware_routing keyspace=m",
			"Missing value in connect string: latency_aware_routing" },
		{ "host=a ssl_cert=x", "Unknown connect string: ssl_cert" },
		{ "host=a ssl_key_password=x", "Unknown connect string: ssl_key_password" },
		{ "hots=a keyspace=m", "Unknown connect string: hots (did you mean host?)" },
		{ "host=a read_consistency=local_quorum",
			"connect string read_consistency: Unknown consistency: local_quorum (did "
			"you "
			"mean local-quorum?)" },
		{ "host=a port=0", "connect string port: it must not be 0" },
		{ "host=a port=70000",
			"connect string port: '70000' is above the maximum of 65535" },
		{ "host=a version=9", "connect string version: '9' is above the maximum of 5" },
		{ "host=", "connect string host: the host is empty" },
		{ "host=a ssl_verify=yes", "connect string ssl_verify: 'yes' is not one of none, "
					   "cert, cert-ip, cert-dns" },
		{ "host=a log_level=loud", "connect string log_level: 'loud' is not one of "
					   "critical, error, warn, info, "
					   "debug, trace" },
		{ "host=a debug_queries=x",
			"connect string debug_queries: 'x' is not a boolean (yes or no)" },
		{ "host=a connect_timeout=x", "connect string connect_timeout: 'x' is not a time "
					      "such as 250ms, 3s, 10 min "
					      "or 2 days" },
	};
	struct dict_cql_connect connect;
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct lab_error err;
		if (dict_cql_connect_parse(lab_view_cstr(rows[i].text), &connect, &err) == 0)
			fail_msg("'%s' is taken", rows[i].text);
		assert_string_equal(err.message, rows[i].message);
	}
}

static void map_errors_are_dovecots_and_have_a_place(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "", "d.ext:1:1: Missing connect setting" },
		{ "connect = host=a\n", "d.ext:1:11: No dbname given in connect string" },
		{ CONNECT "driver = mysql\n", "d.ext:2:10: driver: 'mysql' is not one of sqlpool, "
					      "cassandra" },
		{ CONNECT "table = x\n", "d.ext:2:1: Unknown setting: table" },
		{ CONNECT "maps {\n}\n", "d.ext:2:1: Unknown section: maps" },
		{ MAP(""), "d.ext:2:1: Missing setting: pattern" },
		{ MAP("pattern = a\n"), "d.ext:2:1: Missing setting: table" },
		{ MAP("pattern = a\ntable = t\n"), "d.ext:2:1: Missing setting: value_field" },
		{ MAP("patern = a\n"),
			"d.ext:3:1: Unknown setting: patern (did you mean pattern?)" },
		{ MAP("field {\n}\n"), "d.ext:3:1: Unknown section: field" },
		{ MAP("pattern = a/$user\ntable = t\nvalue_field = i\n"),
			"d.ext:3:11: Missing SQL field for variable: user" },
		{ MAP("pattern = a/$user/$user\ntable = t\nvalue_field = i\n"
		      "fields {\nu = $user\n}\n"),
			"d.ext:3:11: Missing SQL field for variable: user" },
		{ MAP("pattern = a\ntable = t\nvalue_field = i\nfields {\n  u = $user\n}\n"),
			"d.ext:7:3: Unused variable: user" },
		{ MAP("pattern = a\ntable = t\nvalue_field = b,c\nvalue_type = uint\n"),
			"d.ext:6:14: Number of fields in value_fields doesn't match value_type" },
		{ MAP("pattern = a\ntable = t\nvalue_field = b\nvalue_type = uint,uint\n"),
			"d.ext:6:14: Number of fields in value_fields doesn't match value_type" },
		{ MAP("pattern = a\ntable = t\nvalue_field = b\nvalue_type = blob\n"),
			"d.ext:6:14: Invalid value in value_type" },
		{ MAP("pattern = a\ntable = t\nvalue_field = b,,c\n"),
			"d.ext:5:15: value_field has an empty field" },
		{ MAP("pattern = a\ntable = t\nvalue_field = a,b,c,d,e\n"),
			"d.ext:5:15: value_field has more than 4 fields" },
		{ MAP("pattern = a\ntable = t\nvalue_field = a\nvalue_hexblob = x\n"),
			"d.ext:6:17: value_hexblob: 'x' is not a boolean (yes or no)" },
		{ MAP("pattern = $u\ntable = t\nvalue_field = i\nfields {\nu = u\n}\n"),
			"d.ext:7:5: Value is missing '$' for field: u" },
		{ MAP("pattern = $u\ntable = t\nvalue_field = i\nfields {\nu = ${u\n}\n"),
			"d.ext:7:5: Value is missing '}' for field: u" },
		{ MAP("pattern = $u\ntable = t\nvalue_field = i\nfields {\nu = ${hexblub:u}\n}\n"),
			"d.ext:7:5: Unknown type 'hexblub' of a field (string, int, uint, "
			"hexblob)" },
		{ MAP("pattern = $u\ntable = t\nvalue_field = i\nfields {\nu = $\n}\n"),
			"d.ext:7:5: the variable's name is missing" },
		{ MAP("pattern = $u-x\ntable = t\nvalue_field = i\nfields {\nu = $u\n}\n"),
			"d.ext:3:11: a variable in a pattern must end before a '/'" },
		{ MAP("pattern = a\ntable = t\nvalue_field = i\nfields {\nx {\n}\n}\n"),
			"d.ext:7:1: Unknown section: x" },
	};
	struct dict_cql_config *config;
	struct test_world world;
	(void)state;

	test_world_init(&world, NULL);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		if (load(&world, rows[i].text, &config) == 0)
			fail_msg("row %zu is taken", i);
		if (strcmp(world.err.message, rows[i].message) != 0)
			fail_msg("row %zu: %s", i, world.err.message);
	}
	test_world_done(&world);
}

static void everything_is_bounded(void **state)
{
	struct dict_cql_config *config;
	struct dict_cql_connect connect;
	struct test_world world;
	struct lab_buf text;
	(void)state;

	test_world_init(&world, NULL);
	lab_buf_init(&text, world.heap, 20000);
	for (size_t i = 0; i <= DICT_CQL_HOSTS_MAX; i++)
		lab_buf_append_cstr(&text, "host=a ");
	assert_int_equal(dict_cql_connect_parse(lab_buf_view(&text), &connect, &world.err), -1);
	assert_non_null(strstr(world.err.message, "there are more than 32 hosts"));
	lab_buf_reset(&text);
	lab_buf_append_cstr(&text, CONNECT);
	for (size_t i = 0; i <= DICT_CQL_MAPS_MAX; i++)
		lab_buf_append_cstr(&text, "map {\npattern = p\ntable = t\nvalue_field = i\n}\n");
	assert_int_equal(load(&world, lab_buf_cstr(&text), &config), -1);
	assert_non_null(strstr(world.err.message, "there are more than 64 maps"));
	lab_buf_reset(&text);
	lab_buf_append_cstr(
		&text, CONNECT "map {\npattern = p\ntable = t\nvalue_field = i\nfields {\n");
	for (size_t i = 0; i <= DICT_CQL_FIELDS_MAX; i++)
		lab_buf_printf(&text, "f%zu = $f\n", i);
	lab_buf_append_cstr(&text, "}\n}\n");
	assert_int_equal(load(&world, lab_buf_cstr(&text), &config), -1);
	assert_non_null(strstr(world.err.message, "a map has more than 8 fields"));
	lab_buf_done(&text);
	test_world_done(&world);
}

static void consistencies_have_the_protocols_numbers(void **state)
{
	enum dict_cql_consistency consistency;
	(void)state;

	assert_int_equal(DICT_CQL_LOCAL_QUORUM, 6);
	assert_int_equal(DICT_CQL_LOCAL_ONE, 10);
	for (int i = 0; i <= DICT_CQL_LOCAL_ONE; i++) {
		const char *name = dict_cql_consistency_name((enum dict_cql_consistency)i);
		assert_int_equal(dict_cql_consistency_parse(lab_view_cstr(name), &consistency), 0);
		assert_int_equal(consistency, i);
	}
	assert_int_equal(dict_cql_consistency_parse(LAB_VIEW("most"), &consistency), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_map_has_its_fields_in_pattern_order),
		cmocka_unit_test(value_hexblob_is_an_older_value_type),
		cmocka_unit_test(connect_has_documented_defaults),
		cmocka_unit_test(connect_takes_every_option),
		cmocka_unit_test(settings_of_24_take_the_place_of_connect),
		cmocka_unit_test(settings_of_24_have_errors_of_their_own),
		cmocka_unit_test(connect_errors_are_dovecots),
		cmocka_unit_test(map_errors_are_dovecots_and_have_a_place),
		cmocka_unit_test(everything_is_bounded),
		cmocka_unit_test(consistencies_have_the_protocols_numbers),
	};
	return cmocka_run_group_tests_name("dict-cql", tests, NULL, NULL);
}

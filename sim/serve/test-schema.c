/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/schema.h"

#include "core/base/testing.h"
#include "sim/cql-emulator/cql-emulator.h"

/* obox 3.1 */
static const char *const names[] = { "user_index_objects", "user_mailbox_index_objects",
	"user_mailbox_objects", "user_mailbox_buckets", "user_fts_objects",
	"user_index_diff_objects", "user_mailbox_index_diff_objects",
	"user_mailbox_objects_reverse", "user_last_hosts", "fs_auth_cache" };

static struct cqlemu *start(void)
{
	static struct sim_hooks hooks;
	struct cqlemu_node_options nodes[3];
	struct cqlemu_options o;
	struct cqlemu *emulator;
	struct lab_error err;

	memset(nodes, 0, sizeof(nodes));
	for (size_t i = 0; i < 3; i++) {
		nodes[i].name = lab_view_cstr((const char *const[]){ "n1", "n2", "n3" }[i]);
		nodes[i].address = lab_view_cstr(
			(const char *const[]){ "10.0.0.1", "10.0.0.2", "10.0.0.3" }[i]);
		nodes[i].zone = nodes[i].rack = LAB_VIEW("az1");
	}
	cqlemu_options_init(&o);
	o.heap = testing_heap;
	o.hooks = &hooks;
	o.nodes = nodes;
	o.node_count = 3;
	if (cqlemu_new(&o, &emulator, &err) < 0)
		fail_msg("%s", err.message);
	return emulator;
}

static void execute(struct cqlemu *emulator, const char *cql)
{
	struct lab_error err;

	if (cqlemu_execute(emulator, lab_view_cstr(cql), &err) < 0)
		fail_msg("%s: %s", cql, err.message);
}

static void create(struct cqlemu *emulator)
{
	struct lab_buf ddl;

	lab_buf_init(&ddl, testing_heap, 65536);
	schema_print(LAB_VIEW("mails"), 3, &ddl);
	execute(emulator, lab_buf_cstr(&ddl));
	lab_buf_done(&ddl);
}

static void there_are_the_eight_tables_of_fs_dictmap_and_two_of_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(names); i++)
		assert_string_equal(schema_table(i), names[i]);
	assert_null(schema_table(LAB_COUNT_OF(names)));
}

static void the_schema_is_accepted_and_may_be_run_twice(void **state)
{
	struct cqlemu *emulator = start();
	char cql[128];

	(void)state;
	create(emulator);
	create(emulator);
	for (size_t i = 0; i < LAB_COUNT_OF(names); i++) {
		snprintf(cql, sizeof(cql), "select * from mails.%s", names[i]);
		execute(emulator, cql);
	}
	cqlemu_free(&emulator);
}

static void the_replication_may_be_given(void **state)
{
	struct cqlemu *emulator = start();
	struct lab_buf ddl;

	(void)state;
	lab_buf_init(&ddl, testing_heap, 65536);
	schema_print_replicated(
		LAB_VIEW("mails"), "'class': 'NetworkTopologyStrategy', 'dc1': 2", &ddl);
	assert_non_null(strstr(lab_buf_cstr(&ddl),
		"replication = { 'class': 'NetworkTopologyStrategy', 'dc1': 2 };\nuse mails;\n"));
	execute(emulator, lab_buf_cstr(&ddl));
	execute(emulator, "select * from mails.user_mailbox_objects");
	lab_buf_done(&ddl);
	cqlemu_free(&emulator);
}

/* What the dict maps of scenarios/configs ask for, by whole partitions and by rows. */
static void the_keys_are_those_that_the_maps_ask_by(void **state)
{
	static const char *const statements[] = {
		"select i from mails.user_index_objects where u = 'u' and n = 'n'",
		"select n from mails.user_index_objects where u = 'u'",
		"select i from mails.user_mailbox_index_objects where u = 'u' and g = 0x01 and "
		"n = 'n'",
		"select n from mails.user_mailbox_index_objects where u = 'u' and g = 0x01",
		"select i from mails.user_mailbox_objects where u = 'u' and g = 0x01 and b = 0 and "
		"n = 0x02",
		"select n from mails.user_mailbox_objects where u = 'u' and g = 0x01 and b = 0",
		"select b, writetime(b) from mails.user_mailbox_buckets where u = 'u' and g = 0x01",
		"select i from mails.user_fts_objects where u = 'u' and n = 'n'",
		"select m, writetime(m) from mails.user_index_diff_objects where u = 'u'",
		"select m, writetime(m) from mails.user_mailbox_index_diff_objects where u = 'u' "
		"and g = 0x01",
		"select g from mails.user_mailbox_index_diff_objects where u = 'u'",
		"select g from mails.user_mailbox_objects_reverse where i = 0x03 and n = 0x02",
		"select n from mails.user_mailbox_objects_reverse where i = 0x03",
		"insert into mails.user_mailbox_objects_reverse (u, g, i, n) values ('u', 0x01, "
		"0x03, 0x02)",
	};
	struct cqlemu *emulator = start();

	(void)state;
	create(emulator);
	for (size_t i = 0; i < LAB_COUNT_OF(statements); i++)
		execute(emulator, statements[i]);
	cqlemu_free(&emulator);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(there_are_the_eight_tables_of_fs_dictmap_and_two_of_others),
		testing_test(the_schema_is_accepted_and_may_be_run_twice),
		testing_test(the_replication_may_be_given),
		testing_test(the_keys_are_those_that_the_maps_ask_by),
	};

	return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}

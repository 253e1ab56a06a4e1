/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-golden.c - statements that a genuine Cassandra 4.0.14 was given, and what it answered,
 * word for word (golden/semantics.txt).
 */
#include "sim/cql-emulator/testing-cql.h"

#define GOLDEN "sim/cql-emulator/golden/"

static struct lab_view read_file(struct test_world *w, const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = lab_arena_alloc(w->arena, 256 * 1024);
	if (file == NULL)
		fail_msg("cannot open %s", path);
	size_t len = fread(data, 1, 256 * 1024, file);
	(void)fclose(file);
	return lab_view_of(data, len);
}

static const char *run(struct test_client *c, struct lab_view statement)
{
	struct cql_request request = { .opcode = CQL_QUERY,
		.params = { .consistency = CQL_LOCAL_QUORUM } };
	struct lab_view option = { NULL, 0 };
	int64_t number = 0;
	if (statement.ptr[0] == '@') {
		(void)lab_view_split(&statement, ' ', &option);
		assert_int_equal(lab_view_to_i64(lab_view_skip(option, 2), &number), 0);
	}
	if (option.ptr != NULL && option.ptr[1] == 'c') {
		request.params.consistency = (enum cql_consistency)number;
	} else if (option.ptr != NULL && option.ptr[1] == 'p') {
		request.params.flags |= CQL_PARAM_PAGE_SIZE;
		request.params.page_size = (int32_t)number;
	} else if (option.ptr != NULL) {
		request.params.flags |= CQL_PARAM_TIMESTAMP;
		request.params.timestamp_us = number;
	}
	request.query = statement;
	struct cql_response response = test_ask(c, &request);
	test_sleep(c->world, LAB_MSEC);
	return test_text(c->world, &response);
}

/* Runs the statements of a file on a fresh cluster of so many nodes. */
static void compare_on(size_t nodes, const char *path, unsigned at_least)
{
	struct test_world *w = test_world(nodes);
	struct lab_view file = read_file(w, path), line, statement = { NULL, 0 };
	const char *got = NULL;
	unsigned compared = 0, differ = 0, known = 0;
	test_start(w);
	struct test_client *c = test_client(w, "n1");
	while (lab_view_split(&file, '\n', &line)) {
		if (line.len < 2 || line.ptr[0] == '#')
			continue;
		struct lab_view rest = lab_view_trim(lab_view_skip(line, 2));
		if (line.ptr[0] == '>') {
			statement = rest;
			got = run(c, statement);
			continue;
		}
		if (line.ptr[0] == '=' && file.len > 0 && file.ptr[0] == '~')
			continue; /* a known difference follows */
		known += line.ptr[0] == '~';
		compared++;
		if (lab_view_eq(lab_view_trim(lab_view_cstr(got)), rest))
			continue;
		differ++;
		print_message("> %.*s\nwant ", LAB_VIEW_ARG(statement)); /* it has its limits */
		print_message("%.*s", LAB_VIEW_ARG(lab_view_sub(rest, 0, 900)));
		print_message("\ngot  %.900s", got);
		print_message("\n");
	}
	print_message("%s: %u compared, %u of them known to differ from Cassandra\n", path,
		compared, known);
	assert_int_equal(differ, 0);
	assert_true(compared >= at_least);
	test_disconnect(c);
	test_end(w);
}

/* One node, and six in two data centres. */
static void compare(const char *path, unsigned at_least)
{
	compare_on(1, path, at_least);
	compare_on(6, path, at_least);
}

static void answers_are_those_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "semantics.txt", 140);
}

static void collections_are_those_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "collections.txt", 80);
}

static void counters_are_those_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "counters.txt", 25);
}

static void conditions_are_those_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "conditions.txt", 70);
}

static void functions_are_those_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "functions.txt", 110);
}

static void types_are_those_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "types.txt", 100);
}

static void alterations_are_those_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "alter.txt", 90);
}

static void json_is_that_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "json.txt", 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(answers_are_those_of_cassandra),
		cmocka_unit_test(collections_are_those_of_cassandra),
		cmocka_unit_test(counters_are_those_of_cassandra),
		cmocka_unit_test(conditions_are_those_of_cassandra),
		cmocka_unit_test(functions_are_those_of_cassandra),
		cmocka_unit_test(types_are_those_of_cassandra),
		cmocka_unit_test(alterations_are_those_of_cassandra),
		cmocka_unit_test(json_is_that_of_cassandra) };
	return cmocka_run_group_tests_name("cql-emulator-golden", tests, NULL, NULL);
}

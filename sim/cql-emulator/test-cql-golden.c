/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-golden.c - statements that a genuine Cassandra 4.0.14 was given, and what it answered,
 * word for word (golden/semantics.txt).
 */
#include "sim/cql-emulator/testing-cql.h"

#define GOLDEN "sim/cql-emulator/golden/"
#define VALUES_MAX 8

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

/* Who a file's statements are run as: connections by user, whose password is the name. */
#define USERS_MAX 16
struct users {
	struct test_world *world;
	struct lab_view names[USERS_MAX];
	struct test_client *clients[USERS_MAX];
	size_t count;
};

static struct test_client *user_client(struct users *u, struct lab_view name)
{
	struct cql_response response;
	for (size_t i = 0; i < u->count; i++) {
		if (lab_view_eq(u->names[i], name))
			return u->clients[i];
	}
	assert_true(u->count < USERS_MAX);
	u->names[u->count] = name;
	if (name.len == 0)
		return u->clients[u->count++] = test_client(u->world, "n1");
	struct test_client *c = test_login(u->world, "n1",
		lab_arena_printf(u->world->arena, "%c%.*s%c%.*s", 0, LAB_VIEW_ARG(name), 0,
			LAB_VIEW_ARG(name)),
		2 * name.len + 2, &response);
	assert_int_equal(response.opcode, CQL_AUTH_SUCCESS);
	return u->clients[u->count++] = c;
}

static const char *login_text(struct test_world *w, const char *token, size_t len)
{
	struct cql_response response;
	struct test_client *c = test_login(w, "n1", token, len, &response);
	test_disconnect(c);
	return response.opcode == CQL_ERROR ? test_text(w, &response) : "AUTH_SUCCESS";
}

/* NAME:PASSWORD, or a token in hexadecimal. */
static const char *try_login(struct test_world *w, struct lab_view option)
{
	if (option.ptr[1] == 'r') {
		uint8_t *token = lab_arena_alloc(w->arena, option.len);
		size_t len = (option.len - 2) / 2;
		for (size_t i = 0; i < len; i++) {
			char digits[3] = { (char)option.ptr[2 + 2 * i], (char)option.ptr[3 + 2 * i],
				0 };
			token[i] = (uint8_t)strtoul(digits, NULL, 16);
		}
		return login_text(w, (const char *)token, len);
	}
	char *token = lab_arena_alloc(w->arena, option.len + 1);
	memcpy(token + 1, option.ptr + 2, option.len - 2);
	for (size_t i = 1; i < option.len; i++)
		token[i] = token[i] == ':' ? '\0' : token[i];
	return login_text(w, token, option.len - 1);
}

/* "00000001,null,unset": values in hex. */
static size_t read_values(struct test_world *w, struct lab_view text, struct cql_bind *ret)
{
	struct lab_view part;
	size_t count = 0;
	while (lab_view_split(&text, ',', &part)) {
		struct cql_bind *bind = &ret[count++];
		assert_true(count <= VALUES_MAX);
		*bind = (struct cql_bind){ .kind = CQL_VALUE_BYTES };
		if (lab_view_eq_cstr(part, "null"))
			bind->kind = CQL_VALUE_NULL;
		else if (lab_view_eq_cstr(part, "unset"))
			bind->kind = CQL_VALUE_UNSET;
		else {
			uint8_t *bytes = lab_arena_alloc(w->arena, part.len / 2 + 1);
			assert_int_equal(lab_unhex(part, bytes, part.len / 2), 0);
			bind->bytes = lab_view_of(bytes, part.len / 2);
		}
	}
	return count;
}

/* Prepares it; with values (`text` not NULL) executes it. */
static struct cql_response run_prepared(
	struct test_client *c, struct lab_view statement, struct lab_view text)
{
	struct cql_bind values[VALUES_MAX];
	struct cql_request request = { .opcode = CQL_PREPARE, .query = statement };
	struct cql_response response = test_ask(c, &request);
	if (text.ptr == NULL || response.opcode == CQL_ERROR)
		return response;
	request = (struct cql_request){ .opcode = CQL_EXECUTE,
		.query = response.prepared.id,
		.params = { .consistency = CQL_LOCAL_QUORUM,
			.flags = CQL_PARAM_VALUES,
			.values = values,
			.value_count = read_values(c->world, text, values) } };
	return test_ask(c, &request);
}

static const char *run(struct users *u, struct lab_view default_user, struct lab_view statement)
{
	struct cql_request request = { .opcode = CQL_QUERY,
		.params = { .consistency = CQL_LOCAL_QUORUM } };
	struct lab_view user = default_user, values = { NULL, 0 };
	bool prepare = false;
	while (statement.len > 0 && statement.ptr[0] == '@') {
		struct lab_view option;
		int64_t number = 0;
		(void)lab_view_split(&statement, ' ', &option);
		(void)lab_view_to_i64(lab_view_skip(option, 2), &number);
		if (option.ptr[1] == 'l' || option.ptr[1] == 'r')
			return try_login(u->world, option);
		prepare = prepare || option.ptr[1] == '?' || option.ptr[1] == '=';
		if (option.ptr[1] == '=')
			values = lab_view_skip(option, 2);
		if (option.ptr[1] == 'u')
			user = lab_view_skip(option, 2);
		if (option.ptr[1] == 'c')
			request.params.consistency = (enum cql_consistency)number;
		if (option.ptr[1] == 'p') {
			request.params.flags |= CQL_PARAM_PAGE_SIZE;
			request.params.page_size = (int32_t)number;
		}
		if (option.ptr[1] == 't') {
			request.params.flags |= CQL_PARAM_TIMESTAMP;
			request.params.timestamp_us = number;
		}
	}
	struct test_client *c = user_client(u, user);
	request.query = statement;
	struct cql_response response =
		prepare ? run_prepared(c, statement, values) : test_ask(c, &request);
	test_sleep(c->world, LAB_MSEC);
	return test_text(c->world, &response);
}

/* What no two runs have in common: times and ids (UUIDs of version 1), and the order of the
 * signatures that a function is known by. */
static int by_text(const void *a, const void *b)
{
	const struct lab_view *x = a, *y = b;
	return lab_view_cmp(*x, *y);
}

static struct lab_view sorted_signatures(struct test_world *w, struct lab_view text)
{
	struct lab_view parts[64], part, list = text;
	struct lab_buf out;
	size_t at = lab_view_find(text, LAB_VIEW("signatures: ")), count = 0;
	if (at == SIZE_MAX)
		return text;
	lab_buf_init_arena(&out, w->arena, text.len + 16);
	lab_buf_append_view(&out, lab_view_sub(text, 0, at + 12));
	list = lab_view_sub(text, at + 12, text.len - at - 13);
	while (count < LAB_COUNT_OF(parts) && lab_view_split(&list, ',', &part))
		parts[count++] = lab_view_trim(part);
	qsort(parts, count, sizeof(*parts), by_text);
	for (size_t i = 0; i < count; i++)
		lab_buf_printf(&out, "%s%.*s", i > 0 ? ", " : "", LAB_VIEW_ARG(parts[i]));
	lab_buf_append_cstr(&out, ")");
	return lab_buf_view(&out);
}

static struct lab_view normal(struct test_world *w, struct lab_view text)
{
	struct lab_view copy = lab_arena_copy(w->arena, text);
	uint8_t *bytes = (uint8_t *)(uintptr_t)copy.ptr;
	size_t run = 0;
	for (size_t i = 0; i <= copy.len; i++) {
		uint8_t c = i < copy.len ? bytes[i] : 0;
		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')) {
			run++;
			continue;
		}
		if (run == 32 && bytes[i - 20] == '1')
			memset(&bytes[i - 32], 'T', 32);
		run = 0;
	}
	return sorted_signatures(w, copy);
}

/* Runs the statements of a file on a fresh cluster of so many nodes, as the user. */
static void compare_on(size_t nodes, const char *path, unsigned at_least, const char *user)
{
	struct test_world *w = test_world(nodes);
	struct users users = { .world = w };
	struct lab_view file = read_file(w, path), line, statement = { NULL, 0 };
	const char *got = NULL;
	unsigned compared = 0, differ = 0, known = 0;
	w->options.user = w->options.password = lab_view_cstr(user);
	test_start(w);
	while (lab_view_split(&file, '\n', &line)) {
		if (line.len < 2 || line.ptr[0] == '#')
			continue;
		struct lab_view rest = lab_view_trim(lab_view_skip(line, 2));
		if (line.ptr[0] == '>') {
			statement = rest;
			got = run(&users, lab_view_cstr(user), statement);
			continue;
		}
		if (line.ptr[0] == '=' && file.len > 0 && file.ptr[0] == '~')
			continue; /* a known difference follows */
		known += line.ptr[0] == '~';
		compared++;
		if (lab_view_eq(normal(w, lab_view_trim(lab_view_cstr(got))), normal(w, rest)))
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
	for (size_t i = 0; i < users.count; i++)
		test_disconnect(users.clients[i]);
	test_end(w);
}

/* One node, and six in two data centres. */
static void compare(const char *path, unsigned at_least)
{
	compare_on(1, path, at_least, "");
	compare_on(6, path, at_least, "");
}

static void roles_are_those_of_cassandra(void **state)
{
	(void)state;
	compare_on(1, GOLDEN "roles.txt", 260, "cassandra");
}

static void table_options_are_those_of_cassandra(void **state)
{
	(void)state;
	compare_on(1, GOLDEN "options.txt", 200, "");
}

static void descriptions_are_those_of_cassandra(void **state)
{
	(void)state;
	compare_on(1, GOLDEN "describe.txt", 80, "");
}

static void without_authentication_there_are_no_roles(void **state)
{
	(void)state;
	compare(GOLDEN "anonymous.txt", 24);
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

static void texts_are_those_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "texts.txt", 50);
}

static void tuples_are_those_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "tuples.txt", 110);
}

static void numbers_are_those_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "numbers.txt", 80);
}

static void misuse_is_refused_as_by_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "misuse.txt", 120);
}

static void indexes_are_those_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "indexes.txt", 150);
}

static void json_input_is_that_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "json-input.txt", 120);
}

static void user_types_are_those_of_cassandra(void **state)
{
	(void)state;
	compare(GOLDEN "user-types.txt", 170);
}

/* The list in golden/README.md. */
static void differences_are_few_and_explained(void **state)
{
	static const char *const files[] = { "alter", "anonymous", "collections", "conditions",
		"counters", "describe", "faults", "functions", "indexes", "json", "json-input",
		"misuse", "numbers", "options", "roles", "semantics", "texts", "tuples", "types",
		"user-types" };
	struct test_world *w = test_world(1);
	struct lab_view line, list = read_file(w, GOLDEN "README.md");
	unsigned differences = 0, reasons = 0;
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(files); i++) {
		struct lab_view file =
			read_file(w, lab_arena_printf(w->arena, GOLDEN "%s.txt", files[i]));
		while (lab_view_split(&file, '\n', &line))
			differences += lab_view_starts_with(line, LAB_VIEW("~ "));
	}
	while (lab_view_split(&list, '\n', &line))
		reasons += lab_view_starts_with(line, LAB_VIEW("| ")) &&
			   lab_view_find(line, LAB_VIEW(".txt | ")) != SIZE_MAX;
	assert_in_range(differences, 1, 9);
	assert_int_equal(differences, reasons);
	test_start(w);
	test_end(w);
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
		cmocka_unit_test(roles_are_those_of_cassandra),
		cmocka_unit_test(descriptions_are_those_of_cassandra),
		cmocka_unit_test(table_options_are_those_of_cassandra),
		cmocka_unit_test(without_authentication_there_are_no_roles),
		cmocka_unit_test(json_is_that_of_cassandra),
		cmocka_unit_test(texts_are_those_of_cassandra),

		cmocka_unit_test(user_types_are_those_of_cassandra),
		cmocka_unit_test(tuples_are_those_of_cassandra),
		cmocka_unit_test(misuse_is_refused_as_by_cassandra),
		cmocka_unit_test(numbers_are_those_of_cassandra),
		cmocka_unit_test(indexes_are_those_of_cassandra),
		cmocka_unit_test(json_input_is_that_of_cassandra),
		cmocka_unit_test(differences_are_few_and_explained) };
	return cmocka_run_group_tests_name("cql-emulator-golden", tests, NULL, NULL);
}

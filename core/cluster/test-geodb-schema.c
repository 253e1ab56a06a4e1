/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables that are made, and those that an operator is given.
 */
#include "core/base/testing.h"

#include "core/cluster/geodb-schema.h"

#define FILE_MAX 65536

/* Without comments and white space, in lower case. */
static void squeeze(struct lab_view text, struct lab_buf *out)
{
	struct lab_view line;

	while (lab_view_split(&text, '\n', &line)) {
		size_t comment = lab_view_find(line, LAB_VIEW("--"));

		line.len = LAB_MIN(line.len, comment);
		for (size_t i = 0; i < line.len; i++) {
			uint8_t byte = line.ptr[i];

			if (byte != ' ' && byte != '\t')
				lab_buf_append_byte(out,
					byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
		}
	}
}

static void the_file_for_operators_says_the_same(void **state)
{
	char *text = lab_heap_alloc(testing_heap, FILE_MAX);
	FILE *file = fopen("core/cluster/geodb.cql", "r");
	struct lab_buf printed, ours, theirs;

	(void)state;
	assert_non_null(file);
	lab_buf_init(&printed, testing_heap, FILE_MAX);
	lab_buf_init(&ours, testing_heap, FILE_MAX);
	lab_buf_init(&theirs, testing_heap, FILE_MAX);
	squeeze(lab_view_of(text, fread(text, 1, FILE_MAX, file)), &theirs);
	assert_int_equal(fclose(file), 0);
	geodb_schema_print(
		LAB_VIEW("geodb"), "'class': 'NetworkTopologyStrategy', 'dc1': 3", &printed);
	squeeze(lab_buf_view(&printed), &ours);
	assert_string_equal(lab_buf_cstr(&ours), lab_buf_cstr(&theirs));
	lab_buf_done(&theirs);
	lab_buf_done(&ours);
	lab_buf_done(&printed);
	lab_heap_free(testing_heap, text);
}

static void a_keyspace_has_the_name_and_layout_that_is_asked_for(void **state)
{
	struct lab_buf text;

	(void)state;
	lab_buf_init(&text, testing_heap, FILE_MAX);
	geodb_schema_print(LAB_VIEW("d8s_cluster"), "'class': 'X'", &text);
	assert_true(lab_view_starts_with(lab_buf_view(&text),
		LAB_VIEW("create keyspace if not exists d8s_cluster with replication = "
			 "{'class': 'X'};\n")));
	assert_true(lab_view_find(lab_buf_view(&text), LAB_VIEW("geodb")) == SIZE_MAX);
	lab_buf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(the_file_for_operators_says_the_same),
		testing_test(a_keyspace_has_the_name_and_layout_that_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

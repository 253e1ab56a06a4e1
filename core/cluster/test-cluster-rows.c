/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows as values: ids, words, names, bytes.
 */
#include "core/base/testing.h"

#include "core/cluster/cluster-rows.h"

static void ids_are_uuids(void **state)
{
	static const char *const bad[] = { "", "6ba7b810-9dad-11d1-80b4-00c04fd430c",
		"6ba7b810-9dad-11d1-80b4-00c04fd430c88", "6ba7b8109-dad-11d1-80b4-00c04fd430c8",
		"6ba7b810-9dad-11d1-80b4-00c04fd430cg", "6ba7b810+9dad-11d1-80b4-00c04fd430c8" };
	struct cluster_id id = { { 9 } };
	char text[CLUSTER_ID_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++)
		assert_row(i, cluster_id_parse(lab_view_cstr(bad[i]), &id) == -1);
	assert_int_equal(id.bytes[0], 9);
	assert_int_equal(
		cluster_id_parse(LAB_VIEW("6BA7b810-9dad-11d1-80b4-00c04fd430c8"), &id), 0);
	cluster_id_format(id, text);
	assert_string_equal(text, "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	assert_true(cluster_id_is_set(id));
	assert_int_equal(
		cluster_id_parse(LAB_VIEW("00000000-0000-0000-0000-000000000000"), &id), 0);
	assert_false(cluster_id_is_set(id));
}

static void statuses_have_names(void **state)
{
	enum cluster_status status = CLUSTER_STATUS_NONE;

	(void)state;
	assert_string_equal(cluster_status_name(CLUSTER_STATUS_NONE), "");
	for (int i = CLUSTER_ONLINE; i <= CLUSTER_EVACUATE; i++) {
		const char *name = cluster_status_name((enum cluster_status)i);

		assert_int_equal(cluster_status_parse(lab_view_cstr(name), &status), 0);
		assert_int_equal(status, i);
	}
	assert_int_equal(cluster_status_parse(LAB_VIEW(""), &status), -1);
	assert_int_equal(cluster_status_parse(LAB_VIEW("Online"), &status), -1);
	assert_int_equal(status, CLUSTER_EVACUATE);
}

static void user_names_have_one_spelling(void **state)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 20);
	uint8_t text[CLUSTER_USERNAME_MAX + 1];
	struct lab_view name;
	struct lab_error err;

	(void)state;
	assert_int_equal(
		cluster_username_normalise(LAB_VIEW("Bob@EXAMPLE.Com"), arena, &name, &err), 0);
	assert_true(lab_view_eq_cstr(name, "bob@example.com"));
	/* ASCII only: what else a name has is the database's. */
	assert_int_equal(cluster_username_normalise(LAB_VIEW("\xc3\x89"), arena, &name, &err), 0);
	assert_true(lab_view_eq_cstr(name, "\xc3\x89"));
	assert_int_equal(cluster_username_normalise(LAB_VIEW(""), arena, &name, &err), -1);
	assert_int_equal(cluster_username_normalise(LAB_VIEW("a\nb"), arena, &name, &err), -1);
	assert_int_equal(cluster_username_normalise(LAB_VIEW("a\177"), arena, &name, &err), -1);
	memset(text, 'a', sizeof(text));
	assert_int_equal(
		cluster_username_normalise(lab_view_of(text, sizeof(text)), arena, &name, &err),
		-1);
	assert_int_equal(err.code, LAB_INVALID);
	assert_int_equal(
		cluster_username_normalise(lab_view_of(text, sizeof(text) - 1), arena, &name, &err),
		0);
}

static void rows_survive_their_bytes(void **state)
{
	const struct cluster_table *table = cluster_table(CLUSTER_TABLE_SITE);
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 20);
	struct cluster_site site = { .id = { { 1, 2, 3 } },
		.name = LAB_VIEW("az1"),
		.load_balancer = LAB_VIEW(""),
		.status = CLUSTER_EVACUATE,
		.force_move_pct = -7,
		.version_us = INT64_MIN };
	struct cluster_site read, copy;
	struct lab_reader reader;
	struct lab_buf out;

	(void)state;
	lab_buf_init(&out, testing_heap, 4096);
	cluster_row_encode(table, &site, &out);
	assert_false(out.overflow);
	for (size_t len = 0; len < out.len; len++) {
		reader = (struct lab_reader){ .rest = { out.data, len } };
		cluster_row_decode(table, &reader, &read);
		assert_row(len, reader.failed);
	}
	reader = (struct lab_reader){ .rest = lab_buf_view(&out) };
	cluster_row_decode(table, &reader, &read);
	assert_false(reader.failed);
	assert_int_equal(reader.rest.len, 0);
	cluster_row_copy(table, &read, arena, &copy);
	memset(out.data, 0xee, out.len);
	assert_true(cluster_id_eq(copy.id, site.id));
	assert_true(lab_view_eq_cstr(copy.name, "az1"));
	assert_true(copy.load_balancer.ptr != NULL && copy.load_balancer.len == 0);
	assert_null(copy.force_move_dest.ptr);
	assert_int_equal(copy.status, CLUSTER_EVACUATE);
	assert_int_equal(copy.force_move_pct, -7);
	assert_true(copy.version_us == INT64_MIN);
}

static void a_text_that_is_too_long_has_no_bytes(void **state)
{
	static uint8_t text[CLUSTER_TEXT_MAX + 1];
	struct cluster_tag tag = { .name = lab_view_of(text, sizeof(text)) };
	struct lab_buf out;

	(void)state;
	lab_buf_init(&out, testing_heap, 65536);
	cluster_row_encode(cluster_table(CLUSTER_TABLE_TAG), &tag, &out);
	assert_true(out.overflow);
}

#define T(name) cmocka_unit_test_setup_teardown(name, testing_setup, testing_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ids_are_uuids),
		T(statuses_have_names),
		T(user_names_have_one_spelling),
		T(rows_survive_their_bytes),
		T(a_text_that_is_too_long_has_no_bytes),
	};
	return cmocka_run_group_tests_name("cluster-rows", tests, NULL, NULL);
}

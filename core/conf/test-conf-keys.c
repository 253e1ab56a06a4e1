/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/conf-keys.h"
#include "core/base/testing.h"

struct thing {
	struct conf_range count, delay;
	uint64_t size;
	struct lab_view name;
	bool is_on;
	unsigned twice;
};

/* A number, kept doubled. */
static int read_twice(
	const struct conf_key *key, struct lab_view text, void *object, struct lab_error *err)
{
	uint64_t value;

	if (conf_value_uint(text, 100, &value, err) < 0)
		return -1;
	*(unsigned *)(void *)((char *)object + key->offset) = 2 * (unsigned)value;
	return 0;
}

#define FIELD(name) offsetof(struct thing, name)
static const struct conf_key keys[] = {
	{ "thing", "count", CONF_KEY_RANGE, CONF_UNIT_COUNT, FIELD(count), 1, 9, "2..5", "", NULL },
	{ "thing", "delay", CONF_KEY_LATENCY, CONF_UNIT_TIME, FIELD(delay), 0, LAB_SEC, "1 ms", "",
		NULL },
	{ "thing", "size", CONF_KEY_NUMBER, CONF_UNIT_SIZE, FIELD(size), 1024, 1 << 20, "1k", "",
		NULL },
	{ "thing", "name", CONF_KEY_TEXT, CONF_UNIT_COUNT, FIELD(name), 0, 0, "", "", NULL },
	{ "thing", "is_on", CONF_KEY_BOOL, CONF_UNIT_COUNT, FIELD(is_on), 0, 0, "yes", "", NULL },
	{ "thing", "twice", CONF_KEY_OTHER, CONF_UNIT_COUNT, FIELD(twice), 0, 0, "3", "",
		read_twice },
	{ "other", "count", CONF_KEY_TEXT, CONF_UNIT_COUNT, FIELD(name), 0, 0, "x", "", NULL },
};
static const struct conf_vocabulary vocabulary = { keys, LAB_COUNT_OF(keys) };

static struct conf_problems problems;

static void read_text(const char *text, struct thing *ret)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 20);
	struct conf_section *root;
	struct lab_error err;

	conf_problems_init(&problems, arena);
	memset(ret, 0, sizeof(*ret));
	conf_keys_defaults(&vocabulary, "thing", ret);
	assert_int_equal(
		conf_parse_text("f", lab_view_cstr(text), NULL, 0, arena, NULL, &root, &err), 0);
	conf_keys_read(&vocabulary, "thing", root->children, ret, &problems);
}

static void defaults_are_those_of_the_section(void **state)
{
	struct thing thing;

	(void)state;
	read_text("thing {\n}\n", &thing);
	assert_int_equal(thing.count.low, 2);
	assert_int_equal(thing.count.high, 5);
	assert_int_equal(thing.delay.low, LAB_MSEC);
	assert_int_equal(thing.size, 1024);
	assert_null(thing.name.ptr);
	assert_true(thing.is_on);
	assert_int_equal(thing.twice, 6);
	assert_int_equal(problems.errors, 0);
}

static void settings_win_and_the_last_one_counts(void **state)
{
	struct thing thing;

	(void)state;
	read_text("thing {\n count = 7\n count = 8\n size = 2k\n name = a b\n is_on = no\n"
		  " twice = 5\n delay = 0\n}\n",
		&thing);
	assert_int_equal(problems.errors, 0);
	assert_int_equal(thing.count.high, 8);
	assert_int_equal(thing.size, 2048);
	assert_true(lab_view_eq_cstr(thing.name, "a b"));
	assert_false(thing.is_on);
	assert_int_equal(thing.twice, 10);
	assert_int_equal(thing.delay.high, 0);
}

static void what_is_wrong_has_its_place_and_leaves_the_default(void **state)
{
	static const struct {
		const char *text, *message;
		unsigned column;
	} rows[] = {
		{ "cuont = 1", "unknown setting cuont (did you mean count?)", 2 },
		{ "twize = 1", "unknown setting twize (did you mean twice?)", 2 },
		{ "zzzzzz = 1", "unknown setting zzzzzz", 2 },
		{ "count = 0..5", "count: 0..5 is below the minimum of 1", 10 },
		{ "count = 10", "count: 10 is above the maximum of 9", 10 },
		{ "size = 2M", "size: 2M is above the maximum of 1M", 9 },
		{ "size = 1k..2k", "size: 1k..2k is a range; this takes one value", 9 },
		{ "delay = 2 s", "delay: 2 s is above the maximum of 1 s", 10 },
		{ "delay = 0..5ms",
			"delay: 0..5ms begins at 0: only a latency that is always 0 may do so",
			10 },
		{ "x {\n }", "unknown section x", 2 },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		char text[128];
		struct thing thing;

		(void)snprintf(text, sizeof(text), "thing {\n %s\n}\n", rows[i].text);
		read_text(text, &thing);
		assert_row(i, problems.errors == 1);
		assert_string_equal(problems.items[0].message, rows[i].message);
		assert_row(i, problems.items[0].where.line == 2);
		assert_row(i, problems.items[0].where.column == rows[i].column);
		assert_row(i, thing.count.low == 2 && thing.size == 1024);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(defaults_are_those_of_the_section),
		testing_test(settings_win_and_the_last_one_counts),
		testing_test(what_is_wrong_has_its_place_and_leaves_the_default),
	};

	return cmocka_run_group_tests_name("conf-keys", tests, NULL, NULL);
}

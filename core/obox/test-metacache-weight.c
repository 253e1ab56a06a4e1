/* SPDX-License-Identifier: Apache-2.0
 *
 * The weights of local indexes: the values that the vendor publishes.
 */
#include "core/base/base.h"
#include "core/base/testing.h"
#include "core/obox/metacache-weight.h"

#define DEFAULT_PRIORITIES LAB_VIEW("10% +1d 10% +1d 50% +1h 100% 0")
#define DEFAULT_SIZES LAB_VIEW("2M +30 1G +120")

static struct metacache_weights defaults(void)
{
	struct metacache_weights weights;
	struct lab_error err;

	if (metacache_weights_parse(DEFAULT_PRIORITIES, DEFAULT_SIZES, &weights, &err) < 0)
		fail_msg("%s", err.message);
	return weights;
}

static void sizes_weigh_as_published(void **state)
{
	static const struct {
		uint64_t kilobytes;
		int64_t seconds;
	} rows[] = { { 0, 30 }, { 500, 23 }, { 1024, 15 }, { 1536, 8 }, { 2048, 0 },
		{ 10 * 1024, 1 }, { 50 * 1024, 6 }, { 100 * 1024, 12 }, { 258 * 1024, 30 },
		{ 1024 * 1024, 120 }, { 5 * 1024 * 1024, 120 },
		/* Published is "+60", which its own formula gives for 513 MB. */
		{ 513 * 1024, 60 }, { 500 * 1024, 58 } };
	struct metacache_weights weights = defaults();
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, metacache_size_adjustment(&weights, rows[i].kilobytes * 1024) ==
				      rows[i].seconds);
}

static void priorities_weigh_until_they_use_their_share(void **state)
{
	static const struct {
		enum metacache_priority priority;
		uint64_t used;
		int64_t seconds;
	} rows[] = { { METACACHE_ROOT, 100, 86400 }, { METACACHE_ROOT, 101, 0 },
		{ METACACHE_FTS, 100, 86400 }, { METACACHE_SPECIAL, 500, 3600 },
		{ METACACHE_SPECIAL, 501, 0 }, { METACACHE_OTHER, 900, 0 } };
	struct metacache_weights weights = defaults();
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct metacache_usage usage = { .priority = rows[i].priority,
			.accessed = 1000000,
			.bytes = 2 << 20,
			.priority_used = rows[i].used,
			.max_space = 1000 };

		assert_row(i, metacache_weight(&weights, &usage) == 1000000 + rows[i].seconds);
	}
}

static void what_is_no_weight_is_refused(void **state)
{
	static const struct {
		const char *priorities, *sizes, *says;
	} rows[] = { { "", "2M +30 1G +120", "metacache_priority_weights" },
		{ "10% +1d 10% +1d 50% +1h", "2M +30 1G +120", "not 4" },
		{ "10% +1d 10% +1d 50% +1h 101% 0", "2M +30 1G +120", "101%" },
		{ "10 +1d 10% +1d 50% +1h 100% 0", "2M +30 1G +120", "'10'" },
		{ "10% +1d 10% +1d 50% +1h 100% 0 5%", "2M +30 1G +120", "one too many" },
		{ "10% soon 10% +1d 50% +1h 100% 0", "2M +30 1G +120", "soon" },
		{ "10% +1d 10% +1d 50% +1h 100% 0", "2M +30 1G", "metacache_size_weights" },
		{ "10% +1d 10% +1d 50% +1h 100% 0", "1G +30 2M +120", "not below" },
		{ "10% +1d 10% +1d 50% +1h 100% 0", "2X +30 1G +120", "2X" } };
	struct metacache_weights weights;
	struct lab_error err;
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_row(i, metacache_weights_parse(lab_view_cstr(rows[i].priorities),
				      lab_view_cstr(rows[i].sizes), &weights, &err) < 0);
		assert_row(i, err.code == LAB_INVALID);
		assert_row(i, strstr(err.message, rows[i].says) != NULL);
	}
}

static void times_may_be_negative(void **state)
{
	struct metacache_weights weights;
	struct lab_error err;
	(void)state;

	assert_int_equal(metacache_weights_parse(LAB_VIEW("10% -1d 10% +1d  50% +1h 100% 0"),
				 LAB_VIEW("2M -30 1G +120"), &weights, &err),
		0);
	assert_int_equal(weights.priorities[0].seconds, -86400);
	assert_int_equal(metacache_size_adjustment(&weights, 0), -30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_weigh_as_published),
		cmocka_unit_test(priorities_weigh_until_they_use_their_share),
		cmocka_unit_test(what_is_no_weight_is_refused),
		cmocka_unit_test(times_may_be_negative),
	};

	return cmocka_run_group_tests_name("metacache-weight", tests, NULL, NULL);
}

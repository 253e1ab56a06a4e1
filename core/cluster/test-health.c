/* SPDX-License-Identifier: Apache-2.0
 *
 * When a backend is taken out and back; which one has the most load.
 */
#include "core/base/testing.h"

#include "core/cluster/controller.h"

static struct health_settings settings;
static struct health health;

static void begin(void)
{
	health_settings_defaults(&settings);
	memset(&health, 0, sizeof(health));
}

static enum health_verdict online(int64_t success, int64_t failure)
{
	return health_round(&settings, &health, true, success, failure, true);
}

static enum health_verdict offline(bool answers)
{
	return health_round(&settings, &health, false, 0, 0, answers);
}

static void three_failed_rounds_take_a_backend_out(void **state)
{
	(void)state;
	begin();
	assert_int_equal(online(0, 5), HEALTH_KEEP);
	assert_int_equal(online(3, 7), HEALTH_KEEP);
	assert_int_equal(online(0, 1), HEALTH_DOWN);
}

static void a_good_round_begins_anew_and_an_empty_one_says_nothing(void **state)
{
	(void)state;
	begin();
	(void)online(0, 5);
	(void)online(0, 5);
	assert_int_equal(online(4, 6), HEALTH_KEEP);
	(void)online(0, 5);
	assert_int_equal(online(0, 0), HEALTH_KEEP);
	(void)online(0, 5);
	assert_int_equal(online(0, 0), HEALTH_KEEP);
	assert_int_equal(online(0, 5), HEALTH_DOWN);
}

static void one_that_flaps_stays(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(online(i % 2 == 0 ? 10 : 5, i % 2 == 0 ? 0 : 5), HEALTH_KEEP);
}

static void who_took_it_out_takes_it_back(void **state)
{
	(void)state;
	begin();
	health.is_mine = true;
	assert_int_equal(offline(true), HEALTH_KEEP);
	assert_int_equal(offline(true), HEALTH_KEEP);
	assert_int_equal(offline(false), HEALTH_KEEP);
	assert_int_equal(offline(true), HEALTH_KEEP);
	assert_int_equal(offline(true), HEALTH_KEEP);
	assert_int_equal(offline(true), HEALTH_UP);
}

static void an_operators_decision_stays(void **state)
{
	(void)state;
	begin();
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(offline(true), HEALTH_KEEP);
	/* Once it was online again, it is nobody's. */
	health.is_mine = true;
	(void)online(1, 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(offline(true), HEALTH_KEEP);
}

static void half_of_a_site_stays(void **state)
{
	(void)state;
	begin();
	assert_true(health_may_take_out(&settings, 0, 2));
	assert_false(health_may_take_out(&settings, 1, 2));
	assert_true(health_may_take_out(&settings, 1, 4));
	assert_false(health_may_take_out(&settings, 2, 4));
	assert_false(health_may_take_out(&settings, 0, 1));
}

static void scores_say_who_has_most(void **state)
{
	const int64_t loads[][CONTROLLER_LOADS] = { { 100, 10, 5 }, { 100, 30, 5 },
		{ 100, 20, 5 } };
	int64_t scores[3];

	(void)state;
	controller_scores(loads, 3, scores);
	assert_true(scores[0] < 0 && scores[1] > 0);
	assert_int_equal(scores[0], -scores[1]);
	assert_int_equal(scores[2], 0);
	/* sqrt(200/3) = 8.16, of which 8 are left: 10 * 1000 / 8 */
	assert_int_equal(scores[1], 1250);
}

static void small_differences_are_none(void **state)
{
	const int64_t loads[][CONTROLLER_LOADS] = { { 1000, 0, 0 }, { 1050, 0, 0 } };
	int64_t scores[2];

	(void)state;
	controller_scores(loads, 2, scores);
	assert_int_equal(scores[0], 0);
	assert_int_equal(scores[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(three_failed_rounds_take_a_backend_out),
		testing_test(a_good_round_begins_anew_and_an_empty_one_says_nothing),
		testing_test(one_that_flaps_stays),
		testing_test(who_took_it_out_takes_it_back),
		testing_test(an_operators_decision_stays),
		testing_test(half_of_a_site_stays),
		testing_test(scores_say_who_has_most),
		testing_test(small_differences_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

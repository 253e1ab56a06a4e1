/* SPDX-License-Identifier: Apache-2.0
 *
 * Knobs on settings, swarms and schedules: what a scenario is for one seed.
 */
#include "scenarios/format/testing-scenario.h"

#include "sim/world/world.h"

#define KNOB(setting, value) "knob k {\n setting = " setting "\n value = " value "\n}\n"
#define SEEDS 40

static const struct scenario *turn(struct testing_loader *loader, uint64_t seed)
{
	const struct scenario *turned;

	if (scenario_turn(loader->scenario, seed, loader->arena, &turned, &loader->err) < 0)
		fail_msg("seed %" PRIu64 ": %s", seed, loader->err.message);
	return turned;
}

static void a_scenario_without_them_is_itself(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l, TESTING_LEAST);
	assert_ptr_equal(turn(&l, 1), l.scenario);
	assert_int_equal(scenario_schedule(l.scenario, 1), WORLD_FIFO);
}

static void a_time_is_drawn_for_each_seed(void **state)
{
	struct testing_loader l;
	uint64_t low = UINT64_MAX, high = 0, before;

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l, TESTING_LEAST KNOB("metacache_upload_interval", "2s..60s"));
	before = l.scenario->conf.metacache_upload_interval_ns;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		uint64_t ns = turn(&l, seed)->conf.metacache_upload_interval_ns;

		assert_in_range(ns, 2 * LAB_SEC, 60 * LAB_SEC);
		assert_true(turn(&l, seed)->conf.metacache_upload_interval_ns == ns);
		low = LAB_MIN(low, ns);
		high = LAB_MAX(high, ns);
	}
	assert_true(low < 15 * LAB_SEC && high > 45 * LAB_SEC);
	/* The scenario itself stays what it was. */
	assert_true(l.scenario->conf.metacache_upload_interval_ns == before);
	assert_null(conf_setting_in(l.scenario->root, "metacache_upload_interval"));
}

static void numbers_sizes_and_texts_are_drawn(void **state)
{
	struct testing_loader l;
	unsigned yes = 0;

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l,
		TESTING_LEAST "knob a {\n setting = mail_prefetch_count\n value = 1..4\n}\n"
			      "knob b {\n setting = metacache_max_space\n value = qlog 1M..64M\n}\n"
			      "knob c {\n setting = obox_dont_use_object_ids\n value = no\n}\n"
			      "knob d {\n setting = metacache_bg_root_uploads\n"
			      " value = yes | no\n}\n");
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		const struct scenario *s = turn(&l, seed);

		assert_in_range(s->conf.mail_prefetch_count, 1, 4);
		assert_in_range(s->conf.metacache_max_space, 1u << 20, 64u << 20);
		assert_true(lab_view_eq_cstr(s->knobs[2].turned, "no"));
		yes += s->conf.metacache_bg_root_uploads;
	}
	assert_in_range(yes, SEEDS / 5, SEEDS * 4 / 5);
}

static void a_parameter_of_a_setting_is_drawn(void **state)
{
	struct testing_loader l;
	const struct scenario *s;

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l,
		TESTING_LEAST "knob a {\n setting = obox_fs:bucket-size\n value = 4..20\n}\n"
			      "knob b {\n setting = obox_fs:nlinks-limit\n value = 2 | 3\n}\n"
			      "knob c {\n setting = obox_fs:reason_header_max_length\n"
			      " value = 20..30\n}\n");
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		s = turn(&l, seed);
		assert_in_range(s->endpoints.dictmap.bucket_size, 4, 20);
		assert_in_range(s->endpoints.dictmap.nlinks_limit, 2, 3);
	}
	assert_int_equal(l.scenario->endpoints.dictmap.bucket_size, 10000);
	s = turn(&l, 7);
	assert_true(lab_view_find(s->conf.obox_fs.text, LAB_VIEW("lockdir=/tmp:bucket-size=")) !=
		    SIZE_MAX);
	assert_true(lab_view_ends_with(
		s->conf.obox_fs.text, LAB_VIEW("storage-objectid-prefix=%u/mails/")));
}

static void what_cannot_be_turned_is_an_error(void **state)
{
	struct testing_loader l;

	(void)state;
	testing_loader_init(&l);
	testing_load_fails(&l, TESTING_LEAST KNOB("mail_tempdir", "1..2"),
		"knob: \"mail_tempdir\" is no setting that changes anything");
	testing_load_fails(&l, TESTING_LEAST KNOB("obox_fs:bucket-sise", "1..2"),
		"knob: there is no bucket-sise= in the setting");
	testing_load_fails(&l, TESTING_LEAST KNOB("metacache_upload_interval", "5..1"), "knob: ");
	testing_load_fails(
		&l, TESTING_LEAST KNOB("mail_prefetch_count", "5.."), "the range has no end");
	testing_load_fails(&l, TESTING_LEAST KNOB("mail_prefetch_count", "a | b"), "knob: ");
	/* Its other end. */
	testing_load_fails(
		&l, TESTING_LEAST KNOB("metacache_bg_root_uploads", "yes | perhaps"), "perhaps");
	testing_load_fails(&l, TESTING_LEAST KNOB("obox_fs:nlinks-limit", "2 | many"), "many");
	testing_load_fails(&l, TESTING_LEAST KNOB("mail_prefetch_count", "1 | x | 3"), "x");
	testing_load_fails(&l, TESTING_LEAST "knob k {\n}\n", "is no setting");
	testing_load_fails(&l, TESTING_LEAST "knob {\n}\n", "knob needs a name");
}

#define STORM \
	"fault a {\n kinds = slow_down | reset | delay | lose_reply\n episodes = 3\n}\n" \
	"fault b {\n kinds = write_timeout\n episodes = 2..4\n}\n"

static void swarms_leave_things_out(void **state)
{
	struct testing_loader l;
	unsigned without = 0, fewer = 0, all = 0, idle = 0;

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l, TESTING_LEAST STORM "scenario {\n swarm = 50%\n}\n");
	for (uint64_t seed = 1; seed <= 200; seed++) {
		const struct scenario *s = turn(&l, seed);
		const struct scenario_fault *f = &s->faults[0];
		int kinds = __builtin_popcountll((unsigned long long)f->kinds) +
			    __builtin_popcountll((unsigned long long)(f->kinds >> 64));

		without += f->episodes.high == 0;
		fewer += f->episodes.high > 0 && kinds < 4;
		all += f->episodes.high > 0 && kinds == 4;
		idle += s->groups[0].mail_inbox_delete_percentage.high == 0;
		assert_true(kinds >= 1);
		assert_true((f->kinds & ~l.scenario->faults[0].kinds) == 0);
		assert_true(s->faults[1].kinds == l.scenario->faults[1].kinds);
		assert_true(
			s->groups[0].tour_expunge.high == l.scenario->groups[0].tour_expunge.high);
	}
	assert_in_range(without, 70, 130);
	assert_true(fewer > all && all > 0);
	assert_in_range(idle, 70, 130);
	assert_int_equal(l.scenario->faults[0].episodes.high, 3);
}

static void a_seed_draws_one_of_the_schedules(void **state)
{
	struct testing_loader l;
	unsigned counts[SCENARIO_SCHEDULES] = { 0 };

	(void)state;
	testing_loader_init(&l);
	testing_load_ok(&l, TESTING_LEAST "scenario {\n schedule = shuffle | priority\n}\n");
	for (uint64_t seed = 1; seed <= 200; seed++)
		counts[scenario_schedule(l.scenario, seed)]++;
	assert_int_equal(counts[WORLD_FIFO], 0);
	assert_in_range(counts[WORLD_SHUFFLE], 70, 130);
	assert_in_range(counts[WORLD_PRIORITY], 70, 130);
	testing_load_ok(&l, TESTING_LEAST "scenario {\n schedule = priority\n}\n");
	assert_int_equal(scenario_schedule(l.scenario, 5), WORLD_PRIORITY);
	testing_load_fails(&l, TESTING_LEAST "scenario {\n schedule = random\n}\n", "random");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(a_scenario_without_them_is_itself),
		testing_test(a_time_is_drawn_for_each_seed),
		testing_test(numbers_sizes_and_texts_are_drawn),
		testing_test(a_parameter_of_a_setting_is_drawn),
		testing_test(what_cannot_be_turned_is_an_error),
		testing_test(swarms_leave_things_out),
		testing_test(a_seed_draws_one_of_the_schedules),
	};

	return cmocka_run_group_tests_name("scenario-turn", tests, NULL, NULL);
}

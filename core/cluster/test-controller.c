/* SPDX-License-Identifier: Apache-2.0
 *
 * Rounds of a controller over a GeoDB in the emulated Cassandra; what operators decide of backends.
 */
#include "core/cluster/controller.h"
#include "core/cluster/testing/palomar.h"

static struct {
	struct palomar *p;
	struct controller *controller;
	struct controller_settings settings;
	bool answers, reaches;
	int64_t load[NODES];
} t;

static bool backend_answers(void *ctx, struct lab_view host)
{
	(void)ctx, (void)host;
	return t.answers;
}

static bool site_answers(void *ctx, struct lab_view load_balancer)
{
	(void)ctx;
	assert_true(lab_view_eq_cstr(load_balancer, "lb-2"));
	return t.reaches;
}

static bool backend_load(void *ctx, struct lab_view host, int64_t ret[CONTROLLER_LOADS])
{
	(void)ctx;
	for (unsigned i = B1; i < NODES; i++) {
		if (!lab_view_eq_cstr(host, t.p->nodes[i].name))
			continue;
		ret[0] = t.load[i];
		ret[1] = ret[2] = 1;
		return true;
	}
	return false;
}

static void open_controller(struct palomar *p)
{
	const struct controller_ops ops = { NULL, backend_answers, site_answers, backend_load };

	t.p = p;
	t.answers = t.reaches = true;
	controller_settings_defaults(&t.settings);
	t.settings.site = LAB_VIEW("az1");
	t.settings.policy = p->policy;
	t.controller = controller_new(p->here->env, p->here->geodb, &t.settings, &ops);
}

static void reopen(struct palomar *p, void (*adjust)(void))
{
	const struct controller_ops ops = { NULL, backend_answers, site_answers, backend_load };

	controller_free(&t.controller);
	if (adjust != NULL)
		adjust();
	t.controller = controller_new(p->here->env, p->here->geodb, &t.settings, &ops);
}

static void feature(struct palomar *p, const char *name, const char *value)
{
	const struct cluster_setting row = { .site_id = geo_id(SITE_1),
		.name = lab_view_cstr(name),
		.value = lab_view_cstr(value) };

	geo_must(&p->err,
		geodb_put(p->here->geodb, CLUSTER_TABLE_SETTING, &row, CLUSTER_ALL_COLUMNS, 0,
			&p->err),
		0);
}

static void round_of(struct palomar *p)
{
	geo_must(&p->err, controller_round(t.controller, &p->err), 0);
}

/* A window of connections to one backend, then the round after it. */
static void window(struct palomar *p, const char *dest, int64_t success, int64_t failure)
{
	int64_t now_ms = (int64_t)(env_wall_us(p->here->env) / 1000);
	const struct cluster_stats row = { .site_id = geo_id(SITE_1),
		.dest = lab_view_cstr(dest),
		.proxy = LAB_VIEW("proxy-1"),
		.window_start = now_ms - now_ms % 10000,
		.success = success,
		.failure = failure };

	geo_must(&p->err,
		geodb_put(
			p->here->geodb, CLUSTER_TABLE_STATS, &row, CLUSTER_ALL_COLUMNS, 0, &p->err),
		0);
	palomar_sleep(p, CONTROLLER_ROUND);
	round_of(p);
}

static enum cluster_status status_of(struct palomar *p, unsigned backend)
{
	struct cluster_backend row = { .id = geo_id(BACKEND_ID(backend)) };

	geo_must(&p->err,
		geodb_get(p->here->geodb, CLUSTER_TABLE_BACKEND, &row, p->here->arena, &p->err), 1);
	return row.status;
}

static enum cluster_status site_status_of(struct palomar *p, uint8_t site)
{
	struct cluster_site row = { .id = geo_id(site) };

	geo_must(&p->err,
		geodb_get(p->here->geodb, CLUSTER_TABLE_SITE, &row, p->here->arena, &p->err), 1);
	return row.status;
}

PALOMAR(a_failing_backend_is_taken_out_and_back)
{
	open_controller(p);
	feature(p, "backend_health", "on");
	t.answers = false;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(status_of(p, B1), CLUSTER_ONLINE);
		window(p, "b1", 0, 4);
	}
	assert_int_equal(status_of(p, B1), CLUSTER_OFFLINE);
	assert_int_equal(status_of(p, B2), CLUSTER_ONLINE);
	assert_int_equal(p->geo->events[LAB_EV_cluster_backend_check_finished], 1);
	round_of(p);
	t.answers = true;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(status_of(p, B1), CLUSTER_OFFLINE);
		round_of(p);
	}
	assert_int_equal(status_of(p, B1), CLUSTER_ONLINE);
	controller_free(&t.controller);
}

PALOMAR(a_window_counts_once)
{
	open_controller(p);
	feature(p, "backend_health", "on");
	window(p, "b1", 0, 4);
	for (unsigned i = 0; i < 5; i++)
		round_of(p);
	assert_int_equal(status_of(p, B1), CLUSTER_ONLINE);
	controller_free(&t.controller);
}

PALOMAR(without_its_switch_it_does_nothing_and_dryrun_only_says_so)
{
	open_controller(p);
	for (unsigned i = 0; i < 4; i++)
		window(p, "b1", 0, 4);
	assert_int_equal(p->geo->events[LAB_EV_cluster_backend_check_finished], 0);
	feature(p, "backend_health", "dryrun");
	for (unsigned i = 0; i < 4; i++)
		window(p, "b1", 0, 4);
	assert_int_equal(status_of(p, B1), CLUSTER_ONLINE);
	assert_true(p->geo->events[LAB_EV_cluster_backend_check_finished] > 0);
	controller_free(&t.controller);
}

PALOMAR(not_more_than_half_of_a_site_is_taken_out)
{
	open_controller(p);
	feature(p, "backend_health", "on");
	t.answers = false;
	for (unsigned i = 0; i < 5; i++) {
		int64_t now_ms = (int64_t)(env_wall_us(p->here->env) / 1000);
		struct cluster_stats row = { .site_id = geo_id(SITE_1),
			.dest = LAB_VIEW("b2"),
			.proxy = LAB_VIEW("proxy-1"),
			.window_start = now_ms - now_ms % 10000,
			.failure = 9 };

		(void)geodb_put(
			p->here->geodb, CLUSTER_TABLE_STATS, &row, CLUSTER_ALL_COLUMNS, 0, NULL);
		row.dest = LAB_VIEW("b3");
		(void)geodb_put(
			p->here->geodb, CLUSTER_TABLE_STATS, &row, CLUSTER_ALL_COLUMNS, 0, NULL);
		window(p, "b1", 0, 9);
	}
	assert_int_equal((status_of(p, B1) == CLUSTER_OFFLINE) +
				 (status_of(p, B2) == CLUSTER_OFFLINE) +
				 (status_of(p, B3) == CLUSTER_OFFLINE),
		1);
	controller_free(&t.controller);
}

PALOMAR(who_is_not_in_geodb_decides_nothing)
{
	const struct cluster_site renamed = { .id = geo_id(SITE_1), .name = LAB_VIEW("zone-a") };

	open_controller(p);
	feature(p, "backend_health", "on");
	geo_must(&p->err,
		geodb_put(p->here->geodb, CLUSTER_TABLE_SITE, &renamed, SITE_COLUMN(name), 0,
			&p->err),
		0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(controller_round(t.controller, &p->err), -1);
	assert_non_null(strstr(p->err.message, "CLUSTER_SITE is not a site in GeoDB"));
	assert_int_equal(p->geo->events[LAB_EV_log_message], 1);
	controller_free(&t.controller);
}

PALOMAR(a_new_controller_leaves_alone_what_another_took_out)
{
	open_controller(p);
	feature(p, "backend_health", "on");
	for (unsigned i = 0; i < 3; i++)
		window(p, "b1", 0, 4);
	assert_int_equal(status_of(p, B1), CLUSTER_OFFLINE);
	reopen(p, NULL);
	for (unsigned i = 0; i < 6; i++)
		round_of(p);
	assert_int_equal(status_of(p, B1), CLUSTER_OFFLINE);
	controller_free(&t.controller);
}

PALOMAR(a_site_that_nobody_reaches_is_taken_out_after_a_while)
{
	struct cluster_reachability row = { .src_site_id = geo_id(SITE_1),
		.dest_site_id = geo_id(SITE_2) };

	open_controller(p);
	feature(p, "site_health", "on");
	round_of(p);
	t.reaches = false;
	round_of(p);
	geo_must(&p->err,
		geodb_get(
			p->here->geodb, CLUSTER_TABLE_REACHABILITY, &row, p->here->arena, &p->err),
		1);
	assert_int_equal(row.reachable, 0);
	palomar_sleep(p, 290 * LAB_SEC);
	round_of(p);
	assert_int_equal(site_status_of(p, SITE_2), CLUSTER_ONLINE);
	/* Somebody reached it: the time begins anew. */
	t.reaches = true;
	round_of(p);
	t.reaches = false;
	round_of(p);
	palomar_sleep(p, 290 * LAB_SEC);
	round_of(p);
	assert_int_equal(site_status_of(p, SITE_2), CLUSTER_ONLINE);
	palomar_sleep(p, 11 * LAB_SEC);
	round_of(p);
	assert_int_equal(site_status_of(p, SITE_2), CLUSTER_OFFLINE);
	/* And stays so. */
	t.reaches = true;
	for (unsigned i = 0; i < 10; i++)
		round_of(p);
	assert_int_equal(site_status_of(p, SITE_2), CLUSTER_OFFLINE);
	controller_free(&t.controller);
}

static void soon(void)
{
	t.settings.balance_samples = 3;
}

static unsigned moving_to(struct palomar *p, unsigned backend)
{
	struct cluster_group *groups;
	unsigned found = 0;
	size_t count;

	geo_must(&p->err,
		geodb_list(p->here->geodb, CLUSTER_TABLE_GROUP, NULL, 0, p->here->arena, &groups,
			&count, &p->err),
		0);
	for (size_t i = 0; i < count; i++)
		found += groups[i].moving.len > 0 &&
			 cluster_id_eq(groups[i].alt_backend_id, geo_id(BACKEND_ID(backend)));
	return found;
}

/* Users in thirty groups. */
static void make_groups(struct palomar *p)
{
	p->policy.group_count = 30;
	for (unsigned i = PROXY_1; i < NODES; i++)
		palomar_open(p, i);
	for (unsigned i = 0; i < 60; i++) {
		char user[32];
		int node;

		(void)snprintf(user, sizeof(user), "user%u", i);
		node = palomar_login(p, PROXY_1, user, CLUSTER_IMAP);
		assert_true(node >= 0);
		palomar_logout(p, (unsigned)node, user);
	}
}

PALOMAR(one_group_goes_from_most_load_to_least)
{
	open_controller(p);
	reopen(p, soon);
	feature(p, "balance", "on");
	make_groups(p);
	t.load[B1] = 1000;
	t.load[B2] = 500;
	t.load[B3] = 100;
	for (unsigned i = 0; i < 2; i++)
		round_of(p);
	assert_int_equal(moving_to(p, B3), 0);
	round_of(p);
	assert_int_equal(moving_to(p, B3), 1);
	for (unsigned i = 0; i < 20; i++)
		round_of(p);
	assert_int_equal(moving_to(p, B3), 1);
	palomar_sleep(p, 60 * LAB_MINUTE);
	round_of(p);
	assert_int_equal(moving_to(p, B3), 2);
	controller_free(&t.controller);
}

PALOMAR(equal_loads_move_nothing)
{
	open_controller(p);
	reopen(p, soon);
	feature(p, "balance", "on");
	make_groups(p);
	t.load[B1] = 1000;
	t.load[B2] = t.load[B3] = 990;
	for (unsigned i = 0; i < 10; i++)
		round_of(p);
	assert_int_equal(moving_to(p, B1) + moving_to(p, B2) + moving_to(p, B3), 0);
	controller_free(&t.controller);
}

PALOMAR(an_evacuated_backend_gives_its_groups_away)
{
	size_t groups, again;

	make_groups(p);
	geo_must(&p->err,
		cluster_backend_evacuate(
			p->here->geodb, &p->policy, LAB_VIEW("b1"), &groups, &p->err),
		0);
	assert_true(groups > 0);
	assert_int_equal(moving_to(p, B2) + moving_to(p, B3), groups);
	assert_int_equal(moving_to(p, B1), 0);
	geo_must(&p->err,
		cluster_backend_evacuate(
			p->here->geodb, &p->policy, LAB_VIEW("b1"), &again, &p->err),
		0);
	assert_int_equal(again, 0);
	/* When caches are over, who comes is referred, and ends the move. */
	palomar_sleep(p, 10 * LAB_SEC);
	for (unsigned i = 0; i < 24; i++) {
		char user[32];

		(void)snprintf(user, sizeof(user), "user%u", i);
		assert_int_not_equal(palomar_login(p, PROXY_1, user, CLUSTER_IMAP), B1);
	}
}

PALOMAR(what_makes_no_sense_is_refused)
{
	struct geodb *geodb = p->here->geodb;
	size_t groups;

	geo_must(&p->err, cluster_backend_status(geodb, LAB_VIEW("b7"), CLUSTER_ONLINE, &p->err),
		-1);
	assert_int_equal(p->err.code, LAB_NOT_FOUND);
	geo_must(&p->err, cluster_backend_status(geodb, LAB_VIEW("b1"), CLUSTER_EVACUATE, &p->err),
		-1);
	assert_int_equal(p->err.code, LAB_INVALID);
	geo_must(&p->err, cluster_backend_load_factor(geodb, LAB_VIEW("b1"), 101, &p->err), -1);
	assert_int_equal(p->err.code, LAB_INVALID);
	/* The only one of its site: nobody takes its groups. */
	assert_true(palomar_login(p, PROXY_3, "alone", CLUSTER_IMAP) >= 0);
	geo_must(&p->err,
		cluster_backend_evacuate(geodb, &p->policy, LAB_VIEW("b9"), &groups, &p->err), -1);
	assert_int_equal(p->err.code, LAB_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failing_backend_is_taken_out_and_back),
		cmocka_unit_test(a_window_counts_once),
		cmocka_unit_test(without_its_switch_it_does_nothing_and_dryrun_only_says_so),
		cmocka_unit_test(not_more_than_half_of_a_site_is_taken_out),
		cmocka_unit_test(a_new_controller_leaves_alone_what_another_took_out),
		cmocka_unit_test(who_is_not_in_geodb_decides_nothing),
		cmocka_unit_test(a_site_that_nobody_reaches_is_taken_out_after_a_while),
		cmocka_unit_test(one_group_goes_from_most_load_to_least),
		cmocka_unit_test(equal_loads_move_nothing),
		cmocka_unit_test(an_evacuated_backend_gives_its_groups_away),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests_name("controller", tests, NULL, NULL);
}

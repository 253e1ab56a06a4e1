/* SPDX-License-Identifier: Apache-2.0
 *
 * GeoDB on the emulated Cassandra: what comes back, who wins, what a failed write is told as.
 */
#include "core/cluster/testing/geo.h"

static const struct geo_place places[] = { { "proxy-1", "az1" }, { "proxy-2", "az2" } };

static struct geo_host *second;

#define TEST(name) \
	static void name##_body(struct geo_host *host); \
	static void name##_with_second(struct geo_host *host) \
	{ \
		second = &host->geo->hosts[1]; \
		name##_body(host); \
	} \
	static void name(void **state) \
	{ \
		(void)state; \
		geo_run(places, LAB_COUNT_OF(places), name##_with_second); \
	} \
	static void name##_body(struct geo_host *host)

static struct lab_error err;

static void put_group(struct geo_host *host, const struct cluster_group *group, uint32_t columns,
	int64_t timestamp_us, int expected)
{
	geo_must(&err,
		geodb_put(host->geodb, CLUSTER_TABLE_GROUP, group, columns, timestamp_us, &err),
		expected);
}

static int get_group(struct geo_host *host, struct cluster_group *ret)
{
	*ret = (struct cluster_group){ .site_id = geo_id(1), .name = LAB_VIEW("default-1") };
	return geodb_get(host->geodb, CLUSTER_TABLE_GROUP, ret, host->arena, &err);
}

static struct cluster_group a_group(void)
{
	return (struct cluster_group){ .site_id = geo_id(1),
		.name = LAB_VIEW("default-1"),
		.backend_id = geo_id(11),
		.alt_backend_id = geo_id(12),
		.moving = LAB_VIEW(""),
		.sticky_backend = 1 };
}

/* ---- rows ---- */

TEST(a_row_comes_back_as_it_was_written)
{
	const struct cluster_user user = { .username = LAB_VIEW("bob@example.com"),
		.site_id = geo_id(1),
		.group_name = LAB_VIEW("default-7"),
		.failover_site_id = geo_id(2),
		.failover_group = LAB_VIEW("default-9"),
		.home_site_id = geo_id(1),
		.moving_started = 1704067200123,
		.metacache_last_host = LAB_VIEW("b1") };
	struct cluster_user read = { .username = user.username };

	geo_must(&err, geodb_get(host->geodb, CLUSTER_TABLE_USER, &read, host->arena, &err), 0);
	geo_must(&err,
		geodb_put(host->geodb, CLUSTER_TABLE_USER, &user, CLUSTER_ALL_COLUMNS, 1000, &err),
		0);
	geo_must(&err, geodb_get(host->geodb, CLUSTER_TABLE_USER, &read, host->arena, &err), 1);
	assert_true(cluster_id_eq(read.site_id, geo_id(1)));
	assert_true(lab_view_eq_cstr(read.group_name, "default-7"));
	assert_true(cluster_id_eq(read.failover_site_id, geo_id(2)));
	assert_true(lab_view_eq_cstr(read.failover_group, "default-9"));
	assert_int_equal(read.moving_started, 1704067200123);
	assert_true(lab_view_eq_cstr(read.metacache_last_host, "b1"));
	/* What was absent is absent. */
	assert_null(read.moving_group.ptr);
	assert_false(cluster_id_is_set(read.moving_site_id));
	assert_int_equal(read.version_us, 1000);
	geo_must(&err, geodb_delete(host->geodb, CLUSTER_TABLE_USER, &user, 0, &err), 0);
	geo_must(&err, geodb_get(host->geodb, CLUSTER_TABLE_USER, &read, host->arena, &err), 0);
}

static void put_load_balancer(void *arg)
{
	geo_must(&err,
		geodb_put(second->geodb, CLUSTER_TABLE_SITE, arg, SITE_COLUMN(load_balancer), 0,
			&err),
		0);
}

/* Two operators at once: one takes a site offline, the other gives it another load balancer. */
TEST(writers_of_other_columns_both_survive)
{
	struct cluster_site site = { .id = geo_id(1),
		.name = LAB_VIEW("az1"),
		.load_balancer = LAB_VIEW("lb-1"),
		.status = CLUSTER_ONLINE };
	struct cluster_site read = { .id = geo_id(1) };

	geo_must(&err,
		geodb_put(host->geodb, CLUSTER_TABLE_SITE, &site, CLUSTER_ALL_COLUMNS, 0, &err), 0);
	site.status = CLUSTER_OFFLINE;
	geo_must(&err,
		geodb_put(host->geodb, CLUSTER_TABLE_SITE, &site, SITE_COLUMN(status), 0, &err), 0);
	site.status = CLUSTER_ONLINE;
	site.load_balancer = LAB_VIEW("lb-2");
	geo_call(host, &host->geo->hosts[1], put_load_balancer, &site);
	geo_must(&err, geodb_get(host->geodb, CLUSTER_TABLE_SITE, &read, host->arena, &err), 1);
	assert_int_equal(read.status, CLUSTER_OFFLINE);
	assert_true(lab_view_eq_cstr(read.load_balancer, "lb-2"));
}

/* "site update" of a site that somebody else has removed makes a row of nothing but a status. */
TEST(what_is_left_of_a_removed_row_is_no_row)
{
	const struct cluster_site site = {
		.id = geo_id(1), .name = LAB_VIEW("az1"), .status = CLUSTER_OFFLINE
	};
	struct cluster_site read = { .id = geo_id(1) }, *list;
	size_t count;

	geo_must(&err,
		geodb_put(host->geodb, CLUSTER_TABLE_SITE, &site, SITE_COLUMN(status), 0, &err), 0);
	geo_must(&err, geodb_get(host->geodb, CLUSTER_TABLE_SITE, &read, host->arena, &err), 0);
	geo_must(&err,
		geodb_list(
			host->geodb, CLUSTER_TABLE_SITE, NULL, 0, host->arena, &list, &count, &err),
		0);
	assert_int_equal(count, 0);
}

TEST(a_status_that_is_not_known_is_none)
{
	struct cluster_site read = { .id = geo_id(1) };
	const struct cluster_site site = { .id = geo_id(1), .name = LAB_VIEW("az1") };

	geo_must(&err,
		geodb_put(host->geodb, CLUSTER_TABLE_SITE, &site, CLUSTER_ALL_COLUMNS, 0, &err), 0);
	geo_cql(host->geo, "UPDATE geodb.sites SET status = 'onlnie' WHERE id = "
			   "6ba7b810-9dad-41d1-80b4-00c04fd43001");
	geo_must(&err, geodb_get(host->geodb, CLUSTER_TABLE_SITE, &read, host->arena, &err), 1);
	assert_int_equal(read.status, CLUSTER_STATUS_NONE);
}

TEST(lists_are_sorted_by_key)
{
	struct cluster_backend backend = { .host = LAB_VIEW("b"), .load_factor = 100 }, *list;
	struct cluster_stats stats = { .site_id = geo_id(1), .proxy = LAB_VIEW("p1") }, *seen;
	size_t count;

	for (uint8_t i = 0; i < 20; i++) {
		backend.id = geo_id((uint8_t)(i * 37));
		geo_must(&err,
			geodb_put(host->geodb, CLUSTER_TABLE_BACKEND, &backend, CLUSTER_ALL_COLUMNS,
				0, &err),
			0);
	}
	geo_must(&err,
		geodb_list(host->geodb, CLUSTER_TABLE_BACKEND, NULL, 0, host->arena, &list, &count,
			&err),
		0);
	assert_int_equal(count, 20);
	for (size_t i = 1; i < count; i++)
		assert_true(memcmp(&list[i - 1].id, &list[i].id, CLUSTER_ID_SIZE) < 0);
	/* Of one partition. */
	for (int i = 0; i < 6; i++) {
		stats.site_id = geo_id((uint8_t)(i % 2));
		stats.dest = i < 3 ? LAB_VIEW("b2") : LAB_VIEW("b1");
		stats.window_start = 1000 - i;
		stats.success = i;
		geo_must(&err,
			geodb_put(host->geodb, CLUSTER_TABLE_STATS, &stats, CLUSTER_ALL_COLUMNS, 0,
				&err),
			0);
	}
	stats.site_id = geo_id(1);
	geo_must(&err,
		geodb_list(host->geodb, CLUSTER_TABLE_STATS, &stats, 1, host->arena, &seen, &count,
			&err),
		0);
	assert_int_equal(count, 3);
	assert_int_equal(seen[0].success + seen[1].success * 10 + seen[2].success * 100, 135);
	assert_true(lab_view_eq_cstr(seen[0].dest, "b1"));
	assert_int_equal(seen[0].window_start, 995);
	assert_int_equal(seen[1].window_start, 997);
}

/* ---- versions ---- */

TEST(what_follows_from_a_row_loses_against_what_was_decided_since)
{
	struct cluster_group group = a_group(), read;

	put_group(host, &group, CLUSTER_ALL_COLUMNS, 0, 0);
	geo_must(&err, get_group(host, &read), 1);
	assert_true(read.version_us > INT64_C(1704067200000000));
	/* An operator decides anew. */
	group.moving = LAB_VIEW("b1:1");
	put_group(host, &group, GROUP_COLUMN(moving), geodb_timestamp(host->geodb, read.version_us),
		0);
	/* Somebody carries out what was read before, late. */
	group.moving = LAB_VIEW("");
	put_group(host, &group, GROUP_COLUMN(moving), read.version_us + 1, 0);
	geo_must(&err, get_group(host, &read), 1);
	assert_true(lab_view_eq_cstr(read.moving, "b1:1"));
}

static void decide_an_hour_behind(void *arg)
{
	struct cluster_group *group = arg, read;

	geo_must(&err, get_group(second, &read), 1);
	group->backend_id = geo_id(13);
	/* By the clock alone it would be an hour too early. */
	put_group(second, group, GROUP_COLUMN(backend_id), 0, 0);
	geo_must(&err, get_group(second, &read), 1);
	assert_true(cluster_id_eq(read.backend_id, geo_id(11)));
	put_group(second, group, GROUP_COLUMN(backend_id),
		geodb_timestamp(second->geodb, read.version_us), 0);
}

TEST(a_clock_that_is_behind_does_not_lose_a_decision)
{
	struct cluster_group group = a_group(), read;

	world_clock_offset(second->host, -3600 * INT64_C(1000000));
	put_group(host, &group, CLUSTER_ALL_COLUMNS, 0, 0);
	geo_call(host, second, decide_an_hour_behind, &group);
	geo_must(&err, get_group(host, &read), 1);
	assert_true(cluster_id_eq(read.backend_id, geo_id(13)));
}

/* ---- failures ---- */

static void inject(struct geo_host *host, const char *point, enum sim_fault_kind kind,
	unsigned status, unsigned times)
{
	host->geo->fault = (struct geo_fault){
		.point = point, .fault = { .kind = kind, .status = status }, .left = times
	};
}

TEST(an_uncertain_write_is_settled_by_repeating_it)
{
	struct cluster_group group = a_group(), read;

	inject(host, "cql.write", SIM_FAULT_FAIL, 0x1100, 1);
	put_group(host, &group, CLUSTER_ALL_COLUMNS, 5000, 0);
	assert_int_equal(host->geo->fault.fired, 1);
	geo_must(&err, get_group(host, &read), 1);
	assert_int_equal(read.version_us, 5000);
}

TEST(a_write_that_stays_uncertain_is_told_so)
{
	struct cluster_group group = a_group(), read;

	/* It is done, but nobody is told. */
	inject(host, "cql.write", SIM_FAULT_ALTER_REPLY, 0x1100, 100);
	put_group(host, &group, CLUSTER_ALL_COLUMNS, 0, -1);
	assert_int_equal(err.code, LAB_UNCERTAIN);
	assert_non_null(strstr(err.message, "GeoDB write to user_groups failed"));
	assert_true(host->geo->fault.fired >= 3);
	geo_must(&err, get_group(host, &read), 1);
	/* A delete likewise: not done, then done by the next attempt. */
	inject(host, "cql.delete", SIM_FAULT_FAIL, 0x1100, 1);
	geo_must(&err, geodb_delete(host->geodb, CLUSTER_TABLE_GROUP, &group, 0, &err), 0);
	assert_int_equal(host->geo->fault.fired, 1);
	geo_must(&err, get_group(host, &read), 0);
}

TEST(what_was_uncertain_once_is_not_made_certain_by_a_refusal)
{
	struct cluster_group group = a_group(), read;

	inject(host, "cql.write", SIM_FAULT_ALTER_REPLY, 0x1100, 1);
	host->geo->fault.at_last = (struct sim_fault){ .kind = SIM_FAULT_REFUSE, .status = 0x1001 };
	put_group(host, &group, CLUSTER_ALL_COLUMNS, 0, -1);
	assert_true(host->geo->fault.fired > 1);
	assert_int_equal(err.code, LAB_UNCERTAIN);
	host->geo->fault = (struct geo_fault){ 0 };
	geo_must(&err, get_group(host, &read), 1);
	/* A refusal alone is certain. */
	inject(host, "cql.write", SIM_FAULT_REFUSE, 0x1001, 100);
	put_group(host, &group, CLUSTER_ALL_COLUMNS, 0, -1);
	assert_true(err.code != LAB_UNCERTAIN);
}

TEST(a_write_that_cannot_happen_is_certain_and_not_repeated)
{
	struct cluster_group group = a_group();

	geo_cql(host->geo, "DROP TABLE geodb.user_groups");
	put_group(host, &group, CLUSTER_ALL_COLUMNS, 0, -1);
	assert_int_equal(err.code, LAB_INVALID);
}

TEST(without_a_quorum_reads_fail_and_nothing_is_wrong)
{
	struct cluster_group group = a_group(), read;

	put_group(host, &group, CLUSTER_ALL_COLUMNS, 0, 0);
	for (size_t i = 0; i < 2; i++)
		cqlemu_node_stop(host->geo->emu, i, world_now(host->geo->world));
	assert_int_equal(get_group(host, &read), -1);
	assert_int_equal(err.code, LAB_UNAVAILABLE);
	for (size_t i = 0; i < 2; i++)
		cqlemu_node_start(host->geo->emu, i, world_now(host->geo->world));
	env_sleep(host->env, LAB_MINUTE);
	geo_must(&err, get_group(host, &read), 1);
}

/* ---- feature switches ---- */

TEST(features_are_off_unless_a_row_says_on)
{
	struct cluster_setting row = { .site_id = geo_id(1), .name = LAB_VIEW("evacuate") };
	static const struct {
		const char *value;
		enum cluster_feature feature;
	} rows[] = { { "on", CLUSTER_FEATURE_ON }, { "dryrun", CLUSTER_FEATURE_DRYRUN },
		{ "off", CLUSTER_FEATURE_OFF }, { "On", CLUSTER_FEATURE_OFF } };
	enum cluster_feature feature = CLUSTER_FEATURE_ON;

	geo_must(&err, geodb_feature(host->geodb, geo_id(1), row.name, &feature, &err), 0);
	assert_int_equal(feature, CLUSTER_FEATURE_OFF);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		row.value = lab_view_cstr(rows[i].value);
		geo_must(&err,
			geodb_put(host->geodb, CLUSTER_TABLE_SETTING, &row, CLUSTER_ALL_COLUMNS, 0,
				&err),
			0);
		geo_must(&err, geodb_feature(host->geodb, geo_id(1), row.name, &feature, &err), 0);
		assert_row(i, feature == rows[i].feature);
	}
	/* A cluster from before there was such a table. */
	geo_cql(host->geo, "DROP TABLE geodb.cluster_settings");
	env_sleep(host->env, LAB_SEC);
	geo_must(&err, geodb_feature(host->geodb, geo_id(1), row.name, &feature, &err), 0);
	assert_int_equal(feature, CLUSTER_FEATURE_ON);
	host->geo->fault = (struct geo_fault){ 0 };
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_comes_back_as_it_was_written),
		cmocka_unit_test(writers_of_other_columns_both_survive),
		cmocka_unit_test(what_is_left_of_a_removed_row_is_no_row),
		cmocka_unit_test(a_status_that_is_not_known_is_none),
		cmocka_unit_test(lists_are_sorted_by_key),
		cmocka_unit_test(what_follows_from_a_row_loses_against_what_was_decided_since),
		cmocka_unit_test(a_clock_that_is_behind_does_not_lose_a_decision),
		cmocka_unit_test(an_uncertain_write_is_settled_by_repeating_it),
		cmocka_unit_test(a_write_that_stays_uncertain_is_told_so),
		cmocka_unit_test(what_was_uncertain_once_is_not_made_certain_by_a_refusal),
		cmocka_unit_test(a_write_that_cannot_happen_is_certain_and_not_repeated),
		cmocka_unit_test(without_a_quorum_reads_fail_and_nothing_is_wrong),
		cmocka_unit_test(features_are_off_unless_a_row_says_on),
	};
	return cmocka_run_group_tests_name("geodb", tests, NULL, NULL);
}

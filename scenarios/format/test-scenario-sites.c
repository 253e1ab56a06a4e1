/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings that only one zone has.
 */
#include "scenarios/format/testing-scenario.h"

#define OWN "scenarios/configs/own.conf"
#define ALL(fs, rest) \
	"plugin {\nobox_fs = " fs "\n}\nmail_location = obox:%u\n" rest \
	"dict {\ncassandra = cassandra:dovecot-dict-cql.conf.ext\n}\n"
#define STACK(compress, host, options) \
	compress "dictmap:proxy::cassandra ; s3:http://k:s@" host \
		 "/ ; storage-objectid-prefix=%u/mails/" options
#define SITES "site new {\n}\nsite old {\nconf = configs/own.conf\n}\n"

static void load(struct testing_loader *l, const char *own)
{
	testing_loader_init(l);
	testing_file_set(l, TESTING_CONF, LAB_VIEW(ALL(STACK("", "b.host", ""), "")));
	if (own != NULL)
		testing_file_set(l, OWN, lab_view_cstr(own));
}

static void a_zone_has_settings_of_its_own(void **state)
{
	struct testing_loader l;

	(void)state;
	load(&l, ALL(STACK("compress:maybe-gz:6:", "b.host", ":max-parallel-iter=3"),
			 "plugin {\nmetacache_max_parallel_requests = 7\n}\n"));
	testing_load_ok(&l, SITES TESTING_LEAST);
	assert_int_equal(l.scenario->site_count, 3);
	assert_null(l.scenario->sites[0].own);
	assert_non_null(l.scenario->sites[1].own);
	assert_int_equal(l.scenario->sites[1].own->conf.metacache_max_parallel_requests, 7);
	assert_int_equal(l.scenario->conf.metacache_max_parallel_requests, 10);
	assert_int_equal(l.scenario->sites[1].own->dict_count, 1);
	assert_true(l.scenario->sites[1].own->dicts[0].config != l.scenario->dicts[0].config);
}

static void what_keeps_other_rows_or_objects_is_refused(void **state)
{
	static const struct {
		const char *own, *expected;
	} rows[] = {
		{ NULL, "conf: " },
		{ ALL(STACK("", "c.host", ""), ""),
			"conf: it is not the same storage: b.host, then c.host" },
		{ ALL(STACK("", "b.host", ":refcounting-table"), ""),
			"conf: its dictmap keeps other rows and objects" },
		{ ALL(STACK("", "b.host", ":delete-timestamp=+5s"), ""),
			"conf: its dictmap keeps other rows and objects" },
		{ ALL(STACK("", "b.host", ""), "plugin {\nmetacache_upload_interval = 7s\n}\n"),
			"conf: mail_location, plugins and what says how long" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct testing_loader l;

		load(&l, rows[i].own);
		testing_load_fails(&l, SITES TESTING_LEAST, rows[i].expected);
		testing_load_fails(&l, SITES TESTING_LEAST, ":4:8: ");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(a_zone_has_settings_of_its_own),
		testing_test(what_keeps_other_rows_or_objects_is_refused),
	};

	return cmocka_run_group_tests_name("scenario-sites", tests, NULL, NULL);
}

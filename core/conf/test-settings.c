/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/settings.h"
#include "core/conf/test-support.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct conf_section *parse(struct test_world *world, const char *text)
{
	struct conf_section *root = NULL;

	test_world_init(world, NULL);
	if (conf_parse_text("t.conf", lab_view_cstr(text), NULL, 0, world->arena, &world->problems,
		    &root, &world->err) < 0)
		fail_msg("%s", world->err.message);
	return root;
}

static void assert_text(struct conf_text text, const char *expected)
{
	if (!lab_view_eq_cstr(text.text, expected))
		fail_msg("'%.*s' is not '%s'", LAB_VIEW_ARG(text.text), expected);
}

static void every_definition_is_sound(void **state)
{
	const struct conf_setting_def *defs;
	struct conf_section *root;
	struct test_world world;
	struct lab_buf text;
	size_t count;
	(void)state;

	defs = conf_setting_defs(&count);
	assert_true(count > 500);
	test_world_init(&world, NULL);
	lab_buf_init(&text, world.heap, 1u << 20);
	for (size_t i = 0; i < count; i++) {
		assert_true(defs[i].places != 0 && defs[i].doc[0] != '\0');
		assert_true((defs[i].type == CONF_TYPE_WORD) == (defs[i].words != NULL));
		assert_non_null(conf_type_name(defs[i].type));
		for (size_t j = 0; j < i; j++) {
			if (strcmp(defs[i].name, defs[j].name) == 0 &&
				(defs[i].places & defs[j].places) != 0)
				fail_msg("%s is there twice", defs[i].name);
		}
		/* defaults must pass their own type check */
		if ((defs[i].places & CONF_AT_TOP) != 0 && defs[i].initial != NULL &&
			strpbrk(defs[i].name, "*+") == NULL)
			lab_buf_printf(&text, "%s = \"%s\"\n", defs[i].name,
				defs[i].type == CONF_TYPE_STRING ? "x" : defs[i].initial);
	}
	assert_false(text.overflow);
	assert_int_equal(conf_parse_text("t.conf", lab_buf_view(&text), NULL, 0, world.arena, NULL,
				 &root, &world.err),
		0);
	conf_check(root, CONF_FILE_DOVECOT, NULL, 0, &world.problems);
	for (size_t i = 0; i < world.problems.count; i++) {
		if (world.problems.items[i].is_error)
			fail_msg("%s", world.problems.items[i].message);
	}
	lab_buf_done(&text);
	test_world_done(&world);
}

static void errors_have_place_and_suggestion(void **state)
{
	static const struct {
		const char *text;
		unsigned line, column;
		const char *message;
	} rows[] = {
		{ "plugin {\n  obox_max_paralel_deletes = 1\n}\n", 2, 3,
			"unknown setting obox_max_paralel_deletes (did you mean "
			"obox_max_parallel_deletes?)" },
		{ "whatever_this_is = 1\n", 1, 1, "unknown setting whatever_this_is" },
		{ "plugni {\n}\n", 1, 1, "unknown section plugni (did you mean plugin?)" },
		{ "plugin {\n  service x {\n  }\n}\n", 2, 3, "unknown section service" },
		{ "service {\n}\n", 1, 1, "section service has no name" },
		{ "plugin x {\n}\n", 1, 1, "section plugin takes no name" },
		{ "mail_prefetch_count = many\n", 1, 23,
			"mail_prefetch_count: 'many' is not a number" },
		{ "metacache_close_delay = 2 parsecs\n", 1, 25,
			"metacache_close_delay: '2 parsecs' is not a time such as 250ms, 3s, 10 "
			"min or "
			"2 days" },
		{ "obox_size_missing_action = raed\n", 1, 28,
			"obox_size_missing_action: 'raed' is not one of warn-read, read, stat (did "
			"you "
			"mean read?)" },
		{ "service a {\n  unix_listener b {\n    mode = rw\n  }\n}\n", 3, 12,
			"mode: 'rw' is not a file mode such as 0600" },
		{ "service a {\n  mode = 0600\n}\n", 2, 3,
			"setting mode does not belong in service" },
		{ "separator = /\n", 1, 1, "setting separator does not belong at the top level" },
		{ "plugin {\n  obox_fs = fscache:1G:/c:compres:gz:6:posix\n}\n", 2, 13,
			"obox_fs: fscache: Unknown fs driver: compres (did you mean compress?)" },
		{ "obox_fs = dictmap:proxy:a:b; posix\n", 1, 11,
			"obox_fs: dictmap: the dict URI, the parent filesystem and the settings "
			"must "
			"be separated by exactly ' ; ' (space, semicolon, space)" },
		{ "obox_fs = fscache:1G:/%y:posix\n", 1, 11, "obox_fs: Unknown variable '%y'" },
		{ "mail_location = obox:%y\n", 1, 17, "mail_location: Unknown variable '%y'" },
		{ "dict {\n  a = b\n}\n", 2, 7, "dict a: it is not <driver>:<file>" },
		{ "mailbox_list_index = perhaps\n", 1, 22,
			"mailbox_list_index: 'perhaps' is not a boolean (yes or no)" },
		{ "mail_temp_scan_interval =\n", 1, 26,
			"mail_temp_scan_interval: '' is not a time such as 250ms, 3s, 10 min or 2 "
			"days" },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct test_world world;
		struct conf_section *root = parse(&world, rows[i].text);
		struct conf_problem *problem = &world.problems.items[0];
		assert_int_equal(conf_check(root, CONF_FILE_DOVECOT, NULL, 0, &world.problems), -1);
		assert_int_equal(world.problems.errors, 1);
		if (strcmp(problem->message, rows[i].message) != 0)
			fail_msg("row %zu: %s", i, problem->message);
		if (problem->where.line != rows[i].line || problem->where.column != rows[i].column)
			fail_msg("row %zu: %u:%u", i, problem->where.line, problem->where.column);
		test_world_done(&world);
	}
}

static void warnings_do_not_fail_the_check(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "plugin {\n obox_allow_inconsistency = no\n}\n",
			"setting obox_allow_inconsistency is gone since 3.0: serve from the "
			"metacache "
			"when the storage fails" },
		{ "obox_fs = compress:gz:6:azure:http://x/\n",
			"fs driver azure is not part of oboxlab: this configuration can be "
			"checked, "
			"not run" },
		{ "obox_fs = s3:https://{{BUCKET}}.example.com/\n", "{{BUCKET}} is not filled in" },
		{ "obox_fs = fscache:1G:/c:...\n",
			"the value is abbreviated: its end is not checked" },
		{ "obox_fs = compress:gz:6:fscache:1G:/c:posix\n",
			"compress stands left of fscache: every read from the cache then needs a "
			"temporary file" },
		{ "mail_location = obox:%2Mu/%u\nobox_fs = dictmap:proxy::x ; posix\n",
			"with dictmap mail_location must be obox:%u:INDEX=~/:CONTROL=~/" },
		{ "passed {\n driver = ldap\n}\n", "passed is a misprint of passdb" },
		{ "'auth_mechanisms = plain\n", "the quote before the name is not meant" },
		{ "namespace v {\n location = virtual:%h/virtual:INDEX=~/elsewhere\n}\n",
			"without exactly INDEX=~/virtual this namespace's index is not in the "
			"user's root "
			"bundle, and is lost when the user moves or the metacache is cleaned" },
		{ "namespace s {\n type = shared\n"
		  " location = obox:%%u:INDEX=~/s/%%u:INDEXPVT=~/pvt\n}\n",
			"without exactly INDEXPVT=~/shared-pvt this namespace's index is not in "
			"the user's root "
			"bundle, and is lost when the user moves or the metacache is cleaned" },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct test_world world;
		struct conf_section *root = parse(&world, rows[i].text);
		assert_int_equal(conf_check(root, CONF_FILE_DOVECOT, NULL, 0, &world.problems), 0);
		assert_int_equal(world.problems.warnings, 1);
		if (strcmp(world.problems.items[0].message, rows[i].message) != 0)
			fail_msg("row %zu: %s", i, world.problems.items[0].message);
		test_world_done(&world);
	}
}

static void settings_without_effect_are_told(void **state)
{
	struct test_world world;
	struct conf_section *root =
		parse(&world, "fts_enforced = yes\nobox_fs = posix\nplugin {\n  quota2_rule3 = y\n"
			      "  metacache_max_space = 1G\n}\nplugin {\n  fts_filters_en = z\n}\n");
	static const char *const messages[] = {
		"setting fts_enforced has no effect here: searches are by index, and lookups that "
		"fail are told",
		"setting quota2_rule3 has no effect here: there is one quota root",
		"setting fts_filters_en has no effect here: words are taken as they are"
	};
	(void)state;

	conf_check_effects(root, &world.problems);
	assert_int_equal(world.problems.errors, 0);
	assert_int_equal(world.problems.warnings, LAB_COUNT_OF(messages));
	for (size_t i = 0; i < LAB_COUNT_OF(messages); i++)
		assert_string_equal(world.problems.items[i].message, messages[i]);
	test_world_done(&world);
}

static bool is_ours(const char *name)
{
	static const char *const prefixes[] = { "obox_", "metacache_", "fts", "lazy_expunge",
		"quota", "fs_auth_" };

	for (size_t i = 0; i < LAB_COUNT_OF(prefixes); i++) {
		if (lab_view_starts_with(lab_view_cstr(name), lab_view_cstr(prefixes[i])))
			return true;
	}
	return false;
}

/* Read, gone, or in no-effect.def; what is read and changes nothing is in both. Whether the core
 * looks at what is read: ci/lint/settings. */
static void each_setting_has_an_effect_or_says_that_it_has_none(void **state)
{
	size_t count, ours = 0;
	const struct conf_setting_def *defs = conf_setting_defs(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		if (!is_ours(defs[i].name))
			continue;
		ours++;
		if (!conf_setting_is_read(&defs[i]) && defs[i].removed == NULL &&
			conf_setting_no_effect(&defs[i]) == NULL)
			fail_msg("%s is read by nobody", defs[i].name);
		/* One that is gone has told that already. */
		if (defs[i].removed != NULL && conf_setting_no_effect(&defs[i]) != NULL)
			fail_msg("%s is gone, and has no effect", defs[i].name);
	}
	assert_true(ours > 80);
}

static void numbered_names_and_foreign_words_are_known(void **state)
{
	static const char *const scenario_words[] = { "scenario", "fault", "lua" };
	struct test_world world;
	struct conf_section *root = parse(&world,
		"plugin {\n  quota_warning2 = x\n  quota2_rule3 = y\n  fts_filters_en = z\n"
		"  sieve_before = a\n}\n"
		"scenario {\n  anything = goes\n}\nfault x {\n}\nlua = a.lua\n"
		"metric x {\n  filter = event=y\n  fields {\n   z {\n   }\n  }\n}\n");
	(void)state;

	assert_int_equal(
		conf_check(root, CONF_FILE_DOVECOT, scenario_words, 3, &world.problems), 0);
	assert_int_equal(world.problems.warnings, 0);
	assert_null(conf_setting_def_find(LAB_VIEW("quota_warningx"), UINT32_MAX));
	assert_null(conf_setting_def_find(LAB_VIEW("fts_filters_"), CONF_AT_TOP));
	assert_non_null(conf_setting_def_find(LAB_VIEW("quota"), CONF_AT_PLUGIN));
	assert_null(conf_setting_def_find(LAB_VIEW("quota"), CONF_AT_SERVICE));
	test_world_done(&world);
}

static void defaults_are_those_of_3_0(void **state)
{
	struct test_world world;
	struct conf_settings settings;
	(void)state;

	assert_int_equal(
		conf_settings_load(parse(&world, ""), world.arena, &settings, &world.err), 0);
	assert_text(settings.mail_temp_dir, "/tmp");
	assert_text(settings.obox_fetch_lost_mailbox_prefix, "recovered-lost-folder-");
	assert_null(settings.obox_fs.text.ptr);
	assert_null(settings.obox_index_fs.text.ptr);
	assert_null(settings.mail_temp_dir.where.file);
	assert_int_equal(settings.obox_max_parallel_writes, 1);
	assert_int_equal(settings.obox_max_rescan_mail_count, 10);
	assert_true(settings.metacache_close_delay_ns == 2 * LAB_SEC);
	assert_true(settings.metacache_forced_refresh_interval_ns == 8 * 3600 * LAB_SEC);
	assert_false(settings.metacache_bg_root_uploads);
	assert_true(settings.metacache_upload_interval_ns == 5 * LAB_MINUTE);
	assert_true(settings.metacache_max_grace == UINT64_C(1) << 30);
	assert_int_equal(settings.metacache_max_parallel_requests, 10);
	assert_int_equal(settings.fs_auth_request_max_retries, 1);
	assert_true(settings.fs_auth_request_timeout_ns == 10 * LAB_SEC);
	assert_int_equal(settings.obox_size_missing_action, CONF_SIZE_WARN_READ);
	assert_int_equal(settings.metacache_index_merging, CONF_MERGING_V2);
	assert_false(settings.metacache_disable_merging);
	assert_false(settings.lazy_expunge || settings.obox_autofix_storage);
	assert_int_equal(settings.dict_count, 0);
	test_world_done(&world);
}

static void settings_come_from_plugin_and_top(void **state)
{
	struct test_world world;
	struct conf_settings settings;
	struct conf_section *root =
		parse(&world, "mail_prefetch_count = 7\n"
			      "obox_max_parallel_copies = 2\n"
			      "mail_home = /var/vmail/%u\n"
			      "plugin {\n"
			      "  obox_fs = posix\n"
			      "  obox_max_parallel_copies = 3\n"
			      "  obox_autofix_storage = yes\n"
			      "  obox_size_missing_action = stat\n"
			      "  obox_rescan_mails_once_after = 1700000000\n"
			      "  metacache_upload_interval = 1 min\n"
			      "  metacache_index_merging = none\n"
			      "  metacache_disable_merging = yes\n"
			      "  metacache_max_space = 200G\n"
			      "  fs_auth_request_timeout = 500\n"
			      "  lazy_expunge = DUMPSTER\n"
			      "  lazy_expunge_exclude = Tmp\n"
			      "  fts_autoindex_exclude = \\Junk\n"
			      "  fts_autoindex_exclude2 = Archive/*\n"
			      "}\n"
			      "dict {\n  cassandra = cassandra:x.ext\n  b = redis:/abs\n}\n"
			      "dict {\n  cassandra = cassandra:y.ext\n}\n");
	const struct conf_dict *dict;
	(void)state;

	if (conf_settings_load(root, world.arena, &settings, &world.err) < 0)
		fail_msg("%s", world.err.message);
	assert_text(settings.mail_home, "/var/vmail/%u");
	assert_text(settings.obox_fs, "posix");
	assert_int_equal(settings.obox_fs.where.line, 5);
	assert_text(settings.obox_index_fs, "posix");
	assert_int_equal(settings.obox_max_parallel_copies, 3);
	assert_int_equal(settings.obox_max_parallel_writes, 7);
	assert_true(settings.obox_autofix_storage && settings.lazy_expunge);
	assert_int_equal(settings.lazy_expunge_exclude_count, 1);
	assert_text(settings.lazy_expunge_exclude[0], "Tmp");
	assert_int_equal(settings.fts_autoindex_exclude_count, 2);
	assert_text(settings.fts_autoindex_exclude[0], "\\Junk");
	assert_text(settings.fts_autoindex_exclude[1], "Archive/*");
	assert_int_equal(settings.obox_size_missing_action, CONF_SIZE_STAT);
	assert_int_equal(settings.metacache_index_merging, CONF_MERGING_NONE);
	assert_true(settings.metacache_disable_merging);
	assert_int_equal(settings.obox_rescan_mails_once_after, 1700000000);
	assert_true(settings.metacache_upload_interval_ns == LAB_MINUTE);
	assert_true(settings.metacache_max_space == UINT64_C(200) << 30);
	assert_true(settings.fs_auth_request_timeout_ns == 500 * LAB_MSEC);
	dict = conf_settings_dict(&settings, LAB_VIEW("cassandra"));
	assert_true(lab_view_eq_cstr(dict->path, "y.ext"));
	assert_true(lab_view_eq_cstr(dict->driver, "cassandra"));
	dict = conf_settings_dict(&settings, LAB_VIEW("b"));
	assert_true(lab_view_eq_cstr(dict->path, "/abs"));
	assert_null(conf_settings_dict(&settings, LAB_VIEW("c")));
	test_world_done(&world);
}

static void wrong_values_stop_the_load(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "mail_prefetch_count = x\n",
			"t.conf:1:23: mail_prefetch_count: 'x' is not a number" },
		{ "obox_size_missing_action = x\n",
			"t.conf:1:28: obox_size_missing_action: 'x' is not one of warn-read, read, "
			"stat" },
		{ "dict {\n a = b\n}\n", "t.conf:2:6: 'b' is not <driver>:<file>" },
	};
	struct conf_settings settings;
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct test_world world;
		struct conf_section *root = parse(&world, rows[i].text);
		assert_int_equal(conf_settings_load(root, world.arena, &settings, &world.err), -1);
		assert_string_equal(world.err.message, rows[i].message);
		test_world_done(&world);
	}
}

static void mail_location_is_taken_apart(void **state)
{
	struct conf_mail_location location;
	struct lab_error err;
	(void)state;

	assert_int_equal(
		conf_mail_location_parse(LAB_VIEW("obox:%u:INDEX=~/:CONTROL=~/"), &location, &err),
		0);
	assert_true(lab_view_eq_cstr(location.driver, "obox"));
	assert_true(lab_view_eq_cstr(location.path, "%u"));
	assert_true(lab_view_eq_cstr(location.index, "~/"));
	assert_true(lab_view_eq_cstr(location.control, "~/"));
	assert_int_equal(conf_mail_location_parse(LAB_VIEW("obox:%u"), &location, &err), 0);
	assert_null(location.index.ptr);
	assert_int_equal(
		conf_mail_location_parse(
			LAB_VIEW("obox:%8{md5;format=hex:user}/%u:INDEX=~/:CONTROL=%{x:y}"),
			&location, &err),
		0);
	assert_true(lab_view_eq_cstr(location.path, "%8{md5;format=hex:user}/%u"));
	assert_true(lab_view_eq_cstr(location.index, "~/"));
	assert_true(lab_view_eq_cstr(location.control, "%{x:y}"));
	assert_int_equal(conf_mail_location_parse(LAB_VIEW("obox"), &location, &err), -1);
	assert_int_equal(conf_mail_location_parse(LAB_VIEW("obox:%u:INDEX"), &location, &err), -1);
	assert_string_equal(err.message, "'INDEX' in the mail location is not KEY=value");
}

static void secondary_indexes_are_in_their_place_or_elsewhere(void **state)
{
	static const struct {
		const char *location;
		bool is_virtual_elsewhere, is_private_elsewhere;
	} rows[] = {
		{ "virtual:%h/virtual:INDEX=~/virtual", false, false },
		{ "virtual:%h/virtual:INDEX=~/virtual2", true, false },
		{ "virtual:%h/virtual", true, false },
		{ "obox:%%u:INDEX=~/s/%%u:INDEXPVT=~/shared-pvt", false, false },
		{ "obox:%%u:INDEXPVT=~/shared-pvt/%%u", false, true },
		{ "obox:%u:INDEX=~/:CONTROL=~/", false, false },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct conf_settings settings;
		struct test_world world;
		char text[200];

		snprintf(text, sizeof(text),
			"namespace a {\n inbox = yes\n}\nnamespace b {\n location = %s\n}\n"
			"metacache_disable_secondary_indexes = yes\n",
			rows[i].location);
		assert_int_equal(
			conf_settings_load(parse(&world, text), world.arena, &settings, &world.err),
			0);
		assert_int_equal(settings.virtual_index_is_elsewhere, rows[i].is_virtual_elsewhere);
		assert_int_equal(settings.private_index_is_elsewhere, rows[i].is_private_elsewhere);
		assert_true(settings.metacache_disable_secondary_indexes);
		test_world_done(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_definition_is_sound),
		cmocka_unit_test(errors_have_place_and_suggestion),
		cmocka_unit_test(warnings_do_not_fail_the_check),
		cmocka_unit_test(secondary_indexes_are_in_their_place_or_elsewhere),
		cmocka_unit_test(settings_without_effect_are_told),
		cmocka_unit_test(each_setting_has_an_effect_or_says_that_it_has_none),
		cmocka_unit_test(numbered_names_and_foreign_words_are_known),
		cmocka_unit_test(defaults_are_those_of_3_0),
		cmocka_unit_test(settings_come_from_plugin_and_top),
		cmocka_unit_test(wrong_values_stop_the_load),
		cmocka_unit_test(mail_location_is_taken_apart),
	};
	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}

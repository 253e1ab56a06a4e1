/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/fs-tool/testing-bed.h"

static int put(struct bed *bed, const char *path, const char *text)
{
	return RUN(bed, .command = FS_TOOL_put, PATHS(path), .input = lab_view_cstr(text));
}

static void check_round_trip(const char *parameters)
{
	const char *metadata[] = { "fname=a b", "size=5" };
	struct bed bed;

	bed_open(&bed, parameters);
	assert_int_equal(
		RUN(&bed, .command = FS_TOOL_put, PATHS("d/a b+%"), .input = LAB_VIEW("hello"),
			.metadata = metadata, .metadata_count = 2),
		0);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("d/a b+%")), 0);
	assert_string_equal(bed.out, "hello");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_stat, PATHS("d/a b+%")), 0);
	assert_string_equal(bed.out, "d/a b+% size=5\n");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_metadata, PATHS("d/a b+%")), 0);
	assert_string_equal(bed.out, "fname=a b\nsize=5\n");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_copy, PATHS("d/a b+%", "d/c")), 0);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("d/c")), 0);
	assert_string_equal(bed.out, "hello");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_copy, PATHS("d/c", "d/e"),
				 .metadata = metadata + 1, .metadata_count = 1),
		0);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_iter, PATHS("d")), 0);
	assert_string_equal(bed.out, "a b+%\nc\ne\n");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_delete, PATHS("d/c")), 0);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("d/c")), 1);
	assert_int_equal(bed.err.code, LAB_NOT_FOUND);
	bed_close(&bed);
}

static void test_round_trip_both_signatures(void **state)
{
	(void)state;
	check_round_trip("");
	check_round_trip("&region=us-east-1");
}

/* S3 gives back what is not ASCII as words of RFC 2047, and HTTP drops spaces at ends. */
static void test_odd_metadata(void **state)
{
	static const char *const metadata[] = { "a=gr\xc3\xb6\xc3\x9f"
						"e",
		"b= space ", "c==?UTF-8?B?YQ==?=", "d=x,y", "e=" };
	struct bed bed;

	(void)state;
	bed_open(&bed, "&region=us-east-1");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_put, PATHS("k"), .input = LAB_VIEW("x"),
				 .metadata = metadata, .metadata_count = LAB_COUNT_OF(metadata)),
		0);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_metadata, PATHS("k")), 0);
	assert_string_equal(bed.out, "a=gr\xc3\xb6\xc3\x9f"
				     "e\nb= space \nc==?UTF-8?B?YQ==?=\nd=x,y\ne=\n");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_copy, PATHS("k", "l"),
				 .metadata = metadata + 3, .metadata_count = 1),
		0);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_metadata, PATHS("l")), 0);
	assert_non_null(strstr(bed.out, "a=gr\xc3\xb6\xc3\x9f"
					"e\n"));
	assert_non_null(strstr(bed.out, "b= space \n"));
	bed_close(&bed);
}

static void test_trees_with_odd_names(void **state)
{
	static const char *const keys[] = { "/lead", "a//b", "a/../c", "a/b/c/d", "x" };
	struct bed bed;

	(void)state;
	bed_open(&bed, "&region=us-east-1");
	for (size_t i = 0; i < LAB_COUNT_OF(keys); i++)
		assert_int_equal(put(&bed, keys[i], keys[i]), 0);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_iter, PATHS(""), .recursive = true), 0);
	assert_string_equal(bed.out, "x\n/lead\na/../c\na//b\na/b/c/d\n");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_iter_dirs, PATHS("a/")), 0);
	assert_string_equal(bed.out, "..\n\nb\n");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_iter, PATHS("a/b/"), .recursive = true), 0);
	assert_string_equal(bed.out, "a/b/c/d\n");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_delete, PATHS("a"), .recursive = true), 0);
	assert_int_equal(bed.bulk_deletes, 1);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_iter, PATHS(""), .recursive = true), 0);
	assert_string_equal(bed.out, "x\n/lead\n");
	bed_close(&bed);
}

static void test_several_paths(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed, "&bulk_delete_limit=0");
	assert_int_equal(put(&bed, "a", "1"), 0);
	assert_int_equal(put(&bed, "b", "22"), 0);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_stat, PATHS("a", "no", "b", "nor")), 1);
	assert_string_equal(bed.out, "a size=1\nb size=2\n");
	assert_int_equal(bed.result.failed, 2);
	assert_non_null(strstr(bed.err.message, "no: "));
	assert_int_equal(RUN(&bed, .command = FS_TOOL_delete, PATHS("a", "b")), 0);
	assert_int_equal(bed.deletes, 2);
	assert_int_equal(bed.bulk_deletes, 0);
	bed_close(&bed);
}

static void test_separator(void **state)
{
	struct fs_tool_job job = { .command = FS_TOOL_iter, PATHS(""), .print = print };
	struct bed bed;

	(void)state;
	bed_open(&bed, "");
	assert_int_equal(put(&bed, "a\nb", "1"), 0);
	bed.out_len = 0;
	job.print_ctx = &bed;
	assert_int_equal(fs_tool_run(&bed.settings, &job, &bed.result, &bed.err), 0);
	assert_int_equal(bed.out_len, 4);
	assert_memory_equal(bed.out, "a\nb", 4);
	bed_close(&bed);
}

/* ---- the operator's settings ---- */

static void test_settings(void **state)
{
	struct conf_settings conf;
	char text[1024];
	struct bed bed;

	(void)state;
	bed_open(&bed, "");
	(void)snprintf(text, sizeof(text),
		"mail_home = /home/%%d/%%n\nplugin {\n"
		"obox_fs = fscache:1M:%%h/cache:compress:zstd:3:"
		"s3:http://AKID:se%%%%2fcr%%%%3Aet@127.0.0.1:%u/%%u?bucket=mails\n"
		"fts_dovecot_fs = "
		"s3:http://AKID:se%%%%2fcr%%%%3Aet@127.0.0.1:%u/?bucket=mails\n}\n",
		http_front_end_port(bed.front_end), http_front_end_port(bed.front_end));
	conf = conf_of(&bed, text);
	bed.settings.uri = NULL;
	bed.settings.conf = &conf;
	bed.settings.filter = "obox_fs";
	assert_int_equal(put(&bed, "m", "text text text"), 2);
	assert_non_null(strstr(bed.err.message, "--user"));
	bed.settings.user = "u@example.com";
	/* "/<key prefix>/<bucketname>/<path>": here the prefix would be the bucket. */
	assert_int_equal(put(&bed, "m", "text text text"), 1);
	bed.settings.filter = "fts";
	assert_int_equal(put(&bed, "m", "plain"), 0);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("m")), 0);
	assert_string_equal(bed.out, "plain");
	bed.settings.filter = "obox_index_fs";
	assert_int_equal(RUN(&bed, .command = FS_TOOL_iter, PATHS("")), 1);
	bed.settings.filter = "obox_sf";
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("m")), 2);
	assert_non_null(strstr(bed.err.message, "obox_fs"));
	bed_close(&bed);
}

static void test_wrappers_and_maps(void **state)
{
	struct conf_settings conf;
	char text[1024], map[128];
	const char *maps[] = { map }, *variables[] = { "home=/h" };
	struct bed bed;

	(void)state;
	bed_open(&bed, "");
	(void)snprintf(text, sizeof(text),
		"plugin {\n  obox_fs = fscache:1M:%%h/cache:compress:zstd:3:"
		"s3:https://AKID:se%%%%2fcr%%%%3Aet@mails.s3.amazonaws.com/%%u\n}\n");
	(void)snprintf(map, sizeof(map), "mails.s3.amazonaws.com:443=127.0.0.1:%u,plain",
		http_front_end_port(bed.front_end));
	conf = conf_of(&bed, text);
	bed.settings = (struct fs_tool_settings){ .conf = &conf,
		.filter = "obox_fs",
		.user = "u@example.com",
		.variables = variables,
		.variable_count = 1,
		.maps = maps,
		.map_count = 1,
		.on_event = print_event,
		.on_event_ctx = &bed };
	assert_int_equal(put(&bed, "m", "text text text"), 0);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("m")), 0);
	assert_string_equal(bed.out, "text text text");
	assert_non_null(strstr(bed.log, "status_code=200"));
	assert_int_equal(RUN(&bed, .command = FS_TOOL_stat, PATHS("m")), 0);
	assert_string_equal(bed.out, "m size=14\n");
	assert_null(strstr(bed.log, "se/cr:et"));
	variables[0] = "hmoe=/h";
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("m")), 2);
	assert_non_null(strstr(bed.err.message, "did you mean home"));
	variables[0] = "home=/h";
	(void)snprintf(map, sizeof(map), "mails.s3.amazonaws.com:443=127.0.0.1");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("m")), 2);
	assert_non_null(strstr(bed.err.message, "--map"));
	bed.settings.map_count = 0;
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("m")), 5);
	assert_true(bed.result.is_guarded);
	bed_close(&bed);
}

/* Two gateways behind one name, and the first of them is down. */
static void test_two_gateways(void **state)
{
	char second[128];
	const char *maps[] = { "gateway.example.com:80=127.0.0.2:1", second };
	struct bed bed;

	(void)state;
	bed_open(&bed, "");
	(void)snprintf(second, sizeof(second), "gateway.example.com:80=127.0.0.1:%u",
		http_front_end_port(bed.front_end));
	bed.settings.uri =
		"s3:http://AKID:se%2fcr%3Aet@gateway.example.com/?bucket=mails&max_retries=0";
	bed.settings.maps = maps;
	bed.settings.map_count = 2;
	assert_int_equal(put(&bed, "k", "text"), 0);
	assert_non_null(strstr(bed.log, "http_request_retried"));
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("k")), 0);
	assert_string_equal(bed.out, "text");
	bed.settings.map_count = 1;
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("k")), 6);
	bed_close(&bed);
}

static void test_posix_below_root(void **state)
{
	char root[] = "/tmp/lab-fs-tool-XXXXXX", path[64];
	struct fs_tool_job job = { .command = FS_TOOL_put, PATHS("a"), .input = LAB_VIEW("x") };
	struct stat st;
	struct bed bed;

	(void)state;
	bed_open(&bed, "");
	assert_non_null(mkdtemp(root));
	bed.settings.uri = "posix:prefix=/p/";
	bed.settings.root = root;
	assert_int_equal(run(&bed, job), 0);
	(void)snprintf(path, sizeof(path), "%s/p/a", root);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("a")), 0);
	assert_string_equal(bed.out, "x");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("../a")), 2);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_delete, PATHS("a")), 0);
	(void)snprintf(path, sizeof(path), "%s/p", root);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(root), 0);
	bed_close(&bed);
}

/* ---- what the exit status says ---- */

static void test_statuses(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed, "&max_retries=0");
	assert_int_equal(RUN(&bed, .command = FS_TOOL_copy, PATHS("a")), 2);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("a", "b")), 2);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_stat, .path_count = 0), 2);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("none")), 1);

	bed.fail = 1;
	bed.fault =
		(struct sim_fault){ .kind = SIM_FAULT_REFUSE, .status = 503, .code = "SlowDown" };
	assert_int_equal(put(&bed, "a", "x"), 6);
	assert_int_equal(bed.failed, 1);
	assert_int_equal(bed.err.code, LAB_THROTTLED);
	bed.fail = 2;
	bed.fault = (struct sim_fault){ .kind = SIM_FAULT_LOSE_REPLY };
	assert_int_equal(put(&bed, "a", "x"), 4);
	assert_int_equal(bed.failed, 2);
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("a")), 0);

	bed.settings.uri = "s3:http://k:s@127.0.0.1:1/?bucket=mails&max_connect_retries=0";
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("a")), 6);
	bed.settings.uri = "s3:http://k:s@192.0.2.1/?bucket=mails";
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("a")), 5);
	bed.settings.uri = "s3:http://k:s@127.0.0.1:1/?bukcet=mails";
	assert_int_equal(RUN(&bed, .command = FS_TOOL_get, PATHS("a")), 2);
	assert_non_null(strstr(bed.err.message, "did you mean bucket"));
	bed_close(&bed);
}

static void test_commands_about_users_have_hyphens(void **state)
{
	(void)state;
	assert_int_equal(fs_tool_command_find("gc"), FS_TOOL_gc);
	assert_int_equal(fs_tool_command_find("gc-delete"), FS_TOOL_gc_delete);
	assert_int_equal(fs_tool_command_find("force-resync"), FS_TOOL_force_resync);
	assert_int_equal(fs_tool_command_find("rebuild"), FS_TOOL_rebuild);
	assert_int_equal(fs_tool_command_find("repair"), FS_TOOL_repair);
	assert_true(fs_tool_command_find("gc_delete") < 0);
}

static void test_wrong_keys(void **state)
{
	struct bed bed;
	char *at;

	(void)state;
	bed_open(&bed, "&region=us-east-1");
	at = strstr(bed.uri, "AKID:se");
	memcpy(at, "AKID:xx", 7);
	assert_int_equal(put(&bed, "a", "x"), 1);
	assert_int_equal(bed.err.code, LAB_DENIED);
	assert_non_null(strstr(bed.err.message, "SignatureDoesNotMatch"));
	assert_false(bed.result.is_guarded);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_both_signatures),
		cmocka_unit_test(test_odd_metadata),
		cmocka_unit_test(test_trees_with_odd_names),
		cmocka_unit_test(test_several_paths),
		cmocka_unit_test(test_separator),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_wrappers_and_maps),
		cmocka_unit_test(test_two_gateways),
		cmocka_unit_test(test_posix_below_root),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_commands_about_users_have_hyphens),
		cmocka_unit_test(test_wrong_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

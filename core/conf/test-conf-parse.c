/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/test-support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct conf_section *parse_files(
	struct test_world *world, const struct test_file *files, uint32_t flags)
{
	struct conf_section *root = NULL;

	test_world_init(world, files);
	if (conf_parse(lab_view_cstr(files[0].path), &world->reader, flags, world->arena,
		    &world->problems, &root, &world->err) < 0)
		return NULL;
	return root;
}

static struct conf_section *parse(struct test_world *world, const char *text)
{
	struct conf_section *root = NULL;

	test_world_init(world, NULL);
	if (conf_parse_text("t.conf", lab_view_cstr(text), &world->reader, 0, world->arena,
		    &world->problems, &root, &world->err) < 0)
		return NULL;
	return root;
}

static void assert_value(const struct conf_section *section, const char *name, const char *value)
{
	const struct conf_setting *setting = conf_setting_in(section, name);

	assert_non_null(setting);
	if (!lab_view_eq_cstr(setting->value, value))
		fail_msg("%s is '%.*s', not '%s'", name, LAB_VIEW_ARG(setting->value), value);
}

static void assert_where(struct conf_where where, unsigned line, unsigned column)
{
	assert_string_equal(where.file, "t.conf");
	assert_int_equal(where.line, line);
	assert_int_equal(where.column, column);
}

static void values_have_dovecots_quoting(void **state)
{
	static const struct {
		const char *text, *value;
	} rows[] = {
		{ "k = plain words ", "plain words" },
		{ "k=v", "v" },
		{ "\t k\t=\tv", "v" },
		{ "k =", "" },
		{ "k = \"\"", "" },
		{ "k = \" a b \" ", " a b " },
		{ "k = 'a \"b\" c'", "a \"b\" c" },
		{ "k = \"a \\\"b\\\" \\\\c\"", "a \"b\" \\c" },
		{ "k = a # comment", "a" },
		{ "k = \"a # b\" # comment", "a # b" },
		{ "k = it's # not a comment", "it's # not a comment" },
		{ "k = a=b=c", "a=b=c" },
		{ "k = 'half\"", "'half\"" },
		{ "k = *, ::", "*, ::" },
		{ "k = v\r", "v" },
		{ "\xef\xbb\xbfk = v", "v" },
		{ "k = 1\nk = 2", "2" },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct test_world world;
		struct conf_section *root = parse(&world, rows[i].text);
		if (root == NULL)
			fail_msg("row %zu: %s", i, world.err.message);
		assert_value(root, "k", rows[i].value);
		test_world_done(&world);
	}
}

static void sections_nest_and_know_their_places(void **state)
{
	struct test_world world;
	struct conf_section *root = parse(&world, "a = 1\n"
						  "service imap-login {\n"
						  "  inet_listener imaps {\n"
						  "    port = 993\n"
						  "  }\n"
						  "}\n"
						  "namespace \"in \\\"box\" {\n"
						  "}\n"
						  "namespace {\n}\n");
	const struct conf_section *service, *listener, *ns;
	(void)state;

	assert_non_null(root);
	service = conf_section_next(root, "service", NULL);
	assert_true(lab_view_eq_cstr(service->label, "imap-login"));
	assert_where(service->where, 2, 1);
	listener = conf_section_next(service, "inet_listener", NULL);
	assert_where(listener->where, 3, 3);
	assert_ptr_equal(listener->parent, service);
	assert_value(listener, "port", "993");
	assert_where(conf_setting_in(listener, "port")->where, 4, 5);
	assert_where(conf_setting_in(listener, "port")->value_where, 4, 12);
	ns = conf_section_next(root, "namespace", NULL);
	assert_true(lab_view_eq_cstr(ns->label, "in \"box"));
	ns = conf_section_next(root, "namespace", ns);
	assert_null(ns->label.ptr);
	assert_null(conf_section_next(root, "namespace", ns));
	test_world_done(&world);
}

static void continued_lines_are_joined_as_dovecot_does(void **state)
{
	struct test_world world;
	struct conf_section *root =
		parse(&world, "k = https://key@\\\n   host \\\n# a comment between\n\n  tail\n"
			      "l = \\\n  =user=%u, \\\n  =quota=1\n"
			      "m = end \\");
	(void)state;

	assert_non_null(root);
	assert_value(root, "k", "https://key@host tail");
	assert_value(root, "l", "=user=%u, =quota=1");
	assert_where(conf_setting_in(root, "l")->value_where, 7, 3);
	assert_value(root, "m", "end");
	test_world_done(&world);
}

static void one_line_can_hold_what_several_could(void **state)
{
	struct test_world world;
	struct conf_section *root = parse(&world,
		"obox       { fs fscache { size=512M path=/var/cache/mails/%4Nu }\n"
		"             fs compress { }\n"
		"             fs dictmap { dict proxy { name = cassandra\n"
		"                                       socket_path = dict-async }\n"
		"                          storage_objectid_prefix = %u/mails/ }\n"
		"             fs aws-s3 { url=https://b.example.com/?a=b region=\"eu west\" } }\n"
		"fts dovecot{ fs fts-cache {} }\n"
		"mailbox Junk {\nauto = create }\n"
		"k = after }\n");
	const struct conf_section *obox, *fs;
	(void)state;

	assert_non_null(root);
	obox = conf_section_next(root, "obox", NULL);
	fs = conf_section_next(obox, "fs", NULL);
	assert_value(fs, "size", "512M");
	assert_value(fs, "path", "/var/cache/mails/%4Nu");
	fs = conf_section_next(obox, "fs", fs);
	assert_true(lab_view_eq_cstr(fs->label, "compress"));
	fs = conf_section_next(obox, "fs", fs);
	assert_value(conf_section_next(fs, "dict", NULL), "name", "cassandra");
	assert_value(conf_section_next(fs, "dict", NULL), "socket_path", "dict-async");
	assert_value(fs, "storage_objectid_prefix", "%u/mails/");
	fs = conf_section_next(obox, "fs", fs);
	assert_value(fs, "url", "https://b.example.com/?a=b");
	assert_value(fs, "region", "eu west");
	assert_true(lab_view_eq_cstr(conf_section_next(root, "fts", NULL)->label, "dovecot"));
	assert_value(conf_section_next(root, "mailbox", NULL), "auto", "create");
	assert_value(root, "k", "after }");
	test_world_done(&world);
}

static void words_with_a_dollar_are_earlier_settings(void **state)
{
	struct test_world world;
	struct conf_section *root =
		parse(&world, "mail_plugins = $mail_plugins obox\n"
			      "mail_plugins = $mail_plugins quota\n"
			      "protocol imap {\n  mail_plugins = $mail_plugins imap_quota\n}\n"
			      "protocol imap {\n  mail_plugins = $mail_plugins x$y\n}\n"
			      "protocol lmtp {\n  mail_plugins = $mail_plugins sieve\n}\n"
			      "literal = \"$mail_plugins\"\n"
			      "unknown = a $nothing b\n"
			      "mail_prefetch_count = 10\n"
			      "n = $mail_prefetch_count\n"
			      "d = $metacache_close_delay\n");
	const struct conf_section *imap;
	(void)state;

	assert_non_null(root);
	assert_value(root, "mail_plugins", " obox quota");
	imap = conf_section_next(root, "protocol", NULL);
	assert_value(imap, "mail_plugins", " obox quota imap_quota");
	imap = conf_section_next(root, "protocol", imap);
	assert_value(imap, "mail_plugins", " obox quota imap_quota x$y");
	assert_value(
		conf_section_next(root, "protocol", imap), "mail_plugins", " obox quota sieve");
	assert_value(root, "literal", "$mail_plugins");
	assert_value(root, "unknown", "a $nothing b");
	assert_value(root, "n", "10");
	assert_value(root, "d", "2s");
	assert_int_equal(world.problems.warnings, 1);
	assert_string_equal(world.problems.items[0].message, "no setting stands behind $nothing");
	test_world_done(&world);
}

static void literal_parsing_leaves_dollars_and_files_alone(void **state)
{
	static const struct test_file files[] = {
		{ "m.ext", "map {\n fields {\n u = $user\n }\n k = <file\n}\n" }, { NULL, NULL }
	};
	struct test_world world;
	struct conf_section *root = parse_files(&world, files, CONF_PARSE_LITERAL), *map;
	(void)state;

	assert_non_null(root);
	map = root->children;
	assert_value(map, "k", "<file");
	assert_value(map->children, "u", "$user");
	test_world_done(&world);
}

static void includes_are_relative_and_sorted(void **state)
{
	static const struct test_file files[] = {
		{ "etc/a.conf", "k = 1\n!include conf.d/*.conf\n!include_try none/*.conf\n"
				"!include_try gone.conf\nplugin {\n  !include \"part\"\n}\n" },
		{ "etc/conf.d/20.conf", "k = 20" },
		{ "etc/conf.d/10.conf", "k = 10\n!include ../b.conf" },
		{ "etc/conf.d/../b.conf", "b = 1" },
		{ "etc/part", "p = 1\n" },
		{ NULL, NULL },
	};
	struct test_world world;
	struct conf_section *root = parse_files(&world, files, 0);
	(void)state;

	assert_non_null(root);
	assert_value(root, "k", "20");
	assert_string_equal(conf_setting_in(root, "k")->where.file, "etc/conf.d/20.conf");
	assert_string_equal(conf_setting_in(root, "b")->where.file, "etc/conf.d/../b.conf");
	assert_non_null(conf_setting_of(root, "plugin", "p"));
	test_world_done(&world);
}

static void file_values_are_read_or_kept(void **state)
{
	static const struct test_file files[] = {
		{ "/etc/a.conf", "ssl_cert = <cert.pem\nssl_key = < /etc/key.pem\n" },
		{ "/etc/cert.pem", "CERT\n" },
		{ NULL, NULL },
	};
	struct test_world world;
	struct conf_section *root = parse_files(&world, files, 0);
	(void)state;

	assert_non_null(root);
	assert_value(root, "ssl_cert", "CERT\n");
	assert_value(root, "ssl_key", "< /etc/key.pem");
	assert_int_equal(world.problems.warnings, 1);
	test_world_done(&world);
}

static void a_hash_without_space_is_warned_about(void **state)
{
	struct test_world world;
	struct conf_section *root = parse(&world, "k = a#b\n");
	struct lab_buf out;
	(void)state;

	assert_non_null(root);
	assert_value(root, "k", "a");
	assert_int_equal(world.problems.count, 1);
	lab_buf_init(&out, world.heap, 500);
	conf_problem_print(&world.problems.items[0], &out);
	assert_string_equal(lab_buf_cstr(&out),
		"t.conf:1:6: warning: '#b' is taken for a comment; put a space before it");
	lab_buf_done(&out);
	test_world_done(&world);
}

static void syntax_errors_name_their_place(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "a = 1\n  key value\n", "t.conf:2:12: '{' is missing behind the label of key" },
		{ "key\n", "t.conf:1:4: '=' or '{' is missing behind key" },
		{ "}\n", "t.conf:1:1: a '}' without a section to end" },
		{ "a {\n b {\n }\n", "t.conf:1:1: section a is not ended in this file" },
		{ "a \"b {\n}\n", "t.conf:1:3: the quote is not closed" },
		{ "= b\n", "t.conf:1:1: a name is missing before '='" },
		{ "!include\n", "t.conf:1:1: a file name is missing behind !include" },
		{ "!include gone\n", "t.conf:1:1: gone: no such file" },
		{ "!include x/*.conf\n", "t.conf:1:1: no file matches x/*.conf" },
		{ "k = <\n", "t.conf:1:5: a file name is missing behind '<'" },
	};
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct test_world world;
		assert_null(parse(&world, rows[i].text));
		assert_string_equal(world.err.message, rows[i].message);
		test_world_done(&world);
	}
}

static void a_nul_byte_is_an_error(void **state)
{
	struct test_world world;
	struct conf_section *root;
	(void)state;

	test_world_init(&world, NULL);
	assert_int_equal(conf_parse_text("t.conf", LAB_VIEW("k = a\0b"), NULL, 0, world.arena, NULL,
				 &root, &world.err),
		-1);
	assert_string_equal(world.err.message, "t.conf:1:1: there is a NUL byte in the line");
	test_world_done(&world);
}

static void limits_are_kept(void **state)
{
	static const struct test_file loop[] = { { "a", "!include a\n" }, { NULL, NULL } };
	static const struct test_file broken[] = { { "a", "k = <b\n" }, { "b", NULL },
		{ NULL, NULL } };
	char deep[4 * 40 + 1] = "", *text;
	struct test_world world;
	(void)state;

	assert_null(parse_files(&world, loop, 0));
	assert_string_equal(world.err.message, "a:1:1: includes are nested more than 16 deep");
	test_world_done(&world);
	assert_null(parse_files(&world, broken, 0));
	assert_int_equal(world.err.code, LAB_IO);
	assert_string_equal(world.err.message, "a:1:5: b: broken");
	test_world_done(&world);
	for (size_t i = 0; i < 40; i++)
		memcpy(deep + 4 * i, "s {\n", 5);
	assert_null(parse(&world, deep));
	assert_string_equal(
		world.err.message, "t.conf:33:1: sections are nested more than 32 deep");
	test_world_done(&world);

	test_world_init(&world, NULL);
	text = lab_arena_alloc(world.arena, 70001);
	memset(text, 'k', 70000);
	struct conf_section *root;
	assert_int_equal(conf_parse_text("t.conf", lab_view_of(text, 70000), NULL, 0, world.arena,
				 NULL, &root, &world.err),
		-1);
	assert_string_equal(world.err.message, "t.conf:1:1: the line is longer than 65536 bytes");
	/* the value doubles with every line */
	struct lab_buf doubling;
	lab_buf_init(&doubling, world.heap, 1000);
	lab_buf_append_cstr(&doubling, "k = 12345678\n");
	for (size_t i = 0; i < 20; i++)
		lab_buf_append_cstr(&doubling, "k = $k $k\n");
	assert_int_equal(conf_parse_text("t.conf", lab_buf_view(&doubling), NULL, 0, world.arena,
				 NULL, &root, &world.err),
		-1);
	assert_non_null(strstr(world.err.message, "the value is longer than 65536 bytes"));
	lab_buf_done(&doubling);
	lab_buf_init(&doubling, world.heap, 1u << 20);
	for (size_t i = 0; i <= CONF_NODES_MAX; i++)
		lab_buf_append_cstr(&doubling, "k = v\n");
	assert_int_equal(conf_parse_text("t.conf", lab_buf_view(&doubling), NULL, 0, world.arena,
				 NULL, &root, &world.err),
		-1);
	assert_non_null(strstr(world.err.message, "more than 20000 settings and sections"));
	lab_buf_done(&doubling);
	test_world_done(&world);
}

static void more_problems_than_fit_are_counted(void **state)
{
	struct test_world world;
	struct conf_where where = { "f", 1, 1 };
	(void)state;

	test_world_init(&world, NULL);
	for (unsigned i = 0; i < CONF_PROBLEMS_MAX + 5; i++)
		conf_problem_add(&world.problems, i % 2 == 0, where, "number %u", i);
	assert_int_equal(world.problems.count, CONF_PROBLEMS_MAX);
	assert_int_equal(world.problems.errors + world.problems.warnings, CONF_PROBLEMS_MAX + 5);
	assert_string_equal(world.problems.items[63].message, "number 63");
	test_world_done(&world);
}

static void suggestions_are_near_or_none(void **state)
{
	static const char *const names[] = { "obox_max_parallel_deletes",
		"obox_max_parallel_copies", "fscache", "compress", "passdb", "" };
	static const struct {
		const char *wrong, *near;
	} rows[] = {
		{ "obox_max_paralel_deletes", "obox_max_parallel_deletes" },
		{ "obox_max_parallel_copeis", "obox_max_parallel_copies" },
		{ "fscahce", "fscache" },
		{ "fscache", "fscache" },
		{ "compres", "compress" },
		{ "passed", "passdb" },
		{ "something_else", NULL },
		{ "x", NULL },
		{ "", NULL },
	};
	char hint[CONF_HINT_MAX];
	(void)state;

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		const char *near =
			conf_suggest_of(lab_view_cstr(rows[i].wrong), names, LAB_COUNT_OF(names));
		if (rows[i].near == NULL)
			assert_null(near);
		else
			assert_string_equal(near, rows[i].near);
	}
	assert_string_equal(conf_hint(NULL, hint), "");
	assert_string_equal(conf_hint("x", hint), " (did you mean x?)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_have_dovecots_quoting),
		cmocka_unit_test(sections_nest_and_know_their_places),
		cmocka_unit_test(continued_lines_are_joined_as_dovecot_does),
		cmocka_unit_test(one_line_can_hold_what_several_could),
		cmocka_unit_test(words_with_a_dollar_are_earlier_settings),
		cmocka_unit_test(literal_parsing_leaves_dollars_and_files_alone),
		cmocka_unit_test(includes_are_relative_and_sorted),
		cmocka_unit_test(file_values_are_read_or_kept),
		cmocka_unit_test(a_hash_without_space_is_warned_about),
		cmocka_unit_test(syntax_errors_name_their_place),
		cmocka_unit_test(a_nul_byte_is_an_error),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(more_problems_than_fit_are_counted),
		cmocka_unit_test(suggestions_are_near_or_none),
	};
	return cmocka_run_group_tests_name("conf-parse", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/var-expand.h"
#include "core/conf/test-support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int fs_lookup(void *ctx, struct lab_view name, struct lab_view *ret, struct lab_error *err)
{
	(void)ctx;
	if (lab_view_eq_cstr(name, "env:broken"))
		return lab_fail(err, LAB_IO, "broken");
	if (!lab_view_eq_cstr(name, "env:HOME"))
		return 0;
	*ret = LAB_VIEW("/root");
	return 1;
}

static int expand(
	struct test_world *world, const char *user, const char *text, struct lab_view *ret)
{
	struct var_user values = { .user = lab_view_cstr(user),
		.home = LAB_VIEW("/var/vmail/x"),
		.service = LAB_VIEW("imap"),
		.session = LAB_VIEW("s3SS10n"),
		.pid = LAB_VIEW("255"),
		.hostname = LAB_VIEW("b1"),
		.auth_token = LAB_VIEW("tok en ") };
	struct var_user_table table;

	var_user_table_init(&table, &values);
	table.table.lookup = fs_lookup;
	return var_expand_arena(world->arena, lab_view_cstr(text), &table.table, ret, &world->err);
}

static void assert_expands(
	struct test_world *world, const char *user, const char *text, const char *expected)
{
	struct lab_view result;

	if (expand(world, user, text, &result) < 0)
		fail_msg("%s: %s", text, world->err.message);
	if (!lab_view_eq_cstr(result, expected))
		fail_msg(
			"%s of %s is '%.*s', not '%s'", text, user, LAB_VIEW_ARG(result), expected);
}

static void the_published_vectors_come_out(void **state)
{
	static const struct {
		const char *user, *text, *expected;
	} rows[] = {
		{ "user@example.com", "%2Mu", "b5" },
		{ "user@example.com", "%2.3Mu", "899" },
		{ "user@example.com", "%8Mu", "b58996c5" },
		{ "user@example.com", "%Mu", "b58996c504c5638798eb6b511e6f49af" },
		{ "user@example.com", "%4Nu", "3" },
		{ "user@example.com", "%8Nu", "7" },
		{ "user@example.com", "%2.256Nu", "87" },
		{ "user@example.com", "%2Mu/%2.3Mu/%u", "b5/899/user@example.com" },
		{ "user@example.com", "%8{md5;format=hex:user}", "b58996c5" },
		{ "testuser", "%2Mu", "5d" },
		{ "testuser", "%2.3Mu", "9c6" },
		{ "testuser", "%8Mu", "5d9c68c6" },
		{ "testuser", "%4Nu", "0" },
		{ "testuser", "%8Nu", "0" },
		{ "testuser", "%256Nu", "d0" },
		{ "timo", "%2Mu", "33" },
		{ "timo", "%2.3Mu", "73c" },
		{ "timo", "%8Mu", "3373c81c" },
		{ "timo", "%4Nu", "2" },
		{ "timo", "%8Nu", "6" },
		{ "timo", "%256Nu", "ee" },
		{ "a", "%2Mu", "0c" },
		{ "a", "%2.3Mu", "c17" },
		{ "a", "%8Mu", "0cc175b9" },
		{ "a", "%4Nu", "0" },
		{ "a", "%8Nu", "0" },
		{ "a", "%2.256Nu", "a8" },
	};
	struct test_world world;
	(void)state;

	test_world_init(&world, NULL);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_expands(&world, rows[i].user, rows[i].text, rows[i].expected);
	test_world_done(&world);
}

static void keys_modifiers_and_numbers(void **state)
{
	static const char *const user = "User.Name@Example.COM";
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "100%%", "100%" },
		{ "%u|%n|%d|%h|%s|%p",
			"User.Name@Example.COM|User.Name|Example.COM|/var/vmail/x|imap|255" },
		{ "%{user}|%{username}|%{domain}|%{home}|%{service}",
			"User.Name@Example.COM|User.Name|Example.COM|/var/vmail/x|imap" },
		{ "%{session} %{hostname} %{auth:token}|%T{auth_token}|",
			"s3SS10n b1 tok en |tok en|" },
		{ "%{env:HOME}", "/root" },
		{ "%Lu", "user.name@example.com" },
		{ "%Ud", "EXAMPLE.COM" },
		{ "%Rs", "pami" },
		{ "%Dd", "Example,dc=COM" },
		{ "%LRn", "eman.resu" },
		{ "%Xp", "ff" },
		{ "%Xs", "0" },
		{ "%3n", "Use" },
		{ "%50n", "User.Name" },
		{ "%1.3n", "ser" },
		{ "%-4.2n", "Na" },
		{ "%-40.4n", "User" },
		{ "%0.-5n", "User" },
		{ "%0.-50n|", "|" },
		{ "%30.3n|", "|" },
		{ "%06p", "000255" },
		{ "%02p", "255" },
		{ "%0.05p", "00255" },
		{ "%1.04p", "0055" },
		{ "%-3n", "Use" },
		{ "%3%", "%" },
		{ "%Ln{}", "user.name{}" },
	};
	struct test_world world;
	(void)state;

	test_world_init(&world, NULL);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_expands(&world, user, rows[i].text, rows[i].expected);
	assert_expands(&world, "it's\\\"x\"", "%Eu", "it\\'s\\\\\\\"x\\\"");
	assert_expands(&world, "nodomain", "%n|%d|", "nodomain||");
	assert_expands(&world, "testuser", "%Hu", "cabce62");
	assert_expands(&world, "user@example.com", "%100Hu %3.100Hu", "4d 04d");
	test_world_done(&world);
}

static void hashes_take_options(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "%{md5:user}", "b58996c504c5638798eb6b511e6f49af" },
		{ "%{sha1:user}", "63a710569261a24b3766275b7000ce8d7b32e2f7" },
		{ "%{sha256:user}",
			"b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514" },
		{ "%20{sha512;format=hexuc:user}", "6DB185971E8D3B52426F" },
		{ "%{md5;format=base64:user}", "tYmWxQTFY4eY62tRHm9Jrw==" },
		{ "%{sha1;format=base64:user}", "Y6cQVpJhoks3ZidbcADOjXsy4vc=" },
		{ "%{md5;salt=pepper:user}", "7ece58ee9118efd9be3cdabb21bb4588" },
		{ "%{md5;rounds=2,salt=pepper:user}", "3c275dd98f7d70b17cd15df285297f55" },
		{ "%{md5;truncate=32:user}", "b58996c5" },
		{ "%{md5;truncate=12:user}", "0b58" },
		{ "%{md5;truncate=13:user}", "16b1" },
		{ "%2.3{md5;rounds=1,format=hex:u}", "899" },
	};
	struct test_world world;
	(void)state;

	test_world_init(&world, NULL);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_expands(&world, "user@example.com", rows[i].text, rows[i].expected);
	test_world_done(&world);
}

static void errors_name_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
		{ "a%zb", "Unknown variable '%z'" },
		{ "%{nope}", "Unknown variable '%{nope}'" },
		{ "%{usre}", "Unknown variable '%{usre}' (did you mean user?)" },
		{ "%{nope:x}", "Unknown variable '%{nope:x}'" },
		{ "%{env:broken}", "broken" },
		{ "%{md5:nope}", "Unknown variable '%{nope}'" },
		{ "%{md4:user}", "Unknown variable '%{md4:user}'" },
		{ "%l", "variable 'l' has no value here" },
		{ "%{rip}", "variable 'rip' has no value here" },
		{ "50%", "the text ends within a %variable; a percent sign is written %%" },
		{ "%2M", "the text ends within a %variable; a percent sign is written %%" },
		{ "%{user", "a '}' is missing behind '%{'" },
		{ "%{md5;rounds=0:user}", "Invalid hash option 'rounds=0'" },
		{ "%{md5;truncate=999:user}", "Invalid hash option 'truncate=999'" },
		{ "%{md5;format=oct:user}", "Invalid hash option 'format=oct'" },
		{ "%{md5;sugar=1:user}", "Unknown hash option 'sugar'" },
		{ "%LLLLLLLLLLLu", "Unknown variable '%L'" },
	};
	struct test_world world;
	struct lab_view result;
	(void)state;

	test_world_init(&world, NULL);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		if (expand(&world, "u", rows[i].text, &result) == 0)
			fail_msg("%s gives %.*s", rows[i].text, LAB_VIEW_ARG(result));
		assert_string_equal(world.err.message, rows[i].message);
	}
	test_world_done(&world);
}

static void results_are_bounded(void **state)
{
	struct test_world world;
	struct lab_view result;
	char user[VAR_VALUE_MAX + 2];
	(void)state;

	test_world_init(&world, NULL);
	assert_int_equal(expand(&world, "7", "%09000u", &result), 0);
	assert_int_equal(result.len, 9000);
	assert_int_equal(expand(&world, "7", "%0999999999u", &result), -1);
	assert_int_equal(world.err.code, LAB_LIMIT);
	memset(user, '.', sizeof(user) - 1);
	user[sizeof(user) - 1] = '\0';
	assert_int_equal(expand(&world, user, "%u", &result), -1);
	assert_int_equal(world.err.code, LAB_LIMIT);
	user[VAR_VALUE_MAX] = '\0';
	assert_int_equal(expand(&world, user, "%u", &result), 0);
	assert_int_equal(expand(&world, user, "%Du", &result), -1);
	assert_int_equal(world.err.code, LAB_LIMIT);
	assert_int_equal(expand(&world, user, "%{md5;salt=x:user}", &result), -1);
	assert_int_equal(world.err.code, LAB_LIMIT);
	test_world_done(&world);
}

static void a_check_needs_no_values(void **state)
{
	struct var_user nobody = { .user = { NULL, 0 } };
	struct var_user_table table;
	struct lab_error err;
	(void)state;

	var_user_table_init(&table, &nobody);
	assert_int_equal(var_expand_check(LAB_VIEW("%u %{md5:home} %%"), &table.table, &err), 0);
	assert_int_equal(var_expand_check(LAB_VIEW("%u %y"), &table.table, &err), -1);
	assert_string_equal(err.message, "Unknown variable '%y'");
	assert_int_equal(var_expand_check(LAB_VIEW("%{env:X}"), &table.table, &err), -1);
	table.table.lookup = fs_lookup;
	assert_int_equal(var_expand_check(LAB_VIEW("%{env:X}"), &table.table, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_vectors_come_out),
		cmocka_unit_test(keys_modifiers_and_numbers),
		cmocka_unit_test(hashes_take_options),
		cmocka_unit_test(errors_name_what_is_wrong),
		cmocka_unit_test(results_are_bounded),
		cmocka_unit_test(a_check_needs_no_values),
	};
	return cmocka_run_group_tests_name("var-expand", tests, NULL, NULL);
}

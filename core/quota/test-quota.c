/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules, limits, grace and virtual sizes of quota=count.
 */
#include "core/base/testing.h"
#include "core/quota/quota.h"

#define KB UINT64_C(1024)
#define MB (1024 * KB)

static struct conf_text text_of(const char *text)
{
	return (struct conf_text){ lab_view_cstr(text), { "test.conf", 3, 7 } };
}

static struct conf_settings conf_with(const char *const *rules, size_t count)
{
	struct conf_settings conf = { .quota_vsizes = true };

	conf.quota = text_of("count:User quota");
	conf.quota_exceeded_message = text_of("No room");
	for (size_t i = 0; i < count; i++)
		conf.quota_rules[conf.quota_rule_count++] = text_of(rules[i]);
	return conf;
}

static struct quota_root root_with(const char *const *rules, size_t count, const char *grace)
{
	struct conf_settings conf = conf_with(rules, count);
	struct quota_root root;
	struct lab_error err;

	conf.quota_grace = text_of(grace);
	if (quota_root_load(&conf, &root, &err) < 0)
		fail_msg("%s", err.message);
	return root;
}
#define ROOT(grace, ...) \
	root_with((const char *const[]){ __VA_ARGS__ }, \
		LAB_COUNT_OF(((const char *const[]){ __VA_ARGS__ })), grace)

static void assert_limits(
	const struct quota_root *root, const char *folder, uint64_t bytes, uint64_t messages)
{
	struct quota_amount limits = quota_limits(root, lab_view_cstr(folder));

	if (limits.bytes != bytes || limits.messages != messages)
		fail_msg("%s: %" PRIu64 " bytes, %" PRIu64 " messages", folder, limits.bytes,
			limits.messages);
}

static int check(const struct quota_root *root, const char *folder, uint64_t used, uint64_t added,
	bool is_delivery)
{
	struct quota_amount u = { used, used / 1000 }, a = { added, 1 };
	struct lab_error err;
	int result = quota_check(root, lab_view_cstr(folder), &u, &a, added, is_delivery, &err);

	if (result < 0)
		assert_int_equal(err.code, LAB_OVER_QUOTA);
	return result;
}

static void no_quota_has_no_limit(void **state)
{
	struct conf_settings conf = { .quota_vsizes = true };
	struct quota_root root;

	(void)state;
	assert_int_equal(quota_root_load(&conf, &root, NULL), 0);
	assert_false(root.is_set);
	assert_limits(&root, "INBOX", 0, 0);
}

static void limits_are_everybodys_and_the_folders(void **state)
{
	struct quota_root root = ROOT("0", "*:storage=1G:messages=1000", "Trash:storage=+100M",
		"Junk:storage=+10%%", "Small:storage=10M:messages=-990", "Archive/%:storage=50%",
		"None:messages=-2000", ".EXPUNGED:ignore", "inbox:messages=7");

	(void)state;
	assert_true(lab_view_eq_cstr(root.name, "User quota"));
	assert_limits(&root, "Work", 1024 * MB, 1000);
	assert_limits(&root, "Trash", 1124 * MB, 1000);
	assert_limits(&root, "Junk", 1024 * MB + 1024 * MB / 10, 1000);
	assert_limits(&root, "Small", 10 * MB, 10);
	assert_limits(&root, "Archive/2026", 512 * MB, 1000);
	assert_limits(&root, "Archive/2026/May", 1024 * MB, 1000);
	assert_limits(&root, "None", 1024 * MB, 1);
	assert_limits(&root, "INBOX", 1024 * MB, 7);
	assert_limits(&root, "InBox", 1024 * MB, 7);
	assert_true(quota_is_ignored(&root, LAB_VIEW(".EXPUNGED")));
	assert_false(quota_is_ignored(&root, LAB_VIEW("INBOX")));
	root = ROOT("0", "*:storage=5:bytes=7");
	assert_limits(&root, "INBOX", 7, 0);
	root = ROOT("0", "*:storage=5");
	assert_limits(&root, "INBOX", 5 * KB, 0);
	root = ROOT("0", "Trash:storage=+5M");
	assert_limits(&root, "Trash", 0, 0);
}

static void masks_fit_as_in_dovecot(void **state)
{
	static const struct {
		const char *mask, *name;
		bool fits;
	} rows[] = { { "a", "a", true }, { "a", "b", false }, { "a*", "abc/d", true },
		{ "a%", "abc/d", false }, { "a%", "abc", true }, { "a%/d", "abc/d", true },
		{ "*d", "abc/d", true }, { "a?c", "abc", true }, { "a?c", "ac", false },
		{ "*", "", true }, { "", "a", false }, { "a*b*c", "axxbyyc", true },
		{ "a*b*c", "axxbyy", false }, { "%x", "aax", true }, { "inbox", "INBOX", true },
		{ "INBOX", "inbox2", false }, { "trash", "Trash", false } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, quota_mask_fits(lab_view_cstr(rows[i].mask),
				      lab_view_cstr(rows[i].name)) == rows[i].fits);
}

static void what_is_above_the_limit_is_refused(void **state)
{
	struct quota_root root = ROOT("10%%", "*:bytes=1000", "Trash:bytes=+500", "Old:ignore");

	(void)state;
	assert_int_equal(check(&root, "INBOX", 900, 100, false), 0);
	assert_int_equal(check(&root, "INBOX", 900, 101, false), -1);
	/* The last mail of a delivery, and no more after it. */
	assert_int_equal(check(&root, "INBOX", 1000, 100, true), 0);
	assert_int_equal(check(&root, "INBOX", 1000, 101, true), -1);
	assert_int_equal(check(&root, "INBOX", 1001, 1, true), -1);
	assert_int_equal(check(&root, "Trash", 1400, 100, false), 0);
	assert_int_equal(check(&root, "Trash", 1400, 101, false), -1);
	assert_int_equal(check(&root, "Old", 5000, 5000, false), 0);
	/* Nothing overflows. */
	assert_int_equal(check(&root, "INBOX", UINT64_MAX, UINT64_MAX, true), -1);
	root = ROOT("50", "*:messages=2");
	assert_int_equal(check(&root, "INBOX", 1000, 1, true), 0);
	assert_int_equal(check(&root, "INBOX", 2000, 1, true), -1);
	root = ROOT("10%%", "Trash:bytes=5");
	assert_int_equal(check(&root, "INBOX", 1u << 30, 1000, false), 0);
}

static void mails_may_be_too_large(void **state)
{
	const char *rule = "*:bytes=1000";
	struct conf_settings conf = conf_with(&rule, 1);
	struct quota_root root;

	(void)state;
	conf.quota_max_mail_size = 100;
	conf.quota = text_of("count:x:noenforcing");
	assert_int_equal(quota_root_load(&conf, &root, NULL), 0);
	assert_int_equal(check(&root, "INBOX", 5000, 100, false), 0);
	assert_int_equal(check(&root, "INBOX", 0, 101, false), -1);
}

static void other_quotas_are_refused_with_their_place(void **state)
{
	static const struct {
		const char *quota, *quota2, *rule, *grace, *says;
	} rows[] = { { "maildir:User quota", NULL, NULL, NULL, "backend count only" },
		{ "count", "count:x", NULL, NULL, "only one quota root" },
		{ "count:x:ns=", NULL, NULL, NULL, "noenforcing is the only" },
		{ "count:x", NULL, "storage=1G", NULL, "is not FOLDER:LIMITS" },
		{ "count:x", NULL, ":storage=1G", NULL, "is not FOLDER:LIMITS" },
		{ "count:x", NULL, "*:", NULL, "has no limit" },
		{ "count:x", NULL, "*:storage=", NULL, "quota rule" },
		{ "count:x", NULL, "*:storage=1X", NULL, "quota rule" },
		{ "count:x", NULL, "*:mails=1", NULL, "\"mails\" is not ignore" },
		{ "count:x", NULL, "*:messages=-", NULL, "quota rule" },
		{ "count:x", NULL, "*:storage=10001%", NULL, "quota rule" },
		{ "count:x", NULL, NULL, "much", "quota_grace" } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct conf_settings conf = conf_with(&rows[i].rule, rows[i].rule != NULL);
		struct quota_root root;
		struct lab_error err;

		conf.quota = text_of(rows[i].quota);
		if (rows[i].quota2 != NULL)
			conf.quota2 = text_of(rows[i].quota2);
		if (rows[i].grace != NULL)
			conf.quota_grace = text_of(rows[i].grace);
		assert_row(i, quota_root_load(&conf, &root, &err) == -1);
		if (strstr(err.message, rows[i].says) == NULL ||
			strstr(err.message, "test.conf:3:7") == NULL)
			fail_msg("row %zu: %s", i, err.message);
	}
}

static void without_vsizes_there_is_no_count(void **state)
{
	struct conf_settings conf = conf_with(NULL, 0);
	struct quota_root root;
	struct lab_error err;

	(void)state;
	conf.quota_vsizes = false;
	assert_int_equal(quota_root_load(&conf, &root, &err), -1);
	assert_int_equal(err.code, LAB_UNSUPPORTED);
}

static void line_ends_count_two(void **state)
{
	(void)state;
	assert_int_equal(quota_virtual_size(LAB_VIEW("")), 0);
	assert_int_equal(quota_virtual_size(LAB_VIEW("ab")), 2);
	assert_int_equal(quota_virtual_size(LAB_VIEW("a\r\nb\r\n")), 6);
	assert_int_equal(quota_virtual_size(LAB_VIEW("a\nb\n")), 6);
	assert_int_equal(quota_virtual_size(LAB_VIEW("\n\n\r\n\r")), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_quota_has_no_limit),
		cmocka_unit_test(limits_are_everybodys_and_the_folders),
		cmocka_unit_test(masks_fit_as_in_dovecot),
		cmocka_unit_test(what_is_above_the_limit_is_refused),
		cmocka_unit_test(mails_may_be_too_large),
		cmocka_unit_test(other_quotas_are_refused_with_their_place),
		cmocka_unit_test(without_vsizes_there_is_no_count),
		cmocka_unit_test(line_ends_count_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

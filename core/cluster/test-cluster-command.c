/* SPDX-License-Identifier: Apache-2.0
 *
 * doveadm cluster: every command on a GeoDB, and what is refused.
 */
#include "core/cluster/cluster-command.h"
#include "core/cluster/testing/palomar.h"

static const char *told(struct palomar *p, const char *text)
{
	static char shown[8192];
	struct cluster_command command;
	struct lab_buf out;

	lab_buf_init(&out, p->here->env->heap, sizeof(shown) - 1);
	geo_must(&p->err, cluster_command_parse_text(lab_view_cstr(text), &command, &p->err), 0);
	geo_must(&p->err,
		cluster_command_run(p->here->geodb, NULL, &p->policy, &command, &out, &p->err), 0);
	memcpy(shown, lab_buf_cstr(&out), lab_buf_view(&out).len + 1);
	lab_buf_done(&out);
	return shown;
}

static void refused(struct palomar *p, const char *text, enum lab_code code)
{
	struct cluster_command command;
	struct lab_buf out;

	lab_buf_init(&out, p->here->env->heap, 8192);
	geo_must(&p->err, cluster_command_parse_text(lab_view_cstr(text), &command, &p->err), 0);
	geo_must(&p->err,
		cluster_command_run(p->here->geodb, NULL, &p->policy, &command, &out, &p->err), -1);
	assert_int_equal(p->err.code, code);
	lab_buf_done(&out);
}

PALOMAR(sites_are_listed_changed_added_and_removed)
{
	assert_string_equal(told(p, "site list"),
		"site\tload_balancer\tstatus\tforce_move\trecover\n"
		"az1\tlb-1\tonline\t0\t0\naz2\tlb-2\tonline\t0\t0\n");
	(void)told(p, "site update --status standby --load-balancer lb-9 az2");
	assert_string_equal(told(p, "site status az2"),
		"site\tload_balancer\tstatus\tforce_move\trecover\naz2\tlb-9\tstandby\t0\t0\n");
	(void)told(p, "site add --load-balancer lb-3 az3");
	assert_non_null(strstr(told(p, "site list"), "az3\tlb-3\tonline\t0\t0\n"));
	refused(p, "site add az3", LAB_EXISTS);
	refused(p, "site update --name az1 az3", LAB_EXISTS);
	(void)told(p, "site update --name az4 --load-balancer lb-4 az3");
	assert_non_null(strstr(told(p, "site list"), "az4\tlb-4\tonline\t0\t0\n"));
	refused(p, "site status az3", LAB_NOT_FOUND);
	(void)told(p, "site update --name az3 az4");
	(void)told(p, "site remove az3");
	refused(p, "site status az3", LAB_NOT_FOUND);
	refused(p, "site update --status online az7", LAB_NOT_FOUND);
	assert_string_equal(told(p, "site reachability list"), "source\tdestination\treachable\n");
}

PALOMAR(shares_of_users_are_forced_and_recovered)
{
	(void)told(p, "site force-move start --id one az1 30 az2");
	(void)told(p, "site recover az2 5");
	assert_non_null(strstr(told(p, "site list"), "az1\tlb-1\tonline\t30\t0\n"));
	assert_non_null(strstr(told(p, "site list"), "az2\tlb-2\tonline\t0\t5\n"));
	(void)told(p, "site force-move stop az1");
	assert_non_null(strstr(told(p, "site list"), "az1\tlb-1\tonline\t0\t0\n"));
	refused(p, "site force-move start az1 30 az8", LAB_NOT_FOUND);
}

PALOMAR(backends_are_listed_changed_added_and_removed)
{
	refused(p, "backend update --name b1 b2", LAB_EXISTS);
	refused(p, "backend update --name 10.0.0.1 b2", LAB_INVALID);
	refused(p, "backend update --name b7 b77", LAB_NOT_FOUND);
	(void)told(p, "backend update --name b77 b2");
	refused(p, "backend status b2", LAB_NOT_FOUND);
	(void)told(p, "backend update --name b2 b77");
	(void)told(p, "backend update --status standby --load-factor 25 b2");
	assert_string_equal(told(p, "backend status b2"),
		"host\tsite\tstatus\tload_factor\nb2\taz1\tstandby\t25\n");
	(void)told(p, "backend add --site az2 b10");
	assert_non_null(strstr(told(p, "backend list --site az2"), "b10\taz2\tstandby\t100\n"));
	assert_null(strstr(told(p, "backend list --site az2"), "b1\taz1"));
	refused(p, "backend add --site az2 b10", LAB_EXISTS);
	refused(p, "backend add --site az2 10.0.0.1", LAB_INVALID);
	refused(p, "backend add --site az2 ::1", LAB_INVALID);
	(void)told(p, "backend remove b10");
	refused(p, "backend status b10", LAB_NOT_FOUND);
}

PALOMAR(groups_and_users_move)
{
	int node = palomar_login(p, PROXY_1, "me", CLUSTER_IMAP);
	const char *to = node == B1 ? "b2" : "b1";
	char text[128];

	assert_true(node >= 0);
	(void)snprintf(text, sizeof(text), "group move az1 default-1 %s", to);
	(void)told(p, text);
	(void)snprintf(text, sizeof(text), "az1\tdefault-1\t%s\t%s\t%s:", p->nodes[node].name, to,
		p->nodes[node].name);
	assert_non_null(strstr(told(p, "group status az1 default-1"), text));
	(void)snprintf(text, sizeof(text), "group move --direct az1 default-1 %s", to);
	(void)told(p, text);
	(void)snprintf(text, sizeof(text), "az1\tdefault-1\t%s\t", to);
	assert_non_null(strstr(told(p, "group list --site az1"), text));
	assert_null(strstr(told(p, "group list --site az2"), text));
	refused(p, "group status az1 default-77", LAB_NOT_FOUND);
	assert_non_null(strstr(told(p, "user status ME"), "me\taz1\tdefault-1\taz2\taz1\t\t"));
	(void)told(p, "user move --site az2 me default-5");
	assert_non_null(strstr(told(p, "user status me"), "\tdefault-5\t"));
	(void)told(p, "user delete me");
	refused(p, "user status me", LAB_NOT_FOUND);
	assert_non_null(strstr(told(p, "backend evacuate b3"), "groups\n"));
}

static void what_cannot_be_read_is_refused(void **state)
{
	static const char *const texts[] = { "", "site", "site dance", "site add",
		"site add one two", "site update az1", "site update --status gone az1",
		"site update --status", "backend add b1", "backend update b1",
		"backend update --load-factor 101 b1", "group move az1 g",
		"group move --site a b c d", "site force-move start az1 101 az2",
		"site force-move start az1 5", "user move me", "user status --direct me",
		"site list now", "a b c d e f g h i j k l m n o p q" };
	struct cluster_command command;
	struct lab_error err;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(texts); i++) {
		assert_row(i,
			cluster_command_parse_text(lab_view_cstr(texts[i]), &command, &err) == -1);
		assert_row(i, err.code == LAB_INVALID);
	}
}

static void every_command_is_told_of(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CLUSTER_COMMAND_COUNT; i++) {
		enum cluster_command_verb verb = (enum cluster_command_verb)i;

		assert_row(i, strlen(cluster_command_words(verb)) > 3);
		assert_row(i, cluster_command_arguments(verb) != NULL);
		assert_row(i, strlen(cluster_command_doc(verb)) > 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sites_are_listed_changed_added_and_removed),
		cmocka_unit_test(shares_of_users_are_forced_and_recovered),
		cmocka_unit_test(backends_are_listed_changed_added_and_removed),
		cmocka_unit_test(groups_and_users_move),
		cmocka_unit_test(what_cannot_be_read_is_refused),
		cmocka_unit_test(every_command_is_told_of),
	};

	return cmocka_run_group_tests_name("cluster-command", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * doveadm cluster: what is asked of one host; tags; groups that are made beforehand.
 */
#include "core/cluster/cluster-command.h"
#include "core/cluster/testing/palomar.h"

static char shown[16384];

struct ask {
	struct palomar *p;
	int node; /* -1: there is only GeoDB */
	struct cluster_command command;
	int result;
	struct lab_error err;
};

static void do_ask(void *arg)
{
	struct ask *ask = arg;
	struct palomar *p = ask->p;
	struct geo_host *host = ask->node < 0 ? p->here : p->nodes[ask->node].geo;
	struct lab_buf out;

	lab_buf_init(&out, host->env->heap, sizeof(shown) - 1);
	ask->result =
		cluster_command_run(host->geodb, ask->node < 0 ? NULL : p->nodes[ask->node].cluster,
			&p->policy, &ask->command, &out, &ask->err);
	memcpy(shown, lab_buf_cstr(&out), lab_buf_view(&out).len + 1);
	lab_buf_done(&out);
}

static struct ask ask(struct palomar *p, int node, const char *text)
{
	struct ask ask = { .p = p, .node = node };

	geo_must(
		&p->err, cluster_command_parse_text(lab_view_cstr(text), &ask.command, &p->err), 0);
	if (node < 0)
		do_ask(&ask);
	else
		assert_true(geo_call(p->here, p->nodes[node].geo, do_ask, &ask));
	return ask;
}

static const char *told(struct palomar *p, int node, const char *text)
{
	struct ask asked = ask(p, node, text);

	geo_must(&asked.err, asked.result, 0);
	return shown;
}

static void refused(struct palomar *p, int node, const char *text, enum lab_code code)
{
	struct ask asked = ask(p, node, text);

	if (asked.result != -1 || asked.err.code != code)
		fail_msg("%s: %d %s", text, asked.result,
			asked.result < 0 ? asked.err.message : shown);
}

#define GEODB (-1)
#define ME "me@example.com"

static unsigned count_lines(const char *text)
{
	unsigned count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

PALOMAR(tags_are_created_renamed_and_deleted)
{
	static const char id[] = "00000000-0000-4000-8000-00000000000a";
	char text[200];

	assert_string_equal(told(p, GEODB, "tag list"), "id\ttag\n");
	(void)snprintf(text, sizeof(text), "tag create --id %s gold", id);
	(void)told(p, GEODB, text);
	refused(p, GEODB, "tag create gold", LAB_EXISTS);
	refused(p, GEODB, "tag create --id 7 silver", LAB_INVALID);
	(void)told(p, GEODB, "tag create silver");
	(void)snprintf(text, sizeof(text), "%s\tgold\n", id);
	assert_non_null(strstr(told(p, GEODB, "tag list"), text));
	assert_int_equal(count_lines(told(p, GEODB, "tag list")), 3);
	refused(p, GEODB, "tag update --name silver gold", LAB_EXISTS);
	(void)told(p, GEODB, "tag update --name platinum gold");
	(void)snprintf(text, sizeof(text), "%s\tplatinum\n", id);
	assert_non_null(strstr(told(p, GEODB, "tag list"), text));
	refused(p, GEODB, "tag delete gold", LAB_NOT_FOUND);
	(void)told(p, GEODB, "tag delete platinum");
	assert_null(strstr(told(p, GEODB, "tag list"), "platinum"));
}

/* Whose home is lost goes only to a site of the same tag. */
PALOMAR(a_site_has_a_tag)
{
	struct cluster_user user;

	(void)told(p, GEODB, "tag create gold");
	refused(p, GEODB, "site add --tag iron az3", LAB_NOT_FOUND);
	(void)told(p, GEODB, "site add --tag gold --load-balancer lb-3 az3");
	palomar_sleep(p, LAB_MINUTE);
	assert_true(palomar_login(p, PROXY_1, ME, CLUSTER_IMAP) >= 0);
	assert_true(palomar_user(p, ME, &user));
	assert_int_equal(user.failover_site_id.bytes[15], SITE_2); /* az3 is another tag's */
}

PALOMAR(groups_are_made_beforehand)
{
	struct cluster_group group;

	p->policy.group_count = 5;
	assert_string_equal(told(p, GEODB, "site init az1"), "groups\tusers\n5\t0\n");
	assert_int_equal(count_lines(told(p, GEODB, "group list --site az1")), 6);
	assert_true(palomar_group(p, SITE_1, "default-3", &group));
	assert_true(cluster_id_is_set(group.backend_id) && cluster_id_is_set(group.alt_backend_id));
	assert_false(cluster_id_eq(group.backend_id, group.alt_backend_id));
	/* Those that are there stay as they are. */
	p->policy.group_count = 7;
	assert_string_equal(told(p, GEODB, "site init az1"), "groups\tusers\n2\t0\n");
	refused(p, GEODB, "site init az7", LAB_NOT_FOUND);
}

PALOMAR(a_site_begins_anew)
{
	struct cluster_group group;
	struct cluster_user user;
	int node;

	assert_true(palomar_login(p, PROXY_3, "other", CLUSTER_IMAP) >= 0);
	node = palomar_login(p, PROXY_1, ME, CLUSTER_IMAP);
	assert_true(node >= 0 && palomar_user(p, ME, &user));
	palomar_logout(p, (unsigned)node, ME);
	(void)told(p, GEODB, "backend update --status standby b1");
	(void)told(p, GEODB, "backend update --status standby b2");
	p->policy.group_count = 4;
	assert_string_equal(told(p, GEODB, "site init --update az1"), "groups\tusers\n4\t1\n");
	/* On what is online now; the other site's users stay. */
	assert_true(palomar_group(p, SITE_1, "default-1", &group));
	assert_int_equal(palomar_node_of(group.backend_id), B3);
	assert_false(palomar_user(p, ME, &user));
	assert_true(palomar_user(p, "other", &user));
	(void)told(p, GEODB, "backend update --status standby b3");
	refused(p, GEODB, "site init --update az1", LAB_NOT_FOUND);
}

PALOMAR(groups_stick)
{
	struct cluster_group group;

	assert_true(palomar_login(p, PROXY_1, ME, CLUSTER_IMAP) >= 0);
	assert_true(palomar_group(p, SITE_1, "default-1", &group));
	(void)told(p, GEODB, "group update --sticky-users yes --sticky-backend yes az1 default-1");
	assert_true(palomar_group(p, SITE_1, "default-1", &group));
	assert_true(group.sticky_users == 1 && group.sticky_backend == 1);
	(void)told(p, GEODB, "group update --sticky-backend no az1 default-1");
	assert_true(palomar_group(p, SITE_1, "default-1", &group));
	assert_true(group.sticky_users == 1 && group.sticky_backend == 0);
	refused(p, GEODB, "group update --sticky-users yes az1 default-99", LAB_NOT_FOUND);
	refused(p, GEODB, "group update --sticky-users yes az9 default-1", LAB_NOT_FOUND);
}

PALOMAR(a_host_tells_whom_it_would_send_where)
{
	int node = palomar_login(p, PROXY_1, ME, CLUSTER_IMAP);
	char text[100];

	assert_true(node >= 0);
	(void)snprintf(text, sizeof(text), "user\thost\n" ME "\t%s\n", p->nodes[node].name);
	assert_string_equal(told(p, PROXY_2, "user access ME@Example.com"), text);
	assert_string_equal(told(p, node, "user access " ME), text);
	(void)snprintf(text, sizeof(text), "user\thost\n" ME "\tlb-1\n");
	assert_string_equal(told(p, PROXY_3, "user access " ME), text);
	refused(p, GEODB, "user access " ME, LAB_UNSUPPORTED);
}

PALOMAR(a_host_is_asked_what_it_remembers)
{
	assert_true(palomar_login(p, PROXY_1, ME, CLUSTER_IMAP) >= 0);
	palomar_sleep(p, 7 * LAB_SEC);
	assert_string_equal(told(p, PROXY_1, "localdb user list"),
		"user\tsite\tgroup\tage\n" ME "\taz1\tdefault-1\t7\n");
	assert_string_equal(shown, told(p, PROXY_1, "localdb user status " ME));
	assert_non_null(strstr(told(p, PROXY_1, "localdb group list"), "az1\tdefault-1\tb"));
	assert_non_null(strstr(told(p, PROXY_1, "localdb group status default-1"), "\t7\n"));
	refused(p, PROXY_1, "localdb user status you", LAB_NOT_FOUND);
	refused(p, PROXY_1, "localdb group status default-9", LAB_NOT_FOUND);
	refused(p, PROXY_1, "localdb group remove default-9", LAB_NOT_FOUND);
	refused(p, PROXY_1, "localdb user remove you", LAB_NOT_FOUND);
	(void)told(p, PROXY_1, "localdb user remove ME@example.com");
	(void)told(p, PROXY_1, "localdb group remove default-1");
	assert_int_equal(count_lines(told(p, PROXY_1, "localdb user list")), 1);
	assert_int_equal(count_lines(told(p, PROXY_1, "localdb group list")), 1);
	refused(p, GEODB, "localdb user list", LAB_UNSUPPORTED);
	refused(p, GEODB, "localdb group remove default-1", LAB_UNSUPPORTED);
}

/* A group that moved away meanwhile is found at once, not when the cache has expired. */
PALOMAR(a_host_forgets_when_it_is_told_to)
{
	int from = palomar_login(p, PROXY_1, ME, CLUSTER_IMAP), to;
	char text[100];

	assert_true(from >= 0);
	(void)told(p, PROXY_2, "user access " ME);
	to = from == B1 ? B2 : B1;
	assert_true(palomar_group_move(p, "default-1", (unsigned)to, true) >= 0);
	(void)snprintf(text, sizeof(text), "user\thost\n" ME "\t%s\n", p->nodes[from].name);
	assert_string_equal(told(p, PROXY_2, "user access " ME), text);
	(void)told(p, PROXY_2, "geodb refresh");
	(void)snprintf(text, sizeof(text), "user\thost\n" ME "\t%s\n", p->nodes[to].name);
	assert_string_equal(told(p, PROXY_2, "user access " ME), text);
	refused(p, GEODB, "geodb refresh", LAB_UNSUPPORTED);
}

PALOMAR(a_move_begins_when_its_group_is_accessed)
{
	int from = palomar_login(p, PROXY_1, ME, CLUSTER_IMAP), to;
	struct cluster_group group;

	assert_true(from >= 0);
	to = from == B1 ? B2 : B1;
	assert_int_equal(palomar_group_move(p, "default-1", (unsigned)to, false), 0);
	refused(p, GEODB, "group access default-1", LAB_UNSUPPORTED);
	refused(p, PROXY_1, "group access default-1", LAB_UNSUPPORTED);
	assert_true(palomar_group(p, SITE_1, "default-1", &group));
	assert_int_equal(palomar_node_of(group.backend_id), from);
	(void)told(p, from, "group access default-1");
	palomar_sleep(p, 10 * LAB_SEC);
	assert_true(palomar_group(p, SITE_1, "default-1", &group));
	assert_int_equal(palomar_node_of(group.backend_id), to);
	assert_int_equal(palomar_sessions(p, (unsigned)from, ME), 0);
	refused(p, from, "kick " ME, LAB_UNSUPPORTED);
}

static void what_cannot_be_read_is_refused(void **state)
{
	static const char *const texts[] = { "tag create", "tag update gold", "kick", "kick a b",
		"tag update --name gold", "site init --direct az1", "site init --update",
		"group update az1 g", "group update --sticky-users maybe az1 g", "localdb user",
		"group update --sticky yes az1 g", "localdb user status", "geodb refresh now",
		"localdb tag list", "user access", "tag list --id 5" };
	struct cluster_command command;
	struct lab_error err;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(texts); i++) {
		assert_row(i,
			cluster_command_parse_text(lab_view_cstr(texts[i]), &command, &err) == -1);
		assert_row(i, err.code == LAB_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_are_created_renamed_and_deleted),
		cmocka_unit_test(a_site_has_a_tag),
		cmocka_unit_test(groups_are_made_beforehand),
		cmocka_unit_test(a_site_begins_anew),
		cmocka_unit_test(groups_stick),
		cmocka_unit_test(a_host_tells_whom_it_would_send_where),
		cmocka_unit_test(a_host_is_asked_what_it_remembers),
		cmocka_unit_test(a_host_forgets_when_it_is_told_to),
		cmocka_unit_test(a_move_begins_when_its_group_is_accessed),
		cmocka_unit_test(what_cannot_be_read_is_refused),
	};

	return cmocka_run_group_tests_name("cluster-command-host", tests, NULL, NULL);
}

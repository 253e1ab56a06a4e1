/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of an operator's second thoughts: obox_refresh_index_once_after,
 * obox_rescan_mails_once_after, obox_username.
 */
#include "core/obox/test-support.h"

#define REFRESHES(node) ((node)->rig->counts.events[LAB_EV_metacache_mailbox_refresh_finished])

static unsigned listings_of_open(struct node *node)
{
	unsigned before = node->rig->counts.iterations;
	struct obox_mailbox *box;
	struct lab_error err;

	OK(obox_user_access(node->user, &err));
	box = box_open(node, "INBOX");
	obox_mailbox_close(&box);
	return node->rig->counts.iterations - before;
}

NODE_TEST(indexes_are_refreshed_once_after)
{
	unsigned refreshes;

	node->conf.metacache_close_delay_ns = (60 * LAB_MINUTE);
	(void)listings_of_open(node);
	assert_int_equal(listings_of_open(node), 0);
	node->conf.obox_refresh_index_once_after = (uint64_t)env_wall_seconds(node->user->env) + 60;
	assert_int_equal(listings_of_open(node), 0);
	env_sleep(node->user->env, LAB_MINUTE);
	refreshes = REFRESHES(node);
	/* Root and folder, and then no more. */
	assert_true(listings_of_open(node) >= 4);
	assert_int_equal(REFRESHES(node), refreshes + 1);
	assert_int_equal(listings_of_open(node), 0);
}

NODE_TEST(mails_are_rescanned_once_after)
{
	unsigned refreshes;

	node->conf.metacache_close_delay_ns = (60 * LAB_MINUTE);
	(void)listings_of_open(node);
	node->conf.obox_rescan_mails_once_after = (uint64_t)env_wall_seconds(node->user->env) + 60;
	assert_int_equal(listings_of_open(node), 0);
	env_sleep(node->user->env, LAB_MINUTE + LAB_SEC);
	refreshes = REFRESHES(node);
	/* The folder alone. */
	assert_true(listings_of_open(node) > 0);
	assert_int_equal(REFRESHES(node), refreshes + 1);
	assert_int_equal(listings_of_open(node), 0);
}

static void deliver_as(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	(void)deliver(box, "x");
	obox_mailbox_close(&box);
}

static void the_storage_may_know_the_user_by_another_name(void **state)
{
	struct rig *rig = *state;
	struct node node;

	node_init(&node, rig, 0);
	node.conf.obox_username.text = LAB_VIEW("id-%n");
	rig_boot(rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, deliver_as);
	assert_true(rig_row_count(rig, "shared/dictmap/id-user/mailboxes/") > 0);
	assert_int_equal(rig_row_count(rig, "shared/dictmap/" USER), 0);
	node_stop(&node);
}

static void start_badly(struct node *node)
{
	struct obox_user *user;
	struct lab_error err;

	node_start_backend(node);
	FAILS(backend_user_open(node->backend, LAB_VIEW(USER), &user, &err), LAB_INVALID);
	SAYS("obox_username: ");
}

static void a_name_that_would_mean_something_else_is_refused(void **state)
{
	struct node node;

	node_init(&node, *state, 0);
	node.conf.obox_username.text = LAB_VIEW("%d/%n");
	rig_boot(*state, 0);
	node_run(&node, start_badly);
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(indexes_are_refreshed_once_after),
		RIG_UNIT_TEST(mails_are_rescanned_once_after),
		RIG_UNIT_TEST(the_storage_may_know_the_user_by_another_name),
		RIG_UNIT_TEST(a_name_that_would_mean_something_else_is_refused),
	};

	return cmocka_run_group_tests_name("obox-settings", tests, NULL, NULL);
}

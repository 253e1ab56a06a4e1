/* SPDX-License-Identifier: Apache-2.0
 *
 * A root that is lost or cannot be read, users that are deleted, and waiting for them.
 */
#include "core/obox/test-root.h"

#define ROOT_ROWS "shared/dictdiffmap/" USER "/idx/"

static void recover_fn(struct node *node)
{
	end_task(obox_user_access(node->user, &task.err));
	if (task.result >= 0)
		end_task(obox_user_recover(node->user, &task.err));
}

static void flush_fn(struct node *node)
{
	end_task(obox_user_flush(node->user, false, "test", &task.err));
}

static void delete_user_fn(struct node *node)
{
	end_task(obox_user_delete(node->user, &task.err));
}

/* The path of the root bundle of a host. */
static const char *root_bundle(struct rig *rig, const char *host)
{
	struct lab_view name = rig_row(rig, lab_arena_printf(rig->arena, ROOT_ROWS "%s", host));

	assert_non_null(name.ptr);
	return lab_arena_printf(rig->arena, USER "/idx/%.*s", LAB_VIEW_ARG(name));
}

static void lose_root(struct rig *rig, const char *host)
{
	rig_remove_object(rig, root_bundle(rig, host));
	rig_remove_row(rig, lab_arena_printf(rig->arena, ROOT_ROWS "%s", host));
}

static void damage_root(struct rig *rig, const char *host)
{
	struct lab_view object = rig_object(rig, root_bundle(rig, host));

	((uint8_t *)(uintptr_t)object.ptr)[object.len / 2] ^= 0xff;
}

/* Two folders with bundles, and one without mails. */
static const char *fill(struct node *node, const char *prefix, char names[200])
{
	char guid[OBOX_GUID_HEX + 1];

	done(node, deliver_fn, "INBOX", "1");
	done(node, deliver_fn, "Work", "2");
	done(node, flush_fn, "", "");
	lab_hex(obox_list_find(node->user->root_index.list, LAB_VIEW("Work"))->guid,
		ENV_GUID128_SIZE, guid);
	snprintf(names, 200, "%s%s", prefix, guid);
	return names;
}

static void folders_of_a_lost_root_are_found_by_their_guids(void **state)
{
	struct rig *rig = *state;
	char name[200], list[300];
	struct two t;

	t.rig = rig;
	node_start(&t.a, rig, 0);
	fill(&t.a, "recovered-lost-folder-", name);
	node_stop(&t.a);
	lose_root(rig, "b1.example.com");
	node_start(&t.b, rig, 1);
	assert_list(&t.b, "");
	done(&t.b, recover_fn, "", "");
	assert_int_equal(task.result, 2);
	snprintf(list, sizeof(list), "INBOX %s", name);
	assert_list(&t.b, list);
	assert_bodies(&t.b, "INBOX", "1 ");
	assert_bodies(&t.b, name, "2 ");
	done(&t.b, recover_fn, "", "");
	assert_int_equal(task.result, 0);
	/* The host whose root it was still has it, from a clean stop. */
	node_start(&t.a, rig, 0);
	assert_list(&t.a, "INBOX Work");
	done(&t.a, subscribe_fn, "Work", "");
	done(&t.b, access_fn, "", "");
	assert_string_equal(t.b.user->root_index.list->folders[0]->name,
		t.a.user->root_index.list->folders[0]->name);
	assert_int_equal(t.b.user->root_index.list->folder_count, 2);
	two_stop(&t);
}

static void the_prefix_of_lost_folders_is_a_setting(void **state)
{
	struct rig *rig = *state;
	char name[200], list[300];
	struct node a, b;

	node_start(&a, rig, 0);
	fill(&a, "lost/", name);
	node_stop(&a);
	lose_root(rig, "b1.example.com");
	node_init(&b, rig, 1);
	b.conf.obox_fetch_lost_mailbox_prefix.text = LAB_VIEW("lost/");
	rig_boot(rig, 1);
	node_run(&b, node_start_user);
	done(&b, recover_fn, "", "");
	snprintf(list, sizeof(list), "INBOX %s", name);
	assert_list(&b, list);
	/* A prefix that makes no name keeps INBOX at least. */
	node_stop(&b);
	lose_root(rig, "b2.example.com");
	node_init(&b, rig, 0);
	b.conf.obox_fetch_lost_mailbox_prefix.text = LAB_VIEW("//");
	rig_boot(rig, 0);
	world_crash(rig->hosts[0].host, FAULT_DISK_WIPE);
	rig_boot(rig, 0);
	node_run(&b, node_start_user);
	done(&b, recover_fn, "", "");
	assert_int_equal(task.result, 1);
	assert_list(&b, "INBOX");
	node_stop(&b);
}

/* Nobody asks for it: an unreadable bundle is not an empty list. */
static void what_a_damaged_root_named_comes_back_by_itself(void **state)
{
	struct rig *rig = *state;
	char name[200], list[300];
	struct two t;

	t.rig = rig;
	node_start(&t.a, rig, 0);
	fill(&t.a, "recovered-lost-folder-", name);
	world_crash(rig->hosts[0].host, FAULT_DISK_WIPE);
	damage_root(rig, "b1.example.com");
	node_start(&t.b, rig, 1);
	assert_true(rig->counts.events[LAB_EV_metacache_bundle_set_aside] > 0);
	snprintf(list, sizeof(list), "INBOX %s", name);
	assert_list(&t.b, list);
	assert_bodies(&t.b, name, "2 ");
	REQUESTS(&t.b, access_fn, "", "", .iterations = 2);
	/* Another host that finds the same does not make it twice. */
	node_start(&t.a, rig, 0);
	assert_list(&t.a, list);
	assert_bodies(&t.a, name, "2 ");
	done(&t.a, deliver_fn, name, "3");
	assert_bodies(&t.b, name, "2 3 ");
	assert_list(&t.b, list);
	two_stop(&t);
}

static void while_folders_cannot_be_found_the_user_is_not_opened(void **state)
{
	struct rig *rig = *state;
	char name[200], list[300];
	struct two t;

	t.rig = rig;
	node_start(&t.a, rig, 0);
	node_start(&t.b, rig, 1);
	fill(&t.a, "recovered-lost-folder-", name);
	damage_root(rig, "b1.example.com");
	rig->only = "/mailboxes/";
	rig_fail_at(rig, 1, RIG_FAIL);
	fails(&t.b, access_fn, "", "", LAB_UNAVAILABLE);
	assert_true(rig->fired);
	rig_fail_at(rig, 0, RIG_FAIL);
	rig->only = NULL;
	snprintf(list, sizeof(list), "INBOX %s", name);
	assert_list(&t.b, list);
	two_stop(&t);
}

/* ---- deleting a user ---- */

static void assert_nothing_left(struct rig *rig)
{
	assert_int_equal(rig_object_count(rig), 0);
	assert_int_equal(rig_forward_rows(rig), 0);
	assert_int_equal(rig_row_count(rig, "shared/dictrevmap/"), 0);
	assert_int_equal(rig_row_count(rig, "shared/dictdiffmap/"), 0);
}

static void a_deleted_user_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	char name[200];
	struct two t;

	two_start(&t, rig);
	fill(&t.a, "", name);
	done(&t.b, deliver_fn, "Work", "3");
	done(&t.b, flush_fn, "", "");
	done(&t.b, create_fn, "empty", "");
	node_stop(&t.b);
	/* Of these this host has not heard. */
	t.a.conf.metacache_close_delay_ns = 3600 * LAB_SEC;
	done(&t.a, delete_user_fn, "", "");
	assert_nothing_left(rig);
	t.a.conf.metacache_close_delay_ns = 0;
	/* As a new one. */
	REQUESTS(&t.a, access_fn, "", "", .iterations = 2);
	assert_list(&t.a, "");
	done(&t.a, deliver_fn, "Work", "4");
	assert_bodies(&t.a, "Work", "4 ");
	node_stop(&t.a);
}

/* obox 4.11: the metacaches of other hosts stay; they must not show the mails for ever. */
static void mails_of_a_user_deleted_elsewhere_are_not_shown(void **state)
{
	struct rig *rig = *state;
	struct two t;

	two_start(&t, rig);
	done(&t.a, deliver_fn, "INBOX", "1");
	assert_bodies(&t.a, "INBOX", "1 ");
	done(&t.b, delete_user_fn, "", "");
	assert_bodies(&t.a, "INBOX", "");
	done(&t.a, deliver_fn, "INBOX", "2");
	assert_bodies(&t.a, "INBOX", "2 ");
	assert_bodies(&t.b, "INBOX", "2 ");
	two_stop(&t);
}

/* Whoever knows the old one's marks must hear of those of the new one. */
static void nor_once_the_user_is_there_again(void **state)
{
	struct rig *rig = *state;
	struct two t;

	two_start(&t, rig);
	done(&t.a, create_fn, "one", "");
	done(&t.a, create_fn, "two", "");
	done(&t.b, deliver_fn, "INBOX", "1");
	done(&t.a, delete_user_fn, "", "");
	done(&t.a, deliver_fn, "one", "2");
	assert_bodies(&t.b, "INBOX", "");
	two_stop(&t);
}

static void also_folders_that_no_root_names(void **state)
{
	struct rig *rig = *state;
	char name[200];
	struct node a, b;

	node_start(&a, rig, 0);
	fill(&a, "", name);
	node_stop(&a);
	lose_root(rig, "b1.example.com");
	node_start(&b, rig, 1);
	done(&b, delete_user_fn, "", "");
	assert_nothing_left(rig);
	node_stop(&b);
}

static void local_fn(struct node *node)
{
	struct lab_view *names;
	size_t count;

	OK(env_list(node->rig->hosts[0].env, "/var/vmail/example.com/user/mailboxes", 100,
		node->rig->arena, &names, &count, &task.err));
	end_task((int)count);
}

static void the_local_indexes_go_too(void **state)
{
	struct rig *rig = *state;
	char name[200];
	struct node node;

	node_start(&node, rig, 0);
	fill(&node, "", name);
	node_stop(&node);
	node_run(&node, local_fn);
	assert_int_equal(task.result, 2);
	node_start(&node, rig, 0);
	done(&node, delete_user_fn, "", "");
	node_stop(&node);
	node_run(&node, local_fn);
	assert_int_equal(task.result, 0);
}

static void open_again_fn(struct node *node)
{
	struct obox_user *again = NULL;
	struct obox_mailbox *box;
	struct lab_error err;

	OK(backend_user_open(node->backend, LAB_VIEW(USER), &again, &task.err));
	FAILS(obox_user_delete(node->user, &err), LAB_EXISTS);
	FAILS(obox_user_wait(node->user, env_now(node->user->env) + LAB_SEC, &err), LAB_TIMEOUT);
	backend_user_release(&again);
	OK(obox_user_wait(node->user, 0, &task.err));
	box = box_open(node, "Work");
	FAILS(obox_user_delete(node->user, &err), LAB_EXISTS);
	obox_mailbox_close(&box);
	end_task(0);
}

static void a_user_that_is_in_use_is_not_deleted(void **state)
{
	struct rig *rig = *state;
	char name[200];
	struct node node;

	node_start(&node, rig, 0);
	fill(&node, "", name);
	done(&node, open_again_fn, "", "");
	assert_bodies(&node, "Work", "2 ");
	node_stop(&node);
}

static struct obox_user *kept;

static void release_later(void *arg)
{
	env_sleep(arg, 2 * LAB_SEC);
	backend_user_release(&kept);
}

static void wait_fn(struct node *node)
{
	struct env *env = node->user->env;
	uint64_t began = env_now(env);

	OK(backend_user_open(node->backend, LAB_VIEW(USER), &kept, &task.err));
	began = env_now(env);
	OK(env_spawn(env, "release", release_later, env, &task.err));
	OK(obox_user_wait(node->user, began + 10 * LAB_SEC, &task.err));
	assert_int_equal(env_now(env) - began, 2 * LAB_SEC);
	end_task(0);
}

static void waiting_ends_with_the_last_session(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	done(&node, wait_fn, "", "");
	node_stop(&node);
}

/* Whatever fails, done again it succeeds, and nothing is left. */
static void a_delete_that_fails_is_done_again(void **state)
{
	unsigned fired = 0;

	(void)state;
	for (unsigned fault = 0; fault < RIG_FAULT_COUNT; fault++) {
		bool is_over = false;

		for (unsigned n = 1; !is_over; n++) {
			struct rig *rig = rig_new();
			struct node node;
			char name[200];

			node_start(&node, rig, 0);
			fill(&node, "", name);
			rig_fail_at(rig, n, (enum rig_fault)fault);
			do_task(&node, delete_user_fn, "", "");
			is_over = !rig->fired;
			fired += !is_over;
			rig_fail_at(rig, 0, RIG_FAIL);
			rig_apply_late(rig);
			if (!world_is_up(rig->hosts[0].host))
				revive(&node);
			done(&node, delete_user_fn, "", "");
			assert_int_equal(rig_forward_rows(rig), 0);
			assert_int_equal(rig_row_count(rig, "shared/dictdiffmap/"), 0);
			assert_list(&node, "");
			node_stop(&node);
			rig_free(&rig);
			assert_true(n < 200);
		}
	}
	assert_true(fired >= 20 * RIG_FAULT_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(folders_of_a_lost_root_are_found_by_their_guids),
		RIG_UNIT_TEST(the_prefix_of_lost_folders_is_a_setting),
		RIG_UNIT_TEST(what_a_damaged_root_named_comes_back_by_itself),
		RIG_UNIT_TEST(while_folders_cannot_be_found_the_user_is_not_opened),
		RIG_UNIT_TEST(a_deleted_user_leaves_nothing),
		RIG_UNIT_TEST(mails_of_a_user_deleted_elsewhere_are_not_shown),
		RIG_UNIT_TEST(nor_once_the_user_is_there_again),
		RIG_UNIT_TEST(also_folders_that_no_root_names),
		RIG_UNIT_TEST(the_local_indexes_go_too),
		RIG_UNIT_TEST(a_user_that_is_in_use_is_not_deleted),
		RIG_UNIT_TEST(waiting_ends_with_the_last_session),
		cmocka_unit_test(a_delete_that_fails_is_done_again),
	};

	return cmocka_run_group_tests_name("obox-account", tests, NULL, NULL);
}

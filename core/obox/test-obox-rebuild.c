/* SPDX-License-Identifier: Apache-2.0
 *
 * All rows of a user are lost: what comes back of them, from objects and from bundles, and what
 * force-resync finds.
 */
#include "core/obox/obox-rebuild.h"
#include "core/obox/test-support.h"

#define KEYS_MAX 400

/* ---- rows ---- */

struct rows {
	char *keys[KEYS_MAX];
	struct lab_view values[KEYS_MAX];
	size_t count;
};

static void take_rows(struct node *node, const char *prefix, struct rows *ret)
{
	struct lab_tree_iter iter = lab_tree_iterate(node->rig->rows, lab_view_cstr(prefix));
	struct lab_view key, value;
	void *row;

	ret->count = 0;
	while (lab_tree_next(&iter, &key, &row) &&
		lab_view_starts_with(key, lab_view_cstr(prefix))) {
		char *text = lab_arena_printf(node->rig->arena, "%.*s", LAB_VIEW_ARG(key));

		value = rig_row(node->rig, text);
		if (value.ptr == NULL)
			continue;
		assert_true(ret->count < KEYS_MAX);
		ret->keys[ret->count] = text;
		ret->values[ret->count++] = lab_arena_copy(node->rig->arena, value);
	}
}

static void lose_rows(struct node *node)
{
	struct rows rows;

	take_rows(node, "shared/", &rows);
	for (size_t i = 0; i < rows.count; i++)
		rig_remove_row(node->rig, rows.keys[i]);
	assert_int_equal(rig_row_count(node->rig, "shared/"), 0);
}

static void assert_rows_are_back(struct node *node, const struct rows *before)
{
	for (size_t i = 0; i < before->count; i++) {
		struct lab_view now = rig_row(node->rig, before->keys[i]);

		if (now.ptr == NULL || !lab_view_eq(now, before->values[i]))
			fail_msg("%s was %.*s and is %.*s", before->keys[i],
				LAB_VIEW_ARG(before->values[i]), LAB_VIEW_ARG(now));
	}
}

/* ---- the user's mails ---- */

static void fill(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct obox_result results[2];
	struct lab_error err;

	deliver(inbox, "one");
	deliver(inbox, "two");
	deliver(inbox, "three");
	deliver(work, "four");
	OK(obox_copy(inbox, (uint32_t[]){ 1 }, 1, work, results, &err));
	OK(obox_store(inbox, 3, LAB_VIEW("\\Flagged"), true, &err));
	OK(obox_store(work, 2, LAB_VIEW("\\Seen"), true, &err));
	OK(backend_flush(node->backend, LAB_VIEW(USER), false, "test", &err));
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

static void rebuild(struct node *node, struct obox_rebuilt *ret)
{
	struct lab_error err;

	*ret = (struct obox_rebuilt){ 0 };
	OK(backend_user_rebuild(node->backend, LAB_VIEW(USER), ret, &err));
}

static void expect_all(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");

	assert_box(node, inbox, "1:one 2:two 3:three ");
	assert_box(node, work, "1:four 2:one ");
	assert_true(obox_has_flag(inbox, 3, LAB_VIEW("\\Flagged")));
	assert_true(obox_has_flag(work, 2, LAB_VIEW("\\Seen")));
	assert_true(rig_is_consistent(node->rig, MAILS, true));
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

static void rebuild_and_compare(struct node *node)
{
	struct obox_rebuilt counts;
	struct rows before;

	fill(node);
	take_rows(node, "shared/", &before);
	assert_true(before.count > 10);
	lose_rows(node);
	rebuild(node, &counts);
	assert_int_equal(counts.mails, 4);
	assert_int_equal(counts.copies, 1);
	assert_true(counts.bundles >= 3);
	assert_int_equal(counts.foreign + counts.others + counts.folders, 0);
	assert_rows_are_back(node, &before);
	/* Once more: all is there. */
	rebuild(node, &counts);
	assert_int_equal(counts.mails + counts.copies, 0);
	assert_int_equal(counts.kept, 4);
	assert_rows_are_back(node, &before);
}

static void all_rows_come_back(void **state)
{
	struct node node, other;

	node_start(&node, *state, 0);
	node_run(&node, rebuild_and_compare);
	node_run(&node, expect_all);
	node_stop(&node);
	/* A metacache of nothing. */
	node_start(&other, *state, 1);
	node_run(&other, expect_all);
	node_stop(&other);
}

/* ---- parts of it ---- */

static void lose_some(struct node *node)
{
	struct rows before, reverse, forward;
	struct obox_rebuilt counts;

	fill(node);
	take_rows(node, "shared/", &before);
	take_rows(node, "shared/dictrevmap/", &reverse);
	take_rows(node, "shared/dictmap/" USER "/mailboxes/", &forward);
	for (size_t i = 0; i < reverse.count; i += 2)
		rig_remove_row(node->rig, reverse.keys[i]);
	for (size_t i = 1; i < forward.count; i += 2)
		rig_remove_row(node->rig, forward.keys[i]);
	rebuild(node, &counts);
	assert_true(counts.kept > 0 && counts.mails + counts.copies > 0);
	assert_rows_are_back(node, &before);
}

static void rows_of_either_table_come_back(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, lose_some);
	node_run(&node, expect_all);
	node_stop(&node);
}

/* The root bundle is gone, too: names are not in the objects, GUIDs are. */
static void lose_root(struct node *node)
{
	struct lab_tree_iter iter;
	struct lab_view path;
	void *object;
	char text[300];

	fill(node);
	lose_rows(node);
	iter = lab_tree_iterate(node->rig->objects, LAB_VIEW(USER "/idx/"));
	while (lab_tree_next(&iter, &path, &object) &&
		lab_view_starts_with(path, LAB_VIEW(USER "/idx/"))) {
		assert_int_equal(lab_view_to_cstr(path, text, sizeof(text)), 0);
		rig_remove_object(node->rig, text);
		iter = lab_tree_iterate(node->rig->objects, LAB_VIEW(USER "/idx/"));
	}
}

static void rebuild_without_root(struct node *node)
{
	struct obox_rebuilt counts;
	struct obox_folder *folders;
	size_t count;

	rebuild(node, &counts);
	assert_int_equal(counts.folders, 2);
	assert_int_equal(counts.mails + counts.copies, 5);
	obox_folder_list(node->user, node->rig->arena, &folders, &count);
	assert_int_equal(count, 2);
	assert_string_equal(folders[0].name, "INBOX");
	assert_memory_equal(folders[1].name, "recovered-lost-folder-", 22);
	assert_string_equal(folders[1].name + 22, folders[1].guid);
}

static void folders_without_a_root_have_their_guids(void **state)
{
	struct node node, other;

	node_start(&node, *state, 0);
	node_run(&node, lose_root);
	node_stop(&node);
	/* What the stop uploaded of the root is lost, too. */
	rig_boot(*state, 0);
	node_start(&other, *state, 1);
	node_run(&other, rebuild_without_root);
	node_stop(&other);
}

/* ---- what is not ours ---- */

static void put_foreign(struct node *node, const char *path, const char *fname)
{
	struct fs_file *file =
		fs_file_open(fs_storage(node->user->fs), lab_view_cstr(path), FS_OPEN_REPLACE);
	struct lab_error err;

	if (fname != NULL)
		fs_set_metadata(file, "fname", lab_view_cstr(fname));
	OK(fs_write(file, LAB_VIEW("not a mail"), &err));
	fs_file_close(&file);
}

static void rebuild_beside_foreign(struct node *node)
{
	struct obox_rebuilt counts;
	struct rows before, after;

	fill(node);
	take_rows(node, "shared/", &before);
	put_foreign(node, MAILS "/README.txt", NULL);
	put_foreign(node, MAILS "/0011223344556677889900112233445580", NULL);
	put_foreign(node, MAILS "/0011223344556677889900112233445581", "../../etc/passwd");
	put_foreign(node, MAILS "/0011223344556677889900112233445582",
		"other@example.com/mailboxes/00112233445566778899001122334455/"
		"00112233445566778899001122334455");
	put_foreign(node, USER "/elsewhere",
		USER "/mailboxes/00112233445566778899001122334455/"
		     "00112233445566778899001122334455");
	put_foreign(node, USER "/idx/self.garbage", USER "/idx/self.garbage");
	lose_rows(node);
	rebuild(node, &counts);
	assert_int_equal(counts.foreign, 6);
	assert_rows_are_back(node, &before);
	take_rows(node, "shared/", &after);
	assert_int_equal(after.count, before.count);
}

static void what_is_not_ours_gets_no_row(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, rebuild_beside_foreign);
	node_run(&node, expect_all);
	node_stop(&node);
}

/* ---- failures ---- */

static void fail_each_step(struct node *node)
{
	struct obox_rebuilt counts = { 0 };
	struct rows before;
	unsigned failed = 0;
	struct lab_error err;

	fill(node);
	take_rows(node, "shared/", &before);
	for (unsigned step = 1; step < 80; step++) {
		for (unsigned fault = RIG_FAIL; fault <= RIG_UNCERTAIN_LATE; fault++) {
			lose_rows(node);
			rig_fail_at(node->rig, step, (enum rig_fault)fault);
			failed += backend_user_rebuild(
					  node->backend, LAB_VIEW(USER), &counts, &err) < 0;
			rig_fail_at(node->rig, 0, RIG_FAIL);
			rig_apply_late(node->rig);
			rebuild(node, &counts);
			assert_rows_are_back(node, &before);
		}
	}
	assert_true(failed > 100);
}

static void a_rebuild_that_failed_is_done_again(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, fail_each_step);
	node_run(&node, expect_all);
	node_stop(&node);
}

/* ---- force-resync ---- */

static void resync(struct node *node)
{
	struct obox_mailbox *inbox;
	struct obox_result result;
	struct lab_error err;
	unsigned lost = 7;
	uint32_t uidvalidity;

	fill(node);
	inbox = box_open(node, "INBOX");
	OK(obox_expunge(inbox, (uint32_t[]){ 2 }, 1, &result, &err));
	uidvalidity = obox_mailbox_uidvalidity(inbox);
	OK(backend_user_resync(node->backend, LAB_VIEW(USER), &lost, &err));
	assert_int_equal(lost, 0);
	assert_true(obox_mailbox_uidvalidity(inbox) > uidvalidity);
	assert_box(node, inbox, "1:one 3:three ");
	assert_int_equal(node->rig->counts.events[LAB_EV_obox_mailbox_rebuild_finished], 2);
	rig_fail_at(node->rig, 2, RIG_FAIL);
	FAILS(backend_user_resync(node->backend, LAB_VIEW(USER), &lost, &err), LAB_UNAVAILABLE);
	SAYS("force-resync of user");
	obox_mailbox_close(&inbox);
}

static void force_resync_is_of_all_folders(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, resync);
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(all_rows_come_back),
		RIG_UNIT_TEST(rows_of_either_table_come_back),
		RIG_UNIT_TEST(folders_without_a_root_have_their_guids),
		RIG_UNIT_TEST(what_is_not_ours_gets_no_row),
		RIG_UNIT_TEST(a_rebuild_that_failed_is_done_again),
		RIG_UNIT_TEST(force_resync_is_of_all_folders),
	};

	return cmocka_run_group_tests_name("obox-rebuild", tests, NULL, NULL);
}

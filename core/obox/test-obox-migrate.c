/* SPDX-License-Identifier: Apache-2.0
 *
 * Users whose mails and bundles lie under their paths, taken into the dict (obox 2).
 */
#include "core/obox/test-support.h"

#define MIGRATE OBOX_FS ":storage-objectid-migrate"

/* As if the bundles had been stored before there was a dict. */
static void forget_rows(struct rig *rig)
{
	struct lab_tree_iter iter = lab_tree_iterate(rig->rows, LAB_VIEW(""));
	char keys[16][256];
	size_t count = 0;
	struct lab_view key;
	void *row;

	while (lab_tree_next(&iter, &key, &row)) {
		assert_true(count < LAB_COUNT_OF(keys));
		assert_int_equal(lab_view_to_cstr(key, keys[count], sizeof(keys[count])), 0);
		count++;
	}
	while (count-- > 0)
		rig_remove_row(rig, keys[count]);
	assert_int_equal(rig_row_count(rig, "shared/"), 0);
}

static void deliver_and_change(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "hello");
	obox_mailbox_close(&box);
}

static size_t bundles_of(const struct rig *rig)
{
	size_t count = rig_object_count(rig) - mail_objects(rig);

	assert_true(count > 0);
	return count;
}

static void migrate(struct node *node)
{
	struct rig *rig = node->rig;
	struct lab_error err;
	unsigned puts = rig->counts.puts;

	node->conf.obox_fs.text = LAB_VIEW(MIGRATE);
	node_start_backend(node);
	OK(backend_user_get(node->backend, LAB_VIEW(USER), &node->user, &err));
	rig_take_storage(node->user->fs);
	rig_take_storage(node->user->index_fs);
	OK(backend_user_migrate(node->backend, LAB_VIEW(USER), &err));
	/* The metacache has more than the storage: that waits until the rows are there. */
	assert_int_equal(rig->counts.puts, puts);
	assert_int_equal(rig_row_count(rig, "shared/dictdiffmap/"), bundles_of(rig));
	OK(obox_user_access(node->user, &err));
}

static void a_metacache_waits_for_the_rows_of_its_bundles(void **state)
{
	struct rig *rig = *state;
	struct node node;

	node_start(&node, rig, 0);
	node_run(&node, deliver_and_change);
	node_stop(&node);
	forget_rows(rig);
	rig_boot(rig, 0);
	node_run(&node, migrate);
	node_stop(&node);
	assert_int_equal(rig_row_count(rig, "shared/dictdiffmap/"), bundles_of(rig));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_metacache_waits_for_the_rows_of_its_bundles),
	};

	return cmocka_run_group_tests_name("obox-migrate", tests, NULL, NULL);
}

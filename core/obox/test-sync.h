/* SPDX-License-Identifier: Apache-2.0
 *
 * test-sync.h - what tests of folders and their bundles do to mails, and what they count.
 */
#ifndef LAB_OBOX_TEST_SYNC_H
#define LAB_OBOX_TEST_SYNC_H

#include "core/obox/test-support.h"

#include "core/obox/metacache.h"

#define UPLOADS(rig) ((rig)->counts.events[LAB_EV_metacache_mailbox_bundle_upload_finished])
#define DOWNLOADS(rig) ((rig)->counts.events[LAB_EV_metacache_mailbox_bundle_download_finished])

__attribute__((unused)) static void set(
	struct obox_mailbox *box, uint32_t uid, const char *flag, bool is_set)
{
	struct lab_error err;

	if (obox_store(box, uid, lab_view_cstr(flag), is_set, &err) < 0)
		fail_msg("%s", err.message);
}

__attribute__((unused)) static void expunge(struct obox_mailbox *box, uint32_t uid)
{
	struct obox_result result;
	struct lab_error err;

	OK(obox_expunge(box, &uid, 1, &result, &err));
}

__attribute__((unused)) static void show(struct obox_mailbox *box)
{
	struct lab_error err;

	OK(obox_mailbox_show(box, &err));
}

__attribute__((unused)) static void pass(struct node *node, uint64_t ns)
{
	env_sleep(node->user->env, ns);
}

/* Bundles of the folder that have a row. */
__attribute__((unused)) static size_t bundle_rows(
	struct node *node, struct obox_mailbox *box, bool is_base)
{
	char prefix[200];

	snprintf(prefix, sizeof(prefix), "shared/%s/" USER "/mailboxes/%s/idx/",
		is_base ? "dictmap" : "dictdiffmap", obox_mailbox_guid(box));
	return rig_row_count(node->rig, prefix);
}

__attribute__((unused)) static void fill(struct obox_mailbox *box, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		deliver(box, "x");
}

__attribute__((unused)) static void flush(struct node *node)
{
	struct lab_error err;

	OK(backend_flush(node->backend, LAB_VIEW(""), false, "test", &err));
}

__attribute__((unused)) static void start_counting(struct rig *rig)
{
	rig->counts = (struct rig_counts){ 0 };
}

#define COSTS(puts_, gets_, deletes_, sets_, unsets_, iterations_) \
	do { \
		assert_int_equal(node->rig->counts.puts, puts_); \
		assert_int_equal(node->rig->counts.gets, gets_); \
		assert_int_equal(node->rig->counts.deletes, deletes_); \
		assert_int_equal(node->rig->counts.sets, sets_); \
		assert_int_equal(node->rig->counts.unsets, unsets_); \
		assert_int_equal(node->rig->counts.iterations, iterations_); \
	} while (0)

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Which mails have attachments, and that the answer survives whatever becomes of the index.
 */
#include "core/obox/mail-attachment.h"
#include "core/obox/test-support.h"

#define PLAIN "Subject: x\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
#define MIXED "Content-Type: multipart/mixed;\r\n boundary=\"b 1\"\r\n\r\n"
#define PART(headers) "--b 1\r\n" headers "\r\n\r\ntext\r\n"

static void parts_are_told_apart(void **state)
{
	static const struct {
		const char *mail;
		bool has;
	} rows[] = { { "", false }, { "no header", false }, { PLAIN, false },
		{ "content-type: Application/PDF\n\nx", true },
		{ "Content-Type: text/plain\nContent-Disposition: Attachment; filename=x\n\nx",
			true },
		{ "Content-Type: text/plain\nContent-Disposition: inline\n\nx", false },
		{ "X: y\n\nContent-Type: image/png\n\n", false },
		{ MIXED PART("Content-Type: text/plain")
				PART("Content-Type: text/html") "--b 1--\r\n",
			false },
		{ MIXED PART("Content-Type: text/plain") PART("Content-Type: image/png"), true },
		{ MIXED PART("") "--b 1--\r\nContent-Type: image/png\r\n\r\n", false },
		{ MIXED "--b 2\r\nContent-Type: image/png\r\n\r\nx", false },
		{ MIXED "--b 1\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n"
			"Content-Type: text/html\r\n\r\nx\r\n--in--\r\n--b 1\r\n"
			"Content-Disposition:\r\n attachment\r\n\r\nx",
			true },
		{ MIXED "--b 1\nContent-Type: multipart/alternative; boundary=in\n\n--in\n"
			"Content-Type: audio/ogg\n\nx",
			true },
		{ "Content-Type: multipart/mixed\r\n\r\n--\r\nContent-Type: image/png\r\n\r\n",
			false },
		{ "Content-Type: image/png", true } };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, mail_has_attachment(lab_view_cstr(rows[i].mail)) == rows[i].has);
}

#define WITH "Content-Type: image/png\r\n\r\nx"

static void assert_flag(struct obox_mailbox *box, uint32_t uid, bool has_attachment)
{
	assert_true(obox_has_flag(box, uid, LAB_VIEW("$HasAttachment")) == has_attachment);
	assert_true(obox_has_flag(box, uid, LAB_VIEW("$HasNoAttachment")) == !has_attachment);
}

static void save_some(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	uint32_t with = deliver(inbox, WITH), without = deliver(inbox, PLAIN);
	struct obox_result result;
	struct lab_error err;

	assert_flag(inbox, with, true);
	assert_flag(inbox, without, false);
	OK(obox_copy(inbox, &with, 1, work, &result, &err));
	assert_flag(work, 1, true);
	/* Nothing of that is important. */
	assert_int_equal(inbox->index.important_changes + work->index.important_changes, 0);
	assert_int_equal(fs_objectid_extra(obox_mailbox_find(inbox, with)->oid, 17),
		FS_OBJECTID_EXTRA_ATTACHMENT);
	obox_mailbox_close(&work);
	obox_mailbox_close(&inbox);
}

static void find_them(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct lab_error err;

	assert_flag(inbox, 1, true);
	assert_flag(inbox, 2, false);
	assert_flag(work, 1, true);
	assert_int_equal(inbox->index.important_changes, 0);
	OK(obox_mailbox_rebuild(inbox, &err));
	assert_flag(inbox, 1, true);
	assert_flag(inbox, 2, false);
	obox_mailbox_close(&work);
	obox_mailbox_close(&inbox);
}

static void they_survive_a_crash_before_any_upload(void **state)
{
	struct node node;

	node_init(&node, *state, 0);
	node.conf.mail_attachment_detection_options.text = LAB_VIEW("add-flags");
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, save_some);
	assert_int_equal(
		node.rig->counts.events[LAB_EV_metacache_mailbox_bundle_upload_finished], 0);
	node_crash(&node, FAULT_DISK_WIPE);
	node_run(&node, find_them);
	node_stop(&node);
}

static void save_unasked(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	uint32_t uid = deliver(inbox, WITH);

	assert_false(obox_has_flag(inbox, uid, LAB_VIEW("$HasAttachment")));
	assert_int_equal(fs_objectid_extra(obox_mailbox_find(inbox, uid)->oid, 17), 0);
	obox_mailbox_close(&inbox);
}

static void nobody_looks_unless_asked(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, save_unasked);
	node_stop(&node);
}

static void extra_data_of_other_ids_says_nothing(void **state)
{
	uint8_t oid[18] = { 0 };

	(void)state;
	for (unsigned extra = 0; extra < 256; extra++) {
		unsigned low = extra & 3;

		oid[16] = (uint8_t)extra;
		assert_int_equal(
			fs_objectid_extra(oid, 17), (extra & 0x80) != 0 && low != 3 ? low : 0);
		assert_int_equal(fs_objectid_extra(oid, 16) + fs_objectid_extra(oid, 18), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_told_apart),
		RIG_UNIT_TEST(they_survive_a_crash_before_any_upload),
		RIG_UNIT_TEST(nobody_looks_unless_asked),
		cmocka_unit_test(extra_data_of_other_ids_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

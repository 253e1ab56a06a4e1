/* SPDX-License-Identifier: Apache-2.0
 *
 * obox_disable_fast_copy: copies are read and written, obox_max_parallel_writes at a time, and are
 * mails of their own whatever fails on the way.
 */
#include "core/obox/test-support.h"

#define COUNT 20

static void with_written_copies(struct node *node, struct rig *rig, unsigned host)
{
	node_init(node, rig, host);
	/* Without a cache of bodies: each read is a request. */
	node->conf.obox_fs.text = lab_view_skip(LAB_VIEW(OBOX_FS), strlen("fscache:1M:/cache:"));
	node->conf.obox_disable_fast_copy = true;
	rig_boot(rig, host);
	node_run(node, node_start_user);
}

#define COPY_TEST(name) \
	static void name##_body(struct node *node); \
	static void name(void **state) \
	{ \
		struct node node; \
\
		with_written_copies(&node, *state, 0); \
		node_run(&node, name##_body); \
		node_stop(&node); \
	} \
	static void name##_body(struct node *node)

COPY_TEST(a_copy_has_an_object_of_its_own)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct obox_result result;
	const struct obox_mail *from, *to;
	struct lab_error err;
	unsigned puts;

	deliver(inbox, "a\nb\n");
	puts = node->rig->counts.puts;
	OK(obox_copy(inbox, (uint32_t[]){ 1 }, 1, work, &result, &err));
	assert_true(result.copied);
	assert_int_equal(node->rig->counts.puts, puts + 1);
	assert_int_equal(mail_objects(node->rig), 2);
	from = obox_mailbox_find(inbox, 1);
	to = obox_mailbox_find(work, result.saved.uid);
	assert_memory_equal(from->guid, to->guid, sizeof(from->guid));
	assert_memory_equal(to->guid, result.saved.guid, sizeof(to->guid));
	assert_memory_not_equal(from->oid, to->oid, sizeof(from->oid));
	assert_memory_equal(to->oid, result.saved.oid, sizeof(to->oid));
	assert_int_equal(to->size, 6);
	assert_int_equal(to->received, from->received);
	/* Neither is the other's. */
	OK(obox_expunge(inbox, (uint32_t[]){ 1 }, 1, &result, &err));
	assert_int_equal(mail_objects(node->rig), 1);
	assert_box(node, work, "1:a\nb\n ");
	OK(obox_expunge(work, (uint32_t[]){ 1 }, 1, &result, &err));
	assert_int_equal(mail_objects(node->rig), 0);
	assert_int_equal(rig_row_count(node->rig, "shared/dictrevmap/"), 0);
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

COPY_TEST(a_move_leaves_one_object)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct obox_result result;
	struct lab_error err;

	deliver(inbox, "one");
	OK(obox_move(inbox, (uint32_t[]){ 1 }, 1, work, &result, &err));
	assert_box(node, inbox, "");
	assert_box(node, work, "1:one ");
	assert_int_equal(mail_objects(node->rig), 1);
	assert_true(rig_is_consistent(node->rig, MAILS, true));
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

static void deliver_with_attachment(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	struct obox_save mail = { .body = LAB_VIEW("hello"), .received = 1234 };
	struct obox_saved saved;
	struct lab_error err;

	OK(obox_save(inbox, &mail, &saved, &err));
	assert_int_equal(
		fs_objectid_extra(saved.oid, saved.oid_len), FS_OBJECTID_EXTRA_NO_ATTACHMENT);
	obox_mailbox_close(&inbox);
}

/* Of a mail that the listing brought, the storage knows what the index does not. */
static void copy_what_was_listed(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	static const uint8_t unknown[ENV_GUID128_SIZE];
	const struct obox_mail *from = obox_mailbox_find(inbox, 1), *to;
	struct obox_result result;
	struct lab_error err;
	struct lab_view guid, received;
	char hex[OBOX_GUID_HEX + 1];
	struct fs_file *file;

	assert_memory_equal(from->guid, unknown, sizeof(unknown));
	assert_int_equal(from->received, 0);
	OK(obox_copy(inbox, (uint32_t[]){ 1 }, 1, work, &result, &err));
	to = obox_mailbox_find(work, 1);
	assert_memory_not_equal(to->guid, unknown, sizeof(unknown));
	assert_int_equal(to->received, 1234);
	assert_int_equal(fs_objectid_extra(to->oid, to->oid_len), FS_OBJECTID_EXTRA_NO_ATTACHMENT);
	/* The same in the storage, of both. */
	for (unsigned i = 0; i < 2; i++) {
		file = obox_mail_open(i == 0 ? inbox : work,
			obox_mailbox_find(i == 0 ? inbox : work, 1), FS_OPEN_READONLY);
		assert_int_equal(fs_get_metadata(file, "guid", node->rig->arena, &guid, &err), 1);
		assert_int_equal(
			fs_get_metadata(file, "received", node->rig->arena, &received, &err), 1);
		lab_hex(to->guid, sizeof(to->guid), hex);
		assert_view(guid, hex);
		assert_view(received, "1234");
		fs_file_close(&file);
	}
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

static void what_the_index_does_not_know_the_storage_tells(void **state)
{
	struct node a, b;

	node_init(&a, *state, 0);
	a.conf.mail_attachment_detection_options.text = LAB_VIEW("add-flags");
	rig_boot(*state, 0);
	node_run(&a, node_start_user);
	node_run(&a, deliver_with_attachment);
	with_written_copies(&b, *state, 1);
	node_run(&b, copy_what_was_listed);
	node_stop(&a);
	node_stop(&b);
}

/* ---- how many at a time ---- */

static uint64_t time_of_copies(struct node *node, unsigned parallel)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	uint32_t uids[COUNT];
	struct obox_result results[COUNT];
	struct lab_error err;
	uint64_t start;

	for (unsigned i = 0; i < COUNT; i++)
		uids[i] = i + 1;
	node->conf.obox_max_parallel_writes = parallel;
	start = env_now(node->user->env);
	OK(obox_copy(inbox, uids, COUNT, work, results, &err));
	start = env_now(node->user->env) - start;
	/* In the order they were asked for. */
	for (unsigned i = 1; i < COUNT; i++)
		assert_row(i, results[i].saved.uid == results[i - 1].saved.uid + 1);
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
	return start;
}

COPY_TEST(so_many_copies_are_written_at_a_time)
{
	const unsigned *throttled = &node->rig->counts.events[LAB_EV_obox_save_throttling];
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	uint64_t one, ten, all;

	for (unsigned i = 0; i < COUNT; i++)
		deliver(inbox, "x");
	/* The first one marks the root, and opens the other folder. */
	(void)time_of_copies(node, COUNT);
	assert_int_equal(*throttled, 0);
	all = time_of_copies(node, COUNT);
	assert_int_equal(*throttled, 0);
	ten = time_of_copies(node, 10);
	assert_int_equal(*throttled, 1);
	one = time_of_copies(node, 1);
	assert_int_equal(*throttled, 2);
	assert_int_equal(ten, 2 * all);
	assert_int_equal(one, COUNT * all);
	/* That of what is copied in the dict has no say. */
	node->conf.obox_max_parallel_copies = 1;
	assert_int_equal(time_of_copies(node, COUNT), all);
	obox_mailbox_close(&inbox);
}

/* ---- what fails ---- */

COPY_TEST(what_cannot_be_read_is_not_copied)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct obox_result result;
	struct lab_error err;
	char path[200], oid[2 * OBOX_OID_BYTES_MAX + 1];
	const struct obox_mail *mail;
	unsigned puts, lookups, sets;
	struct lab_view body;

	deliver(inbox, "one");
	mail = obox_mailbox_find(inbox, 1);
	lab_hex(mail->oid, mail->oid_len, oid);
	snprintf(path, sizeof(path), MAILS "/%s", oid);
	assert_true(rig_has_object(node->rig, path));
	rig_remove_object(node->rig, path);
	/* Who reads looks whether the row is there; nobody asks about the copy. */
	lookups = node->rig->counts.lookups;
	FAILS(fetch(node, inbox, 1, &body, &err), LAB_NOT_FOUND);
	lookups = 2 * node->rig->counts.lookups - lookups;
	puts = node->rig->counts.puts;
	sets = node->rig->counts.sets;
	FAILS(obox_copy(inbox, (uint32_t[]){ 1 }, 1, work, &result, &err), LAB_NOT_FOUND);
	assert_false(result.copied);
	assert_int_equal(result.saved.uid, 0);
	assert_int_equal(node->rig->counts.puts, puts);
	assert_int_equal(node->rig->counts.sets, sets);
	assert_int_equal(node->rig->counts.lookups, lookups);
	assert_int_equal(obox_mailbox_count(work), 0);
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

struct attempt {
	unsigned at;
	enum rig_fault fault;
	enum lab_code code;
	bool fired;
};
static struct attempt attempt;

static void copy_under_fault(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct obox_result result;
	struct lab_error err = { .code = LAB_OK };

	deliver(inbox, "one");
	deliver(work, "first");
	rig_fail_at(node->rig, attempt.at, attempt.fault);
	attempt.code =
		obox_copy(inbox, (uint32_t[]){ 1 }, 1, work, &result, &err) < 0 ? err.code : LAB_OK;
	attempt.fired = node->rig->fired;
	rig_fail_at(node->rig, 0, RIG_FAIL);
	assert_int_equal(result.copied, attempt.code == LAB_OK);
	assert_int_equal(result.saved.uid != 0, attempt.code == LAB_OK);
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

/* What was certain is so, and what is there can be read. */
static void look_behind(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct lab_error err;
	bool is_copied;

	OK(obox_mailbox_rescan(work, &err));
	is_copied = obox_mailbox_count(work) == 2;
	if (attempt.code != LAB_UNCERTAIN && is_copied != (attempt.code == LAB_OK))
		fail_msg("step %u, %s: %s, and %zu mails", attempt.at,
			rig_fault_name(attempt.fault), lab_code_name(attempt.code),
			obox_mailbox_count(work));
	assert_box(node, work, is_copied ? "1:first 2:one " : "1:first ");
	assert_box(node, inbox, "1:one ");
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

/* Steps until one does not come any more. */
static unsigned fail_each_step(enum rig_fault fault)
{
	attempt = (struct attempt){ .fault = fault, .fired = true };
	while (attempt.fired) {
		struct rig *rig = rig_new();
		struct node node;

		attempt.at++;
		with_written_copies(&node, rig, 0);
		node_run(&node, copy_under_fault);
		rig_apply_late(rig);
		assert_true(rig_is_consistent(rig, MAILS, true));
		node_run(&node, look_behind);
		node_stop(&node);
		rig_free(&rig);
	}
	return attempt.at - 1;
}

static void whatever_fails_a_copy_is_there_or_not(void **state)
{
	static const enum rig_fault faults[] = { RIG_FAIL, RIG_UNCERTAIN_APPLIED, RIG_UNCERTAIN_NOT,
		RIG_UNCERTAIN_LATE };

	(void)state;
	/* GET, PUT, two rows at least. */
	for (size_t i = 0; i < LAB_COUNT_OF(faults); i++)
		assert_row(i, fail_each_step(faults[i]) >= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_copy_has_an_object_of_its_own),
		RIG_UNIT_TEST(a_move_leaves_one_object),
		RIG_UNIT_TEST(what_the_index_does_not_know_the_storage_tells),
		RIG_UNIT_TEST(so_many_copies_are_written_at_a_time),
		RIG_UNIT_TEST(what_cannot_be_read_is_not_copied),
		cmocka_unit_test(whatever_fails_a_copy_is_there_or_not),
	};

	return cmocka_run_group_tests_name("obox-copy", tests, NULL, NULL);
}

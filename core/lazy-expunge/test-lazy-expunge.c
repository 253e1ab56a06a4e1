/* SPDX-License-Identifier: Apache-2.0
 *
 * Expunges that are moves: which mails go where, what failing steps leave, when they go for good,
 * and what nobody need count (obox_track_copy_flags).
 */
#include "core/lazy-expunge/lazy-expunge.h"

#include "core/obox/test-support.h"

#define LAZY ".EXPUNGED"

static struct conf_text text_of(const char *text)
{
	return (struct conf_text){ .text = lab_view_cstr(text) };
}

static void init(struct node *node, struct rig *rig, unsigned host)
{
	node_init(node, rig, host);
	node->conf.lazy_expunge = true;
	node->conf.lazy_expunge_mailbox = text_of(LAZY);
	node->conf.lazy_expunge_only_last_instance = true;
	node->conf.mailboxes[0] =
		(struct conf_mailbox){ .name = LAB_VIEW(LAZY), .autoexpunge_ns = 15 * LAB_MINUTE };
	node->conf.mailbox_count = 1;
	rig_boot(rig, host);
}

#define LAZY_TEST(name, ...) \
	static void name##_body(struct node *node); \
	static void name(void **state) \
	{ \
		struct node node; \
\
		init(&node, *state, 0); \
		__VA_ARGS__; \
		node_run(&node, node_start_user); \
		node_run(&node, name##_body); \
		node_stop(&node); \
	} \
	static void name##_body(struct node *node)

static int try_expunge(struct node *node, struct obox_mailbox *box, const uint32_t *uids,
	size_t count, struct lab_error *err)
{
	struct obox_result results[8];
	char target[OBOX_GUID_HEX + 1];

	return lazy_expunge(node->user, box, uids, count, results, target, err);
}

static void expunge(struct node *node, struct obox_mailbox *box, uint32_t uid)
{
	struct lab_error err;

	OK(try_expunge(node, box, &uid, 1, &err));
}

static uint32_t copy(struct obox_mailbox *from, uint32_t uid, struct obox_mailbox *to)
{
	struct obox_result result;
	struct lab_error err;

	OK(obox_copy(from, &uid, 1, to, &result, &err));
	return result.saved.uid;
}

static size_t count_in(struct node *node, const char *name)
{
	struct obox_mailbox *box = box_open(node, name);
	size_t count = obox_mailbox_count(box);

	obox_mailbox_close(&box);
	return count;
}

static void count_done(void *ctx, const struct obox_mail *mail, const struct obox_result *result)
{
	(void)mail;
	*(unsigned *)ctx += result->err.code == LAB_OK;
}

static unsigned autoexpunge(struct node *node, const char *folder)
{
	struct lab_error err;
	unsigned done = 0;

	OK(lazy_expunge_auto(node->user, lab_view_cstr(folder), count_done, &done, &err));
	return done;
}

static void pass(struct node *node, uint64_t ns)
{
	env_sleep(node->user->env, ns);
}

static bool leaves_a_reverse_row(struct rig *rig)
{
	return rig_row_count(rig, "shared/dictrevmap/") > rig_forward_rows(rig);
}

/* ---- where mails go ---- */

LAZY_TEST(an_expunge_is_a_move)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *lazy;
	uint32_t one = deliver(inbox, "one");
	struct lab_error err;

	deliver(inbox, "two");
	OK(obox_store(inbox, one, LAB_VIEW("\\Flagged"), true, &err));
	expunge(node, inbox, one);
	lazy = box_open(node, LAZY);
	assert_box(node, inbox, "2:two ");
	assert_box(node, lazy, "1:one ");
	assert_true(obox_has_flag(lazy, 1, LAB_VIEW("\\Flagged")));
	assert_int_equal(mail_objects(node->rig), 2);
	/* There, it is none. */
	expunge(node, lazy, 1);
	assert_box(node, lazy, "");
	assert_int_equal(mail_objects(node->rig), 1);
	FAILS(try_expunge(node, inbox, &one, 1, &err), LAB_NOT_FOUND);
	obox_mailbox_close(&lazy);
	obox_mailbox_close(&inbox);
}

LAZY_TEST(only_the_last_instance_is_kept)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	uint32_t uids[3] = { deliver(inbox, "one") };
	struct lab_error err;

	uids[1] = copy(inbox, uids[0], inbox);
	uids[2] = copy(inbox, uids[0], work);
	expunge(node, work, uids[2]);
	assert_int_equal(count_in(node, LAZY), 0);
	/* Together: one of them is the last. */
	OK(try_expunge(node, inbox, uids, 2, &err));
	assert_int_equal(count_in(node, LAZY), 1);
	assert_int_equal(obox_mailbox_count(inbox) + obox_mailbox_count(work), 0);
	assert_int_equal(rig_forward_rows(node->rig), 1);
	assert_int_equal(mail_objects(node->rig), 1);
	obox_mailbox_close(&work);
	obox_mailbox_close(&inbox);
}

/* More than nlinks-limit counts (3): it is the last one that is kept, once. */
LAZY_TEST(of_more_copies_than_are_counted_one_is_kept)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	uint32_t uids[6] = { deliver(inbox, "one") }, last = copy(inbox, uids[0], work);
	struct lab_error err;

	for (unsigned i = 1; i < LAB_COUNT_OF(uids); i++)
		uids[i] = copy(inbox, uids[0], inbox);
	OK(try_expunge(node, inbox, uids, 3, &err));
	OK(try_expunge(node, inbox, uids + 3, 3, &err));
	assert_int_equal(count_in(node, LAZY), 0);
	assert_int_equal(rig_forward_rows(node->rig), 1);
	expunge(node, work, last);
	assert_int_equal(count_in(node, LAZY), 1);
	assert_int_equal(rig_forward_rows(node->rig), 1);
	obox_mailbox_close(&work);
	obox_mailbox_close(&inbox);
}

/* The second of two copies is the last one only if the first is gone for certain. */
LAZY_TEST(a_copy_that_may_be_there_or_not_is_not_counted)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	uint32_t uids[2] = { deliver(inbox, "one") };
	struct lab_error err;

	uids[1] = copy(inbox, uids[0], inbox);
	assert_int_equal(count_in(node, LAZY), 0);
	OK(backend_flush(node->backend, LAB_VIEW(""), false, "test", &err));
	node->conf.obox_max_parallel_deletes = 1;
	/* Two counts, then the first deletion. */
	rig_fail_at(node->rig, 3, RIG_UNCERTAIN_NOT);
	FAILS(try_expunge(node, inbox, uids, 2, &err), LAB_UNCERTAIN);
	assert_int_equal(rig_forward_rows(node->rig), 2);
	assert_int_equal(count_in(node, LAZY), 0);
	OK(try_expunge(node, inbox, uids, 2, &err));
	assert_int_equal(count_in(node, LAZY), 1);
	assert_int_equal(rig_forward_rows(node->rig), 1);
	obox_mailbox_close(&inbox);
}

/* ... but not because of a row that the first has left: it is not one copy more. */
static void expunge_and_leave_a_row(struct node *node, size_t count)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	uint32_t uids[4] = { deliver(inbox, "one") };
	struct lab_error err;

	for (size_t i = 1; i < count; i++)
		uids[i] = copy(inbox, uids[0], inbox);
	assert_int_equal(count_in(node, LAZY), 0);
	OK(backend_flush(node->backend, LAB_VIEW(""), false, "test", &err));
	/* The counts, the forward row, then the reverse row. */
	rig_fail_at(node->rig, (unsigned)count + 2, RIG_UNCERTAIN_NOT);
	OK(try_expunge(node, inbox, uids, count, &err));
	assert_true(leaves_a_reverse_row(node->rig));
	assert_int_equal(count_in(node, LAZY), 1);
	assert_int_equal(rig_forward_rows(node->rig), 1);
	obox_mailbox_close(&inbox);
}

LAZY_TEST(a_row_that_is_left_is_no_copy, node.conf.obox_max_parallel_deletes = 1)
{
	expunge_and_leave_a_row(node, 2);
}

/* More than are counted. */
LAZY_TEST(a_row_that_is_left_is_none_of_many_copies, node.conf.obox_max_parallel_deletes = 1)
{
	expunge_and_leave_a_row(node, 4);
}

LAZY_TEST(
	without_only_last_instance_each_is_kept, node.conf.lazy_expunge_only_last_instance = false)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	uint32_t uids[2] = { deliver(inbox, "one") };
	struct lab_error err;

	uids[1] = copy(inbox, uids[0], inbox);
	OK(try_expunge(node, inbox, uids, 2, &err));
	assert_int_equal(count_in(node, LAZY), 2);
	obox_mailbox_close(&inbox);
}

static void exclude(struct node *node)
{
	node->conf.lazy_expunge_exclude[0] = text_of("Tmp*");
	node->conf.lazy_expunge_exclude[1] = text_of("\\Trash");
	node->conf.lazy_expunge_exclude_count = 2;
}

LAZY_TEST(excluded_folders_really_expunge, exclude(&node))
{
	static const char *const names[] = { "Tmp", "Tmp/x", "Bin", "tmp", "Trash" };
	struct lab_error err;

	OK(obox_folder_create(node->user, LAB_VIEW("Bin"), LAB_VIEW("\\Trash"), &err));
	for (unsigned i = 0; i < LAB_COUNT_OF(names); i++) {
		struct obox_mailbox *box = box_open(node, names[i]);

		assert_row(i, lazy_expunge_applies(node->user, lab_view_cstr(names[i])) == (i > 2));
		expunge(node, box, deliver(box, "x"));
		assert_row(i, mail_objects(node->rig) == (i > 2 ? i - 2 : 0));
		obox_mailbox_close(&box);
	}
}

LAZY_TEST(without_the_plugin_it_is_an_expunge, node.conf.lazy_expunge = false)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");

	expunge(node, inbox, deliver(inbox, "one"));
	assert_int_equal(mail_objects(node->rig), 0);
	obox_mailbox_close(&inbox);
}

/* ---- for good ---- */

LAZY_TEST(what_came_long_ago_goes)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	uint32_t one = deliver(inbox, "one"), two;

	assert_int_equal(autoexpunge(node, LAZY), 0); /* there is none yet */
	pass(node, 60 * LAB_MINUTE);                  /* not the time since the delivery */
	expunge(node, inbox, one);
	pass(node, 10 * LAB_MINUTE);
	two = deliver(inbox, "two");
	expunge(node, inbox, two);
	assert_int_equal(autoexpunge(node, LAZY), 0);
	pass(node, 6 * LAB_MINUTE);
	assert_int_equal(autoexpunge(node, "INBOX"), 0);
	assert_int_equal(autoexpunge(node, LAZY), 1);
	assert_int_equal(count_in(node, LAZY), 1);
	assert_int_equal(mail_objects(node->rig), 1);
	pass(node, 10 * LAB_MINUTE);
	assert_int_equal(autoexpunge(node, LAZY), 1);
	assert_int_equal(mail_objects(node->rig), 0);
	obox_mailbox_close(&inbox);
}

LAZY_TEST(what_is_too_much_goes, node.conf.mailboxes[0].autoexpunge_max_mails = 2)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *lazy;

	for (unsigned i = 0; i < 5; i++)
		expunge(node, inbox, deliver(inbox, i < 3 ? "old" : "new"));
	assert_int_equal(autoexpunge(node, LAZY), 3);
	lazy = box_open(node, LAZY);
	assert_box(node, lazy, "4:new 5:new ");
	obox_mailbox_close(&lazy);
	obox_mailbox_close(&inbox);
}

/* A listing knows no dates, and metadata has that of the delivery. */
static void deliver_and_expunge(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	uint32_t uid = deliver(inbox, "one");

	pass(node, 60 * LAB_MINUTE);
	expunge(node, inbox, uid);
	obox_mailbox_close(&inbox);
}

static void look_at_it(struct node *node)
{
	struct obox_mailbox *lazy = box_open(node, LAZY);
	struct lab_error err;

	OK(obox_mailbox_rebuild(lazy, &err));
	obox_mailbox_close(&lazy);
	assert_int_equal(autoexpunge(node, LAZY), 0);
	pass(node, 15 * LAB_MINUTE);
	assert_int_equal(autoexpunge(node, LAZY), 1);
}

static void after_a_crash_nothing_goes_before_its_time(void **state)
{
	struct node node;

	init(&node, *state, 0);
	node_run(&node, node_start_user);
	node_run(&node, deliver_and_expunge);
	node_crash(&node, FAULT_DISK_WIPE);
	node_run(&node, look_at_it);
	node_stop(&node);
}

/* ---- failures ---- */

static struct {
	struct lab_error err;
	int result;
	bool ended;
} task;

static void expunge_in_task(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	uint32_t uid = obox_mailbox_mail(inbox, 0)->uid;

	task.ended = false;
	task.result = try_expunge(node, inbox, &uid, 1, &task.err);
	task.ended = true;
	obox_mailbox_close(&inbox);
}

static void fill(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	struct obox_mailbox *lazy = box_open(node, LAZY);

	deliver(inbox, "one");
	obox_mailbox_close(&lazy);
	obox_mailbox_close(&inbox);
}

/* Whatever came of it, expunging again ends well, and leaves one copy in the expunge folder. */
static void again(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	struct lab_error err;

	rig_apply_late(node->rig);
	OK(obox_mailbox_rescan(inbox, &err));
	if (task.ended && task.result == 0)
		assert_int_equal(obox_mailbox_count(inbox), 0);
	while (obox_mailbox_count(inbox) > 0)
		expunge(node, inbox, obox_mailbox_mail(inbox, 0)->uid);
	obox_mailbox_close(&inbox);
	inbox = box_open(node, LAZY);
	OK(obox_mailbox_rescan(inbox, &err));
	if (obox_mailbox_count(inbox) != 1)
		fail_msg("%zu copies", obox_mailbox_count(inbox));
	obox_mailbox_close(&inbox);
	assert_int_equal(mail_objects(node->rig), 1);
	assert_true(rig_is_consistent(node->rig, MAILS, true));
}

static bool try_step(struct rig *rig, unsigned step, enum rig_fault fault, bool *ret_ended)
{
	struct node node;
	bool fired, crashes = fault == RIG_CRASH_BEFORE || fault == RIG_CRASH_AFTER, leaks;

	init(&node, rig, 0);
	node_run(&node, node_start_user);
	node_run(&node, fill);
	rig_fail_at(rig, step, fault);
	node_run(&node, expunge_in_task);
	fired = rig->fired;
	rig_fail_at(rig, 0, fault);
	*ret_ended = !fired;
	/* The count that came before is not undone by a row that nobody cleaned up. */
	leaks = leaves_a_reverse_row(rig);
	if (crashes && fired) {
		rig_boot(rig, 0);
		node_run(&node, node_start_user);
	}
	if (!leaks)
		node_run(&node, again);
	node_stop(&node);
	return leaks;
}

static void each_step_may_fail_in_each_way(void **state)
{
	unsigned tried = 0, leaked = 0;

	(void)state;
	for (unsigned fault = 0; fault < RIG_FAULT_COUNT; fault++) {
		bool ended = false;

		for (unsigned step = 1; !ended && step < 40; step++) {
			struct rig *rig = rig_new();

			leaked += try_step(rig, step, (enum rig_fault)fault, &ended);
			tried++;
			rig_free(&rig);
		}
		assert_true(ended);
	}
	assert_true(tried > 6 * 5);
	assert_true(leaked < tried / 2);
}

/* ---- what nobody need count ---- */

static void track(struct node *node)
{
	node->conf.obox_track_copy_flags = true;
	node->conf.obox_fs =
		text_of("compress:zstd:3:dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; "
			"refcounting-table:nlinks-limit=3:storage-objectid-prefix=%u/mails/");
}

static void assert_selects(struct node *node, unsigned expected)
{
	struct rig_counts *counts = &node->rig->counts;

	if (counts->iterations + counts->lookups != expected)
		fail_msg("%u iterations, %u lookups", counts->iterations, counts->lookups);
	counts->iterations = counts->lookups = 0;
}

LAZY_TEST(what_was_never_copied_is_not_counted, track(&node))
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *lazy = box_open(node, LAZY);
	uint32_t one = deliver(inbox, "one"), two = deliver(inbox, "two"), copied;

	node->rig->counts = (struct rig_counts){ 0 };
	expunge(node, inbox, one);
	assert_selects(node, 0);
	assert_int_equal(count_in(node, LAZY), 1);
	pass(node, 15 * LAB_MINUTE);
	assert_int_equal(autoexpunge(node, LAZY), 1);
	assert_selects(node, 0);
	assert_int_equal(mail_objects(node->rig), 1);
	/* A copy is counted, on both sides. */
	copied = copy(inbox, two, inbox);
	expunge(node, inbox, two);
	assert_int_equal(count_in(node, LAZY), 0);
	node->rig->counts = (struct rig_counts){ 0 };
	expunge(node, inbox, copied);
	assert_selects(node, 2);
	pass(node, 15 * LAB_MINUTE);
	assert_int_equal(autoexpunge(node, LAZY), 1);
	assert_selects(node, 1);
	assert_int_equal(mail_objects(node->rig), 0);
	assert_int_equal(rig_row_count(node->rig, "shared/dictrevmap/"), 0);
	obox_mailbox_close(&lazy);
	obox_mailbox_close(&inbox);
}

LAZY_TEST(a_copy_from_the_expunge_folder_is_counted, track(&node))
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *lazy = box_open(node, LAZY);

	expunge(node, inbox, deliver(inbox, "one"));
	(void)copy(lazy, 1, inbox);
	pass(node, 15 * LAB_MINUTE);
	assert_int_equal(autoexpunge(node, LAZY), 1);
	/* The copy has its body. */
	assert_box(node, inbox, "2:one ");
	obox_mailbox_close(&lazy);
	obox_mailbox_close(&inbox);
}

/* Somebody else may have been there: what a listing was compared with is counted. */
LAZY_TEST(after_a_rescan_everything_is_counted, track(&node))
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *lazy = box_open(node, LAZY);
	uint32_t one = deliver(inbox, "one");
	struct lab_error err;

	OK(obox_mailbox_rescan(inbox, &err));
	node->rig->counts = (struct rig_counts){ 0 };
	expunge(node, inbox, one);
	assert_true(node->rig->counts.iterations > 0);
	obox_mailbox_close(&lazy);
	obox_mailbox_close(&inbox);
}

static struct obox_mailbox *shared_inbox, *shared_lazy;
static unsigned ended;

static void move_it(void *arg)
{
	struct node *node = arg;
	uint32_t uid = 1;
	struct lab_error err;

	(void)try_expunge(node, shared_inbox, &uid, 1, &err);
	ended++;
}

static void copy_it(void *arg)
{
	struct node *node = arg;
	uint32_t uid = 1;
	struct obox_result result;
	struct lab_error err;

	env_sleep(node->user->env, 500 * LAB_USEC);
	(void)obox_copy(shared_inbox, &uid, 1, shared_inbox, &result, &err);
	ended++;
}

/* Two sessions at once: neither takes its copy for the only one. */
LAZY_TEST(who_is_not_alone_is_counted, track(&node))
{
	struct lab_error err;

	shared_inbox = box_open(node, "INBOX");
	shared_lazy = box_open(node, LAZY);
	deliver(shared_inbox, "one");
	ended = 0;
	OK(env_spawn(node->user->env, "a", move_it, node, &err));
	OK(env_spawn(node->user->env, "b", move_it, node, &err));
	OK(env_spawn(node->user->env, "c", copy_it, node, &err));
	while (ended < 3)
		pass(node, LAB_SEC);
	assert_true(rig_is_consistent(node->rig, MAILS, true));
	pass(node, 15 * LAB_MINUTE);
	(void)autoexpunge(node, LAZY);
	assert_true(rig_is_consistent(node->rig, MAILS, true));
	obox_mailbox_close(&shared_lazy);
	obox_mailbox_close(&shared_inbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(an_expunge_is_a_move),
		RIG_UNIT_TEST(only_the_last_instance_is_kept),
		RIG_UNIT_TEST(of_more_copies_than_are_counted_one_is_kept),
		RIG_UNIT_TEST(a_copy_that_may_be_there_or_not_is_not_counted),
		RIG_UNIT_TEST(a_row_that_is_left_is_no_copy),
		RIG_UNIT_TEST(a_row_that_is_left_is_none_of_many_copies),
		RIG_UNIT_TEST(without_only_last_instance_each_is_kept),
		RIG_UNIT_TEST(excluded_folders_really_expunge),
		RIG_UNIT_TEST(without_the_plugin_it_is_an_expunge),
		RIG_UNIT_TEST(what_came_long_ago_goes),
		RIG_UNIT_TEST(what_is_too_much_goes),
		RIG_UNIT_TEST(after_a_crash_nothing_goes_before_its_time),
		cmocka_unit_test(each_step_may_fail_in_each_way),
		RIG_UNIT_TEST(what_was_never_copied_is_not_counted),
		RIG_UNIT_TEST(a_copy_from_the_expunge_folder_is_counted),
		RIG_UNIT_TEST(after_a_rescan_everything_is_counted),
		RIG_UNIT_TEST(who_is_not_alone_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

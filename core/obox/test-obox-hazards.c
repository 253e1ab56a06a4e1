/* SPDX-License-Identifier: Apache-2.0
 *
 * What mailboxes of this and of other kinds have lost or garbled, tried on this one: odd bodies and
 * sizes, lost and orphaned objects, several sessions at once, clocks (scenarios/CATALOGUE.md).
 */
#include "core/obox/test-support.h"

static struct obox_saved deliver_bytes(struct obox_mailbox *box, struct lab_view body)
{
	struct obox_save save = { .body = body };
	struct obox_saved saved;
	struct lab_error err;

	OK(obox_save(box, &save, &saved, &err));
	return saved;
}

static char *object_of(struct node *node, const struct obox_mail *mail)
{
	char oid[2 * OBOX_OID_BYTES_MAX + 1];

	lab_hex(mail->oid, mail->oid_len, oid);
	return lab_arena_printf(node->rig->arena, MAILS "/%s", oid);
}

/* ---- bodies (R-11) ---- */

static const struct lab_view odd_bodies[] = { LAB_VIEW("a\r\nb\r\n"), LAB_VIEW("a\nb\n"),
	LAB_VIEW("a\rb\r"), LAB_VIEW("\n\r\n\r\r\n\n"), LAB_VIEW("no end of line"), LAB_VIEW("\r"),
	LAB_VIEW("\n"), LAB_VIEW("nul \0 in it\r\n"), LAB_VIEW("\0"),
	LAB_VIEW("From here\n>From\n"), LAB_VIEW(".\r\n..\r\n"), LAB_VIEW("\xff\xfe\x80 8 bit\r\n"),
	LAB_VIEW("") };

static void deliver_odd(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	for (size_t i = 0; i < LAB_COUNT_OF(odd_bodies); i++)
		(void)deliver_bytes(box, odd_bodies[i]);
	obox_mailbox_close(&box);
}

static void fetch_odd(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_int_equal(obox_mailbox_count(box), LAB_COUNT_OF(odd_bodies));
	for (size_t i = 0; i < LAB_COUNT_OF(odd_bodies); i++) {
		struct lab_view body;
		struct lab_error err;

		OK(fetch(node, box, (uint32_t)i + 1, &body, &err));
		assert_row(i, lab_view_eq(body, odd_bodies[i]));
	}
	obox_mailbox_close(&box);
}

static void bodies_come_back_byte_for_byte_from_cache_and_storage(void **state)
{
	struct node first, second;

	node_start(&first, *state, 0);
	node_run(&first, deliver_odd);
	node_run(&first, fetch_odd);
	assert_int_equal(first.rig->counts.gets, 0);
	/* What the first has in its cache, the second has not. */
	node_start(&second, *state, 1);
	node_run(&second, fetch_odd);
	assert_true(first.rig->counts.gets >= LAB_COUNT_OF(odd_bodies));
	node_stop(&first);
	node_stop(&second);
}

/* ---- sizes (C-38, R-15) ---- */

NODE_TEST(sizes_beyond_any_counter_are_refused_before_anything_is_stored)
{
	static const size_t sizes[] = { OBOX_MAIL_MAX + 1u, INT32_MAX, (size_t)INT32_MAX + 1,
		UINT32_MAX, (size_t)UINT32_MAX + 1, (size_t)UINT32_MAX + 6, SIZE_MAX };
	struct obox_mailbox *box = box_open(node, "INBOX");
	unsigned puts = node->rig->counts.puts;
	struct obox_saved saved;
	struct lab_error err;

	for (size_t i = 0; i < LAB_COUNT_OF(sizes); i++) {
		struct obox_save save = { .body = { (const uint8_t *)"hello", sizes[i] } };

		FAILS(obox_save(box, &save, &saved, &err), LAB_LIMIT);
		assert_row(i, saved.uid == 0 && saved.oid_len == 0);
	}
	assert_int_equal(node->rig->counts.puts, puts);
	assert_int_equal(obox_mailbox_count(box), 0);
	obox_mailbox_close(&box);
}

#define LARGE (((size_t)4 << 20) - 65536)
#define LARGE_MAILS 12

NODE_TEST(a_large_mail_costs_a_few_times_its_size_and_gives_that_back)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	uint8_t *bytes = lab_arena_alloc(node->rig->arena, LARGE);
	struct lab_view body = lab_view_of(bytes, LARGE), read;
	struct lab_error err;
	size_t before, used = lab_heap_used(node->user->env->heap);

	/* Nothing that a compressor makes smaller. */
	for (size_t i = 0; i < LARGE; i++)
		bytes[i] = (uint8_t)((i * UINT64_C(0x9e3779b97f4a7c15)) >> 41);
	before = lab_pool_bytes(node->rig->pool);
	(void)deliver_bytes(box, body);
	/* The object, its copy in the cache, and what is there on the way. */
	assert_true(lab_pool_bytes(node->rig->pool) - before <= 4 * LARGE);
	for (size_t i = 1; i < LARGE_MAILS; i++)
		(void)deliver_bytes(box, body);
	assert_true(lab_pool_bytes(node->rig->pool) - before <= (2 * LARGE_MAILS + 2) * LARGE);
	assert_true(lab_heap_used(node->user->env->heap) - used < LARGE / 8);
	OK(fetch(node, box, LARGE_MAILS, &read, &err));
	assert_true(lab_view_eq(read, body));
	obox_mailbox_close(&box);
}

/* ---- sizes that are wrong (C-64) ---- */

NODE_TEST(a_size_that_is_wrong_in_the_index_does_no_harm_and_is_mended)
{
	static const uint64_t wrong[] = { 0, 4, 6, 1 << 20, UINT64_MAX };
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_view body;
	struct lab_error err;

	deliver(box, "hello");
	for (size_t i = 0; i < LAB_COUNT_OF(wrong); i++) {
		obox_index_find(&box->index, 1)->size = wrong[i];
		OK(fetch(node, box, 1, &body, &err));
		assert_view(body, "hello");
		assert_int_equal(obox_mailbox_find(box, 1)->size, 5);
	}
	obox_mailbox_close(&box);
}

/* ---- a mail whose object is gone (R-08) ---- */

NODE_TEST(one_lost_object_leaves_the_rest_of_its_folder_alone)
{
	struct obox_mailbox *box = box_open(node, "INBOX"), *work = box_open(node, "Work");
	static const uint32_t all[] = { 1, 2, 3 };
	struct obox_result results[3];
	struct lab_view body;
	struct lab_error err;

	deliver(box, "one");
	deliver(box, "two");
	deliver(box, "three");
	rig_remove_object(node->rig, object_of(node, obox_mailbox_find(box, 2)));
	OK(env_unlink(node->user->env,
		lab_arena_printf(node->rig->arena, "/cache/%s",
			object_of(node, obox_mailbox_find(box, 2)) + sizeof(MAILS)),
		&err));
	FAILS(fetch(node, box, 2, &body, &err), LAB_NOT_FOUND);
	SAYS("Object exists in dict, but not in storage");
	/* A listing, and one from nothing, go on behind it. */
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_count(box), 3);
	OK(obox_mailbox_rebuild(box, &err));
	assert_int_equal(obox_mailbox_count(box), 3);
	OK(fetch(node, box, 1, &body, &err));
	assert_view(body, "one");
	OK(fetch(node, box, 3, &body, &err));
	assert_view(body, "three");
	/* It can be copied, as what the dict says, and expunged. */
	OK(obox_copy(box, all, 3, work, results, &err));
	OK(obox_expunge(box, all, 3, results, &err));
	OK(obox_expunge(work, all, 3, results, &err));
	assert_int_equal(mail_objects(node->rig), 0);
	assert_int_equal(rig_forward_rows(node->rig), 0);
	obox_mailbox_close(&box);
	obox_mailbox_close(&work);
}

/* ---- objects without a folder (R-04) ---- */

NODE_TEST(an_orphaned_object_comes_into_no_folder)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	deliver(box, "one");
	/* Its rows are never written. */
	node->rig->only = "shared/dict";
	rig_fail_at(node->rig, 1, RIG_UNCERTAIN_NOT);
	node->rig->fail_from_then_on = true;
	{
		struct obox_save save = { .body = LAB_VIEW("orphan") };
		struct obox_saved saved;

		assert_true(obox_save(box, &save, &saved, &err) < 0);
		assert_true(node->rig->fired);
	}
	node->rig->only = NULL;
	rig_fail_at(node->rig, 0, RIG_FAIL);
	assert_int_equal(mail_objects(node->rig), 2);
	OK(obox_mailbox_rescan(box, &err));
	assert_box(node, box, "1:one ");
	OK(obox_mailbox_rebuild(box, &err));
	assert_box(node, box, "1:one ");
	obox_mailbox_close(&box);
}

/* ---- several sessions expunge the same mails (C-58) ---- */

#define SESSIONS 6
#define MAILS_EACH 20

struct expunger {
	struct obox_mailbox *box;
	uint64_t wait_ns;
	unsigned ok;
};

static void expunge_all(void *arg)
{
	struct expunger *e = arg;
	uint32_t uids[MAILS_EACH];
	struct obox_result results[MAILS_EACH];
	struct lab_error err;

	for (uint32_t i = 0; i < MAILS_EACH; i++)
		uids[i] = i + 1;
	env_sleep(e->box->user->env, e->wait_ns);
	(void)obox_expunge(e->box, uids, MAILS_EACH, results, &err);
	for (size_t i = 0; i < MAILS_EACH; i++) {
		e->ok += results[i].err.code == LAB_OK;
		if (results[i].err.code != LAB_OK)
			assert_non_null(strstr(results[i].err.message, "has no mail with UID"));
	}
}

NODE_TEST(sessions_that_expunge_the_same_mails_all_succeed_and_leave_nothing)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	unsigned ok = 0;
	struct expunger sessions[SESSIONS];
	struct lab_error err;

	for (unsigned i = 0; i < MAILS_EACH; i++)
		deliver(box, "x");
	for (unsigned i = 0; i < SESSIONS; i++) {
		sessions[i] = (struct expunger){ .box = box, .wait_ns = i * LAB_MSEC };
		OK(env_spawn(node->user->env, "expunge", expunge_all, &sessions[i], &err));
	}
	env_sleep(node->user->env, 10 * LAB_SEC);
	for (unsigned i = 0; i < SESSIONS; i++)
		ok += sessions[i].ok;
	/* They met: more than one was told that it is done, some after the rows were gone. */
	assert_true(ok > 2 * MAILS_EACH);
	assert_int_equal(obox_mailbox_count(box), 0);
	assert_int_equal(rig_row_count(node->rig, "shared/dictrevmap/"), 0);
	assert_int_equal(mail_objects(node->rig), 0);
	obox_mailbox_close(&box);
}

/* ---- moves of nothing, into the same folder, and beside each other (C-57, C-59) ---- */

NODE_TEST(a_move_of_nothing_and_one_into_the_same_folder_end)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_result result;
	uint32_t uid = 2;
	struct lab_error err;

	OK(obox_move(box, NULL, 0, box, NULL, &err));
	assert_int_equal(obox_mailbox_count(box), 0);
	deliver(box, "one");
	deliver(box, "the last one");
	/* One mail under another UID, not one more for each that is made. */
	OK(obox_move(box, &uid, 1, box, &result, &err));
	assert_int_equal(result.err.code, LAB_OK);
	assert_int_equal(result.saved.uid, 3);
	assert_int_equal(obox_mailbox_count(box), 2);
	assert_int_equal(mail_objects(node->rig), 2);
	obox_mailbox_close(&box);
}

struct mover {
	struct obox_mailbox *from, *to;
	uint32_t first;
	unsigned ok;
	bool is_done;
};

static void move_some(void *arg)
{
	struct mover *m = arg;
	uint32_t uids[MAILS_EACH];
	struct obox_result results[MAILS_EACH];
	struct lab_error err;

	for (uint32_t i = 0; i < MAILS_EACH; i++)
		uids[i] = m->first + i;
	OK(obox_move(m->from, uids, MAILS_EACH, m->to, results, &err));
	for (size_t i = 0; i < MAILS_EACH; i++)
		m->ok += results[i].err.code == LAB_OK;
	m->is_done = true;
}

NODE_TEST(moves_beside_each_other_forget_no_expunge)
{
	struct obox_mailbox *from = box_open(node, "INBOX"), *to = box_open(node, "Work");
	struct mover movers[2] = { { .from = from, .to = to, .first = 1 },
		{ .from = from, .to = to, .first = MAILS_EACH + 1 } };
	struct lab_error err;

	for (unsigned i = 0; i < 2 * MAILS_EACH; i++)
		deliver(from, "x");
	for (size_t i = 0; i < LAB_COUNT_OF(movers); i++)
		OK(env_spawn(node->user->env, "move", move_some, &movers[i], &err));
	env_sleep(node->user->env, LAB_MSEC);
	assert_false(movers[0].is_done || movers[1].is_done);
	env_sleep(node->user->env, 20 * LAB_SEC);
	for (size_t i = 0; i < LAB_COUNT_OF(movers); i++)
		assert_int_equal(movers[i].ok, MAILS_EACH);
	OK(obox_mailbox_rescan(from, &err));
	assert_int_equal(obox_mailbox_count(from), 0);
	assert_int_equal(obox_mailbox_count(to), 2 * MAILS_EACH);
	assert_int_equal(mail_objects(node->rig), 2 * MAILS_EACH);
	obox_mailbox_close(&from);
	obox_mailbox_close(&to);
}

/* ---- the first mail goes (C-48) ---- */

NODE_TEST(the_expunge_of_the_first_mail_has_a_modseq)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_result result;
	uint32_t uid = 1;
	struct lab_error err;
	uint64_t before;

	deliver(box, "one");
	deliver(box, "two");
	before = obox_mailbox_highest_modseq(box);
	OK(obox_expunge(box, &uid, 1, &result, &err));
	assert_true(obox_mailbox_highest_modseq(box) > before);
	assert_int_equal(obox_mailbox_count(box), 1);
	obox_mailbox_close(&box);
}

/* ---- names against UIDs (H-04) ---- */

static uint32_t seen_uidvalidity;

static void deliver_in_the_future(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "from an hour ahead");
	obox_mailbox_close(&box);
}

static void deliver_now(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	deliver(box, "now");
	OK(obox_mailbox_show(box, &err));
	assert_box(node, box, "1:from an hour ahead 2:now ");
	seen_uidvalidity = obox_mailbox_uidvalidity(box);
	obox_mailbox_close(&box);
}

static void expect_both_as_they_were(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_int_equal(obox_mailbox_uidvalidity(box), seen_uidvalidity);
	assert_box(node, box, "1:from an hour ahead 2:now ");
	obox_mailbox_close(&box);
}

static void expect_them_under_another_uidvalidity(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	/* By force: UIDs would lie, so they are not claimed to be the same. */
	OK(obox_mailbox_rebuild(box, &err));
	assert_true(obox_mailbox_uidvalidity(box) > seen_uidvalidity);
	assert_int_equal(obox_mailbox_count(box), 2);
	obox_mailbox_close(&box);
}

static void names_that_disagree_with_uids_renumber_nothing_unseen(void **state)
{
	struct node first, second;

	world_clock_offset(((struct rig *)*state)->hosts[0].host, INT64_C(3600) * 1000000);
	node_start(&first, *state, 0);
	node_run(&first, deliver_in_the_future);
	node_start(&second, *state, 1);
	node_run(&second, deliver_now);
	node_crash(&second, FAULT_DISK_LOSE_UNSYNCED);
	node_run(&second, expect_both_as_they_were);
	node_run(&second, expect_them_under_another_uidvalidity);
	node_stop(&first);
	node_stop(&second);
}

static void show_the_future(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	deliver(box, "from an hour ahead");
	OK(obox_mailbox_show(box, &err));
	assert_box(node, box, "1:from an hour ahead ");
	seen_uidvalidity = obox_mailbox_uidvalidity(box);
	obox_mailbox_close(&box);
}

static void deliver_unseen(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "now");
	obox_mailbox_close(&box);
}

static void a_mail_of_a_late_clock_keeps_the_uids_that_were_shown(void **state)
{
	struct node first, second;

	world_clock_offset(((struct rig *)*state)->hosts[0].host, INT64_C(3600) * 1000000);
	node_start(&first, *state, 0);
	node_run(&first, show_the_future);
	node_crash(&first, FAULT_DISK_WIPE);
	node_start(&second, *state, 1);
	node_run(&second, deliver_unseen);
	node_crash(&second, FAULT_DISK_WIPE);
	node_run(&second, expect_both_as_they_were);
	node_stop(&first);
	node_stop(&second);
}

/* ---- a body in the cache of an expunged mail (H-18) ---- */

static void deliver_one(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "hello");
	obox_mailbox_close(&box);
}

static void expunge_one(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_result result;
	struct lab_error err;

	OK(obox_expunge(box, (uint32_t[]){ 1 }, 1, &result, &err));
	obox_mailbox_close(&box);
}

static void expect_no_resurrection(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX"), *work = box_open(node, "Work");
	unsigned gets = node->rig->counts.gets;
	struct obox_result result;
	struct lab_view body;
	struct lab_error err;

	/* A session that has not looked since still reads it, from its own disk. */
	OK(fetch(node, box, 1, &body, &err));
	assert_view(body, "hello");
	assert_int_equal(node->rig->counts.gets, gets);
	/* But it makes no new mail of it, here or there. */
	FAILS(obox_copy(box, (uint32_t[]){ 1 }, 1, work, &result, &err), LAB_NOT_FOUND);
	assert_int_equal(obox_mailbox_count(work), 0);
	assert_int_equal(mail_objects(node->rig), 0);
	OK(obox_mailbox_rescan(box, &err));
	assert_box(node, box, "");
	FAILS(fetch(node, box, 1, &body, &err), LAB_NOT_FOUND);
	OK(obox_mailbox_rebuild(box, &err));
	assert_box(node, box, "");
	obox_mailbox_close(&box);
	obox_mailbox_close(&work);
}

static void a_body_in_the_cache_does_not_bring_an_expunged_mail_back(void **state)
{
	struct node first, second;

	node_start(&first, *state, 0);
	node_run(&first, deliver_one);
	node_start(&second, *state, 1);
	node_run(&second, expunge_one);
	assert_int_equal(mail_objects(first.rig), 0);
	node_run(&first, expect_no_resurrection);
	assert_int_equal(rig_forward_rows(first.rig), 0);
	assert_int_equal(rig_row_count(first.rig, "shared/dictrevmap/"), 0);
	node_stop(&first);
	node_stop(&second);
}

/* ---- a backend that was away (PRO-25, H-17) ---- */

static void set_flag(struct obox_mailbox *box, uint32_t uid, const char *flag)
{
	struct lab_error err;

	if (obox_store(box, uid, lab_view_cstr(flag), true, &err) < 0)
		fail_msg("%s", err.message);
}

static void prepare_five(struct node *node)
{
	static const char *const bodies[] = { "one", "two", "three", "four", "five" };
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	for (size_t i = 0; i < LAB_COUNT_OF(bodies); i++)
		deliver(box, bodies[i]);
	set_flag(box, 1, "\\Seen");
	OK(obox_mailbox_show(box, &err));
	env_sleep(node->user->env, 10 * LAB_MINUTE);
	obox_mailbox_close(&box);
}

/* From here on no bundle gets out, not even with the clean stop: it would be tried for ever. */
static void change_unheard_and_stop(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	node->rig->only = "/idx/";
	rig_fail_at(node->rig, 1, RIG_FAIL);
	node->rig->fail_from_then_on = true;
	set_flag(box, 1, "\\Flagged");
	set_flag(box, 2, "\\Answered");
	obox_mailbox_close(&box);
	node_stop_backend(node);
}

static void change_meanwhile(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_result results[2];
	struct lab_error err;

	set_flag(box, 2, "\\Seen");
	OK(obox_expunge(box, (uint32_t[]){ 3, 5 }, 2, results, &err));
	deliver(box, "six");
	OK(obox_mailbox_show(box, &err));
	/* Days; what a log would have kept is long gone. */
	env_sleep(node->user->env, 3 * 24 * 60 * LAB_MINUTE);
	obox_mailbox_close(&box);
}

static void expect_changes_of_both(struct node *node)
{
	struct obox_mailbox *box;
	struct lab_error err;

	/* A new session. */
	OK(obox_user_access(node->user, &err));
	box = box_open(node, "INBOX");

	assert_box(node, box, "1:one 2:two 4:four 6:six ");
	assert_true(obox_has_flag(box, 1, LAB_VIEW("\\Seen")));
	assert_true(obox_has_flag(box, 1, LAB_VIEW("\\Flagged")));
	assert_true(obox_has_flag(box, 2, LAB_VIEW("\\Answered")));
	assert_true(obox_has_flag(box, 2, LAB_VIEW("\\Seen")));
	obox_mailbox_close(&box);
}

static void a_backend_that_was_away_for_days_brings_its_flags_and_no_expunged_mail(void **state)
{
	struct rig *rig = *state;
	struct node first, second;

	node_start(&first, rig, 0);
	node_run(&first, prepare_five);
	node_run(&first, change_unheard_and_stop);
	assert_true(rig->fired);
	rig->only = NULL;
	rig_fail_at(rig, 0, RIG_FAIL);
	node_start(&second, rig, 1);
	node_run(&second, change_meanwhile);
	node_start(&first, rig, 0);
	node_run(&first, expect_changes_of_both);
	node_stop(&first);
	node_run(&second, expect_changes_of_both);
	node_stop(&second);
}

/* ---- a metacache that is removed under a session (PRO-24) ---- */

static void remove_metacache(struct node *node, struct obox_mailbox *box)
{
	struct lab_error err;

	OK(env_unlink(node->user->env, box->index.path, &err));
	OK(env_unlink(node->user->env, node->user->root_index.path, &err));
}

static void work_while_it_is_removed(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	deliver(box, "one");
	set_flag(box, 1, "\\Seen");
	OK(obox_mailbox_show(box, &err));
	env_sleep(node->user->env, 10 * LAB_MINUTE);
	seen_uidvalidity = obox_mailbox_uidvalidity(box);
	remove_metacache(node, box);
	deliver(box, "two");
	set_flag(box, 2, "\\Flagged");
	assert_box(node, box, "1:one 2:two ");
	obox_mailbox_close(&box);
}

static void expect_both_and_their_flags(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_int_equal(obox_mailbox_uidvalidity(box), seen_uidvalidity);
	assert_box(node, box, "1:one 2:two ");
	assert_true(obox_has_flag(box, 1, LAB_VIEW("\\Seen")));
	assert_true(obox_has_flag(box, 2, LAB_VIEW("\\Flagged")));
	obox_mailbox_close(&box);
}

static void a_metacache_that_is_removed_under_a_session_is_made_anew(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	node_run(&node, work_while_it_is_removed);
	node_stop(&node);
	node_start(&node, *state, 0);
	node_run(&node, expect_both_and_their_flags);
	node_stop(&node);
}

/* ---- names of folders (C-49) ---- */

static const char *const odd_folders[] = { "%", "%2F", ".", "..", "^", "^2f", "a.b", "a/./b",
	"a/.b", "a/^", "a/b^c", "~", "~/x", "\xc3\xa4&AOQ-" };

static void deliver_into_odd_folders(struct node *node)
{
	for (size_t i = 0; i < LAB_COUNT_OF(odd_folders); i++) {
		struct obox_mailbox *box = box_open(node, odd_folders[i]);

		deliver(box, odd_folders[i]);
		obox_mailbox_close(&box);
	}
}

static void find_odd_folders(struct node *node)
{
	struct obox_folder *folders;
	size_t count, found = 0;
	struct lab_error err;

	OK(obox_user_access(node->user, &err));
	obox_folder_list(node->user, node->rig->arena, &folders, &count);
	for (size_t i = 0; i < LAB_COUNT_OF(odd_folders); i++) {
		struct obox_mailbox *box;
		struct lab_view body;

		for (size_t k = 0; k < count; k++)
			found += strcmp(folders[k].name, odd_folders[i]) == 0;
		box = box_open(node, odd_folders[i]);
		assert_int_equal(obox_mailbox_count(box), 1);
		OK(fetch(node, box, 1, &body, &err));
		assert_view(body, odd_folders[i]);
		obox_mailbox_close(&box);
	}
	assert_int_equal(found, LAB_COUNT_OF(odd_folders));
	assert_int_equal(count, LAB_COUNT_OF(odd_folders));
}

static void names_of_folders_are_no_paths_and_no_patterns(void **state)
{
	struct node first, second;

	node_start(&first, *state, 0);
	node_run(&first, deliver_into_odd_folders);
	node_run(&first, find_odd_folders);
	node_start(&second, *state, 1);
	node_run(&second, find_odd_folders);
	node_stop(&second);
	node_crash(&first, FAULT_DISK_WIPE);
	node_run(&first, find_odd_folders);
	node_stop(&first);
}

/* ---- a user that was deleted and made again elsewhere (H-07) ---- */

static void deliver_old(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");

	deliver(inbox, "old");
	deliver(work, "old work");
	set_flag(inbox, 1, "\\Flagged");
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

static void delete_and_begin_anew(struct node *node)
{
	struct obox_mailbox *box;
	struct lab_error err;

	OK(obox_user_delete(node->user, &err));
	env_sleep(node->user->env, LAB_SEC);
	OK(obox_user_access(node->user, &err));
	box = box_open(node, "INBOX");
	deliver(box, "new");
	OK(obox_mailbox_show(box, &err));
	obox_mailbox_close(&box);
}

static void expect_new_only(struct node *node)
{
	struct obox_mailbox *box;
	struct obox_folder *folders;
	struct lab_view body;
	struct lab_error err;
	size_t count;

	OK(obox_user_access(node->user, &err));
	box = box_open(node, "INBOX");
	assert_int_equal(obox_mailbox_count(box), 1);
	OK(fetch(node, box, obox_mailbox_mail(box, 0)->uid, &body, &err));
	assert_view(body, "new");
	assert_false(obox_has_flag(box, obox_mailbox_mail(box, 0)->uid, LAB_VIEW("\\Flagged")));
	obox_mailbox_close(&box);
	/* What a stale list names may come back, but with nothing in it. */
	obox_folder_list(node->user, node->rig->arena, &folders, &count);
	for (size_t i = 0; i < count; i++)
		assert_true(strcmp(folders[i].name, "INBOX") == 0 ||
			    strcmp(folders[i].name, "Work") == 0);
	assert_int_equal(rig_forward_rows(node->rig), 1);
	assert_int_equal(mail_objects(node->rig), 1);
}

static void a_stale_metacache_brings_no_mail_of_a_deleted_user_back(void **state)
{
	struct node first, second;

	node_start(&first, *state, 0);
	node_run(&first, deliver_old);
	node_stop(&first);
	node_start(&second, *state, 1);
	node_run(&second, delete_and_begin_anew);
	/* The first has it all in its metacache. */
	node_start(&first, *state, 0);
	node_run(&first, expect_new_only);
	node_stop(&first);
	node_run(&second, expect_new_only);
	node_stop(&second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(bodies_come_back_byte_for_byte_from_cache_and_storage),
		RIG_UNIT_TEST(sizes_beyond_any_counter_are_refused_before_anything_is_stored),
		RIG_UNIT_TEST(a_large_mail_costs_a_few_times_its_size_and_gives_that_back),
		RIG_UNIT_TEST(a_size_that_is_wrong_in_the_index_does_no_harm_and_is_mended),
		RIG_UNIT_TEST(one_lost_object_leaves_the_rest_of_its_folder_alone),
		RIG_UNIT_TEST(an_orphaned_object_comes_into_no_folder),
		RIG_UNIT_TEST(sessions_that_expunge_the_same_mails_all_succeed_and_leave_nothing),
		RIG_UNIT_TEST(a_move_of_nothing_and_one_into_the_same_folder_end),
		RIG_UNIT_TEST(moves_beside_each_other_forget_no_expunge),
		RIG_UNIT_TEST(the_expunge_of_the_first_mail_has_a_modseq),
		RIG_UNIT_TEST(names_that_disagree_with_uids_renumber_nothing_unseen),
		RIG_UNIT_TEST(a_mail_of_a_late_clock_keeps_the_uids_that_were_shown),
		RIG_UNIT_TEST(a_body_in_the_cache_does_not_bring_an_expunged_mail_back),
		RIG_UNIT_TEST(
			a_backend_that_was_away_for_days_brings_its_flags_and_no_expunged_mail),
		RIG_UNIT_TEST(a_metacache_that_is_removed_under_a_session_is_made_anew),
		RIG_UNIT_TEST(names_of_folders_are_no_paths_and_no_patterns),
		RIG_UNIT_TEST(a_stale_metacache_brings_no_mail_of_a_deleted_user_back),
	};

	return cmocka_run_group_tests_name("obox-hazards", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders that are deleted while others use them, and each step of each change of the list failing
 * in each way.
 */
#include "core/obox/test-root.h"

/* ---- deleting ---- */

static void a_deleted_folder_takes_its_mails_along(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "INBOX", "stays");
	for (unsigned i = 0; i < 3; i++)
		done(&t.a, deliver_fn, "old", "goes");
	assert_int_equal(mail_objects(t.rig), 4);
	done(&t.a, delete_fn, "old", "");
	assert_int_equal(mail_objects(t.rig), 1);
	assert_int_equal(rig_forward_rows(t.rig), 1);
	assert_list(&t.b, "INBOX");
	fails(&t.b, delete_fn, "old", "", LAB_NOT_FOUND);
	fails(&t.b, delete_fn, "inbox", "", LAB_INVALID);
	two_stop(&t);
}

static void upload_bundle_fn(struct node *node)
{
	struct obox_mailbox *box = box_open(node, task.name);
	struct obox_bundle_file file = { .name = LAB_VIEW("x"), .content = LAB_VIEW("y") };
	struct obox_bundle_upload upload = {
		.kind = OBOX_BUNDLE_SELF, .files = &file, .file_count = 1, .reason = "test"
	};
	struct obox_bundles_settings settings = { .env = node->user->env,
		.fs = node->user->index_fs,
		.username = USER,
		.path = lab_arena_printf(node->rig->arena, "%s/mailboxes/%s/idx/", node->user->root,
			obox_mailbox_guid(box)),
		.mailbox_guid = obox_mailbox_guid(box) };
	struct obox_bundles *bundles = obox_bundles_new(&settings);
	struct obox_bundles_news news;

	OK(obox_bundles_refresh(bundles, "test", node->rig->arena, &news, &task.err));
	for (size_t i = 0; i < news.count; i++)
		obox_bundles_merged(bundles, &news.downloads[i]);
	OK(obox_bundles_upload(bundles, &upload, NULL, &task.err));
	obox_bundles_free(&bundles);
	obox_mailbox_close(&box);
	end_task(0);
}

static void a_deleted_folder_takes_its_bundles_along(void **state)
{
	static const char rows[] = "shared/dictdiffmap/" USER "/mailboxes/";
	struct two t;

	two_start(&t, *state);
	done(&t.a, upload_bundle_fn, "old", "");
	done(&t.b, access_fn, "", "");
	done(&t.b, upload_bundle_fn, "old", "");
	assert_int_equal(rig_row_count(t.rig, rows), 2);
	done(&t.a, delete_fn, "old", "");
	assert_int_equal(rig_row_count(t.rig, rows), 0);
	/* Only the root bundle is left. */
	assert_int_equal(rig_object_count(t.rig), 1);
	two_stop(&t);
}

static struct obox_mailbox *held;

static void hold_fn(struct node *node)
{
	end_task(obox_mailbox_open(node->user, lab_view_cstr(task.name), &held, &task.err));
}

/* Every change in the folder that a session has open. */
static void changes_in_held_are_refused(struct node *node)
{
	struct obox_save save = { .body = LAB_VIEW("late") };
	struct obox_result result;
	struct obox_saved saved;
	struct lab_error err;
	uint32_t uid = 1;

	FAILS(obox_save(held, &save, &saved, &err), LAB_NOT_FOUND);
	FAILS(obox_store(held, 1, LAB_VIEW("\\Seen"), true, &err), LAB_NOT_FOUND);
	FAILS(obox_expunge(held, &uid, 1, &result, &err), LAB_NOT_FOUND);
	FAILS(obox_copy(held, &uid, 1, held, &result, &err), LAB_NOT_FOUND);
	FAILS(obox_mailbox_rescan(held, &err), LAB_NOT_FOUND);
	assert_int_equal(result.err.code, LAB_NOT_FOUND);
	obox_mailbox_close(&held);
	end_task(0);
	(void)node;
}

static void a_session_that_has_a_deleted_folder_open_is_told(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "old", "one");
	done(&t.a, hold_fn, "old", "");
	done(&t.a, delete_fn, "old", "");
	done(&t.a, changes_in_held_are_refused, "", "");
	/* A delivery makes it anew. */
	done(&t.a, deliver_fn, "old", "two");
	assert_bodies(&t.a, "old", "two ");
	assert_bodies(&t.b, "old", "two ");
	/* And deleted elsewhere. */
	done(&t.a, hold_fn, "old", "");
	done(&t.b, delete_fn, "old", "");
	done(&t.a, access_fn, "", "");
	done(&t.a, changes_in_held_are_refused, "", "");
	two_stop(&t);
}

/* The other backend has deleted it, and this one has not heard of it yet. */
static void a_mail_that_is_saved_into_a_folder_deleted_elsewhere_is_not_lost(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "shared", "old");
	assert_bodies(&t.b, "shared", "old ");
	t.b.conf.metacache_close_delay_ns = 3600 * LAB_SEC;
	done(&t.a, delete_fn, "shared", "");
	done(&t.b, deliver_fn, "shared", "late");
	t.b.conf.metacache_close_delay_ns = 0;
	assert_list(&t.a, "");
	done(&t.b, access_fn, "", "");
	assert_bodies(&t.b, "shared", "late ");
	assert_bodies(&t.a, "shared", "late ");
	/* Nothing is left where it was. */
	assert_int_equal(rig_forward_rows(t.rig), 1);
	assert_true(rig_is_consistent(t.rig, MAILS, true));
	two_stop(&t);
}

struct accessing {
	struct node *node;
	unsigned done;
};

static void access_in_fiber(void *arg)
{
	struct accessing *accessing = arg;
	struct lab_error err;

	assert_int_equal(obox_user_access(accessing->node->user, &err), 0);
	accessing->done++;
}

static void access_in_parallel_fn(struct node *node)
{
	struct accessing accessing = { node, 0 };

	for (unsigned i = 0; i < 4; i++)
		OK(env_spawn(node->user->env, "access", access_in_fiber, &accessing, &task.err));
	env_sleep(node->user->env, 10 * LAB_SEC);
	assert_int_equal(accessing.done, 4);
	end_task(0);
}

static void sessions_at_once_save_it_once(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "shared", "old");
	assert_bodies(&t.b, "shared", "old ");
	t.b.conf.metacache_close_delay_ns = 3600 * LAB_SEC;
	done(&t.a, delete_fn, "shared", "");
	done(&t.b, deliver_fn, "shared", "late");
	t.b.conf.metacache_close_delay_ns = 0;
	done(&t.b, access_in_parallel_fn, "", "");
	assert_bodies(&t.b, "shared", "late ");
	assert_int_equal(rig_forward_rows(t.rig), 1);
	two_stop(&t);
}

static void many_mails_fn(struct node *node)
{
	struct obox_mailbox *box = box_open(node, task.name);

	for (unsigned i = 0; i < OBOX_BATCH + 3; i++)
		deliver(box, "late");
	obox_mailbox_close(&box);
	end_task(0);
}

static void also_if_there_are_many(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "shared", "old");
	assert_bodies(&t.b, "shared", "old ");
	done(&t.a, delete_fn, "shared", "");
	done(&t.b, many_mails_fn, "shared", "");
	assert_int_equal(rig_forward_rows(t.rig), OBOX_BATCH + 3);
	done(&t.b, access_in_parallel_fn, "", "");
	done(&t.b, access_fn, "", "");
	done(&t.a, status_fn, "shared", "");
	assert_int_equal(task.status.messages, OBOX_BATCH + 3);
	assert_int_equal(rig_forward_rows(t.rig), OBOX_BATCH + 3);
	two_stop(&t);
}

static void a_mail_that_cannot_be_saved_again_is_tried_again(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "shared", "old");
	assert_bodies(&t.b, "shared", "old ");
	t.b.conf.metacache_close_delay_ns = 3600 * LAB_SEC;
	done(&t.a, delete_fn, "shared", "");
	done(&t.b, deliver_fn, "shared", "late");
	t.b.conf.metacache_close_delay_ns = 0;
	t.rig->only = "/mails/";
	rig_fail_at(t.rig, 1, RIG_FAIL);
	t.rig->fail_from_then_on = true;
	done(&t.b, access_fn, "", "");
	assert_true(t.rig->fired);
	t.rig->only = NULL;
	t.rig->fail_from_then_on = false;
	rig_fail_at(t.rig, 0, RIG_FAIL);
	assert_bodies(&t.b, "shared", "late ");
	assert_bodies(&t.a, "shared", "late ");
	two_stop(&t);
}

/* ---- ... which crashes before it hears of it ---- */

static void wait_fn(struct node *node)
{
	OK(obox_user_access(node->user, &task.err));
	env_sleep(node->user->env, 130 * LAB_SEC);
	OK(obox_user_access(node->user, &task.err));
	/* In the background. */
	env_sleep(node->user->env, 5 * LAB_SEC);
	end_task(0);
}

/* B has saved "late" into "shared", which A has deleted. */
static void save_late(struct two *t)
{
	done(&t->a, deliver_fn, "shared", "old");
	assert_bodies(&t->b, "shared", "old ");
	t->b.conf.metacache_close_delay_ns = 3600 * LAB_SEC;
	done(&t->a, delete_fn, "shared", "");
	done(&t->b, deliver_fn, "shared", "late");
	t->b.conf.metacache_close_delay_ns = 0;
}

static void what_it_saved_is_found_by_whoever_deleted_the_folder(void **state)
{
	struct two t;

	two_start(&t, *state);
	save_late(&t);
	node_crash(&t.b, FAULT_DISK_WIPE);
	done(&t.a, wait_fn, "", "");
	assert_bodies(&t.a, "shared", "late ");
	assert_int_equal(rig_forward_rows(t.rig), 1);
	assert_bodies(&t.b, "shared", "late ");
	assert_true(rig_is_consistent(t.rig, MAILS, true));
	two_stop(&t);
}

static void or_by_itself_when_it_is_back(void **state)
{
	struct two t;

	two_start(&t, *state);
	save_late(&t);
	node_crash(&t.b, FAULT_DISK_WIPE);
	done(&t.b, wait_fn, "", "");
	assert_bodies(&t.b, "shared", "late ");
	assert_bodies(&t.a, "shared", "late ");
	assert_int_equal(rig_forward_rows(t.rig), 1);
	two_stop(&t);
}

/* What the deletion could not remove is older than it. */
static void what_a_deletion_left_is_removed_later(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "shared", "old");
	t.rig->only = "/mails/";
	rig_fail_at(t.rig, 1, RIG_FAIL);
	t.rig->fail_from_then_on = true;
	done(&t.a, delete_fn, "shared", "");
	t.rig->only = NULL;
	t.rig->fail_from_then_on = false;
	rig_fail_at(t.rig, 0, RIG_FAIL);
	done(&t.a, wait_fn, "", "");
	assert_list(&t.a, "");
	assert_list(&t.b, "");
	assert_int_equal(rig_forward_rows(t.rig), 0);
	two_stop(&t);
}

static void day_fn(struct node *node)
{
	env_sleep(node->user->env, 24 * 3600 * LAB_SEC);
	end_task(0);
}

/* A day later nobody looks any more: every backend has heard of it. */
static void a_deletion_is_not_looked_after_for_ever(void **state)
{
	struct two t;
	unsigned before;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "shared", "old");
	done(&t.a, delete_fn, "shared", "");
	before = t.rig->counts.iterations;
	done(&t.a, wait_fn, "", "");
	assert_true(t.rig->counts.iterations - before > 4);
	done(&t.a, day_fn, "", "");
	before = t.rig->counts.iterations;
	done(&t.a, wait_fn, "", "");
	/* The root's two listings, twice. */
	assert_int_equal(t.rig->counts.iterations - before, 4);
	two_stop(&t);
}

/* ---- each step failing in each way ---- */

struct sweep {
	struct rig *rig;
	enum rig_fault fault;
	unsigned n;
	bool from_then_on, fired;
};

typedef void (*sweep_fn)(struct sweep *s);

static void arm(struct sweep *s)
{
	rig_fail_at(s->rig, s->n, s->fault);
	s->rig->fail_from_then_on = s->from_then_on;
}

static void disarm(struct sweep *s)
{
	s->fired = s->rig->fired;
	rig_fail_at(s->rig, 0, s->fault);
	s->rig->fail_from_then_on = false;
	rig_apply_late(s->rig);
}

static struct sweep *current;

static const char *where(void)
{
	static char text[600];

	snprintf(text, sizeof(text), "step %u, %s%s: %s", current->n,
		rig_fault_name(current->fault), current->from_then_on ? " from then on" : "",
		task.err.message);
	return text;
}

/* Until n is beyond the last step. Returns how many steps there are. */
static unsigned sweep(sweep_fn fn)
{
	unsigned fired = 0;

	for (unsigned i = 0; i < 2 * RIG_FAULT_COUNT; i++) {
		struct sweep s = { .fault = (enum rig_fault)(i / 2), .from_then_on = i % 2 == 1 };
		bool is_over = false;

		for (s.n = 1; !is_over; s.n++) {
			s.rig = rig_new();
			current = &s;
			fn(&s);
			is_over = !s.fired;
			fired += !is_over;
			rig_free(&s.rig);
			assert_true(s.n < 100);
		}
	}
	return fired / (2 * RIG_FAULT_COUNT);
}

static void bring_back(struct node *node)
{
	if (!world_is_up(node->rig->hosts[node->host].host))
		revive(node);
}

/* The other backend has the folder open and knows all that was there: only a mark tells it to look
 * again. */
static void sweep_delivery(struct sweep *s)
{
	struct two t;
	bool acked;

	two_start(&t, s->rig);
	done(&t.a, deliver_fn, "INBOX", "1");
	assert_bodies(&t.b, "INBOX", "1 ");
	done(&t.b, deliver_fn, "INBOX", "2");
	arm(s);
	do_task(&t.a, deliver_fn, "INBOX", "3");
	acked = task.has_ended && task.result >= 0;
	disarm(s);
	if (task.has_ended && task.err.code != LAB_OK && task.err.code != LAB_UNCERTAIN) {
		assert_bodies(&t.b, "INBOX", "1 2 ");
		done(&t.a, deliver_fn, "INBOX", "3");
		acked = true;
	}
	/* The one that saved it is gone for good. */
	if (acked)
		assert_bodies(&t.b, "INBOX", "1 2 3 ");
	done(&t.b, deliver_fn, "INBOX", "4");
	bring_back(&t.a);
	done(&t.a, deliver_fn, "INBOX", "5");
	do_task(&t.b, bodies_fn, "INBOX", NULL);
	if (strcmp(task.text, "1 2 3 4 5 ") != 0 && (acked || strcmp(task.text, "1 2 4 5 ") != 0))
		fail_msg("%s: %s", where(), task.text);
	assert_true(rig_is_consistent(s->rig, MAILS, true));
	two_stop(&t);
}

static void an_acknowledged_mail_is_found_by_another_backend(void **state)
{
	(void)state;
	/* Refresh, GET, mark, folder, mail. */
	assert_true(sweep(sweep_delivery) >= 10);
}

static struct {
	node_fn fn;
	const char *name, *other, *before, *after;
} change;

static bool is_followed_by_zz(const char *text)
{
	size_t len = strlen(text);

	return strncmp(task.text, text, len) == 0 && strcmp(task.text + len, " zz") == 0;
}

static void sweep_change(struct sweep *s)
{
	bool may_be_old, may_be_new;
	struct two t;

	two_start(&t, s->rig);
	done(&t.a, create_fn, "a", "");
	done(&t.a, deliver_fn, "a/b", "mail");
	done(&t.b, deliver_fn, "INBOX", "mail");
	done(&t.a, access_fn, "", "");
	arm(s);
	do_task(&t.a, change.fn, change.name, change.other);
	disarm(s);
	may_be_old = !task.has_ended || task.err.code != LAB_OK;
	may_be_new = !task.has_ended || task.err.code == LAB_OK || task.err.code == LAB_UNCERTAIN;
	bring_back(&t.a);
	do_task(&t.b, list_fn, NULL, NULL);
	if (!(may_be_old && strcmp(task.text, change.before) == 0) &&
		!(may_be_new && strcmp(task.text, change.after) == 0))
		fail_msg("%s: %s", where(), task.text);
	/* Whatever it is: both agree once the next change is made. */
	done(&t.a, create_fn, "zz", "");
	do_task(&t.b, list_fn, NULL, NULL);
	if (!(may_be_old && is_followed_by_zz(change.before)) &&
		!(may_be_new && is_followed_by_zz(change.after)))
		fail_msg("%s, in the end: %s", where(), task.text);
	{
		char seen[1000];

		memcpy(seen, task.text, sizeof(seen));
		do_task(&t.a, list_fn, NULL, NULL);
		if (strcmp(task.text, seen) != 0)
			fail_msg("%s: %s there, %s here", where(), seen, task.text);
	}
	assert_true(rig_is_consistent(s->rig, MAILS, true));
	two_stop(&t);
}

static void a_folder_is_made_or_not(void **state)
{
	(void)state;
	change.fn = create_fn;
	change.name = "new", change.other = "\\Junk";
	change.before = "INBOX a a/b", change.after = "INBOX a a/b new\\Junk";
	assert_true(sweep(sweep_change) >= 3);
}

static void a_folder_is_renamed_or_not(void **state)
{
	(void)state;
	change.fn = rename_fn;
	change.name = "a", change.other = "x";
	change.before = "INBOX a a/b", change.after = "INBOX x x/b";
	assert_true(sweep(sweep_change) >= 3);
}

static void a_folder_is_deleted_or_not(void **state)
{
	(void)state;
	change.fn = delete_fn;
	change.name = "a/b", change.other = "";
	change.before = "INBOX a a/b", change.after = "INBOX a";
	assert_true(sweep(sweep_change) >= 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_deleted_folder_takes_its_mails_along),
		RIG_UNIT_TEST(a_deleted_folder_takes_its_bundles_along),
		RIG_UNIT_TEST(a_session_that_has_a_deleted_folder_open_is_told),
		RIG_UNIT_TEST(a_mail_that_is_saved_into_a_folder_deleted_elsewhere_is_not_lost),
		RIG_UNIT_TEST(sessions_at_once_save_it_once),
		RIG_UNIT_TEST(also_if_there_are_many),
		RIG_UNIT_TEST(a_mail_that_cannot_be_saved_again_is_tried_again),
		RIG_UNIT_TEST(what_it_saved_is_found_by_whoever_deleted_the_folder),
		RIG_UNIT_TEST(or_by_itself_when_it_is_back),
		RIG_UNIT_TEST(what_a_deletion_left_is_removed_later),
		RIG_UNIT_TEST(a_deletion_is_not_looked_after_for_ever),
		cmocka_unit_test(an_acknowledged_mail_is_found_by_another_backend),
		cmocka_unit_test(a_folder_is_made_or_not),
		cmocka_unit_test(a_folder_is_renamed_or_not),
		cmocka_unit_test(a_folder_is_deleted_or_not),
	};

	return cmocka_run_group_tests_name("obox-folder", tests, NULL, NULL);
}

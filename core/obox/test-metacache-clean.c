/* SPDX-License-Identifier: Apache-2.0
 *
 * Space: which local indexes are removed, that nothing is lost with them, and when users are
 * refused.
 */
#include "core/obox/test-support.h"

#include "core/obox/metacache.h"

#define MAX_SPACE 20000
/* The root's file stays while its user is open. */
#define ROOT_BYTES (19 + strlen(USER))
#define CLEANED(rig) ((rig)->counts.events[LAB_EV_metacache_user_clean_finished])

static struct metacache *metacache_of(const struct node *node)
{
	return backend_get_metacache(node->backend);
}

static void start_small_on(struct node *node, struct rig *rig, unsigned host)
{
	node_init(node, rig, host);
	node->conf.metacache_max_space = MAX_SPACE;
	node->conf.metacache_max_grace = MAX_SPACE;
	node->conf.obox_max_rescan_mail_count = 1000;
	rig_boot(rig, host);
	node_run(node, node_start_user);
}

static void start_small(struct node *node, struct rig *rig)
{
	start_small_on(node, rig, 0);
}

static void run_small(struct rig *rig, node_fn fn)
{
	struct node node;

	start_small(&node, rig);
	node_run(&node, fn);
	node_stop(&node);
}

static void fill(struct node *node, const char *name, unsigned count)
{
	struct obox_mailbox *box = box_open(node, name);

	for (unsigned i = 0; i < count; i++)
		deliver(box, "x");
	obox_mailbox_close(&box);
	env_sleep(node->user->env, LAB_SEC);
}

static bool is_local(struct node *node, const char *name)
{
	struct lab_map_iter iter = lab_map_iterate(node->user->folders);
	struct lab_view guid;
	void *value;

	while (lab_map_next(&iter, &guid, &value)) {
		if (strcmp(((struct obox_mailbox *)value)->name, name) == 0)
			return true;
	}
	return false;
}

/* ---- in the background ---- */

static void use_three_folders(struct node *node)
{
	struct obox_mailbox *box;

	/* About 91 bytes for each mail. */
	fill(node, "Old", 80);
	env_sleep(node->user->env, 60 * LAB_MINUTE);
	fill(node, "INBOX", 60);
	assert_int_equal(CLEANED(node->rig), 0);
	assert_true(metacache_used(metacache_of(node)) > 10000);
	fill(node, "New", 100);
	assert_true(CLEANED(node->rig) >= 1);
	assert_true(metacache_used(metacache_of(node)) <= MAX_SPACE);
	/* INBOX was used an hour after Old; New has not the priority of INBOX, but is of the same
	 * group as Old. */
	assert_false(is_local(node, "Old"));
	assert_true(is_local(node, "INBOX"));
	box = box_open(node, "Old");
	assert_int_equal(obox_mailbox_count(box), 80);
	assert_int_equal(obox_mailbox_uidnext(box), 81);
	/* From its bundle, with all that is not in the listing. */
	assert_int_equal(obox_mailbox_mail(box, 59)->size, 1);
	obox_mailbox_close(&box);
}

static void above_the_limit_the_lightest_indexes_go(void **state)
{
	run_small(*state, use_three_folders);
}

static void keep_one_open(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "Old");

	for (unsigned i = 0; i < 250; i++)
		deliver(box, "x");
	env_sleep(node->user->env, LAB_SEC);
	assert_true(metacache_used(metacache_of(node)) > MAX_SPACE);
	assert_true(is_local(node, "Old"));
	assert_int_equal(obox_mailbox_count(box), 250);
	obox_mailbox_close(&box);
	assert_int_equal(metacache_clean(metacache_of(node), METACACHE_SPECIAL, ROOT_BYTES), 1);
	assert_false(is_local(node, "Old"));
	assert_int_equal(metacache_used(metacache_of(node)), ROOT_BYTES);
}

static void what_is_in_use_stays(void **state)
{
	run_small(*state, keep_one_open);
}

static void fail_to_upload(struct node *node)
{
	fill(node, "Old", 30);
	node->rig->only = "/idx/";
	rig_fail_at(node->rig, 1, RIG_FAIL);
	assert_int_equal(metacache_clean(metacache_of(node), METACACHE_SPECIAL, 0), 0);
	assert_true(node->rig->fired);
	assert_true(is_local(node, "Old"));
	rig_fail_at(node->rig, 0, RIG_FAIL);
	/* Only what has at least that priority. */
	fill(node, "INBOX", 3);
	assert_int_equal(metacache_clean(metacache_of(node), METACACHE_OTHER, 0), 0);
	assert_false(is_local(node, "Old"));
	assert_true(is_local(node, "INBOX"));
}

static void what_cannot_be_uploaded_stays(void **state)
{
	run_small(*state, fail_to_upload);
}

struct opener {
	struct node *node;
	size_t count;
};

static void open_in_fiber(void *arg)
{
	struct opener *opener = arg;
	struct obox_mailbox *box = box_open(opener->node, "Old");

	opener->count = obox_mailbox_count(box);
	obox_mailbox_close(&box);
}

static void open_while_cleaned(struct node *node)
{
	struct opener opener = { .node = node };
	struct lab_error err;

	fill(node, "Old", 30);
	node->rig->delay_ns = 100 * LAB_MSEC;
	OK(env_spawn(node->user->env, "open", open_in_fiber, &opener, &err));
	(void)metacache_clean(metacache_of(node), METACACHE_SPECIAL, 0);
	env_sleep(node->user->env, 60 * LAB_SEC);
	assert_int_equal(opener.count, 30);
	fill(node, "Old", 1);
	open_in_fiber(&opener);
	assert_int_equal(opener.count, 31);
}

static void whoever_comes_meanwhile_waits(void **state)
{
	run_small(*state, open_while_cleaned);
}

/* ---- when nothing helps ---- */

static void fill_beyond_grace(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_user *user;
	struct lab_error err;

	for (unsigned i = 0; i < 500; i++)
		deliver(box, "x");
	assert_true(metacache_is_full(metacache_of(node)));
	FAILS(backend_user_open(node->backend, LAB_VIEW("other@example.com"), &user, &err),
		LAB_NO_SPACE);
	/* Those who are here go on. */
	deliver(box, "x");
	obox_mailbox_close(&box);
	assert_int_equal(metacache_clean(metacache_of(node), METACACHE_SPECIAL, ROOT_BYTES), 1);
	assert_false(metacache_is_full(metacache_of(node)));
}

static void beyond_the_grace_no_user_is_opened(void **state)
{
	run_small(*state, fill_beyond_grace);
}

/* What the last look showed. */
static struct {
	uint64_t highest, first;
	uint32_t uidvalidity;
} shown;

static void look(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	shown.highest = obox_mailbox_highest_modseq(box);
	shown.first = obox_mailbox_modseq(box, 1);
	shown.uidvalidity = obox_mailbox_uidvalidity(box);
	obox_mailbox_close(&box);
}

static void clean_all(struct node *node)
{
	assert_int_equal(metacache_clean(metacache_of(node), METACACHE_SPECIAL, ROOT_BYTES), 1);
	assert_false(is_local(node, "INBOX"));
}

static void flush(struct node *node)
{
	struct lab_error err;

	OK(obox_user_flush(node->user, false, "test", &err));
}

static void rescan_and_flush(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	flush(node);
	obox_mailbox_close(&box);
}

static void save_three(struct node *node)
{
	fill(node, "INBOX", 3);
	flush(node);
}

/* Knows nothing of what the other one shows. */
static void flag_the_first(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_store(box, 1, LAB_VIEW("\\Flagged"), true, &err));
	flush(node);
	obox_mailbox_close(&box);
}

static void modseqs_stay_above_what_was_shown_before_a_clean(void **state)
{
	struct node writer, reader;
	unsigned puts;
	uint64_t before;

	node_start(&writer, *state, 0);
	node_run(&writer, save_three);
	start_small_on(&reader, *state, 1);
	node_run(&reader, look);
	before = shown.highest;
	node_run(&reader, clean_all);
	node_run(&writer, flag_the_first);
	node_run(&reader, look);
	assert_true(shown.first > before);
	assert_true(shown.highest > before);
	/* Once everything that was shown is in bundles, coming back costs no upload. */
	node_run(&reader, clean_all);
	node_run(&reader, look);
	before = shown.highest;
	puts = reader.rig->counts.puts;
	node_run(&reader, clean_all);
	node_run(&reader, look);
	assert_int_equal(shown.highest, before);
	assert_int_equal(reader.rig->counts.puts, puts);
	node_stop(&reader);
	node_stop(&writer);
}

static void rescan(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	obox_mailbox_close(&box);
}

/* A second after it began anew: its modseqs are above all that the other one gave. */
static void flag_the_second(struct node *node)
{
	struct obox_mailbox *box;
	struct lab_error err;

	env_sleep(node->user->env, LAB_SEC);
	box = box_open(node, "INBOX");
	OK(obox_store(box, 2, LAB_VIEW("\\Flagged"), true, &err));
	flush(node);
	obox_mailbox_close(&box);
}

/* What a merge gave here is in no bundle, although there is one with higher modseqs. */
static void modseqs_of_merges_stay_above_what_was_shown(void **state)
{
	struct node writer, reader;
	uint64_t before, first;

	node_start(&writer, *state, 0);
	node_run(&writer, save_three);
	start_small_on(&reader, *state, 1);
	node_run(&reader, look);
	before = shown.highest;
	node_run(&writer, flag_the_first);
	node_run(&reader, rescan);
	node_run(&reader, look);
	first = shown.first;
	assert_true(first > before);
	node_crash(&writer, FAULT_DISK_WIPE);
	node_run(&writer, flag_the_second);
	node_run(&reader, rescan);
	node_run(&reader, look);
	assert_true(shown.highest > first);
	assert_int_equal(shown.first, first);
	node_run(&reader, clean_all);
	node_run(&reader, look);
	assert_int_equal(shown.first, first);
	node_stop(&reader);
	node_stop(&writer);
}

/* Each has made the folder; the other's merge settles it while this one is away. */
static void what_changed_while_it_was_away_is_said(void **state)
{
	struct node lower, higher;
	unsigned *said;
	uint32_t mine;

	start_small(&lower, *state);
	node_init(&higher, *state, 1);
	/* It has a base, which takes the place of what the other one had said. */
	higher.settings.self_bundle_max = 1;
	rig_boot(*state, 1);
	node_run(&higher, node_start_user);
	world_clock_offset(higher.rig->hosts[1].host, 100 * 1000 * 1000);
	said = &lower.rig->counts.events[LAB_EV_obox_index_merge_uidvalidity_changed];
	node_run(&higher, look);
	node_run(&lower, save_three);
	node_run(&lower, look);
	mine = shown.uidvalidity;
	node_run(&lower, clean_all);
	node_run(&higher, rescan_and_flush);
	assert_int_equal(*said, 1);
	node_run(&lower, look);
	assert_true(shown.uidvalidity > mine);
	assert_int_equal(*said, 2);
	node_stop(&higher);
	node_stop(&lower);
}

/* UID 4, of which the other one does not know. */
static void save_the_fourth(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	deliver(box, "x");
	assert_int_equal(obox_mailbox_mail(box, 3)->uid, 4);
	obox_mailbox_close(&box);
}

/* Its own goes, and the other's has UID 5 here. */
static void expunge_the_fourth(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct obox_result result;
	struct lab_error err;
	uint32_t uid = 4;

	OK(obox_mailbox_rescan(box, &err));
	OK(obox_expunge(box, &uid, 1, &result, &err));
	assert_int_equal(obox_mailbox_count(box), 4);
	assert_int_equal(obox_mailbox_mail(box, 3)->uid, 5);
	flush(node);
	obox_mailbox_close(&box);
}

static void has_the_fourth_as_the_fifth(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");

	assert_int_equal(obox_mailbox_count(box), 4);
	assert_int_equal(obox_mailbox_mail(box, 3)->uid, 5);
	obox_mailbox_close(&box);
}

static uint32_t shown_uidvalidity;

/* Its list of folders has heard of a higher one. */
static void show_it_empty(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	shown_uidvalidity = obox_mailbox_uidvalidity(box) + 5;
	list_hears(node, box, shown_uidvalidity);
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_uidvalidity(box), shown_uidvalidity);
	obox_mailbox_close(&box);
}

static void has_three_under_the_same(struct node *node)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct lab_error err;

	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_mailbox_uidvalidity(box), shown_uidvalidity);
	assert_int_equal(obox_mailbox_count(box), 3);
	flush(node);
	obox_mailbox_close(&box);
}

static void a_uidvalidity_that_was_shown_is_not_decreased(void **state)
{
	struct node here, other;
	const unsigned *said;

	start_small_on(&here, *state, 0);
	start_small_on(&other, *state, 1);
	said = &here.rig->counts.events[LAB_EV_obox_index_merge_uidvalidity_changed];
	node_run(&here, show_it_empty);
	node_run(&here, clean_all);
	node_run(&other, save_three);
	node_run(&here, has_three_under_the_same);
	assert_true(*said > 0);
	node_run(&other, has_three_under_the_same);
	node_stop(&other);
	node_stop(&here);
}

/* In which order it reads the bundles does not matter. */
static void a_mail_that_has_another_uid_when_it_comes_back_is_said(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct node here, other;
		unsigned *said;

		start_small_on(&here, *state, i);
		start_small_on(&other, *state, 1 - i);
		said = &here.rig->counts.events[LAB_EV_obox_index_merge_uids_renumbered];
		node_run(&here, save_three);
		node_run(&other, look);
		node_run(&other, save_the_fourth);
		node_run(&here, save_the_fourth);
		node_run(&other, expunge_the_fourth);
		assert_int_equal(*said, 0);
		node_run(&here, clean_all);
		assert_int_equal(*said, 0);
		node_run(&here, has_the_fourth_as_the_fifth);
		assert_int_equal(*said, 1);
		/* Nothing is said of what it was before. */
		node_run(&here, clean_all);
		node_run(&here, has_the_fourth_as_the_fifth);
		assert_int_equal(*said, 1);
		node_stop(&other);
		node_stop(&here);
		(void)rig_teardown(state);
		(void)rig_setup(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(above_the_limit_the_lightest_indexes_go),
		RIG_UNIT_TEST(what_is_in_use_stays),
		RIG_UNIT_TEST(what_cannot_be_uploaded_stays),
		RIG_UNIT_TEST(whoever_comes_meanwhile_waits),
		RIG_UNIT_TEST(beyond_the_grace_no_user_is_opened),
		RIG_UNIT_TEST(modseqs_stay_above_what_was_shown_before_a_clean),
		RIG_UNIT_TEST(modseqs_of_merges_stay_above_what_was_shown),
		RIG_UNIT_TEST(what_changed_while_it_was_away_is_said),
		RIG_UNIT_TEST(a_mail_that_has_another_uid_when_it_comes_back_is_said),
		RIG_UNIT_TEST(a_uidvalidity_that_was_shown_is_not_decreased),
	};

	return cmocka_run_group_tests_name("metacache-clean", tests, NULL, NULL);
}

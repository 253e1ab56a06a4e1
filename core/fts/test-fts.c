/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fts/test-support.h"

#define MAIL_A "Subject: apples\nFrom: ann@example.com\n\nred fruit"
#define MAIL_B "Subject: pears\nFrom: bob@example.com\n\ngreen fruit"
#define MAIL_C "Subject: cherries\nFrom: ann@example.com\n\nred, small"

/* Runs in a fiber of the searcher's host, with INBOX open. */
typedef void (*searcher_fn)(struct searcher *s, struct obox_mailbox *inbox);
static searcher_fn now;

static void in_fiber(struct node *node)
{
	struct searcher *s = (struct searcher *)(void *)node;
	struct obox_mailbox *inbox = box_open(&s->node, "INBOX");

	now(s, inbox);
	obox_mailbox_close(&inbox);
}

static void run(struct searcher *s, searcher_fn fn)
{
	now = fn;
	node_run(&s->node, in_fiber);
}

static void deliver_three(struct searcher *s, struct obox_mailbox *inbox)
{
	(void)s;
	assert_int_equal(deliver(inbox, MAIL_A), 1);
	assert_int_equal(deliver(inbox, MAIL_B), 2);
	assert_int_equal(deliver(inbox, MAIL_C), 3);
}

/* ---- searching ---- */

static void search_words(struct searcher *s, struct obox_mailbox *inbox)
{
	assert_found(s, inbox, FTS_TEXT, "red", "1 3 ");
	assert_found(s, inbox, FTS_TEXT, "FRUIT", "1 2 ");
	assert_found(s, inbox, FTS_TEXT, "red fruit", "1 ");
	assert_found(s, inbox, FTS_TEXT, "fruit small", "");
	assert_found(s, inbox, FTS_TEXT, "re", "");
	assert_found(s, inbox, FTS_TEXT, "ann@example.com", "1 3 ");
	assert_found(s, inbox, FTS_HEADER, "red", "");
	assert_found(s, inbox, FTS_HEADER, "pears", "2 ");
	assert_found(s, inbox, FTS_BODY, "pears", "");
	assert_found(s, inbox, FTS_BODY, "small", "3 ");
	assert_found(s, inbox, FTS_TEXT, "zebra", "");
}

static void nothing_is_no_query(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;
	uint32_t *uids;
	size_t count;

	FAILS(fts_search(s->fts, s->node.user, inbox, FTS_TEXT, LAB_VIEW(" ,"), s->node.rig->arena,
		      &uids, &count, &err),
		LAB_INVALID);
}

static void flush_it(struct searcher *s, struct obox_mailbox *inbox)
{
	(void)inbox;
	flush_all(s);
}

static void a_search_finds_exactly_the_mails_with_the_words(void **state)
{
	struct rig *rig = *state;
	struct searcher s = { .fts = NULL };

	searcher_start(&s, rig, 0);
	run(&s, deliver_three);
	run(&s, search_words);
	run(&s, nothing_is_no_query);
	/* The newest triplet is on the local disk only. */
	assert_int_equal(stored(rig, 'D'), 0);
	run(&s, flush_it);
	assert_int_equal(stored(rig, 'D'), 1);
	assert_int_equal(stored(rig, 'W'), 1);
	assert_int_equal(stored(rig, 'L'), 1);
	assert_int_equal(stored(rig, 'S'), 1);
	assert_int_equal(rig_row_count(rig, FTS_ROWS), 4);
	run(&s, search_words);
	searcher_restart(&s);
	run(&s, search_words);
	searcher_stop(&s);
	assert_int_equal(rig_row_count(rig, FTS_ROWS), 4);
}

static void search_prefix(struct searcher *s, struct obox_mailbox *inbox)
{
	assert_found(s, inbox, FTS_TEXT, "fru", "1 2 ");
	assert_found(s, inbox, FTS_TEXT, "r", "1 3 ");
	assert_found(s, inbox, FTS_TEXT, "sma che", "3 ");
}

static void with_prefixes_words_are_found_by_their_beginning(void **state)
{
	struct searcher s = { .has_prefix = true };

	searcher_start(&s, *state, 0);
	run(&s, deliver_three);
	run(&s, search_prefix);
	run(&s, flush_it);
	searcher_restart(&s);
	run(&s, search_prefix);
	searcher_stop(&s);
}

/* ---- expunges ---- */

static void expunge_two(struct searcher *s, struct obox_mailbox *inbox)
{
	expunge(s, inbox, 1, true);
	expunge(s, inbox, 3, true);
	assert_found(s, inbox, FTS_TEXT, "red", "");
	assert_found(s, inbox, FTS_TEXT, "fruit", "2 ");
	assert_check(s, "synced 1, synced_expunged 2");
}

static void only_one_is_left(struct searcher *s, struct obox_mailbox *inbox)
{
	flush_all(s);
	assert_found(s, inbox, FTS_TEXT, "fruit", "2 ");
	assert_check(s, "synced 1");
}

static void expunged_mails_leave_the_index(void **state)
{
	struct rig *rig = *state;
	struct searcher s = { .fts = NULL };

	searcher_start(&s, rig, 0);
	run(&s, deliver_three);
	run(&s, search_words);
	run(&s, flush_it);
	run(&s, expunge_two);
	run(&s, only_one_is_left);
	/* What was small was written anew, so there was nothing to be kept in X. */
	assert_int_equal(stored(rig, 'D'), 1);
	assert_int_equal(stored(rig, 'X'), 0);
	searcher_stop(&s);
}

static void expunge_from_large(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;
	struct fts_user *user = fts_user_of(s);

	expunge(s, inbox, 1, true);
	flush_all(s);
	assert_int_equal(stored(s->node.rig, 'X'), 1);
	assert_check(s, "synced 2, synced_expunged 1");
	assert_found(s, inbox, FTS_TEXT, "red", "3 ");
	/* Triplets that are put together lose it, and Y says so. */
	(void)deliver(inbox, MAIL_C);
	OK(fts_index(s->fts, s->node.user, inbox, &err));
	flush_all(s);
	assert_int_equal(stored(s->node.rig, 'D'), 1);
	assert_int_equal(stored(s->node.rig, 'Y'), 1);
	assert_int_equal(lab_map_count(user->expunges), 0);
	assert_check(s, "synced 3");
	assert_found(s, inbox, FTS_TEXT, "red", "3 4 ");
}

static void expunges_of_large_triplets_are_kept_in_x_and_y(void **state)
{
	struct searcher s = { .min_merge = 1 };

	searcher_start(&s, *state, 0);
	run(&s, deliver_three);
	run(&s, search_words);
	run(&s, flush_it);
	run(&s, expunge_from_large);
	searcher_restart(&s);
	assert_int_equal(stored(*state, 'Y'), 1);
	searcher_stop(&s);
}

static void fill_y(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;

	for (unsigned i = 0; i < 24; i++) {
		uint32_t uid = deliver(inbox, "Subject: x\n\nsoon gone");

		OK(fts_index(s->fts, s->node.user, inbox, &err));
		flush_all(s);
		expunge(s, inbox, uid, true);
		flush_all(s);
	}
	assert_found(s, inbox, FTS_TEXT, "gone", "");
	/* The last one is in the triplet still. X was reduced, and Y removed. */
	assert_check(s, "synced 3, synced_expunged 1");
	assert_true(stored(s->node.rig, 'X') + stored(s->node.rig, 'Y') <= 10);
}

static void when_y_is_large_x_is_reduced_and_y_removed(void **state)
{
	struct searcher s = { .min_merge = 1 };

	searcher_start(&s, *state, 0);
	run(&s, deliver_three);
	run(&s, search_words);
	run(&s, fill_y);
	searcher_stop(&s);
}

/* ---- flushing and merging ---- */

static void deliver_eleven(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;

	for (unsigned i = 0; i < 11; i++) {
		(void)deliver(inbox, MAIL_A);
		OK(fts_index(s->fts, s->node.user, inbox, &err));
		assert_int_equal(stored(s->node.rig, 'D'), i >= 9);
	}
	assert_int_equal(fts_builder_mails(fts_user_of(s)->newest), 1);
}

static void the_newest_triplet_is_flushed_after_so_many_mails(void **state)
{
	struct searcher s = { .flush_interval = 10 };

	searcher_start(&s, *state, 0);
	run(&s, deliver_eleven);
	searcher_stop(&s);
}

static void deliver_and_count(struct searcher *s, struct obox_mailbox *inbox)
{
	unsigned puts = s->node.rig->counts.puts;
	struct lab_error err;

	(void)deliver(inbox, MAIL_A);
	puts = s->node.rig->counts.puts;
	OK(fts_index(s->fts, s->node.user, inbox, &err));
	assert_int_equal(s->node.rig->counts.puts - puts, 3);
	(void)deliver(inbox, MAIL_B);
	puts = s->node.rig->counts.puts;
	OK(fts_index(s->fts, s->node.user, inbox, &err));
	assert_int_equal(s->node.rig->counts.puts - puts, 3);
	assert_int_equal(stored(s->node.rig, 'D'), 1);
	assert_found(s, inbox, FTS_TEXT, "fruit", "1 2 ");
}

static void without_fts_cache_each_indexing_writes_objects(void **state)
{
	struct searcher s = { .uri = FTS_FS_PLAIN };

	searcher_start(&s, *state, 0);
	run(&s, deliver_and_count);
	searcher_stop(&s);
	assert_int_equal(stored(*state, 'D'), 1);
}

static void many_triplets(struct searcher *s, struct obox_mailbox *inbox)
{
	struct fts_user *user = fts_user_of(s);
	struct lab_error err;
	uint32_t *uids;
	size_t count;

	/* Two that were never put together, as many backends leave them. */
	for (unsigned i = 0; i < 2; i++) {
		(void)deliver(inbox, MAIL_A);
		OK(fts_index(s->fts, s->node.user, inbox, &err));
		fts_user_lock(user);
		user->fts->conf = &s->node.conf;
		fts_user_count_newest(user, false);
		fts_builder_free(&user->newest);
		user->newest = fts_builder_new(user->env->heap);
		user->newest_is_saved = false;
		OK(fts_refresh(user, &err));
		fts_user_unlock(user);
	}
	assert_int_equal(lab_map_count(user->triplets), 2);
	FAILS(fts_search(s->fts, s->node.user, inbox, FTS_TEXT, LAB_VIEW("red"), s->node.rig->arena,
		      &uids, &count, &err),
		LAB_LIMIT);
	assert_int_equal(s->node.rig->counts.events[LAB_EV_fts_dovecot_too_many_triplets], 1);
	s->node.conf.fts_dovecot_max_triplets = 2;
	assert_found(s, inbox, FTS_TEXT, "red", "1 2 ");
}

static void too_many_triplets_fail_a_lookup(void **state)
{
	struct searcher s = { .max_triplets = 1 };

	searcher_start(&s, *state, 0);
	run(&s, many_triplets);
	searcher_stop(&s);
}

/* ---- crashes, backends, damage ---- */

static void all_are_synced(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;

	OK(fts_index(s->fts, s->node.user, inbox, &err));
	flush_all(s);
	assert_check(s, "synced 3");
	assert_int_equal(stored(s->node.rig, 'D'), 1);
	assert_int_equal(stored(s->node.rig, 'W'), 1);
	assert_int_equal(stored(s->node.rig, 'L'), 1);
	assert_int_equal(stored(s->node.rig, 'S'), 1);
}

static void all_are_missing(struct searcher *s, struct obox_mailbox *inbox)
{
	(void)inbox;
	assert_check(s, "missing 3");
}

static void a_crash_loses_the_newest_triplet_and_no_mail(void **state)
{
	static const enum fault_disk disks[] = { FAULT_DISK_KEEP, FAULT_DISK_LOSE_UNSYNCED,
		FAULT_DISK_WIPE };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(disks); i++) {
		struct searcher s = { .fts = NULL };
		struct rig *rig = rig_new();

		searcher_start(&s, rig, 0);
		run(&s, deliver_three);
		run(&s, search_words);
		searcher_crash(&s, disks[i]);
		run(&s, all_are_missing);
		run(&s, search_words);
		run(&s, all_are_synced);
		searcher_stop(&s);
		rig_free(&rig);
	}
}

/* Both index the same mails before they see each other's triplets. */
static void two_backends_end_with_one_triplet(void **state)
{
	struct rig *rig = *state;
	struct searcher a = { .fts = NULL }, b = { .fts = NULL };

	searcher_start(&a, rig, 0);
	searcher_start(&b, rig, 1);
	run(&a, deliver_three);
	run(&a, search_words);
	run(&b, search_words);
	run(&a, flush_it);
	assert_int_equal(stored(rig, 'D'), 1);
	run(&b, flush_it);
	assert_int_equal(stored(rig, 'D'), 1);
	run(&b, all_are_synced);
	/* A's triplet is gone: it finds the other one. */
	run(&a, search_words);
	run(&a, all_are_synced);
	searcher_stop(&b);
	searcher_stop(&a);
	assert_int_equal(stored(rig, 'D'), 1);
}

static void deliver_more(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;

	OK(obox_mailbox_rescan(inbox, &err));
	(void)deliver(inbox, MAIL_A);
	assert_found(s, inbox, FTS_TEXT, "red", "1 3 4 ");
	flush_all(s);
}

static void see_more(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;

	/* What the other one has indexed is not here yet, and not taken for expunged. */
	flush_all(s);
	OK(fts_refresh(fts_user_of(s), &err));
	assert_found(s, inbox, FTS_TEXT, "red", "1 3 ");
	flush_all(s);
	assert_check(s, "synced 3, unexpunged 1");
	OK(obox_mailbox_rescan(inbox, &err));
	assert_found(s, inbox, FTS_TEXT, "red", "1 3 4 ");
	assert_check(s, "synced 4");
}

static void a_mail_that_only_the_other_backend_knows_is_not_expunged(void **state)
{
	struct rig *rig = *state;
	struct searcher a = { .fts = NULL }, b = { .fts = NULL };

	searcher_start(&a, rig, 0);
	searcher_start(&b, rig, 1);
	run(&a, deliver_three);
	run(&a, search_words);
	run(&a, flush_it);
	run(&b, deliver_more);
	run(&a, see_more);
	searcher_stop(&b);
	searcher_stop(&a);
}

static void expunge_untold(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;

	OK(obox_mailbox_rescan(inbox, &err));
	expunge(s, inbox, 2, false);
}

static void notices_expunge(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;

	OK(obox_mailbox_rescan(inbox, &err));
	assert_check(s, "synced 2, unexpunged 1");
	OK(fts_index(s->fts, s->node.user, inbox, &err));
	assert_check(s, "synced 2, synced_expunged 1");
	flush_all(s);
	assert_check(s, "synced 2");
}

static void a_forgotten_expunge_is_found_by_the_next_look(void **state)
{
	struct rig *rig = *state;
	struct searcher a = { .fts = NULL }, b = { .fts = NULL };

	searcher_start(&a, rig, 0);
	searcher_start(&b, rig, 1);
	run(&a, deliver_three);
	run(&a, search_words);
	run(&a, flush_it);
	run(&b, expunge_untold);
	run(&a, notices_expunge);
	searcher_stop(&b);
	searcher_stop(&a);
}

static void open_inbox(struct searcher *s, struct obox_mailbox *inbox)
{
	(void)s;
	assert_int_equal(obox_mailbox_count(inbox), 0);
}

static void deliver_one(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;

	assert_int_equal(deliver(inbox, s->node.host == 0 ? MAIL_A : MAIL_B), 1);
	assert_found(s, inbox, FTS_TEXT, "fruit", "1 ");
	flush_all(s);
	OK(backend_flush(s->node.backend, LAB_VIEW(""), false, "test", &err));
}

static void find_renumbered(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;

	OK(obox_mailbox_rescan(inbox, &err));
	assert_int_equal(obox_mailbox_mail(inbox, 0)->uid, 2);
	/* This one's, as the other's triplet was not seen yet when it was compared. */
	assert_check(s, "missing 2, unexpunged 2");
	assert_found(s, inbox, FTS_TEXT, "red", "2 ");
	assert_found(s, inbox, FTS_TEXT, "green", "3 ");
	assert_found(s, inbox, FTS_TEXT, "fruit", "2 3 ");
	OK(obox_mailbox_rescan(inbox, &err));
	OK(fts_index(s->fts, s->node.user, inbox, &err));
	flush_all(s);
	assert_check(s, "synced 2");
}

/* Two backends have given out UID 1: neither mail keeps it. */
static void a_mail_with_another_uid_is_indexed_again(void **state)
{
	struct rig *rig = *state;
	struct searcher a = { .fts = NULL }, b = { .fts = NULL };

	searcher_start(&a, rig, 0);
	searcher_start(&b, rig, 1);
	run(&a, open_inbox);
	run(&b, open_inbox);
	run(&a, deliver_one);
	run(&b, deliver_one);
	run(&a, find_renumbered);
	searcher_stop(&b);
	searcher_stop(&a);
}

/* Every object of the directory is damaged, or lost, one after the other. */
static void break_objects(struct rig *rig, char kind, bool is_lost)
{
	struct lab_tree_iter iter = lab_tree_iterate(rig->objects, LAB_VIEW(FTS_OBJECTS));
	struct lab_view path;
	char text[200];
	void *object;

	while (lab_tree_next(&iter, &path, &object)) {
		if (!lab_view_starts_with(path, LAB_VIEW(FTS_OBJECTS)) ||
			path.ptr[sizeof(FTS_OBJECTS) - 1] != (uint8_t)kind)
			continue;
		assert_int_equal(lab_view_to_cstr(path, text, sizeof(text)), 0);
		rig_remove_object(rig, text);
		if (!is_lost)
			rig_put_object(rig, text, "not what it was");
		return;
	}
	fail_msg("no %c", kind);
}

static void what_is_damaged_or_lost_is_indexed_again(void **state)
{
	(void)state;
	for (const char *kind = "DWLS"; *kind != '\0'; kind++) {
		for (unsigned is_lost = 0; is_lost < 2; is_lost++) {
			struct searcher s = { .fts = NULL };
			struct rig *rig = rig_new();

			searcher_start(&s, rig, 0);
			run(&s, deliver_three);
			run(&s, search_words);
			searcher_stop(&s);
			break_objects(rig, *kind, is_lost);
			searcher_start(&s, rig, 0);
			run(&s, search_words);
			assert_true(rig->counts.events[LAB_EV_fts_object_set_aside] > 0);
			run(&s, all_are_synced);
			searcher_stop(&s);
			rig_free(&rig);
		}
	}
}

static bool was_refused;

static void search_while_refused(struct searcher *s, struct obox_mailbox *inbox)
{
	struct rig *rig = s->node.rig;
	struct lab_error err;
	uint32_t *uids;
	size_t count;

	if (fts_search(s->fts, s->node.user, inbox, FTS_TEXT, LAB_VIEW("red"), rig->arena, &uids,
		    &count, &err) == 0)
		assert_int_equal(count, 2);
	assert_int_equal(rig->counts.events[LAB_EV_fts_object_set_aside], 0);
	was_refused = rig->fired;
	rig_fail_at(rig, 0, RIG_FAIL);
	search_words(s, inbox);
}

/* A redirect that leads nowhere says nothing about the objects: none is thrown away for it. */
static void what_is_refused_is_not_thrown_away(void **state)
{
	struct rig *rig = *state;
	struct searcher s = { .fts = NULL };
	unsigned n = 0;

	searcher_start(&s, rig, 0);
	run(&s, deliver_three);
	run(&s, search_words);
	searcher_stop(&s);
	rig->refusal = LAB_UNSUPPORTED;
	rig->only = "fts/";
	do {
		searcher_start(&s, rig, 0);
		rig_fail_at(rig, ++n, RIG_FAIL);
		run(&s, search_while_refused);
		searcher_stop(&s);
		assert_int_equal(stored(rig, 'D'), 1);
	} while (was_refused);
	assert_in_range(n, 4, 40); /* a listing, D, W and L at least */
}

/* ---- S ---- */

static void stats_have(struct searcher *s, uint8_t version)
{
	struct fts_user *user = fts_user_of(s);

	assert_true(user->has_stats);
	assert_int_equal(user->stats.version, version);
}

static void read_plain(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;

	OK(fts_refresh(fts_user_of(s), &err));
	stats_have(s, FTS_STATS_PLAIN);
	(void)deliver(inbox, MAIL_A);
	OK(fts_index(s->fts, s->node.user, inbox, &err));
	flush_all(s);
	stats_have(s, FTS_STATS_COUNTS);
}

static void an_s_of_the_other_version_is_made_again(void **state)
{
	struct rig *rig = *state;
	struct searcher s = { .fts = NULL };

	searcher_start(&s, rig, 0);
	run(&s, deliver_three);
	run(&s, search_words);
	searcher_stop(&s);
	s.has_counts = true;
	searcher_start(&s, rig, 0);
	run(&s, read_plain);
	searcher_stop(&s);
	assert_int_equal(stored(rig, 'S'), 1);
}

static void assert_fast(
	struct searcher *s, struct obox_mailbox *inbox, bool refresh, const char *expected)
{
	char text[6][FTS_NUMBER_TEXT_MAX], line[200];
	struct fts_fast_check fast;
	struct lab_error err;

	OK(fts_check_fast(s->fts, s->node.user, inbox, refresh, &fast, &err));
	fts_number_text(&fast.uidnext, text[0]);
	fts_number_text(&fast.fts_highest_uid, text[1]);
	fts_number_text(&fast.mailbox_count, text[2]);
	fts_number_text(&fast.expected_fts_count, text[3]);
	fts_number_text(&fast.fts_count, text[4]);
	fts_number_text(&fast.fts_expunges, text[5]);
	snprintf(line, sizeof(line), "%s %s %s %s %s %s", text[0], text[1], text[2], text[3],
		text[4], text[5]);
	assert_string_equal(line, expected);
}

static void fast_at_first(struct searcher *s, struct obox_mailbox *inbox)
{
	assert_fast(s, inbox, false, "4 ? 3 3? ? ?");
}

static void fast_plain(struct searcher *s, struct obox_mailbox *inbox)
{
	fast_at_first(s, inbox);
	assert_fast(s, inbox, true, "4 3 3 3 ? 0");
	expunge(s, inbox, 1, true);
	assert_fast(s, inbox, false, "4 3 2 3 ? 1");
}

static void fast_counts(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;

	(void)deliver(inbox, MAIL_A);
	OK(fts_index(s->fts, s->node.user, inbox, &err));
	flush_all(s);
	assert_fast(s, inbox, false, "5 4 3 3 3 0");
	(void)deliver(inbox, MAIL_A);
	assert_fast(s, inbox, false, "6 4 4 4 3 0");
	OK(fts_index(s->fts, s->node.user, inbox, &err));
	assert_fast(s, inbox, false, "6 5 4 4 4 0");
}

static void a_fast_check_tells_what_it_knows(void **state)
{
	struct rig *rig = *state;
	struct searcher s = { .fts = NULL };

	searcher_start(&s, rig, 0);
	run(&s, deliver_three);
	run(&s, fast_at_first);
	run(&s, search_words);
	searcher_restart(&s);
	run(&s, fast_plain);
	searcher_stop(&s);
	s.has_counts = true;
	searcher_start(&s, rig, 0);
	run(&s, fast_counts);
	searcher_stop(&s);
}

/* ---- states ---- */

static void make_leaks(struct searcher *s, struct obox_mailbox *inbox)
{
	struct obox_mailbox *folder = box_open(&s->node, "Folder");
	struct lab_error err;

	(void)inbox;
	(void)deliver(folder, MAIL_A);
	OK(fts_index(s->fts, s->node.user, folder, &err));
	flush_all(s);
	obox_mailbox_close(&folder);
	OK(obox_folder_delete(s->node.user, LAB_VIEW("Folder"), NULL, &err));
	assert_check(s, "synced 3, leaked 1");
	flush_all(s);
	assert_check(s, "synced 3");
}

static void mails_of_a_deleted_folder_leave_with_the_next_flush(void **state)
{
	struct searcher s = { .fts = NULL };

	searcher_start(&s, *state, 0);
	run(&s, deliver_three);
	run(&s, search_words);
	run(&s, make_leaks);
	searcher_stop(&s);
}

/* ---- deleting a user ---- */

static void delete_user(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;

	OK(fts_user_delete(s->fts, s->node.user, &err));
	assert_int_equal(rig_row_count(s->node.rig, FTS_ROWS), 0);
	/* And goes on. */
	assert_found(s, inbox, FTS_TEXT, "fruit", "1 2 ");
}

static void a_deleted_user_leaves_nothing(void **state)
{
	struct searcher s = { .fts = NULL };

	searcher_start(&s, *state, 0);
	run(&s, deliver_three);
	run(&s, search_words);
	run(&s, flush_it);
	run(&s, delete_user);
	searcher_stop(&s);
}

/* ---- in the background ---- */

static void deliver_and_leave(struct searcher *s, struct obox_mailbox *inbox)
{
	(void)deliver(inbox, MAIL_A);
	fts_autoindex(s->fts, s->node.user, LAB_VIEW("INBOX"));
	fts_autoindex(s->fts, s->node.user, LAB_VIEW("No such folder"));
}

static void was_indexed(struct searcher *s, struct obox_mailbox *inbox)
{
	(void)inbox;
	assert_int_equal(fts_builder_mails(fts_user_of(s)->newest), 1);
	assert_int_equal(s->fts->indexers, 0);
}

static void autoindex_works_in_the_background(void **state)
{
	struct searcher s = { .fts = NULL };

	searcher_start(&s, *state, 0);
	run(&s, deliver_and_leave);
	run(&s, was_indexed);
	searcher_stop(&s);
}

static void judge_autoindex(struct searcher *s, struct obox_mailbox *inbox)
{
	static const struct {
		const char *folder;
		bool is_indexed;
	} rows[] = { { "INBOX", true }, { "Tmp", false }, { "Tmp/x", false }, { "Bin", false },
		{ "tmp", true }, { "Trash", true } };
	struct fts_fast_check fast;
	struct lab_error err;

	OK(obox_folder_create(s->node.user, LAB_VIEW("Bin"), LAB_VIEW("\\Trash"), &err));
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, fts_does_autoindex(s->fts, s->node.user,
				      lab_view_cstr(rows[i].folder)) == rows[i].is_indexed);
	OK(fts_check_fast(s->fts, s->node.user, inbox, false, &fast, &err));
	assert_true(fast.autoindex);
	s->node.conf.fts_autoindex = false;
	assert_false(fts_does_autoindex(s->fts, s->node.user, LAB_VIEW("INBOX")));
}

static void excluded_folders_wait_for_a_search(void **state)
{
	struct searcher s = { .fts = NULL };

	searcher_start(&s, *state, 0);
	s.node.conf.fts_autoindex = true;
	s.node.conf.fts_autoindex_exclude[0].text = LAB_VIEW("Tmp*");
	s.node.conf.fts_autoindex_exclude[1].text = LAB_VIEW("\\Trash");
	s.node.conf.fts_autoindex_exclude_count = 2;
	run(&s, judge_autoindex);
	searcher_stop(&s);
}

/* ---- every step of a flush fails in every way ---- */

static struct {
	unsigned n;
	enum rig_fault fault;
	bool reboots, fired;
} sweep;

static void before_the_flush(struct searcher *s, struct obox_mailbox *inbox)
{
	deliver_three(s, inbox);
	search_words(s, inbox);
	flush_all(s);
	expunge(s, inbox, 1, true);
	(void)deliver(inbox, MAIL_A);
}

/* Indexing flushes, too: what is new is too large at once. */
static void the_flush(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error ignored;

	s->node.rig->only = "/fts/";
	rig_fail_at(s->node.rig, sweep.n, sweep.fault);
	(void)fts_index(s->fts, s->node.user, inbox, &ignored);
	(void)fts_flush(s->fts, LAB_VIEW(""), &ignored);
}

/* Leaks may be left; a row without its object may not. */
static void assert_rows_have_objects(const struct rig *rig)
{
	struct lab_tree_iter iter = lab_tree_iterate(rig->rows, LAB_VIEW(FTS_ROWS));
	char key[200], path[200];
	struct lab_view view;
	void *row;

	while (lab_tree_next(&iter, &view, &row)) {
		if (!lab_view_starts_with(view, LAB_VIEW(FTS_ROWS)))
			break;
		assert_int_equal(lab_view_to_cstr(view, key, sizeof(key)), 0);
		(void)snprintf(path, sizeof(path), FTS_OBJECTS "%s", key + sizeof(FTS_ROWS) - 1);
		if (rig_row(rig, key).ptr != NULL && !rig_has_object(rig, path))
			fail_msg("%s, step %u: %s has no object", rig_fault_name(sweep.fault),
				sweep.n, key);
	}
}

static void after_the_flush(struct searcher *s, struct obox_mailbox *inbox)
{
	struct lab_error err;
	struct fts_check check;

	assert_found(s, inbox, FTS_TEXT, "red", "3 4 ");
	assert_found(s, inbox, FTS_TEXT, "fruit", "2 4 ");
	for (unsigned i = 0; i < 2; i++) {
		OK(fts_refresh(fts_user_of(s), &err));
		OK(obox_mailbox_rescan(inbox, &err));
		OK(fts_index(s->fts, s->node.user, inbox, &err));
		flush_all(s);
	}
	assert_found(s, inbox, FTS_TEXT, "red", "3 4 ");
	check = check_full(s);
	for (unsigned state = 0; state < FTS_STATE_COUNT; state++) {
		if (state > FTS_STATE_SYNCED_EXPUNGED && check.counts[state] > 0)
			fail_msg("%s, step %u%s: %s", rig_fault_name(sweep.fault), sweep.n,
				sweep.reboots ? ", rebooted" : "",
				fts_state_name((enum fts_state)state));
	}
	assert_int_equal(check.counts[FTS_STATE_SYNCED], 3);
	assert_rows_have_objects(s->node.rig);
}

static bool sweep_once(void)
{
	struct rig *rig = rig_new();
	struct searcher s = { .min_merge = 1 };

	searcher_start(&s, rig, 0);
	run(&s, before_the_flush);
	run(&s, the_flush);
	sweep.fired = rig->fired;
	rig_fail_at(rig, 0, RIG_FAIL);
	rig->only = NULL;
	rig_apply_late(rig);
	if (sweep.reboots)
		searcher_crash(&s, FAULT_DISK_LOSE_UNSYNCED);
	run(&s, after_the_flush);
	searcher_stop(&s);
	rig_free(&rig);
	return sweep.fired;
}

static void whatever_step_of_a_flush_fails_searches_are_exact(void **state)
{
	unsigned fired = 0;

	(void)state;
	for (unsigned i = 0; i < 2 * RIG_FAULT_COUNT; i++) {
		sweep.fault = (enum rig_fault)(i / 2);
		sweep.reboots = i % 2 == 1 || sweep.fault >= RIG_CRASH_BEFORE;
		for (sweep.n = 1; sweep_once(); sweep.n++)
			fired++;
	}
	/* The listing, reads, X, three of a triplet, S, and what is deleted, in two steps each. */
	assert_true(fired >= 20 * 2 * RIG_FAULT_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_search_finds_exactly_the_mails_with_the_words),
		RIG_UNIT_TEST(with_prefixes_words_are_found_by_their_beginning),
		RIG_UNIT_TEST(expunged_mails_leave_the_index),
		RIG_UNIT_TEST(expunges_of_large_triplets_are_kept_in_x_and_y),
		RIG_UNIT_TEST(when_y_is_large_x_is_reduced_and_y_removed),
		RIG_UNIT_TEST(the_newest_triplet_is_flushed_after_so_many_mails),
		RIG_UNIT_TEST(without_fts_cache_each_indexing_writes_objects),
		RIG_UNIT_TEST(too_many_triplets_fail_a_lookup),
		cmocka_unit_test(a_crash_loses_the_newest_triplet_and_no_mail),
		RIG_UNIT_TEST(two_backends_end_with_one_triplet),
		RIG_UNIT_TEST(a_mail_that_only_the_other_backend_knows_is_not_expunged),
		RIG_UNIT_TEST(a_forgotten_expunge_is_found_by_the_next_look),
		RIG_UNIT_TEST(a_mail_with_another_uid_is_indexed_again),
		cmocka_unit_test(what_is_damaged_or_lost_is_indexed_again),
		RIG_UNIT_TEST(what_is_refused_is_not_thrown_away),
		RIG_UNIT_TEST(an_s_of_the_other_version_is_made_again),
		RIG_UNIT_TEST(a_fast_check_tells_what_it_knows),
		RIG_UNIT_TEST(mails_of_a_deleted_folder_leave_with_the_next_flush),
		RIG_UNIT_TEST(a_deleted_user_leaves_nothing),
		RIG_UNIT_TEST(autoindex_works_in_the_background),
		RIG_UNIT_TEST(excluded_folders_wait_for_a_search),
		cmocka_unit_test(whatever_step_of_a_flush_fails_searches_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

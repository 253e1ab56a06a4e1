/* SPDX-License-Identifier: Apache-2.0
 *
 * The quota counts what is there: over copies, moves, expunges, crashes, merges and rescans; what
 * does not fit is refused before anything is stored; and it costs nothing once all is known.
 */
#include "core/obox/test-support.h"

#define UPLOADS(rig) ((rig)->counts.events[LAB_EV_metacache_mailbox_bundle_upload_finished])

static struct conf_text text_of(const char *text)
{
	return (struct conf_text){ .text = lab_view_cstr(text) };
}

/* 100 bytes in 5 mails, and half as much more for a last delivery; nothing in "Old" counts. */
static void with_quota(struct node *node, struct rig *rig, unsigned host)
{
	node_init(node, rig, host);
	node->conf.quota = text_of("count:User quota");
	node->conf.quota_vsizes = true;
	node->conf.quota_rules[0] = text_of("*:bytes=100:messages=5");
	node->conf.quota_rules[1] = text_of("Old:ignore");
	node->conf.quota_rule_count = 2;
	node->conf.quota_grace = text_of("50%%");
	node->conf.quota_exceeded_message = text_of("No room");
	node->conf.mail_prefetch_count = 4;
	rig_boot(rig, host);
}

#define QUOTA_TEST(name) \
	static void name##_body(struct node *node); \
	static void name(void **state) \
	{ \
		struct node node; \
\
		with_quota(&node, *state, 0); \
		node_run(&node, node_start_user); \
		node_run(&node, name##_body); \
		node_stop(&node); \
	} \
	static void name##_body(struct node *node)

static struct obox_usage usage_of(struct node *node)
{
	struct obox_usage usage;
	struct lab_error err;

	OK(obox_user_access(node->user, &err));
	OK(obox_quota_usage(node->user, &usage, &err));
	assert_true(usage.has_quota);
	return usage;
}

static void assert_usage(struct node *node, uint64_t bytes, uint64_t messages)
{
	struct obox_usage usage = usage_of(node);

	if (usage.bytes != bytes || usage.messages != messages)
		fail_msg("%" PRIu64 " bytes in %" PRIu64 " mails", usage.bytes, usage.messages);
}

static int save(struct obox_mailbox *box, const char *body, bool is_delivery, struct lab_error *err)
{
	struct obox_save mail = { .body = lab_view_cstr(body), .is_delivery = is_delivery };
	struct obox_saved saved;

	return obox_save(box, &mail, &saved, err);
}

#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN

QUOTA_TEST(what_is_there_is_counted)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct obox_mailbox *old = box_open(node, "Old");
	struct obox_result results[2];
	struct obox_usage usage;
	struct lab_error err;
	uint32_t one, two;

	assert_usage(node, 0, 0);
	one = deliver(inbox, TEN);
	two = deliver(inbox, "a\nb\n"); /* six bytes, virtually */
	assert_usage(node, 16, 2);
	OK(obox_copy(inbox, &two, 1, work, results, &err));
	assert_usage(node, 22, 3);
	OK(obox_move(inbox, &one, 1, work, results, &err));
	assert_usage(node, 22, 3);
	OK(obox_move(work, &results[0].saved.uid, 1, old, results, &err));
	assert_usage(node, 12, 2);
	OK(obox_expunge(inbox, &two, 1, results, &err));
	assert_usage(node, 6, 1);
	usage = usage_of(node);
	assert_int_equal(usage.bytes_limit, 100);
	assert_int_equal(usage.messages_limit, 5);
	OK(obox_folder_delete(node->user, LAB_VIEW("Work"), NULL, &err));
	assert_usage(node, 0, 0);
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
	obox_mailbox_close(&old);
}

QUOTA_TEST(what_does_not_fit_is_refused_before_anything_is_stored)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct obox_mailbox *old = box_open(node, "Old");
	struct obox_result result;
	struct lab_error err;
	uint32_t uid = deliver(inbox, FIFTY), kept = deliver(old, FIFTY TEN);
	unsigned puts, sets;

	OK(save(inbox, TEN, false, &err));
	puts = node->rig->counts.puts;
	sets = node->rig->counts.sets;
	FAILS(save(inbox, FIFTY, false, &err), LAB_OVER_QUOTA);
	SAYS("No room");
	FAILS(obox_copy(inbox, &uid, 1, work, &result, &err), LAB_OVER_QUOTA);
	assert_int_equal(result.err.code, LAB_OVER_QUOTA);
	FAILS(obox_move(old, &kept, 1, inbox, &result, &err), LAB_OVER_QUOTA);
	assert_int_equal(node->rig->counts.puts, puts);
	assert_int_equal(node->rig->counts.sets, sets);
	assert_usage(node, 60, 2);
	/* Within what counts a move changes nothing, and what does not count needs no room. */
	OK(obox_move(inbox, &uid, 1, work, &result, &err));
	OK(save(old, FIFTY FIFTY, false, &err));
	/* The last mail of a delivery has the grace, and only that. */
	OK(save(inbox, FIFTY TEN, true, &err));
	FAILS(save(inbox, TEN, true, &err), LAB_OVER_QUOTA);
	assert_usage(node, 120, 3);
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
	obox_mailbox_close(&old);
}

QUOTA_TEST(mails_are_counted_too)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	struct lab_error err;

	for (unsigned i = 0; i < 5; i++)
		OK(save(inbox, "x", true, &err));
	FAILS(save(inbox, "x", true, &err), LAB_OVER_QUOTA);
	assert_usage(node, 5, 5);
	obox_mailbox_close(&inbox);
}

QUOTA_TEST(a_delivery_costs_what_it_costs_without_a_quota)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct rig_counts *counts = &node->rig->counts;
	struct lab_error err;

	deliver(inbox, "1");
	deliver(work, "2");
	*counts = (struct rig_counts){ 0 };
	OK(save(inbox, "3", true, &err));
	assert_int_equal(counts->puts, 1);
	assert_int_equal(counts->sets, 2);
	assert_int_equal(counts->gets + counts->heads + counts->deletes + counts->lookups +
				 counts->iterations + counts->unsets,
		0);
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

/* ---- sizes of mails that a listing brought ---- */

static void fill(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX"), *work = box_open(node, "Work");

	deliver(inbox, TEN);
	deliver(inbox, "a\nb\n");
	deliver(work, TEN "1");
	assert_usage(node, 27, 3);
	obox_mailbox_close(&inbox);
	obox_mailbox_close(&work);
}

static void after_a_crash(struct node *node, unsigned heads, unsigned gets, uint64_t bytes)
{
	struct rig_counts *counts = &node->rig->counts;
	struct rig_counts before = *counts;

	assert_usage(node, bytes, 3);
	assert_int_equal(counts->heads - before.heads, heads);
	assert_int_equal(counts->gets - before.gets, gets);
	before = *counts;
	assert_usage(node, bytes, 3);
	assert_int_equal(counts->heads - before.heads + counts->gets - before.gets, 0);
}

static void known_from_metadata(struct node *node)
{
	after_a_crash(node, 3, 0, 27);
}

static void known_already(struct node *node)
{
	after_a_crash(node, 0, 0, 27);
}

static void sizes_come_from_the_metadata(void **state)
{
	struct node node;

	with_quota(&node, *state, 0);
	node_run(&node, node_start_user);
	node_run(&node, fill);
	node_crash(&node, FAULT_DISK_KEEP);
	node_run(&node, known_from_metadata);
	node_stop(&node);
	/* A clean stop keeps them. */
	rig_boot(node.rig, 0);
	node_run(&node, node_start_user);
	node.rig->counts.heads = 0;
	node_run(&node, known_already);
	node_stop(&node);
}

/* Without it: as obox_size_missing_action says. */
static void count_without_metadata(
	void **state, enum conf_size_missing_action action, node_fn fn, unsigned messages)
{
	struct node node;

	with_quota(&node, *state, 0);
	node.conf.obox_size_missing_action = action;
	if (action == CONF_SIZE_STAT)
		node.conf.obox_fs = text_of(
			"dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; refcounting-table:"
			"storage-objectid-prefix=%u/mails/");
	node_run(&node, node_start_user);
	node_run(&node, fill);
	rig_remove_metadata(node.rig, "size");
	node_crash(&node, FAULT_DISK_WIPE);
	node.rig->counts = (struct rig_counts){ 0 };
	node_run(&node, fn);
	assert_int_equal(node.rig->counts.events[LAB_EV_log_message], messages);
	node_stop(&node);
}

static void known_by_reading(struct node *node)
{
	after_a_crash(node, 3, 3, 27);
}

/* Two line ends are not seen. */
static void known_by_stat(struct node *node)
{
	assert_usage(node, 25, 3);
	assert_int_equal(node->rig->counts.gets, 0);
}

static void missing_sizes_are_read_or_not(void **state)
{
	count_without_metadata(state, CONF_SIZE_WARN_READ, known_by_reading, 3);
}

static void missing_sizes_are_read_without_a_warning(void **state)
{
	count_without_metadata(state, CONF_SIZE_READ, known_by_reading, 0);
}

static void missing_sizes_are_those_of_stat(void **state)
{
	count_without_metadata(state, CONF_SIZE_STAT, known_by_stat, 0);
}

/* ---- what the index has is wrong ---- */

static void expunge_first(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	uint32_t uid = obox_mailbox_mail(inbox, 0)->uid;
	struct obox_result result;
	struct lab_error err;

	OK(obox_expunge(inbox, &uid, 1, &result, &err));
	obox_mailbox_close(&inbox);
}

static void read_wrong_size(struct node *node)
{
	bool is_avoided = node->conf.obox_avoid_cached_vsize;
	unsigned *messages = &node->rig->counts.events[LAB_EV_log_message];
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	uint32_t uid = deliver(inbox, TEN);
	struct obox_usage usage;
	struct lab_view body;
	struct lab_error err;
	unsigned before = *messages;

	assert_int_equal(obox_state_set_size(inbox->index.state, uid, 70), 1);
	assert_usage(node, 70, 1);
	OK(fetch(node, inbox, uid, &body, &err));
	assert_int_equal(*messages - before, is_avoided ? 0 : 1);
	assert_usage(node, 10, 1);
	/* A sum that went wrong is made anew by a recalculation. */
	inbox->index.state->bytes += 5;
	assert_usage(node, 15, 1);
	OK(obox_quota_recalculate(node->user, &usage, &err));
	assert_int_equal(usage.bytes, 10);
	assert_usage(node, 10, 1);
	obox_mailbox_close(&inbox);
}

static void a_wrong_size_is_mended_when_the_mail_is_read(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct node node;

		with_quota(&node, *state, i);
		node.conf.obox_avoid_cached_vsize = i == 1;
		node_run(&node, node_start_user);
		node_run(&node, read_wrong_size);
		node_run(&node, expunge_first);
		node_stop(&node);
	}
}

/* ---- two backends ---- */

static void flush(struct node *node)
{
	struct lab_error err;

	OK(backend_flush(node->backend, LAB_VIEW(""), false, "test", &err));
}

static void look_and_flush(struct node *node)
{
	struct obox_mailbox *inbox;
	struct lab_error err;

	OK(obox_user_access(node->user, &err));
	inbox = box_open(node, "INBOX");
	OK(obox_mailbox_rescan(inbox, &err));
	obox_mailbox_close(&inbox);
	flush(node);
}

static void add_one(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");

	deliver(inbox, node->host == 0 ? TEN : "b\n");
	obox_mailbox_close(&inbox);
}

static void both_have_13(struct node *node)
{
	assert_usage(node, 13, 2);
}

static void both_have_3(struct node *node)
{
	unsigned heads = node->rig->counts.heads;

	assert_usage(node, 3, 1);
	/* Bundles told the sizes. */
	assert_int_equal(node->rig->counts.heads, heads);
}

static void merges_have_the_sum_of_what_is_left(void **state)
{
	struct node a, b;

	with_quota(&a, *state, 0);
	with_quota(&b, *state, 1);
	node_run(&a, node_start_user);
	node_run(&b, node_start_user);
	node_run(&a, add_one);
	node_run(&b, add_one);
	for (unsigned i = 0; i < 2; i++) {
		node_run(&a, look_and_flush);
		node_run(&b, look_and_flush);
	}
	node_run(&a, both_have_13);
	node_run(&b, both_have_13);
	node_run(&a, expunge_first);
	for (unsigned i = 0; i < 2; i++) {
		node_run(&a, look_and_flush);
		node_run(&b, look_and_flush);
	}
	node_run(&a, both_have_3);
	node_run(&b, both_have_3);
	node_stop(&a);
	node_stop(&b);
}

/* ---- obox_mailbox_list_quick_lookups ---- */

static void look(struct node *node)
{
	struct obox_mailbox *inbox;
	struct lab_error err;

	OK(obox_user_access(node->user, &err));
	inbox = box_open(node, "INBOX");
	obox_mailbox_close(&inbox);
}

static void add_and_flush(struct node *node)
{
	struct lab_error err;

	OK(obox_user_access(node->user, &err));
	add_one(node);
	flush(node);
}

/* No listing of any folder, as they are all here. */
static void it_counts_what_it_knows(struct node *node)
{
	unsigned refreshes = node->rig->counts.events[LAB_EV_metacache_mailbox_refresh_started];
	struct obox_usage usage;
	struct lab_error err;

	assert_usage(node, 10, 1);
	assert_int_equal(
		node->rig->counts.events[LAB_EV_metacache_mailbox_refresh_started], refreshes);
	/* A recalculation looks. */
	OK(obox_quota_recalculate(node->user, &usage, &err));
	assert_int_equal(usage.bytes, 13);
	assert_int_equal(usage.messages, 2);
	assert_usage(node, 13, 2);
}

static void it_looks_first(struct node *node)
{
	assert_usage(node, 13, 2);
}

static void quick_run(void **state, bool is_quick, node_fn expect)
{
	struct node a, b;

	with_quota(&a, *state, 0);
	with_quota(&b, *state, 1);
	a.conf.obox_mailbox_list_quick_lookups = is_quick;
	node_run(&a, node_start_user);
	node_run(&b, node_start_user);
	node_run(&a, add_and_flush);
	node_run(&b, look);
	node_run(&b, add_and_flush);
	node_run(&a, expect);
	node_stop(&a);
	node_stop(&b);
}

static void quick_lookups_count_folders_as_they_were(void **state)
{
	quick_run(state, true, it_counts_what_it_knows);
}

static void others_refresh_them_first(void **state)
{
	quick_run(state, false, it_looks_first);
}

static void quick_has_27(struct node *node)
{
	node->conf.obox_mailbox_list_quick_lookups = true;
	assert_usage(node, 27, 3);
}

/* After a crash nothing is here that could be believed; on another host nothing at all. */
static void quick_lookups_open_what_is_not_there(void **state)
{
	struct node a, b;

	with_quota(&a, *state, 0);
	with_quota(&b, *state, 1);
	node_run(&a, node_start_user);
	node_run(&a, fill);
	node_crash(&a, FAULT_DISK_KEEP);
	node_run(&a, quick_has_27);
	node_run(&b, node_start_user);
	node_run(&b, quick_has_27);
	node_stop(&b);
	/* After a clean stop the index is there. */
	node_stop(&a);
	node_run(&a, node_start_user);
	node_run(&a, quick_has_27);
	node_stop(&a);
}

/* A size that was learned after the base bundle reaches another backend. */
static void learn_and_flush(struct node *node)
{
	assert_usage(node, 27, 3);
	flush(node);
}

static void has_27(struct node *node)
{
	assert_usage(node, 27, 3);
}

static void sizes_that_were_learned_are_in_bundles(void **state)
{
	struct node a, b;

	with_quota(&a, *state, 0);
	with_quota(&b, *state, 1);
	node_run(&a, node_start_user);
	node_run(&a, fill);
	node_crash(&a, FAULT_DISK_WIPE);
	node_run(&a, learn_and_flush);
	node_run(&b, node_start_user);
	b.rig->counts.heads = 0;
	node_run(&b, has_27);
	assert_int_equal(b.rig->counts.heads, 0);
	node_stop(&a);
	node_stop(&b);
}

/* ---- failures ---- */

static void fail_to_look(struct node *node)
{
	struct obox_mailbox *inbox = box_open(node, "INBOX");
	struct rig *rig = node->rig;
	struct obox_usage usage;
	struct lab_error err;
	unsigned puts = rig->counts.puts;

	for (unsigned fault = RIG_FAIL; fault <= RIG_UNCERTAIN_NOT; fault++) {
		rig_fail_at(rig, 1, (enum rig_fault)fault);
		rig->fail_from_then_on = true;
		if (obox_quota_usage(node->user, &usage, &err) == 0)
			fail_msg("%s: counted", rig_fault_name((enum rig_fault)fault));
		assert_true(rig->fired);
		/* Nobody may think that the mail is perhaps there. */
		if (save(inbox, "new", true, &err) == 0 || err.code == LAB_UNCERTAIN)
			fail_msg("%s: saved", rig_fault_name((enum rig_fault)fault));
		rig->fail_from_then_on = false;
		rig_fail_at(rig, 0, RIG_FAIL);
		assert_int_equal(rig->counts.puts, puts);
	}
	assert_usage(node, 27, 3);
	obox_mailbox_close(&inbox);
}

static void whoever_cannot_count_refuses_for_certain(void **state)
{
	struct node node;

	with_quota(&node, *state, 0);
	node_run(&node, node_start_user);
	node_run(&node, fill);
	node_crash(&node, FAULT_DISK_KEEP);
	node_run(&node, fail_to_look);
	node_stop(&node);
}

static void expect_no_backend(struct node *node)
{
	struct lab_error err;

	node_start_backend(node);
	FAILS(node_open_user(node, LAB_VIEW(USER), &err), LAB_UNSUPPORTED);
	SAYS("backend count only");
}

static void a_quota_that_is_none_opens_no_user(void **state)
{
	struct node node;

	with_quota(&node, *state, 0);
	node.conf.quota = text_of("maildir:User quota");
	node_run(&node, expect_no_backend);
	node_stop(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(what_is_there_is_counted),
		RIG_UNIT_TEST(what_does_not_fit_is_refused_before_anything_is_stored),
		RIG_UNIT_TEST(mails_are_counted_too),
		RIG_UNIT_TEST(a_delivery_costs_what_it_costs_without_a_quota),
		RIG_UNIT_TEST(sizes_come_from_the_metadata),
		RIG_UNIT_TEST(missing_sizes_are_read_or_not),
		RIG_UNIT_TEST(missing_sizes_are_read_without_a_warning),
		RIG_UNIT_TEST(missing_sizes_are_those_of_stat),
		RIG_UNIT_TEST(a_wrong_size_is_mended_when_the_mail_is_read),
		RIG_UNIT_TEST(merges_have_the_sum_of_what_is_left),
		RIG_UNIT_TEST(quick_lookups_count_folders_as_they_were),
		RIG_UNIT_TEST(others_refresh_them_first),
		RIG_UNIT_TEST(quick_lookups_open_what_is_not_there),
		RIG_UNIT_TEST(sizes_that_were_learned_are_in_bundles),
		RIG_UNIT_TEST(whoever_cannot_count_refuses_for_certain),
		RIG_UNIT_TEST(a_quota_that_is_none_opens_no_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

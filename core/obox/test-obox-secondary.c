/* SPDX-License-Identifier: Apache-2.0
 *
 * Private flags of shared folders and virtual folders: over moves, stops, crashes and cleans, on
 * one and on two backends; and the states themselves.
 */
#include "core/obox/secondary.h"
#include "core/obox/test-root.h"

static const uint8_t shared_guid[ENV_GUID128_SIZE] = { 0xee, 7 };
#define OWNER LAB_VIEW("owner@example.com")

/* ---- on nodes ---- */

/* task.name: the mail's number; task.other: "" clears it. */
static void mail_name(const char *number, uint8_t ret[ENV_GUID128_SIZE])
{
	memset(ret, 0, ENV_GUID128_SIZE);
	ret[0] = (uint8_t)number[0];
}

static void private_fn(struct node *node)
{
	uint8_t name[ENV_GUID128_SIZE];

	mail_name(task.name, name);
	OK(obox_user_access(node->user, &task.err));
	end_task(obox_private_store(
		node->user, OWNER, shared_guid, name, task.other[0] != '\0', &task.err));
}

static void flush_fn(struct node *node)
{
	end_task(obox_root_flush(&node->user->root_index, "metacache:flush", &task.err));
}

/* The numbers of those of five mails that are seen. */
static void seen_fn(struct node *node)
{
	uint8_t name[ENV_GUID128_SIZE];
	size_t used = 0;

	OK(obox_user_access(node->user, &task.err));
	for (const char *number = "12345"; *number != '\0'; number++) {
		mail_name(number, name);
		if (obox_private_has_seen(node->user, OWNER, shared_guid, name))
			task.text[used++] = *number;
	}
	task.text[used] = '\0';
}

static void assert_seen(struct node *node, const char *expected)
{
	do_task(node, seen_fn, NULL, NULL);
	assert_string_equal(task.text, expected);
}

static void a_private_flag_is_seen_on_another_backend(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, private_fn, "1", "set");
	assert_int_equal(task.result, 1);
	done(&t.a, private_fn, "1", "set");
	assert_int_equal(task.result, 0);
	done(&t.a, private_fn, "2", "set");
	done(&t.a, private_fn, "3", "set");
	done(&t.a, private_fn, "3", "");
	assert_seen(&t.a, "12");
	assert_seen(&t.b, "12");
	/* It knew what it changes, so that holds everywhere. */
	done(&t.b, private_fn, "1", "");
	assert_seen(&t.a, "2");
	two_stop(&t);
}

/* One PUT and one INSERT for all of an interval, which is not begun before its end. */
static void two_stores_fn(struct node *node)
{
	unsigned puts = node->rig->counts.puts;

	task.name = "1";
	private_fn(node);
	task.name = "2";
	private_fn(node);
	env_sleep(node->user->env, 4 * LAB_MINUTE);
	assert_int_equal(node->rig->counts.puts, puts);
	env_sleep(node->user->env, 61 * LAB_SEC);
	assert_int_equal(node->rig->counts.puts, puts + 1);
}

static void private_flags_are_uploaded_once_an_interval(void **state)
{
	struct two t;

	two_start(&t, *state);
	REQUESTS(&t.a, two_stores_fn, "", "set", .iterations = 4, .puts = 1, .sets = 1);
	assert_false(obox_root_is_changed(&t.a.user->root_index));
	assert_seen(&t.b, "12");
	two_stop(&t);
}

static void an_upload_that_failed_is_made_again_and_keeps_nobody_waiting(void **state)
{
	struct two t;

	two_start(&t, *state);
	do_task(&t.a, access_fn, "", "");
	rig_fail_at(t.rig, 3, RIG_FAIL);
	done(&t.a, private_fn, "1", "set");
	assert_true(t.rig->fired);
	rig_fail_at(t.rig, 0, RIG_FAIL);
	assert_false(t.a.user->root_index.is_dirty);
	assert_false(obox_root_is_changed(&t.a.user->root_index));
	assert_seen(&t.b, "1");
	two_stop(&t);
}

static void a_crash_costs_the_flags_of_an_interval(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, private_fn, "1", "set");
	/* The two listings of the access, then the upload. */
	rig_fail_at(t.rig, 3, RIG_CRASH_BEFORE);
	do_task(&t.a, private_fn, "2", "set");
	assert_true(t.rig->fired && task.has_ended);
	rig_fail_at(t.rig, 0, RIG_FAIL);
	revive(&t.a);
	assert_seen(&t.a, "1");
	assert_seen(&t.b, "1");
	two_stop(&t);
}

static void stop_fn(struct node *node)
{
	private_fn(node);
	rig_fail_at(node->rig, 1, RIG_FAIL);
	node->rig->fail_from_then_on = true;
	node_stop_backend(node);
}

/* ... even if nothing could be uploaded. */
static void a_clean_stop_keeps_private_flags(void **state)
{
	struct two t;

	two_start(&t, *state);
	do_task(&t.a, stop_fn, "4", "set");
	assert_true(t.rig->fired);
	t.rig->fail_from_then_on = false;
	rig_fail_at(t.rig, 0, RIG_FAIL);
	assert_seen(&t.b, "");
	node_start(&t.a, t.rig, 0);
	assert_true(obox_root_is_changed(&t.a.user->root_index));
	assert_seen(&t.a, "4");
	done(&t.a, flush_fn, "", "");
	assert_int_equal(task.result, 1);
	assert_seen(&t.b, "4");
	two_stop(&t);
}

static void clean_fn(struct node *node)
{
	private_fn(node);
	task.result = obox_root_clean(&node->user->root_index, &task.err);
}

static void a_clean_uploads_them_first(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, clean_fn, "5", "set");
	assert_int_equal(task.result, 1);
	assert_int_equal(lab_tree_count(t.a.user->root_index.secondary->flags), 0);
	assert_seen(&t.a, "5");
	assert_seen(&t.b, "5");
	two_stop(&t);
}

static void many_flags_fn(struct node *node)
{
	uint8_t name[ENV_GUID128_SIZE] = { 0 };

	OK(obox_user_access(node->user, &task.err));
	for (unsigned i = 0; i < 2000; i++) {
		name[8] = (uint8_t)i, name[9] = (uint8_t)(i >> 8);
		OK(obox_private_store(node->user, OWNER, shared_guid, name, true, &task.err));
	}
	end_task(obox_root_flush(&node->user->root_index, "metacache:flush", &task.err));
}

/* Diffs have only what the base has not. */
static void many_private_flags_have_a_base_and_diffs(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, many_flags_fn, "", "");
	assert_int_equal(rig_row_count(t.rig, "shared/dictmap/" USER "/idx/"), 1);
	done(&t.a, private_fn, "1", "set");
	assert_int_equal(rig_row_count(t.rig, "shared/dictmap/" USER "/idx/"), 1);
	assert_int_equal(rig_row_count(t.rig, "shared/dictdiffmap/" USER "/idx/"), 1);
	assert_seen(&t.b, "1");
	assert_int_equal(lab_tree_count(t.b.user->root_index.secondary->flags), 2001);
	done(&t.b, private_fn, "2", "set");
	assert_int_equal(rig_row_count(t.rig, "shared/dictdiffmap/" USER "/idx/"), 2);
	node_crash(&t.a, FAULT_DISK_KEEP);
	assert_seen(&t.a, "12");
	assert_int_equal(lab_tree_count(t.a.user->root_index.secondary->flags), 2002);
	two_stop(&t);
}

static void elsewhere_start(struct node *node, struct rig *rig, unsigned host)
{
	node_init(node, rig, host);
	node->conf.private_index_is_elsewhere = true;
	node->conf.virtual_index_is_elsewhere = true;
	rig_boot(rig, host);
	node_run(node, node_start_user);
}

static void elsewhere_they_are_lost_with_the_host(void **state)
{
	struct two t = { .rig = *state };

	elsewhere_start(&t.a, t.rig, 0);
	node_start(&t.b, t.rig, 1);
	done(&t.a, private_fn, "1", "set");
	assert_seen(&t.a, "1");
	assert_seen(&t.b, "");
	node_stop(&t.a);
	elsewhere_start(&t.a, t.rig, 0);
	assert_seen(&t.a, "1");
	node_crash(&t.a, FAULT_DISK_KEEP);
	assert_seen(&t.a, "");
	two_stop(&t);
}

/* ---- a folder of somebody who is open here ---- */

static void shared_fn(struct node *node)
{
	struct obox_user *owner;
	struct obox_mailbox *box;
	struct obox_result result;
	struct lab_error err;
	uint32_t one, two;

	OK(backend_user_get(node->backend, OWNER, &owner, &err));
	rig_take_storage(owner->fs);
	rig_take_storage(owner->index_fs);
	OK(obox_user_access(owner, &err));
	OK(obox_mailbox_open(owner, LAB_VIEW("INBOX"), &box, &err));
	one = deliver(box, "one");
	two = deliver(box, "two");
	OK(obox_shared_store(node->user, box, one, true, &err));
	OK(obox_shared_store(node->user, box, two, true, &err));
	FAILS(obox_shared_store(node->user, box, two + 1, true, &err), LAB_NOT_FOUND);
	assert_true(obox_shared_has_seen(node->user, box, one));
	assert_false(obox_shared_has_seen(node->user, box, two + 1));
	/* For the reader alone. */
	assert_false(obox_has_flag(box, one, LAB_VIEW("\\Seen")));
	/* No listing since: it may be there. */
	assert_int_equal(obox_shared_sync(node->user, box), 0);
	env_sleep(node->user->env, LAB_SEC);
	OK(obox_expunge(box, &one, 1, &result, &err));
	assert_int_equal(obox_shared_sync(node->user, box), 0);
	OK(obox_mailbox_rescan(box, &err));
	assert_int_equal(obox_shared_sync(node->user, box), 1);
	assert_true(obox_shared_has_seen(node->user, box, two));
	assert_int_equal(lab_tree_count(node->user->root_index.secondary->flags), 1);
	obox_mailbox_close(&box);
	backend_user_release(&owner);
	end_task(0);
}

static void flags_of_another_users_folder_are_the_readers_own(void **state)
{
	struct node node;

	node_start(&node, *state, 0);
	done(&node, shared_fn, "", "");
	node_stop(&node);
}

/* ---- virtual folders ---- */

#define UNSEEN LAB_VIEW("unseen")

static void open_fn(struct node *node)
{
	OK(obox_user_access(node->user, &task.err));
	end_task(obox_virtual_open(node->user, UNSEEN, LAB_VIEW("\\Seen"), false, &task.err));
}

static void search_fn(struct node *node)
{
	end_task(obox_virtual_open(node->user, UNSEEN, LAB_VIEW("\\Seen"), false, &task.err));
}

static uint32_t shown_uidvalidity;

/* "uid:body" of each mail, by way of the folder that has it. */
static void show_fn(struct node *node)
{
	struct obox_virtual_item *items;
	size_t count, used = 0;

	count = obox_virtual_list(node->user, UNSEEN, node->rig->arena, &items, &shown_uidvalidity);
	for (size_t i = 0; i < count; i++) {
		struct obox_mailbox *box;
		struct lab_view body;
		const struct obox_record *record;

		OK(obox_mailbox_load(
			node->user, lab_view_cstr(items[i].folder_guid), &box, &task.err));
		record = obox_state_find_name(box->index.state, items[i].name);
		OK(fetch(node, box, record->mail.uid, &body, &task.err));
		used += (size_t)snprintf(task.text + used, sizeof(task.text) - used,
			"%" PRIu32 ":%.*s ", items[i].uid, LAB_VIEW_ARG(body));
	}
	end_task(0);
}

static void assert_virtual(struct node *node, const char *expected)
{
	done(node, open_fn, "", "");
	done(node, show_fn, "", "");
	assert_string_equal(task.text, expected);
}

static void see_first_fn(struct node *node)
{
	struct obox_mailbox *box;

	OK(obox_user_access(node->user, &task.err));
	OK(obox_mailbox_select(node->user, lab_view_cstr(task.name), &box, &task.err));
	end_task(obox_store(
		box, obox_mailbox_mail(box, 0)->uid, LAB_VIEW("\\Seen"), true, &task.err));
	obox_mailbox_close(&box);
}

static void a_virtual_folder_keeps_its_uids_on_another_backend(void **state)
{
	uint32_t uidvalidity;
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "INBOX", "one");
	done(&t.a, deliver_fn, "Work", "two");
	assert_virtual(&t.a, "1:one 2:two ");
	uidvalidity = shown_uidvalidity;
	assert_true(uidvalidity > 0);
	done(&t.a, see_first_fn, "INBOX", "");
	done(&t.a, deliver_fn, "INBOX", "three");
	assert_virtual(&t.a, "2:two 3:three ");
	assert_virtual(&t.b, "2:two 3:three ");
	assert_int_equal(shown_uidvalidity, uidvalidity);
	/* Nobody knows what the first gave out and lost since. */
	done(&t.b, deliver_fn, "Work", "four");
	assert_virtual(&t.b, "2:two 3:three 65540:four ");
	done(&t.b, deliver_fn, "Work", "five");
	assert_virtual(&t.b, "2:two 3:three 65540:four 65541:five ");
	assert_virtual(&t.a, "2:two 3:three 65540:four 65541:five ");
	assert_int_equal(shown_uidvalidity, uidvalidity);
	two_stop(&t);
}

/* Two that take over from one and the same must not leave out the same UIDs. */
static void who_takes_over_uploads_before_it_shows(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "INBOX", "one");
	assert_virtual(&t.a, "1:one ");
	done(&t.b, deliver_fn, "INBOX", "two");
	/* The index of INBOX is known; no upload, so nothing may be shown. */
	rig_fail_at(t.rig, 1, RIG_FAIL);
	t.rig->fail_from_then_on = true;
	t.b.user->root_index.is_stopping = true;
	do_task(&t.b, search_fn, "", "");
	assert_true(t.rig->fired && task.has_ended && task.result < 0);
	do_task(&t.b, search_fn, "", "");
	assert_true(task.has_ended && task.result < 0);
	t.b.user->root_index.is_stopping = false;
	t.rig->fail_from_then_on = false;
	rig_fail_at(t.rig, 0, RIG_FAIL);
	node_crash(&t.b, FAULT_DISK_KEEP);
	assert_virtual(&t.b, "1:one 65538:two ");
	node_crash(&t.b, FAULT_DISK_KEEP);
	done(&t.b, deliver_fn, "INBOX", "three");
	assert_virtual(&t.b, "1:one 65538:two 131075:three ");
	two_stop(&t);
}

/* Neither is uploaded before the other is made. */
static void two_at_once_begin_anew(void **state)
{
	uint32_t uidvalidity;
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "INBOX", "one");
	assert_virtual(&t.a, "1:one ");
	uidvalidity = shown_uidvalidity;
	/* Neither looks at the root before its change. */
	done(&t.b, access_fn, "", "");
	done(&t.a, deliver_fn, "INBOX", "two");
	done(&t.b, deliver_fn, "Work", "three");
	t.a.user->root_index.is_stopping = t.b.user->root_index.is_stopping = true;
	done(&t.a, open_fn, "", "");
	done(&t.b, open_fn, "", "");
	t.a.user->root_index.is_stopping = t.b.user->root_index.is_stopping = false;
	done(&t.a, flush_fn, "", "");
	done(&t.b, flush_fn, "", "");
	done(&t.b, access_fn, "", "");
	done(&t.b, show_fn, "", "");
	assert_string_equal(task.text, "");
	assert_int_equal(shown_uidvalidity, 0);
	assert_virtual(&t.b, "1:one 2:two 3:three ");
	assert_true(shown_uidvalidity > uidvalidity);
	uidvalidity = shown_uidvalidity;
	assert_virtual(&t.a, "1:one 2:two 3:three ");
	assert_int_equal(shown_uidvalidity, uidvalidity);
	two_stop(&t);
}

static void folder_count_fn(struct node *node)
{
	end_task(obox_list_find(node->user->root_index.list, lab_view_cstr(task.name)) != NULL);
}

/* C-53 */
static void a_deleted_folder_is_not_made_again(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "INBOX", "one");
	done(&t.a, deliver_fn, "Work", "two");
	assert_virtual(&t.a, "1:one 2:two ");
	assert_virtual(&t.b, "1:one 2:two ");
	done(&t.b, delete_fn, "Work", "");
	/* The first still believes in it. */
	done(&t.a, open_fn, "", "");
	assert_virtual(&t.a, "1:one ");
	assert_virtual(&t.b, "1:one ");
	done(&t.a, folder_count_fn, "Work", "");
	assert_int_equal(task.result, 0);
	done(&t.b, folder_count_fn, "Work", "");
	assert_int_equal(task.result, 0);
	two_stop(&t);
}

static void disabled_start(struct node *node, struct rig *rig)
{
	node_init(node, rig, 0);
	node->conf.metacache_disable_secondary_indexes = true;
	rig_boot(rig, 0);
	node_run(node, node_start_user);
}

/* Private flags are in it all the same. */
static void disabled_virtual_folders_stay_on_the_host(void **state)
{
	struct two t = { .rig = *state };

	disabled_start(&t.a, t.rig);
	done(&t.a, deliver_fn, "INBOX", "one");
	assert_virtual(&t.a, "1:one ");
	done(&t.a, private_fn, "1", "set");
	node_start(&t.b, t.rig, 1);
	done(&t.b, show_fn, "", "");
	assert_string_equal(task.text, "");
	assert_int_equal(shown_uidvalidity, 0);
	assert_seen(&t.b, "1");
	node_stop(&t.a);
	disabled_start(&t.a, t.rig);
	done(&t.a, show_fn, "", "");
	assert_string_equal(task.text, "1:one ");
	two_stop(&t);
}

static void a_folder_that_cannot_be_opened_changes_nothing(void **state)
{
	struct two t;

	two_start(&t, *state);
	done(&t.a, deliver_fn, "INBOX", "one");
	assert_virtual(&t.a, "1:one ");
	done(&t.b, access_fn, "", "");
	rig_fail_at(t.rig, 1, RIG_FAIL);
	do_task(&t.b, search_fn, "", "");
	assert_true(t.rig->fired && task.result < 0);
	rig_fail_at(t.rig, 0, RIG_FAIL);
	assert_int_equal(obox_virtual_find(t.b.user->root_index.secondary, UNSEEN)->count, 1);
	assert_virtual(&t.b, "1:one ");
	two_stop(&t);
}

/* ---- states ---- */

static struct lab_heap *heap;

static int set_up(void **state)
{
	static struct lab_pool *pool;

	(void)state;
	if (pool == NULL)
		pool = lab_pool_new(256u << 20);
	heap = lab_heap_new(pool, 256u << 20);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(lab_heap_used(heap), 0);
	lab_heap_drop(&heap);
	return 0;
}

static struct lab_buf flags_of(const struct obox_secondary *s, const struct obox_secondary *base)
{
	struct lab_buf out;

	lab_buf_init(&out, heap, 1u << 20);
	obox_private_encode(s, base, &out);
	return out;
}

static struct lab_buf folders_of(const struct obox_secondary *s)
{
	struct lab_buf out;

	lab_buf_init(&out, heap, 1u << 20);
	obox_virtual_encode(s, &out);
	return out;
}

static void take(struct obox_secondary *to, const struct obox_secondary *from,
	const struct obox_secondary *base)
{
	struct lab_buf flags = flags_of(from, base), folders = folders_of(from);
	struct lab_error err;

	if (flags.len > 0)
		OK(obox_private_merge(to, lab_buf_view(&flags), 5, &err));
	if (folders.len > 0)
		OK(obox_virtual_merge(to, lab_buf_view(&folders), &err));
	lab_buf_done(&flags);
	lab_buf_done(&folders);
}

static void assert_same(const struct obox_secondary *a, const struct obox_secondary *b)
{
	struct lab_buf x = flags_of(a, NULL), y = flags_of(b, NULL), v = folders_of(a),
		       w = folders_of(b);

	assert_true(lab_view_eq(lab_buf_view(&x), lab_buf_view(&y)));
	assert_true(lab_view_eq(lab_buf_view(&v), lab_buf_view(&w)));
	lab_buf_done(&x);
	lab_buf_done(&y);
	lab_buf_done(&v);
	lab_buf_done(&w);
}

#define HOSTS 3u

static void random_change(struct obox_secondary *s, unsigned host, uint64_t seed, uint64_t n)
{
	struct obox_private_key key = { .owner = OWNER };
	struct obox_virtual_mail mails[4] = { 0 };
	size_t count = 0;
	struct lab_error err;

	key.name[0] = (uint8_t)lab_pick(lab_draw(seed, "mail", host, n), 4);
	if (lab_draw(seed, "what", host, n) % 2 == 0) {
		OK(obox_private_set(
			s, host + 1, &key, lab_draw(seed, "seen", host, n) % 2 == 0, n, &err));
		return;
	}
	for (unsigned i = 0; i < 4; i++) {
		if ((lab_draw(seed, "found", host, n) >> i & 1) != 0)
			mails[count++].name[0] = (uint8_t)(i + 1);
	}
	OK(obox_virtual_update(
		s, host + 1, LAB_VIEW("all"), (uint32_t)(100 + n), mails, count, &err));
}

/* Whoever takes what from whom in whatever order: in the end all are the same, and what the last
 * one that knew everything did holds. */
static void hosts_agree_once_they_have_told_each_other(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct obox_secondary *hosts[HOSTS];

		for (unsigned h = 0; h < HOSTS; h++)
			hosts[h] = obox_secondary_new(heap);
		for (uint64_t n = 0; n < 40; n++) {
			unsigned h = (unsigned)lab_pick(lab_draw(seed, "host", n, 0), HOSTS);
			unsigned from = (unsigned)lab_pick(lab_draw(seed, "from", n, 0), HOSTS);

			if (h != from)
				take(hosts[h], hosts[from], NULL);
			else
				random_change(hosts[h], h, seed, n);
		}
		for (unsigned round = 0; round < 3 * HOSTS; round++)
			take(hosts[(round + 1) % HOSTS], hosts[round % HOSTS], NULL);
		for (unsigned h = 1; h < HOSTS; h++)
			assert_same(hosts[0], hosts[h]);
		for (unsigned h = 0; h < HOSTS; h++)
			obox_secondary_free(&hosts[h]);
	}
}

static void a_diff_and_its_base_are_the_whole(void **state)
{
	struct obox_secondary *base = obox_secondary_new(heap), *now = obox_secondary_new(heap);
	struct obox_secondary *reader = obox_secondary_new(heap);
	struct lab_buf diff;
	struct obox_private_key key = { .owner = OWNER };
	struct lab_error err;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		key.name[0] = (uint8_t)i;
		OK(obox_private_set(base, 1, &key, true, 0, &err));
	}
	take(now, base, NULL);
	diff = flags_of(now, base);
	assert_int_equal(diff.len, 0);
	lab_buf_done(&diff);
	OK(obox_private_set(now, 2, &key, false, 0, &err));
	diff = flags_of(now, base);
	assert_int_equal(diff.len, 5 + 1 + strlen("owner@example.com") + 32 + 1 + 16);
	lab_buf_done(&diff);
	/* In any order. */
	take(reader, now, base);
	take(reader, base, NULL);
	assert_same(reader, now);
	assert_false(obox_private_is_seen(reader, &key));
	obox_secondary_free(&base);
	obox_secondary_free(&now);
	obox_secondary_free(&reader);
}

static bool has_none(void *ctx, const uint8_t name[ENV_GUID128_SIZE])
{
	(void)ctx;
	(void)name;
	return false;
}

static void only_what_was_known_before_a_listing_is_forgotten(void **state)
{
	struct obox_secondary *s = obox_secondary_new(heap);
	struct obox_private_key key = { .owner = OWNER };
	struct lab_error err;

	(void)state;
	OK(obox_private_set(s, 1, &key, true, 10, &err));
	key.folder[0] = 1;
	OK(obox_private_set(s, 1, &key, true, 10, &err));
	key.name[0] = 1;
	OK(obox_private_set(s, 1, &key, true, 20, &err));
	assert_int_equal(obox_private_forget(s, OWNER, key.folder, 20, has_none, NULL), 1);
	assert_int_equal(lab_tree_count(s->flags), 2);
	assert_true(obox_private_is_seen(s, &key));
	key.owner = LAB_VIEW("");
	assert_int_equal(obox_private_set(s, 1, &key, true, 0, &err), -1);
	assert_int_equal(err.code, LAB_INVALID);
	obox_secondary_free(&s);
}

/* An empty folder has a UIDVALIDITY, too: nobody knows what was given out under it. */
static void each_author_leaves_uids_out(void **state)
{
	struct obox_secondary *s = obox_secondary_new(heap);
	struct obox_virtual_mail mail = { .name = { 1 } };
	struct lab_error err;

	(void)state;
	OK(obox_virtual_update(s, 1, LAB_VIEW("v"), 7, NULL, 0, &err));
	assert_int_equal(obox_virtual_find(s, LAB_VIEW("v"))->next_uid, 1);
	OK(obox_virtual_update(s, 2, LAB_VIEW("v"), 7, &mail, 1, &err));
	assert_int_equal(
		obox_virtual_find(s, LAB_VIEW("v"))->mails[0].uid, 1 + OBOX_VIRTUAL_UID_JUMP);
	mail.name[0] = 2;
	OK(obox_virtual_update(s, 2, LAB_VIEW("v"), 7, &mail, 1, &err));
	assert_int_equal(
		obox_virtual_find(s, LAB_VIEW("v"))->mails[0].uid, 2 + OBOX_VIRTUAL_UID_JUMP);
	obox_secondary_free(&s);
}

static void what_cannot_be_numbered_is_refused(void **state)
{
	struct obox_secondary *s = obox_secondary_new(heap);
	struct obox_virtual_mail *mails =
		lab_new_array(heap, struct obox_virtual_mail, OBOX_VIRTUAL_MAILS_MAX + 1);
	struct lab_error err;

	(void)state;
	for (size_t i = 0; i <= OBOX_VIRTUAL_MAILS_MAX; i++)
		memcpy(mails[i].name, &i, sizeof(i));
	assert_int_equal(obox_virtual_update(
				 s, 1, LAB_VIEW("v"), 7, mails, OBOX_VIRTUAL_MAILS_MAX + 1, &err),
		-1);
	assert_int_equal(err.code, LAB_LIMIT);
	assert_null(obox_virtual_find(s, LAB_VIEW("v")));
	OK(obox_virtual_update(s, 1, LAB_VIEW("v"), 7, mails, 40000, &err));
	/* Others, so that a crash would forget more than the next author leaves out. */
	assert_int_equal(
		obox_virtual_update(s, 1, LAB_VIEW("v"), 7, mails + 30000, 30000, &err), 1);
	assert_int_equal(obox_virtual_find(s, LAB_VIEW("v"))->next_uid, 60001);
	assert_int_equal(obox_virtual_update(s, 1, LAB_VIEW("v"), 7, mails, 10000, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	assert_int_equal(obox_virtual_find(s, LAB_VIEW("v"))->count, 30000);
	obox_virtual_uploaded(s, true);
	OK(obox_virtual_update(s, 1, LAB_VIEW("v"), 7, mails, 10000, &err));
	assert_int_equal(obox_virtual_find(s, LAB_VIEW("v"))->next_uid, 70001);
	assert_int_equal(obox_virtual_find(s, LAB_VIEW("v"))->uidvalidity, 7 + 1);
	assert_int_equal(obox_virtual_update(s, 1, LAB_VIEW("a//b"), 7, mails, 1, &err), -1);
	lab_heap_free(heap, mails);
	obox_secondary_free(&s);
}

/* Any byte that is missing, and any that is another where only one is right. */
static void damaged_members_are_refused(void **state)
{
	struct obox_secondary *s = obox_secondary_new(heap), *to = obox_secondary_new(heap);
	struct lab_buf flags, folders;
	struct lab_error err;

	(void)state;
	for (uint64_t n = 0; n < 40; n++)
		random_change(s, 1, 3, n);
	flags = flags_of(s, NULL);
	folders = folders_of(s);
	for (size_t len = 0; len < flags.len; len++)
		assert_int_equal(obox_private_merge(to, lab_view_of(flags.data, len), 0, &err), -1);
	for (size_t len = 0; len < folders.len; len++)
		assert_int_equal(obox_virtual_merge(to, lab_view_of(folders.data, len), &err), -1);
	flags.data[0] = folders.data[0] = 2;
	assert_int_equal(obox_private_merge(to, lab_buf_view(&flags), 0, &err), -1);
	assert_int_equal(err.code, LAB_UNSUPPORTED);
	assert_int_equal(obox_virtual_merge(to, lab_buf_view(&folders), &err), -1);
	assert_int_equal(err.code, LAB_UNSUPPORTED);
	lab_buf_done(&flags);
	lab_buf_done(&folders);
	obox_secondary_free(&s);
	obox_secondary_free(&to);
}

static void too_many_authors_make_a_folder_anew(void **state)
{
	struct obox_secondary *s = obox_secondary_new(heap);
	struct obox_virtual_mail mails[2] = { { .name = { 1 } }, { .name = { 2 } } };
	struct lab_error err;

	(void)state;
	for (uint64_t author = 1; author <= OBOX_VIRTUAL_AUTHORS_MAX + 10; author++) {
		OK(obox_virtual_update(s, author, LAB_VIEW("v"), 7, &mails[author % 2], 1, &err));
		obox_virtual_uploaded(s, true);
	}
	assert_int_equal(
		obox_virtual_find(s, LAB_VIEW("v"))->author_count, OBOX_VIRTUAL_AUTHORS_MAX);
	{
		struct obox_secondary *copy = obox_secondary_new(heap);

		take(copy, s, NULL);
		assert_same(copy, s);
		obox_secondary_free(&copy);
	}
	obox_secondary_free(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_private_flag_is_seen_on_another_backend),
		RIG_UNIT_TEST(private_flags_are_uploaded_once_an_interval),
		RIG_UNIT_TEST(an_upload_that_failed_is_made_again_and_keeps_nobody_waiting),
		RIG_UNIT_TEST(a_crash_costs_the_flags_of_an_interval),
		RIG_UNIT_TEST(a_clean_stop_keeps_private_flags),
		RIG_UNIT_TEST(a_clean_uploads_them_first),
		RIG_UNIT_TEST(many_private_flags_have_a_base_and_diffs),
		RIG_UNIT_TEST(elsewhere_they_are_lost_with_the_host),
		RIG_UNIT_TEST(flags_of_another_users_folder_are_the_readers_own),
		RIG_UNIT_TEST(a_virtual_folder_keeps_its_uids_on_another_backend),
		RIG_UNIT_TEST(who_takes_over_uploads_before_it_shows),
		RIG_UNIT_TEST(two_at_once_begin_anew),
		RIG_UNIT_TEST(a_deleted_folder_is_not_made_again),
		RIG_UNIT_TEST(disabled_virtual_folders_stay_on_the_host),
		RIG_UNIT_TEST(a_folder_that_cannot_be_opened_changes_nothing),
		TEST(hosts_agree_once_they_have_told_each_other),
		TEST(a_diff_and_its_base_are_the_whole),
		TEST(only_what_was_known_before_a_listing_is_forgotten),
		TEST(each_author_leaves_uids_out),
		TEST(what_cannot_be_numbered_is_refused),
		TEST(damaged_members_are_refused),
		TEST(too_many_authors_make_a_folder_anew),
	};

	return cmocka_run_group_tests_name("obox-secondary", tests, NULL, NULL);
}

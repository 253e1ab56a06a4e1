/* SPDX-License-Identifier: Apache-2.0
 *
 * Storage garbage collection: what goes, what stays, whatever fails; and sets of hashes that do not
 * fit into memory.
 */
#include "core/obox/hash-runs.h"
#include "core/obox/storage-gc.h"
#include "core/obox/test-support.h"

/* ---- rows of the rig as references ---- */

static int add_parts(
	struct lab_view text, storage_gc_add_fn add, void *add_ctx, struct lab_error *err)
{
	struct lab_view part;

	while (lab_view_split(&text, '/', &part)) {
		if (part.len > 0 && add(add_ctx, part, err) < 0)
			return -1;
	}
	return 0;
}

/* A step of its own: it can fail. */
static int rig_each(void *ctx, storage_gc_add_fn add, void *add_ctx, struct lab_error *err)
{
	struct node *node = ctx;
	struct lab_tree_iter iter = lab_tree_iterate(node->rig->rows, LAB_VIEW("shared/"));
	struct dict_values values;
	struct lab_view key;
	void *row;

	if (dict_lookup(&node->rig->hosts[0].dict.dict, LAB_VIEW("shared/scan"), node->rig->arena,
		    &values, err) < 0)
		return -1;
	while (lab_tree_next(&iter, &key, &row)) {
		char *text = lab_arena_printf(node->rig->arena, "%.*s", LAB_VIEW_ARG(key));
		struct lab_view value = rig_row(node->rig, text);

		if (value.ptr != NULL && (add_parts(key, add, add_ctx, err) < 0 ||
						 add_parts(value, add, add_ctx, err) < 0))
			return -1;
	}
	return 0;
}

static struct lab_view now_referenced;

static int rig_is_referenced(void *ctx, struct lab_view name, struct lab_error *err)
{
	struct node *node = ctx;
	struct dict_values values;

	if (dict_lookup(&node->rig->hosts[0].dict.dict, LAB_VIEW("shared/look"), node->rig->arena,
		    &values, err) < 0)
		return -1;
	return lab_view_eq(name, now_referenced);
}

struct reported {
	unsigned leaks, foreign;
};

static void on_report(void *ctx, struct lab_view path, enum storage_gc_state state, int64_t age)
{
	struct reported *reported = ctx;

	assert_true(path.len > 0 && age >= 0);
	reported->leaks += state == STORAGE_GC_LEAK;
	reported->foreign += state == STORAGE_GC_FOREIGN;
}

static int collect(struct node *node, bool do_delete, int64_t min_age,
	struct storage_gc_result *ret, struct lab_error *err)
{
	struct storage_gc_rows rows = { rig_each, rig_is_referenced, node };
	struct reported reported = { 0 };
	struct storage_gc_settings settings = { .env = node->user->env,
		.rows = &rows,
		.directory = "/tmp",
		.hashes_in_memory = 7,
		.min_age = min_age,
		.do_delete = do_delete,
		.report = on_report,
		.report_ctx = &reported };
	struct storage_gc *gc;
	int result;

	*ret = (struct storage_gc_result){ 0 };
	if (storage_gc_begin(&settings, &gc, err) < 0)
		return -1;
	result = storage_gc_run(gc, node->user->fs, LAB_VIEW(USER "/"), err);
	*ret = *storage_gc_result(gc);
	storage_gc_end(&gc);
	assert_int_equal(reported.leaks, ret->leaks);
	assert_int_equal(reported.foreign, ret->foreign);
	return result;
}

/* ---- mails, and leaks ---- */

/* The mail's rows vanish, its object stays. */
static void leak(struct node *node, struct obox_mailbox *box, const char *body)
{
	uint32_t uid = deliver(box, body);
	char key[300], name[OBOX_GUID_HEX + 1];

	lab_hex(obox_mailbox_find(box, uid)->name, ENV_GUID128_SIZE, name);
	snprintf(key, sizeof(key), "shared/dictmap/" USER "/mailboxes/%s/0/%s",
		obox_mailbox_guid(box), name);
	rig_remove_row(node->rig, key);
	snprintf(key, sizeof(key), "shared/dictrevmap/%s80/%s", name, name);
	assert_non_null(rig_row(node->rig, key).ptr);
	rig_remove_row(node->rig, key);
}

static void wait_hours(struct node *node, unsigned hours)
{
	env_sleep(node->user->env, hours * 3600 * LAB_SEC);
}

NODE_TEST(leaks_go_and_everything_else_stays)
{
	struct obox_mailbox *box = box_open(node, "INBOX"), *work = box_open(node, "Work");
	struct storage_gc_result r;
	struct obox_result copied;
	struct lab_error err;
	size_t objects;

	for (int i = 0; i < 5; i++)
		leak(node, box, "leaked");
	for (int i = 0; i < 5; i++)
		deliver(box, "kept");
	OK(obox_copy(box, (uint32_t[]){ 6 }, 1, work, &copied, &err));
	OK(obox_expunge(box, (uint32_t[]){ 6 }, 1, &copied, &err));
	OK(backend_flush(node->backend, LAB_VIEW(USER), false, "test", &err));
	objects = rig_object_count(node->rig);
	wait_hours(node, 2);
	/* A dry run first. */
	OK(collect(node, false, 0, &r, &err));
	assert_int_equal(r.leaks, 5);
	assert_int_equal(r.deleted + r.foreign + r.young + r.failed, 0);
	assert_int_equal(r.objects, objects);
	assert_int_equal(r.referenced, objects - 5);
	assert_int_equal(rig_object_count(node->rig), objects);
	OK(collect(node, true, 0, &r, &err));
	assert_int_equal(r.deleted, 5);
	assert_int_equal(rig_object_count(node->rig), objects - 5);
	assert_true(rig_is_consistent(node->rig, MAILS, true));
	OK(collect(node, true, 0, &r, &err));
	assert_int_equal(r.leaks, 0);
	OK(obox_mailbox_rescan(box, &err));
	assert_box(node, box, "7:kept 8:kept 9:kept 10:kept ");
	OK(obox_mailbox_rescan(work, &err));
	assert_box(node, work, "1:kept ");
	obox_mailbox_close(&box);
	obox_mailbox_close(&work);
}

NODE_TEST(what_is_young_stays)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct storage_gc_result r;
	struct lab_error err;

	leak(node, box, "leaked");
	env_sleep(node->user->env, 3590 * LAB_SEC);
	/* Less than an hour is an hour. */
	OK(collect(node, true, 1, &r, &err));
	assert_int_equal(r.deleted, 0);
	assert_true(r.young >= 1);
	env_sleep(node->user->env, 20 * LAB_SEC);
	OK(collect(node, true, 24 * 3600, &r, &err));
	assert_int_equal(r.deleted, 0);
	OK(collect(node, true, 0, &r, &err));
	assert_int_equal(r.deleted, 1);
	obox_mailbox_close(&box);
}

NODE_TEST(what_is_not_dovecot_s_is_told_and_stays)
{
	static const char *const paths[] = { MAILS "/README.txt",
		MAILS "/0011223344556677889900112233445580", USER "/x" };
	struct storage_gc_result r;
	struct lab_error err;

	for (size_t i = 0; i < LAB_COUNT_OF(paths); i++)
		OK(put(fs_storage(node->user->fs), paths[i], "theirs", &err));
	wait_hours(node, 2);
	OK(collect(node, true, 0, &r, &err));
	assert_int_equal(r.foreign, 3);
	assert_int_equal(r.leaks, 0);
	for (size_t i = 0; i < LAB_COUNT_OF(paths); i++)
		assert_true(rig_has_object(node->rig, paths[i]));
}

NODE_TEST(what_got_a_row_meanwhile_stays)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct storage_gc_result r;
	struct lab_error err;
	char oid[2 * OBOX_OID_BYTES_MAX + 1];

	leak(node, box, "leaked");
	lab_hex(obox_mailbox_find(box, 1)->oid, obox_mailbox_find(box, 1)->oid_len, oid);
	now_referenced = lab_view_cstr(oid);
	wait_hours(node, 2);
	OK(collect(node, true, 0, &r, &err));
	now_referenced = LAB_VIEW("");
	assert_int_equal(r.leaks, 1);
	assert_int_equal(r.saved, 1);
	assert_int_equal(r.deleted, 0);
	obox_mailbox_close(&box);
}

/* Rows that are not all read are no reason to delete anything. */
NODE_TEST(no_failure_deletes_what_is_referenced)
{
	struct obox_mailbox *box = box_open(node, "INBOX");
	struct storage_gc_result r;
	struct lab_error err;
	unsigned fired = 0;

	deliver(box, "kept");
	OK(backend_flush(node->backend, LAB_VIEW(USER), false, "test", &err));
	for (unsigned step = 1; step <= 14; step++) {
		for (unsigned fault = RIG_FAIL; fault <= RIG_UNCERTAIN_LATE; fault++) {
			leak(node, box, "leaked");
			leak(node, box, "leaked");
			wait_hours(node, 2);
			rig_fail_at(node->rig, step, (enum rig_fault)fault);
			(void)collect(node, true, 0, &r, &err);
			fired += node->rig->fired;
			rig_fail_at(node->rig, 0, RIG_FAIL);
			rig_apply_late(node->rig);
			assert_true(rig_is_consistent(node->rig, MAILS, true));
			OK(collect(node, true, 0, &r, &err));
			OK(collect(node, false, 0, &r, &err));
			assert_int_equal(r.leaks, 0);
		}
	}
	assert_true(fired > 30);
	OK(obox_mailbox_rescan(box, &err));
	assert_box(node, box, "1:kept ");
	obox_mailbox_close(&box);
}

NODE_TEST(without_a_listing_there_is_no_collection)
{
	struct fs_settings settings = node->rig->hosts[0].settings;
	struct storage_gc_rows rows = { rig_each, rig_is_referenced, node };
	struct storage_gc_settings gc_settings = {
		.env = node->user->env, .rows = &rows, .directory = "/tmp", .hashes_in_memory = 100
	};
	struct storage_gc *gc;
	struct lab_error err;
	struct fs *fs;

	OK(fs_init(LAB_VIEW("posix:prefix=/elsewhere/"), &settings, &fs, &err));
	OK(storage_gc_begin(&gc_settings, &gc, &err));
	FAILS(storage_gc_run(gc, fs, LAB_VIEW(""), &err), LAB_UNSUPPORTED);
	storage_gc_end(&gc);
	fs_deinit(&fs);
}

/* ---- sets of hashes ---- */

#define HASHES 20000

static void check_set(struct node *node, size_t in_memory, unsigned files)
{
	struct hash_runs *runs = hash_runs_new(node->user->env, "/tmp", in_memory);
	uint64_t *asked = lab_new_array(node->user->env->heap, uint64_t, 2 * HASHES);
	bool *found = lab_new_array(node->user->env->heap, bool, 2 * HASHES);
	struct lab_error err;

	for (uint64_t i = HASHES; i > 0; i--)
		OK(hash_runs_add(runs, (i * 7919) % HASHES * 2, &err));
	for (uint64_t i = 0; i < 2 * HASHES; i++)
		asked[i] = i;
	OK(hash_runs_find(runs, asked, 2 * HASHES, found, &err));
	for (uint64_t i = 0; i < 2 * HASHES; i++)
		assert_row(i, found[i] == (i % 2 == 0));
	assert_int_equal(hash_runs_count(runs), HASHES);
	assert_int_equal(hash_runs_files(runs), files);
	hash_runs_free(&runs);
	assert_null(runs);
	lab_heap_free(node->user->env->heap, asked);
	lab_heap_free(node->user->env->heap, found);
}

NODE_TEST(sets_are_as_large_as_the_disk)
{
	struct lab_view *names;
	struct lab_error err;
	size_t count = 0;

	check_set(node, HASHES, 0);
	check_set(node, HASHES - 1, 1);
	check_set(node, 1000, 19);
	check_set(node, 9000, 2);
	if (env_list(node->user->env, "/tmp", 100, node->rig->arena, &names, &count, &err) == 0)
		assert_int_equal(count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(leaks_go_and_everything_else_stays),
		RIG_UNIT_TEST(what_is_young_stays),
		RIG_UNIT_TEST(what_is_not_dovecot_s_is_told_and_stays),
		RIG_UNIT_TEST(what_got_a_row_meanwhile_stays),
		RIG_UNIT_TEST(no_failure_deletes_what_is_referenced),
		RIG_UNIT_TEST(without_a_listing_there_is_no_collection),
		RIG_UNIT_TEST(sets_are_as_large_as_the_disk),
	};

	return cmocka_run_group_tests_name("storage-gc", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The bundles of a directory on the rig: requests, what is replaced, what cannot be read, and each
 * step of each upload failing in each way.
 */
#include "core/fs/testing/rig-test.h"
#include "core/obox/bundle-store.h"

#define USER "user@example.com"
#define GUID "00d7d12ea08a3153175e0000dfbea952"
#define FOLDER USER "/mailboxes/" GUID "/idx/"
#define DICTMAP "dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; "
#define USUAL DICTMAP "diff-table:storage-passthrough-paths=full"
#define WITH_IDS DICTMAP "diff-table:storage-objectid-prefix=" USER "/ids/"
#define WITHOUT_DIFF_TABLE DICTMAP "storage-passthrough-paths=full"
#define WITH_CLEANUP USUAL ":cleanup-uncertain"

struct store {
	struct rig *rig;
	struct fs *fs;
	struct obox_bundles *bundles;
};

static void store_open(struct store *s, struct rig *rig, unsigned host, const char *uri)
{
	struct obox_bundles_settings settings = { .env = rig->hosts[host].env,
		.path = FOLDER,
		.username = USER,
		.mailbox_guid = GUID,
		.max_parallel_requests = 4 };
	struct lab_error err;

	s->rig = rig;
	s->fs = rig_open(rig, host, uri, &err);
	assert_non_null(s->fs);
	settings.fs = s->fs;
	s->bundles = obox_bundles_new(&settings);
}

static void store_close(struct store *s)
{
	obox_bundles_free(&s->bundles);
	fs_deinit(&s->fs);
}

/* The content of these bundles is a number. */
static unsigned number_of(const struct obox_bundle_download *download)
{
	const struct obox_bundle_file *file = obox_bundle_file(&download->bundle, "v");
	uint64_t number;

	assert_non_null(file);
	assert_int_equal(lab_view_to_u64(file->content, &number), 0);
	return (unsigned)number;
}

/* Takes everything in. Returns the highest number, or -1. */
static int refresh(struct store *s, struct obox_bundles_news *news, struct lab_error *err)
{
	unsigned highest = 0;

	if (obox_bundles_refresh(s->bundles, "test", s->rig->arena, news, err) < 0)
		return -1;
	for (size_t i = 0; i < news->count; i++) {
		highest = LAB_MAX(highest, number_of(&news->downloads[i]));
		obox_bundles_merged(s->bundles, &news->downloads[i]);
	}
	return (int)highest;
}

static void refreshed(struct store *s)
{
	struct obox_bundles_news news;
	struct lab_error err;

	OK(refresh(s, &news, &err));
}

static int upload(struct store *s, enum obox_bundle_kind kind, unsigned number,
	struct obox_bundle_name *ret, struct lab_error *err)
{
	char content[16], base[OBOX_BUNDLE_NAME_MAX] = "";
	struct obox_bundle_file file = { .name = LAB_VIEW("v") };
	struct obox_bundle_upload u = {
		.kind = kind, .files = &file, .file_count = 1, .reason = "test"
	};
	struct obox_bundle_name name;

	snprintf(content, sizeof(content), "%u", number);
	file.content = lab_view_cstr(content);
	if (kind == OBOX_BUNDLE_DIFF) {
		assert_true(obox_bundles_bases(s->bundles, &name));
		obox_bundle_name_format(&name, base);
		u.base = lab_view_cstr(base);
	}
	return obox_bundles_upload(s->bundles, &u, ret, err);
}

static void uploaded(struct store *s, enum obox_bundle_kind kind, unsigned number)
{
	struct lab_error err;

	OK(upload(s, kind, number, NULL, &err));
}

/* Another host, or another store of this one, does one thing. */
struct turn {
	struct rig *rig;
	unsigned host;
	const char *uri;
	enum obox_bundle_kind kind;
	unsigned number;
};

static void turn_body(void *arg)
{
	struct turn *turn = arg;
	struct store s;

	store_open(&s, turn->rig, turn->host, turn->uri);
	refreshed(&s);
	uploaded(&s, turn->kind, turn->number);
	store_close(&s);
}

static void take_turn(struct rig *rig, unsigned host, const char *uri, enum obox_bundle_kind kind,
	unsigned number)
{
	struct turn turn = { rig, host, uri, kind, number };

	rig_run(rig, host, turn_body, &turn);
}

static void start_counting(struct rig *rig)
{
	rig->counts = (struct rig_counts){ 0 };
}

#define COUNTS(puts_, gets_, deletes_, sets_, unsets_, iterations_) \
	do { \
		assert_int_equal(rig->counts.puts, puts_); \
		assert_int_equal(rig->counts.gets, gets_); \
		assert_int_equal(rig->counts.deletes, deletes_); \
		assert_int_equal(rig->counts.sets, sets_); \
		assert_int_equal(rig->counts.unsets, unsets_); \
		assert_int_equal(rig->counts.iterations, iterations_); \
		assert_int_equal(rig->counts.lookups + rig->counts.heads, 0); \
	} while (0)

/* ---- requests ---- */

static void costs(struct rig *rig, const char *uri)
{
	struct store s;
	struct obox_bundles_news news;
	struct lab_error err;

	store_open(&s, rig, 0, uri);
	start_counting(rig);
	assert_int_equal(refresh(&s, &news, &err), 0);
	COUNTS(0, 0, 0, 0, 0, 2);
	start_counting(rig);
	uploaded(&s, OBOX_BUNDLE_SELF, 1);
	COUNTS(1, 0, 0, 1, 0, 0);
	start_counting(rig);
	uploaded(&s, OBOX_BUNDLE_SELF, 2);
	COUNTS(1, 0, 1, 1, 0, 0);
	start_counting(rig);
	uploaded(&s, OBOX_BUNDLE_BASE, 3);
	COUNTS(1, 0, 1, 1, 1, 0);
	start_counting(rig);
	uploaded(&s, OBOX_BUNDLE_DIFF, 4);
	COUNTS(1, 0, 0, 1, 0, 0);
	start_counting(rig);
	uploaded(&s, OBOX_BUNDLE_DIFF, 5);
	COUNTS(1, 0, 1, 1, 0, 0);
	start_counting(rig);
	refreshed(&s);
	COUNTS(0, 0, 0, 0, 0, 2);
	start_counting(rig);
	uploaded(&s, OBOX_BUNDLE_BASE, 6);
	COUNTS(1, 0, 2, 1, 2, 0);
	assert_int_equal(rig_object_count(rig), 1);
	assert_int_equal(obox_bundles_count(s.bundles), 1);
	assert_int_equal(rig->counts.events[LAB_EV_metacache_mailbox_bundle_upload_finished], 1);
	store_close(&s);
}

RIG_TEST(requests_are_those_of_the_table)
{
	costs(rig, USUAL);
}

RIG_TEST(requests_with_object_ids_are_the_same)
{
	costs(rig, WITH_IDS);
}

RIG_TEST(without_diff_table_old_rows_are_deleted)
{
	struct store s;

	store_open(&s, rig, 0, WITHOUT_DIFF_TABLE);
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_SELF, 1);
	start_counting(rig);
	uploaded(&s, OBOX_BUNDLE_SELF, 2);
	COUNTS(1, 0, 1, 1, 1, 0);
	assert_int_equal(rig_row_count(rig, "shared/dictmap/"), 1);
	store_close(&s);
}

RIG_TEST(a_stack_without_dict_has_bundles_too)
{
	struct obox_bundles_settings settings = {
		.env = rig->hosts[0].env, .path = FOLDER, .username = USER
	};
	struct lab_view *names;
	struct lab_error err;
	struct store s = { .rig = rig };
	size_t count;

	OK(fs_init(LAB_VIEW("posix:prefix=/s/"), &rig->hosts[0].settings, &s.fs, &err));
	settings.fs = s.fs;
	s.bundles = obox_bundles_new(&settings);
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_BASE, 1);
	uploaded(&s, OBOX_BUNDLE_DIFF, 2);
	uploaded(&s, OBOX_BUNDLE_DIFF, 3);
	OK(fs_iter(s.fs, LAB_VIEW(FOLDER), 0, 9, rig->arena, &names, &count, &err));
	assert_int_equal(count, 2);
	obox_bundles_free(&s.bundles);
	s.bundles = obox_bundles_new(&settings);
	assert_int_equal(refresh(&s, &(struct obox_bundles_news){ 0 }, &err), 3);
	uploaded(&s, OBOX_BUNDLE_BASE, 4);
	OK(fs_iter(s.fs, LAB_VIEW(FOLDER), 0, 9, rig->arena, &names, &count, &err));
	assert_int_equal(count, 1);
	store_close(&s);
}

/* ---- two hosts ---- */

static void another_host_reads_it(void *arg)
{
	struct rig *rig = arg;
	struct obox_bundles_news news;
	struct lab_error err;
	struct store s;

	store_open(&s, rig, 1, USUAL);
	start_counting(rig);
	assert_int_equal(refresh(&s, &news, &err), 5);
	COUNTS(0, 2, 0, 0, 0, 2);
	assert_int_equal(news.count, 2);
	assert_int_equal(news.downloads[0].id.kind, OBOX_BUNDLE_BASE);
	assert_int_equal(news.downloads[1].id.kind, OBOX_BUNDLE_DIFF);
	assert_true(obox_bundle_name_is_diff_of(&news.downloads[1].id, &news.downloads[0].id));
	/* Its first diff takes nobody's place. */
	uploaded(&s, OBOX_BUNDLE_DIFF, 6);
	COUNTS(1, 2, 0, 1, 0, 2);
	store_close(&s);
}

static void first_host_writes(void *arg)
{
	struct store s;

	store_open(&s, arg, 0, USUAL);
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_BASE, 4);
	uploaded(&s, OBOX_BUNDLE_DIFF, 5);
	store_close(&s);
}

static void what_one_host_writes_another_reads(void **state)
{
	struct rig *rig = *state;

	rig_run(rig, 0, first_host_writes, rig);
	rig_run(rig, 1, another_host_reads_it, rig);
	assert_int_equal(rig_row_count(rig, "shared/dictdiffmap/"), 2);
}

/* Host 0 has merged a diff of host 1, which has written another one since. */
struct overtaken {
	struct rig *rig;
	bool has_merged, is_overtaken;
};

static void overtake(void *arg)
{
	struct overtaken *o = arg;
	struct store s;

	store_open(&s, o->rig, 1, USUAL);
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_BASE, 1);
	uploaded(&s, OBOX_BUNDLE_DIFF, 2);
	while (!o->has_merged)
		env_sleep(o->rig->hosts[1].env, LAB_MSEC);
	uploaded(&s, OBOX_BUNDLE_DIFF, 3);
	o->is_overtaken = true;
	store_close(&s);
}

static void merge_and_be_overtaken(void *arg)
{
	struct overtaken *o = arg;
	struct store s;

	env_sleep(o->rig->hosts[0].env, LAB_SEC);
	store_open(&s, o->rig, 0, USUAL);
	refreshed(&s);
	o->has_merged = true;
	while (!o->is_overtaken)
		env_sleep(o->rig->hosts[0].env, LAB_MSEC);
	uploaded(&s, OBOX_BUNDLE_BASE, 4);
	store_close(&s);
}

static void read_both(void *arg)
{
	struct overtaken *o = arg;
	struct obox_bundles_news news;
	struct lab_error err;
	struct store s;

	store_open(&s, o->rig, 0, USUAL);
	assert_int_equal(refresh(&s, &news, &err), 4);
	assert_int_equal(news.count, 2);
	assert_int_equal(number_of(&news.downloads[1]), 3);
	store_close(&s);
}

static void a_base_leaves_a_row_that_was_overwritten_since(void **state)
{
	struct overtaken o = { .rig = *state };
	struct lab_error err;

	/* H-16: the clock of the host that deletes is ahead. */
	world_clock_offset(o.rig->hosts[0].host, 5 * 1000 * 1000);
	rig_boot(o.rig, 0);
	rig_boot(o.rig, 1);
	OK(env_spawn(o.rig->hosts[1].env, "overtake", overtake, &o, &err));
	rig_continue(o.rig, 0, merge_and_be_overtaken, &o);
	assert_true(o.is_overtaken);
	rig_continue(o.rig, 0, read_both, &o);
}

/* Host 1 replaces its base between the listing and the download of host 0. */
static void replace_base(void *arg)
{
	struct overtaken *o = arg;
	struct store s;

	store_open(&s, o->rig, 1, USUAL);
	refreshed(&s);
	while (o->rig->counts.iterations < 4)
		env_sleep(o->rig->hosts[1].env, LAB_MSEC / 8);
	o->rig->delay_ns = LAB_MSEC / 64;
	uploaded(&s, OBOX_BUNDLE_BASE, 7);
	o->rig->delay_ns = LAB_MSEC;
	store_close(&s);
}

static void read_while_replaced(void *arg)
{
	struct overtaken *o = arg;
	struct obox_bundles_news news;
	struct lab_error err;
	struct store s;

	env_sleep(o->rig->hosts[0].env, LAB_SEC);
	store_open(&s, o->rig, 0, USUAL);
	assert_int_equal(refresh(&s, &news, &err), 7);
	/* The first one was listed, and gone. */
	assert_true(o->rig->counts.iterations > 4);
	assert_int_equal(news.set_aside, 0);
	assert_int_equal(news.count, 1);
	store_close(&s);
}

static void a_bundle_that_is_replaced_meanwhile_is_not_lost(void **state)
{
	struct overtaken o = { .rig = *state };
	struct lab_error err;

	take_turn(o.rig, 1, USUAL, OBOX_BUNDLE_BASE, 1);
	rig_boot(o.rig, 0);
	rig_boot(o.rig, 1);
	start_counting(o.rig);
	OK(env_spawn(o.rig->hosts[1].env, "replace", replace_base, &o, &err));
	rig_continue(o.rig, 0, read_while_replaced, &o);
}

/* ---- what cannot be read ---- */

static struct lab_view only_object(struct rig *rig, const char **ret_path)
{
	struct lab_tree_iter iter = lab_tree_iterate(rig->objects, LAB_VIEW(""));
	struct lab_view path;
	void *object;

	assert_true(lab_tree_next(&iter, &path, &object));
	*ret_path = lab_arena_cstr(rig->arena, path);
	return rig_object(rig, *ret_path);
}

static void damage(struct rig *rig, unsigned how)
{
	const char *path;
	struct lab_view bytes = only_object(rig, &path);
	uint8_t *data = (uint8_t *)(uintptr_t)bytes.ptr;

	switch (how) {
	case 0: /* a bit */
		data[bytes.len - 1] ^= 1;
		break;
	case 1: /* not a bundle */
		data[0] = 'X';
		break;
	case 2: /* a later version */
		data[8] = 200;
		break;
	case 3: /* a diff inside, a base outside */
		data[9] ^= 1;
		break;
	default:
		rig_remove_object(rig, path);
	}
}

#define DAMAGES 5

/* What is set aside is told, stays where it is, and keeps nothing else from being used. */
static void damaged_once(struct rig *rig, unsigned how)
{
	struct obox_bundles_news news;
	struct lab_error err;
	struct store s;
	size_t before;

	store_open(&s, rig, 0, USUAL);
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_BASE, 1);
	store_close(&s);
	damage(rig, how);
	before = rig_object_count(rig);
	start_counting(rig);
	store_open(&s, rig, 0, USUAL);
	assert_int_equal(refresh(&s, &news, &err), 0);
	assert_int_equal(news.count, 0);
	assert_int_equal(news.set_aside, 1);
	assert_int_equal(rig->counts.events[LAB_EV_metacache_bundle_set_aside], 1);
	/* Not again and again. */
	start_counting(rig);
	assert_int_equal(refresh(&s, &news, &err), 0);
	assert_int_equal(news.set_aside, 0);
	assert_int_equal(rig->counts.gets, 0);
	uploaded(&s, OBOX_BUNDLE_BASE, 2);
	uploaded(&s, OBOX_BUNDLE_BASE, 3);
	assert_int_equal(rig_row_count(rig, "shared/dictmap/"), 2);
	assert_int_equal(rig_object_count(rig), before + 1);
	store_close(&s);
	store_open(&s, rig, 0, USUAL);
	assert_int_equal(refresh(&s, &news, &err), 3);
	assert_int_equal(news.set_aside, 1);
	store_close(&s);
}

static void damaged_body(void *arg)
{
	struct turn *turn = arg;

	damaged_once(turn->rig, turn->number);
}

static void unreadable_bundles_are_set_aside(void **state)
{
	(void)state;
	for (unsigned how = 0; how < DAMAGES; how++) {
		struct rig *rig = rig_new();
		struct turn turn = { .rig = rig, .number = how };

		rig_run(rig, 0, damaged_body, &turn);
		rig_free(&rig);
	}
}

RIG_TEST(a_bundle_whose_content_makes_no_sense_is_set_aside)
{
	struct obox_bundles_news news;
	struct lab_error err, why;
	struct store s;

	store_open(&s, rig, 0, USUAL);
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_SELF, 1);
	store_close(&s);
	store_open(&s, rig, 0, USUAL);
	OK(obox_bundles_refresh(s.bundles, "test", rig->arena, &news, &err));
	assert_int_equal(news.count, 1);
	lab_fail(&why, LAB_CORRUPT, "not a number");
	obox_bundles_set_aside(s.bundles, &news.downloads[0], &why);
	assert_non_null(strstr(rig->last_event, "not a number"));
	uploaded(&s, OBOX_BUNDLE_BASE, 2);
	assert_int_equal(rig_object_count(rig), 2);
	store_close(&s);
}

/* The row of the base; it is where it was once it is given back. */
static void *take_base_row(struct rig *rig, char key[256])
{
	struct lab_tree_iter iter =
		lab_tree_iterate(rig->rows, LAB_VIEW("shared/dictmap/" FOLDER "bundle."));
	struct lab_view found;
	void *row;

	assert_true(lab_tree_next(&iter, &found, &row));
	assert_int_equal(lab_view_to_cstr(found, key, 256), 0);
	return lab_tree_remove(rig->rows, lab_view_cstr(key));
}

static void lists_the_diff_only(void *arg)
{
	struct rig *rig = arg;
	struct obox_bundles_news news;
	struct lab_error err, why;
	struct store s;
	char key[256];
	void *row = take_base_row(rig, key);

	store_open(&s, rig, 0, USUAL);
	OK(obox_bundles_refresh(s.bundles, "test", rig->arena, &news, &err));
	assert_int_equal(news.count, 1);
	assert_int_equal(news.downloads[0].id.kind, OBOX_BUNDLE_DIFF);
	lab_fail(&why, LAB_NOT_FOUND, "changes of a base that is not in this index");
	obox_bundles_set_aside(s.bundles, &news.downloads[0], &why);
	OK(obox_bundles_refresh(s.bundles, "test", rig->arena, &news, &err));
	assert_int_equal(news.count, 0);

	*lab_tree_slot(rig->rows, lab_view_cstr(key)) = row;
	assert_int_equal(refresh(&s, &news, &err), 2);
	assert_int_equal(news.count, 2);
	assert_int_equal(refresh(&s, &news, &err), 0);
	assert_int_equal(news.count, 0);
	store_close(&s);
}

/* Written between the two listings: the base came too late for the first, the diff not. */
static void a_diff_without_its_base_is_looked_at_again_with_it(void **state)
{
	struct rig *rig = *state;

	take_turn(rig, 1, USUAL, OBOX_BUNDLE_BASE, 1);
	take_turn(rig, 1, USUAL, OBOX_BUNDLE_DIFF, 2);
	rig_run(rig, 0, lists_the_diff_only, rig);
}

RIG_TEST(a_storage_that_does_not_answer_is_no_empty_folder)
{
	struct obox_bundles_news news;
	struct lab_error err;
	struct store s;

	store_open(&s, rig, 0, USUAL);
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_BASE, 1);
	uploaded(&s, OBOX_BUNDLE_DIFF, 2);
	store_close(&s);
	for (unsigned n = 1; n <= 4; n++) {
		store_open(&s, rig, 0, USUAL);
		rig_fail_at(rig, n, RIG_FAIL);
		FAILS(refresh(&s, &news, &err), LAB_UNAVAILABLE);
		assert_true(rig->fired);
		assert_false(obox_bundles_is_listed(s.bundles));
		FAILS(upload(&s, OBOX_BUNDLE_BASE, 9, NULL, &err), LAB_INVALID);
		rig_fail_at(rig, 0, RIG_FAIL);
		assert_int_equal(refresh(&s, &news, &err), 2);
		store_close(&s);
	}
}

/* Whether a redirect leads nowhere, or a method is not known there: that is no bundle of no use. */
RIG_TEST(a_storage_that_refuses_a_request_says_nothing_about_bundles)
{
	struct obox_bundles_news news;
	struct lab_error err;
	struct store s;

	store_open(&s, rig, 0, USUAL);
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_SELF, 1);
	store_close(&s);
	store_open(&s, rig, 0, USUAL);
	rig->refusal = LAB_UNSUPPORTED;
	rig->only = "/self.";
	start_counting(rig);
	rig_fail_at(rig, 1, RIG_FAIL);
	FAILS(refresh(&s, &news, &err), LAB_UNAVAILABLE);
	assert_true(rig->fired);
	assert_int_equal(rig->counts.events[LAB_EV_metacache_bundle_set_aside], 0);
	rig_fail_at(rig, 0, RIG_FAIL);
	assert_int_equal(refresh(&s, &news, &err), 1);
	assert_int_equal(news.set_aside, 0);
	store_close(&s);
}

/* ---- what an upload refuses ---- */

RIG_TEST(nothing_is_overwritten_that_was_not_merged)
{
	struct obox_bundles_news news;
	struct lab_error err;
	struct store s;

	store_open(&s, rig, 0, USUAL);
	FAILS(upload(&s, OBOX_BUNDLE_SELF, 1, NULL, &err), LAB_INVALID);
	SAYS("never listed");
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_SELF, 1);
	store_close(&s);
	store_open(&s, rig, 0, USUAL);
	OK(obox_bundles_refresh(s.bundles, "test", rig->arena, &news, &err));
	FAILS(upload(&s, OBOX_BUNDLE_SELF, 2, NULL, &err), LAB_INVALID);
	SAYS("listed, but not merged");
	/* It comes again. */
	assert_int_equal(refresh(&s, &news, &err), 1);
	uploaded(&s, OBOX_BUNDLE_SELF, 2);
	store_close(&s);
}

RIG_TEST(a_diff_needs_a_base_that_is_there)
{
	struct obox_bundle_upload u = { .kind = OBOX_BUNDLE_DIFF, .reason = "test" };
	struct lab_error err;
	struct store s;

	store_open(&s, rig, 0, USUAL);
	refreshed(&s);
	u.base = LAB_VIEW("bundle.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe22");
	FAILS(obox_bundles_upload(s.bundles, &u, NULL, &err), LAB_INVALID);
	u.base = LAB_VIEW("nonsense");
	FAILS(obox_bundles_upload(s.bundles, &u, NULL, &err), LAB_INVALID);
	assert_int_equal(rig->counts.puts, 0);
	store_close(&s);
}

/* ---- over a clean stop ---- */

RIG_TEST(what_is_known_outlives_a_clean_stop)
{
	struct obox_bundles_news news;
	struct lab_error err;
	struct lab_buf bytes;
	struct store s;

	store_open(&s, rig, 0, USUAL);
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_BASE, 1);
	uploaded(&s, OBOX_BUNDLE_DIFF, 2);
	/* One that could not be deleted. */
	rig_fail_at(rig, 3, RIG_FAIL);
	uploaded(&s, OBOX_BUNDLE_DIFF, 3);
	assert_true(rig->fired);
	rig_fail_at(rig, 0, RIG_FAIL);
	lab_buf_init(&bytes, rig->hosts[0].env->heap, 65536);
	obox_bundles_encode(s.bundles, &bytes);
	store_close(&s);
	store_open(&s, rig, 0, USUAL);
	for (size_t len = 0; len < bytes.len; len++)
		FAILS(obox_bundles_decode(s.bundles, lab_view_of(bytes.data, len), &err),
			LAB_CORRUPT);
	OK(obox_bundles_decode(s.bundles, lab_buf_view(&bytes), &err));
	start_counting(rig);
	assert_int_equal(refresh(&s, &news, &err), 0);
	COUNTS(0, 0, 0, 0, 0, 2);
	assert_int_equal(news.gone, 0);
	uploaded(&s, OBOX_BUNDLE_BASE, 4);
	assert_int_equal(rig->counts.events[LAB_EV_log_message], 0);
	/* A passed-through object whose deletion failed is dictmap's leak, and told. */
	assert_int_equal(rig_row_count(rig, "shared/dictmap/"), 1);
	assert_int_equal(rig_row_count(rig, "shared/dictdiffmap/"), 0);
	lab_buf_done(&bytes);
	store_close(&s);
}

struct handed {
	struct rig *rig;
	uint8_t bytes[65536];
	size_t len;
};

/* The INSERT of 7 is still on its way. */
static void hand_over(void *arg)
{
	struct handed *h = arg;
	struct lab_error err;
	struct lab_buf bytes;
	struct store s;

	store_open(&s, h->rig, 0, USUAL);
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_SELF, 5);
	rig_fail_at(h->rig, 2, RIG_UNCERTAIN_LATE);
	FAILS(upload(&s, OBOX_BUNDLE_SELF, 7, NULL, &err), LAB_UNCERTAIN);
	rig_fail_at(h->rig, 0, RIG_FAIL);
	lab_buf_init(&bytes, h->rig->hosts[0].env->heap, sizeof(h->bytes));
	obox_bundles_encode(s.bundles, &bytes);
	memcpy(h->bytes, bytes.data, bytes.len);
	h->len = bytes.len;
	lab_buf_done(&bytes);
	store_close(&s);
}

static void take_over(void *arg)
{
	struct handed *h = arg;
	struct lab_error err;
	struct store s;

	store_open(&s, h->rig, 1, USUAL);
	OK(obox_bundles_decode(s.bundles, lab_view_of(h->bytes, h->len), &err));
	obox_bundles_adopted(s.bundles);
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_SELF, 8);
	store_close(&s);
}

static void find_both(void *arg)
{
	struct handed *h = arg;
	struct obox_bundles_news news;
	struct lab_error err;
	struct store s;

	store_open(&s, h->rig, 1, USUAL);
	assert_int_equal(refresh(&s, &news, &err), 8);
	assert_int_equal(news.count, 2);
	assert_int_equal(news.set_aside, 0);
	store_close(&s);
}

static void a_row_of_another_host_that_comes_late_has_its_object(void **state)
{
	struct handed h = { .rig = *state };

	rig_run(h.rig, 0, hand_over, &h);
	rig_run(h.rig, 1, take_over, &h);
	rig_apply_late(h.rig);
	rig_run(h.rig, 1, find_both, &h);
}

RIG_TEST(a_deleted_folder_leaves_nothing)
{
	struct lab_error err;
	struct store s;

	store_open(&s, rig, 0, USUAL);
	refreshed(&s);
	uploaded(&s, OBOX_BUNDLE_BASE, 1);
	uploaded(&s, OBOX_BUNDLE_DIFF, 2);
	rig_fail_at(rig, 1, RIG_FAIL);
	FAILS(obox_bundles_delete_all(s.bundles, "test", &err), LAB_UNAVAILABLE);
	rig_fail_at(rig, 0, RIG_FAIL);
	OK(obox_bundles_delete_all(s.bundles, "test", &err));
	assert_int_equal(rig_object_count(rig), 0);
	assert_int_equal(rig_row_count(rig, "shared/"), 0);
	store_close(&s);
}

/* ---- the sweep: each step of each upload fails in each way (HD-8) ---- */

enum before {
	BEFORE_NOTHING,
	BEFORE_SELF,
	BEFORE_TWO_SELVES, /* one of another host */
	BEFORE_BASE,
	BEFORE_DIFF,
	BEFORE_TWO_DIFFS,
	BEFORE_COUNT
};

struct sweep {
	struct rig *rig;
	const char *uri;
	enum before before;
	enum obox_bundle_kind kind;
	enum rig_fault fault;
	unsigned n;
	bool from_then_on;
	/* What came of it. */
	bool has_begun, has_ended, fired, is_base_kept;
	struct lab_error err;
	int seen;
	size_t listed, aside;
};

static void prepare(struct sweep *s)
{
	if (s->before == BEFORE_SELF || s->before == BEFORE_TWO_SELVES)
		take_turn(s->rig, 0, s->uri, OBOX_BUNDLE_SELF, 5);
	if (s->before == BEFORE_TWO_SELVES)
		take_turn(s->rig, 1, s->uri, OBOX_BUNDLE_SELF, 6);
	if (s->before >= BEFORE_BASE)
		take_turn(s->rig, 0, s->uri, OBOX_BUNDLE_BASE, 4);
	if (s->before >= BEFORE_DIFF)
		take_turn(s->rig, 0, s->uri, OBOX_BUNDLE_DIFF, 5);
	if (s->before == BEFORE_TWO_DIFFS)
		take_turn(s->rig, 1, s->uri, OBOX_BUNDLE_DIFF, 6);
}

static int numbers_before(const struct sweep *s)
{
	static const int numbers[] = { 0, 5, 6, 4, 5, 6 };

	return numbers[s->before];
}

/* The upload of 7 fails; then, if the process is still there, that of 8 does not. */
static void sweep_body(void *arg)
{
	struct sweep *s = arg;
	struct obox_bundle_name base[2] = { { 0 } };
	struct lab_error err;
	struct store store;

	store_open(&store, s->rig, 0, s->uri);
	refreshed(&store);
	(void)obox_bundles_bases(store.bundles, &base[0]);
	s->has_begun = true;
	rig_fail_at(s->rig, s->n, s->fault);
	s->rig->fail_from_then_on = s->from_then_on;
	if (upload(&store, s->kind, 7, NULL, &s->err) == 0)
		s->err.code = LAB_OK;
	s->has_ended = true;
	(void)obox_bundles_bases(store.bundles, &base[1]);
	s->is_base_kept = s->err.code == LAB_OK || memcmp(&base[0], &base[1], sizeof(base[0])) == 0;
	s->fired = s->rig->fired;
	rig_fail_at(s->rig, 0, s->fault);
	rig_apply_late(s->rig);
	OK(upload(&store, s->kind, 8, NULL, &err));
	store_close(&store);
}

static void look(void *arg)
{
	struct sweep *s = arg;
	struct obox_bundles_news news;
	struct lab_error err;
	struct store store;

	store_open(&store, s->rig, 1, s->uri);
	s->seen = refresh(&store, &news, &err);
	s->listed = news.count;
	s->aside = news.set_aside;
	store_close(&store);
}

/* What may leak: uncertain PUTs without clean-up, and objects whose deletion failed, which dictmap
 * tells (HD-13). */
static bool may_leak(const struct sweep *s)
{
	return !s->has_ended || s->from_then_on ||
	       (s->n != 2 && !(s->n == 1 && s->fault == RIG_FAIL));
}

static const char *judge(const struct sweep *s)
{
	bool is_acked = s->has_ended && s->err.code == LAB_OK;

	if (s->aside > 0)
		return "a row without its object";
	if (s->seen < numbers_before(s) || (is_acked && s->seen < 7) ||
		(s->has_ended && s->seen != 8))
		return "something is gone";
	if (s->has_ended && s->kind == OBOX_BUNDLE_BASE && s->listed != 1)
		return "more than the base is left";
	if (rig_object_count(s->rig) < s->listed)
		return "more bundles than objects";
	if (!s->is_base_kept)
		return "a base that is not there counts";
	if (!may_leak(s) && rig_object_count(s->rig) != s->listed)
		return "a leak that was not necessary";
	return NULL;
}

static bool sweep_once(struct sweep *s)
{
	const char *problem;
	bool fired;

	s->rig = rig_new();
	s->has_begun = s->has_ended = s->fired = false;
	s->is_base_kept = true;
	s->err = (struct lab_error){ 0 };
	prepare(s);
	rig_run(s->rig, 0, sweep_body, s);
	assert_true(s->has_begun);
	fired = s->has_ended ? s->fired : s->rig->fired;
	assert_true(fired || s->has_ended);
	rig_fail_at(s->rig, 0, s->fault);
	rig_apply_late(s->rig);
	rig_run(s->rig, 1, look, s);
	problem = judge(s);
	if (problem != NULL)
		fail_msg("before %d, kind %d, step %u, %s%s: %s (%s)", s->before, s->kind, s->n,
			rig_fault_name(s->fault), s->from_then_on ? " from then on" : "", problem,
			s->err.message);
	rig_free(&s->rig);
	return fired;
}

static unsigned sweep(const char *uri, enum before before, enum obox_bundle_kind kind)
{
	unsigned fired = 0;

	for (unsigned i = 0; i < 2 * RIG_FAULT_COUNT; i++) {
		struct sweep s = { .uri = uri,
			.before = before,
			.kind = kind,
			.fault = (enum rig_fault)(i / 2),
			.from_then_on = i % 2 == 1 };

		for (s.n = 1; sweep_once(&s); s.n++)
			fired++;
	}
	return fired / (2 * RIG_FAULT_COUNT);
}

static void sweep_all(const char *uri)
{
	/* PUT, INSERT, and the deletions. */
	assert_int_equal(sweep(uri, BEFORE_NOTHING, OBOX_BUNDLE_SELF), 2);
	assert_true(sweep(uri, BEFORE_SELF, OBOX_BUNDLE_SELF) >= 3);
	assert_true(sweep(uri, BEFORE_TWO_SELVES, OBOX_BUNDLE_SELF) >= 3);
	assert_true(sweep(uri, BEFORE_TWO_SELVES, OBOX_BUNDLE_BASE) >= 5);
	assert_int_equal(sweep(uri, BEFORE_BASE, OBOX_BUNDLE_DIFF), 2);
	assert_true(sweep(uri, BEFORE_DIFF, OBOX_BUNDLE_DIFF) >= 3);
	assert_true(sweep(uri, BEFORE_TWO_DIFFS, OBOX_BUNDLE_DIFF) >= 3);
	assert_true(sweep(uri, BEFORE_TWO_DIFFS, OBOX_BUNDLE_BASE) >= 6);
}

static void whatever_fails_leaves_a_leak_at_most(void **state)
{
	(void)state;
	sweep_all(USUAL);
}

static void also_with_clean_up(void **state)
{
	(void)state;
	sweep_all(WITH_CLEANUP);
}

static void also_with_object_ids(void **state)
{
	(void)state;
	sweep_all(WITH_IDS);
}

static void also_without_diff_table(void **state)
{
	(void)state;
	sweep_all(WITHOUT_DIFF_TABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = { RIG_UNIT_TEST(requests_are_those_of_the_table),
		RIG_UNIT_TEST(requests_with_object_ids_are_the_same),
		RIG_UNIT_TEST(without_diff_table_old_rows_are_deleted),
		RIG_UNIT_TEST(a_stack_without_dict_has_bundles_too),
		RIG_UNIT_TEST(what_one_host_writes_another_reads),
		RIG_UNIT_TEST(a_base_leaves_a_row_that_was_overwritten_since),
		RIG_UNIT_TEST(a_bundle_that_is_replaced_meanwhile_is_not_lost),
		cmocka_unit_test(unreadable_bundles_are_set_aside),
		RIG_UNIT_TEST(a_bundle_whose_content_makes_no_sense_is_set_aside),
		RIG_UNIT_TEST(a_diff_without_its_base_is_looked_at_again_with_it),
		RIG_UNIT_TEST(a_storage_that_does_not_answer_is_no_empty_folder),
		RIG_UNIT_TEST(a_storage_that_refuses_a_request_says_nothing_about_bundles),
		RIG_UNIT_TEST(nothing_is_overwritten_that_was_not_merged),
		RIG_UNIT_TEST(a_diff_needs_a_base_that_is_there),
		RIG_UNIT_TEST(what_is_known_outlives_a_clean_stop),
		RIG_UNIT_TEST(a_row_of_another_host_that_comes_late_has_its_object),
		RIG_UNIT_TEST(a_deleted_folder_leaves_nothing),
		cmocka_unit_test(whatever_fails_leaves_a_leak_at_most),
		cmocka_unit_test(also_with_clean_up), cmocka_unit_test(also_with_object_ids),
		cmocka_unit_test(also_without_diff_table) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

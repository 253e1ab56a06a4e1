/* SPDX-License-Identifier: Apache-2.0
 *
 * Hazards of dictmap's design, and what it does about them: storages that are wrong for a while,
 * two hosts, names of hosts, rows that are written again under the same key
 * (scenarios/CATALOGUE.md).
 */
#include "core/base/defect.h"
#include "core/fs/testing/dictmap-test.h"

#define DIFF_ROWS "shared/dictdiffmap/" USER "/mailboxes/"
#define BUNDLE "bundle.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe22"
#define DIFF1 BUNDLE "-d88ff1001d4bf753a1b800001accfe22"
#define DIFF2 BUNDLE "-d88ff1001d4bf753a1b800001accfe23"

static struct fs *open_on(struct rig *rig, unsigned host, const char *uri)
{
	struct lab_error err;
	struct fs *fs = rig_open(rig, host, uri, &err);

	if (fs == NULL)
		fail_msg("%s", err.message);
	return fs;
}

static char *mail_path(struct rig *rig, const char *name)
{
	return lab_arena_printf(rig->arena, FOLDER "%s", name);
}

static size_t list_size(struct rig *rig, struct fs *fs, const char *path, uint32_t flags)
{
	struct lab_view *names;
	struct lab_error err;
	size_t count;

	OK(fs_iter(fs, lab_view_cstr(path), flags, 1000, rig->arena, &names, &count, &err));
	return count;
}

static void put_object(struct rig *rig, const char *path, struct lab_view contents)
{
	struct fs *storage = open_on(rig, 0, "posix:prefix=/s/");
	struct fs_file *file = fs_file_open(storage, lab_view_cstr(path), FS_OPEN_REPLACE);
	struct lab_error err;

	OK(fs_write(file, contents, &err));
	fs_file_close(&file);
	fs_deinit(&storage);
}

/* ---- a storage that says 404 for a while (PRO-07) ---- */

/* Saves a mail and reads it while its object seems to be gone. What a read after that gives. */
static int read_after_split(struct rig *rig, const char *uri, enum lab_code *ret_meanwhile)
{
	struct fs *fs = open_on(rig, 0, uri);
	struct lab_view text, contents;
	struct lab_error err;
	char name[33], *object;
	int result;

	OK(create(fs, FOLDER, "hello", name, &err));
	object = lab_arena_printf(rig->arena, "m/%s80", name);
	contents = lab_arena_copy(rig->arena, rig_object(rig, object));
	rig_remove_object(rig, object);
	assert_true(get(rig, fs, mail_path(rig, name), &text, &err) < 0);
	*ret_meanwhile = err.code;
	put_object(rig, object, contents);
	result = get(rig, fs, mail_path(rig, name), &text, &err);
	if (result == 0)
		assert_view(text, "hello");
	fs_deinit(&fs);
	return result;
}

RIG_TEST(a_storage_that_forgets_costs_rows_only_if_they_are_to_be_deleted)
{
	enum lab_code code;

	assert_int_equal(read_after_split(rig, DICTMAP(REFCOUNTED), &code), 0);
	assert_int_equal(code, LAB_NOT_FOUND);
	assert_int_equal(rig_forward_rows(rig), 1);
	/* What the vendor calls unsafe: the mail is lost, its object is a leak. */
	assert_int_equal(
		read_after_split(rig, DICTMAP(REFCOUNTED ":delete-dangling-links"), &code), -1);
	assert_int_equal(code, LAB_NOT_FOUND);
	assert_non_null(strstr(rig->last_event, "deleted=yes"));
	assert_int_equal(rig_forward_rows(rig), 1);
	assert_int_equal(rig_object_count(rig), 2);
}

/* ---- copy against delete on two hosts (PRO-30) ---- */

struct race {
	struct rig *rig;
	const char *uri;
	uint64_t wait_ns;
	unsigned copier; /* a host */
	struct lab_defects defects;
	char name[33];
	int copied;
	enum lab_code code;
};

static struct fs *open_with_locks(struct race *race, unsigned host)
{
	struct rig_host *h = &race->rig->hosts[host];

	h->services.shared = fs_shared_new(h->env);
	return open_on(race->rig, host, race->uri);
}

static void close_with_locks(struct race *race, unsigned host, struct fs **fs)
{
	fs_deinit(fs);
	fs_shared_free(&race->rig->hosts[host].services.shared);
}

static void save_one(void *arg)
{
	struct race *race = arg;
	struct fs *fs = open_with_locks(race, 0);
	struct lab_error err;

	OK(create(fs, FOLDER, "hello", race->name, &err));
	close_with_locks(race, 0, &fs);
}

static void copy_on_second(void *arg)
{
	struct race *race = arg;
	struct fs *fs = open_with_locks(race, 1);
	struct fs_file *from, *to;
	struct lab_error err = { .code = LAB_OK };

	env_sleep(race->rig->hosts[1].env, race->wait_ns);
	from = fs_file_open(fs, lab_view_cstr(mail_path(race->rig, race->name)), FS_OPEN_READONLY);
	/* From its index, as a session that has the folder open. */
	fs_set_metadata(from, FS_METADATA_OBJECTID,
		lab_view_cstr(lab_arena_printf(race->rig->arena, "%s80", race->name)));
	to = fs_file_open(fs, LAB_VIEW(FOLDER2), FS_OPEN_CREATE_UNIQUE_128);
	race->copied = fs_copy(from, to, &err);
	race->code = err.code;
	fs_file_close(&from);
	fs_file_close(&to);
	close_with_locks(race, 1, &fs);
}

static void delete_on_first(void *arg)
{
	struct race *race = arg;
	struct fs *fs = open_with_locks(race, 0);
	struct lab_error err;

	OK(del(fs, mail_path(race->rig, race->name), &err));
	close_with_locks(race, 0, &fs);
}

/* How many of the interleavings end with a copy that has no body. Any other ends well. */
static unsigned bodies_lost(const char *uri)
{
	unsigned lost = 0;

	for (unsigned i = 0; i < 14; i++) {
		struct rig *rig = rig_new();
		struct race race = { .rig = rig, .uri = uri, .wait_ns = i * LAB_MSEC / 2 };
		struct lab_error err;
		bool has_body;

		rig_boot(rig, 0);
		rig_boot(rig, 1);
		rig_continue(rig, 0, save_one, &race);
		OK(env_spawn(rig->hosts[1].env, "copy", copy_on_second, &race, &err));
		rig_continue(rig, 0, delete_on_first, &race);
		has_body = rig_has_object(rig, lab_arena_printf(rig->arena, "m/%s80", race.name));
		if (race.copied == 0)
			lost += !has_body;
		else
			assert_int_equal(race.code, LAB_NOT_FOUND);
		assert_int_equal(rig_forward_rows(rig), race.copied == 0);
		rig_free(&rig);
	}
	return lost;
}

static void lockdir_does_not_reach_another_host(void **state)
{
	unsigned without = bodies_lost(DICTMAP(REFCOUNTED));
	unsigned with = bodies_lost(DICTMAP(REFCOUNTED ":lockdir=/tmp"));

	(void)state;
	/* The lock makes it rarer: a copy that looks behind the delete finds no reference. */
	assert_true(with > 0);
	assert_true(with < without);
	assert_true(without < 14);
}

/* ---- a save that is cleaned up after its mail was copied (PRO-06) ---- */

#define SEEN_NAME "d88ff1001d4bf753a1b800001accfe22"

static void copy_what_is_seen(void *arg)
{
	struct race *race = arg;
	struct rig_host *h = &race->rig->hosts[race->copier];
	struct fs_file *from, *to;
	struct lab_error err = { .code = LAB_OK };
	struct fs *fs;

	env_sleep(h->env, race->wait_ns);
	fs = race->copier == 0 ? open_on(race->rig, 0, race->uri) : open_with_locks(race, 1);
	from = fs_file_open(fs, LAB_VIEW(FOLDER SEEN_NAME), FS_OPEN_READONLY);
	fs_set_metadata(from, FS_METADATA_OBJECTID, LAB_VIEW(SEEN_NAME "80"));
	to = fs_file_open(fs, LAB_VIEW(FOLDER2), FS_OPEN_CREATE_UNIQUE_128);
	race->copied = fs_copy(from, to, &err);
	race->code = err.code;
	fs_file_close(&from);
	fs_file_close(&to);
	if (race->copier == 0)
		fs_deinit(&fs);
	else
		close_with_locks(race, 1, &fs);
}

/* The answer to the forward row is lost, and the row is there until it is cleaned up. */
static void save_and_clean_up(void *arg)
{
	struct race *race = arg;
	struct rig *rig = race->rig;
	struct fs *fs = open_with_locks(race, 0);
	struct fs_file *file = fs_file_open(fs, LAB_VIEW(FOLDER SEEN_NAME), FS_OPEN_CREATE);
	struct lab_error err;

	lab_defects_on = race->defects;
	/* The look whether the name is free, and the INSERT. */
	rig->only = ROWS GUID "/0/";
	rig_fail_at(rig, 2, RIG_UNCERTAIN_APPLIED);
	OK(env_spawn(rig->hosts[race->copier].env, "copy", copy_what_is_seen, race, &err));
	FAILS(fs_write(file, LAB_VIEW("hello"), &err), LAB_UNAVAILABLE);
	assert_true(rig->fired);
	/* On one host they share the locks. */
	env_sleep(rig->hosts[0].env, LAB_SEC);
	fs_file_close(&file);
	close_with_locks(race, 0, &fs);
	lab_defects_on = LAB_NO_DEFECTS;
}

struct cleanups {
	unsigned copies, lost, refused;
};

/* One interleaving: the copy begins that long after the save, whose forward row is there by then.
 */
static void clean_up_beside_copy(
	unsigned copier, uint64_t wait_ns, struct lab_defects defects, struct cleanups *c)
{
	struct rig *rig = rig_new();
	struct race race = { .rig = rig,
		.uri = DICTMAP(REFCOUNTED ":lockdir=/tmp"),
		.wait_ns = wait_ns,
		.copier = copier,
		.defects = defects };
	bool has_body;

	rig_boot(rig, 0);
	rig_boot(rig, 1);
	rig_continue(rig, 0, save_and_clean_up, &race);
	has_body = rig_has_object(rig, "m/" SEEN_NAME "80");
	if (race.copied == 0) {
		c->copies++;
		c->lost += !has_body;
	} else {
		assert_int_equal(race.code, LAB_NOT_FOUND);
		assert_false(has_body);
		c->refused++;
	}
	assert_int_equal(rig_forward_rows(rig), race.copied == 0);
	rig_free(&rig);
}

/* All of them while the rows are there or have just gone. */
static struct cleanups clean_ups(unsigned copier, struct lab_defects defects)
{
	struct cleanups c = { 0 };

	for (unsigned half_ms = 8; half_ms < 20; half_ms++)
		clean_up_beside_copy(copier, half_ms * LAB_MSEC / 2, defects, &c);
	assert_true(c.copies > 0 && c.refused > 0);
	return c;
}

static void clean_up_leaves_the_object_to_who_copied_the_mail(void **state)
{
	struct cleanups one = clean_ups(0, LAB_NO_DEFECTS);
	struct cleanups two = clean_ups(1, LAB_NO_DEFECTS);
	struct cleanups uncounted = clean_ups(1, LAB_DEFECT(CLEANUP_UNCOUNTED));

	(void)state;
	assert_int_equal(one.lost, 0);
	/* The race of any copy and delete on two hosts (PRO-30). */
	assert_true(two.lost < two.copies);
	assert_true(two.lost < uncounted.lost);
	assert_int_equal(uncounted.lost, uncounted.copies);
}

/* ---- rows that are written again under their key (H-03) ---- */

RIG_TEST(a_diff_that_is_written_again_at_once_is_not_in_the_shadow_of_its_delete)
{
	struct fs *fs = open_on(
		rig, 0, DICTMAP("diff-table:storage-passthrough-paths=full:delete-timestamp=+10s"));
	const char *key =
		lab_arena_printf(rig->arena, DIFF_ROWS GUID "/idx/%s", rig->hosts[0].env->hostname);
	struct lab_error err;

	for (unsigned i = 0; i < 3; i++) {
		OK(put(fs, FOLDER "idx/" DIFF1, "1", &err));
		assert_view(rig_row(rig, key), DIFF1);
		assert_int_equal(list_size(rig, fs, FOLDER "idx/", 0), 1);
		OK(del(fs, FOLDER "idx/" DIFF1, &err));
		assert_null(rig_row(rig, key).ptr);
		assert_int_equal(list_size(rig, fs, FOLDER "idx/", 0), 0);
	}
	/* The setting does its work where names are never used twice. */
	OK(put(fs, FOLDER "idx/" BUNDLE, "1", &err));
	OK(del(fs, FOLDER "idx/" BUNDLE, &err));
	OK(put(fs, FOLDER "idx/" BUNDLE, "1", &err));
	assert_int_equal(list_size(rig, fs, FOLDER "idx/", 0), 0);
	env_sleep(rig->hosts[0].env, 11 * LAB_SEC);
	OK(put(fs, FOLDER "idx/" BUNDLE, "1", &err));
	assert_int_equal(list_size(rig, fs, FOLDER "idx/", 0), 1);
	fs_deinit(&fs);
}

/* ---- two hosts of one name (H-15) ---- */

struct namesake {
	struct rig *rig;
	unsigned host;
	const char *path;
};

static void write_as_first(void *arg)
{
	struct namesake *n = arg;
	struct rig *rig = n->rig;
	struct fs *fs;
	struct lab_error err;

	rig->hosts[n->host].env->hostname = "backend";
	fs = open_on(rig, n->host, DICTMAP("diff-table:storage-passthrough-paths=full"));
	OK(put(fs, n->path, n->path, &err));
	fs_deinit(&fs);
}

static void read_what_the_row_says(void *arg)
{
	struct namesake *n = arg;
	struct fs *fs =
		open_on(n->rig, n->host, DICTMAP("diff-table:storage-passthrough-paths=full"));
	struct lab_view text;
	struct lab_error err;

	assert_int_equal(list_size(n->rig, fs, FOLDER "idx/", 0), 1);
	OK(get(n->rig, fs, n->path, &text, &err));
	assert_view(text, n->path);
	fs_deinit(&fs);
}

static void hosts_of_one_name_have_one_diff_row_and_lose_no_object(void **state)
{
	struct rig *rig = *state;
	struct namesake first = { rig, 0, FOLDER "idx/" DIFF1 };
	struct namesake second = { rig, 1, FOLDER "idx/" DIFF2 };

	rig_run(rig, 0, write_as_first, &first);
	rig_run(rig, 1, write_as_first, &second);
	/* The changes of the first are out of sight, which is the documented price. */
	assert_int_equal(rig_row_count(rig, "shared/dictdiffmap/"), 1);
	assert_view(rig_row(rig, DIFF_ROWS GUID "/idx/backend"), DIFF2);
	assert_int_equal(rig_object_count(rig), 2);
	rig_run(rig, 1, read_what_the_row_says, &second);
}

/* ---- what an older version reads (PRO-39) ---- */

RIG_TEST(only_read_only_rows_say_where_an_older_version_finds_the_bundle)
{
	struct fs *full = open_on(rig, 0, DICTMAP("storage-passthrough-paths=full"));
	struct fs *both = open_on(rig, 0, DICTMAP("storage-passthrough-paths=read-only"));
	char place[200] = "";
	struct lab_view row, text;
	struct lab_error err;

	OK(put(both, USER "/idx/bundle.1", "new", &err));
	OK(put(full, USER "/idx/bundle.2", "newer", &err));
	/* Which takes the row for the object's id, and the id for its place. */
	row = rig_row(rig, "shared/dictmap/" USER "/idx/bundle.1");
	assert_true(row.len / 2 < sizeof(place));
	OK(lab_unhex(row, (uint8_t *)place, row.len / 2));
	assert_view(rig_object(rig, place), "new");
	row = rig_row(rig, "shared/dictmap/" USER "/idx/bundle.2");
	assert_non_null(row.ptr);
	assert_int_equal(row.len, 0);
	/* The two settings read each other's rows. */
	OK(get(rig, full, USER "/idx/bundle.1", &text, &err));
	assert_view(text, "new");
	OK(get(rig, both, USER "/idx/bundle.2", &text, &err));
	assert_view(text, "newer");
	assert_int_equal(list_size(rig, both, USER "/idx/", 0), 2);
	assert_int_equal(list_size(rig, full, USER "/idx/", 0), 2);
	fs_deinit(&full);
	fs_deinit(&both);
}

/* ---- a folder that has mails and no bundle (H-12) ---- */

RIG_TEST(a_folder_without_a_bundle_is_in_no_listing_but_its_mails_are_there)
{
	static const char *const uris[] = { DICTMAP(REFCOUNTED ":diff-table"),
		DICTMAP(REFCOUNTED) };

	for (size_t i = 0; i < LAB_COUNT_OF(uris); i++) {
		struct fs *fs = open_on(rig, 0, uris[i]);
		struct lab_error err;
		char name[33];

		OK(create(fs, FOLDER, "hello", name, &err));
		assert_int_equal(list_size(rig, fs, USER "/mailboxes/", FS_ITER_DIRS), 0);
		/* Who knows the GUID finds them. */
		assert_int_equal(list_size(rig, fs, FOLDER, 0), i + 1);
		fs_deinit(&fs);
	}
}

/* ---- listings that fail in several places (C-33) ---- */

RIG_TEST(buckets_that_fail_at_once_are_one_error)
{
	struct fs *fs = open_on(
		rig, 0, DICTMAP(REFCOUNTED ":bucket-size=10:bucket-cache=/b:max-parallel-iter=8"));
	struct lab_view *names;
	struct lab_error err;
	size_t count;

	rig_set_row(rig, ROWS GUID "/max_bucket", "7");
	/* One of eight, the last two, all of them. */
	for (unsigned n = 2; n <= 9; n++) {
		rig_fail_at(rig, n, RIG_FAIL);
		rig->fail_from_then_on = true;
		FAILS(fs_iter(fs, LAB_VIEW(FOLDER), 0, 9, rig->arena, &names, &count, &err),
			LAB_UNAVAILABLE);
		assert_true(rig->fired);
		SAYS(lab_arena_printf(rig->arena, "list bucket %u: injected", n - 2));
		rig_fail_at(rig, 0, RIG_FAIL);
	}
	assert_int_equal(rig->counts.iterating, 0);
	assert_int_equal(list_size(rig, fs, FOLDER, 0), 0);
	fs_deinit(&fs);
}

/* ---- max_bucket, and clocks that differ ---- */

#define BUCKETS DICTMAP(REFCOUNTED ":bucket-size=3:bucket-cache=/home/user/buckets.cache")
#define BEHIND_US (-5 * 1000 * 1000)

static void assert_max_bucket(const struct rig *rig, const char *expected)
{
	assert_view(rig_row(rig, ROWS GUID "/max_bucket"), expected);
}

static void save_many(struct fs *fs, unsigned count)
{
	struct lab_error err;
	char name[33];

	for (unsigned i = 0; i < count; i++)
		OK(create(fs, FOLDER, "x", name, &err));
}

struct filler {
	struct rig *rig;
	unsigned host, count;
	uint64_t wait_ns;
};

static void fill_on(void *arg)
{
	struct filler *f = arg;
	struct fs *fs = open_on(f->rig, f->host, BUCKETS);

	save_many(fs, f->count);
	fs_deinit(&fs);
}

static void assert_all_listed(void *arg)
{
	struct filler *f = arg;
	struct fs *fs = open_on(f->rig, f->host, BUCKETS);

	assert_int_equal(list_size(f->rig, fs, FOLDER, 0), f->count);
	fs_deinit(&fs);
}

static void look_above(void *arg)
{
	struct filler *f = arg;
	struct fs *fs = open_on(f->rig, f->host, BUCKETS);

	assert_int_equal(list_size(f->rig, fs, FOLDER, FS_ITER_NOCACHE), f->count);
	fs_deinit(&fs);
}

/* What the first wrote is stamped later than what the second writes, seconds after it. */
static void a_raise_counts_although_the_clock_is_behind(void **state)
{
	struct filler first = { *state, 0, 7, 0 }, second = { *state, 1, 9, 0 };

	world_clock_offset(second.rig->hosts[1].host, BEHIND_US);
	rig_run(first.rig, 0, fill_on, &first);
	assert_max_bucket(first.rig, "2");
	rig_run(second.rig, 1, fill_on, &second);
	assert_max_bucket(second.rig, "5");
	first.count += second.count;
	rig_run(first.rig, 0, assert_all_listed, &first);
	/* The same of buckets that a listing finds. */
	rig_set_row(first.rig, ROWS GUID "/6/" GUID, GUID "80");
	rig_set_row(first.rig, ROWS GUID "/7/" GUID, GUID "80");
	second.count = first.count += 2;
	rig_run(second.rig, 1, look_above, &second);
	assert_max_bucket(first.rig, "7");
	rig_run(first.rig, 0, assert_all_listed, &first);
}

static void fail_to_raise(void *arg)
{
	struct filler *f = arg;
	struct fs *fs = open_on(f->rig, f->host, BUCKETS);
	struct lab_error err;
	char name[33];

	save_many(fs, f->count);
	env_sleep(f->rig->hosts[0].env, f->wait_ns);
	f->rig->only = "max_bucket";
	rig_fail_at(f->rig, 2, RIG_UNCERTAIN_LATE);
	FAILS(create(fs, FOLDER, "x", name, &err), LAB_UNAVAILABLE);
	assert_true(f->rig->fired);
	f->rig->only = NULL;
	rig_fail_at(f->rig, 0, RIG_FAIL);
	fs_deinit(&fs);
}

/* Between a host's look and the arrival of its raise another one has raised further. */
static void raise_late(struct rig *rig, uint64_t wait_ns)
{
	struct filler first = { rig, 0, 6, wait_ns }, second = { rig, 1, 10, 0 };

	world_clock_offset(second.rig->hosts[1].host, BEHIND_US);
	rig_run(first.rig, 0, fail_to_raise, &first);
	assert_max_bucket(first.rig, "1");
	rig_run(second.rig, 1, fill_on, &second);
	assert_max_bucket(second.rig, "5");
	rig_apply_late(first.rig);
	assert_max_bucket(first.rig, "5");
	first.count += second.count;
	rig_run(first.rig, 0, assert_all_listed, &first);
}

static void a_raise_that_comes_late_lowers_nothing(void **state)
{
	raise_late(*state, 0);
}

static void a_raise_after_a_minute_that_comes_late_lowers_nothing(void **state)
{
	raise_late(*state, LAB_MINUTE);
}

/* ---- a crash in a roll-over (H-06) ---- */

struct roll_over {
	struct rig *rig;
	unsigned n;
	enum rig_fault fault;
	unsigned acked;
};

static void save_until_the_crash(void *arg)
{
	struct roll_over *r = arg;
	struct fs *fs = open_on(r->rig, 0, BUCKETS);

	rig_fail_at(r->rig, r->n, r->fault);
	for (r->acked = 0; r->acked < 7; r->acked++)
		save_many(fs, 1);
	fs_deinit(&fs);
}

static void assert_none_is_hidden(void *arg)
{
	struct roll_over *r = arg;
	struct fs *fs = open_on(r->rig, 1, BUCKETS);
	size_t listed = list_size(r->rig, fs, FOLDER, 0);

	/* The one that was on its way may be there. */
	assert_true(listed == r->acked || listed == r->acked + 1);
	assert_int_equal(listed, rig_forward_rows(r->rig));
	assert_int_equal(list_size(r->rig, fs, FOLDER, FS_ITER_NOCACHE), listed);
	fs_deinit(&fs);
}

static bool crash_in_roll_over(unsigned n, enum rig_fault fault)
{
	struct roll_over r = { .rig = rig_new(), .n = n, .fault = fault };
	bool fired;

	rig_run(r.rig, 0, save_until_the_crash, &r);
	fired = r.rig->fired;
	assert_int_equal(fired, r.acked < 7);
	rig_fail_at(r.rig, 0, RIG_FAIL);
	rig_run(r.rig, 1, assert_none_is_hidden, &r);
	rig_free(&r.rig);
	return fired;
}

static void a_crash_anywhere_in_a_roll_over_hides_no_mail(void **state)
{
	unsigned n = 0, fired;

	(void)state;
	do {
		n++;
		fired = crash_in_roll_over(n, RIG_CRASH_BEFORE);
		assert_int_equal(crash_in_roll_over(n, RIG_CRASH_AFTER), fired);
	} while (fired);
	/* Seven saves of three steps, three looks, two raises, and what counts the first bucket. */
	assert_int_equal(n - 1, 7 * 3 + 3 + 2 + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_storage_that_forgets_costs_rows_only_if_they_are_to_be_deleted),
		cmocka_unit_test(lockdir_does_not_reach_another_host),
		cmocka_unit_test(clean_up_leaves_the_object_to_who_copied_the_mail),
		RIG_UNIT_TEST(
			a_diff_that_is_written_again_at_once_is_not_in_the_shadow_of_its_delete),
		RIG_UNIT_TEST(hosts_of_one_name_have_one_diff_row_and_lose_no_object),
		RIG_UNIT_TEST(only_read_only_rows_say_where_an_older_version_finds_the_bundle),
		RIG_UNIT_TEST(a_folder_without_a_bundle_is_in_no_listing_but_its_mails_are_there),
		RIG_UNIT_TEST(buckets_that_fail_at_once_are_one_error),
		RIG_UNIT_TEST(a_raise_counts_although_the_clock_is_behind),
		RIG_UNIT_TEST(a_raise_that_comes_late_lowers_nothing),
		RIG_UNIT_TEST(a_raise_after_a_minute_that_comes_late_lowers_nothing),
		cmocka_unit_test(a_crash_anywhere_in_a_roll_over_hides_no_mail),
	};

	return cmocka_run_group_tests_name("dictmap-hazards", tests, NULL, NULL);
}

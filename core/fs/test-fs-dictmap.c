/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver dictmap: each of its settings, its paths, and what is left behind when any step of a
 * save, copy or delete fails (HD-1).
 */
#include "core/base/defect.h"
#include "core/fs/testing/rig-test.h"

#define USER "user@example.com"
#define GUID "00d7d12ea08a3153175e0000dfbea952"
#define GUID2 "11d7d12ea08a3153175e0000dfbea952"
#define FOLDER USER "/mailboxes/" GUID "/"
#define FOLDER2 USER "/mailboxes/" GUID2 "/"
#define ROWS "shared/dictmap/" USER "/mailboxes/"
#define DICTMAP(settings) "dictmap:proxy:dict-async:cassandra ; posix:prefix=/s/ ; " settings
#define REFCOUNTED "refcounting-table:storage-objectid-prefix=m/"
#define USUAL \
	REFCOUNTED ":lockdir=/tmp:nlinks-limit=3:delete-timestamp=+10s:bucket-size=10000:" \
		   "bucket-deleted-days=11:bucket-cache=/home/user/buckets.cache"

static struct fs *open_dictmap(struct rig *rig, const char *uri)
{
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, uri, &err);

	if (fs == NULL)
		fail_msg("%s", err.message);
	return fs;
}

static int copy(
	struct fs *fs, const char *from_path, const char *dir, char name[33], struct lab_error *err)
{
	struct fs_file *from = fs_file_open(fs, lab_view_cstr(from_path), FS_OPEN_READONLY);
	struct fs_file *to = fs_file_open(fs, lab_view_cstr(dir), FS_OPEN_CREATE_UNIQUE_128);
	int result = fs_copy(from, to, err);
	struct lab_view path = fs_file_path(to);

	snprintf(name, 33, "%.*s", LAB_VIEW_ARG(lab_view_skip(path, path.len - 32)));
	fs_file_close(&from);
	fs_file_close(&to);
	return result;
}

static char *path_of(struct rig *rig, const char *dir, const char *name)
{
	return lab_arena_printf(rig->arena, "%s%s", dir, name);
}

static size_t list(
	struct rig *rig, struct fs *fs, const char *path, uint32_t flags, struct lab_view **names)
{
	struct lab_error err;
	size_t count;

	OK(fs_iter(fs, lab_view_cstr(path), flags, 1000, rig->arena, names, &count, &err));
	return count;
}

/* ---- a mail ---- */

RIG_TEST(a_mail_is_an_object_a_reverse_row_and_a_forward_row)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	char name[33];
	struct lab_view text;

	OK(create(fs, FOLDER, "hello", name, &err));
	assert_view(rig_object(rig, lab_arena_printf(rig->arena, "m/%s80", name)), "hello");
	assert_view(rig_row(rig, lab_arena_printf(rig->arena, ROWS GUID "/0/%s", name)),
		lab_arena_printf(rig->arena, "%s80", name));
	assert_view(
		rig_row(rig, lab_arena_printf(rig->arena, "shared/dictrevmap/%s80/%s", name, name)),
		GUID);
	OK(get(rig, fs, path_of(rig, FOLDER, name), &text, &err));
	assert_view(text, "hello");
	fs_deinit(&fs);
}

RIG_TEST(metadata_has_the_virtual_path)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	struct fs_file *file = fs_file_open(fs, LAB_VIEW(FOLDER), FS_OPEN_CREATE_UNIQUE_128);
	struct lab_view value, path;

	fs_set_metadata(file, "guid", LAB_VIEW("abc"));
	OK(fs_write(file, LAB_VIEW("x"), &err));
	path = lab_arena_copy(rig->arena, fs_file_path(file));
	fs_file_close(&file);
	file = fs_file_open(fs, path, FS_OPEN_READONLY);
	assert_int_equal(fs_get_metadata(file, "fname", rig->arena, &value, &err), 1);
	assert_true(lab_view_eq(value, path));
	assert_int_equal(fs_get_metadata(file, "guid", rig->arena, &value, &err), 1);
	assert_view(value, "abc");
	assert_int_equal(fs_get_metadata(file, FS_METADATA_OBJECTID, rig->arena, &value, &err), 1);
	assert_int_equal(value.len, 34);
	assert_int_equal(fs_get_metadata(file, "nosuch", rig->arena, &value, &err), 0);
	fs_file_close(&file);
	fs_deinit(&fs);
}

RIG_TEST(a_known_object_id_saves_the_lookup)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	struct fs_file *file;
	struct lab_view text;
	char name[33];

	OK(create(fs, FOLDER, "hello", name, &err));
	file = fs_file_open(fs, lab_view_cstr(path_of(rig, FOLDER, name)), FS_OPEN_READONLY);
	fs_set_metadata(file, FS_METADATA_OBJECTID,
		lab_view_cstr(lab_arena_printf(rig->arena, "%s80", name)));
	OK(fs_read(file, rig->arena, 100, &text, &err));
	assert_int_equal(rig->counts.lookups, 0);
	fs_file_close(&file);
	fs_deinit(&fs);
}

RIG_TEST(what_is_not_in_the_dict_does_not_exist)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	struct fs_file *file = fs_file_open(fs, LAB_VIEW(FOLDER GUID), FS_OPEN_READONLY);
	struct lab_view text;
	uint64_t size;
	unsigned nlinks;

	assert_int_equal(fs_exists(file, &err), 0);
	FAILS(fs_read(file, rig->arena, 100, &text, &err), LAB_NOT_FOUND);
	FAILS(fs_stat(file, &size, &err), LAB_NOT_FOUND);
	FAILS(fs_get_nlinks(file, &nlinks, &err), LAB_NOT_FOUND);
	FAILS(fs_get_metadata(file, "guid", rig->arena, &text, &err), LAB_NOT_FOUND);
	FAILS(fs_delete(file, &err), LAB_NOT_FOUND);
	fs_file_close(&file);
	assert_int_equal(rig->counts.gets + rig->counts.heads + rig->counts.deletes, 0);
	fs_deinit(&fs);
}

RIG_TEST(paths_that_are_none_are_refused)
{
	static const char *const bad[] = { "", "/", USER, "other/mailboxes/" GUID "/" GUID,
		USER "x/idx/a", USER "/nosuch/a", USER "/mailboxes/" GUID,
		USER "/mailboxes/xyz/" GUID, FOLDER "nohex", FOLDER GUID "80",
		USER "/mailboxes/" GUID "x/" GUID };
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	struct lab_error err;
	struct lab_view text;

	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++) {
		FAILS(get(rig, fs, bad[i], &text, &err), LAB_INVALID);
		FAILS(put(fs, bad[i], "x", &err), LAB_INVALID);
	}
	FAILS(put(fs, FOLDER, "x", &err), LAB_INVALID);
	SAYS("is a directory");
	assert_int_equal(rig->steps, 0);
	fs_deinit(&fs);
}

RIG_TEST(a_name_that_is_taken_is_not_created_again)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	struct fs_file *file = fs_file_open(fs, LAB_VIEW(FOLDER GUID), FS_OPEN_CREATE);

	OK(fs_write(file, LAB_VIEW("1"), &err));
	fs_file_close(&file);
	file = fs_file_open(fs, LAB_VIEW(FOLDER GUID), FS_OPEN_CREATE);
	FAILS(fs_write(file, LAB_VIEW("2"), &err), LAB_EXISTS);
	fs_file_close(&file);
	assert_int_equal(rig->counts.puts, 1);
	fs_deinit(&fs);
}

RIG_TEST(nothing_is_renamed)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	struct fs_file *a = fs_file_open(fs, LAB_VIEW(FOLDER GUID), FS_OPEN_READONLY);
	struct fs_file *b = fs_file_open(fs, LAB_VIEW(FOLDER GUID2), FS_OPEN_REPLACE);

	FAILS(fs_rename(a, b, &err), LAB_UNSUPPORTED);
	assert_int_equal(fs_get_properties(fs) & FS_PROPERTY_RENAME, 0);
	fs_file_close(&a);
	fs_file_close(&b);
	fs_deinit(&fs);
}

/* ---- settings: each shows its effect ---- */

RIG_TEST(with_refcounting_copies_share_the_object)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	char first[33], second[33];
	struct fs_file *file;
	struct lab_view text;
	unsigned nlinks;

	OK(create(fs, FOLDER, "hello", first, &err));
	OK(copy(fs, path_of(rig, FOLDER, first), FOLDER2, second, &err));
	assert_int_equal(rig->counts.puts, 1);
	assert_int_equal(rig->counts.gets, 0);
	assert_true((fs_get_properties(fs) & FS_PROPERTY_FASTCOPY) != 0);
	file = fs_file_open(fs, lab_view_cstr(path_of(rig, FOLDER2, second)), FS_OPEN_READONLY);
	OK(fs_get_nlinks(file, &nlinks, &err));
	assert_int_equal(nlinks, 2);
	fs_file_close(&file);
	OK(del(fs, path_of(rig, FOLDER, first), &err));
	OK(get(rig, fs, path_of(rig, FOLDER2, second), &text, &err));
	assert_view(text, "hello");
	OK(del(fs, path_of(rig, FOLDER2, second), &err));
	assert_int_equal(rig_object_count(rig), 0);
	assert_int_equal(rig_row_count(rig, "shared/"), 0);
	fs_deinit(&fs);
}

RIG_TEST(without_refcounting_copies_are_objects_of_their_own)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP("storage-objectid-prefix=m/"));
	struct fs_file *file = fs_file_open(fs, LAB_VIEW(FOLDER GUID), FS_OPEN_CREATE);
	char name[33];
	struct lab_view value;
	unsigned nlinks;

	fs_set_metadata(file, "guid", LAB_VIEW("the same"));
	OK(fs_write(file, LAB_VIEW("hello"), &err));
	FAILS(fs_get_nlinks(file, &nlinks, &err), LAB_UNSUPPORTED);
	fs_file_close(&file);
	OK(copy(fs, FOLDER GUID, FOLDER2, name, &err));
	assert_int_equal(rig->counts.puts, 2);
	assert_int_equal(rig_row_count(rig, "shared/dictrevmap/"), 0);
	assert_int_equal(fs_get_properties(fs) & FS_PROPERTY_FASTCOPY, 0);
	file = fs_file_open(fs, lab_view_cstr(path_of(rig, FOLDER2, name)), FS_OPEN_READONLY);
	assert_int_equal(fs_get_metadata(file, "guid", rig->arena, &value, &err), 1);
	assert_view(value, "the same");
	assert_int_equal(fs_get_metadata(file, "fname", rig->arena, &value, &err), 1);
	assert_view(value, path_of(rig, FOLDER2, name));
	fs_file_close(&file);
	OK(del(fs, FOLDER GUID, &err));
	assert_int_equal(rig_object_count(rig), 1);
	fs_deinit(&fs);
}

RIG_TEST(without_lockdir_a_copy_asks_for_no_references)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	char name[33], other[33];

	OK(create(fs, FOLDER, "hello", name, &err));
	OK(copy(fs, path_of(rig, FOLDER, name), FOLDER2, other, &err));
	assert_int_equal(rig->counts.iterations, 0);
	fs_deinit(&fs);
	fs = open_dictmap(rig, DICTMAP(REFCOUNTED ":lockdir=/tmp"));
	OK(copy(fs, path_of(rig, FOLDER, name), FOLDER2, other, &err));
	assert_int_equal(rig->counts.iterations, 1);
	fs_deinit(&fs);
}

/* One deletes the only reference while another copies it. */
struct race {
	struct rig *rig;
	struct fs *fs;
	const char *path;
	uint64_t wait_ns;
	int copied;
};

static void copy_in_race(void *arg)
{
	struct race *race = arg;
	struct fs_file *from, *to;
	struct lab_error err;

	env_sleep(race->rig->hosts[0].env, race->wait_ns);
	from = fs_file_open(race->fs, lab_view_cstr(race->path), FS_OPEN_READONLY);
	fs_set_metadata(from, FS_METADATA_OBJECTID,
		lab_view_cstr(
			lab_arena_printf(race->rig->arena, "%s80", race->path + strlen(FOLDER))));
	to = fs_file_open(race->fs, LAB_VIEW(FOLDER2), FS_OPEN_CREATE_UNIQUE_128);
	race->copied = fs_copy(from, to, &err);
	if (race->copied < 0)
		assert_int_equal(err.code, LAB_NOT_FOUND);
	fs_file_close(&from);
	fs_file_close(&to);
}

/* How many of the interleavings end with a row that dangles. */
static unsigned dangling_races(struct rig *rig, const char *uri)
{
	struct env *env = rig->hosts[0].env;
	unsigned dangling = 0;
	struct lab_error err;

	for (unsigned i = 0; i < 12; i++) {
		struct fs *fs = open_dictmap(rig, uri);
		char name[33];
		struct race race = { rig, fs, NULL, i * LAB_MSEC / 2, 1 };

		OK(create(fs, FOLDER, "hello", name, &err));
		race.path = path_of(rig, FOLDER, name);
		OK(env_spawn(env, "copy", copy_in_race, &race, &err));
		OK(del(fs, race.path, &err));
		env_sleep(env, LAB_SEC);
		assert_true(race.copied <= 0);
		if (race.copied == 0)
			dangling +=
				!rig_has_object(rig, lab_arena_printf(rig->arena, "m/%s80", name));
		fs_deinit(&fs);
	}
	return dangling;
}

RIG_TEST(lockdir_closes_the_race_of_copy_and_delete_on_one_host)
{
	assert_int_equal(dangling_races(rig, DICTMAP(REFCOUNTED ":lockdir=/tmp")), 0);
	assert_true(dangling_races(rig, DICTMAP(REFCOUNTED)) > 0);
}

static void lose_object(struct rig *rig, struct fs *fs, char name[33])
{
	struct lab_error err;

	OK(create(fs, FOLDER, "hello", name, &err));
	rig_remove_object(rig, lab_arena_printf(rig->arena, "m/%s80", name));
}

RIG_TEST(a_dangling_link_stays_unless_it_is_to_be_deleted)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	struct lab_view text;
	char name[33];

	lose_object(rig, fs, name);
	FAILS(get(rig, fs, path_of(rig, FOLDER, name), &text, &err), LAB_NOT_FOUND);
	SAYS("Object exists in dict, but not in storage");
	assert_non_null(strstr(rig->last_event, "fs_dictmap_object_lost"));
	assert_non_null(strstr(rig->last_event, "deleted=no"));
	assert_int_equal(rig_forward_rows(rig), 1);
	fs_deinit(&fs);
	fs = open_dictmap(rig, DICTMAP(REFCOUNTED ":delete-dangling-links"));
	FAILS(get(rig, fs, path_of(rig, FOLDER, name), &text, &err), LAB_NOT_FOUND);
	assert_non_null(strstr(rig->last_event, "deleted=yes"));
	assert_int_equal(rig_row_count(rig, "shared/"), 0);
	fs_deinit(&fs);
}

RIG_TEST(a_mail_that_was_expunged_elsewhere_is_not_lost)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED ":delete-dangling-links"));
	struct fs_file *file;
	struct lab_view text;
	char name[33];

	OK(create(fs, FOLDER, "hello", name, &err));
	file = fs_file_open(fs, lab_view_cstr(path_of(rig, FOLDER, name)), FS_OPEN_READONLY);
	OK(fs_read(file, rig->arena, 100, &text, &err));
	OK(del(fs, path_of(rig, FOLDER, name), &err));
	FAILS(fs_read(file, rig->arena, 100, &text, &err), LAB_NOT_FOUND);
	SAYS("doesn't exist");
	assert_int_equal(rig->counts.events[LAB_EV_fs_dictmap_object_lost], 0);
	fs_file_close(&file);
	fs_deinit(&fs);
}

RIG_TEST(when_the_dict_cannot_be_asked_nothing_is_called_lost)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED ":delete-dangling-links"));
	struct lab_view text;
	char name[33];

	lose_object(rig, fs, name);
	rig_fail_at(rig, 3, RIG_FAIL); /* lookup, GET, lookup */
	FAILS(get(rig, fs, path_of(rig, FOLDER, name), &text, &err), LAB_UNAVAILABLE);
	assert_int_equal(rig_forward_rows(rig), 1);
	fs_deinit(&fs);
}

RIG_TEST(nlinks_limit_limits_the_listing)
{
	static const struct {
		const char *uri;
		uint64_t limit;
		unsigned nlinks;
	} rows[] = { { DICTMAP(REFCOUNTED ":nlinks-limit=3"), 3, 3 },
		{ DICTMAP(REFCOUNTED), 0, 6 } };
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	char name[33], other[33];
	unsigned nlinks;

	OK(create(fs, FOLDER, "hello", name, &err));
	for (unsigned i = 0; i < 5; i++)
		OK(copy(fs, path_of(rig, FOLDER, name), FOLDER2, other, &err));
	fs_deinit(&fs);
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct fs_file *file;

		fs = open_dictmap(rig, rows[i].uri);
		file = fs_file_open(
			fs, lab_view_cstr(path_of(rig, FOLDER, name)), FS_OPEN_READONLY);
		OK(fs_get_nlinks(file, &nlinks, &err));
		assert_row(i, nlinks == rows[i].nlinks && rig->counts.last_limit == rows[i].limit);
		fs_file_close(&file);
		fs_deinit(&fs);
	}
}

/* ---- clocks that differ ---- */

struct skewed {
	struct rig *rig;
	const char *uri;
	char name[33];
};

static void save_on_second(void *arg)
{
	struct skewed *s = arg;
	struct lab_error err;
	struct fs *fs = rig_open(s->rig, 1, s->uri, &err);

	OK(create(fs, FOLDER, "hello", s->name, &err));
	fs_deinit(&fs);
}

static void delete_on_first(void *arg)
{
	struct skewed *s = arg;
	struct lab_error err;
	struct fs *fs = open_dictmap(s->rig, s->uri);

	OK(del(fs, path_of(s->rig, FOLDER, s->name), &err));
	fs_deinit(&fs);
}

static size_t rows_after_skewed_delete(struct rig *rig, const char *uri)
{
	struct skewed s = { .rig = rig, .uri = uri };

	world_clock_offset(rig->hosts[1].host, 5 * 1000 * 1000);
	rig_run(rig, 1, save_on_second, &s);
	rig_run(rig, 0, delete_on_first, &s);
	return rig_forward_rows(rig);
}

static void delete_timestamp_beats_a_clock_that_is_ahead(void **state)
{
	assert_int_equal(
		rows_after_skewed_delete(*state, DICTMAP(REFCOUNTED ":delete-timestamp=+10s")), 0);
	assert_int_equal(rows_after_skewed_delete(*state, DICTMAP(REFCOUNTED)), 1);
}

/* By a clock that is an hour ahead of the other host's. */
static void save_bundle(void *arg)
{
	struct skewed *s = arg;
	uint64_t seconds = env_wall_us(s->rig->hosts[1].env) / 1000000;
	struct lab_error err;
	struct fs *fs = rig_open(s->rig, 1, s->uri, &err);

	(void)snprintf(s->name, sizeof(s->name), "bundle.%08x.00000.x", (unsigned)seconds);
	OK(put(fs, path_of(s->rig, USER "/idx/", s->name), "index", &err));
	fs_deinit(&fs);
}

static void delete_bundle(void *arg)
{
	struct skewed *s = arg;
	struct lab_error err;
	struct fs *fs = open_dictmap(s->rig, s->uri);

	OK(del(fs, path_of(s->rig, USER "/idx/", s->name), &err));
	fs_deinit(&fs);
}

static void a_base_is_deleted_whatever_the_clocks_say(void **state)
{
	struct rig *rig = *state;
	struct skewed s = { .rig = rig, .uri = DICTMAP("storage-passthrough-paths=full") };

	world_clock_offset(rig->hosts[1].host, INT64_C(3600) * 1000 * 1000);
	rig_run(rig, 1, save_bundle, &s);
	assert_int_equal(rig_row_count(rig, "shared/dictmap/" USER "/idx/"), 1);
	rig_run(rig, 0, delete_bundle, &s);
	assert_int_equal(rig_row_count(rig, "shared/dictmap/" USER "/idx/"), 0);
}

RIG_TEST(an_object_id_prefix_ends_in_one_slash)
{
	static const char *const uris[] = { DICTMAP("storage-objectid-prefix=" USER "/mails/"),
		DICTMAP("storage-objectid-prefix=" USER "/mails") };
	struct lab_error err;

	for (size_t i = 0; i < LAB_COUNT_OF(uris); i++) {
		struct fs *fs = open_dictmap(rig, uris[i]);
		char name[33];

		OK(create(fs, FOLDER, "hello", name, &err));
		assert_row(i, rig_has_object(
				      rig, lab_arena_printf(rig->arena, USER "/mails/%s80", name)));
		fs_deinit(&fs);
	}
}

static struct lab_view hex_of(struct rig *rig, const char *text)
{
	char *hex = lab_arena_alloc(rig->arena, 2 * strlen(text) + 1);

	lab_hex((const uint8_t *)text, strlen(text), hex);
	return lab_view_cstr(hex);
}

RIG_TEST(passed_through_objects_lie_under_their_path)
{
	static const char *const uris[] = { DICTMAP("storage-passthrough-paths=full"),
		DICTMAP("storage-passthrough-paths=read-only") };
	struct lab_error err;
	struct lab_view text, *names;

	for (size_t i = 0; i < LAB_COUNT_OF(uris); i++) {
		struct fs *fs = open_dictmap(rig, uris[i]);
		unsigned lookups = rig->counts.lookups;
		struct fs_file *file =
			fs_file_open(fs, LAB_VIEW(USER "/idx/bundle.1"), FS_OPEN_READONLY);

		OK(put(fs, USER "/idx/bundle.1", "index", &err));
		assert_view(rig_object(rig, USER "/idx/bundle.1"), "index");
		OK(fs_read(file, rig->arena, 100, &text, &err));
		assert_int_equal(rig->counts.lookups, lookups);
		assert_int_equal(
			fs_get_metadata(file, FS_METADATA_OBJECTID, rig->arena, &text, &err), 0);
		fs_file_close(&file);
		text = rig_row(rig, "shared/dictmap/" USER "/idx/bundle.1");
		if (i == 0)
			assert_view(text, "");
		else
			assert_true(lab_view_eq(text, hex_of(rig, USER "/idx/bundle.1")));
		assert_int_equal(list(rig, fs, USER "/idx/", FS_ITER_OBJECTIDS, &names), 1);
		assert_view(names[0], "/bundle.1");
		OK(del(fs, USER "/idx/bundle.1", &err));
		assert_int_equal(rig_object_count(rig), 0);
		assert_int_equal(rig_row_count(rig, "shared/"), 0);
		fs_deinit(&fs);
	}
}

RIG_TEST(passed_through_mails_are_copied_by_contents)
{
	struct lab_error err;
	struct fs *fs =
		open_dictmap(rig, DICTMAP("refcounting-table:storage-passthrough-paths=full"));
	char name[33], other[33];

	OK(create(fs, FOLDER, "hello", name, &err));
	OK(copy(fs, path_of(rig, FOLDER, name), FOLDER2, other, &err));
	assert_int_equal(rig->counts.puts, 2);
	assert_view(rig_object(rig, path_of(rig, FOLDER2, other)), "hello");
	assert_int_equal(rig_row_count(rig, "shared/dictrevmap/"), 0);
	OK(del(fs, path_of(rig, FOLDER, name), &err));
	assert_int_equal(rig_object_count(rig), 1);
	fs_deinit(&fs);
}

RIG_TEST(ids_from_before_the_migration_lie_under_their_folder)
{
	struct lab_error err;
	struct fs *plain = open_dictmap(rig, "posix:prefix=/s/");
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED ":storage-objectid-migrate"));
	struct lab_view text;
	char name[33];

	OK(put(plain, FOLDER GUID2, "old", &err));
	rig_set_row(rig, ROWS GUID "/0/" GUID, GUID2);
	OK(get(rig, fs, FOLDER GUID, &text, &err));
	assert_view(text, "old");
	/* It is not shared, but copied to a new id. */
	OK(copy(fs, FOLDER GUID, FOLDER2, name, &err));
	assert_view(rig_object(rig, lab_arena_printf(rig->arena, "m/%s80", name)), "old");
	OK(copy(fs, path_of(rig, FOLDER2, name), FOLDER, name, &err));
	assert_int_equal(rig->counts.puts, 2);
	OK(del(fs, FOLDER GUID, &err));
	assert_false(rig_has_object(rig, FOLDER GUID2));
	fs_deinit(&plain);
	fs_deinit(&fs);
}

RIG_TEST(max_parallel_iter_bounds_parallel_listings)
{
	static const struct {
		const char *uri;
		unsigned parallel;
	} rows[] = { { DICTMAP(USUAL ":max-parallel-iter=1"), 1 },
		{ DICTMAP(USUAL ":max-parallel-iter=3"), 3 }, { DICTMAP(USUAL), 8 } };
	struct lab_view *names;

	rig_set_row(rig, ROWS GUID "/max_bucket", "7");
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct fs *fs = open_dictmap(rig, rows[i].uri);

		rig->counts.iterating_max = 0;
		assert_int_equal(list(rig, fs, FOLDER, 0, &names), 0);
		assert_row(i, rig->counts.iterating_max == rows[i].parallel);
		fs_deinit(&fs);
	}
}

RIG_TEST(a_dict_prefix_comes_before_every_path)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(
		rig, DICTMAP("dict-prefix=" USER "/fts/:storage-passthrough-paths=full"));
	struct lab_view text, *names;

	OK(put(fs, "S/triplet\\1", "words", &err));
	assert_non_null(rig_row(rig, "shared/dictmap/" USER "/fts/S\\|triplet\\\\1").ptr);
	OK(get(rig, fs, "S/triplet\\1", &text, &err));
	assert_view(text, "words");
	assert_int_equal(list(rig, fs, "", 0, &names), 1);
	assert_view(names[0], "S/triplet\\1");
	fs_deinit(&fs);
}

RIG_TEST(a_user_name_cannot_reach_other_rows)
{
	struct lab_error err;
	struct fs *fs;

	rig->hosts[0].settings.username = "a/b\\c";
	fs = open_dictmap(rig, DICTMAP("storage-passthrough-paths=full"));
	OK(put(fs, "a/b\\c/idx/x", "1", &err));
	assert_non_null(rig_row(rig, "shared/dictmap/a\\|b\\\\c/idx/x").ptr);
	fs_deinit(&fs);
}

RIG_TEST(settings_that_contradict_each_other_are_refused)
{
	static const struct {
		const char *uri, *says;
		enum lab_code code;
	} rows[] = {
		{ DICTMAP("bucket-size=10:storage-objectid-prefix=m"), "bucket-cache",
			LAB_INVALID },
		{ DICTMAP("bucket-size=10:bucket-cache=rel:storage-objectid-prefix=m"),
			"not an absolute path", LAB_INVALID },
		{ DICTMAP("lockdir=/tmp:storage-objectid-prefix=m"), "only for refcounting-table",
			LAB_INVALID },
		{ DICTMAP("refcounting-table:lockdir=tmp:storage-objectid-prefix=m"),
			"not an absolute path", LAB_INVALID },
		{ DICTMAP("refcounting-table"), "gives no object ids", LAB_INVALID },
		{ "dictmap:file:/x ; posix ; storage-objectid-prefix=m",
			"only proxy:", LAB_UNSUPPORTED },
		{ "dictmap:proxy::nosuch ; posix ; storage-objectid-prefix=m", "no dict nosuch",
			LAB_INVALID },
		{ "dictmap:proxy::cassandra ; nosuch: ; storage-objectid-prefix=m",
			"Unknown fs driver", LAB_INVALID },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct lab_error err;

		assert_row(i, rig_open(rig, 0, rows[i].uri, &err) == NULL);
		assert_row(i, err.code == rows[i].code);
		assert_row(i, strstr(err.message, "dictmap: ") == err.message);
		assert_row(i, strstr(err.message, rows[i].says) != NULL);
	}
}

/* ---- listings ---- */

RIG_TEST(listings_have_names_with_ids)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	struct lab_view *names;
	char name[33];

	assert_int_equal(list(rig, fs, FOLDER, FS_ITER_OBJECTIDS, &names), 0);
	OK(create(fs, FOLDER, "hello", name, &err));
	assert_int_equal(list(rig, fs, FOLDER, FS_ITER_OBJECTIDS, &names), 1);
	assert_view(names[0], lab_arena_printf(rig->arena, "%s80/%s", name, name));
	assert_int_equal(list(rig, fs, USER "/mailboxes/" GUID, 0, &names), 1);
	assert_view(names[0], name);
	fs_deinit(&fs);
}

/* ---- diff-table ---- */

#define BUNDLE "bundle.53f74dc2.0fbcf.c96d802b5d4df75307bb00001accfe22"
#define DIFF1 BUNDLE "-d88ff1001d4bf753a1b800001accfe22"
#define DIFF2 BUNDLE "-d88ff1001d4bf753a1b800001accfe23"
#define SELF "self.53f74dc2.0fbcf.d88ff1001d4bf753a1b800001accfe24"
#define PASSED_THROUGH DICTMAP("diff-table:storage-passthrough-paths=full")

static const char *diff_key(struct rig *rig, size_t host, const char *folder)
{
	return lab_arena_printf(rig->arena, "shared/dictdiffmap/" USER "%s/idx/%s", folder,
		rig->hosts[host].env->hostname);
}

/* As obox writes a bundle: its name was never given before. */
static int put_bundle(struct fs *fs, const char *path, const char *content, struct lab_error *err)
{
	struct fs_file *file = fs_file_open(fs, lab_view_cstr(path), FS_OPEN_CREATE);
	int result = fs_write(file, lab_view_cstr(content), err);

	fs_file_close(&file);
	return result;
}

/* One operation on one host: a write, a deletion (content NULL), or a listing ("" of a directory).
 */
struct diff_operation {
	struct rig *rig;
	unsigned host;
	const char *path, *content;
	size_t listed;
	struct lab_view *names;
};

static void diff_operation_run(void *arg)
{
	struct diff_operation *o = arg;
	struct lab_error err;
	struct fs *fs = rig_open(o->rig, o->host, PASSED_THROUGH, &err);

	if (o->path[strlen(o->path) - 1] == '/')
		o->listed = list(o->rig, fs, o->path, FS_ITER_OBJECTIDS, &o->names);
	else if (o->content != NULL)
		OK(put_bundle(fs, o->path, o->content, &err));
	else
		OK(del(fs, o->path, &err));
	fs_deinit(&fs);
}

static struct diff_operation on_host(
	struct rig *rig, unsigned host, const char *path, const char *content)
{
	struct diff_operation o = { .rig = rig, .host = host, .path = path, .content = content };

	rig_run(rig, host, diff_operation_run, &o);
	return o;
}

static void diffs_have_one_row_for_each_host(void **state)
{
	struct rig *rig = *state;
	struct diff_operation o;

	(void)on_host(rig, 0, FOLDER "idx/" BUNDLE, "base");
	(void)on_host(rig, 0, FOLDER "idx/" DIFF1, "1");
	(void)on_host(rig, 0, FOLDER "idx/" DIFF2, "2");
	(void)on_host(rig, 1, FOLDER "idx/" SELF, "3");
	(void)on_host(rig, 1, USER "/idx/" SELF, "4");
	/* One INSERT and one PUT each, and nothing else. */
	assert_int_equal(rig->counts.sets, 5);
	assert_int_equal(rig->counts.lookups + rig->counts.iterations + rig->counts.unsets, 0);
	assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF2);
	assert_view(rig_row(rig, diff_key(rig, 1, "/mailboxes/" GUID)), SELF);
	assert_view(rig_row(rig, diff_key(rig, 1, "")), SELF);
	/* The base's row is where it always was. */
	assert_int_equal(rig_row_count(rig, "shared/dictmap/"), 1);
	assert_int_equal(rig_row_count(rig, "shared/dictdiffmap/"), 3);
	o = on_host(rig, 0, FOLDER "idx/", NULL);
	assert_int_equal(o.listed, 3);
	assert_view(o.names[0], "/" BUNDLE);
	o = on_host(rig, 1, USER "/idx/", NULL);
	assert_int_equal(o.listed, 1);
	assert_view(o.names[0], "/" SELF);
}

static void deleting_a_diff_deletes_its_row_only_while_the_row_says_it(void **state)
{
	struct rig *rig = *state;

	world_clock_offset(rig->hosts[1].host, 5 * 1000 * 1000);
	(void)on_host(rig, 0, FOLDER "idx/" DIFF1, "1");
	(void)on_host(rig, 0, FOLDER "idx/" DIFF2, "2");
	/* Another host cleans up: the old object has no row any more. */
	(void)on_host(rig, 1, FOLDER "idx/" DIFF1, NULL);
	assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF2);
	assert_int_equal(rig_object_count(rig), 1);
	(void)on_host(rig, 1, FOLDER "idx/" DIFF2, NULL);
	assert_int_equal(rig_row_count(rig, "shared/dictdiffmap/"), 0);
	assert_int_equal(rig_object_count(rig), 0);
	/* The tombstone hides nothing that comes after it, whatever the other clock says (H-16). */
	(void)on_host(rig, 0, FOLDER "idx/" DIFF1, "3");
	assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF1);
}

static void write_after_a_look(void *arg)
{
	struct rig *rig = arg;
	static const char *const bundles[] = { DIFF2, SELF, DIFF1 };
	struct lab_view *names;
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, PASSED_THROUGH, &err);

	assert_int_equal(list(rig, fs, FOLDER "idx/", FS_ITER_OBJECTIDS, &names), 1);
	for (size_t i = 0; i < LAB_COUNT_OF(bundles); i++) {
		char path[300];

		snprintf(path, sizeof(path), FOLDER "idx/%s", bundles[i]);
		OK(put_bundle(fs, path, "later", &err));
		assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), bundles[i]);
	}
	fs_deinit(&fs);
}

/* It was an hour ahead when the row was written; no bundle is written without a listing. */
static void a_diff_row_counts_although_the_clock_was_set_back(void **state)
{
	struct rig *rig = *state;

	world_clock_offset(rig->hosts[0].host, INT64_C(3600) * 1000 * 1000);
	(void)on_host(rig, 0, FOLDER "idx/" DIFF1, "1");
	world_clock_offset(rig->hosts[0].host, 0);
	/* The row of the hour to come hides it. */
	(void)on_host(rig, 0, FOLDER "idx/" DIFF2, "unseen");
	assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF1);
	rig_run(rig, 0, write_after_a_look, rig);
}

/* The times of a process's rows only grow, whichever of them it has listed in between. */
RIG_TEST(a_look_at_one_diff_row_makes_no_other_older)
{
	static const char *const bundles[] = { DIFF2, SELF, DIFF1 };
	struct lab_view *names;
	struct lab_error err;
	struct fs *fs = rig_open(rig, 0, PASSED_THROUGH, &err);

	world_clock_offset(rig->hosts[0].host, INT64_C(3600) * 1000 * 1000);
	OK(put_bundle(fs, FOLDER2 "idx/" DIFF1, "an hour ahead", &err));
	world_clock_offset(rig->hosts[0].host, 0);
	for (size_t i = 0; i < LAB_COUNT_OF(bundles); i++) {
		char path[300];

		snprintf(path, sizeof(path), FOLDER "idx/%s", bundles[i]);
		OK(put_bundle(fs, path, "now", &err));
		if (i == 1)
			assert_int_equal(
				list(rig, fs, FOLDER2 "idx/", FS_ITER_OBJECTIDS, &names), 1);
		assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), bundles[i]);
	}
	fs_deinit(&fs);
}

RIG_TEST(diff_rows_say_the_object_id_where_there_is_one)
{
	struct lab_error err;
	struct fs *fs =
		open_dictmap(rig, DICTMAP("diff-table:storage-objectid-prefix=" USER "/ids/"));
	struct fs_file *file;
	struct lab_view *names, text, id;

	OK(put_bundle(fs, FOLDER "idx/" DIFF1, "1", &err));
	text = rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID));
	assert_true(lab_view_split(&text, '/', &id));
	assert_int_equal(id.len, 34);
	assert_view(text, DIFF1);
	assert_int_equal(list(rig, fs, FOLDER "idx/", FS_ITER_OBJECTIDS, &names), 1);
	assert_true(lab_view_starts_with(names[0], id));
	file = fs_file_open(fs, LAB_VIEW(FOLDER "idx/" DIFF1), FS_OPEN_READONLY);
	OK(fs_read(file, rig->arena, 100, &text, &err));
	assert_view(text, "1");
	fs_file_close(&file);
	/* The row names another bundle: without its id nobody knows where the old one is. */
	OK(put_bundle(fs, FOLDER "idx/" DIFF2, "2", &err));
	FAILS(del(fs, FOLDER "idx/" DIFF1, &err), LAB_NOT_FOUND);
	file = fs_file_open(fs, LAB_VIEW(FOLDER "idx/" DIFF1), FS_OPEN_READONLY);
	fs_set_metadata(file, FS_METADATA_OBJECTID, id);
	OK(fs_delete(file, &err));
	fs_file_close(&file);
	assert_int_equal(rig_object_count(rig), 1);
	fs_deinit(&fs);
}

RIG_TEST(an_uncertain_diff_row_is_left_and_told)
{
	static const enum rig_fault faults[] = { RIG_UNCERTAIN_APPLIED, RIG_UNCERTAIN_NOT };
	struct lab_error err;
	struct fs *fs = open_dictmap(
		rig, DICTMAP("diff-table:storage-passthrough-paths=full:cleanup-uncertain"));

	OK(put_bundle(fs, FOLDER "idx/" DIFF1, "1", &err));
	for (size_t i = 0; i < LAB_COUNT_OF(faults); i++) {
		rig_fail_at(rig, 2, faults[i]);
		FAILS(put_bundle(fs, FOLDER "idx/" DIFF2, "2", &err), LAB_UNCERTAIN);
		assert_view(
			rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), i == 0 ? DIFF2 : DIFF1);
		/* Whichever it says, its object is there. */
		assert_int_equal(rig_object_count(rig), 2);
		OK(put_bundle(fs, FOLDER "idx/" DIFF1, "1", &err));
	}
	rig_fail_at(rig, 2, RIG_FAIL);
	FAILS(put_bundle(fs, FOLDER "idx/" SELF, "3", &err), LAB_UNAVAILABLE);
	assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF1);
	assert_int_equal(rig_object_count(rig), 2);
	fs_deinit(&fs);
}

/* The row would dangle, whether it is looked for or given by its version. */
RIG_TEST(a_bundle_stays_while_its_row_may_be_there)
{
	static const enum rig_fault faults[] = { RIG_UNCERTAIN_NOT, RIG_FAIL };
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP("diff-table:storage-passthrough-paths=full"));
	struct lab_view *names, version, oid;
	struct fs_file *file;

	OK(put_bundle(fs, FOLDER "idx/" DIFF1, "1", &err));
	assert_int_equal(
		list(rig, fs, FOLDER "idx/", FS_ITER_OBJECTIDS | FS_ITER_VERSIONS, &names), 1);
	assert_true(
		lab_view_split(&names[0], '/', &oid) && lab_view_split(&names[0], '/', &version));
	for (size_t i = 0; i < 2 * LAB_COUNT_OF(faults); i++) {
		file = fs_file_open(fs, LAB_VIEW(FOLDER "idx/" DIFF1), FS_OPEN_READONLY);
		if (i % 2 == 0)
			fs_set_metadata(file, FS_METADATA_VERSION, version);
		/* Without the version the first request is a look. */
		rig_fail_at(rig, 1 + (unsigned)i % 2, faults[i / 2]);
		assert_true(fs_delete(file, &err) < 0);
		assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF1);
		assert_int_equal(rig_object_count(rig), 1);
		fs_file_close(&file);
	}
	OK(del(fs, FOLDER "idx/" DIFF1, &err));
	assert_int_equal(rig_object_count(rig), 0);
	fs_deinit(&fs);
}

static void delete_as_told_elsewhere(struct fs *fs, const char *path, struct lab_view version,
	int expected, struct lab_error *err)
{
	struct fs_file *file = fs_file_open(fs, lab_view_cstr(path), FS_OPEN_READONLY);

	fs_set_metadata(file, FS_METADATA_VERSION, version);
	assert_int_equal(fs_delete(file, err), expected);
	fs_file_close(&file);
}

/* Its metacache was pulled: who has it now knows what its writer knew of its own row then. */
RIG_TEST(others_delete_no_row_that_its_host_has_written_again)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP("diff-table:storage-passthrough-paths=full"));
	struct env *env = rig->hosts[0].settings.env;
	const char *writer = env->hostname;
	struct lab_view version = lab_view_cstr(lab_arena_printf(rig->arena, "0@%s", writer));

	OK(put_bundle(fs, FOLDER "idx/" DIFF1, "1", &err));
	OK(put_bundle(fs, FOLDER "idx/" DIFF2, "2", &err));
	env_sleep(env, LAB_SEC);
	env->hostname = "elsewhere";
	delete_as_told_elsewhere(fs, FOLDER "idx/" DIFF1, version, 0, &err);
	env->hostname = writer;
	assert_view(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)), DIFF2);
	assert_int_equal(rig_object_count(rig), 1);
	env->hostname = "elsewhere";
	delete_as_told_elsewhere(fs, FOLDER "idx/" DIFF2, version, 0, &err);
	env->hostname = writer;
	assert_null(rig_row(rig, diff_key(rig, 0, "/mailboxes/" GUID)).ptr);
	assert_int_equal(rig_object_count(rig), 0);
	fs_deinit(&fs);
}

RIG_TEST(directories_are_known_without_rows)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	struct lab_view *names;

	assert_int_equal(list(rig, fs, USER, FS_ITER_DIRS, &names), 2);
	assert_view(names[0], "idx");
	assert_view(names[1], "mailboxes");
	assert_int_equal(list(rig, fs, USER "/mailboxes", FS_ITER_DIRS, &names), 0);
	OK(put(fs, FOLDER "idx/bundle.1", "x", &err));
	assert_int_equal(list(rig, fs, USER "/mailboxes", FS_ITER_DIRS, &names), 1);
	assert_view(names[0], GUID);
	assert_int_equal(list(rig, fs, USER "/idx", FS_ITER_DIRS, &names), 0);
	assert_int_equal(list(rig, fs, FOLDER "idx/", 0, &names), 1);
	assert_view(names[0], "bundle.1");
	fs_deinit(&fs);
}

RIG_TEST(a_listing_that_is_too_long_or_fails_is_an_error)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	struct lab_view *names;
	char name[33];
	size_t count;

	OK(create(fs, FOLDER, "1", name, &err));
	OK(create(fs, FOLDER, "2", name, &err));
	FAILS(fs_iter(fs, LAB_VIEW(FOLDER), 0, 1, rig->arena, &names, &count, &err), LAB_LIMIT);
	rig_fail_at(rig, 1, RIG_FAIL);
	FAILS(fs_iter(fs, LAB_VIEW(FOLDER), 0, 9, rig->arena, &names, &count, &err),
		LAB_UNAVAILABLE);
	FAILS(fs_iter(fs, LAB_VIEW("nobody/mailboxes/"), 0, 9, rig->arena, &names, &count, &err),
		LAB_INVALID);
	fs_deinit(&fs);
}

/* ---- many at once ---- */

RIG_TEST(a_failed_one_of_many_deletes_is_told_and_the_others_happen)
{
	struct lab_error err, results[4];
	struct fs *fs = open_dictmap(rig, DICTMAP(USUAL));
	struct fs_file *files[4];
	char name[33], failing[33];

	for (size_t i = 0; i < 4; i++) {
		OK(create(fs, FOLDER, "x", name, &err));
		files[i] = fs_file_open(
			fs, lab_view_cstr(path_of(rig, FOLDER, name)), FS_OPEN_READONLY);
		if (i == 2)
			memcpy(failing, name, sizeof(name));
	}
	rig->only = lab_arena_printf(rig->arena, "/0/%s", failing);
	rig_fail_at(rig, 2, RIG_UNCERTAIN_NOT); /* lookup, then DELETE of the forward row */
	FAILS(fs_delete_many(files, 4, results, &err), LAB_UNCERTAIN);
	for (size_t i = 0; i < 4; i++) {
		assert_row(i, results[i].code == (i == 2 ? LAB_UNCERTAIN : LAB_OK));
		fs_file_close(&files[i]);
	}
	assert_int_equal(rig_object_count(rig), 1);
	assert_true(rig_is_consistent(rig, "m", true));
	fs_deinit(&fs);
}

RIG_TEST(an_object_that_cannot_be_deleted_is_a_leak_and_no_error)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	char name[33];

	OK(create(fs, FOLDER, "x", name, &err));
	rig->only = lab_arena_printf(rig->arena, "m/%s", name);
	rig_fail_at(rig, 1, RIG_FAIL);
	OK(del(fs, path_of(rig, FOLDER, name), &err));
	assert_int_equal(rig_forward_rows(rig), 0);
	assert_int_equal(rig_object_count(rig), 1);
	assert_non_null(strstr(rig->last_event, "left without a reference"));
	fs_deinit(&fs);
}

/* ---- replacing ---- */

RIG_TEST(what_is_replaced_is_never_cleaned_up)
{
	static const enum rig_fault faults[] = { RIG_FAIL, RIG_UNCERTAIN_APPLIED,
		RIG_UNCERTAIN_NOT };
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP("storage-passthrough-paths=full"));
	struct lab_view text;

	OK(put(fs, USER "/idx/bundle", "old", &err));
	for (size_t i = 0; i < LAB_COUNT_OF(faults); i++) {
		for (unsigned n = 1; n <= 2; n++) {
			rig_fail_at(rig, n, faults[i]);
			FAILS(put(fs, USER "/idx/bundle", "new", &err),
				n == 1 && i == 0 ? LAB_UNAVAILABLE : LAB_UNCERTAIN);
			OK(get(rig, fs, USER "/idx/bundle", &text, &err));
			assert_non_null(rig_row(rig, "shared/dictmap/" USER "/idx/bundle").ptr);
		}
	}
	assert_int_equal(rig->counts.deletes + rig->counts.unsets, 0);
	fs_deinit(&fs);
}

/* ---- the sweep: every step fails in every way (HD-1) ---- */

enum sweep_op {
	SWEEP_SAVE,
	SWEEP_COPY,
	SWEEP_DELETE,        /* of the only reference */
	SWEEP_DELETE_SHARED, /* of one of two */
	SWEEP_OP_COUNT
};
static const char *const op_names[] = { "save", "copy", "delete", "delete shared" };

struct sweep {
	struct rig *rig;
	const char *uri;
	enum sweep_op op;
	enum rig_fault fault;
	bool from_then_on;
	struct lab_defects defects;
	unsigned n;

	char first[33], second[33]; /* the mail that was there, and what the operation made */
	bool is_over;               /* false: a crash came in between */
	int result;
	struct lab_error err;
	struct rig_counts before, after;
	bool first_readable, second_readable;
	char problem[300];
};

static void run_operation(void *arg)
{
	struct sweep *s = arg;
	struct rig *rig = s->rig;
	struct lab_error err;
	struct fs *fs;

	lab_defects_on = s->defects;
	fs = open_dictmap(rig, s->uri);
	OK(create(fs, FOLDER, "first", s->first, &err));
	if (s->op == SWEEP_DELETE_SHARED)
		OK(copy(fs, path_of(rig, FOLDER, s->first), FOLDER2, s->second, &err));
	s->before = rig->counts;
	rig_fail_at(rig, s->n, s->fault);
	rig->fail_from_then_on = s->from_then_on;
	switch (s->op) {
	case SWEEP_SAVE:
		s->result = create(fs, FOLDER2, "second", s->second, &s->err);
		break;
	case SWEEP_COPY:
		s->result = copy(fs, path_of(rig, FOLDER, s->first), FOLDER2, s->second, &s->err);
		break;
	case SWEEP_DELETE:
	case SWEEP_DELETE_SHARED:
	case SWEEP_OP_COUNT:
		s->result = del(fs, path_of(rig, FOLDER, s->first), &s->err);
		break;
	}
	s->is_over = true;
	s->after = rig->counts;
	rig->fail_at = 0;
	fs_deinit(&fs);
}

static void look_again(void *arg)
{
	struct sweep *s = arg;
	struct fs *fs = open_dictmap(s->rig, s->uri);
	const char *second = s->op == SWEEP_SAVE ? "second" : "first";
	struct lab_error err;
	struct lab_view text, *names;

	/* A crash keeps the name to itself. */
	if (s->second[0] == '\0' && list(s->rig, fs, FOLDER2, 0, &names) > 0)
		snprintf(s->second, sizeof(s->second), "%.*s", LAB_VIEW_ARG(names[0]));
	s->first_readable = get(s->rig, fs, path_of(s->rig, FOLDER, s->first), &text, &err) == 0 &&
			    lab_view_eq_cstr(text, "first");
	s->second_readable =
		s->second[0] != '\0' &&
		get(s->rig, fs, path_of(s->rig, FOLDER2, s->second), &text, &err) == 0 &&
		lab_view_eq_cstr(text, second);
	fs_deinit(&fs);
}

static bool is_delete(const struct sweep *s)
{
	return s->op == SWEEP_DELETE || s->op == SWEEP_DELETE_SHARED;
}

/* Whether the caller was told the truth; NULL: yes. */
static const char *judge_outcome(const struct sweep *s)
{
	bool certain = s->is_over && s->result < 0 && s->err.code != LAB_UNCERTAIN;
	bool happened = is_delete(s) ? !s->first_readable : s->second_readable;

	if (!s->first_readable && !is_delete(s))
		return "an acknowledged mail is lost";
	if (s->op == SWEEP_DELETE_SHARED && !s->second_readable)
		return "the other reference is lost";
	if (s->is_over && s->result == 0 && !happened)
		return "OK, but it did not happen";
	return certain && happened ? "certainly failed, but it happened" : NULL;
}

static bool touched_storage(const struct sweep *s)
{
	return s->after.puts != s->before.puts || s->after.deletes != s->before.deletes ||
	       s->after.gets != s->before.gets;
}

static bool has_leak(const struct sweep *s)
{
	size_t objects = (size_t)(s->first_readable || s->second_readable) +
			 (s->op == SWEEP_SAVE && s->second_readable);

	return rig_object_count(s->rig) != objects;
}

/* What is wrong after the operation and everything that was late; NULL: nothing. */
static const char *judge(const struct sweep *s)
{
	const char *problem = judge_outcome(s);

	if (!rig_is_consistent(s->rig, "m", true))
		return "a row without its object or reverse row";
	if (problem != NULL)
		return problem;
	if (rig_forward_rows(s->rig) != (size_t)s->first_readable + s->second_readable)
		return "a row that cannot be read";
	if (s->is_over && s->op == SWEEP_COPY && touched_storage(s))
		return "a copy touched the storage";
	if (!s->rig->fired && has_leak(s))
		return "an object is left although nothing failed";
	return NULL;
}

/* One run in a world of its own; true if the fault was met. */
static bool sweep_once(struct sweep *s, const char **ret_problem)
{
	bool fired;

	s->rig = rig_new();
	s->is_over = false;
	s->first[0] = s->second[0] = '\0';
	rig_run(s->rig, 0, run_operation, s);
	s->rig->fail_at = 0;
	rig_apply_late(s->rig);
	rig_run(s->rig, 0, look_again, s);
	fired = s->rig->fired;
	*ret_problem = judge(s);
	rig_free(&s->rig);
	return fired;
}

/* Steps until the fault is not met any more; the first problem, or NULL. *ret_steps counts. */
static const char *sweep(struct sweep *s, unsigned *ret_steps)
{
	const char *problem = NULL;

	for (s->n = 1; problem == NULL && sweep_once(s, &problem); s->n++)
		;
	*ret_steps = s->n - 1;
	return problem;
}

static void sweep_all(const char *uri, bool from_then_on)
{
	for (enum sweep_op op = 0; op < SWEEP_OP_COUNT; op++) {
		for (enum rig_fault fault = 0; fault < RIG_FAULT_COUNT; fault++) {
			struct sweep s = {
				.uri = uri, .op = op, .fault = fault, .from_then_on = from_then_on
			};
			unsigned steps;
			const char *problem = sweep(&s, &steps);

			if (problem != NULL)
				fail_msg("%s, %s at step %u: %s", op_names[op],
					rig_fault_name(fault), s.n - 1, problem);
			assert_true(steps >= 3 && steps < 20);
		}
	}
}

static void one_failure_anywhere_leaves_at_most_a_leak(void **state)
{
	(void)state;
	sweep_all(DICTMAP(USUAL), false);
	sweep_all(DICTMAP(USUAL ":no-cleanup-uncertain"), false);
	sweep_all(DICTMAP(REFCOUNTED), false);
}

static void an_outage_from_anywhere_on_leaves_at_most_a_leak(void **state)
{
	(void)state;
	sweep_all(DICTMAP(USUAL), true);
	sweep_all(DICTMAP(USUAL ":no-cleanup-uncertain"), true);
}

/* With clean-up a single uncertain step of a save or copy ends as a certain failure; without, that
 * of the forward row does not. */
static unsigned uncertain_outcomes(const char *uri, enum sweep_op op)
{
	unsigned uncertain = 0;

	for (enum rig_fault fault = RIG_UNCERTAIN_APPLIED; fault <= RIG_UNCERTAIN_LATE; fault++) {
		struct sweep s = { .uri = uri, .op = op, .fault = fault };
		const char *problem = NULL;

		for (s.n = 1; sweep_once(&s, &problem); s.n++)
			uncertain += s.result < 0 && s.err.code == LAB_UNCERTAIN;
	}
	return uncertain;
}

static void clean_up_makes_uncertain_outcomes_certain(void **state)
{
	(void)state;
	assert_int_equal(uncertain_outcomes(DICTMAP(USUAL), SWEEP_SAVE), 0);
	assert_int_equal(uncertain_outcomes(DICTMAP(USUAL), SWEEP_COPY), 0);
	assert_int_equal(uncertain_outcomes(DICTMAP(USUAL ":no-cleanup-uncertain"), SWEEP_SAVE), 3);
	assert_int_equal(uncertain_outcomes(DICTMAP(USUAL ":no-cleanup-uncertain"), SWEEP_COPY), 3);
	/* A delete is never undone. */
	assert_int_equal(uncertain_outcomes(DICTMAP(USUAL), SWEEP_DELETE), 3);
}

RIG_TEST(clean_up_is_reported)
{
	static const struct {
		const char *uri, *says;
		bool from_then_on;
	} rows[] = { { DICTMAP(REFCOUNTED), "cleanup=success", false },
		{ DICTMAP(REFCOUNTED), "cleanup=failed", true },
		{ DICTMAP(REFCOUNTED ":no-cleanup-uncertain"), "cleanup=disabled", false } };
	struct lab_error err;
	char name[33];

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct fs *fs = open_dictmap(rig, rows[i].uri);

		/* The PUT, then the forward row. */
		rig_fail_at(rig, 1, RIG_UNCERTAIN_APPLIED);
		rig->fail_from_then_on = rows[i].from_then_on;
		assert_true(create(fs, FOLDER, "x", name, &err) < 0);
		assert_row(i, strstr(rig->last_event, "fs_object_write_uncertain") != NULL);
		assert_row(i, strstr(rig->last_event, rows[i].says) != NULL);
		rig_fail_at(rig, 3, RIG_UNCERTAIN_APPLIED);
		rig->fail_from_then_on = rows[i].from_then_on;
		assert_true(create(fs, FOLDER, "x", name, &err) < 0);
		assert_row(i, strstr(rig->last_event, "fs_dictmap_dict_write_uncertain") != NULL);
		assert_row(i, strstr(rig->last_event, rows[i].says) != NULL);
		fs_deinit(&fs);
	}
}

static bool is_caught(struct lab_defects defect, enum sweep_op op, enum rig_fault fault)
{
	struct sweep s = { .uri = DICTMAP(USUAL), .op = op, .fault = fault, .defects = defect };
	unsigned steps;

	return sweep(&s, &steps) != NULL;
}

/* The order matters: each unsafe alternative is caught by the sweep. */
static void the_sweep_catches_the_defects(void **state)
{
	(void)state;
	assert_true(is_caught(LAB_DEFECT(FORWARD_BEFORE_REVERSE), SWEEP_SAVE, RIG_CRASH_BEFORE));
	assert_true(is_caught(LAB_DEFECT(FORWARD_BEFORE_REVERSE), SWEEP_COPY, RIG_CRASH_AFTER));
	assert_true(is_caught(LAB_DEFECT(OBJECT_BEFORE_ROWS), SWEEP_DELETE, RIG_CRASH_BEFORE));
	assert_true(
		is_caught(LAB_DEFECT(CERTAIN_AFTER_UNCERTAIN), SWEEP_SAVE, RIG_UNCERTAIN_APPLIED));
	assert_true(is_caught(LAB_DEFECT(CERTAIN_AFTER_UNCERTAIN), SWEEP_SAVE, RIG_UNCERTAIN_LATE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_UNIT_TEST(a_mail_is_an_object_a_reverse_row_and_a_forward_row),
		RIG_UNIT_TEST(metadata_has_the_virtual_path),
		RIG_UNIT_TEST(a_known_object_id_saves_the_lookup),
		RIG_UNIT_TEST(what_is_not_in_the_dict_does_not_exist),
		RIG_UNIT_TEST(paths_that_are_none_are_refused),
		RIG_UNIT_TEST(a_name_that_is_taken_is_not_created_again),
		RIG_UNIT_TEST(nothing_is_renamed),
		RIG_UNIT_TEST(with_refcounting_copies_share_the_object),
		RIG_UNIT_TEST(without_refcounting_copies_are_objects_of_their_own),
		RIG_UNIT_TEST(without_lockdir_a_copy_asks_for_no_references),
		RIG_UNIT_TEST(lockdir_closes_the_race_of_copy_and_delete_on_one_host),
		RIG_UNIT_TEST(a_dangling_link_stays_unless_it_is_to_be_deleted),
		RIG_UNIT_TEST(a_mail_that_was_expunged_elsewhere_is_not_lost),
		RIG_UNIT_TEST(when_the_dict_cannot_be_asked_nothing_is_called_lost),
		RIG_UNIT_TEST(nlinks_limit_limits_the_listing),
		RIG_UNIT_TEST(delete_timestamp_beats_a_clock_that_is_ahead),
		RIG_UNIT_TEST(a_base_is_deleted_whatever_the_clocks_say),
		RIG_UNIT_TEST(an_object_id_prefix_ends_in_one_slash),
		RIG_UNIT_TEST(passed_through_objects_lie_under_their_path),
		RIG_UNIT_TEST(passed_through_mails_are_copied_by_contents),
		RIG_UNIT_TEST(ids_from_before_the_migration_lie_under_their_folder),
		RIG_UNIT_TEST(max_parallel_iter_bounds_parallel_listings),
		RIG_UNIT_TEST(a_dict_prefix_comes_before_every_path),
		RIG_UNIT_TEST(a_user_name_cannot_reach_other_rows),
		RIG_UNIT_TEST(settings_that_contradict_each_other_are_refused),
		RIG_UNIT_TEST(listings_have_names_with_ids),
		RIG_UNIT_TEST(diffs_have_one_row_for_each_host),
		RIG_UNIT_TEST(deleting_a_diff_deletes_its_row_only_while_the_row_says_it),
		RIG_UNIT_TEST(diff_rows_say_the_object_id_where_there_is_one),
		RIG_UNIT_TEST(an_uncertain_diff_row_is_left_and_told),
		RIG_UNIT_TEST(a_diff_row_counts_although_the_clock_was_set_back),
		RIG_UNIT_TEST(a_look_at_one_diff_row_makes_no_other_older),
		RIG_UNIT_TEST(a_bundle_stays_while_its_row_may_be_there),
		RIG_UNIT_TEST(others_delete_no_row_that_its_host_has_written_again),
		RIG_UNIT_TEST(directories_are_known_without_rows),
		RIG_UNIT_TEST(a_listing_that_is_too_long_or_fails_is_an_error),
		RIG_UNIT_TEST(a_failed_one_of_many_deletes_is_told_and_the_others_happen),
		RIG_UNIT_TEST(an_object_that_cannot_be_deleted_is_a_leak_and_no_error),
		RIG_UNIT_TEST(what_is_replaced_is_never_cleaned_up),
		cmocka_unit_test(one_failure_anywhere_leaves_at_most_a_leak),
		cmocka_unit_test(an_outage_from_anywhere_on_leaves_at_most_a_leak),
		cmocka_unit_test(clean_up_makes_uncertain_outcomes_certain),
		RIG_UNIT_TEST(clean_up_is_reported),
		cmocka_unit_test(the_sweep_catches_the_defects),
	};

	return cmocka_run_group_tests_name("fs-dictmap", tests, NULL, NULL);
}

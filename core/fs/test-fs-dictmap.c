/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver dictmap: each of its settings, its paths and listings.
 */
#include "core/fs/testing/dictmap-test.h"

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

RIG_TEST(what_the_caller_deleted_is_not_counted)
{
	struct lab_error err;
	struct fs *fs = open_dictmap(rig, DICTMAP(REFCOUNTED));
	char name[33], copies[2][33];
	struct fs_file *file;
	unsigned nlinks;

	OK(create(fs, FOLDER, "hello", name, &err));
	for (unsigned i = 0; i < 2; i++)
		OK(copy(fs, path_of(rig, FOLDER, name), FOLDER2, copies[i], &err));
	file = fs_file_open(fs, lab_view_cstr(path_of(rig, FOLDER, name)), FS_OPEN_READONLY);
	fs_set_metadata(file, FS_METADATA_DELETED,
		lab_view_cstr(lab_arena_printf(rig->arena, "%s %s ", GUID, copies[0])));
	OK(fs_get_nlinks(file, &nlinks, &err));
	assert_int_equal(nlinks, 2);
	fs_set_metadata(file, FS_METADATA_DELETED,
		lab_view_cstr(lab_arena_printf(rig->arena, "%s %s ", copies[1], copies[0])));
	OK(fs_get_nlinks(file, &nlinks, &err));
	assert_int_equal(nlinks, 1);
	fs_file_close(&file);
	fs_deinit(&fs);
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

static void put_bundle_of_now(struct skewed *s, struct fs *fs)
{
	uint64_t seconds = env_wall_us(s->rig->hosts[1].env) / 1000000;
	struct lab_error err;

	(void)snprintf(s->name, sizeof(s->name), "bundle.%08x.00000.x", (unsigned)seconds);
	OK(put(fs, path_of(s->rig, USER "/idx/", s->name), "index", &err));
}

/* By a clock that is an hour ahead of the other host's. */
static void save_bundle(void *arg)
{
	struct skewed *s = arg;
	struct lab_error err;
	struct fs *fs = rig_open(s->rig, 1, s->uri, &err);

	put_bundle_of_now(s, fs);
	fs_deinit(&fs);
}

/* The clock is set right in between; what the driver stamps goes on from an hour ahead. */
static void save_bundles_over_a_step(void *arg)
{
	struct skewed *s = arg;
	struct lab_error err;
	struct fs *fs = rig_open(s->rig, 1, s->uri, &err);

	world_clock_offset(s->rig->hosts[1].host, INT64_C(3600) * 1000 * 1000);
	put_bundle_of_now(s, fs);
	world_clock_offset(s->rig->hosts[1].host, 0);
	put_bundle_of_now(s, fs);
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

static void a_base_of_a_clock_that_was_set_back_is_deleted_too(void **state)
{
	struct rig *rig = *state;
	struct skewed s = { .rig = rig, .uri = DICTMAP("storage-passthrough-paths=full") };

	rig_run(rig, 1, save_bundles_over_a_step, &s);
	assert_int_equal(rig_row_count(rig, "shared/dictmap/" USER "/idx/"), 2);
	rig_run(rig, 0, delete_bundle, &s);
	assert_int_equal(rig_row_count(rig, "shared/dictmap/" USER "/idx/"), 1);
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
		RIG_UNIT_TEST(what_the_caller_deleted_is_not_counted),
		RIG_UNIT_TEST(delete_timestamp_beats_a_clock_that_is_ahead),
		RIG_UNIT_TEST(a_base_is_deleted_whatever_the_clocks_say),
		RIG_UNIT_TEST(a_base_of_a_clock_that_was_set_back_is_deleted_too),
		RIG_UNIT_TEST(an_object_id_prefix_ends_in_one_slash),
		RIG_UNIT_TEST(passed_through_objects_lie_under_their_path),
		RIG_UNIT_TEST(passed_through_mails_are_copied_by_contents),
		RIG_UNIT_TEST(ids_from_before_the_migration_lie_under_their_folder),
		RIG_UNIT_TEST(max_parallel_iter_bounds_parallel_listings),
		RIG_UNIT_TEST(a_dict_prefix_comes_before_every_path),
		RIG_UNIT_TEST(a_user_name_cannot_reach_other_rows),
		RIG_UNIT_TEST(settings_that_contradict_each_other_are_refused),
		RIG_UNIT_TEST(listings_have_names_with_ids),
		RIG_UNIT_TEST(directories_are_known_without_rows),
		RIG_UNIT_TEST(a_listing_that_is_too_long_or_fails_is_an_error),
		RIG_UNIT_TEST(a_failed_one_of_many_deletes_is_told_and_the_others_happen),
		RIG_UNIT_TEST(an_object_that_cannot_be_deleted_is_a_leak_and_no_error),
		RIG_UNIT_TEST(what_is_replaced_is_never_cleaned_up),
	};

	return cmocka_run_group_tests_name("fs-dictmap", tests, NULL, NULL);
}

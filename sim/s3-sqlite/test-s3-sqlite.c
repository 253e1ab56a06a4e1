/* SPDX-License-Identifier: Apache-2.0
 *
 * What only this engine does: it outlives the program, belongs to one, and fails.
 */
#define TESTING_S3_SQLITE
#include "sim/s3-emulator/testing-s3.h"
#include "sim/sqlite-file/testing-failing-disk.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[64], path[96];

/* ---- a store in a folder of its own ---- */

static int setup(void **state)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/s3-sqlite-XXXXXX");
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/s3.sqlite", folder);
	testing_s3_settings = (struct s3sqlite_settings){ .path = path, .sync = true };
	shim.countdown = -1;
	shim.forever = false;
	shim.failed = 0;
	shim.code = SQLITE_IOERR_WRITE;
	return t_setup(state);
}

static void delete_files(void)
{
	static const char *const suffixes[] = { "", "-wal", "-journal", "-shm" };
	char name[128];

	for (size_t i = 0; i < LAB_COUNT_OF(suffixes); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		(void)unlink(name);
	}
}

static int teardown(void **state)
{
	int result;

	shim.countdown = -1;
	result = t_teardown(state);
	(void)sqlite3_vfs_unregister(&shim.vfs);
	delete_files();
	(void)rmdir(folder);
	return result;
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

static void with_failing_disk(void)
{
	(void)sqlite3_vfs_register(&shim.vfs, 1);
	t_start();
}

static char *bytes_of(size_t len, unsigned n)
{
	char *text = lab_arena_alloc(t.arena, len + 1);

	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + (i * 7 + n) % 26);
	return text;
}

/* ---- what outlives a restart ---- */

static void objects_come_back_as_they_were(void **state)
{
	char *big = bytes_of(3 * 1024 * 1024 + 17, 1);
	struct s3emu_object_info before, after;
	char etag[64];

	(void)state;
	t_header("Content-Type", "text/x-mail");
	t_header("x-amz-meta-a", "b");
	t_header("x-amz-checksum-crc32", "NhCmhg==");
	assert_int_equal(t_put("/mail/a", "hello"), 200);
	assert_int_equal(t_put("/mail/big", big), 200);
	assert_int_equal(t_put("/mail/empty", ""), 200);
	assert_int_equal(t_put("/mail/z%FF%00x", "x"), 400);
	assert_int_equal(s3emu_object_find(t.s3, LAB_VIEW("mail"), LAB_VIEW("a"), &before), 1);
	(void)snprintf(etag, sizeof(etag), "%.*s", LAB_VIEW_ARG(before.etag));
	t_start();
	assert_int_equal(s3emu_object_find(t.s3, LAB_VIEW("mail"), LAB_VIEW("a"), &after), 1);
	assert_true(lab_view_eq_cstr(after.etag, etag));
	assert_int_equal(after.size, 5);
	assert_int_equal(after.modified_unix_us, T_EPOCH * 1000000);
	assert_int_equal(after.creations, 1);
	t_header("x-amz-checksum-mode", "ENABLED");
	assert_int_equal(t_get("/mail/a"), 200);
	assert_true(t_body_is("hello"));
	assert_string_equal(t_reply_header("content-type"), "text/x-mail");
	assert_string_equal(t_reply_header("x-amz-meta-a"), "b");
	assert_string_equal(t_reply_header("x-amz-checksum-crc32"), "NhCmhg==");
	assert_int_equal(t_get("/mail/big"), 200);
	assert_true(t_body_is(big));
	assert_int_equal(t_get("/mail/empty"), 200);
	assert_true(t_body_is(""));
	assert_int_equal(s3emu_counters(t.s3)->objects, 3);
	assert_int_equal(s3emu_counters(t.s3)->stored_bytes, 5 + strlen(big));
	t_header("Range", "bytes=1048570-1048585");
	assert_int_equal(t_get("/mail/big"), 206);
	assert_int_equal(t.reply.response.body.len, 16);
	assert_memory_equal(t.reply.response.body.ptr, big + 1048570, 16);
}

/* An ETag is what was stored, not what the body would give. */
static void nothing_is_computed_anew(void **state)
{
	sqlite3 *sql;

	(void)state;
	assert_int_equal(t_put("/mail/a", "hello"), 200);
	t_stop();
	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(sql, "UPDATE chunks SET data = x'776F726C64'", NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_close(sql), SQLITE_OK);
	t_start();
	assert_int_equal(t_get("/mail/a"), 200);
	assert_true(t_body_is("world"));
	assert_string_equal(t_reply_header("etag"), "\"5d41402abc4b2a76b9719d911017c592\"");
}

static void deletes_and_overwrites_stay_and_free_their_bodies(void **state)
{
	sqlite3_stmt *count;
	sqlite3 *sql;

	(void)state;
	assert_int_equal(t_put("/mail/a", "one"), 200);
	assert_int_equal(t_put("/mail/a", "two"), 200);
	assert_int_equal(t_put("/mail/b", "three"), 200);
	assert_int_equal(t_delete("/mail/b"), 204);
	t_start();
	assert_int_equal(t_get("/mail/b"), 404);
	assert_int_equal(t_get("/mail/a"), 200);
	assert_true(t_body_is("two"));
	t_stop();
	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(sql, "SELECT count(*) FROM chunks", -1, &count, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(count), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(count, 0), 1);
	(void)sqlite3_finalize(count);
	assert_int_equal(sqlite3_close(sql), SQLITE_OK);
}

static void an_upload_in_progress_goes_on(void **state)
{
	char *first = bytes_of(5 * 1024 * 1024, 3), target[256];
	char id[128], etags[2][64];
	const char *list;

	(void)state;
	assert_int_equal(t_send("POST", "/mail/k?uploads", LAB_VIEW("")), 200);
	(void)snprintf(id, sizeof(id), "%s", t_xml("UploadId"));
	(void)snprintf(target, sizeof(target), "/mail/k?partNumber=1&uploadId=%s", id);
	assert_int_equal(t_put(target, first), 200);
	(void)snprintf(etags[0], sizeof(etags[0]), "%s", t_reply_header("etag"));
	t_start();
	(void)snprintf(target, sizeof(target), "/mail/k?partNumber=2&uploadId=%s", id);
	assert_int_equal(t_put(target, "end"), 200);
	(void)snprintf(etags[1], sizeof(etags[1]), "%s", t_reply_header("etag"));
	t_start();
	list = lab_arena_printf(t.arena,
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part>"
		"<Part><PartNumber>2</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>",
		etags[0], etags[1]);
	(void)snprintf(target, sizeof(target), "/mail/k?uploadId=%s", id);
	assert_int_equal(t_send("POST", target, lab_view_cstr(list)), 200);
	t_start();
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 0);
	assert_int_equal(t_get("/mail/k"), 200);
	assert_int_equal(t.reply.response.body.len, 5 * 1024 * 1024 + 3);
	assert_non_null(strstr(t_reply_header("etag"), "-2\""));
	assert_int_equal(t_get("/mail/k?partNumber=2"), 206);
	assert_true(t_body_is("end"));
}

static void buckets_of_clients_come_back_with_their_owners(void **state)
{
	struct lab_error err;

	(void)state;
	assert_int_equal(t_put("/made", ""), 200);
	assert_int_equal(t_put("/gone", ""), 200);
	assert_int_equal(t_delete("/gone"), 204);
	assert_int_equal(t_put("/made/a", "x"), 200);
	t_start();
	assert_int_equal(t_get("/made/a"), 404);
	assert_int_equal(s3emu_buckets_restore(t.s3, &err), 0);
	assert_int_equal(t_get("/made/a"), 200);
	assert_int_equal(t_get("/gone"), 404);
	t_credentials("AKIAOTHER", "222222222222", NULL, 0);
	t.credentials.access_key_id = LAB_VIEW("AKIAOTHER");
	assert_int_equal(t_get("/made/a"), 403);
	assert_int_equal(s3emu_counters(t.s3)->objects, 1);
}

static void emptying_stays(void **state)
{
	struct lab_error err;

	(void)state;
	assert_int_equal(t_put("/mail/a", "x"), 200);
	assert_int_equal(t_send("POST", "/mail/k?uploads", LAB_VIEW("")), 200);
	assert_int_equal(s3emu_empty(t.s3, &err), 0);
	assert_int_equal(s3emu_counters(t.s3)->objects, 0);
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 0);
	assert_int_equal(t_get("/mail/a"), 404);
	assert_int_equal(t_put("/mail/b", "y"), 200);
	t_start();
	assert_int_equal(t_get("/mail/a"), 404);
	assert_int_equal(t_get("/mail/b"), 200);
	assert_int_equal(s3emu_counters(t.s3)->stored_bytes, 1);
}

static void temporary_keys_come_back_until_they_expire(void **state)
{
	struct sim_credentials keys[] = { { LAB_VIEW("111111111111"), LAB_VIEW("ASIATEMPORARY"),
						  LAB_VIEW(T_SECRET), LAB_VIEW("token"),
						  T_EPOCH + 100 },
		{ LAB_VIEW("111111111111"), LAB_VIEW("ASIAEXPIRED"), LAB_VIEW(T_SECRET),
			LAB_VIEW("token"), T_EPOCH - 1 },
		{ LAB_VIEW("111111111111"), LAB_VIEW("AKIALONGTERM"), LAB_VIEW(T_SECRET),
			{ NULL, 0 }, 0 } };
	struct lab_error err;

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(keys); i++)
		s3sqlite_credentials_keep(testing_s3_engine, &keys[i]);
	t_start();
	assert_int_equal(s3sqlite_credentials_restore(testing_s3_engine, t.s3, T_EPOCH, &err), 0);
	t.credentials.access_key_id = LAB_VIEW("ASIATEMPORARY");
	assert_int_equal(t_get("/mail/a"), 403);
	t.credentials.token = LAB_VIEW("token");
	assert_code(t_get("/mail/a"), 404, "NoSuchKey");
	t.credentials.token = lab_view_of(NULL, 0);
	t.credentials.access_key_id = LAB_VIEW("ASIAEXPIRED");
	assert_code(t_get("/mail/a"), 403, "InvalidAccessKeyId");
	t.credentials.access_key_id = LAB_VIEW("AKIALONGTERM");
	assert_code(t_get("/mail/a"), 403, "InvalidAccessKeyId");
}

/* ---- files that are not ours ---- */

static void open_fails(enum lab_code code, const char *words)
{
	struct s3sqlite *db = NULL;
	struct lab_error err;
	struct s3sqlite_settings settings = testing_s3_settings;

	settings.path = path;
	assert_int_equal(s3sqlite_open(testing_heap, &settings, &db, &err), -1);
	assert_null(db);
	if (err.code != code || strstr(err.message, path) != err.message ||
		strstr(err.message, words) == NULL)
		fail_msg("%s", err.message);
}

static void write_file(const char *text, size_t len, long at)
{
	FILE *file = fopen(path, at < 0 ? "we" : "r+e");

	assert_non_null(file);
	assert_int_equal(fseek(file, at < 0 ? 0 : at, SEEK_SET), 0);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void run_sql(const char *text)
{
	sqlite3 *sql;

	assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sql, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(sql), SQLITE_OK);
}

static void somebody_elses_file_is_refused_and_left_alone(void **state)
{
	char before[64] = "", after[64] = "";
	FILE *file;

	(void)state;
	t_stop();
	delete_files();
	write_file("this is a text, and longer than the header of a database file is: no SQLite "
		   "has ever written such a thing, nor will it\n",
		120, -1);
	open_fails(LAB_INVALID, "not an SQLite database");
	delete_files();
	run_sql("CREATE TABLE theirs (a)");
	open_fails(LAB_INVALID, "another program's database");
	file = fopen(path, "re");
	assert_int_equal(fread(before, 1, sizeof(before), file), sizeof(before));
	(void)fclose(file);
	open_fails(LAB_INVALID, "another program's database");
	file = fopen(path, "re");
	assert_int_equal(fread(after, 1, sizeof(after), file), sizeof(after));
	(void)fclose(file);
	/* Not even the journal mode, which is in the header. */
	assert_memory_equal(before, after, sizeof(before));
}

static void a_newer_file_is_refused(void **state)
{
	(void)state;
	t_stop();
	run_sql("PRAGMA user_version = 2");
	open_fails(LAB_UNSUPPORTED, "newer oboxlab (schema 2, this one knows 1)");
}

static void a_damaged_file_is_refused(void **state)
{
	char *zeros = bytes_of(4096, 0);

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(t_put(lab_arena_printf(t.arena, "/mail/%u", i), "x"), 200);
	t_stop();
	write_file(zeros, 4096, 2 * 4096);
	open_fails(LAB_CORRUPT, "damaged");
}

static void a_file_belongs_to_one_program(void **state)
{
	(void)state;
	open_fails(LAB_EXISTS, "in use by another program");
	t_stop();
	(void)snprintf(path, sizeof(path), "%s/none/s3.sqlite", folder);
	open_fails(LAB_NOT_FOUND, "is the folder there?");
	(void)snprintf(path, sizeof(path), "%s/s3.sqlite", folder);
}

/* ---- disks that fail ---- */

static void a_full_disk_is_503_and_nothing_is_half_done(void **state)
{
	char *big = bytes_of(3 * 1024 * 1024, 5);
	uint64_t created;

	(void)state;
	testing_s3_settings.bytes_max = 4 << 20;
	t_start();
	assert_int_equal(t_put("/mail/a", "old"), 200);
	assert_int_equal(t_put("/mail/1", big), 200);
	created = s3emu_counters(t.s3)->created;
	assert_code(t_put("/mail/2", big), 503, "ServiceUnavailable");
	assert_false(t_logged()->applied);
	assert_code(t_put("/mail/a", big), 503, "ServiceUnavailable");
	assert_int_equal(t_get("/mail/2"), 404);
	assert_int_equal(t_get("/mail/a"), 200);
	assert_true(t_body_is("old"));
	assert_int_equal(s3emu_counters(t.s3)->created, created);
	assert_int_equal(s3emu_counters(t.s3)->objects, 2);
	assert_int_equal(s3emu_counters(t.s3)->stored_bytes, 3 + strlen(big));
	assert_int_equal(t_delete("/mail/1"), 204);
	assert_int_equal(t_put("/mail/2", big), 200);
	t_start();
	assert_int_equal(s3emu_counters(t.s3)->objects, 2);
}

/* Each operation of the disk that a write needs fails once. */
static void every_failing_write_is_told_and_undone(void **state)
{
	unsigned failures = 0;
	long n;

	(void)state;
	with_failing_disk();
	for (n = 0; n < 200; n++) {
		char *text = bytes_of(20000, (unsigned)n);
		uint64_t objects;
		unsigned status;

		assert_int_equal(t_put("/mail/a", "old"), 200);
		objects = s3emu_counters(t.s3)->objects;
		shim.failed = 0;
		shim.countdown = n;
		status = t_put("/mail/a", text);
		shim.countdown = -1;
		if (shim.failed == 0)
			break;
		failures++;
		assert_row((size_t)n, status == 500);
		assert_row((size_t)n, !t_logged()->applied);
		assert_row((size_t)n, s3emu_counters(t.s3)->objects == objects);
		assert_row((size_t)n, t_get("/mail/a") == 200);
		assert_row((size_t)n, t_body_is("old"));
	}
	assert_true(failures >= 5);
	assert_true(n < 200);
	assert_int_equal(t_put("/mail/a", "new"), 200);
}

static void a_disk_that_stays_broken_keeps_saying_so(void **state)
{
	struct s3sqlite_stats stats;

	(void)state;
	with_failing_disk();
	assert_int_equal(t_put("/mail/a", "old"), 200);
	shim.countdown = 0;
	shim.forever = true;
	shim.code = SQLITE_FULL;
	assert_int_equal(t_put("/mail/a", "new"), 503);
	assert_int_equal(t_delete("/mail/a"), 503);
	assert_int_equal(t_put("/made", ""), 503);
	assert_int_equal(t_get("/mail/a"), 200);
	assert_true(t_body_is("old"));
	s3sqlite_stats(testing_s3_engine, &stats);
	assert_true(stats.failures >= 3);
	assert_true(strlen(stats.last_failure) > 0);
	shim.countdown = -1;
	shim.forever = false;
	assert_int_equal(t_get("/made"), 404);
	assert_int_equal(t_put("/made", ""), 200);
	assert_int_equal(t_delete("/mail/a"), 204);
}

/* A bulk delete is one transaction. */
static void of_a_bulk_delete_that_fails_nothing_is_gone(void **state)
{
	const char *body = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object>"
			   "</Delete>";

	(void)state;
	with_failing_disk();
	assert_int_equal(t_put("/mail/a", "1"), 200);
	assert_int_equal(t_put("/mail/b", "2"), 200);
	shim.countdown = 0;
	shim.forever = true;
	t_content_md5(lab_view_cstr(body));
	assert_int_equal(t_send("POST", "/mail?delete", lab_view_cstr(body)), 500);
	assert_int_equal(t_logged()->key_count, 0);
	shim.countdown = -1;
	shim.forever = false;
	assert_int_equal(t_get("/mail/a"), 200);
	assert_int_equal(t_get("/mail/b"), 200);
	assert_int_equal(s3emu_counters(t.s3)->deleted, 0);
}

/* What is wrong inside shows when it is read, and stays that request's affair. */
static void a_lost_body_is_500(void **state)
{
	(void)state;
	assert_int_equal(t_put("/mail/a", "hello"), 200);
	assert_int_equal(t_put("/mail/b", "world"), 200);
	t_stop();
	run_sql("DELETE FROM chunks WHERE id = (SELECT min(id) FROM chunks)");
	t_start();
	assert_code(t_get("/mail/a"), 500, "InternalError");
	assert_int_equal(t_get("/mail/b"), 200);
	t_stop();
	run_sql("UPDATE entries SET headers = x'00000009' WHERE key = x'62'");
	t_start();
	assert_code(t_get("/mail/b"), 500, "InternalError");
	assert_int_equal(t_put("/mail/b", "again"), 200);
	assert_int_equal(t_get("/mail/b"), 200);
	assert_int_equal(t_put("/mail/c", "x"), 200);
}

/* An abort removes one part after the other; the last one cannot be read. */
static void a_request_that_breaks_half_way_is_undone(void **state)
{
	char id[128];
	unsigned i;

	(void)state;
	assert_int_equal(t_send("POST", "/mail/k?uploads", LAB_VIEW("")), 200);
	(void)snprintf(id, sizeof(id), "%s", t_xml("UploadId"));
	for (i = 1; i <= 3; i++)
		assert_int_equal(
			t_put(lab_arena_printf(t.arena, "/mail/k?partNumber=%u&uploadId=%s", i, id),
				"part"),
			200);
	t_stop();
	run_sql("UPDATE entries SET headers = x'00000009' WHERE space = 1 AND key = (SELECT "
		"max(key) FROM entries WHERE space = 1)");
	t_start();
	assert_code(t_delete(lab_arena_printf(t.arena, "/mail/k?uploadId=%s", id)), 500,
		"InternalError");
	assert_false(t_logged()->applied);
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 4);
	assert_int_equal(t_put("/mail/a", "x"), 200);
	t_start();
	assert_int_equal(s3emu_counters(t.s3)->upload_entries, 4);
	assert_int_equal(t_get("/mail/a"), 200);
}

static void bodies_on_their_way_are_bounded(void **state)
{
	char *big = bytes_of(700000, 5);

	(void)state;
	assert_int_equal(t_put("/mail/a", big), 200);
	assert_int_equal(t_put("/mail/b", big), 200);
	t.options.limits.stored_bytes_max = 600000;
	t.options.limits.object_bytes_max = 600000;
	t_start();
	assert_code(t_get("/mail/a"), 503, "ServiceUnavailable");
	assert_int_equal(t_send("GET", "/mail?list-type=2", LAB_VIEW("")), 200);
	assert_int_equal(t_put("/mail/c", "x"), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(objects_come_back_as_they_were),
		test(nothing_is_computed_anew),
		test(deletes_and_overwrites_stay_and_free_their_bodies),
		test(an_upload_in_progress_goes_on),
		test(buckets_of_clients_come_back_with_their_owners),
		test(emptying_stays),
		test(temporary_keys_come_back_until_they_expire),
		test(somebody_elses_file_is_refused_and_left_alone),
		test(a_newer_file_is_refused),
		test(a_damaged_file_is_refused),
		test(a_file_belongs_to_one_program),
		test(a_full_disk_is_503_and_nothing_is_half_done),
		test(every_failing_write_is_told_and_undone),
		test(a_disk_that_stays_broken_keeps_saying_so),
		test(of_a_bulk_delete_that_fails_nothing_is_gone),
		test(a_lost_body_is_500),
		test(a_request_that_breaks_half_way_is_undone),
		test(bodies_on_their_way_are_bounded),
	};

	(void)sqlite3_initialize();
	shim_register();
	return cmocka_run_group_tests_name("s3-sqlite", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver sproxyd against the emulator: keys, metadata, 423, outcomes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/fs/sproxyd-key.h"
#include "core/fs/testing/ring-world.h"

#define GUID "d88ff1001d4bf753a1b800001accfe22"
#define NAME GUID "80"

static struct ring_world w;

static int setup(void **state)
{
	ring_world_init(&w, SCALEMU_SPROXYD);
	w.options.base = LAB_VIEW("proxy/chord");
	w.uri = "sproxyd:http://ring.example.com/proxy/chord/?max_retries=2";
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ring_world_done(&w);
	return 0;
}

static void key_of_name(char ret[SPROXYD_KEY_HEX + 1])
{
	uint8_t guid[16], key[SPROXYD_KEY_BYTES];

	assert_int_equal(lab_unhex(LAB_VIEW(GUID), guid, sizeof(guid)), 0);
	sproxyd_key_make(guid, SPROXYD_MAIL, 2, key);
	lab_hex(key, sizeof(key), ret);
}

/* ---- keys ---- */

static void a_key_has_its_fields_in_their_places(void **state)
{
	uint8_t guid[16], md5[LAB_DIGEST_MAX], key[SPROXYD_KEY_BYTES];
	char hex[SPROXYD_KEY_HEX + 1];

	(void)state;
	assert_int_equal(lab_unhex(LAB_VIEW(GUID), guid, sizeof(guid)), 0);
	lab_digest(LAB_MD5, lab_view_of(guid, sizeof(guid)), md5);
	sproxyd_key_make(guid, SPROXYD_BOX_INDEX_DIFF, 1, key);
	assert_memory_equal(key, md5, 15);
	assert_int_equal(key[15], 0x83);
	assert_int_equal(key[16], md5[15]);
	assert_int_equal(key[17], 0x0f);
	assert_int_equal(key[18], 0);
	assert_int_equal(key[19], 0x10);
	lab_hex(key, sizeof(key), hex);
	assert_true(sproxyd_is_key(lab_view_cstr(hex)));
	hex[39] = '1'; /* a replica */
	assert_false(sproxyd_is_key(lab_view_cstr(hex)));
	hex[39] = '0';
	hex[31] = '4'; /* another service */
	assert_false(sproxyd_is_key(lab_view_cstr(hex)));
}

static void the_type_is_that_of_the_path(void **state)
{
	static const struct {
		const char *path;
		enum sproxyd_type type;
	} paths[] = {
		{ "u/mailboxes/g/n", SPROXYD_MAIL },
		{ "b5/899/u/mailboxes/g/n", SPROXYD_MAIL },
		{ "u/mailboxes/g/idx/bundle.1.2.3", SPROXYD_BOX_INDEX_BASE },
		{ "u/mailboxes/g/idx/bundle.1.2.3-4", SPROXYD_BOX_INDEX_DIFF },
		{ "u/mailboxes/g/idx/backend-1", SPROXYD_BOX_INDEX_SELF },
		{ "u/idx/bundle.1.2.3", SPROXYD_USER_INDEX_BASE },
		{ "u/idx/bundle.1.2.3-4", SPROXYD_USER_INDEX_DIFF },
		{ "u/idx/x", SPROXYD_USER_INDEX_SELF },
		{ "u/fts/S_1_2", SPROXYD_FTS },
		{ "u/mailboxes/g/", SPROXYD_UNKNOWN },
		{ "u/mailboxes/g", SPROXYD_UNKNOWN },
		{ "", SPROXYD_UNKNOWN },
		{ "u/other", SPROXYD_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(paths); i++) {
		if (sproxyd_type_of(lab_view_cstr(paths[i].path)) != paths[i].type)
			fail_msg("%s: %02x", paths[i].path,
				sproxyd_type_of(lab_view_cstr(paths[i].path)));
	}
}

/* ---- operations ---- */

static void save_read_delete(struct ring_world *ring)
{
	char key[SPROXYD_KEY_HEX + 1];
	struct scalemu_object_info info;

	key_of_name(key);
	assert_int_equal(ring_put(ring, NAME, FS_OPEN_REPLACE, "hello"), 0);
	assert_int_equal(scalemu_object_find(ring->ring, lab_view_cstr(key), &info), 1);
	assert_true(lab_view_eq_cstr(info.body, "hello"));
	assert_true(lab_view_eq_cstr(scalemu_metadata(&info, "dovecot-guid"), "abc"));
	/* by its key, as dictmap asks */
	assert_true(lab_view_eq_cstr(ring_get(ring, key), "hello"));
	assert_int_equal(ring_delete(ring, key), 0);
	assert_int_equal(scalemu_object_find(ring->ring, lab_view_cstr(key), &info), 0);
	assert_int_equal(ring_delete(ring, key), -1);
	assert_int_equal(ring->err.code, LAB_NOT_FOUND);
}

static void objects_are_kept_under_their_key(void **state)
{
	(void)state;
	ring_run(&w, save_read_delete);
	assert_true(RING_WAS(&w, "PUT", "GET", "DELETE", "DELETE"));
	/* upper case on the wire */
	assert_true(lab_view_starts_with(
		w.world->requests[0].request.target, LAB_VIEW("/proxy/chord/")));
	for (size_t i = 13; i < w.world->requests[0].request.target.len; i++)
		assert_false(w.world->requests[0].request.target.ptr[i] >= 'a');
}

static void create_stat_copy(struct ring_world *ring)
{
	struct fs_file *from, *to;
	struct lab_view id;
	uint64_t size = 0;

	assert_int_equal(ring_put(ring, NAME, FS_OPEN_CREATE, "hello"), 0);
	assert_int_equal(ring_put(ring, NAME, FS_OPEN_CREATE, "other"), -1);
	assert_int_equal(ring->err.code, LAB_EXISTS);
	from = fs_file_open(ring->fs, LAB_VIEW(NAME), FS_OPEN_READONLY);
	fs_set_metadata(from, FS_METADATA_ORIG_PATH, LAB_VIEW("u/mailboxes/g/n"));
	to = fs_file_open(ring->fs, LAB_VIEW("00000000000000000000000000000009"), FS_OPEN_REPLACE);
	assert_int_equal(fs_exists(from, &ring->err), 1);
	assert_int_equal(fs_exists(to, &ring->err), 0);
	assert_int_equal(fs_stat(from, &size, &ring->err), 0);
	assert_int_equal(size, 5);
	assert_int_equal(fs_copy(from, to, &ring->err), 0);
	assert_int_equal(
		fs_get_metadata(to, FS_METADATA_OBJECTID, ring->world->arena, &id, &ring->err), 1);
	assert_int_equal(id.len, 40);
	assert_int_equal(fs_rename(from, to, &ring->err), -1);
	assert_int_equal(ring->err.code, LAB_UNSUPPORTED);
	fs_file_close(&from);
	fs_file_close(&to);
	assert_int_equal(scalemu_counters(ring->ring)->objects, 2);
}

static void create_stat_and_copy(void **state)
{
	(void)state;
	ring_run(&w, create_stat_copy);
	assert_true(RING_WAS(&w, "PUT", "PUT", "HEAD", "HEAD", "HEAD", "GET", "PUT"));
}

static void list(struct ring_world *ring)
{
	struct lab_view *names;
	size_t count;

	ring->result = fs_iter(
		ring->fs, LAB_VIEW("x"), 0, 10, ring->world->arena, &names, &count, &ring->err);
}

static void there_is_no_listing(void **state)
{
	(void)state;
	ring_run(&w, list);
	assert_int_equal(w.result, -1);
	assert_int_equal(w.err.code, LAB_UNSUPPORTED);
	assert_int_equal(w.world->request_count, 0);
}

static void put_bad_name(struct ring_world *ring)
{
	ring->result = ring_put(ring, "user/mails/1", FS_OPEN_REPLACE, "hello");
}

static void a_path_is_refused_without_by_path(void **state)
{
	(void)state;
	ring_run(&w, put_bad_name);
	assert_int_equal(w.result, -1);
	assert_int_equal(w.err.code, LAB_INVALID);
	assert_non_null(strstr(w.err.message, "by-path"));
	assert_int_equal(w.world->request_count, 0);
}

static void by_path_takes_any_path(void **state)
{
	struct scalemu_object_info info;

	(void)state;
	w.options.by_path = true;
	w.uri = "sproxyd:http://ring.example.com/proxy/chord/?by-path";
	ring_run(&w, put_bad_name);
	assert_int_equal(w.result, 0);
	assert_int_equal(scalemu_object_find(w.ring, LAB_VIEW("user/mails/1"), &info), 1);
	assert_int_equal(fs_get_properties(w.fs) & FS_PROPERTY_OBJECTIDS, 0);
}

static void put_one(struct ring_world *ring)
{
	ring->result = ring_put(ring, NAME, FS_OPEN_REPLACE, "hello");
}

static void the_class_is_in_the_key(void **state)
{
	struct scalemu_iter iter;
	struct scalemu_object_info info;

	(void)state;
	w.uri = "sproxyd:http://ring.example.com/proxy/chord/?class=1";
	ring_run(&w, put_one);
	assert_int_equal(w.result, 0);
	iter = scalemu_objects(w.ring);
	assert_true(scalemu_objects_next(&iter, &info));
	assert_true(lab_view_ends_with(info.key, LAB_VIEW("010010")));
}

static void basic_credentials_are_sent(void **state)
{
	(void)state;
	w.options.user = LAB_VIEW("dovecot");
	w.options.password = LAB_VIEW("a:b/c");
	w.uri = "sproxyd:http://dovecot:a%3Ab%2Fc@ring.example.com/proxy/chord/";
	ring_run(&w, put_one);
	assert_int_equal(w.result, 0);
	assert_false(fake_events_mention(w.world, "a:b/c"));
	assert_false(fake_events_mention(w.world, "ZG92ZWNvd"));
}

static void wrong_credentials_are_denied(void **state)
{
	(void)state;
	w.options.user = LAB_VIEW("dovecot");
	w.options.password = LAB_VIEW("right");
	w.uri = "sproxyd:http://dovecot:wrong@ring.example.com/proxy/chord/";
	ring_run(&w, put_one);
	assert_int_equal(w.result, -1);
	assert_int_equal(w.err.code, LAB_DENIED);
	assert_null(strstr(w.err.message, "wrong"));
	assert_int_equal(scalemu_counters(w.ring)->unauthorized, 1);
}

/* ---- outcomes ---- */

static void with_fault(enum sim_fault_kind kind, unsigned status, unsigned times)
{
	w.fault = (struct sim_fault){ .kind = kind, .id = 1, .status = status };
	w.times = times;
}

static void locked_is_retried_up_the_ladder(void **state)
{
	(void)state;
	with_fault(SIM_FAULT_FAIL, 423, 2);
	ring_run(&w, put_one);
	assert_int_equal(w.result, 0);
	assert_int_equal(w.fired, 2);
	assert_int_equal(w.world->request_count, 3);
	assert_int_equal(w.world->requests[1].at_ns - w.world->requests[0].at_ns, 50 * LAB_MSEC);
	assert_int_equal(w.world->requests[2].at_ns - w.world->requests[1].at_ns, 500 * LAB_MSEC);
}

static void locked_for_too_long_certainly_fails(void **state)
{
	(void)state;
	with_fault(SIM_FAULT_FAIL, 423, 100);
	ring_run(&w, put_one);
	assert_int_equal(w.result, -1);
	assert_int_equal(w.err.code, LAB_UNAVAILABLE);
	assert_int_equal(w.err.status, 423);
	assert_int_equal(w.fired, 3);
	assert_int_equal(scalemu_counters(w.ring)->objects, 0);
}

static void a_lost_reply_is_tried_again(void **state)
{
	(void)state;
	with_fault(SIM_FAULT_LOSE_REPLY, 0, 1);
	ring_run(&w, put_one);
	assert_int_equal(w.result, 0);
	assert_int_equal(w.fired, 1);
	assert_int_equal(scalemu_counters(w.ring)->puts, 2);
}

static void replies_that_are_always_lost_are_uncertain(void **state)
{
	(void)state;
	with_fault(SIM_FAULT_LOSE_REPLY, 0, 100);
	ring_run(&w, put_one);
	assert_int_equal(w.result, -1);
	assert_int_equal(w.err.code, LAB_UNCERTAIN);
	assert_int_equal(scalemu_counters(w.ring)->objects, 1);
	w.times = 0;
}

static void delete_of_one(struct ring_world *ring)
{
	char key[SPROXYD_KEY_HEX + 1];

	key_of_name(key);
	assert_int_equal(ring_put(ring, NAME, FS_OPEN_REPLACE, "hello"), 0);
	ring->result = ring_delete(ring, key);
}

static void a_delete_whose_answer_was_lost_has_worked(void **state)
{
	(void)state;
	with_fault(SIM_FAULT_LOSE_REPLY, 0, 1);
	w.point = "sproxyd.delete";
	ring_run(&w, delete_of_one);
	assert_int_equal(w.result, 0);
	assert_int_equal(w.fired, 1);
	assert_int_equal(scalemu_counters(w.ring)->objects, 0);
}

static void read_of_one(struct ring_world *ring)
{
	char key[SPROXYD_KEY_HEX + 1];

	key_of_name(key);
	assert_int_equal(ring_put(ring, NAME, FS_OPEN_REPLACE, "hello"), 0);
	assert_true(lab_view_eq_cstr(ring_get(ring, key), "hello"));
}

static void a_cut_off_answer_is_asked_for_again(void **state)
{
	(void)state;
	with_fault(SIM_FAULT_CORRUPT, 0, 1);
	w.point = "sproxyd.get";
	ring_run(&w, read_of_one);
	assert_int_equal(w.fired, 1);
}

/* ---- avoid_423 ---- */

static void a_delete_right_after_a_put_meets_a_lock(void **state)
{
	(void)state;
	w.options.lock_ns = 200 * LAB_MSEC;
	ring_run(&w, delete_of_one);
	assert_int_equal(w.result, 0);
	assert_int_equal(scalemu_counters(w.ring)->locked, 2);
}

static void avoid_423_waits_instead(void **state)
{
	(void)state;
	w.options.lock_ns = 200 * LAB_MSEC;
	w.uri = "sproxyd:http://ring.example.com/proxy/chord/?avoid_423=300";
	ring_run(&w, delete_of_one);
	assert_int_equal(w.result, 0);
	assert_int_equal(scalemu_counters(w.ring)->locked, 0);
	assert_int_equal(w.world->requests[1].at_ns - w.world->requests[0].at_ns, 300 * LAB_MSEC);
}

static void delete_much_later(struct ring_world *ring)
{
	char key[SPROXYD_KEY_HEX + 1];

	key_of_name(key);
	assert_int_equal(ring_put(ring, NAME, FS_OPEN_REPLACE, "hello"), 0);
	env_sleep(&ring->world->env, LAB_SEC);
	assert_int_equal(ring_delete(ring, key), 0);
}

static void avoid_423_does_not_wait_for_what_is_long_past(void **state)
{
	(void)state;
	w.uri = "sproxyd:http://ring.example.com/proxy/chord/?avoid_423=300";
	ring_run(&w, delete_much_later);
	assert_int_equal(w.world->requests[1].at_ns - w.world->requests[0].at_ns, LAB_SEC);
}

static void delete_some(struct ring_world *ring)
{
	struct fs_file *files[3];
	struct lab_error results[3];

	assert_int_equal(ring_put(ring, NAME, FS_OPEN_REPLACE, "hello"), 0);
	for (size_t i = 0; i < 3; i++) {
		char name[33];

		(void)snprintf(name, sizeof(name), "%032zx", i);
		assert_int_equal(ring_put(ring, name, FS_OPEN_REPLACE, "x"), 0);
		files[i] = fs_file_open(ring->fs, lab_view_cstr(name), FS_OPEN_READONLY);
		fs_set_metadata(files[i], FS_METADATA_ORIG_PATH,
			i == 1 ? LAB_VIEW("u/idx/x") : LAB_VIEW("u/mailboxes/g/n"));
	}
	assert_int_equal(fs_delete_many(files, 3, results, &ring->err), -1);
	assert_int_equal(results[0].code, LAB_OK);
	assert_int_equal(results[1].code, LAB_NOT_FOUND);
	assert_int_equal(results[2].code, LAB_OK);
	for (size_t i = 0; i < 3; i++)
		fs_file_close(&files[i]);
	assert_int_equal(scalemu_counters(ring->ring)->objects, 2);
}

static void each_delete_has_its_own_result(void **state)
{
	(void)state;
	ring_run(&w, delete_some);
}

#define ring_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_has_its_fields_in_their_places),
		cmocka_unit_test(the_type_is_that_of_the_path),
		ring_test(objects_are_kept_under_their_key),
		ring_test(create_stat_and_copy),
		ring_test(there_is_no_listing),
		ring_test(a_path_is_refused_without_by_path),
		ring_test(by_path_takes_any_path),
		ring_test(the_class_is_in_the_key),
		ring_test(basic_credentials_are_sent),
		ring_test(wrong_credentials_are_denied),
		ring_test(locked_is_retried_up_the_ladder),
		ring_test(locked_for_too_long_certainly_fails),
		ring_test(a_lost_reply_is_tried_again),
		ring_test(replies_that_are_always_lost_are_uncertain),
		ring_test(a_delete_whose_answer_was_lost_has_worked),
		ring_test(a_cut_off_answer_is_asked_for_again),
		ring_test(a_delete_right_after_a_put_meets_a_lock),
		ring_test(avoid_423_waits_instead),
		ring_test(avoid_423_does_not_wait_for_what_is_long_past),
		ring_test(each_delete_has_its_own_result),
	};

	return cmocka_run_group_tests_name("fs-sproxyd", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver scality against the emulator: paths and ids, containers, bulk requests, outcomes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/fs/testing/ring-world.h"

#define URL "scality:http://scality-url/mails/?addhdr=X-Dovecot-Hash:b5/899&max_retries=2"
#define PATH "b5/899/user/mailboxes/f/m1"

static struct ring_world w;

static int setup(void **state)
{
	ring_world_init(&w, SCALEMU_CDMI);
	w.options.base = LAB_VIEW("mails");
	w.options.sticky_header = LAB_VIEW("X-Dovecot-Hash");
	w.uri = URL;
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ring_world_done(&w);
	return 0;
}

static void with_fault(const char *point, enum sim_fault_kind kind, unsigned status, unsigned times)
{
	w.fault = (struct sim_fault){ .kind = kind, .id = 1, .status = status };
	w.point = point;
	w.times = times;
}

/* ---- objects ---- */

static void save_read_delete(struct ring_world *ring)
{
	struct scalemu_object_info info;

	assert_int_equal(ring_put(ring, PATH, FS_OPEN_REPLACE, "hello"), 0);
	assert_int_equal(scalemu_object_find(ring->ring, LAB_VIEW(PATH), &info), 1);
	assert_true(lab_view_eq_cstr(info.body, "hello"));
	assert_true(lab_view_eq_cstr(scalemu_metadata(&info, "dovecot-guid"), "abc"));
	assert_true(lab_view_eq_cstr(ring_get(ring, PATH), "hello"));
	assert_int_equal(ring_delete(ring, PATH), 0);
	assert_int_equal(scalemu_counters(ring->ring)->objects, 0);
	assert_int_equal(ring_delete(ring, PATH), -1);
	assert_int_equal(ring->err.code, LAB_NOT_FOUND);
}

static void missing_containers_are_made(void **state)
{
	(void)state;
	ring_run(&w, save_read_delete);
	/* refused; from the innermost container out to the first that can be made, and back */
	assert_true(RING_WAS(&w, "PUT", "CONTAINER", "CONTAINER", "CONTAINER", "CONTAINER",
		"CONTAINER", "CONTAINER", "CONTAINER", "CONTAINER", "CONTAINER", "PUT", "GET",
		"DELETE", "DELETE"));
}

static void the_header_of_the_balancer_is_on_every_request(void **state)
{
	(void)state;
	ring_run(&w, save_read_delete);
	for (size_t i = 0; i < w.world->request_count; i++)
		assert_true(lab_view_eq_cstr(fake_header(w.world, i, "X-Dovecot-Hash"), "b5/899"));
}

static void write_one(struct ring_world *ring)
{
	ring->result = ring_put(ring, "m1", FS_OPEN_REPLACE, "hello");
}

static void without_it_the_emulator_refuses(void **state)
{
	(void)state;
	w.uri = "scality:http://scality-url/mails/";
	ring_run(&w, write_one);
	assert_int_equal(w.result, -1);
	assert_int_equal(w.err.code, LAB_INVALID);
}

static void id_after_write(struct ring_world *ring)
{
	struct fs_file *file = fs_file_open(ring->fs, LAB_VIEW("m1"), FS_OPEN_REPLACE);
	struct lab_view id;
	size_t before;
	char path[80];

	assert_int_equal(
		fs_get_metadata(file, FS_METADATA_OBJECTID, ring->world->arena, &id, &ring->err),
		0);
	assert_int_equal(ring->world->request_count, 0);
	fs_set_metadata(file, "guid", LAB_VIEW("abc"));
	assert_int_equal(fs_write(file, LAB_VIEW("hello"), &ring->err), 0);
	before = ring->world->request_count;
	assert_int_equal(
		fs_get_metadata(file, FS_METADATA_OBJECTID, ring->world->arena, &id, &ring->err),
		1);
	/* a second time it was there, and the answer has no id */
	assert_int_equal(ring->world->request_count - before, before == 1 ? 0 : 1);
	assert_int_equal(id.len, 48);
	fs_file_close(&file);
	/* by its id it is found, and goes with its name */
	(void)snprintf(path, sizeof(path), "%.*s", LAB_VIEW_ARG(id));
	assert_true(lab_view_eq_cstr(ring_get(ring, path), "hello"));
	assert_true(lab_view_starts_with(
		ring->world->requests[ring->world->request_count - 1].request.target,
		LAB_VIEW("/cdmi_objectid/")));
	assert_int_equal(ring_delete(ring, path), 0);
	assert_int_equal(scalemu_counters(ring->ring)->objects, 0);
}

static void ids_come_from_the_storage(void **state)
{
	(void)state;
	ring_run(&w, id_after_write);
}

static void a_retry_that_finds_its_own_object_asks_for_the_id(void **state)
{
	(void)state;
	with_fault("cdmi.put", SIM_FAULT_LOSE_REPLY, 0, 1);
	ring_run(&w, id_after_write);
	assert_int_equal(w.fired, 1);
}

static void id_below_a_prefix(struct ring_world *ring)
{
	struct fs_file *file = fs_file_open(ring->fs, LAB_VIEW("m1"), FS_OPEN_READONLY);
	struct lab_view id;

	assert_int_equal(ring_put(ring, "m1", FS_OPEN_REPLACE, "hello"), 0);
	assert_int_equal(
		fs_get_metadata(file, FS_METADATA_OBJECTID, ring->world->arena, &id, &ring->err),
		1);
	fs_file_close(&file);
	assert_true(
		lab_view_eq_cstr(ring_get(ring, lab_arena_cstr(ring->world->arena, id)), "hello"));
}

static void preserve_objectid_prefix_stands_before_ids(void **state)
{
	(void)state;
	w.options.objectid_base = LAB_VIEW("rest/cdmi");
	w.uri = URL "&preserve_objectid_prefix=rest/cdmi";
	ring_run(&w, id_below_a_prefix);
	assert_true(
		lab_view_starts_with(w.world->requests[w.world->request_count - 1].request.target,
			LAB_VIEW("/rest/cdmi/cdmi_objectid/")));
}

static void create_twice(struct ring_world *ring)
{
	struct fs_file *file = fs_file_open(ring->fs, LAB_VIEW("m1"), FS_OPEN_READONLY);
	uint64_t size = 0;

	assert_int_equal(fs_exists(file, &ring->err), 0);
	assert_int_equal(ring_put(ring, "m1", FS_OPEN_CREATE, "hello"), 0);
	assert_int_equal(ring_put(ring, "m1", FS_OPEN_CREATE, "other"), -1);
	assert_int_equal(ring->err.code, LAB_EXISTS);
	assert_int_equal(fs_exists(file, &ring->err), 1);
	assert_int_equal(fs_stat(file, &size, &ring->err), 0);
	assert_int_equal(size, 5);
	fs_file_close(&file);
}

static void create_exists_stat(void **state)
{
	(void)state;
	ring_run(&w, create_twice);
}

/* ---- copies ---- */

static int copy(struct ring_world *ring, const char *from, const char *to, enum fs_open_mode mode,
	const char *metadata)
{
	struct fs_file *source = fs_file_open(ring->fs, lab_view_cstr(from), FS_OPEN_READONLY);
	struct fs_file *target = fs_file_open(ring->fs, lab_view_cstr(to), mode);
	int result;

	if (metadata != NULL)
		fs_set_metadata(target, "saved", lab_view_cstr(metadata));
	result = fs_copy(source, target, &ring->err);
	fs_file_close(&source);
	fs_file_close(&target);
	return result;
}

static void copy_all_ways(struct ring_world *ring)
{
	struct scalemu_object_info info;

	assert_int_equal(ring_put(ring, "a/m1", FS_OPEN_REPLACE, "hello"), 0);
	ring->operation_count = 0;
	/* another name */
	assert_int_equal(copy(ring, "a/m1", "b/c/m2", FS_OPEN_CREATE, NULL), 0);
	assert_int_equal(scalemu_object_find(ring->ring, LAB_VIEW("b/c/m2"), &info), 1);
	assert_int_equal(info.names, 2);
	/* an object of its own: for new metadata, and where there may be one */
	assert_int_equal(copy(ring, "a/m1", "a/m3", FS_OPEN_CREATE, "77"), 0);
	assert_int_equal(scalemu_object_find(ring->ring, LAB_VIEW("a/m3"), &info), 1);
	assert_int_equal(info.names, 1);
	assert_true(lab_view_eq_cstr(scalemu_metadata(&info, "dovecot-saved"), "77"));
	assert_true(lab_view_eq_cstr(scalemu_metadata(&info, "dovecot-guid"), "abc"));
	assert_int_equal(copy(ring, "a/m1", "a/m3", FS_OPEN_REPLACE, NULL), 0);
	assert_true(RING_WAS(ring, "POST-LINK", "CONTAINER", "CONTAINER", "CONTAINER", "POST-LINK",
		"HEAD", "COPY", "COPY"));
	/* the first name goes, the object stays */
	assert_int_equal(ring_delete(ring, "a/m1"), 0);
	assert_true(lab_view_eq_cstr(ring_get(ring, "b/c/m2"), "hello"));
	assert_int_equal(copy(ring, "a/gone", "a/m4", FS_OPEN_CREATE, NULL), -1);
	assert_int_equal(ring->err.code, LAB_NOT_FOUND);
}

static void copies_are_links_or_objects_of_their_own(void **state)
{
	(void)state;
	ring_run(&w, copy_all_ways);
}

static void copy_at(void *ctx, size_t index)
{
	char to[40];

	(void)snprintf(to, sizeof(to), "copies/m%zu", index);
	assert_int_equal(copy(ctx, "m1", to, FS_OPEN_CREATE, NULL), 0);
}

static void copy_many(struct ring_world *ring)
{
	assert_int_equal(ring_put(ring, "m1", FS_OPEN_REPLACE, "hello"), 0);
	env_for_each(&ring->world->env, 10, 10, copy_at, ring);
	assert_int_equal(scalemu_counters(ring->ring)->links, 10);
}

static void copies_at_one_time_share_a_request(void **state)
{
	(void)state;
	ring_run(&w, copy_many);
	/* the first alone, twice because of its container; then all that came meanwhile */
	assert_true(scalemu_counters(w.ring)->bulk_requests <= 4);
	w.uri = URL;
}

static void bulk_link_limit_is_kept(void **state)
{
	(void)state;
	w.uri = URL "&bulk_link_limit=3";
	w.options.bulk_max = 3;
	ring_run(&w, copy_many);
	assert_true(scalemu_counters(w.ring)->bulk_requests >= 4);
}

static void bulk_link_0_copies(void **state)
{
	(void)state;
	w.uri = URL "&bulk_link=0";
	ring_run(&w, save_read_delete);
	assert_int_equal(scalemu_counters(w.ring)->bulk_requests, 0);
}

static void a_link_whose_answer_was_lost_has_worked(void **state)
{
	(void)state;
	with_fault("cdmi.bulk", SIM_FAULT_LOSE_REPLY, 0, 1);
	w.skip = 1;
	ring_run(&w, copy_many);
	assert_int_equal(w.fired, 1);
}

static void some_links_fail_for_now(void **state)
{
	(void)state;
	with_fault("cdmi.bulk", SIM_FAULT_PARTLY, 409, 2);
	w.fault.replicas = 1;
	w.skip = 2;
	ring_run(&w, copy_many);
	assert_true(w.fired > 0);
}

/* ---- bulk delete ---- */

static struct lab_error results[6];

static void delete_five(struct ring_world *ring)
{
	static const char *const names[] = { "d0", "d1", "d2", "d3", "d4", "d0" };
	struct fs_file *files[6];

	for (size_t i = 0; i < 6; i++) {
		if (i < 4)
			assert_int_equal(ring_put(ring, names[i], FS_OPEN_REPLACE, "x"), 0);
		files[i] = fs_file_open(ring->fs, lab_view_cstr(names[i]), FS_OPEN_READONLY);
	}
	ring->result = fs_delete_many(files, 6, results, &ring->err);
	for (size_t i = 0; i < 6; i++)
		fs_file_close(&files[i]);
}

static void each_entry_has_its_own_result(void **state)
{
	(void)state;
	ring_run(&w, delete_five);
	assert_int_equal(w.result, -1);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(results[i].code, LAB_OK);
	assert_int_equal(results[4].code, LAB_NOT_FOUND);
	assert_int_equal(results[5].code, LAB_NOT_FOUND); /* twice the same */
	assert_int_equal(scalemu_counters(w.ring)->bulk_requests, 1);
	assert_int_equal(scalemu_counters(w.ring)->objects, 0);
}

static void the_limit_cuts_it_up(void **state)
{
	(void)state;
	w.uri = URL "&bulk_delete_limit=2";
	w.options.bulk_max = 2;
	ring_run(&w, delete_five);
	assert_int_equal(scalemu_counters(w.ring)->bulk_requests, 3);
	assert_int_equal(scalemu_counters(w.ring)->objects, 0);
}

static void bulk_delete_0_deletes_one_by_one(void **state)
{
	(void)state;
	w.uri = URL "&bulk_delete=0";
	ring_run(&w, delete_five);
	assert_int_equal(scalemu_counters(w.ring)->bulk_requests, 0);
	assert_int_equal(scalemu_counters(w.ring)->objects, 0);
}

static void a_conflict_is_tried_again_entry_by_entry(void **state)
{
	(void)state;
	with_fault("cdmi.bulk", SIM_FAULT_PARTLY, 409, 1);
	w.fault.replicas = 2;
	ring_run(&w, delete_five);
	assert_int_equal(w.fired, 1);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(results[i].code, LAB_OK);
	assert_int_equal(scalemu_counters(w.ring)->bulk_requests, 2);
}

static void what_a_lost_answer_had_deleted_is_deleted(void **state)
{
	(void)state;
	with_fault("cdmi.bulk", SIM_FAULT_LOSE_REPLY, 0, 1);
	ring_run(&w, delete_five);
	assert_int_equal(w.fired, 1);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(results[i].code, LAB_OK);
}

static void what_was_refused_before_is_not_taken_for_deleted(void **state)
{
	(void)state;
	with_fault("cdmi.bulk", SIM_FAULT_FAIL, 409, 1);
	ring_run(&w, delete_five);
	assert_int_equal(w.fired, 1);
	assert_int_equal(results[4].code, LAB_NOT_FOUND);
}

static void lost_answers_make_all_of_them_uncertain(void **state)
{
	(void)state;
	with_fault("cdmi.bulk", SIM_FAULT_LOSE_REPLY, 0, 100);
	ring_run(&w, delete_five);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(results[i].code, LAB_UNCERTAIN);
}

/* ---- outcomes ---- */

static void a_conflict_is_retried(void **state)
{
	(void)state;
	with_fault("cdmi.put", SIM_FAULT_FAIL, 409, 2);
	ring_run(&w, write_one);
	assert_int_equal(w.result, 0);
	assert_int_equal(w.fired, 2);
	assert_int_equal(w.world->request_count, 3);
}

static void a_conflict_that_stays_is_a_certain_failure(void **state)
{
	(void)state;
	with_fault("cdmi.put", SIM_FAULT_FAIL, 409, 100);
	ring_run(&w, write_one);
	assert_int_equal(w.result, -1);
	assert_int_equal(w.err.code, LAB_UNAVAILABLE);
	assert_int_equal(w.err.status, 409);
	assert_int_equal(w.fired, 3);
}

static void silence_is_uncertain(void **state)
{
	(void)state;
	with_fault("cdmi.put", SIM_FAULT_STALL_REPLY, 0, 100);
	ring_run(&w, write_one);
	assert_int_equal(w.result, -1);
	assert_int_equal(w.err.code, LAB_UNCERTAIN);
	assert_int_equal(scalemu_counters(w.ring)->objects, 1);
}

static void write_deep(struct ring_world *ring)
{
	ring->result = ring_put(ring, "x/m1", FS_OPEN_REPLACE, "hello");
}

static void a_container_that_cannot_be_made_leaves_nothing(void **state)
{
	(void)state;
	with_fault("cdmi.put", SIM_FAULT_LOSE_REPLY, 0, 100);
	w.skip = 1;
	ring_run(&w, write_deep);
	assert_int_equal(w.result, -1);
	assert_int_equal(w.err.code, LAB_UNAVAILABLE);
	assert_int_equal(scalemu_counters(w.ring)->objects, 0);
}

static void read_one(struct ring_world *ring)
{
	assert_int_equal(ring_put(ring, "m1", FS_OPEN_REPLACE, "hello"), 0);
	assert_true(lab_view_eq_cstr(ring_get(ring, "m1"), "hello"));
}

static void a_cut_off_answer_is_asked_for_again(void **state)
{
	(void)state;
	with_fault("cdmi.get", SIM_FAULT_CORRUPT, 0, 1);
	ring_run(&w, read_one);
	assert_int_equal(w.fired, 1);
}

/* ---- listings ---- */

static size_t listed;

static void ignore_reply(void *ctx, const struct sim_http_reply *reply)
{
	(void)ctx;
	assert_int_equal(reply->response.status, 201);
}

/* Not through the driver: 2,100 of them. */
static void put_behind_its_back(struct ring_world *ring, unsigned number)
{
	struct sim_http_service service = scalemu_service(ring->ring);
	struct sim_peer peer = { .name = LAB_VIEW("tester") };
	struct lab_http_request request = { .method = LAB_VIEW("PUT"),
		.body = LAB_VIEW("{\"value\":\"\",\"valuetransferencoding\":\"base64\"}") };
	char target[40];

	(void)snprintf(target, sizeof(target), "/mails/box/%04u", number);
	request.target = lab_view_cstr(target);
	lab_http_header_add(&request.headers, LAB_VIEW("X-Dovecot-Hash"), LAB_VIEW("b5/899"));
	lab_http_header_add(
		&request.headers, LAB_VIEW("X-CDMI-Specification-Version"), LAB_VIEW("1.1"));
	lab_http_header_add(
		&request.headers, LAB_VIEW("Content-Type"), LAB_VIEW("application/cdmi-object"));
	service.ops->submit(service.service, &request, &peer, 0, ignore_reply, NULL);
}

static void list_many(struct ring_world *ring)
{
	struct lab_view *names;

	assert_int_equal(ring_put(ring, "box/0000", FS_OPEN_REPLACE, "x"), 0);
	for (unsigned i = 1; i < 2100; i++)
		put_behind_its_back(ring, i);
	assert_int_equal(ring_put(ring, "box/sub/m", FS_OPEN_REPLACE, "x"), 0);
	assert_int_equal(fs_iter(ring->fs, LAB_VIEW("box"), FS_ITER_OBJECTIDS, 5000,
				 ring->world->arena, &names, &listed, &ring->err),
		0);
	assert_int_equal(listed, 2100);
	assert_true(lab_view_ends_with(names[2099], LAB_VIEW("/2099")));
	ring->result = (int)names[0].len;
	assert_int_equal(fs_iter(ring->fs, LAB_VIEW("box/"), FS_ITER_DIRS, 5000, ring->world->arena,
				 &names, &listed, &ring->err),
		0);
	assert_int_equal(listed, 1);
	assert_true(lab_view_eq_cstr(names[0], "sub"));
	assert_int_equal(fs_iter(ring->fs, LAB_VIEW("nothing"), 0, 5000, ring->world->arena, &names,
				 &listed, &ring->err),
		0);
	assert_int_equal(listed, 0);
	assert_int_equal(fs_iter(ring->fs, LAB_VIEW("box"), 0, 10, ring->world->arena, &names,
				 &listed, &ring->err),
		-1);
	assert_int_equal(ring->err.code, LAB_LIMIT);
}

static void readdir_goes_by_number(void **state)
{
	(void)state;
	ring_run(&w, list_many);
	assert_int_equal(w.result, 5); /* "/0000": ids are not known */
	assert_int_equal(fs_get_properties(w.fs) & FS_PROPERTY_RELIABLEITER, 0);
}

static void listing_goes_by_name_and_has_ids(void **state)
{
	(void)state;
	w.uri = URL "&use_listing";
	ring_run(&w, list_many);
	assert_int_equal(w.result, 53);
	assert_int_not_equal(fs_get_properties(w.fs) & FS_PROPERTY_RELIABLEITER, 0);
}

#define ring_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ring_test(missing_containers_are_made),
		ring_test(the_header_of_the_balancer_is_on_every_request),
		ring_test(without_it_the_emulator_refuses),
		ring_test(ids_come_from_the_storage),
		ring_test(a_retry_that_finds_its_own_object_asks_for_the_id),
		ring_test(preserve_objectid_prefix_stands_before_ids),
		ring_test(create_exists_stat),
		ring_test(copies_are_links_or_objects_of_their_own),
		ring_test(copies_at_one_time_share_a_request),
		ring_test(bulk_link_limit_is_kept),
		ring_test(bulk_link_0_copies),
		ring_test(a_link_whose_answer_was_lost_has_worked),
		ring_test(some_links_fail_for_now),
		ring_test(each_entry_has_its_own_result),
		ring_test(the_limit_cuts_it_up),
		ring_test(bulk_delete_0_deletes_one_by_one),
		ring_test(a_conflict_is_tried_again_entry_by_entry),
		ring_test(what_a_lost_answer_had_deleted_is_deleted),
		ring_test(what_was_refused_before_is_not_taken_for_deleted),
		ring_test(lost_answers_make_all_of_them_uncertain),
		ring_test(a_conflict_is_retried),
		ring_test(a_conflict_that_stays_is_a_certain_failure),
		ring_test(silence_is_uncertain),
		ring_test(a_container_that_cannot_be_made_leaves_nothing),
		ring_test(a_cut_off_answer_is_asked_for_again),
		ring_test(readdir_goes_by_number),
		ring_test(listing_goes_by_name_and_has_ids),
	};

	return cmocka_run_group_tests_name("fs-scality", tests, NULL, NULL);
}

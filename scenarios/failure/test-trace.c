/* SPDX-License-Identifier: Apache-2.0
 *
 * A trace, read back: it is JSON, its slices nest, and what the run knows is in it.
 */
#include "scenarios/format/testing-scenario.h"
#include "scenarios/failure/trace.h"

#include <jansson.h>
#include <stdlib.h>

#define TRACE_MAX ((size_t)1 << 28)

static int append(void *ctx, struct lab_view line, struct lab_error *err)
{
	(void)err;
	lab_buf_append_view(ctx, line);
	return 0;
}

struct written {
	struct lab_buf text;
	struct trace *trace;
	struct run_options run;
};

static void begin(struct written *w)
{
	*w = (struct written){ .trace = NULL };
	lab_buf_init(&w->text, testing_heap, TRACE_MAX);
	w->trace = trace_new(testing_heap, append, &w->text);
	trace_attach(w->trace, &w->run);
}

static json_t *finish(struct written *w)
{
	struct lab_error err;
	json_error_t error;
	json_t *root;

	assert_int_equal(trace_finish(w->trace, &err), 0);
	trace_free(&w->trace);
	assert_false(w->text.overflow);
	root = json_loadb((const char *)w->text.data, w->text.len, 0, &error);
	if (root == NULL)
		fail_msg("line %d: %s", error.line, error.text);
	assert_true(json_is_array(root));
	return root;
}

/* ---- reading ---- */

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text == NULL ? "" : text;
}

static bool is(const json_t *event, const char *phase, const char *category)
{
	return strcmp(text_of(event, "ph"), phase) == 0 &&
	       strcmp(text_of(event, "cat"), category) == 0;
}

static size_t count(const json_t *root, const char *phase, const char *category)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(root); i++)
		n += is(json_array_get(root, i), phase, category);
	return n;
}

static const json_t *find(const json_t *root, const char *phase, const char *name)
{
	for (size_t i = 0; i < json_array_size(root); i++) {
		const json_t *event = json_array_get(root, i);

		if (strcmp(text_of(event, "ph"), phase) == 0 &&
			strcmp(text_of(event, "name"), name) == 0)
			return event;
	}
	return NULL;
}

/* An end of a slice, to be sorted as a viewer does it. */
struct edge {
	const char *track, *name;
	long long pid;
	double ts;
	size_t index;
	bool is_begin;
};

static int compare(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;
	int result = strcmp(x->track, y->track);

	if (result == 0 && x->pid != y->pid)
		result = x->pid < y->pid ? -1 : 1;
	if (result == 0 && (x->ts < y->ts || y->ts < x->ts))
		result = x->ts < y->ts ? -1 : 1;
	return result != 0 ? result : x->index < y->index ? -1 : 1;
}

static bool is_other_track(const struct edge *a, const struct edge *b)
{
	return strcmp(a->track, b->track) != 0 || a->pid != b->pid;
}

/* "http_request PUT" ends as "http_request PUT", a phase as a phase. */
static void check_nesting(const struct edge *edges, size_t n, size_t *ret_depth)
{
	const struct edge *open[64];
	size_t depth = 0;

	*ret_depth = 0;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && is_other_track(&edges[i - 1], &edges[i]) && depth > 0)
			fail_msg("%s: %s does not end", open[depth - 1]->track,
				open[depth - 1]->name);
		if (edges[i].is_begin) {
			assert_true(depth < LAB_COUNT_OF(open));
			open[depth++] = &edges[i];
			*ret_depth = LAB_MAX(*ret_depth, depth);
			continue;
		}
		if (depth == 0 || strcmp(open[depth - 1]->name, edges[i].name) != 0)
			fail_msg("%s: %s ends at %.3f in %s", edges[i].track, edges[i].name,
				edges[i].ts, depth == 0 ? "nothing" : open[depth - 1]->name);
		depth--;
	}
	assert_int_equal(depth, 0);
}

/* How deep they are. */
static size_t slices_nest(const json_t *root)
{
	struct edge *edges = calloc(json_array_size(root) + 1, sizeof(*edges));
	size_t n = 0, depth;

	assert_non_null(edges);
	for (size_t i = 0; i < json_array_size(root); i++) {
		const json_t *e = json_array_get(root, i);
		bool is_begin = strcmp(text_of(e, "ph"), "b") == 0;

		if (!is_begin && strcmp(text_of(e, "ph"), "e") != 0)
			continue;
		assert_true(json_number_value(json_object_get(e, "ts")) >= 0);
		edges[n++] = (struct edge){ text_of(e, "id"), text_of(e, "name"),
			json_integer_value(json_object_get(e, "pid")),
			json_number_value(json_object_get(e, "ts")), i, is_begin };
	}
	qsort(edges, n, sizeof(*edges), compare);
	check_nesting(edges, n, &depth);
	free(edges);
	return depth;
}

/* ---- a whole run ---- */

static struct run_result *run_of(struct written *w, const char *path, uint64_t seed)
{
	struct testing_loader *l = lab_new(testing_heap, struct testing_loader);
	struct run_result *result = lab_new(testing_heap, struct run_result);
	struct lab_error err;

	testing_loader_init(l);
	testing_load_ok(l, lab_arena_cstr(l->arena, testing_disk_file(path, l->arena)));
	w->run.scenario = l->scenario;
	w->run.seed = seed;
	w->run.pool = lab_pool_new((size_t)4 << 30);
	w->run.fibers = lab_fiber_pool_new(65536, 16384, NULL);
	if (run_simulated(&w->run, result, &err) < 0)
		fail_msg("%s", err.message);
	lab_fiber_pool_free(&w->run.fibers);
	lab_pool_free(&w->run.pool);
	return result;
}

static uint64_t operations_of(const struct run_result *r)
{
	uint64_t sum = 0;

	for (unsigned k = 0; k < HISTORY_KIND_COUNT; k++) {
		for (unsigned o = 0; o <= HISTORY_UNCERTAIN; o++)
			sum += r->operations[k][o];
	}
	return sum;
}

static size_t operations_in(const json_t *root)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(root); i++) {
		const json_t *event = json_array_get(root, i);

		n += strcmp(text_of(event, "ph"), "b") == 0 &&
		     json_object_get(json_object_get(event, "args"), "operation") != NULL;
	}
	return n;
}

static uint64_t faults_of(const struct run_result *r)
{
	uint64_t sum = 0;

	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++)
		sum += r->faults[k];
	return sum;
}

static void a_run_is_in_it_whole(void **state)
{
	struct written w;
	struct run_result *plain, *r;
	json_t *root;

	(void)state;
	/* It finds what it finds, whoever listens. */
	w = (struct written){ .trace = NULL };
	w.run.defects = LAB_DEFECT(ACK_BEFORE_PUT);
	plain = run_of(&w, "scenarios/001-standard-storm.scn", 1);
	begin(&w);
	w.run.defects = LAB_DEFECT(ACK_BEFORE_PUT);
	r = run_of(&w, "scenarios/001-standard-storm.scn", 1);
	root = finish(&w);
	assert_int_equal(r->trace_hash, plain->trace_hash);
	assert_int_equal(r->verdict, RUN_FAIL);
	assert_true(r->s3_requests > 100 && r->cql_requests > 100 && r->imds_requests > 0);
	assert_int_equal(count(root, "b", "s3"), r->s3_requests);
	assert_int_equal(count(root, "b", "cql"), r->cql_requests);
	assert_int_equal(count(root, "b", "imds"), r->imds_requests);
	assert_int_equal(operations_in(root), operations_of(r));
	assert_true(faults_of(r) > 0);
	assert_int_equal(count(root, "i", "fault"), faults_of(r) + r->crashes);
	assert_int_equal(count(root, "i", "finding"), r->findings + r->excused);
	assert_true(count(root, "b", "episode") > 0);
	assert_true(count(root, "b", "phase") >= 6);
	assert_true(slices_nest(root) >= 3);
	assert_non_null(find(root, "b", "http_request PUT"));
	assert_non_null(find(root, "b", "storm"));
	json_decref(root);
}

static void crashes_leave_nothing_open(void **state)
{
	struct written w;
	struct run_result *r;
	json_t *root;

	(void)state;
	begin(&w);
	r = run_of(&w, "scenarios/045-folders-crash.scn", 2);
	root = finish(&w);
	assert_true(r->crashes > 0);
	assert_true(slices_nest(root) >= 3);
	json_decref(root);
}

static void a_run_that_is_stopped_gives_a_whole_file(void **state)
{
	struct written w;
	struct run_result *r;
	json_t *root;

	(void)state;
	begin(&w);
	w.run.until_event = 2000;
	r = run_of(&w, "scenarios/001-standard-storm.scn", 3);
	root = finish(&w);
	assert_true(r->events >= 2000);
	assert_true(count(root, "b", "fiber") > 50);
	(void)slices_nest(root);
	json_decref(root);
}

/* ---- events of all sorts ---- */

static void tell(struct written *w, enum lab_event_id id, uint64_t fiber, uint64_t time_ns,
	struct lab_field field)
{
	static uint64_t sequence;
	const struct lab_event event = { .id = id,
		.time_ns = time_ns,
		.host = fiber == 0 ? 0 : 7,
		.fiber = fiber,
		.sequence = ++sequence,
		.fields = &field,
		.field_count = 1 };

	w->run.on_event(w->run.on_event_ctx, &event, fiber == 0 ? NULL : "b\"7\\");
}

static struct lab_field took(uint64_t us)
{
	return LAB_F_U64("duration", us);
}

static void names_and_texts_are_escaped(void **state)
{
	static const char text[] = "a \"b\" \\ \n\x01 </script> \xff";
	struct written w;
	const json_t *event;
	json_t *root;

	(void)state;
	begin(&w);
	tell(&w, LAB_EV_phase_started, 0, 1, LAB_F_CSTR("phase", "p\"\n"));
	tell(&w, LAB_EV_log_message, 5, 2000, LAB_F_TEXT("m\"", lab_view_cstr(text)));
	root = finish(&w);
	assert_string_equal(text_of(find(root, "b", "p\"\n"), "cat"), "phase");
	event = find(root, "i", "log_message");
	assert_string_equal(text_of(json_object_get(event, "args"), "m\""),
		"a \"b\" \\ \n\x01 </script> \xef\xbf\xbd");
	assert_int_equal(json_integer_value(json_object_get(event, "pid")), 1007);
	assert_true(json_number_value(json_object_get(event, "ts")) == 2.0);
	json_decref(root);
}

static const json_t *slice(const json_t *root, const char *name, const char *category)
{
	const json_t *event = find(root, "b", name);

	if (event == NULL || strcmp(text_of(event, "cat"), category) != 0)
		fail_msg("no slice %s in %s", name, category);
	return event;
}

static void what_does_not_nest_has_a_track_of_its_own(void **state)
{
	struct written w;
	json_t *root;
	double inner, outer;

	(void)state;
	begin(&w);
	/* All three begin at 1 ms, the outer one was rounded to end later. */
	tell(&w, LAB_EV_cassandra_query_finished, 5, 3 * LAB_MSEC, took(2000));
	tell(&w, LAB_EV_dict_lookup_finished, 5, 3 * LAB_MSEC, took(2000));
	tell(&w, LAB_EV_fs_auth_request_finished, 5, 3 * LAB_MSEC + 500, took(2000));
	/* Half of it lies in the ones before. */
	tell(&w, LAB_EV_dict_iteration_finished, 5, 4 * LAB_MSEC, took(2000));
	/* Begun before what is going on. */
	tell(&w, LAB_EV_metacache_user_refresh_started, 5, 5 * LAB_MSEC, took(0));
	tell(&w, LAB_EV_http_request_finished, 5, 6 * LAB_MSEC, took(1500));
	tell(&w, LAB_EV_dict_transaction_finished, 5, 7 * LAB_MSEC, took(2000));
	tell(&w, LAB_EV_obox_index_merge_started, 5, 7 * LAB_MSEC, took(0));
	tell(&w, LAB_EV_metacache_user_refresh_finished, 5, 8 * LAB_MSEC, LAB_F_U64("n", 1));
	root = finish(&w);
	assert_int_equal(slices_nest(root), 3);
	inner = json_number_value(json_object_get(slice(root, "cassandra_query", "fiber"), "ts"));
	outer = json_number_value(json_object_get(slice(root, "dict_lookup", "fiber"), "ts"));
	assert_true(outer < inner && inner - outer < 0.1);
	(void)slice(root, "dict_iteration", "request");
	(void)slice(root, "http_request", "request");
	(void)slice(root, "dict_transaction", "fiber");
	(void)slice(root, "obox_index_merge", "fiber");
	json_decref(root);
}

static void what_a_crash_ends_says_so(void **state)
{
	struct written w;
	size_t cut = 0;
	json_t *root;

	(void)state;
	begin(&w);
	tell(&w, LAB_EV_metacache_user_refresh_started, 5, LAB_MSEC, took(0));
	tell(&w, LAB_EV_obox_index_merge_started, 5, 2 * LAB_MSEC, took(0));
	tell(&w, LAB_EV_host_crashed, 6, 3 * LAB_MSEC, LAB_F_CSTR("reason", "test"));
	tell(&w, LAB_EV_metacache_user_refresh_finished, 5, 4 * LAB_MSEC, LAB_F_U64("n", 1));
	root = finish(&w);
	assert_int_equal(slices_nest(root), 2);
	for (size_t i = 0; i < json_array_size(root); i++) {
		const json_t *event = json_array_get(root, i);

		if (strcmp(text_of(json_object_get(event, "args"), "outcome"),
			    "the host crashed") != 0)
			continue;
		cut++;
		assert_true(json_number_value(json_object_get(event, "ts")) == 3000.0);
	}
	assert_int_equal(cut, 2);
	/* It was begun before the crash: by another incarnation. */
	assert_non_null(find(root, "i", "metacache_user_refresh_finished"));
	json_decref(root);
}

static void memory_is_bounded(void **state)
{
	struct written w;
	json_t *root;
	size_t used;

	(void)state;
	begin(&w);
	used = lab_heap_used(testing_heap) - w.text.capacity;
	/* More neighbours than a fiber is known for, and one around the last of them. */
	for (uint64_t i = 1; i <= 100; i++)
		tell(&w, LAB_EV_cassandra_query_finished, 5, i * LAB_MSEC, took(500));
	tell(&w, LAB_EV_dict_lookup_finished, 5, 101 * LAB_MSEC, took(100000));
	/* A depth that no fiber has. */
	for (uint64_t i = 0; i < 100; i++)
		tell(&w, LAB_EV_metacache_user_refresh_started, 6, 200 * LAB_MSEC + i, took(0));
	/* More fibers than there is room for, each with something begun. */
	for (uint64_t i = 1; i <= 3 * TRACE_FIBERS; i++)
		tell(&w, LAB_EV_obox_mailbox_rescan_started, i, 300 * LAB_MSEC + i, took(0));
	w.run.on_end = NULL;
	tell(&w, LAB_EV_host_crashed, 1, LAB_SEC, LAB_F_CSTR("reason", "test"));
	assert_true(lab_heap_used(testing_heap) - w.text.capacity <= used + 100000);
	root = finish(&w);
	assert_true(slices_nest(root) <= 33);
	assert_int_equal(count(root, "b", "fiber"), count(root, "e", "fiber"));
	json_decref(root);
}

static int refuse(void *ctx, struct lab_view line, struct lab_error *err)
{
	unsigned *lines = ctx;

	(void)line;
	return --*lines == 0 ? lab_fail(err, LAB_IO, "the disk is full") : 0;
}

static void a_full_disk_is_told(void **state)
{
	unsigned lines = 6;
	struct written w = { .trace = NULL };
	struct lab_error err;

	(void)state;
	w.trace = trace_new(testing_heap, refuse, &lines);
	trace_attach(w.trace, &w.run);
	for (uint64_t i = 1; i < 10; i++)
		tell(&w, LAB_EV_cassandra_query_finished, 5, i * LAB_MSEC, took(500));
	assert_int_equal(trace_finish(w.trace, &err), -1);
	assert_string_equal(err.message, "the disk is full");
	assert_int_equal(lines, 0);
	trace_free(&w.trace);
	trace_free(&w.trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(a_run_is_in_it_whole),
		testing_test(crashes_leave_nothing_open),
		testing_test(a_run_that_is_stopped_gives_a_whole_file),
		testing_test(names_and_texts_are_escaped),
		testing_test(what_does_not_nest_has_a_track_of_its_own),
		testing_test(what_a_crash_ends_says_so),
		testing_test(memory_is_bounded),
		testing_test(a_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Rates by key range, and the service's own latency.
 */
#include <stdlib.h> /* qsort */

#include "sim/s3-emulator/testing-s3.h"

static void start_unsigned(void)
{
	t.options.verify_signatures = false;
	t.options.hash_bodies = false;
	t.sign = T_UNSIGNED;
	t_start();
}

static void partition(unsigned hex_layers, const char *hex_prefix)
{
	struct s3emu_partitions partitions = { .hex_layers = hex_layers,
		.hex_prefix = lab_view_cstr(hex_prefix) };
	struct lab_error err;

	assert_int_equal(
		s3emu_bucket_partition(t.s3, LAB_VIEW(T_BUCKET), &partitions, NULL, &err), 0);
}

/* Offers `per_ms` requests each millisecond; how many were not refused. */
static size_t offer(const char *method, const char *target, size_t per_ms, size_t ms)
{
	size_t i, j, admitted = 0;

	for (i = 0; i < ms; i++) {
		t_advance(LAB_MSEC);
		for (j = 0; j < per_ms; j++) {
			(void)t_send(method, target, lab_view_of(NULL, 0));
			admitted += t.reply.response.status != 503;
		}
		lab_arena_reset(t.arena);
	}
	return admitted;
}

/* s3 2.1: 3,500 writes and 5,500 reads a second, within 1 % once the full bucket is used up. */
static void a_partition_carries_the_published_rates(void **state)
{
	size_t burst;
	(void)state;

	start_unsigned();
	burst = offer("PUT", "/mail/k", 8, 1000);
	assert_in_range(burst, 6900, 7001);
	assert_in_range(offer("PUT", "/mail/k", 8, 2000), 6999, 7001);
	burst = offer("GET", "/mail/k", 12, 1000);
	assert_in_range(burst, 10900, 11001);
	assert_in_range(offer("HEAD", "/mail/k", 12, 2000), 10999, 11001);
	assert_true(s3emu_counters(t.s3)->throttled > 0);
	/* Writes and reads have budgets of their own. */
	t_advance(LAB_SEC);
	assert_in_range(offer("DELETE", "/mail/k", 8, 1), 8, 8);
}

static void refusal_is_slow_down_and_changes_nothing(void **state)
{
	size_t i;
	(void)state;

	t.options.rates.writes_per_s = 2;
	t_start();
	assert_int_equal(t_put("/mail/1", "x"), 200);
	assert_int_equal(t_put("/mail/2", "x"), 200);
	assert_code(t_put("/mail/3", "x"), 503, "SlowDown");
	assert_int_equal(t.reply.wire, SIM_WIRE_ANSWER_CLOSE);
	assert_int_equal(t.reply.response.headers.count, 7);
	assert_false(t_stored("3"));
	assert_false(t_logged()->applied);
	assert_int_equal(t_logged()->status, 503);
	assert_string_equal(t_logged()->operation, "PUT");
	t_header("x-amz-copy-source", "/mail/1");
	assert_code(t_put("/mail/3", ""), 503, "SlowDown");
	assert_code(t_delete("/mail/1"), 503, "SlowDown");
	assert_int_equal(t_get("/mail/1"), 200);
	assert_int_equal(s3emu_counters(t.s3)->throttled, 3);
	t_advance(LAB_SEC / 2);
	assert_int_equal(t_put("/mail/3", "x"), 200);
	assert_code(t_put("/mail/4", "x"), 503, "SlowDown");
	/* Never more than the burst, however long it was quiet. */
	t_advance(3600 * LAB_SEC);
	for (i = 0; i < 2; i++)
		assert_int_equal(t_put("/mail/4", "x"), 200);
	assert_code(t_put("/mail/4", "x"), 503, "SlowDown");
}

static void a_rate_of_zero_does_not_limit(void **state)
{
	(void)state;

	t.options.rates.writes_per_s = 0;
	start_unsigned();
	assert_int_equal(offer("PUT", "/mail/k", 100, 100), 10000);
}

static void hex_presets_multiply_the_rates(void **state)
{
	static const struct {
		unsigned layers;
		size_t partitions;
	} rows[] = { { 0, 1 }, { 1, 16 }, { 2, 256 } };
	size_t i, j, k, admitted;
	(void)state;

	t.options.rates.writes_per_s = 10;
	start_unsigned();
	for (i = 0; i < LAB_COUNT_OF(rows); i++) {
		partition(rows[i].layers, "m/");
		admitted = 0;
		for (j = 0; j < 256; j++) {
			for (k = 0; k < 11; k++) {
				const char *target =
					lab_arena_printf(t.arena, "/mail/m/%02zxabc%zu", j, k);

				admitted += t_put(target, "") == 200;
			}
			lab_arena_reset(t.arena);
		}
		assert_int_equal(admitted, 10 * rows[i].partitions);
	}
	/* What is not hex falls into the first or the last range. */
	partition(1, "");
	for (i = 0; i < 10; i++) {
		assert_int_equal(t_put("/mail/-", ""), 200);
		assert_int_equal(t_put("/mail/zzz", ""), 200);
	}
	assert_int_equal(t_put("/mail/0", ""), 503);
	assert_int_equal(t_put("/mail/f", ""), 503);
	assert_int_equal(t_put("/mail/1", ""), 200);
}

static void start_keys_cut_anywhere(void **state)
{
	const struct lab_view starts[] = { LAB_VIEW("user/m"), LAB_VIEW("user/mx") };
	struct s3emu_partitions partitions = { .starts = starts, .start_count = 2 };
	struct s3emu_rates rates;
	struct lab_error err;
	(void)state;

	start_unsigned();
	rates = t.options.rates;
	rates.writes_per_s = 1;
	assert_int_equal(
		s3emu_bucket_partition(t.s3, LAB_VIEW(T_BUCKET), &partitions, &rates, &err), 0);
	assert_int_equal(t_put("/mail/user/lzzz", ""), 200);
	assert_int_equal(t_put("/mail/a", ""), 503);
	assert_int_equal(t_put("/mail/user/m", ""), 200);
	assert_int_equal(t_put("/mail/user/mwz", ""), 503);
	assert_int_equal(t_put("/mail/user/mx", ""), 200);
	assert_int_equal(t_put("/mail/z", ""), 503);
}

static void a_shared_budget_is_used_by_both(void **state)
{
	size_t reads, writes;
	(void)state;

	t.options.rates.shared_budget = true;
	start_unsigned();
	(void)offer("PUT", "/mail/k", 8, 1000);
	writes = offer("PUT", "/mail/k", 8, 1000);
	assert_in_range(writes, 3499, 3501);
	reads = offer("GET", "/mail/k", 12, 1000);
	assert_in_range(reads, 5499, 5501);
}

static void listing_is_a_read_or_a_write(void **state)
{
	size_t i;
	(void)state;

	t.options.rates.reads_per_s = 1;
	start_unsigned();
	assert_int_equal(t_get("/mail?prefix=a"), 200);
	assert_int_equal(t_get("/mail?prefix=a"), 503);
	t.options.rates.list_is_write = true;
	start_unsigned();
	for (i = 0; i < 3500; i++)
		assert_int_equal(t_get("/mail"), 200);
	assert_int_equal(t_get("/mail"), 503);
	assert_int_equal(t_put("/mail/k", ""), 503);
	assert_int_equal(t_get("/mail/k"), 404);
}

static const char *delete_of(const char *format, size_t first, size_t count)
{
	struct lab_buf body;
	const char *text;
	size_t i;

	lab_buf_init(&body, testing_heap, 200000);
	lab_buf_append_cstr(&body, "<Delete>");
	for (i = first; i < first + count; i++)
		lab_buf_printf(&body, "<Object><Key>%s%zu</Key></Object>", format, i);
	lab_buf_append_cstr(&body, "</Delete>");
	text = lab_arena_cstr(t.arena, lab_buf_view(&body));
	lab_buf_done(&body);
	return text;
}

static unsigned post(const char *body)
{
	t_content_md5(lab_view_cstr(body));
	return t_send("POST", "/mail?delete", lab_view_cstr(body));
}

/* s3 2.1: 1,000 keys are 1,000 writes. */
static void a_bulk_delete_costs_a_write_for_each_key(void **state)
{
	size_t i;
	(void)state;

	start_unsigned();
	for (i = 0; i < 3; i++)
		assert_int_equal(post(delete_of("k", 0, 1000)), 200);
	assert_code(post(delete_of("k", 0, 1000)), 503, "SlowDown");
	assert_false(t_logged()->applied);
	assert_int_equal(t_logged()->key_count, 0);
	assert_int_equal(post(delete_of("k", 0, 500)), 200); /* the refused one cost nothing */
	assert_int_equal(t_put("/mail/k", ""), 503);
	t_advance(LAB_SEC);
	assert_int_equal(post(delete_of("k", 0, 1000)), 200);
}

static void its_keys_are_charged_to_their_own_partitions(void **state)
{
	static const char mixed[] = "<Delete><Object><Key>a1</Key></Object><Object><Key>b1</Key>"
				    "</Object><Object><Key>a2</Key></Object></Delete>";
	(void)state;

	t.options.rates.writes_per_s = 4;
	start_unsigned();
	partition(1, "");
	assert_int_equal(post(mixed), 200);
	assert_int_equal(t_put("/mail/a3", ""), 200);
	assert_code(post(mixed), 503, "SlowDown"); /* 1 left in a, 3 in b */
	assert_int_equal(t_put("/mail/a3", ""), 200);
	assert_int_equal(t_put("/mail/a3", ""), 503);
	assert_int_equal(t_put("/mail/b3", ""), 200);
	assert_int_equal(t_put("/mail/b3", ""), 200);
	assert_int_equal(t_put("/mail/b3", ""), 200);
	assert_int_equal(t_put("/mail/b3", ""), 503);
}

static void or_only_the_keys_of_the_busy_partition_fail(void **state)
{
	(void)state;

	t.options.rates.writes_per_s = 2;
	t.options.rates.bulk_per_key = true;
	start_unsigned();
	partition(1, "");
	assert_int_equal(t_put("/mail/a1", ""), 200);
	assert_int_equal(t_put("/mail/b1", ""), 200);
	assert_int_equal(post("<Delete><Object><Key>a1</Key></Object><Object><Key>b1</Key></Object>"
			      "<Object><Key>a2</Key></Object></Delete>"),
		200);
	assert_true(t_body_has("<Error><Key>a1</Key><Code>SlowDown</Code>"));
	assert_true(t_body_has("<Deleted><Key>b1</Key></Deleted>"));
	assert_true(t_body_has("<Error><Key>a2</Key><Code>SlowDown</Code>"));
	assert_true(t_stored("a1"));
	assert_false(t_stored("b1"));
	assert_int_equal(s3emu_counters(t.s3)->throttled, 2);
}

static void more_keys_than_a_full_bucket_take_all_of_it(void **state)
{
	(void)state;

	t.options.rates.writes_per_s = 100;
	start_unsigned();
	assert_int_equal(post(delete_of("k", 0, 1000)), 200);
	assert_int_equal(t_put("/mail/k", ""), 503);
}

/* ---- latency ---- */

static void answers_take_their_time(void **state)
{
	(void)state;

	t.options.latency[S3EMU_PUT].low_ns = t.options.latency[S3EMU_PUT].high_ns = 20 * LAB_MSEC;
	t_start();
	assert_int_equal(t_put("/mail/k", "x"), 0);
	/* It takes effect when it comes; only the answer takes time. */
	assert_true(t_stored("k"));
	assert_int_equal(t.log_count, 1);
	assert_true(t_logged()->answered_ns > 0);
	assert_true(t.service.ops->next_deadline(t.service.service) == t_logged()->answered_ns);
	t_advance(t_logged()->answered_ns - 1);
	assert_int_equal(t.replies, 0);
	t_advance(1);
	assert_int_equal(t.replies, 1);
	assert_int_equal(t.reply.response.status, 200);
	assert_int_equal(t_get("/mail/k"), 200);
}

static void answers_that_wait_keep_what_they_say(void **state)
{
	(void)state;

	assert_int_equal(t_put("/mail/k", "old body"), 200);
	s3emu_free(&t.s3);
	t.options.latency[S3EMU_GET].low_ns = t.options.latency[S3EMU_GET].high_ns = LAB_SEC;
	t.options.latency[S3EMU_LIST] = t.options.latency[S3EMU_GET];
	t_start();
	assert_int_equal(t_put("/mail/k", "old body"), 200);
	assert_int_equal(t_get("/mail/k"), 0);
	assert_int_equal(t_put("/mail/k", "new"), 200);
	assert_int_equal(t_delete("/mail/k"), 204);
	t_advance(20 * LAB_SEC);
	assert_int_equal(t.reply.response.status, 200);
	assert_true(t_body_is("old body"));
	assert_int_equal(t_get("/mail"), 0);
	assert_int_equal(t_put("/mail/k", "new"), 200);
	t_advance(20 * LAB_SEC);
	assert_string_equal(t_xml("IsTruncated"), "false");
	assert_false(t_body_has("<Key>"));
}

struct timed {
	uint64_t at[2000];
	size_t count;
};

static void note_time(void *ctx, const struct sim_http_reply *reply)
{
	struct timed *timed = ctx;

	(void)reply;
	timed->at[timed->count++] = t.now;
}

static void latency_is_drawn_by_client_and_ordinal(void **state)
{
	struct timed one = { .count = 0 }, two = { .count = 0 };
	struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.authority = LAB_VIEW(T_HOST),
		.target = LAB_VIEW("/mail/k") };
	struct sim_peer a = { .name = LAB_VIEW("a") }, b = { .name = LAB_VIEW("b") };
	size_t i;
	(void)state;

	s3emu_options_typical_latency(&t.options);
	start_unsigned();
	for (i = 0; i < 50; i++) {
		t.service.ops->submit(t.service.service, &request, &a, t.now, note_time, &one);
		while (one.count <= i)
			t_advance(t.service.ops->next_deadline(t.service.service) - t.now);
	}
	/* The same again with another client in between: the first one's times do not change. */
	t.now = 0;
	start_unsigned();
	for (i = 0; i < 50; i++) {
		struct timed other = { .count = 0 };

		t.service.ops->submit(t.service.service, &request, &a, t.now, note_time, &two);
		t.service.ops->submit(t.service.service, &request, &b, t.now, note_time, &other);
		while (two.count <= i)
			t_advance(t.service.ops->next_deadline(t.service.service) - t.now);
		assert_true(one.at[i] == two.at[i]);
		{
			uint64_t now = t.now;

			while (other.count == 0)
				t_advance(t.service.ops->next_deadline(t.service.service) - t.now);
			t.now = now;
		}
	}
}

static int compare_u64(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static void latency_has_its_quantiles_and_its_tail(void **state)
{
	struct timed timed = { .count = 0 };
	size_t i, above = 0;
	(void)state;

	t.options.latency[S3EMU_GET] =
		(struct s3emu_latency){ .low_ns = 10 * LAB_MSEC, .high_ns = 60 * LAB_MSEC };
	start_unsigned();
	for (i = 0; i < 2000; i++)
		(void)t_get("/mail/k");
	assert_int_equal(s3emu_counters(t.s3)->pending, 2000);
	for (i = 0; i < 2000; i++) {
		t_advance(t.service.ops->next_deadline(t.service.service) - t.now);
		timed.at[i] = t.now;
	}
	qsort(timed.at, 2000, sizeof(timed.at[0]), compare_u64);
	assert_in_range(timed.at[100], 9 * LAB_MSEC, 11 * LAB_MSEC);
	assert_in_range(timed.at[1900], 54 * LAB_MSEC, 66 * LAB_MSEC);
	t.now = 0;
	t.options.latency[S3EMU_GET] = (struct s3emu_latency){
		.tail_ppm = 100000, .tail_low_ns = LAB_SEC, .tail_high_ns = 2 * LAB_SEC
	};
	start_unsigned();
	for (i = 0; i < 2000; i++)
		above += t_get("/mail/k") == 0;
	assert_in_range(above, 150, 250);
	assert_in_range(t.service.ops->next_deadline(t.service.service), LAB_SEC, 2 * LAB_SEC);
}

/* When the answers of n GETs come, in the order of the requests. */
static void answer_times(size_t n, uint64_t *times)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t start = t.now;

		if (t_get("/mail/k") == 0)
			t_advance(t.service.ops->next_deadline(t.service.service) - t.now);
		times[i] = t.now - start;
	}
}

static void latency_may_be_a_table_of_quantiles(void **state)
{
	static const struct s3emu_quantile table[] = { { 100000, 10 * LAB_MSEC },
		{ 500000, 20 * LAB_MSEC }, { 990000, 1000 * LAB_MSEC } };
	static uint64_t times[4000];
	(void)state;

	t.options.latency[S3EMU_GET] = (struct s3emu_latency){ .table = table, .table_count = 3 };
	start_unsigned();
	answer_times(4000, times);
	qsort(times, 4000, sizeof(times[0]), compare_u64);
	assert_int_equal(times[0], 10 * LAB_MSEC);
	assert_int_equal(times[300], 10 * LAB_MSEC);
	assert_in_range(times[2000], 18 * LAB_MSEC, 40 * LAB_MSEC);
	assert_in_range(times[2980], 460 * LAB_MSEC, 560 * LAB_MSEC); /* half-way */
	assert_int_equal(times[3999], 1000 * LAB_MSEC);
}

static void latency_may_be_a_trace(void **state)
{
	static const uint64_t trace[] = { 1, 20, 300, 4000, 50000 };
	uint64_t times[10];
	size_t start = 0, i;
	(void)state;

	t.options.latency[S3EMU_GET] = (struct s3emu_latency){ .trace = trace, .trace_count = 5 };
	start_unsigned();
	answer_times(10, times);
	while (trace[start] != times[0])
		start++;
	for (i = 0; i < 10; i++)
		assert_int_equal(times[i], trace[(start + i) % 5]);
}

static void bodies_take_time(void **state)
{
	uint64_t time;
	(void)state;

	t.options.latency[S3EMU_GET].bytes_per_s = 1000;
	t.options.latency[S3EMU_PUT].bytes_per_s = 10;
	start_unsigned();
	assert_int_equal(t_put("/mail/k", "0123456789abcde"), 0);
	assert_int_equal(t.service.ops->next_deadline(t.service.service), 1500 * LAB_MSEC);
	t_advance(1500 * LAB_MSEC);
	assert_int_equal(t.reply.response.status, 200);
	assert_int_equal(t.reply.wire, SIM_WIRE_ANSWER);
	answer_times(1, &time);
	assert_int_equal(time, 0);
	assert_int_equal(t.reply.wire, SIM_WIRE_TRICKLE);
	assert_int_equal(t.reply.bytes_per_s, 1000);
}

static void refused_latency(const struct s3emu_latency *latency)
{
	struct lab_error err;
	struct s3emu *s3;

	t.options.latency[S3EMU_PUT] = *latency;
	assert_int_equal(s3emu_new(testing_pool, &t.options, &s3, &err), -1);
	assert_true(err.code == LAB_INVALID || err.code == LAB_LIMIT);
}

static void models_without_sense_are_refused(void **state)
{
	static const struct s3emu_quantile falling[] = { { 1, 2 }, { 2, 1 } },
					   equal[] = { { 1, 2 }, { 1, 3 } },
					   much[] = { { 1000001, 1 } };
	static const uint64_t trace[] = { 86401 * LAB_SEC };
	(void)state;

	refused_latency(&(struct s3emu_latency){ .table = falling, .table_count = 2 });
	refused_latency(&(struct s3emu_latency){ .table = equal, .table_count = 2 });
	refused_latency(&(struct s3emu_latency){ .table = much, .table_count = 1 });
	refused_latency(&(struct s3emu_latency){ .table = much, .table_count = 1001 });
	refused_latency(&(struct s3emu_latency){ .trace = trace, .trace_count = 1 });
	refused_latency(&(struct s3emu_latency){ .trace = trace, .trace_count = 1000001 });
	refused_latency(&(struct s3emu_latency){
		.low_ns = 1, .high_ns = 2, .table = falling, .table_count = 1 });
}

static void clients_beyond_the_bound_share_their_ordinals(void **state)
{
	struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.authority = LAB_VIEW(T_HOST),
		.target = LAB_VIEW("/mail/k") };
	size_t i;
	(void)state;

	t.options.limits.clients_max = 2;
	t.options.refused_latency.low_ns = t.options.refused_latency.high_ns = LAB_MSEC;
	t.options.latency[S3EMU_GET] = t.options.refused_latency;
	t.options.rates.reads_per_s = 5;
	start_unsigned();
	for (i = 0; i < 10; i++)
		t_submit(&request, lab_arena_printf(t.arena, "client-%zu", i));
	t_advance(LAB_SEC);
	assert_int_equal(t.replies, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(a_partition_carries_the_published_rates),
		t_test(refusal_is_slow_down_and_changes_nothing),
		t_test(a_rate_of_zero_does_not_limit),
		t_test(hex_presets_multiply_the_rates),
		t_test(start_keys_cut_anywhere),
		t_test(a_shared_budget_is_used_by_both),
		t_test(listing_is_a_read_or_a_write),
		t_test(a_bulk_delete_costs_a_write_for_each_key),
		t_test(its_keys_are_charged_to_their_own_partitions),
		t_test(or_only_the_keys_of_the_busy_partition_fail),
		t_test(more_keys_than_a_full_bucket_take_all_of_it),
		t_test(answers_take_their_time),
		t_test(answers_that_wait_keep_what_they_say),
		t_test(latency_is_drawn_by_client_and_ordinal),
		t_test(latency_has_its_quantiles_and_its_tail),
		t_test(latency_may_be_a_table_of_quantiles),
		t_test(latency_may_be_a_trace),
		t_test(bodies_take_time),
		t_test(models_without_sense_are_refused),
		t_test(clients_beyond_the_bound_share_their_ordinals),
	};

	return cmocka_run_group_tests_name("s3-emulator rates", tests, NULL, NULL);
}

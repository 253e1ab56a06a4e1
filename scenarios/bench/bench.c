/* SPDX-License-Identifier: Apache-2.0
 *
 * bench.c - the table of rows, their processes, and how they are printed.
 */
#include "scenarios/bench/bench-private.h"

#include "core/conf/conf.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define K 1000

static const struct bench_row rows[] = {
	{ "fiber.switch_ns", "ns", 30 * K, true, 0, bench_fiber_switch, false },
	{ "sim.requests_per_s", "1/s", INT64_C(300000) * K, false, 0, bench_sim_requests, false },
	{ "sim.seeds_per_s", "1/s", 20 * K, false, 0, bench_sim_seeds, false },
	{ "live.s3.get_4k_per_s", "1/s", INT64_C(45000) * K, false, 700, bench_live_s3_get, false },
	{ "live.s3.put_4k_per_s", "1/s", INT64_C(25000) * K, false, 700, bench_live_s3_put, false },
	{ "live.cql.ops_per_s", "1/s", INT64_C(120000) * K, false, 0, bench_live_cql, false },
	{ "live.cql.quorum_ops_per_s", "1/s", 0, false, 0, bench_live_cql_quorum, false },
	{ "cql.reads_per_s", "1/s", INT64_C(120000) * K, false, 0, bench_cql_reads, false },
	{ "cql.writes_per_s", "1/s", INT64_C(120000) * K, false, 0, bench_cql_writes, false },
	{ "cql.sqlite.reads_per_s", "1/s", 0, false, 0, bench_cql_sqlite_reads, false },
	{ "cql.sqlite.writes_per_s", "1/s", 0, false, 0, bench_cql_sqlite_writes, false },
	{ "cql.start_ms", "ms", 50 * K, true, 0, bench_cql_start, false },
	{ "cql.row_bytes", "B", 0, true, 0, bench_cql_row_bytes, true },
	{ "client.s3.cpu_us", "us", 45 * K, true, 0, bench_client_s3, false },
	{ "start.ms", "ms", 50 * K, true, 0, bench_start_time, false },
	{ "start.rss_mb", "MB", 40 * K, true, 0, bench_start_memory, false },
	{ "bundle.encode_mb_s", "MB/s", 0, false, 0, bench_bundle_encode, false },
	{ "obox.open_100k_ms", "ms", 0, true, 0, bench_obox_open, false },
	{ "obox.merge_100k_ms", "ms", 0, true, 0, bench_obox_merge, false },
	/* 99 % of what AWS promises (s3 2.1). */
	{ "throttle.1.writes_per_s", "1/s", INT64_C(3465) * K, false, 0, bench_throttle_writes_1,
		false },
	{ "throttle.1.reads_per_s", "1/s", INT64_C(5445) * K, false, 0, bench_throttle_reads_1,
		false },
	{ "throttle.16.writes_per_s", "1/s", INT64_C(55440) * K, false, 0, bench_throttle_writes_16,
		false },
	{ "throttle.16.reads_per_s", "1/s", INT64_C(87120) * K, false, 0, bench_throttle_reads_16,
		false },
	{ "throttle.256.writes_per_s", "1/s", INT64_C(887040) * K, false, 0,
		bench_throttle_writes_256, false },
	{ "throttle.256.reads_per_s", "1/s", INT64_C(1393920) * K, false, 0,
		bench_throttle_reads_256, false },
};

const struct bench_row *bench_rows(size_t *ret_count)
{
	*ret_count = LAB_COUNT_OF(rows);
	return rows;
}

static bool begins_with(const char *name, const char *prefix)
{
	return lab_view_starts_with(lab_view_cstr(name), lab_view_cstr(prefix));
}

static int no_such_row(const char *prefix, struct lab_error *err)
{
	const char *names[LAB_COUNT_OF(rows)];
	char hint[CONF_HINT_MAX];

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		names[i] = rows[i].name;
	return lab_fail(err, LAB_INVALID, "no benchmark's name begins with \"%s\"%s", prefix,
		conf_hint(
			conf_suggest_of(lab_view_cstr(prefix), names, LAB_COUNT_OF(names)), hint));
}

int bench_select(const char *const *prefixes, size_t prefix_count,
	const struct bench_row *ret_rows[BENCH_ROWS_MAX], size_t *ret_count, struct lab_error *err)
{
	bool chosen[LAB_COUNT_OF(rows)] = { false };
	size_t count = 0;

	for (size_t p = 0; p < prefix_count; p++) {
		bool found = false;

		for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
			if (begins_with(rows[i].name, prefixes[p]))
				chosen[i] = found = true;
		}
		if (!found)
			return no_such_row(prefixes[p], err);
	}
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		if (chosen[i] || (prefix_count == 0 && !rows[i].on_request))
			ret_rows[count++] = &rows[i];
	}
	*ret_count = count;
	return 0;
}

/* ---- a row's process ---- */

struct message {
	int rc;
	struct bench_result result;
	struct lab_error err;
};

static _Noreturn void child_main(const struct bench_row *row, int fd)
{
	struct message message;
	size_t done = 0, used;

	memset(&message, 0, sizeof(message));
	message.rc = row->run(&message.result, &message.err);
	/* Nothing behind the error's text goes through the pipe. */
	used = strnlen(message.err.message, sizeof(message.err.message));
	memset(message.err.message + used, 0, sizeof(message.err.message) - used);
	while (done < sizeof(message)) {
		ssize_t n = write(fd, (const char *)&message + done, sizeof(message) - done);

		if (n < 0 && errno != EINTR)
			_exit(1);
		done += n > 0 ? (size_t)n : 0;
	}
	_exit(0);
}

/* 1: the whole message came; 0: the process ended before that; -1: its time is over. */
static int receive(int fd, struct message *message)
{
	uint64_t until = bench_clock_ns(CLOCK_MONOTONIC) + BENCH_ROW_TIMEOUT_S * LAB_SEC;
	size_t done = 0;

	while (done < sizeof(*message)) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		uint64_t now = bench_clock_ns(CLOCK_MONOTONIC);
		ssize_t n;

		if (now >= until)
			return -1;
		if (poll(&pfd, 1, (int)((until - now) / LAB_MSEC) + 1) <= 0)
			continue;
		n = read(fd, (char *)message + done, sizeof(*message) - done);
		if (n == 0 || (n < 0 && errno != EINTR))
			return 0;
		done += n > 0 ? (size_t)n : 0;
	}
	return 1;
}

static int judge_child(int received, int status, struct lab_error *err)
{
	if (received == 1)
		return 0;
	if (received < 0)
		return lab_fail(err, LAB_TIMEOUT, "took more than %d s", BENCH_ROW_TIMEOUT_S);
	if (WIFSIGNALED(status))
		return lab_fail(err, LAB_INTERNAL, "died of signal %d", WTERMSIG(status));
	return lab_fail(err, LAB_INTERNAL, "ended without a result");
}

int bench_measure(const struct bench_row *row, struct bench_result *ret, struct lab_error *err)
{
	struct message message;
	int fds[2], status = 0, received;
	pid_t pid;

	if (pipe(fds) < 0)
		return lab_fail(err, LAB_LIMIT, "no pipe");
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child_main(row, fds[1]);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return lab_fail(err, LAB_LIMIT, "no process");
	}
	received = receive(fds[0], &message);
	close(fds[0]);
	if (received < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		lab_assert(errno == EINTR);
	if (judge_child(received, status, err) < 0)
		return -1;
	if (message.rc < 0)
		*err = message.err;
	else
		*ret = message.result;
	return message.rc;
}

/* ---- taking turns ---- */

static int better_of(bench_sample_fn sample, void *ctx, bool less_is_better, int64_t *best,
	struct lab_error *err)
{
	int64_t got;

	if (sample(ctx, BENCH_SLICE_NS, &got, err) < 0)
		return -1;
	if (*best == 0 || (less_is_better ? got < *best : got > *best))
		*best = got;
	return 0;
}

int bench_take_turns(bench_sample_fn value, bench_sample_fn limit, void *ctx, bool less_is_better,
	struct bench_result *ret, struct lab_error *err)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < BENCH_TURNS; i++) {
		if (better_of(value, ctx, less_is_better, &ret->value, err) < 0)
			return -1;
		if (limit != NULL && better_of(limit, ctx, less_is_better, &ret->limit, err) < 0)
			return lab_error_wrap(err, "limit");
	}
	return 0;
}

/* ---- judging and printing ---- */

int64_t bench_ratio(const struct bench_result *result)
{
	return result->limit == 0 ? 0 : result->value * 1000 / result->limit;
}

bool bench_is_met(const struct bench_row *row, const struct bench_result *result)
{
	if (row->ratio_min != 0 && result->limit != 0 && bench_ratio(result) < row->ratio_min)
		return false;
	if (row->budget == 0)
		return true;
	return row->less_is_better ? result->value <= row->budget : result->value >= row->budget;
}

/* Three digits or more are enough. */
static const char *format_number(int64_t thousandths, char text[32])
{
	int64_t whole = thousandths / 1000, rest = thousandths % 1000;

	if (thousandths == 0)
		snprintf(text, 32, "-");
	else if (whole >= 1000)
		snprintf(text, 32, "%" PRId64, whole);
	else if (whole >= 100)
		snprintf(text, 32, "%" PRId64 ".%" PRId64, whole, rest / 100);
	else
		snprintf(text, 32, "%" PRId64 ".%02" PRId64, whole, rest / 10);
	return text;
}

#define COLUMNS "%-26s %10s %-4s %10s %7s   %s%s\n"

void bench_print_head(struct lab_buf *out)
{
	lab_buf_printf(out, COLUMNS, "name", "value", "unit", "limit", "ratio", "budget", "");
}

void bench_print_row(
	const struct bench_row *row, const struct bench_result *result, struct lab_buf *out)
{
	char value[32], limit[32], ratio[32], budget[48] = "-", number[32];
	int used = 0;

	if (row->budget != 0)
		used = snprintf(budget, sizeof(budget), "%s %s",
			row->less_is_better ? "<=" : ">=", format_number(row->budget, number));
	if (row->ratio_min != 0)
		snprintf(budget + used, sizeof(budget) - (size_t)used, ", ratio >= %s",
			format_number(row->ratio_min, number));
	lab_buf_printf(out, COLUMNS, row->name, format_number(result->value, value), row->unit,
		format_number(result->limit, limit), format_number(bench_ratio(result), ratio),
		budget, bench_is_met(row, result) ? "" : "   MISSED");
	if (result->note[0] != '\0')
		lab_buf_printf(out, "    %s\n", result->note);
}

void bench_print_json(const struct bench_row *const *chosen, const struct bench_result *results,
	size_t count, struct lab_buf *out)
{
	struct lab_json json;

	lab_json_init(&json, out, true);
	lab_json_array(&json);
	for (size_t i = 0; i < count; i++) {
		bool has_limit = results[i].limit != 0;

		lab_json_object(&json);
		lab_json_put_cstr(&json, "name", chosen[i]->name);
		lab_json_key(&json, "value");
		lab_json_decimal(&json, results[i].value, 3);
		lab_json_put_cstr(&json, "unit", chosen[i]->unit);
		lab_json_key(&json, "limit");
		if (has_limit)
			lab_json_decimal(&json, results[i].limit, 3);
		else
			lab_json_cstr(&json, NULL);
		lab_json_key(&json, "ratio");
		if (has_limit)
			lab_json_decimal(&json, bench_ratio(&results[i]), 3);
		else
			lab_json_cstr(&json, NULL);
		lab_json_end(&json);
	}
	lab_json_end(&json);
	lab_buf_append_byte(out, '\n');
}

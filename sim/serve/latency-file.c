/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/latency-file.h"

#include <stdio.h> /* snprintf */

#define PERCENT_TEXT_MAX 16

struct latency_file {
	const char *name;
	unsigned line;
	struct s3emu_quantile *table;
	uint64_t *trace;
	size_t table_count, trace_count, room;
};

static int wrong(const struct latency_file *file, struct lab_error *err)
{
	return lab_error_wrap(err, "%s:%u", file->name, file->line);
}

static int read_time(
	const struct latency_file *file, struct lab_view text, uint64_t *ret, struct lab_error *err)
{
	if (conf_value_time(lab_view_trim(text), LAB_MSEC, ret, err) < 0)
		return wrong(file, err);
	if (*ret <= S3EMU_LATENCY_MAX_NS)
		return 0;
	(void)lab_fail(err, LAB_INVALID, "'%.*s' is more than a day",
		LAB_VIEW_ARG(lab_view_sub(text, 0, 40)));
	return wrong(file, err);
}

/* "p99.9 1s" */
static bool is_quantile(struct lab_view line)
{
	return line.len > 1 && line.ptr[0] == 'p' && line.ptr[1] >= '0' && line.ptr[1] <= '9';
}

static int read_percent(struct lab_view text, uint32_t *ret_ppm, struct lab_error *err)
{
	char percent[PERCENT_TEXT_MAX];
	size_t i;

	for (i = 0; i < text.len; i++) {
		if ((text.ptr[i] < '0' || text.ptr[i] > '9') && text.ptr[i] != '.')
			break;
	}
	if (i < text.len || text.len + 2 > sizeof(percent))
		return lab_fail(err, LAB_INVALID, "'p%.*s' is no quantile, as p99.9",
			LAB_VIEW_ARG(lab_view_sub(text, 0, 40)));
	(void)snprintf(percent, sizeof(percent), "%.*s%%", LAB_VIEW_ARG(text));
	return conf_value_fraction(lab_view_cstr(percent), ret_ppm, err);
}

static int add_quantile(struct latency_file *file, struct lab_view line, struct lab_error *err)
{
	struct s3emu_quantile q, *last;
	size_t end = 1;

	while (end < line.len && line.ptr[end] != ' ' && line.ptr[end] != '\t')
		end++;
	if (read_percent(lab_view_sub(line, 1, end - 1), &q.ppm, err) < 0)
		return wrong(file, err);
	if (read_time(file, lab_view_skip(line, end), &q.ns, err) < 0)
		return -1;
	last = file->table_count == 0 ? NULL : &file->table[file->table_count - 1];
	if (last != NULL && (q.ppm <= last->ppm || q.ns < last->ns)) {
		(void)lab_fail(err, LAB_INVALID, "'%.*s' is not above the line before",
			LAB_VIEW_ARG(lab_view_sub(line, 0, 40)));
		return wrong(file, err);
	}
	file->table[file->table_count++] = q;
	return 0;
}

static int add_line(struct latency_file *file, struct lab_view line, struct lab_error *err)
{
	bool quantile = is_quantile(line);
	size_t max = quantile ? S3EMU_QUANTILES_MAX : S3EMU_TRACE_MAX;

	if (quantile ? file->trace_count > 0 : file->table_count > 0) {
		(void)lab_fail(err, LAB_INVALID,
			"'%.*s': either quantiles or times, not both in one file",
			LAB_VIEW_ARG(lab_view_sub(line, 0, 40)));
		return wrong(file, err);
	}
	if (file->table_count + file->trace_count == max) {
		(void)lab_fail(err, LAB_LIMIT, "more than %zu values", max);
		return wrong(file, err);
	}
	lab_assert(file->table_count + file->trace_count < file->room);
	if (quantile)
		return add_quantile(file, line, err);
	if (read_time(file, line, &file->trace[file->trace_count], err) < 0)
		return -1;
	file->trace_count++;
	return 0;
}

static size_t count_lines(struct lab_view text)
{
	struct lab_view line;
	size_t count = 0;

	while (lab_view_split(&text, '\n', &line))
		count++;
	return count;
}

static struct lab_view bare(struct lab_view line)
{
	return lab_view_trim(lab_view_sub(line, 0, lab_view_find_byte(line, '#')));
}

int latency_file_parse(const char *name, struct lab_view text, struct lab_arena *arena,
	struct s3emu_latency *ret, struct lab_error *err)
{
	struct latency_file file = { .name = name };
	struct lab_view line;

	file.room = LAB_MIN(count_lines(text), (size_t)S3EMU_TRACE_MAX) + 1;
	file.trace = lab_arena_array(arena, uint64_t, file.room);
	file.table = lab_arena_array(
		arena, struct s3emu_quantile, LAB_MIN(file.room, (size_t)S3EMU_QUANTILES_MAX));
	while (lab_view_split(&text, '\n', &line)) {
		file.line++;
		line = bare(line);
		if (line.len > 0 && add_line(&file, line, err) < 0)
			return -1;
	}
	if (file.table_count + file.trace_count == 0)
		return lab_fail(err, LAB_INVALID, "%s: there is no latency in it", name);
	ret->low_ns = ret->high_ns = 0;
	ret->table = file.table;
	ret->table_count = file.table_count;
	ret->trace = file.trace;
	ret->trace_count = file.trace_count;
	return 0;
}

int latency_file_load(struct lab_view path, const struct conf_reader *reader,
	struct lab_arena *arena, struct s3emu_latency *ret, struct lab_error *err)
{
	struct lab_view text;

	if (reader == NULL || reader->read_file == NULL)
		return lab_fail(err, LAB_UNSUPPORTED, "%.*s: no files can be read here",
			LAB_VIEW_ARG(path));
	if (reader->read_file(reader->ctx, path, arena, &text, err) < 0)
		return -1;
	return latency_file_parse(lab_arena_cstr(arena, path), text, arena, ret, err);
}

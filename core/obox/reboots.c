/* SPDX-License-Identifier: Apache-2.0
 *
 * reboots.c - the runs of this host's backend, and how they ended.
 */
#include "core/obox/reboots.h"
#include "core/base/defect.h"

#define FILE_MAX 65536

struct run {
	uint64_t number, id;
	bool is_clean;
};

struct reboots {
	struct env *env;
	bool is_usable; /* this run is in the file */
	struct run runs[REBOOTS_MAX];
	size_t count; /* the last one is this run */
};

/* ---- the file ---- */

static bool take_word(struct lab_view *line, struct lab_view *ret)
{
	return line->ptr != NULL && lab_view_split(line, ' ', ret) && ret->len > 0;
}

static bool parse_line(struct lab_view line, struct run *ret)
{
	struct lab_view word;

	if (!take_word(&line, &word) || lab_view_to_u64(word, &ret->number) < 0 ||
		!take_word(&line, &word) || lab_view_to_u64(word, &ret->id) < 0 ||
		!take_word(&line, &word) || line.ptr != NULL)
		return false;
	ret->is_clean = lab_view_eq_cstr(word, "clean");
	return ret->is_clean || lab_view_eq_cstr(word, "open");
}

/* One line for each run, by number. */
static bool parse(struct reboots *reboots, struct lab_view text)
{
	struct lab_view line;

	while (text.ptr != NULL && lab_view_split(&text, '\n', &line)) {
		struct run *run = &reboots->runs[reboots->count];

		if (line.len == 0)
			return text.ptr == NULL;
		if (reboots->count == REBOOTS_MAX || !parse_line(line, run) ||
			(reboots->count > 0 && run->number != run[-1].number + 1))
			return false;
		reboots->count++;
	}
	return false;
}

static void load(struct reboots *reboots)
{
	struct lab_arena *arena = lab_arena_new(reboots->env->heap, 2 * FILE_MAX);
	struct lab_view text;

	if (env_file_load(reboots->env, REBOOTS_PATH, FILE_MAX, arena, &text, NULL) < 0 ||
		!parse(reboots, text))
		reboots->count = 0;
	lab_arena_free(&arena);
}

static int save(struct reboots *reboots)
{
	struct lab_error err;
	struct lab_buf text;
	int result;

	lab_buf_init(&text, reboots->env->heap, FILE_MAX);
	for (size_t i = 0; i < reboots->count; i++) {
		const struct run *run = &reboots->runs[i];

		lab_buf_printf(&text, "%" PRIu64 " %" PRIu64 " %s\n", run->number, run->id,
			run->is_clean ? "clean" : "open");
	}
	lab_assert(!text.overflow);
	result = env_file_replace(reboots->env, REBOOTS_PATH, lab_buf_view(&text), true, &err);
	if (result < 0)
		ENV_EVENT(reboots->env, LAB_EV_log_message, LAB_F_CSTR("area", "metacache"),
			LAB_F_CSTR("message", "local indexes will not outlive this run"),
			LAB_F_CSTR("error", err.message));
	lab_buf_done(&text);
	return result;
}

/* ---- runs ---- */

/* Ids tell the runs of a disk that was lost, or brought back from elsewhere, from those of this
 * file. */
static void add_run(struct reboots *reboots)
{
	uint8_t guid[ENV_GUID128_SIZE];
	uint64_t number = reboots->count == 0 ? 1 : reboots->runs[reboots->count - 1].number + 1;

	if (reboots->count == REBOOTS_MAX) {
		memmove(&reboots->runs[0], &reboots->runs[1],
			(REBOOTS_MAX - 1) * sizeof(*reboots->runs));
		reboots->count--;
	}
	env_guid128_generate(reboots->env, guid);
	reboots->runs[reboots->count++] =
		(struct run){ .number = number, .id = lab_hash_bytes(0, guid, sizeof(guid)) };
}

struct reboots *reboots_start(struct env *env)
{
	struct reboots *reboots = lab_new(env->heap, struct reboots);

	reboots->env = env;
	load(reboots);
	add_run(reboots);
	reboots->is_usable = save(reboots) == 0;
	return reboots;
}

void reboots_stop(struct reboots **reboots_p)
{
	struct reboots *reboots = *reboots_p;

	if (reboots == NULL)
		return;
	if (reboots->is_usable) {
		reboots->runs[reboots->count - 1].is_clean = true;
		(void)save(reboots);
	}
	lab_heap_free(reboots->env->heap, reboots);
	*reboots_p = NULL;
}

/* ---- stamps ---- */

void reboots_stamp(const struct reboots *reboots, struct lab_buf *out)
{
	const struct run *run = &reboots->runs[reboots->count - 1];

	lab_buf_append_u64(out, run->number);
	lab_buf_append_u64(out, run->id);
}

bool reboots_check(const struct reboots *reboots, struct lab_reader *reader)
{
	uint64_t number = lab_read_u64(reader), id = lab_read_u64(reader);
	bool is_found = false;

	if (reader->failed || !reboots->is_usable)
		return false;
	/* The run that wrote it, and all up to this one. */
	for (size_t i = 0; i < reboots->count; i++) {
		const struct run *run = &reboots->runs[i];

		if (run->number == number)
			is_found = run->id == id;
		if (run->number >= number && i + 1 < reboots->count && !run->is_clean &&
			!lab_defect(REBOOTS_IGNORED))
			return false;
	}
	return is_found;
}

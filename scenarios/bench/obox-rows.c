/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-rows.c - what the index of a large folder costs: read from a bundle, written into one,
 * merged with what another backend made of it. Beside one copy of those bytes, or of the records.
 */
#include "scenarios/bench/bench-private.h"

#include "core/obox/index-state.h"

#include <stdio.h>

#define MAILS 100000
#define ARENA_MAX ((size_t)4 << 30)
#define BUNDLE_MAX ((size_t)1 << 30)
#define RENUMBERS_MAX 100
#define OID_BYTES (ENV_GUID128_SIZE + 1)
#define FIRST_AUTHOR 1
#define SECOND_AUTHOR 2

struct index_rows {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct obox_state *here, *there; /* what two backends have made of one folder */
	struct lab_buf bundle, copy;
	struct obox_record *records;
};

/* Names as random as GUIDs are, and the same in each run. */
static void name_mail(uint64_t number, struct obox_mail *mail)
{
	uint64_t halves[2] = { lab_draw(1, "bench.name", number, 0),
		lab_draw(1, "bench.name", number, 1) };

	*mail = (struct obox_mail){ .oid_len = OID_BYTES, .size = 4096, .received = 1, .saved = 1 };
	memcpy(mail->name, halves, sizeof(mail->name));
	memcpy(mail->guid, halves, sizeof(mail->guid));
	memcpy(mail->oid, halves, sizeof(halves));
}

static int add_mails(struct obox_state *state, uint64_t id, uint64_t first, uint64_t count,
	struct lab_error *err)
{
	uint16_t author;

	if (obox_state_author(state, id, &author, err) < 0)
		return -1;
	for (uint64_t i = 0; i < count; i++) {
		struct obox_mail mail;
		uint32_t uid;

		name_mail(first + i, &mail);
		uid = obox_state_add(state, author, &mail);
		if (i % 3 == 0)
			(void)obox_state_set_flag(state, author, uid, OBOX_SEEN, true);
	}
	return 0;
}

/* Here some flags more, there some mails more. */
static int make_states(struct index_rows *rows, struct lab_error *err)
{
	uint16_t author;

	rows->here = obox_state_new(rows->heap, 1);
	if (add_mails(rows->here, FIRST_AUTHOR, 0, MAILS, err) < 0)
		return -1;
	obox_state_encode(rows->here, &rows->bundle);
	if (obox_state_decode(rows->heap, lab_buf_view(&rows->bundle), &rows->there, err) < 0 ||
		add_mails(rows->there, SECOND_AUTHOR, MAILS, 10, err) < 0 ||
		obox_state_author(rows->here, FIRST_AUTHOR, &author, err) < 0)
		return -1;
	for (uint32_t uid = 2; uid < MAILS; uid += 100)
		(void)obox_state_set_flag(rows->here, author, uid, OBOX_FLAGGED, true);
	lab_buf_reset(&rows->bundle);
	obox_state_encode(rows->here, &rows->bundle);
	return 0;
}

static int open_rows(struct index_rows *rows, struct lab_error *err)
{
	memset(rows, 0, sizeof(*rows));
	rows->pool = lab_pool_new(ARENA_MAX);
	rows->heap = lab_heap_new(rows->pool, ARENA_MAX);
	lab_buf_init(&rows->bundle, rows->heap, BUNDLE_MAX);
	lab_buf_init(&rows->copy, rows->heap, BUNDLE_MAX);
	rows->records = lab_new_array(rows->heap, struct obox_record, MAILS);
	return make_states(rows, err);
}

static void close_rows(struct index_rows *rows)
{
	obox_state_free(&rows->here);
	obox_state_free(&rows->there);
	lab_buf_done(&rows->bundle);
	lab_buf_done(&rows->copy);
	lab_heap_drop(&rows->heap);
	lab_pool_free(&rows->pool);
}

/* ---- samples ---- */

typedef int (*once_fn)(struct index_rows *rows, struct lab_error *err);

/* Nanoseconds of one. */
static int time_of(struct index_rows *rows, once_fn once, uint64_t slice_ns, uint64_t *ret,
	struct lab_error *err)
{
	uint64_t start = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID), count = 0, ns;

	do {
		if (once(rows, err) < 0)
			return -1;
		count++;
		ns = bench_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
	} while (ns < slice_ns);
	*ret = ns / count;
	return 0;
}

static int sample_ms(struct index_rows *rows, once_fn once, uint64_t slice_ns, int64_t *ret,
	struct lab_error *err)
{
	uint64_t ns = 0;
	int result = time_of(rows, once, slice_ns, &ns, err);

	*ret = (int64_t)(ns / 1000);
	return result;
}

static int sample_mb_s(struct index_rows *rows, once_fn once, uint64_t slice_ns, int64_t *ret,
	struct lab_error *err)
{
	uint64_t ns = 1;
	int result = time_of(rows, once, slice_ns, &ns, err);

	*ret = bench_per_second(rows->bundle.len, ns) / 1000000;
	return result;
}

static int copy_bytes(struct index_rows *rows, struct lab_error *err)
{
	(void)err;
	lab_buf_reset(&rows->copy);
	lab_buf_append_view(&rows->copy, lab_buf_view(&rows->bundle));
	return 0;
}

static int copy_records(struct index_rows *rows, struct lab_error *err)
{
	(void)err;
	memcpy(rows->records, rows->here->records, MAILS * sizeof(*rows->records));
	__asm__ volatile("" : : "r"(rows->records) : "memory");
	return 0;
}

static int encode(struct index_rows *rows, struct lab_error *err)
{
	(void)err;
	lab_buf_reset(&rows->copy);
	obox_state_encode(rows->here, &rows->copy);
	return 0;
}

static int decode(struct index_rows *rows, struct lab_error *err)
{
	struct obox_state *state = NULL;
	int result = obox_state_decode(rows->heap, lab_buf_view(&rows->bundle), &state, err);

	obox_state_free(&state);
	return result;
}

static int merge(struct index_rows *rows, struct lab_error *err)
{
	struct obox_merge_result how;
	struct obox_state *state = NULL;
	int result = obox_state_merge(rows->here, rows->there, RENUMBERS_MAX, &state, &how, err);

	if (result == 0 && state->count != MAILS + 10)
		result = lab_fail(err, LAB_INTERNAL, "the merge has %zu mails", state->count);
	obox_state_free(&state);
	return result;
}

#define SAMPLE(name, how, once) \
	static int name(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err) \
	{ \
		return how(ctx, once, slice_ns, ret, err); \
	}
SAMPLE(sample_encode, sample_mb_s, encode)
SAMPLE(sample_copy, sample_mb_s, copy_bytes)
SAMPLE(sample_open, sample_ms, decode)
SAMPLE(sample_merge, sample_ms, merge)
SAMPLE(sample_records, sample_ms, copy_records)

/* ---- the rows ---- */

static int measure(bench_sample_fn value, bench_sample_fn limit, bool less_is_better,
	struct bench_result *ret, struct lab_error *err)
{
	struct index_rows rows;
	int result;

	memset(ret, 0, sizeof(*ret));
	result = open_rows(&rows, err);
	if (result == 0)
		result = bench_take_turns(value, limit, &rows, less_is_better, ret, err);
	if (result == 0)
		snprintf(ret->note, sizeof(ret->note), "%d mails, %zu bytes", MAILS,
			rows.bundle.len);
	close_rows(&rows);
	return result;
}

int bench_bundle_encode(struct bench_result *ret, struct lab_error *err)
{
	return measure(sample_encode, sample_copy, false, ret, err);
}

int bench_obox_open(struct bench_result *ret, struct lab_error *err)
{
	return measure(sample_open, sample_records, true, ret, err);
}

int bench_obox_merge(struct bench_result *ret, struct lab_error *err)
{
	return measure(sample_merge, sample_records, true, ret, err);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-memory-row.c - what ten million mails' rows of an object-id mailbox cost in the emulator.
 */
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/cql-load.h"

#include <stdio.h>

#define ROWS 10000000
#define ROWS_IN_PARTITION 1000
#define FRAMES_AT_ONCE 64
#define ID_BYTES 16
#define VALUE_BYTES 40

struct filler {
	struct emulators e;
	struct sim_stream_service service;
	void *connection;
	uint8_t answer[65536];
	size_t have;
	bool failed;
	struct lab_view frame; /* EXECUTE of some INSERT; the values in it are written over */
	size_t user_at, mailbox_at, id_at, value_at;
	uint8_t frames[FRAMES_AT_ONCE * CQL_LOAD_FRAME_MAX];
};

static void keep_answer(void *ctx, struct lab_view data, enum sim_wire wire)
{
	struct filler *f = ctx;

	f->failed = f->failed || wire != SIM_WIRE_ANSWER || f->have + data.len > sizeof(f->answer);
	if (f->failed)
		return;
	memcpy(f->answer + f->have, data.ptr, data.len);
	f->have += data.len;
}

static int ask(void *ctx, struct lab_view frame, struct lab_view *ret, struct lab_error *err)
{
	struct filler *f = ctx;

	f->have = 0;
	f->service.ops->input(f->connection, frame, 0);
	*ret = lab_view_of(f->answer, f->have);
	if (!f->failed && f->have > CQL_ANSWER_OPCODE_AT && f->answer[CQL_ANSWER_OPCODE_AT] != 0)
		return 0;
	return lab_fail(err, LAB_CORRUPT, "a frame was not answered as it should be");
}

static int connect_to(struct filler *f, struct lab_error *err)
{
	static const struct sim_peer peer = { .name = { (const uint8_t *)"bench", 5 }, .hops = 1 };
	struct lab_view ready;

	f->service = cqlemu_service(f->e.cql);
	f->connection = f->service.ops->accept(
		f->service.service, LAB_VIEW("cassandra-1"), &peer, 0, keep_answer, f);
	lab_assert(f->connection != NULL);
	return ask(f, bench_cql_startup(&f->e), &ready, err);
}

static void put_bytes(uint8_t *to, const char *purpose, uint64_t number, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(lab_draw(1, purpose, number, i / 8) >> (8 * (i % 8)));
}

/* A user of one mailbox for each partition: "user0000001@example.com". */
static void put_row(const struct filler *f, uint8_t *frame, uint64_t row)
{
	char user[24];

	memcpy(frame, f->frame.ptr, f->frame.len);
	snprintf(user, sizeof(user), "%07" PRIu64, row / ROWS_IN_PARTITION);
	memcpy(frame + f->user_at, user, 7);
	put_bytes(frame + f->mailbox_at, "bench.mailbox", row / ROWS_IN_PARTITION, ID_BYTES);
	put_bytes(frame + f->id_at, "bench.mail", row, ID_BYTES);
	put_bytes(frame + f->value_at, "bench.value", row, VALUE_BYTES);
}

/* Where the values are in the frame: [length][bytes] each, of u, g, b, n and i. */
static int find_values(struct filler *f, struct lab_error *err)
{
	struct lab_view name = LAB_VIEW("user0000000@example.com");
	size_t at = lab_view_find(f->frame, name);

	if (at == SIZE_MAX ||
		at + name.len + ID_BYTES + 4 + 8 + 8 + ID_BYTES + VALUE_BYTES > f->frame.len)
		return lab_fail(err, LAB_CORRUPT, "an EXECUTE is not as expected");
	f->user_at = at + 4;
	f->mailbox_at = at + name.len + 4;
	f->id_at = f->mailbox_at + ID_BYTES + 8 + 4;
	f->value_at = f->id_at + ID_BYTES + 4;
	return 0;
}

static int fill(struct filler *f, uint64_t rows, struct lab_error *err)
{
	struct lab_view answer;

	for (uint64_t row = 0; row < rows; row += FRAMES_AT_ONCE) {
		for (size_t i = 0; i < FRAMES_AT_ONCE; i++)
			put_row(f, f->frames + i * f->frame.len, row + i);
		if (ask(f, lab_view_of(f->frames, FRAMES_AT_ONCE * f->frame.len), &answer, err) < 0)
			return -1;
	}
	return 0;
}

static int open_filler(struct filler *f, struct lab_error *err)
{
	emulators_init(&f->e);
	if (emulators_cql(&f->e, BENCH_CQL_NODES_MAX, err) < 0 || connect_to(f, err) < 0 ||
		bench_cql_insert(
			&f->e, ask, f, LAB_VIEW("user0000000@example.com"), &f->frame, err) < 0)
		return -1;
	lab_assert(f->frame.len <= CQL_LOAD_FRAME_MAX);
	return find_values(f, err);
}

static int measure(struct filler *f, struct bench_result *ret, struct lab_error *err)
{
	struct cqlemu_counters counters;
	uint64_t start, before, after;

	if (open_filler(f, err) < 0 || bench_resident_bytes(&before, err) < 0)
		return -1;
	start = bench_clock_ns(CLOCK_MONOTONIC);
	if (fill(f, ROWS, err) < 0 || bench_resident_bytes(&after, err) < 0)
		return -1;
	cqlemu_counters(f->e.cql, &counters);
	if (counters.rows != (uint64_t)ROWS * BENCH_CQL_NODES_MAX)
		return lab_fail(err, LAB_CORRUPT, "%zu rows are there", counters.rows);
	*ret = (struct bench_result){ .value = (int64_t)((after - before) / (ROWS / 1000)),
		.limit = (int64_t)(ID_BYTES + VALUE_BYTES) * 1000 };
	snprintf(ret->note, sizeof(ret->note),
		"%d rows on each of 3 nodes, %d in a partition: %" PRIu64 " MB, written in %" PRIu64
		" s",
		ROWS, ROWS_IN_PARTITION, (after - before) / 1000000,
		(bench_clock_ns(CLOCK_MONOTONIC) - start) / LAB_SEC);
	return 0;
}

/* The process ends with the row: a gigabyte that is freed piece by piece would take seconds. */
int bench_cql_row_bytes(struct bench_result *ret, struct lab_error *err)
{
	static struct filler filler;

	return measure(&filler, ret, err);
}

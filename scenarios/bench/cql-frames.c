/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-frames.c - the load of the CQL rows, made on a server that runs.
 */
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/cql-load.h"

#include "core/cql/cql-codec.h"

#include <unistd.h>

#define CONNECTIONS 4
#define STREAMS 128
#define ANSWER_MAX ((size_t)1 << 20)
#define QUERY_MAX 65536

struct cql_asker {
	int fd;
	uint8_t answer[ANSWER_MAX];
};

int cql_ask(void *_asker, struct lab_view frame, struct lab_view *ret, struct lab_error *err)
{
	struct cql_asker *asker = _asker;

	return cql_load_ask(asker->fd, frame, asker->answer, sizeof(asker->answer), ret, err);
}

int cql_asker_open(struct emulators *e, const struct cql_target *target, struct cql_asker **ret,
	struct lab_error *err)
{
	struct cql_asker *asker = lab_new(e->heap, struct cql_asker);
	struct lab_view ready;

	if (bench_dial_to(target, &asker->fd, err) < 0)
		return -1;
	if (cql_ask(asker, bench_cql_startup(e), &ready, err) < 0) {
		close(asker->fd);
		return -1;
	}
	*ret = asker;
	return 0;
}

void cql_asker_close(struct cql_asker *asker)
{
	if (asker != NULL)
		close(asker->fd);
}

int cql_ask_query(struct emulators *e, struct cql_asker *asker, struct lab_view query,
	size_t *ret_rows, struct lab_error *err)
{
	struct cql_request request = {
		.opcode = CQL_QUERY, .query = query, .params = { .consistency = CQL_ONE }
	};
	struct cql_response response;
	struct cql_frame frame;
	struct lab_view answer;
	struct lab_buf out;
	size_t used;
	int result;

	lab_buf_init(&out, e->heap, QUERY_MAX);
	cql_request_encode(&out, CQL_VERSION, 0, &request);
	result = cql_ask(asker, lab_buf_view(&out), &answer, err);
	lab_buf_done(&out);
	if (result < 0 || cql_frame_next(answer, ANSWER_MAX, &frame, &used, err) != 1 ||
		cql_response_decode(&frame, e->arena, &response, err) < 0)
		return -1;
	*ret_rows = response.kind == CQL_RESULT_ROWS ? response.rows.row_count : 0;
	return 0;
}

/* Of the frames that come in turns: an INSERT, the SELECT of the same row. */
static size_t choose(struct lab_view *frames, enum cql_load_kind kind)
{
	size_t first = kind == CQL_LOAD_READS;

	if (kind == CQL_LOAD_BOTH)
		return BENCH_CQL_FRAMES;
	for (size_t i = 0; i < BENCH_CQL_FRAMES / 2; i++)
		frames[i] = frames[2 * i + first];
	return BENCH_CQL_FRAMES / 2;
}

static int write_once(struct cql_asker *asker, const struct lab_view *frames, struct lab_error *err)
{
	struct lab_view answer;

	for (size_t i = 0; i < BENCH_CQL_FRAMES; i += 2) {
		if (cql_ask(asker, frames[i], &answer, err) < 0)
			return -1;
	}
	return 0;
}

int cql_load_make(struct emulators *e, const struct cql_target *target, enum cql_load_kind kind,
	struct cql_load *ret, struct lab_error *err)
{
	struct cql_asker *asker = NULL;
	struct lab_view *frames = NULL;
	int result = cql_asker_open(e, target, &asker, err);

	if (result == 0)
		result = bench_cql_frames(e, cql_ask, asker, &frames, err);
	if (result == 0)
		result = write_once(asker, frames, err);
	cql_asker_close(asker);
	if (result < 0)
		return -1;
	*ret = (struct cql_load){ .target = *target,
		.hello = bench_cql_startup(e),
		.frames = frames,
		.frame_count = choose(frames, kind),
		.connections = CONNECTIONS,
		.streams = STREAMS };
	return 0;
}

int cql_load_sample(
	const struct cql_load *load, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	struct bench_load_result result;

	if (cql_load_run(load, slice_ns, &result, err) < 0)
		return -1;
	*ret = bench_per_second(result.answers, result.ns);
	return 0;
}

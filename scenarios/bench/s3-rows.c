/* SPDX-License-Identifier: Apache-2.0
 *
 * s3-rows.c - the S3 emulator over sockets, beside libmicrohttpd with nothing behind it.
 */
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/emulators.h"
#include "scenarios/bench/sockets.h"

#include <microhttpd.h>

#define CONNECTIONS 32

struct s3_rows {
	struct emulators emulators;
	struct MHD_Daemon *bare;
	struct MHD_Response *page, *empty;
	struct http_load value, limit;
};

/* As s3 6.1 wants it: no reply in the first call. */
static enum MHD_Result bare_answer(void *ctx, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **state)
{
	static int begun;
	struct s3_rows *rows = ctx;

	(void)url, (void)version, (void)data;
	if (*state == NULL) {
		*state = &begun;
		return MHD_YES;
	}
	if (*size != 0) {
		*size = 0;
		return MHD_YES;
	}
	return MHD_queue_response(
		connection, MHD_HTTP_OK, method[0] == 'G' ? rows->page : rows->empty);
}

static int start_bare(struct s3_rows *rows, struct lab_error *err)
{
	static char page[BENCH_OBJECT_BYTES];
	const union MHD_DaemonInfo *info;

	memset(page, 'x', sizeof(page));
	rows->page = MHD_create_response_from_buffer(sizeof(page), page, MHD_RESPMEM_PERSISTENT);
	rows->empty = MHD_create_response_from_buffer(0, page, MHD_RESPMEM_PERSISTENT);
	rows->bare = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, bare_answer,
		rows, MHD_OPTION_CONNECTION_LIMIT, 1000U, MHD_OPTION_END);
	if (rows->page == NULL || rows->empty == NULL || rows->bare == NULL)
		return lab_fail(err, LAB_LIMIT, "libmicrohttpd does not start");
	info = MHD_get_daemon_info(rows->bare, MHD_DAEMON_INFO_BIND_PORT);
	rows->limit.port = info->port;
	return 0;
}

static int open_rows(struct s3_rows *rows, const char *method, struct lab_error *err)
{
	struct emulators *e = &rows->emulators;
	struct lab_http_request *requests;
	struct lab_view *wire;

	emulators_init(e);
	if (emulators_s3(e, err) < 0 || bench_s3_fill(e, err) < 0 ||
		bench_s3_requests(e, method, &requests, err) < 0 ||
		emulators_s3_serve(e, err) < 0 || start_bare(rows, err) < 0)
		return -1;
	wire = lab_arena_array(e->arena, struct lab_view, BENCH_OBJECTS);
	for (size_t i = 0; i < BENCH_OBJECTS; i++)
		wire[i] = bench_http_wire(e, &requests[i]);
	rows->value = (struct http_load){ .port = http_front_end_port(e->s3_front),
		.requests = wire,
		.request_count = BENCH_OBJECTS,
		.connections = CONNECTIONS };
	rows->value.port = http_front_end_port(e->s3_front);
	rows->limit.requests = wire;
	rows->limit.request_count = BENCH_OBJECTS;
	rows->limit.connections = CONNECTIONS;
	return 0;
}

static void close_rows(struct s3_rows *rows)
{
	if (rows->bare != NULL)
		MHD_stop_daemon(rows->bare);
	if (rows->page != NULL)
		MHD_destroy_response(rows->page);
	if (rows->empty != NULL)
		MHD_destroy_response(rows->empty);
	emulators_free(&rows->emulators);
}

static int sample(
	const struct http_load *load, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	struct bench_load_result result;

	if (http_load_run(load, slice_ns, &result, err) < 0)
		return -1;
	*ret = bench_per_second(result.answers, result.ns);
	return 0;
}

static int sample_emulator(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	return sample(&((struct s3_rows *)ctx)->value, slice_ns, ret, err);
}

static int sample_bare(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	return sample(&((struct s3_rows *)ctx)->limit, slice_ns, ret, err);
}

static int measure(const char *method, struct bench_result *ret, struct lab_error *err)
{
	struct s3_rows rows = { .bare = NULL };
	int result = open_rows(&rows, method, err);

	if (result == 0)
		result = bench_take_turns(sample_emulator, sample_bare, &rows, false, ret, err);
	close_rows(&rows);
	return result;
}

int bench_live_s3_get(struct bench_result *ret, struct lab_error *err)
{
	return measure("GET", ret, err);
}

int bench_live_s3_put(struct bench_result *ret, struct lab_error *err)
{
	return measure("PUT", ret, err);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * servers.c - S3 servers beside each other, and beside libmicrohttpd.
 */
#include "scenarios/bench/servers.h"

#include "core/aws/sigv4.h"
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/emulators.h"
#include "scenarios/bench/sockets.h"

#include <microhttpd.h>
#include <stdio.h>
#include <unistd.h>

#define CONNECTIONS 32
#define OBJECTS 64
#define NAME_MAX_LENGTH 32

static const struct load_kind {
	const char *name, *method;
	size_t size;
} kinds[] = {
	{ "get_4k", "GET", (size_t)4 << 10 },
	{ "put_4k", "PUT", (size_t)4 << 10 },
	{ "get_64k", "GET", (size_t)64 << 10 },
	{ "put_64k", "PUT", (size_t)64 << 10 },
};
_Static_assert(LAB_COUNT_OF(kinds) + 2 == BENCH_SERVER_FIGURES, "and start_ms, rss_mb");

/* ---- the command line ---- */

static int parse_address(
	struct lab_view url, const char *text, uint16_t *ret, struct lab_error *err)
{
	struct lab_view scheme = LAB_VIEW("http://127.0.0.1:");
	uint64_t port;

	if (!lab_view_starts_with(url, scheme))
		return lab_fail(err, LAB_DENIED,
			"--server %s: only http://127.0.0.1:PORT is measured", text);
	if (lab_view_to_u64(lab_view_skip(url, scheme.len), &port) < 0 || port == 0 ||
		port > UINT16_MAX)
		return lab_fail(err, LAB_INVALID, "--server %s: no port", text);
	*ret = (uint16_t)port;
	return 0;
}

static int parse_numbers(struct lab_view rest, struct bench_server *server)
{
	uint64_t *const numbers[] = { &server->pid, &server->start_ms };
	struct lab_view part;

	for (size_t i = 0; lab_view_split(&rest, ',', &part); i++) {
		if (i == LAB_COUNT_OF(numbers) || lab_view_to_u64(part, numbers[i]) < 0 ||
			*numbers[i] > INT32_MAX)
			return -1;
	}
	return 0;
}

int bench_server_parse(
	const char *text, struct lab_arena *arena, struct bench_server *ret, struct lab_error *err)
{
	struct lab_view rest = lab_arena_copy(arena, lab_view_cstr(text)), name, url;

	memset(ret, 0, sizeof(*ret));
	if (!lab_view_split(&rest, '=', &name) || name.len == 0 || name.len > NAME_MAX_LENGTH ||
		!lab_view_split(&rest, ',', &url) ||
		!lab_view_split(&rest, ',', &ret->access_key_id) ||
		!lab_view_split(&rest, ',', &ret->secret) ||
		!lab_view_split(&rest, ',', &ret->bucket) || ret->bucket.len == 0 ||
		parse_numbers(rest, ret) < 0)
		return lab_fail(err, LAB_INVALID,
			"--server takes "
			"NAME=http://127.0.0.1:PORT,KEY,SECRET,BUCKET[,PID[,START_MS]]");
	ret->name = lab_arena_printf(arena, "%.*s", LAB_VIEW_ARG(name));
	return parse_address(url, ret->name, &ret->port, err);
}

/* ---- libmicrohttpd ---- */

struct bare {
	struct MHD_Daemon *daemon;
	struct MHD_Response *page, *empty;
	char bytes[(size_t)64 << 10];
};

/* As s3 6.1 wants it: no reply in the first call. */
static enum MHD_Result bare_answer(void *ctx, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **state)
{
	static int begun;
	struct bare *bare = ctx;

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
		connection, MHD_HTTP_OK, method[0] == 'G' ? bare->page : bare->empty);
}

static int bare_start(
	struct bare *bare, size_t page_size, uint16_t *ret_port, struct lab_error *err)
{
	memset(bare->bytes, 'x', sizeof(bare->bytes));
	bare->page =
		MHD_create_response_from_buffer(page_size, bare->bytes, MHD_RESPMEM_PERSISTENT);
	bare->empty = MHD_create_response_from_buffer(0, bare->bytes, MHD_RESPMEM_PERSISTENT);
	bare->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, bare_answer,
		bare, MHD_OPTION_CONNECTION_LIMIT, 1000U, MHD_OPTION_END);
	if (bare->page == NULL || bare->empty == NULL || bare->daemon == NULL)
		return lab_fail(err, LAB_LIMIT, "libmicrohttpd does not start");
	*ret_port = MHD_get_daemon_info(bare->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
	return 0;
}

static void bare_stop(struct bare *bare)
{
	if (bare->daemon != NULL)
		MHD_stop_daemon(bare->daemon);
	if (bare->page != NULL)
		MHD_destroy_response(bare->page);
	if (bare->empty != NULL)
		MHD_destroy_response(bare->empty);
}

/* ---- load ---- */

static struct lab_view body_of(struct emulators *e, size_t size, size_t number)
{
	uint8_t *bytes = lab_arena_alloc(e->arena, size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(lab_draw(1, "bench.body", number, i / 8) >> (8 * (i % 8)));
	return lab_view_of(bytes, size);
}

static int sign(struct emulators *e, const struct bench_server *server,
	const struct load_kind *kind, const char *method, size_t number, struct lab_view *ret,
	struct lab_error *err)
{
	struct aws_credentials credentials = { .access_key_id = server->access_key_id,
		.secret_access_key = server->secret };
	struct sigv4_signer signer = { .credentials = &credentials,
		.region = LAB_VIEW(BENCH_S3_REGION),
		.service = LAB_VIEW("s3"),
		.now_unix = e->start_unix,
		.heap = e->heap };
	struct lab_http_request request = { .method = lab_view_cstr(method) };

	request.authority = lab_view_cstr(lab_arena_printf(e->arena, "127.0.0.1:%u", server->port));
	request.target = lab_view_cstr(lab_arena_printf(e->arena, "/%.*s/oboxlab-bench/%zu/%03zu",
		LAB_VIEW_ARG(server->bucket), kind->size, number));
	if (method[0] == 'P')
		request.body = body_of(e, kind->size, number);
	if (sigv4_sign_headers(&request, &signer, e->arena, err) < 0)
		return -1;
	*ret = bench_http_wire(e, &request);
	return 0;
}

static int make_load(struct emulators *e, const struct bench_server *server,
	const struct load_kind *kind, struct http_load *ret, struct lab_error *err)
{
	struct lab_view *wire = lab_arena_array(e->arena, struct lab_view, OBJECTS);

	for (size_t i = 0; i < OBJECTS; i++) {
		if (kind->method[0] == 'G' &&
			(sign(e, server, kind, "PUT", i, &wire[i], err) < 0 ||
				http_load_once(server->port, wire[i], err) < 0))
			return lab_error_wrap(err, "a first PUT");
		if (sign(e, server, kind, kind->method, i, &wire[i], err) < 0)
			return -1;
	}
	*ret = (struct http_load){ .port = server->port,
		.requests = wire,
		.request_count = OBJECTS,
		.connections = CONNECTIONS };
	return 0;
}

static int better(const struct http_load *load, int64_t *best, struct lab_error *err)
{
	struct bench_load_result result;
	int64_t got;

	if (http_load_run(load, BENCH_SLICE_NS, &result, err) < 0)
		return -1;
	got = bench_per_second(result.answers, result.ns);
	*best = LAB_MAX(*best, got);
	return 0;
}

/* All servers and libmicrohttpd in turns; the best of each. */
static int take_turns(struct emulators *e, const struct bench_server *servers, size_t count,
	const struct load_kind *kind, uint16_t bare_port, int64_t *ret_best, int64_t *ret_limit,
	struct lab_error *err)
{
	struct http_load loads[BENCH_SERVERS_MAX] = { 0 }, limit;

	for (size_t i = 0; i < count; i++) {
		if (make_load(e, &servers[i], kind, &loads[i], err) < 0)
			return lab_error_wrap(err, "%s: %s", servers[i].name, kind->name);
	}
	limit = loads[0];
	limit.port = bare_port;
	for (unsigned turn = 0; turn < BENCH_TURNS; turn++) {
		if (better(&limit, ret_limit, err) < 0)
			return lab_error_wrap(err, "libmicrohttpd: %s", kind->name);
		for (size_t i = 0; i < count; i++) {
			if (better(&loads[i], &ret_best[i], err) < 0)
				return lab_error_wrap(err, "%s: %s", servers[i].name, kind->name);
		}
	}
	return 0;
}

static int measure_kind(const struct bench_server *servers, size_t count,
	const struct load_kind *kind, int64_t *ret_best, int64_t *ret_limit, struct lab_error *err)
{
	struct bare bare = { .daemon = NULL };
	struct emulators e; /* for its heap and clock */
	uint16_t port = 0;
	int result;

	emulators_init(&e);
	result = bare_start(&bare, kind->size, &port, err);
	if (result == 0)
		result = take_turns(&e, servers, count, kind, port, ret_best, ret_limit, err);
	bare_stop(&bare);
	emulators_free(&e);
	return result;
}

/* ---- memory ---- */

/* Thousandths of a megabyte; 0: it cannot be read. */
static int64_t resident(uint64_t pid)
{
	char path[64], text[128];
	struct lab_view rest, part;
	uint64_t pages = 0;
	FILE *file;
	size_t got;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/statm", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	got = fread(text, 1, sizeof(text), file);
	fclose(file);
	rest = lab_view_of(text, got);
	if (!lab_view_split(&rest, ' ', &part) || !lab_view_split(&rest, ' ', &part) ||
		lab_view_to_u64(part, &pages) < 0)
		return 0;
	return (int64_t)(pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1000);
}

int bench_servers_measure(const struct bench_server *servers, size_t count, struct lab_arena *arena,
	struct bench_row *ret_rows, struct bench_result *ret_results, struct lab_error *err)
{
	int64_t best[LAB_COUNT_OF(kinds)][BENCH_SERVERS_MAX] = { { 0 } };
	int64_t limit[LAB_COUNT_OF(kinds)] = { 0 };

	lab_assert(count > 0 && count <= BENCH_SERVERS_MAX);
	memset(ret_rows, 0, count * BENCH_SERVER_FIGURES * sizeof(*ret_rows));
	memset(ret_results, 0, count * BENCH_SERVER_FIGURES * sizeof(*ret_results));
	for (size_t k = 0; k < LAB_COUNT_OF(kinds); k++) {
		if (measure_kind(servers, count, &kinds[k], best[k], &limit[k], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < count; i++) {
		struct bench_row *rows = ret_rows + i * BENCH_SERVER_FIGURES;
		struct bench_result *results = ret_results + i * BENCH_SERVER_FIGURES;
		size_t k;

		for (k = 0; k < LAB_COUNT_OF(kinds); k++) {
			rows[k].name = lab_arena_printf(
				arena, "s3.%s.%s_per_s", servers[i].name, kinds[k].name);
			rows[k].unit = "1/s";
			results[k] =
				(struct bench_result){ .value = best[k][i], .limit = limit[k] };
		}
		rows[k].name = lab_arena_printf(arena, "s3.%s.start_ms", servers[i].name);
		rows[k].unit = "ms";
		results[k].value = (int64_t)servers[i].start_ms * 1000;
		rows[k + 1].name = lab_arena_printf(arena, "s3.%s.rss_mb", servers[i].name);
		rows[k + 1].unit = "MB";
		results[k + 1].value = servers[i].pid == 0 ? 0 : resident(servers[i].pid);
	}
	return 0;
}

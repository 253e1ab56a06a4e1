/* SPDX-License-Identifier: Apache-2.0
 *
 * client-row.c - what one S3 GET costs the core's client, beside bare libcurl. The server is the S3
 * emulator in a thread of its own: only this thread's time counts.
 */
#include "scenarios/bench/bench-private.h"
#include "scenarios/bench/emulators.h"

#include "core/aws/sigv4.h"
#include "core/env/live/live.h"
#include "core/http/http-client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PARALLEL 8
#define EXCHANGES 400 /* in one go, each of PARALLEL */
#define ARENA_MAX ((size_t)16 << 20)

struct client_row {
	struct emulators emulators;
	struct lab_http_request *gets; /* signed, for libcurl */
	/* The core's client. */
	char root[32];
	struct live *live;
	struct live_host *host;
	struct env *env;
	struct http_client *client;
	struct sigv4_key_cache cache;
	uint64_t cpu_ns;
	struct lab_error failed; /* code LAB_OK: nothing did */
	/* libcurl. */
	CURLM *multi;
	CURL *easies[PARALLEL];
	struct curl_slist *headers[PARALLEL];
	size_t received;
};

/* ---- the core's client ---- */

static int sign(
	void *ctx, struct lab_http_request *request, struct lab_arena *arena, struct lab_error *err)
{
	struct client_row *row = ctx;
	struct sigv4_signer signer = { .credentials = &bench_credentials,
		.region = LAB_VIEW(BENCH_S3_REGION),
		.service = LAB_VIEW("s3"),
		.now_unix = env_wall_seconds(row->env),
		.cache = &row->cache,
		.heap = row->env->heap };

	return sigv4_sign_headers(request, &signer, arena, err);
}

static int get_one(
	struct client_row *row, size_t object, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_http_request request = { .method = LAB_VIEW("GET"),
		.authority = LAB_VIEW(BENCH_S3_AUTHORITY),
		.target = row->gets[object].target };
	struct http_call call = { .action = HTTP_READ,
		.request = &request,
		.response_max_bytes = 1 << 20,
		.ctx = row,
		.sign = sign };
	struct lab_http_response response;

	if (http_client_request(row->client, &call, arena, &response, err) < 0)
		return -1;
	return response.body.len == BENCH_OBJECT_BYTES
		       ? 0
		       : lab_fail(err, LAB_CORRUPT, "a body of %zu bytes", response.body.len);
}

static void get_many(void *ctx, size_t index)
{
	struct client_row *row = ctx;
	struct lab_arena *arena = lab_arena_new(row->env->heap, ARENA_MAX);
	struct lab_error err;

	for (size_t i = 0; i < EXCHANGES && row->failed.code == LAB_OK; i++) {
		lab_arena_reset(arena);
		if (get_one(row, (index * EXCHANGES + i) % BENCH_OBJECTS, arena, &err) < 0)
			row->failed = err;
	}
	lab_arena_free(&arena);
}

static void client_main(struct env *env, void *arg)
{
	struct client_row *row = arg;
	struct http_policy policy;
	uint64_t start;

	http_policy_init(&policy);
	policy.max_parallel_connections = PARALLEL;
	if (http_client_new(env, &policy, &row->client, &row->failed) < 0)
		return;
	row->failed.code = LAB_OK;
	start = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	env_for_each(env, PARALLEL, PARALLEL, get_many, row);
	row->cpu_ns = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	http_client_free(&row->client);
}

static int sample_core(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	struct client_row *row = ctx;

	(void)slice_ns;
	if (live_start(row->host, "bench", client_main, row, err) < 0)
		return -1;
	if (live_run(row->live, ENV_FOREVER, NULL, NULL) != 0)
		return lab_fail(err, LAB_TIMEOUT, "the client does not end");
	if (row->failed.code != LAB_OK) {
		*err = row->failed;
		return -1;
	}
	*ret = (int64_t)(row->cpu_ns / (PARALLEL * EXCHANGES));
	return 0;
}

static int open_core(struct client_row *row, struct lab_error *err)
{
	struct live_settings settings = { .seed = 1, .no_sync = true };
	struct live_host_settings host = { .hostname = "bench", .root = row->root };

	(void)snprintf(row->root, sizeof(row->root), "/tmp/oboxlab-bench-XXXXXX");
	if (mkdtemp(row->root) == NULL) {
		row->root[0] = '\0';
		return lab_fail(err, LAB_IO, "no directory in /tmp");
	}
	if (live_new(&settings, &row->live, err) < 0 ||
		live_map(row->live, BENCH_S3_AUTHORITY ":80", "127.0.0.1",
			http_front_end_port(row->emulators.s3_front), true, err) < 0 ||
		live_host_new(row->live, &host, &row->host, err) < 0)
		return -1;
	row->env = live_host_env(row->host);
	return 0;
}

/* ---- bare libcurl ---- */

static size_t take_body(char *data, size_t size, size_t count, void *ctx)
{
	struct client_row *row = ctx;

	(void)data;
	row->received += size * count;
	return size * count;
}

static bool add_header(struct curl_slist **list, const char *text)
{
	struct curl_slist *longer = curl_slist_append(*list, text);

	*list = longer != NULL ? longer : *list;
	return longer != NULL;
}

static int prepare_easy(struct client_row *row, unsigned index, struct lab_error *err)
{
	const struct lab_http_request *get = &row->gets[index];
	struct lab_arena *arena = row->emulators.arena;
	CURL *easy = row->easies[index] = curl_easy_init();
	const char *url = lab_arena_printf(arena, "http://127.0.0.1:%u%.*s",
		http_front_end_port(row->emulators.s3_front), LAB_VIEW_ARG(get->target));
	bool ok = easy != NULL && add_header(&row->headers[index], "Host: " BENCH_S3_AUTHORITY);

	for (size_t i = 0; ok && i < get->headers.count; i++)
		ok = add_header(
			&row->headers[index], lab_arena_printf(arena, "%.*s: %.*s",
						      LAB_VIEW_ARG(get->headers.items[i].name),
						      LAB_VIEW_ARG(get->headers.items[i].value)));
	if (!ok || curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, row->headers[index]) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, row) != CURLE_OK ||
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) != CURLE_OK)
		return lab_fail(err, LAB_LIMIT, "libcurl refuses its options");
	return 0;
}

static int open_curl(struct client_row *row, struct lab_error *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
		(row->multi = curl_multi_init()) == NULL)
		return lab_fail(err, LAB_LIMIT, "libcurl does not start");
	for (unsigned i = 0; i < PARALLEL; i++) {
		if (prepare_easy(row, i, err) < 0)
			return -1;
	}
	return 0;
}

/* Begins the next transfer on every handle that has ended one. Returns how many ended, -1 if one
 * failed. */
static int restart_ended(struct client_row *row, unsigned *left)
{
	CURLMsg *message;
	int queued, ended = 0;

	while ((message = curl_multi_info_read(row->multi, &queued)) != NULL) {
		CURL *easy = message->easy_handle;

		if (message->msg != CURLMSG_DONE || message->data.result != CURLE_OK)
			return -1;
		(void)curl_multi_remove_handle(row->multi, easy);
		ended++;
		if (*left > 0 && curl_multi_add_handle(row->multi, easy) == CURLM_OK)
			(*left)--;
	}
	return ended;
}

static int sample_curl(void *ctx, uint64_t slice_ns, int64_t *ret, struct lab_error *err)
{
	struct client_row *row = ctx;
	uint64_t start = bench_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	unsigned left = PARALLEL * EXCHANGES - PARALLEL;
	int done = 0, running;

	(void)slice_ns;
	row->received = 0;
	for (unsigned i = 0; i < PARALLEL; i++) {
		if (curl_multi_add_handle(row->multi, row->easies[i]) != CURLM_OK)
			return lab_fail(err, LAB_LIMIT, "libcurl takes no more transfers");
	}
	while (done < PARALLEL * EXCHANGES) {
		int ended;

		if (curl_multi_perform(row->multi, &running) != CURLM_OK)
			return lab_fail(err, LAB_IO, "curl_multi_perform failed");
		ended = restart_ended(row, &left);
		if (ended < 0)
			return lab_fail(err, LAB_IO, "a transfer failed");
		done += ended;
		if (ended == 0)
			(void)curl_multi_poll(row->multi, NULL, 0, 1000, NULL);
	}
	if (row->received != (size_t)PARALLEL * EXCHANGES * BENCH_OBJECT_BYTES)
		return lab_fail(err, LAB_CORRUPT, "%zu bytes came", row->received);
	*ret = (int64_t)((bench_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) /
			 (PARALLEL * EXCHANGES));
	return 0;
}

/* ---- the row ---- */

static void close_row(struct client_row *row)
{
	live_free(&row->live);
	if (row->root[0] != '\0')
		(void)rmdir(row->root);
	for (unsigned i = 0; i < PARALLEL; i++) {
		if (row->easies[i] != NULL)
			curl_easy_cleanup(row->easies[i]);
		curl_slist_free_all(row->headers[i]);
	}
	if (row->multi != NULL)
		(void)curl_multi_cleanup(row->multi);
	emulators_free(&row->emulators);
}

int bench_client_s3(struct bench_result *ret, struct lab_error *err)
{
	struct client_row row;
	int result;

	memset(&row, 0, sizeof(row));
	emulators_init(&row.emulators);
	result = emulators_s3(&row.emulators, err);
	if (result == 0)
		result = bench_s3_fill(&row.emulators, err);
	if (result == 0)
		result = bench_s3_requests(&row.emulators, "GET", &row.gets, err);
	if (result == 0)
		result = emulators_s3_serve(&row.emulators, err);
	if (result == 0)
		result = open_core(&row, err);
	if (result == 0)
		result = open_curl(&row, err);
	if (result == 0)
		result = bench_take_turns(sample_core, sample_curl, &row, true, ret, err);
	close_row(&row);
	return result;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-serve.h - for test-*.c of this folder: a serve on free ports, files in memory, and
 * libcurl as client, signing with core/aws.
 */
#ifndef SIM_SERVE_TESTING_H
#define SIM_SERVE_TESTING_H

#include <curl/curl.h>
#include <time.h>

#include "core/aws/sigv4.h"
#include "core/base/testing.h"
#include "sim/serve/profile.h"
#include "sim/serve/serve.h"

#define T_ADDRESS "127.0.0.1:0"

struct t_file {
	const char *path, *text;
};

static struct {
	struct lab_arena *arena;
	struct conf_problems problems;
	struct serve *serve;
	const struct t_file *files; /* ended by NULLs */
	struct lab_error err;
	struct aws_credentials key;
	/* Of the last answer. */
	char body[1 << 20];
	size_t body_len;
} t;

static int t_read_file(void *ctx, struct lab_view path, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	(void)ctx;
	(void)arena;
	for (const struct t_file *f = t.files; f != NULL && f->path != NULL; f++) {
		if (!lab_view_eq_cstr(path, f->path))
			continue;
		*ret = lab_view_cstr(f->text);
		return 0;
	}
	return lab_fail(err, LAB_NOT_FOUND, "%.*s: no such file", LAB_VIEW_ARG(path));
}

static const struct conf_reader t_reader = { .read_file = t_read_file };

static int t_setup(void **state)
{
	(void)testing_setup(state);
	memset(&t, 0, sizeof(t));
	t.arena = lab_arena_new(testing_heap, (size_t)1 << 28);
	conf_problems_init(&t.problems, t.arena);
	t.key = (struct aws_credentials){ .access_key_id = LAB_VIEW(PROFILE_DEFAULT_KEY),
		.secret_access_key = LAB_VIEW(PROFILE_DEFAULT_SECRET) };
	return 0;
}

static int t_teardown(void **state)
{
	serve_stop(&t.serve);
	return testing_teardown(state);
}

#define t_test(function) cmocka_unit_test_setup_teardown(function, t_setup, t_teardown)

static uint64_t t_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * LAB_SEC + (uint64_t)now.tv_nsec;
}

static int t_start(struct serve_options *options)
{
	options->reader = &t_reader;
	options->start_ns = t_clock_ns(CLOCK_MONOTONIC);
	options->start_unix_us = t_clock_ns(CLOCK_REALTIME) / LAB_USEC;
	return serve_start(options, t.arena, &t.problems, &t.serve, &t.err);
}

__attribute__((unused)) static void t_start_ok(struct serve_options options)
{
	if (t_start(&options) < 0)
		fail_msg("%s", t.err.message);
}

/* ---- the client ---- */

static size_t t_collect(char *data, size_t size, size_t count, void *ctx)
{
	(void)ctx;
	if (t.body_len + size * count >= sizeof(t.body))
		return 0;
	memcpy(t.body + t.body_len, data, size * count);
	t.body_len += size * count;
	t.body[t.body_len] = '\0';
	return size * count;
}

/* The status, or 0 if there was no answer; the body is in t.body. */
static unsigned t_send(uint16_t port, const struct lab_http_request *request)
{
	char url[4096], header[4096], method[16];
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	CURL *curl = curl_easy_init();
	long status = 0;

	headers = curl_slist_append(headers, "Content-Type:"); /* it would not be signed */
	(void)snprintf(
		url, sizeof(url), "http://127.0.0.1:%u%.*s", port, LAB_VIEW_ARG(request->target));
	(void)snprintf(method, sizeof(method), "%.*s", LAB_VIEW_ARG(request->method));
	(void)snprintf(header, sizeof(header), "Host: %.*s", LAB_VIEW_ARG(request->authority));
	headers = curl_slist_append(headers, header);
	for (size_t i = 0; i < request->headers.count; i++) {
		(void)snprintf(header, sizeof(header), "%.*s: %.*s",
			LAB_VIEW_ARG(request->headers.items[i].name),
			LAB_VIEW_ARG(request->headers.items[i].value));
		headers = curl_slist_append(headers, header);
	}
	t.body_len = 0;
	t.body[0] = '\0';
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 10000L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, t_collect);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
	if (request->body.len > 0 || strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
			request->body.len > 0 ? (const char *)request->body.ptr : "");
	if (strcmp(method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	if (curl_easy_perform(curl) == CURLE_OK)
		(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return (unsigned)status;
}

/* Path style, signed with t.key. */
__attribute__((unused)) static unsigned t_s3(
	const char *method, const char *target, struct lab_view body)
{
	struct lab_http_request request = { .method = lab_view_cstr(method),
		.authority = LAB_VIEW("s3.amazonaws.com"),
		.target = lab_view_cstr(target),
		.body = body };
	struct sigv4_signer signer = { .credentials = &t.key,
		.region = LAB_VIEW("us-east-1"),
		.service = LAB_VIEW("s3"),
		.now_unix = (int64_t)(t_clock_ns(CLOCK_REALTIME) / LAB_SEC),
		.heap = testing_heap };

	if (t.key.token.len > 0)
		(void)lab_http_header_add(
			&request.headers, LAB_VIEW("x-amz-security-token"), t.key.token);
	if (sigv4_sign_headers(&request, &signer, t.arena, &t.err) < 0)
		fail_msg("%s", t.err.message);
	return t_send(serve_s3_port(t.serve), &request);
}

__attribute__((unused)) static unsigned t_http(
	uint16_t port, const char *method, const char *target, const char *body, const char *header)
{
	struct lab_http_request request = { .method = lab_view_cstr(method),
		.authority = LAB_VIEW("127.0.0.1"),
		.target = lab_view_cstr(target),
		.body = lab_view_cstr(body) };
	struct lab_view rest = lab_view_cstr(header), name;

	if (header != NULL) {
		(void)lab_view_split(&rest, ':', &name);
		if (lab_view_eq_cstr(name, "host"))
			request.authority = rest;
		else
			(void)lab_http_header_add(&request.headers, name, rest);
	}
	return t_send(port, &request);
}

__attribute__((unused)) static unsigned t_admin(
	const char *method, const char *target, const char *body)
{
	return t_http(serve_admin_port(t.serve), method, target, body, NULL);
}

/* The text behind "NAME":" of the last answer, up to the next quote. */
__attribute__((unused)) static struct lab_view t_json_text(const char *name)
{
	struct lab_view text = lab_view_of(t.body, t.body_len), value;
	char pattern[64];
	size_t at;

	(void)snprintf(pattern, sizeof(pattern), "\"%s\"", name);
	at = lab_view_find(text, lab_view_cstr(pattern));
	if (at == SIZE_MAX)
		fail_msg("no %s in %s", name, t.body);
	text = lab_view_skip(text, at + strlen(pattern));
	(void)lab_view_split(&text, '"', &value);
	(void)lab_view_split(&text, '"', &value);
	return lab_arena_copy(t.arena, value);
}

/* The credentials that IMDS serves now are t.key from here on. */
__attribute__((unused)) static void t_take_imds_key(void)
{
	uint16_t port = serve_imds_port(t.serve);
	char header[256];

	assert_int_equal(t_http(port, "PUT", "/latest/api/token", NULL,
				 "x-aws-ec2-metadata-token-ttl-seconds:60"),
		200);
	(void)snprintf(header, sizeof(header), "x-aws-ec2-metadata-token:%.128s", t.body);
	assert_int_equal(t_http(port, "GET", "/latest/meta-data/iam/security-credentials/oboxlab",
				 NULL, header),
		200);
	t.key.access_key_id = t_json_text("AccessKeyId");
	t.key.secret_access_key = t_json_text("SecretAccessKey");
	t.key.token = t_json_text("Token");
}

#define assert_body_has(text) \
	do { \
		if (strstr(t.body, text) == NULL) \
			fail_msg("no %s in %s", text, t.body); \
	} while (0)

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzzing-s3.h - for fuzz-*.c only: one emulator that lives as long as the fuzzer (a new one when
 * it is nearly full), and the rule that every request is answered exactly once.
 */
#ifndef LAB_FUZZING_S3_H
#define LAB_FUZZING_S3_H

#include "sim/s3-emulator/s3-emulator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct s3emu *fuzz_s3;
static size_t fuzz_replies;
static unsigned fuzz_status;
static char fuzz_body[1024]; /* the beginning of the last answer's, NUL-terminated */

static inline void fuzz_on_reply(void *ctx, const struct sim_http_reply *reply)
{
	size_t i;
	volatile uint8_t sum = 0;

	(void)ctx;
	fuzz_replies++;
	lab_assert(reply->response.status >= 200 && reply->response.status < 600);
	for (i = 0; i < reply->response.body.len; i++)
		sum = (uint8_t)(sum + reply->response.body.ptr[i]);
	fuzz_status = reply->response.status;
	i = LAB_MIN(reply->response.body.len, sizeof(fuzz_body) - 1);
	if (i > 0)
		memcpy(fuzz_body, reply->response.body.ptr, i);
	fuzz_body[i] = '\0';
}

#define FUZZ_OBJECTS_MAX 1000

static inline bool fuzz_is_nearly_full(void)
{
	const struct s3emu_counters *counters = s3emu_counters(fuzz_s3);

	return counters->objects + counters->upload_entries > FUZZ_OBJECTS_MAX - 100;
}

/* A bucket "mail" with an object "k", writable without a signature if !verify. */
static inline void fuzz_start(bool verify)
{
	struct s3emu_options options;
	struct s3emu_bucket_options bucket = { .name = LAB_VIEW("mail") };
	struct sim_credentials credentials = { .account = LAB_VIEW("1"),
		.access_key_id = LAB_VIEW("AKID"),
		.secret_access_key = LAB_VIEW("secret") };
	static struct lab_pool *pool;
	struct lab_error err;

	if (fuzz_s3 != NULL && fuzz_is_nearly_full())
		s3emu_free(&fuzz_s3);
	if (fuzz_s3 != NULL)
		return;
	if (pool == NULL)
		pool = lab_pool_new((size_t)2 << 30);
	s3emu_options_init(&options);
	options.verify_signatures = verify;
	options.limits.objects_max = FUZZ_OBJECTS_MAX;
	options.limits.part_bytes_min = 1;
	options.limits.buckets_max = 50;
	options.limits.stored_bytes_max = 1 << 24;
	options.rates.writes_per_s = options.rates.reads_per_s = 0;
	lab_assert(s3emu_new(pool, &options, &fuzz_s3, &err) == 0);
	lab_assert(s3emu_bucket_add(fuzz_s3, &bucket, &err) == 0);
	lab_assert(s3emu_credentials_add(fuzz_s3, &credentials, &err) == 0);
}

static inline void fuzz_submit(const struct lab_http_request *request)
{
	struct sim_peer peer = { .name = LAB_VIEW("fuzzer") };
	struct sim_http_service service = s3emu_service(fuzz_s3);
	size_t before = fuzz_replies;

	service.ops->submit(service.service, request, &peer, 0, fuzz_on_reply, NULL);
	lab_assert(fuzz_replies == before + 1);
}

static inline void fuzz_request(const char *method, const char *target, struct lab_view body)
{
	struct lab_http_request request = { .method = lab_view_cstr(method),
		.authority = LAB_VIEW("localhost"),
		.target = lab_view_cstr(target),
		.body = body };

	fuzz_submit(&request);
}

/* Begins an upload of /mail/k. */
static inline void fuzz_begin_upload(char id[64])
{
	const char *open;
	size_t i;

	fuzz_request("POST", "/mail/k?uploads", lab_view_of(NULL, 0));
	open = strstr(fuzz_body, "<UploadId>");
	lab_assert(open != NULL);
	open += 10;
	for (i = 0; i < 63 && open[i] != '<'; i++)
		id[i] = open[i];
	id[i] = '\0';
}

#endif

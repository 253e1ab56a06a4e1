/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-bed.h - an S3 on a socket, and the commands that tests of this module run against it.
 */
#ifndef FS_TOOL_TESTING_BED_H
#define FS_TOOL_TESTING_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "scenarios/fs-tool/fs-tool.h"
#include "scenarios/live/live-directory.h"
#include "sim/front-end/http-front-end.h"
#include "sim/s3-emulator/s3-emulator.h"

#define POOL_BYTES ((size_t)256 * 1024 * 1024)
#define OUT_MAX (1u << 20)

/* An S3 on a socket, and what the last command printed. */
struct bed {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct s3emu *s3;
	struct http_front_end *front_end;
	struct fs_tool_settings settings;
	struct fs_tool_result result;
	struct lab_error err;
	char uri[512];
	char *out;
	size_t out_len;
	char *log;
	/* Faults: the first `fail` requests of any kind get `fault`. */
	unsigned fail, failed, deletes, bulk_deletes;
	struct sim_fault fault;
};

__attribute__((unused)) static struct sim_fault on_fault(
	void *ctx, const struct sim_fault_query *query)
{
	struct bed *bed = ctx;

	(void)query;
	if (bed->failed >= bed->fail)
		return (struct sim_fault){ .kind = SIM_FAULT_NONE };
	bed->failed++;
	return bed->fault;
}

__attribute__((unused)) static void on_access(void *ctx, const struct sim_access *access)
{
	struct bed *bed = ctx;

	if (lab_view_eq_cstr(access->operation, "DELETE"))
		bed->deletes++;
	if (lab_view_eq_cstr(access->operation, "POST-DELETE"))
		bed->bulk_deletes++;
}

__attribute__((unused)) static int print(void *ctx, struct lab_view text, struct lab_error *err)
{
	struct bed *bed = ctx;

	if (bed->out_len + text.len >= OUT_MAX)
		return lab_fail(err, LAB_LIMIT, "too much");
	memcpy(bed->out + bed->out_len, text.ptr, text.len);
	bed->out_len += text.len;
	bed->out[bed->out_len] = '\0';
	return 0;
}

__attribute__((unused)) static void print_event(void *ctx, const char *line)
{
	struct bed *bed = ctx;
	size_t len = strlen(bed->log);

	(void)snprintf(bed->log + len, OUT_MAX - len, "%s\n", line);
}

__attribute__((unused)) static void bed_open(struct bed *bed, const char *parameters)
{
	struct sim_credentials credentials = { .access_key_id = LAB_VIEW("AKID"),
		.secret_access_key = LAB_VIEW("se/cr:et") };
	struct s3emu_bucket_options bucket = { .name = LAB_VIEW("mails") };
	struct http_front_end_settings settings = { 0 };
	struct s3emu_options options;

	memset(bed, 0, sizeof(*bed));
	bed->out = calloc(1, OUT_MAX);
	bed->log = calloc(1, OUT_MAX);
	bed->pool = lab_pool_new(POOL_BYTES);
	bed->heap = lab_heap_new(lab_pool_new(POOL_BYTES), POOL_BYTES);
	s3emu_options_init(&options);
	options.epoch_unix_us = (uint64_t)time(NULL) * 1000000;
	options.hooks = (struct sim_hooks){ .ctx = bed, .fault = on_fault, .access = on_access };
	assert_int_equal(s3emu_new(bed->pool, &options, &bed->s3, &bed->err), 0);
	assert_int_equal(s3emu_bucket_add(bed->s3, &bucket, &bed->err), 0);
	assert_int_equal(s3emu_credentials_add(bed->s3, &credentials, &bed->err), 0);
	settings.service = s3emu_service(bed->s3);
	assert_int_equal(http_front_end_new(&settings, &bed->front_end, &bed->err), 0);
	(void)snprintf(bed->uri, sizeof(bed->uri),
		"s3:http://AKID:se%%2fcr%%3Aet@127.0.0.1:%u/?bucket=mails%s",
		http_front_end_port(bed->front_end), parameters);
	bed->settings = (struct fs_tool_settings){
		.uri = bed->uri, .on_event = print_event, .on_event_ctx = bed
	};
}

__attribute__((unused)) static void bed_close(struct bed *bed)
{
	http_front_end_free(&bed->front_end);
	s3emu_free(&bed->s3);
	lab_pool_free(&bed->pool);
	free(bed->out);
	free(bed->log);
}

__attribute__((unused)) static int run(struct bed *bed, struct fs_tool_job job)
{
	int result;

	bed->out_len = 0;
	bed->out[0] = bed->log[0] = '\0';
	job.print = print;
	job.print_ctx = bed;
	if (job.separator == '\0')
		job.separator = '\n';
	result = fs_tool_run(&bed->settings, &job, &bed->result, &bed->err);
	return fs_tool_status(result, &bed->result, &bed->err);
}

#define RUN(bed, ...) run(bed, (struct fs_tool_job){ __VA_ARGS__ })
#define PATHS(...) \
	.paths = (const char *const[]){ __VA_ARGS__ }, \
	.path_count = sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *)

__attribute__((unused)) static struct conf_settings conf_of(struct bed *bed, const char *text)
{
	struct lab_arena *arena = lab_arena_new(bed->heap, 1u << 20);
	struct conf_settings conf;
	struct conf_section *root;

	assert_int_equal(conf_parse_text("dovecot.conf", lab_arena_copy(arena, lab_view_cstr(text)),
				 NULL, 0, arena, NULL, &root, &bed->err),
		0);
	assert_int_equal(conf_settings_load(root, arena, &conf, &bed->err), 0);
	return conf;
}

#endif

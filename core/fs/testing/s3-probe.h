/* SPDX-License-Identifier: Apache-2.0
 *
 * s3-probe.h - for test-fs-s3*.c: the drivers s3 and aws-s3 against a scripted peer in virtual time
 * (core/http/testing/fake-world.h).
 */
#ifndef LAB_FS_TESTING_S3_PROBE_H
#define LAB_FS_TESTING_S3_PROBE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/aws/credentials.h"
#include "core/fs/fs-api-private.h"
#include "core/http/testing/fake-world.h"

#define HOST "http://KEY:SECRET@bucket.s3.example.com/"
#define V4 "s3:" HOST "?region=eu-central-1"
#define HELLO_MD5 "5d41402abc4b2a76b9719d911017c592"
#define META "x-amz-meta-dovecot-"

struct s3_probe {
	struct fake_world *world;
	struct fs_services services;
	struct fs_settings settings;
	struct fs *fs;
	const char *uri;
	struct aws_credentials_source *role; /* what auth_open() gives */
	const char *asked_host, *asked_role;

	/* What a step does and finds; each test sets what its step uses. */
	const char *path, *second, *contents, *key;
	enum fs_open_mode mode;
	const char *set[6]; /* key, value, key, value... */
	size_t max_bytes, max_entries, count;
	uint32_t flags;
	int result;
	struct lab_error err;
	struct lab_view view;
	uint64_t size;
	struct lab_view *names;
	size_t name_count;
	struct lab_error results[8];
	char final_path[256];
};

/* For cmocka: *state becomes a probe of a new world, and is freed. */
int s3_probe_setup(void **state);
int s3_probe_teardown(void **state);

/* A file of the file system of `uri`, which the first one makes. / With the metadata `set`. */
struct fs_file *open_path(struct s3_probe *probe, const char *path);
struct fs_file *open_file(struct s3_probe *probe);

/* Steps: each runs in a fiber (run()), and leaves what it found in the probe. */
void step_write(void *ctx);
void step_read(void *ctx);
void step_exists(void *ctx);
void step_delete(void *ctx);
/* Files "k0", "k1"...; the last one is "k0" again if `second` is set. */
void step_delete_many(void *ctx);

/* Runs the step to its end. */
void run(struct s3_probe *probe, env_fiber_fn step);

/* Expectations; of the last step, and of the n-th request. */
void assert_view(struct lab_view got, const char *expected);
const struct lab_http_request *request_at(const struct s3_probe *probe, size_t index);
void assert_request(
	const struct s3_probe *probe, size_t index, const char *method, const char *target);
void assert_error(const struct s3_probe *probe, enum lab_code code);
void assert_ok(const struct s3_probe *probe);
/* The next answer: an error of S3. */
void error_body(struct s3_probe *probe, unsigned status, const char *code);

#define TEST(name) cmocka_unit_test_setup_teardown(name, s3_probe_setup, s3_probe_teardown)

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * test-support.h - for the tests of this folder: a world with one host in a temporary directory,
 * whose test body runs in a fiber.
 */
#ifndef LAB_ENV_LIVE_TEST_SUPPORT_H
#define LAB_ENV_LIVE_TEST_SUPPORT_H

#define _GNU_SOURCE /* nftw */

#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/env/live/live.h"

static inline void test_wait_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

struct bed {
	struct live *live;
	struct live_host *host;
	struct env *env;
	char root[64];
	void (*body)(struct bed *bed);
	bool done;
	void *extra;
};

static inline int bed_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void bed_open_with(struct bed *bed, const struct live_settings *settings,
	const struct live_host_settings *host_settings)
{
	struct live_host_settings host = *host_settings;
	struct lab_error err;

	memset(bed, 0, sizeof(*bed));
	(void)snprintf(bed->root, sizeof(bed->root), "/tmp/lab-live-XXXXXX");
	assert_non_null(mkdtemp(bed->root));
	assert_int_equal(live_new(settings, &bed->live, &err), 0);
	host.root = bed->root;
	assert_int_equal(live_host_new(bed->live, &host, &bed->host, &err), 0);
	bed->env = live_host_env(bed->host);
}

static inline void bed_open(struct bed *bed)
{
	const struct live_settings settings = { .seed = 7 };
	const struct live_host_settings host = { .hostname = "b1", .zone = "z1" };

	bed_open_with(bed, &settings, &host);
}

static inline void bed_close(struct bed *bed)
{
	live_free(&bed->live);
	assert_null(bed->live);
	assert_int_equal(nftw(bed->root, bed_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void bed_main(struct env *env, void *arg)
{
	struct bed *bed = arg;

	(void)env;
	bed->body(bed);
	bed->done = true;
}

static inline bool bed_is_done(void *ctx)
{
	return ((struct bed *)ctx)->done;
}

/* Runs `body` in a fiber of the host, to its end, for at most 30 s. */
static inline void bed_run(struct bed *bed, void (*body)(struct bed *bed))
{
	bed->body = body;
	bed->done = false;
	assert_int_equal(live_start(bed->host, "test", bed_main, bed, NULL), 0);
	assert_int_equal(
		live_run(bed->live, live_now(bed->live) + 30 * LAB_SEC, bed_is_done, bed), 0);
}

static inline void bed_run_once(void (*body)(struct bed *bed))
{
	struct bed bed;

	bed_open(&bed);
	bed_run(&bed, body);
	bed_close(&bed);
}

#endif

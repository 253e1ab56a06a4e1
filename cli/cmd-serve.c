/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-serve.c - oboxlab serve: the emulators on real sockets, until SIGTERM or SIGINT.
 */
#include "cli/options.h"

#include "core/conf/conf.h"
#include "sim/serve/serve.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define ALLOWED (OPTION_LISTEN | OPTION_SERVE)
#define OUTPUT_MAX 65536

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * LAB_SEC + (uint64_t)now.tv_nsec;
}

/* "ready" is the last line, so that scripts can wait for it. */
static void say_ready(struct serve *serve)
{
	struct lab_buf out;

	lab_buf_init(&out, cli_heap(), OUTPUT_MAX);
	serve_print(serve, &out);
	printf("%sready\n", lab_buf_cstr(&out));
	fflush(stdout);
	lab_buf_done(&out);
}

/* Blocked in every thread, so before any is made. */
static void block_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	lab_assert(sigprocmask(SIG_BLOCK, ret, NULL) == 0);
}

static int cmd_serve(int argc, char **argv)
{
	struct lab_arena *arena = lab_arena_new(cli_heap(), SIZE_MAX / 8);
	struct serve_options options = { .reader = &cli_reader,
		.start_ns = clock_ns(CLOCK_MONOTONIC),
		.start_unix_us = clock_ns(CLOCK_REALTIME) / LAB_USEC };
	struct conf_problems problems;
	struct serve *serve;
	struct lab_error err;
	struct options o;
	sigset_t signals;
	int signal, result;

	if (options_parse(argc, argv, ALLOWED, &o, &err) < 0)
		return cli_usage(&err);
	if (o.argument_count > 0) {
		lab_fail(&err, LAB_INVALID, "serve takes no arguments, only options");
		return cli_usage(&err);
	}
	options.s3 = o.s3;
	options.cql = o.cql;
	options.imds = o.imds;
	options.sproxyd = o.sproxyd;
	options.cdmi = o.cdmi;
	options.profile = o.profile;
	options.admin = o.admin;
	options.faults = o.faults;
	options.data = o.data;
	options.tls_cert = o.tls_cert;
	options.tls_key = o.tls_key;
	options.tls_client_ca = o.tls_client_ca;
	/* There are secrets among the data. */
	umask(077);
	block_signals(&signals);
	conf_problems_init(&problems, arena);
	result = serve_start(&options, arena, &problems, &serve, &err);
	cli_problems(&problems);
	if (result < 0)
		return err.code == LAB_DENIED ? cli_refused(&err) : cli_usage(&err);
	say_ready(serve);
	while (sigwait(&signals, &signal) != 0)
		;
	serve_stop(&serve);
	return CLI_PASS;
}

const struct command command_serve = { .name = "serve",
	.arguments = "",
	.doc = "the emulators on sockets, until SIGTERM",
	.examples = "serve --profile aws.conf --data DIR\n"
		    "serve --s3 127.0.0.1:9000 --admin 127.0.0.1:9009\n",
	.options = ALLOWED,
	.run = cmd_serve };

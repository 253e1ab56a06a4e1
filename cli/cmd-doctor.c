/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd-doctor.c - oboxlab doctor: what of this machine the laboratory depends on.
 */
#include "cli/options.h"

#include "scenarios/runner/confine.h"

#include <curl/curl.h>
#include <lz4.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>
#include <zlib.h>
#include <zstd.h>

#define OPEN_FILES_WANTED 1024
#define MEMORY_WANTED_MB 2048

static bool check(bool ok, const char *what, const char *advice)
{
	printf("  %-5s %s%s%s\n", ok ? "ok" : "BAD", what, ok ? "" : ": ", ok ? "" : advice);
	return ok;
}

static bool check_limits(void)
{
	struct rlimit files;
	char text[128];
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	long mb = pages / (1024 * 1024 / page);
	bool ok;

	(void)getrlimit(RLIMIT_NOFILE, &files);
	snprintf(text, sizeof(text), "open files: %llu", (unsigned long long)files.rlim_cur);
	ok = check(files.rlim_cur >= OPEN_FILES_WANTED, text, "raise it with ulimit -n 4096");
	snprintf(text, sizeof(text), "memory: %ld MB", mb);
	return check(mb >= MEMORY_WANTED_MB, text, "2 GB are needed, or fewer workers (-j 1)") &&
	       ok;
}

static bool check_self(void)
{
	uint8_t digest[LAB_DIGEST_MAX];
	char hex[2 * LAB_DIGEST_MAX + 1];

	lab_digest(LAB_MD5, LAB_VIEW("user@example.com"), digest);
	lab_hex(digest, lab_digest_size(LAB_MD5), hex);
	return check(strcmp(hex, "b58996c504c5638798eb6b511e6f49af") == 0, "MD5 is available",
		"OpenSSL runs in a mode (FIPS?) that forbids it; SigV2 and Content-MD5 need it");
}

/* What cannot be trapped is a loss, but nobody's fault: the second run of the guard is left. */
static void check_confinement(void)
{
	struct confinement c;
	const struct {
		bool ok;
		const char *what;
	} rows[] = { { (confine_probe(&c), c.system_calls), "system calls (seccomp)" },
		{ c.clocks, "clocks of the vDSO ([vvar] unreadable)" },
		{ c.counter, "the time stamp counter (PR_SET_TSC)" } };

	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		printf("  %-5s runs that use %s %s\n", rows[i].ok ? "ok" : "note", rows[i].what,
			rows[i].ok ? "end with a backtrace"
				   : "are not trapped here: only a second run (--guard) "
				     "shows them");
}

static int cmd_doctor(int argc, char **argv)
{
	struct lab_error err;
	struct utsname machine;
	struct options o;
	bool ok;

	if (options_parse(argc, argv, 0, &o, &err) < 0)
		return cli_usage(&err);
	if (o.argument_count > 0) {
		lab_fail(&err, LAB_INVALID, "doctor takes no arguments");
		return cli_usage(&err);
	}
	(void)uname(&machine);
	printf("machine    %s %s, %ld cores\n", machine.sysname, machine.machine,
		sysconf(_SC_NPROCESSORS_ONLN));
	printf("libraries  %s, libcurl %s, libmicrohttpd %s, libuv %s, zstd %s, zlib %s, lz4 %s\n",
		OpenSSL_version(OPENSSL_VERSION), curl_version_info(CURLVERSION_NOW)->version,
		MHD_get_version(), uv_version_string(), ZSTD_versionString(), zlibVersion(),
		LZ4_versionString());
	ok = check_self();
	ok = check_limits() && ok;
	check_confinement();
	printf("%s\n", ok ? "this machine is fit" : "something is missing");
	return ok ? CLI_PASS : CLI_BROKEN;
}

const struct command command_doctor = { .name = "doctor",
	.arguments = "",
	.doc = "is this machine fit to run the laboratory?",
	.run = cmd_doctor };

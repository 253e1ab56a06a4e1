/* SPDX-License-Identifier: Apache-2.0
 *
 * confine.c - seccomp, an unreadable [vvar], no rdtsc; and what to say when somebody tries.
 */
#define _GNU_SOURCE /* REG_RIP */
#include "scenarios/runner/confine.h"

#include "core/base/assert.h"
#include "core/base/base.h"
#include "core/base/watched.h"

#include <errno.h>
#include <execinfo.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

#define FRAMES_MAX 64
#define SIGNAL_STACK_BYTES (64 * 1024)
#define PAGES_MAX 4

/* Memory, what is open already, fork and wait for the guard, signals, the end. */
static const int allowed[] = {
	SYS_read,
	SYS_write,
	SYS_writev,
	SYS_close,
	SYS_mmap,
	SYS_munmap,
	SYS_mprotect,
	SYS_madvise,
	SYS_mremap,
	SYS_brk,
	SYS_futex,
	SYS_rt_sigreturn,
	SYS_rt_sigprocmask,
	SYS_rt_sigaction,
	SYS_sigaltstack,
	SYS_exit,
	SYS_exit_group,
	SYS_clone,
	SYS_wait4,
	SYS_pipe2,
	SYS_prctl,
	SYS_chdir,
	SYS_getpid,
	SYS_gettid,
	SYS_tgkill,
	SYS_set_robust_list,
	SYS_restart_syscall,
#ifdef SYS_pipe
	SYS_pipe,
#endif
};

static const struct {
	int number;
	const char *name;
} names[] = {
	{ SYS_getrandom, "getrandom()" },
	{ SYS_openat, "open()" },
	{ SYS_socket, "socket()" },
	{ SYS_connect, "connect()" },
	{ SYS_clock_gettime, "clock_gettime()" },
	{ SYS_gettimeofday, "gettimeofday()" },
	{ SYS_clock_nanosleep, "clock_nanosleep()" },
	{ SYS_nanosleep, "nanosleep()" },
	{ SYS_getcwd, "getcwd()" },
	{ SYS_uname, "uname()" },
	{ SYS_ppoll, "ppoll()" },
#ifdef SYS_open
	{ SYS_open, "open()" },
	{ SYS_poll, "poll()" },
	{ SYS_time, "time()" },
#endif
};

static struct page {
	uintptr_t start, end;
} pages[PAGES_MAX]; /* [vvar] and what belongs to it */
static size_t page_count;
static bool clocks_are_trapped;

/* ---- somebody tries ---- */

/* Never returns. Nothing that is written below needs a system call that is trapped. */
static _Noreturn void die(const char *what)
{
	void *frames[FRAMES_MAX];
	char text[200];
	int count = backtrace(frames, FRAMES_MAX);

	backtrace_symbols_fd(frames, count, 2);
	(void)snprintf(text, sizeof(text), "a run asked the machine: %s", what);
	lab_assert_failed(text, __FILE__, __LINE__, __func__);
}

static void on_system_call(int signo, siginfo_t *info, void *context)
{
	char text[64];

	(void)signo, (void)context;
	for (size_t i = 0; i < LAB_COUNT_OF(names); i++) {
		if (names[i].number == info->si_syscall)
			die(names[i].name);
	}
	(void)snprintf(text, sizeof(text), "system call %d", info->si_syscall);
	die(text);
}

/* Of an rdtsc or rdtscp? */
static bool is_counter(void *context)
{
#if defined(__x86_64__)
	const ucontext_t *u = context;
	const uint8_t *code = (const uint8_t *)(uintptr_t)u->uc_mcontext.gregs[REG_RIP];

	return u->uc_mcontext.gregs[REG_TRAPNO] == 13 && code[0] == 0x0f &&
	       (code[1] == 0x31 || (code[1] == 0x01 && code[2] == 0xf9));
#else
	(void)context;
	return false;
#endif
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;

	for (size_t i = 0; i < page_count; i++) {
		if (at >= pages[i].start && at < pages[i].end)
			die("a clock (clock_gettime(), gettimeofday() or time())");
	}
	if (is_counter(context))
		die("the time stamp counter (rdtsc)");
	/* A crash like any other: once more, without us. */
	(void)sigaction(signo, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

static bool handle(int signo, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	action.sa_sigaction = handler;
	return sigaction(signo, &action, NULL) == 0;
}

/* ---- closing the doors ---- */

/* "7f9c82d9a000", up to what is no digit. */
static uintptr_t read_hex(const char **at)
{
	static const char digits[] = "0123456789abcdef";
	uintptr_t value = 0;
	const char *digit;

	while (**at != '\0' && (digit = strchr(digits, **at)) != NULL) {
		value = value << 4 | (uintptr_t)(digit - digits);
		(*at)++;
	}
	return value;
}

/* The lines of /proc/self/maps of the pages that the vDSO's clocks are in. */
static void find_pages(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];

	page_count = 0;
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		const char *at = line;

		if (strstr(line, "[vvar") == NULL || page_count == PAGES_MAX)
			continue;
		pages[page_count].start = read_hex(&at);
		if (*at == '-')
			at++;
		pages[page_count++].end = read_hex(&at);
	}
	if (file != NULL)
		(void)fclose(file);
}

static bool protect_pages(int protection)
{
	for (size_t i = 0; i < page_count; i++) {
		if (pages[i].end <= pages[i].start ||
			mprotect((void *)pages[i].start, pages[i].end - pages[i].start,
				protection) != 0)
			return false;
	}
	return page_count > 0;
}

void confine_open_clocks(void)
{
	if (clocks_are_trapped)
		(void)protect_pages(PROT_READ);
}

void confine_close_clocks(void)
{
	if (clocks_are_trapped)
		(void)protect_pages(PROT_NONE);
}

static bool trap_system_calls(void)
{
#ifdef NATIVE_ARCH
	struct sock_filter code[2 * LAB_COUNT_OF(allowed) + 8];
	struct sock_fprog program = { .filter = code };
	unsigned short n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
	code[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < LAB_COUNT_OF(allowed); i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)allowed[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
	program.len = n;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
#else
	return false;
#endif
}

static bool trap_counter(void)
{
#if defined(__x86_64__)
	return prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0;
#else
	return false;
#endif
}

static int compare_bytes(const void *a, const void *b)
{
	return *(const uint8_t *)a - *(const uint8_t *)b;
}

/* What libraries do once, and what a backtrace loads. The first large qsort() asks how much memory
 * there is, to choose between two ways that differ only for items that compare equal. */
static void warm_up(void)
{
	uint8_t many[4096] = { 0 };
	static const enum lab_digest_kind digests[] = { LAB_MD5, LAB_SHA1, LAB_SHA256 };
	uint8_t out[LAB_DIGEST_MAX];
	void *frames[2];

	for (size_t i = 0; i < LAB_COUNT_OF(digests); i++) {
		lab_digest(digests[i], LAB_VIEW("x"), out);
		lab_hmac(digests[i], LAB_VIEW("k"), LAB_VIEW("x"), out);
	}
	qsort(many, sizeof(many), 1, compare_bytes);
	(void)backtrace(frames, 2);
}

void confine_enter(struct confinement *ret)
{
	static uint8_t stack[SIGNAL_STACK_BYTES];
	const stack_t alternative = { .ss_sp = stack, .ss_size = sizeof(stack) };

	*ret = (struct confinement){ .system_calls = false };
	if (lab_is_watched())
		return;
	warm_up();
	find_pages();
	if (sigaltstack(&alternative, NULL) != 0 || !handle(SIGSYS, on_system_call) ||
		!handle(SIGSEGV, on_fault))
		return;
	ret->counter = trap_counter();
	ret->clocks = protect_pages(PROT_NONE);
	clocks_are_trapped = ret->clocks;
	ret->system_calls = trap_system_calls();
}

/* ---- does it hold? ---- */

static void ask_clock(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
}

static void ask_counter(void)
{
#if defined(__x86_64__)
	(void)__builtin_ia32_rdtsc();
#endif
}

static void ask_random(void)
{
	uint8_t byte;

	(void)getrandom(&byte, 1, 0);
}

/* A child that is confined, and asks: does it die of it? */
static bool dies_of(void (*ask)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct confinement ignored;

		(void)close(2);
		confine_enter(&ignored);
		ask();
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return pid > 0 && WIFSIGNALED(status);
}

void confine_probe(struct confinement *ret)
{
	ret->system_calls = dies_of(ask_random);
	ret->clocks = dies_of(ask_clock);
	ret->counter = dies_of(ask_counter);
}

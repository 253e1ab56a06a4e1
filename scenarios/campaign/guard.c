/* SPDX-License-Identifier: Apache-2.0
 *
 * guard.c - the second run, and what differs. The child is a copy of the worker, so it has the
 * first run's record at hand and can compare as it goes.
 */
#include "scenarios/campaign/guard.h"

#include "scenarios/runner/report.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define OTHER_BYTE 0xA5
#define OTHER_TEXT_BYTES 5000
#define SHIFT_BYTES ((size_t)37 * 1024 * 1024 + 4096)
#define STACK_SHIFT_BYTES (40 * 1024 + 16)

/* What the child found; plain data, through a pipe. */
struct answer {
	bool is_invalid; /* it could not run: `text` has the error */
	bool is_different;
	size_t different_at;
	uint64_t sequence, trace_hash, events;
	enum run_verdict verdict;
	bool has_same_report;
	char signature[ORACLE_SIGNATURE_MAX];
	char text[RUN_RECORD_TEXT_MAX];
};

/* ---- the child ---- */

/* No run may depend on any of this. */
static void change_surroundings(struct lab_pool *pool)
{
	static char text[OTHER_TEXT_BYTES + 1];

	memset(text, 'x', OTHER_TEXT_BYTES);
	(void)clearenv();
	(void)setenv("LANG", "tr_TR.UTF-8", 1);
	(void)setenv("TZ", "Asia/Tokyo", 1);
	(void)setenv("OBOXLAB_PADDING", text, 1);
	if (chdir("/") < 0)
		lab_bug("the root directory cannot be entered");
	(void)mallopt(M_PERTURB, OTHER_BYTE);
	(void)mmap(
		NULL, SHIFT_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	lab_pool_set_fill(pool, OTHER_BYTE);
}

/* With the main stack, on which emulators run, somewhere else and full of something else. */
static int run_deeper(
	const struct run_options *options, struct run_result *result, struct lab_error *err)
{
	volatile uint8_t shift[STACK_SHIFT_BYTES];

	for (size_t i = 0; i < sizeof(shift); i++)
		shift[i] = OTHER_BYTE;
	return run_simulated(options, result, err) - (shift[0] != OTHER_BYTE);
}

static void fill_answer(struct answer *a, const struct run_record *record,
	const struct run_result *first, const struct run_result *result)
{
	a->is_different = record->is_different;
	a->different_at = record->different_at;
	a->sequence = record->sequence;
	a->trace_hash = result->trace_hash;
	a->events = result->events;
	a->verdict = result->verdict;
	a->has_same_report = strcmp(first->report, result->report) == 0;
	memcpy(a->signature, result->signature, sizeof(a->signature));
	memcpy(a->text, record->text, sizeof(a->text));
	/* It ended where the first one went on. */
	if (!record->is_different && record->count < record->expected->count) {
		a->is_different = true;
		a->different_at = record->count;
	}
}

static _Noreturn void child_main(const struct run_options *first_options,
	const struct run_result *first, size_t wanted, int fd)
{
	struct lab_pool *pool = lab_pool_new(SIZE_MAX / 2);
	struct lab_heap *heap = lab_heap_new(lab_pool_new(SIZE_MAX / 4), SIZE_MAX / 4);
	struct run_options options = *first_options;
	struct run_record record = { .expected = first_options->record, .wanted = wanted };
	struct run_result *result = calloc(1, sizeof(*result));
	struct answer *answer = calloc(1, sizeof(*answer));
	struct lab_error err = { .message = "" };
	struct lab_buf line;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	lab_assert(result != NULL && answer != NULL);
	lab_buf_init(&line, heap, 1024u * 1024);
	record.line = &line;
	options.record = &record;
	options.pool = pool;
	options.fibers = run_fibers_new(options.scenario);
	/* A third run, for the first one's words, has the first one's surroundings. */
	if (wanted == 0)
		change_surroundings(pool);
	answer->is_invalid = (wanted == 0 ? run_deeper : run_simulated)(&options, result, &err) < 0;
	fill_answer(answer, &record, first, result);
	if (answer->is_invalid)
		(void)snprintf(answer->text, sizeof(answer->text), "%s", err.message);
	report_write(fd, (const char *)answer, sizeof(*answer));
	_exit(0);
}

/* ---- the parent ---- */

static bool read_all(int fd, void *data, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, (uint8_t *)data + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

/* *ret_status is that of the process if it died without an answer, or 0. */
static int ask_child(const struct run_options *options, const struct run_result *first,
	size_t wanted, struct answer *ret, int *ret_status, struct lab_error *err)
{
	int fds[2], status = 0;
	bool has_answer;
	pid_t pid;

	if (pipe(fds) < 0)
		return lab_fail(err, LAB_IO, "cannot make a pipe: errno %d", errno);
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return lab_fail(err, LAB_IO, "cannot start a second run: errno %d", errno);
	}
	if (pid == 0) {
		close(fds[0]);
		child_main(options, first, wanted, fds[1]);
	}
	close(fds[1]);
	has_answer = read_all(fds[0], ret, sizeof(*ret));
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	*ret_status = has_answer ? 0 : status == 0 ? -1 : status;
	return 0;
}

static bool is_same(const struct answer *a, const struct run_result *first)
{
	return !a->is_invalid && !a->is_different && a->trace_hash == first->trace_hash &&
	       a->events == first->events && a->verdict == first->verdict && a->has_same_report &&
	       strcmp(a->signature, first->signature) == 0;
}

/* A third run says what the first one had there, unless it is different, too. */
static void describe_event(const struct run_options *options, const struct run_result *first,
	const struct answer *second, struct lab_buf *out)
{
	struct answer third = { .text = "" };
	struct lab_error ignored;
	int status = 0;

	lab_buf_printf(out, "First difference: event #%" PRIu64 "\n",
		second->sequence == 0 ? first->events : second->sequence);
	if (second->different_at >= options->record->count)
		lab_buf_append_cstr(out, "  first run    had ended before it\n");
	else if (ask_child(options, first, second->different_at + 1, &third, &status, &ignored) <
			 0 ||
		 status != 0)
		lab_buf_append_cstr(out, "  first run    cannot be told\n");
	else if (third.is_different && third.different_at <= second->different_at)
		lab_buf_printf(out,
			"  first run    is not known: a third one differs from it at event "
			"%zu, and has here\n               %s\n",
			third.different_at + 1, third.text[0] == '\0' ? "nothing" : third.text);
	else
		lab_buf_printf(out, "  first run    %s\n", third.text);
	lab_buf_printf(out, "  second run   %s\n",
		second->text[0] == '\0' ? "had ended before it" : second->text);
}

static const char *what_is_wrong(const struct answer *a, int status)
{
	return status != 0       ? "a second run crashed"
	       : a->is_invalid   ? "a second run could not begin"
	       : a->is_different ? "a second run is another one"
				 : "a second run ended in another way";
}

static void describe_end(const struct run_options *options, const struct run_result *first,
	const struct answer *a, struct lab_buf *out)
{
	if (a->is_different)
		describe_event(options, first, a, out);
	else
		lab_buf_printf(out, "All %zu events are the same%s.\n", options->record->count,
			a->trace_hash != first->trace_hash ? " as far as they are kept" : "");
	lab_buf_printf(out, "Verdicts: first %s%s%s, second %s%s%s%s\n",
		run_verdict_name(first->verdict), first->signature[0] == '\0' ? "" : " ",
		first->signature, run_verdict_name(a->verdict), a->signature[0] == '\0' ? "" : " ",
		a->signature, a->has_same_report ? "" : ", another report");
}

static void describe(const struct run_options *options, const struct run_result *first,
	const struct answer *a, int status, struct lab_buf *out)
{
	lab_buf_printf(out, "BROKEN  %s  seed %" PRIu64 "  not deterministic: %s\n\n",
		options->scenario->path, options->seed, what_is_wrong(a, status));
	if (status != 0)
		lab_buf_printf(out, "The second run: %s %d\n",
			WIFSIGNALED(status) ? "signal" : "exit status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	else if (a->is_invalid)
		lab_buf_printf(out, "The second run: %s\n", a->text);
	else
		describe_end(options, first, a, out);
	lab_buf_printf(out,
		"The second run had other bytes in recycled memory, other addresses, other "
		"environment variables and another directory.\n\nReplay    oboxlab replay %" PRIu64
		" %s%s\n",
		options->seed, options->scenario->path,
		options->arguments == NULL ? "" : options->arguments);
}

int guard_again(const struct run_options *options, struct run_result *result, struct lab_error *err)
{
	struct answer *answer = calloc(1, sizeof(*answer));
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_buf out;
	int status = 0;

	lab_assert(answer != NULL);
	if (ask_child(options, result, 0, answer, &status, err) < 0) {
		free(answer);
		return -1;
	}
	if (status != 0 || !is_same(answer, result)) {
		pool = lab_pool_new(SIZE_MAX / 4);
		heap = lab_heap_new(pool, SIZE_MAX / 4);
		lab_buf_init(&out, heap, RUN_REPORT_MAX - 1);
		describe(options, result, answer, status, &out);
		result->verdict = RUN_BROKEN;
		(void)snprintf(result->signature, sizeof(result->signature),
			"laboratory: not deterministic");
		(void)snprintf(result->report, sizeof(result->report), "%s", lab_buf_cstr(&out));
		lab_heap_drop(&heap);
		lab_pool_free(&pool);
	}
	free(answer);
	return 0;
}

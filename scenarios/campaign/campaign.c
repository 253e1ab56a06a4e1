/* SPDX-License-Identifier: Apache-2.0
 *
 * campaign.c - worker processes. A worker tells its parent through a pipe which seed it begins and
 * what came of it; the parent only waits and adds up.
 */
#include "scenarios/campaign/campaign.h"

#include "scenarios/runner/confine.h"
#include "scenarios/runner/costs-print.h"
#include "scenarios/runner/routing-print.h"
#include "scenarios/campaign/guard.h"
#include "scenarios/runner/report.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 200

enum message_kind {
	MESSAGE_BEGIN = 1,
	MESSAGE_RESULT,
	MESSAGE_INVALID /* the scenario cannot run: `report` has the error */
};

/* What goes through the pipe. */
struct message {
	enum message_kind kind;
	bool is_guarded; /* it was run twice */
	struct run_result result;
};

struct worker {
	pid_t pid; /* 0: not running */
	int fd;
	uint64_t next_seed; /* first one it has not reported */
	bool is_in_seed;
	uint64_t began_ns;
	size_t got; /* bytes of `message` so far */
	struct message message;
	bool was_killed; /* by us, for its time */
};

struct campaign {
	const struct campaign_settings *settings;
	struct campaign_result *result;
	struct worker *workers;
	uint64_t start_ns;
	bool is_stopping;
	char invalid[RUN_REPORT_MAX];
	uint64_t *hashes; /* by seed, for an order that does not depend on the workers */
};

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * LAB_SEC + (uint64_t)ts.tv_nsec;
}

/* ---- the worker ---- */

static void send_message(int fd, const struct message *message)
{
	report_write(fd, (const char *)message, sizeof(*message));
}

static struct run_options options_of(const struct campaign_settings *s, uint64_t number)
{
	struct run_options options = { .scenario = s->scenario,
		.seed = number,
		.defects = s->defects,
		.arguments = s->arguments,
		.mails = s->mails };

	if (s->prepare != NULL)
		s->prepare(s->ctx, number, &options);
	return options;
}

/* What every run of a worker has. */
struct worker_means {
	struct lab_pool *pool;
	struct lab_fiber_pool *fibers;
	struct run_record record;
};

/* Runs it, and where the guard wants it, runs it again. */
static int run_guarded(const struct campaign_settings *s, uint64_t number,
	const struct run_options *options, struct message *message, struct lab_error *err)
{
	if (run_simulated(options, &message->result, err) < 0)
		return -1;
	message->is_guarded = s->guard != 0 && ((number - s->first_seed) % s->guard == 0 ||
						       message->result.verdict != RUN_PASS);
	return message->is_guarded ? guard_again(options, &message->result, err) : 0;
}

static void run_one(
	const struct campaign_settings *s, uint64_t seed, struct worker_means *means, int fd)
{
	struct run_options options = options_of(s, seed);
	struct message *message = calloc(1, sizeof(*message));
	struct lab_error err;

	lab_assert(message != NULL);
	options.pool = means->pool;
	options.fibers = means->fibers;
	means->record.count = 0;
	options.record = s->guard != 0 ? &means->record : NULL;
	message->kind = MESSAGE_BEGIN;
	message->result.seed = seed;
	send_message(fd, message);
	message->kind = MESSAGE_RESULT;
	if (run_guarded(s, seed, &options, message, &err) < 0) {
		message->kind = MESSAGE_INVALID;
		snprintf(message->result.report, sizeof(message->result.report), "%s", err.message);
	}
	message->result.seed = seed;
	send_message(fd, message);
	free(message);
}

/* Every workers-th seed from `first` on. */
static _Noreturn void worker_main(const struct campaign_settings *s, uint64_t first, int fd)
{
	struct worker_means means = { .pool = lab_pool_new(SIZE_MAX / 2),
		.fibers = run_fibers_new(s->scenario) };
	struct confinement confinement;
	struct lab_error err;

	signal(SIGPIPE, SIG_DFL);
	if (s->guard != 0 && run_record_init(&means.record, &err) < 0)
		_exit(1);
	if (s->is_confined)
		confine_enter(&confinement);
	for (uint64_t seed = first; seed <= s->last_seed; seed += s->workers)
		run_one(s, seed, &means, fd);
	run_record_done(&means.record);
	lab_fiber_pool_free(&means.fibers);
	lab_pool_free(&means.pool);
	_exit(0);
}

static int worker_start(struct campaign *c, struct worker *w, struct lab_error *err)
{
	int fds[2];

	if (pipe(fds) < 0)
		return lab_fail(err, LAB_IO, "cannot make a pipe: errno %d", errno);
	w->pid = fork();
	if (w->pid < 0) {
		close(fds[0]);
		close(fds[1]);
		w->pid = 0;
		return lab_fail(err, LAB_IO, "cannot start a worker: errno %d", errno);
	}
	if (w->pid == 0) {
		close(fds[0]);
		worker_main(c->settings, w->next_seed, fds[1]);
	}
	close(fds[1]);
	w->fd = fds[0];
	w->got = 0;
	w->is_in_seed = w->was_killed = false;
	return 0;
}

/* ---- adding up ---- */

/* NULL: there is no room for another one. A new one has a count of 0. */
static struct campaign_signature *signature_of(struct campaign_result *r, const char *text)
{
	struct campaign_signature *s;

	for (size_t i = 0; i < r->signature_count; i++) {
		if (strcmp(r->signatures[i].text, text) == 0)
			return &r->signatures[i];
	}
	if (r->signature_count == CAMPAIGN_SIGNATURES_MAX)
		return NULL;
	s = &r->signatures[r->signature_count++];
	snprintf(s->text, sizeof(s->text), "%s", text);
	s->first_seed = UINT64_MAX;
	return s;
}

static void add_signature(struct campaign_result *r, const struct run_result *run)
{
	struct campaign_signature *s = signature_of(r, run->signature);

	if (s == NULL)
		return;
	s->count++;
	if (run->seed < s->first_seed) {
		s->first_seed = run->seed;
		memcpy(s->report, run->report, sizeof(s->report));
	}
}

static void add_totals(struct run_result *total, const struct run_result *run)
{
	total->events += run->events;
	total->virtual_ns += run->virtual_ns;
	total->storage_requests += run->storage_requests;
	costs_add(&total->costs, &run->costs);
	routing_add(&total->routing, &run->routing);
	rates_add(&total->rates, &run->rates);
	total->s3_requests += run->s3_requests;
	total->cql_requests += run->cql_requests;
	total->imds_requests += run->imds_requests;
	total->users += run->users;
	total->crashes += run->crashes;
	total->leaked_objects += run->leaked_objects;
	total->findings += run->findings;
	excuses_add_all(&total->excuses, &run->excuses);
	for (unsigned k = 0; k < HISTORY_KIND_COUNT; k++) {
		for (unsigned o = 0; o <= HISTORY_UNCERTAIN; o++)
			total->operations[k][o] += run->operations[k][o];
	}
	for (unsigned k = 0; k < FAULT_KIND_COUNT; k++)
		total->faults[k] += run->faults[k];
	for (unsigned m = 0; m < LAB_MARK_COUNT; m++)
		total->marks[m] += run->marks[m];
	for (unsigned a = 0; a < LAB_ALWAYS_COUNT; a++) {
		total->always.checked[a] += run->always.checked[a];
		total->always.failed[a] += run->always.failed[a];
	}
	for (unsigned h = 0; h < ENV_HOLD_COUNT; h++)
		total->holds[h] += run->holds[h];
	for (unsigned i = 0; i < ENV_BUGGIFY_COUNT; i++)
		total->buggify[i] += run->buggify[i];
	total->demotions += run->demotions;
	for (unsigned i = 0; i < RUN_EPISODES_MAX; i++) {
		total->episode_asked[i] += run->episode_asked[i];
		total->episode_fired[i] += run->episode_fired[i];
	}
}

static void add_result(struct campaign *c, const struct run_result *run)
{
	struct campaign_result *r = c->result;

	r->seeds++;
	r->excused += run->excused;
	r->passed += run->verdict == RUN_PASS;
	r->failed += run->verdict == RUN_FAIL;
	r->broken += run->verdict == RUN_BROKEN;
	r->inconclusive += run->verdict == RUN_INCONCLUSIVE;
	add_totals(&r->total, run);
	c->hashes[run->seed - c->settings->first_seed] = run->trace_hash;
	if (run->verdict != RUN_PASS)
		add_signature(r, run);
	if (run->verdict == RUN_FAIL &&
		(r->first_failed_seed == 0 || run->seed < r->first_failed_seed)) {
		r->first_failed_seed = run->seed;
		r->seeds_until_failure = run->seed - c->settings->first_seed + 1;
	}
	if (c->settings->on_result != NULL)
		c->settings->on_result(c->settings->ctx, run);
	if (run->verdict != RUN_PASS && c->settings->stop_at_first)
		c->is_stopping = true;
}

/* ---- the parent ---- */

/* Nobody needs to know what comes of it. */
static bool is_behind_failure(const struct campaign *c, uint64_t seed)
{
	return c->settings->until_failure && c->result->first_failed_seed != 0 &&
	       seed > c->result->first_failed_seed;
}

static void handle_message(struct campaign *c, struct worker *w)
{
	const struct run_result *run = &w->message.result;

	switch (w->message.kind) {
	case MESSAGE_BEGIN:
		w->is_in_seed = true;
		w->next_seed = run->seed;
		w->began_ns = wall_ns();
		break;
	case MESSAGE_RESULT:
		w->is_in_seed = false;
		w->next_seed = run->seed + c->settings->workers;
		c->result->guarded += w->message.is_guarded;
		add_result(c, run);
		break;
	case MESSAGE_INVALID:
		memcpy(c->invalid, run->report, sizeof(c->invalid));
		c->is_stopping = true;
		break;
	}
}

/* False at the end of the pipe. */
static bool read_some(struct campaign *c, struct worker *w)
{
	ssize_t n = read(w->fd, (char *)&w->message + w->got, sizeof(w->message) - w->got);

	if (n <= 0)
		return n < 0 && errno == EINTR;
	w->got += (size_t)n;
	if (w->got == sizeof(w->message)) {
		w->got = 0;
		handle_message(c, w);
	}
	return true;
}

static void broken_seed(struct campaign *c, struct worker *w, int status)
{
	struct run_options options = options_of(c->settings, w->next_seed);
	struct run_result *run = calloc(1, sizeof(*run));
	const char *how = w->was_killed ? "took too long" : "crashed the laboratory";

	lab_assert(run != NULL);
	run->seed = w->next_seed;
	run->verdict = RUN_BROKEN;
	snprintf(run->signature, sizeof(run->signature), "laboratory: %s", how);
	snprintf(run->report, sizeof(run->report),
		"BROKEN  %s  seed %" PRIu64 "  %s (%s %d)\n\nReplay    oboxlab replay %" PRIu64
		" %s%s\n",
		options.scenario->path, options.seed, how,
		WIFSIGNALED(status) ? "signal" : "exit status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), options.seed,
		options.scenario->path, options.arguments == NULL ? "" : options.arguments);
	add_result(c, run);
	free(run);
}

/* The pipe ended: the worker is done, or it died in a seed and another one goes on behind it. */
static int worker_ended(struct campaign *c, struct worker *w, struct lab_error *err)
{
	int status = 0;

	close(w->fd);
	(void)waitpid(w->pid, &status, 0);
	w->pid = 0;
	if (!w->is_in_seed || c->invalid[0] != '\0')
		return 0;
	if (!(w->was_killed && (c->is_stopping || is_behind_failure(c, w->next_seed))))
		broken_seed(c, w, status);
	w->next_seed += c->settings->workers;
	if (c->is_stopping || w->next_seed > c->settings->last_seed ||
		is_behind_failure(c, w->next_seed))
		return 0;
	return worker_start(c, w, err);
}

static void kill_worker(struct worker *w)
{
	w->was_killed = true;
	(void)kill(w->pid, SIGKILL);
}

static void watch_time(struct campaign *c, uint64_t now)
{
	const struct campaign_settings *s = c->settings;

	if (s->time_limit_ns != 0 && now - c->start_ns > s->time_limit_ns)
		c->is_stopping = true;
	for (unsigned i = 0; i < s->workers; i++) {
		struct worker *w = &c->workers[i];
		bool is_late = w->is_in_seed && s->seed_timeout_s != 0 &&
			       now - w->began_ns > s->seed_timeout_s * LAB_SEC;

		if (w->pid != 0 && !w->was_killed &&
			(c->is_stopping || is_late || is_behind_failure(c, w->next_seed)))
			kill_worker(w);
	}
}

/* Waits for messages; returns how many workers run. */
static int serve(struct campaign *c, struct lab_error *err)
{
	struct pollfd fds[CAMPAIGN_WORKERS_MAX];
	struct worker *polled[CAMPAIGN_WORKERS_MAX];
	nfds_t count = 0;

	for (unsigned i = 0; i < c->settings->workers; i++) {
		if (c->workers[i].pid == 0)
			continue;
		polled[count] = &c->workers[i];
		fds[count++] = (struct pollfd){ .fd = c->workers[i].fd, .events = POLLIN };
	}
	if (count == 0 || poll(fds, count, POLL_MS) < 0)
		return (int)count;
	for (nfds_t i = 0; i < count; i++) {
		if (fds[i].revents != 0 && !read_some(c, polled[i]) &&
			worker_ended(c, polled[i], err) < 0)
			return -1;
	}
	return (int)count;
}

static int serve_all(struct campaign *c, struct lab_error *err)
{
	uint64_t told_ns = wall_ns();
	int running;

	while ((running = serve(c, err)) > 0) {
		uint64_t now = wall_ns();

		watch_time(c, now);
		if (c->settings->on_progress != NULL && now - told_ns >= LAB_SEC) {
			told_ns = now;
			c->settings->on_progress(c->settings->ctx, c->result->seeds,
				c->result->failed + c->result->broken, now - c->start_ns);
		}
	}
	return running;
}

static int start_all(struct campaign *c, struct lab_error *err)
{
	for (unsigned i = 0; i < c->settings->workers; i++) {
		c->workers[i].next_seed = c->settings->first_seed + i;
		if (c->workers[i].next_seed <= c->settings->last_seed &&
			worker_start(c, &c->workers[i], err) < 0)
			return -1;
	}
	return 0;
}

int campaign_run(const struct campaign_settings *settings, struct campaign_result *ret,
	struct lab_error *err)
{
	struct campaign c = { .settings = settings, .result = ret, .start_ns = wall_ns() };
	size_t seeds = (size_t)(settings->last_seed - settings->first_seed + 1);
	int result;

	lab_assert(settings->workers >= 1 && settings->workers <= CAMPAIGN_WORKERS_MAX);
	memset(ret, 0, sizeof(*ret));
	ret->workers = settings->workers;
	c.workers = calloc(settings->workers, sizeof(*c.workers));
	c.hashes = calloc(seeds, sizeof(*c.hashes));
	lab_assert(c.workers != NULL && c.hashes != NULL);
	result = start_all(&c, err);
	if (result == 0)
		result = serve_all(&c, err);
	for (size_t i = 0; i < seeds; i++)
		ret->total.trace_hash = lab_hash_fold(ret->total.trace_hash, c.hashes[i]);
	/* Cases of a sweep are of one seed, and not meant to reach everything. */
	for (unsigned m = 0; m < LAB_MARK_COUNT && settings->prepare == NULL; m++) {
		if (ret->total.marks[m] == 0)
			ret->missed_marks |= settings->scenario->marks & UINT64_C(1) << m;
	}
	ret->wall_ns = wall_ns() - c.start_ns;
	free(c.hashes);
	free(c.workers);
	if (c.invalid[0] != '\0')
		return lab_fail(err, LAB_INVALID, "%s", c.invalid);
	return result;
}

void campaign_add(struct campaign_result *sum, const struct campaign_result *further)
{
	if (sum->first_failed_seed == 0 && further->first_failed_seed != 0) {
		sum->first_failed_seed = further->first_failed_seed;
		sum->seeds_until_failure = sum->seeds + further->seeds_until_failure;
	}
	sum->seeds += further->seeds;
	sum->passed += further->passed;
	sum->failed += further->failed;
	sum->broken += further->broken;
	sum->inconclusive += further->inconclusive;
	sum->excused += further->excused;
	sum->guarded += further->guarded;
	sum->wall_ns += further->wall_ns;
	sum->workers = LAB_MAX(sum->workers, further->workers);
	add_totals(&sum->total, &further->total);
	sum->total.trace_hash = lab_hash_fold(sum->total.trace_hash, further->total.trace_hash);
	for (size_t i = 0; i < further->signature_count; i++) {
		const struct campaign_signature *s = &further->signatures[i];
		struct campaign_signature *known = signature_of(sum, s->text);

		if (known != NULL && known->count == 0)
			*known = *s;
		else if (known != NULL)
			known->count += s->count;
	}
}

int campaign_exit_status(const struct campaign_result *result)
{
	if (result->failed > 0)
		return 1;
	if (result->broken > 0)
		return 3;
	return result->inconclusive > 0 || result->missed_marks != 0 || result->seeds == 0 ? 4 : 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * live-job.c - the two things for which the system has no better than a thread that waits.
 */
#include "core/env/live/live-private.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <unistd.h>

static struct live_job *job_new(struct live_host *host)
{
	struct live_job *job = lab_new(host->live->heap, struct live_job);

	job->live = host->live;
	job->host = host;
	job->waiter = live_fiber_self();
	job->fd = -1;
	LIVE_LIST_ADD(host->jobs, job);
	return job;
}

static void job_free(struct live_job *job)
{
	if (job->host != NULL)
		LIVE_LIST_REMOVE(job->host->jobs, job);
	lab_heap_free(job->live->heap, job);
}

/* The thread is done. If nobody waits any more this is also the end of the job. */
static void job_finish(struct live_job *job, int result)
{
	job->result = result;
	job->done = true;
	if (job->fd >= 0)
		close(job->fd);
	if (job->waiter == NULL)
		job_free(job);
	else
		live_fiber_unpark(job->waiter);
}

/* 0 when it is done, 1 at the deadline: then it belongs to the callback alone. */
static int job_wait(struct live_job *job, uint64_t deadline_ns)
{
	while (!job->done) {
		if (live_fiber_park(job->waiter, deadline_ns) == 0 || job->done)
			continue;
		job->waiter = NULL;
		LIVE_LIST_REMOVE(job->host->jobs, job);
		job->host = NULL;
		return 1;
	}
	return 0;
}

static void job_synced(uv_fs_t *request)
{
	struct live_job *job = request->data;
	int result = (int)request->result;

	uv_fs_req_cleanup(request);
	job_finish(job, result);
}

int live_job_sync(struct live_host *host, int fd)
{
	struct live_job *job;
	int result;

	if (host->live->no_sync)
		return 0;
	job = job_new(host);
	job->request.fs.data = job;
	/* A descriptor of its own: the file may be closed, or its host crash, meanwhile. */
	job->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (job->fd < 0) {
		result = uv_translate_sys_error(errno);
		job_free(job);
		return result;
	}
	result = uv_fs_fsync(&host->live->loop, &job->request.fs, job->fd, job_synced);
	lab_assert(result == 0);
	lab_assert(job_wait(job, ENV_FOREVER) == 0);
	result = job->result;
	job_free(job);
	return result;
}

static void job_looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
	struct live_job *job = request->data;

	if (status == 0 && found != NULL && found->ai_addrlen <= sizeof(job->address))
		memcpy(&job->address, found->ai_addr, found->ai_addrlen);
	else if (status == 0)
		status = UV_EAI_NONAME;
	uv_freeaddrinfo(found);
	job_finish(job, status);
}

int live_job_lookup(
	struct live_host *host, const char *name, uint64_t deadline_ns, struct sockaddr_in6 *ret)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct live_job *job = job_new(host);
	int result;

	job->request.lookup.data = job;
	result = uv_getaddrinfo(
		&host->live->loop, &job->request.lookup, job_looked_up, name, NULL, &hints);
	if (result == 0) {
		if (job_wait(job, deadline_ns) == 1)
			return 1;
		result = job->result;
	}
	*ret = job->address;
	job_free(job);
	return result;
}

void live_jobs_drop(struct live_host *host)
{
	while (host->jobs != NULL) {
		struct live_job *job = host->jobs;

		LIVE_LIST_REMOVE(host->jobs, job);
		job->host = NULL;
		job->waiter = NULL;
		if (job->done)
			lab_heap_free(job->live->heap, job);
	}
}

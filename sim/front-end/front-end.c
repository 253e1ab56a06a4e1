/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/front-end/front-end-private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the thread ---- */

struct front_end_call {
	struct front_end_call *next;
	void (*fn)(void *ctx);
	void *ctx;
	bool done;
};

uint64_t front_end_now(const struct front_end_thread *thread)
{
	return uv_hrtime() - thread->start_ns;
}

static struct front_end_call *thread_next_call(struct front_end_thread *thread, bool *ret_stopping)
{
	struct front_end_call *call;

	lab_assert(pthread_mutex_lock(&thread->mutex) == 0);
	call = thread->calls;
	if (call != NULL)
		thread->calls = call->next;
	if (thread->calls == NULL)
		thread->calls_last = NULL;
	*ret_stopping = thread->stopping;
	lab_assert(pthread_mutex_unlock(&thread->mutex) == 0);
	return call;
}

static void thread_close_handles(struct front_end_thread *thread)
{
	thread->stop(thread->owner);
	live_alarm_close(&thread->alarm);
	uv_close((uv_handle_t *)&thread->wake, NULL);
	uv_close((uv_handle_t *)&thread->before_wait, NULL);
}

static void thread_woken(uv_async_t *wake)
{
	struct front_end_thread *thread = wake->data;
	struct front_end_call *call;
	bool stopping;

	while ((call = thread_next_call(thread, &stopping)) != NULL) {
		call->fn(call->ctx);
		lab_assert(pthread_mutex_lock(&thread->mutex) == 0);
		call->done = true;
		lab_assert(pthread_cond_broadcast(&thread->called) == 0);
		lab_assert(pthread_mutex_unlock(&thread->mutex) == 0);
	}
	if (stopping && !uv_is_closing((uv_handle_t *)&thread->wake))
		thread_close_handles(thread);
}

static void thread_before_wait(uv_prepare_t *prepare)
{
	struct front_end_thread *thread = prepare->data;
	uint64_t until_ns = thread->turn(thread->owner);

	if (until_ns < LIVE_ALARM_NEVER - thread->start_ns)
		live_alarm_set(&thread->alarm, until_ns + thread->start_ns);
}

int front_end_thread_init(struct front_end_thread *thread, uint64_t start_ns, void *owner,
	uint64_t (*turn)(void *owner), void (*stop)(void *owner), struct lab_error *err)
{
	int rc = uv_loop_init(&thread->loop);

	if (rc < 0)
		return lab_fail(err, LAB_IO, "event loop: %s", uv_err_name(rc));
	rc = live_alarm_open(&thread->alarm, &thread->loop, NULL);
	if (rc < 0) {
		lab_assert(uv_loop_close(&thread->loop) == 0);
		return lab_fail(err, LAB_LIMIT, "timer: %s", uv_err_name(rc));
	}
	lab_assert(uv_async_init(&thread->loop, &thread->wake, thread_woken) == 0);
	lab_assert(uv_prepare_init(&thread->loop, &thread->before_wait) == 0);
	lab_assert(uv_prepare_start(&thread->before_wait, thread_before_wait) == 0);
	thread->wake.data = thread->before_wait.data = thread;
	lab_assert(pthread_mutex_init(&thread->mutex, NULL) == 0);
	lab_assert(pthread_cond_init(&thread->called, NULL) == 0);
	thread->start_ns = start_ns != 0 ? start_ns : uv_hrtime();
	thread->owner = owner;
	thread->turn = turn;
	thread->stop = stop;
	return 0;
}

static void *thread_main(void *arg)
{
	struct front_end_thread *thread = arg;
	sigset_t broken_pipe;

	/* libuv writes without MSG_NOSIGNAL: a client that is gone must be an error of its own
	 * connection, whatever the process does about signals. */
	lab_assert(sigemptyset(&broken_pipe) == 0 && sigaddset(&broken_pipe, SIGPIPE) == 0);
	lab_assert(pthread_sigmask(SIG_BLOCK, &broken_pipe, NULL) == 0);
	(void)uv_run(&thread->loop, UV_RUN_DEFAULT);
	return NULL;
}

int front_end_thread_start(struct front_end_thread *thread, struct lab_error *err)
{
	int rc = pthread_create(&thread->thread, NULL, thread_main, thread);

	return rc == 0 ? 0
		       : lab_fail(err, LAB_LIMIT, "no thread: %s",
				 uv_err_name(uv_translate_sys_error(rc)));
}

void front_end_thread_done(struct front_end_thread *thread, bool started)
{
	if (started) {
		lab_assert(pthread_mutex_lock(&thread->mutex) == 0);
		thread->stopping = true;
		lab_assert(pthread_mutex_unlock(&thread->mutex) == 0);
		lab_assert(uv_async_send(&thread->wake) == 0);
		lab_assert(pthread_join(thread->thread, NULL) == 0);
	} else {
		thread_close_handles(thread);
		(void)uv_run(&thread->loop, UV_RUN_DEFAULT);
	}
	lab_assert(uv_loop_close(&thread->loop) == 0);
	lab_assert(pthread_cond_destroy(&thread->called) == 0);
	lab_assert(pthread_mutex_destroy(&thread->mutex) == 0);
}

void front_end_thread_call(struct front_end_thread *thread, void (*fn)(void *ctx), void *ctx)
{
	struct front_end_call call = { .fn = fn, .ctx = ctx };

	if (pthread_equal(pthread_self(), thread->thread)) {
		fn(ctx);
		return;
	}
	lab_assert(pthread_mutex_lock(&thread->mutex) == 0);
	if (thread->calls_last == NULL)
		thread->calls = &call;
	else
		thread->calls_last->next = &call;
	thread->calls_last = &call;
	lab_assert(uv_async_send(&thread->wake) == 0);
	while (!call.done)
		lab_assert(pthread_cond_wait(&thread->called, &thread->mutex) == 0);
	lab_assert(pthread_mutex_unlock(&thread->mutex) == 0);
}

/* ---- sockets ---- */

int front_end_address(
	const char *text, uint16_t port, struct sockaddr_in6 *ret, struct lab_error *err)
{
	memset(ret, 0, sizeof(*ret));
	if (uv_ip4_addr(text, port, (struct sockaddr_in *)ret) == 0 ||
		uv_ip6_addr(text, port, ret) == 0)
		return 0;
	return lab_fail(err, LAB_INVALID, "\"%.64s\" is not an IP address", text);
}

static socklen_t address_size(const struct sockaddr_in6 *address)
{
	return address->sin6_family == AF_INET ? sizeof(struct sockaddr_in)
					       : sizeof(struct sockaddr_in6);
}

int front_end_listen(
	const struct sockaddr_in6 *address, unsigned backlog, int *ret_fd, struct lab_error *err)
{
	int fd = socket(address->sin6_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, error;

	if (fd < 0)
		return lab_fail(err, LAB_LIMIT, "no socket to listen on");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		bind(fd, (const struct sockaddr *)address, address_size(address)) == 0 &&
		listen(fd, (int)backlog) == 0) {
		*ret_fd = fd;
		return 0;
	}
	error = errno;
	close(fd);
	return lab_fail(err, error == EADDRINUSE ? LAB_EXISTS : LAB_IO, "port %u: %s",
		ntohs(address->sin6_port), uv_err_name(uv_translate_sys_error(error)));
}

int front_end_bound_port(int fd, uint16_t *ret, struct lab_error *err)
{
	struct sockaddr_in6 address = { 0 };
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return lab_fail(err, LAB_IO, "the port cannot be asked for");
	*ret = ntohs(address.sin6_port);
	return 0;
}

/* ---- peers ---- */

static void peer_address(const struct sockaddr *address, struct in6_addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (address->sa_family == AF_INET6) {
		*ret = ((const struct sockaddr_in6 *)address)->sin6_addr;
	} else if (address->sa_family == AF_INET) {
		ret->s6_addr[10] = ret->s6_addr[11] = 0xff;
		memcpy(ret->s6_addr + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
	}
}

int front_end_peers_init(struct front_end_peers *peers, struct lab_heap *heap,
	const struct front_end_peer *table, size_t count, struct lab_error *err)
{
	struct sockaddr_in6 address;

	if (count > FRONT_END_PEERS_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d peers", FRONT_END_PEERS_MAX);
	peers->known = lab_new_array(heap, struct front_end_known, count);
	peers->count = count;
	for (size_t i = 0; i < count; i++) {
		struct front_end_known *known = &peers->known[i];

		if (front_end_address(table[i].address, 0, &address, err) < 0)
			return -1;
		peer_address((struct sockaddr *)&address, &known->address);
		known->peer.name = lab_view_cstr(lab_heap_strdup(heap, table[i].name));
		if (table[i].zone != NULL)
			known->peer.zone = lab_view_cstr(lab_heap_strdup(heap, table[i].zone));
		known->peer.hops = OR_DEFAULT(table[i].hops, 1);
	}
	return 0;
}

static struct lab_view peer_format(const struct sockaddr *address, char text[FRONT_END_NAME_MAX])
{
	char plain[INET6_ADDRSTRLEN] = "?";
	bool v6 = address->sa_family == AF_INET6;
	/* At the same place in both families. */
	unsigned port = ntohs(((const struct sockaddr_in *)address)->sin_port);

	if (v6)
		(void)uv_ip6_name((const struct sockaddr_in6 *)address, plain, sizeof(plain));
	else
		(void)uv_ip4_name((const struct sockaddr_in *)address, plain, sizeof(plain));
	(void)snprintf(text, FRONT_END_NAME_MAX, v6 ? "[%s]:%u" : "%s:%u", plain, port);
	return lab_view_cstr(text);
}

struct sim_peer front_end_peers_find(const struct front_end_peers *peers,
	const struct sockaddr *address, uint64_t connection, char text[FRONT_END_NAME_MAX])
{
	struct sim_peer peer = { .hops = 1 };
	struct in6_addr wanted;

	peer_address(address, &wanted);
	for (size_t i = 0; i < peers->count; i++) {
		if (memcmp(&peers->known[i].address, &wanted, sizeof(wanted)) == 0) {
			peer = peers->known[i].peer;
			break;
		}
	}
	if (peer.name.ptr == NULL)
		peer.name = peer_format(address, text);
	peer.connection = connection;
	return peer;
}

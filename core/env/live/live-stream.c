/* SPDX-License-Identifier: Apache-2.0
 *
 * live-stream.c - TCP. A stream belongs to its host's list until it is closed, and to libuv until
 * its closing callback.
 */
#include "core/env/live/live-private.h"

#include <inttypes.h>

/* One stream's input that nobody has read yet. When it is full the peer's window fills. */
#define INPUT_BYTES ((size_t)64 << 10)

struct live_stream {
	struct env_stream base;
	struct live_host *host;
	struct live_stream *prev, *next;
	uv_tcp_t tcp;

	uv_connect_t connecting;
	struct live_fiber *connector;

	uint8_t *input; /* INPUT_BYTES */
	size_t input_from, input_to;
	bool reading; /* libuv is */
	bool ended;   /* orderly, by the peer */
	int error;    /* negative libuv error: the connection is dead */
	struct live_fiber *reader;

	uv_write_t write;
	bool writing;                /* somebody's message is on its way out */
	struct live_fiber *writer;   /* waits for the callback of `write` */
	struct env_cond write_queue; /* those behind it */

	bool closing;    /* by env_stream_close(), or a failed connect */
	bool closed;     /* libuv is done with it */
	unsigned inside; /* fibers that will still look at this struct */
};

static const struct env_stream_ops stream_ops;

static struct live_stream *stream_of(struct env_stream *stream)
{
	return (struct live_stream *)stream;
}

static void stream_free_if_unused(struct live_stream *stream)
{
	struct live *live = stream->tcp.loop->data;

	if (!stream->closed || stream->inside > 0)
		return;
	live->buffered -= INPUT_BYTES;
	lab_heap_free(live->heap, stream->input);
	lab_heap_free(live->heap, stream);
}

static void stream_closed(uv_handle_t *handle)
{
	struct live_stream *stream = handle->data;

	stream->closed = true;
	stream_free_if_unused(stream);
}

static void stream_leave(struct live_stream *stream)
{
	stream->inside--;
	stream_free_if_unused(stream);
}

/* No fiber gets at it any more; those that are inside see `closing`. */
static void stream_begin_close(struct live_stream *stream, bool reset)
{
	stream->closing = true;
	LIVE_LIST_REMOVE(stream->host->streams, stream);
	if (!reset || uv_tcp_close_reset(&stream->tcp, stream_closed) != 0)
		uv_close((uv_handle_t *)&stream->tcp, stream_closed);
}

/* ---- connecting ---- */

static void stream_connected(uv_connect_t *request, int status)
{
	struct live_stream *stream = request->data;

	stream->error = status;
	if (stream->connector != NULL)
		live_fiber_unpark(stream->connector);
	stream->connector = NULL;
}

static struct live_stream *stream_new(struct live_host *host, struct lab_error *err)
{
	struct live *live = host->live;
	struct live_stream *stream;

	if (INPUT_BYTES > live->buffers_max_bytes - live->buffered) {
		(void)lab_fail(err, LAB_LIMIT, "no buffer left for a connection");
		return NULL;
	}
	stream = lab_new(live->heap, struct live_stream);
	if (uv_tcp_init(&live->loop, &stream->tcp) != 0) {
		lab_heap_free(live->heap, stream);
		(void)lab_fail(err, LAB_LIMIT, "no descriptor left for a connection");
		return NULL;
	}
	live->buffered += INPUT_BYTES;
	stream->input = lab_heap_alloc(live->heap, INPUT_BYTES);
	stream->base.ops = &stream_ops;
	stream->base.env = &host->env;
	stream->host = host;
	stream->tcp.data = stream->connecting.data = stream->write.data = stream;
	LIVE_LIST_ADD(host->streams, stream);
	return stream;
}

static int stream_connect(
	struct live_stream *stream, const struct sockaddr_in6 *address, uint64_t deadline_ns)
{
	const struct live_host *host = stream->host;
	int rc = 0;

	if (host->source.sin_family == AF_INET && address->sin6_family == AF_INET)
		rc = uv_tcp_bind(&stream->tcp, (const struct sockaddr *)&host->source, 0);
	if (rc == 0)
		rc = uv_tcp_connect(&stream->connecting, &stream->tcp,
			(const struct sockaddr *)address, stream_connected);
	if (rc < 0)
		return rc;
	stream->error = UV_ETIMEDOUT; /* unless the callback says otherwise */
	stream->connector = live_fiber_self();
	while (stream->connector != NULL && live_fiber_park(stream->connector, deadline_ns) == 0)
		;
	stream->connector = NULL;
	return stream->error == 0 ? uv_tcp_nodelay(&stream->tcp, 1) : stream->error;
}

int live_connect(struct env *env, const char *name, uint16_t port, uint64_t deadline_ns,
	struct env_stream **ret, struct lab_error *err)
{
	struct live_host *host = live_host_of(env);
	struct sockaddr_in6 address;
	struct live_stream *stream;
	int rc;

	if (live_resolve(host, lab_view_cstr(name), port, deadline_ns, &address, err) < 0)
		return -1;
	host->live->was_guarded |=
		!host->live->allow_remote && !live_address_is_loopback((struct sockaddr *)&address);
	if (!host->live->allow_remote && !live_address_is_loopback((struct sockaddr *)&address))
		return lab_fail(err, LAB_DENIED, "only loopback addresses may be connected to");
	stream = stream_new(host, err);
	if (stream == NULL)
		return -1;
	rc = stream_connect(stream, &address, deadline_ns);
	if (rc == 0) {
		*ret = &stream->base;
		return 0;
	}
	stream_begin_close(stream, false);
	if (rc == UV_ETIMEDOUT)
		(void)lab_fail(err, LAB_TIMEOUT, "no connection to %s:%u in time", name, port);
	else
		(void)lab_fail(
			err, LAB_REFUSED, "connection to %s:%u: %s", name, port, uv_err_name(rc));
	if (err != NULL)
		err->retryable = true;
	return -1;
}

int live_stream_peer(struct env_stream *base, struct sockaddr_in6 *ret, struct lab_error *err)
{
	int size = sizeof(*ret);
	int rc = uv_tcp_getpeername(&stream_of(base)->tcp, (struct sockaddr *)ret, &size);

	return rc == 0 ? 0 : lab_fail(err, LAB_RESET, "connection lost: %s", uv_err_name(rc));
}

/* ---- reading ---- */

static void stream_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct live_stream *stream = handle->data;

	(void)suggested;
	buffer->base = (char *)stream->input + stream->input_to;
	buffer->len = INPUT_BYTES - stream->input_to;
}

static void stream_stop_reading(struct live_stream *stream)
{
	(void)uv_read_stop((uv_stream_t *)&stream->tcp);
	stream->reading = false;
}

/* libuv calls it the end when a reset follows data closely: it saw the hang-up and does not read
 * again (uv__stream_io). The socket knows. 0, or the error. */
static int stream_end_error(const struct live_stream *stream)
{
	socklen_t size = sizeof(int);
	uv_os_fd_t fd;
	int error = 0;

	if (uv_fileno((const uv_handle_t *)&stream->tcp, &fd) == 0 &&
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0)
		return uv_translate_sys_error(error);
	return 0;
}

static void stream_received(uv_stream_t *handle, ssize_t count, const uv_buf_t *buffer)
{
	struct live_stream *stream = handle->data;

	(void)buffer;
	if (count == 0)
		return; /* nothing there after all */
	if (count > 0)
		stream->input_to += (size_t)count;
	else if (count != UV_EOF)
		stream->error = (int)count;
	else
		stream->error = stream_end_error(stream);
	stream->ended = count == UV_EOF && stream->error == 0;
	if (count < 0 || stream->input_to == INPUT_BYTES)
		stream_stop_reading(stream);
	if (stream->reader != NULL)
		live_fiber_unpark(stream->reader);
}

static void stream_start_reading(struct live_stream *stream)
{
	int rc;

	if (stream->reading || stream->ended || stream->error != 0 ||
		stream->input_to == INPUT_BYTES)
		return;
	rc = uv_read_start((uv_stream_t *)&stream->tcp, stream_allocate, stream_received);
	if (rc == 0)
		stream->reading = true;
	else
		stream->error = rc;
}

static size_t stream_take(struct live_stream *stream, void *data, size_t size)
{
	size_t n = LAB_MIN(size, stream->input_to - stream->input_from);

	memcpy(data, stream->input + stream->input_from, n);
	stream->input_from += n;
	if (stream->input_from == stream->input_to)
		stream->input_from = stream->input_to = 0;
	return n;
}

static int stream_dead(const struct live_stream *stream, struct lab_error *err)
{
	return lab_fail(err, LAB_RESET, "connection %s%s",
		stream->closing ? "closed by this host" : "lost: ",
		stream->closing ? "" : uv_err_name(stream->error));
}

/* Waits until there is something to say to the reader. 0, or 1 at the deadline. */
static int stream_wait_input(struct live_stream *stream, uint64_t deadline_ns)
{
	int result = 0;

	lab_assert(stream->reader == NULL); /* one reader at a time */
	stream->reader = live_fiber_self();
	while (result == 0 && stream->input_to == 0 && !stream->ended && stream->error == 0 &&
		!stream->closing) {
		stream_start_reading(stream);
		if (stream->error == 0)
			result = live_fiber_park(stream->reader, deadline_ns);
	}
	stream->reader = NULL;
	return result;
}

static int stream_read(struct env_stream *base, void *data, size_t size, uint64_t deadline_ns,
	size_t *ret_n, struct lab_error *err)
{
	struct live_stream *stream = stream_of(base);
	int result = 0;

	stream->inside++;
	(void)stream_wait_input(stream, deadline_ns);
	if (stream->closing)
		result = stream_dead(stream, err);
	else if (stream->input_to > 0)
		*ret_n = stream_take(stream, data, size);
	else if (stream->error != 0)
		result = stream_dead(stream, err);
	else if (stream->ended)
		*ret_n = 0;
	else
		result = lab_fail(err, LAB_TIMEOUT, "nothing received in time");
	stream_leave(stream);
	return result;
}

/* ---- writing ---- */

static void stream_written(uv_write_t *request, int status)
{
	struct live_stream *stream = request->data;
	struct live_fiber *writer = stream->writer;

	if (status < 0 && stream->error == 0)
		stream->error = status;
	stream->writer = NULL;
	if (writer != NULL)
		live_fiber_unpark(writer);
}

/* Sends what the socket does not take at once; the data stays where it is meanwhile. */
static void stream_write_rest(struct live_stream *stream, struct lab_view rest)
{
	struct live_fiber *self = live_fiber_self();
	uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)rest.ptr, (unsigned)rest.len);
	int rc = uv_write(&stream->write, (uv_stream_t *)&stream->tcp, &buffer, 1, stream_written);

	if (rc < 0) {
		stream->error = rc;
		return;
	}
	stream->writer = self;
	while (stream->writer == self)
		(void)live_fiber_park(self, ENV_FOREVER);
}

static void stream_write_all(struct live_stream *stream, struct lab_view data)
{
	const size_t part_max = (size_t)1 << 30; /* libuv counts in unsigned */

	while (data.len > 0 && stream->error == 0 && !stream->closing) {
		struct lab_view part = lab_view_sub(data, 0, part_max);
		uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)part.ptr, (unsigned)part.len);
		int n = uv_try_write((uv_stream_t *)&stream->tcp, &buffer, 1);

		if (n == UV_EAGAIN)
			n = 0;
		if (n < 0) {
			stream->error = n;
			return;
		}
		if ((size_t)n < part.len)
			stream_write_rest(stream, lab_view_skip(part, (size_t)n));
		data = lab_view_skip(data, part.len);
	}
}

static int stream_write(struct env_stream *base, struct lab_view data, struct lab_error *err)
{
	struct live_stream *stream = stream_of(base);
	int result = 0;

	stream->inside++;
	/* Whole messages stay whole: who comes while another is blocked waits behind it. */
	while (stream->writing && !stream->closing)
		(void)env_cond_wait(base->env, &stream->write_queue, ENV_FOREVER);
	stream->writing = true;
	stream_write_all(stream, data);
	stream->writing = false;
	if (stream->error != 0 || stream->closing)
		result = stream_dead(stream, err);
	env_cond_signal(base->env, &stream->write_queue);
	stream_leave(stream);
	return result;
}

/* ---- the end ---- */

static void stream_close(struct env_stream *base)
{
	struct live_stream *stream = stream_of(base);

	stream_begin_close(stream, false);
	if (stream->reader != NULL)
		live_fiber_unpark(stream->reader);
	/* A blocked writer is woken by libuv, with UV_ECANCELED. */
	env_cond_broadcast(base->env, &stream->write_queue);
}

void live_streams_drop(struct live_host *host)
{
	while (host->streams != NULL) {
		struct live_stream *stream = host->streams;

		/* Its fibers never run again. */
		stream->inside = 0;
		stream->connector = stream->reader = stream->writer = NULL;
		stream_begin_close(stream, true);
	}
}

static const struct env_stream_ops stream_ops = {
	.read = stream_read,
	.write = stream_write,
	.close = stream_close,
};

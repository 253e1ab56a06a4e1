/* SPDX-License-Identifier: Apache-2.0
 *
 * live-tls.c - streams with TLS on top of live-stream.c's.
 *
 * A stream is its host's until it is closed, and lives until the last fiber inside has left it, in
 * live->heap: OpenSSL's part must be freed after a crash, too.
 */
#include "core/env/live/live-private.h"

#include "core/env/live/tls.h"

#define READ_BYTES ((size_t)16 << 10)
/* One write's records; what a peer can make us answer without reading is less. */
#define OUT_BYTES_MAX ((size_t)1 << 20)

struct live_tls_stream {
	struct env_stream base;
	struct live_host *host;
	struct live_tls_stream *prev, *next;
	struct env_stream *inner;
	struct live_tls *tls;
	/* Who holds it takes what is to be sent and sends it: records keep their order. */
	struct env_semaphore sending;
	struct lab_buf out; /* of the host's heap: what its holder is sending */
	bool closing;
	bool failed;     /* nothing more can be understood */
	unsigned inside; /* fibers that will still look at this struct */
	uint8_t input[READ_BYTES];
};

static const struct env_stream_ops tls_stream_ops;

static void stream_free(struct live_tls_stream *stream)
{
	lab_buf_done(&stream->out);
	live_tls_free(&stream->tls);
	lab_heap_free(stream->host->live->heap, stream);
}

static void stream_leave(struct live_tls_stream *stream)
{
	stream->inside--;
	if (stream->closing && stream->inside == 0)
		stream_free(stream);
}

static int stream_closed(struct lab_error *err)
{
	return lab_fail(err, LAB_RESET, "connection closed by this host");
}

/* ---- bytes on the wire ---- */

/* Sends what there is to send, with `sending` held. */
static int send_output(struct live_tls_stream *stream, struct lab_error *err)
{
	while (!stream->closing && live_tls_output(stream->tls).len > 0) {
		/* A copy: a reader may add to it while this blocks. */
		lab_buf_reset(&stream->out);
		lab_buf_append_view(&stream->out, live_tls_output(stream->tls));
		live_tls_output_taken(stream->tls);
		if (stream->out.overflow)
			return lab_fail(err, LAB_LIMIT, "TLS: too much to say at once");
		if (env_stream_write(stream->inner, lab_buf_view(&stream->out), err) < 0)
			return -1;
	}
	return stream->closing ? stream_closed(err) : 0;
}

static int send_locked(struct live_tls_stream *stream, struct lab_error *err)
{
	int result;

	(void)env_semaphore_take(stream->base.env, &stream->sending, ENV_FOREVER, NULL);
	result = send_output(stream, err);
	env_semaphore_give(stream->base.env, &stream->sending);
	return result;
}

/* Takes what the peer has sent. 0; 1 at its end; -1. */
static int receive_input(
	struct live_tls_stream *stream, uint64_t deadline_ns, struct lab_error *err)
{
	size_t n;

	if (env_stream_read(stream->inner, stream->input, READ_BYTES, deadline_ns, &n, err) < 0)
		return -1;
	if (stream->closing)
		return stream_closed(err);
	live_tls_put(stream->tls, lab_view_of(stream->input, n));
	return n == 0 ? 1 : 0;
}

/* ---- reading and writing ---- */

static int read_some(struct live_tls_stream *stream, void *data, size_t size, uint64_t deadline_ns,
	size_t *ret_n, struct lab_error *err)
{
	for (;;) {
		int rc = live_tls_read(stream->tls, data, size, ret_n, err);

		stream->failed |= rc < 0;
		/* An answer to a key update, or the alert that says why not. */
		if (live_tls_output(stream->tls).len > 0 && send_locked(stream, NULL) < 0 &&
			stream->closing)
			return stream_closed(err);
		if (rc <= 0)
			return rc;
		rc = receive_input(stream, deadline_ns, err);
		if (rc < 0)
			return -1;
		if (rc > 0)
			return lab_fail(err, LAB_RESET,
				"connection lost: TLS was cut off without a goodbye");
	}
}

static int tls_stream_read(struct env_stream *base, void *data, size_t size, uint64_t deadline_ns,
	size_t *ret_n, struct lab_error *err)
{
	struct live_tls_stream *stream = (struct live_tls_stream *)base;
	int result;

	stream->inside++;
	result = stream->failed ? lab_fail(err, LAB_RESET, "connection lost: TLS failed before")
				: read_some(stream, data, size, deadline_ns, ret_n, err);
	/* To who reads a stream a broken record is a broken connection. */
	if (result < 0 && err != NULL && err->code != LAB_TIMEOUT)
		err->code = LAB_RESET;
	stream_leave(stream);
	return result;
}

static int write_all(struct live_tls_stream *stream, struct lab_view data, struct lab_error *err)
{
	while (data.len > 0) {
		struct lab_view part = lab_view_sub(data, 0, LIVE_TLS_WRITE_MAX);

		if (stream->closing)
			return stream_closed(err);
		if (stream->failed || live_tls_write(stream->tls, part, err) < 0)
			return lab_fail(err, LAB_RESET, "connection lost: TLS failed before");
		if (send_output(stream, err) < 0)
			return -1;
		data = lab_view_skip(data, part.len);
	}
	return 0;
}

static int tls_stream_write(struct env_stream *base, struct lab_view data, struct lab_error *err)
{
	struct live_tls_stream *stream = (struct live_tls_stream *)base;
	int result;

	stream->inside++;
	(void)env_semaphore_take(base->env, &stream->sending, ENV_FOREVER, NULL);
	result = write_all(stream, data, err);
	env_semaphore_give(base->env, &stream->sending);
	stream_leave(stream);
	return result;
}

static void tls_stream_close(struct env_stream *base)
{
	struct live_tls_stream *stream = (struct live_tls_stream *)base;

	/* No goodbye: closing never blocks. */
	stream->closing = true;
	LIVE_LIST_REMOVE(stream->host->tls_streams, stream);
	env_stream_close(&stream->inner);
	if (stream->inside == 0)
		stream_free(stream);
}

void live_tls_streams_drop(struct live_host *host)
{
	while (host->tls_streams != NULL) {
		struct live_tls_stream *stream = host->tls_streams;

		/* Its fibers never run again; its buffer and what is below it go with the host. */
		LIVE_LIST_REMOVE(host->tls_streams, stream);
		live_tls_free(&stream->tls);
		lab_heap_free(host->live->heap, stream);
	}
}

static const struct env_stream_ops tls_stream_ops = {
	.read = tls_stream_read,
	.write = tls_stream_write,
	.close = tls_stream_close,
};

/* ---- connecting ---- */

static int handshake(struct live_tls_stream *stream, uint64_t deadline_ns, struct lab_error *err)
{
	for (;;) {
		int rc = live_tls_handshake(stream->tls, err);

		/* Also the alert that says why not. */
		if (send_output(stream, rc < 0 ? NULL : err) < 0 && rc >= 0)
			return -1;
		if (rc <= 0)
			return rc;
		rc = receive_input(stream, deadline_ns, err);
		if (rc < 0)
			return -1;
		if (rc > 0)
			return lab_fail(
				err, LAB_RESET, "TLS: connection closed during the handshake");
	}
}

/* What the certificate is compared with, and the server is told. */
static int make_session(struct live_tls_stream *stream, const char *host,
	const struct env_tls *settings, struct lab_error *err)
{
	const struct live *live = stream->host->live;
	struct live_tls_settings files = { .ca_file = settings->ca_file,
		.cert_file = settings->cert_file,
		.key_file = settings->key_file,
		.key_password = settings->key_password };
	struct live_tls_context *context;
	struct sockaddr_in6 address;
	char text[64];
	int result;

	if (live->stream_ca_file != NULL)
		files = (struct live_tls_settings){ .ca_file = live->stream_ca_file };
	if (live_stream_peer(stream->inner, &address, err) < 0 ||
		live_tls_context_new(&files, &context, err) < 0)
		return -1;
	live_address_format(&address, text, sizeof(text));
	if (text[0] == '[') {
		memmove(text, text + 1, strlen(text));
		text[strlen(text) - 1] = '\0';
	}
	result = live_tls_new(context, settings->verify,
		settings->verify == ENV_TLS_VERIFY_IP ? text : host,
		live_address_is_literal(lab_view_cstr(host)) ? NULL : host, &stream->tls, err);
	live_tls_context_free(&context);
	return result;
}

static struct live_tls_stream *stream_new(struct live_host *host, struct env_stream *inner)
{
	struct live_tls_stream *stream = lab_new(host->live->heap, struct live_tls_stream);

	stream->base.ops = &tls_stream_ops;
	stream->base.env = &host->env;
	stream->host = host;
	stream->inner = inner;
	stream->sending.free = 1;
	lab_buf_init(&stream->out, host->env.heap, OUT_BYTES_MAX);
	LIVE_LIST_ADD(host->tls_streams, stream);
	return stream;
}

int live_connect_tls(struct env *env, const char *name, uint16_t port,
	const struct env_tls *settings, uint64_t deadline_ns, struct env_stream **ret,
	struct lab_error *err)
{
	struct live_host *host = live_host_of(env);
	struct live_tls_stream *stream;
	struct env_stream *inner, *base;
	int result;

	if (live_connect(env, name, port, deadline_ns, &inner, err) < 0)
		return -1;
	stream = stream_new(host, inner);
	base = &stream->base;
	result = make_session(stream, name, settings, err);
	if (result == 0)
		result = handshake(stream, deadline_ns, err);
	if (result == 0) {
		*ret = base;
		return 0;
	}
	env_stream_close(&base);
	if (err != NULL)
		err->retryable = err->code != LAB_INVALID;
	return lab_error_wrap(err, "%s:%u", name, port);
}

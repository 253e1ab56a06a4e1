/* SPDX-License-Identifier: Apache-2.0
 *
 * test-server.h - a server of raw sockets and threads that misbehaves as the request's target says.
 * It shares nothing with what is tested.
 */
#ifndef LAB_ENV_LIVE_TEST_SERVER_H
#define LAB_ENV_LIVE_TEST_SERVER_H

#include "core/env/live/test-support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>

#define SERVER_REQUEST_MAX ((size_t)4 << 20)

struct server {
	int fd;
	uint16_t port;
	pthread_t thread;
	pthread_mutex_t mutex;
	unsigned connections, requests, open; /* under the mutex, as all below */
	char last[4096];                      /* of the last request, its head */
	size_t last_body_len;
	uint8_t last_body_first, last_body_last;
	struct sockaddr_in last_peer;
};

struct server_connection {
	struct server *server;
	int fd;
	unsigned requests; /* on this connection */
	char head[4096];
	size_t head_len;
	uint8_t *in; /* SERVER_REQUEST_MAX */
	size_t in_len;
};

static inline bool server_has(const char *head, const char *what)
{
	return strstr(head, what) != NULL;
}

static inline void server_send(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

static inline void server_say(int fd, const char *text)
{
	server_send(fd, text, strlen(text));
}

static inline void server_reset(int fd)
{
	struct linger reset = { .l_onoff = 1 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

static inline size_t server_content_length(const char *head)
{
	const char *found = strstr(head, "Content-Length: ");

	return found == NULL ? 0 : (size_t)strtoull(found + 16, NULL, 10);
}

/* Reads one request. False at the end of the connection. */
static inline bool server_read(struct server_connection *connection)
{
	size_t wanted = SIZE_MAX;

	connection->in_len = 0;
	while (connection->in_len < wanted) {
		ssize_t n = recv(connection->fd, connection->in + connection->in_len,
			SERVER_REQUEST_MAX - 1 - connection->in_len, 0);
		char *end;

		if (n <= 0)
			return false;
		connection->in_len += (size_t)n;
		connection->in[connection->in_len] = '\0';
		end = strstr((char *)connection->in, "\r\n\r\n");
		if (end == NULL || wanted != SIZE_MAX)
			continue;
		connection->head_len = (size_t)(end - (char *)connection->in) + 4;
		if (connection->head_len >= sizeof(connection->head))
			return false;
		memcpy(connection->head, connection->in, connection->head_len);
		connection->head[connection->head_len] = '\0';
		wanted = connection->head_len + server_content_length(connection->head);
		if (server_has(connection->head, "/slow-read"))
			test_wait_ms(500);
	}
	return true;
}

static inline void server_note(struct server_connection *connection)
{
	struct server *server = connection->server;
	socklen_t size = sizeof(server->last_peer);

	(void)pthread_mutex_lock(&server->mutex);
	server->requests++;
	connection->requests++;
	memcpy(server->last, connection->head, connection->head_len + 1);
	server->last_body_len = connection->in_len - connection->head_len;
	if (server->last_body_len > 0) {
		server->last_body_first = connection->in[connection->head_len];
		server->last_body_last = connection->in[connection->in_len - 1];
	}
	(void)getpeername(connection->fd, (struct sockaddr *)&server->last_peer, &size);
	(void)pthread_mutex_unlock(&server->mutex);
}

static inline void server_say_big(int fd, size_t size)
{
	char head[128], part[4096];

	memset(part, 'x', sizeof(part));
	(void)snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
	server_say(fd, head);
	for (size_t sent = 0; sent < size; sent += sizeof(part))
		server_send(fd, part, LAB_MIN(sizeof(part), size - sent));
}

static inline void server_wait_for_peer(int fd)
{
	char sink[4096];

	while (recv(fd, sink, sizeof(sink), 0) > 0)
		;
}

static inline void server_say_many_headers(int fd)
{
	char line[64];

	server_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(line, sizeof(line), "X-Header-%u: v\r\n", i);
		server_say(fd, line);
	}
	server_say(fd, "\r\n");
}

/* What the target asks for. False: the connection ends. */
static inline bool server_answer(struct server_connection *connection)
{
	static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nx-a:  2 \r\n"
				 "X-Empty:\r\n\r\n";
	const char *head = connection->head;
	int fd = connection->fd;

	if (server_has(head, " /reset-second") && connection->requests > 1) {
		server_reset(fd);
		return false;
	}
	if (server_has(head, " /close-second") && connection->requests > 1)
		return false;
	if (server_has(head, " /reset ")) {
		server_reset(fd);
		return false;
	}
	if (server_has(head, " /close "))
		return false;
	if (server_has(head, " /partial")) {
		server_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
		if (server_has(head, " /partial-reset"))
			server_reset(fd);
		return false;
	}
	if (server_has(head, " /trickle")) {
		server_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
		for (unsigned i = 0; i < 100; i++) {
			server_say(fd, "x");
			test_wait_ms(10);
		}
		return false;
	}
	if (server_has(head, " /silence")) {
		server_wait_for_peer(fd);
		return false;
	}
	if (server_has(head, " /garbage")) {
		server_say(fd, "220 mail.example.com ESMTP\r\n");
		return false;
	}
	if (server_has(head, " /bad-header")) {
		server_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nno colon here\r\n\r\n");
		return false;
	}
	if (server_has(head, " /folded")) {
		server_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: a\r\n  b: c\r\n\r\n");
		return false;
	}
	if (server_has(head, " /many-headers"))
		server_say_many_headers(fd);
	else if (server_has(head, " /chunked"))
		server_say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			       "3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Trailer: t\r\n\r\n");
	else if (server_has(head, " /continue"))
		server_say(fd, "HTTP/1.1 100 Continue\r\nX-No: 1\r\n\r\n"
			       "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n");
	else if (server_has(head, " /redirect"))
		server_say(fd, "HTTP/1.1 307 Temporary Redirect\r\nLocation: /ok\r\n"
			       "Content-Length: 0\r\n\r\n");
	else if (server_has(head, " /big"))
		server_say_big(fd, 1 << 20);
	else if (server_has(head, "HEAD "))
		server_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n");
	else {
		server_say(fd, ok);
		server_say(fd, "ok");
	}
	return !server_has(head, " /then-close");
}

static inline void *server_serve(void *arg)
{
	struct server_connection *connection = arg;
	struct server *server = connection->server;

	while (server_read(connection)) {
		server_note(connection);
		if (!server_answer(connection))
			break;
	}
	(void)close(connection->fd);
	(void)pthread_mutex_lock(&server->mutex);
	server->open--;
	(void)pthread_mutex_unlock(&server->mutex);
	free(connection->in);
	free(connection);
	return NULL;
}

static inline void *server_accept(void *arg)
{
	struct server *server = arg;
	int fd;

	while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
		struct server_connection *connection = calloc(1, sizeof(*connection));
		pthread_t thread;

		connection->server = server;
		connection->fd = fd;
		connection->in = malloc(SERVER_REQUEST_MAX);
		(void)pthread_mutex_lock(&server->mutex);
		server->connections++;
		server->open++;
		(void)pthread_mutex_unlock(&server->mutex);
		(void)pthread_create(&thread, NULL, server_serve, connection);
		(void)pthread_detach(thread);
	}
	return NULL;
}

static inline void server_listen(struct server *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->fd, 64), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
	server->port = ntohs(address.sin_port);
}

static inline void server_start(struct server *server)
{
	memset(server, 0, sizeof(*server));
	(void)pthread_mutex_init(&server->mutex, NULL);
	server_listen(server);
	assert_int_equal(pthread_create(&server->thread, NULL, server_accept, server), 0);
}

static inline unsigned server_open(struct server *server)
{
	unsigned open;

	(void)pthread_mutex_lock(&server->mutex);
	open = server->open;
	(void)pthread_mutex_unlock(&server->mutex);
	return open;
}

/* All clients must have gone. */
static inline void server_stop(struct server *server)
{
	(void)shutdown(server->fd, SHUT_RDWR);
	(void)pthread_join(server->thread, NULL);
	(void)close(server->fd);
	for (unsigned i = 0; server_open(server) > 0; i++) {
		assert_true(i < 5000);
		test_wait_ms(1);
	}
	(void)pthread_mutex_destroy(&server->mutex);
}

static inline unsigned server_requests(struct server *server)
{
	unsigned requests;

	(void)pthread_mutex_lock(&server->mutex);
	requests = server->requests;
	(void)pthread_mutex_unlock(&server->mutex);
	return requests;
}

static inline unsigned server_connections(struct server *server)
{
	unsigned connections;

	(void)pthread_mutex_lock(&server->mutex);
	connections = server->connections;
	(void)pthread_mutex_unlock(&server->mutex);
	return connections;
}

#endif

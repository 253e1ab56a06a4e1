/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/testing-serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct t_file files[] = { { "lab.conf",
					       "cql {\n nodes = 3\n topology = a:r1 a:r2 b:r1\n"
					       " conviction = 10 ms\n}\n" },
	{ NULL, NULL } };

static void start(void)
{
	t.files = files;
	t_start_ok((struct serve_options){
		.cql = "127.0.4.1:0", .admin = T_ADDRESS, .profile = "lab.conf" });
}

/* A connection to node 2, or -1 if it is refused. */
static int try_node(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(serve_cql_port(t.serve)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(inet_pton(AF_INET, "127.0.4.2", &to.sin_addr), 1);
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	return -1;
}

static uint8_t answer[4096];

/* Bytes that come within the time; 0: none, or the end. */
static ssize_t ask(int fd, const uint8_t *frame, size_t size, int timeout_ms)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (send(fd, frame, size, MSG_NOSIGNAL) != (ssize_t)size ||
		poll(&poller, 1, timeout_ms) != 1)
		return 0;
	n = read(fd, answer, sizeof(answer));
	return LAB_MAX(n, 0);
}

static const uint8_t startup[] = { 4, 0, 0, 1, 1, 0, 0, 0, 22, 0, 1, 0, 11, 'C', 'Q', 'L', '_', 'V',
	'E', 'R', 'S', 'I', 'O', 'N', 0, 5, '3', '.', '0', '.', '0' };
static const uint8_t query[] = { 4, 0, 0, 2, 7, 0, 0, 0, 36, 0, 0, 0, 29, 'S', 'E', 'L', 'E', 'C',
	'T', ' ', 'k', 'e', 'y', ' ', 'F', 'R', 'O', 'M', ' ', 's', 'y', 's', 't', 'e', 'm', '.',
	'l', 'o', 'c', 'a', 'l', ' ', 0, 1, 0 };

static const uint8_t peers[] = { 4, 0, 0, 3, 7, 0, 0, 0, 49, 0, 0, 0, 42, 'S', 'E', 'L', 'E', 'C',
	'T', ' ', 'n', 'a', 't', 'i', 'v', 'e', '_', 'p', 'o', 'r', 't', ' ', 'F', 'R', 'O', 'M',
	' ', 's', 'y', 's', 't', 'e', 'm', '.', 'p', 'e', 'e', 'r', 's', '_', 'v', '2', ' ', ' ',
	' ', 0, 1, 0 };

static void node(const char *action, unsigned status)
{
	char target[128];

	(void)snprintf(target, sizeof(target), "/nodes?name=cassandra-2&do=%s", action);
	if (t_admin("POST", target, NULL) != status)
		fail_msg("%s: %s", action, t.body);
}

/* The part of the answer that is about node 2. */
static const char *node_2(void)
{
	char *at = strstr(t.body, "{\"name\":\"cassandra-2\"");

	assert_non_null(at);
	*strchr(at, '}') = '\0';
	return at;
}

static void assert_node_2(const char *text)
{
	const char *at = node_2();

	if (strstr(at, text) == NULL)
		fail_msg("no %s in %s", text, at);
}

static void nodes_have_places_states_and_counts(void **state)
{
	int fd;

	(void)state;
	start();
	fd = try_node();
	assert_int_equal(ask(fd, startup, sizeof(startup), 5000), 9);
	assert_true(ask(fd, query, sizeof(query), 5000) > 9);
	assert_int_equal(t_admin("GET", "/nodes", NULL), 200);
	assert_body_has("\"name\":\"cassandra-3\",\"address\":\"127.0.4.3\",\"datacenter\":\"b\","
			"\"rack\":\"r1\",\"state\":\"up\"");
	assert_node_2("\"datacenter\":\"a\",\"rack\":\"r2\",\"state\":\"up\",\"seen_up_by\":"
		      "[\"cassandra-1\",\"cassandra-3\"],\"connections\":1,\"connections_open\":1,"
		      "\"requests\":2,\"statements\":1,");
	close(fd);
}

static void drivers_learn_the_port_that_was_chosen(void **state)
{
	uint16_t port;
	ssize_t n;
	int fd;

	(void)state;
	start();
	port = htons(serve_cql_port(t.serve));
	fd = try_node();
	assert_int_equal(ask(fd, startup, sizeof(startup), 5000), 9);
	n = ask(fd, peers, sizeof(peers), 5000);
	assert_true(n > 20);
	/* An int: two zero bytes and the port end the last row. */
	assert_memory_equal(answer + n - 2, &port, 2);
	close(fd);
}

static void check_down(const char *action)
{
	int fd = try_node();

	assert_int_equal(ask(fd, startup, sizeof(startup), 5000), 9);
	node(action, 200);
	assert_node_2("\"state\":\"down\"");
	assert_int_equal(try_node(), -1);
	assert_int_equal(ask(fd, query, sizeof(query), 5000), 0);
	close(fd);
}

static void a_node_that_is_down_refuses_connections(void **state)
{
	static const char *const ways[] = { "stop", "kill" };
	int fd;

	(void)state;
	start();
	for (size_t i = 0; i < LAB_COUNT_OF(ways); i++) {
		check_down(ways[i]);
		node("start", 200);
		assert_node_2("\"state\":\"up\"");
		fd = try_node();
		assert_int_equal(ask(fd, startup, sizeof(startup), 5000), 9);
		close(fd);
	}
}

static void a_frozen_node_answers_when_it_is_thawed(void **state)
{
	struct pollfd poller = { .events = POLLIN };

	(void)state;
	start();
	poller.fd = try_node();
	assert_int_equal(ask(poller.fd, startup, sizeof(startup), 5000), 9);
	node("freeze", 200);
	assert_node_2("\"state\":\"frozen\"");
	assert_int_equal(ask(poller.fd, query, sizeof(query), 50), 0);
	node("thaw", 200);
	assert_int_equal(poll(&poller, 1, 5000), 1);
	close(poller.fd);
}

static void only_what_makes_sense_is_done(void **state)
{
	(void)state;
	start();
	node("start", 409);
	assert_body_has("\"it is up\"");
	node("thaw", 409);
	node("start-empty", 409);
	node("forget-prepared", 200);
	node("compact", 200);
	node("stop", 200);
	node("stop", 409);
	assert_body_has("\"it is down\"");
	node("freeze", 409);
	node("explode", 400);
	assert_body_has("do is stop, kill, start");
	node("start-empty", 200);
	assert_int_equal(t_admin("POST", "/nodes?name=cassandra-9&do=stop", NULL), 404);
	assert_int_equal(t_admin("POST", "/nodes?do=stop", NULL), 404);
	assert_int_equal(t_admin("DELETE", "/nodes", NULL), 405);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		t_test(nodes_have_places_states_and_counts),
		t_test(drivers_learn_the_port_that_was_chosen),
		t_test(a_node_that_is_down_refuses_connections),
		t_test(a_frozen_node_answers_when_it_is_thawed),
		t_test(only_what_makes_sense_is_done),
	};

	return cmocka_run_group_tests_name("nodes", tests, NULL, NULL);
}

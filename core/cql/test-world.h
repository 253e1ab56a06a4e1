/* SPDX-License-Identifier: Apache-2.0
 *
 * test-world.h - for tests only: a world with virtual time, fibers and scripted Cassandra nodes.
 *
 * Nodes answer the handshake and PREPARE by themselves; what a statement is answered with comes
 * from the test, a list of answers in order. A node remembers every request it got.
 */
#ifndef LAB_CQL_TEST_WORLD_H
#define LAB_CQL_TEST_WORLD_H

#include "core/base/fiber.h"
#include "core/cql/cql-client.h"
#include "core/env/env-private.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define NODES_MAX 4
#define ANSWERS_MAX 64
#define SEEN_MAX 512
#define FIBERS_MAX 256
#define STREAMS_MAX 256

enum answer_kind {
	ANSWER_VOID,
	ANSWER_ROWS,
	ANSWER_ERROR,
	ANSWER_SILENCE,
	ANSWER_CLOSE,
	ANSWER_GARBAGE, /* a RESULT of no known kind */
	ANSWER_STRAY,   /* to a question that nobody asked */
	ANSWER_READY,   /* a READY, which is no answer to a statement */
	ANSWER_END      /* an orderly end of the stream */
};

/* What a node says to one QUERY or EXECUTE. */
struct answer {
	enum answer_kind kind;
	uint64_t delay_ns;
	struct cql_error error;
	const char *rows;   /* "a,b;c,d": text cells; "NULL" is null, "#5" an int, "@5" a bigint,
			       "x:ab"   bytes; columns are as prepared */
	const char *paging; /* there is a next page */
};

struct seen {
	uint64_t time_ns;
	enum cql_opcode opcode;
	struct lab_view query; /* the text, also of an EXECUTE */
	struct cql_params params;
	enum cql_batch_type batch_type;
	struct cql_batch_item *batch; /* of a BATCH */
	size_t batch_count;
};

/* What PREPARE of a text tells: types of binds and of columns, as letters: t text, b blob, i int,
 * l bigint. Binds in capital letters are the partition key. */
struct shape {
	const char *query;
	const char *binds;
	const char *columns;
};

struct test_world;
struct test_stream;

struct node {
	struct test_world *world;
	const char *name;
	bool refuses;       /* connections */
	bool never_accepts; /* connections time out */
	bool forgets;       /* answers UNPREPARED to the next EXECUTE */
	bool silent;        /* answers nothing at all */
	bool needs_password;
	uint8_t version_max; /* 4 */
	bool odd_prepare;    /* answers PREPARE with READY */
	const char *prepare_error;
	uint32_t prepare_error_code;
	struct answer answers[ANSWERS_MAX];
	size_t answer_count, answer_next; /* after the last: void, or no rows */
	struct seen seen[SEEN_MAX];
	size_t seen_count;
	unsigned attempts, connections, prepares, options, registers;
	/* Rows of system.local, system.peers and system_schema.keyspaces; NULL: none. */
	const char *local, *peers, *keyspaces;
	unsigned system_queries;
	struct test_stream *last;
};

struct test_stream {
	struct env_stream base;
	struct node *node;
	struct lab_buf to_node, to_client;
	struct env_cond readable;
	bool closed; /* by the client */
	bool reset;  /* by the node */
	bool ended;  /* by the node, in order */
};

struct timer {
	bool used;
	uint64_t at_ns;
	uint64_t sequence;
	struct test_stream *stream; /* bytes that arrive later */
	struct lab_view bytes;
};

struct parked {
	struct lab_fiber *fiber;
	bool used, runnable, expired;
	uint64_t deadline_ns;
	uint64_t sequence;
};

struct test_world {
	struct env env;
	struct lab_pool *pool;
	struct lab_arena *arena;
	struct lab_fiber_pool *fibers;
	struct lab_fiber_group *group;
	uint64_t now_ns;
	bool no_fibers; /* spawning fails */
	int64_t wall_skew_us;
	uint64_t sequence;
	struct parked parked[FIBERS_MAX];
	struct timer timers[FIBERS_MAX];
	struct node nodes[NODES_MAX];
	const struct shape *shapes; /* ends with a NULL query */
	struct lab_buf log;         /* events, one a line: name and fields */
	uint16_t port;              /* of the nodes, 0: 9042 */
	struct lab_buf file;        /* the one file that is being written, */
	struct lab_buf file_done;   /* and the last that got its name */
	char file_path[256];
	bool no_files; /* opening fails */
	unsigned file_count;
};

/* ---- time and fibers ---- */

static inline struct test_world *world_of(struct env *env)
{
	return (struct test_world *)env;
}

static uint64_t tw_now(struct env *env)
{
	return world_of(env)->now_ns;
}

static uint64_t tw_wall(struct env *env)
{
	struct test_world *w = world_of(env);
	return UINT64_C(1700000000000000) + w->now_ns / 1000 + (uint64_t)w->wall_skew_us;
}

static uint64_t tw_draw(struct env *env, const char *purpose, uint64_t ordinal)
{
	(void)env;
	return lab_draw(1, purpose, 0, ordinal);
}

static void tw_event(
	struct env *env, enum lab_event_id id, const struct lab_field *fields, size_t count)
{
	struct lab_buf *log = &world_of(env)->log;
	lab_buf_append_cstr(log, lab_event_name(id));
	for (size_t i = 0; i < count; i++) {
		lab_buf_printf(log, " %s=", fields[i].name);
		if (fields[i].kind == LAB_FIELD_TEXT)
			lab_buf_append_view(log, fields[i].text);
		else
			lab_buf_printf(log, "%" PRIu64, fields[i].number);
	}
	lab_buf_append_byte(log, '\n');
}

static struct parked *tw_slot(struct test_world *w)
{
	for (size_t i = 0; i < FIBERS_MAX; i++) {
		if (!w->parked[i].used) {
			w->parked[i] = (struct parked){ .used = true, .sequence = ++w->sequence };
			return &w->parked[i];
		}
	}
	lab_bug("too many fibers in a test");
}

static int tw_spawn(
	struct env *env, const char *name, env_fiber_fn fn, void *arg, struct lab_error *err)
{
	struct test_world *w = world_of(env);
	(void)name;
	struct lab_fiber *fiber = w->no_fibers ? NULL : lab_fiber_new(w->group, fn, arg);
	if (fiber == NULL)
		return lab_fail(err, LAB_LIMIT, "no more fibers");
	struct parked *p = tw_slot(w);
	p->fiber = fiber;
	p->runnable = true;
	return 0;
}

static void *tw_self(struct env *env)
{
	struct parked *p = tw_slot(world_of(env));
	p->fiber = lab_fiber_self();
	lab_assert(p->fiber != NULL);
	lab_fiber_set_owner(p->fiber, p);
	return p;
}

static int tw_park(struct env *env, uint64_t deadline_ns)
{
	struct parked *p = lab_fiber_owner(lab_fiber_self());
	if (p == NULL)
		p = tw_self(env);
	p->deadline_ns = deadline_ns;
	lab_fiber_suspend();
	int result = p->expired ? 1 : 0;
	lab_fiber_set_owner(p->fiber, NULL);
	p->used = false;
	return result;
}

static void tw_unpark(struct env *env, void *token)
{
	struct parked *p = token;
	p->runnable = true;
	p->sequence = ++world_of(env)->sequence;
}

static void tw_deliver(struct test_world *w, struct timer *t)
{
	t->used = false;
	if (t->stream->closed || t->stream->reset)
		return;
	lab_buf_append_view(&t->stream->to_client, t->bytes);
	env_cond_broadcast(&w->env, &t->stream->readable);
}

/* Runs whatever is due next. False when nothing is left to do. */
static bool tw_step(struct test_world *w)
{
	struct parked *run = NULL;
	struct parked *expire = NULL;
	struct timer *timer = NULL;
	for (size_t i = 0; i < FIBERS_MAX; i++) {
		struct parked *p = &w->parked[i];
		if (!p->used)
			continue;
		if (p->runnable && (run == NULL || p->sequence < run->sequence))
			run = p;
		if (!p->runnable && p->deadline_ns != ENV_FOREVER &&
			(expire == NULL || p->deadline_ns < expire->deadline_ns ||
				(p->deadline_ns == expire->deadline_ns &&
					p->sequence < expire->sequence)))
			expire = p;
	}
	if (run != NULL) {
		struct lab_fiber *fiber = run->fiber;
		run->runnable = false;
		run->deadline_ns = ENV_FOREVER;
		if (lab_fiber_owner(fiber) == NULL)
			run->used = false; /* its first run */
		(void)lab_fiber_resume(fiber);
		return true;
	}
	for (size_t i = 0; i < FIBERS_MAX; i++) {
		struct timer *t = &w->timers[i];
		if (t->used && (timer == NULL || t->at_ns < timer->at_ns ||
				       (t->at_ns == timer->at_ns && t->sequence < timer->sequence)))
			timer = t;
	}
	if (timer != NULL && (expire == NULL || timer->at_ns <= expire->deadline_ns)) {
		w->now_ns = LAB_MAX(w->now_ns, timer->at_ns);
		tw_deliver(w, timer);
		return true;
	}
	if (expire == NULL)
		return false;
	w->now_ns = LAB_MAX(w->now_ns, expire->deadline_ns);
	expire->expired = true;
	expire->runnable = true;
	return true;
}

/* ---- nodes ---- */

static void node_send(struct test_stream *s, struct lab_view bytes, uint64_t delay_ns)
{
	struct test_world *w = s->node->world;
	for (size_t i = 0; i < FIBERS_MAX; i++) {
		if (w->timers[i].used)
			continue;
		w->timers[i] = (struct timer){ .used = true,
			.at_ns = w->now_ns + delay_ns,
			.sequence = ++w->sequence,
			.stream = s,
			.bytes = lab_arena_copy(w->arena, bytes) };
		return;
	}
	lab_bug("too many answers under way in a test");
}

static void node_reply(struct test_stream *s, uint8_t version, int16_t stream,
	const struct cql_response *response, uint64_t delay_ns)
{
	struct lab_buf out;
	lab_buf_init(&out, s->node->world->env.heap, 1u << 20);
	cql_response_encode(&out, version, stream, response);
	node_send(s, lab_buf_view(&out), delay_ns);
	lab_buf_done(&out);
}

static inline void node_reset(struct test_stream *s)
{
	s->reset = true;
	env_cond_broadcast(&s->node->world->env, &s->readable);
}

static uint16_t type_of_letter(char letter)
{
	switch (letter | 0x20) {
	case 'b':
		return CQL_TYPE_BLOB;
	case 'i':
		return CQL_TYPE_INT;
	case 'l':
		return CQL_TYPE_BIGINT;
	case 'u':
		return CQL_TYPE_UUID;
	case 's':
		return CQL_TYPE_SMALLINT;
	case 'y':
		return CQL_TYPE_TINYINT;
	default:
		return CQL_TYPE_TEXT;
	}
}

static struct cql_metadata metadata_of(struct test_world *w, const char *letters)
{
	struct cql_metadata m = { .column_count = strlen(letters) };
	m.columns = lab_arena_array(w->arena, struct cql_column, m.column_count);
	for (size_t i = 0; i < m.column_count; i++) {
		m.columns[i].keyspace = LAB_VIEW("mails");
		m.columns[i].table = LAB_VIEW("t");
		m.columns[i].name = lab_view_cstr(lab_arena_printf(w->arena, "c%zu", i));
		m.columns[i].type.id = type_of_letter(letters[i]);
	}
	m.no_metadata = m.column_count == 0;
	return m;
}

static const struct shape *shape_of(struct test_world *w, struct lab_view query)
{
	for (const struct shape *s = w->shapes; s != NULL && s->query != NULL; s++) {
		if (lab_view_eq_cstr(query, s->query))
			return s;
	}
	return NULL;
}

static void set_key(struct test_world *w, struct cql_metadata *binds, const char *letters)
{
	binds->pk_indexes = lab_arena_array(w->arena, uint16_t, binds->column_count);
	for (size_t i = 0; i < binds->column_count; i++) {
		if (letters[i] >= 'A' && letters[i] <= 'Z')
			binds->pk_indexes[binds->pk_count++] = (uint16_t)i;
	}
}

/* An id of a prepared statement is its text, which real ones are a hash of. */
static void node_prepare(
	struct test_stream *s, uint8_t version, int16_t stream, struct lab_view query)
{
	struct node *node = s->node;
	struct cql_response r = { .opcode = CQL_RESULT, .kind = CQL_RESULT_PREPARED };
	const struct shape *shape = shape_of(node->world, query);
	node->prepares++;
	if (node->odd_prepare) {
		r.opcode = CQL_READY;
	} else if (shape == NULL || node->prepare_error != NULL) {
		r.opcode = CQL_ERROR;
		r.error.code =
			node->prepare_error != NULL ? node->prepare_error_code : CQL_E_INVALID;
		r.error.message = lab_view_cstr(
			node->prepare_error != NULL ? node->prepare_error : "unknown statement");
	} else {
		r.prepared.id = query;
		r.prepared.binds = metadata_of(node->world, shape->binds);
		r.prepared.columns = metadata_of(node->world, shape->columns);
		r.prepared.binds.no_metadata = false;
		set_key(node->world, &r.prepared.binds, shape->binds);
	}
	node_reply(s, version, stream, &r, LAB_MSEC);
}

static struct lab_view cell_of(struct test_world *w, struct lab_view text)
{
	int64_t number;
	if (lab_view_eq_cstr(text, "NULL"))
		return (struct lab_view){ NULL, 0 };
	if (text.len > 1 && (text.ptr[0] == '#' || text.ptr[0] == '@')) {
		assert_int_equal(lab_view_to_i64(lab_view_skip(text, 1), &number), 0);
		return text.ptr[0] == '#' ? cql_value_int(w->arena, (int32_t)number)
					  : cql_value_bigint(w->arena, number);
	}
	if (text.len >= 2 && text.ptr[0] == 'x' && text.ptr[1] == ':') {
		size_t size = (text.len - 2) / 2;
		uint8_t *p = lab_arena_alloc(w->arena, size + 1);
		assert_int_equal(lab_unhex(lab_view_skip(text, 2), p, size), 0);
		return lab_view_of(p, size);
	}
	return text;
}

static struct cql_rows rows_of(
	struct test_world *w, const char *text, const char *letters, bool no_metadata)
{
	struct cql_rows rows = { .metadata = metadata_of(w, letters) };
	rows.metadata.no_metadata = no_metadata;
	rows.cells = lab_arena_array(w->arena, struct lab_view, 1024);
	struct lab_view rest = lab_view_cstr(text);
	struct lab_view row, cell;
	size_t n = 0;
	while (rest.ptr != NULL && rest.len > 0 && lab_view_split(&rest, ';', &row)) {
		while (lab_view_split(&row, ',', &cell))
			rows.cells[n++] = cell_of(w, cell);
		rows.row_count++;
	}
	assert_int_equal(n, rows.row_count * rows.metadata.column_count);
	return rows;
}

static void node_garbage(struct test_stream *s, int16_t stream)
{
	struct lab_buf out;
	struct cql_header header = {
		.version = 4, .response = true, .stream = stream, .opcode = CQL_RESULT, .length = 4
	};
	lab_buf_init(&out, s->node->world->env.heap, 100);
	cql_header_encode(&out, &header);
	lab_buf_append_u32(&out, 0x63);
	node_send(s, lab_buf_view(&out), LAB_MSEC);
	lab_buf_done(&out);
}

static void node_answer(
	struct test_stream *s, uint8_t version, int16_t stream, const struct seen *seen)
{
	struct node *node = s->node;
	struct answer answer = { .kind = ANSWER_VOID };
	const struct shape *shape = shape_of(node->world, seen->query);
	struct cql_response r = { .opcode = CQL_RESULT, .kind = CQL_RESULT_VOID };
	if (node->answer_next < node->answer_count)
		answer = node->answers[node->answer_next++];
	else if (shape != NULL && shape->columns[0] != '\0')
		answer.kind = ANSWER_ROWS;
	if (answer.delay_ns == 0)
		answer.delay_ns = LAB_MSEC;
	switch (answer.kind) {
	case ANSWER_SILENCE:
		return;
	case ANSWER_CLOSE:
		node_reset(s);
		return;
	case ANSWER_GARBAGE:
		node_garbage(s, stream);
		return;
	case ANSWER_STRAY:
		stream = 999;
		break;
	case ANSWER_READY:
		r.opcode = CQL_READY;
		break;
	case ANSWER_END:
		s->ended = true;
		env_cond_broadcast(&node->world->env, &s->readable);
		return;
	case ANSWER_ERROR:
		r.opcode = CQL_ERROR;
		r.error = answer.error;
		break;
	case ANSWER_ROWS:
		r.kind = CQL_RESULT_ROWS;
		r.rows = rows_of(node->world, answer.rows, shape == NULL ? "t" : shape->columns,
			(seen->params.flags & CQL_PARAM_SKIP_METADATA) != 0);
		r.rows.metadata.paging_state = lab_view_cstr(answer.paging);
		break;
	case ANSWER_VOID:
		break;
	}
	node_reply(s, version, stream, &r, answer.delay_ns);
}

static void node_see_batch(
	struct test_world *w, struct seen *seen, const struct cql_request *request)
{
	seen->batch_type = request->batch_type;
	seen->batch_count = request->batch_count;
	seen->batch = lab_arena_array(w->arena, struct cql_batch_item, request->batch_count);
	for (size_t i = 0; i < request->batch_count; i++) {
		struct cql_batch_item *item = &seen->batch[i];
		*item = request->batch[i];
		item->query = lab_arena_copy(w->arena, item->query);
		item->values = lab_arena_array(w->arena, struct cql_bind, item->value_count);
		for (size_t v = 0; v < item->value_count; v++) {
			item->values[v] = request->batch[i].values[v];
			item->values[v].bytes = lab_arena_copy(w->arena, item->values[v].bytes);
		}
	}
}

static void node_statement(
	struct test_stream *s, uint8_t version, int16_t stream, const struct cql_request *request)
{
	struct node *node = s->node;
	struct test_world *w = node->world;
	assert_true(node->seen_count < SEEN_MAX);
	struct seen *seen = &node->seen[node->seen_count++];
	seen->time_ns = w->now_ns;
	seen->opcode = request->opcode;
	seen->query = lab_arena_copy(w->arena, request->query);
	seen->params = request->params;
	seen->params.values =
		lab_arena_array(w->arena, struct cql_bind, request->params.value_count);
	for (size_t i = 0; i < request->params.value_count; i++) {
		seen->params.values[i] = request->params.values[i];
		seen->params.values[i].bytes =
			lab_arena_copy(w->arena, request->params.values[i].bytes);
	}
	seen->params.paging_state = lab_arena_copy(w->arena, request->params.paging_state);
	node_see_batch(w, seen, request);
	if (node->forgets && request->opcode != CQL_QUERY) {
		struct cql_response r = { .opcode = CQL_ERROR,
			.error = { .code = CQL_E_UNPREPARED,
				.message = LAB_VIEW("Prepared query not found"),
				.prepared_id = request->query } };
		node->forgets = false;
		node_reply(s, version, stream, &r, LAB_MSEC);
		return;
	}
	node_answer(s, version, stream, seen);
}

static void node_system(
	struct test_stream *s, uint8_t version, int16_t stream, struct lab_view query)
{
	struct node *node = s->node;
	struct cql_response r = { .opcode = CQL_RESULT, .kind = CQL_RESULT_ROWS };
	const char *rows = node->keyspaces, *letters = "b";
	if (lab_view_find(query, LAB_VIEW("system.local")) != SIZE_MAX) {
		rows = node->local;
		letters = "ttbb";
	} else if (lab_view_find(query, LAB_VIEW("system.peers")) != SIZE_MAX) {
		rows = node->peers;
		letters = "ttbbb";
	}
	node->system_queries++;
	r.rows = rows_of(node->world, rows == NULL ? "" : rows, letters, false);
	node_reply(s, version, stream, &r, LAB_MSEC);
}

static void node_handshake(
	struct test_stream *s, uint8_t version, int16_t stream, const struct cql_request *request)
{
	struct cql_response r = { .opcode = CQL_READY };
	struct node *node = s->node;
	if (request->opcode == CQL_OPTIONS) {
		node->options++;
		r.opcode = CQL_SUPPORTED;
	} else if (request->opcode == CQL_STARTUP) {
		assert_true(
			lab_view_eq_cstr(cql_map_get(&request->options, "CQL_VERSION"), "3.0.0"));
		if (node->needs_password) {
			r.opcode = CQL_AUTHENTICATE;
			r.authenticator =
				LAB_VIEW("org.apache.cassandra.auth.PasswordAuthenticator");
		}
	} else if (request->opcode == CQL_AUTH_RESPONSE) {
		r.opcode = CQL_AUTH_SUCCESS;
		if (!lab_view_eq(request->token, LAB_VIEW("\0dovecot\0secret"))) {
			r.opcode = CQL_ERROR;
			r.error.code = CQL_E_BAD_CREDENTIALS;
			r.error.message =
				LAB_VIEW("Provided username dovecot and/or password are incorrect");
		}
	} else {
		node->registers++;
	}
	node_reply(s, version, stream, &r, LAB_MSEC);
}

static void node_request(struct test_stream *s, const struct cql_frame *frame)
{
	struct cql_request request;
	struct node *node = s->node;
	uint8_t version = frame->header.version;
	int16_t stream = frame->header.stream;
	if (node->silent)
		return;
	if (version > node->version_max) {
		struct cql_response r = { .opcode = CQL_ERROR,
			.error = { .code = CQL_E_PROTOCOL,
				.message = LAB_VIEW(
					"Invalid or unsupported protocol version (4); the "
					"lowest supported version is 3 and the greatest is 3") } };
		node_reply(s, node->version_max, 0, &r, LAB_MSEC);
		return;
	}
	assert_int_equal(cql_request_decode(frame, node->world->arena, &request, NULL), 0);
	if (request.opcode == CQL_PREPARE) {
		node_prepare(s, version, stream, request.query);
	} else if (request.opcode == CQL_QUERY &&
		   lab_view_starts_with(request.query, LAB_VIEW("USE "))) {
		struct cql_response r = { .opcode = CQL_RESULT,
			.kind = CQL_RESULT_SET_KEYSPACE,
			.keyspace = LAB_VIEW("mails") };
		node_reply(s, version, stream, &r, LAB_MSEC);
	} else if (request.opcode == CQL_QUERY &&
		   lab_view_find(request.query, LAB_VIEW(" FROM system")) != SIZE_MAX) {
		node_system(s, version, stream, request.query);
	} else if (request.opcode == CQL_QUERY || request.opcode == CQL_EXECUTE ||
		   request.opcode == CQL_BATCH) {
		node_statement(s, version, stream, &request);
	} else {
		node_handshake(s, version, stream, &request);
	}
}

static inline void node_event_up(struct node *node, const char *address)
{
	struct cql_response r = { .opcode = CQL_EVENT,
		.event = { .type = LAB_VIEW("STATUS_CHANGE"), .change = LAB_VIEW("UP") } };
	r.event.node.size = 4;
	r.event.node.port = 9042;
	assert_int_equal(cql_inet_parse(lab_view_cstr(address), r.event.node.address), 0);
	node_reply(node->last, 4, CQL_EVENT_STREAM, &r, LAB_MSEC);
}

static inline void node_event_ring(struct node *node, struct lab_view change, uint8_t last)
{
	struct cql_response r = { .opcode = CQL_EVENT,
		.event = { .type = LAB_VIEW("TOPOLOGY_CHANGE"), .change = change } };
	const uint8_t address[] = { 127, 0, 0, last };
	memcpy(r.event.node.address, address, sizeof(address));
	r.event.node.size = 4;
	r.event.node.port = 9042;
	node_reply(node->last, 4, CQL_EVENT_STREAM, &r, LAB_MSEC);
}

static inline void node_event_topology(struct node *node)
{
	node_event_ring(node, LAB_VIEW("NEW_NODE"), 0);
}

/* 127.0.0.LAST has left. */
static inline void node_event_removed(struct node *node, uint8_t last)
{
	node_event_ring(node, LAB_VIEW("REMOVED_NODE"), last);
}

/* ---- streams ---- */

static int ts_read(struct env_stream *stream, void *data, size_t size, uint64_t deadline_ns,
	size_t *ret_n, struct lab_error *err)
{
	struct test_stream *s = (struct test_stream *)stream;
	while (s->to_client.len == 0) {
		if (s->closed || s->reset)
			return lab_fail(err, LAB_RESET, "Connection reset by peer");
		if (s->ended) {
			*ret_n = 0;
			return 0;
		}
		if (env_cond_wait(stream->env, &s->readable, deadline_ns) != 0)
			return lab_fail(err, LAB_TIMEOUT, "Connect timed out");
	}
	if (s->closed)
		return lab_fail(err, LAB_RESET, "Connection closed");
	/* In pieces, so that frames are put together again. */
	*ret_n = LAB_MIN(LAB_MIN(size, s->to_client.len), 7);
	memcpy(data, s->to_client.data, *ret_n);
	lab_buf_consume(&s->to_client, *ret_n);
	return 0;
}

static int ts_write(struct env_stream *stream, struct lab_view data, struct lab_error *err)
{
	struct test_stream *s = (struct test_stream *)stream;
	struct cql_frame frame;
	size_t used;
	if (s->closed || s->reset)
		return lab_fail(err, LAB_RESET, "Connection reset by peer");
	lab_buf_append_view(&s->to_node, data);
	while (cql_frame_next(lab_buf_view(&s->to_node), 1u << 20, &frame, &used, NULL) == 1) {
		node_request(s, &frame);
		lab_buf_consume(&s->to_node, used);
	}
	return 0;
}

static void ts_close(struct env_stream *stream)
{
	struct test_stream *s = (struct test_stream *)stream;
	s->closed = true;
	lab_buf_done(&s->to_node);
	env_cond_broadcast(stream->env, &s->readable);
}

static const struct env_stream_ops ts_ops = {
	.read = ts_read, .write = ts_write, .close = ts_close
};

static int tw_connect(struct env *env, const char *host, uint16_t port, uint64_t deadline_ns,
	struct env_stream **ret, struct lab_error *err)
{
	struct test_world *w = world_of(env);
	struct node *node = NULL;
	assert_int_equal(port, w->port == 0 ? 9042 : w->port);
	for (size_t i = 0; i < NODES_MAX; i++) {
		if (w->nodes[i].name != NULL && strcmp(w->nodes[i].name, host) == 0)
			node = &w->nodes[i];
	}
	if (node == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "%s: no such host", host);
	node->attempts++;
	env_sleep(env, node->never_accepts ? deadline_ns - w->now_ns : LAB_MSEC);
	if (node->never_accepts)
		return lab_fail(err, LAB_TIMEOUT, "connect(%s) timed out", host);
	if (node->refuses)
		return lab_fail(err, LAB_REFUSED, "connect(%s) failed: Connection refused", host);
	struct test_stream *s = lab_arena_new_of(w->arena, struct test_stream);
	s->base.ops = &ts_ops;
	s->base.env = env;
	s->node = node;
	lab_buf_init(&s->to_node, env->heap, 1u << 20);
	lab_buf_init(&s->to_client, env->heap, 1u << 20);
	node->connections++;
	node->last = s;
	*ret = &s->base;
	return 0;
}

/* ---- one file ---- */

static int tf_write(
	struct env_file *file, uint64_t offset, struct lab_view data, struct lab_error *err)
{
	struct test_world *w = world_of(file->env);
	(void)err;
	assert_int_equal(offset, w->file.len);
	lab_buf_append_view(&w->file, data);
	return 0;
}

static void tf_close(struct env_file *file)
{
	(void)file;
}

static const struct env_file_ops tf_ops = { .write = tf_write, .close = tf_close };

static int tw_file_open(struct env *env, const char *path, enum env_open_mode mode,
	struct env_file **ret, struct lab_error *err)
{
	struct test_world *w = world_of(env);
	if (w->no_files)
		return lab_fail(err, LAB_IO, "open(%s) failed: Permission denied", path);
	assert_int_equal(mode, ENV_OPEN_TRUNCATE);
	lab_buf_reset(&w->file);
	*ret = lab_arena_new_of(w->arena, struct env_file);
	**ret = (struct env_file){ .ops = &tf_ops, .env = env };
	return 0;
}

static int tw_rename(struct env *env, const char *from, const char *to, struct lab_error *err)
{
	struct test_world *w = world_of(env);
	(void)from;
	(void)err;
	(void)snprintf(w->file_path, sizeof(w->file_path), "%s", to);
	lab_buf_reset(&w->file_done);
	lab_buf_append_view(&w->file_done, lab_buf_view(&w->file));
	w->file_count++;
	return 0;
}

static int tw_unlink(struct env *env, const char *path, struct lab_error *err)
{
	(void)env;
	return lab_fail(err, LAB_NOT_FOUND, "%s: no such file", path);
}

static const struct env_ops tw_ops = { .now = tw_now,
	.wall_us = tw_wall,
	.draw = tw_draw,
	.event = tw_event,
	.spawn = tw_spawn,
	.self = tw_self,
	.park = tw_park,
	.unpark = tw_unpark,
	.connect = tw_connect,
	.file_open = tw_file_open,
	.rename = tw_rename,
	.unlink = tw_unlink };

/* ---- life ---- */

/* Nodes are "127.0.0.1", "127.0.0.2"... */
static inline struct test_world *world_new(size_t node_count, const struct shape *shapes)
{
	static const char *const names[NODES_MAX] = { "127.0.0.1", "127.0.0.2", "127.0.0.3",
		"127.0.0.4" };
	struct lab_pool *pool = lab_pool_new(256u << 20);
	struct lab_heap *heap = lab_heap_new(pool, 128u << 20);
	struct test_world *w = lab_new(heap, struct test_world);
	w->env = (struct env){ .ops = &tw_ops, .heap = heap, .hostname = "test", .host = 1 };
	w->pool = pool;
	w->arena = lab_arena_new(heap, 64u << 20);
	w->fibers = lab_fiber_pool_new(256u << 10, FIBERS_MAX, NULL);
	w->group = lab_fiber_group_new(w->fibers);
	w->shapes = shapes;
	lab_buf_init(&w->log, heap, 4u << 20);
	lab_buf_init(&w->file, heap, 1u << 20);
	lab_buf_init(&w->file_done, heap, 1u << 20);
	for (size_t i = 0; i < node_count; i++) {
		w->nodes[i].world = w;
		w->nodes[i].name = names[i];
		w->nodes[i].version_max = 4;
	}
	return w;
}

static inline void world_free(struct test_world *w)
{
	struct lab_pool *pool = w->pool;
	struct lab_heap *heap = w->env.heap;
	lab_fiber_drop_all(w->group);
	lab_fiber_group_free(&w->group);
	lab_fiber_pool_free(&w->fibers);
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

struct world_main {
	void (*fn)(void *);
	void *arg;
	bool done;
};

static void world_main_fiber(void *arg)
{
	struct world_main *main_fiber = arg;
	main_fiber->fn(main_fiber->arg);
	main_fiber->done = true;
}

/* Runs fn in a fiber until it returns. */
static inline void world_run(struct test_world *w, void (*fn)(void *), void *arg)
{
	struct world_main main_fiber = { fn, arg, false };
	assert_int_equal(env_spawn(&w->env, "test", world_main_fiber, &main_fiber, NULL), 0);
	while (!main_fiber.done) {
		if (!tw_step(w))
			fail_msg("everybody waits for something that never comes");
	}
}

static inline bool world_logged(struct test_world *w, const char *text)
{
	return lab_view_find(lab_buf_view(&w->log), lab_view_cstr(text)) != SIZE_MAX;
}

static inline void node_will(struct node *node, struct answer answer)
{
	assert_true(node->answer_count < ANSWERS_MAX);
	node->answers[node->answer_count++] = answer;
}

static inline void node_will_fail(struct node *node, uint32_t code, const char *message)
{
	node_will(node, (struct answer){ .kind = ANSWER_ERROR,
				.error = { .code = code,
					.message = lab_view_cstr(message),
					.consistency = CQL_LOCAL_QUORUM,
					.received = 1,
					.required = 2,
					.write_type = LAB_VIEW("SIMPLE") } });
}

#endif

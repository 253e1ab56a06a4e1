/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-cql.h - what the tests of the emulator share: a cluster, and a client that speaks to it.
 */
#ifndef LAB_CQL_EMULATOR_TESTING_H
#define LAB_CQL_EMULATOR_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/cql/cql-codec.h"
#include "sim/cql-emulator/cql-emulator.h"

#ifdef TESTING_CQL_SQLITE
/* sim/cql-sqlite builds all tests a second time. */
#include "sim/cql-sqlite/cql-sqlite.h"
static struct cqlsqlite_settings testing_cql_settings = { .path = ":memory:" };
#endif

#define TEST_EPOCH_US INT64_C(1700000000000000)
#define TEST_NODES_MAX 6

/* What the hooks do; tests set the fields. */
struct test_world {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *arena;
	struct cqlemu_options options;
	struct cqlemu_node_options nodes[TEST_NODES_MAX];
	struct sim_hooks hooks;
	struct cqlemu *emu;
	struct sim_stream_service service;
	uint64_t now_ns;
	struct sim_fault fault; /* of the next request at fault_point */
	const char *fault_point;
	uint64_t latency_ns;
	unsigned cut_from, cut_to; /* bit masks of nodes that do not hear each other */
	struct sim_access access;  /* of the last request; strings are copied */
	unsigned access_count;
#ifdef TESTING_CQL_SQLITE
	struct cqlsqlite *engine;
#endif
};

struct test_client {
	struct test_world *world;
	void *connection;
	struct lab_buf in;
	bool reset;
	int16_t stream;
	uint8_t version;
};

static inline struct sim_fault test_fault(void *ctx, const struct sim_fault_query *query)
{
	struct test_world *w = ctx;
	struct sim_fault fault = w->fault;
	if (w->fault_point == NULL || strcmp(query->point, w->fault_point) != 0)
		return (struct sim_fault){ .kind = SIM_FAULT_NONE };
	w->fault_point = NULL;
	return fault;
}

static inline unsigned test_node_bit(const struct test_world *w, struct lab_view name)
{
	for (size_t i = 0; i < w->options.node_count; i++) {
		if (lab_view_eq(w->nodes[i].name, name))
			return 1u << i;
	}
	return 0;
}

static inline bool test_reachable(void *ctx, struct lab_view from, struct lab_view to, uint64_t now)
{
	struct test_world *w = ctx;
	unsigned a = test_node_bit(w, from), b = test_node_bit(w, to);
	(void)now;
	return !(((a & w->cut_from) != 0 && (b & w->cut_to) != 0) ||
		 ((b & w->cut_from) != 0 && (a & w->cut_to) != 0));
}

static inline uint64_t test_latency(void *ctx, struct lab_view from, struct lab_view to, uint64_t n)
{
	struct test_world *w = ctx;
	(void)from;
	(void)to;
	(void)n;
	return w->latency_ns;
}

static inline void test_access(void *ctx, const struct sim_access *access)
{
	struct test_world *w = ctx;
	w->access = *access;
	w->access.operation = lab_arena_copy(w->arena, access->operation);
	w->access.subject = lab_arena_copy(w->arena, access->subject);
	w->access.request = lab_arena_copy(w->arena, access->request);
	w->access.user = lab_arena_copy(w->arena, access->user);
	w->access_count++;
}

/* Options for `count` nodes, the second half of more than three in dc2. Then test_start(). */
static inline struct test_world *test_world(size_t count)
{
	static const char *const names[] = { "n1", "n2", "n3", "n4", "n5", "n6" };
	static const char *const addresses[] = { "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4",
		"127.0.0.5", "127.0.0.6" };
	struct test_world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	w->pool = lab_pool_new((size_t)1 << 30);
	w->heap = lab_heap_new(w->pool, (size_t)1 << 30);
	w->arena = lab_arena_new(w->heap, (size_t)256 << 20);
	cqlemu_options_init(&w->options);
	for (size_t i = 0; i < count; i++) {
		w->nodes[i].name = lab_view_cstr(names[i]);
		w->nodes[i].address = lab_view_cstr(addresses[i]);
		w->nodes[i].dc = lab_view_cstr(count > 3 && i >= count / 2 ? "dc2" : "dc1");
	}
	w->hooks = (struct sim_hooks){ .ctx = w, .fault = test_fault, .access = test_access };
	w->options.heap = w->heap;
	w->options.seed = 7;
	w->options.hooks = &w->hooks;
	w->options.nodes = w->nodes;
	w->options.node_count = count;
	w->options.epoch_us = TEST_EPOCH_US;
	return w;
}

static inline void test_start(struct test_world *w)
{
	struct lab_error err;
#ifdef TESTING_CQL_SQLITE
	if (cqlsqlite_open(w->heap, &testing_cql_settings, &w->engine, &err) < 0)
		fail_msg("%s", err.message);
	w->options.engine_ops = &cqlsqlite_ops;
	w->options.engine = w->engine;
#endif
	if (cqlemu_new(&w->options, &w->emu, &err) < 0)
		fail_msg("%s", err.message);
	w->service = cqlemu_service(w->emu);
}

static inline void test_end(struct test_world *w)
{
	size_t before;
	cqlemu_free(&w->emu);
#ifdef TESTING_CQL_SQLITE
	cqlsqlite_close(&w->engine);
#endif
	lab_arena_free(&w->arena);
	before = lab_heap_used(w->heap);
	lab_heap_drop(&w->heap);
	lab_pool_free(&w->pool);
	free(w);
	assert_int_equal(before, 0);
}

static inline void test_setup_cql(struct test_world *w, const char *cql)
{
	struct lab_error err;
	if (cqlemu_execute(w->emu, lab_view_cstr(cql), &err) < 0)
		fail_msg("%s: %s", cql, err.message);
}

/* Lets time pass. */
static inline void test_sleep(struct test_world *w, uint64_t ns)
{
	uint64_t until = w->now_ns + ns, next;
	while ((next = w->service.ops->next_deadline(w->service.service)) <= until) {
		w->now_ns = next > w->now_ns ? next : w->now_ns;
		w->service.ops->advance(w->service.service, w->now_ns);
	}
	w->now_ns = until;
	w->service.ops->advance(w->service.service, w->now_ns);
}

/* ---- the client ---- */

static inline void test_output(void *ctx, struct lab_view data, enum sim_wire wire)
{
	struct test_client *c = ctx;
	lab_buf_append_view(&c->in, data);
	if (wire == SIM_WIRE_RESET)
		c->reset = true;
}

/* NULL: refused. */
static inline struct test_client *test_connect(struct test_world *w, const char *node)
{
	struct sim_peer peer = { .name = LAB_VIEW("backend-1"), .zone = LAB_VIEW("zone-a") };
	struct test_client *c = calloc(1, sizeof(*c));
	assert_non_null(c);
	c->world = w;
	c->version = 4;
	lab_buf_init(&c->in, w->heap, (size_t)64 << 20);
	c->connection = w->service.ops->accept(
		w->service.service, lab_view_cstr(node), &peer, w->now_ns, test_output, c);
	if (c->connection == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

static inline void test_disconnect(struct test_client *c)
{
	if (!c->reset)
		c->world->service.ops->closed(c->connection, c->world->now_ns);
	lab_buf_done(&c->in);
	free(c);
}

static inline void test_send(struct test_client *c, struct lab_view bytes)
{
	c->world->service.ops->input(c->connection, bytes, c->world->now_ns);
}

static inline void test_request(struct test_client *c, const struct cql_request *request)
{
	struct lab_buf out;
	lab_buf_init(&out, c->world->heap, (size_t)64 << 20);
	cql_request_encode(&out, c->version, ++c->stream, request);
	test_send(c, lab_buf_view(&out));
	lab_buf_done(&out);
}

/* Takes one answer off what has come. False if there is none. */
static inline bool test_take(struct test_client *c, struct cql_response *ret, int16_t *ret_stream)
{
	struct cql_frame frame;
	struct lab_error err;
	size_t used;
	struct lab_view all = lab_arena_copy(c->world->arena, lab_buf_view(&c->in));
	if (all.len == 0 || cql_frame_next(all, (size_t)64 << 20, &frame, &used, &err) != 1)
		return false;
	lab_buf_consume(&c->in, used);
	if (cql_response_decode(&frame, c->world->arena, ret, &err) < 0)
		fail_msg("%s", err.message);
	if (ret_stream != NULL)
		*ret_stream = frame.header.stream;
	return true;
}

/* The answer to the last request, waiting for up to 100 s. */
static inline struct cql_response test_answer(struct test_client *c)
{
	struct cql_response response;
	int16_t stream;
	for (unsigned i = 0; i < 100000; i++) {
		while (test_take(c, &response, &stream)) {
			if (stream == c->stream)
				return response;
		}
		if (c->reset)
			fail_msg("the connection was reset");
		test_sleep(c->world, LAB_MSEC);
	}
	fail_msg("no answer");
	return response;
}

static inline struct cql_response test_ask(struct test_client *c, const struct cql_request *request)
{
	test_request(c, request);
	return test_answer(c);
}

static inline struct test_client *test_client(struct test_world *w, const char *node)
{
	struct cql_pair version = { LAB_VIEW("CQL_VERSION"), LAB_VIEW("3.0.0") };
	struct cql_request startup = { .opcode = CQL_STARTUP, .options = { &version, 1 } };
	struct test_client *c = test_connect(w, node);
	assert_non_null(c);
	assert_int_equal(test_ask(c, &startup).opcode, CQL_READY);
	return c;
}

/* A connection whose AUTH_RESPONSE has this token; *ret is what was answered. */
static inline struct test_client *test_login(struct test_world *w, const char *node,
	const char *token, size_t len, struct cql_response *ret)
{
	struct cql_pair version = { LAB_VIEW("CQL_VERSION"), LAB_VIEW("3.0.0") };
	struct cql_request startup = { .opcode = CQL_STARTUP, .options = { &version, 1 } };
	struct cql_request auth = { .opcode = CQL_AUTH_RESPONSE, .token = lab_view_of(token, len) };
	struct test_client *c = test_connect(w, node);
	assert_non_null(c);
	assert_int_equal(test_ask(c, &startup).opcode, CQL_AUTHENTICATE);
	*ret = test_ask(c, &auth);
	return c;
}

static inline struct cql_request test_query_request(const char *cql, enum cql_consistency cl)
{
	return (struct cql_request){
		.opcode = CQL_QUERY, .query = lab_view_cstr(cql), .params = { .consistency = cl }
	};
}

static inline struct cql_response test_query(
	struct test_client *c, const char *cql, enum cql_consistency cl)
{
	struct cql_request request = test_query_request(cql, cl);
	return test_ask(c, &request);
}

/* ---- answers as text, in the form of the golden transcripts ---- */

/* As Python writes it, who wrote the golden answers. */
static inline void test_put_string(struct lab_buf *out, struct lab_view text)
{
	bool quotes = lab_view_find_byte(text, '\'') != SIZE_MAX;
	char quote = quotes && lab_view_find_byte(text, '"') == SIZE_MAX ? '"' : '\'';
	lab_buf_printf(out, "%c", quote);
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\n')
			lab_buf_append_cstr(out, "\\n");
		else if (text.ptr[i] == (uint8_t)quote)
			lab_buf_printf(out, "\\%c", text.ptr[i]);
		else
			lab_buf_append(out, text.ptr + i, 1);
	}
	lab_buf_printf(out, "%c", quote);
}

static inline void test_put_value(
	struct lab_buf *out, const struct cql_type *type, struct lab_view value)
{
	int64_t number;
	if (value.ptr == NULL) {
		lab_buf_append_cstr(out, "None");
	} else if (type->id == CQL_TYPE_TEXT || type->id == CQL_TYPE_ASCII) {
		test_put_string(out, value);
	} else if (type->id == CQL_TYPE_BOOLEAN) {
		lab_buf_append_cstr(out, value.ptr[0] != 0 ? "True" : "False");
	} else if (type->id != CQL_TYPE_SMALLINT && type->id != CQL_TYPE_TINYINT &&
		   type->id != CQL_TYPE_DATE && type->id != CQL_TYPE_TIME &&
		   cql_value_to_i64(type->id, value, &number) == 0) {
		lab_buf_printf(out, "%" PRId64, number);
	} else {
		lab_buf_append_cstr(out, "0x");
		lab_buf_append_hex(out, value);
	}
}

/* As the golden answers have it: 0x9 alone, plain numbers inside. */
static inline void test_put_type(struct lab_buf *out, const struct cql_type *type, bool inside)
{
	if (type->id == CQL_TYPE_DURATION) {
		lab_buf_append_cstr(out, "(0, 'org.apache.cassandra.db.marshal.DurationType')");
		return;
	}
	if (type->param_count == 0) {
		if (inside)
			lab_buf_printf(out, "%u", type->id);
		else
			lab_buf_printf(out, "'0x%x'", type->id);
		return;
	}
	lab_buf_printf(out, "(%u", type->id);
	if (type->id == CQL_TYPE_UDT)
		lab_buf_printf(out, ", '%.*s', '%.*s'", LAB_VIEW_ARG(type->keyspace),
			LAB_VIEW_ARG(type->name));
	for (size_t i = 0; i < type->param_count; i++) {
		if (type->id == CQL_TYPE_UDT)
			lab_buf_printf(out, ", '%.*s'", LAB_VIEW_ARG(type->field_names[i]));
		lab_buf_append_cstr(out, ", ");
		test_put_type(out, &type->params[i], true);
	}
	lab_buf_append_cstr(out, ")");
}

static inline void test_put_columns(struct lab_buf *out, const struct cql_metadata *m)
{
	lab_buf_append_cstr(out, "[");
	for (size_t i = 0; i < m->column_count; i++) {
		struct lab_view name = m->columns[i].name;
		char quote = lab_view_find_byte(name, '\'') == SIZE_MAX ? '\'' : '"';
		lab_buf_printf(
			out, "%s(%c%.*s%c, ", i > 0 ? ", " : "", quote, LAB_VIEW_ARG(name), quote);
		test_put_type(out, &m->columns[i].type, false);
		lab_buf_append_cstr(out, ")");
	}
	lab_buf_append_cstr(out, "]");
}

static inline void test_put_prepared(struct lab_buf *out, const struct cql_prepared *p)
{
	lab_buf_append_cstr(out, "PREPARED [");
	for (size_t i = 0; i < p->binds.pk_count; i++)
		lab_buf_printf(out, "%s%u", i > 0 ? ", " : "", p->binds.pk_indexes[i]);
	lab_buf_append_cstr(out, "] ");
	test_put_columns(out, &p->binds);
	lab_buf_append_cstr(out, " ");
	test_put_columns(out, &p->columns);
}

static inline void test_put_rows(struct lab_buf *out, const struct cql_rows *rows)
{
	const struct cql_metadata *m = &rows->metadata;
	test_put_columns(out, m);
	lab_buf_append_cstr(out, " [");
	for (size_t i = 0; i < rows->row_count; i++) {
		lab_buf_append_cstr(out, i > 0 ? ", [" : "[");
		for (size_t j = 0; j < m->column_count; j++) {
			lab_buf_append_cstr(out, j > 0 ? ", " : "");
			test_put_value(
				out, &m->columns[j].type, rows->cells[i * m->column_count + j]);
		}
		lab_buf_append_cstr(out, "]");
	}
	lab_buf_append_cstr(out, "]");
	if (m->paging_state.ptr != NULL) {
		lab_buf_append_cstr(out, " MORE ");
		lab_buf_append_hex(out, m->paging_state);
	}
}

static inline void test_put_schema(struct lab_buf *out, const struct cql_schema_change *s)
{
	const struct lab_view parts[] = { s->change, s->target, s->keyspace, s->name };
	lab_buf_append_cstr(out, "RESULT kind=5 b'");
	for (size_t i = 0; i < 4; i++) {
		if (parts[i].len > 0)
			lab_buf_printf(
				out, "\\x00\\x%02zx%.*s", parts[i].len, LAB_VIEW_ARG(parts[i]));
	}
	lab_buf_append_cstr(out, "'");
}

static inline void test_put_failure(struct lab_buf *out, const struct cql_error *error)
{
	struct lab_view parts[] = { error->keyspace, error->table };
	lab_buf_append_cstr(out, " ");
	for (size_t i = 0; i < 2 + error->arg_types.count; i++) {
		struct lab_view part = i < 2 ? parts[i] : error->arg_types.items[i - 2];
		if (i == 2)
			lab_buf_printf(out, "%04zx", error->arg_types.count);
		lab_buf_printf(out, "%04zx", part.len);
		lab_buf_append_hex(out, part);
	}
}

static inline void test_put_exists(struct lab_buf *out, const struct cql_error *error)
{
	const struct lab_view names[] = { error->keyspace, error->table };
	if (error->code == CQL_E_FUNCTION_FAILURE) {
		test_put_failure(out, error);
		return;
	}
	if (error->code != CQL_E_ALREADY_EXISTS)
		return;
	lab_buf_append_cstr(out, " ");
	for (size_t i = 0; i < 2; i++) {
		lab_buf_printf(out, "%04zx", names[i].len);
		lab_buf_append_hex(out, names[i]);
	}
}

static inline const char *test_text(struct test_world *w, const struct cql_response *r)
{
	struct lab_buf out;
	lab_buf_init(&out, w->heap, (size_t)16 << 20);
	for (size_t i = 0; i < r->warnings.count; i++)
		lab_buf_printf(&out, "WARN['%.*s'] ", LAB_VIEW_ARG(r->warnings.items[i]));
	if (r->opcode == CQL_ERROR) {
		lab_buf_printf(
			&out, "ERROR 0x%04x %.*s", r->error.code, LAB_VIEW_ARG(r->error.message));
		test_put_exists(&out, &r->error);
	} else if (r->opcode != CQL_RESULT)
		lab_buf_printf(&out, "%s", cql_opcode_name((uint8_t)r->opcode));
	else if (r->kind == CQL_RESULT_ROWS)
		test_put_rows(&out, &r->rows);
	else if (r->kind == CQL_RESULT_PREPARED)
		test_put_prepared(&out, &r->prepared);
	else if (r->kind == CQL_RESULT_SET_KEYSPACE)
		lab_buf_printf(&out, "RESULT kind=3 b'\\x00\\x%02zx%.*s'", r->keyspace.len,
			LAB_VIEW_ARG(r->keyspace));
	else if (r->kind == CQL_RESULT_SCHEMA_CHANGE)
		test_put_schema(&out, &r->schema);
	else if (r->kind == CQL_RESULT_SET_KEYSPACE)
		lab_buf_printf(&out, "RESULT kind=3 b'\\x00\\x%02zx%.*s'", r->keyspace.len,
			LAB_VIEW_ARG(r->keyspace));
	else
		lab_buf_printf(&out, "RESULT kind=%u b''", r->kind);
	const char *text = lab_arena_cstr(w->arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return text;
}

/* Runs a statement and compares its answer, in golden form. */
#define test_expect(client, cql, cl, expected) \
	do { \
		struct cql_response test_r = test_query(client, cql, cl); \
		assert_string_equal(test_text((client)->world, &test_r), expected); \
	} while (0)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/serve/admin.h"

#include "sim/serve/admin-private.h"

#define HEAP_MAX ((size_t)1 << 30)
#define ARENA_MAX ((size_t)256 << 20)
#define ANSWER_MAX ((size_t)32 << 20)
#define LOG_DEFAULT 100
#define LIMIT_MAX 1000

/* ---- answers: the status ---- */

unsigned serve_admin_fail(struct call *c, unsigned status, const char *message)
{
	lab_buf_reset(&c->admin->out);
	lab_json_init(&c->json, &c->admin->out, false);
	lab_json_object(&c->json);
	lab_json_put_cstr(&c->json, "error", message);
	lab_json_end(&c->json);
	return status;
}

unsigned serve_admin_begin(struct call *c)
{
	lab_json_init(&c->json, &c->admin->out, false);
	lab_json_object(&c->json);
	return 200;
}

unsigned serve_admin_done(struct call *c)
{
	serve_admin_begin(c);
	lab_json_put_bool(&c->json, "done", true);
	lab_json_end(&c->json);
	return 200;
}

/* ---- parameters ---- */

static struct lab_view decode(struct call *c, struct lab_view text, bool *ok)
{
	struct lab_buf out;

	lab_buf_init(&out, c->admin->heap, text.len + 1);
	*ok = lab_buf_append_unpercent(&out, text) == 0 && *ok;
	text = lab_arena_copy(c->admin->arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return text;
}

/* "path?a=b&c=d"; false if it is too much, or ill-formed. */
static bool read_params(struct call *c, struct lab_view query)
{
	struct lab_view part, name;
	bool ok = true;

	if (query.len == 0)
		return true;
	while (lab_view_split(&query, '&', &part)) {
		if (c->param_count == PARAMS_MAX)
			return false;
		(void)lab_view_split(&part, '=', &name);
		c->params[c->param_count].name = decode(c, name, &ok);
		c->params[c->param_count++].value = decode(c, part, &ok);
	}
	return ok;
}

const struct param *serve_admin_param(const struct call *c, const char *name)
{
	for (size_t i = 0; i < c->param_count; i++) {
		if (lab_view_eq_cstr(c->params[i].name, name))
			return &c->params[i];
	}
	return NULL;
}

/* 0 if it is no number from 1 to LIMIT_MAX. */
static size_t limit_of(const struct call *c, size_t otherwise)
{
	const struct param *param = serve_admin_param(c, "limit");
	uint64_t limit;

	if (param == NULL)
		return otherwise;
	if (lab_view_to_u64(param->value, &limit) < 0 || limit > LIMIT_MAX)
		return 0;
	return (size_t)limit;
}

/* ---- health, counters, log ---- */

static unsigned get_health(struct call *c)
{
	const struct serve *serve = c->serve;

	serve_admin_begin(c);
	lab_json_put_cstr(&c->json, "status", "ok");
	lab_json_put_u64(&c->json, "uptime_ms", c->now_ns / LAB_MSEC);
	lab_json_put_u64(&c->json, "s3_port", serve_s3_port(serve));
	lab_json_put_u64(&c->json, "imds_port", serve_imds_port(serve));
	lab_json_put_u64(&c->json, "cql_port", serve_cql_port(serve));
	lab_json_end(&c->json);
	return 200;
}

static void print_statuses(const uint64_t *counts, struct lab_json *json)
{
	lab_json_object(json);
	for (unsigned status = 0; status < S3EMU_STATUS_COUNT; status++) {
		char name[4] = { (char)('0' + status / 100), (char)('0' + status / 10 % 10),
			(char)('0' + status % 10), '\0' };

		if (counts[status] > 0)
			lab_json_put_u64(json, status == 0 ? "none" : name, counts[status]);
	}
	lab_json_end(json);
}

static bool any_status(const uint64_t *counts)
{
	for (unsigned status = 0; status < S3EMU_STATUS_COUNT; status++) {
		if (counts[status] > 0)
			return true;
	}
	return false;
}

/* On S3's thread. */
static void print_s3_counters(void *ctx)
{
	struct call *c = ctx;
	const struct s3emu_counters *n = s3emu_counters(c->serve->s3);
	struct lab_json *json = &c->json;

	lab_json_key(json, "s3");
	lab_json_object(json);
	lab_json_put_u64(json, "requests", n->requests);
	lab_json_put_u64(json, "throttled", n->throttled);
	lab_json_put_u64(json, "faults", n->faults);
	lab_json_put_u64(json, "created", n->created);
	lab_json_put_u64(json, "overwritten", n->overwritten);
	lab_json_put_u64(json, "deleted", n->deleted);
	lab_json_put_u64(json, "deleted_missing", n->deleted_missing);
	lab_json_put_u64(json, "bytes_in", n->bytes_in);
	lab_json_put_u64(json, "bytes_out", n->bytes_out);
	lab_json_put_u64(json, "objects", n->objects);
	lab_json_put_u64(json, "stored_bytes", n->stored_bytes);
	lab_json_put_u64(json, "pending", n->pending);
	lab_json_key(json, "by_status");
	lab_json_object(json);
	for (unsigned class = 0; class < S3EMU_CLASS_COUNT; class ++) {
		if (!any_status(n->by_status[class]))
			continue;
		lab_json_key(json, s3emu_class_name((enum s3emu_class) class));
		print_statuses(n->by_status[class], json);
	}
	lab_json_end(json);
	lab_json_end(json);
}

/* On IMDS's thread. */
static void print_imds_counters(void *ctx)
{
	struct call *c = ctx;
	const struct imdsemu_counters *n = imdsemu_counters(c->serve->imds);
	struct lab_json *json = &c->json;

	lab_json_key(json, "imds");
	lab_json_object(json);
	lab_json_put_u64(json, "requests", n->requests);
	lab_json_put_u64(json, "tokens_issued", n->tokens_issued);
	lab_json_put_u64(json, "tokens_refused", n->tokens_refused);
	lab_json_put_u64(json, "role_lists", n->role_lists);
	lab_json_put_u64(json, "role_documents", n->role_documents);
	lab_json_put_u64(json, "unauthorized", n->unauthorized);
	lab_json_put_u64(json, "throttled", n->throttled);
	lab_json_put_u64(json, "beyond_hop_limit", n->beyond_hop_limit);
	lab_json_put_u64(json, "faults", n->faults);
	lab_json_put_u64(json, "credentials_issued", n->credentials_issued);
	lab_json_end(json);
}

/* On Cassandra's thread. */
static void put_data(struct call *c, const char *name, uint64_t commits, uint64_t failures,
	const char *last_failure)
{
	lab_json_key(&c->json, name);
	lab_json_object(&c->json);
	lab_json_put_u64(&c->json, "commits", commits);
	lab_json_put_u64(&c->json, "failures", failures);
	lab_json_put_cstr(&c->json, "last_failure", last_failure);
	lab_json_end(&c->json);
}

static void print_cql_data(struct call *c)
{
	struct cqlsqlite_stats stats;

	if (c->serve->cql_data == NULL)
		return;
	cqlsqlite_stats(c->serve->cql_data, &stats);
	put_data(c, "cql_data", stats.commits, stats.failures, stats.last_failure);
}

static void print_cql_counters(void *ctx)
{
	struct call *c = ctx;
	struct cqlemu_counters n;
	struct lab_json *json = &c->json;

	cqlemu_counters(c->serve->cql, &n);
	lab_json_key(json, "cql");
	lab_json_object(json);
	lab_json_put_u64(json, "connections", n.connections);
	lab_json_put_u64(json, "connections_open", n.connections_open);
	lab_json_put_u64(json, "requests", n.requests);
	lab_json_put_u64(json, "selects", n.selects);
	lab_json_put_u64(json, "writes", n.writes);
	lab_json_put_u64(json, "deletes", n.deletes);
	lab_json_put_u64(json, "batches", n.batches);
	lab_json_put_u64(json, "prepares", n.prepares);
	lab_json_put_u64(json, "errors", n.errors);
	lab_json_put_u64(json, "unavailable", n.unavailable);
	lab_json_put_u64(json, "read_timeouts", n.read_timeouts);
	lab_json_put_u64(json, "write_timeouts", n.write_timeouts);
	lab_json_put_u64(json, "messages", n.messages);
	lab_json_put_u64(json, "unprepared", n.unprepared);
	lab_json_put_u64(json, "speculations", n.speculations);
	lab_json_put_u64(json, "hints_waiting", n.hints_waiting);
	lab_json_put_u64(json, "rows", n.rows);
	lab_json_put_u64(json, "partitions", n.partitions);
	lab_json_end(json);
	print_cql_data(c);
}

static void print_front_end(struct call *c, const char *name, struct http_front_end *front)
{
	struct http_front_end_stats stats = http_front_end_stats(front);

	lab_json_key(&c->json, name);
	lab_json_object(&c->json);
	lab_json_put_u64(&c->json, "connections", stats.connections);
	lab_json_put_u64(&c->json, "requests", stats.requests);
	lab_json_put_u64(&c->json, "refused", stats.refused);
	lab_json_put_u64(&c->json, "silenced", stats.silenced);
	lab_json_put_u64(&c->json, "pending", stats.pending);
	lab_json_end(&c->json);
}

/* On S3's thread. */
static void print_data(void *ctx)
{
	struct call *c = ctx;
	struct s3sqlite_stats stats;

	s3sqlite_stats(c->serve->s3_data, &stats);
	put_data(c, "s3_data", stats.commits, stats.failures, stats.last_failure);
}

static unsigned get_counters(struct call *c)
{
	struct serve *serve = c->serve;

	serve_admin_begin(c);
	lab_json_put_u64(&c->json, "faults_injected", serve_hooks_fired(serve->hooks));
	if (serve->has_s3) {
		http_front_end_call(serve->s3_front, print_s3_counters, c);
		if (serve->s3_data != NULL)
			http_front_end_call(serve->s3_front, print_data, c);
		print_front_end(c, "s3_front_end", serve->s3_front);
	}
	if (serve->has_imds) {
		http_front_end_call(serve->imds_front, print_imds_counters, c);
		print_front_end(c, "imds_front_end", serve->imds_front);
	}
	if (serve->has_cql)
		stream_front_end_call(serve->cql_front, print_cql_counters, c);
	lab_json_end(&c->json);
	return 200;
}

static unsigned get_log(struct call *c)
{
	size_t limit = limit_of(c, LOG_DEFAULT);

	if (limit == 0)
		return serve_admin_fail(c, 400, "limit is a number from 1 to 1000");
	serve_admin_begin(c);
	lab_json_key(&c->json, "log");
	serve_hooks_print_log(c->serve->hooks, limit, &c->json);
	lab_json_end(&c->json);
	return 200;
}

/* ---- faults ---- */

static unsigned get_faults(struct call *c)
{
	serve_admin_begin(c);
	lab_json_key(&c->json, "faults");
	serve_hooks_print_faults(c->serve->hooks, c->now_ns, &c->json);
	lab_json_end(&c->json);
	return 200;
}

static unsigned refuse_faults(
	struct call *c, const struct conf_problems *problems, const struct lab_error *err)
{
	struct lab_buf line;

	serve_admin_begin(c);
	lab_json_put_cstr(&c->json, "error", err->message);
	lab_json_key(&c->json, "problems");
	lab_json_array(&c->json);
	lab_buf_init(&line, c->admin->heap, 65536);
	for (size_t i = 0; i < problems->count; i++) {
		lab_buf_reset(&line);
		conf_problem_print(&problems->items[i], &line);
		lab_json_view(&c->json, lab_buf_view(&line));
	}
	lab_buf_done(&line);
	lab_json_end(&c->json);
	lab_json_end(&c->json);
	return err->code == LAB_LIMIT ? 409 : 400;
}

static unsigned post_faults(struct call *c)
{
	struct conf_problems problems;
	struct fault_file file;
	struct lab_error err;

	conf_problems_init(&problems, c->admin->arena);
	if (fault_file_load_text(
		    "request", c->request->body, c->admin->arena, &problems, &file, &err) < 0 ||
		serve_hooks_add(c->serve->hooks, &file, c->now_ns, &err) < 0)
		return refuse_faults(c, &problems, &err);
	if (file.count == 0)
		return serve_admin_fail(c, 400, "the body has no fault NAME { }");
	return get_faults(c);
}

static unsigned delete_faults(struct call *c)
{
	serve_hooks_clear(c->serve->hooks);
	return serve_admin_done(c);
}

/* ---- rotate, reset, snapshot ---- */

/* On IMDS's thread. */
static void rotate(void *ctx)
{
	struct call *c = ctx;

	imdsemu_rotate(c->serve->imds, c->now_ns);
}

static unsigned post_rotate(struct call *c)
{
	if (!c->serve->has_imds)
		return serve_admin_fail(c, 404, "IMDS is not served");
	http_front_end_call(c->serve->imds_front, rotate, c);
	return serve_admin_done(c);
}

static void empty_s3(void *ctx)
{
	struct call *c = ctx;
	struct lab_error err;

	c->has_failed = s3emu_empty(c->serve->s3, &err) < 0;
}

static void empty_cql(void *ctx)
{
	cqlemu_empty(((struct call *)ctx)->serve->cql);
}

static unsigned post_reset(struct call *c)
{
	if (c->serve->has_s3)
		http_front_end_call(c->serve->s3_front, empty_s3, c);
	if (c->has_failed)
		return serve_admin_fail(c, 500, "the buckets could not be emptied");
	if (c->serve->has_cql)
		stream_front_end_call(c->serve->cql_front, empty_cql, c);
	return serve_admin_done(c);
}

static void print_object(const struct s3emu_object_info *o, struct lab_json *json)
{
	lab_json_object(json);
	lab_json_key(json, "key");
	lab_json_view(json, o->key);
	lab_json_put_u64(json, "size", o->size);
	lab_json_key(json, "etag");
	lab_json_view(json, o->etag);
	lab_json_put_u64(json, "modified_unix_us", (uint64_t)o->modified_unix_us);
	lab_json_key(json, "headers");
	lab_json_object(json);
	for (size_t i = 0; i < o->header_count; i++) {
		char name[128];

		if (lab_view_to_cstr(o->headers[i].name, name, sizeof(name)) < 0)
			continue;
		lab_json_key(json, name);
		lab_json_view(json, o->headers[i].value);
	}
	lab_json_end(json);
	lab_json_end(json);
}

struct snapshot {
	struct call *call;
	struct lab_view bucket, from;
	size_t limit;
	bool is_found;
};

/* On S3's thread. */
static void snapshot(void *ctx)
{
	struct snapshot *s = ctx;
	struct lab_json *json = &s->call->json;
	struct s3emu_object_info info;
	struct s3emu_iter iter;
	struct lab_error err;
	size_t count = 0;

	s->is_found = s3emu_objects(s->call->serve->s3, s->bucket, s->from, &iter, &err) == 0;
	if (!s->is_found)
		return;
	serve_admin_begin(s->call);
	lab_json_key(json, "objects");
	lab_json_array(json);
	while (s3emu_objects_next(&iter, &info)) {
		if (count++ == s->limit)
			break;
		print_object(&info, json);
	}
	lab_json_end(json);
	if (count > s->limit) {
		lab_json_key(json, "next");
		lab_json_view(json, info.key);
	}
	lab_json_end(json);
}

static unsigned get_snapshot(struct call *c)
{
	const struct param *bucket = serve_admin_param(c, "bucket"),
			   *from = serve_admin_param(c, "from");
	struct snapshot s = { .call = c, .limit = limit_of(c, LIMIT_MAX) };

	if (!c->serve->has_s3)
		return serve_admin_fail(c, 404, "S3 is not served");
	if (bucket == NULL)
		return serve_admin_fail(c, 400, "bucket is missing: /snapshot?bucket=NAME");
	if (s.limit == 0)
		return serve_admin_fail(c, 400, "limit is a number from 1 to 1000");
	s.bucket = bucket->value;
	s.from = from == NULL ? LAB_VIEW("") : from->value;
	http_front_end_call(c->serve->s3_front, snapshot, &s);
	return s.is_found ? 200 : serve_admin_fail(c, 404, "there is no such bucket");
}

/* ---- which of them ---- */

static const struct route {
	const char *method, *path;
	unsigned (*handle)(struct call *c);
} routes[] = {
	{ "GET", "/health", get_health },
	{ "GET", "/counters", get_counters },
	{ "GET", "/log", get_log },
	{ "GET", "/faults", get_faults },
	{ "POST", "/faults", post_faults },
	{ "DELETE", "/faults", delete_faults },
	{ "POST", "/rotate", post_rotate },
	{ "POST", "/reset", post_reset },
	{ "GET", "/snapshot", get_snapshot },
	{ "GET", "/nodes", serve_admin_get_nodes },
	{ "POST", "/nodes", serve_admin_post_nodes },
};

/* A page in a browser on this machine must not steer the laboratory, by whatever name. */
static bool is_local(const struct lab_http_request *request)
{
	struct lab_view host = request->authority;
	size_t colon = SIZE_MAX;

	for (size_t i = 0; i < host.len; i++)
		colon = host.ptr[i] == ':' ? i : host.ptr[i] == ']' ? SIZE_MAX : colon;
	if (colon != SIZE_MAX)
		host = lab_view_sub(host, 0, colon);
	return lab_http_header_get(&request->headers, "origin").ptr == NULL &&
	       (lab_view_eq_cstr(host, "localhost") || lab_view_eq_cstr(host, "[::1]") ||
		       serve_address_is_v4_loopback(host));
}

static unsigned handle(struct call *c)
{
	struct lab_view query = c->request->target, path;
	bool is_path = false;

	if (!is_local(c->request))
		return serve_admin_fail(c, 403, "only for programs on this machine");
	(void)lab_view_split(&query, '?', &path);
	if (!read_params(c, query))
		return serve_admin_fail(c, 400, "the query is ill-formed");
	for (size_t i = 0; i < LAB_COUNT_OF(routes); i++) {
		if (!lab_view_eq_cstr(path, routes[i].path))
			continue;
		is_path = true;
		if (lab_view_eq_cstr(c->request->method, routes[i].method))
			return routes[i].handle(c);
	}
	return is_path ? serve_admin_fail(c, 405, "not by this method")
		       : serve_admin_fail(c, 404, "there is no such path");
}

/* ---- the service ---- */

static void submit(void *service, const struct lab_http_request *request,
	const struct sim_peer *peer, uint64_t now_ns, sim_http_reply_fn reply, void *reply_ctx)
{
	struct serve_admin *admin = service;
	struct call call = {
		.admin = admin, .serve = admin->serve, .request = request, .now_ns = now_ns
	};
	struct sim_http_reply answer = { .wire = SIM_WIRE_ANSWER };

	(void)peer;
	lab_buf_reset(&admin->out);
	answer.response.status = handle(&call);
	if (admin->out.overflow)
		answer.response.status = serve_admin_fail(&call, 500, "the answer is too long");
	answer.response.body = lab_buf_view(&admin->out);
	(void)lab_http_header_add(
		&answer.response.headers, LAB_VIEW("Content-Type"), LAB_VIEW("application/json"));
	reply(reply_ctx, &answer);
	lab_arena_reset(admin->arena);
}

static void advance(void *service, uint64_t now_ns)
{
	(void)service;
	(void)now_ns;
}

static uint64_t next_deadline(void *service)
{
	(void)service;
	return UINT64_MAX;
}

struct serve_admin *serve_admin_new(struct serve *serve)
{
	struct lab_pool *pool = lab_pool_new(HEAP_MAX);
	struct lab_heap *heap = lab_heap_new(pool, HEAP_MAX);
	struct serve_admin *admin = lab_new(heap, struct serve_admin);

	admin->serve = serve;
	admin->pool = pool;
	admin->heap = heap;
	admin->arena = lab_arena_new(heap, ARENA_MAX);
	lab_buf_init(&admin->out, heap, ANSWER_MAX);
	return admin;
}

void serve_admin_free(struct serve_admin **admin)
{
	struct lab_pool *pool;
	struct lab_heap *heap;

	if (*admin == NULL)
		return;
	pool = (*admin)->pool;
	heap = (*admin)->heap;
	*admin = NULL;
	lab_heap_drop(&heap);
	lab_pool_free(&pool);
}

struct sim_http_service serve_admin_service(struct serve_admin *admin)
{
	static const struct sim_http_ops ops = {
		.submit = submit, .advance = advance, .next_deadline = next_deadline
	};

	return (struct sim_http_service){ &ops, admin };
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * scality-emulator.c - the service: faults, latency, locks, who may ask, waiting answers.
 */
#include "sim/scality-emulator/scality-emulator-private.h"

#define EPOCH_2026_US UINT64_C(1767225600000000)
#define ARENA_MAX ((size_t)64 << 20)
#define LOCKS_MAX 65536
#define HEAP_EXTRA ((size_t)1 << 30)

/* ---- exchanges ---- */

static struct scalemu_exchange *exchange_new(struct scalemu *ring)
{
	struct scalemu_exchange *x = ring->free_exchanges;
	struct lab_arena *arena;
	struct lab_buf body;

	if (x != NULL) {
		ring->free_exchanges = x->next;
	} else {
		x = lab_new(ring->heap, struct scalemu_exchange);
		x->arena = lab_arena_new(ring->heap, ARENA_MAX);
		lab_buf_init(&x->body, ring->heap,
			(size_t)(2 * ring->options.limits.object_bytes_max + (1 << 20)));
	}
	arena = x->arena;
	body = x->body;
	memset(x, 0, sizeof(*x));
	x->ring = ring;
	x->arena = arena;
	x->body = body;
	lab_buf_reset(&x->body);
	x->out.wire = SIM_WIRE_ANSWER;
	return x;
}

static void deliver(struct scalemu_exchange *x)
{
	struct scalemu *ring = x->ring;

	x->reply(x->reply_ctx, &x->out);
	lab_arena_reset(x->arena);
	x->next = ring->free_exchanges;
	ring->free_exchanges = x;
}

static void pending_insert(struct scalemu *ring, struct scalemu_exchange *x)
{
	struct scalemu_exchange **at = &ring->pending;

	while (*at != NULL && (*at)->due_ns <= x->due_ns)
		at = &(*at)->next;
	x->next = *at;
	*at = x;
	ring->pending_count++;
}

/* ---- answering ---- */

struct lab_view scalemu_request_header(const struct scalemu_exchange *x, const char *name)
{
	return lab_http_header_get(&x->request->headers, name);
}

void scalemu_header(struct scalemu_exchange *x, const char *name, struct lab_view value)
{
	int ret = lab_http_header_add(&x->out.response.headers, lab_view_cstr(name), value);

	lab_assert(ret == 0);
}

void scalemu_fail(struct scalemu_exchange *x, unsigned status, const char *why)
{
	x->out.response.status = status;
	x->out.response.headers.count = 0;
	lab_buf_reset(&x->body);
	if (status != 204)
		lab_buf_printf(&x->body, "%s\n", why);
	scalemu_header(x, "Content-Type", LAB_VIEW("text/plain"));
}

static const char *reason_of(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = { { 200, "OK" }, { 201, "Created" }, { 204, "No Content" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 409, "Conflict" }, { 412, "Precondition Failed" },
		{ 413, "Payload Too Large" }, { 423, "Locked" }, { 500, "Internal Server Error" },
		{ 501, "Not Implemented" }, { 503, "Service Unavailable" },
		{ 507, "Insufficient Storage" } };

	for (size_t i = 0; i < LAB_COUNT_OF(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Status";
}

static struct lab_view subject_of(struct scalemu_exchange *x)
{
	return lab_view_cstr(lab_arena_printf(x->arena, "%.*s/%.*s",
		LAB_VIEW_ARG(x->ring->options.instance), LAB_VIEW_ARG(x->key)));
}

static void log_access(struct scalemu_exchange *x)
{
	const struct sim_hooks *hooks = &x->ring->options.hooks;
	struct sim_access access;

	if (hooks->access == NULL)
		return;
	memset(&access, 0, sizeof(access));
	access.service = x->ring->options.protocol == SCALEMU_CDMI ? "cdmi" : "sproxyd";
	access.instance = x->ring->options.instance;
	access.peer = x->peer_name;
	access.received_ns = x->now_ns;
	access.answered_ns = x->due_ns;
	access.method = x->request->method;
	access.operation = lab_view_cstr(x->operation);
	access.subject = subject_of(x);
	access.request = x->request->target;
	access.user = scalemu_request_header(x, "X-Dovecot-Username");
	access.keys = x->keys;
	access.key_count = x->key_count;
	access.status = x->out.response.status;
	access.applied = x->applied;
	access.answered = x->out.wire != SIM_WIRE_RESET && x->out.wire != SIM_WIRE_SILENCE;
	access.fault_id = x->fault.id;
	access.bytes = x->bytes;
	access.body_hash = x->body_hash;
	access.timestamp_us = INT64_MIN;
	hooks->access(hooks->ctx, &access);
}

static uint64_t *ordinal_of(struct scalemu *ring, struct lab_view peer)
{
	void **slot = lab_map_slot(ring->clients, peer);

	if (slot == NULL)
		return &ring->other_clients;
	if (*slot == NULL)
		*slot = lab_new(ring->heap, uint64_t);
	return *slot;
}

static uint64_t latency_of(struct scalemu_exchange *x)
{
	uint64_t *ordinal = ordinal_of(x->ring, x->peer_name);
	uint64_t draw = lab_draw(x->ring->options.seed, "scality.latency",
		lab_hash_view(0, x->peer_name), (*ordinal)++);

	if (x->fault.kind == SIM_FAULT_DELAY)
		return x->fault.delay_ns;
	if (x->latency.high_ns == 0)
		return 0;
	return lab_pick_lognormal(draw, x->latency.low_ns, x->latency.high_ns);
}

static void hold(struct scalemu_exchange *x)
{
	uint64_t until_ns = x->due_ns + x->ring->options.lock_ns;

	if (until_ns == x->now_ns || x->out.response.status >= 400)
		return;
	if (x->key.len > 0 && !x->by_id)
		scalemu_lock(x->ring, x->key, x->now_ns, until_ns);
	for (size_t i = 0; i < x->key_count; i++)
		scalemu_lock(x->ring, x->keys[i], x->now_ns, until_ns);
}

static void finish(struct scalemu_exchange *x)
{
	struct scalemu *ring = x->ring;
	char *date = lab_arena_alloc(x->arena, LAB_DATE_TEXT_MAX);

	lab_date_http(
		(int64_t)((ring->options.epoch_unix_us + x->now_ns / LAB_USEC) / 1000000), date);
	scalemu_header(x, "Date", lab_view_cstr(date));
	x->out.response.reason = lab_view_cstr(reason_of(x->out.response.status));
	x->out.response.body = lab_buf_view(&x->body);
	x->out.head = lab_view_eq_cstr(x->request->method, "HEAD");
	if (x->out.wire == SIM_WIRE_TRUNCATE && (x->out.head || x->body.len < 2))
		x->out.wire = SIM_WIRE_RESET;
	x->due_ns = x->now_ns + latency_of(x);
	hold(x);
	log_access(x);
	if (x->due_ns > x->now_ns)
		pending_insert(ring, x);
	else
		deliver(x);
}

/* ---- what both protocols check ---- */

bool scalemu_refuse_locked(struct scalemu_exchange *x, struct lab_view key)
{
	if (!scalemu_is_locked(x->ring, key, x->now_ns))
		return false;
	x->ring->counters.locked++;
	scalemu_fail(x, x->ring->options.protocol == SCALEMU_CDMI ? 409 : 423,
		"another request holds it");
	return true;
}

bool scalemu_conditions(struct scalemu_exchange *x, bool exists)
{
	struct lab_view none = scalemu_request_header(x, "If-None-Match");
	struct lab_view some = scalemu_request_header(x, "If-Match");

	if ((none.ptr != NULL && !lab_view_eq_cstr(none, "*")) ||
		(some.ptr != NULL && !lab_view_eq_cstr(some, "*")))
		scalemu_fail(x, 400, "only * is known in If-Match and If-None-Match");
	else if ((none.ptr != NULL && exists) || (some.ptr != NULL && !exists))
		scalemu_fail(x, 412, "the condition does not hold");
	else
		return true;
	return false;
}

bool scalemu_take_base(struct lab_view *path, struct lab_view base)
{
	if (path->len == 0 || path->ptr[0] != '/')
		return false;
	*path = lab_view_skip(*path, 1);
	if (base.len == 0)
		return true;
	if (!lab_view_starts_with(*path, base))
		return false;
	*path = lab_view_skip(*path, base.len);
	if (path->len == 0 || path->ptr[0] != '/')
		return false;
	*path = lab_view_skip(*path, 1);
	return true;
}

bool scalemu_is_path(struct lab_view path)
{
	struct lab_view rest = path, part;

	if (path.len == 0 || path.len > SCALEMU_PATH_MAX)
		return false;
	for (size_t i = 0; i < path.len; i++) {
		if (path.ptr[i] < 0x20 || path.ptr[i] == 0x7f)
			return false;
	}
	while (lab_view_split(&rest, '/', &part)) {
		if (part.len == 0 || lab_view_eq_cstr(part, ".") || lab_view_eq_cstr(part, ".."))
			return false;
	}
	return true;
}

struct lab_view scalemu_decode(struct scalemu_exchange *x, struct lab_view text)
{
	struct lab_view path = { NULL, 0 };
	struct lab_buf decoded;

	lab_buf_init(&decoded, x->ring->heap, SCALEMU_TARGET_MAX);
	if (lab_buf_append_unpercent(&decoded, text) == 0 && !decoded.overflow)
		path = lab_arena_copy(x->arena, lab_buf_view(&decoded));
	lab_buf_done(&decoded);
	return path;
}

static bool may_ask(struct scalemu_exchange *x)
{
	const struct scalemu_options *options = &x->ring->options;
	struct lab_view given = scalemu_request_header(x, "Authorization"), basic;
	struct lab_buf plain, expected;
	bool ok;

	if (options->user.len == 0)
		return true;
	basic = LAB_VIEW("Basic ");
	if (given.ptr == NULL || !lab_view_starts_with(given, basic))
		return false;
	lab_buf_init(&plain, x->ring->heap, 2048);
	lab_buf_init(&expected, x->ring->heap, 4096);
	lab_buf_printf(
		&plain, "%.*s:%.*s", LAB_VIEW_ARG(options->user), LAB_VIEW_ARG(options->password));
	lab_buf_append_base64(&expected, lab_buf_view(&plain));
	ok = lab_view_eq_secret(lab_view_skip(given, basic.len), lab_buf_view(&expected));
	lab_buf_done(&plain);
	lab_buf_done(&expected);
	return ok;
}

static bool length_is_right(const struct scalemu_exchange *x)
{
	struct lab_view text = scalemu_request_header(x, "Content-Length");
	uint64_t length;

	return text.ptr == NULL || (lab_view_to_u64(lab_view_trim(text), &length) == 0 &&
					   length == x->request->body.len);
}

/* What is wrong before anybody looks at what is asked for. */
static bool check_request(struct scalemu_exchange *x)
{
	const struct scalemu_options *options = &x->ring->options;

	if (x->request->target.len > SCALEMU_TARGET_MAX) {
		scalemu_fail(x, 400, "the target is too long");
	} else if (!may_ask(x)) {
		x->ring->counters.unauthorized++;
		scalemu_fail(x, 401, "who are you?");
		scalemu_header(x, "WWW-Authenticate", LAB_VIEW("Basic realm=\"ring\""));
	} else if (!length_is_right(x)) {
		scalemu_fail(x, 400, "the body does not have its Content-Length");
	} else if (options->sticky_header.len > 0 &&
		   scalemu_request_header(x, lab_arena_cstr(x->arena, options->sticky_header))
				   .len == 0) {
		scalemu_fail(x, 400, "the header that the balancer needs is missing");
	} else if (x->ring->pending_count >= options->limits.pending_max) {
		scalemu_fail(x, 503, "too many requests wait");
	} else {
		return true;
	}
	return false;
}

/* ---- faults ---- */

static struct sim_fault ask_fault(struct scalemu_exchange *x)
{
	const struct sim_hooks *hooks = &x->ring->options.hooks;
	struct sim_fault none = { .kind = SIM_FAULT_NONE };
	struct sim_fault_query query;

	if (hooks->fault == NULL || x->point == NULL)
		return none;
	query.point = x->point;
	query.service = x->ring->options.protocol == SCALEMU_CDMI ? "cdmi" : "sproxyd";
	query.instance = x->ring->options.instance;
	query.peer = x->peer_name;
	query.subject = x->key;
	query.now_ns = x->now_ns;
	return hooks->fault(hooks->ctx, &query);
}

static void fail_fault(struct scalemu_exchange *x)
{
	scalemu_fail(x, x->fault.status != 0 ? x->fault.status : 500, "injected");
}

/* True: it is answered without a look at it. */
static bool fault_before(struct scalemu_exchange *x)
{
	enum sim_fault_kind kind = x->fault.kind;

	if (kind != SIM_FAULT_REFUSE && kind != SIM_FAULT_STALL && kind != SIM_FAULT_RESET)
		return false;
	fail_fault(x);
	if (kind == SIM_FAULT_STALL)
		x->out.wire = SIM_WIRE_SILENCE;
	else if (kind == SIM_FAULT_RESET)
		x->out.wire = SIM_WIRE_RESET;
	return true;
}

static bool is_dry(const struct scalemu_exchange *x)
{
	return x->fault.kind == SIM_FAULT_FAIL || x->fault.kind == SIM_FAULT_LATE ||
	       (x->fault.kind == SIM_FAULT_PARTLY && strcmp(x->point, "cdmi.bulk") != 0);
}

static void fault_after(struct scalemu_exchange *x)
{
	if (is_dry(x) || x->fault.kind == SIM_FAULT_ALTER_REPLY) {
		if (x->out.response.status < 300)
			fail_fault(x);
	} else if (x->fault.kind == SIM_FAULT_LOSE_REPLY) {
		x->out.wire = SIM_WIRE_RESET;
	} else if (x->fault.kind == SIM_FAULT_STALL_REPLY) {
		x->out.wire = SIM_WIRE_SILENCE;
	} else if (x->fault.kind == SIM_FAULT_CORRUPT) {
		x->out.wire = SIM_WIRE_TRUNCATE;
	}
}

/* ---- the service ---- */

static void answer(struct scalemu_exchange *x)
{
	bool is_cdmi = x->ring->options.protocol == SCALEMU_CDMI;

	if (!check_request(x))
		return;
	if (!(is_cdmi ? scalemu_cdmi_route(x) : scalemu_sproxyd_route(x)))
		return;
	x->fault = ask_fault(x);
	if (x->fault.kind != SIM_FAULT_NONE)
		x->ring->counters.faults++;
	if (fault_before(x))
		return;
	x->dry = is_dry(x);
	if (is_cdmi)
		scalemu_cdmi_answer(x);
	else
		scalemu_sproxyd_answer(x);
	fault_after(x);
}

static void submit(void *service, const struct lab_http_request *request,
	const struct sim_peer *peer, uint64_t now_ns, sim_http_reply_fn reply, void *reply_ctx)
{
	struct scalemu *ring = service;
	struct scalemu_exchange *x;

	lab_check(ring, SCALEMU_MAGIC);
	x = exchange_new(ring);
	x->request = request;
	x->reply = reply;
	x->reply_ctx = reply_ctx;
	x->now_ns = now_ns;
	/* A reply may end the peer's life before the line is written. */
	x->peer_name = peer == NULL ? LAB_VIEW("") : lab_arena_copy(x->arena, peer->name);
	x->operation = "OTHER";
	ring->counters.requests++;
	answer(x);
	if (x->body.overflow)
		scalemu_fail(x, 500, "the answer is too long");
	finish(x);
}

static void advance(void *service, uint64_t now_ns)
{
	struct scalemu *ring = service;

	lab_check(ring, SCALEMU_MAGIC);
	while (ring->pending != NULL && ring->pending->due_ns <= now_ns) {
		struct scalemu_exchange *x = ring->pending;

		ring->pending = x->next;
		ring->pending_count--;
		deliver(x);
	}
}

static uint64_t next_deadline(void *service)
{
	struct scalemu *ring = service;

	lab_check(ring, SCALEMU_MAGIC);
	return ring->pending != NULL ? ring->pending->due_ns : UINT64_MAX;
}

static const struct sim_http_ops http_ops = {
	.submit = submit, .advance = advance, .next_deadline = next_deadline
};

struct sim_http_service scalemu_service(struct scalemu *ring)
{
	lab_check(ring, SCALEMU_MAGIC);
	return (struct sim_http_service){ &http_ops, ring };
}

/* ---- making one ---- */

void scalemu_options_init(struct scalemu_options *options, enum scalemu_protocol protocol)
{
	memset(options, 0, sizeof(*options));
	options->protocol = protocol;
	options->instance = protocol == SCALEMU_CDMI ? LAB_VIEW("cdmi") : LAB_VIEW("sproxyd");
	options->epoch_unix_us = EPOCH_2026_US;
	options->bulk_max = 1000;
	options->limits = (struct scalemu_limits){ .objects_max = 10000000,
		.stored_bytes_max = UINT64_C(2) << 30,
		.object_bytes_max = UINT64_C(64) << 20,
		.clients_max = 4096,
		.pending_max = 4096 };
}

static bool is_latency(const struct scalemu_latency *latency)
{
	return latency->low_ns <= latency->high_ns &&
	       (latency->high_ns == 0 || latency->low_ns > 0);
}

static bool is_base(struct lab_view base)
{
	return base.len == 0 ||
	       (base.len <= 512 && base.ptr[0] != '/' && base.ptr[base.len - 1] != '/');
}

static int check_options(const struct scalemu_options *options, struct lab_error *err)
{
	const struct scalemu_limits *limits = &options->limits;

	if (limits->objects_max == 0 || limits->clients_max == 0 || limits->pending_max == 0 ||
		limits->object_bytes_max == 0 || options->bulk_max == 0)
		return lab_fail(err, LAB_INVALID, "scality: no limit may be 0");
	if (limits->object_bytes_max > limits->stored_bytes_max)
		return lab_fail(err, LAB_INVALID, "scality: one object must fit in");
	if (!is_latency(&options->read_latency) || !is_latency(&options->write_latency) ||
		!is_latency(&options->list_latency))
		return lab_fail(err, LAB_INVALID, "scality: latency is 1 or more, low up to high");
	if (!is_base(options->base) || !is_base(options->objectid_base))
		return lab_fail(err, LAB_INVALID, "scality: a base has no slash at its ends");
	if (options->user.len > 512 || options->password.len > 512)
		return lab_fail(err, LAB_INVALID, "scality: user, password: up to 512 bytes");
	return 0;
}

static struct lab_view own(struct scalemu *ring, struct lab_view text)
{
	uint8_t *copy = lab_heap_alloc(ring->heap, text.len);

	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return lab_view_of(copy, text.len);
}

int scalemu_new(struct lab_pool *pool, const struct scalemu_options *options, struct scalemu **ret,
	struct lab_error *err)
{
	struct lab_heap *heap;
	struct scalemu *ring;

	if (check_options(options, err) < 0)
		return -1;
	heap = lab_heap_new(pool, (size_t)options->limits.stored_bytes_max + HEAP_EXTRA);
	ring = lab_new(heap, struct scalemu);
	ring->magic = SCALEMU_MAGIC;
	ring->heap = heap;
	ring->options = *options;
	ring->options.instance = own(ring, options->instance);
	ring->options.base = own(ring, options->base);
	ring->options.objectid_base = own(ring, options->objectid_base);
	ring->options.user = own(ring, options->user);
	ring->options.password = own(ring, options->password);
	ring->options.sticky_header = own(ring, options->sticky_header);
	ring->names = lab_tree_new(heap, options->limits.objects_max);
	ring->ids = lab_map_new(heap, options->limits.objects_max);
	ring->locks = lab_map_new(heap, LOCKS_MAX);
	ring->clients = lab_map_new(heap, options->limits.clients_max);
	*ret = ring;
	return 0;
}

void scalemu_free(struct scalemu **ring)
{
	struct lab_heap *heap;

	if (*ring == NULL)
		return;
	lab_check(*ring, SCALEMU_MAGIC);
	(*ring)->magic = 0;
	heap = (*ring)->heap;
	*ring = NULL;
	lab_heap_drop(&heap);
}

const struct scalemu_counters *scalemu_counters(const struct scalemu *ring)
{
	lab_check(ring, SCALEMU_MAGIC);
	return &ring->counters;
}

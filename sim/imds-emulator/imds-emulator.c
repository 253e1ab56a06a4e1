/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/imds-emulator/imds-emulator-private.h"

#define EPOCH_2026_US UINT64_C(1767225600000000)
#define HEAP_MAX ((size_t)1 << 28)
#define ARENA_MAX ((size_t)1 << 20)
#define PS_PER_SECOND UINT64_C(1000000000000)
#define SKEW_MAX_S (INT64_C(366) * 86400)
#define SKEW_MAX_US (SKEW_MAX_S * 1000000)

/* ---- hosts ---- */

/* The name of the host without the port of its connection. */
static struct lab_view host_name(struct lab_view peer)
{
	size_t i;

	for (i = peer.len; i > 0 && peer.ptr[i - 1] >= '0' && peer.ptr[i - 1] <= '9'; i--)
		;
	if (i == 0 || i == peer.len || peer.ptr[i - 1] != ':')
		return peer;
	return lab_view_sub(peer, 0, i - 1);
}

static void host_init(struct imdsemu *imds, struct imdsemu_host *host, struct lab_view name)
{
	host->actor = lab_hash_view(imds->options.seed, name);
	host->credit_ps = imds->options.throttle_burst *
			  (PS_PER_SECOND / LAB_MAX(1U, imds->options.throttle_per_s));
	host->issued = lab_map_new(imds->heap, imds->options.roles_max);
}

static struct imdsemu_host *host_of(struct imdsemu *imds, struct lab_view name)
{
	struct imdsemu_host *host = lab_map_get(imds->hosts, name);
	void **slot;

	if (host != NULL)
		return host;
	slot = lab_map_slot(imds->hosts, name);
	if (slot == NULL)
		return &imds->other_hosts;
	host = lab_new(imds->heap, struct imdsemu_host);
	*slot = host;
	host_init(imds, host, name);
	return host;
}

/* False: this host asks too often. */
static bool throttle_take(struct imdsemu_exchange *x)
{
	const struct imdsemu_options *options = &x->imds->options;
	struct imdsemu_host *host = x->host;
	uint64_t cost, full, credit;

	if (options->throttle_per_s == 0)
		return true;
	cost = PS_PER_SECOND / options->throttle_per_s;
	full = options->throttle_burst * cost;
	credit = LAB_MIN(x->now_ns - host->credit_at_ns, full / 1000 + 1) * 1000;
	host->credit_ps = LAB_MIN(full, host->credit_ps + credit);
	host->credit_at_ns = x->now_ns;
	if (host->credit_ps < cost)
		return false;
	host->credit_ps -= cost;
	return true;
}

/* ---- exchanges ---- */

static struct imdsemu_exchange *exchange_new(struct imdsemu *imds)
{
	struct imdsemu_exchange *x = imds->free_exchanges;

	if (x != NULL) {
		imds->free_exchanges = x->next;
	} else {
		x = lab_new(imds->heap, struct imdsemu_exchange);
		x->imds = imds;
		x->arena = lab_arena_new(imds->heap, ARENA_MAX);
		lab_buf_init(&x->body, imds->heap, IMDSEMU_BODY_MAX);
	}
	memset(&x->fault, 0, sizeof(x->fault));
	x->out.wire = SIM_WIRE_ANSWER;
	x->out.response.status = 0;
	x->out.response.headers.count = 0;
	lab_buf_reset(&x->body);
	return x;
}

static void deliver(struct imdsemu_exchange *x)
{
	struct imdsemu *imds = x->imds;

	x->reply(x->reply_ctx, &x->out);
	lab_arena_reset(x->arena);
	x->next = imds->free_exchanges;
	imds->free_exchanges = x;
}

static void pending_insert(struct imdsemu *imds, struct imdsemu_exchange *x)
{
	struct imdsemu_exchange **at = &imds->pending;

	while (*at != NULL && (*at)->due_ns <= x->due_ns)
		at = &(*at)->next;
	x->next = *at;
	*at = x;
	imds->pending_count++;
}

/* ---- answering ---- */

static void add_header(struct imdsemu_exchange *x, const char *name, struct lab_view value)
{
	int ret = lab_http_header_add(&x->out.response.headers, lab_view_cstr(name), value);

	lab_assert(ret == 0);
}

static void add_number(struct imdsemu_exchange *x, const char *name, uint64_t value)
{
	add_header(x, name, lab_view_cstr(lab_arena_printf(x->arena, "%" PRIu64, value)));
}

static void fail(struct imdsemu_exchange *x, unsigned status)
{
	x->out.response.status = status;
	x->out.response.headers.count = 0;
	imdsemu_error_page(x, status);
	add_header(x, "Content-Type", LAB_VIEW("text/html"));
}

static void fail_fault(struct imdsemu_exchange *x)
{
	fail(x, x->fault.status != 0 ? x->fault.status : 500);
}

static bool is_token_put(const struct imdsemu_exchange *x)
{
	return strcmp(x->operation, "imds.token") == 0;
}

static void count(struct imdsemu_exchange *x)
{
	struct imdsemu_counters *counters = &x->imds->counters;
	unsigned status = x->out.response.status;

	if (is_token_put(x) && status == 200)
		counters->tokens_issued++;
	else if (is_token_put(x))
		counters->tokens_refused++;
	if (status == 401)
		counters->unauthorized++;
}

static void log_access(struct imdsemu_exchange *x)
{
	const struct sim_hooks *hooks = &x->imds->options.hooks;
	struct sim_access access;

	if (hooks->access == NULL)
		return;
	memset(&access, 0, sizeof(access));
	access.service = "imds";
	access.instance = x->imds->options.instance;
	access.peer = x->peer_name;
	access.received_ns = x->now_ns;
	access.answered_ns = x->due_ns;
	access.method = x->request->method;
	access.operation = lab_view_cstr(x->operation);
	access.subject = x->path;
	access.request = x->request->target;
	access.status = x->out.response.status;
	access.answered = x->out.wire != SIM_WIRE_RESET && x->out.wire != SIM_WIRE_SILENCE;
	access.fault_id = x->fault.id;
	access.bytes = x->body.len;
	access.timestamp_us = INT64_MIN;
	hooks->access(hooks->ctx, &access);
}

static uint64_t latency(struct imdsemu_exchange *x)
{
	const struct imdsemu_options *options = &x->imds->options;
	uint64_t ordinal = x->host->requests++;
	uint64_t draw;

	if (x->fault.kind == SIM_FAULT_DELAY)
		return x->fault.delay_ns;
	if (options->latency_high_ns == 0)
		return 0;
	draw = lab_draw(options->seed, "imds.latency", x->host->actor, ordinal);
	return lab_pick_lognormal(draw, options->latency_low_ns, options->latency_high_ns);
}

/* SIM_FAULT_WRONG_DATE: in the Date header only. */
static int64_t date_error_s(const struct imdsemu_exchange *x)
{
	if (x->fault.kind != SIM_FAULT_WRONG_DATE)
		return 0;
	return (int64_t)LAB_MIN(x->fault.delay_ns / LAB_SEC, (uint64_t)SKEW_MAX_S) + 15 * 60;
}

/* What the wire can carry of what is meant. */
static void settle_wire(struct imdsemu_exchange *x)
{
	uint64_t ns = LAB_MAX(x->fault.delay_ns, 1);
	bool empty = x->out.head || x->body.len < 2;

	if (x->out.wire == SIM_WIRE_TRUNCATE && empty)
		x->out.wire = SIM_WIRE_RESET;
	if (x->out.wire == SIM_WIRE_TRICKLE && empty)
		x->out.wire = SIM_WIRE_ANSWER;
	if (x->out.wire == SIM_WIRE_ANSWER && x->imds->options.close_connections)
		x->out.wire = SIM_WIRE_ANSWER_CLOSE;
	x->out.cut_at = 0;
	x->out.bytes_per_s = LAB_MAX(x->body.len * LAB_SEC / ns, 1);
}

static void finish(struct imdsemu_exchange *x)
{
	struct imdsemu *imds = x->imds;
	char *date = lab_arena_alloc(x->arena, LAB_DATE_TEXT_MAX);

	lab_date_http(imdsemu_clock(imds, x->now_ns) + date_error_s(x), date);
	add_header(x, "Date", lab_view_cstr(date));
	add_header(x, "Server", LAB_VIEW("EC2ws"));
	x->out.response.reason = lab_view_cstr(imdsemu_reason(x->out.response.status));
	x->out.response.body = lab_buf_view(&x->body);
	x->out.head = lab_view_eq_cstr(x->request->method, "HEAD");
	if (x->out.head && x->out.response.status != 200)
		x->out.response.body = lab_view_of(NULL, 0);
	settle_wire(x);
	x->due_ns = x->now_ns + latency(x);
	count(x);
	log_access(x);
	/* A full queue answers at once: it never grows beyond its bound. */
	if (x->due_ns > x->now_ns && imds->pending_count < imds->options.pending_max)
		pending_insert(imds, x);
	else
		deliver(x);
}

/* ---- what is asked ---- */

/* "1" to "21600", nothing else. */
static int parse_ttl(const struct imdsemu_exchange *x, uint64_t *ret_seconds)
{
	struct lab_view text =
		lab_http_header_get(&x->request->headers, "X-aws-ec2-metadata-token-ttl-seconds");

	if (text.ptr == NULL || lab_view_to_u64(lab_view_trim(text), ret_seconds) < 0)
		return -1;
	return *ret_seconds >= 1 && *ret_seconds <= IMDSEMU_TTL_MAX ? 0 : -1;
}

static void answer_token(struct imdsemu_exchange *x)
{
	char token[IMDSEMU_TOKEN_LEN + 1];
	uint64_t seconds;

	if (lab_http_header_get(&x->request->headers, "X-Forwarded-For").ptr != NULL) {
		fail(x, 403);
		return;
	}
	if (parse_ttl(x, &seconds) < 0) {
		fail(x, 400);
		return;
	}
	imdsemu_token_make(x->imds, x->host_name, x->now_ns + seconds * LAB_SEC, token);
	lab_buf_append_cstr(&x->body, token);
	x->out.response.status = 200;
	add_header(x, "Content-Type", LAB_VIEW("text/plain"));
	add_number(x, "X-Aws-Ec2-Metadata-Token-Ttl-Seconds", seconds);
}

/* Until when the token that was sent lives; 0 without one. -1: it may not read. */
static int may_read(struct imdsemu_exchange *x, uint64_t *ret_expires_ns)
{
	struct lab_view token =
		lab_http_header_get(&x->request->headers, "X-aws-ec2-metadata-token");

	*ret_expires_ns = 0;
	if (token.ptr == NULL)
		return x->imds->options.tokens == IMDSEMU_OPTIONAL ? 0 : -1;
	return imdsemu_token_ok(
		x->imds, x->host_name, lab_view_trim(token), x->now_ns, ret_expires_ns);
}

/* A list that was asked for without its slash: where it is. */
static void redirect(struct imdsemu_exchange *x)
{
	struct lab_view host = x->request->authority;

	if (host.len == 0)
		host = LAB_VIEW("169.254.169.254");
	fail(x, 301);
	add_header(x, "Location",
		lab_view_cstr(lab_arena_printf(
			x->arena, "http://%.*s%.*s/", LAB_VIEW_ARG(host), LAB_VIEW_ARG(x->path))));
}

static void answer_document(struct imdsemu_exchange *x)
{
	uint64_t expires_ns;
	unsigned status;

	if (may_read(x, &expires_ns) < 0) {
		fail(x, 401);
		return;
	}
	status = imdsemu_document(x);
	if (status == 301) {
		redirect(x);
	} else if (status != 200 || x->body.overflow) {
		fail(x, status != 200 ? status : 500);
	} else {
		x->out.response.status = 200;
		add_header(x, "Content-Type", LAB_VIEW("text/plain"));
		add_header(x, "Accept-Ranges", LAB_VIEW("none"));
	}
	/* The real one tells how long the token still lives. */
	if (expires_ns > 0)
		add_number(x, "X-Aws-Ec2-Metadata-Token-Ttl-Seconds",
			(expires_ns - x->now_ns) / LAB_SEC);
}

static bool is_dated_token_path(struct lab_view path)
{
	size_t slash;

	path = lab_view_skip(path, 1);
	slash = lab_view_find_byte(path, '/');
	return slash != SIZE_MAX && imdsemu_is_version(lab_view_sub(path, 0, slash)) &&
	       lab_view_eq_cstr(lab_view_skip(path, slash), "/api/token");
}

static void answer(struct imdsemu_exchange *x)
{
	struct lab_view method = x->request->method;

	if (x->imds->options.tokens == IMDSEMU_DISABLED) {
		fail(x, 403);
	} else if (!throttle_take(x)) {
		x->imds->counters.throttled++;
		fail(x, x->imds->options.throttle_status);
	} else if (x->path.len == 0 || x->path.ptr[0] != '/' ||
		   x->request->target.len > IMDSEMU_TARGET_MAX) {
		fail(x, 400);
	} else if (is_token_put(x)) {
		answer_token(x);
	} else if (lab_view_eq_cstr(method, "PUT") && is_dated_token_path(x->path)) {
		fail(x, 403);
	} else if (lab_view_eq_cstr(method, "GET") || lab_view_eq_cstr(method, "HEAD")) {
		answer_document(x);
	} else {
		fail(x, 405);
	}
}

/* ---- faults ---- */

static struct sim_fault ask_fault(struct imdsemu_exchange *x)
{
	const struct sim_hooks *hooks = &x->imds->options.hooks;
	struct sim_fault none = { .kind = SIM_FAULT_NONE };
	struct sim_fault_query query;

	if (hooks->fault == NULL || strcmp(x->operation, "imds.meta") == 0)
		return none;
	query.point = x->operation;
	query.service = "imds";
	query.instance = x->imds->options.instance;
	query.peer = x->peer_name;
	query.subject = x->path;
	query.now_ns = x->now_ns;
	return hooks->fault(hooks->ctx, &query);
}

/* True: it is answered without a look at it. */
static bool fault_before(struct imdsemu_exchange *x)
{
	if (x->fault.kind != SIM_FAULT_REFUSE && x->fault.kind != SIM_FAULT_STALL &&
		x->fault.kind != SIM_FAULT_RESET)
		return false;
	fail_fault(x);
	if (x->fault.kind == SIM_FAULT_STALL)
		x->out.wire = SIM_WIRE_SILENCE;
	else if (x->fault.kind == SIM_FAULT_RESET)
		x->out.wire = SIM_WIRE_RESET;
	return true;
}

/* 200, and a document that no client may take for one. Which: as the code says, or drawn. */
static void fault_document(struct imdsemu_exchange *x)
{
	static const char *const codes[] = { "AssumeRoleUnauthorizedAccess", "Failed",
		"InstanceProfileNotFound", "HalfDocument", "EmptyDocument", "MissingField",
		"ExpiredCredentials" };
	const char *code = x->fault.code;

	if (code == NULL || strcmp(code, "BadDocument") == 0)
		code = codes[lab_pick(lab_draw(x->imds->options.seed, "imds.document",
					      x->host->actor, x->host->requests),
			LAB_COUNT_OF(codes))];
	if (strcmp(code, "EmptyDocument") == 0)
		lab_buf_reset(&x->body);
	else if (strcmp(code, "HalfDocument") == 0)
		x->body.len /= 2;
	else
		imdsemu_document_spoil(x, code);
}

static void fault_bit(struct imdsemu_exchange *x)
{
	uint64_t draw =
		lab_draw(x->imds->options.seed, "imds.bit", x->host->actor, x->host->requests);

	if (x->body.len > 0)
		x->body.data[lab_pick(draw, x->body.len)] ^= (uint8_t)(1U << (draw & 7));
}

static void fault_answer(struct imdsemu_exchange *x)
{
	if (x->out.response.status != 200)
		return;
	if (x->fault.kind == SIM_FAULT_ALTER_REPLY && x->fault.status == 200)
		fault_document(x);
	else
		fail_fault(x);
}

static void fault_after(struct imdsemu_exchange *x)
{
	switch (x->fault.kind) {
	case SIM_FAULT_FAIL:
	case SIM_FAULT_ALTER_REPLY:
	case SIM_FAULT_LATE:
	case SIM_FAULT_PARTLY:
		fault_answer(x);
		break;
	case SIM_FAULT_LOSE_REPLY:
		x->out.wire = SIM_WIRE_RESET;
		break;
	case SIM_FAULT_STALL_REPLY:
		x->out.wire = SIM_WIRE_SILENCE;
		break;
	case SIM_FAULT_CORRUPT:
		x->out.wire = SIM_WIRE_TRUNCATE;
		break;
	case SIM_FAULT_DROP:
		x->out.wire = SIM_WIRE_ANSWER_DROP;
		break;
	case SIM_FAULT_FLIP:
		fault_bit(x);
		break;
	case SIM_FAULT_TRICKLE:
		x->out.wire = SIM_WIRE_TRICKLE;
		break;
		x->out.wire = SIM_WIRE_ANSWER_DROP;
		break;
	case SIM_FAULT_NONE:
	case SIM_FAULT_REFUSE:
	case SIM_FAULT_STALL:
	case SIM_FAULT_RESET:
	case SIM_FAULT_DELAY:
	case SIM_FAULT_WRONG_ETAG:
	case SIM_FAULT_WRONG_DATE:
	case SIM_FAULT_STALE:
	case SIM_FAULT_DUPLICATE:
	case SIM_FAULT_KIND_COUNT:
		break;
	}
}

static void check_hops(struct imdsemu_exchange *x)
{
	if (!is_token_put(x) || x->hops <= x->imds->options.hop_limit ||
		x->out.wire == SIM_WIRE_RESET)
		return;
	x->imds->counters.beyond_hop_limit++;
	x->out.wire = SIM_WIRE_SILENCE;
}

static const char *operation_of(const struct imdsemu_exchange *x)
{
	if (lab_view_eq_cstr(x->request->method, "PUT") &&
		lab_view_eq_cstr(x->path, "/latest/api/token"))
		return "imds.token";
	return imdsemu_is_role_path(x->path) ? "imds.role" : "imds.meta";
}

/* ---- the service ---- */

static struct imdsemu_exchange *exchange_take(struct imdsemu *imds,
	const struct lab_http_request *request, const struct sim_peer *peer, uint64_t now_ns,
	sim_http_reply_fn reply, void *reply_ctx)
{
	static const struct sim_peer nobody;
	struct imdsemu_exchange *x;

	lab_check(imds, IMDSEMU_MAGIC);
	if (peer == NULL)
		peer = &nobody;
	x = exchange_new(imds);
	x->request = request;
	x->reply = reply;
	x->reply_ctx = reply_ctx;
	x->now_ns = now_ns;
	x->path = lab_view_sub(request->target, 0, lab_view_find_byte(request->target, '?'));
	x->peer_name = peer->name;
	x->host_name = host_name(peer->name);
	x->zone = peer->zone;
	x->hops = LAB_MAX(1U, peer->hops);
	x->host = host_of(imds, x->host_name);
	x->operation = operation_of(x);
	imds->counters.requests++;
	return x;
}

static void submit(void *service, const struct lab_http_request *request,
	const struct sim_peer *peer, uint64_t now_ns, sim_http_reply_fn reply, void *reply_ctx)
{
	struct imdsemu_exchange *x =
		exchange_take(service, request, peer, now_ns, reply, reply_ctx);

	x->fault = ask_fault(x);
	if (x->fault.kind != SIM_FAULT_NONE)
		x->imds->counters.faults++;
	if (!fault_before(x)) {
		answer(x);
		fault_after(x);
	}
	check_hops(x);
	finish(x);
}

/* What the front end could not make a request of. */
static void refuse(void *service, enum sim_http_refusal why, const struct lab_http_request *request,
	const struct sim_peer *peer, uint64_t now_ns, sim_http_reply_fn reply, void *reply_ctx)
{
	static const unsigned statuses[SIM_REFUSE_COUNT] = {
		[SIM_REFUSE_MALFORMED] = 400,
		[SIM_REFUSE_URI] = 400,
		[SIM_REFUSE_VERSION] = 505,
		[SIM_REFUSE_HEADERS] = 431,
		[SIM_REFUSE_LENGTH] = 400,
		[SIM_REFUSE_NO_LENGTH] = 411,
		[SIM_REFUSE_CODING] = 501,
		[SIM_REFUSE_SHORT] = 400,
		[SIM_REFUSE_BODY] = 413,
		[SIM_REFUSE_TIMEOUT] = 408,
		[SIM_REFUSE_MEMORY] = 503,
		[SIM_REFUSE_CONNECTIONS] = 503,
	};
	struct imdsemu_exchange *x =
		exchange_take(service, request, peer, now_ns, reply, reply_ctx);

	x->operation = "imds.meta";
	fail(x, statuses[why]);
	finish(x);
}

static void advance(void *service, uint64_t now_ns)
{
	struct imdsemu *imds = service;

	lab_check(imds, IMDSEMU_MAGIC);
	while (imds->pending != NULL && imds->pending->due_ns <= now_ns) {
		struct imdsemu_exchange *x = imds->pending;

		imds->pending = x->next;
		imds->pending_count--;
		deliver(x);
	}
}

static uint64_t next_deadline(void *service)
{
	struct imdsemu *imds = service;

	lab_check(imds, IMDSEMU_MAGIC);
	return imds->pending != NULL ? imds->pending->due_ns : UINT64_MAX;
}

static const struct sim_http_ops http_ops = { submit, advance, next_deadline, refuse, false };

struct sim_http_service imdsemu_service(struct imdsemu *imds)
{
	lab_check(imds, IMDSEMU_MAGIC);
	return (struct sim_http_service){ &http_ops, imds };
}

/* ---- making one ---- */

void imdsemu_options_init(struct imdsemu_options *options)
{
	memset(options, 0, sizeof(*options));
	options->instance = LAB_VIEW("imds");
	options->epoch_unix_us = EPOCH_2026_US;
	options->region = LAB_VIEW("us-east-1");
	options->zone = LAB_VIEW("us-east-1a");
	options->account = LAB_VIEW("123456789012");
	options->tokens = IMDSEMU_REQUIRED;
	options->hop_limit = 1;
	options->lifetime_s = 21600;
	options->rotate_every_s = 18000;
	options->throttle_burst = 100;
	options->throttle_status = 429;
	options->roles_max = 16;
	options->hosts_max = 4096;
	options->pending_max = 4096;
}

static int check_sizes(const struct imdsemu_options *options, struct lab_error *err)
{
	if (options->roles_max == 0 || options->hosts_max == 0 || options->pending_max == 0)
		return lab_fail(err, LAB_INVALID, "IMDS: no limit may be 0");
	if (options->region.len == 0 || options->region.len > 64 || options->zone.len > 64 ||
		options->account.len > 64)
		return lab_fail(err, LAB_INVALID, "IMDS: region, zone, account: up to 64 bytes");
	return 0;
}

static int check_times(const struct imdsemu_options *options, struct lab_error *err)
{
	if (options->rotate_every_s == 0 || options->rotate_every_s > options->lifetime_s)
		return lab_fail(err, LAB_INVALID, "IMDS: keys must be rotated within their life");
	if (options->latency_low_ns > options->latency_high_ns ||
		(options->latency_high_ns > 0 && options->latency_low_ns == 0))
		return lab_fail(err, LAB_INVALID, "IMDS: latency is 1 or more, low up to high");
	if (options->skew_us > SKEW_MAX_US || options->skew_us < -SKEW_MAX_US)
		return lab_fail(err, LAB_INVALID, "IMDS: the clock is wrong by more than a year");
	return 0;
}

static int check_options(const struct imdsemu_options *options, struct lab_error *err)
{
	if (options->hop_limit < 1 || options->hop_limit > 64)
		return lab_fail(err, LAB_INVALID, "IMDS: the hop limit is 1 to 64");
	if (options->throttle_status < 400 || options->throttle_status > 599 ||
		options->throttle_burst == 0 || options->throttle_burst > 1000000)
		return lab_fail(
			err, LAB_INVALID, "IMDS: throttling needs an error status, a burst");
	return check_times(options, err) < 0 ? -1 : check_sizes(options, err);
}

static struct lab_view own(struct imdsemu *imds, struct lab_view text)
{
	uint8_t *copy = lab_heap_alloc(imds->heap, text.len);

	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return lab_view_of(copy, text.len);
}

int imdsemu_new(struct lab_pool *pool, const struct imdsemu_options *options, struct imdsemu **ret,
	struct lab_error *err)
{
	struct lab_heap *heap;
	struct imdsemu *imds;
	size_t i;

	if (check_options(options, err) < 0)
		return -1;
	heap = lab_heap_new(pool, HEAP_MAX);
	imds = lab_new(heap, struct imdsemu);
	imds->magic = IMDSEMU_MAGIC;
	imds->heap = heap;
	imds->options = *options;
	imds->options.instance = own(imds, options->instance);
	imds->options.region = own(imds, options->region);
	imds->options.zone = own(imds, options->zone);
	imds->options.account = own(imds, options->account);
	imds->roles = lab_tree_new(heap, options->roles_max);
	imds->hosts = lab_map_new(heap, options->hosts_max);
	imds->frozen_at_ns = UINT64_MAX;
	host_init(imds, &imds->other_hosts, lab_view_of(NULL, 0));
	for (i = 0; i < sizeof(imds->key); i += 8) {
		uint64_t draw = lab_draw(options->seed, "imds.key", i, 0);

		memcpy(imds->key + i, &draw, 8);
	}
	*ret = imds;
	return 0;
}

void imdsemu_free(struct imdsemu **imds)
{
	struct lab_heap *heap;

	if (*imds == NULL)
		return;
	lab_check(*imds, IMDSEMU_MAGIC);
	(*imds)->magic = 0;
	heap = (*imds)->heap;
	*imds = NULL;
	lab_heap_drop(&heap);
}

/* ---- changes in mid-flight ---- */

/* What IAM allows in a role's name. */
static bool role_name_ok(struct lab_view name)
{
	size_t i;

	if (name.len == 0 || name.len > 64)
		return false;
	for (i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		bool alnum =
			(c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!alnum && (c == '\0' || strchr("_+=,.@-", c) == NULL))
			return false;
	}
	return true;
}

int imdsemu_role_attach(struct imdsemu *imds, struct lab_view name, enum imdsemu_role_state state,
	struct lab_error *err)
{
	struct imdsemu_role *role;
	void **slot;

	lab_check(imds, IMDSEMU_MAGIC);
	if (!role_name_ok(name)) {
		return lab_fail(
			err, LAB_INVALID, "'%.*s' cannot be a role's name", LAB_VIEW_ARG(name));
	}
	slot = lab_tree_slot(imds->roles, name);
	if (slot == NULL)
		return lab_fail(err, LAB_LIMIT, "IMDS: too many roles");
	if (*slot == NULL)
		*slot = lab_new(imds->heap, struct imdsemu_role);
	role = *slot;
	role->state = state;
	return 0;
}

void imdsemu_role_detach(struct imdsemu *imds, struct lab_view role)
{
	lab_check(imds, IMDSEMU_MAGIC);
	lab_heap_free(imds->heap, lab_tree_remove(imds->roles, role));
}

void imdsemu_set_tokens(struct imdsemu *imds, enum imdsemu_tokens tokens)
{
	lab_check(imds, IMDSEMU_MAGIC);
	imds->options.tokens = tokens;
}

void imdsemu_tokens_revoke(struct imdsemu *imds)
{
	lab_check(imds, IMDSEMU_MAGIC);
	imds->revocations++;
}

void imdsemu_set_skew(struct imdsemu *imds, int64_t skew_us)
{
	lab_check(imds, IMDSEMU_MAGIC);
	imds->options.skew_us = skew_us;
}

void imdsemu_freeze(struct imdsemu *imds, uint64_t now_ns)
{
	lab_check(imds, IMDSEMU_MAGIC);
	imds->frozen_at_ns = now_ns;
}

void imdsemu_thaw(struct imdsemu *imds)
{
	lab_check(imds, IMDSEMU_MAGIC);
	imds->frozen_at_ns = UINT64_MAX;
}

void imdsemu_rotate(struct imdsemu *imds, uint64_t now_ns)
{
	uint64_t every_ns = imds->options.rotate_every_s * LAB_SEC;

	lab_check(imds, IMDSEMU_MAGIC);
	if (imds->frozen_at_ns == UINT64_MAX)
		imds->ahead_ns += every_ns - (now_ns + imds->ahead_ns) % every_ns;
}

const struct imdsemu_counters *imdsemu_counters(const struct imdsemu *imds)
{
	lab_check(imds, IMDSEMU_MAGIC);
	return &imds->counters;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/s3-emulator/s3-emulator-private.h"

#include <stdio.h> /* snprintf */

/* Memory beside the objects: answers under way, containers. The pool is the true bound. */
#define HEAP_SLACK (UINT64_C(1) << 30)
#define ARENA_MAX ((size_t)64 << 20)
#define XML_KEEP_MAX ((size_t)64 << 10) /* more is given back after the request */
#define SCRATCH_MAX ((size_t)128 << 10)
#define EPOCH_2026_US UINT64_C(1767225600000000)

static const struct op_info {
	const char *name;
	enum s3emu_class class;
	const char *fault_point; /* NULL: none */
	enum s3emu_budget budget;
	int (*handle)(struct s3emu_exchange *x);
} ops[S3EMU_OP_COUNT] = {
	[S3EMU_OP_GET_OBJECT] = { "GET", S3EMU_GET, "s3.get", S3EMU_BUDGET_READ, s3emu_get_object },
	[S3EMU_OP_HEAD_OBJECT] = { "HEAD", S3EMU_HEAD, "s3.head", S3EMU_BUDGET_READ,
		s3emu_get_object },
	[S3EMU_OP_PUT_OBJECT] = { "PUT", S3EMU_PUT, "s3.put", S3EMU_BUDGET_WRITE,
		s3emu_put_object },
	[S3EMU_OP_COPY_OBJECT] = { "COPY", S3EMU_COPY, "s3.copy", S3EMU_BUDGET_WRITE,
		s3emu_copy_object },
	[S3EMU_OP_DELETE_OBJECT] = { "DELETE", S3EMU_DELETE, "s3.delete", S3EMU_BUDGET_WRITE,
		s3emu_delete_object },
	/* Its keys are charged when they are known. */
	[S3EMU_OP_BULK_DELETE] = { "POST-DELETE", S3EMU_BULK_DELETE, "s3.bulk_delete",
		S3EMU_BUDGET_NONE, s3emu_bulk_delete },
	[S3EMU_OP_LIST_OBJECTS] = { "LIST", S3EMU_LIST, "s3.list", S3EMU_BUDGET_READ,
		s3emu_list_objects },
	[S3EMU_OP_HEAD_BUCKET] = { "HEAD-BUCKET", S3EMU_BUCKET, NULL, S3EMU_BUDGET_NONE,
		s3emu_head_bucket },
	[S3EMU_OP_PUT_BUCKET] = { "PUT-BUCKET", S3EMU_BUCKET, NULL, S3EMU_BUDGET_NONE,
		s3emu_put_bucket },
	[S3EMU_OP_DELETE_BUCKET] = { "DELETE-BUCKET", S3EMU_BUCKET, NULL, S3EMU_BUDGET_NONE,
		s3emu_delete_bucket },
	[S3EMU_OP_LOCATION] = { "LOCATION", S3EMU_BUCKET, NULL, S3EMU_BUDGET_NONE, s3emu_location },
	[S3EMU_OP_LIST_BUCKETS] = { "LIST-BUCKETS", S3EMU_BUCKET, NULL, S3EMU_BUDGET_NONE,
		s3emu_list_buckets },
	[S3EMU_OP_CREATE_UPLOAD] = { "CREATE-UPLOAD", S3EMU_PUT, "s3.multipart", S3EMU_BUDGET_WRITE,
		s3emu_create_upload },
	[S3EMU_OP_UPLOAD_PART] = { "UPLOAD-PART", S3EMU_PUT, "s3.upload_part", S3EMU_BUDGET_WRITE,
		s3emu_upload_part },
	[S3EMU_OP_UPLOAD_PART_COPY] = { "UPLOAD-PART-COPY", S3EMU_COPY, "s3.upload_part",
		S3EMU_BUDGET_WRITE, s3emu_upload_part_copy },
	[S3EMU_OP_COMPLETE_UPLOAD] = { "COMPLETE-UPLOAD", S3EMU_COPY, "s3.multipart",
		S3EMU_BUDGET_WRITE, s3emu_complete_upload },
	[S3EMU_OP_ABORT_UPLOAD] = { "ABORT-UPLOAD", S3EMU_DELETE, "s3.multipart",
		S3EMU_BUDGET_WRITE, s3emu_abort_upload },
	[S3EMU_OP_LIST_PARTS] = { "LIST-PARTS", S3EMU_LIST, "s3.list", S3EMU_BUDGET_READ,
		s3emu_list_parts },
	[S3EMU_OP_LIST_UPLOADS] = { "LIST-UPLOADS", S3EMU_LIST, "s3.list", S3EMU_BUDGET_READ,
		s3emu_list_uploads },
	[S3EMU_OP_LIST_VERSIONS] = { "LIST-VERSIONS", S3EMU_LIST, "s3.list", S3EMU_BUDGET_READ,
		s3emu_list_versions },
	[S3EMU_OP_BUCKET_CONFIG] = { "BUCKET-CONFIG", S3EMU_BUCKET, NULL, S3EMU_BUDGET_NONE,
		s3emu_bucket_config },
	[S3EMU_OP_OBJECT_CONFIG] = { "OBJECT-CONFIG", S3EMU_HEAD, NULL, S3EMU_BUDGET_READ,
		s3emu_object_config },
	[S3EMU_OP_ATTRIBUTES] = { "ATTRIBUTES", S3EMU_HEAD, NULL, S3EMU_BUDGET_READ,
		s3emu_get_attributes },
	[S3EMU_OP_GET_TAGGING] = { "GET-TAGGING", S3EMU_HEAD, NULL, S3EMU_BUDGET_READ,
		s3emu_get_tagging },
	[S3EMU_OP_PUT_TAGGING] = { "PUT-TAGGING", S3EMU_PUT, NULL, S3EMU_BUDGET_WRITE,
		s3emu_put_tagging },
	[S3EMU_OP_DELETE_TAGGING] = { "DELETE-TAGGING", S3EMU_DELETE, NULL, S3EMU_BUDGET_WRITE,
		s3emu_delete_tagging },
	[S3EMU_OP_UNAVAILABLE] = { "OTHER", S3EMU_OTHER, NULL, S3EMU_BUDGET_NONE,
		s3emu_unavailable },
};

static const char *const class_names[] = { "GET", "HEAD", "PUT", "DELETE", "POST-DELETE", "LIST",
	"COPY", "BUCKET", "OTHER" };
_Static_assert(LAB_COUNT_OF(class_names) == S3EMU_CLASS_COUNT, "every class has a name");

const char *s3emu_class_name(enum s3emu_class class)
{
	return class_names[class];
}

int64_t s3emu_wall_us(const struct s3emu_exchange *x)
{
	return (int64_t)(x->s3->options.epoch_unix_us + x->now_ns / 1000) + x->s3->options.skew_us;
}

/* ---- exchanges ---- */

static struct s3emu_exchange *exchange_new(struct s3emu *s3)
{
	struct s3emu_exchange *x = s3->free_exchanges;

	if (x != NULL) {
		s3->free_exchanges = x->next_free;
		return x;
	}
	x = lab_new(s3->heap, struct s3emu_exchange);
	x->s3 = s3;
	x->arena = lab_arena_new(s3->heap, ARENA_MAX + s3->options.limits.object_bytes_max);
	lab_buf_init(&x->xml, s3->heap, S3EMU_XML_OUT_MAX);
	lab_buf_init(&x->scratch, s3->heap, SCRATCH_MAX);
	return x;
}

static void exchange_start(struct s3emu_exchange *x)
{
	x->param_count = 0;
	x->bucket_name = x->key = x->subject = x->account = lab_view_of(NULL, 0);
	x->raw_path = x->raw_query = lab_view_of(NULL, 0);
	x->head = x->virtual_host = false;
	x->chain.key = NULL;
	x->bucket = NULL;
	x->object = NULL;
	memset(&x->fault, 0, sizeof(x->fault));
	x->withheld = x->applied = x->muted = x->waits_to_run = false;
	x->error.code = NULL;
	x->error.detail_count = 0;
	x->bytes = x->body_hash = 0;
	x->keys = NULL;
	x->key_count = 0;
	x->out.wire = SIM_WIRE_ANSWER;
	x->out.cut_at = 0;
	x->out.bytes_per_s = 0;
	x->out.response.status = 0;
	x->out.response.headers.count = 0;
	x->out.response.body = lab_view_of(NULL, 0);
	x->held_bytes = 0;
}

static void exchange_end(struct s3emu_exchange *x)
{
	struct s3emu *s3 = x->s3;

	if (x->object != NULL)
		s3emu_object_unref(s3, x->object);
	x->object = NULL;
	if (x->xml.capacity > XML_KEEP_MAX)
		lab_buf_done(&x->xml);
	lab_arena_reset(x->arena);
	x->next_free = s3->free_exchanges;
	s3->free_exchanges = x;
}

/* ---- answers that wait: a binary heap by (due, sequence) ---- */

static bool sooner(const struct s3emu_exchange *a, const struct s3emu_exchange *b)
{
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	return a->due_sequence < b->due_sequence;
}

static void pending_push(struct s3emu *s3, struct s3emu_exchange *x)
{
	size_t i = s3->counters.pending++;

	if (i == s3->pending_capacity) {
		s3->pending_capacity = LAB_MAX((size_t)64, s3->pending_capacity * 2);
		s3->pending = lab_heap_realloc(
			s3->heap, s3->pending, s3->pending_capacity * sizeof(*s3->pending));
	}
	s3->counters.pending_high = LAB_MAX(s3->counters.pending_high, s3->counters.pending);
	x->due_sequence = s3->due_sequence++;
	s3->held_bytes += x->held_bytes;
	for (; i > 0 && sooner(x, s3->pending[(i - 1) / 2]); i = (i - 1) / 2)
		s3->pending[i] = s3->pending[(i - 1) / 2];
	s3->pending[i] = x;
}

static struct s3emu_exchange *pending_pop(struct s3emu *s3)
{
	struct s3emu_exchange *first = s3->pending[0];
	struct s3emu_exchange *last = s3->pending[--s3->counters.pending];
	size_t count = s3->counters.pending, i = 0, child;

	while ((child = 2 * i + 1) < count) {
		if (child + 1 < count && sooner(s3->pending[child + 1], s3->pending[child]))
			child++;
		if (!sooner(s3->pending[child], last))
			break;
		s3->pending[i] = s3->pending[child];
		i = child;
	}
	s3->pending[i] = last;
	s3->held_bytes -= first->held_bytes;
	return first;
}

/* ---- a request's way ---- */

int s3emu_commit(struct s3emu_exchange *x)
{
	if (x->fault.kind != SIM_FAULT_FAIL &&
		!(x->fault.kind == SIM_FAULT_PARTLY && x->op != S3EMU_OP_BULK_DELETE))
		return 0;
	x->withheld = true;
	return s3emu_fail_fault(x);
}

static bool writes_too_fast(const struct s3emu_exchange *x)
{
	return (x->class == S3EMU_PUT || x->class == S3EMU_COPY) &&
	       s3emu_key_is_too_fast(x->s3, x->bucket, x->key);
}

static bool changes_object(enum s3emu_op op)
{
	return op == S3EMU_OP_PUT_OBJECT || op == S3EMU_OP_COPY_OBJECT ||
	       op == S3EMU_OP_DELETE_OBJECT || op == S3EMU_OP_COMPLETE_UPLOAD;
}

/* A write of the same key has been delayed (SIM_FAULT_DELAY and the like), and is still to come. */
bool s3emu_write_under_way(const struct s3emu_exchange *x)
{
	const struct s3emu *s3 = x->s3;
	size_t i;

	for (i = 0; i < s3->counters.pending; i++) {
		const struct s3emu_exchange *other = s3->pending[i];

		if (other->waits_to_run && other->sequence < x->sequence &&
			changes_object(other->op) && lab_view_eq(other->key, x->key) &&
			lab_view_eq(other->bucket_name, x->bucket_name))
			return true;
	}
	return false;
}

static int throttle(struct s3emu_exchange *x)
{
	enum s3emu_budget budget = ops[x->op].budget;
	struct lab_view key = x->key;

	if (ops[x->op].class == S3EMU_LIST) {
		if (x->op != S3EMU_OP_LIST_PARTS)
			(void)s3emu_list_take(x, "prefix", &key);
		if (x->bucket->rates.list_is_write)
			budget = S3EMU_BUDGET_WRITE;
	}
	if (!writes_too_fast(x) && s3emu_rate_take(x->bucket, key, budget, x->now_ns))
		return 0;
	x->s3->counters.throttled++;
	return s3emu_fail(x, S3EMU_SLOW_DOWN);
}

/* Whether the operation is on a bucket that must be there. */
static bool needs_bucket(const struct s3emu_exchange *x)
{
	return x->op != S3EMU_OP_LIST_BUCKETS && x->op != S3EMU_OP_PUT_BUCKET &&
	       x->bucket_name.ptr != NULL;
}

static void run(struct s3emu_exchange *x)
{
	if (s3emu_authenticate(x) < 0)
		return;
	if (needs_bucket(x) && (s3emu_bucket_find(x) < 0 || throttle(x) < 0))
		return;
	/* The body comes last: who is refused for something else need not send it. */
	if (s3emu_payload(x) < 0)
		return;
	(void)ops[x->op].handle(x);
}

/* What a fault makes of an outcome that stands. */
static void alter(struct s3emu_exchange *x)
{
	switch (x->fault.kind) {
	case SIM_FAULT_LOSE_REPLY:
		x->out.wire = SIM_WIRE_RESET;
		break;
	case SIM_FAULT_STALL_REPLY:
		x->out.wire = SIM_WIRE_SILENCE;
		break;
	case SIM_FAULT_ALTER_REPLY:
	case SIM_FAULT_LATE:
		(void)s3emu_fail_fault(x);
		break;
	case SIM_FAULT_NONE:
	case SIM_FAULT_CORRUPT: /* what the bytes suffer: reply-fault.c */
	case SIM_FAULT_REFUSE:
	case SIM_FAULT_FAIL:
	case SIM_FAULT_STALL:
	case SIM_FAULT_RESET:
	case SIM_FAULT_DELAY:
	case SIM_FAULT_PARTLY:
	case SIM_FAULT_FLIP:
	case SIM_FAULT_WRONG_ETAG:
	case SIM_FAULT_WRONG_DATE:
	case SIM_FAULT_TRICKLE:
	case SIM_FAULT_DROP:
	case SIM_FAULT_STALE:
	case SIM_FAULT_DUPLICATE:
	case SIM_FAULT_KIND_COUNT:
		break;
	}
}

static void log_access(struct s3emu_exchange *x)
{
	struct s3emu *s3 = x->s3;
	struct sim_access access;

	if (s3->options.hooks.access == NULL)
		return;
	memset(&access, 0, sizeof(access));
	access.service = "s3";
	access.instance = s3->options.instance;
	access.peer = x->peer;
	access.received_ns = x->received_ns;
	access.answered_ns = x->muted ? x->received_ns : x->due_ns;
	access.method = x->request->method;
	access.operation = lab_view_cstr(ops[x->op].name);
	access.subject = x->subject;
	access.request = x->request->target;
	access.user = s3emu_request_header(x, "X-Dovecot-Username");
	access.keys = x->keys;
	access.key_count = x->key_count;
	access.status = x->out.response.status;
	access.code = x->error.code;
	access.applied = x->applied;
	access.answered = x->out.wire != SIM_WIRE_RESET && x->out.wire != SIM_WIRE_SILENCE;
	access.is_repeat = x->muted && x->fault.kind == SIM_FAULT_DUPLICATE;
	access.fault_id = x->fault.id;
	access.bytes = x->bytes;
	access.body_hash = x->body_hash;
	access.timestamp_us = INT64_MIN;
	s3->options.hooks.access(s3->options.hooks.ctx, &access);
}

static void count(struct s3emu_exchange *x)
{
	struct s3emu_counters *counters = &x->s3->counters;
	bool answered = x->out.wire != SIM_WIRE_RESET && x->out.wire != SIM_WIRE_SILENCE;
	unsigned status = answered ? x->out.response.status : 0;

	counters->by_status[x->class][status < S3EMU_STATUS_COUNT ? status : 0]++;
	if (x->object != NULL && x->error.code == NULL)
		counters->bytes_out += x->head ? 0 : x->out.response.body.len;
}

static void deliver(struct s3emu_exchange *x)
{
	x->reply(x->reply_ctx, &x->out);
	exchange_end(x);
}

/* The outcome is known: log it and answer, now or when the service would have. */
static void finish(struct s3emu_exchange *x, const struct s3emu_latency *latency)
{
	s3emu_reply_build(x);
	x->out.head = x->head;
	s3emu_reply_spoil(x);
	x->due_ns = x->now_ns;
	if (latency != NULL)
		s3emu_latency_apply(x, latency);
	count(x);
	log_access(x);
	if (x->muted) {
		exchange_end(x);
	} else if (x->due_ns > x->now_ns) {
		x->held_bytes = x->xml.capacity;
		pending_push(x->s3, x);
	} else {
		deliver(x);
	}
}

static const struct s3emu_latency *latency_of(const struct s3emu_exchange *x)
{
	if (x->error.code != NULL && x->error.status == 503)
		return &x->s3->options.refused_latency;
	return &x->s3->options.latency[x->class];
}

/* Whatever was answered must be kept; what cannot be kept was not done. */
static void keep(struct s3emu_exchange *x, const struct s3emu_totals *before)
{
	struct s3emu *s3 = x->s3;
	enum s3emu_kept kept;

	if (s3->engine_ops->finish == NULL)
		return;
	kept = s3->engine_ops->finish(s3->engine);
	if (kept == S3EMU_KEPT)
		return;
	s3emu_totals_set(s3, before);
	x->applied = false;
	x->keys = NULL;
	x->key_count = 0;
	(void)s3emu_fail(
		x, kept == S3EMU_KEPT_BROKEN ? S3EMU_INTERNAL_ERROR : S3EMU_SERVICE_UNAVAILABLE);
}

/* Runs a request whose time has come, and answers. */
static void run_and_finish(struct s3emu_exchange *x)
{
	struct s3emu *s3 = x->s3;
	struct s3emu_totals before;

	s3emu_store_begin(s3);
	before = s3emu_totals_get(s3);
	run(x);
	keep(x, &before);
	/* A wrong request gets its own error, except that a fault may lose that one too. */
	if (!x->withheld)
		alter(x);
	finish(x, x->muted || x->fault.kind == SIM_FAULT_DELAY ? NULL : latency_of(x));
	s3emu_store_begin(s3);
}

static void refuse(struct s3emu_exchange *x, enum sim_wire wire)
{
	(void)s3emu_fail_fault(x);
	x->out.wire = wire;
	finish(x, &x->s3->options.refused_latency);
}

/* Keeps the request and runs it delay_ns later. */
static void run_later(struct s3emu_exchange *x)
{
	size_t bytes = x->request->body.len;

	if (bytes > x->s3->options.limits.stored_bytes_max - x->s3->held_bytes) {
		(void)s3emu_fail(x, S3EMU_SERVICE_UNAVAILABLE);
		finish(x, NULL);
		return;
	}
	/* Copied whole and parsed anew: what was parsed points into the original. */
	lab_arena_reset(x->arena);
	lab_http_request_copy(x->arena, x->request, &x->copy);
	x->peer = lab_arena_copy(x->arena, x->peer);
	x->request = &x->copy;
	x->param_count = 0;
	(void)s3emu_parse(x);
	x->held_bytes = bytes;
	x->waits_to_run = true;
	x->due_ns = x->now_ns + x->fault.delay_ns;
	pending_push(x->s3, x);
}

/* SIM_FAULT_LATE: an error now, the effect later. What is logged is the effect. */
static void answer_early(struct s3emu_exchange *x)
{
	(void)s3emu_fail_fault(x);
	s3emu_reply_build(x);
	x->out.head = x->head;
	x->muted = true;
	x->reply(x->reply_ctx, &x->out);
	x->error.code = NULL;
	x->out.response.headers.count = 0;
	x->out.response.body = lab_view_of(NULL, 0);
	x->out.wire = SIM_WIRE_ANSWER;
}

/* SIM_FAULT_DUPLICATE: another exchange carries a copy that is run later, and not answered. */
static void run_again(struct s3emu_exchange *x)
{
	struct s3emu_exchange *copy = exchange_new(x->s3);

	exchange_start(copy);
	copy->request = x->request;
	copy->peer = x->peer;
	copy->received_ns = copy->now_ns = x->now_ns;
	copy->sequence = x->s3->sequence++;
	copy->fault = x->fault;
	copy->muted = true;
	(void)s3emu_parse(copy);
	copy->class = ops[copy->op].class;
	run_later(copy);
}

static struct sim_fault ask_fault(struct s3emu_exchange *x)
{
	const struct sim_hooks *hooks = &x->s3->options.hooks;
	struct sim_fault none = { .kind = SIM_FAULT_NONE };
	struct sim_fault_query query;

	if (hooks->fault == NULL || ops[x->op].fault_point == NULL)
		return none;
	query.point = ops[x->op].fault_point;
	query.service = "s3";
	query.instance = x->s3->options.instance;
	query.peer = x->peer;
	query.subject = x->subject;
	query.now_ns = x->now_ns;
	return hooks->fault(hooks->ctx, &query);
}

static void begin(struct s3emu_exchange *x)
{
	if (x->fault.kind != SIM_FAULT_NONE)
		x->s3->counters.faults++;
	switch (x->fault.kind) {
	case SIM_FAULT_REFUSE:
		refuse(x, SIM_WIRE_ANSWER);
		break;
	case SIM_FAULT_STALL:
		refuse(x, SIM_WIRE_SILENCE);
		break;
	case SIM_FAULT_RESET:
		refuse(x, SIM_WIRE_RESET);
		break;
	case SIM_FAULT_LATE:
		answer_early(x);
		run_later(x);
		break;
	case SIM_FAULT_DELAY:
		run_later(x);
		break;
	case SIM_FAULT_DUPLICATE:
		run_again(x);
		run_and_finish(x);
		break;
	case SIM_FAULT_NONE:
	case SIM_FAULT_FAIL:
	case SIM_FAULT_LOSE_REPLY:
	case SIM_FAULT_STALL_REPLY:
	case SIM_FAULT_ALTER_REPLY:
	case SIM_FAULT_PARTLY:
	case SIM_FAULT_CORRUPT:
	case SIM_FAULT_FLIP:
	case SIM_FAULT_WRONG_ETAG:
	case SIM_FAULT_WRONG_DATE:
	case SIM_FAULT_TRICKLE:
	case SIM_FAULT_DROP:
	case SIM_FAULT_STALE:
	case SIM_FAULT_KIND_COUNT:
		run_and_finish(x);
		break;
	}
}

static struct s3emu_exchange *exchange_take(struct s3emu *s3,
	const struct lab_http_request *request, const struct sim_peer *peer, uint64_t now_ns,
	sim_http_reply_fn reply, void *reply_ctx)
{
	struct s3emu_exchange *x;

	lab_check(s3, S3EMU_MAGIC);
	x = exchange_new(s3);
	exchange_start(x);
	x->request = request;
	x->peer = peer == NULL ? lab_view_of(NULL, 0) : peer->name;
	x->reply = reply;
	x->reply_ctx = reply_ctx;
	x->received_ns = x->now_ns = s3->now_ns = now_ns;
	x->sequence = s3->sequence++;
	s3->counters.requests++;
	s3->counters.bytes_in += request->body.len;
	return x;
}

static void submit(void *service, const struct lab_http_request *request,
	const struct sim_peer *peer, uint64_t now_ns, sim_http_reply_fn reply, void *reply_ctx)
{
	struct s3emu *s3 = service;
	struct s3emu_exchange *x = exchange_take(s3, request, peer, now_ns, reply, reply_ctx);

	if (s3emu_parse(x) < 0) {
		x->class = ops[x->op].class;
		finish(x, NULL);
		return;
	}
	x->class = ops[x->op].class;
	if (s3->counters.pending >= s3->options.limits.pending_max) {
		(void)s3emu_fail(x, S3EMU_SERVICE_UNAVAILABLE);
		finish(x, NULL);
		return;
	}
	x->fault = ask_fault(x);
	begin(x);
}

/* What the front end could not make a request of. */
static void refuse_malformed(void *service, enum sim_http_refusal why,
	const struct lab_http_request *request, const struct sim_peer *peer, uint64_t now_ns,
	sim_http_reply_fn reply, void *reply_ctx)
{
	static const enum s3emu_error_id errors[SIM_REFUSE_COUNT] = {
		[SIM_REFUSE_MALFORMED] = S3EMU_BAD_REQUEST,
		[SIM_REFUSE_URI] = S3EMU_INVALID_URI,
		[SIM_REFUSE_VERSION] = S3EMU_BAD_REQUEST,
		[SIM_REFUSE_HEADERS] = S3EMU_REQUEST_HEADERS_TOO_LARGE,
		[SIM_REFUSE_LENGTH] = S3EMU_BAD_REQUEST,
		[SIM_REFUSE_NO_LENGTH] = S3EMU_MISSING_CONTENT_LENGTH,
		[SIM_REFUSE_CODING] = S3EMU_NOT_IMPLEMENTED,
		[SIM_REFUSE_SHORT] = S3EMU_INCOMPLETE_BODY,
		[SIM_REFUSE_BODY] = S3EMU_MAX_MESSAGE_LENGTH,
		[SIM_REFUSE_TIMEOUT] = S3EMU_REQUEST_TIMEOUT,
		[SIM_REFUSE_MEMORY] = S3EMU_SERVICE_UNAVAILABLE,
		[SIM_REFUSE_CONNECTIONS] = S3EMU_SERVICE_UNAVAILABLE,
	};
	struct s3emu_exchange *x = exchange_take(service, request, peer, now_ns, reply, reply_ctx);
	bool put = lab_view_eq_cstr(request->method, "PUT");

	x->op = S3EMU_OP_UNAVAILABLE;
	x->class = ops[x->op].class;
	x->head = lab_view_eq_cstr(request->method, "HEAD");
	(void)s3emu_fail(x, why == SIM_REFUSE_BODY && put ? S3EMU_ENTITY_TOO_LARGE : errors[why]);
	finish(x, NULL);
}

static void advance(void *service, uint64_t now_ns)
{
	struct s3emu *s3 = service;

	lab_check(s3, S3EMU_MAGIC);
	while (s3->counters.pending > 0 && s3->pending[0]->due_ns <= now_ns) {
		struct s3emu_exchange *x = pending_pop(s3);

		if (!x->waits_to_run) {
			deliver(x);
			continue;
		}
		x->now_ns = s3->now_ns = x->due_ns;
		run_and_finish(x);
	}
}

static uint64_t next_deadline(void *service)
{
	struct s3emu *s3 = service;

	lab_check(s3, S3EMU_MAGIC);
	return s3->counters.pending > 0 ? s3->pending[0]->due_ns : UINT64_MAX;
}

static const struct sim_http_ops http_ops = { submit, advance, next_deadline, refuse_malformed,
	true };

struct sim_http_service s3emu_service(struct s3emu *s3)
{
	lab_check(s3, S3EMU_MAGIC);
	return (struct sim_http_service){ &http_ops, s3 };
}

/* ---- making one ---- */

void s3emu_options_init(struct s3emu_options *options)
{
	memset(options, 0, sizeof(*options));
	options->instance = LAB_VIEW("s3");
	options->epoch_unix_us = EPOCH_2026_US;
	options->region = LAB_VIEW("us-east-1");
	options->verify_signatures = true;
	options->hash_bodies = true;
	options->rates.writes_per_s = 3500;
	options->rates.reads_per_s = 5500;
	options->rates.burst_ns = LAB_SEC;
	options->limits.buckets_max = 1000;
	options->limits.objects_max = UINT64_C(1) << 28;
	options->limits.stored_bytes_max = UINT64_C(4) << 30;
	options->limits.object_bytes_max = UINT64_C(5) << 30;
	options->limits.part_bytes_min = UINT64_C(5) << 20;
	options->limits.credentials_max = 4096;
	options->limits.clients_max = 4096;
	options->limits.pending_max = 65536;
}

static int check_limits(const struct s3emu_limits *limits, struct lab_error *err)
{
	if (limits->buckets_max == 0 || limits->objects_max == 0 || limits->stored_bytes_max == 0 ||
		limits->object_bytes_max == 0 || limits->pending_max == 0 ||
		limits->credentials_max == 0 || limits->clients_max == 0)
		return lab_fail(err, LAB_INVALID, "S3 limits: none may be 0");
	if (limits->stored_bytes_max > UINT64_C(1) << 50 ||
		limits->object_bytes_max > UINT64_C(1) << 50)
		return lab_fail(err, LAB_INVALID, "S3 limits: more than a petabyte");
	return 0;
}

static int check_options(const struct s3emu_options *options, struct lab_error *err)
{
	size_t i;

	if (check_limits(&options->limits, err) < 0)
		return -1;
	if (options->stale_changes_max > S3EMU_STALE_CHANGES_MAX)
		return lab_fail(err, LAB_INVALID, "S3 stale_changes_max: more than %d",
			S3EMU_STALE_CHANGES_MAX);
	if (options->region.len == 0 || options->region.len > 64)
		return lab_fail(err, LAB_INVALID, "S3 region: 1 to 64 bytes");
	for (i = 0; i < S3EMU_CLASS_COUNT; i++) {
		if (s3emu_latency_check(&options->latency[i], err) < 0)
			return -1;
	}
	if (s3emu_latency_check(&options->refused_latency, err) < 0)
		return -1;
	if (s3emu_scaling_check(&options->scaling, err) < 0)
		return -1;
	return s3emu_rates_check(&options->rates, err);
}

static struct lab_view own_view(struct s3emu *s3, struct lab_view text)
{
	uint8_t *copy = lab_heap_alloc(s3->heap, text.len);

	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return lab_view_of(copy, text.len);
}

static void own_endpoints(struct s3emu *s3, const struct s3emu_options *options)
{
	struct lab_view defaults[] = { LAB_VIEW("s3.amazonaws.com"), LAB_VIEW("localhost"),
		{ NULL, 0 } };
	const struct lab_view *from = options->endpoints;
	size_t i, n = options->endpoint_count;
	struct lab_view *copies;
	char regional[100];

	if (from == NULL) {
		(void)snprintf(regional, sizeof(regional), "s3.%.*s.amazonaws.com",
			LAB_VIEW_ARG(options->region));
		defaults[2] = lab_view_cstr(regional);
		from = defaults;
		n = LAB_COUNT_OF(defaults);
	}
	copies = lab_new_array(s3->heap, struct lab_view, n);
	for (i = 0; i < n; i++)
		copies[i] = own_view(s3, from[i]);
	s3->options.endpoints = copies;
	s3->options.endpoint_count = n;
}

int s3emu_new(struct lab_pool *pool, const struct s3emu_options *options, struct s3emu **ret,
	struct lab_error *err)
{
	struct lab_heap *heap;
	struct s3emu *s3;
	size_t i;

	if (check_options(options, err) < 0)
		return -1;
	heap = lab_heap_new(pool, (size_t)(2 * options->limits.stored_bytes_max +
					   options->limits.object_bytes_max + HEAP_SLACK));
	s3 = lab_new(heap, struct s3emu);
	s3->magic = S3EMU_MAGIC;
	s3->heap = heap;
	s3->options = *options;
	s3->options.instance = own_view(s3, options->instance);
	s3->options.region = own_view(s3, options->region);
	own_endpoints(s3, options);
	s3->buckets = lab_tree_new(heap, options->limits.buckets_max);
	s3->credentials = lab_map_new(heap, options->limits.credentials_max);
	s3->clients = lab_map_new(heap, options->limits.clients_max);
	s3->engine_ops = &s3emu_engine_memory;
	s3->engine = s3;
	if (options->engine_ops != NULL) {
		s3->engine_ops = options->engine_ops;
		s3->engine = options->engine;
		s3->engine_ops->attach(s3->engine, s3);
	}
	s3->id_key = lab_draw(options->seed, "s3.request-id", 0, 0);
	for (i = 0; i < S3EMU_CLASS_COUNT; i++)
		s3emu_latency_own(s3, &s3->options.latency[i]);
	s3emu_latency_own(s3, &s3->options.refused_latency);
	s3emu_history_open(s3);
	s3->date_second = (int64_t)(options->epoch_unix_us / 1000000);
	*ret = s3;
	return 0;
}

void s3emu_free(struct s3emu **s3)
{
	struct lab_heap *heap;

	if (*s3 == NULL)
		return;
	lab_check(*s3, S3EMU_MAGIC);
	(*s3)->magic = 0;
	heap = (*s3)->heap;
	*s3 = NULL;
	lab_heap_drop(&heap);
}

void s3emu_set_skew(struct s3emu *s3, int64_t skew_us)
{
	lab_check(s3, S3EMU_MAGIC);
	s3->options.skew_us = skew_us;
}

const struct s3emu_counters *s3emu_counters(const struct s3emu *s3)
{
	lab_check(s3, S3EMU_MAGIC);
	return &s3->counters;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * s3-emulator.h - an S3 as a state machine: no sockets, no clock, no threads (sim/service.h).
 *
 * Purpose    Answers the S3 REST API (s3 1) from memory, verifies both signatures, limits rates by
 *            key range as AWS does (s3 2.1, 2.2), takes its time, and fails where it is told to.
 *            Where AWS is lax it is strict, never the other way round.
 * Use        s3emu_options_init(), change what you want, s3emu_new(), s3emu_bucket_add(),
 *            s3emu_credentials_add(), then give s3emu_service() to a front end.
 * Time       `now_ns` counts from the start of the run and never goes back. The service's wall
 *            clock is options.epoch_unix_us + now + skew.
 * Answers    With no latency configured and no fault, inside submit(); else in advance(). A reply
 *            callback may submit again; it must not free the emulator.
 * Requests   Host is `authority`; a Content-Length or Transfer-Encoding among the headers is
 *            checked if the front end passes it on, and the body's length counts otherwise.
 * Replies    Content-Length is not among the headers: it is the length of the body, which for a
 *            HEAD (`head`) is not sent. Where the headers have "transfer-encoding: chunked" (Slow
 *            Down, s3 2.2) the front end sends the body in chunks instead. An object's body, or a
 *            range of it, is borrowed from the store, not copied.
 * Ownership  The emulator has its own heap in the caller's pool and copies its options. Snapshot
 *            views are borrowed until the next call of submit(), advance() or s3emu_free().
 * Threads    One.
 * Errors     Configuration calls return -1 LAB_INVALID, LAB_EXISTS, LAB_NOT_FOUND, LAB_LIMIT. What
 *            a client does wrong is answered to the client.
 * Limits     Everything in `struct s3emu_limits`. Body bytes and object count are bounded together
 *            over all buckets; a write over the bound is answered 503 ServiceUnavailable, and so
 *            is a request while pending_max answers wait.
 *
 * Fault points (sim/service.h)   s3.get s3.head s3.put s3.delete s3.bulk_delete s3.list s3.copy
 *     s3.upload_part (UploadPart and its copy), s3.multipart (begin, complete, abort); lists of
 *     parts, uploads and versions are s3.list. The subject is "bucket/key". Buckets' own calls and
 *     sub-resources have no fault point.
 *     REFUSE       answered with status and code; nothing was looked at
 *     STALL, RESET the same with silence, a reset
 *     FAIL         the request is checked (signature, limits, conditions); a wrong one gets its own
 *                  error, a right one status and code; nothing applied
 *     LOSE_REPLY, STALL_REPLY, ALTER_REPLY
 *                  applied; then a reset, silence, status and code
 *     CORRUPT      applied; a part of the body, then a reset (a reset if the answer has no body)
 *     FLIP, WRONG_ETAG, WRONG_DATE
 *                  applied; one bit of the body, the ETag, the Date header (by 15 minutes and
 *                  delay_ns, either way) is wrong; no effect on an answer that has none
 *     TRICKLE      applied; the body takes delay_ns (SIM_WIRE_TRICKLE)
 *     DROP         applied and answered; then the connection is closed without notice
 *     STALE        a read is answered as things were delay_ns ago (see stale_changes_max)
 *     DUPLICATE    applied and answered; delay_ns later applied once more, without an answer
 *     DELAY        applied and answered delay_ns later; only the signature's date is judged by when
 *                  it came
 *     LATE         answered at once with status and code; applied delay_ns later
 *     PARTLY       s3.bulk_delete: the first `replicas` keys are deleted, each other one is an
 *                  error `code` of its own inside the 200. Other points: as FAIL.
 *     status and code default to 500 InternalError; a code alone gets its own status, a status
 *     alone its usual code. 503 SlowDown looks exactly as in s3 2.2. A status of 200 with an error
 *     code is an <Error> inside a 200 (s3.copy, s3.multipart), behind the spaces with which S3
 *     keeps such connections awake. A redirect names the endpoint and bucket, a 307 also the
 *     Location.
 *
 * Access log     One line for each request, also for refused ones, at the moment when it is applied
 *     or refused: the lines' order is the order of effects; answered_ns may lie ahead. `operation`
 *     is HEAD GET PUT DELETE POST-DELETE LIST COPY for objects, CREATE-UPLOAD UPLOAD-PART
 *     UPLOAD-PART-COPY COMPLETE-UPLOAD ABORT-UPLOAD LIST-PARTS LIST-UPLOADS LIST-VERSIONS
 *     GET-TAGGING PUT-TAGGING DELETE-TAGGING ATTRIBUTES OBJECT-CONFIG, and HEAD-BUCKET PUT-BUCKET
 *     DELETE-BUCKET LOCATION LIST-BUCKETS BUCKET-CONFIG OTHER. `applied`: a write took
 *     effect; for deletes also if the key was not there. `keys` of a POST-DELETE are those that
 *     were deleted.
 *
 * Source     spec s3 sections 1, 2.1, 2.2, 6.2; obox 8.2
 */
#ifndef LAB_S3_EMULATOR_H
#define LAB_S3_EMULATOR_H

#include "sim/credentials.h"
#include "sim/service.h"

struct s3emu;
struct s3emu_engine_ops;

/* ---- what a request is counted, delayed and limited as ---- */

enum s3emu_class {
	S3EMU_GET,
	S3EMU_HEAD,
	S3EMU_PUT,
	S3EMU_DELETE,
	S3EMU_BULK_DELETE,
	S3EMU_LIST,
	S3EMU_COPY,
	S3EMU_BUCKET, /* calls on buckets and on the service */
	S3EMU_OTHER,  /* anything else, all of it refused */
	S3EMU_CLASS_COUNT
};
/* "GET", "POST-DELETE", ... */
const char *s3emu_class_name(enum s3emu_class class);

/* How long the service itself takes (not the network), up to the first byte of its answer. One of
 * three models, and a rare slow mode; all zero: at once. Keyed by (seed, client, the client's n-th
 * request of this class). S3 publishes no quantiles; CloudWatch's FirstByteLatency is what a
 * customer has (s3 2.3), as a table of quantiles or a trace. */
struct s3emu_quantile {
	uint32_t ppm; /* 990,000: 99 % take `ns` or less */
	uint64_t ns;
};
struct s3emu_latency {
	uint64_t low_ns, high_ns; /* log-normal with these 5 % and 95 % quantiles */
	/* Ascending; between two the values are spread evenly. Below the first and above the last
	 * they are those. Copied, as is the trace. */
	const struct s3emu_quantile *table;
	size_t table_count;
	/* One after the other as recorded, again and again; each client begins at a place of its
	 * own. */
	const uint64_t *trace;
	size_t trace_count;
	/* For tail_ppm of the requests, log-uniform in this range instead. */
	uint32_t tail_ppm;
	uint64_t tail_low_ns, tail_high_ns;
	/* Bodies in both directions take time: an answer's comes so slowly (SIM_WIRE_TRICKLE), and
	 * the answer to a request waits for as long as its body took. 0: not limited */
	uint64_t bytes_per_s;
};
#define S3EMU_QUANTILES_MAX 1000
#define S3EMU_TRACE_MAX 1000000
#define S3EMU_LATENCY_MAX_NS (86400 * LAB_SEC)

/* Requests a second of one partition: two token buckets, full at the start, each holding burst_ns
 * worth of tokens (s3 2.1). A rate of 0 does not limit. */
struct s3emu_rates {
	uint32_t writes_per_s; /* PUT POST COPY DELETE, and each key of a bulk delete */
	uint32_t reads_per_s;  /* GET HEAD, and all lists unless list_is_write */
	uint64_t burst_ns;
	bool shared_budget; /* the other reading of AWS's text: one budget, used by both */
	bool list_is_write;
	/* A bulk delete for which one partition lacks tokens: 503 for all of it (false), or a
	 * per-key SlowDown for that partition's keys (true). AWS does not say which (s3 2.1). */
	bool bulk_per_key;
};

/* How key ranges come and go by themselves (s3 2.1; AWS gives no numbers but "30 to 60 minutes").
 * All zero: never. */
struct s3emu_scaling {
	/* A range that refused something in each minute for so long is split at the key that halves
	 * what was asked for lately. One key alone cannot be split. */
	uint64_t split_after_ns;
	uint32_t partitions_max; /* of a bucket; none is split beyond */
	/* "Gradual": the halves begin at half of the rates and reach them after so long, linearly.
	 */
	uint64_t ramp_ns;
	/* A range that came of a split goes back when it and the one before it together were asked
	 * for less than half a range's budget over so long. 0: never */
	uint64_t merge_after_ns;
	/* PUTs and COPYs to one key closer together than this are SlowDown (s3 2.1). 0: none is */
	uint64_t key_write_interval_ns;
};
#define S3EMU_SPLIT_AFTER_NS (30 * LAB_MINUTE)

struct s3emu_limits {
	uint32_t buckets_max;
	uint64_t objects_max;      /* in all buckets, remembered deleted keys included */
	uint64_t stored_bytes_max; /* bodies, metadata, keys, overhead; the pool has room for it */
	uint64_t object_bytes_max; /* of one PUT, part or copy: EntityTooLarge; AWS: 5 GiB */
	uint64_t part_bytes_min;   /* but the last part; EntityTooSmall; AWS: 5 MiB */
	uint32_t credentials_max;  /* when full, the first of the expired ones goes */
	uint32_t clients_max;      /* whose ordinals are counted apart; the rest shares one */
	uint32_t pending_max;      /* answers that wait for their time */
};

struct s3emu_options {
	uint64_t seed;
	struct lab_view instance; /* "s3" */
	uint64_t epoch_unix_us;   /* the wall clock at now 0 */
	int64_t skew_us;          /* this service's clock error */
	struct lab_view region;   /* "us-east-1" */
	/* Host names (without port) under which path style is served, and with "bucket." before
	 * them virtual-host style (s3 1.1). Default: s3.amazonaws.com, s3.<region>.amazonaws.com,
	 * localhost. Any IP address is path style. Other hosts: see cname. */
	const struct lab_view *endpoints;
	size_t endpoint_count;
	bool cname;             /* an unknown host is a bucket's name; else it is path style */
	bool verify_signatures; /* off: everybody may do everything (capacity runs) */
	bool hash_bodies; /* off: cheap ETags, Content-MD5, checksums and the payload hash unchecked
			   */
	bool remember_deleted;    /* keep the counts of deleted keys, so that re-creation shows */
	struct s3emu_rates rates; /* of buckets that say nothing else */
	struct s3emu_scaling scaling;
	struct s3emu_latency latency[S3EMU_CLASS_COUNT];
	struct s3emu_latency refused_latency; /* of SlowDown and faults that refuse */
	/* The last so many changes are kept, with what was there before them, for SIM_FAULT_STALE;
	 * beyond them, and with 0, it answers what is true. They count against stored_bytes_max. */
	uint32_t stale_changes_max;
	unsigned retry_after_s; /* every 503 says "Retry-After"; 0: as AWS, none does (s3 2.2) */
	struct s3emu_limits limits;
	/* Where everything is kept: NULL for memory; sim/s3-sqlite. The engine must outlive the
	 * emulator. */
	const struct s3emu_engine_ops *engine_ops;
	void *engine;
	struct sim_hooks hooks; /* `fault` and `access` are used */
};
#define S3EMU_STALE_CHANGES_MAX 65536

/* 3,500/5,500 a second, everything at once, signatures verified, epoch 2026-01-01. */
void s3emu_options_init(struct s3emu_options *options);
/* Figures of s3 2.3 (our assumption: AWS publishes no quantiles): GET 9..60 ms, PUT 18..120 ms. */
void s3emu_options_typical_latency(struct s3emu_options *options);

int s3emu_new(struct lab_pool *pool, const struct s3emu_options *options, struct s3emu **ret,
	struct lab_error *err);
/* Waiting answers are dropped without a reply. NULLs the pointer; accepts NULL. */
void s3emu_free(struct s3emu **s3);
struct sim_http_service s3emu_service(struct s3emu *s3);

/* ---- buckets and accounts ---- */

/* How a bucket's keys are cut into partitions. Either explicit start keys (strictly ascending; the
 * first range always begins at the empty key), or hex_layers 0, 1, 2: 1, 16, 256 ranges by the hex
 * digits that follow hex_prefix (s3 2.1). */
struct s3emu_partitions {
	unsigned hex_layers;
	struct lab_view hex_prefix;
	const struct lab_view *starts;
	size_t start_count;
};
#define S3EMU_PARTITIONS_MAX 65536

struct s3emu_bucket_options {
	struct lab_view name;
	struct lab_view owner; /* account; empty: every account may use it */
	bool refuse_sigv2;     /* as all buckets made after 2020-06-24 (s3 1.7) */
	struct s3emu_partitions partitions;
	const struct s3emu_rates *rates; /* NULL: options.rates */
};
/* Buckets that clients make with PUT belong to their maker, have one partition and refuse SigV2. */
int s3emu_bucket_add(
	struct s3emu *s3, const struct s3emu_bucket_options *options, struct lab_error *err);
/* Cuts an existing bucket anew; all token buckets start full. */
int s3emu_bucket_partition(struct s3emu *s3, struct lab_view bucket,
	const struct s3emu_partitions *partitions, const struct s3emu_rates *rates,
	struct lab_error *err);

/* Adds those that the engine has kept from before and that were not added yet: with one partition,
 * as if clients had made them. */
int s3emu_buckets_restore(struct s3emu *s3, struct lab_error *err);
/* Removes all objects and uploads of all buckets, and what is remembered of deleted ones. -1
 * LAB_IO: some are left. */
int s3emu_empty(struct s3emu *s3, struct lab_error *err);

/* Adds a key, or replaces the secret, token and expiry of a known one. */
int s3emu_credentials_add(
	struct s3emu *s3, const struct sim_credentials *credentials, struct lab_error *err);
/* The same as a sim_credentials_fn; `s3` is the emulator. What does not fit is dropped. */
void s3emu_credentials_sink(void *s3, const struct sim_credentials *credentials);
/* From now on the key is unknown. */
void s3emu_credentials_remove(struct s3emu *s3, struct lab_view access_key_id);
void s3emu_set_skew(struct s3emu *s3, int64_t skew_us);

/* ---- what an oracle sees ---- */

struct s3emu_object_info {
	struct lab_view key;
	uint64_t size;
	struct lab_view etag; /* without quotes */
	int64_t modified_unix_us;
	const struct lab_http_header *headers; /* as stored: content-type, x-amz-meta-*, ... */
	size_t header_count;
	/* An engine other than memory gives it to s3emu_object_find() only. */
	struct lab_view body;
	uint64_t body_hash;   /* the same as in the access log */
	uint32_t creations;   /* how often the key came to exist (needs remember_deleted) */
	uint32_t overwritten; /* writes to it while it existed, over its whole life */
};
struct s3emu_iter {
	struct s3emu *s3;
	void *bucket;
	struct lab_view next; /* first key not yet returned */
	bool after;           /* ... strictly after `next` */
};
/* Objects of a bucket in key order, from the first key >= `from` (borrowed while iterating). -1
 * LAB_NOT_FOUND: no such bucket. */
int s3emu_objects(struct s3emu *s3, struct lab_view bucket, struct lab_view from,
	struct s3emu_iter *ret, struct lab_error *err);
bool s3emu_objects_next(struct s3emu_iter *iter, struct s3emu_object_info *ret);
/* 1 found, 0 not. */
int s3emu_object_find(struct s3emu *s3, struct lab_view bucket, struct lab_view key,
	struct s3emu_object_info *ret);
/* For set-up: an object that is there already, as a PUT at that wall clock would have left it,
 * without faults, access log or limits. `headers` are those that S3 keeps, their names in lower
 * case. -1: LAB_NOT_FOUND (no such bucket), LAB_LIMIT. */
int s3emu_object_place(struct s3emu *s3, struct lab_view bucket, struct lab_view key,
	const struct lab_http_header *headers, size_t header_count, struct lab_view body,
	int64_t modified_us, struct lab_error *err);
/* The other way round: 1 if it was there. */
int s3emu_object_take_away(struct s3emu *s3, struct lab_view bucket, struct lab_view key);
/* Names in byte order; the first after `previous` (empty: the first). False at the end. */
bool s3emu_bucket_next(struct s3emu *s3, struct lab_view previous, struct lab_view *ret_name);

struct s3emu_partition_info {
	struct lab_view start; /* borrowed until the next call of submit() or advance() */
	bool is_split;         /* it came of a split by itself */
	uint64_t since_ns;     /* when it got its bounds that way; 0: with the bucket */
	uint64_t accepted_writes, accepted_reads, refused; /* requests; keys of bulk deletes */
};
/* Partitions of a bucket in key order. Counts are kept only where a rate limits. 0: no such
 * bucket. */
size_t s3emu_partition_count(struct s3emu *s3, struct lab_view bucket);
/* False beyond the last one. */
bool s3emu_partition_at(
	struct s3emu *s3, struct lab_view bucket, size_t index, struct s3emu_partition_info *ret);

#define S3EMU_STATUS_COUNT 600
struct s3emu_counters {
	uint64_t requests;
	/* By the status that was answered, or was to be; [0]: reset or silence without one. */
	uint64_t by_status[S3EMU_CLASS_COUNT][S3EMU_STATUS_COUNT];
	uint64_t throttled; /* SlowDown by the rate limiter, whole requests and single keys */
	uint64_t faults;    /* requests with an injected fault */
	uint64_t created, overwritten, deleted, deleted_missing; /* keys */
	uint64_t bytes_in, bytes_out;                            /* bodies of objects */
	uint64_t objects, stored_bytes;                          /* now; bytes of bodies */
	uint64_t upload_entries, upload_bytes; /* now: uploads in progress and their parts */
	uint64_t pending, pending_high;        /* answers that wait, and the most that ever did */
	uint64_t splits, merges;               /* of partitions */
};
/* Borrowed for the life of the emulator; always current. */
const struct s3emu_counters *s3emu_counters(const struct s3emu *s3);

#endif

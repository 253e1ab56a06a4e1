/* SPDX-License-Identifier: Apache-2.0
 *
 * s3-emulator-private.h - what the parts of the emulator share.
 *
 * A request's way (s3-emulator.c): parse (request.c) -> fault point -> authenticate (auth*.c) ->
 * bucket, owner, rate (limiter.c) -> the operation's handler -> fault's second half -> reply
 * (reply.c), at once or when its latency is over.
 */
#ifndef LAB_S3_EMULATOR_PRIVATE_H
#define LAB_S3_EMULATOR_PRIVATE_H

#include "sim/s3-emulator/aws-chunked.h"
#include "sim/s3-emulator/s3-emulator.h"

#define S3EMU_KEY_MAX 1024
#define S3EMU_UPLOAD_ID_LEN 32
#define S3EMU_STORE_KEY_MAX (2 * S3EMU_KEY_MAX + 2 + S3EMU_UPLOAD_ID_LEN + 2)
#define S3EMU_METADATA_MAX 2048     /* names and values, s3 1.2 */
#define S3EMU_HEADERS_MAX 8192      /* whole header section, s3 1.2 */
#define S3EMU_STORED_HEADERS_MAX 48 /* of LAB_HTTP_HEADERS_MAX; the answer adds up to 16 */
#define S3EMU_TARGET_MAX 16384
#define S3EMU_PARAMS_MAX 64
#define S3EMU_BULK_KEYS_MAX 1000
#define S3EMU_LIST_MAX 1000
#define S3EMU_PARTS_MAX 10000
#define S3EMU_XML_IN_MAX (8 << 20) /* 1000 keys of 1024 bytes, each byte escaped */
#define S3EMU_XML_OUT_MAX (32 << 20)
#define S3EMU_SKEW_SECONDS 900
#define S3EMU_XMLNS "http://s3.amazonaws.com/doc/2006-03-01/"

/* ---- errors ---- */

enum s3emu_error_id {
#define X(name, status, code, message) S3EMU_##name,
#include "sim/s3-emulator/errors.def"
#undef X
	S3EMU_ERROR_COUNT
};

struct s3emu_error {
	const char *code; /* NULL: no error */
	const char *message;
	unsigned status;
	struct {
		const char *name;
		struct lab_view value;
	} details[8];
	size_t detail_count;
};

/* ---- storage ---- */

struct s3emu_blob {
	uint32_t references;
	uint64_t size;
	uint8_t data[];
};

/* Beside what clients wrote, the store keeps uploads in progress and their parts. */
enum s3emu_space {
	S3EMU_SPACE_OBJECTS, /* by key */
	S3EMU_SPACE_UPLOADS, /* by s3emu_upload_key() */
	S3EMU_SPACE_COUNT
};

#define S3EMU_CHECKSUM_MAX 64
/* What is remembered of a part of a completed upload, in the order of the body. Plain data. */
struct s3emu_part {
	uint64_t size;
	uint32_t number;
	uint32_t checksum_len; /* 0: the part had none */
	uint8_t checksum[S3EMU_CHECKSUM_MAX];
};

/* One version of an object, an upload in progress, or a part of one; does not change, but for its
 * counts. Referenced by the store and by the answers that are under way. An engine keeps all of it
 * but `references` and `charge`. */
struct s3emu_object {
	uint32_t references;
	uint32_t creations, overwritten;
	bool deleted;            /* only its counts are remembered */
	struct s3emu_blob *blob; /* the body; NULL if deleted, and where next() says so */
	uint64_t size;           /* of the body */
	uint64_t body_hash;
	int64_t modified_us;
	uint64_t charge;          /* bytes that it is accounted with */
	char etag[48];            /* with quotes */
	struct s3emu_part *parts; /* behind the headers; of a completed upload */
	size_t part_count;        /* 0: written at once */
	size_t header_count;
	/* Names in lower case; those that begin with ':' are ours and never shown. Their text lies
	 * behind them. */
	struct lab_http_header headers[];
};

struct s3emu_partition {
	struct lab_view start;
	uint64_t write_ps, read_ps; /* credit, picoseconds of the budget */
	uint64_t updated_ns;
	uint32_t wanted;  /* of the bulk delete in hand */
	uint32_t verdict; /* ditto, limiter.c */
	/* scaling.c */
	bool is_split; /* made by a split, not given */
	uint64_t since_ns, span_ns, span_refused;
	uint64_t overload_ns; /* when it began; UINT64_MAX: it is not overloaded */
	uint64_t load_ps;     /* what was asked for since the last look for cold ranges */
	uint64_t accepted_writes, accepted_reads, refused;
	struct s3emu_samples *samples; /* of keys, while overloaded */
};
struct s3emu_fast_key {
	uint64_t hash, at_ns;
	bool is_set;
};

struct s3emu_change; /* history.c */

struct s3emu_bucket {
	struct lab_view name, owner;
	bool refuse_sigv2;
	int64_t created_us;
	struct s3emu_rates rates;
	struct s3emu *s3;
	struct s3emu_partition *partitions;
	size_t partition_count;
	uint64_t merge_at_ns; /* the next look for cold ranges */
	void *engine;         /* the storage engine's */
};

/* A storage engine: in each space of a bucket keys to objects, in byte order. Keys are any bytes,
 * up to S3EMU_STORE_KEY_MAX. store-memory.c, and sim/s3-sqlite. Engines give and take references.
 *
 * An engine that can fail has finish(). What went wrong in get(), next() and remove() looks like
 * "not there" and is said there; then all changes since the last finish() are undone, and the
 * request is answered with an error, whatever its handler made of it. */
enum s3emu_kept {
	S3EMU_KEPT,
	S3EMU_KEPT_BROKEN,  /* 500 */
	S3EMU_KEPT_NO_ROOM, /* 503 */
};
struct s3emu_engine_ops {
	/* Whose engine it is, before anything else. May be NULL. */
	void (*attach)(void *engine, struct s3emu *s3);
	/* A bucket that was kept from before has its objects, and its created_us. open and close:
	 * -1 if it cannot be stored; then it is not open, or not closed. */
	int (*open)(void *engine, struct s3emu_bucket *bucket);
	/* It is gone, with all that is in it. */
	int (*close)(void *engine, struct s3emu_bucket *bucket);
	/* All that is in it is gone. */
	int (*empty)(void *engine, struct s3emu_bucket *bucket);
	/* Of the buckets kept from before the first after `previous`: 1, 0, -1. May be NULL. */
	int (*next_bucket)(void *engine, struct lab_view previous, struct lab_view *ret_name,
		struct lab_view *ret_owner);
	/* 1 and a reference, or 0. */
	int (*get)(void *engine, struct s3emu_bucket *bucket, enum s3emu_space space,
		struct lab_view key, struct s3emu_object **ret);
	/* The first object at or after `from` (strictly after it if `after`): 1, its key and a
	 * reference; or 0. The key is borrowed until the next change. The engine may leave the body
	 * out (blob NULL, size right): who wants it asks get(). */
	int (*next)(void *engine, struct s3emu_bucket *bucket, enum s3emu_space space,
		struct lab_view from, bool after, struct lab_view *ret_key,
		struct s3emu_object **ret);
	/* Takes the caller's reference. 1: replaced another one, 0: new, -1: full (not taken). */
	int (*put)(void *engine, struct s3emu_bucket *bucket, enum s3emu_space space,
		struct lab_view key, struct s3emu_object *object);
	/* 1: it was there, 0: not. */
	int (*remove)(void *engine, struct s3emu_bucket *bucket, enum s3emu_space space,
		struct lab_view key);
	/* The request ends: what it wrote is kept for good, or not at all. Keys and objects that
	 * were handed out without a reference end here. NULL: all is kept always. */
	enum s3emu_kept (*finish)(void *engine);
};

/* ---- accounts ---- */

struct s3emu_credentials {
	struct lab_view account, secret, token; /* owned */
	int64_t expires_unix;
	char scope_date[8]; /* of the cached SigV4 signing key */
	uint8_t signing_key[32];
};

/* ---- requests ---- */

enum s3emu_op {
	S3EMU_OP_GET_OBJECT,
	S3EMU_OP_HEAD_OBJECT,
	S3EMU_OP_PUT_OBJECT,
	S3EMU_OP_COPY_OBJECT,
	S3EMU_OP_DELETE_OBJECT,
	S3EMU_OP_BULK_DELETE,
	S3EMU_OP_LIST_OBJECTS,
	S3EMU_OP_HEAD_BUCKET,
	S3EMU_OP_PUT_BUCKET,
	S3EMU_OP_DELETE_BUCKET,
	S3EMU_OP_LOCATION,
	S3EMU_OP_LIST_BUCKETS,
	S3EMU_OP_CREATE_UPLOAD,
	S3EMU_OP_UPLOAD_PART,
	S3EMU_OP_UPLOAD_PART_COPY,
	S3EMU_OP_COMPLETE_UPLOAD,
	S3EMU_OP_ABORT_UPLOAD,
	S3EMU_OP_LIST_PARTS,
	S3EMU_OP_LIST_UPLOADS,
	S3EMU_OP_LIST_VERSIONS,
	S3EMU_OP_BUCKET_CONFIG,
	S3EMU_OP_OBJECT_CONFIG,
	S3EMU_OP_ATTRIBUTES,
	S3EMU_OP_GET_TAGGING,
	S3EMU_OP_PUT_TAGGING,
	S3EMU_OP_DELETE_TAGGING,
	S3EMU_OP_UNAVAILABLE, /* a feature, or a method, that is not there */
	S3EMU_OP_COUNT
};

struct s3emu_param {
	struct lab_view name, value; /* decoded */
	bool has_value;              /* there was a '=' */
};

struct s3emu_client {
	uint64_t actor; /* hash of the peer's name */
	uint64_t ordinals[S3EMU_CLASS_COUNT];
};

enum s3emu_auth {
	S3EMU_AUTH_NONE, /* not verified */
	S3EMU_AUTH_V2,
	S3EMU_AUTH_V2_QUERY,
	S3EMU_AUTH_V4,
	S3EMU_AUTH_V4_QUERY
};

/* What a v4 signature leaves for the signatures of chunks, each of which follows the one before. */
struct s3emu_chain {
	const uint8_t *key; /* the signing key; NULL: no v4 signature was verified */
	struct lab_view access_key_id, time, scope, signature;
};

/* One request on its way, and its answer. */
struct s3emu_exchange {
	struct s3emu *s3;
	struct s3emu_exchange *next_free;
	struct lab_arena *arena;
	sim_http_reply_fn reply;
	void *reply_ctx;
	const struct lab_http_request *request;
	struct lab_view body; /* what the request is about: its body without framing (payload.c) */
	struct lab_http_request copy; /* of a request that is applied late */
	struct lab_view peer;
	uint64_t received_ns, now_ns;
	uint64_t sequence;

	/* parsed */
	enum s3emu_op op;
	enum s3emu_class class;
	bool head;
	bool virtual_host;
	struct lab_view raw_path, raw_query;
	struct lab_view bucket_name, key;
	struct lab_view subject; /* "bucket/key" */
	struct s3emu_param params[S3EMU_PARAMS_MAX];
	size_t param_count;
	const char *subresource;         /* "acl"; NULL: the bucket or object itself */
	enum s3emu_error_id unavailable; /* why, for S3EMU_OP_UNAVAILABLE */

	enum s3emu_auth auth;
	struct s3emu_chain chain;
	bool has_sha256; /* of the body, if something had to be compared with it */
	uint8_t sha256[32];
	struct s3emu_trailer trailer; /* the checksum behind the body; ptr NULL without one */
	struct lab_view account;
	struct s3emu_bucket *bucket;
	struct sim_fault fault;
	bool withheld; /* a write was right but a fault kept it from being applied */

	/* the outcome */
	struct s3emu_error error;
	bool applied;
	uint64_t bytes, body_hash;
	struct lab_view *keys; /* of a bulk delete */
	size_t key_count;

	/* the answer */
	struct sim_http_reply out;
	struct s3emu_object *object; /* whose body is sent */
	struct lab_buf xml, scratch;
	char date[LAB_DATE_TEXT_MAX];
	char request_id[17];
	char host_id[77];
	bool muted;        /* the answer has left already: LATE */
	bool waits_to_run; /* due is when to apply, not when to answer */
	size_t held_bytes;
	uint64_t due_ns;
	uint64_t due_sequence;
};

struct s3emu_list_of_objects {
	struct s3emu_object **items;
	size_t count, capacity;
};

struct s3emu {
	uint32_t magic;
	struct lab_heap *heap;
	struct s3emu_options options; /* views are owned */
	struct lab_tree *buckets;
	struct lab_map *credentials;
	struct lab_map *clients;
	struct s3emu_client other_clients;
	const struct s3emu_engine_ops *engine_ops;
	void *engine;
	uint64_t stored_charge; /* bytes, against stored_bytes_max */
	uint64_t remembered;    /* deleted keys of which the counts are kept */
	/* Since the last request began: those that somebody looks at without a reference, and
	 * those of which only the texts are left. */
	struct s3emu_list_of_objects shown, dead;
	struct s3emu_exchange *free_exchanges;
	struct s3emu_exchange **pending; /* binary heap by (due, sequence) */
	size_t pending_capacity;
	size_t held_bytes;
	uint64_t sequence, due_sequence;
	uint64_t id_key;
	int64_t date_second; /* of `date` */
	char date[LAB_DATE_TEXT_MAX];
	struct s3emu_counters counters;
	uint64_t now_ns;                  /* of the call in hand */
	struct s3emu_change *changes;     /* ring, history.c; NULL: nothing is remembered */
	uint64_t change_count;            /* ever */
	struct s3emu_fast_key *fast_keys; /* NULL until one is written */
};
#define S3EMU_MAGIC UINT32_C(0x53336d75)

/* reply.c: all of these return -1, so that a handler can return them. */
int s3emu_fail(struct s3emu_exchange *x, enum s3emu_error_id id);
int s3emu_fail_text(struct s3emu_exchange *x, enum s3emu_error_id id, const char *message);
int s3emu_fail_argument(
	struct s3emu_exchange *x, const char *name, struct lab_view value, const char *message);
void s3emu_detail(struct s3emu_exchange *x, const char *name, struct lab_view value);
void s3emu_detail_u64(struct s3emu_exchange *x, const char *name, uint64_t value);
/* What a fault asks for. */
int s3emu_fail_fault(struct s3emu_exchange *x);
const char *s3emu_error_code(enum s3emu_error_id id);
const char *s3emu_error_message(enum s3emu_error_id id);
/* NULL if we do not know the code. */
const char *s3emu_error_message_of(const char *code);

void s3emu_header(struct s3emu_exchange *x, const char *name, struct lab_view value);
void s3emu_header_view(struct s3emu_exchange *x, struct lab_view name, struct lab_view value);
/* Starts a 200 with an XML body in x->xml. */
void s3emu_xml_begin(struct s3emu_exchange *x, const char *root);
void s3emu_xml_text(struct s3emu_exchange *x, const char *name, struct lab_view value);
void s3emu_xml_u64(struct s3emu_exchange *x, const char *name, uint64_t value);
void s3emu_xml_time(struct s3emu_exchange *x, const char *name, int64_t unix_us);
int s3emu_xml_end(struct s3emu_exchange *x, const char *root);
/* Turns the outcome into headers and body. */
void s3emu_reply_build(struct s3emu_exchange *x);

/* reply-fault.c: what the fault in hand does to a finished answer. */
void s3emu_reply_spoil(struct s3emu_exchange *x);

/* request.c */
int s3emu_parse(struct s3emu_exchange *x);
/* The value of a header, of a repeated one all of them with ',' between; ptr NULL if absent. */
struct lab_view s3emu_request_header(const struct s3emu_exchange *x, const char *name);
const struct s3emu_param *s3emu_param(const struct s3emu_exchange *x, const char *name);
/* Percent-decoding into the arena ('+' is a space if plus). 0, or -1. */
int s3emu_unpercent(struct lab_arena *arena, struct lab_view text, bool plus, struct lab_view *ret);
bool s3emu_bucket_name_ok(struct lab_view name);
bool s3emu_is_utf8(struct lab_view text);

/* route.c: x->op and x->subresource, by method, bucket, key and query. */
int s3emu_route(struct s3emu_exchange *x);

/* auth.c; x->account is set, or -1. */
int s3emu_authenticate(struct s3emu_exchange *x);
int s3emu_auth_v2(struct s3emu_exchange *x, struct lab_view authorization);
int s3emu_auth_v4(struct s3emu_exchange *x, struct lab_view authorization);
/* What a v4 signature says of itself. */
#define S3EMU_SIGNED_HEADERS_MAX LAB_HTTP_HEADERS_MAX
#define S3EMU_V4_HEX_SIZE 65
#define S3EMU_SECRET_MAX 256
struct s3emu_v4 {
	struct lab_view credential; /* as sent: "AKID/20130524/us-east-1/s3/aws4_request" */
	struct lab_view id, date, region, service, terminal, scope;
	struct lab_view signed_headers, signature;
	struct lab_view time; /* X-Amz-Date as it stands in the string to sign */
	struct lab_view payload;
	struct lab_view token;
	int64_t unix_time;
	size_t name_count;
	struct lab_view names[S3EMU_SIGNED_HEADERS_MAX];
};
/* sign-v4.c. The parts of `credential`, the names of `signed_headers` (in lower case, ascending,
 * each once); -1 if they are not. */
int s3emu_v4_split_credential(struct s3emu_v4 *v4);
int s3emu_v4_split_headers(struct s3emu_v4 *v4);
/* Into x->scratch. -1: a signed header is missing, or it is too long. */
int s3emu_v4_canonical(struct s3emu_exchange *x, const struct s3emu_v4 *v4);
/* Behind the canonical request that is in x->scratch; both are borrowed from there. -1: too long.
 */
int s3emu_v4_string(struct s3emu_exchange *x, const struct s3emu_v4 *v4,
	struct lab_view *ret_canonical, struct lab_view *ret_to_sign);
void s3emu_v4_key(struct lab_view secret, struct lab_view date, struct lab_view region,
	struct lab_view service, uint8_t key[32]);
void s3emu_v4_signature(
	const uint8_t key[32], struct lab_view to_sign, char signature[S3EMU_V4_HEX_SIZE]);

/* The key of a request, with its token and expiry checked. NULL after s3emu_fail(). `token` is
 * what the client sent; ptr NULL if nothing. */
struct s3emu_credentials *s3emu_auth_credentials(
	struct s3emu_exchange *x, struct lab_view access_key_id, struct lab_view token);
int s3emu_auth_mismatch(struct s3emu_exchange *x, struct lab_view access_key_id,
	struct lab_view provided, struct lab_view string_to_sign, struct lab_view canonical);
bool s3emu_is_amz(struct lab_view name);
/* Makes headers of the x-amz-* parameters that are not the signature's own: who presigns a URL may
 * write them there. Headers that were sent stay as they are. */
int s3emu_auth_hoist(struct s3emu_exchange *x);
int s3emu_auth_skew(struct s3emu_exchange *x, int64_t request_unix, struct lab_view request_time);
/* The service's clock when the request came. */
int64_t s3emu_received_unix(const struct s3emu_exchange *x);

/* payload.c: makes x->body and x->trailer of the request's body, and checks what
 * x-amz-content-sha256 says of it. -1 after s3emu_fail(). */
int s3emu_payload(struct s3emu_exchange *x);
/* Whether that header's value is one that S3 knows. */
int s3emu_payload_form_check(struct s3emu_exchange *x, struct lab_view value);
bool s3emu_payload_is_chunked(const struct s3emu_exchange *x);
/* 64 digits in lower case. */
bool s3emu_is_hex_digest(struct lab_view text);

/* handlers; 0 with a success in x, or -1 after s3emu_fail() */
int s3emu_get_object(struct s3emu_exchange *x);
int s3emu_put_object(struct s3emu_exchange *x);
int s3emu_copy_object(struct s3emu_exchange *x);
int s3emu_delete_object(struct s3emu_exchange *x);
int s3emu_bulk_delete(struct s3emu_exchange *x);
int s3emu_list_objects(struct s3emu_exchange *x);
int s3emu_head_bucket(struct s3emu_exchange *x);
int s3emu_put_bucket(struct s3emu_exchange *x);
int s3emu_delete_bucket(struct s3emu_exchange *x);
int s3emu_location(struct s3emu_exchange *x);
int s3emu_list_buckets(struct s3emu_exchange *x);
int s3emu_create_upload(struct s3emu_exchange *x);
int s3emu_upload_part(struct s3emu_exchange *x);
int s3emu_upload_part_copy(struct s3emu_exchange *x);
int s3emu_complete_upload(struct s3emu_exchange *x);
int s3emu_abort_upload(struct s3emu_exchange *x);
int s3emu_list_parts(struct s3emu_exchange *x);
int s3emu_list_uploads(struct s3emu_exchange *x);
int s3emu_list_versions(struct s3emu_exchange *x);
int s3emu_bucket_config(struct s3emu_exchange *x);
int s3emu_object_config(struct s3emu_exchange *x);
int s3emu_get_attributes(struct s3emu_exchange *x);
int s3emu_get_tagging(struct s3emu_exchange *x);
int s3emu_put_tagging(struct s3emu_exchange *x);
int s3emu_delete_tagging(struct s3emu_exchange *x);
int s3emu_unavailable(struct s3emu_exchange *x);

/* s3-emulator.c: every handler calls this when all is checked, before it changes or shows
 * anything. -1: a fault withholds it. */
int s3emu_commit(struct s3emu_exchange *x);
int64_t s3emu_wall_us(const struct s3emu_exchange *x);
/* Whether a write of x->key has come that is applied later: conditions would race with it. */
bool s3emu_write_under_way(const struct s3emu_exchange *x);
/* bucket.c: x->bucket by name and owner; -1 after s3emu_fail(). */
int s3emu_bucket_find(struct s3emu_exchange *x);
struct s3emu_bucket *s3emu_bucket_new(
	struct s3emu *s3, struct lab_view name, struct lab_view owner, int64_t created_us);
/* A header that says whose bucket it must be. */
int s3emu_expected_owner(
	struct s3emu_exchange *x, const char *header, const struct s3emu_bucket *bucket);
bool s3emu_may_use(const struct s3emu_exchange *x, const struct s3emu_bucket *bucket);

/* listing.c: what all listings share. */
struct s3emu_list {
	struct s3emu_exchange *x;
	bool encode; /* encoding-type=url */
	struct lab_view prefix, delimiter;
	uint64_t max;
	/* what comes out */
	struct lab_buf contents, prefixes;
	uint64_t count; /* keys and common prefixes */
	bool truncated;
};
/* The value of a parameter; false if it is absent. */
bool s3emu_list_take(const struct s3emu_exchange *x, const char *name, struct lab_view *ret);
/* prefix, delimiter, encoding-type, and the maximum by its parameter's name. */
int s3emu_list_parse(struct s3emu_list *list, struct s3emu_exchange *x, const char *max_name);
/* From here on s3emu_list_end() must be called. */
void s3emu_list_begin(struct s3emu_list *list);
/* There is one more: does it fit? If not, the listing is truncated. */
bool s3emu_list_is_full(struct s3emu_list *list);
/* An element whose text is encoded if the client asked for it. */
void s3emu_list_name(const struct s3emu_list *list, struct lab_buf *buf, const char *name,
	struct lab_view value);
/* "<Owner><ID>...". */
void s3emu_list_account(struct lab_buf *buf, const char *name, struct lab_view account);
struct lab_view s3emu_list_owner(const struct s3emu_exchange *x);
void s3emu_list_class(struct lab_buf *buf, const struct s3emu_object *object);
void s3emu_list_time(struct lab_buf *buf, const char *name, int64_t unix_us);
/* ?continuation-token, which must be one of ours: the name behind which to go on. */
int s3emu_token_parse(struct s3emu_exchange *x, struct lab_view *marker);
void s3emu_token_append(struct s3emu_exchange *x, const char *name, struct lab_view last);
/* The part of a key up to and with the delimiter behind the prefix; ptr NULL if there is none. */
struct lab_view s3emu_list_group(const struct s3emu_list *list, struct lab_view key);
void s3emu_list_prefix(struct s3emu_list *list, struct lab_view prefix);
/* The smallest key above all that begin with `prefix`; ptr NULL if there is none. */
struct lab_view s3emu_list_above(struct lab_arena *arena, struct lab_view prefix);
/* Prefix, Delimiter, EncodingType, IsTruncated. */
void s3emu_list_scope(struct s3emu_list *list);
int s3emu_list_end(struct s3emu_list *list, const char *root);

/* conditions.c: false conditions. 0 all hold; 1 NotModified; -1 after s3emu_fail(). `prefix` is ""
 * or "x-amz-copy-source-". */
int s3emu_read_conditions(
	struct s3emu_exchange *x, const char *prefix, const struct s3emu_object *object);
/* If-Match and If-None-Match of a write. `object` is NULL if there is none. */
int s3emu_write_conditions(struct s3emu_exchange *x, const struct s3emu_object *object);
struct s3emu_range {
	uint64_t first, count;
};
/* 1 a part, 0 the whole; -1 after s3emu_fail(). */
int s3emu_range_parse(
	struct s3emu_exchange *x, const struct s3emu_object *object, struct s3emu_range *ret);

/* metadata.c: the headers that are stored with an object, into the arena. There is room for as many
 * more: a checksum and its type, and those of our own. */
#define S3EMU_NOTES_MAX 6
int s3emu_metadata(struct s3emu_exchange *x, struct lab_http_header **ret, size_t *ret_count);
/* Headers of the request that ask for what we do not have. */
int s3emu_write_headers_check(struct s3emu_exchange *x);

/* checksum.c */
enum s3emu_algorithm {
	S3EMU_NO_ALGORITHM,
	S3EMU_CRC32,
	S3EMU_CRC32C,
	S3EMU_CRC64NVME,
	S3EMU_SHA1,
	S3EMU_SHA256,
	S3EMU_SHA512,
	S3EMU_MD5,
	S3EMU_XXHASH64,
	S3EMU_XXHASH3,
	S3EMU_XXHASH128,
	S3EMU_ALGORITHM_COUNT
};
/* "CRC32", in either case; S3EMU_NO_ALGORITHM if unknown. */
enum s3emu_algorithm s3emu_algorithm_named(struct lab_view name);
/* "CRC32", "x-amz-checksum-crc32", "ChecksumCRC32"; NULL of S3EMU_NO_ALGORITHM. */
const char *s3emu_algorithm_name(enum s3emu_algorithm which);
const char *s3emu_algorithm_header(enum s3emu_algorithm which);
const char *s3emu_algorithm_element(enum s3emu_algorithm which);
/* Bytes; and those bytes, the CRCs and hashes big-endian. */
size_t s3emu_algorithm_size(enum s3emu_algorithm which);
void s3emu_algorithm_compute(enum s3emu_algorithm which, struct lab_view data, uint8_t *out);

struct s3emu_checksum {
	const char *name;      /* of the header, in lower case; NULL without one */
	struct lab_view value; /* base64 */
	enum s3emu_algorithm algorithm;
	bool computed; /* by the service: the client sent none */
};
#define S3EMU_FULL_OBJECT "FULL_OBJECT" /* values of x-amz-checksum-type */
#define S3EMU_COMPOSITE "COMPOSITE"
/* Content-MD5 and x-amz-checksum-* against x->body. *ret_checksum says which checksum was sent. If
 * the body is going to be stored, `md5` (16 bytes) is filled, and CRC64NVME is computed when the
 * client sent no checksum; neither without hash_bodies. */
int s3emu_body_check(
	struct s3emu_exchange *x, bool stored, uint8_t *md5, struct s3emu_checksum *ret_checksum);
/* Content-MD5 alone: where a checksum in the header is not one of the body. */
int s3emu_md5_check(struct s3emu_exchange *x);
void s3emu_checksum_make(struct s3emu_exchange *x, enum s3emu_algorithm which, struct lab_view body,
	struct s3emu_checksum *ret);
/* The name, in lower case, of an x-amz-checksum-* header that is known; NULL if it is not. */
const char *s3emu_checksum_header(struct lab_view name);
int s3emu_fail_two_checksums(struct s3emu_exchange *x);
/* "Value for <name> <kind> is invalid." */
int s3emu_fail_checksum_value(struct s3emu_exchange *x, const char *name, const char *kind);
struct lab_view s3emu_base64(struct s3emu_exchange *x, const uint8_t *data, size_t len);
/* Adds the two headers that remember a checksum with an object (there must be room), or that show
 * it in the answer (without the second one if `type` is NULL). Nothing if there is no checksum. */
void s3emu_checksum_store(const struct s3emu_checksum *checksum, const char *type,
	struct lab_http_header *headers, size_t *count);
void s3emu_checksum_reply(
	struct s3emu_exchange *x, const struct s3emu_checksum *checksum, const char *type);
/* The same as elements, <ChecksumCRC32> and <ChecksumType>. */
void s3emu_xml_checksum(
	struct s3emu_exchange *x, const struct s3emu_checksum *checksum, const char *type);
/* Of stored headers: whether it is one of those two. */
bool s3emu_is_checksum_header(struct lab_view name);
/* What is remembered, borrowed from the object, and its type; NULL if nothing is. */
const char *s3emu_object_checksum(const struct s3emu_object *object, struct s3emu_checksum *ret);
/* x-amz-checksum-mode: 1 enabled, 0 not, -1 after s3emu_fail(). */
int s3emu_checksum_mode(struct s3emu_exchange *x);
/* x-amz-checksum-algorithm: 1 and it, 0 not asked for, -1 after s3emu_fail(). */
int s3emu_checksum_algorithm_asked(struct s3emu_exchange *x, enum s3emu_algorithm *ret);

/* multipart-checksum.c: what was agreed when an upload began. */
struct s3emu_upload_checksum {
	enum s3emu_algorithm
		algorithm; /* S3EMU_NO_ALGORITHM: nothing; then CRC64NVME is computed */
	const char *type;
};
/* x-amz-checksum-algorithm and -type of the request; -1 after s3emu_fail(). */
int s3emu_upload_checksum_asked(struct s3emu_exchange *x, struct s3emu_upload_checksum *ret);
/* Adds the upload's note (there must be room for one header) and the answer's headers. */
void s3emu_upload_checksum_store(struct s3emu_exchange *x,
	const struct s3emu_upload_checksum *checksum, struct lab_http_header *headers,
	size_t *count);
void s3emu_upload_checksum_of(const struct s3emu_object *upload, struct s3emu_upload_checksum *ret);
/* Whether a part's checksum is what was agreed; if the client sent none and need not, it is
 * computed from `body`. */
int s3emu_part_checksum(struct s3emu_exchange *x, const struct s3emu_upload_checksum *upload,
	struct lab_view body, struct s3emu_checksum *checksum);
/* The same of a part that is copied: always computed. */
void s3emu_part_checksum_copy(struct s3emu_exchange *x, const struct s3emu_upload_checksum *upload,
	struct lab_view body, struct s3emu_checksum *ret);
/* What is remembered of a part, decoded; how many bytes, 0 if there is none of that algorithm. */
uint32_t s3emu_part_checksum_bytes(struct s3emu_exchange *x, const struct s3emu_object *part,
	enum s3emu_algorithm which, uint8_t out[S3EMU_CHECKSUM_MAX]);
/* The object's from its parts'; false if not all of them have one. */
bool s3emu_parts_checksum(struct s3emu_exchange *x, const struct s3emu_upload_checksum *upload,
	const struct s3emu_part *parts, size_t count, struct s3emu_checksum *ret);
/* The headers of a Complete against it. */
int s3emu_complete_checksum_check(struct s3emu_exchange *x,
	const struct s3emu_upload_checksum *upload, const struct s3emu_checksum *computed);
int s3emu_part_checksum_missing(
	struct s3emu_exchange *x, const struct s3emu_upload_checksum *upload, uint64_t number);

/* xml.c: request bodies. `open` and `close` get the path of element names joined with '/'; `text`
 * is all the text of a leaf, untrimmed. Non-zero stops the parser. -1 after
 * s3emu_fail(MALFORMED_XML) or the callback's own. */
struct s3emu_xml_handler {
	int (*open)(void *ctx, const char *path);
	int (*close)(void *ctx, const char *path, struct lab_view text);
	void *ctx;
};
int s3emu_xml_parse(
	struct s3emu_exchange *x, struct lab_view body, const struct s3emu_xml_handler *handler);

/* limiter.c */
enum s3emu_budget {
	S3EMU_BUDGET_NONE,
	S3EMU_BUDGET_READ,
	S3EMU_BUDGET_WRITE
};
int s3emu_partitions_check(const struct s3emu_partitions *partitions, struct lab_error *err);
int s3emu_rates_check(const struct s3emu_rates *rates, struct lab_error *err);
void s3emu_partitions_make(struct s3emu *s3, struct s3emu_bucket *bucket,
	const struct s3emu_partitions *partitions, const struct s3emu_rates *rates);
void s3emu_partitions_free(struct s3emu *s3, struct s3emu_bucket *bucket);
struct s3emu_partition *s3emu_partition_of(struct s3emu_bucket *bucket, struct lab_view key);
/* Takes one token of that key's partition; false: too fast. */
bool s3emu_rate_take(struct s3emu_bucket *bucket, struct lab_view key, enum s3emu_budget budget,
	uint64_t now_ns);
/* One write for each key. 0 and refused[i] says which keys must not pass (only if the rates are
 * refused by key); -1 none may pass. */
int s3emu_rate_take_bulk(struct s3emu_bucket *bucket, const struct lab_view *keys, size_t count,
	uint64_t now_ns, bool *refused);

/* scaling.c */
int s3emu_scaling_check(const struct s3emu_scaling *scaling, struct lab_error *err);
/* A write to that key came too soon after the last one that was let through. */
bool s3emu_key_is_too_fast(
	struct s3emu *s3, const struct s3emu_bucket *bucket, struct lab_view key);
void s3emu_partition_done(struct s3emu *s3, struct s3emu_partition *partition);
/* What flows into the partition's purses between two times; picoseconds. */
uint64_t s3emu_scaling_credit(const struct s3emu_bucket *bucket,
	const struct s3emu_partition *partition, uint64_t from_ns, uint64_t to_ns);
/* After a decision. May split and merge: pointers to partitions are void. */
void s3emu_scaling_observe(struct s3emu_bucket *bucket, struct s3emu_partition *partition,
	struct lab_view key, enum s3emu_budget budget, uint64_t cost_ps, bool is_refused);

/* store.c */
/* A body of that size, to be filled in. NULL: over the bound. */
struct s3emu_blob *s3emu_blob_alloc(struct s3emu *s3, uint64_t size);
struct s3emu_blob *s3emu_blob_new(struct s3emu *s3, struct lab_view body);
void s3emu_blob_unref(struct s3emu *s3, struct s3emu_blob *blob);
/* What an object has beside its body. Copied. */
struct s3emu_content {
	const struct lab_http_header *headers;
	size_t header_count;
	const struct s3emu_part *parts;
	size_t part_count;
};
/* Takes the reference on the blob. One reference belongs to the caller. NULL: over the bound. */
struct s3emu_object *s3emu_object_new(struct s3emu *s3, struct s3emu_blob *blob, size_t key_len,
	const struct s3emu_content *content);
/* Its texts live until the request ends, or the store drops it. */
void s3emu_object_unref(struct s3emu *s3, struct s3emu_object *object);
struct lab_view s3emu_object_header(const struct s3emu_object *object, const char *name);
static inline struct lab_view s3emu_object_body(const struct s3emu_object *object)
{
	return object->blob == NULL ? lab_view_of(NULL, 0)
				    : lab_view_of(object->blob->data, object->size);
}
static inline struct lab_view s3emu_object_etag(const struct s3emu_object *object)
{
	return lab_view_cstr(object->etag);
}
static inline bool s3emu_header_is_ours(struct lab_view name)
{
	return name.len > 0 && name.ptr[0] == ':';
}
/* For engines: what is in the store changes by one object of that size. */
void s3emu_store_come(struct s3emu *s3, enum s3emu_space space, uint64_t size);
void s3emu_store_gone(struct s3emu *s3, enum s3emu_space space, uint64_t size);
/* ... or by all of a bucket. */
void s3emu_store_restored(struct s3emu *s3, enum s3emu_space space, uint64_t count, uint64_t bytes);
void s3emu_store_forgot(struct s3emu *s3, enum s3emu_space space, uint64_t count, uint64_t bytes);
/* limits.objects_max is reached. */
bool s3emu_store_is_full(const struct s3emu *s3);
/* What a request that is undone must put back. */
struct s3emu_totals {
	uint64_t created, overwritten, deleted, deleted_missing, bytes_in;
	uint64_t objects, stored_bytes, upload_entries, upload_bytes, remembered;
};
struct s3emu_totals s3emu_totals_get(const struct s3emu *s3);
void s3emu_totals_set(struct s3emu *s3, const struct s3emu_totals *totals);
/* An object of which a snapshot shows the texts and the body: it lives until the next request.
 * Takes the reference. */
void s3emu_store_show(struct s3emu *s3, struct s3emu_object *object);
/* Before and after a request: nothing is shown any more, failures of snapshots are forgotten. */
void s3emu_store_begin(struct s3emu *s3);
/* Room for so many more bytes of objects? */
bool s3emu_store_has_room(const struct s3emu *s3, uint64_t bytes);
/* Of the engine, in the space of objects; put and remove are counted. */
int s3emu_store_put(struct s3emu *s3, struct s3emu_bucket *bucket, struct lab_view key,
	struct s3emu_object *object);
int s3emu_store_remove(struct s3emu *s3, struct s3emu_bucket *bucket, struct lab_view key);
int s3emu_store_get(struct s3emu *s3, struct s3emu_bucket *bucket, struct lab_view key,
	struct s3emu_object **ret);

/* latency.c */
int s3emu_latency_check(const struct s3emu_latency *latency, struct lab_error *err);
/* Copies its tables into the emulator. */
void s3emu_latency_own(struct s3emu *s3, struct s3emu_latency *latency);
/* Moves x->due_ns, and slows the body down. */
void s3emu_latency_apply(struct s3emu_exchange *x, const struct s3emu_latency *latency);

/* history.c: stale answers. */
void s3emu_history_open(struct s3emu *s3);
/* Before the key changes. */
void s3emu_history_add(struct s3emu *s3, struct s3emu_bucket *bucket, struct lab_view key);
void s3emu_history_drop(struct s3emu *s3, const struct s3emu_bucket *bucket);
/* The object x->key of a read, and the next one of a listing, as the engine's get() and next(); how
 * they were under SIM_FAULT_STALE. */
int s3emu_read(struct s3emu_exchange *x, struct s3emu_object **ret);
int s3emu_read_next(struct s3emu_exchange *x, struct lab_view from, bool after,
	struct lab_view *ret_key, struct s3emu_object **ret);

/* object.c */
int s3emu_no_such_key(struct s3emu_exchange *x, struct lab_view key);
/* InvalidObjectState: an archived object's body cannot be read. */
int s3emu_readable(struct s3emu_exchange *x, const struct s3emu_object *object);
/* versionId: 0 if it is absent or "null". */
int s3emu_version_check(struct s3emu_exchange *x);
int s3emu_version_is_null(struct s3emu_exchange *x, struct lab_view version, struct lab_view key);
/* versionId on a write that makes one. */
int s3emu_version_refuse(struct s3emu_exchange *x);
/* If-Match and If-None-Match against what is stored under x->key. */
int s3emu_write_conditions_check(struct s3emu_exchange *x);
/* EntityTooLarge? */
int s3emu_size_check(struct s3emu_exchange *x, uint64_t size);
struct s3emu_body {
	uint8_t md5[16]; /* without hash_bodies: something cheap that looks like one */
	struct s3emu_checksum checksum;
};
/* x->body against what is said about it. */
int s3emu_body_read(struct s3emu_exchange *x, struct s3emu_body *ret);
void s3emu_digest(const struct s3emu *s3, struct lab_view body, uint8_t *md5);
/* The ETag and the hash for the log. */
void s3emu_object_digest_set(struct s3emu_object *object, const uint8_t *md5);
/* Modified now. Takes the reference on the blob; NULL blob or no room: ServiceUnavailable. */
struct s3emu_object *s3emu_object_make(struct s3emu_exchange *x, struct s3emu_blob *blob,
	size_t key_len, const struct s3emu_content *content);
/* Takes the reference on the object: stored, and x says so. */
int s3emu_object_keep(struct s3emu_exchange *x, enum s3emu_space space, struct lab_view key,
	struct s3emu_object *object);
/* Stores x->body, and answers as to a PUT. */
int s3emu_body_keep(struct s3emu_exchange *x, enum s3emu_space space, struct lab_view key,
	const struct s3emu_content *content, const struct s3emu_body *body);

void s3emu_last_modified(struct s3emu_exchange *x, const struct s3emu_object *object);

/* subresource.c: whether GET of a bucket's sub-resource has an answer of its own. */
bool s3emu_has_config(const char *subresource);

/* tagging.c */
#define S3EMU_TAGGING ":tagging" /* header of an object: its tags, as a query string */
/* Adds that header (there must be room): from x-amz-tagging, or as another object has it. */
int s3emu_tags_take(struct s3emu_exchange *x, struct lab_http_header *headers, size_t *count);
void s3emu_tags_copy(
	const struct s3emu_object *from, struct lab_http_header *headers, size_t *count);
/* x-amz-tagging-count, if there are tags. */
void s3emu_tags_count(struct s3emu_exchange *x, const struct s3emu_object *object);

/* copy.c */
struct s3emu_source {
	struct s3emu_bucket *bucket;
	struct lab_view key;
	struct s3emu_object *object; /* a reference */
};
/* x-amz-copy-source: found, readable, and its conditions hold. */
int s3emu_source_open(struct s3emu_exchange *x, struct s3emu_source *ret);

/* multipart.c: uploads in progress */
#define S3EMU_INITIATOR ":initiator" /* header of an upload: the account that began it */
#define S3EMU_UPLOAD_ID ":upload-id" /* header of an object: the upload that it was made by */
/* A stored key's parts, in the arena. `part` is 0 for the upload itself. */
struct s3emu_upload_name {
	struct lab_view key, id;
	uint32_t part;
};
/* What the stored keys of all uploads of keys that begin with `key` begin with. */
void s3emu_upload_key_begin(struct lab_buf *out, struct lab_view key);
/* In the arena; part 0 is the upload itself. */
struct lab_view s3emu_upload_key(
	struct s3emu_exchange *x, struct lab_view key, struct lab_view id, uint32_t part);
void s3emu_upload_key_parse(
	struct s3emu_exchange *x, struct lab_view stored, struct s3emu_upload_name *ret);
/* The engine's next(), in the space of uploads. */
int s3emu_upload_next(struct s3emu_exchange *x, struct lab_view from, bool after,
	struct lab_view *ret_key, struct s3emu_object **ret);
/* 1 and a reference, perhaps without body; or 0. */
int s3emu_upload_head(struct s3emu_exchange *x, struct lab_view key, struct s3emu_object **ret);
struct s3emu_upload {
	struct lab_view id, store_key;
	struct s3emu_object *object; /* a reference */
};
/* The one that ?uploadId names; -1 after s3emu_fail(). */
int s3emu_upload_find(struct s3emu_exchange *x, struct s3emu_upload *ret);
int s3emu_no_such_upload(struct s3emu_exchange *x);
/* It and its parts. */
void s3emu_upload_drop(struct s3emu_exchange *x, const struct s3emu_upload *upload);
/* ?partNumber: 1 and the number, 0 absent, -1 after s3emu_fail(). */
int s3emu_part_number(struct s3emu_exchange *x, uint32_t *ret);

/* store-memory.c */
extern const struct s3emu_engine_ops s3emu_engine_memory;

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-codec.h - the CQL binary protocol, versions 3 to 5 (and 6, the beta of 5), both directions.
 *
 * Purpose    Frames, requests, responses and values as plain structs. The client encodes requests
 *            and decodes responses; the emulator does the opposite. Nothing else of core/cql is
 *            shared by the two.
 * Purity     No state, no I/O. Decoders read views and allocate arrays from the caller's arena
 *            only; every string, blob and cell they return borrows from the decoded body.
 *            Encoders append to a lab_buf, whose sticky `overflow` is the only way they can fail.
 * Limits     A decoder allocates at most a small multiple of the body it was given, whatever the
 *            counts in it say; types nest at most CQL_TYPE_DEPTH_MAX deep. Frames longer than the
 *            caller's maximum are refused from their header.
 * Errors     -1 with LAB_CORRUPT; for requests err->message is the text that Cassandra 4.0 puts
 *            into its PROTOCOL_ERROR for the same bytes (where it is known), so that a server can
 *            answer with it. LAB_LIMIT for frames that are too long. LAB_UNSUPPORTED for
 *            bodies of other versions, and for compressed ones: take them out first.
 * Source     native_protocol_v4.spec, native_protocol_v5.spec; cql-imds 1.
 */
#ifndef LAB_CQL_CODEC_H
#define LAB_CQL_CODEC_H

#include "core/base/base.h"

/* ---- frames (cql-imds 1.1) ---- */

#define CQL_VERSION_MIN 3
#define CQL_VERSION 4
#define CQL_VERSION_SEGMENTS 5 /* from here on frames travel in segments */
#define CQL_VERSION_MAX 6      /* the same messages as 5, with CQL_FLAG_USE_BETA */
#define CQL_HEADER_BYTES 9
#define CQL_FRAME_MAX_BYTES (256u << 20) /* Cassandra <= 4.0; 16 MiB by default since 4.1 */
#define CQL_STREAM_MAX 32768             /* stream ids 0..32767; -1 is the server's events */
#define CQL_EVENT_STREAM (-1)

enum cql_opcode {
	CQL_ERROR = 0x00,
	CQL_STARTUP = 0x01,
	CQL_READY = 0x02,
	CQL_AUTHENTICATE = 0x03,
	CQL_OPTIONS = 0x05,
	CQL_SUPPORTED = 0x06,
	CQL_QUERY = 0x07,
	CQL_RESULT = 0x08,
	CQL_PREPARE = 0x09,
	CQL_EXECUTE = 0x0a,
	CQL_REGISTER = 0x0b,
	CQL_EVENT = 0x0c,
	CQL_BATCH = 0x0d,
	CQL_AUTH_CHALLENGE = 0x0e,
	CQL_AUTH_RESPONSE = 0x0f,
	CQL_AUTH_SUCCESS = 0x10
};

/* "QUERY"; NULL for bytes that are no opcode (0x04 and above 0x10). */
const char *cql_opcode_name(uint8_t opcode);
/* True for what clients send. */
bool cql_opcode_is_request(uint8_t opcode);

enum cql_frame_flag {
	CQL_FLAG_COMPRESSED = 0x01,
	CQL_FLAG_TRACING = 0x02,
	CQL_FLAG_CUSTOM_PAYLOAD = 0x04,
	CQL_FLAG_WARNING = 0x08,
	CQL_FLAG_USE_BETA = 0x10
};

struct cql_header {
	uint8_t version; /* without the direction bit: 0x04, but also 0x42 or 'G' */
	bool response;   /* the direction bit, 0x80 */
	uint8_t flags;
	int16_t stream;
	uint8_t opcode; /* any byte */
	uint32_t length;
};

/* Reads a header, tolerantly: any version byte is fine, so that a server can answer what it does
 * not speak. Versions 1 and 2 have 8 bytes (stream id of one byte), all others 9 (cql-imds 1.8). 1
 * and *ret_bytes (the header's length); 0 if more bytes are needed. Does not judge `length`. */
int cql_header_decode(struct lab_view bytes, struct cql_header *ret, size_t *ret_bytes);
/* In the 8-byte layout for versions 1 and 2 (only ERRORs are ever sent in those). */
void cql_header_encode(struct lab_buf *out, const struct cql_header *header);

struct cql_frame {
	struct cql_header header;
	struct lab_view body; /* borrows from the input */
};

/* Takes one frame off the front of what has arrived so far. 1 and *ret_used (bytes of the frame,
 * header included); 0 if more bytes are needed; -1 LAB_LIMIT if its body is longer than
 * max_body_bytes (known as soon as the header is there). A reader appends to a lab_buf, calls this
 * until 0, and consumes the sum once. */
int cql_frame_next(struct lab_view input, size_t max_body_bytes, struct cql_frame *ret,
	size_t *ret_used, struct lab_error *err);

/* ---- compression (cql-imds 1.9) ---- */

enum cql_compression {
	CQL_UNCOMPRESSED,
	CQL_LZ4,
	CQL_SNAPPY
};

/* "lz4", "snappy"; "none". */
const char *cql_compression_name(enum cql_compression compression);
/* Of STARTUP's COMPRESSION, in either case. 0, or -1. */
int cql_compression_parse(struct lab_view name, enum cql_compression *ret);

/* Versions 3 and 4 compress bodies, frame by frame: LZ4 as [int] length and one block, Snappy as it
 * is. Appends the frame with its body compressed and CQL_FLAG_COMPRESSED set. */
void cql_frame_compress(struct lab_buf *out, struct lab_view frame,
	enum cql_compression compression, struct lab_arena *scratch);
/* The frame's body, uncompressed, in the arena; the flag is cleared. `max_body_bytes` is compared
 * with the length it claims before anything is allocated. -1: LAB_LIMIT, or LAB_CORRUPT with the
 * text of the server's error. */
int cql_frame_decompress(const struct cql_frame *frame, enum cql_compression compression,
	size_t max_body_bytes, struct lab_arena *arena, struct cql_frame *ret,
	struct lab_error *err);

/* ---- segments (native_protocol_v5.spec 2) ----
 *
 * From version 5 on, behind the answer to STARTUP, both directions send frames in segments: whole
 * ones in a segment that is self-contained, a longer one in several that are not. Headers have a
 * CRC24, payloads a CRC32; LZ4 compresses a segment's payload. */

#define CQL_SEGMENT_PAYLOAD_MAX 131071

struct cql_segment {
	bool self_contained;
	struct lab_view payload; /* borrows from the input, or is in the arena */
};
/* Takes one segment off the front. 1 and *ret_used; 0 if more bytes are needed; -1 LAB_CORRUPT if
 * a checksum is wrong and nothing behind it can be understood; -1 LAB_INVALID and *ret_used if the
 * payload cannot be decompressed. `compression` is CQL_LZ4 or none. */
int cql_segment_next(struct lab_view input, enum cql_compression compression,
	struct lab_arena *arena, struct cql_segment *ret, size_t *ret_used, struct lab_error *err);
/* Appends one frame in as many segments as it takes. */
void cql_segments_put(struct lab_buf *out, struct lab_view frame, enum cql_compression compression,
	struct lab_arena *scratch);

/* ---- consistency ---- */

#define CQL_CONSISTENCIES(X) \
	X(ANY, 0x0, "any") \
	X(ONE, 0x1, "one") \
	X(TWO, 0x2, "two") \
	X(THREE, 0x3, "three") \
	X(QUORUM, 0x4, "quorum") \
	X(ALL, 0x5, "all") \
	X(LOCAL_QUORUM, 0x6, "local-quorum") \
	X(EACH_QUORUM, 0x7, "each-quorum") \
	X(SERIAL, 0x8, "serial") \
	X(LOCAL_SERIAL, 0x9, "local-serial") \
	X(LOCAL_ONE, 0xa, "local-one") \
	X(NODE_LOCAL, 0xb, "node-local")

enum cql_consistency {
#define X(name, code, setting) CQL_##name = (code),
	CQL_CONSISTENCIES(X)
#undef X
};

/* "LOCAL_QUORUM", as Cassandra and the drivers print it; "UNKNOWN" for other codes. */
const char *cql_consistency_name(enum cql_consistency consistency);
/* "local-quorum", as in Dovecot's settings; "unknown" for other codes. */
const char *cql_consistency_setting(enum cql_consistency consistency);
/* From Dovecot's form (obox 3.7; not node-local, which it has no word for). 0, or -1. */
int cql_consistency_parse(struct lab_view setting, enum cql_consistency *ret);

/* ---- notations (cql-imds 1.3) ---- */

/* A cursor over a body. Reading past the end, or a malformed length, sets `error` to Cassandra's
 * text for it and empties `rest`; every read after that gives zeros and empty views. So a chain of
 * reads needs one check at its end. */
struct cql_reader {
	struct lab_view rest;
	const char *error;  /* literal; NULL while all is well */
	int32_t bad_length; /* of "Invalid ByteBuf length N" */
};

static inline struct cql_reader cql_reader_of(struct lab_view body)
{
	return (struct cql_reader){ body, NULL, 0 };
}

uint8_t cql_read_byte(struct cql_reader *r);
uint16_t cql_read_short(struct cql_reader *r);
int32_t cql_read_int(struct cql_reader *r);
int64_t cql_read_long(struct cql_reader *r);
struct lab_view cql_read_string(struct cql_reader *r);
struct lab_view cql_read_long_string(struct cql_reader *r);
/* ptr NULL is null; an empty value has a ptr. */
struct lab_view cql_read_bytes(struct cql_reader *r);
struct lab_view cql_read_short_bytes(struct cql_reader *r);

void cql_put_string(struct lab_buf *out, struct lab_view text); /* overflow above 65,535 bytes */
void cql_put_long_string(struct lab_buf *out, struct lab_view text);
/* ptr NULL is written as null (length -1). For an empty value, ptr must not be NULL. */
void cql_put_bytes(struct lab_buf *out, struct lab_view bytes);
void cql_put_short_bytes(struct lab_buf *out, struct lab_view bytes);

struct cql_strings {
	struct lab_view *items;
	size_t count;
};
struct cql_pair {
	struct lab_view key;
	struct lab_view value;
};
struct cql_map { /* [string map], [bytes map] */
	struct cql_pair *items;
	size_t count;
};
struct cql_multimap { /* [string multimap] */
	struct lab_view *keys;
	struct cql_strings *values;
	size_t count;
};
struct cql_inet {
	uint8_t address[16];
	uint8_t size; /* 4 or 16 */
	int32_t port;
};
void cql_put_inet(struct lab_buf *out, const struct cql_inet *inet);

/* The value of the first such key (exact bytes); ptr NULL if absent. */
struct lab_view cql_map_get(const struct cql_map *map, const char *key);

/* ---- types and values (cql-imds 1.6) ---- */

enum cql_type_id {
	CQL_TYPE_CUSTOM = 0x00,
	CQL_TYPE_ASCII = 0x01,
	CQL_TYPE_BIGINT = 0x02,
	CQL_TYPE_BLOB = 0x03,
	CQL_TYPE_BOOLEAN = 0x04,
	CQL_TYPE_COUNTER = 0x05,
	CQL_TYPE_DECIMAL = 0x06,
	CQL_TYPE_DOUBLE = 0x07,
	CQL_TYPE_FLOAT = 0x08,
	CQL_TYPE_INT = 0x09,
	CQL_TYPE_TIMESTAMP = 0x0b,
	CQL_TYPE_UUID = 0x0c,
	CQL_TYPE_TEXT = 0x0d, /* varchar */
	CQL_TYPE_VARINT = 0x0e,
	CQL_TYPE_TIMEUUID = 0x0f,
	CQL_TYPE_INET = 0x10,
	CQL_TYPE_DATE = 0x11,
	CQL_TYPE_TIME = 0x12,
	CQL_TYPE_SMALLINT = 0x13,
	CQL_TYPE_TINYINT = 0x14,
	CQL_TYPE_DURATION = 0x15, /* sent as the custom type that it is in versions 3 and 4 */
	CQL_TYPE_LIST = 0x20,
	CQL_TYPE_MAP = 0x21,
	CQL_TYPE_SET = 0x22,
	CQL_TYPE_UDT = 0x30,
	CQL_TYPE_TUPLE = 0x31
};

/* "int", "text", "list"...; "custom" for other ids. */
const char *cql_type_name(uint16_t id);

#define CQL_TYPE_DEPTH_MAX 8

struct cql_type {
	uint16_t id;                        /* enum cql_type_id; others are LAB_CORRUPT */
	struct lab_view name;               /* CUSTOM: class; UDT: name */
	struct lab_view keyspace;           /* UDT */
	const struct cql_type *params;      /* LIST, SET: 1; MAP: 2; TUPLE, UDT: n */
	const struct lab_view *field_names; /* UDT */
	size_t param_count;
};

/* Values are bare bytes; NULL is {NULL, 0}. text, ascii and blob are their own bytes. Collections
 * are [int] n and n [bytes] (map: 2n), tuples and UDTs one [bytes] for each field: read them with
 * cql_reader, write them with cql_put_bytes(). Each of these allocates the bytes of one value. */
struct lab_view cql_value_tinyint(struct lab_arena *arena, int8_t value);
struct lab_view cql_value_smallint(struct lab_arena *arena, int16_t value);
struct lab_view cql_value_int(struct lab_arena *arena, int32_t value);
struct lab_view cql_value_bigint(
	struct lab_arena *arena, int64_t value); /* counter, timestamp, time */
struct lab_view cql_value_boolean(struct lab_arena *arena, bool value);

/* The number in a value of type tinyint, smallint, int, bigint, counter, timestamp, time, date or
 * boolean. 0; -1 if the length does not fit the type or the type is not one of these. */
int cql_value_to_i64(uint16_t type_id, struct lab_view value, int64_t *ret);

#define CQL_UUID_BYTES 16
#define CQL_UUID_TEXT_MAX 37
/* "461d4f38-e293-4303-8a1d-32f2f9dfeb73" */
void cql_uuid_format(const uint8_t uuid[CQL_UUID_BYTES], char out[CQL_UUID_TEXT_MAX]);
/* Either case. 0, or -1. */
int cql_uuid_parse(struct lab_view text, uint8_t ret[CQL_UUID_BYTES]);

/* "127.0.0.1" to 4 bytes (dotted decimal only). 0, or -1. */
int cql_inet_parse(struct lab_view text, uint8_t ret[4]);

/* ---- requests (cql-imds 1.4) ---- */

/* A bound value, [value]. */
enum cql_value_kind {
	CQL_VALUE_BYTES,
	CQL_VALUE_NULL,
	CQL_VALUE_UNSET /* version 4: leave the column alone */
};
struct cql_bind {
	enum cql_value_kind kind;
	struct lab_view bytes; /* of CQL_VALUE_BYTES */
	struct lab_view name;  /* if the statement's values are named */
};

enum cql_param_flag {
	CQL_PARAM_VALUES = 0x01,
	CQL_PARAM_SKIP_METADATA = 0x02,
	CQL_PARAM_PAGE_SIZE = 0x04,
	CQL_PARAM_PAGING_STATE = 0x08,
	CQL_PARAM_SERIAL = 0x10,
	CQL_PARAM_TIMESTAMP = 0x20,
	CQL_PARAM_NAMES = 0x40,
	CQL_PARAM_KEYSPACE = 0x80, /* version 5 (Cassandra 4 reads it in 4, too) */
	CQL_PARAM_NOW = 0x100      /* version 5 */
};

/* Of QUERY, EXECUTE and BATCH. */
struct cql_params {
	enum cql_consistency consistency;
	uint32_t flags;          /* what is there; encoders obey it too */
	struct cql_bind *values; /* not of BATCH: each of its statements has its own */
	size_t value_count;
	int32_t page_size;
	struct lab_view paging_state;
	enum cql_consistency serial_consistency;
	int64_t timestamp_us;
	struct lab_view keyspace; /* of names that have none; PREPARE has only this */
	int32_t now_s;            /* for what expires, in place of the server's clock */
};

enum cql_batch_type {
	CQL_BATCH_LOGGED,
	CQL_BATCH_UNLOGGED,
	CQL_BATCH_COUNTER
};

struct cql_batch_item {
	bool prepared;
	struct lab_view query; /* text, or the id if prepared */
	struct cql_bind *values;
	size_t value_count;
};

struct cql_request {
	enum cql_opcode opcode;
	bool tracing;
	struct cql_map options;    /* STARTUP */
	struct lab_view token;     /* AUTH_RESPONSE; ptr NULL is null */
	struct lab_view query;     /* QUERY, PREPARE: text; EXECUTE: prepared id */
	struct lab_view result_id; /* EXECUTE, version 5: of the columns that the client knows */
	struct cql_params params;  /* QUERY, EXECUTE, BATCH */
	struct cql_strings events; /* REGISTER */
	enum cql_batch_type batch_type;
	struct cql_batch_item *batch; /* BATCH */
	size_t batch_count;
	struct cql_map payload; /* custom payload */
};

/* Appends a whole frame. `version` is 3 to 6; the direction bit is not set. */
void cql_request_encode(
	struct lab_buf *out, uint8_t version, int16_t stream, const struct cql_request *request);
/* Is it of a request? -1 LAB_CORRUPT with Cassandra's words for bytes that are no opcode, and for
 * opcodes and headers of responses. (0x04, of version 1, is judged with its body.) */
int cql_request_check(const struct cql_header *header, struct lab_error *err);
/* The header must be of a request in version 3 to 6. Also refuses response opcodes and bytes that
 * are no opcode, with Cassandra's words. Unread bytes behind a message are ignored, as Cassandra
 * does. REGISTER's names are checked ("Invalid value 'FOO' for Type"). */
int cql_request_decode(const struct cql_frame *frame, struct lab_arena *arena,
	struct cql_request *ret, struct lab_error *err);

/* ---- partitions (cql-imds 2.3) ---- */

/* Murmur3Partitioner's token of a partition key: of one column its value, of several each part as
 * [short length][bytes][0]. INT64_MIN for the empty key. */
int64_t cql_token(struct lab_view key);

/* ---- responses (cql-imds 1.5, 1.7) ---- */

enum cql_error_code {
	CQL_E_SERVER_ERROR = 0x0000,
	CQL_E_PROTOCOL = 0x000a,
	CQL_E_BAD_CREDENTIALS = 0x0100,
	CQL_E_UNAVAILABLE = 0x1000,
	CQL_E_OVERLOADED = 0x1001,
	CQL_E_IS_BOOTSTRAPPING = 0x1002,
	CQL_E_TRUNCATE = 0x1003,
	CQL_E_WRITE_TIMEOUT = 0x1100,
	CQL_E_READ_TIMEOUT = 0x1200,
	CQL_E_READ_FAILURE = 0x1300,
	CQL_E_FUNCTION_FAILURE = 0x1400,
	CQL_E_WRITE_FAILURE = 0x1500,
	CQL_E_CDC_WRITE_FAILURE = 0x1600, /* version 5; before: WRITE_FAILURE, INVALID */
	CQL_E_CAS_WRITE_UNKNOWN = 0x1700, /* version 5; before: WRITE_TIMEOUT */
	CQL_E_SYNTAX = 0x2000,
	CQL_E_UNAUTHORIZED = 0x2100,
	CQL_E_INVALID = 0x2200,
	CQL_E_CONFIG = 0x2300,
	CQL_E_ALREADY_EXISTS = 0x2400,
	CQL_E_UNPREPARED = 0x2500
};

/* "WRITE_TIMEOUT"; "UNKNOWN" for other codes. */
const char *cql_error_code_name(uint32_t code);

/* Why a replica failed (version 5). */
enum cql_failure_reason {
	CQL_REASON_UNKNOWN,
	CQL_REASON_TOMBSTONES,
	CQL_REASON_TIMEOUT,
	CQL_REASON_SCHEMA
};
struct cql_failed_replica {
	struct cql_inet node; /* the port is not sent */
	uint16_t reason;      /* enum cql_failure_reason, or another */
};

struct cql_error {
	uint32_t code; /* enum cql_error_code; others decode with code and message only */
	struct lab_view message;
	/* UNAVAILABLE; READ_ and WRITE_ TIMEOUT and FAILURE: */
	enum cql_consistency consistency;
	int32_t received; /* UNAVAILABLE: alive */
	int32_t required; /* "blockFor" */
	int32_t failures; /* FAILUREs; in version 5 the number of `reasons` */
	const struct cql_failed_replica *reasons; /* FAILUREs, version 5; NULL: unknown ones */
	uint16_t contentions;                     /* WRITE_TIMEOUT of type CAS, version 5 */
	bool data_present;                        /* READ_TIMEOUT, READ_FAILURE */
	struct lab_view write_type;               /* WRITE_TIMEOUT, WRITE_FAILURE: "SIMPLE" */
	/* ALREADY_EXISTS (table "" for a keyspace), FUNCTION_FAILURE (table is the function): */
	struct lab_view keyspace;
	struct lab_view table;
	struct cql_strings arg_types; /* FUNCTION_FAILURE */
	struct lab_view prepared_id;  /* UNPREPARED */
};

struct cql_column {
	struct lab_view keyspace;
	struct lab_view table;
	struct lab_view name;
	struct cql_type type;
};

/* Of rows, of what a prepared statement binds, and of what it will return. */
struct cql_metadata {
	struct cql_column *columns; /* NULL with no_metadata */
	size_t column_count;
	bool no_metadata;             /* only the count was sent (skip_metadata was asked for) */
	struct lab_view paging_state; /* ptr not NULL: there are more pages */
	struct lab_view changed_id;   /* version 5, ptr not NULL: the columns' new id */
	uint16_t *pk_indexes;         /* bind metadata, version 4: markers of the partition key */
	size_t pk_count;
};

struct cql_rows {
	struct cql_metadata metadata;
	struct lab_view *cells; /* row by row; ptr NULL is null */
	size_t row_count;
};

enum cql_result_kind {
	CQL_RESULT_VOID = 1,
	CQL_RESULT_ROWS = 2,
	CQL_RESULT_SET_KEYSPACE = 3,
	CQL_RESULT_PREPARED = 4,
	CQL_RESULT_SCHEMA_CHANGE = 5
};

struct cql_schema_change {
	struct lab_view change; /* CREATED, UPDATED, DROPPED */
	struct lab_view target; /* KEYSPACE, TABLE, TYPE, FUNCTION, AGGREGATE */
	struct lab_view keyspace;
	struct lab_view name;         /* unless KEYSPACE */
	struct cql_strings arg_types; /* FUNCTION, AGGREGATE */
};

struct cql_prepared {
	struct lab_view id;
	struct lab_view result_id; /* version 5: of `columns` */
	struct cql_metadata binds;
	struct cql_metadata columns;
};

struct cql_event {
	struct lab_view type;   /* TOPOLOGY_CHANGE, STATUS_CHANGE, SCHEMA_CHANGE */
	struct lab_view change; /* NEW_NODE, REMOVED_NODE, MOVED_NODE, UP, DOWN */
	struct cql_inet node;
	struct cql_schema_change schema; /* SCHEMA_CHANGE */
};

struct cql_response {
	enum cql_opcode opcode;
	/* What may come before the message: */
	struct lab_view tracing_id; /* 16 bytes; ptr NULL if untraced */
	struct cql_strings warnings;
	struct cql_map payload;
	/* The message, by opcode: */
	struct cql_error error;
	struct lab_view authenticator;   /* AUTHENTICATE: class name */
	struct lab_view token;           /* AUTH_CHALLENGE, AUTH_SUCCESS; ptr NULL is null */
	struct cql_multimap supported;   /* SUPPORTED */
	enum cql_result_kind kind;       /* RESULT */
	struct cql_rows rows;            /* RESULT Rows */
	struct lab_view keyspace;        /* RESULT Set_keyspace */
	struct cql_prepared prepared;    /* RESULT Prepared */
	struct cql_schema_change schema; /* RESULT Schema_change */
	struct cql_event event;          /* EVENT */
};

/* Appends a whole frame with the direction bit. `version` is 3 to 6, or any other byte for an ERROR
 * about the version (1 and 2 in their 8-byte layout). In version 3 READ_FAILURE and WRITE_FAILURE
 * are sent as the matching timeout, FUNCTION_FAILURE as INVALID, and warnings, payloads and
 * pk_indexes are left out, as Cassandra does. A global table spec is used when all columns are of
 * one table. */
void cql_response_encode(
	struct lab_buf *out, uint8_t version, int16_t stream, const struct cql_response *response);
/* The header must be of a response in version 3 to 6; an ERROR is also understood in any other
 * version (the answer to a version that the server does not speak). */
int cql_response_decode(const struct cql_frame *frame, struct lab_arena *arena,
	struct cql_response *ret, struct lab_error *err);

#endif

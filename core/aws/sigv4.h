/* SPDX-License-Identifier: Apache-2.0
 *
 * sigv4.h - AWS signature version 4 as S3 wants it: the arithmetic, and signing with it.
 *
 * Purpose    The first half (canonical request, string to sign, keys, signatures, chunks) is what
 * both a client and a verifier need; the second half signs a request that is about to be sent.
 * Rules      s3 1.8. The path is decoded once and encoded once, '/' stays, dot segments stay. The
 *            query is sorted by encoded name, then value; a parameter without '=' gets one; of a
 *            repeated name only the first counts; X-Amz-Signature never counts. Header values lose
 *            blanks at both ends and runs of blanks inside; repeated headers are joined with ','.
 * Host       "host" is request->authority, "content-length" the length of request->body unless
 * there is such a header. Effects    None: no time, no randomness; allocates in the buffers and
 * arenas that it is given.
 */
#ifndef LAB_AWS_SIGV4_H
#define LAB_AWS_SIGV4_H

#include "core/aws/credentials.h"

#define SIGV4_ALGORITHM "AWS4-HMAC-SHA256"
#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
#define SIGV4_EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SIGV4_QUERY_MAX 64 /* parameters */
#define SIGV4_KEY_SIZE 32
#define SIGV4_HEX_SIZE 65        /* 64 digits and a NUL */
#define SIGV4_EXPIRES_MAX 604800 /* seconds that a presigned URL may live */

/* ---- arithmetic ---- */

/* Appends the canonical request to `out`. `signed_headers` is the list as it is sent
 * ("host;x-amz-date"): lower case, sorted; a header that is absent counts as empty.
 * `payload_hash` is the value of x-amz-content-sha256. -1 LAB_INVALID: a bad %-escape;
 * LAB_LIMIT: too many parameters, or `out` is full. */
int sigv4_canonical_request(const struct lab_http_request *request, struct lab_view signed_headers,
	struct lab_view payload_hash, struct lab_buf *out, struct lab_error *err);
/* Appends the string to sign. `amz_date` is "20130524T000000Z", `scope` is
 * "20130524/us-east-1/s3/aws4_request". */
void sigv4_string_to_sign(struct lab_view amz_date, struct lab_view scope,
	struct lab_view canonical_request, struct lab_buf *out);
/* `date` is "20130524". */
void sigv4_signing_key(struct lab_view secret, struct lab_view date, struct lab_view region,
	struct lab_view service, uint8_t key[SIGV4_KEY_SIZE]);
/* Lower-case hex. */
void sigv4_signature(const uint8_t key[SIGV4_KEY_SIZE], struct lab_view string_to_sign,
	char out[SIGV4_HEX_SIZE]);
/* Of one chunk of STREAMING-AWS4-HMAC-SHA256-PAYLOAD[-TRAILER]; `previous` is the signature before
 * it (of the headers, for the first). The last chunk is empty. */
void sigv4_chunk_signature(const uint8_t key[SIGV4_KEY_SIZE], struct lab_view amz_date,
	struct lab_view scope, struct lab_view previous, struct lab_view chunk,
	char out[SIGV4_HEX_SIZE]);
/* `trailer` is each "name:value\n" in the order sent, the '\n' included. */
void sigv4_trailer_signature(const uint8_t key[SIGV4_KEY_SIZE], struct lab_view amz_date,
	struct lab_view scope, struct lab_view previous, struct lab_view trailer,
	char out[SIGV4_HEX_SIZE]);
void sigv4_payload_hash(struct lab_view body, char out[SIGV4_HEX_SIZE]);

/* ---- signing ---- */

/* The signing key costs four HMACs and changes once a day: kept by (key id, secret, date, region,
 * service). Zero-initialised is empty. Keys longer than SIGV4_CACHE_TEXT_MAX are not kept. */
#define SIGV4_CACHE_ENTRIES 4
#define SIGV4_CACHE_TEXT_MAX 384
struct sigv4_key_cache {
	struct sigv4_key_cache_entry {
		size_t len; /* of `text`; 0 is a free entry */
		uint8_t text[SIGV4_CACHE_TEXT_MAX];
		uint8_t key[SIGV4_KEY_SIZE];
	} entries[SIGV4_CACHE_ENTRIES];
	unsigned next; /* entry to replace */
	uint64_t hits, misses;
};

struct sigv4_signer {
	const struct aws_credentials *credentials;
	struct lab_view region;
	struct lab_view service;       /* "s3" */
	int64_t now_unix;              /* the signer's wall clock */
	struct sigv4_key_cache *cache; /* NULL: none */
	struct lab_heap *heap;         /* for scratch: nothing stays allocated */
};

/* Adds x-amz-date, x-amz-content-sha256 (the body's hash; if that header is there already, what it
 * says is signed) and Authorization. Signs host, content-type, content-md5
 * and every x-amz-* header that is there. The session token is not added: it is the caller's header
 * (addhdrvar), signed because of its name. New text is in the arena. -1: as above, or LAB_LIMIT
 * when the request has no room for three more headers. */
int sigv4_sign_headers(struct lab_http_request *request, const struct sigv4_signer *signer,
	struct lab_arena *arena, struct lab_error *err);
/* Appends X-Amz-* parameters and the signature to the target; the token too, if there is one. Only
 * host is signed, and `payload_hash` is usually SIGV4_UNSIGNED_PAYLOAD. */
int sigv4_presign(struct lab_http_request *request, const struct sigv4_signer *signer,
	unsigned expires_seconds, struct lab_view payload_hash, struct lab_arena *arena,
	struct lab_error *err);

#endif

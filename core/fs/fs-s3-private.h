/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-s3-private.h - the parts of the drivers s3 and aws-s3: fs-s3.c has the driver, fs-s3-request.c
 * what goes on the wire, fs-s3-bulk.c the bulk delete.
 *
 * Bucket: bucket= (then "/<URL path>/<bucket>/<key>"); else the host ("BUCKET.s3.region...", or its
 * first subdomain), and the URL path is a prefix of the keys; else, with an address, a bare name or
 * a host "s3...", the first part of the URL path.
 *
 * Integrity: Content-MD5 with each body; the ETag of a PUT and the body of a GET are checked where
 * the ETag is a plain MD5. What does not fit is retried, and is never a success.
 *
 * Copy: the directive COPY keeps the source's metadata. With new metadata it is REPLACE, and what
 * is not new is read from the source first (one HEAD).
 *
 * Bulk delete: not quiet. Each key needs its own confirmation; one that the answer does not mention
 * is uncertain. Requests go out one after the other; without bulk deletes, DELETEs go out
 * settings.max_parallel_deletes at a time.
 */
#ifndef LAB_FS_S3_PRIVATE_H
#define LAB_FS_S3_PRIVATE_H

#include "core/aws/s3-xml.h"
#include "core/aws/sigv2.h"
#include "core/aws/sigv4.h"
#include "core/conf/fs-uri.h"
#include "core/fs/fs-api-private.h"
#include "core/fs/fs-http.h"

/* Answers without an object in them: errors, results of a copy. */
#define S3_ANSWER_MAX ((size_t)64 * 1024)
/* A page of 1000 keys, each of 1024 bytes, encoded. */
#define S3_LIST_ANSWER_MAX ((size_t)8 * 1024 * 1024)
#define S3_LIST_ENTRIES_MAX 10000 /* S3 gives 1000 a page, others may give more */
#define S3_KEY_MAX 1024
#define S3_META_PREFIX "x-amz-meta-dovecot-"
#define S3_MD5_HEX_SIZE 33

struct s3_fs {
	struct fs fs;
	struct env *env;
	struct lab_arena *arena; /* of the URL's texts */
	struct conf_http_url url;
	struct http_client *client;
	struct aws_credentials_source *credentials; /* NULL: requests are not signed */
	struct aws_credentials session_credentials; /* LAB_DEFECT(SESSION_CREDENTIALS) only */
	bool own_credentials;
	struct sigv4_key_cache *key_cache;
	bool own_key_cache;
	const char *reason;

	struct lab_view authority;
	struct lab_view base;   /* encoded path before a key: "", "/bucket", "/prefix/bucket" */
	struct lab_view bucket; /* name of the bucket, for x-amz-copy-source */
	struct lab_view host_bucket; /* the bucket, if the host names it; else empty */
	struct lab_view key_prefix;  /* of each key: "" or "prefix/" */
};

/* Where the bucket is (obox 1.6, s3 1.1). -1 LAB_INVALID: nothing names one. */
int s3_resolve_bucket(struct s3_fs *fs, struct lab_error *err);

/* One request being made. */
struct s3_request {
	struct s3_fs *fs;
	enum http_action action;
	struct lab_http_request http;
	size_t answer_max;
	/* Looks into a 2xx answer (http-client.h); NULL: takes it as it is. */
	unsigned (*inspect)(void *ctx, const struct lab_http_response *response,
		struct lab_arena *arena, const char **why);
	char md5[S3_MD5_HEX_SIZE];   /* of the body that is sent, for inspect */
	size_t keys;                 /* in a bulk delete, for inspect */
	bool was_uncertain;          /* an attempt may have been applied, whatever the answer */
	struct lab_view signed_with; /* access key id of the current attempt */
};

/* Starts a request for a key (target "<base>/<prefix><path>"), or for the bucket itself. */
void s3_request_key(struct s3_request *request, struct s3_fs *fs, enum http_action action,
	const char *method, struct lab_view path, struct lab_arena *arena);
void s3_request_bucket(struct s3_request *request, struct s3_fs *fs, enum http_action action,
	const char *method, struct lab_view query, struct lab_arena *arena);
/* Adds Content-MD5 and Content-Type and keeps the MD5 for inspect(). */
void s3_request_body(struct s3_request *request, struct lab_view body, const char *content_type,
	struct lab_arena *arena);
/* -1 LAB_LIMIT: too many headers. */
int s3_request_header(
	struct s3_request *request, const char *name, struct lab_view value, struct lab_error *err);
/* As http_client_request(). */
int s3_request_run(struct s3_request *request, struct lab_arena *arena,
	struct lab_http_response *ret, struct lab_error *err);

/* For inspect: the ETag of a PUT, the length and the ETag of a GET against what was sent or came.
 */
unsigned s3_inspect_put(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why);
unsigned s3_inspect_get(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why);
unsigned s3_inspect_copy(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why);
unsigned s3_inspect_list(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why);
unsigned s3_inspect_bulk(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why);
/* The status that goes with an error code inside a 200; 500 for those that we do not know. */
unsigned s3_status_of_code(struct lab_view code);

/* "<prefix><path>" */
struct lab_view s3_key(const struct s3_fs *fs, struct lab_view path, struct lab_arena *arena);

int s3_delete_many(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err);

#endif

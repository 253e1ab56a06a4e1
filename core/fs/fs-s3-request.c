/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-s3-request.c - what the S3 drivers put on the wire, and what they make of the answers.
 */
#include "core/fs/fs-s3-private.h"

#include "core/base/defect.h"

#define TARGET_MAX 16384

/* ---- where the bucket is ---- */

static bool is_address(struct lab_view host)
{
	if (host.len > 0 && host.ptr[0] == '[')
		return true;
	for (size_t i = 0; i < host.len; i++) {
		if (host.ptr[i] != '.' && (host.ptr[i] < '0' || host.ptr[i] > '9'))
			return false;
	}
	return true;
}

/* "BUCKET.s3.region.amazonaws.com", "BUCKET.s3-region...", else the first subdomain. Empty if the
 * host is only the service's own. */
static struct lab_view bucket_of_host(struct lab_view host)
{
	size_t dot = lab_view_find_byte(host, '.');
	size_t service = LAB_MIN(
		lab_view_find(host, LAB_VIEW(".s3.")), lab_view_find(host, LAB_VIEW(".s3-")));

	if (dot == SIZE_MAX || is_address(host) || lab_view_starts_with(host, LAB_VIEW("s3.")) ||
		lab_view_starts_with(host, LAB_VIEW("s3-")))
		return LAB_VIEW("");
	return lab_view_sub(host, 0, service == SIZE_MAX ? dot : service);
}

static struct lab_view without_slashes(struct lab_view path)
{
	while (path.len > 0 && path.ptr[path.len - 1] == '/')
		path.len--;
	while (path.len > 0 && path.ptr[0] == '/')
		path = lab_view_skip(path, 1);
	return path;
}

static struct lab_view key_prefix_of(struct lab_view path, struct lab_arena *arena)
{
	if (path.len == 0)
		return path;
	return lab_view_cstr(lab_arena_printf(arena, "%.*s/", LAB_VIEW_ARG(path)));
}

static struct lab_view encoded_base(struct s3_fs *fs, struct lab_view first, struct lab_view second)
{
	struct lab_view parts[2] = { first, second }, result;
	struct lab_buf text;

	lab_buf_init(&text, fs->env->heap, TARGET_MAX);
	for (size_t i = 0; i < 2; i++) {
		if (parts[i].len == 0)
			continue;
		lab_buf_append_byte(&text, '/');
		lab_buf_append_percent(&text, parts[i], true);
	}
	result = lab_arena_copy(fs->arena, lab_buf_view(&text));
	lab_buf_done(&text);
	return result;
}

int s3_resolve_bucket(struct s3_fs *fs, struct lab_error *err)
{
	struct lab_view path = without_slashes(fs->url.path), none = LAB_VIEW("");
	size_t slash;

	fs->key_prefix = none;
	fs->host_bucket = none;
	if (fs->url.bucket.ptr != NULL) {
		/* "/<key prefix>/<bucketname>/<path>" */
		fs->bucket = fs->url.bucket;
		fs->base = encoded_base(fs, path, fs->bucket);
		return 0;
	}
	fs->host_bucket = bucket_of_host(fs->url.host);
	if (fs->host_bucket.len > 0) {
		fs->bucket = fs->host_bucket;
		fs->base = none;
		fs->key_prefix = key_prefix_of(path, fs->arena);
		return 0;
	}
	/* The host is the service's own: path style, as S3 itself reads the URL. */
	slash = lab_view_find_byte(path, '/');
	fs->bucket = lab_view_sub(path, 0, slash);
	if (fs->bucket.len == 0)
		return lab_fail(err, LAB_INVALID,
			"The URL names no bucket: neither its host nor its path nor bucket=");
	fs->base = encoded_base(fs, fs->bucket, none);
	if (slash != SIZE_MAX)
		fs->key_prefix =
			key_prefix_of(without_slashes(lab_view_skip(path, slash)), fs->arena);
	return 0;
}

struct lab_view s3_key(const struct s3_fs *fs, struct lab_view path, struct lab_arena *arena)
{
	if (fs->key_prefix.len == 0)
		return path;
	return lab_view_cstr(lab_arena_printf(
		arena, "%.*s%.*s", LAB_VIEW_ARG(fs->key_prefix), LAB_VIEW_ARG(path)));
}

/* ---- making a request ---- */

static void request_start(
	struct s3_request *request, struct s3_fs *fs, enum http_action action, const char *method)
{
	*request = (struct s3_request){
		.fs = fs,
		.action = action,
		.http = { .method = lab_view_cstr(method),
			.tls = fs->url.tls,
			.authority = fs->authority },
		.answer_max = S3_ANSWER_MAX,
	};
}

void s3_request_key(struct s3_request *request, struct s3_fs *fs, enum http_action action,
	const char *method, struct lab_view path, struct lab_arena *arena)
{
	struct lab_buf target;

	request_start(request, fs, action, method);
	lab_buf_init(&target, fs->env->heap, TARGET_MAX);
	lab_buf_append_view(&target, fs->base);
	lab_buf_append_byte(&target, '/');
	lab_buf_append_percent(&target, fs->key_prefix, true);
	lab_buf_append_percent(&target, path, true);
	request->http.target = lab_arena_copy(arena, lab_buf_view(&target));
	lab_buf_done(&target);
}

void s3_request_bucket(struct s3_request *request, struct s3_fs *fs, enum http_action action,
	const char *method, struct lab_view query, struct lab_arena *arena)
{
	request_start(request, fs, action, method);
	request->http.target = lab_view_cstr(
		lab_arena_printf(arena, "%.*s/?%.*s", LAB_VIEW_ARG(fs->base), LAB_VIEW_ARG(query)));
}

int s3_request_header(
	struct s3_request *request, const char *name, struct lab_view value, struct lab_error *err)
{
	if (lab_http_header_add(&request->http.headers, lab_view_cstr(name), value) < 0)
		return lab_fail(err, LAB_LIMIT, "too many headers in one request");
	return 0;
}

void s3_request_body(struct s3_request *request, struct lab_view body, const char *content_type,
	struct lab_arena *arena)
{
	struct lab_http_headers *headers = &request->http.headers;
	uint8_t digest[LAB_DIGEST_MAX];
	struct lab_buf text;

	lab_digest(LAB_MD5, body, digest);
	lab_hex(digest, lab_digest_size(LAB_MD5), request->md5);
	lab_buf_init(&text, request->fs->env->heap, 64);
	lab_buf_append_base64(&text, lab_view_of(digest, lab_digest_size(LAB_MD5)));
	lab_http_header_add(
		headers, LAB_VIEW("Content-MD5"), lab_arena_copy(arena, lab_buf_view(&text)));
	lab_buf_done(&text);
	lab_http_header_add(headers, LAB_VIEW("Content-Type"), lab_view_cstr(content_type));
	request->http.body = body;
}

/* ---- signing ---- */

/* PRO-01: before 2.3.11 a session asked once, and then went on with what it had. */
static int get_session_credentials(
	struct s3_fs *fs, struct aws_credentials *ret, struct lab_error *err)
{
	if (fs->session_credentials.access_key_id.ptr == NULL &&
		aws_credentials_get(fs->credentials, fs->arena, &fs->session_credentials, err) < 0)
		return -1;
	*ret = fs->session_credentials;
	return 0;
}

/* For this attempt: asked each time, so that a session of any length has living ones. */
static int get_credentials(struct s3_fs *fs, struct lab_arena *arena, struct aws_credentials *ret,
	struct lab_error *err)
{
	if (fs->credentials == NULL)
		return 0;
	if (lab_defect(SESSION_CREDENTIALS))
		return get_session_credentials(fs, ret, err);
	return aws_credentials_get(fs->credentials, arena, ret, err);
}

/* After a redirect the bucket may have moved from the path to the host, or back. */
static struct lab_view host_bucket(const struct s3_fs *fs, struct lab_view authority)
{
	struct lab_view rest = lab_view_skip(authority, fs->bucket.len);

	if (lab_view_eq(authority, fs->authority))
		return fs->host_bucket;
	return lab_view_starts_with(authority, fs->bucket) &&
			       lab_view_starts_with(rest, LAB_VIEW("."))
		       ? fs->bucket
		       : LAB_VIEW("");
}

static int sign(
	void *ctx, struct lab_http_request *http, struct lab_arena *arena, struct lab_error *err)
{
	struct s3_request *request = ctx;
	struct s3_fs *fs = request->fs;
	struct aws_credentials credentials = { .token = { NULL, 0 } };
	struct sigv4_signer signer = { .credentials = &credentials,
		.region = fs->url.region,
		.service = LAB_VIEW("s3"),
		.cache = fs->key_cache,
		.heap = fs->env->heap };

	if (get_credentials(fs, arena, &credentials, err) < 0)
		return -1;
	request->signed_with = credentials.access_key_id;
	if (fs_http_add_variables(&fs->url, credentials.token, http, arena, err) < 0)
		return -1;
	if (fs->credentials == NULL)
		return 0;
	/* After the wait for credentials: the date must be of now. */
	signer.now_unix = env_wall_seconds(fs->env);
	if (fs->url.region.ptr != NULL)
		return sigv4_sign_headers(http, &signer, arena, err);
	return sigv2_sign_headers(http, host_bucket(fs, http->authority), &credentials,
		signer.now_unix, fs->env->heap, arena, err);
}

static void renew(void *ctx)
{
	struct s3_request *request = ctx;

	if (!lab_defect(REFUSED_CREDENTIALS_KEPT))
		aws_credentials_invalidate(request->fs->credentials, request->signed_with);
}

static struct lab_view error_code(
	void *ctx, const struct lab_http_response *response, struct lab_arena *arena)
{
	struct s3_error error;

	(void)ctx;
	return s3_error_parse(response->body, arena, &error) == 1 ? error.code : LAB_VIEW("");
}

int s3_request_run(struct s3_request *request, struct lab_arena *arena,
	struct lab_http_response *ret, struct lab_error *err)
{
	struct s3_fs *fs = request->fs;
	struct http_call call = {
		.action = request->action,
		.request = &request->http,
		.response_max_bytes = request->answer_max,
		.reason = fs->reason,
		.ctx = request,
		.sign = sign,
		/* A key from the URL is what it is. */
		.renew = fs->url.auth_role.ptr != NULL ? renew : NULL,
		.error_code = error_code,
		.inspect = request->inspect,
		.ret_uncertain = &request->was_uncertain,
	};

	return http_client_request(fs->client, &call, arena, ret, err);
}

/* ---- looking into answers ---- */

/* The MD5 in an ETag, or ptr NULL: objects of several parts, and those encrypted with KMS or a
 * customer's key, have another kind of ETag. */
static struct lab_view plain_md5(const struct lab_http_headers *headers)
{
	struct lab_view etag = lab_view_trim(lab_http_header_get(headers, "ETag"));
	struct lab_view encryption = lab_http_header_get(headers, "x-amz-server-side-encryption");
	uint8_t digest[16];

	if (etag.len >= 2 && etag.ptr[0] == '"' && etag.ptr[etag.len - 1] == '"')
		etag = lab_view_sub(etag, 1, etag.len - 2);
	if (lab_view_starts_with(encryption, LAB_VIEW("aws:kms")) ||
		lab_http_header_get(headers, "x-amz-server-side-encryption-customer-algorithm")
				.ptr != NULL ||
		etag.len != 32 || lab_unhex(etag, digest, sizeof(digest)) < 0)
		return (struct lab_view){ NULL, 0 };
	return etag;
}

unsigned s3_inspect_put(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why)
{
	const struct s3_request *request = ctx;
	struct lab_view etag = plain_md5(&response->headers);

	(void)arena;
	if (etag.ptr == NULL || lab_view_eq_nocase(etag, lab_view_cstr(request->md5)))
		return response->status;
	*why = "the ETag is not the MD5 of what was sent";
	return HTTP_STATUS_ALTERED;
}

unsigned s3_inspect_get(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why)
{
	struct lab_view etag = plain_md5(&response->headers);
	struct lab_view length = lab_http_header_get(&response->headers, "Content-Length");
	uint8_t digest[LAB_DIGEST_MAX];
	char md5[S3_MD5_HEX_SIZE];
	uint64_t bytes;

	(void)ctx;
	(void)arena;
	if (length.ptr != NULL && !lab_defect(BODY_NOT_CHECKED) &&
		(lab_view_to_u64(lab_view_trim(length), &bytes) < 0 ||
			bytes != response->body.len)) {
		*why = "the body does not have its Content-Length";
		return HTTP_STATUS_ALTERED;
	}
	if (etag.ptr == NULL || lab_defect(BODY_NOT_CHECKED))
		return response->status;
	lab_digest(LAB_MD5, response->body, digest);
	lab_hex(digest, lab_digest_size(LAB_MD5), md5);
	if (lab_view_eq_nocase(etag, lab_view_cstr(md5)))
		return response->status;
	*why = "the body does not have the MD5 of its ETag";
	return HTTP_STATUS_ALTERED;
}

unsigned s3_status_of_code(struct lab_view code)
{
	static const struct {
		const char *code;
		unsigned status;
	} known[] = {
		{ "AccessDenied", 403 },
		{ "AllAccessDisabled", 403 },
		{ "ExpiredToken", 400 },
		{ "InvalidAccessKeyId", 403 },
		{ "InvalidArgument", 400 },
		{ "InvalidRequest", 400 },
		{ "InvalidToken", 400 },
		{ "NoSuchBucket", 404 },
		{ "NoSuchKey", 404 },
		{ "OperationAborted", 409 },
		{ "PreconditionFailed", 412 },
		{ "ServiceUnavailable", 503 },
		{ "SlowDown", 503 },
	};

	for (size_t i = 0; i < LAB_COUNT_OF(known); i++) {
		if (lab_view_eq_cstr(code, known[i].code))
			return known[i].status;
	}
	return 500;
}

/* S3 begins to answer a copy before it is done: the 200 may hold an error. */
unsigned s3_inspect_copy(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why)
{
	struct s3_error error;

	(void)ctx;
	if (s3_error_parse(response->body, arena, &error) == 1)
		return s3_status_of_code(error.code);
	if (lab_view_find(response->body, LAB_VIEW("</CopyObjectResult>")) != SIZE_MAX)
		return response->status;
	*why = "neither a CopyObjectResult nor an Error";
	return HTTP_STATUS_ALTERED;
}

static unsigned altered(struct lab_arena *arena, const struct lab_error *err, const char **why)
{
	*why = lab_arena_cstr(arena, lab_view_cstr(err->message));
	return HTTP_STATUS_ALTERED;
}

unsigned s3_inspect_list(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why)
{
	struct s3_list_page page;
	struct lab_error err;

	(void)ctx;
	if (s3_list_page_parse(response->body, S3_LIST_ENTRIES_MAX, arena, &page, &err) < 0)
		return altered(arena, &err, why);
	return response->status;
}

unsigned s3_inspect_bulk(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why)
{
	const struct s3_request *request = ctx;
	struct s3_deleted *items;
	struct s3_error error;
	struct lab_error err;
	size_t count;

	if (s3_delete_result_parse(response->body, request->keys, arena, &items, &count, &err) == 0)
		return response->status;
	if (s3_error_parse(response->body, arena, &error) == 1)
		return s3_status_of_code(error.code);
	return altered(arena, &err, why);
}

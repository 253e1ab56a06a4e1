/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/live/foreign-s3.h"

#include "core/aws/s3-xml.h"
#include "core/aws/sigv2.h"
#include "core/aws/sigv4.h"

#define PAGE_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define PAGE_KEYS_MAX 10000
#define TARGET_MAX 16384
#define ATTEMPTS_MAX 5
#define WAIT_NS (200 * LAB_MSEC)
#define TIMEOUT_NS (30 * LAB_SEC)

/* ---- requests ---- */

/* "/<URL path>/<bucket>/<key>"; key.ptr NULL: the bucket itself. */
static struct lab_view target_of(const struct foreign_s3 *s3, struct lab_view key,
	struct lab_view query, struct lab_arena *arena)
{
	struct lab_view path = s3->url->path, result;
	struct lab_buf text;

	while (path.len > 0 && path.ptr[path.len - 1] == '/')
		path.len--;
	lab_buf_init(&text, s3->env->heap, TARGET_MAX);
	lab_buf_append_byte(&text, '/');
	lab_buf_append_percent(&text, path, true);
	if (path.len > 0)
		lab_buf_append_byte(&text, '/');
	lab_buf_append_percent(&text, s3->url->bucket, false);
	lab_buf_append_byte(&text, '/');
	lab_buf_append_percent(&text, key, true);
	if (query.len > 0)
		lab_buf_append_byte(&text, '?');
	lab_buf_append_view(&text, query);
	result = lab_arena_copy(arena, lab_buf_view(&text));
	lab_buf_done(&text);
	return result;
}

static int sign(const struct foreign_s3 *s3, struct lab_http_request *request,
	struct lab_arena *arena, struct lab_error *err)
{
	struct aws_credentials credentials = { .access_key_id = s3->url->user,
		.secret_access_key = s3->url->password };
	struct sigv4_signer signer = { .credentials = &credentials,
		.region = s3->url->region,
		.service = LAB_VIEW("s3"),
		.now_unix = env_wall_seconds(s3->env),
		.heap = s3->env->heap };

	if (s3->url->region.ptr != NULL)
		return sigv4_sign_headers(request, &signer, arena, err);
	return sigv2_sign_headers(
		request, LAB_VIEW(""), &credentials, signer.now_unix, s3->env->heap, arena, err);
}

static int attempt(const struct foreign_s3 *s3, const char *method, struct lab_view target,
	bool is_first, struct lab_arena *arena, struct lab_http_response *ret,
	struct lab_error *err)
{
	struct lab_http_request request = { .method = lab_view_cstr(method),
		.tls = s3->url->tls,
		.authority = s3->authority,
		.target = target };
	struct env_http_limits limits = { .connect_timeout_ns = TIMEOUT_NS,
		.response_timeout_ns = TIMEOUT_NS,
		.response_max_bytes = LAB_MAX(PAGE_BYTES_MAX, FOREIGN_OBJECT_BYTES_MAX),
		.fresh_connection = !is_first };

	return sign(s3, &request, arena, err) < 0
		       ? -1
		       : env_http(s3->env, &request, &limits, arena, ret, NULL, err);
}

/* Every request here may be repeated. 0: 2xx, or 404 for a DELETE. */
static int ask(const struct foreign_s3 *s3, const char *method, struct lab_view target,
	struct lab_arena *arena, struct lab_http_response *ret, struct lab_error *err)
{
	bool is_delete = strcmp(method, "DELETE") == 0;

	for (unsigned i = 0;; i++) {
		struct s3_error said;
		int result = attempt(s3, method, target, i == 0, arena, ret, err);

		if (result == 0 && ((ret->status >= 200 && ret->status <= 299) ||
					   (ret->status == 404 && is_delete)))
			return 0;
		if (result == 0) {
			bool has_code = s3_error_parse(ret->body, arena, &said) == 1;

			lab_fail(err, ret->status == 404 ? LAB_NOT_FOUND : LAB_UNAVAILABLE,
				"the foreign S3 answers %u %.*s to %s %.*s", ret->status,
				LAB_VIEW_ARG(has_code ? said.code : LAB_VIEW("")), method,
				LAB_VIEW_ARG(lab_view_sub(target, 0, 100)));
			err->retryable = ret->status >= 500;
		}
		if (i + 1 == ATTEMPTS_MAX || err->code == LAB_DENIED ||
			(result == 0 && !err->retryable))
			return -1;
		env_sleep(s3->env, WAIT_NS << i);
	}
}

/* ---- all objects ---- */

/* Called for each key in byte order. -1 ends the walk. */
typedef int (*key_fn)(
	const struct foreign_s3 *s3, void *ctx, struct lab_view key, struct lab_error *err);

static struct lab_view list_query(
	const struct foreign_s3 *s3, struct lab_view marker, struct lab_arena *arena)
{
	struct lab_view result = LAB_VIEW("encoding-type=url");
	struct lab_buf query;

	if (marker.len == 0)
		return result;
	lab_buf_init(&query, s3->env->heap, TARGET_MAX);
	lab_buf_append_view(&query, result);
	lab_buf_append_cstr(&query, "&marker=");
	lab_buf_append_percent(&query, marker, false);
	result = lab_arena_copy(arena, lab_buf_view(&query));
	lab_buf_done(&query);
	return result;
}

/* *marker is where the next page begins; empty after the last. */
static int walk_page(const struct foreign_s3 *s3, struct lab_buf *marker, key_fn fn, void *ctx,
	size_t *count, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view none = { NULL, 0 }, last;
	struct lab_http_response response;
	struct s3_list_page page;

	if (ask(s3, "GET", target_of(s3, none, list_query(s3, lab_buf_view(marker), arena), arena),
		    arena, &response, err) < 0 ||
		s3_list_page_parse(response.body, PAGE_KEYS_MAX, arena, &page, err) < 0)
		return -1;
	for (size_t i = 0; i < page.key_count; i++) {
		if ((*count)++ == FOREIGN_OBJECTS_MAX)
			return lab_fail(err, LAB_LIMIT,
				"the foreign bucket has more than %zu objects",
				FOREIGN_OBJECTS_MAX);
		if (fn(s3, ctx, page.keys[i], err) < 0)
			return -1;
	}
	last = page.next_marker.ptr == NULL && page.key_count > 0 ? page.keys[page.key_count - 1]
								  : page.next_marker;
	if (page.truncated && lab_view_cmp(last, lab_buf_view(marker)) <= 0)
		return lab_fail(err, LAB_CORRUPT, "the foreign S3's listing does not move on");
	lab_buf_reset(marker);
	if (page.truncated)
		lab_buf_append_view(marker, last);
	return 0;
}

static int walk(const struct foreign_s3 *s3, key_fn fn, void *ctx, struct lab_error *err)
{
	struct lab_buf marker;
	size_t count = 0;
	int result;

	lab_buf_init(&marker, s3->env->heap, S3_XML_TEXT_MAX);
	do {
		struct lab_arena *arena = lab_arena_new(s3->env->heap, 8 * PAGE_BYTES_MAX);

		result = walk_page(s3, &marker, fn, ctx, &count, arena, err);
		lab_arena_free(&arena);
	} while (result == 0 && marker.len > 0);
	lab_buf_done(&marker);
	return result;
}

/* ---- what it is walked for ---- */

static int is_not_empty(
	const struct foreign_s3 *s3, void *ctx, struct lab_view key, struct lab_error *err)
{
	(void)ctx;
	return lab_fail(err, LAB_EXISTS,
		"bucket %.*s is not empty (%.*s): a run deletes all that is in it when it ends",
		LAB_VIEW_ARG(s3->url->bucket), LAB_VIEW_ARG(lab_view_sub(key, 0, 80)));
}

int foreign_s3_check_empty(const struct foreign_s3 *s3, struct lab_error *err)
{
	return walk(s3, is_not_empty, NULL, err);
}

static void note_status(void *ctx, const struct sim_http_reply *reply)
{
	*(unsigned *)ctx = reply->response.status;
}

static int put_into(struct s3emu *mirror, struct lab_heap *heap, struct lab_view bucket,
	struct lab_view key, const struct lab_http_response *object, struct lab_arena *arena,
	struct lab_error *err)
{
	struct sim_http_service service = s3emu_service(mirror);
	struct sim_peer peer = { .name = LAB_VIEW("mirror"), .connection = 1 };
	struct lab_http_request request = {
		.method = LAB_VIEW("PUT"), .authority = LAB_VIEW("127.0.0.1"), .body = object->body
	};
	unsigned status = 0;
	struct lab_buf target;

	lab_buf_init(&target, heap, TARGET_MAX);
	lab_buf_append_byte(&target, '/');
	lab_buf_append_percent(&target, bucket, false);
	lab_buf_append_byte(&target, '/');
	lab_buf_append_percent(&target, key, true);
	request.target = lab_arena_copy(arena, lab_buf_view(&target));
	lab_buf_done(&target);
	for (size_t i = 0; i < object->headers.count; i++) {
		const struct lab_http_header *header = &object->headers.items[i];

		if (lab_view_eq_nocase(lab_view_sub(header->name, 0, 11), LAB_VIEW("x-amz-meta-")))
			(void)lab_http_header_add(&request.headers, header->name, header->value);
	}
	service.ops->submit(service.service, &request, &peer, 0, note_status, &status);
	return status == 200 ? 0
			     : lab_fail(err, LAB_INTERNAL, "the mirror answers %u to %.*s", status,
				       LAB_VIEW_ARG(lab_view_sub(key, 0, 100)));
}

static int mirror_key(
	const struct foreign_s3 *s3, void *ctx, struct lab_view key, struct lab_error *err)
{
	struct lab_arena *arena =
		lab_arena_new(s3->env->heap, 4 * (FOREIGN_OBJECT_BYTES_MAX + PAGE_BYTES_MAX));
	struct lab_http_response object;
	int result = ask(s3, "GET", target_of(s3, key, LAB_VIEW(""), arena), arena, &object, err);

	if (result == 0)
		result = put_into(ctx, s3->env->heap, s3->url->bucket, key, &object, arena, err);
	lab_arena_free(&arena);
	return result;
}

int foreign_s3_mirror(const struct foreign_s3 *s3, struct s3emu *mirror, struct lab_error *err)
{
	return walk(s3, mirror_key, mirror, err);
}

static int delete_key(
	const struct foreign_s3 *s3, void *ctx, struct lab_view key, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(s3->env->heap, 4 * PAGE_BYTES_MAX);
	struct lab_http_response response;
	int result =
		ask(s3, "DELETE", target_of(s3, key, LAB_VIEW(""), arena), arena, &response, err);

	(void)ctx;
	lab_arena_free(&arena);
	return result;
}

int foreign_s3_clean(const struct foreign_s3 *s3, struct lab_error *err)
{
	return walk(s3, delete_key, NULL, err);
}

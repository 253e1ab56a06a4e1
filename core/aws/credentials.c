/* SPDX-License-Identifier: Apache-2.0 */
#include "core/aws/credentials.h"
#include "core/base/mark.h"

#include "core/aws/imds-document.h"

#define TOKEN_PATH "/latest/api/token"
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"
#define TOKEN_TTL_SECONDS 21600
#define TOKEN_TTL_TEXT "21600"
#define TOKEN_MAX 4096
#define RESPONSE_MAX 65536
/* AWS has new credentials at least this long before the old ones expire (HD-15), and the hosts of
 * a cluster do not all ask in the same second. */
#define REFRESH_BEFORE_SECONDS 300
#define REFRESH_JITTER_SECONDS 60
/* After a lookup that brought nothing new, how long the old credentials serve before the next. */
#define REFRESH_AGAIN_NS (30 * LAB_SEC)
/* A storage that goes on denying fresh credentials does not turn into a storm on IMDS. */
#define INVALIDATE_AGAIN_NS LAB_SEC
#define RETRY_WAIT_NS (50 * LAB_MSEC)

struct aws_credentials_source {
	struct env *env;
	struct lab_arena *arena; /* holds `current`, reset at each change */
	struct aws_credentials current;
	bool known;

	/* IMDS only */
	bool imds;
	struct lab_view auth_host, role;
	unsigned max_retries;
	uint64_t timeout_ns;
	int64_t refresh_unix;               /* wall clock; look them up again from then on */
	uint64_t not_before_ns;             /* but not before this */
	uint64_t looked_up_ns;              /* when the last lookup succeeded */
	bool is_shared;                     /* by another host, from the cache */
	uint64_t invalid_ns;                /* the storage refused them: of no use from then on */
	struct lab_buf token;               /* session of IMDSv2; empty: none */
	uint64_t token_expires_ns;          /* on the now clock: IMDS counts from when it gave it */
	uint64_t lookups;                   /* also the ordinal of the jitter */
	struct aws_credentials_cache cache; /* load NULL: none */

	/* Single flight: one fiber looks up, the others wait for its result. */
	bool looking_up;
	struct env_cond done;
	int result;
	struct lab_error error;
};

static struct aws_credentials_source *source_new(struct env *env)
{
	struct aws_credentials_source *source = lab_new(env->heap, struct aws_credentials_source);

	source->env = env;
	source->arena = lab_arena_new(env->heap, (size_t)4 * IMDS_DOCUMENT_MAX);
	lab_buf_init(&source->token, env->heap, TOKEN_MAX);
	return source;
}

struct aws_credentials_source *aws_credentials_fixed(
	struct env *env, struct lab_view access_key_id, struct lab_view secret_access_key)
{
	struct aws_credentials_source *source = source_new(env);

	source->current.access_key_id = lab_arena_copy(source->arena, access_key_id);
	source->current.secret_access_key = lab_arena_copy(source->arena, secret_access_key);
	source->known = true;
	source->invalid_ns = ENV_FOREVER;
	return source;
}

static struct lab_view heap_copy(struct lab_heap *heap, struct lab_view text)
{
	uint8_t *copy = lab_heap_alloc(heap, text.len + 1);

	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return lab_view_of(copy, text.len);
}

struct aws_credentials_source *aws_credentials_imds(struct env *env, struct lab_view auth_host,
	struct lab_view role, unsigned max_retries, uint64_t timeout_ns)
{
	struct aws_credentials_source *source = source_new(env);

	source->imds = true;
	source->auth_host = heap_copy(env->heap, auth_host);
	source->role = heap_copy(env->heap, role);
	source->max_retries = max_retries;
	source->timeout_ns = timeout_ns;
	return source;
}

void aws_credentials_set_cache(
	struct aws_credentials_source *source, const struct aws_credentials_cache *cache)
{
	lab_assert(source->imds && source->cache.load == NULL);
	source->cache = *cache;
}

void aws_credentials_free(struct aws_credentials_source **source)
{
	struct lab_heap *heap;

	if (*source == NULL)
		return;
	lab_assert(!(*source)->looking_up);
	heap = (*source)->env->heap;
	if ((*source)->cache.load != NULL)
		(*source)->cache.release((*source)->cache.ctx);
	lab_arena_free(&(*source)->arena);
	lab_buf_done(&(*source)->token);
	lab_heap_free(heap, (void *)(uintptr_t)(*source)->auth_host.ptr);
	lab_heap_free(heap, (void *)(uintptr_t)(*source)->role.ptr);
	lab_heap_free(heap, *source);
	*source = NULL;
}

/* ---- talking to IMDS ---- */

/* One lookup: what it costs is in the event. */
struct lookup {
	struct aws_credentials_source *source;
	struct lab_arena *arena;
	unsigned attempts;
	unsigned status;
	/* What another host has looked up; access_key_id.ptr NULL: nothing of use. */
	struct aws_credentials cached;
};

static bool worth_retrying(
	int result, const struct lab_http_response *response, const struct lab_error *err)
{
	if (result < 0)
		return err->code != LAB_LIMIT;
	return response->status >= 500 || response->status == 429 || response->status == 408;
}

/* Sends until there is an answer that says something, or the retries are used up. */
static int imds_exchange(struct lookup *lookup, const struct lab_http_request *request,
	struct lab_http_response *ret, struct lab_error *err)
{
	const struct aws_credentials_source *source = lookup->source;
	struct env_http_limits limits = {
		.connect_timeout_ns = source->timeout_ns,
		.response_timeout_ns = source->timeout_ns,
		.response_max_bytes = RESPONSE_MAX,
	};

	for (unsigned retry = 0;; retry++) {
		int result = env_http(source->env, request, &limits, lookup->arena, ret, NULL, err);

		lookup->attempts++;
		lookup->status = result == 0 ? ret->status : 0;
		if (!worth_retrying(result, ret, err) || retry == source->max_retries)
			return result;
		limits.fresh_connection = result < 0;
		env_sleep(source->env, RETRY_WAIT_NS);
	}
}

static int status_fail(const struct lookup *lookup, const char *what,
	const struct lab_http_response *response, struct lab_error *err)
{
	bool later = response->status >= 500 || response->status == 429 ||
		     response->status == 401 || response->status == 408;

	if (response->status == 404)
		lab_fail(err, LAB_DENIED, "IMDS: no role %.*s (404 for %s)",
			LAB_VIEW_ARG(lookup->source->role), what);
	else
		lab_fail(err, LAB_UNAVAILABLE, "IMDS: %u for %s", response->status, what);
	if (err != NULL) {
		err->status = (uint16_t)response->status;
		err->retryable = later;
	}
	return -1;
}

static bool is_token(struct lab_view text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return false;
	}
	return text.len > 0 && text.len <= TOKEN_MAX;
}

static uint64_t token_ttl_ns(const struct lab_http_response *response)
{
	uint64_t seconds;
	struct lab_view text =
		lab_http_header_get(&response->headers, "X-aws-ec2-metadata-token-ttl-seconds");

	if (text.ptr == NULL || lab_view_to_u64(lab_view_trim(text), &seconds) < 0 ||
		seconds > TOKEN_TTL_SECONDS)
		seconds = TOKEN_TTL_SECONDS;
	/* Renewed a little early, so that it does not expire on its way. */
	return (seconds - seconds / 20) * LAB_SEC;
}

/* PUT /latest/api/token, unless there is one that lives. */
static int imds_token(struct lookup *lookup, struct lab_error *err)
{
	struct aws_credentials_source *source = lookup->source;
	struct lab_http_request request = {
		.method = LAB_VIEW("PUT"),
		.authority = source->auth_host,
		.target = LAB_VIEW(TOKEN_PATH),
	};
	struct lab_http_response response;
	struct lab_view token;

	if (source->token.len > 0 && env_now(source->env) < source->token_expires_ns)
		return 0;
	lab_http_header_add(&request.headers, LAB_VIEW("X-aws-ec2-metadata-token-ttl-seconds"),
		LAB_VIEW(TOKEN_TTL_TEXT));
	if (imds_exchange(lookup, &request, &response, err) < 0)
		return lab_error_wrap(err, "IMDS: PUT %s", TOKEN_PATH);
	/* No step down to version 1, whatever the answer is (cql-imds 6.6). */
	if (response.status != 200)
		return status_fail(lookup, "PUT " TOKEN_PATH, &response, err);
	token = lab_view_trim(response.body);
	if (!is_token(token))
		return lab_fail(err, LAB_UNAVAILABLE, "IMDS: what it gave is not a token");
	lab_buf_reset(&source->token);
	lab_buf_append_view(&source->token, token);
	source->token_expires_ns = env_now(source->env) + token_ttl_ns(&response);
	return 0;
}

static int imds_role_get(
	struct lookup *lookup, struct lab_http_response *ret, struct lab_error *err)
{
	struct aws_credentials_source *source = lookup->source;
	struct lab_http_request request = {
		.method = LAB_VIEW("GET"),
		.authority = source->auth_host,
	};
	struct lab_buf target;
	int result;

	lab_buf_init(&target, source->env->heap, 1024);
	lab_buf_append_cstr(&target, ROLE_PATH);
	lab_buf_append_percent(&target, source->role, false);
	request.target = lab_arena_copy(lookup->arena, lab_buf_view(&target));
	lab_buf_done(&target);
	lab_http_header_add(&request.headers, LAB_VIEW("X-aws-ec2-metadata-token"),
		lab_arena_copy(lookup->arena, lab_buf_view(&source->token)));
	result = imds_exchange(lookup, &request, ret, err);
	return result < 0 ? lab_error_wrap(err, "IMDS: GET role document") : 0;
}

/* The document, with one new session if the old one is no longer known there. */
static int imds_role_document(struct lookup *lookup, struct lab_view *ret, struct lab_error *err)
{
	struct lab_http_response response;

	for (unsigned session = 0; session < 2; session++) {
		if (imds_token(lookup, err) < 0 || imds_role_get(lookup, &response, err) < 0)
			return -1;
		if (response.status != 401)
			break;
		lab_buf_reset(&lookup->source->token);
	}
	if (response.status != 200)
		return status_fail(lookup, "the role document", &response, err);
	*ret = response.body;
	return 0;
}

/* ---- keeping them fresh ---- */

static void keep_credentials(
	struct aws_credentials_source *source, const struct aws_credentials *found)
{
	uint64_t jitter =
		lab_pick(env_draw(source->env, "aws.credentials.refresh", source->lookups),
			REFRESH_JITTER_SECONDS);
	bool changed =
		!source->known || !lab_view_eq(source->current.access_key_id, found->access_key_id);

	if (changed && source->known)
		LAB_MARK(credentials_renewed);
	lab_arena_reset(source->arena);
	source->current.access_key_id = lab_arena_copy(source->arena, found->access_key_id);
	source->current.secret_access_key = lab_arena_copy(source->arena, found->secret_access_key);
	source->current.token = found->token.ptr == NULL
					? found->token
					: lab_arena_copy(source->arena, found->token);
	source->current.expires_unix = found->expires_unix;
	source->known = true;
	source->is_shared = false;
	source->invalid_ns = ENV_FOREVER;
	source->refresh_unix = found->expires_unix - REFRESH_BEFORE_SECONDS + (int64_t)jitter;
	source->looked_up_ns = env_now(source->env);
	source->not_before_ns = changed ? 0 : source->looked_up_ns + REFRESH_AGAIN_NS;
}

static bool is_invalid(const struct aws_credentials_source *source)
{
	return env_now(source->env) >= source->invalid_ns;
}

static bool is_alive(const struct aws_credentials_source *source)
{
	return source->known && !is_invalid(source) &&
	       (source->current.expires_unix == 0 ||
		       env_wall_seconds(source->env) < source->current.expires_unix);
}

static bool is_fresh(const struct aws_credentials_source *source)
{
	if (!is_alive(source))
		return false;
	return !source->imds || env_wall_seconds(source->env) < source->refresh_unix ||
	       env_now(source->env) < source->not_before_ns;
}

/* ---- what other hosts know ---- */

static void load_cached(struct lookup *lookup)
{
	struct aws_credentials_source *source = lookup->source;
	struct aws_credentials found;
	struct lab_view body;
	struct lab_error ignored;

	if (source->cache.load == NULL ||
		source->cache.load(source->cache.ctx, lookup->arena, &body) <= 0 ||
		imds_document_parse(body, lookup->arena, &found, &ignored) < 0)
		return;
	/* What the storage refused here it will refuse again. */
	if (is_invalid(source) && lab_view_eq(found.access_key_id, source->current.access_key_id))
		return;
	lookup->cached = found;
}

static bool lives_for(const struct lookup *lookup, int64_t seconds)
{
	return lookup->cached.access_key_id.ptr != NULL &&
	       lookup->cached.expires_unix - seconds > env_wall_seconds(lookup->source->env);
}

static void keep_cached(struct lookup *lookup)
{
	keep_credentials(lookup->source, &lookup->cached);
	lookup->source->is_shared = true;
}

/* While IMDS fails: better than nothing. */
static bool make_do(struct lookup *lookup)
{
	struct aws_credentials_source *source = lookup->source;

	if (is_alive(source) || !lives_for(lookup, 0))
		return false;
	keep_cached(lookup);
	source->not_before_ns = env_now(source->env) + REFRESH_AGAIN_NS;
	return true;
}

static int ask_imds(struct lookup *lookup, struct lab_error *err)
{
	struct aws_credentials_source *source = lookup->source;
	struct aws_credentials found;
	struct lab_view body;

	if (imds_role_document(lookup, &body, err) < 0)
		return -1;
	if (imds_document_parse(body, lookup->arena, &found, err) < 0) {
		if (err->code == LAB_CORRUPT) {
			err->code = LAB_UNAVAILABLE;
			err->retryable = true;
		}
		return -1;
	}
	if (found.expires_unix <= env_wall_seconds(source->env)) {
		lab_fail(err, LAB_UNAVAILABLE, "IMDS: the credentials have expired already");
		err->retryable = true;
		return -1;
	}
	keep_credentials(source, &found);
	if (source->cache.load != NULL)
		source->cache.store(source->cache.ctx, body);
	return 0;
}

static int look_up(struct lookup *lookup, struct lab_error *err)
{
	load_cached(lookup);
	if (lives_for(lookup, REFRESH_BEFORE_SECONDS)) {
		LAB_MARK(credentials_shared);
		keep_cached(lookup);
		return 0;
	}
	return ask_imds(lookup, err);
}

/* No key, secret or token is in the event. */
static void lookup_report(
	const struct lookup *lookup, uint64_t started_ns, int result, const struct lab_error *err)
{
	struct env *env = lookup->source->env;
	const char *error = result < 0 ? err->message : "";

	ENV_EVENT(env, LAB_EV_fs_auth_request_finished,
		LAB_F_TEXT("auth_host", lookup->source->auth_host),
		LAB_F_TEXT("auth_role", lookup->source->role),
		LAB_F_U64("status_code", lookup->status), LAB_F_U64("attempts", lookup->attempts),
		LAB_F_U64("duration", (env_now(env) - started_ns) / LAB_USEC),
		LAB_F_CODE("code", result < 0 ? err->code : LAB_OK), LAB_F_CSTR("error", error));
}

/* Leaves the outcome in source->result and source->error, for all who wait. */
static void look_up_shared(struct aws_credentials_source *source)
{
	uint64_t started_ns = env_now(source->env);
	struct lookup lookup = { .source = source };

	source->looking_up = true;
	source->lookups++;
	lookup.arena = lab_arena_new(source->env->heap, (size_t)32 * RESPONSE_MAX);
	source->error = (struct lab_error){ .code = LAB_OK };
	source->result = look_up(&lookup, &source->error);
	if (lookup.attempts > 0)
		lookup_report(&lookup, started_ns, source->result, &source->error);
	if (source->result < 0 && make_do(&lookup))
		source->result = 0;
	lab_arena_free(&lookup.arena);
	if (source->result < 0) {
		source->not_before_ns = env_now(source->env) + REFRESH_AGAIN_NS;
		/* IMDS is not reached: that is its own kind of failure, whatever the wire said. */
		if (source->error.code != LAB_DENIED)
			source->error.code = LAB_UNAVAILABLE;
	}
	source->looking_up = false;
	env_cond_broadcast(source->env, &source->done);
}

int aws_credentials_get(struct aws_credentials_source *source, struct lab_arena *arena,
	struct aws_credentials *ret, struct lab_error *err)
{
	if (!is_fresh(source)) {
		if (source->looking_up) {
			while (source->looking_up)
				env_cond_wait(source->env, &source->done, ENV_FOREVER);
		} else {
			look_up_shared(source);
		}
		/* While IMDS fails, the old ones serve as long as they live. */
		if (source->result < 0 && is_alive(source))
			LAB_MARK(credentials_outlived);
		if (source->result < 0 && !is_alive(source)) {
			LAB_MARK(credentials_missing);
			if (err != NULL)
				*err = source->error;
			return -1;
		}
	}
	ret->access_key_id = lab_arena_copy(arena, source->current.access_key_id);
	ret->secret_access_key = lab_arena_copy(arena, source->current.secret_access_key);
	ret->token = source->current.token.ptr == NULL
			     ? source->current.token
			     : lab_arena_copy(arena, source->current.token);
	ret->expires_unix = source->current.expires_unix;
	return 0;
}

void aws_credentials_invalidate(
	struct aws_credentials_source *source, struct lab_view access_key_id)
{
	uint64_t again_ns = source->is_shared ? 0 : source->looked_up_ns + INVALIDATE_AGAIN_NS;

	/* Another fiber may have replaced them already. */
	if (!source->imds || !source->known ||
		!lab_view_eq(source->current.access_key_id, access_key_id))
		return;
	/* What came from IMDS a moment ago will not be better for asking again at once. */
	source->invalid_ns = LAB_MIN(source->invalid_ns, LAB_MAX(env_now(source->env), again_ns));
}

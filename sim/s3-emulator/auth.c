/* SPDX-License-Identifier: Apache-2.0
 *
 * auth.c - who is asking: which of the four ways of signing a request uses, the registry of keys,
 * and the checks that both signatures share (s3 1.7, 1.8).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

int64_t s3emu_received_unix(const struct s3emu_exchange *x)
{
	const struct s3emu_options *options = &x->s3->options;
	int64_t us = (int64_t)(options->epoch_unix_us + x->received_ns / 1000) + options->skew_us;

	return us / 1000000;
}

struct s3emu_credentials *s3emu_auth_credentials(
	struct s3emu_exchange *x, struct lab_view access_key_id, struct lab_view token)
{
	struct s3emu_credentials *known = lab_map_get(x->s3->credentials, access_key_id);

	/* AWS does not know a temporary key without its token. */
	if (known == NULL || (known->token.ptr != NULL && token.ptr == NULL)) {
		(void)s3emu_fail(x, S3EMU_INVALID_ACCESS_KEY_ID);
		s3emu_detail(x, "AWSAccessKeyId", access_key_id);
		return NULL;
	}
	if (token.ptr != NULL &&
		(known->token.ptr == NULL || !lab_view_eq_secret(known->token, token))) {
		(void)s3emu_fail(x, S3EMU_INVALID_TOKEN);
		return NULL;
	}
	if (known->expires_unix != 0 && s3emu_received_unix(x) >= known->expires_unix) {
		(void)s3emu_fail(x, S3EMU_EXPIRED_TOKEN);
		return NULL;
	}
	x->account = known->account;
	return known;
}

int s3emu_auth_skew(struct s3emu_exchange *x, int64_t request_unix, struct lab_view request_time)
{
	int64_t now = s3emu_received_unix(x);
	char server_time[LAB_DATE_TEXT_MAX];

	if (request_unix >= now - S3EMU_SKEW_SECONDS && request_unix <= now + S3EMU_SKEW_SECONDS)
		return 0;
	lab_date_iso_extended(now * 1000, server_time);
	(void)s3emu_fail(x, S3EMU_REQUEST_TIME_TOO_SKEWED);
	s3emu_detail(x, "RequestTime", request_time);
	s3emu_detail(x, "ServerTime", lab_arena_copy(x->arena, lab_view_cstr(server_time)));
	s3emu_detail(x, "MaxAllowedSkewMilliseconds", LAB_VIEW("900000"));
	return -1;
}

/* "47 45 54 ...", as AWS shows what it signed. */
static struct lab_view spaced_hex(struct lab_arena *arena, struct lab_view bytes)
{
	uint8_t *text;
	size_t i;

	if (bytes.len == 0)
		return bytes;
	text = lab_arena_alloc(arena, bytes.len * 3);
	for (i = 0; i < bytes.len; i++) {
		text[3 * i] = (uint8_t) "0123456789abcdef"[bytes.ptr[i] >> 4];
		text[3 * i + 1] = (uint8_t) "0123456789abcdef"[bytes.ptr[i] & 15];
		text[3 * i + 2] = ' ';
	}
	return lab_view_of(text, bytes.len * 3 - 1);
}

int s3emu_auth_mismatch(struct s3emu_exchange *x, struct lab_view access_key_id,
	struct lab_view provided, struct lab_view string_to_sign, struct lab_view canonical)
{
	struct lab_view to_sign = lab_arena_copy(x->arena, string_to_sign);

	(void)s3emu_fail(x, S3EMU_SIGNATURE_DOES_NOT_MATCH);
	s3emu_detail(x, "AWSAccessKeyId", access_key_id);
	s3emu_detail(x, "StringToSign", to_sign);
	s3emu_detail(x, "SignatureProvided", provided);
	s3emu_detail(x, "StringToSignBytes", spaced_hex(x->arena, to_sign));
	if (canonical.len > 0) {
		canonical = lab_arena_copy(x->arena, canonical);
		s3emu_detail(x, "CanonicalRequest", canonical);
		s3emu_detail(x, "CanonicalRequestBytes", spaced_hex(x->arena, canonical));
	}
	return -1;
}

bool s3emu_is_amz(struct lab_view name)
{
	return name.len > 6 && lab_view_eq_nocase(lab_view_sub(name, 0, 6), LAB_VIEW("x-amz-"));
}

static bool is_about_signature(struct lab_view name)
{
	static const char *const own[] = { "x-amz-algorithm", "x-amz-credential", "x-amz-date",
		"x-amz-expires", "x-amz-signature", "x-amz-signedheaders" };
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(own); i++) {
		if (lab_view_eq_nocase(name, lab_view_cstr(own[i])))
			return true;
	}
	return false;
}

static bool is_header(const struct lab_http_headers *headers, struct lab_view name)
{
	size_t i;

	for (i = 0; i < headers->count; i++) {
		if (lab_view_eq_nocase(headers->items[i].name, name))
			return true;
	}
	return false;
}

int s3emu_auth_hoist(struct s3emu_exchange *x)
{
	size_t i;

	for (i = 0; i < x->param_count; i++) {
		struct lab_view name = x->params[i].name;

		if (!s3emu_is_amz(name) || is_about_signature(name) ||
			is_header(&x->request->headers, name))
			continue;
		if (x->request != &x->copy) {
			x->copy = *x->request;
			x->request = &x->copy;
		}
		if (lab_http_header_add(&x->copy.headers, name, x->params[i].value) < 0)
			return s3emu_fail(x, S3EMU_REQUEST_HEADERS_TOO_LARGE);
	}
	return 0;
}

static bool bucket_refuses_v2(struct s3emu_exchange *x)
{
	struct s3emu_bucket *bucket;

	if (x->bucket_name.ptr == NULL)
		return false;
	bucket = lab_tree_get(x->s3->buckets, x->bucket_name);
	return bucket != NULL && bucket->refuse_sigv2;
}

static int mechanism_not_supported(struct s3emu_exchange *x)
{
	return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
		"The authorization mechanism you have provided is not supported. Please use "
		"AWS4-HMAC-SHA256.");
}

/* Sets x->auth, or fails if nothing, or more than one thing, identifies the client. */
static int choose(struct s3emu_exchange *x, struct lab_view authorization)
{
	bool v4_query = x->param_count > 0 && (s3emu_param(x, "X-Amz-Algorithm") != NULL ||
						      s3emu_param(x, "X-Amz-Signature") != NULL ||
						      s3emu_param(x, "X-Amz-Credential") != NULL);
	bool v2_query = x->param_count > 0 && (s3emu_param(x, "AWSAccessKeyId") != NULL ||
						      s3emu_param(x, "Signature") != NULL);
	bool header = lab_view_trim(authorization).len > 0;
	bool v4_header = lab_view_starts_with(authorization, LAB_VIEW("AWS4-"));

	if (v4_query + v2_query + header > 1) {
		return s3emu_fail_argument(x, "Authorization", authorization,
			"Only one auth mechanism allowed; only the X-Amz-Algorithm query "
			"parameter, "
			"Signature query string parameter or the Authorization header should be "
			"specified");
	}
	if (v4_query)
		x->auth = S3EMU_AUTH_V4_QUERY;
	else if (v2_query)
		x->auth = S3EMU_AUTH_V2_QUERY;
	else if (!header)
		return s3emu_fail(x, S3EMU_ACCESS_DENIED);
	else if (v4_header && !lab_view_starts_with(authorization, LAB_VIEW("AWS4-HMAC-SHA256")))
		return mechanism_not_supported(x);
	else if (v4_header)
		x->auth = S3EMU_AUTH_V4;
	else if (lab_view_starts_with(authorization, LAB_VIEW("AWS ")))
		x->auth = S3EMU_AUTH_V2;
	else
		return s3emu_fail_argument(
			x, "Authorization", authorization, "Unsupported Authorization Type");
	return 0;
}

int s3emu_authenticate(struct s3emu_exchange *x)
{
	struct lab_view authorization;

	x->auth = S3EMU_AUTH_NONE;
	if (!x->s3->options.verify_signatures)
		return 0;
	authorization = s3emu_request_header(x, "Authorization");
	if (choose(x, authorization) < 0)
		return -1;
	if (x->auth == S3EMU_AUTH_V4 || x->auth == S3EMU_AUTH_V4_QUERY)
		return s3emu_auth_v4(x, authorization);
	if (bucket_refuses_v2(x))
		return mechanism_not_supported(x);
	return s3emu_auth_v2(x, authorization);
}

/* ---- the registry ---- */

static void credentials_release(struct s3emu *s3, struct s3emu_credentials *credentials)
{
	lab_heap_free(s3->heap, (void *)(uintptr_t)credentials->account.ptr);
	lab_heap_free(s3->heap, (void *)(uintptr_t)credentials->secret.ptr);
	lab_heap_free(s3->heap, (void *)(uintptr_t)credentials->token.ptr);
}

static struct lab_view own(struct s3emu *s3, struct lab_view text)
{
	uint8_t *copy;

	if (text.ptr == NULL)
		return text;
	copy = lab_heap_alloc(s3->heap, text.len);
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	return lab_view_of(copy, text.len);
}

/* Makes room by forgetting the first key that expired more than an hour ago. */
static bool forget_expired(struct s3emu *s3, int64_t now_unix)
{
	struct lab_map_iter iter = lab_map_iterate(s3->credentials);
	struct lab_view id;
	void *value;

	while (lab_map_next(&iter, &id, &value)) {
		struct s3emu_credentials *credentials = value;

		if (credentials->expires_unix == 0 || credentials->expires_unix + 3600 > now_unix)
			continue;
		s3emu_credentials_remove(s3, id);
		return true;
	}
	return false;
}

int s3emu_credentials_add(
	struct s3emu *s3, const struct sim_credentials *credentials, struct lab_error *err)
{
	struct s3emu_credentials *known;
	void **slot;

	lab_check(s3, S3EMU_MAGIC);
	if (credentials->access_key_id.len == 0 || credentials->access_key_id.len > 128 ||
		credentials->secret_access_key.len == 0 ||
		credentials->secret_access_key.len > S3EMU_SECRET_MAX)
		return lab_fail(err, LAB_INVALID,
			"S3 credentials: a key of up to 128 bytes and a secret of up to %d are "
			"needed",
			S3EMU_SECRET_MAX);
	known = lab_map_get(s3->credentials, credentials->access_key_id);
	if (known == NULL && lab_map_count(s3->credentials) >= s3->options.limits.credentials_max &&
		!forget_expired(s3, s3->date_second))
		return lab_fail(err, LAB_LIMIT, "S3 credentials: registry is full");
	slot = lab_map_slot(s3->credentials, credentials->access_key_id);
	lab_assert(slot != NULL);
	if (known == NULL)
		known = lab_new(s3->heap, struct s3emu_credentials);
	else
		credentials_release(s3, known);
	memset(known, 0, sizeof(*known));
	known->account = own(s3, credentials->account);
	known->secret = own(s3, credentials->secret_access_key);
	known->token = own(s3, credentials->token);
	known->expires_unix = credentials->expires_unix;
	*slot = known;
	return 0;
}

void s3emu_credentials_sink(void *s3, const struct sim_credentials *credentials)
{
	struct lab_error err;

	(void)s3emu_credentials_add(s3, credentials, &err);
}

void s3emu_credentials_remove(struct s3emu *s3, struct lab_view access_key_id)
{
	struct s3emu_credentials *known;

	lab_check(s3, S3EMU_MAGIC);
	known = lab_map_remove(s3->credentials, access_key_id);
	if (known == NULL)
		return;
	credentials_release(s3, known);
	lab_heap_free(s3->heap, known);
}

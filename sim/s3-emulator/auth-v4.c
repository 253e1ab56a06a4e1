/* SPDX-License-Identifier: Apache-2.0
 *
 * auth-v4.c - verifies Signature Version 4, in the header and in the query (s3 1.8). The arithmetic
 * is written here again, apart from the client's signer: a mistake in one of them shows.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define SIGNED_HEADERS_MAX LAB_HTTP_HEADERS_MAX
#define EXPIRES_MAX 604800

struct v4 {
	struct lab_view credential; /* as sent */
	struct lab_view id, date, region, service, terminal, scope;
	struct lab_view signed_headers, signature;
	struct lab_view time; /* X-Amz-Date as it stands in the string to sign */
	struct lab_view payload;
	struct lab_view token;
	int64_t unix_time;
	struct lab_view names[SIGNED_HEADERS_MAX];
	size_t name_count;
};

/* ---- taking the Authorization header apart ---- */

static int malformed(struct s3emu_exchange *x, const char *what)
{
	char *message;

	if (x->auth == S3EMU_AUTH_V4_QUERY) {
		message = lab_arena_printf(
			x->arena, "Error parsing the X-Amz-Credential parameter; %s", what);
		return s3emu_fail_text(x, S3EMU_AUTHORIZATION_QUERY_PARAMETERS, message);
	}
	message = lab_arena_printf(x->arena, "The authorization header is malformed; %s", what);
	return s3emu_fail_text(x, S3EMU_AUTHORIZATION_HEADER_MALFORMED, message);
}

/* "AKID/20130524/us-east-1/s3/aws4_request"; the id itself may contain '/'. */
static int split_credential(struct s3emu_exchange *x, struct v4 *v4)
{
	struct lab_view *parts[] = { &v4->terminal, &v4->service, &v4->region, &v4->date };
	struct lab_view rest = v4->credential;
	size_t i, end;

	for (i = 0; i < LAB_COUNT_OF(parts); i++) {
		for (end = rest.len; end > 0 && rest.ptr[end - 1] != '/'; end--)
			;
		if (end == 0) {
			return malformed(x,
				"the Credential is mal-formed; expecting "
				"\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
		}
		*parts[i] = lab_view_skip(rest, end);
		rest.len = end - 1;
	}
	v4->id = rest;
	v4->scope = lab_view_skip(v4->credential, rest.len + 1);
	return 0;
}

static int wrong_region(struct s3emu_exchange *x, const struct v4 *v4)
{
	struct lab_view region = x->s3->options.region;
	char *text = lab_arena_printf(x->arena, "the region '%.*s' is wrong; expecting '%.*s'",
		LAB_VIEW_ARG(v4->region), LAB_VIEW_ARG(region));

	(void)malformed(x, text);
	s3emu_detail(x, "Region", region);
	return -1;
}

static int check_scope(struct s3emu_exchange *x, const struct v4 *v4)
{
	char *text;

	if (!lab_view_eq_cstr(v4->terminal, "aws4_request")) {
		text = lab_arena_printf(x->arena,
			"incorrect terminal \"%.*s\". This endpoint uses \"aws4_request\".",
			LAB_VIEW_ARG(v4->terminal));
		return malformed(x, text);
	}
	if (!lab_view_eq_cstr(v4->service, "s3")) {
		text = lab_arena_printf(x->arena,
			"incorrect service \"%.*s\". This endpoint belongs to \"s3\".",
			LAB_VIEW_ARG(v4->service));
		return malformed(x, text);
	}
	if (!lab_view_eq(v4->region, x->s3->options.region))
		return wrong_region(x, v4);
	if (!lab_view_eq(v4->date, lab_view_sub(v4->time, 0, 8))) {
		text = lab_arena_printf(x->arena,
			"Invalid credential date \"%.*s\". This date is not the same as "
			"X-Amz-Date: "
			"\"%.*s\".",
			LAB_VIEW_ARG(v4->date), LAB_VIEW_ARG(lab_view_sub(v4->time, 0, 8)));
		return malformed(x, text);
	}
	return 0;
}

/* Names must be in lower case, ascending, each once. */
static int split_signed_headers(struct v4 *v4)
{
	struct lab_view rest = v4->signed_headers, name;
	size_t i;

	while (lab_view_split(&rest, ';', &name)) {
		if (v4->name_count == SIGNED_HEADERS_MAX || name.len == 0)
			return -1;
		for (i = 0; i < name.len; i++) {
			if (name.ptr[i] >= 'A' && name.ptr[i] <= 'Z')
				return -1;
		}
		if (v4->name_count > 0 && lab_view_cmp(v4->names[v4->name_count - 1], name) >= 0)
			return -1;
		v4->names[v4->name_count++] = name;
	}
	return 0;
}

static bool is_signed(const struct v4 *v4, struct lab_view name)
{
	size_t i;

	for (i = 0; i < v4->name_count; i++) {
		if (lab_view_eq_nocase(v4->names[i], name))
			return true;
	}
	return false;
}

static bool must_be_signed(const struct s3emu_exchange *x, struct lab_view name)
{
	if (name.len > 6 && lab_view_eq_nocase(lab_view_sub(name, 0, 6), LAB_VIEW("x-amz-")))
		return true;
	/* Presigned URLs are used by those who cannot know the header (browsers). */
	return x->auth == S3EMU_AUTH_V4 && lab_view_eq_nocase(name, LAB_VIEW("content-type"));
}

static int check_all_signed(struct s3emu_exchange *x, const struct v4 *v4)
{
	const struct lab_http_headers *headers = &x->request->headers;
	struct lab_view missing = lab_view_of(NULL, 0);
	size_t i;

	if (!is_signed(v4, LAB_VIEW("host")))
		missing = LAB_VIEW("host");
	for (i = 0; i < headers->count && missing.ptr == NULL; i++) {
		struct lab_view name = headers->items[i].name;

		if (must_be_signed(x, name) && !is_signed(v4, name))
			missing = name;
	}
	if (missing.ptr == NULL)
		return 0;
	(void)s3emu_fail_text(x, S3EMU_ACCESS_DENIED,
		"There were headers present in the request which were not signed");
	s3emu_detail(x, "HeadersNotSigned", missing);
	return -1;
}

/* ---- the canonical request ---- */

static void append_trimmed(struct lab_buf *buf, struct lab_view value)
{
	size_t i;

	value = lab_view_trim(value);
	for (i = 0; i < value.len; i++) {
		/* Runs of spaces count as one. */
		if (value.ptr[i] == ' ' && value.ptr[i - 1] == ' ')
			continue;
		lab_buf_append_byte(buf, value.ptr[i]);
	}
}

/* -1: a header that was signed is not there. */
static int append_header(struct s3emu_exchange *x, struct lab_view name)
{
	const struct lab_http_headers *headers = &x->request->headers;
	size_t i, found = 0;

	lab_buf_append_view(&x->scratch, name);
	lab_buf_append_byte(&x->scratch, ':');
	if (lab_view_eq_cstr(name, "host")) {
		append_trimmed(&x->scratch, x->request->authority);
		found = 1;
	}
	for (i = 0; i < headers->count; i++) {
		if (!lab_view_eq_nocase(headers->items[i].name, name))
			continue;
		if (found++ > 0)
			lab_buf_append_byte(&x->scratch, ',');
		append_trimmed(&x->scratch, headers->items[i].value);
	}
	if (found == 0 && lab_view_eq_cstr(name, "content-length")) {
		lab_buf_printf(&x->scratch, "%zu", x->request->body.len);
		found = 1;
	}
	lab_buf_append_byte(&x->scratch, '\n');
	return found > 0 ? 0 : -1;
}

static struct lab_view encode(struct s3emu_exchange *x, struct lab_view text)
{
	size_t i;
	struct lab_buf buf;
	struct lab_view encoded;

	for (i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			     (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';

		if (!plain)
			break;
	}
	if (i == text.len)
		return text;
	lab_buf_init(&buf, x->s3->heap, 3 * S3EMU_TARGET_MAX);
	lab_buf_append_percent(&buf, text, false);
	encoded = lab_arena_copy(x->arena, lab_buf_view(&buf));
	lab_buf_done(&buf);
	return encoded;
}

static void append_query(struct s3emu_exchange *x)
{
	struct lab_http_header sorted[S3EMU_PARAMS_MAX];
	size_t i, j, count = 0;

	for (i = 0; i < x->param_count; i++) {
		struct lab_http_header param = { encode(x, x->params[i].name),
			encode(x, x->params[i].value) };

		if (x->auth == S3EMU_AUTH_V4_QUERY &&
			lab_view_eq_cstr(x->params[i].name, "X-Amz-Signature"))
			continue;
		for (j = count; j > 0 && lab_view_cmp(sorted[j - 1].name, param.name) > 0; j--)
			sorted[j] = sorted[j - 1];
		/* Of a repeated name only the first counts (s3 1.8). */
		if (j > 0 && lab_view_eq(sorted[j - 1].name, param.name)) {
			memmove(&sorted[j], &sorted[j + 1], (count - j) * sizeof(sorted[0]));
			continue;
		}
		sorted[j] = param;
		count++;
	}
	for (i = 0; i < count; i++) {
		if (i > 0)
			lab_buf_append_byte(&x->scratch, '&');
		lab_buf_append_view(&x->scratch, sorted[i].name);
		lab_buf_append_byte(&x->scratch, '=');
		lab_buf_append_view(&x->scratch, sorted[i].value);
	}
}

/* Into x->scratch. -1: a signed header is missing. */
static int canonical_request(struct s3emu_exchange *x, const struct v4 *v4)
{
	struct lab_view path;
	size_t i;

	lab_buf_reset(&x->scratch);
	lab_buf_append_view(&x->scratch, x->request->method);
	lab_buf_append_byte(&x->scratch, '\n');
	/* It decoded once before, when the key was taken from it. */
	if (s3emu_unpercent(x->arena, x->raw_path, false, &path) < 0)
		return -1;
	lab_buf_append_percent(&x->scratch, path, true);
	lab_buf_append_byte(&x->scratch, '\n');
	append_query(x);
	lab_buf_append_byte(&x->scratch, '\n');
	for (i = 0; i < v4->name_count; i++) {
		if (append_header(x, v4->names[i]) < 0)
			return -1;
	}
	lab_buf_append_byte(&x->scratch, '\n');
	lab_buf_append_view(&x->scratch, v4->signed_headers);
	lab_buf_append_byte(&x->scratch, '\n');
	lab_buf_append_view(&x->scratch, v4->payload);
	return x->scratch.overflow ? -1 : 0;
}

/* ---- the signature ---- */

static const uint8_t *signing_key(
	struct s3emu_exchange *x, struct s3emu_credentials *credentials, struct lab_view date)
{
	uint8_t *key = credentials->signing_key;
	struct lab_view derived = lab_view_of(key, 32);
	char *secret;

	if (date.len == 8 && memcmp(credentials->scope_date, date.ptr, 8) == 0)
		return key;
	secret = lab_arena_printf(x->arena, "AWS4%.*s", LAB_VIEW_ARG(credentials->secret));
	lab_hmac(LAB_SHA256, lab_view_cstr(secret), date, key);
	lab_hmac(LAB_SHA256, derived, x->s3->options.region, key);
	lab_hmac(LAB_SHA256, derived, LAB_VIEW("s3"), key);
	lab_hmac(LAB_SHA256, derived, LAB_VIEW("aws4_request"), key);
	memcpy(credentials->scope_date, date.ptr, 8);
	return key;
}

static int verify(
	struct s3emu_exchange *x, const struct v4 *v4, struct s3emu_credentials *credentials)
{
	uint8_t digest[LAB_DIGEST_MAX];
	char hex[2 * LAB_DIGEST_MAX + 1];
	const uint8_t *key;
	size_t canonical_len;
	struct lab_view canonical, to_sign;

	if (canonical_request(x, v4) < 0)
		return s3emu_fail(x, S3EMU_SIGNATURE_DOES_NOT_MATCH);
	canonical_len = x->scratch.len;
	lab_digest(LAB_SHA256, lab_buf_view(&x->scratch), digest);
	lab_hex(digest, 32, hex);
	lab_buf_append_cstr(&x->scratch, ALGORITHM "\n");
	lab_buf_append_view(&x->scratch, v4->time);
	lab_buf_append_byte(&x->scratch, '\n');
	lab_buf_append_view(&x->scratch, v4->scope);
	lab_buf_append_byte(&x->scratch, '\n');
	lab_buf_append_cstr(&x->scratch, hex);
	if (x->scratch.overflow)
		return s3emu_fail(x, S3EMU_REQUEST_HEADERS_TOO_LARGE);
	canonical = lab_view_sub(lab_buf_view(&x->scratch), 0, canonical_len);
	to_sign = lab_view_skip(lab_buf_view(&x->scratch), canonical_len);
	key = signing_key(x, credentials, v4->date);
	lab_hmac(LAB_SHA256, lab_view_of(key, 32), to_sign, digest);
	lab_hex(digest, 32, hex);
	if (!lab_view_eq_secret(lab_view_cstr(hex), v4->signature))
		return s3emu_auth_mismatch(x, v4->id, v4->signature, to_sign, canonical);
	x->chain = (struct s3emu_chain){ key, v4->id, v4->time, v4->scope, v4->signature };
	return 0;
}

/* ---- in the header ---- */

/* "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=..." */
static int parse_authorization(struct v4 *v4, struct lab_view authorization)
{
	struct lab_view rest, part;

	if (!lab_view_starts_with(authorization, LAB_VIEW(ALGORITHM " ")))
		return -1;
	rest = lab_view_skip(authorization, sizeof(ALGORITHM));
	while (lab_view_split(&rest, ',', &part)) {
		struct lab_view *field;
		size_t equals;

		part = lab_view_trim(part);
		equals = lab_view_find_byte(part, '=');
		if (equals == SIZE_MAX)
			return -1;
		if (lab_view_starts_with(part, LAB_VIEW("Credential=")))
			field = &v4->credential;
		else if (lab_view_starts_with(part, LAB_VIEW("SignedHeaders=")))
			field = &v4->signed_headers;
		else if (lab_view_starts_with(part, LAB_VIEW("Signature=")))
			field = &v4->signature;
		else
			return -1;
		if (field->ptr != NULL)
			return -1;
		*field = lab_view_skip(part, equals + 1);
	}
	return v4->credential.len > 0 && v4->signed_headers.len > 0 &&
			       s3emu_is_hex_digest(v4->signature)
		       ? 0
		       : -1;
}

/* x-amz-date in ISO form or Date in HTTP form; v4->time is its ISO form. */
static int request_time(struct s3emu_exchange *x, struct v4 *v4)
{
	struct lab_view amz_date = lab_view_trim(s3emu_request_header(x, "x-amz-date"));
	struct lab_view date = lab_view_trim(s3emu_request_header(x, "Date"));
	char iso[LAB_DATE_TEXT_MAX];

	if (amz_date.ptr != NULL && amz_date.len == 16 &&
		lab_date_parse_iso(amz_date, &v4->unix_time) == 0) {
		v4->time = amz_date;
		return 0;
	}
	if (amz_date.ptr == NULL && (lab_date_parse_http(date, &v4->unix_time) == 0 ||
					    lab_date_parse_iso(date, &v4->unix_time) == 0)) {
		lab_date_iso_basic(v4->unix_time, iso);
		v4->time = lab_arena_copy(x->arena, lab_view_cstr(iso));
		return 0;
	}
	return s3emu_fail_text(x, S3EMU_ACCESS_DENIED,
		"AWS authentication requires a valid Date or x-amz-date header");
}

static int from_header(struct s3emu_exchange *x, struct v4 *v4, struct lab_view authorization)
{
	struct s3emu_credentials *credentials;

	if (parse_authorization(v4, authorization) < 0) {
		return malformed(x,
			"the authorization header requires three components: Credential, "
			"SignedHeaders, and Signature.");
	}
	if (request_time(x, v4) < 0 || split_credential(x, v4) < 0 || check_scope(x, v4) < 0)
		return -1;
	v4->payload = lab_view_trim(s3emu_request_header(x, "x-amz-content-sha256"));
	if (v4->payload.ptr == NULL) {
		return s3emu_fail_text(x, S3EMU_INVALID_REQUEST,
			"Missing required header for this request: x-amz-content-sha256");
	}
	if (s3emu_payload_form_check(x, v4->payload) < 0)
		return -1;
	v4->token = s3emu_request_header(x, "x-amz-security-token");
	credentials = s3emu_auth_credentials(x, v4->id, v4->token);
	if (credentials == NULL || s3emu_auth_skew(x, v4->unix_time, v4->time) < 0)
		return -1;
	if (split_signed_headers(v4) < 0)
		return s3emu_fail(x, S3EMU_SIGNATURE_DOES_NOT_MATCH);
	if (check_all_signed(x, v4) < 0)
		return -1;
	return verify(x, v4, credentials);
}

/* ---- in the query ---- */

static int bad_query(struct s3emu_exchange *x, const char *message)
{
	return s3emu_fail_text(x, S3EMU_AUTHORIZATION_QUERY_PARAMETERS, message);
}

static struct lab_view param_value(const struct s3emu_exchange *x, const char *name)
{
	const struct s3emu_param *param = s3emu_param(x, name);

	return param == NULL ? lab_view_of(NULL, 0) : param->value;
}

static int parse_query(struct s3emu_exchange *x, struct v4 *v4, int64_t *ret_expires)
{
	struct lab_view algorithm = param_value(x, "X-Amz-Algorithm");
	struct lab_view expires = param_value(x, "X-Amz-Expires");

	v4->credential = param_value(x, "X-Amz-Credential");
	v4->signature = param_value(x, "X-Amz-Signature");
	v4->time = param_value(x, "X-Amz-Date");
	v4->signed_headers = param_value(x, "X-Amz-SignedHeaders");
	v4->token = param_value(x, "X-Amz-Security-Token");
	if (algorithm.len == 0 || expires.len == 0 || v4->credential.len == 0 ||
		v4->signature.len == 0 || v4->time.len == 0 || v4->signed_headers.len == 0) {
		return bad_query(x,
			"Query-string authentication version 4 requires the X-Amz-Algorithm, "
			"X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
			"X-Amz-Expires parameters.");
	}
	if (!lab_view_eq_cstr(algorithm, ALGORITHM)) {
		return bad_query(x, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and "
				    "AWS4-ECDSA-P256-SHA256\"");
	}
	if (v4->time.len != 16 || lab_date_parse_iso(v4->time, &v4->unix_time) < 0) {
		return bad_query(x,
			"X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
	}
	if (lab_view_to_i64(expires, ret_expires) < 0)
		return bad_query(x, "X-Amz-Expires should be a number");
	if (*ret_expires < 0)
		return bad_query(x, "X-Amz-Expires must be non-negative");
	if (*ret_expires > EXPIRES_MAX) {
		return bad_query(x,
			"X-Amz-Expires must be less than a week (in seconds); that is, the given "
			"X-Amz-Expires must be less than 604800 seconds");
	}
	return 0;
}

static int check_expiry(struct s3emu_exchange *x, const struct v4 *v4, int64_t expires)
{
	int64_t now = s3emu_received_unix(x);
	char until[LAB_DATE_TEXT_MAX], server[LAB_DATE_TEXT_MAX];

	if (v4->unix_time > now + S3EMU_SKEW_SECONDS)
		return s3emu_fail_text(x, S3EMU_ACCESS_DENIED, "Request is not yet valid");
	if (now <= v4->unix_time + expires)
		return 0;
	lab_date_iso_extended((v4->unix_time + expires) * 1000, until);
	lab_date_iso_extended(now * 1000, server);
	(void)s3emu_fail_text(x, S3EMU_ACCESS_DENIED, "Request has expired");
	s3emu_detail(x, "X-Amz-Expires", param_value(x, "X-Amz-Expires"));
	s3emu_detail(x, "Expires", lab_arena_copy(x->arena, lab_view_cstr(until)));
	s3emu_detail(x, "ServerTime", lab_arena_copy(x->arena, lab_view_cstr(server)));
	return -1;
}

static int from_query(struct s3emu_exchange *x, struct v4 *v4)
{
	struct lab_view hash = lab_view_trim(s3emu_request_header(x, "x-amz-content-sha256"));
	struct s3emu_credentials *credentials;
	int64_t expires;

	if (parse_query(x, v4, &expires) < 0 || split_credential(x, v4) < 0 ||
		check_scope(x, v4) < 0)
		return -1;
	v4->payload = hash.ptr == NULL ? LAB_VIEW("UNSIGNED-PAYLOAD") : hash;
	if (s3emu_payload_form_check(x, v4->payload) < 0)
		return -1;
	credentials = s3emu_auth_credentials(x, v4->id, v4->token);
	if (credentials == NULL || check_expiry(x, v4, expires) < 0)
		return -1;
	if (split_signed_headers(v4) < 0)
		return s3emu_fail(x, S3EMU_SIGNATURE_DOES_NOT_MATCH);
	if (check_all_signed(x, v4) < 0)
		return -1;
	return verify(x, v4, credentials);
}

int s3emu_auth_v4(struct s3emu_exchange *x, struct lab_view authorization)
{
	struct v4 v4;

	/* Not the array of names: it is filled as far as name_count says. */
	memset(&v4, 0, offsetof(struct v4, names));
	v4.name_count = 0;
	return x->auth == S3EMU_AUTH_V4 ? from_header(x, &v4, authorization) : from_query(x, &v4);
}

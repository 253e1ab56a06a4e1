/* SPDX-License-Identifier: Apache-2.0
 *
 * auth-v4.c - verifies Signature Version 4, in the header and in the query (s3 1.8).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define EXPIRES_MAX 604800

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

static int split_credential(struct s3emu_exchange *x, struct s3emu_v4 *v4)
{
	if (s3emu_v4_split_credential(v4) == 0)
		return 0;
	return malformed(x, "the Credential is mal-formed; expecting "
			    "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
}

static int wrong_region(struct s3emu_exchange *x, const struct s3emu_v4 *v4)
{
	struct lab_view region = x->s3->options.region;
	char *text = lab_arena_printf(x->arena, "the region '%.*s' is wrong; expecting '%.*s'",
		LAB_VIEW_ARG(v4->region), LAB_VIEW_ARG(region));

	(void)malformed(x, text);
	s3emu_detail(x, "Region", region);
	return -1;
}

static bool is_scope_date(struct lab_view date)
{
	size_t i;

	for (i = 0; i < date.len && date.ptr[i] >= '0' && date.ptr[i] <= '9'; i++)
		;
	return i == 8 && date.len == 8;
}

static int check_scope_date(struct s3emu_exchange *x, const struct s3emu_v4 *v4)
{
	struct lab_view day = lab_view_sub(v4->time, 0, 8);
	char *text;

	if (!is_scope_date(v4->date)) {
		text = lab_arena_printf(x->arena,
			"incorrect date format \"%.*s\". This date in the credential must be in "
			"the format \"yyyyMMdd\".",
			LAB_VIEW_ARG(v4->date));
		return malformed(x, text);
	}
	if (lab_view_eq(v4->date, day))
		return 0;
	text = lab_arena_printf(x->arena,
		"Invalid credential date \"%.*s\". This date is not the same as X-Amz-Date: "
		"\"%.*s\".",
		LAB_VIEW_ARG(v4->date), LAB_VIEW_ARG(day));
	return x->auth == S3EMU_AUTH_V4_QUERY
		       ? s3emu_fail_text(x, S3EMU_AUTHORIZATION_QUERY_PARAMETERS, text)
		       : malformed(x, text);
}

static int check_scope(struct s3emu_exchange *x, const struct s3emu_v4 *v4)
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
	return check_scope_date(x, v4);
}

static bool is_signed(const struct s3emu_v4 *v4, struct lab_view name)
{
	size_t i;

	for (i = 0; i < v4->name_count; i++) {
		if (lab_view_eq_nocase(v4->names[i], name))
			return true;
	}
	return false;
}

/* Content-Type need not be: the JavaScript SDK v2 leaves it out, and AWS lets it. */
static int check_all_signed(struct s3emu_exchange *x, const struct s3emu_v4 *v4)
{
	const struct lab_http_headers *headers = &x->request->headers;
	const char *missing = NULL;
	size_t i;

	if (!is_signed(v4, LAB_VIEW("host")))
		missing = "host";
	for (i = 0; i < headers->count; i++) {
		struct lab_view name = headers->items[i].name;

		if (!s3emu_is_amz(name) || is_signed(v4, name))
			continue;
		missing = lab_arena_printf(x->arena, "%s%s%.*s", missing == NULL ? "" : missing,
			missing == NULL ? "" : ", ", LAB_VIEW_ARG(name));
	}
	if (missing == NULL)
		return 0;
	(void)s3emu_fail_text(x, S3EMU_ACCESS_DENIED,
		"There were headers present in the request which were not signed");
	s3emu_detail(x, "HeadersNotSigned", lab_view_cstr(missing));
	return -1;
}

/* ---- the signature ---- */

/* Kept with the credentials for as long as the date is the same. */
static const uint8_t *signing_key(
	struct s3emu_exchange *x, struct s3emu_credentials *credentials, struct lab_view date)
{
	uint8_t *key = credentials->signing_key;

	if (memcmp(credentials->scope_date, date.ptr, sizeof(credentials->scope_date)) == 0)
		return key;
	s3emu_v4_key(credentials->secret, date, x->s3->options.region, LAB_VIEW("s3"), key);
	memcpy(credentials->scope_date, date.ptr, sizeof(credentials->scope_date));
	return key;
}

static int verify(
	struct s3emu_exchange *x, const struct s3emu_v4 *v4, struct s3emu_credentials *credentials)
{
	struct lab_view canonical, to_sign;
	char signature[S3EMU_V4_HEX_SIZE];
	const uint8_t *key;

	if (s3emu_v4_canonical(x, v4) < 0)
		return s3emu_fail(x, S3EMU_SIGNATURE_DOES_NOT_MATCH);
	if (s3emu_v4_string(x, v4, &canonical, &to_sign) < 0)
		return s3emu_fail(x, S3EMU_REQUEST_HEADERS_TOO_LARGE);
	key = signing_key(x, credentials, v4->date);
	s3emu_v4_signature(key, to_sign, signature);
	if (!lab_view_eq_secret(lab_view_cstr(signature), v4->signature))
		return s3emu_auth_mismatch(x, v4->id, v4->signature, to_sign, canonical);
	x->chain = (struct s3emu_chain){ key, v4->id, v4->time, v4->scope, v4->signature };
	return 0;
}

/* ---- in the header ---- */

/* Where a component belongs; NULL if there is none of that name. */
static struct lab_view *component(struct s3emu_v4 *v4, struct lab_view name)
{
	if (lab_view_eq_cstr(name, "Credential"))
		return &v4->credential;
	if (lab_view_eq_cstr(name, "SignedHeaders"))
		return &v4->signed_headers;
	return lab_view_eq_cstr(name, "Signature") ? &v4->signature : NULL;
}

static int check_components(struct s3emu_exchange *x, const struct s3emu_v4 *v4)
{
	if (v4->credential.len == 0)
		return malformed(x, "missing Credential.");
	if (v4->signed_headers.len == 0)
		return malformed(x, "missing SignedHeaders.");
	if (v4->signature.len == 0)
		return malformed(x, "missing Signature.");
	return 0;
}

/* "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=..." */
static int parse_authorization(
	struct s3emu_exchange *x, struct s3emu_v4 *v4, struct lab_view authorization)
{
	struct lab_view rest = lab_view_skip(authorization, sizeof(ALGORITHM)), part;
	size_t count = 0;

	if (!lab_view_starts_with(authorization, LAB_VIEW(ALGORITHM " ")))
		rest = lab_view_of(NULL, 0);
	while (lab_view_split(&rest, ',', &part)) {
		size_t equals;
		struct lab_view *field;

		part = lab_view_trim(part);
		equals = lab_view_find_byte(part, '=');
		field = component(v4, lab_view_sub(part, 0, equals));
		if (equals == SIZE_MAX || field == NULL || field->ptr != NULL) {
			return malformed(x, lab_arena_printf(x->arena,
						    "the authorization component \"%.*s\" is "
						    "malformed.",
						    LAB_VIEW_ARG(part)));
		}
		*field = lab_view_skip(part, equals + 1);
		count++;
	}
	if (count == 0) {
		return malformed(x,
			"the authorization header requires three components: Credential, "
			"SignedHeaders, and Signature.");
	}
	return check_components(x, v4);
}

/* x-amz-date in ISO form or Date in HTTP form; v4->time is its ISO form. */
static int request_time(struct s3emu_exchange *x, struct s3emu_v4 *v4)
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

static int from_header(struct s3emu_exchange *x, struct s3emu_v4 *v4, struct lab_view authorization)
{
	struct s3emu_credentials *credentials;

	if (parse_authorization(x, v4, authorization) < 0)
		return -1;
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
	if (s3emu_v4_split_headers(v4) < 0)
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

static int parse_query(struct s3emu_exchange *x, struct s3emu_v4 *v4, int64_t *ret_expires)
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

static int check_expiry(struct s3emu_exchange *x, const struct s3emu_v4 *v4, int64_t expires)
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

static int from_query(struct s3emu_exchange *x, struct s3emu_v4 *v4)
{
	struct lab_view hash = lab_view_trim(s3emu_request_header(x, "x-amz-content-sha256"));
	struct s3emu_credentials *credentials;
	int64_t expires;

	if (hash.ptr == NULL)
		hash = param_value(x, "X-Amz-Content-Sha256");

	if (parse_query(x, v4, &expires) < 0 || split_credential(x, v4) < 0 ||
		check_scope(x, v4) < 0)
		return -1;
	v4->payload = hash.ptr == NULL ? LAB_VIEW("UNSIGNED-PAYLOAD") : hash;
	if (s3emu_payload_form_check(x, v4->payload) < 0)
		return -1;
	credentials = s3emu_auth_credentials(x, v4->id, v4->token);
	if (credentials == NULL || check_expiry(x, v4, expires) < 0)
		return -1;
	if (s3emu_v4_split_headers(v4) < 0)
		return s3emu_fail(x, S3EMU_SIGNATURE_DOES_NOT_MATCH);
	if (check_all_signed(x, v4) < 0)
		return -1;
	return verify(x, v4, credentials) < 0 ? -1 : s3emu_auth_hoist(x);
}

int s3emu_auth_v4(struct s3emu_exchange *x, struct lab_view authorization)
{
	struct s3emu_v4 v4;

	/* Not the array of names: it is filled as far as name_count says. */
	memset(&v4, 0, offsetof(struct s3emu_v4, names));
	v4.name_count = 0;
	return x->auth == S3EMU_AUTH_V4 ? from_header(x, &v4, authorization) : from_query(x, &v4);
}

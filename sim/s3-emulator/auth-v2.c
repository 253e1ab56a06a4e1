/* SPDX-License-Identifier: Apache-2.0
 *
 * auth-v2.c - verifies Signature Version 2, in the header and in the query (s3 1.7).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

/* Query parameters that are part of what is signed. Byte order. */
static const char *const signed_params[] = { "acl", "cors", "delete", "lifecycle", "location",
	"logging", "notification", "partNumber", "policy", "requestPayment",
	"response-cache-control", "response-content-disposition", "response-content-encoding",
	"response-content-language", "response-content-type", "response-expires", "restore",
	"tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions",
	"website" };

static struct lab_view lower(struct lab_arena *arena, struct lab_view text)
{
	uint8_t *out = lab_arena_alloc(arena, text.len);
	size_t i;

	for (i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		out[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
	}
	return lab_view_of(out, text.len);
}

/* The x-amz-* headers, by name and then in the order in which they came. */
static size_t amz_headers(struct s3emu_exchange *x, struct lab_http_header *sorted)
{
	const struct lab_http_headers *headers = &x->request->headers;
	size_t i, j, count = 0;

	for (i = 0; i < headers->count; i++) {
		struct lab_http_header header = headers->items[i];

		if (!s3emu_is_amz(header.name))
			continue;
		header.name = lower(x->arena, header.name);
		for (j = count; j > 0 && lab_view_cmp(sorted[j - 1].name, header.name) > 0; j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = header;
		count++;
	}
	return count;
}

static void append_amz_headers(struct s3emu_exchange *x)
{
	struct lab_http_header sorted[LAB_HTTP_HEADERS_MAX];
	size_t i, count = amz_headers(x, sorted);

	for (i = 0; i < count; i++) {
		if (i > 0 && lab_view_eq(sorted[i].name, sorted[i - 1].name)) {
			lab_buf_append_byte(&x->scratch, ',');
		} else {
			if (i > 0)
				lab_buf_append_byte(&x->scratch, '\n');
			lab_buf_append_view(&x->scratch, sorted[i].name);
			lab_buf_append_byte(&x->scratch, ':');
		}
		lab_buf_append_view(&x->scratch, lab_view_trim(sorted[i].value));
	}
	if (count > 0)
		lab_buf_append_byte(&x->scratch, '\n');
}

/* "/bucket" without a slash behind it. */
static bool is_bare_bucket(const struct s3emu_exchange *x)
{
	return !x->virtual_host && x->raw_path.len > 1 &&
	       lab_view_find_byte(lab_view_skip(x->raw_path, 1), '/') == SIZE_MAX;
}

/* How clients sign what they send, beside the published rule. AWS takes all of it. */
enum form {
	AS_SENT = 0,
	WITH_SLASH = 1,    /* botocore: "/bucket/" where it sends "/bucket" */
	WITHOUT_EQUALS = 2 /* Go's: "?uploads" where they send "?uploads=" */
};

static void append_resource(struct s3emu_exchange *x, unsigned form)
{
	char separator = '?';
	size_t i;

	if (x->virtual_host) {
		lab_buf_append_byte(&x->scratch, '/');
		lab_buf_append_view(&x->scratch, x->bucket_name);
	}
	lab_buf_append_view(&x->scratch, x->raw_path);
	if ((form & WITH_SLASH) != 0)
		lab_buf_append_byte(&x->scratch, '/');
	for (i = 0; x->param_count > 0 && i < LAB_COUNT_OF(signed_params); i++) {
		const struct s3emu_param *param = s3emu_param(x, signed_params[i]);

		if (param == NULL)
			continue;
		lab_buf_append_byte(&x->scratch, (uint8_t)separator);
		lab_buf_append_view(&x->scratch, param->name);
		if (param->value.len > 0 || (param->has_value && (form & WITHOUT_EQUALS) == 0)) {
			lab_buf_append_byte(&x->scratch, '=');
			lab_buf_append_view(&x->scratch, param->value);
		}
		separator = '&';
	}
}

static void string_to_sign(struct s3emu_exchange *x, struct lab_view date, unsigned form)
{
	lab_buf_reset(&x->scratch);
	lab_buf_append_view(&x->scratch, x->request->method);
	lab_buf_append_byte(&x->scratch, '\n');
	lab_buf_append_view(&x->scratch, lab_view_trim(s3emu_request_header(x, "Content-MD5")));
	lab_buf_append_byte(&x->scratch, '\n');
	lab_buf_append_view(&x->scratch, lab_view_trim(s3emu_request_header(x, "Content-Type")));
	lab_buf_append_byte(&x->scratch, '\n');
	lab_buf_append_view(&x->scratch, date);
	lab_buf_append_byte(&x->scratch, '\n');
	append_amz_headers(x);
	append_resource(x, form);
}

/* 1: `provided` is the signature of scratch's contents; 0: it is not. */
static int matches(struct s3emu_exchange *x, const struct s3emu_credentials *credentials,
	struct lab_view provided)
{
	size_t length = x->scratch.len;
	uint8_t mac[LAB_DIGEST_MAX];
	bool equal;

	lab_hmac(LAB_SHA1, credentials->secret, lab_buf_view(&x->scratch), mac);
	lab_buf_append_base64(&x->scratch, lab_view_of(mac, lab_digest_size(LAB_SHA1)));
	if (x->scratch.overflow)
		return s3emu_fail(x, S3EMU_REQUEST_HEADERS_TOO_LARGE);
	equal = lab_view_eq_secret(lab_view_skip(lab_buf_view(&x->scratch), length), provided);
	x->scratch.len = length;
	return equal;
}

static bool has_empty_value(const struct s3emu_exchange *x)
{
	size_t i;

	for (i = 0; i < x->param_count; i++) {
		if (x->params[i].has_value && x->params[i].value.len == 0)
			return true;
	}
	return false;
}

/* Tries every form that makes a difference; the published one last, so that it is what a mismatch
 * shows. */
static int verify(struct s3emu_exchange *x, const struct s3emu_credentials *credentials,
	struct lab_view access_key_id, struct lab_view provided, struct lab_view date)
{
	unsigned other =
		(is_bare_bucket(x) ? WITH_SLASH : 0) | (has_empty_value(x) ? WITHOUT_EQUALS : 0);
	unsigned form = WITH_SLASH | WITHOUT_EQUALS;
	int result = 0;

	for (;; form--) {
		if ((form & ~other) == 0) {
			string_to_sign(x, date, form);
			result = matches(x, credentials, provided);
		}
		if (result != 0 || form == AS_SENT)
			break;
	}
	if (result != 0)
		return result < 0 ? -1 : 0;
	return s3emu_auth_mismatch(
		x, access_key_id, provided, lab_buf_view(&x->scratch), lab_view_of(NULL, 0));
}

static int no_date(struct s3emu_exchange *x)
{
	return s3emu_fail_text(x, S3EMU_ACCESS_DENIED,
		"AWS authentication requires a valid Date or x-amz-date header");
}

static int from_header(struct s3emu_exchange *x, struct lab_view authorization)
{
	struct lab_view rest = lab_view_trim(lab_view_skip(authorization, 4));
	struct lab_view date = lab_view_trim(s3emu_request_header(x, "Date"));
	struct lab_view amz_date = lab_view_trim(s3emu_request_header(x, "x-amz-date"));
	struct lab_view signed_date = amz_date.ptr != NULL ? amz_date : date;
	size_t colon = lab_view_find_byte(rest, ':');
	const struct s3emu_credentials *credentials;
	struct lab_view id;
	int64_t seconds;

	if (colon == SIZE_MAX || colon == 0 || colon + 1 == rest.len) {
		return s3emu_fail_argument(x, "Authorization", authorization,
			"AWS authorization header is invalid.  Expected AwsAccessKeyId:signature");
	}
	id = lab_view_sub(rest, 0, colon);
	if (lab_date_parse_http(signed_date, &seconds) < 0 &&
		lab_date_parse_iso(signed_date, &seconds) < 0)
		return no_date(x);
	credentials =
		s3emu_auth_credentials(x, id, s3emu_request_header(x, "x-amz-security-token"));
	if (credentials == NULL || s3emu_auth_skew(x, seconds, signed_date) < 0)
		return -1;
	return verify(x, credentials, id, lab_view_skip(rest, colon + 1),
		amz_date.ptr != NULL ? lab_view_of(NULL, 0) : date);
}

static int expired(struct s3emu_exchange *x, struct lab_view expires)
{
	char now[LAB_DATE_TEXT_MAX];

	lab_date_iso_extended(s3emu_received_unix(x) * 1000, now);
	(void)s3emu_fail_text(x, S3EMU_ACCESS_DENIED, "Request has expired");
	s3emu_detail(x, "Expires", expires);
	s3emu_detail(x, "ServerTime", lab_arena_copy(x->arena, lab_view_cstr(now)));
	return -1;
}

static int from_query(struct s3emu_exchange *x)
{
	const struct s3emu_param *id = s3emu_param(x, "AWSAccessKeyId");
	const struct s3emu_param *expires = s3emu_param(x, "Expires");
	const struct s3emu_param *signature = s3emu_param(x, "Signature");
	const struct s3emu_credentials *credentials;
	int64_t seconds;

	if (id == NULL || expires == NULL || signature == NULL) {
		return s3emu_fail_text(x, S3EMU_ACCESS_DENIED,
			"Query-string authentication requires the Signature, Expires and "
			"AWSAccessKeyId parameters");
	}
	if (lab_view_to_i64(expires->value, &seconds) < 0 || seconds < 0) {
		return s3emu_fail_text(
			x, S3EMU_ACCESS_DENIED, "Invalid date (should be seconds since epoch)");
	}
	/* Signed as if they were headers: the token, too. */
	if (s3emu_auth_hoist(x) < 0)
		return -1;
	credentials = s3emu_auth_credentials(
		x, id->value, s3emu_request_header(x, "x-amz-security-token"));
	if (credentials == NULL)
		return -1;
	if (verify(x, credentials, id->value, signature->value, expires->value) < 0)
		return -1;
	return seconds < s3emu_received_unix(x) ? expired(x, expires->value) : 0;
}

int s3emu_auth_v2(struct s3emu_exchange *x, struct lab_view authorization)
{
	return x->auth == S3EMU_AUTH_V2 ? from_header(x, authorization) : from_query(x);
}

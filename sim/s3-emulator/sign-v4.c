/* SPDX-License-Identifier: Apache-2.0
 *
 * sign-v4.c - the arithmetic of Signature Version 4 (s3 1.8), written apart from the client's
 * signer in core/aws: a mistake in one of them shows.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

/* ---- the canonical request ---- */

static void append_trimmed(struct lab_buf *buf, struct lab_view value)
{
	size_t i;

	value = lab_view_trim(value);
	/* A session token is long, and has none. */
	if (lab_view_find_byte(value, ' ') == SIZE_MAX) {
		lab_buf_append_view(buf, value);
		return;
	}
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

int s3emu_v4_canonical(struct s3emu_exchange *x, const struct s3emu_v4 *v4)
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

void s3emu_v4_signature(
	const uint8_t key[32], struct lab_view to_sign, char signature[S3EMU_V4_HEX_SIZE])
{
	uint8_t mac[LAB_DIGEST_MAX];

	lab_hmac(LAB_SHA256, lab_view_of(key, 32), to_sign, mac);
	lab_hex(mac, 32, signature);
}

int s3emu_v4_string(struct s3emu_exchange *x, const struct s3emu_v4 *v4,
	struct lab_view *ret_canonical, struct lab_view *ret_to_sign)
{
	size_t canonical_len = x->scratch.len;
	uint8_t digest[LAB_DIGEST_MAX];
	char hex[S3EMU_V4_HEX_SIZE];

	lab_digest(LAB_SHA256, lab_buf_view(&x->scratch), digest);
	lab_hex(digest, 32, hex);
	lab_buf_append_cstr(&x->scratch, ALGORITHM "\n");
	lab_buf_append_view(&x->scratch, v4->time);
	lab_buf_append_byte(&x->scratch, '\n');
	lab_buf_append_view(&x->scratch, v4->scope);
	lab_buf_append_byte(&x->scratch, '\n');
	lab_buf_append_cstr(&x->scratch, hex);
	if (x->scratch.overflow)
		return -1;
	*ret_canonical = lab_view_sub(lab_buf_view(&x->scratch), 0, canonical_len);
	*ret_to_sign = lab_view_skip(lab_buf_view(&x->scratch), canonical_len);
	return 0;
}

void s3emu_v4_key(struct lab_view secret, struct lab_view date, struct lab_view region,
	struct lab_view service, uint8_t key[32])
{
	uint8_t first[4 + S3EMU_SECRET_MAX] = "AWS4";
	struct lab_view derived = lab_view_of(key, 32);

	lab_assert(secret.len <= S3EMU_SECRET_MAX);
	if (secret.len > 0)
		memcpy(first + 4, secret.ptr, secret.len);
	lab_hmac(LAB_SHA256, lab_view_of(first, 4 + secret.len), date, key);
	lab_hmac(LAB_SHA256, derived, region, key);
	lab_hmac(LAB_SHA256, derived, service, key);
	lab_hmac(LAB_SHA256, derived, LAB_VIEW("aws4_request"), key);
}

/* ---- its parts ---- */

/* The id itself may contain '/'. */
int s3emu_v4_split_credential(struct s3emu_v4 *v4)
{
	struct lab_view *parts[] = { &v4->terminal, &v4->service, &v4->region, &v4->date };
	struct lab_view rest = v4->credential;
	size_t i, end;

	for (i = 0; i < LAB_COUNT_OF(parts); i++) {
		for (end = rest.len; end > 0 && rest.ptr[end - 1] != '/'; end--)
			;
		if (end == 0)
			return -1;
		*parts[i] = lab_view_skip(rest, end);
		rest.len = end - 1;
	}
	v4->id = rest;
	v4->scope = lab_view_skip(v4->credential, rest.len + 1);
	return 0;
}

int s3emu_v4_split_headers(struct s3emu_v4 *v4)
{
	struct lab_view rest = v4->signed_headers, name;
	size_t i;

	v4->name_count = 0;
	while (lab_view_split(&rest, ';', &name)) {
		if (v4->name_count == S3EMU_SIGNED_HEADERS_MAX || name.len == 0)
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

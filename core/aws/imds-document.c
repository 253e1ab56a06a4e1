/* SPDX-License-Identifier: Apache-2.0 */
#include "core/aws/imds-document.h"

#include <jansson.h>

#define ACCESS_KEY_ID_MAX 128
#define SECRET_MAX 128
#define TOKEN_MAX 8192

/* 1 if there is such a text, 0 if there is none, -1 if it is not a text for a header. */
static int text_get(const json_t *document, const char *name, size_t max_bytes,
	struct lab_arena *arena, struct lab_view *ret, struct lab_error *err)
{
	const json_t *value = json_object_get(document, name);
	struct lab_view text;

	if (value == NULL)
		return 0;
	if (!json_is_string(value))
		return lab_fail(err, LAB_CORRUPT, "IMDS: %s is not a string", name);
	text = lab_view_of(json_string_value(value), json_string_length(value));
	if (text.len == 0 || text.len > max_bytes)
		return lab_fail(err, LAB_CORRUPT, "IMDS: %s has %zu bytes", name, text.len);
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return lab_fail(err, LAB_CORRUPT, "IMDS: %s has a bad character", name);
	}
	*ret = lab_arena_copy(arena, text);
	return 1;
}

static int text_require(const json_t *document, const char *name, size_t max_bytes,
	struct lab_arena *arena, struct lab_view *ret, struct lab_error *err)
{
	int found = text_get(document, name, max_bytes, arena, ret, err);

	if (found == 0)
		return lab_fail(err, LAB_CORRUPT, "IMDS: %s is missing", name);
	return found < 0 ? -1 : 0;
}

static int code_check(const json_t *document, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_view code;

	if (text_require(document, "Code", 64, arena, &code, err) < 0)
		return -1;
	if (lab_view_eq_cstr(code, "Success"))
		return 0;
	return lab_fail(err, LAB_DENIED, "IMDS: Code is %.*s", LAB_VIEW_ARG(code));
}

static int document_read(const json_t *document, struct lab_arena *arena,
	struct aws_credentials *ret, struct lab_error *err)
{
	struct aws_credentials read = { .token = { NULL, 0 } };
	struct lab_view expiration;

	if (!json_is_object(document))
		return lab_fail(err, LAB_CORRUPT, "IMDS: the role document is not an object");
	if (code_check(document, arena, err) < 0 ||
		text_require(document, "AccessKeyId", ACCESS_KEY_ID_MAX, arena, &read.access_key_id,
			err) < 0 ||
		text_require(document, "SecretAccessKey", SECRET_MAX, arena,
			&read.secret_access_key, err) < 0 ||
		text_require(document, "Expiration", 64, arena, &expiration, err) < 0 ||
		text_get(document, "Token", TOKEN_MAX, arena, &read.token, err) < 0)
		return -1;
	if (lab_date_parse_iso(expiration, &read.expires_unix) < 0 || read.expires_unix <= 0)
		return lab_fail(err, LAB_CORRUPT, "IMDS: Expiration is not a time");
	*ret = read;
	return 0;
}

int imds_document_parse(struct lab_view body, struct lab_arena *arena, struct aws_credentials *ret,
	struct lab_error *err)
{
	json_error_t where;
	json_t *document;
	int result;

	if (body.len > IMDS_DOCUMENT_MAX)
		return lab_fail(err, LAB_CORRUPT, "IMDS: the role document is too long");
	/* Else jansson would seed its hash from the operating system. */
	json_object_seed(1);
	document = json_loadb(body.len == 0 ? "" : (const char *)body.ptr, body.len,
		JSON_REJECT_DUPLICATES, &where);
	if (document == NULL)
		return lab_fail(err, LAB_CORRUPT,
			"IMDS: the role document is not JSON (line %d, column %d)", where.line,
			where.column);
	result = document_read(document, arena, ret, err);
	json_decref(document);
	return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/aws/sigv2.h"

#define STRING_TO_SIGN_MAX 65536
#define SUB_RESOURCES_MAX 16

/* In byte order. */
static const char *const sub_resources[] = {
	"acl",
	"delete",
	"lifecycle",
	"location",
	"logging",
	"notification",
	"partNumber",
	"policy",
	"requestPayment",
	"response-cache-control",
	"response-content-disposition",
	"response-content-encoding",
	"response-content-language",
	"response-content-type",
	"response-expires",
	"uploadId",
	"uploads",
	"versionId",
	"versioning",
	"versions",
	"website",
};

/* ---- CanonicalizedAmzHeaders ---- */

static bool is_amz(struct lab_view name)
{
	return lab_view_eq_nocase(lab_view_sub(name, 0, 6), LAB_VIEW("x-amz-"));
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static int compare_nocase(struct lab_view a, struct lab_view b)
{
	size_t len = LAB_MIN(a.len, b.len);

	for (size_t i = 0; i < len; i++) {
		int difference = (int)lower(a.ptr[i]) - (int)lower(b.ptr[i]);

		if (difference != 0)
			return difference;
	}
	return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

/* The positions of the x-amz- headers, by name; headers of one name stay in their order. */
static size_t sort_amz(const struct lab_http_headers *headers, uint8_t order[LAB_HTTP_HEADERS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < headers->count; i++) {
		size_t at = count;

		if (!is_amz(headers->items[i].name))
			continue;
		while (at > 0 && compare_nocase(headers->items[order[at - 1]].name,
					 headers->items[i].name) > 0) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = (uint8_t)i;
		count++;
	}
	return count;
}

static void append_amz_headers(struct lab_buf *out, const struct lab_http_headers *headers)
{
	uint8_t order[LAB_HTTP_HEADERS_MAX];
	size_t count = sort_amz(headers, order);

	for (size_t i = 0; i < count; i++) {
		const struct lab_http_header *header = &headers->items[order[i]];
		bool same = i > 0 &&
			    lab_view_eq_nocase(headers->items[order[i - 1]].name, header->name);
		bool last = i + 1 == count ||
			    !lab_view_eq_nocase(headers->items[order[i + 1]].name, header->name);

		for (size_t j = 0; !same && j < header->name.len; j++)
			lab_buf_append_byte(out, lower(header->name.ptr[j]));
		lab_buf_append_byte(out, same ? ',' : ':');
		lab_buf_append_view(out, lab_view_trim(header->value));
		if (last)
			lab_buf_append_byte(out, '\n');
	}
}

/* ---- CanonicalizedResource ---- */

static size_t sub_resource_rank(struct lab_view name)
{
	for (size_t i = 0; i < LAB_COUNT_OF(sub_resources); i++) {
		if (lab_view_eq_cstr(name, sub_resources[i]))
			return i;
	}
	return SIZE_MAX;
}

struct sub_resource {
	size_t rank;
	struct lab_view value; /* ptr NULL: without '=' */
};

static int sub_resource_add(
	struct sub_resource *items, size_t *count, struct lab_view part, struct lab_error *err)
{
	size_t equals = lab_view_find_byte(part, '='), at = *count;
	struct lab_view name = lab_view_sub(part, 0, equals);
	struct sub_resource item = { sub_resource_rank(name), { NULL, 0 } };

	if (item.rank == SIZE_MAX)
		return 0;
	if (*count == SUB_RESOURCES_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d sub-resources", SUB_RESOURCES_MAX);
	if (equals != SIZE_MAX)
		item.value = lab_view_of(part.ptr + equals + 1, part.len - equals - 1);
	while (at > 0 && items[at - 1].rank > item.rank) {
		items[at] = items[at - 1];
		at--;
	}
	items[at] = item;
	(*count)++;
	return 0;
}

static int append_resource(
	struct lab_buf *out, struct lab_view target, struct lab_view bucket, struct lab_error *err)
{
	struct sub_resource items[SUB_RESOURCES_MAX];
	size_t mark = lab_view_find_byte(target, '?'), count = 0;
	struct lab_view query = mark == SIZE_MAX ? LAB_VIEW("") : lab_view_skip(target, mark + 1);
	struct lab_view part;

	if (bucket.len > 0) {
		lab_buf_append_byte(out, '/');
		lab_buf_append_view(out, bucket);
	}
	lab_buf_append_view(out, lab_view_sub(target, 0, mark));
	while (lab_view_split(&query, '&', &part)) {
		if (sub_resource_add(items, &count, part, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < count; i++) {
		lab_buf_append_byte(out, i == 0 ? '?' : '&');
		lab_buf_append_cstr(out, sub_resources[items[i].rank]);
		if (items[i].value.ptr == NULL)
			continue;
		lab_buf_append_byte(out, '=');
		/* "values not encoded": response-* overrides are signed decoded. */
		if (lab_buf_append_unpercent(out, items[i].value) < 0)
			return lab_fail(err, LAB_INVALID, "bad %%-escape in the query");
	}
	return 0;
}

/* ---- the whole ---- */

static struct lab_view date_slot(const struct lab_http_request *request, struct lab_view expires)
{
	if (expires.ptr != NULL)
		return expires;
	if (lab_http_header_get(&request->headers, "x-amz-date").ptr != NULL)
		return LAB_VIEW("");
	return lab_http_header_get(&request->headers, "Date");
}

static void append_line(struct lab_buf *out, struct lab_view text)
{
	lab_buf_append_view(out, lab_view_trim(text));
	lab_buf_append_byte(out, '\n');
}

int sigv2_string_to_sign(const struct lab_http_request *request, struct lab_view bucket,
	struct lab_view expires, struct lab_buf *out, struct lab_error *err)
{
	append_line(out, request->method);
	append_line(out, lab_http_header_get(&request->headers, "Content-MD5"));
	append_line(out, lab_http_header_get(&request->headers, "Content-Type"));
	append_line(out, date_slot(request, expires));
	append_amz_headers(out, &request->headers);
	if (append_resource(out, request->target, bucket, err) < 0)
		return -1;
	if (out->overflow)
		return lab_fail(err, LAB_LIMIT, "the request is too long to sign");
	return 0;
}

void sigv2_signature(
	struct lab_view secret, struct lab_view string_to_sign, char out[SIGV2_SIGNATURE_SIZE])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	/* 20 bytes are 6 triples and two bytes: the zero behind them completes the last triple. */
	uint8_t digest[LAB_DIGEST_MAX + 1] = { 0 };

	lab_hmac(LAB_SHA1, secret, string_to_sign, digest);
	digest[20] = 0;
	for (size_t i = 0; i < 7; i++) {
		const uint8_t *in = digest + 3 * i;
		char *text = out + 4 * i;

		text[0] = digits[in[0] >> 2];
		text[1] = digits[(in[0] & 3) << 4 | in[1] >> 4];
		text[2] = digits[(in[1] & 15) << 2 | in[2] >> 6];
		text[3] = digits[in[2] & 63];
	}
	out[27] = '=';
	out[28] = '\0';
}

int sigv2_sign_headers(struct lab_http_request *request, struct lab_view bucket,
	const struct aws_credentials *credentials, int64_t now_unix, struct lab_heap *heap,
	struct lab_arena *arena, struct lab_error *err)
{
	char date[LAB_DATE_TEXT_MAX], signature[SIGV2_SIGNATURE_SIZE];
	struct lab_buf text;
	int result;

	if (request->headers.count + 2 > LAB_HTTP_HEADERS_MAX)
		return lab_fail(err, LAB_LIMIT, "too many headers to sign the request");
	lab_date_http(now_unix, date);
	lab_http_header_add(
		&request->headers, LAB_VIEW("Date"), lab_arena_copy(arena, lab_view_cstr(date)));
	lab_buf_init(&text, heap, STRING_TO_SIGN_MAX);
	result = sigv2_string_to_sign(request, bucket, (struct lab_view){ NULL, 0 }, &text, err);
	if (result == 0) {
		sigv2_signature(credentials->secret_access_key, lab_buf_view(&text), signature);
		lab_http_header_add(&request->headers, LAB_VIEW("Authorization"),
			lab_view_cstr(lab_arena_printf(arena, "AWS %.*s:%s",
				LAB_VIEW_ARG(credentials->access_key_id), signature)));
	}
	lab_buf_done(&text);
	return result;
}

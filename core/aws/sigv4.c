/* SPDX-License-Identifier: Apache-2.0 */
#include "core/aws/sigv4.h"

#define CANONICAL_MAX 65536
#define TERMINATOR "aws4_request"
#define DATE_LEN 8 /* of "20130524T000000Z" */

/* ---- canonical request ---- */

static bool is_unreserved(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* Decodes once and encodes once, in one pass. */
static int append_recoded(struct lab_buf *out, struct lab_view text, bool keep_slash)
{
	size_t run = 0;

	for (size_t i = 0; i < text.len;) {
		uint8_t byte = text.ptr[i];
		size_t used = 1;

		if (is_unreserved(byte) || (keep_slash && byte == '/')) {
			i++;
			continue;
		}
		lab_buf_append(out, text.ptr + run, i - run);
		if (byte == '%') {
			if (lab_unhex(lab_view_sub(text, i + 1, 2), &byte, 1) < 0)
				return -1;
			used = 3;
		}
		lab_buf_append_percent(out, lab_view_of(&byte, 1), keep_slash);
		i += used;
		run = i;
	}
	if (text.len > run)
		lab_buf_append(out, text.ptr + run, text.len - run);
	return 0;
}

/* One parameter, encoded, as offsets into the scratch buffer. */
struct parameter {
	size_t name, name_len, value, value_len;
};

struct query {
	struct lab_buf text;
	struct parameter items[SIGV4_QUERY_MAX];
	size_t count;
};

static struct lab_view parameter_name(const struct query *query, size_t i)
{
	return lab_view_sub(
		lab_buf_view(&query->text), query->items[i].name, query->items[i].name_len);
}

static struct lab_view parameter_value(const struct query *query, size_t i)
{
	return lab_view_sub(
		lab_buf_view(&query->text), query->items[i].value, query->items[i].value_len);
}

/* Keeps the items sorted by encoded name; a name that is there already is dropped, so there are no
 * ties to break by value. */
static void query_insert(struct query *query, struct parameter item)
{
	struct lab_view name = lab_view_sub(lab_buf_view(&query->text), item.name, item.name_len);
	size_t at = query->count;

	while (at > 0) {
		int order = lab_view_cmp(parameter_name(query, at - 1), name);

		if (order == 0)
			return;
		if (order < 0)
			break;
		at--;
	}
	memmove(query->items + at + 1, query->items + at,
		(query->count - at) * sizeof(query->items[0]));
	query->items[at] = item;
	query->count++;
}

static int query_add(struct query *query, struct lab_view part, struct lab_error *err)
{
	struct lab_view name = part, value = LAB_VIEW("");
	size_t equals = lab_view_find_byte(part, '=');
	struct parameter item;

	if (equals != SIZE_MAX) {
		name = lab_view_sub(part, 0, equals);
		value = lab_view_skip(part, equals + 1);
	}
	if (lab_view_eq_cstr(name, "X-Amz-Signature"))
		return 0;
	if (query->count == SIGV4_QUERY_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d query parameters", SIGV4_QUERY_MAX);
	item.name = query->text.len;
	if (append_recoded(&query->text, name, false) < 0)
		return lab_fail(err, LAB_INVALID, "bad %%-escape in the query");
	item.name_len = query->text.len - item.name;
	item.value = query->text.len;
	if (append_recoded(&query->text, value, false) < 0)
		return lab_fail(err, LAB_INVALID, "bad %%-escape in the query");
	item.value_len = query->text.len - item.value;
	query_insert(query, item);
	return 0;
}

static int append_query(struct lab_buf *out, struct lab_view text, struct lab_error *err)
{
	struct query query = { .count = 0 };
	struct lab_view part;
	int result = 0;

	if (text.len == 0)
		return 0;
	lab_buf_init(&query.text, out->heap, CANONICAL_MAX);
	while (result == 0 && lab_view_split(&text, '&', &part)) {
		if (part.len > 0)
			result = query_add(&query, part, err);
	}
	out->overflow |= query.text.overflow;
	for (size_t i = 0; result == 0 && i < query.count; i++) {
		if (i > 0)
			lab_buf_append_byte(out, '&');
		lab_buf_append_view(out, parameter_name(&query, i));
		lab_buf_append_byte(out, '=');
		lab_buf_append_view(out, parameter_value(&query, i));
	}
	lab_buf_done(&query.text);
	return result;
}

static void append_header_value(struct lab_buf *out, struct lab_view value)
{
	size_t run = 0;

	value = lab_view_trim(value);
	/* A session token is long, and has none. */
	if (lab_view_find_byte(value, ' ') == SIZE_MAX &&
		lab_view_find_byte(value, '\t') == SIZE_MAX) {
		lab_buf_append_view(out, value);
		return;
	}
	for (size_t i = 0; i + 1 < value.len; i++) {
		if (!is_blank(value.ptr[i]) || (!is_blank(value.ptr[i + 1]) && value.ptr[i] == ' '))
			continue;
		/* A run of blanks, or a tab: keep what was before it, then one space. */
		lab_buf_append(out, value.ptr + run, i - run);
		lab_buf_append_byte(out, ' ');
		while (is_blank(value.ptr[i + 1]))
			i++;
		run = i + 1;
	}
	if (value.len > run)
		lab_buf_append(out, value.ptr + run, value.len - run);
}

static void append_header(
	struct lab_buf *out, const struct lab_http_request *request, struct lab_view name)
{
	bool found = false;

	lab_buf_append_view(out, name);
	lab_buf_append_byte(out, ':');
	for (size_t i = 0; i < request->headers.count; i++) {
		if (!lab_view_eq_nocase(request->headers.items[i].name, name))
			continue;
		if (found)
			lab_buf_append_byte(out, ',');
		append_header_value(out, request->headers.items[i].value);
		found = true;
	}
	if (!found && lab_view_eq_cstr(name, "host"))
		append_header_value(out, request->authority);
	if (!found && lab_view_eq_cstr(name, "content-length"))
		lab_buf_printf(out, "%zu", request->body.len);
	lab_buf_append_byte(out, '\n');
}

int sigv4_canonical_request(const struct lab_http_request *request, struct lab_view signed_headers,
	struct lab_view payload_hash, struct lab_buf *out, struct lab_error *err)
{
	size_t mark = lab_view_find_byte(request->target, '?');
	struct lab_view path = lab_view_sub(request->target, 0, mark);
	struct lab_view query =
		mark == SIZE_MAX ? LAB_VIEW("") : lab_view_skip(request->target, mark + 1);
	struct lab_view names = signed_headers, name;

	lab_buf_append_view(out, request->method);
	lab_buf_append_byte(out, '\n');
	if (append_recoded(out, path, true) < 0)
		return lab_fail(err, LAB_INVALID, "bad %%-escape in the path");
	lab_buf_append_byte(out, '\n');
	if (append_query(out, query, err) < 0)
		return -1;
	lab_buf_append_byte(out, '\n');
	while (lab_view_split(&names, ';', &name))
		append_header(out, request, name);
	lab_buf_append_byte(out, '\n');
	lab_buf_append_view(out, signed_headers);
	lab_buf_append_byte(out, '\n');
	lab_buf_append_view(out, payload_hash);
	if (out->overflow)
		return lab_fail(err, LAB_LIMIT, "the request is too long to sign");
	return 0;
}

/* ---- signatures ---- */

void sigv4_payload_hash(struct lab_view body, char out[SIGV4_HEX_SIZE])
{
	uint8_t digest[LAB_DIGEST_MAX];

	if (body.len == 0) {
		memcpy(out, SIGV4_EMPTY_SHA256, SIGV4_HEX_SIZE);
		return;
	}
	lab_digest(LAB_SHA256, body, digest);
	lab_hex(digest, lab_digest_size(LAB_SHA256), out);
}

static void append_head(
	struct lab_buf *out, const char *algorithm, struct lab_view amz_date, struct lab_view scope)
{
	lab_buf_append_cstr(out, algorithm);
	lab_buf_append_byte(out, '\n');
	lab_buf_append_view(out, amz_date);
	lab_buf_append_byte(out, '\n');
	lab_buf_append_view(out, scope);
	lab_buf_append_byte(out, '\n');
}

void sigv4_string_to_sign(struct lab_view amz_date, struct lab_view scope,
	struct lab_view canonical_request, struct lab_buf *out)
{
	char hash[SIGV4_HEX_SIZE];

	append_head(out, SIGV4_ALGORITHM, amz_date, scope);
	sigv4_payload_hash(canonical_request, hash);
	lab_buf_append(out, hash, SIGV4_HEX_SIZE - 1);
}

static void hmac(uint8_t key[SIGV4_KEY_SIZE], struct lab_view text)
{
	uint8_t digest[LAB_DIGEST_MAX];

	lab_hmac(LAB_SHA256, lab_view_of(key, SIGV4_KEY_SIZE), text, digest);
	memcpy(key, digest, SIGV4_KEY_SIZE);
}

void sigv4_signing_key(struct lab_view secret, struct lab_view date, struct lab_view region,
	struct lab_view service, uint8_t key[SIGV4_KEY_SIZE])
{
	uint8_t first[4 + SIGV4_CACHE_TEXT_MAX] = "AWS4";
	uint8_t digest[LAB_DIGEST_MAX];
	size_t len = LAB_MIN(secret.len, (size_t)SIGV4_CACHE_TEXT_MAX);

	/* A longer secret is none that AWS ever gives; its signature will not match. */
	if (len > 0)
		memcpy(first + 4, secret.ptr, len);
	lab_hmac(LAB_SHA256, lab_view_of(first, 4 + len), date, digest);
	memcpy(key, digest, SIGV4_KEY_SIZE);
	hmac(key, region);
	hmac(key, service);
	hmac(key, LAB_VIEW(TERMINATOR));
}

void sigv4_signature(
	const uint8_t key[SIGV4_KEY_SIZE], struct lab_view string_to_sign, char out[SIGV4_HEX_SIZE])
{
	uint8_t digest[LAB_DIGEST_MAX];

	lab_hmac(LAB_SHA256, lab_view_of(key, SIGV4_KEY_SIZE), string_to_sign, digest);
	lab_hex(digest, SIGV4_KEY_SIZE, out);
}

/* The strings to sign of chunks and trailers are short and of bounded length, as long as their
 * parts are what their names say; longer ones are cut, and then match nothing. */
struct short_text {
	size_t len;
	uint8_t bytes[1024];
};

static void short_append(struct short_text *text, struct lab_view part)
{
	size_t len = LAB_MIN(part.len, sizeof(text->bytes) - text->len);

	if (len > 0)
		memcpy(text->bytes + text->len, part.ptr, len);
	text->len += len;
}

static void short_line(struct short_text *text, struct lab_view part)
{
	short_append(text, part);
	short_append(text, LAB_VIEW("\n"));
}

static void short_head(struct short_text *text, struct lab_view algorithm, struct lab_view amz_date,
	struct lab_view scope, struct lab_view previous)
{
	text->len = 0;
	short_line(text, algorithm);
	short_line(text, amz_date);
	short_line(text, scope);
	short_line(text, previous);
}

void sigv4_chunk_signature(const uint8_t key[SIGV4_KEY_SIZE], struct lab_view amz_date,
	struct lab_view scope, struct lab_view previous, struct lab_view chunk,
	char out[SIGV4_HEX_SIZE])
{
	struct short_text text;
	char hash[SIGV4_HEX_SIZE];

	short_head(&text, LAB_VIEW("AWS4-HMAC-SHA256-PAYLOAD"), amz_date, scope, previous);
	short_line(&text, LAB_VIEW(SIGV4_EMPTY_SHA256));
	sigv4_payload_hash(chunk, hash);
	short_append(&text, lab_view_cstr(hash));
	sigv4_signature(key, lab_view_of(text.bytes, text.len), out);
}

void sigv4_trailer_signature(const uint8_t key[SIGV4_KEY_SIZE], struct lab_view amz_date,
	struct lab_view scope, struct lab_view previous, struct lab_view trailer,
	char out[SIGV4_HEX_SIZE])
{
	struct short_text text;
	char hash[SIGV4_HEX_SIZE];

	short_head(&text, LAB_VIEW("AWS4-HMAC-SHA256-TRAILER"), amz_date, scope, previous);
	sigv4_payload_hash(trailer, hash);
	short_append(&text, lab_view_cstr(hash));
	sigv4_signature(key, lab_view_of(text.bytes, text.len), out);
}

/* ---- the cache of signing keys ---- */

struct key_parts {
	struct lab_view parts[5]; /* key id, secret, date, region, service */
};

/* The parts, each with its length before it, so that no two lists give the same text. 0 if they do
 * not fit. */
static size_t key_text(const struct key_parts *parts, uint8_t out[SIGV4_CACHE_TEXT_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < LAB_COUNT_OF(parts->parts); i++) {
		struct lab_view part = parts->parts[i];

		if (part.len > UINT8_MAX || part.len + 1 > SIGV4_CACHE_TEXT_MAX - len)
			return 0;
		out[len++] = (uint8_t)part.len;
		if (part.len > 0)
			memcpy(out + len, part.ptr, part.len);
		len += part.len;
	}
	return len;
}

static const uint8_t *cached_key(struct sigv4_key_cache *cache, struct lab_view text)
{
	for (size_t i = 0; i < SIGV4_CACHE_ENTRIES; i++) {
		struct sigv4_key_cache_entry *entry = &cache->entries[i];

		if (lab_view_eq_secret(lab_view_of(entry->text, entry->len), text)) {
			cache->hits++;
			return entry->key;
		}
	}
	cache->misses++;
	return NULL;
}

static void signer_key(
	const struct sigv4_signer *signer, struct lab_view date, uint8_t key[SIGV4_KEY_SIZE])
{
	struct key_parts parts = { { signer->credentials->access_key_id,
		signer->credentials->secret_access_key, date, signer->region, signer->service } };
	uint8_t text[SIGV4_CACHE_TEXT_MAX];
	size_t len = signer->cache == NULL ? 0 : key_text(&parts, text);
	const uint8_t *known = len == 0 ? NULL : cached_key(signer->cache, lab_view_of(text, len));
	struct sigv4_key_cache_entry *entry;

	if (known != NULL) {
		memcpy(key, known, SIGV4_KEY_SIZE);
		return;
	}
	sigv4_signing_key(
		signer->credentials->secret_access_key, date, signer->region, signer->service, key);
	if (len == 0)
		return;
	entry = &signer->cache->entries[signer->cache->next];
	signer->cache->next = (signer->cache->next + 1) % SIGV4_CACHE_ENTRIES;
	memcpy(entry->text, text, len);
	entry->len = len;
	memcpy(entry->key, key, SIGV4_KEY_SIZE);
}

/* ---- signing ---- */

static bool is_signed_header(struct lab_view name)
{
	return lab_view_eq_nocase(name, LAB_VIEW("content-type")) ||
	       lab_view_eq_nocase(name, LAB_VIEW("content-md5")) ||
	       lab_view_eq_nocase(lab_view_sub(name, 0, 6), LAB_VIEW("x-amz-"));
}

static struct lab_view lower_copy(struct lab_arena *arena, struct lab_view text)
{
	uint8_t *copy = lab_arena_alloc(arena, text.len + 1);

	for (size_t i = 0; i < text.len; i++)
		copy[i] = lower(text.ptr[i]);
	return lab_view_of(copy, text.len);
}

/* Inserts into a sorted list without repeats. */
static void insert_name(struct lab_view *names, size_t *count, struct lab_view name)
{
	size_t at = *count;

	while (at > 0) {
		int order = lab_view_cmp(names[at - 1], name);

		if (order == 0)
			return;
		if (order < 0)
			break;
		at--;
	}
	memmove(names + at + 1, names + at, (*count - at) * sizeof(*names));
	names[at] = name;
	(*count)++;
}

static struct lab_view signed_header_list(
	const struct lab_http_request *request, struct lab_arena *arena)
{
	struct lab_view names[LAB_HTTP_HEADERS_MAX + 1] = { LAB_VIEW("host") };
	size_t count = 1, size = 0, len = 0;
	uint8_t *list;

	for (size_t i = 0; i < request->headers.count; i++) {
		struct lab_view name = request->headers.items[i].name;

		if (is_signed_header(name))
			insert_name(names, &count, lower_copy(arena, name));
	}
	for (size_t i = 0; i < count; i++)
		size += names[i].len + 1;
	list = lab_arena_alloc(arena, size);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			list[len++] = ';';
		memcpy(list + len, names[i].ptr, names[i].len);
		len += names[i].len;
	}
	return lab_view_of(list, len);
}

static struct lab_view signer_scope(
	const struct sigv4_signer *signer, struct lab_view amz_date, struct lab_arena *arena)
{
	return lab_view_cstr(lab_arena_printf(arena, "%.*s/%.*s/%.*s/" TERMINATOR, DATE_LEN,
		(const char *)amz_date.ptr, LAB_VIEW_ARG(signer->region),
		LAB_VIEW_ARG(signer->service)));
}

struct signing {
	struct lab_view amz_date, scope, signed_headers, payload_hash;
};

static int sign(const struct lab_http_request *request, const struct sigv4_signer *signer,
	const struct signing *signing, char signature[SIGV4_HEX_SIZE], struct lab_error *err)
{
	struct lab_buf canonical, text;
	uint8_t key[SIGV4_KEY_SIZE];
	int result;

	lab_buf_init(&canonical, signer->heap, CANONICAL_MAX);
	lab_buf_init(&text, signer->heap, CANONICAL_MAX);
	result = sigv4_canonical_request(
		request, signing->signed_headers, signing->payload_hash, &canonical, err);
	if (result == 0) {
		sigv4_string_to_sign(
			signing->amz_date, signing->scope, lab_buf_view(&canonical), &text);
		signer_key(signer, lab_view_sub(signing->amz_date, 0, DATE_LEN), key);
		sigv4_signature(key, lab_buf_view(&text), signature);
	}
	lab_buf_done(&text);
	lab_buf_done(&canonical);
	return result;
}

static struct lab_view amz_date_text(int64_t now_unix, struct lab_arena *arena)
{
	char text[LAB_DATE_TEXT_MAX];

	lab_date_iso_basic(now_unix, text);
	return lab_arena_copy(arena, lab_view_cstr(text));
}

/* What the caller says of the body (UNSIGNED-PAYLOAD, ...), or its hash, added as a header. */
static struct lab_view header_payload_hash(
	struct lab_http_request *request, struct lab_arena *arena)
{
	static const char name[] = "x-amz-content-sha256";
	struct lab_view given = lab_http_header_get(&request->headers, name);
	char hash[SIGV4_HEX_SIZE];

	if (given.ptr != NULL)
		return lab_view_trim(given);
	sigv4_payload_hash(request->body, hash);
	given = lab_arena_copy(arena, lab_view_cstr(hash));
	lab_http_header_add(&request->headers, lab_view_cstr(name), given);
	return given;
}

int sigv4_sign_headers(struct lab_http_request *request, const struct sigv4_signer *signer,
	struct lab_arena *arena, struct lab_error *err)
{
	char signature[SIGV4_HEX_SIZE];
	struct signing signing;

	if (request->headers.count + 3 > LAB_HTTP_HEADERS_MAX)
		return lab_fail(err, LAB_LIMIT, "too many headers to sign the request");
	signing.amz_date = amz_date_text(signer->now_unix, arena);
	lab_http_header_add(&request->headers, LAB_VIEW("x-amz-date"), signing.amz_date);
	signing.payload_hash = header_payload_hash(request, arena);
	signing.scope = signer_scope(signer, signing.amz_date, arena);
	signing.signed_headers = signed_header_list(request, arena);
	if (sign(request, signer, &signing, signature, err) < 0)
		return -1;
	lab_http_header_add(&request->headers, LAB_VIEW("Authorization"),
		lab_view_cstr(lab_arena_printf(arena,
			SIGV4_ALGORITHM " Credential=%.*s/%.*s, SignedHeaders=%.*s, Signature=%s",
			LAB_VIEW_ARG(signer->credentials->access_key_id),
			LAB_VIEW_ARG(signing.scope), LAB_VIEW_ARG(signing.signed_headers),
			signature)));
	return 0;
}

static void append_presign_parameters(struct lab_buf *out, const struct sigv4_signer *signer,
	const struct signing *signing, unsigned expires_seconds)
{
	lab_buf_append_cstr(out, "X-Amz-Algorithm=" SIGV4_ALGORITHM "&X-Amz-Credential=");
	lab_buf_append_percent(out, signer->credentials->access_key_id, false);
	lab_buf_append_cstr(out, "%2F");
	lab_buf_append_percent(out, signing->scope, false);
	lab_buf_printf(out, "&X-Amz-Date=%.*s&X-Amz-Expires=%u&X-Amz-SignedHeaders=%.*s",
		LAB_VIEW_ARG(signing->amz_date), expires_seconds,
		LAB_VIEW_ARG(signing->signed_headers));
	if (signer->credentials->token.ptr != NULL) {
		lab_buf_append_cstr(out, "&X-Amz-Security-Token=");
		lab_buf_append_percent(out, signer->credentials->token, false);
	}
}

int sigv4_presign(struct lab_http_request *request, const struct sigv4_signer *signer,
	unsigned expires_seconds, struct lab_view payload_hash, struct lab_arena *arena,
	struct lab_error *err)
{
	bool has_query = lab_view_find_byte(request->target, '?') != SIZE_MAX;
	struct lab_http_request unsigned_request = *request;
	char signature[SIGV4_HEX_SIZE];
	struct signing signing;
	struct lab_buf target;
	int result = -1;

	if (expires_seconds > SIGV4_EXPIRES_MAX)
		return lab_fail(err, LAB_INVALID, "a presigned URL may live at most %d seconds",
			SIGV4_EXPIRES_MAX);
	signing.amz_date = amz_date_text(signer->now_unix, arena);
	signing.scope = signer_scope(signer, signing.amz_date, arena);
	signing.signed_headers = LAB_VIEW("host");
	signing.payload_hash = payload_hash;
	lab_buf_init(&target, signer->heap, CANONICAL_MAX);
	lab_buf_append_view(&target, request->target);
	lab_buf_append_byte(&target, has_query ? '&' : '?');
	append_presign_parameters(&target, signer, &signing, expires_seconds);
	unsigned_request.target = lab_buf_view(&target);
	if (target.overflow)
		lab_fail(err, LAB_LIMIT, "the request is too long to sign");
	else
		result = sign(&unsigned_request, signer, &signing, signature, err);
	if (result == 0) {
		lab_buf_append_cstr(&target, "&X-Amz-Signature=");
		lab_buf_append_cstr(&target, signature);
		request->target = lab_arena_copy(arena, lab_buf_view(&target));
	}
	lab_buf_done(&target);
	return result;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * request.c - from a request to a bucket and a key (s3 1.1, 1.3). Keys are decoded once and never
 * normalised.
 */
#include "sim/s3-emulator/s3-emulator-private.h"

struct lab_view s3emu_request_header(const struct s3emu_exchange *x, const char *name)
{
	const struct lab_http_headers *headers = &x->request->headers;
	struct lab_view wanted = lab_view_cstr(name), value = lab_view_of(NULL, 0);
	size_t i;

	for (i = 0; i < headers->count; i++) {
		if (!lab_view_eq_nocase(headers->items[i].name, wanted))
			continue;
		if (value.ptr == NULL)
			value = headers->items[i].value;
		else
			value = lab_view_cstr(lab_arena_printf(x->arena, "%.*s,%.*s",
				LAB_VIEW_ARG(value), LAB_VIEW_ARG(headers->items[i].value)));
	}
	return value;
}

const struct s3emu_param *s3emu_param(const struct s3emu_exchange *x, const char *name)
{
	size_t i;

	for (i = 0; i < x->param_count; i++) {
		if (lab_view_eq_cstr(x->params[i].name, name))
			return &x->params[i];
	}
	return NULL;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int s3emu_unpercent(struct lab_arena *arena, struct lab_view text, bool plus, struct lab_view *ret)
{
	uint8_t *out;
	size_t i, len = 0;

	if (lab_view_find_byte(text, '%') == SIZE_MAX &&
		(!plus || lab_view_find_byte(text, '+') == SIZE_MAX)) {
		*ret = text;
		return 0;
	}
	out = lab_arena_alloc(arena, text.len);
	for (i = 0; i < text.len; i++) {
		int high, low;

		if (text.ptr[i] != '%') {
			out[len++] = plus && text.ptr[i] == '+' ? ' ' : text.ptr[i];
			continue;
		}
		if (text.len - i < 3)
			return -1;
		high = hex_digit(text.ptr[i + 1]);
		low = hex_digit(text.ptr[i + 2]);
		if (high < 0 || low < 0)
			return -1;
		out[len++] = (uint8_t)(high * 16 + low);
		i += 2;
	}
	*ret = lab_view_of(out, len);
	return 0;
}

/* How many bytes follow this first one; -1 if none can. */
static int utf8_more(uint8_t c)
{
	if (c < 0x80)
		return 0;
	if (c >= 0xc2 && c <= 0xdf)
		return 1;
	if (c >= 0xe0 && c <= 0xef)
		return 2;
	return c >= 0xf0 && c <= 0xf4 ? 3 : -1;
}

/* Overlong forms, surrogates and what is beyond U+10FFFF show in the second byte. */
static bool utf8_second_ok(uint8_t first, uint8_t second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0;
	case 0xed:
		return second < 0xa0;
	case 0xf0:
		return second >= 0x90;
	case 0xf4:
		return second < 0x90;
	default:
		return true;
	}
}

bool s3emu_is_utf8(struct lab_view text)
{
	size_t i = 0;

	while (i < text.len) {
		uint8_t first = text.ptr[i++];
		int more = utf8_more(first);

		if (more < 0 || text.len - i < (size_t)more)
			return false;
		if (more > 0 && !utf8_second_ok(first, text.ptr[i]))
			return false;
		for (; more > 0; more--) {
			if ((text.ptr[i++] & 0xc0) != 0x80)
				return false;
		}
	}
	return true;
}

/* ---- the host ---- */

static bool is_ip_address(struct lab_view host)
{
	size_t i, dots = 0;

	if (host.len > 0 && host.ptr[0] == '[')
		return true;
	for (i = 0; i < host.len; i++) {
		if (host.ptr[i] == '.')
			dots++;
		else if (host.ptr[i] < '0' || host.ptr[i] > '9')
			return false;
	}
	return dots == 3;
}

/* Letters, digits, '-' and '.' between two of the former; no two dots in a row. */
static bool bucket_chars_ok(struct lab_view name)
{
	size_t i;

	for (i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		bool inside = i > 0 && i < name.len - 1;

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			continue;
		if (!inside || (c != '-' && c != '.') || (c == '.' && name.ptr[i + 1] == '.'))
			return false;
	}
	return true;
}

bool s3emu_bucket_name_ok(struct lab_view name)
{
	if (name.len < 3 || name.len > 63 || is_ip_address(name) || !bucket_chars_ok(name))
		return false;
	return !lab_view_starts_with(name, LAB_VIEW("xn--")) &&
	       !lab_view_ends_with(name, LAB_VIEW("-s3alias")) &&
	       !lab_view_ends_with(name, LAB_VIEW("--ol-s3"));
}

static struct lab_view lower_host(struct s3emu_exchange *x)
{
	struct lab_view host = x->request->authority;
	struct lab_view last = host;
	uint8_t *lower;
	size_t i;

	if (host.len > 0 && host.ptr[0] == '[')
		return host;
	i = lab_view_find_byte(last, ':');
	if (i != SIZE_MAX)
		host.len = i;
	for (i = 0; i < host.len && (host.ptr[i] < 'A' || host.ptr[i] > 'Z'); i++)
		;
	if (i == host.len)
		return host;
	lower = lab_arena_alloc(x->arena, host.len);
	for (i = 0; i < host.len; i++) {
		uint8_t c = host.ptr[i];

		lower[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
	}
	return lab_view_of(lower, host.len);
}

/* The bucket that the host names, or ptr NULL for path style. */
static struct lab_view host_bucket(struct s3emu_exchange *x)
{
	const struct s3emu_options *options = &x->s3->options;
	struct lab_view host = lower_host(x);
	size_t i;

	for (i = 0; i < options->endpoint_count; i++) {
		struct lab_view endpoint = options->endpoints[i];

		if (lab_view_eq(host, endpoint))
			return lab_view_of(NULL, 0);
	}
	for (i = 0; i < options->endpoint_count; i++) {
		struct lab_view endpoint = options->endpoints[i];
		size_t bucket_len = host.len - endpoint.len - 1;

		if (host.len > endpoint.len + 1 && lab_view_ends_with(host, endpoint) &&
			host.ptr[bucket_len] == '.')
			return lab_view_sub(host, 0, bucket_len);
	}
	if (host.len == 0 || is_ip_address(host) || !options->cname)
		return lab_view_of(NULL, 0);
	return host;
}

/* ---- the target ---- */

static int invalid_uri(struct s3emu_exchange *x)
{
	(void)s3emu_fail(x, S3EMU_INVALID_URI);
	/* As sent: it may be no text. */
	if (s3emu_is_utf8(x->request->target))
		s3emu_detail(x, "URI", lab_view_sub(x->request->target, 0, S3EMU_KEY_MAX));
	return -1;
}

static int parse_query(struct s3emu_exchange *x)
{
	struct lab_view rest = x->raw_query, part;

	if (rest.len == 0)
		return 0;
	while (lab_view_split(&rest, '&', &part)) {
		struct s3emu_param *param = &x->params[x->param_count];
		size_t equals = lab_view_find_byte(part, '=');
		struct lab_view value = lab_view_of(NULL, 0);

		if (part.len == 0)
			continue;
		if (x->param_count == S3EMU_PARAMS_MAX)
			return invalid_uri(x);
		param->has_value = equals != SIZE_MAX;
		if (param->has_value) {
			value = lab_view_skip(part, equals + 1);
			part.len = equals;
		}
		if (s3emu_unpercent(x->arena, part, true, &param->name) < 0 ||
			s3emu_unpercent(x->arena, value, true, &param->value) < 0)
			return invalid_uri(x);
		x->param_count++;
	}
	return 0;
}

/* "http://host/path", as proxies send it. */
static struct lab_view strip_absolute(struct lab_view target)
{
	size_t slash;

	if (lab_view_starts_with(target, LAB_VIEW("http://")))
		target = lab_view_skip(target, 7);
	else if (lab_view_starts_with(target, LAB_VIEW("https://")))
		target = lab_view_skip(target, 8);
	else
		return target;
	slash = lab_view_find_byte(target, '/');
	return slash == SIZE_MAX ? LAB_VIEW("/") : lab_view_skip(target, slash);
}

static int parse_key(struct s3emu_exchange *x, struct lab_view raw)
{
	if (s3emu_unpercent(x->arena, raw, false, &x->key) < 0 || !s3emu_is_utf8(x->key))
		return invalid_uri(x);
	if (x->key.len > S3EMU_KEY_MAX) {
		char *size = lab_arena_printf(x->arena, "%zu", x->key.len);

		(void)s3emu_fail(x, S3EMU_KEY_TOO_LONG);
		s3emu_detail(x, "Size", lab_view_cstr(size));
		s3emu_detail(x, "MaxSizeAllowed", LAB_VIEW("1024"));
		return -1;
	}
	return 0;
}

static int parse_path(struct s3emu_exchange *x)
{
	struct lab_view path = lab_view_skip(x->raw_path, 1);
	size_t slash;

	x->bucket_name = host_bucket(x);
	x->virtual_host = x->bucket_name.ptr != NULL;
	if (!x->virtual_host) {
		if (path.len == 0)
			return 0;
		slash = lab_view_find_byte(path, '/');
		if (s3emu_unpercent(
			    x->arena, lab_view_sub(path, 0, slash), false, &x->bucket_name) < 0)
			return invalid_uri(x);
		path = slash == SIZE_MAX ? lab_view_of(NULL, 0) : lab_view_skip(path, slash + 1);
	}
	if (!s3emu_bucket_name_ok(x->bucket_name)) {
		(void)s3emu_fail(x, S3EMU_INVALID_BUCKET_NAME);
		s3emu_detail(x, "BucketName", x->bucket_name);
		return -1;
	}
	return parse_key(x, path);
}

/* "bucket/key": what is on the wire, if nothing was decoded. */
static void make_subject(struct s3emu_exchange *x)
{
	struct lab_view subject = x->bucket_name;
	uint8_t *text;

	if (x->key.len > 0 && subject.ptr == x->raw_path.ptr + 1 &&
		x->key.ptr == subject.ptr + subject.len + 1) {
		subject.len += 1 + x->key.len;
	} else if (x->key.len > 0) {
		text = lab_arena_alloc(x->arena, subject.len + 1 + x->key.len);
		memcpy(text, subject.ptr, subject.len);
		text[subject.len] = '/';
		memcpy(text + subject.len + 1, x->key.ptr, x->key.len);
		subject = lab_view_of(text, subject.len + 1 + x->key.len);
	}
	x->subject = subject;
}

/* ---- the rest of the header ---- */

static int check_header_size(struct s3emu_exchange *x)
{
	const struct lab_http_headers *headers = &x->request->headers;
	size_t i, bytes = 0;

	for (i = 0; i < headers->count; i++)
		bytes += headers->items[i].name.len + headers->items[i].value.len;
	if (bytes > S3EMU_HEADERS_MAX) {
		(void)s3emu_fail(x, S3EMU_REQUEST_HEADERS_TOO_LARGE);
		s3emu_detail(x, "MaxSizeAllowed", LAB_VIEW("8192"));
		return -1;
	}
	return 0;
}

static int check_length(struct s3emu_exchange *x)
{
	struct lab_view length = s3emu_request_header(x, "Content-Length");
	struct lab_view coding = s3emu_request_header(x, "Transfer-Encoding");
	bool has_body = lab_view_eq_cstr(x->request->method, "PUT") ||
			lab_view_eq_cstr(x->request->method, "POST");
	uint64_t bytes;

	if (length.ptr == NULL) {
		/* aws-chunked over HTTP chunking says its length elsewhere (s3 1.10). */
		if (coding.ptr != NULL && has_body && !s3emu_payload_is_chunked(x))
			return s3emu_fail(x, S3EMU_MISSING_CONTENT_LENGTH);
		return 0;
	}
	if (lab_view_to_u64(lab_view_trim(length), &bytes) < 0)
		return s3emu_fail(x, S3EMU_BAD_REQUEST);
	if (bytes > x->request->body.len)
		return s3emu_fail(x, S3EMU_INCOMPLETE_BODY);
	return bytes < x->request->body.len ? s3emu_fail(x, S3EMU_BAD_REQUEST) : 0;
}

int s3emu_parse(struct s3emu_exchange *x)
{
	struct lab_view target = strip_absolute(x->request->target);
	size_t mark;

	x->head = lab_view_eq_cstr(x->request->method, "HEAD");
	x->op = S3EMU_OP_UNAVAILABLE;
	x->body = x->request->body;
	if (target.len == 0 || target.ptr[0] != '/' || target.len > S3EMU_TARGET_MAX)
		return invalid_uri(x);
	mark = lab_view_find_byte(target, '?');
	x->raw_path = lab_view_sub(target, 0, mark);
	x->raw_query = mark == SIZE_MAX ? lab_view_of(NULL, 0) : lab_view_skip(target, mark + 1);
	if (check_header_size(x) < 0 || parse_query(x) < 0 || parse_path(x) < 0)
		return -1;
	make_subject(x);
	return s3emu_route(x) < 0 ? -1 : check_length(x);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/front-end/http-parse.h"

/* Letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 5.6.2), a bit for each byte. */
static bool is_token_byte(uint8_t byte)
{
	static const uint64_t bits[4] = { UINT64_C(0x03ff6cfa00000000),
		UINT64_C(0x57ffffffc7fffffe), 0, 0 };

	return (bits[byte >> 6] >> (byte & 63) & 1) != 0;
}

static bool is_token(struct lab_view text)
{
	bool good = text.len > 0;

	for (size_t i = 0; i < text.len; i++)
		good &= is_token_byte(text.ptr[i]);
	return good;
}

/* No control characters; a tab only where `tab`. Bytes above 127 are let through: what they mean is
 * the service's to say. */
static bool is_text(struct lab_view text, bool tab)
{
	bool good = true;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = text.ptr[i];

		good &= (byte >= 0x20 || (tab && byte == '\t')) && byte != 0x7f;
	}
	return good;
}

static struct lab_view trim_blanks(struct lab_view text)
{
	while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
		text = lab_view_skip(text, 1);
	while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/* The line at *at without its CRLF; *at goes behind it. 1: not complete; -1: a bare LF. */
static int next_line(struct lab_view data, size_t *at, struct lab_view *ret)
{
	size_t from = *at;
	const uint8_t *end =
		from < data.len ? memchr(data.ptr + from, '\n', data.len - from) : NULL;
	size_t len;

	if (end == NULL)
		return 1;
	len = (size_t)(end - (data.ptr + from));
	if (len == 0 || end[-1] != '\r')
		return -1;
	*ret = lab_view_of(data.ptr + from, len - 1);
	*at = from + len + 1;
	return 0;
}

int http_head_find(struct lab_view data, size_t *at)
{
	struct lab_view line;
	int rc;

	while ((rc = next_line(data, at, &line)) == 0) {
		if (line.len == 0)
			return 0;
	}
	return rc;
}

/* ---- the request line ---- */

static int refuse(enum sim_http_refusal why, enum sim_http_refusal *ret_why)
{
	*ret_why = why;
	return -1;
}

static int parse_version(
	struct lab_view text, struct http_head *head, enum sim_http_refusal *ret_why)
{
	head->version_1_0 = lab_view_eq_cstr(text, "HTTP/1.0");
	if (head->version_1_0 || lab_view_eq_cstr(text, "HTTP/1.1"))
		return 0;
	return refuse(lab_view_starts_with(text, LAB_VIEW("HTTP/")) ? SIM_REFUSE_VERSION
								    : SIM_REFUSE_MALFORMED,
		ret_why);
}

static int parse_request_line(
	struct lab_view line, struct http_head *head, enum sim_http_refusal *ret_why)
{
	size_t first = lab_view_find_byte(line, ' '), last = line.len;
	struct lab_view method = lab_view_sub(line, 0, first);

	if (first == SIZE_MAX || method.len > HTTP_METHOD_MAX || !is_token(method))
		return refuse(SIM_REFUSE_MALFORMED, ret_why);
	head->request.method = method;
	while (line.ptr[last - 1] != ' ')
		last--;
	if (last <= first + 1)
		return refuse(SIM_REFUSE_MALFORMED, ret_why);
	head->request.target = lab_view_sub(line, first + 1, last - first - 2);
	if (head->request.target.len == 0 || !is_text(head->request.target, false) ||
		lab_view_find_byte(head->request.target, ' ') != SIZE_MAX)
		return refuse(SIM_REFUSE_URI, ret_why);
	return parse_version(lab_view_skip(line, last), head, ret_why);
}

/* ---- headers ---- */

static int split_header(
	struct lab_view line, struct lab_http_header *ret, enum sim_http_refusal *ret_why)
{
	size_t colon = lab_view_find_byte(line, ':');

	ret->name = lab_view_sub(line, 0, colon);
	if (colon == SIZE_MAX || !is_token(ret->name))
		return refuse(SIM_REFUSE_MALFORMED, ret_why);
	ret->value = trim_blanks(lab_view_skip(line, colon + 1));
	return is_text(ret->value, true) ? 0 : refuse(SIM_REFUSE_MALFORMED, ret_why);
}

static int take_length(
	struct http_head *head, struct lab_view value, enum sim_http_refusal *ret_why)
{
	/* Also two that agree: nobody means to send them. */
	if (head->has_length || lab_view_to_u64(value, &head->length) < 0)
		return refuse(SIM_REFUSE_LENGTH, ret_why);
	head->has_length = true;
	return 0;
}

static int take_coding(
	struct http_head *head, struct lab_view value, enum sim_http_refusal *ret_why)
{
	if (head->chunked)
		return refuse(SIM_REFUSE_MALFORMED, ret_why);
	if (!lab_view_eq_nocase(value, LAB_VIEW("chunked")))
		return refuse(SIM_REFUSE_CODING, ret_why);
	head->chunked = true;
	return 0;
}

static void take_connection(struct http_head *head, struct lab_view value)
{
	struct lab_view part;

	while (lab_view_split(&value, ',', &part)) {
		part = trim_blanks(part);
		head->close |= lab_view_eq_nocase(part, LAB_VIEW("close"));
		head->keep_alive |= lab_view_eq_nocase(part, LAB_VIEW("keep-alive"));
	}
}

/* What HTTP itself goes by. The service gets all but Host and Content-Length as well. */
static int take_header(struct http_head *head, const struct lab_http_header *header,
	enum sim_http_refusal *ret_why)
{
	struct lab_view name = header->name, value = header->value;

	if (name.len == 4 && lab_view_eq_nocase(name, LAB_VIEW("Host"))) {
		if (head->request.authority.ptr != NULL)
			return refuse(SIM_REFUSE_MALFORMED, ret_why);
		head->request.authority = value;
		return 0;
	}
	if (name.len == 14 && lab_view_eq_nocase(name, LAB_VIEW("Content-Length")))
		return take_length(head, value, ret_why);
	if (name.len == 17 && lab_view_eq_nocase(name, LAB_VIEW("Transfer-Encoding")) &&
		take_coding(head, value, ret_why) < 0)
		return -1;
	if (name.len == 10 && lab_view_eq_nocase(name, LAB_VIEW("Connection")))
		take_connection(head, value);
	if (name.len == 6 && lab_view_eq_nocase(name, LAB_VIEW("Expect")))
		head->expects |= lab_view_eq_nocase(value, LAB_VIEW("100-continue"));
	return lab_http_header_add(&head->request.headers, name, value) < 0
		       ? refuse(SIM_REFUSE_HEADERS, ret_why)
		       : 0;
}

/* What must hold between the headers. */
static int check_head(const struct http_head *head, enum sim_http_refusal *ret_why)
{
	if (head->request.authority.ptr == NULL && !head->version_1_0)
		return refuse(SIM_REFUSE_MALFORMED, ret_why);
	if (head->chunked && (head->has_length || head->version_1_0))
		return refuse(SIM_REFUSE_MALFORMED, ret_why);
	return 0;
}

static void head_reset(struct http_head *head)
{
	head->request.method = head->request.target = lab_view_of(NULL, 0);
	head->request.authority = head->request.body = lab_view_of(NULL, 0);
	head->request.tls = false;
	head->request.headers.count = 0;
	head->version_1_0 = head->close = head->keep_alive = false;
	head->expects = head->chunked = head->has_length = false;
	head->length = 0;
}

int http_head_parse(struct lab_view data, struct http_head *ret, enum sim_http_refusal *ret_why)
{
	struct lab_http_header header;
	struct lab_view line;
	size_t at = 0;

	head_reset(ret);
	if (next_line(data, &at, &line) != 0)
		return refuse(SIM_REFUSE_MALFORMED, ret_why);
	if (parse_request_line(line, ret, ret_why) < 0)
		return -1;
	while (next_line(data, &at, &line) == 0 && line.len > 0) {
		if (split_header(line, &header, ret_why) < 0 ||
			take_header(ret, &header, ret_why) < 0)
			return -1;
	}
	if (at != data.len || line.len > 0)
		return refuse(SIM_REFUSE_MALFORMED, ret_why);
	return check_head(ret, ret_why);
}

static bool is_framing(struct lab_view name)
{
	static const char *const names[] = { "Content-Length", "Transfer-Encoding", "Host",
		"Connection", "Expect", "Trailer", "Authorization", "Content-Encoding",
		"Content-Type", "Range" };

	for (size_t i = 0; i < LAB_COUNT_OF(names); i++) {
		if (lab_view_eq_nocase(name, lab_view_cstr(names[i])))
			return true;
	}
	return false;
}

int http_trailers_parse(
	struct lab_view trailers, struct lab_http_headers *headers, enum sim_http_refusal *ret_why)
{
	struct lab_http_header header;
	struct lab_view line;
	size_t at = 0;

	while (next_line(trailers, &at, &line) == 0) {
		if (split_header(line, &header, ret_why) < 0)
			return -1;
		if (is_framing(header.name))
			return refuse(SIM_REFUSE_MALFORMED, ret_why);
		if (lab_http_header_add(headers, header.name, header.value) < 0)
			return refuse(SIM_REFUSE_HEADERS, ret_why);
	}
	return 0;
}

/* ---- chunks ---- */

static int hex_digit(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

/* "1000" or "1000;name=value". Sizes of more than 15 digits are nobody's. */
static int parse_chunk_size(struct lab_view line, uint64_t *ret)
{
	uint64_t size = 0;
	size_t digits = 0;

	while (digits < line.len && digits < 16 && hex_digit(line.ptr[digits]) >= 0)
		size = size << 4 | (uint64_t)hex_digit(line.ptr[digits++]);
	if (digits == 0 || digits == 16)
		return -1;
	line = trim_blanks(lab_view_skip(line, digits));
	if (line.len > 0 && (line.ptr[0] != ';' || !is_text(line, true)))
		return -1;
	*ret = size;
	return 0;
}

static int take_line(struct lab_view *data, struct lab_view *ret_line, size_t max)
{
	size_t at = 0;
	int rc = next_line(*data, &at, ret_line);

	if (rc == 1)
		return data->len > max ? -1 : 1;
	if (rc == 0)
		*data = lab_view_skip(*data, at);
	return rc;
}

static int chunk_size(struct http_chunks *chunks, struct lab_view *data)
{
	struct lab_view line;
	int rc = take_line(data, &line, HTTP_CHUNK_LINE_MAX);

	if (rc != 0)
		return rc;
	if (parse_chunk_size(line, &chunks->left) < 0)
		return -1;
	chunks->state = chunks->left > 0 ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILERS;
	return 0;
}

static int chunk_trailer(
	struct http_chunks *chunks, struct lab_view *data, struct lab_view *ret_piece)
{
	struct lab_view line;
	int rc = take_line(data, &line, HTTP_TRAILERS_MAX);

	if (rc != 0)
		return rc;
	if (line.len == 0)
		chunks->state = HTTP_CHUNK_DONE;
	else
		*ret_piece = lab_view_of(line.ptr, line.len + 2);
	return 0;
}

static int chunk_data_end(struct http_chunks *chunks, struct lab_view *data)
{
	if (data->len > 0 && data->ptr[0] != '\r')
		return -1;
	if (data->len < 2)
		return 1;
	if (data->ptr[1] != '\n')
		return -1;
	*data = lab_view_skip(*data, 2);
	chunks->state = HTTP_CHUNK_SIZE;
	return 0;
}

int http_chunks_next(struct http_chunks *chunks, struct lab_view *data, struct lab_view *ret_piece)
{
	*ret_piece = lab_view_of(NULL, 0);
	switch (chunks->state) {
	case HTTP_CHUNK_SIZE:
		return chunk_size(chunks, data);
	case HTTP_CHUNK_DATA:
		if (data->len == 0)
			return 1;
		*ret_piece = lab_view_sub(*data, 0, (size_t)LAB_MIN(chunks->left, data->len));
		*data = lab_view_skip(*data, ret_piece->len);
		chunks->left -= ret_piece->len;
		if (chunks->left == 0)
			chunks->state = HTTP_CHUNK_DATA_END;
		return 0;
	case HTTP_CHUNK_DATA_END:
		return chunk_data_end(chunks, data);
	case HTTP_CHUNK_TRAILERS:
		return chunk_trailer(chunks, data, ret_piece);
	case HTTP_CHUNK_DONE:
		break;
	}
	lab_bug("the body has ended");
}

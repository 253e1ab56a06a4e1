/* SPDX-License-Identifier: Apache-2.0
 *
 * reply.c - the form of every answer: common headers, request ids, error XML (s3 1.2, 1.6, 2.2).
 */
#include "sim/s3-emulator/s3-emulator-private.h"

static const struct s3emu_error_entry {
	unsigned status;
	const char *code, *message;
} errors[] = {
#define X(name, status, code, message) [S3EMU_##name] = { status, code, message },
#include "sim/s3-emulator/errors.def"
#undef X
};
_Static_assert(LAB_COUNT_OF(errors) == S3EMU_ERROR_COUNT, "every error has its entry");

const char *s3emu_error_code(enum s3emu_error_id id)
{
	return errors[id].code;
}

const char *s3emu_error_message(enum s3emu_error_id id)
{
	return errors[id].message;
}

const char *s3emu_error_message_of(const char *code)
{
	size_t i;

	for (i = 0; i < S3EMU_ERROR_COUNT; i++) {
		if (strcmp(errors[i].code, code) == 0)
			return errors[i].message;
	}
	return NULL;
}

int s3emu_fail_text(struct s3emu_exchange *x, enum s3emu_error_id id, const char *message)
{
	x->error.code = errors[id].code;
	x->error.message = message;
	x->error.status = errors[id].status;
	x->error.detail_count = 0;
	return -1;
}

int s3emu_fail(struct s3emu_exchange *x, enum s3emu_error_id id)
{
	return s3emu_fail_text(x, id, errors[id].message);
}

int s3emu_fail_argument(
	struct s3emu_exchange *x, const char *name, struct lab_view value, const char *message)
{
	(void)s3emu_fail_text(x, S3EMU_INVALID_ARGUMENT, message);
	s3emu_detail(x, "ArgumentName", lab_view_cstr(name));
	s3emu_detail(x, "ArgumentValue", value);
	return -1;
}

void s3emu_detail(struct s3emu_exchange *x, const char *name, struct lab_view value)
{
	lab_assert(x->error.detail_count < LAB_COUNT_OF(x->error.details));
	x->error.details[x->error.detail_count].name = name;
	x->error.details[x->error.detail_count].value = value;
	x->error.detail_count++;
}

void s3emu_detail_u64(struct s3emu_exchange *x, const char *name, uint64_t value)
{
	s3emu_detail(x, name, lab_view_cstr(lab_arena_printf(x->arena, "%" PRIu64, value)));
}

/* The first code of the table with that status. */
static const struct s3emu_error_entry *usual_error(unsigned status)
{
	size_t i;

	for (i = 0; i < S3EMU_ERROR_COUNT; i++) {
		if (errors[i].status == status)
			return &errors[i];
	}
	return &errors[S3EMU_INTERNAL_ERROR];
}

static unsigned usual_status(const char *code)
{
	size_t i;

	for (i = 0; i < S3EMU_ERROR_COUNT; i++) {
		if (strcmp(errors[i].code, code) == 0)
			return errors[i].status;
	}
	return 500;
}

int s3emu_fail_fault(struct s3emu_exchange *x)
{
	const char *code = x->fault.code;
	unsigned status = x->fault.status;
	const char *message;

	if (status == 0)
		status = code != NULL ? usual_status(code) : 500;
	if (code == NULL)
		code = usual_error(status)->code;
	message = s3emu_error_message_of(code);
	x->error.code = code;
	x->error.message = message != NULL ? message : code;
	x->error.status = status;
	x->error.detail_count = 0;
	if (status == 301 || status == 307) {
		s3emu_detail(x, "Endpoint", x->request->authority);
		s3emu_detail(x, "Bucket", x->bucket_name);
	}
	return -1;
}

/* ---- headers ---- */

void s3emu_header_view(struct s3emu_exchange *x, struct lab_view name, struct lab_view value)
{
	/* S3EMU_STORED_HEADERS_MAX leaves room for all of ours. */
	int ret = lab_http_header_add(&x->out.response.headers, name, value);

	lab_assert(ret == 0);
}

void s3emu_header(struct s3emu_exchange *x, const char *name, struct lab_view value)
{
	s3emu_header_view(x, lab_view_cstr(name), value);
}

/* Both are bijections or hashes of the request's number, so the first is unique by itself. */
static void make_ids(struct s3emu_exchange *x)
{
	static const char base36[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char base64[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint64_t unique = lab_mix64(x->sequence ^ x->s3->id_key);
	uint64_t draw = lab_mix64(unique ^ UINT64_C(0x6964));
	size_t i;

	for (i = 0; i < 13; i++, unique /= 36)
		x->request_id[i] = base36[unique % 36];
	for (; i < 16; i++, draw /= 36)
		x->request_id[i] = base36[draw % 36];
	for (i = 0; i < 76; i++, draw >>= 6) {
		if (i % 10 == 0)
			draw = lab_mix64(draw + x->sequence + i);
		x->host_id[i] = base64[draw & 63];
	}
}

static void make_date(struct s3emu_exchange *x)
{
	struct s3emu *s3 = x->s3;
	int64_t second = s3emu_wall_us(x) / 1000000;

	if (s3->date_second != second || s3->date[0] == '\0') {
		s3->date_second = second;
		lab_date_http(second, s3->date);
	}
	memcpy(x->date, s3->date, sizeof(x->date));
}

/* ---- XML ---- */

void s3emu_xml_begin(struct s3emu_exchange *x, const char *root)
{
	lab_buf_reset(&x->xml);
	lab_buf_append_cstr(&x->xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
	lab_buf_append_cstr(&x->xml, root);
	lab_buf_append_cstr(&x->xml, " xmlns=\"" S3EMU_XMLNS "\">");
}

void s3emu_xml_text(struct s3emu_exchange *x, const char *name, struct lab_view value)
{
	lab_buf_append_byte(&x->xml, '<');
	lab_buf_append_cstr(&x->xml, name);
	lab_buf_append_byte(&x->xml, '>');
	lab_buf_append_xml(&x->xml, value);
	lab_buf_append_cstr(&x->xml, "</");
	lab_buf_append_cstr(&x->xml, name);
	lab_buf_append_byte(&x->xml, '>');
}

void s3emu_xml_u64(struct s3emu_exchange *x, const char *name, uint64_t value)
{
	lab_buf_printf(&x->xml, "<%s>%" PRIu64 "</%s>", name, value, name);
}

void s3emu_xml_time(struct s3emu_exchange *x, const char *name, int64_t unix_us)
{
	char text[LAB_DATE_TEXT_MAX];

	/* S3 keeps whole seconds and shows ".000" (s3 1.3). */
	lab_date_iso_extended(unix_us / 1000000 * 1000, text);
	s3emu_xml_text(x, name, lab_view_cstr(text));
}

int s3emu_xml_end(struct s3emu_exchange *x, const char *root)
{
	lab_buf_append_cstr(&x->xml, "</");
	lab_buf_append_cstr(&x->xml, root);
	lab_buf_append_byte(&x->xml, '>');
	if (x->xml.overflow)
		return s3emu_fail(x, S3EMU_INTERNAL_ERROR);
	x->out.response.status = 200;
	s3emu_header(x, "Content-Type", LAB_VIEW("application/xml"));
	x->out.response.body = lab_buf_view(&x->xml);
	return 0;
}

static void error_xml(struct s3emu_exchange *x)
{
	size_t i;

	lab_buf_reset(&x->xml);
	lab_buf_append_cstr(&x->xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	/* Inside a 200 it comes after what was sent to keep the connection awake. */
	if (x->error.status == 200)
		lab_buf_append_cstr(&x->xml, "     \n     \n");
	lab_buf_append_cstr(&x->xml, "<Error>");
	s3emu_xml_text(x, "Code", lab_view_cstr(x->error.code));
	s3emu_xml_text(x, "Message", lab_view_cstr(x->error.message));
	for (i = 0; i < x->error.detail_count; i++)
		s3emu_xml_text(x, x->error.details[i].name, x->error.details[i].value);
	s3emu_xml_text(x, "RequestId", lab_view_cstr(x->request_id));
	s3emu_xml_text(x, "HostId", lab_view_cstr(x->host_id));
	lab_buf_append_cstr(&x->xml, "</Error>");
	x->out.response.body = lab_buf_view(&x->xml);
}

static const char *reason_of(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = { { 200, "OK" }, { 204, "No Content" }, { 206, "Partial Content" },
		{ 301, "Moved Permanently" }, { 304, "Not Modified" },
		{ 307, "Temporary Redirect" }, { 400, "Bad Request" }, { 403, "Forbidden" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" }, { 409, "Conflict" },
		{ 411, "Length Required" }, { 412, "Precondition Failed" },
		{ 416, "Requested Range Not Satisfiable" }, { 500, "Internal Server Error" },
		{ 501, "Not Implemented" }, { 503, "Service Unavailable" } };
	size_t i;

	for (i = 0; i < LAB_COUNT_OF(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Error";
}

/* Exactly what AWS sends when it throttles (s3 2.2): seven headers, lower case, and a close. */
static void slow_down(struct s3emu_exchange *x)
{
	x->out.wire = SIM_WIRE_ANSWER_CLOSE;
	x->out.response.reason = LAB_VIEW("Slow Down");
	s3emu_header(x, "x-amz-request-id", lab_view_cstr(x->request_id));
	s3emu_header(x, "x-amz-id-2", lab_view_cstr(x->host_id));
	s3emu_header(x, "content-type", LAB_VIEW("application/xml"));
	s3emu_header(x, "transfer-encoding", LAB_VIEW("chunked"));
	s3emu_header(x, "date", lab_view_cstr(x->date));
	s3emu_header(x, "connection", LAB_VIEW("close"));
	s3emu_header(x, "server", LAB_VIEW("AmazonS3"));
}

static void add_number(struct s3emu_exchange *x, const char *name, unsigned number)
{
	s3emu_header(x, name, lab_view_cstr(lab_arena_printf(x->arena, "%u", number)));
}

/* A 307 to the very place that was asked: who follows it finds what it wanted. */
static void add_location(struct s3emu_exchange *x)
{
	s3emu_header(x, "Location",
		lab_view_cstr(lab_arena_printf(x->arena, "%s://%.*s%.*s",
			x->request->tls ? "https" : "http", LAB_VIEW_ARG(x->request->authority),
			LAB_VIEW_ARG(x->request->target))));
}

static void common_headers(struct s3emu_exchange *x)
{
	s3emu_header(x, "x-amz-id-2", lab_view_cstr(x->host_id));
	s3emu_header(x, "x-amz-request-id", lab_view_cstr(x->request_id));
	s3emu_header(x, "Date", lab_view_cstr(x->date));
	s3emu_header(x, "Server", LAB_VIEW("AmazonS3"));
}

static void build_error(struct s3emu_exchange *x)
{
	bool has_body = !x->head && x->error.status != 304 && x->error.status != 204;

	x->out.response.headers.count = 0;
	x->out.response.status = x->error.status;
	x->out.response.reason = lab_view_cstr(reason_of(x->error.status));
	x->out.response.body = lab_view_of(NULL, 0);
	if (has_body)
		error_xml(x);
	if (x->error.status == 503 && x->s3->options.retry_after_s > 0)
		add_number(x, "retry-after", x->s3->options.retry_after_s);
	if (x->error.status == 307)
		add_location(x);
	if (x->error.status == 503 && strcmp(x->error.code, "SlowDown") == 0) {
		slow_down(x);
		return;
	}
	common_headers(x);
	if (has_body)
		s3emu_header(x, "Content-Type", LAB_VIEW("application/xml"));
}

void s3emu_reply_build(struct s3emu_exchange *x)
{
	make_date(x);
	make_ids(x);
	if (x->error.code != NULL) {
		build_error(x);
		return;
	}
	x->out.response.reason = lab_view_cstr(reason_of(x->out.response.status));
	common_headers(x);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/format/mail-source.h"

#include <stdio.h>

#define TOKEN_HEADER "X-Oboxlab-Token: "
#define TOKEN_DIGITS 16
#define LINE_BYTES 72
#define ATTACHMENT_FROM_BYTES 6000

struct mail_source {
	struct lab_view *mails;
	size_t count;
};

static const char *const words[] = { "account", "agenda", "and", "answer", "before", "bucket",
	"budget", "call", "customer", "deliver", "draft", "expunge", "folder", "for", "from",
	"index", "invoice", "letter", "mailbox", "meeting", "message", "minutes", "monday", "node",
	"object", "of", "offer", "order", "please", "project", "quarter", "question", "reply",
	"report", "server", "sincerely", "storage", "the", "thread", "tomorrow", "to", "travel",
	"update", "version", "we", "week", "with", "you" };

/* ---- real mails ---- */

static bool is_separator(struct lab_view line)
{
	return lab_view_starts_with(line, LAB_VIEW("From "));
}

static size_t count_mails(struct lab_view text)
{
	struct lab_view line;
	size_t count = 0;

	while (lab_view_split(&text, '\n', &line))
		count += is_separator(line);
	return count;
}

/* ">From ", ">>From ", ...: one '>' was added when the mail was put into the mbox. */
static bool is_quoted_from(struct lab_view line)
{
	size_t n = 0;

	while (n < line.len && line.ptr[n] == '>')
		n++;
	return n > 0 && is_separator(lab_view_skip(line, n));
}

static struct lab_view take_line(struct lab_view *rest)
{
	size_t end = lab_view_find_byte(*rest, '\n');
	struct lab_view line = lab_view_sub(*rest, 0, end == SIZE_MAX ? end : end + 1);

	*rest = lab_view_skip(*rest, line.len);
	return line;
}

/* The empty line before a separator is not part of the mail. */
static size_t without_last_empty_line(struct lab_view mail)
{
	size_t len = mail.len;

	if (len == 0 || mail.ptr[len - 1] != '\n')
		return len;
	len--;
	if (len > 0 && mail.ptr[len - 1] == '\r')
		len--;
	return len == 0 || mail.ptr[len - 1] == '\n' ? len : mail.len;
}

/* Everything up to the next separator, unquoted. Adds the lines to *ret_lines. */
static struct lab_view take_mail(struct lab_view *rest, struct lab_arena *arena, size_t *ret_lines)
{
	struct lab_view left = *rest, mail;
	uint8_t *out;
	size_t len = 0;

	while (left.len > 0 && !is_separator(left)) {
		(void)take_line(&left);
		(*ret_lines)++;
	}
	mail = lab_view_sub(*rest, 0, rest->len - left.len);
	if (left.len > 0)
		mail.len = without_last_empty_line(mail);
	*rest = left;
	out = lab_arena_alloc(arena, mail.len);
	while (mail.len > 0) {
		struct lab_view line = take_line(&mail);

		if (is_quoted_from(line))
			line = lab_view_skip(line, 1);
		memcpy(out + len, line.ptr, line.len);
		len += line.len;
	}
	return lab_view_of(out, len);
}

int mail_source_from_mails(const struct lab_view *mails, size_t count, struct lab_arena *arena,
	struct mail_source **ret, struct lab_error *err)
{
	struct mail_source *source = lab_arena_new_of(arena, struct mail_source);

	if (count == 0)
		return lab_fail(err, LAB_INVALID, "there are no mails");
	if (count > MAIL_SOURCE_MAX)
		return lab_fail(err, LAB_LIMIT, "more than %d mails", MAIL_SOURCE_MAX);
	for (size_t i = 0; i < count; i++) {
		if (mails[i].len == 0 || mails[i].len > MAIL_BYTES_MAX)
			return lab_fail(err, LAB_LIMIT, "mail %zu has %zu bytes, not 1 to %u",
				i + 1, mails[i].len, MAIL_BYTES_MAX);
	}
	source->mails = lab_arena_array(arena, struct lab_view, count);
	memcpy(source->mails, mails, count * sizeof(*mails));
	source->count = count;
	*ret = source;
	return 0;
}

int mail_source_from_mbox(const char *name, struct lab_view text, struct lab_arena *arena,
	struct mail_source **ret, struct lab_error *err)
{
	struct lab_view rest = text, *mails;
	size_t count = count_mails(text), n = 0, line = 1;

	if (!is_separator(text))
		return lab_fail(err, LAB_INVALID, "%s:1:1: not an mbox: no \"From \" line", name);
	if (count > MAIL_SOURCE_MAX)
		return lab_fail(err, LAB_LIMIT, "%s: more than %d mails", name, MAIL_SOURCE_MAX);
	mails = lab_arena_array(arena, struct lab_view, count);
	while (rest.len > 0) {
		size_t began = line++;

		(void)take_line(&rest);
		mails[n] = take_mail(&rest, arena, &line);
		if (mails[n].len > MAIL_BYTES_MAX)
			return lab_fail(err, LAB_LIMIT,
				"%s:%zu:1: this mail has %zu bytes, more than %u", name, began,
				mails[n].len, MAIL_BYTES_MAX);
		/* A separator with nothing behind it is no mail. */
		n += mails[n].len > 0;
	}
	if (n == 0)
		return lab_fail(err, LAB_INVALID, "%s:1:1: there are no mails in it", name);
	return mail_source_from_mails(mails, n, arena, ret, err);
}

size_t mail_source_count(const struct mail_source *source)
{
	return source->count;
}

/* ---- tokens ---- */

static void append_token(struct lab_buf *out, uint64_t token)
{
	lab_buf_printf(out, TOKEN_HEADER "%016" PRIx64 "\r\n", token);
}

uint64_t mail_virtual_size(struct lab_view mail)
{
	uint64_t size = mail.len;
	struct lab_view rest = mail, line;

	while (rest.len > 0 && lab_view_split(&rest, '\n', &line)) {
		/* The last one has no end. */
		if (rest.ptr != NULL)
			size += line.len == 0 || line.ptr[line.len - 1] != '\r';
	}
	return size;
}

uint64_t mail_token(struct lab_view mail)
{
	uint8_t bytes[TOKEN_DIGITS / 2];
	uint64_t token = 0;

	if (!lab_view_starts_with(mail, LAB_VIEW(TOKEN_HEADER)) ||
		lab_unhex(lab_view_sub(mail, sizeof(TOKEN_HEADER) - 1, TOKEN_DIGITS), bytes,
			sizeof(bytes)) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		token = token << 8 | bytes[i];
	return token;
}

/* ---- generated mails ---- */

struct writer {
	const struct mail_order *order;
	struct lab_buf *out;
	uint64_t ordinal;
};

static uint64_t draw(struct writer *w)
{
	return lab_draw(w->order->seed, "mail.text", w->order->token, w->ordinal++);
}

static void append_text(struct writer *w, size_t until)
{
	uint64_t bits = 0;
	size_t column = 0;

	for (unsigned n = 0; w->out->len < until; n++) {
		const char *word;
		size_t len;

		/* A byte of a draw for each word. */
		bits = n % 8 == 0 ? draw(w) : bits >> 8;
		word = words[(bits & 0xff) * LAB_COUNT_OF(words) >> 8];

		if (column > LINE_BYTES) {
			lab_buf_append_cstr(w->out, "\r\n");
			column = 0;
		}
		len = strlen(word);
		lab_buf_append(w->out, word, len);
		lab_buf_append_byte(w->out, ' ');
		column += len + 1;
	}
	lab_buf_append_cstr(w->out, "\r\n");
}

/* Bytes that do not compress, as attachments mostly are. */
static void append_attachment(struct writer *w, size_t until)
{
	uint8_t raw[54]; /* 72 digits a line */

	while (w->out->len < until) {
		for (size_t i = 0; i + 8 <= sizeof(raw) + 2; i += 8) {
			uint64_t value = draw(w);

			memcpy(raw + i, &value, LAB_MIN(8, sizeof(raw) - i));
		}
		lab_buf_append_base64(w->out, lab_view_of(raw, sizeof(raw)));
		lab_buf_append_cstr(w->out, "\r\n");
	}
}

static void append_headers(struct writer *w, const char *content_type)
{
	const struct mail_order *o = w->order;
	char date[LAB_DATE_TEXT_MAX];

	lab_date_http(o->date, date);
	lab_buf_printf(w->out, "Date: %.25s +0000\r\n", date);
	lab_buf_printf(w->out, "From: Sender %u <sender%u@example.net>\r\n",
		(unsigned)lab_pick(draw(w), 1000), (unsigned)lab_pick(draw(w), 1000));
	lab_buf_printf(w->out, "To: <%.*s>\r\n", LAB_VIEW_ARG(o->to));
	lab_buf_printf(w->out, "Message-ID: <%016" PRIx64 "@oboxlab.example.net>\r\n", o->token);
	lab_buf_printf(w->out, "Subject: %s %s %u\r\n",
		words[lab_pick(draw(w), LAB_COUNT_OF(words))],
		words[lab_pick(draw(w), LAB_COUNT_OF(words))], (unsigned)lab_pick(draw(w), 100000));
	lab_buf_printf(w->out, "MIME-Version: 1.0\r\nContent-Type: %s\r\n", content_type);
}

static size_t size_of(const struct mail_order *order)
{
	return (size_t)LAB_MIN(order->size, (uint64_t)MAIL_BYTES_MAX - 4096);
}

bool mail_order_has_attachment(const struct mail_order *order)
{
	if (order->attachment == MAIL_ATTACHMENT_IF_LARGE)
		return size_of(order) >= ATTACHMENT_FROM_BYTES;
	return order->attachment == MAIL_ATTACHMENT;
}

static void generate(struct writer *w)
{
	char boundary[48], type[120];
	size_t size = size_of(w->order);

	if (!mail_order_has_attachment(w->order)) {
		append_headers(w, "text/plain; charset=utf-8");
		lab_buf_append_cstr(w->out, "Content-Transfer-Encoding: 7bit\r\n\r\n");
		append_text(w, size);
		return;
	}
	snprintf(boundary, sizeof(boundary), "=_%016" PRIx64, draw(w));
	snprintf(type, sizeof(type), "multipart/mixed; boundary=\"%s\"", boundary);
	append_headers(w, type);
	lab_buf_printf(
		w->out, "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", boundary);
	append_text(w, size / 3);
	lab_buf_printf(w->out,
		"--%s\r\nContent-Type: application/octet-stream\r\n"
		"Content-Transfer-Encoding: base64\r\n"
		"Content-Disposition: attachment; filename=\"%u.bin\"\r\n\r\n",
		boundary, (unsigned)lab_pick(draw(w), 10000));
	append_attachment(w, size);
	lab_buf_printf(w->out, "--%s--\r\n", boundary);
}

struct lab_view mail_make(const struct mail_source *source, const struct mail_order *order,
	struct lab_heap *heap, struct lab_arena *arena)
{
	struct lab_view copy;
	struct lab_buf out;
	struct writer w = { order, &out, 0 };

	lab_assert(order->token != 0);
	lab_buf_init(&out, heap, (size_t)MAIL_BYTES_MAX + 65536);
	append_token(&out, order->token);
	if (source == NULL)
		generate(&w);
	else
		lab_buf_append_view(&out, source->mails[lab_pick(draw(&w), source->count)]);
	lab_assert(!out.overflow);
	copy = lab_arena_copy(arena, lab_buf_view(&out));
	lab_buf_done(&out);
	return copy;
}

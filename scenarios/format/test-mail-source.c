/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/format/mail-source.h"

#include "core/base/testing.h"

#define LINE_MAX_BYTES 998

static struct lab_arena *arena;

static struct lab_view make(const struct mail_source *source, uint64_t token, uint64_t size)
{
	struct mail_order order = { .seed = 7,
		.token = token,
		.size = size,
		.to = LAB_VIEW("user0001@example.com"),
		.date = 1767225600 };

	if (arena == NULL)
		arena = lab_arena_new(testing_heap, (size_t)1 << 28);
	return mail_make(source, &order, testing_heap, arena);
}

static int teardown(void **state)
{
	lab_arena_free(&arena);
	return testing_teardown(state);
}
#define test(function) cmocka_unit_test_setup_teardown(function, testing_setup, teardown)

/* ---- generated mails ---- */

/* A line without its CRLF; a bare CR or LF fails. False at the end. */
static bool next_line(struct lab_view *rest, struct lab_view *ret)
{
	size_t end;

	if (rest->len == 0)
		return false;
	end = lab_view_find(*rest, LAB_VIEW("\r\n"));
	assert_int_not_equal(end, SIZE_MAX);
	*ret = lab_view_sub(*rest, 0, end);
	assert_int_equal(lab_view_find_byte(*ret, '\n'), SIZE_MAX);
	assert_int_equal(lab_view_find_byte(*ret, '\r'), SIZE_MAX);
	*rest = lab_view_skip(*rest, end + 2);
	return true;
}

/* The value of a header, which must be there once. Folding is not used. */
static struct lab_view header(struct lab_view mail, const char *name)
{
	struct lab_view line, found = { NULL, 0 };

	while (next_line(&mail, &line) && line.len > 0) {
		struct lab_view value = line, key;

		assert_true(lab_view_split(&value, ':', &key));
		assert_non_null(value.ptr);
		if (!lab_view_eq_cstr(key, name))
			continue;
		assert_null(found.ptr);
		found = lab_view_trim(value);
	}
	if (found.ptr == NULL)
		fail_msg("there is no header %s", name);
	return found;
}

static struct lab_view body_of(struct lab_view part)
{
	size_t end = lab_view_find(part, LAB_VIEW("\r\n\r\n"));

	assert_int_not_equal(end, SIZE_MAX);
	return lab_view_skip(part, end + 4);
}

static void a_mail_has_the_headers_of_a_mail(void **state)
{
	struct lab_view mail;

	(void)state;
	mail = make(NULL, 0x1234, 2000);

	assert_true(lab_view_eq_cstr(header(mail, "Date"), "Thu, 01 Jan 2026 00:00:00 +0000"));
	assert_true(lab_view_eq_cstr(header(mail, "To"), "<user0001@example.com>"));
	assert_true(lab_view_starts_with(header(mail, "From"), LAB_VIEW("Sender ")));
	assert_true(lab_view_eq_cstr(
		header(mail, "Message-ID"), "<0000000000001234@oboxlab.example.net>"));
	assert_true(header(mail, "Subject").len > 3);
	assert_true(lab_view_eq_cstr(header(mail, "MIME-Version"), "1.0"));
	assert_true(lab_view_eq_cstr(header(mail, "Content-Type"), "text/plain; charset=utf-8"));
	assert_true(body_of(mail).len > 1000);
}

static void lines_end_in_crlf_and_are_short_and_ascii(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 400, 5999, 6000, 50000, 1000000 };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(sizes); i++) {
		struct lab_view rest = make(NULL, i + 1, sizes[i]), line;

		while (next_line(&rest, &line)) {
			assert_row(i, line.len <= LINE_MAX_BYTES);
			for (size_t n = 0; n < line.len; n++)
				assert_row(i, line.ptr[n] >= 0x20 && line.ptr[n] < 0x7f);
		}
	}
}

static void the_size_is_about_what_was_ordered(void **state)
{
	static const uint64_t sizes[] = { 700, 1000, 4096, 5999, 6000, 20000, 333333, 5000000 };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(sizes); i++) {
		struct lab_view mail = make(NULL, i + 1, sizes[i]);

		assert_row(i, mail.len >= sizes[i]);
		assert_row(i, mail.len <= sizes[i] + 200);
	}
	assert_true(make(NULL, 1, 0).len < 500);
}

static void a_mail_never_exceeds_the_limit(void **state)
{
	(void)state;
	assert_true(make(NULL, 1, UINT64_MAX).len <= MAIL_BYTES_MAX);
}

static size_t count_base64(struct lab_view body)
{
	struct lab_buf decoded;
	struct lab_view line;
	size_t bytes;

	lab_buf_init(&decoded, testing_heap, 1u << 24);
	while (next_line(&body, &line)) {
		assert_true(line.len <= 76);
		assert_int_equal(lab_buf_append_unbase64(&decoded, line), 0);
	}
	bytes = decoded.len;
	lab_buf_done(&decoded);
	return bytes;
}

static void a_large_mail_has_a_text_and_an_attachment(void **state)
{
	struct lab_view mail, type, boundary, rest, part;
	const char *delimiter;
	size_t at;

	(void)state;
	mail = make(NULL, 99, 60000);
	type = header(mail, "Content-Type");
	at = lab_view_find(type, LAB_VIEW("boundary=\""));
	assert_int_not_equal(at, SIZE_MAX);
	boundary = lab_view_skip(type, at + 10);
	boundary.len--;
	delimiter = lab_arena_printf(arena, "--%.*s\r\n", LAB_VIEW_ARG(boundary));
	rest = body_of(mail);

	assert_true(boundary.len >= 10 && boundary.len <= 70);
	assert_true(lab_view_starts_with(rest, lab_view_cstr(delimiter)));
	rest = lab_view_skip(rest, strlen(delimiter));
	at = lab_view_find(rest, lab_view_cstr(delimiter));
	assert_int_not_equal(at, SIZE_MAX);
	part = lab_view_sub(rest, 0, at);
	assert_true(lab_view_eq_cstr(header(part, "Content-Type"), "text/plain; charset=utf-8"));
	rest = lab_view_skip(rest, at + strlen(delimiter));
	delimiter = lab_arena_printf(arena, "--%.*s--\r\n", LAB_VIEW_ARG(boundary));
	assert_true(lab_view_ends_with(rest, lab_view_cstr(delimiter)));
	part = lab_view_sub(rest, 0, rest.len - strlen(delimiter));
	assert_int_equal(lab_view_find(part, boundary), SIZE_MAX);
	assert_true(lab_view_eq_cstr(header(part, "Content-Transfer-Encoding"), "base64"));
	assert_true(count_base64(body_of(part)) > 25000);
}

static void a_mail_depends_on_seed_token_and_order_only(void **state)
{
	struct mail_order order = { .seed = 1, .token = 5, .size = 9000, .to = LAB_VIEW("a@b") };
	struct lab_view first, second;

	(void)state;
	arena = lab_arena_new(testing_heap, (size_t)1 << 28);
	first = mail_make(NULL, &order, testing_heap, arena);
	(void)make(NULL, 77, 100);
	second = mail_make(NULL, &order, testing_heap, arena);

	assert_true(lab_view_eq(first, second));
	order.seed = 2;
	assert_false(lab_view_eq(first, mail_make(NULL, &order, testing_heap, arena)));
	order.seed = 1;
	order.token = 6;
	assert_false(
		lab_view_eq(body_of(first), body_of(mail_make(NULL, &order, testing_heap, arena))));
}

/* ---- tokens ---- */

static void a_mail_carries_its_token(void **state)
{
	static const uint64_t tokens[] = { 1, 0x123456789abcdef0, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(tokens); i++)
		assert_row(i, mail_token(make(NULL, tokens[i], 500)) == tokens[i]);
	assert_asserts(make(NULL, 0, 500));
}

static void what_is_not_a_token_is_0(void **state)
{
	static const char *const rows[] = { "", "X", "X-Oboxlab-Token: ", "X-Oboxlab-Token: 123",
		"X-Oboxlab-Token: 000000000000000g\r\n", "x-oboxlab-token: 0000000000000001\r\n",
		"To: x\r\nX-Oboxlab-Token: 0000000000000001\r\n" };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++)
		assert_row(i, mail_token(lab_view_cstr(rows[i])) == 0);
}

/* ---- mboxes ---- */

static int load(const char *text, struct mail_source **ret, struct lab_error *err)
{
	if (arena == NULL)
		arena = lab_arena_new(testing_heap, (size_t)1 << 28);
	return mail_source_from_mbox("m.mbox", lab_view_cstr(text), arena, ret, err);
}

/* The mails of a source, in any order, without the token's line. */
static void assert_mails(
	size_t row, const struct mail_source *source, const char *const *expected, size_t count)
{
	bool seen[8] = { false };

	assert_row(row, mail_source_count(source) == count);
	for (uint64_t token = 1; token <= 64; token++) {
		struct lab_view mail = make(source, token, 0);
		size_t i = 0;

		assert_row(row, mail_token(mail) == token);
		mail = lab_view_skip(mail, lab_view_find(mail, LAB_VIEW("\n")) + 1);
		while (i < count && !lab_view_eq_cstr(mail, expected[i]))
			i++;
		if (i == count)
			fail_msg("row %zu: unexpected mail: %.*s", row, LAB_VIEW_ARG(mail));
		seen[i] = true;
	}
	for (size_t i = 0; i < count; i++)
		assert_row(row, seen[i]);
}

static void an_mbox_gives_its_mails_byte_for_byte(void **state)
{
	static const struct {
		const char *mbox;
		const char *mails[4];
		size_t count;
	} rows[] = {
		{ "From a\nA: 1\n\nbody\n", { "A: 1\n\nbody\n" }, 1 },
		{ "From a\nA: 1\n\nbody", { "A: 1\n\nbody" }, 1 },
		{ "From a\nA: 1\n\nx\n\nFrom b\nB: 2\n\ny\n\n", { "A: 1\n\nx\n", "B: 2\n\ny\n\n" },
			2 },
		{ "From a\nA: 1\n\nx\nFrom b\nB: 2\n", { "A: 1\n\nx\n", "B: 2\n" }, 2 },
		{ "From a\r\nA: 1\r\n\r\nx\r\n\r\nFrom b\r\nB: 2\r\n\r\ny\r\n",
			{ "A: 1\r\n\r\nx\r\n", "B: 2\r\n\r\ny\r\n" }, 2 },
		{ "From a\nA: 1\n\n>From x\n>>From y\n> From z\n>>>>From\nFro\n",
			{ "A: 1\n\nFrom x\n>From y\n> From z\n>>>>From\nFro\n" }, 1 },
		{ "From a\n\nFrom b\nB: 2\n\n\n\nFrom c\nFrom d", { "B: 2\n\n\n" }, 1 },
		{ "From a\n\n\nFrom b\nx", { "\n", "x" }, 2 },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct mail_source *source;
		struct lab_error err;

		assert_row(i, load(rows[i].mbox, &source, &err) == 0);
		assert_mails(i, source, rows[i].mails, rows[i].count);
	}
}

static void what_is_not_an_mbox_is_told_with_its_place(void **state)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
		{ "", "m.mbox:1:1: not an mbox" },
		{ "\nFrom a\nA: 1\n", "m.mbox:1:1: not an mbox" },
		{ "from a\n", "m.mbox:1:1: not an mbox" },
		{ "From: a\nA: 1\n", "m.mbox:1:1: not an mbox" },
		{ "From a\n", "m.mbox:1:1: there are no mails in it" },
		{ "From a\n\nFrom b\n", "m.mbox:1:1: there are no mails in it" },
	};

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct mail_source *source;
		struct lab_error err;

		assert_row(i, load(rows[i].text, &source, &err) < 0);
		assert_row(i, err.code == LAB_INVALID);
		assert_row(i, strstr(err.message, rows[i].expected) == err.message);
	}
}

static void a_mail_that_is_too_large_is_told_with_its_line(void **state)
{
	size_t len = MAIL_BYTES_MAX + 64;
	char *text = test_malloc(len + 1);
	struct mail_source *source;
	struct lab_error err;

	(void)state;
	memset(text, 'x', len);
	memcpy(text, "From a\nshort\n\nFrom b\n", 21);
	text[len] = '\0';

	assert_int_equal(load(text, &source, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	assert_non_null(strstr(err.message, "m.mbox:4:1: this mail has"));
	text[20 + MAIL_BYTES_MAX] = '\0';
	assert_int_equal(load(text, &source, &err), 0);
	test_free(text);
}

/* Memory of a source is that of its mails, however many there are. */
static void an_mbox_of_many_mails_takes_the_memory_of_its_text(void **state)
{
	struct lab_buf text;
	struct mail_source *source;
	struct lab_error err;
	size_t before, count = 20000;

	(void)state;
	arena = lab_arena_new(testing_heap, (size_t)1 << 28);
	lab_buf_init(&text, testing_heap, 1u << 24);
	for (size_t i = 0; i < count; i++)
		lab_buf_printf(&text, "From a\nSubject: %zu\n\nbody\n\n", i);
	before = lab_heap_used(testing_heap);

	assert_int_equal(load(lab_buf_cstr(&text), &source, &err), 0);
	assert_int_equal(mail_source_count(source), count);
	assert_true(lab_heap_used(testing_heap) - before < 8u << 20);
	lab_buf_done(&text);
}

/* ---- single mails ---- */

static void mails_are_refused_when_there_are_none_or_one_is_empty(void **state)
{
	struct lab_view mails[] = { LAB_VIEW("A: 1\n"), { NULL, 0 } };
	struct mail_source *source;
	struct lab_error err;

	(void)state;
	arena = lab_arena_new(testing_heap, (size_t)1 << 28);

	assert_int_equal(mail_source_from_mails(mails, 0, arena, &source, &err), -1);
	assert_string_equal(err.message, "there are no mails");
	assert_int_equal(mail_source_from_mails(mails, 2, arena, &source, &err), -1);
	assert_non_null(strstr(err.message, "mail 2 has 0 bytes"));
	assert_int_equal(
		mail_source_from_mails(mails, MAIL_SOURCE_MAX + 1, arena, &source, &err), -1);
	assert_int_equal(err.code, LAB_LIMIT);
	assert_int_equal(mail_source_from_mails(mails, 1, arena, &source, &err), 0);
	assert_mails(0, source, (const char *const[]){ "A: 1\n" }, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_mail_has_the_headers_of_a_mail),
		test(lines_end_in_crlf_and_are_short_and_ascii),
		test(the_size_is_about_what_was_ordered),
		test(a_mail_never_exceeds_the_limit),
		test(a_large_mail_has_a_text_and_an_attachment),
		test(a_mail_depends_on_seed_token_and_order_only),
		test(a_mail_carries_its_token),
		test(what_is_not_a_token_is_0),
		test(an_mbox_gives_its_mails_byte_for_byte),
		test(what_is_not_an_mbox_is_told_with_its_place),
		test(a_mail_that_is_too_large_is_told_with_its_line),
		test(an_mbox_of_many_mails_takes_the_memory_of_its_text),
		test(mails_are_refused_when_there_are_none_or_one_is_empty),
	};

	return cmocka_run_group_tests_name("mail-source", tests, NULL, NULL);
}

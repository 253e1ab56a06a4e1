/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-suite.h - for test-*.c only: reads sigv4-suite.txt, which describes itself. Both of our
 * implementations of the signature go through it. Tests run in the repository's root.
 */
#ifndef LAB_AWS_TESTING_SUITE_H
#define LAB_AWS_TESTING_SUITE_H

#include <stdio.h>

#include "core/base/testing.h"

#define SUITE_FILE "core/aws/sigv4-suite.txt"
#define SUITE_CASES 76 /* 38, each in two forms */
#define SUITE_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define SUITE_DATE "20150830T123600Z"
#define SUITE_SCOPE "20150830/us-east-1/service/aws4_request"

struct suite_case {
	struct lab_view name;
	bool query; /* signed in the query */
	bool same;  /* S3 makes the same canonical path */
	struct lab_http_request request;
	struct lab_view canonical, path, signed_headers, payload, hash, signature;
};

static inline struct lab_view suite_read(struct lab_arena *arena)
{
	size_t max = 1 << 20, len;
	char *text = lab_arena_alloc(arena, max);
	FILE *file = fopen(SUITE_FILE, "r");

	if (file == NULL)
		fail_msg("%s: cannot be read", SUITE_FILE);
	len = fread(text, 1, max, file);
	(void)fclose(file);
	assert_true(len < max);
	return lab_view_of(text, len);
}

/* The rest of the line if it begins with that word, else ptr NULL. */
static inline struct lab_view suite_field(struct lab_view line, const char *word)
{
	size_t len = strlen(word);

	if (!lab_view_starts_with(line, lab_view_cstr(word)))
		return lab_view_of(NULL, 0);
	return lab_view_of(line.ptr + len, line.len - len);
}

static inline void suite_header(struct suite_case *c, struct lab_view field)
{
	size_t colon = lab_view_find_byte(field, ':');
	struct lab_view name = lab_view_sub(field, 0, colon),
			value = lab_view_skip(field, colon + 1);

	assert_true(colon != SIZE_MAX);
	if (lab_view_eq_nocase(name, LAB_VIEW("host")))
		c->request.authority = value;
	else
		assert_int_equal(lab_http_header_add(&c->request.headers, name, value), 0);
}

/* One line that is not part of the canonical request. */
static inline void suite_line(struct suite_case *c, struct lab_view line)
{
	struct lab_view field;
	size_t space;

	if ((field = suite_field(line, "case ")).ptr != NULL) {
		c->name = field;
		c->query = lab_view_find(field, LAB_VIEW(" query ")) != SIZE_MAX;
		c->same = lab_view_ends_with(field, LAB_VIEW(" same"));
	} else if ((field = suite_field(line, "request ")).ptr != NULL) {
		space = lab_view_find_byte(field, ' ');
		c->request.method = lab_view_sub(field, 0, space);
		c->request.target = lab_view_skip(field, space + 1);
	} else if ((field = suite_field(line, "header ")).ptr != NULL) {
		suite_header(c, field);
	} else if ((field = suite_field(line, "body ")).ptr != NULL) {
		c->request.body = field;
	} else if ((field = suite_field(line, "hash ")).ptr != NULL) {
		c->hash = field;
	} else if ((field = suite_field(line, "signature ")).ptr != NULL) {
		c->signature = field;
	} else {
		fail_msg("%s: what is \"%.*s\"?", SUITE_FILE, LAB_VIEW_ARG(line));
	}
}

/* Its lines: method, path, query, headers, nothing, names, hash. */
static inline void suite_canonical(
	struct suite_case *c, struct lab_arena *arena, struct lab_buf *text)
{
	struct lab_view rest, line, before = { NULL, 0 };
	size_t number = 0;

	c->canonical = lab_arena_copy(arena, lab_buf_view(text));
	rest = c->canonical;
	while (lab_view_split(&rest, '\n', &line)) {
		if (++number == 2)
			c->path = line;
		c->signed_headers = before;
		before = line;
	}
	c->payload = before;
	lab_buf_reset(text);
}

/* Calls `check` for each case; both of the form's halves are borrowed from `arena`. */
static inline size_t suite_each(struct lab_arena *arena, struct lab_heap *heap,
	void (*check)(void *ctx, const struct suite_case *c), void *ctx)
{
	struct lab_view rest = suite_read(arena), line;
	struct suite_case c = { .query = false };
	struct lab_buf canonical;
	size_t count = 0;

	lab_buf_init(&canonical, heap, 1 << 16);
	while (lab_view_split(&rest, '\n', &line)) {
		if (line.len == 0 || line.ptr[0] == '#')
			continue;
		if (line.ptr[0] == '|') {
			if (canonical.len > 0)
				lab_buf_append_byte(&canonical, '\n');
			lab_buf_append_view(&canonical, lab_view_skip(line, 1));
			continue;
		}
		suite_line(&c, line);
		if (c.signature.ptr == NULL)
			continue;
		suite_canonical(&c, arena, &canonical);
		check(ctx, &c);
		c = (struct suite_case){ .query = false };
		count++;
	}
	lab_buf_done(&canonical);
	return count;
}

/* The same request for a path that is canonical already: what S3 would have to be sent. */
static inline struct lab_http_request suite_canonical_request(
	const struct suite_case *c, struct lab_arena *arena)
{
	struct lab_http_request request = c->request;
	size_t mark = lab_view_find_byte(request.target, '?');
	struct lab_view query =
		mark == SIZE_MAX ? LAB_VIEW("") : lab_view_sub(request.target, mark, SIZE_MAX);

	request.target = lab_view_cstr(
		lab_arena_printf(arena, "%.*s%.*s", LAB_VIEW_ARG(c->path), LAB_VIEW_ARG(query)));
	return request;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * view.h - borrowed bytes. All parsers read views: they never allocate and never need a NUL.
 *
 * A view borrows; whoever made it says for how long. {NULL, 0} is the empty view, and also what
 * "absent" looks like where a header says so (compare ptr with NULL).
 */
#ifndef LAB_BASE_VIEW_H
#define LAB_BASE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct lab_view {
	const uint8_t *ptr;
	size_t len;
};

/* For printf: printf("%.*s", LAB_VIEW_ARG(v)). Cuts at INT_MAX. */
#define LAB_VIEW_ARG(v) ((int)((v).len > 0x7fffffff ? 0x7fffffff : (v).len)), (const char *)(v).ptr
/* A view of a string literal, usable in initialisers. */
#define LAB_VIEW(literal) \
	(struct lab_view) \
	{ \
		(const uint8_t *)("" literal), sizeof(literal) - 1 \
	}

static inline struct lab_view lab_view_of(const void *ptr, size_t len)
{
	return (struct lab_view){ ptr, len };
}

/* A view of a C string; of nothing (ptr NULL) for NULL. */
static inline struct lab_view lab_view_cstr(const char *text)
{
	return (struct lab_view){ (const uint8_t *)text, text == NULL ? 0 : strlen(text) };
}

static inline bool lab_view_eq(struct lab_view a, struct lab_view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool lab_view_eq_cstr(struct lab_view a, const char *text)
{
	return lab_view_eq(a, lab_view_cstr(text));
}

/* [from, from + len) cut to what is there; never out of bounds. */
struct lab_view lab_view_sub(struct lab_view v, size_t from, size_t len);
/* Everything after the first `n` bytes. */
struct lab_view lab_view_skip(struct lab_view v, size_t n);

/* ASCII case folding only. */
bool lab_view_same_letters(struct lab_view a, struct lab_view b); /* of one length */
static inline bool lab_view_eq_nocase(struct lab_view a, struct lab_view b)
{
	return a.len == b.len && lab_view_same_letters(a, b);
}
bool lab_view_starts_with(struct lab_view v, struct lab_view prefix);
bool lab_view_ends_with(struct lab_view v, struct lab_view suffix);
/* Byte order, a prefix sorts first: <0, 0, >0. */
int lab_view_cmp(struct lab_view a, struct lab_view b);

/* Offset of the first occurrence, or SIZE_MAX. */
size_t lab_view_find_byte(struct lab_view v, uint8_t byte);
size_t lab_view_find(struct lab_view v, struct lab_view needle);

/* Takes the part before `separator` off the front of *rest. Returns false when *rest is used up
 * (ptr NULL); "a,,b" gives "a", "", "b"; "" gives one empty part. */
bool lab_view_split(struct lab_view *rest, uint8_t separator, struct lab_view *ret_part);
/* Without spaces, tabs, CR and LF at both ends. */
struct lab_view lab_view_trim(struct lab_view v);

/* The whole view must be a number (no sign for u64, an optional '-' for i64). 0, or -1 if it is
 * not one or does not fit; *ret is then untouched. */
int lab_view_to_u64(struct lab_view v, uint64_t *ret);
int lab_view_to_i64(struct lab_view v, int64_t *ret);
/* Copies into `out` with a NUL. -1 if it does not fit or contains a NUL byte. */
int lab_view_to_cstr(struct lab_view v, char *out, size_t out_size);

/* Constant time in the contents (not in the lengths): for signatures and tokens. */
bool lab_view_eq_secret(struct lab_view a, struct lab_view b);

#endif

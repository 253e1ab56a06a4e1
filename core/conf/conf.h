/* SPDX-License-Identifier: Apache-2.0
 *
 * conf.h - the grammar of dovecot.conf (2.3 and 3.0, and the 3.1 blocks of obox 1.9), of .scn files
 * and of dovecot-dict-cql.conf.ext: one parser, one tree, every node with its place.
 *
 * Grammar
 *   name [label] {      section; label bare, "quoted" or 'quoted'; `}` ends it
 *   key = value         value to the end of the line, without white space around it
 *   # comment           also behind a value; not inside quotes. A '#' without white space
 *                       before it is a comment too, as in Dovecot, and is warned about
 *   "a \"b\" c"  'a'    a value that begins and ends with the same quote loses both; \ escapes
 *   line \              continues in the next line: the white space before the backslash
 *                       stays, that at the start of the next line goes; comment lines and
 *                       empty lines between are passed over, as in Dovecot
 *   !include pattern    files in byte order of their names; relative to the file that says so
 *   !include_try p      the same, but may match nothing
 *   key = <path         the contents of a file; if it is missing or may not be read (a key
 *                       file on another machine), the text stays as it is, with a warning
 *   key = $other more   a word "$other" is the value that `other` has so far, in this section
 *                       or around it, else its default (settings.h); an unknown one stays as
 *                       it is, with a warning. Not in quoted values.
 *   fs x { a=1 b=2 }    one line may hold what several lines could: behind a `{`, a value
 *                       ends before ` }` and before the next ` name=`. A `}` with white space
 *                       before it also ends a section behind an ordinary `key = value`.
 *
 * Ownership  Everything in the tree borrows from the arena given to conf_parse().
 * Errors     LAB_INVALID with "FILE:LINE:COLUMN: <sentence>"; LAB_NOT_FOUND and others as the
 *            reader gave them, prefixed with the place of the !include. Lines and columns count
 *            from 1, columns in bytes; a tab is one.
 * Limits     CONF_* below.
 * Effects    None: files come through the caller's reader.
 */
#ifndef LAB_CONF_H
#define LAB_CONF_H

#include "core/base/base.h"

#define CONF_FILE_BYTES_MAX (4u << 20)
#define CONF_LINE_BYTES_MAX 65536 /* after continuation */
#define CONF_DEPTH_MAX 32         /* of sections */
#define CONF_INCLUDE_DEPTH_MAX 16
#define CONF_FILES_MAX 1000
#define CONF_NODES_MAX 20000 /* settings and sections of all files */

/* A place in a file; `file` lives as long as the tree. */
struct conf_where {
	const char *file;
	unsigned line, column;
};

struct conf_section;

struct conf_setting {
	struct lab_view name;
	struct lab_view value;         /* unquoted; $words and <files replaced */
	struct conf_where where;       /* of the name */
	struct conf_where value_where; /* of the value's first byte; of the line's end if empty */
	bool quoted;
	struct conf_section *section; /* it stands in */
	struct conf_setting *next;    /* in the same section, in order */
};

struct conf_section {
	struct lab_view name;  /* "" for the root */
	struct lab_view label; /* ptr NULL if there is none */
	struct conf_where where;
	struct conf_section *parent; /* NULL for the root */
	struct conf_setting *settings, *last_setting;
	struct conf_section *children, *last_child;
	struct conf_section *next; /* sibling, in order */
};

/* Where files come from. Paths are as written, made relative to the including file. */
struct conf_reader {
	/* The whole file, in the arena. -1: LAB_NOT_FOUND, LAB_DENIED, LAB_IO, ... */
	int (*read_file)(void *ctx, struct lab_view path, struct lab_arena *arena,
		struct lab_view *ret, struct lab_error *err);
	/* Existing files that match a pattern with * ? [ ], in any order. May be NULL: patterns are
	 * then an error. Called only for paths with such characters. */
	int (*glob)(void *ctx, struct lab_view pattern, struct lab_arena *arena,
		struct lab_view **ret_paths, size_t *ret_count, struct lab_error *err);
	void *ctx;
};

/* What was found wrong, in the order of finding. More than CONF_PROBLEMS_MAX are only counted. */
#define CONF_PROBLEMS_MAX 64
struct conf_problem {
	struct conf_where where;
	bool is_error; /* else a warning */
	const char *message;
};
struct conf_problems {
	struct lab_arena *arena; /* messages are kept here */
	struct conf_problem items[CONF_PROBLEMS_MAX];
	size_t count;  /* in items */
	size_t errors; /* all */
	size_t warnings;
};
void conf_problems_init(struct conf_problems *problems, struct lab_arena *arena);
void conf_problem_add(struct conf_problems *problems, bool is_error, struct conf_where where,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* "FILE:LINE:COLUMN: message", or "FILE:LINE:COLUMN: warning: message". */
void conf_problem_print(const struct conf_problem *problem, struct lab_buf *out);

enum conf_parse_flags {
	/* "$word" and "<file" are ordinary text: dict maps (`u = $user`). */
	CONF_PARSE_LITERAL = 1 << 0
};

/* Parses a file and what it includes. `problems` (may be NULL) gets warnings. 0, or -1. */
int conf_parse(struct lab_view path, const struct conf_reader *reader, uint32_t flags,
	struct lab_arena *arena, struct conf_problems *problems, struct conf_section **ret,
	struct lab_error *err);
/* The same for a text that is at hand; `name` stands for the file name. `reader` may be NULL if
 * nothing is included. */
int conf_parse_text(const char *name, struct lab_view text, const struct conf_reader *reader,
	uint32_t flags, struct lab_arena *arena, struct conf_problems *problems,
	struct conf_section **ret, struct lab_error *err);

/* The last setting of that name directly in this section, or NULL: the last one wins. */
const struct conf_setting *conf_setting_in(const struct conf_section *section, const char *name);
/* The same over all sections called `section` directly under the root; NULL is the root itself. */
const struct conf_setting *conf_setting_of(
	const struct conf_section *root, const char *section, const char *name);
/* The first child section of that name behind `after` (NULL: from the start), or NULL. */
const struct conf_section *conf_section_next(
	const struct conf_section *parent, const char *name, const struct conf_section *after);

/* Raises LAB_INVALID with the place before the sentence. Returns -1. */
int conf_fail(struct lab_error *err, struct conf_where where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The known name that is nearest to `wrong` by Damerau-Levenshtein distance (neighbouring letters
 * swapped count one), at most a third of its length and at most 5 away; the first of equals.
 * `name_at(ctx, i)` gives the i-th known name or NULL at the end. NULL if none is near. */
typedef const char *(*conf_name_at_fn)(const void *ctx, size_t i);
const char *conf_suggest(struct lab_view wrong, conf_name_at_fn name_at, const void *ctx);
/* Over an array of strings. */
const char *conf_suggest_of(struct lab_view wrong, const char *const *names, size_t count);
/* "", or " (did you mean NAME?)" in the buffer. Returns it. */
#define CONF_HINT_MAX 96
const char *conf_hint(const char *suggestion, char out[CONF_HINT_MAX]);

/* `path` relative to the directory of `base_file` unless it is absolute; "dir/../" is not
 * simplified. */
struct lab_view conf_resolve_path(
	struct lab_arena *arena, const char *base_file, struct lab_view path);

#endif

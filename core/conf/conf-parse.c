/* SPDX-License-Identifier: Apache-2.0
 *
 * conf-parse.c - text to tree. A physical line loses its comment, lines that end in a backslash are
 * joined to one logical line, and a logical line is a sequence of items: `}`, `name [label] {`,
 * `name = value`, `!include path`.
 */
#include "core/conf/conf.h"

#include "core/conf/conf-private.h"
#include "core/conf/settings.h"

#define LINE_PIECES_MAX 1024

struct conf_parser {
	const struct conf_reader *reader;
	uint32_t flags;
	struct lab_arena *arena;
	struct conf_problems *problems; /* or NULL */
	struct lab_error *err;
	struct conf_section *root, *section;
	unsigned depth, include_depth;
	size_t files, nodes;
};

/* Where the bytes of a logical line came from. */
struct line_piece {
	size_t start; /* offset in the logical line */
	unsigned line, column;
};

struct line {
	struct conf_parser *parser;
	const char *file;
	struct lab_view text;
	size_t pos;
	bool compact; /* something came before on this line: values end early */
	struct line_piece *pieces;
	size_t piece_count;
};

static int parse_file_text(struct conf_parser *parser, const char *name, struct lab_view text);

static struct conf_where line_where(const struct line *line, size_t pos)
{
	const struct line_piece *piece = &line->pieces[0];

	for (size_t i = 1; i < line->piece_count && line->pieces[i].start <= pos; i++)
		piece = &line->pieces[i];
	return (struct conf_where){ line->file, piece->line,
		piece->column + (unsigned)(pos - piece->start) };
}

/* Warns about a text: "<before>TEXT<after>". */
static void warn(struct conf_parser *parser, struct conf_where where, const char *before,
	struct lab_view about, const char *after)
{
	char shown[CONF_SHOW_MAX + 4];

	if (parser->problems != NULL)
		conf_problem_add(parser->problems, false, where, "%s%s%s", before,
			conf_show(about, shown), after);
}

static void skip_white(struct line *line)
{
	while (line->pos < line->text.len && conf_is_white(line->text.ptr[line->pos]))
		line->pos++;
}

static bool at_end(const struct line *line)
{
	return line->pos >= line->text.len;
}

static uint8_t peek(const struct line *line)
{
	return at_end(line) ? 0 : line->text.ptr[line->pos];
}

/* ---- the tree ---- */

static int count_node(struct conf_parser *parser, struct conf_where where)
{
	if (++parser->nodes > CONF_NODES_MAX)
		return conf_fail(parser->err, where, "more than %u settings and sections",
			(unsigned)CONF_NODES_MAX);
	return 0;
}

static int section_begin(struct conf_parser *parser, struct lab_view name, struct lab_view label,
	struct conf_where where)
{
	struct conf_section *section, *parent = parser->section;

	if (parser->depth == CONF_DEPTH_MAX)
		return conf_fail(parser->err, where, "sections are nested more than %u deep",
			(unsigned)CONF_DEPTH_MAX);
	if (count_node(parser, where) < 0)
		return -1;
	section = lab_arena_new_of(parser->arena, struct conf_section);
	*section = (struct conf_section){
		.name = name, .label = label, .where = where, .parent = parent
	};
	if (parent->last_child == NULL)
		parent->children = section;
	else
		parent->last_child->next = section;
	parent->last_child = section;
	parser->section = section;
	parser->depth++;
	return 0;
}

static void setting_add(struct conf_parser *parser, const struct conf_setting *made)
{
	struct conf_section *section = parser->section;
	struct conf_setting *setting = lab_arena_new_of(parser->arena, struct conf_setting);

	*setting = *made;
	setting->section = section;
	if (section->last_setting == NULL)
		section->settings = setting;
	else
		section->last_setting->next = setting;
	section->last_setting = setting;
}

/* ---- values ---- */

static struct lab_view unquote(struct lab_arena *arena, struct lab_view quoted)
{
	struct lab_view inner = lab_view_sub(quoted, 1, quoted.len - 2);
	uint8_t *plain;
	size_t len = 0;

	if (lab_view_find_byte(inner, '\\') == SIZE_MAX)
		return inner;
	plain = lab_arena_alloc(arena, inner.len + 1);
	for (size_t i = 0; i < inner.len; i++) {
		if (inner.ptr[i] == '\\' && i + 1 < inner.len)
			i++;
		plain[len++] = inner.ptr[i];
	}
	return lab_view_of(plain, len);
}

static bool is_quoted(struct lab_view value)
{
	return value.len >= 2 && (value.ptr[0] == '"' || value.ptr[0] == '\'') &&
	       value.ptr[value.len - 1] == value.ptr[0];
}

static bool same_section(const struct conf_section *a, const struct conf_section *b)
{
	return lab_view_eq(a->name, b->name) && lab_view_eq(a->label, b->label);
}

/* The value that a name has at this point: in the innermost section, in earlier sections that are
 * the same one, then further out. ptr NULL: none. */
static struct lab_view value_so_far(struct conf_parser *parser, struct lab_view name)
{
	struct lab_view found = { NULL, 0 };

	for (const struct conf_section *at = parser->section; at != NULL; at = at->parent) {
		const struct conf_section *same = at->parent == NULL ? at : at->parent->children;
		for (; same != NULL; same = same->next) {
			if (!same_section(same, at))
				continue;
			for (const struct conf_setting *s = same->settings; s != NULL; s = s->next)
				found = lab_view_eq(s->name, name) ? s->value : found;
		}
		if (found.ptr != NULL)
			return found;
	}
	const struct conf_setting_def *def = conf_setting_def_find(name, UINT32_MAX);
	if (def != NULL)
		return lab_view_cstr(def->initial == NULL ? "" : def->initial);
	return found;
}

/* What stands for a word of a value: itself, or the setting behind "$name". */
static struct lab_view expand_word(
	struct conf_parser *parser, struct lab_view word, struct conf_where where, bool warned)
{
	struct lab_view value;

	if (word.len < 2 || word.ptr[0] != '$')
		return word;
	value = value_so_far(parser, lab_view_skip(word, 1));
	if (value.ptr != NULL)
		return value;
	if (!warned)
		warn(parser, where, "no setting stands behind ", word, "");
	return word;
}

/* Writes the value with its $words replaced to `out`, or only measures it if `out` is NULL. */
static size_t expand_to(
	struct conf_parser *parser, struct lab_view value, struct conf_where where, uint8_t *out)
{
	struct lab_view rest = value, word;
	size_t len = 0;

	for (bool first = true; lab_view_split(&rest, ' ', &word); first = false) {
		struct lab_view with = expand_word(parser, word, where, out != NULL);
		if (!first) {
			if (out != NULL)
				out[len] = ' ';
			len++;
		}
		if (out != NULL && with.len > 0)
			memcpy(out + len, with.ptr, with.len);
		len += with.len;
	}
	return len;
}

static int expand_words(struct conf_parser *parser, struct lab_view value, struct conf_where where,
	struct lab_view *ret)
{
	uint8_t *out;
	size_t len;

	*ret = value;
	if (lab_view_find_byte(value, '$') == SIZE_MAX)
		return 0;
	len = expand_to(parser, value, where, NULL);
	if (len > CONF_LINE_BYTES_MAX)
		return conf_fail(parser->err, where, "the value is longer than %u bytes",
			(unsigned)CONF_LINE_BYTES_MAX);
	out = lab_arena_alloc(parser->arena, len + 1);
	*ret = lab_view_of(out, expand_to(parser, value, where, out));
	return 0;
}

/* "<path": the contents of the file, or the text itself with a warning if we cannot have it. */
static int read_value(struct conf_parser *parser, const char *file, struct lab_view text,
	struct conf_where where, struct lab_view *ret)
{
	struct lab_view path = lab_view_trim(lab_view_skip(text, 1)), contents;
	struct lab_error why;

	*ret = text;
	if (path.len == 0)
		return conf_fail(parser->err, where, "a file name is missing behind '<'");
	path = conf_resolve_path(parser->arena, file, path);
	if (parser->reader == NULL) {
		warn(parser, where, "", path, " is not read: there are no files here");
		return 0;
	}
	if (parser->reader->read_file(parser->reader->ctx, path, parser->arena, &contents, &why) ==
		0) {
		if (contents.len > CONF_FILE_BYTES_MAX)
			return conf_fail(parser->err, where, "the file is too big");
		*ret = contents;
		return 0;
	}
	if (why.code == LAB_NOT_FOUND || why.code == LAB_DENIED) {
		warn(parser, where, "", path, " cannot be read, the value stays as it is written");
		return 0;
	}
	if (parser->err != NULL)
		*parser->err = why;
	return lab_error_wrap(parser->err, "%s:%u:%u", where.file, where.line, where.column);
}

static int value_finish(
	struct conf_parser *parser, struct lab_view raw, struct conf_setting *setting)
{
	struct conf_where where = setting->value_where;

	setting->quoted = is_quoted(raw);
	if (setting->quoted) {
		setting->value = unquote(parser->arena, raw);
		return 0;
	}
	setting->value = raw;
	if ((parser->flags & CONF_PARSE_LITERAL) != 0)
		return 0;
	if (raw.len > 0 && raw.ptr[0] == '<')
		return read_value(parser, where.file, raw, where, &setting->value);
	return expand_words(parser, raw, where, &setting->value);
}

/* True if ` name =` begins at `pos`: another setting of the same line. */
static bool begins_setting(struct lab_view text, size_t pos)
{
	size_t start = pos;

	while (pos < text.len && conf_is_name_byte(text.ptr[pos]))
		pos++;
	if (pos == start)
		return false;
	while (pos < text.len && conf_is_white(text.ptr[pos]))
		pos++;
	return pos < text.len && text.ptr[pos] == '=';
}

static bool is_word_at(struct lab_view text, size_t pos, uint8_t byte)
{
	return text.ptr[pos] == byte && (pos == 0 || conf_is_white(text.ptr[pos - 1])) &&
	       (pos + 1 == text.len || conf_is_white(text.ptr[pos + 1]));
}

/* Where a value that shares its line with others ends. */
static size_t value_end_compact(struct lab_view text, size_t pos)
{
	uint8_t quote = pos < text.len ? text.ptr[pos] : 0;

	if (quote == '"' || quote == '\'') {
		size_t i = pos + 1;
		while (i < text.len && text.ptr[i] != quote)
			i += text.ptr[i] == '\\' ? 2 : 1;
		if (i < text.len)
			return i + 1;
	}
	for (size_t i = pos; i < text.len; i++) {
		if (is_word_at(text, i, '}'))
			return i;
		if (i > pos && conf_is_white(text.ptr[i - 1]) && begins_setting(text, i))
			return i;
	}
	return text.len;
}

/* Where a value that has the rest of its line ends: there, or before the ` }`s at the end of the
 * line if no `{` word belongs to them. */
static size_t value_end_line(struct lab_view text, size_t pos)
{
	size_t end = text.len;

	while (end > pos && is_word_at(text, end - 1, '}')) {
		end--;
		while (end > pos && conf_is_white(text.ptr[end - 1]))
			end--;
	}
	for (size_t i = pos; i < end; i++) {
		if (is_word_at(text, i, '{'))
			return text.len;
	}
	return end;
}

/* ---- items ---- */

static int parse_setting(struct line *line, struct lab_view name, struct conf_where where)
{
	struct conf_parser *parser = line->parser;
	struct conf_setting setting = { .name = name, .where = where };
	bool inside = parser->section->parent != NULL;
	size_t start, end;
	struct lab_view raw;

	line->pos++; /* '=' */
	skip_white(line);
	start = line->pos;
	if (line->compact)
		end = value_end_compact(line->text, start);
	else
		end = inside ? value_end_line(line->text, start) : line->text.len;
	line->pos = end;
	while (end > start && conf_is_white(line->text.ptr[end - 1]))
		end--;
	raw = lab_view_sub(line->text, start, end - start);
	if (raw.len == 0)
		raw.ptr = line->text.ptr + start;
	setting.value_where = line_where(line, start);
	if (count_node(parser, where) < 0 || value_finish(parser, raw, &setting) < 0)
		return -1;
	setting_add(parser, &setting);
	return 0;
}

/* [label] {, behind the section's name. */
static int parse_section(struct line *line, struct lab_view name, struct conf_where where)
{
	struct conf_parser *parser = line->parser;
	struct lab_view label = { NULL, 0 };
	char shown[CONF_SHOW_MAX + 4];
	size_t start = line->pos;

	if (peek(line) == '"' || peek(line) == '\'') {
		line->pos = value_end_compact(line->text, start);
		label = lab_view_sub(line->text, start, line->pos - start);
		if (!is_quoted(label))
			return conf_fail(
				parser->err, line_where(line, start), "the quote is not closed");
		label = unquote(parser->arena, label);
	} else if (peek(line) != '{') {
		while (!at_end(line) && !conf_is_white(peek(line)) && peek(line) != '{' &&
			peek(line) != '=')
			line->pos++;
		label = lab_view_sub(line->text, start, line->pos - start);
		label.ptr = label.len == 0 ? NULL : label.ptr;
	}
	skip_white(line);
	if (peek(line) != '{')
		return conf_fail(parser->err, line_where(line, line->pos),
			label.ptr == NULL ? "'=' or '{' is missing behind %s"
					  : "'{' is missing behind the label of %s",
			conf_show(name, shown));
	line->pos++;
	return section_begin(parser, name, label, where);
}

static int parse_section_end(struct line *line, struct conf_where where)
{
	struct conf_parser *parser = line->parser;

	if (parser->section->parent == NULL)
		return conf_fail(parser->err, where, "a '}' without a section to end");
	parser->section = parser->section->parent;
	parser->depth--;
	line->pos++;
	return 0;
}

static bool has_wildcard(struct lab_view path)
{
	for (size_t i = 0; i < path.len; i++) {
		if (path.ptr[i] == '*' || path.ptr[i] == '?' || path.ptr[i] == '[')
			return true;
	}
	return false;
}

static int include_file(
	struct conf_parser *parser, struct lab_view path, struct conf_where where, bool try)
{
	struct lab_view text;
	struct lab_error why;

	if (parser->files++ == CONF_FILES_MAX)
		return conf_fail(parser->err, where, "more than %u files are included",
			(unsigned)CONF_FILES_MAX);
	if (parser->reader->read_file(parser->reader->ctx, path, parser->arena, &text, &why) < 0) {
		if (try && why.code == LAB_NOT_FOUND)
			return 0;
		if (parser->err != NULL)
			*parser->err = why;
		return lab_error_wrap(
			parser->err, "%s:%u:%u", where.file, where.line, where.column);
	}
	return parse_file_text(parser, lab_arena_cstr(parser->arena, path), text);
}

static void sort_paths(struct lab_view *paths, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct lab_view path = paths[i];
		size_t j = i;
		for (; j > 0 && lab_view_cmp(paths[j - 1], path) > 0; j--)
			paths[j] = paths[j - 1];
		paths[j] = path;
	}
}

static int include_glob(
	struct conf_parser *parser, struct lab_view pattern, struct conf_where where, bool try)
{
	const struct conf_reader *reader = parser->reader;
	char shown[CONF_SHOW_MAX + 4];
	struct lab_view *paths = NULL;
	size_t count = 0;

	if (reader->glob == NULL)
		return conf_fail(parser->err, where, "file patterns cannot be used here");
	if (reader->glob(reader->ctx, pattern, parser->arena, &paths, &count, parser->err) < 0)
		return lab_error_wrap(
			parser->err, "%s:%u:%u", where.file, where.line, where.column);
	if (count == 0 && !try)
		return conf_fail(
			parser->err, where, "no file matches %s", conf_show(pattern, shown));
	if (count > CONF_FILES_MAX)
		return conf_fail(
			parser->err, where, "more than %u files match", (unsigned)CONF_FILES_MAX);
	sort_paths(paths, count);
	for (size_t i = 0; i < count; i++) {
		if (include_file(parser, paths[i], where, try) < 0)
			return -1;
	}
	return 0;
}

static int parse_include(struct line *line, bool try, struct conf_where where)
{
	struct conf_parser *parser = line->parser;
	struct lab_view path = lab_view_trim(lab_view_skip(line->text, line->pos));
	int result;

	line->pos = line->text.len;
	if (is_quoted(path))
		path = unquote(parser->arena, path);
	if (path.len == 0)
		return conf_fail(parser->err, where, "a file name is missing behind !include");
	if (parser->reader == NULL)
		return conf_fail(parser->err, where, "files cannot be included here");
	if (parser->include_depth == CONF_INCLUDE_DEPTH_MAX)
		return conf_fail(parser->err, where, "includes are nested more than %u deep",
			(unsigned)CONF_INCLUDE_DEPTH_MAX);
	path = conf_resolve_path(parser->arena, line->file, path);
	parser->include_depth++;
	if (has_wildcard(path))
		result = include_glob(parser, path, where, try);
	else
		result = include_file(parser, path, where, try);
	parser->include_depth--;
	return result;
}

static int parse_item(struct line *line)
{
	size_t start = line->pos;
	struct conf_where where = line_where(line, start);
	struct lab_view name;

	if (peek(line) == '}')
		return parse_section_end(line, where);
	while (!at_end(line) && !conf_is_white(peek(line)) && peek(line) != '=' &&
		peek(line) != '{')
		line->pos++;
	name = lab_view_sub(line->text, start, line->pos - start);
	skip_white(line);
	if (name.len == 0)
		return conf_fail(
			line->parser->err, where, "a name is missing before '%c'", peek(line));
	if (peek(line) == '=')
		return parse_setting(line, name, where);
	if (lab_view_eq_cstr(name, "!include") || lab_view_eq_cstr(name, "!include_try"))
		return parse_include(line, name.len > 8, where);
	return parse_section(line, name, where);
}

static int parse_line(struct line *line)
{
	for (skip_white(line); !at_end(line); skip_white(line)) {
		if (parse_item(line) < 0)
			return -1;
		line->compact = true;
	}
	return 0;
}

/* ---- lines ---- */

/* Without the comment and the white space at both ends. A quote that is not closed hides a '#' to
 * the end of the line, as in Dovecot. */
static struct lab_view strip_line(
	struct conf_parser *parser, const char *file, struct lab_view raw, unsigned number)
{
	size_t end = raw.len;

	for (size_t i = 0; i < raw.len; i++) {
		uint8_t byte = raw.ptr[i];
		if (byte == '"' || byte == '\'') {
			for (i++; i < raw.len && raw.ptr[i] != byte; i++)
				i += raw.ptr[i] == '\\' ? 1 : 0;
		} else if (byte == '#') {
			struct conf_where where = { file, number, (unsigned)i + 1 };
			if (i > 0 && !conf_is_white(raw.ptr[i - 1]))
				warn(parser, where, "'", lab_view_skip(raw, i),
					"' is taken for a comment; put a space before it");
			end = i;
			break;
		}
	}
	while (end > 0 && conf_is_white(raw.ptr[end - 1]))
		end--;
	raw.len = end;
	while (raw.len > 0 && conf_is_white(raw.ptr[0]))
		raw = lab_view_skip(raw, 1);
	return raw;
}

/* Reads a file line by line; `joined` is the logical line so far while lines continue. */
struct lines {
	struct conf_parser *parser;
	const char *file;
	struct line_piece pieces[LINE_PIECES_MAX];
	size_t piece_count;
	uint8_t *joined;
	size_t len, capacity;
	bool continues;
};

static int lines_parse(struct lines *lines, struct lab_view text)
{
	struct line line = { .parser = lines->parser,
		.file = lines->file,
		.text = text,
		.pieces = lines->pieces,
		.piece_count = lines->piece_count };
	int result = parse_line(&line);

	lines->piece_count = 0;
	lines->joined = NULL; /* the tree borrows from it */
	lines->len = lines->capacity = 0;
	lines->continues = false;
	return result;
}

static int lines_join(struct lines *lines, struct lab_view part, struct conf_where where)
{
	size_t wanted = lines->len + part.len;

	if (wanted > CONF_LINE_BYTES_MAX)
		return conf_fail(lines->parser->err, where, "the line is longer than %u bytes",
			(unsigned)CONF_LINE_BYTES_MAX);
	if (wanted > lines->capacity || lines->joined == NULL) {
		uint8_t *longer = lab_arena_alloc(lines->parser->arena, 2 * wanted + 1);
		if (lines->len > 0)
			memcpy(longer, lines->joined, lines->len);
		lines->joined = longer;
		lines->capacity = 2 * wanted;
	}
	if (part.len > 0)
		memcpy(lines->joined + lines->len, part.ptr, part.len);
	lines->len = wanted;
	return 0;
}

static int lines_add(struct lines *lines, struct lab_view raw, unsigned number)
{
	struct lab_view text = strip_line(lines->parser, lines->file, raw, number);
	struct conf_where where = { lines->file, number,
		(unsigned)(text.len == 0 ? 0 : text.ptr - raw.ptr) + 1 };
	bool more = text.len > 0 && text.ptr[text.len - 1] == '\\';

	if (text.len == 0)
		return 0;
	if (text.len > CONF_LINE_BYTES_MAX)
		return conf_fail(lines->parser->err, where, "the line is longer than %u bytes",
			(unsigned)CONF_LINE_BYTES_MAX);
	if (memchr(text.ptr, '\0', text.len) != NULL)
		return conf_fail(lines->parser->err, where, "there is a NUL byte in the line");
	if (lines->piece_count == LINE_PIECES_MAX)
		return conf_fail(lines->parser->err, where, "the line continues too often");
	lines->pieces[lines->piece_count++] =
		(struct line_piece){ lines->len, number, where.column };
	if (!more && !lines->continues)
		return lines_parse(lines, text);
	if (more)
		text.len--;
	lines->continues = more;
	if (lines_join(lines, text, where) < 0)
		return -1;
	return more ? 0 : lines_parse(lines, lab_view_of(lines->joined, lines->len));
}

static int parse_lines(struct lines *lines, struct lab_view text)
{
	struct lab_view raw;
	unsigned number = 0;

	if (lab_view_starts_with(text, LAB_VIEW("\xef\xbb\xbf")))
		text = lab_view_skip(text, 3);
	while (lab_view_split(&text, '\n', &raw)) {
		if (lines_add(lines, raw, ++number) < 0)
			return -1;
	}
	if (lines->continues)
		return lines_parse(lines, lab_view_of(lines->joined, lines->len));
	return 0;
}

static int parse_file_text(struct conf_parser *parser, const char *name, struct lab_view text)
{
	struct conf_section *around = parser->section;
	struct lines *lines = lab_arena_new_of(parser->arena, struct lines);
	char shown[CONF_SHOW_MAX + 4];

	lines->parser = parser;
	lines->file = name;
	if (text.len > CONF_FILE_BYTES_MAX)
		return lab_fail(parser->err, LAB_LIMIT, "%s: the file is bigger than %u bytes",
			name, (unsigned)CONF_FILE_BYTES_MAX);
	if (text.ptr != NULL && parse_lines(lines, text) < 0)
		return -1;
	if (parser->section != around)
		return conf_fail(parser->err, parser->section->where,
			"section %s is not ended in this file",
			conf_show(parser->section->name, shown));
	return 0;
}

int conf_parse_text(const char *name, struct lab_view text, const struct conf_reader *reader,
	uint32_t flags, struct lab_arena *arena, struct conf_problems *problems,
	struct conf_section **ret, struct lab_error *err)
{
	struct conf_parser parser = {
		.reader = reader, .flags = flags, .arena = arena, .problems = problems, .err = err
	};

	parser.root = lab_arena_new_of(arena, struct conf_section);
	parser.root->where = (struct conf_where){ name, 1, 1 };
	parser.section = parser.root;
	if (parse_file_text(&parser, name, text) < 0)
		return -1;
	*ret = parser.root;
	return 0;
}

int conf_parse(struct lab_view path, const struct conf_reader *reader, uint32_t flags,
	struct lab_arena *arena, struct conf_problems *problems, struct conf_section **ret,
	struct lab_error *err)
{
	struct lab_view text;

	if (reader->read_file(reader->ctx, path, arena, &text, err) < 0)
		return -1;
	return conf_parse_text(
		lab_arena_cstr(arena, path), text, reader, flags, arena, problems, ret, err);
}

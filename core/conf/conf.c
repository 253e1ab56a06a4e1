/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf/conf.h"

#include "core/conf/conf-private.h"

#include <stdio.h>

#define NAME_MAX_COMPARED 64

const char *conf_show(struct lab_view value, char out[CONF_SHOW_MAX + 4])
{
	size_t len = LAB_MIN(value.len, (size_t)CONF_SHOW_MAX);

	for (size_t i = 0; i < len; i++)
		out[i] = value.ptr[i] >= 0x20 && value.ptr[i] != 0x7f ? (char)value.ptr[i] : '?';
	out[len] = '\0';
	if (len < value.len)
		memcpy(out + len, "...", 4);
	return out;
}

int conf_fail(struct lab_error *err, struct conf_where where, const char *format, ...)
{
	char sentence[sizeof(err->message)];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	return lab_fail(
		err, LAB_INVALID, "%s:%u:%u: %s", where.file, where.line, where.column, sentence);
}

void conf_problems_init(struct conf_problems *problems, struct lab_arena *arena)
{
	memset(problems, 0, sizeof(*problems));
	problems->arena = arena;
}

void conf_problem_add(struct conf_problems *problems, bool is_error, struct conf_where where,
	const char *format, ...)
{
	struct conf_problem *problem;
	va_list args;

	if (is_error)
		problems->errors++;
	else
		problems->warnings++;
	if (problems->count == CONF_PROBLEMS_MAX)
		return;
	problem = &problems->items[problems->count++];
	problem->where = where;
	problem->is_error = is_error;
	va_start(args, format);
	problem->message = lab_arena_vprintf(problems->arena, format, args);
	va_end(args);
}

void conf_problem_print(const struct conf_problem *problem, struct lab_buf *out)
{
	lab_buf_printf(out, "%s:%u:%u: %s%s", problem->where.file, problem->where.line,
		problem->where.column, problem->is_error ? "" : "warning: ", problem->message);
}

const struct conf_setting *conf_setting_in(const struct conf_section *section, const char *name)
{
	const struct conf_setting *found = NULL;

	for (const struct conf_setting *s = section->settings; s != NULL; s = s->next) {
		if (lab_view_eq_cstr(s->name, name))
			found = s;
	}
	return found;
}

const struct conf_setting *conf_setting_of(
	const struct conf_section *root, const char *section, const char *name)
{
	const struct conf_setting *found = NULL;
	const struct conf_section *child = NULL;

	if (section == NULL)
		return conf_setting_in(root, name);
	while ((child = conf_section_next(root, section, child)) != NULL) {
		const struct conf_setting *setting = conf_setting_in(child, name);
		if (setting != NULL)
			found = setting;
	}
	return found;
}

const struct conf_section *conf_section_next(
	const struct conf_section *parent, const char *name, const struct conf_section *after)
{
	const struct conf_section *child = after == NULL ? parent->children : after->next;

	while (child != NULL && !lab_view_eq_cstr(child->name, name))
		child = child->next;
	return child;
}

/* Optimal string alignment: Damerau-Levenshtein where no part is edited twice. Gives up with
 * `bound` + 1 as soon as a whole row is above the bound. */
static unsigned suggest_distance(struct lab_view a, struct lab_view b, unsigned bound)
{
	unsigned rows[3][NAME_MAX_COMPARED + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2];

	for (unsigned j = 0; j <= b.len; j++)
		above[j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned lowest = row[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			bool equal = a.ptr[i - 1] == b.ptr[j - 1];
			unsigned best = above[j - 1] + (equal ? 0 : 1);
			best = LAB_MIN(best, above[j] + 1);
			best = LAB_MIN(best, row[j - 1] + 1);
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] &&
				a.ptr[i - 2] == b.ptr[j - 1])
				best = LAB_MIN(best, before[j - 2] + 1);
			row[j] = best;
			lowest = LAB_MIN(lowest, best);
		}
		if (lowest > bound)
			return bound + 1;
		unsigned *oldest = before;
		before = above;
		above = row;
		row = oldest;
	}
	return above[b.len];
}

const char *conf_suggest(struct lab_view wrong, conf_name_at_fn name_at, const void *ctx)
{
	unsigned bound = (unsigned)LAB_MIN(wrong.len / 3, (size_t)5);
	const char *best = NULL, *name;

	if (wrong.len == 0 || wrong.len > NAME_MAX_COMPARED)
		return NULL;
	bound = LAB_MAX(bound, 1u);
	for (size_t i = 0; (name = name_at(ctx, i)) != NULL; i++) {
		struct lab_view known = lab_view_cstr(name);
		if (known.len == 0 || known.len > NAME_MAX_COMPARED)
			continue;
		unsigned distance = suggest_distance(wrong, known, bound);
		if (distance > bound || (best != NULL && distance == bound))
			continue;
		best = name;
		bound = distance;
	}
	return best;
}

struct suggest_array {
	const char *const *names;
	size_t count;
};

static const char *suggest_array_at(const void *ctx, size_t i)
{
	const struct suggest_array *array = ctx;

	return i < array->count ? array->names[i] : NULL;
}

const char *conf_suggest_of(struct lab_view wrong, const char *const *names, size_t count)
{
	struct suggest_array array = { names, count };

	return conf_suggest(wrong, suggest_array_at, &array);
}

const char *conf_hint(const char *suggestion, char out[CONF_HINT_MAX])
{
	out[0] = '\0';
	if (suggestion != NULL)
		snprintf(out, CONF_HINT_MAX, " (did you mean %s?)", suggestion);
	return out;
}

struct lab_view conf_resolve_path(
	struct lab_arena *arena, const char *base_file, struct lab_view path)
{
	struct lab_view base = lab_view_cstr(base_file);
	char *joined;

	if (path.len > 0 && path.ptr[0] == '/')
		return path;
	while (base.len > 0 && base.ptr[base.len - 1] != '/')
		base.len--;
	if (base.len == 0)
		return path;
	joined = lab_arena_printf(arena, "%.*s%.*s", LAB_VIEW_ARG(base), LAB_VIEW_ARG(path));
	return lab_view_cstr(joined);
}

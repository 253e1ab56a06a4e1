/* SPDX-License-Identifier: Apache-2.0
 *
 * Which map a key belongs to, and the texts of its statements (obox 3.4, 3.6).
 */
#include "core/dict/dict-sql-private.h"

/* ---- matching ---- */

/* Takes parts off the front of *rest. Returns how many parts of the pattern matched. */
static size_t match_parts(
	const struct dict_cql_map *map, struct lab_view *rest, struct dict_sql_match *ret)
{
	size_t i;
	for (i = 0; i < map->part_count && rest->len > 0; i++) {
		const struct dict_cql_part *part = &map->parts[i];
		if (!part->is_variable) {
			if (!lab_view_starts_with(*rest, part->literal))
				break;
			*rest = lab_view_skip(*rest, part->literal.len);
			continue;
		}
		size_t end = rest->len;
		if (i + 1 < map->part_count)
			end = LAB_MIN(lab_view_find_byte(*rest, '/'), rest->len);
		ret->parts[ret->count++] = lab_view_sub(*rest, 0, end);
		*rest = lab_view_skip(*rest, end);
	}
	return i;
}

static bool match_key(
	const struct dict_cql_map *map, struct lab_view key, struct dict_sql_match *ret)
{
	ret->count = 0;
	return match_parts(map, &key, ret) == map->part_count && key.len == 0;
}

/* Only the last variable may be missing, right behind a '/'. */
static bool match_path(
	const struct dict_cql_map *map, struct lab_view path, struct dict_sql_match *ret)
{
	struct lab_view rest = path;
	ret->count = 0;
	size_t matched = match_parts(map, &rest, ret);
	if (rest.len > 0 || matched == 0)
		return false;
	if (matched == map->part_count)
		return map->parts[matched - 1].is_variable;
	return matched + 1 == map->part_count && map->parts[matched].is_variable &&
	       lab_view_ends_with(path, LAB_VIEW("/"));
}

static int match_first(const struct dict_cql_config *config, struct lab_view text,
	bool (*matches)(const struct dict_cql_map *, struct lab_view, struct dict_sql_match *),
	struct dict_sql_match *ret)
{
	for (size_t i = 0; i < config->map_count; i++) {
		if (matches(&config->maps[i], text, ret)) {
			ret->map = &config->maps[i];
			ret->index = i;
			return 1;
		}
	}
	return 0;
}

int dict_sql_match_key(
	const struct dict_cql_config *config, struct lab_view key, struct dict_sql_match *ret)
{
	return match_first(config, key, match_key, ret);
}

int dict_sql_match_path(
	const struct dict_cql_config *config, struct lab_view path, struct dict_sql_match *ret)
{
	return match_first(config, path, match_path, ret);
}

/* ---- statements ---- */

#define TEXT_MAX 65536

struct maker {
	struct lab_buf text;
	const struct dict_cql_map *map;
	struct lab_arena *arena;
	bool overflow;
};

static struct lab_view finish(struct maker *m)
{
	struct lab_view copy = lab_arena_copy(m->arena, lab_buf_view(&m->text));
	m->overflow |= m->text.overflow;
	lab_buf_reset(&m->text);
	return copy;
}

static void put_where(struct maker *m, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		lab_buf_append_cstr(&m->text, i == 0 ? " WHERE " : " AND ");
		lab_buf_append_view(&m->text, m->map->fields[i].column);
		lab_buf_append_cstr(&m->text, " = ?");
	}
}

static void put_from(struct maker *m)
{
	lab_buf_append_cstr(&m->text, " FROM ");
	lab_buf_append_view(&m->text, m->map->table);
}

static struct lab_view lookup_text(struct maker *m)
{
	lab_buf_append_cstr(&m->text, "SELECT ");
	if (dict_sql_expires(m->map))
		lab_buf_printf(&m->text, "%.*s,", LAB_VIEW_ARG(m->map->expire_field));
	lab_buf_append_view(&m->text, m->map->value_field);
	put_from(m);
	put_where(m, m->map->field_count);
	return finish(m);
}

static struct lab_view set_text(
	struct maker *m, const struct dict_cql_value *const *values, size_t count)
{
	size_t markers = count + m->map->field_count + (dict_sql_expires(m->map) ? 1 : 0);
	lab_buf_printf(&m->text, "INSERT INTO %.*s (", LAB_VIEW_ARG(m->map->table));
	for (size_t i = 0; i < count; i++)
		lab_buf_printf(
			&m->text, "%s%.*s", i == 0 ? "" : ",", LAB_VIEW_ARG(values[i]->expression));
	if (dict_sql_expires(m->map))
		lab_buf_printf(&m->text, ",%.*s", LAB_VIEW_ARG(m->map->expire_field));
	for (size_t i = 0; i < m->map->field_count; i++)
		lab_buf_printf(&m->text, ",%.*s", LAB_VIEW_ARG(m->map->fields[i].column));
	lab_buf_append_cstr(&m->text, ") VALUES (?");
	for (size_t i = 1; i < markers; i++)
		lab_buf_append_cstr(&m->text, ",?");
	lab_buf_append_byte(&m->text, ')');
	return finish(m);
}

struct lab_view dict_sql_set_text(const struct dict_cql_map *map,
	const struct dict_cql_value *const *values, size_t count, struct lab_heap *heap,
	struct lab_arena *arena)
{
	struct maker m = { .map = map, .arena = arena };
	lab_buf_init(&m.text, heap, TEXT_MAX);
	struct lab_view text = set_text(&m, values, count);
	lab_buf_done(&m.text);
	return text;
}

static struct lab_view inc_text(struct maker *m)
{
	struct lab_view column = m->map->values[0].expression;
	lab_buf_printf(&m->text, "UPDATE %.*s SET %.*s=%.*s+?", LAB_VIEW_ARG(m->map->table),
		LAB_VIEW_ARG(column), LAB_VIEW_ARG(column));
	put_where(m, m->map->field_count);
	return finish(m);
}

static struct lab_view unset_text(struct maker *m)
{
	lab_buf_append_cstr(&m->text, "DELETE");
	put_from(m);
	put_where(m, m->map->field_count);
	return finish(m);
}

static struct lab_view iterate_text(struct maker *m, bool no_value)
{
	lab_buf_append_cstr(&m->text, "SELECT ");
	if (!no_value) {
		lab_buf_append_view(&m->text, m->map->value_field);
		lab_buf_append_byte(&m->text, ',');
	}
	lab_buf_append_view(&m->text, m->map->fields[m->map->field_count - 1].column);
	put_from(m);
	put_where(m, m->map->field_count - 1);
	return finish(m);
}

int dict_sql_texts_make(const struct dict_cql_map *map, struct lab_heap *heap,
	struct lab_arena *arena, struct dict_sql_texts *ret, struct lab_error *err)
{
	struct maker m = { .map = map, .arena = arena };
	lab_buf_init(&m.text, heap, TEXT_MAX);
	ret->lookup = lookup_text(&m);
	const struct dict_cql_value *first = &map->values[0];
	ret->set = set_text(&m, &first, 1);
	ret->inc = inc_text(&m);
	ret->unset = unset_text(&m);
	if (map->field_count > 0) {
		ret->iterate = iterate_text(&m, false);
		ret->iterate_no_value = iterate_text(&m, true);
	}
	lab_buf_done(&m.text);
	return m.overflow ? lab_fail(err, LAB_LIMIT, "the statements of map %.*s are too long",
				    LAB_VIEW_ARG(map->pattern))
			  : 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * term.c - terms as text, for messages that repeat what was asked.
 */
#include "sim/cql-emulator/syntax.h"

#define TEXT_MAX 4096

static void append_items(struct lab_buf *out, const struct term *term);

static void append_type(struct lab_buf *out, const struct type_name *type)
{
	if (type->keyspace.ptr != NULL) {
		lab_buf_append_view(out, type->keyspace);
		lab_buf_append_byte(out, '.');
	}
	lab_buf_append_view(out, type->name);
	for (size_t i = 0; i < type->param_count; i++) {
		lab_buf_append_cstr(out, i == 0 ? "<" : ", ");
		append_type(out, &type->params[i]);
	}
	if (type->param_count > 0)
		lab_buf_append_byte(out, '>');
}

static void append_term(struct lab_buf *out, const struct term *term);

static void append_operation(struct lab_buf *out, const struct term *term)
{
	if (term->item_count == 2) {
		append_term(out, &term->items[0]);
		lab_buf_append_byte(out, ' ');
	}
	lab_buf_append_view(out, term->text);
	if (term->item_count == 2)
		lab_buf_append_byte(out, ' ');
	append_term(out, &term->items[term->item_count - 1]);
}

static void append_term(struct lab_buf *out, const struct term *term)
{
	switch (term->kind) {
	case TERM_NONE:
	case TERM_NULL:
		lab_buf_append_cstr(out, "null");
		break;
	case TERM_STRING:
		lab_buf_append_byte(out, '\'');
		lab_buf_append_view(out, term->text);
		lab_buf_append_byte(out, '\'');
		break;
	case TERM_MARKER:
		lab_buf_append_byte(out, '?');
		break;
	case TERM_INTEGER:
	case TERM_FLOAT:
	case TERM_BOOLEAN:
	case TERM_HEX:
	case TERM_DURATION:
	case TERM_UUID:
		lab_buf_append_view(out, term->text);
		break;
	case TERM_CALL:
		lab_buf_append_view(out, term->text);
		append_items(out, term);
		break;
	case TERM_HINT:
		lab_buf_append_byte(out, '(');
		append_type(out, term->type);
		lab_buf_append_byte(out, ')');
		append_term(out, &term->items[0]);
		break;
	case TERM_OPERATION:
		append_operation(out, term);
		break;
	case TERM_PARENTHESES:
		append_term(out, &term->items[0]);
		break;
	case TERM_COLUMN:
	case TERM_FIELD:
	case TERM_ELEMENT:
	case TERM_SLICE:
	case TERM_CAST:
	case TERM_COUNT_ALL:
	case TERM_WRITETIME:
	case TERM_TTL:
		lab_buf_append_view(out, term->text);
		break;
	case TERM_LIST:
	case TERM_SET:
	case TERM_MAP:
	case TERM_USER:
	case TERM_TUPLE:
		append_items(out, term);
		break;
	}
}

static void append_items(struct lab_buf *out, const struct term *term)
{
	static const char *const brackets[] = { [TERM_LIST] = "[]",
		[TERM_SET] = "{}",
		[TERM_MAP] = "{}",
		[TERM_USER] = "{}",
		[TERM_TUPLE] = "()",
		[TERM_CALL] = "()" };
	bool map = term->kind == TERM_MAP || term->kind == TERM_USER;
	lab_buf_append_byte(out, (uint8_t)brackets[term->kind][0]);
	for (size_t i = 0; i < term->item_count; i++) {
		if (i > 0)
			lab_buf_append_cstr(out, map && i % 2 == 1 ? ": " : ", ");
		append_term(out, &term->items[i]);
	}
	lab_buf_append_byte(out, (uint8_t)brackets[term->kind][1]);
}

struct lab_view cqle_term_text(struct lab_arena *arena, const struct term *term)
{
	struct lab_buf out;
	lab_buf_init_arena(&out, arena, TEXT_MAX);
	append_term(&out, term);
	return lab_buf_view(&out);
}

const char *cqle_name_text(struct lab_arena *arena, struct lab_view name)
{
	bool plain = name.len > 0 && name.ptr[0] >= 'a' && name.ptr[0] <= 'z';
	for (size_t i = 0; i < name.len && plain; i++) {
		uint8_t c = name.ptr[i];
		plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
	}
	if (plain)
		return lab_arena_printf(arena, "%.*s", LAB_VIEW_ARG(name));
	struct lab_buf out;
	lab_buf_init_arena(&out, arena, 2 * name.len + 3);
	lab_buf_append_byte(&out, '"');
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] == '"')
			lab_buf_append_byte(&out, '"');
		lab_buf_append_byte(&out, name.ptr[i]);
	}
	lab_buf_append_byte(&out, '"');
	return lab_arena_cstr(arena, lab_buf_view(&out));
}

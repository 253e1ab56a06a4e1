/* SPDX-License-Identifier: Apache-2.0
 *
 * type.c - the names of CQL's types.
 */
#include "sim/cql-emulator/type-private.h"

static const struct {
	const char *name;
	uint16_t id;
	uint8_t params;
} type_names[] = { { "ascii", CQL_TYPE_ASCII, 0 }, { "bigint", CQL_TYPE_BIGINT, 0 },
	{ "blob", CQL_TYPE_BLOB, 0 }, { "boolean", CQL_TYPE_BOOLEAN, 0 },
	{ "counter", CQL_TYPE_COUNTER, 0 }, { "date", CQL_TYPE_DATE, 0 },
	{ "decimal", CQL_TYPE_DECIMAL, 0 }, { "double", CQL_TYPE_DOUBLE, 0 },
	{ "duration", CQL_TYPE_DURATION, 0 }, { "float", CQL_TYPE_FLOAT, 0 },
	{ "inet", CQL_TYPE_INET, 0 }, { "int", CQL_TYPE_INT, 0 }, { "list", CQL_TYPE_LIST, 1 },
	{ "map", CQL_TYPE_MAP, 2 }, { "set", CQL_TYPE_SET, 1 },
	{ "smallint", CQL_TYPE_SMALLINT, 0 }, { "text", CQL_TYPE_TEXT, 0 },
	{ "time", CQL_TYPE_TIME, 0 }, { "timestamp", CQL_TYPE_TIMESTAMP, 0 },
	{ "timeuuid", CQL_TYPE_TIMEUUID, 0 }, { "tinyint", CQL_TYPE_TINYINT, 0 },
	{ "uuid", CQL_TYPE_UUID, 0 }, { "varchar", CQL_TYPE_TEXT, 0 },
	{ "varint", CQL_TYPE_VARINT, 0 } };

struct resolver {
	struct cqlemu *emu; /* NULL: no user types */
	struct lab_arena *arena;
	struct lab_view keyspace;
	struct lab_error *err;
};

static int find_type(const struct type_name *name)
{
	for (size_t i = 0; i < LAB_COUNT_OF(type_names) && name->keyspace.ptr == NULL; i++) {
		if (lab_view_eq_cstr(name->name, type_names[i].name))
			return (int)i;
	}
	return -1;
}

bool cqle_type_is_native(const struct type_name *name)
{
	return find_type(name) >= 0 || lab_view_eq_cstr(name->name, "tuple") ||
	       lab_view_eq_cstr(name->name, "frozen");
}

static struct lab_view freeze_text(const struct resolver *r, bool frozen, const char *text)
{
	return lab_view_cstr(frozen ? lab_arena_printf(r->arena, "frozen<%s>", text) : text);
}

static int resolve(const struct resolver *r, const struct type_name *name, bool frozen,
	struct cql_type *ret, struct lab_view *ret_text, bool *ret_multicell);

/* What no element of a collection can be. `text` is the collection's. */
static int check_params(const struct resolver *r, const struct cql_type *type, bool multicell,
	const struct cql_type *nested, const char *text)
{
	static const char *const texts[] = { "Non-frozen UDTs are not allowed inside collections",
		"Non-frozen collections are not allowed inside collections",
		"Counters are not allowed inside collections",
		"Durations are not allowed inside sets", "Durations are not allowed as map keys" };
	uint16_t first = type->params[0].id;
	bool counters = first == CQL_TYPE_COUNTER ||
			(type->param_count > 1 && type->params[1].id == CQL_TYPE_COUNTER);
	size_t which = counters                                                  ? 2
		       : multicell && nested->id == CQL_TYPE_UDT                 ? 0
		       : multicell                                               ? 1
		       : first != CQL_TYPE_DURATION || type->id == CQL_TYPE_LIST ? 5
		       : type->id == CQL_TYPE_SET                                ? 3
										 : 4;
	if (which < 5)
		return cqle_fail(r->err, CQL_E_INVALID, "%s: %s", texts[which], text);
	/* They would be in the order of their bytes. */
	if (type->id != CQL_TYPE_LIST && cqle_type_has(&type->params[0], CQL_TYPE_DECIMAL))
		return cqle_fail(r->err, CQL_E_INVALID,
			"Decimals in sets and as map keys are not supported here: %s", text);
	return 0;
}

/* The types between < and >. `frozen`: those that are written without it are, all the same. */
static int resolve_params(const struct resolver *r, const struct type_name *name, bool frozen,
	struct cql_type *ret, const char **text)
{
	struct cql_type *params = lab_arena_array(r->arena, struct cql_type, name->param_count);
	const struct cql_type *nested = NULL;
	for (size_t i = 0; i < name->param_count; i++) {
		struct lab_view param_text;
		bool multicell;
		if (resolve(r, &name->params[i], frozen, &params[i], &param_text, &multicell) < 0)
			return -1;
		if (multicell && nested == NULL)
			nested = &params[i];
		*text = lab_arena_printf(
			r->arena, "%s%s%.*s", *text, i == 0 ? "<" : ", ", LAB_VIEW_ARG(param_text));
	}
	*text = lab_arena_printf(r->arena, "%s>", *text);
	ret->params = params;
	ret->param_count = name->param_count;
	return ret->id == CQL_TYPE_TUPLE ? 0 : check_params(r, ret, nested != NULL, nested, *text);
}

static int resolve_tuple(const struct resolver *r, const struct type_name *name,
	struct cql_type *ret, struct lab_view *ret_text)
{
	const char *text = "tuple";
	*ret = (struct cql_type){ .id = CQL_TYPE_TUPLE };
	if (resolve_params(r, name, true, ret, &text) < 0)
		return -1;
	*ret_text = freeze_text(r, true, text);
	return 0;
}

static int resolve_user(const struct resolver *r, const struct type_name *name, bool frozen,
	struct cql_type *ret, struct lab_view *ret_text)
{
	if (name->keyspace.ptr != NULL && !lab_view_eq(name->keyspace, r->keyspace))
		return cqle_fail(r->err, CQL_E_INVALID,
			"Statement on keyspace %.*s cannot refer to a user type in keyspace %.*s; "
			"user types can only be used in the keyspace they are defined in",
			LAB_VIEW_ARG(r->keyspace), LAB_VIEW_ARG(name->keyspace));
	const struct cqle_user_type *type =
		r->emu == NULL || name->param_count > 0
			? NULL
			: cqle_user_type_find(r->emu, r->keyspace, name->name);
	if (type == NULL)
		return cqle_fail(r->err, CQL_E_INVALID, "Unknown type %.*s.%.*s",
			LAB_VIEW_ARG(r->keyspace), LAB_VIEW_ARG(name->name));
	*ret = type->type;
	*ret_text = freeze_text(r, frozen, cqle_name_text(r->arena, name->name));
	return 0;
}

static int resolve_frozen(const struct resolver *r, const struct type_name *name,
	struct cql_type *ret, struct lab_view *ret_text, bool *ret_multicell)
{
	const struct type_name *inner = &name->params[0];
	if (resolve(r, inner, true, ret, ret_text, ret_multicell) < 0)
		return -1;
	*ret_multicell = false;
	if (type_is_collection(ret->id) || type_is_composite(ret->id))
		return 0;
	return cqle_fail(r->err, CQL_E_SYNTAX,
		"frozen<> is only allowed on collections, tuples, and user-defined types (got "
		"%.*s)",
		LAB_VIEW_ARG(*ret_text));
}

static int resolve(const struct resolver *r, const struct type_name *name, bool frozen,
	struct cql_type *ret, struct lab_view *ret_text, bool *ret_multicell)
{
	*ret_multicell = false;
	if (lab_view_eq_cstr(name->name, "frozen") && name->param_count == 1)
		return resolve_frozen(r, name, ret, ret_text, ret_multicell);
	if (lab_view_eq_cstr(name->name, "tuple") && name->param_count > 0)
		return resolve_tuple(r, name, ret, ret_text);
	int index = find_type(name);
	if (index < 0 || type_names[index].params != name->param_count) {
		*ret_multicell = !frozen;
		return resolve_user(r, name, frozen, ret, ret_text);
	}
	const char *text = cql_type_name(type_names[index].id);
	*ret = (struct cql_type){ .id = type_names[index].id };
	*ret_text = lab_view_cstr(text);
	if (name->param_count == 0)
		return 0;
	*ret_multicell = !frozen;
	if (resolve_params(r, name, frozen, ret, &text) < 0)
		return -1;
	*ret_text = freeze_text(r, frozen, text);
	return 0;
}

int cqle_type_resolve(struct cqlemu *emu, struct lab_arena *arena, struct lab_view keyspace,
	const struct type_name *name, struct cql_type *ret, struct lab_view *ret_text,
	bool *ret_multicell, struct lab_error *err)
{
	struct resolver r = { emu, arena, keyspace, err };
	return resolve(&r, name, false, ret, ret_text, ret_multicell);
}

bool cqle_type_has(const struct cql_type *type, uint16_t id)
{
	bool found = type->id == id;
	for (size_t i = 0; i < type->param_count && !found; i++)
		found = cqle_type_has(&type->params[i], id);
	return found;
}

struct lab_view cqle_type_text(struct lab_arena *arena, const struct cql_type *type)
{
	const char *text = cql_type_name(type->id);
	if (type->id == CQL_TYPE_UDT)
		return lab_view_cstr(cqle_name_text(arena, type->name));
	for (size_t i = 0; i < type->param_count; i++) {
		struct lab_view inner = cqle_type_text_frozen(arena, &type->params[i]);
		text = lab_arena_printf(
			arena, "%s%s%.*s", text, i == 0 ? "<" : ", ", LAB_VIEW_ARG(inner));
	}
	if (type->param_count > 0)
		text = lab_arena_printf(
			arena, type->id == CQL_TYPE_TUPLE ? "frozen<%s>>" : "%s>", text);
	return lab_view_cstr(text);
}

struct lab_view cqle_type_text_frozen(struct lab_arena *arena, const struct cql_type *type)
{
	struct lab_view text = cqle_type_text(arena, type);
	if (!type_is_collection(type->id) && type->id != CQL_TYPE_UDT)
		return text;
	return lab_view_cstr(lab_arena_printf(arena, "frozen<%.*s>", LAB_VIEW_ARG(text)));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * user-type.c - CREATE TYPE, ALTER TYPE, DROP TYPE.
 *
 * Types are values: a column has a copy of its type, with all that is nested in it. ALTER makes new
 * copies everywhere, so that plans which know the old ones stay whole until they are found stale.
 */
#include "sim/cql-emulator/schema-private.h"

struct change {
	struct cqlemu *emu;
	const struct statement *statement;
	struct lab_view keyspace;
	struct lab_error *err;
};

struct cqle_user_type *cqle_user_type_find(
	const struct cqlemu *emu, struct lab_view keyspace, struct lab_view name)
{
	for (size_t i = 0; i < emu->type_count; i++) {
		if (lab_view_eq(emu->types[i]->type.name, name) &&
			lab_view_eq(emu->types[i]->type.keyspace, keyspace))
			return emu->types[i];
	}
	return NULL;
}

static bool is_type(const struct cql_type *type, const struct cql_type *user)
{
	return type->id == CQL_TYPE_UDT && lab_view_eq(type->name, user->name) &&
	       lab_view_eq(type->keyspace, user->keyspace);
}

static bool has_type(const struct cql_type *type, const struct cql_type *user)
{
	bool found = is_type(type, user);
	for (size_t i = 0; i < type->param_count && !found; i++)
		found = has_type(&type->params[i], user);
	return found;
}

static bool table_has_type(
	const struct cqle_table *table, const struct cql_type *user, size_t columns)
{
	for (size_t i = 0; i < columns; i++) {
		if (has_type(&table->columns[i].type, user))
			return true;
	}
	return false;
}

/* ---- fields ---- */

static void allocate_fields(struct cqlemu *emu, struct cqle_user_type *type, size_t count)
{
	struct cql_type *params = lab_arena_array(emu->permanent, struct cql_type, count + 1);
	struct lab_view *names = lab_arena_array(emu->permanent, struct lab_view, count + 1);
	struct lab_view *texts = lab_arena_array(emu->permanent, struct lab_view, count + 1);
	bool *multicell = lab_arena_array(emu->permanent, bool, count + 1);
	size_t had = type->type.param_count;
	if (had > 0) {
		memcpy(params, type->type.params, had * sizeof(*params));
		memcpy(names, type->type.field_names, had * sizeof(*names));
		memcpy(texts, type->field_texts, had * sizeof(*texts));
		memcpy(multicell, type->field_multicell, had * sizeof(*multicell));
	}
	type->type.params = params;
	type->type.field_names = names;
	type->field_texts = texts;
	type->field_multicell = multicell;
}

static int check_field(const struct change *c, const struct column_definition *d)
{
	if (lab_view_eq_cstr(d->type.name, "counter") && d->type.keyspace.ptr == NULL)
		return cqle_fail(c->err, CQL_E_INVALID, "A user type cannot contain counters");
	if (!cqle_type_is_native(&d->type))
		return cqle_fail(
			c->err, CQL_E_INVALID, "A user type cannot contain non-frozen UDTs");
	return 0;
}

/* There is room for it. */
static int add_field(
	const struct change *c, struct cqle_user_type *type, const struct column_definition *d)
{
	size_t at = type->type.param_count;
	struct cql_type *params = (struct cql_type *)(uintptr_t)type->type.params;
	struct lab_view *names = (struct lab_view *)(uintptr_t)type->type.field_names;
	if (cqle_type_resolve(c->emu, c->emu->permanent, c->keyspace, &d->type, &params[at],
		    &type->field_texts[at], &type->field_multicell[at], c->err) < 0)
		return -1;
	names[at] = lab_arena_copy(c->emu->permanent, d->name);
	type->type.param_count++;
	return 0;
}

static int find_field(const struct cql_type *type, struct lab_view name)
{
	for (size_t i = 0; i < type->param_count; i++) {
		if (lab_view_eq(type->field_names[i], name))
			return (int)i;
	}
	return -1;
}

/* ---- CREATE ---- */

static int check_duplicates(const struct change *c)
{
	const struct statement *s = c->statement;
	for (size_t i = 0; i < s->column_count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (lab_view_eq(s->columns[i].name, s->columns[j].name))
				return cqle_fail(c->err, CQL_E_INVALID,
					"Duplicate field name '%.*s' in type '%.*s'",
					LAB_VIEW_ARG(s->columns[i].name), LAB_VIEW_ARG(s->table));
		}
	}
	return 0;
}

static int create(const struct change *c, struct lab_view *ret_name)
{
	const struct statement *s = c->statement;
	struct cqlemu *emu = c->emu;
	struct cqle_keyspace *ks = cqle_keyspace_find(emu, c->keyspace);
	if (ks == NULL)
		return cqle_fail(c->err, CQL_E_INVALID, "Keyspace '%.*s' doesn't exist",
			LAB_VIEW_ARG(c->keyspace));
	if (cqle_user_type_find(emu, c->keyspace, s->table) != NULL)
		return s->if_not_exists ? 0
					: cqle_fail(c->err, CQL_E_INVALID,
						  "A user type with name '%.*s' already exists",
						  LAB_VIEW_ARG(s->table));
	if (check_duplicates(c) < 0)
		return -1;
	if (emu->type_count == CQLEMU_TYPES_MAX)
		return cqle_fail(
			c->err, CQL_E_INVALID, "more than %d user types", CQLEMU_TYPES_MAX);
	struct cqle_user_type *type = lab_arena_new_of(emu->permanent, struct cqle_user_type);
	type->keyspace = ks;
	type->type = (struct cql_type){ .id = CQL_TYPE_UDT,
		.name = lab_arena_copy(emu->permanent, s->table),
		.keyspace = ks->name };
	allocate_fields(emu, type, s->column_count);
	for (size_t i = 0; i < s->column_count; i++) {
		if (check_field(c, &s->columns[i]) < 0 || add_field(c, type, &s->columns[i]) < 0)
			return -1;
	}
	emu->types[emu->type_count++] = type;
	*ret_name = type->type.name;
	return 0;
}

/* ---- ALTER ---- */

/* The type with all that is `user` in it replaced. */
static struct cql_type replaced(
	struct lab_arena *arena, const struct cql_type *type, const struct cql_type *user)
{
	if (is_type(type, user))
		return *user;
	struct cql_type copy = *type;
	if (!has_type(type, user))
		return copy;
	struct cql_type *params = lab_arena_array(arena, struct cql_type, type->param_count);
	for (size_t i = 0; i < type->param_count; i++)
		params[i] = replaced(arena, &type->params[i], user);
	copy.params = params;
	return copy;
}

static void replace_everywhere(struct cqlemu *emu, const struct cql_type *user)
{
	for (size_t i = 0; i < emu->type_count; i++) {
		struct cql_type *type = &emu->types[i]->type;
		if (!is_type(type, user))
			*type = replaced(emu->permanent, type, user);
	}
	for (size_t i = 0; i < emu->table_count; i++) {
		struct cqle_table *old = emu->tables[i];
		if (!table_has_type(old, user, old->column_count))
			continue;
		struct cqle_table *table = schema_successor(emu, old, 0);
		for (size_t j = 0; j < table->column_count; j++)
			table->columns[j].type =
				replaced(emu->permanent, &table->columns[j].type, user);
		schema_succeed(emu, old, table);
	}
}

/* Keys are what they are: their bytes would be others. */
static int check_keys(const struct change *c, const struct cqle_user_type *type,
	const struct cqle_user_type *altered, size_t field)
{
	const char *tables = "";
	for (size_t i = 0; i < c->emu->table_count; i++) {
		const struct cqle_table *t = c->emu->tables[i];
		if (table_has_type(t, &type->type, t->pk_count))
			tables = lab_arena_printf(c->emu->scratch, "%s%s%.*s", tables,
				tables[0] == 0 ? "" : ", ", LAB_VIEW_ARG(t->full_name));
	}
	return tables[0] == 0 ? 0
			      : cqle_fail(c->err, CQL_E_INVALID,
					"Cannot add new field %.*s of type %.*s to user type "
					"%.*s.%.*s as the type is being used in partition key by "
					"the following tables: %s",
					LAB_VIEW_ARG(altered->type.field_names[field]),
					LAB_VIEW_ARG(altered->field_texts[field]),
					LAB_VIEW_ARG(type->type.keyspace),
					LAB_VIEW_ARG(type->type.name), tables);
}

static int alter_add(
	const struct change *c, const struct cqle_user_type *type, struct cqle_user_type *altered)
{
	const struct column_definition *d = &c->statement->columns[0];
	if (check_field(c, d) < 0)
		return -1;
	if (find_field(&type->type, d->name) >= 0)
		return cqle_fail(c->err, CQL_E_INVALID,
			"Cannot add field %.*s to type %.*s.%.*s: a field with name %.*s already "
			"exists",
			LAB_VIEW_ARG(d->name), LAB_VIEW_ARG(c->keyspace),
			LAB_VIEW_ARG(type->type.name), LAB_VIEW_ARG(d->name));
	if (add_field(c, altered, d) < 0)
		return -1;
	if (has_type(&altered->type.params[type->type.param_count], &type->type))
		return cqle_fail(c->err, CQL_E_INVALID,
			"Cannot add new field %.*s of type %.*s to user type %.*s.%.*s as it would "
			"create a circular reference",
			LAB_VIEW_ARG(d->name),
			LAB_VIEW_ARG(altered->field_texts[type->type.param_count]),
			LAB_VIEW_ARG(c->keyspace), LAB_VIEW_ARG(type->type.name));
	return check_keys(c, type, altered, type->type.param_count);
}

static int alter_rename(const struct change *c, struct cqle_user_type *altered)
{
	const struct statement *s = c->statement;
	struct lab_view *names = (struct lab_view *)(uintptr_t)altered->type.field_names;
	for (size_t i = 0; i < s->name_count; i += 2) {
		int at = find_field(&altered->type, s->names[i]);
		/* With the keyspace for the type, and without the n. */
		if (at < 0)
			return cqle_fail(c->err, CQL_E_INVALID,
				"Unkown field %.*s in user type %.*s", LAB_VIEW_ARG(s->names[i]),
				LAB_VIEW_ARG(c->keyspace));
		names[at] = lab_arena_copy(c->emu->permanent, s->names[i + 1]);
	}
	for (size_t i = 0; i < altered->type.param_count; i++) {
		if (find_field(&altered->type, names[i]) != (int)i)
			return cqle_fail(c->err, CQL_E_INVALID,
				"Duplicate field name %.*s in type %.*s", LAB_VIEW_ARG(names[i]),
				LAB_VIEW_ARG(c->keyspace));
	}
	return 0;
}

static int alter(const struct change *c, struct lab_view *ret_name)
{
	const struct statement *s = c->statement;
	struct cqle_user_type *type = cqle_user_type_find(c->emu, c->keyspace, s->table);
	if (s->alter == ALTER_TYPE)
		return cqle_fail(
			c->err, CQL_E_INVALID, "Altering field types is no longer supported");
	if (type == NULL)
		return cqle_fail(c->err, CQL_E_INVALID, "Type %.*s.%.*s doesn't exist",
			LAB_VIEW_ARG(c->keyspace), LAB_VIEW_ARG(s->table));
	struct cqle_user_type altered = *type;
	allocate_fields(c->emu, &altered, type->type.param_count + 1);
	if (s->alter == ALTER_ADD ? alter_add(c, type, &altered) < 0
				  : alter_rename(c, &altered) < 0)
		return -1;
	*type = altered;
	replace_everywhere(c->emu, &type->type);
	*ret_name = type->type.name;
	return 0;
}

/* ---- DROP ---- */

static const char *append_name(const struct change *c, const char *names, struct lab_view name)
{
	return lab_arena_printf(
		c->emu->scratch, "%s%s%.*s", names, names[0] == 0 ? "" : ", ", LAB_VIEW_ARG(name));
}

static int check_unused(const struct change *c, const struct cqle_user_type *type)
{
	const char *types = "", *tables = "";
	for (size_t i = 0; i < c->emu->type_count; i++) {
		const struct cql_type *other = &c->emu->types[i]->type;
		if (!is_type(other, &type->type) && has_type(other, &type->type))
			types = append_name(c, types, other->name);
	}
	for (size_t i = 0; i < c->emu->table_count; i++) {
		const struct cqle_table *t = c->emu->tables[i];
		if (table_has_type(t, &type->type, t->column_count))
			tables = append_name(c, tables, t->name);
	}
	if (types[0] == 0 && tables[0] == 0)
		return 0;
	return cqle_fail(c->err, CQL_E_INVALID,
		"Cannot drop user type '%.*s.%.*s' as it is still used by %s %s",
		LAB_VIEW_ARG(c->keyspace), LAB_VIEW_ARG(type->type.name),
		types[0] != 0 ? "user types" : "tables", types[0] != 0 ? types : tables);
}

static void forget(struct cqlemu *emu, size_t index)
{
	emu->type_count--;
	memmove(&emu->types[index], &emu->types[index + 1],
		(emu->type_count - index) * sizeof(emu->types[0]));
}

static int drop(const struct change *c, struct lab_view *ret_name)
{
	const struct statement *s = c->statement;
	const struct cqle_user_type *type = cqle_user_type_find(c->emu, c->keyspace, s->table);
	if (type == NULL)
		return s->if_exists
			       ? 0
			       : cqle_fail(c->err, CQL_E_INVALID, "Type '%.*s.%.*s' doesn't exist",
					 LAB_VIEW_ARG(c->keyspace), LAB_VIEW_ARG(s->table));
	if (check_unused(c, type) < 0)
		return -1;
	for (size_t i = 0; i < c->emu->type_count; i++) {
		if (c->emu->types[i] == type)
			forget(c->emu, i);
	}
	*ret_name = type->type.name;
	return 0;
}

void cqle_user_types_drop(struct cqlemu *emu, const struct cqle_keyspace *keyspace)
{
	for (size_t i = emu->type_count; i > 0; i--) {
		if (emu->types[i - 1]->keyspace == keyspace)
			forget(emu, i - 1);
	}
}

int cqle_user_type_ddl(struct cqlemu *emu, const struct statement *s, struct lab_view keyspace,
	struct cqle_ddl_result *ret, struct lab_error *err)
{
	struct change c = { emu, s, keyspace, err };
	struct lab_view name = { NULL, 0 };
	bool created = s->kind == STATEMENT_CREATE_TYPE, dropped = s->kind == STATEMENT_DROP_TYPE;
	int result = created ? create(&c, &name) : dropped ? drop(&c, &name) : alter(&c, &name);
	if (result == 0 && name.ptr != NULL)
		ret->change = (struct cql_schema_change){ .change = created   ? LAB_VIEW("CREATED")
								    : dropped ? LAB_VIEW("DROPPED")
									      : LAB_VIEW("UPDATED"),
			.target = LAB_VIEW("TYPE"),
			.keyspace = lab_arena_copy(emu->permanent, keyspace),
			.name = name };
	return result;
}

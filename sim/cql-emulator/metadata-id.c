/* SPDX-License-Identifier: Apache-2.0
 *
 * metadata-id.c - what version 5 knows result columns by: an MD5 of their names and types, the
 * latter as Cassandra's class names. Checked with ids of a genuine 4.0.14 (golden/wire.txt).
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#define PACKAGE "org.apache.cassandra.db.marshal."
#define TEXT_MAX 65536

static const struct {
	uint16_t type;
	const char *name;
} classes[] = {
	{ CQL_TYPE_ASCII, "AsciiType" },
	{ CQL_TYPE_BIGINT, "LongType" },
	{ CQL_TYPE_BLOB, "BytesType" },
	{ CQL_TYPE_BOOLEAN, "BooleanType" },
	{ CQL_TYPE_COUNTER, "CounterColumnType" },
	{ CQL_TYPE_DECIMAL, "DecimalType" },
	{ CQL_TYPE_DOUBLE, "DoubleType" },
	{ CQL_TYPE_FLOAT, "FloatType" },
	{ CQL_TYPE_INT, "Int32Type" },
	{ CQL_TYPE_TIMESTAMP, "TimestampType" },
	{ CQL_TYPE_UUID, "UUIDType" },
	{ CQL_TYPE_TEXT, "UTF8Type" },
	{ CQL_TYPE_VARINT, "IntegerType" },
	{ CQL_TYPE_TIMEUUID, "TimeUUIDType" },
	{ CQL_TYPE_INET, "InetAddressType" },
	{ CQL_TYPE_DATE, "SimpleDateType" },
	{ CQL_TYPE_TIME, "TimeType" },
	{ CQL_TYPE_SMALLINT, "ShortType" },
	{ CQL_TYPE_TINYINT, "ByteType" },
	{ CQL_TYPE_LIST, "ListType" },
	{ CQL_TYPE_MAP, "MapType" },
	{ CQL_TYPE_SET, "SetType" },
	{ CQL_TYPE_UDT, "UserType" },
	{ CQL_TYPE_TUPLE, "TupleType" },
};

static bool is_collection(const struct cql_type *type)
{
	return type->id == CQL_TYPE_LIST || type->id == CQL_TYPE_MAP || type->id == CQL_TYPE_SET;
}

static void put_class_name(struct lab_buf *out, const struct cql_type *type)
{
	for (size_t i = 0; i < LAB_COUNT_OF(classes); i++) {
		if (classes[i].type != type->id)
			continue;
		lab_buf_append_cstr(out, PACKAGE);
		lab_buf_append_cstr(out, classes[i].name);
		return;
	}
	lab_buf_append_view(out, type->name); /* a class of its own */
}

/* A user type's name, and those of its fields, are in hexadecimal. */
static void put_user_type(struct lab_buf *out, const struct cql_type *type)
{
	lab_buf_append_view(out, type->keyspace);
	lab_buf_append_byte(out, ',');
	lab_buf_append_hex(out, type->name);
}

/* Collections inside of collections are frozen; inside of what is frozen it is not said again. */
static void put_class(struct lab_buf *out, const struct cql_type *type, bool freeze, bool frozen)
{
	bool wrap = freeze && !frozen && is_collection(type);
	bool user = type->id == CQL_TYPE_UDT;
	if (wrap)
		lab_buf_append_cstr(out, PACKAGE "FrozenType(");
	put_class_name(out, type);
	if (type->param_count > 0)
		lab_buf_append_byte(out, '(');
	if (user)
		put_user_type(out, type);
	for (size_t i = 0; i < type->param_count; i++) {
		if (i > 0 || user)
			lab_buf_append_byte(out, ',');
		if (user) {
			lab_buf_append_hex(out, type->field_names[i]);
			lab_buf_append_byte(out, ':');
		}
		put_class(out, &type->params[i], true, frozen || wrap);
	}
	if (type->param_count > 0)
		lab_buf_append_byte(out, ')');
	if (wrap)
		lab_buf_append_byte(out, ')');
}

static bool is_frozen_column(const struct cqle_plan *plan, const struct cql_column *column)
{
	const struct cqle_column *c =
		plan->table == NULL ? NULL : cqle_column_find(plan->table, column->name);
	return c != NULL && c->type.id == column->type.id && !c->multicell;
}

static void put_columns(struct lab_buf *out, const struct cqle_plan *plan)
{
	for (size_t i = 0; i < plan->result_column_count; i++) {
		const struct cql_column *column = &plan->result_columns[i];
		lab_buf_append_view(out, column->name);
		lab_buf_append_byte(out, 0);
		put_class(out, &column->type, is_frozen_column(plan, column), false);
		lab_buf_append_byte(out, 0);
		lab_buf_append_byte(out, 0);
	}
}

struct lab_view cqle_plan_result_id(struct cqlemu *emu, struct cqle_plan *plan)
{
	if (!plan->has_result_id) {
		struct lab_arena_mark mark = lab_arena_mark(emu->scratch);
		struct lab_buf text;
		lab_buf_init_arena(&text, emu->scratch, TEXT_MAX);
		if (plan->kind == STATEMENT_SELECT)
			put_columns(&text, plan);
		lab_digest(LAB_MD5, lab_buf_view(&text), plan->result_id);
		plan->has_result_id = true;
		lab_arena_rewind(emu->scratch, mark);
	}
	return lab_view_of(plan->result_id, sizeof(plan->result_id));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * function.c - Cassandra's native functions, and how expressions are computed.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#include <stdio.h>

#define UUID_EPOCH INT64_C(0x01b21dd213814000) /* 1970 in 100 ns since 1582 */
#define DAY_MS INT64_C(86400000)
#define DATE_ZERO INT64_C(2147483648) /* 1970 as a date */
#define ANY CQL_TYPE_CUSTOM

static const struct cqle_function functions[] = {
	{ CQLE_FN_NOW, "now", CQL_TYPE_TIMEUUID, 0, 0, false, false },
	{ CQLE_FN_NOW, "currenttimeuuid", CQL_TYPE_TIMEUUID, 0, 0, false, false },
	{ CQLE_FN_UUID, "uuid", CQL_TYPE_UUID, 0, 0, false, false },
	{ CQLE_FN_CURRENT_TIMESTAMP, "currenttimestamp", CQL_TYPE_TIMESTAMP, 0, 0, false, false },
	{ CQLE_FN_CURRENT_DATE, "currentdate", CQL_TYPE_DATE, 0, 0, false, false },
	{ CQLE_FN_CURRENT_TIME, "currenttime", CQL_TYPE_TIME, 0, 0, false, false },
	{ CQLE_FN_TO_DATE, "todate", CQL_TYPE_DATE, CQL_TYPE_TIMEUUID, 1, true, false },
	{ CQLE_FN_TO_DATE, "todate", CQL_TYPE_DATE, CQL_TYPE_TIMESTAMP, 1, true, false },
	{ CQLE_FN_TO_TIMESTAMP, "totimestamp", CQL_TYPE_TIMESTAMP, CQL_TYPE_TIMEUUID, 1, true,
		false },
	{ CQLE_FN_TO_TIMESTAMP, "totimestamp", CQL_TYPE_TIMESTAMP, CQL_TYPE_DATE, 1, true, false },
	{ CQLE_FN_TO_UNIX, "tounixtimestamp", CQL_TYPE_BIGINT, CQL_TYPE_TIMEUUID, 1, true, false },
	{ CQLE_FN_TO_UNIX, "tounixtimestamp", CQL_TYPE_BIGINT, CQL_TYPE_TIMESTAMP, 1, true, false },
	{ CQLE_FN_TO_UNIX, "tounixtimestamp", CQL_TYPE_BIGINT, CQL_TYPE_DATE, 1, true, false },
	{ CQLE_FN_TO_TIMESTAMP, "dateof", CQL_TYPE_TIMESTAMP, CQL_TYPE_TIMEUUID, 1, false, false },
	{ CQLE_FN_TO_UNIX, "unixtimestampof", CQL_TYPE_BIGINT, CQL_TYPE_TIMEUUID, 1, false, false },
	{ CQLE_FN_MIN_TIMEUUID, "mintimeuuid", CQL_TYPE_TIMEUUID, CQL_TYPE_TIMESTAMP, 1, false,
		false },
	{ CQLE_FN_MAX_TIMEUUID, "maxtimeuuid", CQL_TYPE_TIMEUUID, CQL_TYPE_TIMESTAMP, 1, false,
		false },
	{ CQLE_FN_TO_JSON, "tojson", CQL_TYPE_TEXT, ANY, 1, false, false },
	{ CQLE_FN_FROM_JSON, "fromjson", ANY, CQL_TYPE_TEXT, 1, false, false },
	{ CQLE_FN_COUNT, "count", CQL_TYPE_BIGINT, ANY, 1, true, true },
	{ CQLE_FN_MIN, "min", ANY, ANY, 1, true, true },
	{ CQLE_FN_MAX, "max", ANY, ANY, 1, true, true },
	{ CQLE_FN_SUM, "sum", ANY, ANY, 1, true, true },
	{ CQLE_FN_AVG, "avg", ANY, ANY, 1, true, true },
};

/* What min and max take, in the order in which Cassandra lists it; sum and avg take numbers. */
static const struct {
	const char *name;
	uint16_t id;
	bool number;
} aggregated[] = { { "tinyint", CQL_TYPE_TINYINT, true }, { "decimal", CQL_TYPE_DECIMAL, true },
	{ "double", CQL_TYPE_DOUBLE, true }, { "boolean", CQL_TYPE_BOOLEAN, false },
	{ "smallint", CQL_TYPE_SMALLINT, true }, { "timestamp", CQL_TYPE_TIMESTAMP, false },
	{ "counter", CQL_TYPE_COUNTER, true }, { "ascii", CQL_TYPE_ASCII, false },
	{ "empty", CQL_TYPE_CUSTOM, false }, { "varint", CQL_TYPE_VARINT, true },
	{ "time", CQL_TYPE_TIME, false }, { "blob", CQL_TYPE_BLOB, false },
	{ "bigint", CQL_TYPE_BIGINT, true }, { "inet", CQL_TYPE_INET, false },
	{ "text", CQL_TYPE_TEXT, false }, { "duration", CQL_TYPE_CUSTOM, false },
	{ "date", CQL_TYPE_DATE, false }, { "timeuuid", CQL_TYPE_TIMEUUID, false },
	{ "int", CQL_TYPE_INT, true }, { "uuid", CQL_TYPE_UUID, false },
	{ "float", CQL_TYPE_FLOAT, true } };

/* ---- which one ---- */

/* blobAsInt, intAsBlob: one for each type. */
static bool find_conversion(
	struct lab_arena *arena, struct lab_view name, struct cqle_function *ret)
{
	bool from = lab_view_starts_with(name, LAB_VIEW("blobas"));
	bool to = lab_view_ends_with(name, LAB_VIEW("asblob"));
	if ((!from && !to) || name.len < 7)
		return false;
	struct lab_view type_name =
		from ? lab_view_skip(name, 6) : lab_view_sub(name, 0, name.len - 6);
	struct type_name as_written = { .name = type_name };
	struct cql_type type;
	struct lab_view text;
	bool multicell;
	struct lab_error ignored;
	if (lab_view_eq_cstr(type_name, "blob") || lab_view_eq_cstr(type_name, "counter") ||
		cqle_type_resolve(NULL, arena, type_name, &as_written, &type, &text, &multicell,
			&ignored) < 0)
		return false;
	*ret = (struct cqle_function){ .id = from ? CQLE_FN_BLOB_AS : CQLE_FN_AS_BLOB,
		.name = lab_arena_printf(arena, "%.*s", LAB_VIEW_ARG(name)),
		.ret = from ? type.id : (uint16_t)CQL_TYPE_BLOB,
		.arg = from ? (uint16_t)CQL_TYPE_BLOB : type.id,
		.arity = 1 };
	return true;
}

bool cqle_function_find(struct lab_arena *arena, struct lab_view name, struct cqle_function *ret)
{
	for (size_t i = 0; i < LAB_COUNT_OF(functions); i++) {
		if (lab_view_eq_cstr(name, functions[i].name)) {
			*ret = functions[i];
			return true;
		}
	}
	return find_conversion(arena, name, ret);
}

static bool same_type(const struct cql_type *a, const struct cql_type *b)
{
	if (a->id != b->id || a->param_count != b->param_count)
		return false;
	if (a->id == CQL_TYPE_UDT)
		return lab_view_eq(a->name, b->name) && lab_view_eq(a->keyspace, b->keyspace);
	for (size_t i = 0; i < a->param_count; i++) {
		if (!same_type(&a->params[i], &b->params[i]))
			return false;
	}
	return a->id != CQL_TYPE_CUSTOM || lab_view_eq(a->name, b->name);
}

bool cqle_type_takes(const struct cql_type *wanted, const struct cql_type *have)
{
	static const uint16_t pairs[][2] = { { CQL_TYPE_TEXT, CQL_TYPE_ASCII },
		{ CQL_TYPE_UUID, CQL_TYPE_TIMEUUID }, { CQL_TYPE_VARINT, CQL_TYPE_INT },
		{ CQL_TYPE_VARINT, CQL_TYPE_BIGINT }, { CQL_TYPE_BIGINT, CQL_TYPE_TIMESTAMP },
		{ CQL_TYPE_TIMESTAMP, CQL_TYPE_BIGINT }, { CQL_TYPE_DATE, CQL_TYPE_INT } };
	if (same_type(wanted, have) || wanted->id == CQL_TYPE_BLOB)
		return true;
	for (size_t i = 0; i < LAB_COUNT_OF(pairs); i++) {
		if (wanted->id == pairs[i][0] && have->id == pairs[i][1])
			return true;
	}
	return false;
}

static bool aggregate_takes(struct cqle_function *f, const struct cql_type *type)
{
	bool numbers = f->id == CQLE_FN_SUM || f->id == CQLE_FN_AVG;
	if (f->id == CQLE_FN_COUNT)
		return true;
	for (size_t i = 0; i < LAB_COUNT_OF(aggregated); i++) {
		if (aggregated[i].id == type->id && type->id != CQL_TYPE_CUSTOM &&
			(aggregated[i].number || !numbers)) {
			f->arg = f->ret = type->id;
			return true;
		}
	}
	f->arg = f->ret = CQL_TYPE_BLOB; /* everything else is bytes */
	return !numbers;
}

bool cqle_function_takes(struct cqle_function *f, const struct cql_type *type)
{
	if (f->aggregate)
		return aggregate_takes(f, type);
	for (size_t i = 0; f->overloaded && i < LAB_COUNT_OF(functions); i++) {
		if (functions[i].id == f->id && functions[i].overloaded &&
			functions[i].arg == type->id) {
			f->arg = type->id;
			return true;
		}
	}
	struct cql_type wanted = { .id = f->arg };
	if (f->arg == ANY)
		return true;
	return !f->overloaded && cqle_type_takes(&wanted, type);
}

const char *cqle_function_signatures(struct lab_arena *arena, const struct cqle_function *f)
{
	const char *text = "";
	bool numbers = f->id == CQLE_FN_SUM || f->id == CQLE_FN_AVG;
	for (size_t i = 0; f->aggregate && i < LAB_COUNT_OF(aggregated); i++) {
		const char *name = aggregated[i].name;
		if (aggregated[i].number || !numbers)
			text = lab_arena_printf(arena, "%s%ssystem.%s : (%s) -> %s", text,
				text[0] == 0 ? "" : ", ", f->name, name, name);
	}
	for (size_t i = 0; !f->aggregate && i < LAB_COUNT_OF(functions); i++) {
		if (functions[i].id == f->id && functions[i].overloaded)
			text = lab_arena_printf(arena, "%s%ssystem.%s : (%s) -> %s", text,
				text[0] == 0 ? "" : ", ", f->name, cql_type_name(functions[i].arg),
				cql_type_name(f->ret));
	}
	return text;
}

/* ---- times ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0 ? 1 : 0);
}

static struct lab_view uuid_at(struct lab_arena *arena, int64_t ticks, uint64_t low)
{
	uint64_t t = (uint64_t)(ticks + UUID_EPOCH);
	uint64_t high = (t << 32) | ((t >> 16) & 0xffff0000u) | 0x1000 | ((t >> 48) & 0xfff);
	struct lab_buf out;
	lab_buf_init_arena(&out, arena, CQL_UUID_BYTES);
	lab_buf_append_u64(&out, high);
	lab_buf_append_u64(&out, low);
	return lab_buf_view(&out);
}

int64_t cqle_timeuuid_ms(struct lab_view value)
{
	static const uint8_t order[] = { 6, 7, 4, 5, 0, 1, 2, 3 };
	uint64_t ticks = 0;
	for (size_t i = 0; i < sizeof(order) && value.len == CQL_UUID_BYTES; i++)
		ticks = ticks << 8 | (value.ptr[order[i]] & (i == 0 ? 0x0fu : 0xffu));
	return floor_div((int64_t)ticks - UUID_EPOCH, 10000);
}

/* A timeuuid, timestamp or date in milliseconds. */
static int64_t ms_of(uint16_t type, struct lab_view value)
{
	int64_t number = 0;
	if (type == CQL_TYPE_TIMEUUID)
		return cqle_timeuuid_ms(value);
	(void)cql_value_to_i64(type, value, &number);
	return type == CQL_TYPE_DATE ? (number - DATE_ZERO) * DAY_MS : number;
}

static struct lab_view date_of(struct lab_arena *arena, int64_t ms)
{
	return cqle_big_endian(arena, (uint64_t)(floor_div(ms, DAY_MS) + DATE_ZERO), 4);
}

/* Never twice the same: the emulator's clock and how many there were. */
static struct lab_view time_uuid(const struct cqle_eval *e)
{
	uint64_t n = e->emu->uuid_count++;
	int64_t ticks = cqle_wall_us(e->emu) * 10 + (int64_t)(n % 10);
	return uuid_at(e->arena, ticks, UINT64_C(0x8000000000000000) | (n & 0x3fffffffffffffff));
}

static struct lab_view random_uuid(const struct cqle_eval *e)
{
	struct lab_buf out;
	uint64_t words[2] = { (uint64_t)cqle_wall_us(e->emu), e->emu->uuid_count++ };
	lab_buf_init_arena(&out, e->arena, CQL_UUID_BYTES);
	for (size_t i = 0; i < 2; i++) {
		words[1] ^= (uint64_t)i << 63;
		uint64_t hash = (uint64_t)cqle_token(cqle_big_endian(
			e->arena, words[0] * UINT64_C(0x9e3779b97f4a7c15) ^ words[1], 8));
		lab_buf_append_u64(
			&out, i == 0 ? (hash & UINT64_C(0xffffffffffff0fff)) | 0x4000
				     : (hash & UINT64_C(0x3fffffffffffffff)) | UINT64_C(1) << 63);
	}
	return lab_buf_view(&out);
}

static struct lab_view current(const struct cqle_eval *e, enum cqle_function_id id)
{
	int64_t us = cqle_wall_us(e->emu), ms = us / 1000;
	if (id == CQLE_FN_CURRENT_DATE)
		return date_of(e->arena, ms);
	if (id == CQLE_FN_CURRENT_TIME)
		return cql_value_bigint(e->arena, us % (DAY_MS * 1000) * 1000);
	return cql_value_bigint(e->arena, ms);
}

/* ---- calls ---- */

static int blob_as(const struct cqle_eval *e, const struct cqle_function *f, struct lab_view value,
	struct lab_view *ret)
{
	struct cql_type type = { .id = f->ret };
	struct lab_error ignored;
	*ret = value;
	if (cqle_value_validate(&type, value, &ignored) == 0)
		return 0;
	char *hex = lab_arena_alloc(e->arena, 2 * value.len + 1);
	lab_hex(value.ptr, value.len, hex);
	return cqle_fail(e->err, CQL_E_INVALID,
		"In call to function system.%s, value 0x%s is not a valid binary representation "
		"for type %s",
		f->name, hex, cql_type_name(f->ret));
}

/* Of functions without aggregates; the argument is not null. */
static int compute(const struct cqle_eval *e, const struct cqle_function *f, struct lab_view arg,
	struct lab_view *ret)
{
	int64_t ms = f->arity == 1 ? ms_of(f->arg, arg) : 0;
	switch (f->id) {
	case CQLE_FN_NOW:
		*ret = time_uuid(e);
		return 0;
	case CQLE_FN_UUID:
		*ret = random_uuid(e);
		return 0;
	case CQLE_FN_CURRENT_TIMESTAMP:
	case CQLE_FN_CURRENT_DATE:
	case CQLE_FN_CURRENT_TIME:
		*ret = current(e, f->id);
		return 0;
	case CQLE_FN_TO_DATE:
		*ret = date_of(e->arena, ms);
		return 0;
	case CQLE_FN_TO_TIMESTAMP:
	case CQLE_FN_TO_UNIX:
		*ret = cql_value_bigint(e->arena, ms);
		return 0;
	case CQLE_FN_MIN_TIMEUUID:
		*ret = uuid_at(e->arena, ms * 10000, UINT64_C(0x8080808080808080));
		return 0;
	case CQLE_FN_MAX_TIMEUUID:
		*ret = uuid_at(e->arena, ms * 10000 + 9999, UINT64_C(0x7f7f7f7f7f7f7f7f));
		return 0;
	case CQLE_FN_AS_BLOB:
		*ret = arg;
		return 0;
	case CQLE_FN_BLOB_AS:
		return blob_as(e, f, arg, ret);
	case CQLE_FN_TO_JSON:
	case CQLE_FN_FROM_JSON:
	case CQLE_FN_COUNT:
	case CQLE_FN_MIN:
	case CQLE_FN_MAX:
	case CQLE_FN_SUM:
	case CQLE_FN_AVG:
		break;
	}
	lab_bug("aggregates are no functions of one row");
}

int cqle_function_fail(const struct cqle_eval *e, const char *name, const struct lab_view *args,
	size_t count, const char *message)
{
	e->emu->failure.name = name;
	e->emu->failure.count = LAB_MIN(count, (size_t)2);
	for (size_t i = 0; i < e->emu->failure.count; i++)
		(void)snprintf(e->emu->failure.args[i], sizeof(e->emu->failure.args[i]), "%.*s",
			LAB_VIEW_ARG(args[i]));
	return cqle_fail(e->err, CQL_E_FUNCTION_FAILURE, "%s", message);
}

static int call(const struct cqle_eval *e, const struct cqle_expr *x, struct lab_view *ret)
{
	struct lab_view arg = { NULL, 0 };
	if (x->arg_count == 1) {
		if (cqle_eval(e, &x->args[0], &arg) < 0)
			return -1;
		*ret = arg;
		if (x->function->id == CQLE_FN_TO_JSON)
			return cqle_to_json(e, &x->args[0].type, arg, ret);
		if (x->function->id == CQLE_FN_FROM_JSON)
			return cqle_from_json(e, &x->type, arg, ret);
		if (arg.ptr == NULL || (arg.len == 0 && x->function->id < CQLE_FN_AS_BLOB))
			return 0;
	}
	return compute(e, x->function, arg, ret);
}

static int cast(const struct cqle_eval *e, const struct cqle_expr *x, struct lab_view *ret)
{
	if (cqle_eval(e, &x->args[0], ret) < 0)
		return -1;
	return ret->ptr == NULL
		       ? 0
		       : cqle_cast(e->arena, x->args[0].type.id, *ret, x->type.id, ret, e->err);
}

static int token(const struct cqle_eval *e, const struct cqle_expr *x, struct lab_view *ret)
{
	struct lab_buf key;
	struct lab_view value;
	lab_buf_init(&key, e->emu->heap, (size_t)1 << 20);
	for (size_t i = 0; i < x->arg_count; i++) {
		if (cqle_eval(e, &x->args[i], &value) < 0 || value.ptr == NULL) {
			lab_buf_done(&key);
			return value.ptr == NULL ? cqle_fail(e->err, CQL_E_INVALID,
							   "Invalid null value for argument of "
							   "function system.token")
						 : -1;
		}
		if (x->arg_count > 1)
			lab_buf_append_u16(&key, (uint16_t)value.len);
		lab_buf_append_view(&key, value);
		if (x->arg_count > 1)
			lab_buf_append_byte(&key, 0);
	}
	*ret = cql_value_bigint(e->arena, cqle_token(lab_buf_view(&key)));
	lab_buf_done(&key);
	return 0;
}

/* ---- collections ---- */

static int collect(const struct cqle_eval *e, const struct cqle_expr *x, struct lab_view *ret)
{
	struct lab_view *items = lab_arena_array(e->arena, struct lab_view, x->arg_count + 1);
	for (size_t i = 0; i < x->arg_count; i++) {
		if (cqle_eval(e, &x->args[i], &items[i]) < 0)
			return -1;
		if (items[i].ptr == NULL)
			return cqle_fail(
				e->err, CQL_E_INVALID, "null is not supported inside collections");
	}
	*ret = cqle_collection_of(e->arena, &x->type, items, x->arg_count);
	return 0;
}

/* An unset field is an empty one to Cassandra, if it is not refused. */
static int compose(const struct cqle_eval *e, const struct cqle_expr *x, struct lab_view *ret)
{
	struct lab_view *fields = lab_arena_array(e->arena, struct lab_view, x->arg_count + 1);
	for (size_t i = 0; i < x->arg_count; i++) {
		const struct cqle_expr *arg = &x->args[i];
		bool direct = arg->kind == CQLE_EXPR_VALUE;
		enum cqle_got got = CQLE_GOT_NULL;
		if (direct && arg->value != NULL)
			got = cqle_value_get(e, arg->value, &fields[i]);
		else if (!direct)
			got = cqle_eval(e, arg, &fields[i]) < 0 ? CQLE_GOT_ERROR : CQLE_GOT_VALUE;
		if (got == CQLE_GOT_ERROR)
			return -1;
		if (got == CQLE_GOT_UNSET && x->type.id == CQL_TYPE_TUPLE)
			return cqle_fail(e->err, CQL_E_INVALID,
				"Invalid unset value for tuple field number %zu", i);
		if (got > CQLE_GOT_VALUE)
			fields[i] = lab_view_of(got == CQLE_GOT_UNSET ? "" : NULL, 0);
	}
	*ret = cqle_composite_of(e->arena, fields, x->arg_count);
	return 0;
}

static int bound(const struct cqle_eval *e, const struct cqle_value *value, struct lab_view *ret)
{
	*ret = lab_view_of(NULL, 0);
	if (value == NULL)
		return 0;
	enum cqle_got got = cqle_value_get(e, value, ret);
	if (got > CQLE_GOT_VALUE)
		return cqle_fail(e->err, CQL_E_INVALID, "Invalid null value for %.*s",
			LAB_VIEW_ARG(value->name));
	return got == CQLE_GOT_ERROR ? -1 : 0;
}

/* The elements from..to, both inclusive; none: null. */
static struct lab_view slice(const struct cqle_eval *e, const struct cql_type *type,
	struct lab_view value, const struct lab_view *bounds)
{
	struct cql_reader reader = cql_reader_of(value);
	int32_t count = cql_read_int(&reader);
	size_t stride = type->id == CQL_TYPE_MAP ? 2 : 1, kept = 0;
	struct lab_view *items =
		lab_arena_array(e->arena, struct lab_view, (size_t)LAB_MAX(count, 0) * stride + 1);
	for (int32_t i = 0; i < count; i++) {
		for (size_t j = 0; j < stride; j++)
			items[kept + j] = cql_read_bytes(&reader);
		struct lab_view key = items[kept];
		bool low = bounds[0].ptr == NULL ||
			   cqle_value_compare(e->arena, &type->params[0], key, bounds[0]) >= 0;
		bool high = bounds[1].ptr == NULL ||
			    cqle_value_compare(e->arena, &type->params[0], key, bounds[1]) <= 0;
		kept += low && high ? stride : 0;
	}
	return kept == 0 ? lab_view_of(NULL, 0) : cqle_collection_of(e->arena, type, items, kept);
}

static int part(const struct cqle_eval *e, const struct cqle_expr *x, struct lab_view *ret)
{
	struct lab_view bounds[2];
	if (bound(e, x->bounds[0], &bounds[0]) < 0 || bound(e, x->bounds[1], &bounds[1]) < 0)
		return -1;
	struct lab_view value;
	if (cqle_eval(e, &x->args[0], &value) < 0)
		return -1;
	*ret = value.ptr == NULL            ? value
	       : x->kind == CQLE_EXPR_FIELD ? cqle_field_at(value, x->field)
	       : x->kind == CQLE_EXPR_SLICE
		       ? slice(e, &x->type, value, bounds)
		       : cqle_collection_at(&x->args[0].type, value, bounds[0]);
	return 0;
}

/* ---- all ---- */

static int of_cell(const struct cqle_eval *e, const struct cqle_expr *x, struct lab_view *ret)
{
	const struct cqle_cell *cell = e->row->cell(e->row->ctx, x->column);
	*ret = lab_view_of(NULL, 0);
	if (cell == NULL)
		return 0;
	if (x->kind == CQLE_EXPR_WRITETIME)
		*ret = cql_value_bigint(e->arena, cell->timestamp);
	else if (cell->ttl_s > 0)
		*ret = cql_value_int(e->arena, (int32_t)(cell->local_s - e->row->now_s));
	return 0;
}

static int of_value(const struct cqle_eval *e, const struct cqle_expr *x, struct lab_view *ret)
{
	enum cqle_got got = cqle_value_get(e, x->value, ret);
	if (got > CQLE_GOT_VALUE)
		*ret = lab_view_of(NULL, 0);
	return got == CQLE_GOT_ERROR ? -1 : 0;
}

int cqle_eval(const struct cqle_eval *e, const struct cqle_expr *x, struct lab_view *ret)
{
	if (e->finished != NULL && !x->aggregates) {
		*ret = e->finished[x->slot].value;
		return 0;
	}
	switch (x->kind) {
	case CQLE_EXPR_VALUE:
		return of_value(e, x, ret);
	case CQLE_EXPR_COLUMN:
		*ret = e->row->value(e->row->ctx, x->column);
		return 0;
	case CQLE_EXPR_WRITETIME:
	case CQLE_EXPR_TTL:
		return of_cell(e, x, ret);
	case CQLE_EXPR_FIELD:
	case CQLE_EXPR_ELEMENT:
	case CQLE_EXPR_SLICE:
		return part(e, x, ret);
	case CQLE_EXPR_TOKEN:
		return token(e, x, ret);
	case CQLE_EXPR_CALL:
		return call(e, x, ret);
	case CQLE_EXPR_CAST:
		return cast(e, x, ret);
	case CQLE_EXPR_COLLECT:
		return collect(e, x, ret);
	case CQLE_EXPR_COMPOSE:
		return compose(e, x, ret);
	case CQLE_EXPR_AGGREGATE:
		return cqle_aggregate_value(e, x->function, &e->finished[x->slot], ret);
	}
	return 0;
}

/* A field of a bound tuple. */
static enum cqle_got tuple_field(const struct cqle_eval *e, const struct cqle_value *value,
	const struct cql_bind *bind, struct lab_view *ret)
{
	struct lab_error inner;
	if (bind->kind == CQL_VALUE_NULL) {
		(void)cqle_fail(e->err, CQL_E_SERVER_ERROR,
			"java.lang.NullPointerException: Cannot invoke "
			"\"org.apache.cassandra.cql3.%s",
			value->of_slice ? "Term$Terminal.get(org.apache.cassandra.transport."
					  "ProtocolVersion)\" because \"terminal\" is null"
					: "Tuples$Value.getElements()\" because \"t\" is null");
		return CQLE_GOT_ERROR;
	}
	if (bind->kind != CQL_VALUE_BYTES) {
		(void)cqle_fail(e->err, CQL_E_INVALID, "Invalid unset value for tuple %.*s",
			LAB_VIEW_ARG(value->name));
		return CQLE_GOT_ERROR;
	}
	if (cqle_value_validate(value->tuple, bind->bytes, &inner) < 0) {
		(void)cqle_fail(e->err, CQL_E_SERVER_ERROR,
			"org.apache.cassandra.serializers.MarshalException: %s", inner.message);
		return CQLE_GOT_ERROR;
	}
	*ret = cqle_field_at(bind->bytes, value->field);
	return ret->ptr == NULL ? CQLE_GOT_NULL : CQLE_GOT_VALUE;
}

enum cqle_got cqle_value_get(
	const struct cqle_eval *e, const struct cqle_value *value, struct lab_view *ret)
{
	if (value->json != NULL)
		return cqle_json_get(e, value, ret);
	if (value->expr != NULL) {
		if (cqle_eval(e, value->expr, ret) < 0)
			return CQLE_GOT_ERROR;
		return ret->ptr == NULL ? CQLE_GOT_NULL : CQLE_GOT_VALUE;
	}
	if (!value->is_marker) {
		*ret = value->bytes;
		return value->is_null ? CQLE_GOT_NULL : CQLE_GOT_VALUE;
	}
	const struct cql_bind *bind = &e->values[value->marker];
	if (value->tuple != NULL)
		return tuple_field(e, value, bind, ret);
	if (bind->kind != CQL_VALUE_BYTES)
		return bind->kind == CQL_VALUE_NULL ? CQLE_GOT_NULL : CQLE_GOT_UNSET;
	*ret = bind->bytes;
	return cqle_value_validate(&value->type, *ret, e->err) < 0 ? CQLE_GOT_ERROR
								   : CQLE_GOT_VALUE;
}

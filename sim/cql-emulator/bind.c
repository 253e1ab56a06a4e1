/* SPDX-License-Identifier: Apache-2.0
 *
 * bind.c - a plan and its values: the partition keys, slices, conditions and filters that it means.
 */
#include "sim/cql-emulator/bind-private.h"

#include <stdlib.h>

#define COMBINATIONS_MAX 65536

/* ---- single values ---- */

enum cqle_got bind_value(
	const struct binder *b, const struct cqle_value *value, struct lab_view *ret)
{
	struct cqle_eval e = {
		.emu = b->emu, .arena = b->arena, .values = b->values, .err = b->err
	};
	return cqle_value_get(&e, value, ret);
}

/* A value of the primary key: must be there, and not be too long. */
static int get_key_value(
	const struct binder *b, const struct cqle_value *value, struct lab_view *ret)
{
	enum cqle_got got = bind_value(b, value, ret);
	if (got == CQLE_GOT_ERROR)
		return -1;
	if (got != CQLE_GOT_VALUE)
		return cqle_fail(b->err, CQL_E_INVALID,
			got != CQLE_GOT_NULL ? "Invalid unset value for column %.*s"
			: value->of_tuple    ? "Invalid null value for column %.*s"
					     : "Invalid null value in condition for column %.*s",
			LAB_VIEW_ARG(value->column != NULL ? value->column->name : value->name));
	bool clustering = value->column != NULL && value->column->kind == CQLE_CLUSTERING;
	const char *refusal =
		clustering ? cqle_profile_key_refusal(b->emu, b->arena, ret->len, true) : NULL;
	if (refusal != NULL)
		return cqle_fail(b->err, CQL_E_INVALID, "%s", refusal);
	if (ret->len > CQLEMU_KEY_BYTES_MAX)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Key length of %zu is longer than maximum of %d", ret->len,
			CQLEMU_KEY_BYTES_MAX);
	return 0;
}

int bind_number(
	const struct binder *b, const struct cqle_value *value, bool *ret_given, int64_t *ret)
{
	struct lab_view bytes;
	enum cqle_got got = bind_value(b, value, &bytes);
	*ret_given = got == CQLE_GOT_VALUE;
	if (got == CQLE_GOT_ERROR)
		return -1;
	if (got == CQLE_GOT_NULL)
		return cqle_fail(b->err, CQL_E_INVALID, "Invalid null value of %.*s",
			LAB_VIEW_ARG(lab_view_trim(value->name)));
	if (got == CQLE_GOT_UNSET)
		return 0;
	if (cql_value_to_i64(value->type.id, bytes, ret) < 0)
		return cqle_fail(
			b->err, CQL_E_INVALID, "Invalid value of %.*s", LAB_VIEW_ARG(value->name));
	return 0;
}

/* The fields of all tuples of a list. */
static int split_tuples(const struct binder *b, const struct cqle_restriction *r,
	struct lab_view bytes, struct lab_view **ret, size_t *ret_count)
{
	struct cql_reader reader = cql_reader_of(bytes);
	size_t count = (size_t)cql_read_int(&reader);
	*ret = lab_arena_array(b->arena, struct lab_view, count * r->tuple + 1);
	*ret_count = count * r->tuple;
	for (size_t i = 0; i < count; i++) {
		struct lab_view tuple = cql_read_bytes(&reader);
		for (size_t j = 0; j < r->tuple; j++) {
			struct lab_view field = cqle_field_at(tuple, j);
			if (field.ptr == NULL)
				return cqle_fail(b->err, CQL_E_INVALID,
					"Invalid null value in condition for columns: %.*s",
					LAB_VIEW_ARG(r->values[0].name));
			(*ret)[i * r->tuple + j] = field;
		}
	}
	return 0;
}

static int no_tuples(
	const struct binder *b, const struct cqle_restriction *r, const struct cql_bind *bind)
{
	if (bind->kind == CQL_VALUE_NULL)
		return cqle_fail(b->err, CQL_E_INVALID, "Invalid null value for IN restriction");
	return cqle_fail(b->err, CQL_E_INVALID, "Invalid unset value for %.*s",
		LAB_VIEW_ARG(r->values[0].name));
}

/* All values of a restriction: of =, of IN (...), of IN ?. */
static int get_values(const struct binder *b, const struct cqle_restriction *r,
	struct lab_view **ret, size_t *ret_count)
{
	if (r->value_count != 1 || !r->values[0].is_list) {
		*ret = lab_arena_array(b->arena, struct lab_view, r->value_count);
		*ret_count = r->value_count;
		for (size_t i = 0; i < r->value_count; i++) {
			if (get_key_value(b, &r->values[i], &(*ret)[i]) < 0)
				return -1;
		}
		return 0;
	}
	const struct cql_bind *bind = &b->values[r->values[0].marker];
	struct cql_type list = {
		.id = CQL_TYPE_LIST, .params = &r->values[0].type, .param_count = 1
	};
	if (bind->kind != CQL_VALUE_BYTES)
		return r->tuple > 0 ? no_tuples(b, r, bind)
				    : cqle_fail(b->err, CQL_E_INVALID,
					      "Invalid %s value for column %.*s",
					      bind->kind == CQL_VALUE_NULL ? "null" : "unset",
					      LAB_VIEW_ARG(r->column->name));
	if (cqle_value_validate(&list, bind->bytes, b->err) < 0)
		return -1;
	if (r->tuple > 0)
		return split_tuples(b, r, bind->bytes, ret, ret_count);
	struct cql_reader reader = cql_reader_of(bind->bytes);
	*ret_count = (size_t)cql_read_int(&reader);
	*ret = lab_arena_array(b->arena, struct lab_view, *ret_count);
	for (size_t i = 0; i < *ret_count; i++) {
		(*ret)[i] = cql_read_bytes(&reader);
		if ((*ret)[i].len > CQLEMU_KEY_BYTES_MAX)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Key length of %zu is longer than maximum of %d", (*ret)[i].len,
				CQLEMU_KEY_BYTES_MAX);
	}
	return 0;
}

/* ---- comparable bytes in the arena ---- */

/* prefix + comparable(value). */
static struct lab_view extend(const struct binder *b, struct lab_view prefix,
	const struct cqle_column *column, struct lab_view value)
{
	struct lab_buf buf;
	lab_buf_init_arena(&buf, b->arena, prefix.len + 2 * value.len + 40);
	lab_buf_append_view(&buf, prefix);
	cqle_comparable_put(&buf, &column->type, column->descending, value);
	return lab_buf_view(&buf);
}

/* The first bytes behind everything that begins with `prefix`; ptr NULL: there is no end. */
static struct lab_view successor(const struct binder *b, struct lab_view prefix)
{
	size_t len = prefix.len;
	while (len > 0 && prefix.ptr[len - 1] == 0xff)
		len--;
	if (len == 0)
		return lab_view_of(NULL, 0);
	uint8_t *copy = lab_arena_alloc(b->arena, len);
	memcpy(copy, prefix.ptr, len);
	copy[len - 1]++;
	return lab_view_of(copy, len);
}

static int view_order(const void *a, const void *b)
{
	return lab_view_cmp(*(const struct lab_view *)a, *(const struct lab_view *)b);
}

/* In order, each once. Equal ones are equal in every byte, so that ties do not matter. */
static size_t sort_unique(struct lab_view *views, size_t count)
{
	size_t kept = 0;
	if (count > 1)
		qsort(views, count, sizeof(*views), view_order);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || !lab_view_eq(views[kept - 1], views[i]))
			views[kept++] = views[i];
	}
	return kept;
}

/* Every prefix with every value. */
static int combine(const struct binder *b, struct lab_view **prefixes, size_t *count,
	const struct cqle_restriction *r)
{
	struct lab_view *values;
	size_t value_count, n = 0;
	if (get_values(b, r, &values, &value_count) < 0)
		return -1;
	size_t width = r->tuple > 0 ? r->tuple : 1;
	if (*count * value_count > COMBINATIONS_MAX)
		return cqle_fail(b->err, CQL_E_INVALID, "IN makes more than %d combinations",
			COMBINATIONS_MAX);
	struct lab_view *all = lab_arena_array(b->arena, struct lab_view, *count * value_count);
	for (size_t i = 0; i < *count; i++) {
		for (size_t j = 0; j < value_count; j += width) {
			struct lab_view key = extend(b, (*prefixes)[i], r->column, values[j]);
			for (size_t k = 1; k < width; k++)
				key = extend(b, key,
					cqle_ck(b->plan->table, r->column->position + k),
					values[j + k]);
			all[n++] = key;
		}
	}
	*prefixes = all;
	*count = sort_unique(all, n);
	return 0;
}

/* ---- partition keys ---- */

static struct lab_view serialize_key(
	const struct binder *b, const struct lab_view *parts, size_t count)
{
	size_t bytes = 0;
	if (count == 1)
		return parts[0];
	for (size_t i = 0; i < count; i++)
		bytes += parts[i].len + 3;
	uint8_t *key = lab_arena_alloc(b->arena, bytes), *at = key;
	for (size_t i = 0; i < count; i++) {
		*at++ = (uint8_t)(parts[i].len >> 8);
		*at++ = (uint8_t)parts[i].len;
		if (parts[i].len > 0)
			memcpy(at, parts[i].ptr, parts[i].len);
		at += parts[i].len;
		*at++ = 0;
	}
	return lab_view_of(key, bytes);
}

static int check_key(const struct binder *b, struct lab_view key)
{
	if (key.len == 0)
		return cqle_fail(b->err, CQL_E_INVALID, "Key may not be empty");
	const char *refusal = cqle_profile_key_refusal(b->emu, b->arena, key.len, false);
	if (refusal != NULL)
		return cqle_fail(b->err, CQL_E_INVALID, "%s", refusal);
	if (key.len > CQLEMU_KEY_BYTES_MAX)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Key length of %zu is longer than maximum of %d", key.len,
			CQLEMU_KEY_BYTES_MAX);
	return 0;
}

/* With IN: all combinations, in the order of the values. */
static int many_keys(const struct binder *b, struct cqle_keys *ret)
{
	const struct cqle_table *t = b->plan->table;
	struct lab_view none = lab_view_of("", 0);
	struct lab_view *encoded = &none;
	size_t count = 1;
	for (size_t i = 0; i < t->pk_count; i++) {
		if (combine(b, &encoded, &count, &b->plan->where.pk[i]) < 0)
			return -1;
	}
	ret->keys = lab_arena_array(b->arena, struct lab_view, count);
	ret->count = count;
	for (size_t i = 0; i < count; i++) {
		struct lab_view parts[CQLEMU_COLUMNS_MAX];
		size_t at = 0;
		for (size_t j = 0; j < t->pk_count; j++) {
			struct lab_buf buf;
			lab_buf_init_arena(&buf, b->arena,
				cqle_decoded_max(&cqle_pk(t, j)->type, encoded[i].len));
			at += cqle_comparable_take(
				lab_view_skip(encoded[i], at), &cqle_pk(t, j)->type, false, &buf);
			parts[j] = lab_buf_view(&buf);
		}
		ret->keys[i] = serialize_key(b, parts, t->pk_count);
		if (check_key(b, ret->keys[i]) < 0)
			return -1;
	}
	return 0;
}

int bind_keys(const struct binder *b, struct cqle_keys *ret)
{
	const struct cqle_table *t = b->plan->table;
	const struct cqle_restriction *pk = b->plan->where.pk;
	struct lab_view parts[CQLEMU_COLUMNS_MAX];
	for (size_t i = 0; i < t->pk_count; i++) {
		if (pk[i].op == OP_IN)
			return many_keys(b, ret);
		if (get_key_value(b, &pk[i].values[0], &parts[i]) < 0)
			return -1;
	}
	ret->keys = lab_arena_new_of(b->arena, struct lab_view);
	ret->keys[0] = serialize_key(b, parts, t->pk_count);
	ret->count = 1;
	return check_key(b, ret->keys[0]);
}

/* ---- rows ---- */

/* The prefix with all values of a bound. */
static int extend_bound(const struct binder *b, struct lab_view prefix,
	const struct cqle_bound *bound, struct lab_view *ret)
{
	const struct cqle_column *c = b->plan->where.range_column;
	struct lab_view value;
	if (get_key_value(b, &bound->value, &value) < 0)
		return -1;
	*ret = extend(b, prefix, c, value);
	for (size_t i = 0; i < bound->more_count; i++) {
		if (get_key_value(b, &bound->more[i], &value) < 0)
			return -1;
		*ret = extend(b, *ret, cqle_ck(b->plan->table, c->position + 1 + i), value);
	}
	return 0;
}

/* The range behind a prefix, as [start, end). */
static int bind_range(const struct binder *b, struct lab_view prefix, struct cqle_slice *ret)
{
	const struct cqle_where *w = &b->plan->where;
	const struct cqle_column *c = w->range_column;
	const struct cqle_bound *first = c->descending ? &w->high : &w->low;
	const struct cqle_bound *last = c->descending ? &w->low : &w->high;
	*ret = (struct cqle_slice){ .start = prefix, .end = successor(b, prefix) };
	if (first->present) {
		if (extend_bound(b, prefix, first, &ret->start) < 0)
			return -1;
		if (!first->inclusive)
			ret->start = successor(b, ret->start);
	}
	if (last->present) {
		if (extend_bound(b, prefix, last, &ret->end) < 0)
			return -1;
		if (last->inclusive)
			ret->end = successor(b, ret->end);
	}
	return 0;
}

/* ---- slices of columns in different orders: several ranges ---- */

static bool has_mixed_orders(const struct binder *b)
{
	const struct cqle_where *w = &b->plan->where;
	size_t more = LAB_MAX(
		w->low.present ? w->low.more_count : 0, w->high.present ? w->high.more_count : 0);
	for (size_t i = 1; i <= more; i++) {
		if (cqle_ck(b->plan->table, w->range_column->position + i)->descending !=
			w->range_column->descending)
			return true;
	}
	return false;
}

static int slice_order(const void *_a, const void *_b)
{
	const struct cqle_slice *a = _a, *b = _b;
	return lab_view_cmp(a->start, b->start);
}

/* The rows beyond a bound: (a, b) > (1, 2) is a = 1 and b > 2, or a > 1. In order, apart from each
 * other. */
static int bound_pieces(const struct binder *b, struct lab_view prefix,
	const struct cqle_bound *bound, bool low, struct cqle_slice *ret, size_t *ret_count)
{
	size_t first = b->plan->where.range_column->position, count = 0;
	if (!bound->present) {
		ret[count++] = (struct cqle_slice){ prefix, successor(b, prefix), false };
		*ret_count = count;
		return 0;
	}
	for (size_t i = 0; i <= bound->more_count; i++) {
		const struct cqle_column *c = cqle_ck(b->plan->table, first + i);
		struct lab_view value;
		if (get_key_value(b, i == 0 ? &bound->value : &bound->more[i - 1], &value) < 0)
			return -1;
		struct lab_view at = extend(b, prefix, c, value);
		bool behind = low != c->descending;
		struct cqle_slice *piece = &ret[count++];
		piece->start = behind ? successor(b, at) : prefix;
		piece->end = behind ? successor(b, prefix) : at;
		piece->point = false;
		prefix = at;
	}
	if (bound->inclusive)
		ret[count++] = (struct cqle_slice){ prefix, successor(b, prefix), false };
	qsort(ret, count, sizeof(*ret), slice_order); /* apart: only empty ones tie */
	*ret_count = count;
	return 0;
}

/* What both have; false: nothing. A start without bytes is before all of them, an end without is
 * behind. */
static bool intersect(
	const struct cqle_slice *a, const struct cqle_slice *b, struct cqle_slice *ret)
{
	ret->start = lab_view_cmp(a->start, b->start) > 0 ? a->start : b->start;
	ret->end = a->end.ptr == NULL                 ? b->end
		   : b->end.ptr == NULL               ? a->end
		   : lab_view_cmp(a->end, b->end) < 0 ? a->end
						      : b->end;
	ret->point = false;
	return ret->end.ptr == NULL || lab_view_cmp(ret->start, ret->end) < 0;
}

static int bind_pieces(const struct binder *b, const struct lab_view *prefixes, size_t count,
	struct cqle_slice **ret, size_t *ret_count)
{
	const struct cqle_where *w = &b->plan->where;
	size_t lows = w->low.more_count + 2, highs = w->high.more_count + 2;
	struct cqle_slice *low = lab_arena_array(b->arena, struct cqle_slice, lows);
	struct cqle_slice *high = lab_arena_array(b->arena, struct cqle_slice, highs);
	*ret = lab_arena_array(b->arena, struct cqle_slice, count * lows * highs);
	*ret_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (bound_pieces(b, prefixes[i], &w->low, true, low, &lows) < 0 ||
			bound_pieces(b, prefixes[i], &w->high, false, high, &highs) < 0)
			return -1;
		for (size_t j = 0; j < lows * highs; j++)
			*ret_count +=
				intersect(&low[j / highs], &high[j % highs], &(*ret)[*ret_count]);
	}
	return 0;
}

/* One value for each column: the common case, without lists. */
static int single_prefix(const struct binder *b, struct lab_view *ret, bool *ret_single)
{
	const struct cqle_where *w = &b->plan->where;
	struct lab_view values[CQLEMU_COLUMNS_MAX];
	size_t bytes = 0;
	*ret_single = true;
	for (size_t i = 0; i < w->ck_count; i++) {
		if (w->ck[i].op == OP_IN) {
			*ret_single = false;
			return 0;
		}
		if (get_key_value(b, &w->ck[i].values[0], &values[i]) < 0)
			return -1;
		bytes += 2 * values[i].len + 40;
	}
	struct lab_buf buf;
	lab_buf_init_arena(&buf, b->arena, bytes);
	for (size_t i = 0; i < w->ck_count; i++)
		cqle_comparable_put(
			&buf, &w->ck[i].column->type, w->ck[i].column->descending, values[i]);
	*ret = lab_buf_view(&buf);
	return 0;
}

static int bind_prefixes(const struct binder *b, struct lab_view **ret, size_t *ret_count)
{
	const struct cqle_where *w = &b->plan->where;
	bool single;
	*ret = lab_arena_new_of(b->arena, struct lab_view);
	*ret_count = 1;
	if (single_prefix(b, &(*ret)[0], &single) < 0)
		return -1;
	if (single)
		return 0;
	(*ret)[0] = lab_view_of("", 0);
	for (size_t i = 0; i < w->ck_count; i++) {
		if (!w->ck[i].tuple_rest && combine(b, ret, ret_count, &w->ck[i]) < 0)
			return -1;
	}
	return 0;
}

int bind_slices(const struct binder *b, struct cqle_slice **ret, size_t *ret_count)
{
	const struct cqle_where *w = &b->plan->where;
	struct lab_view *prefixes;
	size_t count;
	if (bind_prefixes(b, &prefixes, &count) < 0)
		return -1;
	if (w->range_column != NULL && has_mixed_orders(b))
		return bind_pieces(b, prefixes, count, ret, ret_count);
	*ret = lab_arena_array(b->arena, struct cqle_slice, count);
	*ret_count = count;
	for (size_t i = 0; i < count; i++) {
		struct cqle_slice *slice = &(*ret)[i];
		if (w->range_column != NULL) {
			if (bind_range(b, prefixes[i], slice) < 0)
				return -1;
			continue;
		}
		slice->start = prefixes[i];
		slice->point = w->ck_count == b->plan->table->ck_count;
		if (!slice->point)
			slice->end = successor(b, prefixes[i]);
	}
	return 0;
}

/* ---- SELECT ---- */

static int bind_limit(const struct binder *b, bool has, const struct cqle_value *value,
	const char *name, size_t *ret)
{
	int64_t limit;
	bool given;
	*ret = SIZE_MAX;
	if (!has)
		return 0;
	if (bind_number(b, value, &given, &limit) < 0)
		return -1;
	if (!given)
		return 0;
	if (limit <= 0)
		return cqle_fail(b->err, CQL_E_INVALID, "%s must be strictly positive", name);
	*ret = (size_t)limit;
	return 0;
}

static int bind_token(const struct binder *b, struct cqle_select *ret)
{
	const struct cqle_where *w = &b->plan->where;
	bool given;
	int64_t token;
	ret->token_after = INT64_MIN;
	ret->token_from_minimum = true;
	ret->token_upto = INT64_MAX;
	if (w->token_low.present) {
		if (bind_number(b, &w->token_low.value, &given, &token) < 0)
			return -1;
		bool minimum = w->token_low.inclusive && token == INT64_MIN;
		ret->token_from_minimum = minimum || !given;
		ret->token_after = w->token_low.inclusive && !minimum ? token - 1 : token;
	}
	if (w->token_high.present) {
		if (bind_number(b, &w->token_high.value, &given, &token) < 0)
			return -1;
		ret->token_empty = !w->token_high.inclusive && token == INT64_MIN;
		ret->token_upto = w->token_high.inclusive || ret->token_empty ? token : token - 1;
	}
	if (!ret->token_from_minimum && ret->token_after >= ret->token_upto)
		ret->token_empty = true;
	return 0;
}

/* What a filter compares with, if it is not a key's. */
static int check_filter_value(const struct binder *b, const struct cqle_restriction *r)
{
	struct lab_view ignored;
	bool key = r->column->kind == CQLE_PARTITION_KEY || r->column->kind == CQLE_CLUSTERING;
	if (key || r->value_count != 1 || r->values[0].is_list)
		return 0;
	enum cqle_got got = bind_value(b, &r->values[0], &ignored);
	return got <= CQLE_GOT_VALUE
		       ? got
		       : cqle_fail(b->err, CQL_E_INVALID, "Unsupported %s value for column %.*s",
				 got == CQLE_GOT_NULL ? "null" : "unset",
				 LAB_VIEW_ARG(r->column->name));
}

static int bind_filters(const struct binder *b, struct cqle_select *ret)
{
	const struct cqle_where *w = &b->plan->where;
	ret->filters = lab_arena_array(b->arena, struct cqle_filter, w->filter_count);
	ret->filter_count = w->filter_count;
	for (size_t i = 0; i < w->filter_count; i++) {
		struct cqle_filter *f = &ret->filters[i];
		f->column = w->filters[i].column;
		f->type = &w->filters[i].values[0].type;
		f->op = w->filters[i].op;
		f->tuple = w->filters[i].tuple;
		if (check_filter_value(b, &w->filters[i]) < 0 ||
			get_values(b, &w->filters[i], &f->values, &f->value_count) < 0 ||
			(w->filters[i].key != NULL &&
				get_key_value(b, w->filters[i].key, &f->key) < 0))
			return -1;
	}
	return 0;
}

/* A value that may be null; -1 if it is none. */
static int condition_value(
	const struct binder *b, const struct cqle_value *value, struct lab_view *ret)
{
	enum cqle_got got = bind_value(b, value, ret);
	if (got == CQLE_GOT_UNSET)
		return cqle_fail(b->err, CQL_E_INVALID, "Invalid 'unset' value in condition");
	if (got == CQLE_GOT_NULL)
		*ret = lab_view_of(NULL, 0);
	return got == CQLE_GOT_ERROR ? -1 : 0;
}

static int bind_condition(
	const struct binder *b, const struct cqle_restriction *r, struct cqle_condition *ret)
{
	*ret = (struct cqle_condition){
		.column = r->column, .op = r->op, .has_key = r->key != NULL, .field = r->field
	};
	ret->type = r->value_count > 0 ? &r->values[0].type : &r->column->type;
	if (r->key != NULL && condition_value(b, r->key, &ret->key) < 0)
		return -1;
	if (r->value_count == 1 && r->values[0].is_list)
		return get_values(b, r, &ret->values, &ret->value_count);
	ret->value_count = r->value_count;
	ret->values = lab_arena_array(b->arena, struct lab_view, r->value_count + 1);
	for (size_t i = 0; i < r->value_count; i++) {
		if (condition_value(b, &r->values[i], &ret->values[i]) < 0)
			return -1;
		if (ret->values[i].ptr == NULL && r->op != OP_EQ && r->op != OP_NE &&
			r->op != OP_IN)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Invalid comparison with null for operator \"%s\"",
				cqle_operator_text(r->op));
	}
	return 0;
}

int cqle_bind_conditions(struct cqlemu *emu, struct lab_arena *arena, const struct cqle_plan *plan,
	const struct cql_bind *values, struct cqle_condition **ret, struct lab_error *err)
{
	struct binder b = {
		.emu = emu, .arena = arena, .plan = plan, .values = values, .err = err
	};
	*ret = lab_arena_array(arena, struct cqle_condition, plan->condition_count + 1);
	for (size_t i = 0; i < plan->condition_count; i++) {
		if (bind_condition(&b, &plan->conditions[i], &(*ret)[i]) < 0)
			return -1;
	}
	return 0;
}

int cqle_bind_select(struct cqlemu *emu, struct lab_arena *arena, const struct cqle_plan *plan,
	const struct cql_bind *values, struct cqle_select *ret, struct lab_error *err)
{
	struct binder b = {
		.emu = emu, .arena = arena, .plan = plan, .values = values, .err = err
	};
	*ret = (struct cqle_select){ .scan = plan->where.pk == NULL, .values = values };
	if (bind_limit(&b, plan->has_limit, &plan->limit, "LIMIT", &ret->limit) < 0 ||
		bind_limit(&b, plan->has_partition_limit, &plan->partition_limit,
			"PER PARTITION LIMIT", &ret->partition_limit) < 0)
		return -1;
	if (ret->scan ? bind_token(&b, ret) < 0 : bind_keys(&b, &ret->keys) < 0)
		return -1;
	if (plan->where.filter_count > 0 && bind_filters(&b, ret) < 0)
		return -1;
	return bind_slices(&b, &ret->slices, &ret->slice_count);
}

/* ---- named values ---- */

int cqle_bind_names(struct lab_arena *arena, const struct cqle_plan *plan,
	const struct cql_bind *values, size_t count, struct cql_bind **ret, struct lab_error *err)
{
	*ret = lab_arena_array(arena, struct cql_bind, plan->marker_count);
	for (size_t i = 0; i < plan->marker_count; i++) {
		size_t found = SIZE_MAX;
		for (size_t j = 0; j < count && found == SIZE_MAX; j++) {
			if (lab_view_eq(values[j].name, plan->markers[i].name))
				found = j;
		}
		if (found == SIZE_MAX)
			return cqle_fail(err, CQL_E_INVALID,
				"Invalid amount of bind variables: no value for '%.*s'",
				LAB_VIEW_ARG(plan->markers[i].name));
		(*ret)[i] = values[found];
	}
	return 0;
}

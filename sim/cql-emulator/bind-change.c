/* SPDX-License-Identifier: Apache-2.0
 *
 * bind-change.c - a plan and its values: the mutations that they mean.
 */
#include "sim/cql-emulator/bind-private.h"

static uint32_t now_of(const struct binder *b)
{
	if (!b->item->has_now)
		return cqle_wall_s(b->emu);
	return (uint32_t)LAB_MAX(b->item->now_s, 0);
}

static int bind_using(const struct binder *b, int64_t default_timestamp, struct cqle_stamp *ret)
{
	bool given;
	int64_t value;
	*ret = (struct cqle_stamp){ default_timestamp, b->plan->table->default_ttl_s, now_of(b) };
	if (b->plan->has_timestamp) {
		if (bind_number(b, &b->plan->timestamp, &given, &value) < 0)
			return -1;
		if (given && value == CQLE_NO_TIMESTAMP)
			return cqle_fail(b->err, CQL_E_INVALID,
				"Out of bound timestamp, must be in [%" PRId64 ", %" PRId64 "]",
				INT64_MIN + 1, INT64_MAX);
		if (given)
			ret->timestamp = value;
	}
	if (!b->plan->has_ttl)
		return 0;
	if (bind_number(b, &b->plan->ttl, &given, &value) < 0)
		return -1;
	if (!given)
		return 0;
	if (value < 0)
		return cqle_fail(b->err, CQL_E_INVALID,
			"A TTL must be greater or equal to 0, but was %" PRId64, value);
	if (value > CQLE_TTL_MAX)
		return cqle_fail(b->err, CQL_E_INVALID,
			"ttl is too large. requested (%" PRId64 ") maximum (%d)", value,
			CQLE_TTL_MAX);
	ret->ttl_s = (uint32_t)value;
	return 0;
}

/* A collection that is not frozen: `before` is the row as it is, if the plan needs to know. */
static int set_collection(const struct binder *b, const struct cqle_set *set,
	const struct cqle_stamp *change, struct cqle_cell *cell, struct cqle_mutation *m)
{
	struct cqle_collect c = { .emu = b->emu,
		.arena = b->arena,
		.set = set,
		.change = change,
		.before = b->before == NULL ? NULL : &b->before->cells[set->column->position],
		.err = b->err };
	enum cqle_got got = bind_value(b, &set->value, &c.value);
	if (got == CQLE_GOT_UNSET || got == CQLE_GOT_ERROR)
		return got == CQLE_GOT_UNSET ? 0 : -1;
	if (got == CQLE_GOT_NULL)
		c.value = lab_view_of(NULL, 0);
	if (set->kind >= CQLE_SET_ELEMENT && set->column->type.id != CQL_TYPE_UDT) {
		got = bind_value(b, &set->key, &c.key);
		if (got == CQLE_GOT_ERROR)
			return -1;
		if (got != CQLE_GOT_VALUE)
			return cqle_fail(b->err, CQL_E_INVALID, "Invalid %s value for %.*s",
				got == CQLE_GOT_NULL ? "null" : "unset",
				LAB_VIEW_ARG(set->key.name));
	}
	m->bytes += (uint32_t)(c.value.len + c.key.len);
	return cqle_collection_change(&c, cell);
}

/* A delta, for the leader to add; null: the counter is deleted. */
static int set_counter(const struct binder *b, const struct cqle_set *set,
	const struct cqle_stamp *change, struct cqle_cell *cell)
{
	struct cqle_cell delta = {
		.kind = CQLE_CELL_COUNTER, .timestamp = change->timestamp, .local_s = change->now_s
	};
	struct lab_view bytes;
	int64_t number = 0;
	enum cqle_got got = bind_value(b, &set->value, &bytes);
	if (got == CQLE_GOT_ERROR ||
		(got == CQLE_GOT_VALUE && cql_value_to_i64(CQL_TYPE_BIGINT, bytes, &number) < 0))
		return -1;
	if (got == CQLE_GOT_UNSET)
		return 0;
	if (got == CQLE_GOT_NULL && set->kind != CQLE_SET_VALUE)
		return cqle_fail(b->err, CQL_E_INVALID,
			"Invalid null value for counter increment/decrement");
	if (got == CQLE_GOT_VALUE)
		delta.value = cqle_counter_delta(b->emu->heap,
			set->kind == CQLE_SET_REMOVE ? 0 - (uint64_t)number : (uint64_t)number);
	struct cqle_cell both = cqle_cell_merge(b->emu->heap, cell, &delta, CQLE_NO_TIMESTAMP);
	cqle_cell_unref(b->emu->heap, cell);
	cqle_cell_unref(b->emu->heap, &delta);
	*cell = both;
	return 0;
}

static int set_cell(const struct binder *b, const struct cqle_set *set,
	const struct cqle_stamp *change, struct cqle_row *row, struct cqle_mutation *m)
{
	struct lab_view bytes;
	struct cqle_cell *cell = &row->cells[set->column->position];
	if (set->column->multicell)
		return set_collection(b, set, change, cell, m);
	if (set->column->type.id == CQL_TYPE_COUNTER)
		return set_counter(b, set, change, cell);
	enum cqle_got got = bind_value(b, &set->value, &bytes);
	if (got == CQLE_GOT_ERROR)
		return -1;
	if (got == CQLE_GOT_UNSET)
		return 0;
	cell->timestamp = change->timestamp;
	cell->local_s = change->now_s;
	if (got == CQLE_GOT_NULL)
		return 0;
	cell->value = cqle_bytes_new(b->emu->heap, bytes);
	m->bytes += (uint32_t)bytes.len;
	if (change->ttl_s > 0) {
		cell->ttl_s = change->ttl_s & CQLE_TTL_MASK;
		cell->local_s = change->now_s + change->ttl_s;
	}
	return 0;
}

static bool sets_kind(const struct cqle_plan *plan, enum cqle_column_kind kind)
{
	for (size_t i = 0; i < plan->set_count; i++) {
		if (plan->sets[i].column->kind == kind)
			return true;
	}
	return false;
}

static int set_cells(const struct binder *b, const struct cqle_stamp *change,
	enum cqle_column_kind kind, struct cqle_row *row, struct cqle_mutation *m)
{
	for (size_t i = 0; i < b->plan->set_count; i++) {
		if (b->plan->sets[i].column->kind == kind &&
			set_cell(b, &b->plan->sets[i], change, row, m) < 0)
			return -1;
	}
	return 0;
}

static int change_static(struct binder *b, const struct cqle_stamp *change, struct cqle_mutation *m)
{
	struct lab_heap *heap = b->emu->heap;
	if (!sets_kind(b->plan, CQLE_STATIC))
		return 0;
	struct cqle_row *row = cqle_row_new(heap, lab_view_of("", 0), b->plan->table->static_count);
	b->before =
		b->known == NULL ? NULL : cqle_change_row(b->known, b->plan->table, b->key, NULL);
	if (set_cells(b, change, CQLE_STATIC, row, m) < 0) {
		cqle_row_unref(heap, row);
		return -1;
	}
	struct cqle_row *both = cqle_row_merge(heap, m->static_row, row, CQLE_NOT_DELETED);
	cqle_row_unref(heap, m->static_row);
	cqle_row_unref(heap, row);
	m->static_row = both;
	return 0;
}

/* INSERT, UPDATE, or DELETE of columns, of one row. */
static int change_row(struct binder *b, const struct cqle_stamp *change, struct lab_view key,
	struct cqle_mutation *m)
{
	struct cqle_row *row = cqle_row_new(b->emu->heap, key, b->plan->table->regular_count);
	b->before =
		b->known == NULL ? NULL : cqle_change_row(b->known, b->plan->table, b->key, &key);
	if (b->plan->marker_row) {
		row->marker = change->timestamp;
		row->marker_ttl_s = change->ttl_s;
		row->marker_expires_s = change->ttl_s > 0 ? change->now_s + change->ttl_s : 0;
	}
	if (set_cells(b, change, CQLE_REGULAR, row, m) < 0) {
		cqle_row_unref(b->emu->heap, row);
		return -1;
	}
	m->bytes += (uint32_t)key.len;
	cqle_mutation_add_row(b->emu->heap, m, row);
	return 0;
}

static void delete_slice(const struct binder *b, const struct cqle_deletion deletion,
	const struct cqle_slice *slice, struct cqle_mutation *m)
{
	if (slice->point) {
		struct cqle_row *row =
			cqle_row_new(b->emu->heap, slice->start, b->plan->table->regular_count);
		row->deletion = deletion;
		cqle_mutation_add_row(b->emu->heap, m, row);
		return;
	}
	cqle_mutation_add_range(b->emu->heap, m, slice->start, slice->end, deletion);
}

static int change_partition(struct binder *b, const struct cqle_stamp *change,
	const struct cqle_slice *slices, size_t slice_count, struct cqle_mutation *m)
{
	const struct cqle_plan *plan = b->plan;
	struct cqle_deletion deletion = { change->timestamp, change->now_s };
	if (plan->kind != STATEMENT_DELETE || plan->set_count > 0) {
		if (change_static(b, change, m) < 0)
			return -1;
		for (size_t i = 0; i < slice_count && !plan->static_only; i++) {
			if (change_row(b, change, slices[i].start, m) < 0)
				return -1;
		}
		return 0;
	}
	bool whole = plan->where.ck_count == 0 && plan->where.range_column == NULL;
	if (whole && plan->table->ck_count > 0) {
		if (deletion.timestamp > m->deletion.timestamp)
			m->deletion = deletion;
		return 0;
	}
	for (size_t i = 0; i < slice_count; i++)
		delete_slice(b, deletion, &slices[i], m);
	return 0;
}

/* The mutation of this partition, made if it is the first statement for it. */
static struct cqle_mutation *mutation_for(
	const struct binder *b, struct lab_view key, struct cqle_mutations *all)
{
	int64_t token = cqle_token(key);
	for (size_t i = all->count; i > 0; i--) {
		struct cqle_mutation *m = all->items[i - 1];
		if (m->token == token && m->table == b->plan->table &&
			lab_view_eq(cqle_bytes_view(m->key), key))
			return m;
	}
	if (all->count == all->capacity) {
		size_t wanted = all->capacity == 0 ? 1 : all->capacity * 4;
		struct cqle_mutation **larger =
			lab_arena_array(b->arena, struct cqle_mutation *, wanted);
		if (all->count > 0)
			memcpy(larger, all->items, all->count * sizeof(*larger));
		all->items = larger;
		all->capacity = wanted;
	}
	struct cqle_mutation *m = cqle_mutation_new(b->emu->heap, b->plan->table, key, token);
	all->items[all->count++] = m;
	return m;
}

int cqle_bind_change(struct cqlemu *emu, struct lab_arena *arena,
	const struct cqle_change_item *item, const struct cqle_change *change, int64_t *timestamp,
	struct cqle_mutations *mutations, struct lab_error *err)
{
	struct binder b = { .emu = emu,
		.item = item,
		.arena = arena,
		.plan = item->plan,
		.values = item->values,
		.err = err,
		.known = item->plan->needs_read ? change : NULL };
	struct cqle_stamp stamp;
	struct cqle_keys keys;
	struct cqle_slice *slices;
	size_t slice_count;

	if (bind_using(&b, *timestamp, &stamp) < 0 || bind_keys(&b, &keys) < 0 ||
		bind_slices(&b, &slices, &slice_count) < 0)
		return -1;
	*timestamp = stamp.timestamp;
	for (size_t i = 0; i < keys.count; i++) {
		struct cqle_mutation *m = mutation_for(&b, keys.keys[i], mutations);
		b.key = keys.keys[i];
		if (change_partition(&b, &stamp, slices, slice_count, m) < 0)
			return -1;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot.c - what is stored, as an oracle wants to see it; and the tools that need all of it at
 * once: compaction and repair.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

static struct cqle_table *find_table(struct cqlemu *emu, struct lab_view full_name)
{
	for (size_t i = 0; i < emu->table_count; i++) {
		if (lab_view_eq(emu->tables[i]->full_name, full_name))
			return emu->tables[i];
	}
	return NULL;
}

/* Everything that a store has, tombstones of all ages included. */
static void read_everything(
	const struct cqle_table *table, struct cqle_store *store, struct cqle_answer *ret)
{
	static const struct cqle_slice all = { { (const uint8_t *)"", 0 }, { NULL, 0 }, false };
	struct cqle_read read = { .table = table,
		.from_minimum = true,
		.upto = INT64_MAX,
		.slices = &all,
		.slice_count = 1,
		.limit = SIZE_MAX,
		.partition_limit = SIZE_MAX,
		.rows_max = SIZE_MAX };
	cqle_read_store(store, &read, ret);
}

/* All replicas' contents in *answers (one for each node), and together in the result. */
static struct cqle_answer *read_merged(struct cqlemu *emu, const struct cqle_table *table,
	struct cqle_answer *answers[CQLEMU_NODES_MAX])
{
	struct cqle_answer *merged = cqle_answer_new(emu->heap);
	struct cqle_read read = { .table = table,
		.limit = SIZE_MAX,
		.partition_limit = SIZE_MAX,
		.now_s = cqle_wall_s(emu) };
	for (size_t i = 0; i < emu->node_count; i++) {
		answers[i] = cqle_answer_new(emu->heap);
		read_everything(table, table->stores[i], answers[i]);
	}
	cqle_answers_merge(emu->heap, answers, emu->node_count, &read, merged);
	return merged;
}

static void unref_answers(struct cqlemu *emu, struct cqle_answer **answers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		cqle_answer_unref(emu->heap, answers[i]);
}

/* ---- entries ---- */

struct teller {
	struct cqlemu *emu;
	const struct cqle_table *table;
	const struct cqle_part *part;
	cqlemu_entry_fn fn;
	void *ctx;
	bool merged;
};

static struct lab_view decode(struct lab_arena *arena, const struct cqle_column *c,
	struct lab_view bytes, size_t *ret_used)
{
	struct lab_buf buf;
	lab_buf_init_arena(&buf, arena, cqle_decoded_max(&c->type, bytes.len));
	*ret_used = cqle_comparable_take(bytes, &c->type, c->descending, &buf);
	return lab_buf_view(&buf);
}

/* The primary key's columns: of the partition, and as many of the clustering as `row` has. */
static size_t tell_keys(const struct teller *t, struct lab_view row, struct cqlemu_cell *keys)
{
	struct lab_view rest = cqle_bytes_view(t->part->key);
	size_t count = 0, used;
	for (size_t i = 0; i < t->table->pk_count; i++) {
		struct lab_view value = rest;
		if (t->table->pk_count > 1) {
			value = lab_view_sub(rest, 2, (size_t)rest.ptr[0] << 8 | rest.ptr[1]);
			rest = lab_view_skip(rest, value.len + 3);
		}
		keys[count++] = (struct cqlemu_cell){ .column = cqle_pk(t->table, i)->name,
			.value = value,
			.timestamp_us = CQLE_NO_TIMESTAMP };
	}
	for (size_t i = 0; i < t->table->ck_count && row.len > 0; i++) {
		struct lab_view value = decode(t->emu->scratch, cqle_ck(t->table, i), row, &used);
		row = lab_view_skip(row, used);
		keys[count++] = (struct cqlemu_cell){ .column = cqle_ck(t->table, i)->name,
			.value = value,
			.timestamp_us = CQLE_NO_TIMESTAMP };
	}
	return count;
}

static unsigned count_replicas(const struct teller *t, const struct cqle_row *row, bool is_static)
{
	unsigned count = 0;
	for (size_t i = 0; i < t->emu->node_count; i++) {
		const struct cqle_partition *p = cqle_store_find(
			t->table->stores[i], t->part->token, cqle_bytes_view(t->part->key));
		if (p == NULL)
			continue;
		count += is_static ? p->static_row != NULL
				   : cqle_row_find(p, cqle_row_key(row)) != NULL;
	}
	return count;
}

static void tell(const struct teller *t, enum cqlemu_entry_kind kind, const struct cqle_row *row,
	struct lab_view prefix, struct cqle_deletion deletion)
{
	struct cqlemu_cell keys[CQLEMU_COLUMNS_MAX], cells[CQLEMU_COLUMNS_MAX];
	uint32_t now_s = cqle_wall_s(t->emu);
	struct lab_arena_mark mark = lab_arena_mark(t->emu->scratch);
	struct cqlemu_entry entry = { .kind = kind,
		.keyspace = t->table->keyspace->name,
		.table = t->table->name,
		.keys = keys,
		.cells = cells,
		.marker_us = row == NULL ? CQLE_NO_TIMESTAMP : row->marker,
		.deletion_us = deletion.timestamp,
		.replicas = 1 };
	entry.key_count = tell_keys(t, prefix, keys);
	for (size_t i = 0; row != NULL && i < row->cell_count; i++) {
		const struct cqle_cell *cell = &row->cells[i];
		const struct cqle_column *c = kind == CQLEMU_STATIC_ROW ? cqle_static(t->table, i)
									: cqle_regular(t->table, i);
		bool live = cqle_cell_is_live(cell, now_s);
		cells[entry.cell_count++] = (struct cqlemu_cell){ .column = c->name,
			.value = cqle_cell_value(t->emu->scratch, c, cell, now_s),
			.tombstone = cqle_cell_is_written(cell) && !live,
			.timestamp_us = cell->timestamp,
			.ttl_s = cell->ttl_s,
			.expires_s = cell->ttl_s > 0 ? cell->local_s : 0 };
	}
	entry.live = row != NULL && cqle_row_is_live(row, now_s);
	if (t->merged && row != NULL)
		entry.replicas = count_replicas(t, row, kind == CQLEMU_STATIC_ROW);
	t->fn(t->ctx, &entry);
	lab_arena_rewind(t->emu->scratch, mark);
}

static void tell_part(struct teller *t, const struct cqle_answer *answer)
{
	const struct cqle_part *part = t->part;
	struct lab_view none = { NULL, 0 };
	if (part->deletion.timestamp != CQLE_NO_TIMESTAMP)
		tell(t, CQLEMU_PARTITION_TOMBSTONE, NULL, none, part->deletion);
	for (size_t i = part->range_begin; i < part->range_end; i++)
		tell(t, CQLEMU_RANGE_TOMBSTONE, NULL, none, answer->ranges[i].deletion);
	if (part->static_row != NULL)
		tell(t, CQLEMU_STATIC_ROW, part->static_row, none, part->static_row->deletion);
	for (size_t i = part->row_begin; i < part->row_end; i++)
		tell(t, CQLEMU_ROW, answer->rows[i], cqle_row_key(answer->rows[i]),
			answer->rows[i]->deletion);
}

int cqlemu_snapshot(struct cqlemu *emu, struct lab_view name, size_t node, cqlemu_entry_fn fn,
	void *ctx, struct lab_error *err)
{
	struct cqle_answer *answers[CQLEMU_NODES_MAX], *answer;
	lab_check(emu, CQLE_MAGIC);
	lab_assert(!emu->busy && (node == CQLEMU_MERGED || node < emu->node_count));
	struct cqle_table *table = find_table(emu, name);
	if (table == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "no table %.*s", LAB_VIEW_ARG(name));
	struct teller t = {
		.emu = emu, .table = table, .fn = fn, .ctx = ctx, .merged = node == CQLEMU_MERGED
	};
	if (t.merged) {
		answer = read_merged(emu, table, answers);
		unref_answers(emu, answers, emu->node_count);
	} else {
		answer = cqle_answer_new(emu->heap);
		read_everything(table, table->stores[node], answer);
	}
	for (size_t i = 0; i < answer->part_count; i++) {
		t.part = &answer->parts[i];
		tell_part(&t, answer);
	}
	cqle_answer_unref(emu->heap, answer);
	return 0;
}

static const struct cqlemu_cell *find_cell(
	const struct cqlemu_cell *cells, size_t count, const char *column)
{
	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq_cstr(cells[i].column, column))
			return &cells[i];
	}
	return NULL;
}

struct lab_view cqlemu_entry_value(const struct cqlemu_entry *entry, const char *column)
{
	const struct cqlemu_cell *cell = find_cell(entry->keys, entry->key_count, column);
	if (cell == NULL)
		cell = find_cell(entry->cells, entry->cell_count, column);
	return cell == NULL ? lab_view_of(NULL, 0) : cell->value;
}

int cqlemu_replicas(struct cqlemu *emu, struct lab_view name, struct lab_view key,
	size_t ret_nodes[CQLEMU_NODES_MAX], struct lab_error *err)
{
	struct cqle_table *table = find_table(emu, name);
	if (table == NULL || table->keyspace->local)
		return lab_fail(err, LAB_NOT_FOUND, "no replicated table %.*s", LAB_VIEW_ARG(name));
	const struct cqle_replicas *r = cqle_replicas_of(emu, table->keyspace, cqle_token(key));
	for (size_t i = 0; i < r->count; i++)
		ret_nodes[i] = r->nodes[i];
	return (int)r->count;
}

/* ---- compaction and repair ---- */

void cqlemu_node_compact(struct cqlemu *emu, size_t node, uint64_t now_ns)
{
	lab_assert(node < emu->node_count);
	cqle_enter(emu, now_ns);
	uint32_t now_s = cqle_wall_s(emu);
	for (size_t i = 0; i < emu->table_count; i++) {
		struct cqle_table *t = emu->tables[i];
		if (t->keyspace->local || now_s < t->gc_grace_s)
			continue;
		cqle_store_compact(t->stores[node], now_s - t->gc_grace_s);
		if (t->durable != NULL)
			cqle_store_compact(t->durable[node], now_s - t->gc_grace_s);
	}
	cqle_leave(emu);
}

struct repairer {
	struct cqlemu *emu;
	struct cqle_table *table;
	size_t node;
};

static void repair_one(void *_ctx, struct cqle_mutation *mutation)
{
	struct repairer *r = _ctx;
	const struct cqle_replicas *replicas =
		cqle_replicas_of(r->emu, r->table->keyspace, mutation->token);
	for (size_t i = 0; i < replicas->count; i++) {
		if (replicas->nodes[i] == r->node)
			cqle_apply_at(r->emu, r->node, mutation);
	}
	cqle_mutation_unref(r->emu->heap, mutation);
}

void cqlemu_repair(struct cqlemu *emu, uint64_t now_ns)
{
	struct cqle_answer *answers[CQLEMU_NODES_MAX];
	cqle_enter(emu, now_ns);
	for (size_t i = 0; i < emu->table_count; i++) {
		struct cqle_table *t = emu->tables[i];
		if (t->keyspace->local)
			continue;
		struct cqle_answer *merged = read_merged(emu, t, answers);
		for (size_t n = 0; n < emu->node_count; n++) {
			struct repairer r = { emu, t, n };
			(void)cqle_answer_repair(emu->heap, t, answers[n], merged, repair_one, &r);
		}
		unref_answers(emu, answers, emu->node_count);
		cqle_answer_unref(emu->heap, merged);
	}
	cqle_leave(emu);
}

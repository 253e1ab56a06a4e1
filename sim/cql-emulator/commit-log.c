/* SPDX-License-Identifier: Apache-2.0
 *
 * commit-log.c - what a node that is killed still has.
 */
#include "sim/cql-emulator/cluster-private.h"

struct cqle_journal {
	struct cqle_journal *next;
	uint64_t at_ns;
	struct cqle_mutation *mutation;
};

/* What was written before the last sync is on disk. */
static void journal_sync(struct cqlemu *emu, struct cqle_node *node, size_t index)
{
	uint64_t period = emu->options.commitlog_sync_ns;
	uint64_t synced = emu->now_ns - emu->now_ns % period;
	while (node->journal != NULL && node->journal->at_ns < synced) {
		struct cqle_journal *entry = node->journal;
		node->journal = entry->next;
		struct cqle_mutation *m = cqle_mutation_current(emu->heap, entry->mutation);
		if (m != NULL) {
			cqle_store_apply(m->table->durable[index], m);
			cqle_mutation_unref(emu->heap, m);
		}
		cqle_mutation_unref(emu->heap, entry->mutation);
		lab_heap_free(emu->heap, entry);
	}
	if (node->journal == NULL)
		node->journal_last = NULL;
}

static void journal_add(struct cqlemu *emu, size_t index, struct cqle_mutation *mutation)
{
	struct cqle_node *node = &emu->nodes[index];
	struct cqle_journal *entry = lab_new(emu->heap, struct cqle_journal);
	journal_sync(emu, node, index);
	entry->at_ns = emu->now_ns;
	entry->mutation = cqle_mutation_ref(mutation);
	if (node->journal_last != NULL)
		node->journal_last->next = entry;
	else
		node->journal = entry;
	node->journal_last = entry;
}

/* After a kill: only what was synced is there. */
void cqle_journal_drop(struct cqlemu *emu, struct cqle_node *node)
{
	while (node->journal != NULL) {
		struct cqle_journal *entry = node->journal;
		node->journal = entry->next;
		cqle_mutation_unref(emu->heap, entry->mutation);
		lab_heap_free(emu->heap, entry);
	}
	node->journal_last = NULL;
}

void cqle_journal_recover(struct cqlemu *emu, size_t index)
{
	struct cqle_node *node = &emu->nodes[index];
	if (emu->options.commitlog_sync_ns == 0)
		return;
	journal_sync(emu, node, index);
	while (node->journal != NULL) {
		struct cqle_journal *entry = node->journal;
		node->journal = entry->next;
		cqle_mutation_unref(emu->heap, entry->mutation);
		lab_heap_free(emu->heap, entry);
	}
	node->journal_last = NULL;
	for (size_t i = 0; i < emu->table_count; i++) {
		struct cqle_table *t = emu->tables[i];
		if (t->durable == NULL)
			continue;
		cqle_store_clear(t->stores[index]);
		cqle_store_copy(t->stores[index], t->durable[index]);
	}
}

void cqle_apply_at(struct cqlemu *emu, size_t node, struct cqle_mutation *mutation)
{
	struct cqle_mutation *m = cqle_mutation_current(emu->heap, mutation);
	if (m == NULL)
		return;
	cqle_store_apply(m->table->stores[node], m);
	if (m->table->durable != NULL && m->table->durable[node] != NULL)
		journal_add(emu, node, m);
	cqle_mutation_unref(emu->heap, m);
}

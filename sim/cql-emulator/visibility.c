/* SPDX-License-Identifier: Apache-2.0
 *
 * visibility.c - which node knows of which schema change (cql-imds 0.9, 4.3).
 *
 * The coordinator of a change makes it and pushes it to every node that it believes is alive. Who
 * was down, frozen, cut off, or kept from hearing by a fault, hears of it by gossip from any node
 * that knows, or when it starts. Until then the node does not know a new table or keyspace: as a
 * coordinator it says so, as a replica it fails reads and writes with INCOMPATIBLE_SCHEMA. Changes
 * and drops of what is there take effect everywhere at once; only the versions differ.
 *
 * Two tables of one name, made on two sides of a partition, have different ids. Each node keeps the
 * one that it knew first until it starts again; then the newer one wins, and what was in the other
 * is gone: the well known trouble of Cassandra up to 4.x.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

#define NEWS_MAX 1024 /* changes that are still spreading; beyond it the oldest is known to all */

struct cqle_news {
	struct cqle_news *next;
	uint64_t id;
	uint64_t known, held; /* nodes; those that a fault keeps from hearing */
	uint64_t held_until_ns;
	struct cql_schema_change change;
};

static uint64_t all_nodes(const struct cqlemu *emu)
{
	return emu->node_count == 64 ? UINT64_MAX : cqle_bit(emu->node_count) - 1;
}

static bool is(struct lab_view text, const char *word)
{
	return lab_view_eq_cstr(text, word);
}

/* ---- what a node knows ---- */

static bool same_name(const struct cqle_table *a, const struct cqle_table *b)
{
	return lab_view_eq(a->full_name, b->full_name);
}

static bool has_rival(const struct cqlemu *emu, const struct cqle_table *t, size_t node)
{
	for (size_t i = 0; i < emu->table_count; i++) {
		const struct cqle_table *other = emu->tables[i];
		if (other != t && same_name(other, t) && (other->unseen & cqle_bit(node)) == 0)
			return true;
	}
	return false;
}

static void see_table(struct cqlemu *emu, struct cqle_table *t, size_t node)
{
	t->told |= cqle_bit(node);
	if (!has_rival(emu, t, node))
		t->unseen &= ~cqle_bit(node);
}

/* The objects of a change that is new to the node. */
static void see(struct cqlemu *emu, const struct cqle_news *news, size_t node)
{
	const struct cql_schema_change *c = &news->change;
	if (!is(c->change, "CREATED"))
		return;
	for (size_t i = 0; i < emu->keyspace_count && is(c->target, "KEYSPACE"); i++) {
		if (lab_view_eq(emu->keyspaces[i]->name, c->keyspace))
			emu->keyspaces[i]->unseen &= ~cqle_bit(node);
	}
	for (size_t i = 0; i < emu->table_count && is(c->target, "TABLE"); i++) {
		if (emu->tables[i]->made_by == news->id)
			see_table(emu, emu->tables[i], node);
	}
}

static void learn(struct cqlemu *emu, struct cqle_news *news, size_t node)
{
	if ((news->known & cqle_bit(node)) != 0)
		return;
	news->known |= cqle_bit(node);
	emu->nodes[node].schema_digest ^= lab_draw(emu->options.seed, "cql.schema", news->id, 0);
	emu->metadata_version++;
	see(emu, news, node);
	cqle_event_schema(emu, node, &news->change);
}

static void forget_old_news(struct cqlemu *emu)
{
	struct cqle_news **at = &emu->news;
	while (*at != NULL) {
		struct cqle_news *news = *at;
		if (news->known != all_nodes(emu)) {
			at = &news->next;
			continue;
		}
		*at = news->next;
		emu->news_count--;
		lab_heap_free(emu->heap, news);
	}
}

/* ---- spreading ---- */

static struct sim_fault push_fault(
	struct cqlemu *emu, const struct cqle_news *news, size_t from, size_t to)
{
	struct sim_fault_query query = { .point = "cql.schema",
		.service = "cql",
		.instance = emu->nodes[to].name,
		.peer = emu->nodes[from].name,
		.subject = news->change.keyspace,
		.now_ns = emu->now_ns };
	if (emu->hooks.fault == NULL)
		return (struct sim_fault){ .kind = SIM_FAULT_NONE };
	struct sim_fault fault = emu->hooks.fault(emu->hooks.ctx, &query);
	emu->counters.faults[fault.kind]++;
	return fault;
}

static void push(struct cqlemu *emu, struct cqle_news *news, size_t from, size_t to)
{
	struct cqle_event message = { .kind = CQLE_EV_MESSAGE,
		.message = CQLE_MSG_SCHEMA,
		.from = (uint8_t)from,
		.to = (uint8_t)to,
		.ballot = news->id };
	struct sim_fault fault = push_fault(emu, news, from, to);
	if (fault.kind == SIM_FAULT_NONE) {
		(void)cqle_send(emu, &message);
		return;
	}
	news->held |= cqle_bit(to);
	news->held_until_ns = LAB_MAX(news->held_until_ns, emu->now_ns + fault.delay_ns);
}

static struct cqle_news *add_news(struct cqlemu *emu, const struct cql_schema_change *change)
{
	struct cqle_news **at = &emu->news;
	if (emu->news_count == NEWS_MAX) {
		for (size_t i = 0; i < emu->node_count; i++)
			learn(emu, emu->news, i);
		forget_old_news(emu);
	}
	while (*at != NULL)
		at = &(*at)->next;
	*at = lab_new(emu->heap, struct cqle_news);
	(*at)->id = emu->schema_version;
	(*at)->change = *change;
	emu->news_count++;
	return *at;
}

/* What the change made is at first known to nobody. */
static void hide(struct cqlemu *emu, const struct cqle_news *news)
{
	const struct cql_schema_change *c = &news->change;
	if (!is(c->change, "CREATED"))
		return;
	for (size_t i = emu->table_count; i > 0 && is(c->target, "TABLE"); i--) {
		struct cqle_table *t = emu->tables[i - 1];
		if (!lab_view_eq(t->name, c->name) || !lab_view_eq(t->keyspace->name, c->keyspace))
			continue;
		t->made_by = news->id;
		t->unseen = all_nodes(emu);
		t->told = 0;
		return;
	}
	for (size_t i = emu->keyspace_count; i > 0 && is(c->target, "KEYSPACE"); i--) {
		struct cqle_keyspace *ks = emu->keyspaces[i - 1];
		if (!lab_view_eq(ks->name, c->keyspace))
			continue;
		if (!ks->adopted)
			ks->unseen = all_nodes(emu);
		ks->adopted = false;
		return;
	}
}

void cqle_schema_spread(
	struct cqlemu *emu, size_t coordinator, const struct cql_schema_change *change)
{
	struct cqle_news *news = add_news(emu, change);
	uint64_t live = coordinator == SIZE_MAX ? 0 : cqle_live_view(emu, coordinator);
	if (coordinator != SIZE_MAX)
		hide(emu, news);
	for (size_t i = 0; i < emu->node_count; i++) {
		if (coordinator == SIZE_MAX)
			learn(emu, news, i);
		else if (i != coordinator && (live & cqle_bit(i)) != 0)
			push(emu, news, coordinator, i);
	}
	/* The others hear of it before the one who did it (cql-imds 1.9). */
	if (coordinator != SIZE_MAX)
		learn(emu, news, coordinator);
	forget_old_news(emu);
	if (emu->news != NULL)
		cqle_gossip_wake(emu, emu->now_ns + emu->options.gossip_ns);
}

void cqle_schema_heard(struct cqlemu *emu, size_t node, uint64_t id)
{
	for (struct cqle_news *news = emu->news; news != NULL; news = news->next) {
		if (news->id == id)
			learn(emu, news, node);
	}
}

/* From somebody who knows. True if the node may still hear of it without anything happening. */
static bool ask_around(struct cqlemu *emu, struct cqle_news *news, size_t node)
{
	if ((news->known & cqle_bit(node)) != 0 || emu->nodes[node].state != CQLEMU_NODE_UP)
		return false;
	if ((news->held & cqle_bit(node)) != 0 && emu->now_ns < news->held_until_ns)
		return true;
	for (size_t i = 0; i < emu->node_count; i++) {
		if ((news->known & cqle_bit(i)) == 0 || !cqle_hears(emu, node, i))
			continue;
		learn(emu, news, node);
		return false;
	}
	return emu->hooks.reachable != NULL;
}

bool cqle_schema_gossip(struct cqlemu *emu)
{
	bool waits = false;
	for (struct cqle_news *news = emu->news; news != NULL; news = news->next) {
		for (size_t i = 0; i < emu->node_count; i++)
			waits = ask_around(emu, news, i) || waits;
	}
	forget_old_news(emu);
	return waits;
}

/* ---- a node starts ---- */

/* Of two tables of one name it takes the newer one. */
static void settle_rivals(struct cqlemu *emu, size_t node)
{
	for (size_t i = emu->table_count; i > 0; i--) {
		struct cqle_table *t = emu->tables[i - 1];
		bool newer = false;
		for (size_t j = i; j < emu->table_count && !newer; j++)
			newer = same_name(emu->tables[j], t) &&
				(emu->tables[j]->told & cqle_bit(node)) != 0;
		if (newer)
			t->unseen |= cqle_bit(node);
		else if ((t->told & cqle_bit(node)) != 0)
			t->unseen &= ~cqle_bit(node);
	}
}

void cqle_schema_node_starts(struct cqlemu *emu, size_t node)
{
	for (struct cqle_news *news = emu->news; news != NULL; news = news->next)
		(void)ask_around(emu, news, node);
	forget_old_news(emu);
	settle_rivals(emu, node);
	for (size_t i = emu->table_count; i > 0; i--) {
		struct cqle_table *t = emu->tables[i - 1];
		if (t->unseen == all_nodes(emu) && t->told != 0)
			cqle_table_forget(emu, i - 1);
	}
}

void cqle_schema_done(struct cqlemu *emu)
{
	while (emu->news != NULL) {
		struct cqle_news *news = emu->news;
		emu->news = news->next;
		lab_heap_free(emu->heap, news);
	}
}

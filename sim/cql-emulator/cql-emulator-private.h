/* SPDX-License-Identifier: Apache-2.0
 *
 * cql-emulator-private.h - the parts of the emulator and how they hold together (README.md).
 *
 *   session.h    bytes to requests, requests to operations, answers to bytes
 *   plan.h       a parsed statement resolved against the schema (schema.h, value.h, function.h)
 *   bind.h       a plan and its values: what is to be read, what is to be changed
 *   operation.h  one request in flight: coordinator, replicas asked, answers received
 *   cluster.h    nodes, ring, failure detector, messages, timers, hints
 *   store.h      one replica's partitions, rows and cells (read.h: what it answers)
 *
 * Each stands on those below it; this one has what they all share.
 */
#ifndef LAB_CQL_EMULATOR_PRIVATE_H
#define LAB_CQL_EMULATOR_PRIVATE_H

#include "sim/cql-emulator/session.h"

#define CQLE_MESSAGE_MAX ((size_t)65535) /* a string on the wire */

#define CQLE_MAGIC 0x43514c45u

struct cqlemu {
	uint32_t magic;
	struct lab_heap *heap;
	struct cqlemu_options options;
	const struct cqlemu_profile *profile;
	struct sim_hooks hooks;
	struct lab_arena *permanent; /* names, schema */
	struct lab_arena *scratch;   /* of one call */
	uint64_t now_ns;
	bool busy; /* inside a call: input() and closed() wait */
	struct cqle_session *pending_first, *pending_last;

	struct cqle_node *nodes;
	size_t node_count;
	struct lab_view dc_names[CQLE_DCS_MAX];
	uint64_t dc_nodes[CQLE_DCS_MAX];
	size_t dc_count;
	struct cqle_token *ring;
	size_t ring_count;

	struct cqle_keyspace *keyspaces[CQLEMU_KEYSPACES_MAX];
	size_t keyspace_count;
	struct cqle_table *tables[CQLEMU_TABLES_MAX];
	size_t table_count;
	struct cqle_user_type *types[CQLEMU_TYPES_MAX]; /* of all keyspaces */
	size_t type_count;
	struct lab_map *table_names; /* "ks.t" to struct cqle_table */
	uint64_t schema_version;     /* counts DDL */
	struct cqle_news *news;      /* changes that are spreading, oldest first */
	size_t news_count;
	size_t viewer; /* node on whose behalf names are looked up; SIZE_MAX: nobody's */
	uint64_t metadata_version; /* and what system tables show besides */
	bool system_ready;         /* system keyspaces exist, and are closed to clients */
	bool filling;              /* a system table is being made */
	struct lab_view setup_keyspace;
	bool restoring; /* the schema that was kept is being made again */
	bool keeping, keep_failed;
	struct cqle_session *holding;
	size_t held_bytes;
	struct cqle_auth *auth;     /* NULL: AllowAllAuthenticator */
	struct cqle_traces *traces; /* tracing.h; NULL: none yet */

	struct cqle_event **heap_events; /* a binary heap */
	size_t event_count, event_capacity;
	uint64_t event_sequence;
	struct cqle_event *free_events;
	struct cqle_op *free_ops;
	uint64_t op_serial;
	struct cqle_event *gossip;    /* scheduled, or NULL */
	struct cqle_hint_list *hints; /* [from][to] */
	bool gossip_idle;             /* it has not ticked for a while */
	struct cqle_op *active_ops;   /* unfinished ones */
	size_t op_count;
	size_t hint_count;

	struct cqle_session *sessions, *dead_sessions;
	size_t session_count;
	uint64_t session_number;
	struct lab_buf out, packed;
	struct cqlemu_counters counters;
	int64_t last_timestamp_us; /* server-side, monotone */
	uint64_t last_ballot_us;
	uint64_t uuid_count; /* made by now() and uuid() */
	struct {
		const char *name;
		char args[2][24];
		size_t count;
	} failure;                                /* what the last FUNCTION_FAILURE was about */
	uint64_t list_place;                      /* the last one given to an element of a list */
	uint64_t read_buckets[CQLE_READ_BUCKETS]; /* upper limits */
	struct lab_buf long_error;                /* of a message that lab_error cannot hold */
};

/* Wall clock. */
static inline int64_t cqle_wall_us(const struct cqlemu *emu)
{
	return emu->options.epoch_us + (int64_t)(emu->now_ns / 1000);
}
static inline uint32_t cqle_wall_s(const struct cqlemu *emu)
{
	int64_t seconds = cqle_wall_us(emu) / 1000000;
	return seconds < 0 ? 0 : seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}
static inline uint64_t cqle_bit(size_t node)
{
	return UINT64_C(1) << node;
}

/* Does the node on whose behalf something is looked up know this? */
static inline bool cqle_is_seen(const struct cqlemu *emu, uint64_t unseen)
{
	return emu->viewer == SIZE_MAX || (unseen & cqle_bit(emu->viewer)) == 0;
}
static inline bool cqle_knows(size_t node, const struct cqle_table *table)
{
	return (table->unseen & cqle_bit(node)) == 0;
}

#endif

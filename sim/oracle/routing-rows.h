/* SPDX-License-Identifier: Apache-2.0
 *
 * routing-rows.h - GeoDB's rows as the oracle has seen them last, and what was ordered.
 */
#ifndef SIM_ORACLE_ROUTING_ROWS_H
#define SIM_ORACLE_ROUTING_ROWS_H

#include "sim/oracle/routing-private.h"

#define ID_BYTES 16
/* Whoever finds no row writes one, and so does whoever else has looked meanwhile. */
#define ROUTING_NEW_NS (5 * LAB_SEC)

struct row_id {
	uint8_t bytes[ID_BYTES]; /* zero: none */
};
/* A part of a site's users that is sent to another one, or called home. */
struct share {
	struct lab_view id, to; /* `to`: sites */
	int64_t pct;
	uint64_t since_ns;
};
struct shares {
	struct share now, before;
};
struct site_row {
	struct row_id id;
	struct lab_view name;
	bool is_online;
	uint64_t since_ns;
	struct shares forced, recovered;
};
struct backend_row {
	struct row_id id, site;
	struct lab_view host;
	bool is_online, has_load;
	uint64_t since_ns; /* of both */
};
struct group_row {
	struct row_id site, backend, alt;
	struct lab_view name, moving;
	int64_t stamp_us;         /* of the backend, as it was written */
	uint64_t since_ns;        /* of any of the three */
	uint64_t moving_since_ns; /* if it moves */
	uint64_t made_ns;         /* first seen */
	uint64_t twice_ns;        /* given to another backend, just after it was made; 0: never */
	uint64_t redirected_ns;   /* a move that ran was ordered elsewhere; 0: never */
};
struct user_row {
	struct row_id site;
	struct lab_view group;
	bool is_moving;
	uint64_t since_ns;
	uint64_t made_ns, twice_ns; /* as of a group, of its site and group */
	struct row_id home;
	struct row_id
		forced_from; /* the last site that he left while a share of it was sent away */
	uint64_t forced_ns, seen_ns; /* when that was; his last new session */
};
/* What was ordered: the last time, and the one before. */
struct order_times {
	uint64_t last_ns, before_ns;
	struct lab_view last_host; /* of a group: to where */
	unsigned count;
};
/* What a group was at a time. */
struct group_step {
	const struct group_row *group;
	uint64_t time_ns;
	struct row_id backend, alt;
	bool is_moving;
};

struct routing_rows {
	struct lab_heap *heap;
	struct lab_map *rows; /* kind, key -> one of the structs above */
	struct group_step *steps;
	size_t step_count, step_capacity;
	unsigned due;        /* set of tables */
	uint64_t trouble_ns; /* GeoDB's own, last */
	bool had_trouble;
	uint64_t now_ns;
};

enum row_kind {
	ROW_SITE = 's',
	ROW_BACKEND = 'b',
	ROW_GROUP = 'g',
	ROW_USER = 'u',
	ROW_MOVE = 'm',  /* a move that has ended, of a group */
	ROW_ORDER = 'o', /* of a group; of all of them: without a key */
	ROW_EVACUATION = 'e',
	ROW_BALANCE = 'l',
	ROW_USER_MOVE = 'v', /* of users, ordered by an operator; without a key */
	ROW_STATUS = 't'     /* of a backend or site, ordered by an operator; without a key */
};

static inline struct lab_view id_view(const struct row_id *id)
{
	return lab_view_of(id->bytes, ID_BYTES);
}

static inline bool is_same_id(struct row_id a, struct row_id b)
{
	return memcmp(a.bytes, b.bytes, ID_BYTES) == 0;
}

static inline bool is_set(struct row_id id)
{
	return !is_same_id(id, (struct row_id){ { 0 } });
}

/* By kind and key; NULL: there is none. */
void *routing_row_find(
	const struct oracle *oracle, enum row_kind kind, struct lab_view a, struct lab_view b);
const struct backend_row *routing_backend_of(const struct oracle *oracle, struct row_id id);
const struct backend_row *routing_backend_named(const struct oracle *oracle, struct lab_view host);
/* For texts. */
struct lab_view routing_site_name(const struct oracle *oracle, struct row_id id);
struct lab_view routing_host_of(const struct oracle *oracle, struct row_id id);

struct group_order {
	struct lab_view site, group, host;
	bool is_direct;
};

/* "cluster group move [--direct] SITE GROUP HOST"; false: it is something else. */
bool routing_read_order(struct lab_view text, struct group_order *ret);

/* ---- routing-changes.c: the rules ---- */

/* Of one change of a group, of a user's site, and of a session that begins. */
void routing_check_change(
	struct oracle *oracle, const struct group_row *g, const struct group_row *old, bool is_new);
void routing_check_site_left(struct oracle *oracle, struct lab_view name, struct row_id from);
void routing_check_session(struct oracle *oracle, const struct lab_event *event);
/* Of a backend's or site's status that is another one (routing-controllers.c). */
void routing_check_status(struct oracle *oracle, struct lab_view what);
/* ---- routing-forced.c: R7 ---- */

/* What a site's row says now. Texts are borrowed. */
void routing_set_share(
	struct oracle *oracle, struct site_row *site, struct shares *shares, struct share now);
/* The user begins to move; he has left `u->site`. */
void routing_check_forced(struct oracle *oracle, struct lab_view name, const struct user_row *u);
void routing_left_by_share(struct oracle *oracle, struct user_row *u);
/* cluster_session_started */
void routing_check_stayed(struct oracle *oracle, const struct lab_event *event);
void routing_forced_finish(struct oracle *oracle);

/* Of one that ends. */
void routing_check_stay(struct oracle *oracle, const struct lab_event *event);

#endif

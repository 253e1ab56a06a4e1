/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-rows.h - the rows of GeoDB as values (palomar 1.2, 1.3).
 *
 * Purpose    One list of columns for each table: the struct, the bits that name columns, the
 *            statements of geodb.h and the bytes of localdb.h are all made from it. geodb.cql has
 *            the same tables for an operator.
 * Absent     An id of zeros, a text with ptr NULL, a number 0, CLUSTER_STATUS_NONE: what a column
 *            without a value reads as.
 * Versions   Rows about which several writers contend have version_us: the newest write timestamp
 *            of their contended columns, INT64_MIN if there is none. What follows from a row is
 *            written at version_us + 1, so that it loses against whoever decided anew meanwhile,
 *            whatever the clocks say.
 * Ownership  Texts borrow, from the arena they were read into unless somebody says otherwise.
 * Effects    None: everything here is pure.
 */
#ifndef LAB_CLUSTER_ROWS_H
#define LAB_CLUSTER_ROWS_H

#include "core/base/base.h"

#define CLUSTER_ID_SIZE 16
struct cluster_id {
	uint8_t bytes[CLUSTER_ID_SIZE]; /* uuid */
};
#define CLUSTER_ID_TEXT_SIZE 37

bool cluster_id_is_set(struct cluster_id id);
static inline bool cluster_id_eq(struct cluster_id a, struct cluster_id b)
{
	return memcmp(a.bytes, b.bytes, CLUSTER_ID_SIZE) == 0;
}
/* "6ba7b810-9dad-11d1-80b4-00c04fd430c8", either case. 0, or -1. */
int cluster_id_parse(struct lab_view text, struct cluster_id *ret);
void cluster_id_format(struct cluster_id id, char ret[CLUSTER_ID_TEXT_SIZE]);

/* Of sites and backends (palomar 1.2). */
#define CLUSTER_STATUSES(X) \
	X(ONLINE, "online") \
	X(OFFLINE, "offline") X(STANDBY, "standby") X(EVACUATE, "evacuate") /* of sites only */
enum cluster_status {
	CLUSTER_STATUS_NONE, /* NULL, or a word that is none of them: nobody is sent there */
#define X(name, text) CLUSTER_##name,
	CLUSTER_STATUSES(X)
#undef X
};
/* "" for CLUSTER_STATUS_NONE. */
const char *cluster_status_name(enum cluster_status status);
/* 0, or -1: there is no such status. */
int cluster_status_parse(struct lab_view name, enum cluster_status *ret);

/* ---- columns: X(name, kind, role) ----
 *
 * KEY        of the primary key, first.
 * MAIN       a row without it is none: what is left when somebody writes to a row that somebody
 *            else has removed (upserts make rows).
 * CONTENDED  counts for version_us.
 * PLAIN      the rest. */
#define CLUSTER_TAG(X) \
	X(id, ID, KEY) \
	X(name, TEXT, MAIN)

#define CLUSTER_SITE(X) \
	X(id, ID, KEY) \
	X(name, TEXT, MAIN) \
	X(tag, ID, PLAIN) \
	X(load_balancer, TEXT, PLAIN) \
	X(status, STATUS, CONTENDED) \
	X(force_move_id, TEXT, PLAIN) \
	X(force_move_pct, INT, PLAIN) \
	X(force_move_dest, TEXT, PLAIN) \
	X(recover_id, TEXT, PLAIN) \
	X(recover_pct, INT, PLAIN)

#define CLUSTER_REACHABILITY(X) \
	X(src_site_id, ID, KEY) \
	X(dest_site_id, ID, KEY) \
	X(reachable, INT, CONTENDED)

#define CLUSTER_BACKEND(X) \
	X(id, ID, KEY) \
	X(site_id, ID, PLAIN) \
	X(host, TEXT, MAIN) \
	X(status, STATUS, CONTENDED) \
	X(load_factor, INT, PLAIN) \
	X(force_move_id, TEXT, PLAIN) \
	X(force_move_pct, INT, PLAIN) \
	X(force_move_dest, TEXT, PLAIN)

#define CLUSTER_GROUP(X) \
	X(site_id, ID, KEY) \
	X(name, TEXT, KEY) \
	X(backend_id, ID, MAIN) \
	X(alt_backend_id, ID, CONTENDED) \
	X(moving, TEXT, CONTENDED) \
	X(sticky_users, INT, PLAIN) \
	X(sticky_backend, INT, PLAIN)

#define CLUSTER_USER(X) \
	X(username, TEXT, KEY) \
	X(site_id, ID, MAIN) \
	X(group_name, TEXT, CONTENDED) \
	X(failover_site_id, ID, CONTENDED) \
	X(failover_group, TEXT, CONTENDED) \
	X(home_site_id, ID, PLAIN) \
	X(moving_site_id, ID, CONTENDED) \
	X(moving_group, TEXT, CONTENDED) \
	X(moving_started, INT, PLAIN) \
	X(backend_id, ID, CONTENDED) \
	X(backend_since, INT, PLAIN) \
	X(metacache_last_host, TEXT, PLAIN)

#define CLUSTER_STATS(X) \
	X(site_id, ID, KEY) \
	X(dest, TEXT, KEY) \
	X(proxy, TEXT, KEY) \
	X(window_start, INT, KEY) \
	X(success, INT, PLAIN) \
	X(failure, INT, PLAIN)

#define CLUSTER_SETTING(X) \
	X(site_id, ID, KEY) \
	X(name, TEXT, KEY) \
	X(value, TEXT, MAIN)

/* X(id, struct, table) */
#define CLUSTER_TABLES(X) \
	X(TAG, cluster_tag, "tags") \
	X(SITE, cluster_site, "sites") \
	X(REACHABILITY, cluster_reachability, "site_reachability") \
	X(BACKEND, cluster_backend, "backends") \
	X(GROUP, cluster_group, "user_groups") \
	X(USER, cluster_user, "users") \
	X(STATS, cluster_stats, "proxy_dest_stats") \
	X(SETTING, cluster_setting, "cluster_settings")

#define CLUSTER_TYPE_ID struct cluster_id
#define CLUSTER_TYPE_TEXT struct lab_view
#define CLUSTER_TYPE_INT int64_t /* timestamps: milliseconds since 1970 */
#define CLUSTER_TYPE_STATUS enum cluster_status
#define CLUSTER_MEMBER(name, kind, role) CLUSTER_TYPE_##kind name;

#define X(id, tag, table) \
	struct tag { \
		CLUSTER_##id(CLUSTER_MEMBER) int64_t version_us; \
	};
CLUSTER_TABLES(X)
#undef X

/* GROUP_COLUMN(backend_id) | GROUP_COLUMN(moving): which columns of a row are meant. */
#define X_SITE(name, kind, role) CLUSTER_SITE_##name,
#define X_BACKEND(name, kind, role) CLUSTER_BACKEND_##name,
#define X_GROUP(name, kind, role) CLUSTER_GROUP_##name,
#define X_USER(name, kind, role) CLUSTER_USER_##name,
enum {
	CLUSTER_SITE(X_SITE) CLUSTER_SITE_COLUMNS
};
enum {
	CLUSTER_BACKEND(X_BACKEND) CLUSTER_BACKEND_COLUMNS
};
enum {
	CLUSTER_GROUP(X_GROUP) CLUSTER_GROUP_COLUMNS
};
enum {
	CLUSTER_USER(X_USER) CLUSTER_USER_COLUMNS
};
#undef X_SITE
#undef X_BACKEND
#undef X_GROUP
#undef X_USER
#define SITE_COLUMN(name) (UINT32_C(1) << CLUSTER_SITE_##name)
#define BACKEND_COLUMN(name) (UINT32_C(1) << CLUSTER_BACKEND_##name)
#define GROUP_COLUMN(name) (UINT32_C(1) << CLUSTER_GROUP_##name)
#define USER_COLUMN(name) (UINT32_C(1) << CLUSTER_USER_##name)
#define CLUSTER_ALL_COLUMNS UINT32_MAX

/* ---- tables as data ---- */

enum cluster_kind {
	CLUSTER_KIND_ID,
	CLUSTER_KIND_TEXT,
	CLUSTER_KIND_INT,
	CLUSTER_KIND_STATUS
};
enum cluster_role {
	CLUSTER_ROLE_KEY,
	CLUSTER_ROLE_MAIN,
	CLUSTER_ROLE_CONTENDED,
	CLUSTER_ROLE_PLAIN
};
struct cluster_column {
	const char *name;
	enum cluster_kind kind;
	enum cluster_role role;
	size_t offset; /* in the row's struct */
};

enum cluster_table_id {
#define X(id, tag, table) CLUSTER_TABLE_##id,
	CLUSTER_TABLES(X)
#undef X
	CLUSTER_TABLE_COUNT
};
#define CLUSTER_COLUMNS_MAX 16
#define CLUSTER_TEXT_MAX 1024 /* bytes of one text */

struct cluster_table {
	const char *name;
	size_t row_size;
	size_t version_offset;
	const struct cluster_column *columns;
	size_t column_count, key_count;
};
const struct cluster_table *cluster_table(enum cluster_table_id id);

/* Copies a row with its texts into the arena. */
void cluster_row_copy(
	const struct cluster_table *table, const void *row, struct lab_arena *arena, void *ret);

/* A row as bytes, keys and version included: what localdb.h keeps. The text of a row is at most
 * CLUSTER_TEXT_MAX (the buffer overflows else). */
void cluster_row_encode(const struct cluster_table *table, const void *row, struct lab_buf *out);
/* Takes one row off the reader; texts borrow from it. reader->failed if that is none. */
void cluster_row_decode(const struct cluster_table *table, struct lab_reader *reader, void *ret);

/* A user's name as everybody has to spell it: ASCII letters in lower case (palomar 4.4, 14). -1
 * LAB_INVALID: empty, too long, or with a control character. */
#define CLUSTER_USERNAME_MAX 255
int cluster_username_normalise(
	struct lab_view name, struct lab_arena *arena, struct lab_view *ret, struct lab_error *err);

#endif

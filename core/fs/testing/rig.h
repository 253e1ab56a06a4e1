/* SPDX-License-Identifier: Apache-2.0
 *
 * rig.h - for tests: two hosts of a simulated world, and in memory, shared by both, a dict and a
 * storage that can be told to fail at their n-th operation.
 *
 * The dict keeps Cassandra's rules: cells with timestamps, tombstones, and one row behind the two
 * keys of a reverse reference (obox 3.4, 9 and 10). The storage stands where a stack ends in
 * "posix:": rig_take_storage() puts it there. It has metadata and no object ids, as S3.
 *
 * Steps are counted over dict and storage together, in the order in which they begin. A step that
 * fails as UNCERTAIN was applied, was not, or is applied by rig_apply_late(). A crash ends the host
 * inside the step, before or after it was applied.
 */
#ifndef LAB_FS_TESTING_RIG_H
#define LAB_FS_TESTING_RIG_H

#include "core/dict/dict-private.h"
#include "core/fs/fs-api-private.h"
#include "core/fs/fs-shared.h"
#include "sim/world/world.h"

enum rig_fault {
	RIG_FAIL, /* certainly without effect */
	RIG_UNCERTAIN_APPLIED,
	RIG_UNCERTAIN_NOT,
	RIG_UNCERTAIN_LATE,
	RIG_CRASH_BEFORE,
	RIG_CRASH_AFTER,
	RIG_FAULT_COUNT
};
const char *rig_fault_name(enum rig_fault fault);

#define RIG_HOSTS 2
#define RIG_LATE_MAX 64

struct rig;
struct rig_host;
struct rig_dict {
	struct dict dict;
	struct rig_host *host;
	uint64_t last_us; /* monotone timestamps */
};

struct rig_host {
	struct rig *rig;
	struct world_host *host;
	struct env *env;
	struct rig_dict dict;
	struct fs_services services;
	struct fs_settings settings;
};

struct rig_counts {
	unsigned puts, gets, heads, deletes; /* of the storage */
	unsigned lookups, iterations, sets, unsets;
	unsigned iterating, iterating_max; /* at a time */
	uint64_t last_limit;               /* of the last iteration */
	unsigned events[LAB_EV_COUNT];
};

struct rig {
	struct lab_pool *pool;
	struct lab_fiber_pool *fibers;
	struct world *world;
	struct rig_host hosts[RIG_HOSTS];
	struct lab_arena *arena;  /* of the rig: outlives hosts */
	struct lab_tree *objects; /* path -> struct rig_object */
	struct lab_tree *rows;    /* key -> struct rig_row */
	struct rig_counts counts;
	uint64_t delay_ns;     /* each step takes, half of it there and half back; 1 ms */
	uint64_t listing_ns;   /* how much longer the answer to an iteration takes; 0 */
	bool has_old_map;      /* its map of buckets has no writetime() */
	char last_event[1024]; /* all but those of single files and hosts */

	/* The step at which to fail; 0: none. */
	unsigned fail_at;
	enum rig_fault fault;
	enum lab_code refusal; /* of RIG_FAIL; LAB_OK: LAB_UNAVAILABLE */
	bool fail_from_then_on;
	/* Only steps on a path or key that has this in it are counted; NULL: all. */
	const char *only;
	unsigned steps;
	bool fired;
	struct rig_late {
		char *key; /* of a row; NULL: an object */
		char *path;
		struct lab_view value;
		uint64_t timestamp_us;
		bool is_removal;
	} late[RIG_LATE_MAX];
	size_t late_count;
};

struct rig *rig_new(void);
void rig_free(struct rig **rig);

/* Boots the host (again, with its disk as it was left) with fn(arg) as its first fiber, until
 * nothing is left to happen. What fn allocated of the host it must have freed. */
void rig_run(struct rig *rig, unsigned host, env_fiber_fn fn, void *arg);
/* Boots it (again) without anything to do, for rig_continue(): one more fiber, until nothing is
 * left to happen. No shared state of stacks is made (fs_services.shared). */
void rig_boot(struct rig *rig, unsigned host);
void rig_continue(struct rig *rig, unsigned host, env_fiber_fn fn, void *arg);
/* Fails the n-th step from now on. 0: none. */
void rig_fail_at(struct rig *rig, unsigned n, enum rig_fault fault);
/* What was still on its way arrives. */
void rig_apply_late(struct rig *rig);

/* Puts the storage where the stack ends, unless it is there. */
void rig_take_storage(struct fs *fs);
/* fs_init() and rig_take_storage(). NULL and rig_error() if that fails. */
struct fs *rig_open(struct rig *rig, unsigned host, const char *uri, struct lab_error *err);

/* Behind the back of everybody. */
bool rig_has_object(const struct rig *rig, const char *path);
void rig_remove_object(struct rig *rig, const char *path);
/* Every object loses it. */
void rig_remove_metadata(struct rig *rig, const char *key);
void rig_put_object(struct rig *rig, const char *path, const char *contents);
size_t rig_object_count(const struct rig *rig);
struct lab_view rig_object(const struct rig *rig, const char *path);
/* ptr NULL: no such row, or a tombstone hides it. */
struct lab_view rig_row(const struct rig *rig, const char *key);
void rig_set_row(struct rig *rig, const char *key, const char *value);
void rig_remove_row(struct rig *rig, const char *key);
/* Rows whose key begins with the prefix. */
size_t rig_row_count(const struct rig *rig, const char *prefix);

/* What must hold whatever failed (HD-1): each forward row of a mail has its object at
 * "<prefix>/<oid>" and its reverse row. False, and the row at fault on stderr. */
bool rig_is_consistent(const struct rig *rig, const char *prefix, bool has_reverse);
size_t rig_forward_rows(const struct rig *rig);

#endif

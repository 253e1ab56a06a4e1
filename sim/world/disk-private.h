/* SPDX-License-Identifier: Apache-2.0
 *
 * disk-private.h - a host's disk: the tree of names and the files, and the two logs that say what a
 * crash may undo.
 *
 *   names   one journal for the disk, in order. What is undone after a crash is a tail of it.
 *   data    one list for each file. Each unsynced write is kept, dropped or torn on its own.
 *
 * Everything is in the world's heap: a disk outlives its host's crashes.
 */
#ifndef SIM_WORLD_DISK_PRIVATE_H
#define SIM_WORLD_DISK_PRIVATE_H

#include "sim/world/world-private.h"

#define DISK_ENTRIES_MAX 4000000
/* More unsynced writes of one file, or changes of names, than this: the oldest are written back. */
#define DISK_PENDING_MAX 256
#define DISK_JOURNAL_MAX 4096

/* A write or truncation that is not synced. */
struct pending_write {
	struct pending_write *next, *prev;
	uint64_t time_ns;
	uint64_t ordinal; /* of the disk: keys its fate */
	uint64_t offset;
	size_t len;                  /* new bytes, at `bytes` */
	size_t old_len;              /* bytes that they replaced, behind the new ones */
	uint64_t old_size, new_size; /* of the file */
	uint8_t bytes[];
};

struct inode {
	uint32_t names; /* 0 or 1, plus 1 for each journal entry that may bring it back */
	uint32_t handles;
	uint32_t handle_boots;                   /* handles of a former incarnation are gone */
	struct inode *next_orphan, *prev_orphan; /* without a name, but open */
	bool is_orphan;
	bool is_directory;
	bool is_linked; /* it is in the tree: its bytes count as used */
	int64_t mtime;
	uint8_t *data;
	uint64_t size, capacity;
	struct pending_write *writes, *writes_tail;
	unsigned write_count;
	uint64_t journal; /* sequence of the last journal entry that concerns it */
};

enum journal_kind {
	JOURNAL_CREATE, /* path -> inode; undone: removed */
	JOURNAL_UNLINK, /* undone: put back */
	JOURNAL_RENAME  /* path -> other, replaced `inode` or nothing */
};
struct journal_entry {
	struct journal_entry *next, *prev;
	enum journal_kind kind;
	uint64_t sequence, time_ns;
	char *path, *other;
	struct inode *inode; /* holds a reference: the one removed or replaced */
};

struct world_disk {
	struct world_host *host;
	struct lab_tree *tree; /* path -> struct inode; "/" is not in it */
	struct inode *orphans;
	uint64_t used;          /* bytes in files that have a name */
	uint64_t writes, syncs; /* ordinals */
	struct journal_entry *journal, *journal_tail;
	unsigned journal_count;
	uint64_t journal_sequence;
	bool is_crashed; /* world_disk_recover() has work to do */
	enum fault_disk crash_mode;
	uint64_t crash_ns;
	uint32_t crashes;
};

static inline struct lab_heap *disk_heap(const struct world_disk *disk)
{
	return disk->host->world->heap;
}
/* Whether what is unsynced is written down at all. */
static inline bool disk_is_tracked(const struct world_disk *disk)
{
	return !disk->host->settings.disk_unsynced_is_kept;
}

/* disk.c: the tree, without rules. */
struct inode *disk_find(struct world_disk *disk, const char *path);
void disk_link(struct world_disk *disk, const char *path, struct inode *inode);
/* Returns what was there; its reference goes to the caller. */
struct inode *disk_unlink(struct world_disk *disk, const char *path);
/* Moves the entry and everything below it. */
void disk_move(struct world_disk *disk, const char *from, const char *to);
void disk_unref(struct world_disk *disk, struct inode *inode);
/* What was open when the host crashed is closed. */
void disk_drop_orphans(struct world_disk *disk);
/* Sets size and makes room; new bytes are zero. Does not look at limits. */
void disk_resize(struct world_disk *disk, struct inode *inode, uint64_t size);

/* journal.c */
void journal_add(struct world_disk *disk, enum journal_kind kind, const char *path,
	const char *other, struct inode *concerned, struct inode *removed);
/* Before the file is changed: `len` new bytes at `offset`, and its size after that. */
void journal_write(struct world_disk *disk, struct inode *inode, uint64_t offset,
	struct lab_view data, uint64_t new_size);
/* The file's writes up to `ordinal` are durable, and so is every change of names up to `sequence`.
 */
void journal_sync(
	struct world_disk *disk, struct inode *inode, uint64_t ordinal, uint64_t sequence);
void journal_forget_writes(struct world_disk *disk, struct inode *inode);

#endif

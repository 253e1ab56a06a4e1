/* SPDX-License-Identifier: Apache-2.0
 *
 * journal.c - what of a disk survives a crash of the machine (README.md, "The disk").
 *
 * Names are journalled in order: a crash cuts the journal at a drawn place and undoes what is
 * behind it. Data has no order: each write is undone, then kept, torn or dropped as its own draw
 * says. Both are done when somebody next looks, so that the crash itself is O(1).
 */
#include "sim/world/disk-private.h"

/* Of 100: what becomes of a write. The rest is torn. */
#define KEEP_PERCENT 40
#define DROP_PERCENT 40

static bool is_written_back(const struct world_disk *disk, uint64_t time_ns, uint64_t now_ns)
{
	return now_ns - time_ns >= disk->host->settings.disk_writeback_ns;
}

/* ---- names ---- */

static void drop_entry(struct world_disk *disk, struct journal_entry *entry)
{
	if (entry->prev == NULL)
		disk->journal = entry->next;
	else
		entry->prev->next = entry->next;
	if (entry->next == NULL)
		disk->journal_tail = entry->prev;
	else
		entry->next->prev = entry->prev;
	disk->journal_count--;
	lab_heap_free(disk_heap(disk), entry->path);
	lab_heap_free(disk_heap(disk), entry->other);
	if (entry->inode != NULL)
		disk_unref(disk, entry->inode);
	lab_heap_free(disk_heap(disk), entry);
}

static void commit_up_to(struct world_disk *disk, uint64_t sequence)
{
	while (disk->journal != NULL && disk->journal->sequence <= sequence)
		drop_entry(disk, disk->journal);
}

static void write_back_names(struct world_disk *disk, uint64_t now_ns)
{
	while (disk->journal != NULL &&
		(disk->journal_count > DISK_JOURNAL_MAX ||
			is_written_back(disk, disk->journal->time_ns, now_ns)))
		drop_entry(disk, disk->journal);
}

void journal_add(struct world_disk *disk, enum journal_kind kind, const char *path,
	const char *other, struct inode *concerned, struct inode *removed)
{
	struct lab_heap *heap = disk_heap(disk);
	uint64_t now_ns = disk->host->world->now_ns;
	struct journal_entry *entry;

	if (!disk_is_tracked(disk)) {
		if (removed != NULL)
			disk_unref(disk, removed);
		return;
	}
	entry = lab_new(heap, struct journal_entry);
	*entry = (struct journal_entry){
		.prev = disk->journal_tail,
		.kind = kind,
		.sequence = ++disk->journal_sequence,
		.time_ns = now_ns,
		.path = lab_heap_strdup(heap, path),
		.other = other == NULL ? NULL : lab_heap_strdup(heap, other),
		.inode = removed,
	};
	if (concerned != NULL)
		concerned->journal = entry->sequence;
	if (disk->journal_tail == NULL)
		disk->journal = entry;
	else
		disk->journal_tail->next = entry;
	disk->journal_tail = entry;
	disk->journal_count++;
	write_back_names(disk, now_ns);
}

static void undo_entry(struct world_disk *disk, struct journal_entry *entry)
{
	struct inode *removed = entry->inode;

	entry->inode = NULL;
	switch (entry->kind) {
	case JOURNAL_CREATE:
		disk_unref(disk, disk_unlink(disk, entry->path));
		return;
	case JOURNAL_UNLINK:
		disk_link(disk, entry->path, removed);
		return;
	case JOURNAL_RENAME:
		disk_move(disk, entry->other, entry->path);
		if (removed != NULL)
			disk_link(disk, entry->other, removed);
		return;
	}
	lab_bug("a journal entry is one of three");
}

static void recover_names(struct world_disk *disk)
{
	struct world *world = disk->host->world;
	uint64_t kept;

	write_back_names(disk, disk->crash_ns);
	kept = lab_pick_range(
		lab_draw(world->settings.seed, "disk.names", disk->host->node.key, disk->crashes),
		0, disk->journal_count);
	while (disk->journal_count > kept) {
		struct journal_entry *last = disk->journal_tail;

		undo_entry(disk, last);
		drop_entry(disk, last);
		world->counters.lost_writes++;
	}
	commit_up_to(disk, disk->journal_sequence);
}

/* ---- data ---- */

/* The oldest one is decided: durable, or gone. */
static void drop_first_write(struct world_disk *disk, struct inode *inode)
{
	struct pending_write *write = inode->writes;

	inode->writes = write->next;
	if (write->next == NULL)
		inode->writes_tail = NULL;
	else
		write->next->prev = NULL;
	inode->write_count--;
	lab_heap_free(disk_heap(disk), write);
}

void journal_forget_writes(struct world_disk *disk, struct inode *inode)
{
	while (inode->writes != NULL)
		drop_first_write(disk, inode);
}

static void write_back_data(struct world_disk *disk, struct inode *inode, uint64_t now_ns)
{
	while (inode->writes != NULL &&
		(inode->write_count > DISK_PENDING_MAX ||
			is_written_back(disk, inode->writes->time_ns, now_ns)))
		drop_first_write(disk, inode);
}

void journal_write(struct world_disk *disk, struct inode *inode, uint64_t offset,
	struct lab_view data, uint64_t new_size)
{
	uint64_t now_ns = disk->host->world->now_ns, old_end;
	struct pending_write *write;
	size_t old_len = 0;

	if (!disk_is_tracked(disk))
		return;
	/* What is replaced, or cut off. */
	old_end = new_size < inode->size ? inode->size : LAB_MIN(offset + data.len, inode->size);
	if (old_end > offset)
		old_len = (size_t)(old_end - offset);
	write = lab_heap_alloc(disk_heap(disk), sizeof(*write) + data.len + old_len);
	*write = (struct pending_write){ .prev = inode->writes_tail,
		.time_ns = now_ns,
		.ordinal = ++disk->writes,
		.offset = offset,
		.len = data.len,
		.old_len = old_len,
		.old_size = inode->size,
		.new_size = new_size };
	if (data.len > 0)
		memcpy(write->bytes, data.ptr, data.len);
	if (old_len > 0)
		memcpy(write->bytes + data.len, inode->data + offset, old_len);
	if (inode->writes_tail == NULL)
		inode->writes = write;
	else
		inode->writes_tail->next = write;
	inode->writes_tail = write;
	inode->write_count++;
	write_back_data(disk, inode, now_ns);
}

void journal_sync(struct world_disk *disk, struct inode *inode, uint64_t ordinal, uint64_t sequence)
{
	while (inode->writes != NULL && inode->writes->ordinal <= ordinal)
		drop_first_write(disk, inode);
	commit_up_to(disk, sequence);
}

static void undo_write(
	struct world_disk *disk, struct inode *inode, const struct pending_write *write)
{
	disk_resize(disk, inode, write->old_size);
	if (write->old_len > 0)
		memcpy(inode->data + write->offset, write->bytes + write->len, write->old_len);
}

/* The first `len` of its bytes reached the disk. */
static void redo_write(
	struct world_disk *disk, struct inode *inode, const struct pending_write *write, size_t len)
{
	uint64_t end = write->offset + len;

	if (write->len == 0)
		disk_resize(disk, inode, write->new_size);
	else if (end > inode->size)
		disk_resize(disk, inode, end);
	if (len > 0)
		memcpy(inode->data + write->offset, write->bytes, len);
}

static void decide_write(
	struct world_disk *disk, struct inode *inode, const struct pending_write *write)
{
	struct world *world = disk->host->world;
	uint64_t draw =
		lab_draw(world->settings.seed, "disk.write", disk->host->node.key, write->ordinal);
	uint64_t fate = lab_pick(draw, 100);

	if (fate < KEEP_PERCENT) {
		redo_write(disk, inode, write, write->len);
	} else if (fate < KEEP_PERCENT + DROP_PERCENT || write->len < 2) {
		world->counters.lost_writes++;
	} else {
		redo_write(disk, inode, write,
			(size_t)lab_pick_range(lab_mix64(draw), 1, write->len - 1));
		world->counters.torn_writes++;
	}
}

static void recover_data(struct world_disk *disk, struct inode *inode)
{
	write_back_data(disk, inode, disk->crash_ns);
	for (struct pending_write *write = inode->writes_tail; write != NULL; write = write->prev)
		undo_write(disk, inode, write);
	for (struct pending_write *write = inode->writes; write != NULL; write = write->next)
		decide_write(disk, inode, write);
	journal_forget_writes(disk, inode);
}

/* ---- the crash ---- */

void world_disk_crash(struct world_disk *disk, enum fault_disk mode)
{
	/* A second crash before anybody looked: nothing was written in between. */
	if (disk->is_crashed && mode != FAULT_DISK_WIPE)
		return;
	disk->is_crashed = true;
	disk->crash_mode = mode;
	disk->crash_ns = disk->host->world->now_ns;
	disk->crashes++;
}

static void wipe(struct world_disk *disk)
{
	char path[ENV_PATH_MAX + 1];
	struct lab_tree_iter iter;
	struct lab_view name;
	void *inode;

	commit_up_to(disk, disk->journal_sequence);
	for (;;) {
		iter = lab_tree_iterate(disk->tree, (struct lab_view){ 0 });
		if (!lab_tree_next(&iter, &name, &inode))
			break;
		(void)lab_view_to_cstr(name, path, sizeof(path));
		disk_unref(disk, disk_unlink(disk, path));
	}
	lab_assert(disk->used == 0);
}

void world_disk_recover(struct world_disk *disk)
{
	struct lab_tree_iter iter;
	struct lab_view path;
	void *inode;

	if (!disk->is_crashed)
		return;
	disk->is_crashed = false;
	disk_drop_orphans(disk);
	if (disk->crash_mode == FAULT_DISK_WIPE) {
		wipe(disk);
		return;
	}
	if (disk->crash_mode == FAULT_DISK_KEEP)
		return;
	recover_names(disk);
	iter = lab_tree_iterate(disk->tree, (struct lab_view){ 0 });
	while (lab_tree_next(&iter, &path, &inode))
		recover_data(disk, inode);
}

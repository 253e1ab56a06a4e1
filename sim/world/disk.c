/* SPDX-License-Identifier: Apache-2.0
 *
 * disk.c - files: names in an ordered tree, contents in memory.
 */
#include "sim/world/disk-private.h"

struct world_file {
	struct env_file base;
	struct world_disk *disk;
	struct inode *inode;
	bool is_writable;
	char path[]; /* when it was opened */
};

struct world_disk *world_disk_new(struct world_host *host)
{
	struct world_disk *disk = lab_new(host->world->heap, struct world_disk);

	disk->host = host;
	disk->tree = lab_tree_new(host->world->heap, DISK_ENTRIES_MAX);
	return disk;
}

uint64_t world_disk_bytes(const struct world_disk *disk)
{
	return disk->used;
}

/* ---- the tree ---- */

struct inode *disk_find(struct world_disk *disk, const char *path)
{
	return lab_tree_get(disk->tree, lab_view_cstr(path));
}

static void link_view(struct world_disk *disk, struct lab_view path, struct inode *inode)
{
	void **slot = lab_tree_slot(disk->tree, path);

	lab_assert(slot != NULL && *slot == NULL);
	*slot = inode;
	inode->is_linked = true;
	disk->used += inode->size;
}

static struct inode *unlink_view(struct world_disk *disk, struct lab_view path)
{
	struct inode *inode = lab_tree_remove(disk->tree, path);

	lab_assert(inode != NULL);
	inode->is_linked = false;
	disk->used -= inode->size;
	return inode;
}

void disk_link(struct world_disk *disk, const char *path, struct inode *inode)
{
	link_view(disk, lab_view_cstr(path), inode);
}

struct inode *disk_unlink(struct world_disk *disk, const char *path)
{
	return unlink_view(disk, lab_view_cstr(path));
}

/* The first entry below the directory; false if it is empty. `prefix` ends with a slash. */
static bool first_below(struct world_disk *disk, struct lab_view prefix, struct lab_view *ret_path)
{
	struct lab_tree_iter iter = lab_tree_iterate(disk->tree, prefix);
	void *inode;

	return lab_tree_next(&iter, ret_path, &inode) && lab_view_starts_with(*ret_path, prefix);
}

/* "/a" -> "/a/"; "/" stays. */
static struct lab_view directory_prefix(const char *path, char out[ENV_PATH_MAX + 2])
{
	size_t len = strlen(path);

	memcpy(out, path, len);
	if (len > 1)
		out[len++] = '/';
	return lab_view_of(out, len);
}

void disk_move(struct world_disk *disk, const char *from, const char *to)
{
	char from_prefix[ENV_PATH_MAX + 2], moved[2 * ENV_PATH_MAX + 2];
	struct lab_view prefix = directory_prefix(from, from_prefix), below;
	size_t to_len = strlen(to);

	disk_link(disk, to, disk_unlink(disk, from));
	memcpy(moved, to, to_len);
	while (first_below(disk, prefix, &below)) {
		size_t tail = below.len - strlen(from);

		memcpy(moved + to_len, below.ptr + strlen(from), tail);
		link_view(disk, lab_view_of(moved, to_len + tail), unlink_view(disk, below));
	}
}

/* ---- inodes ---- */

static bool has_handles(const struct world_disk *disk, const struct inode *inode)
{
	return inode->handles > 0 && inode->handle_boots == disk->host->boots;
}

static void free_inode(struct world_disk *disk, struct inode *inode)
{
	lab_assert(!inode->is_linked);
	journal_forget_writes(disk, inode);
	lab_heap_free(disk_heap(disk), inode->data);
	lab_heap_free(disk_heap(disk), inode);
}

static void add_orphan(struct world_disk *disk, struct inode *inode)
{
	inode->is_orphan = true;
	inode->prev_orphan = NULL;
	inode->next_orphan = disk->orphans;
	if (disk->orphans != NULL)
		disk->orphans->prev_orphan = inode;
	disk->orphans = inode;
}

static void remove_orphan(struct world_disk *disk, struct inode *inode)
{
	inode->is_orphan = false;
	if (inode->prev_orphan == NULL)
		disk->orphans = inode->next_orphan;
	else
		inode->prev_orphan->next_orphan = inode->next_orphan;
	if (inode->next_orphan != NULL)
		inode->next_orphan->prev_orphan = inode->prev_orphan;
}

void disk_unref(struct world_disk *disk, struct inode *inode)
{
	lab_assert(inode->names > 0);
	if (--inode->names > 0)
		return;
	if (has_handles(disk, inode))
		add_orphan(disk, inode);
	else
		free_inode(disk, inode);
}

void disk_drop_orphans(struct world_disk *disk)
{
	while (disk->orphans != NULL) {
		struct inode *inode = disk->orphans;

		remove_orphan(disk, inode);
		free_inode(disk, inode);
	}
}

void disk_resize(struct world_disk *disk, struct inode *inode, uint64_t size)
{
	if (size > inode->capacity) {
		inode->capacity = LAB_MAX(size, LAB_MIN(inode->capacity * 2, size + (1 << 20)));
		inode->data = lab_heap_realloc(disk_heap(disk), inode->data, inode->capacity);
	}
	if (size > inode->size)
		memset(inode->data + inode->size, 0, size - inode->size);
	if (inode->is_linked)
		disk->used = disk->used - inode->size + size;
	inode->size = size;
}

static struct inode *create_inode(
	struct world_disk *disk, const char *path, bool is_directory, struct lab_error *err)
{
	struct inode *inode;

	if (lab_tree_count(disk->tree) + 1 >= DISK_ENTRIES_MAX) {
		(void)lab_fail(err, LAB_NO_SPACE, "create(%.150s) failed: No inodes left", path);
		return NULL;
	}
	inode = lab_new(disk_heap(disk), struct inode);
	inode->names = 1;
	inode->is_directory = is_directory;
	inode->mtime = env_wall_seconds(&disk->host->env);
	disk_link(disk, path, inode);
	journal_add(disk, JOURNAL_CREATE, path, NULL, inode, NULL);
	return inode;
}

static int make_parents(struct world_disk *disk, const char *path, struct lab_error *err)
{
	char parent[ENV_PATH_MAX + 1];

	for (size_t len = 1; path[len] != '\0'; len++) {
		struct inode *inode;

		if (path[len] != '/')
			continue;
		memcpy(parent, path, len);
		parent[len] = '\0';
		inode = disk_find(disk, parent);
		if (inode == NULL)
			inode = create_inode(disk, parent, true, err);
		if (inode == NULL)
			return -1;
		if (!inode->is_directory)
			return lab_fail(err, LAB_EXISTS, "%.150s is not a directory", parent);
	}
	return 0;
}

/* ---- faults ---- */

/* 0, or -1 with the injected error. *ret_delay_ns may be NULL. */
static int disk_fault(const struct world_file *file, const char *point, uint64_t *ret_delay_ns,
	struct lab_error *err)
{
	struct world_host *host = file->disk->host;
	struct sim_fault_query query = { .point = point,
		.service = "disk",
		.instance = host->node.name,
		.peer = host->node.name,
		.subject = lab_view_cstr(file->path),
		.now_ns = host->world->now_ns };
	struct sim_fault fault;
	enum lab_code code;

	if (host->world->faults == NULL)
		return 0;
	fault = fault_decide(host->world->faults, &query);
	if (fault.kind == SIM_FAULT_DELAY && ret_delay_ns != NULL)
		*ret_delay_ns += fault.delay_ns;
	if (fault.kind != SIM_FAULT_FAIL)
		return 0;
	code = strcmp(fault.code, "NO_SPACE") == 0 ? LAB_NO_SPACE : LAB_IO;
	(void)lab_fail(err, code, "%s(%.150s) failed: %s", point, file->path,
		code == LAB_NO_SPACE ? "No space left on device" : "Input/output error");
	if (err != NULL)
		err->fault_id = fault.id;
	return -1;
}

/* ---- open files ---- */

static struct world_file *file_of(struct env_file *file)
{
	return (struct world_file *)(void *)file;
}

static int file_read(struct env_file *base, uint64_t offset, void *data, size_t size, size_t *ret_n,
	struct lab_error *err)
{
	const struct inode *inode = file_of(base)->inode;
	uint64_t left = offset < inode->size ? inode->size - offset : 0;

	(void)err;
	*ret_n = (size_t)LAB_MIN((uint64_t)size, left);
	if (*ret_n > 0)
		memcpy(data, inode->data + offset, *ret_n);
	return 0;
}

/* How large the file may become. */
static uint64_t size_limit(const struct world_disk *disk, const struct inode *inode)
{
	uint64_t max = disk->host->settings.disk_max_bytes;

	return inode->size + (disk->used < max ? max - disk->used : 0);
}

static int check_writable(const struct world_file *file, struct lab_error *err)
{
	if (!file->is_writable)
		return lab_fail(err, LAB_INVALID, "write() to a file that is open for reading");
	return 0;
}

static void write_bytes(
	struct world_disk *disk, struct inode *inode, uint64_t offset, struct lab_view data)
{
	uint64_t end = offset + data.len;

	if (data.len == 0)
		return;
	journal_write(disk, inode, offset, data, LAB_MAX(end, inode->size));
	if (end > inode->size)
		disk_resize(disk, inode, end);
	memcpy(inode->data + offset, data.ptr, data.len);
	inode->mtime = env_wall_seconds(&disk->host->env);
}

static int file_write(
	struct env_file *base, uint64_t offset, struct lab_view data, struct lab_error *err)
{
	struct world_file *file = file_of(base);
	struct world_disk *disk = file->disk;
	uint64_t limit = size_limit(disk, file->inode);

	if (check_writable(file, err) < 0 || disk_fault(file, "disk.write", NULL, err) < 0)
		return -1;
	if (offset <= limit && data.len <= limit - offset) {
		write_bytes(disk, file->inode, offset, data);
		return 0;
	}
	/* As write(2) does: what fits is there. */
	if (offset < limit)
		write_bytes(
			disk, file->inode, offset, lab_view_sub(data, 0, (size_t)(limit - offset)));
	return lab_fail(err, LAB_NO_SPACE, "write() failed: No space left on device");
}

static int file_truncate(struct env_file *base, uint64_t size, struct lab_error *err)
{
	struct world_file *file = file_of(base);
	struct inode *inode = file->inode;

	if (check_writable(file, err) < 0)
		return -1;
	if (size > size_limit(file->disk, inode))
		return lab_fail(err, LAB_NO_SPACE, "ftruncate() failed: No space left on device");
	if (size == inode->size)
		return 0;
	journal_write(file->disk, inode, size, (struct lab_view){ 0 }, size);
	disk_resize(file->disk, inode, size);
	inode->mtime = env_wall_seconds(base->env);
	return 0;
}

static uint64_t sync_delay(struct world_disk *disk)
{
	const struct world_latency *latency = &disk->host->settings.disk_sync;
	uint64_t draw;

	if (latency->high_ns == latency->low_ns)
		return latency->low_ns;
	draw = lab_draw(
		disk->host->world->settings.seed, "disk.sync", disk->host->node.key, disk->syncs++);
	return lab_pick_lognormal(draw, latency->low_ns, latency->high_ns);
}

static int file_sync(struct env_file *base, struct lab_error *err)
{
	struct world_file *file = file_of(base);
	struct world_disk *disk = file->disk;
	/* What comes while the disk works is not covered. */
	uint64_t ordinal = disk->writes, sequence = file->inode->journal;
	uint64_t delay_ns = sync_delay(disk);
	int result = disk_fault(file, "disk.sync", &delay_ns, err);

	if (delay_ns > 0)
		env_sleep(base->env, delay_ns);
	if (result < 0)
		return -1;
	journal_sync(disk, file->inode, ordinal, sequence);
	return 0;
}

static uint64_t file_size(struct env_file *base)
{
	return file_of(base)->inode->size;
}

static void file_close(struct env_file *base)
{
	struct world_file *file = file_of(base);
	struct inode *inode = file->inode;

	inode->handles--;
	if (inode->handles == 0 && inode->is_orphan) {
		remove_orphan(file->disk, inode);
		free_inode(file->disk, inode);
	}
	lab_heap_free(base->env->heap, file);
}

static const struct env_file_ops file_ops = {
	.read = file_read,
	.write = file_write,
	.truncate = file_truncate,
	.sync = file_sync,
	.size = file_size,
	.close = file_close,
};

static struct env_file *make_file(
	struct world_disk *disk, struct inode *inode, const char *path, enum env_open_mode mode)
{
	struct env *env = &disk->host->env;
	size_t path_size = strlen(path) + 1;
	struct world_file *file = lab_heap_alloc(env->heap, sizeof(*file) + path_size);

	if (!has_handles(disk, inode))
		inode->handles = 0;
	inode->handle_boots = disk->host->boots;
	inode->handles++;
	file->base = (struct env_file){ .ops = &file_ops, .env = env };
	file->disk = disk;
	file->inode = inode;
	file->is_writable = mode != ENV_OPEN_READ;
	memcpy(file->path, path, path_size);
	return &file->base;
}

/* ---- the host's operations on names ---- */

static int disk_of(struct env *env, struct world_disk **ret, struct lab_error *err)
{
	*ret = world_host_of(env)->disk;
	if (*ret == NULL)
		return lab_fail(err, LAB_UNSUPPORTED, "%s has no disk", env->hostname);
	return 0;
}

static int open_inode(struct world_disk *disk, const char *path, enum env_open_mode mode,
	struct inode **ret, struct lab_error *err)
{
	struct inode *inode = disk_find(disk, path);

	if (path[1] == '\0' || (inode != NULL && inode->is_directory))
		return lab_fail(err, LAB_IO, "open(%.150s) failed: Is a directory", path);
	if (inode != NULL && mode == ENV_OPEN_CREATE)
		return lab_fail(err, LAB_EXISTS, "open(%.150s) failed: File exists", path);
	if (inode == NULL && mode == ENV_OPEN_READ)
		return lab_fail(err, LAB_NOT_FOUND, "open(%.150s) failed: No such file", path);
	if (inode == NULL) {
		if (make_parents(disk, path, err) < 0)
			return -1;
		inode = create_inode(disk, path, false, err);
		if (inode == NULL)
			return -1;
	}
	*ret = inode;
	return 0;
}

int world_file_open(struct env *env, const char *path, enum env_open_mode mode,
	struct env_file **ret, struct lab_error *err)
{
	struct world_disk *disk;
	struct inode *inode = NULL;

	if (disk_of(env, &disk, err) < 0 || open_inode(disk, path, mode, &inode, err) < 0)
		return -1;
	*ret = make_file(disk, inode, path, mode);
	if (mode == ENV_OPEN_TRUNCATE)
		(void)file_truncate(*ret, 0, NULL);
	return 0;
}

static bool is_empty_directory(struct world_disk *disk, const char *path)
{
	char prefix[ENV_PATH_MAX + 2];
	struct lab_view below;

	return !first_below(disk, directory_prefix(path, prefix), &below);
}

int world_unlink(struct env *env, const char *path, struct lab_error *err)
{
	struct world_disk *disk;
	struct inode *inode;

	if (disk_of(env, &disk, err) < 0)
		return -1;
	inode = disk_find(disk, path);
	if (inode == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "unlink(%.150s) failed: No such file", path);
	if (inode->is_directory && !is_empty_directory(disk, path))
		return lab_fail(err, LAB_EXISTS, "rmdir(%.150s) failed: Directory not empty", path);
	journal_add(disk, JOURNAL_UNLINK, path, NULL, inode, disk_unlink(disk, path));
	return 0;
}

static int check_target(struct world_disk *disk, const struct inode *from, const char *to,
	const struct inode *replaced, struct lab_error *err)
{
	if (replaced == NULL)
		return 0;
	if (from->is_directory != replaced->is_directory)
		return lab_fail(err, LAB_EXISTS, "rename() failed: %.150s is %s", to,
			replaced->is_directory ? "a directory" : "not a directory");
	if (replaced->is_directory && !is_empty_directory(disk, to))
		return lab_fail(err, LAB_EXISTS, "rename() failed: %.150s is not empty", to);
	return 0;
}

static bool is_below(const char *path, const char *directory)
{
	char prefix[ENV_PATH_MAX + 2];

	return lab_view_starts_with(lab_view_cstr(path), directory_prefix(directory, prefix));
}

int world_rename(struct env *env, const char *from, const char *to, struct lab_error *err)
{
	struct world_disk *disk;
	struct inode *inode, *replaced;

	if (disk_of(env, &disk, err) < 0)
		return -1;
	inode = disk_find(disk, from);
	if (inode == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "rename(%.150s) failed: No such file", from);
	if (strcmp(from, to) == 0)
		return 0;
	if (is_below(to, from) || to[1] == '\0')
		return lab_fail(err, LAB_INVALID, "rename(%.100s) failed: into itself", from);
	replaced = disk_find(disk, to);
	if (check_target(disk, inode, to, replaced, err) < 0 || make_parents(disk, to, err) < 0)
		return -1;
	if (replaced != NULL)
		(void)disk_unlink(disk, to);
	disk_move(disk, from, to);
	journal_add(disk, JOURNAL_RENAME, from, to, inode, replaced);
	return 0;
}

int world_stat(struct env *env, const char *path, struct env_stat *ret, struct lab_error *err)
{
	struct world_disk *disk;
	const struct inode *inode;

	if (disk_of(env, &disk, err) < 0)
		return -1;
	if (path[1] == '\0') {
		*ret = (struct env_stat){ .is_directory = true };
		return 0;
	}
	inode = disk_find(disk, path);
	if (inode == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "stat(%.150s) failed: No such file", path);
	*ret = (struct env_stat){
		.size = inode->size, .mtime = inode->mtime, .is_directory = inode->is_directory
	};
	return 0;
}

/* ---- listing ---- */

struct listing {
	struct world_disk *disk;
	struct lab_view prefix;
	struct lab_tree_iter iter;
	char skip[ENV_PATH_MAX + 2];
};

static void listing_start(struct listing *listing)
{
	listing->iter = lab_tree_iterate(listing->disk->tree, listing->prefix);
}

/* Names directly below the prefix, in byte order. What is below a sub-directory is jumped over. */
static bool listing_next(struct listing *listing, struct lab_view *ret_name)
{
	struct lab_view path;
	size_t slash;
	void *inode;

	while (lab_tree_next(&listing->iter, &path, &inode)) {
		if (!lab_view_starts_with(path, listing->prefix))
			return false;
		*ret_name = lab_view_skip(path, listing->prefix.len);
		slash = lab_view_find_byte(*ret_name, '/');
		if (slash == SIZE_MAX)
			return true;
		slash += listing->prefix.len;
		memcpy(listing->skip, path.ptr, slash);
		listing->skip[slash] = '/' + 1;
		listing->iter = lab_tree_iterate(
			listing->disk->tree, lab_view_of(listing->skip, slash + 1));
	}
	return false;
}

int world_list(struct env *env, const char *path, size_t max_entries, struct lab_arena *arena,
	struct lab_view **ret_names, size_t *ret_count, struct lab_error *err)
{
	char prefix[ENV_PATH_MAX + 2];
	struct listing listing;
	struct lab_view name;
	size_t count = 0;

	if (disk_of(env, &listing.disk, err) < 0)
		return -1;
	listing.prefix = directory_prefix(path, prefix);
	for (listing_start(&listing); listing_next(&listing, &name); count++) {
		if (count == max_entries)
			return lab_fail(err, LAB_LIMIT, "%.150s has more than %zu entries", path,
				max_entries);
	}
	*ret_names = lab_arena_array(arena, struct lab_view, count);
	*ret_count = 0;
	for (listing_start(&listing); *ret_count < count && listing_next(&listing, &name);)
		(*ret_names)[(*ret_count)++] = lab_arena_copy(arena, name);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * live-disk.c - a directory of the machine as a host's disk. Paths come clean from env.c; they are
 * nevertheless walked part by part, so that no link can lead out of the root.
 */
#include "core/env/live/live-private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_MODE 0700
#define FILE_MODE 0600

struct live_file {
	struct env_file base;
	struct live_host *host;
	struct live_file *prev, *next;
	int fd;
	int directory_fd; /* to sync with the first sync, of a file that is new; else -1 */
};

static const struct env_file_ops file_ops;

/* ---- errors ---- */

static enum lab_code disk_code(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return LAB_NOT_FOUND;
	case EEXIST:
	case ENOTEMPTY:
		return LAB_EXISTS;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return LAB_NO_SPACE;
	case ELOOP:
	case EACCES:
	case EPERM:
		return LAB_DENIED;
	case EMFILE:
	case ENFILE:
		return LAB_LIMIT;
	default:
		return LAB_IO;
	}
}

static int disk_fail(struct lab_error *err, int error, const char *what, const char *path)
{
	return lab_fail(err, disk_code(error), "%s %.160s: %s", what, path,
		uv_err_name(uv_translate_sys_error(error)));
}

/* ---- walking ---- */

/* One part of a path that leads to a directory. O_NOFOLLOW: a link is not one. */
static int walk_into(int from, const char *name, bool create)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(from, name, flags);

	if (fd >= 0 || errno != ENOENT || !create)
		return fd;
	if (mkdirat(from, name, DIRECTORY_MODE) < 0 && errno != EEXIST)
		return -1;
	return openat(from, name, flags);
}

/* The directory that holds the last part of `path`, as a descriptor of the caller's, and that
 * part. "/" is "." in the root. -1 with errno. */
static int walk_to_parent(
	struct live_host *host, const char *path, bool create, char leaf[ENV_PATH_MAX + 8])
{
	struct lab_view rest = lab_view_skip(lab_view_cstr(path), 1), part;
	int fd = fcntl(host->root_fd, F_DUPFD_CLOEXEC, 0);

	while (fd >= 0 && lab_view_split(&rest, '/', &part)) {
		int next, error;

		if (lab_view_to_cstr(part.len == 0 ? LAB_VIEW(".") : part, leaf, ENV_PATH_MAX + 8) <
				0 ||
			lab_view_eq(part, LAB_VIEW(".."))) {
			close(fd);
			errno = ELOOP;
			return -1;
		}
		if (rest.ptr == NULL)
			break;
		next = walk_into(fd, leaf, create);
		error = errno;
		close(fd);
		errno = error;
		fd = next;
	}
	return fd;
}

/* ---- open files ---- */

static int open_leaf(int directory, const char *leaf, enum env_open_mode mode, bool *ret_created)
{
	const int common = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	int flags = O_RDWR | common | (mode == ENV_OPEN_TRUNCATE ? O_TRUNC : 0);
	int fd;

	*ret_created = false;
	if (mode == ENV_OPEN_READ)
		return openat(directory, leaf, O_RDONLY | common);
	if (mode != ENV_OPEN_CREATE) {
		fd = openat(directory, leaf, flags);
		if (fd >= 0 || errno != ENOENT)
			return fd;
	}
	fd = openat(directory, leaf, flags | O_CREAT | O_EXCL, FILE_MODE);
	if (fd < 0 && errno == EEXIST && mode != ENV_OPEN_CREATE)
		return openat(directory, leaf, flags);
	*ret_created = fd >= 0;
	return fd;
}

static bool fd_is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int open_checked(int directory, const char *leaf, enum env_open_mode mode, bool *ret_created)
{
	int fd = open_leaf(directory, leaf, mode, ret_created);

	if (fd >= 0 && !fd_is_file(fd)) {
		close(fd);
		errno = EISDIR;
		return -1;
	}
	return fd;
}

int live_file_open(struct env *env, const char *path, enum env_open_mode mode,
	struct env_file **ret, struct lab_error *err)
{
	struct live_host *host = live_host_of(env);
	char leaf[ENV_PATH_MAX + 8];
	int directory = walk_to_parent(host, path, mode != ENV_OPEN_READ, leaf);
	struct live_file *file;
	bool created;
	int fd, error;

	if (directory < 0)
		return disk_fail(err, errno, "open", path);
	fd = open_checked(directory, leaf, mode, &created);
	error = errno;
	if (fd < 0 || !created || host->live->no_sync) {
		close(directory);
		directory = -1;
	}
	if (fd < 0)
		return disk_fail(err, error, "open", path);
	file = lab_new(host->live->heap, struct live_file);
	file->base.ops = &file_ops;
	file->base.env = env;
	file->host = host;
	file->fd = fd;
	file->directory_fd = directory;
	LIVE_LIST_ADD(host->files, file);
	*ret = &file->base;
	return 0;
}

static struct live_file *file_of(struct env_file *file)
{
	return (struct live_file *)file;
}

static void file_close(struct env_file *base)
{
	struct live_file *file = file_of(base);

	LIVE_LIST_REMOVE(file->host->files, file);
	close(file->fd);
	if (file->directory_fd >= 0)
		close(file->directory_fd);
	lab_heap_free(file->host->live->heap, file);
}

static int file_read(struct env_file *base, uint64_t offset, void *data, size_t size, size_t *ret_n,
	struct lab_error *err)
{
	size_t n = 0;

	while (n < size) {
		ssize_t part = pread(
			file_of(base)->fd, (uint8_t *)data + n, size - n, (off_t)(offset + n));

		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0)
			return disk_fail(err, errno, "read", "");
		if (part == 0)
			break;
		n += (size_t)part;
	}
	*ret_n = n;
	return 0;
}

static int file_write(
	struct env_file *base, uint64_t offset, struct lab_view data, struct lab_error *err)
{
	while (data.len > 0) {
		ssize_t part = pwrite(file_of(base)->fd, data.ptr, data.len, (off_t)offset);

		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0)
			return disk_fail(err, errno, "write", "");
		data = lab_view_skip(data, (size_t)part);
		offset += (uint64_t)part;
	}
	return 0;
}

static int file_truncate(struct env_file *base, uint64_t size, struct lab_error *err)
{
	if (ftruncate(file_of(base)->fd, (off_t)size) < 0)
		return disk_fail(err, errno, "truncate", "");
	return 0;
}

/* A new file is not safe before its name is. */
static int file_sync(struct env_file *base, struct lab_error *err)
{
	struct live_file *file = file_of(base);
	int rc = live_job_sync(file->host, file->fd);

	if (rc == 0 && file->directory_fd >= 0) {
		rc = live_job_sync(file->host, file->directory_fd);
		close(file->directory_fd);
		file->directory_fd = -1;
	}
	return rc < 0 ? lab_fail(err, LAB_IO, "sync: %s", uv_err_name(rc)) : 0;
}

static uint64_t file_size(struct env_file *base)
{
	struct stat st;

	lab_assert(fstat(file_of(base)->fd, &st) == 0);
	return (uint64_t)st.st_size;
}

void live_files_drop(struct live_host *host)
{
	while (host->files != NULL)
		file_close(&host->files->base);
}

static const struct env_file_ops file_ops = {
	.read = file_read,
	.write = file_write,
	.truncate = file_truncate,
	.sync = file_sync,
	.size = file_size,
	.close = file_close,
};

/* ---- names ---- */

int live_unlink(struct env *env, const char *path, struct lab_error *err)
{
	char leaf[ENV_PATH_MAX + 8];
	int directory = walk_to_parent(live_host_of(env), path, false, leaf);
	int rc, error;

	if (directory < 0)
		return disk_fail(err, errno, "unlink", path);
	rc = unlinkat(directory, leaf, 0);
	if (rc < 0 && (errno == EISDIR || errno == EPERM))
		rc = unlinkat(directory, leaf, AT_REMOVEDIR);
	error = errno;
	close(directory);
	return rc < 0 ? disk_fail(err, error, "unlink", path) : 0;
}

/* Both directories, so that neither the old name comes back nor the new one goes. */
static int rename_sync(struct live_host *host, int from, int to, struct lab_error *err)
{
	struct stat a, b;
	int rc = live_job_sync(host, to);

	if (rc == 0 && fstat(from, &a) == 0 && fstat(to, &b) == 0 &&
		(a.st_ino != b.st_ino || a.st_dev != b.st_dev))
		rc = live_job_sync(host, from);
	return rc < 0 ? lab_fail(err, LAB_IO, "sync after rename: %s", uv_err_name(rc)) : 0;
}

static int rename_between(struct live_host *host, int from_directory, const char *from_leaf,
	const char *to, struct lab_error *err)
{
	char to_leaf[ENV_PATH_MAX + 8];
	int to_directory = walk_to_parent(host, to, true, to_leaf);
	int result;

	if (to_directory < 0)
		return disk_fail(err, errno, "rename to", to);
	if (renameat(from_directory, from_leaf, to_directory, to_leaf) < 0)
		result = disk_fail(err, errno, "rename to", to);
	else
		result = rename_sync(host, from_directory, to_directory, err);
	close(to_directory);
	return result;
}

int live_rename(struct env *env, const char *from, const char *to, struct lab_error *err)
{
	struct live_host *host = live_host_of(env);
	char leaf[ENV_PATH_MAX + 8];
	struct stat st;
	int directory = walk_to_parent(host, from, false, leaf);
	int result;

	if (directory < 0)
		return disk_fail(err, errno, "rename", from);
	/* Looked at first: a missing source must not leave the target's parents behind. */
	if (fstatat(directory, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
		result = disk_fail(err, errno, "rename", from);
	else
		result = rename_between(host, directory, leaf, to, err);
	close(directory);
	return result;
}

int live_stat(struct env *env, const char *path, struct env_stat *ret, struct lab_error *err)
{
	struct live_host *host = live_host_of(env);
	char leaf[ENV_PATH_MAX + 8];
	int directory = walk_to_parent(host, path, false, leaf);
	struct stat st;
	int rc, error;

	if (directory < 0)
		return disk_fail(err, errno, "stat", path);
	rc = fstatat(directory, leaf, &st, AT_SYMLINK_NOFOLLOW);
	error = errno;
	close(directory);
	if (rc < 0)
		return disk_fail(err, error, "stat", path);
	ret->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	ret->mtime = (int64_t)st.st_mtim.tv_sec + host->wall_offset_us / 1000000;
	ret->is_directory = S_ISDIR(st.st_mode);
	return 0;
}

/* ---- listing ---- */

/* Heap sort: no memory but the array's, and names are never equal. */
static void names_sift(struct lab_view *names, size_t at, size_t count)
{
	for (;;) {
		size_t child = 2 * at + 1;
		struct lab_view swap;

		if (child >= count)
			return;
		if (child + 1 < count && lab_view_cmp(names[child], names[child + 1]) < 0)
			child++;
		if (lab_view_cmp(names[at], names[child]) >= 0)
			return;
		swap = names[at];
		names[at] = names[child];
		names[child] = swap;
		at = child;
	}
}

static void names_sort(struct lab_view *names, size_t count)
{
	for (size_t i = count / 2; i-- > 0;)
		names_sift(names, i, count);
	for (size_t end = count; end-- > 1;) {
		struct lab_view swap = names[0];

		names[0] = names[end];
		names[end] = swap;
		names_sift(names, 0, end);
	}
}

struct listing {
	struct lab_arena *arena;
	struct lab_view *names;
	size_t count, capacity, max_entries;
};

static void listing_add(struct listing *listing, const char *name)
{
	if (listing->count == listing->capacity) {
		size_t capacity = LAB_MAX(listing->capacity * 2, 32);
		struct lab_view *names = lab_arena_array(listing->arena, struct lab_view, capacity);

		if (listing->count > 0)
			memcpy(names, listing->names, listing->count * sizeof(*names));
		listing->names = names;
		listing->capacity = capacity;
	}
	listing->names[listing->count++] = lab_arena_copy(listing->arena, lab_view_cstr(name));
}

static int listing_read(struct listing *listing, DIR *directory, struct lab_error *err)
{
	struct dirent *entry;

	for (;;) {
		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
			break;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (listing->count == listing->max_entries)
			return lab_fail(err, LAB_LIMIT, "directory has more than %zu entries",
				listing->max_entries);
		listing_add(listing, entry->d_name);
	}
	return errno == 0 ? 0 : disk_fail(err, errno, "list", "");
}

/* A descriptor of the directory itself; -1 with errno. */
static int list_open(struct live_host *host, const char *path)
{
	char leaf[ENV_PATH_MAX + 8];
	int parent = walk_to_parent(host, path, false, leaf);
	int fd, error;

	if (parent < 0)
		return -1;
	fd = walk_into(parent, leaf, false);
	error = errno;
	close(parent);
	errno = error;
	return fd;
}

int live_list(struct env *env, const char *path, size_t max_entries, struct lab_arena *arena,
	struct lab_view **ret_names, size_t *ret_count, struct lab_error *err)
{
	struct listing listing = { .arena = arena, .max_entries = max_entries };
	int fd = list_open(live_host_of(env), path);
	DIR *directory = NULL;
	int result = 0;

	if (fd >= 0) {
		directory = fdopendir(fd);
		if (directory == NULL) {
			result = disk_fail(err, errno, "list", path);
			close(fd);
			return result;
		}
		result = listing_read(&listing, directory, err);
		(void)closedir(directory);
	} else if (errno != ENOENT) {
		return disk_fail(err, errno, "list", path);
	}
	if (result < 0)
		return -1;
	names_sort(listing.names, listing.count);
	*ret_names = listing.names;
	*ret_count = listing.count;
	return 0;
}

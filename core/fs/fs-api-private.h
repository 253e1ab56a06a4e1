/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-api-private.h - what a driver implements. Contracts are those of fs-api.h; a driver embeds
 * `struct fs` and `struct fs_file` as first members. One file for each driver: fs-<name>.c.
 */
#ifndef LAB_FS_API_PRIVATE_H
#define LAB_FS_API_PRIVATE_H

#include "core/fs/fs-api.h"

struct fs_driver {
	const char *name;
	/* `args` is what follows "<driver>:"; a wrapper calls fs_init() for its parent. Allocates
	 * from settings->env->heap. */
	int (*init)(const struct fs_driver *driver, struct lab_view args,
		const struct fs_settings *settings, struct fs **ret, struct lab_error *err);
	void (*deinit)(struct fs *fs);
	uint32_t (*properties)(struct fs *fs);
	void (*set_reason)(struct fs *fs, const char *reason);

	struct fs_file *(*file_open)(struct fs *fs, struct lab_view path, enum fs_open_mode mode);
	void (*file_close)(struct fs_file *file);
	void (*set_metadata)(struct fs_file *file, const char *key, struct lab_view value);
	int (*get_metadata)(struct fs_file *file, const char *key, struct lab_arena *arena,
		struct lab_view *ret, struct lab_error *err);
	int (*read)(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
		struct lab_view *ret, struct lab_error *err);
	int (*write)(struct fs_file *file, struct lab_view contents, struct lab_error *err);
	int (*exists)(struct fs_file *file, struct lab_error *err);
	int (*stat)(struct fs_file *file, uint64_t *ret_size, struct lab_error *err);
	int (*get_nlinks)(struct fs_file *file, unsigned *ret, struct lab_error *err);
	int (*copy)(struct fs_file *from, struct fs_file *to, struct lab_error *err);
	int (*rename)(struct fs_file *from, struct fs_file *to, struct lab_error *err);
	int (*delete_file)(struct fs_file *file, struct lab_error *err);
	int (*delete_many)(struct fs_file **files, size_t count, struct lab_error *results,
		struct lab_error *err);
	int (*iter)(struct fs *fs, struct lab_view path, uint32_t flags, size_t max_entries,
		struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
		struct lab_error *err);
	/* NULL: fs_walk() cannot be done. */
	int (*walk)(struct fs *fs, struct lab_view path, fs_walk_fn fn, void *ctx,
		struct lab_error *err);
};

struct fs {
	const struct fs_driver *driver;
	struct fs_settings settings;
	struct fs *parent;
	struct fs_stats stats;
	unsigned open_files;
};

struct fs_metadata_item;

struct fs_file {
	struct fs *fs;
	struct lab_view path; /* the file's own copy */
	enum fs_open_mode mode;
	struct fs_metadata_item *metadata; /* see fs_file_metadata_next() */
	size_t metadata_count;
	struct fs_file *parent; /* of the parent fs, or NULL */
};

/* For drivers. The value of a key that is known without asking the storage (set by
 * fs_set_metadata(), or found by an earlier read); ptr NULL if there is none. */
struct lab_view fs_file_metadata(const struct fs_file *file, const char *key);
/* Remembers a value in this file, without telling the parent. Copies. */
void fs_file_metadata_store(struct fs_file *file, const char *key, struct lab_view value);
/* Goes through all known values in the order in which they were set:
 *   const struct fs_metadata_item *item = file->metadata;
 *   while (fs_file_metadata_next(&item, &key, &value)) ... */
bool fs_file_metadata_next(
	const struct fs_metadata_item **item, struct lab_view *ret_key, struct lab_view *ret_value);
/* The final path, once the driver knows it (CREATE_UNIQUE_128). Copies. */
void fs_file_set_path(struct fs_file *file, struct lab_view path);

/* As fs_init(), for a driver below another: its name ends at ':' only (obox 1.2). */
int fs_init_parent(struct lab_view uri, const struct fs_settings *settings, struct fs **ret,
	struct lab_error *err);

/* What a wrapper does where it has nothing of its own to do: pass on to the parent. `file->parent`
 * is opened by fs_wrapper_file_open() with the same path and mode. */
int fs_wrapper_init(struct fs *fs, struct lab_view parent_uri, const struct fs_settings *settings,
	struct lab_error *err);
void fs_wrapper_deinit(struct fs *fs);
uint32_t fs_wrapper_properties(struct fs *fs);
void fs_wrapper_set_reason(struct fs *fs, const char *reason);
struct fs_file *fs_wrapper_file_open(struct fs *fs, struct lab_view path, enum fs_open_mode mode);
void fs_wrapper_file_close(struct fs_file *file);
void fs_wrapper_set_metadata(struct fs_file *file, const char *key, struct lab_view value);
int fs_wrapper_get_metadata(struct fs_file *file, const char *key, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err);
int fs_wrapper_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err);
int fs_wrapper_write(struct fs_file *file, struct lab_view contents, struct lab_error *err);
int fs_wrapper_exists(struct fs_file *file, struct lab_error *err);
int fs_wrapper_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err);
int fs_wrapper_get_nlinks(struct fs_file *file, unsigned *ret, struct lab_error *err);
int fs_wrapper_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err);
int fs_wrapper_rename(struct fs_file *from, struct fs_file *to, struct lab_error *err);
int fs_wrapper_delete(struct fs_file *file, struct lab_error *err);
int fs_wrapper_delete_many(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err);
int fs_wrapper_iter(struct fs *fs, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err);
/* For a driver without a bulk request: one delete after the other. */
int fs_delete_one_by_one(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err);

/* The same with settings.max_parallel_deletes requests at a time. */
int fs_delete_side_by_side(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err);
/* 0 if all results are LAB_OK, else -1 and the first that is not. */
int fs_first_failure(const struct lab_error *results, size_t count, struct lab_error *err);

extern const struct fs_driver fs_driver_fscache, fs_driver_fts_cache, fs_driver_compress,
	fs_driver_dictmap, fs_driver_s3, fs_driver_aws_s3, fs_driver_posix, fs_driver_randomfail,
	fs_driver_sproxyd, fs_driver_scality;

#endif

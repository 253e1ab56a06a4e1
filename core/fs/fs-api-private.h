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
};

struct fs {
	const struct fs_driver *driver;
	struct fs_settings settings;
	struct fs *parent;
	struct fs_stats stats;
	unsigned open_files;
};

struct fs_file {
	struct fs *fs;
	struct lab_view path; /* the file's own copy */
	enum fs_open_mode mode;
	struct lab_map *metadata; /* key -> struct lab_view*, made at first use; heap-owned copies */
	struct fs_file *parent;	  /* of the parent fs, or NULL */
};

/* For drivers: a value set by fs_set_metadata() or found by a read; ptr NULL if there is none. */
struct lab_view fs_file_metadata(const struct fs_file *file, const char *key);

extern const struct fs_driver fs_driver_fscache, fs_driver_fts_cache, fs_driver_compress,
	fs_driver_dictmap, fs_driver_s3, fs_driver_aws_s3, fs_driver_posix, fs_driver_randomfail;

#endif

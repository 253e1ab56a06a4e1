/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-api.h - lib-fs: everything that obox does to storage goes through this interface (obox 1.1).
 *
 * Purpose    A stack of drivers made from one URI ("fscache:...:compress:zstd:3:dictmap:... ;
 *            s3:...") that stores whole objects with metadata under paths.
 * Blocking   Every operation blocks the calling fiber (env.h). Parallelism is several fibers.
 * Ownership  A file belongs to its fs and must be closed before it. Results borrow from the arena
 *            that the caller passes. An fs belongs to one user's session on one host.
 * Contents   Written and read whole: nothing is visible before fs_write() returns 0, and there is
 *            no append (obox stores immutable objects).
 * Errors     Codes that callers rely on: LAB_NOT_FOUND (ENOENT), LAB_EXISTS, LAB_NO_SPACE, LAB_IO,
 *            and LAB_UNCERTAIN for fs_write(), fs_copy(), fs_delete(), fs_rename(): it may or may
 *            not have happened, now or later.
 */
#ifndef LAB_FS_API_H
#define LAB_FS_API_H

#include "core/env/env.h"

struct fs;
struct fs_file;

/* What a driver can do; a wrapper passes on what its parent can. */
enum fs_properties {
	FS_PROPERTY_METADATA = 1 << 0,
	FS_PROPERTY_FASTCOPY = 1 << 1, /* fs_copy() moves no contents */
	FS_PROPERTY_RENAME = 1 << 2,
	FS_PROPERTY_STAT = 1 << 3,
	FS_PROPERTY_ITER = 1 << 4,
	FS_PROPERTY_RELIABLEITER = 1 << 5,
	FS_PROPERTY_OBJECTIDS = 1 << 6,
	FS_PROPERTY_COPY_METADATA = 1 << 7,
	FS_PROPERTY_DIRECTORIES = 1 << 8,
	FS_PROPERTY_NLINKS = 1 << 9 /* fs_get_nlinks() works */
};

enum fs_open_mode {
	FS_OPEN_READONLY,          /* LAB_NOT_FOUND when used, if missing */
	FS_OPEN_CREATE,            /* LAB_EXISTS if present */
	FS_OPEN_CREATE_UNIQUE_128, /* the path is a directory; the driver makes a GUID-128 name */
	FS_OPEN_REPLACE
};

/* The fault-injection vocabulary, and the counters (obox 1.1). */
#define FS_OPS(X) \
	X(metadata) \
	X(prefetch) \
	X(read) \
	X(write) \
	X(lock) \
	X(exists) \
	X(stat) \
	X(copy) \
	X(rename) \
	X(delete) \
	X(iter)
enum fs_op {
#define X(name) FS_OP_##name,
	FS_OPS(X)
#undef X
	FS_OP_COUNT
};
const char *fs_op_name(enum fs_op op);

struct fs_stats {
	uint64_t count[FS_OP_COUNT];
	uint64_t write_bytes, read_bytes;
};

/* Metadata keys that begin with this stay between drivers, they never reach the storage. */
#define FS_METADATA_INTERNAL_PREFIX ":/X-Dovecot-fs-api-"
/* Hex object id: there after a write; may be set before a read to save the lookup by name. */
#define FS_METADATA_OBJECTID FS_METADATA_INTERNAL_PREFIX "ObjectID"
/* The path as the outermost caller knows it, when a driver below sees only an object id. */
#define FS_METADATA_ORIG_PATH FS_METADATA_INTERNAL_PREFIX "OrigPath"

/* Set before a write: part of the newest FTS triplet, which fts-cache keeps in the metacache. */
#define FS_METADATA_NEWEST FS_METADATA_INTERNAL_PREFIX "Newest"

/* Which row a name came from, as FS_ITER_VERSIONS or a write told it. Set before a delete it saves
 * the look for the row, and what was written in its place since stays. */
#define FS_METADATA_VERSION FS_METADATA_INTERNAL_PREFIX "Version"
/* Of a mail: the number of the bucket that it is in. Of a bundle: "<write time in us>@<host>", the
 * host's row, which its next bundle overwrites (0 us: as it is); or: */
#define FS_VERSION_ONCE "once" /* a row of that name, which nothing overwrites */
#define FS_VERSION_GONE "gone" /* the row says another name by now: only the object is deleted */

/* Set before a write: what a new object id says beside its name, two hex digits of
 * FS_OBJECTID_EXTRA_* (HD-3). Who makes no ids of that kind takes no notice. */
#define FS_METADATA_OBJECTID_EXTRA FS_METADATA_INTERNAL_PREFIX "ObjectIDExtra"
#define FS_OBJECTID_EXTRA_ATTACHMENT 0x01
#define FS_OBJECTID_EXTRA_NO_ATTACHMENT 0x02
#define FS_OBJECTID_EXTRA_NEW_ID 0x80
/* The same in an id: 0 if it says nothing. */
unsigned fs_objectid_extra(const uint8_t *oid, size_t len);

/* Set before a delete by who knows how many references to the object there are: nobody counts
 * (obox_track_copy_flags). */
#define FS_METADATA_REFERENCES FS_METADATA_INTERNAL_PREFIX "References"
#define FS_REFERENCES_LAST "last" /* none but this */
#define FS_REFERENCES_MORE "more"
/* Set before fs_get_nlinks() by who has just deleted some of the references: their names, with a
 * space between them. They are not counted although a row of theirs may be left. */
#define FS_METADATA_DELETED FS_METADATA_INTERNAL_PREFIX "Deleted"

/* What the caller of a stack provides: everything a driver needs from around it. */
struct fs_settings {
	struct env *env;
	const char *username;          /* %u, already checked */
	const char *session_id;        /* for X-Dovecot-Session-Id */
	const char *temp_dir;          /* mail_temp_dir */
	const char *root_path;         /* the user's home (%h): relative cache paths live here */
	unsigned max_parallel_deletes; /* obox_max_parallel_deletes; 0 is 1 */
	struct fs_services *services;  /* borrowed; what the process provides, below */
};

/* Shared by all users of one backend: named dicts, fs-auth. */
struct dict;
struct aws_credentials_source;
struct fs_services {
	/* "proxy:dict-async:cassandra": the dict `name` behind the socket, or NULL + error. */
	struct dict *(*dict_open)(
		void *ctx, struct lab_view socket, struct lab_view name, struct lab_error *err);
	/* Credentials of an IAM role: the fs-auth process. */
	struct aws_credentials_source *(*auth_open)(
		void *ctx, struct lab_view auth_host, struct lab_view role, struct lab_error *err);
	void *ctx;
	struct fs_shared *shared; /* state shared by the stacks of this process: fs-shared.h */
};

/* Builds the stack. `uri` has its %variables expanded already. Errors are prefixed with
 * "<driver>: " and name the part at fault: LAB_INVALID. */
int fs_init(struct lab_view uri, const struct fs_settings *settings, struct fs **ret,
	struct lab_error *err);
/* All files must be closed. NULLs the pointer; accepts NULL. */
void fs_deinit(struct fs **fs);

uint32_t fs_get_properties(struct fs *fs);
const char *fs_driver_name(const struct fs *fs);
/* The next driver below, or NULL. */
struct fs *fs_parent(struct fs *fs);
/* Why obox does what it does next ("mailbox rescan"): the X-Dovecot-Reason header. Borrowed until
 * set again; NULL for none. */
void fs_set_reason(struct fs *fs, const char *reason);
const struct fs_stats *fs_get_stats(const struct fs *fs);

/* Never blocks, never fails: errors come with the first use. */
struct fs_file *fs_file_open(struct fs *fs, struct lab_view path, enum fs_open_mode mode);
/* NULLs the pointer; accepts NULL. A file that was written but not finished is not there. */
void fs_file_close(struct fs_file **file);
/* For CREATE_UNIQUE_128: the final path after a write. */
struct lab_view fs_file_path(const struct fs_file *file);

/* Before a write; replaces an earlier value of the key. Copies both. */
void fs_set_metadata(struct fs_file *file, const char *key, struct lab_view value);
/* 1 found, 0 no such key, -1. Reads it from the storage if it is not known yet. */
int fs_get_metadata(struct fs_file *file, const char *key, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err);

/* All that is kept beside the object, without the internal keys, each key once, in the order in
 * which the storage names them. Asks the storage once if it was not asked yet. */
struct fs_metadata {
	struct lab_view key, value;
};
int fs_list_metadata(struct fs_file *file, struct lab_arena *arena, struct fs_metadata **ret_items,
	size_t *ret_count, struct lab_error *err);

int fs_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes, struct lab_view *ret,
	struct lab_error *err);
/* The same for who gives an object up whose content makes no sense: LAB_CORRUPT and LAB_LIMIT are
 * about the content then. A request that was refused as such (a redirect that leads
 * nowhere), and an answer that was altered on its way, are LAB_UNAVAILABLE. */
int fs_read_content(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err);
/* May be UNCERTAIN. */
int fs_write(struct fs_file *file, struct lab_view contents, struct lab_error *err);
/* 1 yes, 0 no, -1. */
int fs_exists(struct fs_file *file, struct lab_error *err);
/* Size in bytes as stored by this driver. */
int fs_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err);
/* Number of references to the object behind `file`, counted no further than nlinks-limit. */
int fs_get_nlinks(struct fs_file *file, unsigned *ret, struct lab_error *err);
/* `to` was opened with CREATE, CREATE_UNIQUE_128 or REPLACE. Errors belong to `to`. May be
 * UNCERTAIN. */
int fs_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err);
int fs_rename(struct fs_file *from, struct fs_file *to, struct lab_error *err);
/* 0 only if this call deleted it; LAB_NOT_FOUND if it was not there. May be UNCERTAIN. */
int fs_delete(struct fs_file *file, struct lab_error *err);

/* Many at once, with the storage's bulk request where it has one: at most
 * settings.max_parallel_deletes a request. results[i] is set for each file. 0 if all of them were
 * deleted, else -1 with *err of the first that was not. */
int fs_delete_many(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err);

enum fs_iter_flags {
	FS_ITER_DIRS = 1 << 0,      /* directories instead of files */
	FS_ITER_OBJECTIDS = 1 << 1, /* names are "<object id hex>/<object name>" */
	FS_ITER_NOCACHE = 1 << 2,   /* bypass caches (force-resync) */
	/* With OBJECTIDS: "<object id hex>/<version>/<object name>", where the driver has them. */
	FS_ITER_VERSIONS = 1 << 3
};
/* The names in a directory. Iterating one that does not exist gives none. */
int fs_iter(struct fs *fs, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err);

/* All that is stored, and whose path begins with `path`, whatever directories it is in: for checks
 * of a whole storage, in pages and in memory that does not depend on how much there is. Asks the
 * storage below every driver: paths are its own. fn() returning -1 ends it. -1 LAB_UNSUPPORTED: the
 * storage cannot be listed. */
struct fs_walked {
	struct lab_view path;
	int64_t modified; /* unix seconds by the storage's clock; INT64_MAX: not known */
};
typedef int (*fs_walk_fn)(
	void *ctx, const struct fs_walked *items, size_t count, struct lab_error *err);
int fs_walk(struct fs *fs, struct lab_view path, fs_walk_fn fn, void *ctx, struct lab_error *err);
/* The storage itself: what is opened in it goes by its own paths, and no driver looks at it. */
struct fs *fs_storage(struct fs *fs);

#endif

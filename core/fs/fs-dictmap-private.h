/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-dictmap-private.h - the parts of the dictmap driver: paths and dict keys (dictmap-path.c), the
 * buckets of a folder (dictmap-buckets.c), rows with their clean-up (dictmap-rows.c), listings
 * (dictmap-iter.c), and the driver itself (fs-dictmap.c).
 */
#ifndef LAB_FS_DICTMAP_PRIVATE_H
#define LAB_FS_DICTMAP_PRIVATE_H

#include "core/fs/fs-api-private.h"
#include "core/fs/fs-shared.h"

#include "core/conf/fs-uri.h"
#include "core/dict/dict.h"

/* Object ids are 16 bytes and extra data; ours have one byte of it (HD-3). */
#define DICTMAP_OID_BYTES_MAX 32
#define DICTMAP_OID_EXTRA_NEW_ID FS_OBJECTID_EXTRA_NEW_ID
#define DICTMAP_GUID_HEX 32
#define DICTMAP_BUCKET_UNKNOWN UINT32_MAX
/* Rows of one listing; a folder beyond this cannot be opened. */
#define DICTMAP_ROWS_MAX 4000000
#define DICTMAP_BUCKETS_MAX 100000
/* A read+write copy goes through memory. */
#define DICTMAP_COPY_MAX (256u * 1024 * 1024)

struct dictmap_buckets;

struct dictmap_fs {
	struct fs fs;
	struct lab_view args; /* own copy; `conf` borrows from it */
	struct fs_uri_dictmap conf;
	struct dict *dict; /* borrowed from the process's services */
	struct dictmap_buckets *buckets;
	/* Where the process shares nothing: the newest write time of this host's diff rows. */
	uint64_t own_diff_us;
};

/* Objects lie under the path that obox gives them. */
static inline bool dictmap_is_passthrough(const struct dictmap_fs *fs)
{
	return fs->conf.storage_passthrough_paths != FS_URI_PASSTHROUGH_NONE;
}

/* ---- dictmap-path.c ---- */

enum dictmap_kind {
	DICTMAP_MAIL,         /* <user>/mailboxes/<guid>/<name> */
	DICTMAP_FOLDER_INDEX, /* <user>/mailboxes/<guid>/idx/<name> */
	DICTMAP_USER_INDEX,   /* <user>/idx/<name> */
	DICTMAP_FTS           /* <user>/fts/<name> */
};

struct dictmap_path {
	enum dictmap_kind kind;
	struct lab_view guid; /* folder GUID in hex, for the first two */
	struct lab_view name; /* empty if the path is the directory */
};

/* All up to and with the last slash. */
struct lab_view dictmap_directory_of(struct lab_view path);
/* A GUID-128 in hex. */
bool dictmap_is_guid(struct lab_view text);
/* `path` is relative to the user's storage root as obox sees it; dict-prefix is added here. Borrows
 * from it or from the arena. -1 LAB_INVALID. */
int dictmap_path_parse(struct dictmap_fs *fs, struct lab_view path, struct lab_arena *arena,
	struct dictmap_path *ret, struct lab_error *err);
/* Hex digits of the path: old versions find a passed-through object by it. */
struct lab_view dictmap_path_in_hex(struct lab_view path, struct lab_arena *arena);
/* Keys of obox 3.4. `path` with an empty name gives what dict_iterate() takes. */
struct lab_view dictmap_key_forward(struct dictmap_fs *fs, const struct dictmap_path *path,
	uint32_t bucket, struct lab_arena *arena);
struct lab_view dictmap_key_max_bucket(
	struct dictmap_fs *fs, struct lab_view guid, struct lab_arena *arena);
struct lab_view dictmap_key_folders(struct dictmap_fs *fs, struct lab_arena *arena);
struct lab_view dictmap_key_reverse_set(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_view oid, struct lab_arena *arena);
/* `name` empty: what dict_iterate() takes. */
struct lab_view dictmap_key_reverse_row(
	struct lab_view oid, struct lab_view name, struct lab_arena *arena);

/* With an empty host, what dict_iterate() takes. */
struct lab_view dictmap_key_diff(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_view host, struct lab_arena *arena);

/* ---- dictmap-diff.c: rows of diff and self bundles, one for each host (`diff-table`) ---- */

struct dictmap_diff {
	struct lab_view key;
	struct lab_view name; /* of the bundle */
	struct lab_view oid;  /* empty with passthrough paths */
	uint64_t written_us;  /* writetime(m) */
};

/* Whether the path is a bundle that has such a row, and none of the other kind. */
bool dictmap_is_diff(const struct dictmap_fs *fs, const struct dictmap_path *path);
/* The least write time of the deletion of a bundle's row, in us; 0: now is late enough. The write
 * time of its row: when it was made, whatever the driver's clock says; 0: now. */
uint64_t dictmap_bundle_delete_us(const struct dictmap_fs *fs, const struct dictmap_path *path);
uint64_t dictmap_bundle_insert_us(const struct dictmap_fs *fs, const struct dictmap_path *path);
/* All hosts' rows of the folder, or of the user. */
int dictmap_diff_list(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_arena *arena, struct dictmap_diff **ret, size_t *ret_count,
	struct lab_error *err);
/* The row that says the path's name: 1, 0 if there is none any more, -1. */
int dictmap_diff_find(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_arena *arena, struct dictmap_diff *ret, struct lab_error *err);
/* This host's row says the path's name from now on. May be UNCERTAIN: whether the row says the old
 * name or the new one. */
int dictmap_diff_insert(struct dictmap_fs *fs, const struct dictmap_path *path, struct lab_view oid,
	struct lab_error *err);
/* The same for another host's row. */
int dictmap_diff_insert_as(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_view oid, struct lab_view host, struct lab_error *err);
/* The row that a version names (fs-api.h), at its write time. -1 LAB_INVALID if it names none. */
int dictmap_diff_delete_version(struct dictmap_fs *fs, const struct dictmap_path *path,
	struct lab_view version, struct lab_error *err);
/* Deletes the row if it still says the path's name, at the row's own write time, so that nothing
 * that its host writes meanwhile is deleted (HD-12). May be UNCERTAIN. */
int dictmap_diff_delete(
	struct dictmap_fs *fs, const struct dictmap_path *path, struct lab_error *err);

/* ---- dictmap-buckets.c (obox 3.11, HD-2) ---- */

/* Sets fs->buckets. The cache file is read at the first use of a counter, if it is a clean one.
 * Without bucket-size everything is in bucket 0. */
void dictmap_buckets_new(struct dictmap_fs *fs);
/* Writes the cache file, if it was in use. Blocks. */
void dictmap_buckets_free(struct dictmap_fs *fs);
/* The bucket in which to put the next mail of the folder; raises max_bucket first if the last one
 * is full. Blocks. -1: nothing was reserved; never UNCERTAIN. */
int dictmap_bucket_reserve(
	struct dictmap_fs *fs, struct lab_view guid, uint32_t *ret, struct lab_error *err);
/* After the row is there. With old map files another host may have given the bucket up meanwhile:
 * then max_bucket is raised again. Blocks. -1: always UNCERTAIN, the row may be above it. */
int dictmap_bucket_confirm(
	struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket, struct lab_error *err);
/* A reserved row was not written after all. */
void dictmap_bucket_release(struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket);
/* A row of the bucket was deleted: a tombstone now. Blocks. */
void dictmap_bucket_deleted(struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket);
struct dictmap_max_bucket {
	uint32_t bucket;
	uint64_t written_us; /* 0: there is no row, or the map does not ask for its write time */
	uint64_t asked_us;   /* this host's clock before it asked */
};

/* max_bucket from the dict (not from the cache). Blocks. */
int dictmap_bucket_max(struct dictmap_fs *fs, struct lab_view guid, struct dictmap_max_bucket *ret,
	struct lab_error *err);
/* The bucket is full, or a listing met rows above it (reason=iter): raises the max_bucket that was
 * found, whose write time is the new one then; without effect if somebody has raised it further
 * since. Blocks. Never UNCERTAIN. */
int dictmap_bucket_raise(struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket,
	struct dictmap_max_bucket *found, const char *reason, struct lab_error *err);
/* The last buckets were empty in a listing of all of them: lowers max_bucket to the last one that
 * was not, once nobody can have room in them any more. Returns what it is then. Blocks. */
struct dictmap_bucket_listing {
	uint32_t max_bucket, last_used;
	uint64_t written_us; /* of max_bucket */
	uint64_t asked_ns;   /* before max_bucket was read */
};
uint32_t dictmap_bucket_lower(
	struct dictmap_fs *fs, struct lab_view guid, const struct dictmap_bucket_listing *listing);
/* The bucket has rows after max_bucket was lowered below it. Blocks. */
int dictmap_bucket_give_back(
	struct dictmap_fs *fs, struct lab_view guid, uint32_t bucket, struct lab_error *err);
/* A complete listing counted the live rows of the last bucket. Blocks. */
void dictmap_bucket_counted(
	struct dictmap_fs *fs, struct lab_view guid, uint32_t max_bucket, uint64_t rows);

/* ---- dictmap-iter.c ---- */

/* fs_iter() of the driver. Blocks. */
int dictmap_iter(struct fs *base, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err);

/* ---- dictmap-rows.c: rows, always in the order that leaves a leak and never a dangling link ----
 */

/* Finds the forward row of a mail whose bucket or object id is not known: 1 found, 0, -1. */
int dictmap_row_find(struct dictmap_fs *fs, const struct dictmap_path *path, uint32_t *bucket,
	struct lab_arena *arena, struct lab_view *ret_oid, struct lab_error *err);
/* Is there a reverse row for each forward row of that kind? */
bool dictmap_has_reverse(struct dictmap_fs *fs, const struct dictmap_path *path);
/* How many references an object has, counted no further than nlinks-limit; but for those whose
 * names are in `deleted` (FS_METADATA_DELETED). */
int dictmap_row_nlinks(struct dictmap_fs *fs, struct lab_view oid, struct lab_view deleted,
	unsigned *ret, struct lab_error *err);

/* What is left of rows that could not be inserted. */
enum dictmap_residue {
	DICTMAP_RESIDUE_NONE,   /* no row is there, or ever will be, or has ever been seen */
	DICTMAP_RESIDUE_COPIES, /* the same now; who saw the forward row may have copied the mail */
	DICTMAP_RESIDUE_REVERSE, /* a reverse row may be: a leak, the object stays */
	DICTMAP_RESIDUE_FORWARD  /* the forward row may be: the object must stay */
};
/* Inserts reverse (if refcounting), then forward. On -1 it has cleaned up as far as it could and
 * might (may_clean, cleanup-uncertain; obox 3.8) and says what may be left; the error is UNCERTAIN
 * if and only if that is the forward row. */
int dictmap_rows_insert(struct dictmap_fs *fs, const struct dictmap_path *path, uint32_t bucket,
	struct lab_view oid, bool may_clean, enum dictmap_residue *ret_residue,
	struct lab_error *err);
/* Deletes forward, then reverse. *ret_unreferenced says whether the object may be deleted now. -1
 * only if the forward row may still be there (maybe UNCERTAIN). */
int dictmap_rows_delete(struct dictmap_fs *fs, const struct dictmap_path *path, uint32_t bucket,
	struct lab_view oid, bool *ret_unreferenced, struct lab_error *err);
/* The same by who knows whether the object has other references: nobody counts. */
int dictmap_rows_delete_known(struct dictmap_fs *fs, const struct dictmap_path *path,
	uint32_t bucket, struct lab_view oid, bool is_last, bool *ret_unreferenced,
	struct lab_error *err);

/* ---- files (fs-dictmap.c) ---- */

#define OID_HEX_MAX (2 * DICTMAP_OID_BYTES_MAX)
#define DICTMAP_ARENA_MAX (16u * 1024 * 1024)

struct dictmap_file {
	struct fs_file file;
	uint32_t bucket; /* DICTMAP_BUCKET_UNKNOWN until a lookup or a write */
};

static inline struct dictmap_fs *dictmap_fs_of(struct fs_file *file)
{
	return (struct dictmap_fs *)file->fs;
}

static inline struct env *dictmap_env(struct dictmap_fs *fs)
{
	return fs->fs.settings.env;
}

static inline const char *dictmap_username(struct dictmap_fs *fs)
{
	return fs->fs.settings.username;
}

/* For one operation. */
static inline struct lab_arena *dictmap_arena(struct dictmap_fs *fs)
{
	return lab_arena_new(dictmap_env(fs)->heap, DICTMAP_ARENA_MAX);
}

/* Ids from before storage-objectid-prefix have no extra data, or not this bit of it (HD-3). */
bool dictmap_is_new_id(struct lab_view oid);
/* The path from the storage's root on: it is not divided by users in any other way (obox 4.1:
 * <user>/fts/<file>). */
struct lab_view dictmap_whole_path(
	struct dictmap_fs *fs, const struct fs_file *file, struct lab_arena *arena);
/* Where the object of that id is stored. */
struct lab_view dictmap_storage_path(
	struct dictmap_fs *fs, struct fs_file *file, struct lab_view oid, struct lab_arena *arena);
/* The bucket: what a lookup or a write has found, or what the caller was told by a listing. */
uint32_t *dictmap_known_bucket(struct fs_file *file, const struct dictmap_path *path);
/* What the row says: the object id, as the caller set it or from the dict; with passthrough paths
 * whatever is in the row. 1, 0 if there is no row, -1. */
int dictmap_object_id(struct fs_file *file, const struct dictmap_path *path,
	struct lab_arena *arena, struct lab_view *ret, struct lab_error *err);
/* -1 LAB_NOT_FOUND. */
int dictmap_not_found(struct fs_file *file, struct lab_error *err);
/* Opens the stored object behind `file`, once. */
int dictmap_parent_open(struct fs_file *file, struct lab_arena *arena, struct lab_error *err);
int dictmap_exists(struct fs_file *file, struct lab_error *err);

/* ---- writing and copying (dictmap-write.c) ---- */

int dictmap_write(struct fs_file *file, struct lab_view contents, struct lab_error *err);
int dictmap_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err);
int dictmap_rename(struct fs_file *from, struct fs_file *to, struct lab_error *err);

/* ---- deleting (dictmap-delete.c) ---- */

/* The lock of lockdir, if there is one: whoever counts references of an object has it. */
int dictmap_lock_object(struct dictmap_fs *fs, struct lab_view oid, struct lab_error *err);
void dictmap_unlock_object(struct dictmap_fs *fs, struct lab_view oid);
/* Deletes an object that no row refers to, or ever will. What fails is a leak. */
bool dictmap_drop_object(struct fs_file *file);
int dictmap_delete(struct fs_file *file, struct lab_error *err);
int dictmap_delete_many(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err);

#endif

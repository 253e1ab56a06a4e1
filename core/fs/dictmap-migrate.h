/* SPDX-License-Identifier: Apache-2.0
 *
 * dictmap-migrate.h - a user of a storage that was used without dictmap is taken into the dict in
 * place: no object is moved, rows are made for what is there (obox 2, storage-objectid-migrate).
 *
 * Use        While nobody else uses the user, and before the settings with dictmap are used: what
 *            the dict does not know is not in a folder. May be repeated, also after it failed: what
 *            has a row keeps it.
 * Mails      Of every "<user>/mailboxes/<folder guid>/<name>": the object id is the name, and
 *            without the mark of new ids, so that the object is looked for where it lies. Other
 *            names than GUIDs are no mails.
 * Bundles    Of every "idx/<name>" below the user's root and its folders. With diff-table, what is
 *            not a base has a row of the host that wrote it, which is to write over that row: only
 *            the caller can read in the bundle which one that was. Of one that nobody can read, the
 *            last part of its name stands for a host.
 * Errors     What was done up to then stays. UNCERTAIN is reported like everything else: the next
 *            attempt sees whether the row is there.
 * Limits     DICTMAP_ROWS_MAX mails in a folder.
 */
#ifndef LAB_FS_DICTMAP_MIGRATE_H
#define LAB_FS_DICTMAP_MIGRATE_H

#include "core/fs/fs-api.h"

struct dictmap_migrated {
	uint64_t folders;
	uint64_t added, kept; /* rows made, and rows that were there */
};

/* `stack` has dictmap with storage-objectid-migrate somewhere in it. Adds to *ret. -1 LAB_INVALID:
 * it has not. Blocks. */
int dictmap_migrate_mails(struct fs *stack, struct dictmap_migrated *ret, struct lab_error *err);
/* Which host wrote the bundle of that path, in the arena; empty: nobody knows. -1: it could not be
 * asked. */
typedef int (*dictmap_host_fn)(void *ctx, struct lab_view path, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err);
/* `stack` has dictmap with storage-passthrough-paths. */
int dictmap_migrate_bundles(struct fs *stack, dictmap_host_fn host, void *ctx,
	struct dictmap_migrated *ret, struct lab_error *err);

#endif

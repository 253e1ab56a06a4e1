/* SPDX-License-Identifier: Apache-2.0
 *
 * fscache.h - what a cache of the driver fscache counts, set right (doveadm fscache rescan, obox
 * 1.10).
 *
 * Purpose    A process counts what it writes and removes. What an error of the disk left, and what
 *            somebody else wrote or removed, it does not know: then the cache is larger or smaller
 *            than it should be, until somebody looks.
 * Blocking   Yes. Safe while the cache is used: whatever is written or removed meanwhile counts as
 *            whoever does it says.
 */
#ifndef LAB_FSCACHE_H
#define LAB_FSCACHE_H

#include "core/fs/fs-shared.h"

struct fscache_scan {
	bool is_counted;        /* else nobody here has used it yet: the rest is what is there */
	uint64_t before, after; /* bytes */
	uint64_t files;
};
/* `directory` as in the URI, its %variables expanded. -1 LAB_INVALID (no absolute path),
 * LAB_NOT_FOUND (there is no such directory), or what the disk says: the count is as it was. */
int fscache_rescan(struct fs_shared *shared, struct env *env, struct lab_view directory,
	struct fscache_scan *ret, struct lab_error *err);

#endif

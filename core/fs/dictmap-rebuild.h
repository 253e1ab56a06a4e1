/* SPDX-License-Identifier: Apache-2.0
 *
 * dictmap-rebuild.h - a row that was lost is made again from what its object says of itself
 * (obox 4.3: fname).
 *
 * Use        While nobody else uses the user. May be repeated: what has a row keeps it.
 */
#ifndef LAB_FS_DICTMAP_REBUILD_H
#define LAB_FS_DICTMAP_REBUILD_H

#include "core/fs/fs-api.h"

struct dictmap_lost_row {
	struct lab_view path; /* under which obox knows it: "fname" */
	struct lab_view key;  /* where the object is stored */
	struct lab_view host; /* of a diff or self bundle: who wrote it, and writes over its row */
	/* Other rows are there: of a mail, reverse rows are believed. Forward rows are made for all
	 * that the object has, and for `path` only if it has it, or has none at all. */
	bool is_partial;
};
/* `stack` has dictmap in it. 1: made (of a mail with its reverse row, of a diff or self bundle over
 * whatever the host's row said); 0: it was there (of a mail whose forward row was there the reverse
 * row is made, if it was missing). -1 LAB_INVALID: with these settings that object would not be of
 * that name. UNCERTAIN as everything else: the next attempt sees. Blocks. */
int dictmap_rebuild_row(
	struct fs *stack, const struct dictmap_lost_row *lost, struct lab_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * obox-rebuild.h - the rows of a user whose Cassandra was lost are made anew from the storage: from
 * what each object says of itself, and from what index bundles say of folders (obox 4.3).
 *
 * What comes back  Every object that has a name (fname) gets its row, with its reverse row; index
 *            bundles of a host the newest last, so that its row names that one. Then the bundles of
 *            each folder are merged, and copies get their rows: an object knows only the folder
 *            into which it was first saved (H-13).
 * What does not    Copies and moves that no bundle knows: such a mail is in the folder into which
 *            it was first saved. And what was expunged while its object stayed, as a copy or a
 *            leak, is back. No mail is lost for the sake of not bringing one back.
 * Use        While nobody else uses the user, metacaches included; may be repeated. force-resync
 *            afterwards, if metacaches of before are left.
 * Errors     LAB_UNSUPPORTED: the storage cannot be listed. What was done up to then stays.
 */
#ifndef LAB_OBOX_REBUILD_H
#define LAB_OBOX_REBUILD_H

#include "core/obox/backend.h"

struct obox_rebuilt {
	uint64_t objects; /* looked at */
	uint64_t foreign; /* of them: no name, or none that this configuration would give */
	uint64_t mails, bundles, others; /* rows made */
	uint64_t copies;                 /* rows that only bundles knew of */
	uint64_t kept;                   /* rows that were there */
	uint64_t folders;                /* names that came back as recovered-lost-folder- */
};

/* All rows of the user are lost. Adds to *ret. Blocks. */
int backend_user_rebuild(struct backend *backend, struct lab_view name, struct obox_rebuilt *ret,
	struct lab_error *err);
/* Some rows are lost: what is left of them is believed. A forward row is made again if its reverse
 * row is there, a reverse row if its forward row is; both only of an object that has no rows at
 * all. Nothing comes back that was moved or expunged. */
int backend_user_repair(struct backend *backend, struct lab_view name, struct obox_rebuilt *ret,
	struct lab_error *err);
/* force-resync of a user: the root, the GUIDs of folders that it does not name, then each folder's
 * index from bundles and listing. *ret_lost: how many folders came back. Blocks. */
int backend_user_resync(
	struct backend *backend, struct lab_view name, unsigned *ret_lost, struct lab_error *err);

#endif

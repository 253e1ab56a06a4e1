/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-pull.h - a user's metacache goes from one backend to another (obox 5.7, palomar 2.6).
 *
 * Purpose    Spares the new backend the bundles, and tells it what the old one has not uploaded
 *            yet. What comes is treated as a bundle would be: taken where nothing is known yet, and
 *            compared with storage and listing at the next open.
 * Safety     The old backend gives only what it trusts itself (obox 5.6), and keeps the duty to
 *            upload it; with `clean` it uploads before it removes, and removes nothing that is in
 *            use. So whatever fails or crashes, on either side, nothing is anywhere less than it
 *            was; the next refresh repairs the rest. Changes of the new one have an author of their
 *            own.
 * Requests   None of the storage, but two listings for each directory with `latest_only`, and what
 *            the old backend uploads before it removes.
 * Blocking   All of it.
 */
#ifndef LAB_OBOX_METACACHE_PULL_H
#define LAB_OBOX_METACACHE_PULL_H

#include "core/obox/backend.h"
#include "core/obox/metacache-users.h"

/* How long another backend may take. */
#define METACACHE_PEER_TIMEOUT (30 * LAB_SEC)

struct metacache_pull {
	struct lab_view source; /* name of the backend to take it from */
	bool latest_only;       /* not if storage has bundles that it does not know */
	bool clean;             /* it removes its own */
};
/* Returns how many directories were taken (none: all are known here already). -1 LAB_NOT_FOUND: the
 * source has none that it trusts; LAB_EXISTS: storage has newer bundles; LAB_INVALID: there is no
 * other backend of that name; or what went wrong on the way: storage will do. Whatever comes of it,
 * modseqs go on above all that the source may have shown. */
int metacache_pull(struct backend *backend, struct lab_view username,
	const struct metacache_pull *pull, struct lab_error *err);

/* The other side: answers what came from a peer (backend_settings.peer). */
void metacache_serve(struct backend *backend, struct lab_view request, struct lab_buf *answer);

/* ---- what travels ---- */

struct metacache_archive_folder {
	char guid[METACACHE_GUID_MAX];
	enum metacache_changes changes; /* that are in no bundle */
	struct lab_view state, known;   /* obox_state_encode(), obox_sync_encode() */
};
struct metacache_archive {
	struct lab_view host;
	struct lab_view root; /* obox_root_encode() */
	struct metacache_archive_folder *folders;
	size_t folder_count;
};
/* Views borrow from `bytes`. -1 LAB_CORRUPT, LAB_UNSUPPORTED. */
int metacache_archive_decode(struct lab_view bytes, struct lab_arena *arena,
	struct metacache_archive *ret, struct lab_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * bundle-store.h - the bundles of one directory in storage: a folder's, or a user's root
 * (obox 5.3, 5.4, HD-6, HD-8, HD-12).
 *
 * Purpose    Lists, downloads, uploads and deletes bundles, and remembers of each what this
 *            metacache has made of it. It knows their names, kinds, hosts and rows, and nothing of
 *            what is inside.
 * Use        obox_bundles_refresh(), then for each bundle that it gives either
 *            obox_bundles_merged() or obox_bundles_set_aside(); only then may a bundle of this host
 *            take the place of its last one: obox_bundles_upload().
 * Order      PUT, INSERT, DELETE of the rows and objects that the new bundle replaces. Whatever
 *            fails, what is left is a leak: never fewer bundles than there were.
 * Corrupt    A bundle that is damaged, of a later version, or whose object is lost is set aside: an
 *            event, nothing of it is used, and nobody deletes it. All other errors fail the
 *            refresh: a folder is never empty because the storage did not answer.
 * Blocking   Refresh and upload, of the calling fiber; one of them at a time.
 * Requests   Refresh: 2 listings, and a GET for each bundle that is not known. Upload: PUT, INSERT,
 *            and DELETEs; no look.
 */
#ifndef LAB_OBOX_BUNDLE_STORE_H
#define LAB_OBOX_BUNDLE_STORE_H

#include "core/fs/fs-api.h"
#include "core/obox/bundle.h"

#define OBOX_BUNDLES_MAX 10000

struct obox_bundles;

struct obox_bundles_settings {
	struct env *env;
	struct fs *fs;        /* obox_index_fs; borrowed */
	const char *path;     /* "<root>/idx/" or "<root>/mailboxes/<folder guid>/idx/"; copied */
	const char *username; /* for metadata and events; borrowed */
	const char *mailbox_guid; /* borrowed; NULL: the user's root */
	/* metacache_max_parallel_requests for one directory; 0 is 1 */
	unsigned max_parallel_requests;
	struct env_semaphore *requests; /* shared with others; NULL: no such limit. Borrowed */
};

struct obox_bundles *obox_bundles_new(const struct obox_bundles_settings *settings);
/* NULLs the pointer; accepts NULL. */
void obox_bundles_free(struct obox_bundles **bundles);

/* ---- what is there ---- */

struct obox_bundle_download {
	char name[OBOX_BUNDLE_NAME_MAX];
	struct obox_bundle_name id;
	struct obox_bundle bundle; /* views into the arena */
};

struct obox_bundles_news {
	struct obox_bundle_download *downloads; /* bases, then self bundles, then diffs; by name */
	size_t count;
	size_t set_aside; /* could not be read */
	size_t gone;      /* were known, and others have deleted them since */
};

/* Lists the directory and downloads what is not known yet. `reason` says why (X-Dovecot-Reason).
 * -1: the listing or a download failed, and nothing is known that was not known before. */
int obox_bundles_refresh(struct obox_bundles *bundles, const char *reason, struct lab_arena *arena,
	struct obox_bundles_news *ret, struct lab_error *err);
/* Whether it was listed with success, ever in the life of this metacache directory. */
bool obox_bundles_is_listed(const struct obox_bundles *bundles);
/* The local state holds all that the bundle says. */
void obox_bundles_merged(struct obox_bundles *bundles, const struct obox_bundle_download *download);
/* Its content makes no sense. */
void obox_bundles_set_aside(struct obox_bundles *bundles,
	const struct obox_bundle_download *download, const struct lab_error *why);

/* How many bases are merged, and the newest of them into *ret if there is any: the one that a diff
 * of this metacache belongs to. Where there are two (hosts that did not know of each other), no
 * diff is written but the base that takes the place of both: a diff would leave the older one for
 * as long as diffs are small (obox 8.1, 18), and deleting that one beside a diff is not safe, as
 * clocks differ and the newest by name may be the one that its writer deletes just now. */
size_t obox_bundles_bases(const struct obox_bundles *bundles, struct obox_bundle_name *ret);
/* Whether a bundle of that name is there and merged, or was when it was last listed. */
bool obox_bundles_has(const struct obox_bundles *bundles, const struct obox_bundle_name *name);
/* How many are merged; with what is left behind of others. */
size_t obox_bundles_count(const struct obox_bundles *bundles);

/* ---- upload ---- */

struct obox_bundle_upload {
	enum obox_bundle_kind kind;
	uint32_t uidvalidity, next_uid;
	uint64_t highest_modseq;
	struct lab_view base; /* of a diff: the name of its base, which must be there and merged */
	const struct obox_bundle_file *files;
	size_t file_count;
	const char *reason; /* "metacache:upload_mailbox" */
};

/* Writes the bundle and deletes what it replaces: a self or a diff the last one of this host, a
 * base everything that is merged. ret_name may be NULL. 0: it is there (what could not be deleted
 * is tried again after the next upload). -1: it is not, or, if UNCERTAIN, it may be; either way the
 * last one still counts, and the same must be uploaded again. Refused with LAB_INVALID while the
 * directory was never listed or a bundle of the last listing was neither merged nor set aside: this
 * host's row may name changes that nobody has. */
int obox_bundles_upload(struct obox_bundles *bundles, const struct obox_bundle_upload *upload,
	struct obox_bundle_name *ret_name, struct lab_error *err);
/* For the defect old-bundle-first: this host's diff and self bundles go, whatever says the same. */
void obox_bundles_drop_own(struct obox_bundles *bundles);
/* Deletes all that is known (the folder, or the user, was deleted). -1 if something may be left. */
int obox_bundles_delete_all(
	struct obox_bundles *bundles, const char *reason, struct lab_error *err);

/* ---- over a clean stop ---- */

void obox_bundles_encode(const struct obox_bundles *bundles, struct lab_buf *out);
/* Into one that was just made. -1 LAB_CORRUPT: it is as new. */
int obox_bundles_decode(struct obox_bundles *bundles, struct lab_view bytes, struct lab_error *err);

/* ---- from host to host ---- */

/* What another host knew has come to this one: its bundles are that host's, and nothing was listed
 * here. */
void obox_bundles_adopted(struct obox_bundles *bundles);
/* Lists the directory and changes nothing: 0, or -1 LAB_EXISTS if there is a bundle that is not
 * known. */
int obox_bundles_check_latest(
	struct obox_bundles *bundles, const char *reason, struct lab_error *err);

#endif

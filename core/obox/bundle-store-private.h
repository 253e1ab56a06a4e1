/* SPDX-License-Identifier: Apache-2.0
 *
 * bundle-store-private.h - what is known of each bundle, for those who list, download, upload and
 * delete them.
 */
#ifndef LAB_OBOX_BUNDLE_STORE_PRIVATE_H
#define LAB_OBOX_BUNDLE_STORE_PRIVATE_H

#include "core/obox/bundle-store.h"

#define OID_TEXT_MAX 65      /* hex, with the NUL */
#define VERSION_TEXT_MAX 288 /* "<us>@<host>" */

enum bundle_status {
	BUNDLE_LISTED, /* downloaded perhaps, but nobody has said what became of it */
	BUNDLE_MERGED,
	BUNDLE_ASIDE,
	BUNDLE_LEFT /* replaced by an upload; its row or its object may be there yet */
};

struct bundle_entry {
	char name[OBOX_BUNDLE_NAME_MAX];
	struct obox_bundle_name id;
	enum bundle_status status;
	bool is_own; /* this host has written it */
	char oid[OID_TEXT_MAX];
	char version[VERSION_TEXT_MAX]; /* FS_METADATA_VERSION */
	bool is_seen;                   /* by the listing that is being looked at */
};

struct obox_bundles {
	struct obox_bundles_settings settings;
	char *path;
	bool is_listed;
	struct bundle_entry *entries; /* in the order in which they became known */
	size_t count;
};

struct lab_heap *bundles_heap(const struct obox_bundles *bundles);

/* ---- entries ---- */

/* NULL if nothing is known of it. */
struct bundle_entry *bundles_find(const struct obox_bundles *bundles, const char *name);
/* Copied; moves all entries. */
struct bundle_entry *bundles_add(struct obox_bundles *bundles, const struct bundle_entry *entry);
void bundles_remove(struct obox_bundles *bundles, size_t at);
/* Empty if it has no room. */
void bundles_set_text(char *out, size_t size, struct lab_view text);
/* Each host has one row for such bundles, and the next one overwrites it. */
bool bundles_has_host_row(const struct bundle_entry *entry);
bool bundles_is_own_row(const struct obox_bundles *bundles, const struct bundle_entry *entry);

/* ---- events ---- */

const char *bundles_kind_name(enum obox_bundle_kind kind);

struct bundle_transfer {
	const char *name;
	enum obox_bundle_kind kind;
	size_t size;
	const char *reason;
	const struct lab_error *err;
	uint64_t highest_modseq; /* of what is uploaded, if that has modseqs */
};

enum bundle_event {
	BUNDLE_DOWNLOAD_STARTED,
	BUNDLE_DOWNLOAD_FINISHED,
	BUNDLE_UPLOAD_STARTED,
	BUNDLE_UPLOAD_FINISHED
};

/* Of the user's root, or of the folder. */
void bundles_report(const struct obox_bundles *bundles, enum bundle_event event,
	const struct bundle_transfer *t);

/* ---- requests ---- */

struct fs_file *bundles_open(
	const struct obox_bundles *bundles, const char *name, enum fs_open_mode mode);
struct fs_file *bundles_open_entry(
	const struct obox_bundles *bundles, const struct bundle_entry *entry);
/* Waits for room among the requests that others share. */
void bundles_begin_request(const struct obox_bundles *bundles);
void bundles_end_request(const struct obox_bundles *bundles);

#endif

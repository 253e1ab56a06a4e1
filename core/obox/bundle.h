/* SPDX-License-Identifier: Apache-2.0
 *
 * bundle.h - index bundles: their names, and the archive that they are (obox 4.1, 5.3, HD-5, HD-6).
 *
 * Purpose   The index files of a folder, or of a user's root, as one object in storage. Pure: no
 *           storage, no clock.
 * Kinds     base   all of it; large and rare
 *           diff   what one host has changed since a base; its name begins with the base's
 *           self   all of it, written by one host while there is no base
 * Errors    LAB_CORRUPT for whatever no oboxlab has written, with what is wrong; LAB_UNSUPPORTED
 * for a later version. Neither is ever an empty folder.
 */
#ifndef LAB_OBOX_BUNDLE_H
#define LAB_OBOX_BUNDLE_H

#include "core/env/env.h"

#define OBOX_BUNDLE_NAME_MAX 96 /* with the NUL */
#define OBOX_BUNDLE_FILES_MAX 64
#define OBOX_BUNDLE_TEXT_MAX 255
#define OBOX_BUNDLE_BYTES_MAX (1024u * 1024 * 1024)

enum obox_bundle_kind {
	OBOX_BUNDLE_BASE,
	OBOX_BUNDLE_DIFF,
	OBOX_BUNDLE_SELF
};

/* ---- names: bundle.<seconds>.<microseconds>.<guid>[-<guid>], numbers in hex. Those of self
 * bundles are not published; ours are self.<seconds>.<microseconds>.<guid>. ---- */

struct obox_bundle_name {
	enum obox_bundle_kind kind;
	uint32_t seconds, usecs; /* when it, or a diff's base, was made */
	uint8_t guid[ENV_GUID128_SIZE];
	uint8_t diff_guid[ENV_GUID128_SIZE];
};

void obox_bundle_name_format(const struct obox_bundle_name *name, char out[OBOX_BUNDLE_NAME_MAX]);
/* -1 if it is not the name of a bundle. */
int obox_bundle_name_parse(struct lab_view text, struct obox_bundle_name *ret);
/* Whether the diff belongs to the base. */
bool obox_bundle_name_is_diff_of(
	const struct obox_bundle_name *diff, const struct obox_bundle_name *base);

/* ---- archives ---- */

struct obox_bundle_file {
	struct lab_view name; /* "dovecot.index" */
	struct lab_view content;
};

struct obox_bundle {
	enum obox_bundle_kind kind;
	struct lab_view host; /* that wrote it */
	struct lab_view base; /* name of a diff's base, else empty */
	uint32_t uidvalidity, next_uid;
	uint64_t highest_modseq;
	struct obox_bundle_file files[OBOX_BUNDLE_FILES_MAX];
	size_t file_count;
};

/* Views of at most OBOX_BUNDLE_TEXT_MAX bytes, except for contents. */
void obox_bundle_encode(const struct obox_bundle *bundle, struct lab_buf *out);
/* Views are borrowed from `bytes`. */
int obox_bundle_decode(struct lab_view bytes, struct obox_bundle *ret, struct lab_error *err);
/* NULL if there is no such file. */
const struct obox_bundle_file *obox_bundle_file(const struct obox_bundle *bundle, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * unpack.h - metacache unpack: what is in an index bundle (obox 5.3, 5.9).
 */
#ifndef SCENARIOS_UNPACK_H
#define SCENARIOS_UNPACK_H

#include "core/obox/bundle.h"

/* Tells kind, host, numbers and files in *out. Views of *ret borrow from `bytes`; names of files
 * are names, not paths. -1 LAB_CORRUPT, LAB_UNSUPPORTED: in one sentence. */
int operator_unpack(
	struct lab_view bytes, struct obox_bundle *ret, struct lab_buf *out, struct lab_error *err);

#endif

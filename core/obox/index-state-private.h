/* SPDX-License-Identifier: Apache-2.0
 *
 * index-state-private.h - building a state from records: for its merge and its codec.
 */
#ifndef LAB_OBOX_INDEX_STATE_PRIVATE_H
#define LAB_OBOX_INDEX_STATE_PRIVATE_H

#include "core/obox/index-state.h"

/* Keeps the order of the stamps. */
void obox_record_add_stamp(
	struct lab_heap *heap, struct obox_record *record, const struct obox_stamp *stamp);
/* Takes the record with its stamps, at the end, whatever its UID is. */
void obox_state_push(struct obox_state *state, const struct obox_record *record);
/* Sorts the records by UID, all different, and finds them by name from now on. */
void obox_state_reindex(struct obox_state *state);

#endif

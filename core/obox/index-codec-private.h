/* SPDX-License-Identifier: Apache-2.0
 *
 * index-codec-private.h - what whole states and changes have in common as bytes.
 */
#ifndef LAB_OBOX_INDEX_CODEC_PRIVATE_H
#define LAB_OBOX_INDEX_CODEC_PRIVATE_H

#include "core/obox/index-state-private.h"

enum codec_form {
	CODEC_WHOLE,
	CODEC_CHANGES
};

/* Tables in canonical order: places by rank, and ranks by place. */
struct codec_tables {
	uint16_t author_at[OBOX_AUTHORS_MAX], author_rank[OBOX_AUTHORS_MAX];
	uint16_t keyword_at[OBOX_KEYWORDS_MAX], keyword_rank[OBOX_KEYWORDS_MAX];
};

/* From the state's heap; the caller frees it. */
struct codec_tables *codec_sort_tables(const struct obox_state *state);
void codec_put_head(const struct obox_state *state, const struct codec_tables *tables,
	enum codec_form form, struct lab_buf *out);
void codec_put_record(const struct obox_state *state, const struct codec_tables *tables,
	const struct obox_record *record, struct lab_buf *out);

/* The version of what follows. */
uint8_t codec_get_head(struct lab_reader *reader, struct obox_state *state, enum codec_form form);
/* Unknown, or what a mail can have. */
bool codec_size_is_possible(uint64_t size);
/* To the end of the bytes. */
void codec_get_records(struct lab_reader *reader, struct obox_state *state, uint8_t version);
/* Ready for use, or freed. */
int codec_finish(struct lab_reader *reader, struct obox_state **state, struct lab_error *err);

#endif

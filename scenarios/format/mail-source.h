/* SPDX-License-Identifier: Apache-2.0
 *
 * mail-source.h - the bodies of the mails that a workload delivers.
 *
 * Purpose    Either generated MIME mails, or real ones from an mbox file or a folder of .eml files.
 *            Each delivered mail carries its token in a header at its top, so that it can be
 *            recognised wherever it turns up; below it, a real mail is byte for byte what it was.
 * Ownership  A source lives in the arena it was loaded into and is read only from then on.
 * Limits     MAIL_SOURCE_MAX mails of at most MAIL_BYTES_MAX bytes each; larger mails are an error.
 */
#ifndef SCENARIOS_MAIL_SOURCE_H
#define SCENARIOS_MAIL_SOURCE_H

#include "core/base/base.h"

#define MAIL_SOURCE_MAX 1000000
#define MAIL_BYTES_MAX (32u * 1024 * 1024)

struct mail_source;

/* mbox (mboxrd: lines beginning with "From " separate mails, ">From " is unquoted). The text is
 * read only during the call. Line ends may be LF or CRLF and stay as they are. -1 LAB_INVALID with
 * the line: not an mbox, no mails; LAB_LIMIT. */
int mail_source_from_mbox(const char *name, struct lab_view text, struct lab_arena *arena,
	struct mail_source **ret, struct lab_error *err);
/* One mail for each text. Borrowed. */
int mail_source_from_mails(const struct lab_view *mails, size_t count, struct lab_arena *arena,
	struct mail_source **ret, struct lab_error *err);
size_t mail_source_count(const struct mail_source *source);

struct mail_order {
	uint64_t seed;
	uint64_t token; /* not 0 */
	uint64_t size;  /* of a generated mail, approximately; at least about 400 bytes */
	struct lab_view to;
	int64_t date; /* unix seconds */
	/* Of a generated mail; 0: large ones have one. */
	enum mail_attachment {
		MAIL_ATTACHMENT_IF_LARGE,
		MAIL_ATTACHMENT,
		MAIL_NO_ATTACHMENT
	} attachment;
};
/* Would a mail of that order have one? */
bool mail_order_has_attachment(const struct mail_order *order);
/* Makes a mail: a function of the source and the order only. source NULL generates. CRLF line ends
 * in what is generated. `heap` is for work in progress. */
struct lab_view mail_make(const struct mail_source *source, const struct mail_order *order,
	struct lab_heap *heap, struct lab_arena *arena);
/* Every line end as two bytes. */
uint64_t mail_virtual_size(struct lab_view mail);
/* The token in a mail; 0 if it has none. */
uint64_t mail_token(struct lab_view mail);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * excuses.h - which findings were excused, and why: a list that stays short, so that an excuse is
 * never only a number (DESIGN 5).
 */
#ifndef SCENARIOS_EXCUSES_H
#define SCENARIOS_EXCUSES_H

#include "core/base/base.h"

#define EXCUSES_MAX 100 /* reasons that all scenarios have together, and room for more */
#define EXCUSE_TEXT_MAX 240

/* Plain data: it goes through a pipe. */
struct excuses {
	struct {
		char text[EXCUSE_TEXT_MAX]; /* "I12 dangling row: a copy raced ..." */
		uint64_t count;
	} items[EXCUSES_MAX];
	size_t count;
	uint64_t others; /* of findings whose reason has no place any more */
};

/* Counts findings of one reason; in the order of the texts, which are cut to EXCUSE_TEXT_MAX - 1
 * bytes. */
void excuses_add(struct excuses *excuses, const char *text, uint64_t count);
void excuses_add_all(struct excuses *excuses, const struct excuses *others);
/* Lines of a summary; nothing if there are none. */
void excuses_print(const struct excuses *excuses, struct lab_buf *out);
/* The member "excuses" of the object that *json is in. */
void excuses_json(const struct excuses *excuses, struct lab_json *json);

#endif

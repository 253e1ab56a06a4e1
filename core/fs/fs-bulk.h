/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-bulk.h - many changes in few requests whose 200 says nothing about a single one: each item has
 * an answer of its own, and those that the storage refused for now go out again after the waits of
 * the ladder (obox 1.6). What a request looks like is the driver's.
 *
 * Ownership  Items and the bulk are the caller's; a driver's item begins with a struct
 *            fs_bulk_item, its bulk with a struct fs_bulk.
 * Errors     None of its own: each item's `result`. An item that may have been applied by an
 *            attempt that failed ends LAB_UNCERTAIN, whatever its last answer was.
 */
#ifndef LAB_FS_BULK_H
#define LAB_FS_BULK_H

#include "core/env/env.h"

struct fs_bulk_item {
	struct lab_view name; /* for messages */
	struct lab_error *result;
	bool pending; /* to be sent (again) */
	bool answered;
	bool uncertain; /* an attempt that failed may have been applied */
};

struct fs_bulk {
	struct env *env;
	const char *what;  /* for messages: "bulk delete" */
	bool gone_is_done; /* LAB_NOT_FOUND behind an uncertain attempt is that attempt's work */
	struct fs_bulk_item **items;
	size_t count;
	size_t request_max;           /* items of one request */
	unsigned max_retries;         /* rounds beyond the first */
	uint64_t absolute_timeout_ns; /* of all rounds; 0: none */
	/* Sends one request and tells of each item in it. Blocks. */
	void (*send)(struct fs_bulk *bulk, struct fs_bulk_item **sent, size_t count);
};

/* All items that are pending, until none is or no round is left. Blocks. */
void fs_bulk_run(struct fs_bulk *bulk);

/* ---- for send() ---- */

/* What became of an item; it is pending no more. */
void fs_bulk_finish(const struct fs_bulk *bulk, struct fs_bulk_item *item, enum lab_code code,
	bool retryable, const char *why);
/* The whole request failed, and its own retries are used up. */
void fs_bulk_fail(struct fs_bulk_item **sent, size_t count, const struct lab_error *err);
/* Behind an answer: what it does not mention is uncertain. */
void fs_bulk_end(const struct fs_bulk *bulk, struct fs_bulk_item **sent, size_t count);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * knowledge.h - which backend knew what of a folder, and when: from the events of the metacache.
 *
 * Purpose    A backend knows what it did itself since it started, and what was in the storage when
 *            it last compared a folder's bundles. Of two changes one is *after* the other only if
 *            whoever made it knew the other; else they happened at the same time, and either order
 *            is right. What is in the storage cannot be lost any more.
 * Lives      A backend from one start to its crash: a crash costs what was not uploaded.
 * Evidence   metacache_mailbox_bundle_upload_* and metacache_mailbox_refresh_* (user, mailbox_guid,
 *            metacache_status, code): what an upload began with is in the storage when it ended
 *            well; what was there when a refresh began is known when it ended well. Times are
 *            numbers of events. Less is claimed than was known, never more.
 */
#ifndef SIM_ORACLE_KNOWLEDGE_H
#define SIM_ORACLE_KNOWLEDGE_H

#include "sim/oracle/history.h"

struct knowledge;

#define KNOWLEDGE_LIVES_MAX 65536
#define KNOWLEDGE_NOBODY UINT32_MAX

struct knowledge *knowledge_new(struct lab_heap *heap);
void knowledge_free(struct knowledge **knowledge);

/* A backend that was up before anybody listened. */
void knowledge_started(struct knowledge *k, uint32_t host, struct lab_view name, uint32_t boot);
void knowledge_event(struct knowledge *k, const struct lab_event *event);
/* Also of users' roots, from now on. */
void knowledge_follow_roots(struct knowledge *k);

/* Too much happened to be written down. */
bool knowledge_is_full(const struct knowledge *k);
/* Anybody ever uploaded anything of a folder. */
bool knowledge_has_uploads(const struct knowledge *k);

/* The name of a host of events, and how often it has started; "" and 0. */
struct lab_view knowledge_host(const struct knowledge *k, uint32_t host, uint32_t *ret_boot);
/* A field of an event; "" or 0 if it has none. */
struct lab_view oracle_event_text(const struct lab_event *event, const char *name);
uint64_t oracle_event_number(const struct lab_event *event, const char *name);
/* The life of the backend that an operation was asked of; KNOWLEDGE_NOBODY. */
uint32_t knowledge_life(const struct knowledge *k, const struct history_op *op);
/* When it crashed, as an event and as a time; UINT64_MAX: it did not. */
uint64_t knowledge_crash(const struct knowledge *k, uint32_t life, uint64_t *ret_ns);
/* When it started. */
uint64_t knowledge_start(const struct knowledge *k, uint32_t life);

/* A folder of a user as these functions want it. */
uint64_t knowledge_folder(struct lab_view user, const uint8_t guid[HISTORY_NAME_BYTES]);

/* At event `at`, did `reader` know all that `writer` had done up to event `done`? */
bool knowledge_knew(const struct knowledge *k, uint64_t folder, uint32_t reader, uint64_t at,
	uint32_t writer, uint64_t done);
/* Up to which event. */
uint64_t knowledge_known_until(
	const struct knowledge *k, uint64_t folder, uint32_t reader, uint64_t at, uint32_t writer);
/* When the reader last began, before `at`, to make its index of the folder from what is stored, as
 * it had none: an event, and when it had it; 0: never. What it had itself uploaded last, and finds
 * as it was, counts as kept. */
uint64_t knowledge_begun(
	const struct knowledge *k, uint64_t folder, uint32_t reader, uint64_t at, uint64_t *ret_ns);
/* Did it refresh the folder, from beginning to end, in [from, to]? */
bool knowledge_looked(
	const struct knowledge *k, uint64_t folder, uint32_t reader, uint64_t from, uint64_t to);
/* Was all of it in the storage? */
bool knowledge_was_stored(
	const struct knowledge *k, uint64_t folder, uint64_t at, uint32_t writer, uint64_t done);
/* The time at which an upload of what the operation did ended well; UINT64_MAX: never. One that
 * began during the operation has it if it has its modseq. */
uint64_t knowledge_stored_ns(
	const struct knowledge *k, uint64_t folder, uint32_t writer, const struct history_op *op);

/* The user's root, if knowledge_follow_roots(). */
uint64_t knowledge_root(struct lab_view user);

/* How many of these events the folder had on the backend (KNOWLEDGE_NOBODY: on any) in (from, to].
 */
uint64_t knowledge_merges(const struct knowledge *k, uint64_t folder, uint32_t life,
	enum lab_event_id id, uint64_t from, uint64_t to);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache.h - the metacache process of a backend: which folders have what to upload, and when
 * (obox 5.1, 5.2).
 *
 * Purpose    Important changes are uploaded within metacache_upload_interval, many new mails at
 *            once, in the background; what fails is tried again an interval later.
 * Blocking   metacache_stop(). At most metacache_max_parallel_requests
 *            uploads run at a time.
 */
#ifndef LAB_OBOX_METACACHE_H
#define LAB_OBOX_METACACHE_H

#include "core/conf/settings.h"
#include "core/env/env.h"

struct metacache;
struct obox_mailbox;

/* Both are borrowed. */
struct metacache *metacache_start(struct env *env, const struct conf_settings *conf);
/* No upload begins in the background any more; waits for those that run. */
void metacache_stop(struct metacache *metacache);
/* After that. NULLs the pointer; accepts NULL. */
void metacache_free(struct metacache **metacache);

/* Shared by all that reads and writes bundles. */
struct env_semaphore *metacache_requests(struct metacache *metacache);
/* The folder is uploaded at that time (env_now()), or earlier if it was to be already. It must not
 * be freed before metacache_stop(). */
void metacache_upload_at(struct metacache *metacache, struct obox_mailbox *mailbox, uint64_t when);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * metacache-private.h - the metacache from the inside: uploads in time (metacache.c), and space
 * (metacache-clean.c).
 */
#ifndef LAB_OBOX_METACACHE_PRIVATE_H
#define LAB_OBOX_METACACHE_PRIVATE_H

#include "core/obox/metacache.h"
#include "core/obox/obox-private.h"

struct metacache {
	struct env *env;
	const struct conf_settings *conf;
	struct metacache_weights weights;
	struct backend *backend;
	struct env_semaphore requests, uploads;
	/* (when, ticket), big-endian -> struct obox_mailbox */
	struct lab_tree *due;
	uint64_t next_ticket;
	bool is_running; /* the fiber that waits for what is due */
	bool is_stopping;
	unsigned uploading;
	struct env_cond wake, done;
	uint64_t used_bytes;
	bool is_cleaning;
};

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * peer-host.h - the other backend of a command on a command line (metacache pull): its directory on
 * this machine, a second host of the same live world.
 *
 * Purpose    Answers as its doveadm service would: a backend with the same settings is started on
 *            the directory for each request, and stopped cleanly when it has answered.
 * Safety     Nobody else may use the directory meanwhile. What a crash left there is believed as
 *            little as everywhere (obox 5.6).
 */
#ifndef FS_TOOL_PEER_HOST_H
#define FS_TOOL_PEER_HOST_H

#include "core/env/live/live.h"
#include "core/obox/backend.h"

struct peer_host;

/* `text` is "NAME=DIR"; `root` that of the backend that asks. `settings`, which is borrowed, is
 * that backend's, but for its env. -1 LAB_INVALID, or as live_host_new(). */
int peer_host_new(struct live *live, const char *text, const char *root, struct lab_heap *heap,
	const struct backend_settings *settings, struct peer_host **ret, struct lab_error *err);
/* After its world is gone. NULLs the pointer; accepts NULL. */
void peer_host_free(struct peer_host **peer);

/* A backend_peer_fn; ctx is the struct peer_host, or NULL: there is none. */
int peer_host_ask(void *ctx, struct env *env, struct lab_view host, struct lab_view request,
	struct lab_buf *answer, struct lab_error *err);

#endif

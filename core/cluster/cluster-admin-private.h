/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-admin-private.h - what the sources of operators' commands share.
 */
#ifndef LAB_CLUSTER_ADMIN_PRIVATE_H
#define LAB_CLUSTER_ADMIN_PRIVATE_H

#include "core/cluster/cluster.h"

#define ARENA_MAX_BYTES (64u << 20)
#define MOVE_ID_MAX 320

struct command {
	struct geodb *geodb;
	struct lab_arena *arena; /* the caller's to free */
	struct cluster_view view;
	char move[MOVE_ID_MAX];
};

struct command command_new(struct geodb *geodb);
/* Sites and backends, fresh. */
int command_read_view(struct command *command, struct lab_error *err);
/* NULL: LAB_NOT_FOUND. */
const struct cluster_site *command_find_site(
	struct command *command, struct lab_view name, struct lab_error *err);
/* The group's row says that it moves, or (direct) has moved. 0; 1: nothing is to be moved; -1. */
int command_move_group(struct command *command, const struct cluster_policy *policy,
	const struct cluster_group *group, const struct cluster_backend *to, bool direct,
	struct lab_error *err);

#endif

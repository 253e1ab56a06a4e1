/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-tool.h - one command of doveadm cluster on the GeoDB of a Cassandra that runs somewhere.
 *
 * Blocking   Until it is done, or ten seconds are over.
 * Errors     Those of cluster-command.h and the CQL client; LAB_DENIED: not on loopback.
 */
#ifndef SCENARIOS_CLUSTER_TOOL_H
#define SCENARIOS_CLUSTER_TOOL_H

#include "core/cluster/cluster-command.h"

#define CLUSTER_TOOL_KEYSPACE "d8s_cluster" /* the controllers' default (palomar 3.2) */

struct cluster_tool {
	const char *hosts; /* "HOST[,HOST...]:PORT" */
	const char *keyspace;
	const char *user, *password; /* NULL: no authentication */
	unsigned group_count;        /* cluster_default_group_count */
	bool allow_remote;           /* hosts that are not loopback */
	const struct cluster_command *command;
};
/* What there is to tell is appended to *out. *ret_guarded: a connection that is not to loopback
 * was asked for. */
int cluster_tool_run(const struct cluster_tool *tool, struct lab_heap *heap, struct lab_buf *out,
	bool *ret_guarded, struct lab_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-command-private.h - what the sources of doveadm cluster share.
 */
#ifndef LAB_CLUSTER_COMMAND_PRIVATE_H
#define LAB_CLUSTER_COMMAND_PRIVATE_H

#include "core/cluster/cluster-admin-private.h"
#include "core/cluster/cluster-command.h"

struct cluster_run {
	struct command base;
	struct cluster *cluster; /* NULL: there is only GeoDB */
	const struct cluster_policy *policy;
	const struct cluster_command *command;
	struct lab_buf *out;
};

static inline struct lab_view cluster_run_argument(const struct cluster_run *r, size_t index)
{
	return r->command->arguments[index];
}

/* The group that the first two arguments name: a site's, by its name. Texts are the arena's. -1
 * LAB_NOT_FOUND, or as geodb_get() says. */
int cluster_run_group(struct cluster_run *r, struct cluster_group *ret, struct lab_error *err);

/* "-": there is none */
struct lab_view cluster_run_site_name(const struct cluster_run *r, struct cluster_id id);
struct lab_view cluster_run_host_name(const struct cluster_run *r, struct cluster_id id);
/* --id, or a new one. -1 LAB_INVALID. */
int cluster_run_new_id(const struct cluster_run *r, struct cluster_id *ret, struct lab_error *err);

/* cluster-command-tags.c: tags; groups that are made beforehand, and what may move them */

/* -1 LAB_NOT_FOUND */
int cluster_run_tag(
	struct cluster_run *r, struct lab_view name, struct cluster_id *ret, struct lab_error *err);
int cluster_run_create_tag(struct cluster_run *r, struct lab_error *err);
int cluster_run_delete_tag(struct cluster_run *r, struct lab_error *err);
int cluster_run_update_tag(struct cluster_run *r, struct lab_error *err);
int cluster_run_list_tags(struct cluster_run *r, struct lab_error *err);
int cluster_run_init_site(struct cluster_run *r, struct lab_error *err);
int cluster_run_update_group(struct cluster_run *r, struct lab_error *err);

/* cluster-command-host.c: what one host is asked. -1 LAB_UNSUPPORTED where there is only GeoDB. */
int cluster_run_access_group(struct cluster_run *r, struct lab_error *err);
int cluster_run_access_user(struct cluster_run *r, struct lab_error *err);
int cluster_run_refresh(struct cluster_run *r, struct lab_error *err);
int cluster_run_list_cached_users(struct cluster_run *r, struct lab_error *err);
int cluster_run_list_cached_groups(struct cluster_run *r, struct lab_error *err);
int cluster_run_remove_cached(struct cluster_run *r, struct lab_error *err);
int cluster_run_kick(struct cluster_run *r, struct lab_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-command-host.c - doveadm cluster: what is asked of the cluster service of one host, not
 * of GeoDB.
 */
#include "core/cluster/cluster-command-private.h"
#include "core/cluster/cluster-private.h"

static int check_host(const struct cluster_run *r, struct lab_error *err)
{
	if (r->cluster != NULL)
		return 0;
	return lab_fail(err, LAB_UNSUPPORTED,
		"cluster %s is asked of a proxy or a backend, and here is only GeoDB",
		cluster_command_words(r->command->verb));
}

int cluster_run_access_group(struct cluster_run *r, struct lab_error *err)
{
	if (check_host(r, err) < 0)
		return -1;
	if (r->cluster->settings.backend_name.len == 0)
		return lab_fail(err, LAB_UNSUPPORTED, "cluster group access is asked of a backend");
	cluster_group_access(r->cluster, cluster_run_argument(r, 0));
	return 0;
}

/* The real lookup, with all that follows from it (palomar 3.1). */
int cluster_run_access_user(struct cluster_run *r, struct lab_error *err)
{
	struct cluster_place place;

	if (check_host(r, err) < 0 || cluster_lookup(r->cluster, cluster_run_argument(r, 0), false,
					      r->base.arena, &place, err) < 0)
		return -1;
	lab_buf_printf(r->out, "user\thost\n%.*s\t%.*s\n", LAB_VIEW_ARG(place.user),
		LAB_VIEW_ARG(place.host));
	return 0;
}

int cluster_run_refresh(struct cluster_run *r, struct lab_error *err)
{
	if (check_host(r, err) < 0)
		return -1;
	cluster_refresh(r->cluster);
	return 0;
}

/* Backends are the laboratory's or the network's to reach. */
int cluster_run_kick(struct cluster_run *r, struct lab_error *err)
{
	(void)r;
	return lab_fail(err, LAB_UNSUPPORTED,
		"cluster kick is asked of all backends, and here is only GeoDB");
}

/* ---- LocalDB ---- */

struct cached {
	struct cluster_run *run;
	struct lab_view only; /* empty: all */
	size_t count;
};

static void print_cached_user(void *ctx, const void *row, uint64_t age_ns)
{
	const struct cluster_user *user = row;
	struct cached *c = ctx;

	if (c->only.len > 0 && !lab_view_eq(c->only, user->username))
		return;
	c->count++;
	lab_buf_printf(c->run->out, "%.*s\t%.*s\t%.*s\t%" PRIu64 "\n", LAB_VIEW_ARG(user->username),
		LAB_VIEW_ARG(cluster_run_site_name(c->run, user->site_id)),
		LAB_VIEW_ARG(user->group_name), age_ns / LAB_SEC);
}

static void print_cached_group(void *ctx, const void *row, uint64_t age_ns)
{
	const struct cluster_group *group = row;
	struct cached *c = ctx;

	if (c->only.len > 0 && !lab_view_eq(c->only, group->name))
		return;
	c->count++;
	lab_buf_printf(c->run->out, "%.*s\t%.*s\t%.*s\t%.*s\t%" PRIu64 "\n",
		LAB_VIEW_ARG(cluster_run_site_name(c->run, group->site_id)),
		LAB_VIEW_ARG(group->name),
		LAB_VIEW_ARG(cluster_run_host_name(c->run, group->backend_id)),
		LAB_VIEW_ARG(cluster_run_host_name(c->run, group->alt_backend_id)),
		age_ns / LAB_SEC);
}

/* The argument, if there is one; users' names as they are spelled. */
static int read_only(struct cached *c, enum cluster_table_id table, struct lab_error *err)
{
	struct cluster_run *r = c->run;

	if (check_host(r, err) < 0)
		return -1;
	if (r->command->argument_count == 0)
		return 0;
	c->only = cluster_run_argument(r, 0);
	return table == CLUSTER_TABLE_USER
		       ? cluster_username_normalise(c->only, r->base.arena, &c->only, err)
		       : 0;
}

static int list_cached(struct cluster_run *r, enum cluster_table_id table, const char *head,
	localdb_row_fn print, struct lab_error *err)
{
	struct cached c = { .run = r };

	if (read_only(&c, table, err) < 0)
		return -1;
	lab_buf_append_cstr(r->out, head);
	localdb_each(r->cluster->localdb, table, print, &c);
	return c.only.len > 0 && c.count == 0
		       ? lab_fail(err, LAB_NOT_FOUND, "LocalDB has no %.*s", LAB_VIEW_ARG(c.only))
		       : 0;
}

int cluster_run_list_cached_users(struct cluster_run *r, struct lab_error *err)
{
	return list_cached(
		r, CLUSTER_TABLE_USER, "user\tsite\tgroup\tage\n", print_cached_user, err);
}

int cluster_run_list_cached_groups(struct cluster_run *r, struct lab_error *err)
{
	return list_cached(r, CLUSTER_TABLE_GROUP, "site\tgroup\tbackend\talt_backend\tage\n",
		print_cached_group, err);
}

static void forget_group(void *ctx, const void *row, uint64_t age_ns)
{
	const struct cluster_group *group = row;
	struct cached *c = ctx;

	(void)age_ns;
	if (!lab_view_eq(c->only, group->name))
		return;
	c->count++;
	localdb_drop_group(c->run->cluster->localdb, group);
}

static void forget_user(void *ctx, const void *row, uint64_t age_ns)
{
	const struct cluster_user *user = row;
	struct cached *c = ctx;

	(void)age_ns;
	if (!lab_view_eq(c->only, user->username))
		return;
	c->count++;
	localdb_drop_user(c->run->cluster->localdb, user->username);
}

int cluster_run_remove_cached(struct cluster_run *r, struct lab_error *err)
{
	bool is_user = r->command->verb == CLUSTER_DO_LOCALDB_USER_REMOVE;
	enum cluster_table_id table = is_user ? CLUSTER_TABLE_USER : CLUSTER_TABLE_GROUP;
	struct cached c = { .run = r };

	if (read_only(&c, table, err) < 0)
		return -1;
	localdb_each(r->cluster->localdb, table, is_user ? forget_user : forget_group, &c);
	return c.count == 0
		       ? lab_fail(err, LAB_NOT_FOUND, "LocalDB has no %.*s", LAB_VIEW_ARG(c.only))
		       : 0;
}

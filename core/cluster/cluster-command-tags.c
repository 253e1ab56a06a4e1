/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-command-tags.c - doveadm cluster: tags; groups that are made beforehand, and what may
 * move them.
 */
#include "core/cluster/cluster-command-private.h"

#include <stdio.h>

/* ---- tags ---- */

/* 1 with the tag, 0 there is none of that name, -1. */
static int find_tag(
	struct cluster_run *r, struct lab_view name, struct cluster_tag *ret, struct lab_error *err)
{
	const struct cluster_tag *tags;
	size_t count;

	if (geodb_list(r->base.geodb, CLUSTER_TABLE_TAG, NULL, 0, r->base.arena, &tags, &count,
		    err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq(tags[i].name, name)) {
			*ret = tags[i];
			return 1;
		}
	}
	return 0;
}

static int get_tag(
	struct cluster_run *r, struct lab_view name, struct cluster_tag *ret, struct lab_error *err)
{
	int found = find_tag(r, name, ret, err);

	if (found == 0)
		return lab_fail(err, LAB_NOT_FOUND, "there is no tag %.*s", LAB_VIEW_ARG(name));
	return found < 0 ? -1 : 0;
}

static int check_new(struct cluster_run *r, struct lab_view name, struct lab_error *err)
{
	struct cluster_tag other;
	int found = find_tag(r, name, &other, err);

	return found > 0 ? lab_fail(err, LAB_EXISTS, "there is a tag %.*s", LAB_VIEW_ARG(name))
			 : found;
}

int cluster_run_tag(
	struct cluster_run *r, struct lab_view name, struct cluster_id *ret, struct lab_error *err)
{
	struct cluster_tag tag;

	if (get_tag(r, name, &tag, err) < 0)
		return -1;
	*ret = tag.id;
	return 0;
}

int cluster_run_create_tag(struct cluster_run *r, struct lab_error *err)
{
	struct cluster_tag row = { .name = cluster_run_argument(r, 0) };

	if (check_new(r, row.name, err) < 0 || cluster_run_new_id(r, &row.id, err) < 0)
		return -1;
	return geodb_put(r->base.geodb, CLUSTER_TABLE_TAG, &row, CLUSTER_ALL_COLUMNS, 0, err);
}

/* Nobody asks whether a site has it (palomar 1.2). */
int cluster_run_delete_tag(struct cluster_run *r, struct lab_error *err)
{
	struct cluster_tag tag;

	return get_tag(r, cluster_run_argument(r, 0), &tag, err) < 0
		       ? -1
		       : geodb_delete(r->base.geodb, CLUSTER_TABLE_TAG, &tag,
				 geodb_timestamp(r->base.geodb, tag.version_us), err);
}

int cluster_run_update_tag(struct cluster_run *r, struct lab_error *err)
{
	struct cluster_tag tag;

	if (get_tag(r, cluster_run_argument(r, 0), &tag, err) < 0 ||
		check_new(r, r->command->name, err) < 0)
		return -1;
	tag.name = r->command->name;
	return geodb_put(r->base.geodb, CLUSTER_TABLE_TAG, &tag, CLUSTER_ALL_COLUMNS,
		geodb_timestamp(r->base.geodb, tag.version_us), err);
}

int cluster_run_list_tags(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_tag *tags;
	char id[CLUSTER_ID_TEXT_SIZE];
	size_t count;

	if (geodb_list(r->base.geodb, CLUSTER_TABLE_TAG, NULL, 0, r->base.arena, &tags, &count,
		    err) < 0)
		return -1;
	lab_buf_append_cstr(r->out, "id\ttag\n");
	for (size_t i = 0; i < count; i++) {
		cluster_id_format(tags[i].id, id);
		lab_buf_printf(r->out, "%s\t%.*s\n", id, LAB_VIEW_ARG(tags[i].name));
	}
	return 0;
}

/* ---- site init ---- */

/* The next login assigns anew. */
static int forget_users(
	struct cluster_run *r, struct cluster_id site, size_t *ret_users, struct lab_error *err)
{
	const struct cluster_user *users;
	size_t count;

	if (geodb_list(r->base.geodb, CLUSTER_TABLE_USER, NULL, 0, r->base.arena, &users, &count,
		    err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (!cluster_id_eq(users[i].site_id, site))
			continue;
		if (geodb_delete(r->base.geodb, CLUSTER_TABLE_USER, &users[i],
			    geodb_timestamp(r->base.geodb, users[i].version_us), err) < 0)
			return -1;
		(*ret_users)++;
	}
	return 0;
}

/* A default-N group of the site. With --update it is deleted first. 1 it was made, 0 it was there
 * and stays. */
static int init_group(
	struct cluster_run *r, struct cluster_id site, const char *name, struct lab_error *err)
{
	const struct cluster_id nobody = { { 0 } };
	struct cluster_group group = { .site_id = site, .name = lab_view_cstr(name) }, after;
	int found = geodb_get(r->base.geodb, CLUSTER_TABLE_GROUP, &group, r->base.arena, err);
	const struct cluster_backend *backend;
	int64_t time_us = 0;
	uint32_t columns;

	if (found < 0 || (found > 0 && !r->command->is_update))
		return found < 0 ? -1 : 0;
	backend = cluster_pick_backend(&r->base.view, r->policy, site, group.name, nobody, 0);
	if (backend == NULL)
		return lab_fail(err, LAB_NOT_FOUND, "no backend of the site is online");
	if (found > 0) {
		time_us = geodb_timestamp(r->base.geodb, group.version_us);
		if (geodb_delete(r->base.geodb, CLUSTER_TABLE_GROUP, &group, time_us++, err) < 0)
			return -1;
	}
	group = (struct cluster_group){ .site_id = site, .name = lab_view_cstr(name) };
	columns = route_group_after(&r->base.view, r->policy, &group, backend->id, 0, &after);
	return geodb_put(r->base.geodb, CLUSTER_TABLE_GROUP, &after, columns, time_us, err) < 0 ? -1
												: 1;
}

int cluster_run_init_site(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_site *site =
		command_find_site(&r->base, cluster_run_argument(r, 0), err);
	size_t groups = 0, users = 0;

	if (site == NULL || (r->command->is_update && forget_users(r, site->id, &users, err) < 0))
		return -1;
	for (unsigned n = 1; n <= r->policy->group_count; n++) {
		char name[CLUSTER_GROUP_NAME_MAX];
		int made;

		(void)snprintf(name, sizeof(name), "default-%u", n);
		made = init_group(r, site->id, name, err);
		if (made < 0)
			return -1;
		groups += (size_t)made;
	}
	lab_buf_printf(r->out, "groups\tusers\n%zu\t%zu\n", groups, users);
	return 0;
}

/* ---- group update ---- */

int cluster_run_update_group(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_command *c = r->command;
	struct cluster_group group;
	uint32_t columns = 0;

	if (cluster_run_group(r, &group, err) < 0)
		return -1;
	if (c->sticky_users >= 0) {
		group.sticky_users = c->sticky_users;
		columns |= GROUP_COLUMN(sticky_users);
	}
	if (c->sticky_backend >= 0) {
		group.sticky_backend = c->sticky_backend;
		columns |= GROUP_COLUMN(sticky_backend);
	}
	return geodb_put(r->base.geodb, CLUSTER_TABLE_GROUP, &group, columns, 0, err);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-admin.c - what operators decide: moves of groups and users.
 */
#include "core/cluster/cluster-admin-private.h"

#include "core/base/defect.h"

#include <stdio.h>

struct command command_new(struct geodb *geodb)
{
	return (struct command){ .geodb = geodb,
		.arena = lab_arena_new(geodb_env(geodb)->heap, ARENA_MAX_BYTES) };
}

int command_read_view(struct command *command, struct lab_error *err)
{
	struct cluster_view *view = &command->view;

	if (geodb_list(command->geodb, CLUSTER_TABLE_SITE, NULL, 0, command->arena, &view->sites,
		    &view->site_count, err) < 0)
		return -1;
	return geodb_list(command->geodb, CLUSTER_TABLE_BACKEND, NULL, 0, command->arena,
		&view->backends, &view->backend_count, err);
}

const struct cluster_site *command_find_site(
	struct command *command, struct lab_view name, struct lab_error *err)
{
	const struct cluster_site *site = cluster_view_site_named(&command->view, name);

	if (site == NULL)
		lab_fail(err, LAB_NOT_FOUND, "there is no site %.*s", LAB_VIEW_ARG(name));
	return site;
}

/* ---- group move ---- */

/* Which move this is: no other has its name. */
static void name_move(struct command *command, const struct cluster_group *group, int64_t time_us)
{
	const struct cluster_backend *source =
		cluster_view_backend(&command->view, group->backend_id);

	(void)snprintf(command->move, sizeof(command->move), "%.*s:%" PRId64,
		LAB_VIEW_ARG(source == NULL ? LAB_VIEW("?") : source->host), time_us);
}

/* From where its move goes to where it began, if that takes groups (R9). */
static bool can_come_back(const struct command *command, const struct cluster_group *group,
	const struct cluster_backend *to)
{
	return route_move_target(&command->view, group) != NULL &&
	       cluster_backend_is_legal(to, group->site_id) && !lab_defect(CALLED_OFF_AT_ONCE);
}

int command_move_group(struct command *command, const struct cluster_policy *policy,
	const struct cluster_group *group, const struct cluster_backend *to, bool direct,
	struct lab_error *err)
{
	int64_t time_us = geodb_timestamp(command->geodb, group->version_us);
	uint32_t columns = GROUP_COLUMN(alt_backend_id) | GROUP_COLUMN(moving);
	bool is_there = cluster_id_eq(group->backend_id, to->id);
	struct cluster_group after = *group;

	if (is_there && group->moving.len == 0)
		return 1;
	/* A move to where it is calls off the one that runs (palomar 4.4, 18). Who has gone already
	 * has sessions there: it takes a move to bring them back. */
	if (is_there && !direct && can_come_back(command, group, to)) {
		after.backend_id = group->alt_backend_id;
		columns |= GROUP_COLUMN(backend_id);
	}
	if (direct || (is_there && cluster_id_eq(after.backend_id, to->id))) {
		columns = route_group_after(&command->view, policy, group, to->id, 0, &after);
	} else {
		name_move(command, &after, time_us);
		after.alt_backend_id = to->id;
		after.moving = lab_view_cstr(command->move);
		if (lab_defect(ORDER_WITHOUT_TARGET))
			columns = GROUP_COLUMN(moving);
	}
	if (geodb_put(command->geodb, CLUSTER_TABLE_GROUP, &after, columns, time_us, err) < 0)
		return -1;
	return is_there;
}

static int run_group_move(struct command *command, const struct cluster_policy *policy,
	struct lab_view site_name, struct lab_view group, struct lab_view host, bool direct,
	struct lab_error *err)
{
	const struct cluster_site *site;
	const struct cluster_backend *to;
	struct cluster_group row;
	int found;

	if (command_read_view(command, err) < 0)
		return -1;
	site = command_find_site(command, site_name, err);
	if (site == NULL)
		return -1;
	to = cluster_view_backend_named(&command->view, host);
	if (to == NULL || !cluster_id_eq(to->site_id, site->id))
		return lab_fail(err, LAB_NOT_FOUND, "site %.*s has no backend %.*s",
			LAB_VIEW_ARG(site_name), LAB_VIEW_ARG(host));
	row = (struct cluster_group){ .site_id = site->id, .name = group };
	found = geodb_get(command->geodb, CLUSTER_TABLE_GROUP, &row, command->arena, err);
	if (found < 0)
		return -1;
	if (found == 0)
		return lab_fail(err, LAB_NOT_FOUND, "site %.*s has no group %.*s",
			LAB_VIEW_ARG(site_name), LAB_VIEW_ARG(group));
	if (!cluster_id_eq(row.backend_id, to->id) && !cluster_backend_is_legal(to, site->id))
		return lab_fail(err, LAB_INVALID, "backend %.*s takes nobody: it is %s%s",
			LAB_VIEW_ARG(host), cluster_status_name(to->status),
			to->load_factor > 0 ? "" : ", load factor 0");
	return command_move_group(command, policy, &row, to, direct, err);
}

int cluster_group_move(struct geodb *geodb, const struct cluster_policy *policy,
	struct lab_view site, struct lab_view group, struct lab_view host, bool direct,
	struct lab_error *err)
{
	struct command command = command_new(geodb);
	int result = run_group_move(&command, policy, site, group, host, direct, err);

	lab_arena_free(&command.arena);
	return result;
}

/* ---- user move ---- */

static int run_user_move(struct command *command, struct lab_view username,
	struct lab_view site_name, struct lab_view group, int64_t now_ms, struct lab_error *err)
{
	struct cluster_user row = { .username = { NULL, 0 } };
	const struct cluster_site *site = NULL;
	int found;

	if (group.len == 0 || group.len > CLUSTER_TEXT_MAX)
		return lab_fail(
			err, LAB_INVALID, "a group's name has 1 to %d bytes", CLUSTER_TEXT_MAX);
	if (cluster_username_normalise(username, command->arena, &row.username, err) < 0 ||
		command_read_view(command, err) < 0)
		return -1;
	if (site_name.len > 0) {
		site = command_find_site(command, site_name, err);
		if (site == NULL)
			return -1;
	}
	found = geodb_get(command->geodb, CLUSTER_TABLE_USER, &row, command->arena, err);
	if (found < 0)
		return -1;
	if (found == 0)
		return lab_fail(
			err, LAB_NOT_FOUND, "there is no user %.*s", LAB_VIEW_ARG(row.username));
	row.moving_site_id = site == NULL ? row.site_id : site->id;
	row.home_site_id = row.moving_site_id;
	row.moving_group = group;
	row.moving_started = now_ms;
	return geodb_put(command->geodb, CLUSTER_TABLE_USER, &row,
		USER_COLUMN(moving_site_id) | USER_COLUMN(moving_group) |
			USER_COLUMN(moving_started) | USER_COLUMN(home_site_id),
		geodb_timestamp(command->geodb, row.version_us), err);
}

int cluster_user_move(struct geodb *geodb, struct lab_view username, struct lab_view site,
	struct lab_view group, int64_t now_ms, struct lab_error *err)
{
	struct command command = command_new(geodb);
	int result = run_user_move(&command, username, site, group, now_ms, err);

	lab_arena_free(&command.arena);
	return result;
}

/* ---- sites ---- */

#define FORCE_MOVE_COLUMNS \
	(SITE_COLUMN(force_move_id) | SITE_COLUMN(force_move_pct) | SITE_COLUMN(force_move_dest))
#define RECOVER_COLUMNS (SITE_COLUMN(recover_id) | SITE_COLUMN(recover_pct))

int cluster_site_status(struct geodb *geodb, struct lab_view site, enum cluster_status status,
	struct lab_error *err)
{
	struct command command = command_new(geodb);
	const struct cluster_site *row = NULL;
	int result = command_read_view(&command, err);

	if (result == 0)
		row = command_find_site(&command, site, err);
	if (row != NULL) {
		const struct cluster_site after = { .id = row->id, .status = status };

		result = geodb_put(geodb, CLUSTER_TABLE_SITE, &after,
			SITE_COLUMN(status) | FORCE_MOVE_COLUMNS | RECOVER_COLUMNS,
			geodb_timestamp(geodb, row->version_us), err);
	}
	lab_arena_free(&command.arena);
	return row == NULL ? -1 : result;
}

static int put_force_move(struct command *command, const struct cluster_site *site,
	struct lab_view id, unsigned pct, const struct lab_view *dest, size_t dest_count,
	struct lab_error *err)
{
	struct cluster_site after = { .id = site->id };
	uint32_t columns = dest_count > 0 ? FORCE_MOVE_COLUMNS : RECOVER_COLUMNS;
	struct lab_buf ids;

	lab_buf_init_arena(&ids, command->arena, CLUSTER_TEXT_MAX);
	for (size_t i = 0; i < dest_count; i++) {
		const struct cluster_site *to = command_find_site(command, dest[i], err);
		char text[CLUSTER_ID_TEXT_SIZE];

		if (to == NULL)
			return -1;
		cluster_id_format(to->id, text);
		lab_buf_printf(&ids, "%s%s", i == 0 ? "" : ",", text);
	}
	if (ids.overflow)
		return lab_fail(err, LAB_LIMIT, "a forced move to %zu sites", dest_count);
	after.force_move_id = after.recover_id = id;
	after.force_move_pct = after.recover_pct = pct;
	after.force_move_dest = lab_buf_view(&ids);
	return geodb_put(command->geodb, CLUSTER_TABLE_SITE, &after, columns,
		geodb_timestamp(command->geodb, site->version_us), err);
}

int cluster_site_force_move(struct geodb *geodb, struct lab_view site, struct lab_view id,
	unsigned pct, const struct lab_view *dest, size_t dest_count, struct lab_error *err)
{
	struct command command = command_new(geodb);
	const struct cluster_site *row = NULL;
	int result = -1;

	if (pct > 100 || id.len == 0 || id.len > CLUSTER_TEXT_MAX)
		lab_fail(err, LAB_INVALID, "a forced move has an id and 0 to 100 percent, not %u",
			pct);
	else if (command_read_view(&command, err) == 0)
		row = command_find_site(&command, site, err);
	if (row != NULL)
		result = put_force_move(&command, row, id, pct, dest, dest_count, err);
	lab_arena_free(&command.arena);
	return result;
}

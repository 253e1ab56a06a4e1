/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-admin-backend.c - what operators and controllers decide of backends (palomar 2.8, 3.1).
 */
#include "core/cluster/cluster-admin-private.h"

#include "core/base/defect.h"

#define FORCE_MOVE_COLUMNS \
	(BACKEND_COLUMN(force_move_id) | BACKEND_COLUMN(force_move_pct) | \
		BACKEND_COLUMN(force_move_dest))

static const struct cluster_backend *find_backend(
	struct command *command, struct lab_view host, struct lab_error *err)
{
	const struct cluster_backend *backend = NULL;

	if (command_read_view(command, err) < 0)
		return NULL;
	backend = cluster_view_backend_named(&command->view, host);
	if (backend == NULL)
		lab_fail(err, LAB_NOT_FOUND, "there is no backend %.*s", LAB_VIEW_ARG(host));
	return backend;
}

static int put_backend(struct geodb *geodb, struct lab_view host,
	const struct cluster_backend *values, uint32_t columns, struct lab_error *err)
{
	struct command command = command_new(geodb);
	const struct cluster_backend *row = find_backend(&command, host, err);
	struct cluster_backend after = *values;
	int result = -1;

	if (row != NULL) {
		after.id = row->id;
		result = geodb_put(geodb, CLUSTER_TABLE_BACKEND, &after, columns,
			geodb_timestamp(geodb, row->version_us), err);
	}
	lab_arena_free(&command.arena);
	return result;
}

int cluster_backend_status(struct geodb *geodb, struct lab_view host, enum cluster_status status,
	struct lab_error *err)
{
	const struct cluster_backend values = { .status = status };

	if (status == CLUSTER_STATUS_NONE || status == CLUSTER_EVACUATE)
		return lab_fail(err, LAB_INVALID, "a backend is online, offline or standby");
	return put_backend(geodb, host, &values, BACKEND_COLUMN(status) | FORCE_MOVE_COLUMNS, err);
}

int cluster_backend_load_factor(
	struct geodb *geodb, struct lab_view host, unsigned load_factor, struct lab_error *err)
{
	const struct cluster_backend values = { .load_factor = load_factor };

	if (load_factor > 100)
		return lab_fail(err, LAB_INVALID, "a load factor is 0 to 100, not %u", load_factor);
	return put_backend(geodb, host, &values, BACKEND_COLUMN(load_factor), err);
}

/* ---- evacuate ---- */

/* 1: it moves now, 0: it is not there or moves already; -1. */
static int evacuate_group(struct command *command, const struct cluster_policy *policy,
	const struct cluster_backend *from, const struct cluster_group *group,
	struct lab_error *err)
{
	const struct cluster_backend *to;
	int result;

	bool is_its_own =
		cluster_id_eq(group->backend_id, from->id) || lab_defect(EVACUATES_EVERYBODY);

	if (!is_its_own || group->moving.len > 0)
		return 0;
	to = cluster_pick_backend(&command->view, policy, group->site_id, group->name, from->id, 0);
	if (to == NULL)
		return lab_fail(err, LAB_UNAVAILABLE, "no other backend of the site takes groups");
	result = command_move_group(command, policy, group, to, false, err);
	return result < 0 ? -1 : result == 0;
}

static int evacuate(struct command *command, const struct cluster_policy *policy,
	const struct cluster_backend *from, size_t *ret_groups, struct lab_error *err)
{
	struct cluster_group *groups;
	size_t count;

	if (geodb_list(command->geodb, CLUSTER_TABLE_GROUP, NULL, 0, command->arena, &groups,
		    &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		int result = evacuate_group(command, policy, from, &groups[i], err);

		if (result < 0)
			return -1;
		*ret_groups += (size_t)result;
	}
	return 0;
}

int cluster_backend_evacuate(struct geodb *geodb, const struct cluster_policy *policy,
	struct lab_view host, size_t *ret_groups, struct lab_error *err)
{
	struct command command = command_new(geodb);
	const struct cluster_backend *from;
	int result = -1;

	*ret_groups = 0;
	/* First of all: nobody new comes. */
	if (cluster_backend_load_factor(geodb, host, 0, err) == 0) {
		from = find_backend(&command, host, err);
		if (from != NULL)
			result = evacuate(&command, policy, from, ret_groups, err);
	}
	lab_arena_free(&command.arena);
	return result;
}

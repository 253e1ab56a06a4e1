/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster-command-run.c - doveadm cluster: what the words do.
 */
#include "core/cluster/cluster-command-private.h"

struct lab_view cluster_run_site_name(const struct cluster_run *r, struct cluster_id id)
{
	const struct cluster_site *site = cluster_view_site(&r->base.view, id);

	return site == NULL ? LAB_VIEW("-") : site->name;
}

struct lab_view cluster_run_host_name(const struct cluster_run *r, struct cluster_id id)
{
	const struct cluster_backend *backend = cluster_view_backend(&r->base.view, id);

	return backend == NULL ? LAB_VIEW("-") : backend->host;
}

int cluster_run_new_id(const struct cluster_run *r, struct cluster_id *ret, struct lab_error *err)
{
	if (r->command->id.ptr != NULL)
		return cluster_id_parse(r->command->id, ret) == 0
			       ? 0
			       : lab_fail(err, LAB_INVALID, "--id: \"%.*s\" is not a UUID",
					 LAB_VIEW_ARG(r->command->id));
	env_guid128_generate(geodb_env(r->base.geodb), ret->bytes);
	ret->bytes[6] = (uint8_t)((ret->bytes[6] & 0x0f) | 0x40);
	ret->bytes[8] = (uint8_t)((ret->bytes[8] & 0x3f) | 0x80);
	return 0;
}

static const struct cluster_backend *find_backend(
	const struct cluster_run *r, struct lab_view host, struct lab_error *err)
{
	const struct cluster_backend *backend = cluster_view_backend_named(&r->base.view, host);

	if (backend == NULL)
		lab_fail(err, LAB_NOT_FOUND, "there is no backend %.*s", LAB_VIEW_ARG(host));
	return backend;
}

/* ---- sites ---- */

static void print_site(struct cluster_run *r, const struct cluster_site *site)
{
	lab_buf_printf(r->out, "%.*s\t%.*s\t%s\t%" PRId64 "\t%" PRId64 "\n",
		LAB_VIEW_ARG(site->name), LAB_VIEW_ARG(site->load_balancer),
		cluster_status_name(site->status), site->force_move_pct, site->recover_pct);
}

static int list_sites(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_view *view = &r->base.view;
	const struct cluster_site *only = NULL;

	if (r->command->argument_count > 0) {
		only = command_find_site(&r->base, cluster_run_argument(r, 0), err);
		if (only == NULL)
			return -1;
	}
	lab_buf_append_cstr(r->out, "site\tload_balancer\tstatus\tforce_move\trecover\n");
	for (size_t i = 0; i < view->site_count; i++) {
		if (only == NULL || only == &view->sites[i])
			print_site(r, &view->sites[i]);
	}
	return 0;
}

static int add_site(struct cluster_run *r, struct lab_error *err)
{
	struct cluster_site row = { .name = cluster_run_argument(r, 0),
		.load_balancer = r->command->load_balancer,
		.status = CLUSTER_ONLINE };
	uint32_t columns = SITE_COLUMN(name) | SITE_COLUMN(load_balancer) | SITE_COLUMN(status);

	if (cluster_view_site_named(&r->base.view, row.name) != NULL)
		return lab_fail(err, LAB_EXISTS, "there is a site %.*s", LAB_VIEW_ARG(row.name));
	if (cluster_run_new_id(r, &row.id, err) < 0)
		return -1;
	if (r->command->tag.ptr != NULL) {
		if (cluster_run_tag(r, r->command->tag, &row.tag, err) < 0)
			return -1;
		columns |= SITE_COLUMN(tag);
	}
	return geodb_put(r->base.geodb, CLUSTER_TABLE_SITE, &row, columns, 0, err);
}

/* Its hosts stop serving until they are told the new one (palomar 1.2). */
static int rename_site(
	struct cluster_run *r, const struct cluster_site *site, struct lab_error *err)
{
	const struct cluster_site after = { .id = site->id, .name = r->command->name };

	if (cluster_view_site_named(&r->base.view, after.name) != NULL)
		return lab_fail(err, LAB_EXISTS, "there is a site %.*s", LAB_VIEW_ARG(after.name));
	return geodb_put(r->base.geodb, CLUSTER_TABLE_SITE, &after, SITE_COLUMN(name),
		geodb_timestamp(r->base.geodb, site->version_us), err);
}

static int update_site(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_site *site =
		command_find_site(&r->base, cluster_run_argument(r, 0), err);
	struct cluster_site after;

	if (site == NULL)
		return -1;
	if (r->command->load_balancer.ptr != NULL) {
		after = (struct cluster_site){ .id = site->id,
			.load_balancer = r->command->load_balancer };
		if (geodb_put(r->base.geodb, CLUSTER_TABLE_SITE, &after, SITE_COLUMN(load_balancer),
			    0, err) < 0)
			return -1;
	}
	if (r->command->status != CLUSTER_STATUS_NONE &&
		cluster_site_status(r->base.geodb, site->name, r->command->status, err) < 0)
		return -1;
	return r->command->name.len == 0 ? 0 : rename_site(r, site, err);
}

static int remove_site(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_site *site =
		command_find_site(&r->base, cluster_run_argument(r, 0), err);

	return site == NULL ? -1
			    : geodb_delete(r->base.geodb, CLUSTER_TABLE_SITE, site,
				      geodb_timestamp(r->base.geodb, site->version_us), err);
}

static int list_reachability(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_reachability *rows;
	size_t count;

	if (geodb_list(r->base.geodb, CLUSTER_TABLE_REACHABILITY, NULL, 0, r->base.arena, &rows,
		    &count, err) < 0)
		return -1;
	lab_buf_append_cstr(r->out, "source\tdestination\treachable\n");
	for (size_t i = 0; i < count; i++)
		lab_buf_printf(r->out, "%.*s\t%.*s\t%s\n",
			LAB_VIEW_ARG(cluster_run_site_name(r, rows[i].src_site_id)),
			LAB_VIEW_ARG(cluster_run_site_name(r, rows[i].dest_site_id)),
			rows[i].reachable != 0 ? "yes" : "no");
	return 0;
}

/* One that has no name of its own has the site's. */
static int force_move(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_command *c = r->command;
	struct lab_view id = c->id.len > 0 ? c->id : c->arguments[0];
	bool is_stop = c->verb == CLUSTER_DO_SITE_FORCE_STOP;
	bool is_recover = c->verb == CLUSTER_DO_SITE_RECOVER;

	return cluster_site_force_move(r->base.geodb, c->arguments[0], id, is_stop ? 0 : c->percent,
		is_stop ? c->arguments : c->arguments + 2,
		is_recover ? 0
		: is_stop  ? 1
			   : c->argument_count - 2,
		err);
}

/* ---- backends ---- */

static int list_backends(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_view *view = &r->base.view;
	const struct cluster_backend *only = NULL;
	const struct cluster_site *site = NULL;

	if (r->command->argument_count > 0) {
		only = find_backend(r, cluster_run_argument(r, 0), err);
		if (only == NULL)
			return -1;
	}
	if (r->command->site.ptr != NULL) {
		site = command_find_site(&r->base, r->command->site, err);
		if (site == NULL)
			return -1;
	}
	lab_buf_append_cstr(r->out, "host\tsite\tstatus\tload_factor\n");
	for (size_t i = 0; i < view->backend_count; i++) {
		const struct cluster_backend *b = &view->backends[i];

		if ((only != NULL && only != b) ||
			(site != NULL && !cluster_id_eq(b->site_id, site->id)))
			continue;
		lab_buf_printf(r->out, "%.*s\t%.*s\t%s\t%" PRId64 "\n", LAB_VIEW_ARG(b->host),
			LAB_VIEW_ARG(cluster_run_site_name(r, b->site_id)),
			cluster_status_name(b->status), b->load_factor);
	}
	return 0;
}

/* Four numbers with dots, or anything with a colon. */
static bool is_address(struct lab_view host)
{
	bool has_letter = false;

	for (size_t i = 0; i < host.len; i++) {
		uint8_t byte = host.ptr[i];

		if (byte == ':')
			return true;
		has_letter = has_letter || !((byte >= '0' && byte <= '9') || byte == '.');
	}
	return !has_letter;
}

static int check_new_host(const struct cluster_run *r, struct lab_view host, struct lab_error *err)
{
	if (is_address(host))
		return lab_fail(err, LAB_INVALID, "a backend is known by its name in DNS, not %.*s",
			LAB_VIEW_ARG(host));
	if (cluster_view_backend_named(&r->base.view, host) != NULL)
		return lab_fail(err, LAB_EXISTS, "there is a backend %.*s", LAB_VIEW_ARG(host));
	return 0;
}

static int add_backend(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_site *site = command_find_site(&r->base, r->command->site, err);
	struct cluster_backend row = {
		.host = cluster_run_argument(r, 0), .status = CLUSTER_STANDBY, .load_factor = 100
	};

	if (site == NULL)
		return -1;
	if (check_new_host(r, row.host, err) < 0 || cluster_run_new_id(r, &row.id, err) < 0)
		return -1;
	row.site_id = site->id;
	return geodb_put(r->base.geodb, CLUSTER_TABLE_BACKEND, &row, CLUSTER_ALL_COLUMNS, 0, err);
}

/* Proxies go to the new name; the host refuses until its cluster_backend_name is that. */
static int rename_backend(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_backend *backend = find_backend(r, cluster_run_argument(r, 0), err);
	struct cluster_backend after = { .host = r->command->name };

	if (backend == NULL || check_new_host(r, after.host, err) < 0)
		return -1;
	after.id = backend->id;
	return geodb_put(r->base.geodb, CLUSTER_TABLE_BACKEND, &after, BACKEND_COLUMN(host),
		geodb_timestamp(r->base.geodb, backend->version_us), err);
}

static int update_backend(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_command *c = r->command;

	if (c->load_factor >= 0 && cluster_backend_load_factor(r->base.geodb, c->arguments[0],
					   (unsigned)c->load_factor, err) < 0)
		return -1;
	if (c->status != CLUSTER_STATUS_NONE &&
		cluster_backend_status(r->base.geodb, c->arguments[0], c->status, err) < 0)
		return -1;
	return c->name.len == 0 ? 0 : rename_backend(r, err);
}

static int remove_backend(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_backend *backend = find_backend(r, cluster_run_argument(r, 0), err);

	return backend == NULL ? -1
			       : geodb_delete(r->base.geodb, CLUSTER_TABLE_BACKEND, backend,
					 geodb_timestamp(r->base.geodb, backend->version_us), err);
}

static int evacuate(struct cluster_run *r, struct lab_error *err)
{
	size_t groups;

	if (cluster_backend_evacuate(
		    r->base.geodb, r->policy, cluster_run_argument(r, 0), &groups, err) < 0)
		return -1;
	lab_buf_printf(r->out, "groups\n%zu\n", groups);
	return 0;
}

/* ---- groups ---- */

static void print_group(struct cluster_run *r, const struct cluster_group *group)
{
	lab_buf_printf(r->out, "%.*s\t%.*s\t%.*s\t%.*s\t%.*s\n",
		LAB_VIEW_ARG(cluster_run_site_name(r, group->site_id)), LAB_VIEW_ARG(group->name),
		LAB_VIEW_ARG(cluster_run_host_name(r, group->backend_id)),
		LAB_VIEW_ARG(cluster_run_host_name(r, group->alt_backend_id)),
		LAB_VIEW_ARG(group->moving));
}

static const char group_head[] = "site\tgroup\tbackend\talt_backend\tmoving\n";

static int list_groups(struct cluster_run *r, struct lab_error *err)
{
	const struct cluster_site *site = NULL;
	struct cluster_group *groups;
	size_t count;

	if (r->command->site.ptr != NULL) {
		site = command_find_site(&r->base, r->command->site, err);
		if (site == NULL)
			return -1;
	}
	if (geodb_list(r->base.geodb, CLUSTER_TABLE_GROUP, NULL, 0, r->base.arena, &groups, &count,
		    err) < 0)
		return -1;
	lab_buf_append_cstr(r->out, group_head);
	for (size_t i = 0; i < count; i++) {
		if (site == NULL || cluster_id_eq(groups[i].site_id, site->id))
			print_group(r, &groups[i]);
	}
	return 0;
}

int cluster_run_group(struct cluster_run *r, struct cluster_group *ret, struct lab_error *err)
{
	const struct cluster_site *site =
		command_find_site(&r->base, cluster_run_argument(r, 0), err);
	int found;

	if (site == NULL)
		return -1;
	*ret = (struct cluster_group){ .site_id = site->id, .name = cluster_run_argument(r, 1) };
	found = geodb_get(r->base.geodb, CLUSTER_TABLE_GROUP, ret, r->base.arena, err);
	if (found == 0)
		return lab_fail(err, LAB_NOT_FOUND, "site %.*s has no group %.*s",
			LAB_VIEW_ARG(site->name), LAB_VIEW_ARG(cluster_run_argument(r, 1)));
	return found < 0 ? -1 : 0;
}

static int show_group(struct cluster_run *r, struct lab_error *err)
{
	struct cluster_group group;

	if (cluster_run_group(r, &group, err) < 0)
		return -1;
	lab_buf_append_cstr(r->out, group_head);
	print_group(r, &group);
	return 0;
}

static int move_group(struct cluster_run *r, struct lab_error *err)
{
	return cluster_group_move(r->base.geodb, r->policy, cluster_run_argument(r, 0),
		       cluster_run_argument(r, 1), cluster_run_argument(r, 2),
		       r->command->is_direct, err) < 0
		       ? -1
		       : 0;
}

/* ---- users ---- */

static int get_user(struct cluster_run *r, struct cluster_user *ret, struct lab_error *err)
{
	int found;

	*ret = (struct cluster_user){ .username = { NULL, 0 } };
	if (cluster_username_normalise(
		    cluster_run_argument(r, 0), r->base.arena, &ret->username, err) < 0)
		return -1;
	found = geodb_get(r->base.geodb, CLUSTER_TABLE_USER, ret, r->base.arena, err);
	if (found == 0)
		return lab_fail(err, LAB_NOT_FOUND, "there is no user %.*s",
			LAB_VIEW_ARG(cluster_run_argument(r, 0)));
	return found < 0 ? -1 : 0;
}

static int show_user(struct cluster_run *r, struct lab_error *err)
{
	struct cluster_user user;

	if (get_user(r, &user, err) < 0)
		return -1;
	lab_buf_append_cstr(
		r->out, "user\tsite\tgroup\tfailover_site\thome_site\tmoving_group\tlast_host\n");
	lab_buf_printf(r->out, "%.*s\t%.*s\t%.*s\t%.*s\t%.*s\t%.*s\t%.*s\n",
		LAB_VIEW_ARG(user.username), LAB_VIEW_ARG(cluster_run_site_name(r, user.site_id)),
		LAB_VIEW_ARG(user.group_name),
		LAB_VIEW_ARG(cluster_run_site_name(r, user.failover_site_id)),
		LAB_VIEW_ARG(cluster_run_site_name(r, user.home_site_id)),
		LAB_VIEW_ARG(user.moving_group), LAB_VIEW_ARG(user.metacache_last_host));
	return 0;
}

static int move_user(struct cluster_run *r, struct lab_error *err)
{
	int64_t now_ms = (int64_t)(env_wall_us(geodb_env(r->base.geodb)) / 1000);

	return cluster_user_move(r->base.geodb, cluster_run_argument(r, 0), r->command->site,
		cluster_run_argument(r, 1), now_ms, err);
}

static int delete_user(struct cluster_run *r, struct lab_error *err)
{
	struct cluster_user user;

	return get_user(r, &user, err) < 0
		       ? -1
		       : geodb_delete(r->base.geodb, CLUSTER_TABLE_USER, &user,
				 geodb_timestamp(r->base.geodb, user.version_us), err);
}

/* ---- all of them ---- */

static int (*const functions[CLUSTER_COMMAND_COUNT])(
	struct cluster_run *r, struct lab_error *err) = {
	[CLUSTER_DO_TAG_CREATE] = cluster_run_create_tag,
	[CLUSTER_DO_TAG_DELETE] = cluster_run_delete_tag,
	[CLUSTER_DO_TAG_UPDATE] = cluster_run_update_tag,
	[CLUSTER_DO_TAG_LIST] = cluster_run_list_tags,
	[CLUSTER_DO_SITE_ADD] = add_site,
	[CLUSTER_DO_SITE_INIT] = cluster_run_init_site,
	[CLUSTER_DO_SITE_REMOVE] = remove_site,
	[CLUSTER_DO_SITE_UPDATE] = update_site,
	[CLUSTER_DO_SITE_STATUS] = list_sites,
	[CLUSTER_DO_SITE_LIST] = list_sites,
	[CLUSTER_DO_SITE_REACHABILITY] = list_reachability,
	[CLUSTER_DO_SITE_FORCE_MOVE] = force_move,
	[CLUSTER_DO_SITE_FORCE_STOP] = force_move,
	[CLUSTER_DO_SITE_RECOVER] = force_move,
	[CLUSTER_DO_BACKEND_ADD] = add_backend,
	[CLUSTER_DO_BACKEND_REMOVE] = remove_backend,
	[CLUSTER_DO_BACKEND_UPDATE] = update_backend,
	[CLUSTER_DO_BACKEND_STATUS] = list_backends,
	[CLUSTER_DO_BACKEND_LIST] = list_backends,
	[CLUSTER_DO_BACKEND_EVACUATE] = evacuate,
	[CLUSTER_DO_GROUP_LIST] = list_groups,
	[CLUSTER_DO_GROUP_STATUS] = show_group,
	[CLUSTER_DO_GROUP_MOVE] = move_group,
	[CLUSTER_DO_GROUP_UPDATE] = cluster_run_update_group,
	[CLUSTER_DO_GROUP_ACCESS] = cluster_run_access_group,
	[CLUSTER_DO_USER_STATUS] = show_user,
	[CLUSTER_DO_USER_MOVE] = move_user,
	[CLUSTER_DO_USER_DELETE] = delete_user,
	[CLUSTER_DO_USER_ACCESS] = cluster_run_access_user,
	[CLUSTER_DO_GEODB_REFRESH] = cluster_run_refresh,
	[CLUSTER_DO_LOCALDB_USER_LIST] = cluster_run_list_cached_users,
	[CLUSTER_DO_LOCALDB_USER_STATUS] = cluster_run_list_cached_users,
	[CLUSTER_DO_LOCALDB_USER_REMOVE] = cluster_run_remove_cached,
	[CLUSTER_DO_LOCALDB_GROUP_LIST] = cluster_run_list_cached_groups,
	[CLUSTER_DO_LOCALDB_GROUP_STATUS] = cluster_run_list_cached_groups,
	[CLUSTER_DO_LOCALDB_GROUP_REMOVE] = cluster_run_remove_cached,
	[CLUSTER_DO_KICK] = cluster_run_kick,
};

int cluster_command_run(struct geodb *geodb, struct cluster *cluster,
	const struct cluster_policy *policy, const struct cluster_command *command,
	struct lab_buf *out, struct lab_error *err)
{
	struct cluster_run r = { .base = command_new(geodb),
		.cluster = cluster,
		.policy = policy,
		.command = command,
		.out = out };
	int result = command_read_view(&r.base, err);

	if (result == 0)
		result = functions[command->verb](&r, err);
	lab_arena_free(&r.base.arena);
	return result;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * role-statements.c - CREATE, ALTER, DROP, GRANT, REVOKE and LIST of roles and permissions. Each
 * checks in the order in which Cassandra does: what the user may, what the options say, who exists.
 */
#include "sim/cql-emulator/describe.h"
#include "sim/cql-emulator/roles.h"

struct actor {
	struct cqlemu *emu;
	struct lab_arena *arena;
	struct cqle_role *user; /* NULL: set-up, which may do everything */
	const struct role_statement *s;
	struct lab_view keyspace; /* the session's */
	struct cqle_role_answer *answer;
	struct lab_error *err;
};

static int unauthorized(const struct actor *a, const char *text)
{
	return cqle_fail(a->err, CQL_E_UNAUTHORIZED, "%s", text);
}

static int missing(const struct actor *a, struct lab_view name)
{
	return cqle_fail(a->err, CQL_E_INVALID, "%.*s doesn't exist", LAB_VIEW_ARG(name));
}

static bool is_super(const struct actor *a)
{
	return a->user == NULL || cqle_role_is_super(a->emu->auth, a->user);
}

static int need_on_role(const struct actor *a, struct lab_view name, enum cqle_permission p)
{
	struct cqle_resource resource = { .kind = name.ptr == NULL ? CQLE_ALL_ROLES : CQLE_ROLE,
		.name = name };
	if (a->user == NULL || (cqle_permissions(a->emu, a->user, &resource) & (1u << p)) != 0)
		return 0;
	return cqle_fail(a->err, CQL_E_UNAUTHORIZED,
		"User %.*s does not have sufficient privileges to perform the requested operation",
		LAB_VIEW_ARG(a->user->name));
}

static int check_options(const struct actor *a)
{
	const struct role_statement *s = a->s;
	if (s->has_options || (s->has_password && a->emu->auth == NULL))
		return cqle_fail(a->err, CQL_E_INVALID,
			"org.apache.cassandra.auth.CassandraRoleManager doesn't support %s",
			s->has_password && a->emu->auth == NULL ? "PASSWORD" : "OPTIONS");
	for (size_t i = 0; i < s->datacenter_count; i++) {
		bool known = false;
		for (size_t dc = 0; dc < a->emu->dc_count; dc++)
			known = known || lab_view_eq(a->emu->dc_names[dc], s->datacenters[i]);
		if (!known)
			return cqle_fail(a->err, CQL_E_INVALID,
				"Invalid value(s) for DATACENTERS '[%.*s]',All values must be "
				"valid datacenters",
				LAB_VIEW_ARG(s->datacenters[i]));
	}
	return 0;
}

static int create_role(const struct actor *a)
{
	const struct role_statement *s = a->s;
	struct cqle_resource resource = { .kind = CQLE_ROLE, .name = s->role };
	if (need_on_role(a, lab_view_of(NULL, 0), CQLE_CREATE) < 0)
		return -1;
	if (s->superuser && !is_super(a))
		return unauthorized(a, "Only superusers can create a role with superuser status");
	if (check_options(a) < 0)
		return -1;
	if (s->role.len == 0)
		return cqle_fail(a->err, CQL_E_INVALID, "Role name can't be an empty string");
	if (s->role.len > CQLE_ROLE_NAME_MAX)
		return cqle_fail(a->err, CQL_E_INVALID, "a role's name is longer than %d bytes",
			CQLE_ROLE_NAME_MAX);
	if (cqle_role_find(a->emu->auth, s->role) != NULL)
		return s->if_not_exists ? 0
					: cqle_fail(a->err, CQL_E_INVALID, "%.*s already exists",
						  LAB_VIEW_ARG(s->role));
	struct cqle_role *role = cqle_role_create(a->emu, s->role, s->login, s->superuser);
	if (role == NULL)
		return cqle_fail(a->err, CQL_E_INVALID, "more than %d roles", CQLE_ROLES_MAX);
	if (s->has_password)
		cqle_role_set_password(a->emu, role, s->password);
	return a->user == NULL ? 0
			       : cqle_grant(a->emu, a->user, &resource,
					 cqle_resource_permissions(&resource), a->err);
}

static int may_alter(const struct actor *a, struct cqle_role *role)
{
	const struct role_statement *s = a->s;
	bool own = a->user != NULL && role != NULL &&
		   cqle_role_is_member(a->emu->auth, a->user, role, true);
	if (s->has_superuser && own)
		return unauthorized(a, "You aren't allowed to alter your own superuser status or "
				       "that of a role granted to you");
	if (s->has_superuser && !is_super(a))
		return unauthorized(a, "Only superusers are allowed to alter superuser status");
	if (is_super(a))
		return 0;
	if (!lab_view_eq(a->user->name, s->role))
		return need_on_role(a, s->role, CQLE_ALTER);
	return s->has_login ? unauthorized(a, "You aren't allowed to alter LOGIN") : 0;
}

static int alter_role(const struct actor *a)
{
	const struct role_statement *s = a->s;
	struct cqle_role *role = cqle_role_find(a->emu->auth, s->role);
	if (may_alter(a, role) < 0 || check_options(a) < 0)
		return -1;
	if (!s->has_password && !s->has_login && !s->has_superuser && !s->has_datacenters)
		return cqle_fail(a->err, CQL_E_INVALID, "ALTER [ROLE|USER] can't be empty");
	if (role == NULL)
		return missing(a, s->role);
	if (s->has_datacenters)
		return cqle_fail(a->err, CQL_E_INVALID,
			"ACCESS TO DATACENTERS operations not supported by "
			"AllowAllNetworkAuthorizer");
	if (s->has_password)
		cqle_role_set_password(a->emu, role, s->password);
	if (s->has_login)
		role->can_login = s->login;
	if (s->has_superuser)
		role->superuser = s->superuser;
	a->emu->metadata_version++;
	return 0;
}

static int drop_role(const struct actor *a)
{
	struct cqle_auth *auth = a->emu->auth;
	struct cqle_role *role = cqle_role_find(auth, a->s->role);
	struct cqle_resource resource = { .kind = CQLE_ROLE, .name = a->s->role };
	if (need_on_role(a, a->s->role, CQLE_DROP) < 0)
		return -1;
	if (role != NULL && cqle_role_is_super(auth, role) && !is_super(a))
		return unauthorized(a, "Only superusers can drop a role with superuser status");
	if (role == NULL)
		return a->s->if_exists ? 0 : missing(a, a->s->role);
	if (role == a->user)
		return cqle_fail(
			a->err, CQL_E_INVALID, "Cannot DROP primary role for current login");
	cqle_revoke_from(a->emu, role);
	cqle_revoke_on(a->emu, &resource);
	for (size_t i = 0; i < auth->role_count; i++)
		cqle_member_remove(a->emu, auth->roles[i], role);
	/* What it was a member of stays in role_members, as in Cassandra. */
	role->exists = role->superuser = role->can_login = role->has_password = false;
	return 0;
}

static int grant_role(const struct actor *a)
{
	struct cqle_auth *auth = a->emu->auth;
	bool revoke = a->s->verb == ROLE_REVOKE;
	if (need_on_role(a, a->s->role, CQLE_AUTHORIZE) < 0)
		return -1;
	struct cqle_role *role = cqle_role_find(auth, a->s->role);
	struct cqle_role *grantee = cqle_role_find(auth, a->s->grantee);
	if (role == NULL)
		return missing(a, a->s->role);
	if (grantee == NULL)
		return missing(a, a->s->grantee);
	if (revoke && !cqle_role_is_member(auth, grantee, role, false))
		return cqle_fail(a->err, CQL_E_INVALID, "%.*s is not a member of %.*s",
			LAB_VIEW_ARG(grantee->name), LAB_VIEW_ARG(role->name));
	if (revoke) {
		cqle_member_remove(a->emu, grantee, role);
		return 0;
	}
	bool backwards = cqle_role_is_member(auth, role, grantee, true);
	if (backwards || cqle_role_is_member(auth, grantee, role, true))
		return cqle_fail(a->err, CQL_E_INVALID, "%.*s is a member of %.*s",
			LAB_VIEW_ARG(backwards ? role->name : grantee->name),
			LAB_VIEW_ARG(backwards ? grantee->name : role->name));
	cqle_member_add(a->emu, grantee, role);
	return 0;
}

/* ---- permissions ---- */

static bool resource_exists(const struct cqlemu *emu, const struct cqle_resource *r)
{
	if (r->kind == CQLE_KEYSPACE || r->kind == CQLE_FUNCTIONS_OF)
		return cqle_keyspace_find(emu, r->keyspace) != NULL &&
		       !cqle_keyspace_is_virtual(r->keyspace);
	if (r->kind == CQLE_TABLE)
		return cqle_table_find(emu, r->keyspace, r->name) != NULL;
	return r->kind != CQLE_ROLE || cqle_role_find(emu->auth, r->name) != NULL;
}

static int qualify(const struct actor *a, struct cqle_resource *ret)
{
	*ret = a->s->resource;
	if (ret->kind != CQLE_TABLE || ret->keyspace.ptr != NULL)
		return 0;
	ret->keyspace = a->keyspace;
	if (ret->keyspace.ptr == NULL)
		return cqle_fail(a->err, CQL_E_INVALID,
			"No keyspace has been specified. USE a keyspace, or explicitly specify "
			"keyspace.tablename");
	return 0;
}

static int may_grant(const struct actor *a, const struct cqle_resource *resource)
{
	if (a->user == NULL)
		return 0;
	if (cqle_ensure(a->emu, a->user, resource, CQLE_AUTHORIZE, a->err) < 0)
		return -1;
	for (unsigned i = 0; i < CQLE_PERMISSION_COUNT; i++) {
		if ((a->s->permissions & (1u << i)) != 0 &&
			cqle_ensure(a->emu, a->user, resource, (enum cqle_permission)i, a->err) < 0)
			return -1;
	}
	return 0;
}

static int grant_permission(const struct actor *a)
{
	struct cqle_resource resource;
	if (qualify(a, &resource) < 0 || may_grant(a, &resource) < 0)
		return -1;
	struct cqle_role *role = cqle_role_find(a->emu->auth, a->s->role);
	if (role == NULL)
		return cqle_fail(
			a->err, CQL_E_INVALID, "Role %.*s doesn't exist", LAB_VIEW_ARG(a->s->role));
	if (!resource_exists(a->emu, &resource))
		return cqle_fail(a->err, CQL_E_INVALID, "Resource %s doesn't exist",
			cqle_resource_text(a->arena, &resource));
	if (a->s->verb == PERMISSION_GRANT)
		return cqle_grant(a->emu, role, &resource, a->s->permissions, a->err);
	cqle_revoke(a->emu, role, &resource, a->s->permissions);
	return 0;
}

/* ---- lists ---- */

#define LIST_COLUMNS_MAX 5

static void answer_columns(const struct actor *a, const struct cql_column *columns, size_t count)
{
	a->answer->columns = lab_arena_array(a->arena, struct cql_column, count);
	memcpy(a->answer->columns, columns, count * sizeof(*columns));
	a->answer->column_count = count;
}

static struct lab_view *answer_row(const struct actor *a)
{
	struct cqle_role_answer *r = a->answer;
	if (r->row_count == r->row_capacity) {
		size_t capacity = r->row_capacity == 0 ? 16 : 2 * r->row_capacity;
		struct lab_view *cells =
			lab_arena_array(a->arena, struct lab_view, capacity * LIST_COLUMNS_MAX);
		if (r->row_count > 0)
			memcpy(cells, r->cells,
				r->row_count * r->column_count * sizeof(struct lab_view));
		r->cells = cells;
		r->row_capacity = capacity;
	}
	return &r->cells[r->row_count++ * r->column_count];
}

static struct lab_view boolean(bool value)
{
	return lab_view_of(value ? "\1" : "\0", 1);
}

static struct cql_type map_params[] = { { .id = CQL_TYPE_TEXT }, { .id = CQL_TYPE_TEXT } };
#define COLUMN(table_name, column_name, ...) \
	{ \
		.keyspace = LAB_VIEW("system_auth"), .table = LAB_VIEW(table_name), \
		.name = LAB_VIEW(column_name), .type = { \
			__VA_ARGS__ \
		} \
	}
static const struct cql_column role_columns[] = { COLUMN("roles", "role", .id = CQL_TYPE_TEXT),
	COLUMN("roles", "super", .id = CQL_TYPE_BOOLEAN),
	COLUMN("roles", "login", .id = CQL_TYPE_BOOLEAN),
	COLUMN("roles", "options", .id = CQL_TYPE_MAP, .params = map_params, .param_count = 2),
	COLUMN("roles", "datacenters", .id = CQL_TYPE_TEXT) };
static const struct cql_column user_columns[] = { COLUMN("users", "name", .id = CQL_TYPE_TEXT),
	COLUMN("users", "super", .id = CQL_TYPE_BOOLEAN),
	COLUMN("users", "datacenters", .id = CQL_TYPE_TEXT) };
static const struct cql_column permission_columns[] = { COLUMN("permissions", "role",
								.id = CQL_TYPE_TEXT),
	COLUMN("permissions", "username", .id = CQL_TYPE_TEXT),
	COLUMN("permissions", "resource", .id = CQL_TYPE_TEXT),
	COLUMN("permissions", "permission", .id = CQL_TYPE_TEXT) };

static void list_row(const struct actor *a, struct cqle_role *role)
{
	bool users = a->s->verb == ROLE_LIST_USERS;
	if (!role->exists || (users && !role->can_login))
		return;
	struct lab_view *cells = answer_row(a);
	*cells++ = role->name;
	*cells++ = boolean(users ? cqle_role_is_super(a->emu->auth, role) : role->superuser);
	if (!users) {
		*cells++ = boolean(role->can_login);
		*cells++ = lab_view_of("\0\0\0\0", 4);
	}
	*cells = LAB_VIEW("ALL");
}

/* Those of the walk that `wanted` marks, in the order of their names. */
static void list_walked(const struct actor *a, struct cqle_role *role, bool recursive)
{
	struct cqle_auth *auth = a->emu->auth;
	(void)cqle_roles_of(auth, role, recursive);
	uint64_t mark = auth->marks;
	bool *wanted = lab_arena_array(a->arena, bool, auth->role_count);
	for (size_t i = 0; i < auth->role_count; i++)
		wanted[i] = auth->roles[i]->mark == mark;
	for (size_t i = 0; i < auth->role_count; i++) {
		if (wanted[i])
			list_row(a, auth->roles[i]);
	}
}

static int list_roles(const struct actor *a)
{
	struct cqle_auth *auth = a->emu->auth;
	const struct cqle_resource root = { .kind = CQLE_ALL_ROLES };
	bool named = a->s->role.ptr != NULL;
	struct cqle_role *role = named ? cqle_role_find(auth, a->s->role) : NULL;
	if (named && role == NULL)
		return cqle_fail(a->err, CQL_E_INVALID, "<role %.*s> doesn't exist",
			LAB_VIEW_ARG(a->s->role));
	bool users = a->s->verb == ROLE_LIST_USERS;
	if (users)
		answer_columns(a, user_columns, LAB_COUNT_OF(user_columns));
	else
		answer_columns(a, role_columns, LAB_COUNT_OF(role_columns));
	bool all = a->user == NULL ||
		   (cqle_permissions(a->emu, a->user, &root) & (1u << CQLE_DESCRIBE)) != 0;
	if (all && !named) {
		for (size_t i = 0; i < auth->role_count; i++)
			list_row(a, auth->roles[i]);
		return 0;
	}
	if (!all && named && !cqle_role_is_member(auth, a->user, role, true))
		return cqle_fail(a->err, CQL_E_UNAUTHORIZED,
			"You are not authorized to view roles granted to %.*s ",
			LAB_VIEW_ARG(a->s->role));
	list_walked(a, named ? role : a->user, !a->s->no_recursive);
	return 0;
}

static void list_grant(const struct actor *a, const struct cqle_grant *g)
{
	for (unsigned i = 0; i < CQLE_PERMISSION_COUNT; i++) {
		if ((g->permissions & a->s->permissions & (1u << i)) == 0)
			continue;
		struct lab_view *cells = answer_row(a);
		*cells++ = g->role->name;
		*cells++ = g->role->name;
		*cells++ = lab_view_cstr(cqle_resource_text(a->arena, &g->resource));
		*cells = lab_view_cstr(cqle_permission_names[i]);
	}
}

/* Is it about the resource, or, if recursive, something that this is part of? */
static bool concerns(
	const struct actor *a, const struct cqle_grant *g, const struct cqle_resource *resource)
{
	struct cqle_resource r = *resource;
	if (r.kind == CQLE_NO_RESOURCE)
		return true;
	for (; r.kind != CQLE_NO_RESOURCE; r = cqle_resource_parent(&r)) {
		if (lab_view_eq(cqle_resource_name(a->arena, &r), g->name))
			return true;
		if (a->s->no_recursive)
			break;
	}
	return false;
}

static int list_permissions(const struct actor *a)
{
	struct cqle_auth *auth = a->emu->auth;
	struct cqle_resource resource;
	bool named = a->s->role.ptr != NULL;
	struct cqle_role *role = named ? cqle_role_find(auth, a->s->role) : NULL;
	if (qualify(a, &resource) < 0)
		return -1;
	if (!resource_exists(a->emu, &resource))
		return cqle_fail(a->err, CQL_E_INVALID, "%s doesn't exist",
			cqle_resource_text(a->arena, &resource));
	if (named && role == NULL)
		return cqle_fail(a->err, CQL_E_INVALID, "<role %.*s> doesn't exist",
			LAB_VIEW_ARG(a->s->role));
	if (!is_super(a) && !(named && cqle_role_is_member(auth, a->user, role, true)))
		return cqle_fail(a->err, CQL_E_UNAUTHORIZED,
			"You are not authorized to view %.*s's permissions",
			LAB_VIEW_ARG(named ? role->name : LAB_VIEW("everyone")));
	answer_columns(a, permission_columns, LAB_COUNT_OF(permission_columns));
	if (named)
		(void)cqle_roles_of(auth, role, true);
	for (size_t i = 0; i < auth->grant_count; i++) {
		const struct cqle_grant *g = &auth->grants[i];
		if ((!named || g->role->mark == auth->marks) && concerns(a, g, &resource))
			list_grant(a, g);
	}
	return 0;
}

static int run(const struct actor *a)
{
	switch (a->s->verb) {
	case ROLE_CREATE:
		return create_role(a);
	case ROLE_ALTER:
		return alter_role(a);
	case ROLE_DROP:
		return drop_role(a);
	case ROLE_LIST:
	case ROLE_LIST_USERS:
		return list_roles(a);
	case ROLE_GRANT:
	case ROLE_REVOKE:
		return grant_role(a);
	case PERMISSION_GRANT:
	case PERMISSION_REVOKE:
		return grant_permission(a);
	case PERMISSION_LIST:
		return list_permissions(a);
	}
	return 0;
}

int cqle_role_run(struct cqlemu *emu, struct lab_arena *arena, struct cqle_role *user,
	const struct statement *s, struct lab_view keyspace, struct cqle_role_answer *ret,
	struct lab_error *err)
{
	const struct actor a = { emu, arena, user, s->role, keyspace, ret, err };
	*ret = (struct cqle_role_answer){ .row_count = 0 };
	if (emu->auth != NULL)
		return run(&a);
	if ((s->role->verb == ROLE_CREATE || s->role->verb == ROLE_ALTER) && check_options(&a) < 0)
		return -1;
	return unauthorized(
		&a, "You have to be logged in and not anonymous to perform this request");
}

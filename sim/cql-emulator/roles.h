/* SPDX-License-Identifier: Apache-2.0
 *
 * roles.h - roles, permissions and the statements about them, as PasswordAuthenticator,
 * CassandraRoleManager and CassandraAuthorizer of 4.0 have them (caches off: a change is seen at
 * once, by every node). AllowAllNetworkAuthorizer, so nobody is kept from a data centre.
 *
 * Shape      Role structs are never freed, so that connections can point to theirs: DROP ROLE
 *            clears `exists`, CREATE ROLE of the same name takes the struct again.
 * Limits     CQLE_ROLES_MAX names, CQLE_GRANTS_MAX pairs of role and resource.
 * Secrets    A password is kept as a salted HMAC, compared in constant time, and shown nowhere:
 *            system_auth.roles.salted_hash is null.
 */
#ifndef LAB_CQL_EMULATOR_ROLES_H
#define LAB_CQL_EMULATOR_ROLES_H

#include "sim/cql-emulator/cql-emulator-private.h"

#define CQLE_ROLES_MAX 1024
#define CQLE_GRANTS_MAX 16384
#define CQLE_ROLE_NAME_MAX 1024 /* bytes */

/* In the order in which Cassandra lists them. */
enum cqle_permission {
	CQLE_CREATE,
	CQLE_ALTER,
	CQLE_DROP,
	CQLE_SELECT,
	CQLE_MODIFY,
	CQLE_AUTHORIZE,
	CQLE_DESCRIBE,
	CQLE_EXECUTE,
	CQLE_PERMISSION_COUNT
};
#define CQLE_ALL_PERMISSIONS ((1u << CQLE_PERMISSION_COUNT) - 1)
extern const char *const cqle_permission_names[CQLE_PERMISSION_COUNT];

enum cqle_resource_kind {
	CQLE_ALL_KEYSPACES,
	CQLE_KEYSPACE,
	CQLE_TABLE,
	CQLE_ALL_ROLES,
	CQLE_ROLE,
	CQLE_ALL_FUNCTIONS,
	CQLE_FUNCTIONS_OF,
	CQLE_ALL_MBEANS,
	CQLE_NO_RESOURCE
};
struct cqle_resource {
	enum cqle_resource_kind kind;
	struct lab_view keyspace; /* KEYSPACE, TABLE (ptr NULL: the session's), FUNCTIONS_OF */
	struct lab_view name;     /* of the table, the role */
};

/* ---- parser-roles.c ---- */

enum role_verb {
	ROLE_CREATE,
	ROLE_ALTER,
	ROLE_DROP,
	ROLE_LIST,
	ROLE_LIST_USERS,
	ROLE_GRANT,
	ROLE_REVOKE,
	PERMISSION_GRANT,
	PERMISSION_REVOKE,
	PERMISSION_LIST
};
struct role_statement {
	enum role_verb verb;
	struct lab_view role;    /* ptr NULL: LIST without OF */
	struct lab_view grantee; /* GRANT role TO grantee */
	bool if_exists, if_not_exists, no_recursive;
	/* WITH ... */
	bool has_password, has_login, has_superuser, has_options, has_datacenters;
	bool login, superuser, all_datacenters;
	struct lab_view password;
	struct lab_view *datacenters;
	size_t datacenter_count;
	unsigned permissions; /* a bit for each */
	struct cqle_resource resource;
};

/* ---- roles.c ---- */

struct cqle_role {
	struct lab_view name;
	bool exists, can_login, superuser, has_password;
	uint8_t salt[16], hash[32];
	struct cqle_role **member_of;
	size_t member_count, member_capacity;
	uint64_t mark; /* of the last walk that came by */
};

struct cqle_grant {
	struct cqle_role *role;
	struct cqle_resource resource; /* views into `name` or a role's */
	struct lab_view name;          /* "data/ks/table" */
	unsigned permissions;
	bool indexed; /* in resource_role_permissons_index: REVOKE takes it out, whatever is left */
};

struct cqle_auth {
	struct cqle_role *roles[CQLE_ROLES_MAX]; /* by name */
	size_t role_count;
	struct cqle_grant *grants; /* by role and resource */
	size_t grant_count, grant_capacity;
	uint64_t salts, marks;
	struct cqle_role *walk[CQLE_ROLES_MAX];
};

struct cqle_role *cqle_role_find(const struct cqle_auth *auth, struct lab_view name);
/* The role and all that it is a member of, in auth->walk; or only directly. */
size_t cqle_roles_of(struct cqle_auth *auth, struct cqle_role *role, bool recursive);
bool cqle_role_is_super(struct cqle_auth *auth, struct cqle_role *role);
struct cqle_role *cqle_role_create(
	struct cqlemu *emu, struct lab_view name, bool login, bool superuser);
void cqle_role_set_password(struct cqlemu *emu, struct cqle_role *role, struct lab_view password);
bool cqle_role_is_member(
	struct cqle_auth *auth, struct cqle_role *role, const struct cqle_role *of, bool recursive);
void cqle_member_add(struct cqlemu *emu, struct cqle_role *member, struct cqle_role *of);
void cqle_member_remove(struct cqlemu *emu, struct cqle_role *member, const struct cqle_role *of);
/* With options.user or .password: one superuser; without, emu->auth stays NULL: AllowAll. */
void cqle_auth_new(struct cqlemu *emu);
void cqle_auth_free(struct cqlemu *emu);
int cqle_login(struct cqlemu *emu, struct lab_view user, struct lab_view password,
	struct cqle_role **ret, struct lab_error *err);
/* The statement as it may be shown: cut where CREATE or ALTER say a password. */
struct lab_view cqle_loggable(struct lab_arena *arena, struct lab_view text);

/* ---- role-statements.c ---- */

/* What LIST answers; no columns: nothing but void. */
struct cqle_role_answer {
	struct cql_column *columns;
	size_t column_count;
	struct lab_view *cells;
	size_t row_count, row_capacity;
};
/* `user` NULL: set-up, which may do everything. */
int cqle_role_run(struct cqlemu *emu, struct lab_arena *arena, struct cqle_role *user,
	const struct statement *s, struct lab_view keyspace, struct cqle_role_answer *ret,
	struct lab_error *err);

/* ---- permissions.c ---- */

/* "data/ks/table" and "<table ks.table>". */
struct lab_view cqle_resource_name(struct lab_arena *arena, const struct cqle_resource *resource);
const char *cqle_resource_text(struct lab_arena *arena, const struct cqle_resource *resource);
unsigned cqle_resource_permissions(const struct cqle_resource *resource);
/* What it is part of; NO_RESOURCE behind the last. */
struct cqle_resource cqle_resource_parent(const struct cqle_resource *resource);
/* What the role may do there, by itself and what it is a member of, there and above. */
unsigned cqle_permissions(
	struct cqlemu *emu, struct cqle_role *role, const struct cqle_resource *resource);
struct cqle_grant *cqle_grant_find(
	struct cqle_auth *auth, const struct cqle_role *role, struct lab_view name);
int cqle_grant(struct cqlemu *emu, struct cqle_role *role, const struct cqle_resource *resource,
	unsigned permissions, struct lab_error *err);
void cqle_revoke(struct cqlemu *emu, struct cqle_role *role, const struct cqle_resource *resource,
	unsigned permissions);
/* The resource is gone, the role is gone. */
void cqle_revoke_on(struct cqlemu *emu, const struct cqle_resource *resource);
void cqle_revoke_from(struct cqlemu *emu, const struct cqle_role *role);
/* -1: UNAUTHORIZED. Without emu->auth only the server's own keyspaces are guarded. */
int cqle_ensure(struct cqlemu *emu, struct cqle_role *role, const struct cqle_resource *resource,
	enum cqle_permission permission, struct lab_error *err);
/* May the role run the statement? `keyspace` is the session's. */
int cqle_authorize(struct cqlemu *emu, struct cqle_role *role, const struct cqle_plan *plan,
	struct lab_view keyspace, struct lab_error *err);
/* Who made something owns it; of what was dropped no permissions are left. `role` may be NULL. */
int cqle_ddl_done(struct cqlemu *emu, struct cqle_role *role,
	const struct cql_schema_change *change, struct lab_error *err);

#endif

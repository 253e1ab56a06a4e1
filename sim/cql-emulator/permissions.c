/* SPDX-License-Identifier: Apache-2.0
 *
 * permissions.c - resources, what roles may do with them, and what a statement needs.
 */
#include "sim/cql-emulator/describe.h"
#include "sim/cql-emulator/roles.h"

#define BIT(permission) (1u << (permission))

/* ---- resources ---- */

struct lab_view cqle_resource_name(struct lab_arena *arena, const struct cqle_resource *r)
{
	switch (r->kind) {
	case CQLE_ALL_KEYSPACES:
		return LAB_VIEW("data");
	case CQLE_KEYSPACE:
		return lab_view_cstr(
			lab_arena_printf(arena, "data/%.*s", LAB_VIEW_ARG(r->keyspace)));
	case CQLE_TABLE:
		return lab_view_cstr(lab_arena_printf(
			arena, "data/%.*s/%.*s", LAB_VIEW_ARG(r->keyspace), LAB_VIEW_ARG(r->name)));
	case CQLE_ALL_ROLES:
		return LAB_VIEW("roles");
	case CQLE_ROLE:
		return lab_view_cstr(lab_arena_printf(arena, "roles/%.*s", LAB_VIEW_ARG(r->name)));
	case CQLE_ALL_FUNCTIONS:
		return LAB_VIEW("functions");
	case CQLE_FUNCTIONS_OF:
		return lab_view_cstr(
			lab_arena_printf(arena, "functions/%.*s", LAB_VIEW_ARG(r->keyspace)));
	case CQLE_ALL_MBEANS:
		return LAB_VIEW("mbean");
	case CQLE_NO_RESOURCE:
		break;
	}
	return LAB_VIEW("");
}

const char *cqle_resource_text(struct lab_arena *arena, const struct cqle_resource *r)
{
	switch (r->kind) {
	case CQLE_ALL_KEYSPACES:
		return "<all keyspaces>";
	case CQLE_KEYSPACE:
		return lab_arena_printf(arena, "<keyspace %.*s>", LAB_VIEW_ARG(r->keyspace));
	case CQLE_TABLE:
		return lab_arena_printf(arena, "<table %.*s.%.*s>", LAB_VIEW_ARG(r->keyspace),
			LAB_VIEW_ARG(r->name));
	case CQLE_ALL_ROLES:
		return "<all roles>";
	case CQLE_ROLE:
		return lab_arena_printf(arena, "<role %.*s>", LAB_VIEW_ARG(r->name));
	case CQLE_ALL_FUNCTIONS:
		return "<all functions>";
	case CQLE_FUNCTIONS_OF:
		return lab_arena_printf(
			arena, "<all functions in %.*s>", LAB_VIEW_ARG(r->keyspace));
	case CQLE_ALL_MBEANS:
		return "<all mbeans>";
	case CQLE_NO_RESOURCE:
		break;
	}
	return "";
}

unsigned cqle_resource_permissions(const struct cqle_resource *r)
{
	const unsigned change = BIT(CQLE_ALTER) | BIT(CQLE_DROP) | BIT(CQLE_AUTHORIZE);
	const unsigned data = BIT(CQLE_SELECT) | BIT(CQLE_MODIFY);
	switch (r->kind) {
	case CQLE_ALL_KEYSPACES:
	case CQLE_KEYSPACE:
		return change | data | BIT(CQLE_CREATE);
	case CQLE_TABLE:
		return change | data;
	case CQLE_ALL_ROLES:
		return change | BIT(CQLE_CREATE) | BIT(CQLE_DESCRIBE);
	case CQLE_ROLE:
		return change | BIT(CQLE_DESCRIBE);
	case CQLE_ALL_FUNCTIONS:
	case CQLE_FUNCTIONS_OF:
		return change | BIT(CQLE_CREATE) | BIT(CQLE_EXECUTE);
	case CQLE_ALL_MBEANS:
		return data | BIT(CQLE_AUTHORIZE) | BIT(CQLE_DESCRIBE) | BIT(CQLE_EXECUTE);
	case CQLE_NO_RESOURCE:
		break;
	}
	return 0;
}

struct cqle_resource cqle_resource_parent(const struct cqle_resource *r)
{
	struct cqle_resource parent = { .kind = CQLE_NO_RESOURCE };
	if (r->kind == CQLE_TABLE)
		parent = (struct cqle_resource){ .kind = CQLE_KEYSPACE, .keyspace = r->keyspace };
	else if (r->kind == CQLE_KEYSPACE)
		parent.kind = CQLE_ALL_KEYSPACES;
	else if (r->kind == CQLE_ROLE)
		parent.kind = CQLE_ALL_ROLES;
	else if (r->kind == CQLE_FUNCTIONS_OF)
		parent.kind = CQLE_ALL_FUNCTIONS;
	return parent;
}

/* ---- grants: sorted by role and resource, as they are listed ---- */

static int grant_order(
	const struct cqle_grant *grant, const struct cqle_role *role, struct lab_view name)
{
	int order = lab_view_cmp(grant->role->name, role->name);
	return order != 0 ? order : lab_view_cmp(grant->name, name);
}

static size_t grant_place(
	const struct cqle_auth *auth, const struct cqle_role *role, struct lab_view name)
{
	size_t low = 0, high = auth->grant_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (grant_order(&auth->grants[middle], role, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct cqle_grant *cqle_grant_find(
	struct cqle_auth *auth, const struct cqle_role *role, struct lab_view name)
{
	size_t at = grant_place(auth, role, name);
	return at < auth->grant_count && grant_order(&auth->grants[at], role, name) == 0
		       ? &auth->grants[at]
		       : NULL;
}

/* The views of the grant's resource are parts of its name. */
static struct cqle_resource own_resource(struct lab_view name, const struct cqle_resource *from)
{
	struct cqle_resource own = { .kind = from->kind };
	struct lab_view rest = name;
	(void)lab_view_split(&rest, '/', &own.keyspace);
	own.keyspace = lab_view_sub(rest, 0, from->keyspace.len);
	if (from->kind == CQLE_ROLE)
		own.name = rest;
	if (from->kind == CQLE_TABLE)
		own.name = lab_view_skip(rest, from->keyspace.len + 1);
	return own;
}

static void grant_insert(struct cqlemu *emu, size_t at, struct cqle_role *role,
	const struct cqle_resource *resource, struct lab_view name)
{
	struct cqle_auth *auth = emu->auth;
	if (auth->grant_count == auth->grant_capacity) {
		auth->grant_capacity = auth->grant_capacity == 0 ? 16 : 2 * auth->grant_capacity;
		auth->grants = lab_heap_realloc(
			emu->heap, auth->grants, auth->grant_capacity * sizeof(struct cqle_grant));
	}
	memmove(&auth->grants[at + 1], &auth->grants[at],
		(auth->grant_count - at) * sizeof(struct cqle_grant));
	uint8_t *copy = lab_heap_alloc(emu->heap, name.len + 1);
	memcpy(copy, name.ptr, name.len);
	struct lab_view own = lab_view_of(copy, name.len);
	auth->grants[at] = (struct cqle_grant){
		.role = role, .resource = own_resource(own, resource), .name = own
	};
	auth->grant_count++;
}

static void grant_remove(struct cqlemu *emu, size_t at)
{
	struct cqle_auth *auth = emu->auth;
	lab_heap_free(emu->heap, (void *)(uintptr_t)auth->grants[at].name.ptr);
	auth->grant_count--;
	memmove(&auth->grants[at], &auth->grants[at + 1],
		(auth->grant_count - at) * sizeof(struct cqle_grant));
}

int cqle_grant(struct cqlemu *emu, struct cqle_role *role, const struct cqle_resource *resource,
	unsigned permissions, struct lab_error *err)
{
	struct cqle_auth *auth = emu->auth;
	struct lab_view name = cqle_resource_name(emu->scratch, resource);
	size_t at = grant_place(auth, role, name);
	if (at == auth->grant_count || grant_order(&auth->grants[at], role, name) != 0) {
		if (auth->grant_count == CQLE_GRANTS_MAX)
			return cqle_fail(
				err, CQL_E_INVALID, "more than %d permissions", CQLE_GRANTS_MAX);
		grant_insert(emu, at, role, resource, name);
	}
	auth->grants[at].permissions |= permissions;
	auth->grants[at].indexed = true;
	emu->metadata_version++;
	return 0;
}

void cqle_revoke(struct cqlemu *emu, struct cqle_role *role, const struct cqle_resource *resource,
	unsigned permissions)
{
	struct lab_view name = cqle_resource_name(emu->scratch, resource);
	struct cqle_grant *g = cqle_grant_find(emu->auth, role, name);
	emu->metadata_version++;
	if (g == NULL)
		return;
	g->permissions &= ~permissions;
	g->indexed = false;
	if (g->permissions == 0)
		grant_remove(emu, (size_t)(g - emu->auth->grants));
}

void cqle_revoke_on(struct cqlemu *emu, const struct cqle_resource *resource)
{
	struct cqle_auth *auth = emu->auth;
	if (auth == NULL)
		return;
	struct lab_view name = cqle_resource_name(emu->scratch, resource);
	for (size_t i = auth->grant_count; i > 0; i--) {
		if (auth->grants[i - 1].indexed && lab_view_eq(auth->grants[i - 1].name, name))
			grant_remove(emu, i - 1);
	}
	emu->metadata_version++;
}

void cqle_revoke_from(struct cqlemu *emu, const struct cqle_role *role)
{
	for (size_t i = emu->auth->grant_count; i > 0; i--) {
		if (emu->auth->grants[i - 1].role == role)
			grant_remove(emu, i - 1);
	}
	emu->metadata_version++;
}

/* ---- what a role may do ---- */

static unsigned granted(
	struct cqle_auth *auth, const struct cqle_role *role, const struct cqle_resource *resource)
{
	unsigned found = 0;
	for (size_t i = 0; i < auth->grant_count; i++) {
		const struct cqle_grant *g = &auth->grants[i];
		if (g->role == role && g->resource.kind == resource->kind &&
			lab_view_eq(g->resource.keyspace, resource->keyspace) &&
			lab_view_eq(g->resource.name, resource->name))
			found |= g->permissions;
	}
	return found;
}

unsigned cqle_permissions(
	struct cqlemu *emu, struct cqle_role *role, const struct cqle_resource *resource)
{
	struct cqle_auth *auth = emu->auth;
	if (cqle_role_is_super(auth, role))
		return cqle_resource_permissions(resource);
	size_t count = cqle_roles_of(auth, role, true);
	unsigned found = 0;
	for (size_t i = 0; i < count; i++) {
		struct cqle_resource r = *resource;
		for (; r.kind != CQLE_NO_RESOURCE; r = cqle_resource_parent(&r))
			found |= granted(auth, auth->walk[i], &r);
	}
	return found;
}

/* ---- system keyspaces ---- */

static bool is_one_of(struct lab_view name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (lab_view_eq_cstr(name, names[i]))
			return true;
	}
	return false;
}

static bool is_local_system(struct lab_view keyspace)
{
	return lab_view_eq_cstr(keyspace, "system") || lab_view_eq_cstr(keyspace, "system_schema");
}

static bool is_distributed_system(struct lab_view keyspace)
{
	static const char *const names[] = { "system_auth", "system_traces", "system_distributed" };
	return is_one_of(keyspace, names, LAB_COUNT_OF(names));
}

/* Everybody who has logged in may read what drivers read. */
static bool is_readable(const struct cqle_resource *r)
{
	static const char *const tables[] = { "local", "peers", "peers_v2" };
	if (r->kind != CQLE_TABLE)
		return false;
	return lab_view_eq_cstr(r->keyspace, "system_schema") ||
	       lab_view_eq_cstr(r->keyspace, "system_virtual_schema") ||
	       (lab_view_eq_cstr(r->keyspace, "system") &&
		       is_one_of(r->name, tables, LAB_COUNT_OF(tables)));
}

/* The schema of the server's own keyspaces is nobody's to change. */
static int guard_system(struct cqlemu *emu, const struct cqle_resource *r,
	enum cqle_permission permission, struct lab_error *err)
{
	if (permission > CQLE_DROP || r->keyspace.ptr == NULL)
		return 0;
	if (is_local_system(r->keyspace))
		return cqle_fail(err, CQL_E_UNAUTHORIZED, "%.*s keyspace is not user-modifiable.",
			LAB_VIEW_ARG(r->keyspace));
	if (cqle_keyspace_is_virtual(r->keyspace))
		return cqle_fail(err, CQL_E_INVALID,
			"Virtual keyspace '%.*s' is not user-modifiable",
			LAB_VIEW_ARG(r->keyspace));
	bool alter_keyspace = permission == CQLE_ALTER && r->kind == CQLE_KEYSPACE;
	if (is_distributed_system(r->keyspace) && !alter_keyspace)
		return cqle_fail(err, CQL_E_UNAUTHORIZED, "Cannot %s %s",
			cqle_permission_names[permission], cqle_resource_text(emu->scratch, r));
	return 0;
}

/* ---- what a statement needs ---- */

struct asker {
	struct cqlemu *emu;
	struct cqle_role *role;
	struct lab_error *err;
};

int cqle_ensure(struct cqlemu *emu, struct cqle_role *role, const struct cqle_resource *resource,
	enum cqle_permission permission, struct lab_error *err)
{
	if (guard_system(emu, resource, permission, err) < 0)
		return -1;
	if (emu->auth == NULL || (permission == CQLE_SELECT && is_readable(resource)))
		return 0;
	if (role == NULL || (cqle_permissions(emu, role, resource) & BIT(permission)) != 0)
		return 0;
	return cqle_fail(err, CQL_E_UNAUTHORIZED,
		"User %.*s has no %s permission on %s or any of its parents",
		LAB_VIEW_ARG(role->name), cqle_permission_names[permission],
		cqle_resource_text(emu->scratch, resource));
}

static int need(const struct asker *a, enum cqle_resource_kind kind, struct lab_view keyspace,
	struct lab_view name, enum cqle_permission permission)
{
	struct cqle_resource resource = { kind, keyspace, name };
	return cqle_ensure(a->emu, a->role, &resource, permission, a->err);
}

static int need_table(
	const struct asker *a, const struct cqle_table *table, enum cqle_permission permission)
{
	return need(a, CQLE_TABLE, table->keyspace->name, table->name, permission);
}

/* What the server keeps in its own tables is what it has to say: nobody else writes there. */
static int need_modify(const struct asker *a, const struct cqle_table *table)
{
	if (need_table(a, table, CQLE_MODIFY) < 0)
		return -1;
	if (table->keyspace->local)
		return cqle_fail(
			a->err, CQL_E_UNAUTHORIZED, "system keyspace is not user-modifiable.");
	return 0;
}

/* A conditional change tells what is there. */
static int need_change(const struct asker *a, const struct cqle_plan *plan)
{
	for (size_t i = 0; i < plan->batch_count; i++) {
		if (need_change(a, plan->batch[i]) < 0)
			return -1;
	}
	if (plan->kind == STATEMENT_BATCH)
		return 0;
	if (need_modify(a, plan->table) < 0)
		return -1;
	return plan->condition == CQLE_UNCONDITIONAL ? 0 : need_table(a, plan->table, CQLE_SELECT);
}

static int need_ddl(const struct asker *a, const struct statement *s, struct lab_view current)
{
	const struct lab_view none = { NULL, 0 };
	struct lab_view keyspace = s->keyspace.ptr != NULL ? s->keyspace : current;
	if (s->kind == STATEMENT_CREATE_KEYSPACE)
		return need(a, CQLE_ALL_KEYSPACES, none, none, CQLE_CREATE);
	if (keyspace.ptr == NULL)
		return 0; /* which is an error of its own */
	if (s->kind == STATEMENT_DROP_KEYSPACE)
		return need(a, CQLE_KEYSPACE, keyspace, none, CQLE_DROP);
	if (s->kind == STATEMENT_ALTER_KEYSPACE)
		return need(a, CQLE_KEYSPACE, keyspace, none, CQLE_ALTER);
	if (s->kind == STATEMENT_CREATE_TABLE || s->kind == STATEMENT_CREATE_TYPE)
		return need(a, CQLE_KEYSPACE, keyspace, none, CQLE_CREATE);
	if (s->kind == STATEMENT_DROP_TYPE || s->kind == STATEMENT_ALTER_TYPE)
		return need(a, CQLE_KEYSPACE, keyspace, none,
			s->kind == STATEMENT_DROP_TYPE ? CQLE_DROP : CQLE_ALTER);
	if (s->kind == STATEMENT_DROP_INDEX) {
		const struct cqle_table *t = cqle_index_table(a->emu, keyspace, s->index_name);
		return t == NULL ? 0 : need_table(a, t, CQLE_ALTER);
	}
	return need(a, CQLE_TABLE, keyspace, s->table,
		s->kind == STATEMENT_DROP_TABLE ? CQLE_DROP : CQLE_ALTER);
}

int cqle_authorize(struct cqlemu *emu, struct cqle_role *role, const struct cqle_plan *plan,
	struct lab_view keyspace, struct lab_error *err)
{
	const struct asker a = { emu, role, err };
	switch (plan->kind) {
	case STATEMENT_SELECT:
		return emu->auth == NULL ? 0 : need_table(&a, plan->table, CQLE_SELECT);
	case STATEMENT_INSERT:
	case STATEMENT_UPDATE:
	case STATEMENT_DELETE:
	case STATEMENT_BATCH:
		return emu->auth == NULL ? 0 : need_change(&a, plan);
	case STATEMENT_TRUNCATE:
		return need_modify(&a, plan->table);
	case STATEMENT_CREATE_KEYSPACE:
	case STATEMENT_CREATE_TABLE:
	case STATEMENT_DROP_KEYSPACE:
	case STATEMENT_DROP_TABLE:
	case STATEMENT_ALTER_KEYSPACE:
	case STATEMENT_ALTER_TABLE:
	case STATEMENT_CREATE_TYPE:
	case STATEMENT_DROP_TYPE:
	case STATEMENT_ALTER_TYPE:
	case STATEMENT_CREATE_INDEX:
	case STATEMENT_DROP_INDEX:
		return need_ddl(&a, plan->statement, keyspace);
	case STATEMENT_USE:
	case STATEMENT_DESCRIBE:
	case STATEMENT_ROLE: /* roles.c: after it knows whether there is such a role */
	case STATEMENT_UNSUPPORTED:
		break;
	}
	return 0;
}

/* ---- what DDL leaves behind ---- */

static int own(struct cqlemu *emu, struct cqle_role *role, const struct cqle_resource *resource,
	struct lab_error *err)
{
	return cqle_grant(emu, role, resource, cqle_resource_permissions(resource), err);
}

/* Who makes something may do everything with it. */
static int created(struct cqlemu *emu, struct cqle_role *role,
	const struct cql_schema_change *change, struct lab_error *err)
{
	struct cqle_resource keyspace = { CQLE_KEYSPACE, change->keyspace, { NULL, 0 } };
	struct cqle_resource functions = { CQLE_FUNCTIONS_OF, change->keyspace, { NULL, 0 } };
	struct cqle_resource table = { CQLE_TABLE, change->keyspace, change->name };
	if (lab_view_eq_cstr(change->target, "TABLE"))
		return own(emu, role, &table, err);
	if (!lab_view_eq_cstr(change->target, "KEYSPACE"))
		return 0;
	return own(emu, role, &keyspace, err) < 0 ? -1 : own(emu, role, &functions, err);
}

static void dropped(struct cqlemu *emu, const struct cql_schema_change *change)
{
	struct cqle_auth *auth = emu->auth;
	bool keyspace = lab_view_eq_cstr(change->target, "KEYSPACE");
	for (size_t i = auth->grant_count; i > 0; i--) {
		const struct cqle_grant *g = &auth->grants[i - 1];
		bool inside = g->resource.kind == CQLE_TABLE || g->resource.kind == CQLE_KEYSPACE ||
			      g->resource.kind == CQLE_FUNCTIONS_OF;
		bool same = g->resource.kind == CQLE_TABLE &&
			    lab_view_eq(g->resource.name, change->name) &&
			    lab_view_eq_cstr(change->target, "TABLE");
		if (g->indexed && inside && (keyspace || same) &&
			lab_view_eq(g->resource.keyspace, change->keyspace))
			grant_remove(emu, i - 1);
	}
}

int cqle_ddl_done(struct cqlemu *emu, struct cqle_role *role,
	const struct cql_schema_change *change, struct lab_error *err)
{
	if (emu->auth == NULL)
		return 0;
	if (lab_view_eq_cstr(change->change, "DROPPED"))
		dropped(emu, change);
	else if (lab_view_eq_cstr(change->change, "CREATED") && role != NULL)
		return created(emu, role, change, err);
	return 0;
}

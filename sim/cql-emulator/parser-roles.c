/* SPDX-License-Identifier: Apache-2.0
 *
 * parser-roles.c - roles, users and permissions.
 */
#include "sim/cql-emulator/parser-private.h"
#include "sim/cql-emulator/roles.h"

/* A role's name: in quotes of either kind its case is kept; a user's always is. */
static int role_name(struct parser *p, bool user, struct lab_view *ret)
{
	if (p->token.kind == TOKEN_STRING)
		return parser_string(p, ret);
	if (user && p->token.kind == TOKEN_QUOTED_NAME)
		return cqle_fail(p->err, CQL_E_SYNTAX,
			"Quoted strings are are not supported for user names and USER is "
			"deprecated, please use ROLE");
	struct lab_view written = p->token.text;
	if (parser_name(p, ret) < 0)
		return -1;
	if (user)
		*ret = written;
	return 0;
}

static int expect_string(struct parser *p, struct lab_view *ret)
{
	return p->token.kind == TOKEN_STRING ? parser_string(p, ret)
					     : parser_mismatch(p, "STRING_LITERAL");
}

static int expect_boolean(struct parser *p, bool *ret)
{
	*ret = parser_at(p, "true");
	if (parser_take(p, "true") || parser_take(p, "false"))
		return 0;
	return parser_mismatch(p, "BOOLEAN");
}

static int option_twice(struct parser *p, const char *name)
{
	return cqle_fail(p->err, CQL_E_SYNTAX, "Multiple definition for property '%s'", name);
}

/* At the '=' of LOGIN or SUPERUSER. */
static int flag(struct parser *p, const char *name, bool *has, bool *ret)
{
	if (parser_expect_symbol(p, "=") < 0 || expect_boolean(p, ret) < 0)
		return -1;
	if (*has)
		return option_twice(p, name);
	*has = true;
	return 0;
}

static int datacenters(struct parser *p, struct role_statement *r)
{
	size_t capacity = 0;
	r->has_datacenters = true;
	if (parser_expect(p, "TO") < 0)
		return -1;
	if (parser_take(p, "all")) {
		r->all_datacenters = true;
		return parser_expect(p, "DATACENTERS");
	}
	if (parser_expect(p, "DATACENTERS") < 0 || parser_expect_symbol(p, "{") < 0)
		return -1;
	do {
		struct lab_view *dc = PARSER_GROW(p, r->datacenters, r->datacenter_count, capacity);
		if (dc == NULL || expect_string(p, dc) < 0)
			return -1;
	} while (parser_take_symbol(p, ","));
	return parser_expect_symbol(p, "}");
}

static int options_map(struct parser *p, struct role_statement *r)
{
	struct term map = { .kind = TERM_NONE };
	if (parser_expect_symbol(p, "=") < 0)
		return -1;
	r->has_options = true;
	return parser_property_map(p, &map);
}

static int role_option(struct parser *p, struct role_statement *r)
{
	if (parser_take(p, "password")) {
		if (parser_expect_symbol(p, "=") < 0 || expect_string(p, &r->password) < 0)
			return -1;
		if (r->has_password)
			return option_twice(p, "PASSWORD");
		r->has_password = true;
		return 0;
	}
	if (parser_take(p, "login"))
		return flag(p, "LOGIN", &r->has_login, &r->login);
	if (parser_take(p, "superuser"))
		return flag(p, "SUPERUSER", &r->has_superuser, &r->superuser);
	if (parser_take(p, "options"))
		return options_map(p, r);
	if (parser_take(p, "access"))
		return datacenters(p, r);
	return parser_no_viable(p);
}

static int role_options(struct parser *p, struct role_statement *r)
{
	if (!parser_take(p, "with"))
		return 0;
	do {
		if (role_option(p, r) < 0)
			return -1;
	} while (parser_take(p, "and"));
	return 0;
}

/* [WITH PASSWORD 'x'] [SUPERUSER | NOSUPERUSER] */
static int user_options(struct parser *p, struct role_statement *r)
{
	if (parser_take(p, "with")) {
		r->has_password = true;
		if (parser_expect(p, "PASSWORD") < 0 || expect_string(p, &r->password) < 0)
			return -1;
	}
	r->superuser = parser_at(p, "superuser");
	r->has_superuser = parser_take(p, "superuser") || parser_take(p, "nosuperuser");
	return 0;
}

/* At ROLE or USER, behind the verb. */
static int role_change(struct parser *p, struct role_statement *r)
{
	bool user = parser_at(p, "user");
	parser_advance(p);
	if (r->verb != ROLE_ALTER && parser_take(p, "if")) {
		if (r->verb == ROLE_CREATE && parser_expect(p, "NOT") < 0)
			return -1;
		if (parser_expect(p, "EXISTS") < 0)
			return -1;
		*(r->verb == ROLE_CREATE ? &r->if_not_exists : &r->if_exists) = true;
	}
	if (role_name(p, user, &r->role) < 0)
		return -1;
	if (r->verb == ROLE_DROP)
		return 0;
	if (user && r->verb == ROLE_CREATE)
		r->has_login = r->login = true;
	return user ? user_options(p, r) : role_options(p, r);
}

/* ---- resources ---- */

static int all_resource(struct parser *p, struct cqle_resource *ret)
{
	if (parser_take(p, "keyspaces")) {
		ret->kind = CQLE_ALL_KEYSPACES;
	} else if (parser_take(p, "roles")) {
		ret->kind = CQLE_ALL_ROLES;
	} else if (parser_take(p, "mbeans")) {
		ret->kind = CQLE_ALL_MBEANS;
	} else if (parser_take(p, "functions")) {
		ret->kind = CQLE_ALL_FUNCTIONS;
		if (!parser_take(p, "in"))
			return 0;
		ret->kind = CQLE_FUNCTIONS_OF;
		return parser_expect(p, "KEYSPACE") < 0 ? -1 : parser_name(p, &ret->keyspace);
	} else {
		return parser_no_viable(p);
	}
	return 0;
}

static int table_resource(struct parser *p, struct cqle_resource *ret)
{
	ret->kind = CQLE_TABLE;
	if (parser_name(p, &ret->name) < 0)
		return -1;
	if (!parser_take_symbol(p, "."))
		return 0;
	ret->keyspace = ret->name;
	return parser_name(p, &ret->name);
}

static int resource(struct parser *p, struct cqle_resource *ret)
{
	if (parser_take(p, "all"))
		return all_resource(p, ret);
	if (parser_take(p, "keyspace")) {
		ret->kind = CQLE_KEYSPACE;
		return parser_name(p, &ret->keyspace);
	}
	if (parser_at(p, "role") && !parser_next_is_symbol(p, ".")) {
		parser_advance(p);
		ret->kind = CQLE_ROLE;
		return role_name(p, false, &ret->name);
	}
	if (parser_at(p, "function") && !parser_next_is_symbol(p, "."))
		return cqle_fail(p->err, CQL_E_SYNTAX,
			"Failed parsing statement: [%.*s] reason: NoSuchElementException No value "
			"present",
			LAB_VIEW_ARG(lab_view_sub(p->lexer.input, 0, 200)));
	if (!parser_take(p, "table"))
		(void)parser_take(p, "columnfamily");
	return table_resource(p, ret);
}

/* ---- permissions ---- */

const char *const cqle_permission_names[CQLE_PERMISSION_COUNT] = { "CREATE", "ALTER", "DROP",
	"SELECT", "MODIFY", "AUTHORIZE", "DESCRIBE", "EXECUTE" };

/* 1: taken, 0: it is none. */
static int permission_or_all(struct parser *p, unsigned *ret)
{
	if (parser_take(p, "all")) {
		(void)parser_take(p, "permissions");
		*ret = CQLE_ALL_PERMISSIONS;
		return 1;
	}
	for (unsigned i = 0; i < CQLE_PERMISSION_COUNT; i++) {
		if (!parser_take(p, cqle_permission_names[i]))
			continue;
		(void)parser_take(p, "permission");
		*ret = 1u << i;
		return 1;
	}
	return 0;
}

/* What makes no sense for a resource is left out; something has to be left. */
static int check_permissions(struct parser *p, struct role_statement *r)
{
	static const char *const classes[] = { [CQLE_ALL_KEYSPACES] = "DataResource",
		[CQLE_KEYSPACE] = "DataResource",
		[CQLE_TABLE] = "DataResource",
		[CQLE_ALL_ROLES] = "RoleResource",
		[CQLE_ROLE] = "RoleResource",
		[CQLE_ALL_FUNCTIONS] = "FunctionResource",
		[CQLE_FUNCTIONS_OF] = "FunctionResource",
		[CQLE_ALL_MBEANS] = "JMXResource" };
	r->permissions &= cqle_resource_permissions(&r->resource);
	if (r->permissions != 0)
		return 0;
	return cqle_fail(p->err, CQL_E_SYNTAX,
		"Resource type %s does not support any of the requested permissions",
		classes[r->resource.kind]);
}

static int grant(struct parser *p, struct role_statement *r, bool revoke)
{
	const char *to = revoke ? "FROM" : "TO";
	parser_advance(p);
	int is_permission = permission_or_all(p, &r->permissions);
	if (is_permission == 0) {
		r->verb = revoke ? ROLE_REVOKE : ROLE_GRANT;
		if (role_name(p, false, &r->role) < 0 || parser_expect(p, to) < 0)
			return -1;
		return role_name(p, false, &r->grantee);
	}
	r->verb = revoke ? PERMISSION_REVOKE : PERMISSION_GRANT;
	if (parser_expect(p, "ON") < 0 || resource(p, &r->resource) < 0 ||
		parser_expect(p, to) < 0 || role_name(p, false, &r->role) < 0)
		return -1;
	return check_permissions(p, r);
}

static int list(struct parser *p, struct role_statement *r)
{
	const struct token first = p->token;
	parser_advance(p);
	if (parser_take(p, "users")) {
		r->verb = ROLE_LIST_USERS;
		return 0;
	}
	r->verb = parser_take(p, "roles") ? ROLE_LIST : PERMISSION_LIST;
	if (r->verb == PERMISSION_LIST && permission_or_all(p, &r->permissions) == 0)
		return parser_no_viable_after(p, &first);
	if (r->verb == PERMISSION_LIST && parser_take(p, "on") && resource(p, &r->resource) < 0)
		return -1;
	if (parser_take(p, "of") && role_name(p, false, &r->role) < 0)
		return -1;
	r->no_recursive = parser_take(p, "norecursive");
	return 0;
}

/* ---- what a statement begins with ---- */

static bool at_role_change(const struct parser *p, enum role_verb *ret)
{
	static const char *const verbs[] = { "create", "alter", "drop" };
	if (!parser_next_is(p, "role") && !parser_next_is(p, "user"))
		return false;
	for (unsigned i = 0; i < LAB_COUNT_OF(verbs); i++) {
		*ret = (enum role_verb)(ROLE_CREATE + i);
		if (parser_at(p, verbs[i]))
			return true;
	}
	return false;
}

bool parser_at_roles(const struct parser *p)
{
	enum role_verb verb;
	return at_role_change(p, &verb) || parser_at(p, "grant") || parser_at(p, "revoke") ||
	       parser_at(p, "list");
}

int parser_roles(struct parser *p, struct statement *s)
{
	struct role_statement *r = lab_arena_new_of(p->arena, struct role_statement);
	s->kind = STATEMENT_ROLE;
	s->role = r;
	r->resource.kind = CQLE_NO_RESOURCE;
	if (at_role_change(p, &r->verb)) {
		parser_advance(p);
		return role_change(p, r);
	}
	if (parser_at(p, "list"))
		return list(p, r);
	return grant(p, r, parser_at(p, "revoke"));
}

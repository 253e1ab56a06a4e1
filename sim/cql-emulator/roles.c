/* SPDX-License-Identifier: Apache-2.0
 *
 * roles.c - roles and users: who they are, what their passwords are, what they are members of.
 */
#include "sim/cql-emulator/roles.h"

/* ---- the set of roles ---- */

static size_t role_place(const struct cqle_auth *auth, struct lab_view name)
{
	size_t low = 0, high = auth->role_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (lab_view_cmp(auth->roles[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct cqle_role *role_struct(const struct cqle_auth *auth, struct lab_view name)
{
	size_t at = role_place(auth, name);
	return at < auth->role_count && lab_view_eq(auth->roles[at]->name, name) ? auth->roles[at]
										 : NULL;
}

struct cqle_role *cqle_role_find(const struct cqle_auth *auth, struct lab_view name)
{
	struct cqle_role *role = role_struct(auth, name);
	return role != NULL && role->exists ? role : NULL;
}

struct cqle_role *cqle_role_create(
	struct cqlemu *emu, struct lab_view name, bool login, bool superuser)
{
	struct cqle_auth *auth = emu->auth;
	struct cqle_role *role = role_struct(auth, name);
	if (role == NULL) {
		if (auth->role_count == CQLE_ROLES_MAX)
			return NULL;
		size_t at = role_place(auth, name);
		uint8_t *copy = lab_heap_alloc(emu->heap, name.len + 1);
		memcpy(copy, name.ptr, name.len);
		role = lab_new(emu->heap, struct cqle_role);
		role->name = lab_view_of(copy, name.len);
		memmove(&auth->roles[at + 1], &auth->roles[at],
			(auth->role_count - at) * sizeof(struct cqle_role *));
		auth->roles[at] = role;
		auth->role_count++;
	}
	role->exists = true;
	role->member_count = 0;
	role->can_login = login;
	role->superuser = superuser;
	role->has_password = false;
	emu->metadata_version++;
	return role;
}

void cqle_auth_new(struct cqlemu *emu)
{
	struct lab_view user = emu->options.user, password = emu->options.password;
	if (user.len == 0 && password.len == 0)
		return;
	emu->auth = lab_new(emu->heap, struct cqle_auth);
	cqle_role_set_password(emu, cqle_role_create(emu, user, true, true), password);
}

void cqle_auth_free(struct cqlemu *emu)
{
	struct cqle_auth *auth = emu->auth;
	if (auth == NULL)
		return;
	for (size_t i = 0; i < auth->role_count; i++) {
		lab_heap_free(emu->heap, (void *)(uintptr_t)auth->roles[i]->name.ptr);
		lab_heap_free(emu->heap, auth->roles[i]->member_of);
		lab_heap_free(emu->heap, auth->roles[i]);
	}
	for (size_t i = 0; i < auth->grant_count; i++)
		lab_heap_free(emu->heap, (void *)(uintptr_t)auth->grants[i].name.ptr);
	lab_heap_free(emu->heap, auth->grants);
	lab_heap_free(emu->heap, auth);
	emu->auth = NULL;
}

/* ---- passwords ---- */

static void hash_password(const uint8_t *salt, struct lab_view password, uint8_t *ret)
{
	lab_hmac(LAB_SHA256, lab_view_of(salt, 16), password, ret);
}

void cqle_role_set_password(struct cqlemu *emu, struct cqle_role *role, struct lab_view password)
{
	uint64_t number = emu->auth->salts++;
	for (uint64_t i = 0; i < 2; i++) {
		uint64_t draw = lab_draw(emu->options.seed, "cql.password", number, i);
		memcpy(role->salt + 8 * i, &draw, sizeof(draw));
	}
	hash_password(role->salt, password, role->hash);
	role->has_password = true;
}

int cqle_login(struct cqlemu *emu, struct lab_view user, struct lab_view password,
	struct cqle_role **ret, struct lab_error *err)
{
	static const struct cqle_role nobody; /* takes as long as somebody */
	struct cqle_role *role = cqle_role_find(emu->auth, user);
	const struct cqle_role *asked = role != NULL ? role : &nobody;
	uint8_t hash[32];
	hash_password(asked->salt, password, hash);
	bool right = lab_view_eq_secret(
		lab_view_of(hash, sizeof(hash)), lab_view_of(asked->hash, sizeof(asked->hash)));
	if (role == NULL || !role->has_password || !right)
		return cqle_fail(err, CQL_E_BAD_CREDENTIALS,
			"Provided username %.*s and/or password are incorrect", LAB_VIEW_ARG(user));
	if (!role->can_login)
		return cqle_fail(err, CQL_E_BAD_CREDENTIALS, "%.*s is not permitted to log in",
			LAB_VIEW_ARG(user));
	*ret = role;
	return 0;
}

/* CREATE USER and its like have the password in their text. */
struct lab_view cqle_loggable(struct lab_arena *arena, struct lab_view text)
{
	struct lexer lexer;
	struct token token;
	bool change = false;
	lexer_init(&lexer, text);
	for (lexer_next(&lexer, &token); token.kind == TOKEN_WORD || change;
		lexer_next(&lexer, &token)) {
		if (token.kind == TOKEN_END)
			break;
		if (!change && !lab_view_eq_nocase(token.text, LAB_VIEW("create")) &&
			!lab_view_eq_nocase(token.text, LAB_VIEW("alter")))
			return text;
		change = true;
		if (token.kind == TOKEN_WORD &&
			lab_view_eq_nocase(token.text, LAB_VIEW("password")))
			return lab_view_cstr(lab_arena_printf(
				arena, "%.*s ***", LAB_VIEW_ARG(lab_view_sub(text, 0, token.end))));
	}
	return text;
}

/* ---- membership ---- */

size_t cqle_roles_of(struct cqle_auth *auth, struct cqle_role *role, bool recursive)
{
	size_t count = 0;
	uint64_t mark = ++auth->marks;
	if (!role->exists)
		return 0;
	role->mark = mark;
	auth->walk[count++] = role;
	for (size_t i = 0; i < (recursive ? count : 1); i++) {
		const struct cqle_role *r = auth->walk[i];
		for (size_t j = 0; j < r->member_count; j++) {
			if (r->member_of[j]->mark == mark || !r->member_of[j]->exists)
				continue;
			r->member_of[j]->mark = mark;
			auth->walk[count++] = r->member_of[j];
		}
	}
	return count;
}

bool cqle_role_is_super(struct cqle_auth *auth, struct cqle_role *role)
{
	if (role->exists && role->superuser)
		return true;
	size_t count = cqle_roles_of(auth, role, true);
	for (size_t i = 0; i < count; i++) {
		if (auth->walk[i]->superuser)
			return true;
	}
	return false;
}

bool cqle_role_is_member(
	struct cqle_auth *auth, struct cqle_role *role, const struct cqle_role *of, bool recursive)
{
	size_t count = cqle_roles_of(auth, role, recursive);
	for (size_t i = 0; i < count; i++) {
		if (auth->walk[i] == of)
			return true;
	}
	return false;
}

void cqle_member_add(struct cqlemu *emu, struct cqle_role *member, struct cqle_role *of)
{
	if (member->member_count == member->member_capacity) {
		member->member_capacity =
			member->member_capacity == 0 ? 4 : 2 * member->member_capacity;
		member->member_of = lab_heap_realloc(emu->heap, member->member_of,
			member->member_capacity * sizeof(struct cqle_role *));
	}
	member->member_of[member->member_count++] = of;
	emu->metadata_version++;
}

void cqle_member_remove(struct cqlemu *emu, struct cqle_role *member, const struct cqle_role *of)
{
	size_t kept = 0;
	for (size_t i = 0; i < member->member_count; i++) {
		if (member->member_of[i] != of)
			member->member_of[kept++] = member->member_of[i];
	}
	member->member_count = kept;
	emu->metadata_version++;
}

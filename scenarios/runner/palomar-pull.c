/* SPDX-License-Identifier: Apache-2.0
 *
 * palomar-pull.c - a user's metacache follows him (palomar 2.6, U5 and U6).
 */
#include "scenarios/runner/palomar-private.h"

#include "core/base/mark.h"
#include "core/obox/metacache-pull.h"

#define ARENA_MAX 65536

static void pull_from(struct palomar_host *backend, struct lab_view user, struct lab_view source)
{
	const struct metacache_pull pull = { .source = source, .latest_only = true, .clean = true };

	if (metacache_pull(backend->node->backend, user, &pull, NULL) >= 0)
		LAB_MARK(metacache_followed);
	else
		LAB_MARK(metacache_left_behind);
}

void palomar_pull(struct palomar_host *backend, struct lab_view user)
{
	struct lab_arena *arena = lab_arena_new(backend->env->heap, ARENA_MAX);
	struct lab_view self = lab_view_cstr(backend->name);
	struct cluster_user row = { .username = user };
	int found = geodb_get(backend->geodb, CLUSTER_TABLE_USER, &row, arena, NULL);

	if (found > 0 && !lab_view_eq(row.metacache_last_host, self)) {
		if (row.metacache_last_host.len > 0)
			pull_from(backend, user, row.metacache_last_host);
		row.metacache_last_host = self;
		(void)geodb_put(backend->geodb, CLUSTER_TABLE_USER, &row,
			USER_COLUMN(metacache_last_host), 0, NULL);
	}
	lab_arena_free(&arena);
}

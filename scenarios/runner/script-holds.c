/* SPDX-License-Identifier: Apache-2.0
 *
 * script-holds.c - fibers of backends at named places: seen, kept waiting, or crashed (hold.h).
 */
#include "scenarios/runner/script-private.h"

#include <stdio.h>

#define HOLD_TYPE "hold"
#define NTH_MAX 1000000

enum hold_mode {
	HOLD_OBSERVE,
	HOLD_KEEP,
	HOLD_CRASH
};
enum hold_state {
	HOLD_ARMED,
	HOLD_REACHED, /* the nth fiber is, or was, there */
	HOLD_OVER     /* let go, crashed, or nobody came */
};

struct script_hold {
	struct script_hold *next;
	struct script *script;
	enum env_hold point;
	enum hold_mode mode;
	enum hold_state state;
	const struct node *node; /* NULL: any */
	const char *user;        /* NULL: any */
	uint64_t nth, seen;
	enum fault_disk disk;
	uint64_t down_ns;
	uint32_t host;          /* of the fiber that is kept */
	struct env *env;        /* likewise */
	struct env_cond change; /* scripts wait for it */
	struct env_cond let_go; /* the fiber does; its memory is the backend's */
};

static struct script_hold *hold_at(lua_State *L)
{
	return *(struct script_hold **)luaL_checkudata(L, 1, HOLD_TYPE);
}

/* ---- on the backend's side ---- */

/* Whoever observes goes on counting. */
static bool is_meant(const struct script_hold *hold, const struct env *env, enum env_hold point,
	const char *user)
{
	bool is_on = hold->state == HOLD_ARMED ||
		     (hold->mode == HOLD_OBSERVE && !hold->script->all->is_healed);

	return is_on && hold->point == point && (hold->node == NULL || hold->node->env == env) &&
	       (hold->user == NULL || strcmp(hold->user, user) == 0);
}

static void tell(struct script_hold *hold, struct env *env, enum lab_event_id event)
{
	ENV_EVENT(env, event, LAB_F_CSTR("hold", env_hold_name(hold->point)),
		LAB_F_TEXT("script", hold->script->what->name), LAB_F_U64("nth", hold->seen));
	env_cond_broadcast(hold->script->all->lab, &hold->change);
}

/* Until it is let go; a crash of the host ends it in here. */
static void keep(struct script_hold *hold, struct env *env)
{
	hold->host = env->host;
	hold->env = env;
	while (hold->state == HOLD_REACHED)
		(void)env_cond_wait(env, &hold->let_go, ENV_FOREVER);
}

static void caught(struct script_hold *hold, struct env *env)
{
	struct scripts *scripts = hold->script->all;
	struct lab_error ignored;

	scripts->report.caught[hold->point]++;
	hold->state = hold->mode == HOLD_OBSERVE ? HOLD_OVER : HOLD_REACHED;
	tell(hold, env, LAB_EV_hold_reached);
	if (hold->mode == HOLD_OBSERVE)
		return;
	/* A node's env is that of its host: who is held is on one of the scene's nodes. */
	for (size_t i = 0;
		hold->mode == HOLD_CRASH && i < scripts->settings.world->scene.node_count; i++) {
		const struct node *node = &scripts->settings.world->scene.nodes[i];

		if (node->env == env &&
			script_crash(scripts, node, hold->disk, hold->down_ns, &ignored) < 0)
			hold->state = HOLD_OVER;
	}
	keep(hold, env);
}

/* One that is armed meanwhile, or behind the one that keeps the fiber, does not see it. */
void script_hold_reached(void *ctx, struct env *env, enum env_hold point, const char *user)
{
	struct scripts *scripts = ctx;

	for (struct script_hold *hold = scripts->holds; hold != NULL; hold = hold->next) {
		if (!is_meant(hold, env, point, user) || ++hold->seen != hold->nth)
			continue;
		caught(hold, env);
		if (hold->mode != HOLD_OBSERVE)
			return;
	}
}

void script_holds_crashed(struct scripts *scripts, uint32_t host)
{
	for (struct script_hold *hold = scripts->holds; hold != NULL; hold = hold->next) {
		if (hold->state != HOLD_REACHED || hold->host != host)
			continue;
		hold->state = HOLD_OVER;
		/* Whoever waited there is gone with the host. */
		hold->let_go = (struct env_cond){ 0 };
		env_cond_broadcast(scripts->lab, &hold->change);
	}
}

static void let_go(struct script_hold *hold)
{
	hold->state = HOLD_OVER;
	tell(hold, hold->env, LAB_EV_hold_released);
	env_cond_broadcast(hold->env, &hold->let_go);
}

void script_holds_heal(struct scripts *scripts)
{
	for (struct script_hold *hold = scripts->holds; hold != NULL; hold = hold->next) {
		if (hold->state == HOLD_REACHED) {
			let_go(hold);
		} else if (hold->state == HOLD_ARMED) {
			hold->state = HOLD_OVER;
			env_cond_broadcast(scripts->lab, &hold->change);
		}
	}
}

/* ---- in Lua ---- */

static int make(lua_State *L, enum hold_mode mode)
{
	static const char *const names[] = { "backend", "user", "nth", "disk", "down" };
	struct scripts *scripts = scripts_of(L);
	struct script_hold *hold = lab_new(scripts->lab->heap, struct script_hold);
	enum env_hold point = env_hold_find(sandbox_text(L, 1));

	if (point == ENV_HOLD_COUNT)
		return luaL_error(L, "there is no hold %s", lua_tostring(L, 1));
	script_options(L, 2, names, LAB_COUNT_OF(names) - (mode == HOLD_CRASH ? 0 : 2));
	*hold = (struct script_hold){ .script = script_of(L),
		.point = point,
		.mode = mode,
		.state = scripts->is_healed ? HOLD_OVER : HOLD_ARMED,
		.node = script_option_backend(L, 2, "backend"),
		.nth = script_option_integer(L, 2, "nth", 1, NTH_MAX, 1),
		.down_ns = script_option_time(L, 2, "down", 5 * LAB_SEC) };
	if (mode == HOLD_CRASH)
		hold->disk = script_option_disk(L, 2);
	if (script_option(L, 2, "user")) {
		hold->user = script_user(L, -1)->name;
		lua_pop(L, 1);
	}
	*(struct script_hold **)script_new_object(L, HOLD_TYPE, sizeof(hold)) = hold;
	*scripts->holds_tail = hold;
	scripts->holds_tail = &hold->next;
	return 1;
}

static int lib_hold(lua_State *L)
{
	return make(L, HOLD_KEEP);
}

static int lib_observe(lua_State *L)
{
	return make(L, HOLD_OBSERVE);
}

static int lib_crash_at(lua_State *L)
{
	return make(L, HOLD_CRASH);
}

/* hold:wait([time]): until a fiber is there. Without a time it is an error if none comes. */
static int hold_wait(lua_State *L)
{
	struct script_hold *hold = hold_at(L);
	struct env *lab = scripts_of(L)->lab;
	bool has_limit = !lua_isnoneornil(L, 2);
	uint64_t deadline = has_limit ? env_now(lab) + script_time(L, 2) : ENV_FOREVER;

	while (hold->state == HOLD_ARMED && env_cond_wait(lab, &hold->change, deadline) == 0)
		;
	if (hold->seen < hold->nth && !has_limit)
		return luaL_error(L, "nobody came to the hold %s before the storm was over",
			env_hold_name(hold->point));
	lua_pushboolean(L, hold->seen >= hold->nth);
	return 1;
}

/* hold:release(): true if somebody was held. From then on it keeps nobody. */
static int hold_release(lua_State *L)
{
	struct script_hold *hold = hold_at(L);
	bool is_kept = hold->state == HOLD_REACHED;

	if (is_kept)
		let_go(hold);
	hold->state = HOLD_OVER;
	lua_pushboolean(L, is_kept);
	return 1;
}

/* hold:crash{disk, down}: the backend whose fiber is held crashes there. */
static int hold_crash(lua_State *L)
{
	static const char *const names[] = { "disk", "down" };
	struct script_hold *hold = hold_at(L);
	struct scripts *scripts = scripts_of(L);
	struct scene *scene = script_scene(L);
	enum fault_disk disk;
	uint64_t down_ns;
	struct lab_error err;

	script_options(L, 2, names, LAB_COUNT_OF(names));
	disk = script_option_disk(L, 2);
	down_ns = script_option_time(L, 2, "down", 5 * LAB_SEC);
	if (hold->state != HOLD_REACHED)
		return luaL_error(L, "nobody is held at %s", env_hold_name(hold->point));
	for (size_t i = 0; i < scene->node_count; i++) {
		if (scene->nodes[i].env == hold->env &&
			script_crash(scripts, &scene->nodes[i], disk, down_ns, &err) < 0)
			return script_raise(L, &err);
	}
	while (hold->state == HOLD_REACHED)
		(void)env_cond_wait(scripts->lab, &hold->change, ENV_FOREVER);
	return 0;
}

static int hold_is_held(lua_State *L)
{
	lua_pushboolean(L, hold_at(L)->state == HOLD_REACHED);
	return 1;
}

/* hold:count(): fibers that have come there while it was armed. */
static int hold_count(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)hold_at(L)->seen);
	return 1;
}

void script_open_holds(lua_State *L)
{
	static const luaL_Reg methods[] = { { "wait", hold_wait }, { "release", hold_release },
		{ "crash", hold_crash }, { "is_held", hold_is_held }, { "count", hold_count },
		{ NULL, NULL } };

	script_class(L, HOLD_TYPE, methods);
	lua_register(L, "hold", lib_hold);
	lua_register(L, "observe", lib_observe);
	lua_register(L, "crash_at", lib_crash_at);
}

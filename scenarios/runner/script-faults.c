/* SPDX-License-Identifier: Apache-2.0
 *
 * script-faults.c - what a script breaks: backends, and whatever the fault plan knows. Everything
 * is an episode of the plan, so that reports and the oracle know it as what it is.
 */
#include "scenarios/runner/script-private.h"

#include "scenarios/format/inject.h"
#include "scenarios/runner/operators.h"

#include <stdio.h>

#define BACKEND_TYPE "backend"
#define FAULT_TYPE "fault"
#define PPM 1000000
#define START_PATIENCE (10 * LAB_SEC)

/* ---- arguments ---- */

struct node *script_backend(lua_State *L, int index)
{
	return *(struct node **)luaL_checkudata(L, index, BACKEND_TYPE);
}

struct node *script_option_backend(lua_State *L, int index, const char *name)
{
	struct node *node;

	if (!script_option(L, index, name))
		return NULL;
	node = script_backend(L, -1);
	lua_pop(L, 1);
	return node;
}

enum fault_disk script_option_disk(lua_State *L, int index)
{
	static const char *const disks[] = { "lose_unsynced", "keep", "wipe", NULL };
	enum fault_disk disk = FAULT_DISK_LOSE_UNSYNCED;

	if (!script_option(L, index, "disk"))
		return disk;
	disk = (enum fault_disk)luaL_checkoption(L, -1, NULL, disks);
	lua_pop(L, 1);
	return disk;
}

/* ---- episodes ---- */

/* From now on, at most until the storm is over: then everything is healed. */
static int add_episode(struct scripts *scripts, struct fault_episode *episode, uint32_t *ret_id,
	struct lab_error *err)
{
	uint64_t now_ns = env_now(scripts->lab), end_ns = scripts->settings.end_ns;

	if (now_ns >= end_ns)
		return lab_fail(err, LAB_INVALID, "the storm is over: nothing fails any more");
	episode->start_ns = now_ns;
	episode->length_ns = LAB_MIN(episode->length_ns, end_ns - now_ns);
	return fault_plan_add_episode(scripts->settings.world->scene.plan, episode, ret_id, err);
}

int script_crash(struct scripts *scripts, const struct node *node, enum fault_disk disk,
	uint64_t down_ns, struct lab_error *err)
{
	struct fault_episode episode = {
		.kind = FAULT_crash, .disk = disk, .length_ns = LAB_MAX(down_ns, (uint64_t)1)
	};

	(void)snprintf(episode.target, sizeof(episode.target), "%s", node->name);
	return add_episode(scripts, &episode, NULL, err);
}

static bool is_in_list(const char *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

static bool is_host(const struct scene *scene, const char *name)
{
	for (size_t i = 0; i < scene->node_count; i++) {
		if (strcmp(scene->nodes[i].name, name) == 0)
			return true;
	}
	return false;
}

static bool is_cql_node(const struct scene *scene, const char *name)
{
	for (size_t i = 0; i < scene->cql_count; i++) {
		if (strcmp(scene->cql_names[i], name) == 0)
			return true;
	}
	return false;
}

static bool is_zone(const struct scene *scene, const char *name)
{
	const struct scenario *s = scene->options->scenario;

	if (strncmp(name, "zone:", 5) != 0)
		return false;
	for (size_t i = 0; i < s->site_count; i++) {
		if (lab_view_eq_cstr(s->sites[i].name, name + 5))
			return true;
	}
	return false;
}

static bool is_clock(enum fault_kind kind)
{
	return kind == FAULT_clock_skew || kind == FAULT_clock_step;
}

/* What the name means for a fault of that kind; the world would not know another one. */
static bool is_target(const struct scene *scene, enum fault_kind kind, const char *name)
{
	const char *services[] = { scene_storage_name(scene), "imds" };
	bool is_service = is_in_list(services, LAB_COUNT_OF(services), name);

	if (kind == FAULT_crash || kind == FAULT_hang || is_clock(kind))
		return is_host(scene, name);
	if (kind == FAULT_node_down)
		return is_cql_node(scene, name);
	if (fault_kind_is_world(kind) && strcmp(name, "*") == 0)
		return true;
	return is_service || is_host(scene, name) || is_cql_node(scene, name) ||
	       is_zone(scene, name);
}

static void set_scope(const struct scene *scene, struct fault_episode *episode)
{
	if (fault_kind_is_world(episode->kind) || episode->target[0] == '\0')
		return;
	if (is_host(scene, episode->target)) {
		episode->scope = FAULT_PEER;
	} else if (is_zone(scene, episode->target)) {
		episode->scope = FAULT_PEER_ZONE;
		memmove(episode->target, episode->target + 5, strlen(episode->target) - 4);
	} else {
		episode->scope = FAULT_INSTANCE;
	}
}

/* A backend, or the name of something. */
static void read_target(lua_State *L, const char *option, enum fault_kind kind, char *out)
{
	const char *name;

	if (!script_option(L, 1, option))
		return;
	name = lua_type(L, -1) == LUA_TUSERDATA ? script_backend(L, -1)->name
						: luaL_checkstring(L, -1);
	if (!is_target(script_scene(L), kind, name))
		luaL_error(L, "%s: %s is nothing that %s happens to", option, name,
			fault_kind_name(kind));
	(void)snprintf(out, FAULT_NAME_MAX, "%s", name);
	lua_pop(L, 1);
}

static uint32_t read_rate(lua_State *L)
{
	lua_Number rate = 1;

	if (script_option(L, 1, "rate")) {
		rate = luaL_checknumber(L, -1);
		luaL_argcheck(L, rate > 0 && rate <= 1, 1, "rate: above 0, at most 1");
		lua_pop(L, 1);
	}
	return (uint32_t)LAB_MAX(rate * PPM, (lua_Number)1);
}

static void read_kind(lua_State *L, struct fault_episode *episode)
{
	const char *kind = script_option_text(L, 1, "kind", "");
	const char *point = script_option_text(L, 1, "point", NULL);

	episode->kind = fault_kind_find(lab_view_cstr(kind));
	if (episode->kind == FAULT_KIND_COUNT)
		luaL_error(L, "there is no kind of fault %s", kind);
	if (point == NULL)
		return;
	episode->points = fault_points_matching(lab_view_cstr(point));
	if (episode->points == 0)
		luaL_error(L, "there is no fault point %s", point);
}

static int push_fault(lua_State *L, struct fault_episode *episode)
{
	uint32_t id;
	struct lab_error err;

	if (add_episode(scripts_of(L), episode, &id, &err) < 0)
		return script_raise(L, &err);
	*(uint32_t *)script_new_object(L, FAULT_TYPE, sizeof(id)) = id;
	return 1;
}

/* fault{kind=, point=, target=, other=, rate=, nth=, length=, amount=} */
static int lib_fault(lua_State *L)
{
	static const char *const names[] = { "kind", "point", "target", "other", "rate", "nth",
		"length", "amount" };
	struct fault_episode episode = { .disk = FAULT_DISK_LOSE_UNSYNCED };
	uint64_t amount;

	luaL_checktype(L, 1, LUA_TTABLE);
	script_options(L, 1, names, LAB_COUNT_OF(names));
	read_kind(L, &episode);
	read_target(L, "target", episode.kind, episode.target);
	read_target(L, "other", episode.kind, episode.other);
	set_scope(script_scene(L), &episode);
	episode.rate_ppm = read_rate(L);
	episode.nth = script_option_integer(L, 1, "nth", 1, UINT32_MAX, 0);
	episode.length_ns = script_option_time(L, 1, "length", UINT64_MAX);
	amount = script_option_time(L, 1, "amount", 0);
	if (is_clock(episode.kind))
		episode.clock_us = (int64_t)(amount / 1000);
	else
		episode.amount = (struct fault_range){ FAULT_UNIFORM, amount, amount };
	return push_fault(L, &episode);
}

/* inject("s3.put:reset:3"): as --inject says it, counted from now on. */
static int lib_inject(lua_State *L)
{
	struct fault_episode episode;
	struct lab_error err;

	if (inject_parse(sandbox_text(L, 1), &episode, &err) < 0)
		return script_raise(L, &err);
	if (episode.after != 0)
		return luaL_error(L, "inject: \">\" is for command lines");
	episode.length_ns = UINT64_MAX;
	return push_fault(L, &episode);
}

static const struct fault_episode *fault_at(lua_State *L)
{
	uint32_t id = *(uint32_t *)luaL_checkudata(L, 1, FAULT_TYPE);
	size_t count;
	const struct fault_episode *episodes = fault_plan_episodes(script_scene(L)->plan, &count);

	return &episodes[id - 1];
}

/* Not of what the world does: that ends when it was said to. */
static int fault_stop(lua_State *L)
{
	const struct fault_episode *episode = fault_at(L);

	if (fault_kind_is_world(episode->kind))
		return luaL_error(L, "a %s ends after its length", fault_kind_name(episode->kind));
	(void)fault_plan_disable_episode(script_scene(L)->plan, episode->id, NULL);
	return 0;
}

static int fault_fired(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)fault_at(L)->fired);
	return 1;
}

/* ---- backends ---- */

static int push_backend(lua_State *L, struct node *node)
{
	*(struct node **)script_new_object(L, BACKEND_TYPE, sizeof(node)) = node;
	return 1;
}

/* backend(n) or backend("backend-1") */
static int lib_backend(lua_State *L)
{
	struct scene *scene = script_scene(L);

	for (size_t i = 0; i < scene->node_count; i++) {
		if (lua_type(L, 1) == LUA_TSTRING
				? strcmp(lua_tostring(L, 1), scene->nodes[i].name) == 0
				: luaL_checkinteger(L, 1) == (lua_Integer)i + 1)
			return push_backend(L, &scene->nodes[i]);
	}
	return luaL_error(L, "there is no backend %s", sandbox_tostring(L, 1));
}

static int lib_backend_count(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)script_scene(L)->node_count);
	return 1;
}

static int backend_name(lua_State *L)
{
	lua_pushstring(L, script_backend(L, 1)->name);
	return 1;
}

static int backend_is_up(lua_State *L)
{
	const struct node *node = script_backend(L, 1);

	lua_pushboolean(L, node->is_up && node->backend != NULL);
	return 1;
}

static int backend_is_equal(lua_State *L)
{
	lua_pushboolean(L, script_backend(L, 1) == script_backend(L, 2));
	return 1;
}

/* b:crash{disk=, down=}: returns when it is down. */
static int backend_crash(lua_State *L)
{
	static const char *const names[] = { "disk", "down" };
	struct scripts *scripts = scripts_of(L);
	struct node *node = script_backend(L, 1);
	uint32_t boots = node->boots;
	uint64_t down_ns;
	struct lab_error err;

	script_options(L, 2, names, LAB_COUNT_OF(names));
	down_ns = script_option_time(L, 2, "down", 5 * LAB_SEC);
	if (!node->is_up)
		return luaL_error(L, "%s is down already", node->name);
	if (script_crash(scripts, node, script_option_disk(L, 2), down_ns, &err) < 0)
		return script_raise(L, &err);
	while (node->is_up && node->boots == boots)
		env_sleep(scripts->lab, 0);
	return 0;
}

/* b:restart(): if it is down; returns when it answers, at once if it does. */
static int backend_restart(lua_State *L)
{
	struct scripts *scripts = scripts_of(L);
	struct node *node = script_backend(L, 1);
	uint64_t deadline = env_now(scripts->lab) + START_PATIENCE;

	if (!node->is_up)
		world_restart(
			world_host_find(scripts->settings.world->world, lab_view_cstr(node->name)));
	while (node->backend == NULL && env_now(scripts->lab) < deadline)
		env_sleep(scripts->lab, LAB_MSEC);
	lua_pushboolean(L, node->backend != NULL);
	return 1;
}

/* b:operate("metacache flush -u %u"): what doveadm is told there; %u is the user, if one is given.
 */
static int backend_operate(lua_State *L)
{
	const struct script_settings *s = &scripts_of(L)->settings;
	struct node *node = script_backend(L, 1);
	struct lab_view command = sandbox_text(L, 2);
	const char *user = lua_isnoneornil(L, 3) ? "" : script_user(L, 3)->name;
	struct operator_command parsed;
	struct operators_settings settings = { .scenario = s->scenario,
		.seed = s->seed,
		.lab = scripts_of(L)->lab,
		.nodes = script_scene(L)->nodes,
		.node_count = script_scene(L)->node_count,
		.history = s->history,
		.event_sequence = s->event_sequence,
		.event_ctx = s->event_ctx };
	struct lab_error err;
	const struct history_op *op;
	uint32_t id;

	if (operator_parse_text(command, &parsed, &err) < 0)
		return script_raise(L, &err);
	if (parsed.verb == OPERATOR_DELETE)
		return luaL_error(L, "operate: user:delete{on=} is for that");
	id = operators_do(&settings, node, user, command);
	if (id == 0)
		return script_push_outcome(L, HISTORY_UNCERTAIN, "the history is full");
	op = history_op(s->history, id - 1);
	return script_push_outcome(L, op->outcome, op->message);
}

void script_open_faults(lua_State *L)
{
	static const luaL_Reg backend[] = { { "name", backend_name }, { "is_up", backend_is_up },
		{ "crash", backend_crash }, { "restart", backend_restart },
		{ "operate", backend_operate }, { "__eq", backend_is_equal },
		{ "__tostring", backend_name }, { NULL, NULL } };
	static const luaL_Reg fault[] = { { "stop", fault_stop }, { "fired", fault_fired },
		{ NULL, NULL } };

	script_class(L, BACKEND_TYPE, backend);
	script_class(L, FAULT_TYPE, fault);
	lua_register(L, "backend", lib_backend);
	lua_register(L, "backend_count", lib_backend_count);
	lua_register(L, "fault", lib_fault);
	lua_register(L, "inject", lib_inject);
}

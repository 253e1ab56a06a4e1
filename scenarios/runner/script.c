/* SPDX-License-Identifier: Apache-2.0
 *
 * script.c - the fibers of scripts, what they print and expect, and how they end.
 */
#include "scenarios/runner/script-private.h"

#include "scenarios/runner/confine.h"

#include "core/base/mark.h"

#include <stdio.h>

/* Of the fiber's stack; the rest is for what a request needs. */
#if defined(__SANITIZE_ADDRESS__)
#define LUA_STACK_BYTES ((size_t)128 << 10)
#else
#define LUA_STACK_BYTES ((size_t)32 << 10)
#endif
#define TIME_MAX_NS (366 * UINT64_C(86400) * LAB_SEC)
#define TASK_TYPE "task"

struct script *script_of(lua_State *L)
{
	return sandbox_ctx(L);
}

struct scripts *scripts_of(lua_State *L)
{
	return script_of(L)->all;
}

struct scene *script_scene(lua_State *L)
{
	return &scripts_of(L)->settings.world->scene;
}

int script_raise(lua_State *L, const struct lab_error *err)
{
	return luaL_error(L, "%s", err->message);
}

/* ---- arguments ---- */

void script_options(lua_State *L, int index, const char *const *names, size_t count)
{
	if (lua_isnoneornil(L, index))
		return;
	luaL_checktype(L, index, LUA_TTABLE);
	lua_pushnil(L);
	while (lua_next(L, index) != 0) {
		bool is_known = false;

		lua_pop(L, 1);
		for (size_t i = 0; i < count && lua_type(L, -1) == LUA_TSTRING; i++)
			is_known |= strcmp(lua_tostring(L, -1), names[i]) == 0;
		if (!is_known)
			luaL_error(L, "there is no option %s", sandbox_tostring(L, -1));
	}
}

bool script_option(lua_State *L, int index, const char *name)
{
	if (lua_isnoneornil(L, index))
		return false;
	if (lua_getfield(L, index, name) != LUA_TNIL)
		return true;
	lua_pop(L, 1);
	return false;
}

uint64_t script_time(lua_State *L, int index)
{
	uint64_t ns = 0;
	struct lab_error err;

	if (lua_type(L, index) == LUA_TSTRING) {
		if (conf_value_time(sandbox_text(L, index), 0, &ns, &err) < 0)
			return (uint64_t)script_raise(L, &err);
	} else {
		lua_Number seconds = luaL_checknumber(L, index);

		if (!(seconds >= 0 && seconds <= (lua_Number)(TIME_MAX_NS / LAB_SEC)))
			return (uint64_t)luaL_error(L, "a time is from 0 to one year");
		ns = (uint64_t)(seconds * (lua_Number)LAB_SEC);
	}
	if (ns > TIME_MAX_NS)
		return (uint64_t)luaL_error(L, "a time is from 0 to one year");
	return ns;
}

uint64_t script_option_time(lua_State *L, int index, const char *name, uint64_t otherwise)
{
	if (!script_option(L, index, name))
		return otherwise;
	otherwise = script_time(L, -1);
	lua_pop(L, 1);
	return otherwise;
}

uint64_t script_option_integer(
	lua_State *L, int index, const char *name, uint64_t low, uint64_t high, uint64_t otherwise)
{
	lua_Integer value;

	if (!script_option(L, index, name))
		return otherwise;
	value = luaL_checkinteger(L, -1);
	if (value < 0 || (uint64_t)value < low || (uint64_t)value > high)
		return (uint64_t)luaL_error(
			L, "%s: from %I to %I", name, (LUAI_UACINT)low, (LUAI_UACINT)high);
	lua_pop(L, 1);
	return (uint64_t)value;
}

const char *script_option_text(lua_State *L, int index, const char *name, const char *otherwise)
{
	if (!script_option(L, index, name))
		return otherwise;
	otherwise = lab_heap_strdup(scripts_of(L)->lab->heap, luaL_checkstring(L, -1));
	lua_pop(L, 1);
	return otherwise;
}

/* ---- objects ---- */

void *script_new_object(lua_State *L, const char *type, size_t size)
{
	void *object = lua_newuserdatauv(L, size, 0);

	memset(object, 0, size);
	luaL_setmetatable(L, type);
	return object;
}

void script_class(lua_State *L, const char *type, const luaL_Reg *methods)
{
	lab_assert(luaL_newmetatable(L, type));
	luaL_setfuncs(L, methods, 0);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "__index");
	/* getmetatable() gives nothing that can be changed. */
	lua_pushstring(L, type);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

int script_push_outcome(lua_State *L, enum history_outcome outcome, const char *message)
{
	lua_pushstring(L, history_outcome_name(outcome));
	lua_pushstring(L, message);
	return 2;
}

/* ---- fibers ---- */

struct script_task {
	struct script *script;
	lua_State *L;
	int arguments;
	uint64_t begin_ns;
	bool is_done;
	struct env_cond ended;
};

static void failed(struct scripts *scripts, const struct lab_error *err)
{
	if (scripts->has_failed)
		return;
	scripts->has_failed = true;
	scripts->err = *err;
}

static void run_task(void *arg)
{
	struct script_task *task = arg;
	struct scripts *scripts = task->script->all;
	struct env *lab = scripts->lab;
	struct lab_error err;

	if (task->begin_ns > env_now(lab))
		env_sleep(lab, task->begin_ns - env_now(lab));
	if (sandbox_call(task->L, task->arguments, LUA_STACK_BYTES, &err) < 0)
		failed(scripts, &err);
	if (task->L != sandbox_state(task->script->sandbox))
		sandbox_thread_end(&task->L);
	task->is_done = true;
	scripts->busy--;
	env_cond_broadcast(lab, &task->ended);
}

static int start_task(struct script_task *task, struct lab_error *err)
{
	struct scripts *scripts = task->script->all;

	if (env_spawn(scripts->lab, "script", run_task, task, err) < 0)
		return -1;
	scripts->busy++;
	return 0;
}

/* spawn(function, ...) */
static int lib_spawn(lua_State *L)
{
	struct script *script = script_of(L);
	struct script_task *task = lab_new(script->all->lab->heap, struct script_task);
	int arguments = lua_gettop(L) - 1;
	struct lab_error err;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	*task = (struct script_task){ .script = script, .arguments = arguments };
	task->L = sandbox_thread_new(L);
	lua_xmove(L, task->L, arguments + 1);
	if (start_task(task, &err) < 0)
		return script_raise(L, &err);
	*(struct script_task **)script_new_object(L, TASK_TYPE, sizeof(task)) = task;
	return 1;
}

/* task:wait() */
static int task_wait(lua_State *L)
{
	struct script_task *task = *(struct script_task **)luaL_checkudata(L, 1, TASK_TYPE);

	while (!task->is_done)
		(void)env_cond_wait(scripts_of(L)->lab, &task->ended, ENV_FOREVER);
	return 0;
}

static int lib_sleep(lua_State *L)
{
	env_sleep(scripts_of(L)->lab, script_time(L, 1));
	return 0;
}

/* Seconds of the run. */
static int lib_now(lua_State *L)
{
	lua_pushnumber(L, (lua_Number)env_now(scripts_of(L)->lab) / (lua_Number)LAB_SEC);
	return 1;
}

/* ---- what is said and expected ---- */

static void say(void *ctx, struct lab_view text)
{
	struct script *script = ctx;

	ENV_EVENT(script->all->lab, LAB_EV_script_said, LAB_F_TEXT("script", script->what->name),
		LAB_F_CSTR("what", "print"), LAB_F_TEXT("text", text));
}

/* expect(condition, text): a failure, and the script goes on. */
static int lib_expect(lua_State *L)
{
	struct script *script = script_of(L);
	struct script_report *report = &script->all->report;
	const struct script_settings *settings = &script->all->settings;
	const char *text = luaL_checkstring(L, 2);

	lua_settop(L, 2);
	if (lua_toboolean(L, 1))
		return 1;
	luaL_where(L, 1);
	ENV_EVENT(script->all->lab, LAB_EV_script_said, LAB_F_TEXT("script", script->what->name),
		LAB_F_CSTR("what", "expect"), LAB_F_CSTR("text", text));
	if (report->failed++ == 0) {
		(void)snprintf(report->sentence, sizeof(report->sentence),
			"%sexpected, and not so: %s", lua_tostring(L, -1), text);
		(void)snprintf(report->signature, sizeof(report->signature), "script %.*s: %.60s",
			LAB_VIEW_ARG(script->what->name), text);
		report->time_ns = env_now(script->all->lab);
		report->event = settings->event_sequence(settings->event_ctx);
	}
	lua_pushboolean(L, false);
	return 1;
}

/* marks(name): how often the run came there. */
static int lib_marks(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	for (unsigned m = 0; m < LAB_MARK_COUNT; m++) {
		if (strcmp(name, lab_mark_name((enum lab_mark)m)) != 0)
			continue;
		lua_pushinteger(L, lab_mark_hits == NULL ? 0 : (lua_Integer)lab_mark_hits[m]);
		return 1;
	}
	return luaL_error(L, "there is no mark %s", name);
}

static uint64_t draw(void *ctx, uint64_t key, uint64_t ordinal)
{
	struct script *script = ctx;

	return lab_draw(script->all->settings.seed, "script.random", key, ordinal);
}

/* ---- start and end ---- */

static int open_library(lua_State *L)
{
	static const luaL_Reg functions[] = { { "spawn", lib_spawn }, { "sleep", lib_sleep },
		{ "now", lib_now }, { "expect", lib_expect }, { "marks", lib_marks } };
	static const luaL_Reg task[] = { { "wait", task_wait }, { NULL, NULL } };

	for (size_t i = 0; i < LAB_COUNT_OF(functions); i++)
		lua_register(L, functions[i].name, functions[i].func);
	script_class(L, TASK_TYPE, task);
	script_open_clients(L);
	script_open_holds(L);
	script_open_faults(L);
	return 0;
}

static int start_script(struct scripts *scripts, struct script *script, struct lab_error *err)
{
	const struct script_settings *s = &scripts->settings;
	struct lab_heap *heap = scripts->lab->heap;
	struct script_task *task = lab_new(heap, struct script_task);
	struct sandbox_settings settings = { .heap = heap,
		.key = lab_hash_view(0, script->what->name),
		.draw = draw,
		.print = say,
		.ctx = script };

	/* Lua takes a seed for its hashes from the clock; the sandbox lets no script see their
	 * order. */
	confine_open_clocks();
	script->sandbox = sandbox_new(&settings);
	confine_close_clocks();
	*task = (struct script_task){ .script = script,
		.L = sandbox_state(script->sandbox),
		.begin_ns =
			s->begin_ns + conf_range_pick(&script->what->at,
					      lab_draw(s->seed, "script.at", settings.key, 0)) };
	lua_pushcfunction(task->L, open_library);
	if (sandbox_call(task->L, 0, SIZE_MAX, err) < 0 ||
		sandbox_load(script->sandbox, script->what->path, script->what->text, err) < 0)
		return -1;
	return start_task(task, err);
}

static void on_event(void *ctx, const struct lab_event *event)
{
	if (event->id == LAB_EV_host_crashed)
		script_holds_crashed(ctx, event->host);
}

int scripts_start(
	const struct script_settings *settings, struct scripts **ret, struct lab_error *err)
{
	const struct scenario *scenario = settings->scenario;
	struct env *lab = settings->world->lab;
	struct scripts *scripts;

	*ret = NULL;
	if (scenario->script_count == 0)
		return 0;
	scripts = lab_new(lab->heap, struct scripts);
	*scripts = (struct scripts){ .settings = *settings,
		.lab = lab,
		.watcher = { script_hold_reached, scripts },
		.items = lab_new_array(lab->heap, struct script, scenario->script_count),
		.count = scenario->script_count };
	scripts->holds_tail = &scripts->holds;
	*ret = scripts;
	env_hold_watcher = &scripts->watcher;
	world_add_sink(settings->world->world, on_event, scripts);
	for (size_t i = 0; i < scripts->count; i++) {
		scripts->items[i] =
			(struct script){ .all = scripts, .what = &scenario->scripts[i] };
		if (start_script(scripts, &scripts->items[i], err) < 0)
			return -1;
	}
	return 0;
}

bool scripts_are_idle(const struct scripts *scripts)
{
	return scripts == NULL || scripts->busy == 0;
}

int scripts_failed(const struct scripts *scripts, struct lab_error *err)
{
	if (scripts == NULL || !scripts->has_failed)
		return 0;
	*err = scripts->err;
	return 1;
}

void scripts_heal(struct scripts *scripts)
{
	if (scripts == NULL)
		return;
	scripts->is_healed = true;
	script_holds_heal(scripts);
}

void scripts_report(const struct scripts *scripts, struct script_report *ret)
{
	*ret = (struct script_report){ 0 };
	if (scripts != NULL)
		*ret = scripts->report;
}

void scripts_free(struct scripts **scripts)
{
	if (*scripts == NULL)
		return;
	/* Lua's memory goes with the host's. */
	env_hold_watcher = NULL;
	*scripts = NULL;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * script-private.h - the parts of scripts: their fibers and expectations (script.c), users and
 * sessions (script-clients.c), holds (script-holds.c), backends and faults (script-faults.c).
 */
#ifndef SCENARIOS_SCRIPT_PRIVATE_H
#define SCENARIOS_SCRIPT_PRIVATE_H

#include "scenarios/lua/sandbox.h"
#include "scenarios/runner/client.h"
#include "scenarios/runner/script.h"
#include "scenarios/runner/sim-world.h"
#include "scenarios/runner/workload.h"

struct script_hold;

struct scripts {
	struct script_settings settings;
	struct env *lab;
	struct env_hold_watcher watcher;
	struct script_hold *holds, **holds_tail; /* in the order in which they were made */
	struct script *items;
	size_t count, busy; /* fibers */
	struct script_report report;
	struct lab_error err;
	bool has_failed, is_healed;
};

struct script {
	struct scripts *all;
	const struct scenario_script *what;
	struct sandbox *sandbox;
};

struct script *script_of(lua_State *L);
struct scripts *scripts_of(lua_State *L);
struct scene *script_scene(lua_State *L);
/* Raises the error. */
int script_raise(lua_State *L, const struct lab_error *err);

/* ---- arguments; all raise errors ---- */

/* A table of options, or none, at `index`: nothing but these names. */
void script_options(lua_State *L, int index, const char *const *names, size_t count);
/* Pushes the option; false, and nothing is pushed, if there is none. */
bool script_option(lua_State *L, int index, const char *name);
/* Seconds, or a text like "1.5 s". */
uint64_t script_time(lua_State *L, int index);
uint64_t script_option_time(lua_State *L, int index, const char *name, uint64_t otherwise);
uint64_t script_option_integer(
	lua_State *L, int index, const char *name, uint64_t low, uint64_t high, uint64_t otherwise);
/* In the heap of the laboratory; `otherwise` may be NULL. */
const char *script_option_text(lua_State *L, int index, const char *name, const char *otherwise);

struct node *script_backend(lua_State *L, int index);
/* NULL: not said. */
struct node *script_option_backend(lua_State *L, int index, const char *name);
struct user *script_user(lua_State *L, int index);
/* A new object of that class: memory of it, zeroed, with the class's methods. */
void *script_new_object(lua_State *L, const char *type, size_t size);
/* Makes the class; `methods` ends with NULLs. */
void script_class(lua_State *L, const char *type, const luaL_Reg *methods);
/* "ok", "fail" or "uncertain", and what the error said. Returns 2. */
int script_push_outcome(lua_State *L, enum history_outcome outcome, const char *message);

/* ---- the classes, and the functions beside them: put into the globals ---- */

void script_open_clients(lua_State *L);
void script_open_holds(lua_State *L);
void script_open_faults(lua_State *L);

/* ---- script-holds.c ---- */

void script_hold_reached(void *ctx, struct env *env, enum env_hold hold, const char *user);
void script_holds_crashed(struct scripts *scripts, uint32_t host);
void script_holds_heal(struct scripts *scripts);

/* ---- script-faults.c ---- */

/* The backend crashes at once, in an event of its own, and starts again after `down_ns`. The caller
 * may be one of its fibers. -1 LAB_INVALID: the storm is over. */
int script_crash(struct scripts *scripts, const struct node *node, enum fault_disk disk,
	uint64_t down_ns, struct lab_error *err);
/* Options disk and down. */
enum fault_disk script_option_disk(lua_State *L, int index);

#endif

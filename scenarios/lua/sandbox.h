/* SPDX-License-Identifier: Apache-2.0
 *
 * sandbox.h - Lua 5.4 that does the same in every run (simulation 3.5).
 *
 * Purpose    What a script of a scenario may use of Lua: base, string, table and math, without
 *            files, processes, clocks, loading of code, coroutines and finalizers. README.md has
 *            the list.
 * Order      pairs() and next() go by key: false, true, numbers, strings; any other key is an
 *            error. table.sort() keeps the order of what is equal. No text has an address in it.
 * Draws      math.random() is a keyed decision: the caller's `draw`, by thread and ordinal.
 * Limits     Instructions, memory, and how much of its stack a thread may use; what exceeds one is
 *            an error that no pcall() survives (memory: that pcall() may catch).
 * Errors     LAB_INVALID with "FILE:LINE: what"; the file is the name given to sandbox_load().
 * Ownership  Everything lives in the heap that is given.
 */
#ifndef SCENARIOS_SANDBOX_H
#define SCENARIOS_SANDBOX_H

#include "core/base/base.h"

#include <lauxlib.h>
#include <lua.h>

struct sandbox;

struct sandbox_settings {
	struct lab_heap *heap;
	size_t memory_max;         /* bytes; 0: 64 MiB */
	uint64_t instructions_max; /* 0: 200 million */
	uint64_t key;              /* of the draws of the first thread */
	/* NULL: math.random() is an error, print() says nothing. */
	uint64_t (*draw)(void *ctx, uint64_t key, uint64_t ordinal);
	void (*print)(void *ctx, struct lab_view text);
	void *ctx;
};

/* Never NULL. */
struct sandbox *sandbox_new(const struct sandbox_settings *settings);
/* NULLs the pointer; accepts NULL. Nothing of it may be running. */
void sandbox_free(struct sandbox **sandbox);
struct sandbox *sandbox_of(lua_State *L);
void *sandbox_ctx(lua_State *L);
/* The first thread. */
lua_State *sandbox_state(struct sandbox *sandbox);

/* Compiles a text (no bytecode); the function is on top of the first thread's stack. */
int sandbox_load(
	struct sandbox *sandbox, const char *file, struct lab_view text, struct lab_error *err);
/* Another thread of the same state, which the caller runs on a stack of its own. Kept until
 * sandbox_thread_end(). Raises an error if there is no memory. */
lua_State *sandbox_thread_new(lua_State *L);
void sandbox_thread_end(lua_State **thread);
/* Calls the function below `arguments` on the thread's stack, and drops its results. At most
 * `stack_bytes` of the C stack are used, as far as Lua itself goes. */
int sandbox_call(lua_State *L, int arguments, size_t stack_bytes, struct lab_error *err);

uint64_t sandbox_instructions(const struct sandbox *sandbox);
/* An argument: text that lives as long as it is on the stack. Raises an error. */
struct lab_view sandbox_text(lua_State *L, int index);
/* tostring() of the value, pushed. */
const char *sandbox_tostring(lua_State *L, int index);

#endif

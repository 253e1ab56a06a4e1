/* SPDX-License-Identifier: Apache-2.0
 *
 * sandbox-private.h - the state and its limits (sandbox.c), and the library (sandbox-library.c).
 */
#ifndef SCENARIOS_SANDBOX_PRIVATE_H
#define SCENARIOS_SANDBOX_PRIVATE_H

#include "scenarios/lua/sandbox.h"

/* Of each Lua thread; its extra space points here. */
struct sandbox_thread {
	struct sandbox *sandbox;
	uint64_t key, draws, children;
	const char *stack; /* where its C stack begins; NULL: no limit */
	size_t stack_bytes;
	int reference; /* that keeps it */
};

struct sandbox {
	struct sandbox_settings settings;
	lua_State *state;
	struct sandbox_thread first;
	size_t memory;
	uint64_t instructions;
	bool is_exhausted;
};

struct sandbox_thread *sandbox_thread_of(lua_State *L);
/* Work that the count of instructions does not see. Raises an error. */
void sandbox_charge(lua_State *L, uint64_t steps);
/* Puts the library into the state's globals. */
int sandbox_open_library(lua_State *L);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/lua/sandbox-private.h"

#define MEMORY_DEFAULT ((size_t)64 << 20)
#define INSTRUCTIONS_DEFAULT UINT64_C(200000000)
#define HOOK_EVERY 1000
#define HOOK_MASK (LUA_MASKCOUNT | LUA_MASKCALL)

/* Lua zeroes this space in the first thread, and copies it to others. */
_Static_assert(LUA_EXTRASPACE >= sizeof(struct sandbox_thread *), "a pointer for each thread");

struct sandbox_thread *sandbox_thread_of(lua_State *L)
{
	return *(struct sandbox_thread **)lua_getextraspace(L);
}

static void set_thread(lua_State *L, struct sandbox_thread *thread)
{
	*(struct sandbox_thread **)lua_getextraspace(L) = thread;
}

struct sandbox *sandbox_of(lua_State *L)
{
	return sandbox_thread_of(L)->sandbox;
}

void *sandbox_ctx(lua_State *L)
{
	return sandbox_of(L)->settings.ctx;
}

lua_State *sandbox_state(struct sandbox *sandbox)
{
	return sandbox->state;
}

uint64_t sandbox_instructions(const struct sandbox *sandbox)
{
	return sandbox->instructions;
}

/* ---- limits ---- */

static void *allocate(void *ctx, void *ptr, size_t old_size, size_t size)
{
	struct sandbox *sandbox = ctx;
	struct lab_heap *heap = sandbox->settings.heap;
	size_t held = ptr == NULL ? 0 : old_size;

	if (size == 0) {
		sandbox->memory -= held;
		lab_heap_free(heap, ptr);
		return NULL;
	}
	if (size > held && size - held > sandbox->settings.memory_max - sandbox->memory)
		return NULL;
	sandbox->memory += size - held;
	return lab_heap_realloc(heap, ptr, size);
}

static void on_hook(lua_State *L, lua_Debug *debug);

/* From here on every instruction fails: a pcall() in a loop does not help. */
static void exhausted(lua_State *L)
{
	struct sandbox *sandbox = sandbox_of(L);

	sandbox->is_exhausted = true;
	lua_sethook(L, on_hook, HOOK_MASK, 1);
	luaL_error(L, "more than %I instructions", (LUAI_UACINT)sandbox->settings.instructions_max);
}

void sandbox_charge(lua_State *L, uint64_t steps)
{
	struct sandbox *sandbox = sandbox_of(L);

	sandbox->instructions += steps;
	if (sandbox->is_exhausted || sandbox->instructions > sandbox->settings.instructions_max)
		exhausted(L);
}

/* The stack grows downwards on every machine that fiber.c knows. */
static void check_stack(lua_State *L)
{
	const struct sandbox_thread *thread = sandbox_thread_of(L);
	const char *here = __builtin_frame_address(0);

	if (thread->stack != NULL && (size_t)(thread->stack - here) > thread->stack_bytes)
		luaL_error(L, "calls are nested too deeply");
}

static void on_hook(lua_State *L, lua_Debug *debug)
{
	if (debug->event == LUA_HOOKCOUNT)
		sandbox_charge(L, HOOK_EVERY);
	else
		check_stack(L);
}

/* ---- the state ---- */

/* No error is left uncaught: everything runs in sandbox_call() or is checked here. */
static int on_panic(lua_State *L)
{
	(void)L;
	lab_bug("an error of Lua outside a protected call");
}

struct sandbox *sandbox_new(const struct sandbox_settings *settings)
{
	struct sandbox *sandbox = lab_new(settings->heap, struct sandbox);

	sandbox->settings = *settings;
	if (settings->memory_max == 0)
		sandbox->settings.memory_max = MEMORY_DEFAULT;
	if (settings->instructions_max == 0)
		sandbox->settings.instructions_max = INSTRUCTIONS_DEFAULT;
	sandbox->first = (struct sandbox_thread){ .sandbox = sandbox, .key = settings->key };
	sandbox->state = lua_newstate(allocate, sandbox);
	lab_assert(sandbox->state != NULL);
	lua_atpanic(sandbox->state, on_panic);
	set_thread(sandbox->state, &sandbox->first);
	lua_pushcfunction(sandbox->state, sandbox_open_library);
	lab_assert(lua_pcall(sandbox->state, 0, 0, 0) == LUA_OK);
	lua_sethook(sandbox->state, on_hook, HOOK_MASK, HOOK_EVERY);
	return sandbox;
}

void sandbox_free(struct sandbox **sandbox)
{
	struct sandbox *freed = *sandbox;

	if (freed == NULL)
		return;
	*sandbox = NULL;
	lua_close(freed->state);
	lab_heap_free(freed->settings.heap, freed);
}

/* The error on top of the stack. */
static int fail(lua_State *L, struct lab_error *err)
{
	const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;

	if (text != NULL)
		lab_fail(err, LAB_INVALID, "%s", text);
	else
		lab_fail(err, LAB_INVALID, "an error that is no text, but a %s",
			luaL_typename(L, -1));
	lua_settop(L, 0);
	return -1;
}

int sandbox_load(
	struct sandbox *sandbox, const char *file, struct lab_view text, struct lab_error *err)
{
	lua_State *L = sandbox->state;
	struct lab_buf name;
	int status;

	lab_buf_init(&name, sandbox->settings.heap, 65536);
	lab_buf_printf(&name, "@%s", file);
	status = luaL_loadbufferx(
		L, text.len == 0 ? "" : (const char *)text.ptr, text.len, lab_buf_cstr(&name), "t");
	lab_buf_done(&name);
	return status == LUA_OK ? 0 : fail(L, err);
}

/* ---- threads ---- */

lua_State *sandbox_thread_new(lua_State *L)
{
	struct sandbox_thread *parent = sandbox_thread_of(L), *thread;
	struct sandbox *sandbox = parent->sandbox;
	lua_State *made = lua_newthread(L);
	int reference = luaL_ref(L, LUA_REGISTRYINDEX);

	thread = lab_new(sandbox->settings.heap, struct sandbox_thread);
	*thread = (struct sandbox_thread){ .sandbox = sandbox,
		.key = lab_hash_fold(parent->key, ++parent->children),
		.reference = reference };
	set_thread(made, thread);
	return made;
}

void sandbox_thread_end(lua_State **thread)
{
	struct sandbox_thread *ended = sandbox_thread_of(*thread);
	struct sandbox *sandbox = ended->sandbox;

	*thread = NULL;
	luaL_unref(sandbox->state, LUA_REGISTRYINDEX, ended->reference);
	lab_heap_free(sandbox->settings.heap, ended);
}

int sandbox_call(lua_State *L, int arguments, size_t stack_bytes, struct lab_error *err)
{
	struct sandbox_thread *thread = sandbox_thread_of(L);
	int status;

	thread->stack = __builtin_frame_address(0);
	thread->stack_bytes = stack_bytes;
	status = lua_pcall(L, arguments, 0, 0);
	thread->stack = NULL;
	return status == LUA_OK ? 0 : fail(L, err);
}

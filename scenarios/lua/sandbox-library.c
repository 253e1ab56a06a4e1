/* SPDX-License-Identifier: Apache-2.0
 *
 * sandbox-library.c - what of Lua's own library is left, and what takes the place of the parts
 * that would differ from run to run.
 */
#include "scenarios/lua/sandbox-private.h"

#include <lualib.h>

#define SORT_MAX 1000000

struct lab_view sandbox_text(lua_State *L, int index)
{
	size_t len;
	const char *text = luaL_checklstring(L, index, &len);

	return lab_view_of(text, len);
}

/* ---- text of values ---- */

const char *sandbox_tostring(lua_State *L, int index)
{
	int type = lua_type(L, index);

	if (luaL_callmeta(L, index, "__tostring")) {
		if (lua_type(L, -1) != LUA_TSTRING)
			luaL_error(L, "'__tostring' must return a string");
		return lua_tostring(L, -1);
	}
	if (type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER || type == LUA_TSTRING)
		return luaL_tolstring(L, index, NULL);
	/* Lua would add the address. */
	if (luaL_getmetafield(L, index, "__name") != LUA_TSTRING)
		lua_pushstring(L, lua_typename(L, type));
	return lua_tostring(L, -1);
}

static int lib_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	(void)sandbox_tostring(L, 1);
	return 1;
}

static int lib_print(lua_State *L)
{
	const struct sandbox_settings *settings = &sandbox_of(L)->settings;
	int count = lua_gettop(L);
	luaL_Buffer text;

	luaL_buffinit(L, &text);
	for (int i = 1; i <= count; i++) {
		if (i > 1)
			luaL_addchar(&text, '\t');
		(void)sandbox_tostring(L, i);
		luaL_addvalue(&text);
	}
	luaL_pushresult(&text);
	if (settings->print != NULL)
		settings->print(settings->ctx, sandbox_text(L, -1));
	return 0;
}

static bool has_pointer(struct lab_view format)
{
	for (size_t i = 0; i + 1 < format.len; i++) {
		if (format.ptr[i] != '%')
			continue;
		do {
			i++;
		} while (i < format.len && format.ptr[i] != '%' &&
			 !(format.ptr[i] >= 'a' && format.ptr[i] <= 'z') &&
			 !(format.ptr[i] >= 'A' && format.ptr[i] <= 'Z'));
		if (i < format.len && format.ptr[i] == 'p')
			return true;
	}
	return false;
}

/* string.format(), the upvalue, of values that have no address in them. */
static int lib_format(lua_State *L)
{
	int count = lua_gettop(L);

	if (has_pointer(sandbox_text(L, 1)))
		return luaL_error(L, "string.format: '%%p' differs from run to run");
	for (int i = 2; i <= count; i++) {
		int type = lua_type(L, i);

		if (type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER ||
			type == LUA_TSTRING)
			continue;
		(void)sandbox_tostring(L, i);
		lua_replace(L, i);
	}
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, count, 1);
	return 1;
}

/* ---- the order of keys ---- */

static int rank_of(lua_State *L, int index)
{
	switch (lua_type(L, index)) {
	case LUA_TBOOLEAN:
		return 0;
	case LUA_TNUMBER:
		return 1;
	case LUA_TSTRING:
		return 2;
	default:
		return luaL_error(L, "pairs: a key is a %s, and these have no order",
			luaL_typename(L, index));
	}
}

/* By bytes: lua_compare() would ask the locale. */
static bool is_text_less(lua_State *L, int a, int b)
{
	size_t a_len, b_len;
	const char *a_text = lua_tolstring(L, a, &a_len), *b_text = lua_tolstring(L, b, &b_len);
	int order = memcmp(a_text, b_text, LAB_MIN(a_len, b_len));

	return order != 0 ? order < 0 : a_len < b_len;
}

static bool is_key_less(lua_State *L, int a, int b)
{
	int a_rank = rank_of(L, a), b_rank = rank_of(L, b);

	if (a_rank != b_rank)
		return a_rank < b_rank;
	if (a_rank == 0)
		return !lua_toboolean(L, a) && lua_toboolean(L, b);
	return a_rank == 1 ? lua_compare(L, a, b, LUA_OPLT) != 0 : is_text_less(L, a, b);
}

/* The least key above the given one, or the least of all: as many steps as there are keys. */
static int lib_next(lua_State *L)
{
	uint64_t steps = 0;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	lua_pushnil(L); /* 3: the best so far */
	lua_pushnil(L); /* 4: where lua_next() is */
	while (lua_next(L, 1) != 0) {
		lua_pop(L, 1);
		steps++;
		if ((lua_isnil(L, 2) || is_key_less(L, 2, 4)) &&
			(lua_isnil(L, 3) || is_key_less(L, 4, 3))) {
			lua_pushvalue(L, 4);
			lua_replace(L, 3);
		}
	}
	sandbox_charge(L, steps);
	lua_settop(L, 3);
	if (lua_isnil(L, 3))
		return 1;
	lua_pushvalue(L, 3);
	(void)lua_rawget(L, 1);
	return 2;
}

static int lib_pairs(lua_State *L)
{
	luaL_checkany(L, 1);
	if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
		lua_pushvalue(L, 1);
		lua_call(L, 1, 3);
		return 3;
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_pushcfunction(L, lib_next);
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

/* ---- table.sort ---- */

/* Is the value at `a` to come before that at `b`? With the function at 2, if there is one. */
static bool is_before(lua_State *L, int a, int b)
{
	bool result;

	if (lua_isnil(L, 2))
		return lua_compare(L, a, b, LUA_OPLT) != 0;
	lua_pushvalue(L, 2);
	lua_pushvalue(L, a);
	lua_pushvalue(L, b);
	lua_call(L, 2, 1);
	result = lua_toboolean(L, -1) != 0;
	lua_pop(L, 1);
	return result;
}

/* Merges [low, middle) and [middle, high) of the table at `from` into the one at `to`. */
static void merge(
	lua_State *L, int from, int to, lua_Integer low, lua_Integer middle, lua_Integer high)
{
	lua_Integer left = low, right = middle;

	for (lua_Integer i = low; i < high; i++) {
		bool is_right = left == middle;

		if (!is_right && right < high) {
			(void)lua_geti(L, from, left);
			(void)lua_geti(L, from, right);
			is_right = is_before(L, lua_gettop(L), lua_gettop(L) - 1);
			lua_pop(L, 2);
		}
		(void)lua_geti(L, from, is_right ? right++ : left++);
		lua_seti(L, to, i);
	}
}

/* Lua's own chooses its pivots by the clock. */
static int lib_sort(lua_State *L)
{
	lua_Integer count;
	int from = 1, to = 3;

	luaL_checktype(L, 1, LUA_TTABLE);
	count = luaL_len(L, 1);
	luaL_argcheck(L, count < SORT_MAX, 1, "array too big");
	lua_settop(L, 2);
	if (!lua_isnil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_createtable(L, (int)count, 0);
	for (lua_Integer width = 1; width < count; width *= 2) {
		for (lua_Integer low = 1; low <= count; low += 2 * width)
			merge(L, from, to, low, LAB_MIN(low + width, count + 1),
				LAB_MIN(low + 2 * width, count + 1));
		from = to;
		to = from == 1 ? 3 : 1;
	}
	for (lua_Integer i = 1; from != 1 && i <= count; i++) {
		(void)lua_geti(L, from, i);
		lua_seti(L, 1, i);
	}
	return 0;
}

/* ---- math.random ---- */

static int lib_random(lua_State *L)
{
	const struct sandbox_settings *settings = &sandbox_of(L)->settings;
	struct sandbox_thread *thread = sandbox_thread_of(L);
	int count = lua_gettop(L);
	lua_Integer low = count < 2 ? 1 : luaL_checkinteger(L, 1);
	lua_Integer high = count == 0 ? 0 : luaL_checkinteger(L, count < 2 ? 1 : 2);
	uint64_t draw;

	if (settings->draw == NULL)
		return luaL_error(L, "math.random: nothing is drawn here");
	luaL_argcheck(L, count == 0 || low <= high, LAB_MAX(count, 1), "interval is empty");
	draw = settings->draw(settings->ctx, thread->key, thread->draws++);
	if (count == 0)
		lua_pushnumber(L, (lua_Number)(draw >> 11) / (lua_Number)(UINT64_C(1) << 53));
	else
		lua_pushinteger(
			L, (lua_Integer)((uint64_t)low +
					 lab_pick_range(draw, 0, (uint64_t)high - (uint64_t)low)));
	return 1;
}

/* ---- setmetatable ---- */

/* A finalizer or a weak table would show when memory is collected. */
static int lib_setmetatable(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	if (!lua_isnoneornil(L, 2)) {
		luaL_checktype(L, 2, LUA_TTABLE);
		for (size_t i = 0; i < 2; i++) {
			const char *name = i == 0 ? "__gc" : "__mode";

			(void)lua_pushstring(L, name);
			if (lua_rawget(L, 2) != LUA_TNIL)
				return luaL_error(L, "setmetatable: there is no %s here", name);
			lua_pop(L, 1);
		}
	}
	lua_settop(L, 2);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, 2, 1);
	return 1;
}

/* ---- what is left ---- */

static const char *const base_names[] = { "_VERSION", "assert", "error", "getmetatable", "ipairs",
	"pcall", "rawequal", "rawget", "rawlen", "rawset", "select", "tonumber", "type", "xpcall" };
static const char *const string_names[] = { "byte", "char", "find", "gmatch", "gsub", "len",
	"lower", "match", "rep", "reverse", "sub", "upper" };
static const char *const table_names[] = { "concat", "insert", "move", "pack", "remove", "unpack" };
static const char *const math_names[] = { "abs", "ceil", "floor", "huge", "max", "maxinteger",
	"min", "mininteger", "tointeger", "type", "ult" };

/* Copies these fields of the table on top into the one below it, and drops the first. */
static void take(lua_State *L, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		lab_assert(lua_getfield(L, -1, names[i]) != LUA_TNIL);
		lua_setfield(L, -3, names[i]);
	}
}

/* A table of the names of what `open` makes, as a global; the original is on top of it. */
static void open_table(
	lua_State *L, const char *name, lua_CFunction open, const char *const *names, size_t count)
{
	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_setglobal(L, name);
	lua_pushcfunction(L, open);
	lua_call(L, 0, 1);
	take(L, names, count);
}

static void set_function(lua_State *L, const char *name, lua_CFunction fn)
{
	lua_pushcfunction(L, fn);
	lua_setfield(L, -2, name);
}

/* With string.format in its place also for ("..."):format(). */
static void open_string(lua_State *L)
{
	open_table(L, "string", luaopen_string, string_names, LAB_COUNT_OF(string_names));
	lua_getfield(L, -1, "format");
	lua_pushcclosure(L, lib_format, 1);
	lua_setfield(L, -3, "format");
	lua_pop(L, 1);
	lua_pushliteral(L, "");
	lab_assert(lua_getmetatable(L, -1));
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 3);
}

static void open_base(lua_State *L)
{
	lua_newtable(L);
	lua_pushcfunction(L, luaopen_base);
	lua_call(L, 0, 1);
	take(L, base_names, LAB_COUNT_OF(base_names));
	lua_getfield(L, -1, "setmetatable");
	lua_pushcclosure(L, lib_setmetatable, 1);
	lua_setfield(L, -3, "setmetatable");
	lua_pop(L, 1);
	set_function(L, "next", lib_next);
	set_function(L, "pairs", lib_pairs);
	set_function(L, "print", lib_print);
	set_function(L, "tostring", lib_tostring);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "_G");
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

int sandbox_open_library(lua_State *L)
{
	open_base(L);
	open_string(L);
	open_table(L, "table", luaopen_table, table_names, LAB_COUNT_OF(table_names));
	lua_pop(L, 1);
	set_function(L, "sort", lib_sort);
	lua_pop(L, 1);
	open_table(L, "math", luaopen_math, math_names, LAB_COUNT_OF(math_names));
	lua_pop(L, 1);
	set_function(L, "random", lib_random);
	lua_pop(L, 1);
	return 0;
}

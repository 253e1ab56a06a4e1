/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include "scenarios/lua/sandbox.h"

static char printed[4096];

static void print(void *ctx, struct lab_view text)
{
	size_t len = strlen(printed);

	assert_ptr_equal(ctx, printed);
	(void)snprintf(printed + len, sizeof(printed) - len, "%.*s;", LAB_VIEW_ARG(text));
}

static uint64_t draw(void *ctx, uint64_t key, uint64_t ordinal)
{
	(void)ctx;
	return lab_draw(7, "test", key, ordinal);
}

static struct sandbox_settings settings(void)
{
	return (struct sandbox_settings){
		.heap = testing_heap, .draw = draw, .print = print, .ctx = printed
	};
}

static int run_with(
	const struct sandbox_settings *with, const char *text, size_t stack, struct lab_error *err)
{
	struct sandbox *sandbox = sandbox_new(with);
	size_t before = lab_heap_used(testing_heap);
	int result;

	printed[0] = '\0';
	assert_true(before > 0);
	result = sandbox_load(sandbox, "test.lua", lab_view_cstr(text), err);
	if (result == 0)
		result = sandbox_call(sandbox_state(sandbox), 0, stack, err);
	sandbox_free(&sandbox);
	assert_null(sandbox);
	return result;
}

static int run(const char *text, struct lab_error *err)
{
	struct sandbox_settings with = settings();

	return run_with(&with, text, 1u << 20, err);
}

static void prints(const char *text, const char *expected)
{
	struct lab_error err;

	if (run(text, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	assert_string_equal(printed, expected);
}

static void fails(const char *text, const char *expected)
{
	struct lab_error err = { .message = "" };

	if (run(text, &err) == 0)
		fail_msg("%s succeeds; expected: %s", text, expected);
	assert_int_equal(err.code, LAB_INVALID);
	if (strstr(err.message, expected) == NULL)
		fail_msg("%s\nexpected: %s\nsaid: %s", text, expected, err.message);
}

static void language(void **state)
{
	(void)state;
	prints("local t = {} for i = 1, 3 do t[i] = i * i end print(table.concat(t, ','))",
		"1,4,9;");
	prints("print(('%s-%d-%5.1f'):format('a', 7, 1.25), #'abc', 7 // 2, 1 << 4)",
		"a-7-  1.2\t3\t3\t16;");
	prints("print(select('#', 1, nil), type(nil), tonumber('0x10'), _VERSION)",
		"2\tnil\t16\tLua 5.4;");
	prints("print(pcall(error, {1}))", "false\ttable;");
	prints("local a <const> = 1 goto e ::e:: print(a)", "1;");
	prints("print(math.type(1), math.max(1, 2), math.tointeger(3.0), math.abs(-1))",
		"integer\t2\t3\t1;");
}

static void order(void **state)
{
	(void)state;
	prints("local t = {b=1, a=2, [2]=3, [1]=4, [1.5]=5, [true]=6, [false]=7, aa=8}\n"
	       "local s = '' for k, v in pairs(t) do s = s .. tostring(k) .. '=' .. v .. ' ' end\n"
	       "print(s)",
		"false=7 true=6 1=4 1.5=5 2=3 a=2 aa=8 b=1 ;");
	prints("print(next({}), next({x=1}), next({1, 2}, 1))", "nil\tx\t2\t2;");
	/* What is removed meanwhile, and what is added behind. */
	prints("local t, s = {a=1, b=2, c=3}, ''\n"
	       "for k in pairs(t) do s = s .. k t[k] = nil if k == 'b' then t.d = 1 end end "
	       "print(s)",
		"abcd;");
	prints("local t = setmetatable({}, {__pairs = function() return next, {z=1}, nil end})\n"
	       "for k in pairs(t) do print(k) end",
		"z;");
	fails("for k in pairs({[{}] = 1, [print] = 2}) do end", "these have no order");
	fails("pairs(5)", "table expected");
}

static void sort(void **state)
{
	(void)state;
	prints("local t = {3, 1, 2, 5, 4} table.sort(t) print(table.concat(t, ' '))", "1 2 3 4 5;");
	prints("local t = {'b1', 'a1', 'b2', 'a2', 'a3'}\n"
	       "table.sort(t, function(a, b) return a:sub(1, 1) < b:sub(1, 1) end)\n"
	       "print(table.concat(t, ' '))",
		"a1 a2 a3 b1 b2;");
	prints("local t = {} for i = 1, 1000 do t[i] = (i * 7919) % 1009 end table.sort(t)\n"
	       "for i = 2, 1000 do assert(t[i - 1] <= t[i]) end print(#t)",
		"1000;");
	prints("local t = {} table.sort(t) print(#t) t = {1} table.sort(t) print(t[1])", "0;1;");
	fails("table.sort({1, 'a', 2})", "attempt to compare");
	fails("table.sort({1, 2}, 5)", "function expected");
}

static void no_addresses(void **state)
{
	(void)state;
	prints("print({}, print, tostring({}), ('%s %s'):format({}, print))",
		"table\tfunction\ttable\ttable function;");
	prints("print(setmetatable({}, {__tostring = function() return 'me' end}))", "me;");
	prints("print(setmetatable({}, {__name = 'thing'}))", "thing;");
	fails("print(string.format('%p', {}))", "differs from run to run");
	fails("print(('%%%-5p'):format({}))", "differs from run to run");
	fails("tostring()", "value expected");
	fails("print(setmetatable({}, {__tostring = function() return 1 end}))", "must return");
}

static void what_is_missing(void **state)
{
	static const char *const names[] = { "io", "os", "package", "debug", "require", "load",
		"loadstring", "dofile", "loadfile", "collectgarbage", "coroutine", "utf8",
		"string.dump", "math.randomseed", "math.sin", "math.sqrt", "math.log" };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(names); i++) {
		char text[128];

		(void)snprintf(text, sizeof(text), "print(%s == nil)", names[i]);
		prints(text, "true;");
	}
	fails("setmetatable({}, {__gc = print})", "there is no __gc here");
	fails("setmetatable({}, {__mode = 'k'})", "there is no __mode here");
	prints("print(getmetatable(setmetatable({}, {__metatable = 1})))", "1;");
	fails("\x1bLua", "attempt to load a binary chunk");
}

static void random(void **state)
{
	struct sandbox_settings with = settings();
	struct lab_error err;
	char first[sizeof(printed)];
	const char *text = "local t = {} for i = 1, 20 do t[i] = math.random(1, 6) end\n"
			   "print(table.concat(t), math.random(3) <= 3)";

	(void)state;
	assert_int_equal(run_with(&with, text, 1u << 20, &err), 0);
	memcpy(first, printed, sizeof(first));
	assert_int_equal(run_with(&with, text, 1u << 20, &err), 0);
	assert_string_equal(printed, first);
	with.key = 1;
	assert_int_equal(run_with(&with, text, 1u << 20, &err), 0);
	assert_string_not_equal(printed, first);
	prints("for i = 1, 100 do local r = math.random() assert(r >= 0 and r < 1) end\n"
	       "assert(math.random(math.mininteger, math.maxinteger)) print(math.random(5, 5))",
		"5;");
	fails("math.random(2, 1)", "interval is empty");
	with.draw = NULL;
	assert_int_equal(run_with(&with, "math.random()", 1u << 20, &err), -1);
	assert_non_null(strstr(err.message, "nothing is drawn"));
}

static void errors_have_a_place(void **state)
{
	(void)state;
	fails("\n\nlocal x = = 1", "test.lua:3: unexpected symbol near '='");
	fails("\nlocal t = nil\nt.x = 1", "test.lua:3: attempt to index a nil value");
	fails("error('so')", "test.lua:1: so");
	fails("error({})", "an error that is no text, but a table");
	fails("assert(false)", "assertion failed");
	fails("string.rep()", "test.lua:1: bad argument #1 to 'rep'");
}

static void instructions_are_limited(void **state)
{
	struct sandbox_settings with = settings();
	struct lab_error err;

	(void)state;
	with.instructions_max = 100000;
	assert_int_equal(run_with(&with, "while true do end", 1u << 20, &err), -1);
	assert_non_null(strstr(err.message, "more than 100000 instructions"));
	/* Not even in here. */
	assert_int_equal(
		run_with(&with, "while true do pcall(function() while true do end end) end",
			1u << 20, &err),
		-1);
	assert_non_null(strstr(err.message, "more than 100000 instructions"));
	/* What next() looks at counts, too. */
	assert_int_equal(
		run_with(&with,
			"local t = {} for i = 1, 2000 do t[i] = i end for k in pairs(t) do end",
			1u << 20, &err),
		-1);
	assert_int_equal(run_with(&with, "for i = 1, 1000 do end", 1u << 20, &err), 0);
}

static void memory_is_limited(void **state)
{
	struct sandbox_settings with = settings();
	struct lab_error err;
	size_t before = lab_heap_used(testing_heap);

	(void)state;
	with.memory_max = 1u << 20;
	assert_int_equal(run_with(&with, "local s = ('x'):rep(1 << 21)", 1u << 20, &err), -1);
	assert_non_null(strstr(err.message, "not enough memory"));
	/* It can go on after that. */
	assert_int_equal(run_with(&with,
				 "print((pcall(string.rep, 'x', 1 << 21)))\n"
				 "for i = 1, 1000 do local t = {i, i} end",
				 1u << 20, &err),
		0);
	assert_string_equal(printed, "false;");
	assert_int_equal(lab_heap_used(testing_heap), before);
}

static void the_stack_is_limited(void **state)
{
	struct sandbox_settings with = settings();
	struct lab_error err;
	const char *deep = "local function f(n) return n == 0 and 0 or\n"
			   "  (('x'):gsub('x', function() f(n - 1) end)) end f(150) print('end')";

	(void)state;
	assert_int_equal(run_with(&with, deep, 16384, &err), -1);
	assert_non_null(strstr(err.message, "nested too deeply"));
	assert_int_equal(run_with(&with, deep, 4u << 20, &err), 0);
	assert_string_equal(printed, "end;");
	/* Calls of Lua in Lua do not use it. */
	assert_int_equal(
		run_with(&with,
			"local function f(n) if n > 0 then return 1 + f(n - 1) end return 0 end\n"
			"print(f(10000))",
			65536, &err),
		0);
	assert_string_equal(printed, "10000;");
}

static void threads_draw_for_themselves(void **state)
{
	struct sandbox_settings with = settings();
	struct sandbox *sandbox = sandbox_new(&with);
	lua_State *L = sandbox_state(sandbox), *threads[2];
	struct lab_error err;
	char texts[2][sizeof(printed)];

	(void)state;
	assert_ptr_equal(sandbox_of(L), sandbox);
	assert_ptr_equal(sandbox_ctx(L), printed);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(sandbox_load(sandbox, "t",
					 LAB_VIEW("print(math.random(1, 1 << 40))"), &err),
			0);
		threads[i] = sandbox_thread_new(L);
		lua_xmove(L, threads[i], 1);
	}
	for (size_t i = 0; i < 2; i++) {
		printed[0] = '\0';
		assert_int_equal(sandbox_call(threads[i], 0, 1u << 20, &err), 0);
		memcpy(texts[i], printed, sizeof(printed));
		sandbox_thread_end(&threads[i]);
		assert_null(threads[i]);
	}
	assert_string_not_equal(texts[0], texts[1]);
	assert_true(sandbox_instructions(sandbox) < 10000);
	sandbox_free(&sandbox);
	sandbox_free(&sandbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		testing_test(language),
		testing_test(order),
		testing_test(sort),
		testing_test(no_addresses),
		testing_test(what_is_missing),
		testing_test(random),
		testing_test(errors_have_a_place),
		testing_test(instructions_are_limited),
		testing_test(memory_is_limited),
		testing_test(the_stack_is_limited),
		testing_test(threads_draw_for_themselves),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}

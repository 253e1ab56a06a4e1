/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include "core/base/arena.h"
#include "core/base/base-private.h"
#include "core/base/buf.h"

#include <inttypes.h>
#include <limits.h>

#define ROOM 64

/* The C library is right, whatever the room. */
__attribute__((format(printf, 1, 2))) static void check(const char *format, ...)
{
	for (size_t size = 0; size <= ROOM; size++) {
		char ours[ROOM + 1], theirs[ROOM + 1];
		va_list args;
		size_t len;

		memset(ours, '~', sizeof(ours));
		memset(theirs, '~', sizeof(theirs));
		va_start(args, format);
		len = lab_format(ours, size, format, args);
		va_end(args);
		va_start(args, format);
		assert_int_equal(len, vsnprintf(theirs, size, format, args));
		va_end(args);
		assert_memory_equal(ours, theirs, sizeof(ours));
	}
}

static void texts_are_as_the_c_library_writes_them(void **state)
{
	/* The compiler would not let it pass. */
	const char *volatile nothing = NULL;
	const char *empty = "";

	(void)state;
	check("plain");
	check("%s", empty);
	check("%s/%s", "a", "bcd");
	check("100%%, %c%c", 'x', '\n');
	check("%.*s|", 3, "abcdef");
	check("%.*s|", 10, "abc\0def");
	check("%.*s|", 0, "abc");
	check("%.*s|", 0, nothing);
	check("%.*s|", 3, nothing);
	check("%.*s|", -1, "negative is no limit");
	check("%s and more than fits: %s", "0123456789012345678901234567890123456789",
		"0123456789012345678901234567890123456789");
}

static void numbers_are_as_the_c_library_writes_them(void **state)
{
	static const int64_t numbers[] = { 0, 1, 9, 10, -1, -10, 1234567890, INT_MAX, INT_MIN,
		UINT_MAX, INT64_MAX, INT64_MIN };

	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(numbers); i++) {
		check("<%d>%u", (int)numbers[i], (unsigned)numbers[i]);
		check("%" PRId64 ",%" PRIu64, numbers[i], (uint64_t)numbers[i]);
		check("%ld %lu %zu", (long)numbers[i], (unsigned long)numbers[i],
			(size_t)numbers[i]);
	}
}

/* In the middle of others, which then are not for us either. */
static void the_rest_is_left_to_the_c_library(void **state)
{
	(void)state;
	check("%s %02x %d", "hex", 10u, 3);
	check("%d %5u|%-5s|%+d", 1, 2u, "x", 3);
	check("%s %.3s %u", "a", "abcdef", 7u);
	check("%u %lx %zx %ld", 1u, 255ul, (size_t)16, -2l);
	check("%s %p", "at", (void *)(uintptr_t)4096);
	check("%lld %s %hhu", -5ll, "b", 7);
}

static void arenas_and_buffers_format_what_is_longer_than_their_guess(void **state)
{
	struct lab_arena *arena = lab_arena_new(testing_heap, 1 << 20);
	char longer[1000];
	struct lab_buf buf;

	(void)state;
	memset(longer, 'l', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	lab_buf_init(&buf, testing_heap, 4096);
	lab_buf_printf(&buf, "%s:%d:%s", longer, 5, longer);
	assert_string_equal(
		lab_buf_cstr(&buf), lab_arena_printf(arena, "%s:%d:%s", longer, 5, longer));
	assert_int_equal(buf.len, 2 * sizeof(longer) + 1);
	assert_memory_equal(buf.data + sizeof(longer) - 2, "l:5:l", 5);
	lab_buf_done(&buf);
	lab_arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_as_the_c_library_writes_them),
		cmocka_unit_test(numbers_are_as_the_c_library_writes_them),
		cmocka_unit_test(the_rest_is_left_to_the_c_library),
		cmocka_unit_test_setup_teardown(
			arenas_and_buffers_format_what_is_longer_than_their_guess, testing_setup,
			testing_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

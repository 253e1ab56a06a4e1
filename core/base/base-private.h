/* SPDX-License-Identifier: Apache-2.0
 *
 * base-private.h - what heap.c, arena.c, buf.c and fiber.c share: how the memory checkers are told
 * about memory, the doors of the heap that only arenas and buffers use, and how these format text.
 *
 *   poison   nobody may touch these bytes
 *   open     these bytes may be written; their contents mean nothing
 *   reveal   these bytes may be read again: their contents are ours
 */
#ifndef LAB_BASE_PRIVATE_H
#define LAB_BASE_PRIVATE_H

#include "core/base/heap.h"

#include <stdarg.h>
#include <stdbool.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LAB_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define LAB_TSAN 1
#endif
#endif
#if !defined(LAB_ASAN) && defined(__SANITIZE_ADDRESS__)
#define LAB_ASAN 1
#endif
#if !defined(LAB_TSAN) && defined(__SANITIZE_THREAD__)
#define LAB_TSAN 1
#endif
#ifndef LAB_ASAN
#define LAB_ASAN 0
#endif
#ifndef LAB_TSAN
#define LAB_TSAN 0
#endif

#if !LAB_ASAN && !LAB_TSAN && __has_include(<valgrind/memcheck.h>)
#define LAB_VALGRIND 1
#include <valgrind/memcheck.h>
#else
#define LAB_VALGRIND 0
#endif

#if LAB_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif

/* Set before main() runs, so that the common case costs one predicted branch. */
extern bool lab_memory_on_valgrind;

/* True if a checker looks at poisoned bytes: then dropping walks over what it drops. */
static inline bool lab_memory_watched(void)
{
	return LAB_ASAN || lab_memory_on_valgrind;
}

static inline void lab_memory_poison(void *ptr, size_t size)
{
#if LAB_ASAN
	__asan_poison_memory_region(ptr, size);
#elif LAB_VALGRIND
	if (__builtin_expect(lab_memory_on_valgrind, 0))
		(void)VALGRIND_MAKE_MEM_NOACCESS(ptr, size);
#else
	(void)ptr, (void)size;
#endif
}

static inline void lab_memory_open(void *ptr, size_t size)
{
#if LAB_ASAN
	__asan_unpoison_memory_region(ptr, size);
#elif LAB_VALGRIND
	if (__builtin_expect(lab_memory_on_valgrind, 0))
		(void)VALGRIND_MAKE_MEM_UNDEFINED(ptr, size);
#else
	(void)ptr, (void)size;
#endif
}

static inline void lab_memory_reveal(void *ptr, size_t size)
{
#if LAB_ASAN
	__asan_unpoison_memory_region(ptr, size);
#elif LAB_VALGRIND
	if (__builtin_expect(lab_memory_on_valgrind, 0))
		(void)VALGRIND_MAKE_MEM_DEFINED(ptr, size);
#else
	(void)ptr, (void)size;
#endif
}

/* Pages from the operating system, zero; NULL if it has none. The leak checker searches them for
 * pointers. */
void *lab_memory_map(size_t bytes);
/* `used`: how many bytes from the start may be poisoned. Poison outlives the pages, but to take it
 * off costs ASan an eighth of its size in memory, and a pool of stacks is mostly never used. */
void lab_memory_unmap(void *ptr, size_t bytes, size_t used);

/* lab_heap_alloc(), lab_heap_realloc() and lab_arena_alloc() without zeroing. */
void *lab_heap_alloc_dirty(struct lab_heap *heap, size_t size);
void *lab_heap_realloc_dirty(struct lab_heap *heap, void *ptr, size_t size);
struct lab_arena;
void *lab_arena_alloc_dirty(struct lab_arena *arena, size_t size);
/* vsnprintf(), but fast where `format` has nothing but %s, %.*s, %c and decimal numbers without
 * width and flags. */
size_t lab_format(char *text, size_t size, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));
/* What happens when `wanted` more bytes are too many. */
_Noreturn void lab_heap_exhausted(struct lab_heap *heap, size_t wanted);

#endif

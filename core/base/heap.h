/* SPDX-License-Identifier: Apache-2.0
 *
 * heap.h - memory that belongs to somebody, and can be taken from it at once.
 *
 * Purpose    Each host of a simulation, each emulator and each run owns a heap. A crash of a host
 *            drops its heap, however much was allocated, in O(1): the chunks are spliced back
 *            onto the pool (DESIGN 2).
 * Limits     A heap has a maximum; exceeding it is what the OOM killer is to a process: the
 *            heap's `on_exhausted` is called and must not return (a simulated host crashes
 *            there; by default it is an assertion). So allocation never returns NULL and no
 *            caller checks. Dovecot's own processes behave the same way (vsz_limit).
 * Poison     Freed and not yet allocated bytes are poisoned for ASan and valgrind. Fresh memory
 *            is zero.
 * Threads    A pool and its heaps belong to one thread.
 */
#ifndef LAB_BASE_HEAP_H
#define LAB_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct lab_pool;
struct lab_heap;

/* A pool of chunks, shared by the heaps of one world. It keeps what it once got until freed.
 * Never NULL; max_bytes bounds all its heaps together. */
struct lab_pool *lab_pool_new(size_t max_bytes);
/* All heaps must have been dropped. NULLs the pointer; accepts NULL. */
void lab_pool_free(struct lab_pool **pool);
/* Large blocks that are kept for later go back to the operating system. */
void lab_pool_trim(struct lab_pool *pool);
/* Bytes taken from the operating system so far. */
size_t lab_pool_bytes(const struct lab_pool *pool);
/* From now on, bytes that are freed or dropped are filled with `pattern`. No run may depend on
 * what it is: a check of determinism varies it. Dropping then takes as long as filling. */
void lab_pool_set_fill(struct lab_pool *pool, uint8_t pattern);

typedef void (*lab_heap_exhausted_fn)(void *ctx, size_t wanted);

struct lab_heap *lab_heap_new(struct lab_pool *pool, size_t max_bytes);
void lab_heap_on_exhausted(struct lab_heap *heap, lab_heap_exhausted_fn fn, void *ctx);
/* Everything ever allocated from it is gone. O(1). NULLs the pointer; accepts NULL. */
void lab_heap_drop(struct lab_heap **heap);

/* Zeroed, aligned to 16. `size` 0 gives a valid pointer to nothing. */
void *lab_heap_alloc(struct lab_heap *heap, size_t size);
/* `ptr` NULL allocates. New bytes are zero. */
void *lab_heap_realloc(struct lab_heap *heap, void *ptr, size_t size);
/* Accepts NULL. */
void lab_heap_free(struct lab_heap *heap, void *ptr);
/* Bytes allocated and not freed, each block with its header and rounded up to 16. */
size_t lab_heap_used(const struct lab_heap *heap);

/* What a heap that is alone in its pool holds, byte for byte, to be put back any number of times: a
 * fuzzer makes its world once. Whatever was allocated meanwhile is gone then, and what was freed is
 * there again, at its old address. Costs as much as the memory that the pool had taken. Not under
 * valgrind. The snapshot has to go before the pool does. */
struct lab_heap_snapshot;
struct lab_heap_snapshot *lab_heap_save(struct lab_heap *heap);
void lab_heap_restore(const struct lab_heap_snapshot *snapshot);
/* NULLs the pointer; accepts NULL. */
void lab_heap_snapshot_free(struct lab_heap_snapshot **snapshot);

/* lab_new(heap, struct x) and lab_new_array(heap, struct x, n) cast and check the product. */
#define lab_new(heap, type) ((type *)lab_heap_alloc((heap), sizeof(type)))
#define lab_new_array(heap, type, n) ((type *)lab_heap_alloc_array((heap), sizeof(type), (n)))
void *lab_heap_alloc_array(struct lab_heap *heap, size_t size, size_t count);
/* A copy with a NUL behind it. */
char *lab_heap_strdup(struct lab_heap *heap, const char *text);

#endif

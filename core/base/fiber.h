/* SPDX-License-Identifier: Apache-2.0
 *
 * fiber.h - activities that read from top to bottom: a stack of their own, and two switches.
 *
 * Purpose    Only worlds (sim/world, core/env/live) use this header; the core waits through env.h.
 * Cost       Tens of nanoseconds a switch (hand-written for x86-64 and arm64, ucontext elsewhere).
 * Limits     Stacks are pooled, guarded by an inaccessible page, and bounded in number. ASan, TSan
 *            and valgrind are told about each switch (simulation 3.2).
 * Crash      lab_fiber_drop_all() forgets every fiber of a group in O(1), running none of their
 *            code. What they had allocated goes with their host's heap.
 * Threads    A pool, its groups and its fibers belong to one thread.
 */
#ifndef LAB_BASE_FIBER_H
#define LAB_BASE_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lab_fiber;
struct lab_fiber_pool;
struct lab_fiber_group;
typedef void (*lab_fiber_fn)(void *arg);

/* Stacks of stack_bytes (rounded up to 64 KiB; four times that under ASan and TSan), at most
 * max_fibers (up to a million) alive at a time. The
 * first 16,384 have a guard page; beyond, an overflow is an assertion when the fiber suspends.
 * `backend` NULL chooses; "ucontext" forces the fallback, for tests. */
struct lab_fiber_pool *lab_fiber_pool_new(
	size_t stack_bytes, size_t max_fibers, const char *backend);
/* No fiber may be alive. NULLs the pointer; accepts NULL. */
void lab_fiber_pool_free(struct lab_fiber_pool **pool);
/* The pages that fibers have left behind go back to the operating system: else a stack that was
 * once needed stays, as the next fiber will want it. A system call for each. */
void lab_fiber_pool_trim(struct lab_fiber_pool *pool);
size_t lab_fiber_pool_alive(const struct lab_fiber_pool *pool);

/* A group is what crashes together: the fibers of one host. */
struct lab_fiber_group *lab_fiber_group_new(struct lab_fiber_pool *pool);
void lab_fiber_group_free(struct lab_fiber_group **group);
/* Forgets all fibers of the group. May be called by one of them: then it does not return, and
 * lab_fiber_resume() of that fiber returns true to the scheduler. */
void lab_fiber_drop_all(struct lab_fiber_group *group);

/* A new, suspended fiber; NULL at max_fibers, or when the kernel has no more mappings for guards
 * (vm.max_map_count; two a stack). It is freed when `fn` returns. `id` numbers the
 * fibers of a pool from 1 in order of creation and is never reused. */
struct lab_fiber *lab_fiber_new(struct lab_fiber_group *group, lab_fiber_fn fn, void *arg);
uint64_t lab_fiber_id(const struct lab_fiber *fiber);

/* From the scheduler (outside every fiber): runs it until it suspends or ends. Returns true if it
 * ended or was dropped; the pointer is then invalid. */
bool lab_fiber_resume(struct lab_fiber *fiber);
/* From inside a fiber: back to the scheduler. Returns when resumed. */
void lab_fiber_suspend(void);
/* The running fiber, or NULL in the scheduler. */
struct lab_fiber *lab_fiber_self(void);
/* One pointer for the world that owns the fiber. */
void lab_fiber_set_owner(struct lab_fiber *fiber, void *owner);
void *lab_fiber_owner(const struct lab_fiber *fiber);

#endif

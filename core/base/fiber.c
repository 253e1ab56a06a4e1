/* SPDX-License-Identifier: Apache-2.0
 *
 * One region holds all stacks, each above a guard page. A slot that was used once keeps its stack;
 * free slots are a stack too, so that the warmest one is used next. */
#include "core/base/fiber.h"

#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "core/base/assert.h"
#include "core/base/base-private.h"

#if LAB_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if LAB_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__) || defined(__aarch64__)
#define HAVE_SWITCH 1
#else
#define HAVE_SWITCH 0
#endif

#define POOL_MAGIC 0x4c465043u
#define GROUP_MAGIC 0x4c465047u
#define FIBER_MAGIC 0x4c465042u
#define PAGE_BYTES ((size_t)4096)
/* Each guard costs the kernel two mappings, of which it has 65,530 for a process. Stacks above
 * these slots have none: what is below them is writable, and has to be as it was. */
#define GUARDED_MAX 16384u
#define GUARD_BYTES (16 * PAGE_BYTES) /* a whole page on every arm64 kernel */
#define STACK_BYTES_MIN (4 * PAGE_BYTES)
/* Checkers' frames are larger than those that a world counted on. */
#define STACK_FACTOR (LAB_ASAN || LAB_TSAN ? 4 : 1)
#define GROUPS_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* In a ring of the group, or by `next` alone in the pool's free list. */
struct link {
	struct link *next, *prev;
};

struct lab_fiber {
	struct link link; /* must be first */
	uint32_t magic;
	unsigned valgrind_id;
	struct lab_fiber_group *group;
	uint64_t epoch; /* of the group when it was made: tells dropped ones */
	uint64_t id;
	lab_fiber_fn fn;
	void *arg;
	void *owner;
	uint8_t *stack; /* its lowest byte; NULL while the slot was never used */
	bool is_guarded;
	void *sp;            /* while suspended */
	ucontext_t *context; /* in the slot's own stack; of the fallback only */
	void *fake_stack;    /* ASan's */
	void *tsan;
};

struct lab_fiber_group {
	uint32_t magic;
	struct lab_fiber_pool *pool;
	struct link fibers; /* sentinel */
	size_t count;
	uint64_t epoch;
};

struct lab_fiber_pool {
	uint32_t magic;
	bool use_ucontext;
	bool ended; /* the fiber that just switched here will not be resumed */
	struct lab_pool *memory;
	struct lab_heap *heap;
	uint8_t *region;
	size_t stack_bytes;
	size_t max_fibers, alive;
	size_t slots_used; /* slots behind these were never used */
	uint64_t last_id;
	struct lab_fiber *fibers; /* one for each slot */
	struct link *free;
	/* The scheduler, while a fiber runs. */
	void *sp;
	ucontext_t context;
	void *fake_stack;
	const void *stack;
	size_t stack_size;
	void *tsan;
};

static __thread struct lab_fiber *current __attribute__((tls_model("initial-exec")));

#if HAVE_SWITCH
void lab_fiber_switch(void **save_sp, void *load_sp);
void lab_fiber_entry(void);
#endif

/* ---- switching ---- */

static inline void switch_stacks(struct lab_fiber_pool *pool, struct lab_fiber *fiber, bool enter)
{
#if HAVE_SWITCH
	if (__builtin_expect(!pool->use_ucontext, 1)) {
		if (enter)
			lab_fiber_switch(&pool->sp, fiber->sp);
		else
			lab_fiber_switch(&fiber->sp, pool->sp);
		return;
	}
#endif
	int r = enter ? swapcontext(&pool->context, fiber->context)
		      : swapcontext(fiber->context, &pool->context);
	lab_assert(r == 0);
}

/* From the scheduler into the fiber; returns when it suspends or ends. */
static void enter_fiber(struct lab_fiber_pool *pool, struct lab_fiber *fiber)
{
#if LAB_TSAN
	pool->tsan = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(fiber->tsan, 0);
#endif
#if LAB_ASAN
	__sanitizer_start_switch_fiber(&pool->fake_stack, fiber->stack, pool->stack_bytes);
#endif
	switch_stacks(pool, fiber, true);
#if LAB_ASAN
	__sanitizer_finish_switch_fiber(pool->fake_stack, NULL, NULL);
#endif
}

static void fiber_arrived(struct lab_fiber_pool *pool, struct lab_fiber *fiber)
{
#if LAB_ASAN
	__sanitizer_finish_switch_fiber(fiber->fake_stack, &pool->stack, &pool->stack_size);
#else
	(void)pool, (void)fiber;
#endif
}

/* Whoever runs out of such a stack leaves something in the page below it. */
static void check_stack(const struct lab_fiber *fiber)
{
	static const uint8_t untouched[PAGE_BYTES];

	if (!fiber->is_guarded)
		lab_assert(memcmp(fiber->stack - PAGE_BYTES, untouched, PAGE_BYTES) == 0);
}

/* Back to the scheduler; returns when resumed. */
static void leave_fiber(struct lab_fiber_pool *pool, struct lab_fiber *fiber)
{
	check_stack(fiber);
#if LAB_TSAN
	__tsan_switch_to_fiber(pool->tsan, 0);
#endif
#if LAB_ASAN
	/* Without a place to keep it, ASan frees the fake stack: nobody comes back. */
	__sanitizer_start_switch_fiber(
		pool->ended ? NULL : &fiber->fake_stack, pool->stack, pool->stack_size);
#endif
	switch_stacks(pool, fiber, false);
	fiber_arrived(pool, fiber);
}

static _Noreturn void leave_fiber_for_good(struct lab_fiber_pool *pool, struct lab_fiber *fiber)
{
	pool->ended = true;
	leave_fiber(pool, fiber);
	lab_bug("a fiber that had ended was resumed");
}

static void fiber_release(struct lab_fiber_pool *pool, struct lab_fiber *fiber)
{
	fiber->link.prev->next = fiber->link.next;
	fiber->link.next->prev = fiber->link.prev;
	fiber->group->count--;
	pool->alive--;
	fiber->link.next = pool->free;
	pool->free = &fiber->link;
	fiber->magic = 0;
}

static _Noreturn void fiber_main(struct lab_fiber *fiber)
{
	struct lab_fiber_pool *pool = fiber->group->pool;

	fiber_arrived(pool, fiber);
	fiber->fn(fiber->arg);
	fiber_release(pool, fiber);
	leave_fiber_for_good(pool, fiber);
}

static void fiber_main_ucontext(void)
{
	fiber_main(current);
}

/* ---- stacks ---- */

/* What lab_fiber_switch() will find: the registers as it saved them, then where to go. */
static void stack_prepare(struct lab_fiber *fiber, uint8_t *top)
{
#if defined(__x86_64__)
	/* r15 r14 r13 r12 rbx rbp, the address; above them zeros that end a backtrace. */
	void **words = (void **)(void *)(top - 16) - 7;

	memset(words, 0, 7 * sizeof(void *) + 16);
	memcpy(&words[2], &(void (*)(struct lab_fiber *)){ fiber_main }, sizeof(void *));
	words[3] = fiber;
	memcpy(&words[6], &(void (*)(void)){ lab_fiber_entry }, sizeof(void *));
	fiber->sp = words;
#elif defined(__aarch64__)
	/* x19 to x30, d8 to d15. */
	void **words = (void **)(void *)(top - 160);

	memset(words, 0, 160);
	words[0] = fiber;
	memcpy(&words[1], &(void (*)(struct lab_fiber *)){ fiber_main }, sizeof(void *));
	memcpy(&words[11], &(void (*)(void)){ lab_fiber_entry }, sizeof(void *));
	fiber->sp = words;
#else
	(void)fiber, (void)top;
#endif
}

static void stack_prepare_ucontext(struct lab_fiber *fiber, uint8_t *top)
{
	/* The context lives at the top of its own stack. */
	uint8_t *at = top - ((sizeof(ucontext_t) + 63) & ~(size_t)63);

	fiber->context = (ucontext_t *)(void *)at;
	lab_assert(getcontext(fiber->context) == 0);
	fiber->context->uc_stack.ss_sp = fiber->stack;
	fiber->context->uc_stack.ss_size = (size_t)(at - fiber->stack);
	fiber->context->uc_link = NULL;
	makecontext(fiber->context, fiber_main_ucontext, 0);
}

static bool fiber_open_stack(struct lab_fiber_pool *pool, struct lab_fiber *fiber)
{
	size_t slot = (size_t)(fiber - pool->fibers);
	uint8_t *stack = pool->region + slot * (GUARD_BYTES + pool->stack_bytes) + GUARD_BYTES;
	size_t guard = slot < GUARDED_MAX ? 0 : GUARD_BYTES;

	if (mprotect(stack - guard, pool->stack_bytes + guard, PROT_READ | PROT_WRITE) < 0)
		return false;
	fiber->is_guarded = guard == 0;
	fiber->stack = stack;
#if LAB_VALGRIND
	fiber->valgrind_id = VALGRIND_STACK_REGISTER(stack, stack + pool->stack_bytes);
#endif
	return true;
}

static struct lab_fiber *pool_take_fiber(struct lab_fiber_pool *pool)
{
	struct lab_fiber *fiber = (struct lab_fiber *)(void *)pool->free;

	if (fiber != NULL) {
		pool->free = fiber->link.next;
		return fiber;
	}
	if (pool->slots_used == pool->max_fibers)
		return NULL;
	fiber = &pool->fibers[pool->slots_used];
	if (!fiber_open_stack(pool, fiber))
		return NULL;
	pool->slots_used++;
	return fiber;
}

static void fiber_prepare(struct lab_fiber_pool *pool, struct lab_fiber *fiber)
{
	uint8_t *top = fiber->stack + pool->stack_bytes;

	/* A dropped fiber left its frames' poison behind. */
	lab_memory_open(fiber->stack, pool->stack_bytes);
	fiber->fake_stack = NULL;
#if LAB_TSAN
	if (fiber->tsan != NULL)
		__tsan_destroy_fiber(fiber->tsan);
	fiber->tsan = __tsan_create_fiber(0);
#endif
	if (pool->use_ucontext)
		stack_prepare_ucontext(fiber, top);
	else
		stack_prepare(fiber, top);
}

/* ---- pool ---- */

static bool is_ucontext(const char *backend)
{
	if (backend == NULL)
		return !HAVE_SWITCH;
	lab_assert(strcmp(backend, "ucontext") == 0);
	return true;
}

struct lab_fiber_pool *lab_fiber_pool_new(
	size_t stack_bytes, size_t max_fibers, const char *backend)
{
	const size_t fibers_bytes = max_fibers * sizeof(struct lab_fiber);
	struct lab_pool *memory;
	struct lab_heap *heap;
	struct lab_fiber_pool *pool;

	lab_assert(max_fibers > 0 && max_fibers <= 1000000);
	lab_assert(stack_bytes <= (size_t)1 << 30);
	memory = lab_pool_new(2 * fibers_bytes + GROUPS_BYTES_MAX);
	heap = lab_heap_new(memory, 2 * fibers_bytes + GROUPS_BYTES_MAX);
	pool = lab_new(heap, struct lab_fiber_pool);
	pool->magic = POOL_MAGIC;
	pool->use_ucontext = is_ucontext(backend);
	pool->memory = memory;
	pool->heap = heap;
	pool->max_fibers = max_fibers;
	pool->stack_bytes =
		(stack_bytes > STACK_BYTES_MIN ? stack_bytes : STACK_BYTES_MIN) * STACK_FACTOR;
	pool->stack_bytes = (pool->stack_bytes + PAGE_BYTES * 16 - 1) & ~(PAGE_BYTES * 16 - 1);
	pool->fibers = lab_new_array(heap, struct lab_fiber, max_fibers);
	pool->region = mmap(NULL, max_fibers * (GUARD_BYTES + pool->stack_bytes), PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	lab_assert(pool->region != MAP_FAILED);
#if LAB_ASAN
	__lsan_register_root_region(pool->region, max_fibers * (GUARD_BYTES + pool->stack_bytes));
#endif
	return pool;
}

void lab_fiber_pool_free(struct lab_fiber_pool **_pool)
{
	struct lab_fiber_pool *pool = *_pool;

	if (pool == NULL)
		return;
	*_pool = NULL;
	lab_check(pool, POOL_MAGIC);
	lab_assert(pool->alive == 0);
	for (size_t i = 0; i < pool->slots_used; i++) {
#if LAB_TSAN
		if (pool->fibers[i].tsan != NULL)
			__tsan_destroy_fiber(pool->fibers[i].tsan);
#endif
#if LAB_VALGRIND
		VALGRIND_STACK_DEREGISTER(pool->fibers[i].valgrind_id);
#endif
	}
	size_t slot = GUARD_BYTES + pool->stack_bytes;
	lab_memory_unmap(pool->region, pool->max_fibers * slot, pool->slots_used * slot);
	pool->magic = 0;
	struct lab_pool *memory = pool->memory;
	struct lab_heap *heap = pool->heap;
	lab_heap_drop(&heap);
	lab_pool_free(&memory);
}

void lab_fiber_pool_trim(struct lab_fiber_pool *pool)
{
	lab_check(pool, POOL_MAGIC);
	for (struct link *link = pool->free; link != NULL; link = link->next) {
		const struct lab_fiber *fiber = (struct lab_fiber *)(void *)link;

		lab_assert(madvise(fiber->stack, pool->stack_bytes, MADV_DONTNEED) == 0);
	}
}

size_t lab_fiber_pool_alive(const struct lab_fiber_pool *pool)
{
	lab_check(pool, POOL_MAGIC);
	return pool->alive;
}

/* ---- groups ---- */

struct lab_fiber_group *lab_fiber_group_new(struct lab_fiber_pool *pool)
{
	struct lab_fiber_group *group;

	lab_check(pool, POOL_MAGIC);
	group = lab_new(pool->heap, struct lab_fiber_group);
	group->magic = GROUP_MAGIC;
	group->pool = pool;
	group->fibers.next = group->fibers.prev = &group->fibers;
	return group;
}

void lab_fiber_group_free(struct lab_fiber_group **_group)
{
	struct lab_fiber_group *group = *_group;

	if (group == NULL)
		return;
	*_group = NULL;
	lab_check(group, GROUP_MAGIC);
	lab_assert(group->count == 0);
	group->magic = 0;
	lab_heap_free(group->pool->heap, group);
}

void lab_fiber_drop_all(struct lab_fiber_group *group)
{
	lab_check(group, GROUP_MAGIC);
	struct lab_fiber_pool *pool = group->pool;
	struct lab_fiber *self = current != NULL && current->group == group ? current : NULL;

	if (group->count > 0) {
		group->fibers.prev->next = pool->free;
		pool->free = group->fibers.next;
		group->fibers.next = group->fibers.prev = &group->fibers;
		pool->alive -= group->count;
		group->count = 0;
	}
	group->epoch++;
	/* Its stack is free already, but nobody takes it before the switch. */
	if (self != NULL)
		leave_fiber_for_good(pool, self);
}

/* ---- fibers ---- */

struct lab_fiber *lab_fiber_new(struct lab_fiber_group *group, lab_fiber_fn fn, void *arg)
{
	struct lab_fiber_pool *pool;
	struct lab_fiber *fiber;

	lab_check(group, GROUP_MAGIC);
	pool = group->pool;
	fiber = pool_take_fiber(pool);
	if (fiber == NULL)
		return NULL;
	fiber->magic = FIBER_MAGIC;
	fiber->group = group;
	fiber->epoch = group->epoch;
	fiber->id = ++pool->last_id;
	fiber->fn = fn;
	fiber->arg = arg;
	fiber->owner = NULL;
	fiber->link.prev = &group->fibers;
	fiber->link.next = group->fibers.next;
	fiber->link.next->prev = &fiber->link;
	group->fibers.next = &fiber->link;
	group->count++;
	pool->alive++;
	fiber_prepare(pool, fiber);
	return fiber;
}

uint64_t lab_fiber_id(const struct lab_fiber *fiber)
{
	lab_check(fiber, FIBER_MAGIC);
	return fiber->id;
}

bool lab_fiber_resume(struct lab_fiber *fiber)
{
	lab_check(fiber, FIBER_MAGIC);
	lab_assert(fiber->epoch == fiber->group->epoch); /* else it was dropped */
	lab_assert(current == NULL);
	struct lab_fiber_pool *pool = fiber->group->pool;

	pool->ended = false;
	current = fiber;
	enter_fiber(pool, fiber);
	current = NULL;
	return pool->ended;
}

void lab_fiber_suspend(void)
{
	struct lab_fiber *fiber = current;

	lab_assert(fiber != NULL);
	leave_fiber(fiber->group->pool, fiber);
}

struct lab_fiber *lab_fiber_self(void)
{
	return current;
}

void lab_fiber_set_owner(struct lab_fiber *fiber, void *owner)
{
	lab_check(fiber, FIBER_MAGIC);
	fiber->owner = owner;
}

void *lab_fiber_owner(const struct lab_fiber *fiber)
{
	lab_check(fiber, FIBER_MAGIC);
	return fiber->owner;
}

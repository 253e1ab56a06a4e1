/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/testing.h"

#include "core/base/base-private.h"
#include "core/base/fiber.h"
#include "core/base/watched.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	STACK = 64 * 1024,
	FIBERS = 100
};

static struct lab_fiber_pool *pool;
static struct lab_fiber_group *group;
static const char *backend; /* every test runs with each */

static int setup(void **state)
{
	backend = *state;
	pool = lab_fiber_pool_new(STACK, FIBERS, backend);
	group = lab_fiber_group_new(pool);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lab_fiber_group_free(&group);
	lab_fiber_pool_free(&pool);
	assert_null(pool);
	return 0;
}

static char trace[256];

static void note(const char *text)
{
	size_t used = strlen(trace);

	(void)snprintf(trace + used, sizeof(trace) - used, "%s", text);
}

static char text_a[] = "a", text_b[] = "b", text_child[] = "child ";

static void note_twice(void *arg)
{
	note(arg);
	lab_fiber_suspend();
	note(arg);
}

static void fibers_take_turns(void **state)
{
	struct lab_fiber *a, *b;

	(void)state;
	trace[0] = '\0';
	a = lab_fiber_new(group, note_twice, text_a);
	b = lab_fiber_new(group, note_twice, text_b);
	assert_int_equal(lab_fiber_pool_alive(pool), 2);
	assert_string_equal(trace, ""); /* a new fiber is suspended */
	assert_false(lab_fiber_resume(a));
	note("-");
	assert_false(lab_fiber_resume(b));
	note("-");
	assert_true(lab_fiber_resume(b));
	assert_int_equal(lab_fiber_pool_alive(pool), 1);
	assert_true(lab_fiber_resume(a));
	assert_string_equal(trace, "a-b-ba");
	assert_int_equal(lab_fiber_pool_alive(pool), 0);
}

/* Registers, floating point and stack must all be as before a switch. */
static void keep_state(void *arg)
{
	volatile uint64_t *result = arg;
	uint64_t values[12], sum = 0;
	double half = 0.5;

	for (size_t i = 0; i < LAB_COUNT_OF(values); i++)
		values[i] = lab_mix64(i + *result);
	for (unsigned round = 0; round < 10; round++) {
		lab_fiber_suspend();
		half = half * 2 + 1;
		for (size_t i = 0; i < LAB_COUNT_OF(values); i++)
			sum += values[i] * (round + 1);
	}
	*result = sum + (uint64_t)half;
}

static void state_survives_switches(void **state)
{
	struct lab_fiber *fibers[8];
	uint64_t results[8], expected[8];
	bool ended = false;

	(void)state;
	for (uint64_t f = 0; f < 8; f++) {
		results[f] = f;
		expected[f] = 1535; /* 0.5 doubled ten times, plus 1 each time */
		for (uint64_t i = 0; i < 12; i++)
			expected[f] += 55 * lab_mix64(i + f);
		fibers[f] = lab_fiber_new(group, keep_state, &results[f]);
	}
	while (!ended) {
		for (size_t f = 0; f < 8; f++)
			ended = lab_fiber_resume(fibers[f]);
	}
	assert_memory_equal(results, expected, sizeof(results));
}

static void check_self(void *arg)
{
	struct lab_fiber **self = arg;

	assert_ptr_equal(lab_fiber_self(), *self);
	assert_ptr_equal(lab_fiber_owner(*self), &pool);
	/* Aligned as the ABI says, or vector code would fault. */
	_Alignas(16) volatile uint8_t aligned[16] = { 0 };
	assert_int_equal((uintptr_t)aligned % 16, 0);
	lab_fiber_suspend();
	assert_ptr_equal(lab_fiber_self(), *self);
}

static void self_and_owner(void **state)
{
	struct lab_fiber *fiber = lab_fiber_new(group, check_self, &fiber);

	(void)state;
	assert_null(lab_fiber_owner(fiber));
	lab_fiber_set_owner(fiber, &pool);
	assert_null(lab_fiber_self());
	assert_false(lab_fiber_resume(fiber));
	assert_null(lab_fiber_self());
	assert_true(lab_fiber_resume(fiber));
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static void ids_are_never_used_again(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 300; id++) {
		struct lab_fiber *fiber = lab_fiber_new(group, do_nothing, NULL);

		assert_row(id, lab_fiber_id(fiber) == id);
		if (id % 2 == 0)
			assert_row(id, lab_fiber_resume(fiber));
		else
			lab_fiber_drop_all(group);
	}
}

static void maximum_is_kept_and_slots_come_back(void **state)
{
	struct lab_fiber *fibers[FIBERS];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < FIBERS; i++) {
			fibers[i] = lab_fiber_new(group, do_nothing, NULL);
			assert_row(i, fibers[i] != NULL);
		}
		assert_null(lab_fiber_new(group, do_nothing, NULL));
		for (size_t i = 0; i < FIBERS; i++)
			assert_row(i, lab_fiber_resume(fibers[i]));
	}
}

/* Leaves frames with arrays behind: under ASan, with poison around them. */
static void suspend_deep(void *arg)
{
	volatile char frame[2000];

	memset((char *)(uintptr_t)frame, 1, sizeof(frame));
	if (arg != NULL)
		suspend_deep(NULL);
	else
		lab_fiber_suspend();
	(void)frame[1999];
	note("never");
}

static void use_stack(void *arg)
{
	char frame[40000];

	memset(frame, 2, sizeof(frame));
	*(int *)arg += frame[39999];
}

static void dropping_runs_none_of_their_code(void **state)
{
	int sum = 0;

	(void)state;
	trace[0] = '\0';
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < FIBERS; i++)
			assert_row(i, !lab_fiber_resume(lab_fiber_new(group, suspend_deep, group)));
		lab_fiber_drop_all(group);
		assert_int_equal(lab_fiber_pool_alive(pool), 0);
		/* Their stacks are good as new. */
		for (unsigned i = 0; i < FIBERS; i++)
			assert_row(i, lab_fiber_resume(lab_fiber_new(group, use_stack, &sum)));
	}
	assert_string_equal(trace, "");
	assert_int_equal(sum, 2 * 5 * FIBERS);
	lab_fiber_drop_all(group); /* of nobody */
}

static void drop_own_group(void *arg)
{
	lab_fiber_suspend();
	note("dropping ");
	lab_fiber_drop_all(arg);
	note("never");
}

static void fiber_may_drop_its_own_group(void **state)
{
	struct lab_fiber *fibers[3];

	(void)state;
	trace[0] = '\0';
	for (size_t i = 0; i < 3; i++) {
		fibers[i] = lab_fiber_new(group, drop_own_group, group);
		assert_false(lab_fiber_resume(fibers[i]));
	}
	assert_true(lab_fiber_resume(fibers[1]));
	assert_string_equal(trace, "dropping ");
	assert_int_equal(lab_fiber_pool_alive(pool), 0);
	assert_null(lab_fiber_self());
	assert_asserts((void)lab_fiber_resume(fibers[0]));
}

static void fiber_may_drop_another_group(void **state)
{
	struct lab_fiber_group *victims = lab_fiber_group_new(pool);
	struct lab_fiber *killer, *victim;

	(void)state;
	trace[0] = '\0';
	victim = lab_fiber_new(victims, note_twice, text_a);
	killer = lab_fiber_new(group, drop_own_group, victims);
	assert_false(lab_fiber_resume(victim));
	assert_false(lab_fiber_resume(killer));
	/* It goes on behind the drop. */
	assert_true(lab_fiber_resume(killer));
	assert_string_equal(trace, "adropping never");
	assert_int_equal(lab_fiber_pool_alive(pool), 0);
	lab_fiber_group_free(&victims);
}

static void make_another(void *arg)
{
	struct lab_fiber **ret = arg;

	*ret = lab_fiber_new(group, note_twice, text_child);
	note("parent ");
}

static void fiber_may_make_fibers(void **state)
{
	struct lab_fiber *child = NULL, *parent;

	(void)state;
	trace[0] = '\0';
	parent = lab_fiber_new(group, make_another, &child);
	assert_true(lab_fiber_resume(parent));
	assert_false(lab_fiber_resume(child));
	assert_true(lab_fiber_resume(child));
	assert_string_equal(trace, "parent child child ");
}

static void freshest_stack_is_used_first(void **state)
{
	struct lab_fiber *a, *b;

	(void)state;
	a = lab_fiber_new(group, do_nothing, NULL);
	b = lab_fiber_new(group, do_nothing, NULL);
	assert_true(lab_fiber_resume(a));
	assert_true(lab_fiber_resume(b));
	assert_ptr_equal(lab_fiber_new(group, do_nothing, NULL), b);
	assert_ptr_equal(lab_fiber_new(group, do_nothing, NULL), a);
	lab_fiber_drop_all(group);
}

static void no_slot_is_lost_or_used_twice(void **state)
{
	struct lab_fiber *fibers[FIBERS];

	(void)state;
	/* Whichever of three ends, the drop must find exactly the other two. */
	for (size_t ends = 0; ends < 3; ends++) {
		for (size_t i = 0; i < 3; i++)
			fibers[i] = lab_fiber_new(group, do_nothing, NULL);
		assert_true(lab_fiber_resume(fibers[ends]));
		assert_int_equal(lab_fiber_pool_alive(pool), 2);
		lab_fiber_drop_all(group);
		assert_int_equal(lab_fiber_pool_alive(pool), 0);
		for (size_t i = 0; i < FIBERS; i++) {
			fibers[i] = lab_fiber_new(group, do_nothing, NULL);
			assert_row(ends, fibers[i] != NULL);
			for (size_t j = 0; j < i; j++)
				assert_row(ends, fibers[i] != fibers[j]);
		}
		lab_fiber_drop_all(group);
	}
}

static bool was_refused;

static void resume_another(void *arg)
{
	/* Not assert_asserts(): a jump must not cross stacks, and this one does not. */
	if (setjmp(testing_jump) == 0) {
		lab_assert_set_hook(testing_hook);
		(void)lab_fiber_resume(arg);
	} else {
		was_refused = true;
	}
	lab_assert_set_hook(NULL);
}

static void misuse_is_caught(void **state)
{
	struct lab_fiber_pool *another;
	struct lab_fiber *fiber, *other;

	(void)state;
	assert_asserts(lab_fiber_suspend());
	other = lab_fiber_new(group, do_nothing, NULL);
	fiber = lab_fiber_new(group, resume_another, other);
	was_refused = false;
	assert_true(lab_fiber_resume(fiber));
	assert_true(was_refused);
	assert_asserts((void)lab_fiber_resume(fiber)); /* it has ended */
	another = pool;
	assert_asserts(lab_fiber_pool_free(&another)); /* one is alive */
	struct lab_fiber_group *same = group;
	assert_asserts(lab_fiber_group_free(&same));
	lab_fiber_drop_all(group);
	assert_asserts((void)lab_fiber_pool_new(STACK, 0, NULL));
	assert_asserts((void)lab_fiber_pool_new(STACK, 1, "threads"));
	lab_fiber_pool_free(&(struct lab_fiber_pool *){ NULL });
	lab_fiber_group_free(&(struct lab_fiber_group *){ NULL });
}

static uint64_t eat_stack(uint64_t depth)
{
	volatile uint8_t frame[1024];

	frame[0] = (uint8_t)depth;
	return depth == 0 ? frame[0] : eat_stack(depth - 1) + frame[0];
}

static void overflow_stack(void *arg)
{
	*(volatile uint64_t *)arg = eat_stack(100000);
}

/* A sanitizer reports it in its own way and with its own status; plain builds die of the fault. */
static void stack_overflow_hits_the_guard(void **state)
{
	int status;

	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		uint64_t result = 0;

		(void)close(2);
		(void)signal(SIGSEGV, SIG_DFL);
		struct lab_fiber *first = lab_fiber_new(group, note_twice, text_a);
		(void)lab_fiber_resume(first);
		(void)lab_fiber_resume(lab_fiber_new(group, overflow_stack, &result));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	if (!LAB_ASAN && !LAB_TSAN)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

#define MANY 33000u /* guards of so many are more mappings than the kernel gives */

static void use_and_wait(void *arg)
{
	uint64_t mine = (uint64_t)(uintptr_t)arg;
	volatile uint64_t kept = mine * 3;

	lab_fiber_suspend();
	lab_assert(kept == mine * 3);
}

static void more_fibers_than_guards(void **state)
{
	struct lab_fiber_pool *many = lab_fiber_pool_new(STACK, MANY, backend);
	struct lab_fiber_group *all = lab_fiber_group_new(many);
	static struct lab_fiber *fibers[MANY];

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		fibers[i] = lab_fiber_new(all, use_and_wait, (void *)(uintptr_t)i);
		assert_non_null(fibers[i]);
		assert_false(lab_fiber_resume(fibers[i]));
	}
	assert_null(lab_fiber_new(all, use_and_wait, NULL));
	for (size_t i = 0; i < MANY; i++)
		assert_true(lab_fiber_resume(fibers[i]));
	lab_fiber_group_free(&all);
	lab_fiber_pool_free(&many);
}

/* A little beyond the end, and back. */
static void overflow_a_little(void *arg)
{
	*(volatile uint64_t *)arg = eat_stack(STACK / 1024);
	lab_fiber_suspend();
}

static void overflow_of_the_last(void)
{
	struct lab_fiber_pool *many = lab_fiber_pool_new(STACK, MANY, backend);
	struct lab_fiber_group *all = lab_fiber_group_new(many);
	struct lab_fiber *last = NULL;
	uint64_t result = 0;

	(void)close(2);
	for (size_t i = 0; i + 1 < MANY; i++)
		last = lab_fiber_new(all, use_and_wait, NULL);
	last = lab_fiber_new(all, overflow_a_little, &result);
	(void)lab_fiber_resume(last);
	_exit(0);
}

static void their_overflows_are_seen(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (LAB_ASAN || LAB_TSAN)
		skip();
	pid = fork();
	if (pid == 0)
		overflow_of_the_last();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Many groups crash and come back in a keyed order; every survivor still knows who it is. */
static void keep_identity(void *arg)
{
	uint64_t id = lab_fiber_id(lab_fiber_self());
	uint8_t frame[500];

	memset(frame, (int)(id & 0xff), sizeof(frame));
	for (;;) {
		lab_fiber_suspend();
		for (size_t i = 0; i < sizeof(frame); i++)
			lab_assert(frame[i] == (id & 0xff));
		lab_assert(lab_fiber_id(lab_fiber_self()) == id);
		++*(uint64_t *)arg;
	}
}

static void random_crashes_leave_the_others_alone(void **state)
{
	enum {
		GROUPS = 10,
		EACH = FIBERS / GROUPS
	};
	struct lab_fiber_group *groups[GROUPS];
	struct lab_fiber *fibers[GROUPS][EACH];
	size_t counts[GROUPS] = { 0 };
	uint64_t resumed = 0, expected = 0;

	(void)state;
	for (size_t g = 0; g < GROUPS; g++)
		groups[g] = lab_fiber_group_new(pool);
	for (unsigned step = 0; step < 5000; step++) {
		uint64_t draw = lab_draw(11, "crash", 0, step);
		size_t g = lab_pick(draw, GROUPS);

		if (lab_chance(lab_mix64(draw), 20000)) {
			lab_fiber_drop_all(groups[g]);
			counts[g] = 0;
		} else if (counts[g] < EACH && draw % 2 == 0) {
			struct lab_fiber *fiber = lab_fiber_new(groups[g], keep_identity, &resumed);

			assert_false(lab_fiber_resume(fiber));
			fibers[g][counts[g]++] = fiber;
		} else if (counts[g] > 0) {
			assert_false(lab_fiber_resume(fibers[g][draw / 2 % counts[g]]));
			expected++;
		}
	}
	assert_int_equal(resumed, expected);
	for (size_t g = 0; g < GROUPS; g++) {
		lab_fiber_drop_all(groups[g]);
		lab_fiber_group_free(&groups[g]);
	}
	assert_int_equal(lab_fiber_pool_alive(pool), 0);
}

/* ---- what it has touched ---- */

static uint8_t *touched;

static void touch(void *arg)
{
	uint8_t bytes[20000];

	memset(bytes, 7, sizeof(bytes));
	touched = bytes + sizeof(bytes) / 2;
	if (arg != NULL)
		lab_fiber_suspend();
	assert_int_equal(*(volatile uint8_t *)(bytes + sizeof(bytes) / 2), 7);
}

static bool is_resident(uint8_t *byte)
{
	uint8_t *page = (uint8_t *)((uintptr_t)byte & ~(uintptr_t)4095);
	unsigned char in_memory = 0;

	assert_int_equal(mincore(page, 4096, &in_memory), 0);
	return (in_memory & 1) != 0;
}

static void stacks_that_nobody_has_can_be_given_back(void **state)
{
	struct lab_fiber *waits;
	uint8_t *live, *dead;

	(void)state;
	if (lab_is_watched())
		skip(); /* arrays are elsewhere */
	waits = lab_fiber_new(group, touch, pool);
	(void)lab_fiber_resume(waits);
	live = touched;
	(void)lab_fiber_resume(lab_fiber_new(group, touch, NULL));
	dead = touched;
	assert_true(is_resident(live) && is_resident(dead));
	lab_fiber_pool_trim(pool);
	assert_true(is_resident(live));
	assert_false(is_resident(dead));
	(void)lab_fiber_resume(waits);
	(void)lab_fiber_resume(lab_fiber_new(group, touch, NULL));
	assert_int_equal(lab_fiber_pool_alive(pool), 0);
}

#define fiber_test(function) \
	cmocka_unit_test_prestate_setup_teardown(function, setup, teardown, NULL)
#define fiber_test_ucontext(function) \
	cmocka_unit_test_prestate_setup_teardown( \
		function, setup, teardown, (char *)(uintptr_t) "ucontext")
#define fiber_tests(test) \
	test(fibers_take_turns), test(state_survives_switches), test(self_and_owner), \
		test(ids_are_never_used_again), test(maximum_is_kept_and_slots_come_back), \
		test(dropping_runs_none_of_their_code), test(fiber_may_drop_its_own_group), \
		test(fiber_may_drop_another_group), test(fiber_may_make_fibers), \
		test(freshest_stack_is_used_first), test(no_slot_is_lost_or_used_twice), \
		test(misuse_is_caught), test(stack_overflow_hits_the_guard), \
		test(more_fibers_than_guards), test(their_overflows_are_seen), \
		test(random_crashes_leave_the_others_alone), \
		test(stacks_that_nobody_has_can_be_given_back)

int main(void)
{
	const struct CMUnitTest native[] = { fiber_tests(fiber_test) };
	const struct CMUnitTest fallback[] = { fiber_tests(fiber_test_ucontext) };
	int failed = cmocka_run_group_tests_name("fiber", native, NULL, NULL);

	return failed + cmocka_run_group_tests_name("fiber-ucontext", fallback, NULL, NULL);
}

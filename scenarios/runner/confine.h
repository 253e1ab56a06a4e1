/* SPDX-License-Identifier: Apache-2.0
 *
 * confine.h - a process that can do nothing but compute (simulation 3.6).
 *
 * Purpose    What a simulated run gets from outside of its seed makes it irreproducible. In a
 *            worker of a campaign such a call ends the process at once, with the seed and a
 *            backtrace on standard error, instead of showing some day as a run that differs.
 * How        seccomp allows memory, pipes, fork, signals, exit and futexes, and traps the rest:
 *            files, sockets, random numbers, sleeping. The vDSO's clocks make no system call: their
 *            page [vvar] is made unreadable. The processor's time stamp counter is switched off.
 *            getpid is allowed, because abort() uses it: the second run of the guard, in another
 *            process, finds it.
 * Limits     Of this process and those it forks, for ever. Linux; the counter on x86 only. What the
 *            kernel refuses is left out, and confine_enter() says so. Not under sanitizers and
 *            valgrind, which need more.
 */
#ifndef SCENARIOS_CONFINE_H
#define SCENARIOS_CONFINE_H

#include <stdbool.h>

struct confinement {
	bool system_calls, clocks, counter; /* trapped */
};

/* This process from now on. Standard error and what else is open stay open. */
void confine_enter(struct confinement *ret);

/* For a library that reads the time and makes nothing of it: open, call it, close. No effect where
 * clocks are not trapped. */
void confine_open_clocks(void);
void confine_close_clocks(void);

/* What is really trapped on this machine: asks child processes that try. */
void confine_probe(struct confinement *ret);

#endif

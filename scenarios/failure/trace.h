/* SPDX-License-Identifier: Apache-2.0
 *
 * trace.h - one run as a Chrome trace, for ui.perfetto.dev (simulation 6.4).
 *
 * Purpose    Listens to a run and writes JSON as it goes: an array, an event a line. What a viewer
 *            shows as a process is a host, a node of a service, the clients, or the laboratory with
 *            phases, episodes, faults and findings.
 * Slices     All are asynchronous ("b", "e"; cat and id name the track), because what overlaps is
 *            not drawn otherwise. Category "fiber": what a fiber of a host did, nested; "request":
 *            what was not nested, by itself; the services' names: one for each line of the access
 *            log, as long as the service took; "session" and "operation": the history; "phase" and
 *            "episode". Every slice and instant of an event has its number as args.ev, which
 *            `replay --until #N` takes.
 * Units      Virtual microseconds with three decimals. A slice that is made of an event's duration
 *            begins up to 1 us late, and what began at the same time begins up to 64 ns apart.
 * Memory     Bounded, whatever the run: the last TRACE_FIBERS fibers are known; one that is
 *            forgotten gets a second track. A run that dies leaves an array that is not closed,
 *            which viewers accept.
 */
#ifndef SCENARIOS_TRACE_H
#define SCENARIOS_TRACE_H

#include "scenarios/runner/run.h"

#define TRACE_FIBERS 4096

/* Gets each line; -1 ends the writing. */
typedef int (*trace_write_fn)(void *ctx, struct lab_view line, struct lab_error *err);

struct trace;

/* Never NULL; lives in the heap. */
struct trace *trace_new(struct lab_heap *heap, trace_write_fn write, void *ctx);
/* NULLs the pointer; accepts NULL. */
void trace_free(struct trace **trace);
/* Takes on_event, on_access and on_end of the options of one run. */
void trace_attach(struct trace *trace, struct run_options *options);
/* After the run. -1: writing failed, and the trace is not whole. */
int trace_finish(struct trace *trace, struct lab_error *err);

#endif

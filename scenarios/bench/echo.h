/* SPDX-License-Identifier: Apache-2.0
 *
 * echo.h - a server on 127.0.0.1 that sends back what it gets: what no server of the same bytes can
 * pass. One thread; its sockets end with the process.
 */
#ifndef SCENARIOS_BENCH_ECHO_H
#define SCENARIOS_BENCH_ECHO_H

#include "core/base/base.h"

struct echo;

int echo_start(struct lab_heap *heap, struct echo **ret, struct lab_error *err);
uint16_t echo_port(const struct echo *echo);
/* Accepts NULL. */
void echo_stop(struct echo *echo);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * routing-print.h - how long users were on two backends, without one, and how long logins took,
 * beside the bounds (palomar 4.1). Nothing is printed where there were no proxies.
 */
#ifndef SCENARIOS_ROUTING_PRINT_H
#define SCENARIOS_ROUTING_PRINT_H

#include "core/base/json.h"
#include "sim/oracle/oracle.h"

void routing_add(struct oracle_routing *total, const struct oracle_routing *run);
void routing_print(const struct oracle_routing *routing, struct lab_buf *out);
void routing_json(const struct oracle_routing *routing, struct lab_json *json);
/* The limit of the step below which this share of all is; the largest if that is less. */
uint64_t routing_quantile(const struct oracle_measure *measure, unsigned percent);

#endif

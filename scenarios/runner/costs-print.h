/* SPDX-License-Identifier: Apache-2.0
 *
 * costs-print.h - how often the actions of the table of costs occurred, and what they asked for.
 */
#ifndef SCENARIOS_COSTS_PRINT_H
#define SCENARIOS_COSTS_PRINT_H

#include "sim/oracle/costs.h"

void costs_add(struct cost_report *total, const struct cost_report *run);
/* Nothing if nothing was compared. */
void costs_print(const struct cost_report *costs, struct lab_buf *out);
/* "costs": actions and requests by name. */
void costs_json(const struct cost_report *costs, struct lab_json *json);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/costs-print.h"

void costs_add(struct cost_report *total, const struct cost_report *run)
{
	total->stretches += run->stretches;
	for (unsigned i = 0; i < COST_ACTION_COUNT; i++) {
		total->actions[i] += run->actions[i];
		total->compared[i] += run->compared[i];
	}
	for (unsigned i = 0; i < COST_REQUEST_COUNT; i++)
		total->requests[i] += run->requests[i];
}

void costs_print(const struct cost_report *costs, struct lab_buf *out)
{
	if (costs->stretches == 0)
		return;
	lab_buf_printf(out,
		"\n  costs: %" PRIu64
		" stretches without failures, equal to the table (list costs)\n",
		costs->stretches);
	for (unsigned i = 0; i < COST_ACTION_COUNT; i++) {
		if (costs->actions[i] > 0)
			lab_buf_printf(out, "  %-44s%9" PRIu64 "  compared %9" PRIu64 "\n",
				cost_line((enum cost_action)i)->action, costs->actions[i],
				costs->compared[i]);
	}
	lab_buf_append_cstr(out, "  requests in them\n");
	for (unsigned i = 0; i < COST_REQUEST_COUNT; i++) {
		if (costs->requests[i] > 0)
			lab_buf_printf(out, "  %-44s%9" PRIu64 "\n",
				cost_request_name((enum cost_request)i), costs->requests[i]);
	}
}

void costs_json(const struct cost_report *costs, struct lab_json *json)
{
	lab_json_key(json, "costs");
	lab_json_object(json);
	lab_json_put_u64(json, "stretches", costs->stretches);
	lab_json_key(json, "actions");
	lab_json_object(json);
	for (unsigned i = 0; i < COST_ACTION_COUNT; i++)
		lab_json_put_u64(json, cost_line((enum cost_action)i)->name, costs->actions[i]);
	lab_json_end(json);
	lab_json_key(json, "compared");
	lab_json_object(json);
	for (unsigned i = 0; i < COST_ACTION_COUNT; i++)
		lab_json_put_u64(json, cost_line((enum cost_action)i)->name, costs->compared[i]);
	lab_json_end(json);
	lab_json_key(json, "requests");
	lab_json_object(json);
	for (unsigned i = 0; i < COST_REQUEST_COUNT; i++)
		lab_json_put_u64(json, cost_request_name((enum cost_request)i), costs->requests[i]);
	lab_json_end(json);
	lab_json_end(json);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/excuses.h"

#include <stdio.h>

/* In the order of their texts, or the report would depend on which worker was first. */
void excuses_add(struct excuses *e, const char *text, uint64_t count)
{
	char cut[EXCUSE_TEXT_MAX];
	size_t i = 0;

	(void)snprintf(cut, sizeof(cut), "%s", text);
	while (i < e->count && strcmp(e->items[i].text, cut) < 0)
		i++;
	if (i < e->count && strcmp(e->items[i].text, cut) == 0) {
		e->items[i].count += count;
		return;
	}
	if (e->count == EXCUSES_MAX) {
		e->others += count;
		return;
	}
	memmove(&e->items[i + 1], &e->items[i], (e->count - i) * sizeof(e->items[0]));
	e->count++;
	memcpy(e->items[i].text, cut, sizeof(cut));
	e->items[i].count = count;
}

void excuses_add_all(struct excuses *e, const struct excuses *others)
{
	for (size_t i = 0; i < others->count; i++)
		excuses_add(e, others->items[i].text, others->items[i].count);
	e->others += others->others;
}

void excuses_print(const struct excuses *e, struct lab_buf *out)
{
	if (e->count > 0)
		lab_buf_append_cstr(out, "\n  excused findings\n");
	for (size_t i = 0; i < e->count; i++)
		lab_buf_printf(out, "  %8" PRIu64 "  %s\n", e->items[i].count, e->items[i].text);
	if (e->others > 0)
		lab_buf_printf(out, "  %8" PRIu64 "  for other reasons\n", e->others);
}

void excuses_json(const struct excuses *e, struct lab_json *json)
{
	lab_json_key(json, "excuses");
	lab_json_array(json);
	for (size_t i = 0; i < e->count; i++) {
		lab_json_object(json);
		lab_json_put_cstr(json, "reason", e->items[i].text);
		lab_json_put_u64(json, "findings", e->items[i].count);
		lab_json_end(json);
	}
	lab_json_end(json);
}

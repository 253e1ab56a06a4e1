/* SPDX-License-Identifier: Apache-2.0
 *
 * trace-write.c - one line of a trace.
 */
#include "scenarios/failure/trace-private.h"

static const char one_char[][2] = { "b", "e", "i", "M", "g", "p", "t" };

static const char *char_text(char c)
{
	for (size_t i = 0; i < LAB_COUNT_OF(one_char); i++) {
		if (one_char[i][0] == c)
			return one_char[i];
	}
	lab_bug("a letter that no line has");
}

void trace_begin(struct trace *t, const struct trace_line *line)
{
	lab_buf_reset(&t->line);
	lab_buf_append_cstr(&t->line, t->has_lines ? ",\n" : "[\n");
	t->has_lines = true;
	lab_json_init(&t->json, &t->line, false);
	lab_json_object(&t->json);
	lab_json_put_cstr(&t->json, "ph", char_text(line->phase));
	lab_json_key(&t->json, "name");
	lab_json_view(&t->json, line->name);
	if (line->category != NULL)
		lab_json_put_cstr(&t->json, "cat", line->category);
	lab_json_put_u64(&t->json, "pid", line->pid);
	lab_json_put_u64(&t->json, "tid", 0);
	lab_json_key(&t->json, "ts");
	lab_json_decimal(&t->json, (int64_t)line->time_ns, 3);
	if (line->track[0] != '\0')
		lab_json_put_cstr(&t->json, "id", line->track);
	if (line->scope != '\0')
		lab_json_put_cstr(&t->json, "s", char_text(line->scope));
	lab_json_key(&t->json, "args");
	lab_json_object(&t->json);
}

void trace_end(struct trace *t)
{
	lab_json_end(&t->json);
	lab_json_end(&t->json);
	if (t->err.code != LAB_OK)
		return;
	if (t->line.overflow)
		(void)lab_fail(&t->err, LAB_LIMIT, "a line of the trace is too long");
	else
		(void)t->write(t->ctx, lab_buf_view(&t->line), &t->err);
}

void trace_process(struct trace *t, uint64_t pid, struct lab_view name)
{
	const struct trace_line line = {
		.phase = 'M', .name = LAB_VIEW("process_name"), .pid = pid
	};
	const struct trace_line order = {
		.phase = 'M', .name = LAB_VIEW("process_sort_index"), .pid = pid
	};

	trace_begin(t, &line);
	lab_json_key(&t->json, "name");
	lab_json_view(&t->json, name);
	trace_end(t);
	trace_begin(t, &order);
	lab_json_put_u64(&t->json, "sort_index", pid);
	trace_end(t);
}

void trace_fields(struct trace *t, const struct lab_event *event)
{
	lab_json_put_u64(&t->json, "ev", event->sequence);
	if (event->fiber != 0)
		lab_json_put_u64(&t->json, "fiber", event->fiber);
	for (size_t i = 0; i < event->field_count; i++) {
		const struct lab_field *f = &event->fields[i];

		lab_json_key(&t->json, f->name);
		if (f->kind == LAB_FIELD_TEXT)
			lab_json_view(&t->json, f->text);
		else if (f->kind == LAB_FIELD_CODE)
			lab_json_cstr(&t->json, lab_code_name((enum lab_code)f->number));
		else
			lab_json_u64(&t->json, f->number);
	}
}

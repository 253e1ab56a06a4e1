/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/event.h"

#include <inttypes.h>

#include "core/base/assert.h"
#include "core/base/buf.h"
#include "core/base/hash.h"

static const struct {
	const char *name;
	enum lab_level level;
	const char *doc;
} events[LAB_EV_COUNT] = {
#define X(name, level, doc) { #name, level, doc },
#include "core/base/events.def"
#undef X
};

const char *lab_event_name(enum lab_event_id id)
{
	lab_assert(id < LAB_EV_COUNT);
	return events[id].name;
}

enum lab_level lab_event_level(enum lab_event_id id)
{
	lab_assert(id < LAB_EV_COUNT);
	return events[id].level;
}

const char *lab_event_doc(enum lab_event_id id)
{
	lab_assert(id < LAB_EV_COUNT);
	return events[id].doc;
}

uint64_t lab_event_fold(uint64_t hash, const struct lab_event *event)
{
	hash = lab_hash_fold(hash, event->time_ns);
	hash = lab_hash_fold(hash, (uint64_t)event->host << 32 | event->id);
	hash = lab_hash_fold(hash, event->fiber);
	for (size_t i = 0; i < event->field_count; i++) {
		const struct lab_field *field = &event->fields[i];

		if (field->is_volatile)
			continue;
		/* The kind is the seed: 1 and "1" differ. Bytes are hashed on their own and then
		 * folded, so that the processor need not wait for one field to start the next. */
		hash = lab_hash_fold(
			hash, lab_hash_bytes(field->kind, field->name, strlen(field->name)));
		hash = lab_hash_fold(hash, field->kind == LAB_FIELD_TEXT
						   ? lab_hash_view(0, field->text)
						   : field->number);
	}
	return hash;
}

static bool is_plain(struct lab_view text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (c <= ' ' || c == '"' || c == '\\' || c == 0x7f)
			return false;
	}
	return text.len > 0;
}

static void append_text(struct lab_buf *out, struct lab_view text)
{
	if (is_plain(text)) {
		lab_buf_append_view(out, text);
		return;
	}
	lab_buf_append_byte(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (c == '"' || c == '\\')
			lab_buf_append_byte(out, '\\');
		if (c >= ' ' && c != 0x7f)
			lab_buf_append_byte(out, c);
		else
			lab_buf_printf(out, "\\x%02x", c);
	}
	lab_buf_append_byte(out, '"');
}

static void append_field(struct lab_buf *out, const struct lab_field *field)
{
	lab_buf_printf(out, " %s=", field->name);
	switch (field->kind) {
	case LAB_FIELD_TEXT:
		append_text(out, field->text);
		break;
	case LAB_FIELD_U64:
		lab_buf_printf(out, "%" PRIu64, field->number);
		break;
	case LAB_FIELD_CODE:
		lab_buf_append_cstr(out, lab_code_name((enum lab_code)field->number));
		break;
	}
}

void lab_event_format(struct lab_buf *out, const struct lab_event *event, const char *host_name)
{
	uint64_t ms = event->time_ns / 1000000;

	lab_buf_printf(out, "%" PRIu64 ".%03us ", ms / 1000, (unsigned)(ms % 1000));
	if (host_name != NULL)
		lab_buf_append_cstr(out, host_name);
	else if (event->host == 0)
		lab_buf_append_cstr(out, "lab");
	else
		lab_buf_printf(out, "host%" PRIu32, event->host);
	lab_buf_printf(out, " %s", lab_event_name(event->id));
	for (size_t i = 0; i < event->field_count; i++)
		append_field(out, &event->fields[i]);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.c - frames: bytes in to requests, answers to bytes; what each version is told.
 */
#include "sim/cql-emulator/cql-emulator-private.h"

/* ---- sending ---- */

void cqle_wire_send(struct cqlemu *emu, struct cqle_session *s, uint8_t version, int16_t stream,
	const struct cql_response *response, enum sim_wire wire)
{
	if (s->closed)
		return;
	lab_buf_reset(&emu->out);
	cql_response_encode(&emu->out, version, stream, response);
	struct lab_view data = lab_buf_view(&emu->out);
	if (emu->out.overflow) {
		struct cql_response error = { .opcode = CQL_ERROR,
			.error = { .code = CQL_E_SERVER_ERROR,
				.message = LAB_VIEW("The answer is too long for a frame") } };
		lab_buf_reset(&emu->out);
		cql_response_encode(&emu->out, version, stream, &error);
		data = lab_buf_view(&emu->out);
	}
	if (wire == SIM_WIRE_TRUNCATE) {
		cqle_output(emu, s, lab_view_sub(data, 0, data.len / 2), SIM_WIRE_ANSWER);
		cqle_session_reset(emu, s);
		return;
	}
	cqle_output(emu, s, data, wire);
}

void cqle_wire_error(struct cqlemu *emu, struct cqle_session *s, uint8_t version, int16_t stream,
	uint32_t code, const char *text)
{
	struct cql_response response = { .opcode = CQL_ERROR,
		.error = { .code = code, .message = lab_view_cstr(text) } };
	emu->counters.errors++;
	cqle_wire_send(emu, s, version, stream, &response, SIM_WIRE_ANSWER);
}

/* The texts of the server generations (cql-imds 1.8); several drivers look for them. */
static void refuse_version(struct cqlemu *emu, struct cqle_session *s, uint8_t version)
{
	static const char *const tails[] = { "; supported versions are (3/v3, 4/v4)",
		"; the lowest supported version is 3 and the greatest is 4",
		"; highest supported is 4 ", "" };
	enum cqlemu_version_text generation = emu->options.version_text;
	char text[120];
	struct lab_buf out;
	lab_buf_init(&out, NULL, sizeof(text) - 1);
	out.data = (uint8_t *)text;
	out.capacity = sizeof(text) - 1;
	lab_buf_append_cstr(&out, "Invalid or unsupported protocol version");
	lab_buf_printf(&out, generation == CQLEMU_VERSIONS_2_1 ? ": %u" : " (%u)", version);
	lab_buf_append_cstr(&out, tails[generation]);
	uint8_t answer_in = version == 1 || version == 2 ? version : CQL_VERSION;
	cqle_wire_error(emu, s, answer_in, 0, CQL_E_PROTOCOL, lab_buf_cstr(&out));
}

static bool refuse_direction(
	struct cqlemu *emu, struct cqle_session *s, const struct cql_header *header)
{
	if (!header->response)
		return false;
	const char *name = cql_opcode_name(header->opcode);
	char *text = lab_arena_printf(emu->scratch,
		"Wrong protocol direction (expected REQUEST, got RESPONSE) for opcode %u (%s)",
		header->opcode, name == NULL ? "UNKNOWN" : name);
	cqle_wire_error(emu, s, CQL_VERSION, header->stream, CQL_E_PROTOCOL, text);
	return true;
}

static bool refuse_change(
	struct cqlemu *emu, struct cqle_session *s, const struct cql_header *header)
{
	if (s->version == 0 || s->version == header->version)
		return false;
	char *text = lab_arena_printf(emu->scratch,
		"Invalid message version. Got %u/v%u but previous messages on this connection had "
		"version %u/v%u",
		header->version, header->version, s->version, s->version);
	cqle_wire_error(emu, s, s->version, header->stream, CQL_E_PROTOCOL, text);
	return true;
}

/* Bytes used; 0: more are needed. */
static size_t take_frame(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	struct cql_header header;
	struct cql_frame frame;
	size_t header_bytes, used;
	struct lab_error err;
	if (cql_header_decode(data, &header, &header_bytes) == 0)
		return 0;
	bool spoken = header.version >= CQL_VERSION_MIN && header.version <= CQL_VERSION;
	if (!spoken) {
		refuse_version(emu, s, header.version);
		return data.len; /* nobody knows where the next frame would begin */
	}
	int result = cql_frame_next(data, emu->options.frame_bytes_max, &frame, &used, &err);
	if (result < 0) {
		char *text = lab_arena_printf(emu->scratch,
			"Request is too big: length %u exceeds maximum allowed length %zu.",
			header.length, emu->options.frame_bytes_max);
		cqle_wire_error(emu, s, header.version, header.stream, CQL_E_INVALID, text);
		cqle_session_reset(emu, s);
		return data.len;
	}
	if (result == 0)
		return 0;
	if (!refuse_direction(emu, s, &header) && !refuse_change(emu, s, &header))
		cqle_handle_frame(emu, s, &frame);
	return used;
}

/* Handles what is there; returns how much of it. */
size_t cqle_wire_take(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	size_t at = 0;
	while (at < data.len && !s->closed && !s->stalled &&
		emu->nodes[s->node].state == CQLEMU_NODE_UP) {
		struct lab_arena_mark mark = lab_arena_mark(emu->scratch);
		size_t used = take_frame(emu, s, lab_view_skip(data, at));
		lab_arena_rewind(emu->scratch, mark);
		if (used == 0)
			break;
		at += used;
	}
	return s->closed ? data.len : at;
}

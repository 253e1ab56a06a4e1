/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.c - bytes in to requests, answers to bytes: frames, segments, compression; what is told to
 * whom speaks otherwise. What comes back for each malformed frame is what a genuine Cassandra
 * 4.0.14 sent (golden/wire.txt).
 */
#include <stdio.h>

#include "sim/cql-emulator/cql-emulator-private.h"

#define VERSION_MASK 0x7f
#define REFUSAL_MAX 160

/* ---- sending ---- */

/* What the connection's version and compression make of a frame. */
static struct lab_view pack(struct cqlemu *emu, const struct cqle_session *s, struct lab_view frame)
{
	if (!s->segmented && s->compression == CQL_UNCOMPRESSED)
		return frame;
	struct lab_arena_mark mark = lab_arena_mark(emu->scratch);
	lab_buf_reset(&emu->packed);
	if (s->segmented)
		cql_segments_put(&emu->packed, frame, s->compression, emu->scratch);
	else
		cql_frame_compress(&emu->packed, frame, s->compression, emu->scratch);
	lab_arena_rewind(emu->scratch, mark);
	return lab_buf_view(&emu->packed);
}

void cqle_wire_send(struct cqlemu *emu, struct cqle_session *s, uint8_t version, int16_t stream,
	const struct cql_response *response, enum sim_wire wire)
{
	if (s->closed)
		return;
	lab_buf_reset(&emu->out);
	cql_response_encode(&emu->out, version, stream, response);
	if (emu->out.overflow) {
		struct cql_response error = { .opcode = CQL_ERROR,
			.error = { .code = CQL_E_SERVER_ERROR,
				.message = LAB_VIEW("The answer is too long for a frame") } };
		lab_buf_reset(&emu->out);
		cql_response_encode(&emu->out, version, stream, &error);
	}
	struct lab_view data = pack(emu, s, lab_buf_view(&emu->out));
	if (wire == SIM_WIRE_TRUNCATE) {
		cqle_output(emu, s, lab_view_sub(data, 0, data.len / 2), SIM_WIRE_ANSWER);
		cqle_session_reset(emu, s);
		return;
	}
	cqle_output(emu, s, data, wire);
}

static void send_error(struct cqlemu *emu, struct cqle_session *s, uint8_t version, int16_t stream,
	uint32_t code, const char *text)
{
	struct cql_response response = { .opcode = CQL_ERROR,
		.error = { .code = code, .message = lab_view_cstr(text) } };
	emu->counters.errors++;
	cqle_wire_send(emu, s, version, stream, &response, SIM_WIRE_ANSWER);
}

/* ---- connections that got stuck ----
 *
 * Cassandra does not take a frame whose header it refuses off its input: it finds it there again
 * whenever more bytes come, and says the same each time. */

struct cqle_stuck {
	uint8_t version;
	int16_t stream;
	uint32_t code;
	char text[sizeof(((struct lab_error *)NULL)->message)];
};

static void say_again(struct cqlemu *emu, struct cqle_session *s)
{
	send_error(emu, s, s->stuck->version, s->stuck->stream, s->stuck->code, s->stuck->text);
}

static void get_stuck(struct cqlemu *emu, struct cqle_session *s, uint8_t version, int16_t stream,
	uint32_t code, const char *text)
{
	s->stuck = lab_new(emu->heap, struct cqle_stuck);
	s->stuck->version = version;
	s->stuck->stream = stream;
	s->stuck->code = code;
	(void)snprintf(s->stuck->text, sizeof(s->stuck->text), "%s", text);
	say_again(emu, s);
}

/* ---- refusals ---- */

static uint8_t answer_version(const struct cqlemu *emu, const struct cqle_session *s)
{
	return s->version != 0 ? s->version : emu->profile->version_max;
}

static bool is_spoken(const struct cqlemu *emu, uint8_t version)
{
	unsigned max = emu->profile->version_max + (emu->profile->beta ? 1u : 0u);
	return version >= CQL_VERSION_MIN && version <= max;
}

static bool is_beta(const struct cqlemu *emu, uint8_t version)
{
	return version > emu->profile->version_max;
}

/* "4/v4", "6/v6-beta" */
static const char *version_name(const struct cqlemu *emu, uint8_t version)
{
	return lab_arena_printf(
		emu->scratch, "%u/v%u%s", version, version, is_beta(emu, version) ? "-beta" : "");
}

/* The texts of the server generations (cql-imds 1.8); several drivers look for them. */
static const char *version_refusal(const struct cqlemu *emu, uint8_t version)
{
	static const char start[] = "Invalid or unsupported protocol version";
	unsigned max = emu->profile->version_max;
	switch (emu->profile->version_text) {
	case CQLEMU_VERSIONS_PLAIN:
		return lab_arena_printf(emu->scratch, "%s: %u", start, version);
	case CQLEMU_VERSIONS_RANGE:
		return lab_arena_printf(emu->scratch,
			"%s (%u); the lowest supported version is %u and the greatest is %u", start,
			version, CQL_VERSION_MIN, max);
	case CQLEMU_VERSIONS_LIST:
		break;
	}
	const char *list = "";
	for (uint8_t v = CQL_VERSION_MIN; is_spoken(emu, v); v++)
		list = lab_arena_printf(emu->scratch, "%s%s%s", list,
			v > CQL_VERSION_MIN ? ", " : "", version_name(emu, v));
	return lab_arena_printf(
		emu->scratch, "%s (%u); supported versions are (%s)", start, version, list);
}

static const char *beta_refusal(const struct cqlemu *emu, const struct cql_header *header)
{
	if (!is_beta(emu, header->version) || (header->flags & CQL_FLAG_USE_BETA) != 0)
		return NULL;
	return lab_arena_printf(emu->scratch,
		"Beta version of the protocol used (%s), but USE_BETA flag is unset",
		version_name(emu, header->version));
}

/* The missing space in the words of version 5 is Cassandra's. */
static const char *change_refusal(
	const struct cqlemu *emu, const struct cqle_session *s, const struct cql_header *header)
{
	if (s->version == 0 || s->version == header->version)
		return NULL;
	return lab_arena_printf(emu->scratch,
		"Invalid message version. Got %s but previous%smessages on this connection had "
		"version %s",
		version_name(emu, header->version), s->segmented ? "" : " ",
		version_name(emu, s->version));
}

static const char *length_refusal(const struct cqlemu *emu, uint64_t bytes)
{
	return lab_arena_printf(emu->scratch,
		"Request is too big: length %" PRIu64 " exceeds maximum allowed length %zu.", bytes,
		emu->options.frame_bytes_max);
}

/* ---- frames of versions 3 and 4, and of all versions before READY ---- */

/* False if the connection got stuck. */
static bool header_is_good(
	struct cqlemu *emu, struct cqle_session *s, const struct cql_header *header)
{
	struct lab_error err;
	const char *beta = beta_refusal(emu, header);
	if (beta != NULL)
		get_stuck(emu, s, header->version, 0, CQL_E_PROTOCOL, beta);
	else if (cql_request_check(header, &err) < 0)
		get_stuck(emu, s, answer_version(emu, s), header->stream, CQL_E_PROTOCOL,
			err.message);
	else
		return true;
	return false;
}

static void handle(struct cqlemu *emu, struct cqle_session *s, const struct cql_frame *frame)
{
	const char *change = change_refusal(emu, s, &frame->header);
	if (change == NULL)
		cqle_handle_frame(emu, s, frame);
	else
		send_error(emu, s, s->version, frame->header.stream, CQL_E_PROTOCOL, change);
}

/* A frame that is too long is read to its end before it is refused. */
static size_t skip(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	size_t used = (size_t)LAB_MIN(s->skip, (uint64_t)data.len);
	s->skip -= used;
	if (s->skip == 0)
		send_error(emu, s, answer_version(emu, s), s->skip_stream, CQL_E_INVALID,
			length_refusal(emu, s->skip_bytes));
	return used;
}

/* Bytes used; 0: more are needed. */
static size_t take_frame(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	struct cql_header header;
	struct cql_frame frame;
	size_t header_bytes, used;
	struct lab_error err;
	uint8_t version = data.ptr[0] & VERSION_MASK;
	if (!is_spoken(emu, version)) { /* known from its first byte */
		bool old = version == 1 || version == 2;
		get_stuck(emu, s, old ? version : answer_version(emu, s), 0, CQL_E_PROTOCOL,
			version_refusal(emu, version));
		return data.len;
	}
	if (cql_header_decode(data, &header, &header_bytes) == 0)
		return 0;
	if (!header_is_good(emu, s, &header))
		return data.len;
	int result = cql_frame_next(
		data, emu->options.frame_bytes_max - header_bytes, &frame, &used, &err);
	if (result < 0) {
		s->skip = s->skip_bytes = (uint64_t)header_bytes + header.length;
		s->skip_stream = header.stream;
		return skip(emu, s, data);
	}
	if (result == 0)
		return 0;
	handle(emu, s, &frame);
	return used;
}

/* ---- frames in segments ---- */

#define SEGMENT_HEADER_BYTES 6
#define UNDERSIZED \
	"java.lang.IllegalArgumentException: Undersized buffer supplied. Expected %d, actual %zu"

static struct cql_header header_in_segment(struct lab_view data)
{
	struct cql_reader r = cql_reader_of(lab_view_skip(data, 1));
	struct cql_header header = { .version = data.ptr[0] & VERSION_MASK,
		.response = (data.ptr[0] & ~VERSION_MASK) != 0 };
	header.flags = cql_read_byte(&r);
	header.stream = (int16_t)cql_read_short(&r);
	header.opcode = cql_read_byte(&r);
	header.length = (uint32_t)cql_read_int(&r);
	return header;
}

/* Where frames end is known here, so that nothing gets stuck. */
static void handle_in_segment(
	struct cqlemu *emu, struct cqle_session *s, const struct cql_frame *frame)
{
	const struct cql_header *header = &frame->header;
	struct lab_error err;
	uint8_t version = s->version;
	const char *text = NULL;
	if (!is_spoken(emu, header->version)) {
		text = version_refusal(emu, header->version);
	} else if (beta_refusal(emu, header) != NULL) {
		text = beta_refusal(emu, header);
		version = header->version;
	} else if (cql_request_check(header, &err) < 0) {
		text = err.message;
	}
	if (text == NULL)
		handle(emu, s, frame);
	else
		send_error(emu, s, version, header->stream, CQL_E_PROTOCOL, text);
}

/* True if the connection ended over it. */
static bool length_is_bad(
	struct cqlemu *emu, struct cqle_session *s, const struct cql_header *header)
{
	uint64_t bytes = (uint64_t)CQL_HEADER_BYTES + header->length;
	if (header->length > INT32_MAX) {
		send_error(emu, s, s->version, header->stream, CQL_E_PROTOCOL,
			lab_arena_printf(emu->scratch,
				"Invalid value for envelope header body length field: %" PRId32,
				(int32_t)header->length));
	} else if (bytes > emu->options.frame_bytes_max) {
		send_error(emu, s, s->version, header->stream, CQL_E_INVALID,
			length_refusal(emu, bytes));
	} else {
		return false;
	}
	cqle_session_reset(emu, s);
	return true;
}

static void take_self_contained(
	struct cqlemu *emu, struct cqle_session *s, const struct cql_segment *segment)
{
	struct lab_view rest = segment->payload;
	/* Java counts from the start of the buffer, which has the segment's header, too. */
	size_t base = s->compression == CQL_UNCOMPRESSED ? SEGMENT_HEADER_BYTES : 0;
	while (rest.len > 0 && !s->closed) {
		struct cql_frame frame;
		if (rest.len < CQL_HEADER_BYTES) {
			get_stuck(emu, s, s->version, 0, CQL_E_SERVER_ERROR,
				lab_arena_printf(
					emu->scratch, UNDERSIZED, CQL_HEADER_BYTES, rest.len));
			return;
		}
		frame.header = header_in_segment(rest);
		size_t used = CQL_HEADER_BYTES + (size_t)frame.header.length;
		if (length_is_bad(emu, s, &frame.header))
			return;
		if (used > rest.len) {
			get_stuck(emu, s, s->version, 0, CQL_E_SERVER_ERROR,
				lab_arena_printf(emu->scratch,
					"java.lang.IllegalArgumentException: newPosition > limit: "
					"(%zu > %zu)",
					base + segment->payload.len - rest.len + used,
					base + segment->payload.len));
			return;
		}
		frame.body = lab_view_sub(rest, CQL_HEADER_BYTES, frame.header.length);
		handle_in_segment(emu, s, &frame);
		rest = lab_view_skip(rest, used);
	}
}

static void large_is_broken(struct cqlemu *emu, struct cqle_session *s)
{
	get_stuck(emu, s, s->version, 0, CQL_E_SERVER_ERROR,
		"java.io.IOException: Error decoding CQL Message");
}

/* A piece of a frame that is spread over several segments. */
static void take_piece(
	struct cqlemu *emu, struct cqle_session *s, const struct cql_segment *segment)
{
	struct cql_frame frame;
	if (s->large.len == 0 && segment->payload.len < CQL_HEADER_BYTES) {
		large_is_broken(emu, s);
		return;
	}
	lab_buf_append_view(&s->large, segment->payload);
	struct lab_view all = lab_buf_view(&s->large);
	frame.header = header_in_segment(all);
	if (length_is_bad(emu, s, &frame.header))
		return;
	size_t wanted = CQL_HEADER_BYTES + (size_t)frame.header.length;
	if (all.len > wanted) {
		large_is_broken(emu, s);
		return;
	}
	if (all.len < wanted)
		return;
	frame.body = lab_view_skip(all, CQL_HEADER_BYTES);
	handle_in_segment(emu, s, &frame);
	lab_buf_reset(&s->large);
}

static size_t take_segment(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	struct cql_segment segment;
	struct lab_error err;
	size_t used;
	int result = cql_segment_next(data, s->compression, emu->scratch, &segment, &used, &err);
	if (result == 0)
		return 0;
	if (result < 0 && err.code == LAB_INVALID) {
		send_error(emu, s, s->version, 0, CQL_E_SERVER_ERROR, err.message);
	} else if (result < 0) { /* Cassandra begins with its name of the connection */
		send_error(emu, s, s->version, 0, CQL_E_PROTOCOL,
			lab_arena_printf(emu->scratch, "%08" PRIx32 " invalid, %s",
				(uint32_t)s->number, err.message));
		cqle_session_reset(emu, s);
		return data.len;
	} else if (segment.self_contained) {
		take_self_contained(emu, s, &segment);
	} else {
		take_piece(emu, s, &segment);
	}
	return used;
}

/* ---- both ---- */

static size_t take(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	if (s->stuck != NULL) {
		say_again(emu, s);
		return data.len;
	}
	if (s->skip > 0)
		return skip(emu, s, data);
	return s->segmented ? take_segment(emu, s, data) : take_frame(emu, s, data);
}

size_t cqle_wire_take(struct cqlemu *emu, struct cqle_session *s, struct lab_view data)
{
	size_t at = 0;
	bool was_stuck = s->stuck != NULL;
	while (at < data.len && !s->closed && !s->stalled &&
		emu->nodes[s->node].state == CQLEMU_NODE_UP) {
		struct lab_arena_mark mark = lab_arena_mark(emu->scratch);
		size_t used = take(emu, s, lab_view_skip(data, at));
		lab_arena_rewind(emu->scratch, mark);
		if (used == 0)
			break;
		at += used;
		if (s->stuck != NULL && !was_stuck)
			at = data.len; /* what came with it is not looked at */
	}
	return s->closed ? data.len : at;
}

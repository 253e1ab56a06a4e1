/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests, both directions (cql-imds 1.4).
 */
#include "core/cql/cql-codec-private.h"

#define BATCH_FLAGS (CQL_PARAM_SERIAL | CQL_PARAM_TIMESTAMP | CQL_PARAM_KEYSPACE | CQL_PARAM_NOW)
#define PREPARE_KEYSPACE 0x1
#define CREDENTIALS 0x04 /* of version 1 */

/* ---- encode ---- */

static void put_bind(struct lab_buf *out, uint8_t version, const struct cql_bind *bind, bool named)
{
	if (named)
		cql_put_string(out, bind->name);
	if (bind->kind == CQL_VALUE_UNSET) {
		lab_assert(version >= 4);
		lab_buf_append_u32(out, (uint32_t)-2);
	} else if (bind->kind == CQL_VALUE_NULL) {
		lab_buf_append_u32(out, UINT32_MAX);
	} else {
		cql_put_long_string(out, bind->bytes);
	}
}

static void put_binds(struct lab_buf *out, uint8_t version, const struct cql_bind *values,
	size_t count, bool named)
{
	cql_put_count(out, count);
	for (size_t i = 0; i < count; i++)
		put_bind(out, version, &values[i], named);
}

static void put_params(struct lab_buf *out, uint8_t version, const struct cql_params *params)
{
	lab_buf_append_u16(out, (uint16_t)params->consistency);
	if (version >= CQL_VERSION_SEGMENTS)
		lab_buf_append_u32(out, params->flags);
	else
		lab_buf_append_byte(out, (uint8_t)params->flags);
	if ((params->flags & CQL_PARAM_VALUES) != 0) {
		put_binds(out, version, params->values, params->value_count,
			(params->flags & CQL_PARAM_NAMES) != 0);
	}
	if ((params->flags & CQL_PARAM_PAGE_SIZE) != 0)
		lab_buf_append_u32(out, (uint32_t)params->page_size);
	if ((params->flags & CQL_PARAM_PAGING_STATE) != 0)
		cql_put_bytes(out, params->paging_state);
	if ((params->flags & CQL_PARAM_SERIAL) != 0)
		lab_buf_append_u16(out, (uint16_t)params->serial_consistency);
	if ((params->flags & CQL_PARAM_TIMESTAMP) != 0)
		lab_buf_append_u64(out, (uint64_t)params->timestamp_us);
	if ((params->flags & CQL_PARAM_KEYSPACE) != 0)
		cql_put_string(out, params->keyspace);
	if (version >= CQL_VERSION_SEGMENTS && (params->flags & CQL_PARAM_NOW) != 0)
		lab_buf_append_u32(out, (uint32_t)params->now_s);
}

static void put_prepare(struct lab_buf *out, uint8_t version, const struct cql_request *request)
{
	bool keyspace = (request->params.flags & CQL_PARAM_KEYSPACE) != 0;
	cql_put_long_string(out, request->query);
	if (version < CQL_VERSION_SEGMENTS)
		return;
	lab_buf_append_u32(out, keyspace);
	if (keyspace)
		cql_put_string(out, request->params.keyspace);
}

static void put_batch(struct lab_buf *out, uint8_t version, const struct cql_request *request)
{
	struct cql_params params = request->params;
	lab_buf_append_byte(out, (uint8_t)request->batch_type);
	cql_put_count(out, request->batch_count);
	for (size_t i = 0; i < request->batch_count; i++) {
		const struct cql_batch_item *item = &request->batch[i];
		lab_buf_append_byte(out, item->prepared);
		if (item->prepared)
			cql_put_short_bytes(out, item->query);
		else
			cql_put_long_string(out, item->query);
		put_binds(out, version, item->values, item->value_count, false);
	}
	params.flags &= BATCH_FLAGS;
	put_params(out, version, &params);
}

static void put_body(struct lab_buf *out, uint8_t version, const struct cql_request *request)
{
	switch (request->opcode) {
	case CQL_STARTUP:
		cql_put_map(out, &request->options);
		break;
	case CQL_OPTIONS:
		break;
	case CQL_AUTH_RESPONSE:
		cql_put_bytes(out, request->token);
		break;
	case CQL_QUERY:
		cql_put_long_string(out, request->query);
		put_params(out, version, &request->params);
		break;
	case CQL_PREPARE:
		put_prepare(out, version, request);
		break;
	case CQL_EXECUTE:
		cql_put_short_bytes(out, request->query);
		if (version >= CQL_VERSION_SEGMENTS)
			cql_put_short_bytes(out, request->result_id);
		put_params(out, version, &request->params);
		break;
	case CQL_BATCH:
		put_batch(out, version, request);
		break;
	case CQL_REGISTER:
		cql_put_strings(out, &request->events);
		break;
	case CQL_ERROR:
	case CQL_READY:
	case CQL_AUTHENTICATE:
	case CQL_SUPPORTED:
	case CQL_RESULT:
	case CQL_EVENT:
	case CQL_AUTH_CHALLENGE:
	case CQL_AUTH_SUCCESS:
		lab_bug("a client does not send this opcode");
	}
}

void cql_request_encode(
	struct lab_buf *out, uint8_t version, int16_t stream, const struct cql_request *request)
{
	lab_assert(cql_version_is_known(version));
	unsigned flags = version == CQL_VERSION_MAX ? CQL_FLAG_USE_BETA : 0;
	if (request->tracing)
		flags |= CQL_FLAG_TRACING;
	if (request->payload.count > 0)
		flags |= CQL_FLAG_CUSTOM_PAYLOAD;
	struct cql_header header = { .version = version,
		.flags = (uint8_t)flags,
		.stream = stream,
		.opcode = (uint8_t)request->opcode };
	size_t begin = cql_frame_begin(out, &header);
	if (request->payload.count > 0)
		cql_put_bytes_map(out, &request->payload);
	put_body(out, version, request);
	cql_frame_end(out, begin);
}

/* ---- decode ---- */

struct decoder {
	struct cql_reader r;
	uint8_t version;
	struct lab_arena *arena;
	struct lab_error *err;
};

static int read_consistency(struct decoder *d, enum cql_consistency *ret)
{
	uint16_t code = cql_read_short(&d->r);
	if (code > CQL_NODE_LOCAL)
		return lab_fail(
			d->err, LAB_CORRUPT, "Unknown code %u for a consistency level", code);
	*ret = (enum cql_consistency)code;
	return 0;
}

static void read_binds(
	struct decoder *d, bool named, struct cql_bind **ret_values, size_t *ret_count)
{
	*ret_count = cql_read_count(&d->r, named ? 6 : 4);
	*ret_values = lab_arena_array(d->arena, struct cql_bind, *ret_count);
	for (size_t i = 0; i < *ret_count; i++)
		cql_read_bind(&d->r, named, d->version >= 4, &(*ret_values)[i]);
}

/* Bits that nobody knows are ignored, as Cassandra does. */
static uint32_t read_flags(struct decoder *d)
{
	uint32_t flags = d->version >= CQL_VERSION_SEGMENTS ? (uint32_t)cql_read_int(&d->r)
							    : cql_read_byte(&d->r);
	return flags & (2 * CQL_PARAM_NOW - 1);
}

/* What ends the parameters of all requests. */
static int read_end_of_params(struct decoder *d, struct cql_params *ret)
{
	if ((ret->flags & CQL_PARAM_SERIAL) != 0 &&
		read_consistency(d, &ret->serial_consistency) < 0)
		return -1;
	if ((ret->flags & CQL_PARAM_TIMESTAMP) != 0)
		ret->timestamp_us = cql_read_long(&d->r);
	if (ret->timestamp_us == INT64_MIN) {
		return lab_fail(d->err, LAB_CORRUPT,
			"Out of bound timestamp, must be in [-%" PRId64 ", %" PRId64
			"] (got -9223372036854775808)",
			INT64_MAX, INT64_MAX);
	}
	if ((ret->flags & CQL_PARAM_KEYSPACE) != 0)
		ret->keyspace = cql_read_string(&d->r);
	if ((ret->flags & CQL_PARAM_NOW) != 0)
		ret->now_s = cql_read_int(&d->r);
	return 0;
}

static int read_params(struct decoder *d, struct cql_params *ret)
{
	if (read_consistency(d, &ret->consistency) < 0)
		return -1;
	ret->flags = read_flags(d);
	if ((ret->flags & CQL_PARAM_VALUES) != 0) {
		read_binds(d, (ret->flags & CQL_PARAM_NAMES) != 0, &ret->values, &ret->value_count);
	}
	if ((ret->flags & CQL_PARAM_PAGE_SIZE) != 0) {
		ret->page_size = cql_read_int(&d->r);
		if (ret->page_size == 0)
			return lab_fail(d->err, LAB_CORRUPT, "The page size cannot be 0");
	}
	if ((ret->flags & CQL_PARAM_PAGING_STATE) != 0)
		ret->paging_state = cql_read_bytes(&d->r);
	return read_end_of_params(d, ret);
}

static int read_batch_item(struct decoder *d, struct cql_batch_item *item)
{
	uint8_t kind = cql_read_byte(&d->r);
	if (kind > 1) {
		return lab_fail(d->err, LAB_CORRUPT,
			"Invalid query kind in BATCH messages. Must be 0 or 1 but got %u", kind);
	}
	item->prepared = kind == 1;
	item->query = item->prepared ? cql_read_short_bytes(&d->r) : cql_read_long_string(&d->r);
	read_binds(d, false, &item->values, &item->value_count);
	return 0;
}

static int read_batch(struct decoder *d, struct cql_request *ret)
{
	uint8_t type = cql_read_byte(&d->r);
	if (type > CQL_BATCH_COUNTER)
		return lab_fail(d->err, LAB_CORRUPT, "Invalid BATCH message type %u", type);
	ret->batch_type = (enum cql_batch_type)type;
	ret->batch_count = cql_read_count(&d->r, 1);
	ret->batch = lab_arena_array(d->arena, struct cql_batch_item, ret->batch_count);
	for (size_t i = 0; i < ret->batch_count; i++) {
		if (read_batch_item(d, &ret->batch[i]) < 0)
			return -1;
	}
	if (read_consistency(d, &ret->params.consistency) < 0)
		return -1;
	ret->params.flags = read_flags(d) & BATCH_FLAGS;
	return read_end_of_params(d, &ret->params);
}

static int read_events(struct decoder *d, struct cql_strings *ret)
{
	static const char *const known[] = { "TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE" };
	*ret = cql_read_strings(&d->r, d->arena);
	for (size_t i = 0; i < ret->count && d->r.error == NULL; i++) {
		size_t k = 0;
		while (k < LAB_COUNT_OF(known) && !lab_view_eq_cstr(ret->items[i], known[k]))
			k++;
		if (k == LAB_COUNT_OF(known)) {
			return lab_fail(d->err, LAB_CORRUPT, "Invalid value '%.*s' for Type",
				LAB_VIEW_ARG(ret->items[i]));
		}
	}
	return 0;
}

static void read_prepare(struct decoder *d, struct cql_request *ret)
{
	ret->query = cql_read_long_string(&d->r);
	if (d->version < CQL_VERSION_SEGMENTS || (cql_read_int(&d->r) & PREPARE_KEYSPACE) == 0)
		return;
	ret->params.flags = CQL_PARAM_KEYSPACE;
	ret->params.keyspace = cql_read_string(&d->r);
}

static int read_body(struct decoder *d, struct cql_request *ret)
{
	switch (ret->opcode) {
	case CQL_STARTUP:
		ret->options = cql_read_map(&d->r, d->arena);
		return 0;
	case CQL_OPTIONS:
		return 0;
	case CQL_AUTH_RESPONSE:
		ret->token = cql_read_bytes(&d->r);
		return 0;
	case CQL_QUERY:
		ret->query = cql_read_long_string(&d->r);
		return d->r.error != NULL ? 0 : read_params(d, &ret->params);
	case CQL_PREPARE:
		read_prepare(d, ret);
		return 0;
	case CQL_EXECUTE:
		ret->query = cql_read_short_bytes(&d->r);
		if (d->version >= CQL_VERSION_SEGMENTS)
			ret->result_id = cql_read_short_bytes(&d->r);
		return d->r.error != NULL ? 0 : read_params(d, &ret->params);
	case CQL_BATCH:
		return read_batch(d, ret);
	case CQL_REGISTER:
		return read_events(d, &ret->events);
	case CQL_ERROR:
	case CQL_READY:
	case CQL_AUTHENTICATE:
	case CQL_SUPPORTED:
	case CQL_RESULT:
	case CQL_EVENT:
	case CQL_AUTH_CHALLENGE:
	case CQL_AUTH_SUCCESS:
		break;
	}
	lab_bug("checked by check_header()");
}

int cql_request_check(const struct cql_header *header, struct lab_error *err)
{
	const char *name = cql_opcode_name(header->opcode);
	if (header->opcode == CREDENTIALS)
		return 0;
	if (name == NULL)
		return lab_fail(err, LAB_CORRUPT, "Unknown opcode %u", header->opcode);
	if (header->response) {
		return lab_fail(err, LAB_CORRUPT,
			"Wrong protocol direction (expected REQUEST, got RESPONSE) for opcode %u "
			"(%s)",
			header->opcode, name);
	}
	/* Cassandra's own words, which name the two directions the wrong way around. */
	if (!cql_opcode_is_request(header->opcode)) {
		return lab_fail(err, LAB_CORRUPT,
			"Wrong protocol direction (expected RESPONSE, got REQUEST) for opcode %u "
			"(%s)",
			header->opcode, name);
	}
	return 0;
}

static int check_header(const struct cql_header *header, struct lab_error *err)
{
	if (!cql_version_is_known(header->version)) {
		return lab_fail(err, LAB_UNSUPPORTED,
			"Invalid or unsupported protocol version (%u)", header->version);
	}
	if (cql_request_check(header, err) < 0)
		return -1;
	if (header->opcode == CREDENTIALS)
		return lab_fail(err, LAB_CORRUPT, "Unsupported message");
	if ((header->flags & CQL_FLAG_COMPRESSED) != 0)
		return lab_fail(err, LAB_UNSUPPORTED, "The body is compressed");
	if ((header->flags & CQL_FLAG_CUSTOM_PAYLOAD) != 0 && header->version < 4) {
		return lab_fail(err, LAB_CORRUPT,
			"Received frame with CUSTOM_PAYLOAD flag for native protocol version < 4");
	}
	return 0;
}

int cql_request_decode(const struct cql_frame *frame, struct lab_arena *arena,
	struct cql_request *ret, struct lab_error *err)
{
	if (check_header(&frame->header, err) < 0)
		return -1;
	struct decoder d = { .r = cql_reader_of(frame->body),
		.version = frame->header.version,
		.arena = arena,
		.err = err };
	*ret = (struct cql_request){ .opcode = (enum cql_opcode)frame->header.opcode,
		.tracing = (frame->header.flags & CQL_FLAG_TRACING) != 0 };
	if ((frame->header.flags & CQL_FLAG_CUSTOM_PAYLOAD) != 0)
		ret->payload = cql_read_bytes_map(&d.r, arena);
	int result = read_body(&d, ret);
	/* A read past the end comes first: what was judged behind it were zeros. */
	return cql_reader_check(&d.r, err) < 0 ? -1 : result;
}

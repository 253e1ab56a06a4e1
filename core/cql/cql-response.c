/* SPDX-License-Identifier: Apache-2.0
 *
 * Responses, both directions (cql-imds 1.5, 1.7, 1.9).
 */
#include "core/cql/cql-codec-private.h"

enum metadata_flag {
	GLOBAL_TABLE = 0x1,
	MORE_PAGES = 0x2,
	NO_METADATA = 0x4,
	METADATA_CHANGED = 0x8
};

/* ---- encode ---- */

/* What older clients are told instead (cql-imds 1.7). */
static uint32_t error_code_for(uint8_t version, uint32_t code)
{
	if (version < CQL_VERSION_SEGMENTS && code == CQL_E_CAS_WRITE_UNKNOWN)
		return CQL_E_WRITE_TIMEOUT;
	if (version == 4 && code == CQL_E_CDC_WRITE_FAILURE)
		return CQL_E_WRITE_FAILURE;
	if (version != 3)
		return code;
	if (code == CQL_E_READ_FAILURE)
		return CQL_E_READ_TIMEOUT;
	if (code == CQL_E_WRITE_FAILURE)
		return CQL_E_WRITE_TIMEOUT;
	if (code == CQL_E_FUNCTION_FAILURE || code == CQL_E_CDC_WRITE_FAILURE)
		return CQL_E_INVALID;
	return code;
}

/* Version 5 tells which replicas failed, and why. */
static void put_reasons(struct lab_buf *out, const struct cql_error *error)
{
	size_t count = error->reasons == NULL ? 0 : (size_t)error->failures;
	lab_buf_append_u32(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		const struct cql_inet *node = &error->reasons[i].node;
		lab_buf_append_byte(out, node->size);
		lab_buf_append(out, node->address, node->size);
		lab_buf_append_u16(out, error->reasons[i].reason);
	}
}

static void put_replicas(
	struct lab_buf *out, uint8_t version, const struct cql_error *error, bool failures)
{
	lab_buf_append_u16(out, (uint16_t)error->consistency);
	lab_buf_append_u32(out, (uint32_t)error->received);
	lab_buf_append_u32(out, (uint32_t)error->required);
	if (failures && version >= CQL_VERSION_SEGMENTS)
		put_reasons(out, error);
	else if (failures)
		lab_buf_append_u32(out, (uint32_t)error->failures);
}

static bool has_contentions(uint8_t version, const struct cql_error *error)
{
	return version >= CQL_VERSION_SEGMENTS && error->code == CQL_E_WRITE_TIMEOUT &&
	       lab_view_eq_cstr(error->write_type, "CAS");
}

static void put_error_details(struct lab_buf *out, uint8_t version, const struct cql_error *error)
{
	switch (error->code) {
	case CQL_E_UNAVAILABLE:
		lab_buf_append_u16(out, (uint16_t)error->consistency);
		lab_buf_append_u32(out, (uint32_t)error->required);
		lab_buf_append_u32(out, (uint32_t)error->received);
		break;
	case CQL_E_WRITE_TIMEOUT:
	case CQL_E_WRITE_FAILURE:
	case CQL_E_CDC_WRITE_FAILURE:
		put_replicas(out, version, error, error->code != CQL_E_WRITE_TIMEOUT);
		cql_put_string(out, error->write_type);
		if (has_contentions(version, error))
			lab_buf_append_u16(out, error->contentions);
		break;
	case CQL_E_CAS_WRITE_UNKNOWN:
		put_replicas(out, version, error, false);
		break;
	case CQL_E_READ_TIMEOUT:
	case CQL_E_READ_FAILURE:
		put_replicas(out, version, error, error->code == CQL_E_READ_FAILURE);
		lab_buf_append_byte(out, error->data_present);
		break;
	case CQL_E_FUNCTION_FAILURE:
		cql_put_string(out, error->keyspace);
		cql_put_string(out, error->table);
		cql_put_strings(out, &error->arg_types);
		break;
	case CQL_E_ALREADY_EXISTS:
		cql_put_string(out, error->keyspace);
		cql_put_string(out, error->table);
		break;
	case CQL_E_UNPREPARED:
		cql_put_short_bytes(out, error->prepared_id);
		break;
	default:
		break;
	}
}

static void put_error(struct lab_buf *out, uint8_t version, const struct cql_error *error)
{
	struct cql_error e = *error;
	e.code = error_code_for(version, error->code);
	lab_buf_append_u32(out, e.code);
	cql_put_string(out, e.message);
	if (cql_version_is_known(version))
		put_error_details(out, version, &e);
}

static bool is_one_table(const struct cql_metadata *m)
{
	for (size_t i = 1; m->columns != NULL && i < m->column_count; i++) {
		if (!lab_view_eq(m->columns[i].keyspace, m->columns[0].keyspace) ||
			!lab_view_eq(m->columns[i].table, m->columns[0].table))
			return false;
	}
	return m->column_count > 0 && m->columns != NULL;
}

static void put_columns(struct lab_buf *out, const struct cql_metadata *m, bool global)
{
	if (global) {
		cql_put_string(out, m->columns[0].keyspace);
		cql_put_string(out, m->columns[0].table);
	}
	for (size_t i = 0; i < m->column_count; i++) {
		if (!global) {
			cql_put_string(out, m->columns[i].keyspace);
			cql_put_string(out, m->columns[i].table);
		}
		cql_put_string(out, m->columns[i].name);
		cql_put_type(out, &m->columns[i].type);
	}
}

static void put_metadata(struct lab_buf *out, const struct cql_metadata *m, bool with_pk)
{
	bool global = is_one_table(m); /* said even where no columns follow */
	uint32_t flags = 0;
	flags |= global ? GLOBAL_TABLE : 0;
	flags |= m->paging_state.ptr != NULL ? MORE_PAGES : 0;
	flags |= m->no_metadata ? NO_METADATA : 0;
	flags |= m->changed_id.ptr != NULL ? METADATA_CHANGED : 0;
	lab_buf_append_u32(out, flags);
	lab_buf_append_u32(out, (uint32_t)m->column_count);
	if (with_pk) {
		lab_buf_append_u32(out, (uint32_t)m->pk_count);
		for (size_t i = 0; i < m->pk_count; i++)
			lab_buf_append_u16(out, m->pk_indexes[i]);
	}
	if (m->paging_state.ptr != NULL)
		cql_put_bytes(out, m->paging_state);
	if (m->changed_id.ptr != NULL)
		cql_put_short_bytes(out, m->changed_id);
	if (!m->no_metadata)
		put_columns(out, m, global);
}

static void put_schema_change(struct lab_buf *out, const struct cql_schema_change *schema)
{
	cql_put_string(out, schema->change);
	cql_put_string(out, schema->target);
	cql_put_string(out, schema->keyspace);
	if (lab_view_eq_cstr(schema->target, "KEYSPACE"))
		return;
	cql_put_string(out, schema->name);
	if (lab_view_eq_cstr(schema->target, "FUNCTION") ||
		lab_view_eq_cstr(schema->target, "AGGREGATE"))
		cql_put_strings(out, &schema->arg_types);
}

static void put_rows(struct lab_buf *out, const struct cql_rows *rows)
{
	put_metadata(out, &rows->metadata, false);
	lab_buf_append_u32(out, (uint32_t)rows->row_count);
	size_t cells = rows->row_count * rows->metadata.column_count;
	for (size_t i = 0; i < cells; i++)
		cql_put_bytes(out, rows->cells[i]);
}

static void put_result(struct lab_buf *out, uint8_t version, const struct cql_response *response)
{
	lab_buf_append_u32(out, response->kind);
	switch (response->kind) {
	case CQL_RESULT_VOID:
		break;
	case CQL_RESULT_ROWS:
		put_rows(out, &response->rows);
		break;
	case CQL_RESULT_SET_KEYSPACE:
		cql_put_string(out, response->keyspace);
		break;
	case CQL_RESULT_PREPARED:
		cql_put_short_bytes(out, response->prepared.id);
		if (version >= CQL_VERSION_SEGMENTS)
			cql_put_short_bytes(out, response->prepared.result_id);
		put_metadata(out, &response->prepared.binds, version >= 4);
		put_metadata(out, &response->prepared.columns, false);
		break;
	case CQL_RESULT_SCHEMA_CHANGE:
		put_schema_change(out, &response->schema);
		break;
	}
}

static void put_event(struct lab_buf *out, const struct cql_event *event)
{
	cql_put_string(out, event->type);
	if (lab_view_eq_cstr(event->type, "SCHEMA_CHANGE")) {
		put_schema_change(out, &event->schema);
		return;
	}
	cql_put_string(out, event->change);
	cql_put_inet(out, &event->node);
}

static void put_supported(struct lab_buf *out, const struct cql_multimap *supported)
{
	cql_put_count(out, supported->count);
	for (size_t i = 0; i < supported->count; i++) {
		cql_put_string(out, supported->keys[i]);
		cql_put_strings(out, &supported->values[i]);
	}
}

static void put_body(struct lab_buf *out, uint8_t version, const struct cql_response *response)
{
	switch (response->opcode) {
	case CQL_ERROR:
		put_error(out, version, &response->error);
		break;
	case CQL_READY:
		break;
	case CQL_AUTHENTICATE:
		cql_put_string(out, response->authenticator);
		break;
	case CQL_SUPPORTED:
		put_supported(out, &response->supported);
		break;
	case CQL_RESULT:
		put_result(out, version, response);
		break;
	case CQL_EVENT:
		put_event(out, &response->event);
		break;
	case CQL_AUTH_CHALLENGE:
	case CQL_AUTH_SUCCESS:
		cql_put_bytes(out, response->token);
		break;
	case CQL_STARTUP:
	case CQL_OPTIONS:
	case CQL_QUERY:
	case CQL_PREPARE:
	case CQL_EXECUTE:
	case CQL_REGISTER:
	case CQL_BATCH:
	case CQL_AUTH_RESPONSE:
		lab_bug("a server does not send this opcode");
	}
}

static uint8_t flags_of(uint8_t version, const struct cql_response *response)
{
	unsigned flags = 0;
	if (response->tracing_id.ptr != NULL)
		flags |= CQL_FLAG_TRACING;
	if (version >= 4 && response->warnings.count > 0)
		flags |= CQL_FLAG_WARNING;
	if (version >= 4 && response->payload.count > 0)
		flags |= CQL_FLAG_CUSTOM_PAYLOAD;
	/* The beta of 4.0 is version 6, and says so even when it refuses. */
	if (version == 6)
		flags |= CQL_FLAG_USE_BETA;
	return (uint8_t)flags;
}

void cql_response_encode(
	struct lab_buf *out, uint8_t version, int16_t stream, const struct cql_response *response)
{
	lab_assert(cql_version_is_known(version) || response->opcode == CQL_ERROR);
	struct cql_header header = { .version = version,
		.response = true,
		.flags = flags_of(version, response),
		.stream = stream,
		.opcode = (uint8_t)response->opcode };
	size_t begin = cql_frame_begin(out, &header);
	if ((header.flags & CQL_FLAG_TRACING) != 0) {
		lab_assert(response->tracing_id.len == CQL_UUID_BYTES);
		lab_buf_append_view(out, response->tracing_id);
	}
	if ((header.flags & CQL_FLAG_WARNING) != 0)
		cql_put_strings(out, &response->warnings);
	if ((header.flags & CQL_FLAG_CUSTOM_PAYLOAD) != 0)
		cql_put_bytes_map(out, &response->payload);
	put_body(out, version, response);
	cql_frame_end(out, begin);
}

/* ---- decode ---- */

struct decoder {
	struct cql_reader r;
	uint8_t version;
	struct lab_arena *arena;
};

static void read_reasons(struct decoder *d, struct cql_error *error)
{
	int32_t count = cql_read_int(&d->r);
	if (count < 0 || (size_t)count > d->r.rest.len / 7) {
		cql_reader_fail(&d->r, "More failures than bytes");
		return;
	}
	struct cql_failed_replica *reasons =
		lab_arena_array(d->arena, struct cql_failed_replica, (size_t)count);
	for (int32_t i = 0; i < count; i++) {
		reasons[i].node = cql_read_address(&d->r);
		reasons[i].reason = cql_read_short(&d->r);
	}
	error->failures = count;
	error->reasons = reasons;
}

static void read_replicas(struct decoder *d, struct cql_error *error, bool failures)
{
	error->consistency = (enum cql_consistency)cql_read_short(&d->r);
	error->received = cql_read_int(&d->r);
	error->required = cql_read_int(&d->r);
	if (failures && d->version >= CQL_VERSION_SEGMENTS)
		read_reasons(d, error);
	else if (failures)
		error->failures = cql_read_int(&d->r);
}

static void read_error_details(struct decoder *d, struct cql_error *error)
{
	switch (error->code) {
	case CQL_E_UNAVAILABLE:
		error->consistency = (enum cql_consistency)cql_read_short(&d->r);
		error->required = cql_read_int(&d->r);
		error->received = cql_read_int(&d->r);
		break;
	case CQL_E_WRITE_TIMEOUT:
	case CQL_E_WRITE_FAILURE:
	case CQL_E_CDC_WRITE_FAILURE:
		read_replicas(d, error, error->code != CQL_E_WRITE_TIMEOUT);
		error->write_type = cql_read_string(&d->r);
		if (has_contentions(d->version, error))
			error->contentions = cql_read_short(&d->r);
		break;
	case CQL_E_CAS_WRITE_UNKNOWN:
		read_replicas(d, error, false);
		break;
	case CQL_E_READ_TIMEOUT:
	case CQL_E_READ_FAILURE:
		read_replicas(d, error, error->code == CQL_E_READ_FAILURE);
		error->data_present = cql_read_byte(&d->r) != 0;
		break;
	case CQL_E_FUNCTION_FAILURE:
		error->keyspace = cql_read_string(&d->r);
		error->table = cql_read_string(&d->r);
		error->arg_types = cql_read_strings(&d->r, d->arena);
		break;
	case CQL_E_ALREADY_EXISTS:
		error->keyspace = cql_read_string(&d->r);
		error->table = cql_read_string(&d->r);
		break;
	case CQL_E_UNPREPARED:
		error->prepared_id = cql_read_short_bytes(&d->r);
		break;
	default:
		break;
	}
}

static void read_error(struct decoder *d, struct cql_error *error)
{
	error->code = (uint32_t)cql_read_int(&d->r);
	error->message = cql_read_string(&d->r);
	if (cql_version_is_known(d->version))
		read_error_details(d, error);
}

static void read_columns(struct decoder *d, struct cql_metadata *m, bool global)
{
	struct lab_view keyspace = { NULL, 0 };
	struct lab_view table = { NULL, 0 };
	if (global) {
		keyspace = cql_read_string(&d->r);
		table = cql_read_string(&d->r);
	}
	/* Name and type id are two bytes each at least. */
	if (m->column_count > d->r.rest.len / 4) {
		cql_reader_fail(&d->r, "More columns than bytes");
		m->column_count = 0;
	}
	m->columns = lab_arena_array(d->arena, struct cql_column, m->column_count);
	for (size_t i = 0; i < m->column_count; i++) {
		struct cql_column *column = &m->columns[i];
		column->keyspace = global ? keyspace : cql_read_string(&d->r);
		column->table = global ? table : cql_read_string(&d->r);
		column->name = cql_read_string(&d->r);
		cql_read_type(&d->r, d->arena, 0, &column->type);
	}
}

static void read_pk_indexes(struct decoder *d, struct cql_metadata *m)
{
	int32_t count = cql_read_int(&d->r);
	if (count < 0 || (size_t)count > d->r.rest.len / 2) {
		cql_reader_fail(&d->r, "More partition key columns than bytes");
		return;
	}
	m->pk_count = (size_t)count;
	m->pk_indexes = lab_arena_array(d->arena, uint16_t, m->pk_count);
	for (size_t i = 0; i < m->pk_count; i++)
		m->pk_indexes[i] = cql_read_short(&d->r);
}

static void read_metadata(struct decoder *d, struct cql_metadata *m, bool with_pk)
{
	uint32_t flags = (uint32_t)cql_read_int(&d->r);
	int32_t count = cql_read_int(&d->r);
	if (count < 0 || count > UINT16_MAX) {
		cql_reader_fail(&d->r, "Invalid number of columns");
		return;
	}
	m->column_count = (size_t)count;
	m->no_metadata = (flags & NO_METADATA) != 0;
	if (with_pk)
		read_pk_indexes(d, m);
	if ((flags & MORE_PAGES) != 0) {
		m->paging_state = cql_read_bytes(&d->r);
		if (m->paging_state.ptr == NULL)
			cql_reader_fail(&d->r, "More pages, but no paging state");
	}
	if ((flags & METADATA_CHANGED) != 0 && d->version >= CQL_VERSION_SEGMENTS)
		m->changed_id = cql_read_short_bytes(&d->r);
	if (!m->no_metadata)
		read_columns(d, m, (flags & GLOBAL_TABLE) != 0);
}

static void read_rows(struct decoder *d, struct cql_rows *rows)
{
	read_metadata(d, &rows->metadata, false);
	int32_t count = cql_read_int(&d->r);
	size_t columns = rows->metadata.column_count;
	size_t cells_max = d->r.rest.len / 4;
	if (count < 0 || (count > 0 && columns == 0) || (size_t)count * columns > cells_max) {
		cql_reader_fail(&d->r, "More rows than bytes");
		return;
	}
	size_t cells = (size_t)count * columns;
	rows->row_count = (size_t)count;
	rows->cells = lab_arena_array(d->arena, struct lab_view, cells);
	for (size_t i = 0; i < cells; i++)
		rows->cells[i] = cql_read_bytes(&d->r);
}

static void read_schema_change(struct decoder *d, struct cql_schema_change *schema)
{
	schema->change = cql_read_string(&d->r);
	schema->target = cql_read_string(&d->r);
	schema->keyspace = cql_read_string(&d->r);
	if (lab_view_eq_cstr(schema->target, "KEYSPACE"))
		return;
	schema->name = cql_read_string(&d->r);
	if (lab_view_eq_cstr(schema->target, "FUNCTION") ||
		lab_view_eq_cstr(schema->target, "AGGREGATE"))
		schema->arg_types = cql_read_strings(&d->r, d->arena);
}

static void read_result(struct decoder *d, struct cql_response *ret)
{
	ret->kind = (enum cql_result_kind)cql_read_int(&d->r);
	switch (ret->kind) {
	case CQL_RESULT_VOID:
		return;
	case CQL_RESULT_ROWS:
		read_rows(d, &ret->rows);
		return;
	case CQL_RESULT_SET_KEYSPACE:
		ret->keyspace = cql_read_string(&d->r);
		return;
	case CQL_RESULT_PREPARED:
		ret->prepared.id = cql_read_short_bytes(&d->r);
		if (d->version >= CQL_VERSION_SEGMENTS)
			ret->prepared.result_id = cql_read_short_bytes(&d->r);
		read_metadata(d, &ret->prepared.binds, d->version >= 4);
		read_metadata(d, &ret->prepared.columns, false);
		return;
	case CQL_RESULT_SCHEMA_CHANGE:
		read_schema_change(d, &ret->schema);
		return;
	}
	cql_reader_fail(&d->r, "Unknown kind of RESULT");
}

static void read_supported(struct decoder *d, struct cql_multimap *ret)
{
	ret->count = cql_read_count(&d->r, 4);
	ret->keys = lab_arena_array(d->arena, struct lab_view, ret->count);
	ret->values = lab_arena_array(d->arena, struct cql_strings, ret->count);
	for (size_t i = 0; i < ret->count; i++) {
		ret->keys[i] = cql_read_string(&d->r);
		ret->values[i] = cql_read_strings(&d->r, d->arena);
	}
}

static void read_event(struct decoder *d, struct cql_event *event)
{
	event->type = cql_read_string(&d->r);
	if (lab_view_eq_cstr(event->type, "SCHEMA_CHANGE")) {
		read_schema_change(d, &event->schema);
		return;
	}
	event->change = cql_read_string(&d->r);
	event->node = cql_read_inet(&d->r);
}

static void read_prefix(struct decoder *d, uint8_t flags, struct cql_response *ret)
{
	if ((flags & CQL_FLAG_TRACING) != 0) {
		if (d->r.rest.len < CQL_UUID_BYTES) {
			cql_reader_fail(&d->r, "Not enough bytes to read a tracing id");
			return;
		}
		ret->tracing_id = lab_view_sub(d->r.rest, 0, CQL_UUID_BYTES);
		d->r.rest = lab_view_skip(d->r.rest, CQL_UUID_BYTES);
	}
	if ((flags & CQL_FLAG_WARNING) != 0)
		ret->warnings = cql_read_strings(&d->r, d->arena);
	if ((flags & CQL_FLAG_CUSTOM_PAYLOAD) != 0)
		ret->payload = cql_read_bytes_map(&d->r, d->arena);
}

static void read_body(struct decoder *d, struct cql_response *ret)
{
	switch (ret->opcode) {
	case CQL_ERROR:
		read_error(d, &ret->error);
		return;
	case CQL_READY:
		return;
	case CQL_AUTHENTICATE:
		ret->authenticator = cql_read_string(&d->r);
		return;
	case CQL_SUPPORTED:
		read_supported(d, &ret->supported);
		return;
	case CQL_RESULT:
		read_result(d, ret);
		return;
	case CQL_EVENT:
		read_event(d, &ret->event);
		return;
	case CQL_AUTH_CHALLENGE:
	case CQL_AUTH_SUCCESS:
		ret->token = cql_read_bytes(&d->r);
		return;
	case CQL_STARTUP:
	case CQL_OPTIONS:
	case CQL_QUERY:
	case CQL_PREPARE:
	case CQL_EXECUTE:
	case CQL_REGISTER:
	case CQL_BATCH:
	case CQL_AUTH_RESPONSE:
		break;
	}
	lab_bug("checked by check_header()");
}

static int check_header(const struct cql_header *header, struct lab_error *err)
{
	const char *name = cql_opcode_name(header->opcode);
	if (!header->response || name == NULL || cql_opcode_is_request(header->opcode)) {
		return lab_fail(err, LAB_CORRUPT, "Not a response: opcode %u (%s)", header->opcode,
			name == NULL ? "unknown" : name);
	}
	if (!cql_version_is_known(header->version) && header->opcode != CQL_ERROR) {
		return lab_fail(
			err, LAB_UNSUPPORTED, "Response in protocol version %u", header->version);
	}
	if ((header->flags & CQL_FLAG_COMPRESSED) != 0)
		return lab_fail(err, LAB_UNSUPPORTED, "The body is compressed");
	return 0;
}

int cql_response_decode(const struct cql_frame *frame, struct lab_arena *arena,
	struct cql_response *ret, struct lab_error *err)
{
	if (check_header(&frame->header, err) < 0)
		return -1;
	struct decoder d = {
		.r = cql_reader_of(frame->body), .version = frame->header.version, .arena = arena
	};
	*ret = (struct cql_response){ .opcode = (enum cql_opcode)frame->header.opcode };
	read_prefix(&d, frame->header.flags, ret);
	read_body(&d, ret);
	return cql_reader_check(&d.r, err);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake.c - the order of messages: STARTUP, OPTIONS, authentication, REGISTER; dispatch.
 */
#include "sim/cql-emulator/roles.h"
#include "sim/cql-emulator/tracing.h"

#define AUTHENTICATOR "org.apache.cassandra.auth.PasswordAuthenticator"

/* ---- the protocol before CQL ---- */

static void reply(struct cqlemu *emu, struct cqle_op *op, struct cql_response *response)
{
	cqle_op_answer(emu, op, response);
	cqle_op_finish(emu, op);
}

/* "3/v3", "4/v4"...; the beta, too. */
static struct cql_strings spoken_versions(const struct cqlemu *emu, struct lab_arena *arena)
{
	const struct cqlemu_profile *p = emu->profile;
	unsigned max = p->version_max + (p->beta ? 1u : 0u);
	struct cql_strings list = { lab_arena_array(arena, struct lab_view, max), 0 };
	for (unsigned v = CQL_VERSION_MIN; v <= max; v++)
		list.items[list.count++] = lab_view_cstr(lab_arena_printf(
			arena, "%u/v%u%s", v, v, v > p->version_max ? "-beta" : ""));
	return list;
}

static struct cql_strings known_compressions(const struct cqlemu *emu, struct lab_arena *arena)
{
	struct cql_strings list = { lab_arena_array(arena, struct lab_view, CQL_SNAPPY), 0 };
	for (unsigned i = CQL_SNAPPY; i > CQL_UNCOMPRESSED; i--) { /* in Cassandra's order */
		if ((emu->profile->compressions & 1u << i) != 0)
			list.items[list.count++] =
				lab_view_cstr(cql_compression_name((enum cql_compression)i));
	}
	return list;
}

/* SUPPORTED: what all have, and what the profile adds. */
static struct cql_multimap supported(const struct cqlemu *emu, struct lab_arena *arena)
{
	const struct cqlemu_pair *more = emu->profile->supported;
	struct lab_view *cql = lab_arena_array(arena, struct lab_view, 1);
	size_t count = 0;
	while (more != NULL && more[count].key != NULL)
		count++;
	struct cql_multimap map = { lab_arena_array(arena, struct lab_view, 3 + count),
		lab_arena_array(arena, struct cql_strings, 3 + count), 3 + count };
	*cql = lab_view_cstr(emu->profile->cql_version);
	map.keys[0] = LAB_VIEW("PROTOCOL_VERSIONS");
	map.values[0] = spoken_versions(emu, arena);
	map.keys[1] = LAB_VIEW("COMPRESSION");
	map.values[1] = known_compressions(emu, arena);
	map.keys[2] = LAB_VIEW("CQL_VERSION");
	map.values[2] = (struct cql_strings){ cql, 1 };
	for (size_t i = 0; i < count; i++) {
		struct lab_view *value = lab_arena_array(arena, struct lab_view, 1);
		*value = lab_view_cstr(more[i].value);
		map.keys[3 + i] = lab_view_cstr(more[i].key);
		map.values[3 + i] = (struct cql_strings){ value, 1 };
	}
	return map;
}

static void do_options(struct cqlemu *emu, struct cqle_op *op)
{
	struct cql_response response = { .opcode = CQL_SUPPORTED,
		.supported = supported(emu, op->arena) };
	reply(emu, op, &response);
}

static struct lab_view option(const struct cql_map *options, const char *key)
{
	for (size_t i = 0; i < options->count; i++) {
		if (lab_view_eq_nocase(options->items[i].key, lab_view_cstr(key)))
			return options->items[i].value;
	}
	return lab_view_of(NULL, 0);
}

/* major.minor.patch; *ret false if the server is too new for it. */
static int read_cql_version(struct lab_view text, bool *ret)
{
	struct lab_view major, minor, rest = text;
	int64_t numbers[2];
	if (!lab_view_split(&rest, '.', &major) || !lab_view_split(&rest, '.', &minor) ||
		rest.len == 0 || lab_view_to_i64(major, &numbers[0]) < 0 ||
		lab_view_to_i64(minor, &numbers[1]) < 0)
		return -1;
	*ret = numbers[0] > 2 || (numbers[0] == 2 && numbers[1] >= 99);
	return 0;
}

/* NULL if all is well. */
static const char *check_cql_version(struct cqle_op *op, struct lab_view version)
{
	bool fits = false;
	if (version.ptr == NULL)
		return "Missing value CQL_VERSION in STARTUP message";
	if (read_cql_version(version, &fits) < 0)
		return lab_arena_printf(
			op->arena, "Invalid version value: %.*s", LAB_VIEW_ARG(version));
	if (fits)
		return NULL;
	return lab_arena_printf(op->arena,
		"CQL version %.*s is not supported by the binary protocol (supported version are "
		">= 3.0.0)",
		LAB_VIEW_ARG(version));
}

static const char *check_compression(const struct cqlemu *emu, struct cqle_op *op,
	struct lab_view name, enum cql_compression *ret)
{
	*ret = CQL_UNCOMPRESSED;
	if (name.ptr == NULL)
		return NULL;
	if (cql_compression_parse(name, ret) < 0 || (emu->profile->compressions & 1u << *ret) == 0)
		return lab_arena_printf(
			op->arena, "Unknown compression algorithm: %.*s", LAB_VIEW_ARG(name));
	if (*ret == CQL_SNAPPY && op->version >= CQL_VERSION_SEGMENTS)
		return "Snappy compression is not supported in protocol V5";
	return NULL;
}

/* In versions 3 and 4 the answer is compressed already; before segments begin it is sent as it is.
 */
static void start(struct cqlemu *emu, struct cqle_op *op, enum cql_compression compression)
{
	struct cqle_session *s = op->session;
	struct cql_response response = { .opcode = CQL_READY };
	bool segmented = op->version >= CQL_VERSION_SEGMENTS;
	s->state = CQLE_SESSION_READY;
	if (!segmented)
		s->compression = compression;
	if (emu->auth != NULL) {
		s->state = CQLE_SESSION_AUTH;
		response.opcode = CQL_AUTHENTICATE;
		response.authenticator = LAB_VIEW(AUTHENTICATOR);
	}
	reply(emu, op, &response);
	s->segmented = segmented;
	s->compression = compression;
}

static void do_startup(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	enum cql_compression compression = CQL_UNCOMPRESSED;
	const char *refusal = check_cql_version(op, option(&request->options, "CQL_VERSION"));
	op->session->version = op->version; /* whatever comes of it */
	if (refusal == NULL)
		refusal = check_compression(
			emu, op, option(&request->options, "COMPRESSION"), &compression);
	if (refusal == NULL) {
		start(emu, op, compression);
		return;
	}
	op->stream = 0;
	cqle_op_refuse(emu, op, CQL_E_PROTOCOL, refusal);
}

/* What is behind the last NUL of the rest; ptr NULL if there is none. */
static struct lab_view last_part(struct lab_view *rest)
{
	for (size_t i = rest->len; i > 0; i--) {
		if (rest->ptr[i - 1] != 0)
			continue;
		struct lab_view part = lab_view_skip(*rest, i);
		rest->len = i - 1;
		return part;
	}
	return lab_view_of(NULL, 0);
}

/* [authorization id]\0user\0password, read from its end. */
static void do_auth(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	struct lab_view rest = request->token;
	struct lab_view password = last_part(&rest), user = last_part(&rest);
	struct cql_response response = { .opcode = CQL_AUTH_SUCCESS };
	struct lab_error err;
	if (lab_view_find_byte(rest, 0) != SIZE_MAX) {
		cqle_op_refuse(emu, op, CQL_E_BAD_CREDENTIALS,
			"Credential format error: username or password is empty or contains "
			"NUL(\\0) character");
		return;
	}
	if (password.len == 0 || user.len == 0) {
		cqle_op_refuse(emu, op, CQL_E_BAD_CREDENTIALS,
			password.len == 0 ? "Password must not be null"
					  : "Authentication ID must not be null");
		return;
	}
	if (cqle_login(emu, user, password, &op->session->role, &err) < 0) {
		cqle_op_fail(emu, op, &err);
		return;
	}
	op->session->state = CQLE_SESSION_READY;
	reply(emu, op, &response);
}

static void do_register(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	static const char *const names[] = { "TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE" };
	struct cql_response response = { .opcode = CQL_READY };
	for (size_t i = 0; i < request->events.count; i++) {
		for (unsigned k = 0; k < LAB_COUNT_OF(names); k++) {
			if (lab_view_eq_cstr(request->events.items[i], names[k]))
				op->session->events |= 1u << k;
		}
	}
	reply(emu, op, &response);
}

/* ---- dispatch ---- */

static const char *unexpected(struct cqle_op *op, uint8_t opcode, const char *what)
{
	const char *name = cql_opcode_name(opcode);
	return lab_arena_printf(
		op->arena, "Unexpected message %s, %s", name == NULL ? "CREDENTIALS" : name, what);
}

/* Is this message allowed now? False if it was answered. */
static bool in_order(struct cqlemu *emu, struct cqle_op *op, uint8_t opcode)
{
	switch (op->session->state) {
	case CQLE_SESSION_NEW:
		if (opcode == CQL_STARTUP || opcode == CQL_OPTIONS)
			return true;
		if (op->session->version == 0)
			op->stream = 0;
		cqle_op_refuse(emu, op, CQL_E_PROTOCOL,
			unexpected(op, opcode, "expecting STARTUP or OPTIONS"));
		return false;
	case CQLE_SESSION_AUTH:
		if (opcode == CQL_AUTH_RESPONSE)
			return true;
		cqle_op_refuse(
			emu, op, CQL_E_PROTOCOL, unexpected(op, opcode, "expecting SASL_RESPONSE"));
		return false;
	case CQLE_SESSION_READY:
		if (opcode != CQL_STARTUP && opcode != CQL_AUTH_RESPONSE)
			return true;
		cqle_op_refuse(emu, op, CQL_E_PROTOCOL,
			unexpected(op, opcode, "the connection is already initialized"));
		return false;
	}
	return true;
}

/* A keyspace that the request names must be there. False if it was answered. */
static bool keyspace_exists(struct cqlemu *emu, struct cqle_op *op, const struct cql_params *params)
{
	if ((params->flags & CQL_PARAM_KEYSPACE) == 0 ||
		cqle_keyspace_find(emu, params->keyspace) != NULL)
		return true;
	cqle_op_refuse(emu, op, CQL_E_INVALID,
		lab_arena_printf(op->arena, "Keyspace '%.*s' does not exist",
			LAB_VIEW_ARG(params->keyspace)));
	return false;
}

static void dispatch(struct cqlemu *emu, struct cqle_op *op, const struct cql_request *request)
{
	op->tracing = request->tracing;
	op->params = request->params;
	op->consistency = request->params.consistency;
	emu->viewer = op->node; /* names are those that this node knows */
	if (op->tracing)
		cqle_trace_begin(emu, op, request);
	switch (request->opcode) {
	case CQL_STARTUP:
		do_startup(emu, op, request);
		break;
	case CQL_OPTIONS:
		do_options(emu, op);
		break;
	case CQL_AUTH_RESPONSE:
		do_auth(emu, op, request);
		break;
	case CQL_REGISTER:
		do_register(emu, op, request);
		break;
	case CQL_QUERY:
		cqle_do_query(emu, op, request);
		break;
	case CQL_PREPARE:
		cqle_do_prepare(emu, op, request);
		break;
	case CQL_EXECUTE:
		cqle_do_execute(emu, op, request);
		break;
	case CQL_BATCH:
		cqle_do_batch(emu, op, request);
		break;
	case CQL_ERROR:
	case CQL_READY:
	case CQL_AUTHENTICATE:
	case CQL_SUPPORTED:
	case CQL_RESULT:
	case CQL_EVENT:
	case CQL_AUTH_CHALLENGE:
	case CQL_AUTH_SUCCESS:
		lab_bug("the decoder lets no responses through");
	}
	emu->viewer = SIZE_MAX;
}

static void count_request(struct cqle_node *node, enum cql_opcode opcode)
{
	node->requests++;
	if (opcode == CQL_QUERY || opcode == CQL_EXECUTE || opcode == CQL_BATCH)
		node->statements++;
}

/* A body that cannot be taken apart is answered without its stream id. */
static int plain_frame(struct cqlemu *emu, struct cqle_op *op, const struct cql_frame *frame,
	struct cql_frame *ret)
{
	enum cql_compression compression = op->session->compression;
	struct lab_error err;
	*ret = *frame;
	ret->header.flags &= (uint8_t)~CQL_FLAG_COMPRESSED;
	ret->body = lab_arena_copy(op->arena, frame->body);
	if (op->session->segmented || compression == CQL_UNCOMPRESSED ||
		(frame->header.flags & CQL_FLAG_COMPRESSED) == 0)
		return 0;
	if (cql_frame_decompress(
		    frame, compression, emu->options.frame_bytes_max, op->arena, ret, &err) == 0)
		return 0;
	if (err.code != LAB_LIMIT)
		op->stream = 0;
	cqle_op_refuse(emu, op,
		err.code == LAB_LIMIT       ? CQL_E_INVALID
		: compression == CQL_SNAPPY ? CQL_E_PROTOCOL
					    : CQL_E_SERVER_ERROR,
		err.message);
	return -1;
}

static void handle(struct cqlemu *emu, struct cqle_op *op, const struct cql_frame *frame)
{
	struct cql_request request;
	struct cql_frame plain;
	struct lab_error err;
	if (plain_frame(emu, op, frame, &plain) < 0 || !in_order(emu, op, frame->header.opcode))
		return;
	if (cql_request_decode(&plain, op->arena, &request, &err) < 0) {
		if (op->session->version == 0)
			op->stream = 0;
		cqle_op_refuse(emu, op, CQL_E_PROTOCOL, err.message);
		return;
	}
	if (keyspace_exists(emu, op, &request.params))
		dispatch(emu, op, &request);
}

void cqle_handle_frame(struct cqlemu *emu, struct cqle_session *s, const struct cql_frame *frame)
{
	struct cqle_op *op = cqle_op_new(emu, s, s->node);
	cqle_op_hold(op);
	op->stream = frame->header.stream;
	op->version = frame->header.version;
	emu->counters.requests++;
	count_request(&emu->nodes[s->node], frame->header.opcode);
	if (s->inflight > emu->options.inflight_max) {
		struct cql_error error = { .code = CQL_E_OVERLOADED };
		cqle_op_answer_error(emu, op, &error);
		cqle_op_finish(emu, op);
	} else {
		handle(emu, op, frame);
	}
	cqle_op_release(emu, op);
}

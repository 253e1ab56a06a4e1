/* SPDX-License-Identifier: Apache-2.0
 *
 * The codec against bytes that a genuine Cassandra 4.0.14 and a genuine C++ driver sent (golden
 * transcripts), and against itself.
 */
#include "core/cql/cql-codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct fixture {
	struct lab_pool *pool;
	struct lab_heap *heap;
	struct lab_arena *arena;
	struct lab_buf out;
};

static int set_up(void **state)
{
	static struct fixture f;
	f.pool = lab_pool_new(64u << 20);
	f.heap = lab_heap_new(f.pool, 32u << 20);
	f.arena = lab_arena_new(f.heap, 16u << 20);
	lab_buf_init(&f.out, f.heap, 1u << 20);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	lab_buf_done(&f->out);
	lab_arena_free(&f->arena);
	lab_heap_drop(&f->heap);
	lab_pool_free(&f->pool);
	return 0;
}

static struct lab_view unhex(struct fixture *f, const char *hex)
{
	size_t size = strlen(hex) / 2;
	uint8_t *p = lab_arena_alloc(f->arena, size + 1);
	assert_int_equal(lab_unhex(lab_view_cstr(hex), p, size), 0);
	return lab_view_of(p, size);
}

static void assert_hex(struct fixture *f, struct lab_view bytes, const char *hex)
{
	char *text = lab_arena_alloc(f->arena, 2 * bytes.len + 1);
	lab_hex(bytes.ptr, bytes.len, text);
	assert_string_equal(text, hex);
}

static void assert_view(struct lab_view v, const char *text)
{
	assert_int_equal(v.len, strlen(text));
	assert_memory_equal(v.ptr, text, v.len);
}

/* The frame of a header and a body given in hex. */
static struct cql_frame frame_of(struct fixture *f, uint8_t version, bool response, uint8_t flags,
	uint8_t opcode, const char *hex)
{
	struct lab_view body = unhex(f, hex);
	return (struct cql_frame){ .header = { .version = version,
					   .response = response,
					   .flags = flags,
					   .stream = 1,
					   .opcode = opcode,
					   .length = (uint32_t)body.len },
		.body = body };
}

static struct cql_request request_of(struct fixture *f, uint8_t opcode, const char *hex)
{
	struct cql_frame frame = frame_of(f, 4, false, 0, opcode, hex);
	struct cql_request request;
	struct lab_error err;
	if (cql_request_decode(&frame, f->arena, &request, &err) < 0)
		fail_msg("%s", err.message);
	return request;
}

static struct cql_response response_of(
	struct fixture *f, uint8_t flags, uint8_t opcode, const char *hex)
{
	struct cql_frame frame = frame_of(f, 4, true, flags, opcode, hex);
	struct cql_response response;
	struct lab_error err;
	if (cql_response_decode(&frame, f->arena, &response, &err) < 0)
		fail_msg("%s", err.message);
	return response;
}

/* Encoding gives exactly the golden body again. */
static void assert_response_encodes(
	struct fixture *f, const struct cql_response *response, const char *hex)
{
	struct cql_frame frame;
	size_t used;
	lab_buf_reset(&f->out);
	cql_response_encode(&f->out, 4, 1, response);
	assert_int_equal(cql_frame_next(lab_buf_view(&f->out), 1u << 20, &frame, &used, NULL), 1);
	assert_int_equal(used, f->out.len);
	assert_true(frame.header.response);
	assert_int_equal(frame.header.opcode, response->opcode);
	assert_hex(f, frame.body, hex);
}

static void assert_request_encodes(
	struct fixture *f, const struct cql_request *request, const char *hex)
{
	struct cql_frame frame;
	size_t used;
	lab_buf_reset(&f->out);
	cql_request_encode(&f->out, 4, 7, request);
	assert_int_equal(cql_frame_next(lab_buf_view(&f->out), 1u << 20, &frame, &used, NULL), 1);
	assert_false(frame.header.response);
	assert_int_equal(frame.header.stream, 7);
	assert_hex(f, frame.body, hex);
}

/* ---- frames ---- */

static void frames_are_found_however_the_bytes_arrive(void **state)
{
	struct fixture *f = *state;
	struct cql_request request = { .opcode = CQL_QUERY,
		.query = LAB_VIEW("SELECT 1"),
		.params = { .consistency = CQL_LOCAL_QUORUM } };
	struct cql_frame frame;
	size_t used;
	cql_request_encode(&f->out, 4, 300, &request);
	struct lab_view whole = lab_buf_view(&f->out);

	for (size_t n = 0; n < whole.len; n++) {
		assert_int_equal(
			cql_frame_next(lab_view_sub(whole, 0, n), 1000, &frame, &used, NULL), 0);
	}
	assert_int_equal(cql_frame_next(whole, 1000, &frame, &used, NULL), 1);

	assert_int_equal(used, whole.len);
	assert_int_equal(frame.header.stream, 300);
	assert_int_equal(frame.header.version, 4);
	assert_int_equal(frame.body.len, whole.len - CQL_HEADER_BYTES);
}

static void two_frames_in_one_read_are_taken_one_by_one(void **state)
{
	struct fixture *f = *state;
	struct cql_request options = { .opcode = CQL_OPTIONS };
	struct cql_frame frame;
	size_t used;
	cql_request_encode(&f->out, 4, 1, &options);
	cql_request_encode(&f->out, 4, 2, &options);
	struct lab_view rest = lab_buf_view(&f->out);

	assert_int_equal(cql_frame_next(rest, 0, &frame, &used, NULL), 1);
	assert_int_equal(frame.header.stream, 1);
	rest = lab_view_skip(rest, used);
	assert_int_equal(cql_frame_next(rest, 0, &frame, &used, NULL), 1);
	assert_int_equal(frame.header.stream, 2);
	rest = lab_view_skip(rest, used);
	assert_int_equal(cql_frame_next(rest, 0, &frame, &used, NULL), 0);
}

static void too_long_a_frame_is_refused_from_its_header(void **state)
{
	struct fixture *f = *state;
	struct lab_error err;
	struct cql_frame frame;
	size_t used;
	struct lab_view header = unhex(f, "0400000107"
					  "7fffffff");

	assert_int_equal(cql_frame_next(header, CQL_FRAME_MAX_BYTES, &frame, &used, &err), -1);

	assert_int_equal(err.code, LAB_LIMIT);
	assert_string_equal(err.message,
		"Request is too big: length 2147483656 exceeds maximum allowed length 268435456.");
}

static void odd_version_bytes_decode_so_that_they_can_be_answered(void **state)
{
	static const struct {
		const char *hex;
		uint8_t version;
		bool response;
		int16_t stream;
		uint8_t opcode;
		size_t bytes;
	} rows[] = {
		{ "420000000500000000", 0x42, false, 0, CQL_OPTIONS, 9 },
		{ "410000400500000000", 0x41, false, 64, CQL_OPTIONS, 9 },
		{ "050000010500000000", 5, false, 1, CQL_OPTIONS, 9 },
		{ "01000705"
		  "00000000",
			1, false, 7, CQL_OPTIONS, 8 },
		{ "0200fe01"
		  "00000000",
			2, false, -2, CQL_STARTUP, 8 },
		{ "474554202f20485454", 'G', false, 0x5420, 0x2f, 9 },
		{ "840000010500000000", 4, true, 1, CQL_OPTIONS, 9 },
		{ "0400fffb0700000000", 4, false, -5, CQL_QUERY, 9 },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct cql_header header;
		size_t bytes = 0;
		struct lab_view input = unhex(f, rows[i].hex);
		assert_int_equal(cql_header_decode(lab_view_sub(input, 0, rows[i].bytes - 1),
					 &header, &bytes),
			0);
		assert_int_equal(cql_header_decode(input, &header, &bytes), 1);
		assert_int_equal(bytes, rows[i].bytes);
		assert_int_equal(header.version, rows[i].version);
		assert_int_equal(header.response, rows[i].response);
		assert_int_equal(header.stream, rows[i].stream);
		assert_int_equal(header.opcode, rows[i].opcode);
	}
}

static void version_errors_are_sent_in_the_layout_of_their_version(void **state)
{
	static const struct {
		uint8_t version;
		const char *message;
		const char *begin;
	} rows[] = {
		{ 1,
			"Invalid or unsupported protocol version (1); supported versions are "
			"(3/v3, 4/v4, 5/v5, 6/v6-beta)",
			"81000000000000670000000a0061496e76616c6964" },
		{ 5,
			"Invalid or unsupported protocol version (66); supported versions are "
			"(3/v3, 4/v4, 5/v5, 6/v6-beta)",
			"8500000000000000680000000a0062496e76616c6964" },
		{ 6, "Beta version of the protocol used (6/v6-beta), but USE_BETA flag is unset",
			"86100000000000004f0000000a004942657461" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct cql_response response = { .opcode = CQL_ERROR,
			.error = { .code = CQL_E_PROTOCOL,
				.message = lab_view_cstr(rows[i].message) } };
		struct cql_frame frame;
		size_t used;
		lab_buf_reset(&f->out);
		cql_response_encode(&f->out, rows[i].version, 0, &response);
		assert_hex(f, lab_view_sub(lab_buf_view(&f->out), 0, strlen(rows[i].begin) / 2),
			rows[i].begin);

		assert_int_equal(
			cql_frame_next(lab_buf_view(&f->out), 1000, &frame, &used, NULL), 1);
		struct cql_response decoded;
		assert_int_equal(cql_response_decode(&frame, f->arena, &decoded, NULL), 0);
		assert_int_equal(decoded.error.code, CQL_E_PROTOCOL);
		assert_view(decoded.error.message, rows[i].message);
	}
}

/* ---- golden bodies ---- */

static void the_drivers_execute_decodes(void **state)
{
	struct fixture *f = *state;
	static const char hex[] = "00104e26b52c8d141df2918d73be57e9a527"
				  "00062700020000000175000000010200000001000660cccebb246c";
	struct cql_request request = request_of(f, CQL_EXECUTE, hex);

	assert_hex(f, request.query, "4e26b52c8d141df2918d73be57e9a527");
	assert_int_equal(request.params.consistency, CQL_LOCAL_QUORUM);
	assert_int_equal(request.params.flags, CQL_PARAM_VALUES | CQL_PARAM_SKIP_METADATA |
						       CQL_PARAM_PAGE_SIZE | CQL_PARAM_TIMESTAMP);
	assert_int_equal(request.params.value_count, 2);
	assert_view(request.params.values[0].bytes, "u");
	assert_hex(f, request.params.values[1].bytes, "02");
	assert_int_equal(request.params.page_size, 1);
	assert_true(request.params.timestamp_us == 0x000660cccebb246c);
	assert_request_encodes(f, &request, hex);
}

static void prepared_metadata_decodes(void **state)
{
	static const char hex[] =
		"000000040010b902ec1b3e6b0b4d13e77abe9e80fff0000000010000000200000001000000017a0001"
		"74"
		"00017000090001630009000000010000000200017a0001740001630009000176000d";
	struct fixture *f = *state;
	struct cql_response response = response_of(f, 0, CQL_RESULT, hex);
	const struct cql_prepared *p = &response.prepared;

	assert_int_equal(response.kind, CQL_RESULT_PREPARED);
	assert_hex(f, p->id, "b902ec1b3e6b0b4d13e77abe9e80fff0");
	assert_int_equal(p->binds.column_count, 2);
	assert_int_equal(p->binds.pk_count, 1);
	assert_int_equal(p->binds.pk_indexes[0], 0);
	assert_view(p->binds.columns[0].name, "p");
	assert_view(p->binds.columns[1].keyspace, "z");
	assert_view(p->binds.columns[1].table, "t");
	assert_int_equal(p->binds.columns[1].type.id, CQL_TYPE_INT);
	assert_int_equal(p->columns.column_count, 2);
	assert_view(p->columns.columns[1].name, "v");
	assert_int_equal(p->columns.columns[1].type.id, CQL_TYPE_TEXT);
	assert_response_encodes(f, &response, hex);
}

/* Bodies that are decoded and encoded again byte for byte. */
static const struct {
	uint8_t opcode;
	uint8_t flags;
	const char *hex;
} golden_responses[] = {
	/* SUPPORTED */
	{ CQL_SUPPORTED, 0,
		"0003001150524f544f434f4c5f56455253494f4e5300040004332f76330004342f76340004"
		"352f7635"
		"0009362f76362d62657461000b434f4d5052455353494f4e00020006736e6170707900036c"
		"7a34000b"
		"43514c5f56455253494f4e00010005332e342e35" },
	{ CQL_AUTHENTICATE, 0,
		"002f6f72672e6170616368652e63617373616e6472612e617574682e50617373776f726441"
		"75746865"
		"6e74696361746f72" },
	{ CQL_AUTH_SUCCESS, 0, "ffffffff" },
	{ CQL_READY, 0, "" },
	/* Void */
	{ CQL_RESULT, 0, "00000001" },
	/* SELECT key FROM system.local */
	{ CQL_RESULT, 0,
		"000000020000000100000001000673797374656d00056c6f63616c00036b6579000d000000"
		"01000000"
		"056c6f63616c" },
	/* the same, traced */
	{ CQL_RESULT, CQL_FLAG_TRACING,
		"3d4876f0e5d511f1aac21fd62b036cc5"
		"000000020000000100000001000673797374656d00056c6f63616c00036b6579000d000000"
		"01000000"
		"056c6f63616c" },
	/* key text, tokens set<text> */
	{ CQL_RESULT, 0,
		"000000020000000100000002000673797374656d00056c6f63616c00036b6579000d000674"
		"6f6b656e"
		"730022000d00000001000000056c6f63616c0000000400000000" },
	/* no rows */
	{ CQL_RESULT, 0, "00000002000000010000000100026b33000174000169000d00000000" },
	/* INSERT with TTL, prepared: nothing comes back */
	{ CQL_RESULT, 0,
		"0000000400103267484e94565f691820a4f13cc1b8e8000000010000000500000001000000"
		"017a0001"
		"7400017000090001630009000176000d000b5b74696d657374616d705d000200055b74746c"
		"5d000900"
		"00000400000000" },
	/* p IN ? */
	{ CQL_RESULT, 0,
		"00000004001056a9b00c47fcc7d42fd4fbb6d8df593700000001000000020000000000017a"
		"00017400"
		"05696e2870290020000900075b6c696d69745d0009000000010000000300017a0001740001"
		"70000900"
		"01630009000176000d" },
	/* DDL, prepared */
	{ CQL_RESULT, 0,
		"000000040010897142e96fe9d7305bccacc6083180d4000000000000000000000000000000"
		"04000000"
		"00" },
	/* CREATED TABLE s.t; CREATED KEYSPACE s */
	{ CQL_RESULT, 0,
		"00000005000743524541544544000554414"
		"24c4500017300"
		"0174" },
	{ CQL_RESULT, 0, "0000000500074352454154454400084b45595350414345000173" },
	{ CQL_EVENT, 0,
		"000d534348454d415f4348414e4745000743524541544544000554"
		"41424c4500026b7300026370" },
	/* STATUS_CHANGE DOWN 127.0.0.5:9042 */
	{ CQL_EVENT, 0, "000d5354415455535f4348414e47450004444f574e047f00000500002352" },
	/* LWT: [applied] and the existing row */
	{ CQL_RESULT, 0,
		"00000002000000010000000400026b3300017400095b6170706c6965645d0004000175000d"
		"00016e00"
		"0d000169000d00000001000000010000000001610000000162000000"
		"0163" },
};

static void golden_responses_survive_the_round_trip(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < LAB_COUNT_OF(golden_responses); i++) {
		struct cql_response response = response_of(f, golden_responses[i].flags,
			golden_responses[i].opcode, golden_responses[i].hex);
		assert_response_encodes(f, &response, golden_responses[i].hex);
	}
}

static void every_error_body_decodes(void **state)
{
	struct fixture *f = *state;
	/* message "x" each */
	struct cql_response r = response_of(f, 0, CQL_ERROR,
		"00001000000178"
		"00070000000200000000");
	assert_int_equal(r.error.code, CQL_E_UNAVAILABLE);
	assert_int_equal(r.error.consistency, CQL_EACH_QUORUM);
	assert_int_equal(r.error.required, 2);
	assert_int_equal(r.error.received, 0);

	r = response_of(f, 0, CQL_ERROR,
		"00001100000178"
		"00070000000300000004000653494d504c45");
	assert_int_equal(r.error.code, CQL_E_WRITE_TIMEOUT);
	assert_int_equal(r.error.received, 3);
	assert_int_equal(r.error.required, 4);
	assert_view(r.error.write_type, "SIMPLE");

	r = response_of(f, 0, CQL_ERROR,
		"00001200000178"
		"0006000000010000000201");
	assert_int_equal(r.error.code, CQL_E_READ_TIMEOUT);
	assert_int_equal(r.error.received, 1);
	assert_true(r.error.data_present);

	r = response_of(f, 0, CQL_ERROR,
		"00001300000178"
		"000100000000000000010000000100");
	assert_int_equal(r.error.code, CQL_E_READ_FAILURE);
	assert_int_equal(r.error.failures, 1);
	assert_false(r.error.data_present);

	r = response_of(f, 0, CQL_ERROR,
		"00001500000178"
		"0007000000030000000400000003"
		"0007434f554e544552");
	assert_int_equal(r.error.code, CQL_E_WRITE_FAILURE);
	assert_int_equal(r.error.failures, 3);
	assert_view(r.error.write_type, "COUNTER");

	r = response_of(f, 0, CQL_ERROR,
		"00001400000178"
		"00016b"
		"000166"
		"00020003696e740004746578"
		"74");
	assert_view(r.error.keyspace, "k");
	assert_view(r.error.table, "f");
	assert_int_equal(r.error.arg_types.count, 2);
	assert_view(r.error.arg_types.items[1], "text");

	r = response_of(f, 0, CQL_ERROR,
		"00002400000178"
		"0001730000");
	assert_view(r.error.keyspace, "s");
	assert_view(r.error.table, "");

	r = response_of(f, 0, CQL_ERROR,
		"00002500000178"
		"001078787878787878787878787878787878");
	assert_int_equal(r.error.prepared_id.len, 16);

	r = response_of(f, 0, CQL_ERROR, "00002200000178");
	assert_view(r.error.message, "x");

	r = response_of(f, 0, CQL_ERROR, "0000beef000178");
	assert_int_equal(r.error.code, 0xbeef);
}

static void error_bodies_survive_the_round_trip(void **state)
{
	static const char *const rows[] = {
		"00000000000178",
		"0000000a000178",
		"00000100000178",
		"0000100000017800070000000200000000",
		"00001001000178",
		"00001002000178",
		"00001003000178",
		"0000110000017800070000000300000004000653494d504c45",
		"000012000001780006000000010000000201",
		"00001300000178000100000000000000010000000100",
		"0000140000017800016b00016600010003696e74",
		"0000150000017800070000000300000004000000030007434f554e544552",
		"00002000000178",
		"00002100000178",
		"00002200000178",
		"00002300000178",
		"00002400000178000173000174",
		"00002500000178000401020304",
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct cql_response r = response_of(f, 0, CQL_ERROR, rows[i]);
		assert_response_encodes(f, &r, rows[i]);
	}
}

static void warnings_come_before_the_message(void **state)
{
	struct fixture *f = *state;
	/* "Read 0 live rows..." with a READ_FAILURE behind it, as Cassandra sends it. */
	struct cql_response sent = { .opcode = CQL_ERROR,
		.warnings = { .items = (struct lab_view[]){ LAB_VIEW("Read 0 live rows") },
			.count = 1 },
		.payload = { .items = (struct cql_pair[]){ { LAB_VIEW("k"), LAB_VIEW("v") } },
			.count = 1 },
		.error = { .code = CQL_E_READ_FAILURE,
			.message = LAB_VIEW("Operation failed"),
			.required = 1,
			.failures = 1 } };
	struct cql_frame frame;
	struct cql_response got;
	size_t used;

	cql_response_encode(&f->out, 4, 1, &sent);
	assert_int_equal(cql_frame_next(lab_buf_view(&f->out), 1000, &frame, &used, NULL), 1);
	assert_int_equal(frame.header.flags, CQL_FLAG_WARNING | CQL_FLAG_CUSTOM_PAYLOAD);
	assert_int_equal(cql_response_decode(&frame, f->arena, &got, NULL), 0);

	assert_int_equal(got.warnings.count, 1);
	assert_view(got.warnings.items[0], "Read 0 live rows");
	assert_view(cql_map_get(&got.payload, "k"), "v");
	assert_null(cql_map_get(&got.payload, "nope").ptr);
	assert_int_equal(got.error.code, CQL_E_READ_FAILURE);
	assert_int_equal(got.error.failures, 1);
}

static void version_3_hears_of_failures_as_timeouts(void **state)
{
	static const struct {
		uint32_t sent, got;
	} rows[] = { { CQL_E_READ_FAILURE, CQL_E_READ_TIMEOUT },
		{ CQL_E_WRITE_FAILURE, CQL_E_WRITE_TIMEOUT },
		{ CQL_E_FUNCTION_FAILURE, CQL_E_INVALID }, { CQL_E_INVALID, CQL_E_INVALID } };
	struct fixture *f = *state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct cql_response sent = { .opcode = CQL_ERROR,
			.warnings = { .items = (struct lab_view[]){ LAB_VIEW("w") }, .count = 1 },
			.error = { .code = rows[i].sent,
				.message = LAB_VIEW("m"),
				.write_type = LAB_VIEW("SIMPLE") } };
		struct cql_frame frame;
		struct cql_response got;
		size_t used;
		lab_buf_reset(&f->out);
		cql_response_encode(&f->out, 3, 1, &sent);
		assert_int_equal(
			cql_frame_next(lab_buf_view(&f->out), 1000, &frame, &used, NULL), 1);
		assert_int_equal(frame.header.flags, 0);
		assert_int_equal(cql_response_decode(&frame, f->arena, &got, NULL), 0);
		assert_int_equal(got.error.code, rows[i].got);
	}
}

static void version_3_has_no_partition_key_indexes(void **state)
{
	struct fixture *f = *state;
	struct cql_column column = { .keyspace = LAB_VIEW("k"),
		.table = LAB_VIEW("t"),
		.name = LAB_VIEW("u"),
		.type = { .id = CQL_TYPE_TEXT } };
	uint16_t pk = 0;
	struct cql_response sent = { .opcode = CQL_RESULT,
		.kind = CQL_RESULT_PREPARED,
		.prepared = { .id = LAB_VIEW("id"),
			.binds = { .columns = &column,
				.column_count = 1,
				.pk_indexes = &pk,
				.pk_count = 1 },
			.columns = { .no_metadata = true } } };
	struct cql_response got;
	struct cql_frame frame;
	size_t used;
	cql_response_encode(&f->out, 3, 1, &sent);
	assert_int_equal(cql_frame_next(lab_buf_view(&f->out), 1000, &frame, &used, NULL), 1);

	assert_int_equal(cql_response_decode(&frame, f->arena, &got, NULL), 0);

	assert_int_equal(got.prepared.binds.pk_count, 0);
	assert_view(got.prepared.binds.columns[0].name, "u");
}

/* ---- requests ---- */

static void every_request_survives_the_round_trip(void **state)
{
	static const struct {
		uint8_t opcode;
		const char *hex;
	} rows[] = {
		{ CQL_OPTIONS, "" },
		{ CQL_STARTUP, "0001000b43514c5f56455253494f4e0005332e302e30" },
		{ CQL_AUTH_RESPONSE, "000000140063617373616e6472610063617373616e647261" },
		{ CQL_AUTH_RESPONSE, "ffffffff" },
		{ CQL_PREPARE, "0000000853454c4543542031" },
		/* LOCAL_ONE, no flags; then with a serial consistency, paging state and a timestamp
		 */
		{ CQL_QUERY, "0000000853454c4543542031"
			     "000a00" },
		{ CQL_QUERY, "0000000853454c4543542031"
			     "0006"
			     "3c"
			     "00000064"
			     "00000002aabb"
			     "0009"
			     "000000000000000a" },
		/* named values: text, null, unset */
		{ CQL_QUERY, "0000000853454c4543542031"
			     "0001"
			     "41"
			     "0003"
			     "0001610000000178"
			     "000162ffffffff"
			     "000163fffffffe" },
		{ CQL_EXECUTE, "0002abcd"
			       "0006"
			       "23"
			       "0001"
			       "00000000"
			       "fffffffffffffffb" },
		{ CQL_BATCH, "01"
			     "0002"
			     "00"
			     "0000000153"
			     "0001"
			     "0000000178"
			     "01"
			     "0002abcd"
			     "0000"
			     "0006"
			     "30"
			     "0008"
			     "0000000000000001" },
		{ CQL_REGISTER, "0003000f544f504f4c4f47595f4348414e4745000d5354415455535f4348414e47"
				"45000d534348454d415f4348414e4745" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct cql_request request = request_of(f, rows[i].opcode, rows[i].hex);
		assert_request_encodes(f, &request, rows[i].hex);
	}
}

static void null_and_unset_are_told_apart(void **state)
{
	struct fixture *f = *state;
	static const char hex[] = "0002abcd"
				  "0006"
				  "01"
				  "0003"
				  "00000000"
				  "ffffffff"
				  "fffffffe";
	struct cql_request request = request_of(f, CQL_EXECUTE, hex);
	assert_int_equal(request.params.values[0].kind, CQL_VALUE_BYTES);
	assert_int_equal(request.params.values[0].bytes.len, 0);
	assert_int_equal(request.params.values[1].kind, CQL_VALUE_NULL);
	assert_int_equal(request.params.values[2].kind, CQL_VALUE_UNSET);

	/* In version 3 there is no unset. */
	struct cql_frame frame = frame_of(f, 3, false, 0, CQL_EXECUTE, hex);
	assert_int_equal(cql_request_decode(&frame, f->arena, &request, NULL), 0);
	assert_int_equal(request.params.values[2].kind, CQL_VALUE_NULL);
}

static void broken_requests_are_refused_in_cassandras_words(void **state)
{
	static const struct {
		uint8_t opcode;
		bool response;
		const char *hex;
		const char *message;
	} rows[] = {
		{ 0x04, false, "", "Unsupported message" },
		{ 0x20, false, "", "Unknown opcode 32" },
		{ CQL_OPTIONS, true, "",
			"Wrong protocol direction (expected REQUEST, got RESPONSE) for opcode 5 "
			"(OPTIONS)" },
		{ CQL_RESULT, false, "",
			"Wrong protocol direction (expected RESPONSE, got REQUEST) for opcode 8 "
			"(RESULT)" },
		{ CQL_QUERY, false,
			"0000000853454c4543542031"
			"007700",
			"Unknown code 119 for a consistency level" },
		{ CQL_QUERY, false, "000003e853454c",
			"Not enough bytes to read an UTF8 serialized string preceded by its 4 "
			"bytes length" },
		{ CQL_QUERY, false, "ffffffff53454c",
			"Not enough bytes to read an UTF8 serialized string preceded by its 4 "
			"bytes length" },
		{ CQL_EXECUTE, false,
			"0002abcd"
			"0006"
			"01"
			"0001"
			"fffffffd",
			"Invalid ByteBuf length -3" },
		{ CQL_EXECUTE, false, "0010abcd",
			"Not enough bytes to read a byte array preceded by its 2 bytes length" },
		{ CQL_STARTUP, false, "0001000b43514c5f",
			"Not enough bytes to read an UTF8 serialized string preceded by its 2 "
			"bytes length" },
		{ CQL_REGISTER, false, "00010003464f4f", "Invalid value 'FOO' for Type" },
		{ CQL_BATCH, false, "03", "Invalid BATCH message type 3" },
		{ CQL_BATCH, false,
			"00"
			"0001"
			"020000000000",
			"Invalid query kind in BATCH messages. Must be 0 or 1 but got 2" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct cql_frame frame =
			frame_of(f, 4, rows[i].response, 0, rows[i].opcode, rows[i].hex);
		struct cql_request request;
		struct lab_error err;
		assert_int_equal(cql_request_decode(&frame, f->arena, &request, &err), -1);
		assert_int_equal(err.code, LAB_CORRUPT);
		assert_string_equal(err.message, rows[i].message);
	}
}

static void bodies_cut_anywhere_are_refused(void **state)
{
	static const struct {
		uint8_t opcode;
		const char *hex;
	} rows[] = {
		{ CQL_ERROR, "0000110000017800070000000300000004000653494d504c45" },
		{ CQL_ERROR, "0000140000017800016b00016600010003696e74" },
		{ CQL_RESULT, "00000002000000010000000400026b3300017400095b6170706c6965645d00040001"
			      "75000d00016e00"
			      "0d000169000d000000010000000100000000016100000001620000000163" },
		{ CQL_RESULT,
			"000000040010b902ec1b3e6b0b4d13e77abe9e80fff0000000010000000200000001000000"
			"017a0001"
			"7400017000090001630009000000010000000200017a0001740001630009000176000d" },
		{ CQL_EVENT, "000d5354415455535f4348414e47450004444f574e047f00000500002352" },
		{ CQL_SUPPORTED, "0001000b43514c5f56455253494f4e00010005332e342e35" },
		{ CQL_AUTH_SUCCESS, "0000000161" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct lab_view body = unhex(f, rows[i].hex);
		for (size_t n = 0; n < body.len; n++) {
			struct cql_response response;
			struct cql_frame frame = frame_of(f, 4, true, 0, rows[i].opcode, "");
			frame.body = lab_view_sub(body, 0, n);
			if (cql_response_decode(&frame, f->arena, &response, NULL) == 0)
				fail_msg("row %zu decodes with %zu of %zu bytes", i, n, body.len);
		}
	}
}

static void counts_larger_than_the_body_cost_no_memory(void **state)
{
	static const char *const rows[] = {
		"00000002"
		"00000004"
		"0000ffff"
		"7fffffff", /* rows x columns */
		"00000002"
		"00000004"
		"00000000"
		"7fffffff", /* rows of nothing */
		"00000002"
		"00000001"
		"0000ffff"
		"00016b000174", /* columns */
		"00000002"
		"00000001"
		"7fffffff"
		"00016b000174",
		"00000004"
		"0002abcd"
		"00000001"
		"00000001"
		"7fffffff", /* pk indexes */
		"00000063", /* kind */
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		struct lab_heap *heap = lab_heap_new(f->pool, 256u << 10);
		struct lab_arena *arena = lab_arena_new(heap, 64u << 10);
		struct cql_frame frame = frame_of(f, 4, true, 0, CQL_RESULT, rows[i]);
		struct cql_response response;
		struct lab_error err;
		assert_int_equal(cql_response_decode(&frame, arena, &response, &err), -1);
		assert_int_equal(err.code, LAB_CORRUPT);
		lab_arena_free(&arena);
		lab_heap_drop(&heap);
	}
}

static void foreign_responses_are_refused(void **state)
{
	struct fixture *f = *state;
	struct cql_response response;
	struct lab_error err;
	struct cql_frame v5 = frame_of(f, 7, true, 0, CQL_READY, "");
	assert_int_equal(cql_response_decode(&v5, f->arena, &response, &err), -1);
	assert_int_equal(err.code, LAB_UNSUPPORTED);

	struct cql_frame compressed = frame_of(f, 4, true, CQL_FLAG_COMPRESSED, CQL_READY, "");
	assert_int_equal(cql_response_decode(&compressed, f->arena, &response, &err), -1);
	assert_int_equal(err.code, LAB_UNSUPPORTED);

	struct cql_frame request = frame_of(f, 4, true, 0, CQL_QUERY, "");
	assert_int_equal(cql_response_decode(&request, f->arena, &response, &err), -1);
	assert_int_equal(err.code, LAB_CORRUPT);

	struct cql_frame old = frame_of(f, 2, false, 0, CQL_OPTIONS, "");
	struct cql_request decoded;
	assert_int_equal(cql_request_decode(&old, f->arena, &decoded, &err), -1);
	assert_int_equal(err.code, LAB_UNSUPPORTED);
}

/* ---- types and values ---- */

static void nested_types_survive_the_round_trip(void **state)
{
	static const char *const rows[] = {
		"0021"
		"000d"
		"0022"
		"0009", /* map<text, set<int>> */
		"0031"
		"0002"
		"0009"
		"0020"
		"0003", /* tuple<int, list<blob>> */
		"0030"
		"00016b"
		"000175"
		"0001"
		"000161"
		"0009",         /* udt k.u (a int) */
		"000000024475", /* custom 'Du' */
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		char *hex = lab_arena_printf(f->arena,
			"0000000200000001"
			"00000001"
			"00016b"
			"000174"
			"000163"
			"%s"
			"00000000",
			rows[i]);
		struct cql_response r = response_of(f, 0, CQL_RESULT, hex);
		assert_response_encodes(f, &r, hex);
	}
}

static void too_deep_and_unknown_types_are_refused(void **state)
{
	static const char *const rows[] = {
		"00200020002000200020002000200020002000200009",
		"0077",
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		char *hex = lab_arena_printf(f->arena,
			"0000000200000001"
			"00000001"
			"00016b"
			"000174"
			"000163"
			"%s"
			"00000000",
			rows[i]);
		struct cql_frame frame = frame_of(f, 4, true, 0, CQL_RESULT, hex);
		struct cql_response r;
		assert_int_equal(cql_response_decode(&frame, f->arena, &r, NULL), -1);
	}
}

static void columns_of_two_tables_name_each_table(void **state)
{
	struct fixture *f = *state;
	static const char hex[] = "00000002"
				  "00000000"
				  "00000002"
				  "00016b"
				  "000174"
				  "000161"
				  "0009"
				  "00016b"
				  "000175"
				  "000162"
				  "0009"
				  "00000000";
	struct cql_response r = response_of(f, 0, CQL_RESULT, hex);
	assert_view(r.rows.metadata.columns[1].table, "u");
	assert_response_encodes(f, &r, hex);
}

static void skipped_metadata_still_carries_the_paging_state(void **state)
{
	struct fixture *f = *state;
	static const char hex[] = "00000002"
				  "00000006"
				  "00000001"
				  "00000002beef"
				  "00000002"
				  "0000000400000001"
				  "ffffffff";
	struct cql_response r = response_of(f, 0, CQL_RESULT, hex);
	assert_true(r.rows.metadata.no_metadata);
	assert_hex(f, r.rows.metadata.paging_state, "beef");
	assert_int_equal(r.rows.row_count, 2);
	assert_hex(f, r.rows.cells[0], "00000001");
	assert_null(r.rows.cells[1].ptr);
	assert_response_encodes(f, &r, hex);
}

static void numbers_are_read_by_their_type(void **state)
{
	struct fixture *f = *state;
	const struct {
		uint16_t type;
		struct lab_view value;
		int64_t number;
	} rows[] = {
		{ CQL_TYPE_TINYINT, cql_value_tinyint(f->arena, -128), -128 },
		{ CQL_TYPE_SMALLINT, cql_value_smallint(f->arena, -2), -2 },
		{ CQL_TYPE_INT, cql_value_int(f->arena, INT32_MIN), INT32_MIN },
		{ CQL_TYPE_INT, cql_value_int(f->arena, 10000), 10000 },
		{ CQL_TYPE_BIGINT, cql_value_bigint(f->arena, INT64_MIN), INT64_MIN },
		{ CQL_TYPE_COUNTER, cql_value_bigint(f->arena, 7), 7 },
		{ CQL_TYPE_TIMESTAMP, cql_value_bigint(f->arena, 1700000000000), 1700000000000 },
		{ CQL_TYPE_BOOLEAN, cql_value_boolean(f->arena, true), 1 },
		{ CQL_TYPE_DATE, LAB_VIEW("\x80\0\0\0"), INT64_C(1) << 31 },
	};
	int64_t number;
	for (size_t i = 0; i < LAB_COUNT_OF(rows); i++) {
		assert_int_equal(cql_value_to_i64(rows[i].type, rows[i].value, &number), 0);
		assert_true(number == rows[i].number);
	}
	assert_int_equal(cql_value_to_i64(CQL_TYPE_INT, LAB_VIEW("abc"), &number), -1);
	assert_int_equal(cql_value_to_i64(CQL_TYPE_TEXT, LAB_VIEW("abcd"), &number), -1);
	assert_int_equal(cql_value_to_i64(0x77, LAB_VIEW("abcd"), &number), -1);
}

static void uuids_and_addresses_have_text_forms(void **state)
{
	(void)state;
	uint8_t uuid[CQL_UUID_BYTES];
	char text[CQL_UUID_TEXT_MAX];
	uint8_t address[4];
	assert_int_equal(cql_uuid_parse(LAB_VIEW("461D4F38-e293-4303-8a1d-32f2f9dfeb73"), uuid), 0);
	cql_uuid_format(uuid, text);
	assert_string_equal(text, "461d4f38-e293-4303-8a1d-32f2f9dfeb73");
	assert_int_equal(
		cql_uuid_parse(LAB_VIEW("461d4f38e-293-4303-8a1d-32f2f9dfeb73"), uuid), -1);
	assert_int_equal(
		cql_uuid_parse(LAB_VIEW("461d4f38-e293-4303-8a1d-32f2f9dfeb7g"), uuid), -1);
	assert_int_equal(cql_uuid_parse(LAB_VIEW("461d4f38"), uuid), -1);

	assert_int_equal(cql_inet_parse(LAB_VIEW("127.0.0.5"), address), 0);
	assert_memory_equal(address, "\x7f\0\0\5", 4);
	assert_int_equal(cql_inet_parse(LAB_VIEW("127.0.0"), address), -1);
	assert_int_equal(cql_inet_parse(LAB_VIEW("127.0.0.256"), address), -1);
	assert_int_equal(cql_inet_parse(LAB_VIEW("1.2.3.4.5"), address), -1);
}

static void consistencies_have_dovecots_names(void **state)
{
	(void)state;
	enum cql_consistency c;
	assert_int_equal(cql_consistency_parse(LAB_VIEW("local-quorum"), &c), 0);
	assert_int_equal(c, CQL_LOCAL_QUORUM);
	assert_int_equal(cql_consistency_parse(LAB_VIEW("local-one"), &c), 0);
	assert_int_equal(c, 10);
	assert_int_equal(cql_consistency_parse(LAB_VIEW("node-local"), &c), -1);
	assert_int_equal(cql_consistency_parse(LAB_VIEW("LOCAL_QUORUM"), &c), -1);
	assert_string_equal(cql_consistency_name(CQL_EACH_QUORUM), "EACH_QUORUM");
	assert_string_equal(cql_consistency_setting(CQL_EACH_QUORUM), "each-quorum");
	assert_string_equal(cql_consistency_name((enum cql_consistency)99), "UNKNOWN");
	assert_string_equal(cql_consistency_setting((enum cql_consistency)99), "unknown");
	assert_string_equal(cql_error_code_name(CQL_E_WRITE_TIMEOUT), "WRITE_TIMEOUT");
	assert_string_equal(cql_error_code_name(0x7777), "UNKNOWN");
	assert_string_equal(cql_type_name(CQL_TYPE_BLOB), "blob");
	assert_string_equal(cql_type_name(0x7777), "custom");
}

static void what_does_not_fit_overflows(void **state)
{
	struct fixture *f = *state;
	uint8_t *long_name = lab_arena_alloc(f->arena, 70000);
	struct cql_request request = { .opcode = CQL_EXECUTE,
		.query = lab_view_of(long_name, 70000) };

	cql_request_encode(&f->out, 4, 1, &request);

	assert_true(f->out.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(frames_are_found_however_the_bytes_arrive),
		T(two_frames_in_one_read_are_taken_one_by_one),
		T(too_long_a_frame_is_refused_from_its_header),
		T(odd_version_bytes_decode_so_that_they_can_be_answered),
		T(version_errors_are_sent_in_the_layout_of_their_version),
		T(the_drivers_execute_decodes),
		T(prepared_metadata_decodes),
		T(golden_responses_survive_the_round_trip),
		T(every_error_body_decodes),
		T(error_bodies_survive_the_round_trip),
		T(warnings_come_before_the_message),
		T(version_3_hears_of_failures_as_timeouts),
		T(version_3_has_no_partition_key_indexes),
		T(every_request_survives_the_round_trip),
		T(null_and_unset_are_told_apart),
		T(broken_requests_are_refused_in_cassandras_words),
		T(bodies_cut_anywhere_are_refused),
		T(counts_larger_than_the_body_cost_no_memory),
		T(foreign_responses_are_refused),
		T(nested_types_survive_the_round_trip),
		T(too_deep_and_unknown_types_are_refused),
		T(columns_of_two_tables_name_each_table),
		T(skipped_metadata_still_carries_the_paging_state),
		T(numbers_are_read_by_their_type),
		T(uuids_and_addresses_have_text_forms),
		T(consistencies_have_dovecots_names),
		T(what_does_not_fit_overflows),
#undef T
	};
	return cmocka_run_group_tests_name("cql-codec", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * test-cql-sessions.c - the protocol: versions, handshake, prepared statements, paging, limits.
 * Bytes are those of a genuine Cassandra 4.0.14 where it says so.
 */
#include "sim/cql-emulator/testing-cql.h"

#define SCHEMA \
	"CREATE KEYSPACE z WITH replication = {'class': 'SimpleStrategy', 'replication_factor': " \
	"1};" \
	"CREATE TABLE z.t (p int, c int, v text, PRIMARY KEY (p, c));" \
	"CREATE TABLE z.k (p text, c text, v text, PRIMARY KEY (p, c));"
#define VOID "RESULT kind=1 b''"

static struct test_world *cluster(void)
{
	struct test_world *w = test_world(1);
	test_start(w);
	test_setup_cql(w, SCHEMA);
	return w;
}

static struct lab_view unhex(struct test_world *w, const char *hex)
{
	size_t len = strlen(hex) / 2;
	uint8_t *bytes = lab_arena_alloc(w->arena, len + 1);
	assert_int_equal(lab_unhex(lab_view_cstr(hex), bytes, len), 0);
	return lab_view_of(bytes, len);
}

static void assert_bytes(struct lab_view got, struct lab_view expected)
{
	if (lab_view_eq(got, expected))
		return;
	for (size_t i = 0; i < got.len; i++)
		print_message("%02x", got.ptr[i]);
	print_message("\n");
	fail_msg("%zu bytes instead of %zu, or other ones", got.len, expected.len);
}

/* ---- versions ---- */

static void other_versions_are_refused_in_words_that_drivers_know(void **state)
{
	static const struct {
		const char *sent, *header, *text;
	} cases[] = {
		{ "420000010500000000", "8400000000",
			"Invalid or unsupported protocol version (66); supported versions are "
			"(3/v3, 4/v4)" },
		{ "050000010500000000", "8400000000",
			"Invalid or unsupported protocol version (5); supported versions are "
			"(3/v3, 4/v4)" },
		{ "474554202f20485454502f312e310d0a0d0a", "8400000000",
			"Invalid or unsupported protocol version (71); supported versions are "
			"(3/v3, 4/v4)" },
		{ "0100010500000000", "81000000",
			"Invalid or unsupported protocol version (1); supported versions are "
			"(3/v3, 4/v4)" },
		{ "840000010500000000", "8400000100",
			"Wrong protocol direction (expected REQUEST, got RESPONSE) for opcode 5 "
			"(OPTIONS)" },
		{ "04000001070000000a", "", "" },
		{ "0400000107000000020000", "8400000000",
			"Unexpected message QUERY, expecting STARTUP or OPTIONS" },
	};
	struct test_world *w = test_world(1);
	(void)state;
	w->options.profile = cqlemu_profile_find(LAB_VIEW("cassandra-3.11"));
	test_start(w);
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct test_client *c = test_connect(w, "n1");
		struct lab_buf expected;
		lab_buf_init(&expected, w->heap, 1000);
		lab_buf_append_view(&expected, unhex(w, cases[i].header));
		if (cases[i].text[0] != '\0') {
			lab_buf_append_u32(&expected, (uint32_t)strlen(cases[i].text) + 6);
			lab_buf_append_u32(&expected, CQL_E_PROTOCOL);
			cql_put_string(&expected, lab_view_cstr(cases[i].text));
		}
		test_send(c, unhex(w, cases[i].sent));
		assert_bytes(lab_buf_view(&c->in), lab_buf_view(&expected));
		assert_false(c->reset);
		lab_buf_done(&expected);
		test_disconnect(c);
	}
	test_end(w);
}

static void connection_goes_on_after_a_protocol_error(void **state)
{
	static const struct {
		const char *sent, *text;
	} cases[] = { { "040000090400000000", "ERROR 0x000a Unsupported message" },
		{ "040000090100000000", "ERROR 0x000a Unexpected message STARTUP, the connection "
					"is already initialized" },
		{ "030000090500000000", "ERROR 0x000a Invalid message version. Got 3/v3 but "
					"previous messages on this "
					"connection had version 4/v4" },
		{ "040000090700000007000001f4616263", "ERROR 0x000a Not enough bytes to read an "
						      "UTF8 serialized string preceded by its 4 "
						      "bytes length" },
		{ "0400000907000000080000000273780077",
			"ERROR 0x000a Unknown code 119 for a consistency level" },
		{ "040000090b000000070001000346 4f4f",
			"ERROR 0x000a Invalid value 'FOO' for Type" } };
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		char hex[80];
		size_t len = 0;
		for (const char *at = cases[i].sent; *at != '\0'; at++) {
			if (*at != ' ')
				hex[len++] = *at;
		}
		hex[len] = '\0';
		test_send(c, unhex(w, hex));
		c->stream = 9;
		struct cql_response r = test_answer(c);
		assert_string_equal(test_text(w, &r), cases[i].text);
		test_expect(
			c, "SELECT key FROM system.local", CQL_ONE, "[('key', '0xd')] [['local']]");
	}
	test_disconnect(c);
	test_end(w);
}

static void startup_is_checked(void **state)
{
	static const struct {
		const char *key, *value, *text;
	} cases[] = { { "CQL_VERSION", "3.0.0", "READY" }, { "CQL_VERSION", "4.0.0", "READY" },
		{ "cql_version", "3.4.5", "READY" },
		{ "FOO", "1", "ERROR 0x000a Missing value CQL_VERSION in STARTUP message" } };
	struct test_world *w = cluster();
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct cql_pair pair = { lab_view_cstr(cases[i].key),
			lab_view_cstr(cases[i].value) };
		struct cql_request startup = { .opcode = CQL_STARTUP, .options = { &pair, 1 } };
		struct test_client *c = test_connect(w, "n1");
		test_request(c, &startup);
		if (cases[i].text[0] == 'E')
			c->stream = 0;
		struct cql_response r = test_answer(c);
		assert_string_equal(test_text(w, &r), cases[i].text);
		test_disconnect(c);
	}
	struct cql_pair pairs[] = { { LAB_VIEW("CQL_VERSION"), LAB_VIEW("3.0.0") },
		{ LAB_VIEW("COMPRESSION"), LAB_VIEW("zstd") } };
	struct cql_request startup = { .opcode = CQL_STARTUP, .options = { pairs, 2 } };
	struct test_client *c = test_connect(w, "n1");
	test_request(c, &startup);
	c->stream = 0;
	struct cql_response r = test_answer(c);
	assert_string_equal(test_text(w, &r), "ERROR 0x000a Unknown compression algorithm: zstd");
	test_disconnect(c);
	test_end(w);
}

static struct cql_response auth(struct test_client *c, struct lab_view token)
{
	struct cql_request request = { .opcode = CQL_AUTH_RESPONSE, .token = token };
	return test_ask(c, &request);
}

static void password_is_asked_for_and_compared(void **state)
{
	struct test_world *w = test_world(1);
	(void)state;
	w->options.user = LAB_VIEW("cassandra");
	w->options.password = LAB_VIEW("secret");
	test_start(w);
	struct cql_pair version = { LAB_VIEW("CQL_VERSION"), LAB_VIEW("3.0.0") };
	struct cql_request startup = { .opcode = CQL_STARTUP, .options = { &version, 1 } };
	struct test_client *c = test_connect(w, "n1");
	struct cql_response r = test_ask(c, &startup);
	assert_int_equal(r.opcode, CQL_AUTHENTICATE);
	assert_true(lab_view_eq_cstr(
		r.authenticator, "org.apache.cassandra.auth.PasswordAuthenticator"));
	test_expect(c, "SELECT key FROM system.local", CQL_ONE,
		"ERROR 0x000a Unexpected message QUERY, expecting SASL_RESPONSE");
	static const struct {
		struct lab_view token;
		const char *text;
	} bad[] = {
		{ { (const uint8_t *)"\0cassandra\0bad", 14 },
			"ERROR 0x0100 Provided username cassandra and/or password are incorrect" },
		{ { (const uint8_t *)"\0\0", 2 }, "ERROR 0x0100 Password must not be null" },
		{ { (const uint8_t *)"cassandra", 9 }, "ERROR 0x0100 Password must not be null" },
		{ { NULL, 0 }, "ERROR 0x0100 Password must not be null" }
	};
	for (size_t i = 0; i < LAB_COUNT_OF(bad); i++) {
		r = auth(c, bad[i].token);
		assert_string_equal(test_text(w, &r), bad[i].text);
	}
	r = auth(c, lab_view_of("\0cassandra\0secret", 17));
	assert_int_equal(r.opcode, CQL_AUTH_SUCCESS);
	assert_null(r.token.ptr);
	test_expect(c, "SELECT key FROM system.local", CQL_ONE, "[('key', '0xd')] [['local']]");
	test_disconnect(c);
	test_end(w);
}

static void frames_may_come_in_any_pieces(void **state)
{
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	struct lab_buf out;
	struct cql_response r;
	(void)state;
	lab_buf_init(&out, w->heap, 10000);
	for (int16_t i = 0; i < 20; i++) {
		struct cql_request request =
			test_query_request("SELECT key FROM system.local", CQL_ONE);
		cql_request_encode(&out, 4, i, &request);
	}
	for (size_t at = 0, step = 1; at < out.len; at += step, step = step % 23 + 1)
		test_send(c, lab_view_sub(lab_buf_view(&out), at, step));
	for (int16_t i = 0; i < 20; i++) {
		int16_t stream;
		assert_true(test_take(c, &r, &stream));
		assert_int_equal(stream, i);
	}
	test_send(c, lab_view_sub(lab_buf_view(&out), 0, 30));
	assert_false(test_take(c, &r, NULL));
	lab_buf_done(&out);
	test_disconnect(c);
	test_end(w);
}

static void too_long_frames_are_read_and_refused(void **state)
{
	struct test_world *w = test_world(1);
	(void)state;
	w->options.frame_bytes_max = 4096;
	test_start(w);
	struct test_client *c = test_client(w, "n1");
	test_send(c, unhex(w, "040000010700001001"));
	static const uint8_t body[4097];
	assert_int_equal(c->in.len, 0); /* refused when it is there */
	test_send(c, lab_view_of(body, 4096));
	assert_int_equal(c->in.len, 0);
	test_send(c, lab_view_of(body, 1));
	assert_true(lab_view_ends_with(lab_buf_view(&c->in),
		LAB_VIEW("length 4106 exceeds maximum allowed length 4096.")));
	lab_buf_reset(&c->in);
	test_expect(c, "SELECT key FROM system.local", CQL_ONE, "[('key', '0xd')] [['local']]");
	test_disconnect(c);
	test_end(w);
}

static void protocol_3_is_spoken_too(void **state)
{
	struct test_world *w = cluster();
	struct cql_pair version = { LAB_VIEW("CQL_VERSION"), LAB_VIEW("3.0.0") };
	struct cql_request startup = { .opcode = CQL_STARTUP, .options = { &version, 1 } };
	struct test_client *c = test_connect(w, "n1");
	(void)state;
	c->version = 3;
	assert_int_equal(test_ask(c, &startup).opcode, CQL_READY);
	test_expect(c, "INSERT INTO z.t (p, c, v) VALUES (1, 2, 'x')", CQL_ONE, VOID);
	test_expect(c, "SELECT v FROM z.t WHERE p = 1", CQL_ONE, "[('v', '0xd')] [['x']]");
	test_disconnect(c);
	test_end(w);
}

/* ---- prepared statements ---- */

/* Bodies of RESULT Prepared, byte for byte. */
static const struct {
	const char *query, *body;
} prepared[] = {
	{ "SELECT c,v FROM z.t WHERE p=? AND c>?",
		"000000040010b902ec1b3e6b0b4d13e77abe9e80fff0000000010000000200000001000000017a00"
		"017400017000090001630009000000010000000200017a0001740001630009000176000d" },
	{ "INSERT INTO z.t(p,c,v) VALUES(?,?,?) USING TIMESTAMP ? AND TTL ?",
		"0000000400103267484e94565f691820a4f13cc1b8e8000000010000000500000001000000017a00"
		"017400017000090001630009000176000d000b5b74696d657374616d705d000200055b74746c5d00"
		"090000000400000000" },
	{ "SELECT * FROM z.t WHERE p IN ? LIMIT ?",
		"00000004001056a9b00c47fcc7d42fd4fbb6d8df593700000001000000020000000000017a000174"
		"0005696e2870290020000900075b6c696d69745d0009000000010000000300017a00017400017000"
		"090001630009000176000d" },
	{ "UPDATE z.t SET v=:val WHERE p=:pk AND c=1",
		"00000004001097e4304516201d2fd18169bede94542b000000010000000200000001000100017a00"
		"0174000376616c000d0002706b00090000000400000000" },
	{ "CREATE TABLE z.pp(a int primary key)",
		"000000040010897142e96fe9d7305bccacc6083180d4000000000000000000000000000000040000"
		"0000" },
	{ "BEGIN BATCH INSERT INTO z.t(p,c,v) VALUES(?,?,?); INSERT INTO z.t(p,c,v) VALUES(?,?,?) "
	  "APPLY BATCH",
		"00000004001044d2c583adbfcac9dd1dbed1e18db043000000010000000600000001000300017a00"
		"017400017000090001630009000176000d00017000090001630009000176000d000000040000000"
		"0" },
};

static void prepared_metadata_is_that_of_cassandra(void **state)
{
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(prepared); i++) {
		struct cql_request request = { .opcode = CQL_PREPARE,
			.query = lab_view_cstr(prepared[i].query) };
		test_request(c, &request);
		assert_bytes(lab_view_skip(lab_buf_view(&c->in), CQL_HEADER_BYTES),
			unhex(w, prepared[i].body));
		lab_buf_reset(&c->in);
	}
	test_disconnect(c);
	test_end(w);
}

static struct lab_view prepare(struct test_client *c, const char *query)
{
	struct cql_request request = { .opcode = CQL_PREPARE, .query = lab_view_cstr(query) };
	struct cql_response r = test_ask(c, &request);
	if (r.opcode != CQL_RESULT)
		fail_msg("%s: %s", query, test_text(c->world, &r));
	return lab_arena_copy(c->world->arena, r.prepared.id);
}

static const char *execute(
	struct test_client *c, struct lab_view id, struct cql_bind *values, size_t count)
{
	struct cql_request request = { .opcode = CQL_EXECUTE,
		.query = id,
		.params = { .consistency = CQL_ONE,
			.flags = CQL_PARAM_VALUES,
			.values = values,
			.value_count = count } };
	struct cql_response r = test_ask(c, &request);
	return test_text(c->world, &r);
}

#define BYTES(text, length) \
	{ \
		.kind = CQL_VALUE_BYTES, .bytes = {(const uint8_t *)(text), (length) } \
	}
#define ONE_INT BYTES("\0\0\0\1", 4)

static void values_are_checked_when_executed(void **state)
{
	static const struct {
		struct cql_bind values[4];
		size_t count;
		const char *text;
	} cases[] = { { { ONE_INT, ONE_INT, BYTES("abc", 3) }, 3, VOID },
		{ { ONE_INT, ONE_INT, { .kind = CQL_VALUE_UNSET } }, 3, VOID },
		{ { { .kind = CQL_VALUE_UNSET }, ONE_INT, BYTES("a", 1) }, 3,
			"ERROR 0x2200 Invalid unset value for column p" },
		{ { { .kind = CQL_VALUE_NULL }, ONE_INT, BYTES("a", 1) }, 3,
			"ERROR 0x2200 Invalid null value in condition for column p" },
		{ { ONE_INT, ONE_INT }, 2,
			"ERROR 0x2200 there were 3 markers(?) in CQL but 2 bound variables" },
		{ { ONE_INT, ONE_INT, ONE_INT, ONE_INT }, 4,
			"ERROR 0x2200 there were 3 markers(?) in CQL but 4 bound variables" },
		{ { BYTES("123", 3), ONE_INT, BYTES("a", 1) }, 3,
			"ERROR 0x2200 Expected 4 or 0 byte int (3)" },
		{ { BYTES("", 0), ONE_INT, BYTES("a", 1) }, 3,
			"ERROR 0x2200 Key may not be empty" },
		{ { ONE_INT, ONE_INT, BYTES("\xff\xfe", 2) }, 3,
			"ERROR 0x2200 String didn't validate." } };
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	struct lab_view id = prepare(c, "INSERT INTO z.t(p,c,v) VALUES(?,?,?)");
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct cql_bind values[4];
		memcpy(values, cases[i].values, sizeof(values));
		assert_string_equal(execute(c, id, values, cases[i].count), cases[i].text);
		test_expect(c, "SELECT * FROM z.t WHERE p=1", CQL_ONE,
			"[('p', '0x9'), ('c', '0x9'), ('v', '0xd')] [[1, 1, 'abc']]");
	}
	struct cql_bind null_v[] = { ONE_INT, ONE_INT, { .kind = CQL_VALUE_NULL } };
	assert_string_equal(execute(c, id, null_v, 3), VOID);
	test_expect(c, "SELECT * FROM z.t WHERE p=1", CQL_ONE,
		"[('p', '0x9'), ('c', '0x9'), ('v', '0xd')] [[1, 1, None]]");
	test_disconnect(c);
	test_end(w);
}

static void keys_have_limits(void **state)
{
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	struct lab_view id = prepare(c, "INSERT INTO z.k (p, c, v) VALUES (?, ?, 'x')");
	char *big = lab_arena_alloc(w->arena, 70000);
	(void)state;
	memset(big, 'k', 70000);
	struct cql_bind small = BYTES("a", 1), whole = BYTES(big, 65535), over = BYTES(big, 65536);
	struct cql_bind cases[][2] = { { over, small }, { small, over } };
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(execute(c, id, cases[i], 2),
			"ERROR 0x2200 Key length of 65536 is longer than maximum of 65535");
	struct cql_bind fits[] = { whole, whole };
	assert_string_equal(execute(c, id, fits, 2), VOID);
	test_expect(c, "INSERT INTO z.k (p, c, v) VALUES ('', 'a', 'b')", CQL_ONE,
		"ERROR 0x2200 Key may not be empty");
	test_expect(c, "INSERT INTO z.k (p, c, v) VALUES ('a', '', '')", CQL_ONE, VOID);
	test_expect(c, "SELECT * FROM z.k WHERE p = 'a'", CQL_ONE,
		"[('p', '0xd'), ('c', '0xd'), ('v', '0xd')] [['a', '', '']]");
	test_disconnect(c);
	test_end(w);
}

static void named_values_find_their_markers(void **state)
{
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	struct cql_bind values[] = { ONE_INT, BYTES("x", 1) };
	struct cql_request request =
		test_query_request("INSERT INTO z.t (p, c, v) VALUES (:n, :n, :t)", CQL_ONE);
	(void)state;
	values[0].name = LAB_VIEW("n");
	values[1].name = LAB_VIEW("t");
	request.params.flags = CQL_PARAM_VALUES | CQL_PARAM_NAMES;
	request.params.values = values;
	request.params.value_count = 2;
	assert_int_equal(test_ask(c, &request).opcode, CQL_RESULT);
	test_expect(
		c, "SELECT v FROM z.t WHERE p = 1 AND c = 1", CQL_ONE, "[('v', '0xd')] [['x']]");
	values[1].name = LAB_VIEW("other");
	assert_int_equal(test_ask(c, &request).error.code, CQL_E_INVALID);
	test_disconnect(c);
	test_end(w);
}

static void prepared_statements_are_forgotten(void **state)
{
	struct test_world *w = test_world(1);
	(void)state;
	w->options.prepared_max = 2;
	test_start(w);
	test_setup_cql(w, SCHEMA);
	struct test_client *c = test_client(w, "n1");
	struct lab_view a = prepare(c, "SELECT v FROM z.t WHERE p = 1");
	struct lab_view b = prepare(c, "SELECT v FROM z.t WHERE p = 2");
	assert_string_equal(execute(c, a, NULL, 0), "[('v', '0xd')] []"); /* now b is the oldest */
	(void)prepare(c, "SELECT v FROM z.t WHERE p = 3");
	assert_string_equal(execute(c, a, NULL, 0), "[('v', '0xd')] []");
	char text[300];
	char hex[33];
	lab_hex(b.ptr, 16, hex);
	(void)snprintf(text, sizeof(text),
		"ERROR 0x2500 Prepared query with ID %s not found (either the query was not "
		"prepared "
		"on this host (maybe the host has been restarted?) or you have prepared too many "
		"queries and it has been evicted from the internal cache)",
		hex);
	assert_string_equal(execute(c, b, NULL, 0), text);
	test_setup_cql(
		w, "DROP TABLE z.t; CREATE TABLE z.t (p int, c int, v int, PRIMARY KEY (p, c))");
	assert_non_null(strstr(execute(c, a, NULL, 0), "0x2500"));
	a = prepare(c, "SELECT v FROM z.t WHERE p = 1");
	cqlemu_node_forget_prepared(w->emu, 0);
	assert_non_null(strstr(execute(c, a, NULL, 0), "0x2500"));
	test_disconnect(c);
	test_end(w);
}

static void use_is_part_of_the_prepared_id(void **state)
{
	struct test_world *w = test_world(1);
	(void)state;
	test_start(w);
	test_setup_cql(w,
		"CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', "
		"'replication_factor': 1}; CREATE TABLE ks.g2 (a int PRIMARY KEY, b text)");
	struct test_client *c = test_client(w, "n1");
	test_expect(c, "USE nope", CQL_ONE, "ERROR 0x2200 Keyspace 'nope' does not exist");
	test_expect(c, "USE \"ks\"", CQL_ONE, "RESULT kind=3 b'\\x00\\x02ks'");
	struct cql_request request = { .opcode = CQL_PREPARE,
		.query = LAB_VIEW("INSERT INTO g2(a,b) VALUES(?,?)") };
	test_request(c, &request);
	/* gocql's trace: flags 08, 512 bytes, this id. */
	assert_int_equal(c->in.data[1], 8);
	assert_int_equal(c->in.len, CQL_HEADER_BYTES + 512);
	struct cql_response r = test_answer(c);
	assert_bytes(r.prepared.id, unhex(w, "8bff69aba287dd1da698cb90b559b463"));
	test_disconnect(c);
	test_end(w);
}

/* ---- paging ---- */

static void pages_end_where_cassandra_ends_them(void **state)
{
	static const struct {
		const char *cql;
		int32_t page_size;
		unsigned rows[4]; /* of each page; 0: none any more */
		unsigned pages;
	} cases[] = { { "SELECT c FROM z.t WHERE p = 1", 10, { 6 }, 1 },
		{ "SELECT c FROM z.t WHERE p = 1", 6, { 6, 0 }, 2 }, /* full: there may be more */
		{ "SELECT c FROM z.t WHERE p = 1", 4, { 4, 2 }, 2 },
		{ "SELECT c FROM z.t WHERE p = 1", 3, { 3, 3, 0 }, 3 },
		{ "SELECT c FROM z.t WHERE p = 1 LIMIT 4", 4, { 4 }, 1 },
		{ "SELECT c FROM z.t WHERE p = 1 LIMIT 5", 3, { 3, 2 }, 2 },
		{ "SELECT c FROM z.t WHERE p = 1 ORDER BY c DESC LIMIT 5", 3, { 3, 2 }, 2 },
		{ "SELECT c FROM z.t WHERE p = 1 AND c IN (1, 3, 5)", 2, { 2, 1 }, 2 },
		{ "SELECT c FROM z.t WHERE p IN (1, 2)", 4, { 4, 4, 0 }, 3 },
		{ "SELECT c FROM z.t", 5, { 5, 3 }, 2 }, { "SELECT c FROM z.t", -1, { 8 }, 1 },
		{ "SELECT c FROM z.t PER PARTITION LIMIT 3", 2, { 2, 2, 1 }, 3 },
		{ "SELECT DISTINCT p FROM z.t", 1, { 1, 1, 0 }, 3 },
		{ "SELECT c FROM z.t WHERE v = 'x' ALLOW FILTERING", 2, { 2, 1 }, 2 },
		{ "SELECT c FROM z.t WHERE p = 1 LIMIT 1", 1, { 1 }, 1 } };
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	(void)state;
	test_setup_cql(w,
		"USE z; INSERT INTO t (p, c, v) VALUES (1, 1, 'x'); INSERT INTO t (p, c) VALUES "
		"(1, 2);"
		"INSERT INTO t (p, c, v) VALUES (1, 3, 'x'); INSERT INTO t (p, c) VALUES (1, 4);"
		"INSERT INTO t (p, c, v) VALUES (1, 5, 'y'); INSERT INTO t (p, c) VALUES (1, 6);"
		"INSERT INTO t (p, c) VALUES (2, 1); INSERT INTO t (p, c, v) VALUES (2, 2, 'x');");
	for (size_t i = 0; i < LAB_COUNT_OF(cases); i++) {
		struct cql_request request = test_query_request(cases[i].cql, CQL_ONE);
		request.params.flags = CQL_PARAM_PAGE_SIZE;
		request.params.page_size = cases[i].page_size;
		for (unsigned page = 0; page < cases[i].pages; page++) {
			struct cql_response r = test_ask(c, &request);
			bool last = page + 1 == cases[i].pages;
			if (r.opcode != CQL_RESULT || r.rows.row_count != cases[i].rows[page] ||
				(r.rows.metadata.paging_state.ptr == NULL) != last)
				fail_msg("%s, page %u: %s", cases[i].cql, page, test_text(w, &r));
			request.params.flags |= CQL_PARAM_PAGING_STATE;
			request.params.paging_state = r.rows.metadata.paging_state;
		}
	}
	test_disconnect(c);
	test_end(w);
}

static void bad_paging_states_are_refused(void **state)
{
	static const char *const states[] = { "", "ff", "00060004", "00ff",
		"0006000400000002f07ffffffdf07ffffffd00",
		"0200010006000400000002f07ffffffdf07ffffffd" };
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	(void)state;
	for (size_t i = 0; i < LAB_COUNT_OF(states); i++) {
		struct cql_request request =
			test_query_request("SELECT c FROM z.t WHERE p = 1", CQL_ONE);
		request.params.flags = CQL_PARAM_PAGE_SIZE | CQL_PARAM_PAGING_STATE;
		request.params.page_size = 2;
		request.params.paging_state = unhex(w, states[i]);
		struct cql_response r = test_ask(c, &request);
		if (strcmp(test_text(w, &r), "ERROR 0x000a Invalid value for the paging state") !=
			0)
			fail_msg("state %s: %s", states[i], test_text(w, &r));
	}
	test_disconnect(c);
	test_end(w);
}

/* ---- what drivers read at connect ---- */

static void drivers_find_their_tables(void **state)
{
	static const char *const queries[] = { "SELECT * FROM system.local WHERE key='local'",
		"SELECT * FROM system.peers", "SELECT * FROM system.peers_v2",
		"SELECT * FROM system_schema.keyspaces", "SELECT * FROM system_schema.tables",
		"SELECT * FROM system_schema.views", "SELECT * FROM system_schema.columns",
		"SELECT * FROM system_schema.indexes", "SELECT * FROM system_schema.types",
		"SELECT * FROM system_schema.functions", "SELECT * FROM system_schema.aggregates",
		"SELECT * FROM system_schema.triggers",
		"SELECT * from system_virtual_schema.keyspaces",
		"SELECT * from system_virtual_schema.tables",
		"SELECT * from system_virtual_schema.columns",
		"SELECT * FROM system_schema.tables WHERE keyspace_name='z' AND table_name='t'",
		"SELECT * FROM system_schema.views WHERE keyspace_name='z' AND view_name='t'",
		"SELECT prepared_id FROM system.prepared_statements",
		"SELECT peer, rpc_address, host_id, schema_version FROM system.peers",
		"select * from system.local where key = 'local'" };
	struct test_world *w = test_world(3);
	(void)state;
	test_start(w);
	test_setup_cql(w, SCHEMA);
	struct test_client *c = test_client(w, "n2");
	for (size_t i = 0; i < LAB_COUNT_OF(queries); i++) {
		struct cql_response r = test_query(c, queries[i], CQL_LOCAL_ONE);
		if (r.opcode != CQL_RESULT)
			fail_msg("%s: %s", queries[i], test_text(w, &r));
	}
	test_expect(c, "SELECT key, rpc_address, data_center FROM system.local", CQL_ONE,
		"[('key', '0xd'), ('rpc_address', '0x10'), ('data_center', '0xd')] [['local', "
		"0x7f000002, 'dc1']]");
	test_expect(c, "SELECT count(*) FROM system.peers", CQL_ONE, "[('count', '0x2')] [[2]]");
	test_expect(c,
		"SELECT column_name, kind, position, type, clustering_order FROM "
		"system_schema.columns WHERE keyspace_name='z' AND table_name='t'",
		CQL_ONE,
		"[('column_name', '0xd'), ('kind', '0xd'), ('position', '0x9'), ('type', '0xd'), "
		"('clustering_order', '0xd')] [['c', 'clustering', 0, 'int', 'asc'], ['p', "
		"'partition_key', 0, 'int', 'none'], ['v', 'regular', -1, 'text', 'none']]");
	test_expect(c, "INSERT INTO system.local (key) VALUES ('x')", CQL_ONE,
		"ERROR 0x2100 system keyspace is not user-modifiable.");
	test_expect(c, "DROP TABLE system.local", CQL_ONE,
		"ERROR 0x2100 system keyspace is not user-modifiable.");
	test_disconnect(c);
	test_end(w);
}

static void schema_version_and_events_follow_ddl(void **state)
{
	struct test_world *w = test_world(3);
	struct lab_view names[] = { LAB_VIEW("SCHEMA_CHANGE") };
	struct cql_request request = { .opcode = CQL_REGISTER, .events = { names, 1 } };
	(void)state;
	test_start(w);
	struct test_client *c1 = test_client(w, "n1"), *c2 = test_client(w, "n2");
	assert_int_equal(test_ask(c2, &request).opcode, CQL_READY);
	struct cql_response before =
		test_query(c1, "SELECT schema_version FROM system.local", CQL_ONE);
	test_expect(c1,
		"CREATE KEYSPACE a WITH replication = {'class': 'SimpleStrategy', "
		"'replication_factor': 1}",
		CQL_ONE, "RESULT kind=5 b'\\x00\\x07CREATED\\x00\\x08KEYSPACE\\x00\\x01a'");
	struct cql_response event;
	assert_true(test_take(c2, &event, NULL));
	assert_int_equal(event.opcode, CQL_EVENT);
	assert_true(lab_view_eq_cstr(event.event.schema.keyspace, "a"));
	test_expect(c1,
		"CREATE KEYSPACE IF NOT EXISTS a WITH replication = {'class': "
		"'SimpleStrategy', 'replication_factor': 1}",
		CQL_ONE, VOID);
	assert_false(test_take(c2, &event, NULL));
	struct cql_response after =
		test_query(c1, "SELECT schema_version FROM system.local", CQL_ONE);
	struct cql_response peer =
		test_query(c2, "SELECT schema_version FROM system.peers LIMIT 1", CQL_ONE);
	assert_false(lab_view_eq(before.rows.cells[0], after.rows.cells[0]));
	assert_true(lab_view_eq(after.rows.cells[0], peer.rows.cells[0]));
	test_disconnect(c1);
	test_disconnect(c2);
	test_end(w);
}

/* ---- BATCH ---- */

static void batches_take_text_and_prepared_statements(void **state)
{
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	struct cql_bind values[] = { ONE_INT, ONE_INT, BYTES("b", 1) };
	struct cql_batch_item items[] = {
		{ .query = LAB_VIEW("INSERT INTO z.t (p, c, v) VALUES (1, 0, 'a')") },
		{ .prepared = true, .values = values, .value_count = 3 },
		{ .query = LAB_VIEW("SELECT * FROM z.t") }
	};
	struct cql_request request = { .opcode = CQL_BATCH,
		.batch = items,
		.batch_count = 2,
		.params = { .consistency = CQL_ONE,
			.flags = CQL_PARAM_TIMESTAMP,
			.timestamp_us = 99 } };
	(void)state;
	items[1].query = prepare(c, "INSERT INTO z.t (p, c, v) VALUES (?, ?, ?)");
	assert_int_equal(test_ask(c, &request).opcode, CQL_RESULT);
	test_expect(c, "SELECT c, v, writetime(v) FROM z.t WHERE p = 1", CQL_ONE,
		"[('c', '0x9'), ('v', '0xd'), ('writetime(v)', '0x2')] [[0, 'a', 99], [1, 'b', "
		"99]]");
	request.batch_count = 3;
	assert_int_equal(test_ask(c, &request).error.code, CQL_E_INVALID);
	request.batch_count = 2;
	items[1].query = LAB_VIEW("0123456789abcdef");
	struct cql_response r = test_ask(c, &request);
	assert_int_equal(r.error.code, CQL_E_UNPREPARED);
	assert_bytes(r.error.prepared_id, items[1].query);
	test_disconnect(c);
	test_end(w);
}

static void big_batches_are_warned_of_and_refused(void **state)
{
	struct test_world *w = cluster();
	struct test_client *c = test_client(w, "n1");
	struct lab_buf cql;
	(void)state;
	lab_buf_init(&cql, w->heap, 1000000);
	for (unsigned count = 3; count <= 30; count += 27) {
		lab_buf_reset(&cql);
		lab_buf_append_cstr(&cql, "BEGIN UNLOGGED BATCH ");
		for (unsigned i = 0; i < count; i++)
			lab_buf_printf(&cql, "INSERT INTO z.t (p, c, v) VALUES (%u, 1, '%0*d');", i,
				3000, 0);
		lab_buf_append_cstr(&cql, " APPLY BATCH");
		struct cql_response r = test_query(c, lab_buf_cstr(&cql), CQL_ONE);
		if (count == 30) {
			assert_string_equal(test_text(w, &r), "ERROR 0x2200 Batch too large");
			continue;
		}
		assert_int_equal(r.warnings.count, 1);
		assert_true(lab_view_starts_with(
			r.warnings.items[0], LAB_VIEW("Batch for [z.t] is of size 90")));
	}
	lab_buf_done(&cql);
	test_disconnect(c);
	test_end(w);
}

/* ---- from inside of a callback ---- */

struct echo {
	struct test_client *client;
	struct test_client *other;
	unsigned answers;
	struct lab_view frame;
};

static void reenter(void *ctx, struct lab_view data, enum sim_wire wire)
{
	struct echo *e = ctx;
	(void)data;
	(void)wire;
	if (e->answers++ == 0)
		test_send(e->client, e->frame);
	else if (e->answers == 2)
		e->client->world->service.ops->closed(e->other->connection, 0);
}

static void input_from_inside_of_a_callback_waits_its_turn(void **state)
{
	struct test_world *w = cluster();
	struct test_client *other = test_client(w, "n1");
	struct sim_peer peer = { .name = LAB_VIEW("b") };
	struct test_client client = { .world = w };
	struct echo e = {
		.client = &client, .other = other, .frame = unhex(w, "040000010500000000")
	};
	struct cqlemu_counters counters;
	(void)state;
	client.connection =
		w->service.ops->accept(w->service.service, LAB_VIEW("n1"), &peer, 0, reenter, &e);
	test_send(&client, e.frame);
	assert_int_equal(e.answers, 2);
	cqlemu_counters(w->emu, &counters);
	assert_int_equal(counters.connections_open, 1);
	w->service.ops->closed(client.connection, 0);
	other->reset = true; /* it is gone */
	test_disconnect(other);
	test_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_versions_are_refused_in_words_that_drivers_know),
		cmocka_unit_test(connection_goes_on_after_a_protocol_error),
		cmocka_unit_test(startup_is_checked),
		cmocka_unit_test(password_is_asked_for_and_compared),
		cmocka_unit_test(frames_may_come_in_any_pieces),
		cmocka_unit_test(too_long_frames_are_read_and_refused),
		cmocka_unit_test(protocol_3_is_spoken_too),
		cmocka_unit_test(prepared_metadata_is_that_of_cassandra),
		cmocka_unit_test(values_are_checked_when_executed),
		cmocka_unit_test(keys_have_limits),
		cmocka_unit_test(named_values_find_their_markers),
		cmocka_unit_test(prepared_statements_are_forgotten),
		cmocka_unit_test(use_is_part_of_the_prepared_id),
		cmocka_unit_test(pages_end_where_cassandra_ends_them),
		cmocka_unit_test(bad_paging_states_are_refused),
		cmocka_unit_test(drivers_find_their_tables),
		cmocka_unit_test(schema_version_and_events_follow_ddl),
		cmocka_unit_test(batches_take_text_and_prepared_statements),
		cmocka_unit_test(big_batches_are_warned_of_and_refused),
		cmocka_unit_test(input_from_inside_of_a_callback_waits_its_turn),
	};
	return cmocka_run_group_tests_name("cql-emulator-sessions", tests, NULL, NULL);
}

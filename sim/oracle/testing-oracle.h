/* SPDX-License-Identifier: Apache-2.0
 *
 * testing-oracle.h - for test-*.c only: a run made by hand. Mails are numbers: mail n of a test has
 * the token n, an object name and an object id made of n, and the body "body n".
 */
#ifndef SIM_ORACLE_TESTING_H
#define SIM_ORACLE_TESTING_H

#include "core/base/testing.h"
#include "sim/oracle/oracle.h"

#define T_USER "user1@example.com"
#define T_AUDITOR "auditor"
#define T_EPOCH_US INT64_C(1767225600000000)
#define T_QUORUM 6

static struct t {
	struct oracle_settings settings;
	struct oracle *oracle;
	struct history *history;
	struct s3emu *s3;
	struct cqlemu *cql;
	struct fault_plan *faults;
	uint64_t now, sequence;
	const char *peer;
	struct sim_fault fault; /* of the next requests to S3 */
	struct oracle_verdict verdict;
} t;

static inline void t_on_access(void *ctx, const struct sim_access *access)
{
	(void)ctx;
	oracle_access(t.oracle, access);
}

static inline struct sim_fault t_on_fault(void *ctx, const struct sim_fault_query *query)
{
	(void)ctx, (void)query;
	return t.fault;
}

static inline void t_reply(void *ctx, const struct sim_http_reply *reply)
{
	*(unsigned *)ctx = reply->response.status;
}

static inline void t_start_s3(void)
{
	struct s3emu_options options;
	struct s3emu_bucket_options bucket = { .name = LAB_VIEW("mails") };
	struct lab_error err;

	s3emu_options_init(&options);
	options.verify_signatures = false;
	options.hooks.access = t_on_access;
	options.hooks.fault = t_on_fault;
	options.limits.stored_bytes_max = (uint64_t)1 << 26;
	assert_int_equal(s3emu_new(testing_pool, &options, &t.s3, &err), 0);
	assert_int_equal(s3emu_bucket_add(t.s3, &bucket, &err), 0);
}

static inline void t_execute(const char *cql)
{
	struct lab_error err;

	if (cqlemu_execute(t.cql, lab_view_cstr(cql), &err) < 0)
		fail_msg("%s: %s", cql, err.message);
}

static inline void t_start_cql(void)
{
	struct cqlemu_node_options node = { .name = LAB_VIEW("cassandra-1"),
		.address = LAB_VIEW("10.0.0.1") };
	struct cqlemu_options options;
	struct lab_error err;

	cqlemu_options_init(&options);
	options.heap = testing_heap;
	options.nodes = &node;
	options.node_count = 1;
	options.epoch_us = T_EPOCH_US;
	assert_int_equal(cqlemu_new(&options, &t.cql, &err), 0);
	t_execute(
		"create keyspace mails with replication = { 'class': 'SimpleStrategy', "
		"'replication_factor': 1 }; use mails; "
		"create table user_mailbox_objects (u text, g blob, b int, n blob, i blob, "
		"primary key ((u, g, b), n)); "
		"create table user_mailbox_objects_reverse (u text, g blob, n blob, i blob, "
		"primary key (i, n)); "
		"create table user_mailbox_buckets (u text, g blob, b int, primary key ((u, g)))");
}

static inline int t_setup(void **state)
{
	(void)testing_setup(state);
	memset(&t, 0, sizeof(t));
	t.now = LAB_SEC;
	t.sequence = 1;
	t.peer = "backend-1";
	t.settings = (struct oracle_settings){ .heap = testing_heap,
		.auditor = T_AUDITOR,
		.bucket = LAB_VIEW("mails"),
		.object_prefix = LAB_VIEW("/mails/"),
		.has_dictmap = true,
		.has_lockdir = true,
		.copies_in_dict = true,
		.keyspace = LAB_VIEW("mails"),
		.bucket_size = 3,
		.bucket_parallelism = 1,
		.max_retries = 4,
		.min_retries = 4,
		.bulk_delete_limit = 3,
		.read_consistency = T_QUORUM,
		.write_consistency = T_QUORUM,
		.delete_consistency = T_QUORUM,
		.read_fallback = T_QUORUM,
		.write_fallback = T_QUORUM,
		.delete_fallback = T_QUORUM,
		.delete_timestamp_us = 10000000,
		.upload_interval_ns = 5 * LAB_MINUTE,
		.close_delay_ns = 2 * LAB_SEC,
		.epoch_us = T_EPOCH_US };
	t.oracle = oracle_new(&t.settings);
	t.history = history_new(testing_heap);
	t_start_s3();
	t_start_cql();
	return 0;
}

static inline int t_teardown(void **state)
{
	oracle_free(&t.oracle);
	history_free(&t.history);
	s3emu_free(&t.s3);
	cqlemu_free(&t.cql);
	fault_plan_free(&t.faults);
	return testing_teardown(state);
}

#define t_test(function) cmocka_unit_test_setup_teardown(function, t_setup, t_teardown)

/* After t.settings were changed. */
static inline void t_restart(void)
{
	oracle_free(&t.oracle);
	t.oracle = oracle_new(&t.settings);
}

/* ---- mails ---- */

static inline struct history_object t_object(unsigned name, unsigned oid)
{
	struct history_object object = { .has_name = true, .oid_len = 17 };

	memset(object.name, (int)name, sizeof(object.name));
	memset(object.oid, (int)oid, 16);
	object.oid[16] = 0x80;
	return object;
}

static inline struct history_object t_unknown(void)
{
	return (struct history_object){ .has_name = false };
}

static inline const char *t_hex(unsigned n, bool oid, char out[48])
{
	struct history_object object = t_object(n, n);

	lab_hex(oid ? object.oid : object.name, oid ? 17 : 16, out);
	return out;
}

static inline uint64_t t_hash(unsigned n)
{
	char body[32];

	(void)snprintf(body, sizeof(body), "body %u", n);
	return lab_hash_view(0, lab_view_cstr(body));
}

/* ---- requests ---- */

static inline unsigned t_s3(
	const char *user, const char *method, const char *target, struct lab_view body)
{
	struct lab_http_request request = { .method = lab_view_cstr(method),
		.authority = LAB_VIEW("s3.amazonaws.com"),
		.target = lab_view_cstr(target),
		.body = body };
	struct sim_peer peer = { .name = lab_view_cstr(t.peer) };
	struct sim_http_service service = s3emu_service(t.s3);
	unsigned status = 0;

	(void)lab_http_header_add(
		&request.headers, LAB_VIEW("X-Dovecot-Username"), lab_view_cstr(user));
	if (strcmp(method, "POST") == 0) {
		uint8_t md5[16];
		struct lab_buf text;

		lab_digest(LAB_MD5, body, md5);
		lab_buf_init(&text, testing_heap, 64);
		lab_buf_append_base64(&text, lab_view_of(md5, 16));
		(void)lab_http_header_add(
			&request.headers, LAB_VIEW("Content-MD5"), lab_buf_view(&text));
		service.ops->submit(service.service, &request, &peer, t.now, t_reply, &status);
		lab_buf_done(&text);
	} else {
		service.ops->submit(service.service, &request, &peer, t.now, t_reply, &status);
	}
	t.now += LAB_MSEC;
	return status;
}

static inline void t_put_as(const char *user, unsigned oid, const char *body)
{
	char target[128], hex[48];

	(void)snprintf(target, sizeof(target), "/mails/%s/mails/%s", user, t_hex(oid, true, hex));
	assert_int_equal(t_s3(user, "PUT", target, lab_view_cstr(body)), 200);
}

static inline void t_put(unsigned oid)
{
	t_put_as(T_USER, oid, "stored");
}

static inline void t_drop(unsigned oid)
{
	char target[128], hex[48];

	(void)snprintf(target, sizeof(target), "/mails/" T_USER "/mails/%s", t_hex(oid, true, hex));
	assert_int_equal(t_s3(T_USER, "DELETE", target, LAB_VIEW("")), 204);
}

/* Folders are numbers as well: 0 is INBOX. */
static inline void t_forward(
	const char *user, unsigned folder, unsigned bucket, unsigned name, unsigned oid)
{
	char cql[400], n[48], i[48];

	(void)snprintf(cql, sizeof(cql),
		"insert into user_mailbox_objects (i,u,g,b,n) values (0x%s,'%s',0x%032x,%u,0x%s)",
		t_hex(oid, true, i), user, folder, bucket, t_hex(name, false, n));
	t_execute(cql);
}

static inline void t_reverse(const char *user, unsigned folder, unsigned name, unsigned oid)
{
	char cql[400], n[48], i[48];

	(void)snprintf(cql, sizeof(cql),
		"insert into user_mailbox_objects_reverse (n,u,g,i) values "
		"(0x%s,'%s',0x%032x,0x%s)",
		t_hex(name, false, n), user, folder, t_hex(oid, true, i));
	t_execute(cql);
}

static inline void t_rows(unsigned folder, unsigned name, unsigned oid)
{
	t_reverse(T_USER, folder, name, oid);
	t_forward(T_USER, folder, 0, name, oid);
}

static inline void t_delete_forward(unsigned folder, unsigned name)
{
	char cql[400], n[48];

	(void)snprintf(cql, sizeof(cql),
		"delete from user_mailbox_objects where u='" T_USER "' and g=0x%032x and b=0 and "
		"n=0x%s",
		folder, t_hex(name, false, n));
	t_execute(cql);
}

static inline void t_delete_reverse(unsigned name, unsigned oid)
{
	char cql[400], n[48], i[48];

	(void)snprintf(cql, sizeof(cql),
		"delete from user_mailbox_objects_reverse where i=0x%s and n=0x%s",
		t_hex(oid, true, i), t_hex(name, false, n));
	t_execute(cql);
}

/* ---- the history ---- */

static inline const char *t_folder(unsigned folder)
{
	static const char *const names[] = { "INBOX", "Folder1", "Folder2" };

	return names[folder];
}

static inline struct history_op t_op(enum history_kind kind, unsigned folder, unsigned token)
{
	return (struct history_op){ .kind = kind,
		.user = LAB_VIEW(T_USER),
		.folder = lab_view_cstr(t_folder(folder)),
		.backend = lab_view_cstr(t.peer),
		.token = token };
}

static inline uint32_t t_begin(struct history_op *op)
{
	op->invoked_ns = t.now;
	op->invoked_event = t.sequence++;
	t.now += LAB_MSEC;
	return history_invoke(t.history, op);
}

static inline void t_end(uint32_t id, struct history_op *op, enum history_outcome outcome)
{
	t.now += LAB_MSEC;
	op->outcome = outcome;
	op->ended_ns = t.now;
	op->ended_event = t.sequence++;
	t.now += LAB_MSEC;
	history_end(t.history, id, op);
}

static inline uint32_t t_run(struct history_op op, enum history_outcome outcome)
{
	uint32_t id = t_begin(&op);

	if (outcome != HISTORY_PENDING)
		t_end(id, &op, outcome);
	return id;
}

/* What the client hears; requests and rows are others' business. */
static inline uint32_t t_deliver(
	unsigned token, struct history_object made, enum history_outcome outcome)
{
	struct history_op op = t_op(HISTORY_DELIVER, 0, token);

	op.made = made;
	op.body_hash = t_hash(token);
	return t_run(op, outcome);
}

static inline uint32_t t_expunge(
	unsigned folder, unsigned name, unsigned oid, unsigned token, enum history_outcome outcome)
{
	struct history_op op = t_op(HISTORY_EXPUNGE, folder, token);

	op.source = t_object(name, oid);
	return t_run(op, outcome);
}

static inline struct history_op t_copy_op(enum history_kind kind, unsigned from, unsigned to,
	unsigned name, unsigned oid, unsigned token)
{
	struct history_op op = t_op(kind, from, token);

	op.source = t_object(name, oid);
	op.target = lab_view_cstr(t_folder(to));
	return op;
}

static inline uint32_t t_copy(enum history_kind kind, unsigned from, unsigned to, unsigned name,
	unsigned oid, unsigned token, struct history_object made, enum history_outcome outcome)
{
	struct history_op op = t_copy_op(kind, from, to, name, oid, token);

	op.made = made;
	return t_run(op, outcome);
}

static inline uint32_t t_select(
	const char *backend, unsigned folder, const struct history_object *objects, size_t count)
{
	struct history_op op = t_op(HISTORY_SELECT, folder, 0);
	struct history_sighting seen[16] = { 0 };
	uint32_t id;

	op.backend = lab_view_cstr(backend);
	id = t_begin(&op);
	for (size_t i = 0; i < count; i++) {
		seen[i].uid = (uint32_t)i + 1;
		seen[i].object = objects[i];
	}
	history_sight(t.history, id, seen, count);
	t_end(id, &op, HISTORY_OK);
	return id;
}

static inline void t_fetch_as(unsigned folder, struct history_object object, unsigned token,
	uint64_t hash, enum history_outcome outcome, enum lab_code code)
{
	struct history_op op = t_op(HISTORY_FETCH, folder, token);

	op.backend = LAB_VIEW(T_AUDITOR);
	op.source = object;
	op.body_hash = hash;
	op.code = code;
	(void)t_run(op, outcome);
}

/* The audit of a folder: each mail n is read with the body of token tokens[i]. */
static inline void t_audit(
	unsigned folder, const struct history_object *objects, const unsigned *tokens, size_t count)
{
	(void)t_select(T_AUDITOR, folder, objects, count);
	for (size_t i = 0; i < count; i++)
		t_fetch_as(folder, objects[i], tokens[i], t_hash(tokens[i]), HISTORY_OK, LAB_OK);
}

/* The same where name, object id and token are one number. */
static inline void t_audit_mails(unsigned folder, const unsigned *mails, size_t count)
{
	struct history_object objects[16] = { 0 };

	for (size_t i = 0; i < count; i++)
		objects[i] = t_object(mails[i], mails[i]);
	t_audit(folder, objects, mails, count);
}
#define t_audit_of(folder, ...) \
	t_audit_mails(folder, (const unsigned[]){ __VA_ARGS__ }, \
		sizeof((const unsigned[]){ __VA_ARGS__ }) / sizeof(unsigned))

/* A mail that was delivered as it should be. */
static inline uint32_t t_mail(unsigned n)
{
	t_put(n);
	t_rows(0, n, n);
	return t_deliver(n, t_object(n, n), HISTORY_OK);
}

/* ---- the verdict ---- */

static inline struct oracle_case t_case(void)
{
	return (struct oracle_case){ .history = t.history,
		.s3 = t.s3,
		.cql = t.cql,
		.faults = t.faults,
		.healed_ns = t.now / 2,
		.ended_ns = t.now };
}

static inline void t_judge(void)
{
	struct oracle_case c = t_case();

	oracle_judge(t.oracle, &c, &t.verdict);
	assert_string_equal(t.verdict.unknown, "");
}

/* Such an answer at this moment, for this backend, after the write of this user's row. */
static inline void t_lie_about(
	const char *table, enum fault_kind kind, const char *backend, const char *user)
{
	struct sim_access access = { .service = "cql",
		.instance = LAB_VIEW("cassandra-1"),
		.peer = lab_view_cstr(backend),
		.received_ns = t.now,
		.operation = LAB_VIEW("INSERT"),
		.subject = lab_view_cstr(table),
		.user = lab_view_cstr(user),
		.applied = true,
		.answered = true,
		.consistency = T_QUORUM,
		.timestamp_us = T_EPOCH_US + (int64_t)(t.now / 1000) };
	struct fault_episode episode = {
		.kind = kind, .length_ns = 60 * LAB_MINUTE, .rate_ppm = 1000000
	};
	struct sim_fault_query query = { .point = "cql.write",
		.service = "cql",
		.instance = LAB_VIEW("cassandra-1"),
		.peer = lab_view_cstr(backend),
		.now_ns = t.now };
	struct sim_fault fault;
	struct lab_error err;

	t.faults = fault_plan_new(testing_heap, 1, 3);
	assert_int_equal(fault_plan_add_episode(t.faults, &episode, NULL, &err), 0);
	fault = fault_decide(t.faults, &query);
	assert_int_not_equal(fault.kind, SIM_FAULT_NONE);
	access.fault_id = fault.id;
	oracle_access(t.oracle, &access);
}

static inline void t_lie_as(enum fault_kind kind, const char *backend, const char *user)
{
	t_lie_about("mails.user_mailbox_objects", kind, backend, user);
}

static inline void t_lie_to(const char *backend, const char *user)
{
	t_lie_as(FAULT_server_error_applied, backend, user);
}

/* Exactly one finding, a failure. */
static inline const struct oracle_finding *t_finds(const char *signature)
{
	t_judge();
	if (t.verdict.count == 0)
		fail_msg("no finding, not %s", signature);
	assert_string_equal(t.verdict.findings[0].signature, signature);
	if (t.verdict.count > 1)
		fail_msg("also %s: %s", t.verdict.findings[1].signature,
			t.verdict.findings[1].sentence);
	assert_null(t.verdict.findings[0].excuse);
	return &t.verdict.findings[0];
}

static inline void t_excuses(const char *signature)
{
	t_judge();
	assert_int_equal(t.verdict.failures, 0);
	assert_int_equal(t.verdict.count, 1);
	assert_string_equal(t.verdict.findings[0].signature, signature);
	assert_non_null(t.verdict.findings[0].excuse);
}

static inline void t_passes(void)
{
	t_judge();
	if (t.verdict.count > 0)
		fail_msg("%s: %s", t.verdict.findings[0].signature, t.verdict.findings[0].sentence);
}

#endif

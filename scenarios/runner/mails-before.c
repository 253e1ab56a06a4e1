/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/mails-before.h"

#include "core/fs/compress-codec.h"
#include "core/obox/obox-private.h"
#include "scenarios/runner/client.h"

#include <stdio.h>

#define MAIL_INTERVAL_S 60
#define CQL_MAX 65536
#define CQL_ROOM 1024 /* of the statements for one mail */
#define HEADERS_MAX 8
#define OID_EXTRA 0x80 /* made under a storage-objectid-prefix (HD-3) */
#define OID_BYTES (ENV_GUID128_SIZE + 1)
#define META "x-amz-meta-dovecot-"
/* Whoever delivered them. */
#define HOST "before"
#define PID 1

struct placing {
	const struct scene *scene;
	struct workload *workload;
	struct history *history;
	struct oracle *oracle;
	struct lab_heap *heap;
	struct fs_uri_compress compress;
	bool is_compressed;
	struct lab_buf cql;
};

/* Of one user. */
struct folder_before {
	struct placing *p;
	struct user *user;
	uint64_t count;
	uint8_t guid[ENV_GUID128_SIZE];
	char guid_hex[2 * ENV_GUID128_SIZE + 1];
};

struct mail_before {
	uint64_t token;
	uint32_t bucket;
	int64_t time_s, time_us; /* unix */
	uint8_t name[ENV_GUID128_SIZE], guid[ENV_GUID128_SIZE];
	uint8_t oid[OID_BYTES];
	char name_hex[2 * ENV_GUID128_SIZE + 1], guid_hex_text[2 * ENV_GUID128_SIZE + 1];
	char oid_hex[2 * OID_BYTES + 1];
	struct lab_view body, stored;
};

static const struct scenario *scenario_of(const struct placing *p)
{
	return p->scene->options->scenario;
}

/* ---- what it is called ---- */

static void put_u32_le(uint8_t *out, uint64_t value)
{
	for (unsigned i = 0; i < 4; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

/* As env_guid128_generate() would have made it on that host at that time. */
static void make_guid(int64_t seconds, uint32_t nanos, uint8_t guid[ENV_GUID128_SIZE])
{
	uint8_t digest[LAB_DIGEST_MAX];

	put_u32_le(guid, nanos);
	put_u32_le(guid + 4, (uint64_t)seconds);
	put_u32_le(guid + 8, PID);
	lab_digest(LAB_SHA1, LAB_VIEW(HOST), digest);
	memcpy(guid + 12, digest + lab_digest_size(LAB_SHA1) - 4, 4);
}

static void name_mail(const struct folder_before *f, uint64_t index, struct mail_before *mail)
{
	uint64_t size = scenario_of(f->p)->endpoints.dictmap.bucket_size;
	int64_t start_s = (int64_t)(f->p->scene->epoch_us / 1000000);

	mail->bucket = size == 0 ? 0 : (uint32_t)(index / size);
	mail->time_s = start_s - (int64_t)(f->count - index) * MAIL_INTERVAL_S;
	mail->time_us = mail->time_s * 1000000;
	/* No two are the same, and each user has some at that time. */
	make_guid(mail->time_s, 2 * (f->user->number - 1), mail->guid);
	make_guid(mail->time_s, 2 * (f->user->number - 1) + 1, mail->name);
	memcpy(mail->oid, mail->name, ENV_GUID128_SIZE);
	mail->oid[ENV_GUID128_SIZE] = OID_EXTRA;
	lab_hex(mail->name, sizeof(mail->name), mail->name_hex);
	lab_hex(mail->guid, sizeof(mail->guid), mail->guid_hex_text);
	lab_hex(mail->oid, sizeof(mail->oid), mail->oid_hex);
}

/* ---- its object ---- */

static int make_body(const struct placing *p, struct mail_before *mail, struct lab_arena *arena,
	struct lab_error *err)
{
	enum compress_algorithm algorithm =
		compress_by_name(lab_view_cstr(fs_uri_compression_name(p->compress.algorithm)));
	struct lab_buf stored;
	int result;

	mail->stored = mail->body;
	if (!p->is_compressed)
		return 0;
	lab_buf_init(&stored, p->heap, 2 * mail->body.len + 65536);
	result = compress_encode(algorithm, (int)p->compress.level, mail->body, &stored, err);
	mail->stored = lab_arena_copy(arena, lab_buf_view(&stored));
	lab_buf_done(&stored);
	return result;
}

static struct lab_view number_text(struct lab_arena *arena, uint64_t value)
{
	return lab_view_cstr(lab_arena_printf(arena, "%" PRIu64, value));
}

/* What obox and dictmap say of a mail at its PUT (obox 4.3). */
static int place_object(const struct folder_before *f, const struct mail_before *mail,
	struct lab_arena *arena, struct lab_error *err)
{
	const struct scenario_endpoints *e = &scenario_of(f->p)->endpoints;
	struct lab_view prefix =
		lab_view_skip(e->dictmap.storage_objectid_prefix, sizeof(SCENARIO_PROBE_USER) - 1);
	struct lab_view time = number_text(arena, (uint64_t)mail->time_s);
	struct lab_http_header headers[HEADERS_MAX] = {
		{ LAB_VIEW("content-type"), LAB_VIEW("application/octet-stream") },
		{ LAB_VIEW(META "username"), lab_view_cstr(f->user->name) },
		{ LAB_VIEW(META "guid"), lab_view_cstr(mail->guid_hex_text) },
		{ LAB_VIEW(META "size"), number_text(arena, mail->body.len) },
		{ LAB_VIEW(META "received"), time },
		{ LAB_VIEW(META "saved"), time },
		{ LAB_VIEW(META "origbox"), lab_view_cstr(f->guid_hex) },
		{ LAB_VIEW(META "fname"),
			lab_view_cstr(lab_arena_printf(arena, "%s/mailboxes/%s/%s", f->user->name,
				f->guid_hex, mail->name_hex)) },
	};
	const char *slash = lab_view_ends_with(prefix, LAB_VIEW("/")) ? "" : "/";
	struct lab_view key = lab_view_cstr(lab_arena_printf(
		arena, "%s%.*s%s%s", f->user->name, LAB_VIEW_ARG(prefix), slash, mail->oid_hex));

	return s3emu_object_place(f->p->scene->s3, e->bucket, key, headers, HEADERS_MAX,
		mail->stored, mail->time_us, err);
}

/* ---- its rows ---- */

static int flush_rows(struct placing *p, struct lab_error *err)
{
	int result =
		p->cql.len == 0 ? 0 : cqlemu_execute(p->scene->cql, lab_buf_view(&p->cql), err);

	lab_assert(!p->cql.overflow);
	lab_buf_reset(&p->cql);
	return result;
}

static int place_rows(
	const struct folder_before *f, const struct mail_before *mail, struct lab_error *err)
{
	struct placing *p = f->p;
	struct lab_view keyspace = scene_connect(p->scene)->keyspace;
	const char *user = f->user->name;

	if (scenario_of(p)->endpoints.dictmap.refcounting_table)
		lab_buf_printf(&p->cql,
			"INSERT INTO %.*s.user_mailbox_objects_reverse (u,g,i,n) VALUES "
			"('%s',0x%s,0x%s,0x%s) USING TIMESTAMP %" PRId64 ";\n",
			LAB_VIEW_ARG(keyspace), user, f->guid_hex, mail->oid_hex, mail->name_hex,
			mail->time_us);
	lab_buf_printf(&p->cql,
		"INSERT INTO %.*s.user_mailbox_objects (u,g,b,n,i) VALUES "
		"('%s',0x%s,%" PRIu32 ",0x%s,0x%s) USING TIMESTAMP %" PRId64 ";\n",
		LAB_VIEW_ARG(keyspace), user, f->guid_hex, mail->bucket, mail->name_hex,
		mail->oid_hex, mail->time_us);
	return p->cql.len + CQL_ROOM > CQL_MAX ? flush_rows(p, err) : 0;
}

/* The first bucket has no row before there is a second. */
static int place_max_bucket(
	const struct folder_before *f, const struct mail_before *last, struct lab_error *err)
{
	struct placing *p = f->p;

	oracle_buckets_before(p->oracle, lab_view_cstr(f->guid_hex), last->bucket);
	if (last->bucket > 0)
		lab_buf_printf(&p->cql,
			"INSERT INTO %.*s.user_mailbox_buckets (u,g,b) VALUES "
			"('%s',0x%s,%" PRIu32 ") USING TIMESTAMP %" PRId64 ";\n",
			LAB_VIEW_ARG(scene_connect(p->scene)->keyspace), f->user->name, f->guid_hex,
			last->bucket, last->time_us);
	return flush_rows(p, err);
}

/* ---- what is known of it ---- */

static void write_down(const struct folder_before *f, const struct mail_before *mail)
{
	struct history_op op = { .kind = HISTORY_DELIVER,
		.outcome = HISTORY_OK,
		.user = lab_view_cstr(f->user->name),
		.folder = LAB_VIEW("INBOX"),
		.backend = LAB_VIEW(HOST),
		.token = mail->token,
		.body_hash = lab_hash_view(0, mail->body),
		.body_bytes = mail->body.len,
		.made = { .has_name = true, .oid_len = OID_BYTES } };

	memcpy(op.mailbox_guid, f->guid, sizeof(op.mailbox_guid));
	memcpy(op.made.name, mail->name, sizeof(op.made.name));
	memcpy(op.made.oid, mail->oid, OID_BYTES);
	history_end(f->p->history, history_invoke(f->p->history, &op), &op);
	oracle_mail_before(f->p->oracle, &op);
	client_learn_token(f->user, mail->oid, OID_BYTES, mail->token);
}

/* ---- all of them ---- */

static int place_mail(struct folder_before *f, uint64_t index, struct lab_error *err)
{
	struct placing *p = f->p;
	struct lab_arena *arena = lab_arena_new(p->heap, 4 * (size_t)MAIL_BYTES_MAX);
	struct mail_before mail = { .token = workload_next_token(f->user) };
	int result;

	name_mail(f, index, &mail);
	mail.body = workload_mail(p->workload, f->user, mail.token, arena);
	result = make_body(p, &mail, arena, err);
	if (result == 0)
		result = place_object(f, &mail, arena, err);
	if (result == 0)
		result = place_rows(f, &mail, err);
	if (result == 0)
		write_down(f, &mail);
	if (result == 0 && index + 1 == f->count)
		result = place_max_bucket(f, &mail, err);
	lab_arena_free(&arena);
	return result;
}

static int place_user(struct placing *p, struct user *user, struct lab_error *err)
{
	struct folder_before folder = {
		.p = p, .user = user, .count = workload_mails_before(p->workload, user)
	};

	obox_inbox_guid(user->name, folder.guid);
	lab_hex(folder.guid, sizeof(folder.guid), folder.guid_hex);
	for (uint64_t i = 0; i < folder.count; i++) {
		if (place_mail(&folder, i, err) < 0)
			return lab_error_wrap(err, "mails that %s had before", user->name);
	}
	return 0;
}

int mails_before_place(const struct scene *scene, struct workload *workload,
	struct history *history, struct oracle *oracle, struct lab_heap *heap,
	struct lab_error *err)
{
	struct placing p = { .scene = scene,
		.workload = workload,
		.history = history,
		.oracle = oracle,
		.heap = heap };
	struct lab_view uri = scene->options->scenario->conf.obox_fs.text;
	size_t at = lab_view_find(uri, LAB_VIEW("compress:"));
	int result = 0;

	p.is_compressed = at != SIZE_MAX;
	if (p.is_compressed && fs_uri_compress(lab_view_skip(uri, at + sizeof("compress:") - 1),
				       &p.compress, err) < 0)
		return -1;
	lab_buf_init(&p.cql, heap, CQL_MAX);
	for (size_t i = 0; i < workload_users(workload) && result == 0; i++)
		result = place_user(&p, workload_user(workload, i), err);
	lab_buf_done(&p.cql);
	return result;
}

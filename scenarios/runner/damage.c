/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios/runner/damage.h"

#include <stdio.h>

#define ITEMS_MAX 1000000
#define ARENA_MAX ((size_t)1 << 30)
#define CQL_MAX 4096
#define KEY_MAX 1024
#define MAIL_RULES \
	(ORACLE_DAMAGES(1) | ORACLE_DAMAGES(12) | ORACLE_DAMAGES(13) | ORACLE_DAMAGES(14))
#define INDEX_RULES \
	(ORACLE_DAMAGES(3) | ORACLE_DAMAGES(4) | ORACLE_DAMAGES(6) | ORACLE_DAMAGES(7) | \
		ORACLE_DAMAGES(9) | ORACLE_DAMAGES(10) | ORACLE_DAMAGES(15) | ORACLE_DAMAGES(17) | \
		ORACLE_DAMAGES(18) | ORACLE_DAMAGES(22))
/* Names, UIDVALIDITYs, and what is left of folders that get others. */
#define ROOT_RULES \
	(ORACLE_DAMAGES(6) | ORACLE_DAMAGES(7) | ORACLE_DAMAGES(9) | ORACLE_DAMAGES(11) | \
		ORACLE_DAMAGES(15) | ORACLE_DAMAGES(17) | ORACLE_DAMAGES(22))

/* A row of user_mailbox_objects. */
struct mail_row {
	struct lab_view user, guid, bucket, name, oid;
	struct mail_row *next;
};

struct rows {
	struct lab_arena *arena;
	bool live; /* which ones are wanted */
	struct mail_row *first;
	size_t count;
};

typedef int (*damage_row_fn)(struct damage *d, const struct mail_row *row, struct lab_error *err);
typedef int (*damage_nth_fn)(struct damage *d, uint64_t n, struct lab_error *err);

struct damage_backup {
	struct s3emu_object_info info;
	struct damage_backup *next;
};

static const struct scenario *scenario_of(const struct damage *d)
{
	return d->scene->options->scenario;
}

static uint64_t draw(const struct damage *d, const char *what, uint64_t n, uint64_t below)
{
	return lab_pick(lab_draw(d->scene->options->seed, what, 0, n), below);
}

static void tell(struct damage *d, const struct oracle_damage *damage)
{
	oracle_damaged(d->oracle, damage);
	d->done++;
}

/* ---- what there is ---- */

static void add_row(void *ctx, const struct cqlemu_entry *entry)
{
	struct rows *rows = ctx;
	struct mail_row *row;

	if (entry->kind != CQLEMU_ROW || entry->live != rows->live || rows->count == ITEMS_MAX ||
		cqlemu_entry_value(entry, "n").len != 16)
		return;
	row = lab_arena_new_of(rows->arena, struct mail_row);
	*row = (struct mail_row){ lab_arena_copy(rows->arena, cqlemu_entry_value(entry, "u")),
		lab_arena_copy(rows->arena, cqlemu_entry_value(entry, "g")),
		lab_arena_copy(rows->arena, cqlemu_entry_value(entry, "b")),
		lab_arena_copy(rows->arena, cqlemu_entry_value(entry, "n")),
		lab_arena_copy(rows->arena, cqlemu_entry_value(entry, "i")), rows->first };
	rows->first = row;
	rows->count++;
}

static int read_rows(struct damage *d, bool live, struct rows *ret, struct lab_error *err)
{
	const char *table = lab_arena_printf(d->arena, "%.*s.user_mailbox_objects",
		LAB_VIEW_ARG(scene_connect(d->scene)->keyspace));

	*ret = (struct rows){ .arena = d->arena, .live = live };
	return cqlemu_snapshot(
		d->scene->cql, lab_view_cstr(table), CQLEMU_MERGED, add_row, ret, err);
}

static struct mail_row *pick_row(struct damage *d, const struct rows *rows, uint64_t n)
{
	uint64_t at = draw(d, "damage.row", n, rows->count);
	struct mail_row *row = rows->first;

	while (at-- > 0)
		row = row->next;
	return row;
}

static struct lab_view bucket_of(const struct damage *d)
{
	return scenario_of(d)->endpoints.bucket;
}

/* "<user>/mails/<oid>" */
static struct lab_view object_key(struct damage *d, const struct mail_row *row)
{
	struct lab_view prefix = scenario_of(d)->endpoints.dictmap.storage_objectid_prefix;
	char hex[2 * HISTORY_OID_BYTES_MAX + 1];

	lab_hex(row->oid.ptr, LAB_MIN(row->oid.len, (size_t)HISTORY_OID_BYTES_MAX), hex);
	prefix = lab_view_skip(prefix, sizeof(SCENARIO_PROBE_USER) - 1);
	return lab_view_cstr(lab_arena_printf(
		d->arena, "%.*s%.*s%s", LAB_VIEW_ARG(row->user), LAB_VIEW_ARG(prefix), hex));
}

/* The n-th drawn object whose key has all of this in it; false: there is none. */
static bool pick_object(struct damage *d, const char *part, const char *other, uint64_t n,
	struct s3emu_object_info *ret)
{
	for (unsigned pass = 0, count = 0, at = UINT32_MAX; pass < 2; pass++) {
		struct s3emu_object_info info;
		struct s3emu_iter iter;
		struct lab_error ignored;

		if (s3emu_objects(d->scene->s3, bucket_of(d), LAB_VIEW(""), &iter, &ignored) < 0)
			return false;
		while (s3emu_objects_next(&iter, &info)) {
			if (lab_view_find(info.key, lab_view_cstr(part)) == SIZE_MAX ||
				(other != NULL &&
					lab_view_find(info.key, lab_view_cstr(other)) != SIZE_MAX))
				continue;
			if (pass == 0) {
				count++;
			} else if (at-- == 0) {
				*ret = info;
				ret->key = lab_arena_copy(d->arena, info.key);
				return true;
			}
		}
		if (count == 0)
			return false;
		at = (unsigned)draw(d, "damage.object", n, count);
	}
	return false;
}

static struct lab_view user_of_key(struct lab_view key)
{
	struct lab_view user = LAB_VIEW("");

	(void)lab_view_split(&key, '/', &user);
	return user;
}

static int place(struct damage *d, struct lab_view key, const struct s3emu_object_info *like,
	struct lab_view body, struct lab_error *err)
{
	return s3emu_object_place(d->scene->s3, bucket_of(d), key,
		like != NULL ? like->headers : NULL, like != NULL ? like->header_count : 0, body,
		(int64_t)(d->scene->epoch_us + d->now_ns / 1000), err);
}

/* ---- rows ---- */

static const char *hex_of(struct damage *d, struct lab_view bytes)
{
	char *hex = lab_arena_alloc(d->arena, 2 * bytes.len + 1);

	lab_hex(bytes.ptr, bytes.len, hex);
	return hex;
}

static uint32_t number_of(struct lab_view bucket)
{
	uint32_t n = 0;

	for (size_t i = 0; i < bucket.len && i < 4; i++)
		n = n << 8 | bucket.ptr[i];
	return n;
}

static int execute(struct damage *d, const char *text, struct lab_error *err)
{
	return cqlemu_execute(d->scene->cql, lab_view_cstr(text), err);
}

static int lose_forward_row(struct damage *d, const struct mail_row *row, struct lab_error *err)
{
	struct oracle_damage told = { .reason = "its forward row was taken away on purpose",
		.user = row->user,
		.name = row->name,
		.invariants = d->is_rebuilt ? 0
					    : ORACLE_DAMAGES(1) | ORACLE_DAMAGES(13) |
						      ORACLE_DAMAGES(15) };
	/* Expunges are in a bundle before they are in the listing; this one is in none. Who numbers
	 * the folder by its listing numbers what came after the mail as if it had never been. */
	struct oracle_damage uids = { .reason = "the row of a mail whose UID no bundle had was "
						"taken away on purpose",
		.user = row->user,
		.name = row->name,
		.of_folder = true,
		.invariants = d->is_rebuilt ? 0 : ORACLE_DAMAGES(7) | ORACLE_DAMAGES(9),
		.until_ns = d->now_ns,
		.unless_stored = true };

	oracle_damaged(d->oracle, &uids);
	tell(d, &told);
	return execute(d,
		lab_arena_printf(d->arena,
			"DELETE FROM %.*s.user_mailbox_objects WHERE u = '%.*s' AND g = 0x%s AND b "
			"= %" PRIu32 " AND n = 0x%s",
			LAB_VIEW_ARG(scene_connect(d->scene)->keyspace), LAB_VIEW_ARG(row->user),
			hex_of(d, row->guid), number_of(row->bucket), hex_of(d, row->name)),
		err);
}

static int lose_reverse_row(struct damage *d, const struct mail_row *row, struct lab_error *err)
{
	struct oracle_damage told = { .reason = "its reverse row was taken away on purpose",
		.user = row->user,
		.oid = row->oid,
		.invariants = d->is_rebuilt ? 0 : MAIL_RULES };

	tell(d, &told);
	return execute(d,
		lab_arena_printf(d->arena,
			"DELETE FROM %.*s.user_mailbox_objects_reverse WHERE i = 0x%s AND n = "
			"0x%s",
			LAB_VIEW_ARG(scene_connect(d->scene)->keyspace), hex_of(d, row->oid),
			hex_of(d, row->name)),
		err);
}

/* A tombstone that was purged before a replica that had missed it came back (obox 3.9). Stamped so
 * that it counts whatever clock has deleted it, delete-timestamp and all. */
static int resurrect_row(struct damage *d, const struct mail_row *row, struct lab_error *err)
{
	struct oracle_damage told = { .reason = "its row was put back on purpose",
		.user = row->user,
		.name = row->name,
		.invariants = MAIL_RULES | ORACLE_DAMAGES(2) | ORACLE_DAMAGES(3) |
			      ORACLE_DAMAGES(4) | ORACLE_DAMAGES(5) | ORACLE_DAMAGES(15) };
	/* A finding about UIDs is about a folder, of which this mail has a second one. */
	struct oracle_damage uids = { .reason = "the row of a mail that had a UID was put back on "
						"purpose",
		.user = row->user,
		.name = row->name,
		.of_folder = true,
		.invariants = ORACLE_DAMAGES(9) };

	oracle_damaged(d->oracle, &uids);
	tell(d, &told);
	return execute(d,
		lab_arena_printf(d->arena,
			"INSERT INTO %.*s.user_mailbox_objects (u,g,b,n,i) VALUES "
			"('%.*s',0x%s,%" PRIu32 ",0x%s,0x%s80) USING TIMESTAMP %" PRIu64,
			LAB_VIEW_ARG(scene_connect(d->scene)->keyspace), LAB_VIEW_ARG(row->user),
			hex_of(d, row->guid), number_of(row->bucket), hex_of(d, row->name),
			hex_of(d, row->name),
			d->scene->epoch_us + d->now_ns / 1000 + 11 * UINT64_C(1000000)),
		err);
}

static int lose_object(struct damage *d, const struct mail_row *row, struct lab_error *err)
{
	struct oracle_damage told = { .reason = "its object was taken away on purpose",
		.user = row->user,
		.oid = row->oid,
		.invariants = MAIL_RULES | ORACLE_DAMAGES(21) };

	(void)err;
	if (s3emu_object_take_away(d->scene->s3, bucket_of(d), object_key(d, row)) > 0)
		tell(d, &told);
	return 0;
}

static int damage_rows(
	struct damage *d, uint64_t count, bool live, damage_row_fn fn, struct lab_error *err)
{
	struct rows rows;

	if (read_rows(d, live, &rows, err) < 0)
		return -1;
	for (uint64_t n = 0; n < count && rows.count > 0; n++) {
		if (fn(d, pick_row(d, &rows, n), err) < 0)
			return -1;
	}
	return 0;
}

/* ---- objects ---- */

int damage_backup(struct damage *d, struct lab_error *err)
{
	struct s3emu_object_info info;
	struct s3emu_iter iter;

	if (d->arena == NULL)
		d->arena = lab_arena_new(d->heap, ARENA_MAX);
	if (s3emu_objects(d->scene->s3, bucket_of(d), LAB_VIEW(""), &iter, err) < 0)
		return -1;
	while (s3emu_objects_next(&iter, &info)) {
		struct damage_backup *kept = lab_arena_new_of(d->arena, struct damage_backup);
		struct lab_http_header *headers =
			lab_arena_array(d->arena, struct lab_http_header, info.header_count);

		if (lab_view_find(info.key, LAB_VIEW("/idx/")) != SIZE_MAX)
			continue;
		for (size_t h = 0; h < info.header_count; h++) {
			headers[h].name = lab_arena_copy(d->arena, info.headers[h].name);
			headers[h].value = lab_arena_copy(d->arena, info.headers[h].value);
		}
		kept->info = info;
		kept->info.key = lab_arena_copy(d->arena, info.key);
		kept->info.body = lab_arena_copy(d->arena, info.body);
		kept->info.headers = headers;
		kept->next = d->backup;
		d->backup = kept;
	}
	return 0;
}

/* What was expunged since is there again, without rows. */
static int restore_objects(struct damage *d, uint64_t count, struct lab_error *err)
{
	for (struct damage_backup *b = d->backup; b != NULL && count > 0; b = b->next) {
		struct oracle_damage told = { .reason = "its object was restored on purpose",
			.user = user_of_key(b->info.key),
			.invariants = d->is_collected ? 0 : ORACLE_DAMAGES(15) };
		struct s3emu_object_info now;
		uint8_t oid[HISTORY_OID_BYTES_MAX];
		struct lab_view hex = lab_view_skip(b->info.key, b->info.key.len - 34);

		if (s3emu_object_find(d->scene->s3, bucket_of(d), b->info.key, &now) != 0 ||
			b->info.key.len < 34 || lab_unhex(hex, oid, 17) < 0)
			continue;
		if (place(d, b->info.key, &b->info, b->info.body, err) < 0)
			return -1;
		told.oid = lab_view_of(oid, 17);
		tell(d, &told);
		count--;
	}
	return 0;
}

/* Another program's: objects beside mails and bundles, and a row in the folder of a mail. */
static int plant(struct damage *d, uint64_t n, struct lab_error *err)
{
	static const char *const names[] = { "mails/README.txt", "mails/0011", "idx/notes.txt",
		"mails/00112233445566778899aabbccddeeff80" };
	struct rows rows;
	struct oracle_damage told = { .reason = "somebody else's" };
	const struct mail_row *row;
	char name[32];

	if (read_rows(d, true, &rows, err) < 0 || rows.count == 0)
		return rows.count == 0 ? 0 : -1;
	row = pick_row(d, &rows, n);
	told.user = row->user;
	told.planted = lab_view_cstr(lab_arena_printf(
		d->arena, "%.*s/%s", LAB_VIEW_ARG(row->user), names[n % LAB_COUNT_OF(names)]));
	if (place(d, told.planted, NULL, LAB_VIEW("not a mail\n"), err) < 0)
		return -1;
	tell(d, &told);
	(void)snprintf(name, sizeof(name), "foreign %" PRIu64, n);
	told.planted = lab_view_cstr(lab_arena_printf(d->arena, "%s", name));
	tell(d, &told);
	return execute(d,
		lab_arena_printf(d->arena,
			"INSERT INTO %.*s.user_mailbox_objects (u,g,b,n,i) VALUES "
			"('%.*s',0x%s,0,0x%s,0x00)",
			LAB_VIEW_ARG(scene_connect(d->scene)->keyspace), LAB_VIEW_ARG(row->user),
			hex_of(d, row->guid), hex_of(d, told.planted)),
		err);
}

/* ---- bundles ---- */

/* The upload ended before its row was written. */
static int leave_half_bundle(struct damage *d, uint64_t n, struct lab_error *err)
{
	struct s3emu_object_info like;
	struct oracle_damage told = { .reason = "a half uploaded bundle was left on purpose" };
	struct lab_view key;
	uint8_t guid[8];
	char hex[17];

	if (!pick_object(d, "/idx/", NULL, n, &like) || like.key.len < 16)
		return 0;
	for (size_t i = 0; i < sizeof(guid); i++)
		guid[i] = (uint8_t)draw(d, "damage.guid", n * 8 + i, 256);
	lab_hex(guid, sizeof(guid), hex);
	key = lab_view_cstr(lab_arena_printf(
		d->arena, "%.*s%s", (int)(like.key.len - 16), (const char *)like.key.ptr, hex));
	if (place(d, key, &like,
		    lab_arena_copy(d->arena, lab_view_sub(like.body, 0, like.body.len / 2)),
		    err) < 0)
		return -1;
	told.user = user_of_key(key);
	/* Collected, it must be gone; else it is nobody's business. */
	if (!d->is_collected)
		told.planted = key;
	tell(d, &told);
	return 0;
}

/* "user/mailboxes/<guid>/idx/..." */
static struct lab_view guid_of_key(struct lab_view key)
{
	size_t at = lab_view_find(key, LAB_VIEW("/mailboxes/"));

	key = lab_view_skip(key, at == SIZE_MAX ? key.len : at + strlen("/mailboxes/"));
	return lab_view_sub(key, 0, LAB_MIN(key.len, (size_t)2 * HISTORY_NAME_BYTES));
}

/* Cut off, or with a byte that is another one. */
static int spoil_bundle(struct damage *d, uint64_t n, struct lab_error *err)
{
	struct s3emu_object_info like;
	struct oracle_damage told = { .reason = "a bundle was damaged on purpose",
		.invariants = INDEX_RULES };
	struct lab_view body;

	if (!pick_object(d, "/mailboxes/", "/mails/", n, &like) || like.body.len == 0 ||
		lab_view_find(like.key, LAB_VIEW("/idx/")) == SIZE_MAX)
		return 0;
	body = lab_arena_copy(d->arena, like.body);
	if (draw(d, "damage.how", n, 2) == 0)
		body.len = (size_t)draw(d, "damage.length", n, body.len);
	else
		((uint8_t *)(uintptr_t)body.ptr)[draw(d, "damage.byte", n, body.len)] ^= 0x5a;
	if (place(d, like.key, &like, body, err) < 0)
		return -1;
	told.user = user_of_key(like.key);
	if (lab_unhex(guid_of_key(like.key), told.mailbox_guid, sizeof(told.mailbox_guid)) < 0)
		return lab_fail(err, LAB_CORRUPT, "the key of a bundle names no folder");
	tell(d, &told);
	return 0;
}

/* All of one user: the names of its folders are nowhere else. */
static int lose_root(struct damage *d, uint64_t n, struct lab_error *err)
{
	struct s3emu_object_info like, info;
	struct oracle_damage told = { .reason =
					      "the user's root bundles were taken away on purpose",
		.invariants = ROOT_RULES };
	struct lab_view prefix;
	struct s3emu_iter iter;

	if (!pick_object(d, "/idx/", "/mailboxes/", n, &like))
		return 0;
	told.user = user_of_key(like.key);
	prefix = lab_view_cstr(lab_arena_printf(d->arena, "%.*s/idx/", LAB_VIEW_ARG(told.user)));
	for (;;) {
		if (s3emu_objects(d->scene->s3, bucket_of(d), prefix, &iter, err) < 0)
			return -1;
		if (!s3emu_objects_next(&iter, &info) || !lab_view_starts_with(info.key, prefix))
			break;
		(void)s3emu_object_take_away(
			d->scene->s3, bucket_of(d), lab_arena_copy(d->arena, info.key));
	}
	tell(d, &told);
	return 0;
}

/* ---- the keyspace ---- */

static int lose_keyspace(struct damage *d)
{
	struct oracle_damage told = {
		.reason = "the keyspace was lost on purpose: what metadata and bundles do not know "
			  "of copies, moves and expunges is not what it was (H-13)",
		.invariants = ORACLE_DAMAGES(1) | ORACLE_DAMAGES(2) | ORACLE_DAMAGES(3) |
			      ORACLE_DAMAGES(4) | ORACLE_DAMAGES(5) | ORACLE_DAMAGES(9),
		.copies_only = true,
		.until_ns = d->now_ns,
		.unless_stored = true
	};

	cqlemu_empty(d->scene->cql);
	d->is_total = true;
	tell(d, &told);
	return 0;
}

/* ---- one of them ---- */

static enum scenario_damage pick_kind(const struct damage *d)
{
	unsigned kinds = scenario_of(d)->damage, count = 0;

	for (unsigned k = 0; k < SCENARIO_DAMAGE_COUNT; k++)
		count += kinds >> k & 1;
	count = (unsigned)draw(d, "damage.kind", 0, count);
	for (unsigned k = 0; k < SCENARIO_DAMAGE_COUNT; k++) {
		if ((kinds >> k & 1) != 0 && count-- == 0)
			return (enum scenario_damage)k;
	}
	lab_assert(kinds != 0);
	return SCENARIO_DAMAGE_COUNT;
}

static int repeat(struct damage *d, uint64_t count, damage_nth_fn fn, struct lab_error *err)
{
	for (uint64_t n = 0; n < count; n++) {
		if (fn(d, n, err) < 0)
			return -1;
	}
	return 0;
}

int damage_apply(struct damage *d, struct lab_error *err)
{
	uint64_t count = scene_knob(d->scene, &scenario_of(d)->damage_count, "damage.count", 0);

	if (d->arena == NULL)
		d->arena = lab_arena_new(d->heap, ARENA_MAX);
	switch (pick_kind(d)) {
	case SCENARIO_DAMAGE_LOST_ROWS:
		return damage_rows(d, count, true, lose_forward_row, err);
	case SCENARIO_DAMAGE_LOST_REVERSE_ROWS:
		return damage_rows(d, count, true, lose_reverse_row, err);
	case SCENARIO_DAMAGE_LOST_OBJECTS:
		return damage_rows(d, count, true, lose_object, err);
	case SCENARIO_DAMAGE_RESURRECTED_ROWS:
		return damage_rows(d, count, false, resurrect_row, err);
	case SCENARIO_DAMAGE_RESTORED_OBJECTS:
		return restore_objects(d, count, err);
	case SCENARIO_DAMAGE_FOREIGN:
		return repeat(d, count, plant, err);
	case SCENARIO_DAMAGE_HALF_BUNDLES:
		return repeat(d, count, leave_half_bundle, err);
	case SCENARIO_DAMAGE_BAD_BUNDLES:
		return repeat(d, count, spoil_bundle, err);
	case SCENARIO_DAMAGE_LOST_ROOT:
		return repeat(d, count, lose_root, err);
	case SCENARIO_DAMAGE_LOST_KEYSPACE:
		return lose_keyspace(d);
	case SCENARIO_DAMAGE_COUNT:
		break;
	}
	return 0;
}

void damage_free(struct damage *d)
{
	lab_arena_free(&d->arena);
	d->backup = NULL;
}

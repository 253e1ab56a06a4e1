/* SPDX-License-Identifier: Apache-2.0
 *
 * store.c - what the services hold at the end: invariants 12 (no dangling row), 13 (forward rows
 * are reverse rows), 14 (no body deleted under a row), 15 (no leak without cause), 16
 * (buckets), 30.
 */
#include "sim/oracle/oracle-private.h"

#include <stdio.h>
#include <stdlib.h>

/* Requests of an operation may be applied that long after it ended. */
#define AFTERMATH (2 * LAB_MINUTE)
#define ROWS_MAX ORACLE_NAMES_MAX

struct row {
	struct lab_view user, guid, name, oid;
	uint32_t bucket;
	uint64_t pair; /* of user, folder, name and object id: equal in both tables */
	uint64_t key;  /* of the object */
	struct row *next;
};

struct rows {
	struct oracle *oracle;
	struct row *first, **last;
	size_t count;
	struct lab_map *pairs; /* pair -> row */
};

struct store {
	struct oracle *oracle;
	const struct oracle_case *c;
	struct rows forward, reverse;
	struct lab_map *referenced;   /* key -> the first forward row */
	struct lab_map *reverse_keys; /* key -> a reverse row */
	struct lab_map *deleted; /* key -> the last applied delete of it (struct oracle_line *) */
	struct lab_map *buckets; /* user, guid, bucket -> rows */
	struct lab_map *max_bucket; /* user, guid -> max_bucket + 1 */
};

static struct lab_view u64_view(const uint64_t *value)
{
	return lab_view_of(value, sizeof(*value));
}

static uint32_t int_of(struct lab_view value)
{
	uint32_t n = 0;

	for (size_t i = 0; i < value.len && i < 4; i++)
		n = n << 8 | value.ptr[i];
	return n;
}

/* ---- reading the tables ---- */

static void add_row(void *ctx, const struct cqlemu_entry *entry)
{
	struct rows *rows = ctx;
	struct lab_arena *arena = rows->oracle->work;
	struct row *row;

	if (entry->kind != CQLEMU_ROW || !entry->live || rows->count == ROWS_MAX ||
		oracle_is_planted(rows->oracle, cqlemu_entry_value(entry, "n")))
		return;
	row = lab_arena_new_of(arena, struct row);
	row->user = lab_arena_copy(arena, cqlemu_entry_value(entry, "u"));
	row->guid = lab_arena_copy(arena, cqlemu_entry_value(entry, "g"));
	row->name = lab_arena_copy(arena, cqlemu_entry_value(entry, "n"));
	row->oid = rows->oracle->settings.rows_are_paths
			   ? row->name
			   : lab_arena_copy(arena, cqlemu_entry_value(entry, "i"));
	row->bucket = int_of(cqlemu_entry_value(entry, "b"));
	row->pair = lab_hash_view(
		lab_hash_view(lab_hash_view(lab_hash_view(0, row->user), row->guid), row->name),
		row->oid);
	row->key = oracle_object_key(rows->oracle, row->user, row->oid);
	*rows->last = row;
	rows->last = &row->next;
	rows->count++;
	*oracle_slot(rows->pairs, u64_view(&row->pair)) = row;
}

static void read_rows(struct store *store, const char *table, struct rows *rows)
{
	struct oracle *oracle = store->oracle;
	struct lab_view name = lab_view_cstr(lab_arena_printf(
		oracle->work, "%.*s.%s", LAB_VIEW_ARG(oracle->settings.keyspace), table));
	struct lab_error err;

	*rows = (struct rows){ .oracle = oracle,
		.pairs = lab_map_new(oracle->settings.heap, ROWS_MAX) };
	rows->last = &rows->first;
	if (cqlemu_snapshot(store->c->cql, name, CQLEMU_MERGED, add_row, rows, &err) < 0)
		oracle_unknown(oracle, "table %.*s: %s", LAB_VIEW_ARG(name), err.message);
	if (rows->count == ROWS_MAX)
		oracle_unknown(oracle, "table %.*s has too many rows", LAB_VIEW_ARG(name));
}

static void add_max_bucket(void *ctx, const struct cqlemu_entry *entry)
{
	struct store *store = ctx;
	struct oracle_key key;

	if (entry->kind != CQLEMU_ROW || !entry->live ||
		lab_map_count(store->max_bucket) == ROWS_MAX)
		return;
	*oracle_slot(store->max_bucket, oracle_key3(&key, cqlemu_entry_value(entry, "u"),
						cqlemu_entry_value(entry, "g"), LAB_VIEW(""))) =
		(void *)((uintptr_t)int_of(cqlemu_entry_value(entry, "b")) + 1);
}

static void read_max_buckets(struct store *store)
{
	struct oracle *oracle = store->oracle;
	struct lab_view name = lab_view_cstr(lab_arena_printf(oracle->work,
		"%.*s.user_mailbox_buckets", LAB_VIEW_ARG(oracle->settings.keyspace)));
	struct lab_error err;

	if (oracle->settings.bucket_size > 0 && cqlemu_snapshot(store->c->cql, name, CQLEMU_MERGED,
							add_max_bucket, store, &err) < 0)
		oracle_unknown(oracle, "table %.*s: %s", LAB_VIEW_ARG(name), err.message);
}

static void read_deletes(struct store *store)
{
	struct oracle *oracle = store->oracle;

	for (size_t i = 0; i < oracle->line_count; i++) {
		struct oracle_line *line = oracle_line_at(oracle, i);

		if (line->what == ORACLE_S3_DELETE && line->applied)
			*oracle_slot(store->deleted, u64_view(&line->key)) = line;
	}
}

/* ---- words ---- */

static void describe(
	const struct row *row, const struct oracle_instance *instance, char *out, size_t size)
{
	char hex[33];
	struct lab_view guid = lab_view_sub(row->guid, 0, 16);

	if (instance != NULL) {
		(void)snprintf(out, size, "%.*s/%.*s", LAB_VIEW_ARG(instance->user),
			LAB_VIEW_ARG(instance->folder));
		return;
	}
	lab_hex(guid.ptr, guid.len, hex);
	(void)snprintf(out, size, "%.*s/folder %s", LAB_VIEW_ARG(row->user), hex);
}

/* "mail 0000000700000012", or what else is known of it. */
static void describe_mail(uint64_t token, char out[80])
{
	if (token != 0)
		(void)snprintf(out, 80, "mail %016" PRIx64, token);
	else
		(void)snprintf(out, 80, "a mail whose delivery was never acknowledged");
}

static uint64_t token_of(const struct oracle_instance *instance, const struct oracle_object *object)
{
	if (instance != NULL && instance->token != 0)
		return instance->token;
	return object == NULL ? 0 : object->token;
}

static void why_line(struct oracle *oracle, struct oracle_finding *f,
	const struct oracle_line *line, const char *what)
{
	const struct lab_view *peer = oracle->peer_names[line->peer];

	oracle_why(f, "%.*s %s at %" PRIu64 ".%03u s, after event #%" PRIu64,
		LAB_VIEW_ARG(peer == NULL ? LAB_VIEW("?") : *peer), what, line->time_ns / LAB_SEC,
		(unsigned)(line->time_ns / LAB_MSEC % 1000), line->event);
}

static void about_instance(struct oracle_finding *f, struct oracle_instance *instance)
{
	if (instance == NULL)
		return;
	instance->is_blamed = true;
	if (instance->maker != NULL) {
		f->op = instance->maker->id;
		oracle_why_op(f, instance->maker);
	}
	if (instance->removed != NULL)
		oracle_why_op(f, instance->removed);
	else if (instance->maybe_removed != NULL)
		oracle_why_op(f, instance->maybe_removed);
}

/* ---- 12, 14: rows without an object ---- */

static const char *excuse_dangling(
	const struct store *store, const struct oracle_instance *instance)
{
	const struct oracle_settings *s = &store->oracle->settings;

	if (s->objects_were_lost)
		return "objects were taken away on purpose";
	if (s->rows_were_resurrected)
		return "rows were put back on purpose";
	if (instance != NULL && oracle_excuse_race(store->oracle, instance) != NULL)
		return oracle_excuse_race(store->oracle, instance);
	/* A DELETE without effect on one of its two rows. */
	if (instance != NULL && (instance->removed != NULL || instance->maybe_removed != NULL) &&
		oracle_excuse_clock(store->oracle, store->c) != NULL)
		return oracle_excuse_clock(store->oracle, store->c);
	return oracle_excuse_weak(store->oracle);
}

/* The key of its object; it ends with a NUL. */
static struct lab_view row_object(const struct oracle *oracle, const struct row *row)
{
	char guid[33], name[33];

	if (!oracle->settings.stores_paths || row->oid.len != HISTORY_NAME_BYTES)
		return oracle_object_key_text(oracle, row->user, row->oid);
	lab_hex(row->guid.ptr, LAB_MIN(row->guid.len, (size_t)16), guid);
	lab_hex(row->oid.ptr, row->oid.len, name);
	return lab_view_cstr(lab_arena_printf(
		oracle->work, "%.*s/mailboxes/%s/%s", LAB_VIEW_ARG(row->user), guid, name));
}

static void dangling(struct store *store, const struct row *row)
{
	struct oracle *oracle = store->oracle;
	struct oracle_instance *instance =
		oracle_instance_by_name(&oracle->model, row->user, row->name);
	struct oracle_object *object = oracle_object_find(&oracle->model, row->user, row->oid);
	const struct oracle_line *line = lab_map_get(store->deleted, u64_view(&row->key));
	uint64_t token = token_of(instance, object);
	bool acknowledged = instance != NULL && instance->made == ORACLE_MADE_OK;
	char where[400], mail[80];
	struct oracle_finding *f;

	oracle->verdict->dangling_rows++;
	if (instance != NULL && instance->is_blamed)
		return;
	describe(row, instance, where, sizeof(where));
	describe_mail(token, mail);
	if (line != NULL && acknowledged)
		f = oracle_find(oracle, 14, "I14 body deleted under a row",
			"%.230s: the body of %s was deleted while a row referred to it", where,
			mail);
	else
		f = oracle_find(oracle, 12, "I12 dangling row", "%.230s: %s has a row, but no body",
			where, mail);
	f->token = token;
	f->time_ns = line != NULL ? line->time_ns : store->c->ended_ns;
	about_instance(f, instance);
	if (f->op == 0 && object != NULL)
		f->op = object->last->op->id;
	oracle_why(f, "the row names object %.150s, which is not in the storage",
		row_object(oracle, row).ptr);
	if (line != NULL)
		why_line(oracle, f, line, "deleted it");
	f->excuse = excuse_dangling(store, instance);
}

static bool is_stored(const struct store *store, struct lab_view key)
{
	struct scalemu_object_info in_ring;
	struct s3emu_object_info in_bucket;

	if (store->c->ring != NULL)
		return scalemu_object_find(store->c->ring, key, &in_ring) != 0;
	return s3emu_object_find(store->c->s3, store->oracle->settings.bucket, key, &in_bucket) !=
	       0;
}

static void check_dangling(struct store *store)
{
	struct oracle *oracle = store->oracle;

	for (struct row *row = store->forward.first; row != NULL; row = row->next) {
		struct lab_arena_mark mark = lab_arena_mark(oracle->work);

		if (!is_stored(store, row_object(oracle, row)))
			dangling(store, row);
		lab_arena_rewind(oracle->work, mark);
	}
}

/* ---- causes of leaks ---- */

/* When it was first stored; UINT64_MAX: never. */
static uint64_t stored_ns(const struct oracle *oracle, uint64_t key)
{
	for (size_t i = 0; i < oracle->line_count; i++) {
		const struct oracle_line *line = oracle_line_at(oracle, i);

		if (line->what == ORACLE_S3_PUT && line->key == key)
			return line->time_ns;
	}
	return UINT64_MAX;
}

/* A mail of a folder that was gone is saved again under a new name, and no client asked for that.
 */
static bool was_saving_again(const struct oracle *oracle, struct lab_view user, uint64_t key)
{
	const struct oracle_instance *i = oracle->model.first_instance;
	uint64_t at;

	while (i != NULL && !(i->may_be_saved_again && lab_view_eq(i->user, user)))
		i = i->next;
	at = i == NULL ? UINT64_MAX : stored_ns(oracle, key);
	return at != UINT64_MAX && oracle_had_trouble(oracle, oracle_sent_ns(at), at + AFTERMATH);
}

/* Did anything fail while this object was worked on? */
static bool has_cause(const struct store *store, struct lab_view user,
	const struct oracle_object *object, uint64_t key)
{
	const struct oracle *oracle = store->oracle;
	uint64_t last;

	/* A delivery that was cut off before it could say what it made. */
	if (object == NULL || !object->is_delivered) {
		if (lab_map_get(oracle->model.unnamed, user) != NULL)
			return true;
	}
	/* A bundle that was left behind, if bundles have object ids like mails. */
	if (object == NULL)
		return (oracle->model.bundles_have_ids &&
			       oracle_had_trouble(oracle, 0, UINT64_MAX)) ||
		       was_saving_again(oracle, user, key);
	last = object->last_ns > UINT64_MAX - AFTERMATH ? UINT64_MAX : object->last_ns + AFTERMATH;
	return object->has_trouble || oracle_had_trouble(oracle, object->first_ns, last);
}

static void about_object(struct oracle_finding *f, const struct oracle_object *object)
{
	if (object == NULL)
		return;
	f->token = object->token;
	f->op = object->last->op->id;
	for (const struct oracle_touch *t = object->first; t != NULL; t = t->next) {
		if (t->op->kind != HISTORY_FETCH)
			oracle_why_op(f, t->op);
	}
}

/* ---- 13: forward rows are reverse rows ---- */

static void missing_reverse(struct store *store, const struct row *row)
{
	struct oracle *oracle = store->oracle;
	struct oracle_instance *instance =
		oracle_instance_by_name(&oracle->model, row->user, row->name);
	uint64_t token =
		token_of(instance, oracle_object_find(&oracle->model, row->user, row->oid));
	char where[400], mail[80];
	struct oracle_finding *f;

	if (instance != NULL && instance->is_blamed)
		return;
	describe(row, instance, where, sizeof(where));
	describe_mail(token, mail);
	f = oracle_find(oracle, 13, "I13 reverse row missing",
		"%.230s: %s has no reverse row: expunging a copy of it would delete its body",
		where, mail);
	f->token = token;
	f->time_ns = store->c->ended_ns;
	about_instance(f, instance);
	/* What clients see of it tells more. */
	if (instance != NULL)
		instance->is_blamed = false;
	f->excuse = oracle->settings.rows_were_resurrected ? "rows were put back on purpose"
							   : oracle_excuse_clock(oracle, store->c);
	if (f->excuse == NULL)
		f->excuse = oracle_excuse_weak(oracle);
}

static void extra_reverse(struct store *store, const struct row *row)
{
	struct oracle *oracle = store->oracle;
	struct oracle_object *object = oracle_object_find(&oracle->model, row->user, row->oid);
	char where[400], mail[80];
	struct oracle_finding *f;

	oracle->verdict->leaked_reverse_rows++;
	if (has_cause(store, row->user, object, oracle_key_hash(oracle, row_object(oracle, row))))
		return;
	describe(row, oracle_instance_by_name(&oracle->model, row->user, row->name), where,
		sizeof(where));
	describe_mail(object == NULL ? 0 : object->token, mail);
	f = oracle_find(oracle, 13, "I13 reverse row without cause",
		"%.230s: %s has a reverse row without a forward row, and nothing had failed", where,
		mail);
	f->time_ns = store->c->ended_ns;
	about_object(f, object);
	f->excuse = oracle_excuse_clock(oracle, store->c);
	if (f->excuse == NULL)
		f->excuse = oracle_excuse_weak(oracle);
}

static void check_pairs(struct store *store)
{
	/* Without refcounting-table nobody writes reverse rows. */
	if (store->reverse.count == 0 && store->oracle->reverse_inserts == 0 &&
		!store->oracle->settings.has_reverse_rows)
		return;
	for (struct row *row = store->forward.first; row != NULL; row = row->next) {
		if (lab_map_get(store->reverse.pairs, u64_view(&row->pair)) == NULL)
			missing_reverse(store, row);
	}
	for (struct row *row = store->reverse.first; row != NULL; row = row->next) {
		if (lab_map_get(store->forward.pairs, u64_view(&row->pair)) == NULL)
			extra_reverse(store, row);
	}
}

/* ---- 15: leaked objects ---- */

/* The user of a mail's key "user/mails/hex"; ptr NULL if it is none. */
static struct lab_view key_user(const struct oracle *oracle, struct lab_view key)
{
	struct lab_view prefix = oracle->settings.object_prefix;
	size_t at = lab_view_find(key, prefix);
	struct lab_view user, name;

	if (oracle->settings.stores_paths && oracle_path_parse(key, &user, &name))
		return user;
	if (prefix.len == 0 || at == SIZE_MAX || at == 0 ||
		lab_view_find_byte(lab_view_skip(key, at + prefix.len), '/') != SIZE_MAX)
		return (struct lab_view){ NULL, 0 };
	return lab_view_sub(key, 0, at);
}

/* Garbage was collected since everything had ended. */
static void uncollected(struct store *store, struct lab_view key_text, struct lab_view user)
{
	struct oracle_finding *f = oracle_find(store->oracle, 15, "I15 leak was not collected",
		"%.*s: an object without any row is left after garbage collection",
		LAB_VIEW_ARG(user));

	f->time_ns = store->oracle->collected_ns;
	oracle_why(f, "object %.*s", LAB_VIEW_ARG(key_text));
}

static void leaked(
	struct store *store, struct lab_view key_text, struct lab_view user, uint64_t key)
{
	struct oracle *oracle = store->oracle;
	struct oracle_object *object = lab_map_get(oracle->model.object_keys, u64_view(&key));
	char mail[80];
	struct oracle_finding *f;

	oracle->verdict->leaked_objects++;
	if ((object == NULL ? 0 : object->first_ns) < oracle->collected_ns &&
		lab_map_get(store->reverse_keys, u64_view(&key)) == NULL) {
		uncollected(store, key_text, user);
		return;
	}
	if (has_cause(store, user, object, key))
		return;
	describe_mail(object == NULL ? 0 : object->token, mail);
	f = oracle_find(oracle, 15, "I15 leak without cause",
		"%.*s: the body of %s is stored without a row, and nothing had failed",
		LAB_VIEW_ARG(user), mail);
	f->time_ns = store->c->ended_ns;
	about_object(f, object);
	oracle_why(f, "object %.*s", LAB_VIEW_ARG(key_text));
	f->excuse = oracle_excuse_clock(oracle, store->c);
	if (f->excuse == NULL)
		f->excuse = oracle_excuse_weak(oracle);
}

static void check_leak(struct store *store, struct lab_view key_text, struct lab_view user)
{
	uint64_t key = oracle_key_hash(store->oracle, key_text);

	if (oracle_is_planted(store->oracle, key_text))
		return;
	if (user.ptr != NULL && lab_map_get(store->referenced, u64_view(&key)) == NULL &&
		lab_map_get(store->oracle->model.bundle_keys, u64_view(&key)) == NULL)
		leaked(store, key_text, user, key);
}

/* The user of a mail's object that is named by an id: byte 17 of its key says that it is a mail
 * (obox 4.1), its metadata whose. */
static struct lab_view ring_user(
	const struct oracle *oracle, const struct scalemu_object_info *info)
{
	if (!oracle->settings.keys_are_ids)
		return key_user(oracle, info->key);
	if (!lab_view_eq_cstr(lab_view_sub(info->key, 34, 2), "01"))
		return (struct lab_view){ NULL, 0 };
	return scalemu_metadata(info, "dovecot-username");
}

static void check_ring_leaks(struct store *store)
{
	struct scalemu_iter iter = scalemu_objects(store->c->ring);
	struct scalemu_object_info info;

	while (scalemu_objects_next(&iter, &info))
		check_leak(store, info.key, ring_user(store->oracle, &info));
}

static void check_leaks(struct store *store)
{
	struct oracle *oracle = store->oracle;
	struct s3emu_object_info info;
	struct s3emu_iter iter;
	struct lab_error err;

	if (store->c->ring != NULL) {
		check_ring_leaks(store);
		return;
	}
	if (s3emu_objects(store->c->s3, oracle->settings.bucket, LAB_VIEW(""), &iter, &err) < 0) {
		oracle_unknown(oracle, "storage: %s", err.message);
		return;
	}
	while (s3emu_objects_next(&iter, &info))
		check_leak(store, info.key, key_user(oracle, info.key));
}

/* ---- 16: buckets ---- */

static void bucket_finding(struct store *store, const struct row *row, const char *signature,
	const char *what, uint64_t have, uint64_t limit)
{
	char where[400];
	struct oracle_finding *f;

	describe(row, oracle_instance_by_name(&store->oracle->model, row->user, row->name), where,
		sizeof(where));
	f = oracle_find(store->oracle, 16, signature,
		"%.230s: bucket %" PRIu32 " %s: %" PRIu64 ", allowed are %" PRIu64, where,
		row->bucket, what, have, limit);
	f->time_ns = store->c->ended_ns;
}

static void check_buckets(struct store *store)
{
	const struct oracle_settings *s = &store->oracle->settings;

	for (struct row *row = store->forward.first; s->bucket_size > 0 && row != NULL;
		row = row->next) {
		uint8_t number[4] = { (uint8_t)(row->bucket >> 24), (uint8_t)(row->bucket >> 16),
			(uint8_t)(row->bucket >> 8), (uint8_t)row->bucket };
		struct oracle_key key;
		void **rows = oracle_slot(store->buckets,
			oracle_key3(&key, row->user, row->guid, lab_view_of(number, 4)));
		uintptr_t max = (uintptr_t)lab_map_get(
			store->max_bucket, oracle_key3(&key, row->user, row->guid, LAB_VIEW("")));
		uint64_t count = (uintptr_t)*rows + 1;

		*rows = (void *)(uintptr_t)count;
		if (count == s->bucket_size + s->bucket_parallelism + 1)
			bucket_finding(store, row, "I16 bucket too full", "has too many rows",
				count, s->bucket_size + s->bucket_parallelism);
		max = max > 0 ? max - 1 : 0;
		if (row->bucket > max && count == 1) {
			bucket_finding(store, row, "I16 row above max_bucket",
				"is above max_bucket", row->bucket, max);
			store->oracle->findings[store->oracle->finding_count - 1].excuse =
				oracle_clock_error(store->oracle, store->c) > 0
					? "clocks differ: an older max_bucket may hide a newer one"
					: NULL;
		}
	}
}

/* ---- 30: objects of two users ---- */

static void check_shared(struct store *store)
{
	struct oracle *oracle = store->oracle;
	struct lab_map *owners = lab_map_new(oracle->settings.heap, ROWS_MAX);

	for (struct row *row = store->forward.first; row != NULL; row = row->next) {
		void **slot = oracle_slot(owners, row->oid);
		const struct row *other = *slot;
		struct oracle_finding *f;

		if (other == NULL) {
			*slot = row;
			continue;
		}
		if (lab_view_eq(other->user, row->user))
			continue;
		f = oracle_find(oracle, 30, "I30 object of two users",
			"%.*s and %.*s have rows of the same object", LAB_VIEW_ARG(other->user),
			LAB_VIEW_ARG(row->user));
		f->time_ns = store->c->ended_ns;
	}
	lab_map_free(&owners);
}

/* ---- all of them ---- */

void oracle_check_store(struct oracle *oracle, const struct oracle_case *c)
{
	struct lab_heap *heap = oracle->settings.heap;
	struct store store = { .oracle = oracle, .c = c };
	struct lab_map **maps[] = { &store.referenced, &store.reverse_keys, &store.deleted,
		&store.buckets, &store.max_bucket, &store.forward.pairs, &store.reverse.pairs };

	if (!oracle->settings.has_dictmap) {
		oracle_check_paths(oracle, c);
		return;
	}
	for (size_t i = 0; i < 5; i++)
		*maps[i] = lab_map_new(heap, ROWS_MAX);
	read_rows(&store, "user_mailbox_objects", &store.forward);
	read_rows(&store, "user_mailbox_objects_reverse", &store.reverse);
	read_max_buckets(&store);
	read_deletes(&store);
	for (struct row *row = store.forward.first; row != NULL; row = row->next)
		*oracle_slot(store.referenced, u64_view(&row->key)) = row;
	for (struct row *row = store.reverse.first; row != NULL; row = row->next)
		*oracle_slot(store.reverse_keys, u64_view(&row->key)) = row;
	if (!oracle->verdict->is_unknown || store.forward.count > 0) {
		check_dangling(&store);
		check_pairs(&store);
		check_leaks(&store);
		check_buckets(&store);
		check_shared(&store);
	}
	for (size_t i = 0; i < LAB_COUNT_OF(maps); i++)
		lab_map_free(maps[i]);
}

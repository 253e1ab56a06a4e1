/* SPDX-License-Identifier: Apache-2.0
 *
 * bundles.c - rows and objects of index bundles at the end: invariants 17 (rows have objects; what
 * a diff needs is there), 18 (how many there are), and 15 for them (no leak without cause).
 *
 * A diff may outlive its base when another host has replaced it (obox 5.3): any state that includes
 * the base will do, so a directory with a diff needs a base, but not that one.
 */
#include "sim/oracle/oracle-private.h"

#define FOLDERS "/mailboxes/"
#define INDEX "/idx/"
#define GUID_HEX 32

enum kind {
	KIND_BASE,
	KIND_DIFF,
	KIND_SELF
};

/* Requests of an upload may be applied that long after it ended. */
#define AFTERMATH (2 * LAB_MINUTE)

struct base {
	struct lab_view name;
	struct base *next;
};

/* The bundles of a folder, or of a user's root. */
struct directory {
	const char *text; /* for messages: "user1/folder 0123..." */
	const char *path; /* "user1/mailboxes/0123.../idx/" */
	uint64_t rows[3]; /* by kind */
	struct base *bases;
	struct directory *next;
};

struct bundles {
	struct oracle *oracle;
	const struct oracle_case *c;
	struct lab_map *directories; /* path */
	struct lab_map *written;     /* hash of an object's key -> the first PUT of it */
	struct directory *first, **last;
};

static struct lab_view hash_view(const uint64_t *hash)
{
	return lab_view_of(hash, sizeof(*hash));
}

/* ---- directories ---- */

static struct directory *directory_of(struct bundles *b, struct lab_view user, struct lab_view guid)
{
	struct lab_arena *arena = b->oracle->work;
	char hex[GUID_HEX + 1] = "";
	struct directory *directory;
	const char *path;
	void **slot;

	lab_hex(guid.ptr, LAB_MIN(guid.len, (size_t)GUID_HEX / 2), hex);
	path = lab_arena_printf(
		arena, "%.*s%s%s" INDEX, LAB_VIEW_ARG(user), guid.len > 0 ? FOLDERS : "", hex);
	slot = oracle_slot(b->directories, lab_view_cstr(path));
	if (*slot != NULL)
		return *slot;
	*slot = directory = lab_arena_new_of(arena, struct directory);
	directory->path = path;
	directory->text =
		guid.len == 0 ? lab_arena_printf(arena, "%.*s/root", LAB_VIEW_ARG(user))
			      : lab_arena_printf(arena, "%.*s/folder %s", LAB_VIEW_ARG(user), hex);
	*b->last = directory;
	b->last = &directory->next;
	return directory;
}

static enum kind kind_of(struct lab_view name)
{
	if (!lab_view_starts_with(name, LAB_VIEW("bundle.")))
		return KIND_SELF;
	return lab_view_find_byte(name, '-') == SIZE_MAX ? KIND_BASE : KIND_DIFF;
}

static bool is_stored(const struct bundles *b, struct lab_view key)
{
	struct scalemu_object_info in_ring;
	struct s3emu_object_info in_bucket;

	if (b->c->ring != NULL)
		return scalemu_object_find(b->c->ring, key, &in_ring) != 0;
	return s3emu_object_find(b->c->s3, b->oracle->settings.bucket, key, &in_bucket) != 0;
}

/* ---- 17 ---- */

static const char *excuse(const struct bundles *b, struct lab_view user)
{
	const struct oracle_settings *s = &b->oracle->settings;

	if (s->objects_were_lost)
		return "objects were taken away on purpose";
	if (s->rows_were_resurrected)
		return "rows were put back on purpose";
	if (oracle_excuse_clock(b->oracle, b->c) != NULL)
		return oracle_excuse_clock(b->oracle, b->c);
	if (oracle_excuse_lie(b->oracle, b->c, user) != NULL)
		return oracle_excuse_lie(b->oracle, b->c, user);
	return oracle_excuse_weak(b->oracle);
}

static void dangling(struct bundles *b, const struct directory *directory, struct lab_view user,
	struct lab_view name)
{
	struct oracle_finding *f = oracle_find(b->oracle, 17, "I17 bundle row without object",
		"%.200s: bundle %.*s has a row, but is not stored", directory->text,
		LAB_VIEW_ARG(name));

	f->time_ns = b->c->ended_ns;
	f->excuse = excuse(b, user);
}

/* "<object id in hex>/<name>", or the name alone where the path is the key (HD-10). */
static void add(struct bundles *b, struct lab_view user, struct lab_view guid, struct lab_view name,
	struct lab_view oid)
{
	struct oracle *oracle = b->oracle;
	struct directory *directory = directory_of(b, user, guid);
	struct lab_view key = oid.len > 0 ? oracle_object_key_text(oracle, user, oid)
					  : lab_view_cstr(lab_arena_printf(oracle->work, "%s%.*s",
						    directory->path, LAB_VIEW_ARG(name)));
	uint64_t hash = lab_hash_view(0, key);

	directory->rows[kind_of(name)]++;
	if (kind_of(name) == KIND_BASE) {
		struct base *base = lab_arena_new_of(oracle->work, struct base);

		*base = (struct base){ name, directory->bases };
		directory->bases = base;
	}
	*oracle_slot(oracle->model.bundle_keys, hash_view(&hash)) = directory;
	oracle->model.bundles_have_ids |= oid.len > 0;
	if (!is_stored(b, key))
		dangling(b, directory, user, name);
}

static struct lab_view copy_of(
	struct bundles *b, const struct cqlemu_entry *entry, const char *column)
{
	return lab_arena_copy(b->oracle->work, cqlemu_entry_value(entry, column));
}

static void add_index_row(void *ctx, const struct cqlemu_entry *entry)
{
	struct bundles *b = ctx;

	if (entry->kind == CQLEMU_ROW && entry->live)
		add(b, copy_of(b, entry, "u"), copy_of(b, entry, "g"), copy_of(b, entry, "n"),
			copy_of(b, entry, "i"));
}

static void add_diff_row(void *ctx, const struct cqlemu_entry *entry)
{
	struct bundles *b = ctx;
	struct lab_view name, oid = LAB_VIEW("");
	uint8_t bytes[HISTORY_OID_BYTES_MAX];
	size_t slash;

	if (entry->kind != CQLEMU_ROW || !entry->live)
		return;
	name = copy_of(b, entry, "m");
	slash = lab_view_find_byte(name, '/');
	if (slash != SIZE_MAX && slash / 2 <= sizeof(bytes) &&
		lab_unhex(lab_view_sub(name, 0, slash), bytes, slash / 2) == 0) {
		oid = lab_arena_copy(b->oracle->work, lab_view_of(bytes, slash / 2));
		name = lab_view_skip(name, slash + 1);
	}
	add(b, copy_of(b, entry, "u"), copy_of(b, entry, "g"), name, oid);
}

static void read_table(struct bundles *b, const char *table,
	void (*row)(void *ctx, const struct cqlemu_entry *entry))
{
	struct oracle *oracle = b->oracle;
	struct lab_view name = lab_view_cstr(lab_arena_printf(
		oracle->work, "%.*s.%s", LAB_VIEW_ARG(oracle->settings.keyspace), table));
	struct lab_error err;

	/* A schema without bundles has none. */
	if (cqlemu_snapshot(b->c->cql, name, CQLEMU_MERGED, row, b, &err) < 0 &&
		err.code != LAB_NOT_FOUND)
		oracle_unknown(oracle, "table %.*s: %s", LAB_VIEW_ARG(name), err.message);
}

/* ---- 17, 18: directories ---- */

static struct oracle_finding *directory_finding(struct bundles *b,
	const struct directory *directory, unsigned invariant, const char *signature,
	const char *what, uint64_t count)
{
	struct lab_view user = lab_view_cstr(directory->path);
	struct oracle_finding *f = oracle_find(b->oracle, invariant, signature,
		"%.200s: %s (%" PRIu64 ")", directory->text, what, count);

	user.len = LAB_MIN(
		lab_view_find(user, LAB_VIEW(FOLDERS)), lab_view_find(user, LAB_VIEW(INDEX)));
	f->time_ns = b->c->ended_ns;
	f->excuse = excuse(b, user);
	return f;
}

static const char *who_left_two(
	const struct bundles *b, const struct directory *directory, uint64_t *event)
{
	for (const struct base *x = directory->bases; x != NULL; x = x->next) {
		for (const struct base *y = x->next; y != NULL; y = y->next) {
			const char *host = oracle_who_left_both(b->oracle, x->name, y->name, event);

			if (host != NULL)
				return host;
		}
	}
	return NULL;
}

static void check_directory(struct bundles *b, const struct directory *directory)
{
	struct oracle_finding *f;
	const char *host;
	uint64_t event;

	if (directory->rows[KIND_DIFF] > 0 && directory->rows[KIND_BASE] == 0)
		(void)directory_finding(b, directory, 17, "I17 diff without a base",
			"there are diff bundles, and no base", directory->rows[KIND_DIFF]);
	/* What could not be deleted stays until the next upload, and so does what two wrote at
	 * once. */
	if (directory->rows[KIND_BASE] < 2 || oracle_had_trouble(b->oracle, 0, UINT64_MAX))
		return;
	host = who_left_two(b, directory, &event);
	if (host == NULL)
		return;
	f = directory_finding(b, directory, 18, "I18 too many bundles",
		"there is more than one base bundle, and nothing had failed",
		directory->rows[KIND_BASE]);
	oracle_why(f,
		"%s began to write a bundle at event #%" PRIu64
		", and knew of one that this leaves too many",
		host, event);
}

/* ---- 15 ---- */

static void read_log(struct bundles *b)
{
	for (size_t i = 0; i < b->oracle->line_count; i++) {
		struct oracle_line *line = oracle_line_at(b->oracle, i);
		void **slot;

		if (line->what != ORACLE_S3_PUT)
			continue;
		slot = oracle_slot(b->written, hash_view(&line->key));
		if (*slot == NULL)
			*slot = line;
	}
}

/* Of "user/idx/name" and "user/mailboxes/guid/idx/name" the user; ptr NULL if it is none. */
static struct lab_view user_of(struct lab_view key)
{
	size_t at = lab_view_find(key, LAB_VIEW(INDEX)), folders;

	if (at == SIZE_MAX || at == 0)
		return (struct lab_view){ NULL, 0 };
	folders = lab_view_find(key, LAB_VIEW(FOLDERS));
	return lab_view_sub(key, 0, LAB_MIN(at, folders));
}

static void check_leak(struct bundles *b, struct lab_view key)
{
	uint64_t hash = lab_hash_view(0, key);
	struct lab_view user = user_of(key);
	const struct oracle_line *line;
	struct oracle_finding *f;

	if (user.ptr == NULL ||
		lab_map_get(b->oracle->model.bundle_keys, hash_view(&hash)) != NULL ||
		oracle_is_planted(b->oracle, key))
		return;
	b->oracle->verdict->leaked_objects++;
	line = lab_map_get(b->written, hash_view(&hash));
	if (line != NULL && line->time_ns < b->oracle->collected_ns) {
		f = oracle_find(b->oracle, 15, "I15 leak was not collected",
			"%.*s: bundle %.*s is left after garbage collection", LAB_VIEW_ARG(user),
			LAB_VIEW_ARG(key));
		f->time_ns = b->c->ended_ns;
		return;
	}
	/* Whatever failed since may have been the deletion of it. */
	if (line == NULL ||
		oracle_had_trouble(b->oracle, oracle_sent_ns(line->time_ns), UINT64_MAX) ||
		line->time_ns + AFTERMATH > b->c->ended_ns)
		return;
	f = oracle_find(b->oracle, 15, "I15 leak without cause",
		"%.*s: bundle %.*s is stored without a row, and nothing had failed since it was "
		"written",
		LAB_VIEW_ARG(user), LAB_VIEW_ARG(key));
	f->time_ns = b->c->ended_ns;
	f->excuse = excuse(b, user);
}

static void check_leaks(struct bundles *b)
{
	struct oracle *oracle = b->oracle;
	struct scalemu_object_info in_ring;
	struct s3emu_object_info info;
	struct scalemu_iter ring;
	struct s3emu_iter iter;
	struct lab_error err;

	if (b->c->ring != NULL) {
		ring = scalemu_objects(b->c->ring);
		while (!oracle->settings.keys_are_ids && scalemu_objects_next(&ring, &in_ring))
			check_leak(b, in_ring.key);
		return;
	}
	if (s3emu_objects(b->c->s3, oracle->settings.bucket, LAB_VIEW(""), &iter, &err) < 0) {
		oracle_unknown(oracle, "storage: %s", err.message);
		return;
	}
	while (s3emu_objects_next(&iter, &info))
		check_leak(b, info.key);
}

void oracle_check_bundles(struct oracle *oracle, const struct oracle_case *c)
{
	struct bundles b = { .oracle = oracle, .c = c };
	struct lab_map **maps[] = { &b.directories, &b.written };

	if (!oracle->settings.has_dictmap)
		return;
	for (size_t i = 0; i < LAB_COUNT_OF(maps); i++)
		*maps[i] = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX);
	b.last = &b.first;
	read_table(&b, "user_index_objects", add_index_row);
	read_table(&b, "user_mailbox_index_objects", add_index_row);
	read_table(&b, "user_index_diff_objects", add_diff_row);
	read_table(&b, "user_mailbox_index_diff_objects", add_diff_row);
	read_log(&b);
	for (const struct directory *d = b.first; d != NULL; d = d->next)
		check_directory(&b, d);
	check_leaks(&b);
	for (size_t i = 0; i < LAB_COUNT_OF(maps); i++)
		lab_map_free(maps[i]);
}

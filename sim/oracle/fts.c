/* SPDX-License-Identifier: Apache-2.0
 *
 * fts.c - full text search: invariant 28 (searches find what has the word, and nothing else; the
 * index is what the folders are), and 12, 13, 15 for its rows and objects.
 *
 * Which words a mail has was written down when it was delivered, by somebody who knows nothing of
 * the index. A search must find what its session had seen listed by the same backend.
 */
#include "sim/oracle/oracle-private.h"

#define FTS "/fts/"
/* Requests of an upload may be applied that long after it ended. */
#define AFTERMATH (2 * LAB_MINUTE)
#define NAME_BYTES 34 /* "D.<32 hex digits>" */

struct fts {
	struct oracle *oracle;
	const struct oracle_case *c;
	struct lab_map *rows;    /* "user/name" of rows -> fts */
	struct lab_map *written; /* hash of an object's key -> the first PUT of it */
};

/* ---- 28: searches ---- */

/* 1: the mail has what the search is for, 0: it has not, -1: nobody knows. */
static int is_match(const struct fts *f, const struct history_op *op, uint64_t token)
{
	const struct history_op *delivery;

	if (token == 0)
		return -1;
	if (op->words == 0)
		return token == op->token;
	delivery = lab_map_get(f->oracle->model.owners, lab_view_of(&token, sizeof(token)));
	if (delivery == NULL || (delivery->words & HISTORY_WORDS_KNOWN) == 0)
		return -1;
	return (delivery->words & op->words) != 0;
}

static uint64_t token_of(const struct oracle_instance *instance)
{
	if (instance->token != 0)
		return instance->token;
	return instance->object == NULL ? 0 : instance->object->token;
}

/* It was there all the time that the search took, and can be read. */
static bool must_be_there(const struct oracle_instance *instance, const struct history_op *search)
{
	const struct history_op *gone[] = { instance->removed, instance->maybe_removed };

	if (instance->made != ORACLE_MADE_OK || instance->is_blamed)
		return false;
	for (size_t i = 0; i < LAB_COUNT_OF(gone); i++) {
		if (gone[i] != NULL && gone[i]->invoked_ns < search->ended_ns)
			return false;
	}
	return instance->removed != NULL || instance->maybe_removed != NULL ||
	       (instance->fetched != NULL && instance->fetched->outcome == HISTORY_OK);
}

static void search_finding(const struct fts *f, const struct history_op *op, uint64_t token,
	const char *signature, const char *what)
{
	struct oracle_finding *finding =
		oracle_find(f->oracle, 28, signature, "%.*s/%.*s: a search %s mail %016" PRIx64,
			LAB_VIEW_ARG(op->user), LAB_VIEW_ARG(op->folder), what, token);

	finding->token = token;
	finding->op = op->id;
	finding->time_ns = op->ended_ns;
	oracle_why_op(finding, op);
}

static struct oracle_instance *instance_of(
	const struct fts *f, const struct history_op *op, const struct history_object *object)
{
	return object->has_name
		       ? oracle_instance_find(&f->oracle->model, op->user, op->folder, object->name)
		       : NULL;
}

static struct lab_map *check_found(const struct fts *f, const struct history_op *op)
{
	struct lab_map *names = lab_map_new(f->oracle->settings.heap, ORACLE_NAMES_MAX);
	size_t count;
	const struct history_sighting *found = history_sightings(f->c->history, op->id, &count);

	for (size_t i = 0; i < count; i++) {
		const struct oracle_instance *instance = instance_of(f, op, &found[i].object);
		uint64_t token = instance == NULL ? 0 : token_of(instance);

		*oracle_slot(names, lab_view_of(found[i].object.name, HISTORY_NAME_BYTES)) = names;
		if (is_match(f, op, token) == 0)
			search_finding(f, op, token, "I28 search found a mail without the word",
				"found, without the word in it,");
	}
	return names;
}

/* What its session had selected, on the same backend. */
static const struct history_op *view_of(const struct fts *f, const struct history_op *op)
{
	const struct history_op *view;

	if (op->view == 0 || op->view > history_count(f->c->history))
		return NULL;
	view = history_op(f->c->history, op->view - 1);
	if (view->outcome != HISTORY_OK || view->boot != op->boot ||
		!lab_view_eq(view->backend, op->backend) ||
		memcmp(view->mailbox_guid, op->mailbox_guid, sizeof(op->mailbox_guid)) != 0)
		return NULL;
	return view;
}

static void check_search(const struct fts *f, const struct history_op *op)
{
	const struct history_op *view = view_of(f, op);
	struct lab_map *names = check_found(f, op);
	const struct history_sighting *seen = NULL;
	size_t count = 0;

	if (view != NULL)
		seen = history_sightings(f->c->history, view->id, &count);
	for (size_t i = 0; i < count; i++) {
		struct lab_view name = lab_view_of(seen[i].object.name, HISTORY_NAME_BYTES);
		const struct oracle_instance *instance = instance_of(f, op, &seen[i].object);

		if (instance == NULL || lab_map_get(names, name) != NULL ||
			is_match(f, op, token_of(instance)) != 1 || !must_be_there(instance, op))
			continue;
		search_finding(f, op, token_of(instance), "I28 search missed a mail",
			"did not find, with the word in it,");
	}
	lab_map_free(&names);
}

/* ---- 28: checks ---- */

static const char *state_name(unsigned state)
{
	static const char *const names[] = {
#define X(name, text) [HISTORY_FTS_##name] = text,
		HISTORY_FTS_STATES(X)
#undef X
	};

	return names[state];
}

static void check_finding(const struct fts *f, const struct history_op *op, unsigned state,
	const char *signature, const char *what)
{
	struct oracle_finding *finding = oracle_find(f->oracle, 28, signature,
		"%.*s: fts check full tells of %" PRIu32 " mails that are %s, %s",
		LAB_VIEW_ARG(op->user), op->fts_check[state], state_name(state), what);

	finding->op = op->id;
	finding->time_ns = op->ended_ns;
	oracle_why_op(finding, op);
}

static void check_states(const struct fts *f, const struct history_op *op)
{
	bool had_trouble = oracle_had_trouble(f->oracle, 0, UINT64_MAX);

	for (unsigned state = 0; state < HISTORY_FTS_STATE_COUNT; state++) {
		bool is_good = state == HISTORY_FTS_SYNCED || state == HISTORY_FTS_SYNCED_EXPUNGED;
		bool is_missing =
			state == HISTORY_FTS_MISSING || state == HISTORY_FTS_MISSING_UNEXPUNGED;

		if (is_good || op->fts_check[state] == 0)
			continue;
		if (is_missing && op->is_converged)
			check_finding(f, op, state, "I28 mail missing from the index",
				"although all folders were searched");
		else if (!had_trouble)
			check_finding(
				f, op, state, "I28 index is not in sync", "and nothing had failed");
	}
}

/* A mail that cannot be read can be in no index; it has a finding of its own. */
static bool has_unreadable(const struct fts *f)
{
	return f->oracle->settings.objects_were_lost || f->oracle->finding_count > 0;
}

static void check_history(const struct fts *f)
{
	size_t count = history_count(f->c->history);
	bool skips_checks = has_unreadable(f);

	for (size_t i = 0; i < count; i++) {
		const struct history_op *op = history_op(f->c->history, i);

		if (op->outcome != HISTORY_OK)
			continue;
		if (op->kind == HISTORY_SEARCH)
			check_search(f, op);
		else if (op->kind == HISTORY_FTS_CHECK && !skips_checks)
			check_states(f, op);
	}
}

/* ---- 12, 13, 15: rows and objects ---- */

static const char *excuse(const struct fts *f, struct lab_view user)
{
	const struct oracle_settings *s = &f->oracle->settings;

	if (s->objects_were_lost)
		return "objects were taken away on purpose";
	if (s->rows_were_resurrected)
		return "rows were put back on purpose";
	if (oracle_excuse_clock(f->oracle, f->c) != NULL)
		return oracle_excuse_clock(f->oracle, f->c);
	if (oracle_excuse_lie(f->oracle, f->c, user) != NULL)
		return oracle_excuse_lie(f->oracle, f->c, user);
	return oracle_excuse_weak(f->oracle);
}

static bool is_stored(const struct fts *f, struct lab_view key)
{
	struct scalemu_object_info in_ring;
	struct s3emu_object_info in_bucket;

	if (f->c->ring != NULL)
		return scalemu_object_find(f->c->ring, key, &in_ring) != 0;
	return s3emu_object_find(f->c->s3, f->oracle->settings.bucket, key, &in_bucket) != 0;
}

static void row_finding(const struct fts *f, struct lab_view key, unsigned invariant,
	const char *signature, const char *what)
{
	struct oracle_finding *finding =
		oracle_find(f->oracle, invariant, signature, "%.*s %s", LAB_VIEW_ARG(key), what);

	finding->time_ns = f->c->ended_ns;
	finding->excuse = excuse(f, lab_view_sub(key, 0, lab_view_find(key, LAB_VIEW(FTS))));
}

static void add_row(void *ctx, const struct cqlemu_entry *entry)
{
	struct fts *f = ctx;
	struct lab_view user = cqlemu_entry_value(entry, "u"), name;
	struct lab_view key;

	if (entry->kind != CQLEMU_ROW || !entry->live)
		return;
	name = cqlemu_entry_value(entry, "n");
	key = lab_view_cstr(lab_arena_printf(
		f->oracle->work, "%.*s" FTS "%.*s", LAB_VIEW_ARG(user), LAB_VIEW_ARG(name)));
	*oracle_slot(f->rows, key) = f;
	/* With object ids the key is another one. */
	if (cqlemu_entry_value(entry, "i").len == 0 && !is_stored(f, key))
		row_finding(
			f, key, 12, "I12 FTS row without object", "has a row, and is not stored");
}

static bool has_part(const struct fts *f, struct lab_view key, char kind)
{
	char *other = lab_arena_cstr(f->oracle->work, key);

	other[key.len - NAME_BYTES] = kind;
	return lab_map_get(f->rows, lab_view_of(other, key.len)) != NULL;
}

static const struct oracle_line *first_put(const struct fts *f, struct lab_view key)
{
	uint64_t hash = lab_hash_view(0, key);

	return lab_map_get(f->written, lab_view_of(&hash, sizeof(hash)));
}

/* Whatever fails: who sees the documents may look for the words. What was never sent may be in
 * fts-cache; and with object ids keys say nothing. */
static bool is_late(const struct fts *f, struct lab_view docs, char kind)
{
	char *other = lab_arena_cstr(f->oracle->work, docs);
	const struct oracle_line *first = first_put(f, docs), *part;

	other[docs.len - NAME_BYTES] = kind;
	part = first_put(f, lab_view_of(other, docs.len));
	return first != NULL && part != NULL && part->time_ns > first->time_ns;
}

/* A triplet is three objects. */
static void check_triplets(const struct fts *f)
{
	struct lab_map_iter iter = lab_map_iterate(f->rows);
	bool had_trouble = oracle_had_trouble(f->oracle, 0, UINT64_MAX);
	struct lab_view key;
	void *value;

	while (lab_map_next(&iter, &key, &value)) {
		if (key.len <= NAME_BYTES || key.ptr[key.len - NAME_BYTES] != 'D')
			continue;
		if (!had_trouble && (!has_part(f, key, 'W') || !has_part(f, key, 'L')))
			row_finding(f, key, 13, "I13 FTS triplet is not whole",
				"has a row, and its words or lists have none");
		else if (is_late(f, key, 'W') || is_late(f, key, 'L'))
			row_finding(f, key, 13, "I13 FTS triplet begun at its end",
				"was stored before its words or lists were");
	}
}

static void read_log(const struct fts *f)
{
	for (size_t i = 0; i < f->oracle->line_count; i++) {
		struct oracle_line *line = oracle_line_at(f->oracle, i);
		void **slot;

		if (line->what != ORACLE_S3_PUT)
			continue;
		slot = oracle_slot(f->written, lab_view_of(&line->key, sizeof(line->key)));
		if (*slot == NULL)
			*slot = line;
	}
}

static void check_leak(const struct fts *f, struct lab_view key)
{
	const struct oracle_line *line = first_put(f, key);

	if (lab_view_find(key, LAB_VIEW(FTS)) == SIZE_MAX || lab_map_get(f->rows, key) != NULL)
		return;
	f->oracle->verdict->leaked_objects++;
	if (line == NULL ||
		oracle_had_trouble(f->oracle, oracle_sent_ns(line->time_ns), UINT64_MAX) ||
		line->time_ns + AFTERMATH > f->c->ended_ns)
		return;
	row_finding(f, key, 15, "I15 FTS leak without cause",
		"is stored without a row, and nothing had failed since it was written");
}

static void check_leaks(const struct fts *f)
{
	struct s3emu_object_info info;
	struct s3emu_iter iter;
	struct lab_error err;

	/* With object ids nothing tells them from others there. */
	if (f->c->ring != NULL || lab_map_count(f->rows) == 0)
		return;
	if (s3emu_objects(f->c->s3, f->oracle->settings.bucket, LAB_VIEW(""), &iter, &err) < 0) {
		oracle_unknown(f->oracle, "storage: %s", err.message);
		return;
	}
	while (s3emu_objects_next(&iter, &info))
		check_leak(f, info.key);
}

static void check_store(struct fts *f)
{
	struct oracle *oracle = f->oracle;
	struct lab_view table = lab_view_cstr(lab_arena_printf(
		oracle->work, "%.*s.user_fts_objects", LAB_VIEW_ARG(oracle->settings.keyspace)));
	struct lab_error err;

	if (!oracle->settings.has_dictmap)
		return;
	if (cqlemu_snapshot(f->c->cql, table, CQLEMU_MERGED, add_row, f, &err) < 0) {
		if (err.code != LAB_NOT_FOUND)
			oracle_unknown(oracle, "table %.*s: %s", LAB_VIEW_ARG(table), err.message);
		return;
	}
	read_log(f);
	check_triplets(f);
	check_leaks(f);
}

void oracle_check_fts(struct oracle *oracle, const struct oracle_case *c)
{
	struct fts f = { .oracle = oracle,
		.c = c,
		.rows = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX),
		.written = lab_map_new(oracle->settings.heap, ORACLE_NAMES_MAX) };

	check_history(&f);
	check_store(&f);
	lab_map_free(&f.written);
	lab_map_free(&f.rows);
}

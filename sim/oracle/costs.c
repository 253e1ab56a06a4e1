/* SPDX-License-Identifier: Apache-2.0
 *
 * costs.c - invariant 36: an action asks for what the table of costs says, no more and no less.
 *
 * Each user has a ledger: what the services logged for him, and what his actions may have cost,
 * from operations and from events of the metacache. When nothing of his is under way the two must
 * be equal, request by request; then both begin anew. What differs may still be on its way, so it
 * has to differ for LATE. Where anything failed, or something was done that is not in the table,
 * the ledger begins anew without a word.
 */
#include "sim/oracle/oracle-private.h"

#include <stdio.h>

#define QUIET (200 * LAB_MSEC)
#define NEAR (10 * LAB_SEC)
#define LATE (60 * LAB_SEC)
#define TROUBLE_LASTS (2 * LAB_MINUTE)
#define CACHE_BYTES_SURE (256u * 1024 * 1024)
#define WHY_BYTES 256

#define COST_NOTHING
#define COST_TERM(request, count) { COST_##request, count, false },
#define COST_MOST(request, count) { COST_##request, count, true },
static const struct cost_line lines[] = {
#define COST(name, action, source, ...) { #name, action, source, { __VA_ARGS__ } },
#include "sim/oracle/costs.def"
#undef COST
};

const struct cost_line *cost_line(enum cost_action action)
{
	lab_assert(action < COST_ACTION_COUNT);
	return &lines[action];
}

const char *cost_request_name(enum cost_request request)
{
	static const char *const names[] = {
#define X(name, text) text,
		COST_REQUESTS(X)
#undef X
	};

	lab_assert(request < COST_REQUEST_COUNT);
	return names[request];
}

/* ---- ledgers ---- */

struct ledger {
	struct lab_view user;
	uint64_t seen[COST_REQUEST_COUNT], low[COST_REQUEST_COUNT], high[COST_REQUEST_COUNT];
	uint64_t actions[COST_ACTION_COUNT];
	unsigned open;         /* operations under way */
	uint64_t since_ns;     /* when it began anew */
	uint64_t last_ns;      /* of the last request */
	uint64_t different_ns; /* since when it differs; 0: it does not */
	bool is_spoiled, is_blamed;
	bool is_unsure; /* from now on nobody knows which bundles there are */
	struct ledger *next;
};

/* An object of a mail. */
struct cost_object {
	struct ledger *ledger;
	uint32_t references;
	uint32_t copies_open;
	bool is_unsure; /* an operation on it failed, or was not seen */
};

/* An object in a backend's fscache: since when, and in which life of the backend. */
struct cost_cached {
	uint32_t boot;
	uint64_t since_ns;
};

/* A bundle that is stored. */
struct cost_bundle {
	struct lab_view host;
	uint64_t uploaded_ns;
	bool is_base;
	struct cost_bundle *next;
};
struct cost_directory {
	struct cost_bundle *bundles;
	struct lab_map *refreshed; /* host -> when its last refresh began */
};

struct costs {
	struct lab_heap *heap;
	struct lab_arena *arena;
	struct lab_map *ledgers;     /* user -> struct ledger */
	struct lab_map *objects;     /* object id -> struct cost_object */
	struct lab_map *cached;      /* host, object id -> struct cost_cached */
	struct lab_map *directories; /* user, folder GUID -> struct cost_directory */
	struct lab_map *buckets;     /* folder GUID in hex -> max_bucket + 1 */
	struct ledger *first, **last;
	uint64_t cached_bytes;
	uint64_t trouble_ns;   /* the last; 0: none */
	uint32_t call;         /* the command whose operations end now */
	uint64_t call_deleted; /* last references of it so far */
	struct cost_report report;
};

struct costs *costs_new(struct lab_heap *heap)
{
	struct costs *costs = lab_new(heap, struct costs);

	costs->heap = heap;
	costs->arena = lab_arena_new(heap, (size_t)4 << 30);
	costs->ledgers = lab_map_new(heap, ORACLE_NAMES_MAX);
	costs->objects = lab_map_new(heap, ORACLE_NAMES_MAX);
	costs->cached = lab_map_new(heap, ORACLE_NAMES_MAX);
	costs->directories = lab_map_new(heap, ORACLE_NAMES_MAX);
	costs->buckets = lab_map_new(heap, ORACLE_NAMES_MAX);
	costs->last = &costs->first;
	return costs;
}

void costs_free(struct costs **costs_p)
{
	struct costs *costs = *costs_p;
	struct lab_map_iter iter;
	struct lab_view key;
	void *value;

	if (costs == NULL)
		return;
	iter = lab_map_iterate(costs->directories);
	while (lab_map_next(&iter, &key, &value))
		lab_map_free(&((struct cost_directory *)value)->refreshed);
	lab_map_free(&costs->ledgers);
	lab_map_free(&costs->objects);
	lab_map_free(&costs->cached);
	lab_map_free(&costs->directories);
	lab_map_free(&costs->buckets);
	lab_arena_free(&costs->arena);
	lab_heap_free(costs->heap, costs);
	*costs_p = NULL;
}

void costs_trouble(struct costs *costs, uint64_t time_ns)
{
	costs->trouble_ns = time_ns;
}

static struct ledger *ledger_of(struct costs *costs, struct lab_view user)
{
	void **slot = lab_map_slot(costs->ledgers, user);
	struct ledger *ledger;

	lab_assert(slot != NULL);
	if (*slot == NULL) {
		*slot = ledger = lab_arena_new_of(costs->arena, struct ledger);
		ledger->user = lab_arena_copy(costs->arena, user);
		*costs->last = ledger;
		costs->last = &ledger->next;
	}
	return *slot;
}

static void act(struct costs *costs, struct ledger *ledger, enum cost_action action, uint64_t times)
{
	const struct cost_line *line = &lines[action];

	costs->report.actions[action] += times;
	ledger->actions[action] += times;
	for (size_t i = 0; i < COST_TERMS_MAX && line->terms[i].count > 0; i++) {
		uint64_t count = times * line->terms[i].count;

		ledger->high[line->terms[i].request] += count;
		ledger->low[line->terms[i].request] += line->terms[i].is_most ? 0 : count;
	}
}

/* ---- comparing ---- */

static void begin_anew(struct ledger *ledger, uint64_t now_ns)
{
	memset(ledger->seen, 0, sizeof(ledger->seen));
	memset(ledger->low, 0, sizeof(ledger->low));
	memset(ledger->high, 0, sizeof(ledger->high));
	memset(ledger->actions, 0, sizeof(ledger->actions));
	ledger->since_ns = now_ns;
	ledger->different_ns = 0;
	ledger->is_spoiled = false;
}

static bool is_as_expected(const struct ledger *ledger)
{
	for (unsigned i = 0; i < COST_REQUEST_COUNT; i++) {
		if (ledger->seen[i] < ledger->low[i] || ledger->seen[i] > ledger->high[i])
			return false;
	}
	return true;
}

static void count_stretch(struct costs *costs, const struct ledger *ledger)
{
	costs->report.stretches++;
	for (unsigned i = 0; i < COST_REQUEST_COUNT; i++)
		costs->report.requests[i] += ledger->seen[i];
	for (unsigned i = 0; i < COST_ACTION_COUNT; i++)
		costs->report.compared[i] += ledger->actions[i];
}

static void append(char *text, const char *name, uint64_t n, uint64_t of)
{
	size_t len = strlen(text);

	(void)snprintf(text + len, WHY_BYTES - len, "%s%s: %" PRIu64 " instead of %" PRIu64,
		len == 0 ? "" : ", ", name, n, of);
}

static void blame(struct oracle *oracle, struct ledger *ledger, uint64_t now_ns)
{
	char what[WHY_BYTES] = "";

	for (unsigned i = COST_REQUEST_COUNT; i-- > 0;) {
		if (ledger->seen[i] >= ledger->low[i] && ledger->seen[i] <= ledger->high[i])
			continue;
		append(what, cost_request_name((enum cost_request)i), ledger->seen[i],
			ledger->seen[i] < ledger->low[i] ? ledger->low[i] : ledger->high[i]);
	}
	(void)oracle_found_online(oracle, 36, "I36 other requests than the table's", now_ns,
		"%.*s, from %" PRIu64 " ms on: %s", LAB_VIEW_ARG(ledger->user),
		ledger->since_ns / LAB_MSEC, what);
	ledger->is_blamed = true;
}

/* Nothing of the user is under way, as far as anybody can tell. */
static void compare(struct oracle *oracle, struct ledger *ledger, uint64_t now_ns, bool is_end)
{
	uint64_t trouble_ns = oracle->costs->trouble_ns;

	if (ledger->is_spoiled ||
		(trouble_ns != 0 && trouble_ns + TROUBLE_LASTS >= ledger->since_ns)) {
		begin_anew(ledger, now_ns);
		ledger->is_unsure = true;
		return;
	}
	if (is_as_expected(ledger)) {
		count_stretch(oracle->costs, ledger);
		begin_anew(ledger, now_ns);
		return;
	}
	if (ledger->different_ns == 0)
		ledger->different_ns = now_ns;
	if (!ledger->is_blamed && (is_end || now_ns - ledger->different_ns >= LATE))
		blame(oracle, ledger, now_ns);
}

/* ---- requests ---- */

static int cql_request(struct lab_view operation, struct lab_view table)
{
	static const struct {
		const char *table;
		int requests[3]; /* SELECT, INSERT, DELETE */
	} known[] = {
		{ "user_index_objects", { COST_ROOT_SELECT, COST_ROOT_INSERT, COST_ROOT_DELETE } },
		{ "user_index_diff_objects",
			{ COST_ROOT_SELECT, COST_ROOT_INSERT, COST_ROOT_DELETE } },
		{ "user_mailbox_index_objects",
			{ COST_FOLDER_SELECT, COST_FOLDER_INSERT, COST_FOLDER_DELETE } },
		{ "user_mailbox_index_diff_objects",
			{ COST_FOLDER_SELECT, COST_FOLDER_INSERT, COST_FOLDER_DELETE } },
		{ "user_mailbox_buckets", { COST_BUCKET_SELECT, COST_BUCKET_INSERT, -1 } },
		{ "user_mailbox_objects",
			{ COST_MAIL_SELECT, COST_MAIL_INSERT, COST_MAIL_DELETE } },
		{ "user_mailbox_objects_reverse",
			{ COST_REVERSE_SELECT, COST_REVERSE_INSERT, COST_REVERSE_DELETE } },
	};
	int which = lab_view_eq_cstr(operation, "SELECT")   ? 0
		    : lab_view_eq_cstr(operation, "INSERT") ? 1
		    : lab_view_eq_cstr(operation, "DELETE") ? 2
							    : -1;

	for (size_t i = 0; which >= 0 && i < LAB_COUNT_OF(known); i++) {
		if (lab_view_eq_cstr(table, known[i].table))
			return known[i].requests[which];
	}
	return -1;
}

void costs_cql_access(struct oracle *oracle, const struct sim_access *access, struct lab_view table)
{
	struct costs *costs = oracle->costs;
	int request = cql_request(access->operation, table);
	const struct cost_object *object;
	struct ledger *ledger = NULL;

	if (request < 0)
		return;
	if (access->user.len > 0)
		ledger = ledger_of(costs, access->user);
	else if ((object = lab_map_get(costs->objects, access->object)) != NULL)
		ledger = object->ledger;
	if (ledger == NULL)
		return;
	ledger->seen[request]++;
	ledger->last_ns = access->received_ns;
}

enum object_kind {
	OBJECT_MAIL,
	OBJECT_ROOT,
	OBJECT_FOLDER,
	OBJECT_OTHER
};

static enum object_kind kind_of(const struct oracle *oracle, struct lab_view key)
{
	if (lab_view_find(key, LAB_VIEW("/idx/")) != SIZE_MAX)
		return lab_view_find(key, LAB_VIEW("/mailboxes/")) != SIZE_MAX ? OBJECT_FOLDER
									       : OBJECT_ROOT;
	return lab_view_find(key, oracle->settings.object_prefix) != SIZE_MAX ? OBJECT_MAIL
									      : OBJECT_OTHER;
}

static void see_key(struct ledger *ledger, enum object_kind kind)
{
	if (kind != OBJECT_OTHER)
		ledger->seen[kind == OBJECT_MAIL   ? COST_MAIL_KEY
			     : kind == OBJECT_ROOT ? COST_ROOT_KEY
						   : COST_FOLDER_KEY]++;
}

static void see_deletes(
	struct oracle *oracle, const struct sim_access *access, struct ledger *ledger)
{
	enum object_kind kind = OBJECT_OTHER;

	for (size_t i = 0; i < access->key_count; i++) {
		kind = kind_of(oracle, access->keys[i]);
		see_key(ledger, kind);
	}
	ledger->seen[COST_MAIL_DELETES] += kind == OBJECT_MAIL;
}

void costs_s3_access(struct oracle *oracle, const struct sim_access *access, struct lab_view key)
{
	enum object_kind kind = kind_of(oracle, key);
	bool is_get = lab_view_eq_cstr(access->operation, "GET");
	struct ledger *ledger;

	if (access->user.len == 0)
		return;
	ledger = ledger_of(oracle->costs, access->user);
	ledger->last_ns = access->received_ns;
	if (lab_view_eq_cstr(access->operation, "POST-DELETE")) {
		see_deletes(oracle, access, ledger);
	} else if (lab_view_eq_cstr(access->operation, "DELETE")) {
		see_key(ledger, kind);
		ledger->seen[COST_MAIL_DELETES] += kind == OBJECT_MAIL;
	} else if (lab_view_eq_cstr(access->operation, "HEAD")) {
		ledger->seen[COST_MAIL_HEAD] += kind == OBJECT_MAIL;
	} else if ((is_get || lab_view_eq_cstr(access->operation, "PUT")) && kind != OBJECT_OTHER) {
		ledger->seen[kind == OBJECT_MAIL ? (is_get ? COST_MAIL_GET : COST_MAIL_PUT)
			     : kind == OBJECT_ROOT
				     ? (is_get ? COST_ROOT_GET : COST_ROOT_PUT)
				     : (is_get ? COST_FOLDER_GET : COST_FOLDER_PUT)]++;
	}
}

/* ---- operations of clients ---- */

static struct cost_object *object_of(
	struct costs *costs, struct ledger *ledger, const struct history_object *named)
{
	void **slot;

	if (named->oid_len == 0)
		return NULL;
	slot = lab_map_slot(costs->objects, lab_view_of(named->oid, named->oid_len));
	lab_assert(slot != NULL);
	if (*slot == NULL) {
		struct cost_object *object = lab_arena_new_of(costs->arena, struct cost_object);

		object->ledger = ledger;
		object->is_unsure = true;
		*slot = object;
	}
	return *slot;
}

static struct cost_cached *cached_of(
	struct costs *costs, const struct history_op *op, const struct history_object *named)
{
	struct oracle_key key;
	void **slot = lab_map_slot(
		costs->cached, oracle_key3(&key, op->backend,
				       lab_view_of(named->oid, named->oid_len), LAB_VIEW("")));

	lab_assert(slot != NULL);
	if (*slot == NULL) {
		*slot = lab_arena_new_of(costs->arena, struct cost_cached);
		costs->cached_bytes += op->body_bytes;
	}
	return *slot;
}

static void into_cache(struct cost_cached *cached, const struct history_op *op)
{
	if (cached->boot != op->boot)
		cached->since_ns = op->ended_ns;
	cached->boot = op->boot;
}

/* What came into the cache meanwhile was perhaps asked for before: a copy of the same object. */
static enum cost_action fetch_action(
	const struct oracle *oracle, const struct history_op *op, const struct cost_cached *cached)
{
	if (!oracle->settings.has_fscache || cached->boot == 0)
		return COST_ACTION_fetched;
	return cached->boot == op->boot && cached->since_ns <= op->invoked_ns &&
			       oracle->costs->cached_bytes < CACHE_BYTES_SURE
		       ? COST_ACTION_fetched_cached
		       : COST_ACTION_fetched_perhaps;
}

static void fetched(struct oracle *oracle, struct ledger *ledger, const struct history_op *op)
{
	struct cost_cached *cached = cached_of(oracle->costs, op, &op->source);

	act(oracle->costs, ledger, fetch_action(oracle, op, cached), 1);
	into_cache(cached, op);
}

static enum cost_action expunge(struct cost_object *object)
{
	if (object == NULL || object->is_unsure || object->copies_open > 0 ||
		object->references == 0)
		return COST_ACTION_expunged_perhaps;
	return --object->references == 0 ? COST_ACTION_expunged_last : COST_ACTION_expunged;
}

/* What is deleted by one command goes in requests of so many keys. */
static void expunged(struct oracle *oracle, struct ledger *ledger, const struct history_op *op,
	enum cost_action action)
{
	struct costs *costs = oracle->costs;
	uint64_t batch = LAB_MAX(oracle->settings.delete_batch, 1u);

	if (costs->call != op->call || op->call == 0) {
		costs->call = op->call;
		costs->call_deleted = 0;
	}
	act(costs, ledger, action, 1);
	/* The first of each batch of the command has its request. */
	if (action == COST_ACTION_expunged_last && costs->call_deleted++ % batch == 0)
		act(costs, ledger, COST_ACTION_deleted_in_bulk, 1);
	if (action == COST_ACTION_expunged_perhaps)
		ledger->high[COST_MAIL_DELETES]++;
}

static void ended_well(struct oracle *oracle, struct ledger *ledger, const struct history_op *op)
{
	struct costs *costs = oracle->costs;
	struct cost_object *source = object_of(costs, ledger, &op->source);
	struct cost_object *made = object_of(costs, ledger, &op->made);

	switch ((int)op->kind) {
	case HISTORY_DELIVER:
		act(costs, ledger, COST_ACTION_delivered, 1);
		act(costs, ledger, COST_ACTION_bucket_asked, 1);
		made->references = 1;
		made->is_unsure = false;
		into_cache(cached_of(costs, op, &op->made), op);
		break;
	case HISTORY_FETCH:
		fetched(oracle, ledger, op);
		break;
	case HISTORY_COPY:
	case HISTORY_MOVE:
		act(costs, ledger,
			op->kind == HISTORY_COPY ? COST_ACTION_copied : COST_ACTION_moved, 1);
		act(costs, ledger, COST_ACTION_bucket_asked, 1);
		source->references += op->kind == HISTORY_COPY;
		break;
	case HISTORY_EXPUNGE:
		expunged(oracle, ledger, op, expunge(source));
		break;
	case HISTORY_STORE:
		act(costs, ledger, COST_ACTION_stored, 1);
		break;
	case HISTORY_SELECT:
	case HISTORY_LIST:
		act(costs, ledger, COST_ACTION_listed, 1);
		break;
	case HISTORY_FLUSH:
		act(costs, ledger, COST_ACTION_flushed, 1);
		break;
	default:
		ledger->is_spoiled = true;
		break;
	}
}

static void spoil_object(struct cost_object *object)
{
	if (object != NULL)
		object->is_unsure = true;
}

static bool makes_copy(const struct history_op *op)
{
	return op->kind == HISTORY_COPY || op->kind == HISTORY_MOVE;
}

/* It says which mails it was about. */
static bool knows_objects(const struct history_op *op)
{
	if (op->kind == HISTORY_DELIVER)
		return op->made.oid_len > 0;
	return (op->kind != HISTORY_FETCH && op->kind != HISTORY_EXPUNGE && !makes_copy(op)) ||
	       op->source.oid_len > 0;
}

void oracle_operation(struct oracle *oracle, const struct history_op *op, bool is_end)
{
	struct costs *costs = oracle->costs;
	struct ledger *ledger;
	struct cost_object *source;

	if (!costs_are_kept(oracle))
		return;
	ledger = ledger_of(costs, op->user);
	source = object_of(costs, ledger, &op->source);
	if (!is_end) {
		if (ledger->open++ == 0 && op->invoked_ns - ledger->last_ns >= QUIET)
			compare(oracle, ledger, op->invoked_ns, false);
		if (source != NULL)
			source->copies_open += makes_copy(op);
		return;
	}
	ledger->open--;
	if (source != NULL && makes_copy(op))
		source->copies_open--;
	if (op->outcome == HISTORY_OK && op->boot != 0 && knows_objects(op)) {
		ended_well(oracle, ledger, op);
		return;
	}
	ledger->is_spoiled = true;
	spoil_object(source);
	spoil_object(object_of(costs, ledger, &op->made));
}

void oracle_mail_before(struct oracle *oracle, const struct history_op *op)
{
	struct costs *costs = oracle->costs;
	struct cost_object *object = object_of(costs, ledger_of(costs, op->user), &op->made);

	object->references = 1;
	object->is_unsure = false;
}

void oracle_buckets_before(struct oracle *oracle, struct lab_view guid_hex, uint32_t max_bucket)
{
	*lab_map_slot(oracle->costs->buckets, guid_hex) = (void *)((uintptr_t)max_bucket + 1);
}

/* ---- the metacache ---- */

static struct cost_directory *directory_of(
	struct costs *costs, struct lab_view user, struct lab_view guid)
{
	struct oracle_key key;
	void **slot = lab_map_slot(costs->directories, oracle_key3(&key, user, guid, LAB_VIEW("")));
	struct cost_directory *directory;

	lab_assert(slot != NULL);
	if (*slot == NULL) {
		*slot = directory = lab_arena_new_of(costs->arena, struct cost_directory);
		directory->refreshed = lab_map_new(costs->heap, ORACLE_NAMES_MAX);
	}
	return *slot;
}

static void refresh_started(
	struct costs *costs, const struct lab_event *event, struct lab_view host, bool is_root)
{
	struct lab_view guid = is_root ? LAB_VIEW("") : oracle_event_text(event, "mailbox_guid");
	struct cost_directory *directory =
		directory_of(costs, oracle_event_text(event, "user"), guid);

	*lab_map_slot(directory->refreshed, host) = (void *)(uintptr_t)event->time_ns;
}

static void refresh_finished(
	struct oracle *oracle, const struct lab_event *event, struct ledger *ledger, bool is_root)
{
	struct costs *costs = oracle->costs;
	bool is_kept = lab_view_eq_cstr(oracle_event_text(event, "metacache_status"), "kept");
	uint64_t max1;

	if (is_root) {
		act(costs, ledger, is_kept ? COST_ACTION_user_kept : COST_ACTION_user_refreshed, 1);
		return;
	}
	if (is_kept)
		return;
	max1 = (uintptr_t)lab_map_get(costs->buckets, oracle_event_text(event, "mailbox_guid"));
	act(costs, ledger, COST_ACTION_folder_refreshed, 1);
	act(costs, ledger, COST_ACTION_bucket_listed, LAB_MAX(max1, 1u));
}

/* The one may have been seen by the other. */
static bool is_close(uint64_t uploaded_ns, uint64_t refreshed_ns)
{
	return uploaded_ns < refreshed_ns + NEAR && refreshed_ns < uploaded_ns + NEAR;
}

/* Whether the new bundle takes its place: what this host wrote, and for a base all that it knew. */
static bool is_replaced(struct ledger *ledger, const struct cost_bundle *bundle,
	struct lab_view host, uint64_t knows_ns, bool is_base)
{
	if (lab_view_eq(bundle->host, host))
		return is_base || !bundle->is_base;
	ledger->is_unsure |= is_base && is_close(bundle->uploaded_ns, knows_ns);
	return is_base && bundle->uploaded_ns <= knows_ns;
}

static enum cost_action upload_action(bool is_root, bool is_base)
{
	return is_root   ? COST_ACTION_root_uploaded
	       : is_base ? COST_ACTION_folder_base_uploaded
			 : COST_ACTION_folder_uploaded;
}

static enum cost_action replace_action(bool is_root, bool is_base)
{
	return is_root   ? COST_ACTION_root_replaced
	       : is_base ? COST_ACTION_folder_removed
			 : COST_ACTION_folder_replaced;
}

static void uploaded(struct costs *costs, const struct lab_event *event, struct ledger *ledger,
	struct lab_view host, bool is_root)
{
	struct lab_view guid = is_root ? LAB_VIEW("") : oracle_event_text(event, "mailbox_guid");
	struct cost_directory *directory = directory_of(costs, ledger->user, guid);
	bool is_base = lab_view_eq(oracle_event_text(event, "bundle_type"), LAB_VIEW("base"));
	uint64_t knows_ns = (uintptr_t)lab_map_get(directory->refreshed, host);
	struct cost_bundle **link = &directory->bundles, *bundle;

	act(costs, ledger, upload_action(is_root, is_base), 1);
	while ((bundle = *link) != NULL) {
		if (!is_replaced(ledger, bundle, host, knows_ns, is_base)) {
			link = &bundle->next;
			continue;
		}
		act(costs, ledger, replace_action(is_root, is_base), 1);
		*link = bundle->next;
	}
	/* A root's base is not in the table. */
	ledger->is_spoiled |= ledger->is_unsure || (is_base && is_root);
	bundle = lab_arena_new_of(costs->arena, struct cost_bundle);
	*bundle = (struct cost_bundle){ lab_arena_copy(costs->arena, host), event->time_ns, is_base,
		NULL };
	*link = bundle;
}

void costs_event(struct oracle *oracle, const struct lab_event *event)
{
	struct costs *costs = oracle->costs;
	struct lab_view user = oracle_event_text(event, "user");
	bool is_ok = oracle_event_number(event, "code") == LAB_OK;
	struct ledger *ledger = user.len == 0 ? NULL : ledger_of(costs, user);
	uint32_t boot;
	struct lab_view host = knowledge_host(oracle->knowledge, event->host, &boot);

	if (ledger == NULL && event->id != LAB_EV_fs_dictmap_max_bucket_changed)
		return;
	switch ((int)event->id) {
	case LAB_EV_metacache_user_refresh_started:
	case LAB_EV_metacache_mailbox_refresh_started:
		refresh_started(
			costs, event, host, event->id == LAB_EV_metacache_user_refresh_started);
		return;
	case LAB_EV_metacache_user_refresh_finished:
	case LAB_EV_metacache_mailbox_refresh_finished:
		refresh_finished(
			oracle, event, ledger, event->id == LAB_EV_metacache_user_refresh_finished);
		break;
	case LAB_EV_metacache_user_bundle_download_finished:
		act(costs, ledger, COST_ACTION_root_downloaded, 1);
		break;
	case LAB_EV_metacache_mailbox_bundle_download_finished:
		act(costs, ledger, COST_ACTION_folder_downloaded, 1);
		break;
	case LAB_EV_metacache_user_bundle_upload_finished:
	case LAB_EV_metacache_mailbox_bundle_upload_finished:
		uploaded(costs, event, ledger, host,
			event->id == LAB_EV_metacache_user_bundle_upload_finished);
		break;
	case LAB_EV_obox_mailbox_rescan_finished:
		/* Opening a folder asks for no metadata (obox 4.10), whatever its listing brings:
		 * so this was a listing out of turn, after a loss or for a quota, and neither is in
		 * the table. */
		ledger->is_spoiled |= oracle_event_number(event, "guid_lookups") > 0;
		break;
	case LAB_EV_fs_dictmap_max_bucket_changed:
		oracle_buckets_before(oracle, oracle_event_text(event, "mailbox_guid"),
			(uint32_t)oracle_event_number(event, "max_bucket"));
		return;
	default:
		ledger->is_spoiled = true;
		return;
	}
	ledger->is_spoiled |= !is_ok;
}

/* ---- the end ---- */

static bool is_judged(const struct oracle_settings *s)
{
	/* Sizes that a quota asks for, and what operators do, are not in the table. */
	return s->has_costs && !s->has_quota && !s->has_operators && !s->keys_are_ids &&
	       s->has_dictmap && s->copies_in_dict && s->has_lockdir && !s->stores_paths &&
	       !s->is_migrated_later && s->bucket_size > 0;
}

bool costs_are_kept(const struct oracle *oracle)
{
	return is_judged(&oracle->settings);
}

void costs_finish(struct oracle *oracle, uint64_t now_ns)
{
	for (struct ledger *l = oracle->costs->first; l != NULL; l = l->next) {
		if (l->open == 0)
			compare(oracle, l, now_ns, true);
	}
}

const struct cost_report *oracle_costs(const struct oracle *oracle)
{
	return &oracle->costs->report;
}

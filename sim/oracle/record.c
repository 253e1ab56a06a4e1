/* SPDX-License-Identifier: Apache-2.0
 *
 * record.c - what the oracle keeps while the run goes on. It is called for each request and each
 * event, so it keeps numbers, not texts.
 */
#include "sim/oracle/ledger.h"
#include "sim/oracle/oracle-private.h"

#include <stdarg.h>
#include <stdio.h>

#define PEERS_MAX 65535
#define ARENA_MAX ((size_t)64 << 20)
#define PREFIX_MAX 4096

struct oracle *oracle_new(const struct oracle_settings *settings)
{
	struct lab_heap *heap = settings->heap;
	struct oracle *oracle = lab_new(heap, struct oracle);

	oracle->settings = *settings;
	oracle->texts = lab_arena_new(heap, ARENA_MAX);
	oracle->settings.bucket = lab_arena_copy(oracle->texts, settings->bucket);
	oracle->settings.object_prefix = lab_arena_copy(oracle->texts, settings->object_prefix);
	oracle->settings.keyspace = lab_arena_copy(oracle->texts, settings->keyspace);
	oracle->settings.geodb_keyspace = lab_arena_copy(oracle->texts, settings->geodb_keyspace);
	for (size_t i = 0; i < LAB_COUNT_OF(settings->secrets); i++)
		oracle->settings.secrets[i] = lab_arena_copy(oracle->texts, settings->secrets[i]);
	oracle->chunks =
		lab_new_array(heap, struct oracle_line *, ORACLE_LINES_MAX / ORACLE_CHUNK + 1);
	oracle->peers = lab_map_new(heap, PEERS_MAX);
	oracle->ladders = lab_map_new(heap, ORACLE_NAMES_MAX);
	oracle->refusals = lab_map_new(heap, ORACLE_NAMES_MAX);
	oracle->work = lab_arena_new(heap, ARENA_MAX);
	oracle->knowledge = knowledge_new(heap);
	if (settings->has_secondary)
		knowledge_follow_roots(oracle->knowledge);
	oracle->reconcile = reconcile_new(heap);
	oracle->clocks = lab_map_new(heap, PEERS_MAX);
	oracle->references = lab_map_new(heap, ORACLE_NAMES_MAX);
	oracle->costs = costs_new(heap);
	oracle->windows = lab_map_new(heap, ORACLE_NAMES_MAX);
	oracle->roots = lab_map_new(heap, ORACLE_NAMES_MAX);
	oracle->deletions = lab_map_new(heap, ORACLE_NAMES_MAX);
	oracle->drops = lab_map_new(heap, ORACLE_NAMES_MAX);
	oracle_metacache_new(oracle);
	oracle_bases_new(oracle);
	routing_new(oracle);
	ledger_flags_new(oracle);
	return oracle;
}

void oracle_free(struct oracle **oracle_p)
{
	struct oracle *oracle = *oracle_p;
	struct lab_heap *heap;

	if (oracle == NULL)
		return;
	heap = oracle->settings.heap;
	knowledge_free(&oracle->knowledge);
	reconcile_free(&oracle->reconcile);
	lab_map_free(&oracle->clocks);
	lab_map_free(&oracle->references);
	lab_map_free(&oracle->drops);
	costs_free(&oracle->costs);
	oracle_refresh_free(oracle);
	oracle_metacache_free(oracle);
	oracle_bases_free(oracle);
	routing_free(oracle);
	lab_map_free(&oracle->clean_moves);
	lab_arena_free(&oracle->work);
	lab_arena_free(&oracle->texts);
	lab_map_free(&oracle->peers);
	lab_map_free(&oracle->ladders);
	lab_map_free(&oracle->refusals);
	for (size_t i = 0; i < oracle->chunk_count; i++)
		lab_heap_free(heap, oracle->chunks[i]);
	lab_heap_free(heap, oracle->chunks);
	lab_heap_free(heap, oracle->trouble);
	lab_heap_free(heap, oracle->findings);
	lab_heap_free(heap, oracle);
	*oracle_p = NULL;
}

/* ---- keeping ---- */

/* 0 stands for all peers beyond PEERS_MAX. */
static uint32_t intern_peer(struct oracle *oracle, struct lab_view name)
{
	void **slot = lab_map_slot(oracle->peers, name);
	struct lab_view *copy;

	if (slot == NULL)
		return 0;
	if (*slot == NULL) {
		copy = lab_arena_new_of(oracle->texts, struct lab_view);
		*copy = lab_arena_copy(oracle->texts, name);
		oracle->peer_names[++oracle->peer_count] = copy;
		*slot = (void *)(uintptr_t)oracle->peer_count;
	}
	return (uint32_t)(uintptr_t)*slot;
}

static bool has_room(struct oracle *oracle, enum oracle_what what)
{
	if (oracle->line_count < ORACLE_READ_LINES_MAX)
		return true;
	if (what == ORACLE_S3_GET || what == ORACLE_S3_HEAD || what == ORACLE_CQL_SELECT) {
		oracle->read_lines_dropped = true;
		return false;
	}
	oracle->lines_full |= oracle->line_count >= ORACLE_LINES_MAX;
	return oracle->line_count < ORACLE_LINES_MAX;
}

static void keep_line(struct oracle *oracle, const struct oracle_line *line)
{
	if (!has_room(oracle, line->what))
		return;
	if (oracle->line_count == oracle->chunk_count * ORACLE_CHUNK)
		oracle->chunks[oracle->chunk_count++] =
			lab_new_array(oracle->settings.heap, struct oracle_line, ORACLE_CHUNK);
	*oracle_line_at(oracle, oracle->line_count++) = *line;
}

void oracle_trouble(struct oracle *oracle, uint64_t time_ns)
{
	size_t capacity = LAB_MAX(oracle->trouble_capacity * 2, (size_t)1024);

	costs_trouble(oracle->costs, time_ns);
	if (oracle->trouble_count > 0 && oracle->trouble[oracle->trouble_count - 1] >= time_ns)
		return;
	if (oracle->trouble_count == ORACLE_TROUBLE_MAX) {
		oracle->trouble_full = true;
		return;
	}
	if (oracle->trouble_count == oracle->trouble_capacity) {
		capacity = LAB_MIN(capacity, (size_t)ORACLE_TROUBLE_MAX);
		oracle->trouble = lab_heap_realloc(oracle->settings.heap, oracle->trouble,
			capacity * sizeof(*oracle->trouble));
		oracle->trouble_capacity = capacity;
	}
	oracle->trouble[oracle->trouble_count++] = time_ns;
}

uint64_t oracle_sent_ns(uint64_t arrived_ns)
{
	return arrived_ns - LAB_MIN(arrived_ns, (uint64_t)ORACLE_ON_ITS_WAY);
}

bool oracle_had_trouble(const struct oracle *oracle, uint64_t from_ns, uint64_t to_ns)
{
	size_t low = 0, high = oracle->trouble_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (oracle->trouble[middle] < from_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return oracle->trouble_full ||
	       (low < oracle->trouble_count && oracle->trouble[low] <= to_ns);
}

struct oracle_online *oracle_found_online(struct oracle *oracle, unsigned invariant,
	const char *signature, uint64_t time_ns, const char *format, ...)
{
	struct oracle_online *found;
	va_list args;

	if (oracle->online_count == ORACLE_ONLINE_MAX)
		return NULL;
	found = &oracle->online[oracle->online_count++];
	found->invariant = invariant;
	found->signature = signature;
	found->time_ns = time_ns;
	found->event = oracle->last_event;
	va_start(args, format);
	(void)vsnprintf(found->sentence, sizeof(found->sentence), format, args);
	va_end(args);
	return found;
}

/* ---- S3 ---- */

static enum oracle_what s3_what(struct lab_view operation)
{
	if (lab_view_eq(operation, LAB_VIEW("GET")))
		return ORACLE_S3_GET;
	if (lab_view_eq(operation, LAB_VIEW("PUT")))
		return ORACLE_S3_PUT;
	if (lab_view_eq(operation, LAB_VIEW("HEAD")))
		return ORACLE_S3_HEAD;
	if (lab_view_eq(operation, LAB_VIEW("DELETE")) ||
		lab_view_eq(operation, LAB_VIEW("POST-DELETE")))
		return ORACLE_S3_DELETE;
	return ORACLE_S3_OTHER;
}

/* A key belongs to the user that is one of its first parts: "user/mails/...", or behind a
 * dispersion prefix. */
static bool belongs_to(struct lab_view key, struct lab_view user)
{
	while (key.len > user.len) {
		size_t slash;

		if (lab_view_starts_with(key, user) && key.ptr[user.len] == '/')
			return true;
		slash = lab_view_find_byte(key, '/');
		if (slash == SIZE_MAX)
			return false;
		key = lab_view_skip(key, slash + 1);
	}
	return false;
}

static void check_isolation(
	struct oracle *oracle, const struct sim_access *access, struct lab_view key)
{
	/* Keys that are ids do not say whose they are; CDMI reads by id what it knows by path. */
	bool is_id =
		oracle->settings.keys_are_ids ||
		(strcmp(access->service, "cdmi") == 0 && lab_view_find_byte(key, '/') == SIZE_MAX);

	if (access->user.len == 0 && oracle->settings.has_trace_headers)
		oracle_found_online(oracle, 30, "I30 request that names no user",
			access->received_ns, "%.*s: %.*s of %.*s has no X-Dovecot-Username",
			LAB_VIEW_ARG(access->peer), LAB_VIEW_ARG(access->operation),
			LAB_VIEW_ARG(key));
	if (access->user.len == 0 || key.len == 0 || is_id || belongs_to(key, access->user))
		return;
	oracle_found_online(oracle, 30, "I30 request for another user's object",
		access->received_ns, "%.*s: %.*s of %.*s, which is another user's",
		LAB_VIEW_ARG(access->user), LAB_VIEW_ARG(access->operation), LAB_VIEW_ARG(key));
}

static void keep_s3_key(struct oracle *oracle, const struct sim_access *access,
	struct oracle_line *line, struct lab_view key)
{
	check_isolation(oracle, access, key);
	line->key = oracle_key_hash(oracle, key);
	line->is_bundle = lab_view_find(key, LAB_VIEW("/idx/")) != SIZE_MAX;
	keep_line(oracle, line);
}

/* Without dictmap folders are listed, but only the user's own. */
static void check_list(
	struct oracle *oracle, const struct sim_access *access, struct lab_view bucket)
{
	struct lab_view prefix = access->request;
	struct lab_buf text;
	size_t at = lab_view_find(prefix, LAB_VIEW("prefix="));

	if (oracle->settings.has_dictmap && !oracle->settings.has_operators &&
		(!oracle->settings.is_migrated_later || oracle->is_migrated)) {
		oracle_found_online(oracle, 20, "I20 bucket listed", access->received_ns,
			"%.*s listed the bucket %.*s: the dict is the only directory",
			LAB_VIEW_ARG(access->peer), LAB_VIEW_ARG(bucket));
		return;
	}
	if (strcmp(access->service, "s3") != 0)
		return;
	prefix = at == SIZE_MAX ? LAB_VIEW("") : lab_view_skip(prefix, at + 7);
	prefix.len = LAB_MIN(prefix.len, lab_view_find_byte(prefix, '&'));
	lab_buf_init(&text, oracle->settings.heap, PREFIX_MAX);
	if (lab_buf_append_unpercent(&text, prefix) < 0 || text.len == 0)
		oracle_found_online(oracle, 30, "I30 request for another user's object",
			access->received_ns, "%.*s listed the bucket %.*s, everybody's",
			LAB_VIEW_ARG(access->peer), LAB_VIEW_ARG(bucket));
	else
		check_isolation(oracle, access, lab_buf_view(&text));
	lab_buf_done(&text);
}

static void s3_access(
	struct oracle *oracle, const struct sim_access *access, struct oracle_line *line)
{
	struct lab_view bucket = access->subject, key;
	size_t slash = lab_view_find_byte(access->subject, '/');

	key = slash == SIZE_MAX ? LAB_VIEW("") : lab_view_skip(access->subject, slash + 1);
	bucket.len = LAB_MIN(slash, bucket.len);
	if (!lab_view_eq(bucket, oracle->settings.bucket))
		return;
	reconcile_http_access(oracle, access, line->peer);
	/* CDMI: directories are no mails. */
	if (lab_view_eq(access->operation, LAB_VIEW("CONTAINER")))
		return;
	oracle_check_credentials(oracle, access, key);
	line->what = (uint8_t)s3_what(access->operation);
	line->body_hash = access->body_hash;
	if (lab_view_eq(access->operation, LAB_VIEW("LIST")))
		check_list(oracle, access, bucket);
	if (costs_are_kept(oracle))
		costs_s3_access(oracle, access, key);
	if (!lab_view_eq(access->operation, LAB_VIEW("POST-DELETE"))) {
		keep_s3_key(oracle, access, line, key);
		oracle_bundle_access(oracle, access, key, line->what);
		if (line->what == ORACLE_S3_GET)
			oracle_index_read(oracle, access, key);
		return;
	}
	if (oracle->settings.bulk_delete_limit > 0 &&
		access->key_count > oracle->settings.bulk_delete_limit)
		oracle_found_online(oracle, 31, "I31 bulk delete of too many keys",
			access->received_ns, "%.*s deleted %zu keys in one request, more than %u",
			LAB_VIEW_ARG(access->peer), access->key_count,
			oracle->settings.bulk_delete_limit);
	for (size_t i = 0; i < access->key_count; i++) {
		keep_s3_key(oracle, access, line, access->keys[i]);
		oracle_bundle_access(oracle, access, access->keys[i], ORACLE_S3_DELETE);
	}
}

/* ---- CQL ---- */

static enum oracle_table table_of(struct lab_view table)
{
	if (lab_view_eq(table, LAB_VIEW("user_mailbox_objects")))
		return ORACLE_TABLE_FORWARD;
	if (lab_view_eq(table, LAB_VIEW("user_mailbox_objects_reverse")))
		return ORACLE_TABLE_REVERSE;
	if (lab_view_eq(table, LAB_VIEW("user_mailbox_buckets")))
		return ORACLE_TABLE_BUCKETS;
	if (lab_view_eq(table, LAB_VIEW("user_mailbox_index_diff_objects")))
		return ORACLE_TABLE_FOLDER_DIFFS;
	if (lab_view_eq(table, LAB_VIEW("user_index_diff_objects")))
		return ORACLE_TABLE_ROOT_DIFFS;
	return ORACLE_TABLE_OTHER;
}

#define CQL_ALL 5

static void check_consistency(struct oracle *oracle, const struct sim_access *access,
	const char *of, uint16_t configured, uint16_t fallback)
{
	/* Operators read tables as a whole. */
	if (oracle->settings.has_operators && access->consistency == CQL_ALL && of[0] == 'r')
		return;
	if (access->consistency == configured || access->consistency == fallback)
		return;
	oracle_found_online(oracle, 32, "I32 wrong consistency", access->received_ns,
		"%.*s: %.*s of %.*s with consistency %u; %s consistency is %u, its fallback %u",
		LAB_VIEW_ARG(access->peer), LAB_VIEW_ARG(access->operation),
		LAB_VIEW_ARG(access->subject), access->consistency, of, configured, fallback);
}

/* `offset_us` is what the statement's kind adds on purpose. */
static void keep_drift(struct oracle *oracle, const struct sim_access *access,
	const struct oracle_line *line, struct oracle_drift *drift, int64_t offset_us)
{
	int64_t wall = oracle->settings.epoch_us + (int64_t)(access->received_ns / LAB_USEC);
	int64_t off;

	if (line->table != ORACLE_TABLE_FORWARD && line->table != ORACLE_TABLE_REVERSE)
		return;
	/* A statement that was refused may not have got that far. */
	if (access->timestamp_us == INT64_MIN) {
		if (access->status == 0 && access->applied)
			oracle_found_online(oracle, 33, "I33 no client timestamp",
				access->received_ns,
				"%.*s: %.*s of %.*s without a client timestamp",
				LAB_VIEW_ARG(access->peer), LAB_VIEW_ARG(access->operation),
				LAB_VIEW_ARG(access->subject));
		return;
	}
	/* A client may send anything. */
	if (__builtin_sub_overflow(access->timestamp_us, offset_us + wall, &off))
		off = INT64_MAX;
	if (!drift->seen || off < drift->least_us) {
		drift->least_us = off;
		drift->least = *line;
	}
	if (!drift->seen || off > drift->most_us) {
		drift->most_us = off;
		drift->most = *line;
	}
	drift->seen = true;
}

/* One of changes of either kind has the consistency of one of them. */
static void check_batch(struct oracle *oracle, const struct sim_access *access)
{
	const struct oracle_settings *s = &oracle->settings;

	if (lab_view_eq(access->operation, LAB_VIEW("BATCH")) &&
		access->consistency != s->delete_consistency &&
		access->consistency != s->delete_fallback)
		check_consistency(oracle, access, "write", s->write_consistency, s->write_fallback);
}

/* KEYSPACE.TABLE */
static bool is_in(struct lab_view table, struct lab_view keyspace)
{
	return keyspace.len > 0 && lab_view_starts_with(table, keyspace) &&
	       table.len > keyspace.len && table.ptr[keyspace.len] == '.';
}

static void cql_access(
	struct oracle *oracle, const struct sim_access *access, struct oracle_line *line)
{
	const struct oracle_settings *s = &oracle->settings;
	struct lab_view table =
		lab_view_skip(access->subject, LAB_MIN(s->keyspace.len + 1, access->subject.len));

	if (is_in(access->subject, s->geodb_keyspace)) {
		reconcile_cql_access(oracle, access, line->peer);
		routing_rows_access(oracle, access);
	}
	if (!s->has_dictmap || !is_in(access->subject, s->keyspace))
		return;
	reconcile_cql_access(oracle, access, line->peer);
	line->table = (uint8_t)table_of(table);
	line->key = access->user.len == 0 ? 0 : lab_hash_view(0, access->user);
	if (costs_are_kept(oracle))
		costs_cql_access(oracle, access, table);
	if (lab_view_eq(access->operation, LAB_VIEW("SELECT"))) {
		line->what = ORACLE_CQL_SELECT;
		/* Not of those who read tables as a whole. */
		if (!oracle->settings.has_operators || access->consistency != CQL_ALL)
			oracle_index_listed(oracle, access, table);
		check_consistency(oracle, access, "read", s->read_consistency, s->read_fallback);
	} else if (lab_view_eq(access->operation, LAB_VIEW("INSERT"))) {
		line->what = ORACLE_CQL_INSERT;
		oracle->reverse_inserts += line->table == ORACLE_TABLE_REVERSE;
		check_consistency(oracle, access, "write", s->write_consistency, s->write_fallback);
		keep_drift(oracle, access, line, &oracle->inserts, 0);
		if (line->table == ORACLE_TABLE_FORWARD || line->table == ORACLE_TABLE_REVERSE)
			oracle_check_clock(oracle, access);
	} else if (lab_view_eq(access->operation, LAB_VIEW("DELETE"))) {
		line->what = ORACLE_CQL_DELETE;
		check_consistency(
			oracle, access, "delete", s->delete_consistency, s->delete_fallback);
		keep_drift(oracle, access, line, &oracle->deletes, s->delete_timestamp_us);
	} else {
		check_batch(oracle, access);
		return;
	}
	keep_line(oracle, line);
}

static void imds_access(struct oracle *oracle, const struct sim_access *access, uint32_t peer)
{
	reconcile_imds_access(oracle, access, peer);
	if (access->fault_id != 0 || access->status >= 400)
		oracle_imds_trouble(oracle, access->received_ns);
}

/* ---- both ---- */

void oracle_access(struct oracle *oracle, const struct sim_access *access)
{
	bool is_cdmi = strcmp(access->service, "cdmi") == 0;
	bool is_imds = strcmp(access->service, "imds") == 0;
	bool is_s3 = is_cdmi || strcmp(access->service, "s3") == 0 ||
		     strcmp(access->service, "sproxyd") == 0;
	/* A container that is not there yet is no trouble. */
	bool is_expected = is_cdmi && access->status == 404;
	struct oracle_line line = { .time_ns = access->received_ns,
		.event = oracle->last_event,
		.fault_id = access->fault_id,
		.status = (uint16_t)access->status,
		.applied = access->applied,
		.answered = access->answered };

	if (access->fault_id != 0 || !access->answered ||
		(is_s3 || is_imds ? access->status >= 400 && !is_expected : access->status != 0))
		oracle_trouble(oracle, access->received_ns);
	line.peer = intern_peer(oracle, access->peer);
	if (is_s3)
		s3_access(oracle, access, &line);
	else if (is_imds)
		imds_access(oracle, access, line.peer);
	else if (strcmp(access->service, "cql") == 0)
		cql_access(oracle, access, &line);
}

/* "error" says something only when something failed; not finding a thing is no failure. */
static bool is_failure(const struct lab_event *event)
{
	bool failed = false;

	for (size_t i = 0; i < event->field_count; i++) {
		const struct lab_field *f = &event->fields[i];

		if (f->kind == LAB_FIELD_CODE && f->number == LAB_NOT_FOUND)
			return false;
		failed |= f->kind == LAB_FIELD_CODE
				  ? f->number != LAB_OK
				  : strcmp(f->name, "error") == 0 && f->text.len > 0;
	}
	return failed;
}

static bool is_of_costs(enum lab_event_id id)
{
	switch ((int)id) {
	case LAB_EV_metacache_user_refresh_started:
	case LAB_EV_metacache_user_refresh_finished:
	case LAB_EV_metacache_mailbox_refresh_started:
	case LAB_EV_metacache_mailbox_refresh_finished:
	case LAB_EV_metacache_user_bundle_download_finished:
	case LAB_EV_metacache_mailbox_bundle_download_finished:
	case LAB_EV_metacache_user_bundle_upload_finished:
	case LAB_EV_metacache_mailbox_bundle_upload_finished:
	case LAB_EV_metacache_bundle_set_aside:
	case LAB_EV_obox_mailbox_rescan_finished:
	case LAB_EV_obox_mailbox_rebuild_finished:
	case LAB_EV_fs_dictmap_max_bucket_changed:
		return true;
	default:
		return false;
	}
}

/* A host of which nothing runs any more, or for a while. */
static void host_event(struct oracle *oracle, const struct lab_event *event)
{
	uint32_t boot, peer;
	struct lab_view name = knowledge_host(oracle->knowledge, event->host, &boot);

	peer = intern_peer(oracle, name);
	oracle_trouble(oracle, event->time_ns);
	if (event->id == LAB_EV_host_hung) {
		reconcile_hung(oracle, event, peer);
	} else if (event->id == LAB_EV_host_went_on) {
		reconcile_went_on(oracle, event, peer);
	} else {
		oracle_refresh_crashed(oracle, event);
		oracle_metacache_crashed(oracle, event);
		oracle_forget_clock(oracle, name);
		reconcile_crashed(oracle, event, peer);
		oracle->crashes++;
	}
}

/* What a backend does with its indexes. */
static void index_event(struct oracle *oracle, const struct lab_event *event)
{
	switch ((int)event->id) {
	case LAB_EV_metacache_user_refresh_started:
		oracle_root_event(oracle, event);
		oracle_refresh_event(oracle, event);
		break;
	case LAB_EV_metacache_user_refresh_finished:
		oracle_root_event(oracle, event);
		oracle_refresh_event(oracle, event);
		oracle_bases_event(oracle, event);
		break;
	case LAB_EV_metacache_mailbox_refresh_started:
		oracle_refresh_event(oracle, event);
		break;
	case LAB_EV_metacache_mailbox_refresh_finished:
		oracle_refresh_event(oracle, event);
		oracle_bases_event(oracle, event);
		break;
	case LAB_EV_metacache_user_bundle_upload_finished:
		oracle_root_event(oracle, event);
		oracle_bases_event(oracle, event);
		break;
	case LAB_EV_metacache_user_bundle_upload_started:
	case LAB_EV_metacache_mailbox_bundle_upload_started:
	case LAB_EV_metacache_mailbox_bundle_upload_finished:
		oracle_bases_event(oracle, event);
		break;
	case LAB_EV_metacache_user_bundle_download_finished:
	case LAB_EV_metacache_mailbox_bundle_download_finished:
		oracle_bases_event(oracle, event);
		oracle_bundle_read(oracle, event);
		break;
	case LAB_EV_metacache_bundle_set_aside:
		oracle_bundle_set_aside(oracle, event);
		break;
	case LAB_EV_metacache_pull_started:
	case LAB_EV_metacache_pull_finished:
		oracle_metacache_pull(oracle, event);
		break;
	case LAB_EV_obox_mail_dropped:
		oracle_mail_dropped(oracle, event);
		break;
	default:
		break;
	}
}

void oracle_event(struct oracle *oracle, const struct lab_event *event)
{
	oracle->last_event = event->sequence;
	oracle_check_secrets(oracle, event);
	knowledge_event(oracle->knowledge, event);
	routing_event(oracle, event);
	ledger_event(oracle, event);
	oracle_merge_event(oracle, event);
	if (costs_are_kept(oracle) && is_of_costs(event->id))
		costs_event(oracle, event);
	switch ((int)event->id) {
	case LAB_EV_http_request_finished:
	case LAB_EV_http_request_retried:
	case LAB_EV_http_request_redirected:
		oracle_http_event(oracle, event);
		break;
	case LAB_EV_operation_invoked:
	case LAB_EV_operation_finished:
		oracle_deletion_event(oracle, event);
		break;
	case LAB_EV_host_crashed:
	case LAB_EV_host_hung:
	case LAB_EV_host_went_on:
		host_event(oracle, event);
		break;
	case LAB_EV_disk_measured:
		oracle_disk_measured(oracle, event);
		break;
	case LAB_EV_fs_dictmap_dict_write_uncertain:
		oracle_reference_event(oracle, event);
		oracle_trouble(oracle, event->time_ns);
		break;
	case LAB_EV_fault_injected:
	case LAB_EV_cassandra_fallback:
	case LAB_EV_fs_object_write_uncertain:
		oracle_trouble(oracle, event->time_ns);
		break;
	case LAB_EV_fs_auth_request_finished:
		reconcile_imds_event(oracle, event);
		break;
	case LAB_EV_cassandra_query_finished:
		reconcile_cql_event(oracle, event);
		if (is_failure(event))
			oracle_trouble(oracle, event->time_ns);
		break;
	case LAB_EV_dict_transaction_finished:
	case LAB_EV_dict_iteration_finished:
	case LAB_EV_fs_file_finished:
		if (is_failure(event))
			oracle_trouble(oracle, event->time_ns);
		break;
	default:
		index_event(oracle, event);
		break;
	}
}

void oracle_backend_started(
	struct oracle *oracle, uint32_t host, struct lab_view name, uint32_t boot)
{
	knowledge_started(oracle->knowledge, host, name, boot);
}

void oracle_migrated(struct oracle *oracle)
{
	oracle->is_migrated = true;
}

/* ---- keys ---- */

struct lab_view oracle_object_key_text(
	const struct oracle *oracle, struct lab_view user, struct lab_view oid)
{
	struct lab_view prefix = oracle->settings.object_prefix;
	char hex[2 * HISTORY_OID_BYTES_MAX + 1];

	oid.len = LAB_MIN(oid.len, (size_t)HISTORY_OID_BYTES_MAX);
	lab_hex(oid.ptr, oid.len, hex);
	if (oracle->settings.keys_are_ids ||
		(oracle->settings.stores_paths && oid.len == HISTORY_NAME_BYTES))
		return lab_view_cstr(lab_arena_printf(oracle->work, "%s", hex));
	return lab_view_cstr(lab_arena_printf(
		oracle->work, "%.*s%.*s%s", LAB_VIEW_ARG(user), LAB_VIEW_ARG(prefix), hex));
}

uint64_t oracle_object_key(const struct oracle *oracle, struct lab_view user, struct lab_view oid)
{
	struct lab_arena_mark mark = lab_arena_mark(oracle->work);
	uint64_t hash = lab_hash_view(0, oracle_object_key_text(oracle, user, oid));

	lab_arena_rewind(oracle->work, mark);
	return hash;
}

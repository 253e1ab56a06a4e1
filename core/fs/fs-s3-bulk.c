/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-s3-bulk.c - many deletes: POST ?delete with up to bulk_delete_limit keys, or DELETEs side by
 * side where bulk deletes are off (obox 1.6, s3 1.5).
 *
 * A 200 says nothing about a single key: each has its own entry. Keys that the storage refused for
 * now (SlowDown, InternalError) go out again after the waits of the ladder, the others do not.
 */
#include "core/fs/fs-s3-private.h"

#include "core/env/defects.h"

/* One key on its way. */
struct doomed {
	struct lab_view key;
	struct lab_error *result;
	struct doomed *same; /* an earlier file of the same key */
	bool pending;        /* to be sent (again) */
	bool answered;
	bool uncertain; /* an attempt that failed may have deleted it */
};

struct bulk {
	struct s3_fs *fs;
	struct lab_arena *arena;
	struct doomed *items;
	size_t count;
	size_t request_max;
	uint64_t deadline_ns;
};

static void finish_item(struct doomed *item, enum lab_code code, bool retryable, const char *why)
{
	item->pending = false;
	if (item->uncertain && code == LAB_NOT_FOUND)
		code = LAB_OK; /* our own earlier attempt */
	else if (item->uncertain && code != LAB_OK)
		code = LAB_UNCERTAIN;
	*item->result = (struct lab_error){ .code = LAB_OK };
	if (code == LAB_OK)
		return;
	lab_fail(item->result, code, "bulk delete: %.*s: %s", LAB_VIEW_ARG(item->key), why);
	item->result->retryable = retryable;
}

/* What the entry of one key says. A key to be sent again stays pending, with its result so far. */
static void apply_entry(struct bulk *bulk, struct doomed *item, const struct s3_deleted *entry)
{
	const struct http_class *row;
	unsigned status;

	item->answered = true;
	if (entry->code.ptr == NULL) {
		finish_item(item, LAB_OK, false, "");
		return;
	}
	status = s3_status_of_code(entry->code);
	row = http_classify(status, entry->code);
	item->uncertain |= row->maybe_applied;
	finish_item(item, row->error, row->retryable, lab_arena_cstr(bulk->arena, entry->code));
	item->pending =
		row->retry == HTTP_RETRY_LADDER && item->result->code != LAB_OK &&
		!(status == 503 && bulk->fs->fs.settings.services != NULL &&
			(bulk->fs->fs.settings.services->defects & LAB_DEFECT(NO_RETRY_503)) != 0);
}

static void apply_result(struct bulk *bulk, struct doomed **sent, size_t count,
	const struct s3_deleted *entries, size_t entry_count)
{
	struct lab_map *by_key = lab_map_new(bulk->fs->env->heap, count);

	for (size_t i = 0; i < count; i++)
		*lab_map_slot(by_key, sent[i]->key) = sent[i];
	for (size_t i = 0; i < entry_count; i++) {
		struct doomed *item = lab_map_get(by_key, entries[i].key);

		if (item != NULL && !item->answered)
			apply_entry(bulk, item, &entries[i]);
	}
	lab_map_free(&by_key);
	for (size_t i = 0; i < count; i++) {
		if (sent[i]->answered)
			continue;
		sent[i]->uncertain = true;
		finish_item(sent[i], LAB_UNCERTAIN, true, "the answer does not mention it");
	}
}

static int post(struct bulk *bulk, struct doomed **sent, size_t count,
	struct lab_http_response *ret, struct lab_error *err)
{
	struct lab_view *keys = lab_arena_array(bulk->arena, struct lab_view, count);
	struct s3_request request;
	struct lab_buf body;
	int result;

	for (size_t i = 0; i < count; i++)
		keys[i] = sent[i]->key;
	lab_buf_init(&body, bulk->fs->env->heap, S3_LIST_ANSWER_MAX);
	s3_delete_append(&body, keys, count);
	s3_request_bucket(&request, bulk->fs, HTTP_DELETE, "POST", LAB_VIEW("delete"), bulk->arena);
	s3_request_body(&request, lab_buf_view(&body), "application/xml", bulk->arena);
	request.answer_max = S3_LIST_ANSWER_MAX;
	request.inspect = s3_inspect_bulk;
	request.keys = count;
	result = body.overflow ? lab_fail(err, LAB_LIMIT, "bulk delete: the keys are too long")
			       : s3_request_run(&request, bulk->arena, ret, err);
	lab_buf_done(&body);
	return result;
}

/* One POST. A failure of the whole request is the result of each key in it; the HTTP client has
 * used up its retries then. */
static void delete_chunk(struct bulk *bulk, struct doomed **sent, size_t count)
{
	struct lab_http_response response;
	struct s3_deleted *entries = NULL;
	size_t entry_count = 0;
	struct lab_error err;

	if (post(bulk, sent, count, &response, &err) < 0 ||
		s3_delete_result_parse(
			response.body, count, bulk->arena, &entries, &entry_count, &err) < 0) {
		for (size_t i = 0; i < count; i++) {
			sent[i]->pending = false;
			*sent[i]->result = err;
			if (sent[i]->uncertain)
				sent[i]->result->code = LAB_UNCERTAIN;
		}
		return;
	}
	apply_result(bulk, sent, count, entries, entry_count);
}

static void send_pending(struct bulk *bulk)
{
	struct doomed **sent =
		lab_new_array(bulk->fs->env->heap, struct doomed *, bulk->request_max);
	size_t count = 0;

	for (size_t i = 0; i < bulk->count; i++) {
		struct doomed *item = &bulk->items[i];

		if (item->pending) {
			item->answered = false;
			sent[count++] = item;
		}
		if (count > 0 && (count == bulk->request_max || i + 1 == bulk->count)) {
			delete_chunk(bulk, sent, count);
			count = 0;
		}
	}
	lab_heap_free(bulk->fs->env->heap, sent);
}

static bool any_pending(const struct bulk *bulk)
{
	for (size_t i = 0; i < bulk->count; i++) {
		if (bulk->items[i].pending)
			return true;
	}
	return false;
}

static void delete_in_bulk(struct bulk *bulk)
{
	struct env *env = bulk->fs->env;

	for (unsigned round = 0;; round++) {
		uint64_t wait_ns = http_retry_wait_ns(round);

		send_pending(bulk);
		if (!any_pending(bulk) || round == bulk->fs->url.delete_max_retries ||
			(bulk->deadline_ns != ENV_FOREVER &&
				env_now(env) + wait_ns >= bulk->deadline_ns))
			return;
		env_sleep(env, wait_ns);
	}
}

static void bulk_init(struct bulk *bulk, struct s3_fs *fs, struct fs_file **files, size_t count,
	struct lab_error *results, struct lab_arena *arena)
{
	struct lab_map *by_key = lab_map_new(fs->env->heap, count);
	uint64_t absolute_ns = fs->url.absolute_timeout_ns;

	*bulk = (struct bulk){ .fs = fs, .arena = arena, .count = count };
	bulk->items = lab_arena_array(arena, struct doomed, count);
	bulk->deadline_ns = absolute_ns == 0 ? ENV_FOREVER : env_now(fs->env) + absolute_ns;
	for (size_t i = 0; i < count; i++) {
		struct doomed *item = &bulk->items[i];
		void **slot;

		item->key = s3_key(fs, files[i]->path, arena);
		item->result = &results[i];
		slot = lab_map_slot(by_key, item->key);
		item->same = *slot;
		item->pending = item->same == NULL;
		if (*slot == NULL)
			*slot = item;
	}
	lab_map_free(&by_key);
}

/* Arena for keys, bodies and answers of all rounds: bounded by what fs_delete_many() is given. */
#define BULK_ARENA_MAX ((size_t)1 << 30)

int s3_delete_many(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err)
{
	struct s3_fs *fs = (struct s3_fs *)files[0]->fs;
	unsigned parallel = LAB_MAX(fs->fs.settings.max_parallel_deletes, 1U);
	unsigned request_max = LAB_MIN(fs->url.bulk_delete_limit, parallel);
	struct lab_arena *arena;
	struct bulk bulk;

	if (request_max <= 1)
		return fs_delete_side_by_side(files, count, results, err);
	arena = lab_arena_new(fs->env->heap, BULK_ARENA_MAX);
	bulk_init(&bulk, fs, files, count, results, arena);
	bulk.request_max = request_max;
	delete_in_bulk(&bulk);
	for (size_t i = 0; i < count; i++) {
		if (bulk.items[i].same != NULL)
			results[i] = *bulk.items[i].same->result;
	}
	lab_arena_free(&arena);
	return fs_first_failure(results, count, err);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-s3-bulk.c - many deletes: POST ?delete with up to bulk_delete_limit keys, or DELETEs side by
 * side where bulk deletes are off (obox 1.6, s3 1.5).
 *
 * A 200 says nothing about a single key: each has its own entry. Keys that the storage refused for
 * now (SlowDown, InternalError) go out again after the waits of the ladder, the others do not. Nor
 * does a key's "AccessDenied" say anything of the attempts before, which may have deleted it.
 */
#include "core/fs/fs-s3-private.h"

#include "core/base/defect.h"
#include "core/fs/fs-bulk.h"

/* One key on its way. */
struct doomed {
	struct fs_bulk_item base;
	struct doomed *same; /* an earlier file of the same key */
};

struct bulk {
	struct fs_bulk base;
	struct s3_fs *fs;
	struct lab_arena *arena;
	struct doomed *items;
};

/* What the entry of one key says. A key to be sent again stays pending, with its result so far. */
static void apply_entry(
	struct bulk *bulk, struct fs_bulk_item *item, const struct s3_deleted *entry)
{
	const struct http_class *row;
	unsigned status;

	item->answered = true;
	if (entry->code.ptr == NULL) {
		fs_bulk_finish(&bulk->base, item, LAB_OK, false, "");
		return;
	}
	status = s3_status_of_code(entry->code);
	row = http_classify(status, entry->code);
	item->uncertain |= row->maybe_applied;
	fs_bulk_finish(&bulk->base, item, row->error, row->retryable,
		lab_arena_cstr(bulk->arena, entry->code));
	item->pending = row->retry == HTTP_RETRY_LADDER && item->result->code != LAB_OK &&
			!(status == 503 && lab_defect(NO_RETRY_503));
}

static void apply_result(struct bulk *bulk, struct fs_bulk_item **sent, size_t count,
	const struct s3_deleted *entries, size_t entry_count)
{
	struct lab_map *by_key = lab_map_new(bulk->fs->env->heap, count);

	for (size_t i = 0; i < count; i++)
		*lab_map_slot(by_key, sent[i]->name) = sent[i];
	for (size_t i = 0; i < entry_count; i++) {
		struct fs_bulk_item *item = lab_map_get(by_key, entries[i].key);

		if (item != NULL && !item->answered)
			apply_entry(bulk, item, &entries[i]);
	}
	lab_map_free(&by_key);
	fs_bulk_end(&bulk->base, sent, count);
}

static int post(struct bulk *bulk, struct fs_bulk_item **sent, size_t count,
	struct lab_http_response *ret, struct lab_error *err)
{
	struct lab_view *keys = lab_arena_array(bulk->arena, struct lab_view, count);
	struct s3_request request;
	struct lab_buf body;
	int result;

	for (size_t i = 0; i < count; i++)
		keys[i] = sent[i]->name;
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
	for (size_t i = 0; i < count; i++)
		sent[i]->uncertain |= request.was_uncertain;
	return result;
}

/* One POST. */
static void delete_chunk(struct fs_bulk *base, struct fs_bulk_item **sent, size_t count)
{
	struct bulk *bulk = (struct bulk *)base;
	struct lab_http_response response;
	struct s3_deleted *entries = NULL;
	size_t entry_count = 0;
	struct lab_error err;

	if (post(bulk, sent, count, &response, &err) < 0 ||
		s3_delete_result_parse(
			response.body, count, bulk->arena, &entries, &entry_count, &err) < 0)
		fs_bulk_fail(sent, count, &err);
	else
		apply_result(bulk, sent, count, entries, entry_count);
}

static void bulk_init(struct bulk *bulk, struct s3_fs *fs, struct fs_file **files, size_t count,
	struct lab_error *results, struct lab_arena *arena)
{
	struct lab_map *by_key = lab_map_new(fs->env->heap, count);

	*bulk = (struct bulk){ .base = { .env = fs->env,
				       .what = "bulk delete",
				       .gone_is_done = true,
				       .count = count,
				       .max_retries = fs->url.delete_max_retries,
				       .absolute_timeout_ns = fs->url.absolute_timeout_ns,
				       .send = delete_chunk },
		.fs = fs,
		.arena = arena };
	bulk->items = lab_arena_array(arena, struct doomed, count);
	bulk->base.items = lab_arena_array(arena, struct fs_bulk_item *, count);
	for (size_t i = 0; i < count; i++) {
		struct doomed *item = &bulk->items[i];
		void **slot;

		bulk->base.items[i] = &item->base;
		item->base.name = s3_key(fs, files[i]->path, arena);
		item->base.result = &results[i];
		slot = lab_map_slot(by_key, item->base.name);
		item->same = *slot;
		item->base.pending = item->same == NULL;
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
	bulk.base.request_max = request_max;
	fs_bulk_run(&bulk.base);
	for (size_t i = 0; i < count; i++) {
		if (bulk.items[i].same != NULL)
			results[i] = *bulk.items[i].same->base.result;
	}
	lab_arena_free(&arena);
	return fs_first_failure(results, count, err);
}

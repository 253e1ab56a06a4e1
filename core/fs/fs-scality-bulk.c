/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-scality-bulk.c - many deletes or links in one request. A 200 says nothing about a single one:
 * each has its own status. Those that the storage refused for now go out again after the waits of
 * the ladder.
 */
#include "core/fs/fs-bulk.h"
#include "core/fs/fs-scality-private.h"

#define BULK_BODY_MAX ((size_t)8 << 20)
#define BULK_ARENA_MAX ((size_t)256 << 20)

/* One entry on its way; its name is its path. */
struct bulk_item {
	struct fs_bulk_item base;
	struct lab_view source; /* of a link */
	bool has_container;
};

struct bulk {
	struct fs_bulk base;
	struct scality_fs *fs;
	struct lab_arena *arena;
	bool is_link;
};

/* A link's 404 may be about its container: made once, then it is tried again. */
static bool needs_container(struct bulk *bulk, struct bulk_item *item, unsigned status)
{
	struct lab_error err;

	if (!bulk->is_link || status != 404 || item->has_container)
		return false;
	item->has_container = true;
	if (scality_make_containers(bulk->fs, item->base.name, bulk->arena, &err) == 0)
		return true;
	fs_bulk_finish(&bulk->base, &item->base, err.code, err.retryable, err.message);
	return false;
}

static void apply_status(struct bulk *bulk, struct bulk_item *item, unsigned status)
{
	const struct http_class *row = http_classify(status, LAB_VIEW(""));

	item->base.answered = true;
	if (needs_container(bulk, item, status)) {
		item->base.pending = true;
		return;
	}
	if (status == 404 && item->has_container && !item->base.pending)
		return;
	item->base.uncertain |= row->maybe_applied;
	fs_bulk_finish(&bulk->base, &item->base, row->error, row->retryable,
		lab_arena_printf(bulk->arena, "status %u", status));
	item->base.pending = item->base.result->code != LAB_OK &&
			     (row->retry == HTTP_RETRY_LADDER || status == SCALITY_CONFLICT);
}

static void apply_results(
	struct bulk *bulk, struct fs_bulk_item **sent, size_t count, const json_t *results)
{
	struct lab_map *by_path = lab_map_new(bulk->fs->env->heap, count);
	size_t i;
	const json_t *entry;

	for (i = 0; i < count; i++)
		*lab_map_slot(by_path, sent[i]->name) = sent[i];
	json_array_foreach(results, i, entry)
	{
		struct lab_view path = scality_text(entry, "path");
		const json_t *status = json_object_get(entry, "status");
		struct fs_bulk_item *item = NULL;

		/* In their order; a path that is there twice has two answers. */
		if (i < count && lab_view_eq(path, sent[i]->name))
			item = sent[i];
		else if (path.ptr != NULL)
			item = lab_map_get(by_path, path);
		if (item != NULL && !item->answered && json_is_integer(status) &&
			json_integer_value(status) >= 200 && json_integer_value(status) < 600)
			apply_status(bulk, (struct bulk_item *)item,
				(unsigned)json_integer_value(status));
	}
	lab_map_free(&by_path);
	fs_bulk_end(&bulk->base, sent, count);
}

static void write_body(
	const struct bulk *bulk, struct fs_bulk_item **sent, size_t count, struct lab_buf *out)
{
	struct lab_json json;

	lab_json_init(&json, out, false);
	lab_json_object(&json);
	lab_json_key(&json, bulk->is_link ? "link" : "delete");
	lab_json_array(&json);
	for (size_t i = 0; i < count; i++) {
		if (!bulk->is_link) {
			lab_json_view(&json, sent[i]->name);
			continue;
		}
		lab_json_object(&json);
		lab_json_key(&json, "source");
		lab_json_view(&json, ((struct bulk_item *)sent[i])->source);
		lab_json_key(&json, "target");
		lab_json_view(&json, sent[i]->name);
		lab_json_end(&json);
	}
	lab_json_end(&json);
	lab_json_end(&json);
}

static int post(struct bulk *bulk, struct fs_bulk_item **sent, size_t count,
	struct lab_http_response *ret, struct lab_error *err)
{
	struct scality_request request;
	struct lab_buf body;
	int result;

	lab_buf_init(&body, bulk->fs->env->heap, BULK_BODY_MAX);
	write_body(bulk, sent, count, &body);
	scality_request_init(&request, bulk->fs, bulk->is_link ? HTTP_WRITE : HTTP_DELETE, "POST",
		scality_path_target(bulk->fs, LAB_VIEW(""),
			bulk->is_link ? "?bulk_link" : "?bulk_delete", bulk->arena),
		"application/json", lab_buf_view(&body));
	request.answer_max = SCALITY_LIST_ANSWER_MAX;
	request.requires = "results";
	result = body.overflow
			 ? lab_fail(err, LAB_LIMIT, "%s: the paths are too long", bulk->base.what)
			 : scality_request_run(&request, bulk->arena, ret, err);
	lab_buf_done(&body);
	for (size_t i = 0; i < count; i++)
		sent[i]->uncertain |= request.was_uncertain;
	return result;
}

/* One POST. */
static void send_chunk(struct fs_bulk *base, struct fs_bulk_item **sent, size_t count)
{
	struct bulk *bulk = (struct bulk *)base;
	struct lab_http_response response;
	struct lab_error err;
	json_t *root;

	if (post(bulk, sent, count, &response, &err) < 0) {
		fs_bulk_fail(sent, count, &err);
		return;
	}
	/* inspect() has seen that it is one. */
	root = scality_parse(response.body);
	apply_results(bulk, sent, count, json_object_get(root, "results"));
	json_decref(root);
}

/* Room for `count` items. */
static void bulk_init(struct bulk *bulk, struct scality_fs *fs, bool is_link, size_t count)
{
	*bulk = (struct bulk){ .base = { .env = fs->env,
				       .what = is_link ? "bulk link" : "bulk delete",
				       .gone_is_done = !is_link,
				       .max_retries = is_link ? fs->url.write_max_retries
							      : fs->url.delete_max_retries,
				       .absolute_timeout_ns = fs->url.absolute_timeout_ns,
				       .send = send_chunk },
		.fs = fs,
		.arena = lab_arena_new(fs->env->heap, BULK_ARENA_MAX),
		.is_link = is_link };
	bulk->base.items = lab_arena_array(bulk->arena, struct fs_bulk_item *, count);
}

static void bulk_add(
	struct bulk *bulk, struct lab_view path, struct lab_view source, struct lab_error *result)
{
	struct bulk_item *item = lab_arena_new_of(bulk->arena, struct bulk_item);

	item->base = (struct fs_bulk_item){ .name = path, .result = result, .pending = true };
	item->source = source;
	bulk->base.items[bulk->base.count++] = &item->base;
}

/* ---- deletes ---- */

static bool any_id(struct fs_file **files, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (scality_is_id(files[i]->path))
			return true;
	}
	return false;
}

int scality_delete_many(
	struct fs_file **files, size_t count, struct lab_error *results, struct lab_error *err)
{
	struct scality_fs *fs = (struct scality_fs *)files[0]->fs;
	unsigned parallel = LAB_MAX(fs->fs.settings.max_parallel_deletes, 1U);
	size_t request_max = LAB_MIN(fs->url.bulk_delete_limit, parallel);
	struct bulk bulk;

	/* A bulk request has paths only. */
	if (request_max <= 1 || any_id(files, count))
		return fs_delete_side_by_side(files, count, results, err);
	bulk_init(&bulk, fs, false, count);
	bulk.base.request_max = request_max;
	for (size_t i = 0; i < count; i++)
		bulk_add(&bulk, files[i]->path, LAB_VIEW(""), &results[i]);
	fs_bulk_run(&bulk.base);
	lab_arena_free(&bulk.arena);
	return fs_first_failure(results, count, err);
}

/* ---- links ---- */

/* A copy that waits. */
struct scality_link {
	struct lab_view from, to;
	struct lab_error result;
	bool done;
	struct scality_link *next;
};

/* Sends those that wait, as many as fit into one request. */
static void send_links(struct scality_fs *fs)
{
	struct scality_link *first = fs->links;
	struct bulk bulk;

	bulk_init(&bulk, fs, true, fs->url.bulk_link_limit);
	bulk.base.request_max = fs->url.bulk_link_limit;
	while (fs->links != NULL && bulk.base.count < bulk.base.request_max) {
		bulk_add(&bulk, fs->links->to, fs->links->from, &fs->links->result);
		fs->links = fs->links->next;
	}
	if (fs->links == NULL)
		fs->last_link = &fs->links;
	fs_bulk_run(&bulk.base);
	for (size_t i = 0; i < bulk.base.count; i++) {
		first->done = true;
		first = first->next;
	}
	lab_arena_free(&bulk.arena);
}

int scality_link(
	struct scality_fs *fs, struct lab_view from, struct lab_view to, struct lab_error *err)
{
	struct scality_link *link = lab_new(fs->env->heap, struct scality_link);
	int result = 0;

	*link = (struct scality_link){ .from = from, .to = to };
	*fs->last_link = link;
	fs->last_link = &link->next;
	while (!link->done) {
		if (fs->linking) {
			(void)env_cond_wait(fs->env, &fs->linked, ENV_FOREVER);
			continue;
		}
		fs->linking = true;
		send_links(fs);
		fs->linking = false;
		env_cond_broadcast(fs->env, &fs->linked);
	}
	if (link->result.code != LAB_OK) {
		*err = link->result;
		result = -1;
	}
	lab_heap_free(fs->env->heap, link);
	return result;
}

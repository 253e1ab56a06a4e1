/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-scality-bulk.c - many deletes or links in one request. A 200 says nothing about a single one:
 * each has its own status. Those that the storage refused for now go out again after the waits of
 * the ladder.
 */
#include "core/fs/fs-scality-private.h"

#define BULK_BODY_MAX ((size_t)8 << 20)
#define BULK_ARENA_MAX ((size_t)256 << 20)

/* One entry on its way. */
struct bulk_item {
	struct lab_view path, source; /* source: of a link */
	struct lab_error *result;
	bool pending; /* to be sent (again) */
	bool answered;
	bool uncertain; /* an attempt that failed may have been applied */
	bool has_container;
};

struct bulk {
	struct scality_fs *fs;
	struct lab_arena *arena;
	bool is_link;
	struct bulk_item *items;
	size_t count;
	size_t request_max;
	unsigned max_retries;
	uint64_t deadline_ns;
};

static const char *what_of(const struct bulk *bulk)
{
	return bulk->is_link ? "bulk link" : "bulk delete";
}

static void finish_item(const struct bulk *bulk, struct bulk_item *item, enum lab_code code,
	bool retryable, const char *why)
{
	item->pending = false;
	if (item->uncertain && code == LAB_NOT_FOUND && !bulk->is_link)
		code = LAB_OK; /* our own earlier attempt */
	else if (item->uncertain && code != LAB_OK)
		code = LAB_UNCERTAIN;
	*item->result = (struct lab_error){ .code = LAB_OK };
	if (code == LAB_OK)
		return;
	lab_fail(item->result, code, "%s: %.*s: %s", what_of(bulk), LAB_VIEW_ARG(item->path), why);
	item->result->retryable = retryable;
}

/* A link's 404 may be about its container: made once, then it is tried again. */
static bool needs_container(struct bulk *bulk, struct bulk_item *item, unsigned status)
{
	struct lab_error err;

	if (!bulk->is_link || status != 404 || item->has_container)
		return false;
	item->has_container = true;
	if (scality_make_containers(bulk->fs, item->path, bulk->arena, &err) == 0)
		return true;
	finish_item(bulk, item, err.code, err.retryable, err.message);
	return false;
}

static void apply_status(struct bulk *bulk, struct bulk_item *item, unsigned status)
{
	const struct http_class *row = http_classify(status, LAB_VIEW(""));

	item->answered = true;
	if (needs_container(bulk, item, status)) {
		item->pending = true;
		return;
	}
	if (status == 404 && item->has_container && !item->pending)
		return;
	item->uncertain |= row->maybe_applied;
	finish_item(bulk, item, row->error, row->retryable,
		lab_arena_printf(bulk->arena, "status %u", status));
	item->pending = item->result->code != LAB_OK &&
			(row->retry == HTTP_RETRY_LADDER || status == SCALITY_CONFLICT);
}

static void apply_results(
	struct bulk *bulk, struct bulk_item **sent, size_t count, const json_t *results)
{
	struct lab_map *by_path = lab_map_new(bulk->fs->env->heap, count);
	size_t i;
	const json_t *entry;

	for (i = 0; i < count; i++)
		*lab_map_slot(by_path, sent[i]->path) = sent[i];
	json_array_foreach(results, i, entry)
	{
		struct lab_view path = scality_text(entry, "path");
		const json_t *status = json_object_get(entry, "status");
		struct bulk_item *item = NULL;

		/* In their order; a path that is there twice has two answers. */
		if (i < count && lab_view_eq(path, sent[i]->path))
			item = sent[i];
		else if (path.ptr != NULL)
			item = lab_map_get(by_path, path);
		if (item != NULL && !item->answered && json_is_integer(status) &&
			json_integer_value(status) >= 200 && json_integer_value(status) < 600)
			apply_status(bulk, item, (unsigned)json_integer_value(status));
	}
	lab_map_free(&by_path);
	for (i = 0; i < count; i++) {
		if (sent[i]->answered)
			continue;
		sent[i]->uncertain = true;
		finish_item(bulk, sent[i], LAB_UNCERTAIN, true, "the answer does not mention it");
	}
}

static void write_body(
	const struct bulk *bulk, struct bulk_item **sent, size_t count, struct lab_buf *out)
{
	struct lab_json json;

	lab_json_init(&json, out, false);
	lab_json_object(&json);
	lab_json_key(&json, bulk->is_link ? "link" : "delete");
	lab_json_array(&json);
	for (size_t i = 0; i < count; i++) {
		if (!bulk->is_link) {
			lab_json_view(&json, sent[i]->path);
			continue;
		}
		lab_json_object(&json);
		lab_json_key(&json, "source");
		lab_json_view(&json, sent[i]->source);
		lab_json_key(&json, "target");
		lab_json_view(&json, sent[i]->path);
		lab_json_end(&json);
	}
	lab_json_end(&json);
	lab_json_end(&json);
}

static int post(struct bulk *bulk, struct bulk_item **sent, size_t count,
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
			 ? lab_fail(err, LAB_LIMIT, "%s: the paths are too long", what_of(bulk))
			 : scality_request_run(&request, bulk->arena, ret, err);
	lab_buf_done(&body);
	for (size_t i = 0; i < count; i++)
		sent[i]->uncertain |= scality_request_was_uncertain(&request);
	return result;
}

/* One POST. A failure of the whole request is the result of each entry in it; the HTTP client has
 * used up its retries then. */
static void send_chunk(struct bulk *bulk, struct bulk_item **sent, size_t count)
{
	struct lab_http_response response;
	struct lab_error err;
	json_t *root;

	if (post(bulk, sent, count, &response, &err) < 0) {
		for (size_t i = 0; i < count; i++) {
			sent[i]->pending = false;
			*sent[i]->result = err;
			if (sent[i]->uncertain)
				sent[i]->result->code = LAB_UNCERTAIN;
		}
		return;
	}
	/* inspect() has seen that it is one. */
	root = scality_parse(response.body);
	apply_results(bulk, sent, count, json_object_get(root, "results"));
	json_decref(root);
}

static void send_pending(struct bulk *bulk)
{
	struct bulk_item **sent =
		lab_new_array(bulk->fs->env->heap, struct bulk_item *, bulk->request_max);
	size_t count = 0;

	for (size_t i = 0; i < bulk->count; i++) {
		struct bulk_item *item = &bulk->items[i];

		if (item->pending) {
			item->answered = false;
			sent[count++] = item;
		}
		if (count > 0 && (count == bulk->request_max || i + 1 == bulk->count)) {
			send_chunk(bulk, sent, count);
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

static void run_bulk(struct bulk *bulk)
{
	struct env *env = bulk->fs->env;
	uint64_t absolute_ns = bulk->fs->url.absolute_timeout_ns;

	bulk->deadline_ns = absolute_ns == 0 ? ENV_FOREVER : env_now(env) + absolute_ns;
	for (unsigned round = 0;; round++) {
		uint64_t wait_ns = http_retry_wait_ns(round);

		send_pending(bulk);
		if (!any_pending(bulk) || round == bulk->max_retries ||
			(bulk->deadline_ns != ENV_FOREVER &&
				env_now(env) + wait_ns >= bulk->deadline_ns))
			return;
		env_sleep(env, wait_ns);
	}
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
	struct bulk bulk = { .fs = fs,
		.count = count,
		.request_max = LAB_MIN(fs->url.bulk_delete_limit, parallel),
		.max_retries = fs->url.delete_max_retries };

	/* A bulk request has paths only. */
	if (bulk.request_max <= 1 || any_id(files, count))
		return fs_delete_side_by_side(files, count, results, err);
	bulk.arena = lab_arena_new(fs->env->heap, BULK_ARENA_MAX);
	bulk.items = lab_arena_array(bulk.arena, struct bulk_item, count);
	for (size_t i = 0; i < count; i++)
		bulk.items[i] = (struct bulk_item){
			.path = files[i]->path, .result = &results[i], .pending = true
		};
	run_bulk(&bulk);
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
	struct lab_arena *arena = lab_arena_new(fs->env->heap, BULK_ARENA_MAX);
	struct scality_link *first = fs->links;
	struct bulk bulk = { .fs = fs,
		.arena = arena,
		.is_link = true,
		.request_max = fs->url.bulk_link_limit,
		.max_retries = fs->url.write_max_retries };

	bulk.items = lab_arena_array(arena, struct bulk_item, bulk.request_max);
	while (fs->links != NULL && bulk.count < bulk.request_max) {
		bulk.items[bulk.count++] = (struct bulk_item){ .path = fs->links->to,
			.source = fs->links->from,
			.result = &fs->links->result,
			.pending = true };
		fs->links = fs->links->next;
	}
	if (fs->links == NULL)
		fs->last_link = &fs->links;
	run_bulk(&bulk);
	for (size_t i = 0; i < bulk.count; i++) {
		first->done = true;
		first = first->next;
	}
	lab_arena_free(&arena);
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-scality.c - the driver scality: Scality over CDMI (obox 1.3, 1.6). See fs-scality-private.h.
 */
#include "core/fs/fs-scality-private.h"

#include "core/aws/metadata-text.h"

#define URL_ARENA_MAX ((size_t)256 * 1024)
#define OPERATION_ARENA_MAX ((size_t)16 * 1024 * 1024)
#define VALUE_MAX ((size_t)192 << 20)
#define LIST_PAGE 1000
#define LIST_PAGES_MAX 100000

static struct scality_fs *fs_of(const struct fs_file *file)
{
	return (struct scality_fs *)file->fs;
}

static struct lab_arena *operation_arena(const struct fs_file *file)
{
	return lab_arena_new(fs_of(file)->env->heap, OPERATION_ARENA_MAX);
}

/* ---- the fs ---- */

static struct lab_view base_of(struct scality_fs *fs, struct lab_view path)
{
	while (path.len > 0 && path.ptr[path.len - 1] == '/')
		path.len--;
	while (path.len > 0 && path.ptr[0] == '/')
		path = lab_view_skip(path, 1);
	if (path.len == 0)
		return LAB_VIEW("");
	return lab_view_cstr(lab_arena_printf(fs->arena, "/%.*s", LAB_VIEW_ARG(path)));
}

static void scality_deinit(struct fs *base)
{
	struct scality_fs *fs = (struct scality_fs *)base;
	struct lab_heap *heap = fs->env->heap;

	http_client_free(&fs->client);
	lab_arena_free(&fs->arena);
	lab_heap_free(heap, fs);
}

static int open_parts(struct scality_fs *fs, const struct fs_settings *settings,
	struct lab_view args, struct lab_error *err)
{
	struct http_policy policy;

	/* The URL's parts borrow from its text. */
	args = lab_arena_copy(fs->arena, args);
	if (fs_uri_http(args, FS_URI_HTTP_SCALITY, fs->arena, &fs->url, err) < 0)
		return -1;
	fs->authority = fs_uri_http_authority(&fs->url, fs->arena);
	fs->base = base_of(fs, fs->url.path);
	fs->objectid_base = base_of(fs, fs->url.preserve_objectid_prefix);
	fs->last_link = &fs->links;
	policy = fs_http_policy(&fs->url, settings);
	policy.retry_statuses[0] = SCALITY_CONFLICT;
	return http_client_new(fs->env, &policy, &fs->client, err);
}

static int scality_init(const struct fs_driver *driver, struct lab_view args,
	const struct fs_settings *settings, struct fs **ret, struct lab_error *err)
{
	struct scality_fs *fs = lab_new(settings->env->heap, struct scality_fs);

	(void)driver;
	fs->env = settings->env;
	fs->arena = lab_arena_new(settings->env->heap, URL_ARENA_MAX);
	if (open_parts(fs, settings, args, err) < 0) {
		scality_deinit(&fs->fs);
		return -1;
	}
	*ret = &fs->fs;
	return 0;
}

static uint32_t scality_properties(struct fs *base)
{
	const struct scality_fs *fs = (struct scality_fs *)base;

	return FS_PROPERTY_METADATA | FS_PROPERTY_STAT | FS_PROPERTY_ITER | FS_PROPERTY_FASTCOPY |
	       FS_PROPERTY_COPY_METADATA | FS_PROPERTY_OBJECTIDS | FS_PROPERTY_DIRECTORIES |
	       (fs->url.use_listing ? FS_PROPERTY_RELIABLEITER : 0);
}

static void scality_set_reason(struct fs *base, const char *reason)
{
	((struct scality_fs *)base)->reason = reason;
}

/* ---- reading ---- */

static struct fs_file *scality_file_open(
	struct fs *fs, struct lab_view path, enum fs_open_mode mode)
{
	(void)path;
	(void)mode;
	return &lab_new(fs->settings.env->heap, struct scality_file)->file;
}

static void scality_file_close(struct fs_file *file)
{
	lab_heap_free(file->fs->settings.env->heap, file);
}

static void scality_set_metadata(struct fs_file *file, const char *key, struct lab_view value)
{
	fs_file_metadata_store(file, key, value);
}

/* What an answer says about the object. */
static void learn(struct fs_file *file, const json_t *root, struct lab_arena *arena)
{
	struct scality_file *own = (struct scality_file *)file;
	json_t *metadata = json_object_get(root, "metadata");
	struct lab_view id = scality_text(root, "objectID");
	const char *name;
	json_t *value;

	if (scality_is_id(id) && fs_file_metadata(file, FS_METADATA_OBJECTID).ptr == NULL)
		fs_file_metadata_store(file, FS_METADATA_OBJECTID, lab_arena_copy(arena, id));
	own->metadata_known |= json_is_object(metadata);
	json_object_foreach(metadata, name, value)
	{
		if (json_is_string(value))
			fs_http_metadata_learn_one(file, SCALITY_META_PREFIX, lab_view_cstr(name),
				metadata_text_decode(lab_view_of(json_string_value(value),
							     json_string_length(value)),
					fs_of(file)->env->heap, arena));
	}
}

static int size_of(const json_t *root, uint64_t *ret)
{
	struct lab_view text = scality_text(json_object_get(root, "metadata"), "cdmi_size");

	return text.ptr == NULL ? -1 : lab_view_to_u64(text, ret);
}

static int get(struct fs_file *file, const char *query, const char *requires, size_t answer_max,
	struct lab_arena *arena, json_t **ret, struct lab_error *err)
{
	struct scality_request request;
	struct lab_http_response response;
	struct lab_view target;

	if (scality_target(file, query, arena, &target, err) < 0)
		return -1;
	scality_request_init(
		&request, fs_of(file), HTTP_READ, "GET", target, SCALITY_OBJECT, LAB_VIEW(""));
	request.requires = requires;
	request.answer_max = answer_max;
	if (scality_request_run(&request, arena, &response, err) < 0)
		return -1;
	*ret = scality_parse(response.body);
	if (*ret == NULL)
		return lab_fail(err, LAB_CORRUPT, "%.*s: an answer without a body",
			LAB_VIEW_ARG(file->path));
	learn(file, *ret, arena);
	return 0;
}

static int get_fields(
	struct fs_file *file, uint64_t *ret_size, struct lab_arena *arena, struct lab_error *err)
{
	json_t *root;
	int result = 0;

	if (get(file, "?objectID;metadata", "metadata", SCALITY_ANSWER_MAX, arena, &root, err) < 0)
		return -1;
	if (ret_size != NULL && size_of(root, ret_size) < 0)
		result = lab_fail(err, LAB_CORRUPT, "%.*s: no cdmi_size", LAB_VIEW_ARG(file->path));
	json_decref(root);
	return result;
}

/* An id is known after a write, or can be asked for; not before. */
static int scality_get_metadata(struct fs_file *file, const char *key, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	const struct scality_file *own = (struct scality_file *)file;
	bool is_id = strcmp(key, FS_METADATA_OBJECTID) == 0;
	struct lab_view value = fs_file_metadata(file, key);
	bool ask = is_id ? file->mode == FS_OPEN_READONLY || own->written
			 : !own->metadata_known && !fs_http_is_internal(lab_view_cstr(key));

	if (value.ptr == NULL && ask) {
		if (get_fields(file, NULL, arena, err) < 0)
			return -1;
		value = fs_file_metadata(file, key);
	}
	if (value.ptr == NULL)
		return 0;
	*ret = lab_arena_copy(arena, value);
	return 1;
}

static int decode_value(struct fs_file *file, const json_t *root, size_t max_bytes,
	struct lab_arena *arena, struct lab_view *ret, struct lab_error *err)
{
	struct lab_view text = scality_text(root, "value");
	struct lab_buf plain;
	uint64_t size;
	int result = 0;

	lab_buf_init(&plain, fs_of(file)->env->heap, text.len + 1);
	if (!lab_view_eq_cstr(scality_text(root, "valuetransferencoding"), "base64") ||
		lab_buf_append_unbase64(&plain, text) < 0)
		result = lab_fail(
			err, LAB_CORRUPT, "%.*s: no value in base64", LAB_VIEW_ARG(file->path));
	else if (size_of(root, &size) < 0 || size != plain.len)
		result = lab_fail(err, LAB_CORRUPT, "%.*s: the value does not have its cdmi_size",
			LAB_VIEW_ARG(file->path));
	else if (plain.len > max_bytes)
		result = lab_fail(err, LAB_LIMIT, "%.*s has %zu bytes, more than %zu",
			LAB_VIEW_ARG(file->path), plain.len, max_bytes);
	else
		*ret = lab_arena_copy(arena, lab_buf_view(&plain));
	lab_buf_done(&plain);
	return result;
}

static int scality_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	size_t answer_max = LAB_MIN(max_bytes, VALUE_MAX) / 3 * 4 + SCALITY_ANSWER_MAX;
	struct lab_arena *answer =
		lab_arena_new(fs_of(file)->env->heap, 2 * answer_max + OPERATION_ARENA_MAX);
	json_t *root;
	int result = get(file, "", "value", answer_max, answer, &root, err);

	if (result == 0) {
		result = decode_value(file, root, max_bytes, arena, ret, err);
		json_decref(root);
	}
	lab_arena_free(&answer);
	return result;
}

static int scality_exists(struct fs_file *file, struct lab_error *err)
{
	struct lab_arena *arena = operation_arena(file);
	struct lab_error own;
	int result = 1;

	if (get_fields(file, NULL, arena, &own) < 0) {
		result = own.code == LAB_NOT_FOUND ? 0 : -1;
		if (result < 0 && err != NULL)
			*err = own;
	}
	lab_arena_free(&arena);
	return result;
}

static int scality_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err)
{
	struct lab_arena *arena = operation_arena(file);
	int result = get_fields(file, ret_size, arena, err);

	lab_arena_free(&arena);
	return result;
}

static int scality_get_nlinks(struct fs_file *file, unsigned *ret, struct lab_error *err)
{
	(void)file;
	(void)ret;
	return lab_fail(err, LAB_UNSUPPORTED, "CDMI does not count references");
}

/* ---- writing ---- */

static void prepare_name(struct fs_file *file)
{
	struct scality_file *own = (struct scality_file *)file;

	if (file->mode == FS_OPEN_CREATE_UNIQUE_128 && !own->named)
		fs_http_make_name(file);
	own->named = true;
}

static int put_metadata(struct lab_json *json, const struct fs_file *file, struct lab_arena *arena,
	struct lab_error *err)
{
	const struct fs_metadata_item *item = file->metadata;
	struct lab_view key, value;

	lab_json_key(json, "metadata");
	lab_json_object(json);
	while (fs_file_metadata_next(&item, &key, &value)) {
		if (fs_http_is_internal(key))
			continue;
		if (fs_http_metadata_check(key, value, err) < 0)
			return -1;
		lab_json_key(json,
			lab_arena_printf(arena, SCALITY_META_PREFIX "%.*s", LAB_VIEW_ARG(key)));
		/* As a header would have it: JSON has no bytes that are not UTF-8. */
		lab_json_view(json, metadata_text_encode(value, fs_of(file)->env->heap, arena));
	}
	lab_json_end(json);
	return 0;
}

static void put_value(struct lab_json *json, struct lab_heap *heap, struct lab_view contents)
{
	struct lab_buf text;

	lab_buf_init(&text, heap, contents.len / 3 * 4 + 8);
	lab_buf_append_base64(&text, contents);
	lab_json_put_cstr(json, "valuetransferencoding", "base64");
	lab_json_key(json, "value");
	lab_json_view(json, lab_buf_view(&text));
	lab_buf_done(&text);
}

static int put_once(
	struct fs_file *file, struct lab_view body, struct lab_arena *arena, struct lab_error *err)
{
	struct scality_request request;
	struct lab_http_response response;
	struct lab_view target;
	json_t *root;

	if (scality_target(file, NULL, arena, &target, err) < 0)
		return -1;
	scality_request_init(
		&request, fs_of(file), HTTP_WRITE, "PUT", target, SCALITY_OBJECT, body);
	if (file->mode == FS_OPEN_CREATE)
		lab_http_header_add(
			&request.http.headers, LAB_VIEW("If-None-Match"), LAB_VIEW("*"));
	request.requires = "objectID";
	if (scality_request_run(&request, arena, &response, err) < 0)
		return -1;
	/* 204: it was there. Who wants its id asks for it. */
	root = scality_parse(response.body);
	if (root != NULL) {
		learn(file, root, arena);
		json_decref(root);
	}
	((struct scality_file *)file)->written = true;
	return 0;
}

/* 404 is for a container that is missing. */
static int put(
	struct fs_file *file, struct lab_view body, struct lab_arena *arena, struct lab_error *err)
{
	if (put_once(file, body, arena, err) == 0)
		return 0;
	if (err->code != LAB_NOT_FOUND)
		return -1;
	if (scality_make_containers(fs_of(file), file->path, arena, err) < 0)
		return -1;
	return put_once(file, body, arena, err);
}

static int scality_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct lab_heap *heap = fs_of(file)->env->heap;
	struct lab_arena *arena;
	struct lab_json json;
	struct lab_buf body;
	int result;

	if (contents.len > VALUE_MAX)
		return lab_fail(err, LAB_LIMIT, "%zu bytes are more than one object can have",
			contents.len);
	prepare_name(file);
	arena = operation_arena(file);
	lab_buf_init(&body, heap, contents.len / 3 * 4 + SCALITY_ANSWER_MAX);
	lab_json_init(&json, &body, false);
	lab_json_object(&json);
	lab_json_put_cstr(&json, "mimetype", "application/octet-stream");
	result = put_metadata(&json, file, arena, err);
	if (result == 0) {
		put_value(&json, heap, contents);
		lab_json_end(&json);
		result = body.overflow ? lab_fail(err, LAB_LIMIT, "too much metadata")
				       : put(file, lab_buf_view(&body), arena, err);
	}
	((struct scality_file *)file)->metadata_known = result == 0;
	lab_buf_done(&body);
	lab_arena_free(&arena);
	return result;
}

/* A copy of its own, with the metadata of `to` if it has any. */
static int put_copy(
	struct fs_file *from, struct fs_file *to, struct lab_arena *arena, struct lab_error *err)
{
	struct scality_fs *fs = fs_of(to);
	struct lab_json json;
	struct lab_buf body;
	int result = 0;

	lab_buf_init(&body, fs->env->heap, SCALITY_ANSWER_MAX);
	lab_json_init(&json, &body, false);
	lab_json_object(&json);
	lab_json_put_cstr(&json, "copy",
		lab_arena_printf(
			arena, "%.*s/%.*s", LAB_VIEW_ARG(fs->base), LAB_VIEW_ARG(from->path)));
	if (fs_http_has_own_metadata(to)) {
		if (!((struct scality_file *)from)->metadata_known)
			result = get_fields(from, NULL, arena, err);
		if (result == 0) {
			fs_http_metadata_inherit(from, to, arena);
			result = put_metadata(&json, to, arena, err);
		}
	}
	if (result == 0) {
		lab_json_end(&json);
		result = body.overflow ? lab_fail(err, LAB_LIMIT, "too much metadata")
				       : put(to, lab_buf_view(&body), arena, err);
	}
	lab_buf_done(&body);
	return result;
}

/* By its id there is no path to copy from. */
static int copy_contents(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	struct lab_arena *arena =
		lab_arena_new(fs_of(to)->env->heap, VALUE_MAX + OPERATION_ARENA_MAX);
	struct lab_view contents;
	int result = scality_read(from, arena, VALUE_MAX, &contents, err);

	if (result == 0) {
		fs_http_metadata_inherit(from, to, arena);
		result = scality_write(to, contents, err);
	}
	lab_arena_free(&arena);
	return result;
}

/* A link is another name for the object: it has its metadata, and must be new. */
static bool can_link(const struct fs_file *to)
{
	return fs_of(to)->url.bulk_link_limit > 0 && to->mode != FS_OPEN_REPLACE &&
	       !fs_http_has_own_metadata(to);
}

static int scality_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	struct lab_arena *arena;
	int result;

	prepare_name(to);
	if (scality_is_id(from->path))
		return copy_contents(from, to, err);
	if (can_link(to)) {
		result = scality_link(fs_of(to), from->path, to->path, err);
		((struct scality_file *)to)->written = result == 0;
		return result;
	}
	arena = operation_arena(to);
	result = put_copy(from, to, arena, err);
	lab_arena_free(&arena);
	return result;
}

static int scality_rename(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	(void)from;
	(void)to;
	return lab_fail(err, LAB_UNSUPPORTED, "CDMI does not rename");
}

static int scality_delete(struct fs_file *file, struct lab_error *err)
{
	struct lab_arena *arena = operation_arena(file);
	struct scality_request request;
	struct lab_http_response response;
	struct lab_view target;
	/* By path, even if the id is known: other names of the object stay. */
	int result = scality_target(file, NULL, arena, &target, err);

	if (result == 0) {
		scality_request_init(
			&request, fs_of(file), HTTP_DELETE, "DELETE", target, NULL, LAB_VIEW(""));
		result = scality_request_run(&request, arena, &response, err);
	}
	lab_arena_free(&arena);
	return result;
}

/* ---- listing ---- */

struct listing {
	struct scality_fs *fs;
	struct lab_view path; /* without a slash at its end */
	uint32_t flags;
	size_t max_entries;
	struct lab_arena *arena; /* the caller's: names only */
	struct lab_view *names;
	size_t count, room;
	size_t seen;           /* entries of all kinds: where readdir goes on */
	struct lab_buf marker; /* where a listing goes on */
	bool more;
};

static int listing_add(
	struct listing *list, struct lab_view name, struct lab_view id, struct lab_error *err)
{
	bool is_dir = lab_view_ends_with(name, LAB_VIEW("/"));

	list->seen++;
	if (is_dir != ((list->flags & FS_ITER_DIRS) != 0))
		return 0;
	if (list->count == list->max_entries)
		return lab_fail(err, LAB_LIMIT, "%.*s has more than %zu entries",
			LAB_VIEW_ARG(list->path), list->max_entries);
	if (list->count == list->room) {
		size_t room = LAB_MIN(LAB_MAX(2 * list->room, 64U), list->max_entries);
		struct lab_view *names = lab_arena_array(list->arena, struct lab_view, room);

		if (list->count > 0)
			memcpy(names, list->names, list->count * sizeof(*names));
		list->names = names;
		list->room = room;
	}
	if (is_dir)
		name.len--;
	list->names[list->count++] =
		(list->flags & FS_ITER_OBJECTIDS) != 0
			? lab_view_cstr(lab_arena_printf(
				  list->arena, "%.*s/%.*s", LAB_VIEW_ARG(id), LAB_VIEW_ARG(name)))
			: lab_arena_copy(list->arena, name);
	return 0;
}

/* readdir: the names from the n-th on; a short page is the last one. */
static int take_children(struct listing *list, const json_t *root, struct lab_error *err)
{
	const json_t *children = json_object_get(root, "children"), *child;
	size_t i;

	json_array_foreach(children, i, child)
	{
		if (!json_is_string(child))
			return lab_fail(err, LAB_CORRUPT, "a child's name is not a string");
		if (listing_add(list,
			    lab_view_of(json_string_value(child), json_string_length(child)),
			    LAB_VIEW(""), err) < 0)
			return -1;
	}
	list->more = json_array_size(children) >= LIST_PAGE;
	return 0;
}

/* listing: names behind the marker, with their ids. */
static int take_listing(struct listing *list, const json_t *root, struct lab_error *err)
{
	const json_t *entries = json_object_get(root, "listing"), *entry;
	size_t i;

	list->more = json_is_true(json_object_get(root, "truncated"));
	json_array_foreach(entries, i, entry)
	{
		struct lab_view name = scality_text(entry, "name"),
				id = scality_text(entry, "objectID");
		struct lab_view plain = name;

		if (lab_view_ends_with(plain, LAB_VIEW("/")))
			plain.len--;
		/* Must move on, or the loop would not end. */
		if (plain.len == 0 || lab_view_cmp(plain, lab_buf_view(&list->marker)) <= 0)
			return lab_fail(err, LAB_CORRUPT, "the listing does not move on");
		lab_buf_reset(&list->marker);
		lab_buf_append_view(&list->marker, plain);
		if (listing_add(list, name, id, err) < 0)
			return -1;
	}
	if (list->more && json_array_size(entries) == 0)
		return lab_fail(err, LAB_CORRUPT, "the listing does not move on");
	return 0;
}

static struct lab_view list_target(struct listing *list, struct lab_arena *arena)
{
	const char *slash = list->path.len == 0 ? "" : "/";
	struct lab_view result;
	struct lab_buf suffix;

	lab_buf_init(&suffix, list->fs->env->heap, FS_HTTP_TARGET_MAX);
	if (list->fs->url.use_listing) {
		lab_buf_printf(&suffix, "%s?listing:", slash);
		lab_buf_append_percent(&suffix, lab_buf_view(&list->marker), false);
	} else {
		lab_buf_printf(&suffix, "%s?children:%zu-%zu", slash, list->seen,
			list->seen + LIST_PAGE - 1);
	}
	result = scality_path_target(list->fs, list->path, lab_buf_cstr(&suffix), arena);
	lab_buf_done(&suffix);
	return result;
}

static int list_page(struct listing *list, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(list->fs->env->heap, 4 * SCALITY_LIST_ANSWER_MAX);
	bool use_listing = list->fs->url.use_listing;
	struct scality_request request;
	struct lab_http_response response;
	json_t *root;
	int result;

	scality_request_init(&request, list->fs, HTTP_READ, "GET", list_target(list, arena),
		SCALITY_CONTAINER, LAB_VIEW(""));
	request.answer_max = SCALITY_LIST_ANSWER_MAX;
	request.requires = use_listing ? "listing" : "children";
	list->more = false;
	result = scality_request_run(&request, arena, &response, err);
	if (result == 0) {
		root = scality_parse(response.body);
		result = use_listing ? take_listing(list, root, err)
				     : take_children(list, root, err);
		json_decref(root);
	} else if (err->code == LAB_NOT_FOUND) {
		result = 0; /* a directory that is not there has nothing in it */
	}
	lab_arena_free(&arena);
	return result;
}

static int scality_iter(struct fs *base, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err)
{
	struct listing list = { .fs = (struct scality_fs *)base,
		.path = path,
		.flags = flags,
		.max_entries = max_entries,
		.arena = arena };
	int result;

	while (lab_view_ends_with(list.path, LAB_VIEW("/")))
		list.path.len--;
	lab_buf_init(&list.marker, list.fs->env->heap, 2 * SCALITY_PATH_MAX);
	for (size_t pages = 0;; pages++) {
		result = pages == LIST_PAGES_MAX
				 ? lab_fail(err, LAB_LIMIT, "a listing of too many pages")
				 : list_page(&list, err);
		if (result < 0 || !list.more)
			break;
	}
	lab_buf_done(&list.marker);
	if (result == 0) {
		*ret_names = list.names;
		*ret_count = list.count;
	}
	return result;
}

const struct fs_driver fs_driver_scality = {
	.name = "scality",
	.init = scality_init,
	.deinit = scality_deinit,
	.properties = scality_properties,
	.set_reason = scality_set_reason,
	.file_open = scality_file_open,
	.file_close = scality_file_close,
	.set_metadata = scality_set_metadata,
	.get_metadata = scality_get_metadata,
	.read = scality_read,
	.write = scality_write,
	.exists = scality_exists,
	.stat = scality_stat,
	.get_nlinks = scality_get_nlinks,
	.copy = scality_copy,
	.rename = scality_rename,
	.delete_file = scality_delete,
	.delete_many = scality_delete_many,
	.iter = scality_iter,
};

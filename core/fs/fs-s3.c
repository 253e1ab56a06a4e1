/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-s3.c - the drivers s3 and aws-s3: whole objects in a bucket (obox 1.6, 4.3, 4.4).
 *
 *   path      <base>/<key prefix><path>, percent-encoded, never normalised
 *   metadata  x-amz-meta-dovecot-<key>
 *   URL       core/conf/fs-uri.h; aws-s3 adds addhdrvar=x-amz-security-token:%{auth:token} and the
 *             two loghdr of AWS
 *
 * FS_OPEN_CREATE asks with a HEAD before it writes: not every S3 has conditional writes, and obox
 * gives its objects unique names, so that nothing below dictmap opens files this way.
 */
#include "core/fs/fs-s3-private.h"

#include "core/fs/fs-shared.h"

#define URL_ARENA_MAX ((size_t)256 * 1024)
#define OPERATION_ARENA_MAX ((size_t)1024 * 1024)
#define LIST_PAGES_MAX 100000

struct s3_file {
	struct fs_file file;
	bool metadata_known; /* what the storage has was read, or written by us */
	bool named;          /* CREATE_UNIQUE_128: its name was made */
};

/* ---- the fs ---- */

static int open_credentials(
	struct s3_fs *fs, const struct fs_settings *settings, struct lab_error *err)
{
	const struct conf_http_url *url = &fs->url;
	const struct fs_services *services = settings->services;

	if (url->auth_role.ptr != NULL) {
		if (services == NULL || services->auth_open == NULL)
			return lab_fail(err, LAB_INVALID, "auth_role needs the service fs-auth");
		fs->credentials =
			services->auth_open(services->ctx, url->auth_host, url->auth_role, err);
		return fs->credentials == NULL ? -1 : 0;
	}
	/* Without either, requests go out unsigned: a gateway may know its clients otherwise. */
	if (url->user.ptr != NULL) {
		fs->credentials = aws_credentials_fixed(fs->env, url->user, url->password);
		fs->own_credentials = true;
	}
	return 0;
}

static void *create_key_cache(struct env *env, struct lab_view key)
{
	(void)key;
	return lab_new(env->heap, struct sigv4_key_cache);
}

/* Signing keys belong to the process: its users have the same credentials. */
static void open_key_cache(struct s3_fs *fs, const struct fs_settings *settings)
{
	if (settings->services != NULL && settings->services->shared != NULL) {
		fs->key_cache = fs_shared_get(settings->services->shared,
			LAB_VIEW("s3 signing keys"), create_key_cache, NULL);
		return;
	}
	fs->key_cache = create_key_cache(fs->env, LAB_VIEW(""));
	fs->own_key_cache = true;
}

static void s3_deinit(struct fs *base)
{
	struct s3_fs *fs = (struct s3_fs *)base;
	struct lab_heap *heap = fs->env->heap;

	http_client_free(&fs->client);
	if (fs->own_credentials)
		aws_credentials_free(&fs->credentials);
	if (fs->own_key_cache)
		lab_heap_free(heap, fs->key_cache);
	lab_arena_free(&fs->arena);
	lab_heap_free(heap, fs);
}

static int open_parts(struct s3_fs *fs, const struct fs_settings *settings, struct lab_view args,
	enum fs_uri_http_flavour flavour, struct lab_error *err)
{
	struct http_policy policy;

	/* The URL's parts borrow from its text. */
	args = lab_arena_copy(fs->arena, args);
	if (fs_uri_http(args, flavour, fs->arena, &fs->url, err) < 0)
		return -1;
	fs->authority = fs_uri_http_authority(&fs->url, fs->arena);
	if (s3_resolve_bucket(fs, err) < 0 || open_credentials(fs, settings, err) < 0)
		return -1;
	open_key_cache(fs, settings);
	policy = fs_http_policy(&fs->url, settings);
	return http_client_new(fs->env, &policy, &fs->client, err);
}

static int s3_init_flavour(enum fs_uri_http_flavour flavour, struct lab_view args,
	const struct fs_settings *settings, struct fs **ret, struct lab_error *err)
{
	struct s3_fs *fs = lab_new(settings->env->heap, struct s3_fs);

	fs->env = settings->env;
	fs->arena = lab_arena_new(settings->env->heap, URL_ARENA_MAX);
	if (open_parts(fs, settings, args, flavour, err) < 0) {
		s3_deinit(&fs->fs);
		return -1;
	}
	*ret = &fs->fs;
	return 0;
}

static int s3_init(const struct fs_driver *driver, struct lab_view args,
	const struct fs_settings *settings, struct fs **ret, struct lab_error *err)
{
	(void)driver;
	return s3_init_flavour(FS_URI_HTTP_S3, args, settings, ret, err);
}

static int aws_s3_init(const struct fs_driver *driver, struct lab_view args,
	const struct fs_settings *settings, struct fs **ret, struct lab_error *err)
{
	(void)driver;
	return s3_init_flavour(FS_URI_HTTP_AWS_S3, args, settings, ret, err);
}

static uint32_t s3_properties(struct fs *fs)
{
	(void)fs;
	return FS_PROPERTY_METADATA | FS_PROPERTY_STAT | FS_PROPERTY_ITER |
	       FS_PROPERTY_RELIABLEITER | FS_PROPERTY_FASTCOPY | FS_PROPERTY_COPY_METADATA;
}

static void s3_set_reason(struct fs *base, const char *reason)
{
	((struct s3_fs *)base)->reason = reason;
}

/* ---- files ---- */

static struct fs_file *s3_file_open(struct fs *fs, struct lab_view path, enum fs_open_mode mode)
{
	(void)path;
	(void)mode;
	return &lab_new(fs->settings.env->heap, struct s3_file)->file;
}

static void s3_file_close(struct fs_file *file)
{
	lab_heap_free(file->fs->settings.env->heap, file);
}

static void s3_set_metadata(struct fs_file *file, const char *key, struct lab_view value)
{
	fs_file_metadata_store(file, key, value);
}

static struct s3_fs *fs_of(const struct fs_file *file)
{
	return (struct s3_fs *)file->fs;
}

static struct lab_arena *operation_arena(const struct fs_file *file)
{
	return lab_arena_new(fs_of(file)->env->heap, OPERATION_ARENA_MAX);
}

/* What an answer says about the object. Values that were set here meanwhile stay. */
static void learn_metadata(struct fs_file *file, const struct lab_http_headers *headers)
{
	fs_http_metadata_learn(file, S3_META_PREFIX, headers);
	((struct s3_file *)file)->metadata_known = true;
}

static int s3_head(struct fs_file *file, struct lab_http_response *ret, struct lab_arena *arena,
	struct lab_error *err)
{
	struct s3_request request;

	s3_request_key(&request, fs_of(file), HTTP_READ, "HEAD", file->path, arena);
	if (s3_request_run(&request, arena, ret, err) < 0)
		return -1;
	learn_metadata(file, &ret->headers);
	return 0;
}

static int s3_get_metadata(struct fs_file *file, const char *key, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_view value = fs_file_metadata(file, key);
	struct lab_http_response response;

	if (value.ptr == NULL && !((struct s3_file *)file)->metadata_known &&
		!fs_http_is_internal(lab_view_cstr(key))) {
		if (s3_head(file, &response, arena, err) < 0)
			return -1;
		value = fs_file_metadata(file, key);
	}
	if (value.ptr == NULL)
		return 0;
	*ret = lab_arena_copy(arena, value);
	return 1;
}

static int s3_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_http_response response;
	struct s3_request request;

	s3_request_key(&request, fs_of(file), HTTP_READ, "GET", file->path, arena);
	request.answer_max = LAB_MAX(max_bytes, S3_ANSWER_MAX);
	request.inspect = s3_inspect_get;
	if (s3_request_run(&request, arena, &response, err) < 0)
		return -1;
	if (response.body.len > max_bytes)
		return lab_fail(err, LAB_LIMIT, "%.*s has %zu bytes, more than %zu",
			LAB_VIEW_ARG(file->path), response.body.len, max_bytes);
	learn_metadata(file, &response.headers);
	*ret = response.body;
	return 0;
}

static int s3_exists(struct fs_file *file, struct lab_error *err)
{
	struct lab_arena *arena = operation_arena(file);
	struct lab_http_response response;
	struct lab_error own;
	int result = 1;

	if (s3_head(file, &response, arena, &own) < 0) {
		result = own.code == LAB_NOT_FOUND ? 0 : -1;
		if (result < 0 && err != NULL)
			*err = own;
	}
	lab_arena_free(&arena);
	return result;
}

static int s3_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err)
{
	struct lab_arena *arena = operation_arena(file);
	struct lab_http_response response;
	struct lab_view length;
	int result = s3_head(file, &response, arena, err);

	if (result == 0) {
		length = lab_http_header_get(&response.headers, "Content-Length");
		if (lab_view_to_u64(lab_view_trim(length), ret_size) < 0)
			result = lab_fail(err, LAB_CORRUPT, "HEAD %.*s: no Content-Length",
				LAB_VIEW_ARG(file->path));
	}
	lab_arena_free(&arena);
	return result;
}

static int s3_get_nlinks(struct fs_file *file, unsigned *ret, struct lab_error *err)
{
	(void)file;
	(void)ret;
	return lab_fail(err, LAB_UNSUPPORTED, "S3 does not count references");
}

/* ---- writing ---- */

/* The name of a unique file; and for CREATE, that there is none. */
static int prepare_write(struct fs_file *file, struct lab_error *err)
{
	struct s3_file *own = (struct s3_file *)file;

	if (file->mode == FS_OPEN_CREATE) {
		int exists = s3_exists(file, err);

		return exists <= 0
			       ? exists
			       : lab_fail(err, LAB_EXISTS, "%.*s exists", LAB_VIEW_ARG(file->path));
	}
	if (file->mode == FS_OPEN_CREATE_UNIQUE_128 && !own->named)
		fs_http_make_name(file);
	own->named = true;
	return 0;
}

static int check_key(const struct fs_file *file, struct lab_error *err)
{
	size_t len = fs_of(file)->key_prefix.len + file->path.len;

	if (len == 0 || len > S3_KEY_MAX)
		return lab_fail(
			err, LAB_INVALID, "a key has 1 to %d bytes, not %zu", S3_KEY_MAX, len);
	return 0;
}

static int s3_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct lab_http_response response;
	struct s3_request request;
	struct lab_arena *arena;
	int result;

	if (prepare_write(file, err) < 0 || check_key(file, err) < 0)
		return -1;
	arena = operation_arena(file);
	s3_request_key(&request, fs_of(file), HTTP_WRITE, "PUT", file->path, arena);
	s3_request_body(&request, contents, "application/octet-stream", arena);
	request.inspect = s3_inspect_put;
	result = fs_http_metadata_add(&request.http, file, S3_META_PREFIX, arena, err);
	if (result == 0)
		result = s3_request_run(&request, arena, &response, err);
	((struct s3_file *)file)->metadata_known = result == 0;
	lab_arena_free(&arena);
	return result;
}

/* With new metadata S3 forgets the old: what `to` does not set comes from `from`. */
static int inherit_metadata(
	struct fs_file *from, struct fs_file *to, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_http_response response;

	if (!((struct s3_file *)from)->metadata_known && s3_head(from, &response, arena, err) < 0)
		return -1;
	fs_http_metadata_inherit(from, to, arena);
	return 0;
}

static struct lab_view copy_source(const struct fs_file *from, struct lab_arena *arena)
{
	struct s3_fs *fs = fs_of(from);
	struct lab_view result;
	struct lab_buf text;

	lab_buf_init(&text, fs->env->heap, 4 * (size_t)S3_KEY_MAX);
	lab_buf_append_byte(&text, '/');
	lab_buf_append_percent(&text, fs->bucket, false);
	lab_buf_append_byte(&text, '/');
	lab_buf_append_percent(&text, fs->key_prefix, true);
	lab_buf_append_percent(&text, from->path, true);
	result = lab_arena_copy(arena, lab_buf_view(&text));
	lab_buf_done(&text);
	return result;
}

static int copy_in(
	struct fs_file *from, struct fs_file *to, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_http_response response;
	struct s3_request request;
	bool replace = fs_http_has_own_metadata(to);

	if (replace && inherit_metadata(from, to, arena, err) < 0)
		return -1;
	s3_request_key(&request, fs_of(to), HTTP_WRITE, "PUT", to->path, arena);
	request.inspect = s3_inspect_copy;
	if (s3_request_header(&request, "x-amz-copy-source", copy_source(from, arena), err) < 0 ||
		s3_request_header(&request, "x-amz-metadata-directive",
			replace ? LAB_VIEW("REPLACE") : LAB_VIEW("COPY"), err) < 0)
		return -1;
	if (replace && fs_http_metadata_add(&request.http, to, S3_META_PREFIX, arena, err) < 0)
		return -1;
	return s3_request_run(&request, arena, &response, err);
}

static int s3_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	struct lab_arena *arena;
	int result;

	if (prepare_write(to, err) < 0 || check_key(to, err) < 0)
		return -1;
	arena = operation_arena(to);
	result = copy_in(from, to, arena, err);
	lab_arena_free(&arena);
	return result;
}

static int s3_rename(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	(void)from;
	(void)to;
	return lab_fail(err, LAB_UNSUPPORTED, "S3 does not rename");
}

static int s3_delete_one(struct fs_file *file, struct lab_error *err)
{
	struct lab_arena *arena = operation_arena(file);
	struct lab_http_response response;
	struct s3_request request;
	int result;

	s3_request_key(&request, fs_of(file), HTTP_DELETE, "DELETE", file->path, arena);
	result = s3_request_run(&request, arena, &response, err);
	lab_arena_free(&arena);
	return result;
}

/* ---- listing ---- */

struct listing {
	struct s3_fs *fs;
	uint32_t flags;
	size_t max_entries;
	struct lab_arena *arena; /* the caller's: names only */
	struct lab_view prefix;
	struct lab_view *names;
	size_t count, room;
	fs_walk_fn walked; /* fs_walk(): instead of names */
	void *walked_ctx;
};

static int listing_add(struct listing *list, struct lab_view name, struct lab_error *err)
{
	if (list->count == list->max_entries)
		return lab_fail(err, LAB_LIMIT, "%.*s has more than %zu entries",
			LAB_VIEW_ARG(list->prefix), list->max_entries);
	if (list->count == list->room) {
		size_t room = LAB_MIN(LAB_MAX(2 * list->room, 64U), list->max_entries);
		struct lab_view *names = lab_arena_array(list->arena, struct lab_view, room);

		if (list->count > 0)
			memcpy(names, list->names, list->count * sizeof(*names));
		list->names = names;
		list->room = room;
	}
	/* The object id is not known here, so the part before the '/' is empty. */
	list->names[list->count++] =
		(list->flags & FS_ITER_OBJECTIDS) != 0
			? lab_view_cstr(lab_arena_printf(list->arena, "/%.*s", LAB_VIEW_ARG(name)))
			: lab_arena_copy(list->arena, name);
	return 0;
}

static int listing_take(
	struct listing *list, const struct s3_list_page *page, struct lab_error *err)
{
	bool dirs = (list->flags & FS_ITER_DIRS) != 0;
	const struct lab_view *items = dirs ? page->prefixes : page->keys;
	size_t count = dirs ? page->prefix_count : page->key_count;

	for (size_t i = 0; i < count; i++) {
		struct lab_view name = lab_view_skip(items[i], list->prefix.len);

		if (!lab_view_starts_with(items[i], list->prefix))
			return lab_fail(
				err, LAB_CORRUPT, "the listing has a key of another prefix");
		/* A directory may have an empty name ("a//b"); an empty key is the place-holder
		 * that some tools make for a directory. */
		if (dirs && lab_view_ends_with(name, LAB_VIEW("/")))
			name.len--;
		else if (name.len == 0)
			continue;
		if (listing_add(list, name, err) < 0)
			return -1;
	}
	return 0;
}

/* Where the next page begins; empty after the last one. Must move on, or the loop would not end. */
static int next_marker(const struct s3_list_page *page, struct lab_view last, struct lab_view *ret,
	struct lab_error *err)
{
	struct lab_view marker = page->next_marker;

	*ret = LAB_VIEW("");
	if (!page->truncated)
		return 0;
	if (marker.ptr == NULL && page->key_count > 0)
		marker = page->keys[page->key_count - 1];
	if (page->prefix_count > 0 && page->next_marker.ptr == NULL &&
		lab_view_cmp(page->prefixes[page->prefix_count - 1], marker) > 0)
		marker = page->prefixes[page->prefix_count - 1];
	if (lab_view_cmp(marker, last) <= 0)
		return lab_fail(err, LAB_CORRUPT, "the listing does not move on");
	*ret = marker;
	return 0;
}

static struct lab_view list_query(
	const struct listing *list, struct lab_view marker, struct lab_arena *arena)
{
	struct lab_view result;
	struct lab_buf query;

	lab_buf_init(&query, list->fs->env->heap, 16384);
	lab_buf_append_cstr(&query, list->walked == NULL ? "delimiter=%2F&" : "");
	lab_buf_append_cstr(&query, "encoding-type=url");
	if (marker.len > 0) {
		lab_buf_append_cstr(&query, "&marker=");
		lab_buf_append_percent(&query, marker, false);
	}
	lab_buf_append_cstr(&query, "&prefix=");
	lab_buf_append_percent(&query, list->prefix, false);
	result = lab_arena_copy(arena, lab_buf_view(&query));
	lab_buf_done(&query);
	return result;
}

static int walk_page(struct listing *list, const struct s3_list_page *page, struct lab_arena *arena,
	struct lab_error *err)
{
	struct fs_walked *items = lab_arena_array(arena, struct fs_walked, page->key_count);

	for (size_t i = 0; i < page->key_count; i++) {
		if (!lab_view_starts_with(page->keys[i], list->prefix))
			return lab_fail(
				err, LAB_CORRUPT, "the listing has a key of another prefix");
		items[i].path = lab_view_skip(page->keys[i], list->fs->key_prefix.len);
		items[i].modified = page->modified[i];
	}
	return page->key_count == 0 ? 0
				    : list->walked(list->walked_ctx, items, page->key_count, err);
}

static int take_page(struct listing *list, const struct s3_list_page *page, struct lab_arena *arena,
	struct lab_error *err)
{
	return list->walked == NULL ? listing_take(list, page, err)
				    : walk_page(list, page, arena, err);
}

/* One page, in an arena of its own; the marker is moved to the heap-owned buffer. */
static int list_page(struct listing *list, struct lab_buf *marker, struct lab_error *err)
{
	struct lab_arena *arena = lab_arena_new(list->fs->env->heap, 4 * S3_LIST_ANSWER_MAX);
	struct lab_http_response response;
	struct s3_request request;
	struct s3_list_page page;
	struct lab_view next;
	int result = -1;

	s3_request_bucket(&request, list->fs, HTTP_READ, "GET",
		list_query(list, lab_buf_view(marker), arena), arena);
	request.answer_max = S3_LIST_ANSWER_MAX;
	request.inspect = s3_inspect_list;
	if (s3_request_run(&request, arena, &response, err) == 0 &&
		s3_list_page_parse(response.body, S3_LIST_ENTRIES_MAX, arena, &page, err) == 0 &&
		take_page(list, &page, arena, err) == 0 &&
		next_marker(&page, lab_buf_view(marker), &next, err) == 0) {
		lab_buf_reset(marker);
		lab_buf_append_view(marker, next);
		result = 0;
	}
	lab_arena_free(&arena);
	return result;
}

static int list_pages(struct listing *list, size_t pages_max, struct lab_error *err)
{
	struct lab_buf marker;
	int result;

	lab_buf_init(&marker, list->fs->env->heap, S3_XML_TEXT_MAX);
	for (size_t pages = 0;; pages++) {
		result = pages == pages_max
				 ? lab_fail(err, LAB_LIMIT, "a listing of too many pages")
				 : list_page(list, &marker, err);
		if (result < 0 || marker.len == 0)
			break;
	}
	lab_buf_done(&marker);
	return result;
}

static int s3_iter(struct fs *base, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err)
{
	struct s3_fs *fs = (struct s3_fs *)base;
	struct listing list = {
		.fs = fs, .flags = flags, .max_entries = max_entries, .arena = arena
	};
	bool slash = path.len > 0 && path.ptr[path.len - 1] != '/';

	list.prefix = lab_view_cstr(lab_arena_printf(arena, "%.*s%.*s%s",
		LAB_VIEW_ARG(fs->key_prefix), LAB_VIEW_ARG(path), slash ? "/" : ""));
	if (list_pages(&list, LIST_PAGES_MAX, err) < 0)
		return -1;
	*ret_names = list.names;
	*ret_count = list.count;
	return 0;
}

static int s3_walk(
	struct fs *base, struct lab_view path, fs_walk_fn fn, void *ctx, struct lab_error *err)
{
	struct s3_fs *fs = (struct s3_fs *)base;
	struct lab_arena *arena = lab_arena_new(fs->env->heap, 65536);
	struct listing list = { .fs = fs, .arena = arena, .walked = fn, .walked_ctx = ctx };
	int result;

	list.prefix = lab_view_cstr(lab_arena_printf(
		arena, "%.*s%.*s", LAB_VIEW_ARG(fs->key_prefix), LAB_VIEW_ARG(path)));
	result = list_pages(&list, SIZE_MAX, err);
	lab_arena_free(&arena);
	return result;
}

/* ---- the drivers ---- */

#define S3_OPERATIONS \
	.deinit = s3_deinit, .properties = s3_properties, .set_reason = s3_set_reason, \
	.file_open = s3_file_open, .file_close = s3_file_close, .set_metadata = s3_set_metadata, \
	.get_metadata = s3_get_metadata, .read = s3_read, .write = s3_write, .exists = s3_exists, \
	.stat = s3_stat, .get_nlinks = s3_get_nlinks, .copy = s3_copy, .rename = s3_rename, \
	.delete_file = s3_delete_one, .delete_many = s3_delete_many, .iter = s3_iter, \
	.walk = s3_walk

const struct fs_driver fs_driver_s3 = { .name = "s3", .init = s3_init, S3_OPERATIONS };
const struct fs_driver fs_driver_aws_s3 = { .name = "aws-s3", .init = aws_s3_init, S3_OPERATIONS };

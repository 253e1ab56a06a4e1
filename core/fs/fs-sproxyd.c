/* SPDX-License-Identifier: Apache-2.0
 *
 * fs-sproxyd.c - the driver sproxyd: objects in a Scality RING, by key or by path (obox 1.3, 1.6,
 * 4.1, 4.3).
 *
 *   target    /<URL path>/<key in upper-case hex>, with by-path /<URL path>/<path>
 *   metadata  X-Object-meta-dovecot-<key>
 *   423       retried as 5xx; avoid_423 delays a DELETE of what this process has just used
 *
 * Without by-path a file is named by a GUID, or by a key: dictmap does both. The storage has no
 * listing and no copy; a copy reads and writes.
 */
#include "core/fs/fs-http.h"
#include "core/fs/fs-shared.h"
#include "core/fs/sproxyd-key.h"

#define URL_ARENA_MAX ((size_t)256 * 1024)
#define OPERATION_ARENA_MAX ((size_t)1024 * 1024)
#define ANSWER_MAX ((size_t)64 * 1024)
#define COPY_MAX ((size_t)256 << 20)
#define META_PREFIX "X-Object-meta-dovecot-"
#define STATUS_LOCKED 423
#define PATH_BYTES_MAX 1024
#define RECENT_MAX 16384

/* What this process has used lately, for avoid_423: keys to the time of the last use. Two halves,
 * the older of which is dropped when the newer one is old or full. */
struct recent {
	struct lab_map *now, *before;
	uint64_t began_ns;
};

struct sproxyd_fs {
	struct fs fs;
	struct env *env;
	struct lab_arena *arena; /* of the URL's texts */
	struct conf_http_url url;
	struct http_client *client;
	const char *reason;
	struct lab_view authority;
	struct lab_view base; /* "" or "/proxy/chord", encoded */
	struct recent *recent;
	bool own_recent;
};

struct sproxyd_file {
	struct fs_file file;
	bool metadata_known;
	bool named; /* CREATE_UNIQUE_128: its name was made */
};

static struct sproxyd_fs *fs_of(const struct fs_file *file)
{
	return (struct sproxyd_fs *)file->fs;
}

static struct lab_arena *operation_arena(const struct fs_file *file, size_t extra)
{
	return lab_arena_new(fs_of(file)->env->heap, OPERATION_ARENA_MAX + extra);
}

/* ---- avoid_423 ---- */

static void *recent_create(struct env *env, struct lab_view key)
{
	struct recent *recent = lab_new(env->heap, struct recent);

	(void)key;
	recent->now = lab_map_new(env->heap, RECENT_MAX);
	recent->before = lab_map_new(env->heap, RECENT_MAX);
	recent->began_ns = env_now(env);
	return recent;
}

static void recent_destroy(struct env *env, void *state)
{
	struct recent *recent = state;

	lab_map_free(&recent->now);
	lab_map_free(&recent->before);
	lab_heap_free(env->heap, recent);
}

static void open_recent(struct sproxyd_fs *fs, const struct fs_settings *settings)
{
	struct lab_view name = LAB_VIEW("sproxyd recent");

	if (fs->url.avoid_423_ns == 0)
		return;
	if (settings->services != NULL && settings->services->shared != NULL) {
		fs->recent = fs_shared_get(
			settings->services->shared, name, recent_create, recent_destroy);
		return;
	}
	fs->recent = recent_create(fs->env, name);
	fs->own_recent = true;
}

static void note_use(struct sproxyd_fs *fs, struct lab_view target)
{
	struct recent *recent = fs->recent;
	uint64_t now_ns = env_now(fs->env);
	struct lab_map *older;

	if (recent == NULL)
		return;
	if (now_ns - recent->began_ns > fs->url.avoid_423_ns ||
		lab_map_count(recent->now) == RECENT_MAX) {
		older = recent->before;
		lab_map_clear(older);
		recent->before = recent->now;
		recent->now = older;
		recent->began_ns = now_ns;
	}
	/* The time, plus one so that it is never 0. */
	*lab_map_slot(recent->now, target) = (void *)(uintptr_t)(now_ns + 1);
}

static void avoid_423(struct sproxyd_fs *fs, struct lab_view target)
{
	uint64_t used_ns = 0, until_ns;

	if (fs->recent == NULL)
		return;
	used_ns = (uint64_t)(uintptr_t)lab_map_get(fs->recent->now, target);
	if (used_ns == 0)
		used_ns = (uint64_t)(uintptr_t)lab_map_get(fs->recent->before, target);
	if (used_ns == 0)
		return;
	until_ns = used_ns - 1 + fs->url.avoid_423_ns;
	if (until_ns > env_now(fs->env))
		env_sleep(fs->env, until_ns - env_now(fs->env));
}

/* ---- the fs ---- */

static struct lab_view encoded_base(struct sproxyd_fs *fs)
{
	struct lab_view path = fs->url.path, result;
	struct lab_buf text;

	while (path.len > 0 && path.ptr[path.len - 1] == '/')
		path.len--;
	if (path.len == 0)
		return LAB_VIEW("");
	lab_buf_init(&text, fs->env->heap, FS_HTTP_TARGET_MAX);
	lab_buf_append_byte(&text, '/');
	lab_buf_append_percent(&text, path, true);
	result = lab_arena_copy(fs->arena, lab_buf_view(&text));
	lab_buf_done(&text);
	return result;
}

static void sproxyd_deinit(struct fs *base)
{
	struct sproxyd_fs *fs = (struct sproxyd_fs *)base;
	struct lab_heap *heap = fs->env->heap;

	http_client_free(&fs->client);
	if (fs->own_recent)
		recent_destroy(fs->env, fs->recent);
	lab_arena_free(&fs->arena);
	lab_heap_free(heap, fs);
}

static int open_parts(struct sproxyd_fs *fs, const struct fs_settings *settings,
	struct lab_view args, struct lab_error *err)
{
	struct http_policy policy;

	/* The URL's parts borrow from its text. */
	args = lab_arena_copy(fs->arena, args);
	if (fs_uri_http(args, FS_URI_HTTP_SPROXYD, fs->arena, &fs->url, err) < 0)
		return -1;
	fs->authority = fs_uri_http_authority(&fs->url, fs->arena);
	fs->base = encoded_base(fs);
	open_recent(fs, settings);
	policy = fs_http_policy(&fs->url, settings);
	policy.retry_statuses[0] = STATUS_LOCKED;
	return http_client_new(fs->env, &policy, &fs->client, err);
}

static int sproxyd_init(const struct fs_driver *driver, struct lab_view args,
	const struct fs_settings *settings, struct fs **ret, struct lab_error *err)
{
	struct sproxyd_fs *fs = lab_new(settings->env->heap, struct sproxyd_fs);

	(void)driver;
	fs->env = settings->env;
	fs->arena = lab_arena_new(settings->env->heap, URL_ARENA_MAX);
	if (open_parts(fs, settings, args, err) < 0) {
		sproxyd_deinit(&fs->fs);
		return -1;
	}
	*ret = &fs->fs;
	return 0;
}

static uint32_t sproxyd_properties(struct fs *base)
{
	const struct sproxyd_fs *fs = (struct sproxyd_fs *)base;

	return FS_PROPERTY_METADATA | FS_PROPERTY_STAT | FS_PROPERTY_COPY_METADATA |
	       (fs->url.by_path ? 0 : FS_PROPERTY_OBJECTIDS);
}

static void sproxyd_set_reason(struct fs *base, const char *reason)
{
	((struct sproxyd_fs *)base)->reason = reason;
}

/* ---- names ---- */

/* A key stays what it is; a GUID, with or without extra data behind it, becomes one. */
static int key_of(struct fs_file *file, uint8_t ret[SPROXYD_KEY_BYTES], struct lab_error *err)
{
	struct lab_view path = file->path, known = fs_file_metadata(file, FS_METADATA_OBJECTID);
	struct lab_view original = fs_file_metadata(file, FS_METADATA_ORIG_PATH);
	uint8_t guid[ENV_GUID128_SIZE];

	if (sproxyd_is_key(known))
		path = known;
	if (sproxyd_is_key(path))
		return lab_unhex(path, ret, SPROXYD_KEY_BYTES);
	if (path.len < 2 * sizeof(guid) || path.len % 2 != 0 ||
		lab_unhex(lab_view_sub(path, 0, 2 * sizeof(guid)), guid, sizeof(guid)) < 0)
		return lab_fail(err, LAB_INVALID,
			"sproxyd: '%.*s' is neither a GUID nor a key: use it below dictmap without "
			"storage-objectid-prefix, or with by-path",
			LAB_VIEW_ARG(path));
	sproxyd_key_make(guid, sproxyd_type_of(original), fs_of(file)->url.object_class, ret);
	return 0;
}

static int remember_id(struct fs_file *file, struct lab_error *err)
{
	uint8_t key[SPROXYD_KEY_BYTES];
	char hex[SPROXYD_KEY_HEX + 1];

	if (key_of(file, key, err) < 0)
		return -1;
	lab_hex(key, sizeof(key), hex);
	fs_file_metadata_store(file, FS_METADATA_OBJECTID, lab_view_cstr(hex));
	return 0;
}

static int make_target(struct fs_file *file, struct lab_buf *out, struct lab_error *err)
{
	struct lab_view path = file->path;
	uint8_t key[SPROXYD_KEY_BYTES];

	lab_buf_append_view(out, fs_of(file)->base);
	lab_buf_append_byte(out, '/');
	if (fs_of(file)->url.by_path) {
		if (path.len == 0 || path.len > PATH_BYTES_MAX)
			return lab_fail(err, LAB_INVALID, "a path has 1 to %d bytes, not %zu",
				PATH_BYTES_MAX, path.len);
		lab_buf_append_percent(out, path, true);
		return 0;
	}
	if (key_of(file, key, err) < 0 || remember_id(file, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(key); i++)
		lab_buf_printf(out, "%02X", key[i]);
	return 0;
}

/* ---- requests ---- */

static int add_headers(
	void *ctx, struct lab_http_request *http, struct lab_arena *arena, struct lab_error *err)
{
	struct sproxyd_fs *fs = ctx;
	struct lab_view no_token = { NULL, 0 };

	if (fs_http_add_variables(&fs->url, no_token, http, arena, err) < 0)
		return -1;
	return fs_http_add_basic(&fs->url, http, fs->env->heap, arena, err);
}

static unsigned inspect_get(void *ctx, const struct lab_http_response *response,
	struct lab_arena *arena, const char **why)
{
	struct lab_view length = lab_http_header_get(&response->headers, "Content-Length");
	uint64_t bytes;

	(void)ctx, (void)arena;
	if (length.ptr == NULL || (lab_view_to_u64(lab_view_trim(length), &bytes) == 0 &&
					  bytes == response->body.len))
		return response->status;
	*why = "the body does not have its Content-Length";
	return HTTP_STATUS_ALTERED;
}

static void request_start(
	struct lab_http_request *http, const struct sproxyd_fs *fs, const char *method)
{
	*http = (struct lab_http_request){
		.method = lab_view_cstr(method), .tls = fs->url.tls, .authority = fs->authority
	};
}

static int run(struct fs_file *file, struct lab_http_request *http, enum http_action action,
	size_t answer_max, struct lab_arena *arena, struct lab_http_response *ret,
	struct lab_error *err)
{
	struct sproxyd_fs *fs = fs_of(file);
	struct http_call call = { .action = action,
		.request = http,
		.response_max_bytes = answer_max,
		.reason = fs->reason,
		.ctx = fs,
		.sign = add_headers,
		.inspect = lab_view_eq_cstr(http->method, "GET") ? inspect_get : NULL };
	struct lab_buf target;
	int result;

	lab_buf_init(&target, fs->env->heap, FS_HTTP_TARGET_MAX);
	result = make_target(file, &target, err);
	http->target = lab_arena_copy(arena, lab_buf_view(&target));
	lab_buf_done(&target);
	if (result < 0)
		return -1;
	if (action == HTTP_DELETE)
		avoid_423(fs, http->target);
	result = http_client_request(fs->client, &call, arena, ret, err);
	if (action != HTTP_DELETE)
		note_use(fs, http->target);
	return result;
}

/* ---- files ---- */

static struct fs_file *sproxyd_file_open(
	struct fs *fs, struct lab_view path, enum fs_open_mode mode)
{
	(void)path;
	(void)mode;
	return &lab_new(fs->settings.env->heap, struct sproxyd_file)->file;
}

static void sproxyd_file_close(struct fs_file *file)
{
	lab_heap_free(file->fs->settings.env->heap, file);
}

static void sproxyd_set_metadata(struct fs_file *file, const char *key, struct lab_view value)
{
	fs_file_metadata_store(file, key, value);
}

static int head(struct fs_file *file, struct lab_http_response *ret, struct lab_arena *arena,
	struct lab_error *err)
{
	struct lab_http_request http;

	request_start(&http, fs_of(file), "HEAD");
	if (run(file, &http, HTTP_READ, ANSWER_MAX, arena, ret, err) < 0)
		return -1;
	fs_http_metadata_learn(file, META_PREFIX, &ret->headers);
	((struct sproxyd_file *)file)->metadata_known = true;
	return 0;
}

/* The id of a file is known without the storage. */
static int sproxyd_get_metadata(struct fs_file *file, const char *key, struct lab_arena *arena,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_view value = fs_file_metadata(file, key);
	struct lab_http_response response;

	if (value.ptr == NULL && strcmp(key, FS_METADATA_OBJECTID) == 0 &&
		!fs_of(file)->url.by_path) {
		if (remember_id(file, err) < 0)
			return -1;
	} else if (value.ptr == NULL && !((struct sproxyd_file *)file)->metadata_known &&
		   !fs_http_is_internal(lab_view_cstr(key))) {
		if (head(file, &response, arena, err) < 0)
			return -1;
	}
	value = fs_file_metadata(file, key);
	if (value.ptr == NULL)
		return 0;
	*ret = lab_arena_copy(arena, value);
	return 1;
}

static int sproxyd_read(struct fs_file *file, struct lab_arena *arena, size_t max_bytes,
	struct lab_view *ret, struct lab_error *err)
{
	struct lab_http_response response;
	struct lab_http_request http;

	request_start(&http, fs_of(file), "GET");
	if (run(file, &http, HTTP_READ, LAB_MAX(max_bytes, ANSWER_MAX), arena, &response, err) < 0)
		return -1;
	if (response.body.len > max_bytes)
		return lab_fail(err, LAB_LIMIT, "%.*s has %zu bytes, more than %zu",
			LAB_VIEW_ARG(file->path), response.body.len, max_bytes);
	fs_http_metadata_learn(file, META_PREFIX, &response.headers);
	((struct sproxyd_file *)file)->metadata_known = true;
	*ret = response.body;
	return 0;
}

static int sproxyd_exists(struct fs_file *file, struct lab_error *err)
{
	struct lab_arena *arena = operation_arena(file, 0);
	struct lab_http_response response;
	struct lab_error own;
	int result = 1;

	if (head(file, &response, arena, &own) < 0) {
		result = own.code == LAB_NOT_FOUND ? 0 : -1;
		if (result < 0 && err != NULL)
			*err = own;
	}
	lab_arena_free(&arena);
	return result;
}

static int sproxyd_stat(struct fs_file *file, uint64_t *ret_size, struct lab_error *err)
{
	struct lab_arena *arena = operation_arena(file, 0);
	struct lab_http_response response;
	int result = head(file, &response, arena, err);

	if (result == 0 && lab_view_to_u64(lab_view_trim(lab_http_header_get(
						   &response.headers, "Content-Length")),
				   ret_size) < 0)
		result = lab_fail(
			err, LAB_CORRUPT, "HEAD %.*s: no Content-Length", LAB_VIEW_ARG(file->path));
	lab_arena_free(&arena);
	return result;
}

static int sproxyd_get_nlinks(struct fs_file *file, unsigned *ret, struct lab_error *err)
{
	(void)file;
	(void)ret;
	return lab_fail(err, LAB_UNSUPPORTED, "sproxyd does not count references");
}

/* ---- writing ---- */

static void prepare_name(struct fs_file *file)
{
	struct sproxyd_file *own = (struct sproxyd_file *)file;

	if (file->mode == FS_OPEN_CREATE_UNIQUE_128 && !own->named)
		fs_http_make_name(file);
	own->named = true;
}

static int sproxyd_write(struct fs_file *file, struct lab_view contents, struct lab_error *err)
{
	struct lab_arena *arena = operation_arena(file, 0);
	struct lab_http_response response;
	struct lab_http_request http;
	int result;

	prepare_name(file);
	request_start(&http, fs_of(file), "PUT");
	http.body = contents;
	lab_http_header_add(
		&http.headers, LAB_VIEW("Content-Type"), LAB_VIEW("application/octet-stream"));
	if (file->mode == FS_OPEN_CREATE)
		lab_http_header_add(&http.headers, LAB_VIEW("If-None-Match"), LAB_VIEW("*"));
	result = fs_http_metadata_add(&http, file, META_PREFIX, arena, err);
	if (result == 0)
		result = run(file, &http, HTTP_WRITE, ANSWER_MAX, arena, &response, err);
	((struct sproxyd_file *)file)->metadata_known = result == 0;
	lab_arena_free(&arena);
	return result;
}

static int sproxyd_copy(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	struct lab_arena *arena = operation_arena(to, COPY_MAX);
	struct lab_view contents;
	int result = sproxyd_read(from, arena, COPY_MAX, &contents, err);

	if (result == 0) {
		fs_http_metadata_inherit(from, to, arena);
		result = sproxyd_write(to, contents, err);
	}
	lab_arena_free(&arena);
	return result;
}

static int sproxyd_rename(struct fs_file *from, struct fs_file *to, struct lab_error *err)
{
	(void)from;
	(void)to;
	return lab_fail(err, LAB_UNSUPPORTED, "sproxyd does not rename");
}

static int sproxyd_delete(struct fs_file *file, struct lab_error *err)
{
	struct lab_arena *arena = operation_arena(file, 0);
	struct lab_http_response response;
	struct lab_http_request http;
	int result;

	request_start(&http, fs_of(file), "DELETE");
	result = run(file, &http, HTTP_DELETE, ANSWER_MAX, arena, &response, err);
	lab_arena_free(&arena);
	return result;
}

static int sproxyd_iter(struct fs *fs, struct lab_view path, uint32_t flags, size_t max_entries,
	struct lab_arena *arena, struct lab_view **ret_names, size_t *ret_count,
	struct lab_error *err)
{
	(void)fs, (void)path, (void)flags, (void)max_entries, (void)arena, (void)ret_names,
		(void)ret_count;
	return lab_fail(err, LAB_UNSUPPORTED, "sproxyd has no listing: the dict is its directory");
}

const struct fs_driver fs_driver_sproxyd = {
	.name = "sproxyd",
	.init = sproxyd_init,
	.deinit = sproxyd_deinit,
	.properties = sproxyd_properties,
	.set_reason = sproxyd_set_reason,
	.file_open = sproxyd_file_open,
	.file_close = sproxyd_file_close,
	.set_metadata = sproxyd_set_metadata,
	.get_metadata = sproxyd_get_metadata,
	.read = sproxyd_read,
	.write = sproxyd_write,
	.exists = sproxyd_exists,
	.stat = sproxyd_stat,
	.get_nlinks = sproxyd_get_nlinks,
	.copy = sproxyd_copy,
	.rename = sproxyd_rename,
	.delete_file = sproxyd_delete,
	.delete_many = fs_delete_side_by_side,
	.iter = sproxyd_iter,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fs/fs-http.h"

#include "core/aws/metadata-text.h"
#include "core/conf/var-expand.h"

#define METADATA_KNOWN_MAX 48
#define BASIC_MAX 8192
#define LEARN_ARENA_MAX ((size_t)4 * 1024 * 1024)

struct http_policy fs_http_policy(
	const struct conf_http_url *url, const struct fs_settings *settings)
{
	struct http_policy policy;

	http_policy_init(&policy);
	policy.absolute_timeout_ns = url->absolute_timeout_ns;
	policy.connect_timeout_ns = url->connect_timeout_ns;
	policy.timeout_ns[HTTP_READ] = url->read_timeout_ns;
	policy.timeout_ns[HTTP_WRITE] = url->write_timeout_ns;
	policy.timeout_ns[HTTP_DELETE] = url->delete_timeout_ns;
	policy.max_connect_retries = url->max_connect_retries;
	policy.max_retries[HTTP_READ] = url->read_max_retries;
	policy.max_retries[HTTP_WRITE] = url->write_max_retries;
	policy.max_retries[HTTP_DELETE] = url->delete_max_retries;
	policy.slow_warn_ns = url->slow_warn_ns;
	policy.trace_headers = !url->no_trace_headers;
	policy.reason_header_max_length = url->reason_header_max_length;
	policy.username = lab_view_cstr(settings->username);
	policy.session_id = lab_view_cstr(settings->session_id);
	policy.add_header_count = url->addhdr_count;
	for (size_t i = 0; i < url->addhdr_count; i++)
		policy.add_headers[i] =
			(struct lab_http_header){ url->addhdr[i].name, url->addhdr[i].value };
	policy.log_header_count = url->loghdr_count;
	for (size_t i = 0; i < url->loghdr_count; i++)
		policy.log_headers[i] = url->loghdr[i];
	return policy;
}

/* ---- headers ---- */

struct var_lookup {
	struct lab_view token;
};

static int lookup_variable(
	void *ctx, struct lab_view name, struct lab_view *ret, struct lab_error *err)
{
	const struct var_lookup *lookup = ctx;

	(void)err;
	if (!lab_view_eq_cstr(name, "auth:token"))
		return 0;
	*ret = lookup->token;
	return 1;
}

int fs_http_add_variables(const struct conf_http_url *url, struct lab_view token,
	struct lab_http_request *request, struct lab_arena *arena, struct lab_error *err)
{
	struct var_lookup lookup = { token.ptr == NULL ? LAB_VIEW("") : token };
	struct var_table table = { .lookup = lookup_variable, .ctx = &lookup };

	for (size_t i = 0; i < url->addhdrvar_count; i++) {
		struct lab_view name = url->addhdrvar[i].name, value = lookup.token;

		if (!lab_view_eq_cstr(url->addhdrvar[i].value, "%{auth:token}") &&
			var_expand_arena(arena, url->addhdrvar[i].value, &table, &value, err) < 0)
			return lab_error_wrap(err, "addhdrvar=%.*s", LAB_VIEW_ARG(name));
		if (value.len > 0 && lab_http_header_add(&request->headers, name, value) < 0)
			return lab_fail(err, LAB_LIMIT, "too many headers in one request");
	}
	return 0;
}

int fs_http_add_basic(const struct conf_http_url *url, struct lab_http_request *request,
	struct lab_heap *heap, struct lab_arena *arena, struct lab_error *err)
{
	struct lab_buf plain, value;
	int result;

	if (url->user.ptr == NULL)
		return 0;
	lab_buf_init(&plain, heap, BASIC_MAX);
	lab_buf_init(&value, heap, 2 * BASIC_MAX);
	lab_buf_printf(&plain, "%.*s:%.*s", LAB_VIEW_ARG(url->user), LAB_VIEW_ARG(url->password));
	lab_buf_append_cstr(&value, "Basic ");
	lab_buf_append_base64(&value, lab_buf_view(&plain));
	result = lab_http_header_add(&request->headers, LAB_VIEW("Authorization"),
		lab_arena_copy(arena, lab_buf_view(&value)));
	lab_buf_done(&plain);
	lab_buf_done(&value);
	return result < 0 ? lab_fail(err, LAB_LIMIT, "too many headers in one request") : 0;
}

/* ---- metadata ---- */

bool fs_http_is_internal(struct lab_view key)
{
	return lab_view_starts_with(key, LAB_VIEW(FS_METADATA_INTERNAL_PREFIX));
}

bool fs_http_has_own_metadata(const struct fs_file *file)
{
	const struct fs_metadata_item *item = file->metadata;
	struct lab_view key, value;

	while (fs_file_metadata_next(&item, &key, &value)) {
		if (!fs_http_is_internal(key))
			return true;
	}
	return false;
}

static bool is_metadata_key(struct lab_view key)
{
	for (size_t i = 0; i < key.len; i++) {
		uint8_t c = key.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '-' || c == '_' || c == '.'))
			return false;
	}
	return key.len > 0 && key.len < FS_HTTP_METADATA_KEY_MAX;
}

static bool is_metadata_value(struct lab_view value)
{
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < ' ' || value.ptr[i] == 0x7f)
			return false;
	}
	return true;
}

int fs_http_metadata_check(struct lab_view key, struct lab_view value, struct lab_error *err)
{
	if (is_metadata_key(key) && is_metadata_value(value))
		return 0;
	return lab_fail(err, LAB_INVALID, "metadata %.*s cannot be a header", LAB_VIEW_ARG(key));
}

int fs_http_metadata_add(struct lab_http_request *request, const struct fs_file *file,
	const char *prefix, struct lab_arena *arena, struct lab_error *err)
{
	const struct fs_metadata_item *item = file->metadata;
	struct lab_view key, value;

	while (fs_file_metadata_next(&item, &key, &value)) {
		const char *name;

		if (fs_http_is_internal(key))
			continue;
		if (fs_http_metadata_check(key, value, err) < 0)
			return -1;
		name = lab_arena_printf(arena, "%s%.*s", prefix, LAB_VIEW_ARG(key));
		value = metadata_text_encode(value, file->fs->settings.env->heap, arena);
		if (lab_http_header_add(&request->headers, lab_view_cstr(name), value) < 0)
			return lab_fail(err, LAB_LIMIT, "too many headers in one request");
	}
	return 0;
}

void fs_http_metadata_learn_one(
	struct fs_file *file, const char *prefix, struct lab_view name, struct lab_view value)
{
	struct lab_view start = lab_view_cstr(prefix);
	char key[FS_HTTP_METADATA_KEY_MAX];

	if (name.len <= start.len || name.len - start.len >= sizeof(key) ||
		!lab_view_eq_nocase(lab_view_sub(name, 0, start.len), start) ||
		file->metadata_count >= METADATA_KNOWN_MAX)
		return;
	for (size_t j = start.len; j <= name.len; j++) {
		uint8_t c = j == name.len ? '\0' : name.ptr[j];

		key[j - start.len] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	if (fs_file_metadata(file, key).ptr == NULL)
		fs_file_metadata_store(file, key, value);
}

static bool is_repeated(const struct lab_http_headers *headers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (lab_view_eq_nocase(headers->items[i].name, headers->items[n].name))
			return true;
	}
	return false;
}

/* Of a name that comes several times: all values, with commas between them (s3 1.4). */
static struct lab_view joined_value(
	const struct lab_http_headers *headers, size_t n, struct lab_arena *arena)
{
	struct lab_view value = headers->items[n].value;

	for (size_t i = n + 1; i < headers->count; i++) {
		if (lab_view_eq_nocase(headers->items[i].name, headers->items[n].name))
			value = lab_view_cstr(lab_arena_printf(arena, "%.*s,%.*s",
				LAB_VIEW_ARG(value), LAB_VIEW_ARG(headers->items[i].value)));
	}
	return value;
}

void fs_http_metadata_learn(
	struct fs_file *file, const char *prefix, const struct lab_http_headers *headers)
{
	struct lab_heap *heap = file->fs->settings.env->heap;
	struct lab_arena *arena = lab_arena_new(heap, LEARN_ARENA_MAX);
	struct lab_view start = lab_view_cstr(prefix);

	for (size_t i = 0; i < headers->count; i++) {
		struct lab_view name = headers->items[i].name;

		if (!lab_view_eq_nocase(lab_view_sub(name, 0, start.len), start) ||
			is_repeated(headers, i))
			continue;
		fs_http_metadata_learn_one(file, prefix, name,
			metadata_text_decode(joined_value(headers, i, arena), heap, arena));
	}
	lab_arena_free(&arena);
}

void fs_http_metadata_inherit(struct fs_file *from, struct fs_file *to, struct lab_arena *arena)
{
	const struct fs_metadata_item *item = from->metadata;
	struct lab_view key, value;

	while (fs_file_metadata_next(&item, &key, &value)) {
		const char *name = lab_arena_cstr(arena, key);

		if (!fs_http_is_internal(key) && fs_file_metadata(to, name).ptr == NULL)
			fs_file_metadata_store(to, name, value);
	}
}

/* ---- names ---- */

void fs_http_make_name(struct fs_file *file)
{
	struct env *env = file->fs->settings.env;
	struct lab_arena *arena = lab_arena_new(env->heap, FS_HTTP_TARGET_MAX);
	bool slash = file->path.len == 0 || lab_view_ends_with(file->path, LAB_VIEW("/"));
	char name[2 * ENV_GUID128_SIZE + 1];
	uint8_t guid[ENV_GUID128_SIZE];

	env_guid128_generate(env, guid);
	lab_hex(guid, sizeof(guid), name);
	fs_file_set_path(file, lab_view_cstr(lab_arena_printf(arena, "%.*s%s%s",
				       LAB_VIEW_ARG(file->path), slash ? "" : "/", name)));
	lab_arena_free(&arena);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "core/obox/fs-auth-cache.h"

#include "core/conf/fs-uri.h"
#include "core/obox/obox-private.h"

#define KEY_MAX 4096
#define PREPARED_FROM 4 /* protocol version */

struct fs_auth_cache {
	struct env *env;
	struct dict *dict;
	struct lab_buf key;
};

/* No message of the dict: it might have the value. */
static void report(const struct fs_auth_cache *cache, const char *message, enum lab_code code)
{
	ENV_EVENT(cache->env, LAB_EV_log_message, LAB_F_CSTR("area", "fs-auth"),
		LAB_F_CSTR("message", message), LAB_F_CODE("code", code));
}

static int load(void *ctx, struct lab_arena *arena, struct lab_view *ret)
{
	const struct fs_auth_cache *cache = ctx;
	struct dict_values values;
	struct lab_error err;
	int found = dict_lookup(cache->dict, lab_buf_view(&cache->key), arena, &values, &err);

	if (found < 0)
		report(cache, "fs_auth_cache_dict was not read", err.code);
	if (found > 0)
		*ret = values.items[0];
	return found;
}

static void store(void *ctx, struct lab_view document)
{
	const struct fs_auth_cache *cache = ctx;
	const struct dict_change_options plain = { 0 };
	struct lab_error err;

	if (dict_set(cache->dict, lab_buf_view(&cache->key), document, &plain, &err) < 0)
		report(cache, "fs_auth_cache_dict was not written", err.code);
}

static void release(void *ctx)
{
	struct fs_auth_cache *cache = ctx;

	lab_buf_done(&cache->key);
	lab_heap_free(cache->env->heap, cache);
}

static int check_protocol(
	const struct backend_settings *settings, struct lab_view name, struct lab_error *err)
{
	for (size_t i = 0; i < settings->dict_count; i++) {
		const struct backend_dict *dict = &settings->dicts[i];
		unsigned version = dict->config->connect.protocol_version;

		if (lab_view_eq(dict->name, name) && version != 0 && version < PREPARED_FROM)
			return lab_fail(err, LAB_INVALID,
				"dict \"%.*s\" has version=%u: secrets would stand in statements",
				LAB_VIEW_ARG(name), version);
	}
	return 0;
}

static int open_dict(struct backend *backend, struct dict **ret, struct lab_error *err)
{
	const struct backend_settings *settings = backend_get_settings(backend);
	struct fs_services *services = backend_get_services(backend);
	struct lab_view socket, name;

	if (fs_uri_dict_proxy(settings->conf->fs_auth_cache_dict.text, &socket, &name, err) < 0 ||
		check_protocol(settings, name, err) < 0)
		return -1;
	*ret = services->dict_open(services->ctx, socket, name, err);
	return *ret == NULL ? -1 : 0;
}

int fs_auth_cache_open(struct backend *backend, struct lab_view auth_host, struct lab_view role,
	struct aws_credentials_source *source, struct lab_error *err)
{
	struct env *env = backend_env(backend);
	struct fs_auth_cache *cache;
	struct dict *dict;

	if (backend_get_settings(backend)->conf->fs_auth_cache_dict.text.len == 0)
		return 0;
	if (open_dict(backend, &dict, err) < 0)
		return lab_error_wrap(err, "fs_auth_cache_dict");
	cache = lab_new(env->heap, struct fs_auth_cache);
	cache->env = env;
	cache->dict = dict;
	lab_buf_init(&cache->key, env->heap, KEY_MAX);
	lab_buf_append_cstr(&cache->key, "shared/fs-auth/");
	dict_escape(&cache->key, auth_host);
	lab_buf_append_byte(&cache->key, '/');
	dict_escape(&cache->key, role);
	aws_credentials_set_cache(
		source, &(struct aws_credentials_cache){ load, store, release, cache });
	return 0;
}
